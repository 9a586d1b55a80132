/* A cubin as SASS, by NVIDIA's nvdisasm or cuobjdump, if one is in the PATH or in
 * /usr/local/cuda/bin; morc brings none. */
#ifndef RUNTIME_DEVICE_DISASSEMBLE_H
#define RUNTIME_DEVICE_DISASSEMBLE_H
#include "runtime/base/session.h"

/* get: the environment. False: `why` says that there is none, or what it said. */
bool disassemble(Session *s, const char *(*get)(const char *variable), Str cubin, Buf *out,
                 Str *why);
#endif
