/* Owns the questions that the kernel asks of the boot segments. */
#include "segment.h"

#include "check.h"
#include "console.h"
#include "stos_boot.h"

/*
 * Borders in a PC's first MiB: conventional memory and the extended BIOS data area end at the first, the BIOS starts at
 * the second. Nothing is said of what lies between, video memory and adapters.
 */
#define EBDA_END 0x000A0000
#define ROM_START 0x000F0000

#define FOUR_GIB 0x100000000ULL

static const struct boot_segments *map;

static uint64_t end_of(const struct boot_segment *s)
{
	return s->base_addr + s->length;
}

static bool overlap(const struct boot_segment *a, uint64_t start, uint64_t end)
{
	return a->base_addr < end && start < end_of(a);
}

/* How many bytes of [start, end) segments of this type hold, on condition that segments do not overlap. */
static uint64_t bytes(uint32_t type, uint64_t start, uint64_t end)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < map->seg_nb; i++) {
		const struct boot_segment *s = &map->segments[i];

		if (s->type == type && overlap(s, start, end)) {
			uint64_t from = s->base_addr > start ? s->base_addr : start;
			uint64_t to = end_of(s) < end ? end_of(s) : end;

			sum += to - from;
		}
	}
	return sum;
}

void segment_init(const struct boot_segments *segments)
{
	map = segments;
	kprintf("Boot memory map:\n");
	for (uint32_t i = 0; i < map->seg_nb; i++) {
		const struct boot_segment *s = &map->segments[i];

		/* Addresses have 32 bits; an end at 4 GiB prints as 0. */
		kprintf("  0x%08x-0x%08x %s\n", (uint32_t)s->base_addr, (uint32_t)end_of(s),
			s->type == STOS_SEGMENT_AVAILABLE ? "available" : s->type == STOS_SEGMENT_RESERVED ? "reserved" : "unknown");
	}
}

bool segment_available(uint32_t physical)
{
	uint64_t end = (uint64_t)physical + STOS_PAGE_SIZE;
	bool inside = false;

	for (uint32_t i = 0; i < map->seg_nb; i++) {
		const struct boot_segment *s = &map->segments[i];

		if (!overlap(s, physical, end))
			continue;
		if (s->type != STOS_SEGMENT_AVAILABLE)
			return false;
		inside = s->base_addr <= physical && end <= end_of(s);
	}
	return inside;
}

uint32_t segment_pages(void)
{
	uint64_t highest = 0;

	for (uint32_t i = 0; i < map->seg_nb; i++)
		if (map->segments[i].type == STOS_SEGMENT_AVAILABLE && end_of(&map->segments[i]) > highest)
			highest = end_of(&map->segments[i]);
	return (uint32_t)(highest / STOS_PAGE_SIZE);
}

uint32_t segment_available_pages(void)
{
	return (uint32_t)(bytes(STOS_SEGMENT_AVAILABLE, 0, FOUR_GIB) / STOS_PAGE_SIZE);
}

static void check_records(void)
{
	bool types = true;
	bool lengths = true;
	bool ascending = true;

	for (uint32_t i = 0; i < map->seg_nb; i++) {
		const struct boot_segment *s = &map->segments[i];

		types = types && (s->type == STOS_SEGMENT_AVAILABLE || s->type == STOS_SEGMENT_RESERVED);
		lengths = lengths && s->length != 0 && s->base_addr < FOUR_GIB && s->length <= FOUR_GIB - s->base_addr;
		ascending = ascending && (i == 0 || end_of(&map->segments[i - 1]) <= s->base_addr);
	}
	check_true("segments: each is available or reserved, has a length and ends by 4 GiB", types && lengths);
	check_true("segments: ascending and disjoint", ascending);
}

void segment_check(void)
{
	uint32_t pages = segment_pages();
	uint32_t end = pages * STOS_PAGE_SIZE;
	uint32_t array = (pages * STOS_FRAME_SIZE + STOS_PAGE_SIZE - 1) & ~(STOS_PAGE_SIZE - 1U);
	uint32_t array_end = STOS_FRAMES_PHYSICAL + array;

	check_range("segments: number of records", map->seg_nb, 1, 64);
	check_records();
	check_true("segments: the first 4 MiB are not available", bytes(STOS_SEGMENT_AVAILABLE, 0, STOS_WINDOW_SIZE) == 0);
	check_equal("segments: conventional memory and EBDA are reserved",
		    (uint32_t)bytes(STOS_SEGMENT_RESERVED, 0, EBDA_END), EBDA_END);
	check_equal("segments: ROM up to 4 MiB is reserved",
		    (uint32_t)bytes(STOS_SEGMENT_RESERVED, ROM_START, STOS_WINDOW_SIZE), STOS_WINDOW_SIZE - ROM_START);
	check_equal("segments: the frame array is reserved",
		    (uint32_t)bytes(STOS_SEGMENT_RESERVED, STOS_FRAMES_PHYSICAL, array_end), array);
	/* What the manifest reserves beside this, the kernel cannot know; but nothing may be left out. */
	check_equal("segments: all after the frame array is available or reserved",
		    (uint32_t)(bytes(STOS_SEGMENT_AVAILABLE, array_end, end) + bytes(STOS_SEGMENT_RESERVED, array_end, end)),
		    end - array_end);
}
