/* See bench_report.h. Times of threads are added up and say so; those of the GPU are its own. */
#include "compiler/bench_report.h"
#include "runtime/device/gpu_rate.h"

typedef struct Row {
    const char *part, *whose;
    double seconds;
    uint64_t bytes; /* 0: none are counted */
} Row;

static void print_row(Console *c, const Row *row, Buf *out) {
    buf_printf(out, "%-18s %9.3f s  ", row->part, row->seconds);
    if (row->bytes > 0) {
        buf_printf(out, "%8.2f GB", (double)row->bytes * 1e-9);
        if (row->seconds > 0) {
            buf_printf(out, " %8.1f GB/s", (double)row->bytes * 1e-9 / row->seconds);
        }
    }
    buf_printf(out, "%s%s\n", row->bytes > 0 ? "   " : "", row->whose);
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "type", "time");
    cJSON_AddStringToObject(o, "part", row->part);
    cJSON_AddNumberToObject(o, "seconds", row->seconds);
    cJSON_AddNumberToObject(o, "bytes", (double)row->bytes);
    console_json(c, o);
}

static void print_rows(Console *c, const char *title, const Row *rows, size_t count) {
    Buf b = buf_on(c->s->arena);
    buf_printf(&b, "%s\n", title);
    for (size_t i = 0; i < count; i++) {
        if (rows[i].seconds > 0 || rows[i].bytes > 0) {
            print_row(c, &rows[i], &b);
        }
    }
    console_out(c, buf_view(&b));
}

static void report_stages(Console *c, const BenchStages *t, const Gpu *gpu) {
    Row rows[] = {
        {"recipe", "", t->recipe, 0},
        {"model", "graph, layers", t->model, 0},
        {"plan", "", t->plan, 0},
        {"passes, layout", "", t->compile, 0},
        {"start of the GPU", "all of the next, which overlap", t->device, 0},
        {"  driver", "", gpu ? gpu->start.driver : 0, 0},
        {"  context", "", gpu ? gpu->start.context : 0, 0},
        {"  NVRTC loaded", "beside the driver", gpu ? gpu->start.nvrtc : 0, 0},
        {"  longest kernel", "of compiling", gpu ? gpu->start.longest : 0, 0},
        {"  kernels ready", "from the start on", gpu ? gpu->start.programs : 0, 0},
        {"  kernels loaded", "", gpu ? gpu->start.load : 0, 0},
    };
    print_rows(c, "before", rows, sizeof rows / sizeof *rows);
}

static void report_run(Console *c, const ExecTimes *t) {
    const bool gpu = t->lanes > 0;
    Str threads = str_format(c->s->arena, "%d thread%s added up", t->threads,
                             t->threads == 1 ? "" : "s");
    const uint64_t moved = t->gpu.bytes_in + t->gpu.bytes_out;
    Row rows[] = {
        {"read", threads.data, t->seconds_read, gpu ? t->gpu.bytes_in : 0},
        {"to the GPU", "of the GPU", t->gpu.in, t->gpu.bytes_in},
        {"kernels", "of the GPU", t->gpu.kernel, moved},
        {"from the GPU", "of the GPU", t->gpu.out, t->gpu.bytes_out},
        {"waiting for it", threads.data, t->seconds_wait, 0},
        {"surveys, host", threads.data, t->seconds_survey, 0},
        {"kernels, host", threads.data, t->seconds_encode, gpu ? 0 : t->bytes_source},
        {"copying", threads.data, t->seconds_copy, t->bytes_copied},
        {"write", threads.data, t->seconds_write, t->bytes_encoded},
        {"run", "by the clock", t->seconds_total, t->bytes_source},
    };
    print_rows(c, "run", rows, sizeof rows / sizeof *rows);
}

static void report_end(Console *c, const RunReport *r) {
    Row rows[] = {
        {"hash", "of the data file, for its name", r->seconds_hash, 0},
        {"sync", "", r->seconds_sync, r->output_size},
        {"check", "of what was written", r->seconds_check, 0},
    };
    print_rows(c, "after", rows, sizeof rows / sizeof *rows);
}

/* Chunks are small, so their kernels cannot come near the rate of one large copy. */
static void report_rate(Console *c, Gpu *gpu, const ExecTimes *t) {
    const double copy = gpu_copy_rate(gpu);
    if (copy > 0 && t->gpu.kernel > 0) {
        Buf b = buf_on(c->s->arena);
        const double rate = (double)(t->gpu.bytes_in + t->gpu.bytes_out) / t->gpu.kernel;
        buf_printf(&b, "kernels moved %.0f GB/s, %.2f of a device copy (%.0f GB/s)\n", rate * 1e-9,
                   rate / copy, copy * 1e-9);
        console_out(c, buf_view(&b));
    }
}

void bench_report(Console *c, const BenchStages *stages, const DeviceChoice *device,
                  const RunReport *report) {
    Buf b = buf_on(c->s->arena);
    const double whole = stages->recipe + stages->model + stages->plan + stages->compile +
                         stages->device + report->exec.seconds_total + report->seconds_hash;
    report_stages(c, stages, device->gpu);
    report_run(c, &report->exec);
    if (device->gpu) {
        report_rate(c, device->gpu, &report->exec);
    }
    report_end(c, report);
    buf_printf(&b, "%.3f s before the sync, %.3f s with it; nothing was kept\n", whole,
               whole + report->seconds_sync + report->seconds_check);
    console_out(c, buf_view(&b));
}
