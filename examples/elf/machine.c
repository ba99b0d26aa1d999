/*
 * Owns a guest that measures in what a machine differs from the other ones of docs/machine.md, whose table has a row for each
 * line that it prints. It leaves paging off and takes exceptions, but returns from none, so that every KVM runs it.
 */
#include "../guests/attempt.h"
#include "pc.h"

#define CODE_SELECTOR 0x08
#define INTERRUPT_GATE 0x8E00

#define LOCAL_APIC_SPURIOUS 0xFEE000F0
#define IO_APIC_INDEX 0xFEC00000
#define IO_APIC_DATA 0xFEC00010
#define IO_APIC_VERSION 1

#define CLOCK_INDEX 0x70
#define CLOCK_DATA 0x71
#define STATUS_C 0x0C
#define BOOT_DEVICE 0x3D

#define HIGH_HZ 20000
#define KVM_LIMIT_HZ 5000

#define PLATFORM_INFO 0xCE
#define MACHINE_CHECK_CAPABILITIES 0x179
#define NO_MSR 0x5A5A

/* What is here when a processor is reset is firmware. */
#define RESET_VECTOR 0xFFFF0

_Noreturn void start(void);

struct table_register {
	uint16_t limit;
	const void *base;
} __attribute__((packed));

static uint64_t gdt[] = {0, 0x00CF9B000000FFFF, 0x00CF93000000FFFF};
static uint32_t idt[32][2];
static uint32_t low, high;

/* From here on exceptions end the attempt that they come in. */
static void use_attempts(void)
{
	struct table_register gdtr = {sizeof gdt - 1, gdt};
	struct table_register idtr = {sizeof idt - 1, idt};

	for (uint32_t vector = 0; vector < 32; vector++) {
		idt[vector][0] = CODE_SELECTOR << 16 | ((uint32_t)attempt_failed & 0xFFFF);
		idt[vector][1] = ((uint32_t)attempt_failed & 0xFFFF0000) | INTERRUPT_GATE;
	}
	__asm__ volatile("lgdt %0; lidt %1; ljmp $0x08, $1f; 1:" : : "m"(gdtr), "m"(idtr) : "memory");
}

static void read_msr(uint32_t number)
{
	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(number));
}

static void tell(const char *name, const char *value)
{
	print(name);
	print(": ");
	print(value);
	print("\n");
}

static void tell_byte(const char *name, uint8_t value)
{
	print(name);
	print(": 0x");
	print_byte(value);
	print("\n");
}

static void tell_word(const char *name, uint32_t value)
{
	print(name);
	print(": ");
	print_hex(value);
	print("\n");
}

static void tell_msr(const char *name, uint32_t number)
{
	if (attempt(read_msr, number))
		tell_word(name, low);
	else
		tell(name, "#GP");
}

static uint8_t cmos(uint8_t index)
{
	outb(CLOCK_INDEX, index);
	return inb(CLOCK_DATA);
}

static uint8_t indexed(uint16_t port, uint8_t index, uint8_t value)
{
	outb(port, index);
	outb(port + 1, value);
	return inb(port + 1);
}

static uint16_t inw(uint16_t port)
{
	uint16_t value;

	__asm__ volatile("inw %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

/* Whether more ticks come in 10 ms than KVM's timer makes. It may take many looks: an emulator on a busy host is late. */
static bool is_fast(void)
{
	for (uint32_t look = 0; look < 200; look++) {
		uint32_t ticks = 0;

		begin_to_wait(10);
		set_timer(HIGH_HZ);
		while (!has_waited())
			ticks += take_request(PIC1) == IRQ_TIMER;
		if (ticks > KVM_LIMIT_HZ / 100 * 7 / 5)
			return true;
	}
	return false;
}

void start(void)
{
	use_attempts();
	tell_byte("CRTC register 0x0F, after a write of 0x5A", indexed(0x3D4, 0x0F, 0x5A));
	tell_byte("the byte at 0xFFFF0", *(const volatile uint8_t *)RESET_VECTOR);
	tell_word("local APIC, spurious vector register", *(volatile uint32_t *)LOCAL_APIC_SPURIOUS);
	*(volatile uint32_t *)IO_APIC_INDEX = IO_APIC_VERSION;
	tell_word("I/O APIC, version register", *(volatile uint32_t *)IO_APIC_DATA);
	tell_msr("MSR 0x5A5A, which no processor has", NO_MSR);
	tell_msr("MSR 0xCE, platform information", PLATFORM_INFO);
	tell_msr("MSR 0x179, machine check capabilities", MACHINE_CHECK_CAPABILITIES);
	tell_byte("port 0x08, DMA controller", inb(0x08));
	tell_byte("port 0x3F4, floppy controller", inb(0x3F4));
	outw(0x510, 0);
	tell_byte("port 0x511, fw_cfg", inb(0x511));
	tell_byte("CMOS 0x38", cmos(0x38));
	tell_byte("CMOS 0x3D, boot devices", cmos(BOOT_DEVICE));
	tell_word("16 bits from port 0x92", inw(0x92));
	cmos(STATUS_C);
	wait_for(5);
	tell_byte("the clock's status C, 5 ms after it was read, no interrupt enabled", cmos(STATUS_C) & 0x40);
	set_up_pics(1 << IRQ_TIMER);
	tell("counter 0, programmed to 20 kHz", is_fast() ? "faster than 5 kHz" : "5 kHz");
	leave(0);
}
