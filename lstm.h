/* lstm.h - 0.1.0 - LSTM networks, trained and run, in one C header. SPDX-License-Identifier: Unlicense OR MIT-0

   QUICK START: load a model, step it

   ```
   #define LSTM_IMPLEMENTATION // in one file of your program; the others only include lstm.h
   #include "lstm.h"

   int main(void) {
     lstm_model *model;
     lstm_state *state;
     float x[2] = {0.1f, 0.2f}, y[3];
     if (lstm_load_file("gesture.safetensors", NULL, &model) != LSTM_OK) return 1;
     if (lstm_state_create(model, NULL, &state) != LSTM_OK) return 1;
     return lstm_step(model, state, x, y); // once a tick: 2 inputs in, 3 outputs out, nothing is allocated
   }
   ```

   The whole text above "Public API" is the manual; the declarations after it say what each function does.
   examples/train.c trains a network in 80 lines. Every example here is compiled by the tests, in C and in C++.

   USE -----------------------------------------------------------------------------------------------------------------
   Copy lstm.h into your project. It needs a C99 or C++11 compiler and a C library (malloc, free, memcpy and their kin;
   stdio only for lstm_load_file and lstm_save_file); it does not need -lm, threads or POSIX. One file defines
   LSTM_IMPLEMENTATION before it includes lstm.h; CONFIGURATION has more. Compile it without -ffast-math, see NUMERICS.

   In C, `lstm_model_desc desc = {0};` means "all defaults"; in C++ write `= {}`. A field that is 0 takes its default; a
   negative number switches off what is on by default. New fields are only ever added at the end.

   GLOSSARY ------------------------------------------------------------------------------------------------------------
     model        the weights, the description of the layers, and the code that runs them on this CPU
     state        what a network remembers: h and c of every recurrent layer, for some lanes
     lane         one independent sequence in a state or batch
     trainer      gradients, the optimiser's moments, the tape
     tape         what a forward pass leaves for the backward pass
     step         one time step; one tick
     window       seq_len steps of a batch: as far as gradients go back (truncated back-propagation through time)
     carried      a state that goes on from one window to the next
     token, id    a number 0 <= id < I that an embedding layer turns into a vector
     logits       outputs before softmax or sigmoid
     I, H, O      input size, hidden size (units of an LSTM layer), output size
     T, B, N, S   steps, lanes of a batch, lanes of a state, floats of one lane's state

   LAYOUTS -------------------------------------------------------------------------------------------------------------
   Everything is float32, row-major, dense. Sequences are time-major: inputs x [T][B][I], outputs y [T][B][O], or [B][O]
   where the last recurrent layer reads only the last step; lstm_batch has the rest. A lane's state: for each recurrent
   layer in order, h [H], then c [H].

   Weights have PyTorch's names and shapes. An LSTM layer has, in this order, `rnn.weight_ih_l0` [4H][I],
   `rnn.weight_hh_l0` [4H][H], `rnn.bias_ih_l0` [4H], the gates in the order i, f, g, o; then the tensors of its options
   (see CELLS). A GRU layer has weight_ih [3H][I], weight_hh [3H][H], bias_ih [3H], bias_hn [H]. A run of layers of one
   size is one PyTorch module, _l0, _l1, ...; rnn, then rnn1, rnn2, ... for further runs. The tensors of a backward
   direction (_l0_reverse) come after all of the forward one. An embedding has `embed.weight` [I][columns], the last
   dense layer `head.weight` [O][inputs] and `head.bias` [O], those before it dense0, dense1, .... A layer's `name`
   replaces its prefix. There is one bias in memory; a file carries PyTorch's second one, as zeros.

     i = sigmoid(W_i x + U_i h' + b_i)      f = sigmoid(W_f x + U_f h' + b_f)
     g = tanh(W_g x + U_g h' + b_g)         o = sigmoid(W_o x + U_o h' + b_o)
     c = f * c' + i * g                     h = o * tanh(c)

   CELLS ---------------------------------------------------------------------------------------------------------------
   An LSTM layer's cell with all its options; ' is the step before, * element by element. Without any it is the above.
     z_k = W_k x + U_k (m_h * h')                                   k = i, f, g, o; b_k is added here without layer_norm
     z_k = gamma_k * (z_k - mean) / sqrt(var + 1e-5) + b_k          layer_norm: mean and var over the H units of z_k
     i = G(z_i + p_i * c')
     f = G(z_f + p_f * c')                                          coupled: 1 - i; forget zero: 0; one: 1;
                                                                    noise: + noise (u - f), in training
     g = A(z_g)
     s = f * c' + i * g                                             cell_clip: to -cell_clip..cell_clip
     o = G(z_o + p_o * s)
     h = o * A(gamma_c * (s - mean) / sqrt(var + 1e-5) + beta_c)    without layer_norm: o * A(s)
     h = R h                                                        projection: R [P][H]
     c = s + d_c * (c' - s);  h = h + d_h * (h' - h)                zoneout

   G is the gate_activation, A the activation. m_h is the mask of recurrent_dropout: for each unit 0, with that
   probability, or 1 / (1 - recurrent_dropout); the same in all steps of a window of a lane; 1 outside training. d_c and
   d_h are 1 in training with the probability zoneout and else 0; outside training they are the number zoneout itself.
   Where the clip holds, its derivative is 0; relu's at 0 is 0.

   A GRU layer's cell, with the gates in PyTorch's order r, z, n:
     r = sigmoid(W_r x + U_r (m_h * h') + b_r)      z = sigmoid(W_z x + U_z (m_h * h') + b_z)
     n = tanh(W_n x + b_n + r * (U_n (m_h * h') + b_hn))
     h = n + z * (h' - n);  h = h + d_h * (h' - h)

   The options, where they come from and who else has them (P PyTorch, K Keras, T TensorFlow 1, O ONNX). The fused path
   computes the gates in the registers in which their sums were made; all that is generic shares one pass over them.
     option             tensor or equation          paper                                            others   path
     projection         weight_hr [P][H]            Sak, Senior and Beaufays, 2014                   P T      fused
     bidirectional      ..._reverse                 Schuster and Paliwal, 1997                       P K T O  fused
     learned_state      h0 [H or P], c0 [H]         initial states as parameters                     -        fused
     dropout            of x                        Srivastava et al., 2014; Zaremba et al., 2014    P K T    fused
     recurrent_dropout  m_h                         Gal and Ghahramani, 2016                         K T      fused
     gru                3 gates, bias_hn [H]        Cho et al., 2014; cuDNN's reset gate             P K T O  own pass
     peephole           peephole [3H] (i, f, o)     Gers, Schraudolph and Schmidhuber, 2002          T O      generic
     coupled            f = 1 - i                   Greff et al., 2017                               T O      generic
     layer_norm         norm_weight [4H], ...       Ba, Kiros and Hinton, 2016                       T        generic
     cell_clip          |c| <= cell_clip            Sak, Senior and Beaufays, 2014                   T        generic
     forget             f = 0, 1, or noisy          Hochreiter and Schmidhuber, 1997 (f = 1)         -        generic
     activation         A, G                        -                                                K O      generic
     zoneout            d_c, d_h                    Krueger et al., 2017                             -        generic

   An LSTM layer's tensors follow in this order: weight_hr, peephole, norm_weight [4H], norm_cell_weight [H],
   norm_cell_bias [H], h0, c0; with a projection weight_hh is [4H][P].

   LEVEL 1: RUN --------------------------------------------------------------------------------------------------------
   A model is constant while it runs. States are small; make as many as you like, or one with many lanes:
   ```
   lstm_state_desc many = {0};
   lstm_state *crowd = NULL;
   int who[2] = {17, 3};              // only these two of the crowd move in this tick
   many.lanes = 1000;
   if (lstm_state_create(model, &many, &crowd) != LSTM_OK) return 1;
   lstm_step_lanes(model, crowd, who, 2, x, y); // x [2][I] -> y [2][O]
   lstm_state_begin(model, crowd, 17);          // forget: back to zero, or to the learned state
   lstm_state_destroy(crowd);
   ```

   lstm_step takes all lanes, lstm_step_ids tokens, lstm_forward a sequence of steps, which is all that a model with a
   bidirectional layer takes. Softmax and sigmoid models return probabilities. lstm_state_trace records the gates, c and
   h of chosen layers and lanes.

   Text is written by drawing each token from the probabilities of the last: lstm_step_ids(model, state, &id, p), then
   id = lstm_sample(p, 96, 0.8f, &rng). A temperature of 0.8 is a little more careful than 1.

   LEVEL 2: TRAIN ------------------------------------------------------------------------------------------------------
   Describe the layers, describe the training, feed batches:
   ```
   lstm_layer layers[] = {lstm_embedding(64), lstm_lstm(128), lstm_dense(96)};
   lstm_model_desc desc = {0};
   lstm_trainer_desc how = {0};
   lstm_batch batch = {0};
   lstm_error error;
   static int32_t ids[64][32], next_ids[64][32]; // [T][B]
   float loss;
   desc.input_size = 96; // tokens
   desc.layers = layers;
   desc.layer_count = 3;
   how.loss = LSTM_CROSS_ENTROPY;
   how.batch_size = 32;
   how.seq_len = 64;
   how.carry_state = 1; // window after window of 32 long texts
   how.learning_rate = 2e-3f;
   desc.error = how.error = &error;
   if (lstm_model_create(&desc, &model) != LSTM_OK || lstm_trainer_create(model, &how, &trainer) != LSTM_OK) {
     puts(error.message);
     return 1;
   }
   batch.ids = ids[0];
   batch.target_ids = next_ids[0];
   for (int update = 0; update < 2; update++) {
     // here: fill ids and next_ids
     if (lstm_train(trainer, &batch, &loss) != LSTM_OK) break;
   }
   lstm_save_file(model, NULL, "text.safetensors");
   ```

   To classify or forecast whole sequences, let the last recurrent layer read only its last step, here with
   layers[1].read = LSTM_READ_LAST, and give one target a lane: target_ids [B], or targets [B][O].

   lstm_train does all there is: forward, loss, backward, clipping by the global norm (5, unless told otherwise),
   update; after it the model is ready to be stepped. Not every lane need be full: `lengths` says how many steps each
   has, a negative target id says that there is no target, `reset` begins a lane anew. lstm_trainer_desc has schedules,
   smoothing, class weights and more. lstm_evaluate gives the loss of a batch without training, from a state of its own.

   What may not stop for a step (a game) trains a clone, a slice in each frame: lstm_train_some does tiles of the step
   until a deadline of your clock, goes on in the next call, until *done is 1, and gives the bits of lstm_train. Then
   lstm_step takes the clone: states go on under the new weights. examples/gesture/gesture.c does so.

   LEVEL 3: THE PARTS OF A TRAINING STEP -------------------------------------------------------------------------------
   lstm_train is lstm_trainer_forward, _loss, _zero_gradients, _backward, _clip and _update, in this order. In between,
   the gradients are yours to read and to change; gradients also come in at the outputs and the final states, and go out
   at the inputs and the initial states. So losses of your own, reinforcement learning and encoders that feed decoders
   need no change to the library. examples/loss.c trains with a loss of its own, and lets lstm_gradcheck compare each
   tensor's gradient with differences of forward passes in double.

   Encoder and decoder are two models whose states have the same values: examples/pair.c hands over state and gradient.

   GAMES AND PLUGINS ---------------------------------------------------------------------------------------------------
   A crowd is one model and one state, a lane for each; of 1,024 lanes with 32 units and 8 inputs one takes 155 ns
   together, 211 alone (the products need 86 at this CPU's peak, AVX-512). All lanes are one block without pointers:
   copying its lstm_state_saved_size(state) bytes saves, forks and rolls back everything, and the same steps give the
   same bits again (examples/npcs.c). A saved game is these bytes: lstm_state_restore looks at them first.

   A lane that is put to zero jumps, and one hears it (a pop): let a state `rest` settle once, without input, and begin
   there: lstm_state_copy_lane(state, lane, rest, 0). Retrained weights take over between two steps: give lstm_step the
   new model, or lstm_model_copy_weights into the old one while nobody steps it; a state fits all of its architecture.

   What says "allocates: never" takes no lock either, calls no kernel and waits for nobody, and its work is bounded by
   the layers, lanes and steps (tests/unit/silent.c: every option). An audio thread steps a state of its own; a new
   model comes to it through an atomic pointer, and is destroyed elsewhere. Silence costs what sound does: a cell keeps
   what fades away from subnormal numbers, those below 1.2e-38, which slow many CPUs down (make bench-denormals).

   CONFIGURATION -------------------------------------------------------------------------------------------------------
   Defined before the line that includes lstm.h with LSTM_IMPLEMENTATION; LSTM_STATIC and LSTM_API before every one. No
   macro changes a type or what a function means.
     LSTM_IMPLEMENTATION        compile the implementation here: in one file of the program
     LSTM_STATIC                all functions are static: each file that includes lstm.h has its own
     LSTM_API                   what stands before each declaration, for example __declspec(dllexport)
     LSTM_HEADER                the name by which this file includes itself; "lstm.h"
     LSTM_MALLOC, LSTM_FREE     instead of malloc and free; both or neither
     LSTM_ASSERT(condition)     to check what must be true inside; nothing, unless defined
     LSTM_NO_STDIO              without lstm_load_file and lstm_save_file, and without stdio.h
     LSTM_NO_FILES              without loading and saving
     LSTM_NO_TRAINING           without trainers
     LSTM_NO_SIMD               scalar code only
     LSTM_NO_SSE2, LSTM_NO_AVX2, LSTM_NO_AVX512, LSTM_NO_NEON, LSTM_NO_WASM    without that instruction set
     LSTM_SMALL                 less code, a half to two thirds, at a half of the speed or less: one row at a time, no
                                sentences in an lstm_error; with LSTM_NO_FILES, no names of tensors. The same bits
     LSTM_NO_PORTABLE           without LSTM_PORTABLE, which is a third of the compiled code; see NUMERICS
     LSTM_ONLY_ISA              SCALAR, SSE2, AVX2, AVX512, NEON or WASM: only that one, and the CPU is not asked for it
     LSTM_MAX_...               limits, see LIMITS

   STATIC MODELS -------------------------------------------------------------------------------------------------------
   `lstm export --c gesture.safetensors -o gesture.h` writes a model as constants of a program, for what has no files
   and no heap: the weights stay in flash, the tables of the model (below 1 KB for an LSTM and a dense layer) and its
   state take memory of the program's. The header says what it holds and has the code that uses it; lstm_model_to_static
   gives the same to programs. Such a model runs like any other, and shares states with the one that it was made of.
   For little code compile with -Os -ffunction-sections -Wl,--gc-sections and LSTM_SMALL, LSTM_NO_FILES,
   LSTM_NO_TRAINING, LSTM_NO_PORTABLE (unless the model is portable) and LSTM_ONLY_ISA: 12 KB on a Cortex-M4, 16 on
   x86-64. Without a heap, let LSTM_MALLOC(size) be NULL and LSTM_FREE(pointer) nothing: of the C library memcpy and
   memset are left.

   MEMORY --------------------------------------------------------------------------------------------------------------
   Every object is one allocation, or none: lstm_model_size, lstm_state_size and lstm_trainer_size say how many bytes
   the ..._create_in functions need, aligned to LSTM_ALIGNMENT. After that nothing allocates but loading, in proportion
   to the file, and lstm_gradcheck: 8 bytes for each parameter and for each unit, step and lane; both free it again.

   In floats of 4 bytes: n' is n rounded up to a multiple of 16, G a cell's gates: 4H with H rounded up to a multiple of
   8, of a GRU and a cell with options 4H'; Q the width of a cell's h (its projection, else H), D that of what its layer
   gives, W the widest row. A bidirectional layer has two cells.
     model      P (the parameters); packed for the kernels: G(1 + I + Q) for each cell, O'(1 + I) for each dense
                layer, 3H' for peepholes, 10H' for layer_norm, Q'H for a projection; for an LSTM layer after an
                embedding of V tokens another GV, if that is at most LSTM_MAX_TOKEN_TABLE bytes
     state      Q' + H' for each cell and lane (GRU: Q'); scratch for min(N, 48) rows, for each task: 3W, G of the
                widest cell, another H' with a projection, and 3TW in a bidirectional model, T = state_desc.seq_len
     trainer    3P gradients and moments (2P with SGD), another P with keep_best; for each cell a tape of GTB + (Q' +
                H')(T + 1)B (GRU: without this H') and transposed weights of G(I' + Q'), 3H'TB for peepholes, 10H'TB
                for layer_norm, H'TB + H'Q' for a projection, Q'(T + 1)B for recurrent_dropout, 3H'B for zoneout or
                noise, Q'TB for each of two directions; for each dense layer O'TB and O'I'; for each dropout its width'
                times TB; for reading or merging D'(T + 1)B, or 2D'B where the model reads once; 2(T + 1)BW for
                gradients on their way, and 2WB where a cell is not the plain one; 2TB losses; ITB inputs (tokens: 2TB)
                and SB carried states; for an LSTM layer after an embedding (G + E') min(V, TB), E its columns

   and per object a few kilobytes for its tables. What lstm_state_saved_size counts comes first in a state, holds no
   pointer, and is these floats for each lane and 64 bytes; its layout belongs to this version and this kind of machine.

   ERRORS --------------------------------------------------------------------------------------------------------------
   Functions that can fail return an lstm_status; LSTM_OK is 0. Constructors and loaders set *out to NULL when they
   fail. Point the `error` of a description or batch at an lstm_error for a sentence that names the layer, tensor, lane
   or file. Nothing prints, exits or keeps a global error. NULL and out-of-range arguments are errors where a status is
   returned; getters and destroyers trust their argument (destroying NULL is allowed).

   THREADS -------------------------------------------------------------------------------------------------------------
   The library starts none and has no mutable global. A model that nobody changes may be shared by any number of
   threads, each with states of its own. A state or a trainer belongs to one thread at a time. Creating a trainer and
   training, lstm_model_refresh and lstm_model_copy_weights change a model: nobody else may use it meanwhile.

   Training and batches run on several threads through an executor, a function of yours: how.executor.run = run_all;
   how.executor.width = 2. It calls task(context, i) for all i < count, on any threads, and waits for all, as
   examples/jobs.c does with pthreads. The tasks of one call never wait for each other, and the bits are the same for
   any `width`.

   NUMERICS ------------------------------------------------------------------------------------------------------------
   A model calculates in one of two ways (`numerics` in its description), which its file records and lstm_model_desc_of
   tells. LSTM_FUSED, the default, is the faster one where the CPU can fuse a multiply-add; LSTM_PORTABLE fuses nothing,
   so that every machine can do the same. One model and one input give the same bits: as single steps or as a sequence;
   alone, in a batch, or among other lanes; on one thread or many; with gcc and clang at any level of optimisation; and
     fused       on scalar, AVX2, AVX-512 and NEON code. SSE2 and WASM cannot fuse: they give the bits of LSTM_PORTABLE
     portable    on scalar, SSE2, AVX2, AVX-512, NEON and WASM code

   So does training: the same seed and the same batches give the same weights. The two ways differ in the last places of
   outputs, of initial weights (those that kernels make orthogonal), and of trained weights. What makes bits equal: each
   output is one chain of multiply-adds, which starts at the bias and takes the inputs in order; sums that cross lanes
   go in a fixed order; exp, log, tanh and sigmoid are the library's own; random numbers come from counters; whether a
   product and a sum are fused is written down, so that no compiler can choose; scalar code can fuse in software.

   In units in the last place of the exact value, in both ways: exp is within 1, sigmoid and tanh are within 2.5; a
   cell's gates, which share divisions, within 4.5, and its h = o tanh(c) within 3.5 of what its o and c give. exp and
   sigmoid are constant beyond -87 and 87, a cell's sigmoid beyond -43 and 43; tanh is 1 beyond 9.1. They take infinite
   numbers; NaN gives NaN. tests/kernels/ulp.c compares with libm in double, with --full for all floats that matter. A
   c (a GRU's h) below 1e-30 in size is kept as 0; h is made before that.

   The promise holds for finite numbers, in the default rounding mode, with the same treatment of subnormal numbers
   (FTZ, DAZ) on both sides; the library never changes these modes. -ffast-math and its like (/fp:fast) void it, and the
   detection of NaN; a compiler that is given it warns (#warning). What computes float expressions with more digits is
   outside it: the x87 unit of 32-bit PCs (gcc and clang for i386 need -msse2 -mfpmath=sse), and gcc for s390x with
   -std=c99 instead of -std=gnu99. There, where the compiler says so (FLT_EVAL_METHOD), and with LSTM_NO_PORTABLE,
   LSTM_PORTABLE is refused with LSTM_ERR_UNSUPPORTED; a file loads there with lstm_load_desc.numerics LSTM_FUSED.

   The random numbers (lstm_rng, initial weights, dropout) are Philox 4x32-10, keyed by the seed: number n of a seed is
   the same everywhere. Initial weights of a tensor depend on the seed and its place among the tensors.

   DISPATCH ------------------------------------------------------------------------------------------------------------
   A model picks its kernels when it is created or loaded: `isa` in the description, or the best that this CPU has
   (AVX-512, AVX2 with FMA, NEON, WASM, SSE2, scalar, in this order); lstm_model_isa says which. There is no global
   switch. AVX code needs no compiler flag: each function says for which CPU it is. WASM code needs -msimd128.

   FILE FORMAT ---------------------------------------------------------------------------------------------------------
   A model file is a safetensors file: 8 bytes of header length, little-endian; a JSON header, padded so that the data
   begin at a multiple of 64; the tensors, float32, little-endian. The header's __metadata__ holds strings:
     lstm.version   "1", of the layer lines
     lstm.input     "96"
     lstm.output    "auto", "linear", "softmax" or "sigmoid"
     lstm.numerics  "portable"; not there: fused
     lstm.layer.0   "embedding size=64"
     lstm.layer.1   "lstm hidden=128 peephole projection=32 zoneout=0.1 bidirectional merge=sum read=last name=encoder"
     lstm.layer.2   "dropout rate=0.5"
     lstm.layer.3   "dense size=96 activation=tanh"

   and whatever the caller added (lstm_save_desc.meta; lstm_model_meta reads it again). The order of the options is that
   of the table lstm__options; what is at its default is left out. Our files are canonical: order, shapes and offsets
   follow from the layer lines. Each layer has PyTorch's two biases: an LSTM's `bias_hh` is all zeros, of a
   GRU's the last third is bias_hn, which is not stored elsewhere; loading adds the rest to `bias_ih`. A tied head has
   no `weight`. In PyTorch:
     model.load_state_dict(safetensors.torch.load_file("model.safetensors"))    # modules named embed, rnn, head

   A file without layer lines is foreign: a PyTorch state dict. Its layers are inferred from names and shapes (an
   embedding, one nn.LSTM or nn.GRU, with its projection and directions, a linear layer), or described by
   lstm_load_desc.layers; `prefixes` renames. F32, F16 and BF16 are read. `assumed` receives what was taken for granted.
   What is missing or left over is refused by name.

   A checkpoint (lstm_trainer_save) is a model file, the best weights if lstm_trainer_keep_best was used, with the run
   beside them: trainer.* metadata for the description and the counters, and the tensors `trainer.weights`, `.moment1`,
   `.moment2`, `.carry` and, with learned states, `.anew` (which lanes have not begun). lstm_trainer_resume goes on with
   the bits that the run would have had.

   UNTRUSTED INPUT -----------------------------------------------------------------------------------------------------
   The loader promises, for any bytes (tests/io has a test for each number):
     1. It reads only the buffer and writes only its own allocations, without undefined behaviour and recursion.
     2. It allocates nothing by a size that the file states before that size has been compared with the file.
     3. Its memory is proportional to the file, and to the model that the file holds.
     4. Every limit is tested before it is multiplied; arithmetic on sizes is checked; the caller can lower the limits.
     5. Tensors have no holes, no overlap and no duplicates, and the file has exactly the size that they need.
     6. An unknown version, layer, option or type is refused by name.
     7. NaN and infinite weights are refused, unless allow_not_finite is set.
     8. It takes linear time and depends on no locale, environment or global state.
     9. On failure *out is NULL and nothing leaks.
    10. A file of ours that was loaded is saved with the same bytes.
    11. Files of every released version load.
    12. A model that loads can be run.

   Damage inside the weights cannot be seen: a checksum, where it matters, is the caller's. Token ids, lengths and
   target ids that are given to the library are checked against the model; NaN in inputs spreads to that lane's outputs
   only, and lstm_train refuses to update from a loss or gradient that is not finite.

   LIMITS --------------------------------------------------------------------------------------------------------------
   Sizes are int; more than these, or what you define, is refused with LSTM_ERR_LIMIT before anything is allocated:
   LSTM_MAX_SIZE (2^20 features, tokens, units or outputs of a layer), LSTM_MAX_LAYERS (64), LSTM_MAX_LANES and
   LSTM_MAX_SEQ_LEN (2^20), LSTM_MAX_PARAMETERS (2^30), and of a file LSTM_MAX_TENSORS (2048), LSTM_MAX_META (1024)
   and LSTM_MAX_FILE_BYTES (2^36). Above LSTM_MAX_TOKEN_TABLE (2^24 bytes) the product of an embedding and weight_ih is
   not stored.

   VERSIONS ------------------------------------------------------------------------------------------------------------
   Semantic versions: LSTM_VERSION for #if, LSTM_VERSION_STRING to print. Fields and functions are added at the end; {0}
   keeps its meaning. LSTM_FILE_VERSION counts formats of the layer lines; a newer one than this library knows is
   refused as LSTM_ERR_VERSION. A change of a result's bits is a change of the minor version, and CHANGELOG.md says so.

   INDEX (search for the tag) ------------------------------------------------------------------------------------------
     [SECTION] Public API             [SECTION] Platform               [SECTION] Errors
     [SECTION] Checked arithmetic     [SECTION] Memory                 [SECTION] Random numbers
     [SECTION] CPU detection          [SECTION] Kernel table           [SECTION] Model layout
     [SECTION] Model                  [SECTION] State                  [SECTION] Forward
     [SECTION] Losses                 [SECTION] Batches                [SECTION] Trainer
     [SECTION] Backward               [SECTION] Optimisers             [SECTION] Gradient check
     [SECTION] File format            [SECTION] Vector vocabulary      [SECTION] Kernels
*/

/* [SECTION] Public API ============================================================================================= */
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
#if defined(LSTM_STATIC) && defined(__GNUC__)
#define LSTM_API static __attribute__((unused))
#elif defined(LSTM_STATIC)
#define LSTM_API static
#elif defined(__cplusplus)
#define LSTM_API extern "C"
#else
#define LSTM_API extern
#endif
#endif

/* --- status ------------------------------------------------------------------------------------------------------ */
/* Every way in which a call can end. X(name, sentence). */
#define LSTM_STATUS_LIST(X)                                                                                            \
  X(OK, "no error")                                                                                                    \
  X(ERR_ARGUMENT, "an argument is missing or out of its range")                                                        \
  X(ERR_SHAPE, "a shape does not fit the model")                                                                       \
  X(ERR_MEMORY, "out of memory")                                                                                       \
  X(ERR_IO, "a file could not be read or written")                                                                     \
  X(ERR_FORMAT, "the file is damaged or is not a model file")                                                          \
  X(ERR_VERSION, "the file was written by a newer version")                                                            \
  X(ERR_LIMIT, "a size is over its limit")                                                                             \
  X(ERR_UNSUPPORTED, "not supported by this build, this CPU or this kind of model")                                    \
  X(ERR_NOT_FINITE, "a number is NaN or infinite")                                                                     \
  X(ERR_MISMATCH, "the state or checkpoint belongs to another model or run")

typedef enum lstm_status {
#define LSTM__X(name, text) LSTM_##name,
  LSTM_STATUS_LIST(LSTM__X)
#undef LSTM__X
      LSTM_STATUS_COUNT
} lstm_status;

/* What went wrong, as a sentence for a person. Point a description's or batch's `error` at one; written on failure. */
typedef struct lstm_error {
  char message[320]; /* always ends in 0 */
  lstm_status status;
} lstm_error;

LSTM_API const char *lstm_status_name(lstm_status status); /* "LSTM_ERR_SHAPE"; allocates: never */
LSTM_API const char *lstm_status_text(lstm_status status); /* "a shape does not fit the model"; allocates: never */

/* --- memory and tasks -------------------------------------------------------------------------------------------- */
/* Where objects come from; all zero: LSTM_MALLOC and LSTM_FREE. `alloc` returns 8-byte aligned memory, or NULL. */
typedef struct lstm_allocator {
  void *(*alloc)(void *user, size_t size);
  void (*free)(void *user, void *pointer);
  void *user;
} lstm_allocator;

/* How to run tasks at the same time, see THREADS: `run` calls task(context, 0) ... task(context, count - 1), each once,
   on any threads, and returns when all have. `width`: how many can run at once. {0}: in the calling thread. */
typedef struct lstm_executor {
  int width;
  void (*run)(void *user, int count, void (*task)(void *context, int index), void *context);
  void *user;
} lstm_executor;

#define LSTM_ALIGNMENT 64 /* bytes: of memory that a caller provides for an object */
#if defined(_MSC_VER) && !defined(__clang__) /* LSTM_ALIGNED static unsigned char memory[1000]; */
#define LSTM_ALIGNED __declspec(align(64))
#elif defined(__GNUC__)
#define LSTM_ALIGNED __attribute__((aligned(64)))
#else
#define LSTM_ALIGNED
#endif

/* --- instruction sets -------------------------------------------------------------------------------------------- */
typedef enum lstm_isa {
  LSTM_ISA_AUTO, /* the best usable one */
  LSTM_ISA_SCALAR, LSTM_ISA_SSE2,
  LSTM_ISA_AVX2,   /* with FMA */
  LSTM_ISA_AVX512, /* F, VL, DQ, BW */
  LSTM_ISA_NEON,   /* 64-bit ARM */
  LSTM_ISA_WASM,   /* simd128 */
  LSTM_ISA_COUNT
} lstm_isa;

LSTM_API int lstm_isa_usable(lstm_isa isa);             /* 1: compiled in, and this CPU has it; allocates: never */
LSTM_API lstm_isa lstm_isa_best(void);                  /* what LSTM_ISA_AUTO means here; allocates: never */
LSTM_API const char *lstm_isa_name(lstm_isa isa);       /* "avx2"; "?" if unknown; allocates: never */
LSTM_API lstm_isa lstm_isa_from_name(const char *name); /* the reverse; LSTM_ISA_COUNT if unknown; allocates: never */

/* What is the same everywhere, see NUMERICS. */
typedef enum lstm_numerics {
  LSTM_NUMERICS_DEFAULT, /* fused; of a file: what it says */
  LSTM_FUSED,            /* fused multiply-adds: the same bits on all sets but SSE2 and WASM */
  LSTM_PORTABLE,         /* nothing is fused: the same bits on all sets */
  LSTM_NUMERICS_COUNT
} lstm_numerics;

/* --- random numbers ---------------------------------------------------------------------------------------------- */
/* Random numbers from counters (Philox 4x32-10: Salmon et al., 2011): number n of a seed is the same everywhere. */
typedef struct lstm_rng {
  uint64_t seed;
  uint64_t counter; /* the next number's index */
} lstm_rng;

LSTM_API uint32_t lstm_random_bits(lstm_rng *rng);        /* 32 random bits; allocates: never */
LSTM_API float lstm_random(lstm_rng *rng);                /* uniform in [0, 1), 24 bits; allocates: never */
LSTM_API int lstm_random_index(lstm_rng *rng, int count); /* uniform in 0..count-1; 0 if count < 1; allocates: never */

/* Draws an index with probability p[i]^(1/temperature), normalised. p [count]: not negative, as lstm_step returns them
   for a softmax model. temperature 0 takes the largest. Returns -1 if no p is positive and finite. Allocates: never. */
LSTM_API int lstm_sample(const float *p, int count, float temperature, lstm_rng *rng);

/* --- describing a model ------------------------------------------------------------------------------------------ */
typedef enum lstm_layer_type {
  LSTM_LAYER_NONE,
  LSTM_LAYER_EMBEDDING, /* token ids -> rows of a table; first layer only */
  LSTM_LAYER_LSTM, LSTM_LAYER_DENSE,
  LSTM_LAYER_DROPOUT, /* in training only; kept values are divided by 1 - rate */
  LSTM_LAYER_GRU,     /* Cho et al., 2014, with PyTorch's and cuDNN's reset gate; see CELLS */
  LSTM_LAYER_TYPE_COUNT
} lstm_layer_type;

typedef enum lstm_activation {
  LSTM_ACTIVATION_DEFAULT, /* dense: linear; an LSTM's cell: tanh; its gates: sigmoid */
  LSTM_LINEAR, LSTM_TANH, LSTM_SIGMOID, LSTM_RELU,
  LSTM_HARD_SIGMOID, /* max(0, min(1, x / 6 + 1 / 2)), as in PyTorch and Keras 3 */
  LSTM_SOFTSIGN,     /* x / (1 + |x|) */
  LSTM_ACTIVATION_COUNT
} lstm_activation;

/* What the last recurrent layer passes on of a sequence. (lstm_step always gives the output of its own step.) */
typedef enum lstm_read {
  LSTM_READ_ALL,  /* every step: y [T][B][O] */
  LSTM_READ_LAST, /* the last valid step of each lane: y [B][O]; bidirectional: each direction's last, PyTorch's h_n */
  LSTM_READ_MEAN, /* the mean over the valid steps of each lane: y [B][O] */
  LSTM_READ_MAX,  /* the largest value of each unit over the valid steps of each lane: y [B][O] */
  LSTM_READ_COUNT
} lstm_read;

/* Where an LSTM's forget gate comes from. */
typedef enum lstm_forget {
  LSTM_FORGET_LEARNED,
  LSTM_FORGET_ZERO,  /* f = 0: no memory but h */
  LSTM_FORGET_ONE,   /* f = 1: the cell of Hochreiter and Schmidhuber, 1997 */
  LSTM_FORGET_NOISE, /* learned; in training f + noise (u - f), u uniform in [0, 1) */
  LSTM_FORGET_COUNT
} lstm_forget;

/* How the two directions of a bidirectional layer become its output. */
typedef enum lstm_merge {
  LSTM_MERGE_CONCAT, /* [forward, backward]: twice as wide */
  LSTM_MERGE_SUM, LSTM_MERGE_COUNT
} lstm_merge;

/* What lstm_step and lstm_forward make of the last values. Left open, the first trainer's loss decides. */
typedef enum lstm_output {
  LSTM_OUTPUT_AUTO, LSTM_OUTPUT_LINEAR,
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

/* One layer: make it with a helper below, then set what differs. See CELLS. What does not fit its type is refused. */
typedef struct lstm_layer {
  int size; /* embedding: columns; lstm, gru: hidden_size; dense: outputs; dropout: 0 */
  lstm_layer_type type;
  lstm_activation activation; /* dense; lstm: of the cell's input and output; default: see lstm_activation */
  lstm_read read;             /* last recurrent layer only; default all */
  float rate;                 /* dropout layer only: 0 <= rate < 1 */
  const char *name;           /* tensor prefix, instead of "rnn", "embed", "head", "dense0"; NULL: the default */
  /* lstm */
  lstm_activation gate_activation; /* of i, f and o */
  int peephole;                    /* 1: the gates see the cell, diagonally */
  int coupled;                     /* 1: f = 1 - i; the rows of f in the weights are not used */
  int projection;                  /* the width of h; 0: h is as wide as the cell. At most the hidden size */
  int layer_norm;                  /* 1: of the gates' weighted sums and of the cell */
  float cell_clip;                 /* c stays within -cell_clip..cell_clip; 0: free */
  lstm_forget forget;
  float noise; /* with LSTM_FORGET_NOISE: 0 < noise <= 1 */
  /* lstm and gru */
  float dropout;           /* of the inputs, in training: as a dropout layer before this one */
  float recurrent_dropout; /* of h on its way to the next step, in training: one mask for a window of a lane */
  float zoneout;           /* in training units keep their h and c with this probability; else, these are mixed */
  int learned_state;       /* 1: lanes begin at a state that is learned, not at zero */
  int bidirectional;       /* 1: a second set of weights reads each lane backwards. Such a model cannot be stepped */
  lstm_merge merge;        /* bidirectional */
  /* embedding */
  int tied; /* 1: the last dense layer's weights are this table. Its size is input_size, its input as wide as this */
  /* dense */
  int residual; /* 1: adds the model's first O inputs to the outputs. Last layer, linear, reads all; not of tokens */
} lstm_layer;

LSTM_API lstm_layer lstm_embedding(int columns); /* all five: allocates: never */
LSTM_API lstm_layer lstm_lstm(int hidden_size);
LSTM_API lstm_layer lstm_gru(int hidden_size);
LSTM_API lstm_layer lstm_dense(int outputs);
LSTM_API lstm_layer lstm_dropout(float rate);

/* A model's description. {0} (C) or {} (C++) and three fields are enough. */
typedef struct lstm_model_desc {
  int input_size; /* I: features per step, or the number of tokens if the first layer is an embedding */
  int layer_count;
  const lstm_layer *layers; /* [layer_count], copied */
  lstm_output output;
  lstm_init init;
  lstm_isa isa;
  uint64_t seed; /* of the initial weights */
  lstm_allocator allocator;
  lstm_error *error; /* where to write the sentence on failure; may be NULL */
  lstm_numerics numerics;
} lstm_model_desc;

/* --- models ------------------------------------------------------------------------------------------------------ */
/* Weights and how to run them. While it is const it may be shared by any number of threads. */
typedef struct lstm_model lstm_model;

/* One parameter tensor, row-major, float32. */
typedef struct lstm_tensor {
  int rows, columns; /* columns 0: a vector of `rows` */
  size_t count;      /* of floats */
  float *data;       /* inside the object; stays valid as long as it */
  const char *name;  /* PyTorch's: "rnn.weight_ih_l0" [4H][I], gates i, f, g, o */
} lstm_tensor;

/* Random weights. On failure *out is NULL. Errors: ARGUMENT, LIMIT, MEMORY, UNSUPPORTED (isa, numerics). */
LSTM_API lstm_status lstm_model_create(const lstm_model_desc *desc, lstm_model **out);
/* The same in the caller's memory: lstm_model_size bytes (or MEMORY) aligned to LSTM_ALIGNMENT. Allocates: never. */
LSTM_API lstm_status lstm_model_size(const lstm_model_desc *desc, size_t *size);
LSTM_API lstm_status lstm_model_create_in(const lstm_model_desc *desc, void *memory, size_t size, lstm_model **out);
/* Frees it (memory of the caller's is left to the caller). NULL is allowed. States and trainers of it must be gone. */
LSTM_API void lstm_model_destroy(lstm_model *model);

/* All of these: allocates: never. */
LSTM_API const lstm_model_desc *lstm_model_desc_of(const lstm_model *model); /* every default resolved */
LSTM_API int lstm_model_input_size(const lstm_model *model);
LSTM_API int lstm_model_output_size(const lstm_model *model); /* O */
LSTM_API int lstm_model_takes_ids(const lstm_model *model);   /* 1: the first layer is an embedding */
LSTM_API int lstm_model_reads_last(const lstm_model *model);  /* 1: a sequence gives one output: last, mean or max */
LSTM_API int lstm_model_bidirectional(const lstm_model *model); /* 1: it takes sequences, but cannot be stepped */
/* S: floats of a lane: for each recurrent layer and direction h [H, or its projection], then c [H] (not of a GRU). */
LSTM_API int lstm_model_state_size(const lstm_model *model);
LSTM_API lstm_isa lstm_model_isa(const lstm_model *model); /* the kernels that it runs on */
LSTM_API lstm_output lstm_model_output(const lstm_model *model);
LSTM_API size_t lstm_model_parameter_count(const lstm_model *model);
LSTM_API int lstm_model_tensor_count(const lstm_model *model);
/* Tensor i (0-based), in file order. After writing through `data`, call lstm_model_refresh. Errors: ARGUMENT. */
LSTM_API lstm_status lstm_model_tensor(const lstm_model *model, int i, lstm_tensor *out);
/* Rebuilds what the kernels read from the tensors. */
LSTM_API void lstm_model_refresh(lstm_model *model);
/* Copies all weights between models of one architecture. Errors: ARGUMENT, MISMATCH. */
LSTM_API lstm_status lstm_model_copy_weights(lstm_model *to, const lstm_model *from);
/* Writes a table of layers, shapes and parameter counts, at most `capacity` bytes; returns the length, as snprintf. */
LSTM_API size_t lstm_model_summary(const lstm_model *model, char *text, size_t capacity);
/* Metadata that came with a loaded file (keys that do not begin with "lstm."). Number, and pair i or NULL. UTF-8. */
LSTM_API int lstm_model_meta_count(const lstm_model *model);
LSTM_API const char *lstm_model_meta_key(const lstm_model *model, int i);
LSTM_API const char *lstm_model_meta_value(const lstm_model *model, int i);
LSTM_API const char *lstm_model_meta(const lstm_model *model, const char *key); /* value, or NULL */

/* A model as constants of the program, which `lstm export --c` writes; see STATIC MODELS. */
typedef struct lstm_static_model {
  int version; /* LSTM_STATIC_VERSION: of this struct, and of how weights are packed */
  int input_size, layer_count;
  lstm_output output;
  lstm_numerics numerics;
  lstm_isa isa;
  uint64_t fingerprint;     /* of the architecture */
  const lstm_layer *layers; /* [layer_count], every default resolved */
  size_t packed_count, table_count, param_count;
  const float *packed; /* for the kernels: the same for all instruction sets */
  const float *table;  /* what a cell begins with for each token, or NULL: from the embedding */
  const float *params; /* those that running reads: embeddings without table, learned states; or, with `whole`, all */
  int whole;
} lstm_static_model;

#define LSTM_STATIC_VERSION 1
/* A model that runs on constants: they stay where they are, and must stay as long. `memory`, aligned to LSTM_ALIGNMENT,
   holds tables of lstm_model_static_size bytes. What changes or asks for parameters is UNSUPPORTED, trainers and files
   too. Allocates: never. Errors: ARGUMENT, VERSION, MISMATCH (damaged), MEMORY, UNSUPPORTED (isa, numerics). */
LSTM_API lstm_status lstm_model_from_static(const lstm_static_model *from, void *memory, size_t size, lstm_model **out);
LSTM_API lstm_status lstm_model_static_size(const lstm_static_model *from, size_t *size);
/* A view of a model, valid until its weights change. Errors: ARGUMENT, UNSUPPORTED (it is static). Allocates: never. */
LSTM_API lstm_status lstm_model_to_static(const lstm_model *model, lstm_static_model *out);

/* --- running: states and steps ----------------------------------------------------------------------------------- */
/* h and c of N lanes (independent sequences), and scratch. One thread at a time. Copying lstm_state_saved_size() bytes
   from the lstm_state pointer saves all lanes; to that of a state of as many lanes, forks or brings them back. What
   comes from elsewhere (a saved game, the network) goes through lstm_state_restore, which looks at its head. */
typedef struct lstm_state lstm_state;

typedef struct lstm_state_desc {
  int lanes; /* N; 0: 1 */
  int tasks; /* scratch for how many tasks at once, see lstm_forward_batch; 0: 1 */
  lstm_allocator allocator;
  lstm_error *error;
  int seq_len; /* bidirectional models: the longest sequence; 0: 1. Scratch grows with it, see MEMORY */
} lstm_state_desc;

/* Begins as lstm_state_begin says. desc NULL: defaults. On failure *out is NULL. Errors: ARGUMENT, LIMIT, MEMORY. */
LSTM_API lstm_status lstm_state_create(const lstm_model *model, const lstm_state_desc *desc, lstm_state **out);
LSTM_API lstm_status lstm_state_size(const lstm_model *model, const lstm_state_desc *desc, size_t *size);
LSTM_API lstm_status lstm_state_create_in(const lstm_model *model, const lstm_state_desc *desc, void *memory,
                                          size_t size, lstm_state **out); /* allocates: never */
LSTM_API void lstm_state_destroy(lstm_state *state);                      /* NULL is allowed */

/* All of these: allocates: never. */
LSTM_API int lstm_state_lanes(const lstm_state *state);
LSTM_API size_t lstm_state_saved_size(const lstm_state *state); /* bytes to copy from the beginning of *state */
LSTM_API lstm_status lstm_state_check(const lstm_model *model, const lstm_state *state); /* OK or MISMATCH */
/* Brings back saved bytes, at any address. Errors: ARGUMENT, and MISMATCH where they are cut, or of another version,
   architecture (inputs, layers, tensors; whether it reads every step), number of lanes or byte order: then the state
   is as before. Values are not looked at: any bits pass. */
LSTM_API lstm_status lstm_state_restore(const lstm_model *model, lstm_state *state, const void *saved, size_t size);
LSTM_API void lstm_state_reset(lstm_state *state);                                       /* all lanes to zero */
LSTM_API lstm_status lstm_state_reset_lane(lstm_state *state, int lane);                 /* ARGUMENT */
/* Puts a lane (or all, lane -1) at the model's initial state: learned, else zero. Errors: ARGUMENT, MISMATCH. */
LSTM_API lstm_status lstm_state_begin(const lstm_model *model, lstm_state *state, int lane);
/* Copies a lane between states of one architecture (may be the same state). Errors: ARGUMENT, MISMATCH. */
LSTM_API lstm_status lstm_state_copy_lane(lstm_state *to, int to_lane, const lstm_state *from, int from_lane);
/* Reads or writes one lane as values [S], see lstm_model_state_size. Errors: ARGUMENT, MISMATCH. */
LSTM_API lstm_status lstm_state_get(const lstm_model *model, const lstm_state *state, int lane, float *values);
LSTM_API lstm_status lstm_state_set(const lstm_model *model, lstm_state *state, int lane, const float *values);

/* Records what the cells of one layer do in one lane: i, f, g, o, c, h of every step, at no cost while it is off. */
typedef struct lstm_trace {
  int layer;     /* a recurrent layer's place in the description */
  int lane;
  int capacity;  /* steps that `values` has room for; later ones are not recorded */
  int steps;     /* recorded so far */
  float *values; /* [capacity][directions][6][H]: i, f, g, o, c, h (gru: r, z, n, 0, 0, h); a projected h, then zeros */
} lstm_trace;

/* From now on fills traces [count], which the caller keeps alive; count 0 switches it off. What is copied or saved of a
   state does not have them. Errors: ARGUMENT, MISMATCH. Allocates: never. */
LSTM_API lstm_status lstm_state_trace(const lstm_model *model, lstm_state *state, lstm_trace *traces, int count);

/* One step of all lanes: x [N][I] -> y [N][O]; y may be NULL. x and y must not overlap. Softmax and sigmoid models
   return probabilities. Allocates: never. Errors: ARGUMENT, MISMATCH, UNSUPPORTED (a token model, or bidirectional). */
LSTM_API lstm_status lstm_step(const lstm_model *model, lstm_state *state, const float *x, float *y);
/* The same for lanes [n], none twice (not checked: outputs would be wrong): x [n][I] -> y [n][O]. Allocates: never. */
LSTM_API lstm_status lstm_step_lanes(const lstm_model *model, lstm_state *state, const int *lanes, int n,
                                     const float *x, float *y);
/* The same two for token models: ids [N] or [n], each 0 <= id < I. Allocates: never. */
LSTM_API lstm_status lstm_step_ids(const lstm_model *model, lstm_state *state, const int32_t *ids, float *y);
LSTM_API lstm_status lstm_step_ids_lanes(const lstm_model *model, lstm_state *state, const int *lanes, int n,
                                         const int32_t *ids, float *y);

/* Sequences: x [T][N][I] or ids [T][N], T = seq_len -> y [T][N][O], or [N][O] where the model reads once. Goes on from
   the state and leaves it at the end, in both directions, as PyTorch does. The bits equal those of T steps. Allocates:
   never. Errors: ARGUMENT, MISMATCH, UNSUPPORTED, LIMIT (bidirectional: more steps than state_desc.seq_len). */
LSTM_API lstm_status lstm_forward(const lstm_model *model, lstm_state *state, const float *x, int seq_len, float *y);
LSTM_API lstm_status lstm_forward_ids(const lstm_model *model, lstm_state *state, const int32_t *ids, int seq_len,
                                      float *y);

/* --- batches ----------------------------------------------------------------------------------------------------- */
typedef enum lstm_loss {
  LSTM_LOSS_NONE,            /* none: level 3 with gradients of the caller's */
  LSTM_CROSS_ENTROPY,        /* softmax cross-entropy on target_ids, in nats */
  LSTM_BINARY_CROSS_ENTROPY, /* sigmoid cross-entropy on targets in [0, 1]; mean over the O outputs */
  LSTM_MSE,                  /* mean squared error on targets; mean over the O outputs */
  LSTM_MAE,                  /* mean absolute error on targets; mean over the O outputs */
  LSTM_HUBER,                /* Huber, 1964: d^2 / 2 within huber_delta, beyond it delta (|d| - delta / 2); mean */
  /* Error-to-signal ratio (Wright, Damskagg and Valimaki, 2019): the sum of p(y - target)^2 over that of p(target)^2,
     all outputs, steps and lanes; p(s)[t] = s[t] - pre_emphasis s[t-1], where s is 0 before the window and at steps
     that do not count. The metrics' loss and weight are the two sums; of silent targets the loss is 0. Reads all */
  LSTM_ESR,
  LSTM_LOSS_COUNT
} lstm_loss;

/* A window of B sequences. T' is T, or 1 where the model reads once. NULL: not used. Padding may hold anything. */
typedef struct lstm_batch {
  int seq_len;                /* T; 0: the trainer's */
  int batch_size;             /* B; 0: the trainer's or the state's lanes */
  const float *x;             /* [T][B][I] */
  const int32_t *ids;         /* [T][B], token models */
  const float *targets;       /* [T'][B][O], all but cross-entropy */
  const int32_t *target_ids;  /* [T'][B], cross-entropy; a negative id: no target at this place */
  const float *weights;       /* [T'][B], weight of each target, not negative; NULL: 1 */
  const int *lengths;         /* [B], 0..T valid steps of each lane; NULL: T */
  const unsigned char *reset; /* [B], not 0: this lane begins anew (zero, or learned), not at its carried state */
  const float *initial;       /* [B][S], initial states instead of carried, learned or zero ones */
  lstm_error *error;
  int burn_in; /* the first steps only warm up the state: their targets do not count. Not with read last, mean, max */
} lstm_batch;

/* Forward over a batch, in tasks (state_desc.tasks bounds them; executor NULL: one after the other). The batch's lanes
   are the state's lanes 0..B-1, from their state (or reset, or initial) to the end of each lane. y [T'][B][O] (0 in
   padding) or NULL. Equal bits at any executor. Allocates: never. Errors: ARGUMENT, SHAPE, MISMATCH, LIMIT. */
LSTM_API lstm_status lstm_forward_batch(const lstm_model *model, lstm_state *state, const lstm_batch *batch, float *y,
                                        const lstm_executor *executor);

/* Sums over targets. Mean loss: loss / weight. Accuracy: correct / targets. */
typedef struct lstm_metrics {
  double loss;    /* sum of weight * loss */
  double weight;  /* sum of weights; ESR: of weight * p(target)^2 */
  double targets; /* number of valid targets */
  double correct; /* cross-entropy: largest output is the target; binary: all outputs on the target's side of 1/2 */
} lstm_metrics;

/* Evaluates without training: as lstm_forward_batch, and adds to *metrics (begin with {0}). Allocates: never. */
LSTM_API lstm_status lstm_evaluate(const lstm_model *model, lstm_state *state, const lstm_batch *batch, lstm_loss loss,
                                   lstm_metrics *metrics, const lstm_executor *executor);

/* --- training ---------------------------------------------------------------------------------------------------- */
/* How the learning rate moves with the number n of updates done so far (from 0). */
typedef enum lstm_schedule {
  LSTM_SCHEDULE_NONE,
  LSTM_SCHEDULE_STEP,        /* rate * schedule_factor^floor(n / schedule_steps) */
  LSTM_SCHEDULE_EXPONENTIAL, /* rate * schedule_factor^n */
  LSTM_SCHEDULE_COSINE,      /* half a cosine of schedule_steps, to rate * schedule_factor: Loshchilov, Hutter, 2017 */
  LSTM_SCHEDULE_COUNT
} lstm_schedule;

typedef enum lstm_optimizer {
  LSTM_OPTIMIZER_DEFAULT, /* Adam */
  LSTM_SGD,               /* with momentum: v = momentum v + g; w -= rate v */
  LSTM_RMSPROP,           /* Hinton's lecture 6e, 2012, as in PyTorch; optional momentum */
  LSTM_ADAM,              /* Kingma and Ba, 2015 */
  LSTM_ADAMW,             /* decoupled weight decay: Loshchilov and Hutter, 2019 */
  LSTM_OPTIMIZER_COUNT
} lstm_optimizer;

/* Gradients, optimiser moments, the tape of one window, carried lanes. One thread, which may fan out by `executor`. */
typedef struct lstm_trainer lstm_trainer;

/* 0 means the default in brackets. Where 0 itself is wanted, give a negative number. */
typedef struct lstm_trainer_desc {
  int batch_size; /* B, the largest [1] */
  int seq_len;    /* T, the longest window [1] */
  lstm_loss loss; /* [none] */
  lstm_optimizer optimizer;
  int carry_state; /* 1: a lane goes on from its last window; [0]: from zero, or the learned state. Not bidirectional */
  int keep_best;   /* 1: memory for lstm_trainer_keep_best [0] */
  float learning_rate; /* [1e-3; SGD and RMSProp 1e-2] */
  float momentum;      /* SGD, RMSProp [0] */
  float beta1, beta2;  /* Adam, AdamW [0.9, 0.999] */
  float alpha;         /* RMSProp's smoothing [0.99] */
  float epsilon;       /* [1e-8]; above 0 */
  float weight_decay;  /* [0; AdamW 0.01]; L2 except for AdamW */
  float clip_norm;     /* largest global gradient norm [5]; negative: off */
  float clip_value;    /* largest absolute gradient [off] */
  uint64_t seed;       /* of dropout */
  lstm_executor executor;
  lstm_allocator allocator;
  lstm_error *error;
  float huber_delta;          /* [1] */
  float label_smoothing;      /* cross-entropy: the target has 1 - this + this / O, the others this / O [0] */
  const float *class_weights; /* [O], cross-entropy: factors of the targets' weights by class, copied; NULL: 1 */
  int nesterov;               /* 1: SGD with Nesterov's momentum: w -= rate (g + momentum v) (Sutskever et al., 2013) */
  lstm_schedule schedule;     /* [none] */
  int schedule_steps;         /* updates */
  float schedule_factor;      /* step [0.1], exponential [0.999], cosine [0] */
  int warmup;                 /* first updates, at (n + 1) / warmup of the rate: the schedule's n begins after [0] */
  const float *layer_rates;   /* [layer_count], copied: each rate's factor; 0: frozen, not in the norm; NULL: 1 */
  float pre_emphasis;         /* ESR [0.95]; negative: off */
} lstm_trainer_desc;

/* Creates a trainer for a model, which must outlive it, and which nobody else steps during an update. The loss decides
   an open output of the model. On failure *out is NULL. Errors: ARGUMENT, LIMIT, MISMATCH (output), MEMORY. */
LSTM_API lstm_status lstm_trainer_create(lstm_model *model, const lstm_trainer_desc *desc, lstm_trainer **out);
LSTM_API lstm_status lstm_trainer_size(const lstm_model *model, const lstm_trainer_desc *desc, size_t *size);
LSTM_API lstm_status lstm_trainer_create_in(lstm_model *model, const lstm_trainer_desc *desc, void *memory, size_t size,
                                            lstm_trainer **out); /* allocates: never */
LSTM_API void lstm_trainer_destroy(lstm_trainer *trainer);       /* NULL is allowed */

/* One training step: forward, loss, backward through the window, clip, update. *loss (may be NULL): the mean over
   valid, weighted targets, before the update. Without a valid target it is 0, and only the carried states change.
   Allocates: never. Errors: ARGUMENT, SHAPE, NOT_FINITE (loss or gradient; weights and moments are as before). */
LSTM_API lstm_status lstm_train(lstm_trainer *trainer, const lstm_batch *batch, float *loss);

/* How much of a training step one call does. NULL or {0}: all that is left. */
typedef struct lstm_slice {
  int tiles;                   /* at most so many tiles; 0: no bound */
  double (*clock)(void *user); /* the caller's clock, in a unit of its own; NULL: no deadline */
  void *user;
  double deadline; /* no tile but the call's first begins once clock(user) >= deadline */
} lstm_slice;

/* lstm_train a few tiles (of half a million multiply-adds, or 4 rows of a wide layer) at a time, at least one in each
   call, in this thread. Call it with the same batch, arrays unchanged, until *done is 1: only then is *loss set; all
   is bit for bit as after lstm_train. Meanwhile what the trainer has of its window is not to be read. What else changes
   the trainer, lstm_train too, ends the step: gives it up without a trace, or, where its update has begun, finishes it;
   weights that are changed from outside begin it anew. A new learning rate waits for the next update. The update is
   the step's last tiles: only then do weights change (nobody else may use them), and save, keep_best and evaluate
   fail with ARGUMENT. Allocates: never. Errors: as lstm_train, and ARGUMENT (another batch: ends no step). */
LSTM_API lstm_status lstm_train_some(lstm_trainer *trainer, const lstm_batch *batch, const lstm_slice *slice, int *done,
                                     float *loss);
/* Of a step: 0: none is under way; 1: one is, and the weights are as before it; 2: its update has begun. */
LSTM_API int lstm_trainer_under_way(const lstm_trainer *trainer);

/* As lstm_evaluate, with the trainer's huber_delta, label_smoothing, class_weights, pre_emphasis. Allocates: never. */
LSTM_API lstm_status lstm_trainer_evaluate(const lstm_trainer *trainer, lstm_state *state, const lstm_batch *batch,
                                           lstm_metrics *metrics, const lstm_executor *executor);

/* Level 3: the parts of lstm_train, in this order. Allocates: never, all of them. */
/* Forward over the window, and the tape. y [T'][B][O] or NULL: logits or linear outputs, without softmax or sigmoid. */
LSTM_API lstm_status lstm_trainer_forward(lstm_trainer *trainer, const lstm_batch *batch, float *y);
/* The loss of the last forward's outputs, and its gradient (kept inside). The batch is the one given to forward. */
LSTM_API lstm_status lstm_trainer_loss(lstm_trainer *trainer, const lstm_batch *batch, float *loss);

/* Gradients that enter and leave a backward pass; NULL: zero, or not wanted. */
typedef struct lstm_flow {
  const float *d_output; /* [T'][B][O], with respect to the y of lstm_trainer_forward; added to the loss's */
  const float *d_final;  /* [B][S], with respect to the final states */
  float *d_input;        /* [T][B][I], out; not for token models */
  float *d_initial;      /* [B][S], out: with respect to the initial states */
} lstm_flow;

/* Adds the window's gradients to the tensors'; flow may be NULL. Once after each forward, else ARGUMENT. */
LSTM_API lstm_status lstm_trainer_backward(lstm_trainer *trainer, const lstm_flow *flow);
/* Clips by value, then by global norm. *norm (may be NULL): the global norm between the two. Errors: NOT_FINITE. */
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
LSTM_API void lstm_trainer_reset(lstm_trainer *trainer);           /* all lanes begin anew */
LSTM_API uint64_t lstm_trainer_steps(const lstm_trainer *trainer); /* updates so far */
LSTM_API float lstm_trainer_learning_rate(const lstm_trainer *trainer); /* before the schedule and the warm-up */
LSTM_API float lstm_trainer_scheduled_rate(const lstm_trainer *trainer); /* after them: the next update's */
LSTM_API lstm_status lstm_trainer_set_learning_rate(lstm_trainer *trainer, float rate); /* not negative: ARGUMENT */
LSTM_API float lstm_trainer_norm(const lstm_trainer *trainer);   /* global gradient norm of the last step */
LSTM_API double lstm_trainer_weight(const lstm_trainer *trainer); /* of the last loss, as lstm_metrics has it */
/* Keeps a copy of the weights as the best; brings it back. Errors: UNSUPPORTED (no keep_best), ARGUMENT (none kept). */
LSTM_API lstm_status lstm_trainer_keep_best(lstm_trainer *trainer);
LSTM_API lstm_status lstm_trainer_restore_best(lstm_trainer *trainer);

/* How many gates of the last forward were saturated: i, f, o below 0.1 or above 0.9, g beyond -0.9 or 0.9. */
typedef struct lstm_saturation {
  size_t count;           /* values of each gate: valid steps times units, of all directions */
  size_t low[4], high[4]; /* of i, f, g, o; gru: r, z, n */
} lstm_saturation;

/* After a forward, before its backward. `layer`: its place in the description. Allocates: never. Errors: ARGUMENT. */
LSTM_API lstm_status lstm_trainer_saturation(const lstm_trainer *trainer, int layer, lstm_saturation *out);
/* After a backward: the norm, over lanes and units, of the loss's gradient with respect to the layer's gates' weighted
   sums at each step: norms [T]. Shows vanishing and exploding gradients. Allocates: never. Errors: ARGUMENT. */
LSTM_API lstm_status lstm_trainer_step_norms(const lstm_trainer *trainer, int layer, float *norms);

typedef struct lstm_gradcheck_desc {
  /* The loss of y [T'][B][O] (logits or linear outputs, 0 in padding); fills d_y (zeros; or NULL) with its gradient. */
  double (*loss)(void *user, const double *y, float *d_y);
  void *user;
  int directions; /* in which each tensor's gradient is compared [4] */
  uint64_t seed;  /* of the directions */
  lstm_error *error;
} lstm_gradcheck_desc;

typedef struct lstm_gradcheck_result {
  double error;             /* the largest of all */
  double analytic, numeric; /* the derivatives there: by the gradient, and by differences */
  int tensor;               /* and the tensor: i of lstm_model_tensor */
} lstm_gradcheck_result;

/* tests/unit/check.c: right gradients stay 5 times below this; one gate's derivative 1 % off gives at least 2.5 times
   this. Right ones exceed it where float cancels (layer_norm near fewer than 4 units) or a kink is hit exactly. */
#define LSTM_GRADCHECK_TOLERANCE 2e-4

/* Compares each tensor's gradient in a window, along random directions, with the central difference of two forward
   passes in double. Errors are relative to the norm of the tensor's gradient, at least 1/1000 of that of all. Slow. The
   gradients become this window's, the tape is used up, all else is as before. Allocates: from the trainer's allocator.
   Errors: ARGUMENT, SHAPE, MEMORY, LIMIT, NOT_FINITE, UNSUPPORTED (what draws random numbers must be 0). */
LSTM_API lstm_status lstm_gradcheck(lstm_trainer *trainer, const lstm_batch *batch, const lstm_gradcheck_desc *desc,
                                    lstm_gradcheck_result *out);

/* --- files ------------------------------------------------------------------------------------------------------- */
/* Takes `size` bytes; returns 1, or 0 on failure. */
typedef struct lstm_writer { int (*write)(void *user, const void *data, size_t size); void *user; } lstm_writer;
/* Fills `data` with up to `size` bytes; returns how many, 0 at the end, (size_t)-1 on failure. */
typedef struct lstm_reader { size_t (*read)(void *user, void *data, size_t size); void *user; } lstm_reader;
/* A metadata pair: UTF-8 strings. Keys that begin with "lstm." or "trainer." are the library's. */
typedef struct lstm_meta { const char *key, *value; } lstm_meta;
typedef struct lstm_save_desc {
  int meta_count;
  const lstm_meta *meta; /* [meta_count]; NULL: what the model was loaded with */
  lstm_error *error;
} lstm_save_desc;

/* A name in a foreign file and what it is called here: {"encoder.lstm.", "rnn."}. */
typedef struct lstm_prefix { const char *from, *to; } lstm_prefix;

typedef struct lstm_load_desc {
  int allow_not_finite; /* 1: NaN and infinite weights are accepted */
  int layer_count;      /* foreign files: the layers, instead of inferring them */
  const lstm_layer *layers;
  int prefix_count;
  const lstm_prefix *prefixes;
  uint64_t max_bytes; /* the largest file; 0: LSTM_MAX_FILE_BYTES */
  int max_size;       /* the largest layer or input size; 0: LSTM_MAX_SIZE */
  int max_layers;     /* 0: LSTM_MAX_LAYERS */
  lstm_isa isa;
  lstm_allocator allocator;
  char *assumed; /* [assumed_capacity] or NULL: where to write what was assumed of a foreign file, as text */
  size_t assumed_capacity;
  lstm_error *error;
  lstm_numerics numerics; /* instead of what the file says */
} lstm_load_desc;

/* Load a model: ours, a checkpoint, or a PyTorch state dict in safetensors format; from any bytes. desc NULL: defaults.
   On failure *out is NULL. Errors: IO, FORMAT, VERSION, LIMIT, UNSUPPORTED, SHAPE, NOT_FINITE, MEMORY. */
LSTM_API lstm_status lstm_load_memory(const void *data, size_t size, const lstm_load_desc *desc, lstm_model **out);
LSTM_API lstm_status lstm_load(const lstm_reader *reader, const lstm_load_desc *desc, lstm_model **out);
LSTM_API lstm_status lstm_load_file(const char *path_utf8, const lstm_load_desc *desc, lstm_model **out);

/* Save a model. desc NULL: defaults. lstm_save_memory: buffer NULL only asks for *size. lstm_save_file writes PATH.tmp
   and renames it: a full disk or a crash leaves the old file; no sync. Errors: ARGUMENT, IO, MEMORY (capacity). */
LSTM_API lstm_status lstm_save_memory(const lstm_model *model, const lstm_save_desc *desc, void *buffer,
                                      size_t capacity, size_t *size); /* allocates: never */
LSTM_API lstm_status lstm_save(const lstm_model *model, const lstm_save_desc *desc, const lstm_writer *writer);
LSTM_API lstm_status lstm_save_file(const lstm_model *model, const lstm_save_desc *desc, const char *path_utf8);

/* Checkpoints, see FILE FORMAT. lstm_trainer_resume takes a trainer made with the same description for a model loaded
   from the same bytes; what differs (batch_size, seq_len, loss, optimizer, schedule, their options, clip, seed) is
   refused by name. Errors: as for models, and MISMATCH; on failure the trainer and model are unchanged. */
LSTM_API lstm_status lstm_trainer_save(const lstm_trainer *trainer, const lstm_save_desc *desc,
                                       const lstm_writer *writer);
LSTM_API lstm_status lstm_trainer_resume(lstm_trainer *trainer, const void *data, size_t size, lstm_error *error);
#endif /* LSTM_SINGLE_HEADER_H */
#endif /* LSTM__PASS */

/* ------- stop here if you only need the API: the implementation follows ------- */
#if defined(LSTM_IMPLEMENTATION) && !defined(LSTM__PASS) && !defined(LSTM__IMPLEMENTED)
#define LSTM__IMPLEMENTED

/* [SECTION] Platform =============================================================================================== */
#include <float.h>
#include <limits.h>
#include <stdarg.h>
#include <string.h>
#if defined(LSTM_MALLOC) != defined(LSTM_FREE)
#error "lstm.h: define both LSTM_MALLOC and LSTM_FREE, or neither"
#endif
#ifndef LSTM_MALLOC
#include <stdlib.h>
#define LSTM_MALLOC(size) malloc(size)
#define LSTM_FREE(pointer) free(pointer)
#endif
#ifndef LSTM_ASSERT
#define LSTM_ASSERT(condition) ((void)0)
#endif
#if defined(__FAST_MATH__) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__)
#warning "lstm.h: -ffast-math voids its promises: equal bits, and the detection of NaN and infinity"
#elif defined(_M_FP_FAST)
#pragma message("lstm.h: /fp:fast voids its promises: equal bits, and the detection of NaN and infinity")
#endif
#ifndef LSTM_HEADER
#define LSTM_HEADER "lstm.h" /* how this file includes itself; renamed to foo.h: define it as "foo.h" */
#endif

#ifndef LSTM_MAX_SIZE
#define LSTM_MAX_SIZE (1 << 20) /* units of a layer, features, tokens */
#endif
#ifndef LSTM_MAX_LAYERS
#define LSTM_MAX_LAYERS 64
#endif
#ifndef LSTM_MAX_LANES
#define LSTM_MAX_LANES (1 << 20)
#endif
#ifndef LSTM_MAX_SEQ_LEN
#define LSTM_MAX_SEQ_LEN (1 << 20)
#endif
#ifndef LSTM_MAX_PARAMETERS
#define LSTM_MAX_PARAMETERS ((size_t)1 << 30)
#endif
#ifndef LSTM_MAX_TOKEN_TABLE
#define LSTM_MAX_TOKEN_TABLE ((size_t)16 << 20) /* bytes of a stored product of embedding and weight_ih */
#endif

#if defined(__GNUC__) || defined(__clang__)
#define LSTM__FORCE_INLINE static inline __attribute__((always_inline))
#define LSTM__UNUSED __attribute__((unused))
#define LSTM__TARGET_OF(features) __attribute__((target(features)))
#else
#ifdef _MSC_VER
#define LSTM__FORCE_INLINE static __forceinline
#else
#define LSTM__FORCE_INLINE static inline
#endif
#define LSTM__UNUSED
#define LSTM__TARGET_OF(features)
#endif

/* The CPU whose vector instructions can be used. A compiler without their headers gets scalar code. */
#if !defined(LSTM_NO_SIMD) &&                                                                                          \
    (defined(__clang__) || (defined(__GNUC__) && __GNUC__ >= 5) || (defined(_MSC_VER) && _MSC_VER >= 1910))
#if defined(__x86_64__) || defined(_M_X64) || (defined(__i386__) && defined(__SSE2__) && !defined(__MINGW32__))
#define LSTM__X86 1
#elif (defined(__aarch64__) || defined(_M_ARM64)) && !defined(__ARM_BIG_ENDIAN)
#define LSTM__ARM64 1
#elif defined(__wasm_simd128__)
#define LSTM__WASM32 1
#endif
#endif

#ifdef __cplusplus
#define LSTM__ZERO {}
#else
#define LSTM__ZERO {0}
#endif
#define LSTM__JOIN_(a, b) a##b
#define LSTM__JOIN(a, b) LSTM__JOIN_(a, b)
/* LSTM_ONLY_ISA=AVX2 (or another) keeps one set of kernels, and asks no CPU whether it has them. */
#ifdef LSTM_ONLY_ISA
#define LSTM__ONLY_SCALAR 1
#define LSTM__ONLY_SSE2 2
#define LSTM__ONLY_AVX2 3
#define LSTM__ONLY_AVX512 4
#define LSTM__ONLY_NEON 5
#define LSTM__ONLY_WASM 6
#define LSTM__ONLY LSTM__JOIN(LSTM__ONLY_, LSTM_ONLY_ISA)
#if LSTM__ONLY + 0 == 0
#error "lstm.h: LSTM_ONLY_ISA is one of SCALAR, SSE2, AVX2, AVX512, NEON, WASM"
#endif
#else
#define LSTM__ONLY 0
#endif
#define LSTM__WANTED(n) (LSTM__ONLY == 0 || LSTM__ONLY == (n))
#ifdef LSTM_SMALL
#define LSTM__SMALL 1
#else
#define LSTM__SMALL 0
#endif
#if defined(LSTM_SMALL) && defined(LSTM_NO_FILES)
#define LSTM__NAMES 0 /* tensors have none */
#else
#define LSTM__NAMES 1
#endif

/* Scalar code takes the hardware's fused multiply-add, emulates it, or has both where only the CPU can tell. */
#if defined(LSTM__ARM64) || (!defined(LSTM__X86) && defined(__FP_FAST_FMAF)) || (LSTM__ONLY && defined(__FMA__))
#define LSTM__HAS_HARD LSTM__WANTED(1)
#define LSTM__HAS_SOFT 0
#elif defined(LSTM__X86) && !LSTM__ONLY
#define LSTM__HAS_HARD 1
#define LSTM__HAS_SOFT 1
#else
#define LSTM__HAS_HARD 0
#define LSTM__HAS_SOFT LSTM__WANTED(1)
#endif

/* Portable numerics need float arithmetic that rounds to float: not the x87 unit's. (16: _Float16 has its own.) */
#if !defined(LSTM_NO_PORTABLE) && (!defined(FLT_EVAL_METHOD) || FLT_EVAL_METHOD == 0 || FLT_EVAL_METHOD == 16)
#define LSTM__HAS_PORTABLE 1
#else
#define LSTM__HAS_PORTABLE 0
#endif

#ifdef LSTM__X86
#ifdef _MSC_VER
#include <intrin.h>
#else
#include <cpuid.h>
#endif
#include <immintrin.h>
#if defined(__clang__) && defined(_MSC_VER) /* clang-cl hides these behind -mavx2 and so on */
#include <emmintrin.h>
#include <pmmintrin.h>
#include <tmmintrin.h>
#include <smmintrin.h>
#include <avxintrin.h>
#include <avx2intrin.h>
#include <fmaintrin.h>
#include <avx512fintrin.h>
#include <avx512vlintrin.h>
#include <avx512dqintrin.h>
#include <avx512bwintrin.h>
#endif
#elif defined(LSTM__ARM64)
#include <arm_neon.h>
#elif defined(LSTM__WASM32)
#include <wasm_simd128.h>
#endif

typedef char lstm__int_has_32_bits[sizeof(int) == 4 && sizeof(float) == 4 ? 1 : -1];

/* [SECTION] Errors ================================================================================================= */
static const char *lstm__status_word(lstm_status status, int sentence) {
  static const char *const words[][2] = {
#define LSTM__X(name, text) {"LSTM_" #name, text},
      LSTM_STATUS_LIST(LSTM__X)
#undef LSTM__X
          {"?", "?"}};
  return words[(unsigned)status < LSTM_STATUS_COUNT ? status : LSTM_STATUS_COUNT][sentence];
}

LSTM_API const char *lstm_status_name(lstm_status status) { return lstm__status_word(status, 0); }
LSTM_API const char *lstm_status_text(lstm_status status) { return lstm__status_word(status, 1); }

/* A growing text in a fixed buffer: counts what would not fit, always ends in 0. */
typedef struct lstm__text { char *data; size_t capacity, length; } lstm__text;

/* A text in `data`; NULL only counts. */
static lstm__text lstm__text_in(char *data, size_t capacity) {
  lstm__text t = {data, data ? capacity : 0, 0};
  if (t.capacity) data[0] = 0;
  return t;
}
static void lstm__put(lstm__text *t, const char *s, size_t n) {
  size_t room = t->capacity > t->length + 1 ? t->capacity - t->length - 1 : 0;
  size_t fits = n < room ? n : room;
  if (fits) memcpy(t->data + t->length, s, fits);
  if (t->capacity) t->data[t->length < t->capacity ? t->length + fits : t->capacity - 1] = 0;
  t->length += n;
}
static void lstm__put_number(lstm__text *t, uint64_t value) {
  char digits[20];
  int i = 20;
  do digits[--i] = (char)('0' + (int)(value % 10));
  while (value /= 10);
  lstm__put(t, digits + i, (size_t)(20 - i));
}
static void lstm__put_char(lstm__text *t, char c) { lstm__put(t, &c, 1); }
static void lstm__put_string(lstm__text *t, const char *s) { lstm__put(t, s, strlen(s)); }

/* Text that does not end in 0: part of a file, or of another text. */
typedef struct lstm__piece { const char *at; size_t size; } lstm__piece;

/* %s a string, %p a lstm__piece (at most 80 bytes of either), %d an int, %z a size_t, %%. No locale. */
static void lstm__vprint(lstm__text *t, const char *format, va_list args) {
  for (; *format; format++) {
    if (*format != '%' || *++format == '%') {
      lstm__put(t, format, 1);
    } else if (*format == 's') {
      const char *s = va_arg(args, const char *);
      size_t n = 0;
      while (s[n] && n < 80) n++;
      lstm__put(t, s, n);
    } else if (*format == 'p') {
      const lstm__piece *p = va_arg(args, const lstm__piece *);
      lstm__put(t, p->at, p->size < 80 ? p->size : 80);
      if (p->size > 80) lstm__put(t, "...", 3);
    } else if (*format == 'd') {
      int d = va_arg(args, int);
      if (d < 0) lstm__put(t, "-", 1);
      lstm__put_number(t, d < 0 ? (uint64_t)0 - (uint64_t)(int64_t)d : (uint64_t)d);
    } else {
      lstm__put_number(t, va_arg(args, size_t));
    }
  }
}

static void lstm__print(lstm__text *t, const char *format, ...) {
  va_list args;
  va_start(args, format);
  lstm__vprint(t, format, args);
  va_end(args);
}

/* Writes the sentence, if anybody wants it, and returns the status. */
#if LSTM__SMALL
LSTM__FORCE_INLINE lstm_status lstm__fail(lstm_error *error, lstm_status status, const char *format, ...) {
  (void)format;
  if (error) error->message[0] = 0;
  if (error) error->status = status;
  return status;
}
#else
static lstm_status lstm__fail(lstm_error *error, lstm_status status, const char *format, ...) {
  if (error) {
    lstm__text t = lstm__text_in(error->message, sizeof error->message);
    va_list args;
    va_start(args, format);
    lstm__vprint(&t, format, args);
    va_end(args);
    error->status = status;
  }
  return status;
}
#endif

/* A number of a description must be within least..most; `over`: the status where it is more. */
static lstm_status lstm__within(lstm_error *error, const char *what, int x, int least, int most, lstm_status over) {
  if (x >= least && x <= most) return LSTM_OK;
  return lstm__fail(error, x < least ? LSTM_ERR_ARGUMENT : over, "%s is %d, wanted %d to %d", what, x, least, most);
}

/* [SECTION] Checked arithmetic ===================================================================================== */
static int lstm__add_ok(size_t a, size_t b, size_t *out) {
  if (a > (size_t)-1 - b) return 0;
  *out = a + b;
  return 1;
}
static int lstm__mul_ok(size_t a, size_t b, size_t *out) {
  if (b && a > (size_t)-1 / b) return 0;
  *out = a * b;
  return 1;
}

/* Rounds up to whole vectors of 16 floats, the unit of every row in memory. */
static int lstm__pad16(int n) { return (n + 15) & ~15; }
static size_t lstm__at(int row, int width) { return (size_t)row * (size_t)width; } /* where a row begins */
static int lstm__int_min(int a, int b) { return a < b ? a : b; }
static int lstm__int_max(int a, int b) { return a > b ? a : b; }

/* A product that no compiler may fuse with an addition that follows it. */
static double lstm__mul(double a, double b) {
  volatile double product = a * b;
  return product;
}

static int lstm__finite(double x) { return x - x == 0; }

/* For norms and deviations, the same bits everywhere: Newton's iteration from a guess by exponent. */
static double lstm__sqrt(double x) {
  uint64_t bits;
  double y;
  if (!(x > 0) || !lstm__finite(x)) return x > 0 || x == 0 ? x : (x - x) / (x - x);
  memcpy(&bits, &x, sizeof bits);
  bits = (bits >> 1) + ((uint64_t)0x1ff8 << 48);
  memcpy(&y, &bits, sizeof y);
  for (int i = 0; i < 6; i++) y = 0.5 * (y + x / y);
  return y;
}

/* log x of a normal x > 0, to about 1e-15, the same bits everywhere: x = 2^e m, log m = 2 atanh((m - 1) / (m + 1)). */
static double lstm__log(double x) {
  uint64_t bits;
  double m, p = 0;
  if (!(x > 0) || !lstm__finite(x)) return x == 0 ? -1e300 * 1e10 : (x - x) / (x - x);
  memcpy(&bits, &x, sizeof bits);
  int e = (int)(bits >> 52) - 1023;
  bits = (bits & (((uint64_t)1 << 52) - 1)) | ((uint64_t)1023 << 52);
  memcpy(&m, &bits, sizeof m);
  if (m > 1.4142135623730951) {
    m *= 0.5;
    e++;
  }
  double s = (m - 1) / (m + 1), s2 = lstm__mul(s, s);
  for (int i = 21; i >= 1; i -= 2) p = lstm__mul(p, s2) + 1.0 / i;
  return lstm__mul(e, 0.69314718055994531) + lstm__mul(lstm__mul(2, s), p);
}

/* e^x to about 1e-15, or 2e-16 |x| if that is more, the same bits everywhere: 2^k e^r; 0 below -700, at most e^700. */
static double lstm__exp(double x) {
  double n = lstm__mul(x, 1.4426950408889634), r, e = 1, scale;
  if (!(x >= -700 && x <= 700)) return x < 0 ? 0 : x > 0 ? lstm__exp(700) : x;
  int k = (int)(n < 0 ? n - 0.5 : n + 0.5);
  uint64_t bits = (uint64_t)(1023 + k) << 52;
  memcpy(&scale, &bits, sizeof scale);
  r = x - lstm__mul(k, 0.69314718055994531);
  for (int i = 14; i >= 1; i--) e = 1 + lstm__mul(r / i, e);
  return lstm__mul(scale, e);
}

/* a * b + c rounded once, without the hardware: the product of two floats is exact in double; the sum is rounded to
   odd, so that the rounding to float that follows sees what the exact value would show (Boldo and Melquiond, 2008). */
LSTM__UNUSED static float lstm__soft_fma(float a, float b, float c) {
  double p = (double)a * (double)b, s = p + (double)c, back = s - p;
  double error = (p - (s - back)) + ((double)c - back);
  uint64_t bits;
  if (error != 0 && lstm__finite(s)) {
    memcpy(&bits, &s, sizeof bits);
    if (!(bits & 1)) bits += (error > 0) == (s > 0) ? 1 : (uint64_t)-1;
    memcpy(&s, &bits, sizeof s);
  }
  return (float)s;
}

/* [SECTION] Memory ================================================================================================= */
static void *lstm__alloc(const lstm_allocator *a, size_t size) {
  return a && a->alloc ? a->alloc(a->user, size) : LSTM_MALLOC(size);
}
static void lstm__free(const lstm_allocator *a, void *p) {
  int own = a && a->alloc;
  if (p && own && a->free) a->free(a->user, p);
  if (p && !own) LSTM_FREE(p);
}

/* One block, carved up by one function that runs twice: without a base it only measures. */
typedef struct lstm__arena { unsigned char *base; size_t used; int overflow; } lstm__arena;

static void *lstm__carve(lstm__arena *a, size_t count, size_t size) {
  size_t bytes, start = a->used;
  void *p = a->base && !a->overflow ? a->base + start : NULL;
  if (!lstm__mul_ok(count, size, &bytes) || !lstm__add_ok(bytes, LSTM_ALIGNMENT - 1, &bytes) ||
      !lstm__add_ok(start, bytes & ~(size_t)(LSTM_ALIGNMENT - 1), &a->used)) {
    a->overflow = 1;
    return NULL;
  }
  return p;
}

static float *lstm__carve_floats(lstm__arena *a, size_t count) { return (float *)lstm__carve(a, count, sizeof(float)); }

/* An object of known size comes from the caller's memory, or one allocation, aligned to 8: *block, to be freed. */
static lstm_status lstm__place(const lstm_allocator *allocator, size_t size, void *memory, size_t memory_size,
                               lstm__arena *arena, void **block, lstm_error *error) {
  const uintptr_t beyond = LSTM_ALIGNMENT - 1;
  size_t total;
  memset(arena, 0, sizeof *arena);
  *block = NULL;
  if (memory) {
    if (memory_size < size)
      return lstm__fail(error, LSTM_ERR_MEMORY, "%z bytes of memory given, %z are needed", memory_size, size);
    if ((uintptr_t)memory & beyond)
      return lstm__fail(error, LSTM_ERR_ARGUMENT, "the memory given is not aligned to %d bytes", LSTM_ALIGNMENT);
    arena->base = (unsigned char *)memory;
    return LSTM_OK;
  }
  if (lstm__add_ok(size, LSTM_ALIGNMENT, &total)) *block = lstm__alloc(allocator, total);
  if (!*block) return lstm__fail(error, LSTM_ERR_MEMORY, "out of memory: %z bytes", size);
  arena->base = (unsigned char *)(((uintptr_t)*block + beyond) & ~beyond);
  return LSTM_OK;
}

/* [SECTION] Random numbers ========================================================================================= */
/* Philox 4x32-10: block `index`, of four numbers, of the stream (seed, purpose). Streams do not meet. */
static void lstm__random_block(uint64_t seed, uint64_t purpose, uint64_t index, uint32_t out[4]) {
  uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
  out[0] = (uint32_t)index;
  out[1] = (uint32_t)(index >> 32);
  out[2] = (uint32_t)purpose;
  out[3] = (uint32_t)(purpose >> 32);
  for (int round = 0; round < 10; round++, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
    uint64_t p0 = (uint64_t)0xD2511F53u * out[0], p1 = (uint64_t)0xCD9E8D57u * out[2];
    out[0] = (uint32_t)(p1 >> 32) ^ out[1] ^ k0;
    out[1] = (uint32_t)p1;
    out[2] = (uint32_t)(p0 >> 32) ^ out[3] ^ k1;
    out[3] = (uint32_t)p0;
  }
}

LSTM_API uint32_t lstm_random_bits(lstm_rng *rng) {
  uint32_t block[4];
  lstm__random_block(rng->seed, 0, rng->counter >> 2, block);
  return block[rng->counter++ & 3];
}
LSTM_API float lstm_random(lstm_rng *rng) { return (float)(lstm_random_bits(rng) >> 8) * (1.0f / 16777216.0f); }

LSTM_API int lstm_random_index(lstm_rng *rng, int count) {
  uint32_t n = (uint32_t)count, limit, bits;
  if (count < 1) return 0;
  limit = (uint32_t)-1 - ((uint32_t)-1 % n + 1) % n; /* the largest multiple of n, less one: no index is favoured */
  do bits = lstm_random_bits(rng);
  while (bits > limit);
  return (int)(bits % n);
}

/* (p / top)^(1 / temperature); plain p at temperature 1; 0 for what is no probability. */
static double lstm__tempered(float p, float top, float temperature) {
  if (!(p > 0) || !lstm__finite((double)p)) return 0;
  if (temperature == 1.0f) return (double)p;
  return lstm__exp((lstm__log((double)p) - lstm__log((double)top)) / (double)temperature);
}

LSTM_API int lstm_sample(const float *p, int count, float temperature, lstm_rng *rng) {
  double sum = 0, place;
  int best = -1;
  for (int i = 0; i < count; i++)
    if (p[i] > 0 && lstm__finite((double)p[i]) && (best < 0 || p[i] > p[best])) best = i;
  if (best < 0 || !(temperature > 0)) return best;
  for (int i = 0; i < count; i++) sum += lstm__tempered(p[i], p[best], temperature);
  place = lstm__mul((double)lstm_random(rng), sum);
  for (int i = 0; i < count; i++) {
    double w = lstm__tempered(p[i], p[best], temperature);
    if (w > 0 && place < w) return i;
    place -= w;
  }
  return best;
}

/* [SECTION] CPU detection ========================================================================================== */
#if defined(LSTM__X86) && !LSTM__ONLY
static void lstm__cpuid(uint32_t leaf, uint32_t out[4]) {
#ifdef _MSC_VER
  __cpuidex((int *)out, (int)leaf, 0);
#else
  __cpuid_count(leaf, 0, out[0], out[1], out[2], out[3]);
#endif
}

/* 1: AVX2 and FMA; 2: also AVX-512 F, DQ, BW, VL. What the CPU has, and what the system saves of it. */
static int lstm__x86_level(void) {
  const uint32_t fma_osxsave_avx = 1u << 12 | 1u << 27 | 1u << 28, avx2 = 1u << 5;
  const uint32_t avx512 = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31, ymm = 0x06, zmm = 0xe6;
  uint32_t r[4], saved;
  lstm__cpuid(0, r);
  if (r[0] < 7) return 0;
  lstm__cpuid(1, r);
  if (~r[2] & fma_osxsave_avx) return 0;
#ifdef _MSC_VER
  saved = (uint32_t)_xgetbv(0);
#else
  __asm__(".byte 0x0f, 0x01, 0xd0" : "=a"(saved) : "c"(0) : "edx"); /* xgetbv */
#endif
  lstm__cpuid(7, r);
  if ((~saved & ymm) || (~r[1] & avx2)) return 0;
  return (~saved & zmm) || (~r[1] & avx512) ? 1 : 2;
}
#else
static int lstm__x86_level(void) { return 2; }
#endif

static const char *const lstm__isa_names[] = {"auto", "scalar", "sse2", "avx2", "avx512", "neon", "wasm"};

LSTM_API const char *lstm_isa_name(lstm_isa isa) { return (unsigned)isa < LSTM_ISA_COUNT ? lstm__isa_names[isa] : "?"; }
LSTM_API lstm_isa lstm_isa_from_name(const char *name) {
  for (int i = 0; i < LSTM_ISA_COUNT; i++)
    if (name && strcmp(name, lstm__isa_names[i]) == 0) return (lstm_isa)i;
  return LSTM_ISA_COUNT;
}

/* A loop whose variables are in registers only if it is unrolled. */
#if defined(__clang__)
#define LSTM__UNROLL _Pragma("clang loop unroll(full)")
#elif defined(__GNUC__)
#define LSTM__UNROLL _Pragma("GCC unroll 6")
#else
#define LSTM__UNROLL
#endif

/* [SECTION] Kernel table =========================================================================================== */
#define LSTM__NEAR 1792 /* columns of four gates that stay in a first-level cache: 28 KB */
/* Rows of a matrix: row r is at p + (index ? index[r] : r) * stride. */
typedef struct lstm__rows { const float *p; size_t stride; const int *index; } lstm__rows;
typedef struct lstm__out_rows { float *p; size_t stride; const int *index; } lstm__out_rows;

/* One timestep of an LSTM layer for `rows` rows. Packed weights: w [block][1 + nx + nh][4 gates][16 units], the first
   row the bias; the last block has 8 units where that is enough. Without x, `start` holds the chain's value after bias
   and x. h and h_out must not overlap, but see lstm__kernels.whole. tape.p may be NULL. raw: only the weighted sums are
   made, and go to the tape. flip: last block first: steps that alternate find in the cache what was read last. */
typedef struct lstm__cell_job {
  int rows, units, nx, nh, raw, flip; /* units: padded to 8; raw, and in rows of h_out and c: to 16 */
  const float *w;
  lstm__rows x, start, h, c;
  lstm__out_rows h_out, c_out, tape; /* start, tape: i, f, g, o, see lstm__gate_at */
} lstm__cell_job;

/* c [rows][columns] = start + a [rows][k] w, a's elements `step` apart. w: panels [(1 +) k][64 at most], or strided. */
typedef struct lstm__gemm_job {
  int rows, k, columns; /* columns: a multiple of 16 */
  int bias;             /* 1: each panel begins with a row of start values; else the chain starts at 0, or at c */
  int accumulate;       /* 1: the chain starts at c */
  size_t step, stride;
  const float *w;
  lstm__rows a;
  lstm__out_rows c;
} lstm__gemm_job;

/* A row of a cell that is not the plain one; see CELLS in the manual. Rows have `units` floats, n of them real. */
typedef struct lstm__gate_job {
  const lstm_layer *o;
  int units, n;
  float *gates;         /* [units / 16][4][16]: weighted sums -> i, learned f, g, o -> gradients of the sums */
  const float *vectors; /* of the generic pass: see lstm__pack_vectors */
  float *keep;          /* [vectors][units]: what backward needs -> the vectors' gradients; NULL: not training */
  const float *c_prev;  /* gru: h' */
  const float *noise, *zone; /* [units] numbers of forget = noise; masks of zoneout, NULL: the rate itself */
  float *c, *h;              /* out; gru: only h */
  const float *dh;           /* backward */
  float *dc;                 /* backward: of c -> of c'; gru: added to: of h' */
} lstm__gate_job;

/* What an optimiser's kernel needs of one step; see [SECTION] Optimisers. */
typedef struct lstm__update_job {
  lstm_optimizer optimizer;
  float rate, decay, l2, a, one_minus_a, b, one_minus_b, epsilon, second_scale, momentum;
  int nesterov;
} lstm__update_job;

enum { LSTM__MAP_EXP = LSTM_ACTIVATION_COUNT, LSTM__MAP_COUNT };

/* Every array of a kernel has a multiple of 16 floats where n is said to be padded; no alignment is needed. */
typedef struct lstm__kernels {
  lstm_isa isa;
  int whole; /* so many units of a single row are read before the first is written: h_out may be h */
  void (*cell)(const lstm__cell_job *job);
  void (*gemm)(const lstm__gemm_job *job);
  void (*gate_forward)(const lstm__gate_job *job);
  void (*gru_forward)(const lstm__gate_job *job);
  /* Zoneout, n padded: y += m (other - y), m = mask[i] or the rate; backward: dother += m dy, dy -= m dy. */
  void (*blend)(int n, float *y, const float *mask, float rate, const float *other);
  void (*map)(int activation, int n, float *x); /* x = f(x), n padded */
  /* z = exp(z - *top), n not padded; returns their sum; padding becomes 0. */
  float (*softmax)(int n, float *z, float *top);
  void (*divide)(int n, float *x, float by); /* n padded, as all below */
  void (*add)(int n, float *y, const float *x);
  void (*axpy)(int n, float *y, float a, const float *x); /* y += a x */
  float (*dot)(int n, const float *a, const float *b);
#ifndef LSTM_NO_TRAINING
  /* One row of the backward cell, n units padded to 8: gates in, their pre-activations' gradients out. */
  void (*cell_backward)(int n, float *gates, const float *c, const float *c_prev, const float *dh, float *dc);
  void (*gate_backward)(const lstm__gate_job *job);
  void (*gru_backward)(const lstm__gate_job *job);
  void (*blend_backward)(int n, float *dy, const float *mask, float rate, float *dother);
  void (*map_backward)(int activation, int n, const float *y, float *dy); /* dy = dy f'(.) from y = f(.), n padded */
  void (*scale)(int n, float *x, float by);
  void (*clip)(int n, float *x, float limit); /* into -limit..limit */
  void (*update)(int n, float *w, const float *g, float *m, float *v, const lstm__update_job *u); /* sgd: no v */
#endif
} lstm__kernels;

/* A row of a matrix. */
LSTM__FORCE_INLINE const float *lstm__row(const lstm__rows *m, int r) {
  return m->p + (size_t)(m->index ? m->index[r] : r) * m->stride;
}
LSTM__FORCE_INLINE float *lstm__out_row(const lstm__out_rows *m, int r) {
  return m->p + (size_t)(m->index ? m->index[r] : r) * m->stride;
}
LSTM__FORCE_INLINE float lstm__float_of_bits(uint32_t bits) {
  float f;
  memcpy(&f, &bits, sizeof f);
  return f;
}
LSTM__FORCE_INLINE uint32_t lstm__bits_of_float(float f) {
  uint32_t bits;
  memcpy(&bits, &f, sizeof bits);
  return bits;
}

/* The passes: this file includes itself for each instruction set. LSTM__PASS is its number in lstm_isa; 10 more for
   portable numerics, 20 more for scalar code with an emulated fused multiply-add. A pass makes lstm__table_PASS, NULL
   where this build does not have it, and undefines what it was given. Its short names give way to the user's. */
#pragma push_macro("K")
#pragma push_macro("V")
#pragma push_macro("VL")
#undef K
#undef V
#undef VL
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized" /* gcc 12's avx512fintrin.h in C++: gcc bug 105593 */
#pragma GCC diagnostic ignored "-Wuninitialized"
#elif defined(_MSC_VER) && !defined(__clang__)
#pragma fp_contract(off)
#endif
#define LSTM__PASS 21
#include LSTM_HEADER
#define LSTM__PASS 1
#include LSTM_HEADER
#define LSTM__PASS 11
#include LSTM_HEADER
#define LSTM__PASS 2
#include LSTM_HEADER
#define LSTM__PASS 3
#include LSTM_HEADER
#define LSTM__PASS 13
#include LSTM_HEADER
#define LSTM__PASS 4
#include LSTM_HEADER
#define LSTM__PASS 14
#include LSTM_HEADER
#define LSTM__PASS 5
#include LSTM_HEADER
#define LSTM__PASS 15
#include LSTM_HEADER
#define LSTM__PASS 6
#include LSTM_HEADER
#ifndef LSTM__HAS_KERNELS
#error "lstm.h: LSTM_ONLY_ISA names an instruction set that this compiler cannot produce here"
#endif
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

#pragma pop_macro("K")
#pragma pop_macro("V")
#pragma pop_macro("VL")

/* The table of a usable instruction set, or NULL. SSE2 and WASM (2, 6) never fuse. */
static const lstm__kernels *lstm__kernels_of(lstm_isa isa, lstm_numerics numerics) {
  const lstm__kernels *const tables[][2] = {
      {NULL, NULL}, {lstm__table_1, lstm__table_11}, {lstm__table_2, lstm__table_2}, {lstm__table_3, lstm__table_13},
      {lstm__table_4, lstm__table_14}, {lstm__table_5, lstm__table_15}, {lstm__table_6, lstm__table_6}};
  if (isa == LSTM_ISA_AUTO) isa = lstm_isa_best();
  if ((unsigned)isa >= LSTM_ISA_COUNT) return NULL;
  if (isa == LSTM_ISA_SCALAR && numerics != LSTM_PORTABLE && (!LSTM__HAS_HARD || lstm__x86_level() < 1))
    return lstm__table_21;
  if (isa == LSTM_ISA_AVX2 && lstm__x86_level() < 1) return NULL;
  if (isa == LSTM_ISA_AVX512 && lstm__x86_level() < 2) return NULL;
  return tables[isa][numerics == LSTM_PORTABLE];
}

LSTM_API int lstm_isa_usable(lstm_isa isa) { return lstm__kernels_of(isa, LSTM_FUSED) != NULL; }

/* The last in their order: a machine has only x86's, NEON or WASM. */
LSTM_API lstm_isa lstm_isa_best(void) {
  int isa = LSTM_ISA_COUNT - 1;
  while (isa > LSTM_ISA_SCALAR && !lstm_isa_usable((lstm_isa)isa)) isa--;
  return (lstm_isa)isa;
}

/* [SECTION] Model layout ==============================================================================================
   One function walks a description, checks it and says where everything is; create, load and save all use it. A layer
   of the description becomes one node, or several: dropout of its inputs, a cell for each direction, and their join. */

#define LSTM__NAME 80
/* What a tensor is to its node. From LSTM__T_NORM on, they begin as if they were not there. */
enum {
  LSTM__T_TABLE, LSTM__T_WEIGHT, LSTM__T_DENSE_BIAS,
  LSTM__T_WEIGHT_IH, LSTM__T_WEIGHT_HH, LSTM__T_BIAS, LSTM__T_BIAS_HN, LSTM__T_PROJECTION, LSTM__T_PEEPHOLE,
  LSTM__T_NORM, LSTM__T_NORM_CELL, LSTM__T_NORM_CELL_BIAS, LSTM__T_H0, LSTM__T_C0, LSTM__T_COUNT
};

typedef struct lstm__tensor {
  char name[LSTM__NAME];
  size_t offset, count;    /* floats from the beginning of params */
  int rows, columns;       /* columns 0: a vector */
  int layer, node, kind;   /* layer: of the description */
} lstm__tensor;

#define LSTM__NODE_JOIN LSTM_LAYER_TYPE_COUNT /* a node that merges directions, and reads last, mean or max */
typedef struct lstm__layer {
  int type;                 /* lstm_layer_type or LSTM__NODE_JOIN */
  int described;            /* the layer of the description that it belongs to */
  lstm_layer o;             /* that layer, resolved */
  int source;               /* the node that it reads, -1: the input; a join: the first of its cells */
  int branch, reverse;      /* a cell: 1: one of two directions; 1: the backward one */
  float rate;               /* of a node that drops */
  int in, out;              /* widths: in floats, or tokens for an embedding */
  int out_pad;              /* out rounded up to 16: the stride of its rows in memory */
  int units, units_pad;     /* a cell's c; else out */
  int gates;                /* columns of weights for a unit: cells 4, dense 1; 0: no weights to multiply by */
  int columns;              /* of its weights, padded; of a cell: see lstm__gate_at */
  int from_ids;             /* 1: when dropout is off, its input is the embedding's row of a token */
  int recurrent;            /* 1: has a state, and weights from h as well */
  int generic;              /* 1: an lstm whose gates take the generic pass */
  int vectors;              /* of units_pad floats that the generic pass needs */
  int tensor[LSTM__T_COUNT]; /* places of its tensors, or -1 */
  size_t packed;            /* floats from the beginning of `packed` to its forward weights */
  size_t project, vector; /* likewise to its packed projection, and to its vectors */
  size_t state;           /* floats from the beginning of a lane's state to h [out_pad]; c [units_pad] follows */
  int values;             /* its place in [S]: h [out], c [units] */
} lstm__layer;

typedef struct lstm__plan {
  int described, layers, tensors;     /* layers of the description; nodes */
  int last_recurrent;                 /* node of the last cell; -1 where there is none */
  int pool;                           /* node of the join that reads once, or -1 */
  int bidirectional;
  int state_size, widest;             /* S; the widest padded row */
  int gate_row;                       /* floats of scratch for a row's gates */
  int table_layer;                    /* the node whose start values are stored for every token, or -1 */
  size_t params, packed, table, lane; /* floats; lane: one lane's state in memory */
  size_t kept;                        /* floats of `params` that running reads */
  uint64_t fingerprint; /* of what states and weights must agree in: nodes but for dropout, tensors, scratch */
} lstm__plan;

struct lstm_model {
  lstm_model_desc desc; /* resolved; layers point into this block */
  lstm__plan plan;
  const lstm__kernels *kernels;
  lstm__layer *layers;       /* [plan.layers] */
  lstm__tensor *tensors;     /* [plan.tensors]; NULL: it is static, a node's `tensor` are places in params */
  lstm_layer *described;     /* [desc.layer_count] */
  char (*names)[LSTM__NAME]; /* [desc.layer_count] of described[].name */
  float *params;             /* [plan.params] canonical, in file order, then up to 15 zeros */
  float *packed;             /* [plan.packed] for the kernels */
  float *table;              /* [tokens][columns of its cell], or NULL */
  int table_valid;
  char *meta; /* key 0 value 0 key 0 value 0 ... */
  size_t meta_size;
  int meta_count;
  uint64_t fingerprint; /* of the architecture */
  uint64_t revision;    /* grows when the weights are changed from outside, so that trainers notice */
  void *block;          /* what to free; NULL: the caller's memory */
};

/* One step of some rows through the nodes; see [SECTION] Forward. */
typedef struct lstm__inference lstm__inference;
typedef struct lstm__walk lstm__walk;

/* A type of layer, or a join. A new one is a row of this table, one of the trainer's (lstm__passes), and kernels. */
typedef struct lstm__kind {
  const char *name;
  int gates, recurrent; /* as in lstm__layer */
  int sized;            /* 1: has a size and may have a name; 0: as wide as its input */
  int (*plan)(lstm__walk *w, lstm__layer *l); /* adds its tensors */
  void (*infer)(lstm__inference *run, const lstm__layer *l); /* reads run->in, and sets it to its output */
} lstm__kind;
static const lstm__kind *lstm__kind_of(int type);

/* --- options ----------------------------------------------------------------------------------------------------- */
static const char *const lstm__activation_names[] = {"default", "linear",       "tanh",    "sigmoid",
                                                     "relu",    "hard_sigmoid", "softsign"};
static const char *const lstm__output_names[] = {"open", "linear", "softmax", "sigmoid"};
static const char *const lstm__read_names[] = {"all", "last", "mean", "max"};
static const char *const lstm__forget_names[] = {"learned", "zero", "one", "noise"};
static const char *const lstm__merge_names[] = {"concat", "sum"};

enum { LSTM__FLAG, LSTM__SIZE, LSTM__NUMBER, LSTM__RATE, LSTM__WORD };

/* An option of a layer: its name in files and in sentences, where it is in lstm_layer, and which types have it. */
typedef struct lstm__option {
  const char *name;
  int what; /* RATE: below 1 */
  size_t at;
  unsigned types; /* a bit for each type */
  const char *const *words;
  int word_count;
} lstm__option;

#define LSTM__OPTIONS 21
static const lstm__option *lstm__options(void) {
#define LSTM__AT(field) offsetof(lstm_layer, field)
  enum { EMBEDDING = 1 << LSTM_LAYER_EMBEDDING, DENSE = 1 << LSTM_LAYER_DENSE, DROPOUT = 1 << LSTM_LAYER_DROPOUT,
         CELL = 1 << LSTM_LAYER_LSTM, BOTH = CELL | 1 << LSTM_LAYER_GRU };
  static const lstm__option options[LSTM__OPTIONS] = {
      {"hidden", LSTM__SIZE, LSTM__AT(size), BOTH, NULL, 0},
      {"size", LSTM__SIZE, LSTM__AT(size), EMBEDDING | DENSE, NULL, 0},
      {"rate", LSTM__RATE, LSTM__AT(rate), DROPOUT, NULL, 0},
      {"activation", LSTM__WORD, LSTM__AT(activation), CELL | DENSE, lstm__activation_names, LSTM_ACTIVATION_COUNT},
      {"gate_activation", LSTM__WORD, LSTM__AT(gate_activation), CELL, lstm__activation_names, LSTM_ACTIVATION_COUNT},
      {"peephole", LSTM__FLAG, LSTM__AT(peephole), CELL, NULL, 0},
      {"coupled", LSTM__FLAG, LSTM__AT(coupled), CELL, NULL, 0},
      {"projection", LSTM__SIZE, LSTM__AT(projection), CELL, NULL, 0},
      {"layer_norm", LSTM__FLAG, LSTM__AT(layer_norm), CELL, NULL, 0},
      {"cell_clip", LSTM__NUMBER, LSTM__AT(cell_clip), CELL, NULL, 0},
      {"forget", LSTM__WORD, LSTM__AT(forget), CELL, lstm__forget_names, LSTM_FORGET_COUNT},
      {"noise", LSTM__NUMBER, LSTM__AT(noise), CELL, NULL, 0},
      {"dropout", LSTM__RATE, LSTM__AT(dropout), BOTH, NULL, 0},
      {"recurrent_dropout", LSTM__RATE, LSTM__AT(recurrent_dropout), BOTH, NULL, 0},
      {"zoneout", LSTM__RATE, LSTM__AT(zoneout), BOTH, NULL, 0},
      {"learned_state", LSTM__FLAG, LSTM__AT(learned_state), BOTH, NULL, 0},
      {"bidirectional", LSTM__FLAG, LSTM__AT(bidirectional), BOTH, NULL, 0},
      {"merge", LSTM__WORD, LSTM__AT(merge), BOTH, lstm__merge_names, LSTM_MERGE_COUNT},
      {"tied", LSTM__FLAG, LSTM__AT(tied), EMBEDDING, NULL, 0},
      {"read", LSTM__WORD, LSTM__AT(read), BOTH, lstm__read_names, LSTM_READ_COUNT},
      {"residual", LSTM__FLAG, LSTM__AT(residual), DENSE, NULL, 0},
  };
#undef LSTM__AT
  return options;
}

static int lstm__is_float(const lstm__option *o) { return o->what == LSTM__NUMBER || o->what == LSTM__RATE; }

/* Bytes of a flag, size or word: enums are as wide as an int, or shorter where the ABI (of small ARM CPUs) says so. */
static size_t lstm__bytes_of(const lstm__option *o) { return o->what == LSTM__WORD ? sizeof(lstm_read) : sizeof(int); }

/* What a layer has there. */
static double lstm__option_value(const lstm_layer *l, const lstm__option *o) {
  const char *at = (const char *)l + o->at;
  float number;
  int whole = 0;
  memcpy(&number, at, sizeof number);
  memcpy(&whole, at, lstm__bytes_of(o));
  return lstm__is_float(o) ? (double)number : whole;
}

static lstm_layer lstm__layer_of(lstm_layer_type type, int size, float rate) {
  lstm_layer l = LSTM__ZERO;
  l.type = type;
  l.size = size;
  l.rate = rate;
  return l;
}

/* Defaults become what they stand for. */
static void lstm__resolve_layer(lstm_layer *l) {
  if (l->type == LSTM_LAYER_LSTM && !l->activation) l->activation = LSTM_TANH;
  if (l->type == LSTM_LAYER_DENSE && !l->activation) l->activation = LSTM_LINEAR;
  if (l->type == LSTM_LAYER_LSTM && !l->gate_activation) l->gate_activation = LSTM_SIGMOID;
}

/* Nearly x * 10^power: nine digits determine a float with room to spare for the roundings (1e-14 against 2e-8). */
static double lstm__times_ten(double x, int power) {
  for (; power > 0; --power) x *= 10;
  for (; power < 0; ++power) x /= 10;
  return x;
}

/* The float nearest to digits * 10^power; 0 where it is too large or too small. */
static float lstm__decimal(double digits, int power) {
  const double largest = 3.4028234663852886e38, too_large = 3.4028235677973366e38;
  double x = lstm__times_ten(digits, power);
  return x >= too_large ? 0 : (float)(x < largest ? x : largest);
}

/* The shortest decimal that reads back as the same float. */
static void lstm__put_float(lstm__text *t, float f) {
  double size = f < 0 ? -(double)f : (double)f, digits;
  char text[16];
  lstm__text all = lstm__text_in(text, sizeof text);
  int power = 45, n, point;
  if (lstm__bits_of_float(f) >> 31) lstm__put_char(t, '-');
  if (!lstm__finite((double)f) || f == 0) {
    lstm__put_string(t, f == 0 ? "0" : f != f ? "nan" : "inf");
    return;
  }
  while (power > -39 && lstm__times_ten(size, power) >= 9.5) --power; /* one digit; then as many as it takes */
  for (;; ++power) {
    digits = (double)(uint32_t)(lstm__times_ten(size, power) + 0.5);
    if (digits >= 1 && lstm__decimal(digits, -power) == (float)size) break;
  }
  lstm__put_number(&all, (uint64_t)digits);
  n = (int)all.length;
  point = n - power; /* the value is 0.DIGITS * 10^point */
  if (point < -4 || point > 9) point = 1;
  if (point <= 0) lstm__put(t, "0.0000", (size_t)(2 - point));
  for (int i = 0; i < n || i < point; ++i) {
    if (i > 0 && i == point) lstm__put_char(t, '.');
    lstm__put_char(t, i < n ? text[i] : '0');
  }
  if (n - power != point) lstm__print(t, "e%d", n - power - point);
}

/* "lstm hidden=128 peephole read=last": what is at its default is left out. */
static void lstm__put_layer(lstm__text *t, const lstm_layer *l) {
  lstm_layer plain = lstm__layer_of(l->type, 0, 0);
  lstm__resolve_layer(&plain);
  lstm__put_string(t, lstm__kind_of((int)l->type)->name);
  for (int j = 0; j < LSTM__OPTIONS; ++j) {
    const lstm__option *o = lstm__options() + j;
    double value = lstm__option_value(l, o);
    if (!(o->types >> (int)l->type & 1u)) continue;
    if ((value == 0 || value == lstm__option_value(&plain, o)) && o->at != offsetof(lstm_layer, rate)) continue;
    lstm__print(t, o->what == LSTM__FLAG ? " %s" : " %s=", o->name);
    if (o->what == LSTM__WORD) lstm__put_string(t, o->words[(int)value]);
    if (o->what == LSTM__SIZE) lstm__print(t, "%d", (int)value);
    if (lstm__is_float(o)) lstm__put_float(t, (float)value);
  }
  if (l->name) lstm__print(t, " name=%s", l->name);
}

static int lstm__name_ok(const char *name) {
  static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.";
  size_t n = strspn(name, allowed);
  return n > 0 && n <= 40 && !name[n] && strncmp(name, "trainer.", 8) != 0;
}

/* Checks that an option is within its range, and that a layer of this type has it. */
static lstm_status lstm__check_option(const lstm_layer *l, int i, const lstm__option *o, lstm_error *e) {
  int most = o->what == LSTM__FLAG ? 1 : o->what == LSTM__WORD ? o->word_count - 1 : LSTM_MAX_SIZE;
  double x = lstm__option_value(l, o);
  if (!(o->types >> (int)l->type & 1u)) /* the size has two names */
    return x == 0 || o->at == 0 ? LSTM_OK : lstm__fail(e, LSTM_ERR_ARGUMENT, "layer %d: %s has no %s", i,
                                                       lstm__kind_of((int)l->type)->name, o->name);
  if (lstm__is_float(o))
    return lstm__finite(x) && x >= 0 && (o->what == LSTM__NUMBER || x < 1) ? LSTM_OK :
      lstm__fail(e, LSTM_ERR_ARGUMENT, "layer %d: %s must be at least 0%s", i, o->name,
                 o->what == LSTM__RATE ? " and below 1" : " and finite");
  if (o->what == LSTM__SIZE && x > most)
    return lstm__fail(e, LSTM_ERR_LIMIT, "layer %d: %s is %d, the limit is %d", i, o->name, (int)x, most);
  return x >= 0 && x <= most ? LSTM_OK : lstm__fail(e, LSTM_ERR_ARGUMENT, "layer %d: %s is %d, wanted 0 to %d", i,
                                                    o->name, (int)x, most);
}

/* 1: there are inputs of the model to add to the outputs of layer i. */
static int lstm__can_add_inputs(const lstm_model_desc *d, int i) {
  for (int k = 0; k < i; k++)
    if (d->layers[k].read || d->layers[k].type == LSTM_LAYER_EMBEDDING) return 0;
  return i == d->layer_count - 1 && d->layers[i].activation <= LSTM_LINEAR && d->layers[i].size <= d->input_size;
}

/* Checks what can be checked of one layer alone. */
static lstm_status lstm__check_layer(const lstm_model_desc *d, int i, int last_recurrent) {
  const lstm_layer *l = d->layers + i;
  lstm_error *error = d->error;
  const lstm__kind *kind = l->type < LSTM_LAYER_TYPE_COUNT ? lstm__kind_of((int)l->type) : NULL;
  const char *what = NULL;
  if (!kind) return lstm__fail(error, LSTM_ERR_ARGUMENT, "layer %d: unknown type %d", i, (int)l->type);
  if (kind->sized && l->size < 1)
    return lstm__fail(error, LSTM_ERR_ARGUMENT, "layer %d: size is %d, wanted 1 to %d", i, l->size, LSTM_MAX_SIZE);
  if (!kind->sized && l->size != 0)
    return lstm__fail(error, LSTM_ERR_ARGUMENT, "layer %d: %s has no size", i, kind->name);
  for (int j = 0; j < LSTM__OPTIONS; j++) {
    lstm_status status = lstm__check_option(l, i, lstm__options() + j, error);
    if (status != LSTM_OK) return status;
  }
  if (l->name && (!lstm__name_ok(l->name) || !kind->sized))
    return lstm__fail(error, LSTM_ERR_ARGUMENT, "layer %d: the name \"%s\" will not do (1 to 40 of A-Z a-z 0-9 _ - .)",
                      i, l->name);
  if (l->type == LSTM_LAYER_EMBEDDING && i > 0) what = "an embedding can only be the first layer";
  if (l->read != LSTM_READ_ALL && i != last_recurrent) what = "read belongs to the last recurrent layer";
  if (l->merge && !l->bidirectional) what = "merge needs bidirectional";
  if (l->coupled && l->forget) what = "coupled leaves no forget gate: forget does not go with it";
  if (l->noise != 0 && l->forget != LSTM_FORGET_NOISE) what = "noise needs forget = noise";
  if (l->forget == LSTM_FORGET_NOISE && !(l->noise > 0 && l->noise <= 1))
    what = "forget = noise needs noise above 0 and at most 1";
  if (l->projection > l->size) what = "projection is wider than the cell";
  if (l->residual && !lstm__can_add_inputs(d, i))
    what = "residual: only in the last layer, linear, read all, O <= I features";
  return what ? lstm__fail(error, LSTM_ERR_ARGUMENT, "layer %d: %s", i, what) : LSTM_OK;
}

/* --- the plan ---------------------------------------------------------------------------------------------------- */
/* The walk's memory: where it is, and how to name what comes next. */
struct lstm__walk {
  const lstm_model_desc *d;
  lstm__plan *p;
  lstm__layer *layers;   /* NULL: only measure */
  lstm__tensor *tensors; /* NULL: only measure */
  const lstm_static_model *from; /* or NULL */
  int i, in, source, ids; /* the layer; what it reads: its width, its node; 1: rows of a table, by token */
  int runs, depth, denses, heads; /* runs of recurrent layers; depth within one; dense layers so far; all of them */
  lstm_layer run;                 /* the first layer of the run */
  char prefix[LSTM__NAME];        /* of the tensors that come next */
};

static uint64_t lstm__mix(uint64_t h, const int *x, int n) { /* FNV-1a, of whole numbers: not of their bytes' order */
  for (int i = 0; i < n; i++) h = (h ^ (uint32_t)x[i]) * 0x100000001b3u;
  return h;
}

/* The node's next tensor; 0 where it is over a limit. A run's have the level of their layer at the end. */
static int lstm__add_tensor(lstm__walk *w, lstm__layer *l, int kind, int rows, int columns) {
  static const char *const names[LSTM__T_COUNT] = {
      "weight",      "weight",     "bias",          "weight_ih_l",      "weight_hh_l",      "bias_ih_l", "bias_hn_l",
      "weight_hr_l", "peephole_l", "norm_weight_l", "norm_cell_weight_l", "norm_cell_bias_l", "h0_l",    "c0_l"};
  lstm__plan *p = w->p;
  size_t count, total;
  if (!lstm__mul_ok((size_t)rows, (size_t)(columns ? columns : 1), &count) || !lstm__add_ok(p->params, count, &total) ||
      total > LSTM_MAX_PARAMETERS)
    return 0;
  if (w->tensors) {
    lstm__tensor *t = w->tensors + p->tensors;
    lstm__text name = lstm__text_in(t->name, sizeof t->name);
    if (LSTM__NAMES) lstm__print(&name, "%s.%s", w->prefix, names[kind]);
    if (LSTM__NAMES && l->recurrent) lstm__print(&name, "%d%s", w->depth, l->reverse ? "_reverse" : "");
    t->offset = p->params;
    t->count = count;
    t->rows = rows;
    t->columns = columns;
    t->layer = w->i;
    t->node = p->layers;
    t->kind = kind;
  }
  int now[] = {kind, rows, columns};
  int kept = kind == LSTM__T_H0 || kind == LSTM__T_C0 || (kind == LSTM__T_TABLE && (!w->from || !w->from->table));
  p->fingerprint = lstm__mix(p->fingerprint, now, 3);
  l->tensor[kind] = !w->from ? p->tensors : (int)(w->from->whole ? p->params : p->kept);
  p->kept += kept ? count : 0;
  p->params = total;
  p->tensors++;
  return 1;
}

static const char *lstm__numbered(char out[LSTM__NAME], const char *word, int number) {
  lstm__text t = lstm__text_in(out, LSTM__NAME);
  if (LSTM__NAMES) lstm__print(&t, number < 0 ? "%s" : "%s%d", word, number);
  return out;
}
static int lstm__plan_embedding(lstm__walk *w, lstm__layer *l) {
  lstm__numbered(w->prefix, l->o.name ? l->o.name : "embed", -1);
  return lstm__add_tensor(w, l, LSTM__T_TABLE, l->in, l->out);
}

/* PyTorch's names. An nn.LSTM or nn.GRU has one hidden size, projection and number of directions: a run of recurrent
   layers ends at a dense, or where these change. Summed directions are no module there: they stand alone. */
static void lstm__name_run(lstm__walk *w, const lstm_layer *o) {
  const lstm_layer *r = &w->run;
  if (w->depth > 0 && r->type == o->type && r->size == o->size && r->projection == o->projection &&
      r->bidirectional == o->bidirectional && !r->merge && !o->merge && !o->name)
    return;
  w->runs++;
  w->depth = 0;
  w->run = *o;
  lstm__numbered(w->prefix, o->name ? o->name : "rnn", o->name || w->runs == 1 ? -1 : w->runs - 1);
}

static int lstm__plan_cell(lstm__walk *w, lstm__layer *l) {
  const lstm_layer *o = &l->o;
  int n = l->units, h = l->out, gru = l->type == LSTM_LAYER_GRU, gates = gru ? 3 : 4, norm = o->layer_norm,
      rest = o->learned_state, ok;
  if (!l->reverse) lstm__name_run(w, o);
  if (n > INT_MAX / 4 / 16) return 0;
  ok = lstm__add_tensor(w, l, LSTM__T_WEIGHT_IH, gates * n, l->in) &&
       lstm__add_tensor(w, l, LSTM__T_WEIGHT_HH, gates * n, h) &&
       lstm__add_tensor(w, l, LSTM__T_BIAS, gates * n, 0) &&
       (!gru || lstm__add_tensor(w, l, LSTM__T_BIAS_HN, n, 0)) &&
       (!o->projection || lstm__add_tensor(w, l, LSTM__T_PROJECTION, h, n)) &&
       (!o->peephole || lstm__add_tensor(w, l, LSTM__T_PEEPHOLE, 3 * n, 0)) &&
       (!norm || lstm__add_tensor(w, l, LSTM__T_NORM, 4 * n, 0)) &&
       (!norm || lstm__add_tensor(w, l, LSTM__T_NORM_CELL, n, 0)) &&
       (!norm || lstm__add_tensor(w, l, LSTM__T_NORM_CELL_BIAS, n, 0)) &&
       (!rest || lstm__add_tensor(w, l, LSTM__T_H0, h, 0)) &&
       (!rest || gru || lstm__add_tensor(w, l, LSTM__T_C0, n, 0));
  if (!l->branch || l->reverse) w->depth++;
  return ok;
}

/* The last dense layer may share an embedding's table. */
static int lstm__plan_dense(lstm__walk *w, lstm__layer *l) {
  const char *name = l->o.name;
  int last = ++w->denses == w->heads;
  w->depth = 0;
  lstm__numbered(w->prefix, name ? name : last ? "head" : "dense", name || last ? -1 : w->denses - 1);
  int tied = last && w->d->layers[0].tied;
  if (tied) l->tensor[LSTM__T_WEIGHT] = 0;
  if (!tied && !lstm__add_tensor(w, l, LSTM__T_WEIGHT, l->out, l->in)) return 0;
  return lstm__add_tensor(w, l, LSTM__T_DENSE_BIAS, l->out, 0);
}

/* A node's packed weights: bias, from the input, and a cell's from h; its projection; vectors of the generic pass. */
static int lstm__plan_packed(lstm__plan *p, lstm__layer *l) {
  size_t n = (size_t)l->units_pad, end;
  l->packed = p->packed;
  l->project =
      l->packed + (size_t)l->columns * ((size_t)1 + (size_t)l->in + (size_t)(l->recurrent ? l->out : 0));
  l->vector = l->project + (l->o.projection && l->recurrent ? (size_t)l->out_pad * (size_t)l->units : 0);
  end = l->vector + (size_t)l->vectors * n;
  return lstm__add_ok(p->packed, end - l->packed, &p->packed) && p->packed / 64 <= LSTM_MAX_PARAMETERS;
}

static void lstm__plan_state(lstm__plan *p, lstm__layer *l, int tokens) {
  int c = l->type == LSTM_LAYER_LSTM, row = l->columns + (l->o.projection ? l->units_pad : 0);
  l->state = p->lane;
  l->values = p->state_size;
  p->lane += (size_t)l->out_pad + (c ? (size_t)l->units_pad : 0);
  p->state_size += l->out + (c ? l->units : 0);
  p->last_recurrent = p->layers;
  p->bidirectional |= l->branch;
  if (row > p->gate_row) p->gate_row = row;
  if (l->from_ids && (size_t)tokens <= LSTM_MAX_TOKEN_TABLE / sizeof(float) / (size_t)l->columns) {
    p->table_layer = p->layers;
    p->table = (size_t)tokens * (size_t)l->columns;
  }
}

static int lstm__is_generic(const lstm_layer *o) {
  return o->type == LSTM_LAYER_LSTM &&
         (o->peephole || o->coupled || o->layer_norm || o->cell_clip > 0 || o->forget || o->zoneout > 0 ||
          o->activation != LSTM_TANH || o->gate_activation != LSTM_SIGMOID);
}

/* Adds a node with rows of `out`, which the next one reads unless it is one of two directions. 0: over a limit. */
static int lstm__add_node(lstm__walk *w, int type, int out, int reverse) {
  const lstm__kind *kind = lstm__kind_of(type);
  lstm__plan *p = w->p;
  lstm__layer now = LSTM__ZERO;
  for (int j = 0; j < LSTM__T_COUNT; j++) now.tensor[j] = -1;
  now.type = type;
  now.described = w->i;
  now.o = w->d->layers[w->i];
  lstm__resolve_layer(&now.o);
  now.rate = type != LSTM_LAYER_DROPOUT ? 0 : now.o.type == LSTM_LAYER_DROPOUT ? now.o.rate : now.o.dropout;
  now.source = type == LSTM__NODE_JOIN ? p->layers - (now.o.bidirectional ? 2 : 1) : w->source;
  now.recurrent = kind->recurrent;
  now.gates = kind->gates;
  now.branch = now.recurrent && now.o.bidirectional;
  now.reverse = reverse;
  now.in = type == LSTM__NODE_JOIN ? out : w->in;
  now.out = out;
  now.out_pad = lstm__pad16(out);
  now.units = now.recurrent ? now.o.size : out;
  now.units_pad = lstm__pad16(now.units);
  now.from_ids = w->ids && !now.branch;
  now.generic = lstm__is_generic(&now.o);
  now.vectors = now.generic && now.recurrent ? (now.o.peephole ? 3 : 0) + (now.o.layer_norm ? 10 : 0) : 0;
  now.columns = now.gates * (type == LSTM_LAYER_LSTM && !now.generic ? (now.units + 7) / 8 * 8 : now.units_pad);
  if (kind->plan && !kind->plan(w, &now)) return 0;
  if (!lstm__plan_packed(p, &now)) return 0;
  if (now.recurrent) lstm__plan_state(p, &now, w->d->input_size);
  if (type == LSTM__NODE_JOIN && now.o.read) p->pool = p->layers;
  if (kind->infer || type == LSTM__NODE_JOIN) /* dropout leaves no rows, so states fit with and without it */
    p->widest = lstm__int_max(p->widest, lstm__int_max(now.out_pad, now.units_pad));
  if (w->layers) w->layers[p->layers] = now;
  int node[] = {type, now.in, now.out, now.branch, reverse};
  if (type != LSTM_LAYER_DROPOUT) p->fingerprint = lstm__mix(p->fingerprint, node, 5);
  if (kind->sized) w->ids = type == LSTM_LAYER_EMBEDDING;
  if (!now.branch) w->source = p->layers;
  if (!now.branch) w->in = out;
  p->layers++;
  return 1;
}

/* The nodes of the walk's layer. */
static int lstm__add_nodes(lstm__walk *w) {
  const lstm_layer *l = w->d->layers + w->i;
  const lstm__kind *kind = lstm__kind_of((int)l->type);
  int type = (int)l->type, h = l->projection ? l->projection : l->size, both = l->bidirectional;
  if (!kind->recurrent) return lstm__add_node(w, type, kind->sized ? l->size : w->in, 0);
  if (l->dropout > 0 && !lstm__add_node(w, LSTM_LAYER_DROPOUT, w->in, 0)) return 0;
  if (!lstm__add_node(w, type, h, 0) || (both && !lstm__add_node(w, type, h, 1))) return 0;
  if (!both && !l->read) return 1;
  return lstm__add_node(w, LSTM__NODE_JOIN, both && l->merge == LSTM_MERGE_CONCAT ? 2 * h : h, 0);
}

static lstm_status lstm__check_desc(const lstm_model_desc *d) {
  int last_recurrent = -1;
  lstm_status s = lstm__within(d->error, "layer_count", d->layers ? d->layer_count : 0, 1, LSTM_MAX_LAYERS,
                               LSTM_ERR_LIMIT);
  if (s == LSTM_OK) s = lstm__within(d->error, "input_size", d->input_size, 1, LSTM_MAX_SIZE, LSTM_ERR_LIMIT);
  if (s == LSTM_OK) s = lstm__within(d->error, "output", (int)d->output, 0, LSTM_OUTPUT_COUNT - 1, LSTM_ERR_ARGUMENT);
  if (s == LSTM_OK) s = lstm__within(d->error, "init", (int)d->init, 0, LSTM_INIT_COUNT - 1, LSTM_ERR_ARGUMENT);
  if (s != LSTM_OK) return s;
  for (int i = 0; i < d->layer_count; i++)
    if (d->layers[i].type == LSTM_LAYER_LSTM || d->layers[i].type == LSTM_LAYER_GRU) last_recurrent = i;
  for (int i = 0; i < d->layer_count; i++) {
    s = lstm__check_layer(d, i, last_recurrent);
    if (s != LSTM_OK) return s;
  }
  return LSTM_OK;
}

/* A tied table must fit the last dense layer, whose input is `in` wide. */
static lstm_status lstm__check_tied(const lstm__walk *w, int in) {
  const lstm_model_desc *d = w->d;
  const lstm_layer *table = d->layers, *l = d->layers + w->i;
  if (!table->tied || w->denses < w->heads || l->type != LSTM_LAYER_DENSE) return LSTM_OK;
  if (l->size == d->input_size && in == table->size) return LSTM_OK;
  return lstm__fail(d->error, LSTM_ERR_ARGUMENT,
                    "layer %d: tied to a table of %d tokens and %d columns, but it has %d outputs and %d inputs", w->i,
                    d->input_size, table->size, l->size, in);
}

static lstm_status lstm__check_names(const lstm_model_desc *d, const lstm__tensor *tensors, int count) {
  for (int i = 0; i < count; i++)
    for (int j = 0; LSTM__NAMES && tensors && j < i; j++)
      if (strcmp(tensors[i].name, tensors[j].name) == 0)
        return lstm__fail(d->error, LSTM_ERR_ARGUMENT, "two tensors would be called %s", tensors[i].name);
  return count ? LSTM_OK : lstm__fail(d->error, LSTM_ERR_ARGUMENT, "a model needs a layer that computes something");
}

/* Fills the plan of layers that were checked; layers and tensors too, where they are given. */
static lstm_status lstm__walk_layers(const lstm_model_desc *d, const lstm_static_model *from, lstm__plan *p,
                                     lstm__layer *layers, lstm__tensor *tensors) {
  lstm_status status;
  lstm__walk w;
  memset(p, 0, sizeof *p);
  memset(&w, 0, sizeof w);
  p->table_layer = p->last_recurrent = p->pool = -1;
  p->described = d->layer_count;
  p->fingerprint = 0xcbf29ce484222325u;
  w.d = d;
  w.from = from;
  w.p = p;
  w.layers = layers;
  w.tensors = tensors;
  w.in = d->input_size;
  w.source = -1;
  for (w.i = 0; w.i < d->layer_count; w.i++) w.heads += d->layers[w.i].type == LSTM_LAYER_DENSE;
  if (d->layers[0].tied && !w.heads)
    return lstm__fail(d->error, LSTM_ERR_ARGUMENT, "layer 0: tied, but there is no dense layer");
  for (w.i = 0; w.i < d->layer_count; w.i++) {
    int in = w.in;
    if (!lstm__add_nodes(&w))
      return lstm__fail(d->error, LSTM_ERR_LIMIT, "layer %d: more than %z parameters", w.i,
                        (size_t)LSTM_MAX_PARAMETERS);
    status = lstm__check_tied(&w, in);
    if (status != LSTM_OK) return status;
  }
  int whole[] = {d->input_size, p->widest, p->gate_row, p->pool >= 0};
  p->fingerprint = lstm__mix(p->fingerprint, whole, 4);
  return LSTM_OK;
}

/* Checks the description and fills the plan. */
static lstm_status lstm__make_plan(const lstm_model_desc *d, lstm__plan *p, lstm__layer *layers,
                                   lstm__tensor *tensors) {
  lstm_status status = lstm__check_desc(d);
  if (status == LSTM_OK) status = lstm__walk_layers(d, NULL, p, layers, tensors);
  return status == LSTM_OK && (tensors || !p->tensors) ? lstm__check_names(d, tensors, p->tensors) : status;
}
static uint64_t lstm__hash(uint64_t h, const void *data, size_t size) { /* FNV-1a */
  const unsigned char *p = (const unsigned char *)data;
  for (size_t i = 0; i < size; i++) h = (h ^ p[i]) * 0x100000001b3u;
  return h;
}

/* Of the places of the layers in the description. */
static uint64_t lstm__description_hash(const lstm_model *m) {
  uint64_t h = 0;
  for (int i = 0; i < m->plan.described; i++) h = lstm__hash(h + 1, &m->described[i].type, sizeof m->described[i].type);
  return h;
}

/* [SECTION] Model ================================================================================================== */
LSTM_API lstm_layer lstm_embedding(int columns) { return lstm__layer_of(LSTM_LAYER_EMBEDDING, columns, 0); }
LSTM_API lstm_layer lstm_lstm(int hidden_size) { return lstm__layer_of(LSTM_LAYER_LSTM, hidden_size, 0); }
LSTM_API lstm_layer lstm_gru(int hidden_size) { return lstm__layer_of(LSTM_LAYER_GRU, hidden_size, 0); }
LSTM_API lstm_layer lstm_dense(int outputs) { return lstm__layer_of(LSTM_LAYER_DENSE, outputs, 0); }
LSTM_API lstm_layer lstm_dropout(float rate) { return lstm__layer_of(LSTM_LAYER_DROPOUT, 0, rate); }

/* The units of a cell's block of gates that has `column`: 16; a plain cell's last has 8 where that is enough. */
LSTM__FORCE_INLINE int lstm__block_of(const lstm__layer *l, int column) {
  return lstm__int_min(64, l->columns - column / 64 * 64) / 4;
}

/* Where a unit's gate is in a row of gates [units / 16][4][16]; the last block may be [4][8]. */
LSTM__FORCE_INLINE int lstm__gate_at(const lstm__layer *l, int gate, int unit) {
  return unit / 16 * 64 + gate * lstm__block_of(l, unit / 16 * 64) + unit % 16;
}

/* Where column `column` of a node's packed panels is in a tensor of kind `kind`: its row, or -1. Panels have 64
   columns: a block of four gates; of one, up to 64 units. A GRU's four are r, z, and n's from x and from h. */
LSTM__FORCE_INLINE int lstm__row_of(const lstm__layer *l, int kind, int column) {
  int block = l->gates == 1 ? 64 : lstm__block_of(l, column), unit = column % 64 % block, gate = column % 64 / block;
  unit += l->gates == 1 ? column / 64 * 64 : column / 64 * 16;
  if (column >= l->columns || unit >= l->units) return -1;
  if (l->type == LSTM_LAYER_GRU) {
    if (kind == LSTM__T_BIAS_HN) return gate == 3 ? unit : -1;
    if (gate == (kind == LSTM__T_WEIGHT_HH ? 2 : 3)) return -1;
    if (gate == 3) gate = 2;
  }
  return gate * l->units + unit;
}

/* How many of the *block columns from `column`, the first of a gate, are rows, and which is the first of these. */
static int lstm__run_of(const lstm__layer *l, int kind, int column, int *row, int *block) {
  int first = lstm__row_of(l, kind, column);
  *block = l->gates == 1 ? 16 : lstm__block_of(l, column);
  *row = first < 0 ? 0 : first;
  return first < 0 ? 0 : lstm__int_min(*block, l->units - first % l->units);
}
static const float *lstm__param(const lstm_model *m, const lstm__layer *l, int kind) {
  return m->params + (m->tensors ? m->tensors[l->tensor[kind]].offset : (size_t)l->tensor[kind]);
}

/* Packs weights [rows][k] into panels first .. end - 1 of a node, of `panel_rows` rows, from row `at`; 0 is padding. */
static void lstm__pack(const lstm_model *m, float *packed, const lstm__layer *l, size_t panel_rows, size_t at, int kind,
                       int k, int first, int end) {
  const float *w = lstm__param(m, l, kind);
  int columns = lstm__int_min(l->columns, end * 64), block, row, j;
  for (int column = first * 64; column < columns; column += block) {
    int panel = column / 64, live = lstm__run_of(l, kind, column, &row, &block);
    size_t width = (size_t)lstm__int_min(64, l->columns - panel * 64);
    float *to = packed + (size_t)panel * panel_rows * 64 + at * width + (size_t)(column % 64);
    const float *from = w + (size_t)row * (size_t)k;
    if (!live && kind == LSTM__T_BIAS_HN) continue; /* beside the other bias */
    for (int i = 0; i < k; i++, from++, to += width) {
      for (j = 0; j < live; j++) to[j] = from[(size_t)j * (size_t)k];
      for (; j < block; j++) to[j] = 0;
    }
  }
}

/* A plain matrix of one column a unit, as a node of its own; see lstm__row_of. */
static lstm__layer lstm__projection_of(const lstm__layer *l) {
  lstm__layer r = LSTM__ZERO;
  r.type = LSTM_LAYER_DENSE;
  r.gates = 1;
  r.in = l->units;
  r.out = r.units = l->out;
  r.out_pad = r.units_pad = r.columns = l->out_pad;
  memcpy(r.tensor, l->tensor, sizeof r.tensor);
  return r;
}

/* Where vector i of the generic pass begins in params: peepholes; gains and biases of the gates; the cell's. */
static size_t lstm__vector_at(const lstm_model *m, const lstm__layer *l, int i) {
  static const int kinds[] = {LSTM__T_PEEPHOLE, LSTM__T_NORM, LSTM__T_BIAS, LSTM__T_NORM_CELL, LSTM__T_NORM_CELL_BIAS};
  static const int counts[] = {3, 4, 4, 1, 1};
  int k = l->o.peephole ? 0 : 1;
  while (i >= counts[k]) i -= counts[k++];
  return m->tensors[l->tensor[kinds[k]]].offset + (size_t)i * (size_t)l->units;
}

/* The vectors of the generic pass, padded with 0. */
static void lstm__pack_vectors(lstm_model *m, const lstm__layer *l) {
  float *to = m->packed + l->vector;
  for (int i = 0; i < l->vectors; i++, to += l->units_pad) {
    memset(to, 0, (size_t)l->units_pad * sizeof(float));
    memcpy(to, m->params + lstm__vector_at(m, l, i), (size_t)l->units * sizeof(float));
  }
}

/* Panels first .. end - 1 of a node, and what it has besides with the first. */
static void lstm__pack_layer(lstm_model *m, const lstm__layer *l, int first, int end) {
  float *to = m->packed + l->packed;
  size_t in = (size_t)l->in, rows = 1 + in + (size_t)(l->recurrent ? l->out : 0);
  int bias = l->recurrent ? LSTM__T_BIAS : LSTM__T_DENSE_BIAS, x = l->recurrent ? LSTM__T_WEIGHT_IH : LSTM__T_WEIGHT;
  if (!l->gates) return;
  lstm__pack(m, to, l, rows, 0, bias, 1, first, end);
  lstm__pack(m, to, l, rows, 1, x, l->in, first, end);
  if (!l->recurrent) return;
  lstm__pack(m, to, l, rows, 1 + in, LSTM__T_WEIGHT_HH, l->out, first, end);
  if (l->type == LSTM_LAYER_GRU) lstm__pack(m, to, l, rows, 0, LSTM__T_BIAS_HN, 1, first, end);
  if (l->o.projection) {
    lstm__layer r = lstm__projection_of(l);
    lstm__pack(m, m->packed + l->project, &r, (size_t)l->units, 0, LSTM__T_PROJECTION, l->units, first, end);
  }
  if (l->o.layer_norm) { /* the bias is added after the normalisation */
    for (int b = first; b < lstm__int_min(end, l->units_pad / 16); b++)
      memset(to + (size_t)b * rows * 64, 0, 64 * sizeof(float));
  }
  if (first == 0) lstm__pack_vectors(m, l);
}

enum { LSTM__FROM_ZERO, LSTM__FROM_BIAS, LSTM__FROM_OUTPUT }; /* where the chains of a product begin */

static lstm__rows lstm__rows_at(const float *p, size_t stride, const int *index) {
  lstm__rows r = {p, stride, index};
  return r;
}
static lstm__out_rows lstm__out_rows_at(float *p, size_t stride, const int *index) {
  lstm__out_rows r = {p, stride, index};
  return r;
}

/* c [rows][columns] = start + a [rows][k] w */
static void lstm__gemm(const lstm_model *m, int rows, int k, int columns, int from, const float *w, lstm__rows a,
                       lstm__out_rows c) {
  lstm__gemm_job job = {rows, k, columns, from == LSTM__FROM_BIAS, from == LSTM__FROM_OUTPUT, 1, 0, w, a, c};
  m->kernels->gemm(&job);
}

/* The start values of tokens from .. to - 1, bias and the embedding's row through weight_ih: the same chain. */
static void lstm__fill_table(lstm_model *m, int from, int to) {
  const lstm__layer *l = m->layers + m->plan.table_layer;
  size_t row = (size_t)l->columns, panel = ((size_t)1 + (size_t)l->in + (size_t)l->out) * 64;
  for (int b = 0; b * 64 < l->columns; b++)
    lstm__gemm(m, to - from, l->in, lstm__block_of(l, b * 64) * 4, LSTM__FROM_BIAS,
               m->packed + l->packed + (size_t)b * panel,
               lstm__rows_at(lstm__param(m, m->layers, LSTM__T_TABLE) + lstm__at(from, l->in), (size_t)l->in, NULL),
               lstm__out_rows_at(m->table + (size_t)from * row + (size_t)b * 64, row, NULL));
}

LSTM_API void lstm_model_refresh(lstm_model *m) {
  if (!m->tensors) return;
  m->revision++;
  for (int i = 0; i < m->plan.layers; i++) lstm__pack_layer(m, m->layers + i, 0, INT_MAX / 64);
  m->table_valid = m->table != NULL;
  if (m->table_valid) lstm__fill_table(m, 0, m->desc.input_size);
}

/* Carves a model out of an arena; the plan is known. */
static lstm_model *lstm__carve_model(lstm__arena *a, const lstm__plan *p, size_t meta_size) {
  lstm_model local, *m = (lstm_model *)lstm__carve(a, 1, sizeof(lstm_model));
  lstm_model *to = m ? m : &local;
  memset(to, 0, sizeof *to);
  to->plan = *p;
  to->layers = (lstm__layer *)lstm__carve(a, (size_t)p->layers, sizeof(lstm__layer));
  to->tensors = (lstm__tensor *)lstm__carve(a, (size_t)p->tensors, sizeof(lstm__tensor));
  to->described = (lstm_layer *)lstm__carve(a, (size_t)p->described, sizeof(lstm_layer));
  to->names = (char(*)[LSTM__NAME])lstm__carve(a, (size_t)p->described, LSTM__NAME);
  to->meta = (char *)lstm__carve(a, meta_size, 1);
  to->params = lstm__carve_floats(a, p->params + 16);
  to->packed = lstm__carve_floats(a, p->packed);
  to->table = p->table ? lstm__carve_floats(a, p->table) : NULL;
  to->meta_size = meta_size;
  return m;
}

/* Fills a carved model from its description, all weights zero. */
static lstm_status lstm__set_up_model(lstm_model *m, const lstm_model_desc *d, const lstm__kernels *kernels) {
  lstm_status status;
  m->desc = *d;
  m->desc.error = NULL;
  m->desc.layers = m->described;
  m->desc.isa = kernels->isa;
  if (!m->desc.numerics) m->desc.numerics = LSTM_FUSED;
  m->kernels = kernels;
  for (int i = 0; i < d->layer_count; i++) {
    m->described[i] = d->layers[i];
    lstm__resolve_layer(m->described + i);
    if (d->layers[i].name) {
      lstm__numbered(m->names[i], d->layers[i].name, -1);
      m->described[i].name = m->names[i];
    }
  }
  status = lstm__make_plan(d, &m->plan, m->layers, m->tensors); /* now that there are names, they are compared */
  if (status != LSTM_OK) return status;
  memset(m->params, 0, (m->plan.params + 16) * sizeof(float));
  m->fingerprint = m->plan.fingerprint;
  return LSTM_OK;
}

static lstm_status lstm__choose_kernels(lstm_isa isa, lstm_numerics numerics, const lstm__kernels **out,
                                        lstm_error *error) {
  if (numerics == LSTM_PORTABLE && !LSTM__HAS_PORTABLE)
    return lstm__fail(error, LSTM_ERR_UNSUPPORTED, "this build has no portable numerics; see NUMERICS in lstm.h");
  *out = lstm__kernels_of(isa, numerics);
  if (*out) return LSTM_OK;
  return lstm__fail(error, LSTM_ERR_UNSUPPORTED, "the instruction set %s is not usable here", lstm_isa_name(isa));
}

static lstm_status lstm__measure_model(const lstm_model_desc *d, size_t meta_size, lstm__plan *plan, size_t *size) {
  lstm__arena arena = {NULL, 0, 0};
  lstm_status status = lstm__make_plan(d, plan, NULL, NULL);
  if (status != LSTM_OK) return status;
  if ((unsigned)d->numerics >= LSTM_NUMERICS_COUNT)
    return lstm__fail(d->error, LSTM_ERR_ARGUMENT, "numerics: there is no value %d", (int)d->numerics);
  (void)lstm__carve_model(&arena, plan, meta_size);
  *size = arena.used;
  return arena.overflow ? lstm__fail(d->error, LSTM_ERR_LIMIT, "the model is too large for this machine") : LSTM_OK;
}

/* How models come to be: weights 0, nothing packed, room for metadata. memory NULL: of the description's allocator. */
static lstm_status lstm__build_model(const lstm_model_desc *d, size_t meta_size, void *memory, size_t memory_size,
                                     lstm_model **out) {
  lstm__plan plan;
  lstm__arena arena;
  const lstm__kernels *kernels;
  size_t size = 0;
  void *block;
  *out = NULL;
  lstm_status status = lstm__measure_model(d, meta_size, &plan, &size);
  if (status == LSTM_OK) status = lstm__choose_kernels(d->isa, d->numerics, &kernels, d->error);
  if (status != LSTM_OK) return status;
  status = lstm__place(&d->allocator, size, memory, memory_size, &arena, &block, d->error);
  if (status != LSTM_OK) return status;
  *out = lstm__carve_model(&arena, &plan, meta_size);
  status = lstm__set_up_model(*out, d, kernels);
  (*out)->block = block;
  if (status == LSTM_OK) return status;
  lstm__free(&d->allocator, block);
  *out = NULL;
  return status;
}

LSTM_API lstm_status lstm_model_size(const lstm_model_desc *desc, size_t *size) {
  lstm__plan plan;
  if (size) *size = 0;
  return desc && size ? lstm__measure_model(desc, 0, &plan, size) : LSTM_ERR_ARGUMENT;
}

/* Uniform in -limit..limit. Each tensor is a stream of its own: what one draws changes no other. */
static void lstm__init_uniform(float *w, size_t count, float limit, uint64_t seed, uint64_t stream) {
  uint32_t block[4];
  for (size_t i = 0; i < count; i++) {
    if (i % 4 == 0) lstm__random_block(seed, stream, i / 4, block);
    w[i] = (float)lstm__mul((double)((float)(block[i % 4] >> 8) * (1.0f / 8388608.0f) - 1.0f), (double)limit);
  }
}

/* Normal numbers by Marsaglia's polar method; each pair tries until it hits the disc. */
static void lstm__init_normal(float *w, size_t count, uint64_t seed, uint64_t stream) {
  uint64_t index = 0;
  size_t i = 0;
  while (i < count) {
    uint32_t block[4];
    lstm__random_block(seed, stream, index++, block);
    for (int half = 0; half < 2 && i < count; half++) {
      double u = (double)block[2 * half] * (2.0 / 4294967296.0) - 1,
             v = (double)block[2 * half + 1] * (2.0 / 4294967296.0) - 1;
      double s = lstm__mul(u, u) + lstm__mul(v, v), scale;
      if (s >= 1 || s == 0) continue;
      scale = lstm__sqrt(lstm__mul(-2, lstm__log(s)) / s);
      w[i++] = (float)lstm__mul(u, scale);
      if (i < count) w[i++] = (float)lstm__mul(v, scale);
    }
  }
}

/* Orthonormal columns w [rows][columns]: Gram-Schmidt, twice, on normal numbers. scratch [columns][rows padded]. */
static void lstm__init_orthogonal(const lstm__kernels *k, float *w, int rows, int columns, float *scratch,
                                  uint64_t seed, uint64_t stream) {
  int n = lstm__pad16(rows);
  for (int i = 0; i < columns; i++) {
    float *v = scratch + (size_t)i * (size_t)n;
    memset(v, 0, (size_t)n * sizeof(float));
    lstm__init_normal(v, (size_t)rows, seed, stream + ((uint64_t)(i + 1) << 32));
    for (int pass = 0; pass < 2; pass++) {
      for (int j = 0; j < i; j++)
        k->axpy(n, v, -k->dot(n, v, scratch + (size_t)j * (size_t)n), scratch + (size_t)j * (size_t)n);
      double length = lstm__sqrt((double)k->dot(n, v, v));
      k->divide(n, v, (float)length);
    }
    for (int r = 0; r < rows; r++) w[(size_t)r * (size_t)columns + (size_t)i] = v[r];
  }
}

static void lstm__init_pytorch(lstm_model *m, const lstm__tensor *t, uint64_t stream) {
  const lstm__layer *l = m->layers + t->node;
  float *w = m->params + t->offset, limit = (float)lstm__sqrt(1.0 / (l->recurrent ? l->units : l->in));
  /* A bias is the sum of two, each drawn (a GRU's n keeps both); the packed weights' memory, still unused, has one. */
  size_t n = t->kind != LSTM__T_BIAS ? 0 : l->type == LSTM_LAYER_GRU ? 2 * (size_t)l->units : t->count;
  lstm__init_uniform(w, t->count, limit, m->desc.seed, stream);
  lstm__init_uniform(m->packed, n, limit, m->desc.seed, stream + ((uint64_t)1 << 32));
  for (size_t i = 0; i < n; i++) w[i] = w[i] + m->packed[i];
}

/* Glorot and Bengio, 2010; orthogonal: Saxe et al., 2014; forget bias: Gers et al., 2000, Jozefowicz et al., 2015. */
static void lstm__init_default(lstm_model *m, const lstm__tensor *t, uint64_t stream) {
  const lstm__layer *l = m->layers + t->node;
  float *w = m->params + t->offset;
  if (t->kind == LSTM__T_WEIGHT_HH) { /* the packed weights' memory has the room and is still unused */
    lstm__init_orthogonal(m->kernels, w, t->rows, t->columns, m->packed + l->packed, m->desc.seed, stream);
  } else if (t->kind == LSTM__T_BIAS) {
    for (int i = 0; l->type == LSTM_LAYER_LSTM && i < l->units; i++) w[l->units + i] = 1.0f;
  } else if (t->columns) {
    lstm__init_uniform(w, t->count, (float)lstm__sqrt(6.0 / ((double)t->rows + (double)t->columns)), m->desc.seed,
                       stream);
  }
}

static lstm_status lstm__create_model(const lstm_model_desc *desc, void *memory, size_t size, lstm_model **out) {
  if (out) *out = NULL;
  if (!desc || !out) return LSTM_ERR_ARGUMENT;
  lstm_status status = lstm__build_model(desc, 0, memory, size, out);
  if (status != LSTM_OK) return status;
  lstm_model *m = *out;
  for (int i = 0; i < m->plan.tensors && desc->init != LSTM_INIT_ZERO; i++) {
    const lstm__tensor *t = m->tensors + i;
    if (t->kind == LSTM__T_TABLE)
      lstm__init_normal(m->params + t->offset, t->count, desc->seed, (uint64_t)(i + 1));
    else if (t->kind < LSTM__T_NORM)
      (desc->init == LSTM_INIT_PYTORCH ? lstm__init_pytorch : lstm__init_default)(m, t, (uint64_t)(i + 1));
    else /* as if it were not there: gains 1, all others 0 */
      for (size_t j = 0; j < t->count && t->kind <= LSTM__T_NORM_CELL; j++) m->params[t->offset + j] = 1.0f;
  }
  lstm_model_refresh(m);
  return LSTM_OK;
}

LSTM_API lstm_status lstm_model_create(const lstm_model_desc *desc, lstm_model **out) {
  return lstm__create_model(desc, NULL, 0, out);
}
LSTM_API lstm_status lstm_model_create_in(const lstm_model_desc *desc, void *memory, size_t size, lstm_model **out) {
  return lstm__create_model(memory ? desc : NULL, memory, size, out);
}

/* Plans what constants describe, and sees that they fit the plan. memory: the model; NULL: only measures. */
static lstm_status lstm__set_up_static(const lstm_static_model *from, lstm_model *m, lstm__layer *layers) {
  lstm_model_desc *d = &m->desc;
  const lstm__plan *p = &m->plan;
  memset(m, 0, sizeof *m);
  if (from->version != LSTM_STATIC_VERSION) return LSTM_ERR_VERSION;
  if (!from->layers || from->layer_count < 1 || !from->packed || (from->param_count && !from->params))
    return LSTM_ERR_ARGUMENT;
  lstm_model_desc described = {from->input_size, from->layer_count, from->layers, from->output, LSTM_INIT_DEFAULT,
                               LSTM_ISA_AUTO, 0, {NULL, NULL, NULL}, NULL, from->numerics};
  *d = described;
  for (int i = 0; i < d->layer_count; i++)
    if ((unsigned)d->layers[i].type - 1 >= LSTM_LAYER_TYPE_COUNT - 1) return LSTM_ERR_MISMATCH;
  lstm_status status = lstm__walk_layers(d, from, &m->plan, layers, NULL);
  if (status != LSTM_OK) return status;
  if (from->fingerprint != p->fingerprint || from->packed_count != p->packed || !from->table != !from->table_count ||
      from->table_count != (from->table ? p->table : 0) || from->param_count != (from->whole ? p->params : p->kept) ||
      (unsigned)from->output >= LSTM_OUTPUT_COUNT || (unsigned)from->numerics >= LSTM_NUMERICS_COUNT)
    return LSTM_ERR_MISMATCH;
  m->fingerprint = p->fingerprint;
  m->layers = layers;
  m->described = (lstm_layer *)(uintptr_t)from->layers; /* a static model writes to none of these */
  m->packed = (float *)(uintptr_t)from->packed;
  m->table = (float *)(uintptr_t)from->table;
  m->params = from->params ? (float *)(uintptr_t)from->params : m->packed; /* of which nothing is read then */
  m->table_valid = m->table != NULL;
  m->plan.tensors = 0;
  return LSTM_OK;
}

LSTM_API lstm_status lstm_model_static_size(const lstm_static_model *from, size_t *size) {
  lstm_model m;
  lstm__arena arena = {NULL, 0, 0};
  lstm_status status = from && size ? lstm__set_up_static(from, &m, NULL) : LSTM_ERR_ARGUMENT;
  if (size) *size = 0;
  if (status != LSTM_OK) return status;
  (void)lstm__carve(&arena, 1, sizeof m);
  (void)lstm__carve(&arena, (size_t)m.plan.layers, sizeof *m.layers);
  *size = arena.used;
  return LSTM_OK;
}

LSTM_API lstm_status lstm_model_from_static(const lstm_static_model *from, void *memory, size_t size,
                                            lstm_model **out) {
  lstm__arena arena;
  const lstm__kernels *kernels;
  size_t needed;
  void *block;
  if (out) *out = NULL;
  if (!memory || !out) return LSTM_ERR_ARGUMENT;
  lstm_status status = lstm_model_static_size(from, &needed);
  if (status == LSTM_OK) status = lstm__choose_kernels(from->isa, from->numerics, &kernels, NULL);
  if (status == LSTM_OK) status = lstm__place(NULL, needed, memory, size, &arena, &block, NULL);
  if (status != LSTM_OK) return status;
  *out = (lstm_model *)lstm__carve(&arena, 1, sizeof **out);
  (void)lstm__set_up_static(from, *out, (lstm__layer *)lstm__carve(&arena, 1, sizeof(lstm__layer)));
  (*out)->kernels = kernels;
  (*out)->desc.isa = kernels->isa;
  return LSTM_OK;
}

LSTM_API lstm_status lstm_model_to_static(const lstm_model *model, lstm_static_model *out) {
  if (out) memset(out, 0, sizeof *out);
  if (!model || !out) return LSTM_ERR_ARGUMENT;
  if (!model->tensors) return LSTM_ERR_UNSUPPORTED;
  const lstm_model_desc *d = &model->desc;
  const lstm__plan *p = &model->plan;
  const float *table = model->table_valid ? model->table : NULL;
  const lstm_static_model view = {
      LSTM_STATIC_VERSION, d->input_size, d->layer_count, d->output, d->numerics, LSTM_ISA_AUTO, model->fingerprint,
      model->described, p->packed, table ? p->table : 0, p->params, model->packed, table, model->params, 1};
  *out = view;
  return LSTM_OK;
}

LSTM_API void lstm_model_destroy(lstm_model *model) { if (model) lstm__free(&model->desc.allocator, model->block); }
LSTM_API const lstm_model_desc *lstm_model_desc_of(const lstm_model *model) { return &model->desc; }
LSTM_API int lstm_model_input_size(const lstm_model *model) { return model->desc.input_size; }
LSTM_API int lstm_model_output_size(const lstm_model *model) { return model->layers[model->plan.layers - 1].out; }
LSTM_API int lstm_model_takes_ids(const lstm_model *model) { return model->layers[0].type == LSTM_LAYER_EMBEDDING; }
LSTM_API int lstm_model_state_size(const lstm_model *model) { return model->plan.state_size; }
LSTM_API lstm_isa lstm_model_isa(const lstm_model *model) { return model->kernels->isa; }
LSTM_API lstm_output lstm_model_output(const lstm_model *model) { return model->desc.output; }
LSTM_API size_t lstm_model_parameter_count(const lstm_model *model) { return model->plan.params; }
LSTM_API int lstm_model_tensor_count(const lstm_model *model) { return model->plan.tensors; }
LSTM_API int lstm_model_reads_last(const lstm_model *model) { return model->plan.pool >= 0; }
LSTM_API int lstm_model_bidirectional(const lstm_model *model) { return model->plan.bidirectional; }

static lstm_status lstm__tensor_view(const lstm_model *m, int i, float *base, lstm_tensor *out) {
  if (out) memset(out, 0, sizeof *out);
  if (!m->tensors) return LSTM_ERR_UNSUPPORTED;
  if (!out || i < 0 || i >= m->plan.tensors) return LSTM_ERR_ARGUMENT;
  const lstm__tensor *t = m->tensors + i;
  const lstm_tensor view = {t->rows, t->columns, t->count, base + t->offset, t->name};
  *out = view;
  return LSTM_OK;
}

LSTM_API lstm_status lstm_model_tensor(const lstm_model *model, int i, lstm_tensor *out) {
  return model ? lstm__tensor_view(model, i, model->params, out) : LSTM_ERR_ARGUMENT;
}

LSTM_API lstm_status lstm_model_copy_weights(lstm_model *to, const lstm_model *from) {
  if (!to || !from) return LSTM_ERR_ARGUMENT;
  if (!to->tensors || !from->tensors) return LSTM_ERR_UNSUPPORTED;
  if (to->fingerprint != from->fingerprint || to->plan.params != from->plan.params) return LSTM_ERR_MISMATCH;
  memcpy(to->params, from->params, from->plan.params * sizeof(float));
  lstm_model_refresh(to);
  return LSTM_OK;
}

LSTM_API size_t lstm_model_summary(const lstm_model *model, char *text, size_t capacity) {
  lstm__text t = lstm__text_in(text, capacity);
  int j;
  lstm__print(&t, "input %d%s\n", model->desc.input_size, lstm_model_takes_ids(model) ? " tokens" : "");
  for (int i = 0; i < model->plan.described; i++) {
    size_t count = 0;
    for (j = 0; j < model->plan.tensors; j++)
      if (model->tensors[j].layer == i) count += model->tensors[j].count;
    for (j = 0; model->layers[j].described < i;) j++;
    lstm__put_layer(&t, model->described + i);
    lstm__print(&t, ": %d -> ", model->layers[j].in);
    for (; j < model->plan.layers - 1 && model->layers[j + 1].described == i;) j++;
    lstm__print(&t, "%d", model->layers[j].out);
    lstm__print(&t, model->tensors ? ", %z parameters\n" : "\n", count);
  }
  lstm__print(&t, "output %d, %s\n%z parameters, %z bytes, runs on %s%s\n", lstm_model_output_size(model),
              lstm__output_names[model->desc.output], model->plan.params, model->plan.params * sizeof(float),
              lstm_isa_name(model->kernels->isa), model->desc.numerics == LSTM_PORTABLE ? ", portable numerics" : "");
  return t.length;
}

LSTM_API int lstm_model_meta_count(const lstm_model *model) { return model->meta_count; }

/* Pair i begins after 2 i strings. */
static const char *lstm__meta_string(const lstm_model *m, int i, int second) {
  const char *s = m->meta;
  if (i < 0 || i >= m->meta_count) return NULL;
  for (int skip = 2 * i + second; skip > 0; skip--) s += strlen(s) + 1;
  return s;
}
LSTM_API const char *lstm_model_meta_key(const lstm_model *model, int i) { return lstm__meta_string(model, i, 0); }
LSTM_API const char *lstm_model_meta_value(const lstm_model *model, int i) { return lstm__meta_string(model, i, 1); }
LSTM_API const char *lstm_model_meta(const lstm_model *model, const char *key) {
  for (int i = 0; key && i < model->meta_count; i++)
    if (strcmp(lstm_model_meta_key(model, i), key) == 0) return lstm_model_meta_value(model, i);
  return NULL;
}

/* [SECTION] State ================================================================================================== */
#define LSTM__GROUP 48 /* rows that go through the layers together: bounds scratch, and the length of a task */
/* Persists: this head, [lanes][lane_floats], for each cell h, c [H padded]. After saved_size bytes: a tail, scratch. */
struct lstm_state {
  uint64_t fingerprint; /* the model's */
  uint64_t saved_size;
  uint64_t lane_floats;
  uint32_t lanes, version;
  uint64_t unused[4]; /* the lanes begin at a multiple of LSTM_ALIGNMENT */
};

#define LSTM__STATE_VERSION 1
/* Offsets in bytes of a state's parts; slot: floats of one task's scratch. */
typedef struct lstm__state_layout {
  size_t saved, sums, scratch, slot, total;
  lstm_state_desc desc; /* resolved */
  int group;
} lstm__state_layout;

typedef struct lstm__state_tail {
  void *block;
  lstm_trace *traces;
  int trace_count;
  uint64_t traced; /* lstm__description_hash of the model that they were made for */
  int turn;        /* of the next step, see lstm__inference */
  lstm__state_layout at;
} lstm__state_tail;

/* A task's scratch, in rows of a group: outputs of nodes twice, lstm__pool_at, and a bidirectional model's whole
   sequences: the input and output of a node, and what each direction gave. Then the gates, and a row to spare. */
static size_t lstm__scratch_rows(const lstm_model *m, int seq_len) {
  return 3 + (m->plan.bidirectional ? 3 * (size_t)seq_len : 0);
}

static lstm_status lstm__lay_out_state(const lstm_model *m, const lstm_state_desc *desc, lstm__state_layout *s) {
  lstm_state_desc *d = &s->desc;
  lstm__arena a = {NULL, 0, 0};
  memset(s, 0, sizeof *s);
  if (desc) *d = *desc;
  if (!d->lanes) d->lanes = 1;
  if (!d->tasks) d->tasks = 1;
  if (!d->seq_len) d->seq_len = 1;
  lstm_status status = lstm__within(d->error, "lanes", d->lanes, 1, LSTM_MAX_LANES, LSTM_ERR_LIMIT);
  if (status == LSTM_OK) status = lstm__within(d->error, "tasks", d->tasks, 1, INT_MAX, LSTM_ERR_ARGUMENT);
  if (status == LSTM_OK) status = lstm__within(d->error, "seq_len", d->seq_len, 1, LSTM_MAX_SEQ_LEN, LSTM_ERR_ARGUMENT);
  if (status != LSTM_OK) return status;
  d->tasks = lstm__int_min(d->tasks, d->lanes);
  s->group = lstm__int_min(d->lanes, LSTM__GROUP);
  (void)lstm__carve(&a, 1, sizeof(lstm_state));
  (void)lstm__carve(&a, (size_t)d->lanes, m->plan.lane * sizeof(float));
  s->saved = a.used;
  (void)lstm__carve(&a, 1, sizeof(lstm__state_tail));
  s->sums = a.used;
  (void)lstm__carve(&a, (size_t)d->lanes, sizeof(lstm_metrics));
  s->scratch = a.used;
  size_t floats = lstm__scratch_rows(m, d->seq_len) * (size_t)s->group + 1;
  if (!lstm__mul_ok(floats, (size_t)m->plan.widest, &s->slot) ||
      !lstm__add_ok(s->slot, (size_t)s->group * (size_t)m->plan.gate_row, &s->slot) ||
      !lstm__mul_ok((size_t)d->tasks, s->slot, &floats))
    a.overflow = 1;
  (void)lstm__carve_floats(&a, floats);
  s->total = a.used;
  return a.overflow ? lstm__fail(d->error, LSTM_ERR_LIMIT, "the state is too large for this machine") : LSTM_OK;
}

static float *lstm__lane(lstm_state *s, int lane) { return (float *)(s + 1) + (size_t)lane * (size_t)s->lane_floats; }
static const float *lstm__const_lane(const lstm_state *s, int lane) {
  return (const float *)(s + 1) + (size_t)lane * (size_t)s->lane_floats;
}
static lstm__state_tail *lstm__tail(lstm_state *s) { return (lstm__state_tail *)(void *)((char *)s + s->saved_size); }
static lstm_metrics *lstm__state_sums(lstm_state *s) {
  return (lstm_metrics *)(void *)((unsigned char *)s + lstm__tail(s)->at.sums);
}
static float *lstm__scratch(lstm_state *s, int task) {
  const lstm__state_layout *at = &lstm__tail(s)->at;
  return (float *)(void *)((unsigned char *)s + at->scratch) + (size_t)task * at->slot;
}

static lstm_status lstm__create_state(const lstm_model *m, const lstm_state_desc *desc, void *memory, size_t size,
                                      lstm_state **out) {
  lstm__state_layout at;
  lstm__arena arena;
  void *block;
  if (out) *out = NULL;
  if (!m || !out) return LSTM_ERR_ARGUMENT;
  lstm_status status = lstm__lay_out_state(m, desc, &at);
  if (status == LSTM_OK)
    status = lstm__place(&at.desc.allocator, at.total, memory, size, &arena, &block, at.desc.error);
  if (status != LSTM_OK) return status;
  memset(arena.base, 0, at.total);
  *out = (lstm_state *)(void *)arena.base;
  const lstm_state head = {m->fingerprint, at.saved, m->plan.lane, (uint32_t)at.desc.lanes, LSTM__STATE_VERSION, {0}};
  **out = head;
  lstm__state_tail *tail = lstm__tail(*out);
  tail->block = block;
  tail->at = at;
  return lstm_state_begin(m, *out, -1);
}

LSTM_API lstm_status lstm_state_size(const lstm_model *model, const lstm_state_desc *desc, size_t *size) {
  lstm__state_layout at;
  if (size) *size = 0;
  if (!model || !size) return LSTM_ERR_ARGUMENT;
  lstm_status status = lstm__lay_out_state(model, desc, &at);
  if (status == LSTM_OK) *size = at.total;
  return status;
}

LSTM_API lstm_status lstm_state_create(const lstm_model *model, const lstm_state_desc *desc, lstm_state **out) {
  return lstm__create_state(model, desc, NULL, 0, out);
}
LSTM_API lstm_status lstm_state_create_in(const lstm_model *model, const lstm_state_desc *desc, void *memory,
                                          size_t size, lstm_state **out) {
  return lstm__create_state(memory ? model : NULL, desc, memory, size, out);
}
LSTM_API void lstm_state_destroy(lstm_state *state) {
  if (state) lstm__free(&lstm__tail(state)->at.desc.allocator, lstm__tail(state)->block);
}
LSTM_API int lstm_state_lanes(const lstm_state *state) { return (int)state->lanes; }
LSTM_API size_t lstm_state_saved_size(const lstm_state *state) { return (size_t)state->saved_size; }
LSTM_API lstm_status lstm_state_check(const lstm_model *model, const lstm_state *state) {
  if (!model || !state) return LSTM_ERR_ARGUMENT;
  int fits = state->fingerprint == model->fingerprint && state->lane_floats == model->plan.lane &&
             state->version == LSTM__STATE_VERSION && state->lanes >= 1 && state->lanes <= LSTM_MAX_LANES &&
             state->saved_size == sizeof(lstm_state) + state->lanes * state->lane_floats * sizeof(float);
  return fits ? LSTM_OK : LSTM_ERR_MISMATCH;
}

LSTM_API lstm_status lstm_state_restore(const lstm_model *model, lstm_state *state, const void *saved, size_t size) {
  lstm_state head;
  lstm_status status = saved ? lstm_state_check(model, state) : LSTM_ERR_ARGUMENT;
  if (status == LSTM_OK && size != state->saved_size) status = LSTM_ERR_MISMATCH;
  if (status != LSTM_OK) return status;
  memcpy(&head, saved, sizeof head);
  if (head.lanes != state->lanes || lstm_state_check(model, &head) != LSTM_OK) return LSTM_ERR_MISMATCH;
  memmove(state + 1, (const unsigned char *)saved + sizeof head, size - sizeof head);
  return LSTM_OK;
}

static lstm_status lstm__check_lane(const lstm_model *m, const lstm_state *s, int lane) {
  return !s || lane < 0 || lane >= (int)s->lanes ? LSTM_ERR_ARGUMENT : lstm_state_check(m, s);
}
LSTM_API void lstm_state_reset(lstm_state *state) {
  memset(lstm__lane(state, 0), 0, (size_t)state->lanes * (size_t)state->lane_floats * sizeof(float));
}
LSTM_API lstm_status lstm_state_reset_lane(lstm_state *state, int lane) {
  if (!state || lane < 0 || lane >= (int)state->lanes) return LSTM_ERR_ARGUMENT;
  memset(lstm__lane(state, lane), 0, (size_t)state->lane_floats * sizeof(float));
  return LSTM_OK;
}
LSTM_API lstm_status lstm_state_copy_lane(lstm_state *to, int to_lane, const lstm_state *from, int from_lane) {
  if (!to || !from || to_lane < 0 || to_lane >= (int)to->lanes || from_lane < 0 || from_lane >= (int)from->lanes)
    return LSTM_ERR_ARGUMENT;
  if (to->fingerprint != from->fingerprint || to->lane_floats != from->lane_floats) return LSTM_ERR_MISMATCH;
  memmove(lstm__lane(to, to_lane), lstm__const_lane(from, from_lane), (size_t)to->lane_floats * sizeof(float));
  return LSTM_OK;
}

/* Copies the values [S] of a lane into it as it lies in memory, padded; or back. */
static void lstm__copy_values(const lstm_model *m, const float *from, float *to, int back) {
  for (int i = 0; i < m->plan.layers; i++) {
    const lstm__layer *l = m->layers + i;
    size_t h[] = {l->state, (size_t)l->values}; /* in a lane, and among its values */
    size_t c[] = {l->state + (size_t)l->out_pad, (size_t)(l->values + l->out)};
    if (!l->recurrent) continue;
    memcpy(to + h[back], from + h[!back], (size_t)l->out * sizeof(float));
    if (l->type == LSTM_LAYER_LSTM) memcpy(to + c[back], from + c[!back], (size_t)l->units * sizeof(float));
  }
}

/* The learned initial state of a cell, or NULL: zero. */
static const float *lstm__rest_of(const lstm_model *m, const lstm__layer *l, int kind) {
  return l->tensor[kind] >= 0 ? lstm__param(m, l, kind) : NULL;
}

static void lstm__begin_lane(const lstm_model *m, float *lane) {
  memset(lane, 0, m->plan.lane * sizeof(float));
  for (int i = 0; i < m->plan.layers; i++) {
    const lstm__layer *l = m->layers + i;
    const float *h = lstm__rest_of(m, l, LSTM__T_H0), *c = lstm__rest_of(m, l, LSTM__T_C0);
    if (h) memcpy(lane + l->state, h, (size_t)l->out * sizeof(float));
    if (c) memcpy(lane + l->state + l->out_pad, c, (size_t)l->units * sizeof(float));
  }
}

LSTM_API lstm_status lstm_state_begin(const lstm_model *model, lstm_state *state, int lane) {
  lstm_status status = lane < -1 ? LSTM_ERR_ARGUMENT : lstm__check_lane(model, state, lane < 0 ? 0 : lane);
  for (int i = lane < 0 ? 0 : lane; status == LSTM_OK && i < (lane < 0 ? (int)state->lanes : lane + 1); i++)
    lstm__begin_lane(model, lstm__lane(state, i));
  return status;
}

LSTM_API lstm_status lstm_state_trace(const lstm_model *model, lstm_state *state, lstm_trace *traces, int count) {
  if (!model || !state || count < 0 || (count && !traces)) return LSTM_ERR_ARGUMENT;
  if (lstm_state_check(model, state) != LSTM_OK) return LSTM_ERR_MISMATCH;
  for (int i = 0; i < count; i++) {
    const lstm_trace *t = traces + i;
    if (t->layer < 0 || t->layer >= model->plan.described || t->lane < 0 || t->lane >= (int)state->lanes ||
        t->steps < 0 || !t->values || !lstm__kind_of((int)model->described[t->layer].type)->recurrent)
      return LSTM_ERR_ARGUMENT;
  }
  lstm__tail(state)->traces = traces;
  lstm__tail(state)->trace_count = count;
  lstm__tail(state)->traced = lstm__description_hash(model);
  return LSTM_OK;
}

LSTM_API lstm_status lstm_state_set(const lstm_model *model, lstm_state *state, int lane, const float *values) {
  lstm_status status = values ? lstm__check_lane(model, state, lane) : LSTM_ERR_ARGUMENT;
  if (status == LSTM_OK) lstm__copy_values(model, values, lstm__lane(state, lane), 0);
  return status;
}
LSTM_API lstm_status lstm_state_get(const lstm_model *model, const lstm_state *state, int lane, float *values) {
  lstm_status status = values ? lstm__check_lane(model, state, lane) : LSTM_ERR_ARGUMENT;
  if (status == LSTM_OK) lstm__copy_values(model, lstm__const_lane(state, lane), values, 1);
  return status;
}

/* [SECTION] Forward ================================================================================================ */
static void lstm__add_row(float *to, const float *from, int n) { for (int i = 0; i < n; i++) to[i] = to[i] + from[i]; }

/* n floats, of no row zeros, and zeros up to `width`. */
static void lstm__put_row(float *to, const float *from, int n, int width) {
  memset(to, 0, (size_t)width * sizeof(float));
  if (from) memcpy(to, from, (size_t)n * sizeof(float));
}

/* Copies n floats and the padding up to a multiple of 8; short rows cost less so than with memcpy. */
LSTM__FORCE_INLINE void lstm__copy_row(float *to, const float *from, int n) {
  for (int i = 0; i < n; i += 8) memcpy(to + i, from + i, 8 * sizeof(float));
}

/* One timestep of a cell for some rows, in inference and training. p NULL: not there. A plain cell: only the job. */
typedef struct lstm__cell_step {
  lstm__cell_job job;  /* h: what the recurrent weights see; tape: the gates; the plain cell needs none */
  lstm__rows h_prev;   /* h before its dropout */
  lstm__out_rows wide; /* [units_pad] of h before its projection */
  lstm__out_rows keep; /* [vectors][units_pad], in training */
  lstm__rows chance;   /* in training: [3][units_pad], see lstm__tape */
} lstm__cell_step;

/* A row of a cell's step as the gate passes see it: what both directions of training and inference share. */
static void lstm__set_gates(const lstm_model *m, const lstm__layer *l, const lstm__cell_step *s, int r,
                            lstm__gate_job *job) {
  const float *chance = s->chance.p ? lstm__row(&s->chance, r) : NULL;
  memset(job, 0, sizeof *job);
  job->o = &l->o;
  job->units = l->units_pad;
  job->n = l->units;
  job->vectors = m->packed + l->vector;
  job->gates = lstm__out_row(&s->job.tape, r);
  job->keep = s->keep.p ? lstm__out_row(&s->keep, r) : NULL;
  job->c_prev = l->type == LSTM_LAYER_GRU ? lstm__row(&s->h_prev, r) : lstm__row(&s->job.c, r);
  job->noise = chance && l->o.noise > 0 ? chance : NULL;
  job->zone = chance && l->o.zoneout > 0 ? chance + l->units_pad : NULL;
}

/* Weighted sums that lie in the tape become c and h, row by row. */
static void lstm__gate_rows(const lstm_model *m, const lstm__layer *l, const lstm__cell_step *s) {
  lstm__gate_job job;
  int gru = l->type == LSTM_LAYER_GRU;
  for (int r = 0; r < s->job.rows; r++) {
    lstm__set_gates(m, l, s, r, &job);
    job.c = gru ? NULL : lstm__out_row(&s->job.c_out, r);
    job.h = lstm__out_row(&s->job.h_out, r);
    (gru ? m->kernels->gru_forward : m->kernels->gate_forward)(&job);
  }
}

LSTM__FORCE_INLINE void lstm__set_weights(const lstm_model *m, const lstm__layer *l, lstm__cell_job *job) {
  job->units = l->columns / 4;
  job->nx = l->in;
  job->nh = l->out;
  job->raw = l->generic || l->type == LSTM_LAYER_GRU;
  job->w = m->packed + l->packed;
}

static void lstm__step_cell(const lstm_model *m, const lstm__layer *l, lstm__cell_step *s) {
  lstm__out_rows h_out = s->job.h_out;
  if (l->o.projection) s->job.h_out = s->wide;
  m->kernels->cell(&s->job);
  if (s->job.raw) lstm__gate_rows(m, l, s);
  if (l->o.projection) {
    lstm__rows wide = lstm__rows_at(s->wide.p, s->wide.stride, s->wide.index);
    lstm__gemm(m, s->job.rows, l->units, l->out_pad, LSTM__FROM_ZERO, m->packed + l->project, wide, h_out);
  }
  for (int r = 0; l->o.zoneout > 0 && r < s->job.rows; r++)
    m->kernels->blend(l->out_pad, lstm__out_row(&h_out, r),
                      s->chance.p ? lstm__row(&s->chance, r) + 2 * l->units_pad : NULL, l->o.zoneout,
                      lstm__row(&s->h_prev, r));
}

struct lstm__inference {
  const lstm_model *m;
  lstm_state *s;
  lstm__rows in, x;  /* what the next node reads; the model's input */
  float *scratch[2]; /* the rows of a node's output lie in neither or one of them; the next writes to the other */
  float *gates;      /* [group][columns], then rows before a projection */
  int n, first, flip;
  int turn;          /* 0, 1, 0, ... in every step: blocks of weights are walked to and fro */
  int step;          /* in a sequence that is walked node by node; else 0 */
  int traces;        /* how many to fill: none while another description's model runs */
  const int *lanes;  /* [n]; NULL: lanes first, first + 1, ... */
  const int *tokens; /* [n], or NULL */
};

static float *lstm__next_scratch(lstm__inference *run) {
  run->flip = !run->flip;
  return run->scratch[run->flip];
}
static void lstm__infer_embedding(lstm__inference *run, const lstm__layer *l) {
  run->in = lstm__rows_at(lstm__param(run->m, l, LSTM__T_TABLE), (size_t)l->out, run->tokens);
}

/* Row r of a traced cell: i, f, g, o, c, h. */
static void lstm__record(lstm__inference *run, const lstm__layer *l, int r) {
  const lstm__state_tail *tail = lstm__tail(run->s);
  int lane = run->lanes ? run->lanes[r] : run->first + r, H = l->units, lstm = l->type == LSTM_LAYER_LSTM;
  const float *gates = run->gates + (size_t)r * (size_t)l->columns, *h = lstm__lane(run->s, lane) + l->state;
  for (int j = 0; j < run->traces; j++) {
    lstm_trace *t = tail->traces + j;
    if (t->layer != l->described || t->lane != lane) continue; /* other lanes' traces may be another task's */
    int at = t->steps + run->step;
    if (at >= t->capacity) continue;
    float *to = t->values + ((size_t)at * (l->branch ? 2 : 1) + (size_t)l->reverse) * 6 * (size_t)H;
    for (int k = 0; k < 4; k++)
      for (int u = 0; u < H; u++) to[k * H + u] = k < 3 || lstm ? gates[lstm__gate_at(l, k, u)] : 0;
    for (int u = 0; u < H; u++) {
      to[4 * H + u] = lstm ? h[l->out_pad + u] : 0;
      to[5 * H + u] = u < l->out ? h[u] : 0;
    }
    if (!l->branch) t->steps++;
  }
}

static void lstm__infer_cell(lstm__inference *run, const lstm__layer *l) {
  const lstm_model *m = run->m;
  size_t stride = (size_t)run->s->lane_floats, width = (size_t)l->out_pad, columns = (size_t)l->columns;
  float *h = lstm__lane(run->s, run->lanes ? 0 : run->first) + l->state, *out = lstm__next_scratch(run);
  int stored = m->table_valid && l == m->layers + m->plan.table_layer;
  lstm__cell_step s;
  lstm__set_weights(m, l, &s.job);
  int plain = !s.job.raw && !l->o.projection, direct = plain && run->n == 1 && l->units <= m->kernels->whole;
  s.job.rows = run->n;
  s.job.flip = run->turn;
  s.job.x = lstm__rows_at(run->in.p, run->in.stride, run->in.index); /* a copy at once would wait for its parts */
  s.job.start = lstm__rows_at(stored ? m->table : NULL, columns, run->tokens);
  s.job.h = lstm__rows_at(h, stride, run->lanes);
  s.job.c = lstm__rows_at(h + width, stride, run->lanes);
  s.job.c_out = lstm__out_rows_at(h + width, stride, run->lanes);
  s.job.h_out = lstm__out_rows_at(direct ? h : out, direct ? stride : width, direct ? run->lanes : NULL);
  s.job.tape = lstm__out_rows_at(s.job.raw || run->traces ? run->gates : NULL, columns, NULL);
  if (plain) {
    m->kernels->cell(&s.job);
  } else {
    float *wide = run->gates + (size_t)lstm__tail(run->s)->at.group * columns;
    s.h_prev = lstm__rows_at(h, stride, run->lanes);
    s.wide = lstm__out_rows_at(wide, (size_t)l->units_pad, NULL);
    s.keep.p = NULL;
    s.chance.p = NULL;
    lstm__step_cell(m, l, &s);
  }
  for (int r = 0; !direct && r < run->n; r++)
    lstm__copy_row(h + (size_t)(run->lanes ? run->lanes[r] : r) * stride, out + (size_t)r * width, l->out);
  for (int r = 0; run->traces && r < run->n; r++) lstm__record(run, l, r);
  run->in = lstm__rows_at(h, stride, run->lanes);
}

static void lstm__infer_dense(lstm__inference *run, const lstm__layer *l) {
  float *out = lstm__next_scratch(run);
  lstm__gemm(run->m, run->n, l->in, l->out_pad, LSTM__FROM_BIAS, run->m->packed + l->packed, run->in,
             lstm__out_rows_at(out, (size_t)l->out_pad, NULL));
  if (l->o.activation > LSTM_LINEAR) run->m->kernels->map((int)l->o.activation, run->n * l->out_pad, out);
  for (int r = 0; l->o.residual && r < run->n; r++)
    lstm__add_row(out + lstm__at(r, l->out_pad), lstm__row(&run->x, r), l->out);
  run->in = lstm__rows_at(out, (size_t)l->out_pad, NULL);
}

static const lstm__kind *lstm__kind_of(int type) {
  static const lstm__kind kinds[LSTM__NODE_JOIN + 1] = {
      /* name, gates, recurrent, sized */
      {"?", 0, 0, 0, NULL, NULL},
      {"embedding", 0, 0, 1, lstm__plan_embedding, lstm__infer_embedding},
      {"lstm", 4, 1, 1, lstm__plan_cell, lstm__infer_cell},
      {"dense", 1, 0, 1, lstm__plan_dense, lstm__infer_dense},
      {"dropout", 0, 0, 0, NULL, NULL},
      {"gru", 4, 1, 1, lstm__plan_cell, lstm__infer_cell},
      {"join", 0, 0, 0, NULL, NULL},
  };
  return type > LSTM_LAYER_NONE && type <= LSTM__NODE_JOIN ? kinds + type : NULL;
}

/* Readies scratch for a task. */
LSTM__FORCE_INLINE void lstm__begin_inference(lstm__inference *run, const lstm_model *m, lstm_state *s,
                                              float *scratch) {
  const lstm__state_tail *tail = lstm__tail(s);
  size_t rows = (size_t)tail->at.group * (size_t)m->plan.widest;
  run->m = m;
  run->s = s;
  run->scratch[0] = scratch;
  run->scratch[1] = scratch + rows;
  run->gates = scratch + lstm__scratch_rows(m, tail->at.desc.seq_len) * rows;
  run->n = run->first = run->flip = run->turn = run->step = run->traces = 0;
  if (tail->trace_count && tail->traced == lstm__description_hash(m)) run->traces = tail->trace_count;
}

/* One step of run->n <= group rows, run->in, through nodes from .. to - 1. */
LSTM__FORCE_INLINE void lstm__infer(lstm__inference *run, int from, int to) {
  const lstm__layer *l = run->m->layers + from, *end = run->m->layers + to;
  LSTM_ASSERT(run->n <= lstm__tail(run->s)->at.group);
  run->turn = !run->turn;
  for (; l < end; l++) {
    const lstm__kind *kind = lstm__kind_of(l->type);
    if (kind->infer) kind->infer(run, l);
  }
}

/* A row of logits or linear outputs into what the user sees: y [O]. row: one padded row of scratch. */
static void lstm__emit(const lstm_model *m, const float *z, float *row, float *y) {
  int o = lstm_model_output_size(m), pad = lstm__pad16(o);
  float top;
  if (m->desc.output == LSTM_OUTPUT_SOFTMAX || m->desc.output == LSTM_OUTPUT_SIGMOID) {
    memset(row, 0, (size_t)pad * sizeof(float));
    z = (const float *)memcpy(row, z, (size_t)o * sizeof(float));
  }
  if (m->desc.output == LSTM_OUTPUT_SOFTMAX) m->kernels->divide(pad, row, m->kernels->softmax(o, row, &top));
  if (m->desc.output == LSTM_OUTPUT_SIGMOID) m->kernels->map(LSTM_SIGMOID, pad, row);
  memcpy(y, z, (size_t)o * sizeof(float));
}

static const int *lstm__as_ints(const int32_t *ids) { return (const int *)(const void *)ids; }

/* What is wrong with a step of n lanes. */
LSTM__FORCE_INLINE lstm_status lstm__check_step(const lstm_model *m, const lstm_state *s, const int *lanes, int n,
                                                const float *x, const int32_t *ids, int wants_ids) {
  if (!m || !s || n < 0) return LSTM_ERR_ARGUMENT;
  if (lstm_state_check(m, s) != LSTM_OK) return LSTM_ERR_MISMATCH;
  if (lstm_model_takes_ids(m) != wants_ids || m->plan.bidirectional) return LSTM_ERR_UNSUPPORTED;
  if (n && (wants_ids ? !ids : !x)) return LSTM_ERR_ARGUMENT;
  for (int r = 0; lanes && r < n; r++)
    if (lanes[r] < 0 || lanes[r] >= (int)s->lanes) return LSTM_ERR_ARGUMENT;
  for (int r = 0; ids && r < n; r++)
    if (ids[r] < 0 || ids[r] >= m->desc.input_size) return LSTM_ERR_ARGUMENT;
  return LSTM_OK;
}

/* A step of all lanes (lanes NULL, n their number) or of some. */
static lstm_status lstm__step(const lstm_model *m, lstm_state *s, const int *lanes, int n, const float *x,
                              const int32_t *ids, int wants_ids, float *y) {
  lstm_status status = lstm__check_step(m, s, lanes, n, x, ids, wants_ids);
  lstm__inference run;
  if (status != LSTM_OK) return status;
  lstm__state_tail *tail = lstm__tail(s);
  lstm__begin_inference(&run, m, s, lstm__scratch(s, 0));
  run.turn = tail->turn;
  float *row = lstm__scratch(s, 0) + tail->at.slot - (size_t)m->plan.widest;
  int nodes = y ? m->plan.layers : m->plan.last_recurrent + 1;
  for (; run.first < n; run.first += run.n) {
    size_t in = (size_t)m->desc.input_size, out = (size_t)lstm_model_output_size(m);
    run.n = lstm__int_min(n - run.first, tail->at.group);
    run.lanes = lanes ? lanes + run.first : NULL;
    run.tokens = ids ? lstm__as_ints(ids) + run.first : NULL;
    run.in = run.x = lstm__rows_at(x ? x + (size_t)run.first * in : NULL, in, NULL);
    lstm__infer(&run, 0, nodes);
    for (int r = 0; y && r < run.n; r++) lstm__emit(m, lstm__row(&run.in, r), row, y + (size_t)(run.first + r) * out);
  }
  tail->turn = run.turn;
  return LSTM_OK;
}

LSTM_API lstm_status lstm_step(const lstm_model *model, lstm_state *state, const float *x, float *y) {
  return lstm__step(model, state, NULL, state ? (int)state->lanes : 0, x, NULL, 0, y);
}
LSTM_API lstm_status lstm_step_lanes(const lstm_model *model, lstm_state *state, const int *lanes, int n,
                                     const float *x, float *y) {
  return lanes || !n ? lstm__step(model, state, lanes, n, x, NULL, 0, y) : LSTM_ERR_ARGUMENT;
}
LSTM_API lstm_status lstm_step_ids(const lstm_model *model, lstm_state *state, const int32_t *ids, float *y) {
  return lstm__step(model, state, NULL, state ? (int)state->lanes : 0, NULL, ids, 1, y);
}
LSTM_API lstm_status lstm_step_ids_lanes(const lstm_model *model, lstm_state *state, const int *lanes, int n,
                                         const int32_t *ids, float *y) {
  return lanes || !n ? lstm__step(model, state, lanes, n, NULL, ids, 1, y) : LSTM_ERR_ARGUMENT;
}
static int lstm__length(const lstm_batch *b, int lane) { return b->lengths ? b->lengths[lane] : b->seq_len; }

/* The row of step t of a lane. */
static size_t lstm__row_at(const lstm_batch *b, int t, int lane) { return lstm__at(t, b->batch_size) + (size_t)lane; }

/* Checks a batch against a model, and fills in its sizes. Targets are not looked at. */
static lstm_status lstm__check_batch(const lstm_model *m, const lstm_batch *given, int max_lanes, int max_steps,
                                     lstm_batch *b) {
  int ids = lstm_model_takes_ids(m);
  lstm_error *e = given->error;
  *b = *given;
  if (!b->seq_len) b->seq_len = max_steps;
  if (!b->batch_size) b->batch_size = max_lanes;
  if (b->seq_len < 1 || b->seq_len > max_steps)
    return lstm__fail(e, LSTM_ERR_SHAPE, "the batch has %d steps, wanted 1 to %d", b->seq_len, max_steps);
  if (b->batch_size < 1 || b->batch_size > max_lanes)
    return lstm__fail(e, LSTM_ERR_SHAPE, "the batch has %d lanes, wanted 1 to %d", b->batch_size, max_lanes);
  if (ids ? !b->ids : !b->x)
    return lstm__fail(e, LSTM_ERR_ARGUMENT, ids ? "a token model needs batch.ids" : "this model needs batch.x");
  for (int lane = 0; b->lengths && lane < b->batch_size; lane++)
    if (b->lengths[lane] < 0 || b->lengths[lane] > b->seq_len)
      return lstm__fail(e, LSTM_ERR_ARGUMENT, "lengths[%d] is %d, wanted 0 to %d", lane, b->lengths[lane], b->seq_len);
  for (int t = 0; ids && t < b->seq_len; t++)
    for (int lane = 0; lane < b->batch_size; lane++) {
      int32_t id = b->ids[lstm__row_at(b, t, lane)];
      if (t >= lstm__length(b, lane)) continue;
      if (id < 0 || id >= m->desc.input_size)
        return lstm__fail(e, LSTM_ERR_ARGUMENT, "the token at step %d of lane %d is %d, wanted 0 to %d", t, lane,
                          (int)id, m->desc.input_size - 1);
    }
  return LSTM_OK;
}

/* [SECTION] Losses ================================================================================================= */
/* A loss and its options. */
typedef struct lstm__loss {
  lstm_loss kind;
  float delta, smoothing, emphasis;
  const float *class_weights; /* [O] or NULL */
} lstm__loss;

/* L = -sum of q log softmax(z), q = (1 - e) onehot(id) + e / n, e the smoothing; dL/dz = softmax(z) - q. */
static double lstm__cross_entropy(const lstm__kernels *k, int n, float *z, int id, float smoothing, int *correct) {
  float top, at = z[id], sum;
  double e = (double)smoothing, all = 0;
  if (correct) *correct = 1;
  for (int i = 0; correct && i < n; i++)
    if (z[i] > at || (z[i] == at && i < id)) *correct = 0;
  for (int i = 0; e > 0 && i < n; i++) all += (double)z[i];
  sum = k->softmax(n, z, &top);
  k->divide(lstm__pad16(n), z, sum);
  z[id] = z[id] - (1.0f - smoothing);
  if (!(e > 0)) return lstm__log((double)sum) + ((double)top - (double)at);
  for (int i = 0; i < n; i++) z[i] = z[i] - (float)(e / n);
  return lstm__log((double)sum) + (lstm__mul(1.0 - e, (double)top - (double)at) + lstm__mul(e, (double)top - all / n));
}

/* L = mean of max(z, 0) - z t + log(1 + e^-|z|); dL/dz = (sigmoid(z) - t) / n. */
static double lstm__binary_cross_entropy(const lstm__kernels *k, int n, float *z, const float *target, int *correct) {
  double loss = 0;
  if (correct) *correct = 1;
  for (int i = 0; i < n; i += 16) {
    float e[16];
    int count = lstm__int_min(16, n - i);
    for (int j = 0; j < 16; j++) e[j] = j < count ? (z[i + j] > 0 ? -z[i + j] : z[i + j]) : 0;
    k->map(LSTM__MAP_EXP, 16, e);
    for (int j = 0; j < count; j++) {
      float v = z[i + j], t = target[i + j], p = (v >= 0 ? 1.0f : e[j]) / (1.0f + e[j]);
      if (correct && (v > 0) != (t > 0.5f)) *correct = 0;
      loss += (v > 0 || v != v ? (double)v : 0.0) - lstm__mul((double)v, (double)t) + lstm__log(1.0 + (double)e[j]);
      z[i + j] = (p - t) / (float)n;
    }
  }
  return loss / n;
}

/* d = z - t; L = mean of d^2, |d| or Huber's; dL/dz = 2 d / n, sign(d) / n, or d within -delta..delta / n. */
static double lstm__distance(const lstm__loss *loss, int n, float *z, const float *target) {
  float delta = loss->delta;
  double sum = 0;
  for (int i = 0; i < n; i++) {
    float d = z[i] - target[i], size = d < 0 ? -d : d;
    if (loss->kind == LSTM_MSE) {
      sum += lstm__mul((double)d, (double)d);
      d = 2.0f * d;
    } else if (loss->kind == LSTM_MAE) {
      sum += (double)size;
      d = (float)((d > 0) - (d < 0));
    } else if (size <= delta) {
      sum += lstm__mul((double)d, (double)d) / 2;
    } else {
      sum += lstm__mul((double)delta, (double)size - (double)delta / 2);
      d = d > 0 ? delta : -delta;
    }
    z[i] = d / (float)n;
  }
  return sum / n;
}

/* The loss of one row z [n, padded], which becomes dL/dz; target row `at` of the batch. correct may be NULL. */
static double lstm__row_loss(const lstm__kernels *k, const lstm__loss *loss, int n, float *z, const lstm_batch *b,
                             size_t at, int *correct) {
  if (loss->kind == LSTM_CROSS_ENTROPY)
    return lstm__cross_entropy(k, n, z, (int)b->target_ids[at], loss->smoothing, correct);
  if (loss->kind == LSTM_BINARY_CROSS_ENTROPY)
    return lstm__binary_cross_entropy(k, n, z, b->targets + at * (size_t)n, correct);
  if (correct) *correct = 0;
  return lstm__distance(loss, n, z, b->targets + at * (size_t)n);
}

/* The weight of a lane's target at step t (0 if read once) without its class's: 0 in burn-in, padding, without one. */
static double lstm__target_weight(const lstm_batch *b, const lstm__loss *loss, int t, int lane) {
  size_t at = lstm__row_at(b, t, lane);
  if (t < b->burn_in || t >= lstm__length(b, lane)) return 0;
  if (loss->kind == LSTM_CROSS_ENTROPY && b->target_ids[at] < 0) return 0;
  return b->weights ? (double)b->weights[at] : 1.0;
}

/* With the class's; of a target that was checked. */
static double lstm__row_weight(const lstm_batch *b, const lstm__loss *loss, int t, int lane) {
  double weight = lstm__target_weight(b, loss, t, lane);
  if (!loss->class_weights || !(weight > 0)) return weight;
  return lstm__mul(weight, (double)loss->class_weights[b->target_ids[lstm__row_at(b, t, lane)]]);
}

/* ESR: output i of p(y - target) at step t; y, before: its rows of this step and the last. NULL: of p(-target). */
static double lstm__emphasised(const lstm_batch *b, const lstm__loss *loss, int t, int lane, int n, int i,
                               const float *y, const float *before) {
  size_t at = lstm__row_at(b, t, lane) * (size_t)n + (size_t)i, last = at - (size_t)b->batch_size * (size_t)n;
  double e = (y ? (double)y[i] : 0) - (double)b->targets[at];
  if (t == 0 || !(lstm__target_weight(b, loss, t - 1, lane) > 0)) return e;
  return e - lstm__mul((double)loss->emphasis, (before ? (double)before[i] : 0) - (double)b->targets[last]);
}

/* The sum of its squares over a row. */
static double lstm__esr_row(const lstm_batch *b, const lstm__loss *loss, int t, int lane, int n, const float *y,
                            const float *before) {
  double sum = 0;
  for (int i = 0; i < n; i++) {
    double e = lstm__emphasised(b, loss, t, lane, n, i, y, before);
    sum += lstm__mul(e, e);
  }
  return sum;
}

/* What a target adds to the loss's divisor. */
static double lstm__row_share(const lstm_batch *b, const lstm__loss *loss, int t, int lane, int n) {
  double weight = lstm__row_weight(b, loss, t, lane);
  if (loss->kind != LSTM_ESR || !(weight > 0)) return weight;
  return lstm__mul(weight, lstm__esr_row(b, loss, t, lane, n, NULL, NULL));
}

/* The weight and target at row `at` of the batch. */
static lstm_status lstm__check_target(const lstm_model *m, const lstm_batch *b, const lstm__loss *loss, int t,
                                      int lane) {
  size_t at = lstm__row_at(b, t, lane), i, o = (size_t)lstm_model_output_size(m);
  if (b->weights && !(b->weights[at] >= 0 && lstm__finite((double)b->weights[at])))
    return lstm__fail(b->error, LSTM_ERR_ARGUMENT, "the weight at step %d of lane %d is negative or not finite", t,
                      lane);
  if (!(lstm__target_weight(b, loss, t, lane) > 0)) return LSTM_OK;
  if (loss->kind == LSTM_CROSS_ENTROPY && (size_t)b->target_ids[at] >= o)
    return lstm__fail(b->error, LSTM_ERR_ARGUMENT, "the target at step %d of lane %d is %d, wanted below %d", t, lane,
                      (int)b->target_ids[at], (int)o);
  for (i = 0; loss->kind == LSTM_BINARY_CROSS_ENTROPY && i < o; i++)
    if (b->targets[at * o + i] < 0 || b->targets[at * o + i] > 1)
      return lstm__fail(b->error, LSTM_ERR_ARGUMENT, "target %d at step %d of lane %d is not within 0 and 1", (int)i, t,
                        lane);
  return LSTM_OK;
}

static lstm_status lstm__check_targets(const lstm_model *m, const lstm_batch *b, const lstm__loss *loss) {
  int t, lane, last = lstm_model_reads_last(m), ids = loss->kind == LSTM_CROSS_ENTROPY;
  if ((int)loss->kind <= LSTM_LOSS_NONE || loss->kind >= LSTM_LOSS_COUNT)
    return lstm__fail(b->error, LSTM_ERR_ARGUMENT, "no loss is chosen");
  if (ids ? !b->target_ids : !b->targets)
    return lstm__fail(b->error, LSTM_ERR_ARGUMENT, "this loss needs batch.%s", ids ? "target_ids" : "targets");
  if (loss->kind == LSTM_ESR && last)
    return lstm__fail(b->error, LSTM_ERR_ARGUMENT, "the error-to-signal ratio needs an output of every step: read all");
  if (b->burn_in && last)
    return lstm__fail(b->error, LSTM_ERR_ARGUMENT, "burn_in is %d, but this model reads a sequence once", b->burn_in);
  lstm_status status = lstm__within(b->error, "burn_in", b->burn_in, 0, b->seq_len, LSTM_ERR_ARGUMENT);
  for (t = 0; t < (last ? 1 : b->seq_len); t++)
    for (lane = 0; status == LSTM_OK && lane < b->batch_size; lane++)
      if (t < lstm__length(b, lane)) status = lstm__check_target(m, b, loss, t, lane); /* padding: anything */
  return status;
}

/* [SECTION] Batches ================================================================================================ */
/* A forward pass over a batch by tasks: each takes a share of the lanes, group by group. */
typedef struct lstm__batch_run {
  const lstm_model *m;
  lstm_state *s;
  lstm_batch b;
  float *y;
  const lstm__loss *loss; /* NULL: none is wanted */
  int tasks;
} lstm__batch_run;

static void lstm__execute(const lstm_executor *e, int count, void (*task)(void *context, int index), void *context) {
  int spread = count > 1 && e && e->run && e->width > 1;
  if (spread) e->run(e->user, count, task, context);
  for (int i = 0; !spread && i < count; i++) task(context, i);
}

/* --- reading a sequence: joining directions, and last, mean or max over time ------------------------------------- */
/* The merged values of a step: those of the forward direction, and of the backward one (NULL: there is none). */
static void lstm__join_row(const lstm__layer *l, const float *forward, const float *backward, float *to) {
  int concat = backward && l->o.merge == LSTM_MERGE_CONCAT, width = concat ? l->out / 2 : l->out;
  lstm__put_row(to, forward, width, l->out_pad);
  if (concat) memcpy(to + width, backward, (size_t)width * sizeof(float));
  if (backward && !concat) lstm__add_row(to, backward, l->out);
}

/* Takes the row of step t, of `length` steps, into what has been read so far. */
static void lstm__pool_row(const lstm_model *m, const lstm__layer *l, int t, int length, const float *row, float *to) {
  int n = l->out_pad, first = t == 0 || l->o.read == LSTM_READ_LAST, mean = l->o.read == LSTM_READ_MEAN;
  if (first) memcpy(to, row, (size_t)n * sizeof(float));
  if (!first && mean) m->kernels->add(n, to, row);
  for (int u = 0; !first && !mean && u < n; u++) to[u] = row[u] > to[u] || row[u] != row[u] ? row[u] : to[u];
  if (mean && t == length - 1) m->kernels->divide(n, to, (float)length);
}

/* A task's walk over a group of lanes. */
typedef struct lstm__group {
  lstm__batch_run *run;
  lstm__inference infer;
  int first, count, lanes[LSTM__GROUP], rows[LSTM__GROUP], tokens[LSTM__GROUP]; /* rows: lanes from the first */
  float *pool, *sequence[3], *row; /* [group][widest]; [T][group][widest]; a row to spare */
} lstm__group;

/* The lanes of the group that have a step t, and their tokens. */
static void lstm__gather_step(lstm__group *g, int t) {
  const lstm_batch *b = &g->run->b;
  int r, n = 0, ids = lstm_model_takes_ids(g->run->m);
  for (r = 0; r < g->count; r++) {
    if (t >= lstm__length(b, g->first + r)) continue;
    g->rows[n] = r;
    g->lanes[n] = g->first + r;
    if (ids) g->tokens[n] = (int)b->ids[lstm__row_at(b, t, g->lanes[n])];
    n++;
  }
  g->infer.n = n;
  g->infer.lanes = g->lanes;
  g->infer.tokens = ids ? g->tokens : NULL;
}

static lstm__rows lstm__inputs_at(const lstm__group *g, int t) {
  const lstm_batch *b = &g->run->b;
  size_t in = (size_t)g->run->m->desc.input_size;
  return lstm__rows_at(g->infer.tokens ? NULL : b->x + (size_t)t * (size_t)b->batch_size * in, in, g->lanes);
}

/* A lane's part of what is read once, or its outputs of the step before. */
static float *lstm__pool_at(const lstm__group *g, int r) { return g->pool + lstm__at(r, g->run->m->plan.widest); }

/* What rows of outputs are for: y, or the loss. */
static void lstm__take_rows(lstm__group *g, const lstm__rows *z, int t) {
  const lstm__batch_run *run = g->run;
  size_t o = (size_t)lstm_model_output_size(run->m);
  for (int r = 0; r < g->infer.n; r++) {
    int lane = g->lanes[r], correct = 0;
    size_t at = lstm__row_at(&run->b, t, lane);
    double weight = run->loss ? lstm__row_weight(&run->b, run->loss, t, lane) : 0;
    lstm_metrics *sums = lstm__state_sums(run->s) + lane;
    if (run->y) lstm__emit(run->m, lstm__row(z, r), g->row, run->y + at * o);
    if (!(weight > 0)) continue;
    sums->weight += lstm__row_share(&run->b, run->loss, t, lane, (int)o);
    memcpy(g->row, lstm__row(z, r), o * sizeof(float));
    if (run->loss->kind == LSTM_ESR) {
      float *before = lstm__pool_at(g, g->rows[r]);
      sums->loss += lstm__mul(weight, lstm__esr_row(&run->b, run->loss, t, lane, (int)o, g->row, before));
      memcpy(before, g->row, o * sizeof(float));
    } else {
      sums->loss +=
          lstm__mul(weight, lstm__row_loss(run->m->kernels, run->loss, (int)o, g->row, &run->b, at, &correct));
    }
    sums->targets += 1;
    sums->correct += correct;
  }
}

static float *lstm__sequence_row(const lstm__group *g, int which, int t, int r) {
  return g->sequence[which] +
         ((size_t)t * (size_t)lstm__tail(g->infer.s)->at.group + (size_t)r) * (size_t)g->run->m->plan.widest;
}

/* What was read once goes on through the nodes after the join. */
static void lstm__finish_pool(lstm__group *g) {
  const lstm_model *m = g->run->m;
  lstm__gather_step(g, 0);
  g->infer.in = lstm__rows_at(g->pool, (size_t)m->plan.widest, g->rows);
  lstm__infer(&g->infer, m->plan.pool + 1, m->plan.layers);
  lstm__take_rows(g, &g->infer.in, 0);
}

/* Nodes from .. end - 1 over a group's steps: from the input (source -1) or sequence 0 to sequence `to`, or out: -1. */
static void lstm__walk_nodes(lstm__group *g, int from, int end, int source, int to) {
  const lstm_model *m = g->run->m;
  const lstm__layer *l = m->layers + lstm__int_min(from, end - 1);
  int s, r, T = g->run->b.seq_len, pool = m->plan.pool;
  for (s = 0; s < T; s++) {
    int t = l->reverse ? T - 1 - s : s;
    const lstm__rows *z = &g->infer.in;
    lstm__gather_step(g, t);
    if (g->infer.n == 0) continue;
    g->infer.step = l->branch ? t : 0;
    g->infer.x = lstm__inputs_at(g, t);
    g->infer.in = source < 0 ? g->infer.x
                             : lstm__rows_at(lstm__sequence_row(g, 0, t, 0), (size_t)m->plan.widest, g->rows);
    lstm__infer(&g->infer, from, end);
    if (to < 0 && pool < 0) lstm__take_rows(g, z, t);
    for (r = 0; to < 0 && pool >= 0 && r < g->infer.n; r++)
      lstm__pool_row(m, m->layers + pool, t, lstm__length(&g->run->b, g->lanes[r]), lstm__row(z, r),
                     lstm__pool_at(g, g->rows[r]));
    for (r = 0; to >= 0 && r < g->infer.n; r++)
      memcpy(lstm__sequence_row(g, to, t, g->rows[r]), lstm__row(z, r), (size_t)l->out * sizeof(float));
  }
  g->infer.step = 0;
}

/* One lane through a join: rows of one or two directions to rows `step` apart, or, over `row`, to what is read once. */
static void lstm__join_lane(const lstm_model *m, const lstm__layer *l, int length, const lstm__rows *forward,
                            const lstm__rows *backward, float *row, float *to, size_t step) {
  for (int t = 0; t < length; t++) {
    int back = l->o.read == LSTM_READ_LAST ? 0 : t; /* the backward direction has read all at step 0 */
    lstm__join_row(l, lstm__row(forward, t), backward->p ? lstm__row(backward, back) : NULL,
                   l->o.read ? row : to + (size_t)t * step);
    if (l->o.read) lstm__pool_row(m, l, t, length, row, to);
  }
}

/* A join, of a group's whole sequences: from 1 (and 2, the backward direction), or from 0, to 0 or to the pool. */
static void lstm__join_sequences(lstm__group *g, const lstm__layer *l) {
  size_t step = lstm__at(lstm__tail(g->infer.s)->at.group, g->run->m->plan.widest);
  int r, both = l->o.bidirectional;
  for (r = 0; r < g->count; r++) {
    lstm__rows forward = lstm__rows_at(lstm__sequence_row(g, both, 0, r), step, NULL);
    lstm__rows backward = lstm__rows_at(both ? lstm__sequence_row(g, 2, 0, r) : NULL, step, NULL);
    lstm__join_lane(g->run->m, l, lstm__length(&g->run->b, g->first + r), &forward, &backward, g->row,
                    l->o.read ? lstm__pool_at(g, r) : lstm__sequence_row(g, 0, 0, r), step);
  }
}

/* Traces of bidirectional layers end where their sequences do. */
static void lstm__end_traces(lstm__group *g) {
  const lstm__state_tail *tail = lstm__tail(g->infer.s);
  for (int j = 0; j < g->infer.traces; j++) {
    lstm_trace *t = tail->traces + j;
    if (t->lane >= g->first && t->lane < g->first + g->count && g->run->m->described[t->layer].bidirectional)
      t->steps = lstm__int_min(t->capacity, t->steps + lstm__length(&g->run->b, t->lane));
  }
}

/* All steps of a group of lanes, node by node: a backward direction begins at the end. */
static void lstm__run_nodes(lstm__group *g) {
  const lstm_model *m = g->run->m;
  int i, to = m->plan.pool >= 0 ? m->plan.pool + 1 : m->plan.layers;
  for (i = 0; i < to; i++) {
    const lstm__layer *l = m->layers + i;
    int source = l->source;
    while (source >= 0 && m->layers[source].type == LSTM_LAYER_DROPOUT) source = m->layers[source].source;
    if (l->type == LSTM__NODE_JOIN) lstm__join_sequences(g, l);
    if (lstm__kind_of(l->type)->infer) lstm__walk_nodes(g, i, i + 1, source, l->branch ? 1 + l->reverse : 0);
  }
  lstm__end_traces(g);
  if (m->plan.pool < 0) lstm__walk_nodes(g, to, to, 0, -1);
}

static void lstm__run_group(lstm__batch_run *run, float *scratch, int first, int count) {
  const lstm__state_tail *tail = lstm__tail(run->s);
  const lstm__plan *p = &run->m->plan;
  size_t rows = (size_t)tail->at.group * (size_t)p->widest, i;
  int wanted = run->y || run->loss, pool = p->pool;
  lstm__group g;
  lstm__begin_inference(&g.infer, run->m, run->s, scratch);
  g.run = run;
  g.first = first;
  g.count = count;
  g.row = scratch + tail->at.slot - (size_t)p->widest;
  g.pool = scratch + 2 * rows;
  for (i = 0; i < 3; i++)
    g.sequence[i] = scratch + 3 * rows + i * (size_t)tail->at.desc.seq_len * rows;
  if (p->bidirectional)
    lstm__run_nodes(&g);
  else
    lstm__walk_nodes(&g, 0, pool >= 0 ? pool : wanted ? p->layers : p->last_recurrent + 1, -1, -1);
  if (wanted && pool >= 0) lstm__finish_pool(&g);
}

static void lstm__batch_task(void *context, int index) {
  lstm__batch_run *run = (lstm__batch_run *)context;
  int lanes = run->b.batch_size, share = (lanes + run->tasks - 1) / run->tasks, first = index * share,
      group = lstm__tail(run->s)->at.group;
  int end = lstm__int_min(first + share, lanes);
  for (; first < end; first += group)
    lstm__run_group(run, lstm__scratch(run->s, index), first, lstm__int_min(group, end - first));
}

static void lstm__begin_lanes(const lstm_model *m, lstm_state *s, const lstm_batch *b) {
  for (int lane = 0; lane < b->batch_size; lane++) {
    if (b->initial) (void)lstm_state_set(m, s, lane, b->initial + lstm__at(lane, m->plan.state_size));
    if (!b->initial && b->reset && b->reset[lane]) (void)lstm_state_begin(m, s, lane);
  }
}

static lstm_status lstm__run_batch(const lstm_model *m, lstm_state *s, const lstm_batch *batch, const lstm__loss *loss,
                                   float *y, const lstm_executor *executor) {
  lstm__batch_run run;
  if (!m || !s || !batch) return LSTM_ERR_ARGUMENT;
  if (lstm_state_check(m, s) != LSTM_OK)
    return lstm__fail(batch->error, LSTM_ERR_MISMATCH, "the state belongs to a model of another architecture");
  if (!batch->seq_len) return lstm__fail(batch->error, LSTM_ERR_ARGUMENT, "batch.seq_len is 0");
  lstm_status status = lstm__check_batch(m, batch, (int)s->lanes, LSTM_MAX_SEQ_LEN, &run.b);
  if (status == LSTM_OK && m->plan.bidirectional && run.b.seq_len > lstm__tail(s)->at.desc.seq_len)
    return lstm__fail(batch->error, LSTM_ERR_LIMIT, "%d steps of a bidirectional model, the state has room for %d",
                      run.b.seq_len, lstm__tail(s)->at.desc.seq_len);
  if (status == LSTM_OK && loss) status = lstm__check_targets(m, &run.b, loss);
  if (status != LSTM_OK) return status;
  run.m = m;
  run.s = s;
  run.y = y;
  run.loss = loss;
  run.tasks = executor && executor->width > 1 ? lstm__int_min(executor->width, lstm__tail(s)->at.desc.tasks) : 1;
  run.tasks = lstm__int_min(run.tasks, run.b.batch_size);
  lstm__begin_lanes(m, s, &run.b);
  if (y && run.b.lengths) {
    size_t steps = lstm_model_reads_last(m) ? 1 : (size_t)run.b.seq_len;
    memset(y, 0, steps * (size_t)run.b.batch_size * (size_t)lstm_model_output_size(m) * sizeof(float));
  }
  lstm__execute(executor, run.tasks, lstm__batch_task, &run);
  return LSTM_OK;
}

LSTM_API lstm_status lstm_forward_batch(const lstm_model *model, lstm_state *state, const lstm_batch *batch, float *y,
                                        const lstm_executor *executor) {
  return lstm__run_batch(model, state, batch, NULL, y, executor);
}

static lstm_status lstm__evaluate(const lstm_model *model, lstm_state *state, const lstm_batch *batch,
                                  const lstm__loss *loss, lstm_metrics *metrics, const lstm_executor *executor) {
  if (!model || !state || !batch || !metrics) return LSTM_ERR_ARGUMENT;
  memset(lstm__state_sums(state), 0, (size_t)state->lanes * sizeof(lstm_metrics));
  lstm_status status = lstm__run_batch(model, state, batch, loss, NULL, executor);
  if (status != LSTM_OK) return status;
  for (uint32_t lane = 0; lane < state->lanes; lane++) {
    const lstm_metrics *sums = lstm__state_sums(state) + lane;
    metrics->loss += sums->loss;
    metrics->weight += sums->weight;
    metrics->targets += sums->targets;
    metrics->correct += sums->correct;
  }
  return LSTM_OK;
}

LSTM_API lstm_status lstm_evaluate(const lstm_model *model, lstm_state *state, const lstm_batch *batch, lstm_loss loss,
                                   lstm_metrics *metrics, const lstm_executor *executor) {
  lstm__loss plain = {loss, 1, 0, 0.95f, NULL};
  return lstm__evaluate(model, state, batch, &plain, metrics, executor);
}

static lstm_status lstm__forward(const lstm_model *m, lstm_state *s, const float *x, const int32_t *ids, int seq_len,
                                 float *y) {
  lstm_batch b = LSTM__ZERO;
  if (!m || !s) return LSTM_ERR_ARGUMENT;
  if (lstm_model_takes_ids(m) != (ids != NULL)) return LSTM_ERR_UNSUPPORTED;
  b.seq_len = seq_len;
  b.x = x;
  b.ids = ids;
  return lstm__run_batch(m, s, &b, NULL, y, NULL);
}

LSTM_API lstm_status lstm_forward(const lstm_model *model, lstm_state *state, const float *x, int seq_len, float *y) {
  return x ? lstm__forward(model, state, x, NULL, seq_len, y) : LSTM_ERR_ARGUMENT;
}
LSTM_API lstm_status lstm_forward_ids(const lstm_model *model, lstm_state *state, const int32_t *ids, int seq_len,
                                      float *y) {
  return ids ? lstm__forward(model, state, NULL, ids, seq_len, y) : LSTM_ERR_ARGUMENT;
}

#ifndef LSTM_NO_TRAINING
/* [SECTION] Trainer ===================================================================================================
   A training step is a list of phases; a phase, a set of independent tiles, which the executor may spread: of rows
   (lanes, or steps and lanes); of weight gradients, over outputs. Each number is one chain, whoever computes it. */

#define LSTM__CHUNK 4096    /* floats of the parameter vector in a tile */
#define LSTM__GRADIENT_K 64  /* inputs of a weight gradient's tile */
#define LSTM__GRADIENT_N 128 /* rows of a window that it takes at a time */
#ifndef LSTM__SLICE
#define LSTM__SLICE ((size_t)1 << 19) /* multiply-adds of a tile of a sliced step, about */
#endif

/* Of the step under way. From UPDATE on, weights change. */
enum {
  LSTM__IDLE, LSTM__RENEW, LSTM__FORWARD, LSTM__LOSS, LSTM__BACKWARD, LSTM__CLIP, LSTM__UPDATE, LSTM__REPACK,
  LSTM__CARRY
};

/* A node's part of a window, and what it leaves for its backward pass. Slot k of a cell's out and cell is what lies
   between steps k - 1 and k; the forward direction begins at slot 0, the backward one at each lane's length. */
typedef struct lstm__tape {
  const lstm__layer *l;
  int once;          /* 1: what it gives was read once: rows are lanes, not steps of lanes */
  int ids;           /* 1: a cell whose input is a token's row of the embedding */
  lstm__rows x, y;   /* what it reads, and what the next node reads */
  float *out;        /* [rows][out_pad]; cells: [T + 1][B][out_pad] */
  float *gates;      /* cells: [T][B][columns]: i, f, g, o, then the gradients of their sums */
  float *cell;       /* lstm: [T + 1][B][units_pad] */
  float *wide;       /* with a projection: [T][B][units_pad], h before it */
  float *keep;       /* generic: [T][B][vectors][units_pad], see lstm__gate_job */
  float *masked;     /* recurrent dropout: [T][B][out_pad], h as the weights see it */
  float *mask;       /* recurrent dropout: [B][out_pad] */
  float *chance;     /* noise, zoneout: [B][3][units_pad], numbers of forget = noise, masks of c and h, for one step */
  float *own_dh;     /* one of two directions: [T][B][out_pad] */
  float *last;       /* a join that reads once: [B][out_pad], to spare */
  float *dh;         /* backward: the gradient of a cell's h [T][B][out_pad] */
  float *back_in;    /* packed transposed weights: gradient of the output -> gradient of the input */
  float *back_h;     /* cells: the same for h */
  float *back_wide;  /* with a projection: gradient of h -> gradient of h before it */
  lstm__layer *flat; /* with a projection: its matrix as a node */
} lstm__tape;

struct lstm_trainer {
  lstm_model *model;
  lstm_trainer_desc desc; /* resolved */
  lstm__loss loss;
  float *class_weights, *layer_rates; /* copies, or NULL */
  lstm__tape *tapes;                  /* [layers] */
  float *grad, *m1, *m2, *best;       /* [parameters], then zeros up to a multiple of 16; m1, m2, best may be NULL */
  float *carry;                       /* [B][S] */
  float *input;                       /* [T][B][I] */
  float *flow[2];                     /* gradients of outputs and inputs: [T][B][widest] */
  float *dc, *dh;                     /* [B][widest]: gradients of the cell, and of the initial h */
  float *spare, *lift;   /* [B][widest]: a gradient on its way to h'; one of h before a projection, or of c */
  float *token_sum;      /* [min(tokens, T B)][columns of its cell]: gate gradients added up by token */
  float *token_rows;     /* [min(tokens, T B)][embedding columns] */
  float *chunk_sums;     /* [chunks] */
  double *row_losses;    /* [T B] */
  int *ids, *slots;      /* [T B]: tokens, and their places among the different tokens of the window; -1 in padding */
  int *unique, *slot_of; /* [min(tokens, T B)] the different tokens; [tokens] their places or -1 */
  int *order, *lengths;  /* [B] lanes by falling length; their lengths */
  float *anew;           /* [B] 1: nothing was carried yet */
  int *fresh;            /* [B] 1: begins this window at the model's initial state */
  int *active;           /* [T] how many lanes have a step t */
  int unique_count, T, B, ragged, has_best, has_forward, has_loss, has_backward, group;
  uint64_t steps, windows, window; /* updates; forward passes; the number of the one under way, from 1 */
  uint64_t revision;       /* of the model's weights that the transposed ones were made from */
  float rate, norm, one, step_rate; /* step_rate: of the update under way, scheduled */
  const lstm_flow *gradients; /* of the backward pass under way */
  float *gradients_at;        /* flow[0] or flow[1]: where the gradient of the current layer's outputs lies */
  lstm_batch batch;           /* of the window, its sizes filled in */
  double weight, loss_sum;    /* sums of its targets' weights, and of weight * loss */
  lstm_status status;         /* of its targets */
  int stage, sliced, tiles;   /* of the step under way, 0: none is; 1: its tiles are counted; how many in this call */
  uint64_t done, passed;      /* tiles of the stage: done; gone by in this call, more than `done` where it was over */
  const lstm_slice *slice;    /* of this call */
  int first, last;            /* the steps or rows first .. last - 1 that tiles walk over */
  void *block;
};

/* --- creation ---------------------------------------------------------------------------------------------------- */
static float lstm__choose(float given, float otherwise) { return given < 0 ? 0 : given == 0 ? otherwise : given; }

/* What a loss makes of a model's open output. */
static const lstm_output lstm__loss_output[] = {LSTM_OUTPUT_AUTO,   LSTM_OUTPUT_SOFTMAX, LSTM_OUTPUT_SIGMOID,
                                                LSTM_OUTPUT_LINEAR, LSTM_OUTPUT_LINEAR,  LSTM_OUTPUT_LINEAR,
                                                LSTM_OUTPUT_LINEAR};

static int lstm__factors_ok(const float *values, int count) {
  for (int i = 0; i < count; i++)
    if (!(values[i] >= 0 && lstm__finite((double)values[i]))) return 0;
  return 1;
}

/* Fills in the numbers of a description that is sound otherwise; returns what is wrong with them, or NULL. */
static const char *lstm__resolve_numbers(const lstm_model *m, lstm_trainer_desc *d) {
  static const float factors[] = {0, 0.1f, 0.999f, 0}; /* of the schedules */
  int adam = d->optimizer == LSTM_ADAM || d->optimizer == LSTM_ADAMW, unclipped = d->clip_norm < 0;
  struct {
    float *at, otherwise;
  } numbers[] = {{&d->learning_rate, adam ? 1e-3f : 1e-2f}, {&d->momentum, 0}, {&d->beta1, 0.9f}, {&d->beta2, 0.999f},
                 {&d->weight_decay, d->optimizer == LSTM_ADAMW ? 0.01f : 0}, {&d->alpha, 0.99f}, {&d->epsilon, 1e-8f},
                 {&d->clip_norm, 5}, {&d->clip_value, 0}, {&d->huber_delta, 1}, {&d->label_smoothing, 0},
                 {&d->schedule_factor, factors[d->schedule]}, {&d->pre_emphasis, 0.95f}};
  if (d->epsilon < 0) return "epsilon must be above 0";
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    if (!lstm__finite((double)*numbers[i].at)) return "a number of the trainer's is not finite";
    *numbers[i].at = lstm__choose(*numbers[i].at, numbers[i].otherwise);
  }
  if (unclipped) d->clip_norm = -1;
  if (!(d->huber_delta > 0)) return "huber_delta must be above 0";
  if (d->pre_emphasis > 1) return "pre_emphasis must be at most 1";
  if (d->label_smoothing > 1) return "label_smoothing must be within 0 and 1";
  if (d->loss != LSTM_CROSS_ENTROPY && (d->label_smoothing > 0 || d->class_weights))
    return "label_smoothing and class_weights need the loss cross-entropy";
  if (d->class_weights && !lstm__factors_ok(d->class_weights, lstm_model_output_size(m)))
    return "one of the class_weights is negative or not finite";
  if (d->momentum >= 1 || d->beta1 >= 1 || d->beta2 >= 1 || d->alpha >= 1)
    return "momentum, beta1, beta2 and alpha must be below 1";
  if (d->schedule_steps < 0) d->schedule_steps = 0;
  if (d->warmup < 0) d->warmup = 0;
  if ((d->schedule == LSTM_SCHEDULE_STEP || d->schedule == LSTM_SCHEDULE_COSINE) && d->schedule_steps < 1)
    return "this schedule needs schedule_steps of at least 1";
  if (d->schedule_factor > 1 || (d->schedule_factor == 0 && factors[d->schedule] > 0))
    return "schedule_factor must be above 0 (cosine: or 0) and at most 1";
  d->nesterov = d->nesterov > 0;
  if (d->nesterov && (d->optimizer != LSTM_SGD || !(d->momentum > 0)))
    return "nesterov needs the optimizer sgd and a momentum";
  if (d->layer_rates && !lstm__factors_ok(d->layer_rates, m->desc.layer_count))
    return "one of the layer_rates is negative or not finite";
  return NULL;
}

static lstm_status lstm__resolve_trainer(const lstm_model *m, lstm_trainer_desc *d) {
  lstm_error *e = d->error;
  if (!d->batch_size) d->batch_size = 1;
  if (!d->seq_len) d->seq_len = 1;
  if (d->batch_size < 1 || d->seq_len < 1)
    return lstm__fail(e, LSTM_ERR_ARGUMENT, "batch_size is %d and seq_len %d, wanted at least 1", d->batch_size,
                      d->seq_len);
  if (d->batch_size > LSTM_MAX_LANES || d->seq_len > LSTM_MAX_SEQ_LEN || d->batch_size > INT_MAX / 2 / d->seq_len)
    return lstm__fail(e, LSTM_ERR_LIMIT, "batch_size %d times seq_len %d is over the limit", d->batch_size, d->seq_len);
  if (d->carry_state && m->plan.bidirectional)
    return lstm__fail(e, LSTM_ERR_ARGUMENT, "carry_state does not go with a bidirectional layer");
  lstm_status s = lstm__within(e, "loss", (int)d->loss, 0, LSTM_LOSS_COUNT - 1, LSTM_ERR_ARGUMENT);
  if (s == LSTM_OK) s = lstm__within(e, "optimizer", (int)d->optimizer, 0, LSTM_OPTIMIZER_COUNT - 1, LSTM_ERR_ARGUMENT);
  if (s == LSTM_OK) s = lstm__within(e, "schedule", (int)d->schedule, 0, LSTM_SCHEDULE_COUNT - 1, LSTM_ERR_ARGUMENT);
  if (s != LSTM_OK) return s;
  if (d->optimizer == LSTM_OPTIMIZER_DEFAULT) d->optimizer = LSTM_ADAM;
  const char *wrong = lstm__resolve_numbers(m, d);
  if (wrong) return lstm__fail(e, LSTM_ERR_ARGUMENT, "%s", wrong);
  if (d->loss != LSTM_LOSS_NONE && m->desc.output != LSTM_OUTPUT_AUTO && m->desc.output != lstm__loss_output[d->loss])
    return lstm__fail(e, LSTM_ERR_MISMATCH, "the model's output is %s, but this loss needs %s",
                      lstm__output_names[m->desc.output], lstm__output_names[lstm__loss_output[d->loss]]);
  return LSTM_OK;
}

/* 1: layer i, an lstm, reads rows of the embedding directly, also while dropout is on. */
static int lstm__trains_on_ids(const lstm_model *m, int i) {
  if (!m->layers[i].recurrent || !m->layers[i].from_ids) return 0;
  for (i--; i > 0; i--)
    if (m->layers[i].rate > 0) return 0;
  return 1;
}

/* 1: the layer's outputs are its inputs. */
static int lstm__passes_through(const lstm__layer *l) { return l->type == LSTM_LAYER_DROPOUT && l->rate == 0; }

/* 1: layer i, an embedding, has rows that somebody reads as rows. */
static int lstm__needs_rows(const lstm_model *m, int i) {
  int next = i + 1;
  while (next < m->plan.layers && lstm__passes_through(m->layers + next)) next++;
  return next >= m->plan.layers || !lstm__trains_on_ids(m, next);
}

/* Floats of transposed weights: panels of up to 64 columns over the input, a row for each (padded) output. */
static size_t lstm__back_count(const lstm__layer *l, int columns) { return lstm__at(lstm__pad16(columns), l->columns); }

/* An array of a trainer; of no floats: NULL. */
typedef struct lstm__array { float **at; size_t count; } lstm__array;

static void lstm__carve_arrays(lstm__arena *a, const lstm__array *arrays, size_t n) {
  for (size_t i = 0; i < n; i++) *arrays[i].at = arrays[i].count ? lstm__carve_floats(a, arrays[i].count) : NULL;
}

static void lstm__carve_cell_tape(lstm__arena *a, const lstm__layer *l, size_t T, size_t B, lstm__tape *tape) {
  lstm__layer flat = lstm__projection_of(l);
  size_t rows = T * B, width = (size_t)l->out_pad, wide = (size_t)l->units_pad;
  int masks = l->o.recurrent_dropout > 0, chance = l->o.noise > 0 || l->o.zoneout > 0, projects = l->o.projection > 0;
  const lstm__array arrays[] = {
      {&tape->out, (rows + B) * width}, {&tape->cell, l->type == LSTM_LAYER_LSTM ? (rows + B) * wide : 0},
      {&tape->gates, rows * (size_t)l->columns}, {&tape->keep, rows * wide * (size_t)l->vectors},
      {&tape->chance, chance ? B * 3 * wide : 0}, {&tape->own_dh, l->branch ? rows * width : 0},
      {&tape->masked, masks ? rows * width : 0}, {&tape->mask, masks ? B * width : 0},
      {&tape->wide, projects ? rows * wide : 0}, {&tape->back_h, lstm__back_count(l, l->out)},
      {&tape->back_wide, projects ? lstm__back_count(&flat, l->units) : 0}};
  tape->flat = (lstm__layer *)lstm__carve(a, projects ? 1 : 0, sizeof flat);
  if (projects && tape->flat) *tape->flat = flat;
  lstm__carve_arrays(a, arrays, sizeof arrays / sizeof *arrays);
}

static void lstm__carve_tape(lstm__arena *a, const lstm_model *m, int i, size_t T, size_t B, lstm__tape *tape) {
  const lstm__layer *l = m->layers + i;
  memset(tape, 0, sizeof *tape);
  tape->l = l;
  tape->once = m->plan.pool >= 0 && i >= m->plan.pool;
  tape->ids = lstm__trains_on_ids(m, i);
  if (l->recurrent)
    lstm__carve_cell_tape(a, l, T, B, tape);
  else if (l->type == LSTM_LAYER_EMBEDDING ? lstm__needs_rows(m, i) : !lstm__passes_through(l))
    tape->out = lstm__carve_floats(a, (tape->once ? B : T * B) * (size_t)l->out_pad);
  if (l->type == LSTM__NODE_JOIN) tape->last = lstm__carve_floats(a, B * (size_t)l->out_pad);
  if (l->gates) tape->back_in = lstm__carve_floats(a, lstm__back_count(l, l->in));
}

static int *lstm__carve_ints(lstm__arena *a, size_t count) { return (int *)lstm__carve(a, count, sizeof(int)); }

/* 1: a cell that is more than the plain one. */
static int lstm__needs_spare(const lstm__layer *l) {
  return l->recurrent &&
         (l->generic || l->type == LSTM_LAYER_GRU || l->branch || l->o.projection || l->o.recurrent_dropout > 0);
}

/* The arrays of floats; columns: of the cell that reads tokens, or 0; spare: 1 where a cell needs such rows. */
static void lstm__carve_trainer_floats(lstm__arena *a, const lstm_model *m, const lstm_trainer_desc *d, size_t unique,
                                       size_t columns, size_t spare, lstm_trainer *t) {
  size_t B = (size_t)d->batch_size, rows = (size_t)d->seq_len * B, params = (m->plan.params + 15) & ~(size_t)15;
  size_t input = lstm_model_takes_ids(m) ? 0 : (size_t)m->desc.input_size, widest = (size_t)m->plan.widest;
  size_t flow = widest > input ? widest : (input + 15) & ~(size_t)15; /* it also carries d_input */
  const lstm__array arrays[] = {
      {&t->grad, params}, {&t->m1, params}, {&t->m2, d->optimizer == LSTM_SGD ? 0 : params},
      {&t->best, d->keep_best ? params : 0},
      {&t->class_weights, d->class_weights ? (size_t)lstm_model_output_size(m) : 0},
      {&t->layer_rates, d->layer_rates ? (size_t)m->desc.layer_count : 0},
      {&t->carry, B * (size_t)m->plan.state_size}, {&t->anew, B}, {&t->input, rows * input},
      {&t->flow[0], rows * flow}, {&t->flow[1], rows * flow},
      {&t->dc, B * widest}, {&t->dh, B * widest}, {&t->spare, spare * B * widest}, {&t->lift, spare * B * widest},
      {&t->token_sum, unique * columns}, {&t->token_rows, columns ? unique * (size_t)m->layers[0].out_pad : 0},
      {&t->chunk_sums, params / LSTM__CHUNK + 1}};
  lstm__carve_arrays(a, arrays, sizeof arrays / sizeof *arrays);
}

/* Carves a trainer; in the measuring round into `local`. */
static lstm_trainer *lstm__carve_trainer(lstm__arena *a, const lstm_model *m, const lstm_trainer_desc *d) {
  lstm_trainer local, *t = (lstm_trainer *)lstm__carve(a, 1, sizeof(lstm_trainer)), *to = t ? t : &local;
  lstm__tape tape;
  size_t T = (size_t)d->seq_len, B = (size_t)d->batch_size, columns = 0, spare = 0;
  size_t tokens = lstm_model_takes_ids(m) ? (size_t)m->desc.input_size : 0, unique = tokens < T * B ? tokens : T * B;
  memset(to, 0, sizeof *to);
  to->tapes = (lstm__tape *)lstm__carve(a, (size_t)m->plan.layers, sizeof(lstm__tape));
  for (int i = 0; i < m->plan.layers; i++) {
    lstm__carve_tape(a, m, i, T, B, &tape);
    if (tape.ids) columns = (size_t)m->layers[i].columns;
    if (lstm__needs_spare(m->layers + i)) spare = 1;
    if (t) t->tapes[i] = tape;
  }
  lstm__carve_trainer_floats(a, m, d, unique, columns, spare, to);
  to->row_losses = (double *)lstm__carve(a, T * B, sizeof(double));
  to->ids = lstm__carve_ints(a, tokens ? T * B : 0);
  to->slots = lstm__carve_ints(a, tokens ? T * B : 0);
  to->unique = lstm__carve_ints(a, unique);
  to->slot_of = lstm__carve_ints(a, tokens);
  to->order = lstm__carve_ints(a, B);
  to->lengths = lstm__carve_ints(a, B);
  to->fresh = lstm__carve_ints(a, B);
  to->active = lstm__carve_ints(a, T);
  return t;
}

static lstm_status lstm__measure_trainer(const lstm_model *m, lstm_trainer_desc *d, size_t *size) {
  lstm__arena arena = {NULL, 0, 0};
  size_t floats, row = (size_t)m->plan.widest * 128 + (size_t)m->desc.input_size * 4; /* more than a tape's row takes */
  lstm_status status = lstm__resolve_trainer(m, d);
  if (status != LSTM_OK) return status;
  if (!m->tensors) return lstm__fail(d->error, LSTM_ERR_UNSUPPORTED, "a static model cannot be trained");
  arena.overflow = m->plan.params / 16 >= INT_MAX ||
                   !lstm__mul_ok((size_t)d->batch_size * ((size_t)d->seq_len + 1), row, &floats);
  if (!arena.overflow) (void)lstm__carve_trainer(&arena, m, d);
  *size = arena.used;
  return arena.overflow ? lstm__fail(d->error, LSTM_ERR_LIMIT, "the trainer is too large for this machine") : LSTM_OK;
}

/* Transposes weights [.. rows of outputs ..][k] for the backward products: panels of up to 64 of the k columns, in each
   a row for every output in the order in which gradients lie in memory (lstm: [block][gate][16]; padding is zero). */
static void lstm__pack_back(const lstm_model *m, float *to, const lstm__layer *l, int kind, int k, int panel) {
  const float *w = lstm__param(m, l, kind) + (size_t)panel * 64;
  int width = lstm__int_min(64, lstm__pad16(k) - panel * 64), count = lstm__int_min(width, k - panel * 64), j;
  to += lstm__at(panel * 64, l->columns);
  for (j = 0; j < l->columns; j++, to += width) {
    int row = lstm__row_of(l, kind, j);
    lstm__put_row(to, row < 0 ? NULL : w + lstm__at(row, k), count, width);
  }
}

/* How many tiles of `size` cover `count`. */
static int lstm__tiles(int count, int size) { return (count + size - 1) / size; }
static int lstm__panels(int columns) { return lstm__tiles(columns, 64); }

/* Panels of a node's weights: forward, then transposed. Makes tile `index`, if there is such; returns how many are. */
static int lstm__repack(const lstm_trainer *t, const lstm__tape *tape, int index) {
  const lstm__layer *l = tape->l;
  const struct {
    float *to;
    const lstm__layer *l;
    int kind, k;
  } back[] = {{tape->back_in, l, l->recurrent ? LSTM__T_WEIGHT_IH : LSTM__T_WEIGHT, l->in},
              {tape->back_h, l, LSTM__T_WEIGHT_HH, l->out},
              {tape->back_wide, tape->flat, LSTM__T_PROJECTION, l->units}};
  int i, first = lstm__panels(l->columns), panels;
  if (!l->gates) return 0;
  if (index >= 0 && index < first) lstm__pack_layer(t->model, l, index, index + 1);
  for (i = 0; i < 3; i++, first += panels) {
    panels = back[i].to ? lstm__panels(back[i].k) : 0;
    if (index >= first && index < first + panels)
      lstm__pack_back(t->model, back[i].to, back[i].l, back[i].kind, back[i].k, index - first);
  }
  return first;
}

static void lstm__repack_tile(lstm_trainer *t, const lstm__tape *tape, int from, int end) {
  (void)end;
  (void)lstm__repack(t, tape, from);
}

/* The stored start values of some tokens. */
static void lstm__table_tile(lstm_trainer *t, const lstm__tape *tape, int from, int end) {
  (void)tape;
  lstm__fill_table(t->model, from, end);
}

/* Multiply-adds of a row through a node's weights, and what its other work is worth. */
static size_t lstm__work_of(const lstm__layer *l) {
  return (size_t)l->columns * (size_t)(l->in + (l->recurrent ? l->out : 0)) + (size_t)l->out_pad * 16 + 1;
}

/* A phase: `count` rows, lanes or columns of a node, in independent tiles of `size`: from .. end - 1. */
typedef void lstm__tile(lstm_trainer *t, const lstm__tape *tape, int from, int end);

typedef struct lstm__phase {
  lstm_trainer *t;
  lstm__tile *tile;
  const lstm__tape *tape;
  int count, size;
} lstm__phase;

static void lstm__settle(lstm_trainer *t);
static void lstm__phase_task(void *context, int index) {
  const lstm__phase *p = (const lstm__phase *)context;
  p->tile(p->t, p->tape, index * p->size, lstm__int_min((index + 1) * p->size, p->count));
}

/* Goes by the tiles of a phase of a sliced step: those of earlier calls are done; more are while the budget lasts. */
static void lstm__run_some(lstm_trainer *t, lstm__phase *phase, int tiles) {
  uint64_t first = t->passed;
  const lstm_slice *s = t->slice;
  t->passed += (uint64_t)tiles;
  for (; t->done >= first && t->done < t->passed; t->done++, t->tiles++) {
    if (t->tiles > 0 && ((s->tiles && t->tiles >= s->tiles) || (s->clock && s->clock(s->user) >= s->deadline))) return;
    lstm__phase_task(phase, (int)(t->done - first));
  }
}

static void lstm__run(lstm_trainer *t, lstm__tile *tile, const lstm__tape *tape, int count, int size) {
  lstm__phase phase = {t, tile, tape, count, size};
  int tiles = count > 0 ? lstm__tiles(count, size) : 0;
  if (t->sliced) lstm__run_some(t, &phase, tiles);
  if (!t->sliced && tiles) lstm__execute(&t->desc.executor, tiles, lstm__phase_task, &phase);
}

/* A phase whose tiles walk over a depth: steps or rows, t->first .. t->last - 1. work: multiply-adds, or what takes as
   long, of one of `count` at one of `depth`. All at once; where a step is sliced, as much as makes a small tile. */
static void lstm__run_deep(lstm_trainer *t, lstm__tile *tile, const lstm__tape *tape, int count, int size, int depth,
                           size_t work) {
  size_t room = LSTM__SLICE / work;
  int span = depth;
  if (t->sliced && room / (size_t)size < (size_t)depth) span = lstm__int_max(1, (int)(room / (size_t)size));
  if (t->sliced && room < (size_t)size) size = lstm__int_min(size, lstm__int_max(4, (int)room));
  for (t->first = 0; t->first < depth; t->first = t->last) {
    t->last = lstm__int_min(depth, t->first + span);
    lstm__run(t, tile, tape, count, size);
  }
}

/* What is done in order: at once, or, where a step is sliced, in small tiles. */
static void lstm__run_serial(lstm_trainer *t, lstm__tile *tile, const lstm__tape *tape, int count, size_t work) {
  int sliced = t->sliced && count > 0;
  if (sliced) lstm__run_deep(t, tile, tape, count, count, 1, work);
  if (!sliced) tile(t, tape, 0, count);
}

/* Everything that is made from the weights. */
static void lstm__walk_refresh(lstm_trainer *t) {
  lstm_model *m = t->model;
  const lstm__tape *tape = t->tapes, *end = tape + m->plan.layers;
  /* stored start values follow the weights only where that is less work than a window without them */
  int stored =
      m->table && m->desc.input_size <= t->desc.seq_len * t->desc.batch_size && t->tapes[m->plan.table_layer].ids;
  m->table_valid = 0;
  for (; tape < end; tape++) lstm__run(t, lstm__repack_tile, tape, lstm__repack(t, tape, -1), 1);
  if (stored)
    lstm__run_deep(t, lstm__table_tile, NULL, m->desc.input_size, LSTM__GROUP, 1,
                   lstm__work_of(m->layers + m->plan.table_layer));
  m->table_valid = stored && t->done == t->passed;
}

/* After a change of the weights. */
static void lstm__trainer_refresh(lstm_trainer *t) {
  t->revision = t->model->revision;
  lstm__walk_refresh(t);
}

/* The caller's lists may go. */
static const float *lstm__copy_list(float *to, const float *from, int count) {
  if (from) memcpy(to, from, (size_t)count * sizeof(float));
  return to;
}

static lstm_status lstm__create_trainer(lstm_model *m, const lstm_trainer_desc *desc, void *memory, size_t size,
                                        lstm_trainer **out) {
  lstm__arena arena;
  size_t needed = 0;
  void *block;
  if (out) *out = NULL;
  if (!m || !desc || !out) return LSTM_ERR_ARGUMENT;
  lstm_trainer_desc d = *desc;
  lstm_status status = lstm__measure_trainer(m, &d, &needed);
  if (status != LSTM_OK) return status;
  status = lstm__place(&d.allocator, needed, memory, size, &arena, &block, d.error);
  if (status != LSTM_OK) return status;
  memset(arena.base, 0, needed);
  lstm_trainer *t = *out = lstm__carve_trainer(&arena, m, &d);
  t->model = m;
  t->desc = d;
  t->desc.error = NULL;
  t->desc.class_weights = lstm__copy_list(t->class_weights, d.class_weights, lstm_model_output_size(m));
  t->desc.layer_rates = lstm__copy_list(t->layer_rates, d.layer_rates, m->desc.layer_count);
  const lstm__loss loss = {d.loss, d.huber_delta, d.label_smoothing, d.pre_emphasis, t->class_weights};
  t->loss = loss;
  t->block = block;
  t->rate = d.learning_rate;
  t->one = 1;
  int width = d.executor.run && d.executor.width > 1 ? lstm__int_min(d.executor.width, d.batch_size) : 1;
  t->group = lstm__int_min(LSTM__GROUP, lstm__tiles(d.batch_size, width));
  for (int i = 0; lstm_model_takes_ids(m) && i < m->desc.input_size; i++) t->slot_of[i] = -1;
  lstm_trainer_reset(t);
  if (d.loss != LSTM_LOSS_NONE) m->desc.output = lstm__loss_output[d.loss];
  lstm__trainer_refresh(t);
  return LSTM_OK;
}

LSTM_API lstm_status lstm_trainer_size(const lstm_model *model, const lstm_trainer_desc *desc, size_t *size) {
  if (size) *size = 0;
  if (!model || !desc || !size) return LSTM_ERR_ARGUMENT;
  lstm_trainer_desc d = *desc;
  return lstm__measure_trainer(model, &d, size);
}
LSTM_API lstm_status lstm_trainer_create(lstm_model *model, const lstm_trainer_desc *desc, lstm_trainer **out) {
  return lstm__create_trainer(model, desc, NULL, 0, out);
}
LSTM_API lstm_status lstm_trainer_create_in(lstm_model *model, const lstm_trainer_desc *desc, void *memory, size_t size,
                                            lstm_trainer **out) {
  return lstm__create_trainer(model, memory ? desc : NULL, memory, size, out);
}

LSTM_API void lstm_trainer_destroy(lstm_trainer *trainer) {
  if (!trainer) return;
  lstm__settle(trainer);
  lstm_model *m = trainer->model;
  if (m->table && !m->table_valid) { /* training went without it; steps may have it again */
    m->table_valid = 1;
    lstm__fill_table(m, 0, m->desc.input_size);
  }
  lstm__free(&trainer->desc.allocator, trainer->block);
}

/* --- forward ----------------------------------------------------------------------------------------------------- */
/* The rows that a node gives. */
static int lstm__rows_of(const lstm_trainer *t, const lstm__tape *tape) { return tape->once ? t->B : t->T * t->B; }
static const lstm__tape *lstm__top(const lstm_trainer *t) { return t->tapes + t->model->plan.layers - 1; }

/* A phase over the rows of a node; one over the lanes; and one over the lanes, which stay together, and the steps. */
static void lstm__run_rows(lstm_trainer *t, lstm__tile *tile, const lstm__tape *tape) {
  lstm__run_deep(t, tile, tape, lstm__rows_of(t, tape), LSTM__GROUP, 1, lstm__work_of(tape->l));
}
static void lstm__run_lanes(lstm_trainer *t, lstm__tile *tile, const lstm__tape *tape) {
  lstm__run_deep(t, tile, tape, t->B, t->group, 1, lstm__work_of(tape->l) * (size_t)t->T);
}
static void lstm__run_steps(lstm_trainer *t, lstm__tile *tile, const lstm__tape *tape) {
  lstm__run_deep(t, tile, tape, t->B, t->group, t->T, lstm__work_of(tape->l));
}

/* Row r of a window, step r / B of lane r % B, is not padding. Rows read once are those of step 0. */
static int lstm__is_live(const lstm_trainer *t, int r) { return r / t->B < t->lengths[r % t->B]; }

/* Rows that begin at row `at` of an array, or not at all: p may be NULL. */
LSTM__FORCE_INLINE lstm__rows lstm__rows_from(const float *p, int at, int width, const int *index) {
  return lstm__rows_at(p ? p + lstm__at(at, width) : NULL, (size_t)width, index);
}
LSTM__FORCE_INLINE lstm__out_rows lstm__out_rows_from(float *p, int at, int width, const int *index) {
  return lstm__out_rows_at(p ? p + lstm__at(at, width) : NULL, (size_t)width, index);
}

/* Sets what a node reads, and what the next one does. */
static void lstm__set_input(const lstm_trainer *t, lstm__tape *tape) {
  const lstm__layer *l = tape->l;
  tape->x = l->source < 0 ? lstm__rows_from(t->input, 0, t->model->desc.input_size, NULL) : t->tapes[l->source].y;
  tape->y = lstm__rows_from(tape->out, l->recurrent && !l->reverse ? t->B : 0, l->out_pad, NULL);
  if (lstm__passes_through(l)) tape->y = tape->x;
}
static void lstm__embed_tile(lstm_trainer *t, const lstm__tape *tape, int from, int end) {
  const lstm__layer *l = tape->l;
  const float *table = lstm__param(t->model, l, LSTM__T_TABLE);
  for (int r = from; r < end; r++)
    lstm__put_row(tape->out + lstm__at(r, l->out_pad), t->slots[r] < 0 ? NULL : table + lstm__at(t->ids[r], l->out),
                  l->out, l->out_pad);
}

/* What random numbers of a layer are for; each is a stream of its own. */
enum { LSTM__DROP, LSTM__DROP_INPUT, LSTM__DROP_H, LSTM__NOISE, LSTM__ZONE_C, LSTM__ZONE_H };

/* Four random words made from (seed, window, layer, purpose, index). */
static void lstm__chance_block(const lstm_trainer *t, const lstm__layer *l, int purpose, uint64_t index,
                               uint32_t block[4]) {
  uint64_t stream = ((uint64_t)1 << 63) | t->window << 8 | (uint64_t)l->described;
  lstm__random_block(t->desc.seed, stream, (uint64_t)(purpose * 2 + l->reverse) << 56 | index, block);
}

/* y = x / (1 - rate) where a number made from (seed, window, layer, row, unit) says keep, else 0; the gradient, too. */
static void lstm__drop_row(const lstm_trainer *t, const lstm__layer *l, int row, const float *x, float *y) {
  float scale = 1.0f / (1.0f - l->rate);
  uint32_t limit = (uint32_t)lstm__mul((double)l->rate, 4294967296.0), block[4];
  uint64_t first = (uint64_t)row * (uint64_t)(l->out_pad / 4);
  int i, purpose = l->o.type == LSTM_LAYER_DROPOUT ? LSTM__DROP : LSTM__DROP_INPUT;
  for (i = 0; i < l->out_pad; i++) {
    if (i % 4 == 0) lstm__chance_block(t, l, purpose, first + (uint64_t)(i / 4), block);
    y[i] = i < l->in && block[i % 4] >= limit ? x[i] * scale : 0; /* the user's rows are not padded */
  }
}

/* Fills to [n] with numbers that belong to `row`: `hit` with probability `rate`, or `miss`; rate < 0: all of [0, 1). */
static void lstm__chance_row(const lstm_trainer *t, const lstm__layer *l, int purpose, int row, int n, float rate,
                             float hit, float miss, float *to) {
  uint32_t limit = rate > 0 ? (uint32_t)lstm__mul((double)rate, 4294967296.0) : 0, block[4];
  uint64_t first = (uint64_t)row * (uint64_t)(n / 4);
  for (int i = 0; i < n; i++) {
    if (i % 4 == 0) lstm__chance_block(t, l, purpose, first + (uint64_t)(i / 4), block);
    to[i] = rate < 0 ? (float)(block[i % 4] >> 8) * (1.0f / 16777216.0f) : block[i % 4] < limit ? hit : miss;
  }
}

/* The random numbers of a cell at row (step B + lane), into the lane's part of the tape. */
static void lstm__draw_row(const lstm_trainer *t, const lstm__tape *tape, int row) {
  const lstm__layer *l = tape->l;
  float *to = tape->chance + lstm__at(row % t->B, 3 * l->units_pad);
  if (l->o.noise > 0) lstm__chance_row(t, l, LSTM__NOISE, row, l->units_pad, -1, 0, 0, to);
  if (!(l->o.zoneout > 0)) return;
  to += l->units_pad;
  if (l->type == LSTM_LAYER_LSTM) lstm__chance_row(t, l, LSTM__ZONE_C, row, l->units_pad, l->o.zoneout, 1, 0, to);
  lstm__chance_row(t, l, LSTM__ZONE_H, row, l->out_pad, l->o.zoneout, 1, 0, to + l->units_pad);
}

static void lstm__dropout_tile(lstm_trainer *t, const lstm__tape *tape, int from, int end) {
  for (int r = from; r < end; r++)
    lstm__drop_row(t, tape->l, r, lstm__row(&tape->x, r), tape->out + lstm__at(r, tape->l->out_pad));
}

static void lstm__dense_tile(lstm_trainer *t, const lstm__tape *tape, int from, int end) {
  const lstm__layer *l = tape->l;
  float *y = tape->out + lstm__at(from, l->out_pad);
  lstm__gemm(t->model, end - from, l->in, l->out_pad, LSTM__FROM_BIAS, t->model->packed + l->packed,
             lstm__rows_at(lstm__row(&tape->x, from), tape->x.stride, NULL),
             lstm__out_rows_from(y, 0, l->out_pad, NULL));
  t->model->kernels->map((int)l->o.activation, (end - from) * l->out_pad, y);
  for (int r = from; l->o.residual && r < end; r++)
    lstm__add_row(tape->out + lstm__at(r, l->out_pad), t->input + lstm__at(r, t->model->desc.input_size), l->out);
}

/* Of the lanes order[from] .. order[end - 1], how many have a step; they are the first of these. */
static int lstm__active_lanes(const lstm_trainer *t, int step, int from, int end) {
  return lstm__int_max(0, lstm__int_min(end, t->active[step]) - from);
}

/* Where a cell's step reads and writes: the first rows of slots of its tape. */
static int lstm__slot_in(const lstm_trainer *t, const lstm__layer *l, int step) { return (step + l->reverse) * t->B; }
static int lstm__slot_out(const lstm_trainer *t, const lstm__layer *l, int k) { return (k + 1 - l->reverse) * t->B; }

/* Recurrent dropout (Gal and Ghahramani, 2016): h as the weights see it. */
static void lstm__mask_rows(const lstm__tape *tape, const lstm__cell_step *s, int at, const int *lanes) {
  int r, u, width = tape->l->out_pad;
  for (r = 0; r < s->job.rows; r++) {
    const float *h = lstm__row(&s->h_prev, r), *mask = tape->mask + lstm__at(lanes[r], width);
    float *to = tape->masked + lstm__at(at + lanes[r], width);
    for (u = 0; u < width; u++) to[u] = h[u] * mask[u];
  }
}

/* What a cell needs for one step of some lanes, and, but for the tokens, for its backward pass. */
static void lstm__set_step(const lstm_trainer *t, const lstm__tape *tape, int step, const int *lanes, int n,
                           const int *tokens, lstm__cell_step *s) {
  const lstm_model *m = t->model;
  const lstm__layer *l = tape->l;
  int at = step * t->B, in = lstm__slot_in(t, l, step), out = lstm__slot_out(t, l, step);
  int width = l->out_pad, wide = l->units_pad;
  s->job.rows = n;
  if (tape->ids) s->job.x = lstm__rows_from(lstm__param(m, m->layers, LSTM__T_TABLE), 0, m->layers[0].out, tokens);
  if (!tape->ids) s->job.x = lstm__rows_at(lstm__row(&tape->x, at), tape->x.stride, lanes);
  s->job.start = lstm__rows_from(tape->ids && m->table_valid ? m->table : NULL, 0, l->columns, tokens);
  s->job.h = s->h_prev = lstm__rows_from(tape->out, in, width, lanes);
  if (tape->masked) s->job.h = lstm__rows_from(tape->masked, at, width, lanes);
  s->job.h_out = lstm__out_rows_from(tape->out, out, width, lanes);
  s->job.tape = lstm__out_rows_from(tape->gates, at, l->columns, lanes);
  s->job.c = lstm__rows_from(tape->cell, in, wide, lanes);
  s->job.c_out = lstm__out_rows_from(tape->cell, out, wide, lanes);
  s->wide = lstm__out_rows_from(tape->wide, at, wide, lanes);
  s->keep = lstm__out_rows_from(tape->keep, at, wide * l->vectors, lanes);
  s->chance = lstm__rows_from(tape->chance, 0, 3 * wide, lanes);
}

/* Steps of a group of lanes. */
static void lstm__cell_tile(lstm_trainer *t, const lstm__tape *tape, int from, int end) {
  const lstm__layer *l = tape->l;
  const int *lanes = t->order + from;
  for (int k = t->first; k < t->last; k++) {
    int step = l->reverse ? t->T - 1 - k : k, at = step * t->B, n = lstm__active_lanes(t, step, from, end);
    int tokens[LSTM__GROUP];
    lstm__cell_step s;
    if (n == 0) continue;
    for (int r = 0; tape->ids && r < n; r++) tokens[r] = t->ids[at + lanes[r]];
    lstm__set_step(t, tape, step, lanes, n, tokens, &s);
    s.job.flip = k & 1;
    if (tape->masked) lstm__mask_rows(tape, &s, at, lanes);
    for (int r = 0; tape->chance && r < n; r++) lstm__draw_row(t, tape, at + lanes[r]);
    lstm__set_weights(t->model, l, &s.job);
    lstm__step_cell(t->model, l, &s);
  }
}

/* What a join reads of a lane, step by step: one of its two cells, or the one and nothing. */
static lstm__rows lstm__joined(const lstm_trainer *t, const lstm__tape *join, int lane, int backward) {
  const lstm__rows *y = &t->tapes[join->l->source + backward].y;
  if (backward && !join->l->o.bidirectional) return lstm__rows_at(NULL, 0, NULL);
  return lstm__rows_at(lstm__row(y, lane), y->stride * (size_t)t->B, NULL);
}

/* Merges directions, and reads last, mean or max: lane by lane. */
static void lstm__join_tile(lstm_trainer *t, const lstm__tape *tape, int from, int end) {
  const lstm__layer *l = tape->l;
  for (int lane = from; lane < end; lane++) {
    lstm__rows forward = lstm__joined(t, tape, lane, 0), backward = lstm__joined(t, tape, lane, 1);
    float *out = tape->out + lstm__at(lane, l->out_pad), *row = tape->last + lstm__at(lane, l->out_pad);
    if (l->o.read) memset(out, 0, (size_t)l->out_pad * sizeof(float));
    lstm__join_lane(t->model, l, l->o.read ? t->lengths[lane] : t->T, &forward, &backward, row, out,
                    lstm__at(t->B, l->out_pad));
  }
}

/* How a type of layer is trained. */
typedef struct lstm__pass {
  void (*run)(lstm_trainer *t, lstm__tile *tile, const lstm__tape *tape);
  lstm__tile *forward; /* where the layer has a tape->out */
  /* Adds to its tensors' gradients, takes the gradient on to its inputs. Returns 0 where no node below is left. */
  int (*backward)(lstm_trainer *t, lstm__tape *tape, int wants_input);
} lstm__pass;
static const lstm__pass *lstm__pass_of(const lstm__layer *l);

/* Lanes by falling length (in order where equal), how many have each step, and which begin anew. */
static void lstm__lanes_tile(lstm_trainer *t, const lstm__tape *tape, int from, int end) {
  const lstm_batch *b = &t->batch;
  int i, j, step;
  (void)tape, (void)from, (void)end;
  t->ragged = 0;
  for (i = 0; i < t->B; i++) {
    t->lengths[i] = b->lengths ? b->lengths[i] : t->T;
    if (t->lengths[i] < t->T) t->ragged = 1;
  }
  for (i = 0; i < t->B; i++) {
    for (j = i; j > 0 && t->lengths[t->order[j - 1]] < t->lengths[i]; j--) t->order[j] = t->order[j - 1];
    t->order[j] = i;
  }
  j = t->B;
  for (step = 0; step < t->T; step++) {
    while (j > 0 && t->lengths[t->order[j - 1]] <= step) j--;
    t->active[step] = j;
  }
  for (i = 0; i < t->B; i++)
    t->fresh[i] = !b->initial && (!t->desc.carry_state || t->anew[i] != 0 || (b->reset && b->reset[i]));
}

/* Takes over tokens and finds the different ones. */
static void lstm__ids_tile(lstm_trainer *t, const lstm__tape *tape, int from, int end) {
  (void)tape;
  for (int i = 0; from == 0 && i < t->unique_count; i++) t->slot_of[t->unique[i]] = -1;
  if (from == 0) t->unique_count = 0;
  for (int i = from; i < end; i++) {
    int valid = lstm__is_live(t, i), id = valid ? (int)t->batch.ids[i] : 0;
    t->ids[i] = id;
    t->slots[i] = -1;
    if (!valid) continue;
    if (t->slot_of[id] < 0) {
      t->slot_of[id] = t->unique_count;
      t->unique[t->unique_count++] = id;
    }
    t->slots[i] = t->slot_of[id];
  }
}

/* Copies rows of n floats, and zeros for padding. */
static void lstm__copy_live(const lstm_trainer *t, int first, int end, int n, lstm__rows from, float *to) {
  for (int r = first; r < end; r++)
    lstm__put_row(to + lstm__at(r, n), lstm__is_live(t, r) ? lstm__row(&from, r) : NULL, n, n);
}
static void lstm__inputs_tile(lstm_trainer *t, const lstm__tape *tape, int from, int end) {
  int in = t->model->desc.input_size;
  (void)tape;
  lstm__copy_live(t, from, end, in, lstm__rows_from(t->batch.x, 0, in, NULL), t->input);
}
static void lstm__clear_rows(float *p, int from, int end, int width) {
  if (p) memset(p + lstm__at(from, width), 0, lstm__at(end - from, width) * sizeof(float));
}

/* Nothing of an earlier window may be left where a ragged one has padding. */
static void lstm__clear_tile(lstm_trainer *t, const lstm__tape *tape, int from, int end) {
  int width = tape->l->out_pad, wide = tape->l->units_pad;
  if (end == t->T * t->B) lstm__clear_rows(tape->out, end, end + t->B, width);
  lstm__clear_rows(tape->out, from, end, width);
  lstm__clear_rows(tape->gates, from, end, tape->l->columns);
  lstm__clear_rows(tape->wide, from, end, wide);
  lstm__clear_rows(tape->keep, from, end, wide * tape->l->vectors);
  lstm__clear_rows(tape->masked, from, end, width);
}

/* The initial states of a cell's lanes, into their slots: given, carried, learned or zero. */
static void lstm__begin_tile(lstm_trainer *t, const lstm__tape *tape, int from_lane, int end) {
  const lstm_batch *b = &t->batch;
  const lstm__layer *l = tape->l;
  const float *rest_h = lstm__rest_of(t->model, l, LSTM__T_H0), *rest_c = lstm__rest_of(t->model, l, LSTM__T_C0);
  for (int lane = from_lane; lane < end; lane++) {
    int slot = (l->reverse ? t->lengths[lane] : 0) * t->B + lane, fresh = t->fresh[lane];
    const float *from = (b->initial ? b->initial : t->carry) + lstm__at(lane, t->model->plan.state_size) + l->values;
    lstm__put_row(tape->out + lstm__at(slot, l->out_pad), fresh ? rest_h : from, l->out, l->out_pad);
    if (tape->cell)
      lstm__put_row(tape->cell + lstm__at(slot, l->units_pad), fresh ? rest_c : from + l->out, l->units, l->units_pad);
    if (tape->mask)
      lstm__chance_row(t, l, LSTM__DROP_H, lane, l->out_pad, l->o.recurrent_dropout, 0,
                       1.0f / (1.0f - l->o.recurrent_dropout), tape->mask + lstm__at(lane, l->out_pad));
  }
}

/* The states that lanes first .. end - 1 have at their ends: values [B][S]. */
static void lstm__final_states(const lstm_trainer *t, float *values, int first, int end) {
  for (int i = 0; i < t->model->plan.layers; i++) {
    const lstm__tape *tape = t->tapes + i;
    const lstm__layer *l = tape->l;
    for (int lane = first; l->recurrent && lane < end; lane++) {
      int slot = (l->reverse ? 0 : t->lengths[lane]) * t->B + lane;
      float *to = values + lstm__at(lane, t->model->plan.state_size) + l->values;
      memcpy(to, tape->out + lstm__at(slot, l->out_pad), (size_t)l->out * sizeof(float));
      if (tape->cell) memcpy(to + l->out, tape->cell + lstm__at(slot, l->units_pad), (size_t)l->units * sizeof(float));
    }
  }
}

static lstm_status lstm__begin_window(lstm_trainer *t, const lstm_batch *batch) {
  lstm_batch b;
  lstm_status status = lstm__check_batch(t->model, batch, t->desc.batch_size, t->desc.seq_len, &b);
  if (status != LSTM_OK) return status;
  t->batch = b;
  t->T = b.seq_len;
  t->B = b.batch_size;
  t->window = t->windows + 1;
  t->status = LSTM_OK;
  t->has_forward = t->has_loss = t->has_backward = 0;
  return LSTM_OK;
}

/* The window's forward pass. Between the phases of such a walk only pointers are set: a sliced step repeats it. */
static void lstm__walk_forward(lstm_trainer *t) {
  lstm__tape *tape, *top = t->tapes + t->model->plan.layers - 1;
  int rows = t->T * t->B;
  lstm__run_serial(t, lstm__lanes_tile, NULL, 1, 1);
  lstm__run_serial(t, t->input ? lstm__inputs_tile : lstm__ids_tile, NULL, rows,
                   t->input ? (size_t)t->model->desc.input_size : 8);
  for (tape = t->tapes; tape <= top; tape++) {
    const lstm__pass *pass = lstm__pass_of(tape->l);
    lstm__set_input(t, tape);
    if (tape->l->recurrent && t->ragged) lstm__run_serial(t, lstm__clear_tile, tape, rows, (size_t)tape->l->columns);
    if (tape->l->recurrent) lstm__run_serial(t, lstm__begin_tile, tape, t->B, (size_t)tape->l->columns * 4);
    if (tape->out) pass->run(t, pass->forward, tape);
  }
}

static lstm_status lstm__forward_window(lstm_trainer *t, const lstm_batch *batch, float *y) {
  const lstm__tape *top = lstm__top(t);
  lstm_status status = lstm__begin_window(t, batch);
  if (status != LSTM_OK) return status;
  if (t->revision != t->model->revision) lstm__trainer_refresh(t);
  lstm__walk_forward(t);
  if (y) lstm__copy_live(t, 0, lstm__rows_of(t, top), top->l->out, top->y, y);
  t->windows = t->window;
  t->has_forward = 1;
  return LSTM_OK;
}

static void lstm__carry_tile(lstm_trainer *t, const lstm__tape *tape, int from, int end) {
  (void)tape;
  lstm__final_states(t, t->carry, from, end);
  for (int lane = from; lane < end; lane++) t->anew[lane] = t->fresh[lane] && !t->lengths[lane] ? 1.0f : 0.0f;
}
static void lstm__carry_states(lstm_trainer *t) {
  if (t->desc.carry_state) lstm__run_serial(t, lstm__carry_tile, NULL, t->B, (size_t)t->model->plan.state_size + 1);
}
LSTM_API lstm_status lstm_trainer_forward(lstm_trainer *t, const lstm_batch *batch, float *y) {
  if (!t || !batch) return LSTM_ERR_ARGUMENT;
  lstm__settle(t);
  lstm_status status = lstm__forward_window(t, batch, y);
  if (status == LSTM_OK) lstm__carry_states(t);
  return status;
}

/* --- loss -------------------------------------------------------------------------------------------------------- */
/* ESR: row r of y, z: its loss, times its weight, and z becomes dL/dy: 2 / sum of squared targets times weight f[t] -
   emphasis weight' f[t+1], f = p(y - target), weight' that of the next step, which counts. */
static double lstm__esr(const lstm_trainer *t, const lstm__rows *y, int r, int n, float *z) {
  const lstm_batch *b = &t->batch;
  const lstm__loss *loss = &t->loss;
  int step = r / t->B, lane = r % t->B, next = step + 1 < t->T;
  const float *now = lstm__row(y, r), *before = step ? lstm__row(y, r - t->B) : NULL;
  double weight = lstm__row_weight(b, loss, step, lane), after = next ? lstm__row_weight(b, loss, step + 1, lane) : 0;
  for (int i = 0; i < n; i++) {
    double d = lstm__mul(weight, lstm__emphasised(b, loss, step, lane, n, i, now, before));
    if (after > 0)
      d -= lstm__mul(lstm__mul(after, (double)loss->emphasis),
                     lstm__emphasised(b, loss, step + 1, lane, n, i, lstm__row(y, r + t->B), now));
    z[i] = (float)(2 * d / t->weight);
  }
  return lstm__mul(weight, lstm__esr_row(b, loss, step, lane, n, now, before));
}

/* The last layer's outputs' gradients come to lie in flow[0], rows of the last layer's stride. */
static void lstm__loss_tile(lstm_trainer *t, const lstm__tape *top, int from, int end) {
  const lstm__kernels *k = t->model->kernels;
  int r, n = top->l->out, width = top->l->out_pad;
  for (r = from; r < end; r++) {
    float *z = t->flow[0] + lstm__at(r, width);
    double weight = lstm__row_weight(&t->batch, &t->loss, r / t->B, r % t->B);
    lstm__put_row(z, weight > 0 && t->weight > 0 ? lstm__row(&top->y, r) : NULL, n, width);
    t->row_losses[r] = 0;
    if (!(weight > 0) || !(t->weight > 0)) continue;
    if (t->loss.kind == LSTM_ESR) t->row_losses[r] = lstm__esr(t, &top->y, r, n, z);
    if (t->loss.kind == LSTM_ESR) continue;
    t->row_losses[r] = lstm__mul(weight, lstm__row_loss(k, &t->loss, n, z, &t->batch, (size_t)r, NULL));
    k->scale(width, z, (float)(weight / t->weight));
  }
}

static void lstm__weights_tile(lstm_trainer *t, const lstm__tape *tape, int from, int end) {
  if (from == 0) t->status = lstm__check_targets(t->model, &t->batch, &t->loss);
  if (from == 0) t->weight = t->loss_sum = 0;
  for (int r = from; t->status == LSTM_OK && r < end; r++)
    t->weight += lstm__row_share(&t->batch, &t->loss, r / t->B, r % t->B, tape->l->out);
}

static void lstm__loss_sum_tile(lstm_trainer *t, const lstm__tape *tape, int from, int end) {
  (void)tape;
  for (int r = from; r < end; r++) t->loss_sum += t->row_losses[r];
}
static float lstm__mean_loss(const lstm_trainer *t) { return t->weight > 0 ? (float)(t->loss_sum / t->weight) : 0; }

static lstm_status lstm__walk_loss(lstm_trainer *t) {
  const lstm__tape *top = lstm__top(t);
  int rows = lstm__rows_of(t, top);
  lstm__run_serial(t, lstm__weights_tile, top, rows, 8);
  if (t->status != LSTM_OK) t->done = t->passed; /* at once, while the batch's error is this call's */
  if (t->done < t->passed || t->status != LSTM_OK) return t->status;
  lstm__run_rows(t, lstm__loss_tile, top);
  lstm__run_serial(t, lstm__loss_sum_tile, NULL, rows, 4);
  if (t->done < t->passed || lstm__finite(t->weight + (double)lstm__mean_loss(t))) return LSTM_OK;
  return lstm__fail(t->batch.error, LSTM_ERR_NOT_FINITE, "the loss is not finite");
}

LSTM_API lstm_status lstm_trainer_loss(lstm_trainer *t, const lstm_batch *batch, float *loss) {
  if (loss) *loss = 0;
  if (!t || !batch) return LSTM_ERR_ARGUMENT;
  lstm__settle(t);
  if (!t->has_forward) return lstm__fail(batch->error, LSTM_ERR_ARGUMENT, "there was no forward pass");
  lstm_batch b = *batch;
  if (!b.seq_len) b.seq_len = t->desc.seq_len;
  if (!b.batch_size) b.batch_size = t->desc.batch_size;
  if (b.seq_len != t->T || b.batch_size != t->B)
    return lstm__fail(b.error, LSTM_ERR_SHAPE, "the batch is not the one of the forward pass");
  t->batch = b;
  lstm_status status = lstm__walk_loss(t);
  if (t->status != LSTM_OK) return status;
  t->has_loss = 1;
  if (loss) *loss = lstm__mean_loss(t);
  return status;
}

LSTM_API lstm_status lstm_trainer_evaluate(const lstm_trainer *trainer, lstm_state *state, const lstm_batch *batch,
                                           lstm_metrics *metrics, const lstm_executor *executor) {
  if (!trainer || trainer->stage >= LSTM__UPDATE) return LSTM_ERR_ARGUMENT;
  return lstm__evaluate(trainer->model, state, batch, &trainer->loss, metrics, executor);
}

/* [SECTION] Backward ==================================================================================================
   flow[k] holds the gradient of a layer's outputs, flow[1 - k] takes that of its inputs. */

static float *lstm__other_flow(const lstm_trainer *t) { return t->flow[t->gradients_at == t->flow[0]]; }
static float *lstm__grad_of(const lstm_trainer *t, const lstm__layer *l, int kind) {
  return t->grad + t->model->tensors[l->tensor[kind]].offset;
}

/* A weight gradient [outputs][k] += d^T a over n rows. */
typedef struct lstm__product {
  lstm__rows a;
  const float *d;
  size_t ldd;
  int k, n, kind;
  const lstm__layer *l; /* whose columns d has */
} lstm__product;

/* The gradients of a node's weighted sums. */
static const float *lstm__output_gradients(const lstm_trainer *t, const lstm__tape *tape) {
  return tape->gates ? tape->gates : t->gradients_at;
}

/* Gradient of weights: which = 0 input, 1 bias (a vector with layer norm); of a cell also 2 h, 3 b_hn, 4 projection. */
static int lstm__weight_product(const lstm_trainer *t, const lstm__tape *tape, int which, lstm__product *p) {
  const lstm__layer *l = tape->l;
  static const int kinds[2][5] = {
      {LSTM__T_WEIGHT, LSTM__T_DENSE_BIAS, -1, -1, -1},
      {LSTM__T_WEIGHT_IH, LSTM__T_BIAS, LSTM__T_WEIGHT_HH, LSTM__T_BIAS_HN, LSTM__T_PROJECTION}};
  p->kind = kinds[l->recurrent][which];
  if (p->kind < 0 || l->tensor[p->kind] < 0 || (p->kind == LSTM__T_BIAS && l->o.layer_norm)) return 0;
  p->l = which == 4 ? tape->flat : l;
  p->d = which == 4 ? tape->dh : lstm__output_gradients(t, tape);
  p->n = lstm__rows_of(t, tape);
  p->a = lstm__rows_at(&t->one, 0, NULL);
  p->k = 1;
  if (tape->ids && which < 2) {
    p->d = t->token_sum;
    p->n = t->unique_count;
  }
  if (which == 0) {
    p->k = l->in;
    p->a = tape->ids ? lstm__rows_from(t->token_rows, 0, l->in, NULL) : tape->x;
  } else if (which == 2) {
    p->k = l->out;
    p->a = lstm__rows_from(tape->masked ? tape->masked : tape->out, tape->masked ? 0 : lstm__slot_in(t, l, 0),
                           l->out_pad, NULL);
  } else if (which == 4) {
    p->k = l->units;
    p->a = lstm__rows_from(tape->wide, 0, l->units_pad, NULL);
  }
  p->ldd = (size_t)p->l->columns;
  return 1;
}

static int lstm__product_slices(const lstm__product *p) {
  return p->k < 16 ? 1 : lstm__tiles(p->k / 16 * 16, LSTM__GRADIENT_K);
}

/* c [rows][columns] += x^T y over n rows of x and y. */
static void lstm__outer(const lstm_model *m, int n, int rows, int columns, const float *x, size_t ldx, const float *y,
                        size_t ldy, float *c, size_t ldc) {
  lstm__rows rows_of_a = lstm__rows_at(x, 1, NULL);
  lstm__gemm_job job = {rows, n, columns, 0, 1, ldx, ldy, y, rows_of_a, lstm__out_rows_at(c, ldc, NULL)};
  m->kernels->gemm(&job);
}

/* The last k % 16 inputs of a panel of outputs: these are the lanes, so the sums come and go transposed. */
static void lstm__product_rest(const lstm_trainer *t, const lstm__product *p, float *grad, int panel, int k0,
                               int rows) {
  float g[15 * 64] = {0};
  int count = p->k - k0, width = lstm__int_min(64, (int)p->ldd - panel * 64), column, row, block, i, j, pass;
  for (pass = 0; pass < 2; pass++) {
    for (column = 0; column < width; column += block) {
      int live = lstm__run_of(p->l, p->kind, panel * 64 + column, &row, &block);
      for (j = 0; j < live; j++) {
        float *line = grad + (size_t)(row + j) * (size_t)p->k + (size_t)k0, *at = g + column + j;
        for (i = 0; i < count; i++) *(pass ? line + i : at + i * 64) = *(pass ? at + i * 64 : line + i);
      }
    }
    if (pass) break;
    lstm__outer(t->model, rows, count, width, lstm__row(&p->a, t->first) + k0, p->a.stride,
                p->d + (size_t)t->first * p->ldd + (size_t)panel * 64, p->ldd, g, 64);
  }
}

/* Tile `index` of a gradient: a panel of outputs, LSTM__GRADIENT_K inputs at most; rows t->first .. t->last - 1. */
static void lstm__product_tile(const lstm_trainer *t, const lstm__product *p, int index) {
  int slices = lstm__product_slices(p), panel = index / slices, k0 = index % slices * LSTM__GRADIENT_K, n, column;
  int whole = p->k / 16 * 16, width = lstm__int_min(LSTM__GRADIENT_K, whole - k0), end = (int)p->ldd, row, block;
  int rows = lstm__int_min(t->last, p->n);
  float *grad = lstm__grad_of(t, p->l, p->kind);
  for (n = t->first; width && n < rows; n += LSTM__GRADIENT_N)
    for (column = panel * 64; column < lstm__int_min(end, panel * 64 + 64); column += block) {
      int live = lstm__run_of(p->l, p->kind, column, &row, &block);
      if (live)
        lstm__outer(t->model, lstm__int_min(LSTM__GRADIENT_N, rows - n), live, width,
                    p->d + (size_t)n * p->ldd + (size_t)column, p->ldd, lstm__row(&p->a, n) + k0, p->a.stride,
                    grad + (size_t)row * (size_t)p->k + (size_t)k0, (size_t)p->k);
    }
  if (whole < p->k && index % slices == slices - 1 && t->first < rows)
    lstm__product_rest(t, p, grad, panel, whole, rows - t->first);
}

/* Tile `index` of the gradients of a node's weights, where that is one; returns how many there are. */
static int lstm__weigh(const lstm_trainer *t, const lstm__tape *tape, int index) {
  lstm__product p;
  int which, first = 0, tiles;
  for (which = 0; which < 5; which++) {
    if (!lstm__weight_product(t, tape, which, &p)) continue;
    tiles = lstm__panels((int)p.ldd) * lstm__product_slices(&p);
    if (index >= first && index < first + tiles) lstm__product_tile(t, &p, index - first);
    first += tiles;
  }
  return first;
}

static void lstm__weight_tile(lstm_trainer *t, const lstm__tape *tape, int from, int end) {
  (void)end;
  (void)lstm__weigh(t, tape, from);
}
static void lstm__run_weights(lstm_trainer *t, const lstm__tape *tape) {
  lstm__run_deep(t, lstm__weight_tile, tape, lstm__weigh(t, tape, -1), 1, t->T * t->B, 64 * LSTM__GRADIENT_K);
}

/* dX = dZ W for rows of a node: gate gradients (cells) or output gradients; added where `more` is 1. */
static void lstm__input_rows(const lstm_trainer *t, const lstm__tape *tape, const float *dz, int from, int end,
                             int more) {
  const lstm__layer *l = tape->l;
  int in = lstm__pad16(l->in);
  lstm__gemm(t->model, end - from, l->columns, in, more ? LSTM__FROM_OUTPUT : LSTM__FROM_ZERO, tape->back_in,
             lstm__rows_from(dz, from, l->columns, NULL), lstm__out_rows_from(lstm__other_flow(t), from, in, NULL));
}

/* Rows of dX, to the other flow. */
static void lstm__input_tile(lstm_trainer *t, const lstm__tape *tape, int from, int end) {
  lstm__input_rows(t, tape, lstm__output_gradients(t, tape), from, end,
                   tape->l->branch && !tape->l->reverse); /* the backward direction was first */
}
static void lstm__dense_back_tile(lstm_trainer *t, const lstm__tape *tape, int from, int end) {
  size_t at = lstm__at(from, tape->l->out_pad);
  t->model->kernels->map_backward((int)tape->l->o.activation, (end - from) * tape->l->out_pad, tape->out + at,
                                  t->gradients_at + at);
}
static void lstm__dropout_back_tile(lstm_trainer *t, const lstm__tape *tape, int from, int end) {
  for (int r = from; r < end; r++) {
    float *d = t->gradients_at + lstm__at(r, tape->l->out_pad);
    lstm__drop_row(t, tape->l, r, d, d);
  }
}

/* Where the gradient of h' of a lane goes: to the step before, or, at the lane's first, to the initial state's. */
static float *lstm__before(const lstm_trainer *t, const lstm__tape *tape, int step, int lane) {
  const lstm__layer *l = tape->l;
  int before = l->reverse ? step + 1 : step - 1, first = l->reverse ? before == t->lengths[lane] : step == 0;
  return first ? t->dh + lstm__at(lane, l->out_pad) : tape->dh + lstm__at(before * t->B + lane, l->out_pad);
}

/* dh of h becomes that of h before its projection, in t->lift; without one it stays where it is. */
static lstm__rows lstm__unproject(lstm_trainer *t, const lstm__tape *tape, const int *lanes, int n, int at) {
  const lstm__layer *l = tape->l;
  lstm__rows dh = lstm__rows_from(tape->dh, at, l->out_pad, lanes);
  if (!l->o.projection) return dh;
  lstm__gemm(t->model, n, l->out_pad, l->units_pad, LSTM__FROM_ZERO, tape->back_wide, dh,
             lstm__out_rows_from(t->lift, 0, l->units_pad, lanes));
  return lstm__rows_from(t->lift, 0, l->units_pad, lanes);
}

/* The gates of row r of a step, of some lane, become the gradients of their sums. */
static void lstm__gates_back_row(lstm_trainer *t, const lstm__tape *tape, const lstm__cell_step *s, int r, int step,
                                 int lane, const float *dh) {
  const lstm__layer *l = tape->l;
  const lstm__kernels *k = t->model->kernels;
  float *dc = t->dc + lstm__at(lane, l->units_pad);
  lstm__gate_job job;
  if (!l->generic && l->type == LSTM_LAYER_LSTM) {
    k->cell_backward(l->columns / 4, lstm__out_row(&s->job.tape, r), lstm__out_row(&s->job.c_out, r),
                     lstm__row(&s->job.c, r), dh, dc);
    return;
  }
  lstm__set_gates(t->model, l, s, r, &job);
  job.dh = dh;
  job.h = t->spare + lstm__at(lane, t->model->plan.widest);
  job.dc = l->type == LSTM_LAYER_GRU ? lstm__before(t, tape, step, lane) : dc;
  (l->type == LSTM_LAYER_GRU ? k->gru_backward : k->gate_backward)(&job);
}

/* The gate gradients of one step, through weight_hh, onto those of h'. The plain way adds in the product itself. */
static void lstm__recurrent_back(lstm_trainer *t, const lstm__tape *tape, int step, const int *lanes, int n) {
  const lstm__layer *l = tape->l;
  int width = l->out_pad, at = step * t->B, plain = !l->reverse && !tape->mask, r, u;
  lstm__out_rows to = lstm__out_rows_from(t->spare, 0, t->model->plan.widest, lanes);
  if (plain) to = lstm__out_rows_from(step ? tape->dh : t->dh, step ? at - t->B : 0, width, lanes);
  lstm__gemm(t->model, n, l->columns, width, plain ? LSTM__FROM_OUTPUT : LSTM__FROM_ZERO, tape->back_h,
             lstm__rows_from(tape->gates, at, l->columns, lanes), to);
  for (r = 0; !plain && r < n; r++) {
    const float *mask = tape->mask ? tape->mask + lstm__at(lanes[r], width) : NULL;
    float *d = lstm__out_row(&to, r);
    for (u = 0; mask && u < width; u++) d[u] = d[u] * mask[u];
    t->model->kernels->add(width, lstm__before(t, tape, step, lanes[r]), d);
  }
}

/* Steps back through time for a group of lanes: gates become their pre-activations' gradients; dh of the step before
   begins at the gradient from above and takes these through weight_hh. At the end dc and dh are the initial state's. */
static void lstm__cell_back_tile(lstm_trainer *t, const lstm__tape *tape, int from, int end) {
  const lstm__layer *l = tape->l;
  const int *lanes = t->order + from;
  for (int k = t->first; k < t->last; k++) {
    int step = l->reverse ? k : t->T - 1 - k, at = step * t->B, n = lstm__active_lanes(t, step, from, end);
    lstm__cell_step s;
    lstm__rows dh;
    if (n == 0) continue;
    lstm__set_step(t, tape, step, lanes, n, NULL, &s);
    for (int r = 0; tape->chance && r < n; r++) lstm__draw_row(t, tape, at + lanes[r]);
    for (int r = 0; l->o.zoneout > 0 && r < n; r++)
      t->model->kernels->blend_backward(l->out_pad, tape->dh + lstm__at(at + lanes[r], l->out_pad),
                                        lstm__row(&s.chance, r) + 2 * l->units_pad, 0,
                                        lstm__before(t, tape, step, lanes[r]));
    dh = lstm__unproject(t, tape, lanes, n, at);
    for (int r = 0; r < n; r++) lstm__gates_back_row(t, tape, &s, r, step, lanes[r], lstm__row(&dh, r));
    lstm__recurrent_back(t, tape, step, lanes, n);
  }
}

/* The gradients of a cell's vectors, of rows in order, added up in their row 0: of 16 units. */
static void lstm__vector_tile(lstm_trainer *t, const lstm__tape *tape, int from, int end) {
  const lstm__layer *l = tape->l;
  from *= 16;
  end = lstm__int_min(end * 16, l->units);
  for (int i = 0; i < l->vectors; i++) {
    float *sum = tape->keep + lstm__at(i, l->units_pad) + from;
    for (int r = lstm__int_max(1, t->first); r < t->last; r++)
      t->model->kernels->add(16, sum, sum + lstm__at(r, l->units_pad * l->vectors));
    if (t->last == t->T * t->B) lstm__add_row(t->grad + lstm__vector_at(t->model, l, i) + from, sum, end - from);
  }
}

/* Gate gradients added up by token: 64 columns. */
static void lstm__token_tile(lstm_trainer *t, const lstm__tape *tape, int from, int end) {
  int i, columns = tape->l->columns, n = lstm__int_min(64 * end, columns) - 64 * from;
  float *sums = t->token_sum + 64 * from;
  for (i = 0; t->first == 0 && i < t->unique_count; i++)
    memset(sums + lstm__at(i, columns), 0, (size_t)n * sizeof(float));
  for (i = t->first; i < t->last; i++)
    if (t->slots[i] >= 0)
      t->model->kernels->add(n, sums + lstm__at(t->slots[i], columns), tape->gates + lstm__at(i, columns) + 64 * from);
}

/* The embedding's gradient, from gate gradients by token. Tokens are different, so rows do not meet. */
static void lstm__token_row_tile(lstm_trainer *t, const lstm__tape *tape, int from, int end) {
  const lstm__layer *embedding = t->model->layers;
  const float *dx = lstm__other_flow(t);
  float *grad = lstm__grad_of(t, embedding, LSTM__T_TABLE);
  lstm__input_rows(t, tape, t->token_sum, from, end, 0);
  for (int r = from; r < end; r++)
    lstm__add_row(grad + lstm__at(t->unique[r], embedding->out), dx + lstm__at(r, lstm__pad16(tape->l->in)),
                  embedding->out);
}

/* The embedding's gradient from rows in order: 16 columns. */
static void lstm__embed_back_tile(lstm_trainer *t, const lstm__tape *tape, int from, int end) {
  const lstm__layer *l = tape->l;
  float *grad = lstm__grad_of(t, l, LSTM__T_TABLE) + 16 * from;
  for (int i = t->first; i < t->last; i++)
    if (t->slots[i] >= 0)
      lstm__add_row(grad + lstm__at(t->ids[i], l->out), t->gradients_at + lstm__at(i, l->out_pad) + 16 * from,
                    lstm__int_min(16 * end, l->out) - 16 * from);
}

static void lstm__flip(lstm_trainer *t) { t->gradients_at = lstm__other_flow(t); }

/* Gives d, the gradient of a join's row of a step, to the two directions' rows, or to the one. */
static void lstm__split_row(const lstm__layer *l, const float *d, float *forward, float *backward) {
  size_t width = (size_t)(l->o.bidirectional && l->o.merge == LSTM_MERGE_CONCAT ? l->out / 2 : l->out);
  if (forward) memcpy(forward, d, width * sizeof(float));
  if (backward) memcpy(backward, d + (l->o.merge == LSTM_MERGE_CONCAT ? width : 0), width * sizeof(float));
}

/* The part of a join's gradient `once` for a step of a lane, in `row`. The first step with the largest takes it out. */
static void lstm__share_row(const lstm_trainer *t, const lstm__tape *tape, int step, int lane, float *once,
                            float *row) {
  const lstm__layer *l = tape->l;
  const float *y = tape->out + lstm__at(lane, l->out_pad);
  lstm__rows forward = lstm__joined(t, tape, lane, 0), backward = lstm__joined(t, tape, lane, 1);
  if (l->o.read == LSTM_READ_MEAN) {
    memcpy(row, once, (size_t)l->out_pad * sizeof(float));
    t->model->kernels->divide(l->out_pad, row, (float)t->lengths[lane]);
    return;
  }
  lstm__join_row(l, lstm__row(&forward, step), backward.p ? lstm__row(&backward, step) : NULL, row);
  for (int u = 0; u < l->out; u++) {
    int here = row[u] == y[u];
    row[u] = here ? once[u] : 0;
    if (here) once[u] = 0;
  }
}

static void lstm__clear_dh_tile(lstm_trainer *t, const lstm__tape *tape, int from, int end) {
  (void)t;
  lstm__clear_rows(tape->dh, from, end, tape->l->out_pad);
}

/* The gradient of a join goes to its cells' dh, which are zero. */
static void lstm__join_back_tile(lstm_trainer *t, const lstm__tape *tape, int from, int end) {
  const lstm__layer *l = tape->l;
  const lstm__tape *cell = t->tapes + l->source;
  int lane, step, last = l->o.read == LSTM_READ_LAST; /* the directions end at the last step and at step 0 */
  for (lane = from; lane < end; lane++) {
    float *once = t->gradients_at + lstm__at(lane, l->out_pad), *row = tape->last + lstm__at(lane, l->out_pad);
    for (step = 0; step < t->lengths[lane]; step++) {
      int at = step * t->B + lane;
      size_t to = lstm__at(at, cell->l->out_pad);
      const float *d = !l->o.read ? t->gradients_at + lstm__at(at, l->out_pad) : last ? once : row;
      if (l->o.read && !last) lstm__share_row(t, tape, step, lane, once, row);
      lstm__split_row(l, d, last && step < t->lengths[lane] - 1 ? NULL : cell->dh + to,
                      !l->o.bidirectional || (last && step > 0) ? NULL : cell[1].dh + to);
    }
  }
}

static int lstm__backward_join(lstm_trainer *t, lstm__tape *tape, int wants_input) {
  lstm__tape *cell = t->tapes + tape->l->source;
  int branches = cell->l->branch;
  (void)wants_input;
  for (; cell < tape; cell++) {
    cell->dh = branches ? cell->own_dh : lstm__other_flow(t);
    lstm__run_serial(t, lstm__clear_dh_tile, cell, t->T * t->B, (size_t)cell->l->out_pad);
  }
  lstm__run_lanes(t, lstm__join_back_tile, tape);
  if (!branches) lstm__flip(t);
  return 1;
}

/* The gradients with respect to final states enter: h at each lane's last step, c in dc. */
static void lstm__enter_final(lstm_trainer *t, const lstm__tape *tape, int first, int end) {
  const lstm__layer *l = tape->l;
  lstm__clear_rows(t->dc, first, end, l->units_pad);
  lstm__clear_rows(t->dh, first, end, l->out_pad);
  for (int lane = first; t->gradients && t->gradients->d_final && lane < end; lane++) {
    const float *from = t->gradients->d_final + lstm__at(lane, t->model->plan.state_size) + l->values;
    int length = t->lengths[lane], last = l->reverse ? 0 : length - 1;
    lstm__add_row(length ? tape->dh + lstm__at(last * t->B + lane, l->out_pad) : t->dh + lstm__at(lane, l->out_pad),
                  from, l->out);
    if (tape->cell) memcpy(t->dc + lstm__at(lane, l->units_pad), from + l->out, (size_t)l->units * sizeof(float));
  }
}

/* The gradients with respect to initial states leave: to the caller, and to learned ones, lane by lane. */
static void lstm__leave_initial(lstm_trainer *t, const lstm__tape *tape, int first, int end) {
  const lstm__layer *l = tape->l;
  for (int lane = first; lane < end; lane++) {
    const float *dh = t->dh + lstm__at(lane, l->out_pad), *dc = t->dc + lstm__at(lane, l->units_pad);
    if (t->gradients && t->gradients->d_initial) {
      float *to = t->gradients->d_initial + lstm__at(lane, t->model->plan.state_size) + l->values;
      memcpy(to, dh, (size_t)l->out * sizeof(float));
      if (tape->cell) memcpy(to + l->out, dc, (size_t)l->units * sizeof(float));
    }
    if (!l->o.learned_state || !t->fresh[lane]) continue;
    lstm__add_row(lstm__grad_of(t, l, LSTM__T_H0), dh, l->out);
    if (tape->cell) lstm__add_row(lstm__grad_of(t, l, LSTM__T_C0), dc, l->units);
  }
}

/* The different tokens' rows of the embedding. */
static void lstm__token_copy_tile(lstm_trainer *t, const lstm__tape *tape, int from, int end) {
  int in = tape->l->in;
  const float *table = lstm__param(t->model, t->model->layers, LSTM__T_TABLE);
  for (int i = from; i < end; i++)
    lstm__put_row(t->token_rows + lstm__at(i, in), table + lstm__at(t->unique[i], in), in, in);
}

/* A cell; returns 1 where the gradient of its inputs has come to lie in gradients_at. Of two directions the backward
   one comes first, and leaves it in the other flow, for the forward one to add to. */
static int lstm__backward_cell(lstm_trainer *t, lstm__tape *tape, int wants_input) {
  const lstm__layer *l = tape->l;
  int rows = t->T * t->B;
  if (!l->branch) tape->dh = t->gradients_at;
  lstm__run_serial(t, lstm__enter_final, tape, t->B, (size_t)l->columns);
  lstm__run_steps(t, lstm__cell_back_tile, tape);
  lstm__run_serial(t, lstm__leave_initial, tape, t->B, (size_t)l->columns);
  if (tape->ids) {
    lstm__run_serial(t, lstm__token_copy_tile, tape, t->unique_count, (size_t)l->in);
    lstm__run_deep(t, lstm__token_tile, tape, lstm__panels(l->columns), 1, rows, 1024);
    lstm__run_deep(t, lstm__token_row_tile, tape, t->unique_count, LSTM__GROUP, 1, lstm__work_of(l));
  }
  lstm__run_weights(t, tape);
  if (l->vectors)
    lstm__run_deep(t, lstm__vector_tile, tape, lstm__tiles(l->units, 16), 1, rows, 256 * (size_t)l->vectors);
  if (tape->ids || !wants_input) return l->reverse;
  lstm__run_rows(t, lstm__input_tile, tape);
  if (!l->reverse) lstm__flip(t);
  return 1;
}

static int lstm__backward_dense(lstm_trainer *t, lstm__tape *tape, int wants_input) {
  lstm__run_rows(t, lstm__dense_back_tile, tape);
  lstm__run_weights(t, tape);
  if (wants_input) lstm__run_rows(t, lstm__input_tile, tape);
  lstm__flip(t);
  return 1;
}
static int lstm__backward_dropout(lstm_trainer *t, lstm__tape *tape, int wants_input) {
  (void)wants_input;
  if (tape->out) lstm__run_rows(t, lstm__dropout_back_tile, tape);
  return 1;
}
static int lstm__backward_embedding(lstm_trainer *t, lstm__tape *tape, int wants_input) {
  (void)wants_input;
  lstm__run_deep(t, lstm__embed_back_tile, tape, lstm__tiles(tape->l->out, 16), 1, t->T * t->B, 256);
  return 0;
}

static const lstm__pass *lstm__pass_of(const lstm__layer *l) {
  static const lstm__pass passes[LSTM__NODE_JOIN + 1] = {
      {NULL, NULL, NULL},
      {lstm__run_rows, lstm__embed_tile, lstm__backward_embedding},
      {lstm__run_steps, lstm__cell_tile, lstm__backward_cell},
      {lstm__run_rows, lstm__dense_tile, lstm__backward_dense},
      {lstm__run_rows, lstm__dropout_tile, lstm__backward_dropout},
      {lstm__run_steps, lstm__cell_tile, lstm__backward_cell},
      {lstm__run_lanes, lstm__join_tile, lstm__backward_join},
  };
  return passes + l->type;
}

/* Back through all nodes; gradients_at holds the outputs' gradient. */
static void lstm__backward_layers(lstm_trainer *t) {
  int i, more = 1;
  for (i = t->model->plan.layers - 1; i >= 0 && more; i--) {
    const lstm__layer *l = t->model->layers + i;
    more = lstm__pass_of(l)->backward(t, t->tapes + i, l->source >= 0 || (t->gradients && t->gradients->d_input));
  }
}

/* The gradient of the outputs, in flow[0]: the loss's, and what the caller adds. */
static void lstm__enter_output(lstm_trainer *t) {
  const lstm__tape *top = lstm__top(t);
  int rows = lstm__rows_of(t, top), n = top->l->out, width = top->l->out_pad, r;
  if (!t->has_loss) memset(t->flow[0], 0, lstm__at(rows, width) * sizeof(float));
  for (r = 0; t->gradients && t->gradients->d_output && r < rows; r++)
    if (lstm__is_live(t, r)) lstm__add_row(t->flow[0] + lstm__at(r, width), t->gradients->d_output + lstm__at(r, n), n);
  t->gradients_at = t->flow[0];
}

LSTM_API lstm_status lstm_trainer_backward(lstm_trainer *t, const lstm_flow *flow) {
  if (!t) return LSTM_ERR_ARGUMENT;
  lstm__settle(t);
  if (!t->has_forward) return LSTM_ERR_ARGUMENT;
  const lstm__tape *top = lstm__top(t);
  if (flow && flow->d_input && lstm_model_takes_ids(t->model)) return LSTM_ERR_UNSUPPORTED;
  if (!t->has_loss && !(flow && (flow->d_output || flow->d_final))) return LSTM_ERR_ARGUMENT;
  t->gradients = flow;
  lstm__enter_output(t);
  size_t in = (size_t)t->model->desc.input_size, rows = flow && flow->d_input ? lstm__at(t->T, t->B) : 0;
  for (size_t r = 0; top->l->o.residual && r < rows; r++)
    lstm__put_row(flow->d_input + r * in, t->flow[0] + r * (size_t)top->l->out_pad, top->l->out, (int)in);
  lstm__backward_layers(t);
  for (size_t r = 0; r < rows; r++) {
    const float *d = t->gradients_at + r * (size_t)lstm__pad16((int)in);
    if (top->l->o.residual) lstm__add_row(flow->d_input + r * in, d, (int)in);
    if (!top->l->o.residual) memcpy(flow->d_input + r * in, d, in * sizeof(float));
  }
  t->gradients = NULL;
  t->has_forward = t->has_loss = 0;
  t->has_backward = 1;
  return LSTM_OK;
}

static void lstm__count_saturated(const lstm__layer *l, const float *gates, lstm_saturation *out) {
  out->count += (size_t)l->units;
  for (int k = 0; k < (l->type == LSTM_LAYER_GRU ? 3 : 4); k++)
    for (int u = 0; u < l->units; u++) {
      float v = gates[lstm__gate_at(l, k, u)];
      out->low[k] += v < (k == 2 ? -0.9f : 0.1f);
      out->high[k] += v > 0.9f;
    }
}

/* Goes through a layer's gate values (after a forward) for `out`, or their sums' gradients (after a backward) for the
   squares of steps' norms, direction by direction. Returns 0 where the layer has none. */
static int lstm__read_gates(const lstm_trainer *t, int layer, lstm_saturation *out, float *squares) {
  const lstm__tape *tape = t->tapes;
  int r, found = 0;
  for (; tape <= lstm__top(t); tape++) {
    const float *gates = tape->gates;
    if (tape->l->described != layer || !gates) continue;
    found = 1;
    for (r = 0; r < t->T * t->B; r++, gates += tape->l->columns) {
      if (!lstm__is_live(t, r)) continue;
      if (out) lstm__count_saturated(tape->l, gates, out);
      if (squares) squares[r / t->B] = squares[r / t->B] + t->model->kernels->dot(tape->l->columns, gates, gates);
    }
  }
  return found;
}

LSTM_API lstm_status lstm_trainer_saturation(const lstm_trainer *trainer, int layer, lstm_saturation *out) {
  if (!trainer || !out || !trainer->has_forward) return LSTM_ERR_ARGUMENT;
  memset(out, 0, sizeof *out);
  return lstm__read_gates(trainer, layer, out, NULL) ? LSTM_OK : LSTM_ERR_ARGUMENT;
}
LSTM_API lstm_status lstm_trainer_step_norms(const lstm_trainer *trainer, int layer, float *norms) {
  if (!trainer || !norms || !trainer->has_backward) return LSTM_ERR_ARGUMENT;
  memset(norms, 0, (size_t)trainer->T * sizeof(float));
  if (!lstm__read_gates(trainer, layer, NULL, norms)) return LSTM_ERR_ARGUMENT;
  for (int step = 0; step < trainer->T; step++) norms[step] = (float)lstm__sqrt((double)norms[step]);
  return LSTM_OK;
}

/* [SECTION] Optimisers ================================================================================================
   g: the gradient, after clipping; w: a weight; t: the number of this update, from 1.
   SGD       g += l2 w;  m = momentum m + g;  w -= rate m;  with nesterov: w -= rate (g + momentum m)
   RMSProp   g += l2 w;  v = alpha v + (1 - alpha) g^2;  m = momentum m + g / (sqrt(v) + epsilon);  w -= rate m
   Adam      g += l2 w;  m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2;
             w -= rate / (1 - beta1^t) m / (sqrt(v) / sqrt(1 - beta2^t) + epsilon)
   AdamW     the same with w *= 1 - rate weight_decay first, and l2 = 0 */

/* Where the tensor that has float `at` ends, at most `end`, and what layer_rates says of it, its *factor. */
static size_t lstm__segment(const lstm_trainer *t, size_t at, size_t end, float *factor) {
  const lstm__tensor *tensors = t->model->tensors;
  int i = 0, count = t->model->plan.tensors;
  *factor = 1;
  if (!t->layer_rates) return end;
  while (i + 1 < count && tensors[i + 1].offset <= at) i++;
  *factor = t->layer_rates[tensors[i].layer];
  return i + 1 < count && tensors[i + 1].offset < end ? tensors[i + 1].offset : end;
}

/* Tiles of the parameter vector: vectors of 16 floats from .. end - 1. */
static void lstm__norm_tile(lstm_trainer *t, const lstm__tape *tape, int from, int end) {
  size_t at = (size_t)from * 16, to;
  int n = (end - from) * 16;
  float *sum = t->chunk_sums + from / (LSTM__CHUNK / 16), *g = t->grad + at, factor;
  (void)tape;
  for (; at < (size_t)end * 16; at = to) { /* frozen layers have no part in the norm */
    to = lstm__segment(t, at, (size_t)end * 16, &factor);
    if (factor == 0) memset(t->grad + at, 0, (to - at) * sizeof(float));
  }
  *sum = t->model->kernels->dot(n, g, g);
  if (!(t->desc.clip_value > 0) || !lstm__finite((double)*sum)) return; /* clipping would hide it */
  t->model->kernels->clip(n, g, t->desc.clip_value);
  *sum = t->model->kernels->dot(n, g, g);
}

static void lstm__scale_tile(lstm_trainer *t, const lstm__tape *tape, int from, int end) {
  (void)tape;
  t->model->kernels->scale((end - from) * 16, t->grad + (size_t)from * 16,
                           (float)((double)t->desc.clip_norm / ((double)t->norm + 1e-6)));
}
static double lstm__power(double x, uint64_t n) {
  double y = 1;
  for (; n; n >>= 1, x = lstm__mul(x, x))
    if (n & 1) y = lstm__mul(y, x);
  return y;
}

/* cos(pi n / steps), 0 <= n <= steps: its series up to pi / 2, and the mirror image. */
static double lstm__cosine(uint64_t n, uint64_t steps) {
  int mirrored = n > steps / 2, k;
  double x = 3.14159265358979323846 * (double)(mirrored ? steps - n : n) / (double)steps, term = 1, sum = 1;
  for (k = 1; k < 24; k += 2) {
    term = -lstm__mul(term, lstm__mul(x, x)) / (k * (k + 1));
    sum += term;
  }
  return mirrored ? -sum : sum;
}

/* The rate of the update after n others: Loshchilov and Hutter's cosine, 2017, and the rest of lstm_schedule. */
static float lstm__rate_at(const lstm_trainer *t, uint64_t n) {
  const lstm_trainer_desc *d = &t->desc;
  double factor = (double)d->schedule_factor, by = 1;
  uint64_t warmup = (uint64_t)d->warmup, steps = (uint64_t)d->schedule_steps;
  if (n < warmup) return (float)((double)t->rate * ((double)(n + 1) / (double)warmup));
  n -= warmup;
  if (d->schedule == LSTM_SCHEDULE_STEP) by = lstm__power(factor, n / steps);
  if (d->schedule == LSTM_SCHEDULE_EXPONENTIAL) by = lstm__power(factor, n);
  if (d->schedule == LSTM_SCHEDULE_COSINE)
    by = n < steps ? factor + lstm__mul(1 - factor, (1 + lstm__cosine(n, steps)) / 2) : factor;
  return (float)((double)t->rate * by);
}

/* What the kernels need for update t->steps, of tensors with this factor of the rate. */
static lstm__update_job lstm__update_of(const lstm_trainer *t, float factor) {
  const lstm_trainer_desc *d = &t->desc;
  lstm__update_job u = LSTM__ZERO;
  float rate = (float)((double)t->step_rate * (double)factor);
  u.optimizer = d->optimizer;
  u.rate = rate;
  u.nesterov = d->nesterov;
  u.decay = 1;
  u.momentum = d->momentum;
  u.epsilon = d->epsilon;
  u.l2 = d->weight_decay;
  u.b = d->alpha;
  u.one_minus_b = (float)(1.0 - (double)d->alpha);
  if (d->optimizer == LSTM_ADAM || d->optimizer == LSTM_ADAMW) {
    u.a = d->beta1;
    u.one_minus_a = (float)(1.0 - (double)d->beta1);
    u.b = d->beta2;
    u.one_minus_b = (float)(1.0 - (double)d->beta2);
    u.rate = (float)((double)rate / (1.0 - lstm__power((double)d->beta1, t->steps)));
    u.second_scale = (float)(1.0 / lstm__sqrt(1.0 - lstm__power((double)d->beta2, t->steps)));
  }
  if (d->optimizer == LSTM_ADAMW) {
    u.l2 = 0;
    u.decay = (float)(1.0 - lstm__mul((double)rate, (double)d->weight_decay));
  }
  return u;
}

/* Floats from .. to - 1, of one tensor. The kernels take multiples of 16; the rest goes through copies. */
static void lstm__update_segment(lstm_trainer *t, float factor, size_t from, size_t to) {
  const lstm__kernels *k = t->model->kernels;
  lstm__update_job u = lstm__update_of(t, factor);
  size_t rest = (to - from) % 16, whole = to - from - rest;
  float *at[] = {t->model->params + from, t->grad + from, t->m1 + from, t->m2 ? t->m2 + from : NULL};
  float copy[4][16] = {{0}};
  k->update((int)whole, at[0], at[1], at[2], at[3], &u);
  for (int i = 0; i < 4; i++)
    if (at[i]) memcpy(copy[i], at[i] + whole, rest * sizeof(float));
  k->update(rest ? 16 : 0, copy[0], copy[1], copy[2], copy[3], &u);
  for (int i = 0; i < 4; i++)
    if (at[i] && i != 1) memcpy(at[i] + whole, copy[i], rest * sizeof(float));
}

static void lstm__update_tile(lstm_trainer *t, const lstm__tape *tape, int from, int end) {
  size_t at, to;
  float factor;
  (void)tape;
  for (at = (size_t)from * 16; at < (size_t)end * 16; at = to) {
    to = lstm__segment(t, at, (size_t)end * 16, &factor);
    if (factor > 0) lstm__update_segment(t, factor, at, to);
  }
}

static void lstm__run_chunks(lstm_trainer *t, lstm__tile *tile) {
  lstm__run(t, tile, NULL, (int)((t->model->plan.params + 15) / 16), LSTM__CHUNK / 16);
}

/* Pascanu et al., 2013: g *= clip_norm / norm where the norm is over clip_norm. */
static lstm_status lstm__walk_clip(lstm_trainer *t) {
  double sum = 0;
  lstm__run_chunks(t, lstm__norm_tile);
  if (t->done < t->passed) return LSTM_OK;
  for (size_t i = 0; i * LSTM__CHUNK < t->model->plan.params; i++) sum += (double)t->chunk_sums[i];
  t->norm = (float)lstm__sqrt(sum);
  if (!lstm__finite(sum)) return LSTM_ERR_NOT_FINITE;
  if (t->desc.clip_norm > 0 && t->norm > t->desc.clip_norm) lstm__run_chunks(t, lstm__scale_tile);
  return LSTM_OK;
}

LSTM_API lstm_status lstm_trainer_clip(lstm_trainer *t, float *norm) {
  if (!t) return LSTM_ERR_ARGUMENT;
  lstm__settle(t);
  lstm_status status = lstm__walk_clip(t);
  if (norm) *norm = t->norm;
  return status;
}

LSTM_API lstm_status lstm_trainer_update(lstm_trainer *t) {
  if (!t) return LSTM_ERR_ARGUMENT;
  lstm__settle(t);
  t->step_rate = lstm__rate_at(t, t->steps++);
  lstm__run_chunks(t, lstm__update_tile);
  t->model->revision++; /* other trainers of this model notice */
  lstm__trainer_refresh(t);
  return LSTM_OK;
}

static void lstm__zero_tile(lstm_trainer *t, const lstm__tape *tape, int from, int end) {
  (void)tape;
  lstm__clear_rows(t->grad, from, end, 16);
}
LSTM_API void lstm_trainer_zero_gradients(lstm_trainer *t) {
  lstm__settle(t);
  lstm__zero_tile(t, NULL, 0, (int)((t->model->plan.params + 15) / 16));
}

/* Walks through the stage of the step under way. */
static lstm_status lstm__walk_stage(lstm_trainer *t) {
  lstm_status status = LSTM_OK;
  t->passed = 0;
  if (t->stage == LSTM__RENEW || t->stage == LSTM__REPACK) lstm__walk_refresh(t);
  if (t->stage == LSTM__FORWARD) lstm__walk_forward(t);
  if (t->stage == LSTM__LOSS) status = lstm__walk_loss(t);
  if (t->stage == LSTM__BACKWARD) {
    lstm__run_serial(t, lstm__zero_tile, NULL, (int)((t->model->plan.params + 15) / 16), 128);
    lstm__enter_output(t);
    lstm__backward_layers(t);
  }
  if (t->stage == LSTM__CLIP) status = lstm__walk_clip(t);
  if (t->stage == LSTM__UPDATE) lstm__run_chunks(t, lstm__update_tile);
  if (t->stage == LSTM__CARRY) lstm__carry_states(t);
  return t->done < t->passed ? LSTM_OK : status;
}

/* What lies between a stage that is done and the next. */
static void lstm__next_stage(lstm_trainer *t) {
  int next = t->stage == LSTM__CARRY ? LSTM__IDLE : t->stage + 1;
  if (t->stage == LSTM__LOSS) t->has_loss = 1;
  if (t->stage == LSTM__LOSS && !(t->weight > 0)) next = LSTM__CARRY;
  if (t->stage == LSTM__BACKWARD) t->has_backward = 1;
  if (next == LSTM__UPDATE) t->step_rate = lstm__rate_at(t, t->steps++);
  if (next == LSTM__REPACK) t->revision = ++t->model->revision; /* other trainers of this model notice */
  t->stage = next;
  t->done = 0;
}

/* Goes on with the step under way while the budget lasts. After a failure, lanes are where they were. */
static lstm_status lstm__go_on(lstm_trainer *t) {
  lstm_status status = LSTM_OK;
  t->tiles = 0;
  while (t->stage && status == LSTM_OK) {
    int clipping = t->stage == LSTM__CLIP;
    status = lstm__walk_stage(t);
    if (t->done < t->passed) return LSTM_OK;
    if (status == LSTM_OK) lstm__next_stage(t);
    if (clipping && status) (void)lstm__fail(t->batch.error, status, "the gradient is not finite");
  }
  t->windows = t->window;
  t->stage = t->sliced = t->has_loss = 0;
  return status;
}

static const lstm_slice lstm__unbounded = {0, NULL, NULL, 0};

/* Ends a step under way, before anything else is done: where its update has begun it is finished, else given up. */
static void lstm__settle(lstm_trainer *t) {
  t->slice = &lstm__unbounded;
  if (t->stage >= LSTM__UPDATE) (void)lstm__go_on(t);
  t->revision -= t->stage == LSTM__RENEW; /* the next step renews it all */
  t->stage = t->sliced = 0;
  t->done = t->passed = 0;
}

LSTM_API lstm_status lstm_train_some(lstm_trainer *t, const lstm_batch *batch, const lstm_slice *slice, int *done,
                                     float *loss) {
  const lstm_batch *a;
  lstm_status status;
  if (done) *done = 0;
  if (!t || !batch || !done || (slice && slice->tiles < 0)) return LSTM_ERR_ARGUMENT;
  if (t->stage && t->stage < LSTM__UPDATE && t->revision != t->model->revision) lstm__settle(t); /* begins anew */
  a = &t->batch;
  if (t->stage && (a->x != batch->x || a->ids != batch->ids || a->targets != batch->targets ||
                   a->target_ids != batch->target_ids))
    return lstm__fail(batch->error, LSTM_ERR_ARGUMENT, "another batch, while a step is under way");
  if (!t->stage) {
    lstm__settle(t);
    status = lstm__begin_window(t, batch);
    if (status != LSTM_OK) return status;
    t->sliced = slice && (slice->tiles || slice->clock);
    t->stage = t->revision == t->model->revision ? LSTM__FORWARD : LSTM__RENEW;
    t->revision = t->model->revision;
  }
  t->slice = slice ? slice : &lstm__unbounded;
  t->batch.error = batch->error;
  status = lstm__go_on(t);
  *done = !t->stage && status == LSTM_OK;
  if (loss && !t->stage) *loss = lstm__mean_loss(t);
  return status;
}

LSTM_API lstm_status lstm_train(lstm_trainer *t, const lstm_batch *batch, float *loss) {
  int done;
  if (loss) *loss = 0;
  if (t) lstm__settle(t);
  return lstm_train_some(t, batch, NULL, &done, loss);
}
LSTM_API lstm_model *lstm_trainer_model(const lstm_trainer *trainer) { return trainer->model; }
LSTM_API const lstm_trainer_desc *lstm_trainer_desc_of(const lstm_trainer *trainer) { return &trainer->desc; }
LSTM_API uint64_t lstm_trainer_steps(const lstm_trainer *trainer) { return trainer->steps; }
LSTM_API float lstm_trainer_learning_rate(const lstm_trainer *trainer) { return trainer->rate; }
LSTM_API float lstm_trainer_scheduled_rate(const lstm_trainer *t) { return lstm__rate_at(t, t->steps); }
LSTM_API float lstm_trainer_norm(const lstm_trainer *trainer) { return trainer->norm; }
LSTM_API int lstm_trainer_under_way(const lstm_trainer *t) { return !t->stage ? 0 : t->stage < LSTM__UPDATE ? 1 : 2; }
LSTM_API double lstm_trainer_weight(const lstm_trainer *trainer) { return trainer->weight; }
LSTM_API lstm_status lstm_trainer_gradient(const lstm_trainer *trainer, int i, lstm_tensor *out) {
  return trainer ? lstm__tensor_view(trainer->model, i, trainer->grad, out) : LSTM_ERR_ARGUMENT;
}
LSTM_API lstm_status lstm_trainer_final(const lstm_trainer *trainer, float *values) {
  if (!trainer || !values || trainer->T == 0 || trainer->stage) return LSTM_ERR_ARGUMENT;
  lstm__final_states(trainer, values, 0, trainer->B);
  return LSTM_OK;
}
LSTM_API void lstm_trainer_reset(lstm_trainer *trainer) {
  size_t size = (size_t)trainer->desc.batch_size * (size_t)trainer->model->plan.state_size;
  lstm__settle(trainer);
  if (size > 0) memset(trainer->carry, 0, size * sizeof(float)); /* layers without a state carry nothing */
  for (int i = 0; i < trainer->desc.batch_size; i++) trainer->anew[i] = 1;
}
LSTM_API lstm_status lstm_trainer_set_learning_rate(lstm_trainer *trainer, float rate) {
  if (!trainer || !lstm__finite((double)rate) || rate < 0) return LSTM_ERR_ARGUMENT;
  trainer->rate = rate;
  return LSTM_OK;
}

LSTM_API lstm_status lstm_trainer_keep_best(lstm_trainer *trainer) {
  if (!trainer) return LSTM_ERR_ARGUMENT;
  if (!trainer->best) return LSTM_ERR_UNSUPPORTED;
  if (trainer->stage >= LSTM__UPDATE) return LSTM_ERR_ARGUMENT;
  memcpy(trainer->best, trainer->model->params, trainer->model->plan.params * sizeof(float));
  trainer->has_best = 1;
  return LSTM_OK;
}

LSTM_API lstm_status lstm_trainer_restore_best(lstm_trainer *trainer) {
  if (!trainer) return LSTM_ERR_ARGUMENT;
  if (!trainer->best) return LSTM_ERR_UNSUPPORTED;
  if (!trainer->has_best) return LSTM_ERR_ARGUMENT;
  lstm__settle(trainer);
  memcpy(trainer->model->params, trainer->best, trainer->model->plan.params * sizeof(float));
  trainer->model->revision++;
  lstm__trainer_refresh(trainer);
  return LSTM_OK;
}

/* [SECTION] Gradient check ============================================================================================
   The equations of CELLS once more, plain and slow, in double precision and without a derivative. What two such passes
   differ in, with weights a little to both sides of the model's, is what the gradient must say. */

typedef struct lstm__exact {
  lstm_trainer *t;
  const lstm_gradcheck_desc *desc;
  const lstm_batch *b; /* its x, ids and initial; the trainer's forward pass has sorted out the rest */
  double *w;           /* [parameters] of the pass */
  double *rows;        /* [1 + nodes][room]: the input, then what each node writes, rows as wide as it; 0 in padding */
  double *lane;        /* [7 widest]: h, c and sums of a cell */
  float *y;            /* [T'][B][O], then its gradient */
  size_t room;
} lstm__exact;

static double lstm__exact_size(double x) { return x < 0 ? -x : x; }

static double lstm__exact_map(lstm_activation f, double x) {
  double size = lstm__exact_size(x), e = f == LSTM_TANH ? lstm__exp(-2 * size) : 0;
  if (f == LSTM_TANH) return (x < 0 ? -1 : 1) * ((1 - e) / (1 + e));
  if (f == LSTM_SIGMOID) return 1 / (1 + lstm__exp(-x));
  if (f == LSTM_RELU) return x > 0 ? x : 0;
  if (f == LSTM_HARD_SIGMOID) return x < -3 ? 0 : x > 3 ? 1 : x / 6 + 0.5;
  return f == LSTM_SOFTSIGN ? x / (1 + size) : x;
}

/* sum + row j of a matrix times x [n] */
static double lstm__exact_dot(const double *matrix, size_t j, size_t n, const double *x, double sum) {
  for (size_t i = 0; i < n; i++) sum += lstm__mul(matrix[j * n + i], x[i]);
  return sum;
}
static void lstm__exact_norm(size_t n, double *z, const double *gamma, const double *beta) {
  double mean = 0, var = 0;
  for (size_t i = 0; i < n; i++) mean += z[i] / (double)n;
  for (size_t i = 0; i < n; i++) var += lstm__mul(z[i] - mean, z[i] - mean) / (double)n;
  for (size_t i = 0; i < n; i++) z[i] = lstm__mul(gamma[i], (z[i] - mean) / lstm__sqrt(var + 1e-5)) + beta[i];
}
static const double *lstm__exact_tensor(const lstm__exact *e, const lstm__layer *l, int kind) {
  return l->tensor[kind] < 0 ? NULL : e->w + e->t->model->tensors[l->tensor[kind]].offset;
}

static void lstm__exact_lstm(const lstm__exact *e, const lstm__layer *l, const double *x, double *h, double *c) {
  const double *w = lstm__exact_tensor(e, l, LSTM__T_WEIGHT_IH), *u = lstm__exact_tensor(e, l, LSTM__T_WEIGHT_HH);
  const double *b = lstm__exact_tensor(e, l, LSTM__T_BIAS), *r = lstm__exact_tensor(e, l, LSTM__T_PROJECTION);
  const double *p = lstm__exact_tensor(e, l, LSTM__T_PEEPHOLE), *norm = lstm__exact_tensor(e, l, LSTM__T_NORM);
  lstm_activation G = l->o.gate_activation, A = l->o.activation;
  size_t n = (size_t)l->units, j;
  double *i = c + n, *f = i + n, *g = f + n, *o = g + n, s, limit = (double)l->o.cell_clip;
  for (j = 0; j < 4 * n; j++) {
    i[j] = lstm__exact_dot(w, j, (size_t)l->in, x, norm ? 0 : b[j]);
    i[j] = lstm__exact_dot(u, j, (size_t)l->out, h, i[j]);
  }
  for (j = 0; norm && j < 4 * n; j += n) lstm__exact_norm(n, i + j, norm + j, b + j);
  for (j = 0; j < n; j++) {
    i[j] = lstm__exact_map(G, i[j] + (p ? lstm__mul(p[j], c[j]) : 0));
    f[j] = lstm__exact_map(G, f[j] + (p ? lstm__mul(p[n + j], c[j]) : 0));
    if (l->o.coupled) f[j] = 1 - i[j];
    if (l->o.forget == LSTM_FORGET_ZERO || l->o.forget == LSTM_FORGET_ONE) f[j] = l->o.forget == LSTM_FORGET_ONE;
    s = lstm__mul(f[j], c[j]) + lstm__mul(i[j], lstm__exact_map(A, g[j]));
    if (limit > 0) s = s > limit ? limit : s < -limit ? -limit : s;
    c[j] = g[j] = s;
    o[j] = lstm__exact_map(G, o[j] + (p ? lstm__mul(p[2 * n + j], s) : 0));
  }
  norm = lstm__exact_tensor(e, l, LSTM__T_NORM_CELL); /* its bias follows */
  if (norm) lstm__exact_norm(n, g, norm, norm + n);
  for (j = 0; j < n; j++) g[j] = lstm__mul(o[j], lstm__exact_map(A, g[j]));
  for (j = 0; j < (size_t)l->out; j++) h[j] = r ? lstm__exact_dot(r, j, n, g, 0) : g[j];
}

static void lstm__exact_gru(const lstm__exact *e, const lstm__layer *l, const double *x, double *h, double *z) {
  const double *w = lstm__exact_tensor(e, l, LSTM__T_WEIGHT_IH), *b = lstm__exact_tensor(e, l, LSTM__T_BIAS);
  const double *u = lstm__exact_tensor(e, l, LSTM__T_WEIGHT_HH), *hn = lstm__exact_tensor(e, l, LSTM__T_BIAS_HN);
  size_t n = (size_t)l->units, j;
  double *q = z + 3 * n, g;
  for (j = 0; j < 3 * n; j++) {
    z[j] = lstm__exact_dot(w, j, (size_t)l->in, x, b[j]);
    q[j] = lstm__exact_dot(u, j, n, h, j < 2 * n ? 0 : hn[j - 2 * n]);
    if (j < 2 * n) z[j] = lstm__exact_map(LSTM_SIGMOID, z[j] + q[j]);
  }
  for (j = 0; j < n; j++) {
    g = lstm__exact_map(LSTM_TANH, z[2 * n + j] + lstm__mul(z[j], q[2 * n + j]));
    h[j] = g + lstm__mul(z[n + j], h[j] - g);
  }
}

/* Step t of n of a lane: merges the directions a and b, each p wide, and reads as the layer says. */
static void lstm__exact_join(const lstm__exact *e, const lstm__layer *l, const double *a, double *out, int lane, int t,
                             int n) {
  size_t p = (size_t)e->t->model->layers[l->source].out, width = (size_t)l->out, u;
  size_t row = (size_t)(t * e->t->B + lane), to = l->o.read == LSTM_READ_ALL ? row : (size_t)lane;
  const double *b = a + e->room;
  int sum = l->o.bidirectional && l->o.merge == LSTM_MERGE_SUM;
  for (u = 0; u < width; u++) {
    double x = u < p ? a[row * p + u] : b[row * p + u - p], z = sum ? b[row * p + u] : 0, *y = out + to * width + u;
    if (l->o.read == LSTM_READ_ALL) *y = x + z;
    if (l->o.read == LSTM_READ_MEAN) *y += (x + z) / n;
    if (l->o.read == LSTM_READ_MAX && (t == 0 || x + z > *y)) *y = x + z;
    if (l->o.read == LSTM_READ_LAST) /* the backward direction ends at step 0 */
      *y += (t == (u < p ? n - 1 : 0) ? x : 0) + (t == 0 ? z : 0);
  }
}

/* One lane through a node; dropout does nothing here. */
static void lstm__exact_lane(const lstm__exact *e, const lstm__layer *l, const double *in, double *out, int lane,
                             int steps) {
  const double *table = lstm__exact_tensor(e, l, LSTM__T_TABLE), *w = lstm__exact_tensor(e, l, LSTM__T_WEIGHT), *x;
  const double *b = lstm__exact_tensor(e, l, LSTM__T_DENSE_BIAS);
  const double *rest = lstm__exact_tensor(e, l, LSTM__T_H0); /* c0 follows */
  const float *carried = e->b->initial ? e->b->initial : e->t->carry;
  size_t n = (size_t)l->out, k = (size_t)l->in, values = n + (l->type == LSTM_LAYER_LSTM ? (size_t)l->units : 0);
  size_t at = (size_t)lane * (size_t)e->t->model->plan.state_size + (size_t)l->values, row, j;
  size_t inputs = (size_t)e->t->model->desc.input_size;
  for (j = 0; l->recurrent && j < values; j++)
    e->lane[j] = !e->t->fresh[lane] ? (double)carried[at + j] : rest ? rest[j] : 0;
  for (int s = 0; s < steps; s++) {
    row = (size_t)((l->reverse ? steps - 1 - s : s) * e->t->B + lane);
    x = in + row * k;
    if (l->type == LSTM_LAYER_LSTM) lstm__exact_lstm(e, l, x, e->lane, e->lane + n);
    if (l->type == LSTM_LAYER_GRU) lstm__exact_gru(e, l, x, e->lane, e->lane + n);
    if (l->type == LSTM__NODE_JOIN) lstm__exact_join(e, l, in, out, lane, s, steps);
    for (j = 0; j < n && l->type != LSTM__NODE_JOIN; j++)
      out[row * n + j] = l->recurrent ? e->lane[j]
                         : table      ? table[(size_t)e->b->ids[row] * n + j]
                         : w          ? lstm__exact_map(l->o.activation, lstm__exact_dot(w, j, k, x, b[j])) +
                                            (l->o.residual ? e->rows[row * inputs + j] : 0)
                                      : x[j];
  }
}

/* The loss of a pass with the weights w. */
static double lstm__exact_loss(lstm__exact *e) {
  const lstm_trainer *t = e->t;
  const lstm_model *m = t->model;
  size_t inputs = (size_t)(t->T * t->B) * (size_t)m->desc.input_size, i;
  int k, lane, read = 0;
  memset(e->rows, 0, (size_t)(m->plan.layers + 1) * e->room * sizeof(double));
  for (i = 0; e->b->x && i < inputs; i++) e->rows[i] = (double)e->b->x[i];
  for (k = 0; k < m->plan.layers; k++) {
    const lstm__layer *l = m->layers + k;
    for (lane = 0; lane < t->B; lane++)
      lstm__exact_lane(e, l, e->rows + (size_t)(l->source + 1) * e->room, e->rows + (size_t)(k + 1) * e->room, lane,
                       read ? t->lengths[lane] > 0 : t->lengths[lane]);
    read |= l->type == LSTM__NODE_JOIN && l->o.read;
  }
  return e->desc->loss(e->desc->user, e->rows + (size_t)m->plan.layers * e->room, NULL);
}

/* Compares the derivatives along random signs in one tensor, relative to its gradient's norm (its square at least
   `least`). A kink of relu, a clip or max may lie between the two sides: then a smaller step tells. */
static lstm_gradcheck_result lstm__exact_compare(lstm__exact *e, int tensor, int direction, double least) {
  lstm_gradcheck_result now, best = {1e300, 0, 0, 0};
  size_t at = e->t->model->tensors[tensor].offset, count = e->t->model->tensors[tensor].count, i;
  const float *params = e->t->model->params + at, *g = e->t->grad + at;
  double step, size, scale = 0;
  now.tensor = tensor;
  for (i = 0; i < count; i++) scale += lstm__mul((double)g[i], (double)g[i]);
  scale = lstm__sqrt(scale > least ? scale : least);
  for (step = 1.0 / 131072; step > 1e-8 && !(best.error < LSTM_GRADCHECK_TOLERANCE / 4); step /= 16) {
    now.analytic = now.numeric = 0;
    for (int side = -1; side <= 1; side += 2) {
      lstm_rng rng = {e->desc->seed, ((uint64_t)tensor << 48) + ((uint64_t)direction << 32)};
      for (i = 0; i < count; i++) {
        double sign = lstm_random_bits(&rng) & 1 ? 1 : -1;
        e->w[at + i] = (double)params[i] + lstm__mul(sign * side, step);
        now.analytic += lstm__mul(sign, (double)g[i]) / 2;
      }
      now.numeric += lstm__mul(side / (2 * step), lstm__exact_loss(e));
    }
    now.error = lstm__exact_size(now.numeric - now.analytic);
    size = lstm__exact_size(now.numeric);
    if (now.error != 0) now.error /= size > scale ? size : scale;
    if (!(best.error <= now.error)) best = now;
  }
  for (i = 0; i < count; i++) e->w[at + i] = (double)params[i];
  return best;
}

/* The gradient by the float passes, then all tensors, each by itself. */
static lstm_status lstm__exact_run(lstm__exact *e, size_t outputs, lstm_gradcheck_result *out) {
  lstm_trainer *t = e->t;
  const lstm_flow flow = {e->y, NULL, NULL, NULL};
  double square = 0;
  lstm_status status = lstm__forward_window(t, e->b, e->y);
  if (status != LSTM_OK) return status;
  t->windows--;
  for (size_t i = 0; i < outputs; i++) e->rows[i] = (double)e->y[i];
  memset(e->y, 0, outputs * sizeof(float));
  (void)e->desc->loss(e->desc->user, e->rows, e->y);
  lstm_trainer_zero_gradients(t);
  (void)lstm_trainer_backward(t, &flow);
  for (size_t i = 0; i < t->model->plan.params; i++) {
    e->w[i] = (double)t->model->params[i];
    square += lstm__mul((double)t->grad[i], (double)t->grad[i]);
  }
  for (int k = 0; k < t->model->plan.tensors; k++)
    for (int d = 0; d < (e->desc->directions ? e->desc->directions : 4); d++) {
      lstm_gradcheck_result now = lstm__exact_compare(e, k, d, lstm__mul(square, 1e-6));
      if (now.error >= out->error || !lstm__finite(now.error)) *out = now;
      if (!lstm__finite(now.error))
        return lstm__fail(e->desc->error, LSTM_ERR_NOT_FINITE, "the loss or the gradient of %s is not finite",
                          t->model->tensors[k].name);
    }
  return LSTM_OK;
}

static void lstm__carve_exact(lstm__arena *a, lstm__exact *e, size_t outputs) {
  const lstm_model *m = e->t->model;
  size_t widest = (size_t)lstm__int_max(m->plan.widest, e->b->x ? m->desc.input_size : 0);
  e->room = (size_t)(e->b->seq_len * e->b->batch_size) * widest;
  e->w = (double *)lstm__carve(a, m->plan.params, sizeof(double));
  e->rows = (double *)lstm__carve(a, e->room, (size_t)(m->plan.layers + 1) * sizeof(double));
  e->lane = (double *)lstm__carve(a, widest, 7 * sizeof(double));
  e->y = lstm__carve_floats(a, outputs);
}

/* The check sees a model that computes the same twice. */
static lstm_status lstm__refuse_random(const lstm_model *m, lstm_error *error) {
  for (int i = 0; i < m->desc.layer_count; i++)
    for (int j = 0; j < LSTM__OPTIONS; j++) {
      const lstm__option *o = lstm__options() + j;
      int random = o->what == LSTM__RATE || o->at == offsetof(lstm_layer, noise);
      if (random && lstm__option_value(m->desc.layers + i, o) > 0)
        return lstm__fail(error, LSTM_ERR_UNSUPPORTED,
                          "layer %d draws random numbers in training: set its %s to 0 for the check", i, o->name);
    }
  return LSTM_OK;
}

LSTM_API lstm_status lstm_gradcheck(lstm_trainer *t, const lstm_batch *batch, const lstm_gradcheck_desc *desc,
                                    lstm_gradcheck_result *out) {
  lstm__exact e = {t, desc, NULL, NULL, NULL, NULL, NULL, 0};
  lstm__arena arena = {NULL, 0, 0};
  void *block;
  if (!t || !batch || !desc || !desc->loss || !out || desc->directions < 0) return LSTM_ERR_ARGUMENT;
  memset(out, 0, sizeof *out);
  lstm__settle(t);
  lstm_status status = lstm__refuse_random(t->model, desc->error);
  lstm_batch b = *batch;
  if (b.ids && lstm_model_takes_ids(t->model)) b.x = NULL;
  if (!b.error) b.error = desc->error;
  if (!status) status = lstm__check_batch(t->model, &b, t->desc.batch_size, t->desc.seq_len, &b);
  if (status) return status;
  e.b = &b;
  size_t outputs = (size_t)((lstm_model_reads_last(t->model) ? 1 : b.seq_len) * b.batch_size);
  outputs *= (size_t)lstm_model_output_size(t->model);
  lstm__carve_exact(&arena, &e, outputs);
  if (arena.overflow) return lstm__fail(desc->error, LSTM_ERR_LIMIT, "too large for this machine");
  status = lstm__place(&t->desc.allocator, arena.used, NULL, 0, &arena, &block, desc->error);
  if (status) return status;
  lstm__carve_exact(&arena, &e, outputs);
  status = lstm__exact_run(&e, outputs, out);
  lstm__free(&t->desc.allocator, block);
  return status;
}
#endif /* LSTM_NO_TRAINING */

/* [SECTION] File format ===============================================================================================
   Reading goes in this order, so that nothing is allocated before what asks for it has been compared with the file: the
   header becomes two tables (tensors, metadata pairs) that point into the file; the tables are checked; the layers come
   from the layer lines, the caller or the names; the layout of these layers, made by the function that create uses, is
   matched with the table; only then is a model built and filled. */
#ifndef LSTM_NO_FILES
#ifndef LSTM_NO_STDIO
#include <errno.h>
#include <stdio.h>
#ifdef _WIN32
#include <wchar.h> /* MinGW declares _wrename here, and not in stdio.h */
#endif
#endif

#ifndef LSTM_MAX_TENSORS
#define LSTM_MAX_TENSORS 2048 /* in a file; 64 layers of both directions with every option have 1408 */
#endif
#ifndef LSTM_MAX_META
#define LSTM_MAX_META 1024 /* metadata pairs in a file */
#endif
#ifndef LSTM_MAX_FILE_BYTES
#define LSTM_MAX_FILE_BYTES ((uint64_t)1 << 36)
#endif

/* Refuses a file, by name and place. Only the first refusal counts; what follows it finds zeros and changes nothing. */
#define LSTM__BAD(file, code, ...) \
  ((file)->status = (file)->status ? (file)->status : lstm__fail((file)->desc.error, LSTM_ERR_##code, __VA_ARGS__))
#define LSTM__LINE 512   /* bytes of the longest layer line or metadata value of the library's own, with its 0 */
#define LSTM__FOREIGN_NAME 128 /* bytes of the longest foreign name that could be one of ours */

/* --- numbers and text -------------------------------------------------------------------------------------------- */
static uint64_t lstm__from_le(const unsigned char *p, int bytes) {
  uint64_t v = 0;
  while (bytes--) v = v << 8 | p[bytes];
  return v;
}
static void lstm__to_le(unsigned char *p, uint64_t v, int bytes) {
  for (int i = 0; i < bytes; ++i) p[i] = (unsigned char)(v >> (8 * i) & 255);
}
static lstm__piece lstm__piece_of(const char *text) {
  lstm__piece p = {text, strlen(text)};
  return p;
}
static int lstm__same(lstm__piece a, lstm__piece b) { return a.size == b.size && !memcmp(a.at, b.at, a.size); }
static int lstm__piece_is(lstm__piece p, const char *text) { return lstm__same(p, lstm__piece_of(text)); }
static int lstm__begins(lstm__piece p, const char *text) {
  size_t n = strlen(text);
  return p.size >= n && !memcmp(p.at, text, n);
}

/* Takes n bytes off the beginning. */
static lstm__piece lstm__piece_from(lstm__piece p, size_t n) {
  p.at += n;
  p.size -= n;
  return p;
}
static int lstm__word_index(lstm__piece word, const char *const *words, int count) {
  for (int i = 0; i < count; ++i)
    if (lstm__piece_is(word, words[i])) return i;
  return -1;
}

static int lstm__parse_uint(lstm__piece p, uint64_t *out) {
  uint64_t v = 0;
  if (!p.size || (p.size > 1 && p.at[0] == '0')) return 0;
  for (size_t i = 0; i < p.size; ++i) {
    unsigned digit = (unsigned)(unsigned char)p.at[i] - '0';
    if (digit > 9 || v > (UINT64_MAX - digit) / 10) return 0;
    v = v * 10 + digit;
  }
  *out = v;
  return 1;
}

/* --- floats as decimal text -------------------------------------------------------------------------------------- */
/* Reads what lstm__put_float writes of a finite number, and nothing else. */
static int lstm__parse_float(lstm__piece p, float *out) {
  char again[32];
  lstm__text t = lstm__text_in(again, sizeof again);
  double digits = 0;
  uint64_t exponent = 0;
  int power = 0, point = 0, down;
  size_t i;
  for (i = 0; i < p.size && i < sizeof again && p.at[i] != 'e'; ++i) {
    int digit = p.at[i] - '0';
    if (p.at[i] == '.') point = 1;
    if (digit < 0 || digit > 9) continue; /* what does not belong here makes the text another than `again` */
    digits = digits * 10 + digit;
    power -= point;
  }
  down = i + 1 < p.size && p.at[i + 1] == '-';
  if (i < p.size && !lstm__parse_uint(lstm__piece_from(p, i + 1 + (size_t)down), &exponent)) return 0;
  if (exponent > 99) return 0;
  *out = lstm__decimal(digits, power + (down ? -(int)exponent : (int)exponent));
  if (p.size && p.at[0] == '-') *out = -*out;
  lstm__put_float(&t, *out);
  return lstm__piece_is(p, again);
}

/* --- JSON -------------------------------------------------------------------------------------------------------- */
/* What a header needs of JSON: one object of strings and of flat objects, read in place, without recursion. */
typedef struct lstm__json {
  const char *at, *end;
  int bad; /* 1: it is malformed */
} lstm__json;

static void lstm__json_space(lstm__json *j) {
  while (!j->bad && j->at < j->end && (*j->at == ' ' || *j->at == '\n' || *j->at == '\t' || *j->at == '\r')) ++j->at;
}
static int lstm__json_take(lstm__json *j, char c) {
  lstm__json_space(j);
  if (j->bad || j->at == j->end || *j->at != c) return 0;
  ++j->at;
  return 1;
}
static void lstm__json_want(lstm__json *j, char c) { j->bad |= !lstm__json_take(j, c); }

/* Strict UTF-8: no overlong forms, no surrogates. Returns the bytes used, 0 where it is malformed. */
static size_t lstm__utf8_read(const char *at, const char *end, uint32_t *out) {
  static const uint32_t least[4] = {0, 0x80, 0x800, 0x10000};
  uint32_t c = (unsigned char)*at;
  size_t more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : c >= 0x80;
  if ((c >= 0x80 && c < 0xc2) || c > 0xf4 || (size_t)(end - at) <= more) return 0;
  if (more) c &= 0x3fu >> more;
  for (size_t i = 1; i <= more; ++i) {
    uint32_t next = (unsigned char)at[i];
    if ((next & 0xc0) != 0x80) return 0;
    c = c << 6 | (next & 0x3f);
  }
  *out = c;
  return c < least[more] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000) ? 0 : more + 1;
}

static void lstm__put_utf8(lstm__text *t, uint32_t c) {
  int more = c < 0x80 ? 0 : c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
  lstm__put_char(t, (char)(unsigned char)((more ? 0xff00 >> (more + 1) & 0xff : 0) | (int)(c >> (6 * more))));
  for (; more > 0; --more) lstm__put_char(t, (char)(unsigned char)(0x80 | (c >> (6 * more - 6) & 0x3f)));
}

/* Four hexadecimal digits; 0 (which no string may hold) where they are not. */
static uint32_t lstm__json_hex(const char *at, const char *end) {
  uint32_t v = 0;
  for (int i = 0; i < 4; ++i) {
    uint32_t c = at < end ? (unsigned char)*at++ : 0;
    if (!c || !strchr("0123456789abcdefABCDEF", (int)c)) return 0;
    v = v << 4 | ((c & 15) + (c > '9' ? 9 : 0));
  }
  return v;
}

/* What has an escape by a letter: the slash need not be escaped. */
static const char lstm__escapes[] = "\"\\/bfnrt", lstm__escaped[] = "\"\\/\b\f\n\r\t";

/* An escape, from its backslash. Returns the bytes used, 0 where it is malformed. */
static size_t lstm__json_escape(const char *at, const char *end, uint32_t *out) {
  const char *name = end - at > 1 ? (const char *)memchr(lstm__escapes, at[1], 8) : NULL;
  *out = name ? (unsigned char)lstm__escaped[name - lstm__escapes] : 0;
  if (name) return 2;
  if (end - at < 6 || at[1] != 'u' || (*out = lstm__json_hex(at + 2, end)) == 0) return 0;
  if (*out < 0xd800 || *out >= 0xe000) return 6;
  if (*out >= 0xdc00 || end - at < 12 || at[6] != '\\' || at[7] != 'u') return 0;
  uint32_t low = lstm__json_hex(at + 8, end);
  *out = 0x10000 + ((*out - 0xd800) << 10) + (low - 0xdc00);
  return low >= 0xdc00 && low < 0xe000 ? 12 : 0;
}

/* Decodes UTF-8, and the escapes of a string without its quotes. Returns 0 where it is malformed or holds a zero. */
static int lstm__decode(lstm__piece p, int escapes, lstm__text *o) {
  while (p.size) {
    uint32_t c = 0;
    int escape = escapes && *p.at == '\\';
    size_t used = (escape ? lstm__json_escape : lstm__utf8_read)(p.at, p.at + p.size, &c);
    if (!used) return 0;
    p = lstm__piece_from(p, used);
    if (o) lstm__put_utf8(o, c);
  }
  return 1;
}

static lstm__piece lstm__json_string(lstm__json *j) {
  lstm__piece p;
  lstm__json_want(j, '"');
  for (p.at = j->at; !j->bad && j->at < j->end && *j->at != '"'; ++j->at) {
    j->bad |= (unsigned char)*j->at < 0x20;
    if (*j->at == '\\' && j->at + 1 < j->end) ++j->at;
  }
  p.size = (size_t)(j->at - p.at);
  lstm__json_want(j, '"');
  j->bad |= !lstm__decode(p, 1, NULL);
  return p;
}

/* The key of an object's next member. Returns 0 at the object's end, and where it is malformed. */
static int lstm__json_member(lstm__json *j, int first, lstm__piece *key) {
  if (j->bad || lstm__json_take(j, '}')) return 0;
  if (!first) lstm__json_want(j, ',');
  *key = lstm__json_string(j);
  lstm__json_want(j, ':');
  return !j->bad;
}

/* A list of at most `most` whole numbers. Returns how many. */
static int lstm__json_list(lstm__json *j, uint64_t *list, int most) {
  int n;
  lstm__json_want(j, '[');
  for (n = 0; !j->bad && !lstm__json_take(j, ']'); ++n) {
    lstm__piece p;
    if (n) lstm__json_want(j, ',');
    lstm__json_space(j);
    for (p.at = j->at; j->at < j->end && *j->at >= '0' && *j->at <= '9';) ++j->at;
    p.size = (size_t)(j->at - p.at);
    j->bad |= n == most || !lstm__parse_uint(p, list + n);
  }
  return n;
}

/* --- the header's tables ----------------------------------------------------------------------------------------- */
typedef struct lstm__entry { /* a tensor in a file */
  lstm__piece name, type_name;
  char called[LSTM__FOREIGN_NAME]; /* foreign files: its name here; empty where it is too long for that */
  size_t prefix;             /* bytes of this name up to its last point */
  uint64_t shape[8], count;  /* elements */
  size_t begin, end;         /* bytes of the data part */
  int rank, type, used;
} lstm__entry;

typedef struct lstm__pair { /* one metadata string, as in the file: still with its escapes */
  lstm__piece key, value;
  int known; /* 1: it was asked for */
} lstm__pair;

/* A file while it is being read. The tables are in one block, `work`. */
typedef struct lstm__file {
  lstm_load_desc desc;
  const unsigned char *data; /* the data part */
  size_t size;
  lstm__entry *entries;      /* [entry_count], in the header's order */
  lstm__pair *pairs;         /* [pair_count] */
  lstm_model_desc model;     /* as far as it is known */
  lstm_layer *layers;        /* [layer_capacity] of it */
  char (*names)[LSTM__NAME]; /* [layer_capacity], the layers' own names */
  lstm__tensor *tensors;     /* [tensor_capacity], what the layers make */
  lstm__entry **source;      /* [2 tensor_capacity], in the order of the items; NULL: the file has none */
  int entry_count, entry_capacity, pair_count, pair_capacity, layer_capacity, tensor_capacity;
  int max_size;
  lstm__text assumed;
  lstm_status status;        /* the first refusal */
  void *work;                /* to be freed */
} lstm__file;

enum { LSTM__F32, LSTM__F16, LSTM__BF16, LSTM__OTHER_TYPE };

/* The first three can be read. */
static const struct {
  const char *name;
  unsigned bytes;
} lstm__dtypes[] = {{"F32", 4}, {"F16", 2}, {"BF16", 2}, {"F64", 8}, {"I64", 8}, {"I32", 4}, {"I16", 2},
                    {"I8", 1},  {"U64", 8}, {"U32", 4},  {"U16", 2}, {"U8", 1},  {"BOOL", 1}};

enum { LSTM__DTYPES = sizeof lstm__dtypes / sizeof lstm__dtypes[0] };

/* {"dtype": ..., "shape": [...], "data_offsets": [begin, end]}, each once, in any order. */
static void lstm__read_fields(lstm__json *j, lstm__entry *e, uint64_t offsets[2]) {
  static const char *const fields[] = {"dtype", "shape", "data_offsets"};
  int seen = 0;
  lstm__piece key;
  lstm__json_want(j, '{');
  while (lstm__json_member(j, !seen, &key)) {
    int field = lstm__word_index(key, fields, 3);
    if (field == 0) e->type_name = lstm__json_string(j);
    if (field == 1) e->rank = lstm__json_list(j, e->shape, 8);
    if (field == 2) j->bad |= lstm__json_list(j, offsets, 2) != 2;
    j->bad |= field < 0 || (seen >> field & 1);
    seen |= field < 0 ? 0 : 1 << field;
  }
  j->bad |= seen != 7;
}

static lstm_status lstm__read_entry(lstm__json *j, lstm__file *f, lstm__piece name) {
  lstm__entry *e = &f->entries[f->entry_count];
  uint64_t offsets[2] = {0, 0}, bytes;
  if (f->entry_count == f->entry_capacity)
    return LSTM__BAD(f, LIMIT, "the file has more than %d tensors", f->entry_capacity);
  memset(e, 0, sizeof *e);
  e->name = name;
  if (memchr(name.at, '\\', name.size))
    return LSTM__BAD(f, UNSUPPORTED, "tensor %p: escapes in a name are not supported", &e->name);
  lstm__read_fields(j, e, offsets);
  if (j->bad) return LSTM__BAD(f, FORMAT, "tensor %p: its entry in the header is malformed", &e->name);
  while (e->type < LSTM__DTYPES && !lstm__piece_is(e->type_name, lstm__dtypes[e->type].name)) ++e->type;
  if (e->type == LSTM__DTYPES) return LSTM__BAD(f, UNSUPPORTED, "tensor %p: unknown dtype %p", &e->name, &e->type_name);
  if (offsets[1] > f->size) return LSTM__BAD(f, FORMAT, "tensor %p: the file ends before it: truncated", &e->name);
  bytes = lstm__dtypes[e->type].bytes;
  e->count = 1;
  for (int i = 0; i < e->rank; ++i) /* more elements than the file has bytes are too many anyway */
    e->count = e->shape[i] && e->count > f->size / e->shape[i] ? f->size + 1 : e->count * e->shape[i];
  if (offsets[0] > offsets[1] || (offsets[1] - offsets[0]) % bytes || e->count != (offsets[1] - offsets[0]) / bytes)
    return LSTM__BAD(f, FORMAT, "tensor %p: its shape and its place in the file differ in size", &e->name);
  for (int i = e->rank; i < 2; ++i) e->shape[i] = 1;
  e->begin = (size_t)offsets[0];
  e->end = (size_t)offsets[1];
  ++f->entry_count;
  return LSTM_OK;
}

static lstm_status lstm__read_pairs(lstm__json *j, lstm__file *f) {
  lstm__pair p = {{NULL, 0}, {NULL, 0}, 0};
  lstm__json_want(j, '{');
  while (lstm__json_member(j, !f->pair_count, &p.key)) {
    if (f->pair_count == f->pair_capacity)
      return LSTM__BAD(f, LIMIT, "the file has more than %d metadata strings", f->pair_capacity);
    if (memchr(p.key.at, '\\', p.key.size))
      return LSTM__BAD(f, UNSUPPORTED, "metadata: escapes in a key are not supported");
    p.value = lstm__json_string(j);
    f->pairs[f->pair_count++] = p;
  }
  return j->bad ? LSTM__BAD(f, FORMAT, "__metadata__ is malformed") : LSTM_OK;
}

static void lstm__read_header(lstm__file *f, const char *text, size_t size) {
  lstm__piece name;
  lstm__json j = {text + 1, text + size, 0}; /* behind the { */
  int first = 1, metadata = 0;
  for (; !f->status && lstm__json_member(&j, first, &name); first = 0) {
    int pairs = lstm__piece_is(name, "__metadata__");
    if (pairs && metadata++) LSTM__BAD(f, FORMAT, "__metadata__ is there twice");
    (void)(pairs ? lstm__read_pairs(&j, f) : lstm__read_entry(&j, f, name));
  }
  lstm__json_space(&j);
  if (j.bad || j.at != j.end) LSTM__BAD(f, FORMAT, "the header is malformed near byte %z", 8 + (size_t)(j.at - text));
}

/* --- no duplicates, no holes, no overlap ------------------------------------------------------------------------- */
/* No two of a name, no overlap, no hole: each entry begins at 0 or where another ends. (The tables are bounded.) */
static lstm_status lstm__check_tables(lstm__file *f) {
  size_t bytes = 0;
  for (int i = 0; i < f->pair_count; ++i)
    for (int k = 0; k < i; ++k)
      if (lstm__same(f->pairs[i].key, f->pairs[k].key))
        return LSTM__BAD(f, FORMAT, "metadata %p is there twice", &f->pairs[i].key);
  for (int i = 0; i < f->entry_count; ++i) {
    const lstm__entry *e = &f->entries[i], *other = f->entries;
    int good = e->begin == 0, overlaps = 0;
    for (; other < f->entries + f->entry_count; ++other) {
      if (other == e) continue;
      if (lstm__same(e->name, other->name)) return LSTM__BAD(f, FORMAT, "tensor %p is there twice", &e->name);
      good |= e->begin == other->end;
      overlaps |= e->begin < other->end && other->begin < e->end;
    }
    if (!good || overlaps)
      return LSTM__BAD(f, FORMAT, "tensor %p: its place leaves a hole or overlaps another tensor", &e->name);
    bytes += e->end - e->begin;
  }
  return bytes == f->size ? f->status : LSTM__BAD(f, FORMAT, "the tensors end at byte %z of %z", bytes, f->size);
}

/* --- metadata ---------------------------------------------------------------------------------------------------- */
static const lstm__pair *lstm__find_pair(lstm__file *f, const char *key) {
  for (int i = 0; i < f->pair_count; ++i)
    if (lstm__piece_is(f->pairs[i].key, key)) {
      f->pairs[i].known = 1;
      return &f->pairs[i];
    }
  return NULL;
}

/* A pair of this family that nothing has asked for, so that it could not be honoured. */
static const lstm__pair *lstm__unknown_pair(const lstm__file *f, const char *family) {
  for (int i = 0; i < f->pair_count; ++i)
    if (!f->pairs[i].known && lstm__begins(f->pairs[i].key, family)) return &f->pairs[i];
  return NULL;
}

/* The library's own values are short; a longer one cannot be valid. */
static void lstm__own_value(lstm__file *f, const char *key, char value[LSTM__LINE]) {
  const lstm__pair *p = lstm__find_pair(f, key);
  lstm__text t = lstm__text_in(value, LSTM__LINE);
  if (!p || !lstm__decode(p->value, 1, &t) || t.length >= LSTM__LINE)
    LSTM__BAD(f, FORMAT, p ? "%s: too long" : "%s is missing", key);
}
static uint64_t lstm__own_count(lstm__file *f, const char *key) {
  char value[LSTM__LINE];
  uint64_t count = 0;
  lstm__own_value(f, key, value);
  if (!lstm__parse_uint(lstm__piece_of(value), &count)) LSTM__BAD(f, FORMAT, "%s: \"%s\" is not a number", key, value);
  return count;
}
static int lstm__is_own_key(lstm__piece key) { return lstm__begins(key, "lstm.") || lstm__begins(key, "trainer."); }

/* --- what is in a file ------------------------------------------------------------------------------------------- */
static const char *const lstm__output_words[] = {"auto", "linear", "softmax", "sigmoid"};
static const char *const lstm__numerics_words[] = {"", "fused", "portable"};

/* What a checkpoint adds comes after the model's tensors, in this order, each at most once. */
static const char *const lstm__run_tensors[] = {"trainer.weights", "trainer.moment1", "trainer.moment2",
                                                "trainer.carry", "trainer.anew"};
enum { LSTM__RUN_TENSORS = sizeof lstm__run_tensors / sizeof lstm__run_tensors[0] };

/* The tensors of a model, and what a checkpoint adds: one list, which is written, matched and filled. */
typedef struct lstm__content {
  const lstm_model *model;     /* NULL: there is none yet */
  const lstm__tensor *tensors; /* [count] */
  int count;
  float *params;               /* of these tensors; NULL: there are none yet */
  const lstm_trainer *trainer; /* NULL: only a model */
  lstm_save_desc desc;
} lstm__content;

/* A tensor in a file. A bias comes in two: bias_ih, and bias_hh, which is zeros, but ends with a GRU's bias_hn. */
typedef struct lstm__item {
  char name[LSTM__NAME];
  size_t rows, columns; /* columns 0: a vector */
  float *data, *end;    /* its floats, and the last of them where they are elsewhere */
  size_t count, ends;   /* at each */
  int bias, added;      /* 1: a bias; 1: bias_hh, which is added to data */
} lstm__item;

static lstm__content lstm__content_of(const lstm_model *m, const lstm_save_desc *desc) {
  lstm__content c = LSTM__ZERO;
  c.model = m;
  c.tensors = m->tensors;
  c.count = m->plan.tensors;
  c.params = m->params;
  if (desc) c.desc = *desc;
  return c;
}

/* Entry 0 or 1 of tensor i in a file; returns 0 where it has none. */
static int lstm__tensor_item(const lstm__content *c, int i, int second, lstm__item *out) {
  const lstm__tensor *t = c->tensors + i;
  if (second ? t->kind != LSTM__T_BIAS : t->kind == LSTM__T_BIAS_HN) return 0;
  memcpy(out->name, t->name, LSTM__NAME);
  out->rows = (size_t)t->rows;
  out->columns = (size_t)t->columns;
  out->count = t->count;
  out->data = c->params ? c->params + t->offset : NULL;
  out->bias = t->kind == LSTM__T_BIAS || t->kind == LSTM__T_DENSE_BIAS;
  out->added = second;
  if (!second) return 1;
  memcpy(strrchr(out->name, '.'), ".bias_hh", 8);
  if (i + 1 < c->count && t[1].kind == LSTM__T_BIAS_HN) {
    out->ends = t[1].count;
    out->count -= out->ends;
    out->end = c->params ? c->params + t[1].offset : NULL;
  }
  return 1;
}

#ifndef LSTM_NO_TRAINING
/* Tensor i of what a run adds; 0 where it has none. With learned states it matters which lanes carried nothing yet. */
static int lstm__run_item(const lstm_trainer *t, int i, lstm__item *out) {
  float *data[LSTM__RUN_TENSORS] = {t->model->params, t->m1, t->m2, t->carry, t->anew};
  const lstm_model_desc *d = &t->model->desc;
  int learns = i < 4;
  for (int k = 0; k < d->layer_count; ++k) learns |= d->layers[k].learned_state;
  if (!data[i] || (i > 2 && !t->desc.carry_state) || !learns) return 0;
  memcpy(out->name, lstm__run_tensors[i], strlen(lstm__run_tensors[i]) + 1);
  out->rows = i > 2 ? (size_t)t->desc.batch_size : t->model->plan.params;
  out->columns = i == 3 ? (size_t)t->model->plan.state_size : 0;
  out->count = out->rows * (out->columns ? out->columns : 1);
  out->data = data[i];
  return 1;
}
#endif

/* The next tensor of a file, from *at = 0; returns 0 behind the last. */
static int lstm__next_item(const lstm__content *c, int *at, lstm__item *out) {
  int i, found = 0;
  memset(out, 0, sizeof *out);
  while (!found && *at < 2 * c->count) {
    i = (*at)++;
    found = lstm__tensor_item(c, i / 2, i % 2, out);
  }
#ifndef LSTM_NO_TRAINING
  while (!found && c->trainer && *at < 2 * c->count + LSTM__RUN_TENSORS)
    found = lstm__run_item(c->trainer, (*at)++ - 2 * c->count, out);
#endif
  return found;
}

#ifndef LSTM_NO_TRAINING
enum { LSTM__RUN_LOSS, LSTM__RUN_OPTIMIZER, LSTM__RUN_SCHEDULE, /* words */
       LSTM__RUN_INT, LSTM__RUN_FLOAT, LSTM__RUN_COUNT, LSTM__RUN_CLASSES, LSTM__RUN_LAYERS };

static const char *const lstm__run_words[][7] = {
    {"none", "cross_entropy", "binary_cross_entropy", "mse", "mae", "huber", "esr"},
    {"default", "sgd", "rmsprop", "adam", "adamw"},
    {"none", "step", "exponential", "cosine"}};

/* What decides a run's bits in a trainer's description: another value is another run. Then, what a run has reached. */
#define LSTM__X(kind, field, otherwise) \
  {"trainer." #field, LSTM__RUN_##kind, offsetof(lstm_trainer, desc.field), otherwise}
#define LSTM__Y(kind, key, field) {"trainer." key, LSTM__RUN_##kind, offsetof(lstm_trainer, field), NULL}
static const struct {
  const char *key;
  int kind;
  size_t at;
  const char *otherwise; /* what is left out, as in checkpoints from before the option; NULL: never left out */
} lstm__run_values[] = {
    LSTM__X(INT, batch_size, NULL), LSTM__X(INT, seq_len, NULL), LSTM__X(LOSS, loss, NULL),
    LSTM__X(OPTIMIZER, optimizer, NULL), LSTM__X(INT, carry_state, NULL), LSTM__X(FLOAT, learning_rate, NULL),
    LSTM__X(FLOAT, momentum, NULL), LSTM__X(FLOAT, beta1, NULL), LSTM__X(FLOAT, beta2, NULL),
    LSTM__X(FLOAT, alpha, NULL), LSTM__X(FLOAT, epsilon, NULL), LSTM__X(FLOAT, weight_decay, NULL),
    LSTM__X(FLOAT, clip_norm, NULL), LSTM__X(FLOAT, clip_value, NULL), LSTM__X(COUNT, seed, NULL),
    LSTM__X(FLOAT, huber_delta, "1"), LSTM__X(FLOAT, label_smoothing, "0"), LSTM__X(CLASSES, class_weights, "none"),
    LSTM__X(INT, nesterov, "0"), LSTM__X(SCHEDULE, schedule, "none"), LSTM__X(INT, schedule_steps, "0"),
    LSTM__X(FLOAT, schedule_factor, "0"), LSTM__X(INT, warmup, "0"), LSTM__X(LAYERS, layer_rates, "none"),
    LSTM__X(FLOAT, pre_emphasis, "0.95"),
    LSTM__Y(COUNT, "steps", steps), LSTM__Y(COUNT, "windows", windows), LSTM__Y(FLOAT, "rate", rate),
    LSTM__Y(INT, "best", has_best)};
#undef LSTM__X
#undef LSTM__Y
enum { LSTM__RUN_VALUES = sizeof lstm__run_values / sizeof lstm__run_values[0],
       LSTM__RUN_OPTIONS = LSTM__RUN_VALUES - 4 };

/* The hash of a list, as text. */
static void lstm__put_hash(lstm__text *t, const float *list, int count) {
  uint64_t h = 14695981039346656037u;
  unsigned char bits[4];
  for (int i = 0; list && i < count; ++i) {
    lstm__to_le(bits, lstm__bits_of_float(list[i]), 4);
    h = lstm__hash(h, bits, 4);
  }
  if (list) lstm__put_number(t, h);
  if (!list) lstm__put_string(t, "none");
}

static void lstm__run_value(const lstm_trainer *t, int i, lstm__text *value) {
  const void *at = (const char *)t + lstm__run_values[i].at;
  int kind = lstm__run_values[i].kind, n;
  memcpy(&n, at, sizeof n);
  if (kind < LSTM__RUN_INT) lstm__put_string(value, lstm__run_words[kind][n]);
  if (kind == LSTM__RUN_INT) lstm__print(value, "%d", n);
  if (kind == LSTM__RUN_FLOAT) lstm__put_float(value, *(const float *)at);
  if (kind == LSTM__RUN_COUNT) lstm__put_number(value, *(const uint64_t *)at);
  if (kind == LSTM__RUN_CLASSES) lstm__put_hash(value, t->class_weights, lstm_model_output_size(t->model));
  if (kind == LSTM__RUN_LAYERS) lstm__put_hash(value, t->layer_rates, t->model->desc.layer_count);
}
#endif /* LSTM_NO_TRAINING */

/* Pair i of the library's own metadata: the model's, the run's. Returns 0 behind the last, 2 where it is left out. */
static int lstm__own_pair(const lstm__content *c, int i, char key[LSTM__LINE], char value[LSTM__LINE]) {
  static const char *const keys[] = {"lstm.version", "lstm.input", "lstm.output", "lstm.numerics"};
  const lstm_model_desc *d = &c->model->desc;
  lstm__text k = lstm__text_in(key, LSTM__LINE), v = lstm__text_in(value, LSTM__LINE);
  if (i < 4) lstm__put_string(&k, keys[i]);
  if (i < 2) lstm__print(&v, "%d", i ? d->input_size : LSTM_FILE_VERSION);
  if (i == 2) lstm__put_string(&v, lstm__output_words[d->output]);
  if (i == 3) lstm__put_string(&v, lstm__numerics_words[d->numerics]);
  if (i < 4) return 1 + (i == 3 && d->numerics == LSTM_FUSED);
  i -= 4;
  if (i < d->layer_count) {
    lstm__print(&k, "lstm.layer.%d", i);
    lstm__put_layer(&v, &d->layers[i]);
    return 1;
  }
#ifndef LSTM_NO_TRAINING
  i -= d->layer_count;
  if (c->trainer && i < LSTM__RUN_VALUES) {
    lstm__put_string(&k, lstm__run_values[i].key);
    lstm__run_value(c->trainer, i, &v);
    return 1 + (lstm__run_values[i].otherwise && !strcmp(value, lstm__run_values[i].otherwise));
  }
#endif
  return 0;
}

/* --- layer lines ------------------------------------------------------------------------------------------------- */
/* Takes the next word off a line, up to a space. */
static lstm__piece lstm__next_word(lstm__piece *line) {
  while (line->size && *line->at == ' ') *line = lstm__piece_from(*line, 1);
  lstm__piece word = *line;
  while (line->size && *line->at != ' ') *line = lstm__piece_from(*line, 1);
  word.size -= line->size;
  return word;
}

/* 1 where it will not do. */
static int lstm__read_size(lstm__file *f, const char *where, uint64_t size) {
  if (size > 0 && size <= (uint64_t)f->max_size) return (int)size;
  LSTM__BAD(f, LIMIT, "%s: a size is not within 1 to %d", where, f->max_size);
  return 1;
}

/* The value of an option; returns 0 where it is none. */
static int lstm__read_value(const lstm__option *o, lstm__piece value, lstm_layer *l) {
  void *to = (char *)l + o->at;
  uint64_t size = 1;
  int n = 1;
  if (lstm__is_float(o)) return lstm__parse_float(value, (float *)to);
  if (o->what == LSTM__WORD) n = lstm__word_index(value, o->words, o->word_count);
  if (o->what == LSTM__SIZE) n = lstm__parse_uint(value, &size) ? (int)(size < INT_MAX ? size : INT_MAX) : -1;
  memcpy(to, &n, lstm__bytes_of(o));
  return n >= (o->what == LSTM__WORD); /* word 0 is the default, which is left out */
}

/* "peephole" or "hidden=128": one option of a layer. */
static lstm_status lstm__read_option(lstm__file *f, const char *key, lstm__piece word, lstm_layer *l, char *name) {
  const char *equals = (const char *)memchr(word.at, '=', word.size);
  lstm__piece option = word, value;
  if (equals) option.size = (size_t)(equals - word.at);
  value = lstm__piece_from(word, option.size + (equals != NULL));
  if (lstm__piece_is(option, "name") && value.size && value.size < LSTM__NAME) {
    memcpy(name, value.at, value.size);
    name[value.size] = 0;
    l->name = name;
    return LSTM_OK;
  }
  for (int j = 0; j < LSTM__OPTIONS; ++j) {
    const lstm__option *o = lstm__options() + j;
    if (!(o->types >> (int)l->type & 1u) || !lstm__piece_is(option, o->name)) continue;
    if ((o->what == LSTM__FLAG) == (equals != NULL) || !lstm__read_value(o, value, l))
      return LSTM__BAD(f, FORMAT, "%s: bad value in %p", key, &word);
    if (o->what == LSTM__SIZE) lstm__read_size(f, key, (uint64_t)lstm__option_value(l, o));
    return f->status;
  }
  return LSTM__BAD(f, UNSUPPORTED, "%s: unknown option %p", key, &word);
}

/* A line must be what this library writes for its layer. */
static lstm_status lstm__read_line(lstm__file *f, const char *key) {
  int i = f->model.layer_count, type = LSTM_LAYER_TYPE_COUNT - 1;
  lstm_layer *layer = &f->layers[i];
  char line[LSTM__LINE], again[LSTM__LINE];
  lstm__text t = lstm__text_in(again, sizeof again);
  if (i == f->layer_capacity) return LSTM__BAD(f, LIMIT, "the file has more than %d layers", i);
  lstm__own_value(f, key, line);
  lstm__piece rest = lstm__piece_of(line), word = lstm__next_word(&rest);
  while (type > LSTM_LAYER_NONE && !lstm__piece_is(word, lstm__kind_of(type)->name)) --type;
  if (type == LSTM_LAYER_NONE) return LSTM__BAD(f, UNSUPPORTED, "%s: unknown layer %p", key, &word);
  *layer = lstm__layer_of((lstm_layer_type)type, 0, 0);
  while (rest.size && !f->status) lstm__read_option(f, key, lstm__next_word(&rest), layer, f->names[i]);
  if (f->status) return f->status;
  lstm__put_layer(&t, layer);
  if (t.length >= sizeof again || strcmp(again, line))
    return LSTM__BAD(f, FORMAT, "%s: expected \"%s\", the file has \"%s\"", key, again, line);
  ++f->model.layer_count;
  return f->status;
}

static void lstm__check_version(lstm__file *f) {
  uint64_t version = lstm__own_count(f, "lstm.version");
  if (version < 1 || version > LSTM_FILE_VERSION)
    LSTM__BAD(f, VERSION, "the file has version %z of the format, this library reads 1 to %d", (size_t)version,
              LSTM_FILE_VERSION);
}

static void lstm__read_input_output(lstm__file *f) {
  char value[LSTM__LINE];
  f->model.input_size = lstm__read_size(f, "lstm.input", lstm__own_count(f, "lstm.input"));
  lstm__own_value(f, "lstm.output", value);
  int n = lstm__word_index(lstm__piece_of(value), lstm__output_words, LSTM_OUTPUT_COUNT);
  if (n < 0) LSTM__BAD(f, UNSUPPORTED, "lstm.output: unknown output %s", value);
  f->model.output = (lstm_output)(n < 0 ? 0 : n);
  if (!lstm__find_pair(f, "lstm.numerics")) return;
  lstm__own_value(f, "lstm.numerics", value); /* the other word is the default, which is left out */
  if (strcmp(value, lstm__numerics_words[LSTM_PORTABLE]))
    LSTM__BAD(f, FORMAT, "lstm.numerics: unknown numerics %s", value);
  if (!f->model.numerics) f->model.numerics = LSTM_PORTABLE;
}

/* The description, and nothing about the model that this version does not know: it could not honour it. */
static void lstm__read_layers(lstm__file *f) {
  char key[LSTM__NAME];
  lstm__read_input_output(f);
  while (!f->status && lstm__find_pair(f, lstm__numbered(key, "lstm.layer.", f->model.layer_count)))
    lstm__read_line(f, key);
  const lstm__pair *unknown = lstm__unknown_pair(f, "lstm.");
  if (unknown) LSTM__BAD(f, UNSUPPORTED, "unknown metadata %p", &unknown->key);
}

/* --- matching our files: everything is as the layer lines say ---------------------------------------------------- */
/* "[4][2]" */
static void lstm__put_shape(lstm__text *t, const uint64_t *shape, int rank) {
  for (int i = 0; i < rank; ++i) lstm__print(t, "[%z]", (size_t)shape[i]);
  if (rank == 0) lstm__put_string(t, "[]");
}

/* An entry must have the shape of its tensor, and a type up to `type`. */
static lstm_status lstm__check_entry(lstm__file *f, const lstm__entry *e, const lstm__item *t, int type) {
  char wanted[64], found[64];
  lstm__text w = lstm__text_in(wanted, sizeof wanted), o = lstm__text_in(found, sizeof found);
  uint64_t shape[2] = {t->rows, t->columns ? t->columns : 1};
  int rank = 1 + (t->columns > 0);
  if (e->rank != rank || e->shape[0] != shape[0] || e->shape[1] != shape[1]) {
    lstm__put_shape(&w, shape, rank);
    lstm__put_shape(&o, e->shape, e->rank);
    return LSTM__BAD(f, SHAPE, "tensor %s: expected %s, the file has %s", t->name, wanted, found);
  }
  if (e->type <= type) return LSTM_OK;
  return LSTM__BAD(f, UNSUPPORTED, "tensor %s: expected %s, the file has %p", t->name,
                   type == LSTM__F32 ? "F32" : "F32, F16 or BF16", &e->type_name);
}

/* The tensors that the layers make. Where the file is to blame for senseless layers, it has a bad format. */
static lstm__content lstm__plan_file(lstm__file *f) {
  lstm__content c = LSTM__ZERO;
  lstm__plan plan;
  if (f->status) return c;
  f->status = lstm__make_plan(&f->model, &plan, NULL, NULL);
  if (!f->status && plan.tensors > f->tensor_capacity)
    LSTM__BAD(f, FORMAT, "the layers have %d tensors, the file has %d", plan.tensors, f->entry_count);
  if (!f->status) f->status = lstm__make_plan(&f->model, &plan, NULL, f->tensors);
  if (f->status == LSTM_ERR_ARGUMENT && !f->desc.layer_count) f->status = LSTM_ERR_FORMAT;
  if (f->status && f->desc.error) f->desc.error->status = f->status;
  c.tensors = f->tensors;
  c.count = f->status ? 0 : plan.tensors;
  return c;
}

/* Entry n must be item n: F32, right behind the one before. Where a model is asked for, a run's tensors may follow. */
static lstm_status lstm__match_items(lstm__file *f, const lstm__content *c) {
  lstm__item t;
  int n;
  for (int at = n = 0; !f->status && lstm__next_item(c, &at, &t); ++n) {
    lstm__entry *e = f->source[n] = f->entries + n;
    if (n == f->entry_count) return LSTM__BAD(f, FORMAT, "tensor %s is missing", t.name);
    if (!lstm__piece_is(e->name, t.name))
      return LSTM__BAD(f, FORMAT, "expected tensor %s, the file has %p", t.name, &e->name);
    lstm__check_entry(f, e, &t, LSTM__F32);
    if (e->begin != (n ? e[-1].end : 0)) return LSTM__BAD(f, FORMAT, "tensor %s: it is not at its place", t.name);
  }
  for (int i = 0; i < LSTM__RUN_TENSORS && n < f->entry_count && !c->trainer; ++i)
    n += lstm__piece_is(f->entries[n].name, lstm__run_tensors[i]);
  return n == f->entry_count ? f->status : LSTM__BAD(f, FORMAT, "tensor %p is left over", &f->entries[n].name);
}

static void lstm__match_ours(lstm__file *f) {
  lstm__check_version(f);
  lstm__read_layers(f);
  lstm__content c = lstm__plan_file(f);
  lstm__match_items(f, &c);
}

/* --- foreign files: PyTorch state dicts -------------------------------------------------------------------------- */
/* What an entry is called here: `to`, then `rest`, which may be the end of what it is called now. */
static void lstm__call(lstm__entry *e, const char *to, lstm__piece rest) {
  size_t n = strlen(to);
  if (n + rest.size >= LSTM__FOREIGN_NAME) n = rest.size = 0;
  memmove(e->called + n, rest.at, rest.size);
  memcpy(e->called, to, n);
  n += rest.size;
  e->called[n] = 0;
  while (n > 0 && e->called[n - 1] != '.') --n;
  e->prefix = n;
}

static void lstm__call_all(lstm__file *f) {
  const lstm_load_desc *d = &f->desc;
  for (int i = 0; i < f->entry_count; ++i) {
    lstm__piece name = f->entries[i].name;
    const lstm_prefix *p = d->prefixes, *end = p && d->prefix_count > 0 ? p + d->prefix_count : p;
    while (p < end && !(p->from && lstm__begins(name, p->from))) ++p;
    if (p < end) name = lstm__piece_from(name, strlen(p->from));
    lstm__call(&f->entries[i], p < end && p->to ? p->to : "", name);
  }
}

static lstm__entry *lstm__find_entry(const lstm__file *f, const char *name) {
  int i = f->entry_count - 1;
  while (i >= 0 && strcmp(f->entries[i].called, name)) --i;
  return i < 0 ? NULL : f->entries + i;
}

/* The entry of e's module that is called by this word, and a number where it is not negative; NULL: there is none. */
static const lstm__entry *lstm__beside(const lstm__file *f, const lstm__entry *e, const char *word, int number) {
  char name[LSTM__FOREIGN_NAME + 32];
  lstm__text t = lstm__text_in(name, sizeof name);
  lstm__put(&t, e->called, e->prefix);
  lstm__print(&t, number < 0 ? "%s" : "%s%d", word, number);
  return lstm__find_entry(f, name);
}

/* "tensor X is WHAT; the file has a [4][2], b [4], ...": as much of the list as fits. Only as the first refusal. */
static lstm_status lstm__refuse(lstm__file *f, lstm__piece name, const char *what) {
  lstm_error *error = f->desc.error;
  lstm__text t = lstm__text_in(error ? error->message : NULL, sizeof error->message);
  int i;
  lstm__print(&t, "tensor %p %s; the file has", &name, what);
  for (i = 0; i < f->entry_count && t.length + 100 < t.capacity; ++i) {
    const lstm__entry *e = &f->entries[i];
    lstm__print(&t, "%s %p ", i ? "," : "", &e->name);
    lstm__put_shape(&t, e->shape, e->rank);
  }
  if (i < f->entry_count) lstm__put_string(&t, ", ...");
  if (error) error->status = LSTM_ERR_UNSUPPORTED;
  return f->status = LSTM_ERR_UNSUPPORTED;
}

/* weight_ih_l0 of the one recurrent module of a state dict; NULL: refused. */
static const lstm__entry *lstm__find_module(lstm__file *f) {
  const lstm__entry *ih = NULL, *e = f->entries;
  for (; e < f->entries + f->entry_count && !f->status; ++e) {
    if (strcmp(e->called + e->prefix, "weight_ih_l0")) continue;
    if (ih) lstm__refuse(f, e->name, "is of a second recurrent module: describe the layers in lstm_load_desc");
    ih = e;
  }
  if (!ih) lstm__refuse(f, lstm__piece_of("weight_ih_l0"), "is missing (no recurrent layer)");
  return f->status ? NULL : ih;
}

/* All layers of a module are alike: weight_hh has [4H][H], with a projection [4H][P], a GRU's [3H][H]. */
static lstm_status lstm__infer_module(lstm__file *f, const lstm__entry *ih, lstm_layer *layer, int *count) {
  const lstm__entry *hh = lstm__beside(f, ih, "weight_hh_l", 0), *cell = hh;
  for (int i = *count = 0; i <= f->layer_capacity; ++i) {
    if (lstm__beside(f, ih, "weight_ih_l", i)) *count = i + 1;
    if (lstm__beside(f, ih, "weight_hr_l", i)) cell = lstm__beside(f, ih, "weight_hr_l", 0);
  }
  if (!hh || !cell || ih->rank != 2 || hh->rank != 2 || cell->rank != 2)
    return lstm__refuse(f, ih->name, "is of a module whose first layer lacks weight_ih, weight_hh or weight_hr");
  int units = lstm__read_size(f, "hidden_size", cell->shape[1]), out = lstm__read_size(f, "proj_size", hh->shape[1]);
  if (hh->shape[0] == cell->shape[1])
    return LSTM__BAD(f, UNSUPPORTED, "tensor %p: plain recurrent layers (nn.RNN) are not supported", &hh->name);
  *layer = hh->shape[0] == 3 * cell->shape[1] ? lstm_gru(units) : lstm_lstm(units);
  layer->projection = cell != hh ? out : 0;
  layer->bidirectional = lstm__beside(f, ih, "weight_ih_l0_reverse", -1) != NULL;
  return f->status;
}

/* Which matrix is before the recurrent layers (embedding: `in` columns, no bias) and which after (linear). */
static lstm_status lstm__find_matrices(lstm__file *f, int in, int out, const lstm__entry **embedding,
                                       const lstm__entry **linear) {
  *embedding = *linear = NULL;
  for (int i = 0; i < f->entry_count; ++i) {
    const lstm__entry *e = &f->entries[i], **slot;
    int before, after = e->shape[1] == (uint64_t)out;
    if (e->rank != 2 || !e->prefix || strcmp(e->called + e->prefix, "weight")) continue;
    before = e->shape[1] == (uint64_t)in && !lstm__beside(f, e, "bias", -1);
    if (before && after) after = !strstr(e->called, "emb") && !strstr(e->called, "enc") && !strstr(e->called, "tok");
    slot = after ? linear : embedding;
    if ((!before && !after) || *slot)
      return lstm__refuse(f, e->name, "is neither the one embedding nor the one linear layer: describe the layers");
    *slot = e;
  }
  return f->status;
}

/* Appends a layer, named as in the file, to fit the PyTorch module again; else its entries get the standard name. */
static void lstm__add_layer(lstm__file *f, lstm_layer layer, const lstm__entry *e, const char *standard) {
  char prefix[LSTM__FOREIGN_NAME], *name = f->names[f->model.layer_count];
  lstm__text t = lstm__text_in(name, LSTM__NAME);
  size_t n = e->prefix;
  memcpy(prefix, e->called, n);
  prefix[n] = 0;
  lstm__put(&t, prefix, n ? n - 1 : 0);
  if (lstm__name_ok(name) && strcmp(prefix, standard)) layer.name = name;
  for (int i = 0; i < f->entry_count && !layer.name; ++i) {
    lstm__entry *other = &f->entries[i];
    if (other->prefix == n && !memcmp(other->called, prefix, n))
      lstm__call(other, standard, lstm__piece_of(other->called + n));
  }
  f->layers[f->model.layer_count++] = layer;
}

/* Embedding (if there is one), recurrent layers, linear (if there is one), from names and shapes. */
static void lstm__infer_layers(lstm__file *f) {
  const lstm__entry *ih = lstm__find_module(f), *embedding, *linear;
  lstm_layer cell;
  int in, out, tokens, outputs, count;
  if (!ih || lstm__infer_module(f, ih, &cell, &count)) return;
  in = lstm__read_size(f, "input_size", ih->shape[1]);
  out = (cell.projection ? cell.projection : cell.size) * (1 + cell.bidirectional);
  if (f->status || lstm__find_matrices(f, in, out, &embedding, &linear)) return;
  outputs = lstm__read_size(f, "outputs", linear ? linear->shape[0] : 1);
  tokens = lstm__read_size(f, "tokens", embedding ? embedding->shape[0] : 1);
  if (count + (embedding != NULL) + (linear != NULL) > f->layer_capacity)
    LSTM__BAD(f, LIMIT, "the file has more than %d layers", f->layer_capacity);
  if (f->status) return;
  f->model.input_size = embedding ? tokens : in;
  if (embedding) lstm__add_layer(f, lstm_embedding(in), embedding, "embed.");
  lstm__add_layer(f, cell, ih, "rnn.");
  for (int i = 1; i < count; ++i) f->layers[f->model.layer_count++] = cell; /* a name begins a module */
  if (linear) lstm__add_layer(f, lstm_dense(outputs), linear, "head.");
}

/* The layers that the caller described; the input's size is in the shape of the first tensor. */
static lstm_status lstm__described_layers(lstm__file *f) {
  const lstm_load_desc *d = &f->desc;
  if (!d->layers || d->layer_count < 0) return LSTM__BAD(f, ARGUMENT, "lstm_load_desc.layers is missing");
  if (d->layer_count > f->layer_capacity) return LSTM__BAD(f, LIMIT, "more than %d layers", f->layer_capacity);
  memcpy(f->layers, d->layers, (size_t)d->layer_count * sizeof *d->layers);
  f->layers[0].tied = 0; /* as long as the number of tokens is not known */
  f->model.layer_count = d->layer_count;
  f->model.input_size = 1;
  lstm__content c = lstm__plan_file(f);
  if (f->status) return f->status;
  const lstm__entry *first = lstm__find_entry(f, c.tensors->name);
  if (!first) return lstm__refuse(f, lstm__piece_of(c.tensors->name), "is missing");
  f->layers[0].tied = d->layers[0].tied;
  f->model.input_size = lstm__read_size(f, "input_size", first->shape[c.tensors->kind != LSTM__T_TABLE]);
  return f->status;
}

static void lstm__tell_assumed(lstm__file *f) {
  lstm__print(&f->assumed, "layers %s:\ninput=%d",
              f->desc.layer_count ? "as described" : "inferred from names and shapes", f->model.input_size);
  for (int i = 0; i < f->model.layer_count; ++i) {
    lstm__put_char(&f->assumed, '\n');
    lstm__put_layer(&f->assumed, &f->layers[i]);
  }
  lstm__put_string(&f->assumed, "\ngates in PyTorch's order; outputs without softmax or sigmoid\n");
}

/* Every tensor must be found by its name, but for biases, and every entry be used. */
static void lstm__match_theirs(lstm__file *f) {
  lstm__item t;
  int at = 0;
  lstm__call_all(f);
  if (f->desc.layer_count)
    lstm__described_layers(f);
  else
    lstm__infer_layers(f);
  lstm__content c = lstm__plan_file(f);
  if (!f->status) lstm__tell_assumed(f);
  for (int n = 0; !f->status && lstm__next_item(&c, &at, &t); ++n) {
    lstm__entry *e = f->source[n] = lstm__find_entry(f, t.name);
    if (e) e->used = !lstm__check_entry(f, e, &t, LSTM__BF16);
    if (!e && t.bias) lstm__print(&f->assumed, "%s is not there: zeros\n", t.name);
    if (!e && !t.bias) lstm__refuse(f, lstm__piece_of(t.name), "is missing");
  }
  for (int n = 0; n < f->entry_count && !f->status; ++n)
    if (!f->entries[n].used) lstm__refuse(f, f->entries[n].name, "is left over");
}

/* --- filling a model --------------------------------------------------------------------------------------------- */
static float lstm__half_to_float(uint32_t h) {
  uint32_t sign = (h & 0x8000u) << 16, exponent = h >> 10 & 31u, fraction = h & 0x3ffu;
  if (exponent == 31) return lstm__float_of_bits(sign | 0x7f800000u | fraction << 13);
  if (exponent) return lstm__float_of_bits(sign | (exponent + 112) << 23 | fraction << 13);
  return lstm__float_of_bits(sign | lstm__bits_of_float((float)fraction / 16777216.0f));
}
static float lstm__read_float(const unsigned char *p, int type) {
  if (type == LSTM__F32) return lstm__float_of_bits((uint32_t)lstm__from_le(p, 4));
  if (type == LSTM__BF16) return lstm__float_of_bits((uint32_t)lstm__from_le(p, 2) << 16);
  return lstm__half_to_float((uint32_t)lstm__from_le(p, 2));
}

/* An entry replaces a tensor, or is added (but for zeros: -0 survives); `check`: it stays. 0: a value is not finite. */
static int lstm__read_item(const lstm__file *f, const lstm__entry *e, const lstm__item *t, int check) {
  size_t bytes = e->type == LSTM__F32 ? 4 : 2;
  const unsigned char *p = f->data + e->begin;
  int finite = 1;
  for (size_t i = 0; i < t->count + t->ends; ++i, p += bytes) {
    float v = lstm__read_float(p, e->type), *to = i < t->count ? t->data + i : t->end + (i - t->count);
    if (!check && t->added && i < t->count) v = v == 0 ? *to : *to == 0 ? v : *to + v;
    if (!check) *to = v;
    finite &= lstm__finite((double)v);
  }
  return finite;
}

/* What has no entry stays as it is, zeros. `check`: everything stays as it is. */
static void lstm__fill(lstm__file *f, const lstm__content *c, int check) {
  lstm__item t;
  int at = 0;
  for (int n = 0; !f->status && lstm__next_item(c, &at, &t); ++n)
    if (f->source[n] && !lstm__read_item(f, f->source[n], &t, check) && !f->desc.allow_not_finite)
      LSTM__BAD(f, NOT_FINITE, "tensor %s: a value is NaN or infinite", t.name);
}

/* Copies the pairs that are not the library's, decoded, as KEY 0 VALUE 0. Returns the bytes; `to` NULL: only counts. */
static size_t lstm__copy_meta(const lstm__file *f, char *to, size_t capacity, int *count) {
  lstm__text o = lstm__text_in(to, capacity);
  *count = 0;
  for (int i = 0; i < f->pair_count; ++i) {
    if (lstm__is_own_key(f->pairs[i].key)) continue;
    ++*count;
    (void)lstm__decode(f->pairs[i].key, 1, &o);
    lstm__put_char(&o, 0);
    (void)lstm__decode(f->pairs[i].value, 1, &o);
    lstm__put_char(&o, 0);
  }
  return o.length;
}

/* --- loading ----------------------------------------------------------------------------------------------------- */
/* The tables' memory. No table is larger than the header can fill. */
static void lstm__carve_tables(lstm__file *f, lstm__arena *a) {
  size_t layers = (size_t)f->layer_capacity, tensors = (size_t)f->tensor_capacity;
  f->entries = (lstm__entry *)lstm__carve(a, (size_t)f->entry_capacity, sizeof(lstm__entry));
  f->pairs = (lstm__pair *)lstm__carve(a, (size_t)f->pair_capacity, sizeof(lstm__pair));
  f->layers = (lstm_layer *)lstm__carve(a, layers, sizeof(lstm_layer));
  f->names = (char(*)[LSTM__NAME])lstm__carve(a, layers, LSTM__NAME);
  f->tensors = (lstm__tensor *)lstm__carve(a, tensors, sizeof(lstm__tensor));
  f->source = (lstm__entry **)lstm__carve(a, 2 * tensors, sizeof(lstm__entry *));
}

/* 0 or less: no limit but the library's. */
static int lstm__limit(int64_t wanted, int most) { return wanted > 0 && wanted < most ? (int)wanted : most; }
static lstm_load_desc lstm__load_desc_of(const lstm_load_desc *desc) {
  lstm_load_desc none = LSTM__ZERO;
  return desc ? *desc : none;
}

/* Reads the header into tables and checks them. f->work is to be freed, also on failure. */
static lstm_status lstm__open(lstm__file *f, const void *data, size_t size, const lstm_load_desc *desc) {
  const unsigned char *bytes = (const unsigned char *)data;
  uint64_t header = size < 8 ? 0 : lstm__from_le(bytes, 8);
  lstm__arena arena = {NULL, 0, 0};
  memset(f, 0, sizeof *f);
  f->desc = *desc;
  f->assumed = lstm__text_in(desc->assumed, desc->assumed_capacity);
  f->max_size = lstm__limit(desc->max_size, LSTM_MAX_SIZE);
  if (size > (desc->max_bytes ? desc->max_bytes : LSTM_MAX_FILE_BYTES))
    return LSTM__BAD(f, LIMIT, "the file has %z bytes, over the limit", size);
  if (size < 9 || header == 0 || bytes[8] != '{')
    return LSTM__BAD(f, FORMAT, size ? "this is not a safetensors file" : "the file is empty");
  if (header > size - 8) return LSTM__BAD(f, FORMAT, "the file is truncated: it ends within its header");
  f->data = bytes + 8 + header;
  f->size = size - 8 - (size_t)header;
  f->entry_capacity = lstm__limit((int64_t)(header / 48 + 1), LSTM_MAX_TENSORS);
  f->pair_capacity = lstm__limit((int64_t)(header / 6 + 1), LSTM_MAX_META);
  f->layer_capacity = lstm__limit(desc->max_layers, LSTM_MAX_LAYERS);
  f->tensor_capacity = 2 * f->entry_capacity + 64; /* biases may be missing, and a sentence wants the first name */
  lstm__carve_tables(f, &arena);
  f->status = lstm__place(&desc->allocator, arena.used, NULL, 0, &arena, &f->work, desc->error);
  if (f->status) return f->status;
  lstm__carve_tables(f, &arena);
  lstm_model_desc m = {0, 0, f->layers, LSTM_OUTPUT_AUTO, LSTM_INIT_ZERO, desc->isa, 0, desc->allocator, desc->error,
                         desc->numerics};
  f->model = m;
  lstm__read_header(f, (const char *)(bytes + 8), (size_t)header);
  return lstm__check_tables(f);
}

/* Everything is checked: only now is memory taken for a model. */
static void lstm__build_from_file(lstm__file *f, lstm_model **out) {
  int meta_count;
  size_t meta_size = lstm__copy_meta(f, NULL, 0, &meta_count);
  f->status = lstm__build_model(&f->model, meta_size, NULL, 0, out);
  if (f->status) return;
  (void)lstm__copy_meta(f, (*out)->meta, meta_size, &(*out)->meta_count);
  lstm__content c = lstm__content_of(*out, NULL);
  lstm__fill(f, &c, 0);
  (f->status ? lstm_model_destroy : lstm_model_refresh)(*out);
  if (f->status) *out = NULL;
}

LSTM_API lstm_status lstm_load_memory(const void *data, size_t size, const lstm_load_desc *desc, lstm_model **out) {
  lstm_load_desc d = lstm__load_desc_of(desc);
  lstm__file f;
  if (!out) return LSTM_ERR_ARGUMENT;
  *out = NULL;
  if (!data) return lstm__fail(d.error, LSTM_ERR_ARGUMENT, "lstm_load_memory: data is NULL");
  if (!lstm__open(&f, data, size, &d)) (lstm__unknown_pair(&f, "lstm.") ? lstm__match_ours : lstm__match_theirs)(&f);
  if (!f.status) lstm__build_from_file(&f, out);
  lstm__free(&d.allocator, f.work);
  return f.status;
}

/* Reads to the end. The buffer grows with what has really come, never by what a file says about itself. */
static lstm_status lstm__read_all(const lstm_reader *reader, const lstm_load_desc *d, unsigned char **buffer,
                                  size_t *size) {
  uint64_t most = d->max_bytes ? d->max_bytes : LSTM_MAX_FILE_BYTES;
  size_t capacity = 0, got;
  for (;;) {
    if (*size == capacity) {
      unsigned char *larger = NULL, *old = *buffer;
      capacity = capacity ? capacity : 16384;
      if (lstm__add_ok(capacity, capacity, &capacity)) larger = (unsigned char *)lstm__alloc(&d->allocator, capacity);
      if (!larger) return lstm__fail(d->error, LSTM_ERR_MEMORY, "out of memory: %z bytes", capacity);
      if (*size) memcpy(larger, old, *size);
      lstm__free(&d->allocator, old);
      *buffer = larger;
    }
    got = reader->read(reader->user, *buffer + *size, capacity - *size);
    if (got == 0) return LSTM_OK;
    if (got > capacity - *size) return lstm__fail(d->error, LSTM_ERR_IO, "the file could not be read");
    *size += got;
    if (*size > most)
      return lstm__fail(d->error, LSTM_ERR_LIMIT, "the file has more than %z bytes, over the limit", *size - 1);
  }
}

LSTM_API lstm_status lstm_load(const lstm_reader *reader, const lstm_load_desc *desc, lstm_model **out) {
  lstm_load_desc d = lstm__load_desc_of(desc);
  unsigned char *buffer = NULL;
  size_t size = 0;
  if (!out) return LSTM_ERR_ARGUMENT;
  *out = NULL;
  if (!reader || !reader->read) return lstm__fail(d.error, LSTM_ERR_ARGUMENT, "lstm_load: reader is NULL");
  lstm_status status = lstm__read_all(reader, &d, &buffer, &size);
  if (!status) status = lstm_load_memory(buffer, size, &d, out);
  lstm__free(&d.allocator, buffer);
  return status;
}

/* --- saving ------------------------------------------------------------------------------------------------------ */
/* Where bytes go: a writer (gathered into pieces), a buffer (what fits), or nowhere: they are only counted. */
typedef struct lstm__sink {
  const lstm_writer *writer;
  unsigned char *buffer;
  size_t capacity, size, held; /* of the buffer; bytes so far; of them in `piece` */
  int failed;
  unsigned char piece[4096];
} lstm__sink;

static void lstm__flush(lstm__sink *s) {
  if (s->held && !s->failed) s->failed = !s->writer->write(s->writer->user, s->piece, s->held);
  s->held = 0;
}

static void lstm__write(lstm__sink *s, const void *data, size_t n) {
  const unsigned char *p = (const unsigned char *)data;
  if (s->buffer && s->size <= s->capacity && n <= s->capacity - s->size) memcpy(s->buffer + s->size, p, n);
  s->size += n;
  while (s->writer && n-- > 0) {
    s->piece[s->held++] = *p++;
    if (s->held == sizeof s->piece) lstm__flush(s);
  }
}

static void lstm__write_text(lstm__sink *s, const char *text) { lstm__write(s, text, strlen(text)); }

/* NULL: zeros. */
static void lstm__write_floats(lstm__sink *s, const float *p, size_t count) {
  unsigned char bytes[4];
  for (size_t i = 0; i < count; ++i) {
    lstm__to_le(bytes, p ? lstm__bits_of_float(p[i]) : 0, 4);
    lstm__write(s, bytes, 4);
  }
}

/* A JSON string, with the fewest escapes. */
static void lstm__write_string(lstm__sink *s, const char *text) {
  lstm__write(s, "\"", 1);
  for (; *text; ++text) {
    unsigned c = (unsigned char)*text;
    const char *found = c == '/' ? NULL : strchr(lstm__escaped, *text);
    char escape[] = "\\u0000";
    size_t size = found ? 2 : c < 0x20 ? 6 : 1;
    if (found) escape[1] = lstm__escapes[found - lstm__escaped];
    escape[4] = (char)('0' + c / 16);
    escape[5] = "0123456789abcdef"[c % 16];
    lstm__write(s, size > 1 ? escape : text, size);
  }
  lstm__write(s, "\"", 1);
}

static void lstm__write_pair(lstm__sink *s, const char *before, const char *key, const char *value) {
  lstm__write_text(s, before);
  lstm__write_string(s, key);
  lstm__write(s, ":", 1);
  lstm__write_string(s, value);
}

static void lstm__write_entry(lstm__sink *s, const lstm__item *t, size_t *place) {
  char text[256];
  lstm__text o = lstm__text_in(text, sizeof text);
  size_t end = *place + (t->count + t->ends) * sizeof(float);
  lstm__print(&o, ",\"%s\":{\"dtype\":\"F32\",\"shape\":[%z", t->name, t->rows);
  if (t->columns) lstm__print(&o, ",%z", t->columns);
  lstm__print(&o, "],\"data_offsets\":[%z,%z]}", *place, end);
  lstm__write_text(s, text);
  *place = end;
}

static void lstm__write_header(lstm__sink *s, const lstm__content *c) {
  const lstm_save_desc *d = &c->desc;
  char key[LSTM__LINE], value[LSTM__LINE];
  lstm__item t;
  size_t place = 0;
  int have, at = 0;
  for (int i = 0; (have = lstm__own_pair(c, i, key, value)) != 0; ++i)
    if (have == 1) lstm__write_pair(s, i ? "," : "{\"__metadata__\":{", key, value);
  for (int i = 0; d->meta && i < d->meta_count; ++i) lstm__write_pair(s, ",", d->meta[i].key, d->meta[i].value);
  for (int i = 0; !d->meta && i < c->model->meta_count; ++i)
    lstm__write_pair(s, ",", lstm_model_meta_key(c->model, i), lstm_model_meta_value(c->model, i));
  lstm__write_text(s, "}");
  while (lstm__next_item(c, &at, &t)) lstm__write_entry(s, &t, &place);
  lstm__write_text(s, "}");
}

static int lstm__plain_key(lstm__piece key) {
  for (size_t i = 0; i < key.size; ++i)
    if ((unsigned char)key.at[i] < 0x20 || key.at[i] == '"' || key.at[i] == '\\') return 0;
  return key.size > 0 && lstm__decode(key, 0, NULL) && !lstm__is_own_key(key);
}

static lstm_status lstm__check_meta(const lstm_save_desc *d) {
  if (!d->meta) return LSTM_OK;
  if (d->meta_count < 0 || d->meta_count > LSTM_MAX_META / 2)
    return lstm__fail(d->error, LSTM_ERR_ARGUMENT, "%d metadata pairs, the limit is %d", d->meta_count,
                      LSTM_MAX_META / 2);
  for (int i = 0; i < d->meta_count; ++i) {
    const lstm_meta *m = &d->meta[i];
    const char *bad = NULL;
    if (!m->key || !m->value) return lstm__fail(d->error, LSTM_ERR_ARGUMENT, "metadata pair %d: NULL", i);
    for (int k = 0; k < i; ++k)
      if (!strcmp(d->meta[k].key, m->key)) bad = "is there twice";
    if (!lstm__decode(lstm__piece_of(m->value), 0, NULL)) bad = "has a value that is not UTF-8";
    if (!lstm__plain_key(lstm__piece_of(m->key))) bad = "will not do as a key";
    if (bad) return lstm__fail(d->error, LSTM_ERR_ARGUMENT, "metadata pair %d: %s %s", i, m->key, bad);
  }
  return LSTM_OK;
}

/* The whole file: a model, or a checkpoint. Spaces pad the header so that the data begin at a multiple of 64. */
static lstm_status lstm__save(lstm__sink *s, const lstm__content *c) {
  unsigned char length[8];
  lstm__sink counter = LSTM__ZERO;
  lstm__item t;
  int at = 0;
  lstm_status status = lstm__check_meta(&c->desc);
  if (status) return status;
  if (!c->tensors) return lstm__fail(c->desc.error, LSTM_ERR_UNSUPPORTED, "a static model cannot be saved");
  counter.size = 8;
  lstm__write_header(&counter, c);
  counter.size = (counter.size + 63) & ~(size_t)63;
  lstm__to_le(length, counter.size - 8, 8);
  lstm__write(s, length, 8);
  lstm__write_header(s, c);
  while (s->size < counter.size) lstm__write(s, " ", 1);
  while (lstm__next_item(c, &at, &t)) {
    lstm__write_floats(s, t.added ? NULL : t.data, t.count);
    lstm__write_floats(s, t.end, t.ends);
  }
  lstm__flush(s);
  return s->failed ? lstm__fail(c->desc.error, LSTM_ERR_IO, "the file could not be written") : LSTM_OK;
}

static lstm_status lstm__save_with(const lstm_writer *writer, const lstm__content *c) {
  lstm__sink s = LSTM__ZERO;
  s.writer = writer;
  if (writer && writer->write) return lstm__save(&s, c);
  return lstm__fail(c->desc.error, LSTM_ERR_ARGUMENT, "there is no writer");
}

LSTM_API lstm_status lstm_save_memory(const lstm_model *model, const lstm_save_desc *desc, void *buffer,
                                      size_t capacity, size_t *size) {
  lstm__sink s = LSTM__ZERO;
  if (!model || !size) return LSTM_ERR_ARGUMENT;
  lstm__content c = lstm__content_of(model, desc);
  s.buffer = (unsigned char *)buffer;
  s.capacity = capacity;
  lstm_status status = lstm__save(&s, &c);
  *size = s.size;
  if (status || !buffer || s.size <= capacity) return status;
  return lstm__fail(c.desc.error, LSTM_ERR_MEMORY, "the buffer has %z bytes, the file %z", capacity, s.size);
}

LSTM_API lstm_status lstm_save(const lstm_model *model, const lstm_save_desc *desc, const lstm_writer *writer) {
  if (!model) return LSTM_ERR_ARGUMENT;
  lstm__content c = lstm__content_of(model, desc);
  return lstm__save_with(writer, &c);
}

/* --- files by name ----------------------------------------------------------------------------------------------- */
#ifndef LSTM_NO_STDIO
#ifdef _WIN32
typedef wchar_t lstm__path;
#define LSTM__STDIO(name) _w##name
#define LSTM__MODE(mode) L##mode
#else
typedef char lstm__path;
#define LSTM__STDIO(name) name
#define LSTM__MODE(mode) mode
#endif

/* A path for these functions, with a suffix of at most 4 bytes, in memory from the allocator. */
static lstm__path *lstm__path_of(const lstm_allocator *a, const char *path, const char *suffix, lstm_error *error) {
  const char *end = path + strlen(path);
  size_t size = ((size_t)(end - path) + 5) * sizeof(lstm__path);
  lstm__path *out = (lstm__path *)lstm__alloc(a, size), *to = out;
  if (!out) (void)lstm__fail(error, LSTM_ERR_MEMORY, "out of memory: %z bytes", size);
  while (out && path < end) {
#ifdef _WIN32
    uint32_t c = 0;
    size_t used = lstm__utf8_read(path, end, &c);
    if (!used) c = '?'; /* no file has that in its name */
    if (c >= 0x10000) *to++ = (wchar_t)(0xd7c0 + (c >> 10));
    *to++ = (wchar_t)(c >= 0x10000 ? 0xdc00 + (c & 0x3ff) : c);
    path += used ? used : 1;
#else
    *to++ = *path++;
#endif
  }
  while (out && (*to++ = (lstm__path)*suffix++) != 0) continue;
  return out;
}

static lstm_status lstm__fail_io(lstm_error *error, const char *what, const char *path, const char *suffix) {
  return lstm__fail(error, LSTM_ERR_IO, "cannot %s %s%s: %s", what, path, suffix,
                    errno ? strerror(errno) : "unknown error");
}
static size_t lstm__read_stdio(void *user, void *data, size_t size) {
  size_t got = fread(data, 1, size, (FILE *)user);
  return got == 0 && ferror((FILE *)user) ? (size_t)-1 : got;
}
static int lstm__write_stdio(void *user, const void *p, size_t n) { return fwrite(p, 1, n, (FILE *)user) == n; }

LSTM_API lstm_status lstm_load_file(const char *path_utf8, const lstm_load_desc *desc, lstm_model **out) {
  lstm_load_desc d = lstm__load_desc_of(desc);
  if (!out) return LSTM_ERR_ARGUMENT;
  *out = NULL;
  if (!path_utf8) return lstm__fail(d.error, LSTM_ERR_ARGUMENT, "lstm_load_file: the path is NULL");
  lstm__path *path = lstm__path_of(&d.allocator, path_utf8, "", d.error);
  if (!path) return LSTM_ERR_MEMORY;
  errno = 0;
  FILE *file = LSTM__STDIO(fopen)(path, LSTM__MODE("rb"));
  lstm__free(&d.allocator, path);
  if (!file) return lstm__fail_io(d.error, "open", path_utf8, "");
  const lstm_reader reader = {lstm__read_stdio, file};
  lstm_status status = lstm_load(&reader, &d, out);
  if (status == LSTM_ERR_IO) status = lstm__fail_io(d.error, "read", path_utf8, "");
  (void)fclose(file);
  return status;
}

LSTM_API lstm_status lstm_save_file(const lstm_model *model, const lstm_save_desc *desc, const char *path_utf8) {
  lstm_error *error = desc ? desc->error : NULL;
  const lstm_allocator *a = model ? &model->desc.allocator : NULL;
  lstm_status status = LSTM_ERR_MEMORY;
  FILE *file = NULL;
  if (!model || !path_utf8)
    return lstm__fail(error, LSTM_ERR_ARGUMENT, "lstm_save_file: the model or the path is NULL");
  lstm__path *path = lstm__path_of(a, path_utf8, "", error);
  lstm__path *temporary = path ? lstm__path_of(a, path_utf8, ".tmp", error) : NULL;
  errno = 0;
  if (temporary) {
    file = LSTM__STDIO(fopen)(temporary, LSTM__MODE("wb"));
    if (!file) status = lstm__fail_io(error, "create", path_utf8, ".tmp");
  }
  if (file) {
    const lstm_writer writer = {lstm__write_stdio, file};
    status = lstm_save(model, desc, &writer);
    if (fclose(file) != 0 && !status) status = LSTM_ERR_IO;
#ifdef _WIN32
    if (!status) (void)_wremove(path); /* rename does not replace a file here */
#endif
    if (!status && LSTM__STDIO(rename)(temporary, path) != 0) status = LSTM_ERR_IO;
    if (status == LSTM_ERR_IO) status = lstm__fail_io(error, "write", path_utf8, "");
    if (status) (void)LSTM__STDIO(remove)(temporary);
  }
  lstm__free(a, temporary);
  lstm__free(a, path);
  return status;
}
#endif /* LSTM_NO_STDIO */

/* --- checkpoints ------------------------------------------------------------------------------------------------- */
#ifndef LSTM_NO_TRAINING
/* The best weights under the model's names, the current ones if none were kept. */
static lstm__content lstm__checkpoint_of(const lstm_trainer *t, const lstm_save_desc *desc) {
  lstm__content c = lstm__content_of(t->model, desc);
  c.trainer = t;
  if (t->has_best) c.params = t->best;
  return c;
}
LSTM_API lstm_status lstm_trainer_save(const lstm_trainer *t, const lstm_save_desc *desc, const lstm_writer *writer) {
  if (!t) return LSTM_ERR_ARGUMENT;
  if (t->stage >= LSTM__UPDATE)
    return lstm__fail(desc ? desc->error : NULL, LSTM_ERR_ARGUMENT, "a sliced step is amid its update");
  lstm__content c = lstm__checkpoint_of(t, desc);
  return lstm__save_with(writer, &c);
}

/* The checkpoint's metadata must be what this trainer would write, but for what the run has reached. */
static void lstm__match_run(lstm__file *f, const lstm__content *c) {
  char key[LSTM__LINE], here[LSTM__LINE], value[LSTM__LINE];
  int reached = 4 + c->model->desc.layer_count + LSTM__RUN_OPTIONS, have;
  const lstm__pair *p;
  for (int i = 0; !f->status && (have = lstm__own_pair(c, i, key, here)) != 0; ++i) {
    p = lstm__find_pair(f, key);
    if (i == 0 || i >= reached || (!p && have == 2)) continue;
    if (p) lstm__own_value(f, key, value);
    if (!p || strcmp(value, here))
      LSTM__BAD(f, MISMATCH, "%s: the checkpoint has %s, this trainer %s", key, p ? value : "no value", here);
  }
  p = lstm__unknown_pair(f, "lstm.");
  if (!p) p = lstm__unknown_pair(f, "trainer.");
  if (p) LSTM__BAD(f, MISMATCH, "the checkpoint has %p, this trainer has not", &p->key);
}

static void lstm__read_progress(lstm__file *f, lstm_trainer *t) {
  char rate[LSTM__LINE];
  uint64_t best = lstm__own_count(f, "trainer.best");
  t->steps = lstm__own_count(f, "trainer.steps");
  t->windows = lstm__own_count(f, "trainer.windows");
  lstm__own_value(f, "trainer.rate", rate);
  if (!lstm__parse_float(lstm__piece_of(rate), &t->rate) || t->rate < 0)
    LSTM__BAD(f, FORMAT, "trainer.rate: \"%s\" is not a rate", rate);
  if (best > 1) LSTM__BAD(f, FORMAT, "trainer.best: expected 0 or 1");
  if (best && !t->best) LSTM__BAD(f, MISMATCH, "the checkpoint has best weights, this trainer keeps none (keep_best)");
  t->has_best = (int)best;
}

LSTM_API lstm_status lstm_trainer_resume(lstm_trainer *trainer, const void *data, size_t size, lstm_error *error) {
  lstm_load_desc d = LSTM__ZERO;
  lstm__file f;
  if (!trainer || !data) return lstm__fail(error, LSTM_ERR_ARGUMENT, "lstm_trainer_resume: trainer or data is NULL");
  d.allocator = trainer->desc.allocator;
  d.error = error;
  lstm__settle(trainer);
  lstm_trainer after = *trainer; /* the same tables, other counters */
  lstm__open(&f, data, size, &d);
  lstm__check_version(&f);
  if (!lstm__find_pair(&f, "trainer.steps")) LSTM__BAD(&f, FORMAT, "this file is a model, not a checkpoint");
  lstm__content c = lstm__checkpoint_of(&after, NULL);
  lstm__match_run(&f, &c);
  lstm__read_progress(&f, &after);
  c = lstm__checkpoint_of(&after, NULL);
  lstm__match_items(&f, &c);
  lstm__fill(&f, &c, 1);
  if (!f.status) { /* nothing can fail any more */
    *trainer = after;
    memset(trainer->anew, 0, (size_t)trainer->desc.batch_size * sizeof(float));
    lstm__fill(&f, &c, 0);
    trainer->has_forward = trainer->has_loss = 0;
    lstm_trainer_zero_gradients(trainer);
    lstm_model_refresh(trainer->model);
  }
  lstm__free(&d.allocator, f.work);
  return f.status;
}
#endif /* LSTM_NO_TRAINING */
#undef LSTM__BAD
#endif /* LSTM_NO_FILES */
#elif defined(LSTM__PASS)
/* [SECTION] Vector vocabulary =========================================================================================
   One block per instruction set. V is a vector of VL floats, loaded and stored unaligned. V_MIN and V_MAX return their
   second operand where one is NaN. V_POW2(t) is 2^n, t = n + 1.5 * 2^23 + 127; V_POS(d, y) is d where y > 0, else 0;
   V_FAR(x) is 0 where |x| < 1e-30, else x: what fades never comes to the subnormal numbers, which slow CPUs down.
   V_LD8 and V_ST8 move the lower 8 floats of 16, V_LOW and V_HIGH keep half; the rest is 0. */
#if !LSTM__WANTED(LSTM__PASS % 10) || (LSTM__PASS / 10 == 1 && !LSTM__HAS_PORTABLE) || \
    (LSTM__PASS == 1 && !LSTM__HAS_HARD) || (LSTM__PASS == 21 && !LSTM__HAS_SOFT)
/* not in this build */
#elif LSTM__PASS % 10 == 1
#define VL 1
#define V float
#define V_LD(p) (*(p))
#define V_ST(p, v) (*(p) = (v))
#define V_SET(x) (x)
#define V_ADD(a, b) ((a) + (b))
#define V_SUB(a, b) ((a) - (b))
#define V_MUL(a, b) ((a) * (b))
#define V_DIV(a, b) ((a) / (b))
#define V_FNMA(a, b, c) V_FMA(-(a), b, c)
#define V_MIN(a, b) ((a) < (b) ? (a) : (b))
#define V_MAX(a, b) ((a) > (b) ? (a) : (b))
#define V_SQRT(a) K(scalar_sqrt)(a)
#define V_ABS(a) lstm__float_of_bits(lstm__bits_of_float(a) & 0x7fffffffu)
#define V_SIGN(a, s) lstm__float_of_bits(lstm__bits_of_float(a) | (lstm__bits_of_float(s) & 0x80000000u))
#define V_POW2(t) lstm__float_of_bits(lstm__bits_of_float(t) << 23)
#define V_POS(d, y) ((y) > 0 ? (d) : 0.0f)
#define V_FAR(x) ((x) < 1e-30f && (x) > -1e-30f ? 0.0f : (x))
#define LSTM__TILE_ROWS 2
#if LSTM__PASS == 21
#define V_FMA(a, b, c) lstm__soft_fma(a, b, c)
#elif LSTM__PASS == 1 && defined(LSTM__X86)
#define LSTM__TARGET LSTM__TARGET_OF("fma")
#define V_FMA(a, b, c) _mm_cvtss_f32(_mm_fmadd_ss(_mm_set_ss(a), _mm_set_ss(b), _mm_set_ss(c)))
#elif LSTM__PASS == 1
#define V_FMA(a, b, c) __builtin_fmaf(a, b, c)
#endif
#elif LSTM__PASS == 2 && defined(LSTM__X86) && !defined(LSTM_NO_SSE2)
#define LSTM__TARGET LSTM__TARGET_OF("sse2")
#define VL 4
#define V __m128
#define LSTM__OP(name) _mm_##name##_ps
#define V_POW2(t) _mm_castsi128_ps(_mm_slli_epi32(_mm_castps_si128(t), 23))
#define V_POS(d, y) _mm_and_ps(d, _mm_cmpgt_ps(y, _mm_setzero_ps()))
#define V_FAR(x) _mm_and_ps(x, _mm_cmpnlt_ps(V_ABS(x), V_SET(1e-30f)))
#define LSTM__TILE_ROWS 3
#elif LSTM__PASS % 10 == 3 && defined(LSTM__X86) && !defined(LSTM_NO_AVX2)
#define LSTM__TARGET LSTM__TARGET_OF("avx2,fma")
#define VL 8
#define V __m256
#define LSTM__OP(name) _mm256_##name##_ps
#define V_POW2(t) _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(t), 23))
#define V_POS(d, y) _mm256_and_ps(d, _mm256_cmp_ps(y, _mm256_setzero_ps(), _CMP_GT_OQ))
#define V_FAR(x) _mm256_and_ps(x, _mm256_cmp_ps(V_ABS(x), V_SET(1e-30f), _CMP_NLT_UQ))
#define LSTM__TILE_ROWS 3
#elif LSTM__PASS % 10 == 4 && defined(LSTM__X86) && !defined(LSTM_NO_AVX512)
#define LSTM__TARGET LSTM__TARGET_OF("avx512f,avx512vl,avx512dq,avx512bw")
#define VL 16
#define V __m512
#define LSTM__OP(name) _mm512_##name##_ps
#define V_POW2(t) _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_castps_si512(t), 23))
#define V_POS(d, y) _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(y, _mm512_setzero_ps(), _CMP_GT_OQ), d)
#define V_FAR(x) _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(V_ABS(x), V_SET(1e-30f), _CMP_NLT_UQ), x)
#define V_LD8(p) _mm512_maskz_loadu_ps(0xff, p)
#define V_ST8(p, v) _mm512_mask_storeu_ps(p, 0xff, v)
#define V_LOW(v) _mm512_maskz_mov_ps(0xff, v)
#define V_HIGH(v) _mm512_maskz_shuffle_f32x4(0xff, v, v, 0x4e)
#define LSTM__TILE_ROWS 6
#elif LSTM__PASS % 10 == 5 && defined(LSTM__ARM64) && !defined(LSTM_NO_NEON)
#define VL 4
#define V float32x4_t
#define LSTM__OP(name) v##name##q_f32
#define V_LD(p) vld1q_f32(p)
#define V_ST(p, v) vst1q_f32(p, v)
#define V_SET(x) vdupq_n_f32(x)
#define V_FMA(a, b, c) vfmaq_f32(c, a, b)
#define V_FNMA(a, b, c) vfmsq_f32(c, a, b)
#define V_MIN(a, b) vbslq_f32(vcltq_f32(a, b), a, b)
#define V_MAX(a, b) vbslq_f32(vcgtq_f32(a, b), a, b)
#define V_ABS(a) vabsq_f32(a)
#define V_SIGN(a, s) vbslq_f32(vdupq_n_u32(0x80000000u), s, a)
#define V_POW2(t) vreinterpretq_f32_u32(vshlq_n_u32(vreinterpretq_u32_f32(t), 23))
#define V_POS(d, y) vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(d), vcgtq_f32(y, vdupq_n_f32(0.0f))))
#define V_FAR(x) vreinterpretq_f32_u32(vbicq_u32(vreinterpretq_u32_f32(x), vcaltq_f32(x, V_SET(1e-30f))))
#define LSTM__TILE_ROWS 6
#elif LSTM__PASS == 6 && defined(LSTM__WASM32) && !defined(LSTM_NO_WASM)
#define VL 4
#define V v128_t
#define LSTM__OP(name) wasm_f32x4_##name
#define V_LD(p) wasm_v128_load(p)
#define V_ST(p, v) wasm_v128_store(p, v)
#define V_SET(x) wasm_f32x4_splat(x)
#define V_MIN(a, b) wasm_f32x4_pmin(b, a)
#define V_MAX(a, b) wasm_f32x4_pmax(b, a)
#define V_ABS(a) wasm_f32x4_abs(a)
#define V_SIGN(a, s) wasm_v128_or(a, wasm_v128_and(s, wasm_f32x4_splat(-0.0f)))
#define V_POW2(t) wasm_i32x4_shl(t, 23)
#define V_POS(d, y) wasm_v128_and(d, wasm_f32x4_gt(y, wasm_f32x4_splat(0.0f)))
#define V_FAR(x) wasm_v128_andnot(x, wasm_f32x4_lt(V_ABS(x), V_SET(1e-30f)))
#define LSTM__TILE_ROWS 3
#endif

#ifdef LSTM__OP /* instructions whose names differ in the same way */
#define V_ADD(a, b) LSTM__OP(add)(a, b)
#define V_SUB(a, b) LSTM__OP(sub)(a, b)
#define V_MUL(a, b) LSTM__OP(mul)(a, b)
#define V_DIV(a, b) LSTM__OP(div)(a, b)
#define V_SQRT(a) LSTM__OP(sqrt)(a)
#ifdef LSTM__X86
#define V_LD(p) LSTM__OP(loadu)(p)
#define V_ST(p, v) LSTM__OP(storeu)(p, v)
#define V_SET(x) LSTM__OP(set1)(x)
#define V_MIN(a, b) LSTM__OP(min)(a, b)
#define V_MAX(a, b) LSTM__OP(max)(a, b)
#define V_ABS(a) LSTM__OP(andnot)(V_SET(-0.0f), a)
#define V_SIGN(a, s) LSTM__OP(or)(a, LSTM__OP(and)(s, V_SET(-0.0f)))
#endif
#if defined(LSTM__X86) && VL > 4
#define V_FMA(a, b, c) LSTM__OP(fmadd)(a, b, c)
#define V_FNMA(a, b, c) LSTM__OP(fnmadd)(a, b, c)
#endif
#endif

#ifdef VL
#ifndef LSTM__TARGET
#define LSTM__TARGET
#endif
#if VL <= 8 /* vectors of 16 alone have a use for halves */
#define V_LD8(p) V_LD(p)
#define V_ST8(p, v) V_ST(p, v)
#define V_LOW(v) (v)
#define V_HIGH(v) (v)
#endif

#define K(name) LSTM__JOIN(lstm__##name##_, LSTM__PASS)
#define V_IN LSTM__TARGET LSTM__FORCE_INLINE
#if defined(LSTM_NO_TRAINING) || LSTM__SMALL
#define V_FN LSTM__TARGET LSTM__UNUSED static
#else
#define V_FN LSTM__TARGET static
#endif
#if LSTM__SMALL
#define LSTM__OFTEN V_FN /* used so often that copies of it make the code large, but calls of it slow */
#else
#define LSTM__OFTEN V_IN
#endif

#if !defined(V_FMA) || LSTM__PASS / 10 == 1
/* Compilers fuse a product and a sum where the CPU or a flag such as -march=native lets them; these bits must not
   depend on that. The empty assembly costs nothing: the product stays in its register. */
#if !defined(__GNUC__)
#define LSTM__KEEP(p)
#elif LSTM__PASS == 14
#define LSTM__KEEP(p) __asm__("" : "+v"(p))
#elif LSTM__PASS == 13 || defined(__FMA__) || defined(__FMA4__)
#define LSTM__KEEP(p) __asm__("" : "+x"(p))
#elif defined(__x86_64__) || defined(__i386__) || defined(__wasm__)
#define LSTM__KEEP(p)
#elif defined(__aarch64__)
#define LSTM__KEEP(p) __asm__("" : "+w"(p))
#elif defined(__ARM_FP)
#define LSTM__KEEP(p) __asm__("" : "+t"(p))
#elif defined(__riscv_flen) || defined(__s390x__) || defined(__powerpc64__)
#define LSTM__KEEP(p) __asm__("" : "+f"(p))
#else
#define LSTM__KEEP(p) __asm__("" : "+m"(p))
#endif
V_IN V K(product)(V a, V b) {
  V p = V_MUL(a, b);
  LSTM__KEEP(p);
  return p;
}
#undef LSTM__KEEP
#undef V_MUL
#undef V_FMA
#undef V_FNMA
#define V_MUL(a, b) K(product)(a, b)
#define V_FMA(a, b, c) V_ADD(V_MUL(a, b), c)
#define V_FNMA(a, b, c) V_SUB(c, V_MUL(a, b))
#endif

/* [SECTION] Kernels ===================================================================================================
   Written once over the vocabulary. K(name) is the name for this instruction set. What is not an explicit V_FMA is
   never a product that feeds a sum, so that no compiler has anything to fuse. */

#if VL == 1
/* Correctly rounded: a float's root in double is never near enough to a midpoint of floats to be rounded wrongly. */
V_IN float K(scalar_sqrt)(float x) {
#ifdef LSTM__X86
  return _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(x)));
#elif defined(__GNUC__) && defined(__arm__) && defined(__ARM_FP) && (__ARM_FP & 4)
  __asm__("vsqrt.f32 %0, %0" : "+t"(x));
  return x;
#else
  return (float)lstm__sqrt((double)x);
#endif
}
#endif

/* --- exp, expm1, sigmoid, tanh: x = n ln 2 + r, |r| <= ln 2 / 2; e^r - 1 = r + r^2 q(r) -------------------------- */
/* Returns e^r - 1; *scale = 2^n. |x| <= 87. */
LSTM__OFTEN V K(reduce)(V x, V *scale) {
  const V magic = V_SET(12583039.0f); /* 1.5 * 2^23 + 127: adding it rounds to an integer and biases the exponent */
  V t = V_FMA(x, V_SET(1.44269504f), magic), n = V_SUB(t, magic), r, q;
  r = V_FNMA(n, V_SET(0.693359375f), x);
  r = V_FNMA(n, V_SET(-2.12194440e-4f), r);
  q = V_SET(0.0001984588598134f);
  q = V_FMA(q, r, V_SET(0.00139407196547836f));
  q = V_FMA(q, r, V_SET(0.008333389647305f));
  q = V_FMA(q, r, V_SET(0.0416663587093353f));
  q = V_FMA(q, r, V_SET(0.16666665673256f));
  q = V_FMA(q, r, V_SET(0.5f));
  *scale = V_POW2(t);
  return V_FMA(q, V_MUL(r, r), r);
}

/* Within 1 ulp on -87..87, constant beyond; NaN stays NaN. */
V_IN V K(exp)(V x) {
  V scale, e;
  x = V_MIN(V_SET(87.0f), V_MAX(V_SET(-87.0f), x));
  e = K(reduce)(x, &scale);
  return V_MUL(V_ADD(e, V_SET(1.0f)), scale);
}

/* 1 + e^-x, the reciprocal of the sigmoid; `limit` bounds |x|. With 43 the product of two of them is finite. */
LSTM__OFTEN V K(one_plus_exp)(V x, float limit) {
  V scale, e;
  x = V_MIN(V_SET(limit), V_MAX(V_SET(-limit), x));
  e = K(reduce)(V_SUB(V_SET(0.0f), x), &scale);
  return V_FMA(V_ADD(e, V_SET(1.0f)), scale, V_SET(1.0f));
}

/* e^(2|x|) - 1, to a few ulp also near 0; tanh |x| = it / (it + 2). Beyond 9.1 tanh is 1 in float. */
LSTM__OFTEN V K(expm1_of_tanh)(V x) {
  V scale, e, a = V_MIN(V_SET(9.1f), V_ABS(x));
  e = K(reduce)(V_ADD(a, a), &scale);
  return V_FMA(e, scale, V_SUB(scale, V_SET(1.0f)));
}

/* Within 2.5 ulp, as tanh below. */
V_IN V K(sigmoid)(V x) { return V_DIV(V_SET(1.0f), K(one_plus_exp)(x, 87.0f)); }
LSTM__OFTEN V K(tanh)(V x) {
  V e = K(expm1_of_tanh)(x);
  return V_SIGN(V_DIV(e, V_ADD(e, V_SET(2.0f))), x);
}

/* --- chains: R rows of up to four accumulators, always in registers ---------------------------------------------- */
typedef struct K(quad) { V a, b, c, d; } K(quad);

/* nw vectors, `apart` floats from each other. */
V_IN K(quad) K(load4)(const int nw, size_t apart, const float *p) {
  K(quad) q;
  q.a = V_LD(p);
  q.b = nw > 1 ? V_LD(p + apart) : q.a;
  q.c = nw > 2 ? V_LD(p + 2 * apart) : q.a;
  q.d = nw > 3 ? V_LD(p + 3 * apart) : q.a;
  return q;
}

V_IN void K(store4)(const int nw, size_t apart, float *p, K(quad) q) {
  V_ST(p, q.a);
  if (nw > 1) V_ST(p + apart, q.b);
  if (nw > 2) V_ST(p + 2 * apart, q.c);
  if (nw > 3) V_ST(p + 3 * apart, q.d);
}

V_IN K(quad) K(fma4)(const int nw, float x, K(quad) w, K(quad) q) {
  V v = V_SET(x);
  q.a = V_FMA(v, w.a, q.a);
  if (nw > 1) q.b = V_FMA(v, w.b, q.b);
  if (nw > 2) q.c = V_FMA(v, w.c, q.c);
  if (nw > 3) q.d = V_FMA(v, w.d, q.d);
  return q;
}

/* acc[r] += sum over k < n of a[r][k * step] * w[k * stride]: R rows (a constant), nw vectors that are `apart`. */
V_IN void K(chains)(const int R, const int nw, const float *const *a, size_t step, int n, const float *w, size_t apart,
                  size_t stride, K(quad) * acc) {
  const float *a0 = a[0], *a1 = a[R > 1 ? 1 : 0], *a2 = a[R > 2 ? 2 : 0], *a3 = a[R > 3 ? 3 : 0],
              *a4 = a[R > 4 ? 4 : 0], *a5 = a[R > 5 ? 5 : 0];
  K(quad)
  q0 = acc[0], q1 = acc[R > 1 ? 1 : 0], q2 = acc[R > 2 ? 2 : 0], q3 = acc[R > 3 ? 3 : 0], q4 = acc[R > 4 ? 4 : 0],
  q5 = acc[R > 5 ? 5 : 0];
  size_t k = 0;
  for (int i = 0; i < n; i++, k += step, w += stride) {
    K(quad) wk = K(load4)(nw, apart, w);
    q0 = K(fma4)(nw, a0[k], wk, q0);
    if (R > 1) q1 = K(fma4)(nw, a1[k], wk, q1);
    if (R > 2) q2 = K(fma4)(nw, a2[k], wk, q2);
    if (R > 3) q3 = K(fma4)(nw, a3[k], wk, q3);
    if (R > 4) q4 = K(fma4)(nw, a4[k], wk, q4);
    if (R > 5) q5 = K(fma4)(nw, a5[k], wk, q5);
  }
  acc[0] = q0;
  if (R > 1) acc[1] = q1;
  if (R > 2) acc[2] = q2;
  if (R > 3) acc[3] = q3;
  if (R > 4) acc[4] = q4;
  if (R > 5) acc[5] = q5;
}

/* Calls a tile of R rows (a constant) from row r for all rows: as many of LSTM__TILE_ROWS as fit, then 4, 2, 1. */
#define LSTM__EACH_TILE_OF(size, rows, CALL)                                                                           \
  do {                                                                                                                 \
    enum { R = size };                                                                                                 \
    for (; r + R <= (rows); r += R) CALL;                                                                              \
  } while (0)
#define LSTM__EACH_TILE(rows, CALL)                                                                                    \
  do {                                                                                                                 \
    int r = 0;                                                                                                         \
    if (!LSTM__SMALL) LSTM__EACH_TILE_OF(LSTM__TILE_ROWS, rows, CALL);                                                 \
    if (!LSTM__SMALL && LSTM__TILE_ROWS > 4) LSTM__EACH_TILE_OF(4, rows, CALL);                                        \
    if (!LSTM__SMALL && LSTM__TILE_ROWS > 2) LSTM__EACH_TILE_OF(2, rows, CALL);                                        \
    LSTM__EACH_TILE_OF(1, rows, CALL);                                                                                 \
  } while (0)

/* --- the cell ---------------------------------------------------------------------------------------------------- */
/* Where unit u has its first gate in gates [units / 16][4][16]; the last block may be [4][8]. */
V_IN float *K(gates_of)(float *gates, int u) { return gates + (size_t)(u / 16) * 64 + (size_t)(u % 16); }

/* How far the gates of unit u of n are apart: the width of its block. */
V_IN size_t K(apart)(int u, int n) { return n - u / 16 * 16 < 16 ? 8 : 16; }

/* VL gates of each kind at p; of a block of 8, vectors of 16 take 8 and zeros. */
V_IN K(quad) K(load_gates)(size_t apart, const float *p) {
  if (VL <= 8 || apart == 16) return K(load4)(4, apart, p);
  K(quad) q = {V_LD8(p), V_LD8(p + 8), V_LD8(p + 16), V_LD8(p + 24)};
  return q;
}

V_IN void K(store_gates)(size_t apart, float *p, K(quad) q) {
  if (VL <= 8 || apart == 16) {
    K(store4)(4, apart, p, q);
    return;
  }
  V_ST8(p, q.a);
  V_ST8(p + 8, q.b);
  V_ST8(p + 16, q.c);
  V_ST8(p + 24, q.d);
}

/* i, f, o = sigmoid(z.a, z.b, z.d), g = tanh(z.c); c = f c' + i g; h = o tanh(c). i and g, f and o share divisions. */
V_IN void K(gates)(K(quad) z, const float *c_prev, float *c_out, float *h_out, float *tape, size_t apart) {
  const V one = V_SET(1.0f);
  V di = K(one_plus_exp)(z.a, 43.0f), df = K(one_plus_exp)(z.b, 43.0f), dO = K(one_plus_exp)(z.d, 43.0f);
  V eg = K(expm1_of_tanh)(z.c), dg = V_ADD(eg, V_SET(2.0f));
  V ig = V_DIV(one, V_MUL(di, dg)), fo = V_DIV(one, V_MUL(df, dO));
  V i = V_MUL(ig, dg), g = V_SIGN(V_MUL(eg, V_MUL(ig, di)), z.c), f = V_MUL(fo, dO), o = V_MUL(fo, df);
  V c = V_FMA(f, V_LD(c_prev), V_MUL(i, g));
  V_ST(c_out, V_FAR(c));
  V_ST(h_out, V_MUL(o, K(tanh)(c)));
  K(quad) q = {i, f, g, o};
  if (tape) K(store_gates)(apart, tape, q);
}

/* What becomes of row r's sums for the units from u on. wide: a vector holds two gates of a block of 8. */
V_IN void K(end_cell)(const lstm__cell_job *job, int r, int u, size_t apart, const int wide, K(quad) q) {
  float *tape = job->tape.p ? K(gates_of)(lstm__out_row(&job->tape, r), u) : NULL;
  K(quad) halves = {V_LOW(q.a), V_HIGH(q.a), V_LOW(q.b), V_HIGH(q.b)};
  if (wide) q = halves;
  if (job->raw) K(store4)(4, 16, tape, q);
  if (!job->raw)
    K(gates)(q, lstm__row(&job->c, r) + u, lstm__out_row(&job->c_out, r) + u, lstm__out_row(&job->h_out, r) + u, tape,
             apart);
}

/* R rows from r0 of the block of W units from unit u. */
V_IN void K(cell_tile)(const int R, const int W, const lstm__cell_job *job, int u, int r0) {
  const float *x[6], *h[6], *w = job->w + (size_t)(u / 16) * (size_t)(1 + job->nx + job->nh) * 64;
  const int nw = VL > W ? 2 : 4, apart = VL > W ? VL : W;
  int nx = job->start.p ? 0 : job->nx;
  LSTM__UNROLL for (int r = 0; r < R; r++) {
    x[r] = nx ? lstm__row(&job->x, r0 + r) : NULL;
    h[r] = lstm__row(&job->h, r0 + r);
  }
  for (int j = 0; j < W; j += VL) {
    K(quad) acc[6];
    const float *wj = w + j;
    LSTM__UNROLL for (int r = 0; r < R; r++)
      acc[r] = K(load4)(nw, (size_t)apart, job->start.p ? lstm__row(&job->start, r0 + r) + u * 4 + j : wj);
    wj += 4 * W;
    if (nx) K(chains)(R, nw, x, 1, nx, wj, (size_t)apart, 4 * (size_t)W, acc);
    wj += (size_t)job->nx * 4 * (size_t)W;
    K(chains)(R, nw, h, 1, job->nh, wj, (size_t)apart, 4 * (size_t)W, acc);
    LSTM__UNROLL for (int r = 0; r < R; r++) K(end_cell)(job, r0 + r, u + j, (size_t)W, VL > W, acc[r]);
  }
}

/* A group of VL units of a single row: its weights [k][4 apart], and its sums. */
typedef struct K(group) {
  const float *w;
  size_t apart;
  K(quad) sum;
} K(group);

V_IN K(group) K(begin_group)(const lstm__cell_job *job, int u, const int nw) {
  K(group) g;
  g.apart = K(apart)(u, job->units);
  g.w = job->w + (size_t)(u / 16) * (size_t)(1 + job->nx + job->nh) * 64 + u % 16;
  g.sum = K(load4)(nw, nw < 4 ? VL : g.apart, job->start.p ? lstm__row(&job->start, 0) + u / 16 * 64 + u % 16 : g.w);
  g.w += 4 * g.apart;
  if (job->start.p) g.w += (size_t)job->nx * 4 * g.apart;
  return g;
}

/* Both groups at once: the chains of one are too few to keep the FMA units busy. pair 0: only the second. */
V_IN void K(row_chains)(const int pair, const int nw, const float *a, int n, K(group) * first, K(group) * second) {
  const float *v = first->w, *w = second->w;
  const size_t apart = nw < 4 ? VL : second->apart, step = nw < 4 ? 32 : 4 * second->apart;
  K(quad) p = first->sum, q = second->sum;
  for (int k = 0; k < n; k++, w += step) {
    if (pair) p = K(fma4)(4, a[k], K(load4)(4, first->apart, v), p);
    if (pair) v += 4 * first->apart;
    q = K(fma4)(nw, a[k], K(load4)(nw, apart, w), q);
  }
  first->w = v;
  second->w = w;
  first->sum = p;
  second->sum = q;
}

/* A single row: the units from u on, and with `pair` the group before them. */
V_IN void K(cell_groups)(const int pair, const int nw, const lstm__cell_job *job, int u) {
  K(group) second = K(begin_group)(job, u, nw), first = pair ? K(begin_group)(job, u - VL, 4) : second;
  if (!job->start.p && job->nx) K(row_chains)(pair, nw, lstm__row(&job->x, 0), job->nx, &first, &second);
  K(row_chains)(pair, nw, lstm__row(&job->h, 0), job->nh, &first, &second);
  if (pair) K(end_cell)(job, 0, u - VL, first.apart, 0, first.sum);
  K(end_cell)(job, 0, u, second.apart, nw < 4, second.sum);
}

/* Groups go in pairs where all weights stay in the first cache, where two share its lines, and where h_out may be h:
   both are read before either is written. An odd one of vectors of 16 is first, so that a narrow one has a partner. */
V_FN void K(cell_of_row)(const lstm__cell_job *job) {
  int groups = (job->units + VL - 1) / VL;
  int pairs = VL <= 8 || groups <= 2 || job->units * (1 + job->nx + job->nh) < LSTM__NEAR;
  int count = pairs ? (groups + 1) / 2 : groups;
  for (int i = 0; i < count; i++) {
    int at = job->flip ? count - 1 - i : i, last = pairs ? 2 * at + (VL > 8 ? (groups + 1) % 2 : 1) : at;
    int pair = pairs && last > 0 && last < groups, u = (last < groups ? last : groups - 1) * VL;
    int narrow = VL > 8 && job->units - u < VL;
    if (pair && narrow) K(cell_groups)(1, 2, job, u);
    if (pair && !narrow) K(cell_groups)(1, 4, job, u);
    if (!pair && narrow) K(cell_groups)(0, 2, job, u);
    if (!pair && !narrow) K(cell_groups)(0, 4, job, u);
  }
}

V_FN void K(cell)(const lstm__cell_job *job) {
  int u, blocks = (job->units + 15) / 16;
  if (job->rows == 1 && !LSTM__SMALL) {
    K(cell_of_row)(job);
    return;
  }
  for (int i = 0; i < blocks; i++) {
    u = (job->flip ? blocks - 1 - i : i) * 16;
    if (VL > 8 && job->units - u < 16)
      LSTM__EACH_TILE(job->rows, K(cell_tile)(R, 8, job, u, r));
    else
      LSTM__EACH_TILE(job->rows, K(cell_tile)(R, VL > 8 ? 16 : (int)K(apart)(u, job->units), job, u, r));
  }
}

/* Given dh and dc: do = dh tanh(c), dc += dh o (1 - tanh(c)^2), di = dc g, df = dc c', dg = dc i, and dc' = dc f;
   through the activations: dz_i = di i (1 - i), dz_f = df f (1 - f), dz_g = dg (1 - g^2), dz_o = do o (1 - o). */
V_FN void K(cell_backward)(int n, float *gates, const float *c, const float *c_prev, const float *dh, float *dc) {
  const V one = V_SET(1.0f);
  for (int u = 0; u < n; u += VL) {
    float *at = K(gates_of)(gates, u);
    size_t apart = K(apart)(u, n);
    K(quad) q = K(load_gates)(apart, at);
    V t = K(tanh)(V_LD(c + u)), h = V_LD(dh + u);
    V d = V_FMA(V_MUL(h, q.d), V_FNMA(t, t, one), V_LD(dc + u));
    V_ST(dc + u, V_MUL(d, q.b));
    q.d = V_MUL(V_MUL(V_MUL(h, t), q.d), V_SUB(one, q.d));
    q.b = V_MUL(V_MUL(V_MUL(d, V_LD(c_prev + u)), q.b), V_SUB(one, q.b));
    h = V_MUL(V_MUL(V_MUL(d, q.c), q.a), V_SUB(one, q.a));
    q.c = V_MUL(V_MUL(d, q.a), V_FNMA(q.c, q.c, one));
    q.a = h;
    K(store_gates)(apart, at, q);
  }
}

/* --- activations ------------------------------------------------------------------------------------------------- */
/* relu(-0) is 0: the sum makes it so whichever zero the larger one is. Clang 14 takes C's 0 > x ? 0 : x for an
   instruction that says 0 for x = -0 (WASM, aarch64); the vectors say -0. */
LSTM__OFTEN V K(activate)(int f, V x) {
  if (f == LSTM_TANH) return K(tanh)(x);
  if (f == LSTM_SIGMOID) return K(sigmoid)(x);
  if (f == LSTM_RELU) return V_ADD(V_MAX(V_SET(0.0f), x), V_SET(0.0f));
  if (f == LSTM_HARD_SIGMOID) return V_MIN(V_SET(1.0f), V_MAX(V_SET(0.0f), V_FMA(x, V_SET(1.0f / 6), V_SET(0.5f))));
  if (f == LSTM_SOFTSIGN) return V_DIV(x, V_ADD(V_SET(1.0f), V_ABS(x)));
  return f == LSTM__MAP_EXP ? K(exp)(x) : x;
}

/* d times the derivative of f where f is y. */
V_IN V K(through)(int f, V d, V y) {
  const V one = V_SET(1.0f);
  if (f == LSTM_TANH) return V_MUL(d, V_FNMA(y, y, one));
  if (f == LSTM_SIGMOID) return V_MUL(V_MUL(d, y), V_SUB(one, y));
  if (f == LSTM_RELU) return V_POS(d, y);
  if (f == LSTM_HARD_SIGMOID) return V_POS(V_POS(V_MUL(d, V_SET(1.0f / 6)), y), V_SUB(one, y));
  if (f != LSTM_SOFTSIGN) return d;
  y = V_SUB(one, V_ABS(y));
  return V_MUL(V_MUL(d, y), y);
}

/* The fixed tree by which 16 lanes become one. */
V_FN float K(tree)(float *lane) {
  for (int width = 8; width; width /= 2)
    for (int j = 0; j < width; j++) lane[j] = lane[j] + lane[j + width];
  return lane[0];
}

/* --- the generic gate pass: all options of a cell, for one row; the equations are in CELLS in the manual --------- */
/* Layer norm of n units, 16 at x + b stride: x = (x - mean) root; returns root, 1 / sqrt(var + 1e-5). Padding: 0. */
V_FN float K(normalise)(int n, float *x, size_t stride) {
  float lane[16], live[16], mean, root[16];
  int blocks = (n + 15) / 16;
  for (int pass = 0; pass < 2; pass++) {
    mean = pass ? K(tree)(lane) / (float)n : 0.0f;
    for (int j = 0; j < 16; j++) lane[j] = 0;
    for (int i = 0; i < blocks; i++) {
      float *at = x + (size_t)i * stride;
      for (int j = 0; j < 16; j++) live[j] = i * 16 + j < n ? 1.0f : 0.0f;
      for (int j = 0; j < 16; j += VL) {
        V d = V_MUL(V_SUB(V_LD(at + j), V_SET(mean)), V_LD(live + j));
        V_ST(at + j, d);
        V_ST(lane + j, pass ? V_FMA(d, d, V_LD(lane + j)) : V_ADD(V_LD(lane + j), d));
      }
    }
  }
  V_ST(root, V_DIV(V_SET(1.0f), V_SQRT(V_SET(K(tree)(lane) / (float)n + 1e-5f))));
  for (int i = 0; i < blocks; i++)
    for (int j = 0; j < 16; j += VL)
      V_ST(x + (size_t)i * stride + j, V_MUL(V_LD(x + (size_t)i * stride + j), V_SET(root[0])));
  return root[0];
}

/* Back through it: y = gain xhat + bias, dy at `stride` becomes dx = (dxhat - mean(dxhat) - xhat mean(dxhat xhat)) /
   sqrt(...), dxhat = gain dy. On return xhat is the gain's gradient, dy xhat, and dbias the bias's, dy. */
V_FN void K(normalise_back)(int n, float *dy, size_t stride, float *xhat, const float *gain, float *dbias, float root) {
  float sum[16] = {0}, dot[16] = {0}, live[16];
  int blocks = (n + 15) / 16;
  for (int i = 0; i < blocks; i++)
    for (int j = 0; j < 16; j += VL) {
      V d = V_MUL(V_LD(dy + (size_t)i * stride + j), V_LD(gain + i * 16 + j));
      V_ST(sum + j, V_FMA(V_LD(dy + (size_t)i * stride + j), V_LD(gain + i * 16 + j), V_LD(sum + j)));
      V_ST(dot + j, V_FMA(d, V_LD(xhat + i * 16 + j), V_LD(dot + j)));
    }
  V minus_mean = V_SET(-(K(tree)(sum) / (float)n)), slope = V_SET(K(tree)(dot) / (float)n);
  for (int i = 0; i < blocks; i++) {
    for (int j = 0; j < 16; j++) live[j] = i * 16 + j < n ? root : 0.0f;
    for (int j = 0; j < 16; j += VL) {
      float *at = dy + (size_t)i * stride + j;
      V d = V_LD(at), x = V_LD(xhat + i * 16 + j);
      V_ST(dbias + i * 16 + j, d);
      V_ST(xhat + i * 16 + j, V_MUL(d, x));
      d = V_FMA(d, V_LD(gain + i * 16 + j), minus_mean);
      V_ST(at, V_MUL(V_FNMA(slope, x, d), V_LD(live + j)));
    }
  }
}

/* f as the cell uses it, from the learned one. */
V_IN V K(forget)(const lstm__gate_job *job, int u, V f) {
  if (job->noise) f = V_FMA(V_SET(job->o->noise), V_SUB(V_LD(job->noise + u), f), f);
  return f;
}

/* s = f c' + i g, and clipped (Sak, Senior and Beaufays, 2014). */
V_IN V K(new_cell)(const lstm__gate_job *job, int u, K(quad) q, V *unclipped) {
  V s = V_FMA(K(forget)(job, u, q.b), V_LD(job->c_prev + u), V_MUL(q.a, q.c)), limit = V_SET(job->o->cell_clip);
  *unclipped = s;
  if (job->o->cell_clip > 0) s = V_MIN(limit, V_MAX(V_SUB(V_SET(0.0f), limit), s));
  return s;
}

/* y + m (other - y): exactly y where m is 0, and exactly `other` where it is 1. */
V_IN V K(mix)(V m, V other, V y) { return V_FMA(m, other, V_FNMA(m, y, y)); }
V_IN V K(zone)(const lstm__gate_job *job, int u) { return job->zone ? V_LD(job->zone + u) : V_SET(job->o->zoneout); }

/* Of the four gates, z = gain (...) + bias. keep: normalised sums in the gains' rows; roots where the biases' begin. */
V_FN void K(norm_gates)(const lstm__gate_job *job, const float *gain, float *keep) {
  const float *bias = gain + (size_t)job->units * 4;
  for (int k = 0; k < 4; k++, gain += job->units, bias += job->units) {
    float root = K(normalise)(job->n, job->gates + k * 16, 64);
    for (int u = 0; u < job->units; u += VL) {
      float *at = K(gates_of)(job->gates, u) + k * 16;
      if (keep) V_ST(keep + (size_t)k * (size_t)job->units + u, V_LD(at));
      V_ST(at, V_FMA(V_LD(gain + u), V_LD(at), V_LD(bias + u)));
    }
    if (keep) keep[(size_t)(4 + k) * (size_t)job->units] = root;
  }
}

/* i, f, g and s; s also goes to h, the rest to the gates. */
V_IN void K(first_gates)(const lstm__gate_job *job, int u, float *gates) {
  const lstm_layer *o = job->o;
  const float *p = o->peephole ? job->vectors + u : NULL;
  K(quad) q = K(load4)(4, 16, gates);
  V c = V_LD(job->c_prev + u), s, unclipped;
  if (p) { /* Gers, Schraudolph and Schmidhuber, 2002 */
    q.a = V_FMA(V_LD(p), c, q.a);
    q.b = V_FMA(V_LD(p + job->units), c, q.b);
  }
  q.a = K(activate)((int)o->gate_activation, q.a);
  q.b = K(activate)((int)o->gate_activation, q.b);
  if (o->coupled) q.b = V_SUB(V_SET(1.0f), q.a); /* Greff et al., 2017 */
  if (o->forget == LSTM_FORGET_ZERO) q.b = V_SET(0.0f);
  if (o->forget == LSTM_FORGET_ONE) q.b = V_SET(1.0f); /* Hochreiter and Schmidhuber, 1997 */
  q.c = K(activate)((int)o->activation, q.c);
  s = K(new_cell)(job, u, q, &unclipped);
  if (p) q.d = V_FMA(V_LD(p + 2 * job->units), s, q.d);
  q.d = K(activate)((int)o->gate_activation, q.d);
  K(store4)(4, 16, gates, q);
  V_ST(job->h + u, s);
  if (o->zoneout > 0) s = K(mix)(K(zone)(job, u), c, s); /* Krueger et al., 2017 */
  V_ST(job->c + u, V_SIGN(V_FAR(s), s));
}

V_FN void K(gate_forward)(const lstm__gate_job *job) {
  size_t base = job->o->peephole ? 3 * (size_t)job->units : 0;
  const float *norm = job->o->layer_norm ? job->vectors + base : NULL;
  float *keep = norm && job->keep ? job->keep + base : NULL;
  if (norm) K(norm_gates)(job, norm, keep);
  for (int u = 0; u < job->units; u += VL) K(first_gates)(job, u, K(gates_of)(job->gates, u));
  if (norm) {
    float root = K(normalise)(job->n, job->h, 16);
    if (keep) memcpy(keep + 8 * (size_t)job->units, job->h, (size_t)job->units * sizeof(float));
    if (keep) keep[9 * (size_t)job->units] = root;
  }
  for (int u = 0; u < job->units; u += VL) {
    V s = V_LD(job->h + u), o = V_LD(K(gates_of)(job->gates, u) + 48);
    if (norm) s = V_FMA(V_LD(norm + 8 * (size_t)job->units + u), s, V_LD(norm + 9 * (size_t)job->units + u));
    V_ST(job->h + u, V_MUL(o, K(activate)((int)job->o->activation, s)));
  }
}

/* do = dh A(n), dn = dh o A'(n): dn goes to `dn`, do in place of o. */
V_IN void K(output_back)(const lstm__gate_job *job, int u, float *gates, const float *norm, const float *xhat,
                       float *dn) {
  V s, a, unclipped, dh = V_LD(job->dh + u), o = V_LD(gates + 48);
  s = K(new_cell)(job, u, K(load4)(4, 16, gates), &unclipped);
  if (norm) s = V_FMA(V_LD(norm + 8 * (size_t)job->units + u), V_LD(xhat + u), V_LD(norm + 9 * (size_t)job->units + u));
  a = K(activate)((int)job->o->activation, s);
  V_ST(dn + u, K(through)((int)job->o->activation, V_MUL(dh, o), a));
  V_ST(gates + 48, K(through)((int)job->o->gate_activation, V_MUL(dh, a), o));
}

/* From the gradient of c (in dc) and of s (by way of h, in ds) to those of the gates' sums and of c'. */
V_IN void K(gates_back)(const lstm__gate_job *job, int u, float *gates, V ds) {
  const lstm_layer *o = job->o;
  const int G = (int)o->gate_activation;
  const float *p = o->peephole ? job->vectors + u : NULL;
  float *dp = p ? job->keep + u : NULL;
  K(quad) q = K(load4)(4, 16, gates);
  V c = V_LD(job->c_prev + u), d = V_LD(job->dc + u), before = V_SET(0.0f), s, unclipped, di, df;
  s = K(new_cell)(job, u, q, &unclipped);
  if (o->zoneout > 0) {
    V m = K(zone)(job, u);
    before = V_MUL(m, d);
    d = V_FNMA(m, d, d);
  }
  ds = V_ADD(ds, d);
  if (p) {
    ds = V_FMA(V_LD(p + 2 * job->units), q.d, ds);
    V_ST(dp + 2 * job->units, V_MUL(q.d, s));
  }
  if (o->cell_clip > 0) ds = V_POS(ds, V_SUB(V_SET(o->cell_clip), V_ABS(unclipped)));
  before = V_FMA(ds, K(forget)(job, u, q.b), before);
  di = V_MUL(ds, o->coupled ? V_SUB(q.c, c) : q.c);
  df = V_MUL(ds, c);
  if (job->noise) df = V_FNMA(V_SET(o->noise), df, df);
  int fixed = o->coupled || o->forget == LSTM_FORGET_ZERO || o->forget == LSTM_FORGET_ONE;
  df = fixed ? V_SET(0.0f) : K(through)(G, df, q.b);
  q.c = K(through)((int)o->activation, V_MUL(ds, q.a), q.c);
  q.a = K(through)(G, di, q.a);
  q.b = df;
  if (p) {
    before = V_FMA(V_LD(p), q.a, V_FMA(V_LD(p + job->units), q.b, before));
    V_ST(dp, V_MUL(q.a, c));
    V_ST(dp + job->units, V_MUL(q.b, c));
  }
  K(store4)(4, 16, gates, q);
  V_ST(job->dc + u, before);
}

V_FN void K(gate_backward)(const lstm__gate_job *job) {
  size_t units = (size_t)job->units, base = job->o->peephole ? 3 * units : 0;
  const float *norm = job->o->layer_norm ? job->vectors + base : NULL;
  float *keep = norm ? job->keep + base : NULL, *ds = job->h;
  for (int u = 0; u < job->units; u += VL)
    K(output_back)(job, u, K(gates_of)(job->gates, u), norm, norm ? keep + 8 * units : NULL, ds);
  if (norm) {
    float root = keep[9 * units];
    K(normalise_back)(job->n, ds, 16, keep + 8 * units, norm + 8 * units, keep + 9 * units, root);
  }
  for (int u = 0; u < job->units; u += VL) K(gates_back)(job, u, K(gates_of)(job->gates, u), V_LD(ds + u));
  for (int k = 0; norm && k < 4; k++) {
    float *db = keep + (size_t)(4 + k) * units, root = db[0];
    K(normalise_back)(job->n, job->gates + k * 16, 64, keep + (size_t)k * units, norm + (size_t)k * units, db, root);
  }
}

/* --- the GRU: Cho et al., 2014, with the reset gate after the product, as in cuDNN and PyTorch ------------------- */
/* Sums of r, z, n from x, n from h; on return r, z, n and the last unchanged. */
V_FN void K(gru_forward)(const lstm__gate_job *job) {
  for (int u = 0; u < job->units; u += VL) {
    float *gates = K(gates_of)(job->gates, u);
    K(quad) q = K(load4)(4, 16, gates);
    q.a = K(sigmoid)(q.a);
    q.b = K(sigmoid)(q.b);
    q.c = K(tanh)(V_FMA(q.a, q.d, q.c));
    K(store4)(4, 16, gates, q);
    V h = V_FMA(q.b, V_SUB(V_LD(job->c_prev + u), q.c), q.c);
    V_ST(job->h + u, V_FAR(h));
  }
}

V_FN void K(gru_backward)(const lstm__gate_job *job) {
  for (int u = 0; u < job->units; u += VL) {
    float *gates = K(gates_of)(job->gates, u), *before = job->dc + u;
    K(quad) q = K(load4)(4, 16, gates);
    V dh = V_LD(job->dh + u), dn = K(through)(LSTM_TANH, V_FNMA(dh, q.b, dh), q.c);
    V_ST(before, V_FMA(dh, q.b, V_LD(before)));
    q.b = K(through)(LSTM_SIGMOID, V_MUL(dh, V_SUB(V_LD(job->c_prev + u), q.c)), q.b);
    q.c = dn;
    dh = K(through)(LSTM_SIGMOID, V_MUL(dn, q.d), q.a);
    q.d = V_MUL(dn, q.a);
    q.a = dh;
    K(store4)(4, 16, gates, q);
  }
}

V_FN void K(blend)(int n, float *y, const float *mask, float rate, const float *other) {
  for (int i = 0; i < n; i += VL) {
    V m = mask ? V_LD(mask + i) : V_SET(rate);
    V_ST(y + i, K(mix)(m, V_LD(other + i), V_LD(y + i)));
  }
}
V_FN void K(blend_backward)(int n, float *dy, const float *mask, float rate, float *dother) {
  for (int i = 0; i < n; i += VL) {
    V m = mask ? V_LD(mask + i) : V_SET(rate), d = V_LD(dy + i);
    V_ST(dother + i, V_FMA(m, d, V_LD(dother + i)));
    V_ST(dy + i, V_FNMA(m, d, d));
  }
}

/* --- matrix products --------------------------------------------------------------------------------------------- */
/* R rows from r0 of nw * 16 columns from `column` of a panel that is `width` wide. */
V_IN void K(gemm_tile)(const int R, const int nw, size_t width, const lstm__gemm_job *job, const float *w, int column,
                     int r0) {
  const float *a[6];
  float *c[6];
  size_t stride = job->stride ? job->stride : width;
  LSTM__UNROLL for (int r = 0; r < R; r++) {
    a[r] = lstm__row(&job->a, r0 + r);
    c[r] = lstm__out_row(&job->c, r0 + r) + column;
  }
  for (int j = 0; j < 16; j += VL) {
    K(quad) acc[6];
    const float *wj = w + j;
    LSTM__UNROLL for (int r = 0; r < R; r++) {
      K(quad) zero = {V_SET(0.0f), V_SET(0.0f), V_SET(0.0f), V_SET(0.0f)};
      acc[r] = job->bias ? K(load4)(nw, 16, wj) : job->accumulate ? K(load4)(nw, 16, c[r] + j) : zero;
    }
    if (job->bias) wj += width;
    K(chains)(R, nw, a, job->step, job->k, wj, 16, stride, acc);
    LSTM__UNROLL for (int r = 0; r < R; r++) K(store4)(nw, 16, c[r] + j, acc[r]);
  }
}

V_IN void K(gemm_panel)(const int nw, const lstm__gemm_job *job, const float *w, int p) {
  if (LSTM__SMALL)
    for (int i = 0; i < nw * 16; i += 16)
      LSTM__EACH_TILE(job->rows, K(gemm_tile)(R, 1, (size_t)nw * 16, job, w + i, p * 64 + i, r));
  else
    LSTM__EACH_TILE(job->rows, K(gemm_tile)(R, nw, (size_t)nw * 16, job, w, p * 64, r));
}

V_FN void K(gemm)(const lstm__gemm_job *job) {
  int p, panels = job->columns / 64, rest = job->columns / 16 % 4;
  const float *w = job->w;
  size_t panel = job->stride ? 64 : (size_t)(job->bias + job->k) * 64;
  if (LSTM__SMALL) { /* one copy of the code for all widths */
    for (p = 0; p < panels + (rest > 0); p++, w += panel) K(gemm_panel)(p < panels ? 4 : rest, job, w, p);
    return;
  }
  for (p = 0; p < panels; p++, w += panel) K(gemm_panel)(4, job, w, p);
  if (rest == 1) K(gemm_panel)(1, job, w, p);
  if (rest == 2) K(gemm_panel)(2, job, w, p);
  if (rest == 3) K(gemm_panel)(3, job, w, p);
}

/* --- element by element ------------------------------------------------------------------------------------------ */
V_FN void K(map)(int activation, int n, float *x) {
  if (activation <= LSTM_LINEAR) return;
  for (int i = 0; i < n; i += VL) V_ST(x + i, K(activate)(activation, V_LD(x + i)));
}
V_FN void K(map_backward)(int activation, int n, const float *y, float *dy) {
  if (activation <= LSTM_LINEAR) return;
  for (int i = 0; i < n; i += VL) V_ST(dy + i, K(through)(activation, V_LD(dy + i), V_LD(y + i)));
}

V_FN float K(softmax)(int n, float *z, float *top) {
  int j, padded = (n + 15) & ~15;
  float best, lane[16];
  for (int i = n; i < padded; i++) z[i] = z[0];
  for (j = 0; j < 16; j++) lane[j] = z[0];
  for (int i = 0; i < padded; i += 16)
    for (j = 0; j < 16; j += VL) V_ST(lane + j, V_MAX(V_LD(lane + j), V_LD(z + i + j)));
  for (best = lane[0], j = 1; j < 16; j++)
    if (lane[j] > best) best = lane[j];
  for (j = 0; j < 16; j++) lane[j] = 0;
  for (int i = 0; i < padded; i += VL) V_ST(z + i, K(exp)(V_SUB(V_LD(z + i), V_SET(best))));
  for (int i = n; i < padded; i++) z[i] = 0;
  for (int i = 0; i < padded; i += 16)
    for (j = 0; j < 16; j += VL) V_ST(lane + j, V_ADD(V_LD(lane + j), V_LD(z + i + j)));
  *top = best;
  return K(tree)(lane);
}

#define LSTM__TO_ALL(y, value) for (int i = 0; i < n; i += VL) V_ST(y + i, value)
V_FN void K(divide)(int n, float *x, float by) { LSTM__TO_ALL(x, V_DIV(V_LD(x + i), V_SET(by))); }
V_FN void K(scale)(int n, float *x, float by) { LSTM__TO_ALL(x, V_MUL(V_LD(x + i), V_SET(by))); }
V_FN void K(clip)(int n, float *x, float by) { LSTM__TO_ALL(x, V_MIN(V_SET(by), V_MAX(V_SET(-by), V_LD(x + i)))); }
V_FN void K(add)(int n, float *y, const float *x) { LSTM__TO_ALL(y, V_ADD(V_LD(y + i), V_LD(x + i))); }
/* y += a x */
V_FN void K(axpy)(int n, float *y, float a, const float *x) {
  LSTM__TO_ALL(y, V_FMA(V_SET(a), V_LD(x + i), V_LD(y + i)));
}
V_FN float K(dot)(int n, const float *a, const float *b) {
  float lane[16] = {0};
  for (int i = 0; i < n; i += 16)
    for (int j = 0; j < 16; j += VL) V_ST(lane + j, V_FMA(V_LD(a + i + j), V_LD(b + i + j), V_LD(lane + j)));
  return K(tree)(lane);
}

/* --- optimisers: the equations are in [SECTION] Optimisers ------------------------------------------------------- */
V_FN void K(update)(int n, float *w, const float *g, float *m, float *v, const lstm__update_job *u) {
  int adam = u->optimizer == LSTM_ADAM || u->optimizer == LSTM_ADAMW;
  for (int i = 0; i < n; i += VL) {
    V x = V_LD(w + i), d = V_FMA(V_SET(u->l2), x, V_LD(g + i)), root = x, moment;
    if (u->optimizer != LSTM_SGD) {
      V s = V_FMA(V_SET(u->b), V_LD(v + i), V_MUL(V_MUL(V_SET(u->one_minus_b), d), d));
      V_ST(v + i, s);
      root = V_SQRT(s);
    }
    if (u->optimizer == LSTM_RMSPROP) d = V_DIV(d, V_ADD(root, V_SET(u->epsilon)));
    moment = V_FMA(V_SET(adam ? u->a : u->momentum), V_LD(m + i), adam ? V_MUL(V_SET(u->one_minus_a), d) : d);
    V_ST(m + i, moment);
    if (adam) {
      x = V_MUL(x, V_SET(u->decay));
      moment = V_DIV(moment, V_FMA(root, V_SET(u->second_scale), V_SET(u->epsilon)));
    } else if (u->nesterov) {
      moment = V_FMA(V_SET(u->momentum), moment, d);
    }
    V_ST(w + i, V_FNMA(V_SET(u->rate), moment, x));
  }
}

static const lstm__kernels LSTM__JOIN(lstm__kernels_, LSTM__PASS) = {
    (lstm_isa)(LSTM__PASS % 10),
    LSTM__SMALL ? 0 : VL > 8 ? 2 * VL : VL, K(cell), K(gemm), K(gate_forward), K(gru_forward), K(blend), K(map),
    K(softmax), K(divide), K(add), K(axpy), K(dot)
#ifndef LSTM_NO_TRAINING
    , K(cell_backward), K(gate_backward), K(gru_backward), K(blend_backward), K(map_backward), K(scale), K(clip),
    K(update)
#endif
};
#define LSTM__TABLE &LSTM__JOIN(lstm__kernels_, LSTM__PASS)
#define LSTM__HAS_KERNELS
#else
#define LSTM__TABLE NULL
#endif /* VL */
static const lstm__kernels *const LSTM__JOIN(lstm__table_, LSTM__PASS) = LSTM__TABLE;

#undef VL
#undef V
#undef V_LD
#undef V_ST
#undef V_SET
#undef V_ADD
#undef V_SUB
#undef V_MUL
#undef V_DIV
#undef V_FMA
#undef V_FNMA
#undef V_MIN
#undef V_MAX
#undef V_SQRT
#undef V_ABS
#undef V_SIGN
#undef V_POW2
#undef V_POS
#undef V_FAR
#undef V_LD8
#undef V_ST8
#undef V_LOW
#undef V_HIGH
#undef K
#undef V_FN
#undef V_IN
#undef LSTM__TILE_ROWS
#undef LSTM__OP
#undef LSTM__TARGET
#undef LSTM__TABLE
#undef LSTM__PASS
#endif /* LSTM__PASS */
