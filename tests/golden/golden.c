/* golden.c - numbers made by PyTorch (generate.py, beside this file; the data need no Python to be read): outputs,
   final states, losses, every gradient, and ten steps of each optimiser, on every usable instruction set. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lstm.h"

/* What "equal to PyTorch" means: per tensor max|diff| <= TOLERANCE * max|ref|. The files hold float64 results rounded
   once. Instruction sets without fused operations round about twice as often. */
#define TOLERANCE 1e-5
#define UNFUSED 4.0

enum { MAX_LAYERS = 16, MAX_RUNS = 16, MAX_ENTRIES = 512, STEPS = 10 };

/* --- files: the format stands in generate.py ---------------------------------------------------------------------- */

typedef struct entry {
  char name[96];
  size_t count;
  float *f32;
  int32_t *i32;
} entry;

typedef struct run {
  char name[32];
  lstm_trainer_desc desc;
} run;

typedef struct golden {
  const char *name;
  int input, batch, steps, windows, layer_count, run_count, entry_count;
  lstm_trainer_desc loss; /* and its options */
  lstm_layer layers[MAX_LAYERS];
  run runs[MAX_RUNS];
  entry entries[MAX_ENTRIES];
} golden;

/* The index of `word` in names [count]; a test with a misspelt file fails. */
static int named(const char *word, const char *const *names, int count) {
  for (int i = 0; i < count; i++)
    if (!strcmp(word, names[i])) return i;
  fail_msg("unknown word \"%s\"", word);
  return 0;
}

/* Calls set(user, key, value) for each "key=value" of the line. */
static void parse_options(void *user, const char *line, void (*set)(void *user, const char *key, const char *value)) {
  char key[32], value[32];
  int used = 0;
  for (; sscanf(line, " %31[a-z0-9_]=%31s%n", key, value, &used) == 2; line += used) set(user, key, value);
}

static void set_layer(void *user, const char *key, const char *value) {
  static const char *const keys[] = {"projection", "bidirectional", "tied"};
  lstm_layer *layer = (lstm_layer *)user;
  int *const fields[] = {&layer->projection, &layer->bidirectional, &layer->tied};
  *fields[named(key, keys, 3)] = (int)strtol(value, NULL, 10);
}

static void parse_layer(golden *to, const char *line) {
  static const char *const types[] = {"none", "embedding", "lstm", "dense", "dropout", "gru"};
  static const char *const activations[] = {"linear", "tanh", "sigmoid", "relu"};
  static const char *const reads[] = {"all", "last"};
  char type[16], activation[16], read[16];
  int size, used = 0;
  assert_int_equal(sscanf(line, "layer %15s %d %15s %15s%n", type, &size, activation, read, &used), 4);
  assert_true(to->layer_count < MAX_LAYERS);
  lstm_layer *layer = &to->layers[to->layer_count++];
  switch (named(type, types, 6)) {
  case LSTM_LAYER_EMBEDDING:
    *layer = lstm_embedding(size);
    break;
  case LSTM_LAYER_LSTM:
    *layer = lstm_lstm(size);
    break;
  case LSTM_LAYER_GRU:
    *layer = lstm_gru(size);
    break;
  case LSTM_LAYER_DENSE:
    *layer = lstm_dense(size);
    break;
  default:
    *layer = lstm_dropout(0.0f);
    break;
  }
  if (layer->type == LSTM_LAYER_DENSE)
    layer->activation = (lstm_activation)(LSTM_LINEAR + named(activation, activations, 4));
  layer->read = (lstm_read)named(read, reads, 2);
  parse_options(layer, line + used, set_layer);
}

static void set_trainer(void *user, const char *key, const char *value) {
  static const char *const optimizers[] = {"default", "sgd", "rmsprop", "adam", "adamw"};
  static const char *const schedules[] = {"none", "step", "exponential", "cosine"};
  static const char *const keys[] = {"rate",        "momentum",        "beta1",          "beta2",
                                     "alpha",       "weight_decay",    "clip_norm",      "clip_value",
                                     "huber_delta", "label_smoothing", "schedule_factor"};
  static const char *const counts[] = {"nesterov", "schedule_steps", "warmup"};
  lstm_trainer_desc *desc = (lstm_trainer_desc *)user;
  float *const fields[] = {&desc->learning_rate, &desc->momentum,        &desc->beta1,          &desc->beta2,
                           &desc->alpha,         &desc->weight_decay,    &desc->clip_norm,      &desc->clip_value,
                           &desc->huber_delta,   &desc->label_smoothing, &desc->schedule_factor};
  int *const numbers[] = {&desc->nesterov, &desc->schedule_steps, &desc->warmup};
  if (!strcmp(key, "optimizer"))
    desc->optimizer = (lstm_optimizer)named(value, optimizers, 5);
  else if (!strcmp(key, "schedule"))
    desc->schedule = (lstm_schedule)named(value, schedules, 4);
  else if (!strcmp(key, counts[0]) || !strcmp(key, counts[1]) || !strcmp(key, counts[2]))
    *numbers[named(key, counts, 3)] = (int)strtol(value, NULL, 10);
  else
    *fields[named(key, keys, 11)] = (float)strtod(value, NULL);
}

static void parse_run(golden *to, const char *line) {
  int used = 0;
  assert_true(to->run_count < MAX_RUNS);
  run *what = &to->runs[to->run_count++];
  assert_int_equal(sscanf(line, "run %31s%n", what->name, &used), 1);
  what->desc.clip_norm = -1.0f;
  parse_options(&what->desc, line + used, set_trainer);
}

static void parse_tensor(golden *to, const char *line) {
  char type[8];
  unsigned long count;
  assert_true(to->entry_count < MAX_ENTRIES);
  entry *what = &to->entries[to->entry_count++];
  assert_int_equal(sscanf(line, "tensor %7s %95s %lu", type, what->name, &count), 3);
  what->count = count;
  if (!strcmp(type, "f32"))
    what->f32 = (float *)malloc((count + 1) * 4);
  else
    what->i32 = (int32_t *)malloc((count + 1) * 4);
  assert_true(what->f32 || what->i32);
}

static void parse_line(golden *to, const char *line) {
  static const char *const losses[] = {"none", "cross_entropy", "binary_cross_entropy", "mse", "mae", "huber"};
  char word[32];
  int used = 0;
  if (!strncmp(line, "layer ", 6)) parse_layer(to, line);
  if (!strncmp(line, "run ", 4)) parse_run(to, line);
  if (!strncmp(line, "tensor ", 7)) parse_tensor(to, line);
  if (sscanf(line, "loss %31s%n", word, &used) == 1) {
    to->loss.loss = (lstm_loss)named(word, losses, 6);
    parse_options(&to->loss, line + used, set_trainer);
  }
  sscanf(line, "input %d", &to->input);
  sscanf(line, "batch %d", &to->batch);
  sscanf(line, "steps %d", &to->steps);
  sscanf(line, "windows %d", &to->windows);
}

/* Little-endian words, whatever this machine is. */
static void read_numbers(FILE *file, entry *to) {
  for (size_t i = 0; i < to->count; i++) {
    unsigned char b[4];
    assert_int_equal(fread(b, 1, 4, file), 4);
    uint32_t bits = (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
    if (to->f32)
      memcpy(&to->f32[i], &bits, 4);
    else
      memcpy(&to->i32[i], &bits, 4);
  }
}

static void open_golden(golden *to, const char *name) {
  char path[128], line[512];
  memset(to, 0, sizeof *to);
  to->name = name;
  snprintf(path, sizeof path, "tests/golden/data/%s.golden", name);
  FILE *file = fopen(path, "rb");
  if (!file) fail_msg("cannot open %s (run from the repository's root)", path);
  while (fgets(line, (int)sizeof line, file) && strcmp(line, "data\n") != 0) parse_line(to, line);
  for (int i = 0; i < to->entry_count; i++) read_numbers(file, &to->entries[i]);
  assert_int_equal(fgetc(file), EOF);
  fclose(file);
}

static void close_golden(golden *what) {
  for (int i = 0; i < what->entry_count; i++) free(what->entries[i].f32), free(what->entries[i].i32);
}

/* The entry "first/second", or NULL. */
static const entry *find(const golden *in, const char *first, const char *second) {
  char name[160];
  snprintf(name, sizeof name, "%s/%s", first, second);
  for (int i = 0; i < in->entry_count; i++)
    if (!strcmp(in->entries[i].name, name)) return &in->entries[i];
  return NULL;
}

static const float *floats(const golden *in, const char *first, const char *second) {
  const entry *found = find(in, first, second);
  return found ? found->f32 : NULL;
}

static const int32_t *integers(const golden *in, const char *first, const char *second) {
  const entry *found = find(in, first, second);
  return found ? found->i32 : NULL;
}

/* --- comparing ---------------------------------------------------------------------------------------------------- */

static int failures, compared;
static double worst; /* largest difference over its limit */

static void check_values(const golden *in, lstm_isa isa, const char *first, const char *second, const float *got,
                         size_t count) {
  const entry *want = find(in, first, second);
  double largest = 0, difference = 0;
  if (!want || want->count != count) fail_msg("%s has no %s/%s of %d numbers", in->name, first, second, (int)count);
  for (size_t i = 0; i < count; i++) {
    double d = fabs((double)got[i] - (double)want->f32[i]);
    if (!(d <= difference)) difference = d >= 0 ? d : HUGE_VAL;
    largest = fmax(largest, fabs((double)want->f32[i]));
  }
  double limit = TOLERANCE * largest * (isa == LSTM_ISA_SSE2 || isa == LSTM_ISA_WASM ? UNFUSED : 1.0);
  compared++;
  if (largest > 0) worst = fmax(worst, difference / limit);
  if (difference <= limit) return;
  failures++;
  print_error("%s %s/%s on %s: off by %g, allowed %g\n", in->name, first, second, lstm_isa_name(isa), difference,
              limit);
}

static void check_tensor(const golden *in, lstm_isa isa, const char *first, const char *kind, const lstm_tensor *got) {
  char name[128];
  snprintf(name, sizeof name, "%s/%s", kind, got->name ? got->name : "?");
  check_values(in, isa, first, name, got->data, got->count);
}

static void check_ok(lstm_status status, const lstm_error *error) {
  if (status != LSTM_OK) fail_msg("%s: %s", lstm_status_name(status), error->message);
}

/* --- models, windows, trainers ------------------------------------------------------------------------------------ */

static lstm_model *make_model(const golden *from, lstm_isa isa) {
  lstm_model_desc desc = {0};
  lstm_error error = {0};
  lstm_model *model = NULL;
  desc.input_size = from->input;
  desc.layers = from->layers;
  desc.layer_count = from->layer_count;
  desc.init = LSTM_INIT_ZERO;
  desc.isa = isa;
  desc.error = &error;
  check_ok(lstm_model_create(&desc, &model), &error);
  for (int i = 0; i < lstm_model_tensor_count(model); i++) {
    lstm_tensor tensor;
    check_ok(lstm_model_tensor(model, i, &tensor), &error);
    const entry *weight = find(from, "weight", tensor.name);
    if (!weight || weight->count != tensor.count) fail_msg("%s has no weight/%s", from->name, tensor.name);
    memcpy(tensor.data, weight->f32, tensor.count * sizeof(float));
  }
  lstm_model_refresh(model);
  return model;
}

static lstm_batch make_batch(const golden *from, int window, lstm_error *error) {
  lstm_batch batch = {0};
  char w[16];
  snprintf(w, sizeof w, "%d", window);
  batch.seq_len = from->steps;
  batch.batch_size = from->batch;
  batch.x = floats(from, w, "x");
  batch.ids = integers(from, w, "ids");
  batch.targets = floats(from, w, "targets");
  batch.target_ids = integers(from, w, "target_ids");
  batch.weights = floats(from, w, "weights");
  batch.lengths = integers(from, w, "lengths");
  batch.initial = floats(from, w, "initial");
  batch.error = error;
  return batch;
}

static lstm_trainer *make_trainer(const golden *from, lstm_model *model, const lstm_trainer_desc *how,
                                  lstm_error *error) {
  lstm_trainer_desc desc = *how;
  lstm_trainer *trainer = NULL;
  desc.batch_size = from->batch;
  desc.seq_len = from->steps;
  desc.loss = from->loss.loss;
  desc.huber_delta = from->loss.huber_delta;
  desc.label_smoothing = from->loss.label_smoothing;
  desc.class_weights = floats(from, "0", "class_weights");
  desc.carry_state = from->windows > 1;
  desc.error = error;
  check_ok(lstm_trainer_create(model, &desc, &trainer), error);
  return trainer;
}

static size_t output_count(const golden *in, const lstm_model *model) {
  return (size_t)((lstm_model_reads_last(model) ? 1 : in->steps) * in->batch * lstm_model_output_size(model));
}

static size_t state_count(const golden *in, const lstm_model *model) {
  return (size_t)(in->batch * lstm_model_state_size(model));
}

/* --- outputs, states, losses, gradients --------------------------------------------------------------------------- */

static void check_backward(const golden *in, lstm_isa isa, lstm_trainer *trainer, const char *w,
                           const lstm_batch *batch) {
  const lstm_model *model = lstm_trainer_model(trainer);
  size_t states = state_count(in, model), inputs = (size_t)(in->steps * in->batch * in->input);
  float *d_initial = (float *)calloc(states, sizeof(float)), *d_input = (float *)calloc(inputs, sizeof(float));
  lstm_flow flow = {0};
  flow.d_output = floats(in, w, "d_output");
  flow.d_final = floats(in, w, "d_final");
  flow.d_initial = d_initial;
  if (batch->x) flow.d_input = d_input;
  lstm_trainer_zero_gradients(trainer);
  check_ok(lstm_trainer_backward(trainer, &flow), batch->error);
  check_values(in, isa, w, "d_initial", d_initial, states);
  if (batch->x) check_values(in, isa, w, "d_input", d_input, inputs);
  for (int i = 0; i < lstm_model_tensor_count(model); i++) {
    lstm_tensor gradient;
    check_ok(lstm_trainer_gradient(trainer, i, &gradient), batch->error);
    check_tensor(in, isa, w, "grad", &gradient);
  }
  free(d_initial), free(d_input);
}

static void check_windows(const golden *in, lstm_isa isa) {
  lstm_error error = {0};
  lstm_trainer_desc how = {0};
  lstm_model *model = make_model(in, isa);
  lstm_trainer *trainer = make_trainer(in, model, &how, &error);
  size_t outputs = output_count(in, model), states = state_count(in, model);
  float *y = (float *)calloc(outputs, sizeof(float)), *final = (float *)calloc(states, sizeof(float)), loss = 0;
  for (int window = 0; window < in->windows; window++) {
    lstm_batch batch = make_batch(in, window, &error);
    char w[16];
    snprintf(w, sizeof w, "%d", window);
    check_ok(lstm_trainer_forward(trainer, &batch, y), &error);
    check_values(in, isa, w, "y", y, outputs);
    check_ok(lstm_trainer_final(trainer, final), &error);
    check_values(in, isa, w, "final", final, states);
    check_ok(lstm_trainer_loss(trainer, &batch, &loss), &error);
    check_values(in, isa, w, "loss", &loss, 1);
    check_backward(in, isa, trainer, w, &batch);
  }
  free(y), free(final);
  lstm_trainer_destroy(trainer);
  lstm_model_destroy(model);
}

/* The same without a trainer. Its output is left linear, so that the file's logits can be compared. */
static void check_inference(const golden *in, lstm_isa isa) {
  lstm_error error = {0};
  lstm_state_desc desc = {0};
  lstm_state *state = NULL;
  lstm_trainer_desc how = {0};
  lstm_model *model = make_model(in, isa), *judged = make_model(in, isa);
  lstm_trainer *trainer =
      make_trainer(in, judged, &how, &error); /* for the loss: it would make model's y probabilities */
  size_t outputs = output_count(in, model), S = (size_t)lstm_model_state_size(model);
  float *y = (float *)calloc(outputs, sizeof(float)), *final = (float *)calloc(state_count(in, model), sizeof(float));
  desc.lanes = in->batch;
  desc.seq_len = in->steps;
  desc.error = &error;
  check_ok(lstm_state_create(model, &desc, &state), &error);
  for (int window = 0; window < in->windows; window++) {
    lstm_batch batch = make_batch(in, window, &error);
    lstm_metrics metrics = {0};
    char w[16];
    snprintf(w, sizeof w, "%d", window);
    check_ok(lstm_forward_batch(model, state, &batch, y, NULL), &error);
    check_values(in, isa, w, "y", y, outputs);
    for (int b = 0; b < in->batch; b++) check_ok(lstm_state_get(model, state, b, final + (size_t)b * S), &error);
    check_values(in, isa, w, "final", final, state_count(in, model));
    if (window) continue; /* evaluated from the first window's states only */
    lstm_state_reset(state);
    check_ok(lstm_trainer_evaluate(trainer, state, &batch, &metrics, NULL), &error);
    float mean = (float)(metrics.loss / metrics.weight);
    check_values(in, isa, w, "loss", &mean, 1);
  }
  free(y), free(final);
  lstm_state_destroy(state);
  lstm_trainer_destroy(trainer);
  lstm_model_destroy(judged);
  lstm_model_destroy(model);
}

static void finish(const char *what) {
  print_message("  %s: %d tensors, largest difference %.2f of the tolerance\n", what, compared, worst);
  assert_int_equal(failures, 0);
}

static void begin(golden *to, void **name) {
  failures = compared = 0;
  worst = 0;
  open_golden(to, (const char *)*name);
}

static void golden_results(void **name) {
  static golden in;
  begin(&in, name);
  for (int isa = LSTM_ISA_SCALAR; isa < LSTM_ISA_COUNT; isa++) {
    if (!lstm_isa_usable((lstm_isa)isa)) continue;
    check_windows(&in, (lstm_isa)isa);
    check_inference(&in, (lstm_isa)isa);
  }
  finish(in.name);
  close_golden(&in);
}

/* --- ten steps of each optimiser ---------------------------------------------------------------------------------- */

static void check_run(const golden *in, lstm_isa isa, const run *what) {
  lstm_error error = {0};
  lstm_model *model = make_model(in, isa);
  lstm_trainer *trainer = make_trainer(in, model, &what->desc, &error);
  float losses[STEPS] = {0}, rates[STEPS] = {0};
  for (int step = 0; step < STEPS; step++) {
    lstm_batch batch = make_batch(in, step % in->windows, &error);
    rates[step] = lstm_trainer_scheduled_rate(trainer);
    check_ok(lstm_train(trainer, &batch, &losses[step]), &error);
  }
  if (what->desc.schedule) check_values(in, isa, what->name, "rates", rates, STEPS);
  check_values(in, isa, what->name, "losses", losses, STEPS);
  for (int i = 0; i < lstm_model_tensor_count(model); i++) {
    lstm_tensor weight;
    check_ok(lstm_model_tensor(model, i, &weight), &error);
    check_tensor(in, isa, what->name, "weight", &weight);
  }
  lstm_trainer_destroy(trainer);
  lstm_model_destroy(model);
}

static void golden_training(void **name) {
  static golden in;
  begin(&in, name);
  assert_true(in.run_count > 0);
  for (int isa = LSTM_ISA_SCALAR; isa < LSTM_ISA_COUNT; isa++)
    for (int i = 0; lstm_isa_usable((lstm_isa)isa) && i < in.run_count; i++) check_run(&in, (lstm_isa)isa, &in.runs[i]);
  finish(in.name);
  close_golden(&in);
}

#define CASE(name)                                                                                                     \
  {#name ": results", golden_results, NULL, NULL, name}, { #name ": ten steps", golden_training, NULL, NULL, name }

int main(void) {
  static char tokens[] = "tokens", features[] = "features", dense[] = "dense", ragged_last[] = "ragged_last",
              ragged_all[] = "ragged_all", carried[] = "carried", single[] = "single", projected[] = "projected",
              both_ways[] = "both_ways", both_ways_2[] = "both_ways_2", both_projected[] = "both_projected",
              gru[] = "gru", gru_both[] = "gru_both", gru_carried[] = "gru_carried", tied[] = "tied",
              schedules[] = "schedules";
  const struct CMUnitTest tests[] = {
      CASE(tokens),   CASE(features),    CASE(dense),     CASE(ragged_last), CASE(ragged_all),     CASE(carried),
      CASE(single),   CASE(projected),   CASE(both_ways), CASE(both_ways_2), CASE(both_projected), CASE(gru),
      CASE(gru_both), CASE(gru_carried), CASE(tied),      CASE(schedules),
  };
  return cmocka_run_group_tests_name("golden", tests, NULL, NULL);
}
