/* How exact exp, sigmoid and tanh are, and a cell's gates: the bounds that the manual states, in units in the last
   place of the exact value. Every table of kernels is compared with libm in double precision; so are the library's own
   log and exp in double, with libm in long double.

   ulp            each 2039th float of the range that matters, on all tables
   ulp --full     all of them (a cell's: each 16th), on the best set, fused and portable: one minute of one core */
#define LSTM_IMPLEMENTATION
#include "lstm.h"

#include "../helpers.h"

#include <float.h>
#include <math.h>
#include <unistd.h>

#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

/* --- tables ------------------------------------------------------------------------------------------------------- */

#define MOST 10
static const lstm__kernels *tables[MOST];
static char names[MOST][32];
static int table_count, full;

static void add_table(const lstm__kernels *table, const char *what) {
  snprintf(names[table_count], sizeof names[0], "%s%s", lstm_isa_name(table->isa), what);
  tables[table_count++] = table;
}

static void find_tables(void) {
  int isa;
#if LSTM__HAS_SOFT
  if (!full) add_table(&lstm__kernels_21, " emulated");
#endif
  for (isa = LSTM_ISA_SCALAR; isa < LSTM_ISA_COUNT; isa++) {
    const lstm__kernels *own = lstm__kernels_of((lstm_isa)isa, LSTM_FUSED);
    const lstm__kernels *portable = lstm__kernels_of((lstm_isa)isa, LSTM_PORTABLE);
    if (!own || (full && isa != (int)lstm_isa_best())) continue;
    add_table(own, "");
    if (portable && portable != own) add_table(portable, " portable");
  }
}

/* --- sweeps ------------------------------------------------------------------------------------------------------- */

#define CHUNK 4096
#define SLICES 64

/* 1 / the distance of neighbouring floats at |x|, a power of two. */
static double per_ulp(double x) {
  const uint64_t exponent = 2047ull << 52, smallest = (1023ull - 126) << 52;
  uint64_t bits;
  memcpy(&bits, &x, sizeof bits);
  bits &= exponent;
  bits = ((2046ull + 23) << 52) - (bits < smallest ? smallest : bits);
  memcpy(&x, &bits, sizeof x);
  return x;
}

typedef struct worst {
  double error;
  float at;
} worst;

static void note(worst *w, double got, double wanted, float x) {
  double error = fabs(got - wanted) * per_ulp(wanted);
  if (!(error <= w->error)) w->error = error, w->at = x;
}

/* What is swept: floats with bits from..to - 1, each `stride`th, of both signs. `values`: how many the chunk gives. */
#define VALUES 5
typedef struct sweep {
  uint32_t from, to, stride;
  int values;
  void (*chunk)(const struct sweep *s, const float *x, worst (*worst)[VALUES]);
  double (*exact)(double), at0, slope; /* of a function; at0 and slope * x are enough near 0 */
  int function;
  worst found[SLICES][MOST][VALUES], sum[MOST][VALUES];
} sweep;

/* Slice `index` of the sweep, an executor's task. The last chunk repeats its last float. */
static void sweep_slice(void *context, int index) {
  sweep *s = (sweep *)context;
  uint64_t count = ((uint64_t)(s->to - s->from) + s->stride - 1) / s->stride * 2, i;
  uint64_t begin = count * (uint64_t)index / SLICES, end = count * (uint64_t)(index + 1) / SLICES;
  float x[CHUNK];
  for (i = begin; i < end; i += CHUNK) {
    int k;
    for (k = 0; k < CHUNK; k++) {
      uint64_t n = i + (uint64_t)k < end ? i + (uint64_t)k : end - 1;
      x[k] = lstm__float_of_bits((s->from + (uint32_t)(n / 2) * s->stride) | (uint32_t)(n & 1) << 31);
    }
    s->chunk(s, x, s->found[index]);
  }
}

static void run_sweep(sweep *s) {
  int width = full ? (int)sysconf(_SC_NPROCESSORS_ONLN) : 1, i, t, v;
  memset(s->found, 0, sizeof s->found);
  memset(s->sum, 0, sizeof s->sum);
  if (width > 16) width = 16;
  if (width > 1) run_threads(&width, SLICES, sweep_slice, s);
  else run_odd_order(NULL, SLICES, sweep_slice, s);
  for (i = 0; i < SLICES; i++)
    for (t = 0; t < table_count; t++)
      for (v = 0; v < s->values; v++)
        if (s->found[i][t][v].error > s->sum[t][v].error) s->sum[t][v] = s->found[i][t][v];
}

static void expect_bound(const worst *w, const char *what, int t, double bound) {
  print_message("%-8s %-16s at most %.3f ulp, at %.9g\n", what, names[t], w->error, (double)w->at);
  if (!(w->error <= bound)) fail_msg("%s: more than %.2f ulp", what, bound);
}

/* --- functions ---------------------------------------------------------------------------------------------------- */

static double exact_exp(double x) { return exp(x < -87 ? -87 : x > 87 ? 87 : x); }
static double exact_sigmoid(double x) { return 1 / (1 + exp(-(x < -87 ? -87 : x > 87 ? 87 : x))); }
static double exact_gate(double x) { return 1 / (1 + exp(-(x < -43 ? -43 : x > 43 ? 43 : x))); }

/* Three of four floats are below 2^-25, where the next term of the series, relative to the value, is below 2^-50. */
static void function_chunk(const sweep *s, const float *x, worst (*found)[VALUES]) {
  double wanted[CHUNK];
  float y[CHUNK];
  int t, i, near0 = fabsf(x[CHUNK - 1]) < 0x1p-25f; /* the last are the largest */
  for (i = 0; i < CHUNK; i++) wanted[i] = near0 ? s->at0 + s->slope * (double)x[i] : s->exact((double)x[i]);
  for (t = 0; t < table_count; t++) {
    memcpy(y, x, sizeof y);
    tables[t]->map(s->function, CHUNK, y);
    for (i = 0; i < CHUNK; i++) note(&found[t][0], (double)y[i], wanted[i], x[i]);
  }
}

/* The bounds in the manual. */
#define EXP_BOUND 1
#define SIGMOID_BOUND 2.5
#define TANH_BOUND 2.5
#define GATE_BOUND 4.5
#define OUTPUT_BOUND 3.5

static void check_functions(uint32_t smallest, uint32_t stride) {
  static const struct {
    const char *name;
    int function;
    double (*exact)(double), at0, slope;
    double bound;
    float limit; /* beyond it the function is constant; see test_functions_saturate */
  } all[] = {{"exp", LSTM__MAP_EXP, exact_exp, 1, 1, EXP_BOUND, 88},
             {"sigmoid", LSTM_SIGMOID, exact_sigmoid, .5, .25, SIGMOID_BOUND, 88},
             {"tanh", LSTM_TANH, tanh, 0, 1, TANH_BOUND, 10}};
  static sweep s;
  int i, t;
  for (i = 0; i < 3; i++) {
    memset(&s, 0, sizeof s);
    s.from = smallest, s.to = lstm__bits_of_float(all[i].limit), s.stride = full ? 1 : stride;
    s.values = 1, s.chunk = function_chunk, s.exact = all[i].exact, s.function = all[i].function;
    s.at0 = all[i].at0, s.slope = all[i].slope;
    run_sweep(&s);
    for (t = 0; t < table_count; t++) expect_bound(&s.sum[t][0], all[i].name, t, all[i].bound);
  }
}

/* A cell without inputs: its sums are its biases. i, f, g and o each take all values, the others of a unit being other
   ones of the chunk; h is compared with what the cell's own o and c give. Where c is kept as 0, it was below 1e-30. */
static void cell_chunk(const sweep *s, const float *x, worst (*found)[VALUES]) {
  static const int turn[] = {0, 1237, 2503, 3769};
  float w[4 * CHUNK], tape[4 * CHUNK], zero[CHUNK] = {0}, c_prev[CHUNK], c[CHUNK], h[CHUNK];
  double wanted[4 * CHUNK];
  lstm__cell_job job;
  int t, i, k;
  (void)s;
  for (i = 0; i < CHUNK; i++) {
    for (k = 0; k < 4; k++) {
      float z = x[(i * 5 + turn[k]) % CHUNK];
      w[i / 16 * 64 + k * 16 + i % 16] = z;
      wanted[i / 16 * 64 + k * 16 + i % 16] = k == 2 ? tanh((double)z) : exact_gate((double)z);
    }
    c_prev[i] = x[(i * 3 + 11) % CHUNK];
  }
  memset(&job, 0, sizeof job);
  job.rows = 1, job.units = CHUNK, job.w = w, job.h.p = zero, job.c.p = c_prev;
  job.h_out.p = h, job.c_out.p = c, job.tape.p = tape;
  for (t = 0; t < table_count; t++) {
    tables[t]->cell(&job);
    for (i = 0; i < CHUNK; i++) {
      int at = i / 16 * 64 + i % 16;
      for (k = 0; k < 4; k++, at += 16) note(&found[t][k], (double)tape[at], wanted[at], w[at]);
      if (c[i] != 0)
        note(&found[t][4], (double)h[i], (double)tape[at - 16] * tanh((double)c[i]), c[i]);
      else
        assert_true(h[i] < 1e-30f && h[i] > -1e-30f);
    }
  }
}

static void check_cell(uint32_t smallest) {
  static const char *const value_names[] = {"gate i", "gate f", "gate g", "gate o", "cell h"};
  static sweep s;
  int t, v;
  memset(&s, 0, sizeof s);
  s.from = smallest, s.to = lstm__bits_of_float(44), s.stride = full ? 16 : 8191, s.values = 5, s.chunk = cell_chunk;
  run_sweep(&s);
  for (t = 0; t < table_count; t++)
    for (v = 0; v < 5; v++)
      expect_bound(&s.sum[t][v], value_names[v], t, v == 4 ? OUTPUT_BOUND : GATE_BOUND);
}

static void test_functions_keep_their_bounds(void **arg) {
  (void)arg;
  check_functions(0, 2039);
}

static void test_gates_keep_their_bounds(void **arg) {
  (void)arg;
  check_cell(0);
}

/* With FTZ and DAZ, where neither the number nor what it gives is subnormal. */
static void test_bounds_hold_where_subnormals_are_flushed(void **arg) {
#if defined(__SSE2__)
  unsigned saved = _mm_getcsr();
  int was_full = full;
  (void)arg;
  full = 0; /* the flags are the thread's */
  _mm_setcsr(saved | 0x8040u);
  check_functions(0x00800000u, 8191);
  check_cell(0x10000000u);
  _mm_setcsr(saved);
  full = was_full;
#else
  (void)arg;
  print_message("no FTZ and DAZ on this machine\n");
  skip();
#endif
}

/* --- the ends ----------------------------------------------------------------------------------------------------- */

static float map_one(int t, int function, float x) {
  float y[16];
  int i;
  for (i = 0; i < 16; i++) y[i] = x;
  tables[t]->map(function, 16, y);
  for (i = 1; i < 16; i++) assert_bits(y, y + i, 1);
  return y[0];
}

/* From a limit on everything is constant, out to infinity: exp and sigmoid from 87, tanh from 9.1, where it is 1. */
static void test_functions_saturate(void **arg) {
  static const int functions[] = {LSTM__MAP_EXP, LSTM_SIGMOID, LSTM_TANH};
  static const float limits[] = {87, 87, 9.1f};
  int t, k, sign;
  (void)arg;
  for (t = 0; t < table_count; t++) {
    for (k = 0; k < 3; k++)
      for (sign = -1; sign <= 1; sign += 2) {
        const uint32_t infinity = 0x7f800000u;
        float end = map_one(t, functions[k], (float)sign * lstm__float_of_bits(infinity));
        uint32_t bits;
        for (bits = lstm__bits_of_float(limits[k]); bits < infinity; bits += 65521) {
          float y = map_one(t, functions[k], (float)sign * lstm__float_of_bits(bits));
          assert_bits(&y, &end, 1);
        }
      }
    assert_true(map_one(t, LSTM_TANH, 9.1f) == 1 && map_one(t, LSTM_TANH, -9.1f) == -1);
    assert_true(map_one(t, LSTM_SIGMOID, 87) == 1 && map_one(t, LSTM_SIGMOID, -87) < 1.7e-38f);
    assert_true(map_one(t, LSTM_SIGMOID, -87) >= FLT_MIN && map_one(t, LSTM__MAP_EXP, -87) >= FLT_MIN);
    assert_true(map_one(t, LSTM__MAP_EXP, 0) == 1 && map_one(t, LSTM_SIGMOID, 0) == .5f);
    assert_true(lstm__bits_of_float(map_one(t, LSTM_TANH, -0.0f)) == 0x80000000u);
    assert_true(lstm__bits_of_float(map_one(t, LSTM_TANH, 0)) == 0);
  }
}

static int is_nan(float x) { return (lstm__bits_of_float(x) & 0x7fffffffu) > 0x7f800000u; }

/* Quiet and signalling, of both signs, through every function and each gate of a cell; no other unit sees it. */
static void test_not_a_number_stays(void **arg) {
  static const uint32_t nans[] = {0x7fc00000u, 0xffc00000u, 0x7f800001u, 0xff800001u, 0x7fffffffu};
  static const int functions[] = {LSTM__MAP_EXP, LSTM_SIGMOID, LSTM_TANH, LSTM_RELU, LSTM_HARD_SIGMOID, LSTM_SOFTSIGN};
  int t, n, k;
  (void)arg;
  for (t = 0; t < table_count; t++)
    for (n = 0; n < HELPERS_COUNT(nans); n++) {
      for (k = 0; k < HELPERS_COUNT(functions); k++)
        assert_true(is_nan(map_one(t, functions[k], lstm__float_of_bits(nans[n]))));
      for (k = 0; k < 4; k++) {
        float w[64] = {0}, h[16], c[16], zero[16] = {0}, tape[64];
        lstm__cell_job job;
        memset(&job, 0, sizeof job);
        w[16 * k + 3] = lstm__float_of_bits(nans[n]);
        job.rows = 1, job.units = 16, job.w = w, job.h.p = zero, job.c.p = zero;
        job.h_out.p = h, job.c_out.p = c, job.tape.p = tape;
        tables[t]->cell(&job);
        assert_true(is_nan(h[3]) && (is_nan(c[3]) || k == 3) && is_nan(tape[16 * k + 3]));
        assert_false(is_nan(h[2]) || is_nan(h[4]) || is_nan(c[2]));
      }
    }
}

/* --- in double ---------------------------------------------------------------------------------------------------- */

#if LDBL_MANT_DIG > DBL_MANT_DIG
static void note_double(worst *w, double got, long double wanted, float x) {
  double error = (double)(fabsl((long double)got - wanted) * (long double)(per_ulp((double)wanted) * 536870912.0));
  if (!(error <= w->error)) w->error = error, w->at = x;
}

static void double_chunk(const sweep *s, const float *x, worst (*found)[VALUES]) {
  int i;
  (void)s;
  for (i = 0; i < CHUNK; i++) {
    double d = (double)x[i];
    if (x[i] > 0) note_double(&found[0][0], lstm__log(d), logl((long double)d), x[i]);
    if (d > -80 && d < 80) note_double(&found[0][1], lstm__exp(d), expl((long double)d), x[i]);
  }
}

static void test_double_functions_keep_their_bounds(void **arg) {
  static sweep s;
  (void)arg;
  s.from = 0x00800000u, s.to = 0x7f800000u, s.stride = full ? 61 : 8191, s.values = 2, s.chunk = double_chunk;
  run_sweep(&s);
  expect_bound(&s.sum[0][0], "log, in double", 0, 3);
  expect_bound(&s.sum[0][1], "exp, in double", 0, 100);
}
#else
static void test_double_functions_keep_their_bounds(void **arg) {
  (void)arg;
  print_message("long double is double here\n");
  skip();
}
#endif

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_functions_keep_their_bounds),
      cmocka_unit_test(test_gates_keep_their_bounds),
      cmocka_unit_test(test_bounds_hold_where_subnormals_are_flushed),
      cmocka_unit_test(test_functions_saturate),
      cmocka_unit_test(test_not_a_number_stays),
      cmocka_unit_test(test_double_functions_keep_their_bounds),
  };
  full = argc > 1 && strcmp(argv[1], "--full") == 0;
  find_tables();
  return cmocka_run_group_tests_name("kernels/ulp", tests, NULL, NULL);
}
