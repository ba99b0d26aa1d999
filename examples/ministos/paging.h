/* Offers virtual memory in 4 KiB pages. */
#ifndef PAGING_H
#define PAGING_H

#include <stdint.h>

/* Page table entry bits (Intel SDM volume 3, table 4-6). */
#define PAGE_PRESENT 0x001
#define PAGE_WRITABLE 0x002
#define PAGE_WRITE_THROUGH 0x008
#define PAGE_CACHE_DISABLE 0x010
#define PAGE_ACCESSED 0x020
#define PAGE_DIRTY 0x040
#define PAGE_BIG 0x080 /* in the page directory: maps 4 MiB itself */

/* Leaves the loader's page directory for the kernel's own, without the identity mapping. */
void paging_init(void);
/* Tries mapping, unmapping and device memory. Needs the frame allocator. */
void paging_check(void);

/* Maps the page at `virtual` to `physical` with PAGE_WRITABLE and cache bits as given. */
void paging_map(uint32_t virtual, uint32_t physical, uint32_t flags);
/* Removes a mapping. */
void paging_unmap(uint32_t virtual);
/* Maps `pages` pages of device memory, uncached, and returns where. Never unmapped. */
void *paging_map_device(uint32_t physical, uint32_t pages);

#endif
