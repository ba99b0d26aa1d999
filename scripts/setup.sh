#!/bin/sh
# Installs what `make demo`, `make test`, `make platforms`, `make fuzz`, `make dist` and `make dist-check` need on Debian and Ubuntu.
#
#   scripts/setup.sh demo          a C compiler, make and QEMU
#   scripts/setup.sh test          these, the tools of the nested-KVM tests, GRUB, Python, curl, jq, valgrind, minisign, QEMU for programs
#                                  of 64-bit ARM, and Rust's targets for the systems that the commands are for
#   scripts/setup.sh platforms     these targets
#   scripts/setup.sh fuzz          a C and a C++ compiler, and make
#   scripts/setup.sh dist          a C compiler, make, and Rust's target for static programs
#   scripts/setup.sh dist-check    these, and debootstrap
#
# When everything is there already it says nothing, installs nothing and needs no network.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
programs='' # missing programs, for a human reader
packages='' # the Debian packages that have them
updated=''

say() {
    printf 'setup: %s\n' "$*"
}

die() {
    printf 'setup: %s\n' "$*" >&2
    exit 1
}

have() {
    command -v "$1" >/dev/null 2>&1
}

# need PROGRAM PACKAGE...: notes the packages when the program is missing.
need() {
    have "$1" || missing "$@"
}

missing() {
    programs="$programs $1"
    shift
    for package in "$@"; do
        case " $packages " in
        *" $package "*) ;;
        *) packages="$packages $package" ;;
        esac
    done
}

# The start files and the C library that cargo's linker wants: Debian's gcc only recommends them.
have_libc_dev() {
    case $(gcc -print-file-name=crt1.o 2>/dev/null) in
    /*) return 0 ;;
    *) return 1 ;;
    esac
}

# Debian has a smaller busybox too. It is good enough if it has what the nested VM's first program uses.
have_busybox() {
    have busybox || return 1
    applets=" $(busybox --list 2>/dev/null | tr '\n' ' ') "
    for applet in sh mount umount insmod stty setsid sleep cat wc poweroff; do
        case $applets in
        *" $applet "*) ;;
        *) return 1 ;;
        esac
    done
}

check_build() {
    need gcc gcc libc6-dev
    have_libc_dev || missing 'crt1.o (the C library for linking)' libc6-dev
    need make make
}

check_test() {
    need qemu-system-x86_64 qemu-system-x86
    have_busybox || missing busybox busybox-static
    need cpio cpio
    # Kernel modules are packed with one or the other.
    need xz xz-utils
    need zstd zstd
    # A CD on which GRUB starts an exported kernel.
    need grub-mkrescue grub-common
    [ -e /usr/lib/grub/i386-pc/multiboot.mod ] || missing 'GRUB for machines with a BIOS' grub-pc-bin
    need xorriso xorriso
    # The second reader of the image format.
    need python3 python3
    # What counts instructions.
    need valgrind valgrind
    # CI's recipes get the archive with it.
    need curl curl
    # What the guide reads reports with.
    need jq jq
    # It must take the signatures that are made here.
    need minisign minisign
    # What runs the commands as they are on 64-bit ARM.
    have qemu-aarch64-static || need qemu-aarch64 qemu-user
}

check() {
    programs=''
    packages=''
    check_build
    case $1 in
    test) check_test ;;
    # libFuzzer is C++, and is compiled from its source.
    fuzz) need g++ g++ ;;
    dist-check)
        # Debian has it where PATH of users does not look.
        [ -x /usr/sbin/debootstrap ] || need debootstrap debootstrap
        ;;
    esac
}

# Rust's target for programs that are linked statically with musl. It is got for the toolchain that is there, which stays as it is.
check_target() {
    target=x86_64-unknown-linux-musl
    get_target || die "Rust's target $target is missing, and rustup can't get it: $why"
}

# Rust's targets for all systems. What needs one that can't be had is left out, and says so.
check_platforms() {
    for target in $(cat "$root/scripts/targets.txt"); do
        get_target || say "skipped: Rust's target $target is missing, and rustup can't get it: $why"
    done
}

# Gets $target, if it is not there; leaves the reason in $why otherwise.
get_target() {
    has_target && return
    say "getting Rust's target $target"
    why=$(cd "$root" && RUSTUP_AUTO_INSTALL=0 rustup target add "$target" 2>&1) && has_target
}

has_target() {
    [ -d "$(cd "$root" && rustc --print target-libdir --target "$target")" ]
}

check_cargo() {
    wanted=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' "$root/Cargo.toml")
    if ! have cargo; then
        if [ -x "${HOME:-/}/.cargo/bin/cargo" ]; then
            die "cargo is installed but not in PATH: run  . \"\$HOME/.cargo/env\""
        fi
        die "cargo is missing: install Rust $wanted or newer from https://rustup.rs (Debian's and Ubuntu's own may be too old)"
    fi
    # In the checkout, so that a toolchain chosen for it is the one that is looked at.
    found=$(cd "$root" && cargo --version | cut -d ' ' -f 2)
    major=${found%%.*}
    minor=${found#*.}
    minor=${minor%%.*}
    case $major$minor in
    '' | *[!0-9]*) die "cargo does not tell its version: install Rust $wanted or newer from https://rustup.rs" ;;
    esac
    if [ "$major" -lt "${wanted%%.*}" ] || { [ "$major" -eq "${wanted%%.*}" ] && [ "$minor" -lt "${wanted#*.}" ]; }; then
        die "cargo $found is too old: run  rustup update  or install Rust $wanted or newer from https://rustup.rs"
    fi
}

# Finds out how to become root; leaves the command in $as_root.
find_root() {
    as_root=''
    if [ "$(id -u)" -eq 0 ]; then
        return
    fi
    if have sudo; then
        if sudo -n true 2>/dev/null; then
            as_root='sudo -n'
            return
        fi
        if [ -t 0 ]; then
            as_root='sudo'
            return
        fi
    fi
    die "missing:$programs; please run  sudo apt-get install --no-install-recommends$packages"
}

apt_get() {
    # Unquoted on purpose: no word, or `sudo`, or `sudo -n`.
    # shellcheck disable=SC2086
    $as_root env DEBIAN_FRONTEND=noninteractive DEBCONF_NOWARNINGS=yes apt-get -qq -y "$@"
}

update() {
    say 'updating the package lists'
    apt_get update || die 'apt-get update failed'
    updated=yes
}

# Container images often come without package lists.
all_known() {
    for package in $packages; do
        [ -n "$(apt-cache show --no-all-versions "$package" 2>/dev/null)" ] || return 1
    done
}

install_packages() {
    say "installing$packages"
    # shellcheck disable=SC2086
    apt_get -o Dpkg::Use-Pty=0 install --no-install-recommends $packages >/dev/null
}

case ${1:-} in
demo | test | platforms | fuzz | dist | dist-check) ;;
*)
    printf 'usage: %s demo|test|platforms|fuzz|dist|dist-check\n' "$0" >&2
    exit 64
    ;;
esac

check_cargo
case $1 in
dist | dist-check) check_target ;;
test) check_platforms ;;
platforms)
    check_platforms
    exit 0
    ;;
esac
check "$1"
if [ -z "$packages" ]; then
    exit 0
fi

have apt-get || die "missing:$programs; Debian and Ubuntu have them in:$packages; please install them with this system's package manager"
find_root
all_known || update
if ! install_packages; then
    # Lists that are old name files that the mirror has replaced since.
    [ -z "$updated" ] || die 'apt-get install failed'
    update
    install_packages || die 'apt-get install failed'
fi

check "$1"
[ -z "$packages" ] || die "still missing after installation:$programs"
say 'done'
