/* Offers exception and interrupt handling, and the interrupt flag. */
#ifndef TRAP_H
#define TRAP_H

#include <stdint.h>

#define TRAP_DIVIDE 0
#define TRAP_BREAKPOINT 3
#define TRAP_UNDEFINED 6
#define TRAP_PAGE_FAULT 14

/* What trap_entry.S leaves on the stack, lowest address first. */
struct trap_frame {
	uint32_t edi, esi, ebp, esp, ebx, edx, ecx, eax; /* PUSHA */
	uint32_t vector, error;
	uint32_t eip, cs, eflags; /* pushed by the CPU */
};

/* What the last exception was that the kernel survived. */
struct trap_record {
	uint32_t count;
	uint32_t vector;
	uint32_t error;
	uint32_t address; /* CR2, of a page fault */
};

extern volatile struct trap_record trap_last;

/* Loads the interrupt descriptor table, then raises #BP, #DE and #UD to see them handled. */
void trap_init(void);

/* Sets the function that runs, with interrupts off, when the PIC raises `irq` (0 to 15). */
void trap_set_irq(uint32_t irq, void (*handler)(void));

/* Switches interrupts off and returns EFLAGS as they were. */
static inline uint32_t interrupts_off(void)
{
	uint32_t flags;

	__asm__ volatile("pushfl; popl %0; cli" : "=r"(flags) : : "memory");
	return flags;
}

static inline void interrupts_restore(uint32_t flags)
{
	__asm__ volatile("pushl %0; popfl" : : "r"(flags) : "memory", "cc");
}

/*
 * Halts until an interrupt has been handled; off before, off after. STI takes effect after the next instruction
 * (Intel SDM volume 2, "STI"), so no interrupt can slip in between it and HLT and leave the kernel asleep.
 */
static inline void interrupts_wait(void)
{
	__asm__ volatile("sti; hlt; cli" : : : "memory");
}

#endif
