/* What audio models have: the residual connection around a network, and the error-to-signal ratio as a loss. (That
   their derivatives are right is shown by tests/gradcheck.) */
#include "lstm.h"

#include "../helpers.h"

#include <math.h>

enum { I = 3, O = 2, H = 9, T = 6, B = 5, ROWS = T * B };

static float x[ROWS * I], targets[ROWS * O], weights[ROWS], y[ROWS * O], again[ROWS * O];

/* What a network of this seed is: with the residual connection, and without. */
static lstm_model *network(int residual, lstm_isa isa) {
  lstm_layer layers[2];
  lstm_model_desc desc = {0};
  lstm_model *model;
  layers[0] = lstm_lstm(H), layers[1] = lstm_dense(O);
  layers[1].residual = residual;
  desc.input_size = I, desc.layers = layers, desc.layer_count = 2, desc.seed = 8, desc.isa = isa;
  assert_ok(lstm_model_create(&desc, &model));
  return model;
}

static lstm_batch make_batch(uint64_t seed) {
  static int lengths[B] = {T, 4, T, 0, 5};
  lstm_batch batch = {0};
  int i;
  fill(x, ROWS * I, seed, 1);
  fill(targets, ROWS * O, seed + 100, 1);
  for (i = 0; i < ROWS; i++) weights[i] = (float)(i % 4) / 2;
  batch.seq_len = T, batch.batch_size = B;
  batch.x = x, batch.targets = targets, batch.weights = weights, batch.lengths = lengths, batch.burn_in = 1;
  return batch;
}

static lstm_trainer *make_trainer(lstm_model *model, float pre_emphasis, const lstm_executor *executor) {
  lstm_trainer_desc desc = {0};
  lstm_trainer *trainer;
  desc.batch_size = B, desc.seq_len = T, desc.loss = LSTM_ESR, desc.pre_emphasis = pre_emphasis;
  desc.learning_rate = .01f;
  if (executor) desc.executor = *executor;
  assert_ok(lstm_trainer_create(model, &desc, &trainer));
  return trainer;
}

static lstm_state *make_state(const lstm_model *model) {
  lstm_state_desc desc = {0};
  lstm_state *state;
  desc.lanes = B, desc.tasks = 2;
  assert_ok(lstm_state_create(model, &desc, &state));
  return state;
}

/* --- residual ----------------------------------------------------------------------------------------------------- */

/* The first O inputs of every row, added to the outputs of the plain network. */
static void add_inputs(float *to) {
  int r, i;
  for (r = 0; r < ROWS; r++)
    for (i = 0; i < O; i++) to[r * O + i] += x[r * I + i];
}

static void steps_of(const lstm_model *model, int by_lane, float *to) {
  static const int lanes[B] = {4, 1, 0, 3, 2};
  lstm_state *state = make_state(model);
  int t, k;
  for (t = 0; t < T; t++) {
    const float *in = x + t * B * I;
    float *out = to + t * B * O;
    if (!by_lane) assert_ok(lstm_step(model, state, in, out));
    for (k = 0; by_lane && k < B; k++)
      assert_ok(lstm_step_lanes(model, state, lanes + k, 1, in + lanes[k] * I, out + lanes[k] * O));
  }
  lstm_state_destroy(state);
}

static void test_every_way_of_running_adds_the_inputs(void **unused) {
  lstm_model *plain = network(0, LSTM_ISA_AUTO), *model = network(1, LSTM_ISA_AUTO);
  lstm_executor executor = odd_order_executor(2);
  lstm_trainer *trainer = make_trainer(model, 0, NULL);
  lstm_batch batch = make_batch(1);
  lstm_state *state = make_state(model);
  (void)unused;
  batch.lengths = NULL;
  steps_of(plain, 0, y);
  add_inputs(y);
  steps_of(model, 0, again);
  assert_bits(y, again, ROWS * O);
  steps_of(model, 1, again);
  assert_bits(y, again, ROWS * O);
  assert_ok(lstm_forward(model, state, x, T, again));
  assert_bits(y, again, ROWS * O);
  lstm_state_reset(state);
  assert_ok(lstm_forward_batch(model, state, &batch, again, &executor));
  assert_bits(y, again, ROWS * O);
  assert_ok(lstm_trainer_forward(trainer, &batch, again));
  assert_bits(y, again, ROWS * O);
  lstm_state_destroy(state), lstm_trainer_destroy(trainer);
  lstm_model_destroy(plain), lstm_model_destroy(model);
}

static void input_gradient(int residual, const float *d_output, float *d_input) {
  lstm_model *model = network(residual, LSTM_ISA_AUTO);
  lstm_trainer *trainer = make_trainer(model, 0, NULL);
  lstm_batch batch = make_batch(2);
  lstm_flow flow = {0};
  flow.d_output = d_output, flow.d_input = d_input;
  assert_ok(lstm_trainer_forward(trainer, &batch, NULL));
  assert_ok(lstm_trainer_backward(trainer, &flow));
  lstm_trainer_destroy(trainer), lstm_model_destroy(model);
}

static void test_the_gradient_goes_around_the_network(void **unused) {
  static const int lengths[B] = {T, 4, T, 0, 5};
  float d_output[ROWS * O], plain[ROWS * I], got[ROWS * I];
  int r, i;
  (void)unused;
  fill(d_output, ROWS * O, 5, 1);
  input_gradient(0, d_output, plain);
  input_gradient(1, d_output, got);
  for (r = 0; r < ROWS; r++)
    for (i = 0; i < I; i++) {
      float own = i < O && r / B < lengths[r % B] ? d_output[r * O + i] : 0;
      assert_true(got[r * I + i] == own + plain[r * I + i]);
    }
}

typedef struct buffer {
  unsigned char data[16384];
  size_t size;
} buffer;

static void test_files_keep_it(void **unused) {
  static buffer file, second;
  char text[2048];
  lstm_model *model = network(1, LSTM_ISA_AUTO), *copy;
  (void)unused;
  make_batch(3);
  steps_of(model, 0, y);
  assert_ok(lstm_save_memory(model, NULL, file.data, sizeof file.data, &file.size));
  assert_ok(lstm_load_memory(file.data, file.size, NULL, &copy));
  assert_int_equal(lstm_model_desc_of(copy)->layers[1].residual, 1);
  steps_of(copy, 0, again);
  assert_bits(y, again, ROWS * O);
  assert_ok(lstm_save_memory(copy, NULL, second.data, sizeof second.data, &second.size));
  assert_int_equal(file.size, second.size);
  assert_memory_equal(file.data, second.data, file.size);
  assert_non_null(strstr((char *)file.data + 8, "\"dense size=2 residual\""));
  assert_true(lstm_model_summary(copy, text, sizeof text) < sizeof text);
  assert_non_null(strstr(text, "dense size=2 residual: 9 -> 2"));
  lstm_model_destroy(model), lstm_model_destroy(copy);
}

static void check_flaw(lstm_layer *layers, int count, int input, const char *sentence) {
  lstm_model_desc desc = {0};
  lstm_error error = {{0}, LSTM_OK};
  lstm_model *model;
  desc.input_size = input, desc.layers = layers, desc.layer_count = count, desc.error = &error;
  assert_status(lstm_model_create(&desc, &model), LSTM_ERR_ARGUMENT);
  assert_string_equal(error.message, sentence);
}

static void test_what_it_refuses(void **unused) {
  static const char wanted[] = "layer 1: residual: only in the last layer, linear, read all, O <= I features";
  lstm_layer layers[3];
  (void)unused;
  layers[0] = lstm_lstm(4), layers[1] = lstm_dense(2), layers[2] = lstm_dense(2);
  layers[1].residual = 1;
  check_flaw(layers, 3, 2, wanted);
  check_flaw(layers, 2, 1, wanted);
  layers[1].activation = LSTM_TANH;
  check_flaw(layers, 2, 2, wanted);
  layers[1].activation = LSTM_LINEAR;
  layers[0].read = LSTM_READ_LAST;
  check_flaw(layers, 2, 2, wanted);
  layers[0] = lstm_embedding(4);
  check_flaw(layers, 2, 2, wanted);
  layers[0] = lstm_lstm(4);
  layers[0].residual = 1;
  check_flaw(layers, 2, 2, "layer 0: lstm has no residual");
}

/* --- error-to-signal ratio ---------------------------------------------------------------------------------------- */

/* One input and output: the output is the input, by a residual connection around zeros. */
static lstm_model *wire(void) {
  lstm_layer layer = lstm_dense(1);
  lstm_model_desc desc = {0};
  lstm_model *model;
  layer.residual = 1;
  desc.input_size = 1, desc.layers = &layer, desc.layer_count = 1, desc.init = LSTM_INIT_ZERO;
  assert_ok(lstm_model_create(&desc, &model));
  return model;
}

static lstm_batch line(const float *in, const float *wanted, int steps) {
  lstm_batch batch = {0};
  batch.seq_len = steps, batch.batch_size = 1, batch.x = in, batch.targets = wanted;
  return batch;
}

/* Loss and divisor of a batch: by the trainer, by its evaluation and, with the default emphasis, by lstm_evaluate. */
static void check_ratio(float pre_emphasis, const lstm_batch *batch, double above, double below) {
  lstm_model *model = wire();
  lstm_trainer_desc desc = {0};
  lstm_trainer *trainer;
  lstm_state *state;
  lstm_metrics metrics = {0}, plain = {0};
  float loss;
  desc.seq_len = 8, desc.loss = LSTM_ESR, desc.pre_emphasis = pre_emphasis;
  assert_ok(lstm_trainer_create(model, &desc, &trainer));
  assert_ok(lstm_state_create(model, NULL, &state));
  assert_ok(lstm_trainer_forward(trainer, batch, NULL));
  assert_ok(lstm_trainer_loss(trainer, batch, &loss));
  assert_true(fabs((double)loss - (below > 0 ? above / below : 0)) < 1e-6);
  assert_true(fabs(lstm_trainer_weight(trainer) - below) < 1e-6);
  assert_ok(lstm_trainer_evaluate(trainer, state, batch, &metrics, NULL));
  assert_true(fabs(metrics.loss - above) < 1e-6 && fabs(metrics.weight - below) < 1e-6);
  assert_ok(lstm_evaluate(model, state, batch, LSTM_ESR, &plain, NULL));
  if (pre_emphasis == 0) assert_memory_equal(&plain, &metrics, sizeof plain);
  lstm_state_destroy(state), lstm_trainer_destroy(trainer), lstm_model_destroy(model);
}

static void test_ratios_by_hand(void **unused) {
  static const float in[] = {1, 2, 4, 8}, wanted[] = {0, 2, 2, 4}, some[] = {1, 0, 2, 1};
  lstm_batch batch = line(in, wanted, 4); /* errors 1, 0, 2, 4 */
  const double a = .95, b = .5;
  (void)unused;
  check_ratio(-1, &batch, 1 + 4 + 16, 4 + 4 + 16);
  check_ratio(.5f, &batch, 1 + b * b + 4 + 9, 4 + 1 + 9);
  check_ratio(0, &batch, 1 + a * a + 4 + (4 - 2 * a) * (4 - 2 * a),
              4 + (2 - 2 * a) * (2 - 2 * a) + (4 - 2 * a) * (4 - 2 * a));
  batch.burn_in = 2; /* step 2 is the first that counts: nothing is before it */
  check_ratio(.5f, &batch, 4 + 9, 4 + 9);
  batch.burn_in = 0;
  batch.weights = some; /* nor before the steps 0 and 2 */
  check_ratio(.5f, &batch, 1 + 2 * 4 + 9, 2 * 4 + 9);
}

static void test_silent_targets_have_no_loss(void **unused) {
  static const float in[] = {1, 2}, silence[2], unknown[] = {1, NAN};
  lstm_batch batch = line(in, silence, 2);
  lstm_model *model = wire();
  lstm_trainer_desc desc = {0};
  lstm_trainer *trainer;
  lstm_tensor bias;
  float loss = 1;
  (void)unused;
  check_ratio(-1, &batch, 1 + 4, 0);
  desc.seq_len = 2, desc.loss = LSTM_ESR;
  assert_ok(lstm_trainer_create(model, &desc, &trainer));
  assert_ok(lstm_train(trainer, &batch, &loss));
  assert_true(loss == 0 && lstm_trainer_steps(trainer) == 0);
  batch.targets = unknown; /* which is not the same as silence */
  assert_status(lstm_train(trainer, &batch, &loss), LSTM_ERR_NOT_FINITE);
  assert_true(lstm_trainer_steps(trainer) == 0);
  assert_ok(lstm_model_tensor(model, 1, &bias));
  assert_true(bias.data[0] == 0);
  lstm_trainer_destroy(trainer), lstm_model_destroy(model);
}

static void test_the_ratio_needs_every_step(void **unused) {
  lstm_layer layers[2];
  lstm_trainer_desc desc = {0};
  lstm_error error = {{0}, LSTM_OK};
  lstm_model *model;
  lstm_trainer *trainer;
  lstm_batch batch = line(x, targets, 2);
  (void)unused;
  layers[0] = lstm_lstm(3), layers[1] = lstm_dense(1);
  layers[0].read = LSTM_READ_LAST;
  model = model_of_layers(layers, 2, 1);
  desc.seq_len = 2, desc.loss = LSTM_ESR, desc.error = batch.error = &error;
  assert_ok(lstm_trainer_create(model, &desc, &trainer));
  assert_status(lstm_train(trainer, &batch, NULL), LSTM_ERR_ARGUMENT);
  assert_string_equal(error.message, "the error-to-signal ratio needs an output of every step: read all");
  lstm_trainer_destroy(trainer);
  desc.pre_emphasis = 1.5f;
  assert_status(lstm_trainer_create(model, &desc, &trainer), LSTM_ERR_ARGUMENT);
  assert_string_equal(error.message, "pre_emphasis must be at most 1");
  lstm_model_destroy(model);
}

/* --- bits --------------------------------------------------------------------------------------------------------- */

/* Of the outputs, three updates on ragged batches with weights and burn-in, and the metrics after them. */
static uint64_t digest_of(lstm_isa isa, const lstm_executor *executor) {
  lstm_model *model = network(1, isa);
  lstm_trainer *trainer = make_trainer(model, 0, executor);
  lstm_state *state = make_state(model);
  lstm_metrics metrics = {0};
  uint64_t hash = FNV_BEGIN;
  lstm_batch batch;
  int i;
  make_batch(9);
  steps_of(model, 0, y);
  hash = fnv1a_floats(hash, y, ROWS * O);
  for (i = 0; i < 3; i++) {
    batch = make_batch((uint64_t)(20 + i));
    assert_ok(lstm_train(trainer, &batch, NULL));
  }
  hash = fnv1a_model(hash, model);
  assert_ok(lstm_trainer_evaluate(trainer, state, &batch, &metrics, executor));
  hash = fnv1a(fnv1a(hash, &metrics.loss, sizeof(double)), &metrics.weight, sizeof(double));
  lstm_state_destroy(state), lstm_trainer_destroy(trainer), lstm_model_destroy(model);
  return hash;
}

static void test_equal_bits_on_all_instruction_sets_and_tasks(void **unused) {
  uint64_t first = digest_of(LSTM_ISA_SCALAR, NULL);
  int isa;
  (void)unused;
  for (isa = LSTM_ISA_AUTO; isa < LSTM_ISA_COUNT; isa++) {
    lstm_executor two = odd_order_executor(2), five = odd_order_executor(5);
    uint64_t alone;
    if (!lstm_isa_usable((lstm_isa)isa)) continue;
    alone = digest_of((lstm_isa)isa, NULL);
    assert_true(digest_of((lstm_isa)isa, &two) == alone && digest_of((lstm_isa)isa, &five) == alone);
    if (isa == LSTM_ISA_AVX2 || isa == LSTM_ISA_AVX512 || isa == LSTM_ISA_NEON) assert_true(alone == first);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_every_way_of_running_adds_the_inputs),
      cmocka_unit_test(test_the_gradient_goes_around_the_network),
      cmocka_unit_test(test_files_keep_it),
      cmocka_unit_test(test_what_it_refuses),
      cmocka_unit_test(test_ratios_by_hand),
      cmocka_unit_test(test_silent_targets_have_no_loss),
      cmocka_unit_test(test_the_ratio_needs_every_step),
      cmocka_unit_test(test_equal_bits_on_all_instruction_sets_and_tasks),
  };
  return cmocka_run_group_tests_name("audio", tests, NULL, NULL);
}
