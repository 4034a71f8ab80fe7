/* Every kernel of every table usable here, the emulated scalar one too, at all sizes and one float off alignment,
   against double precision; no write beyond its outputs; and equal bits between all tables that fuse, and between all
   that do not: SSE2's, WASM's and the portable ones. */
#define LSTM_IMPLEMENTATION
#include "lstm.h"

#include "../helpers.h"

#include <math.h>

#define MOST 10
static const lstm__kernels *tables[MOST];
static const char *names[MOST];
static int table_count, fused[MOST];

static void add_table(const lstm__kernels *table, const char *name, int fuses) {
  tables[table_count] = table, fused[table_count] = fuses, names[table_count++] = name;
}

static int find_tables(void **arg) {
  int isa;
  (void)arg;
#if LSTM__HAS_SOFT
  add_table(&lstm__kernels_21, "scalar, emulated", 1);
#endif
  for (isa = LSTM_ISA_SCALAR; isa < LSTM_ISA_COUNT; isa++) {
    const lstm__kernels *own = lstm__kernels_of((lstm_isa)isa, LSTM_FUSED);
    const lstm__kernels *portable = lstm__kernels_of((lstm_isa)isa, LSTM_PORTABLE);
    if (own) add_table(own, lstm_isa_name((lstm_isa)isa), isa_is_fused((lstm_isa)isa));
    if (portable && portable != own) add_table(portable, "portable", 0);
  }
  return 0;
}

/* --- buffers ------------------------------------------------------------------------------------------------------ */

#define GUARD 16
#define CANARY 12345.5f

/* `count` floats, one float off every alignment, between two guards. */
typedef struct buffer {
  float *block, *p;
  size_t count;
} buffer;

static buffer make_buffer(size_t count, uint64_t seed, float scale) {
  buffer b;
  size_t i;
  b.count = count;
  b.block = make_floats(count + 2 * GUARD + 1);
  b.p = b.block + GUARD + 1;
  for (i = 0; i < count + 2 * GUARD + 1; i++) b.block[i] = CANARY;
  fill(b.p, count, seed, scale);
  return b;
}

static buffer copy_buffer(const buffer *from) {
  buffer b = make_buffer(from->count, 0, 1);
  memcpy(b.p, from->p, from->count * sizeof(float));
  return b;
}

static void free_buffer(buffer *b) {
  size_t i;
  for (i = 0; i < GUARD; i++) {
    assert_true(b->block[i] == CANARY);
    assert_true(b->p[b->count + i] == CANARY);
  }
  free(b->block);
}

static void check_close(const char *what, int size, const char *table, const float *got, const double *wanted,
                        size_t count, double tolerance) {
  size_t i;
  for (i = 0; i < count; i++)
    if (!(fabs((double)got[i] - wanted[i]) <= tolerance * fmax(1, fabs(wanted[i]))))
      fail_msg("%s, size %d, %s, element %d: %.9g, wanted %.9g", what, size, table, (int)i, (double)got[i], wanted[i]);
}

/* The hash of the first fused table's result, and of the first other's, for the rest to be compared with. 0: none. */
typedef struct agreement {
  uint64_t fused, unfused;
} agreement;

static void check_agreement(agreement *a, const char *what, int size, int table, const float *got, size_t count) {
  uint64_t hash = fnv1a(FNV_BEGIN, got, count * sizeof(float)), *first = fused[table] ? &a->fused : &a->unfused;
  if (!*first) *first = hash;
  if (hash != *first)
    fail_msg("%s, size %d: the bits of %s (%s) are not those of the first", what, size, names[table],
             lstm_isa_name(tables[table]->isa));
}

/* --- the cell ----------------------------------------------------------------------------------------------------- */

static double sigmoid(double x) { return 1 / (1 + exp(-x)); }

typedef struct cell_case {
  int rows, units, nx, nh, flip, with_start, with_index; /* units: a multiple of 8 */
} cell_case;

/* How wide the block of unit u of n is, and where its gate is in a row of gates. */
static int width_of(int n, int u) { return n - u / 16 * 16 < 16 ? 8 : 16; }
static size_t place_of(int n, int u, int gate) { return (size_t)(u / 16 * 64 + gate * width_of(n, u) + u % 16); }

/* The weighted sum of a gate of unit u. */
static double reference_sum(const lstm__cell_job *j, int at, int u, int gate) {
  int width = width_of(j->units, u), row = 4 * width;
  const float *w = j->w + (size_t)(u / 16) * (size_t)(1 + j->nx + j->nh) * 64 + gate * width + u % 16;
  size_t in_block = place_of(j->units, u, gate);
  double sum = (double)w[0];
  int k;
  if (j->start.p) sum = (double)j->start.p[(size_t)at * j->start.stride + in_block];
  for (k = 0; k < j->nx && !j->start.p; k++)
    sum += (double)j->x.p[(size_t)at * j->x.stride + (size_t)k] * (double)w[(1 + k) * row];
  for (k = 0; k < j->nh; k++)
    sum += (double)j->h.p[(size_t)at * j->h.stride + (size_t)k] * (double)w[(1 + j->nx + k) * row];
  return sum;
}

/* One row of the reference: h, c and the four gates of every unit. */
static void reference_cell(const lstm__cell_job *j, int row, double *h, double *c, double *tape) {
  int at = j->h.index ? j->h.index[row] : row, units = j->units, u, gate;
  for (u = 0; u < units; u++) {
    double z[4], cell;
    for (gate = 0; gate < 4; gate++) {
      double sum = reference_sum(j, at, u, gate);
      z[gate] = gate == 2 ? tanh(sum) : sigmoid(sum);
      tape[place_of(units, u, gate)] = z[gate];
    }
    cell = z[1] * (double)j->c.p[(size_t)at * j->c.stride + (size_t)u] + z[0] * z[2];
    c[u] = cell;
    h[u] = z[3] * tanh(cell);
  }
}

/* raw: the sums go to the tape, and neither h nor c is touched. */
static void check_raw_sums(const lstm__cell_job *job, const cell_case *s, int t, agreement *bits) {
  size_t R = (size_t)s->rows, units = (size_t)s->units, r, u;
  buffer sums = make_buffer(R * units * 4, 0, 0);
  double *wanted = (double *)make_array(4 * units, sizeof(double));
  lstm__cell_job j = *job;
  int gate;
  j.raw = 1, j.tape.p = sums.p, j.h_out.p = j.c_out.p = NULL, j.c.p = NULL;
  tables[t]->cell(&j);
  for (r = 0; r < R; r++) {
    size_t at = s->with_index ? (size_t)j.h.index[r] : r;
    for (u = 0; u < units; u++)
      for (gate = 0; gate < 4; gate++)
        wanted[place_of(s->units, (int)u, gate)] = reference_sum(&j, (int)at, (int)u, gate);
    check_close("cell, raw sums", s->nh, names[t], sums.p + at * units * 4, wanted, units * 4, 3e-6);
  }
  check_agreement(bits, "cell, raw sums", s->nh, t, sums.p, R * units * 4);
  free_buffer(&sums);
  free(wanted);
}

/* A single row of few units writes h in place: all of it is read before. */
static void check_whole_row(const lstm__cell_job *job, int t, const buffer *h, const float *wanted) {
  buffer same = copy_buffer(h);
  lstm__cell_job j = *job;
  j.h.p = same.p, j.h_out.p = same.p;
  tables[t]->cell(&j);
  assert_bits(same.p, wanted, (size_t)job->units);
  free_buffer(&same);
}

static void check_cell(const cell_case *s) {
  size_t R = (size_t)s->rows, U = (size_t)(s->units + 15) / 16 * 16, G = (size_t)s->units * 4, X = (size_t)s->nx + 1, r;
  buffer w = make_buffer((size_t)(1 + s->nx + s->nh) * G, 1, .5f), x = make_buffer(R * X, 2, 1);
  buffer h = make_buffer(R * (U + 3), 3, 1), c = make_buffer(R * U, 4, 2), start = make_buffer(R * G, 5, 1);
  double *want_h = (double *)make_array(U, sizeof(double)), *want_c = (double *)make_array(U, sizeof(double));
  double *want_tape = (double *)make_array(4 * U, sizeof(double));
  int *index = (int *)make_array(R, sizeof(int)), t;
  agreement bits_h = {0, 0}, bits_c = {0, 0}, bits_tape = {0, 0}, bits_raw = {0, 0};
  for (r = 0; r < R; r++) index[r] = (int)(R - 1 - r);
  for (t = 0; t < table_count; t++) {
    buffer h_out = make_buffer(R * U, 0, 0), c_out = make_buffer(R * U, 0, 0), tape = make_buffer(R * G, 0, 0);
    lstm__cell_job j;
    memset(&j, 0, sizeof j);
    j.rows = s->rows, j.units = s->units, j.flip = s->flip, j.nx = s->nx, j.nh = s->nh, j.w = w.p;
    j.x.p = x.p, j.x.stride = X, j.h.p = h.p, j.h.stride = U + 3, j.c.p = c.p, j.c.stride = U;
    if (s->with_start) j.start.p = start.p, j.start.stride = G;
    if (s->with_index)
      j.x.index = j.h.index = j.c.index = j.start.index = j.h_out.index = j.c_out.index = j.tape.index = index;
    j.h_out.p = h_out.p, j.h_out.stride = U, j.c_out.p = c_out.p, j.c_out.stride = U;
    j.tape.p = tape.p, j.tape.stride = G;
    tables[t]->cell(&j);
    for (r = 0; r < R; r++) {
      size_t at = s->with_index ? (size_t)index[r] : r;
      reference_cell(&j, (int)r, want_h, want_c, want_tape);
      check_close("cell h", s->nh, names[t], h_out.p + at * U, want_h, (size_t)s->units, 3e-6);
      check_close("cell c", s->nh, names[t], c_out.p + at * U, want_c, (size_t)s->units, 3e-6);
      check_close("cell tape", s->nh, names[t], tape.p + at * G, want_tape, G, 3e-6);
    }
    for (r = 0; r < R; r++) { /* what padding holds is nobody's business */
      memset(h_out.p + r * U + s->units, 0, (U - (size_t)s->units) * sizeof(float));
      memset(c_out.p + r * U + s->units, 0, (U - (size_t)s->units) * sizeof(float));
    }
    check_agreement(&bits_h, "cell h", s->nh, t, h_out.p, R * U);
    check_agreement(&bits_c, "cell c", s->nh, t, c_out.p, R * U);
    check_agreement(&bits_tape, "cell tape", s->nh, t, tape.p, R * G);
    if (s->units % 16 == 0) check_raw_sums(&j, s, t, &bits_raw);
    j.tape.p = NULL; /* the tape is not needed, and in-place cells are allowed */
    {
      buffer same = copy_buffer(&c);
      j.c.p = same.p, j.c_out.p = same.p;
      tables[t]->cell(&j);
      for (r = 0; r < R; r++) assert_bits(same.p + r * U, c_out.p + r * U, (size_t)s->units);
      memcpy(same.p, c.p, R * U * sizeof(float));
      if (s->rows == 1 && s->units <= tables[t]->whole) check_whole_row(&j, t, &h, h_out.p);
      free_buffer(&same);
    }
    free_buffer(&h_out), free_buffer(&c_out), free_buffer(&tape);
  }
  free_buffer(&w), free_buffer(&x), free_buffer(&h), free_buffer(&c), free_buffer(&start);
  free(want_h), free(want_c), free(want_tape), free(index);
}

static void test_cell(void **arg) {
  cell_case s;
  int i;
  (void)arg;
  memset(&s, 0, sizeof s);
  for (i = 0; i <= 67; i++) {
    s.rows = 1 + i % 14, s.nh = i, s.units = i ? (i + 7) / 8 * 8 : 8, s.nx = i * 7 % 12;
    s.flip = i % 2, s.with_start = 0, s.with_index = i / 2 % 2;
    check_cell(&s);
    s.with_start = 1, s.with_index = !s.with_index;
    check_cell(&s);
  }
}

/* One row and the tiles' own numbers of rows, of narrow and of wide last blocks, in both directions, with weights that
   stay in the first cache and with more. */
static void test_cell_of_every_block(void **arg) {
  static const int rows[] = {1, 1, 1, 1, 2, 6, 7}, inputs[] = {0, 1, 30, 200};
  cell_case s;
  int i;
  (void)arg;
  memset(&s, 0, sizeof s);
  for (s.units = 8; s.units <= 72; s.units += 8)
    for (i = 0; i < HELPERS_COUNT(rows); i++) {
      s.rows = rows[i], s.nh = s.units - i % 8, s.nx = inputs[(i + s.units / 8) % 4];
      for (s.flip = 0; s.flip < 2; s.flip++) {
        s.with_start = 0, check_cell(&s);
        s.with_start = 1, check_cell(&s);
      }
    }
}

/* Gates at both ends: nothing overflows, and a saturated gate is 0 or 1 to float precision. */
static void check_saturated_cell(const lstm__kernels *table, int units, float end, int signs) {
  float w[64] = {0}, h[16] = {0}, c[16] = {0}, h_out[16] = {0}, c_out[16] = {0}, tape[64] = {0};
  lstm__cell_job j;
  int gate, u;
  for (gate = 0; gate < 4; gate++)
    for (u = 0; u < units; u++) w[gate * units + u] = signs >> gate & 1 ? end : -end;
  memset(&j, 0, sizeof j);
  j.rows = 1, j.units = units, j.w = w;
  j.h.p = h, j.c.p = c, j.h_out.p = h_out, j.c_out.p = c_out, j.tape.p = tape;
  table->cell(&j);
  for (gate = 0; gate < 4; gate++) {
    double z = (double)w[gate * units], wanted = gate == 2 ? tanh(z) : sigmoid(z);
    assert_true(fabs((double)tape[gate * units + 5] - wanted) < 3e-7);
  }
  assert_true(c_out[3] - c_out[3] == 0 && h_out[3] - h_out[3] == 0);
}

static void test_saturated_cells_stay_finite(void **arg) {
  static const float ends[] = {0, 20, 43, 50, 88, 200, 3e38f};
  int t, i, signs;
  (void)arg;
  for (t = 0; t < table_count; t++)
    for (i = 0; i < HELPERS_COUNT(ends); i++)
      for (signs = 0; signs < 16; signs++) {
        check_saturated_cell(tables[t], 8, ends[i], signs);
        check_saturated_cell(tables[t], 16, ends[i], signs);
      }
}

static void reference_cell_backward(int n, const float *gates, const float *c, const float *c_prev, const float *dh,
                                    const float *dc, double *dz, double *dc_prev) {
  int u;
  for (u = 0; u < n; u++) {
    const float *g = gates + place_of(n, u, 0);
    int W = width_of(n, u);
    double i = (double)g[0], f = (double)g[W], z = (double)g[2 * W], o = (double)g[3 * W], t = tanh((double)c[u]);
    double d_h = (double)dh[u], d_c = (double)dc[u] + d_h * o * (1 - t * t), *to = dz + place_of(n, u, 0);
    to[0] = d_c * z * i * (1 - i);
    to[W] = d_c * (double)c_prev[u] * f * (1 - f);
    to[2 * W] = d_c * i * (1 - z * z);
    to[3 * W] = d_h * t * o * (1 - o);
    dc_prev[u] = d_c * f;
  }
}

static void test_cell_backward(void **arg) {
  int n, t;
  (void)arg;
  for (n = 0; n <= 80; n += 8) {
    size_t N = (size_t)n, padded = (N + 15) / 16 * 16, i;
    buffer gates = make_buffer(N * 4, 1, .5f), c = make_buffer(padded, 2, 2), c_prev = make_buffer(padded, 3, 2);
    buffer dh = make_buffer(padded, 4, 1), dc = make_buffer(padded, 5, 1);
    double *dz = (double *)make_array(N * 4, sizeof(double)), *dp = (double *)make_array(N, sizeof(double));
    agreement bits = {0, 0}, bits2 = {0, 0};
    for (i = 0; i < N * 4; i++)
      if (i % 64 / (size_t)width_of(n, (int)(i / 64 * 16)) != 2) gates.p[i] += .5f; /* all but g are sigmoids */
    reference_cell_backward(n, gates.p, c.p, c_prev.p, dh.p, dc.p, dz, dp);
    for (t = 0; t < table_count; t++) {
      buffer g = copy_buffer(&gates), d = copy_buffer(&dc);
      tables[t]->cell_backward(n, g.p, c.p, c_prev.p, dh.p, d.p);
      check_close("cell_backward dz", n, names[t], g.p, dz, N * 4, 2e-6);
      check_close("cell_backward dc", n, names[t], d.p, dp, N, 2e-6);
      check_agreement(&bits, "cell_backward dz", n, t, g.p, N * 4);
      check_agreement(&bits2, "cell_backward dc", n, t, d.p, N);
      free_buffer(&g), free_buffer(&d);
    }
    free_buffer(&gates), free_buffer(&c), free_buffer(&c_prev), free_buffer(&dh), free_buffer(&dc);
    free(dz), free(dp);
  }
}

/* --- the generic gate pass ---------------------------------------------------------------------------------------- */

static double activate(int f, double x) {
  switch (f) {
  case LSTM_TANH: return tanh(x);
  case LSTM_SIGMOID: return sigmoid(x);
  case LSTM_RELU: return x > 0 ? x : 0;
  case LSTM_HARD_SIGMOID: return fmax(0, fmin(1, x / 6 + .5));
  case LSTM_SOFTSIGN: return x / (1 + fabs(x));
  case LSTM__MAP_EXP: return exp(x);
  default: return x;
  }
}

#define VECTORS 13
#define UNITS 64 /* the most here */

/* A row of a cell with options, in double precision, as CELLS in the manual says. */
typedef struct gate_row {
  lstm_layer o;
  int n, units, masked, gru;
  double z[4 * UNITS], c_prev[UNITS], vectors[VECTORS * UNITS]; /* [4][n]; gru: r, z, n from x and h; [n]; [..][n] */
  double noise[UNITS], zone[UNITS], dh[UNITS], dc[UNITS];
  double gates[4 * UNITS], c[UNITS], h[UNITS];
} gate_row;

static void normalise(int n, double *x) {
  double mean = 0, var = 0;
  int u;
  for (u = 0; u < n; u++) mean += x[u] / n;
  for (u = 0; u < n; u++) var += (x[u] - mean) * (x[u] - mean) / n;
  for (u = 0; u < n; u++) x[u] = (x[u] - mean) / sqrt(var + 1e-5);
}

static double forget_gate(const gate_row *r, double i, double z) {
  if (r->o.coupled) return 1 - i;
  if (r->o.forget == LSTM_FORGET_ZERO) return 0;
  if (r->o.forget == LSTM_FORGET_ONE) return 1;
  return activate((int)r->o.gate_activation, z);
}

static void reference_gates(gate_row *r) {
  const lstm_layer *o = &r->o;
  const double *p = r->vectors, *norm = p + (o->peephole ? 3 * r->n : 0);
  double z[4 * UNITS], s[UNITS];
  int n = r->n, G = (int)o->gate_activation, u, k;
  memcpy(z, r->z, sizeof z);
  for (k = 0; k < 4 && o->layer_norm; k++) {
    normalise(n, z + k * n);
    for (u = 0; u < n; u++) z[k * n + u] = norm[k * n + u] * z[k * n + u] + norm[(4 + k) * n + u];
  }
  for (u = 0; u < n; u++) {
    double c = r->c_prev[u], *g = r->gates + u, f;
    g[0] = activate(G, z[u] + (o->peephole ? p[u] * c : 0));
    f = g[n] = forget_gate(r, g[0], z[n + u] + (o->peephole ? p[n + u] * c : 0));
    if (o->forget == LSTM_FORGET_NOISE) f += (double)o->noise * (r->noise[u] - f);
    g[2 * n] = activate((int)o->activation, z[2 * n + u]);
    s[u] = f * c + g[0] * g[2 * n];
    if (o->cell_clip > 0) s[u] = fmax(-(double)o->cell_clip, fmin((double)o->cell_clip, s[u]));
    g[3 * n] = activate(G, z[3 * n + u] + (o->peephole ? p[2 * n + u] * s[u] : 0));
    r->c[u] = s[u] + (o->zoneout > 0 ? r->zone[u] * (c - s[u]) : 0);
  }
  if (o->layer_norm) normalise(n, s);
  for (u = 0; u < n; u++) {
    if (o->layer_norm) s[u] = norm[8 * n + u] * s[u] + norm[9 * n + u];
    r->h[u] = r->gates[3 * n + u] * activate((int)o->activation, s[u]);
  }
}

static void reference_gru(gate_row *r) {
  int n = r->n, u;
  for (u = 0; u < n; u++) {
    double *g = r->gates + u;
    g[0] = sigmoid(r->z[u]), g[n] = sigmoid(r->z[n + u]), g[3 * n] = r->z[3 * n + u];
    g[2 * n] = tanh(r->z[2 * n + u] + g[0] * g[3 * n]);
    r->h[u] = g[2 * n] + g[n] * (r->c_prev[u] - g[2 * n]);
    r->c[u] = 0;
  }
}

/* What backward gives the gradients of: dh h + dc c. */
static double gate_loss(gate_row *r) {
  double sum = 0;
  int u;
  if (r->gru) reference_gru(r);
  else reference_gates(r);
  for (u = 0; u < r->n; u++) sum += r->dh[u] * r->h[u] + r->dc[u] * r->c[u];
  return sum;
}

/* By central differences; with a step so small that none crosses a kink of these numbers. */
static void differentiate(const gate_row *r, size_t at, size_t count, double *gradient) {
  static gate_row a;
  size_t i;
  for (i = 0; i < count; i++) {
    double *x = (double *)(void *)((char *)&a + at) + i, step = 1e-6, up;
    a = *r;
    *x += step;
    up = gate_loss(&a);
    *x -= 2 * step;
    gradient[i] = (up - gate_loss(&a)) / (2 * step);
  }
}

/* Buffers of one call, in the kernel's layout. */
typedef struct gate_buffers {
  buffer gates, vectors, keep, c_prev, noise, zone, c, h, dh, dc;
  lstm__gate_job job;
} gate_buffers;

static size_t gate_at(const gate_row *r, int i) { /* element i of [4][n] */
  int k = i / r->n, u = i % r->n;
  return (size_t)(u / 16 * 64 + k * 16 + u % 16);
}

static buffer pad_rows(const gate_row *r, int rows, const double *x) {
  buffer b = make_buffer((size_t)(rows * r->units), 0, 0);
  int i;
  for (i = 0; i < rows * r->n; i++) b.p[i / r->n * r->units + i % r->n] = (float)x[i];
  return b;
}

static int vector_count(const gate_row *r) { return (r->o.peephole ? 3 : 0) + (r->o.layer_norm ? 10 : 0); }

static gate_buffers make_gate_buffers(const gate_row *r) {
  gate_buffers b;
  int i;
  b.gates = make_buffer((size_t)r->units * 4, 0, 0);
  for (i = 0; i < 4 * r->n; i++) b.gates.p[gate_at(r, i)] = (float)r->z[i];
  b.vectors = pad_rows(r, vector_count(r), r->vectors);
  b.keep = make_buffer((size_t)(vector_count(r) * r->units), 9, 1);
  b.c_prev = pad_rows(r, 1, r->c_prev), b.noise = pad_rows(r, 1, r->noise), b.zone = pad_rows(r, 1, r->zone);
  b.dh = pad_rows(r, 1, r->dh), b.dc = pad_rows(r, 1, r->dc);
  b.c = make_buffer((size_t)r->units, 0, 0), b.h = make_buffer((size_t)r->units, 0, 0);
  memset(&b.job, 0, sizeof b.job);
  b.job.o = &r->o, b.job.units = r->units, b.job.n = r->n;
  b.job.gates = b.gates.p, b.job.vectors = b.vectors.p, b.job.keep = vector_count(r) ? b.keep.p : NULL;
  b.job.c_prev = b.c_prev.p, b.job.c = b.c.p, b.job.h = b.h.p, b.job.dh = b.dh.p, b.job.dc = b.dc.p;
  if (r->o.forget == LSTM_FORGET_NOISE) b.job.noise = b.noise.p;
  if (r->masked) b.job.zone = b.zone.p;
  return b;
}

static void free_gate_buffers(gate_buffers *b) {
  free_buffer(&b->gates), free_buffer(&b->vectors), free_buffer(&b->keep), free_buffer(&b->c_prev);
  free_buffer(&b->noise), free_buffer(&b->zone), free_buffer(&b->c), free_buffer(&b->h);
  free_buffer(&b->dh), free_buffer(&b->dc);
}

static void check_rows(const char *what, const gate_row *r, int t, const float *got, int rows, const double *wanted,
                       double tolerance) {
  int i;
  for (i = 0; i < rows; i++)
    check_close(what, r->n, names[t], got + (size_t)(i * r->units), wanted + i * r->n, (size_t)r->n, tolerance);
}

static void check_gates(const char *what, const gate_row *r, int t, const float *got, const double *wanted,
                        double tolerance) {
  int i;
  for (i = 0; i < 4 * r->n; i++)
    check_close(what, i, names[t], got + gate_at(r, i), wanted + i, 1, tolerance);
}

enum { FORWARD_C, FORWARD_H, FORWARD_GATES, BACK_GATES, BACK_C, BACK_VECTORS, STAGES };

/* Without a tape, and c in place of c', as steps run it. */
static void check_in_place(const gate_row *r, int t, const float *c, const float *h) {
  gate_buffers b = make_gate_buffers(r);
  b.job.keep = NULL, b.job.c = b.c_prev.p;
  tables[t]->gate_forward(&b.job);
  assert_bits(b.c_prev.p, c, r->units);
  assert_bits(b.h.p, h, r->units);
  free_gate_buffers(&b);
}

static void check_gate_row(gate_row *r) {
  static double dz[4 * UNITS], dc[UNITS], dv[VECTORS * UNITS];
  agreement bits[STAGES];
  size_t N = (size_t)r->n, U = (size_t)r->units;
  int t, u, V = vector_count(r);
  memset(bits, 0, sizeof bits);
  differentiate(r, offsetof(gate_row, z), 4 * N, dz);
  differentiate(r, offsetof(gate_row, c_prev), N, dc);
  differentiate(r, offsetof(gate_row, vectors), (size_t)V * N, dv);
  for (u = 0; u < r->n && r->gru; u++) dc[u] += r->dc[u]; /* added to what is there */
  (void)gate_loss(r);
  for (t = 0; t < table_count; t++) {
    gate_buffers b = make_gate_buffers(r);
    (r->gru ? tables[t]->gru_forward : tables[t]->gate_forward)(&b.job);
    check_rows("gates, h", r, t, b.h.p, 1, r->h, 5e-6);
    check_gates("gates", r, t, b.gates.p, r->gates, 5e-6);
    check_agreement(&bits[FORWARD_H], "gates, h", r->n, t, b.h.p, U);
    check_agreement(&bits[FORWARD_GATES], "gates", r->n, t, b.gates.p, 4 * U);
    if (!r->gru) {
      check_rows("gates, c", r, t, b.c.p, 1, r->c, 5e-6);
      check_agreement(&bits[FORWARD_C], "gates, c", r->n, t, b.c.p, U);
      check_in_place(r, t, b.c.p, b.h.p);
    }
    (r->gru ? tables[t]->gru_backward : tables[t]->gate_backward)(&b.job);
    check_gates("gradients of the sums", r, t, b.gates.p, dz, 2e-5);
    check_rows("gradients of c'", r, t, b.dc.p, 1, dc, 2e-5);
    check_rows("gradients of the vectors", r, t, b.keep.p, V, dv, 2e-5);
    check_agreement(&bits[BACK_GATES], "gradients of the sums", r->n, t, b.gates.p, 4 * U);
    check_agreement(&bits[BACK_C], "gradients of c'", r->n, t, b.dc.p, U);
    check_agreement(&bits[BACK_VECTORS], "gradients of the vectors", r->n, t, b.keep.p, (size_t)V * U);
    free_gate_buffers(&b);
  }
}

static void fill_doubles(double *x, int count, uint64_t seed, float scale, float shift) {
  lstm_rng rng = {0};
  int i;
  rng.seed = seed;
  for (i = 0; i < count; i++) x[i] = (double)((2.0f * lstm_random(&rng) - 1.0f) * scale + shift);
}

/* The options are set; everything else follows from the seed. */
static void fill_gate_row(gate_row *r, int n, uint64_t seed) {
  int u;
  r->n = n, r->units = lstm__pad16(n);
  fill_doubles(r->z, 4 * n, seed, 2, 0);
  fill_doubles(r->c_prev, n, seed + 1, 1.5f, 0);
  fill_doubles(r->vectors, VECTORS * n, seed + 2, .5f, .75f);
  fill_doubles(r->noise, n, seed + 3, .5f, .5f);
  fill_doubles(r->dh, n, seed + 4, 1, 0);
  fill_doubles(r->dc, n, seed + 5, 1, 0);
  for (u = 0; u < n; u++) r->zone[u] = !r->masked ? (double)r->o.zoneout : (u * 7 + (int)seed) % 3 == 0;
}

static const lstm_activation activations[][2] = { /* of the cell, of the gates */
    {LSTM_TANH, LSTM_SIGMOID},         {LSTM_RELU, LSTM_HARD_SIGMOID}, {LSTM_SOFTSIGN, LSTM_SOFTSIGN},
    {LSTM_SIGMOID, LSTM_TANH},         {LSTM_LINEAR, LSTM_SIGMOID},    {LSTM_HARD_SIGMOID, LSTM_RELU},
    {LSTM_TANH, LSTM_LINEAR}};

enum { LEARNED, ZERO, ONE, NOISE, COUPLED, FORGETS };

/* Number `i` of the matrix of options. */
static int set_gate_options(gate_row *r, int i) {
  static const int counts[] = {2, 2, 2, 3, FORGETS, HELPERS_COUNT(activations)};
  int digits[HELPERS_COUNT(counts)], k;
  for (k = 0; k < HELPERS_COUNT(counts); k++) digits[k] = i % counts[k], i /= counts[k];
  if (i) return 0;
  memset(r, 0, sizeof *r);
  r->o = lstm_lstm(16);
  r->o.peephole = digits[0], r->o.layer_norm = digits[1];
  r->o.cell_clip = digits[2] ? .6f : 0;
  r->o.zoneout = digits[3] ? .25f : 0, r->masked = digits[3] == 2;
  r->o.coupled = digits[4] == COUPLED;
  r->o.forget = digits[4] == COUPLED ? LSTM_FORGET_LEARNED : (lstm_forget)digits[4];
  r->o.noise = digits[4] == NOISE ? .375f : 0;
  r->o.activation = activations[digits[5]][0], r->o.gate_activation = activations[digits[5]][1];
  return 1;
}

static void test_gates_with_options(void **arg) {
  static const int sizes[] = {1, 3, 5, 15, 16, 17, 33};
  static gate_row r;
  int i;
  (void)arg;
  for (i = 0; set_gate_options(&r, i); i++) {
    fill_gate_row(&r, sizes[i % HELPERS_COUNT(sizes)], (uint64_t)i * 10);
    check_gate_row(&r);
  }
  print_message("%d combinations of options, %d tables\n", i, table_count);
}

/* Every size, each with another of the richest combinations. */
static void test_gates_of_every_size(void **arg) {
  static gate_row r;
  int n, i = 0;
  (void)arg;
  for (n = 1; n <= UNITS; n++) {
    do
      if (!set_gate_options(&r, i += 11)) (void)set_gate_options(&r, i = n);
    while (!r.o.layer_norm);
    fill_gate_row(&r, n, 1000 + (uint64_t)n);
    check_gate_row(&r);
  }
}

static void test_gru(void **arg) {
  static gate_row r;
  int n;
  (void)arg;
  for (n = 1; n <= UNITS; n++) {
    memset(&r, 0, sizeof r);
    r.gru = 1, r.o = lstm_gru(n);
    fill_gate_row(&r, n, 2000 + (uint64_t)n);
    memset(r.dc, 0, sizeof r.dc); /* a GRU has no c: the loss is of h alone */
    check_gate_row(&r);
  }
}

/* A GRU's gradient of h' is added to what the step before has. */
static void test_gru_adds_to_the_gradient_before(void **arg) {
  static gate_row r;
  int t, u;
  (void)arg;
  memset(&r, 0, sizeof r);
  r.gru = 1, r.o = lstm_gru(16);
  fill_gate_row(&r, 16, 1);
  for (t = 0; t < table_count; t++) {
    gate_buffers a = make_gate_buffers(&r), b = make_gate_buffers(&r);
    memset(a.dc.p, 0, 16 * sizeof(float));
    tables[t]->gru_forward(&a.job), tables[t]->gru_backward(&a.job);
    tables[t]->gru_forward(&b.job), tables[t]->gru_backward(&b.job);
    for (u = 0; u < 16; u++) assert_true(fabs((double)b.dc.p[u] - (double)a.dc.p[u] - r.dc[u]) < 1e-6);
    free_gate_buffers(&a), free_gate_buffers(&b);
  }
}

static void check_blend(int n, int masked) {
  size_t N = (size_t)n;
  buffer y = make_buffer(N, 1, 1), other = make_buffer(N, 2, 1), mask = make_buffer(N, 3, 1);
  double mixed[UNITS], dy[UNITS], dother[UNITS];
  agreement bits[3] = {{0, 0}, {0, 0}, {0, 0}};
  int i, t;
  for (i = 0; i < n; i++) {
    double m = masked ? (double)(mask.p[i] = mask.p[i] > 0 ? 1.0f : 0.0f) : (double).3f;
    double a = (double)y.p[i], b = (double)other.p[i];
    mixed[i] = a + m * (b - a), dy[i] = a - m * a, dother[i] = b + m * a;
  }
  for (t = 0; t < table_count; t++) {
    buffer a = copy_buffer(&y), d = copy_buffer(&y), o = copy_buffer(&other);
    tables[t]->blend(n, a.p, masked ? mask.p : NULL, .3f, other.p);
    tables[t]->blend_backward(n, d.p, masked ? mask.p : NULL, .3f, o.p);
    check_close("blend", n, names[t], a.p, mixed, N, masked ? 0 : 3e-7); /* a unit that keeps its value keeps it */
    check_close("blend_backward dy", n, names[t], d.p, dy, N, 3e-7);
    check_close("blend_backward dother", n, names[t], o.p, dother, N, 3e-7);
    check_agreement(&bits[0], "blend", n, t, a.p, N);
    check_agreement(&bits[1], "blend_backward dy", n, t, d.p, N);
    check_agreement(&bits[2], "blend_backward dother", n, t, o.p, N);
    free_buffer(&a), free_buffer(&d), free_buffer(&o);
  }
  free_buffer(&y), free_buffer(&other), free_buffer(&mask);
}

static void test_blend(void **arg) {
  int n;
  (void)arg;
  for (n = 0; n <= UNITS; n += 16) check_blend(n, 0), check_blend(n, 1);
}

/* --- matrix products ---------------------------------------------------------------------------------------------- */

/* Element (k, column) of panels of at most 64 columns, each with `extra` rows in front. */
static size_t panel_at(int k, int column, int rows, int columns) {
  int panel = column / 64, width = columns - panel * 64 < 64 ? columns - panel * 64 : 64;
  return (size_t)panel * (size_t)rows * 64 + (size_t)k * (size_t)width + (size_t)(column % 64);
}

static void check_gemm(int rows, int k, int columns, int bias, int accumulate) {
  size_t R = (size_t)rows, C = (size_t)columns, K = (size_t)k + 2;
  buffer w = make_buffer((size_t)(k + bias) * C, 1, 1), a = make_buffer(R * K, 2, 1), c = make_buffer(R * C, 3, 1);
  double *wanted = (double *)make_array(R * C, sizeof(double));
  agreement bits = {0, 0};
  int r, i, x, t;
  for (r = 0; r < rows; r++)
    for (x = 0; x < columns; x++) {
      double sum = bias ? (double)w.p[panel_at(0, x, k + bias, columns)] : 0;
      if (accumulate && !bias) sum = (double)c.p[(size_t)r * C + (size_t)x];
      for (i = 0; i < k; i++)
        sum += (double)a.p[(size_t)r * K + (size_t)i] * (double)w.p[panel_at(i + bias, x, k + bias, columns)];
      wanted[(size_t)r * C + (size_t)x] = sum;
    }
  for (t = 0; t < table_count; t++) {
    buffer out = copy_buffer(&c);
    lstm__gemm_job j;
    memset(&j, 0, sizeof j);
    j.rows = rows, j.k = k, j.columns = columns, j.bias = bias, j.accumulate = accumulate, j.step = 1, j.w = w.p;
    j.a.p = a.p, j.a.stride = K, j.c.p = out.p, j.c.stride = C;
    tables[t]->gemm(&j);
    check_close("gemm", k, names[t], out.p, wanted, R * C, 1e-6 * (k + 1));
    check_agreement(&bits, "gemm", k, t, out.p, R * C);
    free_buffer(&out);
  }
  free_buffer(&w), free_buffer(&a), free_buffer(&c);
  free(wanted);
}

static void test_gemm(void **arg) {
  int k;
  (void)arg;
  for (k = 0; k <= 67; k++) {
    check_gemm(k % 14, k, 16 + k % 12 * 16, 1, 0);
    check_gemm(1 + (k + 5) % 13, k, 16 + (k + 7) % 12 * 16, 0, 0);
    check_gemm(1 + (k + 9) % 13, k, 16 + (k + 3) % 12 * 16, 0, 1);
  }
}

/* The product of a matrix's columns, as weight gradients need it: rows and elements of `a` change places, and w has
   plain rows. */
static void test_outer(void **arg) {
  int k, i, x, s, t;
  (void)arg;
  for (k = 0; k <= 67; k++) {
    int n = (k * 5 + 3) % 23, columns = 16 + k % 11 * 16;
    size_t L = (size_t)k + 3, D = (size_t)columns + 5, G = (size_t)columns + 1;
    buffer a = make_buffer((size_t)n * L, 1, 1), d = make_buffer((size_t)n * D, 2, 1);
    buffer g = make_buffer((size_t)k * G, 3, 1);
    double *wanted = (double *)make_array((size_t)k * G + 1, sizeof(double));
    agreement bits = {0, 0};
    for (i = 0; i < k; i++)
      for (x = 0; x < (int)G; x++) {
        double sum = (double)g.p[(size_t)i * G + (size_t)x];
        for (s = 0; s < n && x < columns; s++)
          sum += (double)a.p[(size_t)s * L + (size_t)i] * (double)d.p[(size_t)s * D + (size_t)x];
        wanted[(size_t)i * G + (size_t)x] = sum;
      }
    for (t = 0; t < table_count; t++) {
      buffer out = copy_buffer(&g);
      lstm__gemm_job j;
      memset(&j, 0, sizeof j);
      j.rows = k, j.k = n, j.columns = columns, j.accumulate = 1, j.step = L, j.stride = D, j.w = d.p;
      j.a.p = a.p, j.a.stride = 1, j.c.p = out.p, j.c.stride = G;
      tables[t]->gemm(&j);
      check_close("outer", k, names[t], out.p, wanted, (size_t)k * G, 2e-5);
      check_agreement(&bits, "outer", k, t, out.p, (size_t)k * G);
      free_buffer(&out);
    }
    free_buffer(&a), free_buffer(&d), free_buffer(&g);
    free(wanted);
  }
}

/* --- element by element ------------------------------------------------------------------------------------------- */

static double slope(int f, double y) {
  switch (f) {
  case LSTM_TANH: return 1 - y * y;
  case LSTM_SIGMOID: return y * (1 - y);
  case LSTM_RELU: return y > 0;
  case LSTM_HARD_SIGMOID: return y > 0 && y < 1 ? 1.0 / 6 : 0;
  case LSTM_SOFTSIGN: return (1 - fabs(y)) * (1 - fabs(y));
  default: return 1;
  }
}

static void test_map(void **arg) {
  int n, f, i, t;
  (void)arg;
  for (n = 0; n <= 80; n += 16)
    for (f = 0; f < LSTM__MAP_COUNT; f++) {
      buffer x = make_buffer((size_t)n, 1, 4), dy = make_buffer((size_t)n, 2, 1), y = make_buffer((size_t)n, 3, .9f);
      double value[80], gradient[80];
      agreement bits = {0, 0}, bits2 = {0, 0};
      if (n) x.p[n / 2] = -0.0f;
      for (i = 0; i < n; i++) {
        value[i] = activate(f, (double)x.p[i]);
        if (f == LSTM_SIGMOID || f == LSTM_HARD_SIGMOID) y.p[i] = fabsf(y.p[i]);
        if (i % 5 == 0 && (f == LSTM_RELU || f == LSTM_HARD_SIGMOID)) y.p[i] = i % 2 ? 0.0f : 1.0f; /* the ends */
        gradient[i] = (double)dy.p[i] * slope(f, (double)y.p[i]);
      }
      for (t = 0; t < table_count; t++) {
        buffer a = copy_buffer(&x), d = copy_buffer(&dy);
        tables[t]->map(f, n, a.p);
        check_close("map", n, names[t], a.p, value, (size_t)n, 5e-7);
        check_agreement(&bits, "map", n, t, a.p, (size_t)n);
        if (f < LSTM_ACTIVATION_COUNT) {
          tables[t]->map_backward(f, n, y.p, d.p);
          check_close("map_backward", n, names[t], d.p, gradient, (size_t)n, 3e-7);
          check_agreement(&bits2, "map_backward", n, t, d.p, (size_t)n);
        }
        free_buffer(&a), free_buffer(&d);
      }
      free_buffer(&x), free_buffer(&dy), free_buffer(&y);
    }
}

static void test_softmax(void **arg) {
  int n, i, t;
  (void)arg;
  for (n = 1; n <= 67; n++) {
    size_t padded = (size_t)lstm__pad16(n);
    buffer z = make_buffer(padded, (uint64_t)n, 5);
    double wanted[80] = {0}, sum = 0, top = -100;
    agreement bits = {0, 0}, bits2 = {0, 0};
    for (i = 0; i < n; i++) top = fmax(top, (double)z.p[i]);
    for (i = 0; i < n; i++) sum += wanted[i] = exp((double)z.p[i] - top);
    for (i = n; i < (int)padded; i++) z.p[i] = 1e30f; /* padding may hold anything */
    for (t = 0; t < table_count; t++) {
      buffer out = copy_buffer(&z);
      float got_top, got = tables[t]->softmax(n, out.p, &got_top);
      assert_true((double)got_top == top);
      check_close("softmax", n, names[t], out.p, wanted, padded, 5e-7);
      check_close("softmax sum", n, names[t], &got, &sum, 1, 5e-7);
      check_agreement(&bits, "softmax", n, t, out.p, padded);
      check_agreement(&bits2, "softmax sum", n, t, &got, 1);
      free_buffer(&out);
    }
    free_buffer(&z);
  }
}

enum { DIVIDE, SCALE, CLIP, ADD, AXPY, SIMPLE_COUNT };

static double simple(int kernel, double y, double x, double a) {
  switch (kernel) {
  case DIVIDE: return y / a;
  case SCALE: return y * a;
  case CLIP: return y > a ? a : y < -a ? -a : y;
  case ADD: return y + x;
  default: return y + a * x;
  }
}

static void run_simple(const lstm__kernels *k, int kernel, int n, float *y, const float *x, float a) {
  switch (kernel) {
  case DIVIDE: k->divide(n, y, a); break;
  case SCALE: k->scale(n, y, a); break;
  case CLIP: k->clip(n, y, a); break;
  case ADD: k->add(n, y, x); break;
  default: k->axpy(n, y, a, x);
  }
}

static void test_simple_kernels(void **arg) {
  int n, kernel, i, t;
  (void)arg;
  for (n = 0; n <= 80; n += 16)
    for (kernel = 0; kernel < SIMPLE_COUNT; kernel++) {
      buffer y = make_buffer((size_t)n, 1, 2), x = make_buffer((size_t)n, 2, 2);
      double wanted[80];
      agreement bits = {0, 0};
      for (i = 0; i < n; i++) wanted[i] = simple(kernel, (double)y.p[i], (double)x.p[i], (double).7f);
      for (t = 0; t < table_count; t++) {
        buffer out = copy_buffer(&y);
        run_simple(tables[t], kernel, n, out.p, x.p, .7f);
        check_close("simple", kernel, names[t], out.p, wanted, (size_t)n, 3e-7);
        check_agreement(&bits, "simple", kernel, t, out.p, (size_t)n);
        free_buffer(&out);
      }
      free_buffer(&y), free_buffer(&x);
    }
}

static void test_dot(void **arg) {
  int n, i, t;
  (void)arg;
  for (n = 0; n <= 512; n += 16) {
    buffer a = make_buffer((size_t)n, 1, 1), b = make_buffer((size_t)n, 2, 1);
    double wanted = 0;
    agreement bits = {0, 0};
    for (i = 0; i < n; i++) wanted += (double)a.p[i] * (double)b.p[i];
    for (t = 0; t < table_count; t++) {
      float got = tables[t]->dot(n, a.p, b.p);
      check_close("dot", n, names[t], &got, &wanted, 1, 1e-5);
      check_agreement(&bits, "dot", n, t, &got, 1);
    }
    free_buffer(&a), free_buffer(&b);
  }
}

/* --- optimisers --------------------------------------------------------------------------------------------------- */

enum { SGD, RMSPROP, ADAM, OPTIMIZERS };

static void reference_update(int which, const lstm__update_job *u, double *w, double g, double *m, double *v) {
  double d = g + (double)u->l2 * *w;
  if (which != SGD) *v = (double)u->b * *v + (double)u->one_minus_b * d * d;
  if (which == ADAM) {
    *m = (double)u->a * *m + (double)u->one_minus_a * d;
    d = *m / (sqrt(*v) * (double)u->second_scale + (double)u->epsilon);
    *w *= (double)u->decay;
  } else {
    if (which == RMSPROP) d /= sqrt(*v) + (double)u->epsilon;
    *m = (double)u->momentum * *m + d;
    d = which == SGD && u->nesterov ? d + (double)u->momentum * *m : *m;
  }
  *w -= (double)u->rate * d;
}

static void run_update(const lstm__kernels *k, int which, int n, float *w, const float *g, float *m, float *v,
                       const lstm__update_job *u) {
  static const lstm_optimizer optimizers[] = {LSTM_SGD, LSTM_RMSPROP, LSTM_ADAM};
  lstm__update_job job = *u;
  job.optimizer = optimizers[which];
  job.nesterov = u->nesterov && which == SGD;
  k->update(n, w, g, m, v, &job);
}

static void test_optimizers(void **arg) {
  lstm__update_job u;
  int n, which, i, t;
  (void)arg;
  memset(&u, 0, sizeof u);
  u.rate = .01f, u.decay = .999f, u.l2 = .1f, u.a = .9f, u.one_minus_a = .1f, u.b = .99f, u.one_minus_b = .01f;
  u.epsilon = 1e-4f, u.second_scale = 1.5f, u.momentum = .8f;
  for (n = 0; n <= 80; n += 16)
    for (which = 0; which < OPTIMIZERS; which++) {
      size_t N = (size_t)n;
      buffer w = make_buffer(N, 1, 1), g = make_buffer(N, 2, 1), m = make_buffer(N, 3, 1), v = make_buffer(N, 4, 1);
      double dw[80], dm[80], dv[80];
      agreement bits[3] = {{0, 0}, {0, 0}, {0, 0}};
      u.nesterov = n / 16 % 2;
      for (i = 0; i < n; i++) {
        v.p[i] = fabsf(v.p[i]) + .1f;
        dw[i] = (double)w.p[i], dm[i] = (double)m.p[i], dv[i] = (double)v.p[i];
        reference_update(which, &u, &dw[i], (double)g.p[i], &dm[i], &dv[i]);
      }
      for (t = 0; t < table_count; t++) {
        buffer w2 = copy_buffer(&w), m2 = copy_buffer(&m), v2 = copy_buffer(&v);
        run_update(tables[t], which, n, w2.p, g.p, m2.p, v2.p, &u);
        check_close("optimizer w", which, names[t], w2.p, dw, N, 5e-7);
        check_close("optimizer m", which, names[t], m2.p, dm, N, 2e-6);
        check_close("optimizer v", which, names[t], v2.p, dv, N, 5e-7);
        check_agreement(&bits[0], "optimizer w", which, t, w2.p, N);
        check_agreement(&bits[1], "optimizer m", which, t, m2.p, N);
        check_agreement(&bits[2], "optimizer v", which, t, v2.p, N);
        free_buffer(&w2), free_buffer(&m2), free_buffer(&v2);
      }
      free_buffer(&w), free_buffer(&g), free_buffer(&m), free_buffer(&v);
    }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_cell),
      cmocka_unit_test(test_cell_of_every_block),
      cmocka_unit_test(test_saturated_cells_stay_finite),
      cmocka_unit_test(test_cell_backward),
      cmocka_unit_test(test_gates_with_options),
      cmocka_unit_test(test_gates_of_every_size),
      cmocka_unit_test(test_gru),
      cmocka_unit_test(test_gru_adds_to_the_gradient_before),
      cmocka_unit_test(test_blend),
      cmocka_unit_test(test_gemm),
      cmocka_unit_test(test_outer),
      cmocka_unit_test(test_map),
      cmocka_unit_test(test_softmax),
      cmocka_unit_test(test_simple_kernels),
      cmocka_unit_test(test_dot),
      cmocka_unit_test(test_optimizers),
  };
  return cmocka_run_group_tests_name("kernels", tests, find_tables, NULL);
}
