#!/usr/bin/env bash
# Fetches `vmlinuz`, Debian 12's kernel for 32-bit PCs, beside this file. Nothing is installed, and the lists of packages for i386
# are kept apart from those of this system.
#
#   ./fetch-kernel.sh                    vmlinuz
#   ./fetch-kernel.sh TREE PACKAGE...    unpacks the kernel and these packages into the folder TREE instead
#
# No reader in a pipe below stops early: with pipefail, the writer's SIGPIPE would be a failure.
set -euo pipefail
export LC_ALL=C # the words of apt's answers are parsed

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

for program in apt-get apt-cache dpkg; do
    command -v "$program" >/dev/null || die "$program is missing: the kernel is fetched from Debian's packages"
done
[[ -s $keyring ]] || die "$keyring is missing: please install the package debian-archive-keyring"

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tree=${1:-$work/tree}
mkdir -p "$work"/state/lists/partial "$work"/cache/archives/partial "$work"/debs "$tree"
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
packages=("$image" "${@:2}")
say "downloading ${packages[*]}"
(cd "$work/debs" && apt-get "${apt[@]}" download "${packages[@]}" >&2) ||
    die "can't download ${packages[*]} from $mirror: is there a network?"
for deb in "$work"/debs/*.deb; do
    dpkg -x "$deb" "$tree"
done
kernel=$(find "$tree/boot" -name 'vmlinuz-*' -type f | sed -n 1p)
[[ -n $kernel ]] || die "$image has no kernel"
[[ $# -eq 0 ]] || exit 0

# A complete file only appears under this name.
install -m 644 "$kernel" "$here/vmlinuz.new"
mv "$here/vmlinuz.new" "$here/vmlinuz"
say "$image is ready: $here/vmlinuz"
