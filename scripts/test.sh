#!/usr/bin/env bash
# Runs every test. What has failed is told once more at the end: hundreds of lines of other sets come after it.
set -euo pipefail
cd "$(dirname "$0")/.."

log=$(mktemp)
trap 'rm -f "$log"' EXIT
"${CARGO:-cargo}" test --workspace --no-fail-fast 2>&1 | tee "$log" && exit
echo
echo "test: this has failed:"
# The panics or reasons of a set, then the names of its tests; and what could not be compiled.
awk '/^failures:$/ { within = 1 } /^test result:/ { within = 0 } within || /^error/' "$log"
exit 1
