#include "edge/daemon/listeners.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/accepting.h"
#include "common/process.h"

#define ACCEPT_BATCH 64 /* connections taken in one wake-up of a listener */

struct listener {
    uv_poll_t poll;
    struct listeners *all; /* borrowed */
    int fd;                /* owned */
    bool broken;           /* does not listen any more: not polled, or it would spin */
};

static void on_listener(uv_poll_t *poll, int status, int events);

static void pause_accepting(struct listeners *listeners)
{
    if (!listeners->accepting)
        return;
    listeners->accepting = false;
    for (size_t i = 0; i < listeners->count; i++)
        uv_poll_stop(&listeners->item[i].poll);
}

static bool full(const struct listeners *listeners)
{
    return listeners->host->count >= listeners->connections_max;
}

void listeners_resume(struct listeners *listeners)
{
    if (listeners->accepting || listeners->closed || full(listeners) || listeners->rest.class != TIMEOUT_NONE)
        return;
    listeners->accepting = true;
    for (size_t i = 0; i < listeners->count; i++)
        if (!listeners->item[i].broken)
            uv_poll_start(&listeners->item[i].poll, UV_READABLE, on_listener);
}

/* No descriptor, or no memory in the kernel: the connection stays in the kernel's queue. Accepting again at
 * once would only spin. */
static void take_rest(struct listeners *listeners, int why)
{
    struct session_host *host = listeners->host;

    counter_add(&host->stats.paused_descriptors, 1);
    if (episode_note(&listeners->short_of_descriptors, uv_now(host->loop)))
        log_event(LOG_WARN, "accept_paused", "thread=%u error=\"%s\"", listeners->number, strerror(why));
    pause_accepting(listeners);
    if (!listeners->closed)
        timeouts_set(&host->timeouts, &listeners->rest, TIMEOUT_ACCEPT, uv_now(host->loop));
}

static void give_up(struct listener *listener)
{
    char text[ADDRESS_TEXT_SIZE] = "?";
    struct address at;

    listener->broken = true;
    uv_poll_stop(&listener->poll);
    counter_add(&listener->all->host->stats.listeners_broken, 1);
    if (address_of_socket(listener->fd, &at) == 0)
        address_text(&at, text);
    log_event(LOG_ERROR, "listener_broken",
              "thread=%u address=%s error=\"the socket does not listen any more\" hint=\"fewer clients, or "
              "none, can connect at this address until keyless-edge is restarted\"",
              listener->all->number, text);
}

/* After accept(2) has failed; true when there may be more to accept. */
static bool goes_on_after(struct listener *listener, int why)
{
    enum accept_failure failure = accept_failure_of(listener->fd, why);

    if (failure == ACCEPT_BROKEN)
        give_up(listener);
    else if (failure == ACCEPT_SHORT || failure == ACCEPT_LATER)
        take_rest(listener->all, why);
    return failure == ACCEPT_PASSING;
}

/* True when there may be more to accept. */
static bool accept_one(struct listener *listener)
{
    struct listeners *listeners = listener->all;
    struct address from = {.length = sizeof(from.u)};
    int fd = accept4(listener->fd, &from.u.any, &from.length, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd < 0)
        return goes_on_after(listener, errno);
    bool low = process_descriptors_low(fd);
    if (session_start(listeners->host, fd, &from) != 0)
        counter_add(&listeners->host->stats.accept_failed, 1);
    if (low)
        take_rest(listeners, EMFILE);
    return !low;
}

/* Logs once an episode: on a busy edge at connections_max, connections end and make room for the next many
 * times a second. */
static void pause_at_the_most(struct listeners *listeners)
{
    struct session_host *host = listeners->host;

    counter_add(&host->stats.paused_full, 1);
    if (episode_note(&listeners->at_the_most, uv_now(host->loop)))
        log_event(LOG_WARN, "accept_paused", "thread=%u connections=%zu error=\"connections_max reached\"",
                  listeners->number, host->count);
    pause_accepting(listeners);
}

static void accept_batch(struct listener *listener, int limit)
{
    struct listeners *listeners = listener->all;

    for (int i = 0; i < limit; i++) {
        if (full(listeners)) {
            pause_at_the_most(listeners);
            return;
        }
        if (!accept_one(listener))
            return;
    }
}

static void on_listener(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    accept_batch(poll->data, ACCEPT_BATCH);
}

int listeners_init(struct listeners *listeners, struct session_host *host, const int *fds, size_t count,
                   size_t connections_max, unsigned number)
{
    int err = 0;

    *listeners = (struct listeners){.host = host, .connections_max = connections_max, .number = number};
    listeners->item = calloc(count, sizeof(*listeners->item));
    if (!listeners->item)
        err = ERR_MEMORY;
    for (size_t i = 0; i < count; i++) {
        struct listener *listener = err ? NULL : &listeners->item[i];
        if (!listener || uv_poll_init(host->loop, &listener->poll, fds[i]) != 0) {
            err = err ? err : ERR_SYSTEM;
            close(fds[i]);
            continue;
        }
        listener->poll.data = listener;
        listener->all = listeners;
        listener->fd = fds[i];
        listeners->count++;
    }
    return err;
}

void listeners_close(struct listeners *listeners, bool serve)
{
    if (listeners->closed)
        return;
    listeners->closed = true;
    pause_accepting(listeners);
    timeouts_clear(&listeners->host->timeouts, &listeners->rest);
    for (size_t i = 0; i < listeners->count; i++) {
        struct listener *listener = &listeners->item[i];
        if (serve && !listener->broken)
            accept_batch(listener, SOMAXCONN);
        uv_close((uv_handle_t *)&listener->poll, NULL);
        close(listener->fd);
    }
}

void listeners_clear(struct listeners *listeners)
{
    free(listeners->item);
    listeners->item = NULL;
    listeners->count = 0;
}
