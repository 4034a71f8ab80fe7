/* The option matrix: every option of a cell alone, every one stacked on another, and some rich cells. For each, what
   every way of computing it gives is compared with each sequence computed alone (DESIGN: steps, sequences, named lanes,
   padded batches, tasks), and ten training steps in tasks of several widths. Included by isa.c. */

#define CELL_STEPS 4
#define MORE(...) {.type = LSTM_LAYER_LSTM, __VA_ARGS__}
#define GRU(...) {.type = LSTM_LAYER_GRU, __VA_ARGS__}

/* Sizes are set later. A projection is half as wide as the cell, rounded up. */
static const lstm_layer cells[] = {
    MORE(.peephole = 1),
    MORE(.coupled = 1),
    MORE(.projection = 1),
    MORE(.layer_norm = 1),
    MORE(.cell_clip = .125f),
    MORE(.forget = LSTM_FORGET_ZERO),
    MORE(.forget = LSTM_FORGET_ONE),
    MORE(.forget = LSTM_FORGET_NOISE, .noise = .25f),
    MORE(.activation = LSTM_RELU),
    MORE(.activation = LSTM_SOFTSIGN),
    MORE(.activation = LSTM_LINEAR),
    MORE(.activation = LSTM_SIGMOID),
    MORE(.activation = LSTM_HARD_SIGMOID),
    MORE(.gate_activation = LSTM_HARD_SIGMOID),
    MORE(.gate_activation = LSTM_SOFTSIGN),
    MORE(.gate_activation = LSTM_TANH),
    MORE(.gate_activation = LSTM_RELU),
    MORE(.gate_activation = LSTM_LINEAR),
    MORE(.dropout = .25f),
    MORE(.recurrent_dropout = .25f),
    MORE(.zoneout = .125f),
    MORE(.learned_state = 1),
    MORE(.read = LSTM_READ_LAST),
    MORE(.read = LSTM_READ_MEAN),
    MORE(.read = LSTM_READ_MAX),
    MORE(.bidirectional = 1),
    MORE(.bidirectional = 1, .merge = LSTM_MERGE_SUM),
    MORE(.bidirectional = 1, .read = LSTM_READ_LAST),
    MORE(.bidirectional = 1, .read = LSTM_READ_MEAN),
    MORE(.bidirectional = 1, .read = LSTM_READ_MAX, .merge = LSTM_MERGE_SUM),
    GRU(.size = 0),
    GRU(.dropout = .25f),
    GRU(.recurrent_dropout = .25f),
    GRU(.zoneout = .125f),
    GRU(.learned_state = 1),
    GRU(.read = LSTM_READ_LAST),
    GRU(.read = LSTM_READ_MEAN),
    GRU(.read = LSTM_READ_MAX),
    GRU(.bidirectional = 1),
    GRU(.bidirectional = 1, .merge = LSTM_MERGE_SUM, .read = LSTM_READ_MAX),
    GRU(.bidirectional = 1, .learned_state = 1, .recurrent_dropout = .25f, .zoneout = .125f, .dropout = .25f),
    MORE(.peephole = 1, .layer_norm = 1, .projection = 1, .cell_clip = .5f),
    MORE(.peephole = 1, .layer_norm = 1, .projection = 1, .zoneout = .125f, .recurrent_dropout = .25f, .dropout = .25f,
         .learned_state = 1, .bidirectional = 1),
    MORE(.coupled = 1, .layer_norm = 1, .activation = LSTM_SOFTSIGN, .gate_activation = LSTM_HARD_SIGMOID),
    MORE(.forget = LSTM_FORGET_NOISE, .noise = .5f, .peephole = 1, .zoneout = .25f, .projection = 1),
    MORE(.coupled = 1, .peephole = 1, .cell_clip = .25f, .learned_state = 1, .recurrent_dropout = .5f),
    MORE(.layer_norm = 1, .bidirectional = 1, .merge = LSTM_MERGE_SUM, .projection = 1, .read = LSTM_READ_MEAN),
    MORE(.forget = LSTM_FORGET_ONE, .cell_clip = .5f, .peephole = 1, .layer_norm = 1, .activation = LSTM_RELU),
    MORE(.projection = 1, .recurrent_dropout = .25f, .zoneout = .125f, .learned_state = 1, .read = LSTM_READ_LAST),
};
#undef MORE
#undef GRU
#define SINGLES HELPERS_COUNT(cells)
#define CELL_CASES (2 * SINGLES + 1)

typedef struct cell_case {
  lstm_layer layers[5];
  int count, input, tokens, output;
  lstm_output kind;
  lstm_loss loss;
} cell_case;

static lstm_layer sized_cell(int which, int size) {
  lstm_layer l = cells[which];
  l.size = size;
  if (l.projection) l.projection = (size + 1) / 2;
  return l;
}

/* Case i: a cell alone, or two of different kinds one above the other; every fourth reads tokens. The last one shares
   its table between embedding and outputs. */
static cell_case make_cell_case(int i) {
  static const int sizes[] = {5, 16, 7, 20, 17};
  static const lstm_output kinds[] = {LSTM_OUTPUT_LINEAR, LSTM_OUTPUT_SOFTMAX, LSTM_OUTPUT_SIGMOID};
  static const lstm_loss losses[] = {LSTM_MSE, LSTM_CROSS_ENTROPY, LSTM_BINARY_CROSS_ENTROPY};
  int tied = i == 2 * SINGLES, stacked = i >= SINGLES && !tied, first = tied ? 0 : i % SINGLES;
  cell_case c;
  memset(&c, 0, sizeof c);
  c.tokens = tied || i % 4 == 3;
  c.input = c.tokens ? 9 : 3;
  c.output = tied ? 9 : 2 + i % 3;
  c.kind = kinds[i % 3], c.loss = losses[i % 3];
  if (c.tokens) c.layers[c.count++] = lstm_embedding(tied ? 7 : 4);
  c.layers[0].tied = tied;
  c.layers[c.count++] = sized_cell(first, tied ? 7 : sizes[i % 5]);
  if (stacked) {
    c.layers[c.count - 1].read = LSTM_READ_ALL;
    if (i % 3 == 0) c.layers[c.count++] = lstm_dropout(.25f);
    c.layers[c.count] = sized_cell((first * 7 + 3) % SINGLES, sizes[(i + 2) % 5]);
    c.layers[c.count++].read = (lstm_read)(i / 5 % LSTM_READ_COUNT);
  }
  c.layers[c.count++] = lstm_dense(c.output);
  return c;
}

/* The initial weights, but no vector is left at 0 or 1. */
static lstm_model *make_cell_model(const cell_case *c, int isa) {
  lstm_model_desc desc = {0};
  lstm_model *model;
  int i;
  desc.input_size = c->input;
  desc.layers = c->layers;
  desc.layer_count = c->count;
  desc.output = c->kind;
  desc.isa = isa == SOFT ? LSTM_ISA_SCALAR : (lstm_isa)isa;
  desc.numerics = numerics;
  desc.seed = 43;
  assert_ok(lstm_model_create(&desc, &model));
#if LSTM__HAS_SOFT
  if (isa == SOFT) model->kernels = &lstm__kernels_21;
#endif
  for (i = 0; i < lstm_model_tensor_count(model); i++) {
    lstm_tensor t;
    assert_ok(lstm_model_tensor(model, i, &t));
    if (t.columns == 0) fill(t.data, t.count, (uint64_t)i, .5f);
  }
  lstm_model_refresh(model);
  return model;
}

/* --- forward ------------------------------------------------------------------------------------------------------ */

/* What each lane gives alone, for each length up to CELL_STEPS; and by steps, where there are steps. */
typedef struct cell_run {
  const cell_case *c;
  lstm_model *model;
  size_t I, O, S, lanes;
  int steps, reads_once;
  float *x;      /* [STEPS][lanes][I] */
  int32_t *ids;  /* [STEPS][lanes], or NULL */
  float *y;      /* [STEPS + 1][lanes][STEPS][O]: of a sequence of that length */
  float *states; /* [STEPS + 1][lanes][S] */
  float *step_y; /* [STEPS][lanes][O] */
} cell_run;

static float *alone_y(const cell_run *r, size_t length, size_t lane) {
  return r->y + (length * r->lanes + lane) * CELL_STEPS * r->O;
}

static float *alone_state(const cell_run *r, size_t length, size_t lane) {
  return r->states + (length * r->lanes + lane) * r->S;
}

static lstm_state *make_cell_state(const lstm_model *model, size_t lanes, int tasks) {
  lstm_state_desc desc = {0};
  lstm_state *state;
  desc.lanes = (int)lanes;
  desc.tasks = tasks;
  desc.seq_len = CELL_STEPS;
  assert_ok(lstm_state_create(model, &desc, &state));
  return state;
}

static cell_run make_cell_run(const cell_case *c, int isa, size_t lanes) {
  cell_run r = {0};
  size_t t, b;
  r.c = c, r.lanes = lanes;
  r.model = make_cell_model(c, isa);
  r.I = (size_t)c->input, r.O = (size_t)c->output, r.S = (size_t)lstm_model_state_size(r.model);
  r.steps = !lstm_model_bidirectional(r.model), r.reads_once = lstm_model_reads_last(r.model);
  r.x = make_floats(CELL_STEPS * lanes * r.I);
  if (c->tokens) r.ids = (int32_t *)make_array(CELL_STEPS * lanes, sizeof(int32_t));
  for (t = 0; t < CELL_STEPS; t++)
    for (b = 0; b < lanes; b++) { /* a lane's inputs do not depend on how many lanes there are */
      fill(r.x + (t * lanes + b) * r.I, r.I, 100 * t + b, 2.0f);
      if (r.ids) fill_ids(r.ids + t * lanes + b, 1, 100 * t + b, c->input);
    }
  r.y = make_floats((CELL_STEPS + 1) * lanes * CELL_STEPS * r.O);
  r.states = make_floats((CELL_STEPS + 1) * lanes * r.S);
  r.step_y = make_floats(CELL_STEPS * lanes * r.O);
  return r;
}

static void free_cell_run(cell_run *r) {
  lstm_model_destroy(r->model);
  free(r->x), free(r->ids), free(r->y), free(r->states), free(r->step_y);
}

/* The inputs of `count` lanes from `first`, [STEPS][count][I]. */
static void take_cell_lanes(const cell_run *r, size_t first, size_t count, float *x, int32_t *ids) {
  size_t t;
  for (t = 0; t < CELL_STEPS; t++) {
    memcpy(x + t * count * r->I, r->x + (t * r->lanes + first) * r->I, count * r->I * sizeof(float));
    if (r->ids) memcpy(ids + t * count, r->ids + t * r->lanes + first, count * sizeof(int32_t));
  }
}

static void run_lanes_alone(cell_run *r) {
  lstm_state *st = make_cell_state(r->model, 1, 1);
  float *x = make_floats(CELL_STEPS * r->I), *values = make_floats(r->S);
  int32_t ids[CELL_STEPS] = {0};
  size_t b, length, t;
  for (b = 0; b < r->lanes; b++) {
    take_cell_lanes(r, b, 1, x, ids);
    for (length = 0; length <= CELL_STEPS; length++) {
      assert_ok(lstm_state_begin(r->model, st, -1));
      if (length)
        assert_ok(r->ids ? lstm_forward_ids(r->model, st, ids, (int)length, alone_y(r, length, b))
                         : lstm_forward(r->model, st, x, (int)length, alone_y(r, length, b)));
      assert_ok(lstm_state_get(r->model, st, 0, alone_state(r, length, b)));
    }
    assert_ok(lstm_state_begin(r->model, st, 0));
    for (t = 0; r->steps && t < CELL_STEPS; t++) {
      float *y = r->step_y + (t * r->lanes + b) * r->O;
      assert_ok(step(r->model, st, x + t * r->I, r->ids ? ids + t : NULL, y));
      if (r->c->layers[r->c->count - 2].read <= LSTM_READ_LAST)
        assert_bits(y, alone_y(r, t + 1, b) + (r->reads_once ? 0 : t * r->O), r->O);
    }
    if (!r->steps) continue;
    assert_ok(lstm_state_get(r->model, st, 0, values));
    assert_bits(values, alone_state(r, CELL_STEPS, b), r->S);
  }
  lstm_state_destroy(st);
  free(x), free(values);
}

static void check_cell_states(const cell_run *r, const lstm_state *st, size_t lanes, const int *lengths) {
  float *values = make_floats(r->S);
  size_t b;
  for (b = 0; b < lanes; b++) {
    assert_ok(lstm_state_get(r->model, st, (int)b, values));
    assert_bits(values, alone_state(r, lengths ? (size_t)lengths[b] : CELL_STEPS, b), r->S);
  }
  free(values);
}

/* y [T'][lanes][O]; padding is zero, as it is in what was computed alone. */
static void check_cell_outputs(const cell_run *r, const float *y, size_t lanes, const int *lengths) {
  size_t b, t;
  for (b = 0; b < lanes; b++)
    for (t = 0; t < (r->reads_once ? 1 : CELL_STEPS); t++)
      assert_bits(y + (t * lanes + b) * r->O, alone_y(r, lengths ? (size_t)lengths[b] : CELL_STEPS, b) + t * r->O,
                  r->O);
}

static void check_cell_steps(const cell_run *r, size_t lanes, const float *x, const int32_t *ids) {
  lstm_state *st = make_cell_state(r->model, lanes, 1);
  float *y = make_floats(lanes * r->O);
  size_t t;
  for (t = 0; t < CELL_STEPS; t++) {
    assert_ok(step(r->model, st, x + t * lanes * r->I, ids ? ids + t * lanes : NULL, y));
    assert_bits(y, r->step_y + t * r->lanes * r->O, lanes * r->O);
  }
  check_cell_states(r, st, lanes, NULL);
  lstm_state_destroy(st);
  free(y);
}

/* One lane of three at a time, by name, from the last to the first. */
static void check_cell_named(const cell_run *r) {
  lstm_state *st = make_cell_state(r->model, r->lanes, 1);
  float *y = make_floats(r->O);
  size_t t;
  int b;
  for (t = 0; t < CELL_STEPS; t++)
    for (b = (int)r->lanes - 1; b >= 0; b--) {
      size_t at = t * r->lanes + (size_t)b;
      assert_ok(r->ids ? lstm_step_ids_lanes(r->model, st, &b, 1, r->ids + at, y)
                       : lstm_step_lanes(r->model, st, &b, 1, r->x + at * r->I, y));
      assert_bits(y, r->step_y + at * r->O, r->O);
    }
  check_cell_states(r, st, r->lanes, NULL);
  lstm_state_destroy(st);
  free(y);
}

static void check_cell_sequence(const cell_run *r, size_t lanes, const float *x, const int32_t *ids) {
  lstm_state *st = make_cell_state(r->model, lanes, 1);
  float *y = make_floats(CELL_STEPS * lanes * r->O);
  assert_ok(ids ? lstm_forward_ids(r->model, st, ids, CELL_STEPS, y) : lstm_forward(r->model, st, x, CELL_STEPS, y));
  check_cell_outputs(r, y, lanes, NULL);
  check_cell_states(r, st, lanes, NULL);
  lstm_state_destroy(st);
  free(y);
}

static void check_cell_batch(const cell_run *r, size_t lanes, const float *x, const int32_t *ids, const int *lengths,
                             const lstm_executor *executor) {
  lstm_state *st = make_cell_state(r->model, lanes, executor->width);
  float *y = make_floats(CELL_STEPS * lanes * r->O);
  lstm_batch batch = {0};
  batch.seq_len = CELL_STEPS;
  batch.x = ids ? NULL : x;
  batch.ids = ids;
  batch.lengths = lengths;
  assert_ok(lstm_forward_batch(r->model, st, &batch, y, executor));
  check_cell_outputs(r, y, lanes, lengths);
  check_cell_states(r, st, lanes, lengths);
  lstm_state_destroy(st);
  free(y);
}

static int draws_numbers(const cell_case *c) {
  int i;
  for (i = 0; i < c->count; i++) {
    const lstm_layer *l = &c->layers[i];
    if (l->dropout > 0 || l->recurrent_dropout > 0 || l->zoneout > 0 || l->noise > 0 || l->rate > 0) return 1;
  }
  return 0;
}

/* A trainer's forward pass gives what a state's does, where it draws no random numbers. */
static void check_cell_tape(const cell_run *r, const int *lengths) {
  lstm_trainer_desc desc = {0};
  lstm_trainer *trainer;
  lstm_batch batch = {0};
  size_t b, count = CELL_STEPS * r->lanes * r->O;
  float *y = make_floats(count), *finals = make_floats(r->lanes * r->S);
  if (draws_numbers(r->c)) {
    free(y), free(finals);
    return;
  }
  desc.batch_size = (int)r->lanes, desc.seq_len = CELL_STEPS;
  batch.x = r->ids ? NULL : r->x, batch.ids = r->ids, batch.lengths = lengths;
  assert_ok(lstm_trainer_create(r->model, &desc, &trainer));
  assert_ok(lstm_trainer_forward(trainer, &batch, y));
  assert_ok(lstm_trainer_final(trainer, finals));
  for (b = 0; b < r->lanes; b++) assert_bits(finals + b * r->S, alone_state(r, (size_t)lengths[b], b), r->S);
  if (r->c->kind == LSTM_OUTPUT_LINEAR) check_cell_outputs(r, y, r->lanes, lengths);
  lstm_trainer_destroy(trainer);
  free(y), free(finals);
}

static void check_cell_run(const cell_run *r) {
  static const size_t batches[] = {1, 3, 8, 33};
  static const int widths[] = {1, 2, 3, 7};
  int lengths[LANES], i, k;
  for (i = 0; i < LANES; i++) lengths[i] = (i * 3 + 2) % (CELL_STEPS + 1);
  for (i = 0; i < HELPERS_COUNT(batches); i++) {
    size_t lanes = batches[i];
    float *x = make_floats(CELL_STEPS * lanes * r->I);
    int32_t *ids = r->ids ? (int32_t *)make_array(CELL_STEPS * lanes, sizeof(int32_t)) : NULL;
    take_cell_lanes(r, 0, lanes, x, ids);
    if (r->steps) check_cell_steps(r, lanes, x, ids);
    check_cell_sequence(r, lanes, x, ids);
    for (k = 0; k < HELPERS_COUNT(widths); k++) {
      int width = widths[k];
      lstm_executor odd = odd_order_executor(width), threads = thread_executor(&width);
      check_cell_batch(r, lanes, x, ids, k == 1 ? NULL : lengths, lanes == 8 && k == 2 ? &threads : &odd);
    }
    free(x), free(ids);
  }
  if (r->steps) check_cell_named(r);
  check_cell_tape(r, lengths);
}

static uint64_t digest_cell_forward(const cell_case *c, int isa, int check) {
  cell_run r = make_cell_run(c, isa, check ? LANES : 3);
  uint64_t hash = fnv1a_model(FNV_BEGIN, r.model);
  size_t length, b;
  run_lanes_alone(&r);
  if (check) check_cell_run(&r);
  for (length = 0; length <= CELL_STEPS; length++)
    for (b = 0; b < 3; b++) {
      hash = fnv1a_floats(hash, alone_y(&r, length, b), CELL_STEPS * r.O);
      hash = fnv1a_floats(hash, alone_state(&r, length, b), r.S);
    }
  free_cell_run(&r);
  return hash;
}

/* --- training ----------------------------------------------------------------------------------------------------- */

#define CELL_BATCH 5

static lstm_trainer *make_cell_trainer(const cell_case *c, lstm_model *model, const lstm_executor *executor) {
  static const lstm_optimizer optimizers[] = {LSTM_SGD, LSTM_ADAM, LSTM_RMSPROP};
  lstm_trainer_desc desc = {0};
  lstm_trainer *trainer;
  desc.batch_size = CELL_BATCH, desc.seq_len = CELL_STEPS;
  desc.loss = c->loss;
  desc.optimizer = optimizers[(int)c->loss % 3];
  desc.carry_state = !lstm_model_bidirectional(model);
  desc.learning_rate = .01f;
  desc.clip_norm = .5f;
  desc.seed = 5;
  if (executor) desc.executor = *executor;
  assert_ok(lstm_trainer_create(model, &desc, &trainer));
  return trainer;
}

/* One step with ragged lanes, one of them empty in some windows, and resets; what it leaves goes into the hash. */
static uint64_t train_cell(const cell_case *c, lstm_trainer *trainer, int number, uint64_t hash) {
  float x[CELL_STEPS * CELL_BATCH * 3], targets[CELL_STEPS * CELL_BATCH * 9], finals[CELL_BATCH * 256], result[2];
  int32_t ids[CELL_STEPS * CELL_BATCH], target_ids[CELL_STEPS * CELL_BATCH];
  unsigned char reset[CELL_BATCH];
  int lengths[CELL_BATCH], i;
  size_t states = CELL_BATCH * (size_t)lstm_model_state_size(lstm_trainer_model(trainer));
  uint64_t seed = 10 * (uint64_t)number;
  lstm_batch batch = {0};
  fill(x, HELPERS_COUNT(x), seed, 2), fill(targets, HELPERS_COUNT(targets), seed + 1, 1);
  for (i = 0; i < HELPERS_COUNT(targets); i++) targets[i] = targets[i] < 0 ? -targets[i] : targets[i];
  fill_ids(ids, HELPERS_COUNT(ids), seed + 2, c->input), fill_ids(target_ids, HELPERS_COUNT(ids), seed + 3, c->output);
  for (i = 0; i < CELL_BATCH; i++)
    lengths[i] = i ? (i * 3 + number) % (CELL_STEPS + 1) : CELL_STEPS, reset[i] = (i + number) % 4 == 0;
  batch.lengths = lengths, batch.reset = reset;
  if (c->tokens) batch.ids = ids;
  else batch.x = x;
  if (c->loss == LSTM_CROSS_ENTROPY) batch.target_ids = target_ids;
  else batch.targets = targets;
  assert_ok(lstm_train(trainer, &batch, result));
  result[1] = lstm_trainer_norm(trainer);
  assert_true(states <= (size_t)HELPERS_COUNT(finals));
  assert_ok(lstm_trainer_final(trainer, finals));
  return fnv1a_floats(fnv1a_floats(hash, result, 2), finals, states);
}

static uint64_t digest_cell_training(const cell_case *c, int isa, const lstm_executor *executor) {
  lstm_model *model = make_cell_model(c, isa);
  lstm_trainer *trainer = make_cell_trainer(c, model, executor);
  uint64_t hash = FNV_BEGIN;
  int i;
  for (i = 0; i < 10; i++) hash = train_cell(c, trainer, i, hash);
  hash = fnv1a_model(hash, model);
  lstm_trainer_destroy(trainer);
  lstm_model_destroy(model);
  return hash;
}

/* --- walk --------------------------------------------------------------------------------------------------------- */

/* Tasks of several widths; real threads (slow to start) on the best set only, with one of the widths. */
static void check_cell_tasks(const cell_case *c, int index, int isa, uint64_t alone, int *differences) {
  static const int widths[] = {2, 3, 7};
  int k, threaded = isa == (int)lstm_isa_best();
  for (k = 0; k < HELPERS_COUNT(widths); k++) {
    int width = widths[k];
    lstm_executor odd = odd_order_executor(width), threads = thread_executor(&width);
    compare(alone, digest_cell_training(c, isa, &odd), isa, "tasks, cell", index, differences);
    if (threaded && index % 9 == 3 * k)
      compare(alone, digest_cell_training(c, isa, &threads), isa, "threads, cell", index, differences);
  }
}

/* All cells on all sets. */
static uint64_t walk_cells(int check) {
  uint64_t hash = FNV_BEGIN;
  int i, isa, differences = 0, runs = 0;
  for (i = 0; i < CELL_CASES; i++) {
    cell_case c = make_cell_case(i);
    uint64_t wanted[2] = {0, 0};
    for (isa = LSTM_ISA_SCALAR; isa < SETS; isa++) {
      int all = check && checks_all_ways(isa);
      uint64_t got[2];
      if (!agrees(isa) || (isa == SOFT && i % 4)) continue;
      got[0] = digest_cell_forward(&c, isa, all), got[1] = digest_cell_training(&c, isa, NULL);
      if (!wanted[0]) memcpy(wanted, got, sizeof got);
      compare(wanted[0], got[0], isa, "cell, forward", i, &differences);
      compare(wanted[1], got[1], isa, "cell, training", i, &differences);
      if (all) check_cell_tasks(&c, i, isa, got[1], &differences);
      runs++;
    }
    hash = fnv1a_number(fnv1a_number(hash, wanted[0], 8), wanted[1], 8);
  }
  if (check)
    print_message("%d cells, %d runs, %s, in %s\n", CELL_CASES, runs, numerics == LSTM_FUSED ? "fused" : "portable",
                  "steps, sequences, batches of 1, 3, 8, 33 lanes and 10 training steps, in 1, 2, 3, 7 tasks");
  if (differences) fail_msg("%d differences between cells", differences);
  return hash;
}
