/* The table of formats, built from formats.list. In: the rows of kernels/format. Out: formats[]. */
#include "kernels/kernels.h"
#include "kernels/dialect.h"
#include "kernels/formats.list"
#include <string.h>

/* The dialect inlines by force; the table needs functions with addresses. */
#undef FORMAT
#define FORMAT(name, doc)                                                                          \
    static uint32_t encode_##name(float x) {                                                       \
        return name##_encode(x);                                                                   \
    }                                                                                              \
    static float decode_##name(uint32_t code) {                                                    \
        return name##_decode(code);                                                                \
    }
#include "kernels/formats.list"

#undef FORMAT
#define FORMAT(name, doc)                                                                          \
    {#name,                                                                                        \
     doc,                                                                                          \
     name##_BITS,                                                                                  \
     name##_MAX_ABS,                                                                               \
     name##_SCALE_MAX,                                                                             \
     name##_INTEGER,                                                                               \
     name##_ASYMMETRIC,                                                                            \
     name##_ONNX,                                                                                  \
     name##_OPSET,                                                                                 \
     encode_##name,                                                                                \
     decode_##name,                                                                                \
     name##_SCALE_ONLY},
const Format formats[] = {
#include "kernels/formats.list"
};
const int format_count = sizeof formats / sizeof *formats;

const Format *format_find(const char *name, size_t length) {
    for (int i = 0; i < format_count; i++) {
        if (strlen(formats[i].name) == length && memcmp(formats[i].name, name, length) == 0) {
            return &formats[i];
        }
    }
    return NULL;
}
