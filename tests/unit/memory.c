/* The formulas of the manual's MEMORY section against the sizes that the library asks for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define LSTM_IMPLEMENTATION
#include "lstm.h"

typedef struct shape {
  int tokens, input, columns, hidden, depth, output; /* tokens 0: `input` features; else an embedding of `columns` */
} shape;

static const shape shapes[] = {{0, 1, 0, 5, 1, 1},   {0, 3, 0, 16, 1, 2},    {0, 40, 0, 17, 2, 7},
                               {0, 2, 0, 128, 3, 9}, {96, 0, 64, 128, 1, 96}, {300, 0, 20, 33, 2, 300}};

static size_t up(size_t n) { return (n + 15) / 16 * 16; }
static size_t larger(size_t a, size_t b) { return a > b ? a : b; }
static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

static int describe(const shape *s, lstm_layer layers[8], lstm_model_desc *desc) {
  int n = 0, i;
  memset(desc, 0, sizeof *desc);
  if (s->tokens) layers[n++] = lstm_embedding(s->columns);
  for (i = 0; i < s->depth; i++) layers[n++] = lstm_lstm(s->hidden);
  layers[n++] = lstm_dense(s->output);
  desc->input_size = s->tokens ? s->tokens : s->input;
  desc->layers = layers;
  desc->layer_count = n;
  return n;
}

static size_t parameters(const shape *s) {
  size_t h = (size_t)s->hidden, in = (size_t)(s->tokens ? s->columns : s->input), o = (size_t)s->output, p = 0;
  int i;
  if (s->tokens) p += (size_t)s->tokens * in;
  for (i = 0; i < s->depth; i++, in = h) p += 4 * h * (in + h + 1);
  return p + o * (h + 1);
}

/* What is asked for is what the formula says, in floats, and a little for tables and rounding. */
static void assert_close(size_t bytes, size_t floats, size_t layers) {
  assert_true(bytes >= 4 * floats);
  assert_true(bytes <= 4 * floats + 2048 + 1024 * layers);
}

static void test_model(void **unused) {
  size_t k;
  (void)unused;
  for (k = 0; k < sizeof shapes / sizeof *shapes; k++) {
    const shape *s = &shapes[k];
    size_t h = (size_t)s->hidden, in = (size_t)(s->tokens ? s->columns : s->input), size;
    size_t floats = parameters(s) + up((size_t)s->output) * (1 + h);
    lstm_layer layers[8];
    lstm_model_desc desc;
    int i, n = describe(s, layers, &desc);
    if (s->tokens) floats += 4 * up(h) * (size_t)s->tokens;
    for (i = 0; i < s->depth; i++, in = h) floats += 4 * up(h) * (1 + in + h);
    assert_int_equal(lstm_model_size(&desc, &size), LSTM_OK);
    assert_close(size, floats, (size_t)n);
  }
}

static void test_state(void **unused) {
  size_t k;
  (void)unused;
  for (k = 0; k < sizeof shapes / sizeof *shapes; k++) {
    const shape *s = &shapes[k];
    size_t h = up((size_t)s->hidden), widest = larger(h, up((size_t)s->output)), size;
    lstm_layer layers[8];
    lstm_model_desc desc;
    lstm_state_desc how;
    lstm_model *model;
    lstm_state *state;
    (void)describe(s, layers, &desc);
    if (s->tokens) widest = larger(widest, up((size_t)s->columns));
    memset(&how, 0, sizeof how);
    how.lanes = 100;
    how.tasks = 2;
    assert_int_equal(lstm_model_create(&desc, &model), LSTM_OK);
    assert_int_equal(lstm_state_size(model, &how, &size), LSTM_OK);
    assert_true(size >= 4 * (100 * 2 * h * (size_t)s->depth + 2 * 2 * 48 * widest));
    assert_true(size <=
                4 * (100 * 2 * h * (size_t)s->depth + 2 * ((2 * 48 + 1) * widest + 48 * 4 * h)) + 32 * 100 + 1024);
    assert_int_equal(lstm_state_create(model, &how, &state), LSTM_OK);
    assert_int_equal(lstm_state_saved_size(state), 64 + 4 * 100 * 2 * h * (size_t)s->depth);
    lstm_state_destroy(state);
    lstm_model_destroy(model);
  }
}

static size_t trainer_floats(const shape *s, size_t T, size_t B, int moments) {
  size_t h = up((size_t)s->hidden), o = up((size_t)s->output), p = parameters(s), depth = (size_t)s->depth;
  size_t in = (size_t)(s->tokens ? s->columns : s->input), widest = larger(h, o), v = (size_t)s->tokens;
  size_t floats = (size_t)(1 + moments) * p + depth * (6 * h * T * B + 2 * h * B) + o * T * B + o * h;
  floats += 4 * h * (up(in) + h) + (depth - 1) * 4 * h * 2 * h + B * 2 * (size_t)s->hidden * depth;
  widest = larger(widest, up(in));
  floats += 2 * (T + 1) * B * widest;
  return floats + (v ? (4 * h + up(in)) * smaller(v, T * B) : in * T * B);
}

static void test_trainer(void **unused) {
  size_t k;
  (void)unused;
  for (k = 0; k < sizeof shapes / sizeof *shapes; k++) {
    const shape *s = &shapes[k];
    const size_t T = 20, B = 7;
    lstm_layer layers[8];
    lstm_model_desc desc;
    lstm_trainer_desc how;
    lstm_model *model;
    size_t size, small, n = (size_t)describe(s, layers, &desc);
    memset(&how, 0, sizeof how);
    how.seq_len = (int)T;
    how.batch_size = (int)B;
    assert_int_equal(lstm_model_create(&desc, &model), LSTM_OK);
    assert_int_equal(lstm_trainer_size(model, &how, &size), LSTM_OK);
    small = 8 * T * B + 3 * 4 * T * B + 8 * (size_t)s->tokens; /* a few numbers for each place and token */
    assert_true(size >= 4 * trainer_floats(s, T, B, 2));
    assert_close(size - smaller(small, size - 4 * trainer_floats(s, T, B, 2)), trainer_floats(s, T, B, 2), 2 * n);
    how.optimizer = LSTM_SGD;
    assert_int_equal(lstm_trainer_size(model, &how, &small), LSTM_OK);
    assert_true(size - small >= 4 * parameters(s) && size - small < 4 * parameters(s) + 128);
    lstm_model_destroy(model);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_model),
      cmocka_unit_test(test_state),
      cmocka_unit_test(test_trainer),
  };
  return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
