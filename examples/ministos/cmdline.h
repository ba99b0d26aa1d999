/* Offers the words of the command line. */
#ifndef CMDLINE_H
#define CMDLINE_H

#include <stdbool.h>
#include <stddef.h>

/* One word `module.param=value`; a part that is missing has length 0. Nothing is NUL-terminated. */
struct cmdline_word {
	const char *module;
	size_t module_length;
	const char *param;
	size_t param_length;
	const char *value;
	size_t value_length;
};

void cmdline_init(const char *line);
/* Splits the next word off `*cursor`, which starts as NULL. False at the end. */
bool cmdline_next(const char **cursor, struct cmdline_word *word);
/* Tries the splitting on words of its own. */
void cmdline_check(void);

#endif
