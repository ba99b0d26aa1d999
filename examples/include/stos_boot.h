/*
 * Owns the stos boot protocol as a kernel sees it: the structures that the loader leaves in memory, the
 * addresses that both sides agree on, and the state of the CPU at the kernel's entry.
 *
 * All values are little-endian. Every address in these structures is virtual: physical + STOS_KERNEL_BASE.
 * The header needs nothing but a freestanding C11 compiler and can be included from assembly for its constants.
 */
#ifndef STOS_BOOT_H
#define STOS_BOOT_H

/* ---- Addresses ------------------------------------------------------------------------------------------ */

/* Virtual address at which physical address 0 appears; the kernel window is [base, base + 4 MiB). */
#define STOS_KERNEL_BASE 0xC0000000
/* Bytes of the kernel window, and of the identity mapping at virtual 0: one 4 MiB page each. */
#define STOS_WINDOW_SIZE 0x00400000
/* Usual link address of a kernel: physical 1 MiB. Segments go to p_vaddr - STOS_KERNEL_BASE, whatever p_paddr says. */
#define STOS_KERNEL_LINK 0xC0100000
/* Physical address of the page directory, and the exact value of CR3 at entry. */
#define STOS_PAGE_DIRECTORY 0x00001000
/* The early heap grows up from boot_interface.first_useable_addr and must end here (virtual, exclusive). */
#define STOS_EARLY_HEAP_END 0xC03FE000
/* The boot stack grows down from here (virtual); between the early heap's end and this address lie 8 KiB. */
#define STOS_STACK_TOP 0xC03FFFFC
/* ESP at entry: the return address is at [ESP] (a kernel never uses it), the boot_interface pointer at [ESP + 4]. */
#define STOS_ENTRY_ESP 0xC03FFFF4
/* The VGA text buffer through the kernel window: 80 * 25 cells of character and attribute. */
#define STOS_VGA_TEXT 0xC00B8000

/* ---- Boot page directory -------------------------------------------------------------------------------- */

/* Flags of every present entry: present, writable, 4 MiB page. The CPU adds accessed (0x20) and dirty (0x40). */
#define STOS_PDE_FLAGS 0x00000083
/* Entry of the identity mapping, 0x00000083. */
#define STOS_PDE_IDENTITY 0
/* Entry of the kernel window, 0x00000083. */
#define STOS_PDE_WINDOW 768
/* The frame array takes the entries [STOS_PDE_FRAMES_END - nb, STOS_PDE_FRAMES_END); see below. */
#define STOS_PDE_FRAMES_END 1022

/* ---- Frame array ---------------------------------------------------------------------------------------- */
/*
 * Memory for one `struct frame` per page of physical memory, up to the highest end of an available segment:
 *
 *   pages = highest_end / 4096
 *   nb    = ceil(pages * 24 / 4 MiB)            number of 4 MiB pages that map the array
 *   va    = (1022 - nb) * 4 MiB                 where a kernel finds the array
 *   pa    = 4 MiB                               what backs it, ascending, reserved in the segments
 *
 * With 128 MiB: nb = 1, va = 0xFF400000. The loader does not pass the address: a kernel computes it from the
 * segments. The contents are undefined.
 */

/* Bytes of one frame. What they hold is the kernel's business. */
#define STOS_FRAME_SIZE 24
/* Bytes of the page that one frame describes. */
#define STOS_PAGE_SIZE 4096
/* Physical address of the frame array. */
#define STOS_FRAMES_PHYSICAL 0x00400000

/* ---- Types of a segment --------------------------------------------------------------------------------- */

/* RAM that the kernel may use as it likes. */
#define STOS_SEGMENT_AVAILABLE 1
/* Memory that holds something already, or no memory at all: never to be handed out. */
#define STOS_SEGMENT_RESERVED 2

/* ---- Ports ---------------------------------------------------------------------------------------------- */

/* Writing n ends the guest with status n: 0 is success, 1 to 63 are the guest's own. */
#define STOS_PORT_EXIT 0xF4
/* Writing 1 says that the guest has panicked. */
#define STOS_PORT_PANIC 0x505

/* ---- CPU at entry --------------------------------------------------------------------------------------- */
/*
 *   CR0.PE = 1, CR0.PG = 1 (CR0.WP either way), CR3 = STOS_PAGE_DIRECTORY, CR4.PSE = 1
 *   CS, DS, ES, SS: flat 32-bit segments, base 0, limit 4 GiB
 *   EFLAGS.IF = 0, EFLAGS.DF = 0
 *   EIP = ECX = e_entry, EAX = [ESP + 4] = boot_interface pointer, EBP = 0, ESP = STOS_ENTRY_ESP
 *
 * So the entry point can be a C function: _Noreturn void kernel_main(const struct boot_interface *boot);
 */

#ifndef __ASSEMBLER__

#include <stddef.h>
#include <stdint.h>

/* What the kernel is started with: 24 bytes. */
struct boot_interface {
	/* Virtual address of struct boot_segments. Never 0. */
	uint32_t segs;
	/* Virtual address of struct boot_modules. Never 0. */
	uint32_t mods;
	/* Always 0 on i386. */
	uint32_t archdata;
	/* Virtual address of the first byte after everything that was loaded. Memory from here to STOS_EARLY_HEAP_END is zero. */
	uint32_t first_useable_addr;
	/* Virtual address of a NUL-terminated string of words `module.param=value`. Never 0: without one, it is empty. */
	uint32_t commandline;
	/* Virtual address of a cpio archive (newc format), or 0. It has no size: it ends with its `TRAILER!!!` entry. */
	uint32_t initramfs;
};

/* The module files: 8 bytes. */
struct boot_modules {
	/* 0 without modules, otherwise their number + 2. Stop at the first zero slot rather than count. */
	uint32_t mod_nb;
	/*
	 * Virtual address of an array of uint32_t: the virtual address of each module's file (ELF32, EM_386, ET_REL)
	 * in the order of loading, then two zero slots. The files are writable and stay where they are, so that a
	 * kernel can relocate sections in place and note their addresses in sh_addr.
	 */
	uint32_t modules;
};

/* One run of physical memory: 20 bytes, packed (a 64-bit integer is aligned to 4 in the i386 ABI). */
struct boot_segment {
	/* Physical address of the first byte. */
	uint64_t base_addr;
	/* Length in bytes. base_addr + length never passes 4 GiB. */
	uint64_t length;
	/* STOS_SEGMENT_AVAILABLE or STOS_SEGMENT_RESERVED. */
	uint32_t type;
} __attribute__((packed, aligned(4)));

/* The memory map: 4 + 20 * seg_nb bytes. Physical [0, 4 MiB) and the frame array are reserved in it. */
struct boot_segments {
	/* Number of records that follow. */
	uint32_t seg_nb;
	/* The records, from offset 4. */
	struct boot_segment segments[];
};

/* Number of 4 MiB pages that map the frame array of a machine with `pages` pages (up to 0x100000 of them). */
static inline uint32_t stos_frames_big_pages(uint32_t pages)
{
	return (pages * STOS_FRAME_SIZE + STOS_WINDOW_SIZE - 1) / STOS_WINDOW_SIZE;
}

/* Virtual address of that frame array. */
static inline uint32_t stos_frames_virtual(uint32_t pages)
{
	return (STOS_PDE_FRAMES_END - stos_frames_big_pages(pages)) * STOS_WINDOW_SIZE;
}

_Static_assert(sizeof(struct boot_interface) == 24, "boot_interface is 24 bytes");
_Static_assert(offsetof(struct boot_interface, segs) == 0, "segs is at 0");
_Static_assert(offsetof(struct boot_interface, mods) == 4, "mods is at 4");
_Static_assert(offsetof(struct boot_interface, archdata) == 8, "archdata is at 8");
_Static_assert(offsetof(struct boot_interface, first_useable_addr) == 12, "first_useable_addr is at 12");
_Static_assert(offsetof(struct boot_interface, commandline) == 16, "commandline is at 16");
_Static_assert(offsetof(struct boot_interface, initramfs) == 20, "initramfs is at 20");
_Static_assert(sizeof(struct boot_modules) == 8, "boot_modules is 8 bytes");
_Static_assert(offsetof(struct boot_modules, modules) == 4, "modules is at 4");
_Static_assert(sizeof(struct boot_segment) == 20, "boot_segment is 20 bytes");
_Static_assert(offsetof(struct boot_segment, length) == 8, "length is at 8");
_Static_assert(offsetof(struct boot_segment, type) == 16, "type is at 16");
_Static_assert(sizeof(struct boot_segments) == 4, "boot_segments is 4 bytes and its records");
_Static_assert(offsetof(struct boot_segments, segments) == 4, "records start at 4");

#endif /* __ASSEMBLER__ */

#endif /* STOS_BOOT_H */
