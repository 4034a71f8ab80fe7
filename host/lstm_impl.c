/* The one translation unit that holds the library. */
#define LSTM_IMPLEMENTATION
#include "lstm.h"
