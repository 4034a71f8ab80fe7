/* csv.c: numbers from text: files of comma separated values, and the lines of `.ts` files. */
#include <limits.h>
#include <math.h>
#include <string.h>

#include "host.h"

/* --- one number --------------------------------------------------------------------------------------------------- */

static int is_digit(char c) { return c >= '0' && c <= '9'; }

static int is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

/* The span [*text, *end) without spaces around it. */
static void trim(const char **text, const char **end) {
  while (*text < *end && is_space(**text)) ++*text;
  while (*end > *text && is_space((*end)[-1])) --*end;
}

/* The digits of a decimal number as an integer of up to 19 digits and a power of ten. */
typedef struct decimal {
  uint64_t digits;
  int power, any;
} decimal;

static const char *read_digits(const char *p, const char *end, decimal *d, int step) {
  for (; p < end && is_digit(*p); p++) {
    d->any = 1;
    if (d->digits < 1000000000000000000u) {
      d->digits = d->digits * 10 + (uint64_t)(*p - '0');
      d->power += step;
    } else if (step == 0) {
      d->power++; /* too many digits to matter */
    }
  }
  return p;
}

/* 10^n for n from 0 to 22 is exact. */
static double ten_to(int n) {
  static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                  1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
  return n <= 22 ? powers[n] : pow(10, n);
}

/* A decimal number that a float32 can hold, and nothing else: no hexadecimal digits, no inf, no nan, no locale. */
int host_parse_number(const char *p, const char *end, double *value) {
  decimal d = {0, 0, 0};
  int negative = 0, exponent = 0, minus = 0;
  trim(&p, &end);
  if (p < end && (*p == '+' || *p == '-')) negative = *p++ == '-';
  p = read_digits(p, end, &d, 0);
  if (p < end && *p == '.') p = read_digits(p + 1, end, &d, -1);
  if (!d.any) return 0;
  if (p < end && (*p == 'e' || *p == 'E')) {
    p++;
    if (p < end && (*p == '+' || *p == '-')) minus = *p++ == '-';
    if (p == end) return 0;
    for (; p < end && is_digit(*p); p++) exponent = exponent < 10000 ? exponent * 10 + (*p - '0') : exponent;
    d.power += minus ? -exponent : exponent;
  }
  if (p != end) return 0;
  *value = (double)d.digits;
  if (d.power < -340 || d.digits == 0) *value = 0;
  else if (d.power < 0) *value /= ten_to(-d.power);
  else *value *= ten_to(d.power > 400 ? 400 : d.power);
  if (negative) *value = -*value;
  return fabs(*value) <= 3.4028235e38;
}

/* --- `.ts` files -------------------------------------------------------------------------------------------------- */

static size_t count_of(const char *p, const char *end, char what) {
  size_t n = 0;
  for (; p < end; p++) n += *p == what;
  return n;
}

static int bad_series(lua_State *L, const char *text, const char *end) {
  lua_pushnil(L);
  trim(&text, &end);
  lua_pushlstring(L, text, end - text > 40 ? 40 : (size_t)(end - text));
  return 2;
}

/* series(line, channels) -> array [T][channels]; or nil, what is no number; or nil, nil, steps of the first channel,
   number and steps of another channel. The line has numbers between commas, channels between colons. */
static int csv_series(lua_State *L) {
  size_t size, steps, t, j, width;
  const char *p = host_checkstring(L, 1, &size, "series"), *last = p + size, *stop, *first;
  int shape[2];
  host_array *out;
  double value;
  width = (size_t)host_checkint(L, 2, 1, INT_MAX, "series");
  stop = (const char *)memchr(p, ':', size);
  steps = count_of(p, stop ? stop : last, ',') + 1;
  if (steps > INT_MAX) return host_raise(L, "series: too many steps");
  shape[0] = (int)steps, shape[1] = (int)width;
  out = host_newarray(L, HOST_FLOAT32, 2, shape);
  for (j = 0; j < width; j++, p = stop + 1) {
    stop = p <= last ? (const char *)memchr(p, ':', (size_t)(last - p)) : NULL;
    if (!stop) stop = last;
    if (p > last || count_of(p, stop, ',') + 1 != steps) {
      lua_pushnil(L), lua_pushnil(L);
      lua_pushinteger(L, (lua_Integer)steps);
      lua_pushinteger(L, (lua_Integer)j + 1);
      lua_pushinteger(L, p > last ? 0 : (lua_Integer)count_of(p, stop, ',') + 1);
      return 5;
    }
    for (t = 0; t < steps; t++, p = first + 1) {
      first = (const char *)memchr(p, ',', (size_t)(stop - p));
      if (!first) first = stop;
      if (!host_parse_number(p, first, &value)) return bad_series(L, p, first);
      out->data.f[t * width + j] = (float)value;
    }
  }
  return 1;
}

static const luaL_Reg functions[] = {{"series", csv_series}, {NULL, NULL}};

void host_open_csv(lua_State *L, int core) {
  lua_pushvalue(L, core);
  luaL_setfuncs(L, functions, 0);
  lua_pop(L, 1);
}
