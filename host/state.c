/* state.c: streams of a model: step, forward, evaluate, and the values inside. */
#include <limits.h>
#include <string.h>

#include "host.h"

#define STATE "lstm.state"
enum { PIECE = 1024 }; /* steps between two looks at Ctrl-C */

/* User values: 1 the core model; 2 the public model (model.lua), or nil; 3 what a trace fills; 4 room to choose
   in. */
typedef struct host_state {
  lstm_state *state; /* NULL: not made yet, or closed */
  host_memory memory;
  const host_model *model;
  int lanes, inputs, outputs, stepped;
  int tasks, seq_len; /* what it was made with; seq_len matters for bidirectional models */
  lstm_trace trace;   /* values NULL: off; else they live in user value 3 */
  float *x, *y; /* [lanes][I], [lanes][O], behind this struct: a step makes no garbage */
  int32_t *ids; /* [lanes] */
  int *who;     /* [lanes]: which of them step */
} host_state;

static host_state *check_at(lua_State *L, int arg) {
  host_state *s = (host_state *)host_checkobject(L, arg, STATE);
  if (!s->state) host_raise(L, "the state is closed");
  if (s->model->closed) host_raise(L, "the state's model is closed");
  return s;
}

static host_state *check(lua_State *L) { return check_at(L, 1); }

static int state_close(lua_State *L) {
  host_state *s = (host_state *)host_checkobject(L, 1, STATE);
  lstm_state_destroy(s->state);
  s->state = NULL;
  return 0;
}

static host_state *push_state(lua_State *L, int model_arg, int lanes) {
  const host_model *model = host_checkmodel(L, model_arg);
  size_t inputs = (size_t)(lstm_model_takes_ids(model->model) ? 1 : lstm_model_input_size(model->model));
  size_t outputs = (size_t)lstm_model_output_size(model->model), n = (size_t)lanes, lane;
  host_state *s;
  if (n > (size_t)PTRDIFF_MAX / 16 / (inputs + outputs + 1)) host_raise(L, "state: too many lanes");
  lane = (inputs + outputs) * sizeof(float) + sizeof(int32_t) + sizeof(int);
  s = (host_state *)host_newuserdata(L, sizeof *s + n * lane, 4);
  memset(s, 0, sizeof *s);
  s->model = model;
  s->lanes = lanes;
  s->inputs = (int)inputs;
  s->outputs = (int)outputs;
  s->x = (float *)(void *)(s + 1);
  s->y = s->x + n * inputs;
  s->ids = (int32_t *)(void *)(s->y + n * outputs);
  s->who = (int *)(void *)(s->ids + n);
  memset(s->x, 0, n * (inputs + outputs) * sizeof(float));
  luaL_setmetatable(L, STATE);
  lua_pushvalue(L, model_arg);
  host_setvalue(L, -2, 1);
  return s;
}

/* A new state of the library's, at the model's initial state. */
static lstm_state *create(lua_State *L, host_state *s, int seq_len) {
  lstm_error error = host_no_error();
  lstm_state *made = NULL;
  lstm_state_desc desc;
  lstm_status status;
  memset(&desc, 0, sizeof desc);
  desc.lanes = s->lanes;
  desc.tasks = s->tasks;
  desc.seq_len = seq_len;
  desc.error = &error;
  desc.allocator = host_allocator(L, &s->memory);
  status = lstm_state_create(s->model->model, &desc, &made);
  if (status == LSTM_ERR_MEMORY) {
    lua_gc(L, LUA_GCCOLLECT, 0);
    status = lstm_state_create(s->model->model, &desc, &made);
  }
  host_check(L, status, &error);
  return made;
}

/* A bidirectional model needs a state with room for the whole sequence: where it is too small, a larger one takes its
   place and what it remembers. */
static void make_room(lua_State *L, host_state *s, int seq_len) {
  lstm_state *larger;
  int lane;
  if (seq_len <= s->seq_len || !lstm_model_bidirectional(s->model->model)) return;
  larger = create(L, s, seq_len);
  for (lane = 0; lane < s->lanes; lane++) (void)lstm_state_copy_lane(larger, lane, s->state, lane);
  lstm_state_destroy(s->state);
  s->state = larger;
  s->seq_len = seq_len;
  if (s->trace.values) (void)lstm_state_trace(s->model->model, s->state, &s->trace, 1);
}

lstm_state *host_checkstate(lua_State *L, int arg, int seq_len) {
  host_state *s = check_at(L, arg);
  make_room(L, s, seq_len);
  return s->state;
}

/* state(model, owner [, lanes [, tasks]]) */
static int state_new(lua_State *L) {
  int lanes = lua_isnoneornil(L, 3) ? 1 : host_checkint(L, 3, 1, INT_MAX / 4, "state: lanes");
  int tasks = lua_isnoneornil(L, 4) ? 1 : host_checkint(L, 4, 1, 1024, "state");
  host_state *s = push_state(L, 1, lanes);
  lua_pushvalue(L, 2);
  host_setvalue(L, -2, 2);
  s->tasks = tasks;
  s->seq_len = 1;
  s->state = create(L, s, 1);
  host_collect(L, lstm_state_saved_size(s->state));
  return 1;
}

/* --- steps -------------------------------------------------------------------------------------------------------- */

static void check_directed(lua_State *L, const lstm_model *model) {
  if (!lstm_model_bidirectional(model)) return;
  host_raise(L, "step: a bidirectional model reads a sequence from both ends, so it cannot take it step by step; "
                "state:forward and model:predict take it whole");
}

/* ids: the model takes tokens, so that an argument that is refused is one of them. */
static void check_step(lua_State *L, const host_state *s, lstm_status status, const int32_t *ids) {
  if (status == LSTM_ERR_ARGUMENT && ids) host_raise(L, "step: an id is out of range, there are %d tokens",
                                                     lstm_model_input_size(s->model->model));
  host_check(L, status, NULL);
}

static void step(lua_State *L, host_state *s, const float *x, const int32_t *ids) {
  const lstm_model *model = s->model->model;
  check_directed(L, model);
  check_step(L, s, ids ? lstm_step_ids(model, s->state, ids, s->y) : lstm_step(model, s->state, x, s->y), ids);
  s->stepped = 1;
}

/* The last outputs: [O], or [N][O] for several lanes. */
static int push_outputs(lua_State *L, const host_state *s) {
  int shape[2];
  host_array *y;
  shape[0] = s->lanes;
  shape[1] = s->outputs;
  y = s->lanes == 1 ? host_newarray(L, HOST_FLOAT32, 1, shape + 1) : host_newarray(L, HOST_FLOAT32, 2, shape);
  memcpy(y->data.f, s->y, y->count * sizeof(float));
  return 1;
}

static int step_array(lua_State *L, host_state *s, const host_array *a) {
  int takes_ids = lstm_model_takes_ids(s->model->model);
  size_t wanted = (size_t)s->lanes * (size_t)s->inputs;
  (void)host_checkarray(L, 2, takes_ids ? HOST_INT32 : HOST_FLOAT32, 0, "step");
  if (a->count != wanted) {
    host_raise(L, "step: %d value%s expected, got an array of %d", (int)wanted, wanted == 1 ? "" : "s", (int)a->count);
  }
  step(L, s, a->data.f, takes_ids ? a->data.i : NULL);
  return push_outputs(L, s);
}

/* Puts the numbers of a table at index 2, where it is alone, in its place; too few or too many stay there. Returns how
   many there are. */
static int unpack_numbers(lua_State *L, const host_state *s) {
  int i, n = lua_gettop(L) - 1;
  if (n != 1 || !lua_istable(L, 2)) return n;
  n = lua_rawlen(L, 2) > (size_t)INT_MAX ? INT_MAX : (int)lua_rawlen(L, 2);
  if (n != s->inputs) return n;
  luaL_checkstack(L, n, "step");
  for (i = 1; i <= n; i++) lua_rawgeti(L, 2, i);
  lua_remove(L, 2);
  return n;
}

/* Numbers in, numbers out: no garbage in a game's loop. */
static int step_numbers(lua_State *L, host_state *s) {
  int i, n;
  if (s->lanes != 1) return host_raise(L, "step: a state of %d lanes takes an array", s->lanes);
  n = unpack_numbers(L, s);
  if (n != s->inputs) {
    return host_raise(L, "step: %d number%s expected, got %d", s->inputs, s->inputs == 1 ? "" : "s", n);
  }
  for (i = 0; i < n; i++) {
    if (lua_type(L, i + 2) != LUA_TNUMBER) {
      return host_raise(L, "step: number expected as input %d, got %s", i + 1, luaL_typename(L, i + 2));
    }
    s->x[i] = (float)lua_tonumber(L, i + 2);
  }
  step(L, s, s->x, NULL);
  luaL_checkstack(L, s->outputs, "step");
  for (i = 0; i < s->outputs; i++) lua_pushnumber(L, (lua_Number)s->y[i]);
  return s->outputs;
}

/* The id of the symbol at index 2, by the table `ids` of the public model's vocabulary. */
static int32_t symbol_id(lua_State *L) {
  int32_t id;
  host_getvalue(L, 1, 2);
  if (!lua_istable(L, -1)) host_raise(L, "step: the state knows no vocabulary");
  host_field(L, lua_gettop(L), "vocab");
  if (!lua_istable(L, -1)) host_raise(L, "step: the model has no vocabulary");
  host_field(L, lua_gettop(L), "ids");
  if (!lua_istable(L, -1)) host_raise(L, "step: the vocabulary has no ids");
  lua_pushvalue(L, 2);
  lua_rawget(L, -2);
  if (lua_type(L, -1) != LUA_TNUMBER) {
    host_raise(L, "step: \"%s\" is no symbol of the model's vocabulary", lua_tostring(L, 2));
  }
  id = (int32_t)lua_tointeger(L, -1);
  lua_pop(L, 4);
  return id;
}

/* A symbol of the vocabulary, or a number: its place, 1-based as best() returns it. */
static int step_token(lua_State *L, host_state *s) {
  int tokens = lstm_model_input_size(s->model->model);
  if (s->lanes != 1) return host_raise(L, "step: a state of %d lanes takes an array", s->lanes);
  s->ids[0] = lua_type(L, 2) == LUA_TSTRING ? symbol_id(L) : (int32_t)(host_checkint(L, 2, 1, tokens, "step") - 1);
  step(L, s, NULL, s->ids);
  return push_outputs(L, s);
}

/* The lanes of an array (from 1) to s->who (from 0), none of them twice. Each lane's last place among them goes to ids
   first, so that there is nothing to clear. */
static void check_lanes(lua_State *L, host_state *s, const host_array *lanes) {
  int k, n = lanes->shape[0];
  for (k = 0; k < n; k++) {
    int32_t lane = lanes->data.i[k];
    if (lane < 1 || lane > s->lanes) host_raise(L, "step_lanes: lane %d of a state of %d", (int)lane, s->lanes);
    s->ids[lane - 1] = k;
  }
  for (k = 0; k < n; k++) {
    int lane = (int)lanes->data.i[k];
    if (s->ids[lane - 1] != k) host_raise(L, "step_lanes: lane %d is named twice", lane);
    s->who[k] = lane - 1;
  }
}

/* step_lanes(lanes int32 [n], x [n][I] or ids [n]) -> y [n][O]: one step of these lanes (from 1) alone. */
static int state_step_lanes(lua_State *L) {
  host_state *s = check(L);
  const lstm_model *model = s->model->model;
  int takes_ids = lstm_model_takes_ids(model), wanted[2], k, n;
  const host_array *lanes = host_checkarray(L, 2, HOST_INT32, 1, "step_lanes: the lanes"), *x;
  size_t out = (size_t)s->outputs;
  host_array *y;
  check_directed(L, model);
  wanted[0] = n = lanes->shape[0], wanted[1] = s->inputs;
  x = host_checkarray(L, 3, takes_ids ? HOST_INT32 : HOST_FLOAT32, takes_ids ? 1 : 2, "step_lanes: x");
  host_checkshape(L, x, takes_ids ? 1 : 2, wanted, "step_lanes: x");
  check_lanes(L, s, lanes);
  wanted[1] = s->outputs;
  y = host_newarray(L, HOST_FLOAT32, 2, wanted);
  if (n == 0) return 1;
  check_step(L, s, takes_ids ? lstm_step_ids_lanes(model, s->state, s->who, n, x->data.i, y->data.f)
                             : lstm_step_lanes(model, s->state, s->who, n, x->data.f, y->data.f),
             takes_ids ? x->data.i : NULL);
  for (k = 0; k < n; k++) memcpy(s->y + (size_t)s->who[k] * out, y->data.f + (size_t)k * out, out * sizeof(float));
  s->stepped = 1;
  return 1;
}

static int state_step(lua_State *L) {
  host_state *s = check(L);
  const host_array *a = host_toarray(L, 2);
  if (!lua_isnoneornil(L, 3) && (a || lstm_model_takes_ids(s->model->model))) {
    return host_raise(L, "step: one array%s expected, and nothing behind it%s", a ? "" : ", symbol or number",
                      a ? "; state:step_lanes(lanes, x) steps some of the lanes" : "");
  }
  if (a) return step_array(L, s, a);
  return lstm_model_takes_ids(s->model->model) ? step_token(L, s) : step_numbers(L, s);
}

/* feed(id): one token, 0-based, without making an array of the outputs. */
static int state_feed(lua_State *L) {
  host_state *s = check(L);
  s->ids[0] = (int32_t)host_checkint(L, 2, 0, lstm_model_input_size(s->model->model) - 1, "feed");
  if (s->lanes != 1) host_raise(L, "feed: the state has %d lanes", s->lanes);
  step(L, s, NULL, s->ids);
  return 0;
}

static void check_stepped(lua_State *L, const host_state *s) {
  if (!s->stepped) host_raise(L, "the state has no output yet: step it first");
}

static int state_output(lua_State *L) {
  host_state *s = check(L);
  check_stepped(L, s);
  return push_outputs(L, s);
}

/* argmax([lane]) -> place of the largest output, 1-based, and its value */
static int state_argmax(lua_State *L) {
  host_state *s = check(L);
  int i, best = 0, lane = lua_isnoneornil(L, 2) ? 1 : host_checkint(L, 2, 1, s->lanes, "lane");
  const float *y = s->y + (size_t)(lane - 1) * (size_t)s->outputs;
  check_stepped(L, s);
  for (i = 1; i < s->outputs; i++) {
    if (y[i] > y[best]) best = i;
  }
  lua_pushinteger(L, best + 1);
  lua_pushnumber(L, (lua_Number)y[best]);
  return 2;
}

/* sample(temperature, rng [, top_k [, top_p]]) -> place, 1-based, drawn from the last outputs, and its probability */
static int state_sample(lua_State *L) {
  host_state *s = check(L);
  void *scratch = NULL;
  int place;
  (void)host_checknumber(L, 2, "sample: the temperature");
  check_stepped(L, s);
  if (!lua_isnoneornil(L, 4) || !lua_isnoneornil(L, 5)) {
    lua_settop(L, 5);
    host_getvalue(L, 1, 4);
    if (lua_isnil(L, -1)) {
      host_newuserdata(L, host_choose_size(s->outputs), 0);
      lua_pushvalue(L, -1);
      host_setvalue(L, 1, 4);
    }
    scratch = lua_touserdata(L, -1);
  }
  place = host_choose(L, s->y, s->outputs, 2, scratch);
  lua_pushinteger(L, place + 1);
  lua_pushnumber(L, (lua_Number)s->y[place]);
  return 2;
}

/* --- sequences ---------------------------------------------------------------------------------------------------- */

/* Whether a model must have a sequence in one piece: it reads it backwards too, or takes the mean or maximum of it. */
static int wants_all(const lstm_model *model) {
  const lstm_model_desc *desc = lstm_model_desc_of(model);
  int i, whole = lstm_model_bidirectional(model);
  for (i = 0; i < desc->layer_count; i++) whole = whole || desc->layers[i].read > LSTM_READ_LAST;
  return whole;
}

/* Runs the sequence in pieces, so that Ctrl-C need not wait for the end of a long one. */
static lstm_status forward_pieces(lua_State *L, host_state *s, const host_array *x, host_array *y) {
  const lstm_model *model = s->model->model;
  int takes_ids = lstm_model_takes_ids(model), last = lstm_model_reads_last(model), t, steps = x->shape[0];
  int piece = wants_all(model) ? steps : PIECE;
  size_t in = steps ? x->count / (size_t)steps : 0, out = (size_t)s->lanes * (size_t)s->outputs;
  lstm_status status = steps ? LSTM_OK : LSTM_ERR_ARGUMENT;
  make_room(L, s, steps);
  for (t = 0; t < steps && status == LSTM_OK; t += piece) {
    int n = steps - t < piece ? steps - t : piece;
    size_t at = (size_t)t;
    float *to = y->data.f + (last ? 0 : at * out);
    host_poll(L);
    host_charge_steps(L, model, n, s->lanes);
    status = takes_ids ? lstm_forward_ids(model, s->state, x->data.i + at * in, n, to)
                       : lstm_forward(model, s->state, x->data.f + at * in, n, to);
  }
  return status;
}

/* Ids of one byte each, as texts have them, take four here. */
static void widen_ids(lua_State *L, int arg) {
  const host_array *a = host_toarray(L, arg);
  const unsigned char *from = a && a->kind == HOST_UINT8 ? (const unsigned char *)a->data.bytes : NULL;
  host_array *out;
  size_t k;
  if (!from) return;
  out = host_newarray(L, HOST_INT32, a->dims, a->shape);
  for (k = 0; k < a->count; k++) out->data.i[k] = from[k];
  lua_replace(L, arg);
}

/* The array at index 3, to write into, or a new one. */
static host_array *outputs_for(lua_State *L, const host_array *x, int n, const int *shape) {
  host_array *y;
  if (lua_isnoneornil(L, 3)) return host_newarray(L, HOST_FLOAT32, n, shape);
  y = host_checkarray(L, 3, HOST_FLOAT32, n, "forward: the outputs");
  host_checkshape(L, y, n, shape, "forward: the outputs");
  if (y->data.b < x->data.b + host_bytes(x) && x->data.b < y->data.b + host_bytes(y)) {
    host_raise(L, "forward: the outputs must not be in the memory of the inputs");
  }
  lua_settop(L, 3);
  return y;
}

/* forward(x [T][I] or [T][N][I], or ids [T] or [T][N] [, y]) -> y of the same leading sizes, new or the one given;
   where the model reads the last step only [O] or [N][O]. */
static int state_forward(lua_State *L) {
  host_state *s = check(L);
  const lstm_model *model = s->model->model;
  int takes_ids = lstm_model_takes_ids(model), last = lstm_model_reads_last(model);
  int full = takes_ids ? 2 : 3, shape[3], n = 0;
  int wanted[3];
  const host_array *x;
  host_array *y;
  lstm_status status;
  if (takes_ids) widen_ids(L, 2);
  x = host_checkarray(L, 2, takes_ids ? HOST_INT32 : HOST_FLOAT32, 0, "forward");
  wanted[0] = -1, wanted[1] = s->lanes, wanted[2] = s->inputs;
  if (x->dims == full || s->lanes > 1) host_checkshape(L, x, full, wanted, "forward");
  else if (takes_ids) host_checkshape(L, x, 1, wanted, "forward");
  else wanted[1] = s->inputs, host_checkshape(L, x, 2, wanted, "forward");
  if (!last) shape[n++] = x->shape[0];
  if (x->dims == full) shape[n++] = s->lanes;
  shape[n++] = s->outputs;
  if (x->shape[0] == 0) host_raise(L, "forward: the sequence is empty");
  y = outputs_for(L, x, n, shape);
  status = forward_pieces(L, s, x, y);
  if (status == LSTM_ERR_ARGUMENT && takes_ids) {
    host_raise(L, "forward: an id is out of range, there are %d tokens", lstm_model_input_size(model));
  }
  host_check(L, status, NULL);
  return 1;
}

/* forward_batch(x [T][B][I] or ids [T][B], options) -> y [T][B][O], or [1][B][O] where the model reads the last step */
static int state_forward_batch(lua_State *L) {
  host_state *s = check(L);
  lstm_error error = host_no_error();
  lstm_executor executor;
  lstm_batch batch;
  lstm_status status;
  host_array *y;
  int shape[3], options = host_batchoptions(L, 3, "forward_batch");
  host_readbatch(L, s->model->model, 2, 0, LSTM_LOSS_NONE, options, &batch);
  shape[0] = lstm_model_reads_last(s->model->model) ? 1 : batch.seq_len;
  shape[1] = batch.batch_size;
  shape[2] = s->outputs;
  make_room(L, s, batch.seq_len);
  executor = host_executor(L);
  y = host_newarray(L, HOST_FLOAT32, 3, shape);
  batch.error = &error;
  status = lstm_forward_batch(s->model->model, s->state, &batch, y->data.f, &executor);
  host_check(L, status, &error);
  return 1;
}

int host_pushmetrics(lua_State *L, const lstm_metrics *metrics) {
  lua_pushnumber(L, metrics->loss);
  lua_pushnumber(L, metrics->weight);
  lua_pushnumber(L, metrics->targets);
  lua_pushnumber(L, metrics->correct);
  return 4;
}

static lstm_loss check_loss(lua_State *L, int arg) {
  const char *name = lua_type(L, arg) == LUA_TSTRING ? lua_tostring(L, arg) : NULL;
  int i;
  for (i = 0; name && host_loss_names[i]; i++) {
    if (strcmp(host_loss_names[i], name) == 0) return (lstm_loss)i;
  }
  host_raise(L, "evaluate: the loss must be the name of one, as \"mse\", got %s", name ? name : luaL_typename(L, arg));
  return LSTM_MSE;
}

/* evaluate(x, y, loss [, options]) -> sum of losses, of weights, targets, correct */
static int state_evaluate(lua_State *L) {
  host_state *s = check(L);
  lstm_loss loss = check_loss(L, 4);
  lstm_error error = host_no_error();
  lstm_metrics metrics;
  lstm_executor executor;
  lstm_batch batch;
  lstm_status status;
  int options = host_batchoptions(L, 5, "evaluate");
  memset(&metrics, 0, sizeof metrics);
  host_readbatch(L, s->model->model, 2, 3, loss, options, &batch);
  make_room(L, s, batch.seq_len);
  executor = host_executor(L);
  batch.error = &error;
  status = lstm_evaluate(s->model->model, s->state, &batch, loss, &metrics, &executor);
  host_check(L, status, &error);
  return host_pushmetrics(L, &metrics);
}

/* --- what is inside ----------------------------------------------------------------------------------------------- */

static int lane_arg(lua_State *L, const host_state *s, int arg) {
  return lua_isnoneornil(L, arg) ? 0 : host_checkint(L, arg, 1, s->lanes, "lane") - 1;
}

/* reset([lane]): the model's initial state: learned, else zero */
static int state_reset(lua_State *L) {
  host_state *s = check(L);
  host_check(L, lstm_state_begin(s->model->model, s->state, lua_isnoneornil(L, 2) ? -1 : lane_arg(L, s, 2)), NULL);
  s->stepped = s->stepped && s->lanes > 1 && !lua_isnoneornil(L, 2);
  lua_settop(L, 1);
  return 1;
}

/* --- what the cells do -------------------------------------------------------------------------------------------- */

/* trace{layer =, lane =, steps =}: from now on records what a layer's cells do in a lane; trace(false): no more. */
static int state_trace(lua_State *L) {
  static const char *const names[] = {"layer", "lane", "steps", NULL};
  host_state *s = check(L);
  const lstm_model *model = s->model->model;
  const lstm_layer *layer;
  lstm_trace trace;
  int shape[1];
  lua_settop(L, 2);
  memset(&trace, 0, sizeof trace);
  if (lua_toboolean(L, 2) || lua_isnil(L, 2)) {
    if (lua_isnil(L, 2)) lua_newtable(L), lua_replace(L, 2);
    host_checkoptions(L, 2, names, "trace");
    host_field(L, 2, "layer");
    trace.layer = host_checklayer(L, model, 3, "trace: layer");
    trace.lane = host_field_int(L, 2, "lane", 1, 1, s->lanes) - 1;
    trace.capacity = host_field_int(L, 2, "steps", 1000, 1, 1 << 20);
    layer = &lstm_model_desc_of(model)->layers[trace.layer];
    if (layer->size > INT_MAX / 12 / trace.capacity) host_raise(L, "trace: %d steps are too many", trace.capacity);
    shape[0] = trace.capacity * (layer->bidirectional ? 12 : 6) * layer->size;
    trace.values = host_newarray(L, HOST_FLOAT32, 1, shape)->data.f;
  } else {
    lua_pushnil(L);
  }
  host_check(L, lstm_state_trace(model, s->state, NULL, 0), NULL);
  s->trace = trace;
  host_setvalue(L, 1, 3);
  if (trace.values) host_check(L, lstm_state_trace(model, s->state, &s->trace, 1), NULL);
  lua_settop(L, 1);
  return 1;
}

/* One gate of a trace as an array [steps][width], as a field of the table on the top. */
static void push_gate(lua_State *L, const lstm_trace *trace, const lstm_layer *layer, int direction, int k,
                      const char *name) {
  size_t row = (size_t)layer->size, t, rows = layer->bidirectional ? 12 : 6;
  int shape[2];
  host_array *out;
  shape[0] = trace->steps;
  shape[1] = k == 5 && layer->projection ? layer->projection : layer->size;
  out = host_newarray(L, HOST_FLOAT32, 2, shape);
  for (t = 0; t < (size_t)trace->steps; t++) {
    const float *from = trace->values + (t * rows + (size_t)(direction * 6 + k)) * row;
    memcpy(out->data.f + t * (size_t)shape[1], from, (size_t)shape[1] * sizeof(float));
  }
  lua_setfield(L, -2, name);
}

/* {low = [H], high = [H]}: each cell's share of the steps at which its gate was nearly shut or open (the third of the
   gates: near its ends), as a field of the table on the top. */
static void push_saturation(lua_State *L, const lstm_trace *trace, const lstm_layer *layer, int direction, int k,
                            const char *name) {
  size_t row = (size_t)layer->size, rows = layer->bidirectional ? 12 : 6, t, u;
  float *low, *high, one = trace->steps ? 1.0f / (float)trace->steps : 0;
  lua_newtable(L);
  low = host_newarray(L, HOST_FLOAT32, 1, &layer->size)->data.f;
  lua_setfield(L, -2, "low");
  high = host_newarray(L, HOST_FLOAT32, 1, &layer->size)->data.f;
  lua_setfield(L, -2, "high");
  for (t = 0; t < (size_t)trace->steps; t++) {
    const float *from = trace->values + (t * rows + (size_t)(direction * 6 + k)) * row;
    for (u = 0; u < row; u++) {
      low[u] += from[u] < (k == 2 ? -0.9f : 0.1f) ? 1.0f : 0.0f;
      high[u] += from[u] > 0.9f ? 1.0f : 0.0f;
    }
  }
  for (u = 0; u < row; u++) low[u] *= one, high[u] *= one;
  lua_setfield(L, -2, name);
}

/* traced() -> {steps =, layer =, i = [steps][H], f =, g =, o =, c =, h =, saturation =} (gru: r, z, n, h); of a
   bidirectional layer also `reverse`, a table of the same */
static int state_traced(lua_State *L) {
  const host_state *s = check(L);
  const char *const *gates;
  const lstm_layer *layer;
  int k, direction;
  if (!s->trace.values) host_raise(L, "traced: nothing was recorded; state:trace{layer = 1} begins");
  layer = &lstm_model_desc_of(s->model->model)->layers[s->trace.layer];
  gates = host_gates(s->model->model, s->trace.layer);
  lua_newtable(L);
  lua_pushinteger(L, s->trace.steps);
  lua_setfield(L, -2, "steps");
  lua_pushinteger(L, s->trace.layer + 1);
  lua_setfield(L, -2, "layer");
  for (direction = 0; direction < (layer->bidirectional ? 2 : 1); direction++) {
    if (direction) lua_newtable(L);
    for (k = 0; gates[k]; k++) push_gate(L, &s->trace, layer, direction, k, gates[k]);
    if (layer->type == LSTM_LAYER_LSTM) push_gate(L, &s->trace, layer, direction, 4, "c");
    push_gate(L, &s->trace, layer, direction, 5, "h");
    lua_newtable(L);
    for (k = 0; gates[k]; k++) push_saturation(L, &s->trace, layer, direction, k, gates[k]);
    lua_setfield(L, -2, "saturation");
    if (direction) lua_setfield(L, -2, "reverse");
  }
  return 1;
}

/* values([lane]) -> [S]: for each recurrent layer h, then c */
static int state_values(lua_State *L) {
  host_state *s = check(L);
  int lane = lane_arg(L, s, 2), shape[1];
  host_array *out;
  shape[0] = lstm_model_state_size(s->model->model);
  out = host_newarray(L, HOST_FLOAT32, 1, shape);
  host_check(L, lstm_state_get(s->model->model, s->state, lane, out->data.f), NULL);
  return 1;
}

/* set_values(array [S] [, lane]) */
static int state_set_values(lua_State *L) {
  host_state *s = check(L);
  const host_array *from = host_checkarray(L, 2, HOST_FLOAT32, 1, "values");
  int shape[1];
  shape[0] = lstm_model_state_size(s->model->model);
  host_checkshape(L, from, 1, shape, "values");
  host_check(L, lstm_state_set(s->model->model, s->state, lane_arg(L, s, 3), from->data.f), NULL);
  lua_settop(L, 1);
  return 1;
}

static int state_lanes(lua_State *L) {
  lua_pushinteger(L, check(L)->lanes);
  return 1;
}

static int state_clone(lua_State *L) {
  host_state *s = check(L), *copy;
  host_getvalue(L, 1, 1);
  copy = push_state(L, lua_gettop(L), s->lanes);
  host_getvalue(L, 1, 2);
  host_setvalue(L, -2, 2);
  copy->tasks = 1;
  copy->seq_len = s->seq_len;
  copy->state = create(L, copy, s->seq_len);
  memcpy(copy->state, s->state, lstm_state_saved_size(s->state));
  memcpy(copy->y, s->y, (size_t)s->lanes * (size_t)s->outputs * sizeof(float));
  copy->stepped = s->stepped;
  return 1;
}

/* take(other, lanes int32 [n]): its first n lanes become these (from 1) of another state of the model. */
static int state_take(lua_State *L) {
  host_state *s = check(L);
  const host_state *other = check_at(L, 2);
  const host_array *lanes = host_checkarray(L, 3, HOST_INT32, 1, "lanes");
  int k;
  if (lanes->shape[0] > s->lanes) host_raise(L, "take: %d lanes, but the state has %d", lanes->shape[0], s->lanes);
  if (other == s) host_raise(L, "take: the lanes must come from another state");
  for (k = 0; k < lanes->shape[0]; k++) {
    int32_t from = lanes->data.i[k];
    if (from < 1 || from > other->lanes) {
      host_raise(L, "take: lane %d of a state of %d", (int)from, other->lanes);
    }
    if (lstm_state_copy_lane(s->state, k, other->state, from - 1) != LSTM_OK) {
      host_raise(L, "take: the states are of different models");
    }
  }
  lua_settop(L, 1);
  return 1;
}

/* save() -> a string for restore(); of this version and machine. */
static int state_save(lua_State *L) {
  const host_state *s = check(L);
  lua_pushlstring(L, (const char *)s->state, lstm_state_saved_size(s->state));
  return 1;
}

/* restore(string) -> true, or nil, message, status where it belongs to another model or number of lanes */
static int state_restore(lua_State *L) {
  host_state *s = check(L);
  size_t size, wanted = lstm_state_saved_size(s->state);
  const char *bytes = host_checkstring(L, 2, &size, "restore: the bytes");
  lstm_status status = lstm_state_restore(s->model->model, s->state, bytes, size);
  if (status != LSTM_OK) {
    lua_pushfstring(L, size == wanted ? "restore: these bytes were saved by another version, or by a model of other "
                                        "layers (read = \"all\" counts)"
                                      : "restore: %d bytes of a state of another model or other lanes; this one has %d",
                    (int)size, (int)wanted);
    return host_fault(L, status);
  }
  s->stepped = 0;
  lua_pushboolean(L, 1);
  return 1;
}

static int state_model(lua_State *L) {
  (void)host_checkobject(L, 1, STATE);
  host_getvalue(L, 1, 2);
  return 1;
}

/* Raises for a model that is not of the state's architecture; says where only the way a layer is read differs. */
static int refuse_use(lua_State *L, const host_state *s, const lstm_model *model) {
  const lstm_model_desc *ours = lstm_model_desc_of(s->model->model), *other = lstm_model_desc_of(model);
  int i, differs = -1, same = ours->layer_count == other->layer_count;
  for (i = 0; same && i < ours->layer_count; i++) {
    same = ours->layers[i].type == other->layers[i].type && ours->layers[i].size == other->layers[i].size;
    if (differs < 0 && !ours->layers[i].read != !other->layers[i].read) differs = i; /* all, or one of the others */
  }
  if (!same || differs < 0) return host_raise(L, "use: the model has other layers than the state's");
  return host_raise(L, "use: layer %d of the model has read = \"%s\", that of the state's has \"%s\"", differs + 1,
                    host_read_names[other->layers[differs].read], host_read_names[ours->layers[differs].read]);
}

/* use(model): the state goes on under a model of the same layers */
static int state_use(lua_State *L) {
  host_state *s = check(L);
  const host_model *model;
  host_checktable(L, 2, "use: the model");
  lua_settop(L, 2);
  lua_pushliteral(L, "core");
  lua_rawget(L, 2);
  model = host_checkmodel(L, 3);
  if (lstm_state_check(model->model, s->state) != LSTM_OK) return refuse_use(L, s, model->model);
  s->model = model;
  host_setvalue(L, 1, 1);
  host_setvalue(L, 1, 2);
  return 1;
}

static int state_tostring(lua_State *L) {
  const host_state *s = (const host_state *)host_checkobject(L, 1, STATE);
  if (!s->state) lua_pushliteral(L, "state (closed)");
  else lua_pushfstring(L, "state of %d lane%s", s->lanes, s->lanes == 1 ? "" : "s");
  return 1;
}

static const luaL_Reg methods[] = {{"step", state_step},
                                   {"step_lanes", state_step_lanes},
                                   {"feed", state_feed},
                                   {"output", state_output},
                                   {"argmax", state_argmax},
                                   {"sample", state_sample},
                                   {"forward", state_forward},
                                   {"forward_batch", state_forward_batch},
                                   {"evaluate", state_evaluate},
                                   {"reset", state_reset},
                                   {"trace", state_trace},
                                   {"traced", state_traced},
                                   {"values", state_values},
                                   {"set_values", state_set_values},
                                   {"lanes", state_lanes},
                                   {"clone", state_clone},
                                   {"take", state_take},
                                   {"bytes", state_save},
                                   {"save", state_save},
                                   {"restore", state_restore},
                                   {"model", state_model},
                                   {"use", state_use},
                                   {NULL, NULL}};

/* core.state(...) makes one; core.states is the table of methods, which model.lua adds to. */
void host_open_state(lua_State *L, int core) {
  host_newtype(L, STATE, methods, state_close);
  lua_pushcfunction(L, state_tostring);
  lua_setfield(L, -2, "__tostring");
  lua_getfield(L, -1, "__index");
  lua_setfield(L, core, "states");
  lua_pop(L, 1);
  lua_pushcfunction(L, state_new);
  lua_setfield(L, core, "state");
}
