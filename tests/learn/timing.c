/* Spikes 49 or 50 steps apart: the task of Gers, Schraudolph and Schmidhuber, "Learning precise timing with LSTM
   recurrent networks", 2002. The one input is 1 at two spikes and else 0. At the second spike the output says which of
   the two delays it was; at all other steps it must be silent. No shorter delays help with learning.

   A cell can count the steps, and a 50th of its count decides. Without peepholes all that the gates and the output get
   to know of it is o * tanh(c); with them the gates see c itself. So the same network is trained with and without, from
   the same seeds, with the same sequences. */
#include "lstm.h"

#include "../helpers.h"
#include "task.h"

#define SHORT_DELAY 49
#define LONG_DELAY 50
#define OFFSETS 10 /* the first spike comes at step 0..9 */
#define T (OFFSETS + LONG_DELAY)
#define BATCH 16
#define TESTS (OFFSETS * 2) /* all sequences there are */
#define ANSWER_WEIGHT 50    /* of the step that matters, beside some 55 silent ones of weight 1 */
#define LOOK_EVERY (100 * BATCH)

typedef struct timing_batch {
  float x[T * TESTS], targets[T * TESTS], weights[T * TESTS];
  int lengths[TESTS];
} timing_batch;

/* Lane b: a first spike at step `first` and the second one `delay` steps later. */
static void place_spikes(timing_batch *s, int b, int lanes, int first, int delay) {
  int t, second = first + delay;
  for (t = 0; t <= second; t++) {
    s->x[t * lanes + b] = t == first || t == second;
    s->targets[t * lanes + b] = t == second && delay == LONG_DELAY;
    s->weights[t * lanes + b] = t == second ? ANSWER_WEIGHT : 1;
  }
  s->lengths[b] = second + 1;
}

static lstm_batch as_batch(const timing_batch *s, int lanes) {
  lstm_batch batch = {0};
  batch.seq_len = T, batch.batch_size = lanes;
  batch.x = s->x, batch.targets = s->targets, batch.weights = s->weights, batch.lengths = s->lengths;
  return batch;
}

/* 1: on each of the 20 sequences the output is on its target's side of 1/2 at every step. */
static int is_solved(const lstm_model *model, lstm_state *state) {
  static timing_batch s;
  static float y[T * TESTS];
  lstm_batch batch;
  int b, t;
  for (b = 0; b < TESTS; b++) place_spikes(&s, b, TESTS, b / 2, b % 2 ? LONG_DELAY : SHORT_DELAY);
  batch = as_batch(&s, TESTS);
  lstm_state_reset(state);
  assert_ok(lstm_forward_batch(model, state, &batch, y, NULL));
  for (b = 0; b < TESTS; b++)
    for (t = 0; t < s.lengths[b]; t++)
      if ((y[t * TESTS + b] > .5f) != (s.targets[t * TESTS + b] > .5f)) return 0;
  return 1;
}

/* Cells that begin by keeping what they have (forget bias 7) and adding little to it (input bias -4 or -5), or 50 steps
   would bring them to where tanh is flat. */
static void begin_as_counters(lstm_model *model, int units, float input_bias) {
  lstm_tensor bias;
  int i = 0;
  do assert_ok(lstm_model_tensor(model, i++, &bias));
  while (strcmp(bias.name, "rnn.bias_ih_l0") != 0);
  for (i = 0; i < units; i++) bias.data[i] += input_bias, bias.data[units + i] += 7;
  lstm_model_refresh(model);
}

/* 1: solved with at most `limit` training sequences. */
static int learns_timing(int units, int peephole, float input_bias, int limit, uint64_t seed) {
  lstm_layer layer = lstm_lstm(units);
  lstm_model *model;
  lstm_trainer *trainer;
  lstm_state *state;
  lstm_rng rng = {0};
  int n, b, solved = 0;
  rng.seed = seed;
  layer.peephole = peephole;
  model = task_model(1, layer, 1, seed);
  begin_as_counters(model, units, input_bias);
  trainer = task_trainer(model, BATCH, T, LSTM_BINARY_CROSS_ENTROPY, 1e-2f);
  state = task_state(model, TESTS, T);
  for (n = 0; n <= limit && !solved; n += BATCH) {
    timing_batch s;
    lstm_batch batch;
    for (b = 0; b < BATCH; b++) {
      int first = lstm_random_index(&rng, OFFSETS);
      place_spikes(&s, b, BATCH, first, lstm_random_index(&rng, 2) ? LONG_DELAY : SHORT_DELAY);
    }
    if (n % LOOK_EVERY == 0) solved = is_solved(model, state);
    batch = as_batch(&s, BATCH);
    assert_ok(lstm_train(trainer, &batch, NULL));
  }
  lstm_state_destroy(state);
  lstm_trainer_destroy(trainer);
  lstm_model_destroy(model);
  return solved;
}

/* Of seeds 1..seeds, how many solve it: [0] without peepholes, [1] with them. */
static void compare_cells(int units, float input_bias, int limit, int seeds, int solved[2]) {
  int peephole, seed;
  for (peephole = 0; peephole < 2; peephole++)
    for (solved[peephole] = 0, seed = 1; seed <= seeds; seed++)
      solved[peephole] += learns_timing(units, peephole, input_bias, limit, (uint64_t)seed);
  print_message(
      "timing, 49 or 50 steps, %d unit%s: all %d sequences right within %d training sequences: %d of %d seeds "
      "with peepholes, %d without\n",
      units, units == 1 ? "" : "s", TESTS, limit, solved[1], seeds, solved[0]);
}

/* Of 24 seeds, 17 with peepholes and 2 without. */
static void test_four_units(void **arg) {
  int solved[2];
  (void)arg;
  compare_cells(4, -4, 40000, 5, solved);
  assert_true(solved[1] >= 3);
  assert_true(solved[1] > solved[0]);
}

/* One cell, as in the paper. Of 16 seeds, 9 with peepholes and none without. */
static void test_one_unit(void **arg) {
  int solved[2];
  (void)arg;
  compare_cells(1, -5, 60000, 4, solved);
  assert_true(solved[1] >= 2);
  assert_int_equal(solved[0], 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_four_units),
      cmocka_unit_test(test_one_unit),
  };
  return cmocka_run_group_tests_name("learn/timing", tests, NULL, NULL);
}
