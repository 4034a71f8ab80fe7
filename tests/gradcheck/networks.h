/* networks.h - what the programs of this folder share: networks and windows that are drawn at random, and the
   comparison of everything that the library computes for them with tests/reference.h. */
#ifndef TESTS_GRADCHECK_NETWORKS_H
#define TESTS_GRADCHECK_NETWORKS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <time.h>

#include <cmocka.h>

#include "lstm.h"

#include "../reference.h"

/* "Equal": max|diff| <= RELATIVE * max|ref| per tensor. The floor is for tensors that are small only because large
   terms cancelled in them (one bias of one unit, say): float rounds a term of size s by up to s * 2^-24 = 6e-8 s, and
   a few such terms meet in each sum. It is relative to the largest gradient of the window, or to the norm of that of
   the outputs, as roundings add up like their squares (outputs and states: to 1, the size of the weights and inputs
   here). Code without fused operations rounds about twice as often. A layer norm divides by the deviation of its sums,
   and their rounding with them: where that is below NARROW, which only few units or equal sums bring about, all of the
   window is allowed more in proportion. */
#define RELATIVE 1e-5
#define FLOOR 2.4e-7
#define UNFUSED 4.0
#define NARROW 0.3

enum { MAX_PLACES = 160, MAX_B = 50, MAX_WIDTH = 130, MAX_STATES = 780, MAX_STACK = 12 }; /* places: T x B */
#define NEVER 1e-9f /* a rate at which training drops nothing, with all the code of one that does */

/* --- drawing networks and windows --------------------------------------------------------------------------------- */

typedef struct network {
  lstm_layer layers[MAX_STACK];
  int layer_count, input_size;
  int T, B, burn_in;
  lstm_trainer_desc how; /* the loss and its options */
  int carry;             /* two windows, the second from the first one's final states */
  int random;            /* it has rates above NEVER: training cannot be compared */
  float weights;         /* their size */
  float class_weights[MAX_WIDTH];
  uint64_t seed;
} network;

/* Inputs, targets and incoming gradients of one window. */
typedef struct window {
  lstm_batch batch;
  lstm_flow flow;
  float x[MAX_PLACES * MAX_WIDTH], targets[MAX_PLACES * MAX_WIDTH], weights[MAX_PLACES];
  float initial[MAX_B * MAX_STATES], d_output[MAX_PLACES * MAX_WIDTH], d_final[MAX_B * MAX_STATES];
  int32_t ids[MAX_PLACES], target_ids[MAX_PLACES];
  int lengths[MAX_B];
  unsigned char reset[MAX_B];
} window;

/* How often each thing was drawn: a matrix that misses one of them fails. */
#define FEATURE_LIST(X)                                                                                                \
  X(READ_ALL, "read all")                                                                                              \
  X(READ_LAST, "read last") X(READ_MEAN, "read mean") X(READ_MAX, "read max") X(RAGGED, "ragged")                      \
      X(EMPTY_LANE, "empty lane") X(WEIGHTS, "weights") X(MISSING, "missing targets") X(INITIAL, "initial states")     \
          X(CARRY, "carried states") X(RESET, "lane resets") X(D_OUTPUT, "d_output") X(D_FINAL, "d_final")             \
              X(TOKENS, "tokens") X(FEATURES, "features") X(UNEQUAL, "unequal sizes") X(NO_HEAD, "no head")            \
                  X(DENSE_BELOW, "dense below") X(DENSE_BETWEEN, "dense between") X(LINEAR, "linear") X(TANH, "tanh")  \
                      X(SIGMOID, "sigmoid") X(RELU, "relu") X(HARD_SIGMOID, "hard sigmoid") X(SOFTSIGN, "softsign")    \
                          X(DROPOUT, "dropout") X(SMALLER_BATCH, "batch below the largest")                            \
                              X(SHORTER, "window below the longest")
#define AS_NAME(name, text) name,
#define AS_TEXT(name, text) text,
enum { FEATURE_LIST(AS_NAME) FEATURE_COUNT };
static const char *const feature_names[FEATURE_COUNT] = {FEATURE_LIST(AS_TEXT)};
static int features[FEATURE_COUNT];

static inline int chance(ref_rng *rng, int feature, int percent) {
  int yes = ref_index(rng, 100) < percent;
  if (feature >= 0) features[feature] += yes;
  return yes;
}

static inline void add(network *net, lstm_layer layer) { net->layers[net->layer_count++] = layer; }

static inline void add_dense(network *net, ref_rng *rng, int size, int any_activation) {
  lstm_layer layer = lstm_dense(size);
  if (any_activation) layer.activation = (lstm_activation)(1 + ref_index(rng, LSTM_ACTIVATION_COUNT - 1));
  features[LINEAR + (layer.activation ? (int)layer.activation - LSTM_LINEAR : 0)]++;
  add(net, layer);
}

static inline void draw_targets(window *to, ref_rng *rng, lstm_loss loss, int rows, int O) {
  lstm_batch *batch = &to->batch;
  int missing = chance(rng, MISSING, 30);
  if (loss == LSTM_CROSS_ENTROPY)
    batch->target_ids = to->target_ids;
  else if (loss != LSTM_LOSS_NONE)
    batch->targets = to->targets;
  for (int i = 0; i < rows; i++)
    to->target_ids[i] = missing && ref_index(rng, 3) == 0 ? -1 - ref_index(rng, 2) * 99 : ref_index(rng, O);
  for (int i = 0; i < rows * O; i++) to->targets[i] = 0.5f + ref_value(rng, 0.5f);
  if (!chance(rng, WEIGHTS, 30)) return;
  batch->weights = to->weights;
  for (int i = 0; i < rows; i++) to->weights[i] = ref_index(rng, 4) ? 1.0f + ref_value(rng, 1.0f) : 0.0f;
}

static inline void draw_lanes(window *to, ref_rng *rng, const network *net, int S) {
  if (chance(rng, RAGGED, 40)) {
    to->batch.lengths = to->lengths;
    for (int b = 0; b < net->B; b++) to->lengths[b] = 1 + ref_index(rng, net->T);
    if (net->B > 1 && chance(rng, EMPTY_LANE, 20)) to->lengths[ref_index(rng, net->B)] = 0;
  }
  if (chance(rng, INITIAL, 35)) {
    to->batch.initial = to->initial;
    ref_fill(rng, to->initial, (size_t)(net->B * S), 0.8f);
  } else if (net->carry && chance(rng, RESET, 50)) {
    to->batch.reset = to->reset;
    for (int b = 0; b < net->B; b++) to->reset[b] = (unsigned char)(ref_index(rng, 2) * 255);
  }
}

/* Padding gets NaN and ids out of range: nothing may read it. */
static inline void poison_padding(window *to, const network *net, int O, int reads_last) {
  for (int i = 0; to->batch.lengths && i < net->T * net->B; i++) {
    if (i / net->B < to->lengths[i % net->B]) continue;
    to->ids[i] = 1 << 30;
    for (int k = 0; k < net->input_size; k++) to->x[i * net->input_size + k] = (float)NAN;
    if (reads_last) continue;
    to->target_ids[i] = 1 << 30;
    to->weights[i] = (float)NAN;
    for (int k = 0; k < O; k++) to->targets[i * O + k] = to->d_output[i * O + k] = (float)NAN;
  }
}

static inline void draw_window(window *to, ref_rng *rng, const network *net, const ref_net *shape) {
  int I = net->input_size, O = (int)shape->output_size, S = (int)shape->state_size;
  int reads_last = shape->read != LSTM_READ_ALL, rows = (reads_last ? 1 : net->T) * net->B;
  memset(to, 0, sizeof *to);
  to->batch.seq_len = net->T;
  to->batch.batch_size = net->B;
  to->batch.burn_in = net->burn_in;
  ref_fill(rng, to->x, (size_t)(net->T * net->B * I), 1.0f);
  for (int i = 0; i < net->T * net->B; i++) to->ids[i] = ref_index(rng, I);
  if (shape->takes_ids)
    to->batch.ids = to->ids;
  else
    to->batch.x = to->x;
  draw_targets(to, rng, net->how.loss, rows, O);
  draw_lanes(to, rng, net, S);
  ref_fill(rng, to->d_output, (size_t)(rows * O), 0.5f);
  ref_fill(rng, to->d_final, (size_t)(net->B * S), 0.5f);
  if (chance(rng, D_OUTPUT, net->how.loss == LSTM_LOSS_NONE ? 100 : 15)) to->flow.d_output = to->d_output;
  if (chance(rng, D_FINAL, 30)) to->flow.d_final = to->d_final;
  poison_padding(to, net, O, reads_last);
}

/* --- failures ----------------------------------------------------------------------------------------------------- */

static int failures;
static const network *current;
static lstm_isa current_isa;
static double magnified = 1; /* NARROW by the smallest deviation of what is expected, or 1 */

static inline void print_layer(const lstm_layer *l) {
  static const char *const types[] = {"none", "embedding", "lstm", "dense", "dropout", "gru"};
  printf(" %s(%d act=%d read=%d", types[l->type], l->size, (int)l->activation, (int)l->read);
  if (l->gate_activation) printf(" gates=%d", (int)l->gate_activation);
  if (l->projection) printf(" projection=%d", l->projection);
  if (l->forget) printf(" forget=%d noise=%g", (int)l->forget, (double)l->noise);
  if (l->bidirectional) printf(" bidirectional merge=%d", (int)l->merge);
  printf("%s%s%s%s%s", l->peephole ? " peephole" : "", l->coupled ? " coupled" : "", l->layer_norm ? " layer_norm" : "",
         l->learned_state ? " learned_state" : "", l->tied ? " tied" : l->residual ? " residual" : "");
  if (l->cell_clip > 0) printf(" clip=%g", (double)l->cell_clip);
  if (l->dropout > 0 || l->recurrent_dropout > 0 || l->zoneout > 0)
    printf(" dropout=%g,%g,%g", (double)l->dropout, (double)l->recurrent_dropout, (double)l->zoneout);
  printf(")");
}

/* Says where a failure was, once for each network and instruction set. */
static inline void print_network(void) {
  static uint64_t said;
  if (said == current->seed * 16 + (uint64_t)current_isa) return;
  said = current->seed * 16 + (uint64_t)current_isa;
  printf("In %s T=%d B=%d loss=%d seed=%llu carry=%d burn_in=%d input=%d", lstm_isa_name(current_isa), current->T,
         current->B, (int)current->how.loss, (unsigned long long)current->seed, current->carry, current->burn_in,
         current->input_size);
  for (int i = 0; i < current->layer_count; i++) print_layer(&current->layers[i]);
  printf("\n");
}

static inline void fail_with(const char *what, double got, double limit) {
  if (++failures > 40) return;
  print_network();
  printf("  FAILED %s: %g, allowed %g\n", what, got, limit);
}

static inline void check_ok(const char *what, lstm_status status, const lstm_error *error) {
  if (status == LSTM_OK) return;
  if (++failures > 40) return;
  print_network();
  printf("  FAILED %s: %s %s\n", what, lstm_status_name(status), error->message);
}

static inline double slack(void) {
  return magnified * (current_isa == LSTM_ISA_SSE2 || current_isa == LSTM_ISA_WASM ? UNFUSED : 1.0);
}

/* `size`: what the floor is relative to. */
static inline void check_close(const char *what, const float *got, const double *want, size_t count, double size) {
  double limit = slack() * (RELATIVE * ref_largest(want, count) + FLOOR * size);
  double difference = ref_difference(got, want, count);
  if (difference > limit) fail_with(what, difference, limit);
}

static inline void check_number(const char *what, double got, double want) {
  double limit = slack() * (RELATIVE * fabs(want) + FLOOR);
  if (!(fabs(got - want) <= limit)) fail_with(what, fabs(got - want), limit);
}

/* --- models and what is expected of them -------------------------------------------------------------------------- */

static inline lstm_model_desc describe(const network *net, lstm_isa isa, lstm_error *error) {
  lstm_model_desc desc = {0};
  desc.input_size = net->input_size;
  desc.layers = net->layers;
  desc.layer_count = net->layer_count;
  desc.isa = isa;
  desc.error = error;
  return desc;
}

static inline lstm_model *make_model(const network *net, lstm_isa isa) {
  lstm_error error = {0};
  lstm_model_desc desc = describe(net, isa, &error);
  lstm_model *model = NULL;
  ref_rng rng = {net->seed};
  check_ok("lstm_model_create", lstm_model_create(&desc, &model), &error);
  for (int i = 0; model && i < lstm_model_tensor_count(model); i++) {
    lstm_tensor tensor;
    if (lstm_model_tensor(model, i, &tensor) == LSTM_OK) ref_fill(&rng, tensor.data, tensor.count, net->weights);
  }
  if (model) lstm_model_refresh(model);
  return model;
}

/* The reference's results for up to two windows in a row. */
typedef struct expected {
  ref_net net;
  int count;
  ref_pass passes[2];
  double *gradients[2][REF_MAX_TENSORS];
  double largest[2]; /* gradient of any kind, per window */
} expected;

static inline double *to_doubles(const float *values, size_t count) {
  double *out = values ? ref_doubles(count) : NULL;
  for (size_t i = 0; values && i < count; i++) out[i] = (double)values[i];
  return out;
}

static inline void expect_window(expected *to, int w, const window *from, const lstm_trainer_desc *how,
                                 const ref_pass *before) {
  ref_pass *pass = &to->passes[w];
  ref_net *net = &to->net;
  ref_pass_open(pass, net, &from->batch, before);
  size_t states = pass->B * net->state_size, inputs = pass->T * pass->B * net->input_size;
  size_t outputs = pass->y_steps * pass->B * net->output_size;
  double squares = 0;
  double *d_output = to_doubles(from->flow.d_output, outputs);
  double *d_final = to_doubles(from->flow.d_final, states);
  ref_zero_gradients(net);
  ref_forward(pass);
  ref_loss(pass, how);
  ref_backward(pass, d_output, d_final);
  for (size_t i = 0; i < outputs; i++) squares += pass->d_y[i] * pass->d_y[i];
  to->largest[w] = fmax(ref_largest(pass->d_initial, states), sqrt(squares));
  if (pass->d_x) to->largest[w] = fmax(to->largest[w], ref_largest(pass->d_x, inputs));
  for (size_t i = 0; i < net->tensor_count; i++) {
    ref_tensor *tensor = &net->tensors[i];
    double *kept = to->gradients[w][i] = ref_doubles(tensor->count);
    memcpy(kept, tensor->gradient, tensor->count * sizeof(double));
    to->largest[w] = fmax(to->largest[w], ref_largest(kept, tensor->count));
  }
  free(d_output), free(d_final);
}

/* The reference's network: the model's, or without one (NULL) that of the description, with the same weights. */
static inline int open_expected(expected *to, const network *net, const lstm_model *model) {
  ref_rng rng = {net->seed};
  memset(to, 0, sizeof *to);
  if (model) {
    int fits = ref_net_open(&to->net, model);
    if (!fits) fail_with("names and shapes of the tensors", 0, 0);
    return fits;
  }
  lstm_model_desc desc = describe(net, LSTM_ISA_AUTO, NULL);
  ref_net_describe(&to->net, &desc);
  for (size_t i = 0; i < to->net.tensor_count; i++)
    for (size_t k = 0; k < to->net.tensors[i].count; k++)
      to->net.tensors[i].value[k] = (double)ref_value(&rng, net->weights);
  return 1;
}

/* Looks for smaller deviations in one direction of a layer. */
static inline void note_deviations(const ref_pass *pass, size_t l, size_t d) {
  for (size_t row = 0; row < pass->T * pass->B; row++)
    for (size_t k = 0; ref_valid(pass, l, row / pass->B, row % pass->B) && k < 5; k++)
      magnified = fmax(magnified, NARROW / pass->traces[l].steps[d][row].deviation[k]);
}

static inline void expect(expected *to, const network *net, const window *windows) {
  magnified = 1;
  to->count = net->carry ? 2 : 1;
  for (int w = 0; w < to->count; w++) expect_window(to, w, &windows[w], &net->how, w ? &to->passes[w - 1] : NULL);
  for (int w = 0; w < to->count; w++)
    for (size_t l = 0; l < to->net.layer_count; l++)
      for (size_t d = 0; to->net.layers[l].is.layer_norm && d < to->net.layers[l].directions; d++)
        note_deviations(&to->passes[w], l, d);
}

static inline void forget(expected *what) {
  for (int w = 0; w < what->count; w++) {
    for (size_t i = 0; i < what->net.tensor_count; i++) free(what->gradients[w][i]);
    ref_pass_close(&what->passes[w]);
  }
  ref_net_close(&what->net);
}

/* --- training ----------------------------------------------------------------------------------------------------- */

/* Runs the tasks last to first, which must not matter. */
static inline void run_backwards(void *user, int count, void (*task)(void *context, int index), void *context) {
  (void)user;
  while (count-- > 0) task(context, count);
}

static inline lstm_trainer *make_trainer(lstm_model *model, const network *net, ref_rng *rng) {
  lstm_trainer_desc desc = net->how;
  lstm_error error = {0};
  lstm_trainer *trainer = NULL;
  desc.batch_size = net->B + (chance(rng, SMALLER_BATCH, 20) ? 2 : 0);
  desc.seq_len = net->T + (chance(rng, SHORTER, 20) ? 3 : 0);
  desc.carry_state = net->carry;
  desc.executor.width = 1 + ref_index(rng, 3);
  if (desc.executor.width > 1) desc.executor.run = run_backwards;
  desc.error = &error;
  check_ok("lstm_trainer_create", lstm_trainer_create(model, &desc, &trainer), &error);
  return trainer;
}

/* After `times` equal backward passes. */
static inline void check_gradients(const lstm_trainer *trainer, const expected *want, int w, double times) {
  for (size_t i = 0; i < want->net.tensor_count; i++) {
    const ref_tensor *tensor = &want->net.tensors[i];
    lstm_tensor got = {0};
    if (tensor->index < 0) continue; /* not to be compared */
    char what[192];
    snprintf(what, sizeof what, "gradient of %s, window %d", tensor->name, w);
    if (lstm_trainer_gradient(trainer, tensor->index, &got) != LSTM_OK || got.count != tensor->count) {
      fail_with(what, 0, 0);
      continue;
    }
    double *sum = ref_doubles(tensor->count);
    for (size_t k = 0; k < tensor->count; k++) sum[k] = times * want->gradients[w][i][k];
    check_close(what, got.data, sum, tensor->count, times * want->largest[w]);
    free(sum);
  }
}

/* One window on level 3: forward, loss, backward apart. */
static inline void check_training_window(lstm_trainer *trainer, const window *from, const expected *want, int w) {
  static float y[MAX_PLACES * MAX_WIDTH], final[MAX_B * MAX_STATES], d_initial[MAX_B * MAX_STATES];
  static float d_input[MAX_PLACES * MAX_WIDTH];
  const ref_pass *pass = &want->passes[w];
  size_t outputs = pass->y_steps * pass->B * want->net.output_size, states = pass->B * want->net.state_size;
  lstm_error error = {0};
  lstm_batch batch = from->batch;
  lstm_flow flow = from->flow;
  float loss = -1.0f;
  batch.error = &error;
  flow.d_initial = d_initial;
  if (batch.x) flow.d_input = d_input;
  lstm_trainer_zero_gradients(trainer);
  check_ok("lstm_trainer_forward", lstm_trainer_forward(trainer, &batch, y), &error);
  check_close("outputs", y, pass->y, outputs, 1.0);
  check_ok("lstm_trainer_final", lstm_trainer_final(trainer, final), &error);
  check_close("final states", final, pass->final, states, 1.0);
  if (current->how.loss != LSTM_LOSS_NONE) {
    check_ok("lstm_trainer_loss", lstm_trainer_loss(trainer, &batch, &loss), &error);
    check_number("loss", (double)loss, pass->loss);
  }
  check_ok("lstm_trainer_backward", lstm_trainer_backward(trainer, &flow), &error);
  check_gradients(trainer, want, w, 1.0);
  check_close("d_initial", d_initial, pass->d_initial, states, want->largest[w]);
  if (batch.x) check_close("d_input", d_input, pass->d_x, pass->T * pass->B * want->net.input_size, want->largest[w]);
}

/* The same window again: gradients add up until they are set to zero. */
static inline void check_adding_up(lstm_trainer *trainer, const window *from, const expected *want) {
  lstm_error error = {0};
  lstm_batch batch = from->batch;
  batch.error = &error;
  check_ok("lstm_trainer_forward", lstm_trainer_forward(trainer, &batch, NULL), &error);
  if (current->how.loss != LSTM_LOSS_NONE)
    check_ok("lstm_trainer_loss", lstm_trainer_loss(trainer, &batch, NULL), &error);
  check_ok("lstm_trainer_backward", lstm_trainer_backward(trainer, &from->flow), &error);
  check_gradients(trainer, want, 0, 2.0);
}

static inline void check_training(lstm_trainer *trainer, const network *net, const window *windows,
                                  const expected *want) {
  for (int w = 0; w < want->count; w++) check_training_window(trainer, &windows[w], want, w);
  if (!net->carry) check_adding_up(trainer, &windows[0], want);
}

/* --- running ------------------------------------------------------------------------------------------------------ */

static inline lstm_state *make_state(const lstm_model *model, int lanes) {
  lstm_state_desc desc = {0};
  lstm_error error = {0};
  lstm_state *state = NULL;
  desc.lanes = lanes;
  desc.tasks = 2;
  desc.seq_len = current->T;
  desc.error = &error;
  check_ok("lstm_state_create", lstm_state_create(model, &desc, &state), &error);
  return state;
}

static inline void check_states(const lstm_model *model, const lstm_state *state, const ref_pass *pass) {
  float values[MAX_STATES] = {0};
  for (size_t b = 0; b < pass->B; b++) {
    check_ok("lstm_state_get", lstm_state_get(model, state, (int)b, values), &(lstm_error){0});
    check_close("final states", values, pass->final + b * pass->net->state_size, pass->net->state_size, 1.0);
  }
}

/* Logits of the reference as the model returns them; padding stays 0. Free it. */
static inline double *expected_outputs(const lstm_model *model, const ref_pass *pass) {
  size_t O = pass->net->output_size, rows = pass->y_steps * pass->B;
  double *y = ref_doubles(rows * O);
  memcpy(y, pass->y, rows * O * sizeof(double));
  for (size_t row = 0; row < rows; row++)
    if (ref_valid(pass, pass->net->layer_count, row / pass->B, row % pass->B))
      ref_probabilities(lstm_model_output(model), y + row * O, O);
  return y;
}

static inline void check_metrics(const lstm_metrics *got, const ref_pass *pass) {
  check_number("metrics.loss", got->loss, pass->loss * pass->weight);
  check_number("metrics.weight", got->weight, pass->weight);
  check_number("metrics.targets", got->targets, pass->targets);
  if (current->how.loss == LSTM_CROSS_ENTROPY || current->how.loss == LSTM_BINARY_CROSS_ENTROPY)
    check_number("metrics.correct", got->correct, pass->correct);
}

/* As lstm_evaluate, which knows only the loss's name, where that is all there is to know. */
static inline lstm_status evaluate(const lstm_trainer *trainer, lstm_state *state, const lstm_batch *batch,
                                   lstm_metrics *metrics) {
  const lstm_trainer_desc *how = &current->how;
  if (how->huber_delta > 0 || how->label_smoothing > 0 || how->class_weights || how->pre_emphasis > 0)
    return lstm_trainer_evaluate(trainer, state, batch, metrics, NULL);
  return lstm_evaluate(lstm_trainer_model(trainer), state, batch, how->loss, metrics, NULL);
}

/* lstm_forward_batch and the evaluation of the windows, their states carried. */
static inline void check_batches(const lstm_trainer *trainer, const window *windows, const expected *want) {
  const lstm_model *model = lstm_trainer_model(trainer);
  static float y[MAX_PLACES * MAX_WIDTH];
  const lstm_executor executor = {2, run_backwards, NULL};
  lstm_state *state = make_state(model, current->B), *judged = make_state(model, current->B + 1);
  for (int w = 0; state && judged && w < want->count; w++) {
    const ref_pass *pass = &want->passes[w];
    lstm_error error = {0};
    lstm_batch batch = windows[w].batch;
    lstm_metrics metrics = {0};
    double *outputs = expected_outputs(model, pass);
    batch.error = &error;
    check_ok("lstm_forward_batch", lstm_forward_batch(model, state, &batch, y, &executor), &error);
    check_close("forward_batch", y, outputs, pass->y_steps * pass->B * pass->net->output_size, 1.0);
    check_states(model, state, pass);
    if (current->how.loss != LSTM_LOSS_NONE) {
      check_ok("evaluate", evaluate(trainer, judged, &batch, &metrics), &error);
      check_metrics(&metrics, pass);
      check_states(model, judged, pass);
    }
    free(outputs);
  }
  lstm_state_destroy(state);
  lstm_state_destroy(judged);
}

static inline void set_initial(const lstm_model *model, lstm_state *state, const ref_pass *pass) {
  float values[MAX_STATES] = {0};
  for (size_t b = 0; b < pass->B; b++) {
    for (size_t k = 0; k < pass->net->state_size; k++) values[k] = (float)pass->initial[b * pass->net->state_size + k];
    check_ok("lstm_state_set", lstm_state_set(model, state, (int)b, values), &(lstm_error){0});
  }
}

/* One step of the lanes that have not ended. A step always emits an output, so `pass` must read all. */
static inline void check_step(const lstm_model *model, lstm_state *state, const ref_pass *pass, const double *want,
                              size_t t) {
  static float x[MAX_B * MAX_WIDTH], y[MAX_B * MAX_WIDTH];
  int lanes[MAX_B], n = 0;
  int32_t ids[MAX_B];
  size_t I = pass->net->input_size, O = pass->net->output_size;
  for (size_t b = pass->B; b-- > 0;) { /* last lane first: any order is allowed */
    if (t >= pass->lengths[b]) continue;
    if (pass->batch.ids)
      ids[n] = pass->batch.ids[t * pass->B + b];
    else
      memcpy(x + (size_t)n * I, pass->batch.x + (t * pass->B + b) * I, I * sizeof(float));
    lanes[n++] = (int)b;
  }
  if (n == 0) return;
  lstm_status status = pass->batch.ids ? lstm_step_ids_lanes(model, state, lanes, n, ids, y)
                                       : lstm_step_lanes(model, state, lanes, n, x, y);
  check_ok("lstm_step_lanes", status, &(lstm_error){0});
  for (int i = 0; i < n; i++)
    check_close("step", y + (size_t)i * O, want + (t * pass->B + (size_t)lanes[i]) * O, O, 1.0);
}

static inline void check_sequence(const lstm_model *model, lstm_state *state, const ref_pass *pass) {
  static float y[MAX_PLACES * MAX_WIDTH];
  double *want = expected_outputs(model, pass);
  set_initial(model, state, pass);
  lstm_status status = pass->batch.ids ? lstm_forward_ids(model, state, pass->batch.ids, (int)pass->T, y)
                                       : lstm_forward(model, state, pass->batch.x, (int)pass->T, y);
  check_ok("lstm_forward", status, &(lstm_error){0});
  check_close("forward", y, want, pass->y_steps * pass->B * pass->net->output_size, 1.0);
  free(want);
}

/* The first window, step by step. */
static inline void check_steps(const lstm_model *model, lstm_state *state, const expected *want) {
  ref_net reading_all = want->net; /* shares the tensors */
  ref_pass pass;
  reading_all.read = LSTM_READ_ALL;
  ref_pass_open(&pass, &reading_all, &want->passes[0].batch, NULL);
  ref_forward(&pass);
  double *outputs = expected_outputs(model, &pass);
  set_initial(model, state, &pass);
  for (size_t t = 0; t < pass.T; t++) check_step(model, state, &pass, outputs, t);
  check_states(model, state, &pass);
  free(outputs);
  ref_pass_close(&pass);
}

/* A model that reads backwards cannot be stepped, and says so. */
static inline void check_refusal(const lstm_model *model, lstm_state *state, const ref_pass *pass) {
  static float y[MAX_B * MAX_WIDTH];
  lstm_status status =
      pass->batch.ids ? lstm_step_ids(model, state, pass->batch.ids, y) : lstm_step(model, state, pass->batch.x, y);
  if (status != LSTM_ERR_UNSUPPORTED) fail_with("the status of a step of a bidirectional model", (double)status, 0);
}

static inline void check_stepping(const lstm_model *model, const expected *want) {
  lstm_state *state = make_state(model, current->B);
  if (!state) return;
  if (lstm_model_bidirectional(model))
    check_refusal(model, state, &want->passes[0]);
  else
    check_steps(model, state, want);
  if (!want->passes[0].batch.lengths) check_sequence(model, state, &want->passes[0]);
  lstm_state_destroy(state);
}

/* --- all of it ---------------------------------------------------------------------------------------------------- */

static inline lstm_isa first_isa(void) {
  int isa = LSTM_ISA_SCALAR;
  while (isa < LSTM_ISA_COUNT - 1 && !lstm_isa_usable((lstm_isa)isa)) isa++;
  return (lstm_isa)isa;
}

static inline void check_on_isa(const network *net, lstm_isa isa, const window *windows, const expected *want) {
  ref_rng rng = {net->seed + 7};
  current_isa = isa;
  lstm_model *model = make_model(net, isa);
  lstm_trainer *trainer = model ? make_trainer(model, net, &rng) : NULL; /* settles what the model's output is */
  if (trainer) {
    if (!net->random) check_training(trainer, net, windows, want);
    check_batches(trainer, windows, want);
    check_stepping(model, want);
  }
  lstm_trainer_destroy(trainer);
  lstm_model_destroy(model);
}

/* Everything about one network, on every usable instruction set or only on the best. Returns how many it ran on. */
static inline int check_network(const network *net, ref_rng *rng, int all_isas) {
  static window windows[2];
  int ran = 0;
  expected want;
  current = net;
  current_isa = first_isa();
  lstm_model *model = make_model(net, current_isa);
  int known = model && open_expected(&want, net, model);
  lstm_model_destroy(model);
  if (!known) return 0;
  draw_window(&windows[0], rng, net, &want.net);
  draw_window(&windows[1], rng, net, &want.net);
  expect(&want, net, windows);
  for (int isa = LSTM_ISA_SCALAR; isa < LSTM_ISA_COUNT; isa++) {
    if (!lstm_isa_usable((lstm_isa)isa) || (!all_isas && (lstm_isa)isa != lstm_isa_best())) continue;
    check_on_isa(net, (lstm_isa)isa, windows, &want);
    ran++;
  }
  forget(&want);
  return ran;
}

#endif
