/* Threads of your own: cc -O2 -I. examples/jobs.c -o jobs -lpthread && ./jobs

   lstm.h starts no thread. Training and batched inference ask an executor, a function of yours, to run some tasks; here
   it hands them to the pool of pthreads that a program may have anyway. The tasks never wait for each other, so any
   pool will do, and the bits are the same with 1, 2, 3 and 7 threads. */
#define _POSIX_C_SOURCE 200112L /* clock_gettime, as pthreads */
#define LSTM_IMPLEMENTATION
#include "lstm.h"
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { INPUTS = 16, UNITS = 128, OUTPUTS = 8, LANES = 64, STEPS = 32, UPDATES = 6, MOST = 7 };

/* --- a pool: whoever is free takes the next task ------------------------------------------------------------------ */

typedef struct pool {
  pthread_mutex_t lock;
  pthread_cond_t work, idle;
  pthread_t threads[MOST];
  int width, next, count, busy, stop; /* tasks next .. count - 1 are not taken yet; busy are being done */
  void (*task)(void *context, int index);
  void *context;
} pool;

/* Does tasks until there are none, with the lock held in between. */
static void take_tasks(pool *p) {
  while (p->next < p->count) {
    int index = p->next++;
    p->busy++;
    pthread_mutex_unlock(&p->lock);
    p->task(p->context, index);
    pthread_mutex_lock(&p->lock);
    if (--p->busy == 0) pthread_cond_signal(&p->idle);
  }
}

static void *worker(void *argument) {
  pool *p = (pool *)argument;
  pthread_mutex_lock(&p->lock);
  while (!p->stop) {
    take_tasks(p);
    if (!p->stop) pthread_cond_wait(&p->work, &p->lock);
  }
  pthread_mutex_unlock(&p->lock);
  return NULL;
}

/* The executor: returns when all tasks are done. The caller works, too. */
static void run(void *user, int count, void (*task)(void *context, int index), void *context) {
  pool *p = (pool *)user;
  pthread_mutex_lock(&p->lock);
  p->task = task, p->context = context, p->next = 0, p->count = count;
  if (count > 1) pthread_cond_broadcast(&p->work);
  take_tasks(p);
  while (p->busy) pthread_cond_wait(&p->idle, &p->lock);
  p->count = 0;
  pthread_mutex_unlock(&p->lock);
}

static int start(pool *p, int width) {
  memset(p, 0, sizeof *p);
  pthread_mutex_init(&p->lock, NULL), pthread_cond_init(&p->work, NULL), pthread_cond_init(&p->idle, NULL);
  for (p->width = 1; p->width < width; p->width++)
    if (pthread_create(&p->threads[p->width], NULL, worker, p)) return 0;
  return 1;
}

static void stop(pool *p) {
  pthread_mutex_lock(&p->lock);
  p->stop = 1;
  pthread_cond_broadcast(&p->work);
  pthread_mutex_unlock(&p->lock);
  for (int i = 1; i < p->width; i++) pthread_join(p->threads[i], NULL);
  pthread_mutex_destroy(&p->lock), pthread_cond_destroy(&p->work), pthread_cond_destroy(&p->idle);
}

/* --- the work ----------------------------------------------------------------------------------------------------- */

static float x[STEPS][LANES][INPUTS], y[STEPS][LANES][OUTPUTS];
static int32_t classes[STEPS][LANES];

/* FNV-1a, over the bits of n floats. */
static uint64_t mix(uint64_t hash, const float *values, size_t n) {
  for (size_t i = 0; i < n; i++) {
    uint32_t bits;
    memcpy(&bits, values + i, sizeof bits);
    for (int k = 0; k < 4; k++, bits >>= 8) hash = (hash ^ (bits & 255)) * 1099511628211u;
  }
  return hash;
}

static lstm_model *make_model(void) {
  lstm_layer layers[3];
  lstm_model_desc desc = {0};
  lstm_model *model;
  layers[0] = layers[1] = lstm_lstm(UNITS), layers[2] = lstm_dense(OUTPUTS);
  layers[1].dropout = 0.2f;
  desc.input_size = INPUTS, desc.layers = layers, desc.layer_count = 3, desc.seed = 1;
  return lstm_model_create(&desc, &model) == LSTM_OK ? model : NULL;
}

/* Trains a new model, then runs a batch through it. Returns a digest of its weights and outputs; 0: it failed. */
static uint64_t work(lstm_executor executor) {
  lstm_trainer_desc how = {0};
  lstm_state_desc many = {0};
  lstm_batch batch = {0};
  lstm_model *model = make_model();
  lstm_trainer *trainer = NULL;
  lstm_state *state = NULL;
  uint64_t hash = 14695981039346656037u;
  lstm_status status = model ? LSTM_OK : LSTM_ERR_MEMORY;
  how.loss = LSTM_CROSS_ENTROPY, how.batch_size = LANES, how.seq_len = STEPS, how.executor = executor;
  many.lanes = LANES, many.tasks = executor.width; /* scratch for so many tasks at once */
  batch.seq_len = STEPS, batch.x = x[0][0], batch.target_ids = classes[0];
  if (!status) status = lstm_trainer_create(model, &how, &trainer);
  for (int i = 0; !status && i < UPDATES; i++) status = lstm_train(trainer, &batch, NULL);
  if (!status) status = lstm_state_create(model, &many, &state);
  if (!status) status = lstm_forward_batch(model, state, &batch, y[0][0], &executor);
  for (int i = 0; !status && i < lstm_model_tensor_count(model); i++) {
    lstm_tensor tensor;
    status = lstm_model_tensor(model, i, &tensor);
    hash = mix(hash, tensor.data, tensor.count);
  }
  hash = mix(hash, y[0][0], sizeof y / sizeof(float));
  lstm_state_destroy(state), lstm_trainer_destroy(trainer), lstm_model_destroy(model);
  return status ? 0 : hash;
}

static double seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

int main(void) {
  static const int widths[] = {1, 2, 3, 7};
  lstm_rng rng = {3, 0};
  uint64_t first = 0;
  double alone = 0;
  int same = 1;
  for (int t = 0; t < STEPS; t++)
    for (int lane = 0; lane < LANES; lane++) {
      for (int k = 0; k < INPUTS; k++) x[t][lane][k] = lstm_random(&rng) - 0.5f;
      classes[t][lane] = lstm_random_index(&rng, OUTPUTS);
    }
  for (int i = 0; i < 4; i++) {
    pool p;
    lstm_executor executor = {0};
    double least = 1e9;
    uint64_t hash = 0;
    if (!start(&p, widths[i])) return fprintf(stderr, "no more threads\n"), 1;
    executor.width = widths[i], executor.run = run, executor.user = &p;
    for (int turn = 0; turn < 3; turn++) {
      double t = seconds();
      hash = work(executor);
      t = seconds() - t;
      if (t < least) least = t;
    }
    stop(&p);
    if (!hash) return fprintf(stderr, "out of memory\n"), 1;
    if (i == 0) first = hash, alone = least;
    same = same && hash == first;
    printf("%d thread%s  digest %08x%08x  %.2f times as fast%s\n", widths[i], widths[i] > 1 ? "s:" : ": ",
           (unsigned)(hash >> 32), (unsigned)hash, alone / least, hash == first ? "" : "   (wrong)");
  }
  puts(same ? "the same bits with any number of threads" : "the bits differ");
  return !same;
}
