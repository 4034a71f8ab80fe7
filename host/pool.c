/* pool.c: a pool of threads that serves as the library's executor. Threads start at the first use. */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host.h"

#define POOL "lstm.pool"
enum { MAX_THREADS = 256, SPINS = 8000 };

typedef void (*task_function)(void *context, int index);

/* A job is open while workers may still join it; `inside` counts those that have not left. The caller closes it and
   waits for them, so that none can take a task of the next job by mistake. */
typedef struct pool {
  pthread_mutex_t lock;
  pthread_cond_t work, idle;
  pthread_t threads[MAX_THREADS];
  int width, started, stopping;
  unsigned job, waiting; /* waiting: 1 while the caller has no more tasks to take and others are inside */
  int open, inside, next, count;
  task_function task;
  void *context;
} pool;

static void take_tasks(pool *p) {
  int i;
  while ((i = __atomic_fetch_add(&p->next, 1, __ATOMIC_RELAXED)) < p->count) p->task(p->context, i);
}

/* In training, jobs follow each other, and threads end, within microseconds, and to be woken takes tens of them: look
   for a while, some 200 us on x86, before going to sleep. */
static void spin_while(const unsigned *word, unsigned value) {
  int i;
  for (i = 0; i < SPINS && __atomic_load_n(word, __ATOMIC_RELAXED) == value; i++) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
  }
}

static void *work(void *argument) {
  pool *p = (pool *)argument;
  unsigned seen = 0;
  pthread_mutex_lock(&p->lock);
  while (!p->stopping) {
    if (p->job == seen || !p->open) {
      seen = p->job;
      pthread_mutex_unlock(&p->lock);
      spin_while(&p->job, seen);
      pthread_mutex_lock(&p->lock);
      if (p->job == seen && !p->stopping) pthread_cond_wait(&p->work, &p->lock);
      continue;
    }
    seen = p->job;
    p->inside++;
    pthread_mutex_unlock(&p->lock);
    take_tasks(p);
    pthread_mutex_lock(&p->lock);
    if (--p->inside == 0) {
      __atomic_store_n(&p->waiting, 0, __ATOMIC_RELAXED);
      pthread_cond_signal(&p->idle);
    }
  }
  pthread_mutex_unlock(&p->lock);
  return NULL;
}

/* Signals are for the main thread, which runs Lua. */
static void start(pool *p) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  while (p->started < p->width - 1) {
    if (pthread_create(&p->threads[p->started], NULL, work, p) != 0) break; /* fewer threads, the same results */
    p->started++;
  }
  pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void stop(pool *p) {
  int i;
  pthread_mutex_lock(&p->lock);
  p->stopping = 1;
  __atomic_add_fetch(&p->job, 1, __ATOMIC_RELAXED);
  pthread_cond_broadcast(&p->work);
  pthread_mutex_unlock(&p->lock);
  for (i = 0; i < p->started; i++) pthread_join(p->threads[i], NULL);
  p->started = p->stopping = 0;
}

static void run(void *user, int count, task_function task, void *context) {
  pool *p = (pool *)user;
  int i;
  if (p->started < p->width - 1) start(p);
  if (count < 2 || p->started == 0) {
    for (i = 0; i < count; i++) task(context, i);
    return;
  }
  pthread_mutex_lock(&p->lock);
  p->task = task;
  p->context = context;
  p->count = count;
  p->next = 0;
  p->open = 1;
  __atomic_add_fetch(&p->job, 1, __ATOMIC_RELAXED);
  pthread_cond_broadcast(&p->work);
  pthread_mutex_unlock(&p->lock);
  take_tasks(p);
  pthread_mutex_lock(&p->lock);
  p->open = 0;
  __atomic_store_n(&p->waiting, p->inside > 0, __ATOMIC_RELAXED);
  pthread_mutex_unlock(&p->lock);
  spin_while(&p->waiting, 1);
  pthread_mutex_lock(&p->lock);
  while (p->inside > 0) pthread_cond_wait(&p->idle, &p->lock);
  pthread_mutex_unlock(&p->lock);
}

static int online_cores(void) {
  long n = sysconf(_SC_NPROCESSORS_ONLN);
  return n < 1 ? 1 : n > MAX_THREADS ? MAX_THREADS : (int)n;
}

static int pool_gc(lua_State *L) {
  pool *p = (pool *)luaL_checkudata(L, 1, POOL);
  if (p->width == 0) return 0;
  stop(p);
  pthread_cond_destroy(&p->work);
  pthread_cond_destroy(&p->idle);
  pthread_mutex_destroy(&p->lock);
  p->width = 0;
  return 0;
}

static pool *push_pool(lua_State *L) {
  lua_getfield(L, LUA_REGISTRYINDEX, POOL ".instance");
  return (pool *)lua_touserdata(L, -1);
}

lstm_executor host_executor(lua_State *L) {
  lstm_executor executor = {0, NULL, NULL};
  pool *p = push_pool(L);
  executor.width = p->width;
  executor.run = run;
  executor.user = p;
  return executor;
}

/* threads([n]) -> how many threads calculate, after setting it. */
static int pool_threads(lua_State *L) {
  pool *p;
  lua_settop(L, 1);
  p = push_pool(L);
  if (!lua_isnil(L, 1)) {
    int width = host_checkint(L, 1, 1, MAX_THREADS, "threads");
    if (host_sandboxes && width > online_cores()) width = online_cores(); /* each takes a stack */
    if (width - 1 < p->started) stop(p);
    p->width = width;
  }
  lua_pushinteger(L, p->width);
  return 1;
}

void host_open_pool(lua_State *L, int core) {
  static const luaL_Reg none[] = {{NULL, NULL}};
  pool *p;
  host_newtype(L, POOL, none, pool_gc);
  lua_pop(L, 1);
  p = (pool *)host_newuserdata(L, sizeof *p, 0);
  memset(p, 0, sizeof *p);
  luaL_setmetatable(L, POOL);
  if (pthread_mutex_init(&p->lock, NULL) != 0 || pthread_cond_init(&p->work, NULL) != 0 ||
      pthread_cond_init(&p->idle, NULL) != 0) {
    host_raise(L, "threads are not available");
  }
  p->width = online_cores();
  lua_setfield(L, LUA_REGISTRYINDEX, POOL ".instance");
  lua_pushcfunction(L, pool_threads);
  lua_setfield(L, core, "threads");
}
