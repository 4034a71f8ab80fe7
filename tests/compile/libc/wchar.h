/* see stdlib.h */
#include <stddef.h>
#include <stdio.h>
