/* Owns the list of loaded modules, their parameters and their start. */
#include "loader.h"

#include <stdbool.h>
#include <stddef.h>

#include "check.h"
#include "cmdline.h"
#include "console.h"
#include "elf.h"
#include "link.h"
#include "machine.h"
#include "module.h"
#include "string.h"
#include "symbol.h"

#define MAX_MODULES 32

struct loaded {
	const char *name;
	struct elf_header *file;
};

static struct loaded modules[MAX_MODULES];
static uint32_t count;
static void (*then)(void);

/* The value of `key=` in section .modinfo, or NULL. */
static const char *info(struct elf_header *file, const char *key)
{
	const struct elf_section *s = elf_find_section(file, ".modinfo");
	uint32_t length = strlen(key);
	const char *p;
	const char *end;

	if (s == NULL)
		return NULL;
	p = elf_string(file, s, 0);
	end = p + s->size;
	for (; p < end; p += strlen(p) + 1)
		if (memcmp(p, key, length) == 0 && p[length] == '=')
			return p + length + 1;
	return NULL;
}

static bool is_loaded(const char *name, size_t length)
{
	for (uint32_t i = 0; i < count; i++)
		if (text_is(name, length, modules[i].name))
			return true;
	return false;
}

static void require(const char *name, const char *depends)
{
	while (depends != NULL && *depends != '\0') {
		size_t length = 0;

		while (depends[length] != '\0' && depends[length] != ',')
			length++;
		if (!is_loaded(depends, length)) {
			kprintf("module %s: depends on a module that is not loaded: ", name);
			console_write(depends, length);
			kprintf("\n");
			panic("module dependency missing");
		}
		depends += length + (depends[length] == ',');
	}
}

static bool set(const struct module_param *param, const struct cmdline_word *word)
{
	if (param->type == MODULE_PARAM_IS_NUMBER)
		return parse_decimal(word->value, word->value_length, param->variable);
	if (word->value_length >= param->size)
		return false;
	memset(param->variable, 0, param->size);
	memcpy(param->variable, word->value, word->value_length);
	return true;
}

static void apply(const char *module, const struct module_param *params, uint32_t n, const struct cmdline_word *word)
{
	const char *problem = "no such parameter";

	for (uint32_t i = 0; i < n; i++)
		if (text_is(word->param, word->param_length, params[i].name))
			problem = set(&params[i], word) ? "set" : "not a value for this parameter";
	kprintf("module %s: %s: ", module, problem);
	console_write(word->param, word->param_length);
	kprintf("=");
	console_write(word->value, word->value_length);
	kprintf("\n");
}

static void apply_all(struct elf_header *file, const char *module)
{
	const struct elf_section *s = elf_find_section(file, ".modparam");
	struct cmdline_word word;
	const char *cursor = NULL;

	while (cmdline_next(&cursor, &word))
		if (word.module != NULL && text_is(word.module, word.module_length, module))
			apply(module, s == NULL ? NULL : (const struct module_param *)s->addr,
			      s == NULL ? 0 : s->size / sizeof(struct module_param), &word);
}

static void load(struct elf_header *file)
{
	const char *name = info(file, "name");
	const char *init = info(file, "init");
	uint32_t start;

	if (name == NULL || init == NULL)
		panic("module without a name or an init function");
	if (count == MAX_MODULES)
		panic("too many modules");
	require(name, info(file, "depends"));
	link_place(file);
	link_relocate(file, name);
	apply_all(file, name);
	start = link_find(file, init, 1);
	if (start == 0)
		panic("module's init function is not defined");
	kprintf("module %s: loaded\n", name);
	/* Known from here on, so that the module that comes next finds its symbols. */
	modules[count++] = (struct loaded){ name, file };
	((void (*)(void))start)();
}

uint32_t loader_find_symbol(const char *name)
{
	for (uint32_t i = 0; i < count; i++) {
		uint32_t address = link_find(modules[i].file, name, 0);

		if (address != 0)
			return address;
	}
	return 0;
}

void loader_run(const uint32_t *files)
{
	for (; *files != 0; files++)
		load((struct elf_header *)*files);
}

void loader_then(void (*function)(void))
{
	then = function;
}

void loader_continue(void)
{
	if (then != NULL)
		then();
}

EXPORT(loader_then);
