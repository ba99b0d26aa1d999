/* Owns what the guests that compute have in common: each defines work(), which begin.S calls, and how much it does is WORK. */
#ifndef GUEST_H
#define GUEST_H

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;

/* Room to compute in. Memory is zeros when the guest begins. */
#define AREA_SIZE (8u << 20)
extern u8 area[AREA_SIZE];

/* Computes; the checksum is what the guest prints, and depends on everything that was computed. */
u32 work(void);

static inline void out(u16 port, u8 value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

#endif
