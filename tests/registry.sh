#!/bin/sh
# Lists and files agree: every error code in the sources has its long form in docs/errors and a
# golden case that shows it, and no long form is left over; the rows of each X-list are the files
# of its directory. One case per code or list.
set -eu
cd "$(dirname "$0")/.."
passed=0 failed=0

# Codes that no golden case can show, and where they are tested instead.
elsewhere='E0002 E1011 E1012 E1104 E1105'

verdict() {
    if [ -z "$1" ]; then passed=$((passed + 1)); else echo "FAIL $1"; failed=$((failed + 1)); fi
}

codes=$(grep -rhoE '["[][EW][0-9]{4}[]"]' lang compiler runtime --include='*.[chy]' --include='*.re' \
    --include='*.list' | tr -d '"[]' | sort -u)
for code in $codes; do
    problem=
    [ -f "docs/errors/$code.md" ] || problem="$code: no docs/errors/$code.md"
    case " $elsewhere " in
        *" $code "*)
            grep -rq "$code" tests/unit || problem="$problem $code: no unit test names it" ;;
        *)
            grep -rqE --include='*.out' "\[$code\]|\"code\":\"$code\"" tests/golden ||
                problem="$problem $code: no golden case shows it" ;;
    esac
    verdict "$problem"
done
for file in docs/errors/*.md; do
    [ -f "$file" ] || continue
    code=$(basename "$file" .md)
    case " $(echo "$codes" | tr '\n' ' ') " in
        *" $code "*) ;;
        *) verdict "$file: no source reports $code" ;;
    esac
done

# compare_list LIST MACRO DIRECTORY SUFFIX [PREFIX]: rows MACRO(name, ...) against the files
# DIRECTORY/PREFIXname.SUFFIX
compare_list() {
    [ -f "$1" ] || return 0
    rows=$(sed -nE "s/^[[:space:]]*$2\(([A-Za-z0-9_]+).*/\1/p" "$1" | sort -u)
    files=$(find "$3" -maxdepth 1 -name "${5:-}*.$4" -exec basename {} ".$4" \; | sed "s/^${5:-}//" | sort -u)
    difference=$(printf '%s\n' "$rows" "$files" | sort | uniq -u | tr '\n' ' ')
    verdict "${difference:+$1 and $3 differ: $difference}"
}
compare_list compiler/transforms.list TRANSFORM compiler/transform c
compare_list compiler/passes.list PASS compiler/pass c
compare_list runtime/calib/calibrators.list CALIBRATOR runtime/calib c calib_

echo "cases: $passed passed, $failed failed, 0 skipped"
[ "$failed" = 0 ]
