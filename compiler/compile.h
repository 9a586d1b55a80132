/* Plan -> output files. compile() lowers the plan to IR, runs the passes, applies the edits to the
 * model and lays the output out: everything is decided, nothing is written. compiled_execute()
 * reads, encodes and writes into temporaries; compiled_commit() puts them in place.
 *
 *     compile -> (-d NAME, -n stop here) -> compiled_execute -> expects -> compiled_commit */
#ifndef COMPILER_COMPILE_H
#define COMPILER_COMPILE_H
#include "compiler/assemble.h"
#include "compiler/plan.h"
#include "compiler/receipt.h"
#include "runtime/exec/exec.h"

typedef struct CompileOptions {
    Str dump;              /* `-d NAME`: text of that stage goes to dump_out; empty: none */
    Buf *dump_out;
    Str data_stem;         /* base of the data file's name, e.g. "model.mor" */
    const ReceiptData *data; /* NULL: the plan needs none */
    bool no_metrics;       /* nobody looks at LayerResults: kernels need not compare */
} CompileOptions;

typedef struct RunReport {
    ExecTimes exec;
    double seconds_hash, seconds_sync, seconds_check;
    double seconds_total; /* of the clock on the wall: run, hash, sync and check */
    uint64_t output_size; /* all files */
    Str data_file;        /* empty if none */
    Str superseded;       /* data file of the model that was replaced, left there; empty if none */
    Str failure;          /* why the GPU stopped, though the host went on; empty if it did not */
} RunReport;

typedef struct Compiled Compiled;

/* Names that `-d` takes from here, one per line with what they show. */
void compile_dump_names(Buf *out);
bool compile_can_dump(Str name);
bool compile(Session *s, const Plan *plan, const CompileOptions *options, Compiled **out);
/* Notes for people about choices made ("layer X: MatMulNBits cannot hold fp8, written as qdq"). */
void compiled_notes(const Compiled *c, Buf *out);
/* What the data decide: facts and weights to fill in before the run (solve.h). Both empty: the plan
 * needs no data. */
Facts *compiled_facts(Compiled *c);
SolvedList *compiled_solved(Compiled *c);
/* What compiled_execute will run; a device is chosen by it. */
const Schedule *compiled_schedule(const Compiled *c);
/* gpu: opened for the schedule's kernels, or NULL; results: one per Plan.layers_planned. False:
 * reported, nothing is left behind. */
bool compiled_execute(Session *s, Compiled *c, Gpu *gpu, Str out_path, LayerResult *results,
                      RunReport *report);
/* What compiled_execute has written, until it is committed: the model (0), its data file (1; NULL: it
 * has none). */
const Output *compiled_file(const Compiled *c, int index);
bool compiled_commit(Session *s, Compiled *c, Str out_path, RunReport *report);
void compiled_discard(Compiled *c);

#endif
