/* floors.h: the least time that a work can take, of parts that take turns with it. */
#ifndef FLOORS_H
#define FLOORS_H

#include "works.h"

/* Who takes turns: the work, the parts of its floor, the same work in another way, and the pure loop on all threads. */
enum { WORK, FMA, READ, FORWARD, BACKWARD, UPDATE, OTHER, PURE, CONTENDERS };

/* The gate arithmetic alone: a cell without recurrence. Of one lane, its single input is the last unit that the call
   before made, so that each call waits for the one before, as steps do. */
typedef struct gates {
  const lstm__kernels *kernels;
  lstm__cell_job job;
  int units, rows;  /* units: padded to 8, as a cell's; rows of c and h: to 16 */
  float *w, *c, *h; /* backward: w holds the gates, h their gradients */
} gates;

static void run_gates_forward(void *context, long n) {
  gates *g = (gates *)context;
  for (; n > 0; n--) g->kernels->cell(&g->job);
}

/* Zeros stay zeros: nothing becomes denormal, however often. */
static void run_gates_backward(void *context, long n) {
  gates *g = (gates *)context;
  size_t r;
  for (; n > 0; n--)
    for (r = 0; r < (size_t)g->rows; r++) {
      float *c = g->c + r * g->job.c.stride, *h = g->h + r * g->job.h_out.stride;
      g->kernels->cell_backward(g->units, g->w + r * (size_t)g->units * 4, c, c, h, h);
    }
}

static void set_up_gates(gates *g, const lstm__kernels *kernels, int hidden, int rows, int backward) {
  size_t wide = (size_t)(hidden + 15) / 16 * 16, all = wide * (size_t)rows;
  memset(g, 0, sizeof *g);
  g->kernels = kernels, g->units = (hidden + 7) / 8 * 8, g->rows = rows;
  g->w = make_floats(8 * all, backward ? 0 : 1), g->c = make_floats(all, 0), g->h = make_floats(all, 0);
  g->job.rows = rows, g->job.units = g->units, g->job.w = g->w, g->job.nx = rows == 1;
  g->job.x.p = g->h + hidden - 1;
  g->job.h.p = g->job.c.p = g->job.c_out.p = g->c, g->job.h_out.p = g->h;
  g->job.h.stride = g->job.c.stride = g->job.c_out.stride = g->job.h_out.stride = wide;
}

/* The optimiser alone, for all weights of a model. */
typedef struct updates {
  const lstm__kernels *kernels;
  lstm__update_job job;
  int count;
  float *w, *g, *m, *v;
} updates;

static void run_updates(void *context, long n) {
  updates *u = (updates *)context;
  for (; n > 0; n--) u->kernels->update(u->count, u->w, u->g, u->m, u->v, &u->job);
}

static void set_up_updates(updates *u, const lstm__kernels *kernels, double bytes) {
  size_t count = ((size_t)bytes / 4 + 15) / 16 * 16;
  memset(u, 0, sizeof *u);
  u->kernels = kernels, u->count = (int)count;
  u->job.optimizer = LSTM_ADAM, u->job.rate = 1e-3f, u->job.epsilon = 1e-8f, u->job.second_scale = 1;
  u->job.a = .9f, u->job.one_minus_a = .1f, u->job.b = .999f, u->job.one_minus_b = .001f;
  u->w = make_floats(count, 1), u->g = make_floats(count, 1), u->m = make_floats(count, 0);
  u->v = make_floats(count, 0);
}

/* The memory of the parts. */
typedef struct floor_job {
  region read;
  gates forward, backward;
  updates update;
} floor_job;

/* Which parts a work has: a step of one lane reads its weights; training goes backward and updates. */
static void set_up_floor(floor_job *f, contender *c, const shape *s, lstm_isa isa, const lstm__kernels *kernels) {
  peak_loops loops = loops_of(isa);
  memset(f, 0, sizeof *f);
  if (!loops.fma) return;
  add_contender(&c[FMA], loops.fma, NULL);
  set_up_gates(&f->forward, kernels, s->hidden, s->batch, 0);
  add_contender(&c[FORWARD], run_gates_forward, &f->forward);
  if (s->steps) {
    set_up_gates(&f->backward, kernels, s->hidden, s->batch, 1);
    add_contender(&c[BACKWARD], run_gates_backward, &f->backward);
    set_up_updates(&f->update, kernels, trained_bytes(s));
    add_contender(&c[UPDATE], run_updates, &f->update);
  } else if (s->batch == 1) {
    f->read = make_region(weight_bytes(s));
    add_contender(&c[READ], loops.read, &f->read);
  }
}

static void tear_down_floor(floor_job *f) {
  free(f->read.memory);
  free(f->forward.w), free(f->forward.c), free(f->forward.h);
  free(f->backward.w), free(f->backward.c), free(f->backward.h);
  free(f->update.w), free(f->update.g), free(f->update.m), free(f->update.v);
}

/* Shares of a work's time. 0: not known. */
typedef struct parts {
  double fma, read, gates, update, sum;
} parts;

static parts floor_of(const floor_job *f, const contender *c, const contender *of, const shape *s, lstm_isa isa) {
  parts p = {0, 0, 0, 0, 0};
  if (!c[FMA].run) return p;
  p.fma = fmas_of(s) / fmas_in_loop(isa) * c[FMA].time / of->time;
  if (c[READ].run) p.read = weight_bytes(s) / (4 * (double)f->read.count) * c[READ].time / of->time;
  p.gates = s->depth * (s->steps ? s->steps : 1) * (c[FORWARD].time + c[BACKWARD].time) / of->time;
  p.update = c[UPDATE].time / of->time;
  p.sum = (p.fma > p.read ? p.fma : p.read) + p.gates + p.update;
  return p;
}

#endif
