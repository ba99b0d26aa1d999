/* Offers the two 8259A interrupt controllers. */
#ifndef PIC_H
#define PIC_H

#include <stdbool.h>
#include <stdint.h>

/* Vector of IRQ 0; IRQ 8, the first of the second controller, is 8 above it. */
#define PIC_VECTOR 0x20

/* Moves the interrupts to vectors 0x20 to 0x2F, all masked. */
void pic_init(void);
void pic_unmask(uint32_t irq);
/* Says that an interrupt has been handled; without it, no further one arrives. */
void pic_end(uint32_t irq);
/* Whether the interrupt went away before the CPU asked for its vector; it must not be ended then. */
bool pic_is_spurious(uint32_t irq);

#endif
