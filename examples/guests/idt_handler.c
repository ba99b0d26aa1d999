/*
 * Owns a guest whose handlers are not mapped. The CPU calls the handler, whose first instruction faults, and calls it again,
 * until there is no stack left.
 */
#include "idt.h"

#define NOWHERE 0xBADC0DE0
#define STACK_SIZE 8192

static struct gate idt[EXCEPTIONS];

static _Noreturn __attribute__((used)) void divide(void)
{
	load_idt(idt, sizeof(idt) - 1);
	__asm__ volatile("divl %0" : : "r"(0), "a"(1), "d"(0));
	halt();
}

void kernel_main(const struct boot_interface *boot)
{
	const struct boot_segments *segs = (const struct boot_segments *)boot->segs;
	const struct boot_segment *last = &segs->segments[segs->seg_nb - 1];
	/* The frame array is mapped, what lies before it is not: the stack ends there. */
	uint32_t bottom = stos_frames_virtual((uint32_t)(last->base_addr + last->length) / STOS_PAGE_SIZE);

	for (int vector = 0; vector < EXCEPTIONS; vector++)
		idt[vector] = make_gate(CODE_SELECTOR, NOWHERE);
	print("idt_handler: dividing by zero\n");
	__asm__ volatile("movl %0, %%esp; xorl %%ebp, %%ebp; call divide" : : "r"(bottom + STACK_SIZE));
	__builtin_unreachable();
}
