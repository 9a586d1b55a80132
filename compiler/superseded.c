/* See superseded.h. The old model is read in a session of its own, whose messages nobody sees. */
#include "compiler/superseded.h"

static bool has_receipt(const Model *model) {
    for (size_t i = 0; i < model->proto->n_metadata_props; i++) {
        const Onnx__StringStringEntryProto *entry = model->proto->metadata_props[i];
        if (entry->key && strcmp(entry->key, "mor.receipt") == 0) {
            return true;
        }
    }
    return false;
}

static bool reads(const Model *model, const struct stat *file) {
    for (size_t i = 0; i < model->data_files.len; i++) {
        const struct stat *is = &model->data_files.at[i]->identity;
        if (is->st_dev == file->st_dev && is->st_ino == file->st_ino) {
            return true;
        }
    }
    return false;
}

static void close_own(Session *s, void *own) {
    (void)s;
    session_close(own);
}

Str superseded_data(Session *s, Str out_path, const Model *model, Str data_name) {
    Str found = {0};
    struct stat is;
    if (s->sys->lstat(str_c(s->arena, out_path), &is) != 0 || !S_ISREG(is.st_mode)) {
        return found;
    }
    Cleanup *cleanup = arena_new(s->arena, Cleanup); /* when an allocation fails in here */
    Session *own = session_open(s->sys);
    session_on_close(s, cleanup, close_own, own);
    Model *old = model_open(own, out_path);
    if (old && has_receipt(old) && old->data_files.len == 1) { /* morc writes one at most */
        const Input *data = old->data_files.at[0];
        Str name = old->data_by_location.entries[0].key;
        if (!str_eq(name, data_name) && !reads(model, &data->identity)) {
            found = str_copy(s->arena, data->path);
        }
    }
    model_close(old);
    session_forget(s, cleanup);
    session_close(own);
    return found;
}
