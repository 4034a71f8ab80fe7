/* Cells with options in training: random masks and their statistics, learned and carried states, saturated gates, the
   gradient's norm at each step. */
#define LSTM_IMPLEMENTATION
#include "lstm.h"

#include "../helpers.h"

#include <math.h>

#define I 3
#define T 6
#define B 4

static lstm_tensor tensor_named(const lstm_model *model, const lstm_trainer *trainer, const char *name) {
  lstm_tensor t;
  int i;
  for (i = 0; lstm_model_tensor(model, i, &t) == LSTM_OK; i++) {
    if (strcmp(t.name, name) != 0) continue;
    if (trainer) assert_ok(lstm_trainer_gradient(trainer, i, &t));
    return t;
  }
  fail_msg("no tensor %s", name);
  return t;
}

static lstm_trainer *make_trainer(lstm_model *model, int steps, int lanes, uint64_t seed,
                                  const lstm_executor *executor) {
  lstm_trainer_desc desc = {0};
  lstm_trainer *trainer;
  desc.seq_len = steps, desc.batch_size = lanes, desc.seed = seed;
  if (executor) desc.executor = *executor;
  assert_ok(lstm_trainer_create(model, &desc, &trainer));
  return trainer;
}

/* A share of n trials of probability p, within five standard deviations. */
static void check_share(const char *what, double hits, double n, double p) {
  double deviation = sqrt(p * (1 - p) / n);
  if (fabs(hits / n - p) > 5 * deviation) fail_msg("%s: %.4f, wanted %.4f +- %.4f", what, hits / n, p, deviation);
}

/* --- random masks ------------------------------------------------------------------------------------------------- */

#define WIDE 40
#define LANES 30
#define LONG 20

static float wide_x[LONG * LANES * WIDE], wide_y[LONG * LANES * WIDE], wide_d[LONG * LANES * WIDE];

static lstm_batch wide_batch(void) {
  lstm_batch batch = {0};
  fill(wide_x, LONG * LANES * WIDE, 1, 1);
  batch.x = wide_x;
  return batch;
}

/* The gradient of the inputs is 0 where they were dropped, and divided by 1 - rate elsewhere. */
static void test_dropout_of_inputs(void **arg) {
  lstm_layer l = lstm_lstm(WIDE), plain = l;
  lstm_model *model, *other;
  lstm_trainer *trainer, *free_trainer;
  lstm_batch batch = wide_batch();
  lstm_flow flow = {0};
  static float d[LONG * LANES * WIDE];
  int i, zeros = 0;
  (void)arg;
  l.dropout = .2f;
  model = model_of_layers(&l, 1, WIDE), other = model_of_layers(&plain, 1, WIDE);
  assert_ok(lstm_model_copy_weights(other, model));
  trainer = make_trainer(model, 1, LANES, 7, NULL), free_trainer = make_trainer(other, 1, LANES, 7, NULL);
  fill(wide_d, LANES * WIDE, 2, 1);
  flow.d_output = wide_d, flow.d_input = d;
  assert_ok(lstm_trainer_forward(trainer, &batch, wide_y));
  assert_ok(lstm_trainer_backward(trainer, &flow));
  for (i = 0; i < LANES * WIDE; i++) {
    zeros += d[i] == 0;
    wide_x[i] = d[i] == 0 ? 0 : wide_x[i] * 1.25f; /* what the cell has seen */
  }
  check_share("dropout", zeros, LANES * WIDE, .2);
  assert_ok(lstm_trainer_forward(free_trainer, &batch, d));
  for (i = 0; i < LANES * WIDE; i++) assert_true(fabs((double)d[i] - (double)wide_y[i]) < 1e-6);
  lstm_trainer_destroy(trainer), lstm_trainer_destroy(free_trainer);
  lstm_model_destroy(model), lstm_model_destroy(other);
}

/* Where h' reaches the recurrent weights: looked up in the tape. */
static void collect_mask(const lstm_trainer *trainer, float rate, unsigned char *kept) {
  const lstm__tape *tape = trainer->tapes;
  size_t width = (size_t)trainer->model->layers[0].out_pad;
  int t, b, u;
  for (b = 0; b < LANES; b++)
    for (u = 0; u < WIDE; u++)
      for (t = 1; t < LONG; t++) { /* h' of step 0 is 0 */
        size_t at = ((size_t)t * LANES + (size_t)b) * width + (size_t)u;
        int keeps = tape->masked[at] != 0;
        if (t == 1) kept[b * WIDE + u] = (unsigned char)keeps;
        assert_int_equal(keeps, kept[b * WIDE + u]); /* one mask for all steps */
        if (keeps) assert_true(fabs((double)tape->masked[at] - (double)(tape->out[at] / (1 - rate))) < 1e-6);
      }
}

static void test_recurrent_dropout_has_one_mask_for_a_window(void **arg) {
  static unsigned char first[LANES * WIDE], second[LANES * WIDE], other[LANES * WIDE];
  lstm_batch batch = wide_batch();
  int kind, i, kept = 0, same = 0;
  (void)arg;
  for (kind = 0; kind < 2; kind++) {
    lstm_layer l = kind ? lstm_gru(WIDE) : lstm_lstm(WIDE);
    lstm_model *model;
    lstm_trainer *a, *b;
    l.recurrent_dropout = .25f;
    model = model_of_layers(&l, 1, WIDE);
    a = make_trainer(model, LONG, LANES, 7, NULL), b = make_trainer(model, LONG, LANES, 8, NULL);
    assert_ok(lstm_trainer_forward(a, &batch, NULL));
    collect_mask(a, .25f, first);
    assert_ok(lstm_trainer_forward(a, &batch, NULL));
    collect_mask(a, .25f, second);
    assert_ok(lstm_trainer_forward(b, &batch, NULL));
    collect_mask(b, .25f, other);
    assert_memory_not_equal(first, second, sizeof first);                /* another window */
    assert_memory_not_equal(first, other, sizeof first);                 /* another seed */
    assert_memory_not_equal(first, first + WIDE, WIDE);                  /* another lane */
    for (i = 0; i < LANES * WIDE; i++) kept += first[i], same += first[i] == second[i];
    lstm_trainer_destroy(a), lstm_trainer_destroy(b);
    lstm_model_destroy(model);
  }
  check_share("recurrent dropout", kept, 2 * LANES * WIDE, .75);
  check_share("masks of two windows", same, 2 * LANES * WIDE, .75 * .75 + .25 * .25);
}

/* Units that keep their h; c draws for itself. */
static void test_zoneout_keeps_units(void **arg) {
  lstm_batch batch = wide_batch();
  int kind;
  (void)arg;
  for (kind = 0; kind < 2; kind++) {
    lstm_layer l = kind ? lstm_gru(WIDE) : lstm_lstm(WIDE);
    lstm_model *model;
    lstm_trainer *trainer;
    int i, h = 0, c = 0, both = 0, n = (LONG - 1) * LANES * WIDE;
    l.zoneout = .125f;
    model = model_of_layers(&l, 1, WIDE);
    trainer = make_trainer(model, LONG, LANES, 7, NULL);
    assert_ok(lstm_trainer_forward(trainer, &batch, wide_y));
    for (i = LANES * WIDE; i < LONG * LANES * WIDE; i++) {
      size_t row = (size_t)(i / WIDE) * (size_t)lstm__pad16(WIDE) + (size_t)(i % WIDE);
      const float *cell = trainer->tapes[0].cell;
      int keeps = wide_y[i] == wide_y[i - LANES * WIDE];
      h += keeps;
      if (!cell) continue;
      c += cell[row + (size_t)(LANES * lstm__pad16(WIDE))] == cell[row];
      both += keeps && cell[row + (size_t)(LANES * lstm__pad16(WIDE))] == cell[row];
    }
    check_share("zoneout of h", h, n, .125);
    if (!kind) check_share("zoneout of c", c, n, .125), check_share("zoneout of both", both, n, .125 * .125);
    lstm_trainer_destroy(trainer);
    lstm_model_destroy(model);
  }
}

/* With all weights 0, i = f = 1/2 and g = 0: c is what the noise makes of f, times c' = 1. */
static void test_forget_noise_is_uniform(void **arg) {
  lstm_layer l = lstm_lstm(WIDE);
  lstm_model_desc desc = {0};
  lstm_model *model;
  lstm_trainer *trainer;
  lstm_state *state;
  static float initial[LANES * 2 * WIDE], final[LANES * 2 * WIDE], values[2 * WIDE];
  lstm_batch batch = wide_batch();
  double mean = 0, square = 0, n = LANES * WIDE;
  int b, u;
  (void)arg;
  l.forget = LSTM_FORGET_NOISE, l.noise = .5f;
  desc.input_size = WIDE, desc.layers = &l, desc.layer_count = 1, desc.init = LSTM_INIT_ZERO;
  assert_ok(lstm_model_create(&desc, &model));
  trainer = make_trainer(model, 1, LANES, 7, NULL);
  for (u = 0; u < LANES * 2 * WIDE; u++) initial[u] = 1;
  batch.initial = initial;
  assert_ok(lstm_trainer_forward(trainer, &batch, NULL));
  assert_ok(lstm_trainer_final(trainer, final));
  for (b = 0; b < LANES; b++)
    for (u = 0; u < WIDE; u++) {
      double f = (double)final[b * 2 * WIDE + WIDE + u];
      assert_true(f >= .25 && f < .75);
      mean += f / n, square += (f - .5) * (f - .5) / n;
    }
  assert_true(fabs(mean - .5) < 5 * .5 / sqrt(12 * n));
  assert_true(fabs(square - .25 / 12) < 5 * .25 / sqrt(180 * n)); /* of a uniform number: fourth moment 1/80 */
  assert_ok(lstm_state_create(model, NULL, &state));
  assert_ok(lstm_state_set(model, state, 0, initial));
  assert_ok(lstm_step(model, state, wide_x, NULL));
  assert_ok(lstm_state_get(model, state, 0, values));
  for (u = 0; u < WIDE; u++) assert_true(values[WIDE + u] == .5f); /* none outside training */
  lstm_state_destroy(state);
  lstm_trainer_destroy(trainer);
  lstm_model_destroy(model);
}

/* Masks belong to lanes and steps, not to tasks: ragged lanes, in an unexpected order, in groups of another size. */
static void test_masks_do_not_depend_on_tasks(void **arg) {
  static float one[LONG * LANES * WIDE], two[LONG * LANES * WIDE];
  static const int widths[] = {2, 5, 8};
  lstm_layer l = lstm_lstm(WIDE);
  lstm_model *model;
  lstm_trainer *alone;
  lstm_batch batch = wide_batch();
  int lengths[LANES], i, k;
  (void)arg;
  l.dropout = l.recurrent_dropout = l.zoneout = .25f, l.forget = LSTM_FORGET_NOISE, l.noise = .5f;
  model = model_of_layers(&l, 1, WIDE);
  for (i = 0; i < LANES; i++) lengths[i] = i * 7 % (LONG + 1);
  batch.lengths = lengths;
  alone = make_trainer(model, LONG, LANES, 7, NULL);
  assert_ok(lstm_trainer_forward(alone, &batch, one));
  for (k = 0; k < HELPERS_COUNT(widths); k++) {
    lstm_executor odd = odd_order_executor(widths[k]);
    lstm_trainer *trainer = make_trainer(model, LONG, LANES, 7, &odd);
    assert_ok(lstm_trainer_forward(trainer, &batch, two));
    assert_bits(one, two, LONG * LANES * WIDE);
    lstm_trainer_destroy(trainer);
  }
  lstm_trainer_destroy(alone);
  lstm_model_destroy(model);
}

/* The masks of two layers, and of two directions, are different numbers. */
static void test_layers_and_directions_draw_for_themselves(void **arg) {
  lstm_layer layers[2];
  lstm_model *model;
  lstm_trainer *trainer;
  lstm_batch batch = wide_batch();
  int i, j;
  (void)arg;
  layers[0] = lstm_gru(WIDE), layers[1] = lstm_gru(WIDE);
  for (i = 0; i < 2; i++) layers[i].recurrent_dropout = .5f, layers[i].bidirectional = 1;
  model = model_of_layers(layers, 2, WIDE);
  trainer = make_trainer(model, 2, LANES, 7, NULL);
  assert_ok(lstm_trainer_forward(trainer, &batch, NULL));
  for (i = 0; i < model->plan.layers; i++)
    for (j = 0; j < i; j++)
      if (trainer->tapes[i].mask && trainer->tapes[j].mask)
        assert_memory_not_equal(trainer->tapes[i].mask, trainer->tapes[j].mask, WIDE * sizeof(float));
  lstm_trainer_destroy(trainer);
  lstm_model_destroy(model);
}

/* --- learned and carried states ----------------------------------------------------------------------------------- */

#define S 11 /* of lstm(3) and gru(5) */

static lstm_model *make_learned(void) {
  lstm_layer layers[3];
  lstm_model *model;
  lstm_tensor t;
  int i;
  layers[0] = lstm_lstm(3), layers[1] = lstm_gru(5), layers[2] = lstm_dense(2);
  layers[0].learned_state = layers[1].learned_state = 1;
  model = model_of_layers(layers, 3, I);
  for (i = 0; lstm_model_tensor(model, i, &t) == LSTM_OK; i++)
    if (t.columns == 0) fill(t.data, t.count, 50 + (uint64_t)i, .5f);
  lstm_model_refresh(model);
  return model;
}

/* A window's outputs, by a state whose lanes begin as said: values [B][S], NULL: at the learned state. */
static void run_state(const lstm_model *model, const float *x, const float *from, const unsigned char *anew, float *y) {
  lstm_state_desc desc = {0};
  lstm_state *state;
  int b;
  desc.lanes = B;
  assert_ok(lstm_state_create(model, &desc, &state));
  for (b = 0; from && b < B; b++)
    if (!anew || !anew[b]) assert_ok(lstm_state_set(model, state, b, from + b * S));
  assert_ok(lstm_forward(model, state, x, T, y));
  lstm_state_destroy(state);
}

static void test_windows_begin_at_learned_or_carried_states(void **arg) {
  static const unsigned char reset[B] = {0, 1, 1, 0};
  lstm_model *model = make_learned();
  int carry;
  (void)arg;
  for (carry = 0; carry < 2; carry++) {
    float x[T * B * I], y[T * B * 2], wanted[T * B * 2], finals[B * S];
    lstm_trainer_desc desc = {0};
    lstm_trainer *trainer;
    lstm_batch batch = {0};
    desc.seq_len = T, desc.batch_size = B, desc.carry_state = carry;
    assert_ok(lstm_trainer_create(model, &desc, &trainer));
    fill(x, T * B * I, 3, 1);
    batch.x = x;
    assert_ok(lstm_trainer_forward(trainer, &batch, y));
    run_state(model, x, NULL, NULL, wanted);
    assert_bits(y, wanted, T * B * 2);
    assert_ok(lstm_trainer_final(trainer, finals));
    assert_ok(lstm_trainer_forward(trainer, &batch, y));
    run_state(model, x, carry ? finals : NULL, NULL, wanted);
    assert_bits(y, wanted, T * B * 2);
    assert_ok(lstm_trainer_final(trainer, finals));
    batch.reset = reset;
    assert_ok(lstm_trainer_forward(trainer, &batch, y));
    run_state(model, x, carry ? finals : NULL, reset, wanted);
    assert_bits(y, wanted, T * B * 2);
    batch.reset = NULL;
    lstm_trainer_reset(trainer);
    assert_ok(lstm_trainer_forward(trainer, &batch, y));
    run_state(model, x, NULL, NULL, wanted);
    assert_bits(y, wanted, T * B * 2);
    lstm_trainer_destroy(trainer);
  }
  lstm_model_destroy(model);
}

/* Their gradient is the sum of the initial states' over the lanes that began there. */
static void test_the_gradient_of_learned_states(void **arg) {
  static const unsigned char reset[B] = {0, 1, 1, 0};
  static const char *const names[] = {"rnn.h0_l0", "rnn.c0_l0", "rnn1.h0_l0"};
  lstm_model *model = make_learned();
  float x[T * B * I], d[T * B * 2], initial[B * S] = {0};
  lstm_trainer_desc desc = {0};
  lstm_trainer *trainer;
  lstm_batch batch = {0};
  lstm_flow flow = {0};
  int window, i, b, at, u;
  (void)arg;
  desc.seq_len = T, desc.batch_size = B, desc.carry_state = 1;
  assert_ok(lstm_trainer_create(model, &desc, &trainer));
  fill(x, T * B * I, 3, 1), fill(d, T * B * 2, 4, 1);
  batch.x = x, batch.reset = reset;
  flow.d_output = d, flow.d_initial = initial;
  for (window = 0; window < 2; window++) {
    lstm_trainer_zero_gradients(trainer);
    assert_ok(lstm_trainer_forward(trainer, &batch, NULL));
    assert_ok(lstm_trainer_backward(trainer, &flow));
    for (i = 0, at = 0; i < 3; i++) {
      lstm_tensor g = tensor_named(model, trainer, names[i]);
      for (u = 0; u < (int)g.count; u++, at++) {
        double sum = 0;
        for (b = 0; b < B; b++)
          if (window == 0 || reset[b]) sum += (double)initial[b * S + at]; /* window 0: all lanes are new */
        assert_true(fabs((double)g.data[u] - sum) < 1e-6 && sum != 0);
      }
    }
  }
  lstm_trainer_destroy(trainer);
  lstm_model_destroy(model);
}

/* --- what a forward and a backward pass leave to be seen ---------------------------------------------------------- */

/* Counts of all steps of all lanes by traces of a state. */
static void count_by_traces(const lstm_model *model, const lstm_batch *batch, int layer, int H, int both,
                            lstm_saturation *out) {
  static float values[B][T * 2 * 6 * 20];
  lstm_trace traces[B];
  lstm_state_desc desc = {0};
  lstm_state *state;
  int b, t, k, u, gru = lstm_model_desc_of(model)->layers[layer].type == LSTM_LAYER_GRU;
  memset(out, 0, sizeof *out), memset(traces, 0, sizeof traces);
  desc.lanes = B, desc.seq_len = T;
  assert_ok(lstm_state_create(model, &desc, &state));
  for (b = 0; b < B; b++)
    traces[b].layer = layer, traces[b].lane = b, traces[b].capacity = T, traces[b].values = values[b];
  assert_ok(lstm_state_trace(model, state, traces, B));
  assert_ok(lstm_forward_batch(model, state, batch, NULL, NULL));
  for (b = 0; b < B; b++)
    for (t = 0; t < traces[b].steps * (1 + both); t++)
      for (u = 0; u < H; u++) {
        out->count++;
        for (k = 0; k < 4 - gru; k++) {
          float v = values[b][(t * 6 + k) * H + u];
          out->low[k] += v < (k == 2 ? -.9f : .1f), out->high[k] += v > .9f;
        }
      }
  lstm_state_destroy(state);
}

static void test_saturation_counts_gates(void **arg) {
  static const int lengths[B] = {T, 0, 3, 5};
  float x[T * B * I];
  lstm_batch batch = {0};
  int kind;
  (void)arg;
  fill(x, T * B * I, 3, 20);
  batch.seq_len = T, batch.x = x, batch.lengths = lengths;
  for (kind = 0; kind < 4; kind++) {
    lstm_layer layers[4];
    lstm_model *model;
    lstm_trainer *trainer;
    lstm_saturation got, wanted;
    layers[0] = lstm_dropout(0), layers[1] = kind & 1 ? lstm_gru(17) : lstm_lstm(17), layers[2] = lstm_lstm(6);
    layers[3] = lstm_dense(2);
    layers[1].bidirectional = kind > 1, layers[1].peephole = kind == 2;
    model = model_of_layers(layers, 4, I);
    trainer = make_trainer(model, T, B, 1, NULL);
    assert_status(lstm_trainer_saturation(trainer, 1, &got), LSTM_ERR_ARGUMENT); /* no forward yet */
    assert_ok(lstm_trainer_forward(trainer, &batch, NULL));
    assert_ok(lstm_trainer_saturation(trainer, 1, &got));
    count_by_traces(model, &batch, 1, 17, kind > 1, &wanted);
    assert_int_equal(got.count, (size_t)(T + 3 + 5) * 17 * (kind > 1 ? 2 : 1));
    assert_memory_equal(&got, &wanted, sizeof got);
    assert_true(got.low[0] > 0 && got.high[0] > 0 && got.low[2] > 0 && got.high[2] > 0);
    if (kind & 1) assert_true(got.low[3] == 0 && got.high[3] == 0);
    assert_ok(lstm_trainer_saturation(trainer, 2, &got));
    count_by_traces(model, &batch, 2, 6, 0, &wanted);
    assert_memory_equal(&got, &wanted, sizeof got);
    assert_status(lstm_trainer_saturation(trainer, 0, &got), LSTM_ERR_ARGUMENT); /* a dropout */
    assert_status(lstm_trainer_saturation(trainer, 3, &got), LSTM_ERR_ARGUMENT);
    assert_status(lstm_trainer_saturation(trainer, 4, &got), LSTM_ERR_ARGUMENT);
    assert_status(lstm_trainer_saturation(trainer, -1, &got), LSTM_ERR_ARGUMENT);
    assert_status(lstm_trainer_saturation(trainer, 1, NULL), LSTM_ERR_ARGUMENT);
    assert_status(lstm_trainer_saturation(NULL, 1, &got), LSTM_ERR_ARGUMENT);
    lstm_trainer_destroy(trainer);
    lstm_model_destroy(model);
  }
}

/* Inputs that are 1 in one step of one lane each: weight_ih's gradient then has the gradient of that step's sums in its
   columns. A GRU has that of n's part from h besides, which is that of n times r: here r is 1. */
static void test_step_norms_are_norms_of_gradients(void **arg) {
  static const int lengths[B] = {T, 2, 0, 5};
  static float x[T * B * T * B], d[T * B * 5];
  lstm_batch batch = {0};
  lstm_flow flow = {0};
  int kind, t, b, row;
  (void)arg;
  for (t = 0; t < T * B; t++) x[t * T * B + t] = 1;
  fill(d, T * B * 5, 3, 1);
  batch.x = x, batch.lengths = lengths, flow.d_output = d;
  for (kind = 0; kind < 4; kind++) {
    lstm_layer l = kind & 1 ? lstm_gru(5) : lstm_lstm(5);
    lstm_model *model;
    lstm_trainer *trainer;
    lstm_tensor g[2], bias;
    float norms[T + 1];
    l.bidirectional = kind > 1, l.merge = kind > 1 ? LSTM_MERGE_SUM : LSTM_MERGE_CONCAT, l.peephole = kind == 2;
    model = model_of_layers(&l, 1, T * B);
    for (row = 0; kind & 1 && row < 5; row++) {
      tensor_named(model, NULL, "rnn.bias_ih_l0").data[row] = 60;
      if (kind > 1) tensor_named(model, NULL, "rnn.bias_ih_l0_reverse").data[row] = 60;
    }
    lstm_model_refresh(model);
    trainer = make_trainer(model, T, B, 1, NULL);
    assert_ok(lstm_trainer_forward(trainer, &batch, NULL));
    assert_status(lstm_trainer_step_norms(trainer, 0, norms), LSTM_ERR_ARGUMENT); /* no backward yet */
    assert_ok(lstm_trainer_backward(trainer, &flow));
    norms[T] = 77;
    assert_ok(lstm_trainer_step_norms(trainer, 0, norms));
    assert_true(norms[T] == 77);
    g[0] = tensor_named(model, trainer, "rnn.weight_ih_l0");
    g[1] = kind > 1 ? tensor_named(model, trainer, "rnn.weight_ih_l0_reverse") : g[0];
    bias = tensor_named(model, trainer, "rnn.bias_ih_l0");
    assert_int_equal(bias.count, g[0].rows);
    for (t = 0; t < T; t++) {
      double sum = 0;
      int way;
      for (way = 0; way < (kind > 1 ? 2 : 1); way++)
        for (row = 0; row < g[way].rows; row++)
          for (b = 0; b < B; b++) {
            double v = (double)g[way].data[row * T * B + t * B + b];
            sum += v * v * (kind & 1 && row >= 10 ? 2 : 1);
          }
      assert_true(fabs((double)norms[t] - sqrt(sum)) < 1e-5 * (1 + sqrt(sum)) && norms[t] > 0);
    }
    assert_status(lstm_trainer_step_norms(trainer, 1, norms), LSTM_ERR_ARGUMENT);
    assert_status(lstm_trainer_step_norms(trainer, -1, norms), LSTM_ERR_ARGUMENT);
    assert_status(lstm_trainer_step_norms(trainer, 0, NULL), LSTM_ERR_ARGUMENT);
    assert_status(lstm_trainer_step_norms(NULL, 0, norms), LSTM_ERR_ARGUMENT);
    assert_ok(lstm_trainer_forward(trainer, &batch, NULL));
    assert_status(lstm_trainer_step_norms(trainer, 0, norms), LSTM_ERR_ARGUMENT); /* they were another window's */
    lstm_trainer_destroy(trainer);
    lstm_model_destroy(model);
  }
}

/* After lstm_train there is no forward pass left to count in, but there are norms. */
static void test_after_a_training_step(void **arg) {
  lstm_layer layers[2];
  lstm_model *model;
  lstm_trainer_desc desc = {0};
  lstm_trainer *trainer;
  lstm_saturation saturation;
  lstm_batch batch = {0};
  float x[T * B * I], y[T * B], norms[T];
  (void)arg;
  layers[0] = lstm_lstm(5), layers[1] = lstm_dense(1);
  model = model_of_layers(layers, 2, I);
  desc.seq_len = T, desc.batch_size = B, desc.loss = LSTM_MSE;
  assert_ok(lstm_trainer_create(model, &desc, &trainer));
  fill(x, T * B * I, 3, 1), fill(y, T * B, 4, 1);
  batch.x = x, batch.targets = y;
  assert_ok(lstm_train(trainer, &batch, NULL));
  assert_status(lstm_trainer_saturation(trainer, 0, &saturation), LSTM_ERR_ARGUMENT);
  assert_ok(lstm_trainer_step_norms(trainer, 0, norms));
  lstm_trainer_destroy(trainer);
  lstm_model_destroy(model);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_dropout_of_inputs),
      cmocka_unit_test(test_recurrent_dropout_has_one_mask_for_a_window),
      cmocka_unit_test(test_zoneout_keeps_units),
      cmocka_unit_test(test_forget_noise_is_uniform),
      cmocka_unit_test(test_masks_do_not_depend_on_tasks),
      cmocka_unit_test(test_layers_and_directions_draw_for_themselves),
      cmocka_unit_test(test_windows_begin_at_learned_or_carried_states),
      cmocka_unit_test(test_the_gradient_of_learned_states),
      cmocka_unit_test(test_saturation_counts_gates),
      cmocka_unit_test(test_step_norms_are_norms_of_gradients),
      cmocka_unit_test(test_after_a_training_step),
  };
  return cmocka_run_group_tests_name("training cells", tests, NULL, NULL);
}
