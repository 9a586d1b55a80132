/* Files that a recipe brings in: "std/NAME" out of the binary, "./x.mor" and "../x.mor" from beside
 * the file that says so, never from outside the directory of the recipe (no "..", link or absolute
 * path leads out). A file is read and parsed once. Nothing is fetched from anywhere. */
#include "lang/resolve_parts.h"
#include "lang/parse.h"
#include <errno.h>
#include <fcntl.h>

static Module *missing(Resolver *r, const Ast *address, const char *label) {
    Diag *d = diag_error(r->s, "E0802", address->span, "this import cannot be read");
    diag_label(d, "%s", label);
    return NULL;
}

static Module *escape(Resolver *r, const Ast *address) {
    Diag *d =
        diag_error(r->s, "E0805", address->span, "this import leaves the directory of the recipe");
    diag_label(d, "refused");
    diag_note(d, "a recipe reads beside and below itself only: it may come from anybody");
    return NULL;
}

/* ---- where */

/* "lib/a.mor" + "../b.mor" -> "b.mor"; false if it leads out. Both are relative to the recipe. */
static bool join(Resolver *r, Str from, Str address, Str *out) {
    Vec(Str) parts = {0};
    size_t last = from.len;
    while (last > 0 && from.data[last - 1] != '/') {
        last--;
    }
    Str whole = str_format(r->s->arena, "%.*s%.*s", (int)last, from.data, STR_ARG(address));
    for (size_t at = 0; at <= whole.len;) {
        size_t end = at;
        while (end < whole.len && whole.data[end] != '/') {
            end++;
        }
        Str part = str_slice(whole, at, end);
        if (str_is(part, "..")) {
            TRY(parts.len > 0);
            parts.len--;
        } else if (part.len && !str_is(part, ".")) {
            vec_push(r->s->arena, &parts, part);
        }
        at = end + 1;
    }
    Buf path = buf_on(r->s->arena);
    for (size_t i = 0; i < parts.len; i++) {
        buf_printf(&path, "%s%.*s", i ? "/" : "", STR_ARG(parts.at[i]));
    }
    *out = buf_view(&path);
    return parts.len > 0;
}

/* ---- reading */

typedef struct Opened { /* closed even when an allocation fails */
    Cleanup cleanup;
    int fd;
} Opened;

static void close_opened(Session *s, void *owner) {
    s->sys->close(((Opened *)owner)->fd);
}

static bool read_all(Session *s, int fd, Str *text) {
    size_t size = LIMIT_RECIPE_BYTES + 2,
           have = 0; /* one byte too many, for the parser to refuse */
    char *data = arena_alloc(s->arena, size);
    while (have + 1 < size) {
        ssize_t n = s->sys->read(fd, data + have, size - 1 - have);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            *text = (Str){data, have};
            return n == 0;
        }
        have += (size_t)n;
    }
    *text = (Str){data, have};
    return true;
}

static bool read_opened(Session *s, int fd, Str *text) {
    struct stat st;
    TRY(s->sys->fstat(fd, &st) == 0);
    if (!S_ISREG(st.st_mode)) {
        errno = EINVAL;
        return false;
    }
    return read_all(s, fd, text);
}

/* False: errno says why. */
static bool read_beneath(Resolver *r, Str path, Str *text) {
    Session *s = r->s;
    const char *directory = r->directory.len ? str_c(s->arena, r->directory) : ".";
    const char *relative = str_c(s->arena, path);
    Opened *opened = arena_new(s->arena, Opened);
    int dir = s->sys->open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    TRY(dir >= 0);
    opened->fd = s->sys->openat_beneath(dir, relative);
    int why = errno;
    s->sys->close(dir);
    errno = why;
    TRY(opened->fd >= 0);
    session_on_close(s, &opened->cleanup, close_opened, opened);
    bool ok = read_opened(s, opened->fd, text);
    why = errno;
    session_forget(s, &opened->cleanup);
    s->sys->close(opened->fd);
    errno = why;
    return ok;
}

static bool local_text(Resolver *r, const Ast *address, Str path, Str *text) {
    if (memchr(path.data, 0, path.len)) {
        escape(r, address);
        return false;
    }
    if (read_beneath(r, path, text)) {
        return true;
    }
    if (errno == EXDEV || errno == ELOOP) {
        escape(r, address);
    } else {
        missing(r, address, errno == EINVAL ? "it is no file" : strerror(errno));
    }
    return false;
}

static bool std_text(Resolver *r, const Ast *address, Str *text) {
    Str name = str_slice(address->text, 4, address->text.len);
    if (r->options->std_file && r->options->std_file(r->options->user, name, text)) {
        return true;
    }
    missing(r, address, "the standard library has no such file");
    return false;
}

/* ---- addresses */

static bool is_remote(Str a) {
    for (size_t i = 0; i + 1 < a.len; i++) {
        if (a.data[i] == '@' || (i > 0 && a.data[i] == '/' && a.data[i + 1] == '/')) {
            return true;
        }
    }
    return false;
}

/* Path of the module and whether it is std; false: reported. */
static bool locate(Resolver *r, const Scope *from, const Ast *address, Str *path, bool *is_std) {
    Str a = address->text;
    *is_std = str_starts(a, STR("std/"));
    if (*is_std) {
        *path = a;
        return true;
    }
    bool local = str_starts(a, STR("./")) || str_starts(a, STR("../"));
    if (!local && is_remote(a)) {
        Diag *d = diag_error(r->s, "E0001", address->span,
                             "imports from other machines are not in this build");
        diag_label(d, "only \"./file.mor\" and \"std/name\"");
        diag_help(d, "copy the file beside the recipe and import that");
        return false;
    }
    if (!local && a.len && a.data[0] != '/') {
        missing(r, address, "an address begins with ./ or std/");
        Diag *d = vec_last(&r->s->diags.all);
        diag_help(d, "a file beside this one:  \"./%.*s\"", STR_ARG(a));
        return false;
    }
    if (!local || (from->module && from->module->is_std) || !join(r, from->module->path, a, path)) {
        escape(r, address);
        return false;
    }
    return true;
}

static Module *load(Resolver *r, const Ast *address, Str path, bool is_std) {
    if (r->files++ >= LIMIT_IMPORT_FILES || r->import_depth >= LIMIT_IMPORT_DEPTH) {
        diag_error(r->s, "E0806", address->span, "this recipe imports too much");
        return NULL;
    }
    Str text;
    if (is_std ? !std_text(r, address, &text) : !local_text(r, address, path, &text)) {
        return NULL;
    }
    bool beside = is_std || !r->directory.len || str_is(r->directory, ".");
    Str name =
        beside ? path : str_format(r->s->arena, "%.*s/%.*s", STR_ARG(r->directory), STR_ARG(path));
    Module *module = arena_new(r->s->arena, Module);
    module->source = source_make(r->s->arena, name, text, true);
    module->path = path;
    module->is_std = is_std;
    vec_push(r->s->arena, &r->recipe->sources, module->source);
    Ast *ast = NULL;
    module->broken = !parse_file(r->s, module->source, &ast);
    module->ast = ast;
    return module;
}

Module *import_file(Resolver *r, Scope *from, const Ast *address) {
    Str path;
    bool is_std;
    if (!locate(r, from, address, &path, &is_std)) {
        return NULL;
    }
    Module *module = map_get(&r->modules, path);
    if (!module) {
        module = load(r, address, path, is_std);
        if (!module) {
            return NULL;
        }
        map_put(&r->modules, path, module);
    }
    if (module->open) {
        Diag *d =
            diag_error(r->s, "E0806", address->span, "these files import each other in a circle");
        diag_label(d, "`%.*s` is being read", STR_ARG(module->source->name));
        return NULL;
    }
    return module->broken ? NULL : module;
}

Scope *module_shared(Resolver *r, Module *module) {
    if (!module->shared) {
        module->shared = scope_new(r, NULL, module);
        module->open = true;
        r->import_depth++;
        declare_items(r, module->shared, &module->ast->kids);
        r->import_depth--;
        module->open = false;
    }
    return module->shared;
}
