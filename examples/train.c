/* Trains a network to count: cc -O2 -I. examples/train.c -o train && ./train [FILE]

   The language is a, b and full stops: n times a, n times b, a full stop. To know when the full stop comes, the network must
   count the a's and count them down again (Gers and Schmidhuber, "LSTM recurrent networks learn simple context-free and
   context-sensitive languages", 2001). It sees n = 1 to 10 and is then asked about longer strings. With FILE, saves the model. */
#define LSTM_IMPLEMENTATION
#include "lstm.h"
#include <stdio.h>

enum { A, B, STOP, SYMBOLS, LANES = 16, STEPS = 32, UPDATES = 1500 };

/* The next symbol of an endless text, for one lane. */
typedef struct { int n, written; } writer;

static int32_t next_symbol(writer *w, lstm_rng *rng) {
  if (w->written == 2 * w->n) {
    w->n = 1 + lstm_random_index(rng, 10);
    w->written = 0;
    return STOP;
  }
  return w->written++ < w->n ? A : B;
}

/* A window of all lanes. Each symbol's target is the one after it, where that can be known: not after an a or a full stop. */
static void fill_window(writer *text, lstm_rng *rng, int32_t *now, int32_t *ids, int32_t *targets) {
  for (int t = 0; t < STEPS; t++)
    for (int lane = 0; lane < LANES; lane++) {
      int32_t next = next_symbol(&text[lane], rng);
      ids[t * LANES + lane] = now[lane];
      targets[t * LANES + lane] = now[lane] == B ? next : -1;
      now[lane] = next;
    }
}

/* Shows the model n a's and one b, lets it write the rest, and says how many b's it wrote. */
static int count_back(const lstm_model *model, lstm_state *state, int n) {
  float p[SYMBOLS]; /* probabilities of the next symbol */
  int32_t symbol = STOP;
  int written = 1;
  lstm_state_reset(state);
  lstm_step_ids(model, state, &symbol, p);
  for (symbol = A; n > 0; n--) lstm_step_ids(model, state, &symbol, p);
  for (symbol = B; written < 99; written++) {
    lstm_step_ids(model, state, &symbol, p);
    if (p[STOP] > p[B]) break;
  }
  return written;
}

int main(int argc, char **argv) {
  lstm_layer layers[3];
  lstm_model_desc desc = {0};
  lstm_trainer_desc how = {0};
  lstm_error error;
  lstm_model *model = NULL;
  lstm_trainer *trainer = NULL;
  lstm_state *state = NULL;
  layers[0] = lstm_embedding(4);
  layers[1] = lstm_lstm(12);
  layers[2] = lstm_dense(SYMBOLS);
  desc.input_size = SYMBOLS, desc.layers = layers, desc.layer_count = 3, desc.seed = 1, desc.error = &error;
  how.loss = LSTM_CROSS_ENTROPY, how.batch_size = LANES, how.seq_len = STEPS, how.carry_state = 1;
  how.learning_rate = 0.01f, how.error = &error;
  if (lstm_model_create(&desc, &model) || lstm_trainer_create(model, &how, &trainer) ||
      lstm_state_create(model, NULL, &state)) {
    fprintf(stderr, "%s\n", error.message);
    return 1;
  }

  int32_t ids[STEPS * LANES], targets[STEPS * LANES], now[LANES];
  writer text[LANES] = {{0, 0}};
  lstm_rng rng = {1, 0};
  lstm_batch batch = {0};
  batch.ids = ids, batch.target_ids = targets, batch.error = &error;
  for (int lane = 0; lane < LANES; lane++) now[lane] = STOP;
  for (int update = 1; update <= UPDATES; update++) {
    float loss;
    fill_window(text, &rng, now, ids, targets);
    if (lstm_train(trainer, &batch, &loss)) return fprintf(stderr, "%s\n", error.message), 1;
    if (update == 1 || update % 250 == 0) printf("update %4d  loss %.4f\n", update, (double)loss);
  }

  puts("\nhow many b's after so many a's?");
  for (int n = 2; n <= 16; n += 2) {
    int wrote = count_back(model, state, n);
    printf("%.*s%.*s.%s\n", n, "aaaaaaaaaaaaaaaa", wrote, "bbbbbbbbbbbbbbbbbbbbbbbb", wrote == n ? "" : "   <- wrong");
  }
  if (argc > 1 && lstm_save_file(model, NULL, argv[1])) return fprintf(stderr, "%s was not saved\n", argv[1]), 1;
  lstm_state_destroy(state);
  lstm_trainer_destroy(trainer);
  lstm_model_destroy(model);
  return 0;
}
