#!/usr/bin/env bash
# Runs the fuzzer of stos-pack: libFuzzer, guided by coverage, with the stable compiler.
#
#   scripts/fuzz.sh         for FUZZ_SECONDS seconds, 600 unless it is set
#   scripts/fuzz.sh CASE    one case again, such as a finding; its files are left in target/fuzz/case/inputs
#
# A finding is a case that panics, takes more than 10 seconds or wants more than 1 GiB of memory. Each one is a file in
# target/fuzz/findings, with a .log that says what happened. What was learnt stays in target/fuzz/corpus for the next time.
set -euo pipefail
export LC_ALL=C # numbers in libFuzzer's words are read

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
seconds=${FUZZ_SECONDS:-600}
state=$root/target/fuzz
findings=$state/findings
log=$state/log

# A run ends with its first finding and the next one goes on. After so many, mending is better.
findings_limit=10

limits=(-timeout=10 -rss_limit_mb=1024)
# What address space a case may want at once, in KiB; memory that is not touched counts here.
address_space=$((4 << 20))

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
        --target "$host" -p stos-tests --features libfuzzer --bin fuzz-pack)
    program=$root/target/$host/fuzzing/fuzz-pack
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
    say "run it again with  scripts/fuzz.sh ${case#"$root/"}"
}

# shellcheck disable=SC2317 # called by the trap
remove_bench() {
    rm -rf "$FUZZ_FOLDER"
}

case $seconds in
'' | *[!0-9]*) die "FUZZ_SECONDS is \`$seconds\`, it must be a number of seconds" ;;
esac
mkdir -p "$findings" "$state/corpus"
build
# The digests' threads would only wait for each other.
export RAYON_NUM_THREADS=1
ulimit -c 0
ulimit -v "$address_space"

if (($#)); then
    [[ -f $1 ]] || die "there is no file \`$1\`"
    export FUZZ_FOLDER=$state/case
    mkdir -p "$FUZZ_FOLDER"
    "$program" "${limits[@]}" "-artifact_prefix=$FUZZ_FOLDER/" "$1"
    exit
fi

memory=/dev/shm
[[ -w $memory ]] || memory=${TMPDIR:-/tmp}
FUZZ_FOLDER=$(mktemp -d "$memory/stos-fuzz.XXXXXX")
export FUZZ_FOLDER FUZZ_SEEDS=$state/seeds
mkdir -p "$FUZZ_SEEDS"
trap remove_bench EXIT

executed=0
found=0
case=''
SECONDS=0
cd "$root"
while ((SECONDS < seconds && found < findings_limit)); do
    status=0
    "$program" "${limits[@]}" "-max_total_time=$((seconds - SECONDS))" -max_len=262144 -len_control=0 \
        -print_final_stats=1 "-artifact_prefix=$findings/" "$state/corpus" "$FUZZ_SEEDS" >"$log" 2>&1 || status=$?
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
cases=$(find "$state/corpus" -type f | wc -l)
say "$executed executions in $SECONDS s, $((executed / (SECONDS > 0 ? SECONDS : 1))) per second"
say "${covered:-?} of ${counters:-?} edges covered, $cases cases in ${state#"$root/"}/corpus"
say "$found findings"
((found == 0))
