/*
 * Offers what the module "shell" exports. By itself, with shell.interactive=1, the module reads commands from COM1 once
 * the kernel has loaded everything.
 */
#ifndef SHELL_H
#define SHELL_H

/* Runs one command line. */
void shell_execute(const char *line);
/* Runs a fixed list of commands, each printed before its output. */
void shell_script(void);

#endif
