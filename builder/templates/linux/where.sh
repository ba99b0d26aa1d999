#!/bin/sh
# Shows what a run has printed, and behind it the source line of the instruction for which Linux has ended `/init`.
set -eu
cat "$1"
address=$(sed -n 's/.*init\[1\].* ip[ :]\([0-9a-f]*\).*/\1/p' "$1" | head -n 1)
if [ -n "$address" ]; then
    place=$(addr2line -e build/initramfs/init "0x$address")
    place=${place#"$PWD"/}
    while [ "${place#./}" != "$place" ]; do place=${place#./}; done
    echo "$place: error: Linux has ended init at 0x$address"
fi
