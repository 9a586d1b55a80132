/* Which file has what (kept_stats.h). */
#include "compiler/kept_stats.h"
#include <sodium.h>
#include <string.h>
#include "runtime/base/sanitize.h"
#include "runtime/calib/data.h"
#include "runtime/calib/morstat.h"

#define SUFFIX STR(".morstat")

enum { MEASURED_ELSEWHERE = INT32_MAX }; /* Observation.pass while others are dealt out */

Str kept_stats_path(const KeptStats *kept, int file) {
    const Str path = kept->path;
    const bool ends = str_ends(path, SUFFIX);
    const Str stem = str_slice(path, 0, path.len - (ends ? SUFFIX.len : 0));
    return file == 0 ? path
                     : str_format(kept->s->arena, "%.*s.%d%s", STR_ARG(stem), file + 1,
                                  ends ? SUFFIX.data : "");
}

/* ---- identity */

static void ask(const KeptStats *kept, int pass, const uint8_t *behind, uint8_t out[32]) {
    Buf text = buf_on(kept->s->arena);
    buf_printf(&text, "morc %s\n", MORC_VERSION); /* another may sum in another order */
    observations_print(kept->seen, pass, &text);
    if (behind) {
        buf_str(&text, (Str){(const char *)behind, 32});
    }
    crypto_hash_sha256(out, (const uint8_t *)text.data, text.len);
    if (behind) {
        memcpy(out, STATS_ENCODED, strlen(STATS_ENCODED));
    }
}

/* Parts of a data set that were joined on purpose (morc stats merge) will do, whatever the data. */
static bool same_data(const KeptStats *kept, const Stats *stats) {
    const bool merged = kept->named && stats->complete &&
                        memcmp(stats->identity.data, STATS_MERGED, strlen(STATS_MERGED)) == 0;
    return merged || memcmp(stats->identity.data, kept->id.data, 32) == 0;
}

/* NULL, or why what the file has is not gone on with: continues "the file ". */
static const char *cannot_go_on(const KeptStats *kept, const Stats *stats) {
    if (kept->engine.len && !str_eq(stats->engine, kept->engine)) {
        return "was begun by another engine";
    }
    /* the data's identity knows no batches */
    const uint64_t batches = (uint64_t)dataset_batches(kept->data);
    const bool ends =
        stats->complete ||
        (stats->batches <= batches &&
         stats->samples == (uint64_t)dataset_samples_in(kept->data, (int64_t)stats->batches));
    return ends ? NULL : "was begun with batches of another size";
}

static Observation *find(const KeptStats *kept, Str name) {
    for (size_t i = 0; i < kept->seen->len; i++) {
        if (str_eq(kept->seen->at[i].name, name)) {
            return &kept->seen->at[i];
        }
    }
    return NULL;
}

/* Gives the observations that the file has `pass`; false: it is about something else. */
static bool claim(const KeptStats *kept, const Stats *stats, int pass) {
    TRY(memcmp(stats->identity.model, kept->id.model, 32) == 0 && same_data(kept, stats));
    for (size_t i = 0; i < stats->by_name.len; i++) {
        const Stat *stat = stats_at(stats, i);
        const Observation *seen = find(kept, stat->name);
        TRY(seen && seen->pass < 0 && seen->what == stat->what);
    }
    for (size_t i = 0; i < stats->by_name.len; i++) {
        find(kept, stats_at(stats, i)->name)->pass = pass;
    }
    for (size_t i = 0; i < kept->seen->len; i++) { /* a unit is measured whole, or anew */
        const Observation *other = &kept->seen->at[i];
        for (size_t k = 0; k < kept->seen->len && other->pass == pass; k++) {
            TRY(kept->seen->at[k].unit != other->unit || kept->seen->at[k].pass == pass);
        }
    }
    uint8_t asked[32];
    ask(kept, pass, NULL, asked);
    return memcmp(asked, stats->identity.asked, 32) == 0;
}

/* ---- finding files */

/* Only statistics are ever replaced by statistics. */
static bool refuse_file(const KeptStats *kept, Str path, const char *wrong) {
    Diag *d = diag_error(kept->s, "E1103", NO_SPAN, "statistics would replace %s",
                         str_safe_c(kept->s->arena, path));
    diag_note(d, "it %s", wrong);
    diag_help(d, "--stats FILE keeps them elsewhere, --stats none nowhere");
    return false;
}

static bool exists(const KeptStats *kept, Str path) {
    struct stat is;
    return kept->path.len && kept->s->sys->stat(str_c(kept->s->arena, path), &is) == 0;
}

/* Which Gram matrices are read. */
typedef struct Filter {
    const KeptStats *kept;
    int pass;      /* those of it */
    uint64_t left; /* or those that fit */
    bool all;      /* have fitted */
} Filter;

static bool fits(void *user, Str name) {
    Filter *filter = user;
    const Observation *seen = find(filter->kept, name);
    const bool taken = seen && seen->bytes <= filter->left;
    filter->left -= taken ? seen->bytes : 0;
    filter->all = filter->all && taken;
    return taken;
}

static bool of_pass(void *user, Str name) {
    const Filter *filter = user;
    const Observation *seen = find(filter->kept, name);
    return seen && seen->pass == filter->pass;
}

static void set_free(const KeptStats *kept, int from, int to) {
    for (size_t i = 0; i < kept->seen->len; i++) {
        Observation *seen = &kept->seen->at[i];
        seen->pass = seen->pass == from ? to : seen->pass;
    }
}

static bool is_about(const KeptStats *kept, const Stats *stats) {
    const bool about = claim(kept, stats, MEASURED_ELSEWHERE - 1);
    if (!about) {
        set_free(kept, MEASURED_ELSEWHERE - 1, -1);
    }
    return about;
}

/* Passes over what a file has, which is claimed; false: it is of no use. */
static bool take_file(KeptStats *kept, int file, Stats *stats, bool whole) {
    const size_t first = kept->passes->all.len;
    set_free(kept, -1, MEASURED_ELSEWHERE);
    set_free(kept, MEASURED_ELSEWHERE - 1, -1);
    data_passes(kept->passes, kept->seen, false, kept->s->arena);
    const size_t made = kept->passes->all.len - first;
    const bool good = stats->complete || made == 1; /* a part cannot be cut anew */
    for (size_t i = 0; i < made; i++) {
        if (good) {
            vec_push(kept->s->arena, &kept->all,
                     ((KeptPass){file, true, stats->complete, stats->engine, NULL}));
        } else {
            set_free(kept, (int)(first + i), -1);
        }
    }
    kept->passes->all.len = good ? kept->passes->all.len : first;
    set_free(kept, MEASURED_ELSEWHERE, -1);
    if (good && made == 1 && whole) {
        vec_last(&kept->all).stats = stats;
    }
    return good;
}

/* taken: NULL: may the file be replaced? Else *taken: it serves; if not, *why says why. */
static bool look_at(KeptStats *kept, int file, bool *taken, const char **why) {
    const Str path = kept_stats_path(kept, file);
    /* those of the first file as far as they fit, so that it is not read twice */
    Filter filter = {.kept = kept, .left = file == 0 ? kept->passes->budget : 0, .all = true};
    const MorstatPart part = {fits, &filter};
    Stats *stats = morstat_open_part(kept->s, path, NULL, &part, why);
    if (!stats) {
        const bool ours = *why && strcmp(*why, MORSTAT_OTHER_VERSION) == 0;
        return ours || (*why && refuse_file(kept, path, *why)); /* else it is reported */
    }
    const bool about = taken && is_about(kept, stats);
    *why = about ? cannot_go_on(kept, stats)
                 : "is about another model, other data, or other statistics";
    if (about && !*why) {
        *taken = take_file(kept, file, stats, filter.all);
        *why = *taken ? NULL : "holds a part of more than fits at a time (--stats-memory)";
    }
    set_free(kept, MEASURED_ELSEWHERE - 1, -1);
    if (!taken || !*taken || !vec_last(&kept->all).stats) {
        stats_close(stats);
    }
    return true;
}

static bool file_taken(const KeptStats *kept, int file) {
    for (size_t i = 0; i < kept->all.len; i++) {
        if (kept->all.at[i].file == file) {
            return true;
        }
    }
    return false;
}

/* Files of the passes that are new, and none of them is something else. */
static bool number_files(KeptStats *kept, int looked_at) {
    int file = 0;
    while (kept->all.len < kept->passes->all.len) {
        while (file_taken(kept, file)) {
            file++;
        }
        const bool known = file < looked_at || !exists(kept, kept_stats_path(kept, file));
        const char *why = NULL;
        TRY(known || look_at(kept, file, NULL, &why));
        vec_push(kept->s->arena, &kept->all, ((KeptPass){.file = file}));
    }
    return true;
}

bool kept_stats_find(KeptStats *kept) {
    int file = 0;
    for (size_t i = 0; i < kept->all.len; i++) {
        stats_close(kept->all.at[i].stats);
    }
    kept->all.len = kept->passes->all.len = 0;
    for (size_t i = 0; i < kept->seen->len; i++) {
        kept->seen->at[i].pass = -1;
    }
    while (!kept->encoded && exists(kept, kept_stats_path(kept, file))) {
        bool taken = false;
        const char *why = NULL;
        TRY(look_at(kept, file, &taken, &why));
        kept->why_new = file ? kept->why_new : taken ? NULL : why;
        file++;
    }
    data_passes(kept->passes, kept->seen, kept->encoded, kept->s->arena);
    if (kept->passes->all.len == 0) { /* of data that nothing has to be seen of */
        vec_push(kept->s->arena, &kept->passes->all, (DataPass){0});
    }
    return number_files(kept, file);
}

/* ---- of one pass */

/* What the file of a pass behind encoded layers has; NULL and true: nothing that fits. */
static bool take_encoded(KeptStats *kept, int pass, const StatsIdentity *id, Stats **out) {
    const Str path = kept_stats_path(kept, kept->all.at[pass].file);
    const char *why = NULL;
    if (!exists(kept, path)) {
        return true;
    }
    *out = morstat_open(kept->s, path, id, &why);
    TRY(*out || why);
    why = *out ? cannot_go_on(kept, *out) : why;
    if (*out && why) {
        stats_close(*out);
        *out = NULL;
    }
    kept->why_new = pass == 0 ? why : kept->why_new;
    return true;
}

Stats *kept_stats_take(KeptStats *kept, int pass, const uint8_t *behind) {
    KeptPass *own = &kept->all.at[pass];
    Stats *stats = own->stats;
    own->stats = NULL;
    if (stats) {
        return stats;
    }
    StatsIdentity id = kept->id;
    ask(kept, pass, behind, id.asked);
    const Str path = kept_stats_path(kept, own->file);
    if (behind) {
        if (!take_encoded(kept, pass, &id, &stats)) {
            return NULL;
        }
        own->kept = stats != NULL;
        own->complete = stats && stats->complete;
    } else if (own->kept) {
        const MorstatPart part = {of_pass, &(Filter){.kept = kept, .pass = pass}};
        const char *why = NULL;
        stats = morstat_open_part(kept->s, path, NULL, &part, &why);
        if (!stats) {
            return why && refuse_file(kept, path, why) ? stats : NULL;
        }
    }
    if (stats) {
        return stats;
    }
    stats = stats_open(kept->s, &id);
    stats->engine = kept->engine;
    for (size_t i = 0; i < kept->seen->len; i++) {
        if (kept->seen->at[i].pass == pass) {
            stats_add(stats, kept->seen->at[i].name, kept->seen->at[i].what);
        }
    }
    return stats;
}

bool kept_stats_write(const KeptStats *kept, int pass, const Stats *stats) {
    return kept->path.len == 0 ||
           morstat_write(stats, kept_stats_path(kept, kept->all.at[pass].file));
}
