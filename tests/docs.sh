#!/bin/sh
# docs.sh MORC: what the documents say is true. Every ```mor block of README.md and docs/ passes
# `morc check`; one marked ```mor wrong (docs/errors/CODE.md) is refused with that code, or passes
# when only a model can show the error; one marked ```mor fragment is part of a recipe and not run.
# Recipes and the standard library are in canonical form and pass too. One case per block or file.
set -eu
morc=$(realpath "$1")
cd "$(dirname "$0")/.."
scratch=${SCRATCH:-build/scratch/docs}
export NO_COLOR=1 LC_ALL=C
passed=0 failed=0

pass() { passed=$((passed + 1)); }
fail() { echo "FAIL $*"; failed=$((failed + 1)); }

# Blocks become files FILE.LINE.KIND.mor (KIND: right, wrong); fragments are dropped.
extract() {
    awk -v base="$2" '
        /^```mor( wrong)?$/ {
            out = base "." NR "." ($0 ~ /wrong/ ? "wrong" : "right") ".mor"
            printf "" > out
            next
        }
        /^```/ { if (out) { close(out) } out = "" }
        out { print > out }
    ' "$1"
}

# check_block FILE DOCUMENT
check_block() {
    status=0
    "$morc" check "$1" >"$scratch/log" 2>&1 || status=$?
    case $1 in
        *.wrong.mor)
            code=$(basename "$2" .md)
            [ $status = 0 ] || { [ $status = 1 ] && grep -q "\[$code\]" "$scratch/log"; } ;;
        *) [ $status = 0 ] ;;
    esac
}

rm -rf "$scratch"
mkdir -p "$scratch"
for doc in README.md docs/*.md docs/*/*.md; do
    [ -f "$doc" ] || continue
    rm -f "$scratch"/block.*
    extract "$doc" "$scratch/block"
    for block in "$scratch"/block.*.mor; do
        [ -f "$block" ] || continue
        line=${block#"$scratch/block."}
        if check_block "$block" "$doc"; then pass; else fail "$doc:${line%%.*}"; cat "$scratch/log"; fi
    done
done
for recipe in recipes/*.mor stdlib/*.mor; do
    [ -f "$recipe" ] || continue
    if "$morc" fmt --check "$recipe" && "$morc" check "$recipe"; then pass; else fail "$recipe"; fi
done
echo "cases: $passed passed, $failed failed, 0 skipped"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
