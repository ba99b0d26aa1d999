/* Offers the kernel's segments. */
#ifndef GDT_H
#define GDT_H

#define GDT_CODE 0x08
#define GDT_DATA 0x10
#define GDT_TSS 0x18

#ifndef __ASSEMBLER__
/* Leaves the loader's descriptor table for the kernel's own, and checks that the CPU took it. */
void gdt_init(void);
#endif

#endif
