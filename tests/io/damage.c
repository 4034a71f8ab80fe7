/* Every truncation and every single-bit flip of small files: each is refused with a sentence, or loads and can be run.
   */
#include "files.h"

static void each_truncation(const bytes *file) {
  size_t n;
  for (n = 0; n < file->size; ++n) assert_true(load_any(file->data, n) != LSTM_OK);
  assert_int_equal(load_any(file->data, file->size), LSTM_OK);
}

static void each_flip(bytes *file) {
  size_t i, loaded = 0, refused = 0;
  int bit;
  for (i = 0; i < file->size; ++i)
    for (bit = 0; bit < 8; ++bit) {
      file->data[i] ^= (unsigned char)(1 << bit);
      if (load_any(file->data, file->size))
        ++refused;
      else
        ++loaded;
      file->data[i] ^= (unsigned char)(1 << bit);
    }
  assert_true(loaded > 0 && refused > 0);
}

static bytes model_file(void) {
  lstm_model *model = small_model();
  bytes file = saved(model);
  lstm_model_destroy(model);
  return file;
}

/* Both kinds of cells, with all that they can have: the lines are the most of it. */
static bytes options_file(void) {
  lstm_layer cells[2];
  lstm_model *model;
  bytes file;
  cells[0] = layer_with_all(lstm_gru(1));
  cells[0].read = LSTM_READ_ALL;
  cells[1] = layer_with_all(lstm_lstm(2));
  model = cell_model(cells, 2, 1);
  file = saved(model);
  lstm_model_destroy(model);
  return file;
}

static bytes pytorch_file(void) {
  foreign f = {{NULL, 0, 0}, {NULL, 0, 0}};
  foreign_add(&f, "embed.weight", "F16", 5, 3, 1);
  foreign_add(&f, "head.bias", "F32", 2, 0, 2);
  foreign_add(&f, "head.weight", "BF16", 2, 2, 3);
  foreign_lstm(&f, "rnn.", "F32", 0, 3, 2);
  return foreign_file(&f);
}

static void model_truncated_at_every_byte(void **unused) {
  bytes file = model_file();
  (void)unused;
  each_truncation(&file);
  bytes_free(&file);
}

static void model_with_every_bit_flipped(void **unused) {
  bytes file = model_file();
  (void)unused;
  each_flip(&file);
  bytes_free(&file);
}

static void options_truncated_at_every_byte(void **unused) {
  bytes file = options_file();
  (void)unused;
  each_truncation(&file);
  bytes_free(&file);
}

static void options_with_every_bit_flipped(void **unused) {
  bytes file = options_file();
  (void)unused;
  each_flip(&file);
  bytes_free(&file);
}

static void pytorch_file_truncated_at_every_byte(void **unused) {
  bytes file = pytorch_file();
  (void)unused;
  each_truncation(&file);
  bytes_free(&file);
}

/* A GRU of both directions: what is left of damaged names is half of it. */
static void pytorch_gru_with_every_bit_flipped(void **unused) {
  foreign f = {{NULL, 0, 0}, {NULL, 0, 0}};
  bytes file;
  (void)unused;
  foreign_module(&f, "rnn.", 3, 2, 2, 0, 1, 1);
  file = foreign_file(&f);
  each_truncation(&file);
  each_flip(&file);
  bytes_free(&file);
}

static void pytorch_file_with_every_bit_flipped(void **unused) {
  bytes file = pytorch_file();
  (void)unused;
  each_flip(&file);
  bytes_free(&file);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(model_truncated_at_every_byte),        cmocka_unit_test(model_with_every_bit_flipped),
      cmocka_unit_test(options_truncated_at_every_byte),      cmocka_unit_test(options_with_every_bit_flipped),
      cmocka_unit_test(pytorch_file_truncated_at_every_byte), cmocka_unit_test(pytorch_file_with_every_bit_flipped),
      cmocka_unit_test(pytorch_gru_with_every_bit_flipped)};
  return cmocka_run_group_tests_name("io damage", tests, NULL, NULL);
}
