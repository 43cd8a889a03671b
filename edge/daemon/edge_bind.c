#include "edge/daemon/edge_bind.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BACKLOG           4096
#define QUIET_SECONDS_MAX 1 /* a connection that sends nothing is accepted after so long */

/* Options that connections inherit from the listening socket, so that none pays for them. The kernel reports
 * a connection when there is something to read (TCP_DEFER_ACCEPT), and sends what is written at once
 * (TCP_NODELAY). Both only improve the connection, so failure is no error. */
static void tune(int fd, const struct address *address)
{
    static const int on = 1, seconds = QUIET_SECONDS_MAX;

    if (address_is_local(address))
        return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds, sizeof(seconds));
}

static int *place(const struct edge_bind *bind, unsigned thread, size_t address)
{
    return &bind->fds[thread * bind->count + address];
}

/* The other threads' sockets for an address whose first is open at FIRST. */
static int open_others(struct edge_bind *bind, size_t address, int first, struct fault *fault)
{
    const struct address *bound = &bind->bound[address];
    char text[ADDRESS_TEXT_SIZE];

    for (unsigned thread = 1; thread < bind->threads; thread++) {
        int fd = address_is_local(bound) ? fcntl(first, F_DUPFD_CLOEXEC, 0)
                                         : address_listen(bound, true, BACKLOG, fault);
        if (fd == -1 && address_is_local(bound))
            return fault_set(fault, ERR_SYSTEM, "cannot share %s between threads: %s",
                             address_text(bound, text), strerror(errno));
        if (fd < 0)
            return fd;
        tune(fd, bound);
        *place(bind, thread, address) = fd;
    }
    return 0;
}

/* True when a socket of this edge already receives all connections of ADDRESS, so that an unshared socket
 * cannot be bound there. */
static bool is_ours(const struct edge_bind *bind, size_t address)
{
    for (size_t i = 0; i < bind->count; i++)
        if (*place(bind, 0, i) != -1 && address_covers(&bind->bound[i], &bind->bound[address]))
            return true;
    return false;
}

/* Opens the first socket for ADDRESS. Binding it unshared fails beside any other process that listens there;
 * only then is it shared, with the sockets of the other threads. */
static int open_first(struct edge_bind *bind, size_t address, struct fault *fault)
{
    const struct address *bound = &bind->bound[address];
    char text[ADDRESS_TEXT_SIZE];
    bool shared = is_ours(bind, address);

    int fd = address_listen(bound, shared, BACKLOG, fault);
    if (fd < 0)
        return fd;
    tune(fd, bound);
    *place(bind, 0, address) = fd;
    if (!shared && !address_is_local(bound) && address_share(fd) != 0)
        return fault_set(fault, ERR_SYSTEM, "%s: cannot be shared between threads: %s",
                         address_text(bound, text), strerror(errno));
    return 0;
}

static int open_address(struct edge_bind *bind, size_t address, const char *text, struct fault *fault)
{
    struct address *bound = &bind->bound[address];
    bool v6_only = bound->v6_only;
    char actual[ADDRESS_TEXT_SIZE];
    int err = open_first(bind, address, fault);

    if (err)
        return err;
    int fd = *place(bind, 0, address);
    if (!address_is_local(bound) && (err = address_of_socket(fd, bound)) != 0)
        return fault_set(fault, err, "%s: cannot tell the bound address: %s", text, strerror(errno));
    bound->v6_only = v6_only;
    err = open_others(bind, address, fd, fault);
    if (!err)
        log_event(LOG_INFO, "listening", "address=%s threads=%u", address_text(bound, actual), bind->threads);
    return err;
}

/* True when another address covers ADDRESS: "0.0.0.0:443" covers "192.0.2.1:443". */
static bool has_wider(const struct edge_bind *bind, size_t address)
{
    const struct address *narrow = &bind->bound[address];

    for (size_t i = 0; i < bind->count; i++)
        if (address_covers(&bind->bound[i], narrow) && !address_covers(narrow, &bind->bound[i]))
            return true;
    return false;
}

/* Opens the addresses that another one covers, or those that none does. */
static int open_some(struct edge_bind *bind, const struct config_strings *listen, bool wider,
                     struct fault *fault)
{
    int err = 0;

    for (size_t i = 0; !err && i < bind->count; i++)
        if (has_wider(bind, i) == wider)
            err = open_address(bind, i, listen->item[i], fault);
    return err;
}

static int open_all(struct edge_bind *bind, const struct config_strings *listen, struct fault *fault)
{
    int err = 0;

    for (size_t i = 0; !err && i < listen->count; i++)
        err = address_parse(&bind->bound[i], listen->item[i], EDGE_DEFAULT_PORT, fault);
    if (!err)
        address_split_families(bind->bound, listen->count);
    if (!err)
        err = open_some(bind, listen, false, fault);
    if (!err)
        err = open_some(bind, listen, true, fault);
    return err;
}

int edge_bind_open(struct edge_bind *out, const struct setup *setup, struct fault *fault)
{
    const struct config_strings *listen = &setup->config.listen;
    size_t total = listen->count * setup->threads;

    *out = (struct edge_bind){.count = listen->count, .threads = setup->threads};
    out->bound = calloc(listen->count, sizeof(*out->bound));
    out->fds = calloc(total, sizeof(*out->fds));
    if (!out->bound || !out->fds) {
        free(out->bound);
        free(out->fds);
        *out = (struct edge_bind){0};
        return fault_set(fault, ERR_MEMORY, "no memory for %zu listening sockets", total);
    }
    for (size_t i = 0; i < total; i++)
        out->fds[i] = -1;
    int err = open_all(out, listen, fault);
    if (err)
        edge_bind_clear(out);
    return err;
}

const int *edge_bind_of_thread(const struct edge_bind *bind, unsigned thread)
{
    return place(bind, thread, 0);
}

void edge_bind_given(struct edge_bind *bind, unsigned thread)
{
    for (size_t i = 0; i < bind->count; i++)
        *place(bind, thread, i) = -1;
}

void edge_bind_clear(struct edge_bind *bind)
{
    for (size_t i = 0; bind->fds && i < bind->count * bind->threads; i++) {
        if (bind->fds[i] >= 0)
            close(bind->fds[i]);
    }
    free(bind->fds);
    free(bind->bound);
    *bind = (struct edge_bind){0};
}
