/* Any bytes as a model file: refused with a sentence, or loaded, run for a few steps, saved, loaded and saved again
   with the same bytes. A trainer of the loaded model is also asked to resume from them. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lstm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int condition) {
  if (!condition) abort();
}

/* Steps, where the model can be stepped, and a sequence of three. */
static void run(const lstm_model *model) {
  int in = lstm_model_input_size(model), out = lstm_model_output_size(model), step;
  float *x = (float *)calloc(3 * (size_t)in, sizeof *x), *y = (float *)calloc(3 * (size_t)out, sizeof *y);
  int32_t ids[3];
  lstm_state_desc desc;
  lstm_state *state = NULL;
  memset(&desc, 0, sizeof desc);
  desc.seq_len = 3;
  ids[0] = ids[1] = in - 1;
  ids[2] = 0;
  require(x && y && lstm_state_create(model, &desc, &state) == LSTM_OK);
  x[in / 2] = 1;
  for (step = 0; step < 3 && !lstm_model_bidirectional(model); ++step)
    if (lstm_model_takes_ids(model))
      require(lstm_step_ids(model, state, ids, y) == LSTM_OK);
    else
      require(lstm_step(model, state, x, y) == LSTM_OK);
  if (lstm_model_takes_ids(model))
    require(lstm_forward_ids(model, state, ids, 3, y) == LSTM_OK);
  else
    require(lstm_forward(model, state, x, 3, y) == LSTM_OK);
  lstm_state_destroy(state);
  free(x);
  free(y);
}

static void save_and_load_again(const lstm_model *model, const lstm_load_desc *how) {
  size_t size, again;
  lstm_model *copy;
  unsigned char *first, *second;
  require(lstm_save_memory(model, NULL, NULL, 0, &size) == LSTM_OK);
  first = (unsigned char *)malloc(size);
  second = (unsigned char *)malloc(size);
  require(first && second && lstm_save_memory(model, NULL, first, size, &again) == LSTM_OK && again == size);
  require(lstm_load_memory(first, size, how, &copy) == LSTM_OK);
  require(lstm_save_memory(copy, NULL, second, size, &again) == LSTM_OK && again == size);
  require(!memcmp(first, second, size));
  lstm_model_destroy(copy);
  free(first);
  free(second);
}

static void resume(lstm_model *model, const uint8_t *data, size_t size) {
  lstm_trainer_desc desc;
  lstm_trainer *trainer;
  memset(&desc, 0, sizeof desc);
  desc.keep_best = 1;
  desc.carry_state = !lstm_model_bidirectional(model);
  desc.batch_size = 2;
  desc.seq_len = 3;
  desc.loss = LSTM_CROSS_ENTROPY;
  desc.momentum = 0.5f;
  desc.weight_decay = 0.01f;
  desc.seed = 12345678901234567u;
  if (lstm_trainer_create(model, &desc, &trainer)) return;
  (void)lstm_trainer_resume(trainer, data, size, NULL);
  lstm_trainer_destroy(trainer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char assumed[64];
  lstm_load_desc how;
  lstm_error error;
  lstm_model *model;
  lstm_status status;
  memset(&how, 0, sizeof how);
  how.max_size = 64;
  how.max_layers = 8;
  how.max_bytes = 1 << 20;
  how.error = &error;
  how.assumed = assumed;
  how.assumed_capacity = sizeof assumed;
  if (size) how.allow_not_finite = data[size - 1] & 1;
  status = lstm_load_memory(data, size, &how, &model);
  require((status == LSTM_OK) == (model != NULL));
  if (!model) {
    require(error.status == status && error.message[0] && strlen(error.message) < sizeof error.message);
    return 0;
  }
  run(model);
  how.allow_not_finite = 1;
  save_and_load_again(model, &how);
  resume(model, data, size);
  lstm_model_destroy(model);
  return 0;
}
