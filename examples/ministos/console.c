/* Owns kprintf: formatting, and the decision where output goes. */
#include "console.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

#include "serial.h"
#include "string.h"
#include "symbol.h"
#include "vga.h"

static void put(char c)
{
	serial_put(c);
	vga_put(c);
}

static void put_times(char c, uint32_t n)
{
	while (n-- > 0)
		put(c);
}

void console_write(const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++)
		put(text[i]);
}

/* Converts into the end of `buffer`, whose last byte stays NUL, and returns the first digit. */
static const char *digits(char buffer[12], uint32_t value, uint32_t base)
{
	char *p = buffer + 11;

	*p = '\0';
	do {
		*--p = "0123456789ABCDEF"[value % base];
		value /= base;
	} while (value != 0);
	return p;
}

void kprintf(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	for (; *format != '\0'; format++) {
		char buffer[12];
		const char *text = buffer;
		bool left = false;
		bool negative = false;
		char fill = ' ';
		uint32_t width = 0;
		uint32_t length;

		if (*format != '%') {
			put(*format);
			continue;
		}
		format++;
		if (*format == '-') {
			left = true;
			format++;
		} else if (*format == '0') {
			fill = '0';
			format++;
		}
		while (*format >= '0' && *format <= '9')
			width = width * 10 + (uint32_t)(*format++ - '0');

		switch (*format) {
		case 'c':
			buffer[0] = (char)va_arg(args, int);
			buffer[1] = '\0';
			break;
		case 's':
			text = va_arg(args, const char *);
			break;
		case 'd': {
			int value = va_arg(args, int);

			negative = value < 0;
			text = digits(buffer, negative ? 0U - (uint32_t)value : (uint32_t)value, 10);
			break;
		}
		case 'u':
			text = digits(buffer, va_arg(args, uint32_t), 10);
			break;
		case 'x':
			text = digits(buffer, va_arg(args, uint32_t), 16);
			break;
		default:
			buffer[0] = *format;
			buffer[1] = '\0';
			break;
		}

		length = strlen(text) + negative;
		if (!left && fill == ' ' && length < width)
			put_times(' ', width - length);
		if (negative)
			put('-');
		if (!left && fill == '0' && length < width)
			put_times('0', width - length);
		console_write(text, length - negative);
		if (left && length < width)
			put_times(' ', width - length);
	}
	va_end(args);
}

EXPORT(console_write);
EXPORT(kprintf);
