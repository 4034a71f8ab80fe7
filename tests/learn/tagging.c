/* Which part of speech each word of a sentence is: English Web Treebank, looked for in $LSTM_DATA or ../shared/data.
   The most frequent tag of each word is right for 86.1 % of the words; PyTorch, by the same recipe, 90.2 +- 0.1 %. */
#include "lstm.h"

#include "../helpers.h"
#include "data.h"
#include "task.h"

#define TAGS 17
#define BATCH 32
#define EPOCHS 3
#define LIMIT 89.5 /* percent */

/* --- words and tags as numbers ------------------------------------------------------------------------------------ */

#define SLOTS 65536 /* of the hash table; the training text has some 16,000 different words */

typedef struct vocabulary {
  const char *words[SLOTS];
  int counts[SLOTS], ids[SLOTS];
  int size;               /* ids: 0 for rare words, then 1..size - 1 */
  const char *tags[TAGS]; /* in order of appearance */
} vocabulary;

/* The word's slot, or the free one where it belongs. */
static int find_slot(const vocabulary *v, const char *word) {
  int i = (int)(fnv1a(FNV_BEGIN, word, strlen(word)) % SLOTS);
  while (v->words[i] && strcmp(v->words[i], word) != 0) i = (i + 1) % SLOTS;
  return i;
}

/* Words that occur at least twice get an id, in order of their second appearance. */
static void count_words(vocabulary *v, const tagged_text *text) {
  int i, slot;
  v->size = 1;
  for (i = 0; i < text->count; i++) {
    slot = find_slot(v, text->words[i]);
    v->words[slot] = text->words[i];
    if (++v->counts[slot] == 2) v->ids[slot] = v->size++;
  }
}

static int32_t word_id(const vocabulary *v, const char *word) { return (int32_t)v->ids[find_slot(v, word)]; }

static int32_t tag_id(vocabulary *v, const char *tag) {
  int i;
  for (i = 0; i < TAGS; i++) {
    if (!v->tags[i]) v->tags[i] = tag;
    if (strcmp(v->tags[i], tag) == 0) return (int32_t)i;
  }
  fail_msg("tag %s is one too many", tag);
  return -1;
}

/* --- batches ------------------------------------------------------------------------------------------------------ */

typedef struct corpus {
  tagged_text text;
  int32_t *ids, *tags; /* [text.count] */
  int longest;         /* sentence */
} corpus;

static void number_words(corpus *c, vocabulary *v) {
  int i;
  c->ids = (int32_t *)make_array((size_t)c->text.count, sizeof *c->ids);
  c->tags = (int32_t *)make_array((size_t)c->text.count, sizeof *c->tags);
  for (i = 0; i < c->text.count; i++) c->ids[i] = word_id(v, c->text.words[i]), c->tags[i] = tag_id(v, c->text.tags[i]);
  for (i = 0; i < c->text.sentences; i++) {
    int n = c->text.starts[i + 1] - c->text.starts[i];
    if (n > c->longest) c->longest = n;
  }
}

/* The n sentences as a batch that is as long as the longest of them. */
static lstm_batch gather(const corpus *c, const int *sentences, int n, int32_t *ids, int32_t *tags, int *lengths) {
  lstm_batch batch = {0};
  const int *starts = c->text.starts;
  int b, t;
  for (b = 0; b < n; b++) {
    lengths[b] = starts[sentences[b] + 1] - starts[sentences[b]];
    if (lengths[b] > batch.seq_len) batch.seq_len = lengths[b];
  }
  memset(ids, 0, (size_t)(batch.seq_len * n) * sizeof *ids);
  memset(tags, 0, (size_t)(batch.seq_len * n) * sizeof *tags);
  for (b = 0; b < n; b++)
    for (t = 0; t < lengths[b]; t++) {
      ids[t * n + b] = c->ids[starts[sentences[b]] + t];
      tags[t * n + b] = c->tags[starts[sentences[b]] + t];
    }
  batch.batch_size = n;
  batch.ids = ids, batch.target_ids = tags, batch.lengths = lengths;
  return batch;
}

static lstm_model *make_tagger(int words, uint64_t seed) {
  lstm_layer layers[3];
  lstm_model_desc desc = {0};
  lstm_model *model;
  layers[0] = lstm_embedding(64), layers[1] = lstm_lstm(64), layers[2] = lstm_dense(TAGS);
  layers[1].bidirectional = 1;
  desc.input_size = words, desc.layers = layers, desc.layer_count = 3, desc.init = LSTM_INIT_PYTORCH, desc.seed = seed;
  assert_ok(lstm_model_create(&desc, &model));
  return model;
}

/* The share of words that get the right tag, in percent. */
static double evaluate(const lstm_model *model, const corpus *c) {
  int32_t *ids = (int32_t *)make_array((size_t)(c->longest * BATCH), sizeof *ids);
  int32_t *tags = (int32_t *)make_array((size_t)(c->longest * BATCH), sizeof *tags);
  int lengths[BATCH], sentences[BATCH], i, n;
  lstm_state *state = task_state(model, BATCH, c->longest);
  lstm_metrics metrics = {0};
  for (i = 0; i < c->text.sentences; i += BATCH) {
    lstm_batch batch;
    for (n = 0; n < BATCH && i + n < c->text.sentences; n++) sentences[n] = i + n;
    batch = gather(c, sentences, n, ids, tags, lengths);
    lstm_state_reset(state);
    assert_ok(lstm_evaluate(model, state, &batch, LSTM_CROSS_ENTROPY, &metrics, NULL));
  }
  assert_int_equal((int)metrics.targets, c->text.count);
  lstm_state_destroy(state);
  free(ids), free(tags);
  return 100 * metrics.correct / metrics.targets;
}

/* Adam 2e-3, clip 5, 3 epochs of shuffled batches of 32 sentences. */
static double accuracy(const corpus *train, const corpus *dev, int words, uint64_t seed) {
  int32_t *ids = (int32_t *)make_array((size_t)(train->longest * BATCH), sizeof *ids);
  int32_t *tags = (int32_t *)make_array((size_t)(train->longest * BATCH), sizeof *tags);
  int *order = (int *)make_array((size_t)train->text.sentences, sizeof *order), lengths[BATCH], epoch, i;
  lstm_model *model = make_tagger(words, seed);
  lstm_trainer_desc how = {0};
  lstm_trainer *trainer;
  lstm_rng rng = {0};
  double result;
  rng.seed = seed;
  how.batch_size = BATCH, how.seq_len = train->longest, how.loss = LSTM_CROSS_ENTROPY, how.learning_rate = 2e-3f;
  how.clip_norm = 5;
  assert_ok(lstm_trainer_create(model, &how, &trainer));
  for (epoch = 0; epoch < EPOCHS; epoch++) {
    task_shuffle(order, train->text.sentences, &rng);
    for (i = 0; i < train->text.sentences; i += BATCH) {
      int n = train->text.sentences - i < BATCH ? train->text.sentences - i : BATCH;
      lstm_batch batch = gather(train, order + i, n, ids, tags, lengths);
      assert_ok(lstm_train(trainer, &batch, NULL));
    }
  }
  result = evaluate(model, dev);
  free(ids), free(tags), free(order);
  lstm_trainer_destroy(trainer);
  lstm_model_destroy(model);
  return result;
}

static void test_tagging(void **arg) {
  static vocabulary words;
  static corpus train, dev;
  double first, second;
  (void)arg;
  if (!read_tagged("tagging/en_ewt_train.form_upos.tsv", &train.text)) {
    print_message("skipped: tagging/en_ewt_train.form_upos.tsv is not in $LSTM_DATA or ../shared/data\n");
    skip();
  }
  assert_true(read_tagged("tagging/en_ewt_dev.form_upos.tsv", &dev.text));
  assert_true(train.text.sentences == 12544 && dev.text.sentences == 2001);
  count_words(&words, &train.text);
  number_words(&train, &words);
  number_words(&dev, &words);
  first = accuracy(&train, &dev, words.size, 1);
  second = accuracy(&train, &dev, words.size, 2);
  print_message("tagging: %.2f %.2f %%; mean of 2 seeds %.2f %% (at least %.1f; PyTorch: 90.2 +- 0.1)\n", first, second,
                (first + second) / 2, LIMIT);
  assert_true((first + second) / 2 >= LIMIT);
  free_tagged(&train.text), free_tagged(&dev.text);
  free(train.ids), free(train.tags), free(dev.ids), free(dev.tags);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_tagging),
  };
  return cmocka_run_group_tests_name("learn/tagging", tests, NULL, NULL);
}
