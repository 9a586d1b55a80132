/* Printing and checking of schedules. */
#include "runtime/base/alloc.h"
#include "runtime/exec/schedule.h"
#include "runtime/base/sanitize.h"

static bool is_in(const Schedule *schedule, size_t segment, size_t file) {
    return segment < schedule->segments.len && schedule->segments.at[segment].file == (int)file;
}

static const char *type_word(int onnx_type) {
    switch (onnx_type) {
    case 1:
        return "f32";
    case 10:
        return "f16";
    case 11:
        return "f64";
    case 16:
        return "bf16";
    case 17:
        return "e4m3";
    case 24:
        return "e8m0";
    default:
        return "?";
    }
}

static void print_view(Buf *out, KernelView v) {
    buf_printf(out, "[%lld, %lld, %lld]", (long long)v.outer, (long long)v.axis,
               (long long)v.inner);
}

static void print_kernel(Buf *out, const Kernel *k) {
    buf_printf(out, "%s x %lld", type_word(k->source), (long long)k->count);
    if (k->prune == PRUNE_NM) {
        buf_printf(out, " prune %d:%d ", k->keep, k->group);
        print_view(out, k->prune_view);
    } else if (k->prune == PRUNE_RATIO) {
        buf_printf(out, " prune %lld zeros", (long long)k->zeros);
    }
    if (k->format) {
        static const char *const granules[] = {"tensor", "channel", "block"};
        buf_printf(out, " -> %s per %s", k->format->name, granules[k->granule]);
        if (k->granule == GRANULE_BLOCK) {
            buf_printf(out, "(%lld)", (long long)k->block);
        }
        buf_char(out, ' ');
        print_view(out, k->view);
        buf_printf(out, " scale %s%s%s", type_word(k->scale_type),
                   k->method == METHOD_MSE ? " mse" : "",
                   k->layout == LAYOUT_NBITS ? " nbits" : "");
    }
    if (k->metrics) {
        buf_str(out, STR(" metrics"));
    }
}

static void print_segment(Buf *out, const ScheduleSegment *g) {
    static const char *const outputs[OUT_COUNT] = {"codes", "scales", "zeros", "super"};
    buf_printf(out, "  %llu +%llu ", (unsigned long long)g->offset, (unsigned long long)g->size);
    switch (g->kind) {
    case SEGMENT_MEMORY:
        buf_str(out, STR("memory"));
        break;
    case SEGMENT_INPUT:
        buf_str(out, STR("input "));
        buf_safe(out, g->input->path);
        buf_printf(out, " at %llu", (unsigned long long)g->input_offset);
        break;
    case SEGMENT_KERNEL:
        buf_printf(out, "job %d %s", g->job, outputs[g->out]);
        break;
    }
    buf_char(out, '\n');
}

void schedule_print(const Schedule *schedule, Buf *out) {
    for (size_t i = 0; i < schedule->jobs.len; i++) {
        const ScheduleJob *job = &schedule->jobs.at[i];
        buf_printf(out, "job %zu \"", i);
        buf_safe(out, job->name);
        buf_str(out, STR("\" "));
        print_kernel(out, &job->kernel);
        buf_char(out, '\n');
    }
    size_t next = 0;
    for (size_t i = 0; i < schedule->files.len; i++) {
        const ScheduleFile *file = &schedule->files.at[i];
        buf_printf(out, "file %zu ", i);
        buf_safe(out, file->path);
        buf_printf(out, " %llu bytes\n", (unsigned long long)file->size);
        while (is_in(schedule, next, i)) {
            print_segment(out, &schedule->segments.at[next++]);
        }
    }
}

static const char *check_segment(const Schedule *schedule, const ScheduleSegment *g) {
    uint64_t end;
    switch (g->kind) {
    case SEGMENT_MEMORY:
        return g->data || g->size == 0 ? NULL : "a memory segment has no bytes";
    case SEGMENT_INPUT:
        if (__builtin_add_overflow(g->input_offset, g->size, &end) || end > g->input->size) {
            return "an input segment lies outside its file";
        }
        return NULL;
    case SEGMENT_KERNEL:
        if (g->job < 0 || (size_t)g->job >= schedule->jobs.len || (int)g->out < 0 ||
            g->out >= OUT_COUNT) {
            return "a kernel segment names no job";
        }
        if ((uint64_t)kernel_output_size(&schedule->jobs.at[g->job].kernel, g->out) != g->size) {
            return "a kernel segment has not the size of its output";
        }
        return NULL;
    }
    return "a segment has no kind";
}

/* Every job is there for something, and each of its outputs has one place at most. */
static const char *check_jobs(const Schedule *schedule) {
    const char *wrong = NULL;
    uint8_t *stored = mem_alloc(schedule->jobs.len + 1); /* a bit for each output */
    for (size_t i = 0; i < schedule->segments.len; i++) {
        const ScheduleSegment *g = &schedule->segments.at[i];
        if (g->kind == SEGMENT_KERNEL) {
            const uint8_t bit = (uint8_t)(1u << g->out);
            wrong = stored[g->job] & bit ? "an output of a job is stored twice" : wrong;
            stored[g->job] |= bit;
        }
    }
    for (size_t i = 0; i < schedule->jobs.len; i++) {
        wrong = stored[i] ? wrong : "nothing of a job is stored";
    }
    mem_free(stored);
    return wrong;
}

const char *schedule_check(const Schedule *schedule) {
    size_t next = 0;
    for (size_t i = 0; i < schedule->files.len; i++) {
        uint64_t at = 0;
        while (is_in(schedule, next, i)) {
            const ScheduleSegment *g = &schedule->segments.at[next++];
            if (g->offset != at || __builtin_add_overflow(at, g->size, &at)) {
                return "segments leave a hole or overlap";
            }
            const char *wrong = check_segment(schedule, g);
            if (wrong) {
                return wrong;
            }
        }
        if (at != schedule->files.at[i].size) {
            return "segments do not fill their file";
        }
    }
    if (next != schedule->segments.len) {
        return "segments are not in the order of their files";
    }
    return check_jobs(schedule);
}
