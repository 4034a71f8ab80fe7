/* A second translation unit that only uses the declarations (or, with LSTM_STATIC, has its own copy). */
#ifdef LSTM_STATIC
#define LSTM_IMPLEMENTATION
#endif
#include "lstm.h"
int second(void);
int second(void) { return lstm_status_text(LSTM_OK) != NULL && lstm_isa_usable(LSTM_ISA_SCALAR); }
