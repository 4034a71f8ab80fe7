/* repl.c: the prompt of lstm: lines in, values out. */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef LSTM_LIBEDIT
#include <editline/readline.h>
#endif

#include "host.h"

/* --- lines -------------------------------------------------------------------------------------------------------- */

/* Pushes a line without its end; 0 at the end of the input. */
static int read_plain_line(lua_State *L, const char *prompt) {
  luaL_Buffer b;
  int c, any = 0;
  fputs(prompt, stdout);
  fflush(stdout);
  luaL_buffinit(L, &b);
  while ((c = getchar()) != EOF && c != '\n') {
    luaL_addchar(&b, (char)c);
    any = 1;
  }
  luaL_pushresult(&b);
  if (ferror(stdin) && host_interrupted) clearerr(stdin); /* Ctrl-C at the prompt: an empty line */
  else if (c == EOF && !any) return 0;
  return 1;
}

#ifdef LSTM_LIBEDIT

static lua_State *edited;             /* whose lines these are */
static char history_path[4096];       /* "": lines are not kept */
enum { HISTORY_LINES = 2000 };
static const char breaks[] = " \t\n\"'=<>~+-*/%^#,;(){}&|";

/* complete(line up to the cursor) -> a list of words, left on the stack; returns how many. */
static int complete_words(lua_State *L) {
  size_t n = (size_t)rl_point;
  host_push_function(L, "lstm.prompt", "complete");
  lua_pushlstring(L, rl_line_buffer, n < strlen(rl_line_buffer) ? n : strlen(rl_line_buffer));
  lua_call(L, 1, 1);
  return 1;
}

static char *copy(const char *text, size_t n) {
  char *result = (char *)malloc(n + 1);
  if (result) memcpy(result, text, n), result[n] = 0;
  return result;
}

/* What libedit asks for: what the words have in common, the words, NULL. It frees all. */
static char **words_of(lua_State *L, int n) {
  char **list = (char **)calloc((size_t)n + 2, sizeof *list);
  const char *first;
  size_t common;
  int i;
  if (!list) return NULL;
  lua_rawgeti(L, -1, 1);
  first = lua_tostring(L, -1);
  common = strlen(first);
  for (i = 1; i <= n; i++) {
    const char *word;
    size_t k = 0;
    lua_rawgeti(L, -2, i);
    word = lua_tostring(L, -1);
    while (k < common && word[k] == first[k]) k++;
    common = k;
    list[i] = copy(word, strlen(word));
    lua_pop(L, 1);
  }
  list[0] = copy(first, common);
  lua_pop(L, 1);
  return list;
}

static char **complete(const char *text, int start, int end) {
  lua_State *L = edited;
  char **list = NULL;
  int top = lua_gettop(L);
  (void)text, (void)start, (void)end;
  rl_attempted_completion_over = 1; /* never names of files */
  rl_completion_append_character = 0;
  if (!lua_checkstack(L, LUA_MINSTACK)) return NULL;
  lua_pushcfunction(L, complete_words);
  if (lua_pcall(L, 0, 1, 0) == 0 && lua_rawlen(L, -1) > 0) list = words_of(L, (int)lua_rawlen(L, -1));
  lua_settop(L, top);
  return list;
}

static int read_line(lua_State *L, const char *prompt) {
  char *line;
  if (!edited) return read_plain_line(L, prompt);
  line = readline(prompt);
  if (!line) {
    lua_pushliteral(L, "");
    return host_interrupted != 0;
  }
  if (*line) {
    add_history(line);
    if (*history_path) write_history(history_path);
  }
  lua_pushstring(L, line);
  free(line);
  return 1;
}

static void open_editor(lua_State *L) {
  static char name[] = "lstm", characters[sizeof breaks];
  if (!isatty(0) || !isatty(1)) return;
  setlocale(LC_CTYPE, "");
  memcpy(characters, breaks, sizeof breaks);
  edited = L;
  rl_readline_name = name;
  rl_catch_signals = 0;
  rl_completer_word_break_characters = characters;
  rl_attempted_completion_function = complete;
  using_history();
  stifle_history(HISTORY_LINES);
  host_push_function(L, "lstm.prompt", "history");
  if (lua_pcall(L, 0, 1, 0) == 0 && lua_isstring(L, -1) && lua_rawlen(L, -1) < sizeof history_path) {
    strcpy(history_path, lua_tostring(L, -1));
    read_history(history_path);
  }
  lua_pop(L, 1);
}
static const char about_lines[] = "TAB completes";

#else

static int read_line(lua_State *L, const char *prompt) { return read_plain_line(L, prompt); }
static void open_editor(lua_State *L) { (void)L; }
static const char about_lines[] = "rlwrap lstm remembers lines";

#endif

/* --- chunks ------------------------------------------------------------------------------------------------------- */

static int is_incomplete(lua_State *L, int status) {
  const char *message = status == LUA_ERRSYNTAX ? lua_tostring(L, -1) : NULL;
  size_t n = message ? strlen(message) : 0;
  return n >= 5 && strcmp(message + n - 5, "<eof>") == 0;
}

enum { DROPPED = -1 };

/* Text only: a line of bytecode could do anything. */
static int compile(lua_State *L) {
  size_t size;
  const char *text = lua_tolstring(L, -1, &size);
  return luaL_loadbufferx(L, text, size, "=stdin", "t");
}

/* "= 5" asks for a value, as in older Lua; "?" and "?fit" ask for help. */
static void read_first_sign(lua_State *L) {
  const char *line = lua_tostring(L, -1);
  if (line[0] == '=') {
    lua_pushfstring(L, "return %s", line + 1);
  } else if (line[0] == '?') {
    const char *name = line + 1 + strspn(line + 1, " ?\"'(");
    size_t n = strcspn(name, " ?\"')\\");
    lua_pushlstring(L, name, n);
    lua_pushfstring(L, n > 0 ? "help \"%s\"" : "help()%s", lua_tostring(L, -1));
    lua_remove(L, -2);
  } else {
    return;
  }
  lua_remove(L, -2);
}

/* Compiles the line on the top as an expression, else as a chunk of as many lines as it takes. DROPPED: Ctrl-C. */
static int load_lines(lua_State *L) {
  int status;
  read_first_sign(L);
  lua_pushliteral(L, "return ");
  lua_pushvalue(L, -2);
  lua_concat(L, 2);
  status = compile(L);
  lua_remove(L, -2);
  while (status != 0) {
    lua_pop(L, 1);
    status = compile(L);
    if (!is_incomplete(L, status)) break;
    lua_pop(L, 1);
    lua_pushliteral(L, "\n");
    if (!read_line(L, ">> ")) {
      lua_pop(L, 2);
      status = compile(L); /* says what is missing */
      break;
    }
    if (host_interrupted) return DROPPED;
    lua_concat(L, 3);
    lua_pushnil(L); /* stands for the message */
  }
  lua_remove(L, -2);
  return status;
}

/* Prints the values on the stack, of which the first is `_` from here on. */
static int print_results(lua_State *L) {
  lua_pushvalue(L, 1);
  lua_setglobal(L, "_");
  luaL_checkstack(L, LUA_MINSTACK, "too many results to print");
  host_push_function(L, "lstm.prompt", "show");
  lua_insert(L, 1);
  lua_call(L, lua_gettop(L) - 1, 1);
  puts(lua_tostring(L, -1));
  return 0;
}

static int open_prompt(lua_State *L) {
  host_push_function(L, "lstm.prompt", "open");
  lua_call(L, 0, 0);
  return 0;
}

/* Ctrl-C at the prompt: nothing runs that could be stopped. */
static void forget_interrupt(lua_State *L) {
  host_interrupted = 0;
  lua_sethook(L, NULL, 0, 0);
}

int host_prompt(lua_State *L) {
  if (isatty(0)) {
    printf("lstm %s, %s. The module is in `lstm`; help() tells more; %s; Ctrl-D ends it.\n", LSTM_VERSION_STRING,
           LUA_RELEASE, about_lines);
  }
  lua_pushcfunction(L, open_prompt);
  if (lua_pcall(L, 0, 0, 0) != 0) lua_pop(L, 1);
  open_editor(L);
  for (;;) {
    int status;
    forget_interrupt(L);
    lua_settop(L, 0);
    if (!read_line(L, "> ")) break;
    status = host_interrupted ? DROPPED : load_lines(L);
    if (status == DROPPED) {
      putchar('\n');
      continue;
    }
    if (status == 0) status = host_call(L, 0, LUA_MULTRET);
    if (status == 0 && lua_gettop(L) > 0) {
      int n = lua_gettop(L);
      lua_pushcfunction(L, print_results);
      lua_insert(L, 1);
      status = host_call(L, n, 0);
    }
    if (status != 0) host_report(L, status);
  }
  putchar('\n');
  return 0;
}
