/*
 * Owns a guest that sets the control bits which the command line asks for and then executes one instruction that needs others:
 * bits.em=1 bits.ts=1 bits.osfxsr=1, and use=n: 0 `fldpi`, 1 `pxor %mm0`, 2 `movups %xmm0`, 3 `vxorps %xmm0`, 4 WAIT.
 */
#include "guest.h"

#define CR0_MP (1U << 1)
#define CR0_EM (1U << 2)
#define CR0_TS (1U << 3)
#define CR4_OSFXSR (1U << 9)
#define CR4_OSXMMEXCPT (1U << 10)

/* On a 16-byte boundary, although `movups` does not ask for one. */
static uint8_t copy[16] __attribute__((aligned(16)));

static void use_x87(void)
{
	__asm__ volatile("fldpi");
}

static void use_mmx(void)
{
	__asm__ volatile("pxor %mm0, %mm0");
}

static void use_sse(void)
{
	__asm__ volatile("movups %%xmm0, %0" : "=m"(copy));
}

static void use_avx(void)
{
	__asm__ volatile("vxorps %xmm0, %xmm0, %xmm0");
}

static void use_wait(void)
{
	__asm__ volatile("fwait");
}

void kernel_main(const struct boot_interface *boot)
{
	static void (*const uses[])(void) = { use_x87, use_mmx, use_sse, use_avx, use_wait };
	const char *line = (const char *)boot->commandline;
	uint32_t cr0;
	uint32_t cr4;

	__asm__("movl %%cr0, %0" : "=r"(cr0));
	__asm__("movl %%cr4, %0" : "=r"(cr4));
	cr0 &= ~(CR0_EM | CR0_TS);
	cr0 |= CR0_MP;
	if (word_value(line, "bits.em=", 0))
		cr0 |= CR0_EM;
	if (word_value(line, "bits.ts=", 0))
		cr0 |= CR0_TS;
	if (word_value(line, "bits.osfxsr=", 0))
		cr4 |= CR4_OSFXSR | CR4_OSXMMEXCPT;
	print("extensions: using one\n");
	__asm__ volatile("movl %0, %%cr4" : : "r"(cr4));
	__asm__ volatile("movl %0, %%cr0" : : "r"(cr0));
	uses[word_value(line, "use=", 0)]();
	print("extensions: used it\n");
	leave(0);
}
