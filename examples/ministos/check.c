/* Owns the count of failed checks and the form of their lines. */
#include "check.h"

#include "console.h"
#include "machine.h"
#include "symbol.h"

static uint32_t failed;

bool check_equal(const char *what, uint32_t got, uint32_t want)
{
	if (got == want) {
		kprintf("check: %s: ok\n", what);
		return true;
	}
	kprintf("check: %s: FAILED (got 0x%08x, want 0x%08x)\n", what, got, want);
	failed++;
	return false;
}

bool check_range(const char *what, uint32_t got, uint32_t low, uint32_t high)
{
	if (low <= got && got <= high) {
		kprintf("check: %s: ok\n", what);
		return true;
	}
	kprintf("check: %s: FAILED (got 0x%08x, want 0x%08x to 0x%08x)\n", what, got, low, high);
	failed++;
	return false;
}

bool check_true(const char *what, bool holds)
{
	if (holds) {
		kprintf("check: %s: ok\n", what);
		return true;
	}
	kprintf("check: %s: FAILED (got no, want yes)\n", what);
	failed++;
	return false;
}

void check_finish(void)
{
	if (failed == 0)
		return;
	kprintf("FAILED: %u checks\n", failed);
	machine_exit(failed);
}

EXPORT(check_equal);
EXPORT(check_range);
EXPORT(check_true);
