/* Owns the interrupt descriptor table and what happens on each vector (Intel SDM volume 3, chapter 6). */
#include "trap.h"

#include <stdbool.h>
#include <stddef.h>

#include "check.h"
#include "console.h"
#include "gdt.h"
#include "machine.h"
#include "pic.h"
#include "probe.h"
#include "symbol.h"

#define VECTORS 48      /* 32 exceptions, then 16 interrupts of the PICs */
#define STUB_SIZE 16    /* as aligned in trap_entry.S */
#define INTERRUPT_GATE 0x8E00 /* present, ring 0, 32-bit, interrupts off on entry */

/* The exit status of an unexpected exception is this plus its vector: 32 to 63. */
#define STATUS_EXCEPTION 32

struct gate {
	uint16_t offset_low;
	uint16_t selector;
	uint16_t flags;
	uint16_t offset_high;
};

struct table_register {
	uint16_t limit;
	uint32_t base;
} __attribute__((packed));

extern const char trap_stubs[];
void trap_dispatch(struct trap_frame *frame);

volatile struct trap_record trap_last;

static struct gate idt[VECTORS] __attribute__((aligned(8)));
static void (*irq_handlers[16])(void);

static const char *const names[] = {
	"#DE divide error", "#DB debug", "NMI", "#BP breakpoint", "#OF overflow", "#BR bound range", "#UD invalid opcode",
	"#NM no FPU", "#DF double fault", "coprocessor overrun", "#TS invalid TSS", "#NP segment not present",
	"#SS stack segment", "#GP general protection", "#PF page fault", "reserved", "#MF FPU error", "#AC alignment",
	"#MC machine check", "#XM SIMD error",
};

static uint32_t read_cr2(void)
{
	uint32_t value;

	__asm__ volatile("movl %%cr2, %0" : "=r"(value));
	return value;
}

static _Noreturn void unexpected(const struct trap_frame *f)
{
	const char *name = f->vector < sizeof names / sizeof *names ? names[f->vector] : "reserved";

	kprintf("Unexpected exception %u (%s), error code 0x%08x\n", f->vector, name, f->error);
	kprintf("EIP=%08x CS=%04x EFLAGS=%08x CR2=%08x\n", f->eip, f->cs & 0xFFFF, f->eflags, read_cr2());
	kprintf("EAX=%08x EBX=%08x ECX=%08x EDX=%08x\n", f->eax, f->ebx, f->ecx, f->edx);
	/* Without a change of privilege the CPU pushes no ESP: the interrupted stack ends where the frame does. */
	kprintf("ESI=%08x EDI=%08x EBP=%08x ESP=%08x\n", f->esi, f->edi, f->ebp, (uint32_t)(f + 1));
	machine_exit(STATUS_EXCEPTION + f->vector);
}

static void exception(struct trap_frame *f)
{
	uint32_t address = f->vector == TRAP_PAGE_FAULT ? read_cr2() : 0;

	if (f->vector != TRAP_BREAKPOINT && !probe_recover(f))
		unexpected(f);
	trap_last.count++;
	trap_last.vector = f->vector;
	trap_last.error = f->error;
	trap_last.address = address;
}

void trap_dispatch(struct trap_frame *f)
{
	uint32_t irq = f->vector - PIC_VECTOR;

	if (f->vector < PIC_VECTOR) {
		exception(f);
		return;
	}
	if (pic_is_spurious(irq))
		return;
	if (irq_handlers[irq] != NULL)
		irq_handlers[irq]();
	pic_end(irq);
}

void trap_set_irq(uint32_t irq, void (*handler)(void))
{
	irq_handlers[irq] = handler;
}

static bool survived(uint32_t count, uint32_t vector)
{
	return trap_last.count == count && trap_last.vector == vector;
}

void trap_init(void)
{
	const struct table_register want = { sizeof idt - 1, (uint32_t)idt };

	for (uint32_t i = 0; i < VECTORS; i++) {
		uint32_t stub = (uint32_t)trap_stubs + i * STUB_SIZE;

		idt[i] = (struct gate){ stub & 0xFFFF, GDT_CODE, INTERRUPT_GATE, stub >> 16 };
	}
	__asm__ volatile("lidt %0" : : "m"(want));

	__asm__ volatile("int3");
	check_true("idt: #BP handled", survived(1, TRAP_BREAKPOINT));
	check_true("idt: #DE handled", !probe_divide(1, 0) && survived(2, TRAP_DIVIDE));
	check_true("idt: #UD handled", !probe_undefined() && survived(3, TRAP_UNDEFINED));
	check_true("idt: no exception without a cause", probe_divide(6, 3) && trap_last.count == 3);
}

EXPORT(trap_set_irq);
