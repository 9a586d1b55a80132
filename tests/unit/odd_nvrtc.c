/* Libraries that are not quite NVRTC, for nvrtc_api_test: built once for each ODD. They are only
 * opened and asked who they are. */
enum { ODD_OLD, ODD_SILENT, ODD_UNSORTED, ODD_GREEDY, ODD_PLAIN };

int nvrtcVersion(int *major, int *minor);
const char *nvrtcGetErrorString(int status);
int nvrtcGetNumSupportedArchs(int *count);
int nvrtcGetSupportedArchs(int *list);

int nvrtcVersion(int *major, int *minor) {
    *major = ODD == ODD_OLD ? 11 : 12;
    *minor = ODD == ODD_OLD ? 8 : 3;
    return ODD == ODD_SILENT ? 11 : 0;
}

const char *nvrtcGetErrorString(int status) {
    return status ? "bad" : "good";
}

int nvrtcGetNumSupportedArchs(int *count) {
    *count = ODD == ODD_GREEDY ? 1000000 : 3;
    return 0;
}

int nvrtcGetSupportedArchs(int *list) {
    list[0] = 75;
    list[1] = 90;
    list[2] = ODD == ODD_UNSORTED ? 90 : 100;
    return 0;
}

#define NOTHING(name)                                                                              \
    int name(void);                                                                                \
    int name(void) {                                                                               \
        return 11;                                                                                 \
    }
NOTHING(nvrtcCreateProgram)
NOTHING(nvrtcDestroyProgram)
NOTHING(nvrtcCompileProgram)
NOTHING(nvrtcGetPTXSize)
NOTHING(nvrtcGetPTX)
NOTHING(nvrtcGetCUBINSize)
NOTHING(nvrtcGetCUBIN)
NOTHING(nvrtcGetProgramLogSize)
NOTHING(nvrtcGetProgramLog)
