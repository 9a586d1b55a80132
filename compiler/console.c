/* See console.h. */
#include "compiler/console.h"
#include "runtime/base/clock.h"
#include <stdlib.h>
#include "runtime/base/limits.h"
#include "runtime/base/sanitize.h"

/* JSON objects live on the arena of the run that builds them, so that an allocation failure in the
 * middle of one leaks nothing; between runs cJSON is as it always is. */
static _Thread_local Arena *json_arena;

static void *json_alloc(size_t size) {
    return json_arena ? arena_alloc(json_arena, size) : malloc(size);
}

static void json_free(void *p) {
    if (!json_arena) {
        free(p);
    }
}

static void json_end(Session *s, void *owner) {
    (void)s;
    (void)owner;
    json_arena = NULL;
}

static void json_begin(Session *s) {
    cJSON_InitHooks(&(cJSON_Hooks){json_alloc, json_free});
    json_arena = s->arena;
    session_on_close(s, arena_new(s->arena, Cleanup), json_end, NULL);
}

void console_open(Console *c, Session *s, MorcEnv *env, const Args *args) {
    memset(c, 0, sizeof *c);
    json_begin(s);
    c->s = s;
    c->env = env;
    c->json = args->json;
    c->quiet = args->quiet;
    c->verbose = args->verbose;
    c->warnings_fail = args->deny_warnings;
    const char *no_color = env->get("NO_COLOR"), *term = env->get("TERM");
    bool dumb = term && str_is(STR("dumb"), term);
    c->colour = env->err_terminal && !(no_color && *no_color) && !dumb;
    if (args->color.len && !str_is(args->color, "auto")) {
        c->colour = str_is(args->color, "always");
    }
    s->progress = console_progress;
    s->progress_user = c;
}

/* The table of exit codes (docs/decisions, language.md 4.2) by the family of the code. */
int exit_of_code(Str code) {
    if (code.len != 5) {
        return 1;
    }
    int n = atoi(code.data + 1);
    if (n == 2) {
        return 70; /* a bug of morc */
    }
    if (n >= 900 && n < 1000) {
        return 3;
    }
    if (n == 1103 || (n >= 1110 && n < 1120)) {
        return 2;
    }
    if (n == 1105 || n == 1106 || n == 1108) {
        return 4;
    }
    return n >= 1000 || n == 704 || n == 705 || n == 707 ? 5 : 1;
}

void console_flush(Console *c) {
    Diags *diags = &c->s->diags;
    if (diags->all.len == 0) {
        return;
    }
    console_progress_end(c);
    for (size_t i = 0; i < diags->all.len; i++) {
        const Diag *d = diags->all.at[i];
        if (d->level == DIAG_ERROR && c->exit == 0) {
            c->exit = exit_of_code(d->code);
        } else if (d->level == DIAG_WARNING && c->warnings_fail && c->exit == 0) {
            c->exit = 1;
        }
        if (c->json) {
            Buf b = buf_on(c->s->arena);
            diag_json(d, &b);
            fwrite(b.data, 1, b.len, c->env->out);
            if (b.len && b.data[b.len - 1] != '\n') {
                fputc('\n', c->env->out);
            }
        }
    }
    if (!c->json) {
        Buf b = buf_on(c->s->arena);
        diags_render(diags, &b, c->colour);
        fflush(c->env->out);
        fwrite(b.data, 1, b.len, c->env->err);
    }
    c->errors += diags->errors;
    c->warnings += diags->warnings;
    diags_clear(diags);
}

void console_out(Console *c, Str text) {
    if (!c->json) {
        console_progress_end(c);
        fwrite(text.data, 1, text.len, c->env->out);
    }
}

void console_say(Console *c, const char *format, ...) {
    if (c->quiet || c->json) {
        return;
    }
    console_progress_end(c);
    fflush(c->env->out);
    va_list args;
    va_start(args, format);
    vfprintf(c->env->err, format, args);
    va_end(args);
}

void console_json(Console *c, cJSON *object) {
    if (c->json) {
        char *text = cJSON_PrintUnformatted(object);
        if (text) {
            fputs(text, c->env->out);
            fputc('\n', c->env->out);
            cJSON_free(text);
        }
    }
    cJSON_Delete(object);
}

void json_text(cJSON *object, const char *key, Str text) {
    cJSON_AddStringToObject(object, key, str_safe_c(json_arena, text));
}

static void draw_bar(Console *c, const char *pass, uint64_t done, uint64_t total, double now) {
    enum { WIDTH = 24 };
    int filled = total ? (int)((double)done / (double)total * WIDTH) : 0;
    char bar[WIDTH * 3 + 1];
    size_t n = 0;
    for (int i = 0; i < WIDTH; i++) {
        memcpy(bar + n, i < filled ? "\u2588" : "\u2591", 3);
        n += 3;
    }
    bar[n] = 0;
    double spent = now - c->pass_start;
    double left = done ? spent * (double)(total - done) / (double)done : 0;
    fprintf(c->env->err, "\r\033[K%-10s %s %3.0f%%  %.1f s", pass, bar,
            total ? 100.0 * (double)done / (double)total : 100.0, spent);
    if (left >= 1) {
        fprintf(c->env->err, ", %.0f s left", left);
    }
    fflush(c->env->err);
}

void console_progress(void *user, const char *pass, uint64_t done, uint64_t total) {
    Console *c = user;
    double now = clock_seconds();
    if (strncmp(c->pass, pass, sizeof c->pass - 1) != 0) {
        console_progress_end(c);
        strncpy(c->pass, pass, sizeof c->pass - 1);
        c->pass_start = now;
        c->last_draw = 0;
    }
    bool last = done >= total;
    if (c->quiet) {
        return;
    }
    if (c->json) {
        if (last || now - c->last_draw >= 0.5) {
            cJSON *o = cJSON_CreateObject();
            cJSON_AddStringToObject(o, "type", "progress");
            cJSON_AddStringToObject(o, "pass", pass);
            cJSON_AddNumberToObject(o, "done", (double)done);
            cJSON_AddNumberToObject(o, "total", (double)total);
            cJSON_AddNumberToObject(o, "seconds", now - c->pass_start);
            console_json(c, o);
            c->last_draw = now;
        }
    } else if (c->env->err_terminal && (last || now - c->last_draw >= 0.1)) {
        draw_bar(c, pass, done, total, now);
        c->last_draw = now;
    }
}

void console_progress_end(Console *c) {
    if (c->pass[0] && !c->quiet && !c->json) {
        if (c->env->err_terminal) {
            fputs("\r\033[K", c->env->err);
        } else {
            fprintf(c->env->err, "%-10s %.2f s\n", c->pass, clock_seconds() - c->pass_start);
        }
        fflush(c->env->err);
    }
    c->pass[0] = 0;
}
