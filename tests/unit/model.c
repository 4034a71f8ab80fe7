/* Random numbers, descriptions and what is wrong with them, layouts and tensor names, initial weights, the summary. */
#include "lstm.h"

#include "../helpers.h"

#include <math.h>

/* --- status and names --------------------------------------------------------------------------------------------- */

static void test_every_status_has_a_name_and_a_sentence(void **arg) {
  int i;
  (void)arg;
  for (i = 0; i < LSTM_STATUS_COUNT; i++) {
    assert_memory_equal(lstm_status_name((lstm_status)i), "LSTM_", 5);
    assert_true(strlen(lstm_status_text((lstm_status)i)) > 5);
  }
  assert_string_equal(lstm_status_name(LSTM_ERR_SHAPE), "LSTM_ERR_SHAPE");
  assert_non_null(lstm_status_name((lstm_status)99));
  assert_non_null(lstm_status_text((lstm_status)99));
}

static void test_instruction_sets_have_names(void **arg) {
  int i;
  (void)arg;
  for (i = LSTM_ISA_SCALAR; i < LSTM_ISA_COUNT; i++)
    assert_int_equal(lstm_isa_from_name(lstm_isa_name((lstm_isa)i)), i);
  assert_int_equal(lstm_isa_from_name("avx2"), LSTM_ISA_AVX2);
  assert_int_equal(lstm_isa_from_name("auto"), LSTM_ISA_AUTO);
  assert_int_equal(lstm_isa_from_name("mmx"), LSTM_ISA_COUNT);
  assert_int_equal(lstm_isa_from_name(""), LSTM_ISA_COUNT);
  assert_int_equal(lstm_isa_from_name(NULL), LSTM_ISA_COUNT);
  assert_string_equal(lstm_isa_name(LSTM_ISA_COUNT), "?");
  assert_int_equal(lstm_isa_usable(LSTM_ISA_COUNT), 0);
  assert_int_equal(lstm_isa_usable((lstm_isa)77), 0);
}

/* --- random numbers ----------------------------------------------------------------------------------------------- */

/* Philox 4x32-10 as in the paper, written again. */
static void philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]) {
  uint32_t k0 = key[0], k1 = key[1];
  int round;
  memcpy(out, counter, 16);
  for (round = 0; round < 10; round++) {
    uint64_t a = (uint64_t)0xD2511F53u * out[0], b = (uint64_t)0xCD9E8D57u * out[2];
    uint32_t next[4];
    next[0] = (uint32_t)(b >> 32) ^ out[1] ^ k0;
    next[1] = (uint32_t)b;
    next[2] = (uint32_t)(a >> 32) ^ out[3] ^ k1;
    next[3] = (uint32_t)a;
    memcpy(out, next, 16);
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
}

/* The first two are the known answers of the authors' test suite. */
static void test_philox_known_answers(void **arg) {
  static const uint32_t zero[4] = {0}, ones[4] = {~0u, ~0u, ~0u, ~0u};
  static const uint32_t of_zero[4] = {0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u};
  static const uint32_t of_ones[4] = {0x408f276du, 0x41c83b0eu, 0xa20bc7c6u, 0x6d5451fdu};
  uint32_t out[4];
  lstm_rng rng = {0};
  int i;
  (void)arg;
  philox(zero, zero, out);
  assert_memory_equal(out, of_zero, 16);
  philox(ones, ones, out);
  assert_memory_equal(out, of_ones, 16);
  for (i = 0; i < 4; i++) assert_int_equal(lstm_random_bits(&rng), of_zero[i]);
}

/* Number n of a seed is word n % 4 of block n / 4 under the key `seed`, whichever numbers were drawn before. */
static void test_random_numbers_are_made_from_their_index(void **arg) {
  static const uint64_t seeds[] = {0, 1, 0x123456789abcdef0u, ~(uint64_t)0};
  static const uint64_t indices[] = {0, 1, 2, 3, 4, 5, 1000003, 0x3ffffffffu, 0x400000000u, 0x123456789abcdefu};
  int i, k;
  (void)arg;
  for (i = 0; i < HELPERS_COUNT(seeds); i++)
    for (k = 0; k < HELPERS_COUNT(indices); k++) {
      uint64_t block = indices[k] / 4;
      uint32_t counter[4] = {0}, key[2], out[4];
      lstm_rng rng;
      rng.seed = seeds[i];
      rng.counter = indices[k];
      counter[0] = (uint32_t)block, counter[1] = (uint32_t)(block >> 32);
      key[0] = (uint32_t)seeds[i], key[1] = (uint32_t)(seeds[i] >> 32);
      philox(counter, key, out);
      assert_int_equal(lstm_random_bits(&rng), out[indices[k] % 4]);
      assert_true(rng.counter == indices[k] + 1);
    }
}

static void test_random_is_uniform(void **arg) {
  lstm_rng rng = {0};
  double sum = 0, squares = 0;
  int i, n = 100000, counts[7] = {0};
  (void)arg;
  rng.seed = 9;
  for (i = 0; i < n; i++) {
    float u = lstm_random(&rng);
    assert_true(u >= 0 && u < 1);
    assert_true((float)(int)(u * 16777216.0f) == u * 16777216.0f);
    sum += (double)u, squares += (double)u * (double)u;
  }
  assert_true(fabs(sum / n - .5) < .005);
  assert_true(fabs(squares / n - 1. / 3) < .005);
  for (i = 0; i < 70000; i++) {
    int k = lstm_random_index(&rng, 7);
    assert_in_range(k, 0, 6);
    counts[k]++;
  }
  for (i = 0; i < 7; i++) assert_in_range(counts[i], 9500, 10500);
  assert_int_equal(lstm_random_index(&rng, 1), 0);
  assert_int_equal(lstm_random_index(&rng, 0), 0);
  assert_int_equal(lstm_random_index(&rng, -5), 0);
}

static void test_sample_follows_the_probabilities(void **arg) {
  static const float p[4] = {.1f, 0, .6f, .3f};
  lstm_rng rng = {0};
  int i, counts[4] = {0}, sharp[4] = {0};
  (void)arg;
  for (i = 0; i < 10000; i++) {
    int k = lstm_sample(p, 4, 1.0f, &rng);
    assert_in_range(k, 0, 3);
    counts[k]++;
    sharp[lstm_sample(p, 4, .5f, &rng)]++;
  }
  assert_in_range(counts[0], 850, 1150);
  assert_int_equal(counts[1], 0);
  assert_in_range(counts[2], 5800, 6200);
  /* p^2: .01, .36, .09 of .46 */
  assert_in_range(sharp[0], 150, 290);
  assert_in_range(sharp[2], 7600, 8050);
  for (i = 0; i < 10; i++) assert_int_equal(lstm_sample(p, 4, 0, &rng), 2);
}

static void test_sample_survives_odd_input(void **arg) {
  static const float zeros[3] = {0, 0, 0}, one[1] = {.2f}, tiny[2] = {1e-40f, 0}, ties[3] = {.1f, .4f, .4f};
  float bad[3], mixed[3];
  lstm_rng rng = {0};
  (void)arg;
  bad[0] = bad[1] = (float)NAN, bad[2] = (float)INFINITY;
  mixed[0] = (float)NAN, mixed[1] = .5f, mixed[2] = -1;
  assert_int_equal(lstm_sample(zeros, 3, 1, &rng), -1);
  assert_int_equal(lstm_sample(bad, 3, 1, &rng), -1);
  assert_int_equal(lstm_sample(bad, 3, 0, &rng), -1);
  assert_int_equal(lstm_sample(mixed, 3, 1, &rng), 1);
  assert_int_equal(lstm_sample(one, 1, .7f, &rng), 0);
  assert_int_equal(lstm_sample(tiny, 2, .1f, &rng), 0);
  assert_int_equal(lstm_sample(tiny, 2, 0, &rng), 0);
  assert_int_equal(lstm_sample(ties, 3, 0, &rng), 1);
  assert_int_equal(lstm_sample(ties, 0, 1, &rng), -1);
}

/* --- what is wrong with a description ----------------------------------------------------------------------------- */

static lstm_layer layers[4];

static lstm_model_desc good_desc(void) {
  lstm_model_desc desc = {0};
  layers[0] = lstm_embedding(5);
  layers[1] = lstm_lstm(6);
  layers[2] = lstm_dropout(.5f);
  layers[3] = lstm_dense(7);
  desc.input_size = 7;
  desc.layers = layers;
  desc.layer_count = 4;
  return desc;
}

/* Breaks a good description in way number `way`; 0 when there are no more. */
static lstm_status break_desc(lstm_model_desc *d, int way) {
  switch (way) {
  case 0: d->input_size = 0; return LSTM_ERR_ARGUMENT;
  case 1: d->input_size = -3; return LSTM_ERR_ARGUMENT;
  case 2: d->input_size = 2147483647; return LSTM_ERR_LIMIT;
  case 3: d->layers = NULL; return LSTM_ERR_ARGUMENT;
  case 4: d->layer_count = 0; return LSTM_ERR_ARGUMENT;
  case 5: d->layer_count = -1; return LSTM_ERR_ARGUMENT;
  case 6: d->layer_count = 1000000; return LSTM_ERR_LIMIT;
  case 7: layers[1].size = 0; return LSTM_ERR_ARGUMENT;
  case 8: layers[1].size = -6; return LSTM_ERR_ARGUMENT;
  case 9: layers[1].size = 2147483647; return LSTM_ERR_LIMIT;
  case 10: layers[3].size = 0; return LSTM_ERR_ARGUMENT;
  case 11: layers[0].size = 0; return LSTM_ERR_ARGUMENT;
  case 12: layers[1] = lstm_embedding(4); return LSTM_ERR_ARGUMENT;
  case 13: layers[2].rate = 1; return LSTM_ERR_ARGUMENT;
  case 14: layers[2].rate = -.1f; return LSTM_ERR_ARGUMENT;
  case 15: layers[2].rate = (float)NAN; return LSTM_ERR_ARGUMENT;
  case 16: layers[1].type = LSTM_LAYER_NONE; return LSTM_ERR_ARGUMENT;
  case 17: layers[1].type = (lstm_layer_type)55; return LSTM_ERR_ARGUMENT;
  case 18: layers[3].activation = (lstm_activation)55; return LSTM_ERR_ARGUMENT;
  case 19: layers[1].read = (lstm_read)55; return LSTM_ERR_ARGUMENT;
  case 20: d->init = (lstm_init)55; return LSTM_ERR_ARGUMENT;
  case 21: d->output = (lstm_output)55; return LSTM_ERR_ARGUMENT;
  case 22: d->isa = (lstm_isa)55; return LSTM_ERR_UNSUPPORTED;
  case 23: d->numerics = (lstm_numerics)55; return LSTM_ERR_ARGUMENT;
  default: return LSTM_OK;
  }
}

static void test_every_refusal_has_a_sentence(void **arg) {
  int way;
  (void)arg;
  for (way = 0;; way++) {
    lstm_model_desc desc = good_desc();
    lstm_status wanted = break_desc(&desc, way), got;
    lstm_error error = {{0}, LSTM_OK};
    lstm_model *model = (lstm_model *)(void *)layers;
    size_t size;
    if (wanted == LSTM_OK) break;
    desc.error = &error;
    got = lstm_model_create(&desc, &model);
    if (got != wanted || !error.message[0] || error.status != got)
      fail_msg("way %d: got %s, wanted %s, sentence \"%s\" (%s)", way, lstm_status_name(got), lstm_status_name(wanted),
               error.message, lstm_status_name(error.status));
    assert_null(model);
    if (wanted != LSTM_ERR_UNSUPPORTED) assert_int_equal(lstm_model_size(&desc, &size), wanted);
    desc.error = NULL;
    assert_int_equal(lstm_model_create(&desc, &model), wanted);
  }
  assert_true(way > 20);
}

static void test_missing_arguments_are_refused(void **arg) {
  lstm_model_desc desc = good_desc();
  lstm_model *model;
  size_t size;
  (void)arg;
  assert_status(lstm_model_create(NULL, &model), LSTM_ERR_ARGUMENT);
  assert_null(model);
  assert_status(lstm_model_create(&desc, NULL), LSTM_ERR_ARGUMENT);
  assert_status(lstm_model_size(NULL, &size), LSTM_ERR_ARGUMENT);
  assert_status(lstm_model_size(&desc, NULL), LSTM_ERR_ARGUMENT);
}

/* Sizes whose product overflows are refused before anything is allocated. */
static void test_huge_models_are_refused_without_allocating(void **arg) {
  helper_heap heap = {0};
  lstm_model_desc desc = {0};
  lstm_model *model;
  int n;
  (void)arg;
  desc.layers = layers;
  desc.layer_count = 2;
  desc.allocator = heap_allocator(&heap);
  heap.fail_at = 1, heap.persistent = 1;
  for (n = 1; n > 0 && n < 1 << 30; n *= 2) {
    lstm_status status;
    desc.input_size = n;
    layers[0] = lstm_lstm(n);
    layers[1] = lstm_dense(n);
    status = lstm_model_create(&desc, &model);
    assert_true(status == LSTM_ERR_MEMORY || status == LSTM_ERR_LIMIT);
    assert_null(model);
  }
}

/* --- what a model says about itself ------------------------------------------------------------------------------- */

static void check_tensor(const lstm_model *model, int i, const char *name, int rows, int columns) {
  lstm_tensor t;
  assert_ok(lstm_model_tensor(model, i, &t));
  assert_string_equal(t.name, name);
  assert_int_equal(t.rows, rows);
  assert_int_equal(t.columns, columns);
  assert_int_equal(t.count, rows * (columns ? columns : 1));
  assert_int_equal((uintptr_t)t.data % sizeof(float), 0);
}

static lstm_model *create(lstm_model_desc *desc) {
  lstm_model *model;
  lstm_error error = {{0}, LSTM_OK};
  lstm_model_desc d = *desc;
  d.error = &error;
  if (lstm_model_create(&d, &model) != LSTM_OK) fail_msg("%s", error.message);
  return model;
}

/* A run of recurrent layers of one size is one nn.LSTM; another size begins another. */
static void test_tensors_have_pytorchs_names_and_shapes(void **arg) {
  static const struct {
    const char *name;
    int rows, columns;
  } wanted[] = {
      {"embed.weight", 11, 5},          {"rnn.weight_ih_l0", 24, 5},      {"rnn.weight_hh_l0", 24, 6},
      {"rnn.bias_ih_l0", 24, 0},        {"rnn.weight_ih_l1", 24, 6},      {"rnn.weight_hh_l1", 24, 6},
      {"rnn.bias_ih_l1", 24, 0},        {"rnn1.weight_ih_l0", 32, 6},     {"rnn1.weight_hh_l0", 32, 8},
      {"rnn1.bias_ih_l0", 32, 0},       {"dense0.weight", 9, 8},          {"dense0.bias", 9, 0},
      {"dense1.weight", 4, 9},          {"dense1.bias", 4, 0},            {"head.weight", 3, 4},
      {"head.bias", 3, 0},
  };
  lstm_layer stack[8];
  lstm_model_desc desc = {0};
  lstm_model *model;
  lstm_tensor t;
  size_t parameters = 0;
  int i;
  (void)arg;
  stack[0] = lstm_embedding(5);
  stack[1] = lstm_lstm(6);
  stack[2] = lstm_dropout(.5f);
  stack[3] = lstm_lstm(6);
  stack[4] = lstm_lstm(8);
  stack[5] = lstm_dense(9);
  stack[6] = lstm_dense(4);
  stack[7] = lstm_dense(3);
  desc.input_size = 11;
  desc.layers = stack;
  desc.layer_count = 8;
  model = create(&desc);
  assert_int_equal(lstm_model_tensor_count(model), HELPERS_COUNT(wanted));
  for (i = 0; i < HELPERS_COUNT(wanted); i++) {
    check_tensor(model, i, wanted[i].name, wanted[i].rows, wanted[i].columns);
    parameters += (size_t)(wanted[i].rows * (wanted[i].columns ? wanted[i].columns : 1));
  }
  assert_int_equal(lstm_model_parameter_count(model), parameters);
  assert_status(lstm_model_tensor(model, i, &t), LSTM_ERR_ARGUMENT);
  assert_status(lstm_model_tensor(model, -1, &t), LSTM_ERR_ARGUMENT);
  lstm_model_destroy(model);
}

static void test_a_layers_name_replaces_the_prefix(void **arg) {
  lstm_layer two[2];
  lstm_model_desc desc = {0};
  lstm_model *model;
  char name[16] = "encoder";
  lstm_tensor t;
  (void)arg;
  two[0] = lstm_lstm(2);
  two[0].name = name;
  two[1] = lstm_dense(1);
  two[1].name = "fc";
  desc.input_size = 1;
  desc.layers = two;
  desc.layer_count = 2;
  model = create(&desc);
  memset(name, 'x', sizeof name - 1); /* copied */
  assert_ok(lstm_model_tensor(model, 0, &t));
  assert_string_equal(t.name, "encoder.weight_ih_l0");
  assert_ok(lstm_model_tensor(model, 3, &t));
  assert_string_equal(t.name, "fc.weight");
  lstm_model_destroy(model);
  two[0].name = "same", two[1].name = "same";
  if (lstm_model_create(&desc, &model) == LSTM_OK) { /* the names still differ: same.weight_ih_l0, same.weight */
    lstm_model_destroy(model);
  }
}

static void test_the_resolved_description_can_be_read_back(void **arg) {
  lstm_model_desc desc = good_desc();
  lstm_model *model = create(&desc);
  const lstm_model_desc *d;
  (void)arg;
  memset(layers, 0, sizeof layers); /* copied */
  d = lstm_model_desc_of(model);
  assert_int_equal(d->input_size, 7);
  assert_int_equal(d->layer_count, 4);
  assert_int_equal(d->layers[0].type, LSTM_LAYER_EMBEDDING);
  assert_int_equal(d->layers[1].size, 6);
  assert_int_equal(d->layers[3].size, 7);
  assert_int_equal(d->isa, lstm_isa_best());
  assert_int_equal(lstm_model_isa(model), lstm_isa_best());
  assert_int_equal(lstm_model_input_size(model), 7);
  assert_int_equal(lstm_model_output_size(model), 7);
  assert_int_equal(lstm_model_takes_ids(model), 1);
  assert_int_equal(lstm_model_reads_last(model), 0);
  assert_int_equal(lstm_model_state_size(model), 12);
  assert_int_equal(lstm_model_meta_count(model), 0);
  assert_null(lstm_model_meta_key(model, 0));
  assert_null(lstm_model_meta(model, "anything"));
  lstm_model_destroy(model);
}

static void test_a_model_may_end_in_its_recurrent_layer(void **arg) {
  lstm_layer one = lstm_lstm(3);
  lstm_model_desc desc = {0};
  lstm_model *model;
  lstm_state *state;
  float x[2] = {.5f, -1}, y[3], values[6];
  (void)arg;
  one.read = LSTM_READ_LAST;
  desc.input_size = 2;
  desc.layers = &one;
  desc.layer_count = 1;
  model = create(&desc);
  assert_int_equal(lstm_model_output_size(model), 3);
  assert_int_equal(lstm_model_reads_last(model), 1);
  assert_ok(lstm_state_create(model, NULL, &state));
  assert_ok(lstm_step(model, state, x, y));
  assert_ok(lstm_state_get(model, state, 0, values));
  assert_bits(values, y, 3); /* h is the output */
  lstm_state_destroy(state);
  lstm_model_destroy(model);
}

/* Nothing recurrent is needed: a state of no floats, and outputs that depend on this step only. */
static void test_a_model_may_have_no_recurrent_layer(void **arg) {
  lstm_layer two[2];
  lstm_model_desc desc = {0};
  lstm_model *model;
  lstm_state *state;
  float x[2] = {.5f, -1}, y[1], again[1];
  (void)arg;
  two[0] = lstm_dense(3), two[0].activation = LSTM_TANH;
  two[1] = lstm_dense(1);
  desc.input_size = 2;
  desc.layers = two;
  desc.layer_count = 2;
  model = create(&desc);
  assert_int_equal(lstm_model_state_size(model), 0);
  assert_ok(lstm_state_create(model, NULL, &state));
  assert_ok(lstm_step(model, state, x, y));
  assert_ok(lstm_step(model, state, x, again));
  assert_bits(y, again, 1);
  lstm_state_destroy(state);
  lstm_model_destroy(model);
}

static void test_summary_is_text_of_the_stated_length(void **arg) {
  lstm_model_desc desc = good_desc();
  lstm_model *model = create(&desc);
  char text[2000], part[20], count[32];
  size_t n = lstm_model_summary(model, NULL, 0);
  (void)arg;
  assert_in_range(n, 50, sizeof text - 1);
  assert_int_equal(lstm_model_summary(model, text, sizeof text), n);
  assert_int_equal(strlen(text), n);
  assert_int_equal(text[n - 1], '\n');
  assert_non_null(strstr(text, "embedding"));
  assert_non_null(strstr(text, "lstm"));
  assert_non_null(strstr(text, "dense"));
  assert_non_null(strstr(text, "dropout"));
  snprintf(count, sizeof count, "%d", (int)lstm_model_parameter_count(model));
  assert_non_null(strstr(text, count));
  assert_int_equal(lstm_model_summary(model, part, sizeof part), n);
  assert_int_equal(strlen(part), sizeof part - 1);
  assert_memory_equal(part, text, sizeof part - 1);
  lstm_model_destroy(model);
}

/* --- initial weights ---------------------------------------------------------------------------------------------- */

typedef struct moments {
  double mean, variance, largest;
} moments;

static moments measure(const float *x, size_t n) {
  moments m = {0, 0, 0};
  size_t i;
  for (i = 0; i < n; i++) m.mean += (double)x[i] / (double)n;
  for (i = 0; i < n; i++) {
    double d = (double)x[i];
    m.variance += (d - m.mean) * (d - m.mean) / (double)n;
    m.largest = fabs(d) > m.largest ? fabs(d) : m.largest;
  }
  return m;
}

/* Uniform in +-limit, for tensors of some hundred numbers and more. */
static void check_uniform(const float *x, size_t n, double limit) {
  moments m = measure(x, n);
  assert_true(m.largest <= limit * 1.000001);
  assert_true(m.largest > limit * .97);
  assert_true(fabs(m.mean) < 4 * limit / sqrt(3.0 * (double)n));
  assert_true(fabs(m.variance / (limit * limit / 3) - 1) < 4 / sqrt((double)n));
}

static lstm_model *create_with(lstm_init init, int H, uint64_t seed) {
  static lstm_layer three[3];
  lstm_model_desc desc = {0};
  three[0] = lstm_embedding(40);
  three[1] = lstm_lstm(H);
  three[2] = lstm_dense(50);
  desc.input_size = 50;
  desc.layers = three;
  desc.layer_count = 3;
  desc.init = init;
  desc.seed = seed;
  return create(&desc);
}

static void check_orthogonal(const float *w, int rows, int columns) {
  int a, b, k;
  for (a = 0; a < columns; a++)
    for (b = 0; b <= a; b++) {
      double sum = 0;
      for (k = 0; k < rows; k++) sum += (double)w[k * columns + a] * (double)w[k * columns + b];
      assert_true(fabs(sum - (a == b)) < 2e-6);
    }
}

static void test_default_initial_weights(void **arg) {
  static const int sizes[] = {1, 5, 16, 33, 64};
  int i, k;
  (void)arg;
  for (i = 0; i < HELPERS_COUNT(sizes); i++) {
    int H = sizes[i];
    lstm_model *model = create_with(LSTM_INIT_DEFAULT, H, 11);
    lstm_tensor ih, hh, bias, head;
    assert_ok(lstm_model_tensor(model, 1, &ih));
    assert_ok(lstm_model_tensor(model, 2, &hh));
    assert_ok(lstm_model_tensor(model, 3, &bias));
    assert_ok(lstm_model_tensor(model, 4, &head));
    check_uniform(ih.data, ih.count, sqrt(6.0 / (40 + 4 * H)));
    if (H > 4) check_uniform(head.data, head.count, sqrt(6.0 / (50 + H)));
    check_orthogonal(hh.data, hh.rows, hh.columns);
    for (k = 0; k < 4 * H; k++) assert_true(bias.data[k] == (k >= H && k < 2 * H ? 1.0f : 0.0f));
    lstm_model_destroy(model);
  }
}

static void test_pytorch_initial_weights(void **arg) {
  const int H = 64;
  double k = 1 / sqrt((double)H);
  lstm_model *model = create_with(LSTM_INIT_PYTORCH, H, 12);
  lstm_tensor t;
  moments m;
  (void)arg;
  assert_ok(lstm_model_tensor(model, 0, &t));
  m = measure(t.data, t.count); /* N(0, 1), 2,000 numbers */
  assert_true(fabs(m.mean) < .1);
  assert_true(fabs(m.variance - 1) < .13);
  assert_true(m.largest > 2.8 && m.largest < 6);
  assert_ok(lstm_model_tensor(model, 1, &t));
  check_uniform(t.data, t.count, k);
  assert_ok(lstm_model_tensor(model, 2, &t));
  check_uniform(t.data, t.count, k);
  assert_ok(lstm_model_tensor(model, 3, &t));
  m = measure(t.data, t.count); /* the sum of two uniform numbers */
  assert_true(m.largest <= 2 * k && m.largest > 1.5 * k);
  assert_true(fabs(m.variance / (2 * k * k / 3) - 1) < .3);
  assert_ok(lstm_model_tensor(model, 4, &t));
  check_uniform(t.data, t.count, k);
  lstm_model_destroy(model);
}

static void test_zero_initial_weights(void **arg) {
  lstm_model *model = create_with(LSTM_INIT_ZERO, 8, 1);
  int i;
  (void)arg;
  for (i = 0; i < lstm_model_tensor_count(model); i++) {
    lstm_tensor t;
    assert_ok(lstm_model_tensor(model, i, &t));
    assert_true(measure(t.data, t.count).largest == 0);
  }
  lstm_model_destroy(model);
}

static void test_the_seed_decides(void **arg) {
  int init;
  (void)arg;
  for (init = LSTM_INIT_DEFAULT; init <= LSTM_INIT_PYTORCH; init++) {
    lstm_model *a = create_with((lstm_init)init, 9, 5), *b = create_with((lstm_init)init, 9, 5);
    lstm_model *c = create_with((lstm_init)init, 9, 6);
    assert_true(fnv1a_model(FNV_BEGIN, a) == fnv1a_model(FNV_BEGIN, b));
    assert_true(fnv1a_model(FNV_BEGIN, a) != fnv1a_model(FNV_BEGIN, c));
    assert_ok(lstm_model_copy_weights(c, a));
    assert_true(fnv1a_model(FNV_BEGIN, a) == fnv1a_model(FNV_BEGIN, c));
    lstm_model_destroy(a), lstm_model_destroy(b), lstm_model_destroy(c);
  }
}

/* Copies work on what the kernels read too, and between models of one architecture only. */
static void test_copied_and_refreshed_weights_are_used(void **arg) {
  lstm_model *a = create_with(LSTM_INIT_DEFAULT, 9, 5), *b = create_with(LSTM_INIT_DEFAULT, 9, 6);
  lstm_model *other = create_with(LSTM_INIT_DEFAULT, 10, 6);
  int32_t id = 17;
  float ya[50], yb[50];
  lstm_state *state;
  lstm_tensor t;
  (void)arg;
  assert_status(lstm_model_copy_weights(other, a), LSTM_ERR_MISMATCH);
  assert_status(lstm_model_copy_weights(NULL, a), LSTM_ERR_ARGUMENT);
  assert_ok(lstm_model_copy_weights(b, a));
  assert_ok(lstm_state_create(a, NULL, &state));
  assert_ok(lstm_step_ids(a, state, &id, ya));
  lstm_state_reset(state);
  assert_ok(lstm_step_ids(b, state, &id, yb));
  assert_bits(ya, yb, 50);
  assert_ok(lstm_model_tensor(b, 3, &t));
  t.data[0] += 1;
  lstm_model_refresh(b);
  lstm_state_reset(state);
  assert_ok(lstm_step_ids(b, state, &id, yb));
  assert_memory_not_equal(ya, yb, sizeof ya);
  lstm_state_destroy(state);
  lstm_model_destroy(a), lstm_model_destroy(b), lstm_model_destroy(other);
}

static void test_names_of_tensors_differ(void **state) {
  lstm_layer three[3];
  lstm_model_desc desc = {0};
  lstm_model *model;
  lstm_error error = {{0}, LSTM_OK};
  (void)state;
  three[0] = lstm_dense(3);
  three[0].name = "head"; /* the last dense layer's own */
  three[1] = lstm_lstm(4);
  three[2] = lstm_dense(2);
  desc.input_size = 2;
  desc.layers = three;
  desc.layer_count = 3;
  desc.error = &error;
  assert_int_equal(lstm_model_create(&desc, &model), LSTM_ERR_ARGUMENT);
  assert_null(model);
  assert_string_equal(error.message, "two tensors would be called head.weight");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_every_status_has_a_name_and_a_sentence),
      cmocka_unit_test(test_instruction_sets_have_names),
      cmocka_unit_test(test_philox_known_answers),
      cmocka_unit_test(test_random_numbers_are_made_from_their_index),
      cmocka_unit_test(test_random_is_uniform),
      cmocka_unit_test(test_sample_follows_the_probabilities),
      cmocka_unit_test(test_sample_survives_odd_input),
      cmocka_unit_test(test_every_refusal_has_a_sentence),
      cmocka_unit_test(test_missing_arguments_are_refused),
      cmocka_unit_test(test_huge_models_are_refused_without_allocating),
      cmocka_unit_test(test_tensors_have_pytorchs_names_and_shapes),
      cmocka_unit_test(test_a_layers_name_replaces_the_prefix),
      cmocka_unit_test(test_the_resolved_description_can_be_read_back),
      cmocka_unit_test(test_a_model_may_end_in_its_recurrent_layer),
      cmocka_unit_test(test_a_model_may_have_no_recurrent_layer),
      cmocka_unit_test(test_summary_is_text_of_the_stated_length),
      cmocka_unit_test(test_default_initial_weights),
      cmocka_unit_test(test_pytorch_initial_weights),
      cmocka_unit_test(test_zero_initial_weights),
      cmocka_unit_test(test_the_seed_decides),
      cmocka_unit_test(test_names_of_tensors_differ),
      cmocka_unit_test(test_copied_and_refreshed_weights_are_used),
  };
  return cmocka_run_group_tests_name("unit/model", tests, NULL, NULL);
}
