/* sandbox.c: bounds on what a script can use: memory by the allocator, time by a hook that all coroutines share and by
   a timer of the process, files by one gate. What a script sees is made in lua/sandbox.lua. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* realpath, syscall */
#endif

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#include <sys/syscall.h>
#endif

#include "sandbox.h"
#include "host.h"

int host_sandboxes;

/* --- memory ------------------------------------------------------------------------------------------------------- */

void *lstm_memory_alloc(void *user, void *block, size_t before, size_t after) {
  lstm_memory *m = (lstm_memory *)user;
  void *moved;
  if (!block) before = 0; /* Lua tells the kind of object there */
  if (after == 0) {
    m->used -= before;
    free(block);
    return NULL;
  }
  if (after > before && (m->used > m->limit || after - before > m->limit - m->used)) {
    m->refused = 1;
    return NULL;
  }
  moved = realloc(block, after);
  if (!moved) {
    m->refused = 1;
    return NULL;
  }
  m->used = m->used - before + after;
  if (m->used > m->peak) m->peak = m->used;
  return moved;
}

/* Garbage that the collector has not found yet must not keep a model from being made. */
void host_make_room(lua_State *L) {
  void *user;
  const lstm_memory *m;
  if (lua_getallocf(L, &user) != lstm_memory_alloc) return;
  m = (const lstm_memory *)user;
  if (m->used > m->limit / 2) lua_gc(L, LUA_GCCOLLECT, 0);
}

#if LUA_VERSION_NUM >= 504

/* --- the sandbox of a state --------------------------------------------------------------------------------------- */

#define MOST_PRODUCTS 5e9 /* of a C function, which no hook interrupts: about a second */
enum { INTERVAL = 100, INTERVAL_OF_PROCESS = 1000, TIMED_OUT = 124 };

/* A userdata in the registry. Its user values: the tables of paths to read, and to write. */
typedef struct sandbox {
  double seconds, deadline, instructions, left;
  int interval;
  int by_process; /* the timer of the process watches the clock, and the process ends */
} sandbox;

static const char key;
static volatile sig_atomic_t expired;
static char sentence[128]; /* what the process says at its end */

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static sandbox *sandbox_of(lua_State *L) {
  sandbox *s;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &key);
  s = (sandbox *)lua_touserdata(L, -1);
  lua_pop(L, 1);
  return s;
}

/* Nothing of the script runs any more: no handler, no finalizer, no pcall. */
static void end_process(void) {
  fflush(stdout);
  fputs(sentence, stderr);
  _exit(TIMED_OUT);
}

static void on_count(lua_State *L, lua_Debug *info);

static void raise_over(lua_State *L, const sandbox *s) {
  lua_sethook(L, on_count, LUA_MASKCOUNT, 1); /* whoever catches the error gets it again */
  if (s->instructions > 0 && s->left < 0) {
    lua_pushfstring(L, "stopped after %I instructions: the limit", (LUAI_UACINT)s->instructions);
  } else {
    lua_pushfstring(L, "stopped after %f s: the time limit", s->seconds);
  }
  lua_error(L);
}

/* Takes so many instructions from what is left, and raises where nothing is. */
static void charge(lua_State *L, sandbox *s, double instructions) {
  s->left -= instructions;
  if (s->by_process) {
    if (expired) end_process();
  } else if ((s->instructions > 0 && s->left < 0) || (s->seconds > 0 && now() > s->deadline)) {
    raise_over(L, s);
  } else if (lua_gethookcount(L) != s->interval) { /* after lstm_sandbox_renew */
    lua_sethook(L, on_count, LUA_MASKCOUNT, s->interval);
  }
}

static void on_count(lua_State *L, lua_Debug *info) {
  sandbox *s = sandbox_of(L);
  (void)info;
  charge(L, s, lua_gethookcount(L));
}

void host_charge(lua_State *L, double products) {
  sandbox *s = sandbox_of(L);
  if (!s) return;
  charge(L, s, products / 64);
  if (products > MOST_PRODUCTS && !s->by_process) {
    host_raise(L, "%d million multiply-adds are too much for one call in the sandbox (the limit is %d million)",
               products < 1e15 ? (int)(products / 1e6) : INT_MAX, (int)(MOST_PRODUCTS / 1e6));
  }
}

void lstm_sandbox_renew(lua_State *L) {
  sandbox *s = sandbox_of(L);
  if (!s) return;
  s->left = s->instructions;
  s->deadline = now() + s->seconds;
  lua_sethook(L, on_count, LUA_MASKCOUNT, s->interval);
}

/* --- the gate of files -------------------------------------------------------------------------------------------- */

/* The path without links and dots; a file may be missing, its folder not. Returns 0 where there is no such thing. */
static int resolve(const char *path, char *out) {
  char folder[PATH_MAX];
  const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
  size_t n = slash ? (size_t)(slash - path) + (slash == path) : 1;
  struct stat info;
  if (realpath(path, out)) return 1;
  if (errno != ENOENT || n >= sizeof folder || lstat(path, &info) == 0) return 0; /* a link to nowhere leads out */
  if (!*name || strcmp(name, ".") == 0 || strcmp(name, "..") == 0) return 0;
  memcpy(folder, slash ? path : ".", n);
  folder[n] = 0;
  if (!realpath(folder, out)) return 0;
  n = strlen(out);
  if (n + strlen(name) + 2 > PATH_MAX) return 0;
  snprintf(out + n, PATH_MAX - n, "%s%s", n == 1 ? "" : "/", name);
  return 1;
}

/* Whether the rest of a path makes it a file that belongs to another one: a pair of models is in NAME.encoder and
   NAME.decoder; .next and .probe are on their way. */
static int belongs(const char *rest) {
  static const char *const endings[] = {".encoder", ".decoder", ".next", ".probe"};
  int i = 0;
  while (*rest && i < 4) {
    size_t n = strlen(endings[i]);
    if (strncmp(rest, endings[i++], n) == 0) rest += n, i = 0;
  }
  return !*rest;
}

/* Whether the path is one of a list, or in one of its folders, or belongs to one of its files. */
static int is_listed(lua_State *L, int list, const char *path) {
  int i, found = 0;
  for (i = 1; !found && lua_rawgeti(L, list, i) == LUA_TSTRING; i++) {
    const char *allowed = lua_tostring(L, -1);
    int is_folder = *allowed == 'd';
    size_t n = strlen(++allowed);
    if (n == 1) n = 0; /* the root */
    if (strncmp(path, allowed, n) == 0) {
      found = is_folder ? !path[n] || path[n] == '/' : belongs(path + n);
    }
    lua_pop(L, 1);
  }
  if (!found) lua_pop(L, 1);
  return found;
}

int host_may(lua_State *L, const char *path, int writing) {
  char full[PATH_MAX];
  int top = lua_gettop(L), may;
  if (!host_sandboxes || !sandbox_of(L)) return 1;
  if (!resolve(path, full)) return 0;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &key);
  lua_getiuservalue(L, -1, 1);
  lua_getiuservalue(L, -2, 2);
  may = is_listed(L, top + 3, full) || (!writing && is_listed(L, top + 2, full));
  lua_settop(L, top);
  return may;
}

/* Whether what is refused lacks a folder inside of what is named. Where a link leads is not told. */
static int lacks_folder(lua_State *L, const char *path, int writing) {
  char cut[PATH_MAX], *slash;
  struct stat info;
  int depth;
  if (strlen(path) >= sizeof cut) return 0;
  memcpy(cut, path, strlen(path) + 1);
  for (depth = 0; (slash = strrchr(cut, '/')) != NULL && slash > cut; depth++) {
    *slash = 0;
    if (lstat(cut, &info) == 0) return depth > 0 && host_may(L, cut, writing);
  }
  return 0;
}

int host_refuse(lua_State *L, const char *path, int writing) {
  const char *verb = writing ? "write" : "read", *given = sandbox_of(L)->by_process ? "--" : "limits.";
  if (lacks_folder(L, path, writing)) lua_pushfstring(L, "cannot %s %s: %s", verb, path, strerror(ENOENT));
  else lua_pushfstring(L, "cannot %s %s: the sandbox %ss only what %s%s names", verb, path, verb, given, verb);
  return host_fault(L, LSTM_ERR_IO);
}

/* may(path, writing) -> true; or nil, message, status */
static int sandbox_may(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  int writing = lua_toboolean(L, 2);
  if (!host_may(L, path, writing)) return host_refuse(L, path, writing);
  lua_pushboolean(L, 1);
  return 1;
}

/* Appends a path to the list on the top of the stack. */
static void add_path(lua_State *L, const char *path) {
  char full[PATH_MAX];
  struct stat info;
  if (!resolve(path, full)) luaL_error(L, "%s: %s", path, strerror(errno));
  lua_pushfstring(L, "%c%s", stat(full, &info) == 0 && S_ISDIR(info.st_mode) ? 'd' : 'f', full);
  lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
}

/* --- making one --------------------------------------------------------------------------------------------------- */

/* charge(n): work that is none of Lua's instructions */
static int sandbox_charge(lua_State *L) {
  charge(L, sandbox_of(L), lua_tonumber(L, 1));
  return 0;
}

/* Elements that one call of table.move ... may go through: C functions as metamethods meet no hook. */
enum { MOST = 1 << 24 };
typedef enum kind { STRING, REP, INSERT, REMOVE, MOVE, CONCAT, UNPACK, SORT, CREATE, RESUME, WRAP } kind;
static const char *const kinds[] = {"string", "rep",  "insert", "remove", "move", "concat",
                                    "unpack", "sort", "create", "resume", "wrap", NULL};

static double range(lua_State *L, int from, int to, double last) {
  double first = lua_isnoneornil(L, from) ? 1 : lua_tonumber(L, from);
  return (lua_isnoneornil(L, to) ? last : lua_tonumber(L, to)) - first;
}

/* How many elements of the table at 1 a call goes through. Lua asks __len as often as it likes, and can get another
   answer each time. */
static double elements(lua_State *L, kind k) {
  double size = 0;
  if (k == MOVE) return range(L, 2, 3, 0);
  if ((k == CONCAT || k == UNPACK) && !lua_isnoneornil(L, k == CONCAT ? 4 : 3)) {
    return range(L, k == CONCAT ? 3 : 2, k == CONCAT ? 4 : 3, 0);
  }
  if (luaL_getmetafield(L, 1, "__len") != LUA_TNIL) {
    luaL_error(L, "table.%s: a table with __len is not taken in the sandbox", kinds[k]);
  }
  if (lua_istable(L, 1)) size = (double)lua_rawlen(L, 1);
  return (k == INSERT && lua_gettop(L) < 3) || (k == REMOVE && lua_gettop(L) < 2) ? 0 : size;
}

/* The instructions that a call stands for: bytes and elements go at some ten to an instruction. */
static double work_of(lua_State *L, kind k) {
  double n = lua_type(L, 1) == LUA_TSTRING ? (double)lua_rawlen(L, 1) : 0;
  if (k == STRING) return n / 64;
  if (k == REP) return (n + (lua_type(L, 3) == LUA_TSTRING ? (double)lua_rawlen(L, 3) : 0)) * lua_tonumber(L, 2) / 64;
  if (k >= CREATE) return k == RESUME ? 10 : 1000;
  if (k == SORT && lua_iscfunction(L, 2)) { /* no hook would meet its calls */
    luaL_error(L, "table.sort: only functions of Lua compare in the sandbox");
  }
  n = elements(L, k);
  if (n > MOST) luaL_error(L, "table.%s: more than %d elements", kinds[k], MOST);
  return n / 4;
}

/* Calls a C function, in its own place, after counting its work. Upvalues: what the function has itself; the function;
   the kind. */
static int bounded(lua_State *L) {
  kind k = (kind)lua_tointeger(L, lua_upvalueindex(3));
  lua_CFunction f = lua_tocfunction(L, lua_upvalueindex(2));
  double work = work_of(L, k);
  int results;
  if (work >= 8) charge(L, sandbox_of(L), work);
  if (k == REP && work == 0 && lua_isnumber(L, 2) && lua_type(L, 1) == LUA_TSTRING && lua_rawlen(L, 1) == 0) {
    lua_pushinteger(L, 0); /* or it goes through an empty string 2^62 times */
    lua_replace(L, 2);
  }
  if (k == SORT && lua_isnoneornil(L, 2)) {
    lua_settop(L, 1);
    lua_pushvalue(L, lua_upvalueindex(1));
  }
  results = f(L);
  if (k != WRAP) return results;
  lua_getupvalue(L, -1, 1); /* the coroutine, for a function that counts, too */
  lua_insert(L, -2);
  lua_pushinteger(L, RESUME);
  lua_pushcclosure(L, bounded, 3);
  return 1;
}

/* bound(f, kind [, upvalue]) -> the function */
static int sandbox_bound(lua_State *L) {
  kind k = (kind)luaL_checkoption(L, 2, NULL, kinds);
  lua_settop(L, 3);
  lua_pushvalue(L, 1);
  lua_pushinteger(L, (lua_Integer)k);
  lua_pushcclosure(L, bounded, 3);
  return 1;
}

/* __index of strings: the library's own Lua (upvalue 1) has patterns, scripts (upvalue 2) have none. */
static int string_index(lua_State *L) {
  lua_Debug info;
  int own = lua_getstack(L, 1, &info) && lua_getinfo(L, "S", &info) && strncmp(info.source, "=lstm/", 6) == 0;
  lua_settop(L, 2);
  lua_rawget(L, lua_upvalueindex(own ? 1 : 2));
  return 1;
}

/* split(own, scripts) -> string_index */
static int sandbox_split(lua_State *L) {
  lua_settop(L, 2);
  lua_pushcclosure(L, string_index, 2);
  return 1;
}

static void push_sandbox(lua_State *L, const lstm_limits *limits, int by_process) {
  sandbox *s = (sandbox *)lua_newuserdatauv(L, sizeof *s, 2);
  const char *const *lists[2];
  int i;
  memset(s, 0, sizeof *s);
  s->seconds = limits->seconds;
  s->instructions = limits->instructions;
  s->interval = by_process ? INTERVAL_OF_PROCESS : INTERVAL;
  s->by_process = by_process;
  lists[0] = limits->read;
  lists[1] = limits->write;
  for (i = 0; i < 2; i++) {
    const char *const *path = lists[i];
    lua_newtable(L);
    for (; path && *path; path++) add_path(L, *path);
    lua_setiuservalue(L, -2, i + 1);
  }
}

typedef struct request {
  const lstm_limits *limits;
  int by_process;
} request;

/* The libraries and lstm in the old globals, which stay those of lstm's own Lua; scripts get a table of their own. */
static int make(lua_State *L) {
  static const luaL_Reg tools[] = {{"may", sandbox_may},
                                   {"charge", sandbox_charge},
                                   {"bound", sandbox_bound},
                                   {"split", sandbox_split},
                                   {NULL, NULL}};
  const request *r = (const request *)lua_touserdata(L, 1);
  lua_pushboolean(L, 1);
  lua_setfield(L, LUA_REGISTRYINDEX, "LUA_NOENV");
  luaL_openlibs(L);
  push_sandbox(L, r->limits, r->by_process);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &key);
  (void)__atomic_add_fetch(&host_sandboxes, 1, __ATOMIC_RELAXED);
  lua_pushglobaltable(L);
  lua_setfield(L, LUA_REGISTRYINDEX, "lstm.globals");
  luaL_requiref(L, "lstm", luaopen_lstm, 0);
  host_push_function(L, "lstm.sandbox", "make");
  luaL_newlib(L, tools);
  lua_pushboolean(L, r->limits->patterns);
  lua_setfield(L, -2, "patterns");
  lua_pushboolean(L, r->by_process);
  lua_setfield(L, -2, "by_process");
  lua_call(L, 1, 1);
  lua_rawseti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
  lua_gc(L, LUA_GCSETPAUSE, 125); /* memory is what is short */
  lstm_sandbox_renew(L);
  return 0;
}

static int enter(lua_State *L, const lstm_limits *limits, int by_process) {
  request r;
  r.limits = limits;
  r.by_process = by_process;
  lua_pushcfunction(L, make);
  lua_pushlightuserdata(L, &r);
  return lua_pcall(L, 1, 0, 0);
}

int lstm_sandbox(lua_State *L, const lstm_limits *limits) { return enter(L, limits, 0); }

/* --- the process of lstm --sandbox -------------------------------------------------------------------------------- */

/* The first time the script is asked to stop at its next thousand instructions, or a C function at its next look. */
static void on_alarm(int number) {
  (void)number;
  if (expired) {
    ssize_t ignored = write(2, sentence, strlen(sentence));
    (void)ignored;
    _exit(TIMED_OUT);
  }
  expired = 1;
}

static void start_timer(double seconds) {
  struct itimerval timer;
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = on_alarm;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  sigaction(SIGALRM, &action, NULL);
  timer.it_value.tv_sec = (time_t)seconds;
  timer.it_value.tv_usec = (suseconds_t)((seconds - (double)timer.it_value.tv_sec) * 1e6);
  if (timer.it_value.tv_sec == 0 && timer.it_value.tv_usec == 0) timer.it_value.tv_usec = 1;
  timer.it_interval.tv_sec = 0;
  timer.it_interval.tv_usec = 250000;
  setitimer(ITIMER_REAL, &timer, NULL);
  snprintf(sentence, sizeof sentence, "lstm: stopped after %g s: the time limit (--timeout)\n", seconds);
}

/* A last line for what does not come from Lua's allocator: far above the limit, so that it is no false alarm. */
static void limit_process(size_t memory) {
  struct rlimit limit;
  unsigned long pages = 0;
  FILE *file = fopen("/proc/self/statm", "r");
  if (file) {
    int found = fscanf(file, "%lu", &pages);
    double bytes = (double)pages * (double)sysconf(_SC_PAGESIZE) + 2.0 * (double)memory + 1e9;
    fclose(file);
    if (found == 1 && bytes < 1e15 && getrlimit(RLIMIT_AS, &limit) == 0 && bytes < (double)limit.rlim_cur) {
      limit.rlim_cur = (rlim_t)bytes;
      setrlimit(RLIMIT_AS, &limit);
    }
  }
  limit.rlim_cur = limit.rlim_max = 0;
  setrlimit(RLIMIT_CORE, &limit);
}

#if defined(__linux__) && !defined(__SANITIZE_ADDRESS__) /* which looks into /proc at the end */

/* A second gate behind the first one: Landlock, where the kernel has it. A file that is to be made, or replaced, lets
   its whole folder through here. The numbers of these system calls are the same on every machine. */
enum { CREATE_RULESET = 444, ADD_RULE, RESTRICT_SELF, VERSION = 1, UNDER_PATH = 1 };
enum { L_EXECUTE = 1, L_WRITE = 2, L_READ = 4, L_LIST = 8, L_REMOVE = 32, L_MAKE = 256, L_ALL = (1 << 13) - 1 };

/* As the kernel has it: packed. */
typedef struct under_path {
  uint64_t access;
  int32_t at;
} __attribute__((packed)) under_path;

static void allow_paths(int rules, const char *const *path, uint64_t access) {
  for (; path && *path; path++) {
    char full[PATH_MAX], *slash;
    struct stat info;
    under_path rule;
    int exists, is_folder;
    if (!resolve(*path, full)) continue;
    slash = strrchr(full, '/');
    exists = stat(full, &info) == 0;
    is_folder = exists && S_ISDIR(info.st_mode);
    if (slash && !is_folder && (!exists || access & L_WRITE)) slash[slash == full] = 0, is_folder = 1;
    rule.access = is_folder ? access : L_READ;
    rule.at = open(full, O_PATH | O_CLOEXEC);
    if (rule.at < 0) continue;
    syscall(ADD_RULE, rules, UNDER_PATH, &rule, 0);
    close(rule.at);
  }
}

static void lock_process(const lstm_limits *limits) {
  uint64_t handled[2] = {L_ALL, 3}; /* files; TCP, since version 4 */
  long version = syscall(CREATE_RULESET, NULL, 0, VERSION);
  int rules = version < 1 ? -1 : (int)syscall(CREATE_RULESET, handled, version < 4 ? 8 : 16, 0);
  tzset(); /* reads a file */
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || rules < 0) return;
  allow_paths(rules, limits->read, L_READ | L_LIST);
  allow_paths(rules, limits->write, L_READ | L_LIST | L_WRITE | L_REMOVE | L_MAKE);
  syscall(RESTRICT_SELF, rules, 0);
  close(rules);
}

#else

static void lock_process(const lstm_limits *limits) { (void)limits; }

#endif

int host_enter_sandbox(lua_State *L, const lstm_limits *limits, size_t memory) {
  int status;
  setvbuf(stdout, NULL, _IOLBF, BUFSIZ); /* the second alarm cannot flush: no whole line is lost */
  start_timer(limits->seconds);
  limit_process(memory);
  status = enter(L, limits, 1);
  lock_process(limits);
  return status;
}

#else

int lstm_sandbox(lua_State *L, const lstm_limits *limits) {
  (void)limits;
  lua_pushliteral(L, "the sandbox needs Lua 5.4");
  return LUA_ERRRUN;
}

void lstm_sandbox_renew(lua_State *L) { (void)L; }

int host_may(lua_State *L, const char *path, int writing) {
  (void)L, (void)path, (void)writing;
  return 1;
}

int host_refuse(lua_State *L, const char *path, int writing) {
  (void)L, (void)path, (void)writing;
  return 0;
}

void host_charge(lua_State *L, double products) { (void)L, (void)products; }

#endif
