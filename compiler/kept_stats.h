/* Statistics in files: one .morstat for each pass over the data, NAME.morstat, NAME.2.morstat, ...
 * A run takes what earlier ones have kept of the same model, data and values, whole passes and a
 * part of one, and measures the rest. Of the float model a file serves whatever budget cuts today's
 * passes: it is read as often as its Gram matrices do not fit together. Behind encoded layers a
 * file is of one pass behind the very same layers. */
#ifndef COMPILER_KEPT_STATS_H
#define COMPILER_KEPT_STATS_H
#include "compiler/data_passes.h"

/* First bytes of StatsIdentity.data of what `morc stats merge` joined. */
#define STATS_MERGED "merged:"
/* First bytes of StatsIdentity.asked of what was seen behind encoded layers. */
#define STATS_ENCODED "encoded:"

typedef struct KeptPass {
    int file;      /* its number, from 0 */
    bool kept;     /* the file has something of it, or all: */
    bool complete; /* nothing is to be run */
    Str engine;    /* that gave its values */
    Stats *stats;  /* read already; NULL: it is read, or begun, when its time comes */
} KeptPass;

typedef struct KeptStats {
    Session *s;
    Str path;                   /* of the first file; empty: statistics are kept nowhere */
    bool named;                 /* it is the user's: merged statistics will do */
    StatsIdentity id;           /* model and data of this run */
    const struct Dataset *data; /* its batches: a part of a pass must end where one of them does */
    Str engine;                 /* that must have given the values; empty: any */
    ObservationList *seen;
    DataPasses *passes;
    bool encoded;
    Vec(KeptPass) all;   /* of passes */
    const char *why_new; /* the file was not taken: continues "the file " */
} KeptStats;

Str kept_stats_path(const KeptStats *kept, int file);
/* Cuts the passes: those of files first, then of what is left. False: E1103, a file that would be
 * replaced is none of statistics; E11xx. */
bool kept_stats_find(KeptStats *kept);
/* The statistics of a pass, as far as a file has them; what is new is empty. `behind`: hash of the
 * model that is run, where layers in it are encoded; NULL: it is the float one. NULL: reported. */
Stats *kept_stats_take(KeptStats *kept, int pass, const uint8_t *behind);
bool kept_stats_write(const KeptStats *kept, int pass, const Stats *stats);

#endif
