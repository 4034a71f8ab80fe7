/* reference.h - what lstm.h computes, a second time and on purpose without any cleverness: double precision, one lane
   and one step after the other, plain loops, no packing and no vectors. It is the yardstick of tests/gradcheck (where
   its own derivatives are first checked against central differences) and of any test that needs the right numbers.

   It knows a model only through the public API: the layers of its description, which say what tensors there are, and
   the weights from lstm_model_tensor, by their names. Include it after lstm.h; link with -lm.

     ref_net net;    ref_net_open(&net, model);                  layers and a double copy of every tensor
     ref_pass pass;  ref_pass_open(&pass, &net, &batch, NULL);   one window, its inputs and initial states in double
     ref_forward(&pass);                                         pass.y, pass.final
     ref_loss(&pass, &how);                                      pass.loss, pass.weight, ...; sets pass.d_y
     ref_backward(&pass, d_output, d_final);                     adds to net.tensors[].gradient; pass.d_x, .d_initial
     ref_pass_close(&pass); ref_net_close(&net);

   Shapes: x [T][B][I], y [T'][B][O] (T' is 1 where the model reads once), states [B][S], for each recurrent layer and
   direction h [P], c [H] (a GRU has no c). Steps at or after a lane's length are padding: nothing is computed there and
   y is 0. What is random in training is off, as outside training: zoneout is a number, the other rates do nothing. */
#ifndef TESTS_REFERENCE_H
#define TESTS_REFERENCE_H

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REF_MAX_LAYERS 16
#define REF_MAX_TENSORS 128

/* One parameter tensor; `index` is its number in the model. */
typedef struct ref_tensor {
  size_t rows, columns, count;
  int index;
  char name[256];
  double *value, *gradient;
} ref_tensor;

/* One direction of a recurrent layer. Tensors that it does not have are NULL. */
typedef struct ref_cell {
  ref_tensor *weight_ih, *weight_hh, *bias, *bias_hn, *weight_hr, *peephole, *norm, *norm_cell, *norm_cell_bias;
  ref_tensor *h0, *c0;
  size_t state; /* where its h begins in a lane's [S]; c follows h */
} ref_cell;

typedef struct ref_layer {
  lstm_layer is;                      /* as described, but for: */
  lstm_activation activation, gating; /* A and G, or a dense layer's; never the default */
  size_t inputs, outputs;
  size_t units, width, directions; /* recurrent: of c [H] and of h [P]; 1 or 2 */
  ref_cell cells[2];
  ref_tensor *weight, *bias; /* embedding: weight; dense: both */
} ref_layer;

typedef struct ref_net {
  size_t input_size, output_size, state_size, layer_count, tensor_count;
  size_t last_recurrent; /* the layer that is read; layer_count: none */
  int takes_ids;
  lstm_read read;
  ref_layer layers[REF_MAX_LAYERS];
  ref_tensor tensors[REF_MAX_TENSORS];
} ref_net;

/* All that one step of a cell computes, for its way back. */
typedef struct ref_step {
  double *gates;       /* [4H] i, f, g, o; gru [3H]: r, z, n */
  double *unit;        /* [4H] layer_norm: (z - mean) / deviation; gru [H]: U_n h' + b_hn */
  double *s, *s_unit;  /* [H] the cell before zoneout, and normalised */
  double *a, *m;       /* [H] A(s), and o * A(s) */
  double *c, *h;       /* [H], [P] what goes on */
  double deviation[5]; /* of i, f, g, o before A and G, and of s */
} ref_step;

/* What a layer leaves behind in a window. */
typedef struct ref_trace {
  const double *in;      /* [steps][B][inputs]; embedding: NULL */
  double *d_in;
  double *out, *d_out;   /* [steps][B][outputs] */
  double *last, *d_last; /* [B][outputs]: what was read of `out`, where that goes on */
  ref_step *steps[2];    /* recurrent, for each direction: [T][B] */
  double *block[2];      /* the memory of its steps */
  double *d_h[2];        /* [T][B][P] */
} ref_trace;

typedef struct ref_pass {
  ref_net *net;
  lstm_batch batch; /* for ids, targets, weights */
  size_t T, B, y_steps;
  size_t *lengths;      /* [B] */
  unsigned char *fresh; /* [B] 1: begins at the learned state, where there is one, else at 0 */
  double *x, *d_x;      /* [T][B][I]; NULL for token models */
  double *initial, *final, *d_initial; /* [B][S] */
  double *y, *d_y; /* [T'][B][O], inside the last layer's trace */
  double loss, weight, targets, correct; /* `loss` is the mean: sum(w loss) / sum(w) */
  ref_trace traces[REF_MAX_LAYERS];
} ref_pass;

/* --- helpers ------------------------------------------------------------------------------------------------------ */

static inline void *ref_alloc(size_t count, size_t size) {
  void *memory = calloc(count ? count : 1, size);
  if (!memory) {
    fprintf(stderr, "reference.h: out of memory\n");
    abort();
  }
  return memory;
}

static inline double *ref_doubles(size_t count) { return (double *)ref_alloc(count, sizeof(double)); }

static inline double ref_sigmoid(double x) { return 1.0 / (1.0 + exp(-x)); }

/* Test data: xorshift64* (Vigna, 2016), so that cases do not change with the library's own random numbers. */
typedef struct ref_rng {
  uint64_t state;
} ref_rng;

static inline uint32_t ref_bits(ref_rng *rng) {
  if (!rng->state) rng->state = 0x9E3779B97F4A7C15u;
  rng->state ^= rng->state >> 12;
  rng->state ^= rng->state << 25;
  rng->state ^= rng->state >> 27;
  return (uint32_t)((rng->state * 0x2545F4914F6CDD1Du) >> 32);
}

/* 0 ... count-1 */
static inline int ref_index(ref_rng *rng, int count) { return (int)(ref_bits(rng) % (uint32_t)count); }

/* Uniform in [-size, size), exact in float. */
static inline float ref_value(ref_rng *rng, float size) {
  return ((float)(ref_bits(rng) >> 8) * (1.0f / 8388608.0f) - 1.0f) * size;
}

static inline void ref_fill(ref_rng *rng, float *values, size_t count, float size) {
  for (size_t i = 0; i < count; i++) values[i] = ref_value(rng, size);
}

/* --- network: names and shapes ------------------------------------------------------------------------------------ */

static inline ref_tensor *ref_tensor_named(ref_net *net, const char *name) {
  for (size_t i = 0; i < net->tensor_count; i++)
    if (!strcmp(net->tensors[i].name, name)) return &net->tensors[i];
  return NULL;
}

/* Adds the tensor "prefix.nameSUFFIX" (columns 0: a vector), all zero. */
static inline ref_tensor *ref_add(ref_net *net, const char *prefix, const char *name, const char *suffix, size_t rows,
                                  size_t columns) {
  ref_tensor *tensor = &net->tensors[net->tensor_count];
  if (net->tensor_count == REF_MAX_TENSORS) {
    fprintf(stderr, "reference.h: too many tensors\n");
    abort();
  }
  snprintf(tensor->name, sizeof tensor->name, "%.80s.%s%s", prefix, name, suffix);
  tensor->index = (int)net->tensor_count++;
  tensor->rows = rows;
  tensor->columns = columns;
  tensor->count = rows * (columns ? columns : 1);
  tensor->value = ref_doubles(tensor->count);
  tensor->gradient = ref_doubles(tensor->count);
  return tensor;
}

/* Where we are in the list of names while the layers are walked. */
typedef struct ref_naming {
  int run, level, dense, last_dense; /* this run of recurrent layers (-1: none), the layer in it; denses so far */
  const lstm_layer *before;          /* the run's last layer, where it may go on */
  const char *run_name;
} ref_naming;

/* 1: both layers fit one nn.LSTM or nn.GRU, which never sums directions. */
static inline int ref_one_module(const lstm_layer *a, const lstm_layer *b) {
  return a->type == b->type && a->size == b->size && a->projection == b->projection &&
         a->bidirectional == b->bidirectional && !a->merge && !b->merge;
}

static inline void ref_add_cell(ref_net *net, ref_layer *to, ref_cell *cell, const char *prefix, const char *suffix) {
  const lstm_layer *is = &to->is;
  size_t H = to->units, P = to->width, gates = is->type == LSTM_LAYER_GRU ? 3 : 4;
  cell->weight_ih = ref_add(net, prefix, "weight_ih", suffix, gates * H, to->inputs);
  cell->weight_hh = ref_add(net, prefix, "weight_hh", suffix, gates * H, P);
  cell->bias = ref_add(net, prefix, "bias_ih", suffix, gates * H, 0);
  if (gates == 3) cell->bias_hn = ref_add(net, prefix, "bias_hn", suffix, H, 0);
  if (is->projection) cell->weight_hr = ref_add(net, prefix, "weight_hr", suffix, P, H);
  if (is->peephole) cell->peephole = ref_add(net, prefix, "peephole", suffix, 3 * H, 0);
  if (is->layer_norm) {
    cell->norm = ref_add(net, prefix, "norm_weight", suffix, 4 * H, 0);
    cell->norm_cell = ref_add(net, prefix, "norm_cell_weight", suffix, H, 0);
    cell->norm_cell_bias = ref_add(net, prefix, "norm_cell_bias", suffix, H, 0);
  }
  if (is->learned_state) cell->h0 = ref_add(net, prefix, "h0", suffix, P, 0);
  if (is->learned_state && gates == 4) cell->c0 = ref_add(net, prefix, "c0", suffix, H, 0);
  cell->state = net->state_size;
  net->state_size += P + (gates == 4 ? H : 0);
}

static inline void ref_add_recurrent(ref_net *net, ref_layer *to, const lstm_layer *layer, ref_naming *naming) {
  char prefix[128], suffix[64];
  if (naming->before && !layer->name && ref_one_module(naming->before, layer)) {
    naming->level++;
  } else {
    naming->run++;
    naming->level = 0;
    naming->run_name = layer->name;
  }
  naming->before = layer;
  to->units = (size_t)layer->size;
  to->width = layer->projection ? (size_t)layer->projection : to->units;
  to->directions = layer->bidirectional ? 2 : 1;
  to->outputs = to->width * (layer->bidirectional && layer->merge == LSTM_MERGE_CONCAT ? 2 : 1);
  to->activation = layer->activation ? layer->activation : LSTM_TANH;
  to->gating = layer->gate_activation ? layer->gate_activation : LSTM_SIGMOID;
  if (naming->run_name)
    snprintf(prefix, sizeof prefix, "%s", naming->run_name);
  else if (naming->run)
    snprintf(prefix, sizeof prefix, "rnn%d", naming->run);
  else
    snprintf(prefix, sizeof prefix, "rnn");
  for (size_t d = 0; d < to->directions; d++) {
    snprintf(suffix, sizeof suffix, "_l%d%s", naming->level, d ? "_reverse" : "");
    ref_add_cell(net, to, &to->cells[d], prefix, suffix);
  }
}

static inline void ref_add_dense(ref_net *net, ref_layer *to, const lstm_layer *layer, int at, ref_naming *naming) {
  char prefix[128];
  to->activation = layer->activation ? layer->activation : LSTM_LINEAR;
  if (layer->name)
    snprintf(prefix, sizeof prefix, "%s", layer->name);
  else if (at == naming->last_dense)
    snprintf(prefix, sizeof prefix, "head");
  else
    snprintf(prefix, sizeof prefix, "dense%d", naming->dense);
  naming->dense++;
  naming->before = NULL;
  if (at == naming->last_dense && net->layers[0].is.tied)
    to->weight = net->layers[0].weight;
  else
    to->weight = ref_add(net, prefix, "weight", "", to->outputs, to->inputs);
  to->bias = ref_add(net, prefix, "bias", "", to->outputs, 0);
}

static inline void ref_add_layer(ref_net *net, const lstm_layer *layer, int at, ref_naming *naming) {
  ref_layer *to = &net->layers[at];
  to->is = *layer;
  to->inputs = at ? net->layers[at - 1].outputs : net->input_size;
  to->outputs = layer->type == LSTM_LAYER_DROPOUT ? to->inputs : (size_t)layer->size;
  if (layer->type == LSTM_LAYER_LSTM || layer->type == LSTM_LAYER_GRU) {
    net->last_recurrent = (size_t)at;
    net->read = layer->read;
    ref_add_recurrent(net, to, layer, naming);
  } else if (layer->type == LSTM_LAYER_DENSE) {
    ref_add_dense(net, to, layer, at, naming);
  } else if (layer->type == LSTM_LAYER_EMBEDDING) {
    net->takes_ids = 1;
    to->weight = ref_add(net, layer->name ? layer->name : "embed", "weight", "", to->inputs, to->outputs);
  }
}

/* The network of a description, all its tensors zero. */
static inline void ref_net_describe(ref_net *net, const lstm_model_desc *desc) {
  ref_naming naming = {-1, 0, 0, -1, NULL, NULL};
  memset(net, 0, sizeof *net);
  net->input_size = (size_t)desc->input_size;
  net->layer_count = net->last_recurrent = (size_t)desc->layer_count;
  for (int i = 0; i < desc->layer_count; i++)
    if (desc->layers[i].type == LSTM_LAYER_DENSE) naming.last_dense = i;
  for (int i = 0; i < desc->layer_count; i++) ref_add_layer(net, &desc->layers[i], i, &naming);
  net->output_size = net->layers[net->layer_count - 1].outputs;
}

static inline void ref_net_close(ref_net *net) {
  for (size_t i = 0; i < net->tensor_count; i++) {
    free(net->tensors[i].value);
    free(net->tensors[i].gradient);
  }
  memset(net, 0, sizeof *net);
}

/* Copies tensor i, which must have the name and shape that the description calls for. */
static inline int ref_copy_tensor(ref_tensor *to, const lstm_model *model) {
  lstm_tensor from;
  if (lstm_model_tensor(model, to->index, &from) != LSTM_OK) return 0;
  if (strcmp(from.name, to->name) || (size_t)from.rows != to->rows || (size_t)from.columns != to->columns ||
      from.count != to->count) {
    fprintf(stderr, "reference.h: tensor %d is %s [%d][%d], wanted %s [%d][%d]\n", to->index, from.name, from.rows,
            from.columns, to->name, (int)to->rows, (int)to->columns);
    return 0;
  }
  for (size_t k = 0; k < from.count; k++) to->value[k] = (double)from.data[k];
  return 1;
}

/* 1, or 0 with a line on stderr where the model's tensors are not what its layers call for. */
static inline int ref_net_open(ref_net *net, const lstm_model *model) {
  ref_net_describe(net, lstm_model_desc_of(model));
  int fits = net->tensor_count == (size_t)lstm_model_tensor_count(model) &&
             net->state_size == (size_t)lstm_model_state_size(model) &&
             net->output_size == (size_t)lstm_model_output_size(model);
  if (!fits)
    fprintf(stderr, "reference.h: %d tensors, %d states, %d outputs, wanted %d, %d, %d\n",
            lstm_model_tensor_count(model), lstm_model_state_size(model), lstm_model_output_size(model),
            (int)net->tensor_count, (int)net->state_size, (int)net->output_size);
  for (size_t i = 0; fits && i < net->tensor_count; i++) fits = ref_copy_tensor(&net->tensors[i], model);
  if (!fits) ref_net_close(net);
  return fits;
}

static inline void ref_zero_gradients(ref_net *net) {
  for (size_t i = 0; i < net->tensor_count; i++)
    memset(net->tensors[i].gradient, 0, net->tensors[i].count * sizeof(double));
}

/* --- one window --------------------------------------------------------------------------------------------------- */

/* 1: layer l works on what was read of all steps. */
static inline int ref_after_read(const ref_net *net, size_t l) {
  return net->read != LSTM_READ_ALL && l > net->last_recurrent;
}

static inline size_t ref_steps(const ref_pass *pass, size_t l) { return ref_after_read(pass->net, l) ? 1 : pass->T; }

/* 1: layer l has something to compute at step t of lane b. */
static inline int ref_valid(const ref_pass *pass, size_t l, size_t t, size_t b) {
  return ref_after_read(pass->net, l) ? pass->lengths[b] > 0 : t < pass->lengths[b];
}

static inline double *ref_cut(double **from, size_t count) { return (*from += count) - count; }

static inline void ref_open_steps(ref_trace *trace, const ref_layer *layer, size_t d, size_t rows) {
  size_t H = layer->units, P = layer->width;
  trace->steps[d] = (ref_step *)ref_alloc(rows, sizeof(ref_step));
  trace->d_h[d] = ref_doubles(rows * P);
  double *from = trace->block[d] = ref_doubles(rows * (13 * H + P));
  for (size_t row = 0; row < rows; row++) {
    ref_step *step = &trace->steps[d][row];
    step->gates = ref_cut(&from, 4 * H);
    step->unit = ref_cut(&from, 4 * H);
    step->s = ref_cut(&from, H);
    step->s_unit = ref_cut(&from, H);
    step->a = ref_cut(&from, H);
    step->m = ref_cut(&from, H);
    step->c = ref_cut(&from, H);
    step->h = ref_cut(&from, P);
  }
}

/* Connects layer l to what goes into it. */
static inline void ref_trace_open(ref_pass *pass, size_t l) {
  const ref_layer *layer = &pass->net->layers[l];
  ref_trace *trace = &pass->traces[l];
  size_t rows = ref_steps(pass, l) * pass->B;
  trace->out = ref_doubles(rows * layer->outputs);
  trace->d_out = ref_doubles(rows * layer->outputs);
  if (l == 0) {
    trace->in = pass->x;
    trace->d_in = pass->d_x;
  } else {
    ref_trace *below = &pass->traces[l - 1];
    trace->in = below->last ? below->last : below->out;
    trace->d_in = below->last ? below->d_last : below->d_out;
  }
  for (size_t d = 0; d < layer->directions; d++) ref_open_steps(trace, layer, d, rows);
  if (pass->net->read == LSTM_READ_ALL || l != pass->net->last_recurrent) return;
  trace->last = ref_doubles(pass->B * layer->outputs);
  trace->d_last = ref_doubles(pass->B * layer->outputs);
}

/* Prepares a window. Initial states: the batch's, else the final ones of the window `before` (NULL: none) but in lanes
   that reset or have not begun, else learned or zero. seq_len and batch_size must be set. */
static inline void ref_pass_open(ref_pass *pass, ref_net *net, const lstm_batch *batch,
                                 const ref_pass *before) {
  memset(pass, 0, sizeof *pass);
  pass->net = net;
  pass->batch = *batch;
  pass->T = (size_t)batch->seq_len;
  pass->B = (size_t)batch->batch_size;
  pass->y_steps = net->read == LSTM_READ_ALL ? pass->T : 1;
  pass->lengths = (size_t *)ref_alloc(pass->B, sizeof(size_t));
  pass->fresh = (unsigned char *)ref_alloc(pass->B, 1);
  size_t inputs = net->takes_ids ? 0 : pass->T * pass->B * net->input_size, states = pass->B * net->state_size;
  if (!net->takes_ids) {
    pass->x = ref_doubles(inputs);
    pass->d_x = ref_doubles(inputs);
    for (size_t i = 0; i < inputs; i++) pass->x[i] = (double)batch->x[i];
  }
  pass->initial = ref_doubles(states);
  pass->final = ref_doubles(states);
  pass->d_initial = ref_doubles(states);
  for (size_t b = 0; b < pass->B; b++) {
    pass->lengths[b] = batch->lengths ? (size_t)batch->lengths[b] : pass->T;
    int begun = before && !(before->fresh[b] && before->lengths[b] == 0);
    pass->fresh[b] = !batch->initial && (!begun || (batch->reset && batch->reset[b]));
    for (size_t i = b * net->state_size; !pass->fresh[b] && i < (b + 1) * net->state_size; i++)
      pass->initial[i] = batch->initial ? (double)batch->initial[i] : before ? before->final[i] : 0;
  }
  for (size_t l = 0; l < net->layer_count; l++) ref_trace_open(pass, l);
  ref_trace *top = &pass->traces[net->layer_count - 1];
  pass->y = top->last ? top->last : top->out;
  pass->d_y = top->last ? top->d_last : top->d_out;
}

static inline void ref_pass_close(ref_pass *pass) {
  for (size_t l = 0; l < pass->net->layer_count; l++) {
    ref_trace *trace = &pass->traces[l];
    free(trace->out), free(trace->d_out), free(trace->last), free(trace->d_last);
    for (size_t d = 0; d < 2; d++) free(trace->steps[d]), free(trace->block[d]), free(trace->d_h[d]);
  }
  free(pass->lengths), free(pass->fresh), free(pass->x), free(pass->d_x);
  free(pass->initial), free(pass->final), free(pass->d_initial);
  memset(pass, 0, sizeof *pass);
}

/* --- building blocks ---------------------------------------------------------------------------------------------- */

static inline double ref_activate(lstm_activation activation, double x) {
  switch (activation) {
  case LSTM_TANH: return tanh(x);
  case LSTM_SIGMOID: return ref_sigmoid(x);
  case LSTM_RELU: return x > 0 ? x : 0;
  case LSTM_HARD_SIGMOID: return fmax(0, fmin(1, x / 6 + 0.5));
  case LSTM_SOFTSIGN: return x / (1 + fabs(x));
  default: return x;
  }
}

/* The derivative, from the value. */
static inline double ref_slope(lstm_activation activation, double y) {
  switch (activation) {
  case LSTM_TANH: return 1 - y * y;
  case LSTM_SIGMOID: return y * (1 - y);
  case LSTM_RELU: return y > 0 ? 1 : 0;
  case LSTM_HARD_SIGMOID: return y > 0 && y < 1 ? 1.0 / 6 : 0;
  case LSTM_SOFTSIGN: return (1 - fabs(y)) * (1 - fabs(y));
  default: return 1;
  }
}

/* y [rows] += W x,  x [columns] */
static inline void ref_product(const ref_tensor *weight, const double *x, double *y) {
  for (size_t j = 0; j < weight->rows; j++)
    for (size_t k = 0; k < weight->columns; k++) y[j] += weight->value[j * weight->columns + k] * x[k];
}

/* dy [rows] times x to the gradient, and through the matrix to dx [columns], which is added to. */
static inline void ref_product_back(ref_tensor *weight, const double *dy, const double *x, double *dx) {
  for (size_t j = 0; j < weight->rows; j++)
    for (size_t k = 0; k < weight->columns; k++) {
      weight->gradient[j * weight->columns + k] += dy[j] * x[k];
      dx[k] += dy[j] * weight->value[j * weight->columns + k];
    }
}

static inline void ref_vector_back(ref_tensor *vector, const double *d) {
  for (size_t j = 0; j < vector->rows; j++) vector->gradient[j] += d[j];
}

/* unit [n] = (z - mean) / sqrt(var + 1e-5); returns that root. */
static inline double ref_normalise(const double *z, double *unit, size_t n) {
  double mean = 0, variance = 0;
  for (size_t j = 0; j < n; j++) mean += z[j] / (double)n;
  for (size_t j = 0; j < n; j++) variance += (z[j] - mean) * (z[j] - mean) / (double)n;
  double deviation = sqrt(variance + 1e-5);
  for (size_t j = 0; j < n; j++) unit[j] = (z[j] - mean) / deviation;
  return deviation;
}

/* From the gradient by gamma * unit + beta: those of gamma and of z, the latter in place. */
static inline void ref_normalise_back(const double *unit, double deviation, const double *gamma, double *d_gamma,
                                      double *d, size_t n) {
  double mean = 0, along = 0;
  for (size_t j = 0; j < n; j++) {
    d_gamma[j] += d[j] * unit[j];
    d[j] *= gamma[j];
    mean += d[j] / (double)n;
    along += d[j] * unit[j] / (double)n;
  }
  for (size_t j = 0; j < n; j++) d[j] = (d[j] - mean - unit[j] * along) / deviation;
}

/* v [n] = v + keep (before - v): zoneout */
static inline void ref_keep(double keep, const double *before, double *v, size_t n) {
  for (size_t j = 0; j < n; j++) v[j] += keep * (before[j] - v[j]);
}

/* d [n] becomes the gradient by v as it was before ref_keep; kept [n]: that by `before`. */
static inline void ref_keep_back(double keep, double *d, double *kept, size_t n) {
  for (size_t j = 0; j < n; j++) {
    kept[j] = keep * d[j];
    d[j] -= kept[j];
  }
}

/* --- dense: y = act(W x + b) -------------------------------------------------------------------------------------- */

/* x [I], y [O] */
static inline void ref_dense_row(const ref_layer *layer, const double *x, double *y) {
  memcpy(y, layer->bias->value, layer->outputs * sizeof(double));
  ref_product(layer->weight, x, y);
  for (size_t j = 0; j < layer->outputs; j++) y[j] = ref_activate(layer->activation, y[j]);
}

/* dy [O] -> dx [I], added to, and the gradients of W and b. dy becomes the gradient before the activation. */
static inline void ref_dense_row_back(ref_layer *layer, const double *x, const double *y, double *dy, double *dx) {
  for (size_t j = 0; j < layer->outputs; j++) dy[j] *= ref_slope(layer->activation, y[j]);
  ref_vector_back(layer->bias, dy);
  ref_product_back(layer->weight, dy, x, dx);
}

/* --- lstm: the equations are in CELLS of the manual --------------------------------------------------------------- */

/* z_k = W_k x + U_k h' + b_k, the first three lines of CELLS. */
static inline void ref_lstm_sums(const ref_layer *layer, const ref_cell *cell, const double *x, const double *h_before,
                                 ref_step *to) {
  size_t H = layer->units;
  double *z = to->gates;
  memset(z, 0, 4 * H * sizeof(double));
  ref_product(cell->weight_ih, x, z);
  ref_product(cell->weight_hh, h_before, z);
  for (size_t k = 0; cell->norm && k < 4; k++) {
    to->deviation[k] = ref_normalise(z + k * H, to->unit + k * H, H);
    for (size_t j = k * H; j < (k + 1) * H; j++) z[j] = cell->norm->value[j] * to->unit[j];
  }
  for (size_t j = 0; j < 4 * H; j++) z[j] += cell->bias->value[j];
}

static inline double ref_forget(const lstm_layer *is, lstm_activation gating, double i, double z) {
  if (is->coupled) return 1 - i;
  if (is->forget == LSTM_FORGET_ZERO) return 0;
  if (is->forget == LSTM_FORGET_ONE) return 1;
  return ref_activate(gating, z);
}

/* x [I], h' [P], c' [H] -> *to */
static inline void ref_lstm_step(const ref_layer *layer, const ref_cell *cell, const double *x, const double *h_before,
                                 const double *c_before, ref_step *to) {
  size_t H = layer->units, P = layer->width;
  double *i = to->gates, *f = i + H, *g = f + H, *o = g + H, clip = (double)layer->is.cell_clip;
  ref_lstm_sums(layer, cell, x, h_before, to);
  for (size_t j = 0; j < H; j++) {
    const double *p = cell->peephole ? cell->peephole->value + j : NULL;
    i[j] = ref_activate(layer->gating, i[j] + (p ? p[0] * c_before[j] : 0));
    f[j] = ref_forget(&layer->is, layer->gating, i[j], f[j] + (p ? p[H] * c_before[j] : 0));
    g[j] = ref_activate(layer->activation, g[j]);
    to->s[j] = f[j] * c_before[j] + i[j] * g[j];
    if (clip > 0) to->s[j] = fmax(-clip, fmin(clip, to->s[j]));
    o[j] = ref_activate(layer->gating, o[j] + (p ? p[2 * H] * to->s[j] : 0));
  }
  if (cell->norm) to->deviation[4] = ref_normalise(to->s, to->s_unit, H);
  for (size_t j = 0; j < H; j++) {
    double n = cell->norm ? cell->norm_cell->value[j] * to->s_unit[j] + cell->norm_cell_bias->value[j] : to->s[j];
    to->a[j] = ref_activate(layer->activation, n);
    to->m[j] = o[j] * to->a[j];
  }
  memset(to->h, 0, P * sizeof(double));
  if (cell->weight_hr)
    ref_product(cell->weight_hr, to->m, to->h);
  else
    memcpy(to->h, to->m, H * sizeof(double));
  memcpy(to->c, to->s, H * sizeof(double));
  ref_keep((double)layer->is.zoneout, c_before, to->c, H);
  ref_keep((double)layer->is.zoneout, h_before, to->h, P);
}

/* h = R (o * A(s)) backwards: dh [P] -> dz_o [H], and ds [H], added to. dm [H] is for work. */
static inline void ref_output_back(const ref_layer *layer, const ref_cell *cell, const ref_step *at, const double *dh,
                                   double *dz_o, double *ds, double *dm) {
  size_t H = layer->units;
  const double *o = at->gates + 3 * H;
  memset(dm, 0, H * sizeof(double));
  if (cell->weight_hr)
    ref_product_back(cell->weight_hr, dh, at->m, dm);
  else
    memcpy(dm, dh, H * sizeof(double));
  for (size_t j = 0; j < H; j++) {
    dz_o[j] = dm[j] * at->a[j] * ref_slope(layer->gating, o[j]);
    dm[j] *= o[j] * ref_slope(layer->activation, at->a[j]);
  }
  if (cell->norm) {
    ref_vector_back(cell->norm_cell_bias, dm);
    ref_normalise_back(at->s_unit, at->deviation[4], cell->norm_cell->value, cell->norm_cell->gradient, dm, H);
  }
  for (size_t j = 0; j < H; j++) ds[j] += dm[j];
}

/* The gates of unit j backwards: ds -> dz[0], dz[H], dz[2H] (i, f, g), and dc, added to. dz[3H] is given. */
static inline void ref_unit_back(const ref_layer *layer, const ref_cell *cell, const ref_step *at, size_t j,
                                 double c_before, double ds, double *dz, double *dc) {
  size_t H = layer->units;
  double i = at->gates[j], f = at->gates[H + j], g = at->gates[2 * H + j], clip = (double)layer->is.cell_clip;
  const double *p = cell->peephole ? cell->peephole->value + j : NULL;
  double *d_p = p ? cell->peephole->gradient + j : NULL;
  if (p) ds += dz[3 * H] * p[2 * H];
  if (clip > 0 && fabs(at->s[j]) >= clip) ds = 0;
  double di = ds * g, df = ds * c_before;
  if (layer->is.coupled) di -= df;
  if (layer->is.coupled || layer->is.forget == LSTM_FORGET_ZERO || layer->is.forget == LSTM_FORGET_ONE) df = 0;
  dz[0] = di * ref_slope(layer->gating, i);
  dz[H] = df * ref_slope(layer->gating, f);
  dz[2 * H] = ds * i * ref_slope(layer->activation, g);
  *dc += ds * f;
  if (!p) return;
  *dc += dz[0] * p[0] + dz[H] * p[H];
  d_p[0] += dz[0] * c_before;
  d_p[H] += dz[H] * c_before;
  d_p[2 * H] += dz[3 * H] * at->s[j];
}

/* dh [P] and dc [H], by this step's h and c, become those by h' and c'; dx [I] is added to. work [6H + P] */
static inline void ref_lstm_step_back(const ref_layer *layer, const ref_cell *cell, const ref_step *at, const double *x,
                                      const double *h_before, const double *c_before, double *dh, double *dc,
                                      double *dx, double *work) {
  size_t H = layer->units, P = layer->width;
  double *dz = ref_cut(&work, 4 * H), *ds = ref_cut(&work, H), *dm = ref_cut(&work, H), *kept_h = ref_cut(&work, P);
  ref_keep_back((double)layer->is.zoneout, dh, kept_h, P);
  memcpy(ds, dc, H * sizeof(double));
  ref_keep_back((double)layer->is.zoneout, ds, dc, H);
  ref_output_back(layer, cell, at, dh, dz + 3 * H, ds, dm);
  for (size_t j = 0; j < H; j++) ref_unit_back(layer, cell, at, j, c_before[j], ds[j], dz + j, dc + j);
  ref_vector_back(cell->bias, dz);
  for (size_t k = 0; cell->norm && k < 4; k++)
    ref_normalise_back(at->unit + k * H, at->deviation[k], cell->norm->value + k * H, cell->norm->gradient + k * H,
                       dz + k * H, H);
  memcpy(dh, kept_h, P * sizeof(double));
  ref_product_back(cell->weight_ih, dz, x, dx);
  ref_product_back(cell->weight_hh, dz, h_before, dh);
}

/* --- gru: gates r, z, n ------------------------------------------------------------------------------------------- */

/* x [I], h' [H] -> *to */
static inline void ref_gru_step(const ref_layer *layer, const ref_cell *cell, const double *x, const double *h_before,
                                ref_step *to) {
  size_t H = layer->units;
  double *r = to->gates, *z = r + H, *n = z + H, *u = to->unit; /* u: U h' [3H]; its last part moves to the front */
  memcpy(r, cell->bias->value, 3 * H * sizeof(double));
  ref_product(cell->weight_ih, x, r);
  memset(u, 0, 3 * H * sizeof(double));
  ref_product(cell->weight_hh, h_before, u);
  for (size_t j = 0; j < H; j++) {
    r[j] = ref_sigmoid(r[j] + u[j]);
    z[j] = ref_sigmoid(z[j] + u[H + j]);
    u[j] = u[2 * H + j] + cell->bias_hn->value[j];
    n[j] = tanh(n[j] + r[j] * u[j]);
    to->h[j] = n[j] + z[j] * (h_before[j] - n[j]);
  }
  ref_keep((double)layer->is.zoneout, h_before, to->h, H);
}

/* dh [H] by this step's h becomes that by h'; dx [I] is added to. work [4H] */
static inline void ref_gru_step_back(const ref_layer *layer, const ref_cell *cell, const ref_step *at, const double *x,
                                     const double *h_before, double *dh, double *dx, double *work) {
  size_t H = layer->units;
  const double *r = at->gates, *z = r + H, *n = z + H, *u = at->unit;
  double *d = ref_cut(&work, 3 * H), *kept_h = ref_cut(&work, H);
  ref_keep_back((double)layer->is.zoneout, dh, kept_h, H);
  for (size_t j = 0; j < H; j++) {
    d[2 * H + j] = dh[j] * (1 - z[j]) * (1 - n[j] * n[j]);
    d[H + j] = dh[j] * (h_before[j] - n[j]) * z[j] * (1 - z[j]);
    d[j] = d[2 * H + j] * u[j] * r[j] * (1 - r[j]);
    dh[j] = kept_h[j] + dh[j] * z[j];
  }
  ref_vector_back(cell->bias, d);
  ref_product_back(cell->weight_ih, d, x, dx);
  for (size_t j = 0; j < H; j++) d[2 * H + j] *= r[j];
  ref_vector_back(cell->bias_hn, d + 2 * H);
  ref_product_back(cell->weight_hh, d, h_before, dh);
}

/* --- recurrent layers over a window ------------------------------------------------------------------------------- */

/* Step n of direction d, of a lane of this length. */
static inline size_t ref_time(size_t d, size_t n, size_t length) { return d ? length - 1 - n : n; }

/* Where the values of direction d begin in the layer's output. */
static inline size_t ref_place(const ref_layer *layer, size_t d) {
  return layer->is.merge == LSTM_MERGE_SUM ? 0 : d * layer->width;
}

static inline size_t ref_cell_size(const ref_layer *layer) {
  return layer->is.type == LSTM_LAYER_GRU ? 0 : layer->units;
}

static inline void ref_lane_forward(ref_pass *pass, size_t l, size_t d, size_t b) {
  const ref_layer *layer = &pass->net->layers[l];
  const ref_cell *cell = &layer->cells[d];
  const ref_trace *trace = &pass->traces[l];
  size_t P = layer->width, C = ref_cell_size(layer), at = b * pass->net->state_size + cell->state;
  const double *h = pass->initial + at, *c = h + P;
  for (size_t n = 0; n < pass->lengths[b]; n++) {
    size_t row = ref_time(d, n, pass->lengths[b]) * pass->B + b;
    const double *x = trace->in + row * layer->inputs;
    ref_step *step = &trace->steps[d][row];
    if (C)
      ref_lstm_step(layer, cell, x, h, c, step);
    else
      ref_gru_step(layer, cell, x, h, step);
    h = step->h;
    c = step->c;
    for (size_t j = 0; j < P; j++) trace->out[row * layer->outputs + ref_place(layer, d) + j] += h[j];
  }
  memcpy(pass->final + at, h, P * sizeof(double));
  memcpy(pass->final + at + P, c, C * sizeof(double));
  if (pass->net->read != LSTM_READ_LAST || !trace->last || !pass->lengths[b]) return;
  for (size_t j = 0; j < P; j++) trace->last[b * layer->outputs + ref_place(layer, d) + j] += h[j];
}

/* The first step that has the largest value of output j in lane b. */
static inline size_t ref_largest_step(const ref_pass *pass, const ref_trace *trace, size_t O, size_t b, size_t j) {
  size_t best = 0;
  for (size_t t = 1; t < pass->lengths[b]; t++)
    if (trace->out[(t * pass->B + b) * O + j] > trace->out[(best * pass->B + b) * O + j]) best = t;
  return best;
}

/* read mean and max: trace->last from trace->out */
static inline void ref_pool(ref_pass *pass, size_t l) {
  ref_trace *trace = &pass->traces[l];
  size_t O = pass->net->layers[l].outputs;
  for (size_t i = 0; i < pass->B * O; i++) {
    size_t b = i / O, j = i % O, length = pass->lengths[b];
    if (length && pass->net->read == LSTM_READ_MAX)
      trace->last[i] = trace->out[(ref_largest_step(pass, trace, O, b, j) * pass->B + b) * O + j];
    for (size_t t = 0; pass->net->read == LSTM_READ_MEAN && t < length; t++)
      trace->last[i] += trace->out[(t * pass->B + b) * O + j] / (double)length;
  }
}

static inline void ref_pool_back(ref_pass *pass, size_t l) {
  ref_trace *trace = &pass->traces[l];
  size_t O = pass->net->layers[l].outputs;
  for (size_t i = 0; i < pass->B * O; i++) {
    size_t b = i / O, j = i % O, length = pass->lengths[b];
    if (length && pass->net->read == LSTM_READ_MAX)
      trace->d_out[(ref_largest_step(pass, trace, O, b, j) * pass->B + b) * O + j] += trace->d_last[i];
    for (size_t t = 0; pass->net->read == LSTM_READ_MEAN && t < length; t++)
      trace->d_out[(t * pass->B + b) * O + j] += trace->d_last[i] / (double)length;
  }
}

static inline void ref_recurrent_forward(ref_pass *pass, size_t l) {
  const ref_layer *layer = &pass->net->layers[l];
  ref_trace *trace = &pass->traces[l];
  memset(trace->out, 0, pass->T * pass->B * layer->outputs * sizeof(double));
  if (trace->last) memset(trace->last, 0, pass->B * layer->outputs * sizeof(double));
  for (size_t d = 0; d < layer->directions; d++)
    for (size_t b = 0; b < pass->B; b++) ref_lane_forward(pass, l, d, b);
  if (trace->last) ref_pool(pass, l);
}

/* Through one lane, from its last step to its first. pass->d_initial has the gradient by the final state before, and by
   the initial state after. */
static inline void ref_lane_back(ref_pass *pass, size_t l, size_t d, size_t b, double *work) {
  const ref_layer *layer = &pass->net->layers[l];
  const ref_cell *cell = &layer->cells[d];
  const ref_trace *trace = &pass->traces[l];
  size_t P = layer->width, I = layer->inputs, length = pass->lengths[b], at = b * pass->net->state_size + cell->state;
  double *dh = pass->d_initial + at, *dc = dh + P;
  for (size_t n = length; n-- > 0;) {
    size_t row = ref_time(d, n, length) * pass->B + b;
    const ref_step *step = &trace->steps[d][row];
    const ref_step *before = n ? &trace->steps[d][ref_time(d, n - 1, length) * pass->B + b] : NULL;
    const double *h_before = before ? before->h : pass->initial + at;
    const double *c_before = before ? before->c : pass->initial + at + P;
    for (size_t j = 0; j < P; j++)
      dh[j] += trace->d_h[d][row * P + j] + trace->d_out[row * layer->outputs + ref_place(layer, d) + j];
    if (layer->is.type == LSTM_LAYER_GRU)
      ref_gru_step_back(layer, cell, step, trace->in + row * I, h_before, dh, trace->d_in + row * I, work);
    else
      ref_lstm_step_back(layer, cell, step, trace->in + row * I, h_before, c_before, dh, dc, trace->d_in + row * I,
                         work);
  }
  if (pass->fresh[b] && cell->h0) ref_vector_back(cell->h0, dh);
  if (pass->fresh[b] && cell->c0) ref_vector_back(cell->c0, dc);
}

static inline void ref_recurrent_backward(ref_pass *pass, size_t l, const double *d_final) {
  const ref_layer *layer = &pass->net->layers[l];
  ref_trace *trace = &pass->traces[l];
  size_t P = layer->width, count = P + ref_cell_size(layer);
  double *work = ref_doubles(6 * layer->units + P);
  if (trace->last) ref_pool_back(pass, l);
  for (size_t d = 0; d < layer->directions; d++)
    for (size_t b = 0; b < pass->B; b++) {
      size_t at = b * pass->net->state_size + layer->cells[d].state, length = pass->lengths[b];
      for (size_t j = 0; j < count; j++) pass->d_initial[at + j] = d_final ? d_final[at + j] : 0;
      for (size_t j = 0; trace->last && pass->net->read == LSTM_READ_LAST && length && j < P; j++)
        trace->d_h[d][(ref_time(d, length - 1, length) * pass->B + b) * P + j] +=
            trace->d_last[b * layer->outputs + ref_place(layer, d) + j];
      ref_lane_back(pass, l, d, b, work);
    }
  free(work);
}

/* --- all layers over a window ------------------------------------------------------------------------------------- */

/* Embedding, dense and dropout (which the reference leaves off) work row by row. */
static inline void ref_row_forward(ref_pass *pass, size_t l, size_t row) {
  const ref_layer *layer = &pass->net->layers[l];
  const ref_trace *trace = &pass->traces[l];
  size_t I = layer->inputs, O = layer->outputs;
  double *out = trace->out + row * O;
  if (layer->is.type == LSTM_LAYER_DENSE) {
    ref_dense_row(layer, trace->in + row * I, out);
    for (size_t j = 0; layer->is.residual && j < O; j++) out[j] += pass->x[row * pass->net->input_size + j];
  }
  else if (layer->is.type == LSTM_LAYER_DROPOUT)
    memcpy(out, trace->in + row * I, O * sizeof(double));
  else
    memcpy(out, layer->weight->value + (size_t)pass->batch.ids[row] * O, O * sizeof(double));
}

static inline void ref_row_backward(ref_pass *pass, size_t l, size_t row) {
  ref_layer *layer = &pass->net->layers[l];
  const ref_trace *trace = &pass->traces[l];
  size_t I = layer->inputs, O = layer->outputs;
  double *d_out = trace->d_out + row * O, *to;
  if (layer->is.type == LSTM_LAYER_DENSE) {
    for (size_t j = 0; layer->is.residual && j < O; j++) pass->d_x[row * pass->net->input_size + j] += d_out[j];
    ref_dense_row_back(layer, trace->in + row * I, trace->out + row * O, d_out, trace->d_in + row * I);
    return;
  }
  if (layer->is.type == LSTM_LAYER_DROPOUT)
    to = trace->d_in + row * I;
  else
    to = layer->weight->gradient + (size_t)pass->batch.ids[row] * O;
  for (size_t j = 0; j < O; j++) to[j] += d_out[j];
}

/* Lanes that begin fresh, at the learned states. */
static inline void ref_begin(ref_pass *pass) {
  for (size_t l = 0; l < pass->net->layer_count; l++)
    for (size_t d = 0; d < pass->net->layers[l].directions; d++)
      for (size_t b = 0; b < pass->B; b++) {
        const ref_cell *cell = &pass->net->layers[l].cells[d];
        double *h = pass->initial + b * pass->net->state_size + cell->state, *c = h + pass->net->layers[l].width;
        if (pass->fresh[b] && cell->h0) memcpy(h, cell->h0->value, cell->h0->count * sizeof(double));
        if (pass->fresh[b] && cell->c0) memcpy(c, cell->c0->value, cell->c0->count * sizeof(double));
      }
}

static inline void ref_forward(ref_pass *pass) {
  ref_begin(pass);
  for (size_t l = 0; l < pass->net->layer_count; l++) {
    if (pass->net->layers[l].directions) {
      ref_recurrent_forward(pass, l);
      continue;
    }
    for (size_t t = 0; t < ref_steps(pass, l); t++)
      for (size_t b = 0; b < pass->B; b++)
        if (ref_valid(pass, l, t, b)) ref_row_forward(pass, l, t * pass->B + b);
  }
}

/* --- losses ------------------------------------------------------------------------------------------------------- */

/* Softmax cross-entropy: log sum exp(y) - sum q y, where the target has q = 1 - smoothing + smoothing / O and the
   others smoothing / O; its derivative is softmax(y) - q. Returns the loss; fills d [O]. */
static inline double ref_cross_entropy(const double *y, size_t O, size_t target, double smoothing, double *d) {
  double top = y[0], sum = 0, inner = 0;
  for (size_t j = 1; j < O; j++) top = y[j] > top ? y[j] : top;
  for (size_t j = 0; j < O; j++) sum += exp(y[j] - top);
  for (size_t j = 0; j < O; j++) {
    double q = (j == target ? 1 - smoothing : 0) + smoothing / (double)O;
    inner += q * y[j];
    d[j] = exp(y[j] - top) / sum - q;
  }
  return top + log(sum) - inner;
}

/* Mean over the outputs of -t log s(y) - (1-t) log(1 - s(y)), s the logistic function; derivative (s(y) - t) / O. */
static inline double ref_binary(const double *y, size_t O, const float *target, double *d) {
  double sum = 0;
  for (size_t j = 0; j < O; j++) {
    double t = (double)target[j];
    sum += (y[j] > 0 ? y[j] : 0) - y[j] * t + log1p(exp(-fabs(y[j])));
    d[j] = (ref_sigmoid(y[j]) - t) / (double)O;
  }
  return sum / (double)O;
}

/* Mean over the outputs of e^2, |e| or Huber's function of e = y - t. */
static inline double ref_distance(const lstm_trainer_desc *how, const double *y, size_t O, const float *target,
                                  double *d) {
  double sum = 0, delta = how->huber_delta > 0 ? (double)how->huber_delta : 1;
  for (size_t j = 0; j < O; j++) {
    double e = y[j] - (double)target[j], sign = e > 0 ? 1 : e < 0 ? -1 : 0;
    int far = how->loss == LSTM_MAE || fabs(e) > delta;
    if (how->loss == LSTM_MSE) {
      sum += e * e;
      d[j] = 2 * e / (double)O;
    } else {
      if (how->loss == LSTM_MAE)
        sum += fabs(e);
      else
        sum += far ? delta * (fabs(e) - delta / 2) : e * e / 2;
      d[j] = (far ? (how->loss == LSTM_MAE ? 1 : delta) * sign : e) / (double)O;
    }
  }
  return sum / (double)O;
}

/* 1: the target at step t of lane b counts; otherwise than in ref_loss, t may be before the window. */
static inline int ref_counts(const ref_pass *pass, size_t t, size_t b) {
  if (t >= pass->T || t < (size_t)pass->batch.burn_in || t >= pass->lengths[b]) return 0;
  return !pass->batch.weights || pass->batch.weights[t * pass->B + b] > 0;
}

/* The error-to-signal ratio: errors and targets, each less the share of its predecessor that counts too. */
static inline void ref_esr(ref_pass *pass, const lstm_trainer_desc *how) {
  size_t O = pass->net->output_size, B = pass->B;
  double share = how->pre_emphasis < 0 ? 0 : how->pre_emphasis > 0 ? (double)how->pre_emphasis : (double)0.95f;
  for (size_t row = 0; row < pass->T * B; row++) {
    double w = pass->batch.weights ? (double)pass->batch.weights[row] : 1;
    int both = ref_counts(pass, row / B - 1, row % B);
    if (!ref_counts(pass, row / B, row % B)) continue;
    for (size_t j = row * O; j < (row + 1) * O; j++) {
      double signal = (double)pass->batch.targets[j], error = pass->y[j] - signal;
      if (both) error -= share * (pass->y[j - B * O] - (double)pass->batch.targets[j - B * O]);
      if (both) signal -= share * (double)pass->batch.targets[j - B * O];
      pass->loss += w * error * error;
      pass->weight += w * signal * signal;
      pass->d_y[j] += 2 * w * error;
      if (both) pass->d_y[j - B * O] -= 2 * w * share * error;
    }
    pass->targets += 1;
  }
}

/* 1: the prediction is right, as lstm_metrics counts it. */
static inline int ref_correct(lstm_loss kind, const double *y, size_t O, size_t target, const float *targets) {
  if (kind == LSTM_CROSS_ENTROPY) {
    for (size_t j = 0; j < O; j++)
      if (j != target && (y[j] > y[target] || (y[j] >= y[target] && j < target))) return 0;
    return 1;
  }
  if (kind != LSTM_BINARY_CROSS_ENTROPY) return 0;
  for (size_t j = 0; j < O; j++)
    if ((y[j] > 0) != (targets[j] > 0.5f)) return 0;
  return 1;
}

/* One place of the window: adds weight * loss and its derivative (not yet divided by the sum of weights). */
static inline void ref_loss_at(ref_pass *pass, const lstm_trainer_desc *how, size_t row) {
  size_t O = pass->net->output_size, target = 0;
  const double *y = pass->y + row * O;
  double *d = pass->d_y + row * O, w = pass->batch.weights ? (double)pass->batch.weights[row] : 1, loss;
  const float *targets = pass->batch.targets ? pass->batch.targets + row * O : NULL;
  if (how->loss == LSTM_CROSS_ENTROPY) {
    if (pass->batch.target_ids[row] < 0) return;
    target = (size_t)pass->batch.target_ids[row];
    if (how->class_weights) w *= (double)how->class_weights[target];
  }
  if (w <= 0) return; /* no target */
  if (how->loss == LSTM_CROSS_ENTROPY)
    loss = ref_cross_entropy(y, O, target, (double)how->label_smoothing, d);
  else if (how->loss == LSTM_BINARY_CROSS_ENTROPY)
    loss = ref_binary(y, O, targets, d);
  else
    loss = ref_distance(how, y, O, targets, d);
  for (size_t j = 0; j < O; j++) d[j] *= w;
  pass->loss += w * loss;
  pass->weight += w;
  pass->targets += 1;
  pass->correct += ref_correct(how->loss, y, O, target, targets);
}

/* The mean over valid, weighted targets and its derivative with respect to y. LSTM_LOSS_NONE: zero. Of `how` counts
   what describes the loss. */
static inline void ref_loss(ref_pass *pass, const lstm_trainer_desc *how) {
  size_t O = pass->net->output_size, rows = pass->y_steps * pass->B;
  size_t first = pass->net->read == LSTM_READ_ALL ? (size_t)pass->batch.burn_in * pass->B : 0;
  pass->loss = pass->weight = pass->targets = pass->correct = 0;
  memset(pass->d_y, 0, rows * O * sizeof(double));
  if (how->loss == LSTM_LOSS_NONE) return;
  if (how->loss == LSTM_ESR) ref_esr(pass, how);
  for (size_t row = first; how->loss != LSTM_ESR && row < rows; row++)
    if (ref_valid(pass, pass->net->layer_count, row / pass->B, row % pass->B)) ref_loss_at(pass, how, row);
  if (pass->weight <= 0) pass->loss = 0, memset(pass->d_y, 0, rows * O * sizeof(double));
  if (pass->weight <= 0) return;
  pass->loss /= pass->weight;
  for (size_t i = 0; i < rows * O; i++) pass->d_y[i] /= pass->weight;
}

/* What lstm_step and lstm_forward return for logits y [O]: in place. */
static inline void ref_probabilities(lstm_output output, double *y, size_t O) {
  double top = y[0], sum = 0;
  if (output == LSTM_OUTPUT_SIGMOID)
    for (size_t j = 0; j < O; j++) y[j] = ref_sigmoid(y[j]);
  if (output != LSTM_OUTPUT_SOFTMAX) return;
  for (size_t j = 1; j < O; j++) top = y[j] > top ? y[j] : top;
  for (size_t j = 0; j < O; j++) sum += y[j] = exp(y[j] - top);
  for (size_t j = 0; j < O; j++) y[j] /= sum;
}

/* --- backward ----------------------------------------------------------------------------------------------------- */

/* After ref_forward and ref_loss. d_output [T'][B][O] (added to the loss's) and d_final [B][S] may be NULL. */
static inline void ref_backward(ref_pass *pass, const double *d_output, const double *d_final) {
  const ref_net *net = pass->net;
  size_t rows = pass->y_steps * pass->B, O = net->output_size;
  for (size_t row = 0; row < rows; row++)
    if (d_output && ref_valid(pass, net->layer_count, row / pass->B, row % pass->B))
      for (size_t j = 0; j < O; j++) pass->d_y[row * O + j] += d_output[row * O + j];
  for (size_t l = net->layer_count; l-- > 0;) {
    if (net->layers[l].directions) {
      ref_recurrent_backward(pass, l, d_final);
      continue;
    }
    for (size_t t = 0; t < ref_steps(pass, l); t++)
      for (size_t b = 0; b < pass->B; b++)
        if (ref_valid(pass, l, t, b)) ref_row_backward(pass, l, t * pass->B + b);
  }
}

/* --- comparing ---------------------------------------------------------------------------------------------------- */

static inline double ref_largest(const double *values, size_t count) {
  double largest = 0;
  for (size_t i = 0; i < count; i++) largest = fabs(values[i]) > largest ? fabs(values[i]) : largest;
  return largest;
}

/* max |got - want|; infinite where `got` has a NaN. */
static inline double ref_difference(const float *got, const double *want, size_t count) {
  double largest = 0;
  for (size_t i = 0; i < count; i++) {
    double d = fabs((double)got[i] - want[i]);
    if (!(d <= largest)) largest = d >= 0 ? d : HUGE_VAL;
  }
  return largest;
}

#endif /* TESTS_REFERENCE_H */
