#!/bin/sh
# What `cargo run` does with the program that it has built: packs it with the kernel and runs both.
#
#   cargo run               Ctrl-A X leaves
#   cargo run -- -p test    with the manifest's profile `test`, and so with any other option of stos-run
set -eu
run=${STOS_RUN:-stos-run}
program=$1
shift
[ "${program#/}" != "$program" ] || program=$PWD/$program
cd "$(dirname "$0")"
mkdir -p build/initramfs
cp "$program" build/initramfs/init
[ -e vmlinuz ] || {
    echo 'vmlinuz is missing, a Linux kernel for 32-bit PCs: ./fetch-kernel.sh gets one from Debian, or copy a bzImage of yours' >&2
    exit 1
}
[ $# -gt 0 ] || exec "$run" manifest.yaml

status=0
"$run" manifest.yaml "$@" </dev/null >build/output.txt || status=$?
./where.sh build/output.txt
exit "$status"
