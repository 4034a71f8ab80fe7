/* Training in slices: lstm_train_some ends with the bits of lstm_train, for every option of a network and a trainer,
   however the step is cut; what its tiles are bounded by; what else may be called while a step is under way. */
#define LSTM_IMPLEMENTATION
#define LSTM__SLICE slice_work /* so that steps of small networks have many tiles, too */
#include <stddef.h>
static size_t slice_work = 300;
#include "lstm.h"

#include "../gradcheck/networks.h"
#include "../gradcheck/options.h"

#include "../helpers.h"

#define USUAL ((size_t)1 << 19)

/* --- twins: one trains unsliced, one in slices -------------------------------------------------------------------- */

typedef struct twin {
  lstm_model *model;
  lstm_trainer *trainer;
} twin;

enum { WINDOWS = 4, ROOM = 1 << 23 };
static window windows[WINDOWS];
static unsigned char files[2][ROOM]; /* checkpoints: all that a trainer has, but for what is made from it */

typedef struct sink {
  unsigned char *at;
  size_t size;
} sink;

static int to_sink(void *user, const void *data, size_t size) {
  sink *s = (sink *)user;
  if (size > ROOM - s->size) return 0;
  memcpy(s->at + s->size, data, size);
  s->size += size;
  return 1;
}

static size_t checkpoint(const twin *one, unsigned char *to) {
  sink s = {NULL, 0};
  lstm_writer writer = {to_sink, NULL};
  s.at = to;
  writer.user = &s;
  assert_ok(lstm_trainer_save(one->trainer, NULL, &writer));
  return s.size;
}

/* Weights, moments, carried states and counters. */
static void assert_runs(const twin *a, const twin *b) {
  size_t size = checkpoint(a, files[0]);
  assert_int_equal(size, checkpoint(b, files[1]));
  assert_memory_equal(files[0], files[1], size);
}

/* And what is packed for the kernels, and the gradients. */
static void assert_twins(const twin *a, const twin *b, int gradients) {
  size_t params = a->model->plan.params;
  assert_runs(a, b);
  assert_bits(a->model->packed, b->model->packed, a->model->plan.packed);
  assert_int_equal(a->model->table_valid, b->model->table_valid);
  if (a->model->table_valid) assert_bits(a->model->table, b->model->table, a->model->plan.table);
  for (int i = 0; i < a->model->plan.layers; i++) {
    const lstm__layer *l = a->model->layers + i;
    const lstm__tape *p = a->trainer->tapes + i, *q = b->trainer->tapes + i;
    if (p->back_in) assert_bits(p->back_in, q->back_in, lstm__back_count(l, l->in));
    if (p->back_h) assert_bits(p->back_h, q->back_h, lstm__back_count(l, l->out));
  }
  if (gradients) assert_bits(a->trainer->grad, b->trainer->grad, params);
}

static void close_twin(twin *one) {
  lstm_trainer_destroy(one->trainer);
  lstm_model_destroy(one->model);
  memset(one, 0, sizeof *one);
}

static twin open_twin(const network *net, const lstm_trainer_desc *how) {
  twin one = {NULL, NULL};
  lstm_error error = {{0}, LSTM_OK};
  lstm_trainer_desc desc = *how;
  desc.error = &error;
  one.model = make_model(net, LSTM_ISA_AUTO);
  if (lstm_trainer_create(one.model, &desc, &one.trainer) != LSTM_OK) fail_msg("%s", error.message);
  return one;
}

/* Optimisers, clipping, schedules and rates go round; every third trainer has three tasks for the unsliced twin. */
static lstm_trainer_desc any_trainer(const network *net, int turn) {
  static const float none_of_first[MAX_STACK] = {0, 1, 0.5f, 1, 1, 1, 1, 1, 1, 1, 1, 1};
  lstm_trainer_desc how = net->how;
  how.batch_size = net->B;
  how.seq_len = net->T;
  how.carry_state = net->carry;
  how.keep_best = 1;
  how.optimizer = (lstm_optimizer)(1 + turn % (LSTM_OPTIMIZER_COUNT - 1));
  how.momentum = turn % 2 ? 0.9f : 0;
  how.nesterov = how.optimizer == LSTM_SGD && turn % 2;
  how.clip_norm = turn % 3 == 0 ? 0.01f : turn % 3 == 1 ? -1.0f : 0;
  how.clip_value = turn % 5 == 0 ? 0.02f : 0;
  how.weight_decay = turn % 4 == 0 ? 0.01f : 0;
  how.layer_rates = turn % 3 == 2 ? none_of_first : NULL;
  how.schedule = turn % 2 ? LSTM_SCHEDULE_EXPONENTIAL : LSTM_SCHEDULE_NONE;
  how.warmup = turn % 4;
  how.seed = 7;
  how.executor.width = turn % 3 == 0 ? 3 : 0;
  how.executor.run = turn % 3 == 0 ? run_backwards : NULL;
  return how;
}

static void draw_windows(const network *net, const twin *like, ref_rng *rng) {
  expected shape;
  open_expected(&shape, net, like->model);
  for (int w = 0; w < WINDOWS; w++) draw_window(&windows[w], rng, net, &shape.net);
  forget(&shape);
}

/* --- ways to cut a step ------------------------------------------------------------------------------------------- */

typedef struct cutter {
  ref_rng rng;
  double now;
  int asked;
} cutter;

/* Time passes whenever somebody looks. */
static double test_clock(void *user) {
  cutter *c = (cutter *)user;
  c->asked++;
  return c->now++;
}

/* One tile at a time, random numbers of tiles, deadlines, or all that is left. */
static lstm_slice next_slice(cutter *c, int way) {
  lstm_slice slice = {0, NULL, NULL, 0};
  if (way == 0) slice.tiles = 1;
  if (way == 1) slice.tiles = 1 + ref_index(&c->rng, 7);
  if (way >= 2) {
    slice.clock = test_clock;
    slice.user = c;
    slice.deadline = c->now + ref_index(&c->rng, 9);
    slice.tiles = ref_index(&c->rng, 2) * 5;
  }
  if (way == 3 && ref_index(&c->rng, 12) == 0) memset(&slice, 0, sizeof slice);
  return slice;
}

static lstm_status train_cut(lstm_trainer *trainer, const lstm_batch *batch, cutter *c, int way, float *loss) {
  lstm_status status = LSTM_OK;
  for (int done = 0; !done && status == LSTM_OK;) {
    lstm_slice slice = next_slice(c, way);
    *loss = -1.0f;
    status = lstm_train_some(trainer, batch, &slice, &done, loss);
    if (slice.tiles) assert_true(trainer->tiles <= slice.tiles);
    if (!done && status == LSTM_OK) assert_true(*loss == -1.0f); /* nobody's, until it is known */
  }
  return status;
}

/* Begins a step of another window, and leaves it somewhere before its update; 1: it was done, having no target. */
static int begin_in_vain(lstm_trainer *trainer, const lstm_batch *batch, cutter *c) {
  lstm_slice slice = {1, NULL, NULL, 0};
  int done, calls = 1 + ref_index(&c->rng, 60);
  while (calls-- > 0 && trainer->stage < LSTM__CLIP)
    if (lstm_train_some(trainer, batch, &slice, &done, NULL) != LSTM_OK || done) return 1;
  return 0;
}

static void check_cut(const network *net, ref_rng *rng, int turn) {
  lstm_trainer_desc how = any_trainer(net, turn);
  twin whole = open_twin(net, &how), cut = open_twin(net, &how);
  cutter c = {{(uint64_t)turn + 1}, 0, 0};
  draw_windows(net, &whole, rng);
  for (int w = 0; w < WINDOWS - 1; w++) {
    float loss[2] = {-1.0f, -2.0f};
    lstm_status status;
    if (turn % 5 == 4) {
      if (begin_in_vain(cut.trainer, &windows[WINDOWS - 1].batch, &c))
        (void)lstm_train(whole.trainer, &windows[WINDOWS - 1].batch, NULL);
      lstm_trainer_zero_gradients(cut.trainer); /* gives it up */
    }
    status = lstm_train(whole.trainer, &windows[w].batch, &loss[0]);
    assert_status(train_cut(cut.trainer, &windows[w].batch, &c, (turn + w) % 4, &loss[1]), status);
    assert_bits(&loss[0], &loss[1], 1);
    assert_twins(&whole, &cut, status == LSTM_OK && whole.trainer->weight > 0);
  }
  close_twin(&whole);
  close_twin(&cut);
}

/* --- equality ----------------------------------------------------------------------------------------------------- */

static int trains(const network *net) { return net->how.loss != LSTM_LOSS_NONE; }

static extent extent_of(int turn) {
  static const int units[] = {1, 5, 16, 17, 33, 3};
  extent size = {1 + turn % 2, units[turn % 6], 1 + turn % 7, 1 + turn % 5, 2 + turn % 4, 3};
  return size;
}

static void every_option_and_pair(void **unused) {
  ref_rng rng = {20261121};
  int turn = 0;
  (void)unused;
  for (int a = 0; a < OPTION_COUNT; a++)
    for (int b = a; b < OPTION_COUNT; b++) {
      selection pair = pair_of(a, b);
      network net;
      if (senseless(a, b)) continue;
      build_network(&net, &rng, extent_of(turn), &pair, turn % 2);
      if (!trains(&net)) continue;
      slice_work = (size_t)(turn % 3 == 0 ? 1 : turn % 3 == 1 ? 300 : 20000);
      check_cut(&net, &rng, turn++);
    }
  printf("slices: %d networks with one option or two\n", turn);
}

static void more_options_and_lanes(void **unused) {
  ref_rng rng = {20261122};
  (void)unused;
  for (int turn = 0; turn < 120; turn++) {
    selection some = draw_selection(&rng, 3 + turn % 4);
    extent size = {1 + turn % 3, turn % 2 ? 40 : 65, 5, 13 + turn % 37, 2 + turn % 30, 20};
    network net;
    if (size.B * size.T > MAX_PLACES) size.T = MAX_PLACES / size.B;
    build_network(&net, &rng, size, &some, turn % 2);
    slice_work = turn % 4 ? 4000 : USUAL;
    if (trains(&net)) check_cut(&net, &rng, turn);
  }
}

/* --- one network for the rest: 12 tokens, learned state, carried, ragged ------------------------------------------ */

static network carrying(void) {
  network net;
  selection chosen = {0, {0}};
  ref_rng rng = {5};
  extent size = {1, 9, 6, 4, 12, 7};
  build_network(&net, &rng, size, &chosen, 0);
  net.layer_count = 0;
  add(&net, lstm_embedding(7));
  add(&net, lstm_lstm(9));
  net.layers[1].learned_state = 1;
  net.layers[1].dropout = 0.2f;
  add(&net, lstm_dense(3));
  net.carry = 1;
  net.how.loss = LSTM_CROSS_ENTROPY;
  return net;
}

typedef struct pair_of_twins {
  network net;
  twin whole, cut;
} pair_of_twins;

/* Twins after one step of window 0; their best weights are those before it. */
static void open_pair(pair_of_twins *p) {
  ref_rng rng = {77};
  twin *both[2];
  lstm_trainer_desc how;
  slice_work = 300;
  p->net = carrying();
  how = any_trainer(&p->net, 1);
  p->whole = open_twin(&p->net, &how);
  p->cut = open_twin(&p->net, &how);
  draw_windows(&p->net, &p->whole, &rng);
  both[0] = &p->whole;
  both[1] = &p->cut;
  for (int i = 0; i < 2; i++) {
    assert_ok(lstm_trainer_keep_best(both[i]->trainer));
    assert_ok(lstm_train(both[i]->trainer, &windows[0].batch, NULL));
  }
}

static void close_pair(pair_of_twins *p) {
  close_twin(&p->whole);
  close_twin(&p->cut);
}

/* Does `tiles` tiles of a step of window 1; returns its stage. */
static int do_tiles(lstm_trainer *trainer, int tiles) {
  lstm_slice slice = {1, NULL, NULL, 0};
  for (int done = 0; tiles > 0 && !done; tiles--)
    assert_ok(lstm_train_some(trainer, &windows[1].batch, &slice, &done, NULL));
  return trainer->stage;
}

/* --- while a step is under way ------------------------------------------------------------------------------------ */

static void act_train(twin *one) { assert_ok(lstm_train(one->trainer, &windows[2].batch, NULL)); }
static void act_forward(twin *one) { assert_ok(lstm_trainer_forward(one->trainer, &windows[2].batch, NULL)); }
static void act_zero(twin *one) { lstm_trainer_zero_gradients(one->trainer); }
static void act_reset(twin *one) { lstm_trainer_reset(one->trainer); }
static void act_best(twin *one) { assert_ok(lstm_trainer_restore_best(one->trainer)); }
static void act_update(twin *one) {
  lstm_trainer_zero_gradients(one->trainer);
  assert_ok(lstm_trainer_update(one->trainer));
}
static void act_loss(twin *one) {
  float loss;
  assert_status(lstm_trainer_loss(one->trainer, &windows[1].batch, &loss), LSTM_ERR_ARGUMENT);
}
static void act_backward(twin *one) {
  assert_status(lstm_trainer_backward(one->trainer, &windows[1].flow), LSTM_ERR_ARGUMENT);
}
static void act_clip(twin *one) {
  lstm_trainer_zero_gradients(one->trainer);
  assert_ok(lstm_trainer_clip(one->trainer, NULL));
}

/* Whatever is called ends the step first: as if it had not begun, or, amid its update, as if it had been done. */
static void other_calls_end_a_step(void **unused) {
  static void (*const acts[])(twin * one) = {act_train,  act_forward, act_zero,     act_reset, act_best,
                                             act_update, act_loss,    act_backward, act_clip};
  (void)unused;
  for (int a = 0; a < HELPERS_COUNT(acts); a++) {
    int stages[LSTM__CARRY + 1] = {0};
    for (int tiles = 1;; tiles += 3) {
      pair_of_twins p;
      int stage, late;
      open_pair(&p);
      stage = do_tiles(p.cut.trainer, tiles);
      late = stage >= LSTM__UPDATE;
      stages[stage]++;
      if (late) assert_ok(lstm_train(p.whole.trainer, &windows[1].batch, NULL));
      if (stage) {
        acts[a](&p.cut);
        assert_int_equal(p.cut.trainer->stage, 0);
        if (a == 6 || a == 7)
          act_zero(&p.whole);
        else
          acts[a](&p.whole);
        assert_twins(&p.whole, &p.cut, 0);
        assert_ok(lstm_train(p.whole.trainer, &windows[2].batch, NULL));
        assert_ok(lstm_train(p.cut.trainer, &windows[2].batch, NULL));
        assert_twins(&p.whole, &p.cut, 1);
      }
      close_pair(&p);
      if (!stage) break;
    }
    assert_true(stages[LSTM__FORWARD] && stages[LSTM__LOSS] && stages[LSTM__BACKWARD] && stages[LSTM__REPACK]);
  }
}

/* These end no step; amid its update nothing can be read. */
static void reading_and_tuning(void **unused) {
  int late = 0;
  (void)unused;
  for (int tiles = 1;; tiles++) {
    pair_of_twins p;
    cutter c = {{9}, 0, 0};
    float loss, final[MAX_B * MAX_STATES], norms[8];
    lstm_saturation saturation;
    lstm_metrics metrics = {0, 0, 0, 0};
    lstm_state *state;
    sink s = {NULL, 0};
    lstm_writer writer = {to_sink, NULL};
    lstm_status refused;
    int stage;
    open_pair(&p);
    stage = do_tiles(p.cut.trainer, tiles);
    if (!stage) {
      close_pair(&p);
      break;
    }
    refused = stage >= LSTM__UPDATE ? LSTM_ERR_ARGUMENT : LSTM_OK;
    late += stage >= LSTM__UPDATE;
    s.at = files[1];
    writer.user = &s;
    assert_status(lstm_trainer_save(p.cut.trainer, NULL, &writer), refused);
    if (!refused) { /* what is saved is the run without this step */
      assert_int_equal(s.size, checkpoint(&p.whole, files[0]));
      assert_memory_equal(files[0], files[1], s.size);
    }
    current = &p.net;
    state = make_state(p.cut.model, p.net.B);
    assert_status(lstm_trainer_evaluate(p.cut.trainer, state, &windows[2].batch, &metrics, NULL), refused);
    lstm_state_destroy(state);
    assert_status(lstm_trainer_final(p.cut.trainer, final), LSTM_ERR_ARGUMENT);
    assert_status(lstm_trainer_saturation(p.cut.trainer, 1, &saturation), LSTM_ERR_ARGUMENT);
    if (stage <= LSTM__BACKWARD) assert_status(lstm_trainer_step_norms(p.cut.trainer, 1, norms), LSTM_ERR_ARGUMENT);
    assert_int_equal(lstm_trainer_under_way(p.cut.trainer), refused ? 2 : 1);
    assert_status(lstm_trainer_keep_best(p.cut.trainer), refused);
    assert_ok(lstm_trainer_set_learning_rate(p.cut.trainer, 0.5f)); /* of the next update */
    if (!refused) {
      assert_ok(lstm_trainer_keep_best(p.whole.trainer));
      assert_ok(lstm_trainer_set_learning_rate(p.whole.trainer, 0.5f));
    }
    assert_ok(lstm_train(p.whole.trainer, &windows[1].batch, NULL));
    assert_ok(lstm_trainer_set_learning_rate(p.whole.trainer, 0.5f));
    assert_ok(train_cut(p.cut.trainer, &windows[1].batch, &c, 0, &loss));
    assert_int_equal(lstm_trainer_under_way(p.cut.trainer), 0);
    assert_twins(&p.whole, &p.cut, 1);
    close_pair(&p);
  }
  assert_true(late > 3);
}

/* A trainer that goes away amid an update leaves a model with the new weights. */
static void destroyed_amid_an_update(void **unused) {
  pair_of_twins p;
  int tiles = 0;
  (void)unused;
  open_pair(&p);
  while (do_tiles(p.cut.trainer, 1) < LSTM__REPACK) tiles++;
  assert_true(tiles > 5);
  lstm_trainer_destroy(p.cut.trainer);
  p.cut.trainer = NULL;
  assert_ok(lstm_train(p.whole.trainer, &windows[1].batch, NULL));
  assert_bits(p.whole.model->params, p.cut.model->params, p.whole.model->plan.params);
  assert_bits(p.whole.model->packed, p.cut.model->packed, p.whole.model->plan.packed);
  close_pair(&p);
}

static void resumed_amid_a_step(void **unused) {
  for (int tiles = 1;; tiles += 5) {
    pair_of_twins p;
    size_t size;
    int stage;
    (void)unused;
    open_pair(&p);
    size = checkpoint(&p.whole, files[0]);
    stage = do_tiles(p.cut.trainer, tiles);
    assert_ok(lstm_trainer_resume(p.whole.trainer, files[0], size, NULL));
    assert_ok(lstm_trainer_resume(p.cut.trainer, files[0], size, NULL));
    assert_int_equal(p.cut.trainer->stage, 0);
    assert_runs(&p.whole, &p.cut);
    act_train(&p.whole);
    act_train(&p.cut);
    assert_twins(&p.whole, &p.cut, 1);
    close_pair(&p);
    if (!stage) break;
  }
}

/* Weights that come from outside before the update: the step is one of the new weights. */
static void new_weights_amid_a_step(void **unused) {
  (void)unused;
  for (int tiles = 1;; tiles += 2) {
    pair_of_twins p;
    cutter c = {{3}, 0, 0};
    float loss[2];
    int stage;
    open_pair(&p);
    stage = do_tiles(p.cut.trainer, tiles);
    if (stage && stage < LSTM__UPDATE) {
      for (size_t i = 0; i < p.cut.model->plan.params; i++) p.whole.model->params[i] = p.cut.model->params[i] *= 0.5f;
      lstm_model_refresh(p.whole.model);
      lstm_model_refresh(p.cut.model);
      assert_ok(lstm_train(p.whole.trainer, &windows[1].batch, &loss[0]));
      assert_ok(train_cut(p.cut.trainer, &windows[1].batch, &c, 1, &loss[1]));
      assert_bits(&loss[0], &loss[1], 1);
      assert_twins(&p.whole, &p.cut, 1);
    }
    close_pair(&p);
    if (!stage || stage >= LSTM__UPDATE) break;
  }
}

/* --- errors ------------------------------------------------------------------------------------------------------- */

/* A step that is given up while what is made from new weights is made leaves none of it half made. */
static void given_up_amid_renewing(void **unused) {
  int stage = LSTM__RENEW, tiles;
  (void)unused;
  for (tiles = 1; stage == LSTM__RENEW; tiles++) {
    pair_of_twins p;
    open_pair(&p);
    for (size_t i = 0; i < p.cut.model->plan.params; i++) p.whole.model->params[i] = p.cut.model->params[i] *= -0.5f;
    lstm_model_refresh(p.whole.model);
    lstm_model_refresh(p.cut.model);
    stage = do_tiles(p.cut.trainer, tiles);
    assert_ok(lstm_train(p.whole.trainer, &windows[2].batch, NULL));
    assert_ok(lstm_train(p.cut.trainer, &windows[2].batch, NULL));
    assert_twins(&p.whole, &p.cut, 1);
    close_pair(&p);
  }
  assert_true(tiles > 3);
}

/* Stored start values of tokens that one trainer left behind the weights, and another one is about to renew. */
static void stepping_amid_renewing(void **unused) {
  enum { SYMBOLS = 200 };
  static int32_t ids[SYMBOLS], targets[SYMBOLS];
  lstm_layer layers[] = {lstm_embedding(3), lstm_lstm(4), lstm_dense(2)};
  lstm_model_desc desc = {0};
  lstm_trainer_desc how = {0};
  lstm_batch batch = {0};
  lstm_slice slice = {1, NULL, NULL, 0};
  lstm_model *model;
  lstm_trainer *narrow, *wide;
  lstm_state *state;
  float y[2], again[2];
  int done;
  (void)unused;
  desc.input_size = SYMBOLS, desc.layers = layers, desc.layer_count = 3;
  assert_ok(lstm_model_create(&desc, &model));
  how.loss = LSTM_CROSS_ENTROPY, how.batch_size = how.seq_len = 1, how.learning_rate = 0.5f;
  how.optimizer = LSTM_SGD;
  assert_ok(lstm_trainer_create(model, &how, &narrow));
  how.seq_len = SYMBOLS;
  assert_ok(lstm_trainer_create(model, &how, &wide));
  assert_ok(lstm_state_create(model, NULL, &state));
  batch.ids = ids, batch.target_ids = targets, batch.seq_len = 1;
  assert_ok(lstm_train(narrow, &batch, NULL));
  assert_ok(lstm_step_ids(model, state, ids, y));
  batch.seq_len = 0;
  for (int given_up = 0; given_up < 2; given_up++) {
    if (!given_up) assert_ok(lstm_train_some(wide, &batch, &slice, &done, NULL));
    if (!given_up) assert_int_equal(wide->stage, LSTM__RENEW);
    if (given_up) lstm_trainer_reset(wide);
    lstm_state_reset(state);
    assert_ok(lstm_step_ids(model, state, ids, again));
    assert_bits(y, again, 2);
  }
  lstm_state_destroy(state), lstm_trainer_destroy(wide), lstm_trainer_destroy(narrow), lstm_model_destroy(model);
}

static void wrong_arguments(void **unused) {
  pair_of_twins p;
  lstm_error error = {{0}, LSTM_OK};
  lstm_slice one = {1, NULL, NULL, 0}, bad = {-1, NULL, NULL, 0};
  lstm_batch other;
  int done = 1;
  float loss = 1;
  (void)unused;
  open_pair(&p);
  assert_status(lstm_train_some(NULL, &windows[1].batch, &one, &done, &loss), LSTM_ERR_ARGUMENT);
  assert_true(done == 0 && loss == 1);
  assert_status(lstm_train_some(p.cut.trainer, NULL, &one, &done, &loss), LSTM_ERR_ARGUMENT);
  assert_status(lstm_train_some(p.cut.trainer, &windows[1].batch, &one, NULL, &loss), LSTM_ERR_ARGUMENT);
  assert_status(lstm_train_some(p.cut.trainer, &windows[1].batch, &bad, &done, &loss), LSTM_ERR_ARGUMENT);
  other = windows[2].batch;
  other.error = &error;
  assert_true(do_tiles(p.cut.trainer, 9) > 0);
  assert_status(lstm_train_some(p.cut.trainer, &other, &one, &done, &loss), LSTM_ERR_ARGUMENT);
  assert_string_equal(error.message, "another batch, while a step is under way");
  assert_ok(lstm_train_some(p.cut.trainer, &windows[1].batch, NULL, &done, &loss)); /* the step goes on */
  assert_int_equal(done, 1);
  assert_ok(lstm_train(p.whole.trainer, &windows[1].batch, NULL));
  assert_twins(&p.whole, &p.cut, 1);
  other = windows[1].batch;
  other.ids = NULL;
  assert_status(lstm_train_some(p.cut.trainer, &other, &one, &done, &loss), LSTM_ERR_ARGUMENT);
  assert_twins(&p.whole, &p.cut, 1);
  close_pair(&p);
}

/* A target that is none is found when the loss begins; the step ends there, as lstm_train's. */
static void wrong_target(void **unused) {
  pair_of_twins p;
  cutter c = {{3}, 0, 0};
  float loss;
  (void)unused;
  open_pair(&p);
  windows[1].batch.lengths = NULL;
  for (int i = 0; i < p.net.T * p.net.B; i++) windows[1].ids[i] = i % 12;
  windows[1].batch.weights = NULL;
  windows[1].target_ids[3] = 99;
  assert_status(lstm_train(p.whole.trainer, &windows[1].batch, &loss), LSTM_ERR_ARGUMENT);
  assert_status(train_cut(p.cut.trainer, &windows[1].batch, &c, 0, &loss), LSTM_ERR_ARGUMENT);
  assert_int_equal(p.cut.trainer->stage, 0);
  assert_twins(&p.whole, &p.cut, 0);
  close_pair(&p);
}

/* So many targets take several tiles; what is wrong with one is said in the call that finds it, not to an error of
   an earlier one. */
static void said_in_the_same_call(void **unused) {
  enum { T = 700, B = 100 };
  static float x[T * B], weights[T * B];
  lstm_layer layer = lstm_dense(1);
  lstm_model_desc desc = {0};
  lstm_trainer_desc how = {0};
  lstm_batch batch = {0};
  lstm_slice slice = {0};
  lstm_model *model;
  lstm_trainer *trainer;
  lstm_status status;
  lstm_error error;
  int done, calls = 0;
  (void)unused;
  desc.input_size = desc.layer_count = slice.tiles = 1, desc.layers = &layer;
  how.seq_len = T, how.batch_size = B, how.loss = LSTM_MSE;
  assert_ok(lstm_model_create(&desc, &model));
  assert_ok(lstm_trainer_create(model, &how, &trainer));
  batch.x = batch.targets = x, batch.weights = weights, batch.error = &error;
  weights[5] = -1;
  do {
    memset(&error, 0, sizeof error);
    status = lstm_train_some(trainer, &batch, &slice, &done, NULL);
    calls++;
  } while (status == LSTM_OK && !done);
  assert_status(status, LSTM_ERR_ARGUMENT);
  assert_string_equal(error.message, "the weight at step 0 of lane 5 is negative or not finite");
  assert_true(calls > 1);
  weights[5] = 1; /* nothing of it is left */
  slice.tiles = 0;
  assert_ok(lstm_train_some(trainer, &batch, &slice, &done, NULL));
  assert_int_equal(done, 1);
  lstm_trainer_destroy(trainer), lstm_model_destroy(model);
}

/* Weights, moments and carried states are as before where the loss (size 1e30) or only the gradient is not finite. */
static void not_finite(void **unused) {
  static const float sizes[] = {1e30f, 1.5e19f};
  static const char *const said[] = {"the loss is not finite", "the gradient is not finite"};
  (void)unused;
  for (int i = 0; i < 2; i++) {
    ref_rng rng = {3};
    selection chosen = {0, {0}};
    extent size = {2, 9, 6, 4, 3, 1};
    network net;
    lstm_trainer_desc how;
    twin whole, cut;
    cutter c = {{3}, 0, 0};
    lstm_error error = {{0}, LSTM_OK};
    float loss;
    build_network(&net, &rng, size, &chosen, 0);
    net.how.loss = LSTM_MSE;
    net.carry = 1;
    how = any_trainer(&net, 1);
    whole = open_twin(&net, &how);
    cut = open_twin(&net, &how);
    draw_windows(&net, &whole, &rng);
    assert_ok(lstm_train(whole.trainer, &windows[0].batch, NULL));
    assert_ok(lstm_train(cut.trainer, &windows[0].batch, NULL));
    windows[1].batch.error = &error;
    windows[1].batch.targets = windows[1].targets;
    for (int k = 0; k < net.T * net.B; k++) windows[1].targets[k] = sizes[i];
    assert_status(train_cut(cut.trainer, &windows[1].batch, &c, 0, &loss), LSTM_ERR_NOT_FINITE);
    assert_string_equal(error.message, said[i]);
    assert_status(lstm_train(whole.trainer, &windows[1].batch, NULL), LSTM_ERR_NOT_FINITE);
    assert_twins(&whole, &cut, 0);
    assert_ok(lstm_train(whole.trainer, &windows[2].batch, NULL));
    assert_ok(train_cut(cut.trainer, &windows[2].batch, &c, 1, &loss));
    assert_twins(&whole, &cut, 1);
    close_twin(&whole);
    close_twin(&cut);
  }
}

/* --- bounds ------------------------------------------------------------------------------------------------------- */

/* Kernels that count what they do. */
static const lstm__kernels *counted;
static double work, largest, before;

static void counting_gemm(const lstm__gemm_job *job) {
  work += (double)job->rows * job->k * job->columns;
  counted->gemm(job);
}

static void counting_cell(const lstm__cell_job *job) {
  work += (double)job->rows * (job->nx + job->nh + 1) * job->units * 4;
  counted->cell(job);
}

/* Before each tile but the first of a call: what the last one did. */
static double measuring_clock(void *user) {
  if (work - before > largest) largest = work - before;
  before = work;
  (*(int *)user)++;
  return 0;
}

/* The multiply-adds of a tile: LSTM__SLICE, or four rows of a layer. A product's last inputs go with those before. */
static void tiles_are_bounded(void **unused) {
  static const int shapes[][4] = {{2, 64, 64, 32}, {2, 200, 20, 48}, {90, 64, 64, 32}, {40, 128, 300, 2}};
  (void)unused;
  slice_work = USUAL;
  for (int s = 0; s < HELPERS_COUNT(shapes); s++) {
    int I = shapes[s][0], H = shapes[s][1], T = shapes[s][2], B = shapes[s][3], tiles = 0, done = 0;
    lstm_layer layers[] = {lstm_lstm(H), lstm_lstm(H), lstm_dense(30)};
    lstm_model *model = model_of_layers(layers, 3, I);
    lstm_trainer_desc how = {0};
    lstm_trainer *trainer = NULL;
    lstm_batch batch = {0};
    lstm_slice slice = {0, measuring_clock, NULL, 1.0};
    lstm__kernels counting = *model->kernels;
    float *x = make_floats((size_t)(T * B * I)), *targets = make_floats((size_t)(T * B * 30));
    fill(x, (size_t)(T * B * I), 1, 1);
    counted = model->kernels;
    counting.gemm = counting_gemm;
    counting.cell = counting_cell;
    how.loss = LSTM_MSE;
    how.batch_size = B;
    how.seq_len = T;
    assert_ok(lstm_trainer_create(model, &how, &trainer));
    model->kernels = &counting;
    slice.user = &tiles;
    batch.x = x;
    batch.targets = targets;
    work = largest = before = 0;
    assert_ok(lstm_train_some(trainer, &batch, &slice, &done, NULL));
    (void)measuring_clock(&tiles);
    assert_int_equal(done, 1);
    print_message("slices: I=%d H=%d T=%d B=%d: %d tiles, of at most %.0f multiply-adds, together %.0f\n", I, H, T, B,
                  tiles, largest, work);
    assert_true(largest <= fmax(79.0 / 64 * (double)USUAL, 4.0 * (H + 8) * 4 * (H + lstm__int_max(I, H) + 1)));
    assert_true(largest > 0 && tiles > work / (double)USUAL);
    lstm_trainer_destroy(trainer);
    lstm_model_destroy(model);
    free(x);
    free(targets);
  }
}

/* A call does at least one tile, and no tile begins after the deadline. */
static void deadlines_and_counts(void **unused) {
  pair_of_twins p;
  cutter c = {{1}, 0, 0};
  lstm_slice slice = {0, test_clock, NULL, 0};
  int done;
  (void)unused;
  open_pair(&p);
  slice.user = &c;
  c.now = 100; /* too late already */
  assert_ok(lstm_train_some(p.cut.trainer, &windows[1].batch, &slice, &done, NULL));
  assert_int_equal(p.cut.trainer->tiles, 1);
  assert_int_equal(c.asked, 1);
  slice.deadline = 105; /* it is 101 when it is asked first */
  assert_ok(lstm_train_some(p.cut.trainer, &windows[1].batch, &slice, &done, NULL));
  assert_int_equal(p.cut.trainer->tiles, 5);
  assert_int_equal(c.asked, 6);
  slice.tiles = 3;
  slice.deadline = 1e9;
  assert_ok(lstm_train_some(p.cut.trainer, &windows[1].batch, &slice, &done, NULL));
  assert_int_equal(p.cut.trainer->tiles, 3);
  assert_int_equal(done, 0);
  assert_int_equal(lstm_trainer_steps(p.cut.trainer), 1);
  memset(&slice, 0, sizeof slice); /* all that is left */
  assert_ok(lstm_train_some(p.cut.trainer, &windows[1].batch, &slice, &done, NULL));
  assert_int_equal(done, 1);
  assert_int_equal(lstm_trainer_steps(p.cut.trainer), 2);
  assert_ok(lstm_train(p.whole.trainer, &windows[1].batch, NULL));
  assert_twins(&p.whole, &p.cut, 1);
  close_pair(&p);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_option_and_pair),
      cmocka_unit_test(more_options_and_lanes),
      cmocka_unit_test(other_calls_end_a_step),
      cmocka_unit_test(reading_and_tuning),
      cmocka_unit_test(destroyed_amid_an_update),
      cmocka_unit_test(resumed_amid_a_step),
      cmocka_unit_test(new_weights_amid_a_step),
      cmocka_unit_test(given_up_amid_renewing),
      cmocka_unit_test(stepping_amid_renewing),
      cmocka_unit_test(wrong_arguments),
      cmocka_unit_test(wrong_target),
      cmocka_unit_test(said_in_the_same_call),
      cmocka_unit_test(not_finite),
      cmocka_unit_test(tiles_are_bounded),
      cmocka_unit_test(deadlines_and_counts),
  };
  return cmocka_run_group_tests_name("unit/slices", tests, NULL, NULL);
}
