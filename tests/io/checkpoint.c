/* Checkpoints: a resumed run has the bits of one that was never stopped, and a checkpoint of another run is refused by
   name. */
#define LSTM_IMPLEMENTATION
#include "files.h"

#define B 2
#define T 3

typedef struct run {
  lstm_model *model;
  lstm_trainer *trainer;
} run;

static lstm_trainer_desc description(lstm_optimizer optimizer) {
  lstm_trainer_desc d;
  memset(&d, 0, sizeof d);
  d.batch_size = B;
  d.seq_len = T;
  d.loss = LSTM_CROSS_ENTROPY;
  d.optimizer = optimizer;
  d.carry_state = 1;
  d.keep_best = 1;
  d.momentum = 0.5f;
  d.weight_decay = 0.01f;
  d.seed = 12345678901234567u;
  return d;
}

/* Dropout, carried lanes, two sizes of recurrent layers, two dense. */
static lstm_model *all_steps_model(void) {
  lstm_layer layers[6];
  lstm_model_desc desc;
  lstm_model *model;
  memset(&desc, 0, sizeof desc);
  layers[0] = lstm_embedding(3);
  layers[1] = lstm_lstm(3);
  layers[2] = lstm_dropout(0.25f);
  layers[3] = lstm_lstm(2);
  layers[4] = lstm_dense(3);
  layers[5] = lstm_dense(5);
  desc.input_size = 5;
  desc.layer_count = 6;
  desc.layers = layers;
  desc.seed = 3;
  assert_int_equal(lstm_model_create(&desc, &model), LSTM_OK);
  return model;
}

static run run_of(lstm_model *model, const lstm_trainer_desc *d) {
  run r;
  r.model = model;
  assert_int_equal(lstm_trainer_create(model, d, &r.trainer), LSTM_OK);
  return r;
}

static void end_run(run *r) {
  lstm_trainer_destroy(r->trainer);
  lstm_model_destroy(r->model);
}

static void train(run *r, int from, int to) {
  int step, i;
  for (step = from; step < to; ++step) {
    int32_t ids[T * B], targets[T * B];
    lstm_batch batch;
    float loss;
    memset(&batch, 0, sizeof batch);
    for (i = 0; i < T * B; ++i) {
      ids[i] = (int32_t)((step * 7 + i * 3) % 5);
      targets[i] = (int32_t)((step * 5 + i * 2 + 1) % 5);
    }
    batch.ids = ids;
    batch.target_ids = targets;
    assert_int_equal(lstm_train(r->trainer, &batch, &loss), LSTM_OK);
    if (step == 2) assert_int_equal(lstm_trainer_keep_best(r->trainer), LSTM_OK);
    if (step == 3) assert_int_equal(lstm_trainer_set_learning_rate(r->trainer, 0.0123f), LSTM_OK);
  }
}

static bytes checkpoint(const run *r) {
  bytes file = {NULL, 0, 0};
  lstm_writer writer;
  writer.write = bytes_write;
  writer.user = &file;
  assert_int_equal(lstm_trainer_save(r->trainer, NULL, &writer), LSTM_OK);
  return file;
}

static run resumed(const bytes *file, const lstm_trainer_desc *d) {
  lstm_error error;
  lstm_model *model;
  run r;
  assert_int_equal(load_exact(file->data, file->size, NULL, &model), LSTM_OK);
  r = run_of(model, d);
  if (lstm_trainer_resume(r.trainer, file->data, file->size, &error)) fail_msg("%s", error.message);
  return r;
}

static void assert_same_bytes(const bytes *a, const bytes *b) {
  assert_int_equal(a->size, b->size);
  assert_memory_equal(a->data, b->data, a->size);
}

/* N steps = k steps, save, resume, N - k steps: the checkpoints at the end hold everything, so they are compared. */
static void resumed_runs_have_the_same_bits(void **unused) {
  static const lstm_optimizer optimizers[] = {LSTM_SGD, LSTM_RMSPROP, LSTM_ADAM, LSTM_ADAMW};
  size_t i;
  int k;
  (void)unused;
  for (i = 0; i < 4; ++i)
    for (k = 0; k <= 6; ++k) {
      lstm_trainer_desc d = description(optimizers[i]);
      run whole = run_of(all_steps_model(), &d), first = run_of(all_steps_model(), &d), second;
      bytes end, middle, other;
      train(&whole, 0, 6);
      train(&first, 0, k);
      middle = checkpoint(&first);
      second = resumed(&middle, &d);
      other = checkpoint(&second);
      assert_same_bytes(&middle, &other); /* nothing was lost */
      bytes_free(&other);
      assert_int_equal(lstm_trainer_steps(second.trainer), (uint64_t)k);
      train(&second, k, 6);
      end = checkpoint(&whole);
      other = checkpoint(&second);
      assert_same_bytes(&end, &other);
      bytes_free(&end);
      bytes_free(&middle);
      bytes_free(&other);
      end_run(&whole);
      end_run(&first);
      end_run(&second);
    }
}

/* One run of cells with options: `k` windows, a checkpoint, and as many again as a run that was never stopped. */
static void resume_with_options(const lstm_layer *cells, int count, int k) {
  lstm_trainer_desc d = description(LSTM_ADAM);
  run whole, first, second;
  bytes end, middle, other;
  d.carry_state = !cells[count - 1].bidirectional;
  whole = run_of(cell_model(cells, count, k & 1), &d);
  first = run_of(cell_model(cells, count, k & 1), &d);
  train(&whole, 0, 4);
  train(&first, 0, k);
  middle = checkpoint(&first);
  second = resumed(&middle, &d);
  other = checkpoint(&second);
  assert_same_bytes(&middle, &other);
  bytes_free(&other);
  train(&second, k, 4);
  end = checkpoint(&whole);
  other = checkpoint(&second);
  assert_same_bytes(&end, &other);
  bytes_free(&end);
  bytes_free(&middle);
  bytes_free(&other);
  end_run(&whole);
  end_run(&first);
  end_run(&second);
}

static void runs_with_options_resume_with_the_same_bits(void **unused) {
  int i, k, type;
  (void)unused;
  for (k = 0; k <= 3; ++k) {
    lstm_layer cells[2];
    for (type = 0; type < 2; ++type)
      for (i = 0; i < OPTION_CASES; ++i) {
        lstm_model *model;
        cells[0] = type ? lstm_gru(3) : lstm_lstm(3);
        option_cases[i].set(cells);
        if (cells[0].read || (model = cell_model(cells, 1, 0)) == NULL) continue; /* a target for every step */
        lstm_model_destroy(model);
        cells[0].learned_state = 1;
        resume_with_options(cells, 1, k);
      }
    cells[0] = layer_with_all(lstm_gru(3));
    cells[1] = layer_with_all(lstm_lstm(4));
    cells[0].read = cells[1].read = LSTM_READ_ALL;
    cells[0].learned_state = 0;
    resume_with_options(cells, 2, k);
  }
}

/* Lanes that have not carried anything begin at the learned state, also after they were resumed: lane 1 has yet to
   begin, lane 0 goes on. */
static void lanes_that_are_anew_stay_so(void **unused) {
  lstm_trainer_desc d = description(LSTM_SGD);
  lstm_layer cell = lstm_lstm(3);
  int32_t ids[2] = {1, 2};
  lstm_batch batch;
  run first, second;
  bytes file, a, b;
  (void)unused;
  cell.learned_state = 1;
  memset(&batch, 0, sizeof batch);
  batch.ids = batch.target_ids = ids;
  batch.seq_len = batch.batch_size = 1;
  first = run_of(cell_model(&cell, 1, 0), &d);
  assert_int_equal(lstm_train(first.trainer, &batch, NULL), LSTM_OK);
  assert_true(first.trainer->anew[0] == 0 && first.trainer->anew[1] != 0);
  file = checkpoint(&first);
  second = resumed(&file, &d);
  assert_true(second.trainer->anew[0] == 0 && second.trainer->anew[1] != 0);
  train(&first, 0, 1);
  train(&second, 0, 1);
  a = checkpoint(&first);
  b = checkpoint(&second);
  assert_same_bytes(&a, &b);
  bytes_free(&a);
  bytes_free(&b);
  bytes_free(&file);
  end_run(&first);
  end_run(&second);
}

static void a_checkpoint_loads_as_its_best_weights(void **unused) {
  lstm_trainer_desc d = description(LSTM_ADAM);
  run r = run_of(all_steps_model(), &d);
  lstm_model *best;
  bytes file, at_best, loaded;
  (void)unused;
  train(&r, 0, 3); /* the last of these steps is kept as the best */
  at_best = saved(r.model);
  train(&r, 3, 6);
  file = checkpoint(&r);
  assert_int_equal(load_exact(file.data, file.size, NULL, &best), LSTM_OK);
  loaded = saved(best);
  assert_same_bytes(&at_best, &loaded);
  lstm_model_destroy(best);
  bytes_free(&loaded);
  bytes_free(&at_best);
  bytes_free(&file);
  end_run(&r);
}

static void another_description_is_refused_by_name(void **unused) {
  static const char *const names[] = {"trainer.batch_size: the checkpoint has 2, this trainer 1",
                                      "trainer.seq_len",
                                      "trainer.optimizer",
                                      "trainer.carry_state",
                                      "trainer.learning_rate",
                                      "trainer.momentum",
                                      "trainer.beta1",
                                      "trainer.beta2",
                                      "trainer.epsilon",
                                      "trainer.weight_decay",
                                      "trainer.clip_norm",
                                      "trainer.clip_value",
                                      "trainer.seed",
                                      "keep_best"};
  lstm_trainer_desc d = description(LSTM_ADAM);
  run r = run_of(all_steps_model(), &d);
  size_t i;
  bytes file;
  (void)unused;
  train(&r, 0, 4);
  file = checkpoint(&r);
  for (i = 0; i < sizeof names / sizeof names[0]; ++i) {
    lstm_trainer_desc other = d;
    lstm_error error;
    run second;
    bytes before, after;
    lstm_status status;
    switch (i) {
    case 0:
      other.batch_size = 1;
      break;
    case 1:
      other.seq_len = 4;
      break;
    case 2:
      other.optimizer = LSTM_ADAMW;
      break;
    case 3:
      other.carry_state = 0;
      break;
    case 4:
      other.learning_rate = 0.5f;
      break;
    case 5:
      other.momentum = 0.25f;
      break;
    case 6:
      other.beta1 = 0.5f;
      break;
    case 7:
      other.beta2 = 0.5f;
      break;
    case 8:
      other.epsilon = 1e-3f;
      break;
    case 9:
      other.weight_decay = 0.5f;
      break;
    case 10:
      other.clip_norm = 1;
      break;
    case 11:
      other.clip_value = 1;
      break;
    case 12:
      other.seed = 1;
      break;
    default:
      other.keep_best = 0;
      break;
    }
    second = run_of(all_steps_model(), &other);
    before = checkpoint(&second);
    status = lstm_trainer_resume(second.trainer, file.data, file.size, &error);
    if (status != LSTM_ERR_MISMATCH || !strstr(error.message, names[i])) fail_msg("%s: %s", names[i], error.message);
    after = checkpoint(&second);
    assert_same_bytes(&before, &after); /* unchanged */
    bytes_free(&before);
    bytes_free(&after);
    end_run(&second);
  }
  bytes_free(&file);
  end_run(&r);
}

static void another_model_and_plain_models_are_refused(void **unused) {
  lstm_trainer_desc d = description(LSTM_ADAM);
  run r = run_of(all_steps_model(), &d), other;
  lstm_layer layers[3];
  lstm_model_desc desc;
  lstm_model *model;
  lstm_error error;
  bytes file = checkpoint(&r), plain = saved(r.model);
  (void)unused;
  memset(&desc, 0, sizeof desc);
  layers[0] = lstm_embedding(3);
  layers[1] = lstm_lstm(4);
  layers[2] = lstm_dense(5);
  desc.input_size = 5;
  desc.layer_count = 3;
  desc.layers = layers;
  assert_int_equal(lstm_model_create(&desc, &model), LSTM_OK);
  other = run_of(model, &d);
  assert_int_equal(lstm_trainer_resume(other.trainer, file.data, file.size, &error), LSTM_ERR_MISMATCH);
  assert_non_null(strstr(error.message, "lstm.layer.1: the checkpoint has lstm hidden=3, this trainer lstm hidden=4"));
  assert_int_equal(lstm_trainer_resume(r.trainer, plain.data, plain.size, &error), LSTM_ERR_FORMAT);
  assert_non_null(strstr(error.message, "not a checkpoint"));
  assert_int_equal(lstm_trainer_resume(NULL, file.data, file.size, &error), LSTM_ERR_ARGUMENT);
  end_run(&other);
#if LSTM__HAS_PORTABLE
  {
    lstm_load_desc how;
    memset(&how, 0, sizeof how);
    how.numerics = LSTM_PORTABLE;
    assert_int_equal(lstm_load_memory(plain.data, plain.size, &how, &model), LSTM_OK);
    other = run_of(model, &d);
    assert_int_equal(lstm_trainer_resume(other.trainer, file.data, file.size, &error), LSTM_ERR_MISMATCH);
    assert_non_null(strstr(error.message, "lstm.numerics: the checkpoint has no value, this trainer portable"));
    end_run(&other);
  }
#endif
  bytes_free(&file);
  bytes_free(&plain);
  end_run(&r);
}

/* For any bytes: resumed and able to train, or refused with a sentence and unchanged. Loading them is safe too. */
static lstm_status resume_any(run *r, const bytes *fresh, const unsigned char *data, size_t size) {
  lstm_error error;
  unsigned char *copy = (unsigned char *)malloc(size ? size : 1);
  lstm_status status;
  bytes after;
  assert_non_null(copy);
  memcpy(copy, data, size);
  error.message[0] = 0;
  status = lstm_trainer_resume(r->trainer, copy, size, &error);
  free(copy);
  if (status) {
    assert_int_equal(error.status, status);
    assert_true(error.message[0] != 0);
    after = checkpoint(r);
    assert_same_bytes(fresh, &after);
    bytes_free(&after);
    return status;
  }
  {
    int32_t ids[T * B] = {0, 1, 2, 3, 4, 0};
    lstm_batch batch;
    float loss;
    lstm_status trained;
    memset(&batch, 0, sizeof batch);
    batch.ids = batch.target_ids = ids;
    trained = lstm_train(r->trainer, &batch, &loss);
    assert_true(trained == LSTM_OK || trained == LSTM_ERR_NOT_FINITE); /* a flipped exponent can overflow */
    assert_int_equal(lstm_trainer_resume(r->trainer, fresh->data, fresh->size, &error), LSTM_OK);
  }
  return LSTM_OK;
}

static run small_run(bytes *file) {
  lstm_layer layers[3];
  lstm_model_desc desc;
  lstm_trainer_desc d = description(LSTM_ADAM);
  lstm_model *model;
  run r;
  memset(&desc, 0, sizeof desc);
  layers[0] = lstm_embedding(1);
  layers[1] = lstm_lstm(1);
  layers[2] = lstm_dense(5);
  desc.input_size = 5;
  desc.layer_count = 3;
  desc.layers = layers;
  assert_int_equal(lstm_model_create(&desc, &model), LSTM_OK);
  r = run_of(model, &d);
  train(&r, 0, 3);
  *file = checkpoint(&r);
  return r;
}

static void checkpoint_truncated_at_every_byte(void **unused) {
  bytes file;
  run r = small_run(&file);
  size_t n;
  (void)unused;
  for (n = 0; n < file.size; ++n) {
    assert_true(load_any(file.data, n) != LSTM_OK);
    assert_true(resume_any(&r, &file, file.data, n) != LSTM_OK);
  }
  assert_int_equal(load_any(file.data, n), LSTM_OK);
  assert_int_equal(resume_any(&r, &file, file.data, n), LSTM_OK);
  bytes_free(&file);
  end_run(&r);
}

static void checkpoint_with_every_bit_flipped(void **unused) {
  bytes file, damaged = {NULL, 0, 0};
  run r = small_run(&file);
  size_t i;
  int bit;
  (void)unused;
  bytes_add(&damaged, file.data, file.size);
  for (i = 0; i < file.size; ++i)
    for (bit = 0; bit < 8; ++bit) {
      damaged.data[i] ^= (unsigned char)(1 << bit);
      (void)load_any(damaged.data, damaged.size);
      (void)resume_any(&r, &file, damaged.data, damaged.size);
      damaged.data[i] ^= (unsigned char)(1 << bit);
    }
  bytes_free(&file);
  bytes_free(&damaged);
  end_run(&r);
}

static void fixture_of_format_1_resumes(void **unused) {
  bytes file = {NULL, 0, 0}, after;
  lstm_trainer_desc d = description(LSTM_ADAM);
  unsigned char block[512];
  FILE *f = fopen("tests/io/fixtures/checkpoint-v1.safetensors", "rb");
  size_t n;
  run r;
  (void)unused;
  if (!f)
    fail_msg("the fixture is missing");
  else {
    while ((n = fread(block, 1, sizeof block, f)) > 0) bytes_add(&file, block, n);
    (void)fclose(f);
  }
  r = resumed(&file, &d);
  assert_int_equal(lstm_trainer_steps(r.trainer), 3);
  after = checkpoint(&r);
  assert_same_bytes(&file, &after);
  train(&r, 3, 5);
  bytes_free(&file);
  bytes_free(&after);
  end_run(&r);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(resumed_runs_have_the_same_bits),
                                     cmocka_unit_test(runs_with_options_resume_with_the_same_bits),
                                     cmocka_unit_test(lanes_that_are_anew_stay_so),
                                     cmocka_unit_test(a_checkpoint_loads_as_its_best_weights),
                                     cmocka_unit_test(another_description_is_refused_by_name),
                                     cmocka_unit_test(another_model_and_plain_models_are_refused),
                                     cmocka_unit_test(checkpoint_truncated_at_every_byte),
                                     cmocka_unit_test(checkpoint_with_every_bit_flipped),
                                     cmocka_unit_test(fixture_of_format_1_resumes)};
  if (argc == 2) { /* write the fixture of this version; once per format */
    bytes file;
    run r = small_run(&file);
    FILE *f = fopen(argv[1], "wb");
    size_t n = f ? fwrite(file.data, 1, file.size, f) : 0;
    int bad = !f || n != file.size || fclose(f);
    bytes_free(&file);
    end_run(&r);
    return bad;
  }
  return cmocka_run_group_tests_name("io checkpoint", tests, NULL, NULL);
}
