/* States: lanes, saving and forking by memcpy, resets, and what a step refuses. */
#include "lstm.h"

#include "../helpers.h"

#include <math.h>

#define LANES 5
#define I 3
#define O 4

static lstm_model *make_model(int hidden, lstm_output output) {
  lstm_layer layers[3];
  lstm_model_desc desc = {0};
  lstm_model *model;
  layers[0] = lstm_lstm(hidden);
  layers[1] = lstm_lstm(7);
  layers[2] = lstm_dense(O);
  desc.input_size = I;
  desc.layers = layers;
  desc.layer_count = 3;
  desc.output = output;
  assert_ok(lstm_model_create(&desc, &model));
  return model;
}

static lstm_model *make_token_model(void) {
  lstm_layer layers[3];
  lstm_model_desc desc = {0};
  lstm_model *model;
  layers[0] = lstm_embedding(4);
  layers[1] = lstm_lstm(6);
  layers[2] = lstm_dense(O);
  desc.input_size = 9;
  desc.layers = layers;
  desc.layer_count = 3;
  assert_ok(lstm_model_create(&desc, &model));
  return model;
}

static lstm_state *make_state(const lstm_model *model, int lanes) {
  lstm_state_desc desc = {0};
  lstm_state *state;
  desc.lanes = lanes;
  assert_ok(lstm_state_create(model, &desc, &state));
  return state;
}

static void step(const lstm_model *model, lstm_state *state, uint64_t seed, float *y) {
  float x[LANES * I];
  fill(x, LANES * I, seed, 2);
  assert_ok(lstm_step(model, state, x, y));
}

static void test_a_copy_of_the_bytes_is_a_copy_of_the_state(void **arg) {
  lstm_model *model = make_model(6, LSTM_OUTPUT_LINEAR);
  lstm_state *state = make_state(model, LANES), *fork = make_state(model, LANES);
  size_t size = lstm_state_saved_size(state);
  void *saved = make_array(size, 1);
  float first[LANES * O], again[LANES * O], forked[LANES * O];
  (void)arg;
  assert_true(size >= sizeof(float) * LANES * 26);
  step(model, state, 1, first);
  memcpy(saved, state, size);
  memcpy(fork, state, size);
  step(model, state, 2, first);
  step(model, fork, 2, forked);
  assert_bits(first, forked, LANES * O);
  step(model, state, 3, again);
  memcpy(state, saved, size); /* roll back */
  assert_ok(lstm_state_check(model, state));
  step(model, state, 2, again);
  assert_bits(first, again, LANES * O);
  lstm_state_destroy(state);
  lstm_state_destroy(fork);
  free(saved);
  lstm_model_destroy(model);
}

static void test_reset_is_a_new_state(void **arg) {
  lstm_model *model = make_model(6, LSTM_OUTPUT_LINEAR);
  lstm_state *state = make_state(model, LANES);
  float first[LANES * O], y[LANES * O], values[26], zero[26] = {0};
  int lane;
  (void)arg;
  step(model, state, 1, first);
  lstm_state_reset(state);
  for (lane = 0; lane < LANES; lane++) {
    assert_ok(lstm_state_get(model, state, lane, values));
    assert_bits(values, zero, 26);
  }
  step(model, state, 1, y);
  assert_bits(first, y, LANES * O);
  assert_ok(lstm_state_reset_lane(state, 2));
  for (lane = 0; lane < LANES; lane++) {
    assert_ok(lstm_state_get(model, state, lane, values));
    assert_int_equal(same_bits(values, zero, 26), lane == 2);
  }
  assert_status(lstm_state_reset_lane(state, LANES), LSTM_ERR_ARGUMENT);
  assert_status(lstm_state_reset_lane(state, -1), LSTM_ERR_ARGUMENT);
  lstm_state_destroy(state);
  lstm_model_destroy(model);
}

static void test_lanes_are_copied_and_written(void **arg) {
  lstm_model *model = make_model(6, LSTM_OUTPUT_LINEAR), *other = make_model(8, LSTM_OUTPUT_LINEAR);
  lstm_state *a = make_state(model, LANES), *b = make_state(model, 2), *c = make_state(other, 2);
  float y[LANES * O], v0[26], v1[26];
  (void)arg;
  step(model, a, 1, y);
  assert_ok(lstm_state_get(model, a, 3, v0));
  assert_ok(lstm_state_copy_lane(b, 1, a, 3));
  assert_ok(lstm_state_get(model, b, 1, v1));
  assert_bits(v0, v1, 26);
  assert_ok(lstm_state_copy_lane(a, 0, a, 3));
  assert_ok(lstm_state_copy_lane(a, 3, a, 3));
  assert_ok(lstm_state_get(model, a, 0, v1));
  assert_bits(v0, v1, 26);
  fill(v0, 26, 4, 1);
  assert_ok(lstm_state_set(model, a, 4, v0));
  assert_ok(lstm_state_get(model, a, 4, v1));
  assert_bits(v0, v1, 26);
  assert_status(lstm_state_copy_lane(b, 2, a, 0), LSTM_ERR_ARGUMENT);
  assert_status(lstm_state_copy_lane(b, 0, a, LANES), LSTM_ERR_ARGUMENT);
  assert_status(lstm_state_copy_lane(b, 0, a, -1), LSTM_ERR_ARGUMENT);
  assert_status(lstm_state_copy_lane(c, 0, a, 0), LSTM_ERR_MISMATCH);
  assert_status(lstm_state_get(model, c, 0, v1), LSTM_ERR_MISMATCH);
  assert_status(lstm_state_set(model, c, 0, v1), LSTM_ERR_MISMATCH);
  assert_status(lstm_state_get(model, a, LANES, v1), LSTM_ERR_ARGUMENT);
  assert_status(lstm_state_set(model, a, -1, v1), LSTM_ERR_ARGUMENT);
  assert_status(lstm_state_set(model, a, 0, NULL), LSTM_ERR_ARGUMENT);
  lstm_state_destroy(a), lstm_state_destroy(b), lstm_state_destroy(c);
  lstm_model_destroy(model), lstm_model_destroy(other);
}

/* A lane that is not named does not move. */
static void test_named_lanes_move_alone(void **arg) {
  static const int named[2] = {4, 1};
  lstm_model *model = make_model(6, LSTM_OUTPUT_LINEAR);
  lstm_state *state = make_state(model, LANES), *before = make_state(model, LANES);
  float x[2 * I], y[LANES * O], v0[26], v1[26];
  int lane;
  (void)arg;
  step(model, state, 1, y);
  memcpy(before, state, lstm_state_saved_size(state));
  fill(x, 2 * I, 2, 1);
  assert_ok(lstm_step_lanes(model, state, named, 2, x, y));
  for (lane = 0; lane < LANES; lane++) {
    assert_ok(lstm_state_get(model, before, lane, v0));
    assert_ok(lstm_state_get(model, state, lane, v1));
    assert_int_equal(same_bits(v0, v1, 26), lane != 4 && lane != 1);
  }
  memcpy(before, state, lstm_state_saved_size(state));
  assert_ok(lstm_step_lanes(model, state, named, 0, NULL, NULL)); /* nobody */
  assert_memory_equal(before, state, lstm_state_saved_size(state));
  lstm_state_destroy(state), lstm_state_destroy(before);
  lstm_model_destroy(model);
}

static void test_a_step_refuses_what_does_not_fit(void **arg) {
  static const int outside[1] = {LANES}, negative[1] = {-1}, twice[2] = {1, 1};
  lstm_model *model = make_model(6, LSTM_OUTPUT_LINEAR), *other = make_model(8, LSTM_OUTPUT_LINEAR);
  lstm_model *tokens = make_token_model();
  lstm_state *state = make_state(model, LANES), *before = make_state(model, LANES), *talk = make_state(tokens, 1);
  float x[LANES * I] = {0}, y[LANES * O];
  int32_t id = 0, large = 9, below = -1;
  (void)arg;
  step(model, state, 1, y);
  memcpy(before, state, lstm_state_saved_size(state));
  assert_status(lstm_step(NULL, state, x, y), LSTM_ERR_ARGUMENT);
  assert_status(lstm_step(model, NULL, x, y), LSTM_ERR_ARGUMENT);
  assert_status(lstm_step(model, state, NULL, y), LSTM_ERR_ARGUMENT);
  assert_status(lstm_step(other, state, x, y), LSTM_ERR_MISMATCH);
  assert_status(lstm_step(tokens, talk, x, y), LSTM_ERR_UNSUPPORTED);
  assert_status(lstm_step_ids(model, state, &id, y), LSTM_ERR_UNSUPPORTED);
  assert_status(lstm_step_ids(tokens, talk, &large, y), LSTM_ERR_ARGUMENT);
  assert_status(lstm_step_ids(tokens, talk, &below, y), LSTM_ERR_ARGUMENT);
  assert_status(lstm_step_ids(tokens, talk, NULL, y), LSTM_ERR_ARGUMENT);
  assert_status(lstm_step_lanes(model, state, outside, 1, x, y), LSTM_ERR_ARGUMENT);
  assert_status(lstm_step_lanes(model, state, negative, 1, x, y), LSTM_ERR_ARGUMENT);
  assert_status(lstm_step_lanes(model, state, twice, -1, x, y), LSTM_ERR_ARGUMENT);
  assert_status(lstm_step_lanes(model, state, NULL, 1, x, y), LSTM_ERR_ARGUMENT);
  assert_true(lstm_forward(model, state, x, -1, y) != LSTM_OK);
  assert_status(lstm_forward(model, state, NULL, 1, y), LSTM_ERR_ARGUMENT);
  assert_status(lstm_forward(model, state, x, 0, y), LSTM_ERR_ARGUMENT);
  assert_status(lstm_forward_ids(tokens, talk, &id, 0, NULL), LSTM_ERR_ARGUMENT); /* and reads one id at most */
  assert_memory_equal(before, state, lstm_state_saved_size(state));
  assert_ok(lstm_step_ids(tokens, talk, &id, NULL));
  assert_ok(lstm_step(model, state, x, NULL));
  lstm_state_destroy(state), lstm_state_destroy(before), lstm_state_destroy(talk);
  lstm_model_destroy(model), lstm_model_destroy(other), lstm_model_destroy(tokens);
}

static void test_a_state_of_another_model_is_recognised(void **arg) {
  lstm_model *a = make_model(6, LSTM_OUTPUT_LINEAR), *b = make_model(8, LSTM_OUTPUT_LINEAR);
  lstm_model *retrained = make_model(6, LSTM_OUTPUT_LINEAR);
  lstm_state *state = make_state(a, 1), *garbage = make_state(a, 1);
  lstm_tensor t;
  int i;
  (void)arg;
  assert_ok(lstm_state_check(a, state));
  assert_status(lstm_state_check(b, state), LSTM_ERR_MISMATCH);
  assert_ok(lstm_model_tensor(retrained, 0, &t));
  t.data[0] += 1;
  assert_ok(lstm_state_check(retrained, state)); /* the architecture counts, not the weights */
  memset(garbage, 0x5A, lstm_state_saved_size(garbage) < 64 ? lstm_state_saved_size(garbage) : 64);
  assert_status(lstm_state_check(a, garbage), LSTM_ERR_MISMATCH);
  memcpy(garbage, state, lstm_state_saved_size(state));
  assert_ok(lstm_state_check(a, garbage));
  for (i = 8; i < 32; i++) { /* sizes that contradict each other: saved_size, lane_floats, lanes */
    ((unsigned char *)garbage)[i] ^= 0x40;
    assert_status(lstm_state_check(a, garbage), LSTM_ERR_MISMATCH);
    ((unsigned char *)garbage)[i] ^= 0x40;
  }
  lstm_state_destroy(state), lstm_state_destroy(garbage);
  lstm_model_destroy(a), lstm_model_destroy(b), lstm_model_destroy(retrained);
}

static void test_outputs_become_probabilities_once(void **arg) {
  lstm_model *linear = make_model(6, LSTM_OUTPUT_LINEAR), *softmax = make_model(6, LSTM_OUTPUT_SOFTMAX);
  lstm_model *sigmoid = make_model(6, LSTM_OUTPUT_SIGMOID);
  lstm_state *a = make_state(linear, LANES), *b = make_state(softmax, LANES), *c = make_state(sigmoid, LANES);
  float z[LANES * O] = {0}, p[LANES * O] = {0}, s[LANES * O] = {0};
  int lane, k;
  (void)arg;
  step(linear, a, 1, z), step(softmax, b, 1, p), step(sigmoid, c, 1, s);
  for (lane = 0; lane < LANES; lane++) {
    double sum = 0;
    for (k = 0; k < O; k++) sum += exp((double)z[lane * O + k]);
    for (k = 0; k < O; k++) {
      double v = (double)z[lane * O + k];
      assert_true(fabs((double)p[lane * O + k] - exp(v) / sum) < 1e-6);
      assert_true(fabs((double)s[lane * O + k] - 1 / (1 + exp(-v))) < 1e-6);
    }
  }
  lstm_state_destroy(a), lstm_state_destroy(b), lstm_state_destroy(c);
  lstm_model_destroy(linear), lstm_model_destroy(softmax), lstm_model_destroy(sigmoid);
}

static void test_what_a_state_description_refuses(void **arg) {
  lstm_model *model = make_model(6, LSTM_OUTPUT_LINEAR);
  lstm_state_desc desc = {0};
  lstm_error error = {{0}, LSTM_OK};
  lstm_state *state;
  (void)arg;
  desc.error = &error;
  desc.lanes = -1;
  assert_status(lstm_state_create(model, &desc, &state), LSTM_ERR_ARGUMENT);
  assert_null(state);
  assert_true(error.message[0] != 0);
  desc.lanes = 1, desc.tasks = -1;
  assert_status(lstm_state_create(model, &desc, &state), LSTM_ERR_ARGUMENT);
  assert_status(lstm_state_create(NULL, NULL, &state), LSTM_ERR_ARGUMENT);
  assert_null(state);
  assert_status(lstm_state_create(model, NULL, NULL), LSTM_ERR_ARGUMENT);
  assert_ok(lstm_state_create(model, NULL, &state));
  assert_int_equal(lstm_state_lanes(state), 1);
  lstm_state_destroy(state);
  lstm_model_destroy(model);
}

/* The batch's lanes begin where the state is, at zero, or at given values; the others do not move. */
static void test_a_batch_begins_where_it_is_told(void **arg) {
  static const unsigned char reset[3] = {0, 1, 0};
  lstm_model *model = make_model(6, LSTM_OUTPUT_LINEAR);
  lstm_state *state = make_state(model, LANES), *alone = make_state(model, 1);
  float y[LANES * O], x[3 * I], one[O], initial[3 * 26], v0[26], v1[26];
  lstm_batch batch = {0};
  int mode, lane;
  (void)arg;
  fill(x, 3 * I, 5, 1);
  fill(initial, 3 * 26, 6, .5f);
  for (mode = 0; mode < 3; mode++) {
    lstm_state *before = make_state(model, LANES);
    lstm_state_reset(state);
    step(model, state, 1, y);
    memcpy(before, state, lstm_state_saved_size(state));
    batch.seq_len = 1, batch.batch_size = 3, batch.x = x;
    batch.reset = mode == 1 ? reset : NULL;
    batch.initial = mode == 2 ? initial : NULL;
    assert_ok(lstm_forward_batch(model, state, &batch, y, NULL));
    for (lane = 0; lane < LANES; lane++) {
      assert_ok(lstm_state_copy_lane(alone, 0, before, lane));
      if (mode == 1 && lane == 1) lstm_state_reset(alone);
      if (mode == 2 && lane < 3) assert_ok(lstm_state_set(model, alone, 0, initial + lane * 26));
      if (lane < 3) {
        assert_ok(lstm_step(model, alone, x + lane * I, one));
        assert_bits(one, y + lane * O, O);
      }
      assert_ok(lstm_state_get(model, alone, 0, v0));
      assert_ok(lstm_state_get(model, state, lane, v1));
      assert_bits(v0, v1, 26);
    }
    lstm_state_destroy(before);
  }
  lstm_state_destroy(state), lstm_state_destroy(alone);
  lstm_model_destroy(model);
}

/* Padding may hold anything, NaN and ids out of range too. */
static void test_padding_is_not_looked_at(void **arg) {
  static const int lengths[3] = {2, 0, 3};
  lstm_model *model = make_model(6, LSTM_OUTPUT_LINEAR), *tokens = make_token_model();
  lstm_state *a = make_state(model, 3), *b = make_state(tokens, 3);
  float x[3 * 3 * I], clean[3 * 3 * O], dirty[3 * 3 * O];
  int32_t ids[9] = {1, 2, 3, 4, 5, 6, 7, 8, 0};
  lstm_batch batch = {0};
  int t, lane, k;
  (void)arg;
  fill(x, 3 * 3 * I, 1, 1);
  batch.seq_len = 3, batch.x = x, batch.lengths = lengths;
  assert_ok(lstm_forward_batch(model, a, &batch, clean, NULL));
  for (t = 0; t < 3; t++)
    for (lane = 0; lane < 3; lane++)
      for (k = 0; t >= lengths[lane] && k < I; k++) x[(t * 3 + lane) * I + k] = (float)NAN;
  lstm_state_reset(a);
  assert_ok(lstm_forward_batch(model, a, &batch, dirty, NULL));
  assert_bits(clean, dirty, 3 * 3 * O);
  batch.x = NULL, batch.ids = ids;
  assert_ok(lstm_forward_batch(tokens, b, &batch, clean, NULL));
  for (t = 0; t < 3; t++)
    for (lane = 0; lane < 3; lane++)
      if (t >= lengths[lane]) ids[t * 3 + lane] = lane ? -100 : 1 << 30;
  lstm_state_reset(b);
  assert_ok(lstm_forward_batch(tokens, b, &batch, dirty, NULL));
  assert_bits(clean, dirty, 3 * 3 * O);
  lstm_state_destroy(a), lstm_state_destroy(b);
  lstm_model_destroy(model), lstm_model_destroy(tokens);
}

static void test_what_a_batch_refuses(void **arg) {
  static const int long_lengths[2] = {1, 4}, negative_lengths[2] = {1, -1};
  lstm_model *model = make_model(6, LSTM_OUTPUT_LINEAR), *tokens = make_token_model();
  lstm_state *state = make_state(model, 2), *talk = make_state(tokens, 2);
  float x[3 * 3 * I] = {0}, y[3 * 3 * O];
  int32_t ids[6] = {0, 1, 2, 9, 0, 0};
  lstm_error error = {{0}, LSTM_OK};
  lstm_batch good = {0}, batch;
  (void)arg;
  good.seq_len = 3, good.x = x, good.error = &error;
  assert_ok(lstm_forward_batch(model, state, &good, y, NULL));
  assert_ok(lstm_forward_batch(model, state, &good, NULL, NULL));
  batch = good, batch.batch_size = 3; /* more than the state's lanes */
  assert_status(lstm_forward_batch(model, state, &batch, y, NULL), LSTM_ERR_SHAPE);
  assert_true(error.message[0] != 0);
  batch = good, batch.batch_size = -1;
  assert_true(lstm_forward_batch(model, state, &batch, y, NULL) != LSTM_OK);
  batch = good, batch.seq_len = -1;
  assert_true(lstm_forward_batch(model, state, &batch, y, NULL) != LSTM_OK);
  batch = good, batch.x = NULL;
  assert_status(lstm_forward_batch(model, state, &batch, y, NULL), LSTM_ERR_ARGUMENT);
  batch = good, batch.lengths = long_lengths;
  assert_true(lstm_forward_batch(model, state, &batch, y, NULL) != LSTM_OK);
  batch = good, batch.lengths = negative_lengths;
  assert_true(lstm_forward_batch(model, state, &batch, y, NULL) != LSTM_OK);
  batch = good, batch.x = NULL, batch.ids = ids;
  assert_status(lstm_forward_batch(tokens, talk, &batch, y, NULL), LSTM_ERR_ARGUMENT); /* id 9 of 9 */
  assert_status(lstm_forward_batch(tokens, state, &batch, y, NULL), LSTM_ERR_MISMATCH);
  assert_status(lstm_forward_batch(model, state, NULL, y, NULL), LSTM_ERR_ARGUMENT);
  lstm_state_destroy(state), lstm_state_destroy(talk);
  lstm_model_destroy(model), lstm_model_destroy(tokens);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_a_copy_of_the_bytes_is_a_copy_of_the_state),
      cmocka_unit_test(test_reset_is_a_new_state),
      cmocka_unit_test(test_lanes_are_copied_and_written),
      cmocka_unit_test(test_named_lanes_move_alone),
      cmocka_unit_test(test_a_step_refuses_what_does_not_fit),
      cmocka_unit_test(test_a_state_of_another_model_is_recognised),
      cmocka_unit_test(test_outputs_become_probabilities_once),
      cmocka_unit_test(test_what_a_state_description_refuses),
      cmocka_unit_test(test_a_batch_begins_where_it_is_told),
      cmocka_unit_test(test_padding_is_not_looked_at),
      cmocka_unit_test(test_what_a_batch_refuses),
  };
  return cmocka_run_group_tests_name("unit/state", tests, NULL, NULL);
}
