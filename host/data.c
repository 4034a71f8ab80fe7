/* data.c: files, gathering of windows and batches, random numbers, hashes, the terminal and the clock. */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "host.h"

#define FILE_BOX "lstm.file"
#define RNG "lstm.rng"

/* --- reading files ------------------------------------------------------------------------------------------------ */

static int close_file(lua_State *L) {
  FILE **box = (FILE **)luaL_checkudata(L, 1, FILE_BOX);
  if (*box) fclose(*box);
  *box = NULL;
  return 0;
}

static int file_fault(lua_State *L, const char *verb, const char *path, int error) {
  lua_pushfstring(L, "cannot %s %s: %s", verb, path, strerror(error));
  return host_fault(L, error == ENOMEM ? LSTM_ERR_MEMORY : LSTM_ERR_IO);
}

FILE **host_open_file(lua_State *L, const char *path) {
  FILE **box = (FILE **)host_newuserdata(L, sizeof *box, 0);
  struct stat info;
  *box = NULL;
  luaL_setmetatable(L, FILE_BOX);
  errno = 0;
  *box = fopen(path, "rb");
  if (*box && fstat(fileno(*box), &info) == 0 && !S_ISDIR(info.st_mode)) return box;
  if (*box) {
    errno = EISDIR;
    fclose(*box);
    *box = NULL;
    errno = EISDIR;
  }
  file_fault(L, "read", path, errno);
  return NULL;
}

/* readfile(path) -> the bytes, or nil, message, status. */
static int data_readfile(lua_State *L) {
  const char *path = host_checkstring(L, 1, NULL, "readfile: the path");
  FILE **box = host_open_file(L, path);
  luaL_Buffer b;
  size_t n;
  if (!box) return 3;
  luaL_buffinit(L, &b);
  do {
    char *room = luaL_prepbuffer(&b);
    n = fread(room, 1, LUAL_BUFFERSIZE, *box);
    luaL_addsize(&b, n);
  } while (n > 0);
  luaL_pushresult(&b);
  if (ferror(*box)) return file_fault(L, "read", path, errno);
  fclose(*box);
  *box = NULL;
  return 1;
}

static int data_exists(lua_State *L) {
  struct stat info;
  lua_pushboolean(L, stat(host_checkstring(L, 1, NULL, "exists: the path"), &info) == 0);
  return 1;
}

/* --- writing files ------------------------------------------------------------------------------------------------ */

static int sync_file(FILE *file) { return fflush(file) == 0 && (fsync(fileno(file)) == 0 || errno == EINVAL); }

/* The rename itself lasts only when the directory has reached the disk. Best effort: some systems refuse it. */
static void sync_directory(char *path) {
  char *slash = strrchr(path, '/');
  FILE *directory;
  if (slash) slash[slash == path] = 0;
  directory = fopen(slash ? path : ".", "r");
  if (!directory) return;
  (void)fsync(fileno(directory));
  fclose(directory);
}

/* What a rename must not replace: a device, a pipe, a directory (whose fopen then says so). */
static int is_special(const char *path) {
  struct stat info;
  return stat(path, &info) == 0 && !S_ISREG(info.st_mode);
}

static int write_directly(const char *path, int (*write)(void *, FILE *), void *context) {
  FILE *file = fopen(path, "wb");
  int ok;
  if (!file) return errno;
  errno = 0;
  ok = write(context, file) && fflush(file) == 0;
  if (!ok) {
    int error = errno ? errno : EIO;
    fclose(file);
    return error;
  }
  return fclose(file) == 0 ? 0 : errno;
}

/* Returns 0 or errno. */
static int write_and_rename(const char *path, char *temporary, int (*write)(void *, FILE *), void *context) {
  FILE *file = fopen(temporary, "wb");
  int error = 0;
  if (!file) return errno;
  errno = 0;
  if (!write(context, file) || !sync_file(file)) error = errno ? errno : EIO;
  if (fclose(file) != 0 && error == 0) error = errno;
  if (error == 0 && rename(temporary, path) != 0) error = errno;
  if (error != 0) remove(temporary);
  else sync_directory(temporary);
  return error;
}

int host_write_file(lua_State *L, const char *path, int (*write)(void *context, FILE *file), void *context) {
  size_t size = strlen(path) + 32;
  char *temporary = (char *)host_newuserdata(L, size, 0);
  int error;
  snprintf(temporary, size, "%s.%ld.tmp", path, (long)getpid());
  error = is_special(path) ? write_directly(path, write, context)
                           : write_and_rename(path, temporary, write, context);
  return error ? file_fault(L, "write", path, error) : 0;
}

typedef struct byte_span {
  const char *bytes;
  size_t size;
} byte_span;

static int write_text(void *context, FILE *file) {
  const byte_span *t = (const byte_span *)context;
  return fwrite(t->bytes, 1, t->size, file) == t->size;
}

/* writefile(path, string) -> true, or nil, message, status. */
static int data_writefile(lua_State *L) {
  const char *path = host_checkstring(L, 1, NULL, "writefile: the path");
  byte_span t;
  int results;
  t.bytes = host_checkstring(L, 2, &t.size, "writefile: the bytes");
  results = host_write_file(L, path, write_text, &t);
  if (results) return results;
  lua_pushboolean(L, 1);
  return 1;
}

/* --- text to ids -------------------------------------------------------------------------------------------------- */

/* encode_bytes(string, map int32 [256]) -> ids int32 [n]; or nil, place (1-based) of the first byte that the map sends
   below 0. */
static int data_encode_bytes(lua_State *L) {
  size_t k, size;
  const char *bytes = host_checkstring(L, 1, &size, "encode: the text");
  const host_array *map = host_checkarray(L, 2, HOST_INT32, 1, "map");
  int shape[1] = {256};
  host_array *ids;
  host_checkshape(L, map, 1, shape, "map");
  if (size > INT_MAX) host_raise(L, "encode: a text of more than %d bytes", INT_MAX);
  shape[0] = (int)size;
  ids = host_newarray(L, HOST_INT32, 1, shape);
  for (k = 0; k < size; k++) {
    ids->data.i[k] = map->data.i[(unsigned char)bytes[k]];
    if (ids->data.i[k] < 0) {
      lua_pushnil(L);
      lua_pushinteger(L, (lua_Integer)k + 1);
      return 2;
    }
  }
  return 1;
}

/* --- gathering ---------------------------------------------------------------------------------------------------- */

static size_t row_of(const host_array *a) { return a->shape[0] ? a->count / (size_t)a->shape[0] : 0; }

/* gather_windows(source [N][W], starts [B], look_back, ahead, target or nil, x [T][B][W], y [B][1 or W]): x are the
   rows from a start on, y the row `ahead` after the last of them (of it the target column, 1-based, or all). Starts
   are 0-based. */
static int data_gather_windows(lua_State *L) {
  const host_array *source = host_checkarray(L, 1, HOST_FLOAT32, 2, "source");
  const host_array *starts = host_checkarray(L, 2, HOST_INT32, 1, "starts");
  int look_back = host_checkint(L, 3, 1, INT_MAX / 2, "gather_windows");
  int ahead = host_checkint(L, 4, 1, INT_MAX / 2, "gather_windows");
  int rows = source->shape[0], width = source->shape[1], lanes = starts->shape[0];
  int target = lua_isnoneornil(L, 5) ? 0 : host_checkint(L, 5, 1, width, "gather_windows");
  host_array *x = host_checkarray(L, 6, HOST_FLOAT32, 3, "x"), *y = host_checkarray(L, 7, HOST_FLOAT32, 2, "y");
  size_t w = (size_t)width, out = target ? 1 : w;
  int x_shape[3], y_shape[2], b, t;
  x_shape[0] = look_back, x_shape[1] = lanes, x_shape[2] = width;
  y_shape[0] = lanes, y_shape[1] = (int)out;
  host_checkshape(L, x, 3, x_shape, "x");
  host_checkshape(L, y, 2, y_shape, "y");
  for (b = 0; b < lanes; b++) {
    int start = starts->data.i[b];
    const float *from;
    if (start < 0 || start > rows - look_back - ahead) host_raise(L, "gather_windows: start %d is out of range", start);
    from = source->data.f + (size_t)start * w;
    for (t = 0; t < look_back; t++) {
      memcpy(x->data.f + ((size_t)t * (size_t)lanes + (size_t)b) * w, from + (size_t)t * w, w * 4);
    }
    from += (size_t)(look_back + ahead - 1) * w + (target ? (size_t)(target - 1) : 0);
    memcpy(y->data.f + (size_t)b * out, from, out * 4);
  }
  return 0;
}

/* gather_streams(ids [N], starts [B], T, x [T][B], y [T][B]): x are the T ids from each start on, y those one later. */
static int data_gather_streams(lua_State *L) {
  const host_array *ids = host_checkarray(L, 1, HOST_INT32, 1, "ids");
  const host_array *starts = host_checkarray(L, 2, HOST_INT32, 1, "starts");
  int steps = host_checkint(L, 3, 1, INT_MAX / 2, "gather_streams"), lanes = starts->shape[0], b, t, shape[2];
  host_array *x = host_checkarray(L, 4, HOST_INT32, 2, "x"), *y = host_checkarray(L, 5, HOST_INT32, 2, "y");
  shape[0] = steps, shape[1] = lanes;
  host_checkshape(L, x, 2, shape, "x");
  host_checkshape(L, y, 2, shape, "y");
  for (b = 0; b < lanes; b++) {
    int start = starts->data.i[b];
    const int32_t *from;
    if (start < 0 || start > ids->shape[0] - steps - 1) {
      host_raise(L, "gather_streams: start %d is out of range", start);
    }
    from = ids->data.i + start;
    for (t = 0; t < steps; t++) {
      size_t at = (size_t)t * (size_t)lanes + (size_t)b;
      x->data.i[at] = from[t];
      y->data.i[at] = from[t + 1];
    }
  }
  return 0;
}

/* gather(source [N][T][W], indices [B], out [T][B][W]): picks sequences, time-major. Elements of either kind; [N][W]
   counts as one step. */
static int data_gather(lua_State *L) {
  const host_array *source = host_toarray(L, 1);
  const host_array *indices = host_checkarray(L, 2, HOST_INT32, 1, "indices");
  host_array *out;
  size_t lanes = (size_t)indices->shape[0], steps, width, b, t;
  if (!source) return host_raise(L, "gather: array expected, got %s", luaL_typename(L, 1));
  out = host_checkarray(L, 3, source->kind, 0, "out");
  steps = source->dims == 3 || (source->dims == 2 && lua_toboolean(L, 4)) ? (size_t)source->shape[1] : 1;
  width = steps ? row_of(source) / steps : 0;
  if (out->count != steps * lanes * width) host_raise(L, "gather: the sizes of source and out do not fit");
  for (b = 0; b < lanes; b++) {
    int32_t row = indices->data.i[b];
    if (row < 0 || row >= source->shape[0]) host_raise(L, "gather: index %d is out of range", (int)row);
    for (t = 0; t < steps; t++) {
      memcpy(out->data.f + (t * lanes + b) * width, source->data.f + ((size_t)row * steps + t) * width, width * 4);
    }
  }
  return 0;
}

/* gather_ragged(source [M] or [M][W], first [N], lengths [N], indices [B], out [T][B] or [T][B][W], lens [B]) -> the
   longest: lane b of out gets the steps of sequence indices[b], which are lengths[] rows of source from row first[] on,
   then zeros; lens gets how many. */
static int data_gather_ragged(lua_State *L) {
  const host_array *source = host_toarray(L, 1);
  const host_array *first = host_checkarray(L, 2, HOST_INT32, 1, "first");
  const host_array *lengths = host_checkarray(L, 3, HOST_INT32, 1, "lengths");
  const host_array *indices = host_checkarray(L, 4, HOST_INT32, 1, "indices");
  host_array *out, *lens;
  int longest = 0, lanes = indices->shape[0], b;
  size_t width, t;
  if (!source) return host_raise(L, "gather_ragged: array expected, got %s", luaL_typename(L, 1));
  out = host_checkarray(L, 5, source->kind, source->dims + 1, "out");
  lens = host_checkarray(L, 6, HOST_INT32, 1, "lens");
  width = source->dims == 2 ? (size_t)source->shape[1] : 1;
  if (out->shape[1] != lanes || lens->shape[0] != lanes || (out->shape[0] && row_of(out) != (size_t)lanes * width)) {
    return host_raise(L, "gather_ragged: the sizes do not fit");
  }
  memset(out->data.bytes, 0, out->count * 4);
  for (b = 0; b < lanes; b++) {
    int32_t row = indices->data.i[b], from, n;
    if (row < 0 || row >= first->shape[0] || row >= lengths->shape[0]) {
      return host_raise(L, "gather_ragged: index %d is out of range", (int)row);
    }
    from = first->data.i[row], n = lengths->data.i[row];
    if (from < 0 || n < 0 || n > out->shape[0] || from > source->shape[0] - n) {
      return host_raise(L, "gather_ragged: sequence %d is out of range", (int)row);
    }
    for (t = 0; t < (size_t)n; t++) {
      memcpy(out->data.f + (t * (size_t)lanes + (size_t)b) * width, source->data.f + ((size_t)from + t) * width,
             width * 4);
    }
    lens->data.i[b] = n;
    if (n > longest) longest = n;
  }
  lua_pushinteger(L, longest);
  return 1;
}

/* lane(batch [T][B][W], b, length) -> a copy of the first steps of lane b (1-based) [length][W] */
static int data_lane(lua_State *L) {
  const host_array *batch = host_checkarray(L, 1, HOST_FLOAT32, 3, "batch");
  int b = host_checkint(L, 2, 1, batch->shape[1], "lane") - 1, t, shape[2];
  size_t width = (size_t)batch->shape[2];
  host_array *out;
  shape[0] = host_checkint(L, 3, 0, batch->shape[0], "lane");
  shape[1] = batch->shape[2];
  out = host_newarray(L, HOST_FLOAT32, 2, shape);
  for (t = 0; t < shape[0]; t++) {
    const float *from = batch->data.f + ((size_t)t * (size_t)batch->shape[1] + (size_t)b) * width;
    memcpy(out->data.f + (size_t)t * width, from, width * 4);
  }
  return 1;
}

/* scatter(part [T][B][W], first, whole [N][T][W]): the reverse for consecutive rows, from `first` (0-based) on. */
static int data_scatter(lua_State *L) {
  const host_array *part = host_checkarray(L, 1, HOST_FLOAT32, 3, "part");
  host_array *whole = host_checkarray(L, 3, HOST_FLOAT32, 3, "whole");
  int first = host_checkint(L, 2, 0, whole->shape[0], "scatter");
  size_t steps = (size_t)part->shape[0], lanes = (size_t)part->shape[1], width = (size_t)part->shape[2], b, t;
  if (whole->shape[1] != part->shape[0] || whole->shape[2] != part->shape[2] ||
      part->shape[1] > whole->shape[0] - first) {
    host_raise(L, "scatter: the sizes of part and whole do not fit");
  }
  for (b = 0; b < lanes; b++) {
    for (t = 0; t < steps; t++) {
      const float *from = part->data.f + (t * lanes + b) * width;
      memcpy(whole->data.f + (((size_t)first + b) * steps + t) * width, from, width * 4);
    }
  }
  return 0;
}

/* range(first, count [, step]) -> int32 array first, first + step, ... */
static int data_range(lua_State *L) {
  int first = host_checkint(L, 1, INT_MIN / 2, INT_MAX / 2, "range"), step = 1, k, shape[1];
  host_array *out;
  shape[0] = host_checkint(L, 2, 0, INT_MAX, "range");
  if (!lua_isnoneornil(L, 3)) step = host_checkint(L, 3, INT_MIN / 2, INT_MAX / 2, "range");
  if ((double)first + (double)step * (double)shape[0] > (double)INT_MAX) host_raise(L, "range: too large");
  out = host_newarray(L, HOST_INT32, 1, shape);
  for (k = 0; k < shape[0]; k++) out->data.i[k] = first + k * step;
  return 1;
}

/* hash(string or array) -> 16 hexadecimal digits (FNV-1a, 64 bits): tells other data from the same data. */
static int data_hash(lua_State *L) {
  const host_array *a = host_toarray(L, 1);
  size_t k, size = 0;
  const unsigned char *bytes;
  uint64_t hash = 14695981039346656037u;
  char text[20];
  if (a) {
    bytes = (const unsigned char *)a->data.bytes;
    size = a->count * 4;
  } else {
    bytes = (const unsigned char *)host_checkstring(L, 1, &size, "hash: the bytes");
  }
  for (k = 0; k < size; k++) hash = (hash ^ bytes[k]) * 1099511628211u;
  snprintf(text, sizeof text, "%08lx%08lx", (unsigned long)(hash >> 32), (unsigned long)(hash & 0xffffffffu));
  lua_pushstring(L, text);
  return 1;
}

/* --- random numbers ----------------------------------------------------------------------------------------------- */

lstm_rng *host_checkrng(lua_State *L, int arg) { return (lstm_rng *)luaL_checkudata(L, arg, RNG); }

/* rng(seed [, counter]) */
static int rng_new(lua_State *L) {
  uint64_t seed = host_checkseed(L, 1), counter = lua_isnoneornil(L, 2) ? 0 : host_checkseed(L, 2);
  lstm_rng *rng = (lstm_rng *)host_newuserdata(L, sizeof *rng, 0);
  rng->seed = seed;
  rng->counter = counter;
  luaL_setmetatable(L, RNG);
  return 1;
}

static int rng_index(lua_State *L) {
  lstm_rng *rng = host_checkrng(L, 1);
  lua_pushinteger(L, lstm_random_index(rng, host_checkint(L, 2, 1, INT_MAX, "index")) + 1);
  return 1;
}

static int rng_uniform(lua_State *L) {
  lua_pushnumber(L, (lua_Number)lstm_random(host_checkrng(L, 1)));
  return 1;
}

static int rng_shuffle(lua_State *L) {
  lstm_rng *rng = host_checkrng(L, 1);
  host_array *a = host_checkarray(L, 2, HOST_INT32, 1, "shuffle");
  int k;
  for (k = a->shape[0] - 1; k > 0; k--) {
    int other = lstm_random_index(rng, k + 1);
    int32_t keep = a->data.i[k];
    a->data.i[k] = a->data.i[other];
    a->data.i[other] = keep;
  }
  lua_settop(L, 2);
  return 1;
}

static int rng_state(lua_State *L) {
  const lstm_rng *rng = host_checkrng(L, 1);
  lua_pushinteger(L, (lua_Integer)rng->seed);
  lua_pushinteger(L, (lua_Integer)rng->counter);
  return 2;
}

/* sample(probabilities, temperature, rng) -> place, 1-based. */
static int data_sample(lua_State *L) {
  const host_array *p = host_checkarray(L, 1, HOST_FLOAT32, 1, "probabilities");
  double temperature = host_checknumber(L, 2, "sample: the temperature");
  int place;
  if (!(temperature >= 0)) host_raise(L, "sample: the temperature must not be negative");
  place = lstm_sample(p->data.f, p->shape[0], (float)temperature, host_checkrng(L, 3));
  if (place < 0) host_raise(L, "sample: no probability is positive and finite");
  lua_pushinteger(L, place + 1);
  return 1;
}

/* --- terminal and clock ------------------------------------------------------------------------------------------- */

static int data_isatty(lua_State *L) {
  lua_pushboolean(L, isatty(host_checkint(L, 1, 0, INT_MAX, "isatty")));
  return 1;
}

/* columns() -> width of the terminal behind stderr, or nil. */
static int data_columns(lua_State *L) {
  struct winsize size;
  if (ioctl(2, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 0;
  lua_pushinteger(L, size.ws_col);
  return 1;
}

static int data_now(lua_State *L) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  lua_pushnumber(L, (lua_Number)now.tv_sec + (lua_Number)now.tv_nsec * 1e-9);
  return 1;
}

static int data_eprint(lua_State *L) {
  size_t size;
  const char *bytes = host_checkstring(L, 1, &size, "eprint: the bytes");
  fwrite(bytes, 1, size, stderr);
  fflush(stderr);
  return 0;
}

/* interrupted() -> whether Ctrl-C was pressed since the last call of hold(true). */
static int data_interrupted(lua_State *L) {
  lua_pushboolean(L, host_interrupted != 0);
  return 1;
}

/* hold(true): the caller polls interrupted(); until hold(false) Ctrl-C raises nothing by itself. Returns what held
   before. */
static int data_hold(lua_State *L) {
  int before = host_holding != 0;
  host_holding = lua_toboolean(L, 1);
  lua_pushboolean(L, before);
  return 1;
}

static const luaL_Reg rng_methods[] = {
    {"index", rng_index}, {"uniform", rng_uniform}, {"shuffle", rng_shuffle}, {"state", rng_state}, {NULL, NULL}};

static const luaL_Reg functions[] = {{"readfile", data_readfile},
                                     {"writefile", data_writefile},
                                     {"exists", data_exists},
                                     {"encode_bytes", data_encode_bytes},
                                     {"gather_windows", data_gather_windows},
                                     {"gather_streams", data_gather_streams},
                                     {"gather", data_gather},
                                     {"gather_ragged", data_gather_ragged},
                                     {"lane", data_lane},
                                     {"scatter", data_scatter},
                                     {"range", data_range},
                                     {"hash", data_hash},
                                     {"rng", rng_new},
                                     {"sample", data_sample},
                                     {"isatty", data_isatty},
                                     {"columns", data_columns},
                                     {"now", data_now},
                                     {"eprint", data_eprint},
                                     {"interrupted", data_interrupted},
                                     {"hold", data_hold},
                                     {NULL, NULL}};

void host_open_data(lua_State *L, int core) {
  static const luaL_Reg none[] = {{NULL, NULL}};
  host_newtype(L, FILE_BOX, none, close_file);
  lua_pop(L, 1);
  host_newtype(L, RNG, rng_methods, NULL);
  lua_pop(L, 1);
  lua_pushvalue(L, core);
  luaL_setfuncs(L, functions, 0);
  lua_pop(L, 1);
}
