/* The events of channels and links. Every event of a connection begins here: conn.h and link.h say what it
 * means for them, and this file decides who else is told of it. */
#include "edge/keyclient/client_state.h"
#include "edge/keyclient/link_log.h"

static struct client *client_of(const struct conn *conn)
{
    return conn->setup->user;
}

static struct link *link_of(const struct conn *conn)
{
    return &client_of(conn)->pool.links[conn_server(conn)];
}

/* ---- what a link has become ---- */

static void tell_usable(struct client *client, bool opened)
{
    client->pool.usable = opened ? client->pool.usable + 1 : client->pool.usable - 1;
    turn_wake(&client->turn); /* what waits may leave, or the wait for its epochs is over */
    if (client->settings.on_servers != NULL && !client->closing)
        client->settings.on_servers(client->pool.usable, client->settings.user);
}

/* LINK has changed in a way that may matter to other modules. */
static void on_change(struct client *client, struct link *link, enum link_change change)
{
    size_t server = link->setup.number;

    switch (change) {
    case LINK_FAILED:
        turn_wake(&client->turn); /* perhaps no request needs to wait any longer */
        if (client->settings.on_failed != NULL && !client->closing)
            client->settings.on_failed(&link->failure, client->settings.user);
        break;
    case LINK_OPENED:
        epochs_connect(client->epochs, server, true);
        inquiries_stir(&client->inquiries, server);
        tell_usable(client, true);
        break;
    case LINK_CLOSED:
        epochs_connect(client->epochs, server, false);
        tell_usable(client, false);
        break;
    case LINK_REPLACED:
    case LINK_REPLACED_SILENT:
        turn_wake(&client->turn); /* client_links_flush() closes the one before when nothing is open there */
        break;
    case LINK_UNCHANGED:
        break;
    }
}

/* Hands all requests of CONN back; returns how many will be sent again. */
static size_t give_back(struct client *client, struct conn *conn)
{
    size_t again = 0;

    for (struct client_attempt *attempt; (attempt = conn_take_any(conn)) != NULL;)
        again += route_lost(&client->route, attempt, conn_server(conn));
    return again;
}

/* CONN's channel is lost, or is given up for the reason WHY. */
static void end_conn(struct conn *conn, int why)
{
    struct client *client = client_of(conn);
    struct link *link = link_of(conn);
    size_t in_flight = conn_in_flight(conn);

    if (!conn_end(conn))
        return;
    enum link_change change = link_ended(link, conn, why);
    on_change(client, link, change);
    size_t again = give_back(client, conn);
    if (change == LINK_CLOSED)
        link_log_lost(link, why, in_flight, again);
}

/* ---- channels ---- */

static void on_open(struct channel *channel, void *user)
{
    struct conn *conn = user;

    (void)channel;
    int err = conn->state != CONN_ENDED ? conn_send_hello(conn) : 0;
    if (err != 0)
        end_conn(conn, err);
}

static void on_hello(struct client *client, struct link *link)
{
    struct conn *before = NULL;
    enum link_change change = link_opened(link, &before);

    if (change == LINK_REPLACED_SILENT) {
        size_t in_flight = conn_in_flight(before);
        size_t again = give_back(client, before);
        link_log_replaced(link, in_flight, again);
    }
    on_change(client, link, change);
}

static void on_answers(struct client *client, struct conn *conn, const struct msg *msg)
{
    for (size_t i = 0; i < msg->count && conn->state != CONN_ENDED; i++) {
        const struct msg_answer *answer = &msg->answers[i];
        struct client_attempt *attempt = conn_match(conn, &answer);
        if (attempt == NULL)
            continue;
        if (answer != NULL)
            link_answered(link_of(conn));
        if (answer != NULL && answer->outcome.status == STATUS_REFUSED &&
            attempt->request->operation.kind != OP_KEYS)
            inquiries_stir(&client->inquiries, conn_server(conn));
        route_answered(&client->route, attempt, answer);
    }
}

static void on_message(struct channel *channel, const uint8_t *bytes, size_t length, void *user)
{
    struct conn *conn = user;
    struct client *client = client_of(conn);
    struct link *link = link_of(conn);
    struct msg *msg = NULL;

    (void)channel;
    if (conn->state == CONN_ENDED)
        return;
    int err = conn_read(conn, bytes, length, &msg);
    if (err != 0)
        end_conn(conn, err);
    else if (msg->kind == MSG_HELLO)
        on_hello(client, link);
    else if (msg->kind == MSG_ANSWERS)
        on_answers(client, conn, msg);
    else if (conn == link->current) /* a replaced one announces the same */
        client_epochs_take(client, conn_server(conn), &msg->epoch);
    msg_free(msg);
}

static void on_writable(struct channel *channel, void *user)
{
    struct conn *conn = user;

    (void)channel;
    conn_unblock(conn);
    if (conn->state != CONN_ENDED)
        turn_wake(&client_of(conn)->turn);
}

static void on_close(struct channel *channel, int why, void *user)
{
    struct conn *conn = user;
    struct client *client = client_of(conn);

    (void)channel;
    end_conn(conn, why);
    link_drop(link_of(conn), conn);
    client_free_when_closed(client);
}

static const struct channel_handlers handlers = {
    .on_open = on_open,
    .on_message = on_message,
    .on_writable = on_writable,
    .on_close = on_close,
};

/* ---- connecting ---- */

static void on_link_timer(uv_timer_t *timer)
{
    struct link *link = timer->data;
    struct conn *overdue = NULL;

    on_change(link->setup.user, link, link_timed_out(link, &overdue));
    if (overdue != NULL)
        end_conn(overdue, ERR_TIMEOUT);
}

void client_links_start(struct client *client)
{
    const struct conn_setup setup = {
        .loop = client->loop, .handlers = &handlers, .user = client, .batch = &client->batch};

    for (size_t i = 0; i < client->pool.count; i++)
        link_init(&client->pool.links[i], &client->settings, i, &setup, on_link_timer);
    for (size_t i = 0; i < client->pool.count; i++)
        on_change(client, &client->pool.links[i], link_start(&client->pool.links[i]));
}

static void on_link_timer_closed(uv_handle_t *handle)
{
    struct link *link = handle->data;

    link->parts--;
    client_free_when_closed(link->setup.user);
}

void client_links_close(struct client *client)
{
    client->pool.usable = 0;
    for (size_t i = 0; i < client->pool.count; i++)
        link_close(&client->pool.links[i], on_link_timer_closed);
}

void client_links_resolved(struct client *client)
{
    for (size_t i = 0; i < client->pool.count; i++)
        on_change(client, &client->pool.links[i], link_resolved(&client->pool.links[i]));
}

/* ---- in each turn ---- */

static void flush_link(struct link *link)
{
    for (struct conn *conn = link->conns, *next; conn != NULL; conn = next) {
        next = conn->next;
        int err = conn_flush(conn);
        if (err != 0)
            end_conn(conn, err);
        else if (conn->state == CONN_DRAINING && conn_in_flight(conn) == 0)
            (void)conn_end(conn);
    }
}

void client_links_flush(struct client *client)
{
    for (size_t i = 0; i < client->pool.count; i++)
        flush_link(&client->pool.links[i]);
}

/* Watches CONN; returns when to look at it next. */
static uint64_t watch_conn(struct client *client, struct link *link, struct conn *conn, uint64_t now_ns)
{
    uint64_t look_ns;
    enum link_watch seen = link_watch(link, conn, now_ns, &look_ns);

    if (seen == LINK_WATCH_LOST)
        (void)give_back(client, conn); /* moves them; client_links_flush() closes CONN */
    if (seen != LINK_WATCH_FINE)
        turn_wake(&client->turn); /* a silent link's epochs are not waited for */
    return look_ns;
}

uint64_t client_links_watch(struct client *client, uint64_t now_ns)
{
    uint64_t first_ns = UINT64_MAX;

    for (size_t i = 0; i < client->pool.count; i++) {
        struct link *link = &client->pool.links[i];
        link_measure(link);
        for (struct conn *conn = link->conns; conn != NULL; conn = conn->next) {
            uint64_t look_ns = watch_conn(client, link, conn, now_ns);
            first_ns = look_ns < first_ns ? look_ns : first_ns;
        }
    }
    return first_ns;
}
