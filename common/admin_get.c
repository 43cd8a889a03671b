#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "common/admin.h"
#include "common/clock.h"

#define ANSWER_MAX (16 * 1024 * 1024) /* bytes, head included */
#define READ_SIZE  16384

struct client {
    int fd;
    uint64_t deadline; /* clock_ms */
};

/* Waits for EVENTS on the socket. */
static int wait_for(const struct client *client, short events)
{
    for (;;) {
        uint64_t now = clock_ms();
        if (now >= client->deadline)
            return ERR_TIMEOUT;
        struct pollfd entry = {.fd = client->fd, .events = events};
        int ready = poll(&entry, 1, (int)(client->deadline - now));
        if (ready > 0)
            return 0;
        if (ready < 0 && errno != EINTR)
            return ERR_SYSTEM;
    }
}

static int open_client(struct client *client, const struct address *address)
{
    int why = 0;
    socklen_t size = sizeof why;
    client->fd = socket(address->u.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (client->fd < 0)
        return ERR_SYSTEM;
    if (connect(client->fd, &address->u.any, address->length) == 0)
        return 0;
    if (errno != EINPROGRESS)
        return ERR_SYSTEM;
    int err = wait_for(client, POLLOUT);
    if (err != 0)
        return err;
    if (getsockopt(client->fd, SOL_SOCKET, SO_ERROR, &why, &size) != 0)
        return ERR_SYSTEM;
    errno = why;
    return why != 0 ? ERR_SYSTEM : 0;
}

static int send_all(const struct client *client, const uint8_t *bytes, size_t length)
{
    while (length > 0) {
        ssize_t sent = send(client->fd, bytes, length, MSG_NOSIGNAL);
        if (sent >= 0) {
            bytes += sent;
            length -= (size_t)sent;
            continue;
        }
        if (errno == EINTR)
            continue;
        if (errno != EAGAIN)
            return ERR_SYSTEM;
        int err = wait_for(client, POLLOUT);
        if (err != 0)
            return err;
    }
    return 0;
}

/* Everything up to the end of the stream. */
static int receive_all(const struct client *client, struct buffer *in)
{
    for (;;) {
        uint8_t *room = buffer_reserve(in, READ_SIZE);
        if (room == NULL)
            return ERR_MEMORY;
        ssize_t count = recv(client->fd, room, READ_SIZE, 0);
        if (count == 0)
            return 0;
        if (count > 0) {
            buffer_commit(in, (size_t)count);
            if (buffer_length(in) > ANSWER_MAX)
                return ERR_LENGTH;
            continue;
        }
        if (errno == EINTR)
            continue;
        if (errno != EAGAIN)
            return ERR_SYSTEM;
        int err = wait_for(client, POLLIN);
        if (err != 0)
            return err;
    }
}

/* The Content-Length between HEAD and END; ERR_FORMAT when there is none. */
static int parse_length(const char *head, const char *end, size_t *length)
{
    static const char name[] = "\r\nContent-Length:";
    for (; (size_t)(end - head) >= sizeof name; head++) {
        if (strncasecmp(head, name, sizeof name - 1) != 0)
            continue;
        char *after;
        errno = 0;
        unsigned long value = strtoul(head + sizeof name - 1, &after, 10);
        if (errno != 0 || after == head + sizeof name - 1 || *after != '\r' || value > ANSWER_MAX)
            return ERR_FORMAT;
        *length = value;
        return 0;
    }
    return ERR_FORMAT;
}

/* "HTTP/1.1 200 …", fields, an empty line, content. */
static int parse_answer(const struct buffer *in, struct buffer *body)
{
    const char *text = (const char *)buffer_bytes(in);
    size_t length = buffer_length(in);
    size_t expected = 0;
    if (length < 12 || memcmp(text, "HTTP/1.", 7) != 0 || text[8] != ' ')
        return length == 0 ? ERR_CUT : ERR_FORMAT;
    const char *end = memmem(text, length, "\r\n\r\n", 4);
    if (end == NULL)
        return ERR_CUT;
    int status = 0;
    for (int i = 9; i < 12; i++) {
        if (text[i] < '0' || text[i] > '9')
            return ERR_FORMAT;
        status = 10 * status + (text[i] - '0');
    }
    int err = parse_length(text, end + 2, &expected);
    if (err != 0)
        return err;
    if (length - (size_t)(end + 4 - text) < expected)
        return ERR_CUT;
    err = expected == 0 ? 0 : buffer_put(body, end + 4, expected);
    return err != 0 ? err : status;
}

static int exchange(const struct client *client, const struct address *address, const char *path,
                    struct buffer *body)
{
    char host[ADDRESS_TEXT_SIZE] = "localhost";
    struct buffer bytes;
    buffer_init(&bytes);
    if (!address_is_local(address))
        address_text(address, host);
    int err = buffer_printf(&bytes, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", path, host);
    if (err == 0)
        err = send_all(client, buffer_bytes(&bytes), buffer_length(&bytes));
    buffer_clear(&bytes);
    if (err == 0)
        err = receive_all(client, &bytes);
    if (err == 0)
        err = parse_answer(&bytes, body);
    buffer_clear(&bytes);
    return err;
}

int admin_get(const struct address *address, const char *path, int timeout_ms, struct buffer *body)
{
    struct client client = {.fd = -1, .deadline = clock_ms() + (uint64_t)(timeout_ms > 0 ? timeout_ms : 0)};
    for (const char *at = path; *at != 0; at++)
        if ((unsigned char)*at <= ' ' || *at == 0x7f)
            return ERR_FORMAT;
    if (path[0] != '/')
        return ERR_FORMAT;
    int err = open_client(&client, address);
    if (err == 0)
        err = exchange(&client, address, path, body);
    if (client.fd >= 0) {
        int saved = errno;
        close(client.fd);
        errno = saved;
    }
    return err;
}
