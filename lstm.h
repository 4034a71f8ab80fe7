/* lstm.h - 0.1.0 - LSTM networks, trained and run, in one C header. SPDX-License-Identifier: Unlicense OR MIT-0

   The manual comes here.
*/

/* [SECTION] Public API
   ===================================================================================================================== */
#ifndef LSTM__PASS
#ifndef LSTM_SINGLE_HEADER_H
#define LSTM_SINGLE_HEADER_H

#include <stddef.h>
#include <stdint.h>

#define LSTM_VERSION_MAJOR 0
#define LSTM_VERSION_MINOR 1
#define LSTM_VERSION_PATCH 0
#define LSTM_VERSION (LSTM_VERSION_MAJOR * 10000 + LSTM_VERSION_MINOR * 100 + LSTM_VERSION_PATCH)
#define LSTM_VERSION_STRING "0.1.0"
#define LSTM_FILE_VERSION 1 /* of the layer lines in a model file, see FILE FORMAT */

#ifndef LSTM_API
#ifdef LSTM_STATIC
#define LSTM_API static
#elif defined(__cplusplus)
#define LSTM_API extern "C"
#else
#define LSTM_API extern
#endif
#endif

/* --- status ---------------------------------------------------------------------------------------------------------- */

/* Every way in which a call can end. X(name, sentence). */
#define LSTM_STATUS_LIST(X)                                                                                              \
  X(OK, "no error")                                                                                                      \
  X(ERR_ARGUMENT, "an argument is missing or out of its range")                                                          \
  X(ERR_SHAPE, "a shape does not fit the model")                                                                         \
  X(ERR_MEMORY, "out of memory")                                                                                         \
  X(ERR_IO, "a file could not be read or written")                                                                       \
  X(ERR_FORMAT, "the file is damaged or is not a model file")                                                            \
  X(ERR_VERSION, "the file was written by a newer version")                                                              \
  X(ERR_LIMIT, "a size is over its limit")                                                                               \
  X(ERR_UNSUPPORTED, "not supported by this build, this CPU or this kind of model")                                      \
  X(ERR_NOT_FINITE, "a number is NaN or infinite")                                                                       \
  X(ERR_MISMATCH, "the state or checkpoint belongs to another model or run")

typedef enum lstm_status {
#define LSTM__X(name, text) LSTM_##name,
  LSTM_STATUS_LIST(LSTM__X)
#undef LSTM__X
      LSTM_STATUS_COUNT
} lstm_status;

/* What went wrong, as a sentence for a person. Point a description's or a batch's `error` at one; it is written only when
   a call fails. */
typedef struct lstm_error {
  char message[320]; /* always ends in 0 */
  lstm_status status;
} lstm_error;

LSTM_API const char *lstm_status_name(lstm_status status); /* "LSTM_ERR_SHAPE"; allocates: never */
LSTM_API const char *lstm_status_text(lstm_status status); /* "a shape does not fit the model"; allocates: never */

/* --- memory and tasks ------------------------------------------------------------------------------------------------ */

/* Where objects come from. `alloc` returns memory for any type (at least 8-byte aligned) or NULL. All zero: malloc, free
   (or LSTM_MALLOC, LSTM_FREE). Each object is one allocation; a loader needs one more while it works. */
typedef struct lstm_allocator {
  void *(*alloc)(void *user, size_t size);
  void (*free)(void *user, void *pointer);
  void *user;
} lstm_allocator;

/* How to run tasks at the same time; the library starts no thread. `run` calls task(context, 0) ... task(context, count-1),
   each once, in any order, on any threads, and returns when all have returned; tasks never wait for each other. `width` is
   how many can run at once. All zero: everything runs in the calling thread. The results do not depend on it. */
typedef struct lstm_executor {
  int width;
  void (*run)(void *user, int count, void (*task)(void *context, int index), void *context);
  void *user;
} lstm_executor;

/* Memory that a caller provides for an object must be aligned to this many bytes. */
#define LSTM_ALIGNMENT 64

/* --- instruction sets ------------------------------------------------------------------------------------------------ */

typedef enum lstm_isa {
  LSTM_ISA_AUTO, /* the best usable one */
  LSTM_ISA_SCALAR,
  LSTM_ISA_SSE2,
  LSTM_ISA_AVX2,   /* with FMA */
  LSTM_ISA_AVX512, /* F, VL, DQ, BW */
  LSTM_ISA_NEON,   /* 64-bit ARM */
  LSTM_ISA_WASM,   /* simd128 */
  LSTM_ISA_COUNT
} lstm_isa;

LSTM_API int lstm_isa_usable(lstm_isa isa);          /* 1: compiled in, and this CPU has it; allocates: never */
LSTM_API lstm_isa lstm_isa_best(void);               /* what LSTM_ISA_AUTO means here; allocates: never */
LSTM_API const char *lstm_isa_name(lstm_isa isa);    /* "avx2"; "?" if unknown; allocates: never */
LSTM_API lstm_isa lstm_isa_from_name(const char *name); /* the reverse; LSTM_ISA_COUNT if unknown; allocates: never */

/* --- random numbers -------------------------------------------------------------------------------------------------- */

/* A stream of random numbers made from counters (Philox 4x32-10: Salmon et al., "Parallel random numbers: as easy as
   1, 2, 3", 2011): number n of a seed is the same on every machine. {0} is valid. */
typedef struct lstm_rng {
  uint64_t seed;
  uint64_t counter; /* the next number's index */
} lstm_rng;

LSTM_API uint32_t lstm_random_bits(lstm_rng *rng);               /* 32 random bits; allocates: never */
LSTM_API float lstm_random(lstm_rng *rng);                       /* uniform in [0, 1), 24 bits; allocates: never */
LSTM_API int lstm_random_index(lstm_rng *rng, int count);        /* uniform in 0..count-1; 0 if count < 1; allocates: never */

/* Draws an index with probability p[i]^(1/temperature), normalised. p [count]: not negative, as lstm_step returns them for a
   softmax model. temperature 0 takes the largest. Returns -1 if no p is positive and finite. Allocates: never. */
LSTM_API int lstm_sample(const float *p, int count, float temperature, lstm_rng *rng);

/* --- describing a model ---------------------------------------------------------------------------------------------- */

typedef enum lstm_layer_type {
  LSTM_LAYER_NONE,
  LSTM_LAYER_EMBEDDING, /* token ids -> rows of a table; first layer only */
  LSTM_LAYER_LSTM,
  LSTM_LAYER_DENSE,
  LSTM_LAYER_DROPOUT, /* in training only; kept values are divided by 1 - rate */
  LSTM_LAYER_TYPE_COUNT
} lstm_layer_type;

typedef enum lstm_activation {
  LSTM_LINEAR,
  LSTM_TANH,
  LSTM_SIGMOID,
  LSTM_RELU,
  LSTM_ACTIVATION_COUNT
} lstm_activation;

/* Which outputs of the last recurrent layer go on in a forward pass over a sequence. lstm_step always emits an output. */
typedef enum lstm_read {
  LSTM_READ_ALL,  /* every step: y [T][B][O] */
  LSTM_READ_LAST, /* the last valid step of each lane: y [B][O] */
  LSTM_READ_COUNT
} lstm_read;

/* How the network's last values become what lstm_step and lstm_forward return. The loss of the first trainer decides when
   the description leaves it open. */
typedef enum lstm_output {
  LSTM_OUTPUT_AUTO,
  LSTM_OUTPUT_LINEAR,
  LSTM_OUTPUT_SOFTMAX, /* probabilities of O classes */
  LSTM_OUTPUT_SIGMOID, /* O independent probabilities */
  LSTM_OUTPUT_COUNT
} lstm_output;

typedef enum lstm_init {
  LSTM_INIT_DEFAULT, /* Glorot uniform over whole matrices, orthogonal recurrent weights, zero biases, forget bias 1 */
  LSTM_INIT_PYTORCH, /* U(+-1/sqrt(H)) for weights and both biases; dense U(+-1/sqrt(fan_in)); embedding N(0, 1) */
  LSTM_INIT_ZERO,    /* all zero, for weights that come from elsewhere */
  LSTM_INIT_COUNT
} lstm_init;

/* One layer. Make it with a helper below, then set what differs. */
typedef struct lstm_layer {
  int size;                   /* embedding: columns; lstm: hidden_size; dense: outputs; dropout: 0 */
  lstm_layer_type type;
  lstm_activation activation; /* dense only; default linear */
  lstm_read read;             /* last recurrent layer only; default all */
  float rate;                 /* dropout only: 0 <= rate < 1 */
  const char *name;           /* tensor prefix, instead of "rnn", "embed", "head", "dense0"; NULL: the default */
} lstm_layer;

LSTM_API lstm_layer lstm_embedding(int columns); /* allocates: never, as all four */
LSTM_API lstm_layer lstm_lstm(int hidden_size);
LSTM_API lstm_layer lstm_dense(int outputs);
LSTM_API lstm_layer lstm_dropout(float rate);

/* A model's description. {0} (C) or {} (C++) and three fields are enough. */
typedef struct lstm_model_desc {
  int input_size;           /* I: features per step, or the number of tokens if the first layer is an embedding */
  int layer_count;
  const lstm_layer *layers; /* [layer_count], copied */
  lstm_output output;
  lstm_init init;
  lstm_isa isa;
  uint64_t seed;            /* of the initial weights */
  lstm_allocator allocator;
  lstm_error *error;        /* where to write the sentence on failure; may be NULL */
} lstm_model_desc;

/* --- models ---------------------------------------------------------------------------------------------------------- */

/* Weights and how to run them. While it is const it may be shared by any number of threads. */
typedef struct lstm_model lstm_model;

/* One parameter tensor, row-major, float32. */
typedef struct lstm_tensor {
  int rows, columns; /* columns 0: a vector of `rows` */
  size_t count;      /* of floats */
  float *data;       /* inside the object; stays valid as long as it */
  const char *name;  /* PyTorch's: "rnn.weight_ih_l0" [4H][I], gates i, f, g, o */
} lstm_tensor;

/* Creates a model with random weights. On failure *out is NULL.
   Errors: ARGUMENT, LIMIT, UNSUPPORTED (isa), MEMORY. */
LSTM_API lstm_status lstm_model_create(const lstm_model_desc *desc, lstm_model **out);
/* The same in memory of the caller's, of at least the size that lstm_model_size gives, aligned to LSTM_ALIGNMENT.
   Allocates: never. Errors: as above, and MEMORY where `size` is too small. */
LSTM_API lstm_status lstm_model_size(const lstm_model_desc *desc, size_t *size);
LSTM_API lstm_status lstm_model_create_in(const lstm_model_desc *desc, void *memory, size_t size, lstm_model **out);
/* Frees it (memory of the caller's is left to the caller). NULL is allowed. States and trainers of it must be gone. */
LSTM_API void lstm_model_destroy(lstm_model *model);

/* All of these: allocates: never. */
LSTM_API const lstm_model_desc *lstm_model_desc_of(const lstm_model *model); /* every default resolved */
LSTM_API int lstm_model_input_size(const lstm_model *model);
LSTM_API int lstm_model_output_size(const lstm_model *model);  /* O */
LSTM_API int lstm_model_takes_ids(const lstm_model *model);    /* 1: the first layer is an embedding */
LSTM_API int lstm_model_reads_last(const lstm_model *model);   /* 1: a sequence gives one output, [B][O] */
LSTM_API int lstm_model_state_size(const lstm_model *model);   /* S: floats of one lane, for each recurrent layer h [H], c [H] */
LSTM_API lstm_isa lstm_model_isa(const lstm_model *model);     /* the kernels that it runs on */
LSTM_API lstm_output lstm_model_output(const lstm_model *model);
LSTM_API size_t lstm_model_parameter_count(const lstm_model *model);
LSTM_API int lstm_model_tensor_count(const lstm_model *model);
/* Tensor i (0-based), in file order. After writing through `data`, call lstm_model_refresh. Errors: ARGUMENT. */
LSTM_API lstm_status lstm_model_tensor(const lstm_model *model, int i, lstm_tensor *out);
/* Rebuilds what the kernels read from the tensors. */
LSTM_API void lstm_model_refresh(lstm_model *model);
/* Copies all weights between models of one architecture. Errors: ARGUMENT, MISMATCH. */
LSTM_API lstm_status lstm_model_copy_weights(lstm_model *to, const lstm_model *from);
/* Writes a table of layers, shapes and parameter counts as text. Returns the length it has without the final 0, as snprintf;
   writes at most `capacity` bytes. */
LSTM_API size_t lstm_model_summary(const lstm_model *model, char *text, size_t capacity);
/* Metadata that came with a loaded file (keys that do not begin with "lstm."). Number, and pair i or NULL. UTF-8. */
LSTM_API int lstm_model_meta_count(const lstm_model *model);
LSTM_API const char *lstm_model_meta_key(const lstm_model *model, int i);
LSTM_API const char *lstm_model_meta_value(const lstm_model *model, int i);
LSTM_API const char *lstm_model_meta(const lstm_model *model, const char *key); /* value, or NULL */

/* --- running: states and steps ---------------------------------------------------------------------------------------- */

/* h and c of N lanes (independent sequences), and scratch. One thread at a time. What persists comes first and holds no
   pointer: copying lstm_state_saved_size() bytes from or to the lstm_state pointer saves, forks or restores all lanes
   (check with lstm_state_check what comes from elsewhere). The layout belongs to this version and machine. */
typedef struct lstm_state lstm_state;

typedef struct lstm_state_desc {
  int lanes;   /* N; 0: 1 */
  int tasks;   /* scratch for how many tasks at once, see lstm_forward_batch; 0: 1 */
  lstm_allocator allocator;
  lstm_error *error;
} lstm_state_desc;

/* Creates a state at rest (zero). desc NULL: defaults. On failure *out is NULL. Errors: ARGUMENT, LIMIT, MEMORY. */
LSTM_API lstm_status lstm_state_create(const lstm_model *model, const lstm_state_desc *desc, lstm_state **out);
LSTM_API lstm_status lstm_state_size(const lstm_model *model, const lstm_state_desc *desc, size_t *size);
LSTM_API lstm_status lstm_state_create_in(const lstm_model *model, const lstm_state_desc *desc, void *memory, size_t size,
                                          lstm_state **out); /* allocates: never */
LSTM_API void lstm_state_destroy(lstm_state *state);        /* NULL is allowed */

/* All of these: allocates: never. */
LSTM_API int lstm_state_lanes(const lstm_state *state);
LSTM_API size_t lstm_state_saved_size(const lstm_state *state); /* bytes to copy from the beginning of *state */
LSTM_API lstm_status lstm_state_check(const lstm_model *model, const lstm_state *state); /* OK or MISMATCH */
LSTM_API void lstm_state_reset(lstm_state *state);              /* all lanes to zero */
LSTM_API lstm_status lstm_state_reset_lane(lstm_state *state, int lane); /* ARGUMENT */
/* Copies a lane between states of one architecture (may be the same state). Errors: ARGUMENT, MISMATCH. */
LSTM_API lstm_status lstm_state_copy_lane(lstm_state *to, int to_lane, const lstm_state *from, int from_lane);
/* Reads or writes one lane as values [S]: for each recurrent layer h [H], then c [H]. Errors: ARGUMENT, MISMATCH. */
LSTM_API lstm_status lstm_state_get(const lstm_model *model, const lstm_state *state, int lane, float *values);
LSTM_API lstm_status lstm_state_set(const lstm_model *model, lstm_state *state, int lane, const float *values);

/* One step of all lanes: x [N][I] -> y [N][O]; y may be NULL. x and y must not overlap. Softmax and sigmoid models return
   probabilities. Allocates: never. Errors: ARGUMENT, MISMATCH, UNSUPPORTED (a token model). */
LSTM_API lstm_status lstm_step(const lstm_model *model, lstm_state *state, const float *x, float *y);
/* The same for the n lanes named in lanes [n], no lane twice: x [n][I] -> y [n][O]. Allocates: never. */
LSTM_API lstm_status lstm_step_lanes(const lstm_model *model, lstm_state *state, const int *lanes, int n, const float *x,
                                     float *y);
/* The same two for token models: ids [N] or [n], each 0 <= id < I. Allocates: never. */
LSTM_API lstm_status lstm_step_ids(const lstm_model *model, lstm_state *state, const int32_t *ids, float *y);
LSTM_API lstm_status lstm_step_ids_lanes(const lstm_model *model, lstm_state *state, const int *lanes, int n,
                                         const int32_t *ids, float *y);

/* Sequences: x [T][N][I] or ids [T][N], T = seq_len -> y [T][N][O], or [N][O] where the model reads the last step. Goes on
   from the state and leaves it at the end. The bits equal those of T steps. Allocates: never. */
LSTM_API lstm_status lstm_forward(const lstm_model *model, lstm_state *state, const float *x, int seq_len, float *y);
LSTM_API lstm_status lstm_forward_ids(const lstm_model *model, lstm_state *state, const int32_t *ids, int seq_len, float *y);

/* --- batches ---------------------------------------------------------------------------------------------------------- */

typedef enum lstm_loss {
  LSTM_LOSS_NONE,            /* none: level 3 with gradients of the caller's */
  LSTM_CROSS_ENTROPY,        /* softmax cross-entropy on target_ids, in nats */
  LSTM_BINARY_CROSS_ENTROPY, /* sigmoid cross-entropy on targets in [0, 1]; mean over the O outputs */
  LSTM_MSE,                  /* mean squared error on targets; mean over the O outputs */
  LSTM_LOSS_COUNT
} lstm_loss;

/* A window of B sequences, time-major. T' is T = seq_len, or 1 where the model reads the last step. What is not used is
   NULL. Padding (steps at or after a lane's length) may hold anything. */
typedef struct lstm_batch {
  int seq_len;               /* T; 0: the trainer's */
  int batch_size;            /* B; 0: the trainer's or the state's lanes */
  const float *x;            /* [T][B][I] */
  const int32_t *ids;        /* [T][B], token models */
  const float *targets;      /* [T'][B][O], MSE and binary cross-entropy */
  const int32_t *target_ids; /* [T'][B], cross-entropy; a negative id: no target at this place */
  const float *weights;      /* [T'][B], weight of each target, not negative; NULL: 1 */
  const int *lengths;        /* [B], 0..T valid steps of each lane; NULL: T */
  const unsigned char *reset;/* [B], not 0: this lane begins at zero, not at its carried state */
  const float *initial;      /* [B][S], initial states instead of carried or zero ones */
  lstm_error *error;
} lstm_batch;

/* Forward over a batch, in tasks (state_desc.tasks bounds them; executor NULL: one after the other). The batch's lanes are
   the state's lanes 0..B-1, from their state (or reset, or initial) to the end of each lane. y [T'][B][O] (0 in padding) or
   NULL. Equal bits at any executor. Allocates: never. Errors: ARGUMENT, SHAPE, MISMATCH. */
LSTM_API lstm_status lstm_forward_batch(const lstm_model *model, lstm_state *state, const lstm_batch *batch, float *y,
                                        const lstm_executor *executor);

/* Sums over targets. Mean loss: loss / weight. Accuracy: correct / targets. */
typedef struct lstm_metrics {
  double loss;    /* sum of weight * loss */
  double weight;  /* sum of weights */
  double targets; /* number of valid targets */
  double correct; /* cross-entropy: largest output is the target; binary: all outputs on the target's side of 1/2 */
} lstm_metrics;

/* Evaluates a batch without training: as lstm_forward_batch, and adds to *metrics (begin with {0}).
   Allocates: never. Errors: as lstm_forward_batch. */
LSTM_API lstm_status lstm_evaluate(const lstm_model *model, lstm_state *state, const lstm_batch *batch, lstm_loss loss,
                                   lstm_metrics *metrics, const lstm_executor *executor);

/* --- training --------------------------------------------------------------------------------------------------------- */

typedef enum lstm_optimizer {
  LSTM_OPTIMIZER_DEFAULT, /* Adam */
  LSTM_SGD,     /* with momentum: v = momentum v + g; w -= rate v */
  LSTM_RMSPROP, /* Hinton's lecture 6e, 2012, as in PyTorch; optional momentum */
  LSTM_ADAM,    /* Kingma and Ba, 2015 */
  LSTM_ADAMW,   /* decoupled weight decay: Loshchilov and Hutter, 2019 */
  LSTM_OPTIMIZER_COUNT
} lstm_optimizer;

/* Gradients, optimiser moments, the tape of one window, carried lanes. One thread, which may fan out through `executor`. */
typedef struct lstm_trainer lstm_trainer;

/* 0 means the default in brackets. Where 0 itself is wanted, give a negative number. */
typedef struct lstm_trainer_desc {
  int batch_size;          /* B, the largest [1] */
  int seq_len;             /* T, the longest window [1] */
  lstm_loss loss;          /* [none] */
  lstm_optimizer optimizer;
  int carry_state;         /* 1: a lane's final state is its next window's initial state; [0]: every window begins at zero */
  int keep_best;           /* 1: memory for lstm_trainer_keep_best [0] */
  float learning_rate;     /* [1e-3; SGD and RMSProp 1e-2] */
  float momentum;          /* SGD, RMSProp [0] */
  float beta1, beta2;      /* Adam, AdamW [0.9, 0.999] */
  float alpha;             /* RMSProp's smoothing [0.99] */
  float epsilon;           /* [1e-8] */
  float weight_decay;      /* [0; AdamW 0.01]; L2 except for AdamW */
  float clip_norm;         /* largest global gradient norm [5]; negative: off */
  float clip_value;        /* largest absolute gradient [off] */
  uint64_t seed;           /* of dropout */
  lstm_executor executor;
  lstm_allocator allocator;
  lstm_error *error;
} lstm_trainer_desc;

/* Creates a trainer for a model, which must outlive it and must not be stepped by others during an update. The model's open
   output becomes what the loss implies. On failure *out is NULL. Errors: ARGUMENT, LIMIT, MISMATCH (output), MEMORY. */
LSTM_API lstm_status lstm_trainer_create(lstm_model *model, const lstm_trainer_desc *desc, lstm_trainer **out);
LSTM_API lstm_status lstm_trainer_size(const lstm_model *model, const lstm_trainer_desc *desc, size_t *size);
LSTM_API lstm_status lstm_trainer_create_in(lstm_model *model, const lstm_trainer_desc *desc, void *memory, size_t size,
                                            lstm_trainer **out); /* allocates: never */
LSTM_API void lstm_trainer_destroy(lstm_trainer *trainer);      /* NULL is allowed */

/* One training step: forward, loss, backward through the window, clip, update. *loss (may be NULL): the mean over valid,
   weighted targets, before the update. Allocates: never. Errors: ARGUMENT, SHAPE, NOT_FINITE (loss or gradient; the weights
   and moments are as before the call). A batch without a valid target changes nothing and has loss 0. */
LSTM_API lstm_status lstm_train(lstm_trainer *trainer, const lstm_batch *batch, float *loss);

/* Level 3: the parts of lstm_train, in this order. Allocates: never, all of them. */

/* Forward over the window, and the tape. y (may be NULL): [T'][B][O], logits or linear outputs, without softmax or sigmoid. */
LSTM_API lstm_status lstm_trainer_forward(lstm_trainer *trainer, const lstm_batch *batch, float *y);
/* The loss of the outputs of the last forward, and its gradient (kept inside). The batch is the one given to forward. */
LSTM_API lstm_status lstm_trainer_loss(lstm_trainer *trainer, const lstm_batch *batch, float *loss);

/* Gradients that enter and leave a backward pass; NULL: zero, or not wanted. */
typedef struct lstm_flow {
  const float *d_output; /* [T'][B][O], with respect to the y of lstm_trainer_forward; added to the loss's */
  const float *d_final;  /* [B][S], with respect to the final states */
  float *d_input;        /* [T][B][I], out; not for token models */
  float *d_initial;      /* [B][S], out: with respect to the initial states */
} lstm_flow;

/* Adds the window's gradients to the tensors' (flow may be NULL). Once after each forward. Errors: ARGUMENT (no forward). */
LSTM_API lstm_status lstm_trainer_backward(lstm_trainer *trainer, const lstm_flow *flow);
/* Clips by value, then by global norm, as the description says. *norm (may be NULL): the global norm before clipping by norm.
   Errors: NOT_FINITE. */
LSTM_API lstm_status lstm_trainer_clip(lstm_trainer *trainer, float *norm);
LSTM_API lstm_status lstm_trainer_update(lstm_trainer *trainer); /* one optimiser step; the gradients stay */
LSTM_API void lstm_trainer_zero_gradients(lstm_trainer *trainer);

/* All of these: allocates: never. */
LSTM_API lstm_model *lstm_trainer_model(const lstm_trainer *trainer);
LSTM_API const lstm_trainer_desc *lstm_trainer_desc_of(const lstm_trainer *trainer); /* every default resolved */
/* The gradient of tensor i, of the same shape and name as lstm_model_tensor(model, i). Errors: ARGUMENT. */
LSTM_API lstm_status lstm_trainer_gradient(const lstm_trainer *trainer, int i, lstm_tensor *out);
/* States at the end of the last window (each lane at its length): values [B][S]. Errors: ARGUMENT (no forward). */
LSTM_API lstm_status lstm_trainer_final(const lstm_trainer *trainer, float *values);
LSTM_API void lstm_trainer_reset(lstm_trainer *trainer); /* carried lanes to zero */
LSTM_API uint64_t lstm_trainer_steps(const lstm_trainer *trainer);        /* updates so far */
LSTM_API float lstm_trainer_learning_rate(const lstm_trainer *trainer);
LSTM_API lstm_status lstm_trainer_set_learning_rate(lstm_trainer *trainer, float rate); /* ARGUMENT: not finite, negative */
LSTM_API float lstm_trainer_norm(const lstm_trainer *trainer);            /* global gradient norm of the last step */
/* Keeps a copy of the weights as the best so far; brings it back. Errors: UNSUPPORTED (keep_best is 0), ARGUMENT (none kept). */
LSTM_API lstm_status lstm_trainer_keep_best(lstm_trainer *trainer);
LSTM_API lstm_status lstm_trainer_restore_best(lstm_trainer *trainer);

/* --- files ------------------------------------------------------------------------------------------------------------ */

/* Takes `size` bytes; returns 1, or 0 on failure. */
typedef struct lstm_writer {
  int (*write)(void *user, const void *data, size_t size);
  void *user;
} lstm_writer;

/* Fills `data` with up to `size` bytes; returns how many, 0 at the end, (size_t)-1 on failure. */
typedef struct lstm_reader {
  size_t (*read)(void *user, void *data, size_t size);
  void *user;
} lstm_reader;

/* A metadata pair: UTF-8 strings. Keys that begin with "lstm." or "trainer." are the library's. */
typedef struct lstm_meta {
  const char *key, *value;
} lstm_meta;

typedef struct lstm_save_desc {
  int meta_count;
  const lstm_meta *meta; /* [meta_count]; NULL: what the model was loaded with */
  lstm_error *error;
} lstm_save_desc;

/* A name in a foreign file and what it is called here: {"encoder.lstm.", "rnn."}. */
typedef struct lstm_prefix {
  const char *from, *to;
} lstm_prefix;

typedef struct lstm_load_desc {
  int allow_not_finite;       /* 1: NaN and infinite weights are accepted */
  int layer_count;            /* foreign files: the layers, instead of inferring them */
  const lstm_layer *layers;
  int prefix_count;
  const lstm_prefix *prefixes;
  uint64_t max_bytes;         /* the largest file; 0: LSTM_MAX_FILE_BYTES */
  int max_size;               /* the largest layer or input size; 0: LSTM_MAX_SIZE */
  int max_layers;             /* 0: LSTM_MAX_LAYERS */
  lstm_isa isa;
  lstm_allocator allocator;
  char *assumed;              /* [assumed_capacity] or NULL: where to write what was assumed of a foreign file, as text */
  size_t assumed_capacity;
  lstm_error *error;
} lstm_load_desc;

/* Load a model: ours, a checkpoint (its best weights), or a PyTorch state dict in safetensors format. Any bytes are safe, see
   UNTRUSTED INPUT. desc NULL: defaults. On failure *out is NULL.
   Errors: IO, FORMAT, VERSION, LIMIT, UNSUPPORTED, SHAPE, NOT_FINITE, MEMORY. */
LSTM_API lstm_status lstm_load_memory(const void *data, size_t size, const lstm_load_desc *desc, lstm_model **out);
LSTM_API lstm_status lstm_load(const lstm_reader *reader, const lstm_load_desc *desc, lstm_model **out);
LSTM_API lstm_status lstm_load_file(const char *path_utf8, const lstm_load_desc *desc, lstm_model **out);

/* Save a model. desc NULL: defaults. lstm_save_memory: buffer NULL only asks for *size; MEMORY if `capacity` is too small.
   lstm_save_file writes PATH.tmp and renames it. Errors: ARGUMENT (metadata), IO, MEMORY. */
LSTM_API lstm_status lstm_save_memory(const lstm_model *model, const lstm_save_desc *desc, void *buffer, size_t capacity,
                                      size_t *size); /* allocates: never */
LSTM_API lstm_status lstm_save(const lstm_model *model, const lstm_save_desc *desc, const lstm_writer *writer); /* never */
LSTM_API lstm_status lstm_save_file(const lstm_model *model, const lstm_save_desc *desc, const char *path_utf8);

/* Checkpoints: a model file with the best weights under the model's names (the current ones if none were kept) and the run
   under trainer.*. Resuming gives the bits that the run would have had. lstm_trainer_resume takes a trainer made with the same
   description for a model loaded from the same bytes; it brings back the current weights, moments, carried lanes and counters,
   and refuses another description (batch_size, seq_len, loss, optimizer and its numbers, clip, seed) by name.
   Errors: as for models, and MISMATCH; on failure of resume the trainer and model are unchanged. */
LSTM_API lstm_status lstm_trainer_save(const lstm_trainer *trainer, const lstm_save_desc *desc, const lstm_writer *writer);
LSTM_API lstm_status lstm_trainer_resume(lstm_trainer *trainer, const void *data, size_t size, lstm_error *error);

#endif /* LSTM_SINGLE_HEADER_H */
#endif /* LSTM__PASS */
