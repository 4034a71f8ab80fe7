/* Strokes: how the network sees them, and a generator of the four that the game knows from the start.

   The network gets one input for every STEP pixels of way: the direction of that piece, as (cosine, sine). So it does
   not matter how fast somebody draws or how often the mouse reports. */
#ifndef GESTURE_STROKES_H
#define GESTURE_STROKES_H

#include <SDL.h>
#include "lstm.h"

enum { STEP = 20, POINTS = 128 }; /* pixels; points that are kept of a stroke */

typedef struct point {
  float x, y;
} point;

typedef struct stroke {
  int count;
  point at[POINTS];
} stroke;

/* Goes from *from one STEP towards a point, if it is as far away; *direction is the network's input. */
static int go_one_step(point *from, point to, point *direction) {
  float dx = to.x - from->x, dy = to.y - from->y, distance = SDL_sqrtf(dx * dx + dy * dy);
  if (distance < STEP) return 0;
  direction->x = dx / distance, direction->y = dy / distance;
  from->x += direction->x * STEP, from->y += direction->y * STEP;
  return 1;
}

/* The inputs of a whole stroke, at x, x + stride, ...; returns how many, at most `most`. */
static int stroke_inputs(const stroke *s, point *x, int stride, int most) {
  point here = s->at[0];
  int i, count = 0;
  for (i = 1; i < s->count; i++)
    while (count < most && go_one_step(&here, s->at[i], x + count * stride)) count++;
  return count;
}

static void add_point(stroke *s, float x, float y) {
  if (s->count == POINTS) return;
  s->at[s->count].x = x;
  s->at[s->count++].y = y;
}

static void add_line(stroke *s, float x, float y, int pieces) {
  point from = s->at[s->count - 1];
  int i;
  for (i = 1; i <= pieces; i++)
    add_point(s, from.x + (x - from.x) * (float)i / (float)pieces, from.y + (y - from.y) * (float)i / (float)pieces);
}

/* Keeps a point that a hand drew, unless it is near the last; where there is no room, every other one is dropped. */
static void record_point(stroke *s, float *spacing, float x, float y) {
  float dx, dy;
  int i;
  if (s->count == 0) *spacing = 6;
  if (s->count == POINTS) {
    for (i = 0; 2 * i < POINTS; i++) s->at[i] = s->at[2 * i];
    s->count = POINTS / 2;
    *spacing *= 2;
  }
  dx = s->count ? x - s->at[s->count - 1].x : *spacing, dy = s->count ? y - s->at[s->count - 1].y : 0;
  if (dx * dx + dy * dy >= *spacing * *spacing) add_point(s, x, y);
}

static float between(lstm_rng *rng, float low, float high) { return low + (high - low) * lstm_random(rng); }

/* The smallest box around a stroke: its middle and its longer side. */
static point middle_of(const stroke *s, float *size) {
  point low = s->at[0], high = s->at[0], middle;
  int i;
  for (i = 1; i < s->count; i++) {
    low.x = SDL_min(low.x, s->at[i].x), low.y = SDL_min(low.y, s->at[i].y);
    high.x = SDL_max(high.x, s->at[i].x), high.y = SDL_max(high.y, s->at[i].y);
  }
  middle.x = (low.x + high.x) / 2, middle.y = (low.y + high.y) / 2;
  *size = SDL_max(SDL_max(high.x - low.x, high.y - low.y), 1);
  return middle;
}

/* --- shapes, about 1 in size -------------------------------------------------------------------------------------- */

enum { CIRCLE, LINE, ZIGZAG, TRIANGLE, KNOWN, SCRIBBLE = KNOWN };

static void draw_circle(stroke *s, lstm_rng *rng) {
  float begin = between(rng, 0, 6.2832f), sweep = between(rng, 5.6f, 6.9f), squash = between(rng, 0.75f, 1);
  int i;
  if (lstm_random(rng) < 0.5f) sweep = -sweep;
  for (i = 0; i <= 60; i++) {
    float angle = begin + sweep * (float)i / 60;
    add_point(s, SDL_cosf(angle) / 2, squash * SDL_sinf(angle) / 2);
  }
}

static void draw_straight(stroke *s, lstm_rng *rng) {
  float angle = between(rng, 0, 6.2832f);
  add_point(s, 0, 0);
  add_line(s, SDL_cosf(angle), SDL_sinf(angle), 24);
}

static void draw_zigzag(stroke *s, lstm_rng *rng) {
  int legs = 3 + lstm_random_index(rng, 4), i, up = lstm_random_index(rng, 2);
  float height = between(rng, 0.35f, 1), width = lstm_random(rng) < 0.5f ? 1.0f : -1.0f;
  add_point(s, 0, up ? height : 0);
  for (i = 1; i <= legs; i++)
    add_line(s, width * ((float)i + between(rng, -0.2f, 0.2f)) / (float)legs,
             (i % 2 != up ? height : 0) + between(rng, -0.1f, 0.1f), 14);
}

static void draw_triangle(stroke *s, lstm_rng *rng) {
  point corner[3];
  int first = lstm_random_index(rng, 3), turn = 1 + lstm_random_index(rng, 2), i;
  for (i = 0; i < 3; i++) { /* the top, then two below */
    corner[i].x = (i == 0 ? 0.5f : i == 1 ? 1.0f : 0.0f) + between(rng, -0.12f, 0.12f);
    corner[i].y = (i == 0 ? 0.0f : 0.85f) + between(rng, -0.12f, 0.12f);
  }
  add_point(s, corner[first].x, corner[first].y);
  for (i = 1; i <= 3; i++) {
    point to = corner[(first + i * turn) % 3];
    add_line(s, to.x + between(rng, -0.06f, 0.06f), to.y + between(rng, -0.06f, 0.06f), 20);
  }
}

/* What is none of them: a way that bends and turns as it likes. */
static void draw_scribble(stroke *s, lstm_rng *rng) {
  float heading = between(rng, 0, 6.2832f), bend = 0, x = 0, y = 0;
  int i, count = 24 + lstm_random_index(rng, 100);
  for (i = 0; i < count; i++) {
    bend = 0.85f * bend + between(rng, -0.22f, 0.22f);
    if (lstm_random(rng) < 0.06f) heading += between(rng, -3, 3);
    heading += bend;
    add_point(s, x += SDL_cosf(heading), y += SDL_sinf(heading));
  }
}

/* --- variety: no hand draws a thing twice the same way ------------------------------------------------------------ */

/* Turns, stretches and bends a stroke a little, lets its hand shake, and makes it `size` pixels large. */
static void vary(stroke *s, float size, lstm_rng *rng) {
  float old, turn = between(rng, -0.28f, 0.28f), c = SDL_cosf(turn), n = SDL_sinf(turn), wave[4][3];
  float wide = between(rng, 0.82f, 1.2f), shake = between(rng, 0, 1.5f);
  point middle = middle_of(s, &old);
  int i, k;
  for (k = 0; k < 4; k++) {
    wave[k][0] = between(rng, 0, 0.045f) * size;
    wave[k][1] = between(rng, 2, 12) / (float)s->count;
    wave[k][2] = between(rng, 0, 6.2832f);
  }
  for (i = 0; i < s->count; i++) {
    float x = (s->at[i].x - middle.x) * size / old * wide, y = (s->at[i].y - middle.y) * size / old / wide, bent[2];
    for (k = 0; k < 2; k++)
      bent[k] = wave[k][0] * SDL_sinf(wave[k][1] * (float)i + wave[k][2]) +
                wave[k + 2][0] * SDL_sinf(wave[k + 2][1] * (float)i + wave[k + 2][2]);
    s->at[i].x = c * x - n * y + bent[0] + between(rng, -shake, shake);
    s->at[i].y = n * x + c * y + bent[1] + between(rng, -shake, shake);
  }
}

/* A new stroke of a kind that the generator knows. */
static void make_stroke(stroke *s, int kind, lstm_rng *rng) {
  static void (*const draw[KNOWN + 1])(stroke *, lstm_rng *) = {draw_circle, draw_straight, draw_zigzag, draw_triangle,
                                                                draw_scribble};
  float large = lstm_random(rng);
  s->count = 0;
  draw[kind](s, rng);
  vary(s, 90 + 330 * large * large, rng);
}

#endif
