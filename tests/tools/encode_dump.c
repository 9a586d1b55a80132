/* encode_dump FORMAT < floats > codes: raw little-endian float32 in, one byte per code out.
 * encode_dump -d FORMAT > floats: the value of every code, as float32. Exit 2 for other words. */
#include "kernels/kernels.h"
#include <stdio.h>
#include <string.h>

enum { BATCH = 1 << 16 };

int main(int argc, char **argv) {
    const bool decode = argc == 3 && strcmp(argv[1], "-d") == 0;
    const char *name = argc > 1 ? argv[argc - 1] : "";
    const Format *const f = format_find(name, strlen(name));
    if (f == NULL || argc != (decode ? 3 : 2)) {
        fputs("usage: encode_dump [-d] FORMAT\n", stderr);
        return 2;
    }
    for (uint32_t code = 0; decode && code < 1u << f->bits; code++) {
        const float value = f->decode(code);
        fwrite(&value, sizeof value, 1, stdout);
    }
    static float in[BATCH];
    static uint8_t out[BATCH];
    for (size_t n; !decode && (n = fread(in, sizeof *in, BATCH, stdin)) > 0;) {
        for (size_t i = 0; i < n; i++) {
            out[i] = (uint8_t)f->encode(in[i]);
        }
        fwrite(out, 1, n, stdout);
    }
    return fflush(stdout) != 0 || ferror(stdin) ? 1 : 0;
}
