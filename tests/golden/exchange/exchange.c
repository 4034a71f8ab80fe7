/* exchange.c - the library's side of exchange.py, which passes model files to and from PyTorch.

     exchange save KIND MODEL                writes a model with random weights; KIND: see `kinds`
     exchange run MODEL INPUT                prints the outputs of one pass, a number a line
     exchange copy MODEL COPY                loads and saves it again

   INPUT is text: T, B, then T x B ids or T x B x I features. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LSTM_IMPLEMENTATION
#include "lstm.h"

static int fail(const char *what, lstm_status status, const lstm_error *error) {
  fprintf(stderr, "exchange: %s: %s %s\n", what, lstm_status_name(status), error->message);
  return 1;
}

/* depth recurrent layers of `hidden` units between an embedding of 6 columns (or none) and a dense layer. */
typedef struct recipe {
  const char *name;
  lstm_layer_type type;
  int inputs, takes_ids, hidden, depth, projection, bidirectional, outputs;
} recipe;
static const recipe kinds[] = {
    {"tokens", LSTM_LAYER_LSTM, 11, 1, 9, 2, 0, 0, 11},
    {"features", LSTM_LAYER_LSTM, 2, 0, 17, 1, 0, 0, 3},
    {"projected", LSTM_LAYER_LSTM, 3, 0, 12, 2, 5, 0, 2},
    {"both-ways", LSTM_LAYER_LSTM, 7, 1, 8, 2, 0, 1, 4},
    {"projected-both-ways", LSTM_LAYER_LSTM, 3, 0, 6, 2, 4, 1, 2},
    {"gru", LSTM_LAYER_GRU, 9, 1, 7, 3, 0, 0, 9},
    {"gru-both-ways", LSTM_LAYER_GRU, 3, 0, 5, 2, 0, 1, 2},
    {"tied", LSTM_LAYER_LSTM, 10, 1, 6, 2, 0, 0, 10},
};

static int describe(const char *name, lstm_model_desc *desc, lstm_layer layers[6]) {
  const recipe *what = NULL;
  int n = 0;
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
    if (!strcmp(kinds[i].name, name)) what = &kinds[i];
  if (!what) return 0;
  if (what->takes_ids) {
    layers[n] = lstm_embedding(6);
    layers[n++].tied = !strcmp(name, "tied");
  }
  for (int i = 0; i < what->depth; i++) {
    layers[n] = what->type == LSTM_LAYER_GRU ? lstm_gru(what->hidden) : lstm_lstm(what->hidden);
    layers[n].projection = what->projection;
    layers[n++].bidirectional = what->bidirectional;
    if (i == 0) layers[n++] = lstm_dropout(0.5f); /* nothing, outside training */
  }
  layers[n++] = lstm_dense(what->outputs);
  desc->input_size = what->inputs;
  desc->layers = layers;
  desc->layer_count = n;
  return 1;
}

static int save(const char *kind, const char *path) {
  lstm_layer layers[6];
  lstm_error error = {0};
  lstm_model_desc desc = {0};
  lstm_save_desc how = {0};
  lstm_model *model;
  if (!describe(kind, &desc, layers)) return 2;
  desc.init = LSTM_INIT_PYTORCH;
  desc.seed = 20;
  desc.error = how.error = &error;
  lstm_status status = lstm_model_create(&desc, &model);
  if (status != LSTM_OK) return fail("create", status, &error);
  status = lstm_save_file(model, &how, path);
  lstm_model_destroy(model);
  return status == LSTM_OK ? 0 : fail(path, status, &error);
}

/* Reads the input and runs it; y has room for T B O floats. */
static lstm_status forward(const lstm_model *model, lstm_state *state, FILE *input, int T, int B, float *y) {
  size_t width = lstm_model_takes_ids(model) ? 1 : (size_t)lstm_model_input_size(model);
  size_t count = (size_t)(T * B) * width;
  float *x = (float *)calloc(count, sizeof(float));
  int32_t *ids = (int32_t *)calloc(count, sizeof(int32_t));
  lstm_status status = LSTM_ERR_MEMORY;
  if (x && ids) {
    int complete = 1;
    for (size_t i = 0; i < count; i++) {
      complete &= fscanf(input, "%f", &x[i]) == 1;
      ids[i] = (int32_t)x[i];
    }
    if (!complete)
      status = LSTM_ERR_SHAPE;
    else if (lstm_model_takes_ids(model))
      status = lstm_forward_ids(model, state, ids, T, y);
    else
      status = lstm_forward(model, state, x, T, y);
  }
  free(x), free(ids);
  return status;
}

static int run_on(const lstm_model *model, FILE *input) {
  int T, B;
  if (fscanf(input, "%d %d", &T, &B) != 2 || T < 1 || B < 1 || T > 1000 || B > 1000) return 1;
  size_t count = (size_t)(T * B) * (size_t)lstm_model_output_size(model);
  float *y = (float *)calloc(count, sizeof(float));
  lstm_state_desc desc = {0};
  lstm_state *state;
  lstm_error error = {0};
  desc.lanes = B;
  desc.seq_len = T;
  desc.error = &error;
  lstm_status status = lstm_state_create(model, &desc, &state);
  if (status == LSTM_OK && y) status = forward(model, state, input, T, B, y);
  for (size_t i = 0; y && status == LSTM_OK && i < count; i++) printf("%.9g\n", (double)y[i]);
  lstm_state_destroy(state);
  free(y);
  return status == LSTM_OK ? 0 : fail("run", status, &error);
}

static int run(const char *path, const char *input_path) {
  char assumed[1024] = "";
  lstm_error error = {0};
  lstm_load_desc how = {0};
  lstm_model *model;
  how.assumed = assumed;
  how.assumed_capacity = sizeof assumed;
  how.error = &error;
  lstm_status status = lstm_load_file(path, &how, &model);
  if (status != LSTM_OK) return fail(path, status, &error);
  if (assumed[0]) fprintf(stderr, "assumed: %s\n", assumed);
  FILE *input = fopen(input_path, "r");
  int result = input ? run_on(model, input) : 1;
  if (input) fclose(input);
  lstm_model_destroy(model);
  return result;
}

static int save_again(const char *path, const char *to) {
  lstm_error error = {0};
  lstm_load_desc how = {0};
  lstm_save_desc again = {0};
  lstm_model *model;
  how.error = again.error = &error;
  lstm_status status = lstm_load_file(path, &how, &model);
  if (status == LSTM_OK) status = lstm_save_file(model, &again, to);
  lstm_model_destroy(model);
  return status == LSTM_OK ? 0 : fail(path, status, &error);
}

int main(int count, char **arguments) {
  if (count == 4 && !strcmp(arguments[1], "save")) return save(arguments[2], arguments[3]);
  if (count == 4 && !strcmp(arguments[1], "run")) return run(arguments[2], arguments[3]);
  if (count == 4 && !strcmp(arguments[1], "copy")) return save_again(arguments[2], arguments[3]);
  fprintf(stderr, "usage: exchange save KIND MODEL | run MODEL INPUT | copy MODEL COPY\n");
  return 2;
}
