/* Where libonnxruntime may lie: files and sonames for dlopen, in the order in which they are tried.
 * Nothing is opened here but folders, to list them. MORC_ORT, a file or a folder, is the only
 * candidate when it is set; else beside the binary, in build/venv when the binary lies in build/,
 * and what the loader knows. Of several versions in a folder the newest comes first. Never the
 * current directory, unless MORC_ORT says so. */
#ifndef RUNTIME_ENGINE_ENGINE_FIND_H
#define RUNTIME_ENGINE_ENGINE_FIND_H
#include "runtime/base/session.h"

typedef struct EngineCandidates {
    Str asked;      /* MORC_ORT; empty: not set */
    Vec(Str) paths; /* NUL-terminated */
} EngineCandidates;

/* get: as in EngineWish. Always gives a list; an empty one only when MORC_ORT leads nowhere. */
EngineCandidates engine_find(Session *s, const char *(*get)(const char *variable));
/* Of two names libonnxruntime.so.A.B.C: whether the first is of the newer version. */
bool engine_newer(Str a, Str b);

#endif
