/* compat.h: the binding is written for Lua 5.4; this is what older versions and LuaJIT lack. There the module loads,
   steps and trains models; the prompt and the command line are for 5.4. */
#ifndef LSTM_HOST_COMPAT_H
#define LSTM_HOST_COMPAT_H

#if LUA_VERSION_NUM >= 504

#define host_newuserdata(L, size, values) lua_newuserdatauv(L, size, values)
#define host_setvalue(L, index, n) ((void)lua_setiuservalue(L, index, n))
#define host_getvalue(L, index, n) ((void)lua_getiuservalue(L, index, n))

#else

/* User values live in a table: the environment in 5.1, the one user value since 5.2. */
void *host_newuserdata(lua_State *L, size_t size, int values);
void host_setvalue(lua_State *L, int index, int n);
void host_getvalue(lua_State *L, int index, int n);

#endif

#if LUA_VERSION_NUM < 503
int lua_isinteger(lua_State *L, int index);
#endif

#if LUA_VERSION_NUM < 502
#define lua_rawlen(L, index) lua_objlen(L, index)
/* LuaJIT has some of these, by version: so ours have names of their own. */
#define lua_absindex host_absindex
#define luaL_setfuncs host_setfuncs
#define luaL_setmetatable host_setmetatable
#define luaL_testudata host_testudata
int lua_absindex(lua_State *L, int index);
void luaL_setfuncs(lua_State *L, const luaL_Reg *functions, int upvalues);
void luaL_setmetatable(lua_State *L, const char *name);
void *luaL_testudata(lua_State *L, int index, const char *name);
#endif

#endif
