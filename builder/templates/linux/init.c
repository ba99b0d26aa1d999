/* Owns the first program of Linux, `/init`. It gets the words of the command line that the kernel does not know. */
#include "system.h"
#include "words.h"

_Noreturn void program_main(int count, char **arguments);

void program_main(int count, char **arguments)
{
	print("Hello from @name@!\n");
	for (int n = 1; n < count; n++)
		if (has_word(arguments[n], "fault"))
			*(volatile int *)0 = 1; /* Linux ends the program, and cannot go on without it */
	leave(0);
}
