#include "common/admin.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/admin_http.h"
#include "common/log.h"

#define CONNECTIONS_MAX 16
#define DEADLINE_MS     5000 /* for the request, and again for the answer */
#define BACKLOG         128

union stream {
    uv_handle_t handle;
    uv_stream_t stream;
    uv_tcp_t tcp;
    uv_pipe_t pipe;
};

/* One place for a client. It is free when none of its handles is open. */
struct connection {
    struct admin *admin; /* borrowed: lives longer */
    union stream io;
    uv_timer_t timer;
    uv_write_t write;
    uv_shutdown_t shutdown;
    uint64_t number; /* later ones have higher ones */
    int handles;     /* open or closing */
    bool answering;  /* what comes in from now on is dropped */
    bool ended;      /* the client has ended its side */
    size_t length;   /* of the request so far */
    char request[ADMIN_REQUEST_MAX + 1];
    struct buffer head; /* of the answer */
    struct buffer body;
};

struct admin {
    union stream listener;
    const struct admin_route *routes; /* borrowed */
    void *user;                       /* borrowed */
    bool local;                       /* a unix socket */
    bool waiting;                     /* a client waits to be accepted until a place is free */
    bool closing;
    int handles; /* open or closing, the connections' included; none left: free */
    uint64_t accepted;
    /* One more than may be served: a newcomer has it while the one that makes room for him closes. */
    struct connection connections[CONNECTIONS_MAX + 1];
};

static void accept_one(struct admin *admin);

/* ---- closing ---- */

static void release(struct admin *admin)
{
    assert(admin->handles > 0);
    if (--admin->handles == 0)
        free(admin);
}

static void on_closed(uv_handle_t *handle)
{
    struct connection *c = handle->data;
    struct admin *admin = c->admin;
    if (--c->handles == 0) {
        buffer_clear(&c->head);
        buffer_clear(&c->body);
        if (admin->waiting && !admin->closing)
            accept_one(admin);
    }
    release(admin);
}

static void on_listener_closed(uv_handle_t *handle)
{
    release(handle->data);
}

static void drop(struct connection *c)
{
    if (uv_is_closing(&c->io.handle))
        return;
    uv_close(&c->io.handle, on_closed);
    uv_close((uv_handle_t *)&c->timer, on_closed);
}

/* ---- answering ---- */

static void on_deadline(uv_timer_t *timer)
{
    drop(timer->data);
}

static void on_shutdown(uv_shutdown_t *request, int status)
{
    struct connection *c = request->data;
    if (status != 0 || c->ended)
        drop(c);
}

/* Sends FIN first and lets the client close: closing at once with unread input would reset the connection,
 * and the client could lose the answer. */
static void on_written(uv_write_t *request, int status)
{
    struct connection *c = request->data;
    c->shutdown.data = c;
    if (status != 0 || uv_shutdown(&c->shutdown, &c->io.stream, on_shutdown) != 0)
        drop(c);
}

static uv_buf_t whole(const struct buffer *b)
{
    return uv_buf_init((char *)b->bytes + b->start, (unsigned)buffer_length(b));
}

static void send_answer(struct connection *c, int status, const char *content_type)
{
    size_t length = buffer_length(&c->body);
    c->answering = true;
    if (length > UINT32_MAX || admin_http_head(&c->head, status, content_type, length) != 0) {
        drop(c);
        return;
    }
    uv_buf_t parts[] = {whole(&c->head), whole(&c->body)};
    c->write.data = c;
    if (uv_write(&c->write, &c->io.stream, parts, length == 0 ? 1 : 2, on_written) != 0 ||
        uv_timer_start(&c->timer, on_deadline, DEADLINE_MS, 0) != 0)
        drop(c);
}

static void refuse(struct connection *c, int status)
{
    if (buffer_printf(&c->body, "%d %s\n", status, admin_http_reason(status)) != 0)
        drop(c);
    else
        send_answer(c, status, "text/plain; charset=utf-8");
}

static void answer(struct connection *c, const char *path)
{
    const char *rest = NULL;
    const struct admin_route *route = admin_http_route(c->admin->routes, path, &rest);
    if (route == NULL) {
        refuse(c, 404);
        return;
    }
    int status = route->handle(&c->body, rest, c->admin->user);
    if (status == 200 || buffer_length(&c->body) > 0)
        send_answer(c, status, route->content_type);
    else
        refuse(c, status);
}

/* ---- reading ---- */

static void on_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    (void)suggested;
    struct connection *c = handle->data;
    if (c->answering)
        c->length = 0;
    *out = uv_buf_init(c->request + c->length, (unsigned)(ADMIN_REQUEST_MAX - c->length));
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *bytes)
{
    (void)bytes;
    struct connection *c = stream->data;
    const char *path = NULL;
    if (count < 0) {
        /* A client may end its side and wait for the answer that is being written. */
        c->ended = true;
        if (count != UV_EOF || !c->answering || c->shutdown.data != NULL)
            drop(c);
        return;
    }
    if (c->answering || count == 0)
        return;
    c->length += (size_t)count;
    int status = admin_http_parse(c->request, c->length, c->admin->local, &path);
    if (status == 200)
        answer(c, path);
    else if (status != 0)
        refuse(c, status);
}

/* ---- accepting ---- */

static int init_stream(uv_loop_t *loop, union stream *io, bool local)
{
    return local ? uv_pipe_init(loop, &io->pipe, 0) : uv_tcp_init(loop, &io->tcp);
}

static struct connection *find_free(struct admin *admin)
{
    for (int i = 0; i <= CONNECTIONS_MAX; i++)
        if (admin->connections[i].handles == 0)
            return &admin->connections[i];
    return NULL;
}

static bool is_open(const struct connection *c)
{
    return c->handles > 0 && !uv_is_closing(&c->io.handle);
}

/* Who is missed least: one that has its answer and has only to close, one that has not asked yet, one that
 * reads. */
static int worth(const struct connection *c)
{
    if (!c->answering)
        return 1;
    return c->shutdown.data != NULL ? 0 : 2;
}

/* Who holds a place for long cannot keep others out: one of them makes room, the oldest of those that are
 * worth least. */
static void make_room(struct admin *admin)
{
    struct connection *least = NULL;
    int open = 0;
    for (int i = 0; i <= CONNECTIONS_MAX; i++) {
        struct connection *c = &admin->connections[i];
        if (!is_open(c))
            continue;
        open++;
        if (least == NULL || worth(c) < worth(least) ||
            (worth(c) == worth(least) && c->number < least->number))
            least = c;
    }
    if (open >= CONNECTIONS_MAX)
        drop(least);
}

/* Makes C's handles; its buffers are empty. */
static int open_connection(struct connection *c, struct admin *admin)
{
    uv_loop_t *loop = admin->listener.handle.loop;
    memset(c, 0, offsetof(struct connection, request));
    buffer_init(&c->head);
    buffer_init(&c->body);
    c->admin = admin;
    c->number = ++admin->accepted;
    if (init_stream(loop, &c->io, admin->local) != 0)
        return ERR_SYSTEM;
    (void)uv_timer_init(loop, &c->timer); /* cannot fail */
    c->io.handle.data = c;
    c->timer.data = c;
    c->handles = 2;
    admin->handles += 2;
    return 0;
}

static void accept_one(struct admin *admin)
{
    struct connection *c = find_free(admin);
    admin->waiting = c == NULL;
    if (c == NULL)
        return; /* libuv pauses until the client is accepted, when the next place is free */
    make_room(admin);
    if (open_connection(c, admin) != 0) {
        admin->waiting = true;
        return;
    }
    if (uv_accept(&admin->listener.stream, &c->io.stream) != 0 ||
        uv_timer_start(&c->timer, on_deadline, DEADLINE_MS, 0) != 0 ||
        uv_read_start(&c->io.stream, on_allocate, on_read) != 0)
        drop(c);
}

static void on_connection(uv_stream_t *listener, int status)
{
    if (status == 0)
        accept_one(listener->data);
}

static int open_listener(struct admin *admin, uv_loop_t *loop, int fd)
{
    if (init_stream(loop, &admin->listener, admin->local) != 0) {
        close(fd);
        return ERR_SYSTEM;
    }
    admin->listener.handle.data = admin;
    admin->handles = 1;
    int err = admin->local ? uv_pipe_open(&admin->listener.pipe, fd) : uv_tcp_open(&admin->listener.tcp, fd);
    if (err != 0)
        close(fd);
    else
        err = uv_listen(&admin->listener.stream, BACKLOG, on_connection);
    return err != 0 ? ERR_SYSTEM : 0;
}

int admin_start(struct admin **out, uv_loop_t *loop, int fd, const struct admin_route *routes, void *user)
{
    struct address bound;
    struct admin *admin = calloc(1, sizeof *admin);
    *out = NULL;
    if (admin == NULL || address_of_socket(fd, &bound) != 0) {
        close(fd);
        free(admin);
        return admin == NULL ? ERR_MEMORY : ERR_SYSTEM;
    }
    admin->routes = routes;
    admin->user = user;
    admin->local = address_is_local(&bound);
    int err = open_listener(admin, loop, fd);
    if (err == 0)
        *out = admin;
    else if (admin->handles > 0)
        admin_close(admin);
    else
        free(admin);
    return err;
}

void admin_close(struct admin *admin)
{
    if (admin == NULL || admin->closing)
        return;
    admin->closing = true;
    uv_close(&admin->listener.handle, on_listener_closed);
    for (int i = 0; i <= CONNECTIONS_MAX; i++)
        if (admin->connections[i].handles > 0)
            drop(&admin->connections[i]);
}

int admin_listen(const struct address *address, struct fault *fault)
{
    char text[ADDRESS_TEXT_SIZE];
    struct address bound;
    if (!address_is_loopback(address))
        return fault_set(fault, ERR_CONFIG,
                         "admin: %s is not a loopback address, and the endpoint asks nobody for a password; "
                         "take 127.0.0.1:PORT or unix:PATH",
                         address_text(address, text));
    int fd = address_listen(address, false, BACKLOG, fault);
    if (fd < 0)
        return fd;
    if (address_of_socket(fd, &bound) != 0) {
        close(fd);
        return fault_set(fault, ERR_SYSTEM, "admin: %s: cannot tell its own address",
                         address_text(address, text));
    }
    log_event(LOG_INFO, "admin_listening", "address=%s", address_text(&bound, text));
    return fd;
}
