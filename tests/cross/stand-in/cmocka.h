/* Stands in for cmocka where `make cross` builds the tests for machines whose cmocka is seldom at hand: what the tests
   use of it, no more. It needs no setjmp, which WebAssembly has not: the first failed assertion ends the program. */
#ifndef TESTS_CROSS_CMOCKA_H
#define TESTS_CROSS_CMOCKA_H

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct CMUnitTest {
  const char *name;
  void (*run)(void **);
};
#define cmocka_unit_test(function) {#function, function}
#define cmocka_run_group_tests_name(name, tests, setup, teardown) \
  cmocka_run(name, tests, sizeof(tests) / sizeof(tests)[0], setup, teardown)

static inline void cmocka_say(FILE *to, const char *format, ...) {
  va_list args;
  va_start(args, format);
  vfprintf(to, format, args);
  va_end(args);
  fflush(to);
}
static inline void cmocka_require(int holds, const char *what, const char *file, int line) {
  if (holds) return;
  cmocka_say(stdout, "%s:%d: %s\n", file, line, what);
  exit(1);
}
static inline int cmocka_run(const char *name, const struct CMUnitTest *tests, size_t count, int (*setup)(void **),
                             int (*teardown)(void **)) {
  void *state = NULL;
  size_t i;
  if (setup) cmocka_require(!setup(&state), "setup", name, 0);
  for (i = 0; i < count; i++) {
    cmocka_say(stdout, "%s\n", tests[i].name);
    tests[i].run(&state);
  }
  if (teardown) cmocka_require(!teardown(&state), "teardown", name, 0);
  cmocka_say(stdout, "%s: %d tests\n", name, (int)count);
  return 0;
}

#define print_message(...) cmocka_say(stdout, __VA_ARGS__)
#define print_error(...) cmocka_say(stdout, __VA_ARGS__)
#define fail_msg(...) (cmocka_say(stdout, __VA_ARGS__), cmocka_require(0, "failed", __FILE__, __LINE__))
#define fail() cmocka_require(0, "failed", __FILE__, __LINE__)
#define skip() return /* from the test itself, the only place where the tests skip */

#define _assert_string_equal(a, b, file, line) cmocka_require(strcmp(a, b) == 0, #a " is not " #b, file, line)
#define assert_true(x) cmocka_require((x) != 0, #x, __FILE__, __LINE__)
#define assert_false(x) assert_true(!(x))
#define assert_null(x) assert_true((x) == NULL)
#define assert_non_null(x) assert_true((x) != NULL)
#define assert_ptr_equal(a, b) assert_true((const void *)(a) == (const void *)(b))
#define assert_int_equal(a, b) assert_true((int64_t)(a) == (int64_t)(b))
#define assert_in_range(x, from, to) assert_true((int64_t)(x) >= (int64_t)(from) && (int64_t)(x) <= (int64_t)(to))
#define assert_string_equal(a, b) assert_true(strcmp(a, b) == 0)
#define assert_memory_equal(a, b, size) assert_true(memcmp(a, b, size) == 0)
#define assert_memory_not_equal(a, b, size) assert_true(memcmp(a, b, size) != 0)

#endif
