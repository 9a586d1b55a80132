/* See kernel_report.h. One NVRTC program per kernel, each compiled once however many layers run it.
 */
#include "compiler/kernel_report.h"
#include "runtime/base/sanitize.h"
#include "runtime/device/disassemble.h"
#include "runtime/device/gpu_probe.h"
#include "runtime/device/gpu_programs.h"
#include "runtime/device/jit.h"

enum { USUAL_ARCH = 90 };

static const struct { const char *name, *doc; } dumps[] = {
    {"cuda", "GPU kernels: their text"},
    {"ptx", "GPU kernels: PTX for --target, else for the GPU here (NVRTC)"},
    {"sass", "GPU kernels: machine code of the same (NVRTC, nvdisasm or cuobjdump)"},
};
enum { DUMPS = sizeof dumps / sizeof *dumps };

bool kernel_report_is_dump(Str name) {
    for (int i = 0; i < DUMPS; i++) {
        if (str_is(name, dumps[i].name)) {
            return true;
        }
    }
    return false;
}

void kernel_report_dump_names(Buf *out) {
    for (int i = 0; i < DUMPS; i++) {
        buf_printf(out, "%-10s %s\n", dumps[i].name, dumps[i].doc);
    }
}

typedef struct Report {
    Session *s;
    GpuPrograms programs;
    JitProgram *built; /* one for each program */
    int arch;
} Report;

static void collect(Report *r, const Schedule *schedule) {
    const ScheduleJob *jobs = schedule->jobs.at;
    gpu_programs_collect(r->s->arena, jobs ? &jobs->kernel : NULL, sizeof *jobs,
                         schedule->jobs.len, &r->programs);
    r->built = arena_many(r->s->arena, JitProgram, r->programs.all.len + 1);
    for (size_t i = 0; i < r->programs.all.len; i++) {
        r->built[i].text = r->programs.all.at[i].text;
    }
}

/* Asks for the GPU's only if nobody named one. */
static void choose_arch(Report *r, int arch) {
    GpuProbe probe = {0};
    r->arch = arch;
    if (arch == 0) {
        gpu_probe(r->s, 10, &probe);
        r->arch = probe.count > 0 ? probe.gpu[0].arch : USUAL_ARCH;
    }
}

/* Without a cache: the compiler's word on registers is wanted. */
static bool build(Report *r, bool ptx, Str *why) {
    const JitOptions options = {.threads = r->s->threads, .ptx = ptx};
    Jit *jit = jit_open(r->s, &options, why);
    const bool built =
        jit && jit_build(r->s, jit, r->arch, r->built, r->programs.all.len, why);
    jit_close(r->s, jit);
    return built;
}

static bool machine_cannot(Session *s, Str what, Str why) {
    Diag *d = diag_error(s, "E1106", NO_SPAN, "%.*s: %s", STR_ARG(what), str_safe_c(s->arena, why));
    diag_help(d, "morc doctor shows what is here; `-d cuda` needs nothing");
    return false;
}

/* ---- -d */

static void print_heading(const Report *r, size_t i, Buf *out) {
    const GpuProgram *p = &r->programs.all.at[i];
    buf_printf(out, "%s// kernel %zu of %zu: %s, run by %zu tensor%s", i ? "\n" : "", i + 1,
               r->programs.all.len, p->skeleton, p->users, p->users == 1 ? "" : "s");
    if (r->arch) {
        buf_printf(out, ", sm_%d", r->arch);
    }
    buf_char(out, '\n');
}

bool kernel_report_dump(Session *s, const Schedule *schedule, Str name, int arch,
                        const char *(*get)(const char *variable), Buf *out) {
    Report r = {.s = s};
    const bool cuda = str_is(name, "cuda"), ptx = str_is(name, "ptx");
    Str why = {0};
    collect(&r, schedule);
    if (!cuda && r.programs.all.len > 0) {
        choose_arch(&r, arch);
        if (!build(&r, ptx, &why)) {
            return machine_cannot(s, STR("the kernels cannot be compiled"), why);
        }
    }
    for (size_t i = 0; i < r.programs.all.len; i++) {
        print_heading(&r, i, out);
        if (cuda) {
            buf_str(out, r.built[i].text);
        } else if (ptx) {
            buf_str(out, r.built[i].ptx);
        } else if (!disassemble(s, get, r.built[i].cubin, out, &why)) {
            return machine_cannot(s, STR("machine code cannot be shown"), why);
        }
    }
    return true;
}

/* ---- plan --kernels */

/* What the first line of a text says between its comment signs. */
static Str title_of(Str text) {
    const int64_t end = str_find(text, '\n');
    const Str line = str_slice(text, 0, end < 0 ? text.len : (size_t)end);
    return line.len > 6 ? str_slice(line, 3, line.len - 3) : line;
}

static void print_row(const Report *r, size_t i, bool built, Buf *out) {
    const GpuProgram *p = &r->programs.all.at[i];
    const JitProgram *b = &r->built[i];
    buf_printf(out, "  %-8s %5zu tensor%s  %.*s", p->skeleton, p->users,
               p->users == 1 ? " " : "s", STR_ARG(title_of(p->text)));
    if (built && b->registers >= 0) {
        buf_printf(out, ": %d registers, %d bytes shared, %d spilled", b->registers, b->shared,
                   b->spills);
    }
    buf_char(out, '\n');
}

void kernel_report_list(Session *s, const Schedule *schedule, int arch, Buf *out) {
    Report r = {.s = s};
    Str why = {0};
    collect(&r, schedule);
    const size_t n = r.programs.all.len;
    if (n > 0) {
        choose_arch(&r, arch);
    }
    const bool built = n > 0 && build(&r, false, &why);
    buf_printf(out, "%zu GPU kernel%s", n, n == 1 ? "" : "s");
    if (built) {
        buf_printf(out, ", compiled for sm_%d", r.arch);
    } else if (n > 0) {
        buf_printf(out, ", not compiled: ");
        buf_safe(out, why);
    }
    buf_char(out, '\n');
    for (size_t i = 0; i < n; i++) {
        print_row(&r, i, built, out);
    }
}
