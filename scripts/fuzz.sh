#!/usr/bin/env bash
# Runs the fuzzer: libFuzzer, guided by coverage, with the stable compiler.
#
#   scripts/fuzz.sh              each target for FUZZ_SECONDS seconds, 600 unless it is set; FUZZ_TARGET names one or some
#   scripts/fuzz.sh CASE         one case of the target FUZZ_TARGET again, such as a finding; its files are left in target/fuzz/case
#   scripts/fuzz.sh --record     makes tests/fixtures/corpus of what was learnt, as few cases as have the same coverage
#
# A finding is a case that panics, takes more than 10 seconds or wants more than 1 GiB of memory. Each one is a file in
# target/fuzz/TARGET/findings, with a .log that says what happened. What was learnt stays in target/fuzz/TARGET/corpus for the
# next time.
set -euo pipefail
export LC_ALL=C # numbers in libFuzzer's words are read

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
seconds=${FUZZ_SECONDS:-600}
all=(image diagnosis ports machine emulator console manifest elf bzimage multiboot recognise newc)
read -ra targets <<<"${FUZZ_TARGET:-${all[*]}}"
recorded=$root/tests/fixtures/corpus

# A run ends with its first finding and the next one goes on. After so many, mending is better.
findings_limit=10

limits=(-timeout=10 -rss_limit_mb=1024)
# What address space a case may want at once, in KiB; memory that is not touched counts here.
address_space=$((4 << 20))
# What a target's cases in git take at most, in bytes, and how many there are.
recorded_limit=$((150 << 10))
recorded_cases=400

# Counters on edges and watched comparisons: what libFuzzer learns from.
coverage=(
    -Cpasses=sancov-module
    -Cllvm-args=-sanitizer-coverage-level=4
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters
    -Cllvm-args=-sanitizer-coverage-pc-table
    -Cllvm-args=-sanitizer-coverage-trace-compares
)

say() {
    printf 'fuzz: %s\n' "$*"
}

die() {
    printf 'fuzz: %s\n' "$*" >&2
    exit 1
}

# Sets `program`. A target of its own keeps the flags away from build scripts, and from other builds.
build() {
    local host
    host=$(rustc -vV | sed -n 's/^host: //p')
    say 'building'
    (cd "$root" && CARGO_TARGET_DIR=$root/target RUSTFLAGS="${coverage[*]}" cargo build --quiet --profile fuzzing \
        --target "$host" -p stos-tests --features libfuzzer --bin fuzz-target)
    program=$root/target/$host/fuzzing/fuzz-target
}

# statistic NAME: a number of the last run's final statistics.
statistic() {
    sed -n "s/^stat::$1: *//p" "$log" | tail -n 1
}

# keep_finding: says what the last run found and how to see it again; the file is in `case`. False when it ended for another
# reason.
keep_finding() {
    local message
    case=$(sed -n 's/.*Test unit written to //p' "$log" | tail -n 1)
    [[ -n $case ]] || return 1
    cp "$log" "$case.log"
    # A case that was fine when it was learnt would end every run at its start. Both names end with the digest.
    rm -f "$state/corpus/${case##*-}"
    message=$(grep -a -A 1 -m 1 'panicked at' "$log" || grep -a -m 1 'memory allocation of' "$log" ||
        grep -a -m 1 'ERROR: libFuzzer' "$log" || true)
    say "finding: ${case#"$root/"}"
    printf '%s\n' "$message"
    say "run it again with  FUZZ_TARGET=$FUZZ_TARGET scripts/fuzz.sh ${case#"$root/"}"
}

# unpack TARGET: makes files of the cases in git, a line of Base64 each.
unpack() {
    local line number=0
    rm -rf "$state/recorded"
    mkdir -p "$state/recorded"
    [[ -f $recorded/$1.txt ]] || return 0
    while read -r line; do
        number=$((number + 1))
        base64 -d <<<"$line" >"$state/recorded/$number"
    done <"$recorded/$1.txt"
}

# choose TARGET: what is its own.
choose() {
    export FUZZ_TARGET=$1
    state=$root/target/fuzz/$1
    findings=$state/findings
    log=$state/log
    mkdir -p "$findings" "$state/corpus" "$state/seeds"
    unpack "$1"
    export FUZZ_SEEDS=$state/seeds
}

# fuzz TARGET: runs it, and prints a row of the table.
fuzz() {
    local executed=0 found=0 status runs before covered counters cases_before cases_after
    choose "$1"
    case=''
    # Cases to begin with are made anew.
    rm -f "$FUZZ_SEEDS"/*
    cases_before=$(find "$state/corpus" -type f | wc -l)
    SECONDS=0
    while ((SECONDS < seconds && found < findings_limit)); do
        status=0
        "$program" "${limits[@]}" "-max_total_time=$((seconds - SECONDS))" -max_len=262144 -len_control=0 \
            -print_final_stats=1 "-artifact_prefix=$findings/" "$state/corpus" "$FUZZ_SEEDS" "$state/recorded" \
            >"$log" 2>&1 || status=$?
        runs=$(statistic number_of_executed_units)
        executed=$((executed + ${runs:-0}))
        if ((status)); then
            before=$case
            keep_finding || die "the fuzzer ended with status $status: see ${log#"$root/"}"
            found=$((found + 1))
            if [[ $case = "$before" ]]; then
                say 'that is one of the cases to begin with: mend it first'
                break
            fi
        fi
    done
    # The last line of progress says what is covered; the first lines, out of how much.
    covered=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -n 1)
    counters=$(sed -n 's/.*Loaded 1 PC tables (\([0-9]*\) PCs).*/\1/p' "$log" | tail -n 1)
    cases_after=$(find "$state/corpus" -type f | wc -l)
    printf "$row" "$1" "$executed" $((executed / (SECONDS > 0 ? SECONDS : 1))) "${covered:-?} of ${counters:-?}" \
        $((cases_after - cases_before)) "$found"
    total=$((total + found))
}

# record TARGET: as few cases as cover the edges that all cover, the small ones first, as many as there is room for.
record() {
    local chosen size sum=0 count=0 file
    choose "$1"
    chosen=$(mktemp -d "$state/chosen.XXXXXX")
    "$program" "${limits[@]}" -merge=1 -use_counters=0 -max_len=262144 "$chosen" "$state/corpus" "$FUZZ_SEEDS" "$state/recorded" >"$log" 2>&1 ||
        die "merging ended badly: see ${log#"$root/"}"
    mkdir -p "$recorded"
    while read -r size file; do
        sum=$((sum + size))
        count=$((count + 1))
        ((sum <= recorded_limit && count <= recorded_cases)) || break
        base64 -w 0 "$file"
        echo
    done < <(find "$chosen" -type f -printf '%s %p\n' | sort -n) >"$recorded/$1.txt"
    rm -rf "$chosen"
    say "$1: $(wc -l <"$recorded/$1.txt") cases, $(wc -c <"$recorded/$1.txt") bytes"
}

# shellcheck disable=SC2317 # called by the trap
remove_bench() {
    rm -rf "$FUZZ_FOLDER"
}

case $seconds in
'' | 0 | *[!0-9]*) die "FUZZ_SECONDS is \`$seconds\`, it must be a number of seconds, 1 or more" ;;
esac
for target in "${targets[@]}"; do
    [[ " ${all[*]} " = *" $target "* ]] || die "FUZZ_TARGET is \`$target\`, it must be some of: ${all[*]}"
done
build
# The digests' threads would only wait for each other.
export RAYON_NUM_THREADS=1
ulimit -c 0
ulimit -v "$address_space"

if (($#)) && [[ $1 != --record ]]; then
    [[ -f $1 ]] || die "there is no file \`$1\`"
    ((${#targets[@]} == 1)) || die "FUZZ_TARGET says of which target the case is"
    choose "${targets[0]}"
    export FUZZ_FOLDER=$root/target/fuzz/case
    mkdir -p "$FUZZ_FOLDER"
    "$program" "${limits[@]}" "-artifact_prefix=$FUZZ_FOLDER/" "$1"
    exit
fi

memory=/dev/shm
[[ -w $memory ]] || memory=${TMPDIR:-/tmp}
FUZZ_FOLDER=$(mktemp -d "$memory/stos-fuzz.XXXXXX")
export FUZZ_FOLDER
trap remove_bench EXIT
cd "$root"
if (($#)); then
    for target in "${targets[@]}"; do
        record "$target"
    done
    exit
fi

total=0
row='%-10s %12s %11s %18s %10s %9s\n'
# shellcheck disable=SC2059 # rows of a table
printf "$row" target executions 'per second' 'edges covered' 'new cases' findings
for target in "${targets[@]}"; do
    # What another target has laid out there is in the way.
    rm -rf "${FUZZ_FOLDER:?}"/*
    fuzz "$target"
done
((total == 0))
