/* What a game's frame or an audio thread must never meet: an allocation, a lock, a system call. Every option of the
   layers, every pair of options that makes sense, every loss and optimiser, on every instruction set: the models,
   states and trainers come from an allocator that counts; while a call is watched, so do this program's own malloc and
   its kin, mmap, and all that threads wait on; and whole runs go through a process that the kernel kills at the first
   system call. */
#if !defined(_GNU_SOURCE)
#define _GNU_SOURCE /* RTLD_NEXT, memalign */
#endif
#include "../gradcheck/options.h"

#include "../helpers.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined(__linux__) && defined(__GLIBC__) && !defined(SANITIZED)
#define WATCHED 1
#endif

/* --- what is counted ---------------------------------------------------------------------------------------------- */

static volatile int armed;
static volatile long counted; /* calls of what follows, while armed */
static const char *volatile last_counted;

static int note(const char *name) {
  if (!armed) return 0;
  counted++;
  last_counted = name;
  return 1;
}

#ifdef WATCHED
#include <dlfcn.h>
#include <malloc.h>
#include <semaphore.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* glibc's own. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *p, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *p);

void *malloc(size_t size) { return note("malloc") ? NULL : __libc_malloc(size); }
void *calloc(size_t count, size_t size) { return note("calloc") ? NULL : __libc_calloc(count, size); }
void *realloc(void *p, size_t size) { return note("realloc") ? NULL : __libc_realloc(p, size); }
void *memalign(size_t alignment, size_t size) { return note("memalign") ? NULL : __libc_memalign(alignment, size); }
void *aligned_alloc(size_t alignment, size_t size) {
  return note("aligned_alloc") ? NULL : __libc_memalign(alignment, size);
}
int posix_memalign(void **out, size_t alignment, size_t size) {
  return note("posix_memalign") || !(*out = __libc_memalign(alignment, size)) ? 12 : 0;
}
void free(void *p) {
  if (p) note("free");
  __libc_free(p);
}

/* The next definition of a name, in the C library. */
#define FORWARD(result, name, parameters, arguments)                                                                   \
  result name parameters {                                                                                             \
    static result(*next) parameters;                                                                                   \
    if (!next) {                                                                                                       \
      void *found = dlsym(RTLD_NEXT, #name);                                                                           \
      memcpy(&next, &found, sizeof next);                                                                              \
    }                                                                                                                  \
    note(#name);                                                                                                       \
    return next arguments;                                                                                             \
  }
FORWARD(void *, mmap, (void *at, size_t size, int prot, int flags, int fd, off_t offset),
        (at, size, prot, flags, fd, offset))
FORWARD(int, munmap, (void *at, size_t size), (at, size))
FORWARD(void *, sbrk, (intptr_t by), (by))
FORWARD(int, pthread_mutex_lock, (pthread_mutex_t *m), (m))
FORWARD(int, pthread_mutex_trylock, (pthread_mutex_t *m), (m))
FORWARD(int, pthread_spin_lock, (pthread_spinlock_t *s), (s))
FORWARD(int, pthread_rwlock_rdlock, (pthread_rwlock_t *l), (l))
FORWARD(int, pthread_rwlock_wrlock, (pthread_rwlock_t *l), (l))
FORWARD(int, pthread_cond_wait, (pthread_cond_t *c, pthread_mutex_t *m), (c, m))
FORWARD(int, pthread_cond_timedwait, (pthread_cond_t *c, pthread_mutex_t *m, const struct timespec *t), (c, m, t))
FORWARD(int, pthread_cond_signal, (pthread_cond_t *c), (c))
FORWARD(int, pthread_cond_broadcast, (pthread_cond_t *c), (c))
FORWARD(int, pthread_once, (pthread_once_t *o, void (*f)(void)), (o, f))
FORWARD(int, pthread_create, (pthread_t *t, const pthread_attr_t *a, void *(*f)(void *), void *p), (t, a, f, p))
FORWARD(int, sem_wait, (sem_t *s), (s))
FORWARD(int, sem_post, (sem_t *s), (s))
#endif

/* --- the calls ---------------------------------------------------------------------------------------------------- */

static helper_heap heap; /* that every object comes from */
static char where[256];  /* the network, for a message */

/* Makes the call; it must take nothing from the heap and touch nothing that is counted. */
#define WATCH(call)                                                                                                    \
  do {                                                                                                                 \
    long before_ = heap.calls, count_ = counted;                                                                       \
    lstm_status status_;                                                                                               \
    armed = !in_child;                                                                                                 \
    status_ = (call);                                                                                                  \
    armed = 0;                                                                                                         \
    judge(#call, status_, heap.calls - before_, counted - count_);                                                     \
  } while (0)
/* The same for what returns no status. */
#define WATCH_VOID(call) WATCH((call, LSTM_OK))

static int in_child; /* where nothing may be printed: the first failure is kept as the exit status */
static int calls_made, refused, constants, tiles; /* constants: models that ran as such; tiles: slices of training */
static lstm_status last_status;

static void judge(const char *call, lstm_status status, long taken, long others) {
  calls_made++, last_status = status;
  if (taken || others) {
    if (!in_child)
      print_error("%s: %s took %ld from the heap, and called %ld times what is watched (last: %s)\n", where, call,
                  taken, others, last_counted ? last_counted : "-");
    if (++failures > 20 && !in_child) fail();
  }
  if (status == LSTM_OK) return;
  if (status == LSTM_ERR_UNSUPPORTED || status == LSTM_ERR_NOT_FINITE) { /* said without allocating, too */
    refused++;
    return;
  }
  if (!in_child) print_error("%s: %s: %s\n", where, call, lstm_status_name(status));
  failures++;
}

typedef struct subject {
  const network *net;
  lstm_model *model, *twin; /* twin: of the same architecture */
  lstm_state *state, *many, *saved;
  lstm_trainer *trainer;
  lstm_batch batch;
  const window *data;
} subject;

static lstm_model *open_model(const network *net, lstm_isa isa, lstm_numerics numerics) {
  lstm_error error = {{0}, LSTM_OK};
  lstm_model_desc desc = describe(net, isa, &error);
  lstm_model *model = NULL;
  desc.allocator = heap_allocator(&heap);
  desc.numerics = numerics;
  if (lstm_model_create(&desc, &model) != LSTM_OK) fail_msg("%s: %s", where, error.message);
  return model;
}

static lstm_state *open_state(const subject *s, int lanes) {
  lstm_error error = {{0}, LSTM_OK};
  lstm_state_desc desc = {0};
  lstm_state *state = NULL;
  desc.lanes = lanes, desc.tasks = 3, desc.seq_len = s->net->T;
  desc.allocator = heap_allocator(&heap), desc.error = &error;
  if (lstm_state_create(s->model, &desc, &state) != LSTM_OK) fail_msg("%s: %s", where, error.message);
  return state;
}

static void open_subject(subject *s, const network *net, const window *data, lstm_isa isa, lstm_numerics numerics) {
  lstm_error error = {{0}, LSTM_OK};
  lstm_trainer_desc how = net->how;
  memset(s, 0, sizeof *s);
  s->net = net, s->data = data, s->batch = data->batch;
  s->model = open_model(net, isa, numerics), s->twin = open_model(net, isa, numerics);
  s->state = open_state(s, net->B), s->many = open_state(s, 60), s->saved = open_state(s, net->B);
  how.batch_size = net->B, how.seq_len = net->T, how.carry_state = net->carry, how.keep_best = 1;
  how.seed = net->seed, how.allocator = heap_allocator(&heap), how.error = &error;
  if (lstm_trainer_create(s->model, &how, &s->trainer) != LSTM_OK) fail_msg("%s: %s", where, error.message);
}

static void close_subject(subject *s) {
  lstm_trainer_destroy(s->trainer);
  lstm_state_destroy(s->state), lstm_state_destroy(s->many), lstm_state_destroy(s->saved);
  lstm_model_destroy(s->model), lstm_model_destroy(s->twin);
}

static float y[MAX_PLACES * MAX_WIDTH], values[MAX_STATES], d_input[MAX_PLACES * MAX_WIDTH];
static float d_initial[MAX_B * MAX_STATES];
static unsigned char file[1 << 20];

static void watch_steps(const subject *s) {
  static const int lanes[] = {59, 0, 58, 1, 57, 2, 3};
  static const int32_t ids[60] = {0};
  static const float x[60 * MAX_WIDTH] = {0};
  const lstm_model *m = s->model;
  lstm_rng rng = {1, 0};
  if (lstm_model_takes_ids(m)) {
    WATCH(lstm_step_ids(m, s->many, ids, y));
    WATCH(lstm_step_ids_lanes(m, s->many, lanes, 7, ids, y));
    WATCH(lstm_forward_ids(m, s->state, ids, s->net->T, y));
  } else {
    WATCH(lstm_step(m, s->many, x, y));
    WATCH(lstm_step_lanes(m, s->many, lanes, 7, x, y));
    WATCH(lstm_forward(m, s->state, x, s->net->T, y));
  }
  WATCH_VOID(lstm_sample(y, lstm_model_output_size(m), .8f, &rng));
}

/* The same model as constants, in memory of the caller's. */
static void watch_static(const subject *s) {
  static unsigned char block[(1 << 17) + LSTM_ALIGNMENT];
  unsigned char *memory = block + LSTM_ALIGNMENT - (uintptr_t)block % LSTM_ALIGNMENT;
  lstm_static_model view;
  subject as_constants = *s;
  size_t size;
  as_constants.model = NULL;
  WATCH(lstm_model_to_static(s->model, &view));
  WATCH(lstm_model_static_size(&view, &size));
  WATCH(lstm_model_from_static(&view, memory, size, &as_constants.model));
  if (!as_constants.model) return;
  constants++;
  watch_steps(&as_constants);
  WATCH_VOID(lstm_model_destroy(as_constants.model));
}

static void watch_states(const subject *s) {
  size_t size = lstm_state_saved_size(s->state);
  lstm_trace trace = {0, 0, 2, 0, NULL};
  static float traced[2 * 12 * MAX_WIDTH];
  trace.layer = lstm_model_takes_ids(s->model), trace.values = traced;
  WATCH(lstm_state_restore(s->model, s->saved, s->state, size));
  WATCH_VOID(memcpy(s->saved, s->state, size));
  WATCH(lstm_state_check(s->model, s->saved));
  WATCH(lstm_state_copy_lane(s->saved, 0, s->many, 7));
  WATCH(lstm_state_begin(s->model, s->saved, 0));
  WATCH(lstm_state_reset_lane(s->saved, 0));
  WATCH_VOID(lstm_state_reset(s->saved));
  WATCH(lstm_state_get(s->model, s->many, 3, values));
  WATCH(lstm_state_set(s->model, s->saved, 0, values));
  WATCH(lstm_state_trace(s->model, s->many, &trace, 1));
  watch_steps(s);
  WATCH(lstm_state_trace(s->model, s->many, NULL, 0));
  WATCH(lstm_model_copy_weights(s->model, s->twin)); /* a hot swap */
  WATCH_VOID(lstm_model_refresh(s->model));
}

static void watch_batches(const subject *s) {
  lstm_executor odd = odd_order_executor(3);
  lstm_metrics metrics = {0};
  const lstm_loss loss = s->net->how.loss;
  WATCH(lstm_forward_batch(s->model, s->state, &s->batch, y, NULL));
  WATCH(lstm_forward_batch(s->model, s->state, &s->batch, y, &odd));
  if (loss == LSTM_LOSS_NONE) return;
  WATCH(lstm_evaluate(s->model, s->state, &s->batch, loss, &metrics, &odd));
  WATCH(lstm_trainer_evaluate(s->trainer, s->state, &s->batch, &metrics, NULL));
}

/* Level 3, with all that goes in and out. */
static void watch_parts(const subject *s) {
  lstm_trainer *t = s->trainer;
  lstm_flow flow = s->data->flow;
  lstm_saturation saturation;
  lstm_tensor tensor;
  int layer = lstm_model_takes_ids(s->model);
  float loss, norm, norms[MAX_PLACES];
  flow.d_initial = d_initial, flow.d_input = lstm_model_takes_ids(s->model) ? NULL : d_input;
  WATCH_VOID(lstm_trainer_zero_gradients(t));
  WATCH(lstm_trainer_forward(t, &s->batch, y));
  if (s->net->how.loss != LSTM_LOSS_NONE) WATCH(lstm_trainer_loss(t, &s->batch, &loss));
  WATCH(lstm_trainer_saturation(t, layer, &saturation));
  WATCH(lstm_trainer_final(t, d_initial));
  WATCH(lstm_trainer_backward(t, &flow));
  WATCH(lstm_trainer_step_norms(t, layer, norms));
  WATCH(lstm_trainer_gradient(t, 0, &tensor));
  WATCH(lstm_trainer_clip(t, &norm));
  WATCH(lstm_trainer_update(t));
}

static double ticks(void *user) { return ++*(double *)user; }

/* A step of training, a tile in each frame. */
static void watch_slices(const subject *s) {
  double now = 0;
  lstm_slice slice = {0, ticks, NULL, 0};
  int done = 0;
  float loss;
  slice.user = &now;
  do {
    WATCH(lstm_train_some(s->trainer, &s->batch, &slice, &done, &loss));
    tiles++;
  } while (!done && last_status == LSTM_OK);
}

static void watch_training(const subject *s) {
  lstm_trainer *t = s->trainer;
  float loss;
  size_t size;
  if (s->net->how.loss != LSTM_LOSS_NONE) {
    WATCH(lstm_train(t, &s->batch, &loss));
    WATCH(lstm_train(t, &s->batch, NULL));
    watch_slices(s);
  }
  watch_parts(s);
  WATCH(lstm_trainer_keep_best(t));
  WATCH(lstm_trainer_restore_best(t));
  WATCH(lstm_trainer_set_learning_rate(t, 1e-3f));
  WATCH_VOID(lstm_trainer_reset(t));
  WATCH(lstm_save_memory(s->model, NULL, file, sizeof file, &size));
}

static void watch_all(const subject *s) {
  watch_steps(s);
  watch_batches(s);
  watch_training(s);
  watch_static(s);
  watch_states(s);
}

/* --- networks ----------------------------------------------------------------------------------------------------- */

static int watched;

/* Draws a network of these options and watches it. */
static void watch_network(ref_rng *rng, const selection *chosen, lstm_isa isa, lstm_numerics numerics) {
  static const int units[] = {5, 17, 8, 33, 3, 16};
  static window data;
  extent size = {1 + watched % 2, units[watched % 6], 1 + watched % 5, 1 + watched % 4, 2 + watched % 3, 3};
  network net;
  ref_net shape;
  subject s;
  build_network(&net, rng, size, chosen, watched % 2);
  snprintf(where, sizeof where, "%s, numerics %d:", lstm_isa_name(isa), (int)numerics);
  for (int i = 0; i < chosen->count; i++)
    snprintf(where + strlen(where), sizeof where - strlen(where), " %s,", options[chosen->which[i]].name);
  net.how.optimizer = (lstm_optimizer)(1 + watched % (LSTM_OPTIMIZER_COUNT - 1));
  net.how.schedule = (lstm_schedule)(watched % LSTM_SCHEDULE_COUNT), net.how.schedule_steps = 10;
  if (watched % 3 == 0) net.how.clip_value = .5f;
  if (net.how.optimizer == LSTM_SGD && watched % 8) net.how.momentum = .9f, net.how.nesterov = watched % 2;
  lstm_model_desc desc = describe(&net, isa, NULL);
  ref_net_describe(&shape, &desc);
  draw_window(&data, rng, &net, &shape);
  ref_net_close(&shape);
  open_subject(&s, &net, &data, isa, numerics);
  watch_all(&s);
  close_subject(&s);
  assert_int_equal(heap.live, 0);
  watched++;
}

static void begin(void) {
  watched = calls_made = refused = constants = tiles = failures = 0;
  memset(&heap, 0, sizeof heap);
}

static void report(const char *what) {
  printf("silent: %s: %d networks, %d calls, %ld allocations and locks; %d calls were refused\n", what, watched,
         calls_made, counted, refused);
  assert_int_equal(failures, 0);
  assert_true(calls_made > 20 * watched && refused < calls_made / 20);
  assert_int_equal(constants, watched);
  assert_true(tiles > 5 * watched);
}

static void each_option_alone(ref_rng *rng, lstm_isa isa, lstm_numerics numerics) {
  for (int a = 0; a < OPTION_COUNT; a++) {
    selection alone = pair_of(a, a);
    watch_network(rng, &alone, isa, numerics);
  }
}

static void test_every_option_on_every_set(void **arg) {
  ref_rng rng = {77};
  (void)arg;
  begin();
  counted = 0;
  for (int isa = LSTM_ISA_SCALAR; isa < LSTM_ISA_COUNT; isa++) {
    if (!lstm_isa_usable((lstm_isa)isa)) continue;
    each_option_alone(&rng, (lstm_isa)isa, LSTM_FUSED);
    each_option_alone(&rng, (lstm_isa)isa, LSTM_PORTABLE);
  }
  report("every option, on every set, fused and portable");
}

static void test_every_pair_of_options(void **arg) {
  ref_rng rng = {78};
  (void)arg;
  begin();
  counted = 0;
  for (int a = 0; a < OPTION_COUNT; a++)
    for (int b = a + 1; b < OPTION_COUNT; b++) {
      selection pair = pair_of(a, b);
      if (senseless(a, b) == SENSIBLE) watch_network(&rng, &pair, lstm_isa_best(), LSTM_FUSED);
    }
  report("every pair of options");
}

/* --- that it would be seen ---------------------------------------------------------------------------------------- */

#ifdef WATCHED
/* Each function of the list above, while armed. */
#define SEEN(call)                                                                                                     \
  do {                                                                                                                 \
    long before_ = counted;                                                                                            \
    armed = 1;                                                                                                         \
    call;                                                                                                              \
    armed = 0;                                                                                                         \
    if (counted == before_) fail_msg("not counted: %s", #call);                                                        \
  } while (0)

static void nothing(void) {}

static void test_all_that_is_watched_is_counted(void **arg) {
  static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
  static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  struct timespec past = {0, 0};
  void *volatile p = malloc(8);
  void *page = NULL, *aligned = NULL;
  pthread_spinlock_t spin;
  sem_t sem;
  (void)arg;
  pthread_spin_init(&spin, 0), sem_init(&sem, 0, 0);
  SEEN(free(p));
  SEEN(p = malloc(8));
  SEEN(p = calloc(2, 4));
  SEEN(p = realloc(NULL, 8));
  SEEN(p = aligned_alloc(64, 64));
  SEEN(p = memalign(64, 64));
  SEEN((void)posix_memalign(&aligned, 64, 64));
  SEEN(page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  SEEN(munmap(page, 4096));
  SEEN((void)sbrk(0));
  SEEN(pthread_mutex_lock(&mutex));
  SEEN(pthread_cond_timedwait(&cond, &mutex, &past));
  pthread_mutex_unlock(&mutex);
  SEEN((void)pthread_mutex_trylock(&mutex));
  SEEN(pthread_spin_lock(&spin));
  SEEN(pthread_rwlock_rdlock(&lock));
  pthread_rwlock_unlock(&lock);
  SEEN(pthread_rwlock_wrlock(&lock));
  SEEN(pthread_cond_signal(&cond));
  SEEN(pthread_cond_broadcast(&cond));
  SEEN(pthread_once(&once, nothing));
  SEEN(sem_post(&sem));
  SEEN(sem_wait(&sem));
}

/* Creating allocates: the library's malloc is this one, and an allocator of the caller's is the only other way. */
static void test_a_call_that_allocates_is_counted(void **arg) {
  lstm_layer layer = lstm_lstm(4);
  lstm_model_desc desc = {0};
  lstm_model *model;
  lstm_state *state;
  (void)arg;
  desc.input_size = 2, desc.layers = &layer, desc.layer_count = 1;
  SEEN(assert_status(lstm_model_create(&desc, &model), LSTM_ERR_MEMORY)); /* the armed malloc gives nothing */
  assert_ok(lstm_model_create(&desc, &model));
  SEEN(assert_status(lstm_state_create(model, NULL, &state), LSTM_ERR_MEMORY));
  assert_ok(lstm_state_create(model, NULL, &state));
  SEEN(lstm_state_destroy(state));
  SEEN(lstm_model_destroy(model));
}

/* --- without the kernel ------------------------------------------------------------------------------------------- */

/* A child that may only end itself makes all calls for one network; or first one of its own, which must kill it. */
static int status_of_child(const subject *s, int with_a_system_call) {
  int status = -1;
  fflush(stdout), fflush(stderr);
  pid_t child = fork();
  if (child < 0) return -1;
  if (child == 0) {
    in_child = 1, failures = 0;
    if (prctl(PR_SET_SECCOMP, 1 /* strict: read, write, exit, sigreturn */)) _exit(77);
    if (with_a_system_call) (void)getppid();
    watch_all(s);
    syscall(SYS_exit, failures ? 1 : 0);
  }
  while (waitpid(child, &status, 0) != child) {}
  return status;
}

static void test_nothing_asks_the_kernel(void **arg) {
  static window data;
  ref_rng rng = {79};
  int killed = 0;
  (void)arg;
  begin();
  for (int a = 0; a < OPTION_COUNT; a++) {
    selection alone = pair_of(a, a);
    extent size = {2, 9, 4, 3, 4, 3};
    network net;
    ref_net shape;
    subject s;
    build_network(&net, &rng, size, &alone, 1);
    lstm_model_desc desc = describe(&net, LSTM_ISA_AUTO, NULL);
    ref_net_describe(&shape, &desc);
    draw_window(&data, &rng, &net, &shape);
    ref_net_close(&shape);
    snprintf(where, sizeof where, "%s", options[a].name);
    open_subject(&s, &net, &data, LSTM_ISA_AUTO, LSTM_FUSED);
    int status = a ? 0 : status_of_child(&s, 1);
    killed += a == 0 && WIFSIGNALED(status);
    if (a || killed) status = status_of_child(&s, 0);
    close_subject(&s);
    if (a == 0 && !killed) {
      print_message("skipped: this kernel cannot forbid a process its system calls\n");
      skip();
    }
    if (WIFSIGNALED(status)) fail_msg("%s: killed by signal %d: it made a system call", where, WTERMSIG(status));
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    watched++;
  }
  printf("silent: %d networks ran in processes without system calls\n", watched);
}
#else
static void test_all_that_is_watched_is_counted(void **arg) {
  (void)arg;
  print_message("skipped: only with glibc and without a sanitizer can malloc and locks be replaced; "
                "the allocator of the descriptions is watched\n");
  skip();
}
#define test_a_call_that_allocates_is_counted test_all_that_is_watched_is_counted
#define test_nothing_asks_the_kernel test_all_that_is_watched_is_counted
#endif

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_all_that_is_watched_is_counted),
      cmocka_unit_test(test_a_call_that_allocates_is_counted),
      cmocka_unit_test(test_every_option_on_every_set),
      cmocka_unit_test(test_every_pair_of_options),
      cmocka_unit_test(test_nothing_asks_the_kernel),
  };
  return cmocka_run_group_tests_name("unit/silent", tests, NULL, NULL);
}
