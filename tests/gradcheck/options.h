/* options.h - every option of a network as a row of one table, the pairs that make sense, a network for any pair. */
#ifndef TESTS_GRADCHECK_OPTIONS_H
#define TESTS_GRADCHECK_OPTIONS_H

#include "networks.h"

/* Options of one field exclude each other. */
typedef enum option_field {
  F_GRU,
  F_PEEPHOLE, /* first of an LSTM's own fields */
  F_COUPLED,
  F_PROJECTION,
  F_LAYER_NORM,
  F_CELL_CLIP,
  F_FORGET,
  F_ACTIVATION,
  F_GATES, /* last of them */
  F_DROPOUT,
  F_RECURRENT_DROPOUT,
  F_ZONEOUT,
  F_LEARNED,
  F_BIDIRECTIONAL,
  F_READ,
  F_TIED,
  F_DENSE,
  F_RESIDUAL,
  F_DROPOUT_LAYER,
  F_LOSS,
  F_SMOOTHING,
  F_CLASS_WEIGHTS,
  F_BURN_IN,
  F_CARRY,
  F_INPUT
} option_field;

typedef struct option {
  const char *name;
  option_field field;
  int value;
} option;

static const option options[] = {
    {"gru", F_GRU, 0},
    {"peephole", F_PEEPHOLE, 0},
    {"coupled", F_COUPLED, 0},
    {"projection", F_PROJECTION, 0},
    {"layer_norm", F_LAYER_NORM, 0},
    {"cell_clip", F_CELL_CLIP, 0},
    {"forget=zero", F_FORGET, LSTM_FORGET_ZERO},
    {"forget=one", F_FORGET, LSTM_FORGET_ONE},
    {"forget=noise", F_FORGET, LSTM_FORGET_NOISE},
    {"activation=linear", F_ACTIVATION, LSTM_LINEAR},
    {"activation=tanh", F_ACTIVATION, LSTM_TANH},
    {"activation=sigmoid", F_ACTIVATION, LSTM_SIGMOID},
    {"activation=relu", F_ACTIVATION, LSTM_RELU},
    {"activation=hard_sigmoid", F_ACTIVATION, LSTM_HARD_SIGMOID},
    {"activation=softsign", F_ACTIVATION, LSTM_SOFTSIGN},
    {"gate_activation=linear", F_GATES, LSTM_LINEAR},
    {"gate_activation=tanh", F_GATES, LSTM_TANH},
    {"gate_activation=sigmoid", F_GATES, LSTM_SIGMOID},
    {"gate_activation=relu", F_GATES, LSTM_RELU},
    {"gate_activation=hard_sigmoid", F_GATES, LSTM_HARD_SIGMOID},
    {"gate_activation=softsign", F_GATES, LSTM_SOFTSIGN},
    {"dropout", F_DROPOUT, 0},
    {"recurrent_dropout", F_RECURRENT_DROPOUT, 0},
    {"zoneout", F_ZONEOUT, 0},
    {"learned_state", F_LEARNED, 0},
    {"bidirectional", F_BIDIRECTIONAL, LSTM_MERGE_CONCAT},
    {"bidirectional, merge=sum", F_BIDIRECTIONAL, LSTM_MERGE_SUM},
    {"read=last", F_READ, LSTM_READ_LAST},
    {"read=mean", F_READ, LSTM_READ_MEAN},
    {"read=max", F_READ, LSTM_READ_MAX},
    {"tied embedding", F_TIED, 0},
    {"dense linear", F_DENSE, LSTM_LINEAR},
    {"dense tanh", F_DENSE, LSTM_TANH},
    {"dense sigmoid", F_DENSE, LSTM_SIGMOID},
    {"dense relu", F_DENSE, LSTM_RELU},
    {"dense hard_sigmoid", F_DENSE, LSTM_HARD_SIGMOID},
    {"dense softsign", F_DENSE, LSTM_SOFTSIGN},
    {"residual", F_RESIDUAL, 0},
    {"dropout layer", F_DROPOUT_LAYER, 0},
    {"no loss", F_LOSS, LSTM_LOSS_NONE},
    {"cross-entropy", F_LOSS, LSTM_CROSS_ENTROPY},
    {"binary cross-entropy", F_LOSS, LSTM_BINARY_CROSS_ENTROPY},
    {"mse", F_LOSS, LSTM_MSE},
    {"mae", F_LOSS, LSTM_MAE},
    {"huber", F_LOSS, LSTM_HUBER},
    {"esr", F_LOSS, LSTM_ESR},
    {"label_smoothing", F_SMOOTHING, 0},
    {"class_weights", F_CLASS_WEIGHTS, 0},
    {"burn_in", F_BURN_IN, 0},
    {"carry_state", F_CARRY, 0},
    {"features", F_INPUT, 0},
    {"tokens", F_INPUT, 1},
};
enum { OPTION_COUNT = sizeof options / sizeof *options };

/* Who has to refuse a pair. */
typedef enum refusal {
  SENSIBLE,
  BY_MODEL,
  BY_TRAINER,
  BY_BATCH,
  ONE_FIELD /* two values for one thing: there is no such description */
} refusal;

static inline int of_lstm(option_field field) { return field >= F_PEEPHOLE && field <= F_GATES; }

static inline int pair_is(const option *a, const option *b, option_field x, option_field y) {
  return (a->field == x && b->field == y) || (a->field == y && b->field == x);
}

/* The pair a, b; an option alone is the pair of it and itself. */
static inline refusal senseless(int a, int b) {
  const option *p = &options[a], *q = &options[b];
  int loss = p->field == F_LOSS ? p->value : q->value;
  if (a == b) return SENSIBLE;
  if (p->field == q->field || (pair_is(p, q, F_TIED, F_INPUT) && !p->value && !q->value)) return ONE_FIELD;
  if ((p->field == F_GRU && of_lstm(q->field)) || (q->field == F_GRU && of_lstm(p->field))) return BY_MODEL;
  if (pair_is(p, q, F_COUPLED, F_FORGET)) return BY_MODEL;
  if (pair_is(p, q, F_RESIDUAL, F_READ) || pair_is(p, q, F_RESIDUAL, F_TIED)) return BY_MODEL;
  if (pair_is(p, q, F_RESIDUAL, F_INPUT) && (p->value || q->value)) return BY_MODEL;
  if (pair_is(p, q, F_LOSS, F_READ) && (p->field == F_LOSS ? p : q)->value == LSTM_ESR) return BY_BATCH;
  if (pair_is(p, q, F_LOSS, F_SMOOTHING) && loss != LSTM_CROSS_ENTROPY) return BY_TRAINER;
  if (pair_is(p, q, F_LOSS, F_CLASS_WEIGHTS) && loss != LSTM_CROSS_ENTROPY) return BY_TRAINER;
  if (pair_is(p, q, F_BIDIRECTIONAL, F_CARRY)) return BY_TRAINER;
  if (pair_is(p, q, F_BURN_IN, F_READ)) return BY_BATCH;
  return SENSIBLE;
}

/* What an option does to a recurrent layer. `rate`: of those that are random. */
static inline void set_layer(lstm_layer *l, const option *o, float rate) {
  switch (o->field) {
  case F_GRU:
    l->type = LSTM_LAYER_GRU;
    break;
  case F_PEEPHOLE:
    l->peephole = 1;
    break;
  case F_COUPLED:
    l->coupled = 1;
    break;
  case F_PROJECTION:
    l->projection = (l->size + 1) / 2;
    break;
  case F_LAYER_NORM:
    l->layer_norm = 1;
    break;
  case F_CELL_CLIP:
    l->cell_clip = 0.2f;
    break;
  case F_FORGET:
    l->forget = (lstm_forget)o->value;
    if (l->forget == LSTM_FORGET_NOISE) l->noise = rate;
    break;
  case F_ACTIVATION:
    l->activation = (lstm_activation)o->value;
    break;
  case F_GATES:
    l->gate_activation = (lstm_activation)o->value;
    break;
  case F_DROPOUT:
    l->dropout = rate;
    break;
  case F_RECURRENT_DROPOUT:
    l->recurrent_dropout = rate;
    break;
  case F_ZONEOUT:
    l->zoneout = rate;
    break;
  case F_LEARNED:
    l->learned_state = 1;
    break;
  case F_BIDIRECTIONAL:
    l->bidirectional = 1;
    l->merge = (lstm_merge)o->value;
    break;
  default:
    break;
  }
}

static inline int is_random(const option *o) {
  return (o->field >= F_DROPOUT && o->field <= F_ZONEOUT) || o->field == F_DROPOUT_LAYER ||
         (o->field == F_FORGET && o->value == LSTM_FORGET_NOISE);
}

/* 1: sums of products may grow without bound with it. */
static inline int grows(const option *o) {
  return (o->field == F_ACTIVATION || o->field == F_GATES) && (o->value == LSTM_LINEAR || o->value == LSTM_RELU);
}

/* Some options of one network. */
typedef struct selection {
  int count, which[6];
} selection;

static inline selection pair_of(int a, int b) {
  selection chosen = {a == b ? 1 : 2, {a, b}};
  return chosen;
}

/* `count` options of which each pair makes sense, or fewer. */
static inline selection draw_selection(ref_rng *rng, int count) {
  selection chosen = {0, {0}};
  for (int tries = 0; tries < 50 && chosen.count < count; tries++) {
    int next = ref_index(rng, OPTION_COUNT), fits = 1;
    for (int i = 0; i < chosen.count; i++) {
      int other = chosen.which[i];
      fits &= other != next && senseless(other < next ? other : next, other < next ? next : other) == SENSIBLE;
    }
    if (fits) chosen.which[chosen.count++] = next;
  }
  return chosen;
}

/* The chosen option of this field, or NULL. */
static inline const option *chosen_of(const selection *from, option_field field) {
  for (int i = 0; i < from->count; i++)
    if (options[from->which[i]].field == field) return &options[from->which[i]];
  return NULL;
}

static inline int any_of(const selection *from, int (*is)(const option *o)) {
  for (int i = 0; i < from->count; i++)
    if (is(&options[from->which[i]])) return 1;
  return 0;
}

static inline void choose_loss(network *net, ref_rng *rng, const selection *from) {
  static const lstm_loss usual[] = {LSTM_CROSS_ENTROPY, LSTM_BINARY_CROSS_ENTROPY, LSTM_MSE};
  const option *loss = chosen_of(from, F_LOSS), *smoothing = chosen_of(from, F_SMOOTHING);
  const option *class_weights = chosen_of(from, F_CLASS_WEIGHTS);
  net->how.loss = loss ? (lstm_loss)loss->value : usual[ref_index(rng, 3)];
  if (net->how.loss == LSTM_HUBER) net->how.huber_delta = 0.3f;
  if (net->how.loss == LSTM_ESR) net->how.pre_emphasis = ref_index(rng, 2) ? 0.7f : 0.0f;
  if (!loss && (smoothing || class_weights)) net->how.loss = LSTM_CROSS_ENTROPY;
  if (smoothing) net->how.label_smoothing = 0.1f;
  for (int i = 0; i < MAX_WIDTH; i++) net->class_weights[i] = 0.2f + 0.1f * (float)(i % 7);
  if (class_weights) net->how.class_weights = net->class_weights;
}

/* The sizes of a network. */
typedef struct extent {
  int L, H, T, B, inputs, columns; /* recurrent layers, units, steps, lanes; of the embedding and the dense layers */
} extent;

static inline lstm_layer recurrent_layer(const selection *from, int H, int top, float rate) {
  const option *read = chosen_of(from, F_READ);
  lstm_layer layer = lstm_lstm(H);
  for (int i = 0; i < from->count; i++) set_layer(&layer, &options[from->which[i]], rate);
  if (top && read) layer.read = (lstm_read)read->value;
  return layer;
}

/* A network with these options. `random`: with rates that drop something. */
static inline void build_network(network *net, ref_rng *rng, extent size, const selection *from, int random) {
  const option *dense = chosen_of(from, F_DENSE), *input = chosen_of(from, F_INPUT);
  int tied = chosen_of(from, F_TIED) != NULL, residual = chosen_of(from, F_RESIDUAL) != NULL;
  float rate = random ? 0.3f : NEVER;
  memset(net, 0, sizeof *net);
  net->T = size.T;
  net->B = size.B;
  net->seed = ref_bits(rng);
  net->random = random && any_of(from, is_random);
  net->weights = any_of(from, grows) ? 1.5f / (float)(size.H + 2) : size.H > 17 ? 0.3f : 0.6f;
  net->input_size = size.inputs;
  net->carry = chosen_of(from, F_CARRY) != NULL;
  net->burn_in = chosen_of(from, F_BURN_IN) ? 1 + size.T / 3 : 0;
  choose_loss(net, rng, from);
  if (tied || (input ? input->value : !residual && chance(rng, -1, 40))) {
    add(net, lstm_embedding(size.columns));
    net->layers[0].tied = tied;
  }
  for (int l = 0; l < size.L; l++) {
    add(net, recurrent_layer(from, size.H, l == size.L - 1, rate));
    if (chosen_of(from, F_DROPOUT_LAYER)) add(net, lstm_dropout(rate));
  }
  if (tied || dense) add(net, lstm_dense(size.columns));
  if (dense) net->layers[net->layer_count - 1].activation = (lstm_activation)dense->value;
  add(net, lstm_dense(tied || (residual && net->input_size < size.columns) ? net->input_size : size.columns));
  net->layers[net->layer_count - 1].residual = residual;
}

#endif
