/* Owns the module "init": what the system does once everything else is loaded, chosen by init.mode. */
#include "console.h"
#include "machine.h"
#include "module.h"
#include "shell.h"
#include "string.h"

MODULE("init", init_start, "timer,shell");

/* all: the shell's script. tests: only the checks that all modules make. */
static char mode[16];
MODULE_PARAM_TEXT(mode);

static void init_start(void)
{
	if (mode[0] == '\0')
		panic("init mode required");
	kprintf("init: mode %s\n", mode);
	if (strcmp(mode, "all") == 0)
		shell_script();
	else if (strcmp(mode, "tests") != 0)
		panic("init mode unknown");
}
