/* Files that PyTorch wrote: inferred, described, in smaller types; and refusals that say what the file holds. */
#include "files.h"

static float tensor_value(const lstm_model *model, const char *name, size_t i) {
  int k;
  for (k = 0; k < lstm_model_tensor_count(model); ++k) {
    lstm_tensor t;
    assert_int_equal(lstm_model_tensor(model, k, &t), LSTM_OK);
    if (!strcmp(t.name, name)) return t.data[i];
  }
  fail_msg("no tensor %s", name);
  return 0;
}

static float made(unsigned seed, size_t i) { return (float)((int)((i * 37 + seed * 11) % 41) - 20) / 64.0f; }

static lstm_model *loaded(bytes *file, lstm_load_desc *how) {
  lstm_error error;
  lstm_model *model;
  how->error = &error;
  if (load_exact(file->data, file->size, how, &model)) fail_msg("%s", error.message);
  how->error = NULL;
  run_model(model);
  bytes_free(file);
  return model;
}

static foreign language_model(const char *dtype) {
  foreign f;
  memset(&f, 0, sizeof f);
  foreign_add(&f, "decoder.bias", dtype, 6, 0, 1);
  foreign_add(&f, "decoder.weight", dtype, 6, 5, 2);
  foreign_add(&f, "encoder.weight", dtype, 7, 3, 4);
  foreign_lstm(&f, "rnn.", dtype, 0, 3, 5);
  foreign_lstm(&f, "rnn.", dtype, 1, 5, 5);
  return f;
}

static void layers_are_inferred_and_told(void **unused) {
  static const char *const types[] = {"F32", "F16", "BF16"};
  size_t i, k;
  (void)unused;
  for (i = 0; i < 3; ++i) {
    foreign f = language_model(types[i]);
    bytes file = foreign_file(&f);
    char assumed[512];
    lstm_load_desc how;
    const lstm_model_desc *d;
    lstm_model *model;
    memset(&how, 0, sizeof how);
    how.assumed = assumed;
    how.assumed_capacity = sizeof assumed;
    model = loaded(&file, &how);
    d = lstm_model_desc_of(model);
    assert_int_equal(d->input_size, 7);
    assert_int_equal(d->layer_count, 4);
    assert_int_equal(d->layers[0].type, LSTM_LAYER_EMBEDDING);
    assert_int_equal(d->layers[2].size, 5);
    assert_int_equal(d->layers[3].type, LSTM_LAYER_DENSE);
    assert_non_null(strstr(assumed, "input=7\nembedding size=3 name=encoder\nlstm hidden=5\nlstm hidden=5\n"
                                    "dense size=6 name=decoder\n"));
    for (k = 0; k < 20; ++k) {
      assert_true(tensor_value(model, "rnn.bias_ih_l0", k) == made(3, k) + made(5, k));
      assert_true(tensor_value(model, "rnn.weight_ih_l1", k) == made(10, k));
      assert_true(tensor_value(model, "encoder.weight", k) == made(4, k));
      assert_true(tensor_value(model, "decoder.weight", k) == made(2, k));
    }
    lstm_model_destroy(model);
  }
}

static void a_bare_lstm_and_missing_biases(void **unused) {
  foreign f, g;
  bytes file;
  char assumed[512];
  lstm_load_desc how;
  lstm_model *model;
  (void)unused;
  memset(&f, 0, sizeof f);
  memset(&g, 0, sizeof g);
  memset(&how, 0, sizeof how);
  foreign_lstm(&f, "", "F32", 0, 2, 3);
  file = foreign_file(&f);
  model = loaded(&file, &how);
  assert_true(tensor_value(model, "rnn.weight_hh_l0", 4) == made(7, 4));
  assert_int_equal(lstm_model_input_size(model), 2);
  lstm_model_destroy(model);
  foreign_add(&g, "m.weight_ih_l0", "F32", 12, 2, 1);
  foreign_add(&g, "m.weight_hh_l0", "F32", 12, 3, 1);
  file = foreign_file(&g);
  how.assumed = assumed;
  how.assumed_capacity = sizeof assumed;
  model = loaded(&file, &how);
  assert_true(tensor_value(model, "m.bias_ih_l0", 0) == 0);
  assert_non_null(strstr(assumed, "m.bias_hh_l0 is not there: zeros"));
  lstm_model_destroy(model);
}

static void assert_assumed(foreign *f, const char *part, lstm_model **model) {
  bytes file = foreign_file(f);
  char assumed[512];
  lstm_load_desc how;
  memset(&how, 0, sizeof how);
  memset(f, 0, sizeof *f);
  how.assumed = assumed;
  how.assumed_capacity = sizeof assumed;
  *model = loaded(&file, &how);
  if (!strstr(assumed, part)) fail_msg("%s", assumed);
}

static void recurrent_layers_of_every_kind_are_inferred(void **unused) {
  foreign f;
  lstm_model *model;
  size_t k;
  (void)unused;
  memset(&f, 0, sizeof f);
  foreign_module(&f, "gru.", 3, 2, 5, 0, 2, 1);
  foreign_add(&f, "fc.weight", "F32", 4, 10, 1);
  assert_assumed(&f, "input=2\ngru hidden=5 bidirectional name=gru\ngru hidden=5 bidirectional\ndense size=4 name=fc\n",
                 &model);
  for (k = 0; k < 10; ++k) /* r and z of both biases are added, those of n stay apart */
    assert_true(tensor_value(model, "gru.bias_ih_l0", k) == made(3, k) + made(4, k));
  for (; k < 15; ++k) {
    assert_true(tensor_value(model, "gru.bias_ih_l0", k) == made(3, k));
    assert_true(tensor_value(model, "gru.bias_hn_l0", k - 10) == made(4, k));
    assert_true(tensor_value(model, "gru.bias_hn_l1_reverse", k - 10) == made(16, k));
    assert_true(tensor_value(model, "gru.weight_ih_l1", k) == made(9, k));
  }
  lstm_model_destroy(model);
  foreign_module(&f, "", 3, 2, 1, 0, 1, 0); /* 3 rows: also a plain layer of three units, if it had three columns */
  assert_assumed(&f, "input=2\ngru hidden=1\n", &model);
  lstm_model_destroy(model);
  foreign_module(&f, "rnn.", 4, 2, 5, 3, 2, 0);
  foreign_add(&f, "encoder.weight", "F32", 7, 2, 1);
  foreign_add(&f, "decoder.weight", "F32", 7, 3, 2);
  assert_assumed(&f,
                 "input=7\nembedding size=2 name=encoder\nlstm hidden=5 projection=3\nlstm hidden=5 projection=3\n"
                 "dense size=7 name=decoder\n",
                 &model);
  for (k = 0; k < 15; ++k) assert_true(tensor_value(model, "rnn.weight_hr_l1", k) == made(10, k));
  lstm_model_destroy(model);
  foreign_module(&f, "l.", 4, 2, 5, 3, 1, 1);
  assert_assumed(&f, "lstm hidden=5 projection=3 bidirectional name=l\n", &model);
  for (k = 0; k < 15; ++k) assert_true(tensor_value(model, "l.weight_hr_l0_reverse", k) == made(10, k));
  lstm_model_destroy(model);
}

static void described_options_and_tied_heads(void **unused) {
  lstm_layer layers[3];
  lstm_load_desc how;
  lstm_model *model;
  int extra;
  (void)unused;
  memset(&how, 0, sizeof how);
  layers[0] = lstm_embedding(3);
  layers[0].tied = 1;
  layers[1] = lstm_gru(4);
  layers[1].bidirectional = 1;
  layers[1].merge = LSTM_MERGE_SUM;
  layers[2] = lstm_dense(6);
  how.layers = layers;
  how.layer_count = 3;
  for (extra = 0; extra < 3; ++extra) {
    foreign f;
    bytes file;
    memset(&f, 0, sizeof f);
    foreign_add(&f, "embed.weight", "F32", 6, 4, 1);
    foreign_module(&f, "rnn.", 3, 4, 4, 0, 1, 1);
    foreign_add(&f, "head.bias", "F32", 6, 0, 2);
    if (extra == 1) foreign_add(&f, "head.weight", "F32", 6, 4, 1);
    file = foreign_file(&f);
    layers[0].size = 4;
    layers[2].size = 6 + extra;
    if (extra == 2)
      assert_refused(&file, &how, LSTM_ERR_ARGUMENT, "layer 2: tied to a table of 6 tokens and 4 columns");
    layers[2].size = 6;
    if (extra == 1) assert_refused(&file, &how, LSTM_ERR_UNSUPPORTED, "tensor head.weight is left over");
    if (extra) {
      bytes_free(&file);
      continue;
    }
    model = loaded(&file, &how);
    assert_int_equal(lstm_model_input_size(model), 6);
    assert_true(tensor_value(model, "head.bias", 3) == made(2, 3));
    lstm_model_destroy(model);
  }
  assert_true(layers[0].tied);
}

static void described_layers_and_prefixes(void **unused) {
  static const lstm_prefix prefixes[] = {
      {"net.first.", "rnn."}, {"net.second.", "rnn1."}, {"net.hidden.", "dense0."}, {"net.", ""}};
  lstm_layer layers[4];
  lstm_load_desc how;
  lstm_model *model;
  foreign f;
  bytes file;
  (void)unused;
  memset(&f, 0, sizeof f);
  memset(&how, 0, sizeof how);
  foreign_lstm(&f, "net.second.", "F32", 0, 2, 4);
  foreign_lstm(&f, "net.first.", "F32", 0, 3, 2);
  foreign_add(&f, "net.head.weight", "F32", 1, 6, 1);
  foreign_add(&f, "net.hidden.weight", "F32", 6, 4, 2);
  foreign_add(&f, "net.hidden.bias", "F32", 6, 0, 3);
  file = foreign_file(&f);
  assert_refused(&file, &how, LSTM_ERR_UNSUPPORTED,
                 "is of a second recurrent module: describe the layers in lstm_load_desc");
  layers[0] = lstm_lstm(2);
  layers[1] = lstm_lstm(4);
  layers[2] = lstm_dense(6);
  layers[3] = lstm_dense(1);
  layers[2].activation = LSTM_RELU;
  how.layers = layers;
  how.layer_count = 4;
  assert_refused(&file, &how, LSTM_ERR_UNSUPPORTED,
                 "tensor rnn.weight_ih_l0 is missing; the file has net.second.bias_hh_l0 [16]");
  how.prefixes = prefixes;
  how.prefix_count = 4;
  layers[3] = lstm_dense(2);
  assert_refused(&file, &how, LSTM_ERR_SHAPE, "tensor head.weight: expected [2][6], the file has [1][6]");
  layers[3] = lstm_dense(1);
  layers[1] = lstm_lstm(5);
  assert_refused(&file, &how, LSTM_ERR_SHAPE, "tensor rnn1.weight_ih_l0: expected [20][2], the file has [16][2]");
  layers[1] = lstm_lstm(4);
  model = loaded(&file, &how);
  assert_int_equal(lstm_model_input_size(model), 3);
  assert_true(tensor_value(model, "rnn1.weight_ih_l0", 3) == made(9, 3));
  assert_true(tensor_value(model, "head.weight", 3) == made(1, 3));
  lstm_model_destroy(model);
}

/* Names can be mapped without describing the layers; the copy has the mapped names. */
static void prefixes_of_inferred_layers(void **unused) {
  static const lstm_prefix one[] = {{"model.core.", "rnn."}}, two[] = {{"model.", ""}};
  lstm_load_desc how;
  lstm_model *model;
  int i;
  (void)unused;
  memset(&how, 0, sizeof how);
  for (i = 0; i < 2; ++i) {
    foreign f;
    bytes file;
    memset(&f, 0, sizeof f);
    foreign_lstm(&f, "model.core.", "F32", 0, 3, 2);
    file = foreign_file(&f);
    how.prefixes = i ? two : one;
    how.prefix_count = 1;
    how.max_layers = 1;
    model = loaded(&file, &how);
    assert_true(tensor_value(model, i ? "core.weight_ih_l0" : "rnn.weight_ih_l0", 3) == made(9, 3));
    lstm_model_destroy(model);
  }
}

static void more_layers_than_allowed(void **unused) {
  foreign f = language_model("F32");
  bytes file = foreign_file(&f);
  lstm_load_desc how;
  lstm_model *model;
  (void)unused;
  memset(&how, 0, sizeof how);
  how.max_layers = 3;
  assert_refused(&file, &how, LSTM_ERR_LIMIT, "3 layers");
  how.max_layers = 4;
  model = loaded(&file, &how);
  lstm_model_destroy(model);
}

static void refuse(foreign *f, lstm_status status, const char *part) {
  bytes file = foreign_file(f);
  assert_refused(&file, NULL, status, part);
  bytes_free(&file);
  memset(f, 0, sizeof *f);
}

static void what_does_not_fit_is_refused_by_name(void **unused) {
  foreign f;
  (void)unused;
  memset(&f, 0, sizeof f);
  foreign_add(&f, "fc.weight", "F32", 2, 3, 1);
  refuse(&f, LSTM_ERR_UNSUPPORTED, "weight_ih_l0 is missing (no recurrent layer); the file has fc.weight [2][3]");
  foreign_add(&f, "rnn.weight_ih_l0", "F32", 3, 2, 1);
  foreign_add(&f, "rnn.weight_hh_l0", "F32", 3, 3, 1);
  refuse(&f, LSTM_ERR_UNSUPPORTED, "plain recurrent layers");
  foreign_lstm(&f, "rnn.", "F32", 0, 2, 3);
  foreign_add(&f, "rnn.weight_ih_l0_reverse", "F32", 12, 2, 1);
  refuse(&f, LSTM_ERR_UNSUPPORTED, "tensor rnn.weight_hh_l0_reverse is missing");
  foreign_module(&f, "rnn.", 4, 2, 3, 0, 2, 1);
  foreign_add(&f, "rnn.weight_ih_l2", "F32", 12, 6, 1);
  foreign_add(&f, "rnn.weight_hh_l2", "F32", 12, 3, 1);
  refuse(&f, LSTM_ERR_UNSUPPORTED, "tensor rnn.weight_ih_l2_reverse is missing");
  foreign_lstm(&f, "rnn.", "F32", 0, 2, 3);
  foreign_add(&f, "rnn.weight_hr_l0", "F32", 2, 3, 1);
  refuse(&f, LSTM_ERR_SHAPE, "tensor rnn.weight_hr_l0: expected [3][3], the file has [2][3]");
  foreign_lstm(&f, "rnn.", "F32", 0, 2, 3);
  foreign_add(&f, "rnn.weight_hr_l1", "F32", 2, 3, 1);
  refuse(&f, LSTM_ERR_UNSUPPORTED, "whose first layer lacks weight_ih, weight_hh or weight_hr");
  foreign_module(&f, "rnn.", 4, 2, 3, 2, 1, 0);
  foreign_add(&f, "rnn.weight_ih_l1", "F32", 12, 2, 1);
  foreign_add(&f, "rnn.weight_hh_l1", "F32", 12, 2, 1);
  refuse(&f, LSTM_ERR_UNSUPPORTED, "tensor rnn.weight_hr_l1 is missing");
  foreign_module(&f, "rnn.", 4, 2, 3, 4, 1, 0);
  refuse(&f, LSTM_ERR_FORMAT, "projection is wider than the cell");
  foreign_lstm(&f, "rnn.", "F32", 0, 2, 3);
  foreign_add(&f, "extra", "F32", 4, 0, 1);
  refuse(&f, LSTM_ERR_UNSUPPORTED, "tensor extra is left over; the file has rnn.bias_hh_l0 [12], ");
  foreign_lstm(&f, "rnn.", "F32", 0, 2, 3);
  foreign_add(&f, "bn.num_batches_tracked", "I64", 1, 0, 1);
  refuse(&f, LSTM_ERR_UNSUPPORTED, "tensor bn.num_batches_tracked is left over");
  foreign_lstm(&f, "rnn.", "F32", 0, 2, 3);
  foreign_lstm(&f, "rnn.", "F32", 2, 3, 3);
  refuse(&f, LSTM_ERR_UNSUPPORTED, "tensor rnn.weight_ih_l1 is missing; the file has");
  foreign_lstm(&f, "rnn.", "F32", 0, 2, 3);
  foreign_lstm(&f, "rnn.", "F32", 1, 4, 3);
  refuse(&f, LSTM_ERR_SHAPE, "tensor rnn.weight_ih_l1: expected [12][3], the file has [12][4]");
  foreign_lstm(&f, "rnn.", "I64", 0, 2, 3);
  refuse(&f, LSTM_ERR_UNSUPPORTED, "expected F32, F16 or BF16, the file has I64");
  foreign_lstm(&f, "rnn.", "F32", 0, 2, 3);
  foreign_add(&f, "a.weight", "F32", 5, 3, 1);
  foreign_add(&f, "b.weight", "F32", 5, 3, 1);
  refuse(&f, LSTM_ERR_UNSUPPORTED, "tensor b.weight is neither the one embedding nor the one linear layer");
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(layers_are_inferred_and_told),
                                     cmocka_unit_test(a_bare_lstm_and_missing_biases),
                                     cmocka_unit_test(recurrent_layers_of_every_kind_are_inferred),
                                     cmocka_unit_test(described_options_and_tied_heads),
                                     cmocka_unit_test(prefixes_of_inferred_layers),
                                     cmocka_unit_test(more_layers_than_allowed),
                                     cmocka_unit_test(described_layers_and_prefixes),
                                     cmocka_unit_test(what_does_not_fit_is_refused_by_name)};
  return cmocka_run_group_tests_name("io foreign", tests, NULL, NULL);
}
