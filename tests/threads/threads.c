/* Threads: one const model under many of them, and executors of 1, 2, 3 and 7 tasks. The bits never depend on either,
   and the program is clean under -fsanitize=thread (make tsan). */
#include "lstm.h"

#include "../helpers.h"

#define THREADS 4
#define STEPS 50
#define VOCABULARY 13

static lstm_model *make_model(float dropout, lstm_read read) {
  lstm_layer layers[5];
  lstm_model_desc desc = {0};
  lstm_model *model;
  layers[0] = lstm_embedding(7);
  layers[1] = lstm_lstm(24);
  layers[2] = lstm_dropout(dropout);
  layers[3] = lstm_lstm(18);
  layers[3].read = read;
  layers[4] = lstm_dense(VOCABULARY);
  desc.input_size = VOCABULARY;
  desc.layers = layers;
  desc.layer_count = 5;
  desc.output = LSTM_OUTPUT_SOFTMAX;
  desc.seed = 3;
  assert_ok(lstm_model_create(&desc, &model));
  return model;
}

/* --- one model, many threads -------------------------------------------------------------------------------------- */

typedef struct walker {
  pthread_t thread;
  const lstm_model *model;
  uint64_t seed, hash;
  lstm_status status;
} walker;

/* Runs in a thread of its own: no assertions here. */
static void *walk(void *p) {
  walker *w = (walker *)p;
  lstm_state *state;
  int32_t ids[STEPS];
  float y[VOCABULARY], all[STEPS * VOCABULARY];
  int t;
  w->hash = FNV_BEGIN;
  w->status = lstm_state_create(w->model, NULL, &state);
  if (w->status != LSTM_OK) return NULL;
  fill_ids(ids, STEPS, w->seed, VOCABULARY);
  for (t = 0; t < STEPS && w->status == LSTM_OK; t++) {
    w->status = lstm_step_ids(w->model, state, &ids[t], y);
    w->hash = fnv1a(w->hash, y, sizeof y);
  }
  lstm_state_reset(state);
  if (w->status == LSTM_OK) w->status = lstm_forward_ids(w->model, state, ids, STEPS, all);
  w->hash = fnv1a(w->hash, all, sizeof all);
  lstm_state_destroy(state);
  return NULL;
}

static void test_threads_share_a_const_model(void **arg) {
  lstm_model *model = make_model(0, LSTM_READ_ALL);
  walker alone[THREADS], together[THREADS];
  int i;
  (void)arg;
  for (i = 0; i < THREADS; i++) {
    walker w = {0};
    w.model = model;
    w.seed = (uint64_t)i;
    alone[i] = together[i] = w;
    walk(&alone[i]);
    assert_ok(alone[i].status);
  }
  for (i = 0; i < THREADS; i++) assert_int_equal(pthread_create(&together[i].thread, NULL, walk, &together[i]), 0);
  for (i = 0; i < THREADS; i++) {
    pthread_join(together[i].thread, NULL);
    assert_ok(together[i].status);
    assert_true(together[i].hash == alone[i].hash);
  }
  lstm_model_destroy(model);
}

/* --- creating in many threads ------------------------------------------------------------------------------------- */

static void *create_and_train(void *p) {
  walker *w = (walker *)p;
  lstm_layer layers[2];
  lstm_model_desc desc = {0};
  lstm_trainer_desc how = {0};
  lstm_model *model = NULL;
  lstm_trainer *trainer = NULL;
  lstm_batch batch = {0};
  float x[8 * 2], y[8 * 2], loss;
  int i;
  layers[0] = lstm_lstm(9);
  layers[1] = lstm_dense(2);
  desc.input_size = 2;
  desc.layers = layers;
  desc.layer_count = 2;
  how.seq_len = 8;
  how.loss = LSTM_MSE;
  fill(x, 16, 1, 1.0f);
  fill(y, 16, 2, 1.0f);
  batch.x = x;
  batch.targets = y;
  w->status = lstm_model_create(&desc, &model);
  if (w->status == LSTM_OK) w->status = lstm_trainer_create(model, &how, &trainer);
  for (i = 0; i < 5 && w->status == LSTM_OK; i++) w->status = lstm_train(trainer, &batch, &loss);
  if (w->status == LSTM_OK) w->hash = fnv1a_model(FNV_BEGIN, model);
  lstm_trainer_destroy(trainer);
  lstm_model_destroy(model);
  return NULL;
}

/* Nothing is set up in a global: the first models of a process may be made at the same time. */
static void test_threads_create_and_train_models_of_their_own(void **arg) {
  walker walkers[THREADS];
  int i;
  (void)arg;
  memset(walkers, 0, sizeof walkers);
  for (i = 0; i < THREADS; i++)
    assert_int_equal(pthread_create(&walkers[i].thread, NULL, create_and_train, &walkers[i]), 0);
  for (i = 0; i < THREADS; i++) {
    pthread_join(walkers[i].thread, NULL);
    assert_ok(walkers[i].status);
    assert_true(walkers[i].hash == walkers[0].hash);
  }
}

/* --- executors ---------------------------------------------------------------------------------------------------- */

#define B 19
#define T 6

typedef struct tokens {
  int32_t ids[T * B], targets[T * B];
  int lengths[B];
} tokens;

static tokens make_tokens(uint64_t seed) {
  tokens k;
  int i;
  fill_ids(k.ids, T * B, seed, VOCABULARY);
  fill_ids(k.targets, T * B, seed + 1, VOCABULARY);
  for (i = 0; i < B; i++) k.lengths[i] = (i * 7 + (int)seed) % (T + 1);
  return k;
}

static uint64_t train(const lstm_executor *executor, lstm_read read) {
  lstm_model *model = make_model(.25f, read);
  lstm_trainer_desc desc = {0};
  lstm_trainer *trainer;
  uint64_t hash = FNV_BEGIN;
  int i;
  desc.batch_size = B, desc.seq_len = T, desc.loss = LSTM_CROSS_ENTROPY, desc.carry_state = 1;
  if (executor) desc.executor = *executor;
  assert_ok(lstm_trainer_create(model, &desc, &trainer));
  for (i = 0; i < 8; i++) {
    tokens k = make_tokens((uint64_t)i);
    lstm_batch batch = {0};
    float loss;
    batch.ids = k.ids, batch.target_ids = k.targets, batch.lengths = k.lengths;
    assert_ok(lstm_train(trainer, &batch, &loss));
    hash = fnv1a(hash, &loss, sizeof loss);
  }
  hash = fnv1a_model(hash, model);
  lstm_trainer_destroy(trainer);
  lstm_model_destroy(model);
  return hash;
}

static uint64_t infer(const lstm_executor *executor) {
  lstm_model *model = make_model(0, LSTM_READ_ALL);
  tokens k = make_tokens(5);
  lstm_state_desc desc = {0};
  lstm_state *state;
  lstm_batch batch = {0};
  lstm_metrics metrics = {0};
  static float y[T * B * VOCABULARY];
  uint64_t hash;
  desc.lanes = B;
  desc.tasks = executor ? executor->width : 1;
  assert_ok(lstm_state_create(model, &desc, &state));
  batch.seq_len = T, batch.ids = k.ids, batch.target_ids = k.targets, batch.lengths = k.lengths;
  assert_ok(lstm_forward_batch(model, state, &batch, y, executor));
  hash = fnv1a(FNV_BEGIN, y, sizeof y);
  hash = fnv1a(hash, state, lstm_state_saved_size(state));
  assert_ok(lstm_evaluate(model, state, &batch, LSTM_CROSS_ENTROPY, &metrics, executor));
  hash = fnv1a(hash, &metrics, sizeof metrics);
  lstm_state_destroy(state);
  lstm_model_destroy(model);
  return hash;
}

static void test_executors_do_not_change_the_bits(void **arg) {
  static const int widths[] = {1, 2, 3, 7};
  uint64_t all = train(NULL, LSTM_READ_ALL), last = train(NULL, LSTM_READ_LAST), forward = infer(NULL);
  int i;
  (void)arg;
  for (i = 0; i < HELPERS_COUNT(widths); i++) {
    int width = widths[i];
    lstm_executor threads = thread_executor(&width), odd = odd_order_executor(width);
    assert_true(train(&threads, LSTM_READ_ALL) == all);
    assert_true(train(&odd, LSTM_READ_ALL) == all);
    assert_true(train(&threads, LSTM_READ_LAST) == last);
    assert_true(infer(&threads) == forward);
    assert_true(infer(&odd) == forward);
  }
}

/* --- cells with options ------------------------------------------------------------------------------------------- */

#define CELL_I 5
#define CELL_O 20

/* Model `kind`: between them they have every option, both types of cell, and every way of reading. */
static lstm_model *make_cells(int kind) {
  lstm_layer layers[3];
  lstm_model_desc desc = {0};
  lstm_model *model;
  lstm_tensor t;
  int i;
  layers[0] = lstm_lstm(18), layers[1] = kind % 2 ? lstm_gru(17) : lstm_lstm(17), layers[2] = lstm_dense(CELL_O);
  layers[0].peephole = layers[0].layer_norm = 1, layers[0].projection = 9, layers[0].cell_clip = 1;
  layers[0].coupled = kind % 2, layers[0].activation = LSTM_SOFTSIGN;
  if (!layers[0].coupled) layers[0].forget = LSTM_FORGET_NOISE, layers[0].noise = .25f;
  for (i = 0; i < 2; i++) {
    layers[i].dropout = layers[i].recurrent_dropout = .25f, layers[i].zoneout = .125f;
    layers[i].learned_state = 1;
    layers[i].bidirectional = kind > 1;
  }
  layers[1].merge = kind > 1 && kind % 2 ? LSTM_MERGE_SUM : LSTM_MERGE_CONCAT;
  layers[1].read = (lstm_read)(kind % LSTM_READ_COUNT);
  desc.input_size = CELL_I, desc.layers = layers, desc.layer_count = 3, desc.seed = 3;
  assert_ok(lstm_model_create(&desc, &model));
  for (i = 0; lstm_model_tensor(model, i, &t) == LSTM_OK; i++)
    if (t.columns == 0) fill(t.data, t.count, 50 + (uint64_t)i, .5f);
  lstm_model_refresh(model);
  return model;
}

static lstm_batch make_cell_batch(float *x, float *targets, int *lengths, int window) {
  lstm_batch batch = {0};
  int i;
  fill(x, T * B * CELL_I, (uint64_t)window, 1), fill(targets, T * B * CELL_O, (uint64_t)window + 9, 1);
  for (i = 0; i < B; i++) lengths[i] = (i * 7 + window) % (T + 1);
  batch.seq_len = T, batch.x = x, batch.targets = targets, batch.lengths = lengths;
  return batch;
}

static uint64_t train_cells(const lstm_executor *executor, int kind) {
  static float x[T * B * CELL_I], targets[T * B * CELL_O];
  lstm_model *model = make_cells(kind);
  lstm_trainer_desc desc = {0};
  lstm_trainer *trainer;
  uint64_t hash = FNV_BEGIN;
  int lengths[B], i;
  desc.batch_size = B, desc.seq_len = T, desc.loss = LSTM_MSE, desc.carry_state = kind < 2;
  if (executor) desc.executor = *executor;
  assert_ok(lstm_trainer_create(model, &desc, &trainer));
  for (i = 0; i < 4; i++) {
    lstm_batch batch = make_cell_batch(x, targets, lengths, i);
    float loss;
    assert_ok(lstm_train(trainer, &batch, &loss));
    hash = fnv1a(hash, &loss, sizeof loss);
  }
  hash = fnv1a_model(hash, model);
  lstm_trainer_destroy(trainer);
  lstm_model_destroy(model);
  return hash;
}

/* Every lane is traced, so that tasks write to traces side by side. */
static uint64_t infer_cells(const lstm_executor *executor, int kind) {
  static float x[T * B * CELL_I], targets[T * B * CELL_O], y[T * B * CELL_O], values[B][T * 2 * 6 * 18];
  lstm_model *model = make_cells(kind);
  lstm_trace traces[B];
  lstm_state_desc desc = {0};
  lstm_state *state;
  lstm_metrics metrics = {0};
  lstm_batch batch;
  uint64_t hash;
  int lengths[B], i;
  batch = make_cell_batch(x, targets, lengths, kind);
  desc.lanes = B, desc.seq_len = T, desc.tasks = executor ? executor->width : 1;
  assert_ok(lstm_state_create(model, &desc, &state));
  memset(traces, 0, sizeof traces), memset(values, 0, sizeof values), memset(y, 0, sizeof y);
  for (i = 0; i < B; i++) traces[i].lane = i, traces[i].capacity = T, traces[i].values = values[i];
  assert_ok(lstm_state_trace(model, state, traces, B));
  assert_ok(lstm_forward_batch(model, state, &batch, y, executor));
  assert_ok(lstm_state_trace(model, state, NULL, 0));
  for (i = 0; i < B; i++) assert_int_equal(traces[i].steps, lengths[i]);
  hash = fnv1a(fnv1a(FNV_BEGIN, y, sizeof y), values, sizeof values);
  assert_ok(lstm_evaluate(model, state, &batch, LSTM_MSE, &metrics, executor));
  hash = fnv1a(hash, &metrics, sizeof metrics);
  hash = fnv1a(hash, state, lstm_state_saved_size(state));
  lstm_state_destroy(state);
  lstm_model_destroy(model);
  return hash;
}

static void test_executors_do_not_change_the_bits_of_cells(void **arg) {
  static const int widths[] = {2, 3, 7};
  int kind, i;
  (void)arg;
  for (kind = 0; kind < 8; kind++) {
    uint64_t trained = train_cells(NULL, kind), inferred = infer_cells(NULL, kind);
    for (i = 0; i < HELPERS_COUNT(widths); i++) {
      int width = widths[i];
      lstm_executor threads = thread_executor(&width), odd = odd_order_executor(width);
      assert_true(train_cells(&threads, kind) == trained);
      assert_true(train_cells(&odd, kind) == trained);
      assert_true(infer_cells(&threads, kind) == inferred);
      assert_true(infer_cells(&odd, kind) == inferred);
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_threads_create_and_train_models_of_their_own),
      cmocka_unit_test(test_threads_share_a_const_model),
      cmocka_unit_test(test_executors_do_not_change_the_bits),
      cmocka_unit_test(test_executors_do_not_change_the_bits_of_cells),
  };
  return cmocka_run_group_tests_name("threads", tests, NULL, NULL);
}
