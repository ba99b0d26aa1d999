/* Offers the checks of the structures that the loader hands over. */
#ifndef HANDOVER_H
#define HANDOVER_H

struct boot_interface;

/* Checks what must hold before anything can be read; ends the guest if it does not. */
void handover_check_pointers(const struct boot_interface *boot);
/* Checks what the pointers lead to. Needs the segment map and the initramfs. */
void handover_check_contents(const struct boot_interface *boot);

#endif
