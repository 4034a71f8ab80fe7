/* main.c: the command line of lstm: options, one script or a prompt, and how it ended. */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif

#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host.h"
#include "sandbox.h"

enum { FINE = 0, FAILED = 1, USAGE = 2, INTERRUPTED = 130 };

static lua_State *main_state;
static lstm_memory memory; /* of a sandbox; no limit: there is none */

/* --- Ctrl-C ------------------------------------------------------------------------------------------------------- */

static void raise_interrupt(lua_State *L, lua_Debug *info) {
  (void)info;
  lua_sethook(L, NULL, 0, 0);
  lstm_sandbox_renew(L); /* the hook of a sandbox; its timer goes on */
  host_raise(L, "interrupted");
}

/* The first one asks; the second one does not. Nothing but a flag and a hook may be touched here. */
static void on_interrupt(int number) {
  (void)number;
  if (host_interrupted) _exit(INTERRUPTED);
  host_interrupted = 1;
  if (!host_holding) {
    lua_sethook(main_state, raise_interrupt, LUA_MASKCALL | LUA_MASKRET | LUA_MASKLINE | LUA_MASKCOUNT, 1);
  }
}

static void catch_interrupts(void) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = on_interrupt;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, NULL);
  host_catches = 1;
}

/* --- errors ------------------------------------------------------------------------------------------------------- */

static int shows_all(void) {
  const char *all = getenv("LSTM_TRACE");
  return all && *all && strcmp(all, "0") != 0;
}

/* C functions and the host's own Lua are of no use to a user. */
static int is_of_script(lua_State *L, lua_Debug *info) {
  lua_getinfo(L, "Sln", info);
  return info->currentline > 0 && strncmp(info->source, "=lstm/", 6) != 0;
}

/* The places in scripts that led here, innermost first. A single one is in the message already. */
static void add_traceback(lua_State *L, luaL_Buffer *b) {
  lua_Debug info;
  char line[64];
  int level, shown = 0, count = 0;
  for (level = 1; lua_getstack(L, level, &info); level++) count += is_of_script(L, &info);
  for (level = 1; count > 1 && lua_getstack(L, level, &info) && shown < 20; level++) {
    if (!is_of_script(L, &info)) continue;
    luaL_addstring(b, shown++ ? "\n  " : "\ncalled from:\n  ");
    luaL_addstring(b, info.short_src);
    snprintf(line, sizeof line, ":%d", info.currentline);
    luaL_addstring(b, line);
    if (info.name) {
      luaL_addstring(b, ": in ");
      luaL_addstring(b, info.name);
    }
  }
}

/* "file:line: " of the innermost place in a script. */
static void push_place(lua_State *L) {
  lua_Debug info;
  int level, found = 0;
  for (level = 1; !found && lua_getstack(L, level, &info); level++) found = is_of_script(L, &info);
  if (found) lua_pushfstring(L, "%s:%d: ", info.short_src, info.currentline);
  else lua_pushliteral(L, "");
}

/* A line of the host's own Lua says nothing to a user who left out an argument: the script's line takes its place. */
static void replace_place(lua_State *L) {
  const char *message = lua_tostring(L, 1), *rest = NULL;
  if (strncmp(message, "lstm/", 5) == 0) rest = strstr(message, ".lua:");
  if (rest) rest = strstr(rest, ": ");
  if (!rest) return;
  push_place(L);
  lua_pushstring(L, rest + 2);
  lua_concat(L, 2);
  lua_replace(L, 1);
}

/* The message of an error that has none: where it was raised, and what it is. */
static void push_description(lua_State *L) {
  push_place(L);
  if (lua_isnil(L, 1)) lua_pushliteral(L, "an error without a message");
  else lua_pushfstring(L, "an error that is a %s, not a message", luaL_typename(L, 1));
  lua_concat(L, 2);
}

static int on_error(lua_State *L) {
  luaL_Buffer b;
  lua_settop(L, 1);
  if (!lua_isstring(L, 1)) {
    if (!luaL_callmeta(L, 1, "__tostring")) push_description(L);
    lua_replace(L, 1);
  }
  lua_settop(L, 1);
  if (shows_all()) {
    luaL_traceback(L, L, lua_tostring(L, 1), 1);
    return 1;
  }
  replace_place(L);
  luaL_buffinit(L, &b);
  luaL_addstring(&b, lua_tostring(L, 1));
  add_traceback(L, &b);
  luaL_pushresult(&b);
  return 1;
}

int host_report(lua_State *L, int status) {
  if (status == 0) return FINE;
  fflush(stdout);
  fprintf(stderr, "lstm: %s\n", lua_tostring(L, -1) ? lua_tostring(L, -1) : "unknown error");
  lua_pop(L, 1);
  if (memory.refused) {
    fprintf(stderr, "lstm: the memory limit was reached: %g MB (--memory)\n", (double)memory.limit / 1048576);
  }
  return host_interrupted ? INTERRUPTED : FAILED;
}

/* Calls the function below `arguments` values on the stack. */
int host_call(lua_State *L, int arguments, int results) {
  int handler = lua_gettop(L) - arguments, status;
  lua_pushcfunction(L, on_error);
  lua_insert(L, handler);
  status = lua_pcall(L, arguments, results, handler);
  lua_remove(L, handler);
  return status;
}

/* --- options ------------------------------------------------------------------------------------------------------ */

static int wrong_usage(const char *problem, const char *what) {
  fprintf(stderr, "lstm: %s%s (see lstm --help)\n", problem, what);
  return USAGE;
}

static int wrong_value(const char *option, const char *problem, const char *got) {
  fprintf(stderr, "lstm: --%s: %s%s (see lstm --help)\n", option, problem, got);
  return USAGE;
}

/* Calls lstm[name](value) for --threads, --isa and --seed. */
static int set_option(lua_State *L, const char *name, const char *value) {
  char *end;
  lua_getglobal(L, "require");
  lua_pushliteral(L, "lstm");
  lua_call(L, 1, 1);
  lua_getfield(L, -1, name);
  if (strcmp(name, "isa") == 0) {
    lua_pushstring(L, value);
  } else {
    errno = 0;
    lua_pushinteger(L, (lua_Integer)strtoll(value, &end, 10));
    if (*end || end == value || errno == ERANGE) return wrong_value(name, "a whole number expected, got ", value);
  }
  if (lua_pcall(L, 1, 0, 0) != 0) { /* the message begins with the function's name, which is the option's */
    const char *message = lua_tostring(L, -1);
    size_t n = strlen(name);
    return wrong_value(name, strncmp(message, name, n) == 0 && message[n] == ':' ? message + n + 2 : message, "");
  }
  lua_pop(L, 1);
  return FINE;
}

static int run_chunk(lua_State *L, const char *chunk) {
  int status = luaL_loadbufferx(L, chunk, strlen(chunk), "=(command line)", host_sandboxes ? "t" : NULL);
  return host_report(L, status ? status : host_call(L, 0, 0));
}

static int require_name(lua_State *L, const char *name) {
  int status;
  lua_getglobal(L, "require");
  lua_pushstring(L, name);
  status = host_call(L, 1, 1);
  if (status == 0) lua_setglobal(L, name);
  return host_report(L, status);
}

/* arg[0] is the script, arg[1] ... its arguments, what comes before is negative, as in lua. */
static void set_arg(lua_State *L, int argc, char **argv, int script) {
  int i;
  lua_createtable(L, argc, 0);
  for (i = 0; i < argc; i++) {
    lua_pushstring(L, argv[i]);
    lua_rawseti(L, -2, i - script);
  }
  lua_getfield(L, LUA_REGISTRYINDEX, "lstm.globals");
  if (!lua_isnil(L, -1)) {
    lua_pushvalue(L, -2);
    lua_setfield(L, -2, "arg");
  }
  lua_pop(L, 1);
  lua_setglobal(L, "arg");
}

static int print_help(lua_State *L) {
  host_push_function(L, "lstm.commands", "help");
  lua_call(L, 0, 1);
  fputs(lua_tostring(L, -1), stdout);
  return FINE;
}

/* Runs the command of this name, if there is one. Returns an exit code, or -1 where the word is a script. */
static int run_command(lua_State *L, int argc, char **argv, int script) {
  const char *name = argv[script];
  size_t n = strlen(name);
  int i;
  if (strcmp(name, "-") == 0 || (n >= 4 && strcmp(name + n - 4, ".lua") == 0)) return -1;
  host_push_function(L, "lstm.commands", "find");
  lua_pushstring(L, name);
  lua_call(L, 1, 2);
  if (!lua_isnil(L, -1)) return wrong_usage(lua_tostring(L, -1), "");
  lua_pop(L, 1);
  if (lua_isnil(L, -1)) return -1;
  lua_createtable(L, argc, 0);
  for (i = script + 1; i < argc; i++) {
    lua_pushstring(L, argv[i]);
    lua_rawseti(L, -2, i - script);
  }
  return host_report(L, host_call(L, 1, 0));
}

static int run_script(lua_State *L, int argc, char **argv, int script) {
  const char *name = argv[script];
  int i, status = run_command(L, argc, argv, script);
  if (status >= 0) return status;
  lua_settop(L, 0);
  status = luaL_loadfilex(L, strcmp(name, "-") == 0 ? NULL : name, host_sandboxes ? "t" : NULL);
  if (status == 0) {
    luaL_checkstack(L, argc, "too many arguments");
    for (i = script + 1; i < argc; i++) lua_pushstring(L, argv[i]);
    status = host_call(L, argc - script - 1, 0);
  }
  return host_report(L, status);
}

/* --- main --------------------------------------------------------------------------------------------------------- */

typedef struct command_line {
  int argc, script, interactive, ran;
  char **argv;
  int result;
  int sandboxed;
  lstm_limits limits;
} command_line;

/* Options with a value; from the fourth of the long ones on those of the sandbox, which are read before all others. */
static const char *const valued[] = {"threads", "isa", "seed", "memory", "timeout", "read", "write"};
enum { VALUED = 7, MEMORY = 3, TIMEOUT, READ, WRITE };

/* The place of --NAME or --NAME=VALUE among them, or VALUED. */
static int find_valued(const char *option) {
  size_t n = strcspn(option, "=");
  int k;
  for (k = 0; k < VALUED; k++) {
    if (strlen(valued[k]) + 2 == n && strncmp(option + 2, valued[k], n - 2) == 0) break;
  }
  return k;
}

/* One option at *i; options with a value move *i on. Returns an exit code, or -1 to go on. */
static int option(lua_State *L, command_line *c, int *i) {
  const char *name = c->argv[*i], *value = NULL, *rest;
  char letter = name[1];
  int result;
  if (strcmp(name, "-i") == 0) return c->interactive = 1, -1;
  if (strcmp(name, "-v") == 0 || strcmp(name, "--version") == 0)
    return printf("lstm %s, %s\n", LSTM_VERSION_STRING, LUA_RELEASE), c->ran = 1, -1;
  if (strcmp(name, "-h") == 0 || strcmp(name, "--help") == 0) return print_help(L);
  if (letter != '-' && letter != 'e' && letter != 'l') return wrong_usage("unknown option ", name);
  rest = letter == '-' ? strchr(name, '=') : name[2] ? name + 1 : NULL;
  if (rest) value = rest + 1;
  else if (*i + 1 < c->argc && strcmp(name, "--sandbox") != 0) value = c->argv[++*i];
  if (letter == '-') {
    int k = find_valued(name);
    if (strcmp(name, "--sandbox") == 0) return -1;
    if (k == VALUED) return wrong_usage("unknown option ", name);
    if (!value) return wrong_usage("a value is missing after ", name);
    result = k < MEMORY ? set_option(L, valued[k], value) : FINE;
    return result == FINE ? -1 : result;
  }
  if (!value) return wrong_usage("a value is missing after ", name);
  result = letter == 'e' ? (c->ran = 1, run_chunk(L, value)) : require_name(L, value);
  return result == FINE ? -1 : result;
}

static int run(lua_State *L, command_line *c) {
  static char input[] = "-";
  int i, result;
  set_arg(L, c->argc, c->argv, c->script);
  for (i = 1; i < c->script; i++) {
    if (strcmp(c->argv[i], "--") == 0) break;
    result = option(L, c, &i);
    if (result >= 0) return result;
  }
  if (c->script < c->argc) {
    result = run_script(L, c->argc, c->argv, c->script);
    if (result != FINE) return result;
  } else if (!c->ran && !c->interactive) {
    char *only[] = {input};
    if (!isatty(0)) return run_script(L, 1, only, 0);
    c->interactive = 1;
  }
  if (c->interactive && c->sandboxed) return wrong_usage("there is no prompt in the sandbox", "");
  return c->interactive ? host_prompt(L) : host_interrupted ? INTERRUPTED : FINE;
}

static int protected_main(lua_State *L) {
  command_line *c = (command_line *)lua_touserdata(L, 1);
  if (c->sandboxed) {
    if (host_enter_sandbox(L, &c->limits, memory.limit) != LUA_OK) return lua_error(L);
  } else {
    luaL_openlibs(L);
    luaL_requiref(L, "lstm", luaopen_lstm, 0);
  }
  lua_settop(L, 0);
  catch_interrupts();
  c->result = run(L, c);
  return 0;
}

/* The first argument that is neither an option nor an option's value. */
static int find_script(int argc, char **argv) {
  int i;
  for (i = 1; i < argc && argv[i][0] == '-' && argv[i][1]; i++) {
    const char *a = argv[i];
    if (strcmp(a, "--") == 0) return i + 1;
    if (strcmp(a, "-e") == 0 || strcmp(a, "-l") == 0 || (find_valued(a) < VALUED && !strchr(a, '='))) i++;
  }
  return i < argc ? i : argc;
}

/* "64M", "1.5gb", "500K" or bytes, "0.5" seconds; 0 for what is none of these. */
static double read_amount(const char *text, int is_memory) {
  static const char units[] = "KMG";
  char *end;
  double amount = strtod(text, &end);
  const char *unit = is_memory && *end ? strchr(units, toupper((unsigned char)*end)) : NULL;
  if (unit) {
    for (end++; unit >= units; unit--) amount *= 1024;
  }
  if (is_memory && end != text && toupper((unsigned char)*end) == 'B') end++;
  return end == text || *end || !(amount > 0 && amount < 1e15) ? 0 : amount;
}

/* Returns an exit code where a path to read is not there, or -1. A pair of models goes by a name without a file. */
static int check_paths(const char *const *path) {
  for (; *path; path++) {
    char part[4096];
    snprintf(part, sizeof part, "%s.encoder", *path);
    if (access(part, F_OK) == 0 || access(*path, F_OK) == 0) continue;
    return fprintf(stderr, "lstm: --read %s: %s\n", *path, strerror(errno)), FAILED;
  }
  return -1;
}

/* The sandbox's options, before there is a state. Returns an exit code, or -1 to go on. */
static int read_limits(command_line *c) {
  static const char **lists; /* the two lists of paths: for as long as the process lives */
  const char **list;
  int i, k, count[2] = {0, 0};
  double amounts[2] = {256 << 20, 30};
  const char *other = NULL;
  lists = (const char **)calloc(2 * (size_t)c->argc + 4, sizeof *lists);
  if (!lists) return fputs("lstm: out of memory\n", stderr), FAILED;
  c->limits.read = lists;
  c->limits.write = lists + c->argc + 2;
  for (i = 1; i < c->script; i++) {
    const char *name = c->argv[i], *value = strchr(name, '=');
    if (strcmp(name, "-e") == 0 || strcmp(name, "-l") == 0) i++;
    if (strcmp(name, "--sandbox") == 0) c->sandboxed = 1;
    k = find_valued(name);
    if (k == VALUED) continue;
    value = value ? value + 1 : c->argv[++i];
    if (k < MEMORY) continue;
    other = name;
    if (!value) return wrong_usage("a value is missing after ", name);
    if (k == MEMORY || k == TIMEOUT) {
      amounts[k - MEMORY] = read_amount(value, k == MEMORY);
      if (amounts[k - MEMORY] == 0) {
        return wrong_value(valued[k], k == MEMORY ? "bytes, or a number with K, M or G as 64M, expected, got "
                                                  : "seconds expected, got ", value);
      }
    } else {
      if (!*value || (*value == '-' && value == c->argv[i])) {
        return wrong_value(valued[k], "a path expected, got ", *value ? value : "nothing");
      }
      list = lists + (k == WRITE) * (c->argc + 2);
      list[count[k == WRITE]++] = value;
    }
  }
  if (other && !c->sandboxed) return wrong_usage("only with --sandbox: ", other);
  if (c->script < c->argc && strcmp(c->argv[c->script], "-") != 0 && access(c->argv[c->script], R_OK) == 0) {
    lists[count[0]] = c->argv[c->script];
  }
  memory.limit = c->sandboxed ? (size_t)amounts[0] : 0;
  c->limits.seconds = amounts[1];
  c->limits.patterns = 1;
  return check_paths(c->limits.read);
}

int main(int argc, char **argv) {
  command_line c;
  lua_State *L;
  memset(&c, 0, sizeof c);
  c.argc = argc;
  c.argv = argv;
  c.script = find_script(argc, argv);
  c.result = read_limits(&c);
  if (c.result >= 0) return c.result;
  L = c.sandboxed ? lua_newstate(lstm_memory_alloc, &memory) : luaL_newstate();
  if (!L) return fputs("lstm: out of memory\n", stderr), FAILED;
  main_state = L;
  lua_pushcfunction(L, protected_main);
  lua_pushlightuserdata(L, &c);
  if (host_call(L, 1, 0) != 0) c.result = host_report(L, 1);
  signal(SIGINT, SIG_DFL);
  lua_close(L);
  return c.result;
}
