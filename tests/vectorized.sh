#!/bin/sh
# The loops over weights are vectorized by gcc-12 at the full width of the instruction set: the eight of
# every format that holds weights (kernels/lanes_format.h), and most of those that no format changes.
# One case per variant. A text that defeats the compiler would still be right, and ten times slower.
set -eu
cd "$(dirname "$0")/.."
passed=0 failed=0

if [ "$(uname -m)" != x86_64 ]; then
    echo "skip vectorized: counted for x86-64 only"
    echo "cases: 0 passed, 0 failed, 1 skipped"
    exit 0
fi

# lines FILE: how many lines of it, in a pattern, begin a loop of full width
lines() { grep -E "$1:[0-9:]+ optimized: loop vectorized using $bytes byte" "$report" | cut -d: -f1-2 | sort -u | wc -l; }

# check VARIANT BYTES
check() {
    bytes=$2
    gcc-12 -S -o /dev/null -std=c11 -O3 -D_GNU_SOURCE -ffp-contract=off -fno-trapping-math \
        -fno-strict-aliasing -fPIC -I. -fopt-info-vec "kernels/lanes_$1.c" >"$report" 2>&1
    want=$((8 * $(grep '^#include' kernels/formats.list | grep -vc e8m0)))
    found=$(grep -v e8m0 "$report" | grep -c "kernels/format/.*loop vectorized using $2 byte vectors") || true
    problem=
    [ "$found" -eq "$want" ] || problem="$found of $want loops of formats"
    [ "$(lines kernels/lanes_divide.h)" -ge 6 ] || problem="$problem, too few of lanes_divide.h"
    [ "$(lines kernels/lanes_compare.h)" -ge 6 ] || problem="$problem, too few of lanes_compare.h"
    [ "$(lines kernels/lanes_tile.h)" -ge 13 ] || problem="$problem, too few of lanes_tile.h"
    if [ -z "$problem" ]; then
        passed=$((passed + 1))
    else
        echo "FAIL lanes_$1.c: $problem use vectors of $2 bytes"
        failed=$((failed + 1))
    fi
}
report=$(mktemp)
trap 'rm -f "$report"' EXIT
check base 16
check avx2 32
check avx512 64

echo "cases: $passed passed, $failed failed, 0 skipped"
[ "$failed" = 0 ]
