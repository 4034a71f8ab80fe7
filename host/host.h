/* host.h: what the parts of the Lua host share: checked arguments, errors, and the bound types.

   Rules of the binding. The userdata comes first and the resource second, so that nothing leaks when Lua runs out of
   memory; __gc, __close and :close() are one function; no memory of the library is held across a call that may raise.
   A programmer's mistake raises, at the line of the script that made it; the world's faults (files, memory,
   interrupts) return nil, a message and a status name. */
#ifndef LSTM_HOST_H
#define LSTM_HOST_H

#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include "compat.h"
#include "lstm.h"

/* --- the sandbox (sandbox.c) -------------------------------------------------------------------------------------- */

struct lstm_limits;
extern int host_sandboxes; /* how many were made: 0 costs nothing below */
/* Whether the state may read, or write, a path; host_refuse pushes nil, message, status where it may not. */
int host_may(lua_State *L, const char *path, int writing);
int host_refuse(lua_State *L, const char *path, int writing);
/* Raises, or ends the process, where the time is over, before so many multiply-adds begin. */
void host_charge(lua_State *L, double products);
void host_charge_steps(lua_State *L, const lstm_model *model, double steps, double lanes);
void host_make_room(lua_State *L); /* collects garbage where memory is getting short */
/* A sandbox of the whole process, with a timer that ends it. Returns as lua_pcall does. */
int host_enter_sandbox(lua_State *L, const struct lstm_limits *limits, size_t memory);

/* --- errors and arguments (module.c) ------------------------------------------------------------------------------ */

/* Raises with the position of the innermost script line, past the helpers that are embedded in the host. */
int host_raise(lua_State *L, const char *format, ...);
/* nil, message, status name. The message is on the top of the stack and is replaced. */
int host_fault(lua_State *L, lstm_status status);
/* After a library call failed: raises for a mistake, else leaves nil, message, status name and returns 3.
   `what` names the file or call, may be NULL. */
int host_failed(lua_State *L, lstm_status status, const lstm_error *error, const char *what);
/* The same for calls that only programmers' mistakes and the lack of memory make fail. */
void host_check(lua_State *L, lstm_status status, const lstm_error *error);
/* Clears an error that is not always filled in. */
lstm_error host_no_error(void);

/* Arguments of one type. `what` begins the message: "save: the path", for host_checkint "slice". Unlike Lua's own
   checks these name the line of the script. */
int host_checkint(lua_State *L, int arg, int min, int max, const char *what);
const char *host_checkstring(lua_State *L, int arg, size_t *size, const char *what); /* size may be NULL */
double host_checknumber(lua_State *L, int arg, const char *what);
void *host_checkobject(lua_State *L, int arg, const char *type); /* the name of its metatable */
void host_checktable(lua_State *L, int arg, const char *what);
/* Where an argument is a table of options: its place, 0 where it is missing. Raises for keys not in `names`, a list. */
int host_checkoptions(lua_State *L, int arg, const char *const names[], const char *what);
uint64_t host_checkseed(lua_State *L, int arg);

/* Fields of an options table; a missing field gives the default. */
void host_field(lua_State *L, int table, const char *name); /* pushes it, raw */
int host_field_int(lua_State *L, int table, const char *name, int missing, int min, int max);
double host_field_number(lua_State *L, int table, const char *name, double missing);
int host_field_bool(lua_State *L, int table, const char *name, int missing);
/* The place of the field's string among names (NULL-terminated). */
int host_field_choice(lua_State *L, int table, const char *name, int missing, const char *const names[]);
uint64_t host_field_seed(lua_State *L, int table, const char *name);

/* Pushes a function of a module of host/lua. */
void host_push_function(lua_State *L, const char *module, const char *name);

/* A metatable with methods, and with __gc, __close and close where `close` is not NULL; left on the stack. */
void host_newtype(lua_State *L, const char *name, const luaL_Reg *methods, lua_CFunction close);

/* --- memory (module.c) -------------------------------------------------------------------------------------------- */

/* Library objects come from Lua's own allocator, so that a limit set on Lua covers the weights too. Lives in the
   userdata that owns the object. */
typedef struct host_memory {
  lua_Alloc alloc;
  void *user;
} host_memory;

lstm_allocator host_allocator(lua_State *L, host_memory *memory);
/* Lets the collector know that `bytes` outside its view were taken. */
void host_collect(lua_State *L, size_t bytes);

/* Bytes that grow, from Lua's allocator, but not in Lua's heap: for a userdata that holds them and frees them. */
typedef struct host_block {
  char *bytes; /* NULL: none yet */
  size_t used, room;
  host_memory memory;
} host_block;

void host_resize(lua_State *L, host_block *block, size_t room); /* at least so much room; raises without memory */
void host_append(lua_State *L, host_block *block, const void *bytes, size_t size);
void host_trim(host_block *block); /* gives back what is not used */
void host_free(host_block *block);
void host_poll(lua_State *L); /* for long calls, now and then: raises after Ctrl-C where nobody else polls */

/* --- arrays (array.c) --------------------------------------------------------------------------------------------- */

enum { HOST_MAX_DIMS = 4 };
typedef enum host_kind { HOST_FLOAT32, HOST_INT32, HOST_UINT8 } host_kind;

typedef struct host_array {
  host_kind kind;
  int dims;                 /* 1..HOST_MAX_DIMS */
  int shape[HOST_MAX_DIMS]; /* row-major */
  size_t count;
  union {
    void *bytes;
    float *f;
    int32_t *i;
    uint8_t *b;
  } data; /* inside this userdata, or inside the one in the user value (a view) */
} host_array;

/* A new array of zeros, pushed. */
host_array *host_newarray(lua_State *L, host_kind kind, int dims, const int *shape);
/* A view of the elements of the array at arg, from element `first` on, pushed. It keeps the block's owner alive. */
host_array *host_pushview(lua_State *L, int arg, int dims, const int *shape, size_t first);
size_t host_bytes(const host_array *a);    /* of all elements */
size_t host_itemsize(const host_array *a); /* bytes of an element */
/* An empty block, pushed; and an array [n] of the first bytes of the block on the top of the stack, in its place. */
host_block *host_newblock(lua_State *L);
host_array *host_arrayof(lua_State *L, host_kind kind, int n);
host_array *host_toarray(lua_State *L, int arg); /* NULL if it is none */
/* An array of this kind, and of this many dimensions if dims > 0. `name` is for messages. */
host_array *host_checkarray(lua_State *L, int arg, host_kind kind, int dims, const char *name);
/* Raises unless the array has this shape; a negative size means any. */
void host_checkshape(lua_State *L, const host_array *a, int dims, const int *shape, const char *name);
void host_pushshape(lua_State *L, int dims, const int *shape); /* "[3][4]" */
void host_open_array(lua_State *L, int core);

/* --- files, gathering, random numbers (data.c) -------------------------------------------------------------------- */

/* Writes a file through a temporary name, so that a crash leaves the old one or the new one. `write` gets a writer; it
   must not call Lua. Returns 0 or the number of results of host_fault. */
int host_write_file(lua_State *L, const char *path, int (*write)(void *context, FILE *file), void *context);

/* What save(path [, meta]) does for arguments 2 and 3: a model's file, or a trainer's checkpoint where trainer is not
   NULL. Pushes true, or nil, message, status; returns how many. */
int host_save(lua_State *L, const lstm_model *model, const lstm_trainer *trainer);
/* An open file in a userdata (pushed), closed by the collector if nobody does; NULL with nil, message, status pushed.
   */
FILE **host_open_file(lua_State *L, const char *path);
lstm_rng *host_checkrng(lua_State *L, int arg);
double host_now(void *unused); /* seconds of a clock that only goes forward */
void host_open_data(lua_State *L, int core);
void host_open_folder(lua_State *L, int core);
void host_open_interrupt(lua_State *L, int core); /* interrupt.c */

/* A file that is read piece by piece, or a string: [at, end) is what is there and not used yet. */
typedef struct host_source {
  FILE *file; /* NULL: a string, or a pipe that was read to its end */
  host_block buffer;
  const char *text, *end, *at;
  size_t before; /* bytes of the file before `text` */
  int done;      /* nothing comes after `end` */
  int error;     /* errno, where the file could not be read to its end */
} host_source;

/* Opens the path at `arg`, or the string at `arg` + 1 where that is nil; the userdata on the top of the stack, with
   room for a user value, keeps the string. Returns 1, or 0 with nil, message, status pushed. */
int host_open_source(lua_State *L, host_source *source, int arg, const char *what);
void host_rewind(lua_State *L, host_source *source);
void host_more(lua_State *L, host_source *source); /* keeps [at, end), and reads more behind it */
/* nil, message, status where the file at `path`, an argument, could not be read to its end. */
int host_source_fault(lua_State *L, const host_source *source, int path);
void host_close_source(host_source *source);

/* --- text to ids (text.c) ----------------------------------------------------------------------------------------- */

void host_open_text(lua_State *L, int core);

/* --- numbers from text (csv.c) ------------------------------------------------------------------------------------ */

/* Whether [p, end) is a decimal number that a float32 can hold, with spaces around it or without; *value is it. */
int host_parse_number(const char *p, const char *end, char point, double *value);
void host_open_csv(lua_State *L, int core);
/* --- choosing (choose.c) ------------------------------------------------------------------------------------------ */

/* A place (from 0) drawn from probabilities by the arguments from `first` on: temperature, rng, top_k or nil, top_p or
   nil. scratch: host_choose_size bytes, or NULL, and garbage is made. Raises for what is no probability. */
int host_choose(lua_State *L, const float *p, int count, int first, void *scratch);
size_t host_choose_size(int count);
void host_open_choose(lua_State *L, int core);

/* --- models, states, trainers ------------------------------------------------------------------------------------- */

typedef struct host_model {
  lstm_model *model; /* NULL: not made yet, or gone */
  host_memory memory;
  int trainers;      /* that point at the model: it is freed when the last has gone */
  int closed;
} host_model;

host_model *host_checkmodel(lua_State *L, int arg);
void host_release_model(host_model *box); /* frees a closed model that no trainer needs any more */
/* The place of the tensor named by an argument. `what` begins the messages, here and below. */
int host_findtensor(lua_State *L, const lstm_model *model, int arg, lstm_tensor *tensor, const char *what);
/* The place (from 0) of the recurrent layer that an argument names (from 1); the first one where it is missing. */
int host_checklayer(lua_State *L, const lstm_model *model, int arg, const char *what);
const char *const *host_gates(const lstm_model *model, int layer); /* of that layer: "i", ..., NULL */
/* Fills a batch from x, y (0: none) and an options table (0: none) with lengths, reset, weights, initial, burn_in.
   Temporary values are left on the stack. */
void host_readbatch(lua_State *L, const lstm_model *model, int x, int y, lstm_loss loss, int options,
                    lstm_batch *batch);
/* The options of a batch, where an argument is a table of them, else 0; raises for other keys. */
int host_batchoptions(lua_State *L, int arg, const char *what);
/* Raises the error after `what`. The library counts layers from 0, a script counts them from 1. */
void host_raise_layers(lua_State *L, const char *what, const lstm_error *error);
extern const char *const host_loss_names[];
extern const char *const host_output_names[];
extern const char *const host_read_names[];
/* The state that an argument is, ready for sequences of this length. */
lstm_state *host_checkstate(lua_State *L, int arg, int seq_len);
int host_pushmetrics(lua_State *L, const lstm_metrics *metrics); /* loss, weight, targets, correct; returns 4 */
void host_open_model(lua_State *L, int core);
void host_open_state(lua_State *L, int core);
void host_open_trainer(lua_State *L, int core);
void host_open_metrics(lua_State *L, int core); /* metrics.c */

/* Pairs of a table of strings as metadata; the array is a userdata that is pushed, and the strings stay in the table.
   */
int host_readmeta(lua_State *L, int table, lstm_meta **meta);

/* --- threads (pool.c) --------------------------------------------------------------------------------------------- */

/* The pool of this Lua state as an executor; a userdata that keeps it alive is pushed. */
lstm_executor host_executor(lua_State *L);
void host_open_pool(lua_State *L, int core);

/* --- the command line (main.c, module.c) -------------------------------------------------------------------------- */

extern volatile sig_atomic_t host_interrupted; /* set by Ctrl-C */
extern volatile sig_atomic_t host_catches;     /* the command line catches Ctrl-C */
extern volatile sig_atomic_t host_holding;     /* somebody polls host_interrupted: do not raise in plain code */

/* Calls the function below `arguments` values on the stack; the message of an error gets the script's traceback. */
int host_call(lua_State *L, int arguments, int results);
int host_report(lua_State *L, int status); /* prints the error on the top, if any; returns the exit code */
int host_prompt(lua_State *L);             /* reads and runs lines until the input ends */

typedef struct host_file {
  const char *name; /* "fit" of host/lua, "scripts/chars", "lstm.d" of the stubs, "report.css" */
  int from, to;     /* in the unpacked text of all */
} host_file;
extern const host_file host_files[]; /* the embedded files; ends with a NULL name and the size of all */
extern const unsigned char host_packed[];
extern const size_t host_packed_size;

#if defined(__GNUC__)
__attribute__((visibility("default")))
#endif
int luaopen_lstm(lua_State *L);
#if defined(__GNUC__)
__attribute__((visibility("default")))
#endif
int luaopen_lstm_core(lua_State *L);

#endif
