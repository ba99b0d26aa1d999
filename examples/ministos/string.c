/* Owns the string functions; the first three keep their names because the compiler emits calls to them. */
#include "string.h"

#include "symbol.h"

/* In assembly: written as a loop, the compiler would recognise memcpy and call the function from itself. */
void *memcpy(void *to, const void *from, size_t n)
{
	void *result = to;

	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
	return result;
}

void *memset(void *to, int byte, size_t n)
{
	void *result = to;

	__asm__ volatile("rep stosb" : "+D"(to), "+c"(n) : "a"(byte) : "memory");
	return result;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const uint8_t *x = a;
	const uint8_t *y = b;

	for (size_t i = 0; i < n; i++)
		if (x[i] != y[i])
			return x[i] - y[i];
	return 0;
}

size_t strlen(const char *s)
{
	size_t n = 0;

	while (s[n] != '\0')
		n++;
	return n;
}

int strcmp(const char *a, const char *b)
{
	while (*a != '\0' && *a == *b) {
		a++;
		b++;
	}
	return (unsigned char)*a - (unsigned char)*b;
}

bool text_is(const char *text, size_t n, const char *word)
{
	return strlen(word) == n && memcmp(text, word, n) == 0;
}

bool parse_decimal(const char *text, size_t n, uint32_t *value)
{
	uint32_t sum = 0;

	if (n == 0)
		return false;
	for (size_t i = 0; i < n; i++) {
		uint32_t digit = (uint32_t)(text[i] - '0');

		if (digit > 9 || sum > (UINT32_MAX - digit) / 10)
			return false;
		sum = sum * 10 + digit;
	}
	*value = sum;
	return true;
}

EXPORT(memcpy);
EXPORT(memset);
EXPORT(memcmp);
EXPORT(strlen);
EXPORT(strcmp);
EXPORT(text_is);
EXPORT(parse_decimal);
