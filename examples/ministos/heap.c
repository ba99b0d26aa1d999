/* Owns the early heap, between the loaded structures and the boot stack. */
#include "heap.h"

#include "check.h"
#include "machine.h"
#include "stos_boot.h"
#include "string.h"
#include "symbol.h"

static uint32_t first;
static uint32_t next;

void heap_init(uint32_t start)
{
	const uint8_t *a;
	const uint8_t *b;

	first = start;
	next = start;
	a = heap_allocate(5, 1);
	b = heap_allocate(64, 64);
	check_true("heap: blocks are aligned, zeroed and apart",
		   (uint32_t)b % 64 == 0 && b >= a + 5 && b[0] == 0 && memcmp(b, b + 1, 63) == 0);
}

void *heap_allocate(uint32_t size, uint32_t alignment)
{
	uint32_t address = (next + alignment - 1) & ~(alignment - 1);

	if (address < next || address > STOS_EARLY_HEAP_END || size > STOS_EARLY_HEAP_END - address)
		panic("early heap exhausted");
	next = address + size;
	/* The loader promises zeroes here, and checks hold it to that; a heap does not rely on promises. */
	return memset((void *)address, 0, size);
}

uint32_t heap_used(void)
{
	return next - first;
}

EXPORT(heap_allocate);
EXPORT(heap_used);
