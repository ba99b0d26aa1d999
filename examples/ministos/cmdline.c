/* Owns the command line and how it splits into words. */
#include "cmdline.h"

#include "check.h"
#include "string.h"

static const char *line = "";

void cmdline_init(const char *text)
{
	line = text;
}

bool cmdline_next(const char **cursor, struct cmdline_word *word)
{
	const char *p = *cursor == NULL ? line : *cursor;
	const char *mark;

	while (*p == ' ')
		p++;
	if (*p == '\0')
		return false;

	*word = (struct cmdline_word){ 0 };
	mark = p;
	while (*p != '\0' && *p != ' ' && *p != '=') {
		/* A value may contain dots; a module's name cannot. */
		if (*p == '.' && word->module == NULL) {
			word->module = mark;
			word->module_length = (size_t)(p - mark);
			mark = p + 1;
		}
		p++;
	}
	word->param = mark;
	word->param_length = (size_t)(p - mark);
	if (*p == '=') {
		word->value = ++p;
		while (*p != '\0' && *p != ' ')
			p++;
		word->value_length = (size_t)(p - word->value);
	}
	*cursor = p;
	return true;
}

void cmdline_check(void)
{
	const char *given = line;
	const char *cursor = NULL;
	struct cmdline_word w;
	bool good;

	line = " a.b=c.d=e  quiet";
	good = cmdline_next(&cursor, &w) && text_is(w.module, w.module_length, "a") &&
	       text_is(w.param, w.param_length, "b") && text_is(w.value, w.value_length, "c.d=e");
	good = good && cmdline_next(&cursor, &w) && w.module == NULL &&
	       text_is(w.param, w.param_length, "quiet") && w.value == NULL;
	good = good && !cmdline_next(&cursor, &w);
	line = given;
	check_true("cmdline: words split into module, parameter and value", good);
}
