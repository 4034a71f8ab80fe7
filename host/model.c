/* model.c: the core of a model in Lua: a description in, weights, files out. host/lua/model.lua builds the public
   object. */
#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "host.h"

#define MODEL "lstm.core.model"
enum { MAX_LAYERS = 64, MAX_META = 1024 };

static const char *const type_names[] = {"none", "embedding", "lstm", "dense", "dropout", "gru", NULL};
static const char *const activation_names[] = {"default", "linear",       "tanh",     "sigmoid",
                                               "relu",    "hard_sigmoid", "softsign", NULL};
const char *const host_read_names[] = {"all", "last", "mean", "max", NULL};
static const char *const forget_names[] = {"learned", "zero", "one", "noise", NULL};
static const char *const merge_names[] = {"concat", "sum", NULL};
static const char *const init_names[] = {"default", "pytorch", "zero", NULL};
static const char *const numerics_names[] = {"", "fused", "portable", NULL};
const char *const host_output_names[] = {"auto", "linear", "softmax", "sigmoid", NULL};

host_model *host_checkmodel(lua_State *L, int arg) {
  host_model *box = (host_model *)host_checkobject(L, arg, MODEL);
  if (box->closed || !box->model) host_raise(L, "the model is closed");
  return box;
}

void host_release_model(host_model *box) {
  if (!box->closed || box->trainers > 0) return;
  lstm_model_destroy(box->model);
  box->model = NULL;
}

static int model_close(lua_State *L) {
  host_model *box = (host_model *)host_checkobject(L, 1, MODEL);
  box->closed = 1;
  host_release_model(box);
  return 0;
}

static host_model *push_box(lua_State *L) {
  host_model *box = (host_model *)host_newuserdata(L, sizeof *box, 0);
  memset(box, 0, sizeof *box);
  luaL_setmetatable(L, MODEL);
  return box;
}

static size_t model_bytes(const lstm_model *model) { return lstm_model_parameter_count(model) * 2 * sizeof(float); }

/* --- descriptions ------------------------------------------------------------------------------------------------- */

/* Every option of a layer: its name in Lua, where it is in lstm_layer, what it is, and which types of layer have it.
   host/lua/layers.lua says which values make sense. */
typedef enum option_kind { COUNT, FLAG, NUMBER, CHOICE } option_kind;
typedef struct layer_option {
  const char *name;
  size_t place;
  const char *const *names; /* of a CHOICE */
  option_kind kind;
  unsigned types; /* bits 1 << lstm_layer_type */
} layer_option;

enum {
  EMBEDDING = 1 << LSTM_LAYER_EMBEDDING,
  LSTM = 1 << LSTM_LAYER_LSTM,
  GRU = 1 << LSTM_LAYER_GRU,
  DENSE = 1 << LSTM_LAYER_DENSE,
  DROPOUT = 1 << LSTM_LAYER_DROPOUT
};

static const layer_option layer_options[] = {
    {"size", offsetof(lstm_layer, size), NULL, COUNT, EMBEDDING | LSTM | GRU | DENSE},
    {"rate", offsetof(lstm_layer, rate), NULL, NUMBER, DROPOUT},
    {"activation", offsetof(lstm_layer, activation), activation_names, CHOICE, DENSE | LSTM},
    {"gate_activation", offsetof(lstm_layer, gate_activation), activation_names, CHOICE, LSTM},
    {"read", offsetof(lstm_layer, read), host_read_names, CHOICE, LSTM | GRU},
    {"peephole", offsetof(lstm_layer, peephole), NULL, FLAG, LSTM},
    {"coupled", offsetof(lstm_layer, coupled), NULL, FLAG, LSTM},
    {"projection", offsetof(lstm_layer, projection), NULL, COUNT, LSTM},
    {"layer_norm", offsetof(lstm_layer, layer_norm), NULL, FLAG, LSTM},
    {"cell_clip", offsetof(lstm_layer, cell_clip), NULL, NUMBER, LSTM},
    {"forget", offsetof(lstm_layer, forget), forget_names, CHOICE, LSTM},
    {"noise", offsetof(lstm_layer, noise), NULL, NUMBER, LSTM},
    {"dropout", offsetof(lstm_layer, dropout), NULL, NUMBER, LSTM | GRU},
    {"recurrent_dropout", offsetof(lstm_layer, recurrent_dropout), NULL, NUMBER, LSTM | GRU},
    {"zoneout", offsetof(lstm_layer, zoneout), NULL, NUMBER, LSTM | GRU},
    {"learned_state", offsetof(lstm_layer, learned_state), NULL, FLAG, LSTM | GRU},
    {"bidirectional", offsetof(lstm_layer, bidirectional), NULL, FLAG, LSTM | GRU},
    {"merge", offsetof(lstm_layer, merge), merge_names, CHOICE, LSTM | GRU},
    {"tied", offsetof(lstm_layer, tied), NULL, FLAG, EMBEDDING},
    {"residual", offsetof(lstm_layer, residual), NULL, FLAG, DENSE},
    {NULL, 0, NULL, FLAG, 0}};

/* Enumerations are read and written as int: each begins at 0 and has no negative value. */
typedef char enums_are_ints[sizeof(lstm_activation) == sizeof(int) && sizeof(lstm_read) == sizeof(int) &&
                                    sizeof(lstm_forget) == sizeof(int) && sizeof(lstm_merge) == sizeof(int)
                                ? 1
                                : -1];

static void read_layer(lua_State *L, int table, lstm_layer *layer) {
  const layer_option *o;
  memset(layer, 0, sizeof *layer);
  layer->type = (lstm_layer_type)host_field_choice(L, table, "type", LSTM_LAYER_NONE, type_names);
  for (o = layer_options; o->name; o++) {
    void *place = (char *)layer + o->place;
    int whole = 0;
    float number;
    if (o->kind == NUMBER) {
      number = (float)host_field_number(L, table, o->name, 0);
      memcpy(place, &number, sizeof number);
      continue;
    }
    if (o->kind == COUNT) whole = host_field_int(L, table, o->name, 0, 0, INT_MAX);
    if (o->kind == FLAG) whole = host_field_bool(L, table, o->name, 0);
    if (o->kind == CHOICE) whole = host_field_choice(L, table, o->name, 0, o->names);
    memcpy(place, &whole, sizeof whole);
  }
  host_field(L, table, "name"); /* the string stays alive in the layer's table */
  layer->name = lua_isnil(L, -1) ? NULL : host_checkstring(L, -1, NULL, "model: a layer's name");
  lua_pop(L, 1);
}

/* The list of layers in the table's field `layers`; returns how many. */
static int read_layers(lua_State *L, int table, lstm_layer *layers) {
  int i, n = 0;
  host_field(L, table, "layers");
  if (!lua_isnil(L, -1)) {
    luaL_checktype(L, -1, LUA_TTABLE);
    n = (int)lua_rawlen(L, -1);
    if (n > MAX_LAYERS) host_raise(L, "a model has at most %d layers, got %d", MAX_LAYERS, n);
    for (i = 0; i < n; i++) {
      lua_rawgeti(L, -1, i + 1);
      read_layer(L, lua_gettop(L), &layers[i]);
      lua_pop(L, 1);
    }
  }
  lua_pop(L, 1);
  return n;
}

static lstm_numerics read_numerics(lua_State *L, int table) {
  return (lstm_numerics)host_field_choice(L, table, "numerics", LSTM_NUMERICS_DEFAULT, numerics_names);
}

static lstm_isa read_isa(lua_State *L, int table) {
  lstm_isa isa;
  host_field(L, table, "isa");
  if (lua_isnil(L, -1)) {
    lua_getfield(L, LUA_REGISTRYINDEX, "lstm.isa");
    isa = (lstm_isa)lua_tointeger(L, -1);
    lua_pop(L, 2);
    return isa;
  }
  isa = lstm_isa_from_name(host_checkstring(L, -1, NULL, "model: isa"));
  if (isa == LSTM_ISA_COUNT) host_raise(L, "isa: unknown instruction set \"%s\"", lua_tostring(L, -1));
  lua_pop(L, 1);
  return isa;
}

void host_raise_layers(lua_State *L, const char *what, const lstm_error *error) {
  const char *message = error->message;
  if (strncmp(message, "layer ", 6) == 0 && message[6] >= '0' && message[6] <= '9') {
    char *rest;
    long i = strtol(message + 6, &rest, 10);
    host_raise(L, "%s: layer %d%s", what, (int)i + 1, rest);
  }
  host_raise(L, "%s: %s", what, message[0] ? message : lstm_status_text(error->status));
}

static int is_recurrent(const lstm_layer *layer) {
  return layer->type == LSTM_LAYER_LSTM || layer->type == LSTM_LAYER_GRU;
}

/* In a sandbox: orthogonal recurrent weights take four times the cube of the units. */
static void charge_init(lua_State *L, const lstm_model_desc *desc) {
  double products = 0;
  int i;
  for (i = 0; i < desc->layer_count && desc->init == LSTM_INIT_DEFAULT; i++) {
    double size = desc->layers[i].size;
    if (is_recurrent(&desc->layers[i])) products += 4 * size * size * size;
  }
  host_charge(L, products);
}

/* model{input =, layers =, output =, init =, seed =, isa =, numerics =} */
static int model_new(lua_State *L) {
  lstm_layer layers[MAX_LAYERS];
  lstm_error error = host_no_error();
  lstm_model_desc desc;
  lstm_status status;
  host_model *box;
  luaL_checktype(L, 1, LUA_TTABLE);
  memset(&desc, 0, sizeof desc);
  desc.input_size = host_field_int(L, 1, "input", 0, 1, INT_MAX);
  desc.layer_count = read_layers(L, 1, layers);
  desc.layers = layers;
  desc.output = (lstm_output)host_field_choice(L, 1, "output", LSTM_OUTPUT_AUTO, host_output_names);
  desc.init = (lstm_init)host_field_choice(L, 1, "init", LSTM_INIT_DEFAULT, init_names);
  desc.isa = read_isa(L, 1);
  desc.numerics = read_numerics(L, 1);
  desc.seed = host_field_seed(L, 1, "seed");
  desc.error = &error;
  box = push_box(L);
  desc.allocator = host_allocator(L, &box->memory);
  if (host_sandboxes) charge_init(L, &desc);
  status = lstm_model_create(&desc, &box->model);
  if (status == LSTM_ERR_MEMORY) { /* perhaps garbage holds it */
    lua_gc(L, LUA_GCCOLLECT, 0);
    status = lstm_model_create(&desc, &box->model);
  }
  if (status != LSTM_OK) {
    error.status = status;
    host_raise_layers(L, "model", &error);
  }
  host_collect(L, model_bytes(box->model));
  return 1;
}

/* Sets the option in the table on the top, unless it is at its default and need not be shown. */
static void push_option(lua_State *L, const lstm_layer *layer, const layer_option *o) {
  const void *place = (const char *)layer + o->place;
  int whole, always = o->names == host_read_names || (o->kind == CHOICE && layer->type == LSTM_LAYER_DENSE);
  float number;
  if (o->kind == NUMBER) {
    memcpy(&number, place, sizeof number);
    if (number == 0 && layer->type != LSTM_LAYER_DROPOUT) return;
    lua_pushnumber(L, (lua_Number)number);
  } else {
    memcpy(&whole, place, sizeof whole);
    if (whole == 0 && !always) return;
    if (o->kind == COUNT) lua_pushinteger(L, whole);
    if (o->kind == FLAG) lua_pushboolean(L, 1);
    if (o->kind == CHOICE) lua_pushstring(L, o->names[whole]);
  }
  lua_setfield(L, -2, o->name);
}

static void push_layer(lua_State *L, const lstm_layer *layer) {
  const layer_option *o;
  lua_newtable(L);
  lua_pushstring(L, type_names[layer->type]);
  lua_setfield(L, -2, "type");
  for (o = layer_options; o->name; o++) {
    if (o->types & 1u << layer->type) push_option(L, layer, o);
  }
  if (layer->name) {
    lua_pushstring(L, layer->name);
    lua_setfield(L, -2, "name");
  }
}

int host_checklayer(lua_State *L, const lstm_model *model, int arg, const char *what) {
  const lstm_model_desc *desc = lstm_model_desc_of(model);
  int i = 0;
  while (i < desc->layer_count && !is_recurrent(&desc->layers[i])) i++;
  if (!lua_isnoneornil(L, arg)) i = host_checkint(L, arg, 1, desc->layer_count, what) - 1;
  if (i == desc->layer_count) host_raise(L, "%s: the model has no recurrent layer", what);
  if (!is_recurrent(&desc->layers[i])) {
    host_raise(L, "%s: layer %d is %s %s layer, which has no gates", what, i + 1,
               desc->layers[i].type == LSTM_LAYER_EMBEDDING ? "an" : "a", type_names[desc->layers[i].type]);
  }
  return i;
}

const char *const *host_gates(const lstm_model *model, int layer) {
  static const char *const lstm_gates[] = {"i", "f", "g", "o", NULL}, *const gru_gates[] = {"r", "z", "n", NULL};
  return lstm_model_desc_of(model)->layers[layer].type == LSTM_LAYER_GRU ? gru_gates : lstm_gates;
}

/* describe() -> {input =, layers =, output =, isa =, numerics =}: what model() takes. */
static int model_describe(lua_State *L) {
  const lstm_model *model = host_checkmodel(L, 1)->model;
  const lstm_model_desc *desc = lstm_model_desc_of(model);
  int i;
  lua_newtable(L);
  lua_pushinteger(L, desc->input_size);
  lua_setfield(L, -2, "input");
  lua_createtable(L, desc->layer_count, 0);
  for (i = 0; i < desc->layer_count; i++) {
    push_layer(L, &desc->layers[i]);
    lua_rawseti(L, -2, i + 1);
  }
  lua_setfield(L, -2, "layers");
  lua_pushstring(L, host_output_names[lstm_model_output(model)]);
  lua_setfield(L, -2, "output");
  lua_pushstring(L, lstm_isa_name(lstm_model_isa(model)));
  lua_setfield(L, -2, "isa");
  lua_pushstring(L, numerics_names[desc->numerics]);
  lua_setfield(L, -2, "numerics");
  return 1;
}

/* sizes() -> I, O, S, takes_ids, reads_last, bidirectional */
static int model_sizes(lua_State *L) {
  const lstm_model *model = host_checkmodel(L, 1)->model;
  lua_pushinteger(L, lstm_model_input_size(model));
  lua_pushinteger(L, lstm_model_output_size(model));
  lua_pushinteger(L, lstm_model_state_size(model));
  lua_pushboolean(L, lstm_model_takes_ids(model));
  lua_pushboolean(L, lstm_model_reads_last(model));
  lua_pushboolean(L, lstm_model_bidirectional(model));
  return 6;
}

static int model_output(lua_State *L) {
  lua_pushstring(L, host_output_names[lstm_model_output(host_checkmodel(L, 1)->model)]);
  return 1;
}

static int model_parameters(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)lstm_model_parameter_count(host_checkmodel(L, 1)->model));
  return 1;
}

static int model_summary(lua_State *L) {
  const lstm_model *model = host_checkmodel(L, 1)->model;
  size_t size = lstm_model_summary(model, NULL, 0) + 1;
  char *text = (char *)host_newuserdata(L, size, 0);
  lstm_model_summary(model, text, size);
  lua_pushstring(L, text);
  return 1;
}

/* --- weights ------------------------------------------------------------------------------------------------------ */

int host_findtensor(lua_State *L, const lstm_model *model, int arg, lstm_tensor *tensor, const char *what) {
  const char *name;
  int i;
  lua_pushfstring(L, "%s: the name", what);
  name = host_checkstring(L, arg, NULL, lua_tostring(L, -1));
  lua_pop(L, 1);
  for (i = 0; lstm_model_tensor(model, i, tensor) == LSTM_OK; i++) {
    if (strcmp(tensor->name, name) == 0) return i;
  }
  return host_raise(L, "%s: the model has no tensor \"%s\"; tensors() lists them", what, name);
}

static int tensor_shape(const lstm_tensor *t, int *shape) {
  shape[0] = t->rows;
  shape[1] = t->columns;
  return t->columns ? 2 : 1;
}

/* tensors() -> list of names, in file order. */
static int model_tensors(lua_State *L) {
  const lstm_model *model = host_checkmodel(L, 1)->model;
  lstm_tensor tensor;
  int i;
  lua_newtable(L);
  for (i = 0; i < lstm_model_tensor_count(model); i++) {
    if (lstm_model_tensor(model, i, &tensor) != LSTM_OK) break;
    lua_pushstring(L, tensor.name);
    lua_rawseti(L, -2, i + 1);
  }
  return 1;
}

/* tensor(name) -> a copy as an array */
static int model_tensor(lua_State *L) {
  lstm_tensor tensor;
  int shape[2], dims;
  host_array *out;
  host_findtensor(L, host_checkmodel(L, 1)->model, 2, &tensor, "tensor");
  dims = tensor_shape(&tensor, shape);
  out = host_newarray(L, HOST_FLOAT32, dims, shape);
  memcpy(out->data.f, tensor.data, tensor.count * sizeof(float));
  return 1;
}

static int model_set_tensor(lua_State *L) {
  lstm_model *model = host_checkmodel(L, 1)->model;
  lstm_tensor tensor;
  const host_array *from;
  int shape[2], dims;
  host_findtensor(L, model, 2, &tensor, "tensor");
  dims = tensor_shape(&tensor, shape);
  from = host_checkarray(L, 3, HOST_FLOAT32, 0, tensor.name);
  host_checkshape(L, from, dims, shape, tensor.name);
  memcpy(tensor.data, from->data.f, tensor.count * sizeof(float));
  lstm_model_refresh(model);
  return 0;
}

static int model_copy_weights(lua_State *L) {
  lstm_model *to = host_checkmodel(L, 1)->model;
  const lstm_model *from = host_checkmodel(L, 2)->model;
  if (lstm_model_copy_weights(to, from) != LSTM_OK) {
    host_raise(L, "the weights belong to a model of another architecture");
  }
  return 0;
}

/* Sets a field of the table on the top: the numbers as an array, if there are any. */
static void set_floats(lua_State *L, const char *name, const float *from, size_t count) {
  int n = count > INT_MAX ? host_raise(L, "packed: the model is too large") : (int)count;
  if (!from || !n) return;
  memcpy(host_newarray(L, HOST_FLOAT32, 1, &n)->data.f, from, count * sizeof(float));
  lua_setfield(L, -2, name);
}

static void set_bytes(lua_State *L, const char *name, size_t size) {
  lua_pushinteger(L, (lua_Integer)size);
  lua_setfield(L, -2, name);
}

/* packed(seq) -> what a static model of this one has: {packed =, table = (or nil), fingerprint =, layout =, version =,
   model =, state = (bytes of memory; of a state for sequences of seq)} */
static int model_packed(lua_State *L) {
  const lstm_model *model = host_checkmodel(L, 1)->model;
  char fingerprint[17];
  lstm_state_desc desc;
  lstm_static_model s;
  size_t size;
  memset(&desc, 0, sizeof desc);
  desc.seq_len = host_checkint(L, 2, 1, 1 << 20, "packed: seq");
  host_check(L, lstm_model_to_static(model, &s), NULL);
  lua_newtable(L);
  set_floats(L, "packed", s.packed, s.packed_count);
  set_floats(L, "table", s.table, s.table_count);
  host_check(L, lstm_model_static_size(&s, &size), NULL);
  set_bytes(L, "model", size);
  host_check(L, lstm_state_size(model, &desc, &size), NULL);
  set_bytes(L, "state", size);
  set_bytes(L, "layout", LSTM_STATIC_VERSION);
  lua_pushstring(L, LSTM_VERSION_STRING);
  lua_setfield(L, -2, "version");
  snprintf(fingerprint, sizeof fingerprint, "%08lx%08lx", (unsigned long)(s.fingerprint >> 32),
           (unsigned long)(s.fingerprint & 0xffffffffu));
  lua_pushstring(L, fingerprint);
  lua_setfield(L, -2, "fingerprint");
  return 1;
}

/* --- files -------------------------------------------------------------------------------------------------------- */

static int compare_meta(const void *a, const void *b) {
  return strcmp(((const lstm_meta *)a)->key, ((const lstm_meta *)b)->key);
}

/* Sorted by key: the same model gives the same bytes. */
int host_readmeta(lua_State *L, int table, lstm_meta **meta) {
  int n = 0;
  *meta = (lstm_meta *)host_newuserdata(L, MAX_META * sizeof **meta, 0);
  if (table == 0 || lua_isnoneornil(L, table)) return 0;
  host_checktable(L, table, "save: the metadata");
  lua_pushnil(L);
  while (lua_next(L, table) != 0) {
    if (n == MAX_META) host_raise(L, "metadata: more than %d entries", MAX_META);
    if (lua_type(L, -2) != LUA_TSTRING || lua_type(L, -1) != LUA_TSTRING) host_raise(L, "metadata: strings expected");
    (*meta)[n].key = lua_tostring(L, -2);
    (*meta)[n++].value = lua_tostring(L, -1);
    lua_pop(L, 1);
  }
  qsort(*meta, (size_t)n, sizeof **meta, compare_meta);
  return n;
}

/* meta() -> table of the strings that came with the file */
static int model_meta(lua_State *L) {
  const lstm_model *model = host_checkmodel(L, 1)->model;
  int i;
  lua_newtable(L);
  for (i = 0; i < lstm_model_meta_count(model); i++) {
    lua_pushstring(L, lstm_model_meta_value(model, i));
    lua_setfield(L, -2, lstm_model_meta_key(model, i));
  }
  return 1;
}

typedef struct save_job {
  const lstm_model *model;
  const lstm_trainer *trainer; /* not NULL: a checkpoint of it */
  const lstm_save_desc *desc;
  lstm_status status;
} save_job;

static int write_bytes(void *user, const void *data, size_t size) {
  return fwrite(data, 1, size, (FILE *)user) == size;
}

static int save_object(void *context, FILE *file) {
  save_job *job = (save_job *)context;
  lstm_writer writer;
  writer.write = write_bytes;
  writer.user = file;
  job->status = job->trainer ? lstm_trainer_save(job->trainer, job->desc, &writer)
                             : lstm_save(job->model, job->desc, &writer);
  return job->status == LSTM_OK;
}

int host_save(lua_State *L, const lstm_model *model, const lstm_trainer *trainer) {
  const char *path = host_checkstring(L, 2, NULL, "save: the path");
  lstm_error error = host_no_error();
  lstm_save_desc desc;
  lstm_meta *meta;
  save_job job;
  int results;
  memset(&desc, 0, sizeof desc);
  desc.meta_count = host_readmeta(L, lua_isnoneornil(L, 3) ? 0 : 3, &meta);
  desc.meta = meta;
  desc.error = &error;
  job.model = model;
  job.trainer = trainer;
  job.desc = &desc;
  job.status = LSTM_OK;
  results = host_write_file(L, path, save_object, &job);
  if (job.status != LSTM_OK && job.status != LSTM_ERR_IO) return host_failed(L, job.status, &error, path);
  if (results) return results;
  lua_pushboolean(L, 1);
  return 1;
}

/* save(path [, meta]) -> true, or nil, message, status */
static int model_save(lua_State *L) { return host_save(L, host_checkmodel(L, 1)->model, NULL); }

/* bytes([meta]) -> the file as a string */
static int model_tobytes(lua_State *L) {
  const lstm_model *model = host_checkmodel(L, 1)->model;
  lstm_error error = host_no_error();
  lstm_save_desc desc;
  lstm_meta *meta;
  lstm_status status;
  size_t size = 0;
  void *buffer;
  memset(&desc, 0, sizeof desc);
  desc.meta_count = host_readmeta(L, lua_isnoneornil(L, 2) ? 0 : 2, &meta);
  desc.meta = meta;
  desc.error = &error;
  status = lstm_save_memory(model, &desc, NULL, 0, &size);
  host_check(L, status, &error);
  buffer = host_newuserdata(L, size, 0);
  status = lstm_save_memory(model, &desc, buffer, size, &size);
  host_check(L, status, &error);
  lua_pushlstring(L, (const char *)buffer, size);
  return 1;
}

static size_t read_bytes(void *user, void *data, size_t size) {
  FILE *file = (FILE *)user;
  size_t n = fread(data, 1, size, file);
  return n == 0 && ferror(file) ? (size_t)-1 : n;
}

enum { MAX_PREFIXES = 32, ASSUMED = 2048 };

/* prefixes = {["encoder.lstm."] = "rnn."}; the strings stay alive in the table. */
static int read_prefixes(lua_State *L, int table, lstm_prefix *prefixes) {
  int n = 0;
  host_field(L, table, "prefixes");
  if (lua_istable(L, -1)) {
    lua_pushnil(L);
    while (lua_next(L, -2) != 0) {
      if (n == MAX_PREFIXES) host_raise(L, "load: more than %d prefixes", MAX_PREFIXES);
      if (lua_type(L, -2) != LUA_TSTRING || lua_type(L, -1) != LUA_TSTRING) host_raise(L, "load: prefixes are strings");
      prefixes[n].from = lua_tostring(L, -2);
      prefixes[n++].to = lua_tostring(L, -1);
      lua_pop(L, 1);
    }
  }
  lua_pop(L, 1);
  return n;
}

/* load(path or nil, {data =, layers =, prefixes =, isa =, numerics =, allow_not_finite =}) -> model, what was assumed
   of a foreign file; or nil, message, status */
static int model_load(lua_State *L) {
  const char *path = luaL_optstring(L, 1, NULL);
  lstm_layer layers[MAX_LAYERS];
  lstm_prefix prefixes[MAX_PREFIXES];
  char assumed[ASSUMED] = "";
  lstm_error error = host_no_error();
  lstm_load_desc desc;
  lstm_status status;
  host_model *box;
  FILE **file = NULL;
  size_t size = 0;
  const char *data;
  if (lua_isnoneornil(L, 2)) {
    lua_settop(L, 1);
    lua_newtable(L);
  }
  luaL_checktype(L, 2, LUA_TTABLE);
  memset(&desc, 0, sizeof desc);
  desc.layer_count = read_layers(L, 2, layers);
  desc.layers = desc.layer_count ? layers : NULL;
  desc.prefix_count = read_prefixes(L, 2, prefixes);
  desc.prefixes = prefixes;
  desc.allow_not_finite = host_field_bool(L, 2, "allow_not_finite", 0);
  desc.isa = read_isa(L, 2);
  desc.numerics = read_numerics(L, 2);
  desc.assumed = assumed;
  desc.assumed_capacity = sizeof assumed;
  desc.error = &error;
  host_field(L, 2, "data"); /* stays on the stack */
  data = lua_tolstring(L, -1, &size);
  if (!data) {
    if (!path) return host_raise(L, "load: a path expected");
    file = host_open_file(L, path);
    if (!file) return 3;
  }
  box = push_box(L);
  desc.allocator = host_allocator(L, &box->memory);
  if (data) {
    status = lstm_load_memory(data, size, &desc, &box->model);
  } else {
    lstm_reader reader;
    reader.read = read_bytes;
    reader.user = *file;
    status = lstm_load(&reader, &desc, &box->model);
    fclose(*file);
    *file = NULL;
  }
  if (status != LSTM_OK) {
    lua_pushfstring(L, "%s: %s", path ? path : "data", error.message[0] ? error.message : lstm_status_text(status));
    return host_fault(L, status);
  }
  host_collect(L, model_bytes(box->model));
  lua_pushstring(L, assumed);
  return 2;
}

static const luaL_Reg methods[] = {{"describe", model_describe},
                                   {"sizes", model_sizes},
                                   {"output", model_output},
                                   {"parameters", model_parameters},
                                   {"summary", model_summary},
                                   {"tensors", model_tensors},
                                   {"tensor", model_tensor},
                                   {"set_tensor", model_set_tensor},
                                   {"copy_weights", model_copy_weights},
                                   {"packed", model_packed},
                                   {"meta", model_meta},
                                   {"save", model_save},
                                   {"bytes", model_tobytes},
                                   {NULL, NULL}};

void host_open_model(lua_State *L, int core) {
  host_newtype(L, MODEL, methods, model_close);
  lua_pop(L, 1);
  lua_pushcfunction(L, model_new);
  lua_setfield(L, core, "model");
  lua_pushcfunction(L, model_load);
  lua_setfield(L, core, "load");
}
