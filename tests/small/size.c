/* The least that runs a static model: create, step. Linked without any library, to see what lstm.h costs and needs. */
#define LSTM_MALLOC(size) ((void)(size), (void *)0)
#define LSTM_FREE(pointer) ((void)(pointer))
#define LSTM_IMPLEMENTATION
#include "lstm.h"

#include SIZE_MODEL

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)

static LSTM_ALIGNED unsigned char tables[JOIN(SIZE_NAME, _MODEL_BYTES)], memory[JOIN(SIZE_NAME, _STATE_BYTES)];
float x[JOIN(SIZE_NAME, _INPUTS)], y[JOIN(SIZE_NAME, _OUTPUTS)];
int main(void);

#ifndef __arm__ /* boot.c has these */
#include "memory.h"
#endif

int main(void) {
  lstm_model *model;
  lstm_state *state;
  if (lstm_model_from_static(&SIZE_CONSTANTS, tables, sizeof tables, &model) != LSTM_OK) return 1;
  if (lstm_state_create_in(model, NULL, memory, sizeof memory, &state) != LSTM_OK) return 1;
  return lstm_step(model, state, x, y) != LSTM_OK;
}
