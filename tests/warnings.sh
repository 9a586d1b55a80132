#!/bin/sh
# warnings.sh BUILD-DIRECTORY: every C file of the product passes clang-14 without a warning, as it
# passes gcc-12 in the build (generated sources are read, not judged); every shell script passes
# ShellCheck. One case per directory of sources, one for the scripts.
set -eu
build=$(realpath "$1")
cd "$(dirname "$0")/.."
passed=0 failed=0 skipped=0
verdict() { if "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)); fi; }

compile() {
    find "$1" -maxdepth 1 -name '*.c' -print | xargs -r -n 8 -P "$(nproc)" \
        clang-14 -fsyntax-only -std=c11 -O1 -Wall -Wextra -Wconversion -Werror -D_GNU_SOURCE \
        -DMORC_VERSION='"0"' -DMORC_DEBUG=1 -ffp-contract=off -I. -isystem "$build/gen" \
        -isystem /usr/include/tre
}

if command -v clang-14 >/dev/null; then
    for dir in $(find lang compiler runtime kernels -name '*.c' -exec dirname {} \; | sort -u); do
        verdict compile "$dir"
    done
else
    echo "skip warnings: no clang-14"
    skipped=1
fi
# shellcheck disable=SC2046 # a list of files
verdict shellcheck dev .ci/run $(find tests -name '*.sh')
echo "cases: $passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
