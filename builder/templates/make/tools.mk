#
# CC and LD can be set, to a compiler that knows -m32 and a linker that knows elf_i386. No 32-bit libraries are needed.

ifeq ($(origin CC),default)
CC := gcc
endif
ifeq ($(origin LD),default)
LD := ld
endif
STOS_RUN ?= stos-run

# Code for a machine whose FPU and SSE registers nobody uses. Frame pointers are for backtraces.
CFLAGS := -m32 -march=i686 -ffreestanding -fno-pic -fno-pie -fno-stack-protector -fcf-protection=none -mgeneral-regs-only \
	-fno-asynchronous-unwind-tables -fno-omit-frame-pointer -fno-delete-null-pointer-checks -std=gnu11 -Og -g \
	'-ffile-prefix-map=$(CURDIR)=.' -Wall -Wextra -MMD -MP

# Every source file in this folder.
OBJECTS := $(patsubst %,build/%.o,$(wildcard *.c *.S))
