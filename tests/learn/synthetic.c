/* Two tasks of the 1997 LSTM paper that need gradients through the cells over many steps: the embedded Reber grammar,
   and the adding problem. Fixed seeds; what is asserted are the papers' criteria, not numbers of a run. (The paper cut
   off what flows back through the gates, and so can these tasks be learnt: that part is gradcheck's.) */
#define LSTM_IMPLEMENTATION
#include "lstm.h"

#include "../helpers.h"

static lstm_model *make_model(int input, int hidden, int output, lstm_read read) {
  lstm_layer layers[2];
  lstm_model_desc desc = {0};
  lstm_model *model;
  layers[0] = lstm_lstm(hidden);
  layers[0].read = read;
  layers[1] = lstm_dense(output);
  desc.input_size = input;
  desc.layers = layers;
  desc.layer_count = 2;
  desc.seed = 1;
  assert_ok(lstm_model_create(&desc, &model));
  return model;
}

static lstm_trainer *make_trainer(lstm_model *model, int batch, int steps, lstm_loss loss, float rate) {
  lstm_trainer_desc desc = {0};
  lstm_trainer *trainer;
  desc.batch_size = batch;
  desc.seq_len = steps;
  desc.loss = loss;
  desc.learning_rate = rate;
  desc.clip_norm = 1;
  assert_ok(lstm_trainer_create(model, &desc, &trainer));
  return trainer;
}

static lstm_state *make_state(const lstm_model *model, int lanes) {
  lstm_state_desc desc = {0};
  lstm_state *state;
  desc.lanes = lanes;
  assert_ok(lstm_state_create(model, &desc, &state));
  return state;
}

/* --- embedded Reber grammar --------------------------------------------------------------------------------------- */

enum { SYM_B, SYM_T, SYM_P, SYM_S, SYM_X, SYM_V, SYM_E, SYMBOLS };
#define LONGEST 40

typedef struct reber {
  int length;                   /* symbols; predictions: length - 1 */
  int symbols[LONGEST];
  unsigned char legal[LONGEST]; /* bit set of what may follow symbol t */
} reber;

/* The inner automaton: state -> two edges (symbol, next state). */
static const int edges[7][2][2] = {
    {{SYM_B, 1}, {SYM_B, 1}}, {{SYM_T, 2}, {SYM_P, 3}}, {{SYM_S, 2}, {SYM_X, 4}}, {{SYM_T, 3}, {SYM_V, 5}},
    {{SYM_X, 3}, {SYM_S, 6}}, {{SYM_P, 4}, {SYM_V, 6}}, {{SYM_E, 7}, {SYM_E, 7}},
};

/* Appends `symbol`, one of `legal`. */
static void append(reber *r, int symbol, int legal) {
  if (r->length && r->length < LONGEST) r->legal[r->length - 1] = (unsigned char)legal;
  if (r->length < LONGEST) r->symbols[r->length] = symbol;
  r->length++;
}

/* B, T or P, a Reber string, the same T or P, E. */
static reber make_string(lstm_rng *rng) {
  for (;;) {
    reber r = {0, {0}, {0}};
    int state = 0, outer = lstm_random_index(rng, 2) ? SYM_T : SYM_P;
    append(&r, SYM_B, 1 << SYM_B);
    append(&r, outer, 1 << SYM_T | 1 << SYM_P);
    while (state < 7) {
      const int *edge = edges[state][lstm_random_index(rng, 2)];
      append(&r, edge[0], 1 << edges[state][0][0] | 1 << edges[state][1][0]);
      state = edge[1];
    }
    append(&r, outer, 1 << outer);
    append(&r, SYM_E, 1 << SYM_E);
    if (r.length <= LONGEST) return r;
  }
}

/* 1: at every step the k most likely symbols are the k legal ones. y [LONGEST][lanes][SYMBOLS]. */
static int predicts(const reber *r, const float *y, int lane, int lanes) {
  int t, k;
  for (t = 0; t < r->length - 1; t++) {
    const float *p = y + (t * lanes + lane) * SYMBOLS;
    float least_legal = 2, most_illegal = -1;
    for (k = 0; k < SYMBOLS; k++) {
      int legal = r->legal[t] >> k & 1;
      if (legal && p[k] < least_legal) least_legal = p[k];
      if (!legal && p[k] > most_illegal) most_illegal = p[k];
    }
    if (!(least_legal > most_illegal)) return 0;
  }
  return 1;
}

#define REBER_BATCH 8
#define REBER_TESTS 500

typedef struct reber_batch {
  float x[LONGEST * REBER_TESTS * SYMBOLS];
  int32_t targets[LONGEST * REBER_TESTS];
  int lengths[REBER_TESTS];
} reber_batch;

static lstm_batch pack_strings(reber_batch *store, const reber *strings, int n) {
  lstm_batch batch = {0};
  int b, t;
  memset(store->x, 0, (size_t)(LONGEST * n * SYMBOLS) * sizeof(float));
  for (b = 0; b < n; b++) {
    store->lengths[b] = strings[b].length - 1;
    for (t = 0; t < store->lengths[b]; t++) {
      store->x[(t * n + b) * SYMBOLS + strings[b].symbols[t]] = 1;
      store->targets[t * n + b] = (int32_t)strings[b].symbols[t + 1];
    }
  }
  batch.seq_len = LONGEST;
  batch.batch_size = n;
  batch.x = store->x, batch.target_ids = store->targets, batch.lengths = store->lengths;
  return batch;
}

static void test_embedded_reber_grammar(void **arg) {
  static reber tests[REBER_TESTS];
  static reber_batch store;
  static float y[LONGEST * REBER_TESTS * SYMBOLS];
  lstm_model *model = make_model(SYMBOLS, 12, SYMBOLS, LSTM_READ_ALL);
  lstm_trainer *trainer = make_trainer(model, REBER_BATCH, LONGEST, LSTM_CROSS_ENTROPY, 1e-2f);
  lstm_state *state = make_state(model, REBER_TESTS);
  lstm_rng train_rng = {1, 0}, test_rng = {2, 0};
  int step, right = 0, i;
  (void)arg;
  for (i = 0; i < REBER_TESTS; i++) tests[i] = make_string(&test_rng);
  for (step = 0; step <= 1800 && right < REBER_TESTS; step++) {
    reber strings[REBER_BATCH];
    lstm_batch batch;
    if (step % 100 == 0) {
      batch = pack_strings(&store, tests, REBER_TESTS);
      lstm_state_reset(state);
      assert_ok(lstm_forward_batch(model, state, &batch, y, NULL));
      for (right = 0, i = 0; i < REBER_TESTS; i++) right += predicts(&tests[i], y, i, REBER_TESTS);
      if (step == 0) assert_true(right < REBER_TESTS / 10);
    }
    for (i = 0; i < REBER_BATCH; i++) strings[i] = make_string(&train_rng);
    batch = pack_strings(&store, strings, REBER_BATCH);
    assert_ok(lstm_train(trainer, &batch, NULL));
  }
  print_message("embedded Reber: %d of %d right after %d training strings\n", right, REBER_TESTS, step * REBER_BATCH);
  assert_int_equal(right, REBER_TESTS);
  lstm_state_destroy(state);
  lstm_trainer_destroy(trainer);
  lstm_model_destroy(model);
}

/* --- adding problem ----------------------------------------------------------------------------------------------- */

#define ADD_T 50
#define ADD_BATCH 32
#define ADD_TESTS 1000

/* Numbers and a marker channel with one mark in each half; the target is the sum of the two marked. */
static void make_sums(float *x, float *targets, int n, lstm_rng *rng) {
  int b, t;
  for (b = 0; b < n; b++) {
    int first = lstm_random_index(rng, ADD_T / 2), second = ADD_T / 2 + lstm_random_index(rng, ADD_T / 2);
    for (t = 0; t < ADD_T; t++) {
      float *at = x + (t * n + b) * 2;
      at[0] = lstm_random(rng);
      at[1] = t == first || t == second;
      if (t == first) targets[b] = at[0];
      if (t == second) targets[b] += at[0];
    }
  }
}

static double mean_squared_error(const lstm_model *model, lstm_state *state, const float *x, const float *targets,
                                 int n) {
  lstm_batch batch = {0};
  lstm_metrics metrics = {0};
  batch.seq_len = ADD_T;
  batch.batch_size = n;
  batch.x = x, batch.targets = targets;
  lstm_state_reset(state);
  assert_ok(lstm_evaluate(model, state, &batch, LSTM_MSE, &metrics, NULL));
  return metrics.loss / metrics.weight;
}

/* Answering 1 always has an error of 1/6. */
static void test_adding_problem(void **arg) {
  static float x[ADD_T * ADD_TESTS * 2], y[ADD_TESTS], train_x[ADD_T * ADD_BATCH * 2], train_y[ADD_BATCH];
  lstm_model *model = make_model(2, 32, 1, LSTM_READ_LAST);
  lstm_trainer *trainer = make_trainer(model, ADD_BATCH, ADD_T, LSTM_MSE, 5e-3f);
  lstm_state *state = make_state(model, ADD_TESTS);
  lstm_rng train_rng = {3, 0}, test_rng = {4, 0};
  lstm_batch batch = {0};
  double error = 1;
  int step;
  (void)arg;
  make_sums(x, y, ADD_TESTS, &test_rng);
  batch.x = train_x, batch.targets = train_y;
  for (step = 0; step <= 1600 && error >= .01; step++) {
    if (step % 100 == 0) error = mean_squared_error(model, state, x, y, ADD_TESTS);
    if (step == 0) assert_true(error > .15);
    make_sums(train_x, train_y, ADD_BATCH, &train_rng);
    assert_ok(lstm_train(trainer, &batch, NULL));
  }
  print_message("adding problem, T=%d: error %.4f after %d steps\n", ADD_T, error, step);
  assert_true(error < .01);
  lstm_state_destroy(state);
  lstm_trainer_destroy(trainer);
  lstm_model_destroy(model);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_embedded_reber_grammar),
      cmocka_unit_test(test_adding_problem),
  };
  return cmocka_run_group_tests_name("learn/synthetic", tests, NULL, NULL);
}
