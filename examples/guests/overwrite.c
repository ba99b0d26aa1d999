/*
 * Owns a guest that writes where nobody may, as the command line asks for: overwrite=1 with a stack that has no end, 2 to 12
 * as below. Nothing stops it, as the boot page tables map all as writable.
 */
#include "idt.h"

#define BOOT_TABLES (STOS_KERNEL_BASE + 0x2000)
#define BOOT_CODE (STOS_KERNEL_BASE + 0x3000)
#define BOOT_END (STOS_KERNEL_BASE + 0x4000)

static const char greeting[64] = "what a kernel has to say, as it was compiled into it";

static __attribute__((noinline)) uint32_t depth(uint32_t level)
{
	uint32_t below = 1;

	/* The compiler can't know that this is always true. */
	if (level != 0)
		below = depth(level + 1);
	__asm__ volatile("" : "+r"(below));
	return below + 1;
}

static void fill(uint32_t start, uint32_t end, uint8_t value)
{
	for (; start < end; start++)
		*(volatile uint8_t *)start = value;
}

static void copy(uint32_t to, const char *text)
{
	while (*text != '\0')
		*(volatile uint8_t *)to++ = (uint8_t)*text++;
}

/* Where these bytes are in the boot code. */
static uint32_t find(const char *bytes, uint32_t count)
{
	for (uint32_t at = BOOT_CODE; at < BOOT_END; at++) {
		uint32_t n = 0;

		while (n < count && ((volatile const char *)at)[n] == bytes[n])
			n++;
		if (n == count)
			return at;
	}
	return 0;
}

/* A GDT of its own, with the same selectors. */
static void use_own_tables(void)
{
	static uint64_t gdt[] = {0, 0x00CF9A000000FFFF, 0x00CF92000000FFFF};
	static struct gate idt[256];
	struct table_register gdtr = {sizeof gdt - 1, (uint32_t)gdt};

	__asm__ volatile("lgdt %0" : : "m"(gdtr));
	load_idt(idt, sizeof idt - 1);
}

/*
 * Takes the first module's code from its file and writes over it. `is_placed` when the kernel uses it where it lies: the
 * section's header says so. Then the header of the file is gone, too, as when a heap has begun before it.
 */
static void fill_module(const struct boot_interface *boot, int is_placed, int is_code)
{
	const struct boot_modules *modules = (const struct boot_modules *)boot->mods;
	uint32_t file = *(const uint32_t *)modules->modules;
	uint32_t *section = (uint32_t *)(file + *(const uint32_t *)(file + 32));
	uint32_t flags = is_code ? 6 : 3;

	if (is_placed)
		for (uint32_t *s = section, n = *(const uint16_t *)(file + 48); n > 0; n--, s += 10)
			s[3] = file + s[4];
	while (section[2] != flags || section[5] == 0)
		section += 10;
	fill(is_code ? file : file + section[4], file + section[4] + section[5], 0x55);
}

void kernel_main(const struct boot_interface *boot)
{
	uint32_t way = word_value((const char *)boot->commandline, "overwrite=", 0);

	print("overwrite: beginning\n");
	switch (way) {
	case 1:
		print_decimal(depth(1));
		break;
	case 2:
		copy((uint32_t)greeting, "good morning");
		break;
	case 3: /* The catcher's last words, so that its record is never complete. */
		copy(find("FLT!", 4), "none");
		__asm__ volatile("ud2");
		break;
	case 4: /* All that an exception needs. */
		fill(BOOT_TABLES, BOOT_END, 0x55);
		__asm__ volatile("ud2");
		break;
	case 5:
		use_own_tables();
		fill(BOOT_TABLES, BOOT_END, 0);
		break;
	case 6: /* Not as a function returns. */
		__asm__ volatile("jmp *%0" : : "r"(find("\xFA\xF4", 2)));
		break;
	case 7:
		fill((uint32_t)depth, (uint32_t)depth + 4, 0xF1);
		fill((uint32_t)depth, (uint32_t)depth + 2, 0x0F);
		depth(1);
		break;
	case 8:
		fill(boot->initramfs + 16, boot->initramfs + 32, 0);
		break;
	case 9: /* What a kernel may do that has its own tables. */
		use_own_tables();
		fill(BOOT_TABLES, BOOT_END, 0);
		leave(1);
	case 10: /* A module that is in use, */
		fill_module(boot, 1, 1);
		break;
	case 11: /* one that was copied, or never was, */
		fill_module(boot, 0, 1);
		break;
	case 12: /* and data of one in use. */
		fill_module(boot, 1, 0);
		break;
	}
	print(greeting);
	halt();
}
