/* Trainers: carried lanes, level 3, accumulation, chained windows, clipping, optimisers, best weights, bad numbers. */
#define LSTM_IMPLEMENTATION
#include "lstm.h"

#include "../helpers.h"

#include <math.h>

#define I 3
#define O 2
#define B 4
#define T 6
#define S 26 /* 2 * (6 + 7) */

static lstm_model *make_model(lstm_read read, float dropout) {
  lstm_layer layers[4];
  lstm_model_desc desc = {0};
  lstm_model *model;
  layers[0] = lstm_lstm(6);
  layers[1] = lstm_dropout(dropout);
  layers[2] = lstm_lstm(7);
  layers[2].read = read;
  layers[3] = lstm_dense(O);
  desc.input_size = I;
  desc.layers = layers;
  desc.layer_count = 4;
  desc.seed = 21;
  assert_ok(lstm_model_create(&desc, &model));
  return model;
}

static lstm_trainer_desc describe(void) {
  lstm_trainer_desc desc = {0};
  desc.batch_size = B;
  desc.seq_len = T;
  desc.loss = LSTM_MSE;
  return desc;
}

static lstm_trainer *make_trainer(lstm_model *model, const lstm_trainer_desc *desc) {
  lstm_trainer *trainer;
  assert_ok(lstm_trainer_create(model, desc, &trainer));
  return trainer;
}

static float x[T * B * I], y[T * B * O];

static lstm_batch make_batch(uint64_t seed) {
  lstm_batch batch = {0};
  fill(x, T * B * I, seed, 1);
  fill(y, T * B * O, seed + 1000, 1);
  batch.x = x;
  batch.targets = y;
  return batch;
}

/* All gradients, or all weights, one after the other. */
static size_t collect(const lstm_trainer *trainer, int gradients, float *out) {
  const lstm_model *model = lstm_trainer_model(trainer);
  size_t n = 0;
  int i;
  for (i = 0; i < lstm_model_tensor_count(model); i++) {
    lstm_tensor t;
    assert_ok(gradients ? lstm_trainer_gradient(trainer, i, &t) : lstm_model_tensor(model, i, &t));
    memcpy(out + n, t.data, t.count * sizeof(float));
    n += t.count;
  }
  return n;
}

static double largest_difference(const float *a, const float *b, size_t n) {
  double worst = 0;
  size_t i;
  for (i = 0; i < n; i++) {
    double d = fabs((double)a[i] - (double)b[i]);
    if (!(d <= worst)) worst = d;
  }
  return worst;
}

static float first[4096], second[4096], third[4096];

/* --- descriptions ------------------------------------------------------------------------------------------------- */

static void test_defaults_are_resolved(void **arg) {
  lstm_model *model = make_model(LSTM_READ_ALL, 0);
  lstm_trainer_desc desc = {0};
  lstm_trainer *trainer = make_trainer(model, &desc);
  const lstm_trainer_desc *d = lstm_trainer_desc_of(trainer);
  (void)arg;
  assert_int_equal(d->batch_size, 1);
  assert_int_equal(d->seq_len, 1);
  assert_int_equal(d->optimizer, LSTM_ADAM);
  assert_true(d->learning_rate == 1e-3f && d->beta1 == .9f && d->beta2 == .999f && d->epsilon == 1e-8f);
  assert_true(d->clip_norm == 5);
  assert_true(lstm_trainer_learning_rate(trainer) == 1e-3f);
  assert_true(lstm_trainer_steps(trainer) == 0);
  lstm_trainer_destroy(trainer);
  desc.optimizer = LSTM_SGD;
  trainer = make_trainer(model, &desc);
  assert_true(lstm_trainer_learning_rate(trainer) == 1e-2f);
  assert_ok(lstm_trainer_set_learning_rate(trainer, .5f));
  assert_true(lstm_trainer_learning_rate(trainer) == .5f);
  assert_ok(lstm_trainer_set_learning_rate(trainer, 0));
  assert_status(lstm_trainer_set_learning_rate(trainer, -1), LSTM_ERR_ARGUMENT);
  assert_status(lstm_trainer_set_learning_rate(trainer, (float)NAN), LSTM_ERR_ARGUMENT);
  assert_status(lstm_trainer_set_learning_rate(trainer, (float)INFINITY), LSTM_ERR_ARGUMENT);
  assert_ptr_equal(lstm_trainer_model(trainer), model);
  lstm_trainer_destroy(trainer);
  lstm_model_destroy(model);
}

static lstm_status break_desc(lstm_trainer_desc *d, int way) {
  switch (way) {
  case 0: d->batch_size = -1; return LSTM_ERR_ARGUMENT;
  case 1: d->seq_len = -1; return LSTM_ERR_ARGUMENT;
  case 2: d->loss = (lstm_loss)77; return LSTM_ERR_ARGUMENT;
  case 3: d->optimizer = (lstm_optimizer)77; return LSTM_ERR_ARGUMENT;
  case 4: d->learning_rate = (float)NAN; return LSTM_ERR_ARGUMENT;
  case 5: d->learning_rate = (float)INFINITY; return LSTM_ERR_ARGUMENT;
  case 6: d->beta1 = 1; return LSTM_ERR_ARGUMENT;
  case 7: d->beta2 = 1.5f; return LSTM_ERR_ARGUMENT;
  case 8: d->epsilon = (float)NAN; return LSTM_ERR_ARGUMENT;
  case 9: d->weight_decay = (float)NAN; return LSTM_ERR_ARGUMENT;
  case 10: d->clip_norm = (float)NAN; return LSTM_ERR_ARGUMENT;
  case 11: d->momentum = (float)NAN; return LSTM_ERR_ARGUMENT;
  case 12: d->optimizer = LSTM_RMSPROP, d->alpha = 1.5f; return LSTM_ERR_ARGUMENT;
  case 13: d->batch_size = 2147483647, d->seq_len = 2147483647; return LSTM_ERR_LIMIT;
  default: return LSTM_OK;
  }
}

static void test_every_refusal_has_a_sentence(void **arg) {
  lstm_model *model = make_model(LSTM_READ_ALL, 0);
  int way;
  (void)arg;
  for (way = 0;; way++) {
    lstm_trainer_desc desc = describe();
    lstm_error error = {{0}, LSTM_OK};
    lstm_trainer *trainer = (lstm_trainer *)(void *)first;
    lstm_status wanted = break_desc(&desc, way), got;
    if (wanted == LSTM_OK) break;
    desc.error = &error;
    got = lstm_trainer_create(model, &desc, &trainer);
    if (got != wanted || !error.message[0])
      fail_msg("way %d: got %s, wanted %s, sentence \"%s\"", way, lstm_status_name(got), lstm_status_name(wanted),
               error.message);
    assert_null(trainer);
  }
  lstm_model_destroy(model);
}

static void test_the_loss_decides_an_open_output(void **arg) {
  lstm_model *model = make_model(LSTM_READ_ALL, 0);
  lstm_trainer_desc desc = describe();
  lstm_trainer *trainer;
  (void)arg;
  desc.loss = LSTM_CROSS_ENTROPY;
  trainer = make_trainer(model, &desc);
  assert_int_equal(lstm_model_output(model), LSTM_OUTPUT_SOFTMAX);
  lstm_trainer_destroy(trainer);
  desc.loss = LSTM_MSE;
  assert_status(lstm_trainer_create(model, &desc, &trainer), LSTM_ERR_MISMATCH);
  assert_null(trainer);
  lstm_model_destroy(model);
}

/* --- windows ------------------------------------------------------------------------------------------------------ */

/* Carried, reset and given beginnings, against a state that is stepped through the same windows. */
static void test_lanes_are_carried_from_window_to_window(void **arg) {
  static const int lengths[3][B] = {{T, 3, 0, T}, {1, T, T, 2}, {T, T, T, T}};
  static const unsigned char resets[3][B] = {{0, 0, 0, 0}, {0, 1, 0, 0}, {1, 0, 0, 1}};
  lstm_model *model = make_model(LSTM_READ_ALL, 0);
  lstm_trainer_desc desc = describe();
  lstm_trainer *trainer;
  lstm_state_desc lanes = {0};
  lstm_state *state;
  float ours[T * B * O], theirs[T * B * O], finals[B * S], values[S];
  int w, b;
  (void)arg;
  desc.carry_state = 1;
  trainer = make_trainer(model, &desc);
  lanes.lanes = B;
  assert_ok(lstm_state_create(model, &lanes, &state));
  for (w = 0; w < 3; w++) {
    lstm_batch batch = make_batch((uint64_t)w), same;
    batch.lengths = lengths[w], batch.reset = resets[w];
    same = batch, same.seq_len = T;
    assert_ok(lstm_trainer_forward(trainer, &batch, ours));
    assert_ok(lstm_forward_batch(model, state, &same, theirs, NULL));
    assert_bits(ours, theirs, T * B * O);
    assert_ok(lstm_trainer_final(trainer, finals));
    for (b = 0; b < B; b++) {
      assert_ok(lstm_state_get(model, state, b, values));
      assert_bits(values, finals + b * S, S);
    }
    assert_ok(lstm_trainer_loss(trainer, &batch, NULL));
    assert_ok(lstm_trainer_backward(trainer, NULL));
  }
  lstm_trainer_reset(trainer);
  lstm_state_reset(state);
  {
    lstm_batch batch = make_batch(9), same = make_batch(9);
    same.seq_len = T;
    assert_ok(lstm_trainer_forward(trainer, &batch, ours));
    assert_ok(lstm_forward_batch(model, state, &same, theirs, NULL));
    assert_bits(ours, theirs, T * B * O);
  }
  lstm_state_destroy(state);
  lstm_trainer_destroy(trainer);
  lstm_model_destroy(model);
}

static void test_without_carrying_every_window_begins_at_zero(void **arg) {
  lstm_model *model = make_model(LSTM_READ_LAST, 0);
  lstm_trainer_desc desc = describe();
  lstm_trainer *trainer = make_trainer(model, &desc);
  lstm_batch batch = make_batch(1);
  float a[B * O], b[B * O];
  (void)arg;
  assert_ok(lstm_trainer_forward(trainer, &batch, a));
  assert_ok(lstm_trainer_forward(trainer, &batch, b));
  assert_bits(a, b, B * O);
  lstm_trainer_destroy(trainer);
  lstm_model_destroy(model);
}

static void test_train_is_its_parts(void **arg) {
  lstm_model *a = make_model(LSTM_READ_ALL, .25f), *b = make_model(LSTM_READ_ALL, .25f);
  lstm_trainer_desc desc = describe();
  lstm_trainer *one, *parts;
  int i;
  (void)arg;
  desc.carry_state = 1, desc.clip_norm = .1f, desc.seed = 4;
  one = make_trainer(a, &desc), parts = make_trainer(b, &desc);
  for (i = 0; i < 5; i++) {
    lstm_batch batch = make_batch((uint64_t)i);
    float loss, loss2, norm;
    assert_ok(lstm_train(one, &batch, &loss));
    lstm_trainer_zero_gradients(parts);
    assert_ok(lstm_trainer_forward(parts, &batch, NULL));
    assert_ok(lstm_trainer_loss(parts, &batch, &loss2));
    assert_ok(lstm_trainer_backward(parts, NULL));
    assert_ok(lstm_trainer_clip(parts, &norm));
    assert_ok(lstm_trainer_update(parts));
    assert_true(loss == loss2);
    assert_true(norm == lstm_trainer_norm(one));
    assert_true(norm > .1f);
  }
  assert_true(fnv1a_model(FNV_BEGIN, a) == fnv1a_model(FNV_BEGIN, b));
  assert_true(lstm_trainer_steps(one) == 5 && lstm_trainer_steps(parts) == 5);
  lstm_trainer_destroy(one), lstm_trainer_destroy(parts);
  lstm_model_destroy(a), lstm_model_destroy(b);
}

static void run_backward(lstm_trainer *trainer, const lstm_batch *batch, const lstm_flow *flow) {
  assert_ok(lstm_trainer_forward(trainer, batch, NULL));
  assert_ok(lstm_trainer_loss(trainer, batch, NULL));
  assert_ok(lstm_trainer_backward(trainer, flow));
}

static void test_gradients_accumulate(void **arg) {
  lstm_model *model = make_model(LSTM_READ_ALL, 0);
  lstm_trainer_desc desc = describe();
  lstm_trainer *trainer = make_trainer(model, &desc);
  lstm_batch batch = make_batch(1);
  size_t n, i;
  (void)arg;
  run_backward(trainer, &batch, NULL);
  n = collect(trainer, 1, first);
  lstm_trainer_zero_gradients(trainer);
  collect(trainer, 1, third);
  for (i = 0; i < n; i++) assert_true(third[i] == 0);
  batch = make_batch(2);
  run_backward(trainer, &batch, NULL);
  collect(trainer, 1, second);
  batch = make_batch(1);
  run_backward(trainer, &batch, NULL);
  collect(trainer, 1, third);
  for (i = 0; i < n; i++) first[i] += second[i];
  assert_true(largest_difference(first, third, n) < 1e-6);
  lstm_trainer_destroy(trainer);
  lstm_model_destroy(model);
}

/* Two windows, the second's d_initial given to the first as d_final, have the gradients of one window of both. */
static void test_two_chained_windows_are_one_long_one(void **arg) {
  enum { H = T / 2 };
  lstm_model *model = make_model(LSTM_READ_ALL, 0);
  lstm_trainer_desc desc = describe();
  lstm_trainer *trainer;
  float d_output[T * B * O], d_final[B * S], initial[B * S], middle[B * S];
  float d_initial[B * S] = {0}, d_middle[B * S] = {0}, d_initial2[B * S] = {0};
  float d_input[T * B * I] = {0}, d_input2[T * B * I] = {0};
  float out[T * B * O], out2[T * B * O];
  lstm_batch batch = make_batch(1), half;
  lstm_flow flow = {0};
  size_t n;
  (void)arg;
  desc.loss = LSTM_LOSS_NONE;
  trainer = make_trainer(model, &desc);
  fill(d_output, T * B * O, 2, 1), fill(d_final, B * S, 3, 1), fill(initial, B * S, 4, .5f);
  batch.targets = NULL, batch.initial = initial;
  flow.d_output = d_output, flow.d_final = d_final, flow.d_initial = d_initial, flow.d_input = d_input;
  assert_ok(lstm_trainer_forward(trainer, &batch, out));
  assert_ok(lstm_trainer_backward(trainer, &flow));
  n = collect(trainer, 1, first);
  lstm_trainer_zero_gradients(trainer);
  /* forward through the first half only to know the state in the middle */
  half = batch, half.seq_len = H;
  assert_ok(lstm_trainer_forward(trainer, &half, out2));
  assert_ok(lstm_trainer_final(trainer, middle));
  half.x = x + H * B * I, half.initial = middle;
  assert_ok(lstm_trainer_forward(trainer, &half, out2 + H * B * O));
  assert_bits(out, out2, T * B * O);
  flow.d_output = d_output + H * B * O, flow.d_initial = d_middle, flow.d_input = d_input2 + H * B * I;
  assert_ok(lstm_trainer_backward(trainer, &flow));
  half.x = x, half.initial = initial;
  assert_ok(lstm_trainer_forward(trainer, &half, NULL));
  flow.d_output = d_output, flow.d_final = d_middle, flow.d_initial = d_initial2, flow.d_input = d_input2;
  assert_ok(lstm_trainer_backward(trainer, &flow));
  collect(trainer, 1, second);
  assert_true(largest_difference(first, second, n) < 1e-5);
  assert_true(largest_difference(d_initial, d_initial2, B * S) < 1e-6);
  assert_true(largest_difference(d_input, d_input2, T * B * I) < 1e-6);
  lstm_trainer_destroy(trainer);
  lstm_model_destroy(model);
}

/* Outputs, states and input gradients of padded lanes are those of the sequences alone, bit for bit. */
static void test_padded_lanes_are_their_sequences_alone(void **arg) {
  static const int lengths[B] = {2, T, 1, 5};
  lstm_model *model = make_model(LSTM_READ_LAST, 0);
  lstm_trainer_desc desc = describe();
  lstm_trainer *trainer;
  float out[B * O], alone_out[O], d_output[B * O], d_input[T * B * I] = {0}, alone_dx[T * I], alone_x[T * I];
  float finals[B * S], alone_final[S], d_initial[B * S], alone_d_initial[S];
  lstm_batch batch = make_batch(1);
  lstm_flow flow = {0};
  int b, t;
  (void)arg;
  desc.loss = LSTM_LOSS_NONE;
  trainer = make_trainer(model, &desc);
  fill(d_output, B * O, 2, 1);
  batch.targets = NULL, batch.lengths = lengths;
  flow.d_output = d_output, flow.d_input = d_input, flow.d_initial = d_initial;
  assert_ok(lstm_trainer_forward(trainer, &batch, out));
  assert_ok(lstm_trainer_backward(trainer, &flow));
  assert_ok(lstm_trainer_final(trainer, finals));
  for (b = 0; b < B; b++) {
    lstm_batch one = {0};
    lstm_flow one_flow = {0};
    for (t = 0; t < lengths[b]; t++) memcpy(alone_x + t * I, x + (t * B + b) * I, I * sizeof(float));
    one.batch_size = 1, one.seq_len = lengths[b], one.x = alone_x;
    one_flow.d_output = d_output + b * O, one_flow.d_input = alone_dx, one_flow.d_initial = alone_d_initial;
    assert_ok(lstm_trainer_forward(trainer, &one, alone_out));
    assert_ok(lstm_trainer_backward(trainer, &one_flow));
    assert_ok(lstm_trainer_final(trainer, alone_final));
    assert_bits(alone_out, out + b * O, O);
    assert_bits(alone_final, finals + b * S, S);
    assert_bits(alone_d_initial, d_initial + b * S, S);
    for (t = 0; t < lengths[b]; t++) assert_bits(alone_dx + t * I, d_input + (t * B + b) * I, I);
    for (t = lengths[b] * I; t < T * I; t++) assert_true(d_input[(t / I * B + b) * I + t % I] == 0);
  }
  lstm_trainer_destroy(trainer);
  lstm_model_destroy(model);
}

static void test_parts_out_of_order_are_refused(void **arg) {
  lstm_model *model = make_model(LSTM_READ_ALL, 0);
  lstm_trainer_desc desc = describe();
  lstm_trainer *trainer = make_trainer(model, &desc);
  lstm_batch batch = make_batch(1);
  (void)arg;
  assert_status(lstm_trainer_backward(trainer, NULL), LSTM_ERR_ARGUMENT);
  assert_status(lstm_trainer_final(trainer, first), LSTM_ERR_ARGUMENT);
  assert_status(lstm_trainer_loss(trainer, &batch, NULL), LSTM_ERR_ARGUMENT);
  assert_ok(lstm_trainer_forward(trainer, &batch, NULL));
  assert_status(lstm_trainer_backward(trainer, NULL), LSTM_ERR_ARGUMENT); /* neither a loss nor a gradient enters */
  assert_ok(lstm_trainer_loss(trainer, &batch, NULL));
  assert_ok(lstm_trainer_backward(trainer, NULL));
  assert_status(lstm_trainer_backward(trainer, NULL), LSTM_ERR_ARGUMENT); /* once after each forward */
  lstm_trainer_destroy(trainer);
  lstm_model_destroy(model);
}

static void test_what_a_batch_refuses(void **arg) {
  static const int lengths[B] = {1, T + 1, 1, 1};
  static const int32_t beyond[T * B] = {O};
  static const float negative[T * B] = {1, -1};
  lstm_model *model = make_model(LSTM_READ_ALL, 0), *classes = make_model(LSTM_READ_ALL, 0);
  lstm_trainer_desc desc = describe();
  lstm_trainer *trainer = make_trainer(model, &desc), *classifier;
  lstm_error error = {{0}, LSTM_OK};
  lstm_batch good = make_batch(1), batch;
  uint64_t before = fnv1a_model(FNV_BEGIN, model);
  (void)arg;
  desc.loss = LSTM_CROSS_ENTROPY;
  classifier = make_trainer(classes, &desc);
  good.error = &error;
  batch = good, batch.batch_size = B + 1;
  assert_status(lstm_train(trainer, &batch, NULL), LSTM_ERR_SHAPE);
  assert_true(error.message[0] != 0);
  batch = good, batch.seq_len = T + 1;
  assert_status(lstm_train(trainer, &batch, NULL), LSTM_ERR_SHAPE);
  batch = good, batch.x = NULL;
  assert_status(lstm_train(trainer, &batch, NULL), LSTM_ERR_ARGUMENT);
  batch = good, batch.targets = NULL;
  assert_status(lstm_train(trainer, &batch, NULL), LSTM_ERR_ARGUMENT);
  batch = good, batch.lengths = lengths;
  assert_true(lstm_train(trainer, &batch, NULL) != LSTM_OK);
  batch = good, batch.weights = negative;
  assert_status(lstm_train(trainer, &batch, NULL), LSTM_ERR_ARGUMENT);
  batch = good, batch.target_ids = beyond;
  assert_status(lstm_train(classifier, &batch, NULL), LSTM_ERR_ARGUMENT);
  assert_status(lstm_train(trainer, NULL, NULL), LSTM_ERR_ARGUMENT);
  assert_true(fnv1a_model(FNV_BEGIN, model) == before);
  assert_true(lstm_trainer_steps(trainer) == 0);
  assert_ok(lstm_train(trainer, &good, NULL));
  lstm_trainer_destroy(trainer), lstm_trainer_destroy(classifier);
  lstm_model_destroy(model), lstm_model_destroy(classes);
}

/* --- losses ------------------------------------------------------------------------------------------------------- */

/* Each loss against its formula in double, and training's loss against evaluation's. */
static double expected_loss(lstm_loss loss, const float *z, const float *target, const int32_t *ids,
                            const float *weights, double *targets, double *correct) {
  double sum = 0, weight = 0;
  int p, k;
  *targets = *correct = 0;
  for (p = 0; p < T * B; p++) {
    double l = 0, v = (double)weights[p];
    int good = 1, best = 0;
    if (weights[p] <= 0 || (loss == LSTM_CROSS_ENTROPY && ids[p] < 0)) continue;
    ++*targets;
    for (k = 0; k < O; k++) {
      double a = (double)z[p * O + k], t = (double)target[p * O + k];
      if (loss == LSTM_MSE) l += (a - t) * (a - t) / O;
      if (loss == LSTM_BINARY_CROSS_ENTROPY) l += (log(1 + exp(a)) - a * t) / O;
      if (loss == LSTM_BINARY_CROSS_ENTROPY) good &= (a > 0) == (t > .5);
      if (loss == LSTM_CROSS_ENTROPY) l += exp(a);
      if (z[p * O + k] > z[p * O + best]) best = k;
    }
    if (loss == LSTM_CROSS_ENTROPY) l = log(l) - (double)z[p * O + ids[p]], good = best == ids[p];
    sum += v * l, weight += v, *correct += good;
  }
  return sum / weight;
}

static void test_losses_are_their_formulas(void **arg) {
  int loss, b;
  (void)arg;
  for (loss = LSTM_CROSS_ENTROPY; loss <= LSTM_MSE; loss++) {
    lstm_model *model = make_model(LSTM_READ_ALL, .5f);
    lstm_trainer_desc desc = describe();
    lstm_trainer *trainer;
    lstm_state_desc lanes = {0};
    lstm_state *state;
    lstm_batch batch = make_batch(1);
    lstm_metrics metrics = {0}, half = {0};
    float z[T * B * O], target[T * B * O], weights[T * B], got;
    int32_t ids[T * B];
    double targets, correct, wanted;
    desc.loss = (lstm_loss)loss;
    trainer = make_trainer(model, &desc);
    lanes.lanes = B;
    assert_ok(lstm_state_create(model, &lanes, &state));
    for (b = 0; b < T * B * O; b++) target[b] = (y[b] + 1) / 2;
    for (b = 0; b < T * B; b++) weights[b] = (float)(b % 5) / 2;
    for (b = 0; b < T * B; b++) ids[b] = b % (O + 1) - 1;
    batch.targets = target, batch.target_ids = ids, batch.weights = weights;
    assert_ok(lstm_trainer_forward(trainer, &batch, z)); /* with dropout */
    assert_ok(lstm_trainer_loss(trainer, &batch, &got));
    assert_true(fabs((double)got - expected_loss((lstm_loss)loss, z, target, ids, weights, &targets, &correct)) < 1e-6);
    batch.seq_len = T;
    assert_ok(lstm_evaluate(model, state, &batch, (lstm_loss)loss, &metrics, NULL)); /* without */
    {
      lstm_model *plain = make_model(LSTM_READ_ALL, 0);
      lstm_trainer *other = make_trainer(plain, &desc);
      assert_ok(lstm_trainer_forward(other, &batch, z));
      assert_ok(lstm_trainer_loss(other, &batch, &got));
      lstm_trainer_destroy(other);
      lstm_model_destroy(plain);
    }
    wanted = expected_loss((lstm_loss)loss, z, target, ids, weights, &targets, &correct);
    assert_true(fabs(metrics.loss / metrics.weight - wanted) < 1e-6);
    assert_true(fabs((double)got - wanted) < 1e-6);
    if (loss != LSTM_MSE) assert_true(metrics.correct == correct);
    assert_true(metrics.targets == targets && targets > 10);
    /* metrics add up over windows */
    lstm_state_reset(state);
    batch.seq_len = T / 2;
    assert_ok(lstm_evaluate(model, state, &batch, (lstm_loss)loss, &half, NULL));
    batch.x += T / 2 * B * I, batch.targets += T / 2 * B * O, batch.target_ids += T / 2 * B, batch.weights += T / 2 * B;
    assert_ok(lstm_evaluate(model, state, &batch, (lstm_loss)loss, &half, NULL));
    assert_true(fabs(half.loss - metrics.loss) < 1e-5 && half.targets == metrics.targets);
    lstm_state_destroy(state);
    lstm_trainer_destroy(trainer);
    lstm_model_destroy(model);
  }
}

static void test_a_batch_without_targets_changes_nothing(void **arg) {
  static const float nothing[T * B];
  lstm_model *model = make_model(LSTM_READ_ALL, 0);
  lstm_trainer_desc desc = describe();
  lstm_trainer *trainer = make_trainer(model, &desc);
  lstm_batch batch = make_batch(1);
  uint64_t before = fnv1a_model(FNV_BEGIN, model);
  float loss = 9;
  (void)arg;
  batch.weights = nothing;
  assert_ok(lstm_train(trainer, &batch, &loss));
  assert_true(loss == 0);
  assert_true(fnv1a_model(FNV_BEGIN, model) == before);
  assert_true(lstm_trainer_steps(trainer) == 0);
  lstm_trainer_destroy(trainer);
  lstm_model_destroy(model);
}

/* --- clipping and optimisers -------------------------------------------------------------------------------------- */

static void test_clipping(void **arg) {
  lstm_model *model = make_model(LSTM_READ_ALL, 0);
  lstm_trainer_desc desc = describe();
  lstm_trainer *trainer;
  lstm_batch batch = make_batch(1);
  double sum;
  float norm;
  size_t n, i;
  (void)arg;
  desc.clip_norm = .01f;
  trainer = make_trainer(model, &desc);
  run_backward(trainer, &batch, NULL);
  n = collect(trainer, 1, first);
  assert_ok(lstm_trainer_clip(trainer, &norm));
  collect(trainer, 1, second);
  for (sum = 0, i = 0; i < n; i++) sum += (double)first[i] * (double)first[i];
  assert_true(fabs((double)norm / sqrt(sum) - 1) < 1e-6);
  for (sum = 0, i = 0; i < n; i++) sum += (double)second[i] * (double)second[i];
  assert_true(fabs(sqrt(sum) / .01 - 1) < 1e-5);
  lstm_trainer_destroy(trainer);
  desc.clip_norm = -1, desc.clip_value = 1e-3f;
  trainer = make_trainer(model, &desc);
  run_backward(trainer, &batch, NULL);
  assert_ok(lstm_trainer_clip(trainer, NULL));
  collect(trainer, 1, third);
  for (i = 0; i < n; i++) {
    float wanted = first[i] > 1e-3f ? 1e-3f : first[i] < -1e-3f ? -1e-3f : first[i];
    assert_true(third[i] == wanted);
  }
  lstm_trainer_destroy(trainer);
  lstm_model_destroy(model);
}

/* One parameter's path under each rule in double, from the gradients that the trainer reports. */
typedef struct path {
  double w, m, v;
} path;

static void advance(path *p, const lstm_trainer_desc *d, double g, int step) {
  double rate = (double)d->learning_rate, decay = (double)d->weight_decay, eps = (double)d->epsilon;
  double b1 = (double)d->beta1, b2 = (double)d->beta2, mu = (double)d->momentum, alpha = (double)d->alpha;
  if (d->optimizer == LSTM_ADAMW) p->w -= rate * decay * p->w;
  else g += decay * p->w;
  switch (d->optimizer) {
  case LSTM_SGD: p->m = mu * p->m + g, p->w -= rate * p->m; break;
  case LSTM_RMSPROP:
    p->v = alpha * p->v + (1 - alpha) * g * g;
    p->m = mu * p->m + g / (sqrt(p->v) + eps), p->w -= rate * p->m;
    break;
  default:
    p->m = b1 * p->m + (1 - b1) * g, p->v = b2 * p->v + (1 - b2) * g * g;
    p->w -= rate * (p->m / (1 - pow(b1, step))) / (sqrt(p->v / (1 - pow(b2, step))) + eps);
  }
}

static void check_optimizer(lstm_optimizer optimizer, float momentum, float decay) {
  lstm_model *model = make_model(LSTM_READ_ALL, 0);
  lstm_trainer_desc desc = describe();
  lstm_trainer *trainer;
  path *paths = (path *)make_array(4096, sizeof(path));
  size_t n, i;
  int step;
  desc.optimizer = optimizer, desc.momentum = momentum, desc.weight_decay = decay, desc.learning_rate = .01f;
  trainer = make_trainer(model, &desc);
  n = collect(trainer, 0, first);
  assert_true(n <= 4096);
  for (i = 0; i < n; i++) paths[i].w = (double)first[i];
  for (step = 1; step <= 5; step++) {
    lstm_batch batch = make_batch((uint64_t)step);
    lstm_trainer_zero_gradients(trainer);
    run_backward(trainer, &batch, NULL);
    collect(trainer, 1, second);
    assert_ok(lstm_trainer_update(trainer));
    collect(trainer, 0, first);
    for (i = 0; i < n; i++) {
      advance(&paths[i], lstm_trainer_desc_of(trainer), (double)second[i], step);
      if (fabs(paths[i].w - (double)first[i]) > 2e-6)
        fail_msg("optimizer %d, step %d, parameter %d: %.9g, wanted %.9g", (int)optimizer, step, (int)i,
                 (double)first[i], paths[i].w);
    }
  }
  free(paths);
  lstm_trainer_destroy(trainer);
  lstm_model_destroy(model);
}

static void test_optimizers_are_their_formulas(void **arg) {
  (void)arg;
  check_optimizer(LSTM_SGD, 0, 0);
  check_optimizer(LSTM_SGD, .9f, .1f);
  check_optimizer(LSTM_RMSPROP, 0, 0);
  check_optimizer(LSTM_RMSPROP, .5f, .1f);
  check_optimizer(LSTM_ADAM, 0, 0);
  check_optimizer(LSTM_ADAM, 0, .1f);
  check_optimizer(LSTM_ADAMW, 0, 0);
  check_optimizer(LSTM_ADAMW, 0, .1f);
}

/* --- bad numbers, best weights ------------------------------------------------------------------------------------ */

/* A trainer that met bad numbers goes on with the bits of one that never did. */
static void test_bad_numbers_leave_no_trace(void **arg) {
  lstm_model *clean_model = make_model(LSTM_READ_ALL, 0), *model = make_model(LSTM_READ_ALL, 0);
  lstm_trainer_desc desc = describe();
  lstm_trainer *clean = make_trainer(clean_model, &desc), *trainer = make_trainer(model, &desc);
  lstm_error error = {{0}, LSTM_OK};
  float bad_x[T * B * I], bad_y[T * B * O], loss;
  int i;
  (void)arg;
  for (i = 0; i < 4; i++) {
    lstm_batch batch = make_batch((uint64_t)i), bad = batch;
    uint64_t before = fnv1a_model(FNV_BEGIN, model);
    memcpy(bad_x, x, sizeof x), memcpy(bad_y, y, sizeof y);
    if (i == 0) bad_x[5] = (float)NAN;
    else if (i == 1) bad_y[3] = (float)INFINITY;
    else bad_y[2] = 3e38f; /* its square is infinite */
    bad.x = bad_x, bad.targets = bad_y, bad.error = &error;
    error.message[0] = 0;
    assert_status(lstm_train(trainer, &bad, &loss), LSTM_ERR_NOT_FINITE);
    assert_true(error.message[0] != 0);
    assert_true(fnv1a_model(FNV_BEGIN, model) == before);
    assert_true(lstm_trainer_steps(trainer) == (uint64_t)i);
    assert_ok(lstm_train(clean, &batch, NULL));
    assert_ok(lstm_train(trainer, &batch, NULL));
    assert_true(fnv1a_model(FNV_BEGIN, model) == fnv1a_model(FNV_BEGIN, clean_model));
  }
  lstm_trainer_destroy(clean), lstm_trainer_destroy(trainer);
  lstm_model_destroy(clean_model), lstm_model_destroy(model);
}

static void test_best_weights_come_back(void **arg) {
  lstm_model *model = make_model(LSTM_READ_ALL, 0);
  lstm_trainer_desc desc = describe();
  lstm_trainer *trainer = make_trainer(model, &desc);
  lstm_batch batch = make_batch(1);
  uint64_t best;
  float before[T * B * O], after[T * B * O];
  (void)arg;
  assert_status(lstm_trainer_keep_best(trainer), LSTM_ERR_UNSUPPORTED);
  assert_status(lstm_trainer_restore_best(trainer), LSTM_ERR_UNSUPPORTED);
  lstm_trainer_destroy(trainer);
  desc.keep_best = 1;
  trainer = make_trainer(model, &desc);
  assert_status(lstm_trainer_restore_best(trainer), LSTM_ERR_ARGUMENT);
  assert_ok(lstm_train(trainer, &batch, NULL));
  assert_ok(lstm_trainer_keep_best(trainer));
  best = fnv1a_model(FNV_BEGIN, model);
  assert_ok(lstm_trainer_forward(trainer, &batch, before));
  assert_ok(lstm_train(trainer, &batch, NULL));
  assert_true(fnv1a_model(FNV_BEGIN, model) != best);
  assert_ok(lstm_trainer_restore_best(trainer));
  assert_true(fnv1a_model(FNV_BEGIN, model) == best);
  assert_ok(lstm_trainer_forward(trainer, &batch, after)); /* the kernels see them too */
  assert_bits(before, after, T * B * O);
  lstm_trainer_destroy(trainer);
  lstm_model_destroy(model);
}

/* --- dropout ------------------------------------------------------------------------------------------------------ */

static void test_dropout_depends_on_the_seed_and_the_step(void **arg) {
  lstm_model *model = make_model(LSTM_READ_ALL, .5f);
  lstm_trainer_desc desc = describe();
  lstm_trainer *a, *b, *c;
  lstm_batch batch = make_batch(1);
  float ya[T * B * O], yb[T * B * O], yc[T * B * O];
  (void)arg;
  a = make_trainer(model, &desc), b = make_trainer(model, &desc);
  desc.seed = 1;
  c = make_trainer(model, &desc);
  assert_ok(lstm_trainer_forward(a, &batch, ya));
  assert_ok(lstm_trainer_forward(b, &batch, yb));
  assert_ok(lstm_trainer_forward(c, &batch, yc));
  assert_bits(ya, yb, T * B * O);
  assert_memory_not_equal(ya, yc, sizeof ya);
  lstm_trainer_destroy(a), lstm_trainer_destroy(b), lstm_trainer_destroy(c);
  lstm_model_destroy(model);
}

/* A dropout layer behind an identity shows its mask: the share of zeros, and kept values divided by 1 - rate. */
static void test_dropout_keeps_the_mean(void **arg) {
  enum { N = 500, BATCH = 20 };
  lstm_layer layers[3];
  lstm_model_desc desc = {0};
  lstm_trainer_desc how = {0};
  lstm_model *model;
  lstm_trainer *trainer;
  lstm_batch batch = {0};
  lstm_tensor t;
  int i, zeros = 0;
  static float in[BATCH], out[BATCH * N];
  (void)arg;
  layers[0] = lstm_lstm(1);
  layers[1] = lstm_dense(N);
  layers[2] = lstm_dropout(.2f);
  desc.input_size = 1, desc.layers = layers, desc.layer_count = 3;
  assert_ok(lstm_model_create(&desc, &model));
  for (i = 0; i < lstm_model_tensor_count(model); i++) {
    size_t k;
    assert_ok(lstm_model_tensor(model, i, &t));
    for (k = 0; k < t.count; k++) t.data[k] = i == 4 ? 1.0f : 0.0f; /* the dense bias */
  }
  lstm_model_refresh(model);
  how.batch_size = BATCH;
  assert_ok(lstm_trainer_create(model, &how, &trainer));
  batch.x = in;
  assert_ok(lstm_trainer_forward(trainer, &batch, out));
  for (i = 0; i < BATCH * N; i++) {
    assert_true(out[i] == 0 || fabs((double)out[i] - 1.25) < 1e-6);
    zeros += out[i] == 0;
  }
  assert_in_range(zeros, BATCH * N * .2 - 160, BATCH * N * .2 + 160); /* four standard deviations */
  lstm_trainer_destroy(trainer);
  lstm_model_destroy(model);
}

/* A target outside 0..1 is a mistake (a shape that does not fit, mostly), and would give a loss without a bottom. */
static void test_binary_targets_are_within_0_and_1(void **state) {
  lstm_model *model = make_model(LSTM_READ_LAST, 0);
  lstm_trainer_desc desc = describe();
  lstm_trainer *trainer;
  lstm_error error = {{0}, LSTM_OK};
  lstm_batch batch = make_batch(5);
  float loss;
  int i;
  (void)state;
  desc.loss = LSTM_BINARY_CROSS_ENTROPY;
  trainer = make_trainer(model, &desc);
  batch.error = &error;
  for (i = 0; i < B * O; i++) y[i] = (float)(i % 2);
  assert_ok(lstm_train(trainer, &batch, &loss));
  y[3] = 1.5f;
  assert_int_equal(lstm_train(trainer, &batch, &loss), LSTM_ERR_ARGUMENT);
  assert_string_equal(error.message, "target 1 at step 0 of lane 1 is not within 0 and 1");
  y[3] = -.5f;
  assert_int_equal(lstm_train(trainer, &batch, &loss), LSTM_ERR_ARGUMENT);
  lstm_trainer_destroy(trainer);
  lstm_model_destroy(model);
}

static float gradient_difference(const lstm_trainer *a, const lstm_trainer *b) {
  static float mine[4096], yours[4096];
  size_t n = collect(a, 1, mine), i;
  float most = 0;
  assert_int_equal(collect(b, 1, yours), n);
  for (i = 0; i < n; i++)
    if (fabsf(mine[i] - yours[i]) > most) most = fabsf(mine[i] - yours[i]);
  return most;
}

/* What one trainer does to the weights, another of the same model goes by. */
static void test_two_trainers_share_a_model(void **state) {
  lstm_model *model = make_model(LSTM_READ_ALL, 0);
  lstm_trainer_desc desc = describe();
  lstm_trainer *one_of_two = make_trainer(model, &desc), *other = make_trainer(model, &desc), *fresh;
  lstm_batch batch = make_batch(6);
  int i;
  (void)state;
  for (i = 0; i < 10; i++) assert_ok(lstm_train(one_of_two, &batch, NULL));
  fresh = make_trainer(model, &desc);
  assert_ok(lstm_trainer_forward(other, &batch, NULL));
  assert_ok(lstm_trainer_loss(other, &batch, NULL));
  assert_ok(lstm_trainer_backward(other, NULL));
  assert_ok(lstm_trainer_forward(fresh, &batch, NULL));
  assert_ok(lstm_trainer_loss(fresh, &batch, NULL));
  assert_ok(lstm_trainer_backward(fresh, NULL));
  assert_true(gradient_difference(other, fresh) == 0);
  lstm_trainer_destroy(one_of_two), lstm_trainer_destroy(other), lstm_trainer_destroy(fresh);
  lstm_model_destroy(model);
}

static void run_in_turn(void *user, int count, void (*task)(void *context, int index), void *context) {
  int i;
  (void)user;
  for (i = 0; i < count; i++) task(context, i);
}

static void test_any_width_and_no_epsilon_below_0(void **state) {
  lstm_model *model = make_model(LSTM_READ_ALL, 0);
  lstm_trainer_desc desc = describe();
  lstm_trainer *trainer;
  lstm_batch batch = make_batch(7);
  (void)state;
  desc.executor.width = INT_MAX;
  desc.executor.run = run_in_turn;
  trainer = make_trainer(model, &desc);
  assert_ok(lstm_train(trainer, &batch, NULL));
  lstm_trainer_destroy(trainer);
  desc.epsilon = -1;
  assert_int_equal(lstm_trainer_create(model, &desc, &trainer), LSTM_ERR_ARGUMENT);
  lstm_model_destroy(model);
}

/* A failed step leaves the carried states as they were, also where the batch brought its own. */
static void test_failures_do_not_reach_carried_states(void **state) {
  lstm_model *model = make_model(LSTM_READ_ALL, 0);
  lstm_trainer_desc desc = describe();
  lstm_trainer *trainer;
  lstm_batch batch = make_batch(8), bad;
  static float initial[B * S], before[B * S];
  float loss;
  (void)state;
  desc.carry_state = 1;
  trainer = make_trainer(model, &desc);
  assert_ok(lstm_train(trainer, &batch, NULL));
  memcpy(before, trainer->carry, sizeof before);
  bad = batch;
  initial[3] = NAN;
  bad.initial = initial;
  assert_int_equal(lstm_train(trainer, &bad, &loss), LSTM_ERR_NOT_FINITE);
  assert_memory_equal(before, trainer->carry, sizeof before);
  assert_ok(lstm_train(trainer, &batch, NULL));
  lstm_trainer_destroy(trainer);
  lstm_model_destroy(model);
}

static void test_clipping_does_not_hide_infinity(void **state) {
  lstm_model *model = make_model(LSTM_READ_ALL, 0);
  lstm_trainer_desc desc = describe();
  lstm_trainer *trainer;
  lstm_batch batch = make_batch(9);
  float loss;
  (void)state;
  desc.clip_value = 1;
  trainer = make_trainer(model, &desc);
  y[0] = 1e25f;
  assert_int_equal(lstm_train(trainer, &batch, &loss), LSTM_ERR_NOT_FINITE);
  assert_int_equal((int)lstm_trainer_steps(trainer), 0);
  lstm_trainer_destroy(trainer);
  lstm_model_destroy(model);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_defaults_are_resolved),
      cmocka_unit_test(test_every_refusal_has_a_sentence),
      cmocka_unit_test(test_the_loss_decides_an_open_output),
      cmocka_unit_test(test_lanes_are_carried_from_window_to_window),
      cmocka_unit_test(test_without_carrying_every_window_begins_at_zero),
      cmocka_unit_test(test_train_is_its_parts),
      cmocka_unit_test(test_gradients_accumulate),
      cmocka_unit_test(test_two_chained_windows_are_one_long_one),
      cmocka_unit_test(test_padded_lanes_are_their_sequences_alone),
      cmocka_unit_test(test_parts_out_of_order_are_refused),
      cmocka_unit_test(test_what_a_batch_refuses),
      cmocka_unit_test(test_losses_are_their_formulas),
      cmocka_unit_test(test_a_batch_without_targets_changes_nothing),
      cmocka_unit_test(test_clipping),
      cmocka_unit_test(test_optimizers_are_their_formulas),
      cmocka_unit_test(test_bad_numbers_leave_no_trace),
      cmocka_unit_test(test_best_weights_come_back),
      cmocka_unit_test(test_dropout_depends_on_the_seed_and_the_step),
      cmocka_unit_test(test_binary_targets_are_within_0_and_1),
      cmocka_unit_test(test_two_trainers_share_a_model),
      cmocka_unit_test(test_any_width_and_no_epsilon_below_0),
      cmocka_unit_test(test_failures_do_not_reach_carried_states),
      cmocka_unit_test(test_clipping_does_not_hide_infinity),
      cmocka_unit_test(test_dropout_keeps_the_mean),
  };
  return cmocka_run_group_tests_name("unit/trainer", tests, NULL, NULL);
}
