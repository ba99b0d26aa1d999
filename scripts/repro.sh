#!/usr/bin/env bash
# Packs every manifest that comes with the project in many surroundings, and compares the images byte for byte.
#
#   scripts/repro.sh          every combination, with the release build and the debug build
#   scripts/repro.sh quick    one change at a time and all at once, with the debug build
#
# The golden image must have the id that is kept beside its manifest, since all its inputs are in git. The others' kernels
# and modules are compiled here, so their id depends on the compiler, and must only be the same in all surroundings.
# Builds and examples must be there: `make repro` sees to that.
set -euo pipefail
export LC_ALL=C

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}

say() {
    printf 'repro: %s\n' "$*"
}

die() {
    printf 'repro: %s\n' "$*" >&2
    exit 1
}

# What is varied, and how. The first value of each is that of the first combination.
dimensions=(folder order umask owner times zone locale threads build)
folder=(short 'much longer/than the other/one')
order=(sorted reversed mixed) # in which the files of a directory are made
umask=(022 077)
owner=(0 65534)
times=(2001-01-01T00:00Z 2033-05-18T03:33Z)
zone=(UTC Pacific/Kiritimati)
locale=(C tr_TR.UTF-8)
threads=(1 8)
build=(debug release)

quick=''
case ${1:-} in
'') ;;
quick)
    quick=yes
    build=(debug)
    ;;
*)
    printf 'usage: %s [quick]\n' "$0" >&2
    exit 64
    ;;
esac

# Manifests, and the files that they need, from the top of a checkout.
shopt -s nullglob
cd "$root"
manifests=(tests/fixtures/golden/*.yaml manifests/*.yaml)
((${#manifests[@]} >= 2)) || die 'the manifests are gone'
if [[ ! -f examples/linux/vmlinuz ]]; then
    mapfile -t manifests < <(printf '%s\n' "${manifests[@]}" | grep -v '^manifests/linux\.yaml$')
    say 'the kernel of manifests/linux.yaml is not fetched, so that one is left out: run  make setup-linux'
fi
files() {
    find tests/fixtures/golden manifests examples/ministos/initramfs examples/linux/initramfs
    printf '%s\n' examples/ministos/*.elf examples/ministos/*.ko examples/multiboot/*.elf examples/multiboot/*.txt \
        examples/elf/*.elf \
        examples/linux/vmlinuz*
}
[[ -f examples/ministos/kernel.elf ]] || die 'ministos is not built: run  make examples'
for value in "${build[@]}"; do
    [[ -x $target/$value/stos-pack ]] || die "$target/$value/stos-pack is missing: run  make repro"
done

if ((EUID != 0)); then
    owner=("$EUID")
    say 'not root: all copies have one owner'
fi
one_cpu=()
if command -v taskset >/dev/null && taskset -c 0 true 2>/dev/null; then
    one_cpu=(taskset -c 0)
fi

# In memory a directory lists its newest entry first. Others list by hash, whatever the order of making.
memory=/dev/shm
[[ -w $memory ]] || memory=${TMPDIR:-/tmp}
work=$(mktemp -d "$memory/stos-repro.XXXXXX")

# shellcheck disable=SC2317 # called by the trap
remove_work() {
    rm -rf "$work"
}
trap remove_work EXIT

# in_order ORDER: sorts the names on standard input.
in_order() {
    case $1 in
    sorted) sort ;;
    reversed) sort -r ;;
    mixed) while IFS= read -r name; do printf '%s %s\n' "$(cksum <<<"$name")" "$name"; done | sort -n | cut -d ' ' -f 3- ;;
    esac
}

# copy FOLDER ORDER UMASK OWNER TIMES: a copy of the files with these properties; its place in `$copy`.
copy() {
    copy=$work/$2.$3.$4.${5%%-*}/$1
    [[ ! -d $copy ]] || return 0
    (
        umask "$3"
        mkdir -p "$copy"
        files | in_order "$2" | while IFS= read -r file; do
            mkdir -p "$copy/${file%/*}"
            if [[ -L $file ]]; then
                cp -P "$file" "$copy/$file"
            elif [[ -d $file ]]; then
                mkdir -p "$copy/$file"
            else
                # Not with `cp`, which takes the permissions of the first file along.
                cat "$file" >"$copy/$file"
                [[ ! -x $file ]] || chmod u+x "$copy/$file"
            fi
        done
        find "$copy" -exec touch -h -d "$5" {} +
        ((EUID != 0)) || chown -hR "$4:$4" "$copy"
    )
}

# Whether the order is seen at all.
listings=$(for value in "${order[@]}"; do
    copy "${folder[0]}" "$value" "${umask[0]}" "${owner[0]}" "${times[0]}"
    (cd "$copy" && ls -UR | cksum)
done | sort -u | wc -l)
if ((listings < ${#order[@]})); then
    order=(sorted)
    say "directories in $memory are listed in one order, whatever the order of making: not varied"
fi

# choose NUMBER: sets `digits`, an index into the values of each dimension; false when there is no such combination.
choose() {
    local rest=$1 name
    digits=()
    for name in "${dimensions[@]}"; do
        local -n values=$name
        digits+=($((rest % ${#values[@]})))
        rest=$((rest / ${#values[@]}))
    done
    ((rest == 0))
}

# Whether a quick run has this combination: at most one value differs from the first combination's, or all that can.
wanted() {
    local index same=0 single=0
    [[ -n $quick ]] || return 0
    for index in "${!dimensions[@]}"; do
        local -n values=${dimensions[index]}
        ((${#values[@]} > 1)) || single=$((single + 1))
        ((digits[index])) || same=$((same + 1))
    done
    ((same >= ${#dimensions[@]} - 1 || same == single))
}

# Sets `chosen` to the values and `words` to their names.
name_values() {
    local index
    chosen=()
    words=''
    for index in "${!dimensions[@]}"; do
        local -n values=${dimensions[index]}
        chosen+=("${values[digits[index]]}")
        words+="${words:+, }${dimensions[index]} ${values[digits[index]]}"
    done
}

# pack MANIFEST IMAGE: prints the image id.
pack() {
    local program=$target/${chosen[8]}/stos-pack manifest=$1 prefix=() line
    [[ ${chosen[7]} != 1 ]] || prefix=(${one_cpu[@]+"${one_cpu[@]}"})
    umask "${chosen[2]}"
    # From inside the short folder by a relative path, and to the other one from elsewhere.
    if [[ ${chosen[0]} = "${folder[0]}" ]]; then
        cd "$copy"
    else
        cd /
        manifest=$copy/$manifest
    fi
    line=$(TZ=${chosen[5]} LANG=${chosen[6]} LC_ALL=${chosen[6]} RAYON_NUM_THREADS=${chosen[7]} \
        ${prefix[@]+"${prefix[@]}"} "$program" "$manifest" -o "$2") || return 1
    printf '%s\n' "${line##* }"
}

# compare MANIFEST: packs it in every combination; one line for it.
compare() {
    local manifest=$1 number=0 count=0 id first_id first_words kept=$work/first.img image=$work/image.img expected
    while choose "$number"; do
        number=$((number + 1))
        wanted || continue
        name_values
        copy "${chosen[@]:0:5}"
        id=$(pack "$manifest" "$image") || die "$manifest can't be packed with: $words"
        count=$((count + 1))
        if ((count == 1)); then
            mv "$image" "$kept"
            first_id=$id first_words=$words
            continue
        fi
        if [[ $id != "$first_id" ]] || ! cmp -s "$kept" "$image"; then
            say "$manifest: two images differ" >&2
            printf '  %s: %s\n' "$first_id" "$first_words" "$id" "$words" >&2
            "$target/${build[0]}/stos-pack" diff "$kept" "$image" >&2 || true
            exit 1
        fi
        rm "$image"
    done
    expected='as compiled here'
    if [[ -f ${manifest%.yaml}.id ]]; then
        expected=$(<"${manifest%.yaml}.id")
        [[ $first_id = "$expected" ]] || die "$manifest has the id $first_id, but ${manifest%.yaml}.id has $expected"
        expected='as kept in git'
    fi
    printf '%-34s %5d combinations  %s  %s\n' "$manifest" "$count" "$first_id" "$expected"
}

for name in "${dimensions[@]}"; do
    declare -n values=$name
    printf -v list '%s | ' "${values[@]}"
    printf '%-8s %s\n' "$name" "${list% | }"
done
for manifest in "${manifests[@]}"; do
    compare "$manifest"
done
