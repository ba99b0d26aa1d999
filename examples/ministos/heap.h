/* Offers the early heap: memory that is never given back. */
#ifndef HEAP_H
#define HEAP_H

#include <stdint.h>

/* Takes the memory from `start` (virtual) up to STOS_EARLY_HEAP_END. */
void heap_init(uint32_t start);
/* Zeroed memory, aligned to a power of two; panics when the heap is exhausted. */
void *heap_allocate(uint32_t size, uint32_t alignment);
/* Bytes handed out so far. */
uint32_t heap_used(void);

#endif
