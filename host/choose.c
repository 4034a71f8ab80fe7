/* choose.c: from probabilities to symbols: draws with temperature, top-k and top-p, the likeliest classes, beams. */
#include <limits.h>
#include <math.h>
#include <string.h>

#include "host.h"

/* --- a heap of places --------------------------------------------------------------------------------------------- */

/* Whether place a comes before place b: the larger value, of equal ones the first. */
static int before(const float *p, int a, int b) { return p[a] > p[b] || (a < b && p[a] >= p[b]); }

static void sift(int *heap, int n, int at, const float *p) {
  int child, keep = heap[at];
  for (; (child = 2 * at + 1) < n; at = child) {
    if (child + 1 < n && before(p, heap[child + 1], heap[child])) child++;
    if (!before(p, heap[child], keep)) break;
    heap[at] = heap[child];
  }
  heap[at] = keep;
}

static int heapify(int *heap, int n, const float *p) {
  int i;
  for (i = n / 2 - 1; i >= 0; i--) sift(heap, n, i, p);
  return n;
}

/* The places of what is a probability, the likeliest on the top; returns how many. total: their sum. */
static int heap_of(int *heap, const float *p, int count, double *total) {
  int i, n = 0;
  *total = 0;
  for (i = 0; i < count; i++) {
    if (!(p[i] > 0) || !(p[i] <= 3.4028235e38f)) continue;
    heap[n++] = i;
    *total += (double)p[i];
  }
  return heapify(heap, n, p);
}

/* The places of all that is a number, also of 0 and less: what a saturated softmax or a linear output gives. */
static int heap_of_all(int *heap, const float *p, int count) {
  int i, n = 0;
  for (i = 0; i < count; i++)
    if (!isnan(p[i])) heap[n++] = i;
  return heapify(heap, n, p);
}

static int pop(int *heap, int *n, const float *p) {
  int top = heap[0];
  heap[0] = heap[--*n];
  if (*n) sift(heap, *n, 0, p);
  return top;
}

/* --- draws -------------------------------------------------------------------------------------------------------- */

/* Copies to `kept` the probabilities that top_k and top_p leave, and zeros for the others. top_p: the likeliest ones
   until they have this share of the sum. */
static void keep_likeliest(const float *p, int count, int top_k, double top_p, float *kept, int *heap) {
  double total, sum = 0;
  int n = heap_of(heap, p, count, &total), k;
  memset(kept, 0, (size_t)count * sizeof(float));
  for (k = 0; k < top_k && n > 0 && (k == 0 || sum < top_p * total); k++) {
    int place = pop(heap, &n, p);
    kept[place] = p[place];
    sum += (double)p[place];
  }
}

size_t host_choose_size(int count) { return (size_t)count * (sizeof(float) + sizeof(int)); }

static lstm_rng *check_generator(lua_State *L, int arg) {
  if (!luaL_testudata(L, arg, "lstm.rng")) {
    host_raise(L, "sample: a generator such as lstm.rng(1) expected, got %s", luaL_typename(L, arg));
  }
  return host_checkrng(L, arg);
}

int host_choose(lua_State *L, const float *p, int count, int first, void *scratch) {
  double temperature = host_checknumber(L, first, "sample: the temperature"), top_p = 1;
  lstm_rng *rng = check_generator(L, first + 1);
  int top_k = lua_isnoneornil(L, first + 2) ? count : host_checkint(L, first + 2, 1, INT_MAX, "sample: top_k"), place;
  if (!lua_isnoneornil(L, first + 3)) top_p = host_checknumber(L, first + 3, "sample: top_p");
  if (!(temperature >= 0)) host_raise(L, "sample: the temperature must not be negative");
  if (!(top_p > 0 && top_p <= 1)) host_raise(L, "sample: top_p must be above 0 and at most 1");
  if (temperature > 0 && (top_k < count || top_p < 1)) {
    if (!scratch) scratch = host_newuserdata(L, host_choose_size(count), 0);
    keep_likeliest(p, count, top_k, top_p, (float *)scratch, (int *)(void *)((float *)scratch + count));
    p = (const float *)scratch;
  }
  place = lstm_sample(p, count, (float)temperature, rng);
  if (place < 0) host_raise(L, "sample: no probability is positive and finite");
  return place;
}

/* sample(probabilities, temperature, rng [, top_k [, top_p]]) -> place, 1-based */
static int choose_sample(lua_State *L) {
  const host_array *p = host_checkarray(L, 1, HOST_FLOAT32, 1, "probabilities");
  lua_pushinteger(L, host_choose(L, p->data.f, p->shape[0], 2, NULL) + 1);
  return 1;
}

/* --- the likeliest classes ---------------------------------------------------------------------------------------- */

/* The k likeliest of a row; NaN has no place: 0. A single probability is that of the second of two classes. */
static void top_row(const float *p, int count, int k, int *heap, int32_t *places, float *values) {
  float two[2];
  int n, j;
  if (count == 1) {
    two[0] = 1 - p[0], two[1] = p[0];
    p = two, count = 2;
  }
  n = heap_of_all(heap, p, count);
  for (j = 0; j < k; j++) {
    int place = n > 0 ? pop(heap, &n, p) : -1;
    places[j] = place + 1;
    values[j] = place < 0 ? 0 : p[place];
  }
}

/* top(values [O], [N][O] or [N][T][O], k) -> places (1-based) and values, [k] where the last axis was. Of one output
   there are two classes. */
static int choose_top(lua_State *L) {
  const host_array *values = host_checkarray(L, 1, HOST_FLOAT32, 0, "values");
  int last = values->dims - 1, width = values->shape[last], classes = width == 1 ? 2 : width, shape[HOST_MAX_DIMS];
  int k = host_checkint(L, 2, 1, INT_MAX, "top");
  host_array *places, *best;
  size_t i, rows = width ? values->count / (size_t)width : 0;
  int *heap;
  if (k > classes) k = classes;
  memcpy(shape, values->shape, sizeof shape);
  shape[last] = k;
  heap = (int *)host_newuserdata(L, ((size_t)classes + 1) * sizeof(int), 0);
  places = host_newarray(L, HOST_INT32, values->dims, shape);
  best = host_newarray(L, HOST_FLOAT32, values->dims, shape);
  for (i = 0; i < rows; i++) {
    top_row(values->data.f + i * (size_t)width, width, k, heap, places->data.i + i * (size_t)k,
            best->data.f + i * (size_t)k);
  }
  return 2;
}

/* --- beams -------------------------------------------------------------------------------------------------------- */

typedef struct candidate {
  double score;
  int lane, id;
} candidate;

/* Whether a is worse than b: the smaller score, of equal ones the later. */
static int worse(const candidate *a, const candidate *b) {
  if (a->score < b->score || a->score > b->score) return a->score < b->score;
  return a->lane > b->lane || (a->lane == b->lane && a->id > b->id);
}

static void sink(candidate *heap, int n, int at) {
  candidate keep = heap[at];
  int child;
  for (; (child = 2 * at + 1) < n; at = child) {
    if (child + 1 < n && worse(&heap[child + 1], &heap[child])) child++;
    if (!worse(&heap[child], &keep)) break;
    heap[at] = heap[child];
  }
  heap[at] = keep;
}

/* Keeps the k best seen so far, the worst of them on the top. */
static int offer(candidate *heap, int n, int k, candidate c) {
  int at = n;
  if (n == k) {
    if (worse(&c, &heap[0])) return n;
    heap[0] = c;
    sink(heap, n, 0);
    return n;
  }
  while (at > 0 && worse(&c, &heap[(at - 1) / 2])) {
    heap[at] = heap[(at - 1) / 2];
    at = (at - 1) / 2;
  }
  heap[at] = c;
  return n + 1;
}

/* beam(p [B][O] or [O], weights, k) -> parents, ids, products: the k best ways to go on, best first. weights: the
   probabilities of the first #weights lanes, or in proportion to them; parents: lanes from 1; ids from 0; products: of
   both. */
static int choose_beam(lua_State *L) {
  const host_array *p = host_checkarray(L, 1, HOST_FLOAT32, 0, "probabilities");
  int width = p->shape[p->dims - 1], lanes, lane, id, n = 0, k = host_checkint(L, 3, 1, 1 << 20, "beam");
  int shape[1];
  candidate *heap;
  host_array *parents, *ids;
  host_checktable(L, 2, "beam: weights");
  lanes = (int)lua_rawlen(L, 2);
  if ((size_t)lanes * (size_t)width > p->count) host_raise(L, "beam: %d weights are too many", lanes);
  heap = (candidate *)host_newuserdata(L, (size_t)k * sizeof *heap, 0);
  for (lane = 0; lane < lanes; lane++) {
    double weight;
    lua_rawgeti(L, 2, lane + 1);
    weight = lua_tonumber(L, -1);
    lua_pop(L, 1);
    for (id = 0; id < width; id++) {
      float value = p->data.f[(size_t)lane * (size_t)width + (size_t)id];
      candidate c;
      c.score = weight * (double)value, c.lane = lane, c.id = id;
      if (c.score > 0) n = offer(heap, n, k, c);
    }
  }
  shape[0] = n;
  parents = host_newarray(L, HOST_INT32, 1, shape);
  ids = host_newarray(L, HOST_INT32, 1, shape);
  lua_createtable(L, n, 0);
  while (n > 0) {
    candidate c = heap[0];
    heap[0] = heap[--n];
    if (n) sink(heap, n, 0);
    parents->data.i[n] = c.lane + 1;
    ids->data.i[n] = c.id;
    lua_pushnumber(L, c.score);
    lua_rawseti(L, -2, n + 1);
  }
  return 3;
}

static const luaL_Reg functions[] = {
    {"sample", choose_sample}, {"top", choose_top}, {"beam", choose_beam}, {NULL, NULL}};

void host_open_choose(lua_State *L, int core) {
  lua_pushvalue(L, core);
  luaL_setfuncs(L, functions, 0);
  lua_pop(L, 1);
}
