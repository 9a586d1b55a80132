/* Runs a fuzz target over stored inputs, without a fuzzer: each argument is a file or a directory
 * of files (one that does not exist is passed over). Prints how many inputs ran, as one case each;
 * a finding ends the process by the sanitizers or an assertion, naming the input first. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int run_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file) {
        return 0;
    }
    fseek(file, 0, SEEK_END);
    size_t size = (size_t)ftell(file);
    rewind(file);
    uint8_t *data = malloc(size + 1); /* of its exact size, so that an overrun is seen */
    uint8_t *exact = size ? realloc(data, size) : data;
    size_t got = fread(exact, 1, size, file);
    fclose(file);
    fprintf(stderr, "%s\n", path);
    LLVMFuzzerTestOneInput(exact, got);
    free(exact);
    return 1;
}

static int run_path(const char *path)
{
    struct stat info;
    if (stat(path, &info) != 0) {
        return 0;
    }
    if (S_ISREG(info.st_mode)) {
        return run_file(path);
    }
    if (!S_ISDIR(info.st_mode)) {
        return 0;
    }
    int count = 0;
    struct dirent **entries;
    int n = scandir(path, &entries, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        char *name = entries[i]->d_name;
        char *below = malloc(strlen(path) + strlen(name) + 2);
        sprintf(below, "%s/%s", path, name);
        struct stat inside;
        /* links are not followed: a test model may hold one that leads out of the directory */
        if (name[0] != '.' && lstat(below, &inside) == 0 && S_ISREG(inside.st_mode)) {
            count += run_file(below);
        }
        free(below);
        free(entries[i]);
    }
    if (n >= 0) {
        free(entries);
    }
    return count;
}

int main(int argc, char **argv)
{
    int count = 0;
    for (int i = 1; i < argc; i++) {
        count += run_path(argv[i]);
    }
    printf("cases: %d passed, 0 failed, 0 skipped\n", count);
    return count > 0 ? 0 : 1;
}
