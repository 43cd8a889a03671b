#include "keyserver/net/server_sockets.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/address.h"
#include "common/admin.h"
#include "common/channel_times.h"
#include "common/descriptors.h"
#include "common/listening.h"

#define BACKLOG          1024
#define CHANNELS_AN_EDGE 16 /* one a thread of it */

int server_sockets_check_count(const struct server_config *config, const char *file, struct fault *fault)
{
    if (config->listen.count >= 1 && config->listen.count <= SERVER_LISTENERS_MAX)
        return 0;
    return fault_set(fault, ERR_CONFIG, "%s: listen: has %zu addresses; give between 1 and %d", file,
                     config->listen.count, SERVER_LISTENERS_MAX);
}

static bool has_admin(const struct server_config *config)
{
    return config->admin != NULL && strcmp(config->admin, "off") != 0;
}

static int bind_listener(struct server_sockets *sockets, const struct address *address, struct fault *fault)
{
    struct address bound;
    char text[ADDRESS_TEXT_SIZE];

    int fd = address_listen(address, false, BACKLOG, fault);
    if (fd < 0)
        return fd;
    sockets->listeners[sockets->listener_count++] = fd;
    if (address_of_socket(fd, &bound) == 0)
        log_event(LOG_INFO, "listening", "address=%s", address_text(&bound, text));
    return 0;
}

static int bind_listeners(struct server_sockets *sockets, const struct config_strings *listen,
                          struct fault *fault)
{
    struct address list[SERVER_LISTENERS_MAX];
    int r = 0;

    for (size_t i = 0; r == 0 && i < listen->count; i++)
        r = address_parse(&list[i], listen->item[i], SERVER_DEFAULT_PORT, fault);
    if (r == 0)
        address_split_families(list, listen->count);
    for (size_t i = 0; r == 0 && i < listen->count; i++)
        r = bind_listener(sockets, &list[i], fault);
    return r;
}

int server_sockets_bind(struct server_sockets *sockets, const struct server_config *config, const char *file,
                        struct fault *fault)
{
    struct address address;
    int r = server_sockets_check_count(config, file, fault);

    *sockets = (struct server_sockets){.admin_fd = -1};
    if (r == 0)
        r = bind_listeners(sockets, &config->listen, fault);
    if (r != 0 || !has_admin(config))
        return r;
    r = address_parse(&address, config->admin, SERVER_ADMIN_DEFAULT_PORT, fault);
    if (r != 0)
        return r;
    sockets->admin_fd = admin_listen(&address, fault);
    return sockets->admin_fd < 0 ? sockets->admin_fd : 0;
}

void server_sockets_listen(const struct server_sockets *sockets)
{
    for (size_t i = 0; i < sockets->listener_count; i++)
        (void)!listen(sockets->listeners[i], BACKLOG); /* one that cannot is told of when it is to accept */
}

/* The net process needs the most descriptors: its loop, its ends of the wall, and a few connections. */
int server_sockets_check_limit(const struct server_config *config, struct fault *fault)
{
    const unsigned long once = 32;
    return descriptors_check(once + config->listen.count, "a key server", fault);
}

/* With such a timeout a single late ping, as after one lost packet, closes the channel and fails its open
 * requests. */
static void warn_of_idle_timeout(const struct server_config *config)
{
    if (config->idle_timeout < CHANNEL_SILENT_MS(CHANNEL_PING_MS))
        log_event(LOG_WARN, "idle_timeout_short",
                  "error=\"%s: with an idle_timeout of %llu ms one late ping of an edge ends its channel\" "
                  "hint=\"edges ping every %u ms; give at least %u ms\"",
                  config->place.idle_timeout, (unsigned long long)config->idle_timeout, CHANNEL_PING_MS,
                  CHANNEL_SILENT_MS(CHANNEL_PING_MS));
}

/* Allowed, so that a key server can be started before its first edge is known. */
static void warn_of_no_edge(const struct server_config *config)
{
    log_event(
        LOG_WARN, "no_edges",
        "error=\"%s: no edge is in it, so none can connect\" "
        "hint=\"append the line that keyless init --edge prints, then reload; a reload refuses the file "
        "while it is empty\"",
        config->authorized_edges);
}

void server_sockets_warn(const struct server_config *config, size_t edges)
{
    char why[128];
    warn_of_idle_timeout(config);
    if (edges == 0)
        warn_of_no_edge(config);
    snprintf(why, sizeof why, "half_open_max = %d with %zu edge%s that may connect", config->half_open_max,
             edges, edges == 1 ? "" : "s");
    descriptors_require((unsigned)config->half_open_max + edges * CHANNELS_AN_EDGE + DESCRIPTORS_SPARE, why);
}

void server_sockets_close(struct server_sockets *sockets)
{
    for (size_t i = 0; i < sockets->listener_count; i++)
        close(sockets->listeners[i]);
    if (sockets->admin_fd >= 0)
        close(sockets->admin_fd);
    *sockets = (struct server_sockets){.admin_fd = -1};
}
