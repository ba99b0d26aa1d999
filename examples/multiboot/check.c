/*
 * Owns a Multiboot guest that prints and checks every field that it is handed. Words of the command line make it do
 * something else: `flat` expects no section headers, `divide` divides by zero, `call` calls a function at NULL, `stack` pushes
 * onto a stack that is not mapped, `gdt` takes an interrupt on a descriptor table of its own with the loader's selectors,
 * `return` returns to the loader.
 */
#include "multiboot.h"
#include "../guests/idt.h"

struct registers {
	uint32_t eax, ebx, ecx, edx, esi, edi, ebp, esp, eflags, cr0;
};

struct section {
	uint32_t name, type, flags, addr, offset, size, link, info, align, entry_size;
};

struct symbol {
	uint32_t name, value, size;
	uint8_t info, other;
	uint16_t section;
};

#define SECTION_SYMBOLS 2
#define SECTION_STRINGS 3
#define SECTION_NOBITS 8

/* GRUB's selectors. */
#define LOADER_CODE 0x10
#define LOADER_DATA 0x18
#define TEST_VECTOR 0x30

/* Not in .bss, which a loader could forget to clear. */
struct registers entry_registers = {.eax = 1};
static uint32_t zeros[64];
static bool failed;

/* The physical end of the kernel, from the linker script. */
extern char bss_end[];

void multiboot_main(void);

static const void *at(uint32_t address)
{
	/* Else the compiler takes low addresses for mistakes. */
	__asm__("" : "+r"(address));
	return (const void *)address;
}

static void check(bool right, const char *what)
{
	if (right)
		return;
	failed = true;
	print("FAILED: ");
	print(what);
	print_char('\n');
}

static bool same(const char *a, const char *b)
{
	while (*a != '\0' && *a == *b) {
		a++;
		b++;
	}
	return *a == *b;
}

static bool has_word(const char *text, const char *word)
{
	while (*text != '\0') {
		const char *w = word;

		while (*w != '\0' && *text == *w) {
			text++;
			w++;
		}
		if (*w == '\0' && (*text == '\0' || *text == ' '))
			return true;
		while (*text != '\0' && *text++ != ' ')
			;
	}
	return false;
}

static void print_field(const char *name, uint32_t value)
{
	print(name);
	print_char(' ');
	print_hex(value);
	print_char('\n');
}

static void check_registers(void)
{
	const struct registers *r = &entry_registers;
	uint16_t cs, ds, es, fs, gs, ss;

	check((r->ecx | r->edx | r->esi | r->edi | r->ebp) == 0, "registers without a meaning are 0");
	check(r->esp != 0 && r->esp % 4 == 0, "there is a stack");
	check((r->eflags & 0x20200) == 0, "interrupts are off, virtual 8086 mode is off");
	check((r->cr0 & 0x80000001) == 1, "protected mode without paging");
	__asm__("movw %%cs, %0" : "=r"(cs));
	__asm__("movw %%ds, %0" : "=r"(ds));
	__asm__("movw %%es, %0" : "=r"(es));
	__asm__("movw %%fs, %0" : "=r"(fs));
	__asm__("movw %%gs, %0" : "=r"(gs));
	__asm__("movw %%ss, %0" : "=r"(ss));
	check(cs == LOADER_CODE && ds == LOADER_DATA && es == ds && fs == ds && gs == ds && ss == ds, "segments");
}

static void check_modules(const struct multiboot_info *info)
{
	const struct multiboot_module *module = at(info->mods_addr);

	for (uint32_t i = 0; i < info->mods_count; i++, module++) {
		print("module \"");
		print(at(module->string));
		print("\", ");
		print_decimal(module->end - module->start);
		print(" bytes: ");
		for (const char *c = at(module->start); c < (const char *)at(module->end) && *c != '\n'; c++)
			print_char(*c);
		print_char('\n');
		check(module->start % 4096 == 0, "modules begin on pages");
		check(module->reserved == 0, "module->reserved");
	}
}

/* Finds this program's own name for one of its functions, by way of the section headers. */
static void check_sections(const struct multiboot_info *info)
{
	const struct section *sections = at(info->section_headers);
	const char *names = at(sections[info->section_of_names].addr);
	bool found = false, named = false;

	check(info->section_size == sizeof(struct section), "size of a section header");
	for (uint32_t i = 0; i < info->section_count; i++) {
		const struct section *s = &sections[i];

		named |= same(names + s->name, ".text");
		check(s->size == 0 || s->addr != 0 || s->type == SECTION_NOBITS, "every section has an address");
		/* Kernels take the end of the last string table as the first free byte. */
		if (s->type == SECTION_STRINGS)
			check(s->addr >= (uint32_t)bss_end, "string tables lie behind the kernel");
		if (s->type != SECTION_SYMBOLS)
			continue;
		const struct symbol *symbol = at(s->addr);
		const char *texts = at(sections[s->link].addr);

		for (uint32_t n = s->size / sizeof(*symbol); n > 0; n--, symbol++)
			found |= same(texts + symbol->name, "multiboot_main") && symbol->value == (uint32_t)multiboot_main;
	}
	check(named, "a section is called .text");
	check(found, "the symbol table knows multiboot_main");
	print("sections: names and symbols found\n");
}

static uint16_t word_at(uint32_t address)
{
	return *(const volatile uint16_t *)at(address);
}

static uint8_t crtc(uint8_t index)
{
	outb(0x3D4, index);
	return inb(0x3D5);
}

/* What a PC's firmware leaves in low memory, and GRUB in the display's controller. */
static void check_firmware(void)
{
	uint32_t cursor = (uint32_t)crtc(0x0E) << 8 | crtc(0x0F);

	for (uint32_t vector = 0; vector < 256; vector++) {
		uint32_t handler = word_at(4 * vector + 2) * 16U + word_at(4 * vector);

		check(*(const volatile uint8_t *)at(handler) == 0xCF, "real-mode vectors lead to an IRET");
	}
	check(word_at(0x400) == 0x3F8, "COM1's port");
	check(word_at(0x40E) == 0x9FC0, "segment of the extended BIOS data area");
	check(word_at(0x410) == 0x0226, "equipment");
	check(word_at(0x413) == 639, "KiB of base memory");
	check(word_at(0x44A) == 80 && (word_at(0x484) & 0xFF) == 24, "columns and rows");
	check(word_at(0x450) == 0x0200, "the cursor, as the BIOS data area has it");
	check(word_at(0x463) == 0x3D4, "the display's port");
	/* All ones where there is no controller. */
	check(cursor == 160 || cursor == 0xFFFF, "the cursor");
}

static void check_memory(const struct multiboot_info *info)
{
	uint32_t at_byte = info->mmap_addr;

	print("mem_lower ");
	print_decimal(info->mem_lower);
	print(" KiB, mem_upper ");
	print_decimal(info->mem_upper);
	print(" KiB\n");
	while (at_byte < info->mmap_addr + info->mmap_length) {
		const struct multiboot_range *range = at(at_byte);

		print_hex((uint32_t)range->base);
		print_char(' ');
		print_hex((uint32_t)range->length);
		print_char(' ');
		print_decimal(range->type);
		print_char('\n');
		check(range->size == 20, "range->size");
		check(range->base >> 32 == 0 && range->length >> 32 == 0, "ranges lie below 4 GiB");
		at_byte += range->size + 4;
	}
	check(at_byte == info->mmap_addr + info->mmap_length, "mmap_length");
}

static volatile uint32_t interrupts;

struct interrupt_frame;

__attribute__((interrupt)) static void count_interrupt(struct interrupt_frame *frame)
{
	(void)frame;
	interrupts++;
}

/* Runs on the loader's segments until the gate has loaded CS from the new table, and IRET again. */
static void take_interrupt(void)
{
	static const uint64_t gdt[] = {0, 0, 0x00CF9A000000FFFF, 0x00CF92000000FFFF};
	static struct gate idt[TEST_VECTOR + 1];
	struct table_register gdtr = {sizeof gdt - 1, (uint32_t)gdt};

	__asm__ volatile("lgdt %0" : : "m"(gdtr) : "memory");
	idt[TEST_VECTOR] = make_gate(LOADER_CODE, (uint32_t)count_interrupt);
	load_idt(idt, sizeof idt - 1);
	__asm__ volatile("int %0" : : "i"(TEST_VECTOR) : "memory");
	check(interrupts == 1, "an interrupt on a table of the kernel's own");
	print("interrupt: taken\n");
}

static __attribute__((noinline)) void run(void (*action)(void))
{
	action();
	/* Keeps the call above from becoming a jump. */
	__asm__ volatile("");
}

static void do_words(const char *cmdline)
{
	void (*volatile nothing)(void) = NULL;

	if (has_word(cmdline, "call")) {
		print("calling NULL\n");
		run(nothing);
	}
	if (has_word(cmdline, "gdt"))
		take_interrupt();
	if (has_word(cmdline, "divide")) {
		print("dividing by zero\n");
		__asm__ volatile("xorl %%ecx, %%ecx; divl %%ecx" : : "a"(1), "d"(0) : "ecx");
	}
	if (has_word(cmdline, "stack")) {
		print("pushing at 0xDEAD0000\n");
		__asm__ volatile("movl $0xDEAD0000, %esp; pushl $42");
	}
}

void multiboot_main(void)
{
	const struct multiboot_info *info = at(entry_registers.ebx);
	const char *cmdline = at(info->cmdline);
	uint32_t flags = MULTIBOOT_MEMORY | MULTIBOOT_CMDLINE | MULTIBOOT_MODULES | MULTIBOOT_MEMORY_MAP |
			 MULTIBOOT_LOADER_NAME;

	print_field("eax", entry_registers.eax);
	check(entry_registers.eax == MULTIBOOT_LOADER_MAGIC, "eax");
	print_field("flags", info->flags);
	print("cmdline \"");
	print(cmdline);
	print("\"\nloader \"");
	print(at(info->boot_loader_name));
	print("\"\n");
	if (has_word(cmdline, "return"))
		return;
	do_words(cmdline);

	check_registers();
	if (!has_word(cmdline, "flat"))
		flags |= MULTIBOOT_ELF_SECTIONS;
	check(info->flags == flags, "flags");
	check_modules(info);
	if (info->flags & MULTIBOOT_ELF_SECTIONS)
		check_sections(info);
	check_memory(info);
	check_firmware();
	check((info->boot_device | info->drives_length | info->drives_addr | info->config_table | info->apm_table) == 0,
	      "there is no BIOS");
	for (uint32_t i = 0; i < 11; i++)
		check(info->video[i] == 0, "there is no video");
	for (uint32_t i = 0; i < 64; i++)
		check(zeros[i] == 0, ".bss is zero");
	print(failed ? "multiboot: FAILED\n" : "multiboot: everything is right\n");
	leave(failed ? 1 : 0);
}
