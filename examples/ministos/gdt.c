/* Owns the global descriptor table and the task state segment (Intel SDM volume 3, sections 3.4.5 and 8.2.1). */
#include "gdt.h"

#include <stdint.h>

#include "check.h"

/* Present, ring 0, flat, 32-bit, page granularity; accessed already, so that the CPU need not write it. */
#define FLAT_CODE 0x00CF9B000000FFFFULL
#define FLAT_DATA 0x00CF93000000FFFFULL
/* Present, ring 0, available 32-bit TSS; base and limit are filled in at run time. */
#define TSS_AVAILABLE 0x0000890000000000ULL
/* What LTR makes of it. */
#define TSS_BUSY_BIT 0x0000020000000000ULL

struct tss {
	uint32_t link;
	uint32_t esp0;
	uint32_t ss0;
	uint32_t unused[22];
	uint16_t trap;
	uint16_t io_map_base;
};
_Static_assert(sizeof(struct tss) == 104, "a 32-bit TSS is 104 bytes");

struct table_register {
	uint16_t limit;
	uint32_t base;
} __attribute__((packed));

static uint64_t gdt[4] __attribute__((aligned(8))) = { 0, FLAT_CODE, FLAT_DATA, TSS_AVAILABLE };
static struct tss tss;

void gdt_init(void)
{
	const struct table_register want = { sizeof gdt - 1, (uint32_t)gdt };
	struct table_register got;
	uint64_t base = (uint32_t)&tss;
	uint16_t cs;
	uint16_t ss;
	uint16_t task;

	tss.ss0 = GDT_DATA;
	tss.io_map_base = sizeof tss; /* past the limit: no I/O map */
	gdt[GDT_TSS / 8] |= (sizeof tss - 1) | (base & 0xFFFFFF) << 16 | (base >> 24) << 56;

	__asm__ volatile("lgdt %0\n\t"
			 "ljmp %1, $1f\n"
			 "1:\n\t"
			 "movw %w2, %%ds\n\t"
			 "movw %w2, %%es\n\t"
			 "movw %w2, %%fs\n\t"
			 "movw %w2, %%gs\n\t"
			 "movw %w2, %%ss\n\t"
			 "ltr %w3"
			 : : "m"(want), "i"(GDT_CODE), "r"(GDT_DATA), "r"(GDT_TSS) : "memory");

	__asm__ volatile("sgdt %0" : "=m"(got));
	__asm__ volatile("movw %%cs, %0" : "=r"(cs));
	__asm__ volatile("movw %%ss, %0" : "=r"(ss));
	__asm__ volatile("str %0" : "=r"(task));
	check_true("gdt: own table and segments loaded",
		   got.base == want.base && got.limit == want.limit && cs == GDT_CODE && ss == GDT_DATA);
	check_true("gdt: own task state loaded and busy", task == GDT_TSS && (gdt[GDT_TSS / 8] & TSS_BUSY_BIT) != 0);
}
