/* Owns a guest that looks for disks on the two ATA channels, as a driver does: by its status after a drive was selected. */
#include "guest.h"

#define CHANNELS 2
#define DRIVE 6
#define STATUS 7
#define COMMAND 7
#define SELECT_MASTER 0xA0
#define IDENTIFY 0xEC

static const uint16_t bases[CHANNELS] = {0x1F0, 0x170};
static const uint16_t controls[CHANNELS] = {0x3F6, 0x376};

void kernel_main(const struct boot_interface *boot)
{
	(void)boot;
	for (uint32_t i = 0; i < CHANNELS; i++) {
		outb(bases[i] + DRIVE, SELECT_MASTER);
		outb(bases[i] + COMMAND, IDENTIFY);
		print("ata: channel ");
		print_decimal(i);
		print(", status ");
		print_byte(inb(bases[i] + STATUS));
		print(", alternate status ");
		print_byte(inb(controls[i]));
		print(inb(bases[i] + STATUS) == 0 ? ": no drive\n" : ": something\n");
	}
	leave(0);
}
