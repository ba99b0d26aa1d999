#!/bin/sh
# Installs a program from crates.io below target/tools/bin when this version of it is not there yet:
#
#   scripts/tool.sh mdbook 0.5.4 OPTIONS...    OPTIONS are those of `cargo install`
set -eu

crate=$1
version=$2
shift 2
root=$(cd "$(dirname "$0")/.." && pwd)
tools=$root/target/tools

case $("$tools/bin/$crate" --version 2>/dev/null) in
"$crate $version" | "$crate v$version") exit 0 ;;
esac
echo "tool: compiling $crate $version"
# A debug build is made faster than its speed would save.
CARGO_PROFILE_DEV_DEBUG=0 CARGO_TARGET_DIR=$tools/build "${CARGO:-cargo}" install "$crate" --version "$version" \
    --locked --debug --quiet --root "$tools" "$@" ||
    {
        echo "tool: $crate $version can't be installed; it needs crates.io and a current Rust" >&2
        exit 1
    }
rm -rf "$tools/build"
