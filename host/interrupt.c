/* interrupt.c: Ctrl-C while something long runs that polls: fit, search. In the host the command line catches it all
   the time (main.c). In another program the module takes the signal for so long only, and gives it back: what the
   program does with Ctrl-C stays as it was. */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif

#include <pthread.h>
#include <signal.h>

#include "host.h"

volatile sig_atomic_t host_interrupted, host_holding, host_catches;

static struct sigaction before; /* what the program does with the signal, while `ours` */
static int ours;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* a program may have a Lua state in each thread */

/* The first one asks; the second one does what it would do without the module. */
static void on_interrupt(int number) {
  if (host_interrupted) {
    sigaction(SIGINT, &before, NULL);
    raise(number);
  }
  host_interrupted = 1;
}

static int is_ours(void) {
  struct sigaction now;
  return sigaction(SIGINT, NULL, &now) == 0 && now.sa_handler == on_interrupt;
}

static void take_signal(void) {
  struct sigaction action;
  if (sigaction(SIGINT, NULL, &before) != 0 || before.sa_handler == SIG_IGN || is_ours()) return;
  host_interrupted = 0;
  action = before;
  action.sa_flags = SA_RESTART; /* a callback's files need not know */
  action.sa_handler = on_interrupt;
  sigemptyset(&action.sa_mask);
  ours = sigaction(SIGINT, &action, NULL) == 0;
}

static void give_back(void) {
  if (ours && is_ours()) sigaction(SIGINT, &before, NULL);
  ours = 0;
  host_interrupted = 0;
}

/* interrupted() -> whether Ctrl-C was pressed since the outermost hold(true). */
static int core_interrupted(lua_State *L) {
  lua_pushboolean(L, host_interrupted != 0);
  return 1;
}

/* hold(true): the caller polls interrupted(); until its hold(false) Ctrl-C raises nothing by itself. They nest. Returns
   whether somebody held before. */
static int core_hold(lua_State *L) {
  int more = lua_toboolean(L, 1), before_it;
  pthread_mutex_lock(&lock);
  before_it = host_holding;
  if (more && before_it == 0 && !host_catches) take_signal();
  if (!more && before_it == 1 && !host_catches) give_back();
  if (more || before_it > 0) host_holding = before_it + (more ? 1 : -1);
  pthread_mutex_unlock(&lock);
  lua_pushboolean(L, before_it != 0);
  return 1;
}

void host_open_interrupt(lua_State *L, int core) {
  static const luaL_Reg functions[] = {{"interrupted", core_interrupted}, {"hold", core_hold}, {NULL, NULL}};
  lua_pushvalue(L, core);
  luaL_setfuncs(L, functions, 0);
  lua_pop(L, 1);
}
