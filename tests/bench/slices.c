/* Training in slices: how long calls of lstm_train_some with a budget take, by how much they are over it, and what
   slicing costs. `make bench-slices`.

   slices [--budget US] [--steps N] [--cpu] [--cold]
   --budget   microseconds of a call [500]
   --steps    training steps of each work, at most 1048576 [200]
   --cpu      by the thread's own clock, which stands still while others have the processor: for a machine with company
   --cold     8 MB of other memory are read before each call, as a frame of a game would */
#define _POSIX_C_SOURCE 199309L
#define LSTM_IMPLEMENTATION
#include "lstm.h"

#include "measure.h"

typedef struct job {
  const char *name;
  lstm_layer layers[3];
  int layer_count, inputs, outputs, T, B;
  lstm_loss loss;
  lstm_model *model;
  lstm_trainer *trainer;
  lstm_batch batch;
} job;

static clockid_t clock_id = CLOCK_MONOTONIC;
static double budget = 500e-6;
static int steps = 200, cold;

static double now(void *user) {
  (void)user;
  return seconds_of(clock_id);
}

static int32_t *make_ids(size_t count, int below) {
  lstm_rng rng = {7, 0};
  int32_t *ids = (int32_t *)malloc(count * sizeof(int32_t));
  size_t i;
  if (!ids) check(LSTM_ERR_MEMORY, "ids");
  for (i = 0; i < count; i++) ids[i] = (int32_t)lstm_random_index(&rng, below);
  return ids;
}

static void open_job(job *j) {
  lstm_model_desc desc = {0};
  lstm_trainer_desc how = {0};
  size_t rows = (size_t)j->T * (size_t)j->B;
  int tokens = j->layers[0].type == LSTM_LAYER_EMBEDDING;
  desc.input_size = j->inputs;
  desc.layers = j->layers;
  desc.layer_count = j->layer_count;
  how.loss = j->loss;
  how.seq_len = j->T;
  how.batch_size = j->B;
  check(lstm_model_create(&desc, &j->model), "model");
  check(lstm_trainer_create(j->model, &how, &j->trainer), "trainer");
  if (tokens)
    j->batch.ids = make_ids(rows, j->inputs);
  else
    j->batch.x = make_floats(rows * (size_t)j->inputs, 1);
  j->batch.target_ids = make_ids(rows, j->outputs);
}

/* Other memory, so that a call finds nothing of the last one's in the near caches. */
static void chill(void) {
  static float other[1 << 21];
  static volatile float sum;
  size_t i;
  for (i = 0; cold && i < sizeof other / sizeof *other; i += 16) sum = sum + (other[i] += 1);
}

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double part(const double *sorted, int count, double share) {
  return count ? sorted[(int)(share * (count - 1))] : 0;
}

/* Calls until a step is done; times go to `calls`, those that the budget ended also to `over`. Returns the sum. */
static double sliced_step(job *j, double *calls, int *count, double *over, int *stopped) {
  lstm_slice slice = {0, now, NULL, 0};
  double total = 0;
  int done = 0;
  while (!done) {
    double begin, time;
    chill();
    begin = now(NULL);
    slice.deadline = begin + budget;
    check(lstm_train_some(j->trainer, &j->batch, &slice, &done, NULL), "train_some");
    time = now(NULL) - begin;
    calls[(*count)++] = time;
    if (!done) over[(*stopped)++] = time > budget ? time - budget : 0;
    total += time;
  }
  return total;
}

static void measure(job *j) {
  enum { ROOM = 1 << 20 };
  static double calls[ROOM], over[ROOM], sliced[ROOM], whole[ROOM];
  double most;
  int i, count = 0, stopped = 0;
  open_job(j);
  for (i = -2; i < steps && count < ROOM / 2; i++) {
    double begin;
    if (i == 0) count = stopped = 0; /* warm */
    sliced[i < 0 ? 0 : i] = sliced_step(j, calls, &count, over, &stopped);
    chill();
    begin = now(NULL);
    check(lstm_train(j->trainer, &j->batch, NULL), "train");
    whole[i < 0 ? 0 : i] = now(NULL) - begin;
  }
  most = (double)count / i;
  qsort(calls, (size_t)count, sizeof *calls, ascending);
  qsort(over, (size_t)stopped, sizeof *over, ascending);
  qsort(sliced, (size_t)i, sizeof *sliced, ascending);
  qsort(whole, (size_t)i, sizeof *whole, ascending);
  printf("%-28s %6.0f %7d %7.1f  %6.0f %6.0f %6.0f  %6.1f %6.1f %7.1f  %7.0f %7.0f %6.3f\n", j->name, budget * 1e6,
         count, most, part(calls, count, .5) * 1e6, part(calls, count, .99) * 1e6, part(calls, count, 1) * 1e6,
         part(over, stopped, .5) * 1e6, part(over, stopped, .99) * 1e6, part(over, stopped, 1) * 1e6,
         part(sliced, i, .5) * 1e6, part(whole, i, .5) * 1e6, part(sliced, i, .5) / part(whole, i, .5));
  fflush(stdout);
  lstm_trainer_destroy(j->trainer);
  lstm_model_destroy(j->model);
}

static void read_arguments(int argc, char **argv) {
  for (int i = 1; i < argc; i++) {
    if (!strcmp(argv[i], "--cpu"))
      clock_id = CLOCK_THREAD_CPUTIME_ID;
    else if (!strcmp(argv[i], "--cold"))
      cold = 1;
    else if (!strcmp(argv[i], "--budget") && i + 1 < argc)
      budget = atof(argv[++i]) * 1e-6;
    else if (!strcmp(argv[i], "--steps") && i + 1 < argc)
      steps = atoi(argv[++i]);
    else
      check(LSTM_ERR_ARGUMENT, argv[i]);
  }
  if (steps < 1 || steps > 1 << 20) steps = 200;
}

int main(int argc, char **argv) {
  job jobs[] = {{"gesture I=2 H=64 T=64 B=16", {{0}}, 2, 2, 8, 64, 16, LSTM_CROSS_ENTROPY, NULL, NULL, {0}},
                {"gesture I=2 H=64 T=64 B=32", {{0}}, 2, 2, 8, 64, 32, LSTM_CROSS_ENTROPY, NULL, NULL, {0}},
                {"text V=96 E=64 H=64 B=32", {{0}}, 3, 96, 96, 64, 32, LSTM_CROSS_ENTROPY, NULL, NULL, {0}},
                {"text V=96 E=64 H=256 B=32", {{0}}, 3, 96, 96, 64, 32, LSTM_CROSS_ENTROPY, NULL, NULL, {0}}};
  int i, count = (int)(sizeof jobs / sizeof *jobs);
  read_arguments(argc, argv);
  printf("microseconds%s%s\n%-28s %6s %7s %7s  %20s  %21s  %23s\n", clock_id == CLOCK_MONOTONIC ? "" : " of the thread",
         cold ? ", cold caches" : "", "", "", "", "calls/", "a call", "over the budget", "a step");
  printf("%-28s %6s %7s %7s  %6s %6s %6s  %6s %6s %7s  %7s %7s %6s\n", "", "budget", "calls", "step", "p50", "p99",
         "max", "p50", "p99", "max", "sliced", "whole", "ratio");
  for (i = 0; i < count; i++) {
    int hidden = i == 3 ? 256 : 64, first = jobs[i].layer_count == 3;
    if (first) jobs[i].layers[0] = lstm_embedding(64);
    jobs[i].layers[first] = lstm_lstm(hidden);
    jobs[i].layers[first + 1] = lstm_dense(jobs[i].outputs);
    measure(&jobs[i]);
  }
  return 0;
}
