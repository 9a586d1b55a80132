/* See jit_cache.h. */
#include "runtime/device/jit_cache.h"
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include "runtime/device/kernel_headers.h"

static Str options_text(Arena *arena) {
    Buf b = buf_on(arena);
    for (const NvrtcOption *o = nvrtc_options; o->text; o++) {
        buf_printf(&b, "%s ", o->text);
    }
    return buf_view(&b);
}

/* The text and every header that the compiler is given with it. */
static CubinKey key_of(int arch, int nvrtc, const JitProgram *program, Arena *scratch) {
    KernelIncludes includes;
    Str unknown;
    Buf b = buf_on(scratch);
    buf_str(&b, program->text);
    kernel_includes(program->text, &includes, &unknown);
    for (int i = 0; i < includes.count; i++) {
        const KernelHeader *h = includes.at[i];
        buf_printf(&b, "\n---- %s %zu\n", h->name, h->size);
        buf_add(&b, h->data, h->size);
    }
    return (CubinKey){arch, program->specific, nvrtc, options_text(scratch), buf_view(&b)};
}

bool jit_cache_load(Session *s, CubinCache *cache, int arch, int nvrtc, JitProgram *program,
                    Arena *scratch) {
    const CubinKey key = key_of(arch, nvrtc, program, scratch);
    Str entry;
    NvrtcUse use;
    if (!cubin_cache_load(s, cache, &key, &entry) || entry.len <= sizeof use) {
        return false;
    }
    memcpy(&use, entry.data, sizeof use);
    program->cubin = str_slice(entry, sizeof use, entry.len);
    program->registers = use.registers;
    program->stack = use.stack;
    program->shared = use.shared;
    program->spills = use.spills;
    program->cached = true;
    program->seconds = 0;
    return true;
}

void jit_cache_store(Session *s, CubinCache *cache, int arch, int nvrtc, const JitProgram *program,
                     Arena *scratch) {
    const CubinKey key = key_of(arch, nvrtc, program, scratch);
    const NvrtcUse use = {program->registers, program->stack, program->shared, program->spills};
    Buf b = buf_on(scratch);
    buf_add(&b, &use, sizeof use); /* 16 bytes: the cubin stays aligned */
    buf_str(&b, program->cubin);
    cubin_cache_store(s, cache, &key, buf_view(&b));
}

/* ---- which NVRTC */

typedef struct Note {
    int64_t version;
    WireFile file;
} Note; /* and the path */

/* What the loader's choice depends on: its path (as it was when this process began; nobody here
 * changes it), its cache, and where the binary lies. */
static CubinKey note_key(Session *s) {
    char own[PATH_MAX] = "";
    struct stat loader = {0};
    const char *path = getenv("LD_LIBRARY_PATH");
    if (s->sys->resolve("/proc/self/exe", own) != 0) {
        own[0] = 0;
    }
    s->sys->stat("/etc/ld.so.cache", &loader);
    const Str text = str_format(s->arena, "note 1\n%s\n%s\n%lld %lld %lld\n", path ? path : "", own,
                                (long long)loader.st_size, (long long)loader.st_mtim.tv_sec,
                                (long long)loader.st_mtim.tv_nsec);
    return (CubinKey){0, false, 0, STR("libnvrtc"), text};
}

static WireFile identity(const struct stat *is) {
    return (WireFile){is->st_size, is->st_mtim.tv_sec, is->st_mtim.tv_nsec, (uint64_t)is->st_dev,
                      (uint64_t)is->st_ino};
}

int jit_cache_recall(Session *s, CubinCache *cache) {
    const CubinKey key = note_key(s);
    Str entry;
    Note note;
    struct stat is;
    if (!cubin_cache_load(s, cache, &key, &entry) || entry.len <= sizeof note) {
        return 0;
    }
    memcpy(&note, entry.data, sizeof note);
    const Str path = str_copy(s->arena, str_slice(entry, sizeof note, entry.len));
    if (s->sys->stat(path.data, &is) != 0) {
        return 0;
    }
    const WireFile now = identity(&is);
    const bool same = memcmp(&now, &note.file, sizeof now) == 0;
    return same && note.version >= NVRTC_OLDEST && note.version < 1000000 ? (int)note.version : 0;
}

void jit_cache_remember(Session *s, CubinCache *cache, int version, const WireFile *file,
                        Str path) {
    const CubinKey key = note_key(s);
    const Note note = {version, *file};
    Buf b = buf_on(s->arena);
    buf_add(&b, &note, sizeof note);
    buf_str(&b, path);
    if (path.len > 0) {
        cubin_cache_store(s, cache, &key, buf_view(&b));
    }
}
