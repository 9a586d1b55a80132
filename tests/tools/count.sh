#!/bin/sh
# count.sh CTEST-LOG RUNNER-LOG...: names what was skipped, then prints the closing line of a test
# run, `N passed, N failed, N skipped`, alone; false when something failed or nothing passed.
#
# CTEST-LOG is CTest's LastTest.log. A test in it counts as the cases its own output names (the
# summary of CMocka, or a line `cases: N passed, N failed, N skipped`), as one without such a line,
# and as one failure when it ended badly although no case failed (a crash). A RUNNER-LOG ends with
# a `cases:` line; one that is missing or has none is a failure. `skip NAME: REASON` lines say what
# was skipped.
set -eu
for log in "$@"; do
    [ -f "$log" ] || { mkdir -p "$(dirname "$log")"; : >"$log"; }
done
for log in "$@"; do
    [ -s "$log" ] || echo "no results: $log"
done
ctest_log=$1
awk -v ctest_log="$ctest_log" -v empty="$([ -s "$ctest_log" ] || echo 1)" -v runners=$(($# - 1)) '
    function flush() {
        if (in_test) {
            if (p + f + s == 0 && ok) { p = 1 }
            if (!ok && f == 0) { f = 1 }
            P += p; F += f; S += s
        }
        p = f = s = ok = in_test = 0
    }
    FNR == 1 { flush(); ctest = FILENAME == ctest_log }
    ctest && /^[0-9]+\/[0-9]+ Test:/ { flush(); in_test = 1 }
    ctest && /^Test Passed\.$/ { ok = 1 }
    ctest && /^\[  PASSED  \] [0-9]+ test/ { p += $4 }
    ctest && /^\[  SKIPPED \] [0-9]+ test/ { s += $4 }
    ctest && /^\[  FAILED  \] [0-9]+ test/ { f += $4 }
    /^cases: / {
        if (ctest) { p += $2; f += $4; s += $6 } else { P += $2; F += $4; S += $6; runners-- }
    }
    /^skip / { print }
    END {
        flush()
        F += empty + runners
        printf "%d passed, %d failed, %d skipped\n", P, F, S
        exit (F > 0 || P == 0)
    }
' "$@"
