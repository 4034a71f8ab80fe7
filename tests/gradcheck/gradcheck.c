/* gradcheck.c - derivatives. First the reference's own (tests/reference.h) against central differences in double, for
   drawn networks and for all pairs of options; then everything the library computes against the reference: outputs,
   final states, losses, metrics and the gradient of every tensor, input and initial state, over drawn networks and
   windows, on every usable instruction set. The options of the layers have matrix.c. */
#include "networks.h"
#include "options.h"

/* --- drawing networks --------------------------------------------------------------------------------------------- */

/* What widths are drawn from. The wide ones take more than one panel of 64 columns, or several blocks of 16 units. */
typedef struct palette {
  int count, sizes[8];
} palette;
static const palette narrow = {8, {1, 2, 3, 5, 7, 16, 17, 33}}, wide = {6, {3, 33, 64, 65, 80, 130}};

static int draw_size(ref_rng *rng, const palette *from) { return from->sizes[ref_index(rng, from->count)]; }

/* L LSTM layers, most often of one size, with dropout (rate 0) or a dense layer between some. */
static void add_recurrent(network *net, ref_rng *rng, const palette *from, int L, int H) {
  int unequal = L > 1 && chance(rng, UNEQUAL, 25);
  for (int l = 0; l < L; l++) {
    add(net, lstm_lstm(unequal && l ? draw_size(rng, from) : H));
    if (chance(rng, DROPOUT, 20)) add(net, lstm_dropout(0.0f));
    if (l + 1 < L && chance(rng, DENSE_BETWEEN, 10)) add_dense(net, rng, draw_size(rng, from), 1);
  }
  for (int at = net->layer_count - 1; at >= 0; at--)
    if (net->layers[at].type == LSTM_LAYER_LSTM) {
      net->layers[at].read = (lstm_read)(chance(rng, -1, 45) ? 1 + ref_index(rng, LSTM_READ_COUNT - 1) : LSTM_READ_ALL);
      features[READ_ALL + (int)net->layers[at].read]++;
      return;
    }
}

static void draw_network(network *net, ref_rng *rng, const palette *from, int L, int H, int T, int B, lstm_loss loss) {
  memset(net, 0, sizeof *net);
  net->T = T;
  net->B = B;
  net->how.loss = loss;
  net->weights = 0.6f;
  net->seed = ref_bits(rng);
  net->carry = chance(rng, CARRY, 30);
  net->input_size = draw_size(rng, from);
  if (chance(rng, TOKENS, 35)) {
    add(net, lstm_embedding(draw_size(rng, from)));
  } else {
    features[FEATURES]++;
    if (chance(rng, DENSE_BELOW, 15)) add_dense(net, rng, draw_size(rng, from), 1);
  }
  add_recurrent(net, rng, from, L, H);
  for (int i = 0; loss == LSTM_ESR && i < net->layer_count; i++) net->layers[i].read = LSTM_READ_ALL;
  if (chance(rng, NO_HEAD, 10)) return;
  if (chance(rng, -1, 40)) add_dense(net, rng, draw_size(rng, from), 1);
  add_dense(net, rng, draw_size(rng, from), loss >= LSTM_MSE);
}

/* --- tests -------------------------------------------------------------------------------------------------------- */

static int networks, runs;

static void check_drawn(ref_rng *rng, const palette *from, int L, int H, int T, int B, int loss) {
  network net;
  draw_network(&net, rng, from, L, H, T, B, (lstm_loss)loss);
  runs += check_network(&net, rng, 1);
  networks++;
}

static void report(const char *what, clock_t begin) {
  printf("%s: %d networks, %d runs on the instruction sets, %.1f s, %d failures\n", what, networks, runs,
         (double)(clock() - begin) / CLOCKS_PER_SEC, failures);
}

static void library_equals_reference(void **unused) {
  static const int sizes[] = {1, 3, 16, 17, 20}, lengths[] = {1, 2, 5, 7}, batches[] = {1, 2, 5};
  ref_rng rng = {20240229};
  clock_t begin = clock();
  (void)unused;
  memset(features, 0, sizeof features);
  networks = runs = failures = 0;
  for (int round = 0; round < 2; round++)
    for (int L = 1; L <= 3; L++)
      for (int h = 0; h < 5; h++)
        for (int t = 0; t < 4; t++)
          for (int b = 0; b < 3; b++)
            for (int loss = LSTM_LOSS_NONE; loss < LSTM_LOSS_COUNT; loss++)
              check_drawn(&rng, &narrow, L, sizes[h], lengths[t], batches[b], loss);
  report("narrow", begin);
  for (int i = 0; i < FEATURE_COUNT; i++) {
    printf("  %s: %d\n", feature_names[i], features[i]);
    assert_true(features[i] >= 10);
  }
  assert_int_equal(failures, 0);
}

/* More panels, blocks and lanes (50 lanes are more than go through the layers together). */
static void wide_networks_equal_reference(void **unused) {
  static const int sizes[] = {33, 64, 65, 80}, lengths[] = {1, 2, 3}, batches[] = {4, 13, 50};
  ref_rng rng = {1997};
  clock_t begin = clock();
  (void)unused;
  networks = runs = failures = 0;
  for (int h = 0; h < 4; h++)
    for (int t = 0; t < 3; t++)
      for (int loss = LSTM_LOSS_NONE; loss < LSTM_LOSS_COUNT; loss++)
        check_drawn(&rng, &wide, 1 + (h + t + loss) % 2, sizes[h], lengths[t], batches[(h + t + loss) % 3], loss);
  report("wide", begin);
  assert_int_equal(failures, 0);
}

/* Dropout cannot be compared with a reference that does not know what was dropped, unless it shows: as the last layer,
   or before a last layer that passes everything on unchanged. Then y says what was dropped (it is 0 there and
   1 / (1 - rate) times its value elsewhere), and the gradients must be those of d_output times the same factors. */
static void draw_dropout_network(network *net, lstm_read read, int before_head, float rate) {
  memset(net, 0, sizeof *net);
  net->input_size = 3;
  net->T = 7;
  net->B = 5;
  net->seed = 77;
  net->weights = 0.6f;
  add(net, lstm_lstm(17));
  net->layers[0].read = read;
  if (before_head) add(net, lstm_dropout(rate));
  add(net, lstm_dense(17));
  if (!before_head) add(net, lstm_dropout(rate));
}

static void make_head_identity(lstm_model *model) {
  for (int i = 0; i < lstm_model_tensor_count(model); i++) {
    lstm_tensor tensor;
    if (lstm_model_tensor(model, i, &tensor) != LSTM_OK || strncmp(tensor.name, "head.", 5) != 0) continue;
    memset(tensor.data, 0, tensor.count * sizeof(float));
    for (int k = 0; k < tensor.columns; k++) tensor.data[k * tensor.columns + k] = 1.0f;
  }
  lstm_model_refresh(model);
}

/* The factors 0 and 1 / (1 - rate) that y shows, times d_output, into scaled. kept [count]: y without dropout. */
static void read_mask(const float *y, const double *kept, float rate, const float *d_output, float *scaled,
                      size_t count) {
  int places = 0, dropped = 0;
  for (size_t i = 0; i < count; i++) {
    double whole = kept[i] / (1.0 - (double)rate);
    int zero = fabs((double)y[i]) <= 0;
    scaled[i] = zero ? 0.0f : d_output[i] / (1.0f - rate);
    if (!zero && !(fabs((double)y[i] - whole) <= RELATIVE)) fail_with("a value that dropout kept", (double)y[i], whole);
    if (fabs(kept[i]) <= 0) continue; /* padding is 0 anyway */
    places++;
    dropped += zero;
  }
  double mean = (double)rate * places, spread = sqrt((double)rate * (1 - (double)rate) * places);
  if (!(fabs(dropped - mean) <= 4 * spread)) fail_with("number of dropped values", dropped, mean);
}

/* from->d_output becomes what it would have to be in a network without dropout. */
static void fold_mask(window *from, const lstm_model *model, const float *y, float rate) {
  expected without;
  if (!open_expected(&without, current, model)) return;
  expect(&without, current, from);
  size_t count = without.passes[0].y_steps * without.passes[0].B * without.net.output_size;
  read_mask(y, without.passes[0].y, rate, from->d_output, from->d_output, count);
  forget(&without);
}

static void check_dropped_gradients(const lstm_trainer *trainer, const window *from, int before_head) {
  expected want;
  if (!open_expected(&want, current, lstm_trainer_model(trainer))) return;
  expect(&want, current, from);
  for (size_t i = 0; before_head && i < want.net.tensor_count; i++)
    if (!strncmp(want.net.tensors[i].name, "head.", 5)) want.net.tensors[i].index = -1; /* its input was another */
  check_gradients(trainer, &want, 0, 1.0);
  forget(&want);
}

static void check_dropout(lstm_read read, int before_head, float rate) {
  static window from;
  static float y[MAX_PLACES * MAX_WIDTH];
  network net;
  expected shape;
  lstm_error error = {0};
  ref_rng rng = {5};
  current_isa = lstm_isa_best();
  current = &net;
  draw_dropout_network(&net, read, before_head, rate);
  lstm_model *model = make_model(&net, current_isa);
  lstm_trainer *trainer = model ? make_trainer(model, &net, &rng) : NULL;
  if (trainer && open_expected(&shape, &net, model)) {
    make_head_identity(model);
    draw_window(&from, &rng, &net, &shape.net);
    forget(&shape);
    check_ok("lstm_trainer_forward", lstm_trainer_forward(trainer, &from.batch, y), &error);
    check_ok("lstm_trainer_backward", lstm_trainer_backward(trainer, &from.flow), &error);
    fold_mask(&from, model, y, rate);
    check_dropped_gradients(trainer, &from, before_head);
  }
  lstm_trainer_destroy(trainer);
  lstm_model_destroy(model);
}

static void dropout_scales_and_drops(void **unused) {
  (void)unused;
  failures = 0;
  for (int before_head = 0; before_head < 2; before_head++)
    for (int read = 0; read < LSTM_READ_COUNT; read++) {
      check_dropout((lstm_read)read, before_head, 0.5f);
      check_dropout((lstm_read)read, before_head, 0.2f);
    }
  assert_int_equal(failures, 0);
}

/* What is differentiated: the loss plus the inner products with the incoming gradients. */
static double objective(ref_pass *pass, const lstm_trainer_desc *how, const double *d_output, const double *d_final) {
  size_t states = pass->B * pass->net->state_size, O = pass->net->output_size, rows = pass->y_steps * pass->B;
  ref_forward(pass);
  ref_loss(pass, how);
  double sum = pass->loss;
  for (size_t row = 0; d_output && row < rows; row++)
    for (size_t j = 0; ref_valid(pass, pass->net->layer_count, row / pass->B, row % pass->B) && j < O; j++)
      sum += d_output[row * O + j] * pass->y[row * O + j];
  for (size_t i = 0; d_final && i < states; i++) sum += d_final[i] * pass->final[i];
  return sum;
}

/* max |central difference - analytic| over `count` values that the pass reads. */
static double worst_difference(ref_pass *pass, const window *from, double *values, const double *analytic, size_t count,
                               double h) {
  size_t outputs = pass->y_steps * pass->B * pass->net->output_size, states = pass->B * pass->net->state_size;
  double *d_output = to_doubles(from->flow.d_output, outputs), *d_final = to_doubles(from->flow.d_final, states);
  double worst = 0;
  for (size_t i = 0; i < count; i++) {
    double value = values[i];
    values[i] = value + h;
    double above = objective(pass, &current->how, d_output, d_final);
    values[i] = value - h;
    double below = objective(pass, &current->how, d_output, d_final);
    values[i] = value;
    worst = fmax(worst, fabs((above - below) / (2 * h) - analytic[i]));
  }
  free(d_output), free(d_final);
  return worst;
}

/* Central differences with step h are off by h^2/6 of a third derivative and by about 1e-16/h of rounding: both below
   1e-9 here. A kink (relu's, say) within h of a value spoils them: then a smaller step is asked, too. Returns how many
   were compared. */
static int differentiate(const char *what, ref_pass *pass, const window *from, double *values, const double *analytic,
                         size_t count) {
  double limit = 1e-7 * ref_largest(analytic, count) + 1e-9;
  double difference = worst_difference(pass, from, values, analytic, count, 3e-5);
  if (difference > limit) difference = worst_difference(pass, from, values, analytic, count, 4e-7);
  if (!(difference <= limit)) fail_with(what, difference, limit);
  return (int)count;
}

static int has_relu(const network *net) {
  for (int i = 0; i < net->layer_count; i++)
    if (net->layers[i].activation == LSTM_RELU || net->layers[i].gate_activation == LSTM_RELU) return 1;
  return 0;
}

static int check_reference(const network *net, ref_rng *rng) {
  static window from[2];
  int compared = 0;
  expected want;
  current = net;
  current_isa = first_isa();
  open_expected(&want, net, NULL);
  draw_window(&from[0], rng, net, &want.net);
  draw_window(&from[1], rng, net, &want.net);
  expect(&want, net, from);
  int w = want.count - 1;
  ref_pass *pass = &want.passes[w];
  for (size_t i = 0; i < want.net.tensor_count; i++) {
    ref_tensor *tensor = &want.net.tensors[i];
    compared += differentiate(tensor->name, pass, &from[w], tensor->value, want.gradients[w][i], tensor->count);
  }
  memset(pass->fresh, 0, pass->B); /* else ref_forward puts the learned states there again */
  for (size_t i = 0; i < pass->B * want.net.state_size; i++)
    if (fabs(pass->initial[i]) > 0 || !has_relu(net)) /* where i or g is 0, c = f c' is on a kink */
      compared += differentiate("initial", pass, &from[w], &pass->initial[i], &pass->d_initial[i], 1);
  for (size_t i = 0; pass->x && i < pass->T * pass->B * want.net.input_size; i++)
    if (pass->x[i] == pass->x[i]) /* padding is NaN and has no influence */
      compared += differentiate("x", pass, &from[w], &pass->x[i], &pass->d_x[i], 1);
  forget(&want);
  return compared;
}

static void report_reference(const char *what, int compared, clock_t begin) {
  printf("reference, %s: %d networks, %d derivatives, %.1f s, %d failures\n", what, networks, compared,
         (double)(clock() - begin) / CLOCKS_PER_SEC, failures);
  assert_int_equal(failures, 0);
  assert_true(compared > 5000);
}

static void reference_equals_differences(void **unused) {
  ref_rng rng = {19970801};
  int compared = 0;
  clock_t begin = clock();
  (void)unused;
  networks = failures = 0;
  for (int L = 1; L <= 2; L++)
    for (int H = 1; H <= 3; H++)
      for (int T = 1; T <= 3; T++)
        for (int loss = LSTM_LOSS_NONE; loss < LSTM_LOSS_COUNT; loss++) {
          network net;
          draw_network(&net, &rng, &narrow, L, H, T, 2, (lstm_loss)loss);
          for (int i = 0; i < net.layer_count; i++) /* differences are slow: keep everything small */
            if (net.layers[i].size > 5) net.layers[i].size = 4;
          if (net.input_size > 5) net.input_size = 4;
          compared += check_reference(&net, &rng);
          networks++;
        }
  report_reference("drawn", compared, begin);
}

/* Every pair of options, and each alone. */
static void options_equal_differences(void **unused) {
  ref_rng rng = {2002};
  int compared = 0;
  clock_t begin = clock();
  (void)unused;
  networks = failures = 0;
  for (int a = 0; a < OPTION_COUNT; a++)
    for (int b = a; b < OPTION_COUNT; b++) {
      network net;
      if (senseless(a, b)) continue;
      selection pair = pair_of(a, b);
      extent size = {1 + networks % 2, 2 + networks % 3, 1 + networks % 4, 1 + networks % 3, 2 + networks % 4, 3};
      build_network(&net, &rng, size, &pair, 0);
      compared += check_reference(&net, &rng);
      networks++;
    }
  report_reference("options", compared, begin);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(reference_equals_differences), cmocka_unit_test(options_equal_differences),
      cmocka_unit_test(library_equals_reference),     cmocka_unit_test(wide_networks_equal_reference),
      cmocka_unit_test(dropout_scales_and_drops),
  };
  return cmocka_run_group_tests_name("gradcheck", tests, NULL, NULL);
}
