#!/bin/sh
# No include may point up or across the layers (docs/style.md): every `#include "dir/..."` of a
# product file is looked up in the table below. Prints each violation, and the counts that
# tests/tools/count.sh adds up; one case per directory. Headers made at build time count as files
# of the directory whose name they carry.
set -eu
cd "${1:-$(dirname "$0")/..}"

# directory: the directories it may include, besides itself
table='
runtime/base:
kernels:
lang: runtime/base
runtime/model: runtime/base
runtime/device: runtime/base kernels
runtime/calib: runtime/base kernels
runtime/engine: runtime/base
runtime/exec: runtime/base kernels runtime/model runtime/device runtime/calib
compiler: runtime/base kernels lang runtime/model runtime/device runtime/calib runtime/engine runtime/exec
'

# layer_of FILE-OR-INCLUDE: the directory of the table that holds it, or nothing
layer_of() {
    case $1 in
        runtime/*/*) rest=${1#runtime/}; echo "runtime/${rest%%/*}" ;;
        kernels/* | lang/* | compiler/*) echo "${1%%/*}" ;;
    esac
}

# check_layer DIR ALLOWED...: prints the includes that are not allowed; false when there are any
check_layer() {
    dir=$1
    shift
    [ -d "$dir" ] || return 0
    grep -rnE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' "$dir" \
        --include='*.[chy]' --include='*.re' --include='*.list' |
        sed -E 's/^([^:]+):([0-9]+):[^"]*"([^"]+)".*/\1 \2 \3/' |
        {
            bad=0
            while read -r file line include; do
                target=$(layer_of "$include")
                case " $dir $* " in
                    *" ${target:-none} "*) ;;
                    *) echo "$file:$line: \"$include\" is not below $dir"; bad=1 ;;
                esac
            done
            return $bad
        }
}

passed=0
failed=0
while IFS=: read -r dir allowed; do
    [ -n "$dir" ] || continue
    # shellcheck disable=SC2086 # a list of names
    if check_layer "$dir" $allowed; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
done <<EOF
$table
EOF
for dir in runtime/*/; do
    case $table in
        *"${dir%/}:"*) ;;
        *) echo "${dir%/}: not in the table of $0"; failed=$((failed + 1)) ;;
    esac
done
echo "cases: $passed passed, $failed failed, 0 skipped"
[ "$failed" = 0 ]
