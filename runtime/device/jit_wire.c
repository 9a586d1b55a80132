/* See jit_wire.h. */
#include "runtime/device/jit_wire.h"
#include <math.h>
#include <string.h>

/* The struct at the start of a body; what follows is the rest. */
static bool take(Str *body, void *out, size_t size) {
    if (body->len < size) {
        return false;
    }
    memcpy(out, body->data, size);
    *body = str_slice(*body, size, body->len);
    return true;
}

bool wire_loaded(Str body, WireLoaded *out, Str *path) {
    if (!take(&body, out, sizeof *out) || out->path != body.len ||
        (body.len > 0 && memchr(body.data, 0, body.len)) || out->version < NVRTC_OLDEST ||
        out->version > 999999 || out->architectures < 1 ||
        out->architectures > NVRTC_ARCHITECTURES) {
        return false;
    }
    for (int i = 0; i < out->architectures; i++) {
        if (out->at[i] <= (i > 0 ? out->at[i - 1] : 0)) {
            return false;
        }
    }
    *path = body;
    return true;
}

bool wire_ready(Str body, WireReady *out) {
    return take(&body, out, sizeof *out) && body.len == 0 && out->landlock <= 1 &&
           isfinite(out->seconds);
}

bool wire_program(Str body, WireProgram *out, Str *text) {
    *text = (Str){0};
    if (!take(&body, out, sizeof *out) || body.len > LIMIT_KERNEL_TEXT || out->arch < 1 ||
        out->arch > 9999 || out->specific > 1 || out->ptx > 1) {
        return false;
    }
    *text = body;
    return true;
}

bool wire_result(Str body, WireResult *out, Str *log, Str *output) {
    if (!take(&body, out, sizeof *out) || out->log > body.len ||
        body.len - out->log != out->output || out->output > LIMIT_KERNEL_BYTES ||
        (out->status == 0) != (out->output > 0) || out->use.registers < -1 || out->use.stack < -1 ||
        out->use.shared < -1 || out->use.spills < -1 || !isfinite(out->seconds)) {
        return false;
    }
    *log = str_slice(body, 0, out->log);
    *output = str_slice(body, out->log, body.len);
    return true;
}

bool wire_head(WireHead head) {
    return head.kind >= WIRE_FAILED && head.kind <= WIRE_RESULT && head.size <= WIRE_BODY;
}
