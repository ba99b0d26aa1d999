/*
 * Owns the page directory and the page tables (Intel SDM volume 3, section 4.3, "32-bit paging").
 *
 *   0x00000000  nothing, so that a null pointer faults
 *   0xC0000000  kernel window: physical 0 to 4 MiB, kernel text and constants read-only, VGA uncached
 *   0xD0000000  pages that paging_check tries
 *   0xE0000000  device memory
 *   0xFF......  frame array, in the 4 MiB pages of the loader
 *   0xFFC00000  the page tables themselves (the directory's last entry is the directory)
 */
#include "paging.h"

#include <stdbool.h>

#include "check.h"
#include "frame.h"
#include "machine.h"
#include "probe.h"
#include "segment.h"
#include "stos_boot.h"
#include "string.h"
#include "symbol.h"
#include "trap.h"

#define ENTRIES 1024
#define TRIAL 0xD0000000
#define DEVICES 0xE0000000
#define DEVICES_END 0xF0000000
#define SELF 1023
#define ADDRESS_BITS 0xFFFFF000

#define HOLE_START 0x000A0000 /* VGA, adapters and ROMs: never cached */
#define HOLE_END 0x00100000

#define CR0_WP 0x00010000

/* Error code of a page fault (Intel SDM volume 3, section 4.7). */
#define FAULT_PRESENT 1
#define FAULT_WRITE 2

extern const char kernel_start[];
extern const char kernel_writable[];

static uint32_t directory[ENTRIES] __attribute__((aligned(STOS_PAGE_SIZE)));
static uint32_t window[ENTRIES] __attribute__((aligned(STOS_PAGE_SIZE)));
static volatile uint32_t *const tables = (volatile uint32_t *)(SELF << 22);
static uint32_t next_device = DEVICES;

static uint32_t physical_of(const void *p)
{
	return (uint32_t)p - STOS_KERNEL_BASE;
}

static void invalidate(uint32_t virtual)
{
	__asm__ volatile("invlpg (%0)" : : "r"(virtual) : "memory");
}

static uint32_t window_flags(uint32_t physical)
{
	uint32_t virtual = physical + STOS_KERNEL_BASE;

	if (virtual >= (uint32_t)kernel_start && virtual < (uint32_t)kernel_writable)
		return PAGE_PRESENT;
	if (physical >= HOLE_START && physical < HOLE_END)
		return PAGE_PRESENT | PAGE_WRITABLE | PAGE_WRITE_THROUGH | PAGE_CACHE_DISABLE;
	return PAGE_PRESENT | PAGE_WRITABLE;
}

void paging_init(void)
{
	const uint32_t *loaders = (const uint32_t *)(STOS_KERNEL_BASE + STOS_PAGE_DIRECTORY);
	uint32_t cr0;
	uint32_t cr3;

	for (uint32_t i = 0; i < ENTRIES; i++)
		window[i] = i * STOS_PAGE_SIZE | window_flags(i * STOS_PAGE_SIZE);
	directory[STOS_PDE_WINDOW] = physical_of(window) | PAGE_PRESENT | PAGE_WRITABLE;
	for (uint32_t i = STOS_PDE_FRAMES_END - stos_frames_big_pages(segment_pages()); i < STOS_PDE_FRAMES_END; i++)
		directory[i] = loaders[i];
	directory[SELF] = physical_of(directory) | PAGE_PRESENT | PAGE_WRITABLE;

	__asm__ volatile("movl %0, %%cr3" : : "r"(physical_of(directory)) : "memory");
	/* Without WP, ring 0 may write to read-only pages. */
	__asm__ volatile("movl %%cr0, %0" : "=r"(cr0));
	__asm__ volatile("movl %0, %%cr0" : : "r"(cr0 | CR0_WP) : "memory");

	__asm__ volatile("movl %%cr3, %0" : "=r"(cr3));
	check_equal("paging: own directory loaded", cr3 & ADDRESS_BITS, physical_of(directory));
}

void paging_map(uint32_t virtual, uint32_t physical, uint32_t flags)
{
	uint32_t pde = virtual >> 22;

	if (directory[pde] == 0) {
		directory[pde] = frame_allocate() | PAGE_PRESENT | PAGE_WRITABLE;
		invalidate((uint32_t)&tables[pde * ENTRIES]);
		memset((void *)&tables[pde * ENTRIES], 0, STOS_PAGE_SIZE);
	}
	if ((directory[pde] & PAGE_BIG) || tables[virtual / STOS_PAGE_SIZE] != 0)
		panic("mapped a page twice");
	tables[virtual / STOS_PAGE_SIZE] = physical | flags | PAGE_PRESENT;
}

void paging_unmap(uint32_t virtual)
{
	if (directory[virtual >> 22] == 0 || tables[virtual / STOS_PAGE_SIZE] == 0)
		panic("unmapped a page that was not mapped");
	tables[virtual / STOS_PAGE_SIZE] = 0;
	invalidate(virtual);
}

void *paging_map_device(uint32_t physical, uint32_t pages)
{
	uint32_t start = next_device;

	if (pages > (DEVICES_END - start) / STOS_PAGE_SIZE)
		panic("out of addresses for devices");
	for (uint32_t i = 0; i < pages; i++)
		paging_map(start + i * STOS_PAGE_SIZE, physical + i * STOS_PAGE_SIZE,
			   PAGE_WRITABLE | PAGE_WRITE_THROUGH | PAGE_CACHE_DISABLE);
	next_device += pages * STOS_PAGE_SIZE;
	return (void *)start;
}

static bool faulted(bool passed, uint32_t address, uint32_t error)
{
	return !passed && trap_last.vector == TRAP_PAGE_FAULT && trap_last.address == address && trap_last.error == error;
}

static void check_protection(void)
{
	uint32_t value;

	check_true("paging: without the loader's identity mapping, a null pointer faults",
		   faulted(probe_read(0, &value), 0, 0) && faulted(probe_read(0x100000, &value), 0x100000, 0));
	check_true("paging: kernel text can be read but not written",
		   probe_read((uint32_t)kernel_start, &value) && faulted(probe_write((uint32_t)kernel_start, value), (uint32_t)kernel_start, FAULT_PRESENT | FAULT_WRITE));
}

static void check_mapping(void)
{
	const uint32_t alias = TRIAL + STOS_PAGE_SIZE;
	uint32_t frame = frame_allocate();
	uint32_t value = 0;
	uint32_t entry;

	check_true("paging: an unmapped page faults", faulted(probe_read(TRIAL + 4, &value), TRIAL + 4, 0));
	paging_map(TRIAL, frame, PAGE_WRITABLE);
	paging_map(alias, frame, 0);
	/* The CPU may set the accessed bit of a page that it only thought of reading, never the dirty bit. */
	check_equal("paging: a page is clean before it is written",
		    tables[TRIAL / STOS_PAGE_SIZE] & ~PAGE_ACCESSED, frame | PAGE_PRESENT | PAGE_WRITABLE);
	check_true("paging: a mapped page can be written and read",
		   probe_write(TRIAL + 4, 0x5705B007) && probe_read(TRIAL + 4, &value) && value == 0x5705B007);
	entry = tables[TRIAL / STOS_PAGE_SIZE];
	check_equal("paging: the CPU sets accessed and dirty", entry & (PAGE_ACCESSED | PAGE_DIRTY), PAGE_ACCESSED | PAGE_DIRTY);
	check_true("paging: a second mapping shows the same frame", probe_read(alias + 4, &value) && value == 0x5705B007);
	check_true("paging: a read-only mapping cannot be written",
		   faulted(probe_write(alias + 4, 0), alias + 4, FAULT_PRESENT | FAULT_WRITE));
	paging_unmap(alias);
	paging_unmap(TRIAL);
	check_true("paging: an unmapped page faults again",
		   faulted(probe_read(TRIAL + 4, &value), TRIAL + 4, 0) && faulted(probe_write(alias, 0), alias, FAULT_WRITE));
	frame_free(frame);
}

static void check_device(void)
{
	/* The last cell of the screen: the console has not come that far, and gets back what it had. */
	const uint32_t cell = 80 * 25 - 1;
	volatile uint16_t *device = paging_map_device(STOS_VGA_TEXT - STOS_KERNEL_BASE, 1);
	volatile uint16_t *screen = (volatile uint16_t *)STOS_VGA_TEXT;
	uint16_t before = screen[cell];
	bool same;

	device[cell] = 0x1F00 | '*';
	same = screen[cell] == (0x1F00 | '*');
	device[cell] = before;
	check_true("paging: the VGA text buffer mapped as a device", same && screen[cell] == before);
}

void paging_check(void)
{
	check_protection();
	check_mapping();
	check_device();
}

EXPORT(paging_map);
EXPORT(paging_unmap);
EXPORT(paging_map_device);
