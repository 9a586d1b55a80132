/* Where `--report FILE` goes. The file is opened before the work begins, so that a name that cannot
 * be written costs nothing, and put in place behind the model. It replaces no file that the run
 * reads or writes, and another one only with -f. */
#ifndef COMPILER_REPORT_FILE_H
#define COMPILER_REPORT_FILE_H
#include "compiler/args.h"
#include "compiler/report_html.h"
#include "runtime/base/file.h"

typedef struct ReportFiles {
    const Args *args;
    const Plan *plan;            /* what is read: model, recipe, data */
    Str output, rejected, stats; /* what the run writes; empty: nothing of the kind */
} ReportFiles;

/* Do two paths lead to one file, or would they, if it is not there yet? */
bool report_same_file(Session *s, Str a, Str b);
/* False: E1103 or E1102, reported. */
bool report_open(Session *s, const ReportFiles *files, Output **out);
/* Makes the page, writes and commits it. False: E1102, reported; an old file is whole. */
bool report_write(Session *s, Output *out, const ReportPage *page);

#endif
