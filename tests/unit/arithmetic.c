/* Checked arithmetic, text without a locale, numbers in files, the emulated fused multiply-add, and square roots,
   logarithms and cosines. */
#define LSTM_IMPLEMENTATION
#include "lstm.h"

#include "../helpers.h"

#include <float.h>
#include <math.h>

/* --- checked arithmetic ------------------------------------------------------------------------------------------- */

static void test_sums_and_products_are_checked(void **arg) {
  const size_t most = (size_t)-1, half = (size_t)1 << (sizeof(size_t) * 4);
  size_t out = 7;
  (void)arg;
  assert_true(lstm__add_ok(3, 4, &out) && out == 7);
  assert_true(lstm__add_ok(most, 0, &out) && out == most);
  assert_true(lstm__add_ok(most - 5, 5, &out) && out == most);
  assert_false(lstm__add_ok(most, 1, &out));
  assert_false(lstm__add_ok(most - 5, 6, &out));
  assert_true(lstm__mul_ok(6, 7, &out) && out == 42);
  assert_true(lstm__mul_ok(0, most, &out) && out == 0);
  assert_true(lstm__mul_ok(most, 0, &out) && out == 0);
  assert_true(lstm__mul_ok(most, 1, &out) && out == most);
  assert_true(lstm__mul_ok(half, half - 1, &out));
  assert_false(lstm__mul_ok(half, half, &out));
  assert_false(lstm__mul_ok(most / 2 + 1, 2, &out));
  assert_false(lstm__mul_ok(most, most, &out));
}

static void test_rows_are_padded_to_sixteen(void **arg) {
  int n;
  (void)arg;
  for (n = 0; n <= 67; n++) {
    int p = lstm__pad16(n);
    assert_true(p >= n && p < n + 16 && p % 16 == 0);
  }
}

static void test_arenas_notice_overflow(void **arg) {
  lstm__arena a;
  (void)arg;
  memset(&a, 0, sizeof a);
  lstm__carve(&a, 3, 5);
  assert_int_equal(a.used, LSTM_ALIGNMENT);
  lstm__carve(&a, 1, LSTM_ALIGNMENT + 1);
  assert_int_equal(a.used, 3 * LSTM_ALIGNMENT);
  assert_false(a.overflow);
  lstm__carve(&a, (size_t)-1 / 2, 4);
  assert_true(a.overflow);
}

static void test_text_is_cut_and_counted(void **arg) {
  lstm__text t;
  char room[8];
  (void)arg;
  memset(room, 'x', sizeof room);
  t.data = room, t.capacity = sizeof room, t.length = 0;
  lstm__print(&t, "%d%%", -1234567);
  assert_int_equal(t.length, 9);
  assert_string_equal(room, "-123456");
  t.length = 0;
  lstm__print(&t, "%s", "ab");
  assert_string_equal(room, "ab");
  lstm__print(&t, "%z", (size_t)90);
  assert_string_equal(room, "ab90");
  t.length = 0;
  lstm__print(&t, "%d", (int)-2147483647 - 1);
  assert_int_equal(t.length, 11);
  t.data = NULL, t.capacity = 0, t.length = 0;
  lstm__print(&t, "only counted");
  assert_int_equal(t.length, 12);
}

/* --- numbers in files --------------------------------------------------------------------------------------------- */

/* Every half-precision number against the definition: sign, 5 bits of exponent, 10 of fraction. */
static void test_every_half_is_read_exactly(void **arg) {
  uint32_t h;
  (void)arg;
  for (h = 0; h < 0x10000; ++h) {
    uint32_t exponent = h >> 10 & 31, fraction = h & 1023;
    float got = lstm__half_to_float(h), want = (float)(exponent ? 1024 + fraction : fraction);
    int e = exponent ? (int)exponent - 25 : -24;
    if (exponent == 31) {
      assert_true(fraction ? got != got : got > 1e38f || got < -1e38f);
      continue;
    }
    for (; e > 0; --e) want *= 2;
    for (; e < 0; ++e) want /= 2;
    if (h & 0x8000) want = -want;
    assert_true(lstm__bits_of_float(got) == lstm__bits_of_float(want));
  }
}

/* The shortest decimal, read back by this library and by C's, is the same float. */
static void test_floats_as_text_are_exact(void **arg) {
  static const struct {
    float value;
    const char *text;
  } known[] = {{0.25f, "0.25"},
               {1e-3f, "0.001"},
               {1e-8f, "1e-8"},
               {5, "5"},
               {-1, "-1"},
               {0.9f, "0.9"},
               {100, "100"},
               {0, "0"},
               {1e10f, "1e10"},
               {1e-45f, "1e-45"},
               {3.4028235e38f, "3.4028235e38"},
               {16777216, "16777216"},
               {0.00012f, "0.00012"}};
  static const char *const bad[] = {"",   "-",  ".",   "1.",   ".5",  "1e",  "1e-",        "+1",      "1,5",
                                    " 1", "1 ", "0x1", "1e39", "nan", "inf", "1234567890", "1e999999"};
  char text[64];
  lstm__text t;
  uint32_t bits, i;
  float back;
  (void)arg;
  for (i = 0; i < sizeof known / sizeof known[0]; ++i) {
    t = lstm__text_in(text, sizeof text);
    lstm__put_float(&t, known[i].value);
    assert_string_equal(text, known[i].text);
  }
  for (i = 0; i < sizeof bad / sizeof bad[0]; ++i) assert_false(lstm__parse_float(lstm__piece_of(bad[i]), &back));
  for (i = 0, bits = 1; i < 20000; ++i, bits = i < 3000   ? i
                                               : i < 6000 ? 0x7f7fffffu - i + 3000
                                                          : bits * 1664525u + 1013904223u) {
    float f = lstm__float_of_bits(bits);
    if (!lstm__finite((double)f)) continue;
    t = lstm__text_in(text, sizeof text);
    lstm__put_float(&t, f);
    assert_true(lstm__parse_float(lstm__piece_of(text), &back));
    assert_int_equal(lstm__bits_of_float(back), bits);
    assert_true(strtof(text, NULL) == f);
  }
}

/* --- fused multiply-add ------------------------------------------------------------------------------------------- */

static void check_fma(float a, float b, float c) {
  float got = lstm__soft_fma(a, b, c), wanted = fmaf(a, b, c);
  if (got != got && wanted != wanted) return;
  if (lstm__bits_of_float(got) != lstm__bits_of_float(wanted))
    fail_msg("fma(%a, %a, %a) = %a, not %a", (double)a, (double)b, (double)c, (double)got, (double)wanted);
}

/* Any bits, products that c nearly cancels, results around the subnormal range, and exact ties. libm's fmaf is the
   hardware's where there is one. */
static void test_emulated_fma_is_exact(void **arg) {
  static const float special[] = {0.0f,     -0.0f,   1.0f,      -1.0f,   1.5f,    FLT_MIN,
                                  -FLT_MIN, 1.4e-45f, -1.4e-45f, FLT_MAX, -FLT_MAX};
  lstm_rng rng = {1, 0};
  int i, k, m;
  (void)arg;
  for (i = 0; i < HELPERS_COUNT(special); i++)
    for (k = 0; k < HELPERS_COUNT(special); k++)
      for (m = 0; m < HELPERS_COUNT(special); m++) check_fma(special[i], special[k], special[m]);
  for (i = 0; i < 500000; i++) {
    uint32_t u = lstm_random_bits(&rng), v = lstm_random_bits(&rng), w = lstm_random_bits(&rng);
    float a = lstm__float_of_bits(u), b = lstm__float_of_bits(v), near = -(a * b), tiny;
    check_fma(a, b, lstm__float_of_bits(w));
    check_fma(a, b, lstm__float_of_bits(lstm__bits_of_float(near) + (w & 7) - 4));
    /* 2^-63 .. 2^0: products reach 2^-126 */
    a = lstm__float_of_bits((u & 0x807fffffu) | (uint32_t)(64 + (u >> 23 & 63)) << 23);
    b = lstm__float_of_bits((v & 0x807fffffu) | 1u << 29);
    tiny = lstm__float_of_bits(w & 0x80ffffffu);
    check_fma(a, b, tiny);
    a = lstm__float_of_bits((u & 0x80fff000u) | 0x3f800000u); /* 12 bits each: c decides ties */
    b = lstm__float_of_bits((v & 0x80fff000u) | 0x3f800000u);
    check_fma(a, b, lstm__float_of_bits((w & 0x80000000u) | (uint32_t)(60 + (w & 63)) << 23));
  }
}

/* --- functions in double, for initialisation, schedules and sampling ---------------------------------------------- */

static void test_square_roots_and_logarithms(void **arg) {
  lstm_rng rng = {2, 0};
  double worst_root = 0, worst_log = 0;
  int i;
  (void)arg;
  for (i = 0; i < 200000; i++) {
    double m = 1 + (double)lstm_random(&rng), x = ldexp(m, lstm_random_index(&rng, 400) - 200), e;
    e = fabs(lstm__sqrt(x) / sqrt(x) - 1), worst_root = e > worst_root ? e : worst_root;
    e = fabs(lstm__log(x) - log(x)) / fmax(fabs(log(x)), 1e-3), worst_log = e > worst_log ? e : worst_log;
  }
  for (i = 1; i < 2000; i++) assert_true(lstm__sqrt((double)i * i) == i);
  print_message("in double: sqrt within %.1e, log within %.1e\n", worst_root, worst_log);
  assert_true(worst_root < 4e-16);
  assert_true(worst_log < 1e-14);
  assert_true(lstm__sqrt(0) == 0);
}

static void test_the_cosine_is_one(void **arg) {
  static const int steps[] = {1, 2, 3, 4, 7, 1000, 100001};
  int i, n;
  (void)arg;
  for (i = 0; i < HELPERS_COUNT(steps); i++)
    for (n = 0; n <= steps[i]; n++)
      assert_true(fabs(lstm__cosine((uint64_t)n, (uint64_t)steps[i]) -
                       cos(3.14159265358979323846 * n / steps[i])) < 1e-14);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_sums_and_products_are_checked),
      cmocka_unit_test(test_rows_are_padded_to_sixteen),
      cmocka_unit_test(test_arenas_notice_overflow),
      cmocka_unit_test(test_text_is_cut_and_counted),
      cmocka_unit_test(test_every_half_is_read_exactly),
      cmocka_unit_test(test_floats_as_text_are_exact),
      cmocka_unit_test(test_emulated_fma_is_exact),
      cmocka_unit_test(test_square_roots_and_logarithms),
      cmocka_unit_test(test_the_cosine_is_one),
  };
  return cmocka_run_group_tests_name("unit/arithmetic", tests, NULL, NULL);
}
