/* Data for calibration and evaluation: what a recipe calls `data`, fitted to the inputs of a model
 * and given out in batches. The first dimension of an array counts samples; an array with one
 * dimension more than its input has a whole input for each sample (then a batch is one sample); an
 * array without dimensions is the same for every batch. Names must be those of inputs, but for
 * `labels`. int32 and int64 stand for one another where every value fits, and so do float types
 * (rounded to nearest even); each such conversion is one line of dataset_notes. Nothing else is
 * converted, guessed or left out.
 *
 * Memory does not grow with the data: files are mapped, deflated members unpacked to disk, the
 * order of `shuffle` is computed. What is held is one batch of each input that cannot be given out
 * where it lies. Errors: E0702 data and model do not fit (all misfits in one), E0704 and E0705 as
 * data_file.h says, E1101, E1102. */
#ifndef RUNTIME_CALIB_DATA_H
#define RUNTIME_CALIB_DATA_H
#include "runtime/base/session.h"
#include "runtime/base/spread.h"

typedef struct DataInput { /* an input of the model */
    Str name;
    int type;             /* TensorProto.DataType */
    int rank;             /* -1: unknown */
    const int64_t *dims;  /* -1: any */
    const Str *dim_names; /* "batch"; empty where there is none. NULL: none at all */
    bool optional;        /* the model has a default for it */
    int64_t limit;        /* random integers are below it; 0: below 2 */
} DataInput;

/* The last tenth of the samples (at least one batch of a model that takes no other, else one
 * sample) is held out, to judge what the others have made. */
typedef enum DataPart { DATA_ALL, DATA_BUT_TENTH, DATA_TENTH } DataPart;

typedef struct DataWish {
    Str loader; /* npz npy safetensors random */
    Str path;   /* relative to base, the folder of the recipe */
    Str base;
    Str scratch;            /* folder for what must be unpacked; empty: /var/tmp */
    int64_t samples, batch; /* 0: all there are (random: 1); what the model takes, else 1 */
    DataPart part;          /* of those samples */
    bool shuffle;           /* with `seed`; samples are then drawn from the whole file */
    uint64_t seed;
    const int64_t *shape; /* random: dimensions that the model leaves open, in the order in which
                             its inputs name them, without that of the batch */
    size_t shape_count;
    Span span, path_span; /* for messages */
    Str name;             /* in the recipe; empty: the path stands for it */
} DataWish;

typedef struct DataTensor {
    Str name;
    int type, rank;
    const int64_t *dims;
    const void *data; /* aligned to its elements; NULL: an optional input without an array */
    uint64_t size;
} DataTensor;

enum { DATA_HASH_BYTES = 32 };
typedef struct Dataset Dataset;

Str data_path(Session *s, const DataWish *wish); /* of the file, as one opens it; empty: none */
/* `inputs` must outlive the Dataset, which lives on the session's arena. */
Dataset *dataset_open(Session *s, const DataWish *wish, const DataInput *inputs, size_t count);
/* The same over a file that is open already and belongs to the Dataset from now on; the loader and
 * the path of the wish are not looked at. */
struct DataFile;
Dataset *dataset_over(Session *s, const DataWish *wish, struct DataFile *file,
                      const DataInput *inputs, size_t count);
void dataset_close(Session *s, Dataset *d); /* NULL is fine; else with the session */

int64_t dataset_samples(const Dataset *d);
int64_t dataset_batches(const Dataset *d); /* the last one may be short */
/* How many samples the first `batches` of them have. */
int64_t dataset_samples_in(const Dataset *d, int64_t batches);
/* out: one for each input, in their order, valid until the next batch of this Dataset. False: a
 * value cannot be converted exactly (E0702). From the session's thread only. */
bool dataset_batch(Session *s, Dataset *d, int64_t index, DataTensor *out);
bool dataset_has_labels(const Dataset *d);
/* The labels of that batch, in the type of the file; false when the data has none. */
bool dataset_labels(Session *s, Dataset *d, int64_t index, DataTensor *out);

/* SHA-256 of a tree over name, type, dims and bytes of all that is given out, in its order (not of
 * labels, not of batches, not of how the file stores it): the identity of statistics. Reads all of
 * it once, in pieces that threads share: 1 GB takes 3 s of one thread. False: E0702 as above, or
 * the run was stopped. */
bool dataset_hash(Session *s, Dataset *d, const Spread *spread, uint8_t hash[DATA_HASH_BYTES]);
/* The file is still what it was when it was opened; false: E1104. Asked at the end of a run. */
bool dataset_unchanged(Session *s, const Dataset *d);
void dataset_notes(const Dataset *d, Buf *out); /* one line for each conversion */

#endif
