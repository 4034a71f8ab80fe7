/* measure.h: a clock, and the time of contenders that take turns. */
#ifndef MEASURE_H
#define MEASURE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lstm.h"

enum { MAX_SLICES = 128 };

/* Short slices, many of them: an interruption spoils only a few. */
static double slice_seconds = .001, budget_seconds = 4;
static int slice_count = 101, fewest_slices = 5;

/* What is timed: run(context, n) does the work n times. No run: it has no turn. begin and end, if there are any, are
   called around a slice and not timed; they are for threads. */
typedef struct contender {
  void (*run)(void *context, long n);
  void (*begin)(void *context), (*end)(void *context);
  void *context;
  double slice;             /* seconds of a slice; 0: slice_seconds */
  long n;                   /* calls in it */
  double times[MAX_SLICES]; /* seconds of a call, of each slice */
  double time, median;      /* the least, as what disturbs only adds; and the median */
} contender;

/* 1: slices of one thread are timed by its own clock, which stands still while others have the processor. */
static int own_clock;

static inline double seconds_of(clockid_t id) {
  struct timespec t;
  clock_gettime(id, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static inline void check(lstm_status status, const char *what) {
  if (status == LSTM_OK) return;
  fprintf(stderr, "bench: %s: %s\n", what, lstm_status_text(status));
  exit(1);
}

static inline float *make_floats(size_t count, float scale) {
  lstm_rng rng = {0};
  float *p = (float *)malloc((count + 1) * sizeof(float));
  size_t i;
  if (!p) check(LSTM_ERR_MEMORY, "floats");
  for (i = 0; i < count; i++) p[i] = (2.0f * lstm_random(&rng) - 1.0f) * scale;
  return p;
}

static inline double time_slice(contender *c) {
  clockid_t id = own_clock && !c->begin ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC;
  double t;
  if (c->begin) c->begin(c->context);
  t = seconds_of(id);
  c->run(c->context, c->n);
  t = seconds_of(id) - t;
  if (c->end) c->end(c->context);
  return t / (double)c->n;
}

/* So many calls that a slice is as long as it should be. They warm up, too; the least of three was not interrupted. */
static inline void calibrate(contender *c) {
  double t, length = c->slice > 0 ? c->slice : slice_seconds;
  for (c->n = 1;; c->n *= 4) {
    int i;
    t = length * 2;
    for (i = 0; i < 3 && t > length / 4; i++) {
      double again = time_slice(c) * (double)c->n;
      if (again < t || i == 0) t = again;
      if (t > length * 4) break;
    }
    if (t >= length / 4) break;
  }
  c->n = (long)((double)c->n * length / t);
  if (c->n < 1) c->n = 1;
}

static inline int compare_doubles(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* Rounds until the budget is spent. */
static inline void take_turns(contender *c, int count) {
  double end;
  int i, k;
  for (i = 0; i < count; i++)
    if (c[i].run) calibrate(&c[i]);
  end = seconds_of(CLOCK_MONOTONIC) + budget_seconds;
  for (k = 0; k < slice_count && (k < fewest_slices || seconds_of(CLOCK_MONOTONIC) < end); k++)
    for (i = 0; i < count; i++)
      if (c[i].run) c[i].times[k] = time_slice(&c[i]);
  for (i = 0; i < count; i++) {
    qsort(c[i].times, (size_t)k, sizeof *c[i].times, compare_doubles);
    c[i].time = c[i].times[0], c[i].median = c[i].times[k / 2];
  }
}

static inline void add_contender(contender *c, void (*run)(void *context, long n), void *context) {
  c->run = run, c->context = context;
}

static inline void machine_name(char *out, size_t size) {
  FILE *file = fopen("/proc/cpuinfo", "r");
  char line[256];
  snprintf(out, size, "unknown");
  while (file && fgets(line, sizeof line, file)) {
    char *colon = strchr(line, ':');
    if (strncmp(line, "model name", 10) != 0 || !colon) continue;
    line[strcspn(line, "\n\"\\")] = 0;
    snprintf(out, size, "%s", colon + 2);
    break;
  }
  if (file) fclose(file);
}

#endif
