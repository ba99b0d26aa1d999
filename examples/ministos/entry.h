/* Offers the state of the CPU at the kernel's entry, before C code touched it. */
#ifndef ENTRY_H
#define ENTRY_H

/* Offsets into struct entry_state, for entry_start.S. */
#define ENTRY_EAX 0
#define ENTRY_ECX 4
#define ENTRY_EBP 8
#define ENTRY_ESP 12
#define ENTRY_EFLAGS 16
#define ENTRY_CR0 20
#define ENTRY_CR3 24
#define ENTRY_CR4 28
#define ENTRY_CS 32
#define ENTRY_DS 36
#define ENTRY_ES 40
#define ENTRY_SS 44
#define ENTRY_SIZE 48

#ifndef __ASSEMBLER__
#include <stdint.h>

struct entry_state {
	uint32_t eax, ecx, ebp, esp, eflags;
	uint32_t cr0, cr3, cr4;
	uint32_t cs, ds, es, ss;
};
_Static_assert(sizeof(struct entry_state) == ENTRY_SIZE, "entry_start.S fills this structure");

extern const struct entry_state entry_state;

/* Checks registers, segments and the page directory. Needs the segment map. */
void entry_check(void);
#endif

#endif
