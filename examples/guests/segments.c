/*
 * Owns a guest with a GDT of its own that uses segments as the CPU does not allow, as the command line asks for: segments=1 to 6, or
 * 0 as it does allow. The IDT stays that of the image, whose gates lead to selector 8.
 */
#include "idt.h"

#define USER_CODE 0x33
#define USER_DATA 0x3B

/* A structure without `__attribute__((packed))`, as many kernels have it at first. */
struct loose_register {
	uint16_t limit;
	uint32_t base;
};

static struct {
	uint64_t entries[64];
} gdt = {{
	0,
	0x00CF9A000000FFFF, /* 0x08: code */
	0x00CF92000000FFFF, /* 0x10: data */
	0x004F9A000000FFFF, /* 0x18: code of 1 MiB, as the granularity bit is missing */
	0,
	0x00CF12000000FFFF, /* 0x28: data, not present */
	0x00CFFA000000FFFF, /* 0x30: code of user mode */
	0x00CFF2000000FFFF, /* 0x38: data of user mode */
	0,                  /* 0x40: TSS */
}};
static uint32_t tss[26];
static uint8_t kernel_stack[4096];
static uint8_t user_stack[4096];

static void load_gdt(void)
{
	struct table_register gdtr = { sizeof gdt.entries - 1, (uint32_t)gdt.entries };

	__asm__ volatile("lgdt %0" : : "m"(gdtr) : "memory");
}

static void user(void)
{
	__asm__ volatile("int $3");
	for (;;)
		;
}

static void enter_user_mode(void)
{
	volatile uint32_t *directory = (volatile uint32_t *)(STOS_KERNEL_BASE + STOS_PAGE_DIRECTORY);
	uint32_t base = (uint32_t)tss;

	directory[STOS_PDE_WINDOW] |= 4;
	__asm__ volatile("movl %%cr3, %%eax; movl %%eax, %%cr3" : : : "eax", "memory");
	tss[1] = (uint32_t)kernel_stack + sizeof kernel_stack;
	tss[2] = 0x10;
	gdt.entries[8] = 0x0000890000000067 | (uint64_t)(base & 0xFFFFFF) << 16 | (uint64_t)(base >> 24) << 56;
	__asm__ volatile("ltr %w0" : : "r"(0x40));
	__asm__ volatile("pushl %0; pushl %1; pushl $2; pushl %2; pushl %3; iretl"
			 : : "i"(USER_DATA), "r"(user_stack + sizeof user_stack), "i"(USER_CODE), "r"(user));
	__builtin_unreachable();
}

void kernel_main(const struct boot_interface *boot)
{
	static struct loose_register loose;

	print("segments: using them\n");
	switch (word_value((const char *)boot->commandline, "segments=", 0)) {
	case 1:
		load_gdt();
		__asm__ volatile("ljmp $0x18, $1f; 1:");
		break;
	case 2:
		load_gdt();
		__asm__ volatile("movw %w0, %%ss" : : "r"(0x08));
		break;
	case 3:
		loose.limit = sizeof gdt.entries - 1;
		loose.base = (uint32_t)gdt.entries;
		__asm__ volatile("lgdt %0; movw %w1, %%ds" : : "m"(loose), "r"(0x10) : "memory");
		break;
	case 4:
		load_gdt();
		/* Far above the entries that are used. */
		__asm__ volatile("movl %0, %%esp; ud2" : : "r"(gdt.entries + 64));
		break;
	case 5:
		load_gdt();
		enter_user_mode();
		break;
	case 6:
		load_gdt();
		__asm__ volatile("movw %w0, %%es" : : "r"(0x28));
		break;
	default:
		load_gdt();
		__asm__ volatile("ljmp $0x08, $1f; 1: movw %w0, %%ds; movw %w0, %%ss" : : "r"(0x10));
		break;
	}
	print("segments: used them\n");
	leave(0);
}
