/* Owns the Multiboot structures (specification 0.6.96, section 3.3), as far as a kernel without a BIOS gets them. */
#ifndef MULTIBOOT_H
#define MULTIBOOT_H

#include <stdint.h>

#define MULTIBOOT_LOADER_MAGIC 0x2BADB002

#define MULTIBOOT_MEMORY 0x001
#define MULTIBOOT_CMDLINE 0x004
#define MULTIBOOT_MODULES 0x008
#define MULTIBOOT_ELF_SECTIONS 0x020
#define MULTIBOOT_MEMORY_MAP 0x040
#define MULTIBOOT_LOADER_NAME 0x200

/* All addresses are physical. A field whose flag is clear is not there. */
struct multiboot_info {
	uint32_t flags;
	uint32_t mem_lower; /* KiB from 0 */
	uint32_t mem_upper; /* KiB from 1 MiB */
	uint32_t boot_device;
	uint32_t cmdline;
	uint32_t mods_count;
	uint32_t mods_addr;
	uint32_t section_count;
	uint32_t section_size;
	uint32_t section_headers;
	uint32_t section_of_names;
	uint32_t mmap_length;
	uint32_t mmap_addr;
	uint32_t drives_length;
	uint32_t drives_addr;
	uint32_t config_table;
	uint32_t boot_loader_name;
	uint32_t apm_table;
	uint32_t video[11];
};

struct multiboot_module {
	uint32_t start;
	uint32_t end;
	uint32_t string;
	uint32_t reserved;
};

struct multiboot_range {
	uint32_t size; /* of what follows: 20 */
	uint64_t base;
	uint64_t length;
	uint32_t type; /* 1 available */
} __attribute__((packed));

_Static_assert(sizeof(struct multiboot_info) == 116, "multiboot_info");
_Static_assert(sizeof(struct multiboot_module) == 16, "multiboot_module");
_Static_assert(sizeof(struct multiboot_range) == 24, "multiboot_range");

#endif
