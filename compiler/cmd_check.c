/* `morc check` and `morc fmt`: no model, no machine. */
#include <limits.h>
#include <unistd.h>
#include "compiler/cmd.h"
#include "compiler/frontend.h"
#include "lang/parse.h"
#include "runtime/base/file.h"
#include "runtime/base/sanitize.h"

static bool dump_stage(Console *c, const Args *args, const Source *source, bool *done) {
    Session *s = c->s;
    Buf b = buf_on(s->arena);
    *done = true;
    if (str_is(args->dump, "tokens")) {
        tokens_dump(s, source, &b);
        console_out(c, buf_view(&b));
        return s->diags.errors == 0;
    }
    Ast *ast = NULL;
    bool ok = frontend_parse(s, source, &ast);
    if (str_is(args->dump, "ast")) {
        if (ast) {
            ast_dump(ast, &b);
        }
        console_out(c, buf_view(&b));
        return ok;
    }
    TRY(ok);
    if (str_is(args->dump, "recipe")) {
        Recipe *recipe = NULL;
        TRY(frontend_resolve(s, args, ast, &recipe));
        recipe_print(recipe, &b);
        console_out(c, buf_view(&b));
        return true;
    }
    *done = false;
    return true;
}

static bool apply_fixes(Console *c, const Source *source, Str path);

static bool check_one(Console *c, const Args *args, Str path) {
    Session *s = c->s;
    const Source *source = frontend_source(s, args, path);
    TRY(source);
    if (args->dump.len) {
        bool done;
        bool ok = dump_stage(c, args, source, &done);
        if (done) {
            return ok;
        }
        diag_error(s, "E1110", NO_SPAN, "`-d %s` needs a model: morc plan RECIPE MODEL -d %s",
                   str_safe_c(s->arena, args->dump), str_safe_c(s->arena, args->dump));
        return false;
    }
    Ast *ast = NULL;
    Recipe *recipe = NULL;
    bool ok = frontend_parse(s, source, &ast) && frontend_resolve(s, args, ast, &recipe);
    if (!ok && args->fix && source->is_file) {
        ok = apply_fixes(c, source, path);
    }
    return ok;
}

/* In the place of the file that was read: of a link, where it leads. */
static bool write_text(Session *s, Str path, Str text) {
    char *real = arena_alloc(s->arena, PATH_MAX);
    if (s->sys->resolve(str_c(s->arena, path), real) == 0) {
        path = str_from(real);
    }
    Output *out = output_open(s, path, text.len);
    TRY(out);
    int error = output_write(out, 0, text.data, text.len);
    if (error) {
        output_fail(out, error);
        output_discard(out);
        return false;
    }
    if (!output_sync(out)) {
        output_discard(out);
        return false;
    }
    return output_commit(out);
}

/* Applies the safe fixes of the errors in `source`, last first, and checks the result again. */
static bool apply_fixes(Console *c, const Source *source, Str path) {
    Session *s = c->s;
    Vec(DiagFix) fixes = {0};
    size_t unfixed = 0;
    for (size_t i = 0; i < s->diags.all.len; i++) {
        const Diag *d = s->diags.all.at[i];
        bool fixed = false;
        for (size_t f = 0; f < d->fixes.len; f++) {
            if (d->fixes.at[f].safe && d->fixes.at[f].span.source == source) {
                vec_push(s->arena, &fixes, d->fixes.at[f]);
                fixed = true;
            }
        }
        unfixed += fixed ? 0 : 1;
    }
    if (fixes.len == 0) {
        return false;
    }
    for (size_t i = 1; i < fixes.len; i++) { /* by offset: fixes never overlap */
        for (size_t j = i; j > 0 && fixes.at[j - 1].span.offset > fixes.at[j].span.offset; j--) {
            DiagFix swap = fixes.at[j];
            fixes.at[j] = fixes.at[j - 1];
            fixes.at[j - 1] = swap;
        }
    }
    Buf b = buf_on(s->arena);
    size_t at = 0;
    for (size_t i = 0; i < fixes.len; i++) {
        Span span = fixes.at[i].span;
        if (span.offset < at) {
            continue;
        }
        buf_add(&b, source->text.data + at, span.offset - at);
        buf_str(&b, fixes.at[i].text);
        at = span.offset + span.length;
    }
    buf_add(&b, source->text.data + at, source->text.len - at);
    TRY(write_text(s, path, buf_view(&b)));
    console_say(c, "%s: %zu fixed%s\n", str_safe_c(s->arena, path), fixes.len,
                unfixed ? ", the rest needs a decision" : "");
    if (unfixed == 0) {
        diags_clear(&s->diags);
    }
    return unfixed == 0;
}

bool cmd_check(Console *c, const Args *args) {
    bool ok = true;
    size_t good = 0;
    if (args->has_inline) {
        ok = check_one(c, args, (Str){0});
        good += ok ? 1 : 0;
    }
    for (size_t i = 0; i < args->files.len; i++) {
        bool one = check_one(c, args, args->files.at[i]);
        ok = one && ok;
        good += one ? 1 : 0;
        console_flush(c);
    }
    if (ok && !args->dump.len) {
        console_say(c, "%zu recipe%s ok\n", good, good == 1 ? "" : "s");
    }
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "type", "result");
    cJSON_AddBoolToObject(o, "ok", ok && c->exit == 0);
    console_flush(c);
    cJSON_AddNumberToObject(o, "exit", c->exit);
    cJSON_AddNumberToObject(o, "errors", (double)c->errors);
    cJSON_AddNumberToObject(o, "warnings", (double)c->warnings);
    console_json(c, o);
    return ok;
}

/* Lines that differ, `-` old and `+` new, without context: common head and tail are left out. */
static void print_diff(Console *c, Str path, Str old, Str new) {
    Session *s = c->s;
    size_t head = 0, old_end = old.len, new_end = new.len;
    for (size_t i = 0; i < old.len && i < new.len &&old.data[i] == new.data[i]; i++) {
        head = old.data[i] == '\n' ? i + 1 : head;
    }
    while (old_end > head && new_end > head && old.data[old_end - 1] == new.data[new_end - 1]) {
        old_end--;
        new_end--;
    }
    while (old_end < old.len && old.data[old_end - (old_end > head ? 1 : 0)] != '\n') {
        old_end++;
        new_end++;
    }
    Buf b = buf_on(s->arena);
    buf_printf(&b, "--- %s\n+++ %s (formatted)\n", str_safe_c(s->arena, path),
               str_safe_c(s->arena, path));
    const Str parts[2] = {str_slice(old, head, old_end), str_slice(new, head, new_end)};
    for (int side = 0; side < 2; side++) {
        for (size_t at = 0; at < parts[side].len;) {
            size_t end = at;
            while (end < parts[side].len && parts[side].data[end] != '\n') {
                end++;
            }
            buf_char(&b, side ? '+' : '-');
            buf_safe(&b, str_slice(parts[side], at, end));
            buf_char(&b, '\n');
            at = end + 1;
        }
    }
    console_out(c, buf_view(&b));
}

static bool fmt_one(Console *c, const Args *args, Str path, bool *changed) {
    Session *s = c->s;
    const Source *source = frontend_source(s, args, path);
    TRY(source);
    Ast *ast = NULL;
    TRY(frontend_parse(s, source, &ast));
    Buf b = buf_on(s->arena);
    ast_format(ast, &b);
    Str text = buf_view(&b);
    bool same = str_eq(text, source->text);
    *changed = *changed || !same;
    if (args->fmt_diff) {
        if (!same) {
            print_diff(c, path, source->text, text);
        }
    } else if (args->fmt_check) {
        if (!same) {
            console_say(c, "%s would change\n", str_safe_c(s->arena, path));
        }
    } else if (str_is(path, "-")) {
        console_out(c, text);
    } else if (!same) {
        TRY(write_text(s, path, text));
        console_say(c, "%s formatted\n", str_safe_c(s->arena, path));
    }
    return true;
}

bool cmd_fmt(Console *c, const Args *args) {
    bool ok = true, changed = false;
    for (size_t i = 0; i < args->files.len; i++) {
        ok = fmt_one(c, args, args->files.at[i], &changed) && ok;
        console_flush(c);
    }
    if (changed && (args->fmt_check || args->fmt_diff) && c->exit == 0) {
        c->exit = 1;
    }
    return ok;
}
