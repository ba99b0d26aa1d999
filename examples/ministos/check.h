/* Offers the kernel's self-checks: each prints one line, and the failed ones are counted. */
#ifndef CHECK_H
#define CHECK_H

#include <stdbool.h>
#include <stdint.h>

/* "check: what: ok" if both are equal. Returns whether they are. */
bool check_equal(const char *what, uint32_t got, uint32_t want);

/* "check: what: ok" if low <= got <= high. Returns whether it is. */
bool check_range(const char *what, uint32_t got, uint32_t low, uint32_t high);

/* "check: what: ok" if `holds`. Returns it. */
bool check_true(const char *what, bool holds);

/* Ends the guest with the number of failed checks as its status; returns if there are none. */
void check_finish(void);

#endif
