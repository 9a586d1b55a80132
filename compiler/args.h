/* The command line, parsed. Flags may stand anywhere; `--` ends them. Errors are E1110 (exit 2)
 * with a suggestion; a flag that a verb does not take is an error too: nothing is ignored. */
#ifndef COMPILER_ARGS_H
#define COMPILER_ARGS_H
#include "runtime/base/session.h"

typedef enum Verb {
    VERB_RUN,
    VERB_CHECK,
    VERB_PLAN,
    VERB_BENCH,
    VERB_EXPLAIN,
    VERB_INSPECT,
    VERB_FMT,
    VERB_DOCTOR,
    VERB_OPT,
    VERB_DATA,
    VERB_STATS,
    VERB_HELP,
    VERB_VERSION,
    VERB_LIMITS,
    VERB_DUMPS
} Verb;

typedef struct ParamFlag {
    Str name, expr;
    Span name_span; /* in a pseudo-source that holds the whole line */
} ParamFlag;
typedef Vec(ParamFlag) ParamFlagList;

typedef struct Args {
    Verb verb;
    Verb helped;       /* VERB_HELP: the verb it is about; VERB_HELP itself for all */
    Vec(Str) files;    /* positional arguments after the verb */
    Str inline_recipe; /* -e TEXT */
    bool has_inline;
    ParamFlagList params;  /* -p NAME=EXPR, in order */
    ParamFlagList data;    /* --data NAME=PATH: `expr` is the path */
    Str params_file, stats, output, target, device, dump, color, pass;
    Str report;    /* --report: where the page goes; empty: nowhere */
    Str cache_dir; /* as given: cubin_cache_root knows the defaults */
    bool force, keep_going, json, quiet, verbose, deny_warnings, fmt_check, fmt_diff, fix, kernels;
    bool dry_run;    /* -n: the run verb becomes plan */
    int gpu;         /* --device cuda:N: N; plain cuda: -1 */
    int threads;     /* 0: as many as there are processors */
    uint64_t memory; /* 0: default */
    uint64_t stats_memory; /* 0: half of what is free */
    Str line;        /* the command line as one text, for messages */
} Args;

bool args_parse(Session *s, int argc, char **argv, Args *out);
void args_help(Verb verb, Buf *out); /* VERB_HELP: the whole page */

#endif
