/*
 * Owns a guest that attacks the devices by their ports. The first word of the command line says how; the guest prints
 * `survived` and leaves with status 0 when nothing has stopped it.
 */
#include "hostile.h"

#define PORTS 0x10000
/* Above this port no machine of ours has a device. */
#define DEVICES_END 0x1000
#define POST_CODE 0x80
#define CLOCK_DATA 0x71
/* An access across the end of COM1 kills the emulator. */
#define COM1_END (COM1 + 8)

static bool crosses_com1_end(uint32_t port, uint32_t width)
{
	return port < COM1_END && port + width > COM1_END;
}

/*
 * The port after `port`: every one for 8 bits and where devices are. Elsewhere, the attack's number says how many ports on,
 * seven if there is none, as in a VM within an emulator each access takes its time.
 */
static uint32_t next(uint32_t port, uint32_t width)
{
	uint32_t number = attack_number();

	if (width == 1 || port < DEVICES_END)
		return port + 1;
	return port + (number != 0 ? number : 7);
}

static void write_below(uint32_t end, uint32_t width, uint32_t value)
{
	for (uint32_t port = 0; port < end; port = next(port, width))
		if (!ends_the_guest(port, width) && !crosses_com1_end(port, width) && !is_emulators_own(port, width) &&
		    (port + width <= COM1 || port >= COM1_END))
			out((uint16_t)port, width, value);
}

static void write_all(uint32_t width)
{
	write_below(DEVICES_END, width, 0x00000000);
	write_below(DEVICES_END, width, 0xFFFFFFFF);
	write_below(PORTS, width, 0xA55A3CC3);
}

static void write8(void)
{
	write_all(1);
}

static void write16(void)
{
	write_all(2);
}

static void write32(void)
{
	write_all(4);
}

static void read_all(uint32_t width)
{
	for (uint32_t port = 0; port < PORTS; port = next(port, width))
		if (!crosses_com1_end(port, width))
			in((uint16_t)port, width);
	restore_com1();
}

static void read8(void)
{
	read_all(1);
}

static void read16(void)
{
	read_all(2);
}

static void read32(void)
{
	read_all(4);
}

/* Every port up to the first that ends the guest. */
static void up8(void)
{
	for (uint32_t port = 0; port < PORTS; port++)
		if (!is_emulators_own(port, 1))
			outb((uint16_t)port, 0xFF);
}

/* The same from the other end, with a status for the fault catcher's port, which has no record to show. */
static void down8(void)
{
	for (uint32_t port = PORTS - 1; port != 0; port--)
		if (!is_emulators_own(port, 1))
			outb((uint16_t)port, 42);
}

/* Accesses that are not aligned to the exit ports, or begin before them: none of them counts. */
static void exit_unaligned(void)
{
	outw(STOS_PORT_EXIT - 1, 42 << 8);
	outw(STOS_PORT_EXIT + 1, 43);
	outw(STOS_PORT_EXIT + 3, 44);
	outl(STOS_PORT_EXIT - 2, 45 << 16);
	outl(STOS_PORT_EXIT + 2, 46);
}

/* An aligned one in their middle does. */
static void exit_middle(void)
{
	outw(STOS_PORT_EXIT + 2, 47);
}

static void com1_end(void)
{
	outl(COM1 + 7, 0);
}

static void com1_registers(void)
{
	for (uint32_t n = 0; n < 100000; n++) {
		uint32_t value = random_number();

		/* Not the transmitter: what it sends before it is reset depends on how fast it is. */
		outb((uint16_t)(COM1 + 1 + value % 7), (uint8_t)(value >> 8));
		inb((uint16_t)(COM1 + (value >> 16) % 8));
	}
	restore_com1();
}

static void rep_ins(uint16_t port, volatile uint8_t *to, uint32_t width, uint32_t count)
{
	if (width == 1)
		__asm__ volatile("rep insb" : "+D"(to), "+c"(count) : "d"(port) : "memory");
	else if (width == 2)
		__asm__ volatile("rep insw" : "+D"(to), "+c"(count) : "d"(port) : "memory");
	else
		__asm__ volatile("rep insl" : "+D"(to), "+c"(count) : "d"(port) : "memory");
}

static void rep_outs(uint16_t port, volatile uint8_t *from, uint32_t width, uint32_t count)
{
	if (width == 1)
		__asm__ volatile("rep outsb" : "+S"(from), "+c"(count) : "d"(port) : "memory");
	else if (width == 2)
		__asm__ volatile("rep outsw" : "+S"(from), "+c"(count) : "d"(port) : "memory");
	else
		__asm__ volatile("rep outsl" : "+S"(from), "+c"(count) : "d"(port) : "memory");
}

/* The end of WINDOW, after which nothing is mapped. */
static volatile uint8_t *const window_end = WINDOW + STOS_WINDOW_SIZE;

/* The last element lies across the end. */
static void ins_to_unmapped(uint32_t width)
{
	rep_ins(CLOCK_DATA, window_end - 9, width, 0xFFFFFFFF);
}

static void outs_from_unmapped(uint32_t width)
{
	rep_outs(POST_CODE, window_end - 9, width, 0xFFFFFFFF);
}

static void strings(void)
{
	look_at(2 * STOS_WINDOW_SIZE);
	use_attempts();
	for (uint32_t width = 1; width <= 4; width *= 2)
		if (attempt(ins_to_unmapped, width) || attempt(outs_from_unmapped, width))
			print("no page fault\n");
}

/* From the last page of 16 MiB of memory into the page of nothing after it. */
static void strings_past_memory(void)
{
	static const uint32_t end = 16 << 20;
	static const uint32_t page = 4096;

	page_directory()[WINDOW_ENTRY + 1] = end | STOS_PDE_FLAGS;
	look_at(end - STOS_WINDOW_SIZE);
	for (uint32_t width = 1; width <= 4; width *= 2) {
		rep_ins(CLOCK_DATA, window_end - page, width, 2 * page / width);
		rep_outs(POST_CODE, window_end - page, width, 2 * page / width);
		rep_ins(CLOCK_DATA, window_end - 1, width, 1);
		rep_outs(POST_CODE, window_end - 1, width, 1);
	}
}

static _Noreturn void flood(uint16_t port)
{
	for (;;)
		outb(port, 'x');
}

static void flood_serial(void)
{
	flood(COM1);
}

static void flood_debug(void)
{
	flood(DEBUG_CONSOLE);
}

/* Random bytes for interrupt controllers, timer, clock, keyboard controller, display adapter. */
static void controllers(void)
{
	static const uint16_t ports[] = {0x20, 0x21, 0xA0, 0xA1, 0x4D0, 0x4D1, 0x40, 0x41, 0x42, 0x43, 0x61, 0x70, 0x71, 0x80};

	for (uint32_t n = 0; n < 100000; n++) {
		uint32_t value = random_number();
		uint16_t port = ports[value % (sizeof ports / sizeof *ports)];

		if (value & 0x10000)
			outb(port, (uint8_t)(value >> 8));
		else
			inb(port);
	}
}

/*
 * Random commands and data, but for those that reset or switch address line 20 off, which the emulator has: 0xD1 with its
 * operand, 0xDD, and pulses with bit 0 clear.
 */
static void keyboard_controller(void)
{
	for (uint32_t n = 0; n < 50000; n++) {
		uint32_t value = random_number();
		uint8_t byte = (uint8_t)(value >> 8);

		if (value & 0x10000)
			inb(value & 0x20000 ? 0x60 : 0x64);
		else if (value & 0x20000)
			outb(0x60, byte | 1);
		else if (byte != 0xD1 && byte != 0xDD)
			outb(0x64, byte < 0xF0 ? byte : byte | 1);
	}
}

static void display_adapter(void)
{
	volatile uint8_t *text = (volatile uint8_t *)STOS_VGA_TEXT;

	for (uint32_t n = 0; n < 100000; n++) {
		uint32_t value = random_number();

		outb((uint16_t)(0x3C0 + value % 0x20), (uint8_t)(value >> 8));
		text[(value >> 16) % 0x8000] = (uint8_t)(value >> 7);
	}
}

void kernel_main(const struct boot_interface *boot)
{
	static const struct attack attacks[] = {
		{"write8", write8},
		{"write16", write16},
		{"write32", write32},
		{"read8", read8},
		{"read16", read16},
		{"read32", read32},
		{"up8", up8},
		{"down8", down8},
		{"exit_unaligned", exit_unaligned},
		{"exit_middle", exit_middle},
		{"com1_end", com1_end},
		{"com1", com1_registers},
		{"strings", strings},
		{"strings_past_memory", strings_past_memory},
		{"flood_serial", flood_serial},
		{"flood_debug", flood_debug},
		{"controllers", controllers},
		{"keyboard_controller", keyboard_controller},
		{"display_adapter", display_adapter},
		{NULL, NULL},
	};

	attack_as_told(boot, attacks);
}
