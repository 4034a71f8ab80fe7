/* An encoder and a decoder, trained together: cc -O2 -I. examples/pair.c -o pair && ./pair

   The encoder reads a word of four letters. The decoder begins at the state where the encoder ended, and writes the
   word backwards. The gradient takes the same way back: it leaves the decoder at its initial states and enters the
   encoder at its final ones (Sutskever, Vinyals and Le, "Sequence to sequence learning with neural networks", 2014). */
#define LSTM_IMPLEMENTATION
#include "lstm.h"
#include <stdio.h>
#include <string.h>

enum { LETTERS = 8, START = LETTERS, STEPS = 4, LANES = 32, UNITS = 32, STATE = 2 * UNITS, UPDATES = 600 };

/* One training step of both. b[0] is the encoder's batch, b[1] the decoder's; h and d_h [B][S] are what goes over, and
   its gradient. */
static lstm_status train_pair(lstm_trainer *encoder, lstm_trainer *decoder, lstm_batch *b, float *h, float *d_h,
                              float *loss) {
  lstm_flow from = {0}, into = {0};
  lstm_status s = lstm_trainer_forward(encoder, &b[0], NULL);
  if (s == LSTM_OK) s = lstm_trainer_final(encoder, h);
  b[1].initial = h;
  from.d_initial = d_h;
  into.d_final = d_h;
  lstm_trainer_zero_gradients(encoder);
  lstm_trainer_zero_gradients(decoder);
  if (s == LSTM_OK) s = lstm_trainer_forward(decoder, &b[1], NULL);
  if (s == LSTM_OK) s = lstm_trainer_loss(decoder, &b[1], loss);
  if (s == LSTM_OK) s = lstm_trainer_backward(decoder, &from);
  if (s == LSTM_OK) s = lstm_trainer_backward(encoder, &into);
  if (s == LSTM_OK) s = lstm_trainer_clip(encoder, NULL); /* each by its own norm */
  if (s == LSTM_OK) s = lstm_trainer_clip(decoder, NULL);
  if (s == LSTM_OK) s = lstm_trainer_update(encoder);
  return s == LSTM_OK ? lstm_trainer_update(decoder) : s;
}

/* A network of `tokens` with that many outputs, or without any: then only its state is of use. */
static lstm_trainer *create(int tokens, int outputs) {
  lstm_layer layers[3];
  lstm_model_desc desc = {0};
  lstm_trainer_desc how = {0};
  lstm_model *model;
  lstm_trainer *trainer;
  layers[0] = lstm_embedding(8), layers[1] = lstm_lstm(UNITS), layers[2] = lstm_dense(outputs);
  desc.input_size = tokens, desc.layers = layers, desc.layer_count = outputs ? 3 : 2, desc.seed = 1;
  how.loss = outputs ? LSTM_CROSS_ENTROPY : LSTM_LOSS_NONE;
  how.batch_size = LANES, how.seq_len = STEPS, how.learning_rate = 0.01f;
  if (lstm_model_create(&desc, &model) || lstm_trainer_create(model, &how, &trainer)) return NULL;
  return trainer;
}

static void destroy(lstm_trainer *trainer) {
  lstm_model *model = lstm_trainer_model(trainer);
  lstm_trainer_destroy(trainer);
  lstm_model_destroy(model);
}

/* Lets the pair write one word backwards. */
static void write_backwards(const lstm_model *encoder, const lstm_model *decoder, const int32_t *word, lstm_rng *rng) {
  float values[STATE], p[LETTERS];
  int32_t id = START;
  lstm_state *reading = NULL, *writing = NULL;
  int t, right = 0;
  if (lstm_state_create(encoder, NULL, &reading) || lstm_state_create(decoder, NULL, &writing)) return;
  lstm_forward_ids(encoder, reading, word, STEPS, NULL);
  lstm_state_get(encoder, reading, 0, values);
  lstm_state_set(decoder, writing, 0, values);
  for (t = 0; t < STEPS; t++) printf("%c", (int)('a' + word[t]));
  printf(" -> ");
  for (t = 0; t < STEPS; t++) {
    lstm_step_ids(decoder, writing, &id, p);
    id = lstm_sample(p, LETTERS, 0, rng); /* temperature 0: the likeliest */
    printf("%c", (int)('a' + id));
    right += id == word[STEPS - 1 - t];
  }
  puts(right == STEPS ? "" : "   (wrong)");
  lstm_state_destroy(reading);
  lstm_state_destroy(writing);
}

int main(void) {
  static int32_t words[STEPS][LANES], given[STEPS][LANES], wanted[STEPS][LANES];
  static float h[LANES][STATE], d_h[LANES][STATE];
  lstm_trainer *encoder = create(LETTERS, 0), *decoder = create(LETTERS + 1, LETTERS);
  lstm_batch b[2];
  lstm_rng rng = {1, 0};
  int update, lane, t;
  float loss;

  if (!encoder || !decoder) return fprintf(stderr, "out of memory\n"), 1;
  memset(b, 0, sizeof b);
  b[0].ids = words[0], b[1].ids = given[0], b[1].target_ids = wanted[0];
  for (update = 1; update <= UPDATES; update++) {
    for (lane = 0; lane < LANES; lane++) {
      for (t = 0; t < STEPS; t++) words[t][lane] = lstm_random_index(&rng, LETTERS);
      for (t = 0; t < STEPS; t++) wanted[t][lane] = words[STEPS - 1 - t][lane];
      for (t = 0; t < STEPS; t++) given[t][lane] = t ? wanted[t - 1][lane] : START;
    }
    if (train_pair(encoder, decoder, b, h[0], d_h[0], &loss)) return fprintf(stderr, "the training failed\n"), 1;
    if (update == 1 || update % 100 == 0) printf("update %4d  loss %.4f\n", update, (double)loss);
  }

  for (lane = 0; lane < 5; lane++) {
    int32_t word[STEPS];
    for (t = 0; t < STEPS; t++) word[t] = lstm_random_index(&rng, LETTERS);
    write_backwards(lstm_trainer_model(encoder), lstm_trainer_model(decoder), word, &rng);
  }
  destroy(encoder);
  destroy(decoder);
  return 0;
}
