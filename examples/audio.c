/* An amplifier learned by ear, and played in real time: cc -O2 -I. examples/audio.c -o audio && ./audio

   A network listens to what goes into a device and to what comes out, and learns to be the device: an LSTM layer whose
   output is added to the input (residual), trained on the error-to-signal ratio. Then it runs as a plugin runs it:
   block by block, in memory that was there before the sound began, at many times real time; blocks of any size give the
   same bits. A reset goes back to a saved rest state and not to zero: an amplifier at rest is not one without any
   voltage, and from zero it pops.

   audio [-m MODEL] [IN.wav [OUT.wav]]    MODEL: of one input and output, instead of learning one (lstm audio makes it);
                                          IN.wav: its first channel, instead of a plucked string */
#define LSTM_IMPLEMENTATION
#include "lstm.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RATE 44100 /* samples per second */
enum { BLOCK = 64, LANES = 24, WINDOW = 128, WARM = 1024, EPOCHS = 60, SECONDS = 4, UNITS = 12 };

typedef struct sound {
  float *x;
  size_t count;
  int rate;
} sound;

static sound new_sound(size_t count, int rate) {
  sound s;
  s.x = (float *)calloc(count ? count : 1, sizeof(float));
  s.count = count;
  s.rate = rate;
  if (!s.x) exit(1);
  return s;
}

/* --- a guitar, and a device to learn ------------------------------------------------------------------------------ */

/* Strings plucked one after the other, some damped: a burst of noise that goes round and is smoothed (Karplus and
   Strong, 1983). Every second note is followed by silence. */
static sound pluck(double seconds, uint64_t seed) {
  sound s = new_sound((size_t)(seconds * RATE), RATE);
  lstm_rng rng = {0, 0};
  float string[600] = {0};
  int period = 0, at = 0, note = 0;
  rng.seed = seed;
  for (size_t i = 0; i < s.count; i++) {
    if (i % (RATE / 5) == 0 && ++note) {
      float loud = 0.1f + 0.8f * lstm_random(&rng);
      period = 60 + lstm_random_index(&rng, 500);
      at = 0;
      for (int k = 0; k < period; k++) string[k] = note % 4 ? loud * (2 * lstm_random(&rng) - 1) : 0;
    }
    s.x[i] = string[at];
    string[at] = 0.498f * (string[at] + string[(at + 1) % period]);
    at = (at + 1) % period;
  }
  return s;
}

/* A stage of a tube amplifier: what is below 20 Hz stays out, a bias makes one side clip sooner, and a capacitor takes
   off the treble. Its rest is not 0: the bias comes through. */
static sound device(const sound *in) {
  sound out = new_sound(in->count, in->rate);
  double low = 0, smooth = 0;
  for (size_t i = 0; i < in->count; i++) {
    double x = (double)in->x[i], u;
    low += 0.003 * (x - low);
    u = 6 * (x - low) + 0.5;
    u /= 1 + (u < 0 ? -1.5 * u : u);
    smooth += 0.4 * (u - smooth);
    out.x[i] = (float)(0.7 * smooth);
  }
  return out;
}

/* --- learning ----------------------------------------------------------------------------------------------------- */

/* Each lane hears a part of the recording, from WARM steps before it: until then its state only warms up. */
static void cut(const sound *s, size_t first, int steps, float *to) {
  size_t part = s->count / LANES;
  for (int t = 0; t < steps; t++)
    for (int lane = 0; lane < LANES; lane++) to[t * LANES + lane] = s->x[(size_t)lane * part + first + (size_t)t];
}

static int learn(lstm_model *model, const sound *in, const sound *out, float *loss) {
  static float x[WARM * LANES], y[WARM * LANES];
  lstm_trainer_desc how = {0};
  lstm_trainer *trainer = NULL;
  lstm_batch batch = {0};
  lstm_status status;
  unsigned char anew[LANES];
  size_t part = in->count / LANES;
  double sum = 0;
  memset(anew, 1, sizeof anew);
  how.batch_size = LANES;
  how.seq_len = WARM;
  how.loss = LSTM_ESR;
  how.carry_state = 1;
  how.learning_rate = 8e-3f;
  how.schedule = LSTM_SCHEDULE_COSINE;
  how.schedule_steps = EPOCHS * (int)((part - WARM) / WINDOW);
  how.schedule_factor = 0.02f;
  status = lstm_trainer_create(model, &how, &trainer);
  batch.x = x;
  batch.targets = y;
  for (int epoch = 0; status == LSTM_OK && epoch < EPOCHS; epoch++) {
    int windows = 0;
    cut(in, 0, WARM, x);
    batch.seq_len = WARM;
    batch.reset = anew;
    status = lstm_trainer_forward(trainer, &batch, NULL); /* nothing is learned from it */
    batch.seq_len = WINDOW;
    batch.reset = NULL;
    sum = 0;
    for (size_t at = WARM; status == LSTM_OK && at + WINDOW <= part; at += WINDOW, windows++) {
      cut(in, at, WINDOW, x);
      cut(out, at, WINDOW, y);
      status = lstm_train(trainer, &batch, loss);
      sum += (double)*loss;
    }
    *loss = (float)(sum / (windows ? windows : 1));
  }
  lstm_trainer_destroy(trainer);
  return status == LSTM_OK;
}

static lstm_model *new_model(void) {
  lstm_layer layers[2];
  lstm_model_desc desc = {0};
  lstm_model *model = NULL;
  layers[0] = lstm_lstm(UNITS);
  layers[1] = lstm_dense(1);
  layers[1].residual = 1;
  desc.input_size = 1;
  desc.layers = layers;
  desc.layer_count = 2;
  desc.seed = 1;
  return lstm_model_create(&desc, &model) == LSTM_OK ? model : NULL;
}

/* The error-to-signal ratio, without pre-emphasis: how much of the energy is wrong. */
static double ratio(const sound *y, const sound *target) {
  double error = 0, signal = 0;
  for (size_t i = 0; i < y->count; i++) {
    double d = (double)y->x[i] - (double)target->x[i];
    error += d * d;
    signal += (double)target->x[i] * (double)target->x[i];
  }
  return error / signal;
}

/* --- playing ------------------------------------------------------------------------------------------------------ */

/* What a plugin has: room for a state, and for its rest, from the start. */
static unsigned char room[65536 + LSTM_ALIGNMENT], rest[8192];
static size_t rest_size;

static lstm_state *make_state(const lstm_model *model) {
  lstm_state *state = NULL;
  unsigned char *aligned = room + (LSTM_ALIGNMENT - (size_t)(uintptr_t)room % LSTM_ALIGNMENT) % LSTM_ALIGNMENT;
  lstm_status status = lstm_state_create_in(model, NULL, aligned, sizeof room - LSTM_ALIGNMENT, &state);
  return status == LSTM_OK && lstm_state_saved_size(state) <= sizeof rest ? state : NULL;
}

static void play(const lstm_model *model, lstm_state *state, const float *x, size_t count, size_t block, float *y) {
  for (size_t at = 0; at < count; at += block) {
    size_t n = count - at < block ? count - at : block;
    (void)lstm_forward(model, state, x + at, (int)n, y + at);
  }
}

/* Runs silence until the output stays where it is, and keeps that state. Returns the output at rest. */
static float settle(const lstm_model *model, lstm_state *state) {
  static const float silence[BLOCK] = {0};
  float y[BLOCK], last = 0;
  lstm_state_reset(state);
  for (int still = 0, blocks = 0; still < 50 && blocks < 10 * RATE / BLOCK; blocks++) {
    play(model, state, silence, BLOCK, BLOCK, y);
    still = y[BLOCK - 1] - last < 1e-6f && last - y[BLOCK - 1] < 1e-6f ? still + 1 : 0;
    last = y[BLOCK - 1];
  }
  rest_size = lstm_state_saved_size(state);
  memcpy(rest, state, rest_size);
  return last;
}

/* How far a fifth of a second of silence goes from the output at rest: what is heard of a reset. */
static float pop(const lstm_model *model, lstm_state *state, float at_rest) {
  static const float silence[RATE / 5] = {0};
  static float y[RATE / 5];
  float most = 0;
  play(model, state, silence, RATE / 5, BLOCK, y);
  for (int i = 0; i < RATE / 5; i++) {
    float d = y[i] < at_rest ? at_rest - y[i] : y[i] - at_rest;
    if (d > most) most = d;
  }
  return most;
}

/* 1: resets to the saved rest are silent. */
static int show_reset(const lstm_model *model, lstm_state *state, const sound *in, float *y) {
  float at_rest = settle(model, state), zero, saved;
  size_t some = in->count < RATE ? in->count : RATE;
  play(model, state, in->x, some, BLOCK, y);
  lstm_state_reset(state);
  zero = pop(model, state, at_rest);
  play(model, state, in->x, some, BLOCK, y);
  if (lstm_state_restore(model, state, rest, rest_size) != LSTM_OK) return 0; /* looks at it first */
  saved = pop(model, state, at_rest);
  printf("at rest the output is %.4f; after a reset to zero it jumps by %.4f, to the rest state by %.7f\n",
         (double)at_rest, (double)zero, (double)saved);
  return saved < 1e-4f;
}

/* Plays in blocks of BLOCK, against the clock; then in others, which must give the same bits. */
static int stream(const lstm_model *model, lstm_state *state, const sound *in, sound *out) {
  static const size_t blocks[] = {1, 480, 44100};
  sound again = new_sound(in->count, in->rate);
  double seconds;
  int same = 1;
  clock_t begin = clock();
  (void)lstm_state_restore(model, state, rest, rest_size);
  play(model, state, in->x, in->count, BLOCK, out->x);
  seconds = (double)(clock() - begin) / CLOCKS_PER_SEC;
  for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) {
    (void)lstm_state_restore(model, state, rest, rest_size);
    play(model, state, in->x, in->count, blocks[i], again.x);
    same &= memcmp(out->x, again.x, in->count * sizeof(float)) == 0;
  }
  printf("%.1f s of sound in %.3f s: %.0f times real time on %s; blocks of 1, 64, 480 and 44100: %s\n",
         (double)in->count / in->rate, seconds, (double)in->count / in->rate / (seconds > 0 ? seconds : 1e-9),
         lstm_isa_name(lstm_model_isa(model)), same ? "the same bits" : "wrong");
  free(again.x);
  return same;
}

/* --- files -------------------------------------------------------------------------------------------------------- */

static uint32_t number(const unsigned char *p, int bytes) {
  uint32_t n = 0;
  while (bytes-- > 0) n = n << 8 | p[bytes];
  return n;
}

/* The first channel of a WAV file of 16, 24 or 32 bits or of floats; count 0: it is none. */
static sound read_wav(const char *path) {
  sound s = {NULL, 0, RATE};
  unsigned char head[12], chunk[8], format[16] = {0}, frame[64];
  FILE *f = fopen(path, "rb");
  if (!f || fread(head, 1, 12, f) != 12 || memcmp(head, "RIFF", 4) || memcmp(head + 8, "WAVE", 4)) goto done;
  while (fread(chunk, 1, 8, f) == 8) {
    uint32_t size = number(chunk + 4, 4), kind = number(format, 2), width = number(format + 12, 2);
    int bytes = (int)number(format + 14, 2) / 8, fine = kind == 3 ? bytes == 4 : kind == 1 && bytes > 1 && bytes < 5;
    if (!memcmp(chunk, "data", 4) && width >= (uint32_t)bytes && width <= sizeof frame && fine) {
      long at = ftell(f);
      if (fseek(f, 0, SEEK_END) || (long)(size / width * width) > ftell(f) - at || fseek(f, at, SEEK_SET)) break;
      s = new_sound(size / width, (int)(number(format + 4, 4) % 1000000) + !number(format + 4, 4));
      for (size_t i = 0; i < s.count && fread(frame, width, 1, f) == 1; i++) {
        uint32_t bits = number(frame, bytes) << (32 - 8 * bytes);
        int32_t sample;
        memcpy(kind == 3 ? (void *)&s.x[i] : (void *)&sample, &bits, 4);
        if (kind == 1) s.x[i] = (float)sample / 2147483648.0f;
      }
      break;
    }
    if (!memcmp(chunk, "fmt ", 4) && size >= 16 && fread(format, 1, 16, f) == 16) size -= 16;
    if (size > 0x7fffffff || fseek(f, (long)(size + size % 2), SEEK_CUR)) break;
  }
done:
  if (f) fclose(f);
  return s;
}

static void put(FILE *f, uint32_t n, int bytes) {
  for (; bytes > 0; bytes--, n >>= 8) fputc((int)(n & 255), f);
}

/* 16 bits, one channel. */
static int write_wav(const char *path, const sound *s) {
  FILE *f = fopen(path, "wb");
  uint32_t bytes = (uint32_t)(2 * s->count), rate = (uint32_t)s->rate;
  if (!f) return 0;
  fputs("RIFF", f), put(f, 36 + bytes, 4), fputs("WAVEfmt ", f), put(f, 16, 4), put(f, 1, 2), put(f, 1, 2);
  put(f, rate, 4), put(f, 2 * rate, 4), put(f, 2, 2), put(f, 16, 2), fputs("data", f), put(f, bytes, 4);
  for (size_t i = 0; i < s->count; i++) {
    float v = s->x[i] * 32768;
    put(f, (uint32_t)(int32_t)(v > 32767 ? 32767 : v > -32768 ? v + (v < 0 ? -0.5f : 0.5f) : -32768), 2);
  }
  return fclose(f) == 0;
}

/* --- all of it ---------------------------------------------------------------------------------------------------- */

/* A model that has learned the device, and how far it is off on notes that it has not heard. */
static lstm_model *learned(int *right) {
  sound in = pluck(SECONDS, 1), out = device(&in), other = pluck(2, 2), target = device(&other);
  sound y = new_sound(other.count, RATE);
  lstm_model *model = new_model();
  lstm_state *state = NULL;
  clock_t begin = clock();
  float loss = 0;
  double off = 1;
  if (model && learn(model, &in, &out, &loss) && (state = make_state(model)) != NULL) {
    (void)settle(model, state);
    play(model, state, other.x, other.count, BLOCK, y.x);
    off = ratio(&y, &target);
    printf("learned %d s of the device in %.1f s: error to signal %.4f; on other notes %.4f\n", SECONDS,
           (double)(clock() - begin) / CLOCKS_PER_SEC, (double)loss, off);
  }
  *right = off < 0.02;
  lstm_state_destroy(state);
  free(in.x), free(out.x), free(other.x), free(target.x), free(y.x);
  return model;
}

static void stop(const char *name, const char *what) {
  fprintf(stderr, "%s: %s\n", name, what);
  exit(1);
}

int main(int count, char **given) {
  const char *file = count > 2 && !strcmp(given[1], "-m") ? given[2] : NULL;
  char **names = given + (file ? 3 : 1);
  int files = count - (file ? 3 : 1), right = 1;
  lstm_model *model = NULL;
  lstm_state *state;
  sound in, out;
  if (files > 0 && names[0][0] == '-') stop("usage", "audio [-m MODEL] [IN.wav [OUT.wav]]");
  in = files > 0 ? read_wav(names[0]) : pluck(10, 3);
  if (!in.count) stop(names[0], "no WAV file of 16, 24 or 32 bits or floats");
  if (file && lstm_load_file(file, NULL, &model) != LSTM_OK) stop(file, "no model");
  if (!file) model = learned(&right);
  if (!model || lstm_model_takes_ids(model) || lstm_model_input_size(model) != 1 || lstm_model_output_size(model) != 1)
    stop(file ? file : "audio", "a model of one input and one output is needed");
  out = new_sound(in.count, in.rate);
  state = make_state(model);
  if (!state) stop(file ? file : "audio", "the model is too large");
  right &= show_reset(model, state, &in, out.x);
  right &= stream(model, state, &in, &out);
  if (files > 1 && !write_wav(names[1], &out)) stop(names[1], "cannot write it");
  lstm_state_destroy(state);
  lstm_model_destroy(model);
  free(in.x), free(out.x);
  return right ? 0 : 1;
}
