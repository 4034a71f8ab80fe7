/* What the shorter examples of the manual take as given. */
#include "lstm.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
