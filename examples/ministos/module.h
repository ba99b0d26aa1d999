/* Owns what a module says about itself, read by the kernel's loader. */
#ifndef MODULE_H
#define MODULE_H

#include <stdint.h>

/*
 * Goes into section .modinfo, NUL-separated: the module's name, the function that starts it, and the modules that
 * must have been loaded before, separated by commas.
 */
#define MODULE(name, init, depends) \
	static void init(void) __attribute__((used)); \
	static const char module_info[] __attribute__((section(".modinfo"), used)) = \
		"name=" name "\0init=" #init "\0depends=" depends

enum { MODULE_PARAM_IS_NUMBER, MODULE_PARAM_IS_TEXT };

/* A parameter that the command line can set as `module.name=value`; they fill section .modparam. */
struct module_param {
	const char *name;
	void *variable;
	uint32_t size;
	uint32_t type;
};

/* Makes a uint32_t variable a parameter of the same name, in decimal. */
#define MODULE_PARAM_NUMBER(variable) \
	static const struct module_param param_##variable __attribute__((section(".modparam"), used)) = \
		{ #variable, &variable, sizeof variable, MODULE_PARAM_IS_NUMBER }

/* The same for an array of char, which stays NUL-terminated. */
#define MODULE_PARAM_TEXT(variable) \
	static const struct module_param param_##variable __attribute__((section(".modparam"), used)) = \
		{ #variable, variable, sizeof variable, MODULE_PARAM_IS_TEXT }

#endif
