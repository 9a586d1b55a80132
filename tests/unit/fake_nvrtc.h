/* The fake NVRTC's entries for tests, and the shortest way from text to cubin. */
#ifndef TESTS_UNIT_FAKE_NVRTC_H
#define TESTS_UNIT_FAKE_NVRTC_H
#include "tests/fake/includes.h"
#include "tests/unit/fakes.h"

typedef struct Nvrtc {
    int (*version)(int *major, int *minor);
    int (*architecture_count)(int *count);
    int (*architectures)(int *list);
    int (*create)(void **program, const char *text, const char *name, int headers,
                  const char *const *header, const char *const *header_name);
    int (*destroy)(void **program);
    int (*compile)(void *program, int options, const char *const *option);
    int (*cubin_size)(void *program, size_t *size);
    int (*cubin)(void *program, char *out);
    int (*ptx_size)(void *program, size_t *size);
    int (*ptx)(void *program, char *out);
    int (*log_size)(void *program, size_t *size);
    int (*log)(void *program, char *out);
    const char *(*text)(int code);
} Nvrtc;

static inline Nvrtc nvrtc_load(void) {
    static const char *const names[] = {
        "nvrtcVersion",           "nvrtcGetNumSupportedArchs",
        "nvrtcGetSupportedArchs", "nvrtcCreateProgram",
        "nvrtcDestroyProgram",    "nvrtcCompileProgram",
        "nvrtcGetCUBINSize",      "nvrtcGetCUBIN",
        "nvrtcGetPTXSize",        "nvrtcGetPTX",
        "nvrtcGetProgramLogSize", "nvrtcGetProgramLog",
        "nvrtcGetErrorString",
    };
    void *library = fake_load("libnvrtc.so.13");
    void *symbols[sizeof names / sizeof names[0]];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        symbols[i] = dlsym(library, names[i]);
        assert_non_null(symbols[i]);
    }
    Nvrtc n;
    assert_int_equal(sizeof n, sizeof symbols);
    memcpy(&n, symbols, sizeof n);
    return n;
}

/* A program of `text` and the kernel headers that it includes. */
static inline void *nvrtc_program(const Nvrtc *n, const char *text) {
    TextFiles files = {0};
    char missing[256] = "";
    if (!text_files_gather(&files, text, MORC_SOURCE_DIR, missing, sizeof missing)) {
        fail_msg("no %s", missing);
    }
    const char *texts[64], *names[64];
    for (size_t i = 0; i < files.count; i++) {
        texts[i] = files.at[i].text;
        names[i] = files.at[i].name;
    }
    void *program = NULL;
    assert_int_equal(n->create(&program, text, "text.cu", (int)files.count, texts, names), 0);
    text_files_free(&files);
    return program;
}

/* malloc'ed */
static inline char *nvrtc_cubin(const Nvrtc *n, const char *text, const char *architecture) {
    void *program = nvrtc_program(n, text);
    char option[64];
    snprintf(option, sizeof option, "--gpu-architecture=%s", architecture);
    assert_int_equal(n->compile(program, 1, (const char *const[]){option}), 0);
    size_t size = 0;
    assert_int_equal(n->cubin_size(program, &size), 0);
    char *cubin = malloc(size);
    assert_int_equal(n->cubin(program, cubin), 0);
    assert_int_equal(n->destroy(&program), 0);
    return cubin;
}

#endif
