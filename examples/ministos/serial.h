/* Offers COM1: polled output, input by interrupt. */
#ifndef SERIAL_H
#define SERIAL_H

/* Sets 115200 baud, 8 data bits, no parity, 1 stop bit, without interrupts. */
void serial_init(void);

/* Sends one byte as soon as the UART takes it. */
void serial_put(char c);

/* Lets received bytes raise IRQ 4. Needs the PIC and the trap handlers. */
void serial_listen(void);

/* Waits for a byte, halted. Interrupts are on while it waits and as they were when it returns. */
char serial_get(void);

#endif
