/* An allocator and an assertion of the user's, for the configuration macros. */
#include <stdio.h>
#include <stdlib.h>
static size_t custom_calls;
static void *custom_malloc(size_t size) { custom_calls++; return malloc(size); }
static void custom_free(void *p) { if (p) custom_calls--; free(p); }
static void custom_assert(int ok) { if (!ok) abort(); }
