/* What the JIT keeps in the cubin cache: compiled programs with what ptxas said about them, and,
 * under a key of its own, which version the NVRTC file has that was loaded last, so that programs
 * can be looked up before it is loaded again. */
#ifndef RUNTIME_DEVICE_JIT_CACHE_H
#define RUNTIME_DEVICE_JIT_CACHE_H
#include "runtime/device/jit.h"
#include "runtime/device/jit_wire.h"

/* The key is everything that the compiler sees. `scratch` is the caller's to reset. */
bool jit_cache_load(Session *s, CubinCache *cache, int arch, int nvrtc, JitProgram *program,
                    Arena *scratch);
void jit_cache_store(Session *s, CubinCache *cache, int arch, int nvrtc, const JitProgram *program,
                     Arena *scratch);

/* The version of the NVRTC that a child of ours would load: that of the last one, if its file is
 * still the same and the loader still looks in the same places. 0: not known. */
int jit_cache_recall(Session *s, CubinCache *cache);
void jit_cache_remember(Session *s, CubinCache *cache, int version, const WireFile *file, Str path);

#endif
