/* What the C tests share: data, digests, executors and allocators. Include it after "lstm.h". */
#ifndef LSTM_TESTS_HELPERS_H
#define LSTM_TESTS_HELPERS_H

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define HELPERS_COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))
#define assert_status(call, wanted) expect_status(call, wanted, __FILE__, __LINE__)
#define assert_ok(call) assert_status(call, LSTM_OK)
/* Bits, not values: -0 and 0 differ, and a NaN equals itself. */
#define assert_bits(a, b, count) assert_memory_equal(a, b, (size_t)(count) * sizeof *(a))

static inline void expect_status(lstm_status got, lstm_status wanted, const char *file, int line) {
  if (got == wanted) return;
  _assert_string_equal(lstm_status_name(got), lstm_status_name(wanted), file, line);
  abort(); /* never: analysers do not know that a failed assertion does not return */
}

/* --- data --------------------------------------------------------------------------------------------------------- */

static inline void *make_array(size_t count, size_t size) {
  void *p = calloc(count ? count : 1, size);
  if (!p) abort();
  return p;
}

static inline float *make_floats(size_t count) { return (float *)make_array(count, sizeof(float)); }

/* Uniform in [-scale, scale). 2u - 1 is exact for the 24 bits of u, so that no compiler can round it differently. */
static inline void fill(float *x, size_t count, uint64_t seed, float scale) {
  lstm_rng rng = {0};
  size_t i;
  rng.seed = seed;
  for (i = 0; i < count; i++) x[i] = (2.0f * lstm_random(&rng) - 1.0f) * scale;
}

static inline void fill_ids(int32_t *ids, size_t count, uint64_t seed, int limit) {
  lstm_rng rng = {0};
  size_t i;
  rng.seed = seed;
  for (i = 0; i < count; i++) ids[i] = (int32_t)lstm_random_index(&rng, limit);
}

static inline int same_bits(const float *a, const float *b, size_t count) {
  const void *p = a, *q = b;
  return memcmp(p, q, count * sizeof(float)) == 0;
}

/* A model of these layers, or a failed test with the sentence. */
static inline lstm_model *model_of_layers(const lstm_layer *layers, int count, int input) {
  lstm_model_desc desc = {0};
  lstm_error error = {{0}, LSTM_OK};
  lstm_model *model = NULL;
  desc.input_size = input;
  desc.layers = layers;
  desc.layer_count = count;
  desc.seed = 4;
  desc.error = &error;
  if (lstm_model_create(&desc, &model) != LSTM_OK) fail_msg("%s", error.message);
  return model;
}

/* FNV-1a over bytes. */
#define FNV_BEGIN 14695981039346656037u
static inline uint64_t fnv1a(uint64_t hash, const void *data, size_t size) {
  const unsigned char *p = (const unsigned char *)data;
  size_t i;
  for (i = 0; i < size; i++) hash = (hash ^ p[i]) * 1099511628211u;
  return hash;
}

/* Over a number's lowest bytes: the same on every byte order. */
static inline uint64_t fnv1a_number(uint64_t hash, uint64_t number, int bytes) {
  for (; bytes > 0; bytes--, number >>= 8) hash = (hash ^ (number & 255)) * 1099511628211u;
  return hash;
}

static inline uint64_t fnv1a_floats(uint64_t hash, const float *x, size_t count) {
  size_t i;
  for (i = 0; i < count; i++) {
    uint32_t bits;
    memcpy(&bits, &x[i], sizeof bits);
    hash = fnv1a_number(hash, bits, 4);
  }
  return hash;
}

/* All weights of a model. */
static inline uint64_t fnv1a_model(uint64_t hash, const lstm_model *model) {
  int i;
  for (i = 0; i < lstm_model_tensor_count(model); i++) {
    lstm_tensor t;
    if (lstm_model_tensor(model, i, &t) != LSTM_OK) abort();
    hash = fnv1a_floats(hash, t.data, t.count);
  }
  return hash;
}

/* Where the data sets lie that are not part of the project. */
static inline FILE *open_data(const char *name) {
  const char *root = getenv("LSTM_DATA");
  char path[1024];
  snprintf(path, sizeof path, "%s/%s", root ? root : "../shared/data", name);
  return fopen(path, "rb");
}

/* --- executors ---------------------------------------------------------------------------------------------------- */

/* One thread, in an order that nobody expects: last to first, odd ones before even ones. */
static inline void run_odd_order(void *user, int count, void (*task)(void *, int), void *context) {
  int i;
  (void)user;
  for (i = count - 1; i >= 0; i--)
    if (i % 2) task(context, i);
  for (i = count - 1; i >= 0; i--)
    if (i % 2 == 0) task(context, i);
}

static inline lstm_executor odd_order_executor(int width) {
  lstm_executor e = {0};
  e.width = width;
  e.run = run_odd_order;
  return e;
}

typedef struct helper_thread {
  pthread_t thread;
  int index, width, count;
  void (*task)(void *, int);
  void *context;
} helper_thread;

static inline void *helper_thread_main(void *p) {
  helper_thread *t = (helper_thread *)p;
  int i;
  for (i = t->index; i < t->count; i += t->width) t->task(t->context, i);
  return NULL;
}

/* `user` points to the width. Threads are made and joined for each phase: slow, but nothing can hide in a pool. */
static inline void run_threads(void *user, int count, void (*task)(void *, int), void *context) {
  helper_thread threads[16];
  int i, width = *(const int *)user;
  for (i = 0; i < width; i++) {
    helper_thread t = {0};
    t.index = i, t.width = width, t.count = count, t.task = task, t.context = context;
    threads[i] = t;
    if (pthread_create(&threads[i].thread, NULL, helper_thread_main, &threads[i])) abort();
  }
  for (i = 0; i < width; i++) pthread_join(threads[i].thread, NULL);
}

static inline lstm_executor thread_executor(int *width) {
  lstm_executor e = {0};
  e.width = *width;
  e.run = run_threads;
  e.user = width;
  return e;
}

/* --- allocators --------------------------------------------------------------------------------------------------- */

/* Counts, and fails call number fail_at (1-based; 0: never), or that one and all later ones. */
typedef struct helper_heap {
  long calls, live, fail_at;
  size_t bytes, largest;
  int persistent;
} helper_heap;

/* Never better aligned than the 8 bytes that an allocator has to promise. */
static inline void *heap_alloc(void *user, size_t size) {
  helper_heap *heap = (helper_heap *)user;
  char *p;
  heap->calls++;
  if (heap->fail_at && (heap->persistent ? heap->calls >= heap->fail_at : heap->calls == heap->fail_at)) return NULL;
  p = (char *)malloc(size + 8);
  if (!p) return NULL;
  memset(p, 0xA5, size + 8);
  heap->live++;
  heap->bytes += size;
  if (size > heap->largest) heap->largest = size;
  return p + 8;
}

static inline void heap_free(void *user, void *pointer) {
  helper_heap *heap = (helper_heap *)user;
  if (!pointer) return;
  heap->live--;
  free((char *)pointer - 8);
}

static inline lstm_allocator heap_allocator(helper_heap *heap) {
  lstm_allocator a = {0};
  a.alloc = heap_alloc;
  a.free = heap_free;
  a.user = heap;
  return a;
}

/* --- instruction sets --------------------------------------------------------------------------------------------- */

/* The sets that promise equal bits; SSE2 and WASM multiply and add, and have a tolerance instead. */
static inline int isa_is_fused(lstm_isa isa) {
  return isa == LSTM_ISA_SCALAR || isa == LSTM_ISA_AVX2 || isa == LSTM_ISA_AVX512 || isa == LSTM_ISA_NEON;
}

#endif
