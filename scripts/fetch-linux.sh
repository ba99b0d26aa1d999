#!/usr/bin/env bash
# Fetches what manifests/linux.yaml names: a kernel of Debian 12 for 32-bit PCs, and a busybox to go with it. Nothing is
# installed, and the lists of packages for i386 are kept apart from those of this system.
#
#   examples/linux/vmlinuz
#   examples/linux/initramfs/bin/busybox
#
# What was fetched once is used until it is removed: `make clean` does that.
# No reader in a pipe below stops early: with pipefail, the writer's SIGPIPE would be a failure.
set -euo pipefail
export LC_ALL=C # the words of apt's answers are parsed

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
vmlinuz=$root/examples/linux/vmlinuz
busybox=$root/examples/linux/initramfs/bin/busybox
cache=$root/target/linux

mirror=http://deb.debian.org/debian
# The last release with kernels for i386.
release=bookworm
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
# A package that only depends on the newest kernel. It is the one without PAE.
meta=linux-image-686

say() {
    printf 'linux: %s\n' "$*" >&2
}

die() {
    say "$*"
    exit 1
}

complete() {
    [[ -s $vmlinuz && -s $busybox ]]
}

# shellcheck disable=SC2317 # called by the trap
remove_work() {
    rm -rf "$work"
}

! complete || exit 0

for program in apt-get apt-cache dpkg flock; do
    command -v "$program" >/dev/null || die "$program is missing: kernel and busybox are fetched from Debian's packages"
done
[[ -s $keyring ]] || die "$keyring is missing: please install the package debian-archive-keyring"

mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9
! complete || exit 0 # fetched by someone else, while this process waited

work=$(mktemp -d "$cache/work.XXXXXX")
trap remove_work EXIT
mkdir -p "$work"/state/lists/partial "$work"/cache/archives/partial "$work"/debs "$work"/tree
printf 'deb [signed-by=%s] %s %s main\n' "$keyring" "$mirror" "$release" >"$work/sources.list"

# This system's settings, such as a proxy, hold; its packages, their lists and its sources do not.
apt=(
    -qq
    -o "Dir::State=$work/state" -o "Dir::State::status=/dev/null" -o "Dir::Cache=$work/cache"
    -o "Dir::Etc::sourcelist=$work/sources.list" -o "Dir::Etc::sourceparts=/dev/null"
    -o "APT::Architecture=i386" -o "APT::Architectures=i386"
    # As root, apt would step down to a user that may not write here.
    -o "APT::Sandbox::User=$(id -un)"
)

say "fetching the list of Debian's packages for i386"
# A list that can't be fetched is only a warning to apt.
apt-get "${apt[@]}" -o APT::Update::Error-Mode=any update >&2 ||
    die "can't fetch the list of packages from $mirror: is there a network?"
image=$(apt-cache "${apt[@]}" depends --important "$meta" | sed -nE 's/^ *\|?Depends: (linux-image-[0-9].*)$/\1/p' | sed -n 1p)
[[ -n $image ]] || die "Debian $release has no kernel in $meta any more"
say "downloading $image and busybox-static"
(cd "$work/debs" && apt-get "${apt[@]}" download "$image" busybox-static >&2) ||
    die "can't download $image and busybox-static from $mirror: is there a network?"
for deb in "$work"/debs/*.deb; do
    dpkg -x "$deb" "$work/tree"
done
kernel=$(find "$work/tree/boot" -name 'vmlinuz-*' -type f | sed -n 1p)
[[ -n $kernel ]] || die "$image has no kernel"

mkdir -p "${busybox%/*}"
# Complete files only appear under these names.
install -m 755 "$work/tree/bin/busybox" "$busybox.new"
mv "$busybox.new" "$busybox"
install -m 644 "$kernel" "$vmlinuz.new"
mv "$vmlinuz.new" "$vmlinuz"
say "$image is ready: examples/linux/vmlinuz"
