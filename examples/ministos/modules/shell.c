/* Owns the module "shell": a few commands, from a script or from COM1. */
#include "shell.h"

#include <stdbool.h>
#include <stddef.h>

#include "check.h"
#include "console.h"
#include "frame.h"
#include "heap.h"
#include "initramfs.h"
#include "loader.h"
#include "machine.h"
#include "module.h"
#include "pit.h"
#include "serial.h"
#include "string.h"
#include "timer.h"

#define PROMPT "ministos> "
#define LINE_SIZE 80
#define BACKSPACE '\b'
#define DELETE 0x7F
#define END_OF_INPUT 0x04 /* control-D */

/* Never mapped: the command "fault" reads here. */
#define NOWHERE 0xDEAD0000

MODULE("shell", shell_start, "timer");

static uint32_t interactive;
MODULE_PARAM_NUMBER(interactive);

struct command {
	const char *name;
	const char *help;
	void (*run)(const char *argument);
};

static void help(const char *argument);

static void list(const char *argument)
{
	struct initramfs_entry e;
	uint32_t cursor = 0;

	(void)argument;
	while (initramfs_next(&cursor, &e)) {
		uint32_t type = e.mode & INITRAMFS_TYPE;
		char letter = type == INITRAMFS_DIRECTORY ? 'd' : type == INITRAMFS_LINK ? 'l' : type == INITRAMFS_FILE ? '-' : '?';

		if (strcmp(e.name, ".") == 0 || e.name[0] == '\0')
			continue;
		kprintf("%c %6u %s", letter, e.size, e.name);
		if (type == INITRAMFS_LINK) {
			kprintf(" -> ");
			console_write(e.data, e.size);
		}
		kprintf("\n");
	}
}

static void cat(const char *argument)
{
	struct initramfs_entry e;

	if (!initramfs_find(argument, &e) || (e.mode & INITRAMFS_TYPE) != INITRAMFS_FILE) {
		kprintf("cat: no such file: %s\n", argument);
		return;
	}
	console_write(e.data, e.size);
}

static void memory(const char *argument)
{
	(void)argument;
	kprintf("%u of %u frames free\n", frame_free_count(), frame_total());
}

static void ticks(const char *argument)
{
	(void)argument;
	kprintf("%u ticks\n", pit_ticks());
}

static void leave(const char *argument)
{
	uint32_t status = 0;

	if (*argument != '\0' && !parse_decimal(argument, strlen(argument), &status)) {
		kprintf("exit: not a number: %s\n", argument);
		return;
	}
	machine_exit(status);
}

static void give_up(const char *argument)
{
	panic(*argument == '\0' ? "asked for by the shell" : argument);
}

static void fault(const char *argument)
{
	(void)argument;
	(void)*(const volatile uint32_t *)NOWHERE;
}

static const struct command commands[] = {
	{ "help", "prints this list", help },
	{ "ls", "lists the initramfs", list },
	{ "cat", "prints a file: cat NAME", cat },
	{ "mem", "prints the free memory", memory },
	{ "ticks", "prints the ticks since boot", ticks },
	{ "exit", "ends the guest: exit STATUS", leave },
	{ "panic", "panics", give_up },
	{ "fault", "reads where nothing is mapped", fault },
};

static void help(const char *argument)
{
	(void)argument;
	for (uint32_t i = 0; i < sizeof commands / sizeof *commands; i++)
		kprintf("%-6s %s\n", commands[i].name, commands[i].help);
}

void shell_execute(const char *line)
{
	size_t length = 0;
	const char *argument;

	while (*line == ' ')
		line++;
	while (line[length] != '\0' && line[length] != ' ')
		length++;
	if (length == 0)
		return;
	argument = line + length;
	while (*argument == ' ')
		argument++;
	for (uint32_t i = 0; i < sizeof commands / sizeof *commands; i++)
		if (text_is(line, length, commands[i].name)) {
			commands[i].run(argument);
			return;
		}
	kprintf("unknown command: %s\n", line);
}

void shell_script(void)
{
	static const char *const script[] = { "help", "mem", "ls", "cat etc/motd" };

	for (uint32_t i = 0; i < sizeof script / sizeof *script; i++) {
		kprintf(PROMPT "%s\n", script[i]);
		shell_execute(script[i]);
	}
}

/* Reads a line, echoing it. False at the end of input. */
static bool read_line(char line[LINE_SIZE])
{
	size_t length = 0;

	for (;;) {
		char c = serial_get();

		if (c == '\r' || c == '\n') {
			kprintf("\n");
			line[length] = '\0';
			return true;
		}
		if (c == END_OF_INPUT)
			return false;
		if (c == BACKSPACE || c == DELETE) {
			if (length > 0) {
				length--;
				kprintf("\b \b");
			}
		} else if (c >= ' ' && length < LINE_SIZE - 1) {
			line[length++] = c;
			kprintf("%c", c);
		}
	}
}

static void interact(void)
{
	static char line[LINE_SIZE];

	serial_listen();
	for (;;) {
		kprintf(PROMPT);
		if (!read_line(line)) {
			kprintf("\n");
			machine_exit(0);
		}
		shell_execute(line);
	}
}

static void shell_start(void)
{
	struct initramfs_entry e;
	uint32_t before = pit_ticks();

	timer_sleep(10);
	check_true("shell: calls into the module timer", pit_ticks() - before >= 10 * timer_hz() / 1000 + 1);
	/* Another initramfs than the one that comes with ministos is fine, too. */
	if (initramfs_find("etc/version", &e)) {
		check_true("shell: etc/version is of ministos", e.size > 9 && memcmp(e.data, "ministos ", 9) == 0);
		check_true("shell: etc/issue leads to etc/motd",
			   initramfs_find("etc/issue", &e) && strcmp(e.name, "etc/motd") == 0);
		check_true("shell: home/empty has no bytes", initramfs_find("home/empty", &e) && e.size == 0);
	}
	check_true("shell: the early heap serves modules", heap_used() > 0 && heap_allocate(1, 1) != NULL);
	if (interactive)
		loader_then(interact);
}
