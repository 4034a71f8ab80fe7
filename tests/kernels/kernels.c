/* Every kernel of every table usable here, the emulated scalar one too, at all sizes and one float off alignment,
   against double precision; no write beyond its outputs; and equal bits between all tables that fuse. */
#define LSTM_IMPLEMENTATION
#include "lstm.h"

#include "../helpers.h"

#include <math.h>

#define MOST 6
static const lstm__kernels *tables[MOST];
static const char *names[MOST];
static int table_count, fused[MOST];

static int find_tables(void **arg) {
  int isa;
  (void)arg;
#if LSTM__HAS_SOFT
  tables[table_count] = &lstm__kernels_soft, fused[table_count] = 1, names[table_count++] = "scalar, emulated";
#endif
  for (isa = LSTM_ISA_SCALAR; isa < LSTM_ISA_COUNT; isa++)
    if (lstm_isa_usable((lstm_isa)isa)) {
      tables[table_count] = lstm__kernels_of((lstm_isa)isa), fused[table_count] = isa_is_fused((lstm_isa)isa);
      names[table_count++] = lstm_isa_name((lstm_isa)isa);
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

/* Remembers the first fused table's result and compares the others' with it. */
typedef struct agreement {
  uint64_t hash;
  int seen;
} agreement;

static void check_agreement(agreement *a, const char *what, int size, int table, const float *got, size_t count) {
  uint64_t hash = fnv1a(FNV_BEGIN, got, count * sizeof(float));
  if (!fused[table]) return;
  if (!a->seen) a->seen = 1, a->hash = hash;
  if (hash != a->hash) fail_msg("%s, size %d: the bits of %s are not those of %s", what, size, names[table], names[0]);
}

/* --- the cell ----------------------------------------------------------------------------------------------------- */

static double sigmoid(double x) { return 1 / (1 + exp(-x)); }

typedef struct cell_case {
  int rows, blocks, nx, nh, with_start, with_index;
} cell_case;

/* One row of the reference: h, c and the four gates of every unit. */
static void reference_cell(const lstm__cell_job *j, int row, double *h, double *c, double *tape) {
  int at = j->h.index ? j->h.index[row] : row, units = j->blocks * 16, u, gate, k;
  for (u = 0; u < units; u++) {
    double z[4], cell;
    for (gate = 0; gate < 4; gate++) {
      const float *w = j->w + (size_t)(u / 16) * (size_t)(1 + j->nx + j->nh) * 64 + gate * 16 + u % 16;
      size_t in_block = (size_t)u / 16 * 64 + (size_t)gate * 16 + (size_t)u % 16;
      double sum = (double)w[0];
      if (j->start.p) sum = (double)j->start.p[(size_t)at * j->start.stride + in_block];
      for (k = 0; k < j->nx && !j->start.p; k++)
        sum += (double)j->x.p[(size_t)at * j->x.stride + (size_t)k] * (double)w[(1 + k) * 64];
      for (k = 0; k < j->nh; k++)
        sum += (double)j->h.p[(size_t)at * j->h.stride + (size_t)k] * (double)w[(1 + j->nx + k) * 64];
      z[gate] = gate == 2 ? tanh(sum) : sigmoid(sum);
      tape[u / 16 * 64 + gate * 16 + u % 16] = z[gate];
    }
    cell = z[1] * (double)j->c.p[(size_t)at * j->c.stride + (size_t)u] + z[0] * z[2];
    c[u] = cell;
    h[u] = z[3] * tanh(cell);
  }
}

static void check_cell(const cell_case *s) {
  size_t R = (size_t)s->rows, U = (size_t)s->blocks * 16, X = (size_t)s->nx + 1, r;
  buffer w = make_buffer((size_t)s->blocks * (size_t)(1 + s->nx + s->nh) * 64, 1, .5f), x = make_buffer(R * X, 2, 1);
  buffer h = make_buffer(R * (U + 3), 3, 1), c = make_buffer(R * U, 4, 2), start = make_buffer(R * U * 4, 5, 1);
  double *want_h = (double *)make_array(U, sizeof(double)), *want_c = (double *)make_array(U, sizeof(double));
  double *want_tape = (double *)make_array(4 * U, sizeof(double));
  int *index = (int *)make_array(R, sizeof(int)), t;
  agreement bits_h = {0, 0}, bits_c = {0, 0}, bits_tape = {0, 0};
  for (r = 0; r < R; r++) index[r] = (int)(R - 1 - r);
  for (t = 0; t < table_count; t++) {
    buffer h_out = make_buffer(R * U, 0, 0), c_out = make_buffer(R * U, 0, 0), tape = make_buffer(R * U * 4, 0, 0);
    lstm__cell_job j;
    memset(&j, 0, sizeof j);
    j.rows = s->rows, j.blocks = s->blocks, j.nx = s->nx, j.nh = s->nh, j.w = w.p;
    j.x.p = x.p, j.x.stride = X, j.h.p = h.p, j.h.stride = U + 3, j.c.p = c.p, j.c.stride = U;
    if (s->with_start) j.start.p = start.p, j.start.stride = U * 4;
    if (s->with_index)
      j.x.index = j.h.index = j.c.index = j.start.index = j.h_out.index = j.c_out.index = j.tape.index = index;
    j.h_out.p = h_out.p, j.h_out.stride = U, j.c_out.p = c_out.p, j.c_out.stride = U;
    j.tape.p = tape.p, j.tape.stride = U * 4;
    tables[t]->cell(&j);
    for (r = 0; r < R; r++) {
      size_t at = s->with_index ? (size_t)index[r] : r;
      reference_cell(&j, (int)r, want_h, want_c, want_tape);
      check_close("cell h", s->nh, names[t], h_out.p + at * U, want_h, U, 3e-6);
      check_close("cell c", s->nh, names[t], c_out.p + at * U, want_c, U, 3e-6);
      check_close("cell tape", s->nh, names[t], tape.p + at * U * 4, want_tape, U * 4, 3e-6);
    }
    check_agreement(&bits_h, "cell h", s->nh, t, h_out.p, R * U);
    check_agreement(&bits_c, "cell c", s->nh, t, c_out.p, R * U);
    check_agreement(&bits_tape, "cell tape", s->nh, t, tape.p, R * U * 4);
    j.tape.p = NULL; /* the tape is not needed, and in-place cells are allowed */
    {
      buffer same = copy_buffer(&c);
      j.c.p = same.p, j.c_out.p = same.p;
      tables[t]->cell(&j);
      assert_bits(same.p, c_out.p, R * U);
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
    s.rows = 1 + i % 14, s.nh = i, s.blocks = i ? (i + 15) / 16 : 1, s.nx = i * 7 % 12;
    s.with_start = 0, s.with_index = i % 2;
    check_cell(&s);
    s.with_start = 1, s.with_index = !s.with_index;
    check_cell(&s);
  }
}

/* Gates at both ends: nothing overflows, and a saturated gate is 0 or 1 to float precision. */
static void test_saturated_cells_stay_finite(void **arg) {
  static const float ends[] = {0, 20, 43, 50, 88, 200, 3e38f};
  int t, i, k, gate;
  (void)arg;
  for (t = 0; t < table_count; t++)
    for (i = 0; i < HELPERS_COUNT(ends); i++)
      for (k = 0; k < 16; k++) {
        float w[64], h[16] = {0}, c[16] = {0}, h_out[16] = {0}, c_out[16] = {0}, tape[64] = {0};
        lstm__cell_job j;
        int u;
        for (gate = 0; gate < 4; gate++)
          for (u = 0; u < 16; u++) w[gate * 16 + u] = k >> gate & 1 ? ends[i] : -ends[i];
        memset(&j, 0, sizeof j);
        j.rows = 1, j.blocks = 1, j.w = w, j.h.p = h, j.c.p = c, j.h_out.p = h_out, j.c_out.p = c_out, j.tape.p = tape;
        tables[t]->cell(&j);
        for (gate = 0; gate < 4; gate++) {
          double z = (double)w[gate * 16], wanted = gate == 2 ? tanh(z) : sigmoid(z);
          assert_true(fabs((double)tape[gate * 16 + 5] - wanted) < 3e-7);
        }
        assert_true(c_out[3] - c_out[3] == 0 && h_out[3] - h_out[3] == 0);
      }
}

static void reference_cell_backward(int n, const float *gates, const float *c, const float *c_prev, const float *dh,
                                    const float *dc, double *dz, double *dc_prev) {
  int u;
  for (u = 0; u < n; u++) {
    const float *g = gates + u / 16 * 64 + u % 16;
    double i = (double)g[0], f = (double)g[16], z = (double)g[32], o = (double)g[48], t = tanh((double)c[u]);
    double d_h = (double)dh[u], d_c = (double)dc[u] + d_h * o * (1 - t * t), *to = dz + u / 16 * 64 + u % 16;
    to[0] = d_c * z * i * (1 - i);
    to[16] = d_c * (double)c_prev[u] * f * (1 - f);
    to[32] = d_c * i * (1 - z * z);
    to[48] = d_h * t * o * (1 - o);
    dc_prev[u] = d_c * f;
  }
}

static void test_cell_backward(void **arg) {
  int n, t;
  (void)arg;
  for (n = 0; n <= 80; n += 16) {
    size_t N = (size_t)n, i;
    buffer gates = make_buffer(N * 4, 1, .5f), c = make_buffer(N, 2, 2), c_prev = make_buffer(N, 3, 2);
    buffer dh = make_buffer(N, 4, 1), dc = make_buffer(N, 5, 1);
    double *dz = (double *)make_array(N * 4, sizeof(double)), *dp = (double *)make_array(N, sizeof(double));
    agreement bits = {0, 0}, bits2 = {0, 0};
    for (i = 0; i < N * 4; i++)
      if (i / 16 % 4 != 2) gates.p[i] += .5f; /* all but g are sigmoids */
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
    j.rows = rows, j.k = k, j.columns = columns, j.bias = bias, j.accumulate = accumulate, j.w = w.p;
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

static void test_outer(void **arg) {
  int k, i, x, s, t;
  (void)arg;
  for (k = 0; k <= 67; k++) {
    int n = (k * 5 + 3) % 23;
    size_t L = (size_t)k + 3, G = (size_t)k * 64;
    buffer a = make_buffer((size_t)n * L, 1, 1), d = make_buffer((size_t)n * 64, 2, 1), g = make_buffer(G, 3, 1);
    double *wanted = (double *)make_array(G, sizeof(double));
    agreement bits = {0, 0};
    for (i = 0; i < k; i++)
      for (x = 0; x < 64; x++) {
        double sum = (double)g.p[i * 64 + x];
        for (s = 0; s < n; s++) sum += (double)a.p[(size_t)s * L + (size_t)i] * (double)d.p[s * 64 + x];
        wanted[i * 64 + x] = sum;
      }
    for (t = 0; t < table_count; t++) {
      buffer out = copy_buffer(&g);
      tables[t]->outer(n, a.p, L, k, d.p, out.p);
      check_close("outer", k, names[t], out.p, wanted, G, 2e-5);
      check_agreement(&bits, "outer", k, t, out.p, G);
      free_buffer(&out);
    }
    free_buffer(&a), free_buffer(&d), free_buffer(&g);
    free(wanted);
  }
}

/* --- element by element ------------------------------------------------------------------------------------------- */

static double activate(int f, double x) {
  switch (f) {
  case LSTM_TANH: return tanh(x);
  case LSTM_SIGMOID: return sigmoid(x);
  case LSTM_RELU: return x > 0 ? x : 0;
  case LSTM__MAP_EXP: return exp(x);
  default: return x;
  }
}

static double slope(int f, double y) {
  switch (f) {
  case LSTM_TANH: return 1 - y * y;
  case LSTM_SIGMOID: return y * (1 - y);
  case LSTM_RELU: return y > 0;
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
      for (i = 0; i < n; i++) {
        value[i] = activate(f, (double)x.p[i]);
        if (f == LSTM_SIGMOID) y.p[i] = fabsf(y.p[i]);
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
  if (which == SGD) k->sgd(n, w, g, m, u);
  else if (which == RMSPROP) k->rmsprop(n, w, g, m, v, u);
  else k->adam(n, w, g, m, v, u);
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
      cmocka_unit_test(test_saturated_cells_stay_finite),
      cmocka_unit_test(test_cell_backward),
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
