/*
 * Owns a guest that loads CR3 with a copy of the boot page directory: with its physical address, or as tables=1 asks for, with that
 * of a directory that begins 4 bytes behind a page, or as tables=2, with its virtual address.
 */
#include "guest.h"

static struct {
	uint32_t used;
	uint32_t directory[1024];
} behind __attribute__((aligned(4096)));
static uint32_t directory[1024] __attribute__((aligned(4096)));

void kernel_main(const struct boot_interface *boot)
{
	const uint32_t *old = (const uint32_t *)(STOS_KERNEL_BASE + STOS_PAGE_DIRECTORY);
	uint32_t cr3[] = {
		(uint32_t)directory - STOS_KERNEL_BASE,
		(uint32_t)behind.directory - STOS_KERNEL_BASE,
		(uint32_t)directory,
	};
	uint32_t tables = word_value((const char *)boot->commandline, "tables=", 0);

	print("page_tables: loading CR3\n");
	for (uint32_t entry = 0; entry < 1024; entry++)
		directory[entry] = behind.directory[entry] = old[entry];
	__asm__ volatile("movl %0, %%cr3" : : "r"(cr3[tables]) : "memory");
	print("page_tables: loaded\n");
	leave(0);
}
