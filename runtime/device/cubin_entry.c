/* See cubin_entry.h. The payload comes before the key so that it keeps the alignment of the buffer
 * that the file was read into. */
#include "runtime/device/cubin_entry.h"
#include <sodium.h>
#include <string.h>

static const char magic[] = "morc cubin v001\n";

enum { HEAD = 32, HASH = crypto_hash_sha256_BYTES };

typedef struct EntrySizes {
    uint64_t payload, key;
} EntrySizes;

void cubin_key_text(const CubinKey *key, Buf *out) {
    buf_printf(out, "sm_%d%s\nnvrtc %d\n%zu %zu\n", key->arch, key->specific ? "a" : "", key->nvrtc,
               key->options.len, key->text.len);
    buf_str(out, key->options);
    buf_char(out, '\n');
    buf_str(out, key->text);
}

static void hash_of(Str s, uint8_t hash[HASH]) {
    crypto_hash_sha256(hash, (const unsigned char *)s.data, s.len);
}

void cubin_key_name(Str key_text, char name[CUBIN_NAME_SIZE]) {
    uint8_t hash[HASH];
    hash_of(key_text, hash);
    sodium_bin2hex(name, CUBIN_NAME_SIZE, hash, sizeof hash);
    memcpy(name + 2 * sizeof hash, ".cubin", sizeof ".cubin");
}

void cubin_entry_write(Str key_text, Str payload, Buf *out) {
    const EntrySizes sizes = {payload.len, key_text.len};
    const size_t begin = out->len;
    buf_add(out, magic, sizeof magic - 1);
    buf_add(out, &sizes, sizeof sizes);
    buf_str(out, payload);
    buf_str(out, key_text);
    uint8_t hash[HASH];
    hash_of((Str){out->data + begin, out->len - begin}, hash);
    buf_add(out, hash, sizeof hash);
}

bool cubin_entry_read(Str bytes, Str key_text, Str *payload) {
    if (bytes.len < HEAD + HASH || memcmp(bytes.data, magic, sizeof magic - 1) != 0) {
        return false;
    }
    EntrySizes sizes;
    memcpy(&sizes, bytes.data + sizeof magic - 1, sizeof sizes);
    const uint64_t rest = bytes.len - HEAD - HASH;
    if (sizes.key != key_text.len || sizes.payload > rest || rest - sizes.payload != sizes.key) {
        return false;
    }
    const Str held = str_slice(bytes, HEAD + sizes.payload, bytes.len - HASH);
    uint8_t hash[HASH];
    hash_of(str_slice(bytes, 0, bytes.len - HASH), hash);
    if (!str_eq(held, key_text) || memcmp(hash, bytes.data + bytes.len - HASH, HASH) != 0) {
        return false;
    }
    *payload = str_slice(bytes, HEAD, HEAD + sizes.payload);
    return true;
}
