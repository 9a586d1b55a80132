/* See simt.h. A warp runs until each of its lanes is at a call or has ended; a call of the warp is
 * answered when all 32 lanes are at it, k_sync when all threads of the block are. Compiled without
 * sanitizers, which know one stack per thread; who calls it, and kernels, may have them. */
#include "tests/fake/simt.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "kernels/gpu/threads.h"

enum {
    LANES = 32,
    GUARD = 64, /* bytes at a stack's end that nothing may change */
    /* Not a power of two: tops of stacks must not all fall into one set of the cache. */
    STRIDE = SIMT_STACK + GUARD + 192,
    SLACK = 4096 /* below the first stack, so that an overflow of it is found as others are */
};

/* ---- contexts: a stack pointer where we know the processor, ucontext elsewhere, which calls the
 * operating system at every switch. A k_xor of one thread takes 28 ns this way and 480 ns that. */

#if defined __x86_64__ && !defined SIMT_UCONTEXT
typedef void *Context;
/* Pushes what a function must keep, saves the stack pointer, and goes on where `to` was saved. */
void simt_switch(Context *from, Context to) __attribute__((visibility("hidden")));
__asm__(".text\n"
        ".hidden simt_switch\n"
        ".globl simt_switch\n"
        ".type simt_switch, @function\n"
        "simt_switch:\n"
        "    pushq %rbp\n    pushq %rbx\n    pushq %r12\n"
        "    pushq %r13\n    pushq %r14\n    pushq %r15\n"
        "    movq %rsp, (%rdi)\n"
        "    movq %rsi, %rsp\n"
        "    popq %r15\n    popq %r14\n    popq %r13\n"
        "    popq %r12\n    popq %rbx\n    popq %rbp\n"
        "    ret\n"
        ".size simt_switch, . - simt_switch\n");

static void context_make(Context *context, unsigned char *stack, void (*entry)(void)) {
    void **top = (void **)(void *)(stack + STRIDE);
    memset(top - 8, 0, 8 * sizeof *top);
    memcpy(top - 2, &entry, sizeof entry); /* at its first instruction, rsp is 8 off 16, as after
                                            * a call */
    *context = top - 8;
}

static void context_switch(Context *from, const Context *to) {
    simt_switch(from, *to);
}
#else
#include <ucontext.h>
typedef ucontext_t Context;

static void context_make(Context *context, unsigned char *stack, void (*entry)(void)) {
    getcontext(context);
    context->uc_stack.ss_sp = stack;
    context->uc_stack.ss_size = STRIDE;
    context->uc_link = NULL;
    makecontext(context, entry, 0);
}

static void context_switch(Context *from, const Context *to) {
    swapcontext(from, to);
}
#endif

/* ---- a run */

typedef enum Call { CALL_NONE, CALL_ENDED, CALL_SYNC, CALL_XOR, CALL_LANE, CALL_MAX } Call;
static const char *const call_names[] = {"no call", "its end",  "k_sync()",
                                         "k_xor()", "k_lane()", "k_warp_max()"};

typedef struct Thread {
    Context context;
    Call call;                /* what it waits at; CALL_NONE: it can go on */
    uint32_t value, argument; /* of the call; when that is answered, value is the result */
} Thread;

typedef struct Run {
    SimtKernel *kernel;
    void **parameters;
    const SimtOptions *options;
    unsigned grid, threads, block;
    unsigned current;  /* thread; `threads` when none runs */
    unsigned warp;     /* that ran last */
    unsigned patience; /* of 4: how often that warp goes on before another gets its turn */
    uint64_t random;
    Context scheduler;
    unsigned char *stacks;
    Thread thread[SIMT_THREADS];
} Run;

/* k_thread() and its like have no argument that could say whose thread it is. */
static _Thread_local Run *running;

static _Noreturn void fail(const Run *r, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static _Noreturn void fail(const Run *r, const char *format, ...) {
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (r) {
        fprintf(stderr, "simt: block %u of %u, seed %llu: %s\n", r->block, r->grid,
                (unsigned long long)r->options->seed, text);
    } else {
        fprintf(stderr, "simt: %s\n", text);
    }
    abort();
}

/* xorshift64* (Vigna, "An experimental exploration of Marsaglia's xorshift generators", 2016) */
static uint32_t draw(Run *r) {
    r->random ^= r->random >> 12;
    r->random ^= r->random << 25;
    r->random ^= r->random >> 27;
    return (uint32_t)(r->random * 0x2545f4914f6cdd1du >> 32);
}

static Run *run_of(const char *call) {
    if (!running || running->current >= running->threads) {
        fail(NULL, "%s outside of a kernel", call);
    }
    return running;
}

/* ---- in a GPU thread */

static void thread_entry(void) {
    Run *r = running;
    r->kernel(r->parameters);
    r->thread[r->current].call = CALL_ENDED;
    context_switch(&r->thread[r->current].context, &r->scheduler);
    abort(); /* nobody goes on with a thread that ended */
}

static uint32_t wait_at(Call call, uint32_t value, uint32_t argument) {
    Run *r = run_of(call_names[call]);
    Thread *t = &r->thread[r->current];
    t->call = call;
    t->value = value;
    t->argument = argument;
    context_switch(&t->context, &r->scheduler);
    return t->value;
}

uint32_t k_thread(void) {
    return run_of("k_thread()")->current;
}
uint32_t k_block(void) {
    return run_of("k_block()")->block;
}
uint32_t k_blocks(void) {
    return run_of("k_blocks()")->grid;
}
void k_sync(void) {
    wait_at(CALL_SYNC, 0, 0);
}
uint32_t k_xor(uint32_t v, uint32_t mask) {
    return wait_at(CALL_XOR, v, mask);
}
uint32_t k_lane(uint32_t v, uint32_t lane) {
    return wait_at(CALL_LANE, v, lane);
}
uint32_t k_warp_max(uint32_t v) {
    return wait_at(CALL_MAX, v, 0);
}

/* ---- the scheduler */

static void resume(Run *r, unsigned thread) {
    r->current = thread;
    context_switch(&r->scheduler, &r->thread[thread].context);
    r->current = r->threads;
    if (r->thread[thread].call != CALL_ENDED) {
        return; /* looking at the guard each time would double the cost of a switch */
    }
    const unsigned char *guard = r->stacks + (size_t)thread * STRIDE;
    for (int i = 0; i < GUARD; i++) {
        if (guard[i] != SIMT_RUBBISH) {
            fail(r, "thread %u needs more than %d bytes of stack", thread, SIMT_STACK);
        }
    }
}

/* All lanes are at a call or have ended. True: some can go on. */
static bool answer_warp(Run *r, unsigned first) {
    Thread *lane = &r->thread[first];
    unsigned caller = 0;
    while (caller < LANES && lane[caller].call <= CALL_SYNC) {
        caller++;
    }
    if (caller == LANES) {
        return false;
    }
    const Call call = lane[caller].call;
    uint32_t values[LANES], largest = 0;
    for (unsigned i = 0; i < LANES; i++) {
        if (lane[i].call != call) {
            fail(r, "divergent warp: thread %u is at %s, thread %u at %s", first + caller,
                 call_names[call], first + i, call_names[lane[i].call]);
        }
        if (lane[i].argument >= LANES) {
            fail(r, "thread %u asks %s for lane %u", first + i, call_names[call], lane[i].argument);
        }
        values[i] = lane[i].value;
        largest = values[i] > largest ? values[i] : largest;
    }
    for (unsigned i = 0; i < LANES; i++) {
        const unsigned from = call == CALL_XOR ? i ^ lane[i].argument : lane[i].argument;
        lane[i].value = call == CALL_MAX ? largest : values[from];
        lane[i].call = CALL_NONE;
    }
    return true;
}

/* No thread can go on. False: all have ended. */
static bool answer_sync(Run *r) {
    unsigned ended = r->threads, waiting = r->threads;
    for (unsigned t = r->threads; t-- > 0;) {
        *(r->thread[t].call == CALL_SYNC ? &waiting : &ended) = t;
    }
    if (waiting == r->threads) {
        return false;
    }
    if (ended < r->threads) {
        fail(r, "deadlock: thread %u waits at k_sync(), thread %u has ended", waiting, ended);
    }
    for (unsigned t = 0; t < r->threads; t++) {
        r->thread[t].call = CALL_NONE;
    }
    return true;
}

static bool can_run(const Run *r, unsigned warp) {
    return r->thread[warp * LANES].call == CALL_NONE; /* lanes are answered all together */
}

/* The warp that runs next; false: none can. */
static bool choose_warp(Run *r) {
    const unsigned warps = r->threads / LANES;
    if (can_run(r, r->warp) && (r->options->seed == 0 || draw(r) % 4 < r->patience)) {
        return true;
    }
    const unsigned start = r->options->seed == 0 ? 0 : draw(r) % warps;
    for (unsigned i = 0; i < warps; i++) {
        if (can_run(r, (start + i) % warps)) {
            r->warp = (start + i) % warps;
            return true;
        }
    }
    return false;
}

static void run_block(Run *r) {
    const bool shuffled = r->options->seed != 0;
    if (r->options->shared) {
        const int rubbish = shuffled ? (int)(draw(r) & 0xff) : SIMT_RUBBISH;
        memset(r->options->shared, rubbish, r->options->shared_size);
    }
    for (unsigned t = 0; t < r->threads; t++) {
        context_make(&r->thread[t].context, r->stacks + (size_t)t * STRIDE, thread_entry);
        r->thread[t].call = CALL_NONE;
    }
    r->warp = 0;
    r->patience = shuffled ? draw(r) % 5 : 4;
    do {
        while (choose_warp(r)) {
            /* i * odd + offset runs through all lanes */
            const unsigned odd = shuffled ? draw(r) | 1u : 1u, offset = shuffled ? draw(r) : 0u;
            for (unsigned i = 0; i < LANES; i++) {
                resume(r, r->warp * LANES + (i * odd + offset) % LANES);
            }
            answer_warp(r, r->warp * LANES);
        }
    } while (answer_sync(r));
}

void simt_run_as(SimtKernel *kernel, unsigned grid, unsigned threads, void **parameters,
                 const SimtOptions *options) {
    if (grid == 0 || threads == 0 || threads > SIMT_THREADS || threads % LANES != 0) {
        fail(NULL, "a launch of %u blocks of %u threads", grid, threads);
    }
    if (running) {
        fail(running, "a kernel is launched by a kernel");
    }
    Run *r = calloc(1, sizeof *r);
    const size_t size = SLACK + (size_t)threads * STRIDE;
    unsigned char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
                                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (!r || memory == MAP_FAILED) {
        fail(NULL, "no memory for %u threads", threads);
    }
    r->kernel = kernel;
    r->parameters = parameters;
    r->options = options;
    r->grid = grid;
    r->threads = r->current = threads;
    r->stacks = memory + SLACK;
    r->random = options->seed * 0x9e3779b97f4a7c15u | 1u;
    for (unsigned t = 0; t < threads; t++) {
        memset(r->stacks + (size_t)t * STRIDE, SIMT_RUBBISH, GUARD);
    }
    running = r;
    const bool shuffled = options->seed != 0;
    const bool backwards = shuffled && draw(r) % 2 == 0;
    const unsigned start = shuffled ? draw(r) % grid : 0;
    for (unsigned i = 0; i < grid; i++) {
        const unsigned block = (unsigned)(((uint64_t)start + i) % grid);
        r->block = backwards ? grid - 1 - block : block;
        run_block(r);
    }
    running = NULL;
    munmap(memory, size);
    free(r);
}

void simt_run(SimtKernel *kernel, unsigned grid, unsigned threads, void **parameters) {
    simt_run_as(kernel, grid, threads, parameters, &(SimtOptions){0});
}
