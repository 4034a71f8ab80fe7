/* embed.c: the least that a program does to run a script that it does not trust (host/sandbox.h).
   usage: embed [--memory BYTES] [--timeout SECONDS] [--instructions N] [--read PATH] [--write PATH] [--calls N] FILE
   Runs FILE; with --calls it calls the function that FILE returned N times, each with its own seconds. Exit codes: 0,
   or 1 with a message. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <lauxlib.h>
#include <lua.h>

#include "sandbox.h"

enum { WATCHDOG = 15, LONGEST = 1 << 20 }; /* seconds; bytes of a script */

typedef struct options {
  lstm_limits limits;
  lstm_memory memory;
  const char *read[2], *write[2], *file;
  int calls;
} options;

static void read_options(options *o, int argc, char **argv) {
  int i;
  memset(o, 0, sizeof *o);
  o->memory.limit = 64 << 20;
  o->limits.read = o->read;
  o->limits.write = o->write;
  for (i = 1; i + 1 < argc; i += 2) {
    const char *name = argv[i], *value = argv[i + 1];
    if (strcmp(name, "--memory") == 0) o->memory.limit = (size_t)strtoull(value, NULL, 10);
    if (strcmp(name, "--timeout") == 0) o->limits.seconds = strtod(value, NULL);
    if (strcmp(name, "--instructions") == 0) o->limits.instructions = strtod(value, NULL);
    if (strcmp(name, "--read") == 0) o->read[0] = value;
    if (strcmp(name, "--write") == 0) o->write[0] = value;
    if (strcmp(name, "--calls") == 0) o->calls = atoi(value);
  }
  o->file = i < argc ? argv[i] : NULL;
}

static size_t read_script(const char *path, char *text) {
  FILE *file = path ? fopen(path, "rb") : NULL;
  size_t size = file ? fread(text, 1, LONGEST, file) : 0;
  if (file) fclose(file);
  return size;
}

/* What a script made is not called for a message: an object would run its __tostring. */
static int failed(lua_State *L) {
  const char *message = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "an error without a message";
  fflush(stdout);
  fprintf(stderr, "embed: %s\n", message);
  return 1;
}

static int run(lua_State *L, const options *o) {
  static char text[LONGEST];
  size_t size = read_script(o->file, text);
  int i, status = luaL_loadbufferx(L, text, size, "=script", "t"); /* "t": bytecode could do anything */
  if (status == LUA_OK) status = lua_pcall(L, 0, 1, 0);
  for (i = 0; status == LUA_OK && i < o->calls; i++) {
    lua_pushvalue(L, 1);
    lua_pushinteger(L, i + 1);
    lstm_sandbox_renew(L);
    status = lua_pcall(L, 1, 0, 0);
  }
  return status == LUA_OK ? 0 : failed(L);
}

int main(int argc, char **argv) {
  options o;
  lua_State *L;
  int result;
  read_options(&o, argc, argv);
  alarm(WATCHDOG); /* the last line is the program's own */
  L = lua_newstate(lstm_memory_alloc, &o.memory);
  if (!L) return fputs("embed: not enough memory for a state\n", stderr), 1;
  result = lstm_sandbox(L, &o.limits) == LUA_OK ? run(L, &o) : failed(L);
  lua_sethook(L, NULL, 0, 0);
  lua_close(L);
  if (o.memory.used != 0) return fprintf(stderr, "embed: %lu bytes are lost\n", (unsigned long)o.memory.used), 2;
  return result;
}
