/* See report_file.h. */
#include "compiler/report_file.h"
#include "compiler/data_wish.h"
#include "runtime/base/sanitize.h"

static size_t name_begin(Str path) {
    size_t begin = path.len;
    while (begin > 0 && path.data[begin - 1] != '/') {
        begin--;
    }
    return begin;
}

static bool identity(Session *s, Str path, struct stat *is) {
    return s->sys->stat(str_c(s->arena, path), is) == 0;
}

static bool equal(const struct stat *a, const struct stat *b) {
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

bool report_same_file(Session *s, Str a, Str b) {
    struct stat of_a, of_b;
    if (identity(s, a, &of_a) && identity(s, b, &of_b)) {
        return equal(&of_a, &of_b);
    }
    const size_t at_a = name_begin(a), at_b = name_begin(b);
    if (!str_eq(str_slice(a, at_a, a.len), str_slice(b, at_b, b.len))) {
        return false;
    }
    return identity(s, at_a ? str_slice(a, 0, at_a) : STR("."), &of_a) &&
           identity(s, at_b ? str_slice(b, 0, at_b) : STR("."), &of_b) && equal(&of_a, &of_b);
}

typedef struct Check {
    Session *s;
    Str path;
    bool ok;
} Check;

static void other_than(Check *check, Str path, const char *what) {
    Session *s = check->s;
    if (check->ok && path.len && report_same_file(s, check->path, path)) {
        Diag *d = diag_error(s, "E1103", NO_SPAN, "the report %s is %s",
                             str_safe_c(s->arena, check->path), what);
        diag_help(d, "--report FILE names another file");
        check->ok = false;
    }
}

static void other_than_recipe(Check *check, const Recipe *recipe) {
    for (size_t i = 0; i <= recipe->sources.len; i++) {
        const Source *source = i ? recipe->sources.at[i - 1] : recipe->source;
        if (source->is_file) {
            other_than(check, source->name, "the recipe");
        }
    }
}

static bool other_than_data(Check *check, const ReportFiles *files, const Data *data) {
    Session *s = check->s;
    if (data) {
        DataWish wish;
        TRY(data_of_recipe(s, files->plan->recipe, data, data_override(files->args, data->name),
                           &wish));
        other_than(check, data_path(s, &wish), "data of the recipe");
    }
    return true;
}

bool report_open(Session *s, const ReportFiles *files, Output **out) {
    const Model *model = files->plan->layers->model;
    Check check = {s, files->args->report, true};
    other_than(&check, model->input->path, "the input model");
    for (size_t i = 0; i < model->data_files.len; i++) {
        other_than(&check, model->data_files.at[i]->path, "data of the input model");
    }
    other_than_recipe(&check, files->plan->recipe);
    other_than(&check, files->args->params_file, "the file of parameters");
    other_than(&check, files->output, "the output");
    other_than(&check, files->rejected, "where a rejected output goes");
    if (files->plan->data) {
        other_than(&check, files->stats, "where statistics go");
    }
    TRY(other_than_data(&check, files, files->plan->data) &&
        other_than_data(&check, files, files->plan->evaluation.data) && check.ok);
    if (output_exists(s, check.path) && !files->args->force) {
        Diag *d = diag_error(s, "E1103", NO_SPAN, "%s exists", str_safe_c(s->arena, check.path));
        diag_help(d, "-f replaces it; --report FILE writes elsewhere");
        return false;
    }
    *out = output_open(s, check.path, 0);
    return *out != NULL;
}

static bool commit(Output *out, Str text) {
    out->size = text.len;
    const int error = output_write(out, 0, text.data, text.len);
    if (error) {
        output_fail(out, error);
        output_discard(out);
    }
    return !error && output_commit(out);
}

bool report_write(Session *s, Output *out, const ReportPage *page) {
    Buf html = buf_on(s->arena);
    report_html(page, &html);
    const bool done = commit(out, buf_view(&html));
    if (!done) {
        diag_note(vec_last(&s->diags.all), "the model was written to %s",
                  str_safe_c(s->arena, page->written));
    }
    return done;
}
