#!/usr/bin/env bash
# Makes the packages of a release, in target/dist: an archive with static programs for x86_64, a .deb of the same files, and SHA256SUMS.
#
#   scripts/dist.sh                       compiles, and makes all of it
#   scripts/dist.sh archive FOLDER OUT    makes only the archive, of programs that are in FOLDER, in the folder OUT
#   scripts/dist.sh tree FOLDER PREFIX    lays the files of the packages below PREFIX, such as /usr, with programs that are in FOLDER
#
# What is made depends on the commit and on the compilers, not on when, where and by whom: docs/packages.md.
set -euo pipefail
export LC_ALL=C
umask 022

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
cargo=${CARGO:-cargo}
target=x86_64-unknown-linux-musl
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml)
name=stos-pack-$version-x86_64-linux

say() {
    printf 'dist: %s\n' "$*"
}

die() {
    printf 'dist: %s\n' "$*" >&2
    exit 1
}

# The time that files in packages have: that of the commit, unless somebody says otherwise as https://reproducible-builds.org has it.
epoch() {
    if [[ -n ${SOURCE_DATE_EPOCH:-} ]]; then
        [[ $SOURCE_DATE_EPOCH =~ ^[0-9]+$ ]] || die "SOURCE_DATE_EPOCH is \`$SOURCE_DATE_EPOCH\`, it must be seconds since 1970"
    else
        SOURCE_DATE_EPOCH=$(git log -1 --format=%ct) || die 'this is no git checkout: set SOURCE_DATE_EPOCH'
    fi
    export SOURCE_DATE_EPOCH
}

# compile: both programs, linked statically and to fixed addresses as `make build` links them. No path of this machine gets into them.
compile() {
    local flags=(-C target-feature=+crt-static -C relocation-model=static -C strip=symbols) home=${CARGO_HOME:-$HOME/.cargo} sources
    "$cargo" fetch --quiet --locked --target "$target"
    # The last one that fits holds.
    flags+=("--remap-path-prefix=$home=cargo" "--remap-path-prefix=$root=.")
    for sources in "$home"/registry/src/*/; do
        flags+=("--remap-path-prefix=${sources%/}=crates")
    done
    (
        IFS=$'\x1f'
        CARGO_ENCODED_RUSTFLAGS="${flags[*]}" CARGO_INCREMENTAL=0 CARGO_TARGET_DIR=$root/target \
            "$cargo" build --quiet --release --locked --target "$target" -p stos-pack -p stos-run
    )
}

# sources_of_crates: a line for each crate that cargo knows here: name, version, and the folder of its sources.
sources_of_crates() {
    "$cargo" metadata --quiet --locked --offline --format-version 1 --filter-platform "$target" |
        grep -o '{"name":"[^"]*","version":"[^"]*","id":\|"manifest_path":"[^"]*"' |
        sed -n 's/^{"name":"\([^"]*\)","version":"\([^"]*\)","id":$/\1-\2/p; s,^"manifest_path":"\([^"]*\)/Cargo.toml"$,\1,p' | paste - -
}

# notices: the licence of every crate that is in the programs, and the text that its package has. A text stands there once.
notices() {
    local crate number licence folder files file sum
    local -A seen=() folders=()
    while IFS=$'\t' read -r crate folder; do
        folders[$crate]=$folder
    done < <(sources_of_crates)
    printf 'stos-pack and stos-run contain these crates. The licence of each is named, and the texts that its package has follow.\n'
    while IFS='|' read -r crate licence; do
        number=${crate#* v}
        number=${number%% *}
        crate=${crate%% *}
        case $crate in '' | stos-*) continue ;; esac
        folder=${folders[$crate-$number]:-}
        [[ -d $folder ]] || die "there are no sources of $crate $number: run  cargo fetch"
        printf '\n=== %s %s: %s\n' "$crate" "$number" "$licence"
        mapfile -t files < <(cd "$folder" && find . -maxdepth 2 -type f \( -iname 'licen[cs]e*' -o -iname 'copying*' -o -iname 'notice*' \
            -o -iname 'unlicense*' -o -ipath './licenses/*' \) ! -name '*.rs' | sed 's,^\./,,' | sort)
        ((${#files[@]})) || {
            printf 'Its package has no text of it, but these authors:\n'
            sed -n '/^authors = \[/,/\]/p' "$folder/Cargo.toml"
        }
        for file in "${files[@]}"; do
            sum=$(sha256sum <"$folder/$file")
            if [[ -n ${seen[$sum]:-} ]]; then
                printf -- '--- %s: the same as %s\n' "$file" "${seen[$sum]}"
            else
                seen[$sum]="$file of $crate $number"
                printf -- '--- %s\n' "$file"
                cat "$folder/$file"
                printf '\n'
            fi
        done
    done < <("$cargo" tree --quiet --locked --offline --target "$target" -e normal,no-proc-macro -p stos-pack -p stos-run --prefix none \
        --format '{p}|{l}' | sed 's/ (\*)$//' | sort -u)
}

# listed: the files of the project that go into packages, as git knows them, or where there is no git all that are not compiled.
listed() {
    local places=(examples manifests docs README.md CHANGELOG.md SECURITY.md LICENSE-APACHE LICENSE-MIT)
    if [[ -e .git ]]; then
        git ls-files -z -- "${places[@]}"
    else
        find "${places[@]}" ! -type d ! -name '*.o' ! -name '*.d' ! -name '*.ko' ! -name '*.elf' ! -name '*.bin' ! -name vmlinuz ! -name busybox -print0
    fi
}

# put FILE PLACE [MODE]: a symbolic link stays one.
put() {
    if [[ -L $1 ]]; then
        mkdir -p "$(dirname "$tree/$2")"
        cp -P --remove-destination "$1" "$tree/$2"
    else
        install -D -m "${3:-644}" "$1" "$tree/$2"
    fi
}

# fill FOLDER: what the packages hold, in `tree`, of the programs that are in FOLDER.
fill() {
    local programs=$1 program data=share/stos-pack docs=share/doc/stos-pack file rust
    for program in stos-pack stos-run; do
        [[ -x $programs/$program ]] || die "there is no program $programs/$program"
        put "$programs/$program" "bin/$program" 755
        mkdir -p "$tree/share/bash-completion/completions" "$tree/share/zsh/site-functions" "$tree/share/fish/vendor_completions.d"
        "$programs/$program" completions bash >"$tree/share/bash-completion/completions/$program"
        "$programs/$program" completions zsh >"$tree/share/zsh/site-functions/_$program"
        "$programs/$program" completions fish >"$tree/share/fish/vendor_completions.d/$program.fish"
        "$programs/$program" man "$tree/share/man/man1" >/dev/null
    done
    while IFS= read -r -d '' file; do
        case $file in
        examples/* | manifests/*) put "$file" "$data/$file" "$([[ -x $file ]] && echo 755 || echo 644)" ;;
        *) put "$file" "$docs/$file" ;;
        esac
    done < <(listed)
    rm -f "$tree/$data/examples/.gitignore"
    "$programs/stos-pack" -q manifests/ministos.yaml -o "$tree/$data/ministos.img" >/dev/null
    put packaging/musl.txt "$docs/notices/musl.txt"
    rust=$(rustc --print sysroot)/share/doc/rust/COPYRIGHT-library.html
    if [[ -f $rust ]]; then
        put "$rust" "$docs/notices/rust-library.html"
    else
        # Distributions have their own place for it.
        [[ $mode = tree ]] || die "the notices of Rust's library are not where rustup has them, at $rust"
    fi
    notices >"$tree/$docs/notices/crates.txt"
    [[ $mode = tree ]] || chmod -R u=rwX,go=rX "$tree"
}

# archive OUT: the archive of `tree`.
archive() {
    mkdir -p "$1"
    tar --create --sort=name --format=ustar --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner \
        -C "${tree%/*}" "$name" | gzip --no-name >"$1/$name.tar.gz.new"
    mv "$1/$name.tar.gz.new" "$1/$name.tar.gz"
}

# shellcheck disable=SC2317 # called by the trap
remove_work() {
    rm -rf "$work"
}

mode=${1:-}
case $mode in
'')
    epoch
    say "compiling for $target"
    compile
    scripts/tool.sh cargo-deb 3.8.0
    out=$root/target/dist
    rm -rf "$out"
    tree=$out/$name
    fill "target/$target/release"
    archive "$out"
    # The same files, below /usr. What Debian wants beside them is in builder/Cargo.toml.
    ln -s "$name" "$out/tree"
    target/tools/bin/cargo-deb --quiet --no-build --no-strip -p stos-pack --target "$target" --output "$out/" >/dev/null
    rm -rf "$tree" "$out/tree"
    (cd "$out" && sha256sum -- *.tar.gz *.deb >SHA256SUMS)
    (cd "$out" && ls -l -- *) | sed -n 's/^\(\S* *\)\{4\}//p'
    ;;
archive)
    (($# == 3)) || die 'usage: scripts/dist.sh archive FOLDER OUT'
    epoch
    mkdir -p "$3"
    work=$(mktemp -d "$3/work.XXXXXX")
    trap remove_work EXIT
    tree=$work/$name
    fill "$2"
    archive "$3"
    ;;
tree)
    (($# == 3)) || die 'usage: scripts/dist.sh tree FOLDER PREFIX'
    tree=${3%/}
    fill "$2"
    ;;
*)
    die 'usage: scripts/dist.sh [archive FOLDER OUT | tree FOLDER PREFIX]'
    ;;
esac
