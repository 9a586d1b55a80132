/* See fake_stream.h. */
#include "tests/fake/fake_stream.h"
#include <stdlib.h>
#include <string.h>
#include "tests/fake/fake_memory.h"

enum { INVALID_HANDLE = 400, NOT_READY = 600 };

struct FakeStream {
    FakeWork *first, **last;
    bool waits_for_default;
    FakeStream *next;
};

struct FakeEvent {
    FakeStream *stream;
    unsigned record; /* how often it was recorded */
    bool timed, pending;
    double microseconds;
    FakeEvent *next;
};

static struct {
    FakeStream by_default, *streams;
    FakeEvent *events;
    bool defer;
    uint64_t seed;
    double microseconds;
} gpu; /* one GPU, shared by all threads */

static void drop_work(FakeStream *stream) {
    for (FakeWork *w = stream->first, *next; w; w = next) {
        next = w->next;
        free(w->owned);
        free(w);
    }
    stream->first = NULL;
    stream->last = &stream->first;
}

void fake_streams_reset(bool defer, uint64_t seed) {
    for (FakeStream *s = gpu.streams, *next; s; s = next) {
        next = s->next;
        drop_work(s);
        free(s);
    }
    for (FakeEvent *e = gpu.events, *next; e; e = next) {
        next = e->next;
        free(e);
    }
    drop_work(&gpu.by_default);
    gpu.by_default.waits_for_default = true;
    gpu.streams = NULL;
    gpu.events = NULL;
    gpu.defer = defer;
    gpu.seed = seed;
}

unsigned fake_streams_live(void) {
    unsigned n = 0;
    for (const FakeStream *s = gpu.streams; s; s = s->next) {
        n++;
    }
    for (const FakeEvent *e = gpu.events; e; e = e->next) {
        n++;
    }
    return n;
}

/* ---- work */

static void do_work(const FakeWork *w) {
    GpuArgs args = w->args;
    void *parameters[] = {&args};
    void *to = w->host_to;
    const void *from = w->host_from;
    switch (w->kind) {
    case WORK_COPY:
        to = to ? to : fake_memory_at(w->to, w->size, "copy to");
        from = from ? from : fake_memory_at(w->from, w->size, "copy from");
        memmove(to, from, w->size);
        break;
    case WORK_FILL:
        memset(fake_memory_at(w->to, w->size, "fill"), w->value, w->size);
        break;
    case WORK_LAUNCH:
        text_run(w->library, w->kernel, w->grid, w->threads, parameters, gpu.seed);
        fake_memory_check("kernel");
        break;
    case WORK_RECORD:
        if (w->event && w->event->record == w->record) {
            w->event->pending = false;
            w->event->microseconds = gpu.microseconds;
        }
        break;
    }
    /* 20 GB/s, and 2 microseconds for anything: of the right order, and it grows. */
    gpu.microseconds += 2.0 + (double)w->size / 20000.0;
}

static void run_first(FakeStream *stream) {
    FakeWork *w = stream->first;
    stream->first = w->next;
    if (!w->next) {
        stream->last = &stream->first;
    }
    do_work(w);
    free(w->owned);
    free(w);
}

static void run_stream(FakeStream *stream) {
    while (stream->first) {
        run_first(stream);
    }
}

static FakeStream *stream_of(FakeStream *stream) {
    return stream ? stream : &gpu.by_default;
}

void fake_stream_run(FakeStream *stream) {
    run_stream(stream_of(stream));
}

void fake_streams_run(void) {
    run_stream(&gpu.by_default);
    for (FakeStream *s = gpu.streams; s; s = s->next) {
        run_stream(s);
    }
}

void fake_stream_add(FakeStream *stream, const FakeWork *work) {
    FakeStream *s = stream_of(stream);
    if (s == &gpu.by_default) {
        for (FakeStream *other = gpu.streams; other; other = other->next) {
            if (other->waits_for_default) {
                run_stream(other);
            }
        }
    } else if (s->waits_for_default) {
        run_stream(&gpu.by_default);
    }
    FakeWork *w = malloc(sizeof *w);
    *w = *work;
    w->next = NULL;
    *s->last = w;
    s->last = &w->next;
    if (!gpu.defer) {
        run_stream(s);
    }
}

/* ---- streams, events */

FakeStream *fake_stream_new(bool waits_for_default) {
    FakeStream *s = calloc(1, sizeof *s);
    s->last = &s->first;
    s->waits_for_default = waits_for_default;
    s->next = gpu.streams;
    return gpu.streams = s;
}

bool fake_stream_known(const FakeStream *stream) {
    const FakeStream *s = gpu.streams;
    while (s && s != stream) {
        s = s->next;
    }
    return s == stream; /* NULL, too */
}

void fake_stream_free(FakeStream *stream) {
    run_stream(stream);
    for (FakeEvent *e = gpu.events; e; e = e->next) {
        e->stream = e->stream == stream ? NULL : e->stream;
    }
    FakeStream **p = &gpu.streams;
    while (*p != stream) {
        p = &(*p)->next;
    }
    *p = stream->next;
    free(stream);
}

FakeEvent *fake_event_new(bool timed) {
    FakeEvent *e = calloc(1, sizeof *e);
    e->timed = timed;
    e->next = gpu.events;
    return gpu.events = e;
}

bool fake_event_known(const FakeEvent *event) {
    const FakeEvent *e = gpu.events;
    while (e && e != event) {
        e = e->next;
    }
    return e != NULL;
}

static void forget_event(FakeStream *stream, const FakeEvent *event) {
    for (FakeWork *w = stream->first; w; w = w->next) {
        w->event = w->event == event ? NULL : w->event;
    }
}

void fake_event_free(FakeEvent *event) {
    forget_event(&gpu.by_default, event);
    for (FakeStream *s = gpu.streams; s; s = s->next) {
        forget_event(s, event);
    }
    FakeEvent **p = &gpu.events;
    while (*p != event) {
        p = &(*p)->next;
    }
    *p = event->next;
    free(event);
}

void fake_event_record(FakeEvent *event, FakeStream *stream) {
    event->stream = stream;
    event->pending = true;
    event->record++; /* an earlier record that is still to come counts no longer */
    fake_stream_add(stream,
                    &(FakeWork){.kind = WORK_RECORD, .event = event, .record = event->record});
}

void fake_event_run(FakeEvent *event) {
    while (event->pending) {
        run_first(stream_of(event->stream));
    }
}

int fake_event_elapsed(float *milliseconds, const FakeEvent *start, const FakeEvent *end) {
    if (start->record == 0 || end->record == 0 || !start->timed || !end->timed) {
        return INVALID_HANDLE;
    }
    if (start->pending || end->pending) {
        return NOT_READY;
    }
    *milliseconds = (float)((end->microseconds - start->microseconds) / 1000.0);
    return 0;
}
