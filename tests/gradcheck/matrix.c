/* matrix.c - every option of the layers alone, every pair of options that makes sense, and drawn combinations of more,
   in networks of 1 to 3 layers, windows of 1 to 7 steps and 1 to 5 lanes, ragged or not: the library against the
   reference. The pairs that make no sense, and every option in a layer of a type that does not have it, must be refused
   with a sentence. */
#include "networks.h"
#include "options.h"

static int networks, runs;

/* Every third network has rates that drop something, every eighth runs on all instruction sets. */
static void check_selection(ref_rng *rng, const selection *chosen, extent size) {
  network net;
  build_network(&net, rng, size, chosen, networks % 3 == 2);
  runs += check_network(&net, rng, networks % 8 == 0);
  networks++;
}

/* Sizes go round in cycles of different lengths. */
static extent small_extent(int L, int T, int B) {
  static const int units[] = {1, 3, 16, 5, 17, 2, 33};
  extent size = {L, units[networks % 7], T, B, 2 + networks % 4, 3};
  return size;
}

static void report(const char *what, int count, clock_t begin) {
  printf("gradcheck: %d %s, %d networks, %d runs on the instruction sets, %.1f s, %d failures\n", count, what, networks,
         runs, (double)(clock() - begin) / CLOCKS_PER_SEC, failures);
  assert_int_equal(failures, 0);
}

static void every_option_alone(void **unused) {
  ref_rng rng = {20020801};
  clock_t begin = clock();
  (void)unused;
  networks = runs = failures = 0;
  for (int a = 0; a < OPTION_COUNT; a++) {
    selection alone = pair_of(a, a);
    for (int L = 1; L <= 3; L++)
      for (int T = 1; T <= 7; T++)
        for (int B = 1; B <= 5; B++) check_selection(&rng, &alone, small_extent(L, T, B));
  }
  report("options", OPTION_COUNT, begin);
}

static void every_sensible_pair(void **unused) {
  ref_rng rng = {19990204};
  clock_t begin = clock();
  int pairs = 0;
  (void)unused;
  networks = runs = failures = 0;
  for (int a = 0; a < OPTION_COUNT; a++)
    for (int b = a + 1; b < OPTION_COUNT; b++) {
      selection pair = pair_of(a, b);
      if (senseless(a, b)) continue;
      pairs++;
      for (int i = 0; i < 3; i++)
        check_selection(&rng, &pair, small_extent(1 + i, 1 + networks % 7, 1 + networks % 5));
    }
  report("option pairs", pairs, begin);
}

static void drawn_combinations(void **unused) {
  ref_rng rng = {20140613};
  clock_t begin = clock();
  (void)unused;
  networks = runs = failures = 0;
  while (networks < 3000) {
    selection some = draw_selection(&rng, 3 + networks % 4);
    check_selection(&rng, &some, small_extent(1 + networks % 3, 1 + networks % 7, 1 + networks % 5));
  }
  report("drawn combinations of 3 to 6 options", networks, begin);
}

/* Several blocks of 16 units and panels of 64 columns, projections across them, and more lanes. */
static void wide_layers(void **unused) {
  static const int units[] = {33, 48, 65, 64}, inputs[] = {3, 40, 17}, lanes[] = {3, 8, 13};
  ref_rng rng = {20170101};
  clock_t begin = clock();
  (void)unused;
  networks = runs = failures = 0;
  while (networks < 400) {
    selection some = draw_selection(&rng, 1 + networks % 3);
    extent size = {1 + networks % 2,        units[networks % 4],  1 + networks % 3,
                   lanes[networks / 4 % 3], inputs[networks % 3], inputs[networks / 3 % 3]};
    check_selection(&rng, &some, size);
  }
  report("drawn combinations in wide layers", networks, begin);
}

/* --- refusals ----------------------------------------------------------------------------------------------------- */

static int refusals;

static void want_refusal(const char *a, const char *b, lstm_status status, const lstm_error *error) {
  refusals++;
  if (status == LSTM_ERR_ARGUMENT && error->message[0]) return;
  failures++;
  printf("  %s with %s: %s \"%s\", wanted LSTM_ERR_ARGUMENT and a sentence\n", a, b, lstm_status_name(status),
         error->message);
}

/* The first of model, trainer and batch that has to refuse the pair does. */
static void check_refused(int a, int b, refusal by) {
  static window from;
  static float y[MAX_PLACES * MAX_WIDTH];
  network net;
  expected shape;
  ref_rng rng = {3};
  lstm_error error = {0};
  lstm_model *model = NULL;
  lstm_trainer *trainer = NULL;
  current = &net;
  selection pair = pair_of(a, b);
  extent size = {1, 4, 3, 2, 4, 3};
  build_network(&net, &rng, size, &pair, 1);
  lstm_model_desc desc = describe(&net, LSTM_ISA_AUTO, &error);
  lstm_trainer_desc how = net.how;
  how.seq_len = net.T;
  how.batch_size = net.B;
  how.carry_state = net.carry;
  how.error = &error;
  lstm_status status = lstm_model_create(&desc, &model);
  if (by != BY_MODEL && status == LSTM_OK) status = lstm_trainer_create(model, &how, &trainer);
  if (by == BY_BATCH && status == LSTM_OK && open_expected(&shape, &net, model)) {
    draw_window(&from, &rng, &net, &shape.net);
    from.batch.error = &error;
    status = lstm_trainer_forward(trainer, &from.batch, y);
    if (status == LSTM_OK) status = lstm_trainer_loss(trainer, &from.batch, NULL);
    forget(&shape);
  }
  want_refusal(options[a].name, options[b].name, status, &error);
  lstm_trainer_destroy(trainer);
  lstm_model_destroy(model);
}

static void senseless_pairs_are_refused(void **unused) {
  (void)unused;
  failures = refusals = 0;
  for (int a = 0; a < OPTION_COUNT; a++)
    for (int b = a + 1; b < OPTION_COUNT; b++) {
      refusal by = senseless(a, b);
      if (by != SENSIBLE && by != ONE_FIELD) check_refused(a, b, by);
    }
  printf("gradcheck: %d senseless pairs refused, %d failures\n", refusals, failures);
  assert_int_equal(failures, 0);
}

/* One field of a layer, what it is set to, and the types of layers (bits) that accept it. */
typedef struct field {
  const char *name;
  void (*set)(lstm_layer *l);
  unsigned types;
} field;

enum {
  EMBEDDING = 1 << LSTM_LAYER_EMBEDDING,
  LSTM = 1 << LSTM_LAYER_LSTM,
  GRU = 1 << LSTM_LAYER_GRU,
  DENSE = 1 << LSTM_LAYER_DENSE,
  DROP = 1 << LSTM_LAYER_DROPOUT
};

#define SETTER(name, statement)                                                                                        \
  static void set_##name(lstm_layer *l) { statement; }
SETTER(size, l->size = 7)
SETTER(activation, l->activation = LSTM_RELU)
SETTER(activation_9, l->activation = (lstm_activation)9)
SETTER(read_last, l->read = LSTM_READ_LAST)
SETTER(read_mean, l->read = LSTM_READ_MEAN)
SETTER(read_max, l->read = LSTM_READ_MAX)
SETTER(read_9, l->read = (lstm_read)9)
SETTER(rate, l->rate = 0.5f)
SETTER(rate_1, l->rate = 1.0f)
SETTER(rate_negative, l->rate = -0.5f)
SETTER(name, l->name = "name")
SETTER(gate_activation, l->gate_activation = LSTM_HARD_SIGMOID)
SETTER(gate_activation_9, l->gate_activation = (lstm_activation)9)
SETTER(peephole, l->peephole = 1)
SETTER(coupled, l->coupled = 1)
SETTER(projection, l->projection = 2)
SETTER(projection_of_size, l->projection = 4)
SETTER(projection_too_wide, l->projection = l->size + 1)
SETTER(projection_negative, l->projection = -1)
SETTER(layer_norm, l->layer_norm = 1)
SETTER(cell_clip, l->cell_clip = 1.0f)
SETTER(cell_clip_negative, l->cell_clip = -1.0f)
SETTER(cell_clip_nan, l->cell_clip = (float)NAN)
SETTER(forget_zero, l->forget = LSTM_FORGET_ZERO)
SETTER(forget_one, l->forget = LSTM_FORGET_ONE)
SETTER(forget_noise, (l->forget = LSTM_FORGET_NOISE, l->noise = 0.5f))
SETTER(forget_noise_1, (l->forget = LSTM_FORGET_NOISE, l->noise = 1.0f))
SETTER(forget_noise_without, l->forget = LSTM_FORGET_NOISE)
SETTER(forget_9, l->forget = (lstm_forget)9)
SETTER(noise_alone, l->noise = 0.5f)
SETTER(noise_negative, (l->forget = LSTM_FORGET_NOISE, l->noise = -0.5f))
SETTER(noise_above_1, (l->forget = LSTM_FORGET_NOISE, l->noise = 1.5f))
SETTER(dropout, l->dropout = 0.5f)
SETTER(dropout_1, l->dropout = 1.0f)
SETTER(dropout_negative, l->dropout = -0.5f)
SETTER(recurrent_dropout, l->recurrent_dropout = 0.5f)
SETTER(recurrent_dropout_1, l->recurrent_dropout = 1.0f)
SETTER(recurrent_dropout_negative, l->recurrent_dropout = -0.5f)
SETTER(zoneout, l->zoneout = 0.5f)
SETTER(zoneout_1, l->zoneout = 1.0f)
SETTER(zoneout_negative, l->zoneout = -0.5f)
SETTER(zoneout_nan, l->zoneout = (float)NAN)
SETTER(learned_state, l->learned_state = 1)
SETTER(bidirectional, l->bidirectional = 1)
SETTER(bidirectional_sum, (l->bidirectional = 1, l->merge = LSTM_MERGE_SUM))
SETTER(merge_alone, l->merge = LSTM_MERGE_SUM)
SETTER(merge_9, (l->bidirectional = 1, l->merge = (lstm_merge)9))
SETTER(tied, l->tied = 1)
SETTER(residual, l->residual = 1)

#define FIELD(name, types)                                                                                             \
  { #name, set_##name, types }
static const field fields[] = {
    FIELD(size, EMBEDDING | LSTM | GRU | DENSE),
    FIELD(activation, LSTM | DENSE),
    FIELD(activation_9, 0),
    FIELD(read_last, LSTM | GRU),
    FIELD(read_mean, LSTM | GRU),
    FIELD(read_max, LSTM | GRU),
    FIELD(read_9, 0),
    FIELD(rate, DROP),
    FIELD(rate_1, 0),
    FIELD(rate_negative, 0),
    FIELD(name, EMBEDDING | LSTM | GRU | DENSE),
    FIELD(gate_activation, LSTM),
    FIELD(gate_activation_9, 0),
    FIELD(peephole, LSTM),
    FIELD(coupled, LSTM),
    FIELD(projection, LSTM),
    FIELD(projection_of_size, LSTM),
    FIELD(projection_too_wide, 0),
    FIELD(projection_negative, 0),
    FIELD(layer_norm, LSTM),
    FIELD(cell_clip, LSTM),
    FIELD(cell_clip_negative, 0),
    FIELD(cell_clip_nan, 0),
    FIELD(forget_zero, LSTM),
    FIELD(forget_one, LSTM),
    FIELD(forget_noise, LSTM),
    FIELD(forget_noise_1, LSTM),
    FIELD(forget_noise_without, 0),
    FIELD(forget_9, 0),
    FIELD(noise_alone, 0),
    FIELD(noise_negative, 0),
    FIELD(noise_above_1, 0),
    FIELD(dropout, LSTM | GRU),
    FIELD(dropout_1, 0),
    FIELD(dropout_negative, 0),
    FIELD(recurrent_dropout, LSTM | GRU),
    FIELD(recurrent_dropout_1, 0),
    FIELD(recurrent_dropout_negative, 0),
    FIELD(zoneout, LSTM | GRU),
    FIELD(zoneout_1, 0),
    FIELD(zoneout_negative, 0),
    FIELD(zoneout_nan, 0),
    FIELD(learned_state, LSTM | GRU),
    FIELD(bidirectional, LSTM | GRU),
    FIELD(bidirectional_sum, LSTM | GRU),
    FIELD(merge_alone, 0),
    FIELD(merge_9, 0),
    FIELD(tied, EMBEDDING),
    FIELD(residual, 0), /* this dense layer is not the last */
};

static void check_field(const field *what, const lstm_layer *plain, const char *type, int *accepted) {
  lstm_layer layers[4] = {lstm_embedding(3), lstm_lstm(4), lstm_dense(3), lstm_dense(6)}; /* the last fits tied */
  int at = plain->type == LSTM_LAYER_EMBEDDING ? 0 : plain->type == LSTM_LAYER_DENSE ? 2 : 1;
  int count = plain->type == LSTM_LAYER_DROPOUT ? 3 : 4;
  lstm_error error = {0};
  lstm_model_desc desc = {0};
  lstm_model *model = NULL;
  layers[at] = *plain;
  if (plain->type != LSTM_LAYER_EMBEDDING || strcmp(what->name, "size") != 0) what->set(&layers[at]);
  if (count == 3) layers[2] = lstm_dense(6);
  desc.input_size = 6;
  desc.layers = layers;
  desc.layer_count = count;
  desc.error = &error;
  lstm_status status = lstm_model_create(&desc, &model);
  lstm_model_destroy(model);
  if (!(what->types >> plain->type & 1)) {
    want_refusal(what->name, type, status, &error);
    return;
  }
  (*accepted)++;
  check_ok(what->name, status, &error);
}

static void fields_belong_to_their_layers(void **unused) {
  const lstm_layer plain[] = {lstm_embedding(3), lstm_lstm(4), lstm_gru(4), lstm_dense(3), lstm_dropout(0.1f)};
  static const char *const types[] = {"an embedding", "an lstm", "a gru", "a dense layer", "a dropout layer"};
  network nothing = {0};
  int accepted = 0;
  (void)unused;
  current = &nothing;
  failures = refusals = 0;
  for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
    for (int type = 0; type < 5; type++) check_field(&fields[i], &plain[type], types[type], &accepted);
  printf("gradcheck: %d fields of layers accepted, %d refused, %d failures\n", accepted, refusals, failures);
  assert_int_equal(failures, 0);
}

/* Descriptions whose layers are right each by itself. */
static void layers_must_fit_each_other(void **unused) {
  lstm_layer tied = lstm_embedding(3), last = lstm_lstm(4), skip = lstm_dense(3), wide = lstm_dense(7), curved = skip;
  skip.residual = wide.residual = curved.residual = 1;
  last.read = LSTM_READ_MEAN;
  curved.activation = LSTM_TANH;
  lstm_layer wrong[][4] = {
      {tied, lstm_lstm(4), lstm_dense(3), lstm_dense(5)},              /* tied: as many outputs as tokens */
      {tied, lstm_lstm(4), lstm_dense(4), lstm_dense(6)},              /* tied: an input as wide as the embedding */
      {tied, lstm_lstm(4), lstm_lstm(3), lstm_dropout(0)},             /* tied: to nothing */
      {lstm_dense(3), last, lstm_lstm(4), lstm_dense(6)},              /* read: not the last recurrent layer */
      {lstm_dense(3), lstm_embedding(3), lstm_lstm(4), lstm_dense(6)}, /* an embedding that is not first */
      {lstm_dense(3), lstm_lstm(4), skip, lstm_dropout(0)},            /* residual: not the last layer */
      {lstm_dense(3), lstm_lstm(4), lstm_lstm(4), wide},               /* more outputs than inputs */
      {lstm_dense(3), lstm_lstm(4), lstm_lstm(4), curved},             /* not linear */
      {lstm_dense(3), lstm_lstm(4), last, skip},                       /* reads once */
      {lstm_embedding(3), lstm_lstm(4), lstm_lstm(4), skip},           /* tokens */
  };
  (void)unused;
  failures = refusals = 0;
  for (int i = 0; i < 3; i++) wrong[i][0].tied = 1;
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    lstm_error error = {0};
    lstm_model_desc desc = {0};
    lstm_model *model = NULL;
    char name[32];
    desc.input_size = 6;
    desc.layers = wrong[i];
    desc.layer_count = 4;
    desc.error = &error;
    lstm_status status = lstm_model_create(&desc, &model);
    lstm_model_destroy(model);
    snprintf(name, sizeof name, "description %d", (int)i);
    want_refusal("layers", name, status, &error);
  }
  assert_int_equal(failures, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_option_alone),          cmocka_unit_test(every_sensible_pair),
      cmocka_unit_test(drawn_combinations),
      cmocka_unit_test(wide_layers),
      cmocka_unit_test(senseless_pairs_are_refused), cmocka_unit_test(fields_belong_to_their_layers),
      cmocka_unit_test(layers_must_fit_each_other),
  };
  return cmocka_run_group_tests_name("gradcheck", tests, NULL, NULL);
}
