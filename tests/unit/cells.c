/* Cells with options outside training: descriptions and what is wrong with them, summaries, learned states, directions,
   reading once, traces. */
#include "lstm.h"

#include "../helpers.h"

#include <math.h>

#define I 3
#define T 5
#define LANES 4
#define MOST 40 /* units of an output here */

static lstm_state *make_state(const lstm_model *model, int lanes, int seq_len) {
  lstm_state_desc desc = {0};
  lstm_state *state;
  desc.lanes = lanes;
  desc.seq_len = seq_len;
  assert_ok(lstm_state_create(model, &desc, &state));
  return state;
}

static lstm_tensor tensor_named(const lstm_model *model, const char *name) {
  lstm_tensor t;
  int i;
  for (i = 0; lstm_model_tensor(model, i, &t) == LSTM_OK; i++)
    if (strcmp(t.name, name) == 0) return t;
  fail_msg("no tensor %s", name);
  return t;
}

/* No vector is left at 0 or 1. */
static void stir_vectors(lstm_model *model) {
  lstm_tensor t;
  int i;
  for (i = 0; lstm_model_tensor(model, i, &t) == LSTM_OK; i++)
    if (t.columns == 0) fill(t.data, t.count, 50 + (uint64_t)i, .5f);
  lstm_model_refresh(model);
}

/* --- descriptions ------------------------------------------------------------------------------------------------- */

static lstm_layer wrong[4];

/* Makes the good description embedding, lstm, gru, dense wrong in way number `way`; 0 when there are no more. */
static const char *break_options(int way) {
  lstm_layer *e = &wrong[0], *l = &wrong[1], *g = &wrong[2], *d = &wrong[3];
  switch (way) {
  case 0: l->projection = 7; return "projection is wider than the cell";
  case 1: l->projection = -1; return "layer 1: projection is -1";
  case 2: g->projection = 2; return "layer 2: gru has no projection";
  case 3: g->peephole = 1; return "layer 2: gru has no peephole";
  case 4: g->activation = LSTM_RELU; return "layer 2: gru has no activation";
  case 5: g->layer_norm = 1; return "layer 2: gru has no layer_norm";
  case 6: l->coupled = 1, l->forget = LSTM_FORGET_ONE; return "coupled leaves no forget gate";
  case 7: l->noise = .5f; return "noise needs forget = noise";
  case 8: l->forget = LSTM_FORGET_NOISE; return "forget = noise needs noise above 0";
  case 9: l->forget = LSTM_FORGET_NOISE, l->noise = 1.5f; return "forget = noise needs noise above 0 and at most 1";
  case 10: l->merge = LSTM_MERGE_SUM; return "merge needs bidirectional";
  case 11: l->read = LSTM_READ_MEAN; return "read belongs to the last recurrent layer";
  case 12: l->zoneout = 1; return "zoneout must be at least 0 and below 1";
  case 13: l->dropout = 1; return "dropout must be";
  case 14: l->recurrent_dropout = (float)NAN; return "recurrent_dropout must be";
  case 15: l->dropout = -.25f; return "dropout must be";
  case 16: l->cell_clip = -1; return "cell_clip must be at least 0 and finite";
  case 17: l->cell_clip = (float)INFINITY; return "cell_clip must be at least 0 and finite";
  case 18: l->peephole = 2; return "peephole is 2, wanted 0 to 1";
  case 19: l->bidirectional = -1; return "bidirectional is -1";
  case 20: l->activation = LSTM_ACTIVATION_COUNT; return "activation is 7";
  case 21: l->gate_activation = (lstm_activation)-1; return "gate_activation is -1";
  case 22: l->forget = LSTM_FORGET_COUNT; return "forget is 4";
  case 23: g->read = LSTM_READ_COUNT; return "read is 4";
  case 24: l->tied = 1; return "layer 1: lstm has no tied";
  case 25: e->tied = 1; return "tied to a table of 9 tokens and 4 columns, but it has 7 outputs and 5 inputs";
  case 26: d->bidirectional = 1; return "layer 3: dense has no bidirectional";
  case 27: d->learned_state = 1; return "layer 3: dense has no learned_state";
  case 28: d->gate_activation = LSTM_TANH; return "layer 3: dense has no gate_activation";
  case 29: d->dropout = .5f; return "layer 3: dense has no dropout";
  case 30: e->layer_norm = 1; return "layer 0: embedding has no layer_norm";
  case 31: e->activation = LSTM_TANH; return "layer 0: embedding has no activation";
  case 32: wrong[3] = lstm_dropout(.5f), d->zoneout = .5f; return "layer 3: dropout has no zoneout";
  case 33: e->tied = 1, wrong[3] = lstm_dropout(.5f); return "layer 0: tied, but there is no dense layer";
  case 34: d->read = LSTM_READ_LAST; return "layer 3: dense has no read";
  default: return NULL;
  }
}

static void test_senseless_options_are_refused_with_a_sentence(void **arg) {
  int way;
  (void)arg;
  for (way = 0;; way++) {
    lstm_model_desc desc = {0};
    lstm_error error = {{0}, LSTM_OK};
    lstm_model *model;
    const char *wanted;
    wrong[0] = lstm_embedding(4), wrong[1] = lstm_lstm(6), wrong[2] = lstm_gru(5), wrong[3] = lstm_dense(7);
    desc.input_size = 9, desc.layers = wrong, desc.layer_count = 4, desc.error = &error;
    if (way == 0) {
      assert_ok(lstm_model_create(&desc, &model));
      lstm_model_destroy(model);
    }
    wanted = break_options(way);
    if (!wanted) break;
    assert_status(lstm_model_create(&desc, &model), LSTM_ERR_ARGUMENT);
    assert_null(model);
    assert_int_equal(error.status, LSTM_ERR_ARGUMENT);
    if (!strstr(error.message, wanted)) fail_msg("way %d: \"%s\", wanted \"%s\"", way, error.message, wanted);
  }
  print_message("%d refusals\n", way);
}

static void test_resolved_options_can_be_read_back(void **arg) {
  lstm_layer layers[3];
  const lstm_layer *d;
  lstm_model *model;
  (void)arg;
  layers[0] = lstm_lstm(6), layers[1] = lstm_gru(5), layers[2] = lstm_dense(7);
  layers[0].peephole = 1, layers[0].cell_clip = 3, layers[0].projection = 2, layers[1].zoneout = .25f;
  layers[1].read = LSTM_READ_MEAN;
  model = model_of_layers(layers, 3, I);
  memset(layers, 0, sizeof layers); /* copied */
  d = lstm_model_desc_of(model)->layers;
  assert_int_equal(d[0].activation, LSTM_TANH);
  assert_int_equal(d[0].gate_activation, LSTM_SIGMOID);
  assert_int_equal(d[2].activation, LSTM_LINEAR);
  assert_int_equal(d[0].peephole, 1);
  assert_int_equal(d[0].projection, 2);
  assert_true(d[0].cell_clip == 3 && d[1].zoneout == .25f);
  assert_int_equal(lstm_model_state_size(model), 2 + 6 + 5);
  assert_int_equal(lstm_model_bidirectional(model), 0);
  assert_int_equal(lstm_model_reads_last(model), 1);
  lstm_model_destroy(model);
}

static void test_summaries_name_the_options(void **arg) {
  static const char *const words[] = {
      "embedding size=4 tied: 9 -> 4", "peephole", "coupled", "projection=4", "layer_norm", "cell_clip=2.5",
      "activation=softsign", "gate_activation=hard_sigmoid", "dropout=0.5", "recurrent_dropout=0.25", "zoneout=0.125",
      "learned_state", "forget=noise", "noise=0.375", "gru hidden=4", "bidirectional", "merge=sum", "read=max"};
  lstm_layer layers[5];
  lstm_model *model;
  char text[2000], count[32];
  int i;
  (void)arg;
  layers[0] = lstm_embedding(4), layers[1] = lstm_lstm(6), layers[2] = lstm_lstm(4), layers[3] = lstm_gru(4);
  layers[4] = lstm_dense(9);
  layers[0].tied = 1;
  layers[1].peephole = layers[1].coupled = layers[1].layer_norm = layers[1].learned_state = 1;
  layers[1].projection = 4, layers[1].cell_clip = 2.5f, layers[1].activation = LSTM_SOFTSIGN;
  layers[1].gate_activation = LSTM_HARD_SIGMOID, layers[1].dropout = .5f, layers[1].recurrent_dropout = .25f;
  layers[1].zoneout = .125f, layers[2].forget = LSTM_FORGET_NOISE, layers[2].noise = .375f;
  layers[3].bidirectional = 1, layers[3].merge = LSTM_MERGE_SUM, layers[3].read = LSTM_READ_MAX;
  model = model_of_layers(layers, 5, 9);
  assert_in_range(lstm_model_summary(model, text, sizeof text), 100, sizeof text - 1);
  for (i = 0; i < HELPERS_COUNT(words); i++)
    if (!strstr(text, words[i])) fail_msg("no \"%s\" in:\n%s", words[i], text);
  snprintf(count, sizeof count, "\n%d parameters", (int)lstm_model_parameter_count(model));
  assert_non_null(strstr(text, count));
  lstm_model_destroy(model);
}

/* --- learned states ----------------------------------------------------------------------------------------------- */

static lstm_model *make_learned(int bidirectional) {
  lstm_layer layers[3];
  lstm_model *model;
  layers[0] = lstm_lstm(6), layers[1] = lstm_gru(5), layers[2] = lstm_dense(2);
  layers[0].learned_state = layers[1].learned_state = 1;
  layers[0].projection = 3;
  layers[0].bidirectional = bidirectional;
  model = model_of_layers(layers, 3, I);
  stir_vectors(model);
  return model;
}

static void wanted_beginning(const lstm_model *model, float *values) {
  lstm_tensor h = tensor_named(model, "rnn.h0_l0"), c = tensor_named(model, "rnn.c0_l0"),
              g = tensor_named(model, "rnn1.h0_l0");
  assert_int_equal(h.count, 3);
  assert_int_equal(c.count, 6);
  assert_int_equal(g.count, 5);
  memcpy(values, h.data, sizeof(float) * 3);
  memcpy(values + 3, c.data, sizeof(float) * 6);
  memcpy(values + 9, g.data, sizeof(float) * 5);
}

static void test_states_begin_where_the_model_says(void **arg) {
  lstm_model *model = make_learned(0), *other = make_learned(1);
  lstm_state *state = make_state(model, LANES, 0);
  float x[LANES * I], values[14], learned[14], zero[14] = {0};
  int lane;
  (void)arg;
  wanted_beginning(model, learned);
  for (lane = 0; lane < LANES; lane++) {
    assert_ok(lstm_state_get(model, state, lane, values));
    assert_bits(values, learned, 14);
  }
  fill(x, LANES * I, 1, 1);
  assert_ok(lstm_step(model, state, x, NULL));
  lstm_state_reset(state);
  assert_ok(lstm_state_begin(model, state, 2));
  for (lane = 0; lane < LANES; lane++) {
    assert_ok(lstm_state_get(model, state, lane, values));
    assert_bits(values, lane == 2 ? learned : zero, 14);
  }
  assert_ok(lstm_state_begin(model, state, -1));
  assert_ok(lstm_state_get(model, state, 0, values));
  assert_bits(values, learned, 14);
  assert_status(lstm_state_begin(model, state, LANES), LSTM_ERR_ARGUMENT);
  assert_status(lstm_state_begin(model, state, -2), LSTM_ERR_ARGUMENT);
  assert_status(lstm_state_begin(NULL, state, 0), LSTM_ERR_ARGUMENT);
  assert_status(lstm_state_begin(model, NULL, 0), LSTM_ERR_ARGUMENT);
  assert_status(lstm_state_begin(other, state, 0), LSTM_ERR_MISMATCH);
  lstm_state_destroy(state);
  lstm_model_destroy(model), lstm_model_destroy(other);
}

/* A batch's reset is the learned state, and `initial` comes before both. */
static void test_batches_begin_at_the_learned_state(void **arg) {
  static const unsigned char reset[LANES] = {0, 1, 0, 1};
  lstm_model *model = make_learned(0);
  lstm_state *a = make_state(model, LANES, 0), *b = make_state(model, LANES, 0);
  float x[T * LANES * I], initial[LANES * 14], one[LANES * T * 2], two[LANES * T * 2];
  lstm_batch batch = {0};
  int lane;
  (void)arg;
  fill(x, T * LANES * I, 1, 1);
  batch.seq_len = T, batch.x = x, batch.reset = reset;
  lstm_state_reset(a), lstm_state_reset(b);
  for (lane = 1; lane < LANES; lane += 2) assert_ok(lstm_state_begin(model, b, lane));
  assert_ok(lstm_forward_batch(model, a, &batch, one, NULL));
  assert_ok(lstm_forward(model, b, x, T, two));
  assert_bits(one, two, LANES * T * 2);
  fill(initial, LANES * 14, 2, 1);
  batch.initial = initial;
  for (lane = 0; lane < LANES; lane++) assert_ok(lstm_state_set(model, b, lane, initial + lane * 14));
  assert_ok(lstm_forward_batch(model, a, &batch, one, NULL));
  assert_ok(lstm_forward(model, b, x, T, two));
  assert_bits(one, two, LANES * T * 2);
  lstm_state_destroy(a), lstm_state_destroy(b);
  lstm_model_destroy(model);
}

/* --- directions --------------------------------------------------------------------------------------------------- */

static lstm_layer direction_layer(int gru, int both, lstm_merge merge, lstm_read read) {
  lstm_layer l = gru ? lstm_gru(17) : lstm_lstm(17);
  l.bidirectional = both;
  l.merge = merge;
  l.read = read;
  return l;
}

/* A model of one direction of `both`. */
static lstm_model *one_direction(const lstm_model *both, int gru, int reverse) {
  lstm_layer l = direction_layer(gru, 0, LSTM_MERGE_CONCAT, LSTM_READ_ALL);
  lstm_model *model = model_of_layers(&l, 1, I);
  lstm_tensor t;
  int i;
  for (i = 0; lstm_model_tensor(model, i, &t) == LSTM_OK; i++) {
    char name[80];
    snprintf(name, sizeof name, "%s%s", t.name, reverse ? "_reverse" : "");
    memcpy(t.data, tensor_named(both, name).data, t.count * sizeof(float));
  }
  lstm_model_refresh(model);
  return model;
}

/* One lane of T steps, by one direction: y [T][17], in the order of time, and the final state. */
static void run_direction(const lstm_model *both, int gru, int reverse, const float *x, float *y, float *final) {
  lstm_model *model = one_direction(both, gru, reverse);
  lstm_state *state = make_state(model, 1, 0);
  int t;
  for (t = 0; t < T; t++) {
    int at = reverse ? T - 1 - t : t;
    assert_ok(lstm_step(model, state, x + at * I, y + at * 17));
  }
  assert_ok(lstm_state_get(model, state, 0, final));
  lstm_state_destroy(state);
  lstm_model_destroy(model);
}

static void check_directions(int gru, lstm_merge merge, lstm_read read) {
  lstm_layer l = direction_layer(gru, 1, merge, read);
  lstm_model *model = model_of_layers(&l, 1, I);
  lstm_state *state = make_state(model, 1, T);
  int u, t, width = merge ? 17 : 34, once = read == LSTM_READ_LAST, half = gru ? 17 : 34;
  float x[T * I], y[T * 34], f[T * 17], b[T * 17], ends[2 * 34], values[2 * 34];
  stir_vectors(model);
  assert_int_equal(lstm_model_bidirectional(model), 1);
  assert_int_equal(lstm_model_output_size(model), width);
  assert_int_equal(lstm_model_state_size(model), 2 * half);
  assert_int_equal(lstm_model_reads_last(model), once);
  fill(x, T * I, 3, 1);
  run_direction(model, gru, 0, x, f, ends), run_direction(model, gru, 1, x, b, ends + half);
  assert_ok(lstm_forward(model, state, x, T, y));
  for (t = 0; t < (once ? 1 : T); t++)
    for (u = 0; u < width; u++) {
      float forward = f[(once ? T - 1 : t) * 17 + u % 17], backward = b[t * 17 + u % 17]; /* last: PyTorch's h_n */
      float wanted = merge ? forward + backward : u < 17 ? forward : backward;
      assert_true(y[t * width + u] == wanted);
    }
  assert_ok(lstm_state_get(model, state, 0, values));
  assert_bits(values, ends, 2 * half);
  lstm_state_destroy(state);
  lstm_model_destroy(model);
}

static void test_two_directions_are_two_models(void **arg) {
  int i;
  (void)arg;
  for (i = 0; i < 8; i++)
    check_directions(i & 1, i & 2 ? LSTM_MERGE_SUM : LSTM_MERGE_CONCAT, i & 4 ? LSTM_READ_LAST : LSTM_READ_ALL);
}

static void test_steps_are_refused_in_two_directions(void **arg) {
  static const int lanes[1] = {1};
  lstm_layer layers[3];
  lstm_model *model, *tokens;
  lstm_state *state, *talk, *before;
  float x[2 * I] = {1}, y[2 * 40];
  int32_t ids[2] = {0, 1};
  (void)arg;
  layers[0] = lstm_embedding(I), layers[1] = lstm_gru(5), layers[2] = lstm_dense(2);
  layers[1].bidirectional = 1;
  model = model_of_layers(layers + 1, 2, I), tokens = model_of_layers(layers, 3, 4);
  state = make_state(model, 2, T), before = make_state(model, 2, T), talk = make_state(tokens, 2, T);
  assert_ok(lstm_forward(model, state, x, 1, y));
  memcpy(before, state, lstm_state_saved_size(state));
  y[0] = 77;
  assert_status(lstm_step(model, state, x, y), LSTM_ERR_UNSUPPORTED);
  assert_status(lstm_step_lanes(model, state, lanes, 1, x, y), LSTM_ERR_UNSUPPORTED);
  assert_status(lstm_step_ids(tokens, talk, ids, y), LSTM_ERR_UNSUPPORTED);
  assert_status(lstm_step_ids_lanes(tokens, talk, lanes, 1, ids, y), LSTM_ERR_UNSUPPORTED);
  assert_memory_equal(before, state, lstm_state_saved_size(state));
  assert_true(y[0] == 77);
  assert_ok(lstm_forward_ids(tokens, talk, ids, 1, y));
  lstm_state_destroy(state), lstm_state_destroy(talk), lstm_state_destroy(before);
  lstm_model_destroy(model), lstm_model_destroy(tokens);
}

static size_t state_size(const lstm_model *model, int seq_len) {
  lstm_state_desc desc = {0};
  size_t size;
  desc.seq_len = seq_len;
  assert_ok(lstm_state_size(model, &desc, &size));
  return size;
}

/* Sequences of a bidirectional model are as long as the state says; others need no room. */
static void test_states_have_room_for_sequences(void **arg) {
  lstm_layer l = direction_layer(0, 1, LSTM_MERGE_CONCAT, LSTM_READ_ALL), p = lstm_lstm(4);
  lstm_model *model = model_of_layers(&l, 1, I), *plain = model_of_layers(&p, 1, I);
  lstm_state *state = make_state(model, 1, 3), *one = make_state(model, 1, 0), *before = make_state(model, 1, 3);
  lstm_state_desc desc = {0};
  lstm_error error = {{0}, LSTM_OK};
  lstm_batch batch = {0};
  float x[4 * I] = {1}, y[4 * 34];
  (void)arg;
  assert_true(state_size(model, 100) >= state_size(model, 1) + 3 * 99 * 48 * sizeof(float));
  assert_int_equal(state_size(plain, 100), state_size(plain, 1));
  assert_ok(lstm_forward(model, state, x, 3, y));
  memcpy(before, state, lstm_state_saved_size(state));
  assert_status(lstm_forward(model, state, x, 4, y), LSTM_ERR_LIMIT);
  batch.seq_len = 4, batch.x = x, batch.error = &error;
  assert_status(lstm_forward_batch(model, state, &batch, y, NULL), LSTM_ERR_LIMIT);
  assert_non_null(strstr(error.message, "4 steps of a bidirectional model, the state has room for 3"));
  assert_memory_equal(before, state, lstm_state_saved_size(state));
  assert_ok(lstm_forward(model, one, x, 1, y)); /* 0: 1 */
  assert_status(lstm_forward(model, one, x, 2, y), LSTM_ERR_LIMIT);
  lstm_state_destroy(one);
  desc.seq_len = -1, desc.error = &error;
  assert_status(lstm_state_create(model, &desc, &one), LSTM_ERR_ARGUMENT);
  assert_null(one);
  desc.seq_len = (1 << 20) + 1; /* LSTM_MAX_SEQ_LEN */
  assert_status(lstm_state_create(model, &desc, &one), LSTM_ERR_ARGUMENT);
  lstm_state_destroy(state), lstm_state_destroy(before);
  lstm_model_destroy(model), lstm_model_destroy(plain);
}

/* --- reading once ------------------------------------------------------------------------------------------------- */

static float pooled(const float *y, int width, int length, lstm_read read) { /* y: a unit of a lane, `width` apart */
  float value = length ? y[0] : 0;
  int t;
  for (t = 1; t < length; t++) {
    float next = y[t * width];
    value = read == LSTM_READ_LAST ? next : read == LSTM_READ_MEAN ? value + next : next > value ? next : value;
  }
  return read == LSTM_READ_MEAN && length ? value / (float)length : value;
}

static void check_read(lstm_layer l, lstm_read read) {
  static const int lengths[LANES] = {T, 0, 2, 1};
  lstm_model *all = model_of_layers(&l, 1, I), *once;
  lstm_state *a = make_state(all, LANES, T), *b;
  int width = lstm_model_output_size(all), lane, u;
  float x[T * LANES * I], y[T * LANES * MOST], got[LANES * MOST];
  lstm_batch batch = {0};
  l.read = read;
  once = model_of_layers(&l, 1, I);
  b = make_state(once, LANES, T);
  fill(x, T * LANES * I, 5, 2);
  batch.seq_len = T, batch.x = x, batch.lengths = lengths;
  assert_ok(lstm_forward_batch(all, a, &batch, y, NULL));
  assert_ok(lstm_forward_batch(once, b, &batch, got, NULL));
  for (lane = 0; lane < LANES; lane++)
    for (u = 0; u < width; u++)
      assert_true(got[lane * width + u] == pooled(y + lane * width + u, LANES * width, lengths[lane], read));
  if (!l.bidirectional) { /* a step gives what it has itself */
    assert_ok(lstm_step(all, a, x, y));
    assert_ok(lstm_step(once, b, x, got));
    assert_bits(y, got, LANES * width);
  }
  lstm_state_destroy(a), lstm_state_destroy(b);
  lstm_model_destroy(all), lstm_model_destroy(once);
}

static void test_a_sequence_is_read_once(void **arg) {
  int i, read;
  (void)arg;
  for (i = 0; i < 6; i++)
    for (read = LSTM_READ_LAST; read < LSTM_READ_COUNT; read++) {
      lstm_layer l = i & 1 ? lstm_gru(18) : lstm_lstm(7);
      l.bidirectional = i > 1;
      l.merge = i > 3 ? LSTM_MERGE_SUM : LSTM_MERGE_CONCAT;
      if (l.bidirectional && read == LSTM_READ_LAST) continue; /* PyTorch's h_n: above */
      check_read(l, (lstm_read)read);
    }
}

/* --- traces ------------------------------------------------------------------------------------------------------- */

#define CANARY 12345.5f
#define CAPACITY (T + 2)
#define ROOM (CAPACITY * 2 * 6 * 17)

typedef struct recording {
  lstm_trace trace;
  float values[ROOM + 8];
} recording;

static void begin_recording(recording *r, int layer, int lane, int capacity) {
  int i;
  memset(&r->trace, 0, sizeof r->trace);
  for (i = 0; i < ROOM + 8; i++) r->values[i] = CANARY;
  r->trace.layer = layer, r->trace.lane = lane, r->trace.capacity = capacity, r->trace.values = r->values;
}

static int near(float a, double b) { return fabs((double)a - b) < 2e-6; }

/* i, f, g, o of a plain cell, from its weights. */
static void check_gates_of_weights(const lstm_model *model, const float *values, const float *x, const float *h,
                                   int H) {
  lstm_tensor wi = tensor_named(model, "rnn.weight_ih_l0"), wh = tensor_named(model, "rnn.weight_hh_l0"),
              b = tensor_named(model, "rnn.bias_ih_l0");
  int k, u, j;
  for (k = 0; k < 4; k++)
    for (u = 0; u < H; u++) {
      int row = k * H + u;
      double z = (double)b.data[row];
      for (j = 0; j < I; j++) z += (double)wi.data[row * I + j] * (double)x[j];
      for (j = 0; j < H; j++) z += (double)wh.data[row * H + j] * (double)h[j];
      assert_true(near(values[k * H + u], k == 2 ? tanh(z) : 1 / (1 + exp(-z))));
    }
}

/* c and h follow from the gates, step by step. */
static void check_cells_of_gates(const float *values, const float *before, int H, double zoneout) {
  int u;
  for (u = 0; u < H; u++) {
    double i = (double)values[u], f = (double)values[H + u], g = (double)values[2 * H + u],
           o = (double)values[3 * H + u];
    double c = (double)before[4 * H + u], s = f * c + i * g, h = o * tanh(s);
    assert_true(near(values[4 * H + u], s + zoneout * (c - s)));
    assert_true(near(values[5 * H + u], h + zoneout * ((double)before[5 * H + u] - h)));
  }
}

/* Two steps, then a sequence of three. States follow each step. */
static void run_traced(const lstm_model *model, lstm_state *state, const float *x, float *states) {
  int t, S = lstm_model_state_size(model);
  for (t = 0; t < T; t++) {
    if (t < 2) assert_ok(lstm_step(model, state, x + t * LANES * I, NULL));
    else assert_ok(lstm_forward(model, state, x + t * LANES * I, 1, NULL));
    assert_ok(lstm_state_get(model, state, 2, states + t * S));
  }
}

static void test_traces_record_what_cells_do(void **arg) {
  lstm_layer layers[4];
  lstm_model *model;
  lstm_state *state, *untraced;
  static recording first, second, again, elsewhere;
  lstm_trace traces[4];
  float x[T * LANES * I], states[T * 46], same[T * 46], zero[6 * 17] = {0};
  int t;
  (void)arg;
  layers[0] = lstm_lstm(6), layers[1] = lstm_dropout(.5f), layers[2] = lstm_lstm(17), layers[3] = lstm_dense(2);
  layers[2].zoneout = .25f;
  model = model_of_layers(layers, 4, I);
  state = make_state(model, LANES, 0), untraced = make_state(model, LANES, 0);
  fill(x, T * LANES * I, 6, 2);
  begin_recording(&first, 0, 2, CAPACITY), begin_recording(&second, 2, 2, CAPACITY);
  begin_recording(&again, 2, 2, 3), begin_recording(&elsewhere, 0, 1, CAPACITY);
  traces[0] = first.trace, traces[1] = second.trace, traces[2] = again.trace, traces[3] = elsewhere.trace;
  assert_ok(lstm_state_trace(model, state, traces, 4));
  run_traced(model, state, x, states), run_traced(model, untraced, x, same);
  assert_bits(states, same, T * 46);
  assert_memory_equal(state, untraced, lstm_state_saved_size(state));
  assert_int_equal(traces[0].steps, T), assert_int_equal(traces[1].steps, T);
  assert_int_equal(traces[2].steps, 3), assert_int_equal(traces[3].steps, T);
  for (t = 0; t < T; t++) {
    const float *v = first.values + t * 36, *w = second.values + t * 102;
    assert_bits(v + 30, states + t * 46, 6), assert_bits(v + 24, states + t * 46 + 6, 6);
    assert_bits(w + 85, states + t * 46 + 12, 17), assert_bits(w + 68, states + t * 46 + 29, 17);
    check_gates_of_weights(model, v, x + (t * LANES + 2) * I, t ? v - 6 : zero, 6);
    check_cells_of_gates(v, t ? v - 36 : zero, 6, 0), check_cells_of_gates(w, t ? w - 102 : zero, 17, .25);
  }
  assert_bits(again.values, second.values, 3 * 102);
  assert_true(again.values[3 * 102] == CANARY && first.values[T * 36] == CANARY);
  assert_memory_not_equal(elsewhere.values, first.values, 36 * sizeof(float));
  lstm_state_destroy(state), lstm_state_destroy(untraced);
  lstm_model_destroy(model);
}

/* Copies of a state have no traces, and count 0 ends them. */
static void test_traces_end(void **arg) {
  lstm_layer l = lstm_gru(6);
  lstm_model *model = model_of_layers(&l, 1, I);
  lstm_state *state = make_state(model, LANES, 0), *copy = make_state(model, LANES, 0);
  static recording r;
  float x[LANES * I] = {1};
  (void)arg;
  begin_recording(&r, 0, 0, CAPACITY);
  assert_ok(lstm_state_trace(model, state, &r.trace, 1));
  memcpy(copy, state, lstm_state_saved_size(state));
  assert_ok(lstm_step(model, copy, x, NULL));
  assert_int_equal(r.trace.steps, 0);
  assert_ok(lstm_step(model, state, x, NULL));
  assert_int_equal(r.trace.steps, 1);
  assert_ok(lstm_state_trace(model, state, NULL, 0));
  assert_ok(lstm_step(model, state, x, NULL));
  assert_int_equal(r.trace.steps, 1);
  assert_true(r.values[36] == CANARY);
  lstm_state_destroy(state), lstm_state_destroy(copy);
  lstm_model_destroy(model);
}

static void test_traces_of_other_cells(void **arg) {
  lstm_layer gru = lstm_gru(6), narrow = lstm_lstm(6);
  lstm_model *a, *b;
  lstm_state *s, *t;
  static recording r, p;
  float x[2 * I], values[11];
  int k, u;
  (void)arg;
  narrow.projection = 5;
  a = model_of_layers(&gru, 1, I), b = model_of_layers(&narrow, 1, I);
  s = make_state(a, 1, 0), t = make_state(b, 1, 0);
  begin_recording(&r, 0, 0, CAPACITY), begin_recording(&p, 0, 0, CAPACITY);
  assert_ok(lstm_state_trace(a, s, &r.trace, 1)), assert_ok(lstm_state_trace(b, t, &p.trace, 1));
  fill(x, 2 * I, 7, 2);
  assert_ok(lstm_forward(a, s, x, 2, NULL)), assert_ok(lstm_forward(b, t, x, 2, NULL));
  assert_int_equal(r.trace.steps, 2);
  for (k = 0; k < 2; k++)
    for (u = 0; u < 6; u++) { /* r, z, n, 0, 0, h */
      const float *v = r.values + k * 36;
      double z = (double)v[6 + u], n = (double)v[12 + u];
      assert_true(v[18 + u] == 0 && v[24 + u] == 0 && v[u] > 0 && v[u] < 1);
      assert_true(near(v[30 + u], n + z * ((k ? (double)v[u - 6] : 0) - n)));
    }
  assert_ok(lstm_state_get(b, t, 0, values)); /* h [5], c [6] */
  assert_bits(p.values + 36 + 30, values, 5);
  assert_true(p.values[36 + 35] == 0);
  assert_bits(p.values + 36 + 24, values + 5, 6);
  lstm_state_destroy(s), lstm_state_destroy(t);
  lstm_model_destroy(a), lstm_model_destroy(b);
}

/* [steps][directions][6][H]: h is what the layer gives, and c goes on in each direction's own order. */
static void test_traces_of_two_directions(void **arg) {
  lstm_layer l = direction_layer(0, 1, LSTM_MERGE_CONCAT, LSTM_READ_ALL);
  lstm_model *model = model_of_layers(&l, 1, I);
  lstm_state *state = make_state(model, LANES, T);
  static recording r;
  float x[T * LANES * I], y[T * LANES * 34], zero[6 * 17] = {0};
  lstm_batch batch = {0};
  int lengths[LANES] = {1, 2, 4, 3}, t, run;
  (void)arg;
  stir_vectors(model);
  begin_recording(&r, 0, 2, CAPACITY);
  assert_ok(lstm_state_trace(model, state, &r.trace, 1));
  fill(x, T * LANES * I, 8, 2);
  batch.seq_len = T, batch.x = x, batch.lengths = lengths;
  for (run = 0; run < 2; run++) { /* 4 steps, then the 3 that there is still room for */
    lstm_state_reset(state);
    assert_ok(lstm_forward_batch(model, state, &batch, y, NULL));
    assert_int_equal(r.trace.steps, run ? CAPACITY : 4);
    for (t = 0; t < (run ? CAPACITY - 4 : 4); t++) {
      const float *f = r.values + (run * 4 + t) * 204, *b = f + 102;
      assert_bits(f + 85, y + (t * LANES + 2) * 34, 17);
      assert_bits(b + 85, y + (t * LANES + 2) * 34 + 17, 17);
      check_cells_of_gates(f, t ? f - 204 : zero, 17, 0);
      if (t == 3 || !run) check_cells_of_gates(b, t == 3 ? zero : b + 204, 17, 0);
    }
  }
  assert_true(r.values[CAPACITY * 204] == CANARY);
  lstm_state_destroy(state);
  lstm_model_destroy(model);
}

static void test_what_a_trace_refuses(void **arg) {
  lstm_layer layers[2];
  lstm_model *model, *other;
  lstm_state *state;
  lstm_trace good = {0}, bad;
  float values[36];
  (void)arg;
  layers[0] = lstm_lstm(6), layers[1] = lstm_dense(2);
  model = model_of_layers(layers, 2, I);
  layers[0].size = 7;
  other = model_of_layers(layers, 2, I);
  state = make_state(model, LANES, 0);
  good.capacity = 1, good.values = values;
  assert_ok(lstm_state_trace(model, state, &good, 1));
  bad = good, bad.layer = 1;
  assert_status(lstm_state_trace(model, state, &bad, 1), LSTM_ERR_ARGUMENT);
  bad = good, bad.layer = 2;
  assert_status(lstm_state_trace(model, state, &bad, 1), LSTM_ERR_ARGUMENT);
  bad = good, bad.layer = -1;
  assert_status(lstm_state_trace(model, state, &bad, 1), LSTM_ERR_ARGUMENT);
  bad = good, bad.lane = LANES;
  assert_status(lstm_state_trace(model, state, &bad, 1), LSTM_ERR_ARGUMENT);
  bad = good, bad.steps = -1;
  assert_status(lstm_state_trace(model, state, &bad, 1), LSTM_ERR_ARGUMENT);
  bad = good, bad.values = NULL;
  assert_status(lstm_state_trace(model, state, &bad, 1), LSTM_ERR_ARGUMENT);
  assert_status(lstm_state_trace(model, state, NULL, 1), LSTM_ERR_ARGUMENT);
  assert_status(lstm_state_trace(model, state, &good, -1), LSTM_ERR_ARGUMENT);
  assert_status(lstm_state_trace(NULL, state, &good, 1), LSTM_ERR_ARGUMENT);
  assert_status(lstm_state_trace(model, NULL, &good, 1), LSTM_ERR_ARGUMENT);
  assert_status(lstm_state_trace(other, state, &good, 1), LSTM_ERR_MISMATCH);
  lstm_state_destroy(state);
  lstm_model_destroy(model), lstm_model_destroy(other);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_senseless_options_are_refused_with_a_sentence),
      cmocka_unit_test(test_resolved_options_can_be_read_back),
      cmocka_unit_test(test_summaries_name_the_options),
      cmocka_unit_test(test_states_begin_where_the_model_says),
      cmocka_unit_test(test_batches_begin_at_the_learned_state),
      cmocka_unit_test(test_two_directions_are_two_models),
      cmocka_unit_test(test_steps_are_refused_in_two_directions),
      cmocka_unit_test(test_states_have_room_for_sequences),
      cmocka_unit_test(test_a_sequence_is_read_once),
      cmocka_unit_test(test_traces_record_what_cells_do),
      cmocka_unit_test(test_traces_end),
      cmocka_unit_test(test_traces_of_other_cells),
      cmocka_unit_test(test_traces_of_two_directions),
      cmocka_unit_test(test_what_a_trace_refuses),
  };
  return cmocka_run_group_tests_name("cells", tests, NULL, NULL);
}
