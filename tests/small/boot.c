/* What a Cortex-M4 needs to run main: vectors, start-up, memcpy and memset; output and the end by semihosting. */
#include "memory.h"

#include <stddef.h>
#include <stdint.h>

extern uint32_t data_from[], data_begin[], data_end[], bss_begin[], bss_end[], stack_begin[], stack_top[];
int main(void);
void reset(void);
void put(const char *text);
size_t stack_used(void);

static void host(int what, const void *argument) {
  register int r0 __asm__("r0") = what;
  register const void *r1 __asm__("r1") = argument;
  __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
}

void put(const char *text) { host(4, text); } /* SYS_WRITE0 */

enum { PAINT = 0x5a5a5a5a };

size_t stack_used(void) {
  const uint32_t *p = stack_begin;
  while (*p == PAINT) p++;
  return (size_t)(stack_top - p) * 4;
}

static void end(int failed) { /* SYS_EXIT: ADP_Stopped_ApplicationExit, or a run-time error */
  host(0x18, (const void *)(uintptr_t)(failed ? 0x20023u : 0x20026u));
  for (;;) {}
}

static void fault(void) {
  put("fault\n");
  end(1);
}

void reset(void) {
  uint32_t *here = (uint32_t *)__builtin_frame_address(0) - 16;
  *(volatile uint32_t *)0xe000ed88 |= 0xfu << 20; /* CPACR: the floating-point unit */
  __asm__ volatile("dsb\n isb" ::: "memory");
  for (uint32_t *to = data_begin, *from = data_from; to < data_end;) *to++ = *from++;
  for (uint32_t *to = bss_begin; to < bss_end;) *to++ = 0;
  for (volatile uint32_t *to = stack_begin; to < here;) *to++ = PAINT;
  end(main());
}

__attribute__((section(".vectors"), used)) static const struct {
  const void *stack;
  void (*handlers[6])(void);
} vectors = {stack_top, {reset, fault, fault, fault, fault, fault}};
