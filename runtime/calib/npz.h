/* Directories of .npz files: zip archives as numpy, zipfile and zip write them, zip64 and data
 * descriptors included. Members are stored or deflated. Refused: encryption, other methods, several
 * disks, a name twice, members that overlap, sizes that deflate cannot reach. What a member holds
 * is for npy.h. Format: APPNOTE 6.3.10 of PKWARE; deflate itself is zlib's. */
#ifndef RUNTIME_CALIB_NPZ_H
#define RUNTIME_CALIB_NPZ_H
#include "runtime/base/str.h"

typedef struct NpzMember {
    Str name;              /* as in the archive: "x.npy"; on the arena */
    bool deflated;         /* else stored */
    uint32_t crc;          /* of the bytes when unpacked */
    uint64_t begin;        /* of the packed bytes in the file */
    uint64_t packed, size; /* bytes packed and unpacked */
} NpzMember;

typedef struct NpzDirectory {
    NpzMember *members;
    size_t count;
} NpzDirectory;

bool npz_directory(Arena *arena, const uint8_t *data, uint64_t size, NpzDirectory *out, Str *why);

/* The first bytes of a member, at most `limit`; they lie in `buffer`, of so many bytes, when they
 * are deflated. False: *why. */
bool npz_front(Arena *arena, const uint8_t *data, const NpzMember *m, void *buffer, size_t limit,
               Str *out, Str *why);

/* Gives the unpacked bytes of a member piece by piece to `put`, then compares size and CRC-32.
 * False when they differ, when what is there is not deflate (*why says so), or when put returned
 * false
 * (*why is empty then). Allocates nothing through the session while put runs. */
typedef bool NpzPut(void *user, const void *bytes, size_t size);
bool npz_unpack(Arena *arena, const uint8_t *data, const NpzMember *m, NpzPut *put, void *user,
                Str *why);

#endif
