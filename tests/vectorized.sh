#!/bin/sh
# The loops over weights of every format (encode, decode, error) are vectorized by gcc-12 at the full
# width of the instruction set; one case per variant. A format whose text defeats the compiler would
# still be right, and ten times slower.
set -eu
cd "$(dirname "$0")/.."
passed=0 failed=0

if [ "$(uname -m)" != x86_64 ]; then
    echo "skip vectorized: counted for x86-64 only"
    echo "cases: 0 passed, 0 failed, 1 skipped"
    exit 0
fi

# check VARIANT BYTES
check() {
    want=$((3 * $(grep -c '^#include' kernels/formats.list)))
    found=$(gcc-12 -S -o /dev/null -std=c11 -O3 -D_GNU_SOURCE -ffp-contract=off -fno-trapping-math \
        -fno-strict-aliasing -fPIC -I. -fopt-info-vec "kernels/lanes_$1.c" 2>&1 |
        grep -c "kernels/format/.*loop vectorized using $2 byte vectors") || true
    if [ "$found" -eq "$want" ]; then
        passed=$((passed + 1))
    else
        echo "FAIL lanes_$1.c: $found of $want loops use vectors of $2 bytes"
        failed=$((failed + 1))
    fi
}
check base 16
check avx2 32
check avx512 64

echo "cases: $passed passed, $failed failed, 0 skipped"
[ "$failed" = 0 ]
