/* Offers physical memory, one 4 KiB frame at a time. */
#ifndef FRAME_H
#define FRAME_H

#include <stdint.h>

/* Builds the allocator in the frame array that the loader mapped, then tries it. */
void frame_init(void);
/* Physical address of a frame that nobody else has; panics when there is none. */
uint32_t frame_allocate(void);
/* Gives a frame back; panics if it is not one that was handed out. */
void frame_free(uint32_t physical);
/* Frames that are free, and frames that the array describes. */
uint32_t frame_free_count(void);
uint32_t frame_total(void);

#endif
