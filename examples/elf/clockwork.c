/*
 * Owns a guest whose every word depends on when things happen: timer, clock and local APIC interrupt it while it computes, and it reads
 * COM1 or, with EAX 1, the keyboard, until a q or a q that goes up; what each of them finds goes into a digest, with the time stamp
 * counter. With EAX 2 it waits for the timer for ever.
 */
#include "../guests/idt.h"
#include "pc.h"

#define FLAT_CODE 0x10
#define CLOCK_IRQ 8
#define APIC_VECTOR 0x40
#define APIC(offset) (*(volatile uint32_t *)(0xFEE00000 + (offset)))
#define APIC_SPURIOUS 0xF0
#define APIC_EOI 0xB0
#define APIC_LVT_TIMER 0x320
#define APIC_LVT_LINT0 0x350
#define APIC_INITIAL 0x380
#define APIC_DIVIDER 0x3E0
#define PERIODIC 0x20000
#define EXTERNAL 0x700
#define STATUS_A 0x0A
#define STATUS_B 0x0B
#define STATUS_C 0x0C
#define PERIODIC_CLOCK 0x42
#define OUTPUT_FULL 0x01
#define Q_RELEASED 0x90
#define ROUNDS 200000

struct interrupt_frame {
	uint32_t eip;
	uint32_t cs;
	uint32_t eflags;
};

static uint64_t gdt[] = {0, 0, 0x00CF9B000000FFFF, 0x00CF93000000FFFF};
static struct gate idt[APIC_VECTOR + 1];
static volatile uint32_t digest = 0x811C9DC5;
static volatile uint32_t counts[3];

_Noreturn void go(uint32_t mode);

static void mix(uint32_t value)
{
	digest = (digest ^ value) * 0x01000193;
}

static uint32_t now(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return low ^ high;
}

static void note(const struct interrupt_frame *frame, uint32_t source)
{
	counts[source]++;
	mix(source);
	mix(frame->eip);
	mix(now());
}

__attribute__((interrupt)) static void on_timer(struct interrupt_frame *frame)
{
	note(frame, 0);
	outb(PIC1, END_OF_INTERRUPT);
}

__attribute__((interrupt)) static void on_clock(struct interrupt_frame *frame)
{
	note(frame, 1);
	outb(0x70, STATUS_C);
	mix(inb(0x71));
	outb(PIC2, END_OF_INTERRUPT);
	outb(PIC1, END_OF_INTERRUPT);
}

__attribute__((interrupt)) static void on_apic(struct interrupt_frame *frame)
{
	note(frame, 2);
	APIC(APIC_EOI) = 0;
}

static void set_up(bool with_all)
{
	struct table_register gdtr = {sizeof gdt - 1, (uint32_t)gdt};

	__asm__ volatile("lgdt %0; ljmp %1, $1f; 1: mov %2, %%ss" : : "m"(gdtr), "i"(FLAT_CODE), "r"(0x18) : "memory");
	idt[0x20 + TIMER_IRQ] = make_gate(FLAT_CODE, (uint32_t)on_timer);
	idt[0x20 + CLOCK_IRQ] = make_gate(FLAT_CODE, (uint32_t)on_clock);
	idt[APIC_VECTOR] = make_gate(FLAT_CODE, (uint32_t)on_apic);
	load_idt(idt, sizeof idt - 1);
	set_up_pics(with_all ? 1 << TIMER_IRQ | 1 << IRQ_CASCADE | 1 << CLOCK_IRQ : 1 << TIMER_IRQ);
	set_timer(with_all ? 1000 : 100);
	if (!with_all)
		return;
	outb(0x70, STATUS_B);
	outb(0x71, PERIODIC_CLOCK);
	outb(0x70, STATUS_C);
	inb(0x71);
	APIC(APIC_SPURIOUS) = 0x1FF;
	APIC(APIC_LVT_LINT0) = EXTERNAL;
	APIC(APIC_DIVIDER) = 0;
	APIC(APIC_LVT_TIMER) = PERIODIC | APIC_VECTOR;
	APIC(APIC_INITIAL) = 123457;
}

/* Mixes in what was sent, if anything was; true for the last of it. */
static bool read_input(bool from_keyboard)
{
	uint8_t byte;

	if (from_keyboard ? !(inb(0x64) & OUTPUT_FULL) : !(inb(COM1_LINE_STATUS) & LINE_STATUS_DATA_READY))
		return false;
	byte = inb(from_keyboard ? 0x60 : COM1);
	mix(byte);
	mix(now());
	return byte == (from_keyboard ? Q_RELEASED : 'q');
}

void go(uint32_t mode)
{
	uint32_t value = 1;
	bool has_read = false;

	set_up(mode != 2);
	if (mode == 2)
		print("clockwork: waiting\n");
	while (mode == 2)
		__asm__ volatile("sti; hlt");
	__asm__ volatile("sti");
	for (uint32_t round = 0; round < ROUNDS || !has_read; round++) {
		for (uint32_t n = 0; n < 20; n++)
			value = value * 1664525 + 1013904223;
		if (round % 50 == 0 && !has_read)
			has_read = read_input(mode == 1);
		if (round % 4000 == 0)
			__asm__ volatile("hlt");
	}
	__asm__ volatile("cli");
	mix(value);
	for (uint32_t source = 0; source < 3; source++) {
		print_decimal(counts[source]);
		print(source == 0 ? " ticks, " : source == 1 ? " of the clock, " : " of the APIC\n");
	}
	print_hex(digest);
	print_char('\n');
	leave(counts[0] && counts[1] && counts[2] ? 0 : 1);
}

__asm__(".globl start\nstart: push %eax\n push $0\n jmp go\n");
