/* Owns the recovery from faults of the instructions in probe_entry.S. */
#include "probe.h"

#include "trap.h"

extern const uint32_t probe_table[];
extern const uint32_t probe_table_end[];
extern const char probe_failed[];

bool probe_recover(struct trap_frame *frame)
{
	for (const uint32_t *eip = probe_table; eip < probe_table_end; eip++)
		if (frame->eip == *eip) {
			frame->eip = (uint32_t)probe_failed;
			return true;
		}
	return false;
}
