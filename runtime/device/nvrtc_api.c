/* See nvrtc_api.h. The library is bound at once: what compiles later may open no file. */
#include "runtime/device/nvrtc_api.h"
#include <dlfcn.h>
#include <limits.h>
#include <string.h>

const NvrtcOption nvrtc_options[NVRTC_OPTIONS + 1] = {
    {"--std=c++17", false},
    {"--fmad=false", false},
    {"--ftz=false", false},
    {"--prec-div=true", false},
    {"--prec-sqrt=true", false},
    {"--device-as-default-execution-space", false},
    {"--no-source-include", true},
    {"--no-cache", true},         /* since 12.9: its own cache, beside ours */
    {"--split-compile=1", true},  /* no threads of its own: we start as many as we want */
    {"--ptxas-options=-v", true}, /* registers and spills, in the log */
    {NULL, false},
};

typedef struct Entry {
    const char *name;
    size_t field; /* offset in NvrtcApi */
} Entry;

#define ENTRY(name, field)                                                                         \
    { name, offsetof(NvrtcApi, field) }
static const Entry entries[] = {
    ENTRY("nvrtcVersion", get_version),
    ENTRY("nvrtcGetErrorString", error_text),
    ENTRY("nvrtcGetNumSupportedArchs", architecture_count),
    ENTRY("nvrtcGetSupportedArchs", architecture_list),
    ENTRY("nvrtcCreateProgram", create),
    ENTRY("nvrtcDestroyProgram", destroy),
    ENTRY("nvrtcCompileProgram", compile),
    ENTRY("nvrtcGetPTXSize", ptx_size),
    ENTRY("nvrtcGetPTX", ptx),
    ENTRY("nvrtcGetCUBINSize", cubin_size),
    ENTRY("nvrtcGetCUBIN", cubin),
    ENTRY("nvrtcGetProgramLogSize", log_size),
    ENTRY("nvrtcGetProgramLog", log),
};

static bool fill_table(NvrtcApi *api, Arena *arena, Str *why) {
    for (size_t i = 0; i < sizeof entries / sizeof *entries; i++) {
        void *symbol = dlsym(api->library, entries[i].name);
        if (!symbol) {
            *why = str_format(arena, "it has no %s", entries[i].name);
            return false;
        }
        memcpy((char *)api + entries[i].field, &symbol, sizeof symbol);
    }
    return true;
}

/* A list that is not ascending, or too long, is no list of architectures. */
static bool read_facts(NvrtcApi *api, Arena *arena, Str *why) {
    int major = 0, minor = 0;
    if (api->get_version(&major, &minor) != 0 || major < 0 || major > 999 || minor < 0 ||
        minor > 99) {
        *why = STR("it does not tell its version");
        return false;
    }
    api->version = 1000 * major + 10 * minor;
    if (api->version < NVRTC_OLDEST) {
        *why =
            str_format(arena, "it is version %d.%d; 12.0 is the oldest that will do", major, minor);
        return false;
    }
    bool good = api->architecture_count(&api->architectures) == 0 && api->architectures > 0 &&
                api->architectures <= NVRTC_ARCHITECTURES && api->architecture_list(api->at) == 0;
    for (int i = 0; good && i < api->architectures; i++) {
        good = api->at[i] > (i > 0 ? api->at[i - 1] : 0);
    }
    if (!good) {
        *why = STR("it does not tell its architectures");
    }
    return good;
}

bool nvrtc_api_try(NvrtcApi *api, const char *name, Arena *arena, Str *why, bool *missing) {
    *api = (NvrtcApi){0};
    *missing = false;
    api->library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (!api->library) {
        const Str said = str_from(dlerror());
        /* of the library itself, not of one that it needs */
        *missing =
            str_starts(said, str_from(name)) && str_ends(said, STR("No such file or directory"));
        *why = str_copy(arena, said);
        return false;
    }
    Str problem = {0};
    if (!fill_table(api, arena, &problem) || !read_facts(api, arena, &problem)) {
        *why = str_format(arena, "%s: %.*s", name, STR_ARG(problem));
        nvrtc_api_close(api);
        return false;
    }
    return true;
}

static const char *const sonames[] = {"libnvrtc.so.13", "libnvrtc.so.12"};

/* The folder of this program with its '/', or nothing. */
static Str own_folder(const Sys *sys, Arena *arena) {
    char path[PATH_MAX];
    if (sys->resolve("/proc/self/exe", path) != 0) {
        return (Str){0};
    }
    size_t length = strlen(path);
    while (length > 0 && path[length - 1] != '/') {
        length--;
    }
    return str_copy(arena, (Str){path, length});
}

bool nvrtc_api_open(NvrtcApi *api, const Sys *sys, Arena *arena, Str *why) {
    const Str own = own_folder(sys, arena);
    const Str places[] = {STR(""), own, STR("/usr/local/cuda/lib64/")};
    Str first = {0}; /* reason against a library that is there */
    for (int p = 0; p < 3; p++) {
        for (size_t n = 0; n < sizeof sonames / sizeof *sonames; n++) {
            const Str name = str_format(arena, "%.*s%s", STR_ARG(places[p]), sonames[n]);
            Str problem;
            bool missing;
            if ((p == 0 || places[p].len > 0) &&
                nvrtc_api_try(api, name.data, arena, &problem, &missing)) {
                return true;
            }
            first = first.len == 0 && !missing ? problem : first;
        }
    }
    *why = first.len > 0 ? first : STR("NVRTC (libnvrtc.so.13 or .12) is not installed");
    return false;
}

void nvrtc_api_close(NvrtcApi *api) {
    if (api->library) {
        dlclose(api->library);
    }
    *api = (NvrtcApi){0};
}

Str nvrtc_api_path(const NvrtcApi *api, Arena *arena) {
    void *symbol;
    Dl_info info;
    memcpy(&symbol, &api->get_version, sizeof symbol);
    return dladdr(symbol, &info) != 0 ? str_copy(arena, str_from(info.dli_fname)) : (Str){0};
}
