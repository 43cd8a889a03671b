#include "keyserver/net/net.h"

#include <unistd.h>

#include "common/privileges.h"
#include "common/process.h"
#include "common/sandbox.h"
#include "common/secret.h"
#include "keyserver/net/admission.h"
#include "keyserver/net/control.h"
#include "keyserver/net/server_status.h"
#include "keyserver/rules/authorized_snapshot.h"

#define CONTROL_ROUNDS 8 /* messages taken in one turn */

struct net {
    const struct server_config *config; /* borrowed */
    struct identity *identity;          /* owned, guarded */
    struct authorized *authorized;      /* owned */
    struct authorized *coming;          /* owned; what the next vault goes by; NULL = the same */
    uv_loop_t loop;
    struct service *service; /* owned */
    struct admission admission;
    struct channel_listener *listeners[SERVER_LISTENERS_MAX]; /* owned */
    struct admin *admin;                                      /* owned; NULL = none */
    struct server_status status;
    struct sandbox_state sandbox;
    uv_poll_t control;
    int control_fd; /* owned */
};

/* ---- the end ---- */

static void close_listeners(struct net *net)
{
    for (size_t i = 0; i < SERVER_LISTENERS_MAX; i++) {
        channel_listener_close(net->listeners[i]);
        net->listeners[i] = NULL;
    }
}

/* Nothing is open any more: with its handles closed the loop runs out. */
static void on_drained(void *user)
{
    struct net *net = user;

    close_listeners(net);
    admin_close(net->admin);
    net->admin = NULL;
    service_close(net->service);
    uv_close((uv_handle_t *)&net->control, NULL);
}

static void drain(struct net *net)
{
    if (service_draining(net->service))
        return;
    log_event(LOG_INFO, "draining", "open=%zu timeout_ms=%llu", service_open(net->service),
              (unsigned long long)net->config->drain_timeout);
    close_listeners(net);
    service_drain(net->service, on_drained, net);
}

/* ---- the supervisor ---- */

/* Keeps a new list until the vault that goes by it is there. */
static void take_edges(struct net *net, int fd)
{
    const char *file = net->config->authorized_edges;
    struct fault fault = {.text = ""};

    authorized_free(net->coming);
    net->coming = NULL;
    int r = authorized_snapshot_load(&net->coming, fd, file, &fault);
    if (r == 0 && (r = authorized_check_others(net->coming, file, net->identity->public, &fault)) != 0) {
        authorized_free(net->coming);
        net->coming = NULL;
    }
    if (r != 0)
        log_event(LOG_ERROR, "edges_kept", "error=\"nobody is let go or let in: %s\"", fault.text);
    close(fd);
}

/* The new list takes effect: for new connections, for channels that are open, and in the vault. A handshake
 * that began under the old list goes on if the new one says the same of its edge. */
static void change_edges(struct net *net)
{
    struct authorized *before = net->authorized;

    if (net->coming == NULL)
        return;
    net->authorized = net->coming;
    net->admission.authorized = net->authorized;
    net->coming = NULL;
    for (size_t i = 0; i < SERVER_LISTENERS_MAX; i++) {
        if (net->listeners[i] != NULL)
            admission_review(&net->admission, before, net->listeners[i]);
    }
    service_revoke(net->service, net->authorized, before);
    log_event(LOG_INFO, "edges_loaded", "before=%zu now=%zu", authorized_count(before),
              authorized_count(net->authorized));
    authorized_free(before);
}

static void take_control(struct net *net, const struct control_message *message, int passed)
{
    if (message->kind == CONTROL_WALL && passed >= 0) {
        service_adopt_wall(net->service, passed, (enum control_wall_cause)message->value);
        if (message->value == CONTROL_WALL_RELOAD)
            change_edges(net);
        (void)!control_send(net->control_fd, CONTROL_TAKEN, 0, -1); /* who does not hear it has ended us */
    } else if (message->kind == CONTROL_EDGES && passed >= 0) {
        take_edges(net, passed);
    } else if (passed >= 0) {
        close(passed);
    }
    if (message->kind == CONTROL_LOAD && message->value < CONTROL_LOADS)
        net->status.load = (enum control_load)message->value;
    if (message->kind == CONTROL_DRAIN)
        drain(net);
}

static void on_control(uv_poll_t *poll, int status, int events)
{
    struct net *net = poll->data;
    int r = status < 0 ? ERR_CUT : 0;

    (void)events;
    for (int round = 0; r == 0 && round < CONTROL_ROUNDS; round++) {
        struct control_message message;
        int passed;
        r = control_receive(net->control_fd, &message, &passed);
        if (r == 0)
            take_control(net, &message, passed);
    }
    if (r == ERR_CUT || r == ERR_SYSTEM) { /* no supervisor, no new vault: finish what can be */
        uv_poll_stop(poll);
        drain(net);
    }
}

/* No connection is accepted while there is no vault: an edge would get `unavailable` for requests that can
 * wait the moment until the next vault is ready. */
static void on_vault(bool there, void *user)
{
    struct net *net = user;

    for (size_t i = 0; i < SERVER_LISTENERS_MAX; i++) {
        if (net->listeners[i] != NULL)
            channel_listener_pause(net->listeners[i], !there);
    }
}

/* ---- the beginning ---- */

static int lock_up(struct net *net, struct fault *fault)
{
    if (process_leave_standard() != 0)
        return process_fail(fault, "cannot open /dev/null");
    net->sandbox.files_denied = process_deny_files(); /* also to the thread that writes the log */
    int r = log_start(fault);
    if (r != 0)
        return r;
    r = sandbox_enter(&net->sandbox, SANDBOX_NET, (enum sandbox_mode)net->config->sandbox, -1, fault);
    if (r == 0)
        log_event(LOG_INFO, "sandbox", "system_calls=%s files=%s", sandbox_filter_name(net->sandbox.filter),
                  sandbox_files_name(net->sandbox.files_denied));
    return r;
}

/* Loads everything that comes from files, before the sandbox forbids opening any. */
static int load(struct net *net, int edges_fd, struct fault *fault)
{
    int r = process_harden("keyless-net", fault);

    if (r == 0)
        r = secret_start(fault);
    if (r == 0)
        r = authorized_snapshot_load(&net->authorized, edges_fd, net->config->authorized_edges, fault);
    close(edges_fd);
    if (r == 0)
        r = authorized_check_others(net->authorized, net->config->authorized_edges, net->identity->public,
                                    fault);
    if (r == 0)
        server_sockets_warn(net->config, authorized_count(net->authorized));
    if (r == 0)
        r = privileges_drop(net->config->user, PRIVILEGES_NO_GROUPS, fault);
    if (r == 0)
        r = sandbox_refuse_rings((enum sandbox_mode)net->config->sandbox, fault);
    return r != 0 ? r : lock_up(net, fault);
}

static int start_listeners(struct net *net, const int *fds, size_t count, struct fault *fault)
{
    struct channel_listener_settings settings;

    net->admission = (struct admission){.service = net->service,
                                        .authorized = net->authorized,
                                        .authorized_file = net->config->authorized_edges};
    admission_settings(&settings, net->config);
    settings.shares = service_shares(net->service);
    for (size_t i = 0; i < count; i++) {
        int r = channel_listener_start(&net->listeners[i], &net->loop, fds[i], net->identity, &settings,
                                       &admission_handlers, &net->admission);
        if (r != 0)
            return fault_set(fault, r, "a listener cannot be served: %s", err_string(r));
    }
    service_watch_vault(net->service, on_vault, net);
    on_vault(false, net); /* until the first vault is ready */
    return 0;
}

static int start_admin(struct net *net, int fd, struct fault *fault)
{
    if (fd < 0)
        return 0;
    int r = admin_start(&net->admin, &net->loop, fd, server_status_routes, &net->status);
    return r == 0 ? 0 : fault_set(fault, r, "the admin endpoint cannot be served: %s", err_string(r));
}

/* With the loop and the service there: everything that calls back. */
static int start_handlers(struct net *net, const struct net_descriptors *fds, struct fault *fault)
{
    server_status_init(&net->status, net->service, fds->listeners, fds->listener_count, net->listeners);
    net->status.sandbox = net->sandbox;
    int r = start_listeners(net, fds->listeners, fds->listener_count, fault);
    if (r == 0)
        r = start_admin(net, fds->admin, fault);
    if (r == 0 && uv_poll_start(&net->control, UV_READABLE | UV_DISCONNECT, on_control) != 0)
        r = fault_set(fault, ERR_SYSTEM, "the supervisor cannot be listened to");
    if (r == 0)
        r = control_send(net->control_fd, CONTROL_STARTED, 0, -1);
    return r;
}

static int run_net(struct net *net, const struct net_descriptors *fds, struct fault *fault)
{
    if (uv_loop_init(&net->loop) != 0)
        return fault_set(fault, ERR_SYSTEM, "no event loop");
    net->control.data = net;
    net->service = service_new(&net->loop, net->config);
    if (net->service == NULL || uv_poll_init(&net->loop, &net->control, net->control_fd) != 0) {
        if (net->service != NULL)
            service_close(net->service);
        uv_run(&net->loop, UV_RUN_DEFAULT);
        uv_loop_close(&net->loop);
        return fault_set(fault, ERR_MEMORY, "no memory for the service");
    }
    int r = start_handlers(net, fds, fault);
    if (r != 0)
        on_drained(net);
    uv_run(&net->loop, UV_RUN_DEFAULT);
    if (uv_loop_close(&net->loop) != 0 && r == 0)
        r = fault_set(fault, ERR_SYSTEM, "the event loop ended with something open");
    return r;
}

int net_run(const struct server_config *config, const struct net_descriptors *fds)
{
    struct net net = {.config = config, .identity = fds->identity, .control_fd = fds->control};
    struct fault fault = {.text = ""};
    int status = 0;

    if (process_name_limit(&fault, load(&net, fds->edges, &fault)) != 0) {
        log_event(LOG_ERROR, "net_failed", "error=\"%s\"", fault.text);
        status = 2;
    } else if (process_name_limit(&fault, run_net(&net, fds, &fault)) != 0) {
        log_event(LOG_ERROR, "net_failed", "error=\"%s\"", fault.text);
        status = 1;
    }
    service_free(net.service);
    authorized_free(net.authorized);
    authorized_free(net.coming);
    secret_free(net.identity);
    close(fds->control);
    return status;
}
