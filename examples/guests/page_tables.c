/*
 * Owns a guest that loads CR3 with a copy of the boot page directory: with its physical address, or as tables=1 asks for, with that
 * of a directory that begins 4 bytes behind a page, or as tables=2, with its virtual address. With tables=3, the page of the code
 * that follows is mapped to another one, which holds no instructions, and with tables=4 to a copy of it. With tables=5, the
 * tables have the kernel's code and data but not its stack, which the next instruction uses. With tables=6, CR4.PAE is set instead of CR4.PSE.
 */
#include "guest.h"

#define PRESENT_WRITABLE 3
#define CR4_PAE 0x20

static struct {
	uint32_t used;
	uint32_t directory[1024];
} behind __attribute__((aligned(4096)));
static uint32_t directory[1024] __attribute__((aligned(4096)));

static uint32_t table[1024] __attribute__((aligned(4096)));
static uint32_t other[1024] __attribute__((aligned(4096)));
extern const char after_switch[] __asm__(".Lafter_switch");

/* Maps the code's page to another one. */
static void move_code(int is_copied)
{
	uint32_t code = ((uint32_t)after_switch - STOS_KERNEL_BASE) >> 12;

	for (uint32_t page = 0; page < 1024; page++)
		table[page] = page << 12 | PRESENT_WRITABLE;
	for (uint32_t word = 0; word < 1024; word++)
		other[word] = is_copied ? ((const uint32_t *)(STOS_KERNEL_BASE + (code << 12)))[word] : 0xFFFFFFFF;
	table[code] = ((uint32_t)other - STOS_KERNEL_BASE) | PRESENT_WRITABLE;
	directory[STOS_PDE_WINDOW] = ((uint32_t)table - STOS_KERNEL_BASE) | PRESENT_WRITABLE;
}

/* Loads CR3 with tables that map all of the first 4 MiB but the page of the stack, and pushes. */
static void without_stack(uint32_t cr3)
{
	uint32_t stack = ((uint32_t)__builtin_frame_address(0) - STOS_KERNEL_BASE) >> 12;

	move_code(1);
	table[stack] = 0;
	__asm__ volatile("movl %0, %%cr3\n\tpushl $1\n\tpopl %0" : "+r"(cr3) : : "memory");
}

void kernel_main(const struct boot_interface *boot)
{
	const uint32_t *old = (const uint32_t *)(STOS_KERNEL_BASE + STOS_PAGE_DIRECTORY);
	uint32_t cr3[] = {
		(uint32_t)directory - STOS_KERNEL_BASE,
		(uint32_t)behind.directory - STOS_KERNEL_BASE,
		(uint32_t)directory,
		(uint32_t)directory - STOS_KERNEL_BASE,
		(uint32_t)directory - STOS_KERNEL_BASE,
		(uint32_t)directory - STOS_KERNEL_BASE,
		(uint32_t)directory - STOS_KERNEL_BASE,
	};
	uint32_t tables = word_value((const char *)boot->commandline, "tables=", 0);

	print("page_tables: loading CR3\n");
	for (uint32_t entry = 0; entry < 1024; entry++)
		directory[entry] = behind.directory[entry] = old[entry];
	if (tables == 3 || tables == 4)
		move_code(tables == 4);
	if (tables == 5)
		without_stack(cr3[tables]);
	if (tables == 6)
		__asm__ volatile("movl %0, %%cr4" : : "r"(CR4_PAE) : "memory");
	__asm__ volatile("movl %0, %%cr3\n.Lafter_switch:" : : "r"(cr3[tables]) : "memory");
	print("page_tables: loaded\n");
	leave(0);
}
