/* repl.c: the prompt of lstm: lines in, values out. */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "host.h"

/* Pushes a line without its end; 0 at the end of the input. */
static int read_line(lua_State *L, const char *prompt) {
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

/* "= 5" asks for a value, as in older Lua. */
static void read_equals_sign(lua_State *L) {
  const char *line = lua_tostring(L, -1);
  if (line[0] != '=') return;
  lua_pushfstring(L, "return %s", line + 1);
  lua_remove(L, -2);
}

/* Compiles the line on the top as an expression, else as a chunk of as many lines as it takes. DROPPED: Ctrl-C. */
static int load_lines(lua_State *L) {
  int status;
  read_equals_sign(L);
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
    if (!read_line(L, ">> ")) return LUA_ERRSYNTAX;
    if (host_interrupted) return DROPPED;
    lua_concat(L, 3);
    lua_pushnil(L); /* stands for the message */
  }
  lua_remove(L, -2);
  return status;
}

static void print_results(lua_State *L) {
  int n = lua_gettop(L);
  if (n == 0) return;
  lua_pushvalue(L, 1);
  lua_setglobal(L, "_");
  luaL_checkstack(L, LUA_MINSTACK, "too many results to print");
  lua_getglobal(L, "print");
  lua_insert(L, 1);
  host_report(L, host_call(L, n, 0));
}

/* Ctrl-C at the prompt: nothing runs that could be stopped. */
static void forget_interrupt(lua_State *L) {
  host_interrupted = 0;
  lua_sethook(L, NULL, 0, 0);
}

int host_prompt(lua_State *L) {
  if (isatty(0)) {
    printf("lstm %s, %s. The module is in `lstm`. Ctrl-D ends it; rlwrap ./lstm remembers lines.\n",
           LSTM_VERSION_STRING, LUA_RELEASE);
  }
  lua_getglobal(L, "require");
  lua_pushliteral(L, "lstm");
  if (lua_pcall(L, 1, 1, 0) == 0) lua_setglobal(L, "lstm");
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
    if (status != 0) host_report(L, status);
    else print_results(L);
  }
  putchar('\n');
  return 0;
}
