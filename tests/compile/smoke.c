/* Uses a little of everything, so that linking it shows what is missing. Built with every configuration macro. */
#ifndef SMOKE_NO_IMPLEMENTATION
#define LSTM_IMPLEMENTATION
#endif
#ifdef SMOKE_HEADER
#include SMOKE_HEADER
#else
#include "lstm.h"
#endif
#include <stdio.h>
#include <string.h>

static lstm_status run(lstm_model *model) {
  lstm_state *state = NULL;
  float x[2] = {0.5f, -0.5f}, y[3] = {0, 0, 0};
  lstm_status status = lstm_state_create(model, NULL, &state);
  if (status == LSTM_OK) status = lstm_step(model, state, x, y);
  lstm_state_destroy(state);
  return status;
}

#ifndef LSTM_NO_TRAINING
static lstm_status train(lstm_model *model) {
  lstm_trainer_desc how;
  lstm_batch batch;
  lstm_trainer *trainer = NULL;
  float x[8] = {0, 1, 2, 3, 4, 5, 6, 7}, loss = 0;
  int32_t targets[4] = {0, 1, 2, 0};
  memset(&how, 0, sizeof how);
  memset(&batch, 0, sizeof batch);
  how.loss = LSTM_CROSS_ENTROPY;
  how.seq_len = 4;
  batch.x = x;
  batch.target_ids = targets;
  lstm_status status = lstm_trainer_create(model, &how, &trainer);
  if (status == LSTM_OK) status = lstm_train(trainer, &batch, &loss);
  lstm_trainer_destroy(trainer);
  return status;
}
#endif

#ifndef LSTM_NO_FILES
static lstm_status reload(const lstm_model *model) {
  static char file[65536];
  size_t size = 0;
  lstm_model *again = NULL;
  lstm_status status = lstm_save_memory(model, NULL, file, sizeof file, &size);
  if (status == LSTM_OK) status = lstm_load_memory(file, size, NULL, &again);
  lstm_model_destroy(again);
  return status;
}
#endif

/* Asked for and not compiled in: refused. */
static lstm_status portable(lstm_model_desc desc) {
  lstm_model *model = NULL;
  lstm_status status;
  desc.numerics = LSTM_PORTABLE;
  status = lstm_model_create(&desc, &model);
  lstm_model_destroy(model);
#ifdef LSTM_NO_PORTABLE
  return status == LSTM_ERR_UNSUPPORTED ? LSTM_OK : LSTM_ERR_ARGUMENT;
#else
  return status;
#endif
}

int main(void) {
  lstm_layer layers[2];
  lstm_model_desc desc;
  lstm_model *model = NULL;
  memset(&desc, 0, sizeof desc);
  layers[0] = lstm_lstm(5);
  layers[1] = lstm_dense(3);
  desc.input_size = 2;
  desc.layers = layers;
  desc.layer_count = 2;
  lstm_status status = lstm_model_create(&desc, &model);
  if (status == LSTM_OK) status = run(model);
  if (status == LSTM_OK) status = portable(desc);
#ifndef LSTM_NO_TRAINING
  if (status == LSTM_OK) status = train(model);
#endif
#ifndef LSTM_NO_FILES
  if (status == LSTM_OK) status = reload(model);
#endif
  lstm_model_destroy(model);
  if (status != LSTM_OK) printf("%s\n", lstm_status_text(status));
  return status == LSTM_OK ? 0 : 1;
}
