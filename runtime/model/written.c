/* Reads a written model back before it is put in place. Three proofs together: every byte that is
 * not a weight is what the layout planned, the file parses with all tensors inside their files, and
 * every planned weight is exactly the elements of one tensor. */
#include <string.h>
#include "runtime/base/sanitize.h"
#include "runtime/model/read.h"

/* Copied ranges up to this size are compared, too; larger ones are weights. */
enum { COMPARED = 1 << 16 };

static bool differs(Session *s, Str path, int file, uint64_t offset, const char *what) {
    Diag *d = diag_error(s, "E1011", NO_SPAN, "what was written is not what was planned: %s", what);
    diag_where(d, "%s%s: @0x%llx", str_safe_c(s->arena, path), file ? " (data file)" : "",
               (unsigned long long)offset);
    diag_note(d, "nothing was put in place");
    return false;
}

static bool same_bytes(Session *s, Str path, const Input *file, const Piece *p) {
    const uint8_t *planned = p->kind == PIECE_MEMORY  ? p->bytes
                             : p->kind == PIECE_INPUT ? p->input->data + p->input_offset
                                                      : NULL;
    if (p->size > file->size || p->offset > file->size - p->size) {
        return differs(s, path, p->file, p->offset, "it is too short");
    }
    if (planned && (p->kind == PIECE_MEMORY || p->size <= COMPARED) &&
        memcmp(planned, file->data + p->offset, (size_t)p->size) != 0) {
        return differs(s, path, p->file, p->offset, "other bytes");
    }
    return true;
}

/* The next planned weight of a file at or after `from`; its index, or pieces.len. */
static size_t next_weight(const Layout *layout, int file, size_t from) {
    const Piece *at = layout->pieces.at;
    while (from < layout->pieces.len && !(at[from].kind == PIECE_TENSOR && at[from].file == file)) {
        from++;
    }
    return from;
}

/* Weights and tensors come in the same order, in each file. */
static bool same_weights(const Model *m, Str path, const Layout *layout) {
    size_t next[2] = {next_weight(layout, 0, 0), next_weight(layout, 1, 0)};
    for (size_t i = 0; i < m->tensors.len; i++) {
        const Tensor *t = m->tensors.at[i];
        const int file = t->input && t->input != m->input;
        if (next[file] < layout->pieces.len) {
            const Piece *p = &layout->pieces.at[next[file]];
            if (t->data && t->input_offset == p->offset && t->size == p->size) {
                next[file] = next_weight(layout, file, next[file] + 1);
            }
        }
    }
    for (int file = 0; file < 2; file++) {
        if (next[file] < layout->pieces.len) {
            return differs(m->session, path, file, layout->pieces.at[next[file]].offset,
                           "a weight belongs to no tensor");
        }
    }
    return true;
}

bool model_check_written(Session *s, int fd, Str shown_path, int data_fd, const Layout *layout) {
    Input *files[2] = {input_from(s, fd, shown_path), NULL};
    TRY(files[0] != NULL);
    if (layout->size[1] > 0) {
        files[1] = input_from(s, data_fd, shown_path);
        TRY(files[1] != NULL);
    }
    for (int i = 0; i < 2; i++) {
        if (files[i] && files[i]->size != layout->size[i]) {
            return differs(s, shown_path, i, files[i]->size, "another size");
        }
    }
    for (size_t i = 0; i < layout->pieces.len; i++) {
        const Piece *p = &layout->pieces.at[i];
        TRY(same_bytes(s, shown_path, files[p->file], p));
    }
    Model *m = model_open_input(s, files[0], files[1]);
    const bool good = m && same_weights(m, shown_path, layout);
    model_close(m);
    return good;
}
