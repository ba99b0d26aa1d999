/* Offers formatted output to COM1 and the VGA text screen. */
#ifndef CONSOLE_H
#define CONSOLE_H

#include <stddef.h>

/* Writes n bytes to both. */
void console_write(const char *text, size_t n);

/* Knows %c, %s, %d, %u, %x, %%, a width, and a leading 0 or - before it; %x prints upper-case digits. */
void kprintf(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
