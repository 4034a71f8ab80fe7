/* bench: times the library; prints a table and writes build/bench.json. Nothing is asserted: times belong to a machine.

   bench [--quick] [--cpu] [--only TEXT] [--isa NAME|all] [--numerics portable] [--threads N] [--json PATH] [--serve]

   --only: works whose name contains TEXT. --isa all: every set that this machine has. --numerics portable and
   --threads N: a second row for each work, timed in turns with the first; a portable row has the fused one's floor.
   --cpu: the thread's processor time instead of the wall clock's, for a machine with other work to do (not for several
   threads). --serve: times one slice of the work TEXT for each line of the input and prints its seconds; so a script
   can let two programs take turns.

   A row's time is the least of many short slices, as what disturbs only adds; the file has their median, too. Its floor
   is the least that this machine needs, of parts that take turns with it: the multiply-adds that the work needs (no
   padding) at the peak rate, or, of a step, reading its weights again and again where that takes longer; plus the gate
   arithmetic alone (training: of both directions), plus the optimiser alone. The table gives each part in percent of
   the time; `share` is the floor over the time. */
#define _POSIX_C_SOURCE 199309L
#define LSTM_IMPLEMENTATION
#include "lstm.h"

#include "floors.h"
#include "measure.h"
#include "peaks.h"
#include "works.h"

/* --- options ------------------------------------------------------------------------------------------------------ */

static lstm_isa isa;
static const char *only = "", *json_path = "build/bench.json";
static int all_isas, portable, threads = 1, serve;

static int wanted(const char *name) { return strstr(name, only) != NULL; }

/* --- rows --------------------------------------------------------------------------------------------------------- */

/* Seconds, or ratios; 0: does not apply, null in the file. */
typedef struct row {
  char work[64];
  lstm_isa isa;
  int portable, threads;
  double time, median, tokens, fmas, bandwidth; /* per second, but for the two times */
  parts share;
  double cost;                   /* times the fused or the plain one's time */
  double scaling, scaling_share; /* one thread's time over this one's; over that of a loop of multiply-adds */
} row;

static row rows[512];
static int row_count;

static row *add_row(const char *work) {
  row *r = &rows[row_count++];
  if (row_count == (int)(sizeof rows / sizeof *rows)) check(LSTM_ERR_LIMIT, "rows");
  memset(r, 0, sizeof *r);
  snprintf(r->work, sizeof r->work, "%s", work);
  r->isa = isa, r->threads = 1;
  return r;
}

static const char *time_text(double seconds) {
  static char texts[4][32];
  static int next;
  char *text = texts[next++ % 4];
  if (seconds < 1e-5) snprintf(text, sizeof *texts, "%.1f ns", seconds * 1e9);
  else if (seconds < 1e-2) snprintf(text, sizeof *texts, "%.1f us", seconds * 1e6);
  else snprintf(text, sizeof *texts, "%.2f ms", seconds * 1e3);
  return text;
}

static void print_heading(void) {
  printf("\n%-36s %-7s thr %10s %9s %8s %10s =%5s |%5s +%6s +%6s =%6s\n", "work", "isa", "time", "tokens/s", "GFLOP/s",
         "floor", "FMA", "read", "gates", "update", "share");
}

static void print_share(const char *before, double share) {
  if (share > 0) printf("%s%3.0f %%", before, 100 * share);
  else printf("%s%5s", before, "");
}

static void print_row(const row *r) {
  printf("%-36s %-7s %3d %10s ", r->work, lstm_isa_name(r->isa), r->threads, time_text(r->time));
  if (r->tokens > 0) printf("%9.0f ", r->tokens);
  else printf("%9s ", "");
  printf("%8.1f ", 2e-9 * r->fmas);
  if (r->share.sum > 0) {
    printf("%10s  ", time_text(r->share.sum * r->time));
    print_share("", r->share.fma);
    print_share("  ", r->share.read);
    print_share("   ", r->share.gates);
    print_share("   ", r->share.update);
    print_share("   ", r->share.sum);
  }
  if (r->portable) printf("  portable: %.2f x fused", r->cost);
  if (r->scaling > 0) printf("  %.2f x one thread", r->scaling);
  if (r->scaling_share > 0) printf(", %.0f %% of a pure FMA loop's", 100 * r->scaling_share);
  printf("\n");
  fflush(stdout);
}

/* --- measuring ---------------------------------------------------------------------------------------------------- */

/* For the reader: the shares of the rows are of the same loops, in turns with each row. */
static void measure_peaks(void) {
  static const struct { const char *name; int kilobytes; } levels[] = {
    {"peak read L1", 16}, {"peak read L2", 256}, {"peak read L3", 4096}};
  peak_loops loops = loops_of(isa);
  row *r;
  int i;
  if (!loops.fma) return;
  r = add_row("peak fma");
  r->fmas = fmas_in_loop(isa) / best_seconds(loops.fma, NULL);
  printf("\n%s: %.1f GFLOP/s", lstm_isa_name(isa), 2e-9 * r->fmas);
  for (i = 0; i < 3; i++) {
    region memory = make_region(1024.0 * levels[i].kilobytes);
    r = add_row(levels[i].name);
    r->bandwidth = 4 * (double)memory.count / best_seconds(loops.read, &memory);
    printf(", read %d KB: %.0f GB/s", levels[i].kilobytes, r->bandwidth * 1e-9);
    free(memory.memory);
  }
  printf("\n");
}

static row *fill_row(const shape *s, const contender *c, const contender *of, const floor_job *f) {
  row *r = add_row(s->name);
  r->time = of->time, r->median = of->median;
  r->fmas = fmas_of(s) / of->time;
  if (s->steps && s->embed) r->tokens = s->steps * s->batch / of->time;
  r->share = floor_of(f, c, of, s, isa);
  return r;
}

/* The row of several threads: its floor is one thread's over the scaling of a pure loop. */
static void fill_threads(row *r, const contender *c) {
  double pure = c[PURE].run ? threads * c[FMA].time / c[PURE].time : threads;
  r->threads = threads, r->scaling = c[WORK].time / c[OTHER].time;
  if (c[PURE].run) r->scaling_share = r->scaling / pure;
  r->share.fma /= pure, r->share.gates /= pure, r->share.update /= pure, r->share.sum /= pure;
}

/* The plain work and the parts of its floor; in turns with them the portable work, or the work on more threads. */
static void bench_shape(const shape *s) {
  contender c[CONTENDERS];
  job plain, other;
  floor_job floor;
  team_loop loop;
  row *r;
  int more = portable || (threads > 1 && s->steps);
  if (!wanted(s->name) || (isa == LSTM_ISA_SCALAR && fmas_of(s) > 1e10)) return; /* minutes */
  memset(c, 0, sizeof c), memset(&loop, 0, sizeof loop);
  set_up(&plain, s, isa, 0, 1);
  add_job(&c[WORK], &plain);
  set_up_floor(&floor, c, s, isa, plain.model->kernels);
  if (more) set_up(&other, s, isa, portable, portable ? 1 : threads), add_job(&c[OTHER], &other);
  loop.team.width = threads, loop.fma = c[FMA].run;
  if (more && !portable && loop.fma) {
    add_contender(&c[PURE], run_team_loop, &loop);
    c[PURE].begin = begin_team_loop, c[PURE].end = end_team_loop;
    c[FMA].slice = c[PURE].slice = 10 * slice_seconds; /* long works have few rounds */
  }
  take_turns(c, CONTENDERS);
  print_row(fill_row(s, c, &c[WORK], &floor));
  if (more) {
    r = fill_row(s, c, &c[OTHER], &floor);
    r->portable = portable;
    if (portable) r->cost = c[OTHER].time / c[WORK].time;
    else fill_threads(r, c);
    print_row(r);
    tear_down(&other);
  }
  tear_down_floor(&floor);
  tear_down(&plain);
}

/* A slice for each line of the input. Nothing is set up before the first, so that a script can see what memory the
   work takes. */
static void serve_first(const char *machine) {
  contender c = {0};
  job j;
  int i = 0;
  char line[16];
  while (i < SHAPES && strcmp(shapes[i].name, only) != 0) i++;
  if (i == SHAPES) check(LSTM_ERR_ARGUMENT, only);
  printf("lstm.h %s, %s, %s\n", LSTM_VERSION_STRING, lstm_isa_name(isa), machine);
  fflush(stdout);
  while (fgets(line, sizeof line, stdin)) {
    if (c.n == 0) set_up(&j, &shapes[i], isa, portable, threads), add_job(&c, &j), calibrate(&c);
    printf("%.9g\n", time_slice(&c));
    fflush(stdout);
  }
  if (c.n > 0) tear_down(&j);
}

/* --- options of a cell -------------------------------------------------------------------------------------------- */

/* What each option costs: I=64 H=128, one lane's step, and training with T=64 B=32, as ratios to the plain cell, which
   has its turn in every round. */
typedef struct option {
  const char *name;
  lstm_layer layer;
  job step, train;
} option;

static option options[16];
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
  how.batch_size = 32, how.seq_len = 64, how.loss = LSTM_MSE;
  check(lstm_model_create(&desc, &o->step.model), o->name);
  o->train.model = o->step.model;
  check(lstm_state_create(o->step.model, NULL, &o->step.state), o->name);
  check(lstm_trainer_create(o->train.model, &how, &o->train.trainer), o->name);
  o->step.x = o->train.x = x, o->step.y = o->train.y = y;
  o->train.batch.x = x, o->train.batch.targets = y;
}

/* One table for steps or for training, in turns; a bidirectional model has no steps. */
static void time_options(contender *c, int train) {
  char name[64];
  int i, count = 0;
  for (i = 0; i < option_count; i++)
    if (train || !lstm_model_bidirectional(options[i].step.model))
      c[count].run = run_job, c[count++].context = train ? &options[i].train : &options[i].step;
  take_turns(c, count);
  for (i = 0, count = 0; i < option_count; i++) {
    row *r;
    if (!train && lstm_model_bidirectional(options[i].step.model)) continue;
    snprintf(name, sizeof name, "option %s, %s", options[i].name, train ? "train T=64 B=32" : "step");
    r = add_row(name);
    r->time = c[count].time, r->median = c[count].median, r->cost = c[count].time / c[0].time;
    printf("%-44s %10s %6.2f x plain\n", name, time_text(r->time), r->cost);
    count++;
  }
}

static void bench_options(void) {
  static contender c[16];
  float *x, *y;
  int i;
  if (!wanted("options")) return;
  x = make_floats(64 * 32 * 64, 1), y = make_floats(64 * 32 * 8, 1);
  list_options();
  for (i = 0; i < option_count; i++) set_up_option(&options[i], x, y);
  printf("\nThe options of a cell, I=64 H=128\n");
  time_options(c, 0);
  memset(c, 0, sizeof c);
  time_options(c, 1);
  for (i = 0; i < option_count; i++) {
    lstm_trainer_destroy(options[i].train.trainer);
    lstm_state_destroy(options[i].step.state);
    lstm_model_destroy(options[i].step.model);
  }
  free(x), free(y);
}

/* --- output ------------------------------------------------------------------------------------------------------- */

/* The times of every set side by side: portable ones, if they were asked for, and of one thread. */
static void print_sets(void) {
  int i, s, k;
  printf("\n%-36s", "time");
  for (k = 0; k < LSTM_ISA_COUNT; k++)
    if (k != LSTM_ISA_AUTO && lstm_isa_usable((lstm_isa)k)) printf(" %10s", lstm_isa_name((lstm_isa)k));
  printf("\n");
  for (s = 0; s < SHAPES; s++) {
    if (!wanted(shapes[s].name)) continue;
    printf("%-36s", shapes[s].name);
    for (k = 0; k < LSTM_ISA_COUNT; k++) {
      const row *r = NULL;
      if (k == LSTM_ISA_AUTO || !lstm_isa_usable((lstm_isa)k)) continue;
      for (i = row_count - 1; i >= 0; i--)
        if (!strcmp(rows[i].work, shapes[s].name) && (int)rows[i].isa == k && rows[i].portable == portable)
          r = &rows[i];
      printf(" %10s", r ? time_text(r->time) : "-");
    }
    printf("\n");
  }
}

static void write_number(FILE *file, const char *name, double value) {
  if (value > 0) fprintf(file, ", \"%s\": %.6g", name, value);
  else fprintf(file, ", \"%s\": null", name);
}

static void write_row(FILE *file, const row *r, const char *machine) {
  fprintf(file, "  {\"work\": \"%s\", \"isa\": \"%s\", \"numerics\": \"%s\", \"threads\": %d", r->work,
          lstm_isa_name(r->isa), r->portable ? "portable" : "fused", r->threads);
  write_number(file, "ns", r->time * 1e9);
  write_number(file, "median_ns", r->median * 1e9);
  write_number(file, "tokens_per_s", r->tokens);
  write_number(file, "gflops", 2e-9 * r->fmas);
  write_number(file, "gb_per_s", r->bandwidth * 1e-9);
  write_number(file, "floor_ns", r->share.sum * r->time * 1e9);
  write_number(file, "share", r->share.sum);
  write_number(file, "fma_share", r->share.fma);
  write_number(file, "read_share", r->share.read);
  write_number(file, "gates_share", r->share.gates);
  write_number(file, "update_share", r->share.update);
  write_number(file, "cost", r->cost);
  write_number(file, "scaling", r->scaling);
  write_number(file, "scaling_share", r->scaling_share);
  fprintf(file, ", \"clock\": \"%s\", \"machine\": \"%s\", \"version\": \"%s\"}", own_clock ? "cpu" : "wall", machine,
          LSTM_VERSION_STRING);
}

static void write_json(const char *machine) {
  FILE *file = fopen(json_path, "w");
  int i;
  if (!file) {
    fprintf(stderr, "bench: cannot write %s\n", json_path);
    exit(1);
  }
  fprintf(file, "[\n");
  for (i = 0; i < row_count; i++) write_row(file, &rows[i], machine), fprintf(file, i + 1 < row_count ? ",\n" : "\n");
  fprintf(file, "]\n");
  fclose(file);
  printf("\nwritten: %s\n", json_path);
}

static void usage(const char *message) {
  fprintf(stderr, "bench: %s\nusage: bench [--quick] [--cpu] [--only TEXT] [--isa NAME|all] ", message);
  fprintf(stderr, "[--numerics portable] [--threads N] [--json PATH] [--serve]\n");
  exit(2);
}

/* NULL: no value came after the name. */
static void bad_option(const char *name, const char *value, const char *allowed) {
  char message[256];
  snprintf(message, sizeof message, "%s%s%s: %s", name, value ? " " : "", value ? value : "", allowed);
  usage(message);
}

static void set_isa(const char *name) {
  char usable[128] = "is not usable here; these are: all";
  int k;
  isa = lstm_isa_from_name(name);
  if (isa == LSTM_ISA_AUTO || lstm_isa_usable(isa)) return;
  for (k = LSTM_ISA_AUTO + 1; k < LSTM_ISA_COUNT; k++)
    if (lstm_isa_usable((lstm_isa)k)) strcat(strcat(usable, ", "), lstm_isa_name((lstm_isa)k));
  bad_option("--isa", name, usable);
}

static void set_option(const char *name, const char *value) {
  if (!strcmp(name, "--only")) only = value;
  else if (!strcmp(name, "--json")) json_path = value;
  else if (!strcmp(name, "--threads")) threads = atoi(value);
  else if (!strcmp(name, "--isa") && !strcmp(value, "all")) all_isas = 1;
  else if (!strcmp(name, "--isa")) set_isa(value);
  else if (strcmp(name, "--numerics") != 0) bad_option(name, value, "there is no such option");
  else if (!strcmp(value, "portable")) portable = 1;
  else if (strcmp(value, "fused") != 0) bad_option(name, value, "fused or portable");
}

static void parse(int argc, char **argv) {
  int i;
  for (i = 1; i < argc; i++) {
    if (!strcmp(argv[i], "--quick")) slice_seconds = .0005, slice_count = 41, budget_seconds = .2, fewest_slices = 1;
    else if (!strcmp(argv[i], "--cpu")) own_clock = 1;
    else if (!strcmp(argv[i], "--serve")) serve = 1;
    else if (i + 1 < argc) set_option(argv[i], argv[i + 1]), i++;
    else bad_option(argv[i], NULL, "there is no such option, or its value is missing");
  }
  if (isa == LSTM_ISA_AUTO) isa = lstm_isa_best();
  if (threads < 1 || threads > 64) usage("--threads: 1 to 64");
  if (threads > 1 && portable) usage("--threads and --numerics portable: one after the other");
  for (i = 0; i < SHAPES && !wanted(shapes[i].name); i++) continue;
  if (i == SHAPES && (all_isas || !wanted("options"))) bad_option("--only", only, "no work has this in its name");
}

static void bench_set(void) {
  int i;
  measure_peaks();
  print_heading();
  for (i = 0; i < SHAPES; i++) bench_shape(&shapes[i]);
}

int main(int argc, char **argv) {
  char machine[256];
  int k;
  parse(argc, argv);
  machine_name(machine, sizeof machine);
  if (serve) return serve_first(machine), 0;
  printf("lstm.h %s on %s. thr: threads. floor: the least time that this machine needs, which is the\n"
         "greater of FMA (multiply-adds at the peak rate) and read (the weights), + gates + update (the optimiser),\n"
         "each in percent of the time; share: the floor in percent of the time\n",
         LSTM_VERSION_STRING, machine);
  if (!all_isas) bench_set(), bench_options();
  else {
    for (k = LSTM_ISA_COUNT - 1; k > LSTM_ISA_AUTO; k--)
      if (lstm_isa_usable((lstm_isa)k)) isa = (lstm_isa)k, bench_set();
    print_sets();
  }
  write_json(machine);
  return 0;
}
