/* Owns a guest that recurses without end on a stack with nothing mapped below it: #DF, because the CPU has no stack left. */
#include "guest.h"

#define STACK_SIZE 8192

static __attribute__((noinline)) uint32_t depth(uint32_t level)
{
	uint32_t below = 1;

	/* The compiler can't know that this is always true. */
	if (level != 0)
		below = depth(level + 1);
	__asm__ volatile("" : "+r"(below));
	return below + 1;
}

static _Noreturn __attribute__((used)) void recurse(void)
{
	print_decimal(depth(1));
	halt();
}

void kernel_main(const struct boot_interface *boot)
{
	const struct boot_segments *segs = (const struct boot_segments *)boot->segs;
	uint32_t highest = 0;
	uint32_t bottom;

	print("stack_overflow: recursing\n");
	for (uint32_t i = 0; i < segs->seg_nb; i++) {
		const struct boot_segment *segment = &segs->segments[i];

		if (segment->type == STOS_SEGMENT_AVAILABLE && segment->base_addr + segment->length > highest)
			highest = (uint32_t)(segment->base_addr + segment->length);
	}
	/* The frame array is mapped, what lies before it is not. */
	bottom = stos_frames_virtual(highest / STOS_PAGE_SIZE);
	__asm__ volatile("movl %0, %%esp; xorl %%ebp, %%ebp; call recurse" : : "r"(bottom + STACK_SIZE));
	__builtin_unreachable();
}
