/*
 * Owns a guest that attacks the CPU: its tables, its control registers, its instructions. The first word of the command line
 * says how; the guest prints `survived` and leaves with status 0 when nothing has stopped it.
 */
#include "hostile.h"

/* Nothing is mapped here. */
#define NOWHERE 0xDEAD0000
/* No memory is here: guests have 16 MiB. */
#define BEYOND_MEMORY 0x40000000

#define MSR_APIC_BASE 0x1B
#define MSR_EFER 0xC0000080
#define EFER_LME 0x100
#define CR4_PAE 0x20

static void run_at(volatile void *code)
{
	((void (*)(void))(uintptr_t)code)();
}

static void jump(void)
{
	run_at((void *)NOWHERE);
}

static void jump_beyond_memory(void)
{
	run_at(look_at(BEYOND_MEMORY + STOS_WINDOW_SIZE - 4096));
}

static void load_gdt(uint32_t base, uint16_t limit)
{
	struct table_register gdtr = {limit, base};

	__asm__ volatile("lgdt %0" : : "m"(gdtr));
}

static void load_ds(uint16_t selector)
{
	__asm__ volatile("movw %0, %%ds" : : "r"(selector));
}

static void gdt_nowhere(void)
{
	load_gdt(NOWHERE, 0xFFFF);
	load_ds(0x10);
}

static void gdt_empty(void)
{
	load_gdt(0, 0);
	load_ds(0x10);
}

static void gdt_beyond_memory(void)
{
	load_gdt((uint32_t)look_at(BEYOND_MEMORY), 0xFFFF);
	load_ds(0x10);
}

static void gdt_random(void)
{
	static uint32_t table[64];

	for (uint32_t n = 0; n < sizeof table / sizeof *table; n++)
		table[n] = random_number();
	load_gdt((uint32_t)table, sizeof table - 1);
	for (uint16_t selector = 0; selector < sizeof table; selector += 4)
		load_ds(selector);
}

static void idt_nowhere(void)
{
	load_idt((const void *)NOWHERE, 0xFFFF);
	__asm__ volatile("int3");
}

static void idt_beyond_memory(void)
{
	load_idt(look_at(BEYOND_MEMORY), 0xFFFF);
	__asm__ volatile("int3");
}

static void idt_random(void)
{
	static uint32_t table[512];

	for (uint32_t n = 0; n < sizeof table / sizeof *table; n++)
		table[n] = random_number();
	load_idt(table, sizeof table - 1);
	__asm__ volatile("int3");
}

/* The timer interrupts, and its handler is nowhere. */
static void idt_interrupt(void)
{
	load_idt(NULL, 0);
	outb(PIC_MASTER + PIC_DATA, 0xFE);
	for (;;)
		__asm__ volatile("sti; hlt");
}

static void cr3(uint32_t value)
{
	__asm__ volatile("movl %0, %%cr3; movl (%%esp), %%eax" : : "r"(value) : "eax", "memory");
}

static void cr3_zero(void)
{
	cr3(0);
}

static void cr3_beyond_memory(void)
{
	cr3(BEYOND_MEMORY);
}

static void cr3_highest(void)
{
	cr3(0xFFFFFFFF);
}

static void cr0(uint32_t value)
{
	__asm__ volatile("movl %0, %%cr0" : : "r"(value) : "memory");
}

static void cr4(uint32_t value)
{
	__asm__ volatile("movl %0, %%cr4" : : "r"(value) : "memory");
}

static void cr0_without_protection(void)
{
	cr0(0x80000000);
}

static void cr4_reserved(void)
{
	cr4(0x80000010);
}

static void ltr(uint32_t selector)
{
	__asm__ volatile("ltr %w0" : : "r"(selector));
}

static void lldt(uint32_t selector)
{
	__asm__ volatile("lldt %w0" : : "r"(selector));
}

static void tr_past_table(void)
{
	ltr(0xFFF8);
}

static void ldt_is_code(void)
{
	lldt(0x08);
}

/* Every selector in every register. */
static void selectors(void)
{
	use_attempts();
	for (uint32_t selector = 0; selector < 0x10000; selector += 0x33) {
		attempt(ltr, selector);
		attempt(lldt, selector);
	}
}

/* The task of a double fault is gone, and then there is one. */
static void tss_random(void)
{
	volatile uint32_t *tss = (volatile uint32_t *)(STOS_KERNEL_BASE + 0x2080);

	for (uint32_t n = 0; n < 0x180 / 4; n++)
		tss[n] = random_number();
	__asm__ volatile("movl %0, %%esp; pushl $0" : : "r"(NOWHERE));
}

static uint32_t msr_value;

static void read_msr(uint32_t number)
{
	__asm__ volatile("rdmsr" : : "c"(number) : "eax", "edx");
}

static void write_msr(uint32_t number)
{
	__asm__ volatile("wrmsr" : : "c"(number), "a"(msr_value), "d"(0));
}

static void msrs(void)
{
	static const uint32_t ranges[][2] = {
		{0x00000000, 0x00000400}, {0x00000800, 0x00000900}, {0x40000000, 0x40000120}, {0x4B564D00, 0x4B564D10},
		{0xC0000080, 0xC0000110}, {0xC0010000, 0xC0010120}, {0xFFFFFF00, 0xFFFFFFFF},
	};

	use_attempts();
	for (uint32_t n = 0; n < sizeof ranges / sizeof *ranges; n++)
		for (uint32_t number = ranges[n][0]; number < ranges[n][1]; number++) {
			attempt(read_msr, number);
			msr_value = random_number();
			attempt(write_msr, number);
		}
}

/* The local APIC somewhere else, and off. */
static void apic_base(void)
{
	use_attempts();
	for (uint32_t n = 0; n < 100; n++) {
		msr_value = random_number();
		attempt(write_msr, MSR_APIC_BASE);
	}
}

static void long_mode(void)
{
	use_attempts();
	msr_value = EFER_LME;
	attempt(write_msr, MSR_EFER);
	msr_value = 0xFFFFFFFF;
	attempt(write_msr, MSR_EFER);
	cr0(0x80000011);
}

/* The page directory is no table of page directory pointers. */
static void pae(void)
{
	cr4(CR4_PAE | 0x10);
}

static void halt_off(void)
{
	halt();
}

static void halt_masked(void)
{
	outb(PIC_MASTER + PIC_DATA, 0xFF);
	outb(PIC_SLAVE + PIC_DATA, 0xFF);
	for (;;)
		__asm__ volatile("sti; hlt");
}

/* Code that changes itself, also across a page's end and in the instruction after the change. */
static void self_modify(void)
{
	static uint8_t pages[8192];
	/* movl $imm32, %eax; ret */
	volatile uint8_t *code = pages + 4096 - 3;
	uint32_t sum = 0;
	uint32_t found;

	code[0] = 0xB8;
	code[5] = 0xC3;
	for (uint32_t n = 0; n < 5000; n++) {
		for (uint32_t byte = 0; byte < 4; byte++)
			code[1 + byte] = (uint8_t)(n >> (8 * byte));
		sum += ((uint32_t (*)(void))(uintptr_t)code)();
	}
	print_decimal(sum);
	/* The immediate of an instruction that comes right after the one that changes it: movb $7, 1f+1; 1: movl $1, %eax; ret. */
	code[0] = 0xC6;
	code[1] = 0x05;
	*(volatile uint32_t *)(code + 2) = (uint32_t)(code + 8);
	code[6] = 7;
	code[7] = 0xB8;
	*(volatile uint32_t *)(code + 8) = 1;
	code[12] = 0xC3;
	found = ((uint32_t (*)(void))(uintptr_t)code)();
	print_char(' ');
	print_decimal(found);
	print_char('\n');
}

void kernel_main(const struct boot_interface *boot)
{
	static const struct attack attacks[] = {
		{"jump", jump},
		{"jump_beyond_memory", jump_beyond_memory},
		{"gdt_nowhere", gdt_nowhere},
		{"gdt_empty", gdt_empty},
		{"gdt_beyond_memory", gdt_beyond_memory},
		{"gdt_random", gdt_random},
		{"idt_nowhere", idt_nowhere},
		{"idt_beyond_memory", idt_beyond_memory},
		{"idt_random", idt_random},
		{"idt_interrupt", idt_interrupt},
		{"cr3_zero", cr3_zero},
		{"cr3_beyond_memory", cr3_beyond_memory},
		{"cr3_highest", cr3_highest},
		{"cr0_without_protection", cr0_without_protection},
		{"cr4_reserved", cr4_reserved},
		{"tr_past_table", tr_past_table},
		{"ldt_is_code", ldt_is_code},
		{"selectors", selectors},
		{"tss_random", tss_random},
		{"msrs", msrs},
		{"apic_base", apic_base},
		{"long_mode", long_mode},
		{"pae", pae},
		{"halt_off", halt_off},
		{"halt_masked", halt_masked},
		{"self_modify", self_modify},
		{NULL, NULL},
	};

	attack_as_told(boot, attacks);
}
