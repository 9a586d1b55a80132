/* roundtrip OUT-DIRECTORY MODEL...: reads each model and writes it twice, without edits as N.same
 * and with edits that change nothing but bytes on the way as N.touched (N counts from 0): the first
 * input of every node is replaced by its own name, the payload of every initializer with raw data
 * by its own bytes, and one metadata entry called "roundtrip" is added. Prints one line a model,
 * "N ok" or "N refused: message"; roundtrip.py compares. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "runtime/model/model.h"

typedef struct Payloads {
    Vec(const Tensor *) tensors; /* by tag */
} Payloads;

static bool write_layout(const Layout *layout, const Payloads *payloads, const char *path)
{
    FILE *file = fopen(path, "wb");
    bool ok = file != NULL;
    for (size_t i = 0; ok && i < layout->pieces.len; i++) {
        const Piece *p = &layout->pieces.at[i];
        const void *from = p->kind == PIECE_MEMORY ? p->bytes
                           : p->kind == PIECE_INPUT
                               ? (const void *)(p->input->data + p->input_offset)
                               : (const void *)payloads->tensors.at[p->tag]->data;
        ok = p->file == 0 && fseek(file, (long)p->offset, SEEK_SET) == 0 &&
             fwrite(from, 1, (size_t)p->size, file) == (size_t)p->size;
    }
    return file && fclose(file) == 0 && ok;
}

static void touch_node(Node *node)
{
    if (node->input_count > 0 && node->inputs[0]) {
        edit_node_input(node, 0, node->inputs[0]->name);
    }
}

static void touch(Session *s, Model *m, Payloads *payloads)
{
    for (size_t g = 0; g < m->graphs.len; g++) {
        Graph *graph = m->graphs.at[g];
        for (size_t n = 0; n < graph->nodes.len; n++) {
            touch_node(graph->nodes.at[n]);
        }
        for (size_t t = 0; t < graph->initializers.len; t++) {
            const Tensor *tensor = graph->initializers.at[t];
            if (tensor->carrier == CARRIER_RAW && tensor->size > 0) {
                edit_replace_payload(tensor, (int64_t)payloads->tensors.len);
                vec_push(s->arena, &payloads->tensors, tensor);
            }
        }
    }
    edit_metadata(m, STR("roundtrip"), STR("touched"));
}

static bool roundtrip(Session *s, const char *directory, int number, const char *path)
{
    Model *m = model_open(s, str_from(path));
    if (!m) {
        return false;
    }
    LayoutOptions options = {.external = false};
    Payloads payloads = {0};
    Layout same = {0}, touched = {0};
    bool ok = model_layout(m, &options, &same) &&
              write_layout(&same, &payloads,
                           str_c(s->arena, str_format(s->arena, "%s/%d.same", directory, number)));
    if (ok) {
        touch(s, m, &payloads);
        ok = model_layout(m, &options, &touched) &&
             write_layout(&touched, &payloads,
                          str_c(s->arena, str_format(s->arena, "%s/%d.touched", directory, number)));
    }
    model_close(m);
    return ok;
}

int main(int argc, char **argv)
{
    for (int i = 2; i < argc; i++) {
        Session *s = session_open(&sys_real);
        if (roundtrip(s, argv[1], i - 2, argv[i])) {
            printf("%d ok\n", i - 2);
        } else {
            Str message = s->diags.all.len ? s->diags.all.at[0]->message : STR("not written");
            printf("%d refused: %.*s\n", i - 2, STR_ARG(message));
        }
        session_close(s);
    }
    return 0;
}
