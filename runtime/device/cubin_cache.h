/* Compiled kernels on disk: CACHE/kernels/HASH.cubin, where HASH is the SHA-256 of the key and the
 * key is everything that decides the bytes (CubinKey). A file holds a magic line, the key itself,
 * the cubin and a SHA-256 over both (cubin_entry.h): what does not verify is never given to a
 * driver, which trusts its input. Files appear by rename and are never locked or changed; a broken
 * one is replaced by the next store.
 *
 * The folder must be ours: created 0700, opened without following links, owned by this user, not
 * writable by others; otherwise there is no cache and `why` says so. A cache that cannot be used is
 * a warning for people, never an error. */
#ifndef RUNTIME_DEVICE_CUBIN_CACHE_H
#define RUNTIME_DEVICE_CUBIN_CACHE_H
#include "runtime/base/session.h"

typedef struct CubinKey {
    int arch;          /* 90: sm_90 */
    bool specific;     /* compiled for sm_90a: uses instructions of that architecture alone */
    int nvrtc;         /* version: 1000 * major + 10 * minor */
    Str options, text; /* text with all that it includes */
} CubinKey;

typedef struct CubinCache CubinCache;

/* An entry is LIMIT_KERNEL_BYTES at most. When the entries together are more than this at the first
 * store of a session, the oldest go, and the cache then holds three quarters of it. */
#define CUBIN_CACHE_BYTES ((uint64_t)256 << 20)

/* root: the folder that holds `kernels`, e.g. ~/.cache/morc. NULL: no cache, and why. Both folders
 * are made where they are missing, and so are root's parents. */
CubinCache *cubin_cache_open(Session *s, Str root, Str *why);
/* Verified bytes on the session's arena, aligned to 16; false: not there, or not whole (then it is
 * as good as not there). Never reports. */
bool cubin_cache_load(Session *s, CubinCache *cache, const CubinKey *key, Str *cubin);
/* Best effort: a full disk only costs time later. Nothing is synced: after a power cut an entry may
 * be torn, which load sees. */
void cubin_cache_store(Session *s, CubinCache *cache, const CubinKey *key, Str cubin);
Str cubin_cache_folder(const CubinCache *cache);
/* Where the cache belongs: --cache-dir, else MORC_CACHE, else XDG_CACHE_HOME/morc, else
 * HOME/.cache/morc; empty when none is set. The last two count as set only when they are absolute,
 * as the XDG specification has it. */
Str cubin_cache_root(Session *s, Str flag, const char *(*get)(const char *variable));
#endif
