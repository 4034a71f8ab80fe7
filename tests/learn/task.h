/* What the learning tasks share: two-line models and trainers, and orders. Include it after "../helpers.h". */
#ifndef LSTM_TESTS_TASK_H
#define LSTM_TESTS_TASK_H

/* A recurrent layer and a dense one, with PyTorch's initial weights, as in the recipes. */
static inline lstm_model *task_model(int input, lstm_layer recurrent, int output, uint64_t seed) {
  lstm_layer layers[2];
  lstm_model_desc desc = {0};
  lstm_model *model;
  layers[0] = recurrent, layers[1] = lstm_dense(output);
  desc.input_size = input, desc.layers = layers, desc.layer_count = 2, desc.init = LSTM_INIT_PYTORCH, desc.seed = seed;
  assert_ok(lstm_model_create(&desc, &model));
  return model;
}

/* Adam, and gradients clipped at a norm of 1. */
static inline lstm_trainer *task_trainer(lstm_model *model, int batch, int steps, lstm_loss loss, float rate) {
  lstm_trainer_desc desc = {0};
  lstm_trainer *trainer;
  desc.batch_size = batch, desc.seq_len = steps, desc.loss = loss, desc.learning_rate = rate, desc.clip_norm = 1;
  assert_ok(lstm_trainer_create(model, &desc, &trainer));
  return trainer;
}

static inline lstm_state *task_state(const lstm_model *model, int lanes, int steps) {
  lstm_state_desc desc = {0};
  lstm_state *state;
  desc.lanes = lanes, desc.seq_len = steps;
  assert_ok(lstm_state_create(model, &desc, &state));
  return state;
}

/* 0..n-1 in a new order. */
static inline void task_shuffle(int *order, int n, lstm_rng *rng) {
  int i;
  for (i = 0; i < n; i++) order[i] = i;
  for (i = n - 1; i > 0; i--) {
    int k = lstm_random_index(rng, i + 1), swap = order[i];
    order[i] = order[k], order[k] = swap;
  }
}

#endif
