/* What the parts of data.h share: an input of the model with the array that fills it. */
#ifndef RUNTIME_CALIB_DATA_PARTS_H
#define RUNTIME_CALIB_DATA_PARTS_H
#include "runtime/base/limits.h"
#include "runtime/calib/data.h"
#include "runtime/calib/data_file.h"

typedef enum DataRole {
    DATA_ABSENT,  /* optional, and no array */
    DATA_BATCHED, /* the first dimension counts samples */
    DATA_WHOLE,   /* each sample is a whole input */
    DATA_CONSTANT /* one value for all batches */
} DataRole;

typedef struct DataSlot {
    const DataInput *input;
    DataArray *array; /* NULL: absent or random */
    DataRole role;
    uint64_t stream;          /* random: number of the input */
    int rank;                 /* of what is given out */
    int64_t dims[LIMIT_RANK]; /* of a full batch; the first one changes for a short one */
    int64_t elements;         /* of one sample */
    uint64_t bytes;           /* of one sample, as given out */
    uint64_t row;             /* of one sample in the file */
    bool plain;               /* the file's bytes are what is given out */
    uint8_t *buffer;          /* of one batch, made when it is needed */
} DataSlot;

struct Dataset {
    Str shown; /* "`calib`" or the path, for messages */
    Span span;
    DataFile *file;  /* NULL: random */
    DataSlot *slots; /* one for each input */
    size_t count;
    DataSlot labels;               /* absent if there are none */
    int64_t total, samples, batch; /* in the file, used, at a time */
    int64_t skip;                  /* of the order given out: the first sample used */
    bool shuffle, hashed;
    uint64_t seed;
    uint8_t hash[DATA_HASH_BYTES];
};

/* data_fit.c: fills slots, labels and counts. False after an E0702. */
bool data_fit(Session *s, const DataWish *wish, Dataset *d);
bool data_fit_random(Session *s, const DataWish *wish, Dataset *d);
/* Product of dims and sizes in bytes; false: too large for this machine. */
bool data_measure(DataSlot *slot, int64_t batch);

/* data_read.c: elements first .. first + count of sample `sample` (in the order given out), as the
 * model takes them. Returns how many: fewer when the next one cannot be converted. Thread-safe. */
size_t data_read(const Dataset *d, const DataSlot *slot, int64_t sample, int64_t first,
                 size_t count, void *out);
/* The bytes of the sample where they lie, or NULL when they must be read. */
const uint8_t *data_at(const Dataset *d, const DataSlot *slot, int64_t sample);
/* Reports the element that data_read stopped at; false. */
bool data_inexact(Session *s, const Dataset *d, const DataSlot *slot, int64_t sample,
                  int64_t element);

#endif
