/* The entry points of NVRTC that morc calls, in one table that dlopen fills, and the options that
 * every kernel is compiled with. Types and numbers are those of NVIDIA's NVRTC reference, version
 * 12.0; only what is used is declared.
 *
 * Looked for in the loader's path, beside the binary and in /usr/local/cuda/lib64, in each place
 * as libnvrtc.so.13, then libnvrtc.so.12; the first that is complete and at least 12.0 is taken.
 * Never in the current directory (but the loader's path is the user's). */
#ifndef RUNTIME_DEVICE_NVRTC_API_H
#define RUNTIME_DEVICE_NVRTC_API_H
#include "runtime/base/str.h"
#include "runtime/base/sys.h"

typedef int NvrtcStatus; /* 0: success */
typedef struct NvrtcProgram_ *NvrtcProgram;

enum { NVRTC_INVALID_OPTION = 5, NVRTC_OLDEST = 12000, NVRTC_ARCHITECTURES = 64 };

typedef struct NvrtcApi {
    void *library;
    int version;                                /* 1000 * major + 10 * minor */
    int architectures, at[NVRTC_ARCHITECTURES]; /* ascending */
    NvrtcStatus (*get_version)(int *major, int *minor);
    const char *(*error_text)(NvrtcStatus status);
    NvrtcStatus (*architecture_count)(int *count);
    NvrtcStatus (*architecture_list)(int *list);
    NvrtcStatus (*create)(NvrtcProgram *program, const char *text, const char *name, int headers,
                          const char *const *header_texts, const char *const *header_names);
    NvrtcStatus (*destroy)(NvrtcProgram *program);
    NvrtcStatus (*compile)(NvrtcProgram program, int count, const char *const *options);
    NvrtcStatus (*ptx_size)(NvrtcProgram program, size_t *size); /* with its NUL */
    NvrtcStatus (*ptx)(NvrtcProgram program, char *ptx);
    NvrtcStatus (*cubin_size)(NvrtcProgram program, size_t *size);
    NvrtcStatus (*cubin)(NvrtcProgram program, char *cubin);
    NvrtcStatus (*log_size)(NvrtcProgram program, size_t *size); /* with its NUL */
    NvrtcStatus (*log)(NvrtcProgram program, char *log);
} NvrtcApi;

bool nvrtc_api_open(NvrtcApi *api, const Sys *sys, Arena *arena, Str *why);
/* One candidate, by file or soname. *missing: there is no such file, rather than a wrong one. */
bool nvrtc_api_try(NvrtcApi *api, const char *name, Arena *arena, Str *why, bool *missing);
void nvrtc_api_close(NvrtcApi *api);
/* Where the library that was opened lies; empty when the loader does not say. */
Str nvrtc_api_path(const NvrtcApi *api, Arena *arena);

/* Arithmetic is IEEE's, in the order written: what the host compiles the same texts to. An option
 * that only some versions know is optional; whether one is accepted depends on the version alone,
 * and so do the bytes. The list ends in NULL; --gpu-architecture comes in front of it. */
typedef struct NvrtcOption {
    const char *text;
    bool optional;
} NvrtcOption;

enum { NVRTC_OPTIONS = 10 };
extern const NvrtcOption nvrtc_options[NVRTC_OPTIONS + 1];

#endif
