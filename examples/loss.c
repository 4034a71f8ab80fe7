/* A loss of your own, checked: cc -O2 -I. examples/loss.c -o loss && ./loss

   A forecast of tomorrow's load, where too little costs nine times as much as too much. The library has no such loss:
   the parts of a training step take it in between, and lstm_gradcheck says whether its gradient is right. */
#define LSTM_IMPLEMENTATION
#include "lstm.h"
#include <stdio.h>

enum { STEPS = 32, LANES = 16, COUNT = STEPS * LANES, UPDATES = 300 };

static float load[COUNT], wanted[COUNT]; /* [T][B] */

/* The mean of w (y - wanted)^2, w = 0.9 for too little and 0.1 for too much; d_y is its gradient. user: a double by
   which the gradient is off; NULL: right. */
static double loss_of(void *user, const double *y, float *d_y) {
  double loss = 0, off = user ? *(const double *)user : 1;
  for (int i = 0; i < COUNT; i++) {
    double d = y[i] - (double)wanted[i], w = d < 0 ? 0.9 : 0.1;
    loss += w * d * d / COUNT;
    if (d_y) d_y[i] = (float)(off * 2 * w * d / COUNT);
  }
  return loss;
}

/* What lstm_train does, in this order, with this loss in its place. */
static lstm_status train(lstm_trainer *trainer, const lstm_batch *batch, double *loss) {
  static float y[COUNT], d_y[COUNT];
  static double exact[COUNT];
  lstm_flow flow = {0};
  lstm_status s = lstm_trainer_forward(trainer, batch, y);
  for (int i = 0; i < COUNT; i++) exact[i] = (double)y[i];
  *loss = loss_of(NULL, exact, d_y);
  flow.d_output = d_y;
  lstm_trainer_zero_gradients(trainer);
  if (s == LSTM_OK) s = lstm_trainer_backward(trainer, &flow);
  if (s == LSTM_OK) s = lstm_trainer_clip(trainer, NULL);
  return s == LSTM_OK ? lstm_trainer_update(trainer) : s;
}

/* Loads that drift; what is wanted is the load with up to half of it more or less. */
static void draw(lstm_rng *rng) {
  for (int i = 0; i < COUNT; i++) {
    float before = i < LANES ? 0.5f : load[i - LANES];
    load[i] = 0.8f * before + 0.2f * lstm_random(rng);
    wanted[i] = load[i] * (0.5f + lstm_random(rng));
  }
}

/* The error that the check finds where the gradient is `off` times what it should be. */
static double error_of(lstm_trainer *trainer, const lstm_batch *batch, double off) {
  lstm_gradcheck_desc desc = {0};
  lstm_gradcheck_result result;
  desc.loss = loss_of;
  desc.user = &off;
  return lstm_gradcheck(trainer, batch, &desc, &result) == LSTM_OK ? result.error : 1e9;
}

int main(void) {
  lstm_layer layers[2];
  lstm_model_desc desc = {0};
  lstm_trainer_desc how = {0};
  lstm_batch batch = {0};
  lstm_model *model;
  lstm_trainer *trainer;
  lstm_rng rng = {1, 0};
  static float y[COUNT];
  double loss = 0, first = 0, right, wrong;
  int enough = 0;
  layers[0] = lstm_lstm(16), layers[1] = lstm_dense(1);
  desc.input_size = 1, desc.layers = layers, desc.layer_count = 2, desc.seed = 1;
  how.batch_size = LANES, how.seq_len = STEPS, how.learning_rate = 0.01f; /* how.loss stays none */
  if (lstm_model_create(&desc, &model) || lstm_trainer_create(model, &how, &trainer)) return 1;
  batch.x = load;
  for (int update = 0; update < UPDATES; update++) {
    draw(&rng);
    if (train(trainer, &batch, &loss) != LSTM_OK) return 1;
    if (update == 0) first = loss;
  }
  draw(&rng);
  if (lstm_trainer_forward(trainer, &batch, y) != LSTM_OK) return 1;
  for (int i = 0; i < COUNT; i++) enough += y[i] >= wanted[i];
  printf("loss %.4f at first, %.4f after %d updates; the forecast is enough in %d of %d cases\n", first, loss, UPDATES,
         enough, COUNT);
  right = error_of(trainer, &batch, 1);
  wrong = error_of(trainer, &batch, 1.01);
  printf("the check finds %.1e in the gradient, and %.1e in one that is 1 %% off; the bound is %.1e\n", right, wrong,
         LSTM_GRADCHECK_TOLERANCE);
  lstm_trainer_destroy(trainer);
  lstm_model_destroy(model);
  return !(loss < first / 2 && enough > COUNT * 7 / 10 && right < LSTM_GRADCHECK_TOLERANCE && wrong > right * 10);
}
