/* trainer.c: training runs, and batches as Lua gives them. */
#include <limits.h>
#include <math.h>
#include <string.h>

#include "host.h"

#define TRAINER "lstm.trainer"

const char *const host_loss_names[] = {"none", "cross_entropy", "binary_cross_entropy", "mse",
                                       "mae",  "huber",         "esr",                  NULL};
static const char *const schedule_names[] = {"none", "step", "exponential", "cosine", NULL};
static const char *const optimizer_names[] = {"default", "sgd", "rmsprop", "adam", "adamw", NULL};

/* User value 1: the core model. User value 2: the public model, or nil. User value 3: the pool. User value 4: what the
   batch of the last forward, or of the step under way, points into. */
typedef struct host_trainer {
  lstm_trainer *trainer; /* NULL: not made yet, or closed */
  host_memory memory;
  host_model *model; /* alive as long as this: it counts its trainers */
  lstm_batch batch;  /* of the last forward, or of the step under way; batch_size 0: there was none */
  double gathered;   /* weight of the batches whose gradients wait for an update; 0: none wait */
  uint64_t kept;     /* updates when keep_best was last called */
  double unit;       /* the gradients are that of their mean, times gathered / unit */
  int busy;          /* gradcheck calls a script's function */
} host_trainer;

static host_trainer *check(lua_State *L) {
  host_trainer *t = (host_trainer *)host_checkobject(L, 1, TRAINER);
  if (!t->trainer) host_raise(L, "the trainer is closed");
  if (t->model->closed) host_raise(L, "the trainer's model is closed");
  if (t->busy) host_raise(L, "the trainer is busy: gradcheck calls this function");
  return t;
}

/* Raises where a step of train_some is under way, or (from = 2) amid its update. */
static void check_settled(lua_State *L, const host_trainer *t, int from, const char *what) {
  if (lstm_trainer_under_way(t->trainer) < from) return;
  host_raise(L, "%s: a step of train_some is %s: go on with it until it is done", what,
             from == 2 ? "amid its update" : "under way");
}

static int trainer_close(lua_State *L) {
  host_trainer *t = (host_trainer *)host_checkobject(L, 1, TRAINER);
  if (!t->trainer) return 0;
  if (t->busy) host_raise(L, "the trainer is busy: gradcheck calls this function");
  lstm_trainer_destroy(t->trainer);
  t->trainer = NULL;
  t->model->trainers--;
  host_release_model(t->model);
  return 0;
}

/* --- batches ------------------------------------------------------------------------------------------------------ */

static void read_inputs(lua_State *L, const lstm_model *model, int x, lstm_batch *batch) {
  int shape[3] = {-1, -1, 0};
  const host_array *a;
  if (lstm_model_takes_ids(model)) {
    a = host_checkarray(L, x, HOST_INT32, 2, "x (ids [T][B])");
    batch->ids = a->data.i;
  } else {
    a = host_checkarray(L, x, HOST_FLOAT32, 3, "x ([T][B][I])");
    shape[2] = lstm_model_input_size(model);
    host_checkshape(L, a, 3, shape, "x ([T][B][I])");
    batch->x = a->data.f;
  }
  batch->seq_len = a->shape[0];
  batch->batch_size = a->shape[1];
  if (batch->seq_len < 1 || batch->batch_size < 1) host_raise(L, "x: it is empty");
}

/* Where the model reads the last step, y may leave out the time axis, which is 1. */
static void read_targets(lua_State *L, const lstm_model *model, int y, lstm_loss loss, lstm_batch *batch) {
  int last = lstm_model_reads_last(model), ids = loss == LSTM_CROSS_ENTROPY, shape[3];
  const host_array *a = host_checkarray(L, y, ids ? HOST_INT32 : HOST_FLOAT32, 0, "y");
  int dims = ids ? 2 : 3, skip = last && a->dims == dims - 1;
  shape[0] = last ? 1 : batch->seq_len;
  shape[1] = batch->batch_size;
  shape[2] = lstm_model_output_size(model);
  host_checkshape(L, a, dims - skip, shape + skip, ids ? "y (ids [T][B])" : "y ([T][B][O])");
  if (ids) batch->target_ids = a->data.i;
  else batch->targets = a->data.f;
}

/* The field as an array of this shape, or NULL. The options table keeps it alive. */
static const host_array *read_field(lua_State *L, int table, const char *name, host_kind kind, int dims,
                                    const int *shape) {
  const host_array *a = NULL;
  host_field(L, table, name);
  if (!lua_isnil(L, -1)) {
    a = host_checkarray(L, -1, kind, 0, name);
    host_checkshape(L, a, dims, shape, name);
  }
  lua_pop(L, 1);
  return a;
}

/* reset = true (all lanes), or an int32 array [B] where not 0 resets. The bytes are left on the stack. */
static void read_reset(lua_State *L, int table, lstm_batch *batch) {
  int b, n = batch->batch_size;
  const host_array *a;
  unsigned char *flags;
  host_field(L, table, "reset");
  if (lua_isnil(L, -1) || (lua_isboolean(L, -1) && !lua_toboolean(L, -1))) {
    lua_pop(L, 1);
    return;
  }
  flags = (unsigned char *)host_newuserdata(L, (size_t)n, 0);
  memset(flags, 1, (size_t)n);
  batch->reset = flags;
  if (lua_isboolean(L, -2)) return;
  a = host_checkarray(L, -2, HOST_INT32, 1, "reset");
  host_checkshape(L, a, 1, &n, "reset");
  for (b = 0; b < n; b++) flags[b] = a->data.i[b] != 0;
}

/* Counted from 1, as a script counts. */
static void check_lengths(lua_State *L, const host_array *lengths, int steps) {
  int i;
  for (i = 0; lengths && i < lengths->shape[0]; i++) {
    int n = (int)lengths->data.i[i];
    if (n < 0 || n > steps) host_raise(L, "lengths: number %d is %d, 0 to %d expected", i + 1, n, steps);
  }
}

static void read_options(lua_State *L, const lstm_model *model, int table, lstm_batch *batch) {
  int lanes[1], by_time[2], states[2];
  const host_array *lengths, *weights, *initial;
  lanes[0] = by_time[1] = states[0] = batch->batch_size;
  by_time[0] = lstm_model_reads_last(model) ? 1 : batch->seq_len;
  states[1] = lstm_model_state_size(model);
  lengths = read_field(L, table, "lengths", HOST_INT32, 1, lanes);
  check_lengths(L, lengths, batch->seq_len);
  weights = read_field(L, table, "weights", HOST_FLOAT32, 2, by_time);
  initial = read_field(L, table, "initial", HOST_FLOAT32, 2, states);
  batch->lengths = lengths ? (const int *)lengths->data.i : NULL;
  batch->weights = weights ? weights->data.f : NULL;
  batch->initial = initial ? initial->data.f : NULL;
  batch->burn_in = host_field_int(L, table, "burn_in", 0, 0, INT_MAX);
  read_reset(L, table, batch);
}

void host_readbatch(lua_State *L, const lstm_model *model, int x, int y, lstm_loss loss, int options,
                    lstm_batch *batch) {
  memset(batch, 0, sizeof *batch);
  read_inputs(L, model, x, batch);
  if (y) read_targets(L, model, y, loss, batch);
  if (options) read_options(L, model, options, batch);
  host_charge_steps(L, model, batch->seq_len, batch->batch_size);
}

int host_batchoptions(lua_State *L, int arg, const char *what) {
  static const char *const names[] = {"lengths", "weights", "reset", "initial", "burn_in", NULL};
  return host_checkoptions(L, arg, names, what);
}

/* --- making ------------------------------------------------------------------------------------------------------- */

/* A list of one number for each of n things, or NULL. */
static const float *read_numbers(lua_State *L, int table, const char *name, int n) {
  const host_array *a = read_field(L, table, name, HOST_FLOAT32, 1, &n);
  return a ? a->data.f : NULL;
}

static void read_loss(lua_State *L, const lstm_model *model, int table, lstm_trainer_desc *desc) {
  desc->loss = (lstm_loss)host_field_choice(L, table, "loss", LSTM_LOSS_NONE, host_loss_names);
  desc->huber_delta = (float)host_field_number(L, table, "huber_delta", 0);
  desc->label_smoothing = (float)host_field_number(L, table, "label_smoothing", 0);
  desc->pre_emphasis = (float)host_field_number(L, table, "pre_emphasis", 0.95);
  if (!(desc->pre_emphasis > 0)) desc->pre_emphasis = -1; /* 0 is off in Lua */
  desc->class_weights = read_numbers(L, table, "class_weights", lstm_model_output_size(model));
}

static void read_rates(lua_State *L, const lstm_model *model, int table, lstm_trainer_desc *desc) {
  desc->learning_rate = (float)host_field_number(L, table, "lr", 0);
  desc->schedule = (lstm_schedule)host_field_choice(L, table, "schedule", LSTM_SCHEDULE_NONE, schedule_names);
  desc->schedule_steps = host_field_int(L, table, "schedule_steps", 0, 0, INT_MAX);
  desc->schedule_factor = (float)host_field_number(L, table, "schedule_factor", 0);
  desc->warmup = host_field_int(L, table, "warmup", 0, 0, INT_MAX);
  desc->layer_rates = read_numbers(L, table, "layer_rates", lstm_model_desc_of(model)->layer_count);
}

static void read_desc(lua_State *L, const lstm_model *model, int table, lstm_trainer_desc *desc) {
  memset(desc, 0, sizeof *desc);
  desc->batch_size = host_field_int(L, table, "batch", 1, 1, INT_MAX);
  desc->seq_len = host_field_int(L, table, "seq", 1, 1, INT_MAX);
  read_loss(L, model, table, desc);
  read_rates(L, model, table, desc);
  desc->optimizer =
      (lstm_optimizer)host_field_choice(L, table, "optimizer", LSTM_OPTIMIZER_DEFAULT, optimizer_names);
  desc->carry_state = host_field_bool(L, table, "carry", 0);
  desc->keep_best = host_field_bool(L, table, "keep_best", 0);
  desc->momentum = (float)host_field_number(L, table, "momentum", 0);
  desc->nesterov = host_field_bool(L, table, "nesterov", 0);
  desc->beta1 = (float)host_field_number(L, table, "beta1", 0);
  desc->beta2 = (float)host_field_number(L, table, "beta2", 0);
  desc->alpha = (float)host_field_number(L, table, "alpha", 0);
  desc->epsilon = (float)host_field_number(L, table, "epsilon", 0);
  desc->weight_decay = (float)host_field_number(L, table, "weight_decay", 0);
  desc->clip_norm = (float)host_field_number(L, table, "clip", 5);
  if (!(desc->clip_norm > 0)) desc->clip_norm = -1; /* 0 is off in Lua */
  desc->clip_value = (float)host_field_number(L, table, "clip_value", 0);
  desc->seed = host_field_seed(L, table, "seed");
}

/* trainer(model, owner, options) */
static int trainer_new(lua_State *L) {
  host_model *model = host_checkmodel(L, 1);
  lstm_error error = host_no_error();
  lstm_trainer_desc desc;
  lstm_status status;
  host_trainer *t;
  host_checktable(L, 3, "trainer: the options");
  lua_settop(L, 3);
  read_desc(L, model->model, 3, &desc);
  t = (host_trainer *)host_newuserdata(L, sizeof *t, 4);
  memset(t, 0, sizeof *t);
  t->model = model;
  luaL_setmetatable(L, TRAINER);
  lua_pushvalue(L, 1);
  host_setvalue(L, 4, 1);
  lua_pushvalue(L, 2);
  host_setvalue(L, 4, 2);
  desc.executor = host_executor(L);
  host_setvalue(L, 4, 3);
  desc.allocator = host_allocator(L, &t->memory);
  desc.error = &error;
  status = lstm_trainer_create(model->model, &desc, &t->trainer);
  if (status == LSTM_ERR_MEMORY) {
    lua_gc(L, LUA_GCCOLLECT, 0);
    status = lstm_trainer_create(model->model, &desc, &t->trainer);
  }
  if (status == LSTM_OK) model->trainers++;
  if (strncmp(error.message, "carry_state ", 12) == 0) host_raise(L, "carry %s", error.message + 12); /* Lua's name */
  host_check(L, status, &error);
  host_collect(L, lstm_model_parameter_count(model->model) * 12);
  return 1;
}

/* --- training ----------------------------------------------------------------------------------------------------- */

static void scale_gradients(host_trainer *t, double factor) {
  lstm_tensor tensor;
  size_t k;
  int i;
  if (factor == 1) return;
  for (i = 0; lstm_trainer_gradient(t->trainer, i, &tensor) == LSTM_OK; i++) {
    for (k = 0; k < tensor.count; k++) tensor.data[k] = (float)((double)tensor.data[k] * factor);
  }
}

/* Adds a batch's gradient to those that wait, so that the sum is that of one batch with all their targets. */
static lstm_status gather(host_trainer *t, const lstm_batch *batch, float *loss) {
  lstm_status status = lstm_trainer_forward(t->trainer, batch, NULL);
  double weight;
  if (status == LSTM_OK) status = lstm_trainer_loss(t->trainer, batch, loss);
  weight = lstm_trainer_weight(t->trainer);
  if (status != LSTM_OK || !(weight > 0)) return status;
  if (!(t->gathered > 0)) lstm_trainer_zero_gradients(t->trainer);
  else scale_gradients(t, t->unit / weight);
  t->unit = weight;
  t->gathered += weight;
  return lstm_trainer_backward(t->trainer, NULL);
}

/* The update from all that was gathered. */
static lstm_status apply(host_trainer *t, lstm_error *error) {
  lstm_status status;
  if (!(t->gathered > 0)) return LSTM_OK;
  scale_gradients(t, t->unit / t->gathered);
  status = lstm_trainer_clip(t->trainer, NULL);
  if (status != LSTM_OK) snprintf(error->message, sizeof error->message, "the gradient is not finite");
  return status == LSTM_OK ? lstm_trainer_update(t->trainer) : status;
}

/* train(x, y [, {lengths =, weights =, reset =, initial =} [, more]]) -> loss, sum of the targets' weights; or nil,
   message, "not_finite". With more = true the update waits for the next call without it: all these batches count as
   one. */
static int trainer_train(lua_State *L) {
  host_trainer *t = check(L);
  lstm_error error = host_no_error();
  lstm_batch batch;
  lstm_status status;
  float loss = 0;
  int more = lua_toboolean(L, 5);
  const lstm_trainer_desc *desc = lstm_trainer_desc_of(t->trainer);
  if (desc->loss == LSTM_LOSS_NONE) host_raise(L, "train: the trainer has no loss");
  lua_settop(L, 4);
  host_readbatch(L, t->model->model, 2, 3, desc->loss, host_batchoptions(L, 4, "train"), &batch);
  batch.error = &error;
  if (!more && !(t->gathered > 0)) {
    status = lstm_train(t->trainer, &batch, &loss);
  } else {
    status = gather(t, &batch, &loss);
    if (status == LSTM_OK && !more) status = apply(t, &error);
    if (status != LSTM_OK || !more) t->gathered = 0;
  }
  t->batch.seq_len = batch.seq_len;
  t->batch.batch_size = batch.batch_size;
  if (status != LSTM_OK) return host_failed(L, status, &error, "train");
  lua_pushnumber(L, (lua_Number)loss);
  lua_pushnumber(L, (lua_Number)lstm_trainer_weight(t->trainer));
  return 2;
}

/* evaluate(state, x, y [, options]) -> sum of losses, of weights, targets, correct: by this trainer's loss */
static int trainer_evaluate(lua_State *L) {
  host_trainer *t = check(L);
  lstm_loss loss = lstm_trainer_desc_of(t->trainer)->loss;
  lstm_error error = host_no_error();
  lstm_metrics metrics;
  lstm_executor executor;
  lstm_batch batch;
  lstm_state *state;
  if (loss == LSTM_LOSS_NONE) host_raise(L, "evaluate: the trainer has no loss");
  check_settled(L, t, 2, "evaluate");
  memset(&metrics, 0, sizeof metrics);
  host_readbatch(L, t->model->model, 3, 4, loss, host_batchoptions(L, 5, "evaluate"), &batch);
  state = host_checkstate(L, 2, batch.seq_len);
  executor = host_executor(L);
  batch.error = &error;
  host_check(L, lstm_trainer_evaluate(t->trainer, state, &batch, &metrics, &executor), &error);
  return host_pushmetrics(L, &metrics);
}

/* final() -> states at the end of the last window [B][S] */
static int trainer_final(lua_State *L) {
  host_trainer *t = check(L);
  int shape[2];
  host_array *out;
  if (!t->batch.batch_size) host_raise(L, "final: there was no forward pass");
  check_settled(L, t, 1, "final");
  shape[0] = t->batch.batch_size;
  shape[1] = lstm_model_state_size(t->model->model);
  out = host_newarray(L, HOST_FLOAT32, 2, shape);
  host_check(L, lstm_trainer_final(t->trainer, out->data.f), NULL);
  return 1;
}

/* --- the parts of a training step --------------------------------------------------------------------------------- */

/* Keeps what the batch points into: x, the options and what reading them made. */
static void keep_batch(lua_State *L, host_trainer *t, const lstm_batch *batch, int top) {
  int i;
  lua_createtable(L, top, 0);
  for (i = 2; i <= top; i++) {
    lua_pushvalue(L, i);
    lua_rawseti(L, -2, i - 1);
  }
  host_setvalue(L, 1, 4);
  t->batch = *batch;
  t->batch.error = NULL;
}

/* Puts a copy in the place of the array at `index`: nothing may change under a step. */
static void copy_array(lua_State *L, int index) {
  const host_array *from = host_toarray(L, index);
  if (!from) return;
  memcpy(host_newarray(L, from->kind, from->dims, from->shape)->data.bytes, from->data.bytes, host_bytes(from));
  lua_replace(L, index);
}

/* Reads the batch of a step that begins: x, y and the table of options at 2, 3 and 4. */
static void begin_step(lua_State *L, host_trainer *t) {
  static const char *const arrays[] = {"lengths", "weights", "initial", "reset", "burn_in", NULL};
  lstm_batch batch;
  int i;
  if (t->gathered > 0) host_raise(L, "train_some: other batches wait for their update: train without `more` first");
  lua_pushvalue(L, 2); /* 5, 6: how the caller knows them */
  lua_pushvalue(L, 3);
  lua_newtable(L); /* 7 */
  for (i = 0; arrays[i] && lua_istable(L, 4); i++) {
    host_field(L, 4, arrays[i]);
    copy_array(L, 8);
    lua_setfield(L, 7, arrays[i]);
  }
  copy_array(L, 2);
  copy_array(L, 3);
  host_readbatch(L, t->model->model, 2, 3, lstm_trainer_desc_of(t->trainer)->loss, 7, &batch);
  keep_batch(L, t, &batch, lua_gettop(L));
}

/* train_some(x, y [, {seconds =, tiles =, lengths =, ...}]) -> whether the step is done, its loss, the sum of the
   targets' weights; or nil, message, "not_finite". Only at the first call of a step are the options of a batch read. */
static int trainer_train_some(lua_State *L) {
  static const char *const names[] = {"seconds", "tiles", "lengths", "weights", "reset", "initial", "burn_in", NULL};
  host_trainer *t = check(L);
  lstm_error error = host_no_error();
  lstm_slice slice = {0, NULL, NULL, 0};
  lstm_status status;
  float loss = 0;
  int done, options = host_checkoptions(L, 4, names, "train_some");
  if (lstm_trainer_desc_of(t->trainer)->loss == LSTM_LOSS_NONE) host_raise(L, "train_some: the trainer has no loss");
  lua_settop(L, 4);
  if (options) {
    double seconds = host_field_number(L, 4, "seconds", HUGE_VAL); /* below 0: the time is over, a tile is done */
    slice.tiles = host_field_int(L, 4, "tiles", 0, 1, INT_MAX);
    if (seconds < HUGE_VAL) slice.clock = host_now;
    slice.deadline = host_now(NULL) + seconds;
  }
  if (!lstm_trainer_under_way(t->trainer)) {
    begin_step(L, t);
  } else {
    host_getvalue(L, 1, 4);
    lua_rawgeti(L, 5, 4);
    lua_rawgeti(L, 5, 5);
    if (!lua_rawequal(L, 2, 6) || !lua_rawequal(L, 3, 7)) {
      host_raise(L, "train_some: another x or y, while a step is under way: give the same until it is done");
    }
  }
  t->batch.error = &error;
  status = lstm_train_some(t->trainer, &t->batch, &slice, &done, &loss);
  t->batch.error = NULL;
  if (status != LSTM_OK) return host_failed(L, status, &error, "train_some");
  lua_pushboolean(L, done);
  if (!done) return 1;
  lua_pushnumber(L, (lua_Number)loss);
  lua_pushnumber(L, (lua_Number)lstm_trainer_weight(t->trainer));
  return 3;
}

/* forward(x [, {lengths =, reset =, initial =, burn_in =}]) -> outputs [T'][B][O] before softmax or sigmoid */
static int trainer_forward(lua_State *L) {
  host_trainer *t = check(L);
  const lstm_model *model = t->model->model;
  lstm_error error = host_no_error();
  lstm_batch batch;
  host_array *y;
  int shape[3];
  lua_settop(L, 3);
  host_readbatch(L, model, 2, 0, LSTM_LOSS_NONE, host_batchoptions(L, 3, "forward"), &batch);
  batch.error = &error;
  keep_batch(L, t, &batch, lua_gettop(L));
  shape[0] = lstm_model_reads_last(model) ? 1 : batch.seq_len;
  shape[1] = batch.batch_size;
  shape[2] = lstm_model_output_size(model);
  y = host_newarray(L, HOST_FLOAT32, 3, shape);
  t->batch.batch_size = 0; /* until it has succeeded */
  host_check(L, lstm_trainer_forward(t->trainer, &batch, y->data.f), &error);
  t->batch.batch_size = shape[1];
  return 1;
}

/* loss(y [, {weights =, burn_in =}]) -> the mean loss of the last forward's outputs, the sum of its targets' weights */
static int trainer_loss(lua_State *L) {
  static const char *const names[] = {"weights", "burn_in", NULL};
  host_trainer *t = check(L);
  const lstm_model *model = t->model->model;
  lstm_loss kind = lstm_trainer_desc_of(t->trainer)->loss;
  lstm_error error = host_no_error();
  lstm_batch batch = t->batch;
  float loss = 0;
  if (kind == LSTM_LOSS_NONE) host_raise(L, "loss: the trainer has no loss; give backward the gradient d_output");
  if (!batch.batch_size) host_raise(L, "loss: there was no forward pass");
  read_targets(L, model, 2, kind, &batch);
  if (host_checkoptions(L, 3, names, "loss")) {
    const host_array *weights;
    int by_time[2];
    by_time[0] = lstm_model_reads_last(model) ? 1 : batch.seq_len;
    by_time[1] = batch.batch_size;
    weights = read_field(L, 3, "weights", HOST_FLOAT32, 2, by_time);
    if (weights) batch.weights = weights->data.f;
    batch.burn_in = host_field_int(L, 3, "burn_in", batch.burn_in, 0, INT_MAX);
  }
  batch.error = &error;
  host_check(L, lstm_trainer_loss(t->trainer, &batch, &loss), &error);
  lua_pushnumber(L, (lua_Number)loss);
  lua_pushnumber(L, (lua_Number)lstm_trainer_weight(t->trainer));
  return 2;
}

/* A new array as a field of the table at `table`. */
static float *new_field(lua_State *L, int table, const char *name, int dims, const int *shape) {
  float *data = host_newarray(L, HOST_FLOAT32, dims, shape)->data.f;
  lua_setfield(L, table, name);
  return data;
}

/* backward([{d_output =, d_final =, d_input = true}]) -> {d_initial =, d_input = where it was asked for} */
static int trainer_backward(lua_State *L) {
  static const char *const names[] = {"d_output", "d_final", "d_input", NULL};
  host_trainer *t = check(L);
  const lstm_model *model = t->model->model;
  const host_array *a;
  lstm_flow flow;
  lstm_status status;
  int outputs[3], states[2], inputs[3];
  memset(&flow, 0, sizeof flow);
  lua_settop(L, 2);
  lua_newtable(L); /* 3: the result */
  if (!t->batch.batch_size) host_raise(L, "backward: there was no forward pass");
  outputs[0] = lstm_model_reads_last(model) ? 1 : t->batch.seq_len;
  inputs[0] = t->batch.seq_len;
  outputs[1] = inputs[1] = states[0] = t->batch.batch_size;
  outputs[2] = lstm_model_output_size(model);
  inputs[2] = lstm_model_input_size(model);
  states[1] = lstm_model_state_size(model);
  if (host_checkoptions(L, 2, names, "backward")) {
    if ((a = read_field(L, 2, "d_output", HOST_FLOAT32, 3, outputs)) != NULL) flow.d_output = a->data.f;
    if ((a = read_field(L, 2, "d_final", HOST_FLOAT32, 2, states)) != NULL) flow.d_final = a->data.f;
    if (host_field_bool(L, 2, "d_input", 0)) {
      if (lstm_model_takes_ids(model)) host_raise(L, "backward: tokens have no gradient, so there is no d_input");
      flow.d_input = new_field(L, 3, "d_input", 3, inputs);
    }
  }
  flow.d_initial = new_field(L, 3, "d_initial", 2, states);
  status = lstm_trainer_backward(t->trainer, &flow);
  if (status == LSTM_ERR_ARGUMENT) {
    host_raise(L, "backward: once after each forward, and after a loss or with d_output or d_final");
  }
  host_check(L, status, NULL);
  return 1;
}

/* clip() -> the norm of all gradients before it; or nil, message, "not_finite" */
static int trainer_clip(lua_State *L) {
  host_trainer *t = check(L);
  float norm = 0;
  lstm_status status = lstm_trainer_clip(t->trainer, &norm);
  if (status != LSTM_OK) return host_failed(L, status, NULL, "clip");
  lua_pushnumber(L, (lua_Number)norm);
  return 1;
}

static int trainer_update(lua_State *L) {
  host_check(L, lstm_trainer_update(check(L)->trainer), NULL);
  return 0;
}

/* scale_gradients(factor) */
static int trainer_scale_gradients(lua_State *L) {
  host_trainer *t = check(L);
  scale_gradients(t, host_checknumber(L, 2, "scale_gradients: the factor"));
  return 0;
}

static int trainer_zero_gradients(lua_State *L) {
  lstm_trainer_zero_gradients(check(L)->trainer);
  return 0;
}

/* gradient(name) -> a copy of a tensor's gradient */
static int trainer_gradient(lua_State *L) {
  host_trainer *t = check(L);
  lstm_tensor tensor;
  int shape[2], place = host_findtensor(L, t->model->model, 2, &tensor, "gradient");
  host_array *out;
  host_check(L, lstm_trainer_gradient(t->trainer, place, &tensor), NULL);
  shape[0] = tensor.rows;
  shape[1] = tensor.columns;
  out = host_newarray(L, HOST_FLOAT32, tensor.columns ? 2 : 1, shape);
  memcpy(out->data.f, tensor.data, tensor.count * sizeof(float));
  return 1;
}

/* --- looking into it ---------------------------------------------------------------------------------------------- */

static void push_shares(lua_State *L, const lstm_saturation *s, int gate, const char *name) {
  lua_Number count = s->count ? (lua_Number)s->count : 1;
  lua_newtable(L);
  lua_pushnumber(L, (lua_Number)s->low[gate] / count);
  lua_setfield(L, -2, "low");
  lua_pushnumber(L, (lua_Number)s->high[gate] / count);
  lua_setfield(L, -2, "high");
  lua_setfield(L, -2, name);
}

/* saturation([layer]) -> {count =, i = {low =, high =}, f =, g =, o =} (gru: r, z, n): shares of the gates' values */
static int trainer_saturation(lua_State *L) {
  host_trainer *t = check(L);
  int k, layer = host_checklayer(L, t->model->model, 2, "saturation");
  const char *const *gates = host_gates(t->model->model, layer);
  lstm_saturation s;
  if (lstm_trainer_saturation(t->trainer, layer, &s) != LSTM_OK) {
    host_raise(L, "saturation: it is there after a forward pass and before its backward");
  }
  lua_newtable(L);
  lua_pushinteger(L, (lua_Integer)s.count);
  lua_setfield(L, -2, "count");
  for (k = 0; k < 4 && gates[k]; k++) push_shares(L, &s, k, gates[k]);
  return 1;
}

/* step_norms([layer]) -> the norm of the gradient at each step's gates [T] */
static int trainer_step_norms(lua_State *L) {
  host_trainer *t = check(L);
  int shape[1], layer = host_checklayer(L, t->model->model, 2, "step_norms");
  host_array *out;
  shape[0] = t->batch.seq_len ? t->batch.seq_len : lstm_trainer_desc_of(t->trainer)->seq_len;
  out = host_newarray(L, HOST_FLOAT32, 1, shape);
  if (lstm_trainer_step_norms(t->trainer, layer, out->data.f) != LSTM_OK) {
    host_raise(L, "step_norms: they are there after a backward pass");
  }
  return 1;
}

/* --- gradient check ----------------------------------------------------------------------------------------------- */

/* What the caller's loss needs: the function is at index 3 of the stack. */
typedef struct loss_call {
  lua_State *L;
  int shape[3]; /* [T'][B][O] */
  int failed;   /* 1: its error is on the top of the stack */
} loss_call;

/* Nested tables of this shape with the numbers y, or with zeros where y is NULL. */
static size_t push_nested(lua_State *L, const loss_call *call, int depth, const double *y, size_t at) {
  int i;
  lua_createtable(L, call->shape[depth], 0);
  for (i = 1; i <= call->shape[depth]; i++) {
    if (depth == 2) lua_pushnumber(L, y ? (lua_Number)y[at++] : 0);
    else at = push_nested(L, call, depth + 1, y, at);
    lua_rawseti(L, -2, i);
  }
  return at;
}

/* Reads such tables back from the top. */
static size_t read_nested(lua_State *L, const loss_call *call, int depth, float *d_y, size_t at) {
  int i;
  if (!lua_istable(L, -1)) host_raise(L, "gradcheck: the gradient has lost its shape");
  for (i = 1; i <= call->shape[depth]; i++) {
    lua_rawgeti(L, -1, i);
    if (depth == 2) d_y[at++] = (float)host_checknumber(L, -1, "gradcheck: the gradient");
    else at = read_nested(L, call, depth + 1, d_y, at);
    lua_pop(L, 1);
  }
  return at;
}

typedef struct loss_values {
  const loss_call *call;
  const double *y;
  float *d_y;
  double loss;
} loss_values;

/* Calls loss(y [, d_y]): below it the function, above it the loss_values. */
static int call_loss(lua_State *L) {
  loss_values *v = (loss_values *)lua_touserdata(L, 2);
  lua_settop(L, 1);
  if (v->d_y) push_nested(L, v->call, 0, NULL, 0); /* 2: the gradient, to read after the call */
  else lua_pushnil(L);
  lua_pushvalue(L, 1);
  push_nested(L, v->call, 0, v->y, 0);
  lua_pushvalue(L, 2);
  lua_call(L, 2, 1);
  v->loss = host_checknumber(L, -1, "gradcheck: the loss");
  lua_settop(L, 2);
  if (v->d_y) read_nested(L, v->call, 0, v->d_y, 0);
  return 0;
}

/* An error must not pass through the library: it is kept until it has returned. */
static double loss_of_lua(void *user, const double *y, float *d_y) {
  loss_call *call = (loss_call *)user;
  loss_values v;
  v.call = call;
  v.y = y;
  v.d_y = d_y;
  v.loss = 0;
  if (call->failed) return 0;
  lua_pushcfunction(call->L, call_loss);
  lua_pushvalue(call->L, 3);
  lua_pushlightuserdata(call->L, &v);
  call->failed = lua_pcall(call->L, 2, 0, 0) != 0;
  return v.loss;
}

/* gradcheck(x, loss [, options of the batch]) -> {ok =, error =, tensor =, analytic =, numeric =}. loss(y, d_y) returns
   a number for the outputs y[t][b][k] and, where d_y is not nil, fills it with the gradient. */
static int trainer_gradcheck(lua_State *L) {
  static const char *const kept[] = {"lengths", "weights", "initial", NULL};
  host_trainer *t = check(L);
  const lstm_model *model = t->model->model;
  lstm_error error = host_no_error();
  lstm_gradcheck_result result;
  lstm_gradcheck_desc desc;
  lstm_tensor tensor;
  lstm_status status;
  lstm_batch batch;
  loss_call call;
  int i;
  lua_settop(L, 4);
  if (!lua_isfunction(L, 3)) host_raise(L, "gradcheck: the loss must be a function, got %s", luaL_typename(L, 3));
  host_readbatch(L, model, 2, 0, LSTM_LOSS_NONE, host_batchoptions(L, 4, "gradcheck"), &batch);
  host_charge_steps(L, model, batch.seq_len, 300.0 * batch.batch_size); /* scalar, and again and again */
  luaL_checkstack(L, 13, "gradcheck");
  for (i = 0; kept[i] && lua_istable(L, 4); i++) host_field(L, 4, kept[i]); /* the loss may change the table */
  memset(&desc, 0, sizeof desc);
  memset(&call, 0, sizeof call);
  call.L = L;
  call.shape[0] = lstm_model_reads_last(model) ? 1 : batch.seq_len;
  call.shape[1] = batch.batch_size;
  call.shape[2] = lstm_model_output_size(model);
  desc.loss = loss_of_lua;
  desc.user = &call;
  desc.error = &error;
  t->busy = 1;
  status = lstm_gradcheck(t->trainer, &batch, &desc, &result);
  t->busy = 0;
  t->batch.batch_size = 0; /* the tape is used up */
  if (call.failed) return lua_error(L);
  if (status != LSTM_OK) {
    error.status = status;
    host_raise_layers(L, "gradcheck", &error);
  }
  lua_newtable(L);
  lua_pushboolean(L, result.error <= LSTM_GRADCHECK_TOLERANCE);
  lua_setfield(L, -2, "ok");
  lua_pushnumber(L, result.error);
  lua_setfield(L, -2, "error");
  lua_pushnumber(L, result.analytic);
  lua_setfield(L, -2, "analytic");
  lua_pushnumber(L, result.numeric);
  lua_setfield(L, -2, "numeric");
  if (lstm_model_tensor(model, result.tensor, &tensor) == LSTM_OK) lua_pushstring(L, tensor.name);
  else lua_pushnil(L);
  lua_setfield(L, -2, "tensor");
  return 1;
}

static int trainer_reset(lua_State *L) {
  lstm_trainer_reset(check(L)->trainer);
  return 0;
}

static int trainer_steps(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)lstm_trainer_steps(check(L)->trainer));
  return 1;
}

/* lr([rate]) -> the learning rate, after setting it */
static int trainer_lr(lua_State *L) {
  host_trainer *t = check(L);
  if (!lua_isnoneornil(L, 2)) {
    float rate = (float)host_checknumber(L, 2, "lr: the rate");
    if (lstm_trainer_set_learning_rate(t->trainer, rate) != LSTM_OK) {
      host_raise(L, "lr: a finite rate of at least 0 expected, got %f", (lua_Number)rate);
    }
  }
  lua_pushnumber(L, (lua_Number)lstm_trainer_learning_rate(t->trainer));
  return 1;
}

/* rate() -> the learning rate of the next update, after schedule and warm-up */
static int trainer_rate(lua_State *L) {
  lua_pushnumber(L, (lua_Number)lstm_trainer_scheduled_rate(check(L)->trainer));
  return 1;
}

static int trainer_norm(lua_State *L) {
  lua_pushnumber(L, (lua_Number)lstm_trainer_norm(check(L)->trainer));
  return 1;
}

static int trainer_keep_best(lua_State *L) {
  host_trainer *t = check(L);
  check_settled(L, t, 2, "keep_best");
  host_check(L, lstm_trainer_keep_best(t->trainer), NULL);
  t->kept = lstm_trainer_steps(t->trainer);
  return 0;
}

static int trainer_kept(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)check(L)->kept);
  return 1;
}

static int trainer_restore_best(lua_State *L) {
  host_check(L, lstm_trainer_restore_best(check(L)->trainer), NULL);
  return 0;
}

/* --- checkpoints -------------------------------------------------------------------------------------------------- */

/* save(path [, meta]) -> true, or nil, message, status */
static int trainer_save(lua_State *L) { return host_save(L, NULL, check(L)->trainer); }

/* resume(bytes of a checkpoint) -> true, or nil, message, status; then trainer and model are as before */
static int trainer_resume(lua_State *L) {
  host_trainer *t = check(L);
  lstm_error error = host_no_error();
  size_t size;
  const char *bytes = host_checkstring(L, 2, &size, "resume: the bytes");
  lstm_status status = lstm_trainer_resume(t->trainer, bytes, size, &error);
  if (status != LSTM_OK) {
    lua_pushstring(L, error.message[0] ? error.message : lstm_status_text(status));
    return host_fault(L, status);
  }
  lua_pushboolean(L, 1);
  return 1;
}

static int trainer_model(lua_State *L) {
  (void)host_checkobject(L, 1, TRAINER);
  host_getvalue(L, 1, 2);
  return 1;
}

static int trainer_tostring(lua_State *L) {
  const host_trainer *t = (const host_trainer *)host_checkobject(L, 1, TRAINER);
  if (!t->trainer) {
    lua_pushliteral(L, "trainer (closed)");
  } else {
    const lstm_trainer_desc *desc = lstm_trainer_desc_of(t->trainer);
    lua_pushfstring(L, "trainer: batch %d, seq %d, %s, %s, step %d", desc->batch_size, desc->seq_len,
                    optimizer_names[desc->optimizer], host_loss_names[desc->loss], (int)lstm_trainer_steps(t->trainer));
  }
  return 1;
}

static const luaL_Reg methods[] = {{"train", trainer_train},
                                   {"train_some", trainer_train_some},
                                   {"evaluate", trainer_evaluate},
                                   {"forward", trainer_forward},
                                   {"loss", trainer_loss},
                                   {"backward", trainer_backward},
                                   {"clip", trainer_clip},
                                   {"update", trainer_update},
                                   {"zero_gradients", trainer_zero_gradients},
                                   {"scale_gradients", trainer_scale_gradients},
                                   {"gradient", trainer_gradient},
                                   {"gradcheck", trainer_gradcheck},
                                   {"saturation", trainer_saturation},
                                   {"step_norms", trainer_step_norms},
                                   {"final", trainer_final},
                                   {"reset", trainer_reset},
                                   {"steps", trainer_steps},
                                   {"lr", trainer_lr},
                                   {"rate", trainer_rate},
                                   {"norm", trainer_norm},
                                   {"keep_best", trainer_keep_best},
                                   {"kept", trainer_kept},
                                   {"restore_best", trainer_restore_best},
                                   {"save", trainer_save},
                                   {"resume", trainer_resume},
                                   {"model", trainer_model},
                                   {NULL, NULL}};

void host_open_trainer(lua_State *L, int core) {
  host_newtype(L, TRAINER, methods, trainer_close);
  lua_pushcfunction(L, trainer_tostring);
  lua_setfield(L, -2, "__tostring");
  lua_pop(L, 1);
  lua_pushcfunction(L, trainer_new);
  lua_setfield(L, core, "trainer");
}
