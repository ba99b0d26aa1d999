/* Offers the linking of a module's file in the place where it was loaded. */
#ifndef LINK_H
#define LINK_H

#include <stdint.h>

struct elf_header;

/* Gives every allocated section its address: in the file itself, or in the early heap for .bss. */
void link_place(struct elf_header *file);
/* Applies all relocations; panics on a symbol that nobody defines. `name` is the module's, for messages. */
void link_relocate(struct elf_header *file, const char *name);
/* The address of a symbol that the file defines, or 0. Local symbols count if `locals` is not 0. */
uint32_t link_find(struct elf_header *file, const char *symbol, int locals);

#endif
