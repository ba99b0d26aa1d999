#!/bin/sh
# Makes a book of docs/ in target/guide, and looks where the links in it lead. mdBook is installed below target/ when it is not there yet.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"

# What is left out serves a book to a browser and watches its sources.
scripts/tool.sh mdbook 0.5.4 --no-default-features --features search
MDBOOK_LOG=warn target/tools/bin/mdbook build docs/guide
# What mdBook takes for files of a page.
rm target/guide/guide/book.*
scripts/links.py target/guide
