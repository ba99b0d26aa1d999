/* Owns the checks of the CPU state that the kernel was entered with. */
#include "entry.h"

#include <stdbool.h>

#include "check.h"
#include "segment.h"
#include "stos_boot.h"

#define CR0_PE 0x00000001
#define CR0_PG 0x80000000
#define CR4_PSE 0x00000010
#define EFLAGS_IF 0x00000200
#define EFLAGS_DF 0x00000400

/* Set by the CPU in a page directory entry that it has used. */
#define PDE_ACCESSED_DIRTY 0x60

/* What LAR shows of a descriptor (Intel SDM volume 3, section 3.4.5): present, ring 0, not a system segment ... */
#define RIGHTS_MASK 0x0040F000
#define RIGHTS_WANTED 0x00409000 /* ... and D/B, for 32-bit code or stack */
#define RIGHTS_CODE 0x00000800
#define RIGHTS_WRITABLE 0x00000200 /* of data; of code, the same bit means readable */

extern void kernel_main(void);

static uint32_t base_of(uint32_t selector, bool *found)
{
	struct {
		uint16_t limit;
		uint32_t base;
	} __attribute__((packed)) gdtr;
	uint32_t offset = selector & ~7U;
	uint32_t address;
	const uint8_t *d;

	__asm__ volatile("sgdt %0" : "=m"(gdtr));
	address = gdtr.base + offset;
	/* Descriptors may lie anywhere that is mapped: in the first 4 MiB, by either of their addresses. */
	*found = offset + 7 <= gdtr.limit && (address >= STOS_KERNEL_BASE ? address - STOS_KERNEL_BASE : address) < STOS_WINDOW_SIZE - 8;
	if (!*found)
		return 0;
	d = (const uint8_t *)address;
	return (uint32_t)(d[2] | d[3] << 8 | d[4] << 16) | (uint32_t)d[7] << 24;
}

static bool is_flat(uint32_t selector, uint32_t kind)
{
	uint32_t limit = 0;
	uint32_t rights = 0;
	bool found;
	uint32_t base = base_of(selector, &found);

	__asm__ volatile("lsl %1, %0" : "+r"(limit) : "r"(selector) : "cc");
	__asm__ volatile("lar %1, %0" : "+r"(rights) : "r"(selector) : "cc");
	return found && base == 0 && limit == 0xFFFFFFFF && (rights & RIGHTS_MASK) == RIGHTS_WANTED &&
	       (rights & (RIGHTS_CODE | RIGHTS_WRITABLE)) == kind;
}

static void check_directory(void)
{
	const uint32_t *directory = (const uint32_t *)(STOS_KERNEL_BASE + STOS_PAGE_DIRECTORY);
	uint32_t first = STOS_PDE_FRAMES_END - stos_frames_big_pages(segment_pages());
	uint32_t wrong_frames = 0;
	uint32_t wrong_others = 0;

	for (uint32_t i = 0; i < 1024; i++) {
		uint32_t entry = directory[i] & ~PDE_ACCESSED_DIRTY;

		if (i == STOS_PDE_IDENTITY || i == STOS_PDE_WINDOW)
			continue;
		if (i >= first && i < STOS_PDE_FRAMES_END)
			wrong_frames += entry != ((STOS_FRAMES_PHYSICAL + (i - first) * STOS_WINDOW_SIZE) | STOS_PDE_FLAGS);
		else
			wrong_others += directory[i] != 0;
	}
	check_equal("directory: entry 0", directory[STOS_PDE_IDENTITY] & ~PDE_ACCESSED_DIRTY, STOS_PDE_FLAGS);
	check_equal("directory: entry 768", directory[STOS_PDE_WINDOW] & ~PDE_ACCESSED_DIRTY, STOS_PDE_FLAGS);
	check_equal("directory: wrong entries of the frame array", wrong_frames, 0);
	check_equal("directory: other entries that are not zero", wrong_others, 0);
}

void entry_check(void)
{
	const struct entry_state *e = &entry_state;

	check_equal("entry: CR0 has PE and PG", e->cr0 & (CR0_PE | CR0_PG), CR0_PE | CR0_PG);
	check_equal("entry: CR3", e->cr3, STOS_PAGE_DIRECTORY);
	check_equal("entry: CR4 has PSE", e->cr4 & CR4_PSE, CR4_PSE);
	check_equal("entry: EFLAGS has neither IF nor DF", e->eflags & (EFLAGS_IF | EFLAGS_DF), 0);
	check_equal("entry: ESP", e->esp, STOS_ENTRY_ESP);
	check_equal("entry: EBP", e->ebp, 0);
	check_equal("entry: EAX is the argument", e->eax, *(const uint32_t *)(STOS_ENTRY_ESP + 4));
	check_equal("entry: ECX is the entry point", e->ecx, (uint32_t)kernel_main);
	check_true("entry: CS is flat", is_flat(e->cs, RIGHTS_CODE | RIGHTS_WRITABLE));
	check_true("entry: DS, ES and SS are flat", is_flat(e->ds, RIGHTS_WRITABLE) && is_flat(e->es, RIGHTS_WRITABLE) &&
		   is_flat(e->ss, RIGHTS_WRITABLE));
	check_directory();
}
