/* reference.h - what lstm.h computes, a second time and on purpose without any cleverness: double precision, one lane
   and one step after the other, plain loops, no packing and no vectors. It is the yardstick of tests/gradcheck (where
   its own derivatives are first checked against central differences) and of any test that needs the right numbers.

   It knows a model only through the public API: the layers from lstm_model_desc_of, the weights from
   lstm_model_tensor, by their PyTorch names. Include it after lstm.h; link with -lm.

     ref_net net;    ref_net_open(&net, model);                  layers and a double copy of every tensor
     ref_pass pass;  ref_pass_open(&pass, &net, &batch, NULL);   one window, its inputs and initial states in double
     ref_forward(&pass);                                         pass.y, pass.final
     ref_loss(&pass, LSTM_MSE);                                  pass.loss, pass.weight, ...; sets pass.d_y
     ref_backward(&pass, d_output, d_final);                     adds to net.tensors[].gradient; pass.d_x, .d_initial
     ref_pass_close(&pass); ref_net_close(&net);

   Shapes: x [T][B][I], y [T'][B][O] (T' is 1 where the model reads the last step), states [B][S], for each recurrent
   layer h [H], c [H]. Steps at or after a lane's length are padding: nothing is computed there and y is 0. */
#ifndef TESTS_REFERENCE_H
#define TESTS_REFERENCE_H

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REF_MAX_LAYERS 16
#define REF_MAX_TENSORS 64

/* One parameter tensor; `index` is its number in the model. */
typedef struct ref_tensor {
  size_t rows, columns, count;
  int index;
  char name[128];
  double *value, *gradient;
} ref_tensor;

typedef struct ref_layer {
  size_t inputs, outputs;
  lstm_layer_type type;
  lstm_activation activation;
  size_t state;                          /* lstm: where its h begins in a lane's [S]; c follows h */
  ref_tensor *weight, *weight_hh, *bias; /* embedding: weight; lstm: all, weight is weight_ih; dense: weight, bias */
} ref_layer;

typedef struct ref_net {
  size_t input_size, output_size, state_size, layer_count, tensor_count;
  size_t last_recurrent; /* the layer whose last step is read; layer_count: none */
  int takes_ids, reads_last;
  ref_layer layers[REF_MAX_LAYERS];
  ref_tensor tensors[REF_MAX_TENSORS];
} ref_net;

/* What a layer leaves behind in a window. */
typedef struct ref_trace {
  const double *in;      /* [steps][B][inputs]; embedding: NULL */
  double *d_in;
  double *out, *d_out;   /* [steps][B][outputs] */
  double *last, *d_last; /* [B][outputs]: the last valid steps of `out`, where they are what goes on */
  double *gates, *cell;  /* lstm: [T][B][4H] after sigma and tanh; c [T][B][H] */
} ref_trace;

typedef struct ref_pass {
  ref_net *net;
  lstm_batch batch; /* for ids, targets, weights */
  size_t T, B, y_steps;
  size_t *lengths; /* [B] */
  double *x, *d_x; /* [T][B][I]; NULL for token models */
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

/* The tensor "prefix.name", which must have this shape (columns 0: a vector). NULL, and a line on stderr, if not. */
static inline ref_tensor *ref_take(ref_net *net, const char *prefix, const char *name, size_t rows, size_t columns) {
  char full[256];
  snprintf(full, sizeof full, "%s.%s", prefix, name);
  ref_tensor *tensor = ref_tensor_named(net, full);
  if (!tensor)
    fprintf(stderr, "reference.h: the model has no tensor %s\n", full);
  else if (tensor->rows != rows || tensor->columns != columns || tensor->count != rows * (columns ? columns : 1))
    fprintf(stderr, "reference.h: tensor %s is [%d][%d], wanted [%d][%d]\n", full, (int)tensor->rows,
            (int)tensor->columns, (int)rows, (int)columns);
  else
    return tensor;
  return NULL;
}

static inline int ref_copy_tensors(ref_net *net, const lstm_model *model) {
  net->tensor_count = (size_t)lstm_model_tensor_count(model);
  if (net->tensor_count > REF_MAX_TENSORS) return 0;
  for (size_t i = 0; i < net->tensor_count; i++) {
    ref_tensor *tensor = &net->tensors[i];
    lstm_tensor from;
    if (lstm_model_tensor(model, (int)i, &from) != LSTM_OK) return 0;
    tensor->index = (int)i;
    snprintf(tensor->name, sizeof tensor->name, "%s", from.name);
    tensor->rows = (size_t)from.rows;
    tensor->columns = (size_t)from.columns;
    tensor->count = from.count;
    tensor->value = ref_doubles(from.count);
    tensor->gradient = ref_doubles(from.count);
    for (size_t k = 0; k < from.count; k++) tensor->value[k] = (double)from.data[k];
  }
  return 1;
}

/* Where we are in the list of names while the layers are walked. */
typedef struct ref_naming {
  int run, level, dense, last_dense; /* the current run of LSTM layers (-1: none), the layer in it; denses so far */
  int open;                          /* the run may go on */
  size_t hidden;
  const char *run_name;
} ref_naming;

static inline int ref_name_lstm(ref_net *net, ref_layer *to, const lstm_layer *layer, ref_naming *naming) {
  char prefix[128], name[64];
  size_t hidden = to->outputs;
  if (naming->open && naming->hidden == hidden && !layer->name) {
    naming->level++;
  } else {
    naming->run++;
    naming->level = 0;
    naming->open = 1;
    naming->hidden = hidden;
    naming->run_name = layer->name;
  }
  if (naming->run_name)
    snprintf(prefix, sizeof prefix, "%s", naming->run_name);
  else if (naming->run)
    snprintf(prefix, sizeof prefix, "rnn%d", naming->run);
  else
    snprintf(prefix, sizeof prefix, "rnn");
  snprintf(name, sizeof name, "weight_ih_l%d", naming->level);
  to->weight = ref_take(net, prefix, name, 4 * hidden, to->inputs);
  snprintf(name, sizeof name, "weight_hh_l%d", naming->level);
  to->weight_hh = ref_take(net, prefix, name, 4 * hidden, hidden);
  snprintf(name, sizeof name, "bias_ih_l%d", naming->level);
  to->bias = ref_take(net, prefix, name, 4 * hidden, 0);
  return to->weight && to->weight_hh && to->bias;
}

static inline int ref_name_dense(ref_net *net, ref_layer *to, const lstm_layer *layer, int at, ref_naming *naming) {
  char prefix[128];
  if (layer->name)
    snprintf(prefix, sizeof prefix, "%s", layer->name);
  else if (at == naming->last_dense)
    snprintf(prefix, sizeof prefix, "head");
  else
    snprintf(prefix, sizeof prefix, "dense%d", naming->dense);
  naming->dense++;
  naming->open = 0;
  to->weight = ref_take(net, prefix, "weight", to->outputs, to->inputs);
  to->bias = ref_take(net, prefix, "bias", to->outputs, 0);
  return to->weight && to->bias;
}

static inline int ref_add_layer(ref_net *net, const lstm_layer *layer, int at, ref_naming *naming) {
  ref_layer *to = &net->layers[at];
  to->type = layer->type;
  to->activation = layer->activation;
  to->inputs = at ? net->layers[at - 1].outputs : net->input_size;
  to->outputs = layer->type == LSTM_LAYER_DROPOUT ? to->inputs : (size_t)layer->size;
  if (layer->type == LSTM_LAYER_LSTM) {
    to->state = net->state_size;
    net->state_size += 2 * to->outputs;
    net->last_recurrent = (size_t)at;
    net->reads_last = layer->read == LSTM_READ_LAST;
    return ref_name_lstm(net, to, layer, naming);
  }
  if (layer->type == LSTM_LAYER_DENSE) return ref_name_dense(net, to, layer, at, naming);
  if (layer->type == LSTM_LAYER_EMBEDDING) {
    net->takes_ids = 1;
    to->weight = ref_take(net, layer->name ? layer->name : "embed", "weight", to->inputs, to->outputs);
    return to->weight != NULL;
  }
  return layer->type == LSTM_LAYER_DROPOUT;
}

/* 1, or 0 with a line on stderr where the model's tensors are not what its layers call for. */
static inline int ref_net_open(ref_net *net, const lstm_model *model) {
  const lstm_model_desc *desc = lstm_model_desc_of(model);
  ref_naming naming = {-1, 0, 0, -1, 0, 0, NULL};
  memset(net, 0, sizeof *net);
  if (desc->layer_count > REF_MAX_LAYERS || !ref_copy_tensors(net, model)) return 0;
  net->input_size = (size_t)desc->input_size;
  net->layer_count = net->last_recurrent = (size_t)desc->layer_count;
  for (int i = 0; i < desc->layer_count; i++)
    if (desc->layers[i].type == LSTM_LAYER_DENSE) naming.last_dense = i;
  for (int i = 0; i < desc->layer_count; i++)
    if (!ref_add_layer(net, &desc->layers[i], i, &naming)) return 0;
  net->output_size = net->layers[net->layer_count - 1].outputs;
  return 1;
}

static inline void ref_net_close(ref_net *net) {
  for (size_t i = 0; i < net->tensor_count; i++) {
    free(net->tensors[i].value);
    free(net->tensors[i].gradient);
  }
  memset(net, 0, sizeof *net);
}

static inline void ref_zero_gradients(ref_net *net) {
  for (size_t i = 0; i < net->tensor_count; i++)
    memset(net->tensors[i].gradient, 0, net->tensors[i].count * sizeof(double));
}

/* --- one window --------------------------------------------------------------------------------------------------- */

/* 1: layer l works on the last steps only. */
static inline int ref_after_read(const ref_net *net, size_t l) { return net->reads_last && l > net->last_recurrent; }

static inline size_t ref_steps(const ref_pass *pass, size_t l) { return ref_after_read(pass->net, l) ? 1 : pass->T; }

/* 1: layer l has something to compute at step t of lane b. */
static inline int ref_valid(const ref_pass *pass, size_t l, size_t t, size_t b) {
  return ref_after_read(pass->net, l) ? pass->lengths[b] > 0 : t < pass->lengths[b];
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
  if (layer->type != LSTM_LAYER_LSTM) return;
  trace->gates = ref_doubles(rows * 4 * layer->outputs);
  trace->cell = ref_doubles(rows * layer->outputs);
  if (!pass->net->reads_last || l != pass->net->last_recurrent) return;
  trace->last = ref_doubles(pass->B * layer->outputs);
  trace->d_last = ref_doubles(pass->B * layer->outputs);
}

/* Prepares a window. Initial states: the batch's, else `carried` [B][S] except in lanes that reset, else zero. seq_len
   and batch_size must be set. */
static inline void ref_pass_open(ref_pass *pass, ref_net *net, const lstm_batch *batch, const double *carried) {
  memset(pass, 0, sizeof *pass);
  pass->net = net;
  pass->batch = *batch;
  pass->T = (size_t)batch->seq_len;
  pass->B = (size_t)batch->batch_size;
  pass->y_steps = net->reads_last ? 1 : pass->T;
  pass->lengths = (size_t *)ref_alloc(pass->B, sizeof(size_t));
  for (size_t b = 0; b < pass->B; b++) pass->lengths[b] = batch->lengths ? (size_t)batch->lengths[b] : pass->T;
  size_t inputs = net->takes_ids ? 0 : pass->T * pass->B * net->input_size, states = pass->B * net->state_size;
  if (!net->takes_ids) {
    pass->x = ref_doubles(inputs);
    pass->d_x = ref_doubles(inputs);
    for (size_t i = 0; i < inputs; i++) pass->x[i] = (double)batch->x[i];
  }
  pass->initial = ref_doubles(states);
  pass->final = ref_doubles(states);
  pass->d_initial = ref_doubles(states);
  for (size_t i = 0; i < states; i++) {
    int reset = batch->reset && batch->reset[i / net->state_size];
    if (batch->initial)
      pass->initial[i] = (double)batch->initial[i];
    else if (carried && !reset)
      pass->initial[i] = carried[i];
  }
  for (size_t l = 0; l < net->layer_count; l++) ref_trace_open(pass, l);
  ref_trace *top = &pass->traces[net->layer_count - 1];
  pass->y = top->last ? top->last : top->out;
  pass->d_y = top->last ? top->d_last : top->d_out;
}

static inline void ref_pass_close(ref_pass *pass) {
  for (size_t l = 0; l < pass->net->layer_count; l++) {
    ref_trace *trace = &pass->traces[l];
    free(trace->out), free(trace->d_out), free(trace->last), free(trace->d_last), free(trace->gates), free(trace->cell);
  }
  free(pass->lengths), free(pass->x), free(pass->d_x), free(pass->initial), free(pass->final), free(pass->d_initial);
  memset(pass, 0, sizeof *pass);
}

/* --- dense: y = act(W x + b) -------------------------------------------------------------------------------------- */

static inline double ref_activate(lstm_activation activation, double x) {
  switch (activation) {
  case LSTM_TANH: return tanh(x);
  case LSTM_SIGMOID: return ref_sigmoid(x);
  case LSTM_RELU: return x > 0 ? x : 0;
  default: return x;
  }
}

/* The derivative, from the value. */
static inline double ref_slope(lstm_activation activation, double y) {
  switch (activation) {
  case LSTM_TANH: return 1 - y * y;
  case LSTM_SIGMOID: return y * (1 - y);
  case LSTM_RELU: return y > 0 ? 1 : 0;
  default: return 1;
  }
}

/* x [I], y [O] */
static inline void ref_dense_row(const ref_layer *layer, const double *x, double *y) {
  for (size_t j = 0; j < layer->outputs; j++) {
    double sum = layer->bias->value[j];
    for (size_t k = 0; k < layer->inputs; k++) sum += layer->weight->value[j * layer->inputs + k] * x[k];
    y[j] = ref_activate(layer->activation, sum);
  }
}

/* dy [O] -> dx [I], added to, and the gradients of W and b. */
static inline void ref_dense_row_back(ref_layer *layer, const double *x, const double *y, const double *dy,
                                      double *dx) {
  for (size_t j = 0; j < layer->outputs; j++) {
    double d = dy[j] * ref_slope(layer->activation, y[j]);
    layer->bias->gradient[j] += d;
    for (size_t k = 0; k < layer->inputs; k++) {
      layer->weight->gradient[j * layer->inputs + k] += d * x[k];
      dx[k] += d * layer->weight->value[j * layer->inputs + k];
    }
  }
}

/* --- lstm: gates i, f, g, o --------------------------------------------------------------------------------------- */

/* c = f c' + i g;  h = o tanh(c).   x [I], h', c' [H] -> gates [4H], c, h [H] */
static inline void ref_lstm_row(const ref_layer *layer, const double *x, const double *h_before, const double *c_before,
                                double *gates, double *c, double *h) {
  size_t hidden = layer->outputs;
  for (size_t j = 0; j < 4 * hidden; j++) {
    double sum = layer->bias->value[j];
    for (size_t k = 0; k < layer->inputs; k++) sum += layer->weight->value[j * layer->inputs + k] * x[k];
    for (size_t k = 0; k < hidden; k++) sum += layer->weight_hh->value[j * hidden + k] * h_before[k];
    gates[j] = j / hidden == 2 ? tanh(sum) : ref_sigmoid(sum);
  }
  const double *i = gates, *f = i + hidden, *g = f + hidden, *o = g + hidden;
  for (size_t j = 0; j < hidden; j++) {
    c[j] = f[j] * c_before[j] + i[j] * g[j];
    h[j] = o[j] * tanh(c[j]);
  }
}

/* Derivatives of the gates before sigma and tanh, d_gates [4H], from dh [H] and dc [H]; dc becomes that of c'. */
static inline void ref_gates_back(size_t hidden, const double *gates, const double *c, const double *c_before,
                                  const double *dh, double *dc, double *d_gates) {
  const double *i = gates, *f = i + hidden, *g = f + hidden, *o = g + hidden;
  for (size_t j = 0; j < hidden; j++) {
    double squashed = tanh(c[j]);
    double d = dc[j] + dh[j] * o[j] * (1 - squashed * squashed);
    d_gates[j] = d * g[j] * i[j] * (1 - i[j]);
    d_gates[hidden + j] = d * c_before[j] * f[j] * (1 - f[j]);
    d_gates[2 * hidden + j] = d * i[j] * (1 - g[j] * g[j]);
    d_gates[3 * hidden + j] = dh[j] * squashed * o[j] * (1 - o[j]);
    dc[j] = d * f[j];
  }
}

/* One matrix's share: d_gates [4H] times input [n] to the gradient, and through the matrix to d_input [n]. */
static inline void ref_matrix_back(ref_tensor *weight, size_t n, const double *d_gates, const double *input,
                                   double *d_input) {
  for (size_t j = 0; j < weight->rows; j++)
    for (size_t k = 0; k < n; k++) {
      weight->gradient[j * n + k] += d_gates[j] * input[k];
      d_input[k] += d_gates[j] * weight->value[j * n + k];
    }
}

/* --- layers over a window ----------------------------------------------------------------------------------------- */

static inline void ref_lstm_forward(ref_pass *pass, size_t l) {
  const ref_layer *layer = &pass->net->layers[l];
  ref_trace *trace = &pass->traces[l];
  size_t B = pass->B, H = layer->outputs, I = layer->inputs, S = pass->net->state_size;
  for (size_t b = 0; b < B; b++) {
    const double *h = pass->initial + b * S + layer->state, *c = h + H;
    for (size_t t = 0; t < pass->lengths[b]; t++) {
      size_t row = t * B + b;
      ref_lstm_row(layer, trace->in + row * I, h, c, trace->gates + row * 4 * H, trace->cell + row * H,
                   trace->out + row * H);
      h = trace->out + row * H;
      c = trace->cell + row * H;
    }
    memcpy(pass->final + b * S + layer->state, h, H * sizeof(double));
    memcpy(pass->final + b * S + layer->state + H, c, H * sizeof(double));
    if (trace->last && pass->lengths[b]) memcpy(trace->last + b * H, h, H * sizeof(double));
  }
}

/* Through one lane, from its last step to its first. dh and dc [H] enter as those of the final state and leave as
   those of the initial one. */
static inline void ref_lstm_lane_back(ref_pass *pass, size_t l, size_t b, double *dh, double *dc, double *d_gates) {
  ref_layer *layer = &pass->net->layers[l];
  ref_trace *trace = &pass->traces[l];
  size_t B = pass->B, H = layer->outputs, I = layer->inputs;
  const double *h0 = pass->initial + b * pass->net->state_size + layer->state;
  for (size_t t = pass->lengths[b]; t-- > 0;) {
    size_t row = t * B + b;
    const double *h_before = t ? trace->out + (row - B) * H : h0;
    const double *c_before = t ? trace->cell + (row - B) * H : h0 + H;
    for (size_t j = 0; j < H; j++) dh[j] += trace->d_out[row * H + j];
    ref_gates_back(H, trace->gates + row * 4 * H, trace->cell + row * H, c_before, dh, dc, d_gates);
    for (size_t j = 0; j < H; j++) dh[j] = 0;
    for (size_t j = 0; j < 4 * H; j++) layer->bias->gradient[j] += d_gates[j];
    ref_matrix_back(layer->weight, I, d_gates, trace->in + row * I, trace->d_in + row * I);
    ref_matrix_back(layer->weight_hh, H, d_gates, h_before, dh);
  }
}

static inline void ref_lstm_backward(ref_pass *pass, size_t l, const double *d_final) {
  const ref_layer *layer = &pass->net->layers[l];
  ref_trace *trace = &pass->traces[l];
  size_t H = layer->outputs;
  double *d_gates = ref_doubles(4 * H);
  for (size_t b = 0; b < pass->B; b++) {
    size_t at = b * pass->net->state_size + layer->state;
    double *d = pass->d_initial + at;
    for (size_t j = 0; j < 2 * H; j++) d[j] = d_final ? d_final[at + j] : 0;
    if (trace->d_last && pass->lengths[b])
      for (size_t j = 0; j < H; j++)
        trace->d_out[((pass->lengths[b] - 1) * pass->B + b) * H + j] += trace->d_last[b * H + j];
    ref_lstm_lane_back(pass, l, b, d, d + H, d_gates);
  }
  free(d_gates);
}

/* Embedding, dense and dropout (which the reference leaves off) work row by row. */
static inline void ref_row_forward(ref_pass *pass, size_t l, size_t row) {
  const ref_layer *layer = &pass->net->layers[l];
  const ref_trace *trace = &pass->traces[l];
  size_t I = layer->inputs, O = layer->outputs;
  double *out = trace->out + row * O;
  if (layer->type == LSTM_LAYER_DENSE)
    ref_dense_row(layer, trace->in + row * I, out);
  else if (layer->type == LSTM_LAYER_DROPOUT)
    memcpy(out, trace->in + row * I, O * sizeof(double));
  else
    memcpy(out, layer->weight->value + (size_t)pass->batch.ids[row] * O, O * sizeof(double));
}

static inline void ref_row_backward(ref_pass *pass, size_t l, size_t row) {
  ref_layer *layer = &pass->net->layers[l];
  const ref_trace *trace = &pass->traces[l];
  size_t I = layer->inputs, O = layer->outputs;
  const double *d_out = trace->d_out + row * O;
  double *to = NULL;
  if (layer->type == LSTM_LAYER_DENSE) {
    ref_dense_row_back(layer, trace->in + row * I, trace->out + row * O, d_out, trace->d_in + row * I);
    return;
  }
  if (layer->type == LSTM_LAYER_DROPOUT)
    to = trace->d_in + row * I;
  else
    to = layer->weight->gradient + (size_t)pass->batch.ids[row] * O;
  for (size_t j = 0; j < O; j++) to[j] += d_out[j];
}

static inline void ref_forward(ref_pass *pass) {
  for (size_t l = 0; l < pass->net->layer_count; l++) {
    if (pass->net->layers[l].type == LSTM_LAYER_LSTM) {
      ref_lstm_forward(pass, l);
      continue;
    }
    for (size_t t = 0; t < ref_steps(pass, l); t++)
      for (size_t b = 0; b < pass->B; b++)
        if (ref_valid(pass, l, t, b)) ref_row_forward(pass, l, t * pass->B + b);
  }
}

/* --- losses ------------------------------------------------------------------------------------------------------- */

/* Softmax cross-entropy: log sum exp(y) - y[target]; its derivative is softmax(y) - onehot. Returns the loss; fills d
   [O]. */
static inline double ref_cross_entropy(const double *y, size_t O, size_t target, double *d) {
  double top = y[0], sum = 0;
  for (size_t j = 1; j < O; j++) top = y[j] > top ? y[j] : top;
  for (size_t j = 0; j < O; j++) sum += exp(y[j] - top);
  for (size_t j = 0; j < O; j++) d[j] = exp(y[j] - top) / sum - (j == target ? 1 : 0);
  return top + log(sum) - y[target];
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

/* Mean over the outputs of (y - t)^2. */
static inline double ref_squares(const double *y, size_t O, const float *target, double *d) {
  double sum = 0;
  for (size_t j = 0; j < O; j++) {
    double e = y[j] - (double)target[j];
    sum += e * e;
    d[j] = 2 * e / (double)O;
  }
  return sum / (double)O;
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
static inline void ref_loss_at(ref_pass *pass, lstm_loss kind, size_t row) {
  size_t O = pass->net->output_size;
  const double *y = pass->y + row * O;
  double *d = pass->d_y + row * O, w = pass->batch.weights ? (double)pass->batch.weights[row] : 1, loss;
  const float *targets = pass->batch.targets ? pass->batch.targets + row * O : NULL;
  size_t target = 0;
  if (w <= 0) return; /* no target */
  if (kind == LSTM_CROSS_ENTROPY) {
    if (pass->batch.target_ids[row] < 0) return;
    target = (size_t)pass->batch.target_ids[row];
    loss = ref_cross_entropy(y, O, target, d);
  } else if (kind == LSTM_BINARY_CROSS_ENTROPY) {
    loss = ref_binary(y, O, targets, d);
  } else {
    loss = ref_squares(y, O, targets, d);
  }
  for (size_t j = 0; j < O; j++) d[j] *= w;
  pass->loss += w * loss;
  pass->weight += w;
  pass->targets += 1;
  pass->correct += ref_correct(kind, y, O, target, targets);
}

/* The mean over valid, weighted targets and its derivative with respect to y. LSTM_LOSS_NONE: zero. */
static inline void ref_loss(ref_pass *pass, lstm_loss kind) {
  size_t O = pass->net->output_size, rows = pass->y_steps * pass->B;
  pass->loss = pass->weight = pass->targets = pass->correct = 0;
  memset(pass->d_y, 0, rows * O * sizeof(double));
  if (kind == LSTM_LOSS_NONE) return;
  for (size_t row = 0; row < rows; row++)
    if (ref_valid(pass, pass->net->layer_count, row / pass->B, row % pass->B)) ref_loss_at(pass, kind, row);
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
    if (net->layers[l].type == LSTM_LAYER_LSTM) {
      ref_lstm_backward(pass, l, d_final);
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
