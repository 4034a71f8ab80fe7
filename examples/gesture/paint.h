/* Anti-aliased lines, boxes and text in a buffer of pixels, and a layer of light for a trail that glows.
   All coordinates are in pixels; colours are 0xRRGGBB; alpha is 0..1. */
#ifndef GESTURE_PAINT_H
#define GESTURE_PAINT_H

#include <SDL.h>
#include <stdint.h>

typedef struct picture {
  int width, height;
  uint32_t *pixels; /* [height][width], 0x00RRGGBB */
} picture;

static float limit(float value, float low, float high) { return value < low ? low : value > high ? high : value; }

static uint32_t mix(uint32_t a, uint32_t b, float share_of_b) {
  uint32_t w = (uint32_t)(limit(share_of_b, 0, 1) * 256), v = 256 - w;
  uint32_t red_blue = (((a & 0xff00ff) * v + (b & 0xff00ff) * w) >> 8) & 0xff00ff;
  return red_blue | ((((a & 0x00ff00) * v + (b & 0x00ff00) * w) >> 8) & 0x00ff00);
}

static void dot(picture *p, int x, int y, uint32_t colour, float alpha) {
  uint32_t *pixel;
  if (x < 0 || y < 0 || x >= p->width || y >= p->height || alpha <= 0) return;
  pixel = p->pixels + y * p->width + x;
  *pixel = mix(*pixel, colour, alpha);
}

/* How far a point is from the line between two others. */
static float distance_to_line(float x, float y, float x0, float y0, float x1, float y1) {
  float dx = x1 - x0, dy = y1 - y0, length = dx * dx + dy * dy;
  float at = length > 0 ? limit(((x - x0) * dx + (y - y0) * dy) / length, 0, 1) : 0;
  dx = x - x0 - at * dx, dy = y - y0 - at * dy;
  return SDL_sqrtf(dx * dx + dy * dy);
}

/* A line with round ends. */
static void line(picture *p, float x0, float y0, float x1, float y1, float width, uint32_t colour, float alpha) {
  float r = width / 2 + 1;
  int left = (int)(SDL_min(x0, x1) - r), right = (int)(SDL_max(x0, x1) + r);
  int top = (int)(SDL_min(y0, y1) - r), bottom = (int)(SDL_max(y0, y1) + r), x, y;
  for (y = top; y <= bottom; y++)
    for (x = left; x <= right; x++) {
      float d = distance_to_line((float)x + 0.5f, (float)y + 0.5f, x0, y0, x1, y1);
      dot(p, x, y, colour, alpha * limit(r - 0.5f - d, 0, 1));
    }
}

static void box(picture *p, float x, float y, float width, float height, float radius, uint32_t colour, float alpha) {
  int i, j;
  radius = SDL_min(radius, SDL_min(width, height) / 2);
  for (j = (int)y; j < (int)(y + height + 1); j++)
    for (i = (int)x; i < (int)(x + width + 1); i++) {
      float dx = SDL_fabsf((float)i + 0.5f - x - width / 2) - width / 2 + radius;
      float dy = SDL_fabsf((float)j + 0.5f - y - height / 2) - height / 2 + radius;
      float d = dx > 0 && dy > 0 ? SDL_sqrtf(dx * dx + dy * dy) : SDL_max(dx, dy);
      dot(p, i, j, colour, alpha * limit(radius - d + 0.5f, 0, 1));
    }
}

/* A box's outline, inside it. */
static void frame(picture *p, float x, float y, float width, float height, float radius, uint32_t colour, float alpha) {
  int i, j;
  for (j = (int)y; j < (int)(y + height); j++)
    for (i = (int)x; i < (int)(x + width); i++) {
      float dx = SDL_fabsf((float)i + 0.5f - x - width / 2) - width / 2 + radius;
      float dy = SDL_fabsf((float)j + 0.5f - y - height / 2) - height / 2 + radius;
      float d;
      if (SDL_max(dx, dy) < radius - 4 && (dx < 0 || dy < 0)) continue;
      d = dx > 0 && dy > 0 ? SDL_sqrtf(dx * dx + dy * dy) : SDL_max(dx, dy);
      dot(p, i, j, colour, alpha * limit(1.25f - SDL_fabsf(d - radius + 1), 0, 1));
    }
}

/* --- text: a font of strokes, capitals only -------------------------------------------------------------------------

   A glyph is one or more strokes. A point is a column '0'..':' and a row 'A' (top) to 'M' (where it stands); a small
   letter is a point that the curve is drawn towards and does not reach. */
static const char *const FONT[128] = {
  ['A'] = "0M4A8M 1I7I", ['B'] = "0G5G8g8J8m5M0M0A5A7a7D7g5G", ['C'] = "8C7a4A0a0G0m4M7m8K",
  ['D'] = "0A4A8a8G8m4M0M0A", ['E'] = "7A0A0M7M 0G6G", ['F'] = "7A0A0M 0G6G", ['G'] = "8C7a4A0a0G0m4M8m8J8H5H",
  ['H'] = "0A0M 8A8M 0G8G", ['I'] = "0A0M", ['J'] = "6A6J6m3M0m0J", ['K'] = "0A0M 8A0H 3E8M", ['L'] = "0A0M7M",
  ['M'] = "0M0A4H8A8M", ['N'] = "0M0A8M8A", ['O'] = "4A8a8G8m4M0m0G0a4A", ['P'] = "0M0A5A8a8D8g5G0G",
  ['Q'] = "4A8a8G8m4M0m0G0a4A 5J8M", ['R'] = "0M0A5A8a8D8g5G0G 4G8M", ['S'] = "8C8a4A0a0D0g4G8g8J8m4M0m0K",
  ['T'] = "0A8A 4A4M", ['U'] = "0A0I0m4M8m8I8A", ['V'] = "0A4M8A", ['W'] = "0A2M5C8M:A", ['X'] = "0A8M 8A0M",
  ['Y'] = "0A4G8A 4G4M", ['Z'] = "0A8A0M8M", ['0'] = "3A6a6G6m3M0m0G0a3A", ['1'] = "0C3A3M",
  ['2'] = "0D0a3A6a6D6f0M6M", ['3'] = "0C0a3A6a6D6g3G6g6J6m3M0m0K", ['4'] = "5M5A0I7I",
  ['5'] = "6A1A0F1e3E6e6I6m3M0m0K", ['6'] = "6B5a3A0a0G0I0m3M6m6I6e3E0e0I", ['7'] = "0A6A2M",
  ['8'] = "3G0g0D0a3A6a6D6g3G6g6J6m3M0m0J0g3G", ['9'] = "0L1m3M6m6G6E6a3A0a0E0i3I6i6E", ['.'] = "0M0M",
  [','] = "1L0N", [':'] = "0E0E 0K0K", ['-'] = "0G4G", ['+'] = "0G6G 3D3J", ['/'] = "0M5A", ['_'] = "0M6M",
  ['\''] = "0A0C", ['!'] = "0A0H 0M0M", ['?'] = "0C0a3A6a6D6g3G3I 3M3M",
  ['%'] = "2A4a4C4e2E0e0C0a2A 7A1M 6I8i8K8m6M4m4K4i6I",
};

typedef struct pencil {
  picture *to; /* NULL: only measures */
  float x, y, unit, width, alpha;
  uint32_t colour;
} pencil;

static void draw_curve(const pencil *p, const float a[2], const float toward[2], const float b[2]) {
  float last[2] = {a[0], a[1]};
  int i;
  for (i = 1; i <= 6; i++) {
    float t = (float)i / 6, s = 1 - t, now[2];
    now[0] = s * s * a[0] + 2 * s * t * toward[0] + t * t * b[0];
    now[1] = s * s * a[1] + 2 * s * t * toward[1] + t * t * b[1];
    line(p->to, p->x + last[0] * p->unit, p->y + last[1] * p->unit, p->x + now[0] * p->unit, p->y + now[1] * p->unit,
         p->width, p->colour, p->alpha);
    last[0] = now[0], last[1] = now[1];
  }
}

static int is_toward(const char *point) { return point[1] >= 'a'; }
static float column(const char *point) { return (float)(point[0] - '0'); }
static float row(const char *point) { return (float)(is_toward(point) ? point[1] - 'a' : point[1] - 'A'); }

/* Draws one stroke of a glyph; returns what follows it. */
static const char *draw_stroke(const pencil *p, const char *s) {
  float at[2] = {column(s), row(s)};
  for (s += 2; *s && *s != ' '; s += 2) {
    float here[2] = {column(s), row(s)}, end[2] = {here[0], here[1]};
    if (is_toward(s)) {
      float share = is_toward(s + 2) ? 0.5f : 1;
      end[0] += (column(s + 2) - here[0]) * share, end[1] += (row(s + 2) - here[1]) * share;
      draw_curve(p, at, here, end);
      if (!is_toward(s + 2)) s += 2;
    } else {
      line(p->to, p->x + at[0] * p->unit, p->y + at[1] * p->unit, p->x + end[0] * p->unit, p->y + end[1] * p->unit,
           p->width, p->colour, p->alpha);
    }
    at[0] = end[0], at[1] = end[1];
  }
  return *s ? s + 1 : s;
}

/* Draws a text whose capitals are `height` high, down from y. Returns its width; picture NULL: only that. */
static float text(picture *to, float x, float y, float height, const char *s, uint32_t colour, float alpha) {
  pencil p;
  float begin = x;
  p.to = to, p.y = y, p.unit = height / 12, p.width = 0.9f + height / 11, p.colour = colour, p.alpha = alpha;
  for (; *s; s++) {
    const char *glyph = FONT[SDL_toupper(*s) & 127], *point;
    float width = 0;
    for (point = glyph; point && *point; point += point[2] == ' ' ? 3 : 2) width = SDL_max(width, column(point));
    for (point = glyph, p.x = x; to && point && *point;) point = draw_stroke(&p, point);
    x += (glyph ? width + 4.5f : 6) * p.unit;
  }
  return x - begin - 4.5f * p.unit;
}

static void text_centred(picture *to, float x, float y, float height, const char *s, uint32_t colour, float alpha) {
  text(to, x - text(NULL, 0, 0, height, s, 0, 0) / 2, y, height, s, colour, alpha);
}

/* --- light: a trail whose brightness is kept as the distance to it, so that it can be shown in any colour --------- */

enum { GLOW = 20 }; /* pixels around the trail that it lights */

typedef struct light {
  int x, y, width, height; /* of the picture's pixels */
  unsigned char *near;     /* [height][width]: 255 on the trail, 0 at GLOW pixels from it and beyond */
} light;

static void light_line(light *l, float x0, float y0, float x1, float y1) {
  int left = SDL_max((int)(SDL_min(x0, x1) - GLOW) - l->x, 0), top = SDL_max((int)(SDL_min(y0, y1) - GLOW) - l->y, 0);
  int right = SDL_min((int)(SDL_max(x0, x1) + GLOW) - l->x, l->width - 1), x, y;
  int bottom = SDL_min((int)(SDL_max(y0, y1) + GLOW) - l->y, l->height - 1);
  for (y = top; y <= bottom; y++)
    for (x = left; x <= right; x++) {
      float d = distance_to_line((float)(x + l->x) + 0.5f, (float)(y + l->y) + 0.5f, x0, y0, x1, y1);
      int near = (int)(255 * (1 - d / GLOW));
      unsigned char *value = l->near + y * l->width + x;
      if (near > *value) *value = (unsigned char)near;
    }
}

/* Shows the light: a thin bright core in a wide glow. */
static void show_light(picture *p, const light *l, uint32_t colour, float alpha) {
  uint32_t white = mix(colour, 0xffffff, 0.55f);
  float core[256], glow[256];
  int i, x, y;
  for (i = 0; i < 256; i++) {
    float d = GLOW * (1 - (float)i / 255), far = (float)i / 255;
    core[i] = alpha * limit(3.2f - d, 0, 1);
    glow[i] = alpha * 0.42f * far * far * far;
  }
  for (y = 0; y < l->height; y++)
    for (x = 0; x < l->width; x++)
      if ((i = l->near[y * l->width + x]) > 0) {
        uint32_t *pixel = p->pixels + (y + l->y) * p->width + x + l->x;
        *pixel = mix(mix(*pixel, colour, glow[i]), white, core[i]);
      }
}

#endif
