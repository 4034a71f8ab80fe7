/* see stdlib.h */
extern int errno;
#define ENOENT 2
