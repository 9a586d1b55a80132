/* See includes.h. */
#include "tests/fake/includes.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *skip_blanks(const char *p) {
    return p + strspn(p, " \t");
}

bool includes_next(const char **at, const char **name, size_t *length) {
    while (**at) {
        const char *p = skip_blanks(*at), *end = *at + strcspn(*at, "\n");
        *at = *end ? end + 1 : end;
        if (*p != '#') {
            continue;
        }
        p = skip_blanks(p + 1);
        if (strncmp(p, "include", 7) != 0) {
            continue;
        }
        p = skip_blanks(p + 7);
        const size_t n = *p == '"' ? strcspn(p + 1, "\"\n") : 0;
        if (n > 0 && p[1 + n] == '"') {
            *name = p + 1;
            *length = n;
            return true;
        }
    }
    return false;
}

TextFile *text_files_find(const TextFiles *files, const char *name, size_t length) {
    for (size_t i = 0; i < files->count; i++) {
        const char *known = files->at[i].name;
        if (strncmp(known, name, length) == 0 && known[length] == 0) {
            return &files->at[i];
        }
    }
    return NULL;
}

static char *copy(const char *text, size_t size) {
    char *p = malloc(size + 1);
    memcpy(p, text, size);
    p[size] = 0;
    return p;
}

void text_files_add(TextFiles *files, const char *name, size_t length, const char *text,
                    size_t size) {
    files->at = realloc(files->at, (files->count + 1) * sizeof *files->at);
    files->at[files->count++] = (TextFile){copy(name, length), copy(text, size), size};
}

char *text_file_read(const char *path, size_t *size) {
    FILE *f = fopen(path, "rb");
    if (!f) {
        return NULL;
    }
    char *data = NULL;
    size_t length = 0, got = 0;
    do {
        data = realloc(data, length + 65536 + 1);
        got = fread(data + length, 1, 65536, f);
        length += got;
    } while (got > 0);
    fclose(f);
    data[length] = 0;
    *size = length;
    return data;
}

bool text_files_gather(TextFiles *files, const char *text, const char *root, char *missing,
                       size_t missing_size) {
    const char *name;
    size_t length, size;
    while (includes_next(&text, &name, &length)) {
        if (text_files_find(files, name, length)) {
            continue;
        }
        char path[4200];
        snprintf(path, sizeof path, "%s/%.*s", root, (int)length, name);
        char *content = text_file_read(path, &size);
        if (!content) {
            snprintf(missing, missing_size, "%.*s", (int)length, name);
            return false;
        }
        text_files_add(files, name, length, content, size);
        const bool ok = text_files_gather(files, content, root, missing, missing_size);
        free(content);
        if (!ok) {
            return false;
        }
    }
    return true;
}

void text_files_free(TextFiles *files) {
    for (size_t i = 0; i < files->count; i++) {
        free(files->at[i].name);
        free(files->at[i].text);
    }
    free(files->at);
    *files = (TextFiles){0};
}
