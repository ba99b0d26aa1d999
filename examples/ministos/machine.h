/* Offers the ways to end: an exit status, and a panic. */
#ifndef MACHINE_H
#define MACHINE_H

#include <stdint.h>

/* Ends the guest with a status from 0 to 63 by one byte written to the exit port. */
_Noreturn void machine_exit(uint32_t status);

/* Prints "Kernel panic: " and the message, tells the panic port, and spins. */
_Noreturn void panic(const char *message);

#endif
