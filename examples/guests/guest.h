/*
 * Owns what the small guests share: printing on COM1 and leaving through the exit port.
 *
 * A guest is one function, `_Noreturn void kernel_main(const struct boot_interface *boot)`, that the loader calls with
 * interrupts off and without an interrupt descriptor table of the guest's own.
 */
#ifndef GUEST_H
#define GUEST_H

#include <stdbool.h>

#include "stos_boot.h"

#define COM1 0x3F8
#define COM1_LINE_STATUS (COM1 + 5)
#define LINE_STATUS_DATA_READY 0x01
#define LINE_STATUS_THR_EMPTY 0x20

/* QEMU's and Bochs's debug console: a byte written here is a byte printed. */
#define DEBUG_CONSOLE 0xE9

_Noreturn void kernel_main(const struct boot_interface *boot);

static inline void outb(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline void outw(uint16_t port, uint16_t value)
{
	__asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline void outl(uint16_t port, uint32_t value)
{
	__asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline uint8_t inb(uint16_t port)
{
	uint8_t value;

	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port) : "memory");
	return value;
}

static inline uint32_t inl(uint16_t port)
{
	uint32_t value;

	__asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port) : "memory");
	return value;
}

static inline void print_char(char c)
{
	while (!(inb(COM1_LINE_STATUS) & LINE_STATUS_THR_EMPTY))
		;
	outb(COM1, (uint8_t)c);
}

static inline void print(const char *text)
{
	while (*text != '\0')
		print_char(*text++);
}

static inline void print_decimal(uint32_t value)
{
	if (value >= 10)
		print_decimal(value / 10);
	print_char((char)('0' + value % 10));
}

/* "0x" and eight digits. */
static inline void print_hex(uint32_t value)
{
	print("0x");
	for (int shift = 28; shift >= 0; shift -= 4)
		print_char("0123456789ABCDEF"[value >> shift & 0xF]);
}

/* The number after `key` where it starts a word of the line, or `otherwise`. */
static inline uint32_t word_value(const char *line, const char *key, uint32_t otherwise)
{
	for (bool at_start = true; *line != '\0'; at_start = *line++ == ' ') {
		uint32_t n = 0;
		uint32_t value = 0;

		while (key[n] != '\0' && line[n] == key[n])
			n++;
		if (!at_start || key[n] != '\0')
			continue;
		for (line += n; *line >= '0' && *line <= '9'; line++)
			value = value * 10 + (uint32_t)(*line - '0');
		return value;
	}
	return otherwise;
}

/* Takes the mapping of physical 0 at virtual 0 away, as kernels do early: from here on, NULL points nowhere. */
static inline void drop_identity_mapping(void)
{
	volatile uint32_t *directory = (volatile uint32_t *)(STOS_KERNEL_BASE + STOS_PAGE_DIRECTORY);

	directory[STOS_PDE_IDENTITY] = 0;
	__asm__ volatile("movl %%cr3, %%eax; movl %%eax, %%cr3" : : : "eax", "memory");
}

/* Two digits. */
static inline void print_byte(uint8_t value)
{
	print_char("0123456789ABCDEF"[value >> 4]);
	print_char("0123456789ABCDEF"[value & 0xF]);
}

/* Halts for good, with interrupts off. */
static inline _Noreturn void halt(void)
{
	for (;;)
		__asm__ volatile("cli; hlt");
}

/* Ends the guest with a status from 0 to 63. */
static inline _Noreturn void leave(uint8_t status)
{
	outb(STOS_PORT_EXIT, status);
	halt();
}

#endif
