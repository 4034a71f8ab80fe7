/* array.c: lstm.array, numbers in one block inside a userdata. */
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host.h"

#define ARRAY "lstm.array"
#define BLOCK "lstm.block"

static const char *const kind_names[] = {"float32", "int32", "uint8", NULL};
static const size_t kind_sizes[] = {4, 4, 1};

/* --- making ------------------------------------------------------------------------------------------------------- */

static size_t count_of(lua_State *L, int dims, const int *shape) {
  size_t count = 1;
  int d;
  for (d = 0; d < dims; d++) {
    if (shape[d] != 0 && count > (size_t)PTRDIFF_MAX / 8 / (size_t)shape[d]) {
      host_raise(L, "array: too many elements");
    }
    count *= (size_t)shape[d];
  }
  return count;
}

static host_array *push_header(lua_State *L, host_kind kind, int dims, const int *shape, size_t count, size_t bytes) {
  host_array *a = (host_array *)host_newuserdata(L, sizeof(host_array) + bytes, bytes ? 0 : 1);
  a->kind = kind;
  a->dims = dims;
  memset(a->shape, 0, sizeof a->shape);
  memcpy(a->shape, shape, (size_t)dims * sizeof *shape);
  a->count = count;
  a->data.bytes = NULL;
  luaL_setmetatable(L, ARRAY);
  return a;
}

/* Large arrays live outside of Lua's heap, in a block of their own, which is the header's user value. */
enum { LARGE = 65536 };

static int free_block(lua_State *L) {
  host_free((host_block *)luaL_checkudata(L, 1, BLOCK));
  return 0;
}

host_block *host_newblock(lua_State *L) {
  host_block *block = (host_block *)host_newuserdata(L, sizeof *block, 0);
  memset(block, 0, sizeof *block);
  luaL_setmetatable(L, BLOCK);
  return block;
}

static host_block *push_block(lua_State *L, size_t bytes) {
  host_block *block = host_newblock(L);
  host_collect(L, bytes);
  host_resize(L, block, bytes);
  return block;
}

host_array *host_arrayof(lua_State *L, host_kind kind, int n) {
  host_block *block = (host_block *)luaL_checkudata(L, -1, BLOCK);
  host_array *a;
  host_resize(L, block, 4);
  a = push_header(L, kind, 1, &n, (size_t)n, 0);
  a->data.bytes = block->bytes;
  lua_insert(L, -2);
  host_setvalue(L, -2, 1);
  host_collect(L, block->room);
  return a;
}

host_array *host_newarray(lua_State *L, host_kind kind, int dims, const int *shape) {
  size_t count = count_of(L, dims, shape);
  size_t bytes = count ? count * kind_sizes[kind] : 4;
  host_array *a;
  if (bytes < LARGE) {
    a = push_header(L, kind, dims, shape, count, bytes);
    a->data.bytes = a + 1;
  } else {
    a = push_header(L, kind, dims, shape, count, 0);
    a->data.bytes = push_block(L, bytes)->bytes;
    host_setvalue(L, -2, 1);
  }
  memset(a->data.bytes, 0, bytes);
  return a;
}

/* What holds the elements: the array itself, or, of a view or a large one, its user value. */
static void push_owner(lua_State *L, int arg) {
  const host_array *a = host_toarray(L, arg);
  if (a->data.bytes == (const void *)(a + 1)) lua_pushvalue(L, arg);
  else host_getvalue(L, arg, 1);
}

/* A view of another array's elements, from element `first` on. It keeps the block's owner alive. */
host_array *host_pushview(lua_State *L, int arg, int dims, const int *shape, size_t first) {
  const host_array *from = host_toarray(L, arg);
  host_array *a;
  arg = lua_absindex(L, arg);
  a = push_header(L, from->kind, dims, shape, count_of(L, dims, shape), 0);
  a->data.b = from->data.b + first * kind_sizes[a->kind];
  push_owner(L, arg);
  host_setvalue(L, -2, 1);
  return a;
}

size_t host_bytes(const host_array *a) { return a->count * kind_sizes[a->kind]; }

size_t host_itemsize(const host_array *a) { return kind_sizes[a->kind]; }

host_array *host_toarray(lua_State *L, int arg) { return (host_array *)luaL_testudata(L, arg, ARRAY); }

static host_array *check(lua_State *L, int arg) { return (host_array *)host_checkobject(L, arg, ARRAY); }

void host_pushshape(lua_State *L, int dims, const int *shape) {
  int d;
  lua_pushliteral(L, "");
  for (d = 0; d < dims; d++) {
    if (shape[d] < 0) lua_pushfstring(L, "[any]");
    else lua_pushfstring(L, "[%d]", shape[d]);
    lua_concat(L, 2);
  }
}

host_array *host_checkarray(lua_State *L, int arg, host_kind kind, int dims, const char *name) {
  host_array *a = host_toarray(L, arg);
  if (!a) {
    host_raise(L, "%s: %s array expected, got %s", name, kind_names[kind], luaL_typename(L, arg));
    return NULL;
  }
  if (a->kind != kind) host_raise(L, "%s: %s array expected, got %s", name, kind_names[kind], kind_names[a->kind]);
  if (dims > 0 && a->dims != dims) {
    host_pushshape(L, a->dims, a->shape);
    host_raise(L, "%s: an array with %d dimension%s expected, got %s", name, dims, dims == 1 ? "" : "s",
               lua_tostring(L, -1));
  }
  return a;
}

void host_checkshape(lua_State *L, const host_array *a, int dims, const int *shape, const char *name) {
  int d, same = a->dims == dims;
  for (d = 0; same && d < dims; d++) same = shape[d] < 0 || a->shape[d] == shape[d];
  if (same) return;
  host_pushshape(L, dims, shape);
  host_pushshape(L, a->dims, a->shape);
  host_raise(L, "%s: shape %s expected, got %s", name, lua_tostring(L, -2), lua_tostring(L, -1));
}

static host_kind opt_kind(lua_State *L, int arg) {
  const char *name = lua_isnoneornil(L, arg) ? "float32" : host_checkstring(L, arg, NULL, "array: the kind");
  int kind;
  for (kind = 0; kind_names[kind]; kind++) {
    if (strcmp(name, kind_names[kind]) == 0) return (host_kind)kind;
  }
  host_raise(L, "array: the kind is \"float32\", \"int32\" or \"uint8\", got \"%s\"", name);
  return HOST_FLOAT32;
}

/* --- from Lua values ---------------------------------------------------------------------------------------------- */

static void store(lua_State *L, host_array *a, size_t at, int value) {
  lua_Number n;
  if (lua_type(L, value) != LUA_TNUMBER) {
    host_raise(L, "array: number expected, got %s", luaL_typename(L, value));
  }
  n = lua_tonumber(L, value);
  if (a->kind == HOST_FLOAT32) {
    a->data.f[at] = (float)n;
  } else if (a->kind == HOST_INT32) {
    if (!(n >= INT32_MIN && n <= INT32_MAX) || n != floor(n)) {
      host_raise(L, "array: %f does not fit an int32", n);
    }
    a->data.i[at] = (int32_t)n;
  } else {
    if (!(n >= 0 && n <= 255) || n != floor(n)) host_raise(L, "array: %f does not fit a uint8", n);
    a->data.b[at] = (uint8_t)n;
  }
}

/* The shape of nested tables, by their first elements. */
static int shape_of(lua_State *L, int table, int *shape) {
  int dims = 0;
  lua_pushvalue(L, table);
  do {
    size_t n = lua_rawlen(L, -1);
    if (dims == HOST_MAX_DIMS) host_raise(L, "array: more than %d dimensions", HOST_MAX_DIMS);
    if (n > INT_MAX) host_raise(L, "array: too many elements");
    shape[dims++] = (int)n;
    lua_rawgeti(L, -1, 1);
    lua_remove(L, -2);
  } while (lua_istable(L, -1));
  lua_pop(L, 1);
  return dims;
}

/* Copies the table on the top into a, from element *at on. */
static void fill(lua_State *L, host_array *a, int depth, size_t *at) {
  int i, n = a->shape[depth], last = depth == a->dims - 1;
  if (!lua_istable(L, -1)) host_raise(L, "array: a table of %d expected, got %s", n, luaL_typename(L, -1));
  if ((size_t)n != lua_rawlen(L, -1)) {
    host_raise(L, "array: rows differ in length: %d and %d", n, (int)lua_rawlen(L, -1));
  }
  luaL_checkstack(L, 4, "array");
  for (i = 1; i <= n; i++) {
    lua_rawgeti(L, -1, i);
    if (last) store(L, a, (*at)++, -1);
    else fill(L, a, depth + 1, at);
    lua_pop(L, 1);
  }
}

static int array_new(lua_State *L) {
  host_kind kind = opt_kind(L, 2);
  int shape[HOST_MAX_DIMS] = {1, 0, 0, 0}, dims = 1;
  size_t at = 0;
  host_array *a;
  if (lua_type(L, 1) == LUA_TNUMBER) {
    a = host_newarray(L, kind, 1, shape);
    store(L, a, 0, 1);
    return 1;
  }
  host_checktable(L, 1, "array: the values");
  dims = shape_of(L, 1, shape);
  a = host_newarray(L, kind, dims, shape);
  lua_pushvalue(L, 1);
  fill(L, a, 0, &at);
  lua_pop(L, 1);
  return 1;
}

/* A shape given as {3, 4}. */
static int check_shape(lua_State *L, int arg, int *shape) {
  int d, dims;
  host_checktable(L, arg, "array: a shape");
  dims = (int)lua_rawlen(L, arg);
  if (dims < 1 || dims > HOST_MAX_DIMS) {
    host_raise(L, "array: a shape of 1 to %d sizes expected, got %d", HOST_MAX_DIMS, dims);
  }
  for (d = 0; d < dims; d++) {
    lua_rawgeti(L, arg, d + 1);
    shape[d] = host_checkint(L, -1, 0, INT_MAX, "array: a size");
    lua_pop(L, 1);
  }
  return dims;
}

static int array_zeros(lua_State *L) {
  int shape[HOST_MAX_DIMS];
  int dims = 1;
  if (lua_type(L, 1) == LUA_TNUMBER) shape[0] = host_checkint(L, 1, 0, INT_MAX, "zeros");
  else dims = check_shape(L, 1, shape);
  host_newarray(L, opt_kind(L, 2), dims, shape);
  return 1;
}

static int array_frombytes(lua_State *L) {
  size_t size;
  const char *bytes = host_checkstring(L, 1, &size, "frombytes: the bytes");
  host_kind kind = opt_kind(L, 2);
  size_t item = kind_sizes[kind];
  int shape[HOST_MAX_DIMS] = {0, 0, 0, 0}, dims = 1;
  host_array *a;
  if (size % item != 0 || size / item > INT_MAX) host_raise(L, "frombytes: %d bytes are not whole elements", (int)size);
  shape[0] = (int)(size / item);
  if (!lua_isnoneornil(L, 3)) dims = check_shape(L, 3, shape);
  a = host_newarray(L, kind, dims, shape);
  if (a->count != size / item) {
    host_raise(L, "frombytes: the shape needs %d bytes, got %d", (int)host_bytes(a), (int)size);
  }
  memcpy(a->data.bytes, bytes, size);
  return 1;
}

/* --- elements and views ------------------------------------------------------------------------------------------- */

static void push_element(lua_State *L, const host_array *a, size_t at) {
  if (a->kind == HOST_FLOAT32) lua_pushnumber(L, (lua_Number)a->data.f[at]);
  else lua_pushinteger(L, a->kind == HOST_INT32 ? a->data.i[at] : a->data.b[at]);
}

static double element(const host_array *a, size_t at) {
  return a->kind == HOST_FLOAT32 ? (double)a->data.f[at]
         : a->kind == HOST_INT32 ? (double)a->data.i[at]
                                 : (double)a->data.b[at];
}

static size_t row_size(const host_array *a) { return a->shape[0] ? a->count / (size_t)a->shape[0] : 0; }

static int check_index(lua_State *L, const host_array *a, int arg) {
  lua_Number n = lua_tonumber(L, arg);
  if (!(n >= 1 && n <= a->shape[0]) || n != floor(n)) {
    lua_pushvalue(L, arg);
    host_raise(L, "array: index %s is out of range, there are 1 to %d", lua_tostring(L, -1), a->shape[0]);
  }
  return (int)n - 1;
}

static int array_index(lua_State *L) {
  const host_array *a = check(L, 1);
  int i;
  if (lua_type(L, 2) != LUA_TNUMBER) {
    lua_pushvalue(L, 2);
    lua_gettable(L, lua_upvalueindex(1)); /* raises where there is no such method */
    return 1;
  }
  i = check_index(L, a, 2);
  if (a->dims == 1) push_element(L, a, (size_t)i);
  else host_pushview(L, 1, a->dims - 1, a->shape + 1, (size_t)i * row_size(a));
  return 1;
}

/* a[i] = number, or a row: a number for all of it, an array, or a table. */
static int array_newindex(lua_State *L) {
  host_array *a = check(L, 1);
  const host_array *from = host_toarray(L, 3);
  size_t n = row_size(a), at, k;
  if (lua_type(L, 2) != LUA_TNUMBER) host_raise(L, "array: index must be a number, got %s", luaL_typename(L, 2));
  at = (size_t)check_index(L, a, 2) * n;
  if (from) {
    host_checkshape(L, from, a->dims - 1, a->shape + 1, "row");
    for (k = 0; k < n; k++) {
      push_element(L, from, k);
      store(L, a, at + k, -1);
      lua_pop(L, 1);
    }
  } else if (lua_istable(L, 3) && a->dims > 1) {
    lua_pushvalue(L, 3);
    fill(L, a, 1, &at);
  } else {
    for (k = 0; k < n; k++) store(L, a, at + k, 3);
  }
  return 0;
}

static int array_len(lua_State *L) {
  lua_pushinteger(L, check(L, 1)->shape[0]);
  return 1;
}

static int array_shape(lua_State *L) {
  const host_array *a = check(L, 1);
  int d;
  for (d = 0; d < a->dims; d++) lua_pushinteger(L, a->shape[d]);
  return a->dims;
}

static int array_kind(lua_State *L) {
  lua_pushstring(L, kind_names[check(L, 1)->kind]);
  return 1;
}

/* slice(from [, to]): both ends belong to it; negative counts from the end; slice(n + 1, n) is empty. */
static int array_slice(lua_State *L) {
  const host_array *a = check(L, 1);
  int n = a->shape[0], shape[HOST_MAX_DIMS];
  int64_t from = host_checkint(L, 2, -INT_MAX, INT_MAX, "slice");
  int64_t to = lua_isnoneornil(L, 3) ? n : host_checkint(L, 3, -INT_MAX, INT_MAX, "slice");
  if (from < 0) from += (int64_t)n + 1;
  if (to < 0) to += (int64_t)n + 1;
  if (from < 1 || to > n || from > to + 1) {
    host_raise(L, "slice: from %d to %d is out of range, there are 1 to %d", (int)from, (int)to, n);
  }
  memcpy(shape, a->shape, sizeof shape);
  shape[0] = (int)(to - from) + 1;
  host_pushview(L, 1, a->dims, shape, (size_t)(from - 1) * row_size(a));
  return 1;
}

static int array_column(lua_State *L) {
  const host_array *a = check(L, 1);
  int i, j, width = a->shape[1];
  size_t item = kind_sizes[a->kind];
  host_array *out;
  if (a->dims != 2) host_raise(L, "column: the array must have 2 dimensions, it has %d", a->dims);
  j = host_checkint(L, 2, 1, width, "column") - 1;
  out = host_newarray(L, a->kind, 1, a->shape);
  for (i = 0; i < a->shape[0]; i++) {
    memcpy(out->data.b + (size_t)i * item, a->data.b + ((size_t)i * (size_t)width + (size_t)j) * item, item);
  }
  return 1;
}

static int array_reshape(lua_State *L) {
  const host_array *a = check(L, 1);
  int shape[HOST_MAX_DIMS], dims = check_shape(L, 2, shape);
  if (count_of(L, dims, shape) != a->count) {
    host_pushshape(L, dims, shape);
    host_pushshape(L, a->dims, a->shape);
    host_raise(L, "reshape: %s has another number of elements than %s", lua_tostring(L, -2), lua_tostring(L, -1));
  }
  host_pushview(L, 1, dims, shape, 0);
  return 1;
}

static int array_copy(lua_State *L) {
  const host_array *a = check(L, 1);
  host_array *out = host_newarray(L, a->kind, a->dims, a->shape);
  memcpy(out->data.bytes, a->data.bytes, host_bytes(a));
  return 1;
}

static int array_bytes(lua_State *L) {
  const host_array *a = check(L, 1);
  lua_pushlstring(L, (const char *)a->data.bytes, host_bytes(a));
  return 1;
}

static void push_table(lua_State *L, const host_array *a, int depth, size_t *at) {
  int i, n = a->shape[depth];
  luaL_checkstack(L, 4, "array");
  lua_createtable(L, n, 0);
  for (i = 1; i <= n; i++) {
    if (depth == a->dims - 1) push_element(L, a, (*at)++);
    else push_table(L, a, depth + 1, at);
    lua_rawseti(L, -2, i);
  }
}

static int array_totable(lua_State *L) {
  size_t at = 0;
  push_table(L, check(L, 1), 0, &at);
  return 1;
}

static int array_fill(lua_State *L) {
  host_array *a = check(L, 1);
  size_t k;
  for (k = 0; k < a->count; k++) store(L, a, k, 2);
  lua_settop(L, 1);
  return 1;
}

/* --- arithmetic --------------------------------------------------------------------------------------------------- */

/* One side of an operation: a number, or an array whose elements repeat after `period`. */
typedef struct operand {
  const host_array *array;
  double number;
  size_t period;
} operand;

static operand read_operand(lua_State *L, int arg) {
  operand o = {NULL, 0, 1};
  o.array = host_toarray(L, arg);
  if (o.array) {
    o.period = o.array->count;
  } else if (lua_type(L, arg) == LUA_TNUMBER) {
    o.number = lua_tonumber(L, arg);
  } else {
    host_raise(L, "array: arithmetic with a %s", luaL_typename(L, arg));
  }
  return o;
}

static double operand_value(const operand *o, size_t k) {
  return o->array ? element(o->array, k % o->period) : o->number;
}

static int same_shape(const host_array *a, const host_array *b) {
  return a->dims == b->dims && memcmp(a->shape, b->shape, (size_t)a->dims * sizeof *a->shape) == 0;
}

static int is_row_of(const host_array *row, const host_array *a) {
  return row->dims == 1 && row->shape[0] == a->shape[a->dims - 1];
}

static const host_array *result_shape(lua_State *L, const host_array *a, const host_array *b) {
  if (!a && !b) host_raise(L, "array: one side must be an array");
  if (!a) return b;
  if (!b || same_shape(a, b) || is_row_of(b, a)) return a;
  if (is_row_of(a, b)) return b;
  host_pushshape(L, a->dims, a->shape);
  host_pushshape(L, b->dims, b->shape);
  host_raise(L, "array: shapes %s and %s do not fit", lua_tostring(L, -2), lua_tostring(L, -1));
  return NULL;
}

static double apply(char op, double x, double y) {
  switch (op) {
  case '+': return x + y;
  case '-': return x - y;
  case '*': return x * y;
  case '/': return x / y;
  case '^': return pow(x, y);
  case '<': return x < y;
  case '>': return x > y;
  default: return x == y;
  }
}

static int arithmetic(lua_State *L, char op) {
  operand a = read_operand(L, 1), b = read_operand(L, 2);
  const host_array *like = result_shape(L, a.array, b.array);
  host_array *out = host_newarray(L, HOST_FLOAT32, like->dims, like->shape);
  size_t k;
  for (k = 0; k < out->count; k++) {
    double x = operand_value(&a, k), y = operand_value(&b, k);
    out->data.f[k] = (float)apply(op, x, y);
  }
  return 1;
}

static int array_add(lua_State *L) { return arithmetic(L, '+'); }
static int array_sub(lua_State *L) { return arithmetic(L, '-'); }
static int array_mul(lua_State *L) { return arithmetic(L, '*'); }
static int array_div(lua_State *L) { return arithmetic(L, '/'); }

static int array_unm(lua_State *L) {
  lua_pushnumber(L, -1);
  lua_replace(L, 2);
  return arithmetic(L, '*');
}

static int array_pow(lua_State *L) { return arithmetic(L, '^'); }

/* less(b), greater(b), equal(b): 1 where it is so, else 0. */
static int array_less(lua_State *L) { return arithmetic(L, '<'); }
static int array_greater(lua_State *L) { return arithmetic(L, '>'); }
static int array_equal(lua_State *L) { return arithmetic(L, '='); }

/* where(a, b): a where this is not 0, else b. */
static int array_where(lua_State *L) {
  operand mask = read_operand(L, (check(L, 1), 1)), a = read_operand(L, 2), b = read_operand(L, 3);
  const host_array *like = result_shape(L, result_shape(L, mask.array, a.array), b.array);
  host_array *out = host_newarray(L, HOST_FLOAT32, like->dims, like->shape);
  size_t k;
  for (k = 0; k < out->count; k++) {
    out->data.f[k] = (float)operand_value(operand_value(&mask, k) != 0 ? &a : &b, k);
  }
  return 1;
}

static int each(lua_State *L, double (*f)(double)) {
  const host_array *a = check(L, 1);
  host_array *out = host_newarray(L, HOST_FLOAT32, a->dims, a->shape);
  size_t k;
  for (k = 0; k < a->count; k++) out->data.f[k] = (float)f(element(a, k));
  return 1;
}

static int array_sin(lua_State *L) { return each(L, sin); }
static int array_cos(lua_State *L) { return each(L, cos); }
static int array_exp(lua_State *L) { return each(L, exp); }
static int array_log(lua_State *L) { return each(L, log); }
static int array_sqrt(lua_State *L) { return each(L, sqrt); }
static int array_abs(lua_State *L) { return each(L, fabs); }
static int array_floor(lua_State *L) { return each(L, floor); }

/* --- along the first axis ----------------------------------------------------------------------------------------- */

/* shift(n): row i is the old row i - n; rows that come from outside repeat the first (n > 0) or the last. */
static int array_shift(lua_State *L) {
  const host_array *a = check(L, 1);
  int n = host_checkint(L, 2, -INT_MAX, INT_MAX, "shift"), rows = a->shape[0], i;
  host_array *out = host_newarray(L, a->kind, a->dims, a->shape);
  size_t row = row_size(a) * kind_sizes[a->kind];
  for (i = 0; i < rows; i++) {
    double from = (double)i - n;
    size_t at = from < 0 ? 0 : from > rows - 1 ? (size_t)rows - 1 : (size_t)from;
    memcpy(out->data.b + (size_t)i * row, a->data.b + at * row, row);
  }
  return 1;
}

/* cumsum(): row i is the sum of rows 1..i. */
static int array_cumsum(lua_State *L) {
  const host_array *a = check(L, 1);
  host_array *out = host_newarray(L, HOST_FLOAT32, a->dims, a->shape);
  size_t row = row_size(a), j, k;
  for (j = 0; j < row; j++) {
    double sum = 0;
    for (k = j; k < a->count; k += row) out->data.f[k] = (float)(sum += element(a, k));
  }
  return 1;
}

/* rolling(n): row i is the mean of the last n rows, of fewer at the beginning. */
static int array_rolling(lua_State *L) {
  const host_array *a = check(L, 1);
  int n = host_checkint(L, 2, 1, INT_MAX, "rolling"), i, rows = a->shape[0];
  host_array *out = host_newarray(L, HOST_FLOAT32, a->dims, a->shape);
  size_t row = row_size(a), j;
  for (j = 0; j < row; j++) {
    double sum = 0;
    for (i = 0; i < rows; i++) {
      sum += element(a, (size_t)i * row + j);
      if (i >= n) sum -= element(a, (size_t)(i - n) * row + j);
      out->data.f[(size_t)i * row + j] = (float)(sum / (i < n ? i + 1 : n));
    }
  }
  return 1;
}

static int compare_floats(const void *a, const void *b) {
  float x = *(const float *)a, y = *(const float *)b;
  return x != x || y != y ? (x != x) - (y != y) : (x > y) - (x < y);
}

static int compare_ints(const void *a, const void *b) {
  int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
  return (x > y) - (x < y);
}

static int compare_bytes(const void *a, const void *b) { return *(const uint8_t *)a - *(const uint8_t *)b; }

/* sort() -> a sorted copy of an array [n]; NaN comes last. */
static int array_sort(lua_State *L) {
  const host_array *a = check(L, 1);
  if (a->dims != 1) host_raise(L, "sort: the array must have 1 dimension, it has %d", a->dims);
  array_copy(L);
  a = check(L, -1);
  qsort(a->data.bytes, a->count, kind_sizes[a->kind],
        a->kind == HOST_FLOAT32 ? compare_floats : a->kind == HOST_INT32 ? compare_ints : compare_bytes);
  return 1;
}

/* --- rows and columns of tables ----------------------------------------------------------------------------------- */

static int core_is_array(lua_State *L) {
  lua_pushboolean(L, host_toarray(L, 1) != NULL);
  return 1;
}

/* whole(a) -> the same numbers as int32; nil where one is not whole or too large. */
static int core_whole(lua_State *L) {
  const host_array *a = check(L, 1);
  host_array *out;
  size_t k;
  lua_settop(L, 1);
  if (a->kind == HOST_INT32) return 1;
  out = host_newarray(L, HOST_INT32, a->dims, a->shape);
  for (k = 0; k < a->count; k++) {
    double x = element(a, k);
    if (!(x >= INT32_MIN && x <= INT32_MAX) || x != floor(x)) return 0;
    out->data.i[k] = (int32_t)x;
  }
  return 1;
}

/* join(a, b) -> the rows of both: a view where b lies behind a in one block, else a copy. */
static int core_join(lua_State *L) {
  const host_array *a = check(L, 1), *b = host_checkarray(L, 2, a->kind, a->dims, "join");
  int shape[HOST_MAX_DIMS];
  host_array *out;
  memcpy(shape, a->shape, sizeof shape);
  shape[0] = -1;
  host_checkshape(L, b, a->dims, shape, "join");
  if (b->shape[0] > INT_MAX - a->shape[0]) host_raise(L, "array: too many elements");
  shape[0] = a->shape[0] + b->shape[0];
  push_owner(L, 1);
  push_owner(L, 2);
  if (lua_rawequal(L, -1, -2) && b->data.b == a->data.b + host_bytes(a)) {
    host_pushview(L, 2, a->dims, shape, 0);
    host_toarray(L, -1)->data.b = a->data.b;
    return 1;
  }
  out = host_newarray(L, a->kind, a->dims, shape);
  memcpy(out->data.b, a->data.b, host_bytes(a));
  memcpy(out->data.b + host_bytes(a), b->data.b, host_bytes(b));
  return 1;
}

/* pick(a, numbers int32 [n], from 1) -> the rows with these numbers. */
static int core_pick(lua_State *L) {
  const host_array *a = check(L, 1), *numbers = host_checkarray(L, 2, HOST_INT32, 1, "pick");
  int shape[HOST_MAX_DIMS], k;
  size_t row = row_size(a) * kind_sizes[a->kind];
  host_array *out;
  memcpy(shape, a->shape, sizeof shape);
  shape[0] = numbers->shape[0];
  out = host_newarray(L, a->kind, a->dims, shape);
  for (k = 0; k < numbers->shape[0]; k++) {
    int32_t i = numbers->data.i[k];
    if (i < 1 || i > a->shape[0]) host_raise(L, "pick: %d is out of range, there are 1 to %d", (int)i, a->shape[0]);
    memcpy(out->data.b + (size_t)k * row, a->data.b + (size_t)(i - 1) * row, row);
  }
  return 1;
}

/* put(out, row (from 1), a): the rows of a in place of those of out, from this one on; [n] counts as [n][1]. */
static int core_put(lua_State *L) {
  host_array *out = check(L, 1);
  const host_array *a = host_checkarray(L, 3, out->kind, 0, "put");
  int first = host_checkint(L, 2, 1, INT_MAX, "put") - 1;
  size_t row = row_size(out);
  if ((a->shape[0] && row_size(a) != row) || a->shape[0] > out->shape[0] - first) {
    return host_raise(L, "put: the sizes do not fit");
  }
  memmove(out->data.b + (size_t)first * row * kind_sizes[out->kind], a->data.b, host_bytes(a)); /* may be a view */
  return 0;
}

/* pick_columns(a [N][W], numbers int32 [n], from 1) -> [N][n] */
static int core_columns(lua_State *L) {
  const host_array *a = host_checkarray(L, 1, HOST_FLOAT32, 2, "pick_columns");
  const host_array *numbers = host_checkarray(L, 2, HOST_INT32, 1, "pick_columns");
  int shape[2], j;
  size_t i, from = (size_t)a->shape[1], to = (size_t)numbers->shape[0];
  host_array *out;
  shape[0] = a->shape[0], shape[1] = numbers->shape[0];
  out = host_newarray(L, HOST_FLOAT32, 2, shape);
  for (j = 0; j < shape[1]; j++) {
    int32_t column = numbers->data.i[j];
    if (column < 1 || column > a->shape[1]) host_raise(L, "pick_columns: %d is out of range", (int)column);
    for (i = 0; i < (size_t)shape[0]; i++) out->data.f[i * to + (size_t)j] = a->data.f[i * from + (size_t)column - 1];
  }
  return 1;
}

/* with_column(a [N][W], j, column [N] or [N][1]) -> a copy with column j (1..W + 1) set to these numbers. */
static int core_with_column(lua_State *L) {
  const host_array *a = host_checkarray(L, 1, HOST_FLOAT32, 2, "with_column"), *column = check(L, 3);
  int j = host_checkint(L, 2, 1, a->shape[1] + 1, "with_column") - 1, shape[2];
  size_t i, from = (size_t)a->shape[1], to;
  host_array *out;
  if (column->count != (size_t)a->shape[0]) return host_raise(L, "with_column: %d numbers expected", a->shape[0]);
  shape[0] = a->shape[0], shape[1] = j < a->shape[1] ? a->shape[1] : j + 1;
  to = (size_t)shape[1];
  out = host_newarray(L, HOST_FLOAT32, 2, shape);
  for (i = 0; i < (size_t)shape[0]; i++) {
    memcpy(out->data.f + i * to, a->data.f + i * from, from * 4);
    out->data.f[i * to + (size_t)j] = (float)element(column, i);
  }
  return 1;
}

/* --- equality ----------------------------------------------------------------------------------------------------- */

static int array_eq(lua_State *L) {
  const host_array *a = host_toarray(L, 1), *b = host_toarray(L, 2);
  size_t k;
  int same = a && b && a->kind == b->kind && same_shape(a, b);
  for (k = 0; same && k < a->count; k++) same = element(a, k) == element(b, k);
  lua_pushboolean(L, same);
  return 1;
}

/* --- reductions --------------------------------------------------------------------------------------------------- */

typedef enum reduction { SUM, MEAN, MIN, MAX } reduction;

/* NaN wins over every number, so that it is not lost. */
static double reduce(const host_array *a, reduction what, size_t first, size_t stride, size_t n) {
  double sum = 0, best = element(a, first);
  size_t k;
  for (k = 0; k < n; k++) {
    double x = element(a, first + k * stride);
    sum += x;
    if (x != x || (best == best && (what == MIN ? x < best : x > best))) best = x;
  }
  return what == SUM ? sum : what == MEAN ? sum / (double)n : best;
}

static void push_result(lua_State *L, const host_array *a, reduction what, double value) {
  if (a->kind != HOST_FLOAT32 && what != MEAN) lua_pushinteger(L, (lua_Integer)value);
  else lua_pushnumber(L, value);
}

static int reduction_of(lua_State *L, reduction what) {
  const host_array *a = check(L, 1);
  int j, axis = lua_isnoneornil(L, 2) ? 0 : host_checkint(L, 2, 1, 2, "array: the axis");
  size_t width;
  host_array *out;
  if (axis != 0 && a->dims != 2) host_raise(L, "array: an axis needs 2 dimensions, this array has %d", a->dims);
  if (a->count == 0) {
    if (what != SUM || axis != 0) host_raise(L, "array: it is empty");
    lua_pushnumber(L, 0);
    return 1;
  }
  if (axis == 0) {
    push_result(L, a, what, reduce(a, what, 0, 1, a->count));
    return 1;
  }
  width = (size_t)a->shape[1];
  out = host_newarray(L, HOST_FLOAT32, 1, axis == 1 ? &a->shape[1] : &a->shape[0]);
  for (j = 0; j < out->shape[0]; j++) {
    double value = axis == 1 ? reduce(a, what, (size_t)j, width, (size_t)a->shape[0])
                             : reduce(a, what, (size_t)j * width, 1, width);
    out->data.f[j] = (float)value;
  }
  return 1;
}

static int array_sum(lua_State *L) { return reduction_of(L, SUM); }
static int array_mean(lua_State *L) { return reduction_of(L, MEAN); }
static int array_min(lua_State *L) { return reduction_of(L, MIN); }
static int array_max(lua_State *L) { return reduction_of(L, MAX); }

/* argmax() -> place (1-based) and value of the largest element of the whole array. */
static int array_argmax(lua_State *L) {
  const host_array *a = check(L, 1);
  size_t k, best = 0;
  if (a->count == 0) host_raise(L, "argmax: the array is empty");
  for (k = 1; k < a->count; k++) {
    if (element(a, k) > element(a, best)) best = k;
  }
  lua_pushinteger(L, (lua_Integer)best + 1);
  push_element(L, a, best);
  return 2;
}

/* finite() -> true, or false and the place of the first NaN or infinity. */
static int array_finite(lua_State *L) {
  const host_array *a = check(L, 1);
  size_t k;
  for (k = 0; a->kind == HOST_FLOAT32 && k < a->count; k++) {
    if (!isfinite(a->data.f[k])) {
      lua_pushboolean(L, 0);
      lua_pushinteger(L, (lua_Integer)k + 1);
      return 2;
    }
  }
  lua_pushboolean(L, 1);
  return 1;
}

/* --- as text ------------------------------------------------------------------------------------------------------ */

static void add_row(lua_State *L, luaL_Buffer *b, const host_array *a, size_t first, size_t n) {
  char text[32];
  size_t k;
  (void)L;
  for (k = 0; k < n && k < 8; k++) {
    double x = element(a, first + k);
    snprintf(text, sizeof text, " %.6g", x);
    luaL_addstring(b, x == x ? text : " nan"); /* not "-nan" */
  }
  if (n > 8) luaL_addstring(b, " ...");
}

static int array_tostring(lua_State *L) {
  const host_array *a = check(L, 1);
  size_t row, width = (size_t)a->shape[a->dims - 1], rows = width ? a->count / width : 0;
  luaL_Buffer b;
  lua_settop(L, 1);
  host_pushshape(L, a->dims, a->shape);
  luaL_buffinit(L, &b);
  luaL_addstring(&b, kind_names[a->kind]);
  luaL_addchar(&b, ' ');
  luaL_addstring(&b, lua_tostring(L, 2));
  for (row = 0; row < rows && row < 8; row++) {
    if (a->dims > 1) luaL_addchar(&b, '\n');
    add_row(L, &b, a, row * width, width);
  }
  if (rows > 8) luaL_addstring(&b, "\n ...");
  luaL_pushresult(&b);
  return 1;
}

static const luaL_Reg methods[] = {
    {"shape", array_shape},     {"kind", array_kind},       {"slice", array_slice},     {"column", array_column},
    {"reshape", array_reshape}, {"copy", array_copy},       {"bytes", array_bytes},     {"totable", array_totable},
    {"fill", array_fill},       {"sum", array_sum},         {"mean", array_mean},       {"min", array_min},
    {"max", array_max},         {"argmax", array_argmax},   {"finite", array_finite},   {"sin", array_sin},
    {"cos", array_cos},         {"exp", array_exp},         {"log", array_log},         {"sqrt", array_sqrt},
    {"abs", array_abs},         {"floor", array_floor},     {"less", array_less},       {"greater", array_greater},
    {"equal", array_equal},     {"where", array_where},     {"shift", array_shift},     {"cumsum", array_cumsum},
    {"rolling", array_rolling}, {"sort", array_sort},       {NULL, NULL}};

static const luaL_Reg metamethods[] = {
    {"__newindex", array_newindex}, {"__len", array_len}, {"__add", array_add}, {"__sub", array_sub},
    {"__mul", array_mul},           {"__div", array_div}, {"__unm", array_unm}, {"__pow", array_pow},
    {"__eq", array_eq},             {"__tostring", array_tostring}, {NULL, NULL}};

static const luaL_Reg functions[] = {
    {"array", array_new},       {"zeros", array_zeros},   {"frombytes", array_frombytes}, {"is_array", core_is_array},
    {"join", core_join}, {"whole", core_whole},        {"pick", core_pick},      {"pick_columns", core_columns},
    {"with_column", core_with_column}, {"put", core_put}, {NULL, NULL}};

void host_open_array(lua_State *L, int core) {
  static const luaL_Reg none[] = {{NULL, NULL}};
  host_newtype(L, BLOCK, none, free_block);
  lua_pop(L, 1);
  host_newtype(L, ARRAY, methods, NULL);
  luaL_setfuncs(L, metamethods, 0);
  lua_getfield(L, -1, "__index");
  lua_pushcclosure(L, array_index, 1);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
  lua_pushvalue(L, core);
  luaL_setfuncs(L, functions, 0);
  lua_pop(L, 1);
}
