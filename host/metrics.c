/* metrics.c: what batches of outputs cost beside the loss: sums of errors, and counts of classes. */
#include <limits.h>
#include <math.h>

#include "host.h"

/* Rows of outputs [T'][B][O], and which of them count. */
typedef struct host_rows {
  const float *guess;
  int steps, lanes, outputs;
  const host_array *lengths, *weights; /* NULL: all, 1 */
  int burn_in;
} host_rows;

/* The field of the options table as an array of `count` elements, or NULL. */
static const host_array *read_array(lua_State *L, int table, const char *name, host_kind kind, size_t count) {
  const host_array *a = NULL;
  host_field(L, table, name);
  if (!lua_isnil(L, -1)) {
    a = host_checkarray(L, -1, kind, 0, name);
    if (a->count != count) host_raise(L, "%s: its size does not fit the outputs", name);
  }
  lua_pop(L, 1); /* the options keep it */
  return a;
}

/* The outputs, and the options of their batch at `table` (may be nil). */
static host_rows read_rows(lua_State *L, int outputs, int table) {
  const host_array *a = host_checkarray(L, outputs, HOST_FLOAT32, 3, "outputs");
  host_rows rows;
  rows.guess = a->data.f;
  rows.steps = a->shape[0], rows.lanes = a->shape[1], rows.outputs = a->shape[2];
  rows.lengths = rows.weights = NULL;
  rows.burn_in = 0;
  if (lua_isnoneornil(L, table)) return rows;
  host_checktable(L, table, "the batch's options");
  rows.lengths = read_array(L, table, "lengths", HOST_INT32, (size_t)rows.lanes);
  rows.weights = read_array(L, table, "weights", HOST_FLOAT32, (size_t)rows.steps * (size_t)rows.lanes);
  rows.burn_in = host_field_int(L, table, "burn_in", 0, 0, INT_MAX);
  return rows;
}

/* The weight of the target at row r, as the loss has it. */
static double weight_of(const host_rows *rows, size_t r) {
  int t = (int)(r / (size_t)rows->lanes), lane = (int)(r % (size_t)rows->lanes);
  if (t < rows->burn_in || (rows->lengths && t >= rows->lengths->data.i[lane])) return 0;
  return rows->weights ? (double)rows->weights->data.f[r] : 1;
}

static size_t count_of(const host_rows *rows) { return (size_t)rows->steps * (size_t)rows->lanes; }

/* sum_errors(outputs [T'][B][O], targets of as many [, options of the batch]) -> sums over elements of
   weight * difference^2, weight * |difference|, weight * target^2, weight */
static int metrics_sum_errors(lua_State *L) {
  host_rows rows = read_rows(L, 1, 3);
  const host_array *y = host_checkarray(L, 2, HOST_FLOAT32, 0, "targets");
  double squares = 0, absolutes = 0, signal = 0, weights = 0;
  size_t r, n = count_of(&rows), o = (size_t)rows.outputs, k;
  if (y->count != n * o) host_raise(L, "targets: their number does not fit the outputs");
  for (r = 0; r < n; r++) {
    double weight = weight_of(&rows, r);
    if (!(weight > 0)) continue;
    for (k = r * o; k < (r + 1) * o; k++) {
      double target = (double)y->data.f[k], d = (double)rows.guess[k] - target;
      squares += weight * d * d;
      absolutes += weight * fabs(d);
      signal += weight * target * target;
    }
    weights += weight * (double)o;
  }
  lua_pushnumber(L, squares);
  lua_pushnumber(L, absolutes);
  lua_pushnumber(L, signal);
  lua_pushnumber(L, weights);
  return 4;
}

/* Counts of classes: pairs [K][K] (truth, guess), or else [3][K]: how often each is the truth, the guess, both. */
typedef struct host_counts {
  int32_t *data;
  int classes, pairs;
} host_counts;

static void count(const host_counts *c, int truth, int guess) {
  size_t k = (size_t)c->classes, i = (size_t)truth, j = (size_t)guess;
  if (c->pairs) {
    c->data[i * k + j]++;
    return;
  }
  c->data[i]++;
  c->data[k + j]++;
  if (i == j) c->data[2 * k + i]++;
}

static int largest(const float *row, int n) {
  int i, best = 0;
  for (i = 1; i < n; i++)
    if (row[i] > row[best]) best = i;
  return best;
}

/* Outputs that are each yes or no: of one the classes 0 and 1; of more, each is a class that is there or not. */
static void count_sides(const host_counts *c, const float *guess, const float *target, int n) {
  int i;
  if (n == 1) {
    count(c, target[0] >= 0.5f, guess[0] >= 0.5f);
    return;
  }
  for (i = 0; i < n; i++) {
    int is = target[i] >= 0.5f, said = guess[i] >= 0.5f;
    c->data[i] += is;
    c->data[c->classes + i] += said;
    c->data[2 * c->classes + i] += is && said;
  }
}

/* count_classes(counts, outputs [T'][B][O], targets, pairs [, options of the batch]): adds to the counts. Targets are
   ids [T'][B] (the guess is the largest output), or numbers [T'][B][O], where 1/2 parts the sides. */
static int metrics_count_classes(lua_State *L) {
  host_array *a = host_checkarray(L, 1, HOST_INT32, 2, "counts");
  host_rows rows = read_rows(L, 2, 5);
  const host_array *y = host_toarray(L, 3);
  size_t r, n = count_of(&rows), o = (size_t)rows.outputs;
  host_counts c;
  int ids = y && y->kind == HOST_INT32, wanted[2];
  if (!ids) y = host_checkarray(L, 3, HOST_FLOAT32, 0, "targets");
  c.data = a->data.i;
  c.pairs = lua_toboolean(L, 4);
  c.classes = !ids && rows.outputs == 1 ? 2 : rows.outputs;
  wanted[0] = c.pairs ? c.classes : 3, wanted[1] = c.classes;
  host_checkshape(L, a, 2, wanted, "counts");
  if (y->count != (ids ? n : n * o)) return host_raise(L, "targets: their number does not fit the outputs");
  if (c.pairs && !ids && rows.outputs > 1) host_raise(L, "counts: pairs are for one output or for classes");
  for (r = 0; r < n; r++) {
    if (!(weight_of(&rows, r) > 0)) continue;
    if (!ids) count_sides(&c, rows.guess + r * o, y->data.f + r * o, rows.outputs);
    else if (y->data.i[r] >= rows.outputs) host_raise(L, "targets: class %d is out of range", (int)y->data.i[r]);
    else if (y->data.i[r] >= 0) count(&c, (int)y->data.i[r], largest(rows.guess + r * o, rows.outputs));
  }
  return 0;
}

static const luaL_Reg functions[] = {{"sum_errors", metrics_sum_errors},
                                     {"count_classes", metrics_count_classes},
                                     {NULL, NULL}};

void host_open_metrics(lua_State *L, int core) {
  lua_pushvalue(L, core);
  luaL_setfuncs(L, functions, 0);
  lua_pop(L, 1);
}
