/* The gradient check: right for networks of every kind, wrong losses and wrong derivatives found, nothing changed by
   it, what it refuses, and its one allocation. */
#define LSTM_IMPLEMENTATION
#include "lstm.h"

#include "../helpers.h"

#include <math.h>

enum { LAYERS = 12, MAX_T = 7, MAX_B = 5, WIDTH = 40, ROWS = MAX_T * MAX_B, STATES = 400, NETWORKS = 400 };

/* Everything of one check; `rng` draws it. */
typedef struct setting {
  lstm_rng rng;
  lstm_layer layers[LAYERS];
  lstm_model_desc desc;
  lstm_model *model;
  lstm_trainer *trainer;
  lstm_batch batch;
  lstm_error error;
  float x[ROWS * WIDTH], initial[MAX_B * STATES], slope[ROWS * WIDTH];
  int32_t ids[ROWS];
  int lengths[MAX_B], T, B, outputs;
  unsigned char reset[MAX_B];
  float wrong; /* d_y is off by this factor */
} setting;

static int draw(setting *s, int count) { return lstm_random_index(&s->rng, count); }
static float draw_number(setting *s) { return 2.0f * lstm_random(&s->rng) - 1.0f; }

/* A loss that is not one of the library's: the mean of slope sin y + y^2 / 10. */
static double own_loss(void *user, const double *y, float *d_y) {
  const setting *s = (const setting *)user;
  double loss = 0, n = s->outputs;
  int i;
  for (i = 0; i < s->outputs; i++) {
    double slope = (double)s->slope[i];
    loss += (slope * sin(y[i]) + y[i] * y[i] / 10) / n;
    if (d_y) d_y[i] = (float)((slope * cos(y[i]) + y[i] / 5) / n * (double)(1 + s->wrong));
  }
  return loss;
}

/* --- drawing ------------------------------------------------------------------------------------------------------ */

/* Layer norm of few units, or of the products of few inputs, cancels all but what float rounds away. */
static void draw_cell_options(setting *s, lstm_layer *l) {
  int gru = l->type == LSTM_LAYER_GRU, before = l > s->layers;
  int wide = !before ? s->desc.input_size : l[-1].projection ? l[-1].projection : l[-1].size;
  if (draw(s, 4) == 0) l->learned_state = 1;
  if (draw(s, 4) == 0) l->bidirectional = 1;
  if (l->bidirectional) l->merge = (lstm_merge)draw(s, LSTM_MERGE_COUNT);
  if (gru) return;
  if (draw(s, 3) == 0) l->peephole = 1;
  if (draw(s, 4) == 0) l->coupled = 1;
  if (draw(s, 4) == 0) l->projection = 1 + draw(s, l->size);
  if (draw(s, 4) == 0 && l->size > 3 && wide > 3) l->layer_norm = 1;
  if (draw(s, 4) == 0) l->cell_clip = 0.5f;
  if (draw(s, 3) == 0 && !l->coupled) l->forget = (lstm_forget)draw(s, LSTM_FORGET_NOISE);
  if (draw(s, 3) == 0) l->activation = (lstm_activation)draw(s, LSTM_ACTIVATION_COUNT);
  if (draw(s, 4) == 0) l->gate_activation = (lstm_activation)draw(s, LSTM_ACTIVATION_COUNT);
}

/* A quarter of the networks has no options. */
static void draw_layers(setting *s) {
  int i, cells = 1 + draw(s, 3), n = 0, options = draw(s, 4);
  s->desc.input_size = 1 + draw(s, 6);
  if (draw(s, 3) == 0) s->layers[n++] = lstm_embedding(1 + draw(s, 8));
  for (i = 0; i < cells; i++) {
    if (draw(s, 5) == 0) {
      s->layers[n] = lstm_dense(1 + draw(s, 8));
      s->layers[n++].activation = (lstm_activation)draw(s, LSTM_ACTIVATION_COUNT);
    }
    s->layers[n] = options && draw(s, 5) == 0 ? lstm_gru(1 + draw(s, 9)) : lstm_lstm(1 + draw(s, 20));
    if (options > 1) draw_cell_options(s, s->layers + n);
    if (i == cells - 1) s->layers[n].read = (lstm_read)draw(s, options ? LSTM_READ_COUNT : LSTM_READ_MEAN);
    n++;
    if (draw(s, 6) == 0) s->layers[n++] = lstm_dropout(0);
  }
  if (s->layers[0].type == LSTM_LAYER_EMBEDDING && options && draw(s, 3) == 0) {
    s->layers[0].tied = 1;
    s->layers[n++] = lstm_dense(s->layers[0].size);
    s->layers[n++] = lstm_dense(s->desc.input_size);
  } else if (draw(s, 6)) {
    s->layers[n++] = lstm_dense(1 + draw(s, 6));
  }
  s->desc.layer_count = n;
}

static void draw_batch(setting *s) {
  int i;
  s->batch.seq_len = s->T;
  s->batch.batch_size = s->B;
  for (i = 0; i < ROWS * WIDTH; i++) s->x[i] = draw_number(s), s->slope[i] = draw_number(s);
  for (i = 0; i < ROWS; i++) s->ids[i] = draw(s, s->desc.input_size);
  for (i = 0; i < MAX_B; i++) s->lengths[i] = draw(s, s->T + 1), s->reset[i] = (unsigned char)draw(s, 2);
  for (i = 0; i < MAX_B * STATES; i++) s->initial[i] = draw_number(s);
  if (lstm_model_takes_ids(s->model)) s->batch.ids = s->ids;
  s->batch.x = s->x; /* not for token models, who must not look at it */
  if (draw(s, 2)) s->batch.lengths = s->lengths;
  if (draw(s, 3) == 0) s->batch.reset = s->reset;
  if (draw(s, 3) == 0) s->batch.initial = s->initial;
}

/* What padding holds must not matter. */
static void poison_padding(setting *s) {
  int t, lane, i, in = s->desc.input_size;
  for (t = 0; t < s->T && s->batch.lengths; t++)
    for (lane = 0; lane < s->B; lane++) {
      if (t < s->lengths[lane]) continue;
      s->ids[t * s->B + lane] = -5;
      for (i = 0; i < in; i++) s->x[(t * s->B + lane) * in + i] = NAN;
    }
}

/* All weights, also those that begin at 0 or 1, somewhere else: no kink is met exactly, no tensor is left out. */
static void shake_weights(setting *s) {
  int i;
  size_t j;
  for (i = 0; i < lstm_model_tensor_count(s->model); i++) {
    lstm_tensor t;
    assert_ok(lstm_model_tensor(s->model, i, &t));
    for (j = 0; j < t.count; j++) t.data[j] += 0.2f * draw_number(s);
  }
  lstm_model_refresh(s->model);
}

static void close_setting(setting *s) {
  lstm_trainer_destroy(s->trainer);
  lstm_model_destroy(s->model);
  free(s);
}

/* Makes the model, the trainer and a window from s->layers. */
static setting *open_setting(setting *s, int carry) {
  lstm_trainer_desc how = {0};
  lstm_status status;
  s->desc.layers = s->layers;
  s->desc.seed = lstm_random_bits(&s->rng);
  s->desc.error = &s->error;
  status = lstm_model_create(&s->desc, &s->model);
  if (status != LSTM_OK) print_message("%s\n", s->error.message);
  assert_ok(status);
  shake_weights(s);
  assert_true(lstm_model_state_size(s->model) <= STATES && lstm_model_output_size(s->model) <= WIDTH);
  s->T = 1 + draw(s, MAX_T);
  s->B = 1 + draw(s, MAX_B);
  s->outputs = s->B * lstm_model_output_size(s->model) * (lstm_model_reads_last(s->model) ? 1 : s->T);
  how.batch_size = s->B + draw(s, 2);
  how.seq_len = s->T + draw(s, 2);
  how.carry_state = carry && !lstm_model_bidirectional(s->model);
  assert_ok(lstm_trainer_create(s->model, &how, &s->trainer));
  draw_batch(s);
  if (how.carry_state) assert_ok(lstm_trainer_forward(s->trainer, &s->batch, NULL));
  poison_padding(s);
  return s;
}

static setting *new_setting(uint64_t seed) {
  setting *s = (setting *)make_array(1, sizeof *s);
  s->rng.seed = seed;
  return s;
}

/* Short or ragged windows may hardly use a gate. */
static int is_long(const setting *s) { return s->T > 2 && !s->batch.lengths; }

/* One with an LSTM layer that the caller has set, between layers that are always there. */
static setting *setting_of(lstm_layer layer, uint64_t seed) {
  setting *s = new_setting(seed);
  s->desc.input_size = 3;
  s->layers[0] = lstm_dense(4);
  s->layers[0].activation = LSTM_TANH;
  s->layers[1] = layer;
  s->layers[2] = lstm_dense(2);
  s->desc.layer_count = 3;
  return open_setting(s, 0);
}

static lstm_status check(setting *s, lstm_gradcheck_result *result) {
  lstm_gradcheck_desc desc = {0};
  desc.loss = own_loss;
  desc.user = s;
  desc.seed = s->rng.seed;
  desc.error = &s->error;
  return lstm_gradcheck(s->trainer, &s->batch, &desc, result);
}

/* --- right gradients ---------------------------------------------------------------------------------------------- */

static void report(const setting *s, const lstm_gradcheck_result *r, int number) {
  lstm_tensor t;
  char text[2000];
  assert_ok(lstm_model_tensor(s->model, r->tensor, &t));
  lstm_model_summary(s->model, text, sizeof text);
  print_message("network %d, T %d, B %d%s%s%s: error %g in %s (%.9g, %.9g)\n%s", number, s->T, s->B,
                s->batch.lengths ? ", ragged" : "", s->batch.initial ? ", initial" : "",
                s->batch.reset ? ", reset" : "", r->error, t.name, r->analytic, r->numeric, text);
}

static double assert_right(setting *s, int number) {
  lstm_gradcheck_result result;
  assert_ok(check(s, &result));
  if (!(result.error < LSTM_GRADCHECK_TOLERANCE / 5)) report(s, &result, number);
  assert_true(result.error < LSTM_GRADCHECK_TOLERANCE / 5);
  return result.error;
}

static void test_right_gradients_pass(void **arg) {
  int i;
  double worst = 0;
  (void)arg;
  for (i = 0; i < NETWORKS; i++) {
    setting *s = new_setting((uint64_t)i);
    double error;
    draw_layers(s);
    open_setting(s, i % 3 == 0);
    error = assert_right(s, i);
    if (error > worst) worst = error;
    close_setting(s);
  }
  print_message("%d networks, largest error %.2g\n", (int)NETWORKS, worst);
}

static void set_peephole(lstm_layer *l) { l->peephole = 1; }
static void set_coupled(lstm_layer *l) { l->coupled = 1; }
static void set_projection(lstm_layer *l) { l->projection = 3; }
static void set_layer_norm(lstm_layer *l) { l->layer_norm = 1; }
static void set_cell_clip(lstm_layer *l) { l->cell_clip = 0.2f; }
static void set_forget_zero(lstm_layer *l) { l->forget = LSTM_FORGET_ZERO; }
static void set_forget_one(lstm_layer *l) { l->forget = LSTM_FORGET_ONE; }
static void set_relu(lstm_layer *l) { l->activation = LSTM_RELU; }
static void set_softsign(lstm_layer *l) { l->activation = LSTM_SOFTSIGN; }
static void set_hard_sigmoid(lstm_layer *l) { l->gate_activation = LSTM_HARD_SIGMOID; }
static void set_learned_state(lstm_layer *l) { l->learned_state = 1; }
static void set_concat(lstm_layer *l) { l->bidirectional = 1; }
static void set_sum(lstm_layer *l) { l->bidirectional = 1, l->merge = LSTM_MERGE_SUM; }
static void set_last(lstm_layer *l) { l->read = LSTM_READ_LAST; }
static void set_mean(lstm_layer *l) { l->read = LSTM_READ_MEAN; }
static void set_max(lstm_layer *l) { l->read = LSTM_READ_MAX; }
static void set_gru(lstm_layer *l) { *l = lstm_gru(5); }

/* So that none is missed by the drawing. */
static void test_each_option_alone_passes(void **arg) {
  static void (*const options[])(lstm_layer *) = {
      set_peephole, set_coupled,  set_projection,   set_layer_norm,    set_cell_clip, set_forget_zero, set_forget_one,
      set_relu,     set_softsign, set_hard_sigmoid, set_learned_state, set_concat,    set_sum,         set_last,
      set_mean,     set_max,      set_gru};
  int i, seed;
  (void)arg;
  for (i = 0; i < HELPERS_COUNT(options); i++)
    for (seed = 0; seed < 5; seed++) {
      lstm_layer layer = lstm_lstm(5);
      setting *s;
      options[i](&layer);
      s = setting_of(layer, (uint64_t)seed);
      assert_right(s, i);
      close_setting(s);
    }
}

/* --- wrong ones --------------------------------------------------------------------------------------------------- */

static void test_a_wrong_loss_is_found(void **arg) {
  uint64_t seed;
  (void)arg;
  for (seed = 0; seed < 20; seed++) {
    setting *s = setting_of(lstm_lstm(5), seed);
    lstm_gradcheck_result result;
    s->wrong = 0.001f;
    assert_ok(check(s, &result));
    assert_true(result.error > 3 * LSTM_GRADCHECK_TOLERANCE || !is_long(s));
    assert_true(result.error == 0 || fabs(result.analytic / result.numeric - 1.001) < 1e-4);
    s->wrong = 0;
    assert_right(s, (int)seed);
    close_setting(s);
  }
}

static void (*right_backward)(int n, float *gates, const float *c, const float *c_prev, const float *dh, float *dc);
static int wrong_gate;

/* The derivative of one gate is off by 1 %. */
static void wrong_backward(int n, float *gates, const float *c, const float *c_prev, const float *dh, float *dc) {
  int u;
  right_backward(n, gates, c, c_prev, dh, dc);
  for (u = 0; u < n; u++) { /* the last block may have 8 units */
    int block = n - u / 16 * 16 < 16 ? 8 : 16;
    gates[u / 16 * 64 + wrong_gate * block + u % 16] *= 1.01f;
  }
}

static void test_a_wrong_derivative_is_found(void **arg) {
  double least = 1;
  uint64_t seed;
  (void)arg;
  for (seed = 0; seed < 150; seed++) {
    setting *s = setting_of(lstm_lstm(5), seed);
    lstm__kernels kernels = *s->model->kernels;
    lstm_gradcheck_result result;
    right_backward = kernels.cell_backward;
    kernels.cell_backward = wrong_backward;
    wrong_gate = (int)seed % 4;
    s->model->kernels = &kernels;
    assert_ok(check(s, &result));
    if (result.error < least && is_long(s)) least = result.error;
    close_setting(s);
  }
  print_message("a gate off by 1 %%: error at least %.2g\n", least);
  assert_true(least > 2.5 * LSTM_GRADCHECK_TOLERANCE);
}

/* --- what it leaves ----------------------------------------------------------------------------------------------- */

static unsigned char saved[2][1 << 18];
static size_t saved_size;

static int save_to(void *user, const void *data, size_t size) {
  unsigned char *to = (unsigned char *)user;
  if (saved_size + size > sizeof saved[0]) return 0;
  memcpy(to + saved_size, data, size);
  saved_size += size;
  return 1;
}

/* Weights, moments, carried states and counters. */
static size_t save(const setting *s, unsigned char *to) {
  lstm_writer writer = {save_to, NULL};
  writer.user = to;
  saved_size = 0;
  assert_ok(lstm_trainer_save(s->trainer, NULL, &writer));
  return saved_size;
}

static size_t collect_gradients(const setting *s, float *out) {
  size_t n = 0;
  int i;
  for (i = 0; i < lstm_model_tensor_count(s->model); i++) {
    lstm_tensor t;
    assert_ok(lstm_trainer_gradient(s->trainer, i, &t));
    memcpy(out + n, t.data, t.count * sizeof(float));
    n += t.count;
  }
  return n;
}

/* One training step by hand, with a carried state. */
static void step_by_hand(setting *s) {
  float y[ROWS * WIDTH], d_y[ROWS * WIDTH];
  double exact[ROWS * WIDTH];
  lstm_flow flow = {0};
  int i;
  assert_ok(lstm_trainer_forward(s->trainer, &s->batch, y));
  for (i = 0; i < s->outputs; i++) exact[i] = (double)y[i];
  own_loss(s, exact, d_y);
  flow.d_output = d_y;
  lstm_trainer_zero_gradients(s->trainer);
  assert_ok(lstm_trainer_backward(s->trainer, &flow));
}

static void test_nothing_but_the_gradients_changes(void **arg) {
  static float left[20000], wanted[20000];
  int seed;
  (void)arg;
  for (seed = 0; seed < 40; seed++) {
    setting *s = new_setting((uint64_t)seed);
    lstm_gradcheck_result result;
    size_t size, n;
    draw_layers(s);
    open_setting(s, 1);
    step_by_hand(s);
    assert_ok(lstm_trainer_update(s->trainer));
    size = save(s, saved[0]);
    assert_ok(check(s, &result));
    assert_int_equal(save(s, saved[1]), size);
    assert_memory_equal(saved[0], saved[1], size);
    n = collect_gradients(s, left);
    step_by_hand(s);
    assert_int_equal(collect_gradients(s, wanted), n);
    assert_bits(left, wanted, n);
    close_setting(s);
  }
}

static void test_the_seed_decides_the_result(void **arg) {
  setting *s = setting_of(lstm_lstm(5), 3);
  lstm_gradcheck_desc desc = {0};
  lstm_gradcheck_result a, b, other;
  (void)arg;
  desc.loss = own_loss;
  desc.user = s;
  assert_ok(lstm_gradcheck(s->trainer, &s->batch, &desc, &a));
  assert_ok(lstm_gradcheck(s->trainer, &s->batch, &desc, &b));
  desc.seed = 1;
  desc.directions = 9;
  assert_ok(lstm_gradcheck(s->trainer, &s->batch, &desc, &other));
  assert_memory_equal(&a.error, &b.error, sizeof a.error);
  assert_true(a.error != other.error && other.error < LSTM_GRADCHECK_TOLERANCE / 5);
  close_setting(s);
}

/* --- what it refuses ---------------------------------------------------------------------------------------------- */

static void set_dropout(lstm_layer *l) { l->dropout = 0.5f; }
static void set_recurrent_dropout(lstm_layer *l) { l->recurrent_dropout = 0.5f; }
static void set_zoneout(lstm_layer *l) { l->zoneout = 0.1f; }
static void set_noise(lstm_layer *l) { l->forget = LSTM_FORGET_NOISE, l->noise = 0.1f; }
static void set_dropout_layer(lstm_layer *l) { *l = lstm_dropout(0.5f); }

static void test_random_numbers_are_refused(void **arg) {
  static const struct {
    void (*set)(lstm_layer *);
    const char *sentence;
  } random[] = {{set_dropout, "set its dropout to 0"},
                {set_recurrent_dropout, "set its recurrent_dropout to 0"},
                {set_zoneout, "set its zoneout to 0"},
                {set_noise, "set its noise to 0"},
                {set_dropout_layer, "set its rate to 0"}};
  int i;
  (void)arg;
  for (i = 0; i < HELPERS_COUNT(random); i++) {
    lstm_layer layer = lstm_lstm(5);
    lstm_gradcheck_result result;
    setting *s;
    random[i].set(&layer);
    s = setting_of(layer, 1);
    assert_status(check(s, &result), LSTM_ERR_UNSUPPORTED);
    assert_int_equal(s->error.status, LSTM_ERR_UNSUPPORTED);
    assert_non_null(strstr(s->error.message, "layer 1"));
    assert_non_null(strstr(s->error.message, random[i].sentence));
    close_setting(s);
  }
}

static double bad_loss(void *user, const double *y, float *d_y) {
  (void)d_y;
  return own_loss(user, y, NULL) + (double)NAN;
}

static void test_wrong_arguments_are_refused(void **arg) {
  setting *s = setting_of(lstm_lstm(5), 2);
  lstm_gradcheck_desc desc = {0};
  lstm_gradcheck_result result;
  (void)arg;
  desc.user = s;
  desc.error = &s->error;
  assert_status(lstm_gradcheck(s->trainer, &s->batch, &desc, &result), LSTM_ERR_ARGUMENT);
  desc.loss = own_loss;
  assert_status(lstm_gradcheck(NULL, &s->batch, &desc, &result), LSTM_ERR_ARGUMENT);
  assert_status(lstm_gradcheck(s->trainer, NULL, &desc, &result), LSTM_ERR_ARGUMENT);
  assert_status(lstm_gradcheck(s->trainer, &s->batch, NULL, &result), LSTM_ERR_ARGUMENT);
  assert_status(lstm_gradcheck(s->trainer, &s->batch, &desc, NULL), LSTM_ERR_ARGUMENT);
  desc.directions = -1;
  assert_status(lstm_gradcheck(s->trainer, &s->batch, &desc, &result), LSTM_ERR_ARGUMENT);
  desc.directions = 0;
  s->batch.seq_len = MAX_T + 5;
  assert_status(lstm_gradcheck(s->trainer, &s->batch, &desc, &result), LSTM_ERR_SHAPE);
  assert_non_null(strstr(s->error.message, "12 steps"));
  s->batch.seq_len = s->T;
  desc.loss = bad_loss;
  assert_status(lstm_gradcheck(s->trainer, &s->batch, &desc, &result), LSTM_ERR_NOT_FINITE);
  assert_int_equal(s->error.status, LSTM_ERR_NOT_FINITE);
  close_setting(s);
}

static void test_it_allocates_once(void **arg) {
  setting *s = setting_of(lstm_lstm(5), 4);
  lstm_trainer_desc how = {0};
  helper_heap heap = {0};
  lstm_gradcheck_result result;
  (void)arg;
  lstm_trainer_destroy(s->trainer);
  how.batch_size = s->B;
  how.seq_len = s->T;
  how.allocator = heap_allocator(&heap);
  assert_ok(lstm_trainer_create(s->model, &how, &s->trainer));
  assert_ok(check(s, &result));
  assert_int_equal(heap.calls, 2);
  assert_int_equal(heap.live, 1);
  heap.fail_at = 3;
  assert_status(check(s, &result), LSTM_ERR_MEMORY);
  assert_int_equal(s->error.status, LSTM_ERR_MEMORY);
  assert_int_equal(heap.live, 1);
  assert_ok(check(s, &result));
  assert_true(result.error < LSTM_GRADCHECK_TOLERANCE / 5);
  close_setting(s);
  assert_int_equal(heap.live, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_right_gradients_pass),
      cmocka_unit_test(test_each_option_alone_passes),
      cmocka_unit_test(test_a_wrong_loss_is_found),
      cmocka_unit_test(test_a_wrong_derivative_is_found),
      cmocka_unit_test(test_nothing_but_the_gradients_changes),
      cmocka_unit_test(test_the_seed_decides_the_result),
      cmocka_unit_test(test_random_numbers_are_refused),
      cmocka_unit_test(test_wrong_arguments_are_refused),
      cmocka_unit_test(test_it_allocates_once),
  };
  return cmocka_run_group_tests_name("unit/check", tests, NULL, NULL);
}
