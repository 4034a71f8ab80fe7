/* Which of nine speakers said a vowel: the Japanese Vowels of the UEA archive, looked for in $LSTM_DATA or
   ../shared/data. Ragged sequences, of which only the last valid step is read. The recipes' figures of PyTorch, and
   their standard deviations over seeds, stand beside what is asserted: the mean within three of them. */
#include "lstm.h"

#include "../helpers.h"
#include "data.h"
#include "task.h"

#include <math.h>

#define CHANNELS 12
#define SPEAKERS 9
#define BATCH 27
#define EPOCHS 100
#define MOST 512 /* cases in a batch */

/* The cases cases[b] as a batch, [T][B][CHANNELS] in x. */
static lstm_batch gather(const series_set *set, const int *cases, int n, float *x, int32_t *targets, int *lengths) {
  lstm_batch batch = {0};
  int b, t;
  assert_true(n <= MOST);
  for (b = 0; b < n; b++) {
    const float *from = set->x + (size_t)cases[b] * (size_t)(set->longest * CHANNELS);
    lengths[b] = set->lengths[cases[b]], targets[b] = (int32_t)set->labels[cases[b]];
    for (t = 0; t < set->longest; t++) memcpy(x + (t * n + b) * CHANNELS, from + t * CHANNELS, CHANNELS * sizeof *x);
  }
  batch.seq_len = set->longest, batch.batch_size = n;
  batch.x = x, batch.target_ids = targets, batch.lengths = lengths;
  return batch;
}

/* Adam 1e-3, clip 1, 100 epochs of shuffled batches of 27: the share of the test cases that are right, in percent. */
static double accuracy(const series_set *train, const series_set *test, lstm_layer layer, uint64_t seed) {
  float *x = make_floats((size_t)(MOST * test->longest * CHANNELS));
  int order[MOST], lengths[MOST], epoch, i;
  int32_t targets[MOST];
  lstm_model *model;
  lstm_trainer *trainer;
  lstm_state *state;
  lstm_metrics metrics = {0};
  lstm_batch batch;
  lstm_rng rng = {0};
  rng.seed = seed;
  layer.read = LSTM_READ_LAST;
  model = task_model(CHANNELS, layer, SPEAKERS, seed);
  trainer = task_trainer(model, BATCH, train->longest, LSTM_CROSS_ENTROPY, 1e-3f);
  for (epoch = 0; epoch < EPOCHS; epoch++) {
    task_shuffle(order, train->cases, &rng);
    for (i = 0; i + BATCH <= train->cases; i += BATCH) {
      batch = gather(train, order + i, BATCH, x, targets, lengths);
      assert_ok(lstm_train(trainer, &batch, NULL));
    }
  }
  state = task_state(model, test->cases, test->longest);
  for (i = 0; i < test->cases; i++) order[i] = i;
  batch = gather(test, order, test->cases, x, targets, lengths);
  assert_ok(lstm_evaluate(model, state, &batch, LSTM_CROSS_ENTROPY, &metrics, NULL));
  free(x);
  lstm_state_destroy(state);
  lstm_trainer_destroy(trainer);
  lstm_model_destroy(model);
  return 100 * metrics.correct / metrics.targets;
}

/* Seeds 1..seeds; the mean must be within three standard deviations of PyTorch's. */
static void check_vowels(const char *name, lstm_layer layer, int seeds, double pytorch, double deviation) {
  series_set train, test;
  double mean = 0;
  int seed;
  if (!read_series("vowels/JapaneseVowels_TRAIN.ts", CHANNELS, &train)) {
    print_message("skipped: vowels/JapaneseVowels_TRAIN.ts is not in $LSTM_DATA or ../shared/data\n");
    skip();
  }
  assert_true(read_series("vowels/JapaneseVowels_TEST.ts", CHANNELS, &test));
  assert_true(train.cases == 270 && test.cases == 370 && train.longest == 26 && test.longest == 29);
  print_message("vowels, %s:", name);
  for (seed = 1; seed <= seeds; seed++) {
    double a = accuracy(&train, &test, layer, (uint64_t)seed);
    print_message(" %.1f", a);
    mean += a / seeds;
  }
  print_message(" %%; mean of %d seeds %.1f %% (PyTorch: %.1f +- %.1f, allowed: 3 of them)\n", seeds, mean, pytorch,
                deviation);
  assert_true(fabs(mean - pytorch) <= 3 * deviation);
  free_series(&train), free_series(&test);
}

static void test_vowels(void **arg) {
  (void)arg;
  check_vowels("LSTM 100", lstm_lstm(100), 5, 93.5, .8);
}

static void test_vowels_in_both_directions(void **arg) {
  lstm_layer layer = lstm_lstm(100);
  (void)arg;
  layer.bidirectional = 1;
  check_vowels("bidirectional LSTM 100", layer, 3, 96.6, 1.7);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_vowels),
      cmocka_unit_test(test_vowels_in_both_directions),
  };
  return cmocka_run_group_tests_name("learn/vowels", tests, NULL, NULL);
}
