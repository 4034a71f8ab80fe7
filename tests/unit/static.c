/* Models as constants: the same bits and the same states as the models that they were made of, on every instruction
   set, for every layer and option; what they refuse. */
#include "lstm.h"

#include "../helpers.h"

enum { STEPS = 4, LANES = 3, TABLES = 1 << 15, VALUES = 4096 };

/* --- architectures ------------------------------------------------------------------------------------------------ */

#define DENSE(...) {.type = LSTM_LAYER_DENSE, __VA_ARGS__}
#define LSTM(...) {{.type = LSTM_LAYER_LSTM, .size = 11, __VA_ARGS__}, DENSE(.size = 5)}
#define GRU(...) {{.type = LSTM_LAYER_GRU, .size = 11, __VA_ARGS__}, DENSE(.size = 5)}
#define CELL(...) {.type = LSTM_LAYER_LSTM, .size = 9, __VA_ARGS__}
#define TOKENS(...) {.type = LSTM_LAYER_EMBEDDING, __VA_ARGS__}
static const lstm_layer models[][4] = {
    LSTM(.name = "outer"),
    {{.type = LSTM_LAYER_LSTM, .size = 40}, DENSE(.size = 5)},
    LSTM(.peephole = 1),
    LSTM(.coupled = 1),
    LSTM(.projection = 4),
    LSTM(.layer_norm = 1),
    LSTM(.cell_clip = .125f),
    LSTM(.forget = LSTM_FORGET_ZERO),
    LSTM(.forget = LSTM_FORGET_ONE),
    LSTM(.forget = LSTM_FORGET_NOISE, .noise = .25f),
    LSTM(.activation = LSTM_SOFTSIGN),
    LSTM(.gate_activation = LSTM_HARD_SIGMOID),
    LSTM(.dropout = .25f),
    LSTM(.recurrent_dropout = .25f),
    LSTM(.zoneout = .125f),
    LSTM(.learned_state = 1),
    LSTM(.read = LSTM_READ_LAST),
    LSTM(.read = LSTM_READ_MEAN),
    LSTM(.read = LSTM_READ_MAX),
    LSTM(.bidirectional = 1),
    LSTM(.bidirectional = 1, .merge = LSTM_MERGE_SUM, .read = LSTM_READ_MAX),
    LSTM(.peephole = 1, .layer_norm = 1, .projection = 3, .zoneout = .125f, .learned_state = 1, .bidirectional = 1),
    GRU(.name = NULL),
    GRU(.zoneout = .125f),
    GRU(.learned_state = 1),
    GRU(.bidirectional = 1, .learned_state = 1),
    {TOKENS(.size = 6), CELL(.learned_state = 1), DENSE(.size = 5)},
    {TOKENS(.size = 9, .tied = 1), CELL(.name = "inner"), CELL(.learned_state = 1), DENSE(.size = 7)},
    {TOKENS(.size = 6), CELL(.bidirectional = 1, .learned_state = 1), DENSE(.size = 5)},
    {TOKENS(.size = 6), {.type = LSTM_LAYER_DROPOUT, .rate = .5f}, CELL(.learned_state = 1), DENSE(.size = 5)},
    {TOKENS(.size = 6), DENSE(.size = 8, .activation = LSTM_TANH), CELL(.layer_norm = 1), DENSE(.size = 5)},
    {DENSE(.size = 70, .activation = LSTM_RELU), CELL(.learned_state = 1), CELL(.learned_state = 1), DENSE(.size = 90)},
    {CELL(.learned_state = 1)},
};

static lstm_model *make(int which, lstm_isa isa, lstm_numerics numerics) {
  lstm_model_desc desc = {0};
  lstm_model *model = NULL;
  desc.input_size = 7;
  desc.layers = models[which];
  while (desc.layer_count < 4 && models[which][desc.layer_count].type) desc.layer_count++;
  desc.isa = isa;
  desc.numerics = numerics;
  desc.output = which % 3 == 0 ? LSTM_OUTPUT_SOFTMAX : which % 3 == 1 ? LSTM_OUTPUT_SIGMOID : LSTM_OUTPUT_LINEAR;
  assert_ok(lstm_model_create(&desc, &model));
  for (int i = 0; i < lstm_model_tensor_count(model); i++) {
    lstm_tensor t;
    assert_ok(lstm_model_tensor(model, i, &t));
    fill(t.data, t.count, (uint64_t)(i + 1), 0.75f);
  }
  lstm_model_refresh(model);
  return model;
}

/* --- running ------------------------------------------------------------------------------------------------------ */

/* All of a sequence's outputs, then the values of all lanes. */
static size_t run(const lstm_model *model, lstm_state *state, float *y) {
  float x[STEPS * LANES * 7];
  int32_t ids[STEPS * LANES];
  size_t n = (size_t)(lstm_model_reads_last(model) ? 1 : STEPS) * LANES * (size_t)lstm_model_output_size(model);
  fill(x, HELPERS_COUNT(x), 5, 1.0f);
  fill_ids(ids, HELPERS_COUNT(ids), 6, 7);
  if (lstm_model_takes_ids(model))
    assert_ok(lstm_forward_ids(model, state, ids, STEPS, y));
  else
    assert_ok(lstm_forward(model, state, x, STEPS, y));
  for (int lane = 0; lane < LANES; lane++, n += (size_t)lstm_model_state_size(model))
    assert_ok(lstm_state_get(model, state, lane, y + n));
  assert_true(n < VALUES);
  return n;
}

static lstm_state *state_of(const lstm_model *model) {
  lstm_state_desc desc = {.lanes = LANES, .seq_len = STEPS};
  lstm_state *state;
  assert_ok(lstm_state_create(model, &desc, &state));
  return state;
}

/* What `lstm export` writes instead of all parameters: the tensors that running reads. */
static void keep_few(const lstm_model *model, lstm_static_model *s, float *few) {
  s->whole = 0;
  s->param_count = 0;
  s->params = few;
  for (int i = 0; i < lstm_model_tensor_count(model); i++) {
    lstm_tensor t;
    assert_ok(lstm_model_tensor(model, i, &t));
    if (!strstr(t.name, ".h0_l") && !strstr(t.name, ".c0_l") && (!strstr(t.name, "embed.") || s->table)) continue;
    memcpy(few + s->param_count, t.data, t.count * sizeof(float));
    s->param_count += t.count;
  }
  if (!s->param_count) s->params = NULL;
}

static void compare(int which, lstm_isa isa, lstm_numerics numerics) {
  static float wanted[VALUES], got[VALUES], few[VALUES];
  unsigned char memory[TABLES + 64], *tables = memory + (64 - (uintptr_t)memory % 64) % 64;
  lstm_model *model = make(which, isa, numerics), *constant;
  lstm_state *state = state_of(model);
  lstm_static_model s;
  size_t n = run(model, state, wanted), size;
  assert_ok(lstm_model_to_static(model, &s));
  for (int compact = 0; compact < 2; compact++) {
    if (compact) keep_few(model, &s, few);
    s.isa = isa;
    assert_ok(lstm_model_static_size(&s, &size));
    assert_in_range(size, 1, 4096);
    assert_ok(lstm_model_from_static(&s, tables, size, &constant));
    assert_int_equal(lstm_model_isa(constant), isa);
    assert_int_equal(lstm_model_parameter_count(constant), lstm_model_parameter_count(model));
    lstm_state *own = state_of(constant);
    assert_int_equal(run(constant, own, got), n);
    assert_bits(got, wanted, n);
    assert_ok(lstm_state_begin(constant, state, -1)); /* a state of the one is a state of the other */
    run(constant, state, got);
    assert_bits(got, wanted, n);
    assert_ok(lstm_state_begin(model, own, -1));
    run(model, own, got);
    assert_bits(got, wanted, n);
    lstm_state_destroy(own);
    lstm_model_destroy(constant);
  }
  lstm_state_destroy(state);
  lstm_model_destroy(model);
}

static void test_constants_give_the_same_bits(void **arg) {
  (void)arg;
  for (int which = 0; which < HELPERS_COUNT(models); which++)
    for (int isa = LSTM_ISA_SCALAR; isa < LSTM_ISA_COUNT; isa++)
      for (int numerics = LSTM_FUSED; lstm_isa_usable((lstm_isa)isa) && numerics <= LSTM_PORTABLE; numerics++)
        compare(which, (lstm_isa)isa, (lstm_numerics)numerics);
}

static void test_weights_are_packed_alike_for_every_set(void **arg) {
  (void)arg;
  for (int which = 0; which < HELPERS_COUNT(models); which++) {
    lstm_model *first = make(which, LSTM_ISA_SCALAR, LSTM_PORTABLE);
    lstm_static_model a, b;
    assert_ok(lstm_model_to_static(first, &a));
    for (int isa = LSTM_ISA_SSE2; isa < LSTM_ISA_COUNT; isa++) {
      if (!lstm_isa_usable((lstm_isa)isa)) continue;
      lstm_model *other = make(which, (lstm_isa)isa, LSTM_PORTABLE);
      assert_ok(lstm_model_to_static(other, &b));
      assert_int_equal(a.fingerprint, b.fingerprint);
      assert_int_equal(a.packed_count, b.packed_count);
      assert_bits(a.packed, b.packed, a.packed_count);
      assert_int_equal(a.table_count, b.table_count);
      if (a.table) assert_bits(a.table, b.table, a.table_count);
      lstm_model_destroy(other);
    }
    lstm_model_destroy(first);
  }
}

/* --- what is refused ---------------------------------------------------------------------------------------------- */

/* NULL model on failure, whatever it was. */
static lstm_status try(const lstm_static_model *s) {
  static unsigned char memory[TABLES + 64];
  lstm_model *model = (lstm_model *)(void *)memory;
  lstm_status status = lstm_model_from_static(s, memory + (64 - (uintptr_t)memory % 64) % 64, TABLES, &model);
  assert_int_equal(status == LSTM_OK, model != NULL);
  return status;
}

static void test_what_does_not_fit_is_refused(void **arg) {
  static unsigned char memory[TABLES + 64];
  unsigned char *aligned = memory + (64 - (uintptr_t)memory % 64) % 64;
  lstm_layer layers[] = {lstm_lstm(11), lstm_dense(5)};
  lstm_model *model = make(0, LSTM_ISA_AUTO, LSTM_FUSED), *out = model;
  lstm_static_model good, bad;
  size_t size = 1;
  (void)arg;
  assert_ok(lstm_model_to_static(model, &good));
  assert_ok(try(&good));
  bad = good, bad.version++;
  assert_status(try(&bad), LSTM_ERR_VERSION);
  assert_status(lstm_model_static_size(&bad, &size), LSTM_ERR_VERSION);
  assert_int_equal(size, 0);
  bad = good, bad.fingerprint++;
  assert_status(try(&bad), LSTM_ERR_MISMATCH);
  bad = good, bad.packed_count--;
  assert_status(try(&bad), LSTM_ERR_MISMATCH);
  bad = good, bad.param_count++;
  assert_status(try(&bad), LSTM_ERR_MISMATCH);
  for (int count = 0; count < 2; count++) {
    bad = good, bad.table = bad.packed, bad.table_count = (size_t)count;
    assert_status(try(&bad), LSTM_ERR_MISMATCH);
  }
  bad = good, bad.output = (lstm_output)77;
  assert_status(try(&bad), LSTM_ERR_MISMATCH);
  bad = good, bad.numerics = (lstm_numerics)77;
  assert_status(try(&bad), LSTM_ERR_MISMATCH);
  bad = good, bad.input_size = 8;
  assert_status(try(&bad), LSTM_ERR_MISMATCH);
  bad = good, bad.layer_count = 0;
  assert_status(try(&bad), LSTM_ERR_ARGUMENT);
  bad = good, bad.packed = NULL;
  assert_status(try(&bad), LSTM_ERR_ARGUMENT);
  bad = good, bad.params = NULL;
  assert_status(try(&bad), LSTM_ERR_ARGUMENT);
  bad = good, bad.layers = NULL;
  assert_status(try(&bad), LSTM_ERR_ARGUMENT);
  bad = good, bad.isa = (lstm_isa)99;
  assert_status(try(&bad), LSTM_ERR_UNSUPPORTED);
  bad = good, bad.layers = layers;
  layers[0].size = 12;
  assert_status(try(&bad), LSTM_ERR_MISMATCH);
  layers[0].type = (lstm_layer_type)77;
  assert_status(try(&bad), LSTM_ERR_MISMATCH);
  layers[0].type = (lstm_layer_type)LSTM_LAYER_TYPE_COUNT; /* a join is no layer */
  assert_status(try(&bad), LSTM_ERR_MISMATCH);
  assert_ok(lstm_model_static_size(&good, &size));
  assert_status(lstm_model_from_static(&good, aligned, size - 1, &out), LSTM_ERR_MEMORY);
  assert_null(out);
  assert_status(lstm_model_from_static(&good, aligned + 8, size, &out), LSTM_ERR_ARGUMENT);
  assert_status(lstm_model_from_static(&good, NULL, size, &out), LSTM_ERR_ARGUMENT);
  assert_status(lstm_model_from_static(NULL, aligned, size, &out), LSTM_ERR_ARGUMENT);
  assert_status(lstm_model_from_static(&good, aligned, size, NULL), LSTM_ERR_ARGUMENT);
  assert_status(lstm_model_static_size(&good, NULL), LSTM_ERR_ARGUMENT);
  assert_status(lstm_model_to_static(NULL, &bad), LSTM_ERR_ARGUMENT);
  assert_status(lstm_model_to_static(model, NULL), LSTM_ERR_ARGUMENT);
  lstm_model_destroy(model);
}

static void test_a_static_model_does_not_change(void **arg) {
  static unsigned char memory[TABLES + 64];
  unsigned char *aligned = memory + (64 - (uintptr_t)memory % 64) % 64;
  lstm_model *model = make(0, LSTM_ISA_AUTO, LSTM_FUSED), *constant;
  lstm_trainer_desc how = {.loss = LSTM_CROSS_ENTROPY, .batch_size = 1, .seq_len = 2};
  lstm_save_desc save = {0};
  lstm_trainer *trainer;
  lstm_static_model s;
  lstm_error error;
  lstm_tensor tensor;
  char text[1000];
  size_t size;
  (void)arg;
  how.error = save.error = &error;
  assert_ok(lstm_model_to_static(model, &s));
  assert_ok(lstm_model_from_static(&s, aligned, TABLES, &constant));
  lstm_model_refresh(constant);
  assert_int_equal(lstm_model_tensor_count(constant), 0);
  assert_status(lstm_model_tensor(constant, 0, &tensor), LSTM_ERR_UNSUPPORTED);
  assert_status(lstm_model_copy_weights(constant, model), LSTM_ERR_UNSUPPORTED);
  assert_status(lstm_model_copy_weights(model, constant), LSTM_ERR_UNSUPPORTED);
  assert_status(lstm_model_to_static(constant, &s), LSTM_ERR_UNSUPPORTED);
  assert_status(lstm_trainer_create(constant, &how, &trainer), LSTM_ERR_UNSUPPORTED);
  assert_null(trainer);
  assert_string_equal(error.message, "a static model cannot be trained");
  assert_status(lstm_trainer_size(constant, &how, &size), LSTM_ERR_UNSUPPORTED);
  assert_status(lstm_save_memory(constant, &save, NULL, 0, &size), LSTM_ERR_UNSUPPORTED);
  assert_string_equal(error.message, "a static model cannot be saved");
  lstm_model_summary(constant, text, sizeof text);
  assert_non_null(strstr(text, "lstm hidden=11 name=outer: 7 -> 11\ndense size=5: 11 -> 5\n"));
  lstm_model_destroy(constant);
  lstm_model_destroy(model);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_constants_give_the_same_bits),
      cmocka_unit_test(test_weights_are_packed_alike_for_every_set),
      cmocka_unit_test(test_what_does_not_fit_is_refused),
      cmocka_unit_test(test_a_static_model_does_not_change),
  };
  return cmocka_run_group_tests_name("unit/static", tests, NULL, NULL);
}
