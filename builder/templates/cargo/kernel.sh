#!/bin/sh
# What `cargo run` does with the kernel that it has built: packs it and runs it.
#
#   cargo run               Ctrl-A X leaves
#   cargo run -- test       with the manifest's profile `test`, and so with any other
#   cargo run -- gdb        starts it in QEMU, which waits for gdb
set -eu
pack=${STOS_PACK:-stos-pack} run=${STOS_RUN:-stos-run} port=${GDB_PORT:-1234}
kernel=$1
profile=${2:-}
[ "${kernel#/}" != "$kernel" ] || kernel=$PWD/$kernel
cd "$(dirname "$0")"
mkdir -p build
cp "$kernel" build/kernel.elf

case $profile in
'')
    "$pack" -q manifest.yaml -o build/@name@.img
    exec "$run" build/@name@.img
    ;;
gdb)
    # The image as a kernel that QEMU starts by itself. `-m` is the manifest's `memory`, in MiB.
    "$pack" -q manifest.yaml -o build/@name@.img
    "$pack" -q export build/@name@.img --to multiboot -o build/gdb.elf
    echo "QEMU waits: gdb build/kernel.elf -ex 'target remote localhost:$port' -ex 'hbreak kernel_main' -ex continue"
    "${QEMU:-qemu-system-i386}" -kernel build/gdb.elf -m 64 -serial stdio -display none -no-reboot \
        -device isa-debug-exit,iobase=0xf4,iosize=4 -S -gdb "tcp:localhost:$port" || true
    ;;
*)
    "$pack" -q -p "$profile" manifest.yaml -o "build/$profile.img"
    exec "$run" "build/$profile.img" </dev/null
    ;;
esac
