#!/bin/sh
# The embedded machine is compiled for where there is neither a system nor a clock: what it uses of either would be found here, or by the
# test of `house`. Without that target of Rust's, and without a way to get it, this says so and goes on.
set -eu

cd "$(dirname "$0")/.."
target=wasm32-unknown-unknown

has_target() {
    [ -d "$(rustc --print target-libdir --target "$target")" ]
}

if ! has_target; then
    # Gets the target for the toolchain that is there, and leaves that as it is.
    if ! why=$(RUSTUP_AUTO_INSTALL=0 rustup target add "$target" 2>&1) || ! has_target; then
        printf 'skipped: the embedded machine is not compiled for %s: Rust has no such target here, and rustup can'\''t get it: %s\n' "$target" "$why"
        exit 0
    fi
fi
RUSTFLAGS='-D warnings' "${CARGO:-cargo}" check --quiet -p stos-machine --target "$target"
