/* Just enough of a C library to compile lstm.h for targets whose headers are not installed (make cross). */
#include <stddef.h>
void *malloc(size_t size);
void free(void *pointer);
void abort(void);
