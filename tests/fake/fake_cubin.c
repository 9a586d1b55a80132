/* See fake_cubin.h. */
#include "tests/fake/fake_cubin.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *fake_cubin_write(const FakeCubin *cubin, int options, const char *const *option,
                       size_t *size) {
    char *image = NULL;
    FILE *f = open_memstream(&image, size);
    fprintf(f, FAKE_CUBIN_MAGIC "sm_%d%s\n%d option%s\n", cubin->arch, cubin->specific ? "a" : "",
            options, options == 1 ? "" : "s");
    for (int i = 0; i < options; i++) {
        fprintf(f, "%s\n", option[i]);
    }
    fprintf(f, "%zu files\n", cubin->files.count);
    for (size_t i = 0; i < cubin->files.count; i++) {
        const TextFile *file = &cubin->files.at[i];
        fprintf(f, "%s %zu\n", file->name, file->size);
        fwrite(file->text, 1, file->size, f);
        fputc('\n', f);
    }
    fclose(f);
    return image;
}

static const char *next_line(const char *p) {
    const char *end = strchr(p, '\n');
    return end ? end + 1 : NULL;
}

bool fake_cubin_read(const char *image, FakeCubin *cubin) {
    const size_t magic = strlen(FAKE_CUBIN_MAGIC);
    *cubin = (FakeCubin){0};
    if (strncmp(image, FAKE_CUBIN_MAGIC, magic) != 0) {
        return false;
    }
    char letter = 0;
    int options = 0;
    size_t files = 0;
    const char *p = image + magic;
    if (sscanf(p, "sm_%d%c", &cubin->arch, &letter) != 2 || (p = next_line(p)) == NULL ||
        sscanf(p, "%d", &options) != 1) {
        return false;
    }
    cubin->specific = letter == 'a';
    for (int i = 0; i <= options && p; i++) {
        p = next_line(p);
    }
    if (!p || sscanf(p, "%zu files", &files) != 1) {
        return false;
    }
    p = next_line(p);
    for (size_t i = 0; i < files; i++) {
        size_t size = 0;
        const size_t name = strcspn(p, " ");
        const char *content = next_line(p);
        if (sscanf(p + name, " %zu", &size) != 1 || !content) {
            text_files_free(&cubin->files);
            return false;
        }
        text_files_add(&cubin->files, p, name, content, size);
        p = content + size + 1;
    }
    return files > 0;
}
