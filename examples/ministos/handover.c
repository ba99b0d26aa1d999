/* Owns the checks of boot_interface and all that it points to, apart from the segments themselves. */
#include "handover.h"

#include <stdbool.h>
#include <stddef.h>

#include "check.h"
#include "elf.h"
#include "initramfs.h"
#include "stos_boot.h"
#include "string.h"

/* How much of the early heap is read to see that it is zero. Reading all of it would touch 3 MiB for nothing. */
#define ZERO_BYTES 0x10000

/* The least that leaves a heap of use: stos itself takes 15.5 KB of it with seven modules. */
#define HEAP_BYTES 0x4000

extern const char kernel_end[];

static uint32_t lowest(void)
{
	return (uint32_t)kernel_end;
}

void handover_check_pointers(const struct boot_interface *boot)
{
	const uint32_t last = STOS_EARLY_HEAP_END - 1;
	uint32_t end;

	check_range("interface: lies between kernel and heap", (uint32_t)boot, lowest(), last - sizeof *boot);
	check_finish();
	check_range("interface: first_useable_addr", boot->first_useable_addr, (uint32_t)(boot + 1), STOS_EARLY_HEAP_END - HEAP_BYTES);
	end = boot->first_useable_addr;
	check_range("interface: segs", boot->segs, lowest(), end - sizeof(struct boot_segments));
	check_range("interface: mods", boot->mods, lowest(), end - sizeof(struct boot_modules));
	check_equal("interface: archdata", boot->archdata, 0);
	check_range("interface: commandline", boot->commandline, lowest(), end - 1);
	if (boot->initramfs == 0)
		check_equal("interface: initramfs", boot->initramfs, 0);
	else
		check_range("interface: initramfs", boot->initramfs, lowest(), end - 1);
	check_finish();
}

static void check_modules(const struct boot_interface *boot)
{
	const struct boot_modules *mods = (const struct boot_modules *)boot->mods;
	uint32_t end = boot->first_useable_addr;
	const uint32_t *slots = (const uint32_t *)mods->modules;
	uint32_t room;
	uint32_t n = 0;
	bool sane = true;

	if (!check_range("modules: array", mods->modules, lowest(), end - 8))
		check_finish();
	room = (end - mods->modules) / 4;
	while (n < room && slots[n] != 0) {
		sane = sane && slots[n] >= lowest() && elf_is_sane_module(slots[n], end);
		n++;
	}
	check_true("modules: two zero slots end the array", n + 2 <= room && slots[n] == 0 && slots[n + 1] == 0);
	check_equal("modules: mod_nb", mods->mod_nb, n == 0 ? 0 : n + 2);
	check_true("modules: each is a whole ELF32 EM_386 ET_REL file", sane);
	check_finish();
}

static bool is_terminated(uint32_t text, uint32_t end)
{
	while (text < end && *(const char *)text != '\0')
		text++;
	return text < end;
}

static uint32_t first_not_zero(uint32_t from, uint32_t to)
{
	while (from < to && *(const uint8_t *)from == 0)
		from++;
	return from;
}

void handover_check_contents(const struct boot_interface *boot)
{
	const struct boot_segments *segs = (const struct boot_segments *)boot->segs;
	uint32_t end = boot->first_useable_addr;
	uint32_t zero_end = end < STOS_EARLY_HEAP_END - ZERO_BYTES ? end + ZERO_BYTES : STOS_EARLY_HEAP_END;

	check_range("segments: records end before first_useable_addr", boot->segs + 4 + 20 * segs->seg_nb, boot->segs, end);
	check_modules(boot);
	check_true("commandline: NUL-terminated", is_terminated(boot->commandline, end));
	initramfs_check();
	check_equal("heap: zero from first_useable_addr", first_not_zero(end, zero_end), zero_end);
	check_finish();
}
