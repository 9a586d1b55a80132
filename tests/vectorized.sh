#!/bin/sh
# The loops over weights are vectorized by gcc-12 at the full width of the instruction set: the eight of
# every format that holds weights (kernels/lanes_format.h), and most of those that no format changes.
# One case per variant. A text that defeats the compiler would still be right, and ten times slower.
# Products (runtime/calib/product_lanes_body.h): a tile of float32 multiplies and adds in registers of
# full width, which no line of its loop stores; its solves are vectorized, and nothing is fused.
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
# check_product VARIANT BYTES REGISTER TILE: TILE products of vectors in one loop
check_product() {
    bytes=$2
    gcc-12 -S -o "$assembly" -std=c11 -O3 -D_GNU_SOURCE -ffp-contract=off -fno-trapping-math \
        -fno-strict-aliasing -fPIC -I. -fopt-info-vec "runtime/calib/product_lanes_$1.c" >"$report" 2>&1
    problem=
    # the longest run of lines without a label or a store that has that many products
    most=$(awk -v register="%$3" '
        /^\.L/ || $0 ~ "^\tv?mov[au]ps\t" register "[0-9]+, [0-9-]*\\(" { n = 0 }
        $0 ~ "^\tv?mulps\t.*" register { n++ }
        n > most { most = n }
        END { print most + 0 }' "$assembly")
    [ "$most" -ge "$4" ] || problem="$most of $4 products of a tile"
    [ "$(lines runtime/calib/factor_lanes_body.h)" -ge 3 ] || problem="$problem, too few solves"
    if [ -n "$problem" ]; then
        problem="$problem use vectors of $2 bytes"
    fi
    ! grep -q 'vfn*m[as][du][db]' "$assembly" || problem="$problem; fused multiply-adds"
    if [ -z "$problem" ]; then
        passed=$((passed + 1))
    else
        echo "FAIL product_lanes_$1.c: $problem"
        failed=$((failed + 1))
    fi
}
report=$(mktemp) assembly=$(mktemp)
trap 'rm -f "$report" "$assembly"' EXIT
check base 16
check avx2 32
check avx512 64
check_product base 16 xmm 8
check_product avx2 32 ymm 8
check_product avx512 64 zmm 16

echo "cases: $passed passed, $failed failed, 0 skipped"
[ "$failed" = 0 ]
