/* Offers the VGA text screen, 80 columns by 25 rows. */
#ifndef VGA_H
#define VGA_H

void vga_clear(void);

/* Writes one character at the cursor; "\n" starts a new row, and the screen scrolls at its end. */
void vga_put(char c);

#endif
