/* upgrade OPSET OUT-DIRECTORY MODEL...: raises each model to OPSET and writes it as N.onnx (N
 * counts from 0). Prints one line a model, "N ok" or "N refused: message";
 * tests/e2e/cases_upgrade.py compares what the models compute before and after. */
#include <stdio.h>
#include <stdlib.h>
#include "runtime/model/upgrade.h"

static bool write_layout(const Layout *layout, const char *path) {
    FILE *file = fopen(path, "wb");
    bool good = file != NULL;
    for (size_t i = 0; good && i < layout->pieces.len; i++) {
        const Piece *p = &layout->pieces.at[i];
        const uint8_t *from = p->kind == PIECE_MEMORY ? p->bytes
                                                      : p->input->data + p->input_offset;
        good = p->file == 0 && fwrite(from, 1, (size_t)p->size, file) == (size_t)p->size;
    }
    return file && fclose(file) == 0 && good;
}

static bool upgrade(Session *s, const char *path, int64_t opset, const char *to) {
    Model *m = model_open(s, str_from(path));
    Layout layout = {0};
    const bool good = m && model_upgrade(s, m, opset) &&
                      model_layout(m, &(LayoutOptions){.data_name = STR("data.bin")}, &layout) &&
                      write_layout(&layout, to);
    model_close(m);
    return good;
}

int main(int argc, char **argv) {
    for (int i = 3; i < argc; i++) {
        Session *s = session_open(&sys_real);
        const char *to = str_format(s->arena, "%s/%d.onnx", argv[2], i - 3).data;
        if (upgrade(s, argv[i], strtol(argv[1], NULL, 10), to)) {
            printf("%d ok\n", i - 3);
        } else {
            const Str message = s->diags.all.len ? s->diags.all.at[0]->message : STR("not written");
            printf("%d refused: %.*s\n", i - 3, STR_ARG(message));
        }
        session_close(s);
    }
    return 0;
}
