/* libnvrtc.so.13 without CUDA: "compiles" a program by checking that every file it includes was
 * given and that the architecture exists, and makes a fake cubin of it (fake_cubin.h), which the
 * fake driver compiles for the host. It opens no file, so it works where morc confines NVRTC.
 *
 * Environment, read by the first call:
 *   FAKE_NVRTC          calls that fail (failpoints.h); 6 from nvrtcCompileProgram leaves a log
 *   FAKE_NVRTC_VERSION  MAJOR.MINOR (13.0) */
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/fake/failpoints.h"
#include "tests/fake/fake_cubin.h"

#define EXPORT __attribute__((visibility("default")))

/* nvrtcResult: the NVRTC manual, "Error handling" */
enum { OK = 0, INVALID_INPUT = 3, INVALID_PROGRAM = 4, INVALID_OPTION = 5, COMPILATION = 6 };

typedef struct Program {
    FakeCubin cubin; /* its first file is the program */
    char *image, *ptx, *log;
    size_t image_size;
} Program;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* programs are compiled in parallel */

static int enter(const char *entry) {
    static bool known; /* one environment, one list of failpoints */
    pthread_mutex_lock(&lock);
    if (!known) {
        known = true;
        failpoints_set(getenv("FAKE_NVRTC"));
    }
    const int code = failpoint(entry);
    pthread_mutex_unlock(&lock);
    return code;
}

static void version(int *major, int *minor) {
    const char *text = getenv("FAKE_NVRTC_VERSION");
    if (!text || sscanf(text, "%d.%d", major, minor) != 2) {
        *major = 13;
        *minor = 0;
    }
}

/* Ascending: what NVRTC 12.9 and 13.0 answer. */
static int architectures(int *out) {
    static const int twelve[] = {50, 52, 53, 60, 61,  62,  70,  72,  75, 80,
                                 86, 87, 89, 90, 100, 101, 103, 120, 121};
    static const int thirteen[] = {75, 80, 86, 87, 88, 89, 90, 100, 103, 110, 120, 121};
    int major, minor;
    version(&major, &minor);
    const size_t size = major < 13 ? sizeof twelve : sizeof thirteen;
    memcpy(out, major < 13 ? twelve : thirteen, size);
    return (int)(size / sizeof *out);
}

EXPORT int nvrtcVersion(int *major, int *minor) {
    const int status = enter("nvrtcVersion");
    version(major, minor);
    return status;
}

EXPORT int nvrtcGetNumSupportedArchs(int *count) {
    const int status = enter("nvrtcGetNumSupportedArchs");
    int list[32];
    *count = architectures(list);
    return status;
}

EXPORT int nvrtcGetSupportedArchs(int *list) {
    const int status = enter("nvrtcGetSupportedArchs");
    architectures(list);
    return status;
}

/* ---- programs */

EXPORT int nvrtcCreateProgram(Program **out, const char *text, const char *name, int headers,
                              const char *const *header, const char *const *header_name) {
    const int status = enter("nvrtcCreateProgram");
    if (status != OK) {
        return status;
    }
    if (!out || !text || headers < 0 || (headers > 0 && (!header || !header_name))) {
        return INVALID_INPUT;
    }
    Program *p = calloc(1, sizeof *p);
    name = name ? name : "default_program";
    text_files_add(&p->cubin.files, name, strlen(name), text, strlen(text));
    for (int i = 0; i < headers; i++) {
        text_files_add(&p->cubin.files, header_name[i], strlen(header_name[i]), header[i],
                       strlen(header[i]));
    }
    *out = p;
    return OK;
}

static void forget_results(Program *p) {
    free(p->image);
    free(p->ptx);
    free(p->log);
    p->image = p->ptx = p->log = NULL;
    p->image_size = 0;
}

EXPORT int nvrtcDestroyProgram(Program **program) {
    const int status = enter("nvrtcDestroyProgram");
    if (!program || !*program) {
        return INVALID_PROGRAM;
    }
    if (status == OK) {
        forget_results(*program);
        text_files_free(&(*program)->cubin.files);
        free(*program);
        *program = NULL;
    }
    return status;
}

static void say(Program *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(Program *p, const char *format, ...) {
    va_list args;
    va_start(args, format);
    free(p->log);
    if (vasprintf(&p->log, format, args) < 0) {
        abort();
    }
    va_end(args);
}

/* As NVRTC: a name must be exactly that of a header. */
static bool check_includes(Program *p) {
    for (size_t i = 0; i < p->cubin.files.count; i++) {
        const char *at = p->cubin.files.at[i].text, *before = at, *name;
        size_t length;
        int line = 0;
        while (includes_next(&at, &name, &length)) {
            for (; before < at; before++) {
                line += *before == '\n';
            }
            if (!text_files_find(&p->cubin.files, name, length)) {
                say(p,
                    "%s(%d): catastrophic error: cannot open source file \"%.*s\"\n\n"
                    "1 catastrophic error detected in the compilation of \"%s\".\n"
                    "Compilation terminated.\n",
                    p->cubin.files.at[i].name, line, (int)length, name, p->cubin.files.at[0].name);
                return false;
            }
        }
    }
    return true;
}

/* --gpu-architecture=sm_90a, or compute_90a: PTX alone. False: not given, or unknown. */
static bool take_architecture(Program *p, int options, const char *const *option, bool *real) {
    int list[32];
    const int count = architectures(list);
    for (int i = 0; i < options; i++) {
        const char *value = strchr(option[i], '=');
        char letter = 0, rest = 0;
        if (strncmp(option[i], "--gpu-architecture=", 19) != 0 &&
            strncmp(option[i], "-arch=", 6) != 0) {
            continue;
        }
        *real = strncmp(value, "=sm_", 4) == 0;
        const int got =
            sscanf(value, *real ? "=sm_%d%c%c" : "=compute_%d%c%c", &p->cubin.arch, &letter, &rest);
        p->cubin.specific = letter == 'a';
        for (int k = 0; k < count && (got == 1 || (got == 2 && letter == 'a')); k++) {
            if (list[k] == p->cubin.arch && (letter == 0 || list[k] >= 90)) {
                return true;
            }
        }
    }
    say(p, "nvrtc: error: invalid value for --gpu-architecture (-arch)\n");
    return false;
}

EXPORT int nvrtcCompileProgram(Program *p, int options, const char *const *option) {
    const int status = enter("nvrtcCompileProgram");
    if (!p) {
        return INVALID_PROGRAM;
    }
    forget_results(p);
    if (status != OK) {
        say(p, "%s(1): error: asked for by FAKE_NVRTC\n", p->cubin.files.at[0].name);
        return status;
    }
    for (int i = 0; i < options; i++) {
        if (option[i][0] != '-') {
            say(p, "nvrtc: error: unrecognized option %s found\n", option[i]);
            return INVALID_OPTION;
        }
    }
    bool real = true;
    if (!take_architecture(p, options, option, &real)) {
        return INVALID_OPTION;
    }
    if (!check_includes(p)) {
        return COMPILATION;
    }
    if (real) {
        p->image = fake_cubin_write(&p->cubin, options, option, &p->image_size);
    }
    if (asprintf(&p->ptx, "//\n// fake PTX\n//\n.target sm_%d\n", p->cubin.arch) < 0) {
        abort();
    }
    p->log = strdup("");
    return OK;
}

/* ---- results: sizes count a final NUL, but for a cubin. There may be none yet. */

static int get_size(const char *entry, const Program *p, size_t result, size_t *size) {
    const int status = enter(entry);
    if (status == OK && p) {
        *size = result;
    }
    return status == OK && !p ? INVALID_PROGRAM : status;
}

static int get_text(const char *entry, const Program *p, const char *text, size_t size, char *out) {
    const int status = enter(entry);
    if (status == OK && p) {
        memcpy(out, text ? text : "", text ? size : 1);
    }
    return status == OK && !p ? INVALID_PROGRAM : status;
}

static size_t text_size(const char *text) {
    return text ? strlen(text) + 1 : 1;
}

EXPORT int nvrtcGetCUBINSize(Program *p, size_t *size) {
    return get_size("nvrtcGetCUBINSize", p, p ? p->image_size : 0, size);
}

EXPORT int nvrtcGetCUBIN(Program *p, char *out) {
    return get_text("nvrtcGetCUBIN", p, p ? p->image : NULL, p ? p->image_size : 0, out);
}

EXPORT int nvrtcGetPTXSize(Program *p, size_t *size) {
    return get_size("nvrtcGetPTXSize", p, text_size(p ? p->ptx : NULL), size);
}

EXPORT int nvrtcGetPTX(Program *p, char *out) {
    return get_text("nvrtcGetPTX", p, p ? p->ptx : NULL, text_size(p ? p->ptx : NULL), out);
}

EXPORT int nvrtcGetProgramLogSize(Program *p, size_t *size) {
    return get_size("nvrtcGetProgramLogSize", p, text_size(p ? p->log : NULL), size);
}

EXPORT int nvrtcGetProgramLog(Program *p, char *out) {
    return get_text("nvrtcGetProgramLog", p, p ? p->log : NULL, text_size(p ? p->log : NULL), out);
}

EXPORT const char *nvrtcGetErrorString(int code) {
    static const char *const names[] = {
        "NVRTC_SUCCESS",
        "NVRTC_ERROR_OUT_OF_MEMORY",
        "NVRTC_ERROR_PROGRAM_CREATION_FAILURE",
        "NVRTC_ERROR_INVALID_INPUT",
        "NVRTC_ERROR_INVALID_PROGRAM",
        "NVRTC_ERROR_INVALID_OPTION",
        "NVRTC_ERROR_COMPILATION",
        "NVRTC_ERROR_BUILTIN_OPERATION_FAILURE",
        "NVRTC_ERROR_NO_NAME_EXPRESSIONS_AFTER_COMPILATION",
        "NVRTC_ERROR_NO_LOWERED_NAMES_BEFORE_COMPILATION",
        "NVRTC_ERROR_NAME_EXPRESSION_NOT_VALID",
        "NVRTC_ERROR_INTERNAL_ERROR",
    };
    const int count = (int)(sizeof names / sizeof *names);
    return code >= 0 && code < count ? names[code] : "NVRTC_ERROR unknown";
}
