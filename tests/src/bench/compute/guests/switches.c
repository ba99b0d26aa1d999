/*
 * Owns two threads that compute WORK steps each, and are switched: by themselves after every 32 steps, and by the timer, 10,000
 * times a second. The work is the same however often that is, and the guest does not end before the timer has come twice.
 */
#include "guest.h"

/* Ports of the 8259s and of the 8254, and what divides the latter's 1193182 Hz into 10,000. */
#define PIC1 0x20
#define PIC2 0xa0
#define PIT 0x40
#define DIVISOR 119
/* Vectors: the timer's interrupt, and one by which a thread passes its turn on. */
#define TIMER 32
#define PASS 48
#define STEPS_OF_A_TURN 32
/* A present interrupt gate of 32 bits. (Intel SDM volume 3A, section 6.11.) */
#define GATE 0x8e00
#define CODE_SEGMENT 8
#define EFLAGS_IF 0x202
/* Registers of the local APIC: the spurious vector with the bit that enables it, and the input from the 8259s. */
#define APIC_SPURIOUS (*(volatile u32 *)0xfee000f0)
#define APIC_LINT0 (*(volatile u32 *)0xfee00350)

struct gate {
	u16 low, selector, flags, high;
};

static struct gate idt[PASS + 1];
static u32 second_stack[1024];
/* Where each thread's registers are while the other computes, and whose turn it is. */
static u32 saved[2], current;
static u32 sums[2];
static volatile u32 is_done;
/* The handler counts them. */
volatile u32 ticks;

void on_timer(void);
void on_pass(void);
u32 other_thread(u32 esp);

__asm__(".text\n"
	"on_timer:\n"
	"	pusha\n"
	"	incl ticks\n"
	"	mov $0x20, %al\n" /* end of interrupt */
	"	out %al, $0x20\n"
	"	jmp 1f\n"
	"on_pass:\n"
	"	pusha\n"
	"1:	push %esp\n"
	"	call other_thread\n"
	"	mov %eax, %esp\n"
	"	popa\n"
	"	iret\n");

/* Keeps where the registers of the thread are that was interrupted, and returns where the other one's are. */
u32 other_thread(u32 esp)
{
	saved[current] = esp;
	current ^= 1;
	return saved[current];
}

static void pass(void)
{
	__asm__ volatile("int %0" : : "i"(PASS) : "memory");
}

static u32 compute(u32 sum)
{
	for (u32 i = 0; i < WORK; i++) {
		sum = sum * 1664525 + (sum >> 16) + i;
		if (i % STEPS_OF_A_TURN == 0)
			pass();
	}
	return sum;
}

static void second_thread(void)
{
	sums[1] = compute(2);
	is_done = 1;
	for (;;)
		pass();
}

static void set_gate(u32 vector, void (*handler)(void))
{
	idt[vector] = (struct gate){ (u16)(u32)handler, CODE_SEGMENT, GATE, (u16)((u32)handler >> 16) };
}

/* The local APIC passes on what comes from the 8259s, of which the timer alone is let through. */
static void start_the_timer(void)
{
	static const struct { u8 port, value; } writes[] = {
		{ PIC1, 0x11 }, { PIC2, 0x11 }, { PIC1 + 1, TIMER }, { PIC2 + 1, TIMER + 8 }, { PIC1 + 1, 4 }, { PIC2 + 1, 2 },
		{ PIC1 + 1, 1 }, { PIC2 + 1, 1 }, { PIC1 + 1, 0xfe }, { PIC2 + 1, 0xff },
		{ PIT + 3, 0x34 }, { PIT, DIVISOR }, { PIT, 0 },
	};

	APIC_SPURIOUS = 0x1ff;
	APIC_LINT0 = 0x700;
	for (u32 i = 0; i < sizeof writes / sizeof *writes; i++)
		out(writes[i].port, writes[i].value);
}

u32 work(void)
{
	struct __attribute__((packed)) { u16 limit; struct gate *base; } pointer = { sizeof idt - 1, idt };
	/* As if the second thread had been interrupted before its first instruction: what POPA takes, then what IRET takes. */
	u32 *frame = second_stack + 1024 - 16;

	frame[8] = (u32)second_thread;
	frame[9] = CODE_SEGMENT;
	frame[10] = EFLAGS_IF;
	saved[1] = (u32)frame;
	set_gate(TIMER, on_timer);
	set_gate(PASS, on_pass);
	__asm__ volatile("lidt %0" : : "m"(pointer) : "memory");
	start_the_timer();
	__asm__ volatile("sti" : : : "memory");
	sums[0] = compute(1);
	while (!is_done || ticks < 2)
		pass();
	__asm__ volatile("cli" : : : "memory");
	return sums[0] ^ sums[1];
}
