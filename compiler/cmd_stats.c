/* `morc stats merge FILE FILE... -o OUT`: the statistics of several parts of a data set, gathered
 * apart, as one. Give it to a run of the same recipe and model with --stats. */
#include <sodium.h>
#include <string.h>
#include "compiler/calibrate.h"
#include "compiler/cmd.h"
#include "compiler/names.h"
#include "runtime/base/sanitize.h"
#include "runtime/calib/morstat.h"

static bool refuse(Session *s, Str path, const char *why) {
    Diag *d = diag_error(s, "E0708", NO_SPAN, "these statistics cannot be merged");
    diag_note(d, "%s: %s", str_safe_c(s->arena, path), why);
    diag_help(d, "merge what one recipe measured of one model, on different data");
    return false;
}

static Stats *read_file(Session *s, Str path) {
    const char *why = NULL;
    Stats *stats = morstat_open(s, path, NULL, &why);
    if (!stats && why) {
        refuse(s, path, str_c(s->arena, str_format(s->arena, "the file %s", why)));
    }
    return stats;
}

/* What a merged set is of: a mark, and the data in the order of the files. */
static void join_identity(StatsIdentity *into, const StatsIdentity *from) {
    uint8_t both[64];
    memcpy(both, into->data, 32);
    memcpy(both + 32, from->data, 32);
    crypto_hash_sha256(into->data, both, sizeof both);
    memcpy(into->data, STATS_MERGED, strlen(STATS_MERGED));
}

/* Engines that gave the values, each once, in the order of the files. */
static void join_engine(Stats *into, const Stats *from) {
    if (!memmem(into->engine.data, into->engine.len, from->engine.data, from->engine.len)) {
        into->engine = str_format(into->session->arena, "%.*s; %.*s", STR_ARG(into->engine),
                                  STR_ARG(from->engine));
    }
}

static bool merge_file(Session *s, Stats *into, Str path) {
    Stats *from = read_file(s, path);
    TRY(from);
    if (memcmp(into->identity.model, from->identity.model, 32) != 0) {
        return refuse(s, path, "it is about another model");
    }
    if (memcmp(from->identity.asked, STATS_ENCODED, strlen(STATS_ENCODED)) == 0) {
        return refuse(
            s, path,
            "it was measured behind encoded layers (observe = encoded), and how these were "
            "encoded follows from all of the data");
    }
    if (memcmp(into->identity.asked, from->identity.asked, 32) != 0) {
        return refuse(s, path,
                      "another recipe measured it, or another pass: other tensors or statistics");
    }
    if (memcmp(into->identity.data, from->identity.data, 32) == 0) {
        return refuse(s, path, "it is about the same data");
    }
    if (!into->complete || !from->complete) {
        return refuse(s, path,
                      "a run that was stopped wrote it, or the file before: finish it first");
    }
    const char *why = stats_merge(into, from);
    if (why) {
        return refuse(s, path, str_c(s->arena, str_format(s->arena, "the statistics %s", why)));
    }
    join_identity(&into->identity, &from->identity);
    join_engine(into, from);
    stats_close(from);
    return true;
}

static bool merge(Console *c, const Args *args) {
    Session *s = c->s;
    Stats *into = read_file(s, args->files.at[1]);
    TRY(into);
    for (size_t i = 2; i < args->files.len; i++) {
        TRY(merge_file(s, into, args->files.at[i]));
    }
    TRY(morstat_write(into, args->output));
    if (!c->quiet) {
        console_say(c, "wrote %s: %.*s of %.*s\n", str_safe_c(s->arena, args->output),
                    STR_ARG(plural(s->arena, into->by_name.len, "tensor")),
                    STR_ARG(plural(s->arena, (size_t)into->samples, "sample")));
    }
    stats_close(into);
    return true;
}

bool cmd_stats(Console *c, const Args *args) {
    Session *s = c->s;
    if (!str_is(args->files.at[0], "merge") || args->files.len < 3 || args->output.len == 0) {
        Diag *d = diag_error(s, "E1110", NO_SPAN, "`stats` merges at least two files into one");
        diag_help(d, "morc stats merge FILE FILE... -o OUT");
        return false;
    }
    struct stat is;
    if (!args->force && s->sys->stat(str_c(s->arena, args->output), &is) == 0) {
        Diag *d = diag_error(s, "E1103", NO_SPAN, "%s exists", str_safe_c(s->arena, args->output));
        diag_help(d, "-f replaces it; -o FILE writes elsewhere");
        return false;
    }
    return merge(c, args);
}
