/* module.c: the module's entry points, and the helpers that all bound types share. */
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "host.h"

/* --- errors ------------------------------------------------------------------------------------------------------- */

/* Pushes "file:line: " of the innermost function that a user wrote: not C, and not one of the embedded helpers. */
static void push_position(lua_State *L) {
  lua_Debug info;
  int level;
  for (level = 0; lua_getstack(L, level, &info); level++) {
    lua_getinfo(L, "Sl", &info);
    if (info.currentline > 0 && strncmp(info.source, "=lstm/", 6) != 0) {
      lua_pushfstring(L, "%s:%d: ", info.short_src, info.currentline);
      return;
    }
  }
  lua_pushliteral(L, "");
}

int host_raise(lua_State *L, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  push_position(L);
  lua_pushvfstring(L, format, arguments);
  va_end(arguments);
  lua_concat(L, 2);
  return lua_error(L);
}

/* raise(message): error() at the line of the user's script, for the embedded helpers. */
static int core_raise(lua_State *L) { return host_raise(L, "%s", luaL_checkstring(L, 1)); }

/* LSTM_ERR_NOT_FINITE -> "not_finite" */
static void push_status(lua_State *L, lstm_status status) {
  const char *name = lstm_status_name(status);
  char text[32];
  size_t k;
  if (strncmp(name, "LSTM_ERR_", 9) == 0) name += 9;
  for (k = 0; k < sizeof text - 1 && name[k]; k++) {
    text[k] = name[k] >= 'A' && name[k] <= 'Z' ? (char)(name[k] - 'A' + 'a') : name[k];
  }
  text[k] = 0;
  lua_pushstring(L, text);
}

int host_fault(lua_State *L, lstm_status status) {
  lua_pushnil(L);
  lua_insert(L, -2);
  push_status(L, status);
  return 3;
}

lstm_error host_no_error(void) {
  lstm_error error;
  memset(&error, 0, sizeof error);
  return error;
}

static int is_mistake(lstm_status status) {
  return status == LSTM_ERR_ARGUMENT || status == LSTM_ERR_SHAPE;
}

int host_failed(lua_State *L, lstm_status status, const lstm_error *error, const char *what) {
  const char *message = error && error->message[0] ? error->message : lstm_status_text(status);
  const char *colon = what ? ": " : "";
  if (is_mistake(status)) return host_raise(L, "%s%s%s", what ? what : "", colon, message);
  lua_pushfstring(L, "%s%s%s", what ? what : "", colon, message);
  return host_fault(L, status);
}

void host_check(lua_State *L, lstm_status status, const lstm_error *error) {
  if (status == LSTM_OK) return;
  host_raise(L, "%s", error && error->message[0] ? error->message : lstm_status_text(status));
}

/* --- arguments ---------------------------------------------------------------------------------------------------- */

static int whole(lua_State *L, int index, double min, double max) {
  lua_Number n = lua_tonumber(L, index);
  return lua_type(L, index) == LUA_TNUMBER && n == floor(n) && n >= min && n <= max;
}

const char *host_checkstring(lua_State *L, int arg, size_t *size, const char *what) {
  if (!lua_isstring(L, arg)) host_raise(L, "%s must be a string, got %s", what, luaL_typename(L, arg));
  return lua_tolstring(L, arg, size);
}

double host_checknumber(lua_State *L, int arg, const char *what) {
  if (lua_type(L, arg) != LUA_TNUMBER) host_raise(L, "%s must be a number, got %s", what, luaL_typename(L, arg));
  return lua_tonumber(L, arg);
}

void *host_checkobject(lua_State *L, int arg, const char *type) {
  void *object = luaL_testudata(L, arg, type);
  const char *last = strrchr(type, '.'), *got = luaL_typename(L, arg);
  if (object) return object;
  if (arg > 1) host_raise(L, "a %s expected, got %s", last ? last + 1 : type, got);
  host_raise(L, "a method is called with a colon, as in %s:name(); got %s", last ? last + 1 : type, got);
  return NULL;
}

void host_checktable(lua_State *L, int arg, const char *what) {
  if (!lua_istable(L, arg)) host_raise(L, "%s must be a table, got %s", what, luaL_typename(L, arg));
}

static int is_one_of(const char *name, const char *const names[]) {
  while (*names && strcmp(*names, name) != 0) names++;
  return *names != NULL;
}

int host_checkoptions(lua_State *L, int arg, const char *const names[], const char *what) {
  int i;
  if (lua_isnoneornil(L, arg)) return 0;
  if (!lua_istable(L, arg)) host_raise(L, "%s: options must be a table, got %s", what, luaL_typename(L, arg));
  if (lua_getmetatable(L, arg)) host_raise(L, "%s: options must be a table without a metatable", what);
  for (lua_pushnil(L); lua_next(L, arg); lua_pop(L, 1)) {
    const char *key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : NULL;
    if (key && is_one_of(key, names)) continue;
    lua_pushfstring(L, "%s: unknown option \"%s\" (there are ", what, key ? key : luaL_typename(L, -2));
    for (i = 0; names[i]; i++) {
      lua_pushfstring(L, "%s%s", i == 0 ? "" : names[i + 1] ? ", " : " and ", names[i]);
      lua_concat(L, 2);
    }
    host_raise(L, "%s)", lua_tostring(L, -1));
  }
  return arg;
}

int host_checkint(lua_State *L, int arg, int min, int max, const char *what) {
  if (!whole(L, arg, min, max)) {
    const char *got = luaL_typename(L, arg);
    if (lua_type(L, arg) == LUA_TNUMBER) {
      lua_pushvalue(L, arg);
      got = lua_tostring(L, -1);
    }
    host_raise(L, "%s: a whole number from %d to %d expected, got %s", what, min, max, got);
  }
  return (int)lua_tonumber(L, arg);
}

uint64_t host_checkseed(lua_State *L, int arg) {
  if (lua_isinteger(L, arg)) return (uint64_t)lua_tointeger(L, arg);
  if (!whole(L, arg, -9007199254740992.0, 9007199254740992.0)) host_raise(L, "seed: a seed must be a whole number");
  return (uint64_t)(int64_t)lua_tonumber(L, arg);
}

/* No metamethod: it could close what is in use, or give an array that nothing keeps. */
void host_field(lua_State *L, int table, const char *name) {
  host_checktable(L, table, "options");
  lua_pushstring(L, name);
  lua_rawget(L, table);
}

int host_field_int(lua_State *L, int table, const char *name, int missing, int min, int max) {
  int value = missing;
  host_field(L, table, name);
  if (!lua_isnil(L, -1)) {
    if (!whole(L, -1, min, max)) {
      host_raise(L, "option \"%s\" must be a whole number from %d to %d, got %s", name, min, max,
                 lua_type(L, -1) == LUA_TNUMBER ? lua_tostring(L, -1) : luaL_typename(L, -1));
    }
    value = (int)lua_tonumber(L, -1);
  }
  lua_pop(L, 1);
  return value;
}

double host_field_number(lua_State *L, int table, const char *name, double missing) {
  double value = missing;
  host_field(L, table, name);
  if (!lua_isnil(L, -1)) {
    if (lua_type(L, -1) != LUA_TNUMBER) {
      host_raise(L, "option \"%s\" must be a number, got a %s", name, luaL_typename(L, -1));
    }
    value = lua_tonumber(L, -1);
    if (!isfinite(value)) host_raise(L, "option \"%s\" must be finite", name);
  }
  lua_pop(L, 1);
  return value;
}

int host_field_bool(lua_State *L, int table, const char *name, int missing) {
  int value = missing;
  host_field(L, table, name);
  if (!lua_isnil(L, -1)) value = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return value;
}

static int raise_choice(lua_State *L, const char *name, const char *const names[]) {
  int i;
  lua_pushliteral(L, "");
  for (i = 0; names[i]; i++) {
    lua_pushfstring(L, "%s\"%s\"", i == 0 ? "" : names[i + 1] ? ", " : " or ", names[i]);
    lua_concat(L, 2);
  }
  return host_raise(L, "option \"%s\" must be %s, got %s", name, lua_tostring(L, -1),
                    lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : luaL_typename(L, -2));
}

int host_field_choice(lua_State *L, int table, const char *name, int missing, const char *const names[]) {
  int i;
  host_field(L, table, name);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    return missing;
  }
  for (i = 0; names[i]; i++) {
    if (lua_type(L, -1) == LUA_TSTRING && strcmp(lua_tostring(L, -1), names[i]) == 0) {
      lua_pop(L, 1);
      return i;
    }
  }
  return raise_choice(L, name, names);
}

uint64_t host_field_seed(lua_State *L, int table, const char *name) {
  uint64_t seed = 0;
  host_field(L, table, name);
  if (!lua_isnil(L, -1)) seed = host_checkseed(L, -1);
  lua_pop(L, 1);
  return seed;
}

/* __index of the table of methods: upvalue 1 is what the type is called. */
static int raise_missing_method(lua_State *L) {
  lua_settop(L, 2);
  host_push_function(L, "lstm.methods", "missing");
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushvalue(L, 2);
  lua_pushvalue(L, 1);
  lua_call(L, 3, 1);
  return host_raise(L, "%s", lua_tostring(L, -1));
}

/* "lstm.core.model" is called model. */
static void guard_methods(lua_State *L, const char *name) {
  const char *last = strrchr(name, '.');
  lua_newtable(L);
  lua_pushstring(L, last ? last + 1 : name);
  lua_pushcclosure(L, raise_missing_method, 1);
  lua_setfield(L, -2, "__index");
  lua_setmetatable(L, -2);
}

/* Pushes the globals that lstm's own Lua has: in a sandbox scripts have others. Returns 0, and pushes nothing, where
   they are the same. */
static int push_own_globals(lua_State *L) {
  lua_getfield(L, LUA_REGISTRYINDEX, "lstm.globals");
  if (!lua_isnil(L, -1)) return 1;
  lua_pop(L, 1);
  return 0;
}

void host_push_function(lua_State *L, const char *module, const char *name) {
  if (push_own_globals(L)) {
    lua_getfield(L, -1, "require");
    lua_remove(L, -2);
  } else {
    lua_getglobal(L, "require");
  }
  lua_pushstring(L, module);
  lua_call(L, 1, 1);
  lua_getfield(L, -1, name);
  lua_remove(L, -2);
}

void host_newtype(lua_State *L, const char *name, const luaL_Reg *methods, lua_CFunction close) {
  luaL_newmetatable(L, name);
  lua_newtable(L);
  luaL_setfuncs(L, methods, 0);
  guard_methods(L, name);
  if (close) {
    lua_pushcfunction(L, close);
    lua_pushvalue(L, -1);
    lua_setfield(L, -3, "close");
    lua_pushvalue(L, -1);
    lua_setfield(L, -4, "__gc");
    lua_setfield(L, -3, "__close");
  }
  lua_setfield(L, -2, "__index");
  lua_pushstring(L, name);
  lua_setfield(L, -2, "__metatable"); /* scripts cannot reach __gc */
}

/* --- memory ------------------------------------------------------------------------------------------------------- */

/* Lua's allocators want to know a block's size when it is freed: it stands in front of the block. */
enum { PREFIX = 16 };

static void *allocate(void *user, size_t size) {
  const host_memory *memory = (const host_memory *)user;
  char *block;
  if (size > SIZE_MAX - PREFIX) return NULL;
  block = (char *)memory->alloc(memory->user, NULL, 0, size + PREFIX);
  if (!block) return NULL;
  memcpy(block, &size, sizeof size);
  return block + PREFIX;
}

static void release(void *user, void *pointer) {
  const host_memory *memory = (const host_memory *)user;
  size_t size;
  char *block;
  if (!pointer) return;
  block = (char *)pointer - PREFIX;
  memcpy(&size, block, sizeof size);
  memory->alloc(memory->user, block, size + PREFIX, 0);
}

lstm_allocator host_allocator(lua_State *L, host_memory *memory) {
  lstm_allocator allocator = {NULL, NULL, NULL};
  host_make_room(L);
  memory->alloc = lua_getallocf(L, &memory->user);
  allocator.alloc = allocate;
  allocator.free = release;
  allocator.user = memory;
  return allocator;
}

/* Small objects are left to the collector's own pace. */
void host_collect(lua_State *L, size_t bytes) {
  size_t kilobytes = bytes / 1024;
  if (kilobytes >= 16) lua_gc(L, LUA_GCSTEP, kilobytes < 1024 * 1024 ? (int)kilobytes : 1024 * 1024);
}

void host_resize(lua_State *L, host_block *block, size_t room) {
  char *bytes;
  if (room <= block->room && block->bytes) return;
  if (!block->memory.alloc) block->memory.alloc = lua_getallocf(L, &block->memory.user);
  bytes = (char *)block->memory.alloc(block->memory.user, block->bytes, block->room, room);
  if (!bytes) {
    lua_gc(L, LUA_GCCOLLECT, 0);
    bytes = (char *)block->memory.alloc(block->memory.user, block->bytes, block->room, room);
    if (!bytes) host_raise(L, "not enough memory: %f MB are needed", (double)room / 1e6);
  }
  block->bytes = bytes;
  block->room = room;
}

void host_append(lua_State *L, host_block *block, const void *bytes, size_t size) {
  if (size > block->room - block->used || !block->bytes) {
    host_resize(L, block, block->used + size + block->room / 2 + 64);
  }
  memcpy(block->bytes + block->used, bytes, size);
  block->used += size;
}

void host_trim(host_block *block) {
  size_t size = block->used ? block->used : 4;
  char *bytes;
  if (size >= block->room) return;
  bytes = (char *)block->memory.alloc(block->memory.user, block->bytes, block->room, size);
  if (!bytes) return;
  block->bytes = bytes;
  block->room = size;
}

void host_free(host_block *block) {
  if (block->bytes) block->memory.alloc(block->memory.user, block->bytes, block->room, 0);
  block->bytes = NULL;
  block->used = block->room = 0;
}

void host_charge_steps(lua_State *L, const lstm_model *model, double steps, double lanes) {
  if (host_sandboxes) host_charge(L, steps * lanes * (double)lstm_model_parameter_count(model));
}

void host_poll(lua_State *L) {
  if (host_sandboxes) host_charge(L, 0);
  if (host_interrupted && !host_holding) host_raise(L, "interrupted");
}

/* --- the module --------------------------------------------------------------------------------------------------- */

/* isa([name]) -> the instruction set that new models run on; with a name, chooses it. */
static int core_isa(lua_State *L) {
  lstm_isa isa;
  if (!lua_isnoneornil(L, 1)) {
    const char *name = host_checkstring(L, 1, NULL, "isa: the name");
    isa = lstm_isa_from_name(name);
    if (isa == LSTM_ISA_COUNT) return host_raise(L, "isa: unknown instruction set \"%s\"", name);
    if (!lstm_isa_usable(isa)) return host_raise(L, "isa: this machine or build cannot run \"%s\"", name);
    lua_pushinteger(L, isa);
    lua_setfield(L, LUA_REGISTRYINDEX, "lstm.isa");
  }
  lua_getfield(L, LUA_REGISTRYINDEX, "lstm.isa");
  isa = (lstm_isa)lua_tointeger(L, -1);
  lua_pushstring(L, lstm_isa_name(isa == LSTM_ISA_AUTO ? lstm_isa_best() : isa));
  return 1;
}

static int core_isas(lua_State *L) {
  int isa, n = 0;
  lua_newtable(L);
  for (isa = LSTM_ISA_AUTO + 1; isa < LSTM_ISA_COUNT; isa++) {
    if (!lstm_isa_usable((lstm_isa)isa)) continue;
    lua_pushstring(L, lstm_isa_name((lstm_isa)isa));
    lua_rawseti(L, -2, ++n);
  }
  return 1;
}

/* --- embedded files ----------------------------------------------------------------------------------------------- */

/* Places of the chances, as in embed.c. */
enum { KINDS = 256 * 256, LENGTHS = KINDS + 4, PLACES = LENGTHS + 1024, CHANCES = PLACES + 1024 };

/* How far the files have been unpacked: one of these in each Lua state, with the text behind it. */
typedef struct unpacker {
  const unsigned char *from, *end;
  uint32_t range, code;
  unsigned kind; /* of the last item: 1 a match */
  int done, size;
  uint16_t chances[CHANCES];
  unsigned char text[1];
} unpacker;

static unsigned next_byte(unpacker *u) { return u->from < u->end ? *u->from++ : 0; }

static unsigned read_bit(unpacker *u, unsigned place) {
  uint16_t *chance = u->chances + place;
  uint32_t bound = (u->range >> 12) * *chance;
  unsigned bit = u->code >= bound;
  if (bit) u->code -= bound, u->range -= bound, *chance = (uint16_t)(*chance - (*chance >> 4));
  else u->range = bound, *chance = (uint16_t)(*chance + ((4096 - *chance) >> 4));
  for (; u->range < 1u << 24; u->range <<= 8) u->code = u->code << 8 | next_byte(u);
  return bit;
}

static unsigned read_number(unpacker *u, unsigned base) {
  unsigned bits = 0, number = 1, k;
  while (bits < 24 && read_bit(u, base + bits)) bits++;
  for (k = bits; k-- > 0;) number = number * 2 + read_bit(u, base + 32 + bits * 32 + k);
  return number;
}

static unsigned char read_literal(unpacker *u, unsigned before) {
  unsigned node = 1;
  while (node < 256) node = node * 2 + read_bit(u, before * 256 + node);
  return (unsigned char)node;
}

/* Unpacks until so much of the text is there. */
static void unpack(unpacker *u, int until) {
  unsigned char *text = u->text;
  while (u->done < until) {
    int i = u->done;
    u->kind = read_bit(u, KINDS + u->kind);
    if (u->kind) {
      int stop = i + 1 + (int)read_number(u, LENGTHS), place = (int)read_number(u, PLACES);
      if (place > i || stop > u->size) stop = u->size, place = 0; /* not what embed.c wrote */
      for (; i < stop; i++) text[i] = text[i - place];
    } else {
      text[i] = read_literal(u, i > 0 ? text[i - 1] : 0);
      i++;
    }
    u->done = i;
  }
}

static unpacker *new_unpacker(lua_State *L) {
  int k, size;
  unpacker *u;
  for (k = 0; host_files[k].name; k++) continue;
  size = host_files[k].to;
  u = (unpacker *)host_newuserdata(L, sizeof *u + (size_t)size, 0);
  u->from = host_packed;
  u->end = host_packed + host_packed_size;
  u->range = 0xFFFFFFFFu;
  u->code = 0;
  u->kind = 0;
  u->done = 0;
  u->size = size;
  for (k = 0; k < 4; k++) u->code = u->code << 8 | next_byte(u);
  for (k = 0; k < CHANCES; k++) u->chances[k] = 2048;
  return u;
}

/* Pushes the text of an embedded file. */
static void push_file(lua_State *L, const host_file *file) {
  unpacker *u;
  lua_getfield(L, LUA_REGISTRYINDEX, "lstm.unpacker");
  u = (unpacker *)lua_touserdata(L, -1);
  if (!u) {
    u = new_unpacker(L);
    lua_setfield(L, LUA_REGISTRYINDEX, "lstm.unpacker");
  }
  lua_pop(L, 1);
  unpack(u, file->to);
  lua_pushlstring(L, (const char *)u->text + file->from, (size_t)(file->to - file->from));
}

/* Loads the embedded file whose number is the upvalue, and runs it. */
static int load_embedded(lua_State *L) {
  const host_file *file = &host_files[lua_tointeger(L, lua_upvalueindex(1))];
  const char *text;
  size_t size;
  push_file(L, file);
  text = lua_tolstring(L, -1, &size);
  lua_pushfstring(L, "=lstm/%s.lua", file->name);
  if (luaL_loadbuffer(L, text, size, lua_tostring(L, -1)) != 0) return lua_error(L);
#if LUA_VERSION_NUM >= 502
  if (push_own_globals(L)) lua_setupvalue(L, -2, 1);
#endif
  lua_pushvalue(L, 1);
  lua_call(L, 1, 1);
  return 1;
}

/* embedded() -> the names of the embedded files; embedded(name) -> the text of one, or nil. Modules of host/lua have
   plain names, scripts are "scripts/NAME", the stubs are "lstm.d". */
static int core_embedded(lua_State *L) {
  const char *name = lua_isnoneornil(L, 1) ? NULL : host_checkstring(L, 1, NULL, "embedded: the name");
  int i;
  if (!name) lua_newtable(L);
  for (i = 0; host_files[i].name; i++) {
    if (!name) {
      lua_pushstring(L, host_files[i].name);
      lua_rawseti(L, -2, i + 1);
    } else if (strcmp(name, host_files[i].name) == 0) {
      return push_file(L, &host_files[i]), 1;
    }
  }
  return name == NULL;
}

static int is_module(const char *name) { return !strpbrk(name, "./"); }

/* --- entry points ------------------------------------------------------------------------------------------------- */

static const luaL_Reg functions[] = {
    {"raise", core_raise}, {"isa", core_isa}, {"isas", core_isas}, {"embedded", core_embedded}, {NULL, NULL}};

int luaopen_lstm_core(lua_State *L) {
  int core;
  lua_settop(L, 0);
  lua_newtable(L);
  core = lua_gettop(L);
  luaL_setfuncs(L, functions, 0);
  lua_pushliteral(L, LSTM_VERSION_STRING);
  lua_setfield(L, core, "version");
  host_open_pool(L, core);
  host_open_array(L, core);
  host_open_data(L, core);
  host_open_interrupt(L, core);
  host_open_folder(L, core);
  host_open_csv(L, core);
  host_open_text(L, core);
  host_open_choose(L, core);
  host_open_model(L, core);
  host_open_state(L, core);
  host_open_trainer(L, core);
  host_open_metrics(L, core);
  lua_settop(L, core);
  return 1;
}

/* Puts lstm.core and the embedded files into package.preload; returns the place of init.lua. */
static int preload(lua_State *L) {
  int i, init = -1;
  lua_getglobal(L, "package");
  lua_getfield(L, -1, "preload");
  lua_pushcfunction(L, luaopen_lstm_core);
  lua_setfield(L, -2, "lstm.core");
  for (i = 0; host_files[i].name; i++) {
    if (strcmp(host_files[i].name, "init") == 0) init = i;
    if (!is_module(host_files[i].name)) continue;
    lua_pushinteger(L, i);
    lua_pushcclosure(L, load_embedded, 1);
    lua_pushfstring(L, "lstm.%s", host_files[i].name);
    lua_insert(L, -2);
    lua_settable(L, -3);
  }
  lua_pop(L, 2);
  return init;
}

int luaopen_lstm(lua_State *L) {
  int init = preload(L);
  lua_settop(L, 0);
  lua_pushliteral(L, "lstm");
  lua_pushinteger(L, init);
  lua_pushcclosure(L, load_embedded, 1);
  lua_insert(L, 1);
  lua_call(L, 1, 1);
  return 1;
}
