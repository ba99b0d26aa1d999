/* Owns a guest that reads the date and the sizes of memory from the clock's CMOS memory. */
#include "guest.h"

#define INDEX 0x70
#define DATA 0x71
#define STATUS_A 0x0A
#define STATUS_B 0x0B
#define UPDATE_IN_PROGRESS 0x80
#define BINARY 0x04

static uint8_t cmos(uint8_t index)
{
	outb(INDEX, index);
	return inb(DATA);
}

static uint32_t number(uint8_t index)
{
	uint8_t value = cmos(index);

	return cmos(STATUS_B) & BINARY ? value : (value >> 4) * 10U + (value & 0xF);
}

static void print_two(uint32_t value)
{
	print_decimal(value / 10);
	print_decimal(value % 10);
}

void kernel_main(const struct boot_interface *boot)
{
	(void)boot;
	while (cmos(STATUS_A) & UPDATE_IN_PROGRESS)
		;
	/* Not the seconds: how many have passed depends on the host. */
	print("rtc: ");
	print_two(number(0x32));
	print_two(number(0x09));
	print_char('-');
	print_two(number(0x08));
	print_char('-');
	print_two(number(0x07));
	print_char(' ');
	print_two(number(0x04));
	print_char(':');
	print_two(number(0x02));
	print(", day ");
	print_decimal(number(0x06));
	print("\nrtc: ");
	print_decimal(cmos(0x15) | cmos(0x16) << 8);
	print(" KiB and ");
	print_decimal(cmos(0x17) | cmos(0x18) << 8);
	print(" KiB above 1 MiB\n");
	leave(0);
}
