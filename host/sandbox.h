/* sandbox.h: scripts of others in a program that embeds Lua 5.4 and the binding: bounded memory and time, no files
   but those named, no processes, no network, no bytecode, no `debug`.

     lstm_memory memory = {64 << 20};                           lives until after lua_close
     lstm_limits limits = {0};
     limits.seconds = 0.1;
     lua_State *L = lua_newstate(lstm_memory_alloc, &memory);
     if (lstm_sandbox(L, &limits) != LUA_OK) ...                a message is on the top of the stack
     luaL_loadbufferx(L, text, size, "=mod", "t") || lua_pcall(L, 0, 0, 0)
     lua_sethook(L, NULL, 0, 0);
     lua_close(L);

   What the program must do:
   - Make the state with lstm_memory_alloc: the memory of models, states, trainers and arrays counts, too.
   - Call lstm_sandbox first, on the new state: it opens the libraries and lstm, and puts a table of its own in place of
     the globals. Functions that the program adds afterwards are the program's: what they can do, scripts can.
   - Load text only ("t"), under a name that does not begin with "=lstm/". Call with lua_pcall, and no handler that
     calls what a script made (luaL_tolstring calls __tostring): the message by lua_tostring, which may be NULL.
   - Take away the hook before lua_close. Not set another one.
   - Keep a watchdog of its own where a hang must not happen whatever comes, best a process that can be killed. A C
     function is not interrupted: a training step (one of more than 5e9 multiply-adds is refused), a long string
     compared or joined, a chunk that the program itself gives to Lua. With the memory bounded each ends, in
     milliseconds to seconds, and the error follows; but the library's own patterns on a string of megabytes (a name, a
     cell of a table) can take time that grows with the square of its length.

   The error of a limit can be caught by a script with pcall, but comes again at its next instruction until it has
   ended. What is not promised: that Lua and the library have no faults. No promise for LuaJIT and Lua before 5.4. */
#ifndef LSTM_SANDBOX_H
#define LSTM_SANDBOX_H

#include <stddef.h>

#include <lua.h>

/* What an allocator of Lua may give out. Only `limit` is set by the program. */
typedef struct lstm_memory {
  size_t limit;      /* bytes */
  size_t used, peak; /* bytes given out now, and at most so far */
  int refused;       /* 1 once something was refused */
} lstm_memory;

void *lstm_memory_alloc(void *memory, void *block, size_t before, size_t after); /* a lua_Alloc */

/* {0} is a sandbox without files, and without a bound on time. */
typedef struct lstm_limits {
  double seconds;           /* by the clock, from lstm_sandbox or lstm_sandbox_renew on; 0: no bound */
  double instructions;      /* of Lua, to about a hundred, the same on every machine; functions of strings and
                               tables count by the size of these; 0: no bound */
  const char *const *read;  /* files and folders that can be read, ends with NULL; NULL: none */
  const char *const *write; /* files and folders that can be read and written, ends with NULL; NULL: none */
  int patterns;             /* 1: with string.find, match, gmatch and gsub, which no hook interrupts */
} lstm_limits;

/* Makes a new state a sandbox. Returns LUA_OK, or another status with a message pushed. Raises nothing. */
int lstm_sandbox(lua_State *L, const lstm_limits *limits);
/* Begins the seconds and the instructions anew: for each call of a script that stays. */
void lstm_sandbox_renew(lua_State *L);

#endif
