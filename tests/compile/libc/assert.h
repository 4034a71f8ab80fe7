/* see stdlib.h */
#include <stdlib.h>
#define assert(x) ((x) ? (void)0 : abort())
