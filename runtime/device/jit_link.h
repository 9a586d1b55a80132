/* The parent's end of the compile child: its process and the frames to and from it. Nothing that
 * the child does can block the parent for long, fill its memory or make it write elsewhere; when it
 * dies, hangs or talks nonsense it is ended, and `failure` says so in a sentence. */
#ifndef RUNTIME_DEVICE_JIT_LINK_H
#define RUNTIME_DEVICE_JIT_LINK_H
#include "runtime/base/session.h"
#include "runtime/device/jit_child.h"

typedef struct JitLink {
    pid_t child; /* 0: none, or reaped */
    int fd;      /* -1: closed */
    int seconds; /* of processor time that a program may take, for messages */
    Str failure; /* not empty: it is over */
    WireHead head;
    char *body;
    size_t received; /* of head and body */
    bool given;      /* the frame was handed out */
    Arena *in, *out; /* the body; what is to be sent */
    Buf queue;
    size_t sent;
} JitLink;

/* Forks, and the child calls `run` (jit_child_run; tests have worse ones). False, and why, if this
 * process has more than one thread; that thread must live as long as the child shall. The link is
 * good for jit_link_close from here on, also when opening failed. */
bool jit_link_open(Session *s, JitLink *link, void (*run)(const JitChild *), int threads,
                   int seconds, Str *why);
/* Queued; sent while jit_link_next waits. */
void jit_link_send(JitLink *link, WireKind kind, const void *head, size_t size, Str tail);
/* The next frame, whole within `patience` seconds; *body is valid until the next call. False:
 * `failure` says why. */
bool jit_link_next(Session *s, JitLink *link, int patience, WireKind *kind, Str *body);
/* Ends it; the first reason stays. */
void jit_link_fail(Session *s, JitLink *link, Str why);
void jit_link_close(JitLink *link);

#endif
