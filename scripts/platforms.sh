#!/bin/sh
# Both commands are compiled, without making programs of it, for the targets that are named, or for each system that they are for. A target that Rust does not have here is
# named, and left out; `scripts/setup.sh platforms` gets it.
set -eu

cd "$(dirname "$0")/.."

chosen=''
for target in ${*:-$(cat scripts/targets.txt)}; do
    if [ -d "$(rustc --print target-libdir --target "$target")" ]; then
        chosen="$chosen --target $target"
    else
        printf 'skipped: nothing is compiled for %s: Rust has no such target here (rustup target add %s)\n' "$target" "$target"
    fi
done
[ -n "$chosen" ] || exit 0
# Unquoted on purpose: two words for each.
# shellcheck disable=SC2086
RUSTFLAGS='-D warnings' "${CARGO:-cargo}" check --quiet -p stos-pack -p stos-run $chosen
