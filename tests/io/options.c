/* Files of models with the options of layers: every one alone and every two together, the names and the order of their
   tensors, and lines that make no sense. */
#define LSTM_IMPLEMENTATION
#include "files.h"

static bytes saved_as(const lstm_model *model) {
  bytes file = saved(model), again;
  lstm_load_desc how;
  lstm_error error;
  lstm_model *copy;
  memset(&how, 0, sizeof how);
  how.error = &error;
  if (load_exact(file.data, file.size, &how, &copy)) fail_msg("%s", error.message);
  again = saved(copy);
  assert_int_equal(file.size, again.size);
  assert_memory_equal(file.data, again.data, file.size);
  assert_int_equal(model->plan.params, copy->plan.params);
  assert_memory_equal(model->params, copy->params, model->plan.params * sizeof(float));
  assert_memory_equal(model->packed, copy->packed, model->plan.packed * sizeof(float));
  run_model(copy);
  lstm_model_destroy(copy);
  bytes_free(&again);
  return file;
}

static int holds(const bytes *file, const char *text) {
  size_t n = strlen(text), i;
  for (i = 0; i + n <= file->size; ++i)
    if (!memcmp(file->data + i, text, n)) return 1;
  return 0;
}

/* Which options of a cell go together is the library's business: what can be created can be saved. */
static int save_pair(lstm_layer layer, int a, int b, int tied) {
  lstm_layer cells[2];
  lstm_model *model;
  bytes file;
  option_cases[a].set(&layer);
  option_cases[b].set(&layer);
  cells[0] = cells[1] = layer;
  cells[0].read = LSTM_READ_ALL;
  model = cell_model(cells, 2, tied);
  if (!model) return 0;
  file = saved_as(model);
  if (a == b) assert_true(holds(&file, option_cases[a].text));
  lstm_model_destroy(model);
  bytes_free(&file);
  return 1;
}

static void every_option_alone_and_every_two(void **unused) {
  int a, b, alone = 0, together = 0;
  (void)unused;
  for (a = 0; a < OPTION_CASES; ++a)
    for (b = a; b < OPTION_CASES; ++b) {
      int made = save_pair(lstm_lstm(3), a, b, a & 1) + save_pair(lstm_gru(3), a, b, b & 1);
      if (a == b)
        alone += made;
      else
        together += made;
    }
  assert_int_equal(alone, OPTION_CASES + 9);
  assert_true(together > 200);
}

static void all_options_at_once(void **unused) {
  lstm_layer cells[4];
  lstm_model *model;
  bytes file;
  (void)unused;
  cells[0] = layer_with_all(lstm_gru(1048));
  cells[0].name = "a-name-of-the-greatest-length.which-is_40";
  cells[0].read = LSTM_READ_ALL;
  cells[0].size = 7;
  cells[1] = layer_with_all(lstm_lstm(4));
  model = cell_model(cells, 2, 1);
  assert_null(model); /* 41 characters */
  cells[0].name = "a-name-of-the-greatest-length.which-is40";
  model = cell_model(cells, 2, 1);
  assert_non_null(model);
  file = saved_as(model);
  assert_true(holds(&file, "\"lstm hidden=4 activation=softsign gate_activation=hard_sigmoid peephole projection=2 "
                           "layer_norm cell_clip=1.5 forget=noise noise=0.1 dropout=0.3 recurrent_dropout=0.2 "
                           "zoneout=0.05 learned_state bidirectional merge=sum read=max\""));
  bytes_free(&file);
  lstm_model_destroy(model);
}

static void the_longest_line_fits(void **unused) {
  lstm_layer cell = layer_with_all(lstm_lstm(LSTM_MAX_SIZE));
  char line[LSTM__LINE];
  lstm__text text = lstm__text_in(line, sizeof line);
  (void)unused;
  cell.projection = LSTM_MAX_SIZE;
  cell.activation = LSTM_HARD_SIGMOID;
  cell.cell_clip = cell.noise = cell.dropout = cell.recurrent_dropout = cell.zoneout = 1.17549435e-38f;
  cell.name = "a-name-of-the-greatest-length.which-is40";
  lstm__put_layer(&text, &cell);
  assert_true(text.length < sizeof line);
}

/* The names of a file's tensors with their shapes, in their order. */
static void assert_tensors(const lstm_model *model, const char *wanted) {
  bytes file = saved_as(model);
  char text[2048], *at = text, *end, *header;
  size_t size = (size_t)file.data[0] + 256 * (size_t)file.data[1];
  header = (char *)malloc(size + 1);
  assert_non_null(header);
  memcpy(header, file.data + 8, size);
  header[size] = 0;
  for (end = strstr(header, "\":{\"dtype\""); end; end = strstr(end + 1, "\":{\"dtype\"")) {
    const char *name = end, *shape = strchr(end, '[');
    while (name[-1] != '"') --name;
    at += snprintf(at, sizeof text - (size_t)(at - text), "%.*s%.*s ", (int)(end - name), name,
                   (int)(strchr(shape, ']') + 1 - shape), shape);
  }
  assert_string_equal(text, wanted);
  free(header);
  bytes_free(&file);
}

static void tensors_have_pytorchs_names_shapes_and_order(void **unused) {
  lstm_layer cells[2];
  lstm_model *model;
  (void)unused;
  cells[0] = lstm_lstm(4);
  cells[0].projection = 2;
  cells[0].bidirectional = 1;
  cells[1] = cells[0];
  model = cell_model(cells, 2, 0);
  assert_tensors(
      model,
      "embed.weight[5,3] "
      "rnn.weight_ih_l0[16,3] rnn.weight_hh_l0[16,2] rnn.bias_ih_l0[16] rnn.bias_hh_l0[16] rnn.weight_hr_l0[2,4] "
      "rnn.weight_ih_l0_reverse[16,3] rnn.weight_hh_l0_reverse[16,2] rnn.bias_ih_l0_reverse[16] "
      "rnn.bias_hh_l0_reverse[16] rnn.weight_hr_l0_reverse[2,4] "
      "rnn.weight_ih_l1[16,4] rnn.weight_hh_l1[16,2] rnn.bias_ih_l1[16] rnn.bias_hh_l1[16] rnn.weight_hr_l1[2,4] "
      "rnn.weight_ih_l1_reverse[16,4] rnn.weight_hh_l1_reverse[16,2] rnn.bias_ih_l1_reverse[16] "
      "rnn.bias_hh_l1_reverse[16] rnn.weight_hr_l1_reverse[2,4] "
      "dense0.weight[3,4] dense0.bias[3] head.weight[5,3] head.bias[5] ");
  lstm_model_destroy(model);
  cells[0] = lstm_gru(2);
  cells[0].learned_state = 1;
  cells[1] = lstm_lstm(3);
  cells[1].peephole = cells[1].layer_norm = cells[1].learned_state = 1;
  model = cell_model(cells, 2, 1);
  assert_tensors(model, "embed.weight[5,3] "
                        "rnn.weight_ih_l0[6,3] rnn.weight_hh_l0[6,2] rnn.bias_ih_l0[6] rnn.bias_hh_l0[6] rnn.h0_l0[2] "
                        "rnn1.weight_ih_l0[12,2] rnn1.weight_hh_l0[12,3] rnn1.bias_ih_l0[12] rnn1.bias_hh_l0[12] "
                        "rnn1.peephole_l0[9] rnn1.norm_weight_l0[12] rnn1.norm_cell_weight_l0[3] "
                        "rnn1.norm_cell_bias_l0[3] rnn1.h0_l0[3] rnn1.c0_l0[3] "
                        "dense0.weight[3,3] dense0.bias[3] head.bias[5] ");
  lstm_model_destroy(model);
}

/* bias_hh is zeros for r and z, and b_hn; the data end with it, as there is no layer behind it. */
static void a_gru_has_pytorchs_second_bias(void **unused) {
  static const unsigned char kept[8] = {0, 0, 0x80, 0x3e, 0, 0, 0, 0x80}; /* 0.25 and -0, little-endian */
  static const float zeros[4] = {0};
  lstm_layer layer = lstm_gru(2);
  lstm_model_desc desc;
  lstm_model *model;
  lstm_tensor hn;
  bytes file;
  (void)unused;
  memset(&desc, 0, sizeof desc);
  desc.input_size = desc.layer_count = 1;
  desc.layers = &layer;
  assert_int_equal(lstm_model_create(&desc, &model), LSTM_OK);
  assert_int_equal(lstm_model_tensor(model, 3, &hn), LSTM_OK);
  assert_string_equal(hn.name, "rnn.bias_hn_l0");
  hn.data[0] = 0.25f;
  hn.data[1] = -0.0f;
  lstm_model_refresh(model);
  file = saved_as(model);
  assert_memory_equal(file.data + file.size - 24, zeros, 16);
  assert_memory_equal(file.data + file.size - 8, kept, 8);
  lstm_model_destroy(model);
  bytes_free(&file);
}

static void lines_without_sense_are_refused(void **unused) {
  static const struct {
    const char *line;
    lstm_status status;
    const char *part;
  } cases[] = {{"lstm hidden=2 activation=default", LSTM_ERR_FORMAT, "bad value in activation=default"},
               {"lstm hidden=2 activation=tanh", LSTM_ERR_FORMAT, "expected \"lstm hidden=2\""},
               {"lstm hidden=2 gate_activation=sigmoid", LSTM_ERR_FORMAT, "expected \"lstm hidden=2\""},
               {"lstm hidden=2 read=all", LSTM_ERR_FORMAT, "bad value in read=all"},
               {"lstm hidden=2 forget=learned", LSTM_ERR_FORMAT, "bad value in forget=learned"},
               {"lstm hidden=2 bidirectional merge=concat", LSTM_ERR_FORMAT, "bad value in merge=concat"},
               {"lstm hidden=2 merge=sum", LSTM_ERR_FORMAT, "merge needs bidirectional"},
               {"lstm hidden=2 peephole=1", LSTM_ERR_FORMAT, "bad value in peephole=1"},
               {"lstm hidden=2 peephole peephole", LSTM_ERR_FORMAT, "expected \"lstm hidden=2 peephole\""},
               {"lstm hidden=2 coupled peephole", LSTM_ERR_FORMAT, "expected \"lstm hidden=2 peephole coupled\""},
               {"lstm hidden=2 projection", LSTM_ERR_FORMAT, "bad value in projection"},
               {"lstm hidden=2 projection=3", LSTM_ERR_FORMAT, "projection is wider than the cell"},
               {"lstm hidden=2 projection=99999", LSTM_ERR_LIMIT, "a size is not within 1 to 4096"},
               {"lstm hidden=2 projection=0", LSTM_ERR_LIMIT, "a size is not within 1 to 4096"},
               {"lstm hidden=2 cell_clip=-1", LSTM_ERR_FORMAT, "cell_clip must be at least 0"},
               {"lstm hidden=2 cell_clip=inf", LSTM_ERR_FORMAT, "bad value in cell_clip=inf"},
               {"lstm hidden=2 cell_clip=0", LSTM_ERR_FORMAT, "expected \"lstm hidden=2\""},
               {"lstm hidden=2 cell_clip=1.50", LSTM_ERR_FORMAT, "bad value in cell_clip=1.50"},
               {"lstm hidden=2 zoneout=1", LSTM_ERR_FORMAT, "zoneout must be at least 0 and below 1"},
               {"lstm hidden=2 coupled forget=one", LSTM_ERR_FORMAT, "coupled leaves no forget gate"},
               {"lstm hidden=2 noise=0.5", LSTM_ERR_FORMAT, "noise needs forget = noise"},
               {"lstm hidden=2 forget=noise", LSTM_ERR_FORMAT, "needs noise above 0"},
               {"lstm hidden=2 name=trainer.x", LSTM_ERR_FORMAT, "will not do"},
               {"lstm peephole", LSTM_ERR_FORMAT, "size is 0, wanted 1 to"},
               {"gru hidden=2 peephole", LSTM_ERR_UNSUPPORTED, "unknown option peephole"},
               {"gru hidden=2 activation=relu", LSTM_ERR_UNSUPPORTED, "unknown option activation=relu"},
               {"dense size=2 zoneout=0.1", LSTM_ERR_UNSUPPORTED, "unknown option zoneout=0.1"},
               {"dense size=2 tied", LSTM_ERR_UNSUPPORTED, "unknown option tied"},
               {"embedding size=2 tied", LSTM_ERR_FORMAT, "tied, but there is no dense layer"},
               {"lstm hidden=2 quantised", LSTM_ERR_UNSUPPORTED, "unknown option quantised"}};
  size_t i;
  (void)unused;
  for (i = 0; i < sizeof cases / sizeof cases[0]; ++i) {
    char header[512];
    lstm_load_desc how;
    bytes file;
    memset(&how, 0, sizeof how);
    how.max_size = 4096;
    (void)snprintf(header, sizeof header,
                   "{\"__metadata__\":{\"lstm.version\":\"1\",\"lstm.input\":\"1\",\"lstm.output\":\"auto\","
                   "\"lstm.layer.0\":\"%s\"}}",
                   cases[i].line);
    file = file_of(header, NULL, 0);
    assert_refused(&file, &how, cases[i].status, cases[i].part);
    bytes_free(&file);
  }
}

/* More tensors than the file could name are refused before there is a table for them. */
static void more_tensors_than_entries(void **unused) {
  bytes header = {NULL, 0, 0}, file;
  int i;
  (void)unused;
  bytes_text(&header, "{\"__metadata__\":{\"lstm.version\":\"1\",\"lstm.input\":\"1\",\"lstm.output\":\"auto\"");
  for (i = 0; i < 64; ++i) {
    char line[160];
    (void)snprintf(line, sizeof line,
                   ",\"lstm.layer.%d\":\"lstm hidden=1 peephole layer_norm learned_state bidirectional\"", i);
    bytes_text(&header, line);
  }
  bytes_text(&header, "}}");
  bytes_add(&header, "", 1);
  file = file_of((const char *)header.data, NULL, 0);
  assert_refused(&file, NULL, LSTM_ERR_FORMAT, "the layers have 1152 tensors, the file has 0");
  bytes_free(&header);
  bytes_free(&file);
}

/* As many layers with as many tensors as there can be. */
static void the_largest_number_of_tensors(void **unused) {
  lstm_layer layers[LSTM_MAX_LAYERS];
  lstm_model_desc desc;
  lstm_model *model;
  bytes file;
  int i;
  (void)unused;
  memset(&desc, 0, sizeof desc);
  for (i = 0; i < LSTM_MAX_LAYERS; ++i) {
    layers[i] = layer_with_all(lstm_lstm(1));
    layers[i].projection = 1;
    if (i < LSTM_MAX_LAYERS - 1) layers[i].read = LSTM_READ_ALL;
  }
  desc.input_size = 1;
  desc.layer_count = LSTM_MAX_LAYERS;
  desc.layers = layers;
  assert_int_equal(lstm_model_create(&desc, &model), LSTM_OK);
  assert_int_equal(lstm_model_tensor_count(model), 1280);
  file = saved_as(model);
  lstm_model_destroy(model);
  bytes_free(&file);
}

static lstm_model *fixture_model(void) {
  lstm_layer cells[3];
  cells[0] = layer_with_all(lstm_gru(3));
  cells[1] = layer_with_all(lstm_lstm(4));
  cells[2] = lstm_lstm(2);
  cells[0].read = cells[1].read = LSTM_READ_ALL;
  cells[2].coupled = 1;
  cells[2].read = LSTM_READ_LAST;
  return cell_model(cells, 3, 1);
}

static void fixture_of_format_1_loads(void **unused) {
  static const int32_t ids[3] = {4, 0, 2};
  static const float expected[5] = {0.527670503f, -0.453181058f, 0.144092411f, -1.122697f,
                                    -0.525423467f}; /* after three steps, when the file was written */
  bytes file = {NULL, 0, 0}, again;
  unsigned char block[512];
  FILE *f = fopen("tests/io/fixtures/options-v1.safetensors", "rb");
  lstm_state_desc desc;
  lstm_model *model;
  lstm_state *state;
  float y[5];
  size_t n;
  int i;
  (void)unused;
  if (!f)
    fail_msg("the fixture is missing");
  else {
    while ((n = fread(block, 1, sizeof block, f)) > 0) bytes_add(&file, block, n);
    (void)fclose(f);
  }
  memset(&desc, 0, sizeof desc);
  desc.seq_len = 3;
  assert_int_equal(load_exact(file.data, file.size, NULL, &model), LSTM_OK);
  again = saved(model);
  assert_int_equal(again.size, file.size);
  assert_memory_equal(again.data, file.data, file.size);
  assert_int_equal(lstm_state_create(model, &desc, &state), LSTM_OK);
  assert_int_equal(lstm_forward_ids(model, state, ids, 3, y), LSTM_OK);
  for (i = 0; i < 5; ++i)
    if (y[i] - expected[i] > 1e-6f || expected[i] - y[i] > 1e-6f) fail_msg("output %d is %.9g", i, (double)y[i]);
  lstm_state_destroy(state);
  lstm_model_destroy(model);
  bytes_free(&again);
  bytes_free(&file);
}

/* The file says "portable", and nothing of what is the default; the caller may decide otherwise. */
static void numerics_are_in_the_file(void **unused) {
  static const lstm_numerics asked[] = {LSTM_NUMERICS_DEFAULT, LSTM_FUSED, LSTM_PORTABLE};
  size_t i;
  int written;
  (void)unused;
  if (!LSTM__HAS_PORTABLE) skip();
  for (written = LSTM_FUSED; written <= LSTM_PORTABLE; ++written)
    for (i = 0; i < sizeof asked / sizeof asked[0]; ++i) {
      lstm_layer layer = lstm_lstm(2);
      lstm_model_desc desc;
      lstm_load_desc how;
      lstm_model *model, *copy;
      bytes file;
      memset(&desc, 0, sizeof desc);
      memset(&how, 0, sizeof how);
      desc.input_size = desc.layer_count = 1;
      desc.layers = &layer;
      desc.numerics = written == LSTM_FUSED && i == 0 ? LSTM_NUMERICS_DEFAULT : (lstm_numerics)written;
      assert_int_equal(lstm_model_create(&desc, &model), LSTM_OK);
      assert_int_equal(lstm_model_desc_of(model)->numerics, written);
      file = written == LSTM_PORTABLE ? saved_as(model) : saved(model);
      assert_int_equal(holds(&file, "\"lstm.numerics\":\"portable\""), written == LSTM_PORTABLE);
      assert_int_equal(holds(&file, "numerics"), written == LSTM_PORTABLE);
      how.numerics = asked[i];
      assert_int_equal(lstm_load_memory(file.data, file.size, &how, &copy), LSTM_OK);
      assert_int_equal(lstm_model_desc_of(copy)->numerics, asked[i] ? (int)asked[i] : written);
      lstm_model_destroy(copy);
      if (written == LSTM_PORTABLE) {
        bytes other = patched(&file, "\"portable\"", "\"portably\"");
        assert_refused(&other, &how, LSTM_ERR_FORMAT, "lstm.numerics: unknown numerics portably");
        bytes_free(&other);
      }
      how.numerics = (lstm_numerics)9;
      assert_refused(&file, &how, LSTM_ERR_ARGUMENT, "numerics: there is no value 9");
      bytes_free(&file);
      lstm_model_destroy(model);
    }
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(every_option_alone_and_every_two),
                                     cmocka_unit_test(all_options_at_once),
                                     cmocka_unit_test(the_longest_line_fits),
                                     cmocka_unit_test(tensors_have_pytorchs_names_shapes_and_order),
                                     cmocka_unit_test(a_gru_has_pytorchs_second_bias),
                                     cmocka_unit_test(lines_without_sense_are_refused),
                                     cmocka_unit_test(numerics_are_in_the_file),
                                     cmocka_unit_test(more_tensors_than_entries),
                                     cmocka_unit_test(the_largest_number_of_tensors),
                                     cmocka_unit_test(fixture_of_format_1_loads)};
  if (argc == 2) { /* write the fixture of this version; once per format */
    lstm_model *model = fixture_model();
    lstm_status status = lstm_save_file(model, NULL, argv[1]);
    lstm_model_destroy(model);
    return status != LSTM_OK;
  }
  return cmocka_run_group_tests_name("io options", tests, NULL, NULL);
}
