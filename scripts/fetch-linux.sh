#!/usr/bin/env bash
# Fetches what manifests/linux.yaml names: a kernel of Debian 12 for 32-bit PCs, and a busybox to go with it. Nothing is
# installed.
#
#   examples/linux/vmlinuz
#   examples/linux/initramfs/bin/busybox
#
# What was fetched once is used until it is removed: `make clean` does that.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
vmlinuz=$root/examples/linux/vmlinuz
busybox=$root/examples/linux/initramfs/bin/busybox
cache=$root/target/linux

complete() {
    [[ -s $vmlinuz && -s $busybox ]]
}

# shellcheck disable=SC2317 # called by the trap
remove_work() {
    rm -rf "$work"
}

! complete || exit 0

command -v flock >/dev/null || {
    echo 'linux: flock is missing: it is in the package util-linux' >&2
    exit 1
}

mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9
! complete || exit 0 # fetched by someone else, while this process waited

work=$(mktemp -d "$cache/work.XXXXXX")
trap remove_work EXIT
# The script that a project of `stos-pack new --protocol linux` has.
"$root/builder/templates/linux/fetch-kernel.sh" "$work/tree" busybox-static
kernel=$(find "$work/tree/boot" -name 'vmlinuz-*' -type f | sed -n 1p)

mkdir -p "${busybox%/*}"
# Complete files only appear under these names.
install -m 755 "$work/tree/bin/busybox" "$busybox.new"
mv "$busybox.new" "$busybox"
install -m 644 "$kernel" "$vmlinuz.new"
mv "$vmlinuz.new" "$vmlinuz"
echo 'linux: examples/linux/vmlinuz is ready' >&2
