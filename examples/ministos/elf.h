/* Offers the structures of a relocatable ELF32 file (System V ABI, chapter 4; i386 supplement for relocations). */
#ifndef ELF_H
#define ELF_H

#include <stdbool.h>
#include <stdint.h>

struct elf_header {
	uint8_t ident[16];
	uint16_t type;
	uint16_t machine;
	uint32_t version;
	uint32_t entry;
	uint32_t phoff;
	uint32_t shoff;
	uint32_t flags;
	uint16_t ehsize;
	uint16_t phentsize;
	uint16_t phnum;
	uint16_t shentsize;
	uint16_t shnum;
	uint16_t shstrndx;
};
_Static_assert(sizeof(struct elf_header) == 52, "an ELF32 header is 52 bytes");

struct elf_section {
	uint32_t name;
	uint32_t type;
	uint32_t flags;
	uint32_t addr;
	uint32_t offset;
	uint32_t size;
	uint32_t link;
	uint32_t info;
	uint32_t addralign;
	uint32_t entsize;
};
_Static_assert(sizeof(struct elf_section) == 40, "an ELF32 section header is 40 bytes");

struct elf_symbol {
	uint32_t name;
	uint32_t value;
	uint32_t size;
	uint8_t info;
	uint8_t other;
	uint16_t shndx;
};
_Static_assert(sizeof(struct elf_symbol) == 16, "an ELF32 symbol is 16 bytes");

struct elf_relocation {
	uint32_t offset;
	uint32_t info;
};
_Static_assert(sizeof(struct elf_relocation) == 8, "an ELF32 relocation without addend is 8 bytes");

#define ELF_TYPE_RELOCATABLE 1
#define ELF_MACHINE_386 3

#define SECTION_SYMBOLS 2
#define SECTION_RELOCATIONS_ADDEND 4
#define SECTION_NO_BITS 8
#define SECTION_RELOCATIONS 9

#define SECTION_ALLOCATED 2

#define INDEX_UNDEFINED 0
#define INDEX_RESERVED 0xFF00
#define INDEX_ABSOLUTE 0xFFF1

#define BIND_LOCAL 0
#define BIND_WEAK 2

#define RELOCATE_NONE 0
#define RELOCATE_32 1
#define RELOCATE_PC32 2
#define RELOCATE_PLT32 4

/* The section header with this index. */
static inline struct elf_section *elf_section(struct elf_header *file, uint32_t index)
{
	return (struct elf_section *)((uint32_t)file + file->shoff + index * sizeof(struct elf_section));
}

/* A string at `offset` of a string table section. */
static inline const char *elf_string(const struct elf_header *file, const struct elf_section *table, uint32_t offset)
{
	return (const char *)file + table->offset + offset;
}

/* Whether the file at `address` is a relocatable i386 file whose headers and sections all end before `limit`. */
bool elf_is_sane_module(uint32_t address, uint32_t limit);

/* The section of that name, or NULL. */
struct elf_section *elf_find_section(struct elf_header *file, const char *name);

#endif
