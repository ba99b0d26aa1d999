/* Owns a guest whose timer handler does not send the end of interrupt: it ticks once and never again. */
#include "idt.h"

static struct gate idt[FIRST_INTERRUPT + 8];
static volatile uint32_t ticks;

static __attribute__((interrupt, target("general-regs-only"))) void tick(void *frame)
{
	(void)frame;
	ticks++;
}

void kernel_main(const struct boot_interface *boot)
{
	(void)boot;
	idt[FIRST_INTERRUPT + TIMER_IRQ] = make_gate(CODE_SELECTOR, (uint32_t)tick);
	load_idt(idt, sizeof(idt) - 1);
	turn_on_interrupt(TIMER_IRQ);
	start_timer(1193182 / 100);
	print("missing_eoi: waiting for 3 ticks\n");
	while (ticks < 3)
		__asm__ volatile("sti; hlt");
	print("missing_eoi: they came\n");
	leave(0);
}
