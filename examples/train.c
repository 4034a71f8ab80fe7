/* Trains a network to count: cc -O2 -I. examples/train.c -o train && ./train [FILE]

   Its language is n times a, n times b and a full stop. To know when the full stop comes, the network must count the
   a's and count them down again (Gers and Schmidhuber, "LSTM recurrent networks learn simple context-free and context-
   sensitive languages", 2001). It reads n = 1 to 10, and can then count to 20. With FILE, the model is saved. */
#define LSTM_IMPLEMENTATION
#include "lstm.h"
#include <stdio.h>

enum { A, B, STOP, SYMBOLS, LANES = 16, STEPS = 32, UPDATES = 1500 };

/* The next symbol of an endless text, of which `n` and `written` are the place. */
static int32_t next_symbol(int *n, int *written, lstm_rng *rng) {
  if (*written == 2 * *n) {
    *n = 1 + lstm_random_index(rng, 10);
    *written = 0;
    return STOP;
  }
  return (*written)++ < *n ? A : B;
}

/* Shows the model n a's and one b, lets it go on, and returns how many b's there were before the full stop. */
static int count_back(const lstm_model *model, lstm_state *state, int n) {
  float p[SYMBOLS] = {0, 0, 0}; /* probabilities of the next symbol */
  int32_t stop = STOP, a = A, b = B;
  int written = 0;
  lstm_state_reset(state);
  lstm_step_ids(model, state, &stop, p);
  while (n-- > 0) lstm_step_ids(model, state, &a, p);
  do {
    lstm_step_ids(model, state, &b, p);
    written++;
  } while (p[B] > p[STOP] && written < 24);
  return written;
}

int main(int argc, char **argv) {
  lstm_layer layers[3];
  lstm_model_desc desc = {0};
  lstm_trainer_desc how = {0};
  lstm_batch batch = {0};
  lstm_rng rng = {1, 0};
  lstm_model *model;
  lstm_trainer *trainer;
  lstm_state *state;
  int32_t ids[STEPS][LANES], targets[STEPS][LANES], now[LANES];
  int n[LANES] = {0}, written[LANES] = {0}, lane, t, update;
  float loss;

  layers[0] = lstm_embedding(4);
  layers[1] = lstm_lstm(6);
  layers[2] = lstm_dense(SYMBOLS);
  desc.input_size = SYMBOLS, desc.layers = layers, desc.layer_count = 3, desc.seed = 1;
  how.loss = LSTM_CROSS_ENTROPY, how.batch_size = LANES, how.seq_len = STEPS, how.carry_state = 1;
  how.learning_rate = 0.02f;
  if (lstm_model_create(&desc, &model) || lstm_trainer_create(model, &how, &trainer) ||
      lstm_state_create(model, NULL, &state))
    return fprintf(stderr, "out of memory\n"), 1;

  batch.ids = ids[0], batch.target_ids = targets[0];
  for (lane = 0; lane < LANES; lane++) now[lane] = STOP;
  for (update = 1; update <= UPDATES; update++) {
    for (t = 0; t < STEPS; t++)
      for (lane = 0; lane < LANES; lane++) {
        ids[t][lane] = now[lane];
        now[lane] = next_symbol(&n[lane], &written[lane], &rng);
        targets[t][lane] = ids[t][lane] == B ? now[lane] : -1; /* only what follows a b can be known */
      }
    if (lstm_train(trainer, &batch, &loss)) return fprintf(stderr, "the training failed\n"), 1;
    if (update == 1 || update % 150 == 0) printf("update %4d  loss %.4f\n", update, (double)loss);
  }

  puts("\nas many b's as a's?");
  for (t = 2; t <= 20; t += 3) {
    int wrote = count_back(model, state, t);
    printf("%.*s%.*s.%s\n", t, "aaaaaaaaaaaaaaaaaaaa", wrote, "bbbbbbbbbbbbbbbbbbbbbbbb",
           wrote == t ? "" : "   (wrong)");
  }
  if (argc > 1 && lstm_save_file(model, NULL, argv[1])) return fprintf(stderr, "%s could not be written\n", argv[1]), 1;
  lstm_state_destroy(state);
  lstm_trainer_destroy(trainer);
  lstm_model_destroy(model);
  return 0;
}
