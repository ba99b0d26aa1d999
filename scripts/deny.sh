#!/bin/sh
# Looks at the crates that the project depends on, as deny.toml says: licences, duplicates, sources, and what is known against them.
# cargo-deny is installed below target/ when it is not there yet.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
deny=$root/target/tools/bin/cargo-deny
cd "$root"

# What is left out works on certificates and git by itself; git is here.
scripts/tool.sh cargo-deny 0.20.2 --no-default-features

# What deny.toml excuses must still be there.
"$deny" --log-level error check --hide-inclusion-graph \
    -D unmatched-skip -D unnecessary-skip -D license-exception-not-encountered licenses bans sources

# The list of what is known against crates lies elsewhere than the crates.
if fetched=$("$deny" fetch db 2>&1); then
    "$deny" --log-level error check --hide-inclusion-graph advisories
else
    echo "deny: advisories are not looked at, because their list can't be fetched: $(printf '%s\n' "$fetched" | tail -n 1)"
fi
