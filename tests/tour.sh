#!/bin/sh
# tour.sh MORC: every ```console block of docs/tour.md is what its commands print now, run in a
# directory with the recipe of the tour (its first ```mor block) as tour.mor, and model.onnx.
# MORC_BLESS=1 writes the document anew. One case per command.
set -eu
morc=$(realpath "$1")
root=$(cd "$(dirname "$0")/.." && pwd)
scratch=${SCRATCH:-$root/build/scratch/tour}
export NO_COLOR=1 LC_ALL=C
rm -rf "$scratch"
mkdir -p "$scratch/bin"
cd "$scratch"
ln -s "$morc" bin/morc
ln -s "$root/tests/models/pylm-1m/model.onnx" model.onnx
PATH="$scratch/bin:$PATH"
export PATH
awk '/^```mor$/ { on = 1; next } /^```/ { if (on) exit } on' "$root/docs/tour.md" >tour.mor

awk '
    /^```console$/ { block = 1; print; next }
    /^```/ { block = 0; print; next }
    block && /^\$ / {
        print
        fflush()
        system(substr($0, 3) " 2>&1")
        next
    }
    !block { print }
' "$root/docs/tour.md" >tour.md

commands=$(grep -c '^\$ ' tour.md)
[ "${MORC_BLESS:-}" != 1 ] || cp tour.md "$root/docs/tour.md"
if diff -u "$root/docs/tour.md" tour.md; then
    echo "cases: $commands passed, 0 failed, 0 skipped"
else
    echo "FAIL docs/tour.md: not what the commands print (MORC_BLESS=1 writes it)"
    echo "cases: 0 passed, $commands failed, 0 skipped"
    exit 1
fi
