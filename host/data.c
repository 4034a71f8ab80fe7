/* data.c: files, gathering of windows and batches, random numbers, hashes, the terminal and the clock. */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif

#include <errno.h>
#include <limits.h>
#include <math.h>
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
  if (!host_may(L, path, 0)) return host_refuse(L, path, 0), NULL;
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
    host_poll(L);
    n = fread(room, 1, LUAL_BUFFERSIZE, *box);
    luaL_addsize(&b, n);
  } while (n > 0);
  luaL_pushresult(&b);
  if (ferror(*box)) return file_fault(L, "read", path, errno);
  fclose(*box);
  *box = NULL;
  return 1;
}

/* --- files in pieces ---------------------------------------------------------------------------------------------- */

enum { PIECE = 1 << 18 };

void host_more(lua_State *L, host_source *s) {
  size_t kept = (size_t)(s->end - s->at), n;
  host_poll(L);
  if (s->at) {
    s->before += (size_t)(s->at - s->text);
    memmove(s->buffer.bytes, s->at, kept);
  }
  if (kept == s->buffer.room) {
    s->text = s->at = s->end = NULL; /* resize may raise */
    host_resize(L, &s->buffer, kept ? kept * 2 : PIECE);
  }
  errno = 0;
  n = fread(s->buffer.bytes + kept, 1, s->buffer.room - kept, s->file);
  if (n == 0) s->done = 1;
  if (n == 0 && ferror(s->file)) s->error = errno ? errno : EIO;
  s->text = s->at = s->buffer.bytes;
  s->end = s->text + kept + n;
  host_poll(L);
}

int host_source_fault(lua_State *L, const host_source *s, int path) {
  return file_fault(L, "read", lua_tostring(L, path), s->error);
}

void host_rewind(lua_State *L, host_source *s) {
  (void)L;
  s->before = 0;
  if (s->file) {
    rewind(s->file);
    s->text = s->at = s->end = NULL;
    s->done = s->error = 0;
  } else {
    s->at = s->text;
  }
}

void host_close_source(host_source *s) {
  if (s->file) fclose(s->file);
  s->file = NULL;
  host_free(&s->buffer);
  s->text = s->at = s->end = NULL;
  s->done = 1;
}

int host_open_source(lua_State *L, host_source *s, int arg, const char *what) {
  size_t size;
  FILE **box;
  if (lua_isnil(L, arg)) {
    s->text = s->at = host_checkstring(L, arg + 1, &size, what);
    s->end = s->text + size;
    s->done = 1;
    lua_pushvalue(L, arg + 1);
    host_setvalue(L, -2, 1);
    return 1;
  }
  box = host_open_file(L, host_checkstring(L, arg, NULL, what));
  if (!box) return 0;
  s->file = *box;
  *box = NULL;
  lua_pop(L, 1);
  if (fseek(s->file, 0, SEEK_SET) != 0) { /* a pipe cannot be read twice: it is kept */
    while (!s->done) host_more(L, s);
    fclose(s->file);
    s->file = NULL;
    if (s->error) return host_source_fault(L, s, arg), 0;
  }
  return 1;
}

/* --- numbers in files --------------------------------------------------------------------------------------------- */

/* The size of an open file; raises nothing, -1 for a pipe. */
static double size_of(FILE *file) {
  struct stat info;
  return fstat(fileno(file), &info) == 0 && S_ISREG(info.st_mode) ? (double)info.st_size : -1;
}

/* file_size(path) -> bytes; or nil, message, status. */
static int data_file_size(lua_State *L) {
  const char *path = host_checkstring(L, 1, NULL, "file_size: the path");
  FILE **box = host_open_file(L, path);
  if (!box) return 3;
  if (size_of(*box) < 0) {
    lua_pushfstring(L, "cannot read %s: it is no regular file", path);
    return host_fault(L, LSTM_ERR_IO);
  }
  lua_pushinteger(L, (lua_Integer)size_of(*box));
  fclose(*box);
  *box = NULL;
  return 1;
}

/* An open file at an offset, with at least `size` bytes behind it; NULL with nil, message, status pushed. */
static FILE **open_at(lua_State *L, double offset, double size) {
  const char *path = host_checkstring(L, 1, NULL, "read: the path");
  FILE **box = host_open_file(L, path);
  if (!box) return NULL;
  if (offset >= 0 && size >= 0 && offset + size <= size_of(*box)) {
    if (fseeko(*box, (off_t)offset, SEEK_SET) == 0) return box;
  }
  lua_pushliteral(L, "the file ends too early");
  host_fault(L, LSTM_ERR_FORMAT);
  return NULL;
}

/* read_bytes(path, offset, size) -> string; or nil, message, status. */
static int data_read_bytes(lua_State *L) {
  double offset = host_checknumber(L, 2, "read: the offset"), size = host_checknumber(L, 3, "read: the size");
  FILE **box = open_at(L, offset, size);
  char *bytes;
  size_t n;
  if (!box) return 3;
  bytes = (char *)host_newuserdata(L, (size_t)size + 1, 0);
  n = fread(bytes, 1, (size_t)size, *box);
  fclose(*box);
  *box = NULL;
  lua_pushlstring(L, bytes, n);
  return 1;
}

/* p8 ... p32: samples of sound, PCM, which become -1 ... 1 (8 bits: around 128). */
static const char *const item_names[] = {"f2", "bf16", "f4", "f8", "p8", "p16", "p24", "p32", "i4", "i8", "u1", NULL};
static const size_t item_sizes[] = {2, 2, 4, 8, 1, 2, 3, 4, 4, 8, 1};
typedef enum item { F2, BF16, F4, F8, P8, P16, P24, P32, I4, I8, U1 } item;

static double half(unsigned bits) {
  unsigned exponent = bits >> 10 & 31, mantissa = bits & 1023;
  double x = exponent == 0 ? ldexp(mantissa, -24) : ldexp(mantissa + 1024, (int)exponent - 25);
  if (exponent == 31) x = mantissa ? (double)NAN : (double)INFINITY;
  return bits >> 15 ? -x : x;
}

/* One little-endian number into element k. Returns 0 where it does not fit. */
static int convert(host_array *out, size_t k, item from, const unsigned char *p) {
  uint64_t bits = 0;
  uint32_t low;
  int32_t sample;
  int64_t whole;
  size_t i;
  double wide;
  for (i = item_sizes[from]; i-- > 0;) bits = bits << 8 | p[i];
  low = (uint32_t)(from == BF16 ? bits << 16 : bits);
  if (from >= P8 && from <= P32) {
    low = low << (32 - 8 * item_sizes[from]) ^ (from == P8 ? 0x80000000u : 0);
    memcpy(&sample, &low, 4);
    out->data.f[k] = (float)sample / 2147483648.0f;
    return 1;
  }
  switch (from) {
  case F2: out->data.f[k] = (float)half((unsigned)bits); return 1;
  case BF16:
  case F4: memcpy(out->data.f + k, &low, 4); return 1;
  case F8: memcpy(&wide, &bits, 8), out->data.f[k] = (float)wide; return 1;
  case I4: memcpy(out->data.i + k, &low, 4); return 1;
  case I8: memcpy(&whole, &bits, 8), out->data.i[k] = (int32_t)whole; return whole == (int32_t)whole;
  default: out->data.b[k] = (uint8_t)bits; return 1;
  }
}

/* read_array(path, offset, item, shape) -> array; or nil, message, status. The file's size is looked at before anything
   is allocated. */
static int data_read_array(lua_State *L) {
  unsigned char piece[4096];
  double offset = host_checknumber(L, 2, "read: the offset"), count = 1;
  item from = (item)luaL_checkoption(L, 3, NULL, item_names);
  int shape[HOST_MAX_DIMS], dims, d;
  size_t size = item_sizes[from], k = 0, n, i;
  FILE **box;
  host_array *out;
  host_checktable(L, 4, "read: the shape");
  dims = (int)lua_rawlen(L, 4);
  if (dims < 1 || dims > HOST_MAX_DIMS) return host_raise(L, "read: a shape of 1 to 4 sizes expected, got %d", dims);
  for (d = 0; d < dims; d++) {
    lua_rawgeti(L, 4, d + 1);
    count *= shape[d] = host_checkint(L, -1, 0, INT_MAX, "read: a size");
    lua_pop(L, 1);
  }
  box = open_at(L, offset, count * (double)size);
  if (!box) return 3;
  out = host_newarray(L, from <= P32 ? HOST_FLOAT32 : from <= I8 ? HOST_INT32 : HOST_UINT8, dims, shape);
  while (k < out->count) {
    n = sizeof piece / size < out->count - k ? sizeof piece / size : out->count - k;
    if (fread(piece, size, n, *box) != n) return file_fault(L, "read", lua_tostring(L, 1), errno ? errno : EIO);
    for (i = 0; i < n; i++) {
      if (convert(out, k + i, from, piece + i * size)) continue;
      lua_pushfstring(L, "number %d does not fit an int32", (int)(k + i) + 1);
      return host_fault(L, LSTM_ERR_FORMAT);
    }
    k += n;
    if (k % (1 << 20) < n) host_poll(L);
  }
  fclose(*box);
  *box = NULL;
  return 1;
}

static int data_exists(lua_State *L) {
  const char *path = host_checkstring(L, 1, NULL, "exists: the path");
  struct stat info;
  lua_pushboolean(L, host_may(L, path, 0) && stat(path, &info) == 0);
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
  if (!host_may(L, path, 1)) return host_refuse(L, path, 1);
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

typedef struct headed_array {
  const char *header;
  size_t size;
  const host_array *array;
  size_t sample; /* bytes of PCM for each number; 0: as they are */
} headed_array;

/* A number as a sample of `size` bytes: the nearest one, halves up; what is beyond -1 ... 1 is cut off, NaN is 0. */
static void put_sample(unsigned char *to, float x, size_t size) {
  double scale = (double)((uint32_t)1 << (8 * size - 1)), wide = floor((double)x * scale + 0.5);
  uint32_t bits;
  size_t i;
  wide = wide < -scale ? -scale : wide > scale - 1 ? scale - 1 : wide == wide ? wide : 0;
  bits = (uint32_t)(int32_t)wide + (size == 1 ? 128 : 0);
  for (i = 0; i < size; i++) to[i] = (unsigned char)(bits >> 8 * i & 255);
}

/* An odd number of bytes gets one more. */
static int write_samples(const headed_array *h, FILE *file) {
  unsigned char piece[4096];
  size_t k, n;
  for (k = 0; k < h->array->count; k += n) {
    size_t i, left = h->array->count - k;
    n = left < sizeof piece / h->sample ? left : sizeof piece / h->sample;
    for (i = 0; i < n; i++) put_sample(piece + i * h->sample, h->array->data.f[k + i], h->sample);
    if (fwrite(piece, h->sample, n, file) != n) return 0;
  }
  return !(h->array->count * h->sample & 1) || fputc(0, file) == 0;
}

static int write_headed(void *context, FILE *file) {
  const headed_array *h = (const headed_array *)context;
  if (fwrite(h->header, 1, h->size, file) != h->size) return 0;
  if (h->sample) return write_samples(h, file);
  return fwrite(h->array->data.bytes, 1, host_bytes(h->array), file) == host_bytes(h->array);
}

/* write_array(path, header, array [, bytes of a sample of sound: 1 to 3]) -> true; or nil, message, status. */
static int data_write_array(lua_State *L) {
  const char *path = host_checkstring(L, 1, NULL, "write: the path");
  headed_array h;
  int results;
  h.header = host_checkstring(L, 2, &h.size, "write: the header");
  h.array = host_toarray(L, 3);
  if (!h.array) return host_raise(L, "write: array expected, got %s", luaL_typename(L, 3));
  h.sample = lua_isnoneornil(L, 4) ? 0 : (size_t)host_checkint(L, 4, 1, 3, "write: the bytes of a sample");
  if (h.sample) (void)host_checkarray(L, 3, HOST_FLOAT32, 0, "write");
  results = host_write_file(L, path, write_headed, &h);
  if (results) return results;
  lua_pushboolean(L, 1);
  return 1;
}

/* --- gathering ---------------------------------------------------------------------------------------------------- */

static size_t row_of(const host_array *a) { return a->shape[0] ? a->count / (size_t)a->shape[0] : 0; }

/* What gather_windows copies: rows of x and y for each window. picked: columns of y (1-based), or NULL for all. */
typedef struct window_shape {
  int look_back, ahead, steps, stride;
  const host_array *source, *starts, *picked;
} window_shape;

static void copy_window(const window_shape *w, size_t row, size_t lane, size_t lanes, host_array *x, host_array *y) {
  size_t width = (size_t)w->source->shape[1], n = w->picked ? w->picked->count : width, t, j;
  const float *from = w->source->data.f + row * width;
  for (t = 0; x && t < (size_t)w->look_back; t++) {
    memcpy(x->data.f + (t * lanes + lane) * width, from + t * width, width * 4);
  }
  from += (size_t)(w->look_back + w->ahead - 1) * width;
  for (t = 0; y && t < (size_t)w->steps; t++) {
    float *to = y->data.f + (lane * (size_t)w->steps + t) * n;
    const float *at = w->ahead > 0 ? from + t * width : from; /* ahead 0: the last row of input, for every step */
    for (j = 0; j < n; j++) to[j] = at[w->picked ? (size_t)w->picked->data.i[j] - 1 : j];
  }
}

static void read_window_shape(lua_State *L, window_shape *w) {
  host_checktable(L, 1, "gather_windows");
  w->look_back = host_field_int(L, 1, "look_back", 1, 1, INT_MAX / 8);
  w->ahead = host_field_int(L, 1, "ahead", 1, 0, INT_MAX / 8);
  w->steps = host_field_int(L, 1, "steps", 1, 1, INT_MAX / 8);
  w->stride = host_field_int(L, 1, "stride", 1, 1, INT_MAX / 8);
  w->source = host_checkarray(L, 2, HOST_FLOAT32, 2, "source");
  w->starts = lua_isnoneornil(L, 4) ? NULL : host_checkarray(L, 4, HOST_INT32, 1, "starts");
  w->picked = lua_isnoneornil(L, 5) ? NULL : host_checkarray(L, 5, HOST_INT32, 1, "picked");
}

/* gather_windows({look_back, ahead, steps, stride}, source [N][W], numbers int32 [B] from 0, starts int32 or nil,
   picked int32 [K] or nil, x [T][B][W] or nil, y [B][steps * K or W] or nil): window i begins at row starts[i] or
   i * stride, both from 0. x are its first rows, y the rows from `ahead` after the last of them on. */
static int data_gather_windows(lua_State *L) {
  window_shape w;
  const host_array *numbers = host_checkarray(L, 3, HOST_INT32, 1, "numbers");
  host_array *x = NULL, *y = NULL;
  int b, k, lanes = numbers->shape[0], shape[3];
  read_window_shape(L, &w);
  for (k = 0; w.picked && k < w.picked->shape[0]; k++) {
    if (w.picked->data.i[k] < 1 || w.picked->data.i[k] > w.source->shape[1]) {
      return host_raise(L, "gather_windows: column %d is out of range", (int)w.picked->data.i[k]);
    }
  }
  shape[0] = w.look_back, shape[1] = lanes, shape[2] = w.source->shape[1];
  if (!lua_isnoneornil(L, 6)) host_checkshape(L, x = host_checkarray(L, 6, HOST_FLOAT32, 3, "x"), 3, shape, "x");
  shape[0] = lanes, shape[1] = (w.picked ? w.picked->shape[0] : w.source->shape[1]) * w.steps;
  if (!lua_isnoneornil(L, 7)) host_checkshape(L, y = host_checkarray(L, 7, HOST_FLOAT32, 2, "y"), 2, shape, "y");
  for (b = 0; b < lanes; b++) {
    int64_t i = numbers->data.i[b], row = i * w.stride;
    if (w.starts && (i < 0 || i >= w.starts->shape[0])) return host_raise(L, "gather_windows: no window %d", (int)i);
    if (w.starts) row = w.starts->data.i[i];
    if (row < 0 || row + w.look_back + w.ahead + (w.ahead > 0 ? w.steps : 1) - 1 > w.source->shape[0]) {
      return host_raise(L, "gather_windows: start %d is out of range", (int)row);
    }
    copy_window(&w, (size_t)row, (size_t)b, (size_t)lanes, x, y);
  }
  return 0;
}

/* gather_streams(ids [N], starts [B], T, x [T][B], y [T][B]): x are the T ids from each start on, y those one later.
   The ids are int32 or uint8, x and y int32. */
static int data_gather_streams(lua_State *L) {
  const host_array *ids = host_toarray(L, 1);
  const host_array *starts = host_checkarray(L, 2, HOST_INT32, 1, "starts");
  int steps = host_checkint(L, 3, 1, INT_MAX / 2, "gather_streams"), lanes = starts->shape[0], b, t, shape[2];
  host_array *x = host_checkarray(L, 4, HOST_INT32, 2, "x"), *y = host_checkarray(L, 5, HOST_INT32, 2, "y");
  if (!ids || ids->kind != HOST_UINT8) ids = host_checkarray(L, 1, HOST_INT32, 1, "ids");
  shape[0] = steps, shape[1] = lanes;
  host_checkshape(L, x, 2, shape, "x");
  host_checkshape(L, y, 2, shape, "y");
  for (b = 0; b < lanes; b++) {
    int start = starts->data.i[b];
    if (start < 0 || start > ids->shape[0] - steps - 1) {
      host_raise(L, "gather_streams: start %d is out of range", start);
    }
    for (t = 0; t <= steps; t++) {
      size_t at = (size_t)t * (size_t)lanes + (size_t)b;
      int32_t id = ids->kind == HOST_UINT8 ? ids->data.b[start + t] : ids->data.i[start + t];
      if (t < steps) x->data.i[at] = id;
      if (t > 0) y->data.i[at - (size_t)lanes] = id;
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
  width *= host_itemsize(source);
  for (b = 0; b < lanes; b++) {
    int32_t row = indices->data.i[b];
    if (row < 0 || row >= source->shape[0]) host_raise(L, "gather: index %d is out of range", (int)row);
    for (t = 0; t < steps; t++) {
      memcpy(out->data.b + (t * lanes + b) * width, source->data.b + ((size_t)row * steps + t) * width, width);
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
  memset(out->data.bytes, 0, host_bytes(out));
  width *= host_itemsize(source);
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
      memcpy(out->data.b + (t * (size_t)lanes + (size_t)b) * width, source->data.b + ((size_t)from + t) * width, width);
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
  if (fabs((double)first + (double)step * (double)shape[0]) > (double)INT_MAX) host_raise(L, "range: too large");
  out = host_newarray(L, HOST_INT32, 1, shape);
  for (k = 0; k < shape[0]; k++) out->data.i[k] = (int32_t)(first + (int64_t)k * step);
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
    size = host_bytes(a);
  } else {
    bytes = (const unsigned char *)host_checkstring(L, 1, &size, "hash: the bytes");
  }
  for (k = 0; k < size; k++) hash = (hash ^ bytes[k]) * 1099511628211u;
  snprintf(text, sizeof text, "%08lx%08lx", (unsigned long)(hash >> 32), (unsigned long)(hash & 0xffffffffu));
  lua_pushstring(L, text);
  return 1;
}

/* --- random numbers ----------------------------------------------------------------------------------------------- */

lstm_rng *host_checkrng(lua_State *L, int arg) { return (lstm_rng *)host_checkobject(L, arg, RNG); }

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

double host_now(void *unused) {
  struct timespec now;
  (void)unused;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static int data_now(lua_State *L) {
  lua_pushnumber(L, host_now(NULL));
  return 1;
}

static int data_eprint(lua_State *L) {
  size_t size;
  const char *bytes = host_checkstring(L, 1, &size, "eprint: the bytes");
  fwrite(bytes, 1, size, stderr);
  fflush(stderr);
  return 0;
}

static const luaL_Reg rng_methods[] = {
    {"index", rng_index}, {"uniform", rng_uniform}, {"shuffle", rng_shuffle}, {"state", rng_state}, {NULL, NULL}};

static const luaL_Reg functions[] = {{"readfile", data_readfile},
                                     {"writefile", data_writefile},
                                     {"exists", data_exists},
                                     {"file_size", data_file_size},
                                     {"read_bytes", data_read_bytes},
                                     {"read_array", data_read_array},
                                     {"write_array", data_write_array},
                                     {"gather_windows", data_gather_windows},
                                     {"gather_streams", data_gather_streams},
                                     {"gather", data_gather},
                                     {"gather_ragged", data_gather_ragged},
                                     {"lane", data_lane},
                                     {"scatter", data_scatter},
                                     {"range", data_range},
                                     {"hash", data_hash},
                                     {"rng", rng_new},
                                     {"isatty", data_isatty},
                                     {"columns", data_columns},
                                     {"now", data_now},
                                     {"eprint", data_eprint},
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
