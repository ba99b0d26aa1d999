/*
 * Owns what the guests that mean harm share: the choice of the attack by the command line, a way to survive exceptions, a
 * window onto any physical address, and numbers that look random and are the same in every run.
 */
#ifndef HOSTILE_H
#define HOSTILE_H

#include "attempt.h"
#include "idt.h"

struct attack {
	const char *name;
	void (*run)(void);
};

/* One page directory entry after the kernel window's; its address is the window's own end. */
#define WINDOW_ENTRY (STOS_PDE_WINDOW + 1)
#define WINDOW ((volatile uint8_t *)(STOS_KERNEL_BASE + STOS_WINDOW_SIZE))

/* Words of the command line after the attack's name. */
static const char *attack_words;

/* True when `line` begins with `word`, as a whole word. */
static inline bool is_word(const char *line, const char *word)
{
	while (*word != '\0' && *line == *word) {
		line++;
		word++;
	}
	return *word == '\0' && (*line == ' ' || *line == '\0');
}

/* The number that follows the attack's name. */
static inline uint32_t attack_number(void)
{
	uint32_t value = 0;

	for (const char *digit = attack_words; *digit >= '0' && *digit <= '9'; digit++)
		value = value * 10 + (uint32_t)(*digit - '0');
	return value;
}

/* Runs the attack that the command line names. Whoever survives one leaves with status 0. */
static inline _Noreturn void attack_as_told(const struct boot_interface *boot, const struct attack *attacks)
{
	const char *line = (const char *)boot->commandline;

	for (; attacks->name != NULL; attacks++) {
		if (!is_word(line, attacks->name))
			continue;
		print("attack: ");
		print(attacks->name);
		print_char('\n');
		for (attack_words = line; *attack_words != '\0' && *attack_words++ != ' ';)
			;
		attacks->run();
		print("survived\n");
		leave(0);
	}
	print("no such attack\n");
	leave(1);
}

/* From here on exceptions end the attempt that they come in. Interrupts do as well, so they stay disabled. */
static inline void use_attempts(void)
{
	static struct gate idt[256];

	for (uint32_t vector = 0; vector < 256; vector++)
		idt[vector] = make_gate(CODE_SELECTOR, (uint32_t)attempt_failed);
	load_idt(idt, sizeof idt - 1);
}

static inline volatile uint32_t *page_directory(void)
{
	return (volatile uint32_t *)(STOS_KERNEL_BASE + STOS_PAGE_DIRECTORY);
}

static inline void flush_tlb(void)
{
	__asm__ volatile("movl %%cr3, %%eax; movl %%eax, %%cr3" : : : "eax", "memory");
}

/* The 4 MiB around this physical address appear at WINDOW. Returns where the address is. */
static inline volatile uint8_t *look_at(uint32_t physical)
{
	page_directory()[WINDOW_ENTRY] = (physical & ~(STOS_WINDOW_SIZE - 1)) | STOS_PDE_FLAGS;
	flush_tlb();
	return WINDOW + (physical & (STOS_WINDOW_SIZE - 1));
}

static uint32_t random_state = 1;

/* Marsaglia's xorshift of 32 bits. */
static inline uint32_t random_number(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 17;
	random_state ^= random_state << 5;
	return random_state;
}

/* A seed of any value. */
static inline void seed_random(uint32_t seed)
{
	random_state = seed * 2654435761u | 1;
}

static inline uint16_t inw(uint16_t port)
{
	uint16_t value;

	__asm__ volatile("inw %1, %0" : "=a"(value) : "Nd"(port) : "memory");
	return value;
}

/* An access of 1, 2 or 4 bytes. */
static inline void out(uint16_t port, uint32_t width, uint32_t value)
{
	if (width == 1)
		outb(port, (uint8_t)value);
	else if (width == 2)
		outw(port, (uint16_t)value);
	else
		outl(port, value);
}

static inline uint32_t in(uint16_t port, uint32_t width)
{
	if (width == 1)
		return inb(port);
	return width == 2 ? inw(port) : inl(port);
}

/* COM1 as it is after a reset, whatever was done to it. */
static inline void restore_com1(void)
{
	outb(COM1 + 3, 0x03);
	outb(COM1 + 1, 0x00);
	outb(COM1 + 2, 0x00);
	outb(COM1 + 4, 0x03);
}

/* Whether an access to these ports ends the guest, or may: exit, fault catcher, panic, and resets. */
static inline bool ends_the_guest(uint32_t port, uint32_t width)
{
	static const uint16_t ends[][2] = {{0x60, 0x64}, {0x92, 0x92}, {0xF4, 0xF7}, {0x505, 0x505}, {0x5F4, 0x5F7}};

	for (uint32_t n = 0; n < sizeof ends / sizeof *ends; n++)
		if (port <= ends[n][1] && port + width > ends[n][0])
			return true;
	return false;
}

/* Whether the emulator has a device there and KVM has none: 8237s, floppy controller and fw_cfg write to memory. */
static inline bool is_emulators_own(uint32_t port, uint32_t width)
{
	static const uint16_t own[][2] = {{0x00, 0x0F}, {0x81, 0x8F}, {0xC0, 0xDF}, {0x3F1, 0x3F5}, {0x3F7, 0x3F7}, {0x510, 0x51B}};

	for (uint32_t n = 0; n < sizeof own / sizeof *own; n++)
		if (port <= own[n][1] && port + width > own[n][0])
			return true;
	return false;
}

#endif
