/* Owns the words of a command line. */
	.text

/* Sets ZF if the text at EDI is one of the words of the line at ESI, which have blanks between them. Changes EAX, EDX and ESI. */
	.globl	has_word
	.type	has_word, @function
has_word:
	mov	%edi, %edx
compare:
	lodsb
	cmp	$' ', %al
	je	word_ends
	test	%al, %al
	jz	word_ends
	cmp	(%edx), %al
	jne	skip
	inc	%edx
	jmp	compare

skip:	lodsb				/* to the end of a word that is another one */
	cmp	$' ', %al
	je	has_word
	test	%al, %al
	jnz	skip
	inc	%al			/* clears ZF */
	ret

word_ends:
	cmpb	$0, (%edx)		/* was that all of it? */
	je	found
	test	%al, %al
	jnz	has_word
	inc	%al			/* clears ZF */
found:	ret
	.size	has_word, . - has_word

	.section .note.GNU-stack, "", @progbits
