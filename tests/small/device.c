/* Runs static models and prints a digest of what they give, and what they take: the same program on a PC and on a
   Cortex-M4, where boot.c has what a C library and an operating system would. run.sh exports the models. */
#define LSTM_MALLOC(size) ((void)(size), (void *)0)
#define LSTM_FREE(pointer) ((void)(pointer))
#define LSTM_IMPLEMENTATION
#include "lstm.h"

#include "fused.h"
#include "portable.h"
#include "rich.h"
#include "tokens.h"

#ifdef __arm__
void put(const char *text);
size_t stack_used(void);
#else
#include <stdio.h>
static void put(const char *text) { fputs(text, stdout); }
#endif

static void put_number(unsigned long x) {
  char digits[12];
  int i = 11;
  digits[i] = 0;
  do digits[--i] = (char)('0' + (int)(x % 10));
  while (x /= 10);
  put(digits + i);
}

static void put_hex(uint64_t x) {
  char digits[17];
  for (int i = 15; i >= 0; i--, x >>= 4) digits[i] = "0123456789abcdef"[x & 15];
  digits[16] = 0;
  put(digits);
}

static uint32_t seed = 1;
static uint32_t draw(void) { return (seed = seed * 1664525u + 1013904223u) >> 16; }

/* FNV-1a over the bits of the outputs of 200 steps. */
static uint64_t digest(const lstm_model *model, lstm_state *state, float *y) {
  uint64_t hash = 14695981039346656037u;
  float x[8];
  for (int step = 0; step < 200; step++) {
    int32_t id = (int32_t)(draw() % (uint32_t)lstm_model_input_size(model));
    for (int i = 0; i < 8; i++) x[i] = (float)(int)(draw() % 4096) / 1024.0f - 2.0f;
    if ((lstm_model_takes_ids(model) ? lstm_step_ids(model, state, &id, y) : lstm_step(model, state, x, y)) != LSTM_OK)
      return 0;
    for (int i = 0; i < lstm_model_output_size(model); i++) {
      uint32_t bits;
      memcpy(&bits, y + i, sizeof bits);
      hash = (hash ^ bits) * 1099511628211u;
    }
  }
  return hash;
}

static LSTM_ALIGNED unsigned char tables[4096], memory[4096];

static int show(const char *name, const lstm_static_model *constants, size_t model_bytes, size_t state_bytes) {
  static float y[64];
  size_t model_size = 0, state_size = 0;
  lstm_model *model;
  lstm_state *state;
  put(name);
  lstm_status status = lstm_model_static_size(constants, &model_size);
  if (status == LSTM_OK) status = lstm_model_from_static(constants, tables, model_bytes, &model);
  if (status == LSTM_OK) status = lstm_state_size(model, NULL, &state_size);
  if (status == LSTM_OK) status = lstm_state_create_in(model, NULL, memory, state_bytes, &state);
  if (status != LSTM_OK || model_size > model_bytes || state_size > state_bytes) {
    put(": failed with ");
    put_number((unsigned long)status);
    put("\n");
    return 1;
  }
  put(" digest ");
  put_hex(digest(model, state, y));
  put(" model ");
  put_number((unsigned long)model_size);
  put(" state ");
  put_number((unsigned long)state_size);
  put("\n");
  return 0;
}

int main(void) {
  int failed = show("portable", &portable, PORTABLE_MODEL_BYTES, PORTABLE_STATE_BYTES) |
               show("rich", &rich, RICH_MODEL_BYTES, RICH_STATE_BYTES) |
               show("fused", &fused, FUSED_MODEL_BYTES, FUSED_STATE_BYTES) |
               show("tokens", &tokens, TOKENS_MODEL_BYTES, TOKENS_STATE_BYTES);
#ifdef __arm__
  put("stack ");
  put_number((unsigned long)stack_used());
  put("\n");
#endif
  return failed;
}
