/* Owns a walk of WORK steps along a linked list of 512 KiB in an order that jumps about: each load waits for the one before. */
#include "guest.h"

#define NODES (1u << 16)

struct node {
	struct node *next;
	u32 value;
};

u32 work(void)
{
	struct node *nodes = (struct node *)area;
	const struct node *node = nodes;
	u32 at = 0, sum = 0;

	/* Every node comes once: the factor is 1 more than a multiple of 4, and the summand is odd (Knuth, volume 2, 3.2.1.2). */
	for (u32 i = 0; i < NODES; i++) {
		u32 next = (at * 5 + 12345) % NODES;

		nodes[at].next = &nodes[next];
		nodes[at].value = i;
		at = next;
	}
	for (u32 i = 0; i < WORK; i++) {
		sum += node->value;
		node = node->next;
	}
	return sum;
}
