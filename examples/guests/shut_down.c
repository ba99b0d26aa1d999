/* Owns a guest that shuts down as it would under QEMU, Bochs and VirtualBox, and halts when that did nothing. */
#include "guest.h"

#define QEMU_ACPI 0x604
#define BOCHS 0xB004
#define VIRTUALBOX 0x4004
#define SLEEP 0x2000
#define VIRTUALBOX_OFF 0x3400

void kernel_main(const struct boot_interface *boot)
{
	(void)boot;
	print("shut_down: good night\n");
	outw(QEMU_ACPI, SLEEP);
	outw(BOCHS, SLEEP);
	outw(VIRTUALBOX, VIRTUALBOX_OFF);
	halt();
}
