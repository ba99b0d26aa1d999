/* Owns the checks of a module's file: made once, so that the linker can rely on where its sections are. */
#include "elf.h"

#include <stddef.h>

#include "string.h"

static bool fits(uint32_t offset, uint32_t size, uint32_t room)
{
	return offset <= room && size <= room - offset;
}

bool elf_is_sane_module(uint32_t address, uint32_t limit)
{
	struct elf_header *file = (struct elf_header *)address;
	uint32_t room;

	if (address >= limit || limit - address < sizeof *file)
		return false;
	room = limit - address;
	if (memcmp(file->ident, "\x7F" "ELF\1\1\1", 7) != 0 || file->type != ELF_TYPE_RELOCATABLE ||
	    file->machine != ELF_MACHINE_386 || file->shentsize != sizeof(struct elf_section))
		return false;
	if (file->shnum == 0 || file->shstrndx >= file->shnum || !fits(file->shoff, file->shnum * sizeof(struct elf_section), room))
		return false;
	for (uint32_t i = 0; i < file->shnum; i++) {
		const struct elf_section *s = elf_section(file, i);

		if (s->type != SECTION_NO_BITS && !fits(s->offset, s->size, room))
			return false;
		if (s->link >= file->shnum)
			return false;
		if (s->type == SECTION_RELOCATIONS && (s->info >= file->shnum || s->entsize != sizeof(struct elf_relocation)))
			return false;
	}
	return true;
}

struct elf_section *elf_find_section(struct elf_header *file, const char *name)
{
	const struct elf_section *names = elf_section(file, file->shstrndx);

	for (uint32_t i = 0; i < file->shnum; i++) {
		struct elf_section *s = elf_section(file, i);

		if (strcmp(elf_string(file, names, s->name), name) == 0)
			return s;
	}
	return NULL;
}
