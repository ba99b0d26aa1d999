/* Owns the order in which the kernel comes up. */
#include "check.h"
#include "cmdline.h"
#include "console.h"
#include "entry.h"
#include "frame.h"
#include "gdt.h"
#include "handover.h"
#include "heap.h"
#include "initramfs.h"
#include "loader.h"
#include "machine.h"
#include "paging.h"
#include "pic.h"
#include "pit.h"
#include "segment.h"
#include "serial.h"
#include "stos_boot.h"
#include "trap.h"
#include "vga.h"

_Noreturn void ministos_main(const struct boot_interface *boot);

void ministos_main(const struct boot_interface *boot)
{
	serial_init();
	vga_clear();

	segment_init((const struct boot_segments *)boot->segs);
	kprintf("This is ministos booting (i386) !\n");
	handover_check_pointers(boot);
	initramfs_init(boot->initramfs, boot->first_useable_addr);
	handover_check_contents(boot);
	segment_check();
	/* While the loader's own tables are still in force. */
	entry_check();

	gdt_init();
	trap_init();
	pic_init();
	pit_init();
	heap_init(boot->first_useable_addr);
	frame_init();
	paging_init();
	paging_check();

	cmdline_init((const char *)boot->commandline);
	cmdline_check();
	kprintf("Command line: %s\n", (const char *)boot->commandline);
	loader_run((const uint32_t *)((const struct boot_modules *)boot->mods)->modules);

	check_finish();
	kprintf("Loading complete\n");
	loader_continue();
	machine_exit(0);
}
