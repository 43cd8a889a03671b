#include "common/log_writer.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include "common/log_ring.h"
#include "common/process.h"

#define PATIENCE_MS   1000 /* in all, while lines are written at once and nobody reads */
#define RETRY_MS      1000 /* between two tries when standard error itself does not wait */
#define FINISH_ROUNDS 4    /* of its timeout, as long as somebody reads */
#define RESCUE_MS     200  /* for a piece */
#define RESCUE_ALL_MS 1000 /* for all of them, however slowly somebody reads */
#define RESCUE_TRIES  1000 /* for the lock */
#define HALF          (LOG_RING_SIZE / 2)
#define STACK_SIZE    (256 * 1024) /* with the variables of every thread */

enum state {
    STATE_NONE,    /* no thread: lines are written at once */
    STATE_IDLE,    /* sleeps until there is a line */
    STATE_LINGERS, /* has just written: lets some records come together */
    STATE_WRITES,  /* looks again when it has written */
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t work; /* for the thread */
    pthread_cond_t done; /* for who waits until all is written */
    /* All under lock. */
    enum state state;
    bool runs;     /* the thread has come as far as to the lock */
    bool in_haste; /* something is there that is not to wait */
    bool finished; /* the process ends: lines are written at once again */
    struct log_ring ring;
    _Atomic uint64_t gap;     /* dropped and not told yet */
    _Atomic uint64_t dropped; /* in all */
    _Atomic int patience_ms;  /* left for lines that are written at once */
    _Atomic bool in_flight;   /* the thread has taken a piece that is not written yet */
    _Atomic bool torn;        /* the last line that standard error has of this process has no end */
} writer = {.lock = PTHREAD_MUTEX_INITIALIZER,
            .work = PTHREAD_COND_INITIALIZER,
            .done = PTHREAD_COND_INITIALIZER,
            .patience_ms = PATIENCE_MS};

static void count_dropped(const char *lines, size_t length)
{
    uint64_t count = 0;
    for (size_t i = 0; i < length; i++)
        count += lines[i] == '\n';
    writer.gap += count;
    writer.dropped += count;
}

/* True when standard error takes a piece without waiting. A pipe that polls writable has a page free, unless
 * another process fills it at the same time. */
static bool is_writable(int timeout_ms)
{
    struct pollfd entry = {.fd = STDERR_FILENO, .events = POLLOUT};
    int ready;
    while ((ready = poll(&entry, 1, timeout_ms)) < 0 && errno == EINTR)
        continue;
    return ready > 0 && (entry.revents & POLLOUT) != 0;
}

static int write_bytes(const char *text, size_t length)
{
    while (length > 0) {
        ssize_t done = write(STDERR_FILENO, text, length);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0 && errno == EAGAIN) { /* its owner has made it non-blocking */
            (void)is_writable(RETRY_MS);
            continue;
        }
        if (done <= 0)
            return ERR_SYSTEM;
        writer.torn = text[done - 1] != '\n';
        text += done;
        length -= (size_t)done;
    }
    return 0;
}

/* A full disk takes a part of a line. Once it has room again, the next line begins on a line of its own. */
static int write_all(const char *text, size_t length)
{
    int err = writer.torn ? write_bytes("\n", 1) : 0;
    return err != 0 ? err : write_bytes(text, length);
}

/* ---- without a thread ---- */

static bool writes_at_once(void)
{
    return writer.state == STATE_NONE || writer.finished;
}

/* True when standard error takes a piece before the time is up. After one wait in vain nothing waits until
 * standard error takes something again. */
static bool gets_room(void)
{
    int patience = writer.patience_ms;
    if (!is_writable(patience)) {
        writer.patience_ms = 0;
        return false;
    }
    if (patience == 0 && !writer.finished)
        writer.patience_ms = PATIENCE_MS;
    return true;
}

static void write_at_once(const char *lines, size_t length)
{
    if (!gets_room() || write_all(lines, length) != 0)
        count_dropped(lines, length);
}

/* ---- the thread ---- */

/* Writes until nothing is left. Called with the lock, which it releases while it writes. */
static void write_what_waits(void)
{
    static char piece[LOG_PIECE_SIZE];
    size_t length;

    writer.state = STATE_WRITES;
    writer.in_haste = false;
    while ((length = log_ring_take(&writer.ring, piece)) > 0) {
        writer.in_flight = true;
        pthread_mutex_unlock(&writer.lock);
        int error = write_all(piece, length);
        writer.in_flight = false;
        pthread_mutex_lock(&writer.lock);
        if (error != 0)
            count_dropped(piece, length);
    }
}

static struct timespec in_ms(unsigned ms)
{
    struct timespec at;

    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += ms / 1000;
    at.tv_nsec += (long)(ms % 1000) * 1000000L;
    if (at.tv_nsec >= 1000000000L) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000L;
    }
    return at;
}

static void linger(void)
{
    const struct timespec until = in_ms(LOG_LINGER_MS);

    writer.state = STATE_LINGERS;
    while (!writer.in_haste && log_ring_fill(&writer.ring) < HALF &&
           pthread_cond_clockwait(&writer.work, &writer.lock, CLOCK_MONOTONIC, &until) == 0)
        continue;
}

static void *writer_main(void *argument)
{
    (void)argument;
    pthread_mutex_lock(&writer.lock);
    writer.runs = true;
    pthread_cond_broadcast(&writer.done);
    for (;;) {
        while (log_ring_fill(&writer.ring) == 0) {
            writer.state = STATE_IDLE;
            pthread_cond_broadcast(&writer.done);
            pthread_cond_wait(&writer.work, &writer.lock);
        }
        write_what_waits();
        pthread_cond_broadcast(&writer.done);
        linger();
    }
    return NULL;
}

/* ---- fork ---- */

static void before_fork(void)
{
    pthread_mutex_lock(&writer.lock);
}

static void after_fork_in_parent(void)
{
    pthread_mutex_unlock(&writer.lock);
}

static void after_fork_in_child(void)
{
    writer.lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    writer.work = writer.done = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
    writer.state = STATE_NONE;
    writer.runs = writer.finished = false;
    writer.in_flight = false;
    log_ring_clear(&writer.ring);
    writer.gap = writer.dropped = 0;
    writer.patience_ms = PATIENCE_MS;
}

/* ---- the outside ---- */

/* The thread blocks all signals: other threads handle them. */
static int start_thread(void)
{
    pthread_t thread;
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int err = process_start_thread(&thread, STACK_SIZE, writer_main, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (err == 0)
        pthread_detach(thread);
    return err;
}

int log_writer_start(void)
{
    static bool registered;
    int error = 0;

    if (!registered)
        registered = pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child) == 0;
    if (!registered) {
        errno = ENOMEM;
        return ERR_MEMORY;
    }
    pthread_mutex_lock(&writer.lock);
    if (writer.state == STATE_NONE) {
        error = start_thread();
        writer.state = error == 0 ? STATE_WRITES : STATE_NONE; /* it looks for lines before it sleeps */
        while (error == 0 &&
               !writer.runs) /* no fork while the thread starts, because starting allocates memory */
            pthread_cond_wait(&writer.done, &writer.lock);
    }
    pthread_mutex_unlock(&writer.lock);
    return error;
}

void log_writer_put(const char *lines, size_t length, enum log_haste haste)
{
    if (length == 0)
        return;
    pthread_mutex_lock(&writer.lock);
    if (writes_at_once()) {
        pthread_mutex_unlock(&writer.lock);
        write_at_once(lines, length);
        return;
    }
    if (log_ring_put(&writer.ring, lines, length) != 0)
        count_dropped(lines, length);
    writer.in_haste = writer.in_haste || haste == LOG_AT_ONCE;
    bool wakes = writer.state == STATE_IDLE ||
                 (writer.state == STATE_LINGERS && (writer.in_haste || log_ring_fill(&writer.ring) >= HALF));
    pthread_mutex_unlock(&writer.lock);
    if (wakes)
        pthread_cond_signal(&writer.work);
}

uint64_t log_writer_take_gap(void)
{
    if (writer.gap == 0)
        return 0;
    pthread_mutex_lock(&writer.lock);
    bool at_once = writes_at_once(), has_room = log_ring_has_room(&writer.ring);
    pthread_mutex_unlock(&writer.lock);
    return (at_once ? gets_room() : has_room) ? atomic_exchange(&writer.gap, 0) : 0;
}

uint64_t log_writer_dropped(void)
{
    return writer.dropped;
}

static int ms_until(const struct timespec *at)
{
    struct timespec now = in_ms(0);
    long left = (at->tv_sec - now.tv_sec) * 1000L + (at->tv_nsec - now.tv_nsec) / 1000000L;

    return left > 0 ? (int)left : 0;
}

static bool all_is_written(void)
{
    return log_ring_fill(&writer.ring) == 0 && writer.state != STATE_WRITES;
}

void log_writer_finish(unsigned timeout_ms)
{
    struct timespec until;
    uint64_t taken;
    int rounds = FINISH_ROUNDS;

    pthread_mutex_lock(&writer.lock);
    writer.in_haste = true;
    pthread_cond_signal(&writer.work);
    do {
        taken = writer.ring.tail;
        until = in_ms(timeout_ms);
        while (!all_is_written() &&
               pthread_cond_clockwait(&writer.done, &writer.lock, CLOCK_MONOTONIC, &until) == 0)
            continue;
    } while (!all_is_written() && writer.ring.tail != taken && --rounds > 0);
    writer.finished = writer.state != STATE_NONE;
    if (writer.finished) /* the rest is for the line that reports a gap: the pipe may just have been filled */
        writer.patience_ms = all_is_written() ? ms_until(&until) : 0;
    pthread_mutex_unlock(&writer.lock);
}

/* What the thread has taken comes before the rest. */
static void let_it_write(void)
{
    for (int ms = 0; writer.in_flight && ms < RESCUE_MS; ms++)
        (void)poll(NULL, 0, 1);
}

void log_writer_rescue(const char *last, size_t length)
{
    char piece[LOG_PIECE_SIZE];
    size_t taken;
    int tries = RESCUE_TRIES;

    while (pthread_mutex_trylock(&writer.lock) != 0 && --tries > 0)
        sched_yield();
    let_it_write();
    const struct timespec until = in_ms(RESCUE_ALL_MS);
    while (ms_until(&until) > 0 && (taken = log_ring_take(&writer.ring, piece)) > 0) {
        if (!is_writable(RESCUE_MS) || write(STDERR_FILENO, piece, taken) != (ssize_t)taken)
            return;
    }
    if (is_writable(RESCUE_MS))
        (void)!write(STDERR_FILENO, last, length);
}
