#!/bin/sh
# What `cargo run` does with the program that it has built: packs it with the kernel and runs both.
#
#   cargo run               Ctrl-A X leaves
#   cargo run -- test       with the manifest's profile `test`, and so with any other
set -eu
pack=${STOS_PACK:-stos-pack} run=${STOS_RUN:-stos-run}
program=$1
profile=${2:-}
[ "${program#/}" != "$program" ] || program=$PWD/$program
cd "$(dirname "$0")"
mkdir -p build/initramfs
cp "$program" build/initramfs/init
[ -e vmlinuz ] || {
    echo 'vmlinuz is missing, a Linux kernel for 32-bit PCs: ./fetch-kernel.sh gets one from Debian, or copy a bzImage of yours' >&2
    exit 1
}

case $profile in
'')
    "$pack" -q manifest.yaml -o build/@name@.img
    exec "$run" build/@name@.img
    ;;
*)
    "$pack" -q -p "$profile" manifest.yaml -o "build/$profile.img"
    status=0
    "$run" "build/$profile.img" </dev/null >"build/$profile.txt" || status=$?
    ./where.sh "build/$profile.txt"
    exit "$status"
    ;;
esac
