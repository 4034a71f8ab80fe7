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
int host_parse_number(const char *p, const char *end, char point, double *value) {
  decimal d = {0, 0, 0};
  int negative = 0, exponent = 0, minus = 0;
  trim(&p, &end);
  if (p < end && (*p == '+' || *p == '-')) negative = *p++ == '-';
  p = read_digits(p, end, &d, 0);
  if (p < end && *p == point) p = read_digits(p + 1, end, &d, -1);
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

/* The end of the channel that begins at p. */
static const char *channel_end(const char *p, const char *last) {
  const char *stop = (const char *)memchr(p, ':', (size_t)(last - p));
  return stop ? stop : last;
}

/* How many channels, of `width`, have as many steps as the first one; *steps: those of the first one, or of the channel
   that differs, which has none where it is missing. */
static size_t count_channels(const char *p, const char *last, size_t width, size_t *steps) {
  size_t j, first = 0, n;
  for (j = 0; j < width; j++) {
    const char *stop = p <= last ? channel_end(p, last) : NULL;
    n = stop ? count_of(p, stop, ',') + 1 : 0;
    if (j == 0) first = n;
    *steps = n;
    if (!stop || n != first) return j;
    p = stop + 1;
  }
  return j;
}

/* series(line, channels) -> array [T][channels]; or nil, what is no number; or nil, nil, steps of the first channel,
   number and steps of another channel. The line has numbers between commas, channels between colons. */
static int csv_series(lua_State *L) {
  size_t size, steps = 0, t, j, width, same;
  const char *p = host_checkstring(L, 1, &size, "series"), *last = p + size, *stop, *first;
  int shape[2];
  host_array *out;
  double value;
  width = (size_t)host_checkint(L, 2, 1, INT_MAX, "series");
  same = count_channels(p, last, width, &steps); /* before there is an array of so many */
  if (same < width) {
    lua_pushnil(L), lua_pushnil(L);
    lua_pushinteger(L, (lua_Integer)count_of(p, channel_end(p, last), ',') + 1);
    lua_pushinteger(L, (lua_Integer)same + 1);
    lua_pushinteger(L, (lua_Integer)steps);
    return 5;
  }
  if (steps > INT_MAX) return host_raise(L, "series: too many steps");
  shape[0] = (int)steps, shape[1] = (int)width;
  out = host_newarray(L, HOST_FLOAT32, 2, shape);
  for (j = 0; j < width; j++, p = stop + 1) {
    stop = channel_end(p, last);
    for (t = 0; t < steps; t++, p = first + 1) {
      first = (const char *)memchr(p, ',', (size_t)(stop - p));
      if (!first) first = stop;
      if (!host_parse_number(p, first, '.', &value)) return bad_series(L, p, first);
      out->data.f[t * width + j] = (float)value;
    }
  }
  return 1;
}

/* --- dates -------------------------------------------------------------------------------------------------------- */

typedef struct date {
  int year, month, day;
  double seconds; /* of the day */
} date;

/* Up to `most` digits; returns how many there are. */
static int read_int(const char **p, const char *end, int most, int *value) {
  int n = 0;
  for (*value = 0; n < most && *p < end && is_digit(**p); n++) *value = *value * 10 + (*(*p)++ - '0');
  return n;
}

static int take(const char **p, const char *end, const char *any) {
  if (*p >= end || !**p || !strchr(any, **p)) return 0;
  ++*p;
  return 1;
}

/* "Jan", "january": 1. */
static int read_month_name(const char **p, const char *end, int *month) {
  static const char names[] = "janfebmaraprmayjunjulaugsepoctnovdec";
  char three[3];
  int k;
  for (k = 0; k < 3; k++) {
    if (*p + k >= end) return 0;
    three[k] = (char)((*p)[k] | 0x20);
  }
  for (*month = 1; *month <= 12 && memcmp(names + (*month - 1) * 3, three, 3) != 0; ++*month) continue;
  if (*month > 12) return 0;
  while (*p < end && (**p | 0x20) >= 'a' && (**p | 0x20) <= 'z') ++*p;
  return 1;
}

static int is_leap(int y) { return (y % 4 == 0 && y % 100 != 0) || y % 400 == 0; }

static int days_in(int year, int month) {
  return month == 2 ? 28 + is_leap(year) : 31 - (month == 4 || month == 6 || month == 9 || month == 11);
}

/* Days since 1970-01-01 in the Gregorian calendar; years begin in March here, so that leap days come last. */
static long days_since_1970(int y, int m, int d) {
  long year = m <= 2 ? y - 1 : y, day_of_year = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
  return year * 365 + year / 4 - year / 100 + year / 400 + day_of_year - 719468;
}

/* " 12:30", "T12:30:45.5Z", "T12:30+02:00" (the zone does not count), or nothing. */
static int read_time(const char *p, const char *end, date *out) {
  int hour, minute = 0, second = 0, zone;
  double part = 0, unit = 0.1;
  out->seconds = 0;
  if (p == end) return 1;
  if (!take(&p, end, "T t") || !read_int(&p, end, 2, &hour)) return 0;
  if (take(&p, end, ":") && read_int(&p, end, 2, &minute) != 2) return 0;
  if (take(&p, end, ":") && read_int(&p, end, 2, &second) != 2) return 0;
  if (take(&p, end, ".,")) {
    for (; p < end && is_digit(*p); p++, unit /= 10) part += (*p - '0') * unit;
  }
  if (!take(&p, end, "Zz") && take(&p, end, "+-")) {
    if (!read_int(&p, end, 4, &zone) || (take(&p, end, ":") && !read_int(&p, end, 2, &zone))) return 0;
  }
  out->seconds = hour * 3600 + minute * 60 + second + part;
  return p == end && hour <= 24 && minute < 60 && second <= 60;
}

/* Two numbers before a year: which one is the day? By `order`, by the point between them, or by their size. */
static int order_days(int a, int b, const char *order, char mark, date *out) {
  int day_first = order ? order[0] == 'd' : mark == '.' || a > 12;
  if (!order && mark != '.' && a <= 12 && b <= 12 && a != b) return 0;
  out->day = day_first ? a : b;
  out->month = day_first ? b : a;
  return 1;
}

/* "31.1.1981", "31/1/1981", "31-Jan-1981" from behind the first number on. -1: order_days cannot tell. */
static int read_day_first(const char **p, const char *end, int a, const char *order, date *out) {
  char mark = *p < end ? **p : 0;
  int b, known = 1;
  if (!take(p, end, "-/. ")) return 0;
  if (!read_int(p, end, 2, &b)) {
    if (!read_month_name(p, end, &out->month)) return 0;
    out->day = a;
  } else if (!order_days(a, b, order, mark, out)) {
    known = -1, out->day = out->month = 1;
  }
  return take(p, end, "-/. ") && read_int(p, end, 4, &out->year) == 4 ? known : 0;
}

/* "Jan 31, 1981" */
static int read_name_first(const char **p, const char *end, date *out) {
  if (!read_month_name(p, end, &out->month) || !take(p, end, " -/.") || !read_int(p, end, 2, &out->day)) return 0;
  take(p, end, ",");
  take(p, end, " -/.");
  return read_int(p, end, 4, &out->year) == 4;
}

/* "1981-01-31", "1981-01", "1981/Jan/31" from behind the year on. */
static int read_year_first(const char **p, const char *end, date *out) {
  out->day = 1;
  if (!take(p, end, "-/.")) return 0;
  if (!read_int(p, end, 2, &out->month) && !read_month_name(p, end, &out->month)) return 0;
  return !take(p, end, "-/.") || read_int(p, end, 2, &out->day);
}

/* A date of these forms or 19810131, with a time or without. 1; 0: there is none; -1: day and month cannot be told
   apart. */
static int parse_date(const char *p, const char *end, const char *order, date *out) {
  int first, digits, known = 1;
  trim(&p, &end);
  digits = read_int(&p, end, 8, &first);
  if (digits == 8) {
    out->year = first / 10000, out->month = first / 100 % 100, out->day = first % 100;
  } else if (digits == 4) {
    out->year = first;
    known = read_year_first(&p, end, out);
  } else if (digits == 0) {
    known = read_name_first(&p, end, out);
  } else {
    known = digits <= 2 ? read_day_first(&p, end, first, order, out) : 0;
  }
  if (!known || out->month < 1 || out->month > 12) return 0;
  if (out->day < 1 || out->day > days_in(out->year, out->month)) return 0;
  return read_time(p, end, out) ? known : 0;
}

static const char *const date_parts[] = {"days",    "year", "month",   "day", "weekday",
                                         "yearday", "hour", "seconds", NULL};

/* days: since 1970-01-01, with the time; weekday: 1 is Monday; hour: with its minutes; seconds: of the day. */
static double part_of(const date *d, int part) {
  long days = days_since_1970(d->year, d->month, d->day);
  switch (part) {
  case 0: return (double)days + d->seconds / 86400;
  case 1: return d->year;
  case 2: return d->month;
  case 3: return d->day;
  case 4: return (double)((days % 7 + 10) % 7 + 1);
  case 5: return (double)(days - days_since_1970(d->year, 1, 1) + 1);
  case 6: return d->seconds / 3600;
  default: return d->seconds;
  }
}

/* --- records ------------------------------------------------------------------------------------------------------ */

#define READER "lstm.csv_reader"
#define TEXTS "lstm.texts"
enum { FIRST = 1 << 16, MAX_CELL = 40 };

typedef struct span {
  const char *from, *to;
  int quoted; /* 2: with doubled quotes in it */
} span;

typedef struct reader {
  host_source in; /* a record is in its buffer as a whole */
  char separator, point;
  host_block fields;    /* spans */
  int count;            /* of fields in the record */
  long line, next_line; /* of the record, from 1, and of the next one */
  const char *problem;
  span problem_at;
} reader;

static reader *check_reader(lua_State *L) { return (reader *)luaL_checkudata(L, 1, READER); }

static int reader_close(lua_State *L) {
  reader *r = check_reader(L);
  host_close_source(&r->in);
  host_free(&r->fields);
  return 0;
}

static void begin(lua_State *L, reader *r) {
  host_rewind(L, &r->in);
  while (!r->in.done && r->in.end - r->in.at < 3) host_more(L, &r->in);
  if (r->in.end - r->in.at >= 3 && memcmp(r->in.at, "\xEF\xBB\xBF", 3) == 0) r->in.at += 3;
  r->line = r->next_line = 1;
}

typedef enum outcome { RECORD, FINISHED, BROKEN, INCOMPLETE } outcome;

static outcome fail(reader *r, const char *problem, const char *from, const char *to) {
  r->problem = problem;
  r->problem_at.from = from, r->problem_at.to = to, r->problem_at.quoted = 2;
  return BROKEN;
}

static void add_field(lua_State *L, reader *r, const char *from, const char *to, int quoted) {
  span field;
  field.from = from, field.to = to, field.quoted = quoted;
  host_append(L, &r->fields, &field, sizeof field);
  r->count++;
}

/* The quoted field whose text begins at p; *after is behind its closing quote. */
static outcome scan_quoted(lua_State *L, reader *r, const char *p, const char **after) {
  const char *from = p, *end = r->in.end;
  int quoted = 1;
  for (;; p++, quoted = 2) {
    for (; p < end && *p != '"'; p++) r->next_line += *p == '\n';
    if (p == end && r->in.done) return fail(r, "a quote is opened and never closed", NULL, NULL);
    if (p == end || (p + 1 == end && !r->in.done)) return INCOMPLETE;
    if (p + 1 == end || p[1] != '"') break;
    p++;
  }
  add_field(L, r, from, p, quoted);
  *after = ++p;
  if (p == end || *p == r->separator || *p == '\r' || *p == '\n') return RECORD;
  return fail(r, "text follows the closing quote of", from, p - 1);
}

/* The record at r->in.at, if the buffer has all of it. */
static outcome scan_record(lua_State *L, reader *r) {
  const char *p = r->in.at, *end = r->in.end, *from;
  r->fields.used = 0, r->count = 0;
  r->line = r->next_line;
  if (p == end) return r->in.done ? FINISHED : INCOMPLETE;
  for (;; p++) {
    if (p < end && *p == '"') {
      outcome o = scan_quoted(L, r, p + 1, &p);
      if (o != RECORD) return o;
    } else {
      for (from = p; p < end && *p != r->separator && *p != '\n' && *p != '\r';) p++;
      add_field(L, r, from, p, 0);
    }
    if (p == end && !r->in.done) return INCOMPLETE;
    if (p == end || *p != r->separator) break;
  }
  if (p < end && *p == '\r') {
    if (p + 1 == end && !r->in.done) return INCOMPLETE;
    if (p + 1 < end && p[1] == '\n') p++;
  }
  if (p < end) p++, r->next_line++; /* an end of one \r, too */
  r->in.at = p;
  return RECORD;
}

static const span *fields_of(const reader *r) { return (const span *)(const void *)r->fields.bytes; }

/* The next record that is not blank. */
static outcome next_record(lua_State *L, reader *r) {
  for (;;) {
    long line = r->next_line;
    outcome o;
    host_poll(L); /* a string may be long */
    if (r->in.error) return fail(r, strerror(r->in.error), NULL, NULL);
    o = scan_record(L, r);
    if (o == INCOMPLETE) {
      r->next_line = line;
      host_more(L, &r->in);
    } else if (o != RECORD || r->count > 1) {
      return o;
    } else {
      span s = *fields_of(r);
      trim(&s.from, &s.to);
      if (s.from < s.to || s.quoted) return o; /* "" is a cell, whose value is missing */
    }
  }
}

/* Pushes the text of a field, doubled quotes once. */
static void push_field(lua_State *L, const span *field) {
  lua_pushlstring(L, field->from, (size_t)(field->to - field->from));
  if (field->quoted == 2) {
    luaL_gsub(L, lua_tostring(L, -1), "\"\"", "\"");
    lua_remove(L, -2);
  }
}

/* A cell for a message: short. */
static const char *push_cell(lua_State *L, const span *field) {
  span s = *field;
  int cut;
  trim(&s.from, &s.to);
  cut = s.to - s.from > MAX_CELL;
  if (cut) s.to = s.from + MAX_CELL - 3;
  push_field(L, &s);
  if (cut) {
    lua_pushliteral(L, "...");
    lua_concat(L, 2);
  }
  return lua_tostring(L, -1);
}

/* nil, line, message for what is wrong with a record; no line (false) where the file cannot be read. */
static int push_problem(lua_State *L, const reader *r) {
  lua_pushnil(L);
  lua_pushinteger(L, r->line);
  if (r->in.error) lua_pushboolean(L, 0), lua_replace(L, -2);
  if (r->problem_at.from) {
    const char *cell = push_cell(L, &r->problem_at);
    lua_pushfstring(L, "%s \"%s\"", r->problem, cell);
    lua_remove(L, -2);
  } else {
    lua_pushstring(L, r->problem);
  }
  return 3;
}

/* csv_reader(path) or csv_reader(nil, text) -> a reader; or nil, message, status. */
static int csv_reader(lua_State *L) {
  reader *r;
  lua_settop(L, 2);
  r = (reader *)host_newuserdata(L, sizeof *r, 1);
  memset(r, 0, sizeof *r);
  luaL_setmetatable(L, READER);
  return host_open_source(L, &r->in, 1, "csv") ? 1 : 3;
}

/* The separator that the first line uses most, outside quotes. */
static char detect_separator(const char *p, const char *end) {
  static const char choices[] = ",;\t|";
  size_t n[sizeof choices] = {0, 0, 0, 0, 0}, best = 0, k;
  int quoted = 0;
  for (; p < end && *p != '\n' && *p != '\r'; p++) {
    const char *found = *p ? strchr(choices, *p) : NULL;
    if (*p == '"') quoted = !quoted;
    else if (found && !quoted) n[found - choices]++;
  }
  for (k = 1; k < sizeof choices - 1; k++) {
    if (n[k] > 0 && n[k] >= n[best]) best = k; /* a comma may be a decimal sign or stand in a name */
  }
  return choices[best];
}

/* The decimal sign of the first rows: a comma where more cells are numbers with it than with a point. */
static char detect_point(lua_State *L, reader *r) {
  int balance = 0, rows, k;
  double value;
  if (r->separator == ',') return '.';
  for (rows = 0; rows < 100 && next_record(L, r) == RECORD; rows++) {
    for (k = 0; k < r->count; k++) {
      const span *s = fields_of(r) + k;
      balance += host_parse_number(s->from, s->to, ',', &value) - host_parse_number(s->from, s->to, '.', &value);
    }
  }
  begin(L, r);
  return balance > 0 ? ',' : '.';
}

/* reader:first(separator or nil, point or nil) -> the fields of the first record, trimmed, and how many of them are
   numbers; false where there is none; or nil, line, message. */
static int reader_first(lua_State *L) {
  reader *r = check_reader(L);
  const char *separator = lua_tostring(L, 2);
  int k, numbers = 0;
  double value;
  outcome o;
  begin(L, r);
  while (!r->in.done && r->in.end - r->in.at < FIRST) host_more(L, &r->in);
  while (r->in.at < r->in.end && (*r->in.at == '\n' || *r->in.at == '\r')) r->next_line += *r->in.at++ == '\n';
  r->separator = separator ? *separator : detect_separator(r->in.at, r->in.end);
  r->point = lua_isnil(L, 3) ? detect_point(L, r) : *host_checkstring(L, 3, NULL, "csv");
  o = next_record(L, r);
  if (o == BROKEN) return push_problem(L, r);
  if (o == FINISHED) {
    lua_pushboolean(L, 0);
    return 1;
  }
  lua_createtable(L, r->count, 0);
  for (k = 0; k < r->count; k++) {
    span s = fields_of(r)[k];
    trim(&s.from, &s.to);
    numbers += host_parse_number(s.from, s.to, r->point, &value);
    push_field(L, &s);
    lua_rawseti(L, -2, k + 1);
  }
  lua_pushinteger(L, numbers);
  return 2;
}

/* --- cells -------------------------------------------------------------------------------------------------------- */

static int is_missing(const char *p, const char *end) {
  static const char *const words[] = {"", "na", "n/a", "nan", "null", "none", "?", NULL};
  size_t n, k, i;
  trim(&p, &end);
  n = (size_t)(end - p);
  for (k = 0; words[k]; k++) {
    for (i = 0; i < n && words[k][i] && (p[i] == words[k][i] || (p[i] | 0x20) == words[k][i]); i++) continue;
    if (i == n && !words[k][i]) return 1;
  }
  return 0;
}

/* reader:numeric(width, header) -> a list of whether the first cell of a column that has a value is a number (nil:
   there is none); or nil, line, message. */
static int reader_numeric(lua_State *L) {
  reader *r = check_reader(L);
  int width = host_checkint(L, 2, 1, INT_MAX, "csv"), open = width, k;
  double value;
  outcome o = RECORD;
  begin(L, r);
  if (lua_toboolean(L, 3)) o = next_record(L, r);
  lua_createtable(L, width, 0);
  while (open > 0 && o == RECORD && (o = next_record(L, r)) == RECORD) {
    for (k = 0; k < width && k < r->count; k++) {
      const span *s = fields_of(r) + k;
      if (is_missing(s->from, s->to)) continue;
      lua_rawgeti(L, -1, k + 1);
      if (lua_isnil(L, -1)) {
        lua_pushboolean(L, host_parse_number(s->from, s->to, r->point, &value));
        lua_rawseti(L, -3, k + 1);
        open--;
      }
      lua_pop(L, 1);
    }
  }
  return o == BROKEN ? push_problem(L, r) : 1;
}

/* Texts of a column, one after the other. */
typedef struct texts {
  host_block bytes, ends; /* ends: a size_t for each text */
} texts;

static int texts_close(lua_State *L) {
  texts *t = (texts *)luaL_checkudata(L, 1, TEXTS);
  host_free(&t->bytes);
  host_free(&t->ends);
  return 0;
}

static void add_text(lua_State *L, texts *t, span s) {
  if (!s.quoted) trim(&s.from, &s.to);
  while (s.from < s.to) {
    const char *quote = s.quoted == 2 ? (const char *)memchr(s.from, '"', (size_t)(s.to - s.from)) : NULL;
    const char *stop = quote ? quote + 1 : s.to;
    host_append(L, &t->bytes, s.from, (size_t)(stop - s.from));
    s.from = quote ? stop + 1 : stop;
  }
  host_append(L, &t->ends, &t->bytes.used, sizeof t->bytes.used);
}

/* texts:get(i) -> the text number i, from 1 */
static int texts_get(lua_State *L) {
  const texts *t = (const texts *)luaL_checkudata(L, 1, TEXTS);
  int i = host_checkint(L, 2, 1, (int)(t->ends.used / sizeof(size_t)), "text");
  size_t from = 0, to;
  if (i > 1) memcpy(&from, t->ends.bytes + (size_t)(i - 2) * sizeof from, sizeof from);
  memcpy(&to, t->ends.bytes + (size_t)(i - 1) * sizeof to, sizeof to);
  lua_pushlstring(L, t->bytes.bytes + from, to - from);
  return 1;
}

/* What becomes of a cell. */
typedef struct column {
  int index, part; /* part: NUMBER, TEXT, or the place in date_parts */
  const char *name, *order;
  texts *store;
  size_t values;
} column;

enum { NUMBER = -1, TEXT = -2 };
enum { GAP_ERROR, GAP_INTERPOLATE, GAP_DROP, GAP_FILL };

typedef struct job {
  reader *r;
  column *columns;
  int count, numbers, width, gaps;
  float fill;
  host_array *out;
} job;

/* The column of the table on the top: {index =, name =, text = true or part =, order =}. A store goes into the table at
   `stores` by name. */
static void read_column(lua_State *L, column *c, int stores) {
  int table = lua_gettop(L);
  c->index = host_field_int(L, table, "index", 1, 1, INT_MAX) - 1;
  host_field(L, table, "name");
  c->name = lua_tostring(L, -1);
  host_field(L, table, "order");
  c->order = lua_tostring(L, -1);
  c->part = host_field_bool(L, table, "text", 0) ? TEXT : host_field_choice(L, table, "part", NUMBER, date_parts);
  c->store = NULL, c->values = 0;
  if (c->part == TEXT) {
    c->store = (texts *)host_newuserdata(L, sizeof *c->store, 0);
    memset(c->store, 0, sizeof *c->store);
    luaL_setmetatable(L, TEXTS);
    lua_setfield(L, stores, c->name);
  }
  lua_settop(L, table);
}

static int bad_cell(lua_State *L, const job *j, const column *c, const span *s, const char *what) {
  const char *cell, *hint = "";
  lua_pushnil(L);
  lua_pushinteger(L, j->r->line);
  cell = push_cell(L, s);
  if (!what) {
    const char *comma = strchr(cell, j->r->point == '.' ? ',' : '.');
    int near = c->part == NUMBER && comma && comma > cell && is_digit(comma[-1]) && is_digit(comma[1]);
    if (near && j->r->point == '.') hint = " (the decimal sign must be a point, or say decimal = \",\")";
    if (near && j->r->point == ',') hint = " (the decimal sign must be a comma)";
    what = c->part == NUMBER ? "is not a number" : "is not a date";
  }
  lua_pushfstring(L, "column \"%s\": \"%s\" %s%s", c->name, cell, what, hint);
  lua_remove(L, -2);
  return 3;
}

static int bad_width(lua_State *L, const job *j) {
  lua_pushnil(L);
  lua_pushinteger(L, j->r->line);
  lua_pushfstring(L, "%d cell%s, but there %s %d column%s", j->r->count, j->r->count == 1 ? "" : "s",
                  j->width == 1 ? "is" : "are", j->width, j->width == 1 ? "" : "s");
  return 3;
}

static int missing_cell(lua_State *L, const job *j, const column *c) {
  lua_pushnil(L);
  lua_pushinteger(L, j->r->line);
  lua_pushfstring(L, "column \"%s\": the value is missing (missing = %s accepts that)", c->name,
                  "\"interpolate\", \"fill\" or \"drop\"");
  return 3;
}

/* One cell as a number, NaN where it is missing: 0, or what bad_cell pushes. */
static int read_cell(lua_State *L, const job *j, column *c, const span *s, float *to) {
  double value;
  date d;
  int found = c->part == NUMBER ? host_parse_number(s->from, s->to, j->r->point, &value)
                                : parse_date(s->from, s->to, c->order, &d);
  if (found < 0) return bad_cell(L, j, c, s, "has two readings: name the order, as in \"days dmy\" or \"days mdy\"");
  if (found) {
    *to = (float)(c->part == NUMBER ? value : part_of(&d, c->part));
    c->values++;
    return 0;
  }
  if (!is_missing(s->from, s->to)) return bad_cell(L, j, c, s, NULL);
  if (j->gaps == GAP_ERROR) return missing_cell(L, j, c);
  *to = j->gaps == GAP_FILL ? j->fill : (float)NAN;
  return 0;
}

/* The record as a row of the result; *kept says whether it stays. 0, or what is wrong. */
static int read_row(lua_State *L, const job *j, size_t row, int *kept) {
  float *to = j->out->data.f + row * (size_t)j->numbers;
  int k, bad;
  *kept = 1;
  if (j->r->count != j->width) return bad_width(L, j);
  for (k = 0; k < j->count; k++) {
    column *c = j->columns + k;
    if (c->part == TEXT) continue;
    if ((bad = read_cell(L, j, c, fields_of(j->r) + c->index, to)) != 0) return bad;
    if (j->gaps == GAP_DROP && *to != *to) *kept = 0;
    to++;
  }
  for (k = 0; *kept && k < j->count; k++) {
    if (j->columns[k].store) add_text(L, j->columns[k].store, fields_of(j->r)[j->columns[k].index]);
  }
  return 0;
}

/* Fills gaps on the straight line between the neighbours; at the ends, with the nearest value. */
static void interpolate(float *p, size_t n, size_t stride) {
  size_t i, k, gap = 0; /* the first row that is not known */
  for (i = 0; i < n; i++) {
    double from, step;
    if (p[i * stride] != p[i * stride]) continue;
    from = (double)p[(gap ? gap - 1 : i) * stride];
    step = gap ? ((double)p[i * stride] - from) / (double)(i - gap + 1) : 0;
    for (k = gap; k < i; k++) p[k * stride] = (float)(from + step * (double)(k - gap + 1));
    gap = i + 1;
  }
  for (k = gap; gap && k < n; k++) p[k * stride] = p[(gap - 1) * stride];
}

/* At most so many records can follow: there are so many lines that are not blank, and so many bytes. */
static size_t count_records(lua_State *L, reader *r, int width) {
  size_t lines = 0, bytes = 0;
  char last = '\n';
  begin(L, r);
  for (;;) {
    const char *p;
    for (p = r->in.at; p < r->in.end; p++) {
      lines += (*p == '\n' || *p == '\r') && last != '\n' && last != '\r';
      last = *p;
    }
    bytes += (size_t)(r->in.end - r->in.at);
    r->in.at = r->in.end;
    if (r->in.done) break;
    host_more(L, &r->in);
  }
  lines++;
  return lines < bytes / (size_t)width + 1 ? lines : bytes / (size_t)width + 1;
}

static int finish(lua_State *L, const job *j, size_t rows, long first_line) {
  int k, at = 0, shape[2];
  for (k = 0; k < j->count; k++) {
    const column *c = j->columns + k;
    if (c->part == TEXT) continue;
    if (c->values == 0) {
      lua_pushnil(L);
      lua_pushinteger(L, first_line);
      lua_pushfstring(L, "column \"%s\" has no values", c->name);
      return 3;
    }
    if (j->gaps == GAP_INTERPOLATE) interpolate(j->out->data.f + at, rows, (size_t)j->numbers);
    at++;
  }
  shape[0] = (int)rows, shape[1] = j->numbers;
  host_pushview(L, -1, 2, shape, 0);
  return 1;
}

/* The array on the top gets the records one by one. */
static int read_records(lua_State *L, job *j, size_t most, int header) {
  size_t rows = 0;
  long first_line = 0;
  int kept, bad;
  outcome o = RECORD;
  begin(L, j->r);
  if (header) o = next_record(L, j->r);
  while (o == RECORD && (o = next_record(L, j->r)) == RECORD) {
    if (!first_line) first_line = j->r->line;
    if (rows == most) return host_raise(L, "csv: the file changes while it is read");
    if ((bad = read_row(L, j, rows, &kept)) != 0) return bad;
    rows += (size_t)kept;
  }
  if (o == BROKEN) return push_problem(L, j->r);
  if (first_line) return finish(L, j, rows, first_line);
  lua_pushboolean(L, 0);
  return 1;
}

/* reader:read(columns, {width, header, missing, fill}, stores) -> array [rows][numbers]; false where there are no
   records; or nil, line, message. */
static int reader_read(lua_State *L) {
  static const char *const gaps[] = {"error", "interpolate", "drop", "fill", NULL};
  job j;
  size_t most;
  int shape[2], k;
  memset(&j, 0, sizeof j);
  j.r = check_reader(L);
  host_checktable(L, 2, "csv"), host_checktable(L, 3, "csv"), host_checktable(L, 4, "csv");
  j.count = (int)lua_rawlen(L, 2);
  j.columns = (column *)host_newuserdata(L, (size_t)j.count * sizeof *j.columns + 1, 0);
  j.width = host_field_int(L, 3, "width", 1, 1, INT_MAX);
  for (k = 0; k < j.count; k++) {
    lua_rawgeti(L, 2, k + 1);
    read_column(L, j.columns + k, 4);
    lua_pop(L, 1);
    j.numbers += j.columns[k].part != TEXT;
    if (j.columns[k].index >= j.width) return host_raise(L, "csv: no column %d", j.columns[k].index + 1);
  }
  j.gaps = host_field_choice(L, 3, "missing", 0, gaps);
  j.fill = (float)host_field_number(L, 3, "fill", 0);
  most = count_records(L, j.r, j.width);
  if (most > INT_MAX) return host_raise(L, "csv: too many rows");
  shape[0] = (int)most, shape[1] = j.numbers;
  j.out = host_newarray(L, HOST_FLOAT32, 2, shape);
  return read_records(L, &j, most, host_field_bool(L, 3, "header", 0));
}

static const luaL_Reg reader_methods[] = {
    {"first", reader_first}, {"numeric", reader_numeric}, {"read", reader_read}, {NULL, NULL}};

static const luaL_Reg texts_methods[] = {{"get", texts_get}, {NULL, NULL}};

static const luaL_Reg functions[] = {{"series", csv_series}, {"csv_reader", csv_reader}, {NULL, NULL}};

void host_open_csv(lua_State *L, int core) {
  host_newtype(L, READER, reader_methods, reader_close);
  host_newtype(L, TEXTS, texts_methods, texts_close);
  lua_pop(L, 2);
  lua_pushvalue(L, core);
  luaL_setfuncs(L, functions, 0);
  lua_pop(L, 1);
}
