#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/channel_internal.h"

#define READ_SIZE   65536
#define FIRST_SIZE  1024 /* read in one call from an unauthenticated peer, whose messages are small */
#define READ_COST   512  /* charged to a share for each read, beside its bytes */
#define DRAIN_SIZE  4096
#define DRAIN_READS 32 /* a peer that is not authenticated and has sent more may see an RST */

/* One for all channels of a thread: libuv asks for it right before each read and hands it back right after.
 */
static _Thread_local uint8_t read_buffer[READ_SIZE];

/* ---- out ---- */

static void flush(struct channel *c);

size_t channel_io_unsent(const struct channel *c)
{
    return buffer_length(&c->out) + (c->writing ? uv_stream_get_write_queue_size(&c->socket.stream) : 0);
}

static void on_shutdown(uv_shutdown_t *request, int status)
{
    struct channel *c = request->handle->data;
    if (status != 0)
        channel_end(c, ERR_CLOSED);
}

/* Everything has been written. A finishing channel sends FIN and waits for that of the peer: closing now,
 * with unread bytes, would make the kernel reset the connection and lose the close message. */
static void after_write(struct channel *c)
{
    if (c->state == CHANNEL_FINISHING && !c->writing && !c->shutdown_started) {
        c->shutdown_started = true;
        if (uv_shutdown(&c->shutdown, &c->socket.stream, on_shutdown) != 0)
            channel_end(c, ERR_CLOSED);
    } else if (c->state == CHANNEL_OPEN && c->blocked && channel_io_unsent(c) < c->settings.unsent_max / 2) {
        c->blocked = false;
        if (c->handlers.on_writable != NULL)
            c->handlers.on_writable(c, c->user);
    }
}

/* The reason why the peer cannot be reached any more, for on_close. */
static int gone(const struct channel *c)
{
    return c->state == CHANNEL_FINISHING ? ERR_CLOSED : ERR_CUT;
}

static void on_written(uv_write_t *request, int status)
{
    struct channel *c = request->handle->data;
    c->writing = false;
    buffer_clear(&c->leaving);
    if (c->state == CHANNEL_ENDED)
        return;
    if (status != 0) {
        channel_end(c, gone(c));
        return;
    }
    if (buffer_length(&c->out) > 0)
        flush(c);
    else
        after_write(c);
}

/* What the kernel did not take at once waits in `leaving`, which does not move while libuv writes from it. */
static void write_rest(struct channel *c)
{
    c->leaving = c->out;
    buffer_init(&c->out);
    uv_buf_t rest = uv_buf_init((char *)c->leaving.bytes + c->leaving.start,
                                (unsigned)buffer_length(&c->leaving));
    c->writing = true;
    if (uv_write(&c->write, &c->socket.stream, &rest, 1, on_written) != 0) {
        c->writing = false;
        channel_end(c, gone(c));
    }
}

/* Writes what has gathered, if no write is under way already. */
static void flush(struct channel *c)
{
    if (c->writing || buffer_length(&c->out) == 0)
        return;
    uv_buf_t all = uv_buf_init((char *)c->out.bytes + c->out.start, (unsigned)buffer_length(&c->out));
    int written = uv_try_write(&c->socket.stream, &all, 1);
    if (written < 0 && written != UV_EAGAIN) {
        channel_end(c, gone(c));
        return;
    }
    if (written > 0)
        buffer_consume(&c->out, (size_t)written);
    if (buffer_length(&c->out) > 0) {
        write_rest(c);
        return;
    }
    buffer_clear(&c->out); /* an idle channel keeps no buffer */
    after_write(c);
}

static void read_on(struct channel *c);

static void on_idle(uv_idle_t *idle)
{
    struct channel *c = idle->data;
    uv_idle_stop(idle);
    flush(c);
    if (c->paused && c->state != CHANNEL_ENDED)
        read_on(c);
}

void channel_flush(struct channel *channel)
{
    if (channel->state == CHANNEL_ENDED)
        return;
    if (!channel->paused)
        uv_idle_stop(&channel->flusher);
    flush(channel);
}

/* While a write is under way the peer does not read anyway. */
void channel_io_flush_last(struct channel *c)
{
    uv_buf_t all = uv_buf_init((char *)c->out.bytes + c->out.start, (unsigned)buffer_length(&c->out));
    if (!c->writing)
        (void)uv_try_write(&c->socket.stream, &all, 1);
}

void channel_io_flush_later(struct channel *c)
{
    uv_idle_start(&c->flusher, on_idle);
}

/* ---- in ---- */

/* How many bytes C may read now. */
static size_t room(const struct channel *c)
{
    size_t most = c->state == CHANNEL_WAIT_MESSAGE || c->state == CHANNEL_WAIT_FIRST ? FIRST_SIZE : READ_SIZE;
    size_t left = c->shares != NULL ? shares_left(&c->shares->parties, c->share) : READ_SIZE;

    return left < most ? left : most;
}

/* Without room OUT stays empty: libuv reads nothing and reports UV_ENOBUFS. */
static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    const struct channel *c = handle->data;
    bool waits = c->shares != NULL && share_is_awaited(c->share);

    (void)suggested;
    *out = uv_buf_init((char *)read_buffer, waits ? 0 : (unsigned)room(c));
}

static void take_bytes(struct channel *c, uint8_t *bytes, size_t length)
{
    if (c->state == CHANNEL_WAIT_MESSAGE) {
        size_t used = channel_handshake_receive(c, bytes, length);
        bytes += used;
        length -= used;
    }
    if (length == 0 || (c->state != CHANNEL_WAIT_FIRST && c->state != CHANNEL_OPEN))
        return;
    int err = frame_reader_feed(&c->frames, bytes, length, CHANNEL_FRAME_MIN, channel_transport_receive, c);
    if (err == ERR_BUSY)
        channel_part(c, err);
    else if (err != 0 && c->state != CHANNEL_FINISHING)
        channel_end(c, err);
}

/* libuv reads a stream that fills its buffer up to 32 times in one turn of the loop. Pausing lets other
 * channels read first. */
static void pause_reading(struct channel *c)
{
    uv_read_stop(&c->socket.stream);
    if (c->shares != NULL) {
        channel_shares_wait(c);
        return;
    }
    c->paused = true;
    uv_idle_start(&c->flusher, on_idle);
}

/* Charges what was read, and the curve operations that it causes, to C's share. */
static void charge(struct channel *c, size_t length)
{
    size_t handshake = c->state == CHANNEL_WAIT_MESSAGE ? CHANNEL_HANDSHAKE_COST : 0;

    if (c->shares != NULL)
        shares_charge(&c->shares->parties, c->share, READ_COST + handshake + length);
}

/* LENGTH bytes were read. */
static void take_read(struct channel *c, size_t length)
{
    charge(c, length);
    take_bytes(c, read_buffer, length);
}

static void on_read(uv_stream_t *stream, ssize_t length, const uv_buf_t *buffer)
{
    struct channel *c = stream->data;
    if (c->state == CHANNEL_ENDED)
        return;
    if (length == UV_ENOBUFS) {
        pause_reading(c);
        return;
    }
    if (length < 0)
        channel_end(c, gone(c));
    else if (length > 0)
        take_read(c, (size_t)length);
    if (length > 0 && (size_t)length == buffer->len && c->state != CHANNEL_ENDED)
        pause_reading(c);
}

/* Reads directly. libuv would read when it next polls: by then others of the party may have used up the
 * share, again and again. */
void channel_io_read_share(struct channel *c)
{
    uv_os_fd_t fd;
    size_t most = room(c);
    ssize_t length = uv_fileno(&c->socket.handle, &fd) == 0 ? recv(fd, read_buffer, most, MSG_DONTWAIT) : 0;

    if (length > 0) {
        take_read(c, (size_t)length);
    } else {
        charge(c, 0);
        if (length == 0 || (errno != EAGAIN && errno != EINTR))
            channel_end(c, gone(c));
    }
    if (c->state == CHANNEL_ENDED)
        return;
    if (length > 0 && (size_t)length == most)
        channel_shares_wait(c);
    else
        read_on(c);
}

static void read_on(struct channel *c)
{
    c->paused = false;
    int status = uv_read_start(&c->socket.stream, on_alloc, on_read);
    if (status != 0)
        channel_end(c, err_of_errno(-status));
}

void channel_io_start(struct channel *c)
{
    if (!address_is_local(&c->address)) { /* both only improve the connection, so failure is no error */
        uv_tcp_nodelay(&c->socket.tcp, 1);
        uv_tcp_keepalive(&c->socket.tcp, 1, 60);
    }
    read_on(c);
}

/* Not into the shared buffer: the owner may be handling a message in it. */
void channel_io_drain(int fd)
{
    uint8_t waste[DRAIN_SIZE];
    for (int i = 0; i < DRAIN_READS; i++)
        if (recv(fd, waste, sizeof waste, MSG_DONTWAIT) <= 0)
            return;
}
