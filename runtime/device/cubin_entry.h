/* The bytes of one entry of the cubin cache, without the files around them:
 *
 *     16 bytes   "morc cubin v001\n"
 *      8 + 8     payload size, key size (little endian)
 *     payload    the cubin and what is known about it: opaque here
 *     key        everything that decided the payload, as text
 *     32 bytes   SHA-256 of all before
 *
 * An entry is given back whole or not at all: any other byte, a byte more or less, or another key
 * is a refusal. The hash guards against broken and half-written files; that no other user can make
 * entries is the folder's business (cubin_cache.h). */
#ifndef RUNTIME_DEVICE_CUBIN_ENTRY_H
#define RUNTIME_DEVICE_CUBIN_ENTRY_H
#include "runtime/device/cubin_cache.h"

/* The file's name: 64 digits of the key's SHA-256, ".cubin" and a NUL. */
enum { CUBIN_NAME_SIZE = 71 };

void cubin_key_text(const CubinKey *key, Buf *out);
void cubin_key_name(Str key_text, char name[CUBIN_NAME_SIZE]);
void cubin_entry_write(Str key_text, Str payload, Buf *out);
/* *payload is a slice of `bytes`, at offset 32. */
bool cubin_entry_read(Str bytes, Str key_text, Str *payload);
#endif
