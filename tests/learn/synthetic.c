/* Two tasks of the 1997 LSTM paper that need gradients through the cells over many steps: the embedded Reber grammar,
   and the adding problem. Fixed seeds; what is asserted are the papers' criteria, not numbers of a run. (The paper cut
   off what flows back through the gates, and so can these tasks be learnt: that part is gradcheck's.) */
#include "lstm.h"

#include "../helpers.h"
#include "task.h"

/* --- embedded Reber grammar --------------------------------------------------------------------------------------- */

enum { SYM_B, SYM_T, SYM_P, SYM_S, SYM_X, SYM_V, SYM_E, SYMBOLS };
#define LONGEST 64 /* one string in ten million is longer, and drawn again */

typedef struct reber {
  int length; /* symbols; predictions: length - 1 */
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

/* 1: at every step the k most likely symbols are the k legal ones. y [T][lanes][SYMBOLS]. */
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
#define REBER_LIMIT 10000 /* training strings */

typedef struct reber_batch {
  float x[LONGEST * REBER_TESTS * SYMBOLS];
  int32_t targets[LONGEST * REBER_TESTS];
  int lengths[REBER_TESTS];
} reber_batch;

static lstm_batch pack_strings(reber_batch *store, const reber *strings, int n) {
  lstm_batch batch = {0};
  int b, t;
  for (b = 0; b < n; b++) {
    store->lengths[b] = strings[b].length - 1;
    if (store->lengths[b] > batch.seq_len) batch.seq_len = store->lengths[b];
  }
  memset(store->x, 0, (size_t)(batch.seq_len * n * SYMBOLS) * sizeof(float));
  for (b = 0; b < n; b++)
    for (t = 0; t < store->lengths[b]; t++) {
      store->x[(t * n + b) * SYMBOLS + strings[b].symbols[t]] = 1;
      store->targets[t * n + b] = (int32_t)strings[b].symbols[t + 1];
    }
  batch.batch_size = n;
  batch.x = store->x, batch.target_ids = store->targets, batch.lengths = store->lengths;
  return batch;
}

/* Training strings until all test strings are predicted, looked at every 50 updates; more than REBER_LIMIT: never. */
static int learn_grammar(uint64_t seed) {
  static reber tests[REBER_TESTS];
  static reber_batch store;
  static float y[LONGEST * REBER_TESTS * SYMBOLS];
  lstm_model *model = task_model(SYMBOLS, lstm_lstm(12), SYMBOLS, seed);
  lstm_trainer *trainer = task_trainer(model, REBER_BATCH, LONGEST, LSTM_CROSS_ENTROPY, 1e-2f);
  lstm_state *state = task_state(model, REBER_TESTS, LONGEST);
  lstm_rng train_rng = {0}, test_rng = {1000, 0};
  int strings, right = 0, i;
  train_rng.seed = seed;
  for (i = 0; i < REBER_TESTS; i++) tests[i] = make_string(&test_rng);
  for (strings = 0; strings <= REBER_LIMIT; strings += REBER_BATCH) {
    reber some[REBER_BATCH];
    lstm_batch batch;
    if (strings % (50 * REBER_BATCH) == 0) {
      batch = pack_strings(&store, tests, REBER_TESTS);
      lstm_state_reset(state);
      assert_ok(lstm_forward_batch(model, state, &batch, y, NULL));
      for (right = 0, i = 0; i < REBER_TESTS; i++) right += predicts(&tests[i], y, i, REBER_TESTS);
      if (strings == 0) assert_true(right < REBER_TESTS / 10);
      if (right == REBER_TESTS) break;
    }
    for (i = 0; i < REBER_BATCH; i++) some[i] = make_string(&train_rng);
    batch = pack_strings(&store, some, REBER_BATCH);
    assert_ok(lstm_train(trainer, &batch, NULL));
  }
  lstm_state_destroy(state);
  lstm_trainer_destroy(trainer);
  lstm_model_destroy(model);
  return strings;
}

/* PyTorch: 5,200, 3,600 and 7,200 strings; the 1997 paper's best: 8,440. */
static void test_embedded_reber_grammar(void **arg) {
  int seed, strings[3];
  (void)arg;
  for (seed = 1; seed <= 3; seed++) strings[seed - 1] = learn_grammar((uint64_t)seed);
  print_message("embedded Reber: all %d test strings predicted after %d, %d, %d training strings (at most %d)\n",
                REBER_TESTS, strings[0], strings[1], strings[2], REBER_LIMIT);
  for (seed = 1; seed <= 3; seed++) assert_true(strings[seed - 1] <= REBER_LIMIT);
}

/* --- adding problem ----------------------------------------------------------------------------------------------- */

#define ADD_T 100
#define ADD_BATCH 32
#define ADD_TESTS 1000
#define ADD_LIMIT 4000 /* updates */
#define ADD_ERROR .01

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

/* Answering 1 always has an error of 1/6. PyTorch: 2,100, 1,900 and 1,200 updates. */
static void test_adding_problem(void **arg) {
  static float x[ADD_T * ADD_TESTS * 2], y[ADD_TESTS], train_x[ADD_T * ADD_BATCH * 2], train_y[ADD_BATCH];
  lstm_layer layer = lstm_lstm(64);
  lstm_model *model;
  lstm_trainer *trainer;
  lstm_state *state;
  lstm_rng train_rng = {1, 0}, test_rng = {1000, 0};
  lstm_batch batch = {0};
  double error = 1;
  int step;
  (void)arg;
  layer.read = LSTM_READ_LAST;
  model = task_model(2, layer, 1, 1);
  trainer = task_trainer(model, ADD_BATCH, ADD_T, LSTM_MSE, 5e-3f);
  state = task_state(model, ADD_TESTS, ADD_T);
  make_sums(x, y, ADD_TESTS, &test_rng);
  batch.x = train_x, batch.targets = train_y;
  for (step = 0; step <= ADD_LIMIT; step++) {
    if (step % 100 == 0) {
      error = mean_squared_error(model, state, x, y, ADD_TESTS);
      if (step == 0) assert_true(error > .15);
      if (error < ADD_ERROR) break;
    }
    make_sums(train_x, train_y, ADD_BATCH, &train_rng);
    assert_ok(lstm_train(trainer, &batch, NULL));
  }
  print_message("adding problem, T=%d: error %.4f (below %.2f) after %d updates (at most %d)\n", ADD_T, error,
                ADD_ERROR, step, ADD_LIMIT);
  assert_true(error < ADD_ERROR);
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
