/* See disassemble.h. The cubin goes into a memory file that the tool opens through /proc; what it
 * prints comes back through a pipe. */
#include "runtime/device/disassemble.h"
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

typedef struct Tool {
    const char *name, *flag;
} Tool;

static const Tool tools[] = {{"nvdisasm", "-c"}, {"cuobjdump", "-sass"}};

/* A path of the tool that can be run, or NULL. */
static const char *find_in(Session *s, Str folder, const char *name) {
    if (folder.len == 0) {
        return NULL;
    }
    const char *path =
        str_format(s->arena, "%.*s/%s", STR_ARG(folder), name).data;
    struct stat is;
    return s->sys->stat(path, &is) == 0 && S_ISREG(is.st_mode) && (is.st_mode & 0111) ? path
                                                                                       : NULL;
}

static const char *find_tool(Session *s, Str folders, const char *name) {
    while (folders.len > 0) {
        const int64_t colon = str_find(folders, ':');
        const size_t end = colon < 0 ? folders.len : (size_t)colon;
        const char *path = find_in(s, str_slice(folders, 0, end), name);
        if (path) {
            return path;
        }
        folders = str_slice(folders, end < folders.len ? end + 1 : end, folders.len);
    }
    return find_in(s, STR("/usr/local/cuda/bin"), name);
}

static bool write_all(int fd, Str text) {
    for (size_t done = 0; done < text.len;) {
        const ssize_t n = write(fd, text.data + done, text.len - done);
        if (n < 0 && errno != EINTR) {
            return false;
        }
        done += n > 0 ? (size_t)n : 0;
    }
    return true;
}

static void read_all(int fd, Buf *out) {
    char block[4096];
    for (;;) {
        const ssize_t n = read(fd, block, sizeof block);
        if (n > 0) {
            buf_str(out, (Str){block, (size_t)n});
        } else if (n == 0 || errno != EINTR) {
            return;
        }
    }
}

/* Runs the tool on an open file; its exit status, or -1. */
static int run_tool(Session *s, const char *path, const char *flag, int file, Buf *out) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return -1;
    }
    const char *name = str_format(s->arena, "/proc/%ld/fd/%d", (long)getpid(), file).data;
    const char *const argv[] = {path, flag, name, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
    posix_spawn_file_actions_adddup2(&actions, ends[1], 2);
    pid_t child;
    const int error =
        posix_spawn(&child, path, &actions, NULL, (char *const *)(uintptr_t)argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    int status = -1;
    if (error == 0) {
        read_all(ends[0], out);
        while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
        }
        status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    }
    close(ends[0]);
    return status;
}

bool disassemble(Session *s, const char *(*get)(const char *variable), Str cubin, Buf *out,
                 Str *why) {
    const char *folders = get ? get("PATH") : NULL;
    for (size_t i = 0; i < sizeof tools / sizeof *tools; i++) {
        const char *path = find_tool(s, folders ? str_from(folders) : STR(""), tools[i].name);
        if (!path) {
            continue;
        }
        const int file = memfd_create("cubin", MFD_CLOEXEC);
        Buf said = buf_on(s->arena);
        const bool done = file >= 0 && write_all(file, cubin) &&
                          run_tool(s, path, tools[i].flag, file, &said) == 0;
        if (file >= 0) {
            close(file);
        }
        if (done) {
            buf_str(out, buf_view(&said));
            return true;
        }
        *why = str_format(s->arena, "%s failed: %.*s", path, STR_ARG(buf_view(&said)));
        return false;
    }
    *why = STR("neither nvdisasm nor cuobjdump is in the PATH");
    return false;
}
