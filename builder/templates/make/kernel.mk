# make         builds the kernel
# make run     packs it and runs it; Ctrl-A X leaves
# make test    runs it and checks what it prints
# make fault   runs it so that it takes an exception: this is what a bug looks like
# make gdb     starts it in QEMU, which waits for gdb
# make clean   removes all that was built
@tools@
LDFLAGS := -m elf_i386 -nostdlib -T kernel.ld --build-id=none -z noexecstack
STOS_PACK ?= stos-pack
QEMU ?= qemu-system-i386
GDB_PORT ?= 1234

.PHONY: all run test fault gdb clean
.DELETE_ON_ERROR:

all: build/kernel.elf

build/kernel.elf: $(OBJECTS) kernel.ld
	$(LD) $(LDFLAGS) -o $@ $(OBJECTS)

run: all
	$(STOS_RUN) manifest.yaml

test: all
	$(STOS_RUN) -p test manifest.yaml </dev/null

fault: all
	$(STOS_RUN) -p fault manifest.yaml </dev/null

# The image as a kernel that QEMU starts by itself. `-m` is the manifest's `memory`, in MiB.
gdb: all
	$(STOS_PACK) -q manifest.yaml -o build/@name@.img
	$(STOS_PACK) -q export build/@name@.img --to multiboot -o build/gdb.elf
	@echo "QEMU waits: gdb build/kernel.elf -ex 'target remote localhost:$(GDB_PORT)' -ex 'hbreak kernel_main' -ex continue"
	@$(QEMU) -kernel build/gdb.elf -m 64 -serial stdio -display none -no-reboot \
		-device isa-debug-exit,iobase=0xf4,iosize=4 -S -gdb tcp:localhost:$(GDB_PORT) || true

@compile@
