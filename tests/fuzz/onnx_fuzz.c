/* Fuzz target: any bytes as a model. Opening must end in a Model or one diagnostic; a model that
 * opens is written back without edits to the same bytes, and with edits or raised to a newer opset
 * to bytes that open again.
 * The bytes lie in a memfd, so there is no directory for external data: such tensors are refused. */
#undef NDEBUG
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "runtime/model/layers.h"
#include "runtime/model/model.h"
#include "runtime/model/upgrade.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LARGEST = 1 << 20, NODES_EDITED = 8 };

static int memory_file(Session *s, const void *data, size_t size, Str *path)
{
    int fd = memfd_create("model", MFD_CLOEXEC);
    assert(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    *path = str_format(s->arena, "/proc/self/fd/%d", fd);
    return fd;
}

/* The bytes of file 0 of a layout; payloads of the tensor `tag` come from `tensors`. */
static uint8_t *assemble(Session *s, const Layout *layout, const uint8_t *const *tensors)
{
    uint64_t covered = 0;
    uint8_t *out = arena_alloc(s->arena, (size_t)layout->size[0] + 1);
    for (size_t i = 0; i < layout->pieces.len; i++) {
        const Piece *p = &layout->pieces.at[i];
        assert(p->file == 0 && p->offset == covered && p->offset + p->size <= layout->size[0]);
        const uint8_t *from = p->kind == PIECE_MEMORY ? p->bytes
                              : p->kind == PIECE_INPUT ? p->input->data + p->input_offset
                                                       : tensors[p->tag];
        if (p->size > 0) {
            memcpy(out + p->offset, from, (size_t)p->size);
        }
        covered += p->size;
    }
    assert(covered == layout->size[0] && "the pieces have holes");
    return out;
}

static void edit(Model *m, Str name)
{
    for (size_t i = 0; i < m->main->nodes.len && i < NODES_EDITED; i++) {
        Node *node = m->main->nodes.at[i];
        if (node->input_count > 0 && node->inputs[0]) {
            edit_node_input(node, 0, node->inputs[0]->name);
        }
    }
    edit_metadata(m, STR("mor"), STR("fuzz"));
    edit_ir_version(m, m->ir_version < 10 ? 10 : m->ir_version);
    static const int64_t dims[] = {2};
    NewTensor tensor = {.name = name, .type = 1, .rank = 1, .dims = dims, .size = 8, .tag = 0};
    edit_add_initializer(m->main, &tensor);
}

static void check_rewrite(Session *s, Model *m, const uint8_t *data, size_t size)
{
    LayoutOptions options = {.external = false};
    Layout layout = {0};
    if (!model_layout(m, &options, &layout)) {
        assert(s->diags.errors > 0);
        return;
    }
    uint8_t *same = assemble(s, &layout, NULL);
    assert(layout.size[0] == size && memcmp(same, data, size) == 0 && "unedited bytes differ");

    static const uint8_t payload[8];
    const uint8_t *tensors[] = {payload};
    Str name = model_fresh_name(m, STR("fuzz_weight"));
    edit(m, name);
    Layout edited = {0};
    if (!model_layout(m, &options, &edited)) {
        assert(s->diags.errors > 0);
        return;
    }
    uint8_t *bytes = assemble(s, &edited, tensors);
    Str path;
    int fd = memory_file(s, bytes, (size_t)edited.size[0], &path);
    Model *again = model_open(s, path);
    assert(again && "what was written does not open");
    assert(again->graphs.len == m->graphs.len && again->main->nodes.len == m->main->nodes.len);
    assert(graph_value(again->main, name) && "the added initializer is not there");
    model_close(again);
    close(fd);
}

/* A model that can be raised to opset 21 opens again, at 21. */
static void check_upgrade(Session *s, Str path)
{
    Model *m = model_open(s, path);
    LayoutOptions options = {.external = false};
    Layout layout = {0};
    bool raised = m && model_upgrade(s, m, 21);
    assert(raised == (s->diags.errors == 0) && "an error if and only if it cannot be raised");
    if (raised && model_layout(m, &options, &layout)) {
        Str out;
        int fd = memory_file(s, assemble(s, &layout, NULL), (size_t)layout.size[0], &out);
        Model *again = model_open(s, out);
        assert(again && again->opset >= 21 && "what was raised does not open");
        model_close(again);
        close(fd);
    }
    model_close(m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > LARGEST) {
        return 0;
    }
    Session *s = session_open(&sys_real);
    Str path;
    int fd = memory_file(s, data, size, &path);
    Model *m = model_open(s, path);
    assert(!m == (s->diags.errors > 0) && "an error if and only if there is no model");
    if (m) {
        check_rewrite(s, m, data, size);
        model_close(m);
        if (s->diags.errors == 0) {
            check_upgrade(s, path);
        }
    }
    Buf text = buf_on(s->arena);
    diags_render(&s->diags, &text, false);
    session_close(s);
    close(fd);
    return 0;
}
