/* A crowd of one mind, and rollback: cc -O2 -I. examples/npcs.c -o npcs && ./npcs

   10,000 characters walk among two players. All have the same network, each a lane of one state; in a tick only those
   near a player think, and a sixteenth of the others. What the second player does arrives 7 ticks late: until then it
   is guessed, and where the guess was wrong, the whole crowd goes back and is played again (rollback netcode). At the
   end all must be, bit for bit, as if everything had been known at once. Then thinking together is compared with
   thinking one by one. That saves a third, not more: a single step of 32 units takes 211 ns on a CPU with AVX-512, one
   of 1,024 together 155, and its products alone would take 86 at the CPU's peak.

   npcs --record FILE [--isa NAME]    plays, and writes what the players did: one line a tick, a letter each
   npcs --replay FILE [--isa NAME]    plays what was recorded; prints only the digest of where all that led, which is
                                      the same with scalar, avx2, avx512 and neon code, on any machine

   A game would load a trained model (lstm_load_file); these minds are drawn from a seed. */
#define LSTM_IMPLEMENTATION
#include "lstm.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { NPCS = 10000, FIELD = 1024, NEAR = 200, INPUTS = 8, UNITS = 32, ACTIONS = 4, TICKS = 120, LATE = 7 };

/* --- the world: plain data, so that copying it saves it ----------------------------------------------------------- */

typedef struct world {
  int player[2][2];
  int16_t at[NPCS][2];
  unsigned char did[NPCS]; /* the last action: up, down, left, right */
} world;

typedef struct game {
  const lstm_model *mind;
  lstm_state *minds; /* [NPCS] lanes */
  world now;
  long thoughts;
  int who[NPCS]; /* thinks in this tick */
  float x[NPCS][INPUTS], y[NPCS][ACTIONS];
  char *saved[LATE + 1]; /* of the last ticks: the world, then the minds */
} game;

static void move(int *x, int *y, int action, int by) {
  *x = (*x + (action == 3 ? by : action == 2 ? -by : 0) + FIELD) % FIELD;
  *y = (*y + (action == 1 ? by : action == 0 ? -by : 0) + FIELD) % FIELD;
}

/* From a to b on a field without edges: -FIELD / 2 .. FIELD / 2 - 1. */
static int way(int a, int b) { return (b - a + FIELD + FIELD / 2) % FIELD - FIELD / 2; }

static int is_near(const world *w, int n) {
  for (int p = 0; p < 2; p++)
    if (abs(way(w->at[n][0], w->player[p][0])) < NEAR && abs(way(w->at[n][1], w->player[p][1])) < NEAR) return 1;
  return 0;
}

/* What a character sees. Whole numbers times powers of two: nothing is rounded. */
static void look(const world *w, int n, float *x) {
  for (int i = 0; i < 4; i++) x[i] = (float)way(w->at[n][i % 2], w->player[i / 2][i % 2]) / 256;
  for (int i = 0; i < ACTIONS; i++) x[4 + i] = w->did[n] == i ? 1.0f : 0.0f;
}

static int best_of(const float *y) {
  int best = 0;
  for (int i = 1; i < ACTIONS; i++)
    if (y[i] > y[best]) best = i;
  return best;
}

/* One tick: the players do keys[0] and keys[1], then those who think step together. */
static void play(game *g, int tick, const char *keys) {
  static const char letters[] = "udlr";
  world *w = &g->now;
  int n = 0;
  for (int p = 0; p < 2; p++)
    for (int k = 0; k < ACTIONS; k++)
      if (keys[p] == letters[k]) move(&w->player[p][0], &w->player[p][1], k, 8);
  for (int i = 0; i < NPCS; i++)
    if (is_near(w, i) || i % 16 == tick % 16) look(w, i, g->x[n]), g->who[n++] = i;
  if (lstm_step_lanes(g->mind, g->minds, g->who, n, g->x[0], g->y[0])) exit(1);
  for (int i = 0; i < n; i++) {
    int16_t *at = w->at[g->who[i]];
    int x = at[0], y = at[1], action = best_of(g->y[i]);
    move(&x, &y, action, 2);
    at[0] = (int16_t)x, at[1] = (int16_t)y;
    w->did[g->who[i]] = (unsigned char)action;
  }
  g->thoughts += n;
}

static void begin(game *g) {
  lstm_rng rng = {7, 0};
  memset(&g->now, 0, sizeof g->now);
  for (int i = 0; i < NPCS; i++)
    for (int k = 0; k < 2; k++) g->now.at[i][k] = (int16_t)lstm_random_index(&rng, FIELD);
  for (int k = 0; k < 2; k++) g->now.player[0][k] = FIELD / 4, g->now.player[1][k] = FIELD * 3 / 4;
  lstm_state_reset(g->minds);
  g->thoughts = 0;
}

/* --- going back --------------------------------------------------------------------------------------------------- */

static void save(game *g, int tick) {
  char *to = g->saved[tick % (LATE + 1)];
  memcpy(to, &g->now, sizeof g->now);
  memcpy(to + sizeof g->now, g->minds, lstm_state_saved_size(g->minds));
}

static void load(game *g, int tick) {
  const char *from = g->saved[tick % (LATE + 1)];
  memcpy(&g->now, from, sizeof g->now);
  memcpy(g->minds, from + sizeof g->now, lstm_state_saved_size(g->minds));
}

/* Plays tick `from` to `to` while the second player's keys are known before tick `known`; the others are guessed: as
   the last that is known. `guess` keeps what was played. */
static void play_guessing(game *g, char (*keys)[2], char *guess, int from, int to, int known) {
  for (int t = from; t <= to; t++) {
    char both[2];
    both[0] = keys[t][0];
    both[1] = guess[t] = t < known ? keys[t][1] : known ? keys[known - 1][1] : '.';
    save(g, t);
    play(g, t, both);
  }
}

/* All ticks, with the second player's keys arriving late. Returns how often the crowd had to go back. */
static int play_late(game *g, char (*keys)[2], int ticks) {
  static char guess[TICKS];
  int back = 0;
  begin(g);
  for (int t = 0; t < ticks + LATE; t++) {
    int last = t < ticks ? t : ticks - 1, arrived = t - LATE;
    if (t < ticks) play_guessing(g, keys, guess, t, t, arrived > 0 ? arrived : 0);
    if (arrived < 0 || guess[arrived] == keys[arrived][1]) continue;
    load(g, arrived);
    play_guessing(g, keys, guess, arrived, last, arrived + 1);
    back++;
  }
  return back;
}

/* --- digest (FNV-1a) and input ------------------------------------------------------------------------------------ */

static uint64_t mix(uint64_t hash, uint32_t number) {
  for (int i = 0; i < 4; i++, number >>= 8) hash = (hash ^ (number & 255)) * 1099511628211u;
  return hash;
}

static uint64_t digest(const game *g) {
  uint64_t hash = 14695981039346656037u;
  float values[2 * UNITS];
  for (int i = 0; i < NPCS; i++) {
    hash = mix(hash, (uint32_t)g->now.at[i][0] << 16 | (uint32_t)g->now.at[i][1]);
    if (lstm_state_get(g->mind, g->minds, i, values)) exit(1);
    for (int k = 0; k < 2 * UNITS; k++) {
      uint32_t bits;
      memcpy(&bits, &values[k], sizeof bits);
      hash = mix(hash, bits);
    }
  }
  return hash;
}

/* Somebody at the keys, who holds each for a while. */
static int make_keys(char (*keys)[2]) {
  lstm_rng rng = {11, 0};
  for (int t = 0; t < TICKS; t++)
    for (int p = 0; p < 2; p++)
      keys[t][p] = t && lstm_random_index(&rng, 12) ? keys[t - 1][p] : ".udlr"[lstm_random_index(&rng, 5)];
  return TICKS;
}

static int read_keys(const char *path, char (*keys)[2]) {
  FILE *file = fopen(path, "r");
  int ticks = 0;
  if (!file) return fprintf(stderr, "%s could not be read\n", path), 0;
  while (ticks < TICKS && fscanf(file, " %c%c", &keys[ticks][0], &keys[ticks][1]) == 2) ticks++;
  fclose(file);
  return ticks;
}

static int write_keys(const char *path, char (*keys)[2], int ticks) {
  FILE *file = fopen(path, "w");
  if (!file) return fprintf(stderr, "%s could not be written\n", path), 0;
  for (int t = 0; t < ticks; t++) fprintf(file, "%c%c\n", keys[t][0], keys[t][1]);
  return fclose(file) == 0;
}

/* --- together or one by one --------------------------------------------------------------------------------------- */

static double seconds(void) { return (double)clock() / CLOCKS_PER_SEC; }

/* The least of many turns, as what disturbs only adds. Returns lanes per second, together and alone. */
static void compare(const lstm_model *mind, double *together, double *alone) {
  enum { LANES = 1024, TURNS = 40, STEPS = 4 };
  static lstm_state *one[LANES];
  static float x[LANES][INPUTS], y[LANES][ACTIONS];
  lstm_state_desc desc = {0};
  lstm_state *all;
  lstm_rng rng = {5, 0};
  double least[2] = {1e9, 1e9};
  desc.lanes = LANES;
  if (lstm_state_create(mind, &desc, &all)) exit(1);
  for (int i = 0; i < LANES; i++) {
    if (lstm_state_create(mind, NULL, &one[i])) exit(1);
    for (int k = 0; k < INPUTS; k++) x[i][k] = lstm_random(&rng) - 0.5f;
  }
  for (int turn = 0; turn < 2 * TURNS; turn++) {
    double t = seconds();
    for (int s = 0; s < STEPS; s++)
      if (turn % 2) lstm_step(mind, all, x[0], y[0]);
      else
        for (int i = 0; i < LANES; i++) lstm_step(mind, one[i], x[i], y[i]);
    t = seconds() - t;
    if (t < least[turn % 2]) least[turn % 2] = t;
  }
  *alone = LANES * STEPS / least[0], *together = LANES * STEPS / least[1];
  for (int i = 0; i < LANES; i++) lstm_state_destroy(one[i]);
  lstm_state_destroy(all);
}

/* --- all of it ---------------------------------------------------------------------------------------------------- */

static lstm_model *make_mind(lstm_isa isa) {
  lstm_layer layers[2];
  lstm_model_desc desc = {0};
  lstm_error error;
  lstm_model *mind;
  layers[0] = lstm_lstm(UNITS), layers[1] = lstm_dense(ACTIONS);
  desc.input_size = INPUTS, desc.layers = layers, desc.layer_count = 2;
  desc.isa = isa, desc.seed = 2, desc.error = &error;
  if (lstm_model_create(&desc, &mind)) fprintf(stderr, "%s\n", error.message);
  return mind;
}

static game *make_game(const lstm_model *mind) {
  game *g = (game *)calloc(1, sizeof *g);
  lstm_state_desc desc = {0};
  desc.lanes = NPCS;
  if (!g || lstm_state_create(mind, &desc, &g->minds)) exit(1);
  g->mind = mind;
  for (int i = 0; i <= LATE; i++)
    if (!(g->saved[i] = (char *)malloc(sizeof(world) + lstm_state_saved_size(g->minds)))) exit(1);
  return g;
}

static uint64_t play_all(game *g, char (*keys)[2], int ticks) {
  begin(g);
  for (int t = 0; t < ticks; t++) play(g, t, keys[t]);
  return digest(g);
}

static int show(game *g, char (*keys)[2], int ticks) {
  double t = seconds(), together, alone;
  uint64_t known = play_all(g, keys, ticks);
  printf("%d characters, %d ticks: %ld think in a tick; a tick takes %.2f ms\n", NPCS, ticks, g->thoughts / ticks,
         1e3 * (seconds() - t) / ticks);
  t = seconds();
  for (int i = 0; i < 20; i++) save(g, i);
  t = (seconds() - t) / 20;
  printf("saving all of them: %.1f MB, %.2f ms\n",
         (double)(sizeof(world) + lstm_state_saved_size(g->minds)) / 1048576, 1e3 * t);
  printf("with one player's keys %d ticks late: went back %d times, and ", LATE, play_late(g, keys, ticks));
  int same = digest(g) == known;
  puts(same ? "all is as if they had been known" : "the worlds differ (wrong)");
  compare(g->mind, &together, &alone);
  printf("1,024 lanes of %d units: %.1f million a second together, %.1f million one by one: %.1f times\n", UNITS,
         together / 1e6, alone / 1e6, together / alone);
  printf("digest %08x%08x\n", (unsigned)(known >> 32), (unsigned)known);
  return !same;
}

int main(int argc, char **argv) {
  static char keys[TICKS][2];
  const char *record = NULL, *replay = NULL;
  lstm_isa isa = LSTM_ISA_AUTO;
  for (int i = 1; i + 1 < argc; i += 2) {
    if (strcmp(argv[i], "--record") == 0) record = argv[i + 1];
    if (strcmp(argv[i], "--replay") == 0) replay = argv[i + 1];
    if (strcmp(argv[i], "--isa") == 0) isa = lstm_isa_from_name(argv[i + 1]);
  }
  if (argc % 2 == 0) return fprintf(stderr, "usage: npcs [--record FILE | --replay FILE] [--isa NAME]\n"), 2;
  lstm_model *mind = make_mind(isa);
  if (!mind) return 3; /* not on this CPU */
  int ticks = replay ? read_keys(replay, keys) : make_keys(keys), status = 0;
  if (!ticks) return 1;
  game *g = make_game(mind);
  if (record && !write_keys(record, keys, ticks)) return 1;
  if (replay || record) {
    uint64_t end = play_all(g, keys, ticks);
    printf("digest %08x%08x\n", (unsigned)(end >> 32), (unsigned)end);
  } else {
    status = show(g, keys, ticks);
  }
  for (int i = 0; i <= LATE; i++) free(g->saved[i]);
  lstm_state_destroy(g->minds);
  free(g);
  lstm_model_destroy(mind);
  return status;
}
