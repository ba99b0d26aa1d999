#!/bin/sh
# Looks at the crates that the project depends on, as deny.toml says: licences, duplicates, sources, and what is known against them.
# cargo-deny is installed below target/ when it is not there yet.
set -eu

version=0.20.2
root=$(cd "$(dirname "$0")/.." && pwd)
tools=$root/target/tools
deny=$tools/bin/cargo-deny
cd "$root"

if [ "$("$deny" --version 2>/dev/null)" != "cargo-deny $version" ]; then
    echo "deny: compiling cargo-deny $version"
    # A debug build is made faster than its speed would save. What is left out works on certificates and git by itself; git is here.
    CARGO_PROFILE_DEV_DEBUG=0 CARGO_TARGET_DIR=$tools/build "${CARGO:-cargo}" install cargo-deny --version "$version" \
        --locked --debug --no-default-features --quiet --root "$tools" ||
        {
            echo "deny: cargo-deny $version can't be installed; it needs crates.io and a current Rust" >&2
            exit 1
        }
    rm -rf "$tools/build"
fi

# What deny.toml excuses must still be there.
"$deny" --log-level error check --hide-inclusion-graph \
    -D unmatched-skip -D unnecessary-skip -D license-exception-not-encountered licenses bans sources

# The list of what is known against crates lies elsewhere than the crates.
if fetched=$("$deny" fetch db 2>&1); then
    "$deny" --log-level error check --hide-inclusion-graph advisories
else
    echo "deny: advisories are not looked at, because their list can't be fetched: $(printf '%s\n' "$fetched" | tail -n 1)"
fi
