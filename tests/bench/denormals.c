/* denormals: does silence cost more than sound? A plug-in's old trouble: after the last note the numbers of a recursive
   filter decay into the subnormal range, below 1.2e-38, where many processors calculate ten to a hundred times slower.

   denormals [STEPS]     steps of silence [1000000]; make bench-denormals

   Each row is one model on one instruction set, one lane, one step at a time, with subnormals as IEEE has them (FTZ and
   DAZ off). In ns of processor time for a step, the lower quartile of pieces of 100 steps:

     sound     noise of +-1
     fading    the first 1,000 steps of zeros
     silence   the last 100,000 of them; `sub` is how many numbers of the state are subnormal then
     faint     inputs that are subnormal themselves, from a state of zeros
     flushed   silence as above, with FTZ and DAZ on

   Models: "fresh" as created: zero biases but for the forget gate's 1, so that all decays to zero or sticks just above;
   "keeps" the same with a forget bias of 6: c falls by 1/400 a step; "trained" has biases everywhere, as training
   leaves them: it settles at values that are not small. */
#define _POSIX_C_SOURCE 199309L
#define LSTM_IMPLEMENTATION
#include "lstm.h"

#include "measure.h"

#include <math.h>

#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

enum { PIECE = 100, MOST = 20000 };

typedef enum variant { FRESH, KEEPS, TRAINED, VARIANTS } variant;
static const char *const variant_names[] = {"fresh", "keeps", "trained"};

static lstm_model *make_model(int gru, int hidden, variant v, lstm_isa isa) {
  lstm_layer layer = gru ? lstm_gru(hidden) : lstm_lstm(hidden);
  lstm_model_desc desc = {0};
  lstm_model *model;
  lstm_rng rng = {5, 0};
  int i;
  desc.input_size = 1, desc.layers = &layer, desc.layer_count = 1, desc.isa = isa, desc.seed = 1;
  check(lstm_model_create(&desc, &model), "model");
  for (i = 0; i < lstm_model_tensor_count(model); i++) {
    lstm_tensor t;
    size_t k;
    check(lstm_model_tensor(model, i, &t), "tensor");
    if (t.columns) continue; /* biases: of an LSTM i, f, g, o; of a GRU r, z, n */
    for (k = 0; k < t.count; k++)
      if (v == TRAINED) t.data[k] += lstm_random(&rng) - 0.5f;
      else if (v == KEEPS && k / (size_t)hidden == 1) t.data[k] = 6;
  }
  lstm_model_refresh(model);
  return model;
}

static int subnormals(const lstm_model *model, const lstm_state *state) {
  float values[512];
  int i, count = 0;
  check(lstm_state_get(model, state, 0, values), "get");
  for (i = 0; i < lstm_model_state_size(model); i++) {
    uint32_t bits;
    memcpy(&bits, &values[i], sizeof bits);
    count += (bits & 0x7f800000u) == 0 && (bits & 0x007fffffu) != 0;
  }
  return count;
}

/* Steps through inputs x [PIECE] again and again; returns the lower quartile of the last `last`
   pieces, in ns a step. */
static double stream(const lstm_model *model, lstm_state *state, const float *x, long steps, int last) {
  static double times[MOST];
  static float y[256];
  long pieces = steps / PIECE, p;
  int n = 0, i;
  if (last > MOST) last = MOST;
  for (p = 0; p < pieces; p++) {
    double t = seconds_of(CLOCK_THREAD_CPUTIME_ID);
    for (i = 0; i < PIECE; i++) check(lstm_step(model, state, x + i, y), "step");
    t = seconds_of(CLOCK_THREAD_CPUTIME_ID) - t;
    if (p >= pieces - last) times[n++] = 1e9 * t / PIECE;
  }
  qsort(times, (size_t)n, sizeof *times, compare_doubles);
  return times[n / 4];
}

static void flush(int on) {
#if defined(__SSE2__)
  _mm_setcsr(on ? _mm_getcsr() | 0x8040u : _mm_getcsr() & ~0x8040u);
#else
  (void)on;
#endif
}

static double worst; /* the largest ratio to sound */

static void row(int gru, int hidden, variant v, lstm_isa isa, long steps) {
  static float sound[PIECE], silence[PIECE], faint[PIECE];
  lstm_model *model = make_model(gru, hidden, v, isa);
  lstm_state *state;
  lstm_rng rng = {9, 0};
  double t[5];
  char name[32];
  int i, sub;
  check(lstm_state_create(model, NULL, &state), "state");
  for (i = 0; i < PIECE; i++) {
    uint32_t bits = 1u + lstm_random_bits(&rng) % 0x7fffffu;
    memcpy(&faint[i], &bits, sizeof bits);
    sound[i] = 2 * lstm_random(&rng) - 1;
  }
  t[0] = stream(model, state, sound, 100000, 500);
  t[1] = stream(model, state, silence, 1000, 10);
  t[2] = stream(model, state, silence, steps, 1000);
  sub = subnormals(model, state);
  flush(1);
  t[4] = stream(model, state, silence, 100000, 500);
  flush(0);
  lstm_state_reset(state);
  t[3] = stream(model, state, faint, 100000, 500);
  snprintf(name, sizeof name, "%s %d, %s", gru ? "gru" : "lstm", hidden, variant_names[v]);
  printf("%-17s %-7s %6.0f %7.0f %8.0f %6.0f %8.0f %5d   %.2f\n", name, lstm_isa_name(isa), t[0], t[1], t[2], t[3],
         t[4], sub, t[2] / t[0]);
  for (i = 1; i < 4; i++)
    if (t[i] / t[0] > worst) worst = t[i] / t[0];
  lstm_state_destroy(state);
  lstm_model_destroy(model);
}

int main(int argc, char **argv) {
  long steps = argc > 1 ? atol(argv[1]) : 1000000;
  char machine[128];
  int isa, gru, hidden, v;
  if (steps < 200000) steps = 200000;
  machine_name(machine, sizeof machine);
  printf("%s; %ld steps of silence\n", machine, steps);
  printf("%-17s %-7s %6s %7s %8s %6s %8s %5s   silence / sound\n", "model", "set", "sound", "fading", "silence",
         "faint", "flushed", "sub");
  for (isa = LSTM_ISA_SCALAR; isa < LSTM_ISA_COUNT; isa++)
    for (gru = 0; gru < 2; gru++)
      for (hidden = 8; hidden <= 32; hidden += 24)
        for (v = 0; v < VARIANTS; v++)
          if (lstm_isa_usable((lstm_isa)isa)) row(gru, hidden, (variant)v, (lstm_isa)isa, steps);
  printf("the largest ratio to sound, of fading, silence and faint: %.2f\n", worst);
  return 0;
}
