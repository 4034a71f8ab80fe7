/* alloc.c: a Lua module for test_alloc.sh: runs a piece of Lua in a state of its own whose allocator fails at the k-th
   allocation, and says what happened and what is left. */
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

int luaopen_lstm(lua_State *L);
int luaopen_alloc(lua_State *L);

typedef struct heap {
  size_t live;     /* bytes */
  long count;      /* allocations since it was armed */
  long fail_first; /* numbers of the allocations that fail; 0: none */
  long fail_last;
  int armed;
} heap;

static void *allocate(void *user, void *block, size_t old_size, size_t new_size) {
  heap *h = (heap *)user;
  void *result;
  if (!block) old_size = 0;
  if (new_size == 0) {
    free(block);
    h->live -= old_size;
    return NULL;
  }
  if (h->armed && new_size > old_size) {
    h->count++;
    if (h->fail_first && h->count >= h->fail_first && h->count <= h->fail_last) return NULL;
  }
  result = realloc(block, new_size);
  if (result) h->live += new_size - old_size;
  return result;
}

/* Opens the libraries and runs the setup, which returns the call and the check that is made after it. */
static int prepare(lua_State *L) {
  const char *setup = (const char *)lua_touserdata(L, 1);
  luaL_openlibs(L);
  luaL_requiref(L, "lstm", luaopen_lstm, 0);
  lua_settop(L, 0);
  if (luaL_loadstring(L, setup) != 0) return lua_error(L);
  lua_call(L, 0, 2);
  return 2;
}

static int copy_error(lua_State *L, lua_State *from, heap *h, const char *when) {
  const char *message = lua_tostring(from, -1);
  lua_pushfstring(L, "%s: %s", when, message ? message : "?");
  h->armed = 0;
  lua_close(from);
  return lua_error(L);
}

/* run(setup, first, last) -> whether the call succeeded, how many allocations it made, bytes left after closing, message.
   Allocations first..last fail; first 0: none. */
static int run(lua_State *L) {
  const char *setup = luaL_checkstring(L, 1);
  heap h;
  lua_State *inner;
  char message[200] = "";
  int ok;
  memset(&h, 0, sizeof h);
  h.fail_first = (long)luaL_checkinteger(L, 2);
  h.fail_last = (long)luaL_checkinteger(L, 3);
  inner = lua_newstate(allocate, &h);
  if (!inner) return luaL_error(L, "no memory for a test");
  lua_pushcfunction(inner, prepare);
  lua_pushlightuserdata(inner, (void *)(size_t)setup);
  if (lua_pcall(inner, 1, 2, 0) != 0) return copy_error(L, inner, &h, "setup");
  lua_gc(inner, LUA_GCCOLLECT, 0);
  lua_pushvalue(inner, 1);
  h.armed = 1;
  ok = lua_pcall(inner, 0, 0, 0) == 0;
  h.armed = 0;
  if (!ok && lua_tostring(inner, -1)) strncat(message, lua_tostring(inner, -1), sizeof message - 1);
  lua_settop(inner, 2);
  if (lua_pcall(inner, 0, 0, 0) != 0) return copy_error(L, inner, &h, "check");
  lua_close(inner);
  lua_pushboolean(L, ok);
  lua_pushinteger(L, h.count);
  lua_pushinteger(L, (lua_Integer)h.live);
  lua_pushstring(L, message);
  return 4;
}

int luaopen_alloc(lua_State *L) {
  lua_pushcfunction(L, run);
  return 1;
}
