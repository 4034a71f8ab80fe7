/* vs_onednn: the LSTM primitive of oneDNN (libdnnl-dev, its C interface) in turns with lstm.h, on one thread.

   vs_onednn [--quick] [--cpu]      make vs-onednn; OMP_NUM_THREADS must be 1. --cpu: see bench.c

   Both have the same weights and inputs, and their results are compared first. oneDNN chooses its own format for the
   weights, and its packing is not timed. Inference: steps of one lane and sequences of 32; training: forward, gradients
   set to zero, backward, from gradients of the outputs to those of inputs, weights and biases; no loss, no
   optimiser. */
#define _POSIX_C_SOURCE 199309L
#define LSTM_IMPLEMENTATION
#include "lstm.h"

#include <oneapi/dnnl/dnnl.h>

#include "measure.h"

static dnnl_engine_t engine;
static dnnl_stream_t stream;

static void dnnl_check(dnnl_status_t status, const char *what) {
  if (status == dnnl_success) return;
  fprintf(stderr, "oneDNN: %s: status %d\n", what, (int)status);
  exit(1);
}

/* T steps of N lanes. */
typedef struct shape {
  int I, H, T, N, train;
} shape;

/* --- oneDNN ------------------------------------------------------------------------------------------------------- */

/* What a primitive reads and writes, by oneDNN's number of the argument. */
typedef struct primitive {
  dnnl_primitive_t p;
  dnnl_exec_arg_t args[32];
  int count;
} primitive;

enum { SRC, SRC_H, SRC_C, W_X, W_H, BIAS, DST, DST_H, DST_C, TENSORS };

typedef struct theirs {
  primitive forward, backward;
  dnnl_memory_desc_t plain[TENSORS], chosen[TENSORS];
  dnnl_memory_t memory[64];
  int memories;
  void *gradients[3]; /* of W_X, W_H and BIAS, to be set to zero */
  size_t sizes[3];
  float *output, *d_input;
} theirs;

static const int numbers[TENSORS] = {DNNL_ARG_SRC_LAYER, DNNL_ARG_SRC_ITER, DNNL_ARG_SRC_ITER_C, DNNL_ARG_WEIGHTS_LAYER,
                                     DNNL_ARG_WEIGHTS_ITER, DNNL_ARG_BIAS, DNNL_ARG_DST_LAYER, DNNL_ARG_DST_ITER,
                                     DNNL_ARG_DST_ITER_C};

static dnnl_memory_desc_t describe(int count, const dnnl_dim_t *sizes, dnnl_format_tag_t tag) {
  dnnl_memory_desc_t d;
  dnnl_check(dnnl_memory_desc_init_by_tag(&d, count, sizes, dnnl_f32, tag), "description");
  return d;
}

static void describe_all(const shape *s, dnnl_memory_desc_t *plain, dnnl_memory_desc_t *chosen) {
  dnnl_dims_t x = {s->T, s->N, s->I}, y = {s->T, s->N, s->H}, state = {1, 1, s->N, s->H};
  dnnl_dims_t w_x = {1, 1, s->I, 4, s->H}, w_h = {1, 1, s->H, 4, s->H}, bias = {1, 1, 4, s->H};
  plain[SRC] = describe(3, x, dnnl_tnc), plain[DST] = describe(3, y, dnnl_tnc);
  plain[SRC_H] = plain[SRC_C] = plain[DST_H] = plain[DST_C] = describe(4, state, dnnl_ldnc);
  plain[W_X] = describe(5, w_x, dnnl_ldigo), plain[W_H] = describe(5, w_h, dnnl_ldigo);
  plain[BIAS] = describe(4, bias, dnnl_ldgo);
  memcpy(chosen, plain, TENSORS * sizeof *plain);
  chosen[W_X] = describe(5, w_x, dnnl_format_tag_any), chosen[W_H] = describe(5, w_h, dnnl_format_tag_any);
}

static dnnl_memory_t add_memory(theirs *t, const dnnl_memory_desc_t *d) {
  dnnl_memory_t *memory = &t->memory[t->memories++];
  void *data;
  dnnl_check(dnnl_memory_create(memory, d, engine, DNNL_MEMORY_ALLOCATE), "memory");
  dnnl_check(dnnl_memory_get_data_handle(*memory, &data), "memory");
  memset(data, 0, dnnl_memory_desc_get_size(d));
  return *memory;
}

static void *data_of(dnnl_memory_t memory) {
  void *data;
  dnnl_check(dnnl_memory_get_data_handle(memory, &data), "memory");
  return data;
}

static void add_argument(primitive *p, int number, dnnl_memory_t memory) {
  p->args[p->count].arg = number;
  p->args[p->count++].memory = memory;
}

/* Weights in the format that the primitive wants. */
static dnnl_memory_t packed(theirs *t, const float *values, const dnnl_memory_desc_t *plain,
                            const dnnl_memory_desc_t *chosen) {
  dnnl_memory_t from = add_memory(t, plain), to = add_memory(t, chosen);
  dnnl_primitive_desc_t d;
  dnnl_primitive_t reorder;
  dnnl_exec_arg_t args[2];
  memcpy(data_of(from), values, dnnl_memory_desc_get_size(plain));
  dnnl_check(dnnl_reorder_primitive_desc_create(&d, plain, engine, chosen, engine, NULL), "reorder");
  dnnl_check(dnnl_primitive_create(&reorder, d), "reorder");
  args[0].arg = DNNL_ARG_FROM, args[0].memory = from, args[1].arg = DNNL_ARG_TO, args[1].memory = to;
  dnnl_check(dnnl_primitive_execute(reorder, stream, 2, args), "reorder");
  dnnl_check(dnnl_stream_wait(stream), "reorder");
  dnnl_primitive_destroy(reorder);
  dnnl_primitive_desc_destroy(d);
  return to;
}

/* values: of SRC, W_X, W_H and BIAS, in the plain formats. */
static dnnl_primitive_desc_t set_up_forward(theirs *t, const shape *s, float *const *values) {
  dnnl_memory_desc_t *m = t->chosen;
  dnnl_rnn_desc_t rnn;
  dnnl_primitive_desc_t d;
  int i;
  describe_all(s, t->plain, m);
  dnnl_check(dnnl_lstm_forward_desc_init(&rnn, s->train ? dnnl_forward_training : dnnl_forward_inference,
                                         dnnl_unidirectional_left2right, &m[SRC], &m[SRC_H], &m[SRC_C], &m[W_X],
                                         &m[W_H], &m[BIAS], &m[DST], &m[DST_H], &m[DST_C], 0), "LSTM");
  dnnl_check(dnnl_primitive_desc_create(&d, &rnn, NULL, engine, NULL), "LSTM");
  m[W_X] = *dnnl_primitive_desc_query_md(d, dnnl_query_weights_md, 0);
  m[W_H] = *dnnl_primitive_desc_query_md(d, dnnl_query_weights_md, 1);
  for (i = 0; i < TENSORS; i++) {
    int weights = i == W_X || i == W_H;
    dnnl_memory_t memory = weights ? packed(t, values[i], &t->plain[i], &m[i]) : add_memory(t, &m[i]);
    if (values[i] && !weights) memcpy(data_of(memory), values[i], dnnl_memory_desc_get_size(&m[i]));
    if (i == DST) t->output = (float *)data_of(memory);
    add_argument(&t->forward, numbers[i], memory);
  }
  if (s->train) add_argument(&t->forward, DNNL_ARG_WORKSPACE,
                             add_memory(t, dnnl_primitive_desc_query_md(d, dnnl_query_workspace_md, 0)));
  dnnl_check(dnnl_primitive_create(&t->forward.p, d), "LSTM");
  return d;
}

/* Of each tensor its gradient as well. The gradients of the weights are summed. */
static void set_up_backward(theirs *t, dnnl_primitive_desc_t forward, float *const *values) {
  static const int diffs[TENSORS] = {DNNL_ARG_DIFF_SRC_LAYER, DNNL_ARG_DIFF_SRC_ITER, DNNL_ARG_DIFF_SRC_ITER_C,
    DNNL_ARG_DIFF_WEIGHTS_LAYER, DNNL_ARG_DIFF_WEIGHTS_ITER, DNNL_ARG_DIFF_BIAS, DNNL_ARG_DIFF_DST_LAYER,
    DNNL_ARG_DIFF_DST_ITER, DNNL_ARG_DIFF_DST_ITER_C};
  dnnl_memory_desc_t m[TENSORS], g[TENSORS];
  dnnl_rnn_desc_t rnn;
  dnnl_primitive_desc_t d;
  int i;
  memcpy(m, t->chosen, sizeof m);
  m[W_X].format_kind = m[W_H].format_kind = dnnl_format_kind_any;
  memcpy(g, m, sizeof g);
  dnnl_check(dnnl_lstm_backward_desc_init(&rnn, dnnl_backward, dnnl_unidirectional_left2right, &m[SRC], &m[SRC_H],
                                          &m[SRC_C], &m[W_X], &m[W_H], &m[BIAS], &m[DST], &m[DST_H], &m[DST_C], &g[SRC],
                                          &g[SRC_H], &g[SRC_C], &g[W_X], &g[W_H], &g[BIAS], &g[DST], &g[DST_H],
                                          &g[DST_C], 0), "backward");
  dnnl_check(dnnl_primitive_desc_create(&d, &rnn, NULL, engine, forward), "backward");
  for (i = 0; i < 2; i++) {
    m[W_X + i] = *dnnl_primitive_desc_query_md(d, dnnl_query_weights_md, i);
    g[W_X + i] = *dnnl_primitive_desc_query_md(d, dnnl_query_diff_weights_md, i);
  }
  t->backward.count = t->forward.count;
  memcpy(t->backward.args, t->forward.args, sizeof t->forward.args);
  for (i = W_X; i <= W_H; i++) t->backward.args[i].memory = packed(t, values[i], &t->plain[i], &m[i]);
  for (i = 0; i < TENSORS; i++) {
    dnnl_memory_t memory = add_memory(t, &g[i]);
    if (i == SRC) t->d_input = (float *)data_of(memory);
    if (i == DST) memcpy(data_of(memory), values[DST], dnnl_memory_desc_get_size(&g[i]));
    if (i >= W_X && i <= BIAS)
      t->gradients[i - W_X] = data_of(memory), t->sizes[i - W_X] = dnnl_memory_desc_get_size(&g[i]);
    add_argument(&t->backward, diffs[i], memory);
  }
  dnnl_check(dnnl_primitive_create(&t->backward.p, d), "backward");
  dnnl_primitive_desc_destroy(d);
}

static void run_theirs(void *context, long n) {
  theirs *t = (theirs *)context;
  int i;
  for (; n > 0; n--) {
    dnnl_check(dnnl_primitive_execute(t->forward.p, stream, t->forward.count, t->forward.args), "forward");
    if (t->backward.p) {
      for (i = 0; i < 3; i++) memset(t->gradients[i], 0, t->sizes[i]);
      dnnl_check(dnnl_primitive_execute(t->backward.p, stream, t->backward.count, t->backward.args), "backward");
    }
    dnnl_check(dnnl_stream_wait(stream), "wait");
  }
}

static void tear_down_theirs(theirs *t) {
  int i;
  dnnl_primitive_destroy(t->forward.p);
  if (t->backward.p) dnnl_primitive_destroy(t->backward.p);
  for (i = 0; i < t->memories; i++) dnnl_memory_destroy(t->memory[i]);
}

/* --- ours --------------------------------------------------------------------------------------------------------- */

typedef struct ours {
  int T;
  lstm_model *model;
  lstm_state *state;
  lstm_trainer *trainer;
  lstm_batch batch;
  lstm_flow flow;
  float *x, *y;
} ours;

static void set_up_ours(ours *o, const shape *s) {
  lstm_layer layer = lstm_lstm(s->H);
  lstm_model_desc desc = {0};
  lstm_state_desc lanes = {0};
  lstm_trainer_desc how = {0};
  size_t rows = (size_t)(s->T * s->N);
  desc.input_size = s->I, desc.layers = &layer, desc.layer_count = 1;
  lanes.lanes = how.batch_size = s->N, how.seq_len = s->T;
  check(lstm_model_create(&desc, &o->model), "model");
  check(lstm_state_create(o->model, &lanes, &o->state), "state");
  if (s->train) check(lstm_trainer_create(o->model, &how, &o->trainer), "trainer");
  o->T = s->T, o->x = make_floats(rows * (size_t)s->I, 1), o->y = make_floats(rows * (size_t)s->H, 0);
  o->batch.x = o->x;
  o->flow.d_output = make_floats(rows * (size_t)s->H, 1e-3f), o->flow.d_input = make_floats(rows * (size_t)s->I, 0);
}

static void run_ours(void *context, long n) {
  ours *o = (ours *)context;
  for (; n > 0; n--)
    if (o->trainer) {
      check(lstm_trainer_forward(o->trainer, &o->batch, o->y), "forward");
      lstm_trainer_zero_gradients(o->trainer);
      check(lstm_trainer_backward(o->trainer, &o->flow), "backward");
    } else if (o->T == 1) check(lstm_step(o->model, o->state, o->x, o->y), "step");
    else check(lstm_forward(o->model, o->state, o->x, o->T, o->y), "forward");
}

static void tear_down_ours(ours *o, float *const *values) {
  lstm_trainer_destroy(o->trainer);
  lstm_state_destroy(o->state);
  lstm_model_destroy(o->model);
  free(o->x), free(o->y), free(o->flow.d_input);
  free(values[W_X]), free(values[W_H]), free(values[BIAS]), free(values[DST]);
}

/* PyTorch's order [4 H][columns], which is ours, becomes oneDNN's [columns][4 H]. */
static float *transposed(const lstm_model *model, int tensor, int columns, int H) {
  lstm_tensor t;
  float *w = make_floats((size_t)(4 * columns * H), 0);
  int r, c;
  check(lstm_model_tensor(model, tensor, &t), "tensor");
  for (r = 0; r < 4 * H; r++)
    for (c = 0; c < columns; c++) w[c * 4 * H + r] = t.data[r * columns + c];
  return w;
}

/* --- turns -------------------------------------------------------------------------------------------------------- */

/* The largest difference after one call from a state of zeros, of outputs or of gradients of the inputs. */
static double difference(const float *a, const float *b, int count) {
  double largest = 0;
  int i;
  for (i = 0; i < count; i++) {
    double d = (double)a[i] - (double)b[i];
    if (d < 0) d = -d;
    if (!(d <= largest)) largest = d;
  }
  return largest;
}

static void compare(const shape *s) {
  contender c[2];
  ours o;
  theirs t;
  dnnl_primitive_desc_t forward;
  float *values[TENSORS] = {NULL};
  char name[64];
  double apart, apart_back = 0;
  memset(c, 0, sizeof c), memset(&o, 0, sizeof o), memset(&t, 0, sizeof t);
  set_up_ours(&o, s);
  values[SRC] = o.x, values[DST] = make_floats((size_t)(s->T * s->N * s->H), 1e-3f);
  values[W_X] = transposed(o.model, 0, s->I, s->H), values[W_H] = transposed(o.model, 1, s->H, s->H);
  values[BIAS] = transposed(o.model, 2, 1, s->H);
  forward = set_up_forward(&t, s, values);
  if (s->train) set_up_backward(&t, forward, values);
  run_ours(&o, 1), run_theirs(&t, 1);
  apart = difference(o.y, t.output, s->T * s->N * s->H);
  if (s->train) apart_back = difference(o.flow.d_input, t.d_input, s->T * s->N * s->I);
  add_contender(&c[0], run_ours, &o), add_contender(&c[1], run_theirs, &t);
  take_turns(c, 2);
  snprintf(name, sizeof name, "%s I=%d H=%d T=%d B=%d", s->train ? "forward, backward" : s->T > 1 ? "forward" : "step",
           s->I, s->H, s->T, s->N);
  printf("%-40s %11.2f %11.2f %11.2f %11.2f %7.2f %9.0e %9.0e\n", name, c[0].time * 1e6, c[1].time * 1e6,
         c[0].median * 1e6, c[1].median * 1e6, c[1].time / c[0].time, apart, apart_back);
  fflush(stdout);
  dnnl_primitive_desc_destroy(forward);
  tear_down_theirs(&t);
  tear_down_ours(&o, values);
  free((void *)(uintptr_t)o.flow.d_output);
}

int main(int argc, char **argv) {
  static const shape shapes[] = {
    {1, 32, 1, 1, 0}, {64, 64, 1, 1, 0}, {128, 128, 1, 1, 0}, {256, 256, 1, 1, 0}, {64, 128, 64, 32, 0},
    {128, 128, 64, 32, 0}, {256, 256, 64, 32, 0}, {64, 128, 64, 32, 1}, {128, 128, 64, 32, 1}, {256, 256, 64, 32, 1}};
  const dnnl_version_t *v = dnnl_version();
  char machine[256];
  size_t i;
  for (; argc > 1; argc--)
    if (!strcmp(argv[argc - 1], "--quick")) budget_seconds = .5;
    else if (!strcmp(argv[argc - 1], "--cpu")) own_clock = 1;
  machine_name(machine, sizeof machine);
  dnnl_check(dnnl_engine_create(&engine, dnnl_cpu, 0), "engine");
  dnnl_check(dnnl_stream_create(&stream, engine, dnnl_stream_default_flags), "stream");
  printf("lstm.h %s, %s; oneDNN %d.%d.%d; %s; one thread, microseconds, least and median of slices in turns\n",
         LSTM_VERSION_STRING, lstm_isa_name(lstm_isa_best()), v->major, v->minor, v->patch, machine);
  printf("%-40s %11s %11s %11s %11s %7s %9s %9s\n", "", "lstm.h", "oneDNN", "median", "median", "ratio", "apart",
         "gradients");
  for (i = 0; i < sizeof shapes / sizeof *shapes; i++) compare(&shapes[i]);
  dnnl_stream_destroy(stream);
  dnnl_engine_destroy(engine);
  return 0;
}
