/* libonnxruntime.so without an engine: the slots of runtime/engine/ort_abi.h, for tests of all that
 * can go wrong. Every model it loads is the one of the self-test: x float [n, 3] -> one node of the
 * first custom op, called "look", slot 5 -> y. It is strict: a release of what is not live aborts.
 *
 * Environment, read by the first call and by `reset`:
 *   FAKE_ORT          calls that fail (failpoints.h); CODE is the status'
 *   FAKE_ORT_VERSION  (1.21.0)
 *   FAKE_ORT_TABLE    none: there is no table; hole:NAME, stray:NAME: that slot is NULL, or leads
 * out of the library; lie:NAME: that slot answers something else than it should (GetErrorMessage,
 * GetDimensions, KernelContext_ParallelFor, Run) */
#ifndef TESTS_FAKE_FAKE_ORT_H
#define TESTS_FAKE_FAKE_ORT_H

typedef struct FakeOrt {
    void (*reset)(void);
    void (*failures)(const char *list);        /* failpoints_set */
    unsigned long (*calls)(const char *entry); /* since the last `failures` or `reset` */
    int (*live)(void);                         /* objects that were not given back */
} FakeOrt;

/* The library's own symbol, for dlsym. */
#define FAKE_ORT_SYMBOL "fake_ort"
#endif
