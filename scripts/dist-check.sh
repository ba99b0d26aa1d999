#!/usr/bin/env bash
# Tries what `make dist` has made, in systems that are made for it by debootstrap and have nothing else installed. It must be root.
#
#   scripts/dist-check.sh [SYSTEM...]    debian:bookworm and ubuntu:noble, and then the crates, unless some of these are named: crates
#
# A system is some 250 MB below TMPDIR while it is looked at. Nothing of this one is mounted there, not even /proc, but for a
# container's. A mirror that can't be reached is said. DEBIAN_MIRROR and UBUNTU_MIRROR name others than debootstrap has by itself.
set -euo pipefail
export LC_ALL=C

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
dist=$root/target/dist
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$root/Cargo.toml")
name=stos-pack-$version-x86_64-linux
deb=stos-pack_$version-1_amd64.deb
work=$(mktemp -d "${TMPDIR:-/tmp}/stos-dist.XXXXXX")
mounted=''
PATH=$PATH:/usr/sbin:/sbin

say() {
    printf 'dist-check: %s\n' "$*"
}

die() {
    printf 'dist-check: %s\n' "$*" >&2
    exit 1
}

# shellcheck disable=SC2317 # called by the trap
remove_work() {
    [[ -z $mounted ]] || umount "$mounted"
    rm -rf --one-file-system "$work"
}
trap remove_work EXIT

# inside SCRIPT: a shell of root's in the system; as_user SCRIPT: of a user who owns nothing but /tmp/home.
inside() {
    chroot "$system" /usr/bin/env -i PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive LC_ALL=C sh -eu -c "$1"
}

as_user() {
    chroot --userspec=1000:1000 "$system" /usr/bin/env -i PATH=/usr/local/bin:/usr/bin:/bin HOME=/tmp/home LC_ALL=C sh -eu -c "cd /tmp/home && $1"
}

# make_system SUITE SCRIPT MIRROR OPTIONS...: sets `system`; false where the mirror can't be reached. Without SCRIPT and MIRROR,
# debootstrap has its own.
make_system() {
    local suite=$1 log=$work/log arguments=("${@:4}" --variant=minbase "$1" "$work/$1")
    system=$work/$suite
    [[ -z $3$2 ]] || arguments+=("$3")
    [[ -z $2 ]] || arguments+=("$2")
    if ! debootstrap "${arguments[@]}" >"$log" 2>&1; then
        ! grep -q 'Failed getting release file' "$log" || {
            say "skipped $suite: its mirror can't be reached: $(tail -n 1 "$log")"
            return 1
        }
        die "debootstrap fails: $(tail -n 5 "$log")"
    fi
    install -d -o 1000 -g 1000 "$system/tmp/home"
}

# runs PLACE PREFIX: the image of the package at PLACE runs with the command that is found with PREFIX, and prints what it is known to.
runs() {
    local printed
    printed=$(as_user "$2stos-run --backend embedded $1/share/stos-pack/ministos.img" 2>"$work/said") || die "the image does not run: $(<"$work/said")"
    [[ $printed = *'This is ministos booting'*'Loading complete'* ]] || die "the image prints something else: $printed"
    [[ $(tail -n 1 "$work/said") = 'stos-run: the guest reported success' ]] || die "it is said: $(<"$work/said")"
}

check_archive() {
    install -m 644 "$dist/$name.tar.gz" "$system/tmp/home/"
    as_user "tar -xzf $name.tar.gz"
    runs "/tmp/home/$name" "/tmp/home/$name/bin/"
    rm -rf "${system:?}/tmp/home/$name"
    # As docs/packages.md says that it is installed.
    inside "tar -xzf /tmp/home/$name.tar.gz --strip-components 1 -C /usr/local"
    runs /usr/local ''
    as_user 'stos-pack verify /usr/local/share/stos-pack/ministos.img && stos-pack new a-kernel && ls a-kernel/manifest.yaml' >/dev/null
    as_user 'bash -c "source /usr/local/share/bash-completion/completions/stos-run && complete -p stos-run"' >/dev/null
    inside "cd /usr/local && tar -tzf /tmp/home/$name.tar.gz | grep -v '/$' | sed 's,^[^/]*/,,' | while read -r file; do rm \"\$file\"; done"
    [[ -z $(find "$system/usr/local" -type f) ]] || die 'the list of the archive lacks files'
    rm -rf "${system:?}/tmp/home/"* "${system:?}"/usr/local/share/{stos-pack,doc/stos-pack}
    say "$1: the archive runs its image, unpacked anywhere and in /usr/local, with nothing else installed"
}

check_deb() {
    install -m 644 "$dist/$deb" "$system/tmp/"
    inside "dpkg -i /tmp/$deb >/dev/null && rm /tmp/$deb && dpkg --verify stos-pack"
    runs /usr ''
    as_user 'stos-pack --version && stos-run --version' | grep -qx "stos-run $version" || die 'the versions are others'
    say "$1: the .deb is installed, and runs its image"
    # What its sources and a new project want.
    inside 'apt-get -qq update && apt-get -qq -y install --no-install-recommends gcc libc6-dev make' >"$work/log" 2>&1 ||
        die "gcc can't be installed: $(tail -n 5 "$work/log")"
    as_user 'cp -R /usr/share/stos-pack mine && make -s -C mine/examples && stos-pack -q mine/manifests/ministos.yaml -o again.img'
    as_user 'export STOS_RUN_BACKEND=embedded; stos-run -qq again.img' | grep -qx 'Loading complete' || die 'what was compiled there does not run'
    as_user 'export STOS_RUN_BACKEND=embedded; stos-pack -q new my-kernel && cd my-kernel && make -s run' >"$work/log" 2>&1 || die "$(<"$work/log")"
    grep -q 'Hello from my-kernel!' "$work/log" || die "a new kernel prints: $(<"$work/log")"
    say "$1: with gcc and make, the sources of the package and a new kernel are compiled and run"
    inside 'dpkg --purge stos-pack' >/dev/null
    [[ -z $(find "$system/usr" "$system/etc" -name '*stos*') ]] || die "something is left: $(find "$system/usr" "$system/etc" -name '*stos*')"
}

# gitlab_lines KEY: the lines of GitLab's job below this key.
gitlab_lines() {
    awk -v key="  $1:" '$0 == key { inside = 1; next } !/^    - / { inside = 0 } inside { sub(/^    - /, ""); print }' "$root/examples/ci/gitlab-ci.yml"
}

# tests PROJECT LINES: the lines are run in the system as a service would in the project, and the kernel says hello.
tests() {
    inside "export STOS_ARCHIVE=file:///tmp/$name.tar.gz STOS_RUN_BACKEND=embedded; cd $1; $2" >"$work/log" 2>&1 || die "$2: $(tail -n 20 "$work/log")"
}

# The job of GitLab and the container of docker, each in a copy of the fresh system.
check_recipes() {
    local fresh=$system word rest folder=/tmp command=''
    [[ $(sed -n 's/^ *image: //p' "$root/examples/ci/gitlab-ci.yml") = "debian:${1#*:}-slim" ]] || return 0
    system=$fresh.gitlab
    cp -a "$fresh" "$system"
    cp "$dist/$name.tar.gz" "$system/tmp/"
    tests /tmp "$(gitlab_lines before_script); stos-pack -q new /tmp/my-kernel"
    tests /tmp/my-kernel "$(gitlab_lines script)"
    grep -q 'Hello from my-kernel!' "$work/log" || die "the job prints: $(<"$work/log")"
    [[ -s $system/tmp/my-kernel/run.json ]] || die 'the job leaves no report'
    rm -rf --one-file-system "$system"
    say "$1: the job of examples/ci/gitlab-ci.yml"

    system=$fresh.docker
    cp -a "$fresh" "$system"
    while read -r word rest; do
        case $word in
        '' | '#'*) ;;
        FROM) [[ $rest = "debian:${1#*:}-slim" ]] || die "the container is from $rest" ;;
        RUN) tests "$folder" "$rest" ;;
        COPY)
            # Its last word is the place, and the others name the archive.
            # shellcheck disable=SC2053 # it is a pattern
            [[ $name.tar.gz = ${rest% *} ]] || die "${rest% *} is not $name.tar.gz"
            cp "$dist/$name.tar.gz" "$system/${rest##* }"
            ;;
        WORKDIR)
            folder=$rest
            inside "mkdir -p $rest && stos-pack -q new $rest --name my-kernel"
            ;;
        CMD) command=$(tr -d '[],"' <<<"$rest") ;;
        *) die "the container has a line that is not known here: $word" ;;
        esac
    done <"$root/examples/ci/Dockerfile"
    tests "$folder" "$command"
    grep -q 'Hello from my-kernel!' "$work/log" || die "the container prints: $(<"$work/log")"
    # What QEMU is given by stos-run is in /proc, which docker has mounted.
    mount --bind /proc "$system/proc"
    mounted=$system/proc
    inside "cd $folder && stos-run doctor && stos-run --backend emulated -p test manifest.yaml" >"$work/log" 2>&1 || die "on QEMU: $(<"$work/log")"
    umount "$system/proc"
    mounted=''
    rm -rf --one-file-system "$system"
    say "$1: the container of examples/ci/Dockerfile, with QEMU too"
    system=$fresh
}

# Each crate is packed and compiled as it was packed. Then the commands are installed from unpacked crates, which take each other's place
# in the registry's stead by `patch`, and run.
check_crates() {
    local cargo=${CARGO:-cargo} packed=$work/packed crate patches=()
    cd "$root"
    CARGO_TARGET_DIR=$work/target "$cargo" package --quiet --locked --workspace --exclude stos-tests 2>&1 | tee "$work/log"
    [[ ! -s $work/log ]] || die 'cargo has something to say about a crate'
    mkdir "$packed"
    for crate in x86 image machine pack run; do
        tar -xzf "$work/target/package/stos-$crate-$version.crate" -C "$packed"
        patches+=(--config "patch.crates-io.stos-$crate.path='$packed/stos-$crate-$version'")
    done
    say 'each crate is packed without a warning, and compiles as it was packed'
    for crate in pack run; do
        CARGO_TARGET_DIR=$work/target "$cargo" install --quiet --debug --path "$packed/stos-$crate-$version" --root "$work/installed" "${patches[@]}"
    done
    "$work/installed/bin/stos-pack" -q manifests/ministos.yaml -o "$work/ministos.img"
    "$work/installed/bin/stos-run" -q --backend embedded "$work/ministos.img" | grep -qx 'Loading complete' || die 'the installed commands do not run the image'
    say 'both commands are installed from their packed crates, pack ministos and run it'
}

systems=("$@")
((${#systems[@]})) || systems=(debian:bookworm ubuntu:noble crates)
if [[ ${systems[*]} != crates ]]; then
    ((EUID == 0)) || die 'systems are made by root only: run it with sudo, or look only at the crates: scripts/dist-check.sh crates'
    (cd "$dist" && sha256sum --quiet --check SHA256SUMS)
fi
for wanted in "${systems[@]}"; do
    suite=${wanted#*:}
    case $wanted in
    debian:*) make_system "$suite" '' "${DEBIAN_MIRROR:-}" || continue ;;
    ubuntu:*)
        # Debian's debootstrap does not know the newest; all are made alike. Debian has no keys of Ubuntu's.
        options=(--keyring=/usr/share/keyrings/ubuntu-archive-keyring.gpg)
        if [[ ! -f ${options[0]#*=} ]]; then
            say 'signatures of Ubuntu are not checked, as its keys are not installed: it is only for this try'
            options=(--no-check-gpg)
        fi
        make_system "$suite" /usr/share/debootstrap/scripts/gutsy "${UBUNTU_MIRROR:-}" "${options[@]}" || continue
        ;;
    crates)
        check_crates
        continue
        ;;
    *) die "\`$wanted\` is neither debian:SUITE nor ubuntu:SUITE nor crates" ;;
    esac
    check_recipes "$wanted"
    check_archive "$wanted"
    check_deb "$wanted"
    rm -rf --one-file-system "$system"
done
