/* trainer.c: training runs, and batches as Lua gives them. */
#include <limits.h>
#include <string.h>

#include "host.h"

#define TRAINER "lstm.trainer"

const char *const host_loss_names[] = {"none", "cross_entropy", "binary_cross_entropy", "mse", NULL};
static const char *const optimizer_names[] = {"default", "sgd", "rmsprop", "adam", "adamw", NULL};

/* User value 1: the core model. User value 2: the public model, or nil. User value 3: the pool. */
typedef struct host_trainer {
  lstm_trainer *trainer; /* NULL: not made yet, or closed */
  host_memory memory;
  host_model *model; /* alive as long as this: it counts its trainers */
} host_trainer;

static host_trainer *check(lua_State *L) {
  host_trainer *t = (host_trainer *)luaL_checkudata(L, 1, TRAINER);
  if (!t->trainer) host_raise(L, "the trainer is closed");
  if (t->model->closed) host_raise(L, "the trainer's model is closed");
  return t;
}

static int trainer_close(lua_State *L) {
  host_trainer *t = (host_trainer *)luaL_checkudata(L, 1, TRAINER);
  if (!t->trainer) return 0;
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
  lua_getfield(L, table, name);
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
  lua_getfield(L, table, "reset");
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

static void read_options(lua_State *L, const lstm_model *model, int table, lstm_batch *batch) {
  int lanes[1], by_time[2], states[2];
  const host_array *lengths, *weights, *initial;
  lanes[0] = by_time[1] = states[0] = batch->batch_size;
  by_time[0] = lstm_model_reads_last(model) ? 1 : batch->seq_len;
  states[1] = lstm_model_state_size(model);
  lengths = read_field(L, table, "lengths", HOST_INT32, 1, lanes);
  weights = read_field(L, table, "weights", HOST_FLOAT32, 2, by_time);
  initial = read_field(L, table, "initial", HOST_FLOAT32, 2, states);
  batch->lengths = lengths ? (const int *)lengths->data.i : NULL;
  batch->weights = weights ? weights->data.f : NULL;
  batch->initial = initial ? initial->data.f : NULL;
  read_reset(L, table, batch);
}

void host_readbatch(lua_State *L, const lstm_model *model, int x, int y, lstm_loss loss, int options,
                    lstm_batch *batch) {
  memset(batch, 0, sizeof *batch);
  read_inputs(L, model, x, batch);
  if (y) read_targets(L, model, y, loss, batch);
  if (options) read_options(L, model, options, batch);
}

/* --- making ------------------------------------------------------------------------------------------------------- */

static void read_desc(lua_State *L, int table, lstm_trainer_desc *desc) {
  memset(desc, 0, sizeof *desc);
  desc->batch_size = host_field_int(L, table, "batch", 1, 1, INT_MAX);
  desc->seq_len = host_field_int(L, table, "seq", 1, 1, INT_MAX);
  desc->loss = (lstm_loss)host_field_choice(L, table, "loss", LSTM_LOSS_NONE, host_loss_names);
  desc->optimizer =
      (lstm_optimizer)host_field_choice(L, table, "optimizer", LSTM_OPTIMIZER_DEFAULT, optimizer_names);
  desc->carry_state = host_field_bool(L, table, "carry", 0);
  desc->keep_best = host_field_bool(L, table, "keep_best", 0);
  desc->learning_rate = (float)host_field_number(L, table, "lr", 0);
  desc->momentum = (float)host_field_number(L, table, "momentum", 0);
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
  luaL_checktype(L, 3, LUA_TTABLE);
  lua_settop(L, 3);
  read_desc(L, 3, &desc);
  t = (host_trainer *)host_newuserdata(L, sizeof *t, 3);
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
  host_check(L, status, &error);
  host_collect(L, lstm_model_parameter_count(model->model) * 12);
  return 1;
}

/* --- training ----------------------------------------------------------------------------------------------------- */

/* train(x, y [, {lengths =, weights =, reset =, initial =}]) -> loss; or nil, message, "not_finite" */
static int trainer_train(lua_State *L) {
  host_trainer *t = check(L);
  lstm_error error = host_no_error();
  lstm_batch batch;
  lstm_status status;
  float loss = 0;
  lstm_loss kind = lstm_trainer_desc_of(t->trainer)->loss;
  if (kind == LSTM_LOSS_NONE) host_raise(L, "train: the trainer has no loss");
  host_readbatch(L, t->model->model, 2, 3, kind, lua_istable(L, 4) ? 4 : 0, &batch);
  batch.error = &error;
  status = lstm_train(t->trainer, &batch, &loss);
  if (status != LSTM_OK) return host_failed(L, status, &error, NULL);
  lua_pushnumber(L, (lua_Number)loss);
  return 1;
}

/* final() -> states at the end of the last window [B][S] */
static int trainer_final(lua_State *L) {
  host_trainer *t = check(L);
  int shape[2];
  host_array *out;
  shape[0] = lstm_trainer_desc_of(t->trainer)->batch_size;
  shape[1] = lstm_model_state_size(t->model->model);
  out = host_newarray(L, HOST_FLOAT32, 2, shape);
  host_check(L, lstm_trainer_final(t->trainer, out->data.f), NULL);
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

static int trainer_norm(lua_State *L) {
  lua_pushnumber(L, (lua_Number)lstm_trainer_norm(check(L)->trainer));
  return 1;
}

static int trainer_keep_best(lua_State *L) {
  host_check(L, lstm_trainer_keep_best(check(L)->trainer), NULL);
  return 0;
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
  (void)luaL_checkudata(L, 1, TRAINER);
  host_getvalue(L, 1, 2);
  return 1;
}

static int trainer_tostring(lua_State *L) {
  const host_trainer *t = (const host_trainer *)luaL_checkudata(L, 1, TRAINER);
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
                                   {"final", trainer_final},
                                   {"reset", trainer_reset},
                                   {"steps", trainer_steps},
                                   {"lr", trainer_lr},
                                   {"norm", trainer_norm},
                                   {"keep_best", trainer_keep_best},
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
