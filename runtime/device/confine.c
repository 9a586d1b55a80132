/* See confine.h. Landlock's numbers are the kernel's (uapi/linux/landlock.h), written here because
 * the headers of Debian 12 know the first versions only. */
#include "runtime/device/confine.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* ---- when it is born */

static void reset_signals(void) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = SIG_DFL;
    for (int number = 1; number < NSIG; number++) {
        sigaction(number, &action, NULL); /* those that cannot be changed say no */
    }
    action.sa_handler = SIG_IGN;
    sigaction(SIGINT, &action, NULL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static void close_from(int first) {
    if (close_range((unsigned)first, ~0u, 0) == 0) {
        return;
    }
    struct rlimit files; /* before Linux 5.9 */
    const rlim_t most = getrlimit(RLIMIT_NOFILE, &files) == 0 ? files.rlim_cur : 1024;
    for (int fd = first; (rlim_t)fd < most && fd < 1 << 16; fd++) {
        close(fd);
    }
}

/* Sanitizers write their reports to stderr, so builds that have them keep it. */
#ifdef MORC_DEBUG
enum { STREAMS_TO_DROP = 2 };
#else
enum { STREAMS_TO_DROP = 3 };
#endif

static bool keep_only(const Sys *sys, int keep) {
    const int nowhere = sys->open("/dev/null", O_RDWR | O_CLOEXEC, 0);
    if (nowhere < 0 || (keep != CONFINE_FD && dup2(keep, CONFINE_FD) < 0)) {
        return false;
    }
    for (int fd = 0; fd < STREAMS_TO_DROP; fd++) { /* none is free for a file to take */
        if (dup2(nowhere, fd) < 0) {
            return false;
        }
    }
    close_from(CONFINE_FD + 1);
    return true;
}

bool confine_begin(const Sys *sys, int keep, pid_t parent) {
    reset_signals();
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) { /* it died before it could be told to take us along */
        return false;
    }
    return keep_only(sys, keep);
}

/* ---- limits */

/* Never above what the user set. Hard and soft, so it cannot be taken back. */
static bool limit(__rlimit_resource_t resource, rlim_t value) {
    struct rlimit now;
    if (getrlimit(resource, &now) != 0) {
        return false;
    }
    value = value < now.rlim_max ? value : now.rlim_max;
    return setrlimit(resource, &(struct rlimit){value, value}) == 0;
}

/* Bytes of private writable memory, as RLIMIT_DATA counts them: the sixth number of statm. What
 * sanitizers map ahead is in it, and so does not count against the limit. */
static uint64_t mapped_now(const Sys *sys) {
    char text[256] = {0};
    const int fd = sys->open("/proc/self/statm", O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0) {
        return 0;
    }
    const ssize_t size = sys->read(fd, text, sizeof text - 1);
    sys->close(fd);
    const char *at = text;
    for (int skipped = 0; size > 0 && skipped < 5; skipped++) {
        at = strchr(at, ' ');
        if (!at) {
            return 0;
        }
        at++;
    }
    return size > 0 ? strtoull(at, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}

static uint64_t processor_seconds(void) {
    struct timespec used;
    return clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used) == 0 ? (uint64_t)used.tv_sec : 0;
}

void confine_time(int seconds) {
    struct rlimit now;
    if (getrlimit(RLIMIT_CPU, &now) == 0) {
        const rlim_t until = processor_seconds() + (uint64_t)seconds + 1; /* it counts whole ones */
        now.rlim_cur = until < now.rlim_max ? until : now.rlim_max;
        setrlimit(RLIMIT_CPU, &now);
    }
}

/* ---- Landlock */

typedef struct LandlockRules {
    uint64_t files, network, scopes; /* what is forbidden unless a rule allows it; no rule does */
} LandlockRules;

static bool restrict_files(void) {
    const long version = syscall(444 /* landlock_create_ruleset */, NULL, 0, 1);
    if (version < 1) {
        return false;
    }
    /* rights by version: 1 to 12, refer, truncate, (network), device ioctl, (scopes) */
    const int rights = version == 1 ? 13 : version == 2 ? 14 : version < 5 ? 15 : 16;
    LandlockRules rules = {.files = ((uint64_t)1 << rights) - 1};
    size_t size = sizeof rules.files;
    if (version >= 4) {
        rules.network = 3;
        size += sizeof rules.network;
    }
    if (version >= 6) {
        rules.scopes = 3; /* abstract sockets, signals */
        size += sizeof rules.scopes;
    }
    const long set = syscall(444, &rules, size, 0);
    const bool done = set >= 0 && syscall(446 /* landlock_restrict_self */, (int)set, 0) == 0;
    if (set >= 0) {
        close((int)set);
    }
    return done;
}

bool confine_end(const Sys *sys, const ConfineLimits *limits, bool *landlock) {
    const uint64_t mapped = mapped_now(sys);
    const uint64_t used = processor_seconds();
    /* relative names lead into the root, where only root can have put something */
    if (chdir("/") != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        return false;
    }
    *landlock = restrict_files();
    return limit(RLIMIT_CORE, 0) && limit(RLIMIT_FSIZE, 0) &&
           limit(RLIMIT_NOFILE, CONFINE_FD + 1) && limit(RLIMIT_DATA, mapped + limits->memory) &&
           limit(RLIMIT_CPU, used + (uint64_t)limits->seconds + 1);
}
