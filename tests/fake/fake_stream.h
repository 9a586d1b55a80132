/* Streams and events of the fake GPU. Work of one stream is done in order: at once, or, when
 * deferred, only when somebody waits for it; then an answer read too early, or a buffer filled
 * again too early, shows as wrong bytes. The default stream (NULL) waits for the others and they
 * for it, unless they were made not to. Times are invented: they only grow. */
#ifndef TESTS_FAKE_FAKE_STREAM_H
#define TESTS_FAKE_FAKE_STREAM_H
#include "kernels/gpu/args.h"
#include "tests/fake/text_load.h"

typedef struct FakeStream FakeStream;
typedef struct FakeEvent FakeEvent;

typedef enum FakeWorkKind { WORK_COPY, WORK_FILL, WORK_LAUNCH, WORK_RECORD } FakeWorkKind;

typedef struct FakeWork {
    FakeWorkKind kind;
    /* Copies: one of each pair is set. `owned` is freed when done. */
    uint64_t to, from; /* of the GPU */
    void *host_to;
    const void *host_from;
    void *owned;
    size_t size;
    unsigned char value;
    TextLibrary *library;
    SimtKernel *kernel;
    unsigned grid, threads;
    GpuArgs args;
    FakeEvent *event; /* NULL: it is gone */
    unsigned record;  /* of the event: which one */
    struct FakeWork *next;
} FakeWork;

void fake_streams_reset(bool defer, uint64_t seed); /* drops all work, streams and events */
unsigned fake_streams_live(void);                   /* streams and events */

FakeStream *fake_stream_new(bool waits_for_default);
bool fake_stream_known(const FakeStream *stream); /* NULL is */
void fake_stream_free(FakeStream *stream);        /* does its work first */
void fake_stream_add(FakeStream *stream, const FakeWork *work);
void fake_stream_run(FakeStream *stream);
void fake_streams_run(void); /* all of them */

FakeEvent *fake_event_new(bool timed);
bool fake_event_known(const FakeEvent *event);
void fake_event_free(FakeEvent *event);
void fake_event_record(FakeEvent *event, FakeStream *stream);
void fake_event_run(FakeEvent *event);
/* CUDA's code: 0, 400 (not recorded, or without times) or 600 (not over yet). */
int fake_event_elapsed(float *milliseconds, const FakeEvent *start, const FakeEvent *end);
#endif
