/* The formulas of the manual's MEMORY section against the sizes that the library asks for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lstm.h"

typedef struct shape {
  int tokens, input, columns, hidden, depth, output; /* tokens 0: `input` features; else an embedding of `columns` */
} shape;

static const shape shapes[] = {{0, 1, 0, 5, 1, 1},   {0, 3, 0, 16, 1, 2},    {0, 40, 0, 17, 2, 7},
                               {0, 2, 0, 128, 3, 9}, {96, 0, 64, 128, 1, 96}, {300, 0, 20, 33, 2, 300}};

static size_t up(size_t n) { return (n + 15) / 16 * 16; }
static size_t gates_of(size_t h) { return (h + 7) / 8 * 8 * 4; }
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
    if (s->tokens) floats += gates_of(h) * (size_t)s->tokens;
    for (i = 0; i < s->depth; i++, in = h) floats += gates_of(h) * (1 + in + h);
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
    assert_true(size <=
                4 * (100 * 2 * h * (size_t)s->depth + 2 * ((3 * 48 + 1) * widest + 48 * 4 * h)) + 32 * 100 + 1024);
    assert_int_equal(lstm_state_create(model, &how, &state), LSTM_OK);
    assert_int_equal(lstm_state_saved_size(state), 64 + 4 * 100 * 2 * h * (size_t)s->depth);
    lstm_state_destroy(state);
    lstm_model_destroy(model);
  }
}

static size_t trainer_floats(const shape *s, size_t T, size_t B, int moments) {
  size_t h = up((size_t)s->hidden), o = up((size_t)s->output), p = parameters(s), depth = (size_t)s->depth;
  size_t in = (size_t)(s->tokens ? s->columns : s->input), widest = larger(h, o), v = (size_t)s->tokens;
  size_t g = gates_of((size_t)s->hidden);
  size_t floats = (size_t)(1 + moments) * p + depth * ((g + 2 * h) * T * B + 2 * h * B) + o * T * B + o * h;
  floats += g * (up(in) + h) + (depth - 1) * g * 2 * h + B * 2 * (size_t)s->hidden * depth;
  widest = larger(widest, up(in));
  floats += 2 * (T + 1) * B * widest;
  return floats + (v ? (g + up(in)) * smaller(v, T * B) : in * T * B);
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

/* --- cells with options ------------------------------------------------------------------------------------------- */

#define INPUT 5
#define OUTPUT 3

static lstm_layer cell_number(int which) {
  lstm_layer l = which % 2 ? lstm_gru(20) : lstm_lstm(20);
  switch (which / 2) {
  case 1: l.learned_state = 1; break;
  case 2: l.dropout = .5f; break;
  case 3: l.recurrent_dropout = .5f; break;
  case 4: l.zoneout = .5f; break;
  case 5: l.read = LSTM_READ_MEAN; break;
  case 6: l.bidirectional = 1; break;
  case 7: l.bidirectional = 1, l.merge = LSTM_MERGE_SUM, l.read = LSTM_READ_MAX; break;
  default: break;
  }
  if (which < 16) return l;
  l = lstm_lstm(20);
  l.projection = which & 1 ? 17 : 0;
  l.peephole = which & 2 ? 1 : 0;
  l.layer_norm = which & 4 ? 1 : 0;
  l.bidirectional = which & 8 ? 1 : 0;
  l.coupled = which == 16;
  if (which == 24) l.forget = LSTM_FORGET_NOISE, l.noise = .5f;
  if (which > 28) l.zoneout = l.recurrent_dropout = l.dropout = .5f;
  return l;
}

/* The sizes in the formulas: H, G, P (h), D (the layer's output), W (the widest row), each rounded up; directions. */
typedef struct sizes {
  size_t h, g, p, d, w, way, vectors, lstm, once, parameters, states;
  int plain;
} sizes;

static sizes sizes_of(const lstm_layer *l, const lstm_model *model) {
  sizes s;
  size_t p = (size_t)(l->projection ? l->projection : l->size);
  s.way = l->bidirectional ? 2 : 1;
  s.h = up((size_t)l->size), s.p = up(p), s.d = up(l->merge ? p : s.way * p);
  s.w = larger(larger(s.h, s.p), larger(s.d, up(OUTPUT)));
  s.vectors = (l->peephole ? 3u : 0u) + (l->layer_norm ? 10u : 0u);
  s.lstm = l->type == LSTM_LAYER_LSTM;
  s.g = s.lstm && !s.vectors && !l->coupled && l->zoneout == 0 && !l->forget ? gates_of((size_t)l->size) : 4 * s.h;
  s.once = l->read ? 1 : 0;
  s.parameters = lstm_model_parameter_count(model), s.states = (size_t)lstm_model_state_size(model);
  s.plain = s.lstm && !l->bidirectional && !l->projection && !s.vectors && !l->coupled && l->zoneout == 0 &&
            l->recurrent_dropout == 0 && !l->forget;
  return s;
}

static size_t cell_model_floats(const lstm_layer *l, const sizes *s) {
  size_t p = (size_t)(l->projection ? l->projection : l->size), d = l->merge ? p : s->way * p;
  size_t cell = s->g * (1 + INPUT + p) + (l->projection ? s->p * (size_t)l->size : 0) + s->vectors * s->h;
  return s->parameters + s->way * cell + up(OUTPUT) * (1 + d);
}

static size_t cell_trainer_floats(const lstm_layer *l, const sizes *s, size_t T, size_t B) {
  size_t widest = larger(s->w, up(INPUT)), rows = s->once ? B : T * B;
  size_t cell = s->g * T * B + (s->p + s->lstm * s->h) * (T + 1) * B + s->g * (up(INPUT) + s->p);
  cell += s->vectors * s->h * T * B;
  if (l->projection) cell += s->h * T * B + s->h * s->p;
  if (l->recurrent_dropout > 0) cell += s->p * (T + 1) * B;
  if (l->zoneout > 0 || l->noise > 0) cell += 3 * s->h * B;
  if (l->bidirectional) cell += s->p * T * B;
  return 3 * s->parameters + s->way * cell + (l->bidirectional || s->once ? s->d * (rows + B) : 0) +
         (l->dropout > 0 ? up(INPUT) * T * B : 0) + up(OUTPUT) * rows + up(OUTPUT) * s->d +
         2 * (T + 1) * B * widest + (s->plain ? 0 : 2 * B * widest) + INPUT * T * B + s->states * B;
}

static void check_cell_state(const lstm_layer *l, const sizes *s, const lstm_model *model) {
  const size_t N = 100, tasks = 2, T = 20;
  size_t lanes = 4 * N * s->way * (s->p + s->lstm * s->h), size;
  size_t rows = 3 + (l->bidirectional ? 3 * T : 0);
  size_t scratch = 4 * tasks * (48 * (rows * s->w + s->g + (l->projection ? s->h : 0)) + s->w);
  lstm_state_desc how;
  lstm_state *state;
  memset(&how, 0, sizeof how);
  how.lanes = (int)N, how.tasks = (int)tasks, how.seq_len = (int)T;
  assert_int_equal(lstm_state_size(model, &how, &size), LSTM_OK);
  assert_true(size >= lanes + scratch && size <= lanes + scratch + 32 * N + 1024);
  assert_int_equal(lstm_state_create(model, &how, &state), LSTM_OK);
  assert_int_equal(lstm_state_saved_size(state), 64 + lanes);
  lstm_state_destroy(state);
}

static void test_cells(void **unused) {
  const size_t T = 20, B = 7;
  int which;
  (void)unused;
  for (which = 0; which < 32; which++) {
    lstm_layer layers[2];
    lstm_model_desc desc;
    lstm_trainer_desc how;
    lstm_model *model;
    sizes s;
    size_t size, floats, places = 8 * T * B + 4 * T + 16 * B;
    layers[0] = cell_number(which), layers[1] = lstm_dense(OUTPUT);
    memset(&desc, 0, sizeof desc);
    memset(&how, 0, sizeof how);
    desc.input_size = INPUT, desc.layers = layers, desc.layer_count = 2;
    assert_int_equal(lstm_model_create(&desc, &model), LSTM_OK);
    s = sizes_of(&layers[0], model);
    assert_int_equal(lstm_model_size(&desc, &size), LSTM_OK);
    assert_close(size, cell_model_floats(&layers[0], &s), 6); /* tables of up to 20 tensors */
    check_cell_state(&layers[0], &s, model);
    how.seq_len = (int)T, how.batch_size = (int)B;
    assert_int_equal(lstm_trainer_size(model, &how, &size), LSTM_OK);
    floats = cell_trainer_floats(&layers[0], &s, T, B);
    assert_true(size >= places);
    assert_close(size - places, floats, 1);
    lstm_model_destroy(model);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_model),
      cmocka_unit_test(test_state),
      cmocka_unit_test(test_trainer),
      cmocka_unit_test(test_cells),
  };
  return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
