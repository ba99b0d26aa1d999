/* Offers the kernel's export table: the functions that modules may call by name. */
#ifndef SYMBOL_H
#define SYMBOL_H

#include <stdint.h>

struct symbol {
	const char *name;
	const void *address;
};

/* Makes a function of the kernel visible to modules. The linker script gathers the entries into one table. */
#define EXPORT(function) \
	static const struct symbol export_##function __attribute__((section(".exports"), used)) = { #function, (const void *)function }

/* The address of an exported function of the kernel, or 0. */
uint32_t symbol_find(const char *name);

#endif
