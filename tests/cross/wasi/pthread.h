/* Stands in for the threads that WebAssembly has not: a thread runs to its end where it begins. */
#ifndef TESTS_CROSS_PTHREAD_H
#define TESTS_CROSS_PTHREAD_H

typedef int pthread_t;
static inline int pthread_create(pthread_t *thread, const void *attributes, void *(*run)(void *), void *argument) {
  (void)attributes;
  *thread = 0;
  run(argument);
  return 0;
}
static inline int pthread_join(pthread_t thread, void **result) {
  (void)thread, (void)result;
  return 0;
}

#endif
