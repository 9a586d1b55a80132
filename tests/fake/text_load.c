/* See text_load.h. CMake says where things are: FAKE_CC, FAKE_ROOT (the source tree), FAKE_SIMT
 * (the library of simt.c) and FAKE_TEXTS (where objects are kept; so does the environment). */
#include "tests/fake/text_load.h"
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* An object of its own for every library: its kernels call the simt inside it and no other. */
#define COMPILE                                                                                    \
    FAKE_CC " -std=c11 -O1 -g1 -w -fPIC -shared -ffp-contract=off -fno-strict-aliasing"            \
            " -fsanitize=undefined,float-cast-overflow -fsanitize-undefined-trap-on-error"         \
            " -include " FAKE_ROOT "/tests/fake/text_prelude.h -I . -I " FAKE_ROOT                 \
            " -o text.so text.c -u simt_run_as " FAKE_SIMT " -lm -Wl,-Bsymbolic,-z,defs"

struct TextLibrary {
    void *handle;
    void (*run)(SimtKernel *, unsigned, unsigned, void **, const SimtOptions *);
    char *const *shared; /* its begin and its end */
};

/* FNV-1a. Nobody attacks the tests. */
static uint64_t hash_add(uint64_t hash, const char *bytes, size_t size) {
    for (size_t i = 0; i < size; i++) {
        hash = (hash ^ (unsigned char)bytes[i]) * 0x100000001b3u;
    }
    return (hash ^ 0xffu) * 0x100000001b3u; /* no two lists of parts run together */
}

static uint64_t hash_file(uint64_t hash, const char *path) {
    size_t size = 0;
    char *data = text_file_read(path, &size);
    hash = hash_add(hash, data ? data : "", size);
    free(data);
    return hash;
}

static uint64_t hash_text(const char *text, const TextFiles *files) {
    uint64_t hash = hash_add(0xcbf29ce484222325u, COMPILE, sizeof COMPILE);
    hash = hash_file(hash, FAKE_ROOT "/tests/fake/text_prelude.h");
    hash = hash_file(hash, FAKE_SIMT);
    hash = hash_add(hash, text, strlen(text));
    for (size_t i = 0; i < files->count; i++) {
        hash = hash_add(hash, files->at[i].name, strlen(files->at[i].name));
        hash = hash_add(hash, files->at[i].text, files->at[i].size);
    }
    return hash;
}

/* Writes FOLDER/NAME, and the folders in its name. */
static bool write_file(const char *folder, const char *name, const char *data, size_t size) {
    char path[4200];
    const int base = snprintf(path, sizeof path, "%s/", folder);
    snprintf(path + base, sizeof path - (size_t)base, "%s", name);
    for (char *p = path + base; (p = strchr(p, '/')) != NULL; p++) {
        *p = 0;
        mkdir(path, 0777);
        *p = '/';
    }
    FILE *f = fopen(path, "wb");
    bool ok = f && fwrite(data, 1, size, f) == size;
    return f ? fclose(f) == 0 && ok : false;
}

static bool compile(const char *folder, const char *object, const char *text,
                    const TextFiles *files, char *why, size_t why_size) {
    bool ok = write_file(folder, "text.c", text, strlen(text));
    for (size_t i = 0; i < files->count; i++) {
        ok = ok && write_file(folder, files->at[i].name, files->at[i].text, files->at[i].size);
    }
    if (!ok) {
        snprintf(why, why_size, "cannot write to %s: %s", folder, strerror(errno));
        return false;
    }
    char command[6000], made[4300];
    snprintf(command, sizeof command, "cd '%s' && " COMPILE " >log 2>&1 </dev/null", folder);
    if (system(command) == 0) {
        snprintf(made, sizeof made, "%s/text.so", folder);
        ok = rename(made, object) == 0;
        snprintf(why, why_size, "cannot make %s", object);
        return ok;
    }
    snprintf(made, sizeof made, "%s/log", folder);
    size_t size;
    char *log = text_file_read(made, &size);
    snprintf(why, why_size, "%s", log ? log : "the compiler could not be run");
    free(log);
    return false;
}

static const char *texts_folder(void) {
    const char *folder = getenv("FAKE_TEXTS");
    return folder ? folder : FAKE_TEXTS;
}

static bool make_object(const char *object, const char *text, const TextFiles *files, char *why,
                        size_t why_size) {
    char folder[4200], command[4300];
    snprintf(folder, sizeof folder, "%s/new-XXXXXX", texts_folder());
    mkdir(texts_folder(), 0777);
    if (!mkdtemp(folder)) {
        snprintf(why, why_size, "cannot make %s: %s", folder, strerror(errno));
        return false;
    }
    const bool ok = compile(folder, object, text, files, why, why_size);
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command) == 0 && ok;
}

TextLibrary *text_load(const char *text, const TextFiles *files, char *why, size_t why_size) {
    char object[4200];
    snprintf(object, sizeof object, "%s/%016llx.so", texts_folder(),
             (unsigned long long)hash_text(text, files));
    if (access(object, R_OK) != 0 && !make_object(object, text, files, why, why_size)) {
        return NULL;
    }
    void *handle = dlopen(object, RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
        snprintf(why, why_size, "%s", dlerror());
        return NULL;
    }
    TextLibrary *library = calloc(1, sizeof *library);
    library->handle = handle;
    void *run = dlsym(handle, "simt_run_as");
    memcpy(&library->run, &run, sizeof run);
    library->shared = dlsym(handle, "text_shared");
    return library;
}

TextLibrary *text_load_tree(const char *text, char *why, size_t why_size) {
    TextFiles files = {0};
    char missing[256];
    TextLibrary *library = NULL;
    if (text_files_gather(&files, text, FAKE_ROOT, missing, sizeof missing)) {
        library = text_load(text, &files, why, why_size);
    } else {
        snprintf(why, why_size, "no file %s", missing);
    }
    text_files_free(&files);
    return library;
}

void text_unload(TextLibrary *library) {
    dlclose(library->handle);
    free(library);
}

SimtKernel *text_kernel(TextLibrary *library, const char *name, unsigned *threads) {
    char variable[256];
    snprintf(variable, sizeof variable, "threads_of_%s", name);
    const unsigned *written_for = dlsym(library->handle, variable);
    void *symbol = dlsym(library->handle, name);
    if (!written_for || !symbol) {
        return NULL;
    }
    if (threads) {
        *threads = *written_for;
    }
    SimtKernel *kernel;
    memcpy(&kernel, &symbol, sizeof kernel);
    return kernel;
}

void text_run(TextLibrary *library, SimtKernel *kernel, unsigned grid, unsigned threads,
              void **parameters, uint64_t seed) {
    const SimtOptions options = {
        .seed = seed,
        .shared = library->shared[0],
        .shared_size = (size_t)(library->shared[1] - library->shared[0]),
    };
    library->run(kernel, grid, threads, parameters, &options);
}
