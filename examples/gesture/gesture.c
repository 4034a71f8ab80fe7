/* A game: draw with the mouse, and a network names the gesture while you draw. Press T, draw a new one three to five
   times, and it learns that too, 2 ms of every frame.

     cc -O2 -I. examples/gesture/gesture.c $(pkg-config --cflags --libs sdl2) -o gesture

   What it shows of lstm.h: one lstm_step for each bit of a movement, with the probabilities of all gestures; a clone of
   the model that lstm_train_some trains while the game goes on; the clone taking the model's place under a running
   state; and that none of this allocates once the game has begun. The first model is trained in the same way when the
   game starts. The network has more outputs than the game has gestures: each new one takes a free output, and the old
   ones are drawn for it again by strokes.h, so that it does not forget them. */
#include <SDL.h>
#include <stdio.h>
#include <stdlib.h>

static int allocations; /* by lstm.h */
static void *counted_malloc(size_t size) { return allocations++, malloc(size); }
#define LSTM_MALLOC counted_malloc
#define LSTM_FREE free
#define LSTM_IMPLEMENTATION
#include "lstm.h"
#include "paint.h"
#include "strokes.h"

enum {
  FREE = 3,               /* outputs for new gestures */
  OTHER = KNOWN + FREE,   /* the output for what is none of them */
  CLASSES,                /* outputs */
  HIDDEN = 24,            /* units */
  LANES = 16,             /* strokes of a batch */
  STEPS = 80,             /* of which at most so many steps are learned */
  EXAMPLES = 5,           /* strokes of a new gesture; MINIMUM is enough */
  MINIMUM = 3,
  SHORT = 4,              /* steps: what is less is no gesture */
  NAME = 14,              /* letters of a name */
  WIDTH = 960, HEIGHT = 600,
  LEFT = 24, TOP = 84, SHEET_WIDTH = 608, SHEET_HEIGHT = 444, /* where one draws */
  PANEL = 656, PANEL_WIDTH = 280,
  HISTORY = 140           /* frames that the graph shows */
};

static const double SLICE = 0.002; /* seconds of each frame that a lesson may take; the first one has FIRST_SLICE */
static const double FIRST_SLICE = 0.010;

static const uint32_t COLOURS[CLASSES] = {0x4cc9f0, 0xf9c74f, 0xff6b6b, 0x8ee07f,
                                          0xb48cff, 0xff7ac6, 0xff9f45, 0x8b97a8};
enum { DARK = 0x0d1015, SHEET = 0x141922, RAISED = 0x1d2430, FAINT = 0x4d596b, GREY = 0x93a0b3, LIGHT = 0xe8edf4 };

/* What the game knows of a gesture; `examples` is 0 for the generator's own. */
typedef struct gesture {
  char name[NAME + 1];
  int examples;
  stroke example[EXAMPLES], icon;
} gesture;

/* A clone of the model on its way to know one gesture more. */
typedef struct lesson {
  lstm_trainer *trainer; /* in `memory`; NULL: no lesson is under way */
  void *memory;
  size_t size;
  int subject, update, updates; /* subject: the new gesture, or -1: all of them, from nothing */
  lstm_batch batch;
  int filled; /* 1: the batch is not used up */
  point x[STEPS][LANES];
  float weights[STEPS][LANES];
  int32_t targets[STEPS][LANES];
  int lengths[LANES], frames;
  double begun, took, worst; /* seconds: when; how long it took; its longest slice */
} lesson;

typedef struct game {
  lstm_model *models[2]; /* one plays; the other is the clone that learns */
  int playing, ready;    /* ready: the first lesson is over */
  lstm_state *hand;
  float p[CLASSES], shown[CLASSES];
  gesture gestures[CLASSES];
  int next_free;
  lesson lesson;
  lstm_rng rng;
  stroke trail;
  float spacing;
  point here, last; /* the end of the last whole step; the mouse */
  int steps, drawing, named;
  int teaching, naming; /* the gesture whose examples, or whose name, the game waits for; -1: none */
  light light;
  picture screen, backdrop;
  float work[HISTORY], slice[HISTORY]; /* milliseconds of the last frames, and the lesson's part of them */
  double worst, released;              /* seconds: the longest frame; when the mouse was released */
  int frames, quit;
} game;

static double now(void) { return (double)SDL_GetPerformanceCounter() / (double)SDL_GetPerformanceFrequency(); }

static void fail(const char *what) {
  fprintf(stderr, "gesture: %s\n", what);
  exit(1);
}

static void check(lstm_status status) {
  if (status != LSTM_OK) fail(lstm_status_text(status));
}

/* --- learning ----------------------------------------------------------------------------------------------------- */

static lstm_trainer_desc lesson_desc(int subject) {
  lstm_trainer_desc how = {0};
  how.loss = LSTM_CROSS_ENTROPY, how.batch_size = LANES, how.seq_len = STEPS;
  how.learning_rate = subject < 0 ? 0.03f : 0.015f;
  how.schedule = LSTM_SCHEDULE_COSINE, how.schedule_factor = 0.05f;
  how.schedule_steps = subject < 0 ? 1000 : 300;
  return how;
}

/* Which gesture a lane of the batch practises: the new one in a third of them, else any that there is. */
static int choose_kind(game *g) {
  int kind;
  if (g->lesson.subject >= 0 && lstm_random_index(&g->rng, 3) == 0) return g->lesson.subject;
  do kind = lstm_random_index(&g->rng, CLASSES);
  while (kind >= KNOWN && kind < OTHER && g->gestures[kind].examples == 0);
  return kind;
}

/* A stroke of a gesture, never twice the same: from the generator, or from an example. */
static void practise(game *g, int kind, stroke *s) {
  const gesture *of = &g->gestures[kind];
  float size;
  if (kind < KNOWN || kind == OTHER) {
    make_stroke(s, kind == OTHER ? SCRIBBLE : kind, &g->rng);
    return;
  }
  *s = of->example[lstm_random_index(&g->rng, of->examples)];
  middle_of(s, &size);
  vary(s, size * between(&g->rng, 0.6f, 1.5f), &g->rng);
}

/* Fills the batch. Every step has the gesture's name as its target; the later it comes, the more it counts. */
static void fill_batch(game *g) {
  lesson *l = &g->lesson;
  int lane, t;
  for (lane = 0; lane < LANES; lane++) {
    stroke s;
    int kind = choose_kind(g), length;
    float worth = kind == l->subject ? 0.5f : 1; /* it comes often: it shall not seem more probable than it is */
    practise(g, kind, &s);
    length = l->lengths[lane] = stroke_inputs(&s, &l->x[0][lane], LANES, STEPS);
    for (t = 0; t < length; t++) {
      float share = (float)(t + 1) / (float)length;
      l->targets[t][lane] = kind;
      l->weights[t][lane] = worth * share * share;
    }
  }
  l->filled = 1;
}

/* Begins to teach the clone a gesture, or (-1) a new model all. Allocates nothing: the trainer's memory is there. */
static void begin_lesson(game *g, int subject) {
  lesson *l = &g->lesson;
  lstm_trainer_desc how = lesson_desc(subject);
  lstm_model *clone = g->models[1 - g->playing];
  if (subject >= 0) check(lstm_model_copy_weights(clone, g->models[g->playing]));
  check(lstm_trainer_create_in(clone, &how, l->memory, l->size, &l->trainer));
  l->subject = subject, l->update = 0, l->updates = how.schedule_steps;
  l->filled = l->frames = 0, l->worst = 0, l->begun = now();
}

static double clock_of(void *user) { return (void)user, now(); }

/* Trains until the deadline; 1: an update is done. */
static int train_some(lesson *l, double deadline) {
  lstm_slice slice = {0};
  int done;
  slice.clock = clock_of, slice.deadline = deadline;
  check(lstm_train_some(l->trainer, &l->batch, &slice, &done, NULL));
  return done;
}

static void end_lesson(game *g) {
  lesson *l = &g->lesson;
  g->playing = 1 - g->playing;
  g->ready = 1;
  l->trainer = NULL, l->took = now() - l->begun;
  if (l->subject < 0)
    printf("ready after %.2f s\n", l->took);
  else
    printf("learned %s in %d frames, %.2f s, longest slice %.2f ms\n", g->gestures[l->subject].name, l->frames,
           l->took, l->worst * 1e3);
}

/* Goes on with the lesson for a slice of this frame. */
static void learn(game *g) {
  lesson *l = &g->lesson;
  double begin = now(), deadline = begin + (g->ready ? SLICE : FIRST_SLICE);
  if (!l->trainer) return;
  while (l->update < l->updates && now() < deadline) {
    if (!l->filled) fill_batch(g);
    if (train_some(l, deadline)) l->filled = 0, l->update++;
  }
  l->frames++;
  g->slice[g->frames % HISTORY] = (float)((now() - begin) * 1e3);
  l->worst = SDL_max(l->worst, now() - begin);
  if (l->update == l->updates) end_lesson(g);
}

/* --- drawing and naming ------------------------------------------------------------------------------------------- */

static int best_of(const float *p) {
  int best = 0, i;
  for (i = 1; i < CLASSES; i++)
    if (p[i] > p[best]) best = i;
  return best;
}

static void end_name(game *g) {
  gesture *of = &g->gestures[g->naming];
  if (!of->name[0]) SDL_snprintf(of->name, sizeof of->name, "new %d", g->naming - KNOWN + 1);
  printf("new gesture: %s\n", of->name);
  g->naming = -1;
  SDL_StopTextInput();
}

static void pen_down(game *g, float x, float y) {
  if (g->naming >= 0) end_name(g);
  if (!g->ready || x < LEFT || x >= LEFT + SHEET_WIDTH || y < TOP || y >= TOP + SHEET_HEIGHT) return;
  check(lstm_state_begin(g->models[g->playing], g->hand, -1));
  memset(g->light.near, 0, (size_t)g->light.width * (size_t)g->light.height);
  memset(g->p, 0, sizeof g->p);
  g->here.x = g->last.x = x, g->here.y = g->last.y = y;
  g->steps = g->trail.count = 0, g->drawing = 1, g->named = -1;
  record_point(&g->trail, &g->spacing, x, y);
}

static void pen_move(game *g, float x, float y) {
  point to, direction;
  if (!g->drawing) return;
  to.x = limit(x, LEFT, LEFT + SHEET_WIDTH - 1), to.y = limit(y, TOP, TOP + SHEET_HEIGHT - 1);
  light_line(&g->light, g->last.x, g->last.y, to.x, to.y);
  record_point(&g->trail, &g->spacing, to.x, to.y);
  while (go_one_step(&g->here, to, &direction)) {
    check(lstm_step(g->models[g->playing], g->hand, &direction.x, g->p));
    g->steps++;
  }
  g->last = to;
}

/* Keeps the stroke as an example of the gesture that is taught; the last one begins the lesson. */
static void keep_example(game *g) {
  gesture *of = &g->gestures[g->teaching];
  if (of->examples == 0) of->icon = g->trail;
  of->example[of->examples++] = g->trail;
  printf("example %d of %s\n", of->examples, of->name);
}

static void finish_teaching(game *g) {
  begin_lesson(g, g->teaching);
  g->naming = g->teaching, g->teaching = -1;
  SDL_StartTextInput();
}

static void pen_up(game *g) {
  if (!g->drawing) return;
  g->drawing = 0, g->released = now();
  if (g->steps < SHORT) return;
  if (g->teaching >= 0) {
    keep_example(g);
    if (g->gestures[g->teaching].examples == EXAMPLES) finish_teaching(g);
    return;
  }
  g->named = best_of(g->p);
  printf("named %s %.2f\n", g->gestures[g->named].name, (double)g->p[g->named]);
}

/* T: begins to teach, or has seen enough examples. */
static void press_teach(game *g) {
  if (!g->ready || g->lesson.trainer || g->drawing) return;
  if (g->teaching < 0) {
    gesture *of = &g->gestures[g->teaching = KNOWN + g->next_free];
    SDL_snprintf(of->name, sizeof of->name, "new %d", g->next_free + 1);
    of->examples = 0, g->named = -1, g->trail.count = 0;
    g->next_free = (g->next_free + 1) % FREE;
    memset(g->light.near, 0, (size_t)g->light.width * (size_t)g->light.height);
  } else if (g->gestures[g->teaching].examples >= MINIMUM) {
    finish_teaching(g);
  }
}

static void add_letters(char *name, const char *letters) {
  size_t length = SDL_strlen(name);
  for (; *letters && *letters != ';' && length < NAME; letters++)
    if (SDL_isalnum(*letters) || *letters == ' ') name[length++] = (char)SDL_tolower(*letters);
  name[length] = 0;
}

/* Takes letters for the name of the new gesture; the first one replaces the name that it had. */
static void type_name(game *g, const char *letters) {
  char *name = g->gestures[g->naming].name;
  if (!SDL_strncmp(name, "new ", 4)) name[0] = 0;
  add_letters(name, letters);
}

static void press_key(game *g, SDL_Keycode key) {
  char *name = g->naming >= 0 ? g->gestures[g->naming].name : NULL;
  if (name && key == SDLK_BACKSPACE && *name) name[SDL_strlen(name) - 1] = 0;
  if (name && (key == SDLK_RETURN || key == SDLK_ESCAPE)) end_name(g);
  if (name) return;
  if (key == SDLK_t) press_teach(g);
  if (key != SDLK_ESCAPE) return;
  if (g->teaching < 0) {
    g->quit = 1;
  } else {
    g->gestures[g->teaching].examples = 0;
    g->next_free = g->teaching - KNOWN;
    g->teaching = -1;
  }
}

/* --- the picture -------------------------------------------------------------------------------------------------- */

static void draw_icon(picture *to, const stroke *s, float x, float y, float side, uint32_t colour) {
  float size, scale;
  point middle = middle_of(s, &size);
  int i;
  for (scale = side / size, i = 1; i < s->count; i++)
    line(to, x + (s->at[i - 1].x - middle.x) * scale, y + (s->at[i - 1].y - middle.y) * scale,
         x + (s->at[i].x - middle.x) * scale, y + (s->at[i].y - middle.y) * scale, 2.2f, colour, 1);
}

/* What never changes. */
static void draw_backdrop(picture *p) {
  int i, x, y;
  for (i = 0; i < WIDTH * HEIGHT; i++) p->pixels[i] = DARK;
  text(p, LEFT, 26, 20, "gesture", LIGHT, 1);
  box(p, LEFT, TOP, SHEET_WIDTH, SHEET_HEIGHT, 14, SHEET, 1);
  for (y = TOP + 30; y < TOP + SHEET_HEIGHT; y += 32)
    for (x = LEFT + 32; x < LEFT + SHEET_WIDTH; x += 32)
      line(p, (float)x, (float)y, (float)x, (float)y, 1.6f, FAINT, 0.5f);
  for (i = 0; i < CLASSES; i++) box(p, PANEL, (float)(TOP + i * 56), PANEL_WIDTH, 50, 10, SHEET, 1);
}

static int is_there(const game *g, int kind) { return kind < KNOWN || kind >= OTHER || g->gestures[kind].examples > 0; }

static void draw_percent(picture *p, float right, float y, float height, float share, uint32_t colour) {
  char s[16];
  SDL_snprintf(s, sizeof s, "%d %%", (int)(share * 100 + 0.5f));
  text(p, right - text(NULL, 0, 0, height, s, 0, 0), y, height, s, colour, 1);
}

/* A gesture's row: its picture, its name, and how probable it is now. */
static void draw_row(game *g, int kind) {
  const gesture *of = &g->gestures[kind];
  picture *p = &g->screen;
  float y = (float)(TOP + kind * 56), x = PANEL + 62, full = PANEL_WIDTH - 78, share = g->shown[kind];
  int first = kind == best_of(g->shown) && share > 0.5f;
  if (!is_there(g, kind)) {
    frame(p, PANEL, y, PANEL_WIDTH, 50, 10, RAISED, 1);
    text(p, x, y + 20, 10, "free", FAINT, 0.8f);
    return;
  }
  if (first) box(p, PANEL, y, PANEL_WIDTH, 50, 10, COLOURS[kind], 0.16f * share);
  if (first) frame(p, PANEL, y, PANEL_WIDTH, 50, 10, COLOURS[kind], share);
  if (kind == OTHER)
    text_centred(p, PANEL + 31, y + 15, 20, "?", COLOURS[kind], 1);
  else
    draw_icon(p, &of->icon, PANEL + 31, y + 25, 28, COLOURS[kind]);
  text(p, x, y + 12, 10.5f, of->name, first ? LIGHT : GREY, 1);
  draw_percent(p, PANEL + PANEL_WIDTH - 16, y + 12, 10.5f, share, first ? LIGHT : GREY);
  box(p, x, y + 33, full, 6, 3, RAISED, 1);
  if (share > 0.005f) box(p, x, y + 33, SDL_max(full * share, 6), 6, 3, COLOURS[kind], 1);
}

/* The one line that says what to do. */
static void draw_instruction(game *g) {
  picture *p = &g->screen;
  float x = LEFT, y = 58;
  if (!g->ready) {
    text(p, x, y, 11, "learning its first gestures...", GREY, 1);
  } else if (g->naming >= 0) {
    text(p, x, y, 11, "type a name for it, then enter. it is learning already", LIGHT, 1);
  } else if (g->teaching >= 0) {
    int seen = g->gestures[g->teaching].examples;
    const char *more = seen >= MINIMUM ? "once more, or T if that is enough" : "draw your new gesture, five times";
    text(p, x, y, 11, more, LIGHT, 1);
  } else {
    x += text(p, x, y, 11, "draw with the mouse: the network names it.", LIGHT, 1) + 16;
    box(p, x, y - 6, 22, 23, 6, RAISED, 1);
    frame(p, x, y - 6, 22, 23, 6, FAINT, 1);
    text_centred(p, x + 11, y, 11, "T", COLOURS[LINE], 1);
    text(p, x + 34, y, 11, "teaches it a new one.", LIGHT, 1);
  }
}

/* How many examples it has seen: full and empty rings. */
static void draw_examples(game *g) {
  int i, seen = g->gestures[g->teaching].examples;
  uint32_t colour = COLOURS[g->teaching];
  frame(&g->screen, LEFT, TOP, SHEET_WIDTH, SHEET_HEIGHT, 14, colour, 1);
  for (i = 0; i < EXAMPLES; i++) {
    float x = LEFT + SHEET_WIDTH / 2 + (float)(i - EXAMPLES / 2) * 30, y = TOP + SHEET_HEIGHT - 30;
    frame(&g->screen, x - 8, y - 8, 16, 16, 8, colour, 1);
    if (i < seen) box(&g->screen, x - 8, y - 8, 16, 16, 8, colour, 1);
  }
}

static void draw_trail(game *g) {
  int best = best_of(g->shown);
  float certain = g->steps < SHORT ? 0 : limit(g->shown[best] * 1.4f - 0.4f, 0, 1);
  int subject = SDL_max(g->teaching, g->naming);
  uint32_t colour = subject >= 0 ? COLOURS[subject] : mix(GREY, COLOURS[best], certain);
  float alpha = g->drawing ? 1 : 1 - 0.35f * limit((float)(now() - g->released), 0, 1);
  if (g->trail.count > 0) show_light(&g->screen, &g->light, colour, alpha);
}

/* What it takes the stroke for, in large letters. */
static void draw_name(game *g) {
  int best = best_of(g->p);
  uint32_t colour = COLOURS[best];
  float x = LEFT + 24, y = TOP + SHEET_HEIGHT - 52;
  if (g->steps < SHORT || g->trail.count == 0) return;
  text(&g->screen, x, y, 28, g->gestures[best].name, colour, 1);
  draw_percent(&g->screen, LEFT + SHEET_WIDTH - 24, y, 28, g->p[best], colour);
}

static void draw_sheet(game *g) {
  float middle = LEFT + SHEET_WIDTH / 2;
  char name[NAME + 2];
  if (g->trail.count == 0 && g->ready && g->teaching < 0 && g->naming < 0)
    text_centred(&g->screen, middle, TOP + 205, 13, "a circle? a line? a zigzag? a triangle?", FAINT, 1);
  draw_trail(g);
  if (g->teaching >= 0) {
    draw_examples(g);
  } else if (g->naming >= 0) {
    SDL_snprintf(name, sizeof name, "%s%s", g->gestures[g->naming].name, g->frames / 30 % 2 ? "_" : "");
    text(&g->screen, middle - text(NULL, 0, 0, 28, g->gestures[g->naming].name, 0, 0) / 2, TOP + SHEET_HEIGHT - 52, 28,
         name, COLOURS[g->naming], 1);
  } else {
    draw_name(g);
  }
}

/* How far the lesson is. */
static void draw_lesson(game *g) {
  const lesson *l = &g->lesson;
  float share = (float)l->update / (float)SDL_max(l->updates, 1);
  char s[80] = "the network rests";
  uint32_t colour = l->subject < 0 ? COLOURS[CIRCLE] : COLOURS[l->subject];
  if (l->trainer)
    SDL_snprintf(s, sizeof s, "learning %s: %d %%, %.0f ms of each frame",
                 l->subject < 0 ? "circle, line, zigzag, triangle" : g->gestures[l->subject].name, (int)(share * 100),
                 (g->ready ? SLICE : FIRST_SLICE) * 1e3);
  else if (l->frames)
    SDL_snprintf(s, sizeof s, "learned %s in %.1f s",
                 l->subject < 0 ? "its first gestures" : g->gestures[l->subject].name, l->took);
  text(&g->screen, LEFT, 544, 10, s, GREY, 1);
  box(&g->screen, LEFT, 568, SHEET_WIDTH, 8, 4, SHEET, 1);
  if (share > 0) box(&g->screen, LEFT, 568, SDL_max(share * SHEET_WIDTH, 8), 8, 4, colour, l->trainer ? 1 : 0.35f);
}

/* The time of the last frames, and in colour what the lesson took of it. The graph is 1/60 s high. */
static void draw_times(game *g) {
  int i;
  char s[80];
  float most = 1000.0f / 60, height = 20, bottom = 584, last = g->work[(g->frames + HISTORY - 1) % HISTORY];
  SDL_snprintf(s, sizeof s, "frame %.1f ms, longest %.1f ms", (double)last, g->worst * 1e3);
  text(&g->screen, PANEL, 544, 10, s, GREY, 1);
  for (i = 0; i < HISTORY; i++) {
    int k = (g->frames + i) % HISTORY;
    float x = (float)(PANEL + i * 2), all = limit(g->work[k] / most, 0, 1) * height, part = g->slice[k] / most * height;
    box(&g->screen, x, bottom - all, 1.5f, all, 0, FAINT, 1);
    box(&g->screen, x, bottom - SDL_min(part, all), 1.5f, SDL_min(part, all), 0, COLOURS[LINE], 1);
  }
}

static void draw(game *g) {
  int i;
  memcpy(g->screen.pixels, g->backdrop.pixels, sizeof(uint32_t) * WIDTH * HEIGHT);
  for (i = 0; i < CLASSES; i++) g->shown[i] += (g->p[i] - g->shown[i]) * 0.35f;
  draw_instruction(g);
  draw_sheet(g);
  for (i = 0; i < CLASSES; i++) draw_row(g, i);
  draw_lesson(g);
  draw_times(g);
}

/* --- the model's file: weights, and as metadata the new gestures' names and examples ------------------------------ */

enum { TEXT = 32 + EXAMPLES * POINTS * 10 };

/* "gesture.4": the name, then for each example a semicolon and its points. */
static void write_gesture(const gesture *of, char *s, size_t room) {
  size_t n = (size_t)SDL_snprintf(s, room, "%s", of->name);
  int i, k;
  for (i = 0; i < of->examples; i++)
    for (k = 0; k < of->example[i].count; k++)
      n += (size_t)SDL_snprintf(s + n, room - n, "%c%d,%d", k ? ' ' : ';', (int)of->example[i].at[k].x,
                                (int)of->example[i].at[k].y);
}

static void read_gesture(gesture *of, const char *s) {
  char *end;
  add_letters(of->name, s);
  while ((s = SDL_strchr(s, ';')) != NULL && of->examples < EXAMPLES) {
    stroke *to = &of->example[of->examples++];
    do {
      long x = SDL_strtol(s + 1, &end, 10), y = *end == ',' ? SDL_strtol(end + 1, &end, 10) : 0;
      add_point(to, limit((float)x, 0, WIDTH), limit((float)y, 0, HEIGHT));
    } while (*(s = end) == ' ');
  }
  of->icon = of->example[0];
}

static void save_model(const game *g, const char *path) {
  static char text_of[FREE][TEXT];
  static const char *const keys[FREE] = {"gesture.4", "gesture.5", "gesture.6"};
  lstm_meta meta[FREE];
  lstm_save_desc desc = {0};
  lstm_error error;
  int i;
  for (i = 0; i < FREE; i++)
    if (g->gestures[KNOWN + i].examples) {
      write_gesture(&g->gestures[KNOWN + i], text_of[i], TEXT);
      meta[desc.meta_count].key = keys[i], meta[desc.meta_count++].value = text_of[i];
    }
  desc.meta = meta, desc.error = &error;
  if (lstm_save_file(g->models[g->playing], &desc, path) != LSTM_OK) fail(error.message);
}

/* Takes the file's weights and gestures; 0: there is no such file yet. */
static int load_model(game *g, const char *path) {
  lstm_load_desc desc = {0};
  lstm_error error;
  lstm_model *from;
  lstm_status status;
  int i;
  desc.error = &error;
  status = lstm_load_file(path, &desc, &from);
  if (status == LSTM_ERR_IO) return 0;
  if (status != LSTM_OK) fail(error.message);
  if (lstm_model_copy_weights(g->models[g->playing], from) != LSTM_OK) fail("the file is not a model of this game");
  for (i = 0; i < FREE; i++) {
    char key[16];
    SDL_snprintf(key, sizeof key, "gesture.%d", KNOWN + i);
    if (lstm_model_meta(from, key)) read_gesture(&g->gestures[KNOWN + i], lstm_model_meta(from, key));
    if (g->gestures[KNOWN + i].examples) g->next_free = (i + 1) % FREE;
  }
  lstm_model_destroy(from);
  return 1;
}

/* --- the game ----------------------------------------------------------------------------------------------------- */

static void *need(size_t size) {
  void *memory = calloc(1, size);
  if (!memory) fail("out of memory");
  return memory;
}

/* Two models of one architecture, a state that either can run, and memory for a trainer of either. */
static void create_network(game *g) {
  lstm_layer layers[2];
  lstm_model_desc desc = {0};
  lstm_trainer_desc how = lesson_desc(-1);
  size_t size;
  layers[0] = lstm_lstm(HIDDEN), layers[1] = lstm_dense(CLASSES);
  desc.input_size = 2, desc.layers = layers, desc.layer_count = 2, desc.output = LSTM_OUTPUT_SOFTMAX, desc.seed = 1;
  check(lstm_model_create(&desc, &g->models[0]));
  check(lstm_model_create(&desc, &g->models[1]));
  check(lstm_state_create(g->models[0], NULL, &g->hand));
  check(lstm_trainer_size(g->models[0], &how, &size));
  g->lesson.size = size;
  g->lesson.memory = need(size + LSTM_ALIGNMENT);
  g->lesson.memory = (char *)g->lesson.memory + LSTM_ALIGNMENT - (uintptr_t)g->lesson.memory % LSTM_ALIGNMENT;
  g->lesson.batch.x = &g->lesson.x[0][0].x, g->lesson.batch.lengths = g->lesson.lengths;
  g->lesson.batch.target_ids = g->lesson.targets[0], g->lesson.batch.weights = g->lesson.weights[0];
}

static void name_gestures(game *g) {
  static const char *const names[CLASSES] = {"circle", "line", "zigzag", "triangle", "", "", "", "something else"};
  static const float corners[KNOWN][6][2] = {
    {{0, 0}}, {{0, 1}, {1, 0}}, {{0, 1}, {0.33f, 0}, {0.66f, 1}, {1, 0}}, {{0.5f, 0}, {1, 0.9f}, {0, 0.9f}, {0.5f, 0}}};
  int i, k, count[KNOWN] = {1, 2, 4, 4};
  for (i = 0; i < CLASSES; i++) SDL_snprintf(g->gestures[i].name, sizeof g->gestures[i].name, "%s", names[i]);
  for (i = 0; i < KNOWN; i++)
    for (k = 0; k < count[i]; k++) add_point(&g->gestures[i].icon, corners[i][k][0], corners[i][k][1]);
  for (g->gestures[CIRCLE].icon.count = i = 0; i <= 32; i++)
    add_point(&g->gestures[CIRCLE].icon, SDL_cosf((float)i * 0.19635f), SDL_sinf((float)i * 0.19635f));
}

static void create_pictures(game *g) {
  g->screen.width = g->backdrop.width = WIDTH, g->screen.height = g->backdrop.height = HEIGHT;
  g->screen.pixels = (uint32_t *)need(sizeof(uint32_t) * WIDTH * HEIGHT);
  g->backdrop.pixels = (uint32_t *)need(sizeof(uint32_t) * WIDTH * HEIGHT);
  g->light.x = LEFT, g->light.y = TOP, g->light.width = SHEET_WIDTH, g->light.height = SHEET_HEIGHT;
  g->light.near = (unsigned char *)need(SHEET_WIDTH * SHEET_HEIGHT);
  draw_backdrop(&g->backdrop);
}

static void take_events(game *g) {
  SDL_Event e;
  while (SDL_PollEvent(&e)) {
    if (e.type == SDL_QUIT) g->quit = 1;
    if (e.type == SDL_MOUSEBUTTONDOWN && e.button.button == 1) pen_down(g, (float)e.button.x, (float)e.button.y);
    if (e.type == SDL_MOUSEMOTION) pen_move(g, (float)e.motion.x, (float)e.motion.y);
    if (e.type == SDL_MOUSEBUTTONUP && e.button.button == 1) pen_up(g);
    if (e.type == SDL_TEXTINPUT && g->naming >= 0) type_name(g, e.text.text);
    if (e.type == SDL_KEYDOWN) press_key(g, e.key.keysym.sym);
  }
}

static void play(game *g, SDL_Renderer *renderer, SDL_Texture *texture, double seconds) {
  double begin = now(), start, work;
  while (!g->quit && (seconds <= 0 || now() - begin < seconds)) {
    start = now();
    g->slice[g->frames % HISTORY] = 0;
    take_events(g);
    learn(g);
    draw(g);
    SDL_UpdateTexture(texture, NULL, g->screen.pixels, WIDTH * (int)sizeof(uint32_t));
    SDL_RenderClear(renderer);
    SDL_RenderCopy(renderer, texture, NULL, NULL);
    work = now() - start;
    g->work[g->frames++ % HISTORY] = (float)(work * 1e3);
    if (g->frames > 3) g->worst = SDL_max(g->worst, work);
    SDL_RenderPresent(renderer);
    work = now() - start;
    if (work < 1.0 / 60) SDL_Delay((Uint32)((1.0 / 60 - work) * 1000));
  }
}

static void open_window(SDL_Window **window, SDL_Renderer **renderer, SDL_Texture **texture) {
  SDL_SetHint(SDL_HINT_RENDER_SCALE_QUALITY, "linear");
  if (SDL_Init(SDL_INIT_VIDEO)) fail(SDL_GetError());
  SDL_StopTextInput();
  *window = SDL_CreateWindow("gesture", SDL_WINDOWPOS_CENTERED, SDL_WINDOWPOS_CENTERED, WIDTH, HEIGHT,
                             SDL_WINDOW_RESIZABLE);
  *renderer = *window ? SDL_CreateRenderer(*window, -1, SDL_RENDERER_PRESENTVSYNC) : NULL;
  *texture = *renderer ? SDL_CreateTexture(*renderer, SDL_PIXELFORMAT_RGB888, SDL_TEXTUREACCESS_STREAMING, WIDTH,
                                           HEIGHT) : NULL;
  if (!*texture) fail(SDL_GetError());
  SDL_RenderSetLogicalSize(*renderer, WIDTH, HEIGHT);
}

static const char USAGE[] =
  "usage: gesture [--model FILE] [--seconds N]\n"
  "Draw with the mouse, and a network names the gesture while you draw. T teaches it a new one.\n"
  "  --model FILE  begins with this model, if it is there, and keeps there at the end what was learned\n"
  "  --seconds N   ends after so long\n"
  "  --help        says this\n";

int main(int argc, char **argv) {
  static game g;
  SDL_Window *window;
  SDL_Renderer *renderer;
  SDL_Texture *texture;
  const char *path = NULL;
  double seconds = 0;
  int i, before;
  for (i = 1; i < argc; i++) {
    if (!strcmp(argv[i], "--model") && i + 1 < argc) path = argv[++i];
    else if (!strcmp(argv[i], "--seconds") && i + 1 < argc) seconds = atof(argv[++i]);
    else if (!strcmp(argv[i], "--help")) return fputs(USAGE, stdout), 0;
    else return fputs(USAGE, stderr), 2;
  }
  setvbuf(stdout, NULL, _IOLBF, 1024);
  g.teaching = g.naming = g.named = -1, g.rng.seed = 1;
  create_network(&g);
  name_gestures(&g);
  create_pictures(&g);
  open_window(&window, &renderer, &texture);
  g.ready = path && load_model(&g, path);
  before = allocations;
  if (g.ready) puts("ready");
  else begin_lesson(&g, -1);
  play(&g, renderer, texture, seconds);
  printf("%d frames, longest %.2f ms; lstm.h allocated %d times after the start\n", g.frames, g.worst * 1e3,
         allocations - before);
  if (path && g.ready) save_model(&g, path);
  lstm_state_destroy(g.hand);
  lstm_model_destroy(g.models[0]);
  lstm_model_destroy(g.models[1]);
  SDL_Quit();
  return 0;
}
