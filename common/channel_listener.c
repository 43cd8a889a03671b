#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/accepting.h"
#include "common/channel_internal.h"
#include "common/episode.h"
#include "common/half_open.h"
#include "common/process.h"
#include "common/secret.h"
#include "common/source_budget.h"

#define ACCEPTS_PER_WAKE 256 /* then open channels are served */
#define PAUSE_MS         100 /* without descriptors: connections wait in the kernel's queue */

struct channel_listener {
    uv_poll_t poll;
    uv_timer_t pause;
    unsigned handles; /* not yet closed by libuv */
    int fd;           /* owned */
    bool closing;
    bool paused;                 /* by its owner */
    bool broken;                 /* does not listen any more */
    struct episode exhaustion;   /* of descriptors */
    size_t half_open;            /* channels of the list, those included that are about to be freed */
    struct channel *first;       /* of the half-open channels */
    const struct identity *self; /* borrowed */
    struct channel_listener_settings settings;
    struct channel_listener_handlers handlers;
    void *user; /* borrowed */
    struct source_budget budget;
    struct half_open places;
};

void channel_listener_settings_default(struct channel_listener_settings *settings)
{
    channel_settings_default(&settings->channel);
    settings->shares = NULL;
    settings->half_open_max = 1024;
    settings->handshakes_per_second = 50;
}

/* ---- half-open channels ---- */

/* The listener outlives its half-open channels. */
static void free_when_done(struct channel_listener *l)
{
    if (l->handles > 0 || l->half_open > 0)
        return;
    wipe(l->budget.key, sizeof l->budget.key);
    half_open_clear(&l->places);
    free(l);
}

static void hold(struct channel_listener *l, struct channel *c)
{
    c->listener = l;
    c->next = l->first;
    c->link = &l->first;
    if (c->next != NULL)
        c->next->link = &c->next;
    l->first = c;
    l->half_open++;
    c->place = half_open_put(&l->places, &c->address, c);
    c->has_place = true;
}

static void give_up_place(struct channel_listener *l, struct channel *c)
{
    if (c->has_place)
        half_open_remove(&l->places, c->place);
    c->has_place = false;
}

static void drop(struct channel_listener *l, enum channel_drop why, const uint8_t *key,
                 const struct address *from)
{
    if (l->handlers.on_drop != NULL)
        l->handlers.on_drop(why, key, from, l->user);
}

void channel_listener_release(struct channel *c, bool dropped)
{
    struct channel_listener *l = c->listener;
    *c->link = c->next;
    if (c->next != NULL)
        c->next->link = c->link;
    c->listener = NULL;
    l->half_open--;
    give_up_place(l, c);
    if (dropped)
        drop(l, c->drop, c->has_peer ? c->peer : NULL, &c->address);
    free_when_done(l);
}

void channel_listener_authenticated(struct channel *c)
{
    half_open_remember(&c->listener->places, &c->address);
    channel_listener_release(c, false);
}

int channel_listener_lookup(struct channel *c, uint8_t psk[static NOISE_KEY_SIZE])
{
    struct channel_listener *l = c->listener;
    struct channel_verdict verdict = {.user = NULL};
    int err = l->handlers.on_lookup(c->peer, &c->address, &verdict, l->user);
    if (err == 0) {
        memcpy(psk, verdict.psk, NOISE_KEY_SIZE);
        c->user = verdict.user;
    }
    wipe(&verdict, sizeof verdict);
    if (l->closing)
        return ERR_CLOSED;
    return err == 0 ? 0 : ERR_REFUSED;
}

/* ---- accepting ---- */

static int adopt(struct channel *c, int fd)
{
    if (address_is_local(&c->address))
        return uv_pipe_open(&c->socket.pipe, fd);
    return uv_tcp_open(&c->socket.tcp, fd);
}

/* Takes FD; without memory for its channel the connection is closed. */
static void welcome(struct channel_listener *l, int fd, const struct address *from)
{
    struct channel_opening *opening = calloc(1, sizeof *opening);
    struct channel *c = opening != NULL ? channel_new(l->poll.loop, from, &l->settings.channel,
                                                      &l->handlers.channel, NULL)
                                        : NULL;
    if (c == NULL) {
        free(opening);
        close(fd);
        drop(l, DROP_HALF_OPEN, NULL, from);
        return;
    }
    c->opening = opening;
    c->shares = l->settings.shares;
    c->share = c->shares != NULL ? &c->shares->strangers : NULL;
    hold(l, c);
    if (adopt(c, fd) != 0) {
        close(fd);
        channel_end(c, ERR_SYSTEM);
        return;
    }
    c->state = CHANNEL_WAIT_MESSAGE;
    channel_handshake_start(c, l->self);
    channel_io_start(c);
}

/* Drops a half-open connection if need be, so that the newest finds a place. */
static void make_room(struct channel_listener *l)
{
    struct channel *victim = half_open_find_victim(&l->places);
    if (victim == NULL)
        return;
    give_up_place(l, victim);
    channel_end(victim, ERR_BUSY);
}

static void admit(struct channel_listener *l, int fd, const struct address *from)
{
    if (source_budget_take(&l->budget, from, uv_now(l->poll.loop))) {
        make_room(l);
        welcome(l, fd, from);
        return;
    }
    channel_io_drain(fd);
    close(fd);
    drop(l, DROP_BUDGET, NULL, from);
}

static void on_acceptable(uv_poll_t *poll, int status, int events);

static void on_pause_over(uv_timer_t *timer);

/* Pauses: accepting again at once would spin until a descriptor is free, or the socket listens again. */
static void take_rest(struct channel_listener *l)
{
    uv_poll_stop(&l->poll);
    uv_timer_start(&l->pause, on_pause_over, PAUSE_MS, 0);
}

/* New connections wait in the kernel's queue. */
static void run_short(struct channel_listener *l, int error)
{
    take_rest(l);
    if (episode_note(&l->exhaustion, uv_now(l->poll.loop)) && l->handlers.on_exhausted != NULL)
        l->handlers.on_exhausted(error, l->user);
}

/* Whoever connects is refused by the kernel. */
static void stand_broken(struct channel_listener *l)
{
    struct address at;
    bool begins = !l->broken;
    l->broken = true;
    take_rest(l);
    if (!begins || l->handlers.on_broken == NULL)
        return;
    if (address_of_socket(l->fd, &at) != 0)
        memset(&at, 0, sizeof at);
    l->handlers.on_broken(&at, l->user);
}

/* True when a descriptor is free beside those held in reserve. */
static bool may_accept(const struct channel_listener *l)
{
    int probe = fcntl(l->fd, F_DUPFD_CLOEXEC, 0);
    if (probe < 0)
        return false;
    bool low = process_descriptors_low(probe);
    close(probe);
    return !low;
}

static void on_pause_over(uv_timer_t *timer)
{
    struct channel_listener *l = timer->data;
    if (!may_accept(l)) {
        run_short(l, EMFILE);
        return;
    }
    if (l->paused)
        return;
    uv_poll_start(&l->poll, UV_READABLE, on_acceptable);
    if (l->broken)
        on_acceptable(&l->poll, 0, 0); /* nothing else shows that it listens again */
}

/* After accept(2) has failed with ERROR; true when the next connection may be there. */
static bool goes_on_after(struct channel_listener *l, int error)
{
    enum accept_failure failure = accept_failure_of(l->fd, error);
    if (failure == ACCEPT_PASSING)
        return true;
    if (failure == ACCEPT_NOBODY)
        l->broken = false;
    else if (failure == ACCEPT_BROKEN)
        stand_broken(l);
    else
        run_short(l, error);
    return false;
}

static void on_acceptable(uv_poll_t *poll, int status, int events)
{
    struct channel_listener *l = poll->data;
    (void)status;
    (void)events;
    for (int i = 0; i < ACCEPTS_PER_WAKE && !l->closing && !l->paused; i++) {
        struct address from = {.length = sizeof from.u};
        int fd = accept4(l->fd, &from.u.any, &from.length, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (!goes_on_after(l, errno))
                return;
            continue;
        }
        bool low = process_descriptors_low(fd);
        l->broken = false;
        admit(l, fd, &from);
        if (low) {
            run_short(l, EMFILE);
            return;
        }
    }
}

int channel_listener_start(struct channel_listener **out, uv_loop_t *loop, int fd,
                           const struct identity *self, const struct channel_listener_settings *settings,
                           const struct channel_listener_handlers *handlers, void *user)
{
    struct channel_listener *l = calloc(1, sizeof *l);
    if (l == NULL || half_open_init(&l->places, settings->half_open_max) != 0) {
        free(l);
        close(fd);
        return ERR_MEMORY;
    }
    if (uv_poll_init(loop, &l->poll, fd) != 0) {
        half_open_clear(&l->places);
        close(fd);
        free(l);
        return ERR_SYSTEM;
    }
    uv_timer_init(loop, &l->pause);
    l->handles = 2;
    l->poll.data = l->pause.data = l;
    l->fd = fd;
    l->self = self;
    l->settings = *settings;
    l->handlers = *handlers;
    l->user = user;
    source_budget_init(&l->budget, settings->handshakes_per_second);
    uv_poll_start(&l->poll, UV_READABLE, on_acceptable);
    *out = l;
    return 0;
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct channel_listener *l = handle->data;
    l->handles--;
    free_when_done(l);
}

void channel_listener_review(struct channel_listener *listener, channel_listener_check *check, void *user)
{
    for (struct channel *c = listener->first; c != NULL; c = c->next) {
        int err = c->has_peer ? check(c->peer, &c->address, user) : 0;
        if (err != 0)
            channel_end(c, err);
    }
}

static void drop_half_open(struct channel_listener *listener)
{
    for (struct channel *c = listener->first; c != NULL; c = c->next) {
        c->silent = true;
        channel_end(c, ERR_CLOSED);
    }
}

bool channel_listener_is_broken(const struct channel_listener *listener)
{
    return listener->broken;
}

void channel_listener_pause(struct channel_listener *listener, bool paused)
{
    if (listener->paused == paused || listener->closing)
        return;
    listener->paused = paused;
    if (paused)
        uv_poll_stop(&listener->poll);
    else if (listener->broken)
        uv_timer_start(&listener->pause, on_pause_over, 0, 0);
    else if (!uv_is_active((uv_handle_t *)&listener->pause))
        uv_poll_start(&listener->poll, UV_READABLE, on_acceptable);
}

void channel_listener_close(struct channel_listener *listener)
{
    if (listener == NULL || listener->closing)
        return;
    listener->closing = true;
    drop_half_open(listener);
    uv_close((uv_handle_t *)&listener->poll, on_handle_closed);
    uv_close((uv_handle_t *)&listener->pause, on_handle_closed);
    close(listener->fd);
}
