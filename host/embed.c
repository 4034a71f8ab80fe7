/* embed.c: embed FILE ... > embedded.c
   Packs files into one C file, which the host unpacks as far as it needs them (host/module.c, unpack): the files that
   every start needs come first. They are the Lua of host/lua, the scripts, the stubs (whose comments are the text of
   help), and parts of pages. Comments and indentation of Lua are left out; line ends stay, so that the numbers of lines
   are those of the source.

   Packed: matches of earlier text and single bytes, chosen for the fewest bits, each bit coded by a range coder that
   learns how likely it is. About a sixth of the size, and 30 lines to unpack. Numbers instead of strings in C: C99
   promises no string literal longer than 4,095 characters. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 1 << 21, CHAIN = 200, SHORTEST = 2, LONGEST = 1 << 12 };

/* --- reading ------------------------------------------------------------------------------------------------------ */

static unsigned char text[MOST];
static int size;

/* Appends a file. */
static int read_file(const char *path) {
  FILE *file = fopen(path, "rb");
  if (!file) return perror(path), 0;
  size += (int)fread(text + size, 1, (size_t)(MOST - size), file);
  fclose(file);
  if (size == MOST) return fputs("the files are too large\n", stderr), 0;
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

/* Leaves out comments, indentation and blanks at line ends of the text from `start` on. */
static void strip(int start) {
  int from = start, to = start, end;
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
      if (to > start && text[to - 1] != '\n') text[to++] = ' '; /* what stood around it stays apart */
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
      while (to > start && text[to - 1] == ' ') to--;
    }
    if (text[from] != ' ' || (to > start && text[to - 1] != '\n')) text[to++] = text[from];
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

/* The places before that begin with the same two, three and four bytes; of the last kind all, as a chain. */
static int pairs[MOST], triples[MOST], chain[MOST], cost[MOST + 1], step[MOST], place[MOST];

static int bits_of(int number) {
  int bits = 0;
  while (number >>= 1) bits++;
  return bits;
}

/* About how many quarter bits a match takes; a literal takes LITERAL. */
enum { LITERAL = 24 };
static int match_cost(int length, int distance) {
  return 16 + 4 * bits_of(distance) + 4 * bits_of(length);
}

/* Matches of the text at i with that at `at`, longer than `known`, go into the plan where they are cheaper. */
static int plan_match(int i, int at, int known) {
  int length = 0;
  while (i + length < size && length < LONGEST && text[at + length] == text[i + length]) length++;
  for (; known < length; known++) {
    int price = match_cost(known + 1, i - at) + cost[i + known + 1];
    if (price < cost[i]) cost[i] = price, step[i] = known + 1, place[i] = i - at;
  }
  return known;
}

static void find_places(int bytes, int *before) {
  static int head[65536];
  int i, k;
  memset(head, -1, sizeof head);
  for (i = 0; i < size; i++) {
    uint32_t key = 0;
    for (k = 0; k < bytes; k++) key = key << 8 | (i + k < size ? text[i + k] : 0u);
    key = key * 2654435761u >> 16;
    before[i] = head[key];
    head[key] = i;
  }
}

/* From the end: the cheapest way to code what is left. */
static void plan(void) {
  int i;
  find_places(2, pairs);
  find_places(3, triples);
  find_places(4, chain);
  for (i = size - 1; i >= 0; i--) {
    int known = SHORTEST - 1, tries = CHAIN, at = chain[i];
    cost[i] = cost[i + 1] + LITERAL;
    step[i] = 1;
    if (pairs[i] >= 0) known = plan_match(i, pairs[i], known);
    if (triples[i] >= 0) known = plan_match(i, triples[i], known);
    for (; at >= 0 && tries > 0; at = chain[at], tries--) known = plan_match(i, at, known);
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

int main(int argc, char **argv) {
  static int ends[4096];
  int i;
  for (i = 1; i < argc && i < 4096; i++) {
    int start = size;
    if (!read_file(argv[i])) return 1;
    if (ends_in(argv[i], ".lua") && !ends_in(argv[i], ".d.lua")) strip(start);
    ends[i] = size;
  }
  pack();
  printf("/* Made by host/embed.c. */\n#include \"host.h\"\n\nconst unsigned char host_packed[] = {");
  for (i = 0; i < packed_size; i++) printf("%s%d,", i % 32 ? "" : "\n", packed[i]);
  printf("0};\nconst size_t host_packed_size = %d;\n\nconst host_file host_files[] = {\n", packed_size);
  for (i = 1; i < argc && i < 4096; i++) {
    printf("  {\"");
    print_name(argv[i]);
    printf("\", %d, %d},\n", ends[i - 1], ends[i]);
  }
  printf("  {NULL, %d, %d}};\n", size, size);
  return 0;
}
