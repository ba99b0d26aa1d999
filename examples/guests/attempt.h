/* Owns a way to survive exceptions: an attempt ends with the first that comes. */
#ifndef ATTEMPT_H
#define ATTEMPT_H

#include "guest.h"

/*
 * bool attempt(void (*action)(uint32_t), uint32_t argument): true when the action returned, false when an exception ended it.
 * attempt_failed is the handler of every vector: it forgets the exception together with the action's stack.
 */
bool attempt(void (*action)(uint32_t), uint32_t argument);
extern const char attempt_failed[];
__asm__(".pushsection .text\n"
	"attempt:\n"
	"	pushl %ebp; pushl %ebx; pushl %esi; pushl %edi\n"
	"	movl %esp, attempt_stack\n"
	"	pushl 24(%esp)\n"
	"	call *24(%esp)\n"
	"	movl $1, %eax\n"
	"1:	movl attempt_stack, %esp\n"
	"	cld\n"
	"	popl %edi; popl %esi; popl %ebx; popl %ebp\n"
	"	ret\n"
	"attempt_failed:\n"
	"	xorl %eax, %eax\n"
	"	jmp 1b\n"
	".popsection\n"
	".local attempt_stack\n"
	".comm attempt_stack, 4, 4\n");

#endif
