/* See morc.h: parses the command line, runs one verb, turns diagnostics into an exit code. */
#include "compiler/morc.h"
#include <stdlib.h>
#include "compiler/cmd.h"
#include "compiler/compile.h"
#include "runtime/base/alloc.h"
#include "runtime/base/limits.h"

static bool print_limits(Console *c) {
    Buf b = buf_on(c->s->arena);
#define X(name, value, doc) buf_printf(&b, "%-24s %10d  %s\n", #name, (int)(value), doc);
    LIMITS(X)
#undef X
    console_out(c, buf_view(&b));
    return true;
}

static bool print_dumps(Console *c) {
    Buf b = buf_on(c->s->arena);
    buf_printf(&b, "%-10s %s\n%-10s %s\n%-10s %s\n%-10s %s\n", "tokens", "words of the recipe",
               "ast", "syntax tree", "recipe", "names bound, defaults filled", "plan",
               "layers and what they get");
    compile_dump_names(&b);
    console_out(c, buf_view(&b));
    return true;
}

static bool dispatch(Console *c, const Args *args) {
    Buf b = buf_on(c->s->arena);
    switch (args->verb) {
    case VERB_RUN:
    case VERB_PLAN:
    case VERB_BENCH:
        return cmd_run(c, args);
    case VERB_CHECK:
        return cmd_check(c, args);
    case VERB_FMT:
        return cmd_fmt(c, args);
    case VERB_INSPECT:
        return cmd_inspect(c, args);
    case VERB_EXPLAIN:
        return cmd_explain(c, args);
    case VERB_DOCTOR:
        return cmd_doctor(c, args);
    case VERB_STATS:
        return cmd_stats(c, args);
    case VERB_DATA:
        return cmd_data(c, args);
    case VERB_OPT:
        return cmd_opt(c, args);
    case VERB_LIMITS:
        return print_limits(c);
    case VERB_DUMPS:
        return print_dumps(c);
    case VERB_VERSION:
        console_out(c, STR("morc " MORC_VERSION "\n"));
        return true;
    case VERB_HELP:
        args_help(args->helped, &b);
        console_out(c, buf_view(&b));
        return true;
    }
    return true;
}

/* Everything between opening and closing the session; may long-jump out on a failed allocation. */
static int run(Session *s, int argc, char **argv, MorcEnv *env) {
    Args args;
    bool parsed = args_parse(s, argc, argv, &args);
    if (args.threads) {
        s->threads = args.threads < LIMIT_THREADS ? args.threads : LIMIT_THREADS;
    }
    s->memory = args.memory;
    Console console;
    console_open(&console, s, env, &args);
    bool ok = parsed && dispatch(&console, &args);
    console_progress_end(&console);
    console_flush(&console);
    int stopped = atomic_load(&env->stop);
    if (stopped && !ok) {
        console_say(&console, "morc: stopped by signal %d; nothing was written\n", stopped);
        return 128 + stopped;
    }
    if (console.exit == 0 && !ok) {
        return 70; /* a stage failed without saying why */
    }
    return console.exit;
}

int morc_main(int argc, char **argv, MorcEnv *env) {
    AllocGuard guard;
    Session *volatile session = NULL;
    int code;
    alloc_guard_push(&guard);
    if (setjmp(guard.jump) == 0) {
        session = session_open(env->sys);
        session->stop = &env->stop;
        code = run(session, argc, argv, env);
        if (code == 70) {
            fprintf(env->err, "morc: internal error; nothing was put in place\n"
                              "  please report it with the recipe and the command line\n");
        }
    } else {
        fprintf(env->err, "error[E1105]: out of memory: %zu bytes could not be had\n",
                guard.wanted);
        code = 4;
    }
    alloc_guard_pop(&guard);
    session_close(session);
    fflush(env->out);
    return code;
}
