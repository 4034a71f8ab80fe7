/* works.h: what bench.c times. The names are those of build/bench.json and build/vs_torch.json. */
#ifndef WORKS_H
#define WORKS_H

#include "peaks.h"

/* steps 0: a step of `batch` lanes; else a training step with Adam and a clipped norm. embed 0: the inputs are
   numbers; else tokens. output 1: the last step's, squared error; else each step's, cross-entropy. */
typedef struct shape {
  const char *name;
  int input, embed, hidden, depth, output, steps, batch;
} shape;

static const shape shapes[] = {
  {"step I=1 H=8", 1, 0, 8, 1, 1, 0, 1},
  {"step I=1 H=16", 1, 0, 16, 1, 1, 0, 1},
  {"step I=1 H=20", 1, 0, 20, 1, 1, 0, 1},
  {"step I=1 H=32", 1, 0, 32, 1, 1, 0, 1},
  {"step I=1 H=40", 1, 0, 40, 1, 1, 0, 1},
  {"step I=1 H=64", 1, 0, 64, 1, 1, 0, 1},
  {"step I=64 H=64", 64, 0, 64, 1, 0, 0, 1},
  {"step I=128 H=128", 128, 0, 128, 1, 0, 0, 1},
  {"step I=256 H=256", 256, 0, 256, 1, 0, 0, 1},
  {"step I=32 H=128 L=2", 32, 0, 128, 2, 0, 0, 1},
  {"step V=96 E=64 H=128", 96, 64, 128, 1, 96, 0, 1},
  {"lanes N=1024 H=32", 1, 0, 32, 1, 1, 0, 1024},
  {"train V=96 E=64 H=128 L=1 T=64 B=32", 96, 64, 128, 1, 96, 64, 32},
  {"train V=96 E=64 H=256 L=1 T=64 B=32", 96, 64, 256, 1, 96, 64, 32},
  {"train V=96 E=64 H=512 L=1 T=64 B=32", 96, 64, 512, 1, 96, 64, 32},
  {"train V=96 E=64 H=512 L=2 T=64 B=64", 96, 64, 512, 2, 96, 64, 64},
  {"train I=1 H=50 T=10 B=32", 1, 0, 50, 1, 1, 10, 32},
  {"train I=1 H=50 T=10 B=1", 1, 0, 50, 1, 1, 10, 1},
};
enum { SHAPES = sizeof shapes / sizeof *shapes };

/* Multiply-adds that one call needs. A window that begins at zero has a step without recurrence, and numbers need no
   gradient; tokens need the products of the embedding's rows, not of each token. */
static double fmas_of(const shape *s) {
  double H = s->hidden, per_gate = 0, once = 0, O = H * s->output, deeper = 4 * H * 2 * H * (s->depth - 1);
  double T = s->steps, B = s->batch;
  if (s->embed) once = 4 * H * s->embed * s->input;
  else per_gate = 4 * H * s->input;
  if (s->steps == 0) return B * (per_gate + 4 * H * H + deeper + O);
  if (s->embed) return T * B * 3 * (4 * H * H + deeper + O) + 3 * once;
  return B * (2 * T * per_gate + 3 * (T - 1) * 4 * H * H + 3 * O);
}

/* Of the weights and biases that a step reads. */
static double weight_bytes(const shape *s) {
  double H = s->hidden, rows = s->embed ? H + 1 : s->input + H + 1; /* a token's row stands for bias and input */
  return 4 * (4 * H * rows + (s->depth - 1) * 4 * H * (2 * H + 1) + s->output * (H + 1));
}

/* --- one work, set up --------------------------------------------------------------------------------------------- */

static double trained_bytes(const shape *s) {
  return weight_bytes(s) + (s->embed ? 4.0 * s->embed * (s->input + 4 * s->hidden) : 0);
}

typedef struct job {
  lstm_model *model;
  lstm_state *state;
  lstm_trainer *trainer;
  lstm_batch batch;
  float *x, *y;
  int32_t *ids;
  team team;
} job;

static lstm_model *make_model(const shape *s, lstm_isa isa, int portable) {
  lstm_layer layers[8];
  lstm_model_desc desc = {0};
  lstm_model *model;
  int n = 0, i;
  if (s->embed) layers[n++] = lstm_embedding(s->embed);
  for (i = 0; i < s->depth; i++) layers[n++] = lstm_lstm(s->hidden);
  if (s->output == 1 && s->steps) layers[n - 1].read = LSTM_READ_LAST;
  if (s->output) layers[n++] = lstm_dense(s->output);
  desc.input_size = s->input, desc.layers = layers, desc.layer_count = n, desc.isa = isa;
  desc.numerics = portable ? LSTM_PORTABLE : LSTM_FUSED;
  check(lstm_model_create(&desc, &model), s->name);
  return model;
}

static void set_up_trainer(job *j, const shape *s, int width) {
  lstm_trainer_desc desc = {0};
  desc.batch_size = s->batch, desc.seq_len = s->steps, desc.clip_norm = 5;
  desc.loss = s->embed ? LSTM_CROSS_ENTROPY : LSTM_MSE, desc.carry_state = s->embed != 0;
  j->team.width = width;
  if (width > 1) desc.executor.width = width, desc.executor.run = team_run, desc.executor.user = &j->team;
  check(lstm_trainer_create(j->model, &desc, &j->trainer), s->name);
  if (s->embed) j->batch.ids = j->batch.target_ids = j->ids;
  else j->batch.x = j->x, j->batch.targets = j->y;
}

static void set_up(job *j, const shape *s, lstm_isa isa, int portable, int width) {
  lstm_state_desc desc = {0};
  lstm_rng rng = {0};
  size_t rows = (size_t)s->batch * (size_t)(s->steps ? s->steps : 1), i;
  memset(j, 0, sizeof *j);
  j->model = make_model(s, isa, portable);
  j->x = make_floats(rows * (size_t)s->input, 1);
  j->y = make_floats(rows * (size_t)lstm_model_output_size(j->model), 1);
  j->ids = (int32_t *)calloc(rows, sizeof *j->ids);
  if (!j->ids) check(LSTM_ERR_MEMORY, s->name);
  for (i = 0; i < rows; i++) j->ids[i] = (int32_t)lstm_random_index(&rng, s->input);
  desc.lanes = s->batch;
  if (s->steps) set_up_trainer(j, s, width);
  else check(lstm_state_create(j->model, &desc, &j->state), s->name);
}

static void tear_down(job *j) {
  lstm_trainer_destroy(j->trainer);
  lstm_state_destroy(j->state);
  lstm_model_destroy(j->model);
  free(j->x), free(j->y), free(j->ids);
}

static void run_job(void *context, long n) {
  job *j = (job *)context;
  int tokens = lstm_model_desc_of(j->model)->layers[0].type == LSTM_LAYER_EMBEDDING;
  float loss;
  for (; n > 0; n--)
    if (j->trainer) check(lstm_train(j->trainer, &j->batch, &loss), "train");
    else if (tokens) check(lstm_step_ids(j->model, j->state, j->ids, j->y), "step");
    else check(lstm_step(j->model, j->state, j->x, j->y), "step");
}

static void begin_job(void *context) { team_start(&((job *)context)->team); }
static void end_job(void *context) { team_stop(&((job *)context)->team); }

static void add_job(contender *c, job *j) {
  add_contender(c, run_job, j);
  if (j->team.width > 1) c->begin = begin_job, c->end = end_job;
}

#endif
