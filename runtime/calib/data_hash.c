/* The identity of data (data.h). A tree, so that threads can share it: SHA-256 over a head that
 * says names, types, dims and counts, and over the SHA-256s of pieces. Pieces are cut by samples
 * and sizes alone, never by the number of threads. */
#include <sodium.h>
#include <string.h>
#include "runtime/calib/array_type.h"
#include "runtime/calib/data_parts.h"

enum { PIECE = 4 << 20, SLICE = 1 << 14 /* bytes read at a time, on the stack */ };

typedef struct HashPiece {
    const DataSlot *slot;
    int64_t begin, end;                  /* samples */
    int64_t wrong_sample, wrong_element; /* the first that cannot be converted; -1: none */
    uint8_t digest[crypto_hash_sha256_BYTES];
} HashPiece;

typedef struct Hashing {
    const Session *s; /* asked only whether the run stops */
    const Dataset *d;
    HashPiece *pieces;
} Hashing;

static int64_t samples_of(const Dataset *d, const DataSlot *slot) {
    return slot->role == DATA_ABSENT ? 0 : slot->role == DATA_CONSTANT ? 1 : d->samples;
}

/* Samples in one piece: about PIECE bytes. */
static int64_t step_of(const DataSlot *slot) {
    return slot->bytes >= PIECE ? 1 : (int64_t)(PIECE / (slot->bytes ? slot->bytes : 1));
}

/* False: *at is the element that cannot be converted. */
static bool hash_sample(const Dataset *d, const DataSlot *slot, int64_t sample,
                        crypto_hash_sha256_state *state, int64_t *at) {
    const uint8_t *from = data_at(d, slot, sample);
    if (from) {
        crypto_hash_sha256_update(state, from, slot->bytes);
        return true;
    }
    uint8_t slice[SLICE];
    const size_t width = array_type(slot->input->type)->bytes;
    for (int64_t done = 0; done < slot->elements;) {
        const int64_t left = slot->elements - done;
        const size_t take = left < (int64_t)(SLICE / width) ? (size_t)left : SLICE / width;
        const size_t got = data_read(d, slot, sample, done, take, slice);
        crypto_hash_sha256_update(state, slice, got * width);
        done += (int64_t)got;
        if (got < take) {
            *at = done;
            return false;
        }
    }
    return true;
}

static void hash_piece(void *user, size_t index) {
    const Hashing *h = user;
    HashPiece *p = &h->pieces[index];
    crypto_hash_sha256_state state;
    crypto_hash_sha256_init(&state);
    p->wrong_sample = -1;
    const int64_t end = session_stopped(h->s) ? p->begin : p->end;
    for (int64_t sample = p->begin; sample < end && p->wrong_sample < 0; sample++) {
        if (!hash_sample(h->d, p->slot, sample, &state, &p->wrong_element)) {
            p->wrong_sample = sample;
        }
    }
    crypto_hash_sha256_final(&state, p->digest);
}

static size_t cut(const Dataset *d, HashPiece *out) {
    size_t n = 0;
    for (size_t i = 0; i < d->count; i++) {
        const DataSlot *slot = &d->slots[i];
        const int64_t samples = samples_of(d, slot), step = step_of(slot);
        for (int64_t at = 0; at < samples; at += step) {
            if (out) {
                out[n] = (HashPiece){
                    .slot = slot, .begin = at, .end = samples - at < step ? samples : at + step};
            }
            n++;
        }
    }
    return n;
}

static void add_number(crypto_hash_sha256_state *state, int64_t value) {
    uint8_t bytes[8];
    for (int i = 0; i < 8; i++) {
        bytes[i] = (uint8_t)((uint64_t)value >> 8 * i);
    }
    crypto_hash_sha256_update(state, bytes, sizeof bytes);
}

static void add_head(const Dataset *d, crypto_hash_sha256_state *state) {
    static const char magic[] = "mor data 1";
    crypto_hash_sha256_update(state, (const uint8_t *)magic, sizeof magic);
    add_number(state, d->samples);
    for (size_t i = 0; i < d->count; i++) {
        const DataSlot *slot = &d->slots[i];
        if (slot->role == DATA_ABSENT) {
            continue;
        }
        add_number(state, (int64_t)slot->input->name.len);
        crypto_hash_sha256_update(state, (const uint8_t *)slot->input->name.data,
                                  slot->input->name.len);
        add_number(state, slot->input->type);
        add_number(state, (int64_t)slot->role);
        add_number(state, slot->rank);
        for (int axis = slot->role == DATA_BATCHED ? 1 : 0; axis < slot->rank; axis++) {
            add_number(state, slot->dims[axis]);
        }
    }
}

bool dataset_hash(Session *s, Dataset *d, const Spread *spread, uint8_t hash[DATA_HASH_BYTES]) {
    if (!d->hashed) {
        const ArenaMark mark = arena_mark(s->arena);
        const size_t count = cut(d, NULL);
        Hashing h = {s, d, arena_many(s->arena, HashPiece, count + 1)};
        cut(d, h.pieces);
        /* a Spread that could not run all of it leaves the work to this thread */
        if (!spread_run(spread, hash_piece, &h, count) && !session_stopped(s)) {
            spread_run(NULL, hash_piece, &h, count);
        }
        if (session_stopped(s)) {
            return false;
        }
        crypto_hash_sha256_state state;
        crypto_hash_sha256_init(&state);
        add_head(d, &state);
        for (size_t i = 0; i < count; i++) {
            const HashPiece *p = &h.pieces[i];
            if (p->wrong_sample >= 0) {
                return data_inexact(s, d, p->slot, p->wrong_sample, p->wrong_element);
            }
            crypto_hash_sha256_update(&state, p->digest, sizeof p->digest);
        }
        crypto_hash_sha256_final(&state, d->hash);
        d->hashed = true;
        arena_reset(s->arena, mark);
    }
    memcpy(hash, d->hash, DATA_HASH_BYTES);
    return true;
}
