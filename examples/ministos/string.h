/* Offers the few string functions that the kernel, its modules and the compiler itself call. */
#ifndef STRING_H
#define STRING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void *memcpy(void *to, const void *from, size_t n);
void *memset(void *to, int byte, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
int strcmp(const char *a, const char *b);

/* Whether the n bytes at `text` are the string `word`. */
bool text_is(const char *text, size_t n, const char *word);

/* Reads an unsigned decimal number that fills the n bytes at `text`; false if they are none or it passes 32 bits. */
bool parse_decimal(const char *text, size_t n, uint32_t *value);

#endif
