/* embed.c: embed FILE ... > embedded.c
   Packs the Lua files (and the stubs, whose comments are the text of help) into one C file that the host unpacks, each
   file when it is first needed: host/module.c, unpack. Comments and indentation of .lua files are left out; line ends
   stay, so that the numbers of lines are those of the source.

   Packed: matches of earlier text and single bytes, chosen for the fewest bits, each bit coded by a range coder that
   learns how likely it is. About a quarter of the size, and 30 lines to unpack. Numbers instead of strings in C: C99
   promises no string literal longer than 4,095 characters. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 1 << 20, CHAIN = 400, SHORTEST = 2, LONGEST = 1 << 12 };

/* --- reading ------------------------------------------------------------------------------------------------------ */

static unsigned char text[MOST];
static int size;

static int read_file(const char *path) {
  FILE *file = fopen(path, "rb");
  if (!file) return perror(path), 0;
  size = (int)fread(text, 1, MOST, file);
  fclose(file);
  if (size == MOST) return fprintf(stderr, "%s is too large\n", path), 0;
  return 1;
}

/* The place after a long bracket [==[ ... ]==] that begins at i, or i where none does. */
static int long_bracket(int i) {
  int equals = 0, k = i + 1, n;
  if (i >= size || text[i] != '[') return i;
  while (k < size && text[k] == '=') k++, equals++;
  if (k >= size || text[k] != '[') return i;
  for (; k < size; k++) {
    if (text[k] != ']') continue;
    for (n = 0; k + 1 + n < size && text[k + 1 + n] == '='; n++) continue;
    if (n == equals && k + 1 + n < size && text[k + 1 + n] == ']') return k + n + 2;
  }
  return size;
}

/* The place after a string in quotes that begins at i. */
static int quoted(int i) {
  unsigned char quote = text[i++];
  for (; i < size && text[i] != quote; i++) i += text[i] == '\\';
  return i < size ? i + 1 : size;
}

/* Leaves out comments, indentation and blanks at line ends. */
static void strip(void) {
  int from = 0, to = 0, end;
  while (from < size) {
    int comment = text[from] == '-' && from + 1 < size && text[from + 1] == '-';
    if (comment) {
      end = long_bracket(from + 2);
      if (end == from + 2) {
        while (end < size && text[end] != '\n') end++;
      }
      for (; from < end; from++) {
        if (text[from] == '\n') text[to++] = '\n';
      }
      if (to > 0 && text[to - 1] != '\n') text[to++] = ' '; /* what stood around it stays apart */
      continue;
    }
    end = text[from] == '"' || text[from] == '\'' ? quoted(from) : long_bracket(from);
    if (end > from) {
      memmove(text + to, text + from, (size_t)(end - from));
      to += end - from;
      from = end;
      continue;
    }
    if (text[from] == '\n') {
      while (to > 0 && text[to - 1] == ' ') to--;
    }
    if (text[from] != ' ' || (to > 0 && text[to - 1] != '\n')) text[to++] = text[from];
    from++;
  }
  size = to;
}

/* --- the range coder ---------------------------------------------------------------------------------------------- */

/* Chances of a 0 out of 4,096: of literals by the byte before, of the kind of item, and of the bits of numbers. */
enum { LITERALS = 0, KINDS = 256 * 256, LENGTHS = KINDS + 4, PLACES = LENGTHS + 1024, CHANCES = PLACES + 1024 };
static uint16_t chances[CHANCES];
static unsigned char packed[MOST * 2];
static int packed_size, pending;
static uint32_t range;
static uint64_t low;

static void shift(void) {
  if (low < 0xFF000000u || low > 0xFFFFFFFFu) { /* no carry can reach further back than the bytes that wait */
    int carry = low > 0xFFFFFFFFu;
    if (packed_size >= 0) packed[packed_size] = (unsigned char)(packed[packed_size] + carry);
    for (; pending > 0; pending--) packed[++packed_size] = (unsigned char)(0xFF + carry);
    packed[++packed_size] = (unsigned char)(low >> 24);
  } else {
    pending++;
  }
  low = (low & 0x00FFFFFFu) << 8;
}

static void code_bit(int place, int bit) {
  uint16_t *chance = chances + place;
  uint32_t bound = (range >> 12) * *chance;
  if (bit) low += bound, range -= bound, *chance = (uint16_t)(*chance - (*chance >> 4));
  else range = bound, *chance = (uint16_t)(*chance + ((4096 - *chance) >> 4));
  for (; range < 1u << 24; range <<= 8) shift();
}

/* A number from 1: how many bits it has in unary, then the bits below the highest one. */
static void code_number(int base, int number) {
  int bits = 0, k;
  while (number >> (bits + 1)) bits++;
  for (k = 0; k <= bits; k++) code_bit(base + k, k < bits);
  for (k = bits - 1; k >= 0; k--) code_bit(base + 32 + bits * 32 + k, number >> k & 1);
}

static void code_literal(unsigned char before, unsigned char byte) {
  int node = 1, k;
  for (k = 7; k >= 0; k--) {
    int bit = byte >> k & 1;
    code_bit(LITERALS + before * 256 + node, bit);
    node = node * 2 + bit;
  }
}

/* --- packing ------------------------------------------------------------------------------------------------------ */

static int head[65536], chain[MOST], cost[MOST + 1], step[MOST], place[MOST];

static int bits_of(int number) {
  int bits = 0;
  while (number >>= 1) bits++;
  return bits;
}

/* About how many quarter bits a match takes; a literal takes LITERAL. */
enum { LITERAL = 22 };
static int match_cost(int length, int distance) {
  return 8 + 4 * bits_of(distance) + 5 * bits_of(length);
}

/* The nearest match of each length at i goes into the plan, where it is cheaper. */
static void plan_matches(int i) {
  int tries = CHAIN, known = SHORTEST - 1, at = chain[i], length;
  for (; at >= 0 && tries > 0; at = chain[at], tries--) {
    for (length = 0; i + length < size && length < LONGEST && text[at + length] == text[i + length]; length++) continue;
    for (; known < length; known++) {
      int price = match_cost(known + 1, i - at) + cost[i + known + 1];
      if (price < cost[i]) cost[i] = price, step[i] = known + 1, place[i] = i - at;
    }
  }
}

/* From the end: the cheapest way to code what is left. */
static void plan(void) {
  int i;
  memset(head, -1, sizeof head);
  for (i = 0; i < size; i++) {
    int key = text[i] | (i + 1 < size ? text[i + 1] : 0) << 8;
    chain[i] = head[key];
    head[key] = i;
  }
  cost[size] = 0;
  for (i = size - 1; i >= 0; i--) {
    cost[i] = cost[i + 1] + LITERAL;
    step[i] = 1;
    if (i + 1 < size) plan_matches(i);
  }
}

static void pack(void) {
  int i, kind = 0;
  for (i = 0; i < CHANCES; i++) chances[i] = 2048;
  packed_size = -1;
  pending = 0;
  low = 0;
  range = 0xFFFFFFFFu;
  plan();
  for (i = 0; i < size; i += step[i]) {
    int is_match = step[i] > 1;
    code_bit(KINDS + kind, is_match);
    kind = is_match;
    if (is_match) code_number(LENGTHS, step[i] - 1), code_number(PLACES, place[i]);
    else code_literal(i > 0 ? text[i - 1] : 0, text[i]);
  }
  for (i = 0; i < 5; i++) shift();
  packed_size++;
}

/* --- writing ------------------------------------------------------------------------------------------------------ */

static int ends_in(const char *path, const char *end) {
  size_t n = strlen(path), m = strlen(end);
  return n >= m && strcmp(path + n - m, end) == 0;
}

/* "host/lua/fit.lua" is called fit, "scripts/chars.lua" scripts/chars, "host/lstm.d.lua" lstm.d; other files keep their
   names: "host/report/report.js" is report.js. */
static void print_name(const char *path) {
  const char *name = strrchr(path, '/');
  name = name ? name + 1 : path;
  if (name - path >= 8 && strncmp(name - 8, "scripts/", 8) == 0) name -= 8;
  printf("%.*s", (int)strlen(name) - (ends_in(path, ".lua") ? 4 : 0), name);
}

static int embed(const char *path, int number) {
  int i;
  if (!read_file(path)) return 0;
  if (ends_in(path, ".lua") && !ends_in(path, ".d.lua")) strip();
  pack();
  printf("static const unsigned char file_%d[] = {", number);
  for (i = 0; i < packed_size; i++) printf("%s%d,", i % 32 ? "" : "\n", packed[i]);
  printf("0};\nenum { size_%d = %d };\n\n", number, size);
  return 1;
}

int main(int argc, char **argv) {
  int i;
  printf("/* Made from host/lua and scripts by host/embed.c. */\n#include \"host.h\"\n\n");
  for (i = 1; i < argc; i++) {
    if (!embed(argv[i], i)) return 1;
  }
  printf("const host_file host_files[] = {\n");
  for (i = 1; i < argc; i++) {
    printf("  {\"");
    print_name(argv[i]);
    printf("\", file_%d, sizeof file_%d, size_%d},\n", i, i, i);
  }
  printf("  {NULL, NULL, 0, 0}};\n");
  return 0;
}
