/* Owns the end of the machine: the exit port and the panic port. */
#include "machine.h"

#include "console.h"
#include "io.h"
#include "stos_boot.h"
#include "symbol.h"

/* Statuses above this mean something else to the runner. */
#define STATUS_MAX 63

void machine_exit(uint32_t status)
{
	outb(STOS_PORT_EXIT, (uint8_t)(status < STATUS_MAX ? status : STATUS_MAX));
	/* Reached only on a machine without an exit port. */
	for (;;)
		__asm__ volatile("cli; hlt");
}

void panic(const char *message)
{
	__asm__ volatile("cli");
	kprintf("Kernel panic: %s\n", message);
	/* QEMU's pvpanic device takes a bit mask; bit 0 is "guest panicked" (docs/specs/pvpanic of QEMU). */
	outb(STOS_PORT_PANIC, 1);
	for (;;)
		__asm__ volatile("pause");
}

EXPORT(machine_exit);
EXPORT(panic);
