/* The files that kernel text names in lines of the form `#include "NAME"`. Lines in <...> and
 * everything else of the preprocessor are left alone: such text includes the same files for the
 * host and for a GPU. */
#ifndef TESTS_FAKE_INCLUDES_H
#define TESTS_FAKE_INCLUDES_H
#include <stdbool.h>
#include <stddef.h>

/* The next include from *at on, the start of a line of a NUL-terminated text; *at moves past it.
 * *name is not terminated. False: there is none. */
bool includes_next(const char **at, const char **name, size_t *length);

typedef struct TextFile {
    char *name, *text; /* malloc'ed, NUL-terminated */
    size_t size;
} TextFile;

typedef struct TextFiles {
    TextFile *at;
    size_t count;
} TextFiles;

TextFile *text_files_find(const TextFiles *files, const char *name, size_t length); /* or NULL */
void text_files_add(TextFiles *files, const char *name, size_t length, const char *text,
                    size_t size);
/* Adds every file that `text` includes, and what those include, from below `root`. False: one
 * cannot be read; its name is in `missing`. */
bool text_files_gather(TextFiles *files, const char *text, const char *root, char *missing,
                       size_t missing_size);
void text_files_free(TextFiles *files);
/* Whole file, malloc'ed, NUL-terminated; NULL if it cannot be read. */
char *text_file_read(const char *path, size_t *size);
#endif
