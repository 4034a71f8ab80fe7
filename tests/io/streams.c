/* Readers and writers that fail, for every k; files by name; metadata that will not do. */
#include "files.h"

typedef struct stream {
  const bytes *from; /* when reading */
  size_t at, piece;  /* at most `piece` bytes at a time */
  int calls, fail_at;
} stream;

static size_t stream_read(void *user, void *data, size_t size) {
  stream *s = (stream *)user;
  size_t n = s->from->size - s->at;
  if (++s->calls == s->fail_at) return (size_t)-1;
  if (n > size) n = size;
  if (n > s->piece) n = s->piece;
  memcpy(data, s->from->data + s->at, n);
  s->at += n;
  return n;
}

static int stream_write(void *user, const void *data, size_t size) {
  stream *s = (stream *)user;
  (void)data;
  (void)size;
  return ++s->calls != s->fail_at;
}

static void the_kth_read_fails(void **unused) {
  lstm_model *model = small_model();
  bytes file = saved(model);
  int k, done = 0;
  (void)unused;
  for (k = 1; !done; ++k) {
    budget b = {0, 0, 0, 0, 0};
    stream s;
    lstm_reader reader;
    lstm_load_desc how;
    lstm_error error;
    lstm_model *again;
    lstm_status status;
    memset(&s, 0, sizeof s);
    memset(&how, 0, sizeof how);
    s.from = &file;
    s.piece = 100;
    s.fail_at = k;
    reader.read = stream_read;
    reader.user = &s;
    how.allocator = allocator_of(&b);
    how.error = &error;
    status = lstm_load(&reader, &how, &again);
    done = status == LSTM_OK;
    if (!done) {
      assert_int_equal(status, LSTM_ERR_IO);
      assert_null(again);
    }
    lstm_model_destroy(again);
    assert_int_equal(b.live, 0);
  }
  assert_true(k > 20);
  lstm_model_destroy(model);
  bytes_free(&file);
}

static void the_kth_write_fails(void **unused) {
  lstm_model *model = small_model();
  lstm_trainer_desc how;
  lstm_trainer *trainer;
  int k, done, which;
  (void)unused;
  memset(&how, 0, sizeof how);
  how.loss = LSTM_CROSS_ENTROPY;
  assert_int_equal(lstm_trainer_create(model, &how, &trainer), LSTM_OK);
  for (which = 0; which < 2; ++which)
    for (k = 1, done = 0; !done; ++k) {
      stream s;
      lstm_writer writer;
      lstm_error error;
      lstm_save_desc desc;
      lstm_status status;
      memset(&s, 0, sizeof s);
      memset(&desc, 0, sizeof desc);
      s.fail_at = k;
      writer.write = stream_write;
      writer.user = &s;
      desc.error = &error;
      status = which ? lstm_trainer_save(trainer, &desc, &writer) : lstm_save(model, &desc, &writer);
      done = status == LSTM_OK;
      if (!done) {
        assert_int_equal(status, LSTM_ERR_IO);
        assert_int_equal(s.calls, k); /* nothing is written after a failure */
      }
    }
  lstm_trainer_destroy(trainer);
  lstm_model_destroy(model);
}

static void a_reader_that_never_ends_or_lies_is_stopped(void **unused) {
  bytes endless = {NULL, 0, 0};
  stream s;
  lstm_reader reader;
  lstm_load_desc how;
  lstm_model *model;
  size_t i;
  (void)unused;
  for (i = 0; i < 100000; ++i) bytes_add(&endless, "{", 1);
  memset(&s, 0, sizeof s);
  memset(&how, 0, sizeof how);
  s.from = &endless;
  s.piece = 1000;
  reader.read = stream_read;
  reader.user = &s;
  how.max_bytes = 50000;
  assert_int_equal(lstm_load(&reader, &how, &model), LSTM_ERR_LIMIT);
  assert_null(model);
  assert_true(s.at <= 66000);
  bytes_free(&endless);
}

static void files_by_name(void **unused) {
  static const char path[] = "build/io-\xc3\xa9.safetensors";
  lstm_model *model = small_model(), *again;
  lstm_error error;
  lstm_save_desc to;
  lstm_load_desc from;
  bytes file = saved(model), other;
  FILE *left;
  (void)unused;
  memset(&to, 0, sizeof to);
  memset(&from, 0, sizeof from);
  to.error = from.error = &error;
  if (lstm_save_file(model, &to, path)) fail_msg("%s", error.message);
  left = fopen("build/io-\xc3\xa9.safetensors.tmp", "rb");
  assert_null(left);
  assert_int_equal(lstm_load_file(path, &from, &again), LSTM_OK);
  other = saved(again);
  assert_int_equal(file.size, other.size);
  assert_memory_equal(file.data, other.data, file.size);
  lstm_model_destroy(again);
  (void)remove(path);
  assert_int_equal(lstm_load_file("build/no such file", &from, &again), LSTM_ERR_IO);
  assert_null(again);
  assert_non_null(strstr(error.message, "cannot open build/no such file: "));
  assert_int_equal(lstm_load_file("tests", &from, &again), LSTM_ERR_IO);
  assert_non_null(strstr(error.message, "tests: "));
  assert_int_equal(lstm_save_file(model, &to, "build/no such folder/x"), LSTM_ERR_IO);
  assert_non_null(strstr(error.message, "cannot create build/no such folder/x.tmp: "));
  bytes_free(&file);
  bytes_free(&other);
  lstm_model_destroy(model);
}

static void metadata_that_will_not_do(void **unused) {
  static const lstm_meta bad[] = {{"lstm.version", "1"}, {"trainer.steps", "1"}, {"", "x"},          {"a\"b", "x"},
                                  {"a\nb", "x"},         {"a", "\xff"},          {"a", "\xc0\xaf"}, {"a",
                                                                                                     "\xed\xa0\x80"},
                                  {"\xf5", "x"},         {NULL, "x"},            {"x", NULL}};
  lstm_model *model = small_model();
  lstm_error error;
  lstm_save_desc how;
  size_t i, size;
  (void)unused;
  memset(&how, 0, sizeof how);
  how.error = &error;
  how.meta_count = 1;
  for (i = 0; i < sizeof bad / sizeof bad[0]; ++i) {
    how.meta = &bad[i];
    assert_int_equal(lstm_save_memory(model, &how, NULL, 0, &size), LSTM_ERR_ARGUMENT);
  }
  {
    lstm_meta twice[2] = {{"a", "1"}, {"a", "2"}};
    how.meta = twice;
    how.meta_count = 2;
    assert_int_equal(lstm_save_memory(model, &how, NULL, 0, &size), LSTM_ERR_ARGUMENT);
    assert_non_null(strstr(error.message, "a is there twice"));
  }
  lstm_model_destroy(model);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(the_kth_read_fails), cmocka_unit_test(the_kth_write_fails),
                                     cmocka_unit_test(a_reader_that_never_ends_or_lies_is_stopped),
                                     cmocka_unit_test(files_by_name), cmocka_unit_test(metadata_that_will_not_do)};
  return cmocka_run_group_tests_name("io streams", tests, NULL, NULL);
}
