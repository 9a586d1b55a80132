/* A libcuda.so.1 that ends the process, or prints, as soon as it is loaded. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void __attribute__((constructor)) loaded(void) {
    fputs("hello from the driver\n", stdout);
    fputs("hello from the driver\n", stderr);
    fflush(NULL);
    _exit(0);
}
