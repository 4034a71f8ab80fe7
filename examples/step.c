/* Loads a model and steps it: cc -O2 -I. examples/step.c -o step && echo "2 0 0 1 1" | ./step MODEL.safetensors

   Reads numbers: token ids, or groups of as many inputs as the model has. Prints the outputs of each step. */
#define LSTM_IMPLEMENTATION
#include "lstm.h"
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv) {
  lstm_error error;
  lstm_load_desc desc = {0};
  lstm_model *model = NULL;
  lstm_state *state = NULL;
  desc.error = &error;
  if (argc != 2) return fprintf(stderr, "usage: step MODEL.safetensors < numbers\n"), 2;
  if (lstm_load_file(argv[1], &desc, &model)) return fprintf(stderr, "%s\n", error.message), 1;
  if (lstm_state_create(model, NULL, &state)) return fprintf(stderr, "out of memory\n"), 1;

  int takes_ids = lstm_model_takes_ids(model), inputs = takes_ids ? 1 : lstm_model_input_size(model);
  int outputs = lstm_model_output_size(model), count = 0;
  float *x = (float *)malloc(((size_t)inputs + (size_t)outputs) * sizeof(float)), *y;
  if (!x) return fprintf(stderr, "out of memory\n"), 1;
  y = x + inputs;

  while (scanf("%f", &x[count]) == 1) {
    if (++count < inputs) continue;
    int32_t id = x[0] >= 0 && x[0] < 1e9f ? (int32_t)x[0] : -1;
    lstm_status status = takes_ids ? lstm_step_ids(model, state, &id, y) : lstm_step(model, state, x, y);
    if (status) {
      fprintf(stderr, "%s\n", lstm_status_text(status));
      break;
    }
    for (int i = 0; i < outputs; i++) printf("%s%g", i ? " " : "", (double)y[i]);
    putchar('\n');
    count = 0;
  }
  free(x);
  lstm_state_destroy(state);
  lstm_model_destroy(model);
  return count; /* 0, unless something was left or went wrong */
}
