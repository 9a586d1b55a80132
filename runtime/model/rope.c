#include "runtime/model/rope.h"

/* Input ranges up to this size are gathered into memory pieces: a write costs more than a copy. */
enum { GATHERED = 4096 };

Rope *rope_on(Arena *arena) {
    Rope *r = arena_new(arena, Rope);
    r->arena = arena;
    return r;
}

static void add(Rope *r, Bit bit) {
    if (bit.size > 0) {
        vec_push(r->arena, &r->bits, bit);
        r->size += bit.size;
    }
}

void rope_bytes(Rope *r, Str bytes) {
    add(r, (Bit){.kind = PIECE_MEMORY, .size = bytes.len, .bytes = str_copy(r->arena, bytes).data});
}

void rope_input(Rope *r, const Input *input, uint64_t offset, uint64_t size) {
    Bit *last = r->bits.len ? &vec_last(&r->bits) : NULL;
    if (last && last->kind == PIECE_INPUT && !last->rope && last->input == input &&
        last->input_offset + last->size == offset) {
        last->size += size;
        r->size += size;
        return;
    }
    add(r, (Bit){.kind = PIECE_INPUT, .size = size, .input = input, .input_offset = offset});
}

void rope_tensor(Rope *r, int64_t tag, uint64_t size) {
    add(r, (Bit){.kind = PIECE_TENSOR, .size = size, .tag = tag});
}

void rope_message(Rope *r, uint32_t number, const Rope *body) {
    Buf head = buf_on(r->arena);
    wire_put_tag(&head, number, WIRE_BYTES);
    wire_put_varint(&head, body->size);
    rope_bytes(r, buf_view(&head));
    add(r, (Bit){.size = body->size, .rope = body});
}

typedef struct Flat {
    Layout *out;
    Arena *arena;
    Buf gathered;
    int file;
    uint64_t offset; /* of what is gathered */
} Flat;

static void flush(Flat *f) {
    if (f->gathered.len > 0) {
        const Piece p = {.kind = PIECE_MEMORY, .file = f->file, .offset = f->offset,
                         .size = f->gathered.len, .bytes = f->gathered.data};
        vec_push(f->arena, &f->out->pieces, p);
        f->offset += f->gathered.len;
        f->gathered = buf_on(f->arena);
    }
}

static void flatten(Flat *f, const Rope *r) {
    for (size_t i = 0; i < r->bits.len; i++) {
        const Bit *b = &r->bits.at[i];
        if (b->rope) {
            flatten(f, b->rope);
        } else if (b->kind == PIECE_MEMORY) {
            buf_add(&f->gathered, b->bytes, (size_t)b->size);
        } else if (b->kind == PIECE_INPUT && b->size <= GATHERED) {
            buf_add(&f->gathered, b->input->data + b->input_offset, (size_t)b->size);
        } else {
            flush(f);
            const Piece p = {.kind = b->kind, .file = f->file, .offset = f->offset,
                             .size = b->size, .input = b->input, .input_offset = b->input_offset,
                             .tag = b->tag};
            vec_push(f->arena, &f->out->pieces, p);
            f->offset += b->size;
        }
    }
}

void rope_pieces(const Rope *r, int file, Layout *out) {
    Flat f = {.out = out, .arena = r->arena, .gathered = buf_on(r->arena), .file = file};
    flatten(&f, r);
    flush(&f);
    out->size[file] = f.offset;
}
