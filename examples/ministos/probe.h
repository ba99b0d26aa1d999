/* Offers instructions that may fault: they say whether they did, and the kernel goes on. */
#ifndef PROBE_H
#define PROBE_H

#include <stdbool.h>
#include <stdint.h>

struct trap_frame;

/* Reads 32 bits at a virtual address. */
bool probe_read(uint32_t address, uint32_t *value);
/* Writes 32 bits at a virtual address. */
bool probe_write(uint32_t address, uint32_t value);
/* Divides. */
bool probe_divide(uint32_t dividend, uint32_t divisor);
/* Executes an instruction that no CPU has. Never true. */
bool probe_undefined(void);

/* If the exception was raised by one of these, makes that function return false. */
bool probe_recover(struct trap_frame *frame);

#endif
