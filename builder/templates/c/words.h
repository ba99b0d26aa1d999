/* Owns the words of a command line. */
#ifndef WORDS_H
#define WORDS_H

#include <stdbool.h>

/* Whether `word` is one of the words of `line`, which have blanks between them. */
static inline bool has_word(const char *line, const char *word)
{
	while (*line != '\0') {
		const char *left = word;

		while (*left != '\0' && *line == *left) {
			line++;
			left++;
		}
		if (*left == '\0' && (*line == ' ' || *line == '\0'))
			return true;
		while (*line != ' ' && *line != '\0')
			line++;
		while (*line == ' ')
			line++;
	}
	return false;
}

#endif
