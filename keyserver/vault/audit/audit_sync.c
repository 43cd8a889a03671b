#include "keyserver/vault/audit/audit_sync.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "common/process.h"

#define RETIRED_MANY 8  /* no more than these before anything else is written */
#define RETIRED_MAX  32 /* many times what comes about between two looks at it */

struct audit_sync {
    int folder;                 /* borrowed */
    const struct sign_key *key; /* borrowed */
    pthread_t thread;
    pthread_mutex_t lock;     /* of all that follows */
    pthread_cond_t wanted;    /* something is wanted, or it is the end */
    pthread_cond_t room;      /* one that was retired is closed */
    int fd;                   /* wanted; borrowed; -1 = none */
    int retired[RETIRED_MAX]; /* owned; the first is the oldest */
    size_t retired_count;
    struct audit_head head; /* to be noted; seq 0 = none */
    uint64_t noted_epoch;   /* on the disk */
    int failure;            /* errno */
    bool stopping;
};

/* ---- the file `head` ---- */

int audit_head_load(int folder, struct audit_head *out)
{
    char text[AUDIT_HEAD_SIZE + 1];
    int fd = openat(folder, AUDIT_HEAD_FILE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return errno == ENOENT ? ERR_NOT_FOUND : ERR_SYSTEM;
    ssize_t length = pread(fd, text, sizeof text, 0);
    close(fd);
    return length < 0 ? ERR_SYSTEM : audit_head_parse(out, text, (size_t)length);
}

/* HEAD, or what is later of it and of the one that FD has: another vault may have come further. */
static struct audit_head merge(int fd, const struct audit_head *head, const struct sign_key *key)
{
    char text[AUDIT_HEAD_SIZE];
    struct audit_head there, merged = *head;
    ssize_t length = pread(fd, text, sizeof text, 0);
    if (length != (ssize_t)sizeof text || audit_head_parse(&there, text, sizeof text) != 0 ||
        !audit_head_verify(&there, key->public))
        return merged;
    if (there.link.seq > head->link.seq)
        merged.link = there.link;
    if (there.epoch_ms > head->epoch_ms)
        merged.epoch_ms = there.epoch_ms;
    audit_head_sign(&merged, key);
    return merged;
}

static int write_head(int fd, const struct audit_head *head)
{
    char text[AUDIT_HEAD_SIZE];
    audit_head_pack(head, text);
    bool written = pwrite(fd, text, sizeof text, 0) == (ssize_t)sizeof text &&
                   ftruncate(fd, sizeof text) == 0;
    return written && fdatasync(fd) == 0 ? 0 : ERR_SYSTEM;
}

/* *MADE: its name has to reach the disk, too. */
static int open_head(int folder, bool *made)
{
    const int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW;
    int fd = openat(folder, AUDIT_HEAD_FILE, flags);
    *made = fd < 0 && errno == ENOENT;
    return *made ? openat(folder, AUDIT_HEAD_FILE, flags | O_CREAT, 0600) : fd;
}

/* The lock is held for a moment only, by this function in another vault. */
int audit_head_store(int folder, const struct audit_head *head, const struct sign_key *key)
{
    bool made;
    int fd = open_head(folder, &made), err;
    if (fd < 0)
        return ERR_SYSTEM;
    while ((err = flock(fd, LOCK_EX)) != 0 && errno == EINTR)
        ;
    if (err == 0) {
        const struct audit_head merged = merge(fd, head, key);
        err = write_head(fd, &merged);
    }
    if (err == 0 && made)
        err = fdatasync(folder);
    int saved = errno;
    close(fd);
    errno = saved;
    return err == 0 ? 0 : ERR_SYSTEM;
}

/* ---- the thread ---- */

/* What is to be done next. */
struct errand {
    int fd;
    bool retired; /* close it afterwards */
    struct audit_head head;
};

static bool has_errand(const struct audit_sync *sync)
{
    return sync->fd >= 0 || sync->retired_count > 0 || sync->head.link.seq != 0;
}

/* Retired files first: what the head speaks of may stand there. Locked. */
static struct errand take_errand(struct audit_sync *sync)
{
    struct errand errand = {.fd = sync->fd, .head = sync->head};
    if (sync->retired_count > 0) {
        errand = (struct errand){.fd = sync->retired[0], .retired = true};
        return errand; /* it stays in the list until it is closed */
    }
    sync->fd = -1;
    sync->head.link.seq = 0;
    return errand;
}

/* The errno of what failed, or 0. */
static int run_errand(const struct audit_sync *sync, const struct errand *errand)
{
    int failure = errand->fd >= 0 && fdatasync(errand->fd) != 0 ? errno : 0;
    if (failure == 0 && errand->retired && fdatasync(sync->folder) != 0)
        failure = errno;
    if (failure == 0 && errand->head.link.seq != 0 &&
        audit_head_store(sync->folder, &errand->head, sync->key) != 0)
        failure = errno != 0 ? errno : EIO;
    if (errand->retired)
        close(errand->fd);
    return failure;
}

static void forget_oldest(struct audit_sync *sync)
{
    sync->retired_count--;
    for (size_t i = 0; i < sync->retired_count; i++)
        sync->retired[i] = sync->retired[i + 1];
    pthread_cond_signal(&sync->room);
}

static void *sync_main(void *argument)
{
    struct audit_sync *sync = argument;
    pthread_mutex_lock(&sync->lock);
    for (;;) {
        while (!has_errand(sync) && !sync->stopping)
            pthread_cond_wait(&sync->wanted, &sync->lock);
        if (!has_errand(sync))
            break;
        struct errand errand = take_errand(sync);
        pthread_mutex_unlock(&sync->lock);
        int failure = run_errand(sync, &errand);
        pthread_mutex_lock(&sync->lock);
        if (errand.retired)
            forget_oldest(sync);
        if (failure != 0) {
            sync->failure = failure;
            sync->head.link.seq = 0; /* it may speak of what is lost */
        } else if (errand.head.link.seq != 0 && errand.head.epoch_ms > sync->noted_epoch) {
            sync->noted_epoch = errand.head.epoch_ms;
        }
    }
    pthread_mutex_unlock(&sync->lock);
    return NULL;
}

/* ---- the I/O thread's side ---- */

static int start_thread(struct audit_sync *sync)
{
    return process_start_thread(&sync->thread, PROCESS_STACK_SIZE, sync_main, sync);
}

static void clear(struct audit_sync *sync)
{
    pthread_cond_destroy(&sync->room);
    pthread_cond_destroy(&sync->wanted);
    pthread_mutex_destroy(&sync->lock);
    free(sync);
}

struct audit_sync *audit_sync_new(int folder, const struct sign_key *key)
{
    struct audit_sync *sync = calloc(1, sizeof *sync);
    if (sync == NULL)
        return NULL;
    sync->folder = folder;
    sync->key = key;
    sync->fd = -1;
    pthread_mutex_init(&sync->lock, NULL);
    pthread_cond_init(&sync->wanted, NULL);
    pthread_cond_init(&sync->room, NULL);
    if (start_thread(sync) == 0)
        return sync;
    clear(sync);
    return NULL;
}

void audit_sync_free(struct audit_sync *sync)
{
    if (sync == NULL)
        return;
    pthread_mutex_lock(&sync->lock);
    sync->stopping = true;
    pthread_cond_signal(&sync->wanted);
    pthread_mutex_unlock(&sync->lock);
    pthread_join(sync->thread, NULL);
    clear(sync);
}

void audit_sync_want(struct audit_sync *sync, int fd, const struct audit_head *head)
{
    pthread_mutex_lock(&sync->lock);
    sync->fd = fd;
    if (head != NULL)
        sync->head = *head;
    pthread_cond_signal(&sync->wanted);
    pthread_mutex_unlock(&sync->lock);
}

void audit_sync_note(struct audit_sync *sync, const struct audit_head *head)
{
    pthread_mutex_lock(&sync->lock);
    sync->head = *head;
    pthread_cond_signal(&sync->wanted);
    pthread_mutex_unlock(&sync->lock);
}

uint64_t audit_sync_noted_epoch(struct audit_sync *sync)
{
    pthread_mutex_lock(&sync->lock);
    uint64_t epoch_ms = sync->noted_epoch;
    pthread_mutex_unlock(&sync->lock);
    return epoch_ms;
}

void audit_sync_retire(struct audit_sync *sync, int fd)
{
    pthread_mutex_lock(&sync->lock);
    assert(sync->retired_count < RETIRED_MAX);
    sync->retired[sync->retired_count++] = fd;
    if (sync->fd == fd)
        sync->fd = -1;
    pthread_cond_signal(&sync->wanted);
    pthread_mutex_unlock(&sync->lock);
}

void audit_sync_keep_pace(struct audit_sync *sync)
{
    pthread_mutex_lock(&sync->lock);
    while (sync->retired_count > RETIRED_MANY)
        pthread_cond_wait(&sync->room, &sync->lock);
    pthread_mutex_unlock(&sync->lock);
}

int audit_sync_failure(struct audit_sync *sync)
{
    pthread_mutex_lock(&sync->lock);
    int failure = sync->failure;
    sync->failure = 0;
    pthread_mutex_unlock(&sync->lock);
    return failure;
}
