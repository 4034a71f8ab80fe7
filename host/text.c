/* text.c: from text to ids of symbols: bytes, characters of UTF-8, or words. Files are read piece by piece. */
#include <limits.h>
#include <string.h>

#include "host.h"

#define DICTIONARY "lstm.dictionary"
#define SOURCE "lstm.source"

typedef enum unit { BYTES, UTF8, WORDS } unit;
static const char *const units[] = {"bytes", "utf8", "words", NULL};

enum { NONE = -1, SKIP = -2 }; /* ids */
enum { RUN = 1 << 20 };

/* A symbol in the hash table; those of one byte are in a table of their own. */
typedef struct slot {
  size_t at; /* of its text, in the arena */
  size_t count;
  uint32_t size, hash;
  int32_t id;
} slot;

typedef struct dictionary {
  unit kind;
  host_block arena, table; /* table: slots, a power of two of them; size 0: free */
  size_t used;
  size_t counts[256];
  int32_t ids[256];
  int32_t unknown; /* the id for what is not there; NONE: an error; SKIP: nothing */
} dictionary;

static dictionary *check(lua_State *L) {
  dictionary *d = (dictionary *)luaL_checkudata(L, 1, DICTIONARY);
  if (!d->table.bytes) host_raise(L, "the dictionary is closed");
  return d;
}

static int dictionary_close(lua_State *L) {
  dictionary *d = (dictionary *)luaL_checkudata(L, 1, DICTIONARY);
  host_free(&d->arena);
  host_free(&d->table);
  return 0;
}

/* --- the hash table ----------------------------------------------------------------------------------------------- */

static uint32_t hash_of(const char *p, size_t n) {
  uint32_t h = 2166136261u;
  size_t k;
  for (k = 0; k < n; k++) h = (h ^ (unsigned char)p[k]) * 16777619u;
  return h ^ (h >> 15);
}

static slot *slots_of(const dictionary *d) { return (slot *)(void *)d->table.bytes; }

/* The slot of a symbol, or the free one where it belongs. */
static slot *find(const dictionary *d, const char *p, size_t n, uint32_t hash) {
  size_t mask = d->table.used / sizeof(slot) - 1, k = hash & mask;
  slot *s = slots_of(d);
  while (s[k].size && (s[k].hash != hash || s[k].size != n || memcmp(d->arena.bytes + s[k].at, p, n) != 0)) {
    k = (k + 1) & mask;
  }
  return s + k;
}

static void clear_table(lua_State *L, host_block *table, size_t count) {
  host_resize(L, table, count * sizeof(slot));
  table->used = count * sizeof(slot);
  memset(table->bytes, 0, table->used);
}

/* Twice as many slots. The new table is a userdata until it is whole: memory may lack. */
static void grow(lua_State *L, dictionary *d) {
  size_t count = d->table.used / sizeof(slot), mask = count * 2 - 1, k;
  host_block *fresh = host_newblock(L), old = d->table;
  clear_table(L, fresh, count * 2);
  for (k = 0; k < count; k++) {
    const slot *from = slots_of(d) + k;
    slot *to = (slot *)(void *)fresh->bytes;
    size_t at = from->hash & mask;
    if (!from->size) continue;
    while (to[at].size) at = (at + 1) & mask;
    to[at] = *from;
  }
  d->table = *fresh;
  *fresh = old;
  host_free(fresh);
  lua_pop(L, 1);
}

/* The slot of a symbol, made where there is none. */
static slot *enter(lua_State *L, dictionary *d, const char *p, size_t n) {
  uint32_t hash = hash_of(p, n);
  slot *s = find(d, p, n, hash);
  if (s->size) return s;
  if (n > UINT32_MAX / 2) host_raise(L, "vocab: a word of more than 2 GB");
  if (d->used * 2 >= d->table.used / sizeof(slot)) {
    grow(L, d);
    s = find(d, p, n, hash);
  }
  host_append(L, &d->arena, p, n);
  s->at = d->arena.used - n;
  s->size = (uint32_t)n, s->hash = hash, s->count = 0, s->id = NONE;
  d->used++;
  return s;
}

/* --- symbols of a text -------------------------------------------------------------------------------------------- */

static int is_tail(const char *p) { return (*p & 0xC0) == 0x80; }

/* Bytes of the UTF-8 character at p (RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF); 0: there is
   none; `most`: bytes that are there; -1: more are needed to tell. */
static int utf8_size(const char *p, size_t most) {
  unsigned char a = (unsigned char)*p, b;
  int size = a < 0x80 ? 1 : a < 0xC2 ? 0 : a < 0xE0 ? 2 : a < 0xF0 ? 3 : a < 0xF5 ? 4 : 0, k;
  if (size <= 1) return size;
  if (most < 2) return -1;
  b = (unsigned char)p[1];
  if (!is_tail(p + 1) || (a == 0xE0 && b < 0xA0) || (a == 0xED && b > 0x9F) || (a == 0xF0 && b < 0x90) ||
      (a == 0xF4 && b > 0x8F)) {
    return 0;
  }
  for (k = 2; k < size; k++) {
    if ((size_t)k == most) return -1;
    if (!is_tail(p + k)) return 0;
  }
  return size;
}

static int is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

typedef enum found { SYMBOL, BROKEN, END } found;

/* The next word or "\n". It stays in the buffer until the next call. */
static found next_word(lua_State *L, host_source *in, const char **from, size_t *n) {
  const char *p;
  for (;;) {
    while (in->at < in->end && is_space(*in->at) && *in->at != '\n') in->at++;
    if (in->at < in->end) break;
    if (in->done) return END;
    host_more(L, in);
  }
  for (p = in->at;;) {
    while (p < in->end && !is_space(*p)) p++;
    if (p < in->end || in->done) break;
    *n = (size_t)(p - in->at);
    host_more(L, in);
    p = in->at + *n;
  }
  if (*in->at == '\n') p = in->at + 1;
  *from = in->at;
  *n = (size_t)(p - in->at);
  in->at = p;
  return SYMBOL;
}

static found next_character(lua_State *L, host_source *in, const char **from, size_t *n) {
  int size = -1;
  while (in->at == in->end || (size = utf8_size(in->at, (size_t)(in->end - in->at))) < 0) {
    if (in->done && in->at == in->end) return END;
    if (in->done) {
      size = 0;
      break;
    }
    host_more(L, in);
  }
  *from = in->at;
  *n = size ? (size_t)size : 1;
  in->at += *n;
  return size ? SYMBOL : BROKEN;
}

static found next_byte(lua_State *L, host_source *in, const char **from, size_t *n) {
  while (in->at == in->end) {
    if (in->done) return END;
    host_more(L, in);
  }
  *from = in->at++;
  *n = 1;
  return SYMBOL;
}

static found next_symbol(lua_State *L, unit kind, host_source *in, const char **from, size_t *n) {
  host_poll(L); /* a string may be long */
  return kind == WORDS ? next_word(L, in, from, n)
         : kind == UTF8 ? next_character(L, in, from, n)
                        : next_byte(L, in, from, n);
}

/* --- Lua ---------------------------------------------------------------------------------------------------------- */

/* dictionary(kind [, symbols, unknown]): empty, to count; or with a list of symbols, whose ids are their places from 0.
   unknown: the id for all others, -1 for an error, -2 to leave them out. */
static int dictionary_new(lua_State *L) {
  static const char *const none = "vocab: a symbol";
  dictionary *d;
  int k, count;
  lua_settop(L, 3);
  d = (dictionary *)host_newuserdata(L, sizeof *d, 0);
  memset(d, 0, sizeof *d);
  luaL_setmetatable(L, DICTIONARY);
  d->kind = (unit)luaL_checkoption(L, 1, NULL, units);
  d->unknown = lua_isnil(L, 3) ? NONE : host_checkint(L, 3, SKIP, INT_MAX, "vocab: unknown");
  for (k = 0; k < 256; k++) d->ids[k] = d->unknown;
  clear_table(L, &d->table, 1024);
  count = lua_isnil(L, 2) ? 0 : (int)lua_rawlen(L, 2);
  for (k = 0; k < count; k++) {
    size_t n;
    const char *p;
    lua_rawgeti(L, 2, k + 1);
    p = host_checkstring(L, -1, &n, none);
    if (n == 1 && d->kind != WORDS) d->ids[(unsigned char)*p] = k;
    else if (n > 0) enter(L, d, p, n)->id = k;
    lua_pop(L, 1);
  }
  return 1;
}

static int source_close(lua_State *L) {
  host_close_source((host_source *)luaL_checkudata(L, 1, SOURCE));
  return 0;
}

/* An open source of the arguments `arg` (path) and `arg` + 1 (text), in a userdata that is pushed; or NULL with nil,
   message, status pushed. */
static host_source *open_source(lua_State *L, int arg) {
  host_source *in = (host_source *)host_newuserdata(L, sizeof *in, 1);
  memset(in, 0, sizeof *in);
  luaL_setmetatable(L, SOURCE);
  return host_open_source(L, in, arg, "text") ? in : NULL;
}

/* nil, place of the symbol (from 1), the symbol, whether it is broken UTF-8 */
static int push_place(lua_State *L, const host_source *in, const char *p, size_t n, int broken) {
  lua_pushnil(L);
  lua_pushinteger(L, (lua_Integer)(in->before + (size_t)(p - in->text)) + 1);
  lua_pushlstring(L, p, n);
  lua_pushboolean(L, broken);
  return 4;
}

/* As much as is taken in one go: a string may be long, and Ctrl-C wants an answer. */
static const char *end_of_run(const host_source *in) {
  return in->end - in->at > RUN ? in->at + RUN : in->end;
}

/* Most text is single bytes. Counts those that are there, and returns how many. */
static size_t count_run(dictionary *d, host_source *in) {
  const char *from = in->at, *p = from, *end = end_of_run(in);
  if (d->kind == WORDS) return 0;
  for (; p < end && (d->kind == BYTES || (unsigned char)*p < 0x80); p++) d->counts[(unsigned char)*p]++;
  in->at = p;
  return (size_t)(p - from);
}

/* Encodes those that are there and known. */
static void encode_run(lua_State *L, const dictionary *d, host_source *in, host_block *out, int small) {
  const char *p = in->at, *end = end_of_run(in);
  size_t size = small ? 1 : sizeof(int32_t), need = (size_t)(end - p) * size;
  uint8_t *bytes;
  int32_t *ids;
  if (d->kind == WORDS || p == end) return;
  if (need > out->room - out->used) host_resize(L, out, out->used + need + out->room / 2);
  bytes = (uint8_t *)out->bytes + out->used;
  ids = (int32_t *)(void *)(out->bytes + out->used);
  for (; p < end && (d->kind == BYTES || (unsigned char)*p < 0x80); p++) {
    int32_t id = d->ids[(unsigned char)*p];
    if (id < 0) break;
    if (small) *bytes++ = (uint8_t)id;
    else *ids++ = id;
  }
  out->used += (size_t)(p - in->at) * size;
  in->at = p;
}

/* dictionary:count(path or nil, text or nil, lenient) -> how many symbols there are; or nil, message, status; or what
   push_place gives for broken UTF-8, which lenient = true leaves out. */
static int dictionary_count(lua_State *L) {
  dictionary *d = check(L);
  host_source *in;
  const char *p;
  size_t n, total = 0;
  found f;
  lua_settop(L, 4);
  in = open_source(L, 2);
  if (!in) return 3;
  for (;;) {
    total += count_run(d, in);
    if ((f = next_symbol(L, d->kind, in, &p, &n)) == END) break;
    if (f == BROKEN && !lua_toboolean(L, 4)) return push_place(L, in, p, n, 1);
    if (f == BROKEN) continue;
    if (n == 1 && d->kind != WORDS) d->counts[(unsigned char)*p]++;
    else enter(L, d, p, n)->count++;
    total++;
  }
  if (in->error) return host_source_fault(L, in, 2);
  host_close_source(in);
  lua_pushinteger(L, (lua_Integer)total);
  return 1;
}

/* dictionary:symbols(least, most) -> a list of those that were counted so often, in no order, and how many there are:
   not more than `most` are listed. */
static int dictionary_symbols(lua_State *L) {
  const dictionary *d = check(L);
  size_t least = (size_t)host_checkint(L, 2, 1, INT_MAX, "vocab: least"), count = d->table.used / sizeof(slot), k;
  int most = host_checkint(L, 3, 0, INT_MAX, "vocab"), listed = 0;
  lua_newtable(L);
  for (k = 0; k < 256; k++) {
    char c = (char)k;
    if (d->counts[k] < least) continue;
    lua_pushlstring(L, &c, 1);
    lua_rawseti(L, -2, ++listed);
  }
  for (k = 0; k < count; k++) {
    const slot *s = slots_of(d) + k;
    if (!s->size || s->count < least || ++listed > most) continue;
    lua_pushlstring(L, d->arena.bytes + s->at, s->size);
    lua_rawseti(L, -2, listed);
  }
  lua_pushinteger(L, listed);
  return 2;
}

static int32_t id_of(const dictionary *d, const char *p, size_t n) {
  const slot *s;
  if (n == 1 && d->kind != WORDS) return d->ids[(unsigned char)*p];
  s = find(d, p, n, hash_of(p, n));
  return s->size ? s->id : d->unknown;
}

/* dictionary:encode(path or nil, text or nil, small) -> array [n] of ids, uint8 where small, else int32; or nil,
   message, status; or what push_place gives for a symbol that is not there. */
static int dictionary_encode(lua_State *L) {
  const dictionary *d = check(L);
  int small;
  host_source *in;
  host_block *out;
  const char *p;
  size_t n, total, size;
  found f;
  lua_settop(L, 4);
  small = lua_toboolean(L, 4);
  size = small ? 1 : sizeof(int32_t);
  in = open_source(L, 2);
  if (!in) return 3;
  out = host_newblock(L);
  for (;;) {
    int32_t id;
    uint8_t byte;
    encode_run(L, d, in, out, small);
    if (out->used / size > INT_MAX) return host_raise(L, "text: more than %d tokens", INT_MAX);
    if ((f = next_symbol(L, d->kind, in, &p, &n)) == END) break;
    id = f == BROKEN ? d->unknown : id_of(d, p, n);
    byte = (uint8_t)id;
    if (id == NONE) return push_place(L, in, p, n, f == BROKEN);
    if (id == SKIP) continue;
    if (small) host_append(L, out, &byte, 1);
    else host_append(L, out, &id, sizeof id);
  }
  if (in->error) return host_source_fault(L, in, 2);
  total = out->used / size;
  host_close_source(in);
  if (out->bytes) host_trim(out);
  host_arrayof(L, small ? HOST_UINT8 : HOST_INT32, (int)total);
  return 1;
}

/* text_place(path, place) -> line, column (in bytes) of the byte at a place from 1; or nil, message, status. */
static int text_place(lua_State *L) {
  double place = host_checknumber(L, 2, "text_place"), at = 1, start = 1;
  lua_Integer line = 1;
  host_source *in;
  lua_settop(L, 2);
  lua_pushnil(L);
  lua_replace(L, 2);
  in = open_source(L, 1);
  if (!in) return 3;
  while (at < place) {
    if (in->at == in->end && in->done) break;
    if (in->at == in->end) {
      host_more(L, in);
    } else {
      at++;
      if (*in->at++ == '\n') line++, start = at;
    }
  }
  if (in->error) return host_source_fault(L, in, 1);
  host_close_source(in);
  lua_pushinteger(L, line);
  lua_pushinteger(L, (lua_Integer)(place - start) + 1);
  return 2;
}

static const luaL_Reg methods[] = {
    {"count", dictionary_count}, {"symbols", dictionary_symbols}, {"encode", dictionary_encode}, {NULL, NULL}};

static const luaL_Reg functions[] = {{"dictionary", dictionary_new}, {"text_place", text_place}, {NULL, NULL}};

void host_open_text(lua_State *L, int core) {
  static const luaL_Reg none[] = {{NULL, NULL}};
  host_newtype(L, DICTIONARY, methods, dictionary_close);
  host_newtype(L, SOURCE, none, source_close);
  lua_pop(L, 2);
  lua_pushvalue(L, core);
  luaL_setfuncs(L, functions, 0);
  lua_pop(L, 1);
}
