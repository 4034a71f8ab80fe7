/* The same bits: one model gives equal results on every instruction set that fuses multiply and add, and with portable
   numerics on every one, as steps or as a sequence, alone or in a batch, in one task or many; training too. One process
   walks over all sets (BLAKE3's idea), and a digest of everything is compared with tests/isa/digest.txt, so that builds
   by other compilers can be compared as well.

   isa            run the tests from the repository's root
   isa --print    print the digests, in the format of digest.txt
   LSTM_EXPECT_ISA=avx512   fail where that set is missing */
#define LSTM_IMPLEMENTATION
#define LSTM_MAX_TOKEN_TABLE 8192 /* some of the token models below have a table of start values, some have not */
#include "lstm.h"

#include "../helpers.h"

#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

#define LANES 33 /* the largest batch; smaller ones are its first lanes */
#define STEPS 5

/* --- instruction sets --------------------------------------------------------------------------------------------- */

/* The scalar kernels that emulate the fused multiply-add: what scalar means on a CPU without one. */
#define SOFT LSTM_ISA_COUNT
#define SETS (LSTM_ISA_COUNT + 1)

static int usable(int isa) { return isa == SOFT ? LSTM__HAS_SOFT : lstm_isa_usable((lstm_isa)isa); }
static int is_fused(int isa) { return isa == SOFT || isa_is_fused((lstm_isa)isa); }

/* Of all models that are made. */
static lstm_numerics numerics = LSTM_FUSED;

/* Whether a set has the bits that all have in these numerics. */
static int agrees(int isa) { return usable(isa) && (numerics == LSTM_PORTABLE ? isa != SOFT : is_fused(isa)); }
/* The emulation is slow: it walks over the large shapes once, not in every mode. */
static int walks(int isa, int hidden, int tiny) { return agrees(isa) && (isa != SOFT || hidden < 64 || !tiny); }
/* In portable numerics all ways to run a model are compared on two sets only: the best, and one that never fuses. */
static int checks_all_ways(int isa) {
  return isa != SOFT && (numerics == LSTM_FUSED || !is_fused(isa) || isa == (int)lstm_isa_best());
}
static const char *set_name(int isa) { return isa == SOFT ? "emulated scalar" : lstm_isa_name((lstm_isa)isa); }

/* --- shapes ------------------------------------------------------------------------------------------------------- */

typedef struct shape {
  int input, embed, hidden, hidden2, output; /* embed, hidden2: 0 = no such layer */
  lstm_read read;
  lstm_output kind;
  lstm_activation activation; /* of a dense layer before the last one */
  int dense;
} shape;

#define ALL LSTM_READ_ALL
#define LAST LSTM_READ_LAST
#define LINEAR LSTM_OUTPUT_LINEAR
#define SOFTMAX LSTM_OUTPUT_SOFTMAX
#define SIGMOID LSTM_OUTPUT_SIGMOID
static const shape shapes[] = {
    {1, 0, 1, 0, 1, ALL, LINEAR, LSTM_LINEAR, 0},       {2, 0, 3, 0, 2, LAST, SIGMOID, LSTM_TANH, 5},
    {40, 0, 8, 0, 5, ALL, SOFTMAX, LSTM_LINEAR, 0},     {1, 0, 16, 0, 1, LAST, LINEAR, LSTM_LINEAR, 0},
    {2, 0, 20, 0, 3, ALL, LINEAR, LSTM_RELU, 70},       {40, 0, 33, 0, 17, ALL, SOFTMAX, LSTM_LINEAR, 0},
    {1, 0, 64, 0, 1, ALL, LINEAR, LSTM_SIGMOID, 16},    {40, 0, 128, 0, 4, LAST, SIGMOID, LSTM_LINEAR, 0},
    {11, 6, 16, 0, 11, ALL, SOFTMAX, LSTM_LINEAR, 0},   {65, 16, 33, 0, 65, ALL, SOFTMAX, LSTM_LINEAR, 0},
    {3, 0, 16, 20, 2, ALL, LINEAR, LSTM_LINEAR, 0},     {7, 5, 20, 8, 7, LAST, SOFTMAX, LSTM_RELU, 9},
    {2, 0, 33, 64, 1, LAST, LINEAR, LSTM_LINEAR, 0},
};
#undef LINEAR
#undef SOFTMAX
#undef SIGMOID
#define SHAPES HELPERS_COUNT(shapes)

/* Where `tiny`, every seventh number is subnormal, made from bits because the CPU may be flushing them. */
static void sprinkle_subnormals(float *x, size_t count) {
  size_t i;
  for (i = 0; i < count; i += 7) {
    uint32_t bits = (uint32_t)(i * 2654435761u) & 0x807fffffu;
    memcpy(&x[i], &bits, sizeof bits);
  }
}

static lstm_model *make_model(const shape *s, int isa, float dropout, int tiny) {
  lstm_layer layers[6];
  lstm_model_desc desc = {0};
  lstm_model *model;
  int i, n = 0;
  if (s->embed) layers[n++] = lstm_embedding(s->embed);
  layers[n++] = lstm_lstm(s->hidden);
  if (dropout > 0) layers[n++] = lstm_dropout(dropout);
  if (s->hidden2) layers[n++] = lstm_lstm(s->hidden2);
  for (i = 0; i < n; i++)
    if (layers[i].type == LSTM_LAYER_LSTM && (!s->hidden2 || layers[i].size == s->hidden2)) layers[i].read = s->read;
  if (s->dense) layers[n] = lstm_dense(s->dense), layers[n++].activation = s->activation;
  layers[n++] = lstm_dense(s->output);
  desc.input_size = s->input;
  desc.layers = layers;
  desc.layer_count = n;
  desc.output = s->kind;
  desc.isa = isa == SOFT ? LSTM_ISA_SCALAR : (lstm_isa)isa;
  desc.numerics = numerics;
  desc.seed = 42;
  assert_ok(lstm_model_create(&desc, &model));
#if LSTM__HAS_SOFT
  if (isa == SOFT) model->kernels = &lstm__kernels_21, lstm_model_refresh(model);
#endif
  for (i = 0; tiny && i < lstm_model_tensor_count(model); i++) {
    lstm_tensor t;
    assert_ok(lstm_model_tensor(model, i, &t));
    sprinkle_subnormals(t.data, t.count);
  }
  if (tiny) lstm_model_refresh(model);
  return model;
}

static lstm_state *make_state(const lstm_model *model, int lanes, int tasks) {
  lstm_state_desc desc = {0};
  lstm_state *state;
  desc.lanes = lanes;
  desc.tasks = tasks;
  assert_ok(lstm_state_create(model, &desc, &state));
  return state;
}

/* --- forward ------------------------------------------------------------------------------------------------------ */

/* A model, inputs for LANES lanes, and what single steps of one lane at a time make of them. */
typedef struct run {
  const shape *s;
  lstm_model *model;
  size_t I, O, S;
  float *x;      /* [STEPS][LANES][I] */
  int32_t *ids;  /* [STEPS][LANES], token models */
  float *y;      /* [STEPS][LANES][O] */
  float *states; /* [STEPS + 1][LANES][S] */
} run;

static lstm_status step(const lstm_model *m, lstm_state *st, const float *x, const int32_t *ids, float *y) {
  return ids ? lstm_step_ids(m, st, ids, y) : lstm_step(m, st, x, y);
}

static run make_run(const shape *s, int isa, int tiny) {
  run r = {0};
  r.s = s;
  r.model = make_model(s, isa, 0, tiny);
  r.I = (size_t)s->input, r.O = (size_t)s->output, r.S = (size_t)lstm_model_state_size(r.model);
  r.x = make_floats(STEPS * LANES * r.I);
  fill(r.x, STEPS * LANES * r.I, 7, 2.0f);
  if (tiny) sprinkle_subnormals(r.x, STEPS * LANES * r.I);
  if (s->embed) {
    r.ids = (int32_t *)make_array(STEPS * LANES, sizeof(int32_t));
    fill_ids(r.ids, STEPS * LANES, 8, s->input);
  }
  r.y = make_floats(STEPS * LANES * r.O);
  r.states = make_floats((STEPS + 1) * LANES * r.S);
  return r;
}

static void free_run(run *r) {
  lstm_model_destroy(r->model);
  free(r->x), free(r->ids), free(r->y), free(r->states);
}

static void run_single_steps(run *r) {
  lstm_state *st = make_state(r->model, 1, 1);
  size_t b, t;
  for (b = 0; b < LANES; b++) {
    lstm_state_reset(st);
    for (t = 0; t < STEPS; t++) {
      size_t at = t * LANES + b;
      assert_ok(step(r->model, st, r->x + at * r->I, r->ids ? r->ids + at : NULL, r->y + at * r->O));
      assert_ok(lstm_state_get(r->model, st, 0, r->states + (at + LANES) * r->S));
    }
  }
  lstm_state_destroy(st);
}

/* The first `lanes` lanes of the inputs, [STEPS][lanes][I]. */
static void take_lanes(const run *r, size_t lanes, float *x, int32_t *ids) {
  size_t t;
  for (t = 0; t < STEPS; t++) {
    memcpy(x + t * lanes * r->I, r->x + t * LANES * r->I, lanes * r->I * sizeof(float));
    if (r->ids) memcpy(ids + t * lanes, r->ids + t * LANES, lanes * sizeof(int32_t));
  }
}

static void check_states(const run *r, const lstm_state *st, size_t lanes, const int *lengths) {
  float values[256];
  size_t b;
  for (b = 0; b < lanes; b++) {
    size_t t = lengths ? (size_t)lengths[b] : STEPS;
    assert_ok(lstm_state_get(r->model, st, (int)b, values));
    assert_bits(values, r->states + (t * LANES + b) * r->S, r->S);
  }
}

/* y [T'][lanes][O]; padding is zero. */
static void check_outputs(const run *r, const float *y, size_t lanes, const int *lengths) {
  float *zero = make_floats(r->O);
  size_t b, t, last = lstm_model_reads_last(r->model) ? 1 : 0;
  for (b = 0; b < lanes; b++) {
    size_t length = lengths ? (size_t)lengths[b] : STEPS;
    for (t = 0; t < (last ? 1 : STEPS); t++) {
      size_t from = last ? length - 1 : t;
      const float *wanted = r->y + (from * LANES + b) * r->O;
      if (length == 0 || from >= length) wanted = zero;
      assert_bits(y + (t * lanes + b) * r->O, wanted, r->O);
    }
  }
  free(zero);
}

static void check_steps(const run *r, size_t lanes, const float *x, const int32_t *ids) {
  lstm_state *st = make_state(r->model, (int)lanes, 1);
  float *y = make_floats(lanes * r->O);
  size_t t;
  for (t = 0; t < STEPS; t++) {
    assert_ok(step(r->model, st, x + t * lanes * r->I, ids ? ids + t * lanes : NULL, y));
    assert_bits(y, r->y + t * LANES * r->O, lanes * r->O);
  }
  check_states(r, st, lanes, NULL);
  lstm_state_destroy(st);
  free(y);
}

/* Lanes named in reverse, the odd ones in one call and the even ones in another. */
static void check_named_lanes(const run *r) {
  lstm_state *st = make_state(r->model, LANES, 1);
  float *x = make_floats(LANES * r->I), *y = make_floats(LANES * r->O);
  size_t t, parity, k;
  for (t = 0; t < STEPS; t++)
    for (parity = 0; parity < 2; parity++) {
      int lanes[LANES] = {0}, n = 0, b;
      int32_t ids[LANES];
      for (b = LANES - 1; b >= 0; b--)
        if ((size_t)b % 2 == parity) lanes[n++] = b;
      for (k = 0; k < (size_t)n; k++) {
        size_t at = t * LANES + (size_t)lanes[k];
        memcpy(x + k * r->I, r->x + at * r->I, r->I * sizeof(float));
        ids[k] = r->ids ? r->ids[at] : 0;
      }
      assert_ok(r->ids ? lstm_step_ids_lanes(r->model, st, lanes, n, ids, y)
                       : lstm_step_lanes(r->model, st, lanes, n, x, y));
      for (k = 0; k < (size_t)n; k++)
        assert_bits(y + k * r->O, r->y + (t * LANES + (size_t)lanes[k]) * r->O, r->O);
    }
  check_states(r, st, LANES, NULL);
  lstm_state_destroy(st);
  free(x), free(y);
}

static void check_sequence(const run *r, size_t lanes, const float *x, const int32_t *ids) {
  lstm_state *st = make_state(r->model, (int)lanes, 1);
  float *y = make_floats(STEPS * lanes * r->O);
  assert_ok(ids ? lstm_forward_ids(r->model, st, ids, STEPS, y) : lstm_forward(r->model, st, x, STEPS, y));
  check_outputs(r, y, lanes, NULL);
  check_states(r, st, lanes, NULL);
  lstm_state_destroy(st);
  free(y);
}

static void check_batch(const run *r, size_t lanes, const float *x, const int32_t *ids, const int *lengths,
                        const lstm_executor *executor) {
  lstm_state *st = make_state(r->model, (int)lanes, executor ? executor->width : 1);
  float *y = make_floats(STEPS * lanes * r->O);
  lstm_batch batch = {0};
  batch.seq_len = STEPS;
  batch.x = ids ? NULL : x;
  batch.ids = ids;
  batch.lengths = lengths;
  assert_ok(lstm_forward_batch(r->model, st, &batch, y, executor));
  check_outputs(r, y, lanes, lengths);
  check_states(r, st, lanes, lengths);
  lstm_state_destroy(st);
  free(y);
}

static void check_batch_of(const run *r, size_t lanes) {
  static const int widths[] = {1, 2, 3, 7};
  float *x = make_floats(STEPS * lanes * r->I);
  int32_t *ids = r->ids ? (int32_t *)make_array(STEPS * lanes, sizeof(int32_t)) : NULL;
  int lengths[LANES], i;
  for (i = 0; i < LANES; i++) lengths[i] = (i * 5 + 3) % (STEPS + 1);
  take_lanes(r, lanes, x, ids);
  check_steps(r, lanes, x, ids);
  check_sequence(r, lanes, x, ids);
  check_batch(r, lanes, x, ids, NULL, NULL);
  for (i = 0; i < HELPERS_COUNT(widths); i++) {
    int width = widths[i];
    lstm_executor odd = odd_order_executor(width), threads = thread_executor(&width);
    check_batch(r, lanes, x, ids, i % 2 ? lengths : NULL, &odd);
    check_batch(r, lanes, x, ids, i % 2 ? NULL : lengths, &threads);
  }
  free(x), free(ids);
}

/* Everything that one set computes for one shape, with every way of computing it compared when `check`. */
static uint64_t digest_forward(const shape *s, int isa, int tiny, int check) {
  static const size_t batches[] = {1, 3, 8, 33};
  run r = make_run(s, isa, tiny);
  uint64_t hash = fnv1a_model(FNV_BEGIN, r.model);
  int i;
  run_single_steps(&r);
  for (i = 0; check && i < HELPERS_COUNT(batches); i++) check_batch_of(&r, batches[i]);
  if (check) check_named_lanes(&r);
  hash = fnv1a_floats(hash, r.y, STEPS * LANES * r.O);
  hash = fnv1a_floats(hash, r.states, (STEPS + 1) * LANES * r.S);
  free_run(&r);
  return hash;
}

/* --- training ----------------------------------------------------------------------------------------------------- */

typedef struct course {
  shape s;
  int batch, steps;
  lstm_optimizer optimizer;
  lstm_loss loss;
  float dropout;
} course;

#define AUTO LSTM_OUTPUT_AUTO
static const course courses[] = {
    {{1, 0, 1, 0, 1, ALL, AUTO, LSTM_LINEAR, 0}, 1, 3, LSTM_SGD, LSTM_MSE, 0},
    {{2, 0, 3, 0, 2, LAST, AUTO, LSTM_RELU, 6}, 3, 5, LSTM_ADAM, LSTM_BINARY_CROSS_ENTROPY, .5f},
    {{40, 0, 8, 0, 5, ALL, AUTO, LSTM_TANH, 20}, 8, 5, LSTM_RMSPROP, LSTM_CROSS_ENTROPY, .25f},
    {{1, 0, 16, 0, 1, LAST, AUTO, LSTM_LINEAR, 0}, 33, 4, LSTM_ADAMW, LSTM_MSE, 0},
    {{2, 0, 20, 0, 3, ALL, AUTO, LSTM_SIGMOID, 33}, 7, 6, LSTM_ADAM, LSTM_BINARY_CROSS_ENTROPY, .25f},
    {{40, 0, 33, 0, 17, ALL, AUTO, LSTM_LINEAR, 0}, 5, 4, LSTM_SGD, LSTM_CROSS_ENTROPY, 0},
    {{1, 0, 64, 0, 1, ALL, AUTO, LSTM_LINEAR, 0}, 3, 4, LSTM_ADAM, LSTM_MSE, .1f},
    {{3, 0, 128, 0, 4, LAST, AUTO, LSTM_RELU, 6}, 6, 3, LSTM_RMSPROP, LSTM_MSE, 0},
    {{11, 6, 16, 0, 11, ALL, AUTO, LSTM_TANH, 20}, 8, 6, LSTM_ADAM, LSTM_CROSS_ENTROPY, .25f},
    {{65, 16, 33, 0, 65, ALL, AUTO, LSTM_LINEAR, 0}, 5, 8, LSTM_ADAMW, LSTM_CROSS_ENTROPY, .5f},
    {{3, 0, 16, 20, 2, ALL, AUTO, LSTM_SIGMOID, 33}, 9, 4, LSTM_SGD, LSTM_BINARY_CROSS_ENTROPY, .25f},
    {{7, 5, 20, 8, 7, LAST, AUTO, LSTM_LINEAR, 0}, 33, 4, LSTM_RMSPROP, LSTM_CROSS_ENTROPY, .25f},
};
#undef ALL
#undef LAST
#undef AUTO
#define COURSES HELPERS_COUNT(courses)

/* 1: the courses run with the trainer's options on, with MAE or Huber's loss instead of MSE. */
static int with_options;

static lstm_loss loss_of(const course *c) {
  if (!with_options || c->loss != LSTM_MSE) return c->loss;
  return c->batch % 2 ? LSTM_HUBER : LSTM_MAE;
}

static void add_options(lstm_trainer_desc *desc) {
  static const float rates[6] = {.5f, 1, 0, 2, 1, .25f};
  static float class_weights[65];
  int turn = (int)desc->optimizer % LSTM_SCHEDULE_COUNT, i; /* each optimiser has a schedule of its own */
  fill(class_weights, 65, 9, 1);
  for (i = 0; i < 65; i++) class_weights[i] += 1;
  desc->huber_delta = .25f;
  if (desc->loss == LSTM_CROSS_ENTROPY) desc->label_smoothing = .1f, desc->class_weights = class_weights;
  desc->nesterov = desc->optimizer == LSTM_SGD;
  desc->schedule = (lstm_schedule)turn;
  desc->schedule_steps = turn == LSTM_SCHEDULE_COSINE ? 7 : 3;
  desc->warmup = 2;
  desc->layer_rates = rates;
}

static lstm_trainer *make_trainer(const course *c, lstm_model *model, const lstm_executor *executor) {
  lstm_trainer_desc desc = {0};
  lstm_trainer *trainer;
  desc.batch_size = c->batch;
  desc.seq_len = c->steps;
  desc.loss = loss_of(c);
  desc.optimizer = c->optimizer;
  desc.carry_state = 1;
  desc.learning_rate = .01f;
  desc.momentum = c->optimizer == LSTM_SGD || c->optimizer == LSTM_RMSPROP ? .9f : 0;
  desc.weight_decay = .01f;
  desc.clip_norm = .5f;
  desc.clip_value = .25f;
  desc.seed = 5;
  if (executor) desc.executor = *executor;
  if (with_options) add_options(&desc);
  assert_ok(lstm_trainer_create(model, &desc, &trainer));
  return trainer;
}

/* Storage for one window with every feature in it: ragged lanes, weights, resets and absent targets. */
typedef struct window {
  float *x, *targets, *weights;
  int32_t *ids, *target_ids;
  int *lengths;
  unsigned char *reset;
  lstm_batch batch;
} window;

static window make_window(const course *c, uint64_t seed, int tiny) {
  window w = {0};
  size_t B = (size_t)c->batch, T = (size_t)c->steps, I = (size_t)c->s.input, O = (size_t)c->s.output, i;
  lstm_rng rng = {0};
  rng.seed = seed;
  w.x = make_floats(T * B * I), w.targets = make_floats(T * B * O), w.weights = make_floats(T * B);
  w.ids = (int32_t *)make_array(T * B, sizeof(int32_t)), w.target_ids = (int32_t *)make_array(T * B, sizeof(int32_t));
  w.lengths = (int *)make_array(B, sizeof(int)), w.reset = (unsigned char *)make_array(B, 1);
  fill(w.x, T * B * I, seed + 1, 1.0f);
  if (tiny) sprinkle_subnormals(w.x, T * B * I);
  for (i = 0; i < T * B * O; i++) w.targets[i] = lstm_random(&rng);
  for (i = 0; i < T * B; i++) w.weights[i] = lstm_random(&rng);
  fill_ids(w.ids, T * B, seed + 2, c->s.input);
  for (i = 0; i < T * B; i++) w.target_ids[i] = (int32_t)lstm_random_index(&rng, c->s.output + 1) - 1;
  for (i = 0; i < B; i++) {
    w.lengths[i] = lstm_random_index(&rng, c->steps + 1);
    w.reset[i] = lstm_random_index(&rng, 4) == 0;
  }
  w.lengths[0] = c->steps;
  w.target_ids[0] = 0;
  if (c->s.embed) w.batch.ids = w.ids;
  else w.batch.x = w.x;
  if (c->loss == LSTM_CROSS_ENTROPY) w.batch.target_ids = w.target_ids;
  else w.batch.targets = w.targets;
  w.batch.burn_in = with_options && c->s.read == LSTM_READ_ALL;
  w.batch.weights = w.weights, w.batch.lengths = w.lengths, w.batch.reset = w.reset;
  return w;
}

static void free_window(window *w) {
  free(w->x), free(w->targets), free(w->weights), free(w->ids), free(w->target_ids), free(w->lengths), free(w->reset);
}

/* Ten steps; losses, norms, carried states and the weights at the end. */
static uint64_t digest_training(const course *c, int isa, const lstm_executor *executor, int tiny) {
  lstm_model *model = make_model(&c->s, isa, c->dropout, tiny);
  lstm_trainer *trainer = make_trainer(c, model, executor);
  size_t states = (size_t)c->batch * (size_t)lstm_model_state_size(model);
  float *finals = make_floats(states);
  uint64_t hash = FNV_BEGIN;
  int i;
  for (i = 0; i < 10; i++) {
    window w = make_window(c, 100 + 10 * (uint64_t)i, tiny);
    float loss, norm;
    assert_ok(lstm_train(trainer, &w.batch, &loss));
    norm = lstm_trainer_norm(trainer);
    hash = fnv1a_floats(fnv1a_floats(hash, &loss, 1), &norm, 1);
    assert_ok(lstm_trainer_final(trainer, finals));
    hash = fnv1a_floats(hash, finals, states);
    free_window(&w);
  }
  hash = fnv1a_model(hash, model);
  lstm_trainer_destroy(trainer);
  lstm_model_destroy(model);
  free(finals);
  return hash;
}

/* --- walks -------------------------------------------------------------------------------------------------------- */

/* Says where a set differs from scalar code, and goes on, so that one run shows all shapes that differ. */
static void compare(uint64_t scalar, uint64_t other, int isa, const char *what, int index, int *differences) {
  if (scalar == other) return;
  print_error("%s %d: %s gives %016llx, scalar %016llx\n", what, index, set_name(isa), (unsigned long long)other,
              (unsigned long long)scalar);
  ++*differences;
}

static uint64_t walk_forward(int tiny, int check) {
  uint64_t hash = FNV_BEGIN;
  int i, isa, differences = 0;
  for (i = 0; i < SHAPES; i++) {
    uint64_t scalar = digest_forward(&shapes[i], LSTM_ISA_SCALAR, tiny, check);
    for (isa = LSTM_ISA_SCALAR + 1; isa < SETS; isa++)
      if (walks(isa, shapes[i].hidden, tiny))
        compare(scalar, digest_forward(&shapes[i], isa, tiny, check && checks_all_ways(isa)), isa, "shape", i,
                &differences);
    hash = fnv1a_number(hash, scalar, 8);
  }
  if (differences) fail_msg("%d differences between instruction sets", differences);
  return hash;
}

/* One course on one set, alone and in tasks of several widths. */
static void compare_training(uint64_t scalar, int course_index, int isa, int tiny, int tasks, int *differences) {
  static const int widths[] = {2, 3, 7};
  const course *c = &courses[course_index];
  int k;
  compare(scalar, digest_training(c, isa, NULL, tiny), isa, "course", course_index, differences);
  for (k = 0; tasks && k < HELPERS_COUNT(widths); k++) {
    int width = widths[k];
    lstm_executor odd = odd_order_executor(width), threads = thread_executor(&width);
    compare(scalar, digest_training(c, isa, &odd, tiny), isa, "tasks, course", course_index, differences);
    compare(scalar, digest_training(c, isa, &threads, tiny), isa, "threads, course", course_index, differences);
  }
}

static uint64_t walk_training(int tiny, int tasks) {
  uint64_t hash = FNV_BEGIN;
  int i, isa, differences = 0;
  for (i = 0; i < COURSES; i++) {
    uint64_t scalar = digest_training(&courses[i], LSTM_ISA_SCALAR, NULL, tiny);
    for (isa = LSTM_ISA_SCALAR; isa < SETS; isa++)
      if (walks(isa, courses[i].s.hidden, tiny))
        compare_training(scalar, i, isa, tiny, tasks && isa != SOFT, &differences);
    hash = fnv1a_number(hash, scalar, 8);
  }
  if (differences) fail_msg("%d differences between instruction sets", differences);
  return hash;
}

static uint64_t walk_options(int tasks) {
  uint64_t hash;
  with_options = 1;
  hash = walk_training(0, tasks);
  with_options = 0;
  return hash;
}

#include "cells.h"

/* --- tests -------------------------------------------------------------------------------------------------------- */

static void test_expected_set_is_there(void **arg) {
  const char *name = getenv("LSTM_EXPECT_ISA");
  int isa;
  (void)arg;
  for (isa = LSTM_ISA_SCALAR; isa < LSTM_ISA_COUNT; isa++)
    if (lstm_isa_usable((lstm_isa)isa)) print_message("usable: %s\n", lstm_isa_name((lstm_isa)isa));
  assert_true(lstm_isa_usable(LSTM_ISA_SCALAR));
  assert_true(lstm_isa_usable(lstm_isa_best()));
  if (name && !lstm_isa_usable(lstm_isa_from_name(name))) fail_msg("LSTM_EXPECT_ISA=%s is not usable here", name);
}

static void test_a_model_runs_on_the_set_asked_for(void **arg) {
  int isa;
  (void)arg;
  for (isa = LSTM_ISA_AUTO; isa < LSTM_ISA_COUNT; isa++) {
    lstm_layer layer = lstm_lstm(4);
    lstm_model_desc desc = {0};
    lstm_model *model;
    desc.input_size = 1;
    desc.layers = &layer;
    desc.layer_count = 1;
    desc.isa = (lstm_isa)isa;
    if (isa != LSTM_ISA_AUTO && !lstm_isa_usable((lstm_isa)isa)) {
      assert_status(lstm_model_create(&desc, &model), LSTM_ERR_UNSUPPORTED);
      assert_null(model);
      continue;
    }
    assert_ok(lstm_model_create(&desc, &model));
    assert_int_equal(lstm_model_isa(model), isa == LSTM_ISA_AUTO ? lstm_isa_best() : (lstm_isa)isa);
    lstm_model_destroy(model);
  }
}

/* A token's start value from the stored table, and computed at each step. */
static void test_stored_start_values_do_not_change_the_bits(void **arg) {
  int i, tables = 0;
  (void)arg;
  for (i = 0; i < SHAPES; i++) {
    run r = make_run(&shapes[i], LSTM_ISA_AUTO, 0);
    if (r.model->table_valid) {
      uint64_t with, without;
      tables++;
      run_single_steps(&r);
      with = fnv1a_floats(FNV_BEGIN, r.y, STEPS * LANES * r.O);
      r.model->table_valid = 0;
      run_single_steps(&r);
      without = fnv1a_floats(FNV_BEGIN, r.y, STEPS * LANES * r.O);
      assert_true(with == without);
    }
    free_run(&r);
  }
  assert_true(tables > 0);
}

/* Before each step every set takes over what scalar code saved; after it the bytes are the same, padding too. */
static void relay(const shape *s, size_t lanes) {
  run r = make_run(s, LSTM_ISA_SCALAR, 0);
  lstm_state *first = make_state(r.model, (int)lanes, 1);
  size_t size = lstm_state_saved_size(first), t;
  void *saved = make_array(size, 1);
  float *y = make_floats(lanes * r.O);
  int isa;
  for (t = 0; t < STEPS; t++) {
    const float *x = r.x + t * LANES * r.I;
    const int32_t *ids = r.ids ? r.ids + t * LANES : NULL;
    memcpy(saved, first, size);
    assert_ok(step(r.model, first, x, ids, r.y));
    for (isa = LSTM_ISA_SCALAR + 1; isa < SETS; isa++) {
      lstm_model *model = agrees(isa) ? make_model(s, isa, 0, 0) : NULL;
      lstm_state *own = model ? make_state(model, (int)lanes, 1) : NULL;
      if (!model) continue;
      memcpy(own, saved, size);
      assert_ok(step(model, own, x, ids, y));
      assert_memory_equal(own, first, size);
      assert_bits(y, r.y, lanes * r.O);
      lstm_state_destroy(own);
      lstm_model_destroy(model);
    }
  }
  lstm_state_destroy(first);
  free_run(&r);
  free(saved), free(y);
}

/* Narrow last blocks of units, and inputs so wide that a cell of one or two groups is beyond the first cache. */
static void test_saved_states_move_between_sets(void **arg) {
  static const int sizes[] = {1, 8, 9, 16, 17, 24, 25, 32, 33, 40, 56}, inputs[] = {1, 50, 200};
  int i, k;
  (void)arg;
  for (numerics = LSTM_FUSED; numerics <= (LSTM__HAS_PORTABLE ? LSTM_PORTABLE : LSTM_FUSED); numerics++)
    for (i = 0; i < HELPERS_COUNT(sizes); i++)
      for (k = 0; k < HELPERS_COUNT(inputs); k++) {
        shape s = {inputs[k], 0, sizes[i], 0, 3, LSTM_READ_ALL, LSTM_OUTPUT_LINEAR, LSTM_LINEAR, 0};
        s.embed = i % 2 ? 0 : inputs[2 - k], s.hidden2 = k == 1 ? sizes[(i + 5) % HELPERS_COUNT(sizes)] : 0;
        relay(&s, 1);
        relay(&s, 7);
      }
  numerics = LSTM_FUSED;
}

static uint64_t forward_result, training_result, options_result, cells_result, portable_result;

static void test_forward_is_the_same_everywhere(void **arg) {
  (void)arg;
  forward_result = walk_forward(0, 1);
}

static void test_training_is_the_same_everywhere(void **arg) {
  (void)arg;
  training_result = walk_training(0, 1);
}

static void test_training_with_options_is_the_same_everywhere(void **arg) {
  (void)arg;
  options_result = walk_options(1);
}

static void test_every_cell_is_the_same_everywhere(void **arg) {
  (void)arg;
  cells_result = walk_cells(1);
}

static void walk_subnormals(int check) {
  for (numerics = LSTM_FUSED; numerics <= (LSTM__HAS_PORTABLE ? LSTM_PORTABLE : LSTM_FUSED); numerics++) {
    walk_forward(1, check);
    walk_training(1, 0);
  }
  numerics = LSTM_FUSED;
}

static void test_subnormal_numbers_are_the_same_everywhere(void **arg) {
  (void)arg;
  walk_subnormals(0);
}

/* FTZ and DAZ belong to the caller: with both on, in all threads alike, the sets still agree. */
static void test_flushing_to_zero_is_the_same_everywhere(void **arg) {
#if defined(__SSE2__)
  unsigned saved = _mm_getcsr();
  (void)arg;
  _mm_setcsr(saved | 0x8040u);
  walk_subnormals(1);
  assert_int_equal(_mm_getcsr() & 0x8040u, 0x8040u);
  _mm_setcsr(saved);
#else
  (void)arg;
  print_message("no FTZ and DAZ on this machine\n");
  skip();
#endif
}

/* Everything once more with portable numerics, in one digest. 0: this build has none. */
static uint64_t walk_portable(int check) {
  uint64_t all[4], hash = FNV_BEGIN;
  int i;
  if (!LSTM__HAS_PORTABLE) return 0;
  numerics = LSTM_PORTABLE;
  all[0] = walk_forward(0, check), all[1] = walk_training(0, 0), all[2] = walk_options(0), all[3] = walk_cells(check);
  numerics = LSTM_FUSED;
  for (i = 0; i < 4; i++) hash = fnv1a_number(hash, all[i], 8);
  return hash;
}

static void test_portable_numerics_are_the_same_everywhere(void **arg) {
  (void)arg;
  portable_result = walk_portable(1);
}

/* What the unfused sets promise instead: outputs and states within 2e-6 of the fused ones per step at these sizes. */
static void test_unfused_sets_keep_their_tolerance(void **arg) {
  int isa, i;
  (void)arg;
  for (isa = LSTM_ISA_SCALAR; isa < LSTM_ISA_COUNT; isa++) {
    double worst = 0;
    if (!lstm_isa_usable((lstm_isa)isa) || isa_is_fused((lstm_isa)isa)) continue;
    for (i = 0; i < SHAPES; i++) {
      run a = make_run(&shapes[i], LSTM_ISA_SCALAR, 0), b = make_run(&shapes[i], isa, 0);
      size_t k;
      run_single_steps(&a);
      run_single_steps(&b);
      for (k = 0; k < (STEPS + 1) * LANES * a.S; k++) {
        double d = (double)a.states[k] - (double)b.states[k];
        worst = d > worst ? d : -d > worst ? -d : worst;
      }
      for (k = 0; k < STEPS * LANES * a.O; k++) {
        double d = (double)a.y[k] - (double)b.y[k];
        worst = d > worst ? d : -d > worst ? -d : worst;
      }
      free_run(&a);
      free_run(&b);
    }
    print_message("%s: at most %.2e from scalar\n", lstm_isa_name((lstm_isa)isa), worst);
    assert_true(worst <= 2e-6 * STEPS);
  }
}

static void test_digests_are_the_expected_ones(void **arg) {
  static const char *const names[] = {"forward", "training", "options", "cells", "portable"};
  uint64_t got[5];
  FILE *file = fopen("tests/isa/digest.txt", "r");
  int i, changed = 0;
  (void)arg;
  got[0] = forward_result, got[1] = training_result, got[2] = options_result, got[3] = cells_result;
  got[4] = portable_result;
  if (!file) fail_msg("tests/isa/digest.txt cannot be read: start this program from the repository's root");
  for (i = 0; i < 5; i++) {
    unsigned long long wanted;
    char name[16];
    assert_int_equal(fscanf(file, "%15s %llx", name, &wanted), 2);
    assert_string_equal(name, names[i]);
    print_message("%-8s %016llx, expected %016llx\n", name, (unsigned long long)got[i], wanted);
    if (got[i] != wanted && (i < 4 || LSTM__HAS_PORTABLE)) changed++;
  }
  fclose(file);
  if (changed)
    fail_msg("%d digests have changed (should they: %s)", changed,
             "build/tests/isa_isa --print > tests/isa/digest.txt");
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_expected_set_is_there),
      cmocka_unit_test(test_a_model_runs_on_the_set_asked_for),
      cmocka_unit_test(test_forward_is_the_same_everywhere),
      cmocka_unit_test(test_training_is_the_same_everywhere),
      cmocka_unit_test(test_training_with_options_is_the_same_everywhere),
      cmocka_unit_test(test_every_cell_is_the_same_everywhere),
      cmocka_unit_test(test_portable_numerics_are_the_same_everywhere),
      cmocka_unit_test(test_digests_are_the_expected_ones),
      cmocka_unit_test(test_stored_start_values_do_not_change_the_bits),
      cmocka_unit_test(test_saved_states_move_between_sets),
      cmocka_unit_test(test_subnormal_numbers_are_the_same_everywhere),
      cmocka_unit_test(test_flushing_to_zero_is_the_same_everywhere),
      cmocka_unit_test(test_unfused_sets_keep_their_tolerance),
  };
  if (argc > 1 && strcmp(argv[1], "--print") == 0) {
    printf("forward %016llx\n", (unsigned long long)walk_forward(0, 0));
    printf("training %016llx\n", (unsigned long long)walk_training(0, 0));
    printf("options %016llx\n", (unsigned long long)walk_options(0));
    printf("cells %016llx\n", (unsigned long long)walk_cells(0));
    if (LSTM__HAS_PORTABLE) printf("portable %016llx\n", (unsigned long long)walk_portable(0));
    return 0;
  }
  return cmocka_run_group_tests_name("isa", tests, NULL, NULL);
}
