/* random.c - what is random in training: dropout of a layer's inputs and of h, zoneout, noise in the forget gate. The
   masks come from counters and no reference knows them, so they are tested by what they must show: the same bits from
   the same seed, on every instruction set that promises them and for any number of tasks; their rates; their effect,
   where y or a gradient shows the mask; and the gradients by central differences of the library itself, the masks held
   fixed by the seed. (Rates so small that nothing is dropped go through matrix.c, which compares every number.) */
#include "networks.h"
#include "options.h"

enum { UNITS = 64, STEPS = 6 };

/* What one window of a new trainer gives. */
typedef struct outcome {
  float y[MAX_PLACES * MAX_WIDTH], final[MAX_B * MAX_STATES], d_input[MAX_PLACES * MAX_WIDTH];
  float d_initial[MAX_B * MAX_STATES];
  lstm_trainer *trainer; /* for the gradients */
} outcome;

/* A trainer with this seed and `before` windows done, and what it makes of the next one; `backward` on request. */
static void run_window(outcome *to, lstm_model *model, const network *net, const window *from, uint64_t seed,
                       int before, int width, int backward) {
  lstm_error error = {0};
  lstm_trainer_desc desc = net->how;
  lstm_batch batch = from->batch;
  lstm_flow flow = from->flow;
  desc.batch_size = net->B;
  desc.seq_len = net->T;
  desc.seed = seed;
  desc.executor.width = width;
  if (width > 1) desc.executor.run = run_backwards;
  desc.error = batch.error = &error;
  memset(to, 0, sizeof *to);
  check_ok("lstm_trainer_create", lstm_trainer_create(model, &desc, &to->trainer), &error);
  if (!to->trainer) return;
  for (int i = 0; i <= before; i++)
    check_ok("lstm_trainer_forward", lstm_trainer_forward(to->trainer, &batch, to->y), &error);
  check_ok("lstm_trainer_final", lstm_trainer_final(to->trainer, to->final), &error);
  if (!backward) return;
  if (batch.x) flow.d_input = to->d_input;
  flow.d_initial = to->d_initial;
  check_ok("lstm_trainer_backward", lstm_trainer_backward(to->trainer, &flow), &error);
}

static void check(const char *what, int holds) {
  if (!holds) fail_with(what, 0, 0);
}

/* `count` of `places` independent events of this rate: within 4 standard deviations. */
static void check_rate(const char *what, int count, int places, double rate) {
  double spread = sqrt(rate * (1 - rate) * places);
  if (!(fabs(count - rate * places) <= 4 * spread)) fail_with(what, count, rate * places);
}

/* --- bits --------------------------------------------------------------------------------------------------------- */

static uint64_t digest_of(uint64_t hash, const void *data, size_t size) {
  const unsigned char *p = (const unsigned char *)data;
  for (size_t i = 0; i < size; i++) hash = (hash ^ p[i]) * 1099511628211u; /* FNV-1a */
  return hash;
}

/* Of outputs, final states and all gradients of a window. */
static uint64_t window_digest(const network *net, lstm_isa isa, uint64_t seed, int before, int width) {
  static window from;
  static outcome got;
  ref_rng rng = {net->seed + 1};
  expected shape;
  uint64_t hash = 14695981039346656037u;
  current_isa = isa;
  lstm_model *model = make_model(net, isa);
  if (!model || !open_expected(&shape, net, model)) return 0;
  draw_window(&from, &rng, net, &shape.net);
  forget(&shape);
  run_window(&got, model, net, &from, seed, before, width, 1);
  hash = digest_of(hash, got.y, sizeof got.y);
  hash = digest_of(hash, got.final, sizeof got.final);
  hash = digest_of(hash, got.d_initial, sizeof got.d_initial);
  hash = digest_of(hash, got.d_input, sizeof got.d_input);
  for (int i = 0; got.trainer && i < lstm_model_tensor_count(model); i++) {
    lstm_tensor gradient = {0};
    check("lstm_trainer_gradient", lstm_trainer_gradient(got.trainer, i, &gradient) == LSTM_OK);
    hash = digest_of(hash, gradient.data, gradient.count * sizeof(float));
  }
  lstm_trainer_destroy(got.trainer);
  lstm_model_destroy(model);
  return hash;
}

static int promises_bits(lstm_isa isa) {
  return isa == LSTM_ISA_SCALAR || isa == LSTM_ISA_AVX2 || isa == LSTM_ISA_AVX512 || isa == LSTM_ISA_NEON;
}

static void check_bits(const network *net) {
  lstm_isa best = lstm_isa_best();
  uint64_t digest = window_digest(net, best, 7, 0, 1);
  current = net;
  check("another seed gives other bits", window_digest(net, best, 8, 0, 1) != digest);
  check("another window of the same data gives other bits", window_digest(net, best, 7, 1, 1) != digest);
  for (int isa = LSTM_ISA_SCALAR; isa < LSTM_ISA_COUNT; isa++) {
    if (!lstm_isa_usable((lstm_isa)isa)) continue;
    uint64_t here = window_digest(net, (lstm_isa)isa, 7, 0, 1);
    if (promises_bits((lstm_isa)isa) && promises_bits(best)) check("equal bits on all sets", here == digest);
    check("the same seed gives the same bits", window_digest(net, (lstm_isa)isa, 7, 0, 1) == here);
    check("equal bits for 2 tasks", window_digest(net, (lstm_isa)isa, 7, 0, 2) == here);
    check("equal bits for 5 tasks", window_digest(net, (lstm_isa)isa, 7, 0, 5) == here);
  }
}

static void bits_follow_from_the_seed(void **unused) {
  ref_rng rng = {31};
  int count = 0;
  (void)unused;
  failures = 0;
  for (int a = 0; a < OPTION_COUNT; a++)
    for (int b = 0; b < OPTION_COUNT; b++) {
      network net;
      int shown = options[b].field <= F_BIDIRECTIONAL || options[b].field == F_INPUT;
      if (!is_random(&options[a]) || !shown || senseless(a, b)) continue;
      current = &net;
      selection pair = pair_of(a, b);
      extent size = {2, 17, 5, 5, 4, 3};
      build_network(&net, &rng, size, &pair, 1);
      net.how.loss = LSTM_LOSS_NONE;
      check_bits(&net);
      count++;
    }
  printf("random: bits of %d networks, %d failures\n", count, failures);
  assert_int_equal(failures, 0);
}

/* --- rates and effects -------------------------------------------------------------------------------------------- */

/* One recurrent layer that is read at every step, and a window of x, full unless ragged, with gradients d_output. */
typedef struct subject {
  network net;
  window from;
  lstm_model *model;
  outcome got;
  expected want;
  size_t H, I;
} subject;

static void open_subject(subject *to, lstm_layer layer, int inputs, int T, int B) {
  ref_rng rng = {77};
  memset(to, 0, sizeof *to);
  to->net.input_size = inputs;
  to->net.T = T;
  to->net.B = B;
  to->net.seed = 5;
  to->net.weights = 0.3f;
  add(&to->net, layer);
  to->H = (size_t)layer.size;
  to->I = (size_t)inputs;
  current = &to->net;
  current_isa = lstm_isa_best();
  to->model = make_model(&to->net, current_isa);
  assert_non_null(to->model);
  to->from.batch.seq_len = T;
  to->from.batch.batch_size = B;
  to->from.batch.x = to->from.x;
  to->from.batch.initial = to->from.initial;
  to->from.flow.d_output = to->from.d_output;
  ref_fill(&rng, to->from.x, (size_t)(T * B * inputs), 1.0f);
  ref_fill(&rng, to->from.initial, (size_t)(B * lstm_model_state_size(to->model)), 0.8f);
  ref_fill(&rng, to->from.d_output, (size_t)(T * B * lstm_model_output_size(to->model)), 0.5f);
}

static void close_subject(subject *what) {
  lstm_trainer_destroy(what->got.trainer);
  lstm_model_destroy(what->model);
}

static void set_all_weights(lstm_model *model, float value) {
  for (int i = 0; i < lstm_model_tensor_count(model); i++) {
    lstm_tensor tensor;
    assert_int_equal(lstm_model_tensor(model, i, &tensor), LSTM_OK);
    for (size_t k = 0; k < tensor.count; k++) tensor.data[k] = value;
  }
  lstm_model_refresh(model);
}

/* The gradients, against the reference's in `want`. */
static void check_subject(subject *what) {
  const ref_pass *pass = &what->want.passes[0];
  size_t outputs = pass->T * pass->B * what->want.net.output_size;
  check_close("outputs", what->got.y, pass->y, outputs, 1.0);
  check_gradients(what->got.trainer, &what->want, 0, 1.0);
}

/* dropout: x is 0 where d_input is, and 1 / (1 - rate) times its value elsewhere. */
static void check_input_dropout(lstm_layer layer, float rate) {
  static subject it;
  static float masked[MAX_PLACES * MAX_WIDTH];
  layer.dropout = rate;
  open_subject(&it, layer, 33, STEPS, 4);
  run_window(&it.got, it.model, &it.net, &it.from, 3, 0, 1, 1);
  int places = STEPS * 4 * 33, dropped = 0;
  for (int i = 0; i < places; i++) {
    int zero = fabs((double)it.got.d_input[i]) <= 0;
    masked[i] = zero ? 0.0f : it.from.x[i] / (1.0f - rate);
    dropped += zero;
  }
  check_rate("inputs dropped", dropped, places, (double)rate);
  it.from.batch.x = masked;
  open_expected(&it.want, &it.net, it.model);
  expect(&it.want, &it.net, &it.from);
  check_subject(&it);
  forget(&it.want);
  close_subject(&it);
}

/* recurrent_dropout: of one lane, columns of U have no gradient over the whole window; with these columns at 0 and the
   others at 1 / (1 - rate) of their value, the reference computes the same, and its gradient of U by the same
   factors. */
static void check_recurrent_dropout(lstm_layer layer, float rate, const char *name, uint64_t seed) {
  static subject it;
  static double factors[UNITS];
  int dropped = 0;
  layer.recurrent_dropout = rate;
  open_subject(&it, layer, 3, STEPS, 1);
  run_window(&it.got, it.model, &it.net, &it.from, seed, 0, 1, 1);
  open_expected(&it.want, &it.net, it.model);
  ref_tensor *reference = ref_tensor_named(&it.want.net, name);
  assert_non_null(reference);
  lstm_tensor got = {0};
  assert_int_equal(lstm_trainer_gradient(it.got.trainer, reference->index, &got), LSTM_OK);
  for (size_t k = 0; k < reference->columns; k++) {
    double sum = 0;
    for (size_t j = 0; j < reference->rows; j++) sum += fabs((double)got.data[j * reference->columns + k]);
    factors[k] = sum > 0 ? 1 / (1 - (double)rate) : 0;
    dropped += !(sum > 0);
    for (size_t j = 0; j < reference->rows; j++) reference->value[j * reference->columns + k] *= factors[k];
  }
  check_rate("units of h dropped", dropped, (int)reference->columns, (double)rate);
  expect(&it.want, &it.net, &it.from);
  double *kept = it.want.gradients[0][reference->index];
  for (size_t i = 0; i < reference->count; i++) kept[i] *= factors[i % reference->columns];
  check_subject(&it);
  forget(&it.want);
  close_subject(&it);
}

/* zoneout: after one step h and c are, each by itself, those of before or those of a cell without zoneout. */
static void check_zoneout(lstm_layer layer, float rate) {
  static subject it;
  enum { B = 9 };
  layer.zoneout = rate;
  open_subject(&it, layer, 3, 1, B);
  run_window(&it.got, it.model, &it.net, &it.from, 3, 0, 1, 0);
  open_expected(&it.want, &it.net, it.model);
  for (size_t l = 0; l < it.want.net.layer_count; l++) it.want.net.layers[l].is.zoneout = 0;
  expect(&it.want, &it.net, &it.from);
  int S = (int)it.want.net.state_size, kept[2] = {0, 0}, pairs = 0;
  for (int i = 0; i < B * S; i++) {
    double before = (double)it.from.initial[i], after = it.want.passes[0].final[i], got = (double)it.got.final[i];
    int is_kept = fabs(got - before) <= 1e-6;
    if (!is_kept && !(fabs(got - after) <= 1e-6)) fail_with("a unit that was not kept", got, after);
    kept[i % S >= (int)it.H] += is_kept;
    if (i % S < S - (int)it.H) /* an LSTM's h and c of one unit are kept independently */
      pairs += is_kept && fabs((double)it.got.final[i + (int)it.H] - (double)it.from.initial[i + (int)it.H]) <= 1e-6;
  }
  check_rate("h kept", kept[0], B * (int)it.H, (double)rate);
  if (S > (int)it.H) {
    check_rate("c kept", kept[1], B * (int)it.H, (double)rate);
    check_rate("h and c kept", pairs, B * (int)it.H, (double)rate * (double)rate);
  }
  forget(&it.want);
  close_subject(&it);
}

/* forget=noise: with all weights 0, f is 1/2, g is 0 and c = (f + noise (u - f)) c', which gives u away: it must be
   uniform in [0, 1). */
static void check_forget_noise(float noise) {
  static subject it;
  enum { B = 9 };
  lstm_layer layer = lstm_lstm(UNITS);
  double sum = 0, squares = 0, least = 1, most = 0, n = STEPS * B * UNITS;
  layer.forget = LSTM_FORGET_NOISE;
  layer.noise = noise;
  for (uint64_t seed = 0; seed < STEPS; seed++) {
    open_subject(&it, layer, 3, 1, B);
    set_all_weights(it.model, 0.0f);
    for (int i = 0; i < B * 2 * UNITS; i++) it.from.initial[i] = 1.0f;
    run_window(&it.got, it.model, &it.net, &it.from, seed, 0, 1, 0);
    for (int i = 0; i < B * UNITS; i++) {
      double c = (double)it.got.final[i / UNITS * 2 * UNITS + UNITS + i % UNITS];
      double u = (c - 0.5 * (1 - (double)noise)) / (double)noise;
      sum += u;
      squares += u * u;
      least = fmin(least, u);
      most = fmax(most, u);
    }
    close_subject(&it);
  }
  double mean = sum / n, variance = squares / n - mean * mean;
  check("u is within 0 and 1", least > -1e-5 && most < 1 + 1e-5);
  check("u comes near 0 and 1", least < 0.01 && most > 0.99);
  if (!(fabs(mean - 0.5) <= 4 * sqrt(1.0 / 12 / n))) fail_with("mean of u", mean, 0.5);
  if (!(fabs(variance - 1.0 / 12) <= 4 * sqrt(1.0 / 180 / n))) fail_with("variance of u", variance, 1.0 / 12);
}

static void masks_have_their_rates(void **unused) {
  lstm_layer lstm = lstm_lstm(UNITS), gru = lstm_gru(UNITS), projected = lstm_lstm(UNITS);
  const float rates[] = {0.1f, 0.5f, 0.8f};
  (void)unused;
  failures = 0;
  projected.projection = UNITS / 2;
  for (int i = 0; i < 3; i++) {
    check_input_dropout(lstm, rates[i]);
    check_input_dropout(gru, rates[i]);
    check_recurrent_dropout(lstm, rates[i], "rnn.weight_hh_l0", 1);
    check_recurrent_dropout(gru, rates[i], "rnn.weight_hh_l0", 2);
    check_recurrent_dropout(projected, rates[i], "rnn.weight_hh_l0", 3);
    check_zoneout(lstm, rates[i]);
    check_zoneout(gru, rates[i]);
    check_forget_noise(i == 2 ? 1.0f : rates[i]);
  }
  assert_int_equal(failures, 0);
}

/* --- gradients by central differences ----------------------------------------------------------------------------- */

/* The inner product of outputs and final states with the gradients that come in, at weights (or x, or the initial
   states) moved by `step` along v [count]. */
static double moved(lstm_model *model, const network *net, const window *from, float *values, const float *v,
                    size_t count, double step) {
  static outcome got;
  static float kept[MAX_PLACES * MAX_WIDTH];
  double sum = 0;
  memcpy(kept, values, count * sizeof(float));
  for (size_t i = 0; i < count; i++) values[i] = (float)((double)values[i] + step * (double)v[i]);
  lstm_model_refresh(model);
  run_window(&got, model, net, from, 3, 0, 1, 0);
  size_t rows = (size_t)((lstm_model_reads_last(model) ? 1 : net->T) * net->B),
         O = (size_t)lstm_model_output_size(model);
  for (size_t i = 0; i < rows * O; i++)
    if (fabs((double)got.y[i]) > 0) sum += (double)from->d_output[i] * (double)got.y[i]; /* padding is NaN times 0 */
  for (size_t i = 0; i < (size_t)(net->B * lstm_model_state_size(model)); i++)
    sum += (double)from->d_final[i] * (double)got.final[i];
  lstm_trainer_destroy(got.trainer);
  memcpy(values, kept, count * sizeof(float));
  lstm_model_refresh(model);
  return sum;
}

static double worst_direction; /* of all, relative to its limit */

/* The derivative along one random direction. Two steps cancel the error of second order (Richardson); what is left is
   float's rounding of the sums, about 1e-6 of their size by the step. */
static void check_direction(const char *what, lstm_model *model, const network *net, const window *from, float *values,
                            const float *gradient, size_t count) {
  static float v[MAX_PLACES * MAX_WIDTH];
  const double h = 0.01;
  ref_rng rng = {count + 17};
  double analytic = 0, size = 0;
  for (size_t i = 0; i < count; i++) {
    v[i] = ref_index(&rng, 2) ? 1.0f : -1.0f;
    if (!(values[i] == values[i])) v[i] = 0.0f; /* padding */
    analytic += (double)v[i] * (double)gradient[i];
    size += fabs((double)gradient[i]);
  }
  double s = h / sqrt((double)count);
  double one = (moved(model, net, from, values, v, count, s) - moved(model, net, from, values, v, count, -s)) / (2 * s);
  double two =
      (moved(model, net, from, values, v, count, 2 * s) - moved(model, net, from, values, v, count, -2 * s)) / (4 * s);
  double limit = 2e-4 * (size / sqrt((double)count) + 1) * sqrt((double)count);
  double difference = fabs((4 * one - two) / 3 - analytic);
  worst_direction = fmax(worst_direction, difference / limit);
  if (!(difference <= limit)) fail_with(what, difference, limit);
}

/* Returns how many directions were compared. */
static int check_differences(const network *net, ref_rng *rng) {
  static window from;
  static outcome got;
  expected shape;
  int count = 0;
  current = net;
  current_isa = lstm_isa_best();
  lstm_model *model = make_model(net, current_isa);
  if (!model || !open_expected(&shape, net, model)) return 0;
  draw_window(&from, rng, net, &shape.net);
  from.flow.d_output = from.d_output;
  from.flow.d_final = from.d_final;
  forget(&shape);
  run_window(&got, model, net, &from, 3, 0, 1, 1);
  lstm_trainer *trainer = got.trainer;
  for (int i = 0; trainer && i < lstm_model_tensor_count(model); i++, count++) {
    lstm_tensor tensor = {0}, gradient = {0};
    check_ok("lstm_model_tensor", lstm_model_tensor(model, i, &tensor), &(lstm_error){0});
    check_ok("lstm_trainer_gradient", lstm_trainer_gradient(trainer, i, &gradient), &(lstm_error){0});
    check_direction(tensor.name, model, net, &from, tensor.data, gradient.data, tensor.count);
  }
  if (trainer && from.batch.x) {
    check_direction("x", model, net, &from, from.x, got.d_input, (size_t)(net->T * net->B * net->input_size));
    count++;
  }
  if (trainer && from.batch.initial) {
    size_t states = (size_t)(net->B * lstm_model_state_size(model));
    check_direction("initial", model, net, &from, from.initial, got.d_initial, states);
    count++;
  }
  lstm_trainer_destroy(trainer);
  lstm_model_destroy(model);
  return count;
}

/* 1: has kinks, which a step may cross. */
static int has_kinks(const option *o) {
  int activation = o->field == F_ACTIVATION || o->field == F_GATES || o->field == F_DENSE;
  return (activation && (o->value == LSTM_RELU || o->value == LSTM_HARD_SIGMOID || o->value == LSTM_SOFTSIGN)) ||
         o->field == F_CELL_CLIP || (o->field == F_READ && o->value == LSTM_READ_MAX);
}

static void gradients_equal_differences(void **unused) {
  ref_rng rng = {41};
  int networks = 0, compared = 0;
  clock_t begin = clock();
  (void)unused;
  failures = 0;
  for (int a = 0; a < OPTION_COUNT; a++)
    for (int b = 0; b < OPTION_COUNT; b++) {
      network net;
      int random = is_random(&options[a]) && (!is_random(&options[b]) || a <= b);
      int of_loss = options[b].field >= F_LOSS && options[b].field <= F_CARRY; /* has no part in this */
      if (!random || of_loss || has_kinks(&options[b]) || senseless(a, b)) continue;
      selection pair = pair_of(a, b);
      extent size = {1 + networks % 2, 3 + networks % 5, 1 + networks % 4, 1 + networks % 5, 2 + networks % 4, 3};
      build_network(&net, &rng, size, &pair, 1);
      net.how.loss = LSTM_LOSS_NONE;
      compared += check_differences(&net, &rng);
      networks++;
    }
  printf("random: %d networks, %d directional derivatives, worst %.2f of its limit, %.1f s, %d failures\n", networks,
         compared, worst_direction, (double)(clock() - begin) / CLOCKS_PER_SEC, failures);
  assert_int_equal(failures, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(bits_follow_from_the_seed),
      cmocka_unit_test(masks_have_their_rates),
      cmocka_unit_test(gradients_equal_differences),
  };
  return cmocka_run_group_tests_name("gradcheck", tests, NULL, NULL);
}
