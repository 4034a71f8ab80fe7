/* The trainer's options: losses and what belongs to them, burn-in, Nesterov, schedules, rates of single layers. */
#define LSTM_IMPLEMENTATION
#include "lstm.h"

#include "../helpers.h"

#include <math.h>

#define B 3
#define T 5
#define O 5
#define ROWS (T * B)

/* --- models ------------------------------------------------------------------------------------------------------- */

static lstm_model *model_of(lstm_layer *layers, int count, int inputs) {
  lstm_model_desc desc = {0};
  lstm_model *model;
  desc.input_size = inputs;
  desc.layers = layers;
  desc.layer_count = count;
  desc.seed = 21;
  assert_ok(lstm_model_create(&desc, &model));
  return model;
}

/* One dense layer whose outputs are its inputs: the loss's gradient comes out at the inputs. */
static lstm_model *identity(void) {
  lstm_layer layer = lstm_dense(O);
  lstm_model *model = model_of(&layer, 1, O);
  lstm_tensor t;
  size_t i;
  assert_ok(lstm_model_tensor(model, 0, &t));
  for (i = 0; i < t.count; i++) t.data[i] = i % (O + 1) == 0 ? 1.0f : 0.0f;
  assert_ok(lstm_model_tensor(model, 1, &t));
  memset(t.data, 0, t.count * sizeof(float));
  lstm_model_refresh(model);
  return model;
}

/* Tensors of sizes that are no multiples of 16, one of them across the end of a chunk of the optimiser's. */
static lstm_model *network(lstm_read read) {
  lstm_layer layers[4];
  layers[0] = lstm_lstm(29);
  layers[1] = lstm_dropout(.1f);
  layers[2] = lstm_lstm(7);
  layers[2].read = read;
  layers[3] = lstm_dense(O);
  return model_of(layers, 4, O);
}

static lstm_trainer_desc describe(lstm_loss loss) {
  lstm_trainer_desc desc = {0};
  desc.batch_size = B;
  desc.seq_len = T;
  desc.loss = loss;
  return desc;
}

static lstm_trainer *make_trainer(lstm_model *model, const lstm_trainer_desc *desc) {
  lstm_trainer *trainer;
  assert_ok(lstm_trainer_create(model, desc, &trainer));
  return trainer;
}

static lstm_state *make_state(const lstm_model *model) {
  lstm_state_desc desc = {0};
  lstm_state *state;
  desc.lanes = B;
  assert_ok(lstm_state_create(model, &desc, &state));
  return state;
}

static float x[ROWS * O], targets[ROWS * O], weights[ROWS];
static int32_t ids[ROWS];

static lstm_batch make_batch(uint64_t seed) {
  lstm_batch batch = {0};
  int i;
  fill(x, ROWS * O, seed, 2);
  fill(targets, ROWS * O, seed + 1000, 1);
  for (i = 0; i < ROWS * O; i++) targets[i] = (targets[i] + 1) / 2;
  for (i = 0; i < ROWS; i++) weights[i] = (float)(i % 5) / 2;
  for (i = 0; i < ROWS; i++) ids[i] = (int32_t)((i * 7 + (int)seed) % (O + 1)) - 1;
  batch.x = x;
  batch.targets = targets;
  batch.target_ids = ids;
  batch.weights = weights;
  return batch;
}

/* --- losses ------------------------------------------------------------------------------------------------------- */

typedef struct loss_case {
  lstm_loss loss;
  float delta, smoothing;
  int classes; /* 1: with class_weights */
} loss_case;

static const loss_case cases[] = {
    {LSTM_MSE, 0, 0, 0},           {LSTM_MAE, 0, 0, 0},           {LSTM_HUBER, 0, 0, 0},
    {LSTM_HUBER, .4f, 0, 0},       {LSTM_HUBER, 100, 0, 0},       {LSTM_BINARY_CROSS_ENTROPY, 0, 0, 0},
    {LSTM_CROSS_ENTROPY, 0, 0, 0}, {LSTM_CROSS_ENTROPY, 0, .1f, 0}, {LSTM_CROSS_ENTROPY, 0, 0, 1},
    {LSTM_CROSS_ENTROPY, 0, .3f, 1}, {LSTM_CROSS_ENTROPY, 0, 1, 0},
};

static const float class_weights[O] = {.5f, 2, 0, 1, 3};

static lstm_trainer_desc describe_case(const loss_case *c) {
  lstm_trainer_desc desc = describe(c->loss);
  desc.huber_delta = c->delta;
  desc.label_smoothing = c->smoothing;
  desc.class_weights = c->classes ? class_weights : NULL;
  return desc;
}

static double distance(const loss_case *c, double d) {
  double delta = c->delta > 0 ? (double)c->delta : 1;
  if (c->loss == LSTM_MSE) return d * d;
  if (c->loss == LSTM_MAE) return fabs(d);
  return fabs(d) <= delta ? d * d / 2 : delta * (fabs(d) - delta / 2);
}

/* The loss of row r with outputs z, by its formula. */
static double row_loss(const loss_case *c, const double *z, int r) {
  double sum = 0, loss = 0, e = (double)c->smoothing;
  int i;
  for (i = 0; i < O; i++) sum += exp(z[i]);
  for (i = 0; i < O; i++) {
    double t = (double)targets[r * O + i], q = e / O + (i == ids[r] ? 1 - e : 0);
    if (c->loss == LSTM_CROSS_ENTROPY) loss -= q * (z[i] - log(sum));
    else if (c->loss == LSTM_BINARY_CROSS_ENTROPY) loss += (log(1 + exp(z[i])) - z[i] * t) / O;
    else loss += distance(c, z[i] - t) / O;
  }
  return loss;
}

static double row_weight(const loss_case *c, int r) {
  if (c->loss == LSTM_CROSS_ENTROPY && ids[r] < 0) return 0;
  return (double)weights[r] * (c->classes ? (double)class_weights[ids[r]] : 1);
}

static double batch_loss(const loss_case *c, double *total) {
  double sum = 0, z[O];
  int r, i;
  *total = 0;
  for (r = 0; r < ROWS; r++) {
    if (!(row_weight(c, r) > 0)) continue;
    for (i = 0; i < O; i++) z[i] = (double)x[r * O + i];
    sum += row_weight(c, r) * row_loss(c, z, r);
    *total += row_weight(c, r);
  }
  return sum / *total;
}

/* Central differences of the formula; the batch stays away from the corners of |d|. */
static double row_slope(const loss_case *c, int r, int at) {
  double z[O], high, step = 1e-5;
  int i;
  for (i = 0; i < O; i++) z[i] = (double)x[r * O + i];
  z[at] += step;
  high = row_loss(c, z, r);
  z[at] -= 2 * step;
  return (high - row_loss(c, z, r)) / (2 * step);
}

static void check_case(const loss_case *c) {
  lstm_trainer_desc desc = describe_case(c);
  lstm_model *model = identity();
  lstm_trainer *trainer = make_trainer(model, &desc);
  lstm_state *state = make_state(model);
  lstm_batch batch = make_batch(3);
  lstm_metrics metrics = {0};
  lstm_flow flow = {0};
  float loss, gradient[ROWS * O];
  double total, wanted = batch_loss(c, &total);
  int r, i;
  flow.d_input = gradient;
  assert_ok(lstm_trainer_forward(trainer, &batch, NULL));
  assert_ok(lstm_trainer_loss(trainer, &batch, &loss));
  assert_ok(lstm_trainer_backward(trainer, &flow));
  assert_true(fabs((double)loss - wanted) < 1e-6 * (1 + wanted));
  for (r = 0; r < ROWS; r++)
    for (i = 0; i < O; i++) {
      double slope = row_weight(c, r) > 0 ? row_weight(c, r) / total * row_slope(c, r, i) : 0;
      assert_true(fabs((double)gradient[r * O + i] - slope) < 1e-6);
    }
  batch.seq_len = T;
  assert_ok(lstm_trainer_evaluate(trainer, state, &batch, &metrics, NULL));
  assert_true(fabs(metrics.loss / metrics.weight - wanted) < 1e-6 * (1 + wanted));
  assert_true(fabs(metrics.weight - total) < 1e-9);
  lstm_state_destroy(state);
  lstm_trainer_destroy(trainer);
  lstm_model_destroy(model);
}

static void test_losses_and_their_gradients_are_their_formulas(void **arg) {
  int i;
  (void)arg;
  for (i = 0; i < HELPERS_COUNT(cases); i++) check_case(&cases[i]);
}

/* lstm_evaluate takes the loss alone: huber_delta 1, no smoothing, all classes alike. */
static void test_plain_evaluation_has_no_options(void **arg) {
  int i;
  (void)arg;
  for (i = 0; i < HELPERS_COUNT(cases); i++) {
    loss_case plain = {LSTM_LOSS_NONE, 0, 0, 0};
    lstm_model *model = identity();
    lstm_state *state = make_state(model);
    lstm_batch batch = make_batch(3);
    lstm_metrics metrics = {0};
    double total, wanted;
    plain.loss = cases[i].loss;
    wanted = batch_loss(&plain, &total);
    batch.seq_len = T;
    assert_ok(lstm_evaluate(model, state, &batch, plain.loss, &metrics, NULL));
    assert_true(fabs(metrics.loss / metrics.weight - wanted) < 1e-6 * (1 + wanted));
    lstm_state_destroy(state);
    lstm_model_destroy(model);
  }
}

/* Rows of outputs, targets and what a trainer says of them. */
static float loss_of(lstm_trainer_desc desc, const float *z, const int32_t *ids_of_rows, const float *targets_of_rows,
                     float *gradient) {
  lstm_model *model = identity();
  lstm_batch batch = {0};
  lstm_flow flow = {0};
  lstm_trainer *trainer;
  float loss;
  desc.batch_size = 2, desc.seq_len = 1;
  trainer = make_trainer(model, &desc);
  batch.x = z, batch.target_ids = ids_of_rows, batch.targets = targets_of_rows;
  flow.d_input = gradient;
  assert_ok(lstm_trainer_forward(trainer, &batch, NULL));
  assert_ok(lstm_trainer_loss(trainer, &batch, &loss));
  assert_ok(lstm_trainer_backward(trainer, &flow));
  lstm_trainer_destroy(trainer);
  lstm_model_destroy(model);
  return loss;
}

#define assert_near(a, b) assert_true(fabs((double)(a) - (b)) < 1e-6)

/* z = 0, 1, 2, 3, 4: log of the sum of e^z is 4.45191440, the mean 2. */
static void test_numbers_by_hand(void **arg) {
  static const float z[2 * O] = {0, 1, 2, 3, 4, 0, 1, 2, 3, 4}, zero[2 * O] = {0};
  static const float factors[O] = {2, 1, 1, 1, .5f};
  static const int32_t classes[2] = {0, 4};
  float g[2 * O] = {0};
  lstm_trainer_desc desc = {0};
  (void)arg;
  desc.loss = LSTM_CROSS_ENTROPY;
  assert_near(loss_of(desc, z, classes, NULL, g), (4.45191440 + .45191440) / 2);
  desc.label_smoothing = .1f; /* of either row a tenth goes to the mean: .9 * loss + .1 * 2.45191440 */
  assert_near(loss_of(desc, z, classes, NULL, g), .9 * (4.45191440 + .45191440) / 2 + .1 * 2.45191440);
  assert_near(g[0], (.01165623 - .92) / 2); /* softmax of z: .01165623, ..., .63640865 */
  assert_near(g[9], (.63640865 - .92) / 2);
  assert_near(g[4], (.63640865 - .02) / 2);
  desc.label_smoothing = 0;
  desc.class_weights = factors;
  assert_near(loss_of(desc, z, classes, NULL, g), (2 * 4.45191440 + .5 * .45191440) / 2.5);
  assert_near(g[0], 2 / 2.5 * (.01165623 - 1));
  assert_near(g[9], .5 / 2.5 * (.63640865 - 1));
  desc.class_weights = NULL;
  desc.loss = LSTM_MAE;
  assert_near(loss_of(desc, z, NULL, zero, g), 2);
  assert_true(g[0] == 0 && g[1] == .1f && g[4] == .1f);
  assert_near(loss_of(desc, zero, NULL, z, g), 2);
  assert_true(g[0] == 0 && g[1] == -.1f);
  desc.loss = LSTM_HUBER; /* 0, .5, 1.5, 2.5, 3.5 */
  assert_near(loss_of(desc, z, NULL, zero, g), 1.6);
  desc.huber_delta = 2; /* 0, .5, 2, 4, 6 */
  assert_near(loss_of(desc, z, NULL, zero, g), 2.5);
  assert_true(g[0] == 0 && g[1] == .1f && g[2] == .2f && g[3] == .2f && g[4] == .2f);
}

static void test_the_loss_decides_the_output(void **arg) {
  int i;
  (void)arg;
  for (i = LSTM_MAE; i <= LSTM_HUBER; i++) {
    lstm_model *model = identity();
    lstm_trainer_desc desc = describe((lstm_loss)i);
    lstm_trainer *trainer = make_trainer(model, &desc);
    assert_int_equal(lstm_model_output(model), LSTM_OUTPUT_LINEAR);
    lstm_trainer_destroy(trainer);
    desc.loss = LSTM_CROSS_ENTROPY;
    assert_status(lstm_trainer_create(model, &desc, &trainer), LSTM_ERR_MISMATCH);
    lstm_model_destroy(model);
  }
}

/* A class without weight is a target without weight; an id that has none is never looked up. */
static void test_targets_without_weight_may_be_anything(void **arg) {
  lstm_model *model = identity();
  lstm_trainer_desc desc = describe(LSTM_CROSS_ENTROPY);
  lstm_batch batch = make_batch(1);
  lstm_state *state = make_state(model);
  lstm_metrics metrics = {0};
  lstm_trainer *trainer;
  double counted = 0;
  int i;
  (void)arg;
  desc.class_weights = class_weights;
  trainer = make_trainer(model, &desc);
  for (i = 0; i < ROWS; i++) {
    if (i % 5 == 0) ids[i] = 2147483647;
    counted += weights[i] > 0 && ids[i] >= 0 && ids[i] != 2;
  }
  assert_ok(lstm_train(trainer, &batch, NULL));
  batch.seq_len = T;
  assert_ok(lstm_trainer_evaluate(trainer, state, &batch, &metrics, NULL));
  assert_true(metrics.targets == counted);
  ids[1] = O;
  assert_status(lstm_train(trainer, &batch, NULL), LSTM_ERR_ARGUMENT);
  lstm_state_destroy(state);
  lstm_trainer_destroy(trainer);
  lstm_model_destroy(model);
}

/* --- burn-in ------------------------------------------------------------------------------------------------------ */

static void test_burn_in_is_weights_of_zero(void **arg) {
  static const int lengths[B] = {T, 2, 4};
  lstm_model *a = network(LSTM_READ_ALL), *b = network(LSTM_READ_ALL);
  lstm_trainer_desc desc = describe(LSTM_HUBER);
  lstm_trainer *burnt, *weighted;
  lstm_state *sa = make_state(a), *sb = make_state(b);
  int step, i;
  (void)arg;
  desc.carry_state = 1;
  burnt = make_trainer(a, &desc), weighted = make_trainer(b, &desc);
  for (step = 0; step <= T; step++) {
    lstm_batch batch = make_batch((uint64_t)step), same;
    lstm_metrics ma = {0}, mb = {0};
    float zeroed[ROWS], la, lb;
    for (i = 0; i < ROWS; i++) zeroed[i] = i / B < step ? 0 : weights[i];
    batch.lengths = lengths, batch.seq_len = T;
    same = batch, same.weights = zeroed, batch.burn_in = step;
    assert_ok(lstm_trainer_evaluate(burnt, sa, &batch, &ma, NULL));
    assert_ok(lstm_trainer_evaluate(weighted, sb, &same, &mb, NULL));
    assert_true(ma.loss == mb.loss && ma.weight == mb.weight && ma.targets == mb.targets);
    assert_ok(lstm_train(burnt, &batch, &la));
    assert_ok(lstm_train(weighted, &same, &lb));
    assert_true(la == lb && (step == T) == (la == 0));
  }
  assert_true(fnv1a_model(FNV_BEGIN, a) == fnv1a_model(FNV_BEGIN, b));
  assert_true(lstm_trainer_steps(burnt) == T);
  lstm_state_destroy(sa), lstm_state_destroy(sb);
  lstm_trainer_destroy(burnt), lstm_trainer_destroy(weighted);
  lstm_model_destroy(a), lstm_model_destroy(b);
}

static void check_burn_in(lstm_read read, int burn_in, lstm_status wanted) {
  lstm_model *model = network(read);
  lstm_trainer_desc desc = describe(LSTM_MAE);
  lstm_trainer *trainer = make_trainer(model, &desc);
  lstm_state *state = make_state(model);
  lstm_batch batch = make_batch(1);
  lstm_error error = {{0}, LSTM_OK};
  lstm_metrics metrics = {0};
  batch.burn_in = burn_in, batch.error = &error, batch.seq_len = T;
  assert_status(lstm_evaluate(model, state, &batch, LSTM_MAE, &metrics, NULL), wanted);
  assert_status(lstm_train(trainer, &batch, NULL), wanted);
  assert_true((wanted == LSTM_OK) == (error.message[0] == 0));
  lstm_state_destroy(state);
  lstm_trainer_destroy(trainer);
  lstm_model_destroy(model);
}

static void test_what_burn_in_refuses(void **arg) {
  (void)arg;
  check_burn_in(LSTM_READ_ALL, T, LSTM_OK);
  check_burn_in(LSTM_READ_ALL, T + 1, LSTM_ERR_ARGUMENT);
  check_burn_in(LSTM_READ_ALL, -1, LSTM_ERR_ARGUMENT);
  check_burn_in(LSTM_READ_LAST, 0, LSTM_OK);
  check_burn_in(LSTM_READ_LAST, 1, LSTM_ERR_ARGUMENT);
}

/* --- Nesterov ----------------------------------------------------------------------------------------------------- */

/* All tensors' numbers, one after the other. */
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

static float values[8192], gradients[8192];
static double w[8192], v[8192];

static void test_nesterov(void **arg) {
  lstm_model *model = network(LSTM_READ_ALL);
  lstm_trainer_desc desc = describe(LSTM_MSE);
  lstm_trainer *trainer;
  size_t n, i;
  int step;
  (void)arg;
  desc.optimizer = LSTM_SGD, desc.nesterov = 1;
  desc.momentum = .9f, desc.learning_rate = .05f, desc.weight_decay = .01f;
  trainer = make_trainer(model, &desc);
  n = collect(trainer, 0, values);
  for (i = 0; i < n; i++) w[i] = (double)values[i], v[i] = 0;
  for (step = 0; step < 20; step++) {
    lstm_batch batch = make_batch((uint64_t)step);
    assert_ok(lstm_train(trainer, &batch, NULL));
    collect(trainer, 0, values);
    collect(trainer, 1, gradients); /* they stay, as they were after clipping */
    for (i = 0; i < n; i++) {
      double g = (double)gradients[i] + (double).01f * w[i];
      v[i] = (double).9f * v[i] + g;
      w[i] -= (double).05f * (g + (double).9f * v[i]);
      assert_true(fabs(w[i] - (double)values[i]) < 1e-6);
    }
  }
  lstm_trainer_destroy(trainer);
  lstm_model_destroy(model);
}

/* --- schedules ---------------------------------------------------------------------------------------------------- */

static double expected_rate(const lstm_trainer_desc *d, double base, int n) {
  double factor = (double)d->schedule_factor;
  if (n < d->warmup) return base * (n + 1) / d->warmup;
  n -= d->warmup;
  if (d->schedule == LSTM_SCHEDULE_STEP) return base * pow(factor, n / d->schedule_steps);
  if (d->schedule == LSTM_SCHEDULE_EXPONENTIAL) return base * pow(factor, n);
  if (d->schedule == LSTM_SCHEDULE_COSINE && n >= d->schedule_steps) return base * factor;
  if (d->schedule == LSTM_SCHEDULE_COSINE)
    return base * (factor + (1 - factor) * (1 + cos(3.14159265358979323846 * n / d->schedule_steps)) / 2);
  return base;
}

/* One weight that is 0, with a gradient of 1: what SGD makes of it is the rate. */
static float rate_used(lstm_trainer *trainer) {
  lstm_tensor at, g;
  assert_ok(lstm_model_tensor(lstm_trainer_model(trainer), 1, &at));
  assert_ok(lstm_trainer_gradient(trainer, 1, &g));
  at.data[0] = 0, g.data[0] = 1;
  assert_ok(lstm_trainer_update(trainer));
  return -at.data[0];
}

static void check_schedule(const lstm_trainer_desc *desc) {
  lstm_model *model = identity();
  lstm_trainer *trainer = make_trainer(model, desc);
  const lstm_trainer_desc *d = lstm_trainer_desc_of(trainer);
  double base = (double)lstm_trainer_learning_rate(trainer);
  int n;
  for (n = 0; n < 300; n++) {
    float rate = lstm_trainer_scheduled_rate(trainer);
    double wanted = expected_rate(d, base, n);
    assert_true(fabs((double)rate - wanted) <= 1e-7 * wanted + 1.5e-45); /* to a float's precision */
    assert_true(rate_used(trainer) == rate);
    assert_true((double)lstm_trainer_learning_rate(trainer) == base); /* the schedule leaves it alone */
    if (n == 200) base = .5, assert_ok(lstm_trainer_set_learning_rate(trainer, .5f));
  }
  lstm_trainer_destroy(trainer);
  lstm_model_destroy(model);
}

static void test_schedules(void **arg) {
  static const float factors[] = {0, .5f, 1, -1};
  static const int warmups[] = {0, 1, 10, 250, -3};
  int schedule, factor, warmup;
  (void)arg;
  for (schedule = 0; schedule < LSTM_SCHEDULE_COUNT; schedule++)
    for (factor = 0; factor < HELPERS_COUNT(factors); factor++)
      for (warmup = 0; warmup < HELPERS_COUNT(warmups); warmup++) {
        lstm_trainer_desc desc = describe(LSTM_MSE);
        if (factors[factor] < 0 && schedule != LSTM_SCHEDULE_COSINE) continue;
        desc.optimizer = LSTM_SGD, desc.learning_rate = .03f;
        desc.schedule = (lstm_schedule)schedule, desc.schedule_steps = 70;
        desc.schedule_factor = factors[factor], desc.warmup = warmups[warmup];
        check_schedule(&desc);
      }
}

static void test_defaults_of_schedules(void **arg) {
  static const float defaults[] = {0, .1f, .999f, 0};
  int i;
  (void)arg;
  for (i = 0; i < LSTM_SCHEDULE_COUNT; i++) {
    lstm_trainer_desc desc = describe(LSTM_MSE);
    lstm_model *model = identity();
    lstm_trainer *trainer, *again;
    desc.schedule = (lstm_schedule)i, desc.schedule_steps = 5;
    trainer = make_trainer(model, &desc);
    assert_true(lstm_trainer_desc_of(trainer)->schedule_factor == defaults[i]);
    assert_true(lstm_trainer_desc_of(trainer)->huber_delta == 1);
    again = make_trainer(model, lstm_trainer_desc_of(trainer)); /* a resolved description is one */
    assert_true(lstm_trainer_desc_of(again)->schedule_factor == defaults[i]);
    lstm_trainer_destroy(again);
    lstm_trainer_destroy(trainer);
    lstm_model_destroy(model);
  }
}

/* AdamW's decay and Adam's rate move with the schedule too: without a gradient only the decay is left. */
static void test_adamw_decays_at_the_scheduled_rate(void **arg) {
  lstm_model *model = identity();
  lstm_trainer_desc desc = describe(LSTM_MSE);
  lstm_trainer *trainer;
  lstm_tensor t;
  int n;
  (void)arg;
  desc.optimizer = LSTM_ADAMW, desc.learning_rate = .5f, desc.weight_decay = .5f;
  desc.schedule = LSTM_SCHEDULE_EXPONENTIAL, desc.schedule_factor = .5f;
  trainer = make_trainer(model, &desc);
  assert_ok(lstm_model_tensor(model, 1, &t));
  for (n = 0; n < 5; n++) {
    t.data[0] = 1;
    assert_ok(lstm_trainer_update(trainer));
    assert_true(t.data[0] == 1 - .25f / (float)(1 << n));
  }
  lstm_trainer_destroy(trainer);
  lstm_model_destroy(model);
}

/* --- rates of layers ---------------------------------------------------------------------------------------------- */

static uint64_t train_network(const lstm_trainer_desc *given, lstm_optimizer optimizer, const float *rates,
                              float rate) {
  lstm_model *model = network(LSTM_READ_ALL);
  lstm_trainer_desc desc = *given;
  lstm_trainer *trainer;
  uint64_t hash;
  int step;
  desc.optimizer = optimizer, desc.layer_rates = rates, desc.learning_rate = rate;
  trainer = make_trainer(model, &desc);
  for (step = 0; step < 5; step++) {
    lstm_batch batch = make_batch((uint64_t)step);
    assert_ok(lstm_train(trainer, &batch, NULL));
  }
  hash = fnv1a_model(FNV_BEGIN, model);
  lstm_trainer_destroy(trainer);
  lstm_model_destroy(model);
  return hash;
}

static void test_rates_of_one_are_no_rates(void **arg) {
  static const float ones[4] = {1, 1, 1, 1}, halves[4] = {.5f, .5f, .5f, .5f};
  int i;
  (void)arg;
  for (i = LSTM_SGD; i < LSTM_OPTIMIZER_COUNT; i++) {
    lstm_trainer_desc desc = describe(LSTM_MSE);
    uint64_t wanted;
    desc.momentum = .5f, desc.weight_decay = .1f, desc.warmup = 3;
    wanted = train_network(&desc, (lstm_optimizer)i, NULL, .0625f);
    assert_true(train_network(&desc, (lstm_optimizer)i, ones, .0625f) == wanted);
    assert_true(train_network(&desc, (lstm_optimizer)i, halves, .125f) == wanted);
  }
}

static void check_frozen(lstm_optimizer optimizer, int layer, const int *layers_of_tensors) {
  lstm_model *model = network(LSTM_READ_ALL), *before = network(LSTM_READ_ALL);
  lstm_trainer_desc desc = describe(LSTM_MSE);
  lstm_trainer *trainer;
  float rates[4] = {1, 1, .5f, 2};
  double sum = 0;
  size_t k;
  int step, i;
  rates[layer] = 0;
  desc.optimizer = optimizer, desc.momentum = .9f, desc.weight_decay = .1f, desc.layer_rates = rates;
  desc.clip_norm = -1;
  trainer = make_trainer(model, &desc);
  for (i = 0; i < 4; i++) rates[i] = 7; /* copied */
  for (step = 0; step < 3; step++) {
    lstm_batch batch = make_batch((uint64_t)step);
    assert_ok(lstm_train(trainer, &batch, NULL));
  }
  for (i = 0; i < lstm_model_tensor_count(model); i++) {
    lstm_tensor now, then, g;
    size_t offset;
    assert_ok(lstm_model_tensor(model, i, &now));
    assert_ok(lstm_model_tensor(before, i, &then));
    assert_ok(lstm_trainer_gradient(trainer, i, &g));
    assert_int_equal(same_bits(now.data, then.data, now.count), layers_of_tensors[i] == layer);
    offset = (size_t)(now.data - model->params);
    for (k = 0; k < g.count; k++) {
      sum += (double)g.data[k] * (double)g.data[k];
      if (layers_of_tensors[i] == layer) assert_true(g.data[k] == 0 && trainer->m1[offset + k] == 0);
    }
  }
  assert_true(fabs((double)lstm_trainer_norm(trainer) - sqrt(sum)) < 1e-5 * sqrt(sum) && sum > 0);
  lstm_trainer_destroy(trainer);
  lstm_model_destroy(model);
  lstm_model_destroy(before);
}

static void test_frozen_layers_stay_and_have_no_part_in_the_norm(void **arg) {
  static const int layers_of_tensors[] = {0, 0, 0, 2, 2, 2, 3, 3};
  int i;
  (void)arg;
  for (i = LSTM_SGD; i < LSTM_OPTIMIZER_COUNT; i++) {
    check_frozen((lstm_optimizer)i, 0, layers_of_tensors);
    check_frozen((lstm_optimizer)i, 2, layers_of_tensors);
    check_frozen((lstm_optimizer)i, 3, layers_of_tensors);
  }
}

/* --- refusals ----------------------------------------------------------------------------------------------------- */

static const float bad_list[O] = {1, 1, -1, 1, 1}, endless[O] = {1, 1, 1, (float)INFINITY, 1};

static lstm_status break_desc(lstm_trainer_desc *d, int way) {
  switch (way) {
  case 0: d->huber_delta = -1; break;
  case 1: d->huber_delta = (float)NAN; break;
  case 2: d->label_smoothing = 1.5f; break;
  case 3: d->label_smoothing = (float)NAN; break;
  case 4: d->label_smoothing = .1f, d->loss = LSTM_MSE; break;
  case 5: d->class_weights = endless, d->loss = LSTM_HUBER; break;
  case 6: d->class_weights = bad_list; break;
  case 7: d->class_weights = endless; break;
  case 8: d->nesterov = 1, d->momentum = .9f; break;
  case 9: d->nesterov = 1, d->optimizer = LSTM_RMSPROP, d->momentum = .9f; break;
  case 10: d->nesterov = 1, d->optimizer = LSTM_SGD; break;
  case 11: d->schedule = (lstm_schedule)77; break;
  case 12: d->schedule = (lstm_schedule)-1; break;
  case 13: d->schedule = LSTM_SCHEDULE_STEP; break;
  case 14: d->schedule = LSTM_SCHEDULE_COSINE, d->schedule_steps = -1; break;
  case 15: d->schedule = LSTM_SCHEDULE_EXPONENTIAL, d->schedule_factor = 1.5f; break;
  case 16: d->schedule = LSTM_SCHEDULE_EXPONENTIAL, d->schedule_factor = -1; break;
  case 17: d->schedule = LSTM_SCHEDULE_STEP, d->schedule_steps = 1, d->schedule_factor = -1; break;
  case 18: d->schedule = LSTM_SCHEDULE_COSINE, d->schedule_steps = 1, d->schedule_factor = 2; break;
  case 19: d->schedule_factor = (float)NAN; break;
  case 20: d->layer_rates = bad_list; break;
  case 21: d->layer_rates = endless; break;
  default: return LSTM_OK;
  }
  return LSTM_ERR_ARGUMENT;
}

static void test_every_refusal_has_a_sentence(void **arg) {
  lstm_model *model = network(LSTM_READ_ALL);
  int way;
  (void)arg;
  for (way = 0;; way++) {
    lstm_trainer_desc desc = describe(LSTM_CROSS_ENTROPY);
    lstm_error error = {{0}, LSTM_OK};
    lstm_trainer *trainer;
    lstm_status wanted = break_desc(&desc, way), got;
    if (wanted == LSTM_OK) break;
    desc.error = &error;
    got = lstm_trainer_create(model, &desc, &trainer);
    if (got != wanted || !error.message[0])
      fail_msg("way %d: got %s, wanted %s, sentence \"%s\"", way, lstm_status_name(got), lstm_status_name(wanted),
               error.message);
    assert_null(trainer);
  }
  assert_int_equal(way, 22);
  lstm_model_destroy(model);
}

/* --- checkpoints -------------------------------------------------------------------------------------------------- */

typedef struct memory {
  char data[120000];
  size_t size;
} memory;

static int keep(void *user, const void *data, size_t size) {
  memory *m = (memory *)user;
  if (m->size + size > sizeof m->data) return 0;
  memcpy(m->data + m->size, data, size);
  m->size += size;
  return 1;
}

static void save(const lstm_trainer *trainer, memory *m) {
  lstm_writer writer;
  m->size = 0;
  writer.write = keep, writer.user = m;
  assert_ok(lstm_trainer_save(trainer, NULL, &writer));
}

static int mentions(const memory *m, const char *key) {
  size_t i, n = strlen(key);
  for (i = 8; i + n <= m->size; i++)
    if (memcmp(m->data + i, key, n) == 0) return 1;
  return 0;
}

static const char *const option_keys[] = {"trainer.huber_delta", "trainer.label_smoothing", "trainer.class_weights",
                                          "trainer.nesterov", "trainer.schedule\"", "trainer.schedule_steps",
                                          "trainer.schedule_factor", "trainer.warmup", "trainer.layer_rates",
                                          "trainer.pre_emphasis"};

static lstm_trainer_desc describe_option(int option) {
  static const float rates[4] = {1, 1, 0, .5f};
  lstm_trainer_desc d = describe(LSTM_CROSS_ENTROPY);
  d.optimizer = LSTM_SGD, d.momentum = .5f;
  switch (option) {
  case 0: d.huber_delta = .25f; break;
  case 1: d.label_smoothing = .125f; break;
  case 2: d.class_weights = class_weights; break;
  case 3: d.nesterov = 1; break;
  case 4: d.schedule = LSTM_SCHEDULE_COSINE, d.schedule_steps = 3; break;
  case 5: d.schedule_steps = 9; break;
  case 6: d.schedule_factor = .5f; break;
  case 7: d.warmup = 4; break;
  case 8: d.layer_rates = rates; break;
  case 9: d.pre_emphasis = .5f; break;
  default: break;
  }
  return d;
}

static void train_on(lstm_trainer *trainer, int from, int to) {
  for (; from < to; from++) {
    lstm_batch batch = make_batch((uint64_t)from);
    assert_ok(lstm_train(trainer, &batch, NULL));
  }
}

static memory plain_file, file, end_file;

/* A run with the option goes on with the same bits; one without it is refused by name, and the other way round. */
static void check_option(int option) {
  lstm_trainer_desc desc = describe_option(option), none = describe_option(-1);
  lstm_model *models[3] = {network(LSTM_READ_ALL), network(LSTM_READ_ALL), network(LSTM_READ_ALL)};
  lstm_trainer *whole = make_trainer(models[0], &desc), *rest = make_trainer(models[1], &desc);
  lstm_trainer *plain = make_trainer(models[2], &none);
  lstm_error error = {{0}, LSTM_OK};
  size_t length = strlen(option_keys[option]);
  if (option_keys[option][length - 1] == '"') length--;
  save(plain, &plain_file);
  train_on(whole, 0, 2);
  save(whole, &file);
  train_on(whole, 2, 5);
  assert_true(mentions(&file, option_keys[option]) && !mentions(&plain_file, option_keys[option]));
  assert_status(lstm_trainer_resume(plain, file.data, file.size, &error), LSTM_ERR_MISMATCH);
  assert_memory_equal(error.message, option_keys[option], length);
  error.message[0] = 0;
  assert_status(lstm_trainer_resume(rest, plain_file.data, plain_file.size, &error), LSTM_ERR_MISMATCH);
  assert_memory_equal(error.message, option_keys[option], length);
  assert_ok(lstm_trainer_resume(rest, file.data, file.size, &error));
  train_on(rest, 2, 5);
  save(whole, &file), save(rest, &end_file);
  assert_true(file.size == end_file.size && memcmp(file.data, end_file.data, file.size) == 0);
  lstm_trainer_destroy(whole), lstm_trainer_destroy(rest), lstm_trainer_destroy(plain);
  for (option = 0; option < 3; option++) lstm_model_destroy(models[option]);
}

static void test_checkpoints_know_the_options(void **arg) {
  int i;
  (void)arg;
  for (i = 0; i < HELPERS_COUNT(option_keys); i++) check_option(i);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_losses_and_their_gradients_are_their_formulas),
      cmocka_unit_test(test_plain_evaluation_has_no_options),
      cmocka_unit_test(test_numbers_by_hand),
      cmocka_unit_test(test_the_loss_decides_the_output),
      cmocka_unit_test(test_targets_without_weight_may_be_anything),
      cmocka_unit_test(test_burn_in_is_weights_of_zero),
      cmocka_unit_test(test_what_burn_in_refuses),
      cmocka_unit_test(test_nesterov),
      cmocka_unit_test(test_schedules),
      cmocka_unit_test(test_defaults_of_schedules),
      cmocka_unit_test(test_adamw_decays_at_the_scheduled_rate),
      cmocka_unit_test(test_rates_of_one_are_no_rates),
      cmocka_unit_test(test_frozen_layers_stay_and_have_no_part_in_the_norm),
      cmocka_unit_test(test_every_refusal_has_a_sentence),
      cmocka_unit_test(test_checkpoints_know_the_options),
  };
  return cmocka_run_group_tests_name("losses", tests, NULL, NULL);
}
