/* What the tests of files share: models to save, files made by hand, and what must hold for whatever loads. */
#ifndef TESTS_IO_FILES_H
#define TESTS_IO_FILES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lstm.h"

/* --- allocators and streams that count, and fail when told ------------------------------------------------------ */

typedef struct budget {
  int calls, fail_at; /* the call that fails, counted from 1; 0: none */
  int live;           /* blocks not yet freed */
  size_t largest, total;
} budget;

static void *budget_alloc(void *user, size_t size) {
  budget *b = (budget *)user;
  if (++b->calls == b->fail_at) return NULL;
  if (size > b->largest) b->largest = size;
  b->total += size;
  ++b->live;
  return malloc(size);
}

static void budget_free(void *user, void *p) {
  budget *b = (budget *)user;
  if (p) --b->live;
  free(p);
}

static inline lstm_allocator allocator_of(budget *b) {
  lstm_allocator a;
  a.alloc = budget_alloc;
  a.free = budget_free;
  a.user = b;
  return a;
}

/* --- bytes ------------------------------------------------------------------------------------------------------ */

typedef struct bytes {
  unsigned char *data;
  size_t size, capacity;
} bytes;

static inline void bytes_add(bytes *b, const void *data, size_t size) {
  if (b->size + size > b->capacity) {
    b->capacity = 2 * (b->size + size);
    b->data = (unsigned char *)realloc(b->data, b->capacity);
    assert_non_null(b->data);
  }
  if (size) memcpy(b->data + b->size, data, size);
  b->size += size;
}

static inline void bytes_text(bytes *b, const char *text) { bytes_add(b, text, strlen(text)); }

static inline void bytes_free(bytes *b) {
  free(b->data);
  memset(b, 0, sizeof *b);
}

static inline int bytes_write(void *user, const void *data, size_t size) {
  bytes_add((bytes *)user, data, size);
  return 1;
}

/* A safetensors file of this header and these data. The padding is the caller's. */
static inline bytes file_of(const char *header, const void *data, size_t size) {
  bytes file = {NULL, 0, 0};
  unsigned char length[8];
  size_t n = strlen(header);
  int i;
  for (i = 0; i < 8; ++i) length[i] = (unsigned char)((uint64_t)n >> (8 * i) & 255);
  bytes_add(&file, length, 8);
  bytes_add(&file, header, n);
  bytes_add(&file, data, size);
  return file;
}

/* The lowest byte first, as files have it, on every machine. */
static inline void bytes_number(bytes *b, uint32_t number, int size) {
  for (; size--; number >>= 8) {
    unsigned char byte = (unsigned char)(number & 255);
    bytes_add(b, &byte, 1);
  }
}

/* A foreign file, tensor by tensor. */
typedef struct foreign {
  bytes header, data;
} foreign;

static inline void foreign_add(foreign *f, const char *name, const char *dtype, int rows, int columns, unsigned seed) {
  char line[256];
  size_t begin = f->data.size, count = (size_t)rows * (size_t)(columns ? columns : 1), i;
  int n;
  for (i = 0; i < count; ++i) {
    float value = (float)((int)((i * 37 + seed * 11) % 41) - 20) / 64.0f; /* exact in F16 and in BF16 */
    uint32_t bits, half;
    memcpy(&bits, &value, 4);
    if (!strcmp(dtype, "F32"))
      bytes_number(&f->data, bits, 4);
    else if (!strcmp(dtype, "BF16"))
      bytes_number(&f->data, bits >> 16, 2);
    else if (!strcmp(dtype, "F16")) {
      half = bits >> 16 & 0x8000u;
      if (value != 0) half |= ((bits >> 23 & 255u) - 112u) << 10 | (bits >> 13 & 0x3ffu);
      bytes_number(&f->data, half, 2);
    } else
      bytes_add(&f->data, "\0\0\0\0\0\0\0", 8); /* I64 */
  }
  n = snprintf(line, sizeof line, "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[%d", f->header.size ? "," : "{", name, dtype,
               rows);
  if (columns) n += snprintf(line + n, sizeof line - (size_t)n, ",%d", columns);
  (void)snprintf(line + n, sizeof line - (size_t)n, "],\"data_offsets\":[%lu,%lu]}", (unsigned long)begin,
                 (unsigned long)f->data.size);
  bytes_text(&f->header, line);
}

/* The four tensors of one layer of an nn.LSTM. */
static inline void foreign_lstm(foreign *f, const char *prefix, const char *dtype, int level, int in, int hidden) {
  char name[128];
  (void)snprintf(name, sizeof name, "%sbias_hh_l%d", prefix, level);
  foreign_add(f, name, dtype, 4 * hidden, 0, 3 + (unsigned)level);
  (void)snprintf(name, sizeof name, "%sbias_ih_l%d", prefix, level);
  foreign_add(f, name, dtype, 4 * hidden, 0, 5 + (unsigned)level);
  (void)snprintf(name, sizeof name, "%sweight_hh_l%d", prefix, level);
  foreign_add(f, name, dtype, 4 * hidden, hidden, 7 + (unsigned)level);
  (void)snprintf(name, sizeof name, "%sweight_ih_l%d", prefix, level);
  foreign_add(f, name, dtype, 4 * hidden, in, 9 + (unsigned)level);
}

/* The tensors of an nn.LSTM (4 gates) or nn.GRU (3): the seed of each value is its place in the order of the names. */
static inline void foreign_module(foreign *f, const char *prefix, int gates, int in, int hidden, int projection,
                                  int layers, int both) {
  int l, d, out = projection ? projection : hidden;
  unsigned seed = 1;
  for (l = 0; l < layers; ++l)
    for (d = 0; d <= both; ++d) {
      static const char *const words[] = {"weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr"};
      int k, x = l == 0 ? in : out * (1 + both);
      for (k = 0; k < 5; ++k) {
        int rows = k == 4 ? projection : gates * hidden, columns = k == 0 ? x : k == 1 ? out : k == 4 ? hidden : 0;
        char name[128];
        (void)snprintf(name, sizeof name, "%s%s_l%d%s", prefix, words[k], l, d ? "_reverse" : "");
        if (rows) foreign_add(f, name, "F32", rows, columns, seed++);
      }
    }
}

static inline bytes foreign_file(foreign *f) {
  bytes file;
  bytes_text(&f->header, "}");
  bytes_add(&f->header, "", 1);
  file = file_of((const char *)f->header.data, f->data.data, f->data.size);
  bytes_free(&f->header);
  bytes_free(&f->data);
  return file;
}

/* --- models ----------------------------------------------------------------------------------------------------- */

/* Tokens -> embedding -> two runs of recurrent layers with dropout -> two dense layers: every kind of line and tensor.
   */
static inline lstm_model *small_model(void) {
  lstm_layer layers[7];
  lstm_model_desc desc;
  lstm_model *model;
  memset(&desc, 0, sizeof desc);
  layers[0] = lstm_embedding(3);
  layers[1] = lstm_lstm(3);
  layers[2] = lstm_dropout(0.25f);
  layers[3] = lstm_lstm(3);
  layers[4] = lstm_lstm(2);
  layers[5] = lstm_dense(4);
  layers[6] = lstm_dense(2);
  layers[4].read = LSTM_READ_LAST;
  layers[5].activation = LSTM_TANH;
  layers[6].name = "fc";
  desc.input_size = 5;
  desc.layer_count = 7;
  desc.layers = layers;
  desc.output = LSTM_OUTPUT_SOFTMAX;
  desc.seed = 7;
  assert_int_equal(lstm_model_create(&desc, &model), LSTM_OK);
  return model;
}

/* --- options ---------------------------------------------------------------------------------------------------- */

typedef struct option_case {
  const char *text; /* as in a layer line */
  void (*set)(lstm_layer *layer);
} option_case;

static inline void set_peephole(lstm_layer *l) { l->peephole = 1; }
static inline void set_coupled(lstm_layer *l) { l->coupled = 1; }
static inline void set_projection(lstm_layer *l) { l->projection = 2; }
static inline void set_layer_norm(lstm_layer *l) { l->layer_norm = 1; }
static inline void set_cell_clip(lstm_layer *l) { l->cell_clip = 1.5f; }
static inline void set_forget_zero(lstm_layer *l) { l->forget = LSTM_FORGET_ZERO; }
static inline void set_forget_one(lstm_layer *l) { l->forget = LSTM_FORGET_ONE; }
static inline void set_noise(lstm_layer *l) { l->forget = LSTM_FORGET_NOISE, l->noise = 0.1f; }
static inline void set_activation(lstm_layer *l) { l->activation = LSTM_SOFTSIGN; }
static inline void set_gate_activation(lstm_layer *l) { l->gate_activation = LSTM_HARD_SIGMOID; }
static inline void set_dropout(lstm_layer *l) { l->dropout = 0.3f; }
static inline void set_recurrent_dropout(lstm_layer *l) { l->recurrent_dropout = 0.2f; }
static inline void set_zoneout(lstm_layer *l) { l->zoneout = 0.05f; }
static inline void set_learned_state(lstm_layer *l) { l->learned_state = 1; }
static inline void set_bidirectional(lstm_layer *l) { l->bidirectional = 1; }
static inline void set_sum(lstm_layer *l) { l->bidirectional = 1, l->merge = LSTM_MERGE_SUM; }
static inline void set_last(lstm_layer *l) { l->read = LSTM_READ_LAST; }
static inline void set_mean(lstm_layer *l) { l->read = LSTM_READ_MEAN; }
static inline void set_max(lstm_layer *l) { l->read = LSTM_READ_MAX; }

static const option_case option_cases[] = {{"peephole", set_peephole},
                                           {"coupled", set_coupled},
                                           {"projection=2", set_projection},
                                           {"layer_norm", set_layer_norm},
                                           {"cell_clip=1.5", set_cell_clip},
                                           {"forget=zero", set_forget_zero},
                                           {"forget=one", set_forget_one},
                                           {"forget=noise noise=0.1", set_noise},
                                           {"activation=softsign", set_activation},
                                           {"gate_activation=hard_sigmoid", set_gate_activation},
                                           {"dropout=0.3", set_dropout},
                                           {"recurrent_dropout=0.2", set_recurrent_dropout},
                                           {"zoneout=0.05", set_zoneout},
                                           {"learned_state", set_learned_state},
                                           {"bidirectional", set_bidirectional},
                                           {"bidirectional merge=sum", set_sum},
                                           {"read=last", set_last},
                                           {"read=mean", set_mean},
                                           {"read=max", set_max}};
enum { OPTION_CASES = sizeof option_cases / sizeof option_cases[0] };

/* The layer with every option that goes with the others: a GRU has those from dropout on. */
static inline lstm_layer layer_with_all(lstm_layer layer) {
  int i;
  for (i = layer.type == LSTM_LAYER_GRU ? 10 : 0; i < OPTION_CASES; ++i) {
    void (*set)(lstm_layer *) = option_cases[i].set;
    if (set != set_coupled && set != set_forget_zero && set != set_forget_one) set(&layer);
  }
  return layer;
}

/* A token model of cells, of which only the last may have a `read`; tied: the head is the embedding's table. NULL:
   it is refused. */
static inline lstm_model *cell_model(const lstm_layer *cells, int count, int tied) {
  lstm_layer layers[8];
  lstm_model_desc desc;
  lstm_model *model;
  int i;
  size_t k;
  memset(&desc, 0, sizeof desc);
  layers[0] = lstm_embedding(3);
  layers[0].tied = tied;
  memcpy(layers + 1, cells, (size_t)count * sizeof *cells);
  layers[count + 1] = lstm_dense(3);
  layers[count + 2] = lstm_dense(5);
  desc.input_size = 5;
  desc.layer_count = count + 3;
  desc.layers = layers;
  desc.seed = 11;
  if (lstm_model_create(&desc, &model)) return NULL;
  for (i = 0; i < lstm_model_tensor_count(model); ++i) {
    lstm_tensor t;
    assert_int_equal(lstm_model_tensor(model, i, &t), LSTM_OK);
    for (k = 0; k < t.count; ++k) t.data[k] = (float)((int)((k * 37 + (size_t)i * 11) % 101) - 50) / 64.0f;
  }
  lstm_model_refresh(model);
  return model;
}

static inline bytes saved(const lstm_model *model) {
  bytes file = {NULL, 0, 0};
  lstm_writer writer;
  writer.write = bytes_write;
  writer.user = &file;
  assert_int_equal(lstm_save(model, NULL, &writer), LSTM_OK);
  return file;
}

/* Promise 12: two steps of two lanes, where the model can be stepped, and a sequence of two. */
static inline void run_model(const lstm_model *model) {
  lstm_state_desc desc;
  lstm_state *state;
  int in = lstm_model_input_size(model), out = lstm_model_output_size(model), ids = lstm_model_takes_ids(model), step;
  float *x = (float *)calloc(4 * (size_t)in, sizeof *x), *y = (float *)calloc(4 * (size_t)out, sizeof *y);
  int32_t tokens[4] = {0, 0, 0, 0};
  memset(&desc, 0, sizeof desc);
  desc.lanes = desc.seq_len = 2;
  tokens[1] = in - 1;
  assert_true(x && y);
  assert_int_equal(lstm_state_create(model, &desc, &state), LSTM_OK);
  for (step = 0; step < 2 && !lstm_model_bidirectional(model); ++step)
    assert_int_equal(ids ? lstm_step_ids(model, state, tokens, y) : lstm_step(model, state, x, y), LSTM_OK);
  assert_int_equal(ids ? lstm_forward_ids(model, state, tokens, 2, y) : lstm_forward(model, state, x, 2, y), LSTM_OK);
  lstm_state_destroy(state);
  free(x);
  free(y);
}

/* Loads from a copy of exactly this size, so that a sanitizer sees the first byte read outside. */
static inline lstm_status load_exact(const void *data, size_t size, const lstm_load_desc *desc, lstm_model **out) {
  void *copy = malloc(size ? size : 1);
  lstm_status status;
  assert_non_null(copy);
  if (size) memcpy(copy, data, size);
  *out = (lstm_model *)(void *)out; /* must be overwritten */
  status = lstm_load_memory(copy, size, desc, out);
  free(copy);
  assert_true((status == LSTM_OK) == (*out != NULL));
  return status;
}

/* Promises 1, 9 and 12 for any bytes: loaded and run, or refused with a sentence, and nothing leaks. */
static inline lstm_status load_any(const void *data, size_t size) {
  budget b = {0, 0, 0, 0, 0};
  lstm_error error;
  lstm_load_desc desc;
  lstm_model *model;
  lstm_status status;
  memset(&desc, 0, sizeof desc);
  error.message[0] = 0;
  desc.error = &error;
  desc.allocator = allocator_of(&b);
  desc.max_size = 4096;
  status = load_exact(data, size, &desc, &model);
  if (status == LSTM_OK)
    run_model(model);
  else {
    assert_int_equal(error.status, status);
    assert_true(error.message[0] != 0);
  }
  lstm_model_destroy(model);
  assert_int_equal(b.live, 0);
  return status;
}

/* A refusal: the status, and a sentence that holds `part`. */
static inline void assert_refused(const bytes *file, const lstm_load_desc *how, lstm_status status, const char *part) {
  lstm_error error;
  lstm_load_desc desc;
  lstm_model *model;
  lstm_status got;
  memset(&desc, 0, sizeof desc);
  if (how) desc = *how;
  error.message[0] = 0;
  desc.error = &error;
  got = load_exact(file->data, file->size, &desc, &model);
  lstm_model_destroy(model);
  if (got != status || !strstr(error.message, part))
    fail_msg("wanted %s \"%s\", got %s \"%s\"", lstm_status_name(status), part, lstm_status_name(got), error.message);
}

/* The file with the first `from` in it replaced, of the same length. */
static inline bytes patched(const bytes *file, const char *from, const char *to) {
  bytes copy = {NULL, 0, 0};
  size_t n = strlen(from), i;
  assert_int_equal(n, strlen(to));
  bytes_add(&copy, file->data, file->size);
  for (i = 0; i + n <= copy.size; ++i)
    if (!memcmp(copy.data + i, from, n)) {
      memcpy(copy.data + i, to, n);
      return copy;
    }
  fail_msg("the file does not hold \"%s\"", from);
  return copy;
}

#endif
