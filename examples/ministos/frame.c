/* Owns the frame array: one record per page of physical memory, the free ones in a list. */
#include "frame.h"

#include <stdbool.h>
#include <stddef.h>

#include "check.h"
#include "machine.h"
#include "probe.h"
#include "segment.h"
#include "stos_boot.h"
#include "symbol.h"

enum state { RESERVED, FREE, USED };

struct frame {
	struct frame *next; /* in the list of free frames; its owner's to use otherwise */
	uint32_t state;
	uint32_t unused[4];
};
_Static_assert(sizeof(struct frame) == STOS_FRAME_SIZE, "the loader reserved this much for each frame");

static struct frame *frames;
static struct frame *free_list;
static uint32_t total;
static uint32_t free_count;

static uint32_t physical_of(const struct frame *f)
{
	return (uint32_t)(f - frames) * STOS_PAGE_SIZE;
}

static struct frame *take(void)
{
	struct frame *f = free_list;

	if (f != NULL) {
		free_list = f->next;
		f->state = USED;
		free_count--;
	}
	return f;
}

static void give(struct frame *f)
{
	f->next = free_list;
	f->state = FREE;
	free_list = f;
	free_count++;
}

uint32_t frame_allocate(void)
{
	struct frame *f = take();

	if (f == NULL)
		panic("out of frames");
	return physical_of(f);
}

void frame_free(uint32_t physical)
{
	uint32_t index = physical / STOS_PAGE_SIZE;

	if (physical % STOS_PAGE_SIZE != 0 || index >= total || frames[index].state != USED)
		panic("freed a frame that was not in use");
	give(&frames[index]);
}

uint32_t frame_free_count(void)
{
	return free_count;
}

uint32_t frame_total(void)
{
	return total;
}

/* Empties the allocator and refills it: true if every frame was available memory, came once, and none was lost. */
static bool drain_and_refill(void)
{
	uint32_t before = free_count;
	uint32_t count = 0;
	bool good = true;
	struct frame *taken = NULL;

	for (struct frame *f = take(); f != NULL; f = take()) {
		good = good && segment_available(physical_of(f)) && physical_of(f) >= STOS_WINDOW_SIZE;
		f->next = taken;
		taken = f;
		count++;
	}
	while (taken != NULL) {
		struct frame *f = taken;

		taken = f->next;
		good = good && f->state == USED;
		give(f);
	}
	return good && count == before && free_count == before;
}

void frame_init(void)
{
	uint32_t expected = 0;
	uint32_t a;
	uint32_t b;

	total = segment_pages();
	frames = (struct frame *)stos_frames_virtual(total);
	check_true("frame: the array is mapped read/write from its first to its last byte",
		   probe_write((uint32_t)frames, 0x0F1E2D3C) && probe_write((uint32_t)(frames + total) - 4, 0x4B5A6978) &&
		   probe_read((uint32_t)frames, &a) && probe_read((uint32_t)(frames + total) - 4, &b) &&
		   a == 0x0F1E2D3C && b == 0x4B5A6978);
	check_finish();
	/* From the highest down, so that the list hands out the lowest first. */
	for (uint32_t i = total; i-- > 0;) {
		if (segment_available(i * STOS_PAGE_SIZE)) {
			give(&frames[i]);
			expected++;
		} else {
			frames[i].state = RESERVED;
		}
	}

	a = frame_allocate();
	b = frame_allocate();
	check_true("frame: two frames differ and can be freed", a != b && free_count == expected - 2);
	frame_free(b);
	frame_free(a);
	check_equal("frame: every available page is free", free_count, segment_available_pages());
	check_true("frame: no reserved frame is ever handed out", drain_and_refill());
}

EXPORT(frame_allocate);
EXPORT(frame_free);
EXPORT(frame_free_count);
EXPORT(frame_total);
