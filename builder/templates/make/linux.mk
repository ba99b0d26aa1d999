# make         builds the program `/init`
# make run     packs it with the kernel and runs both; Ctrl-A X leaves
# make test    runs them and checks what the program prints
# make fault   runs them so that the program takes an exception: this is what a bug looks like
# make clean   removes all that was built
@tools@
LDFLAGS := -m elf_i386 -nostdlib -static -e _start --build-id=none -z noexecstack

.PHONY: all run test fault clean
.DELETE_ON_ERROR:

all: build/initramfs/init

build/initramfs/init: $(OBJECTS)
	@mkdir -p build/initramfs
	$(LD) $(LDFLAGS) -o $@ $(OBJECTS)

vmlinuz:
	@echo 'vmlinuz is missing, a Linux kernel for 32-bit PCs: ./fetch-kernel.sh gets one from Debian, or copy a bzImage of yours' >&2
	@exit 1

run: all vmlinuz
	$(STOS_RUN) manifest.yaml

test: all vmlinuz
	$(STOS_RUN) -p test manifest.yaml </dev/null

fault: all vmlinuz
	@echo $(STOS_RUN) -p fault manifest.yaml
	@$(STOS_RUN) -p fault manifest.yaml </dev/null >build/fault.txt; status=$$?; ./where.sh build/fault.txt; exit $$status

@compile@
