/*
 * Owns a Multiboot guest that prints and checks every field that it is handed. Words of the command line make it do
 * something else: `flat` expects no section headers, `divide` divides by zero, `stack` pushes onto a stack that is not
 * mapped, `return` returns to the loader.
 */
#include "multiboot.h"
#include "../guests/guest.h"

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
#define SECTION_NOBITS 8

/* Not in .bss, which a loader could forget to clear. */
struct registers entry_registers = {.eax = 1};
static uint32_t zeros[64];
static bool failed;

void multiboot_main(void);

static const void *at(uint32_t address)
{
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
	check(cs == 0x08 && ds == 0x10 && es == ds && fs == ds && gs == ds && ss == ds, "segments");
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

static void do_words(const char *cmdline)
{
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
	check((info->boot_device | info->drives_length | info->drives_addr | info->config_table | info->apm_table) == 0,
	      "there is no BIOS");
	for (uint32_t i = 0; i < 11; i++)
		check(info->video[i] == 0, "there is no video");
	for (uint32_t i = 0; i < 64; i++)
		check(zeros[i] == 0, ".bss is zero");
	print(failed ? "multiboot: FAILED\n" : "multiboot: everything is right\n");
	leave(failed ? 1 : 0);
}
