#!/bin/sh
# count.sh LOG...: names what was skipped, then prints the closing line of a test run, `N passed,
# N failed, N skipped`, alone; false when something failed or nothing passed.
#
# A LOG called *.ctest is CTest's LastTest.log. A test in it counts as the cases its own output
# names (the summary of CMocka, or a line `cases: N passed, N failed, N skipped`), as one without
# such a line, and as one failure when it ended badly although no case failed (a crash). Any other
# LOG ends with a `cases:` line. A log that is missing or empty is a failure. `skip NAME: REASON`
# lines say what was skipped.
set -eu
for log in "$@"; do
    [ -f "$log" ] || { mkdir -p "$(dirname "$log")"; : >"$log"; }
done
for log in "$@"; do
    [ -s "$log" ] || echo "no results: $log"
done
awk -v logs=$# '
    function flush() {
        if (in_test) {
            if (p + f + s == 0 && ok) { p = 1 }
            if (!ok && f == 0) { f = 1 }
            P += p; F += f; S += s
        }
        p = f = s = ok = in_test = 0
    }
    FNR == 1 { flush(); ctest = FILENAME ~ /\.ctest$/; if (ctest) { logs-- } }
    ctest && /^[0-9]+\/[0-9]+ Test:/ { flush(); in_test = 1 }
    ctest && /^Test Passed\.$/ { ok = 1 }
    ctest && /^\[  PASSED  \] [0-9]+ test/ { p += $4 }
    ctest && /^\[  SKIPPED \] [0-9]+ test/ { s += $4 }
    ctest && /^\[  FAILED  \] [0-9]+ test/ { f += $4 }
    /^cases: / {
        if (ctest) { p += $2; f += $4; s += $6 } else { P += $2; F += $4; S += $6; logs-- }
    }
    /^skip / { print }
    END {
        flush()
        F += logs
        printf "%d passed, %d failed, %d skipped\n", P, F, S
        exit (F > 0 || P == 0)
    }
' "$@"
