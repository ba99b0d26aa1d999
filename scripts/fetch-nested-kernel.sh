#!/usr/bin/env bash
# Fetches a distribution kernel with kvm-amd for the nested-KVM tests. Nothing is installed.
#
# Prints where the kernel and its modules are, the modules in the order in which they must be loaded:
#
#   vmlinuz=/…/target/nested/kernel/<package>_<version>/vmlinuz
#   module=/…/target/nested/kernel/<package>_<version>/irqbypass.ko
#
# What was fetched once is used until target/nested/kernel is removed.
# No reader in a pipe below stops early: with pipefail, the writer's SIGPIPE would be a failure.
set -euo pipefail
export LC_ALL=C # the words of apt's answers are parsed

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=$root/target/nested/kernel
found=$cache/found

# Packages that only depend on the newest kernel; the smaller ones first.
metas=(linux-image-cloud-amd64 linux-image-virtual linux-image-amd64 linux-image-generic)

say() {
    printf 'nested kernel: %s\n' "$*" >&2
}

die() {
    say "$*"
    exit 1
}

# True when an earlier call has left everything.
complete() {
    [[ -s $found ]] || return 1
    local file
    while IFS='=' read -r _ file; do
        [[ -s $file ]] || return 1
    done <"$found"
}

# kernel_packages PACKAGE: the packages with a kernel or its modules on which PACKAGE depends.
kernel_packages() {
    apt-cache depends --important "$1" 2>/dev/null |
        sed -nE 's/^ *\|?Depends: (linux-(image|modules|binary)-[0-9].*)$/\1/p'
}

# Sets `image`, the package that has the real kernel.
find_image() {
    local meta
    for meta in "${metas[@]}"; do
        image=$(kernel_packages "$meta" | grep '^linux-image-' | sed -n 1p) || true
        [[ -z $image ]] || return 0
    done
    return 1
}

version_of() {
    apt-cache show --no-all-versions "$1" | sed -n 's/^Version: //p' | sed -n 1p
}

update_lists() {
    if [[ $EUID -eq 0 ]]; then
        say 'updating the package lists'
        apt-get -qq update || die 'apt-get update failed'
    elif sudo -n true 2>/dev/null; then
        say 'updating the package lists'
        sudo -n apt-get -qq update || die 'apt-get update failed'
    else
        die "the package lists name no kernel that can be fetched: please run  sudo apt-get update"
    fi
}

# download: the image and the packages it depends on, into $work/debs.
download() {
    local queue=("$image") package next
    mkdir -p "$work/debs"
    while ((${#queue[@]})); do
        package=${queue[0]}
        queue=("${queue[@]:1}")
        say "downloading $package"
        # As root, apt would step down to a user that may not write here, and warn of it.
        (cd "$work/debs" && apt-get -qq -o APT::Sandbox::User="$(id -un)" download "$package" >&2) || return 1
        for next in $(kernel_packages "$package"); do
            queue+=("$next")
        done
    done
}

# unpack_module FILE TARGET: a module as insmod can load it.
unpack_module() {
    case $1 in
    *.ko) cp "$1" "$2" ;;
    *.ko.xz) xz -dc "$1" >"$2" ;;
    *.ko.zst) zstd -qdc "$1" >"$2" ;;
    *.ko.gz) gzip -dc "$1" >"$2" ;;
    *) die "$1 is packed in a way that is not known here" ;;
    esac
}

# add_module NAME: puts the modules that NAME depends on into $result, then NAME itself.
# Module names may be written with - or _, and mean the same.
add_module() {
    local name=${1//-/_} file target dependency
    target=$result/$name.ko
    [[ ! -e $target ]] || return 0
    file=$(find "$tree" -name '*.ko*' | awk -v name="$name" '{
        base = $0; sub(/.*\//, "", base); sub(/\.ko.*/, "", base); gsub(/-/, "_", base)
        if (base == name && !seen++) print
    }')
    if [[ -z $file ]]; then
        find "$tree" -name modules.builtin -exec cat {} + | sed 's/-/_/g' | grep "/$name\.ko$" >/dev/null && return 0
        die "$image has no module $1"
    fi
    unpack_module "$file" "$target"
    for dependency in $(tr '\0' '\n' <"$target" | sed -n 's/^depends=//p' | tr ',' ' '); do
        add_module "$dependency"
    done
    modules+=("$name.ko")
}

# shellcheck disable=SC2317 # called by the trap
remove_work() {
    rm -rf "$work"
}

if complete; then
    cat "$found"
    exit 0
fi

[[ $(uname -m) = x86_64 ]] || die 'the nested-KVM tests need an x86-64 machine'
for program in apt-get apt-cache dpkg flock; do
    command -v "$program" >/dev/null || die "$program is missing: the kernel is fetched from Debian's or Ubuntu's packages"
done

mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9
if complete; then # by someone else, while this process waited
    cat "$found"
    exit 0
fi

work=$(mktemp -d "$cache/work.XXXXXX")
trap remove_work EXIT

find_image || { update_lists && find_image; } || die "none of these packages is known to apt: ${metas[*]}"
if ! download; then
    # Lists that are old name files that the mirror has replaced since.
    update_lists
    find_image || die 'the new package lists name no kernel'
    download || die "cannot download $image"
fi

tree=$work/tree
result=$work/result
mkdir -p "$tree" "$result"
for deb in "$work"/debs/*.deb; do
    dpkg -x "$deb" "$tree"
done
kernel=$(find "$tree/boot" -name 'vmlinuz-*' -type f | sed -n 1p)
[[ -n $kernel ]] || die "$image has no kernel"
# Ubuntu lets only root read a kernel.
install -m 644 "$kernel" "$result/vmlinuz"
modules=()
add_module kvm-amd

kept=$cache/${image}_$(version_of "$image")
rm -rf "$kept"
mv "$result" "$kept"
{
    printf 'vmlinuz=%s\n' "$kept/vmlinuz"
    for module in ${modules[@]+"${modules[@]}"}; do
        printf 'module=%s\n' "$kept/$module"
    done
} >"$work/found"
mv "$work/found" "$found"
say "$(basename "$kept") is ready"
cat "$found"
