/* gradcheck.c - derivatives. First the reference's own (tests/reference.h) against central differences in double, then
   everything the library computes against the reference: outputs, final states, losses, metrics and the gradient of
   every tensor, input and initial state, over some thousand drawn networks and windows, on every usable instruction
   set. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <time.h>

#include <cmocka.h>

#define LSTM_IMPLEMENTATION
#include "lstm.h"

#include "../reference.h"

/* "Equal": max|diff| <= RELATIVE * max|ref| per tensor. The floor is for tensors that are small only because large
   terms cancelled in them (one bias of one unit, say): float rounds a term of size s by up to s * 2^-24 = 6e-8 s, and
   a few such terms meet in each sum. It is relative to the largest gradient of the window (outputs and states: to 1,
   the size of the weights and inputs here). Code without fused operations rounds about twice as often. */
#define RELATIVE 1e-5
#define FLOOR 2.4e-7
#define UNFUSED 4.0

enum { MAX_PLACES = 160, MAX_B = 50, MAX_WIDTH = 130, MAX_STATES = 780, MAX_STACK = 12 }; /* places: T x B */

/* --- drawing networks and windows --------------------------------------------------------------------------------- */

typedef struct network {
  lstm_layer layers[MAX_STACK];
  int layer_count, input_size;
  int T, B;
  lstm_loss loss;
  int carry; /* two windows, the second from the first one's final states */
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
#define FEATURE_LIST(X)                                                                                               \
  X(READ_LAST, "read last") X(READ_ALL, "read all") X(RAGGED, "ragged") X(EMPTY_LANE, "empty lane")                   \
  X(WEIGHTS, "weights") X(MISSING, "missing targets") X(INITIAL, "initial states") X(CARRY, "carried states")         \
  X(RESET, "lane resets") X(D_OUTPUT, "d_output") X(D_FINAL, "d_final") X(TOKENS, "tokens") X(FEATURES, "features")   \
  X(UNEQUAL, "unequal sizes") X(NO_HEAD, "no head") X(DENSE_BELOW, "dense below") X(DENSE_BETWEEN, "dense between")   \
  X(LINEAR, "linear") X(TANH, "tanh") X(SIGMOID, "sigmoid") X(RELU, "relu") X(DROPOUT, "dropout")                     \
  X(SMALLER_BATCH, "batch below the largest") X(SHORTER, "window below the longest")
#define AS_NAME(name, text) name,
#define AS_TEXT(name, text) text,
enum { FEATURE_LIST(AS_NAME) FEATURE_COUNT };
static const char *const feature_names[FEATURE_COUNT] = {FEATURE_LIST(AS_TEXT)};
static int features[FEATURE_COUNT];

static int chance(ref_rng *rng, int feature, int percent) {
  int yes = ref_index(rng, 100) < percent;
  if (feature >= 0) features[feature] += yes;
  return yes;
}

static void add(network *net, lstm_layer layer) { net->layers[net->layer_count++] = layer; }

static void add_dense(network *net, ref_rng *rng, int size, int any_activation) {
  lstm_layer layer = lstm_dense(size);
  if (any_activation) layer.activation = (lstm_activation)ref_index(rng, LSTM_ACTIVATION_COUNT);
  features[LINEAR + (int)layer.activation]++;
  add(net, layer);
}

/* What widths are drawn from. The wide ones take more than one panel of 64 columns, or several blocks of 16 units. */
typedef struct palette {
  int count, sizes[8];
} palette;
static const palette narrow = {8, {1, 2, 3, 5, 7, 16, 17, 33}}, wide = {6, {3, 33, 64, 65, 80, 130}};

static int draw_size(ref_rng *rng, const palette *from) { return from->sizes[ref_index(rng, from->count)]; }

/* L LSTM layers, most often of one size, with dropout (rate 0) or a dense layer between some. */
static void add_recurrent(network *net, ref_rng *rng, const palette *from, int L, int H) {
  int unequal = L > 1 && chance(rng, UNEQUAL, 25);
  for (int l = 0; l < L; l++) {
    add(net, lstm_lstm(unequal && l ? draw_size(rng, from) : H));
    if (chance(rng, DROPOUT, 20)) add(net, lstm_dropout(0.0f));
    if (l + 1 < L && chance(rng, DENSE_BETWEEN, 10)) add_dense(net, rng, draw_size(rng, from), 1);
  }
  for (int at = net->layer_count - 1; at >= 0; at--)
    if (net->layers[at].type == LSTM_LAYER_LSTM) {
      int last = chance(rng, READ_LAST, 45);
      features[READ_ALL] += !last;
      net->layers[at].read = last ? LSTM_READ_LAST : LSTM_READ_ALL;
      return;
    }
}

static void draw_network(network *net, ref_rng *rng, const palette *from, int L, int H, int T, int B, lstm_loss loss) {
  memset(net, 0, sizeof *net);
  net->T = T;
  net->B = B;
  net->loss = loss;
  net->seed = ref_bits(rng);
  net->carry = chance(rng, CARRY, 30);
  net->input_size = draw_size(rng, from);
  if (chance(rng, TOKENS, 35)) {
    add(net, lstm_embedding(draw_size(rng, from)));
  } else {
    features[FEATURES]++;
    if (chance(rng, DENSE_BELOW, 15)) add_dense(net, rng, draw_size(rng, from), 1);
  }
  add_recurrent(net, rng, from, L, H);
  if (chance(rng, NO_HEAD, 10)) return;
  if (chance(rng, -1, 40)) add_dense(net, rng, draw_size(rng, from), 1);
  add_dense(net, rng, draw_size(rng, from), loss == LSTM_MSE);
}

static void draw_targets(window *to, ref_rng *rng, lstm_loss loss, int rows, int O) {
  lstm_batch *batch = &to->batch;
  int missing = chance(rng, MISSING, 30);
  if (loss == LSTM_CROSS_ENTROPY) batch->target_ids = to->target_ids;
  if (loss == LSTM_MSE || loss == LSTM_BINARY_CROSS_ENTROPY) batch->targets = to->targets;
  for (int i = 0; i < rows; i++)
    to->target_ids[i] = missing && ref_index(rng, 3) == 0 ? -1 - ref_index(rng, 2) * 99 : ref_index(rng, O);
  for (int i = 0; i < rows * O; i++) to->targets[i] = 0.5f + ref_value(rng, 0.5f);
  if (!chance(rng, WEIGHTS, 30)) return;
  batch->weights = to->weights;
  for (int i = 0; i < rows; i++) to->weights[i] = ref_index(rng, 4) ? 1.0f + ref_value(rng, 1.0f) : 0.0f;
}

static void draw_lanes(window *to, ref_rng *rng, const network *net, int S) {
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
static void poison_padding(window *to, const network *net, int O, int reads_last) {
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

static void draw_window(window *to, ref_rng *rng, const network *net, const lstm_model *model) {
  int I = net->input_size, O = lstm_model_output_size(model), S = lstm_model_state_size(model);
  int reads_last = lstm_model_reads_last(model), rows = (reads_last ? 1 : net->T) * net->B;
  memset(to, 0, sizeof *to);
  to->batch.seq_len = net->T;
  to->batch.batch_size = net->B;
  ref_fill(rng, to->x, (size_t)(net->T * net->B * I), 1.0f);
  for (int i = 0; i < net->T * net->B; i++) to->ids[i] = ref_index(rng, I);
  if (lstm_model_takes_ids(model))
    to->batch.ids = to->ids;
  else
    to->batch.x = to->x;
  draw_targets(to, rng, net->loss, rows, O);
  draw_lanes(to, rng, net, S);
  ref_fill(rng, to->d_output, (size_t)(rows * O), 0.5f);
  ref_fill(rng, to->d_final, (size_t)(net->B * S), 0.5f);
  if (chance(rng, D_OUTPUT, net->loss == LSTM_LOSS_NONE ? 100 : 15)) to->flow.d_output = to->d_output;
  if (chance(rng, D_FINAL, 30)) to->flow.d_final = to->d_final;
  poison_padding(to, net, O, reads_last);
}

/* --- failures ----------------------------------------------------------------------------------------------------- */

static int failures;
static const network *current;
static lstm_isa current_isa;

/* Says where a failure was, once for each network and instruction set. */
static void print_network(void) {
  static const char *const types[] = {"none", "embedding", "lstm", "dense", "dropout"};
  static uint64_t said;
  if (said == current->seed * 16 + (uint64_t)current_isa) return;
  said = current->seed * 16 + (uint64_t)current_isa;
  printf("In %s T=%d B=%d loss=%d seed=%llu carry=%d input=%d", lstm_isa_name(current_isa), current->T, current->B,
         (int)current->loss, (unsigned long long)current->seed, current->carry, current->input_size);
  for (int i = 0; i < current->layer_count; i++)
    printf(" %s(%d act=%d read=%d)", types[current->layers[i].type], current->layers[i].size,
           (int)current->layers[i].activation, (int)current->layers[i].read);
  printf("\n");
}

static void fail_with(const char *what, double got, double limit) {
  if (++failures > 40) return;
  print_network();
  printf("  FAILED %s: %g, allowed %g\n", what, got, limit);
}

static void check_ok(const char *what, lstm_status status, const lstm_error *error) {
  if (status == LSTM_OK) return;
  if (++failures > 40) return;
  print_network();
  printf("  FAILED %s: %s %s\n", what, lstm_status_name(status), error->message);
}

static double slack(void) { return current_isa == LSTM_ISA_SSE2 || current_isa == LSTM_ISA_WASM ? UNFUSED : 1.0; }

/* `size`: what the floor is relative to. */
static void check_close(const char *what, const float *got, const double *want, size_t count, double size) {
  double limit = slack() * (RELATIVE * ref_largest(want, count) + FLOOR * size);
  double difference = ref_difference(got, want, count);
  if (difference > limit) fail_with(what, difference, limit);
}

static void check_number(const char *what, double got, double want) {
  double limit = slack() * (RELATIVE * fabs(want) + FLOOR);
  if (!(fabs(got - want) <= limit)) fail_with(what, fabs(got - want), limit);
}

/* --- models and what is expected of them -------------------------------------------------------------------------- */

static lstm_model *make_model(const network *net, lstm_isa isa) {
  lstm_error error = {0};
  lstm_model_desc desc = {0};
  lstm_model *model = NULL;
  desc.input_size = net->input_size;
  desc.layers = net->layers;
  desc.layer_count = net->layer_count;
  desc.isa = isa;
  desc.error = &error;
  check_ok("lstm_model_create", lstm_model_create(&desc, &model), &error);
  if (!model) return NULL;
  ref_rng rng = {net->seed};
  for (int i = 0; i < lstm_model_tensor_count(model); i++) {
    lstm_tensor tensor;
    if (lstm_model_tensor(model, i, &tensor) == LSTM_OK) ref_fill(&rng, tensor.data, tensor.count, 0.6f);
  }
  lstm_model_refresh(model);
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

static double *to_doubles(const float *values, size_t count) {
  double *out = values ? ref_doubles(count) : NULL;
  for (size_t i = 0; values && i < count; i++) out[i] = (double)values[i];
  return out;
}

static void expect_window(expected *to, int w, const window *from, lstm_loss loss, const double *carried) {
  ref_pass *pass = &to->passes[w];
  ref_net *net = &to->net;
  ref_pass_open(pass, net, &from->batch, carried);
  size_t states = pass->B * net->state_size, inputs = pass->T * pass->B * net->input_size;
  double *d_output = to_doubles(from->flow.d_output, pass->y_steps * pass->B * net->output_size);
  double *d_final = to_doubles(from->flow.d_final, states);
  ref_zero_gradients(net);
  ref_forward(pass);
  ref_loss(pass, loss);
  ref_backward(pass, d_output, d_final);
  to->largest[w] = ref_largest(pass->d_initial, states);
  if (pass->d_x) to->largest[w] = fmax(to->largest[w], ref_largest(pass->d_x, inputs));
  for (size_t i = 0; i < net->tensor_count; i++) {
    ref_tensor *tensor = &net->tensors[i];
    double *kept = to->gradients[w][i] = ref_doubles(tensor->count);
    memcpy(kept, tensor->gradient, tensor->count * sizeof(double));
    to->largest[w] = fmax(to->largest[w], ref_largest(kept, tensor->count));
  }
  free(d_output), free(d_final);
}

static int expect(expected *to, const network *net, const lstm_model *model, const window *windows) {
  memset(to, 0, sizeof *to);
  if (!ref_net_open(&to->net, model)) {
    fail_with("names and shapes of the tensors", 0, 0);
    return 0;
  }
  to->count = net->carry ? 2 : 1;
  for (int w = 0; w < to->count; w++)
    expect_window(to, w, &windows[w], net->loss, w ? to->passes[w - 1].final : NULL);
  return 1;
}

static void forget(expected *what) {
  for (int w = 0; w < what->count; w++) {
    for (size_t i = 0; i < what->net.tensor_count; i++) free(what->gradients[w][i]);
    ref_pass_close(&what->passes[w]);
  }
  ref_net_close(&what->net);
}

/* --- training ----------------------------------------------------------------------------------------------------- */

/* Runs the tasks last to first, which must not matter. */
static void run_backwards(void *user, int count, void (*task)(void *context, int index), void *context) {
  (void)user;
  while (count-- > 0) task(context, count);
}

static lstm_trainer *make_trainer(lstm_model *model, const network *net, ref_rng *rng) {
  lstm_trainer_desc desc = {0};
  lstm_error error = {0};
  lstm_trainer *trainer = NULL;
  desc.batch_size = net->B + (chance(rng, SMALLER_BATCH, 20) ? 2 : 0);
  desc.seq_len = net->T + (chance(rng, SHORTER, 20) ? 3 : 0);
  desc.loss = net->loss;
  desc.carry_state = net->carry;
  desc.executor.width = 1 + ref_index(rng, 3);
  if (desc.executor.width > 1) desc.executor.run = run_backwards;
  desc.error = &error;
  check_ok("lstm_trainer_create", lstm_trainer_create(model, &desc, &trainer), &error);
  return trainer;
}

/* After `times` equal backward passes. */
static void check_gradients(const lstm_trainer *trainer, const expected *want, int w, double times) {
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
static void check_training_window(lstm_trainer *trainer, const window *from, const expected *want, int w) {
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
  if (current->loss != LSTM_LOSS_NONE) {
    check_ok("lstm_trainer_loss", lstm_trainer_loss(trainer, &batch, &loss), &error);
    check_number("loss", (double)loss, pass->loss);
  }
  check_ok("lstm_trainer_backward", lstm_trainer_backward(trainer, &flow), &error);
  check_gradients(trainer, want, w, 1.0);
  check_close("d_initial", d_initial, pass->d_initial, states, want->largest[w]);
  if (batch.x)
    check_close("d_input", d_input, pass->d_x, pass->T * pass->B * want->net.input_size, want->largest[w]);
}

/* The same window again: gradients add up until they are set to zero. */
static void check_adding_up(lstm_trainer *trainer, const window *from, const expected *want) {
  lstm_error error = {0};
  lstm_batch batch = from->batch;
  batch.error = &error;
  check_ok("lstm_trainer_forward", lstm_trainer_forward(trainer, &batch, NULL), &error);
  if (current->loss != LSTM_LOSS_NONE)
    check_ok("lstm_trainer_loss", lstm_trainer_loss(trainer, &batch, NULL), &error);
  check_ok("lstm_trainer_backward", lstm_trainer_backward(trainer, &from->flow), &error);
  check_gradients(trainer, want, 0, 2.0);
}

static void check_training(lstm_model *model, const network *net, const window *windows, const expected *want) {
  ref_rng rng = {net->seed + 7};
  lstm_trainer *trainer = make_trainer(model, net, &rng);
  if (!trainer) return;
  for (int w = 0; w < want->count; w++) check_training_window(trainer, &windows[w], want, w);
  if (!net->carry) check_adding_up(trainer, &windows[0], want);
  lstm_trainer_destroy(trainer);
}

/* --- running ------------------------------------------------------------------------------------------------------ */

static lstm_state *make_state(const lstm_model *model, int lanes) {
  lstm_state_desc desc = {0};
  lstm_error error = {0};
  lstm_state *state = NULL;
  desc.lanes = lanes;
  desc.tasks = 2;
  desc.error = &error;
  check_ok("lstm_state_create", lstm_state_create(model, &desc, &state), &error);
  return state;
}

static void check_states(const lstm_model *model, const lstm_state *state, const ref_pass *pass) {
  float values[MAX_STATES] = {0};
  for (size_t b = 0; b < pass->B; b++) {
    check_ok("lstm_state_get", lstm_state_get(model, state, (int)b, values), &(lstm_error){0});
    check_close("final states", values, pass->final + b * pass->net->state_size, pass->net->state_size, 1.0);
  }
}

/* Logits of the reference as the model returns them; padding stays 0. Free it. */
static double *expected_outputs(const lstm_model *model, const ref_pass *pass) {
  size_t O = pass->net->output_size, rows = pass->y_steps * pass->B;
  double *y = ref_doubles(rows * O);
  memcpy(y, pass->y, rows * O * sizeof(double));
  for (size_t row = 0; row < rows; row++)
    if (ref_valid(pass, pass->net->layer_count, row / pass->B, row % pass->B))
      ref_probabilities(lstm_model_output(model), y + row * O, O);
  return y;
}

static void check_metrics(const lstm_metrics *got, const ref_pass *pass) {
  check_number("metrics.loss", got->loss, pass->loss * pass->weight);
  check_number("metrics.weight", got->weight, pass->weight);
  check_number("metrics.targets", got->targets, pass->targets);
  if (current->loss == LSTM_CROSS_ENTROPY || current->loss == LSTM_BINARY_CROSS_ENTROPY)
    check_number("metrics.correct", got->correct, pass->correct);
}

/* lstm_forward_batch and lstm_evaluate over the windows, their states carried. */
static void check_batches(const lstm_model *model, const window *windows, const expected *want) {
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
    if (current->loss != LSTM_LOSS_NONE) {
      check_ok("lstm_evaluate", lstm_evaluate(model, judged, &batch, current->loss, &metrics, NULL), &error);
      check_metrics(&metrics, pass);
      check_states(model, judged, pass);
    }
    free(outputs);
  }
  lstm_state_destroy(state);
  lstm_state_destroy(judged);
}

static void set_initial(const lstm_model *model, lstm_state *state, const ref_pass *pass) {
  float values[MAX_STATES] = {0};
  for (size_t b = 0; b < pass->B; b++) {
    for (size_t k = 0; k < pass->net->state_size; k++)
      values[k] = (float)pass->initial[b * pass->net->state_size + k];
    check_ok("lstm_state_set", lstm_state_set(model, state, (int)b, values), &(lstm_error){0});
  }
}

/* One step of the lanes that have not ended. A step always emits an output, so `pass` must read all. */
static void check_step(const lstm_model *model, lstm_state *state, const ref_pass *pass, const double *want, size_t t) {
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

static void check_sequence(const lstm_model *model, lstm_state *state, const ref_pass *pass) {
  static float y[MAX_PLACES * MAX_WIDTH];
  double *want = expected_outputs(model, pass);
  set_initial(model, state, pass);
  lstm_status status = pass->batch.ids ? lstm_forward_ids(model, state, pass->batch.ids, (int)pass->T, y)
                                       : lstm_forward(model, state, pass->batch.x, (int)pass->T, y);
  check_ok("lstm_forward", status, &(lstm_error){0});
  check_close("forward", y, want, pass->y_steps * pass->B * pass->net->output_size, 1.0);
  free(want);
}

static void check_stepping(const lstm_model *model, const expected *want) {
  ref_net reading_all = want->net; /* shares the tensors */
  ref_pass pass;
  lstm_state *state = make_state(model, current->B);
  if (!state) return;
  reading_all.reads_last = 0;
  ref_pass_open(&pass, &reading_all, &want->passes[0].batch, NULL);
  ref_forward(&pass);
  double *outputs = expected_outputs(model, &pass);
  set_initial(model, state, &pass);
  for (size_t t = 0; t < pass.T; t++) check_step(model, state, &pass, outputs, t);
  check_states(model, state, &pass);
  free(outputs);
  ref_pass_close(&pass);
  if (!want->passes[0].batch.lengths) check_sequence(model, state, &want->passes[0]);
  lstm_state_destroy(state);
}

/* --- tests -------------------------------------------------------------------------------------------------------- */

static lstm_isa first_isa(void) {
  int isa = LSTM_ISA_SCALAR;
  while (isa < LSTM_ISA_COUNT - 1 && !lstm_isa_usable((lstm_isa)isa)) isa++;
  return (lstm_isa)isa;
}

/* Everything about one network, on every instruction set. Returns how many it ran on. */
static int check_network(const network *net, ref_rng *rng) {
  static window windows[2];
  int ran = 0;
  expected want;
  current = net;
  current_isa = first_isa();
  lstm_model *model = make_model(net, current_isa);
  if (!model) return 0;
  draw_window(&windows[0], rng, net, model);
  draw_window(&windows[1], rng, net, model);
  int known = expect(&want, net, model, windows);
  lstm_model_destroy(model);
  for (int isa = LSTM_ISA_SCALAR; known && isa < LSTM_ISA_COUNT; isa++) {
    if (!lstm_isa_usable((lstm_isa)isa)) continue;
    current_isa = (lstm_isa)isa;
    model = make_model(net, current_isa);
    if (!model) continue;
    check_training(model, net, windows, &want); /* first: the trainer's loss settles what the model's output is */
    check_batches(model, windows, &want);
    check_stepping(model, &want);
    lstm_model_destroy(model);
    ran++;
  }
  if (known) forget(&want);
  return ran;
}

static int networks, runs;

static void check_drawn(ref_rng *rng, const palette *from, int L, int H, int T, int B, int loss) {
  network net;
  draw_network(&net, rng, from, L, H, T, B, (lstm_loss)loss);
  runs += check_network(&net, rng);
  networks++;
}

static void report(const char *what, clock_t begin) {
  printf("%s: %d networks, %d runs on the instruction sets, %.1f s, %d failures\n", what, networks, runs,
         (double)(clock() - begin) / CLOCKS_PER_SEC, failures);
}

static void library_equals_reference(void **unused) {
  static const int sizes[] = {1, 3, 16, 17, 20}, lengths[] = {1, 2, 5, 7}, batches[] = {1, 2, 5};
  ref_rng rng = {20240229};
  clock_t begin = clock();
  (void)unused;
  memset(features, 0, sizeof features);
  networks = runs = failures = 0;
  for (int round = 0; round < 2; round++)
    for (int L = 1; L <= 3; L++)
      for (int h = 0; h < 5; h++)
        for (int t = 0; t < 4; t++)
          for (int b = 0; b < 3; b++)
            for (int loss = LSTM_LOSS_NONE; loss < LSTM_LOSS_COUNT; loss++)
              check_drawn(&rng, &narrow, L, sizes[h], lengths[t], batches[b], loss);
  report("narrow", begin);
  for (int i = 0; i < FEATURE_COUNT; i++) {
    printf("  %s: %d\n", feature_names[i], features[i]);
    assert_true(features[i] >= 10);
  }
  assert_int_equal(failures, 0);
}

/* More panels, blocks and lanes (50 lanes are more than go through the layers together). */
static void wide_networks_equal_reference(void **unused) {
  static const int sizes[] = {33, 64, 65, 80}, lengths[] = {1, 2, 3}, batches[] = {4, 13, 50};
  ref_rng rng = {1997};
  clock_t begin = clock();
  (void)unused;
  networks = runs = failures = 0;
  for (int h = 0; h < 4; h++)
    for (int t = 0; t < 3; t++)
      for (int loss = LSTM_LOSS_NONE; loss < LSTM_LOSS_COUNT; loss++)
        check_drawn(&rng, &wide, 1 + (h + t + loss) % 2, sizes[h], lengths[t], batches[(h + t + loss) % 3], loss);
  report("wide", begin);
  assert_int_equal(failures, 0);
}

/* Dropout cannot be compared with a reference that does not know what was dropped, unless it shows: as the last layer,
   or before a last layer that passes everything on unchanged. Then y says what was dropped (it is 0 there and
   1 / (1 - rate) times its value elsewhere), and the gradients must be those of d_output times the same factors. */
static void draw_dropout_network(network *net, lstm_read read, int before_head, float rate) {
  memset(net, 0, sizeof *net);
  net->input_size = 3;
  net->T = 7;
  net->B = 5;
  net->seed = 77;
  add(net, lstm_lstm(17));
  net->layers[0].read = read;
  if (before_head) add(net, lstm_dropout(rate));
  add(net, lstm_dense(17));
  if (!before_head) add(net, lstm_dropout(rate));
}

static void make_head_identity(lstm_model *model) {
  for (int i = 0; i < lstm_model_tensor_count(model); i++) {
    lstm_tensor tensor;
    if (lstm_model_tensor(model, i, &tensor) != LSTM_OK || strncmp(tensor.name, "head.", 5) != 0) continue;
    memset(tensor.data, 0, tensor.count * sizeof(float));
    for (int k = 0; k < tensor.columns; k++) tensor.data[k * tensor.columns + k] = 1.0f;
  }
  lstm_model_refresh(model);
}

/* The factors 0 and 1 / (1 - rate) that y shows, times d_output, into scaled. kept [count]: y without dropout. */
static void read_mask(const float *y, const double *kept, float rate, const float *d_output, float *scaled,
                      size_t count) {
  int places = 0, dropped = 0;
  for (size_t i = 0; i < count; i++) {
    double whole = kept[i] / (1.0 - (double)rate);
    int zero = fabs((double)y[i]) <= 0;
    scaled[i] = zero ? 0.0f : d_output[i] / (1.0f - rate);
    if (!zero && !(fabs((double)y[i] - whole) <= RELATIVE)) fail_with("a value that dropout kept", (double)y[i], whole);
    if (fabs(kept[i]) <= 0) continue; /* padding is 0 anyway */
    places++;
    dropped += zero;
  }
  double mean = (double)rate * places, spread = sqrt((double)rate * (1 - (double)rate) * places);
  if (!(fabs(dropped - mean) <= 4 * spread)) fail_with("number of dropped values", dropped, mean);
}

/* from->d_output becomes what it would have to be in a network without dropout. */
static void fold_mask(window *from, const lstm_model *model, const float *y, float rate) {
  expected without;
  if (!expect(&without, current, model, from)) return;
  size_t count = without.passes[0].y_steps * without.passes[0].B * without.net.output_size;
  read_mask(y, without.passes[0].y, rate, from->d_output, from->d_output, count);
  forget(&without);
}

static void check_dropped_gradients(const lstm_trainer *trainer, const window *from, int before_head) {
  expected want;
  if (!expect(&want, current, lstm_trainer_model(trainer), from)) return;
  for (size_t i = 0; before_head && i < want.net.tensor_count; i++)
    if (!strncmp(want.net.tensors[i].name, "head.", 5)) want.net.tensors[i].index = -1; /* its input was another */
  check_gradients(trainer, &want, 0, 1.0);
  forget(&want);
}

static void check_dropout(lstm_read read, int before_head, float rate) {
  static window from;
  static float y[MAX_PLACES * MAX_WIDTH];
  network net;
  lstm_error error = {0};
  ref_rng rng = {5};
  current_isa = lstm_isa_best();
  current = &net;
  draw_dropout_network(&net, read, before_head, rate);
  lstm_model *model = make_model(&net, current_isa);
  lstm_trainer *trainer = model ? make_trainer(model, &net, &rng) : NULL;
  if (trainer) {
    make_head_identity(model);
    draw_window(&from, &rng, &net, model);
    check_ok("lstm_trainer_forward", lstm_trainer_forward(trainer, &from.batch, y), &error);
    check_ok("lstm_trainer_backward", lstm_trainer_backward(trainer, &from.flow), &error);
    fold_mask(&from, model, y, rate);
    check_dropped_gradients(trainer, &from, before_head);
  }
  lstm_trainer_destroy(trainer);
  lstm_model_destroy(model);
}

static void dropout_scales_and_drops(void **unused) {
  (void)unused;
  failures = 0;
  for (int before_head = 0; before_head < 2; before_head++)
    for (int read = 0; read < LSTM_READ_COUNT; read++) {
      check_dropout((lstm_read)read, before_head, 0.5f);
      check_dropout((lstm_read)read, before_head, 0.2f);
    }
  assert_int_equal(failures, 0);
}

/* What is differentiated: the loss plus the inner products with the incoming gradients. */
static double objective(ref_pass *pass, lstm_loss loss, const double *d_output, const double *d_final) {
  size_t states = pass->B * pass->net->state_size, O = pass->net->output_size, rows = pass->y_steps * pass->B;
  ref_forward(pass);
  ref_loss(pass, loss);
  double sum = pass->loss;
  for (size_t row = 0; d_output && row < rows; row++)
    for (size_t j = 0; ref_valid(pass, pass->net->layer_count, row / pass->B, row % pass->B) && j < O; j++)
      sum += d_output[row * O + j] * pass->y[row * O + j];
  for (size_t i = 0; d_final && i < states; i++) sum += d_final[i] * pass->final[i];
  return sum;
}

/* Derivatives by all `count` values, which the pass reads, against `analytic`. Central differences with step h are off
   by h^2/6 of a third derivative and by about 1e-16/h of rounding: both below 1e-9 here. Returns how many were
   compared. */
static int differentiate(const char *what, ref_pass *pass, const window *from, double *values, const double *analytic,
                         size_t count) {
  const double h = 3e-5;
  size_t outputs = pass->y_steps * pass->B * pass->net->output_size, states = pass->B * pass->net->state_size;
  double *d_output = to_doubles(from->flow.d_output, outputs), *d_final = to_doubles(from->flow.d_final, states);
  double limit = 1e-7 * ref_largest(analytic, count) + 1e-9;
  for (size_t i = 0; i < count; i++) {
    double value = values[i];
    values[i] = value + h;
    double above = objective(pass, current->loss, d_output, d_final);
    values[i] = value - h;
    double below = objective(pass, current->loss, d_output, d_final);
    values[i] = value;
    double difference = fabs((above - below) / (2 * h) - analytic[i]);
    if (!(difference <= limit)) fail_with(what, difference, limit);
  }
  free(d_output), free(d_final);
  return (int)count;
}

static int check_reference(const network *net, ref_rng *rng) {
  static window from[2];
  int compared = 0;
  expected want;
  current = net;
  current_isa = first_isa();
  lstm_model *model = make_model(net, current_isa);
  if (!model) return 0;
  draw_window(&from[0], rng, net, model);
  draw_window(&from[1], rng, net, model);
  if (expect(&want, net, model, from)) {
    int w = want.count - 1;
    ref_pass *pass = &want.passes[w];
    for (size_t i = 0; i < want.net.tensor_count; i++) {
      ref_tensor *tensor = &want.net.tensors[i];
      compared += differentiate(tensor->name, pass, &from[w], tensor->value, want.gradients[w][i], tensor->count);
    }
    compared += differentiate("initial", pass, &from[w], pass->initial, pass->d_initial, pass->B * want.net.state_size);
    for (size_t i = 0; pass->x && i < pass->T * pass->B * want.net.input_size; i++)
      if (pass->x[i] == pass->x[i]) /* padding is NaN and has no influence */
        compared += differentiate("x", pass, &from[w], &pass->x[i], &pass->d_x[i], 1);
    forget(&want);
  }
  lstm_model_destroy(model);
  return compared;
}

static void reference_equals_differences(void **unused) {
  ref_rng rng = {19970801};
  int compared = 0;
  clock_t begin = clock();
  (void)unused;
  networks = failures = 0;
  for (int L = 1; L <= 2; L++)
    for (int H = 1; H <= 3; H++)
      for (int T = 1; T <= 3; T++)
        for (int loss = LSTM_LOSS_NONE; loss < LSTM_LOSS_COUNT; loss++) {
          network net;
          draw_network(&net, &rng, &narrow, L, H, T, 2, (lstm_loss)loss);
          for (int i = 0; i < net.layer_count; i++) /* differences are slow: keep everything small */
            if (net.layers[i].size > 5) net.layers[i].size = 4;
          if (net.input_size > 5) net.input_size = 4;
          compared += check_reference(&net, &rng);
          networks++;
        }
  printf("reference: %d networks, %d derivatives, %.1f s, %d failures\n", networks, compared,
         (double)(clock() - begin) / CLOCKS_PER_SEC, failures);
  assert_int_equal(failures, 0);
  assert_true(compared > 5000);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(reference_equals_differences),
      cmocka_unit_test(library_equals_reference),
      cmocka_unit_test(wide_networks_equal_reference),
      cmocka_unit_test(dropout_scales_and_drops),
  };
  return cmocka_run_group_tests_name("gradcheck", tests, NULL, NULL);
}
