/* The loop (pass_loop.h). */
#include "compiler/pass_loop.h"
#include "compiler/encoded_copy.h"
#include "compiler/run_report.h"
#include "runtime/base/clock.h"

typedef struct Loop {
    Console *console;
    Calibration *calibration;
    Solve solve;
    const EncodedCopy *copy; /* NULL: the float model is measured */
    double measuring, solving;
} Loop;

static bool next_pass(Loop *l) {
    Calibration *c = l->calibration;
    const double begin = clock_seconds();
    const bool measured = calibrate(l->console->s, c, l->copy ? &l->copy->edits : NULL);
    console_progress_end(l->console);
    if (!measured || calibrate_over(c)) {
        run_report_calibration(l->console, c, measured);
    }
    TRY(measured);
    const double middle = clock_seconds();
    const bool solved = solve_pass(&l->solve, c->pass - 1);
    console_progress_end(l->console);
    if (!solved && session_stopped(l->console->s)) {
        run_report_kept(l->console, c);
    }
    l->measuring += middle - begin;
    l->solving += clock_seconds() - middle;
    return solved;
}

Findings *pass_loop(Console *console, const Plan *plan, Calibration *calibration,
                    Compiled *compiled) {
    Loop l = {.console = console,
              .calibration = calibration,
              .solve = {.s = console->s,
                        .plan = plan,
                        .seen = &calibration->seen,
                        .stats = calibration->stats,
                        .facts = compiled_facts(compiled),
                        .solved = compiled_solved(compiled)}};
    Arena *decoded = session_arena_open(console->s);
    solve_begin(&l.solve);
    if (plan->encoded) {
        l.copy = encoded_copy(&l.solve, compiled_schedule(compiled), decoded);
    }
    bool ok = true;
    while (ok && !calibrate_over(calibration)) {
        ok = next_pass(&l);
    }
    session_arena_close(console->s, decoded);
    ok = ok && solve_end(&l.solve);
    Findings *found = ok ? findings_take(&l.solve, calibration) : NULL;
    if (found) {
        found->seconds_calibrate = l.measuring;
        found->seconds_solve = l.solving;
    }
    stats_close(calibration->stats);
    return found;
}
