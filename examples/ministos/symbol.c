/* Owns the search of the kernel's export table. */
#include "symbol.h"

#include "string.h"

extern const struct symbol kernel_exports_start[];
extern const struct symbol kernel_exports_end[];

uint32_t symbol_find(const char *name)
{
	for (const struct symbol *s = kernel_exports_start; s < kernel_exports_end; s++)
		if (strcmp(s->name, name) == 0)
			return (uint32_t)s->address;
	return 0;
}
