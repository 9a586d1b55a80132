/* See ort_log.h. */
#include "runtime/engine/ort_log.h"
#include <pthread.h>
#include <string.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char newest[ORT_LOG_BYTES];

void ort_log_keep(void *user, int severity, const char *category, const char *id, const char *where,
                  const char *message) {
    (void)user;
    (void)category;
    (void)id;
    (void)where;
    if (severity < ORT_LOG_WARNING || !message) {
        return;
    }
    const size_t length = strnlen(message, ORT_LOG_BYTES - 1);
    pthread_mutex_lock(&lock);
    memcpy(newest, message, length);
    newest[length] = 0;
    pthread_mutex_unlock(&lock);
}

size_t ort_log_take(char out[ORT_LOG_BYTES]) {
    pthread_mutex_lock(&lock);
    const size_t length = strlen(newest);
    memcpy(out, newest, length + 1);
    newest[0] = 0;
    pthread_mutex_unlock(&lock);
    return length;
}
