#!/bin/sh
# run.sh MORC STAGE [NAME]: runs the golden cases of tests/golden/STAGE, or the one called NAME.
#
# A case is a file with a line `# run: COMMAND` among its first lines (several are one script) and
# its expectation beside it, NAME.out: everything the command prints on both streams, in order,
# then `exit N`. In a command, `morc` is the binary under test, $FILE the case, $MODELS the
# unpacked test models, $FAKE the folder of the GPU for tests (tests/fake), $TMP an empty directory;
# all but $FILE print as these names. The current directory is the case's. Files in directories
# below it belong to cases and are none themselves.
# MORC_BLESS=1 writes the expectations instead of comparing.
set -eu
morc=$(realpath "$1")
stage=$2
only=${3:-}
root=$(cd "$(dirname "$0")/../.." && pwd)
MODELS=${MODELS:-$root/build/models}
TMP=${SCRATCH:-$root/build/scratch/golden.$stage}/tmp
actual=${TMP%/tmp}/actual
FAKE=$(dirname "$morc")/fake
export MODELS FAKE TMP MORC_CACHE="$TMP/kernels" NO_COLOR=1 LC_ALL=C ASAN_OPTIONS="${ASAN_OPTIONS:-abort_on_error=1}"
unset MORC_PATH COLUMNS || true
mkdir -p "$TMP"
cd "$root/tests/golden/$stage"

# run_case FILE COMMAND: what the case prints, with the places of this machine taken out
run_case() {
    rm -rf "$TMP"
    mkdir -p "$TMP"
    (
        FILE=$1
        export FILE
        # shellcheck disable=SC2317 # called by the command
        morc() { "$morc" "$@"; }
        set +eu
        eval "$2" </dev/null
        echo "exit $?"
    ) 2>&1 | sed -E -e "s|$TMP|\$TMP|g" -e "s|$MODELS|\$MODELS|g" \
        -e "s|$FAKE|\$FAKE|g" \
        -e "s#(^|[^A-Za-z0-9._/-])$root(/|[^A-Za-z0-9._-]|\$)#\1\$ROOT\2#g" # a whole path only
}

passed=0 failed=0 skipped=0
for file in *; do
    [ -f "$file" ] || continue
    case $file in *.out) continue ;; esac
    name=${file%.*}
    [ -z "$only" ] || [ "$only" = "$name" ] || continue
    # shellcheck disable=SC2016 # the name, not the value
    command=$(sed -n '1,9s/^[#;]* *run: //p' "$file")
    # shellcheck disable=SC2016
    case $command in
        '') echo "FAIL $stage/$file: no \`# run: COMMAND\` line"; failed=$((failed + 1)); continue ;;
        *'$MODELS'*)
            if [ ! -d "$MODELS" ]; then
                echo "skip golden.$stage/$name: the test models are not unpacked (./dev setup)"
                skipped=$((skipped + 1))
                continue
            fi ;;
    esac
    run_case "$file" "$command" >"$actual"
    if [ "${MORC_BLESS:-}" = 1 ]; then
        cp "$actual" "$name.out"
    fi
    if [ ! -f "$name.out" ]; then
        echo "FAIL $stage/$file: no $name.out (MORC_BLESS=1 writes it)"
        failed=$((failed + 1))
    elif diff -u --label "$stage/$name.out" --label actual "$name.out" "$actual"; then
        passed=$((passed + 1))
    else
        echo "FAIL $stage/$file"
        failed=$((failed + 1))
    fi
done
echo "cases: $passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
