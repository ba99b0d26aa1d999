/* Offers the loading of modules. */
#ifndef LOADER_H
#define LOADER_H

#include <stdint.h>

/* Links and starts the modules of a zero-terminated array of file addresses, in order. */
void loader_run(const uint32_t *files);
/* The address of a global symbol of a module that was loaded earlier, or 0. */
uint32_t loader_find_symbol(const char *name);
/* Called by a module: the kernel calls `function` once it has loaded all modules. */
void loader_then(void (*function)(void));
/* Calls that function, if there is one. */
void loader_continue(void);

#endif
