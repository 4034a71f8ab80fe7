/* The loader's promises, one test each, by their numbers in the manual (UNTRUSTED INPUT). Promises 1, 9 and 12 are
   also tested
   on every damaged file of damage.c. */
#include "files.h"

#include <locale.h>
#include <time.h>

/* A model file of ours with the layer line and the tensors of a plain LSTM of one unit, to be patched. */
static bytes tiny_file(void) {
  lstm_layer layer = lstm_lstm(1);
  lstm_model_desc desc;
  lstm_model *model;
  bytes file;
  memset(&desc, 0, sizeof desc);
  desc.input_size = 1;
  desc.layer_count = 1;
  desc.layers = &layer;
  assert_int_equal(lstm_model_create(&desc, &model), LSTM_OK);
  file = saved(model);
  lstm_model_destroy(model);
  return file;
}

static void refused_header(const char *header, size_t data, lstm_status status, const char *part) {
  unsigned char zeros[256] = {0};
  bytes file = file_of(header, zeros, data);
  assert_refused(&file, NULL, status, part);
  assert_int_equal(load_any(file.data, file.size), status);
  bytes_free(&file);
}

static void promise_01_no_access_outside_no_recursion(void **unused) {
  static const char *const headers[] = {
      "", "{", "{\"", "{\"a", "{\"a\"", "{\"a\":", "{\"a\":{", "{\"a\":{\"dtype\"", "{\"a\":{\"dtype\":\"F32", "{\"\\",
      "{\"\\u12",
      "{\"\\ud800\\u", "{\"__metadata__\":{\"a\":\"\\", "{\"\xc3", "{\"\xf0\x9f", "{}", "{} x", "{,}", "{\"a\":{}}",
      "{\"a\":{\"shape\":[", "{\"a\":{\"shape\":[1", "{\"a\":{\"data_offsets\":[0", "[]", "nul", "{\"a\":null}"};
  size_t i, depth = 100000;
  uint32_t seed = 1;
  bytes deep = {NULL, 0, 0};
  (void)unused;
  for (i = 0; i < sizeof headers / sizeof headers[0]; ++i) {
    bytes file = file_of(headers[i], NULL, 0);
    assert_true(load_any(file.data, file.size) != LSTM_OK);
    bytes_free(&file);
  }
  bytes_text(&deep, "{\"a\":");
  for (i = 0; i < depth; ++i) bytes_text(&deep, i % 2 ? "[" : "{\"a\":");
  bytes_add(&deep, "", 1);
  refused_header((const char *)deep.data, 0, LSTM_ERR_FORMAT, "malformed");
  bytes_free(&deep);
  for (i = 0; i < 2000; ++i) { /* noise behind a frame that is right */
    unsigned char noise[64];
    size_t k;
    for (k = 0; k < sizeof noise; ++k) noise[k] = (unsigned char)((seed = seed * 1664525u + 1013904223u) >> 24);
    if (i % 2) memset(noise, 0, 8), noise[0] = (unsigned char)(i % 57), noise[8] = '{';
    assert_true(load_any(noise, i % sizeof noise) != LSTM_OK);
  }
}

static void promise_02_nothing_is_allocated_by_a_stated_size(void **unused) {
  static const char *const lines[] = {"lstm hidden=1048575", "lstm hidden=1000000", "dense size=1000000",
                                      "embedding size=99999"};
  size_t i;
  (void)unused;
  for (i = 0; i < sizeof lines / sizeof lines[0]; ++i) {
    budget b = {0, 0, 0, 0, 0};
    lstm_load_desc desc;
    lstm_model *model;
    char header[512];
    bytes file;
    memset(&desc, 0, sizeof desc);
    desc.allocator = allocator_of(&b);
    (void)snprintf(header, sizeof header,
                   "{\"__metadata__\":{\"lstm.version\":\"1\",\"lstm.input\":\"200\",\"lstm.output\":\"auto\","
                   "\"lstm.layer.0\":\"%s\"},\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}",
                   lines[i]);
    file = file_of(header, "\0\0\0", 4);
    assert_true(load_exact(file.data, file.size, &desc, &model) != LSTM_OK);
    assert_int_equal(b.live, 0);
    assert_true(b.total < 65536);
    bytes_free(&file);
  }
  refused_header("{\"x\":{\"dtype\":\"F32\",\"shape\":[1000000000],\"data_offsets\":[0,4000000000]}}", 4,
                 LSTM_ERR_FORMAT,
                 "truncated");
  {
    unsigned char huge[16] = {255, 255, 255, 255, 255, 255, 255, 127, '{', '}'};
    assert_int_equal(load_any(huge, sizeof huge), LSTM_ERR_FORMAT);
  }
}

/* The manual's formula: the tables take at most 4 KB and 64 times the header; the model at most 17 times the weights
   (a layer of
   one unit is packed as one of 16), and the bounded table of a token model. */
static void promise_03_memory_is_proportional_to_the_file(void **unused) {
  static const int sizes[] = {1, 2, 16, 17, 64, 100};
  size_t i;
  (void)unused;
  for (i = 0; i < sizeof sizes / sizeof sizes[0]; ++i) {
    lstm_layer layers[2];
    lstm_model_desc desc;
    lstm_load_desc how;
    budget b = {0, 0, 0, 0, 0};
    lstm_model *model, *again;
    bytes file;
    memset(&desc, 0, sizeof desc);
    memset(&how, 0, sizeof how);
    layers[0] = lstm_lstm(sizes[i]);
    layers[1] = lstm_dense(sizes[i]);
    desc.input_size = sizes[i];
    desc.layer_count = 2;
    desc.layers = layers;
    assert_int_equal(lstm_model_create(&desc, &model), LSTM_OK);
    file = saved(model);
    how.allocator = allocator_of(&b);
    assert_int_equal(lstm_load_memory(file.data, file.size, &how, &again), LSTM_OK);
    assert_true(b.total < 65536 + 64 * 1024 + 20 * file.size);
    lstm_model_destroy(again);
    lstm_model_destroy(model);
    bytes_free(&file);
  }
}

static void promise_04_limits_come_first_and_can_be_lowered(void **unused) {
  bytes file = tiny_file(), big;
  lstm_load_desc how;
  lstm_model *model = small_model();
  (void)unused;
  big = saved(model);
  lstm_model_destroy(model);
  memset(&how, 0, sizeof how);
  how.max_bytes = file.size - 1;
  assert_refused(&file, &how, LSTM_ERR_LIMIT, "bytes");
  how.max_bytes = big.size;
  how.max_size = 4;
  assert_refused(&big, &how, LSTM_ERR_LIMIT, "lstm.input");
  how.max_size = 5;
  how.max_layers = 6;
  assert_refused(&big, &how, LSTM_ERR_LIMIT, "6 layers");
  how.max_layers = 7;
  assert_int_equal(load_exact(big.data, big.size, &how, &model), LSTM_OK);
  lstm_model_destroy(model);
  bytes_free(&file);
  bytes_free(&big);
  refused_header("{\"x\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]}}", 0,
                 LSTM_ERR_FORMAT, "x");
  refused_header("{\"x\":{\"dtype\":\"F32\",\"shape\":[4294967296,1073741824],\"data_offsets\":[0,0]}}", 0,
                 LSTM_ERR_FORMAT, "x");
  refused_header("{\"x\":{\"dtype\":\"F32\",\"shape\":[18446744073709551616],\"data_offsets\":[0,0]}}", 0,
                 LSTM_ERR_FORMAT, "x");
  refused_header("{\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[18446744073709551615,3]}}", 4,
                 LSTM_ERR_FORMAT, "x");
  refused_header("{\"weight_ih_l0\":{\"dtype\":\"F32\",\"shape\":[0,9999999999],\"data_offsets\":[0,0]},"
                 "\"weight_hh_l0\":{\"dtype\":\"F32\",\"shape\":[0,9999999999],\"data_offsets\":[0,0]}}", 0,
                 LSTM_ERR_LIMIT, "size");
}

static void promise_05_no_holes_no_overlap_no_duplicates_exact_size(void **unused) {
  bytes file = tiny_file(), longer = {NULL, 0, 0}, other;
  (void)unused;
  bytes_add(&longer, file.data, file.size);
  bytes_add(&longer, "", 1);
  assert_refused(&longer, NULL, LSTM_ERR_FORMAT, "the tensors end at byte");
  bytes_free(&longer);
  other = patched(&file, "rnn.bias_hh_l0", "rnn.bias_ih_l0");
  assert_refused(&other, NULL, LSTM_ERR_FORMAT, "rnn.bias_ih_l0 is there twice");
  bytes_free(&other);
  other = patched(&file, "[16,32]", "[ 0,16]");
  assert_refused(&other, NULL, LSTM_ERR_FORMAT, "hole or overlaps");
  bytes_free(&other);
  other = patched(&file, "lstm.output", "lstm.input\"");
  assert_true(load_any(other.data, other.size) == LSTM_ERR_FORMAT);
  bytes_free(&other);
  bytes_free(&file);
  refused_header("{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
                 "\"b\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[2,3]}}", 3, LSTM_ERR_FORMAT, "b: its place");
  refused_header("{\"__metadata__\":{\"a\":\"1\",\"a\":\"2\"}}", 0, LSTM_ERR_FORMAT, "metadata a is there twice");
  refused_header("{\"__metadata__\":{},\"__metadata__\":{}}", 0, LSTM_ERR_FORMAT, "__metadata__ is there twice");
  refused_header("{\"a\":{\"dtype\":\"U8\",\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1,
                 LSTM_ERR_FORMAT, "a: its entry");
  refused_header("{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1],\"more\":1}}", 1, LSTM_ERR_FORMAT,
                 "a: its entry");
  refused_header("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,5]}}", 5, LSTM_ERR_FORMAT,
                 "differ in size");
}

static void promise_06_what_is_unknown_is_refused_by_name(void **unused) {
  bytes file = tiny_file(), other;
  size_t i;
  static const struct {
    const char *from, *to;
    lstm_status status;
    const char *part;
  } cases[] = {
      {"\"lstm.version\":\"1\"", "\"lstm.version\":\"2\"", LSTM_ERR_VERSION, "version 2"},
      {"\"lstm.version\":\"1\"", "\"lstm.version\":\"x\"", LSTM_ERR_FORMAT, "lstm.version: \"x\" is not a number"},
      {"\"lstm.version\":\"1\"", "\"lstm.Version\":\"1\"", LSTM_ERR_FORMAT, "lstm.version is missing"},
      {"\"lstm hidden=1\"", "\"lstn hidden=1\"", LSTM_ERR_UNSUPPORTED, "unknown layer lstn"},
      {"\"lstm hidden=1\"", "\"lstm hiddem=1\"", LSTM_ERR_UNSUPPORTED, "unknown option hiddem=1"},
      {"\"lstm hidden=1\"", "\"lstm  idden=1\"", LSTM_ERR_UNSUPPORTED, "unknown option idden=1"},
      {"\"lstm hidden=1\"", "\"lstm hidden=x\"", LSTM_ERR_FORMAT, "lstm.layer.0: bad value in hidden=x"},
      {"\"lstm hidden=1\"", "\"lstm hidden=0\"", LSTM_ERR_LIMIT, "lstm.layer.0: a size is not within 1 to"},
      {"\"lstm hidden=1\"", "\"dense size=1 \"", LSTM_ERR_UNSUPPORTED, "unknown option"},
      {"\"lstm hidden=1\"", "\"lstm hidden=2\"", LSTM_ERR_SHAPE, "expected [8][1], the file has [4][1]"},
      {"\"lstm.output\":\"auto\"", "\"lstm.output\":\"auta\"", LSTM_ERR_UNSUPPORTED, "unknown output auta"},
      {"lstm.layer.0", "lstm.layer.1", LSTM_ERR_UNSUPPORTED, "unknown metadata lstm.layer.1"},
      {"lstm.layer.0", "lstm.thing.0", LSTM_ERR_UNSUPPORTED, "unknown metadata lstm.thing.0"},
      {"\"dtype\":\"F32\"", "\"dtype\":\"Q32\"", LSTM_ERR_UNSUPPORTED, "unknown dtype Q32"},
      {"\"dtype\":\"F32\"", "\"dtype\":\"I32\"", LSTM_ERR_UNSUPPORTED, "expected F32, the file has I32"},
      {"rnn.weight_ih_l0", "rnn.weight_ih_l1", LSTM_ERR_FORMAT, "expected tensor rnn.weight_ih_l0"},
      {"\"shape\":[4,1]", "\"shape\":[2,2]", LSTM_ERR_SHAPE, "expected [4][1], the file has [2][2]"}};
  (void)unused;
  for (i = 0; i < sizeof cases / sizeof cases[0]; ++i) {
    other = patched(&file, cases[i].from, cases[i].to);
    assert_refused(&other, NULL, cases[i].status, cases[i].part);
    bytes_free(&other);
  }
  bytes_free(&file);
  refused_header("{\"__metadata__\":{\"lstm.version\":\"1\",\"lstm.input\":\"1\",\"lstm.output\":\"auto\","
                 "\"lstm.layer.0\":\"dense name=a size=1\"}}", 0, LSTM_ERR_FORMAT, "expected \"dense size=1 name=a\"");
  refused_header("{\"__metadata__\":{\"lstm.version\":\"1\",\"lstm.input\":\"1\",\"lstm.output\":\"auto\","
                 "\"lstm.layer.0\":\"dropout rate=0.50\"}}", 0, LSTM_ERR_FORMAT, "bad value in rate=0.50");
}

static void promise_07_weights_that_are_not_finite_are_refused_unless_asked_for(void **unused) {
  static const uint32_t bad[] = {0x7fc00000u, 0x7f800000u, 0xff800000u, 0x7f800001u};
  size_t i;
  (void)unused;
  for (i = 0; i < sizeof bad / sizeof bad[0]; ++i) {
    bytes file = tiny_file();
    lstm_load_desc how;
    lstm_model *model;
    int k;
    memset(&how, 0, sizeof how);
    how.allow_not_finite = 1;
    for (k = 0; k < 4; ++k) file.data[file.size - 64 + (size_t)k] = (unsigned char)(bad[i] >> (8 * k) & 255);
    assert_refused(&file, NULL, LSTM_ERR_NOT_FINITE, "tensor rnn.weight_ih_l0: a value is NaN or infinite");
    assert_int_equal(load_exact(file.data, file.size, &how, &model), LSTM_OK);
    run_model(model);
    lstm_model_destroy(model);
    bytes_free(&file);
  }
}

static bytes file_of_tensors(size_t tensors, size_t name) {
  bytes header = {NULL, 0, 0}, file;
  size_t i, k;
  for (i = 0; i < tensors; ++i) {
    char line[96];
    bytes_text(&header, i ? ",\"" : "{\"");
    for (k = 0; k < name; ++k) bytes_text(&header, "x");
    (void)snprintf(line, sizeof line, "%lu.weight_ih_l0\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}",
                   (unsigned long)i);
    bytes_text(&header, line);
  }
  bytes_text(&header, "}");
  bytes_add(&header, "", 1);
  file = file_of((const char *)header.data, NULL, 0);
  bytes_free(&header);
  return file;
}

static void least_time_to_refuse(const bytes *file, int times, clock_t *least) {
  clock_t start = clock();
  while (times--) assert_true(load_any(file->data, file->size) != LSTM_OK);
  start = clock() - start;
  if (start < *least) *least = start;
}

/* A file takes about as long as 16 files of a 16th of its size; a quadratic reader takes 16 times as long. What else
   the machine does adds to a time but never takes away: the least of both are compared, until they are near. */
static void expect_linear_time(bytes whole, bytes part) {
  const clock_t forever = (clock_t)1 << 30;
  clock_t one = forever, sixteen = forever;
  int tries = 0;
  while (tries++ < 3 || (one > 5 * sixteen && tries < 50)) {
    least_time_to_refuse(&whole, 1, &one);
    least_time_to_refuse(&part, 16, &sixteen);
  }
  if (one > 5 * sixteen) fail_msg("%ld ticks for one file, %ld for 16 of a 16th", (long)one, (long)sixteen);
  bytes_free(&whole);
  bytes_free(&part);
}

static void promise_08_linear_time_no_locale(void **unused) {
  static const char *const locales[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "nl_NL.UTF-8"};
  lstm_model *model = small_model(), *again;
  bytes before = saved(model), after;
  size_t i;
  (void)unused;
  for (i = 0; i < 4 && !setlocale(LC_ALL, locales[i]); ++i) {}
  if (i == 4) print_message("no locale with a decimal comma is installed\n");
  after = saved(model);
  assert_int_equal(load_exact(after.data, after.size, NULL, &again), LSTM_OK);
  assert_memory_equal(before.data, after.data, before.size);
  (void)setlocale(LC_ALL, "C");
  lstm_model_destroy(again);
  lstm_model_destroy(model);
  bytes_free(&before);
  bytes_free(&after);
  expect_linear_time(file_of_tensors(1000, 3000), file_of_tensors(1000, 3000 / 16)); /* 3 MB of names */
  expect_linear_time(file_of_tensors(100000, 20), file_of_tensors(100000 / 16, 20));
}

static void promise_09_failure_leaves_nothing_behind(void **unused) {
  lstm_model *model = small_model();
  bytes file = saved(model);
  int fail_at;
  (void)unused;
  for (fail_at = 1;; ++fail_at) {
    budget b = {0, 0, 0, 0, 0};
    lstm_load_desc how;
    lstm_model *again;
    lstm_status status;
    memset(&how, 0, sizeof how);
    b.fail_at = fail_at;
    how.allocator = allocator_of(&b);
    status = load_exact(file.data, file.size, &how, &again);
    if (status == LSTM_OK) {
      assert_int_equal(b.calls, 2); /* one while it works, one that stays */
      assert_int_equal(b.live, 1);
      lstm_model_destroy(again);
    } else {
      assert_int_equal(status, LSTM_ERR_MEMORY);
    }
    assert_int_equal(b.live, 0);
    if (status == LSTM_OK) break;
  }
  lstm_model_destroy(model);
  bytes_free(&file);
}

static void promise_10_saving_what_was_loaded_gives_the_same_bytes(void **unused) {
  static const lstm_meta meta[] = {{"vocab", "\"\\/\b\f\n\r\t\x01\x1f\x7f"}, {"k\xc3\xa9y",
                                                                              "\xe2\x82\xac \xf0\x9f\x98\x80"},
                                                                              {"empty", ""}};
  lstm_model *model = small_model(), *again;
  lstm_save_desc how;
  lstm_tensor bias;
  unsigned char first[8192], second[8192];
  size_t size = 0, size2 = 0, asked = 0;
  (void)unused;
  memset(&how, 0, sizeof how);
  how.meta = meta;
  how.meta_count = 3;
  assert_int_equal(lstm_model_tensor(model, 3, &bias), LSTM_OK);
  bias.data[0] = -0.0f; /* the sign survives the sum of both biases */
  assert_int_equal(lstm_save_memory(model, &how, NULL, 0, &asked), LSTM_OK);
  assert_int_equal(lstm_save_memory(model, &how, first, asked - 1, &size), LSTM_ERR_MEMORY);
  assert_int_equal(lstm_save_memory(model, &how, first, sizeof first, &size), LSTM_OK);
  assert_int_equal(size, asked);
  assert_int_equal((8 + first[0] + 256 * first[1]) % 64, 0); /* the data begin at a multiple of 64 */
  assert_int_equal(load_exact(first, size, NULL, &again), LSTM_OK);
  assert_int_equal(lstm_model_meta_count(again), 3);
  assert_string_equal(lstm_model_meta(again, "vocab"), meta[0].value);
  assert_string_equal(lstm_model_meta_key(again, 1), meta[1].key);
  assert_string_equal(lstm_model_meta_value(again, 1), meta[1].value);
  assert_null(lstm_model_meta_value(again, 3));
  assert_string_equal(lstm_model_meta(again, "empty"), "");
  assert_null(lstm_model_meta(again, "lstm.version"));
  assert_int_equal(lstm_model_output(again), LSTM_OUTPUT_SOFTMAX);
  assert_int_equal(lstm_save_memory(again, NULL, second, sizeof second, &size2), LSTM_OK);
  assert_int_equal(size, size2);
  assert_memory_equal(first, second, size);
  lstm_model_destroy(again);
  lstm_model_destroy(model);
}

static bytes file_at(const char *path) {
  bytes file = {NULL, 0, 0};
  unsigned char block[4096];
  FILE *f = fopen(path, "rb");
  size_t n;
  if (!f) fail_msg("cannot open %s", path);
  else {
    while ((n = fread(block, 1, sizeof block, f)) > 0) bytes_add(&file, block, n);
    (void)fclose(f);
  }
  return file;
}

static void promise_11_files_of_every_version_load(void **unused) {
  static const int32_t ids[3] = {4, 0, 2};
  static const float expected[2] = {0.497801512f, 0.502198458f}; /* after three steps, when the file was written */
  bytes file = file_at("tests/io/fixtures/model-v1.safetensors");
  lstm_model *model;
  lstm_state *state;
  float y[2];
  int i;
  (void)unused;
  assert_int_equal(load_exact(file.data, file.size, NULL, &model), LSTM_OK);
  assert_string_equal(lstm_model_meta(model, "title"), "format 1");
  assert_int_equal(lstm_state_create(model, NULL, &state), LSTM_OK);
  for (i = 0; i < 3; ++i) assert_int_equal(lstm_step_ids(model, state, ids + i, y), LSTM_OK);
  for (i = 0; i < 2; ++i) assert_true(y[i] - expected[i] < 1e-6f && expected[i] - y[i] < 1e-6f);
  lstm_state_destroy(state);
  lstm_model_destroy(model);
  bytes_free(&file);
}

static void promise_12_what_loads_can_be_run(void **unused) {
  int first, recurrent, last, read;
  (void)unused;
  for (first = 0; first < 3; ++first)
    for (recurrent = 0; recurrent < 3; ++recurrent)
      for (last = 0; last < 3; ++last)
        for (read = 0; read < 2; ++read) {
          lstm_layer layers[8];
          lstm_model_desc desc;
          lstm_model *model;
          bytes file;
          int n = 0, i;
          memset(&desc, 0, sizeof desc);
          if (first == 1) layers[n++] = lstm_embedding(3);
          if (first == 2) layers[n++] = lstm_dense(2);
          for (i = 0; i < recurrent; ++i) layers[n++] = lstm_lstm(2 + i);
          if (recurrent) layers[n - 1].read = read ? LSTM_READ_LAST : LSTM_READ_ALL;
          if (last) layers[n++] = lstm_dropout(0.5f);
          for (i = 0; i < last; ++i) layers[n++] = lstm_dense(3);
          desc.input_size = 4;
          desc.layer_count = n;
          desc.layers = layers;
          if (n == 0 || lstm_model_create(&desc, &model)) continue;
          file = saved(model);
          lstm_model_destroy(model);
          assert_int_equal(load_any(file.data, file.size), LSTM_OK);
          bytes_free(&file);
        }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(promise_01_no_access_outside_no_recursion),
      cmocka_unit_test(promise_02_nothing_is_allocated_by_a_stated_size),
      cmocka_unit_test(promise_03_memory_is_proportional_to_the_file),
      cmocka_unit_test(promise_04_limits_come_first_and_can_be_lowered),
      cmocka_unit_test(promise_05_no_holes_no_overlap_no_duplicates_exact_size),
      cmocka_unit_test(promise_06_what_is_unknown_is_refused_by_name),
      cmocka_unit_test(promise_07_weights_that_are_not_finite_are_refused_unless_asked_for),
      cmocka_unit_test(promise_08_linear_time_no_locale),
      cmocka_unit_test(promise_09_failure_leaves_nothing_behind),
      cmocka_unit_test(promise_10_saving_what_was_loaded_gives_the_same_bytes),
      cmocka_unit_test(promise_11_files_of_every_version_load),
      cmocka_unit_test(promise_12_what_loads_can_be_run)};
  return cmocka_run_group_tests_name("io promises", tests, NULL, NULL);
}
