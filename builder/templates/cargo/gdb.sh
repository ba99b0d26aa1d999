#!/bin/sh
# Builds the kernel and starts it in QEMU, which waits for gdb.
set -eu
pack=${STOS_PACK:-stos-pack} port=${GDB_PORT:-1234}
cd "$(dirname "$0")"
cargo build -q
mkdir -p build
# The image as a kernel that QEMU starts by itself. `-m` is the manifest's `memory`, in MiB.
"$pack" -q manifest.yaml -o build/@name@.img
"$pack" -q export build/@name@.img --to multiboot -o build/gdb.elf
echo "QEMU waits: gdb @kernel@ -ex 'target remote localhost:$port' -ex 'hbreak kernel_main' -ex continue"
"${QEMU:-qemu-system-i386}" -kernel build/gdb.elf -m 64 -serial stdio -display none -no-reboot \
    -device isa-debug-exit,iobase=0xf4,iosize=4 -S -gdb "tcp:localhost:$port" || true
