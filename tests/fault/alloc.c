/* Memory and files that fail: the k-th allocation fails, for every k, in every public function that allocates. The call
   returns LSTM_ERR_MEMORY, *out is NULL, nothing leaks; and what says "allocates: never" allocates never. */
#include <stddef.h>

/* Everything that the library could take without an allocator of the caller's ends up here. */
static void *trap_alloc(size_t size);
static void trap_free(void *p);
#define LSTM_MALLOC(size) trap_alloc(size)
#define LSTM_FREE(p) trap_free(p)
#define LSTM_IMPLEMENTATION
#include "lstm.h"

#include "../helpers.h"

static helper_heap global_heap;
static int trap_is_set;

static void *trap_alloc(size_t size) {
  if (trap_is_set) abort();
  return heap_alloc(&global_heap, size);
}

static void trap_free(void *p) {
  if (trap_is_set) abort();
  heap_free(&global_heap, p);
}

#define I 3
#define O 4
#define B 5
#define T 6

/* The first layer of all models here, and whether it has two directions. */
enum { PLAIN, GENERIC, GRU, BOTH_WAYS, VARIANTS };
static int variant;
static lstm_layer layers[3];

static lstm_layer first_layer(void) {
  lstm_layer layer = variant == GRU ? lstm_gru(10) : lstm_lstm(10);
  if (variant == PLAIN) return layer;
  layer.dropout = layer.recurrent_dropout = layer.zoneout = .1f;
  layer.learned_state = 1;
  layer.bidirectional = variant == BOTH_WAYS;
  if (variant == GRU) return layer;
  layer.projection = 4;
  layer.peephole = layer.layer_norm = 1;
  layer.cell_clip = 3;
  layer.forget = LSTM_FORGET_NOISE;
  layer.noise = .1f;
  layer.activation = LSTM_SOFTSIGN;
  return layer;
}

static lstm_model_desc describe(helper_heap *heap) {
  lstm_model_desc desc = {0};
  layers[0] = first_layer();
  layers[1] = lstm_dropout(.25f);
  layers[2] = lstm_dense(O);
  desc.input_size = I;
  desc.layers = layers;
  desc.layer_count = 3;
  if (heap) desc.allocator = heap_allocator(heap);
  return desc;
}

static lstm_trainer_desc describe_trainer(helper_heap *heap) {
  lstm_trainer_desc desc = {0};
  desc.batch_size = B;
  desc.seq_len = T;
  desc.loss = LSTM_CROSS_ENTROPY;
  desc.keep_best = 1;
  desc.carry_state = variant != BOTH_WAYS;
  if (heap) desc.allocator = heap_allocator(heap);
  return desc;
}

static lstm_model *make_model(helper_heap *heap) {
  lstm_model_desc desc = describe(heap);
  lstm_model *model;
  assert_ok(lstm_model_create(&desc, &model));
  return model;
}

static float some_x[T * B * I]; /* not zeros: of numbers that are all equal, layer_norm has very large gradients */
static const int32_t some_targets[T * B];

static lstm_batch some_batch(void) {
  lstm_batch batch = {0};
  batch.seq_len = T;
  batch.batch_size = B;
  batch.x = some_x;
  batch.target_ids = some_targets;
  return batch;
}

/* --- the k-th allocation fails ------------------------------------------------------------------------------------ */

/* Makes one object with a heap that may fail, and destroys it. Anything else that it needs comes from malloc. */
typedef lstm_status (*scenario)(helper_heap *heap, lstm_error *error);

static lstm_status create_model(helper_heap *heap, lstm_error *error) {
  lstm_model_desc desc = describe(heap);
  lstm_model *model = (lstm_model *)&desc;
  lstm_status status;
  desc.error = error;
  status = lstm_model_create(&desc, &model);
  assert_int_equal(model == NULL, status != LSTM_OK);
  lstm_model_destroy(model);
  return status;
}

static lstm_status create_state(helper_heap *heap, lstm_error *error) {
  lstm_model *model = make_model(NULL);
  lstm_state_desc desc = {0};
  lstm_state *state = (lstm_state *)(void *)&desc;
  lstm_status status;
  desc.lanes = 3;
  desc.seq_len = T;
  desc.tasks = 2;
  desc.allocator = heap_allocator(heap);
  desc.error = error;
  status = lstm_state_create(model, &desc, &state);
  assert_int_equal(state == NULL, status != LSTM_OK);
  lstm_state_destroy(state);
  lstm_model_destroy(model);
  return status;
}

static lstm_status create_trainer(helper_heap *heap, lstm_error *error) {
  lstm_model *model = make_model(NULL);
  lstm_trainer_desc desc = describe_trainer(heap);
  lstm_trainer *trainer = (lstm_trainer *)(void *)&desc;
  lstm_status status;
  desc.error = error;
  status = lstm_trainer_create(model, &desc, &trainer);
  assert_int_equal(trainer == NULL, status != LSTM_OK);
  lstm_trainer_destroy(trainer);
  lstm_model_destroy(model);
  return status;
}

static void fail_every_allocation(scenario run) {
  int persistent;
  long k, live = global_heap.live;
  for (persistent = 0; persistent < 2; persistent++)
    for (k = 1;; k++) {
      helper_heap heap = {0};
      lstm_error error = {{0}, LSTM_OK};
      lstm_status status;
      heap.fail_at = k;
      heap.persistent = persistent;
      status = run(&heap, &error);
      assert_int_equal(heap.live, 0);
      if (heap.calls < k) {
        assert_ok(status);
        assert_true(k > 1);
        break;
      }
      assert_status(status, LSTM_ERR_MEMORY);
      assert_int_equal(error.status, LSTM_ERR_MEMORY);
      assert_true(strlen(error.message) > 0);
      assert_true(k < 1000);
    }
  assert_int_equal(global_heap.live, live);
}

static void test_model_create(void **arg) {
  (void)arg;
  fail_every_allocation(create_model);
}

static void test_state_create(void **arg) {
  (void)arg;
  fail_every_allocation(create_state);
}

static void test_trainer_create(void **arg) {
  (void)arg;
  fail_every_allocation(create_trainer);
}

#ifndef LSTM_NO_FILES
static unsigned char file[1 << 16];
static size_t file_size;

typedef struct cursor {
  size_t at;
} cursor;

/* In pieces of 100 bytes. */
static size_t read_piece(void *user, void *data, size_t size) {
  cursor *c = (cursor *)user;
  size_t n = file_size - c->at;
  if (n > size) n = size;
  if (n > 100) n = 100;
  memcpy(data, file + c->at, n);
  c->at += n;
  return n;
}

static lstm_load_desc load_desc(helper_heap *heap, lstm_error *error) {
  lstm_load_desc desc = {0};
  desc.allocator = heap_allocator(heap);
  desc.error = error;
  return desc;
}

static lstm_status load_memory(helper_heap *heap, lstm_error *error) {
  lstm_load_desc desc = load_desc(heap, error);
  lstm_model *model = (lstm_model *)(void *)&desc;
  lstm_status status = lstm_load_memory(file, file_size, &desc, &model);
  assert_int_equal(model == NULL, status != LSTM_OK);
  lstm_model_destroy(model);
  return status;
}

static lstm_status load_reader(helper_heap *heap, lstm_error *error) {
  lstm_load_desc desc = load_desc(heap, error);
  cursor c = {0};
  lstm_reader reader = {read_piece, NULL};
  lstm_model *model = (lstm_model *)(void *)&desc;
  lstm_status status;
  reader.user = &c;
  status = lstm_load(&reader, &desc, &model);
  assert_int_equal(model == NULL, status != LSTM_OK);
  lstm_model_destroy(model);
  return status;
}

/* Turns the heap's failures off while what a scenario needs is made, and on again for the call itself. */
static long hold_failures(helper_heap *heap) {
  long fail_at = heap->fail_at;
  heap->fail_at = 0;
  return fail_at;
}

static void let_fail(helper_heap *heap, long fail_at) {
  heap->calls = 0;
  heap->fail_at = fail_at;
}

#ifndef LSTM_NO_STDIO
static const char *const path = "build/fault_alloc.safetensors";

static lstm_status load_path(helper_heap *heap, lstm_error *error) {
  lstm_load_desc desc = load_desc(heap, error);
  lstm_model *model = (lstm_model *)(void *)&desc;
  lstm_status status = lstm_load_file(path, &desc, &model);
  assert_int_equal(model == NULL, status != LSTM_OK);
  lstm_model_destroy(model);
  return status;
}

static lstm_status save_path(helper_heap *heap, lstm_error *error) {
  long fail_at = hold_failures(heap);
  lstm_model *model = make_model(heap);
  lstm_save_desc desc = {0};
  lstm_status status;
  desc.error = error;
  let_fail(heap, fail_at);
  status = lstm_save_file(model, &desc, path);
  lstm_model_destroy(model);
  return status;
}

static void test_save_file(void **arg) {
  (void)arg;
  fail_every_allocation(save_path);
  remove(path);
}
#endif

static int write_piece(void *user, const void *data, size_t size) {
  (void)user;
  if (file_size + size > sizeof file) return 0;
  memcpy(file + file_size, data, size);
  file_size += size;
  return 1;
}

static lstm_status resume(helper_heap *heap, lstm_error *error) {
  long fail_at = hold_failures(heap);
  lstm_model *model = make_model(NULL);
  lstm_trainer_desc desc = describe_trainer(heap);
  lstm_trainer *trainer;
  uint64_t before = fnv1a_model(FNV_BEGIN, model);
  lstm_status status;
  assert_ok(lstm_trainer_create(model, &desc, &trainer));
  let_fail(heap, fail_at);
  status = lstm_trainer_resume(trainer, file, file_size, error);
  assert_int_equal(fnv1a_model(FNV_BEGIN, model) == before, status != LSTM_OK);
  assert_true(lstm_trainer_steps(trainer) == (status == LSTM_OK ? 1 : 0));
  lstm_trainer_destroy(trainer);
  lstm_model_destroy(model);
  return status;
}

static void test_resume(void **arg) {
  lstm_model *model = make_model(NULL);
  lstm_trainer_desc desc = describe_trainer(NULL);
  lstm_batch batch = some_batch();
  lstm_writer writer = {write_piece, NULL};
  lstm_trainer *trainer;
  (void)arg;
  assert_ok(lstm_trainer_create(model, &desc, &trainer));
  assert_ok(lstm_train(trainer, &batch, NULL));
  file_size = 0;
  assert_ok(lstm_trainer_save(trainer, NULL, &writer));
  lstm_trainer_destroy(trainer);
  lstm_model_destroy(model);
  fail_every_allocation(resume);
}

/* The k-th read or write fails, for every k. */
typedef struct faulty {
  long calls, fail_at;
  size_t at;
} faulty;

static size_t read_or_fail(void *user, void *data, size_t size) {
  faulty *f = (faulty *)user;
  size_t n = file_size - f->at < 100 ? file_size - f->at : 100;
  if (++f->calls == f->fail_at) return (size_t)-1;
  if (n > size) n = size;
  memcpy(data, file + f->at, n);
  f->at += n;
  return n;
}

static int write_or_fail(void *user, const void *data, size_t size) {
  faulty *f = (faulty *)user;
  (void)data;
  (void)size;
  return ++f->calls != f->fail_at;
}

static void test_reads_fail(void **arg) {
  lstm_model *model = make_model(NULL);
  long k;
  (void)arg;
  assert_ok(lstm_save_memory(model, NULL, file, sizeof file, &file_size));
  for (k = 1;; k++) {
    faulty f = {0, 0, 0};
    helper_heap heap = {0};
    lstm_error error = {{0}, LSTM_OK};
    lstm_load_desc desc = load_desc(&heap, &error);
    lstm_reader reader = {read_or_fail, NULL};
    lstm_model *loaded = (lstm_model *)(void *)&f;
    lstm_status status;
    f.fail_at = k;
    reader.user = &f;
    status = lstm_load(&reader, &desc, &loaded);
    assert_int_equal(loaded == NULL, status != LSTM_OK);
    lstm_model_destroy(loaded);
    assert_int_equal(heap.live, 0);
    if (f.calls < k) {
      assert_ok(status);
      break;
    }
    assert_status(status, LSTM_ERR_IO);
    assert_true(error.message[0] != 0);
  }
  assert_true(k > 10);
  lstm_model_destroy(model);
}

static void test_writes_fail(void **arg) {
  lstm_model *model = make_model(NULL);
  lstm_trainer_desc desc = describe_trainer(NULL);
  lstm_trainer *trainer;
  int whole_run;
  long k;
  (void)arg;
  assert_ok(lstm_trainer_create(model, &desc, &trainer));
  for (whole_run = 0; whole_run < 2; whole_run++)
    for (k = 1;; k++) {
      faulty f = {0, 0, 0};
      lstm_writer writer = {write_or_fail, NULL};
      lstm_status status;
      f.fail_at = k;
      writer.user = &f;
      status = whole_run ? lstm_trainer_save(trainer, NULL, &writer) : lstm_save(model, NULL, &writer);
      if (f.calls < k) {
        assert_ok(status);
        assert_true(k > 1);
        break;
      }
      assert_status(status, LSTM_ERR_IO);
      assert_int_equal(f.calls, k); /* nothing is written after a failure */
    }
  lstm_trainer_destroy(trainer);
  lstm_model_destroy(model);
}

static void test_load(void **arg) {
  lstm_model *model = make_model(NULL);
  (void)arg;
  assert_ok(lstm_save_memory(model, NULL, file, sizeof file, &file_size));
  fail_every_allocation(load_memory);
  fail_every_allocation(load_reader);
#ifndef LSTM_NO_STDIO
  assert_ok(lstm_save_file(model, NULL, path));
  fail_every_allocation(load_path);
  remove(path);
#endif
  lstm_model_destroy(model);
}
#endif

/* --- one allocation each, of the stated size ---------------------------------------------------------------------- */

static void test_each_object_is_one_allocation(void **arg) {
  helper_heap heap = {0};
  lstm_model_desc desc = describe(&heap);
  lstm_trainer_desc how = describe_trainer(&heap);
  lstm_state_desc one = {0};
  lstm_model *model;
  lstm_state *state;
  lstm_trainer *trainer;
  size_t size;
  (void)arg;
  one.allocator = heap_allocator(&heap);
  assert_ok(lstm_model_create(&desc, &model));
  assert_int_equal(heap.calls, 1);
  assert_ok(lstm_model_size(&desc, &size));
  assert_in_range(heap.largest, size, size + LSTM_ALIGNMENT + 2 * sizeof(void *));
  assert_ok(lstm_state_create(model, &one, &state));
  assert_int_equal(heap.calls, 2);
  assert_ok(lstm_trainer_create(model, &how, &trainer));
  assert_int_equal(heap.calls, 3);
  lstm_trainer_destroy(trainer);
  lstm_state_destroy(state);
  lstm_model_destroy(model);
  assert_int_equal(heap.live, 0);
  lstm_model_destroy(NULL);
  lstm_state_destroy(NULL);
  lstm_trainer_destroy(NULL);
}

/* --- memory of the caller's --------------------------------------------------------------------------------------- */

#define GUARD 64

/* `size` bytes at LSTM_ALIGNMENT, with guards on both sides. */
typedef struct arena {
  unsigned char *block, *memory;
  size_t size;
} arena;

static arena make_arena(size_t size) {
  arena a;
  a.block = (unsigned char *)make_array(size + 2 * GUARD + LSTM_ALIGNMENT, 1);
  memset(a.block, 0xC3, size + 2 * GUARD + LSTM_ALIGNMENT);
  a.memory = a.block + GUARD;
  a.memory += (LSTM_ALIGNMENT - (uintptr_t)a.memory % LSTM_ALIGNMENT) % LSTM_ALIGNMENT;
  a.size = size;
  return a;
}

static void free_arena(arena *a) {
  size_t i;
  for (i = 0; i < GUARD; i++) {
    assert_int_equal(a->memory[-1 - (ptrdiff_t)i], 0xC3);
    assert_int_equal(a->memory[a->size + i], 0xC3);
  }
  free(a->block);
}

/* All three objects in given memory with the trap set, at work, and every size below the right one refused. */
static void test_objects_live_in_memory_of_the_callers(void **arg) {
  lstm_model_desc desc = describe(NULL);
  lstm_trainer_desc how = describe_trainer(NULL);
  lstm_state_desc lanes = {0};
  lstm_batch batch = some_batch();
  arena m, s, t;
  size_t model_size, state_size, trainer_size;
  lstm_model *model;
  lstm_state *state;
  lstm_trainer *trainer;
  float loss, y[T * B * O];
  (void)arg;
  lanes.lanes = B;
  lanes.seq_len = T;
  trap_is_set = 1;
  assert_ok(lstm_model_size(&desc, &model_size));
  m = make_arena(model_size);
  assert_ok(lstm_model_create_in(&desc, m.memory, m.size, &model));
  assert_ok(lstm_state_size(model, &lanes, &state_size));
  s = make_arena(state_size);
  assert_ok(lstm_state_create_in(model, &lanes, s.memory, s.size, &state));
  assert_ok(lstm_trainer_size(model, &how, &trainer_size));
  t = make_arena(trainer_size);
  assert_ok(lstm_trainer_create_in(model, &how, t.memory, t.size, &trainer));
  assert_ok(lstm_train(trainer, &batch, &loss));
  assert_ok(lstm_forward_batch(model, state, &batch, y, NULL));
  lstm_trainer_destroy(trainer);
  lstm_state_destroy(state);
  lstm_model_destroy(model);
  trap_is_set = 0;
  free_arena(&t);
  free_arena(&s);
  free_arena(&m);
}

static void test_too_little_memory_is_refused(void **arg) {
  static const size_t less[] = {1, 8, 64, 1000000000};
  lstm_model_desc desc = describe(NULL);
  lstm_trainer_desc how = describe_trainer(NULL);
  lstm_state_desc lanes = {0};
  lstm_error error;
  lstm_model *model = make_model(NULL), *other;
  lstm_state *state;
  lstm_trainer *trainer;
  size_t size;
  int i;
  arena a;
  (void)arg;
  desc.error = how.error = lanes.error = &error;
  for (i = 0; i < HELPERS_COUNT(less); i++) {
#define LESS(size) ((size) > less[i] ? (size)-less[i] : 0)
    other = model;
    assert_ok(lstm_model_size(&desc, &size));
    a = make_arena(LESS(size));
    assert_status(lstm_model_create_in(&desc, a.memory, a.size, &other), LSTM_ERR_MEMORY);
    assert_null(other);
    free_arena(&a);
    state = (lstm_state *)(void *)model;
    assert_ok(lstm_state_size(model, &lanes, &size));
    a = make_arena(LESS(size));
    assert_status(lstm_state_create_in(model, &lanes, a.memory, a.size, &state), LSTM_ERR_MEMORY);
    assert_null(state);
    free_arena(&a);
    trainer = (lstm_trainer *)(void *)model;
    assert_ok(lstm_trainer_size(model, &how, &size));
    a = make_arena(LESS(size));
    assert_status(lstm_trainer_create_in(model, &how, a.memory, a.size, &trainer), LSTM_ERR_MEMORY);
    assert_null(trainer);
    free_arena(&a);
#undef LESS
  }
  lstm_model_destroy(model);
}

static void test_missing_and_misaligned_memory_is_refused(void **arg) {
  lstm_model_desc desc = describe(NULL);
  lstm_model *model;
  size_t size;
  arena a;
  (void)arg;
  assert_ok(lstm_model_size(&desc, &size));
  a = make_arena(size + LSTM_ALIGNMENT);
  assert_status(lstm_model_create_in(&desc, NULL, size, &model), LSTM_ERR_ARGUMENT);
  assert_null(model);
  assert_status(lstm_model_create_in(&desc, a.memory + 4, size, &model), LSTM_ERR_ARGUMENT);
  assert_null(model);
  free_arena(&a);
}

/* --- what never allocates ----------------------------------------------------------------------------------------- */

static void step_all_ways(const lstm_model *model, lstm_state *state) {
  static const int named[] = {4, 1};
  lstm_batch batch = some_batch();
  lstm_metrics metrics = {0};
  float y[T * B * O], values[40];
  lstm_status steps = lstm_model_bidirectional(model) ? LSTM_ERR_UNSUPPORTED : LSTM_OK;
  assert_status(lstm_step(model, state, some_x, y), steps);
  assert_status(lstm_step_lanes(model, state, named, 2, some_x, y), steps);
  assert_ok(lstm_forward(model, state, some_x, T, y));
  assert_ok(lstm_forward_batch(model, state, &batch, y, NULL));
  assert_ok(lstm_evaluate(model, state, &batch, LSTM_CROSS_ENTROPY, &metrics, NULL));
  assert_ok(lstm_state_get(model, state, 1, values));
  assert_ok(lstm_state_set(model, state, 2, values));
  assert_ok(lstm_state_copy_lane(state, 0, state, 1));
  assert_ok(lstm_state_check(model, state));
  assert_ok(lstm_state_begin(model, state, -1));
  lstm_state_reset(state);
}

static void train_all_ways(lstm_model *model, lstm_trainer *trainer) {
  lstm_batch batch = some_batch();
  float loss, norm, y[T * B * O];
  char text[100];
  assert_ok(lstm_train(trainer, &batch, &loss));
  assert_ok(lstm_trainer_keep_best(trainer));
  lstm_trainer_zero_gradients(trainer);
  assert_ok(lstm_trainer_forward(trainer, &batch, y));
  assert_ok(lstm_trainer_loss(trainer, &batch, &loss));
  assert_ok(lstm_trainer_backward(trainer, NULL));
  assert_ok(lstm_trainer_clip(trainer, &norm));
  assert_ok(lstm_trainer_update(trainer));
  assert_ok(lstm_trainer_restore_best(trainer));
  lstm_trainer_reset(trainer);
  lstm_model_refresh(model);
  lstm_model_summary(model, text, sizeof text);
}

static void test_work_allocates_nothing(void **arg) {
  helper_heap heap = {0};
  lstm_model *model = make_model(&heap);
  lstm_trainer_desc how = describe_trainer(&heap);
  lstm_state_desc lanes = {0};
  lstm_trainer *trainer;
  lstm_state *state;
  long calls;
  (void)arg;
  lanes.lanes = B;
  lanes.seq_len = T;
  lanes.allocator = heap_allocator(&heap);
  assert_ok(lstm_trainer_create(model, &how, &trainer));
  assert_ok(lstm_state_create(model, &lanes, &state));
  calls = heap.calls;
  trap_is_set = 1;
  step_all_ways(model, state);
  train_all_ways(model, trainer);
#ifndef LSTM_NO_FILES
  assert_ok(lstm_save_memory(model, NULL, file, sizeof file, &file_size));
#endif
  trap_is_set = 0;
  assert_int_equal(heap.calls, calls);
  lstm_state_destroy(state);
  lstm_trainer_destroy(trainer);
  lstm_model_destroy(model);
  assert_int_equal(heap.live, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_model_create),
      cmocka_unit_test(test_state_create),
      cmocka_unit_test(test_trainer_create),
#ifndef LSTM_NO_FILES
      cmocka_unit_test(test_load),
#ifndef LSTM_NO_STDIO
      cmocka_unit_test(test_save_file),
#endif
      cmocka_unit_test(test_resume),
      cmocka_unit_test(test_reads_fail),
      cmocka_unit_test(test_writes_fail),
#endif
      cmocka_unit_test(test_each_object_is_one_allocation),
      cmocka_unit_test(test_objects_live_in_memory_of_the_callers),
      cmocka_unit_test(test_too_little_memory_is_refused),
      cmocka_unit_test(test_missing_and_misaligned_memory_is_refused),
      cmocka_unit_test(test_work_allocates_nothing),
  };
  static const char *const names[VARIANTS] = {"fault/alloc", "fault/alloc, options", "fault/alloc, gru",
                                              "fault/alloc, both ways"};
  int failed = 0;
  fill(some_x, T * B * I, 1, 1);
  for (variant = 0; variant < VARIANTS; variant++)
    failed += cmocka_run_group_tests_name(names[variant], tests, NULL, NULL);
  return failed;
}
