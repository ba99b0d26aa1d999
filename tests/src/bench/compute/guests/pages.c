/*
 * Owns page tables that change: in each of WORK rounds, 256 pages of a window get other frames, by INVLPG one at a time and by
 * a new CR3 for all. (Intel SDM volume 3A, section 4.10.4.)
 */
#include "guest.h"

#define PAGE 4096u
/* Present and writable; and a page of 4 MiB, where the directory has it. */
#define PAGE_FLAGS 0x3u
#define LARGE_FLAGS 0x83u
#define CR4_PSE 0x10u
#define CR0_PG 0x80000000u
/* Where nothing else is. */
#define WINDOW 0x40000000u
#define WINDOW_PAGES 256u
#define FRAMES 1024u

static u8 *const first_frame = area + (1 << 20);

u32 work(void)
{
	u32 *directory = (u32 *)area, *table = (u32 *)(area + PAGE);
	u32 sum = 0, register_value;

	/* What is in use now stays where it is. */
	for (u32 i = 0; i < 1024; i++)
		directory[i] = i << 22 | LARGE_FLAGS;
	directory[WINDOW >> 22] = (u32)table | PAGE_FLAGS;
	__asm__ volatile("mov %%cr4, %0; or %1, %0; mov %0, %%cr4" : "=&r"(register_value) : "i"(CR4_PSE) : "memory");
	__asm__ volatile("mov %0, %%cr3" : : "r"(directory) : "memory");
	__asm__ volatile("mov %%cr0, %0; or %1, %0; mov %0, %%cr0" : "=&r"(register_value) : "i"(CR0_PG) : "memory");

	for (u32 round = 0; round < WORK; round++) {
		for (u32 i = 0; i < WINDOW_PAGES; i++) {
			volatile u32 *page = (volatile u32 *)(WINDOW + i * PAGE);

			table[i] = (u32)(first_frame + (i + round) % FRAMES * PAGE) | PAGE_FLAGS;
			__asm__ volatile("invlpg %0" : : "m"(*page) : "memory");
			page[0] += i;
			sum += page[16];
		}
		__asm__ volatile("mov %0, %%cr3" : : "r"(directory) : "memory");
	}
	for (u32 i = 0; i < FRAMES; i++)
		sum = sum * 31 + *(u32 *)(first_frame + i * PAGE);
	return sum;
}
