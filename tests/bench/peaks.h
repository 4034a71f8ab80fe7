/* peaks.h: what the machine can do at most: multiply-adds and reads of one thread. And a team of threads. */
#ifndef PEAKS_H
#define PEAKS_H

#include <pthread.h>
#include <sched.h>

#include "measure.h"

static volatile float sink;

/* --- fused multiply-adds ------------------------------------------------------------------------------------------ */

/* Twelve independent chains keep two units with a latency of four busy. Each begins elsewhere: a compiler computes
   equal chains once. `step` is the multiply-add of a set, or its multiplication and addition. */
#define CHAINS(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11)
#define FMA_LOOP(type, set, add, first, step) \
  { \
    type m = set(.999f), s = set(.001f), a0 = set(0.f), a1 = set(1.f), a2 = set(2.f), a3 = set(3.f), a4 = set(4.f); \
    type a5 = set(5.f), a6 = set(6.f), a7 = set(7.f), a8 = set(8.f), a9 = set(9.f), a10 = set(10.f), a11 = set(11.f); \
    (void)context; \
    for (; n > 0; n--) { CHAINS(step) } \
    a0 = add(add(add(a0, a1), add(a2, a3)), add(add(a4, a5), add(a6, a7))); \
    a0 = add(a0, add(add(a8, a9), add(a10, a11))); \
    sink = first(a0); \
  }

/* --- reads -------------------------------------------------------------------------------------------------------- */

typedef struct region {
  float *memory, *p; /* p: aligned like a model's weights */
  size_t count;      /* floats, a multiple of 128 */
} region;

static region make_region(double bytes) {
  region r;
  r.count = ((size_t)bytes / 4 + 127) / 128 * 128;
  r.memory = r.p = make_floats(r.count + LSTM_ALIGNMENT / 4, 1);
  while ((uintptr_t)r.p % LSTM_ALIGNMENT != 0) r.p++;
  return r;
}

/* Eight sums: one would wait for the addition before it. */
#define READ_LOOP(type, width, load, set, add, first) \
  { \
    const region *r = (const region *)context; \
    type a = set(0.f), b = a, c = a, d = a, e = a, f = a, g = a, h = a; \
    for (; n > 0; n--) { \
      const float *p = r->p, *end = p + r->count; \
      for (; p < end; p += 8 * width) { \
        a = add(a, load(p)), b = add(b, load(p + width)), c = add(c, load(p + 2 * width)); \
        d = add(d, load(p + 3 * width)), e = add(e, load(p + 4 * width)), f = add(f, load(p + 5 * width)); \
        g = add(g, load(p + 6 * width)), h = add(h, load(p + 7 * width)); \
      } \
    } \
    sink = first(add(add(add(a, b), add(c, d)), add(add(e, f), add(g, h)))); \
  }

#ifdef LSTM__X86
#define TARGET(text) __attribute__((target(text)))
#define FIRST512(v) _mm512_cvtss_f32(v)
#define FIRST256(v) _mm256_cvtss_f32(v)
#define STEP512(k) a##k = _mm512_fmadd_ps(a##k, m, s);
#define STEP256(k) a##k = _mm256_fmadd_ps(a##k, m, s);
#define STEP128(k) a##k = _mm_add_ps(_mm_mul_ps(a##k, m), s);
TARGET("avx512f") static void fma_avx512(void *context, long n)
FMA_LOOP(__m512, _mm512_set1_ps, _mm512_add_ps, FIRST512, STEP512)
TARGET("avx2,fma") static void fma_avx2(void *context, long n)
FMA_LOOP(__m256, _mm256_set1_ps, _mm256_add_ps, FIRST256, STEP256)
TARGET("sse2") static void fma_sse2(void *context, long n)
FMA_LOOP(__m128, _mm_set1_ps, _mm_add_ps, _mm_cvtss_f32, STEP128)
TARGET("avx512f") static void read_avx512(void *context, long n)
READ_LOOP(__m512, 16, _mm512_loadu_ps, _mm512_set1_ps, _mm512_add_ps, FIRST512)
TARGET("avx2") static void read_avx2(void *context, long n)
READ_LOOP(__m256, 8, _mm256_loadu_ps, _mm256_set1_ps, _mm256_add_ps, FIRST256)
TARGET("sse2") static void read_sse2(void *context, long n)
READ_LOOP(__m128, 4, _mm_loadu_ps, _mm_set1_ps, _mm_add_ps, _mm_cvtss_f32)
#elif defined(LSTM__ARM64)
#define FIRST128(v) vgetq_lane_f32(v, 0)
#define STEP128(k) a##k = vfmaq_f32(s, a##k, m);
static void fma_neon(void *context, long n) FMA_LOOP(float32x4_t, vdupq_n_f32, vaddq_f32, FIRST128, STEP128)
static void read_neon(void *context, long n) READ_LOOP(float32x4_t, 4, vld1q_f32, vdupq_n_f32, vaddq_f32, FIRST128)
#endif

/* What measures a set, and its floats in a vector; no `fma`: nothing does. */
typedef struct peak_loops {
  void (*fma)(void *context, long n);
  void (*read)(void *context, long n);
  int width;
} peak_loops;

static peak_loops loops_of(lstm_isa isa) {
  peak_loops loops = {NULL, NULL, 0};
#ifdef LSTM__X86
  if (isa == LSTM_ISA_AVX512) loops.fma = fma_avx512, loops.read = read_avx512, loops.width = 16;
  if (isa == LSTM_ISA_AVX2) loops.fma = fma_avx2, loops.read = read_avx2, loops.width = 8;
  if (isa == LSTM_ISA_SSE2) loops.fma = fma_sse2, loops.read = read_sse2, loops.width = 4;
#elif defined(LSTM__ARM64)
  if (isa == LSTM_ISA_NEON) loops.fma = fma_neon, loops.read = read_neon, loops.width = 4;
#endif
  return loops;
}

static double best_seconds(void (*run)(void *context, long n), void *context) {
  contender c = {0};
  c.run = run, c.context = context;
  take_turns(&c, 1);
  return c.time;
}

static double fmas_in_loop(lstm_isa isa) { return 12.0 * loops_of(isa).width; }

/* --- threads ------------------------------------------------------------------------------------------------------ */

/* An executor whose threads wait for tasks awake: it is started for a slice and stopped after it. */
typedef struct team {
  pthread_t threads[64];
  int width, stopping;
  int left, count, done; /* tasks that nobody has taken yet; all; those that have ended */
  void (*task)(void *context, int index);
  void *context;
} team;

/* Does one task; 0: none is left. The rest of the team is read after a task was taken: until that one has ended, no
   other job begins. */
static int take_task(team *t) {
  int left = __atomic_load_n(&t->left, __ATOMIC_ACQUIRE);
  while (left > 0)
    if (__atomic_compare_exchange_n(&t->left, &left, left - 1, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
      t->task(t->context, t->count - left);
      __atomic_add_fetch(&t->done, 1, __ATOMIC_RELEASE);
      return 1;
    }
  return 0;
}

/* Gives the processor to others only after a while. */
static void wait_a_little(int *waited) {
  if (++*waited % 4096 == 0) sched_yield();
#ifdef LSTM__X86
  _mm_pause();
#endif
}

static void *team_member(void *argument) {
  team *t = (team *)argument;
  int waited = 0;
  while (!__atomic_load_n(&t->stopping, __ATOMIC_ACQUIRE))
    if (!take_task(t)) wait_a_little(&waited);
  return NULL;
}

static void team_run(void *user, int count, void (*task)(void *context, int index), void *context) {
  team *t = (team *)user;
  int waited = 0;
  t->task = task, t->context = context, t->count = count;
  __atomic_store_n(&t->done, 0, __ATOMIC_RELAXED);
  __atomic_store_n(&t->left, count, __ATOMIC_RELEASE);
  while (take_task(t)) continue;
  while (__atomic_load_n(&t->done, __ATOMIC_ACQUIRE) < count) wait_a_little(&waited);
}

static void team_start(team *t) {
  int i;
  t->stopping = t->left = 0;
  for (i = 0; i < t->width - 1; i++)
    if (pthread_create(&t->threads[i], NULL, team_member, t) != 0) check(LSTM_ERR_MEMORY, "threads");
}

static void team_stop(team *t) {
  int i;
  __atomic_store_n(&t->stopping, 1, __ATOMIC_RELEASE);
  for (i = 0; i < t->width - 1; i++) pthread_join(t->threads[i], NULL);
}

/* A loop of multiply-adds on every thread of a team: `n` is for each. */
typedef struct team_loop {
  team team;
  void (*fma)(void *context, long n);
  long n;
} team_loop;

static void team_loop_task(void *context, int index) {
  team_loop *l = (team_loop *)context;
  (void)index;
  l->fma(NULL, l->n);
}

static void run_team_loop(void *context, long n) {
  team_loop *l = (team_loop *)context;
  l->n = n;
  team_run(&l->team, l->team.width, team_loop_task, l);
}

static void begin_team_loop(void *context) { team_start(&((team_loop *)context)->team); }
static void end_team_loop(void *context) { team_stop(&((team_loop *)context)->team); }

#endif
