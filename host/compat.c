/* compat.c: what Lua before 5.4 lacks, see compat.h. */
#include "host.h"

typedef int host_compat; /* a translation unit must not be empty */

#if LUA_VERSION_NUM >= 502 && LUA_VERSION_NUM < 504
#define set_environment lua_setuservalue
#define get_environment lua_getuservalue
#elif LUA_VERSION_NUM < 502
#define set_environment lua_setfenv
#define get_environment lua_getfenv
#endif

#if LUA_VERSION_NUM < 504

void *host_newuserdata(lua_State *L, size_t size, int values) {
  void *block = lua_newuserdata(L, size);
  if (values > 0) {
    lua_createtable(L, values, 0);
    set_environment(L, -2);
  }
  return block;
}

void host_setvalue(lua_State *L, int index, int n) {
  get_environment(L, index);
  lua_insert(L, -2);
  lua_rawseti(L, -2, n);
  lua_pop(L, 1);
}

void host_getvalue(lua_State *L, int index, int n) {
  get_environment(L, index);
  lua_rawgeti(L, -1, n);
  lua_remove(L, -2);
}

#endif

#if LUA_VERSION_NUM < 503

int lua_isinteger(lua_State *L, int index) {
  lua_Number n = lua_tonumber(L, index);
  return lua_type(L, index) == LUA_TNUMBER && n >= -9007199254740992.0 && n <= 9007199254740992.0 &&
         n == (lua_Number)(lua_Integer)n;
}

#endif

#if LUA_VERSION_NUM < 502

int lua_absindex(lua_State *L, int index) {
  return index > 0 || index <= LUA_REGISTRYINDEX ? index : lua_gettop(L) + index + 1;
}

void luaL_setfuncs(lua_State *L, const luaL_Reg *functions, int upvalues) {
  (void)upvalues; /* none is used here */
  for (; functions->name; functions++) {
    lua_pushcfunction(L, functions->func);
    lua_setfield(L, -2, functions->name);
  }
}

void luaL_setmetatable(lua_State *L, const char *name) {
  luaL_getmetatable(L, name);
  lua_setmetatable(L, -2);
}

void *luaL_testudata(lua_State *L, int index, const char *name) {
  void *block = lua_touserdata(L, index);
  int same;
  if (!block || !lua_getmetatable(L, index)) return NULL;
  luaL_getmetatable(L, name);
  same = lua_rawequal(L, -1, -2);
  lua_pop(L, 2);
  return same ? block : NULL;
}

#endif
