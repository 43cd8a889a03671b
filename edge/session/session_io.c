#include "edge/session/session_io.h"

#include <errno.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <sys/socket.h>

#define RECORD_MAX     16384 /* plaintext of one record (RFC 8446, 5.1) */
#define DISCARD_ROUNDS 16
/* Records without data that are accepted in a row; a record with data before them allows one more. Clients
 * send far fewer (a KeyUpdate in millions of records), and so many are little work. */
#define IDLE_RECORDS_MAX 32

/* The kind of break behind SSL_ERROR_SYSCALL and SSL_ERROR_SSL, by the error queue's first entry. */
static enum session_break sort_break(int error)
{
    unsigned long code = ERR_peek_error();

    if (error == SSL_ERROR_SYSCALL || code == 0)
        return errno == 0 ? BREAK_CUT : BREAK_RESET;
    if (ERR_SYSTEM_ERROR(code))
        return BREAK_RESET;
    if (ERR_GET_LIB(code) == ERR_LIB_SSL && ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
        return BREAK_CUT;
    return BREAK_TLS;
}

enum session_break session_io_handshake_break(void)
{
    return sort_break(SSL_ERROR_SSL);
}

/* Sees every record before OpenSSL processes it: one too many is not processed. */
static void on_record(int written, int version, int content_type, const void *bytes, size_t length, SSL *ssl,
                      void *user)
{
    struct session_io *io = user;

    (void)version, (void)bytes, (void)length;
    if (written || content_type != SSL3_RT_HEADER || ++io->idle_records <= IDLE_RECORDS_MAX)
        return;
    io->why = BREAK_TLS;
    SSL_set_shutdown(ssl, SSL_get_shutdown(ssl) | SSL_RECEIVED_SHUTDOWN);
}

void session_io_begin(struct session_io *io)
{
    SSL_set_msg_callback(io->ssl, on_record);
    SSL_set_msg_callback_arg(io->ssl, io);
    tls_socket_keep(&io->socket);
}

/* A record with data makes up for itself and for one without. */
static void note_data(struct session_io *io)
{
    io->idle_records -= io->idle_records < 2 ? io->idle_records : 2;
}

static int failed(struct session_io *io, int result)
{
    int error = io->why == BREAK_NONE ? SSL_get_error(io->ssl, result) : SSL_ERROR_SSL;

    switch (error) {
    case SSL_ERROR_WANT_READ:
        return RELAY_WANT_READ;
    case SSL_ERROR_WANT_WRITE:
        return RELAY_WANT_WRITE;
    case SSL_ERROR_ZERO_RETURN:
        return RELAY_ENDED;
    default:
        if (io->why == BREAK_NONE)
            io->why = sort_break(error);
        ERR_clear_error();
        return RELAY_CUT;
    }
}

static int clamp(size_t length)
{
    return length > INT_MAX ? INT_MAX : (int)length;
}

static int session_io_read(void *user, uint8_t *into, size_t size, bool *dry)
{
    struct session_io *io = user;

    if (io->why != BREAK_NONE)
        return RELAY_CUT;
    ERR_clear_error();
    errno = 0;
    int n = SSL_read(io->ssl, into, clamp(size));
    if (n <= 0)
        return failed(io, n);
    note_data(io);
    /* A short record is most often the last one: a poll is cheaper than a read without data. */
    *dry = n < RECORD_MAX && (size_t)n < size && !SSL_has_pending(io->ssl);
    return n;
}

int session_io_flush(struct session_io *io)
{
    int flushed = tls_socket_flush(&io->socket);

    if (flushed >= 0)
        return flushed == 1 ? 1 : RELAY_WANT_WRITE;
    if (io->why == BREAK_NONE)
        io->why = BREAK_RESET;
    return RELAY_CUT;
}

static int session_io_write(void *user, const uint8_t *bytes, size_t length)
{
    struct session_io *io = user;

    if (io->why != BREAK_NONE || io->parting)
        return RELAY_CUT;
    int flushed = session_io_flush(io);
    if (flushed <= 0)
        return flushed;
    ERR_clear_error();
    errno = 0;
    io->socket.more = length > RECORD_MAX; /* one call writes one record */
    int n = SSL_write(io->ssl, bytes, clamp(length));
    io->socket.more = false;
    if (n > 0)
        return n;
    int result = failed(io, n);
    return result == RELAY_ENDED ? RELAY_CUT : result;
}

int session_io_peek(struct session_io *io)
{
    uint8_t word;

    ERR_clear_error();
    errno = 0;
    int n = SSL_peek(io->ssl, &word, sizeof(word));
    return n > 0 ? n : failed(io, n);
}

/* close_notify, then FIN: the reading direction stays open, the client may go on (RFC 8446, 6.1). */
static int session_io_finish(void *user)
{
    struct session_io *io = user;

    if (io->why != BREAK_NONE)
        return RELAY_CUT;
    ERR_clear_error();
    errno = 0;
    if (!io->parting) {
        io->socket.more = true; /* the FIN, in the same packet */
        int n = SSL_shutdown(io->ssl);
        io->socket.more = false;
        if (n < 0) {
            int result = failed(io, n);
            return result == RELAY_ENDED ? 1 : result;
        }
        io->parting = true;
    }
    int flushed = session_io_flush(io);
    if (flushed <= 0)
        return flushed;
    io->notified = true;
    shutdown(io->socket.fd, SHUT_WR);
    return 1;
}

const struct relay_end_type session_io_end = {
    .read = session_io_read,
    .write = session_io_write,
    .finish = session_io_finish,
};

void session_io_farewell(struct session_io *io)
{
    if (!io->notified && io->why == BREAK_NONE)
        (void)session_io_finish(io);
    ERR_clear_error();
}

void session_io_discard(int fd)
{
    uint8_t waste[4096];

    for (int i = 0; i < DISCARD_ROUNDS; i++) {
        if (recv(fd, waste, sizeof(waste), MSG_DONTWAIT) <= 0)
            return;
    }
}

const char *session_io_library(void)
{
    return OpenSSL_version(OPENSSL_VERSION_STRING);
}
