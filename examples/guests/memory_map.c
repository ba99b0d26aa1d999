/* Owns a guest that prints the boot segments as `base length type`, and the highest end of an available one. */
#include "guest.h"

void kernel_main(const struct boot_interface *boot)
{
	const struct boot_segments *map = (const struct boot_segments *)boot->segs;
	uint64_t highest = 0;

	print("memory_map: ");
	print_decimal(map->seg_nb);
	print(" segments\n");
	for (uint32_t i = 0; i < map->seg_nb; i++) {
		const struct boot_segment *s = &map->segments[i];

		print_hex((uint32_t)s->base_addr);
		print_char(' ');
		print_hex((uint32_t)s->length);
		print_char(' ');
		print_decimal(s->type);
		print_char('\n');
		if (s->type == STOS_SEGMENT_AVAILABLE && s->base_addr + s->length > highest)
			highest = s->base_addr + s->length;
	}
	print("highest ");
	print_hex((uint32_t)highest);
	print_char('\n');
	leave(0);
}
