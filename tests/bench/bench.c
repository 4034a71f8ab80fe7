/* Measures; prints a table and writes build/bench.json. Nothing here is asserted: timings belong to the machine.

   bench [--isa NAME] [--only TEXT] [--quick] [--json PATH]   --only: rows whose name contains TEXT

   A row's time is the median of slices. GFLOP/s counts the operations that are executed (a token's input part is a
   table, and costs per window, not per token). The shares are of peaks that are measured in the same run: the FMA
   units, reading the weights' number of bytes again and again, and (lanes) FMA time plus the time of the gate
   arithmetic alone. The last table has the cost of each option of a cell. */
#define _POSIX_C_SOURCE 199309L
#define LSTM_IMPLEMENTATION
#include "lstm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void check(lstm_status status, const char *what) {
  if (status == LSTM_OK) return;
  fprintf(stderr, "bench: %s: %s\n", what, lstm_status_text(status));
  exit(1);
}

static float *make_floats(size_t count, float scale) {
  lstm_rng rng = {0};
  float *p = (float *)malloc(count * sizeof(float));
  size_t i;
  if (!p) exit(1);
  for (i = 0; i < count; i++) p[i] = (2.0f * lstm_random(&rng) - 1.0f) * scale;
  return p;
}

/* --- options and rows --------------------------------------------------------------------------------------------- */

static lstm_isa isa;
static const char *only, *json_path = "build/bench.json";
static double slice_seconds = .1;
static int slices = 7;

typedef struct row {
  char name[80];
  const char *unit;
  double value, gflops, fma_share, other_share; /* shares: 0 where they mean nothing */
  const char *other;
} row;

static row rows[64];
static int row_count;
static double fma_peak; /* GFLOP/s */

static int wanted(const char *name) { return !only || strstr(name, only); }

static void report(const char *name, const char *unit, double value, double gflops, double other_share,
                   const char *other) {
  row *r = &rows[row_count++];
  snprintf(r->name, sizeof r->name, "%s", name);
  r->unit = unit, r->value = value, r->gflops = gflops, r->other_share = other_share, r->other = other;
  r->fma_share = fma_peak > 0 ? gflops / fma_peak : 0;
  printf("%-34s %12.1f %-9s %8.1f GFLOP/s %4.0f %% of FMA", name, value, unit, gflops, 100 * r->fma_share);
  if (other_share > 0) printf("  %4.0f %% of %s", 100 * other_share, other);
  printf("\n");
  fflush(stdout);
}

/* --- timing ------------------------------------------------------------------------------------------------------- */

typedef void (*work)(void *context, long n);

static int compare_doubles(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* Seconds per unit of work: the median of slices, each as long as slice_seconds asks for. */
static double seconds_per(work run, void *context) {
  double times[32], t;
  long n = 1;
  int i;
  for (;;) {
    t = now();
    run(context, n);
    t = now() - t;
    if (t >= slice_seconds / 4) break;
    n = t > 1e-6 && slice_seconds / t < 10 ? n * 3 : n * 10;
  }
  n = (long)((double)n * slice_seconds / t);
  if (n < 1) n = 1;
  for (i = 0; i < slices; i++) {
    t = now();
    run(context, n);
    times[i] = (now() - t) / (double)n;
  }
  qsort(times, (size_t)slices, sizeof *times, compare_doubles);
  return times[slices / 2];
}

/* --- peaks -------------------------------------------------------------------------------------------------------- */

static volatile float sink;

/* Twelve independent chains keep two FMA units with a latency of four busy. Each begins elsewhere: a compiler computes
   equal chains once. */
#define CHAINS(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11)
#define FMA_LOOP(type, set, fma, add, first) \
  { \
    type m = set(.999f), s = set(.001f), a0 = set(0.f), a1 = set(1.f), a2 = set(2.f), a3 = set(3.f), a4 = set(4.f); \
    type a5 = set(5.f), a6 = set(6.f), a7 = set(7.f), a8 = set(8.f), a9 = set(9.f), a10 = set(10.f), a11 = set(11.f); \
    long i; \
    (void)context; \
    for (i = 0; i < n; i++) { \
      CHAINS(FMA_STEP_##first) \
    } \
    a0 = add(add(add(a0, a1), add(a2, a3)), add(add(a4, a5), add(a6, a7))); \
    a0 = add(a0, add(add(a8, a9), add(a10, a11))); \
    sink = first(a0); \
  }

#ifdef LSTM__X86
#define TARGET(text) __attribute__((target(text)))
#define FIRST512(v) _mm512_cvtss_f32(v)
#define FIRST256(v) _mm256_cvtss_f32(v)
#define FMA_STEP_FIRST512(k) a##k = _mm512_fmadd_ps(a##k, m, s);
#define FMA_STEP_FIRST256(k) a##k = _mm256_fmadd_ps(a##k, m, s);
TARGET("avx512f") static void fma_avx512(void *context, long n)
FMA_LOOP(__m512, _mm512_set1_ps, _mm512_fmadd_ps, _mm512_add_ps, FIRST512)
TARGET("avx2,fma") static void fma_avx2(void *context, long n)
FMA_LOOP(__m256, _mm256_set1_ps, _mm256_fmadd_ps, _mm256_add_ps, FIRST256)
#elif defined(LSTM__ARM64)
#define FIRST128(v) vgetq_lane_f32(v, 0)
#define FMA_STEP_FIRST128(k) a##k = vfmaq_f32(s, a##k, m);
static void fma_neon(void *context, long n) FMA_LOOP(float32x4_t, vdupq_n_f32, vfmaq_f32, vaddq_f32, FIRST128)
#endif

static double measure_fma_peak(void) {
#ifdef LSTM__X86
  if (isa == LSTM_ISA_AVX512) return 12 * 16 * 2 / seconds_per(fma_avx512, NULL) * 1e-9;
  if (isa == LSTM_ISA_AVX2) return 12 * 8 * 2 / seconds_per(fma_avx2, NULL) * 1e-9;
#elif defined(LSTM__ARM64)
  if (isa == LSTM_ISA_NEON) return 12 * 4 * 2 / seconds_per(fma_neon, NULL) * 1e-9;
#endif
  return 0;
}

typedef struct region {
  const float *p;
  size_t count; /* floats, a multiple of 64 */
} region;

#ifdef LSTM__X86
TARGET("avx512f") static void read_avx512(void *context, long n) {
  const region *r = (const region *)context;
  __m512 a = _mm512_setzero_ps(), b = a, c = a, d = a;
  size_t i;
  for (; n > 0; n--)
    for (i = 0; i < r->count; i += 64) {
      a = _mm512_add_ps(a, _mm512_loadu_ps(r->p + i)), b = _mm512_add_ps(b, _mm512_loadu_ps(r->p + i + 16));
      c = _mm512_add_ps(c, _mm512_loadu_ps(r->p + i + 32)), d = _mm512_add_ps(d, _mm512_loadu_ps(r->p + i + 48));
    }
  sink = _mm512_cvtss_f32(_mm512_add_ps(_mm512_add_ps(a, b), _mm512_add_ps(c, d)));
}

TARGET("avx2") static void read_avx2(void *context, long n) {
  const region *r = (const region *)context;
  __m256 a = _mm256_setzero_ps(), b = a, c = a, d = a;
  size_t i;
  for (; n > 0; n--)
    for (i = 0; i < r->count; i += 32) {
      a = _mm256_add_ps(a, _mm256_loadu_ps(r->p + i)), b = _mm256_add_ps(b, _mm256_loadu_ps(r->p + i + 8));
      c = _mm256_add_ps(c, _mm256_loadu_ps(r->p + i + 16)), d = _mm256_add_ps(d, _mm256_loadu_ps(r->p + i + 24));
    }
  sink = _mm256_cvtss_f32(_mm256_add_ps(_mm256_add_ps(a, b), _mm256_add_ps(c, d)));
}
#endif

/* Bytes per second of reading a block of this size again and again; 0 where there is no kernel for it. */
static double measure_read(size_t floats) {
  double seconds = 0;
#ifdef LSTM__X86
  region r;
  float *p = make_floats((floats + 63) / 64 * 64, 1);
  r.p = p, r.count = (floats + 63) / 64 * 64;
  if (isa == LSTM_ISA_AVX512) seconds = seconds_per(read_avx512, &r);
  if (isa == LSTM_ISA_AVX2) seconds = seconds_per(read_avx2, &r);
  free(p);
#endif
  return seconds > 0 ? (double)floats * 4 / seconds : 0;
}

/* --- steps -------------------------------------------------------------------------------------------------------- */

typedef struct stream {
  lstm_model *model;
  lstm_state *state;
  float *x, *y;
} stream;

static lstm_model *make_model(int input, int embed, int hidden, int depth, int output, lstm_read read) {
  lstm_layer layers[5];
  lstm_model_desc desc = {0};
  lstm_model *model;
  int n = 0;
  if (embed) layers[n++] = lstm_embedding(embed);
  for (; depth > 0; depth--) layers[n++] = lstm_lstm(hidden);
  layers[n - 1].read = read;
  if (output) layers[n++] = lstm_dense(output);
  desc.input_size = input, desc.layers = layers, desc.layer_count = n, desc.isa = isa;
  check(lstm_model_create(&desc, &model), "model");
  return model;
}

static void run_steps(void *context, long n) {
  stream *s = (stream *)context;
  for (; n > 0; n--) check(lstm_step(s->model, s->state, s->x, s->y), "step");
}

static double time_step(int input, int hidden, int output, int lanes) {
  stream s;
  lstm_state_desc desc = {0};
  double seconds;
  s.model = make_model(input, 0, hidden, 1, output, LSTM_READ_ALL);
  desc.lanes = lanes;
  check(lstm_state_create(s.model, &desc, &s.state), "state");
  s.x = make_floats((size_t)lanes * (size_t)input, 1);
  s.y = make_floats((size_t)lanes * (size_t)lstm_model_output_size(s.model), 1);
  seconds = seconds_per(run_steps, &s);
  free(s.x), free(s.y);
  lstm_state_destroy(s.state);
  lstm_model_destroy(s.model);
  return seconds;
}

static double step_flops(int input, int hidden, int output) {
  return 8.0 * hidden * (input + hidden) + 2.0 * hidden * output;
}

static void bench_step(int input, int hidden, int output) {
  char name[80];
  double seconds, bandwidth, bytes = 16.0 * hidden * (input + hidden + 1) + 4.0 * output * (hidden + 1);
  snprintf(name, sizeof name, "step I=%d H=%d%s", input, hidden, output ? " dense 1" : "");
  if (!wanted(name)) return;
  seconds = time_step(input, hidden, output, 1);
  bandwidth = measure_read((size_t)(bytes / 4));
  report(name, "ns", seconds * 1e9, step_flops(input, hidden, output) / seconds * 1e-9,
         bandwidth > 0 ? bytes / seconds / bandwidth : 0, "reading the weights");
}

/* The gate arithmetic of `rows` rows of 16 units alone: a cell without inputs and recurrence. */
typedef struct gates {
  const lstm__kernels *kernels;
  lstm__cell_job job;
} gates;

static void run_gates(void *context, long n) {
  gates *g = (gates *)context;
  for (; n > 0; n--) g->kernels->cell(&g->job);
}

static double time_gates(int lanes, int blocks) {
  gates g;
  size_t width = (size_t)blocks * 16;
  float *w = make_floats((size_t)blocks * 64, 1), *c = make_floats((size_t)lanes * width, 1);
  float *h = make_floats((size_t)lanes * width, 1);
  double seconds;
  memset(&g, 0, sizeof g);
  g.kernels = lstm__kernels_of(isa);
  g.job.rows = lanes, g.job.blocks = blocks, g.job.w = w;
  g.job.h.p = c, g.job.h.stride = width, g.job.c.p = c, g.job.c.stride = width;
  g.job.h_out.p = h, g.job.h_out.stride = width, g.job.c_out.p = c, g.job.c_out.stride = width;
  seconds = seconds_per(run_gates, &g);
  free(w), free(c), free(h);
  return seconds;
}

static void bench_lanes(int lanes, int hidden) {
  char name[80];
  double seconds, flops = lanes * step_flops(1, hidden, 1), gate_seconds, floor;
  snprintf(name, sizeof name, "%d lanes I=1 H=%d dense 1, tick", lanes, hidden);
  if (!wanted(name)) return;
  seconds = time_step(1, hidden, 1, lanes);
  gate_seconds = time_gates(lanes, (hidden + 15) / 16);
  floor = fma_peak > 0 ? flops / fma_peak * 1e-9 + gate_seconds : 0;
  report(name, "us", seconds * 1e6, flops / seconds * 1e-9, floor / seconds, "FMA + gates");
}

/* --- training ----------------------------------------------------------------------------------------------------- */

typedef struct course {
  lstm_trainer *trainer;
  lstm_batch batch;
} course;

static void run_training(void *context, long n) {
  course *c = (course *)context;
  float loss;
  for (; n > 0; n--) check(lstm_train(c->trainer, &c->batch, &loss), "train");
}

static void bench_characters(int V, int E, int H, int depth, int T, int B) {
  char name[80];
  course c;
  lstm_trainer_desc desc = {0};
  lstm_model *model;
  lstm_rng rng = {0};
  int32_t *ids;
  int i, d;
  double seconds, per_token = 0;
  snprintf(name, sizeof name, "train V=%d E=%d %dx%d T=%d B=%d", V, E, depth, H, T, B);
  if (!wanted(name)) return;
  model = make_model(V, E, H, depth, V, LSTM_READ_ALL);
  desc.batch_size = B, desc.seq_len = T, desc.loss = LSTM_CROSS_ENTROPY, desc.carry_state = 1;
  check(lstm_trainer_create(model, &desc, &c.trainer), "trainer");
  ids = (int32_t *)malloc((size_t)(T * B) * sizeof *ids);
  if (!ids) exit(1);
  for (i = 0; i < T * B; i++) ids[i] = (int32_t)lstm_random_index(&rng, V);
  memset(&c.batch, 0, sizeof c.batch);
  c.batch.ids = ids, c.batch.target_ids = ids;
  seconds = seconds_per(run_training, &c);
  for (d = 0; d < depth; d++) per_token += 3 * 8.0 * H * (d ? 2 * H : H);
  per_token += 3 * 2.0 * H * V;
  report(name, "token/s", T * B / seconds, (per_token * T * B + 3 * 8.0 * H * E * V) / seconds * 1e-9, 0, "");
  free(ids);
  lstm_trainer_destroy(c.trainer);
  lstm_model_destroy(model);
}

static void bench_forecast(int H, int T, int B) {
  char name[80];
  course c;
  lstm_trainer_desc desc = {0};
  lstm_model *model;
  float *x, *y;
  double seconds;
  snprintf(name, sizeof name, "train I=1 H=%d T=%d B=%d mse", H, T, B);
  if (!wanted(name)) return;
  model = make_model(1, 0, H, 1, 1, LSTM_READ_LAST);
  desc.batch_size = B, desc.seq_len = T, desc.loss = LSTM_MSE;
  check(lstm_trainer_create(model, &desc, &c.trainer), "trainer");
  x = make_floats((size_t)T * (size_t)B, 1), y = make_floats((size_t)B, 1);
  memset(&c.batch, 0, sizeof c.batch);
  c.batch.x = x, c.batch.targets = y;
  seconds = seconds_per(run_training, &c);
  report(name, "window/s", B / seconds, 3 * (8.0 * H * (1 + H) * T + 2.0 * H) * B / seconds * 1e-9, 0, "");
  free(x), free(y);
  lstm_trainer_destroy(c.trainer);
  lstm_model_destroy(model);
}

/* --- options ------------------------------------------------------------------------------------------------------ */

/* What each option of a cell costs: I=64 H=128, one lane's step, and training with T=64 B=32, as ratios to the plain
   cell, which has its turn in every round. */
#define OPTIONS 16

typedef struct option {
  const char *name;
  lstm_layer layer;
  stream stream;
  course course;
  double step[32], train[32]; /* seconds, of each round */
} option;

static option options[OPTIONS];
static int option_count;

static lstm_layer *add_option(const char *name) {
  option *o = &options[option_count++];
  o->name = name;
  o->layer = lstm_lstm(128);
  return &o->layer;
}

static void list_options(void) {
  lstm_layer *noisy;
  add_option("plain");
  add_option("peephole")->peephole = 1;
  add_option("coupled")->coupled = 1;
  add_option("projection 64")->projection = 64;
  add_option("layer_norm")->layer_norm = 1;
  add_option("cell_clip 3")->cell_clip = 3;
  add_option("forget one")->forget = LSTM_FORGET_ONE;
  noisy = add_option("forget noise");
  noisy->forget = LSTM_FORGET_NOISE, noisy->noise = .1f;
  add_option("activation relu")->activation = LSTM_RELU;
  add_option("gate hard_sigmoid")->gate_activation = LSTM_HARD_SIGMOID;
  add_option("zoneout 0.1")->zoneout = .1f;
  add_option("dropout 0.1")->dropout = .1f;
  add_option("recurrent_dropout 0.1")->recurrent_dropout = .1f;
  add_option("learned_state")->learned_state = 1;
  add_option("bidirectional")->bidirectional = 1;
  *add_option("gru") = lstm_gru(128);
}

static void set_up_option(option *o, float *x, float *y) {
  lstm_layer layers[2];
  lstm_model_desc desc = {0};
  lstm_trainer_desc how = {0};
  layers[0] = o->layer, layers[1] = lstm_dense(8);
  desc.input_size = 64, desc.layers = layers, desc.layer_count = 2, desc.isa = isa;
  check(lstm_model_create(&desc, &o->stream.model), o->name);
  check(lstm_state_create(o->stream.model, NULL, &o->stream.state), o->name);
  o->stream.x = x, o->stream.y = y;
  how.batch_size = 32, how.seq_len = 64, how.loss = LSTM_MSE;
  check(lstm_trainer_create(o->stream.model, &how, &o->course.trainer), o->name);
  o->course.batch.x = x, o->course.batch.targets = y;
}

static double time_once(work run, void *context, long n) {
  double t = now();
  run(context, n);
  return (now() - t) / (double)n;
}

static double median_ratio(const double *of, const double *to) {
  double ratios[32] = {0};
  int i;
  for (i = 0; i < slices; i++) ratios[i] = to[i] > 0 ? of[i] / to[i] : 0;
  qsort(ratios, (size_t)slices, sizeof *ratios, compare_doubles);
  return ratios[slices / 2];
}

static void bench_options(void) {
  float *x, *y;
  int i, k;
  if (!wanted("options")) return;
  x = make_floats(64 * 32 * 64, 1), y = make_floats(64 * 32 * 8, 1);
  list_options();
  for (i = 0; i < option_count; i++) set_up_option(&options[i], x, y);
  for (k = 0; k < slices; k++)
    for (i = 0; i < option_count; i++) {
      option *o = &options[i];
      long n = (long)(slice_seconds / 2e-5) + 1;
      if (!lstm_model_bidirectional(o->stream.model)) o->step[k] = time_once(run_steps, &o->stream, n);
      o->train[k] = time_once(run_training, &o->course, n / 2500 + 1);
    }
  printf("\n%-24s %12s %12s   (times the plain cell)\n", "options, I=64 H=128", "step", "train");
  for (i = 0; i < option_count; i++) {
    option *o = &options[i];
    printf("%-24s ", o->name);
    if (o->step[0] > 0) printf("%12.2f", median_ratio(o->step, options[0].step));
    else printf("%12s", "-");
    printf(" %12.2f\n", median_ratio(o->train, options[0].train));
    lstm_trainer_destroy(o->course.trainer);
    lstm_state_destroy(o->stream.state);
    lstm_model_destroy(o->stream.model);
  }
  free(x), free(y);
}

/* --- output ------------------------------------------------------------------------------------------------------- */

static void machine_name(char *out, size_t size) {
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

static void write_json(const char *machine) {
  FILE *file = fopen(json_path, "w");
  int i;
  if (!file) {
    fprintf(stderr, "bench: cannot write %s\n", json_path);
    exit(1);
  }
  fprintf(file, "{\n  \"version\": \"%s\",\n  \"isa\": \"%s\",\n  \"machine\": \"%s\",\n", LSTM_VERSION_STRING,
          lstm_isa_name(isa), machine);
#ifdef __VERSION__
  fprintf(file, "  \"compiler\": \"%s\",\n", __VERSION__);
#endif
  fprintf(file, "  \"threads\": 1,\n  \"fma_peak_gflops\": %.1f,\n  \"rows\": [\n", fma_peak);
  for (i = 0; i < row_count; i++)
    fprintf(file,
            "    {\"name\": \"%s\", \"value\": %.6g, \"unit\": \"%s\", \"gflops\": %.4g, \"fma_share\": %.3f, "
            "\"floor_share\": %.3f}%s\n",
            rows[i].name, rows[i].value, rows[i].unit, rows[i].gflops, rows[i].fma_share, rows[i].other_share,
            i + 1 < row_count ? "," : "");
  fprintf(file, "  ],\n  \"options\": [\n");
  for (i = 0; i < option_count; i++)
    fprintf(file, "    {\"name\": \"%s\", \"step\": %.3f, \"train\": %.3f}%s\n", options[i].name,
            median_ratio(options[i].step, options[0].step), median_ratio(options[i].train, options[0].train),
            i + 1 < option_count ? "," : "");
  fprintf(file, "  ]\n}\n");
  fclose(file);
}

static void parse(int argc, char **argv) {
  int i;
  for (i = 1; i < argc; i++) {
    const char *value = i + 1 < argc ? argv[i + 1] : NULL;
    if (!strcmp(argv[i], "--quick")) {
      slice_seconds = .03, slices = 3;
      continue;
    }
    if (value && !strcmp(argv[i], "--isa")) isa = lstm_isa_from_name(value);
    else if (value && !strcmp(argv[i], "--only")) only = value;
    else if (value && !strcmp(argv[i], "--json")) json_path = value;
    else {
      fprintf(stderr, "usage: bench [--isa NAME] [--only TEXT] [--quick] [--json PATH]\n");
      exit(2);
    }
    i++;
  }
  if (isa == LSTM_ISA_AUTO) isa = lstm_isa_best();
  if (!lstm_isa_usable(isa)) {
    fprintf(stderr, "bench: this instruction set is not usable here\n");
    exit(2);
  }
}

int main(int argc, char **argv) {
  static const int with_dense[] = {8, 16, 20, 32, 40, 64}, square[] = {16, 64, 128, 256}, wide[] = {128, 256, 512};
  char machine[256];
  int i;
  parse(argc, argv);
  machine_name(machine, sizeof machine);
  fma_peak = measure_fma_peak();
  printf("lstm.h %s, %s, %s, one thread, FMA peak %.1f GFLOP/s\n", LSTM_VERSION_STRING, lstm_isa_name(isa), machine,
         fma_peak);
  for (i = 0; i < 6; i++) bench_step(1, with_dense[i], 1);
  for (i = 0; i < 4; i++) bench_step(square[i], square[i], 0);
  bench_lanes(1024, 32);
  for (i = 0; i < 3; i++) bench_characters(96, 64, wide[i], 1, 64, 32);
  bench_characters(96, 64, 512, 2, 64, 64);
  bench_forecast(50, 10, 32);
  bench_forecast(50, 10, 1);
  bench_options();
  write_json(machine);
  return 0;
}
