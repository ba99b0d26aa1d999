/* Offers the loader's memory map. */
#ifndef SEGMENT_H
#define SEGMENT_H

#include <stdbool.h>
#include <stdint.h>

struct boot_segments;

/* Notes where the map is, and prints it. */
void segment_init(const struct boot_segments *map);
/* Checks it against what the protocol promises. */
void segment_check(void);

/* Whether the whole page at a physical address is available, and no part of it reserved. */
bool segment_available(uint32_t physical);
/* Pages up to the highest end of an available segment. */
uint32_t segment_pages(void);
/* Those of them that are available. */
uint32_t segment_available_pages(void);

#endif
