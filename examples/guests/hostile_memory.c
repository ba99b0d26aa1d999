/*
 * Owns a guest that attacks memory: what the loader put there, what the runner reads there, and addresses where there is
 * none. The first word of the command line says how, a number after it where random numbers begin; the guest prints
 * `survived` and leaves with status 0 when nothing has stopped it.
 */
#include "hostile.h"

#define BOOT_PAGES_END 0x5000
#define FAULT_RECORD 0x2400
#define FAULT_RECORD_WORDS 29
#define FAULT_MAGIC 0x21544C46
#define FAULT_PORT 0x5F4

#define IO_APIC 0xFEC00000
#define LOCAL_APIC 0xFEE00000
#define APIC_SPURIOUS 0xF0
#define APIC_COMMAND 0x300
#define APIC_COMMAND_HIGH 0x310
#define COMMAND_INIT 0x4500
#define DELIVERY_MODE 0x700u
#define MEMORY_END 0x01000000

static volatile uint32_t *low(uint32_t physical)
{
	return (volatile uint32_t *)(STOS_KERNEL_BASE + physical);
}

static void fill(uint32_t start, uint32_t end, bool zero)
{
	for (uint32_t address = start; address < end; address += 4)
		*low(address) = zero ? 0 : random_number();
}

static void wipe_boot_pages(void)
{
	fill(0, BOOT_PAGES_END, true);
	flush_tlb();
}

static void spoil_boot_pages(void)
{
	seed_random(attack_number());
	fill(0, BOOT_PAGES_END, false);
	flush_tlb();
}

/* The tables of the fault catcher and its code, then an exception for it. */
static void spoil_fault_catcher(void)
{
	seed_random(attack_number());
	fill(0x2000, BOOT_PAGES_END, false);
	__asm__ volatile("ud2");
}

static void forge_record(void)
{
	volatile uint32_t *record = low(FAULT_RECORD);

	seed_random(attack_number());
	for (uint32_t n = 0; n < FAULT_RECORD_WORDS; n++)
		record[n] = random_number();
	record[0] = FAULT_MAGIC;
	record[1] %= 32;
}

static void forged_record(void)
{
	forge_record();
	outb(FAULT_PORT, 1);
}

/* A record whose addresses exist, with frame pointers in a circle. */
static void forged_frames(void)
{
	volatile uint32_t *record = low(FAULT_RECORD);
	static uint32_t frame[2];

	forge_record();
	frame[0] = (uint32_t)frame;
	frame[1] = (uint32_t)forged_frames;
	record[3] = (uint32_t)forged_frames;
	record[10] = (uint32_t)frame - 64;
	record[11] = (uint32_t)frame;
	record[14] = 0x80000011;
	record[16] = STOS_PAGE_DIRECTORY;
	record[17] = 0x10;
	outb(FAULT_PORT, 1);
}

/* A success that leaves a record behind is none. */
static void forged_then_exit(void)
{
	forge_record();
	leave(0);
}

static void forged_then_halt(void)
{
	forge_record();
	halt();
}

static void no_record(void)
{
	outb(FAULT_PORT, 45);
}

/* Some addresses in each 4 MiB outside memory, by all widths. The local APIC has an attack of its own. */
static void mmio(void)
{
	for (uint32_t start = MEMORY_END; start != 0; start += STOS_WINDOW_SIZE) {
		volatile uint8_t *window = look_at(start);

		for (uint32_t n = 0; n < 8; n++) {
			uint32_t value = random_number();
			uint32_t offset = n == 0 ? 0 : value % (STOS_WINDOW_SIZE - 4);

			if (start + offset - LOCAL_APIC + 4 < 0x1000 + 4)
				continue;
			(void)window[offset];
			(void)*(volatile uint16_t *)(window + offset);
			(void)*(volatile uint32_t *)(window + offset);
			window[offset] = (uint8_t)value;
			*(volatile uint16_t *)(window + offset) = (uint16_t)value;
			*(volatile uint32_t *)(window + offset) = value;
		}
	}
}

/* Redirections of any sort but those that send INIT, which resets the CPU when the timer's interrupt comes. */
static void io_apic(void)
{
	volatile uint8_t *window = look_at(IO_APIC);

	for (uint32_t n = 0; n < 20000; n++) {
		uint32_t value = random_number();

		*(volatile uint32_t *)window = value >> 8 & 0x3F;
		*(volatile uint32_t *)(window + (value & 0xFFC)) = random_number() & ~DELIVERY_MODE;
		(void)*(volatile uint32_t *)(window + (value >> 16 & 0xFFC));
	}
}

/* All registers but the command register, which can reset the CPU. */
static void local_apic(void)
{
	volatile uint8_t *window = look_at(LOCAL_APIC);

	for (uint32_t n = 0; n < 20000; n++) {
		uint32_t value = random_number();

		(void)*(volatile uint32_t *)(window + (value >> 16 & 0xFFC));
		if ((value & 0xFF0) != APIC_COMMAND)
			*(volatile uint32_t *)(window + (value & 0xFF0)) = random_number();
	}
}

/* The CPU sends INIT to itself: it begins again where there is no firmware. */
static void init_to_self(void)
{
	volatile uint8_t *window = look_at(LOCAL_APIC);

	*(volatile uint32_t *)(window + APIC_SPURIOUS) = 0x1FF;
	*(volatile uint32_t *)(window + APIC_COMMAND_HIGH) = 0;
	*(volatile uint32_t *)(window + APIC_COMMAND) = COMMAND_INIT;
	for (uint32_t n = 0; n < 1000000; n++)
		__asm__ volatile("pause");
}

/* Reads and writes ports and addresses at random, exceptions notwithstanding. */
static void random_access(uint32_t wild)
{
	uint32_t value = random_number();
	uint32_t width = 1u << value % 3;
	uint16_t port = (uint16_t)(value >> 16);
	uint32_t data = random_number();

	/* Half of them where devices are. */
	if (value & 0x40)
		port &= 0x3FF;
	if (value & 0x80) {
		uint32_t address = MEMORY_END + random_number() % (LOCAL_APIC - MEMORY_END - 4);
		volatile uint8_t *place = look_at(address);

		/* A page for what lies across the window's end is not there, and that is an exception. */
		if (value & 0x100)
			*(volatile uint32_t *)place = data;
		else
			(void)*(volatile uint32_t *)place;
	} else if (!ends_the_guest(port, width) && (port + width <= COM1 || port >= COM1 + 8) &&
		   (wild != 0 || !is_emulators_own(port, width))) {
		if (value & 0x100)
			out(port, width, data);
		else
			in(port, width);
	}
}

static void random_accesses(uint32_t wild)
{
	seed_random(attack_number());
	use_attempts();
	for (uint32_t n = 0; n < 20000; n++)
		attempt(random_access, wild);
	page_directory()[WINDOW_ENTRY] = 0;
	flush_tlb();
}

/* What is the same on both backends. */
static void tame(void)
{
	random_accesses(0);
}

/* With devices that write to memory, where the machine has them. */
static void wild(void)
{
	random_accesses(1);
}

void kernel_main(const struct boot_interface *boot)
{
	static const struct attack attacks[] = {
		{"wipe_boot_pages", wipe_boot_pages},
		{"spoil_boot_pages", spoil_boot_pages},
		{"spoil_fault_catcher", spoil_fault_catcher},
		{"forged_record", forged_record},
		{"forged_frames", forged_frames},
		{"forged_then_exit", forged_then_exit},
		{"forged_then_halt", forged_then_halt},
		{"no_record", no_record},
		{"mmio", mmio},
		{"io_apic", io_apic},
		{"local_apic", local_apic},
		{"init_to_self", init_to_self},
		{"tame", tame},
		{"wild", wild},
		{NULL, NULL},
	};

	attack_as_told(boot, attacks);
}
