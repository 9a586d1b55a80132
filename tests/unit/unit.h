/* What every unit test includes: CMocka with its prerequisites, and a few conveniences. */
#ifndef TESTS_UNIT_UNIT_H
#define TESTS_UNIT_UNIT_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "runtime/base/session.h"

#define assert_str(actual, expected)                                                               \
    do {                                                                                           \
        Str str_ = (actual);                                                                       \
        char *text_ = strndup(str_.len ? str_.data : "", str_.len);                                \
        assert_string_equal(text_, (expected));                                                    \
        free(text_);                                                                               \
    } while (0)

/* A fresh directory below the build directory, and its removal with all files in it. */
static inline char *unit_directory(void) {
    char *path = strdup(MORC_BINARY_DIR "/unit-XXXXXX");
    assert_non_null(mkdtemp(path));
    return path;
}

/* The same in memory where the system has such a place: for tests that sync thousands of files. */
static inline char *unit_memory_directory(void) {
    char *path = strdup("/dev/shm/morc-unit-XXXXXX");
    if (mkdtemp(path)) {
        return path;
    }
    free(path);
    return unit_directory();
}

static inline void unit_remove(char *path) {
    char command[4200];
    snprintf(command, sizeof command, "rm -rf '%s'", path);
    assert_int_equal(system(command), 0);
    free(path);
}

/* All diagnostics of a session as text, without colour. */
static inline const char *unit_diags(Session *s) {
    Buf b = buf_on(s->arena);
    diags_render(&s->diags, &b, false);
    return b.data;
}

static inline void unit_write(const char *path, const void *data, size_t size) {
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

/* Whole file, malloc'ed, NUL-terminated; size may be NULL. NULL if it cannot be opened. */
static inline char *unit_read(const char *path, size_t *size) {
    FILE *f = fopen(path, "rb");
    if (!f) {
        return NULL;
    }
    fseek(f, 0, SEEK_END);
    size_t length = (size_t)ftell(f);
    rewind(f);
    char *data = malloc(length + 1);
    assert_int_equal(fread(data, 1, length, f), length);
    data[length] = 0;
    fclose(f);
    if (size) {
        *size = length;
    }
    return data;
}

#endif
