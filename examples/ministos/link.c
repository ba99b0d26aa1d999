/* Owns the linking of modules: section addresses, symbols, relocations. */
#include "link.h"

#include <stddef.h>

#include "console.h"
#include "elf.h"
#include "heap.h"
#include "loader.h"
#include "machine.h"
#include "string.h"
#include "symbol.h"

void link_place(struct elf_header *file)
{
	for (uint32_t i = 0; i < file->shnum; i++) {
		struct elf_section *s = elf_section(file, i);

		if (!(s->flags & SECTION_ALLOCATED))
			continue;
		if (s->type == SECTION_NO_BITS)
			s->addr = (uint32_t)heap_allocate(s->size, s->addralign > 0 ? s->addralign : 1);
		else
			s->addr = (uint32_t)file + s->offset;
	}
}

/* The address of a symbol that its own file defines. */
static uint32_t defined_at(struct elf_header *file, const struct elf_symbol *symbol)
{
	if (symbol->shndx == INDEX_ABSOLUTE)
		return symbol->value;
	/* What is left of the reserved indices is COMMON, which -fno-common avoids. */
	if (symbol->shndx >= INDEX_RESERVED || symbol->shndx >= file->shnum)
		panic("symbol in a section that does not exist");
	return elf_section(file, symbol->shndx)->addr + symbol->value;
}

uint32_t link_find(struct elf_header *file, const char *name, int locals)
{
	for (uint32_t i = 0; i < file->shnum; i++) {
		const struct elf_section *table = elf_section(file, i);
		const struct elf_symbol *symbols = (const struct elf_symbol *)((uint32_t)file + table->offset);

		if (table->type != SECTION_SYMBOLS)
			continue;
		for (uint32_t k = 1; k < table->size / sizeof *symbols; k++) {
			const struct elf_symbol *s = &symbols[k];

			if (s->shndx == INDEX_UNDEFINED || (!locals && s->info >> 4 == BIND_LOCAL))
				continue;
			if (strcmp(elf_string(file, elf_section(file, table->link), s->name), name) == 0)
				return defined_at(file, s);
		}
	}
	return 0;
}

static uint32_t resolve(struct elf_header *file, const struct elf_section *table, uint32_t index, const char *module)
{
	const struct elf_symbol *symbol = (const struct elf_symbol *)((uint32_t)file + table->offset) + index;
	const char *name = elf_string(file, elf_section(file, table->link), symbol->name);
	uint32_t address;

	if (index >= table->size / sizeof *symbol)
		panic("relocation against a symbol that does not exist");
	if (index == 0)
		return 0;
	if (symbol->shndx != INDEX_UNDEFINED)
		return defined_at(file, symbol);

	address = symbol_find(name);
	if (address == 0)
		address = loader_find_symbol(name);
	if (address == 0 && symbol->info >> 4 != BIND_WEAK) {
		kprintf("module %s: undefined symbol %s\n", module, name);
		panic("module cannot be linked");
	}
	return address;
}

static void relocate_section(struct elf_header *file, const struct elf_section *relocations, const char *module)
{
	const struct elf_section *target = elf_section(file, relocations->info);
	const struct elf_section *table = elf_section(file, relocations->link);
	const struct elf_relocation *list = (const struct elf_relocation *)((uint32_t)file + relocations->offset);

	for (uint32_t i = 0; i < relocations->size / sizeof *list; i++) {
		uint32_t type = list[i].info & 0xFF;
		uint32_t place = target->addr + list[i].offset;
		uint32_t symbol;

		if (type == RELOCATE_NONE)
			continue;
		if (target->size < 4 || list[i].offset > target->size - 4)
			panic("relocation outside of its section");
		symbol = resolve(file, table, list[i].info >> 8, module);
		/* The addend is what the place holds. */
		switch (type) {
		case RELOCATE_32:
			*(uint32_t *)place += symbol;
			break;
		case RELOCATE_PC32:
		case RELOCATE_PLT32: /* without shared libraries, a call through the PLT is a call */
			*(uint32_t *)place += symbol - place;
			break;
		default:
			kprintf("module %s: relocation type %u\n", module, type);
			panic("module cannot be linked");
		}
	}
}

void link_relocate(struct elf_header *file, const char *name)
{
	for (uint32_t i = 0; i < file->shnum; i++) {
		const struct elf_section *s = elf_section(file, i);

		if (s->type == SECTION_RELOCATIONS_ADDEND)
			panic("i386 has no relocations with an addend");
		/* Debug information has relocations too, but is not part of the program. */
		if (s->type == SECTION_RELOCATIONS && (elf_section(file, s->info)->flags & SECTION_ALLOCATED))
			relocate_section(file, s, name);
	}
}
