/* See engine_find.h. */
#include "runtime/engine/engine_find.h"
#include <limits.h>

#define PREFIX "libonnxruntime.so"

/* Nothing may be allocated while a folder is being listed: names go here first. */
typedef struct Listing {
    const char *prefix;
    bool library; /* only digits and dots behind the prefix */
    size_t count;
    char names[16][NAME_MAX + 1];
} Listing;

static void keep_name(void *user, const char *name) {
    Listing *l = user;
    const size_t prefix = strlen(l->prefix);
    if (l->count == sizeof l->names / sizeof *l->names || strncmp(name, l->prefix, prefix) != 0 ||
        strlen(name) > NAME_MAX ||
        (l->library && name[prefix + strspn(name + prefix, "0123456789.")] != 0)) {
        return;
    }
    memcpy(l->names[l->count++], name, strlen(name) + 1);
}

bool engine_newer(Str a, Str b) {
    size_t i = 0, k = 0;
    while (i < a.len && k < b.len) {
        uint64_t x, y;
        const size_t m = str_digits(str_slice(a, i, a.len), &x);
        const size_t n = str_digits(str_slice(b, k, b.len), &y);
        if (m > 0 && n > 0 && x != y) {
            return x > y;
        }
        if ((m == 0 || n == 0) && a.data[i] != b.data[k]) {
            return (unsigned char)a.data[i] > (unsigned char)b.data[k];
        }
        i += m > 0 ? m : 1;
        k += n > 0 ? n : 1;
    }
    return a.len - i > b.len - k;
}

static void sort_newest_first(Listing *l) {
    for (size_t i = 1; i < l->count; i++) {
        for (size_t k = i; k > 0 && engine_newer(str_from(l->names[k]), str_from(l->names[k - 1]));
             k--) {
            char other[NAME_MAX + 1];
            memcpy(other, l->names[k], sizeof other);
            memcpy(l->names[k], l->names[k - 1], sizeof other);
            memcpy(l->names[k - 1], other, sizeof other);
        }
    }
}

/* Adds the libraries of a folder; folder has no '/' at its end unless it is the root. */
static void add_folder(Session *s, EngineCandidates *out, Str folder) {
    Listing *l = arena_new(s->arena, Listing);
    l->prefix = PREFIX;
    l->library = true;
    s->sys->list(str_c(s->arena, folder), keep_name, l); /* no such folder: no libraries */
    sort_newest_first(l);
    for (size_t i = 0; i < l->count; i++) {
        vec_push(s->arena, &out->paths,
                 str_format(s->arena, "%.*s/%s", STR_ARG(folder), l->names[i]));
    }
}

static Str parent(Str path) {
    size_t n = path.len;
    while (n > 0 && path.data[n - 1] != '/') {
        n--;
    }
    return str_slice(path, 0, n > 0 ? n - 1 : 0);
}

/* build/venv/lib/python3.11/site-packages/onnxruntime/capi, of any 3.x. */
static void add_venv(Session *s, EngineCandidates *out, Str build) {
    Listing *l = arena_new(s->arena, Listing);
    l->prefix = "python3";
    const Str lib = str_format(s->arena, "%.*s/venv/lib", STR_ARG(build));
    s->sys->list(lib.data, keep_name, l);
    sort_newest_first(l);
    for (size_t i = 0; i < l->count; i++) {
        add_folder(s, out,
                   str_format(s->arena, "%.*s/%s/site-packages/onnxruntime/capi", STR_ARG(lib),
                              l->names[i]));
    }
}

static void add_own(Session *s, EngineCandidates *out) {
    enum { LEVELS = 3 }; /* build/dev/morc, build/dev/tests/engine_test */
    char *path = arena_alloc(s->arena, PATH_MAX);
    if (s->sys->resolve("/proc/self/exe", path) != 0) {
        return;
    }
    Str folder = parent(str_from(path));
    add_folder(s, out, folder);
    for (int i = 0; i < LEVELS && folder.len > 0; i++, folder = parent(folder)) {
        if (str_ends(folder, STR("/build"))) {
            add_venv(s, out, folder);
            return;
        }
    }
}

/* A name without a '/' would be one for the loader to look for. */
static void add_asked(Session *s, EngineCandidates *out) {
    struct stat info;
    Str asked = str_copy(s->arena, out->asked);
    if (s->sys->stat(asked.data, &info) != 0) {
        return;
    }
    if (S_ISDIR(info.st_mode)) {
        add_folder(s, out, asked);
        return;
    }
    const bool bare = str_find(asked, '/') < 0;
    vec_push(s->arena, &out->paths,
             str_format(s->arena, "%s%.*s", bare ? "./" : "", STR_ARG(asked)));
}

EngineCandidates engine_find(Session *s, const char *(*get)(const char *variable)) {
    EngineCandidates out = {.asked = str_from(get ? get("MORC_ORT") : NULL)};
    if (out.asked.len > 0) {
        add_asked(s, &out);
        return out;
    }
    add_own(s, &out);
    vec_push(s->arena, &out.paths, STR(PREFIX ".1"));
    vec_push(s->arena, &out.paths, STR(PREFIX));
    return out;
}
