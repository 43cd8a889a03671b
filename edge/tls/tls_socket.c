#include "edge/tls/tls_socket.h"

#include <errno.h>
#include <openssl/bio.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>

static bool may_retry(void)
{
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

/* True for what HAProxy's send-proxy and send-proxy-v2 put before a client's first byte (the PROXY protocol,
 * sections 2.1 and 2.2). No TLS record begins so. */
static bool begins_with_proxy(const char *bytes, size_t length)
{
    static const char text[] = "PROXY ", binary[] = "\r\n\r\n\0\r\nQUIT\n";
    return (length >= sizeof text - 1 && memcmp(bytes, text, sizeof text - 1) == 0) ||
           (length >= sizeof binary - 1 && memcmp(bytes, binary, sizeof binary - 1) == 0);
}

/* GOT bytes at FIRST are the first of the connection. The library may read a record's header alone (OpenSSL
 * 3.5), so the bytes after it are looked at in the socket's queue. */
static bool is_proxied(const struct tls_socket *socket, const char *first, size_t got)
{
    char head[16];
    size_t length = got < sizeof head ? got : sizeof head;

    if (first[0] != 'P' && first[0] != '\r') /* no TLS record begins with either */
        return false;
    memcpy(head, first, length);
    ssize_t more = recv(socket->fd, head + length, sizeof head - length, MSG_PEEK | MSG_DONTWAIT);
    return begins_with_proxy(head, length + (more > 0 ? (size_t)more : 0));
}

/* Sends what the kernel takes of BYTES; -1 as of send(2). */
static ssize_t send_bytes(const struct tls_socket *socket, const void *bytes, size_t length)
{
    return send(socket->fd, bytes, length, MSG_NOSIGNAL | (socket->more ? MSG_MORE : 0));
}

/* True while OpenSSL reads a ClientHello or may read one next: at the start, and where TLS 1.3 has sent a
 * HelloRetryRequest, after which all else that comes is encrypted and looks so. TLS 1.2 leaves these states
 * with its ServerHello. */
static bool may_be_hello(const SSL *ssl)
{
    OSSL_HANDSHAKE_STATE state = SSL_get_state(ssl);

    return state == TLS_ST_BEFORE || state == TLS_ST_SR_CLNT_HELLO || state == TLS_ST_EARLY_DATA;
}

/* BYTES were read. ERR_LENGTH when OpenSSL must not have them; the client knows then. OpenSSL has no alert
 * for what it has not seen. */
static int check_hello(struct tls_socket *socket, const char *bytes, size_t length)
{
    static const uint8_t alert[] = {SSL3_RT_ALERT, 3, 3, 0, 2, SSL3_AL_FATAL, SSL_AD_ILLEGAL_PARAMETER};

    if (!may_be_hello(socket->ssl))
        socket->hello.over = true;
    if (hello_scan_put(&socket->hello, (const uint8_t *)bytes, length) == 0)
        return 0;
    socket->too_long = true;
    (void)send_bytes(socket, alert, sizeof alert); /* who does not take it is told by the end */
    return ERR_LENGTH;
}

static int on_read(BIO *bio, char *into, int size)
{
    struct tls_socket *socket = BIO_get_data(bio);

    BIO_clear_retry_flags(bio);
    if (socket->too_long)
        return -1;
    if (socket->dry) {
        BIO_set_retry_read(bio);
        return -1;
    }
    ssize_t n = recv(socket->fd, into, (size_t)size, 0);
    if (n < 0 && may_retry())
        BIO_set_retry_read(bio);
    if (n > 0 && !socket->begun) {
        socket->begun = true;
        socket->proxied = is_proxied(socket, into, (size_t)n);
    }
    bool is_empty = n < 0 ? errno == EAGAIN || errno == EWOULDBLOCK : n > 0 && n < size;
    socket->dry = is_empty || ++socket->reads >= TLS_SOCKET_READS;
    socket->ended = n == 0 && size > 0;
    if (n > 0 && !socket->hello.over && check_hello(socket, into, (size_t)n) != 0)
        return -1;
    return (int)n;
}

/* Keeps what is left of BYTES, of which the kernel may have TAKEN some, and reports all as sent. */
static ssize_t keep(struct tls_socket *socket, const char *bytes, size_t length, ssize_t taken)
{
    size_t left = taken > 0 ? (size_t)taken : 0;

    if (buffer_put(&socket->kept, bytes + left, length - left) == 0)
        return (ssize_t)length;
    errno = EAGAIN;
    return taken;
}

static int on_write(BIO *bio, const char *bytes, int length)
{
    struct tls_socket *socket = BIO_get_data(bio);
    size_t kept = buffer_length(&socket->kept);
    ssize_t n = -1;

    BIO_clear_retry_flags(bio);
    if (kept == 0)
        n = send_bytes(socket, bytes, (size_t)length);
    else
        errno = EAGAIN;
    if (socket->keeps && n < length && (n >= 0 || may_retry()) && kept < TLS_SOCKET_KEPT_MAX)
        n = keep(socket, bytes, (size_t)length, n);
    if (n < 0 && may_retry())
        BIO_set_retry_write(bio);
    return (int)n;
}

static long on_control(BIO *bio, int command, long number, void *pointer)
{
    const struct tls_socket *socket = BIO_get_data(bio);

    (void)number, (void)pointer;
    if (command == BIO_CTRL_EOF)
        return socket->ended;
    return command == BIO_CTRL_FLUSH; /* nothing is held back here */
}

static int on_create(BIO *bio)
{
    BIO_set_init(bio, 1);
    return 1;
}

static BIO_METHOD *method; /* lives as long as the process */

static void make_method(void)
{
    method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "client");
    if (method != NULL &&
        (BIO_meth_set_read(method, on_read) != 1 || BIO_meth_set_write(method, on_write) != 1 ||
         BIO_meth_set_ctrl(method, on_control) != 1 || BIO_meth_set_create(method, on_create) != 1)) {
        BIO_meth_free(method);
        method = NULL;
    }
}

void tls_socket_keep(struct tls_socket *socket)
{
    socket->keeps = true;
}

int tls_socket_flush(struct tls_socket *socket)
{
    while (tls_socket_is_behind(socket)) {
        ssize_t n = send_bytes(socket, buffer_bytes(&socket->kept), buffer_length(&socket->kept));
        if (n < 0)
            return may_retry() ? 0 : ERR_CUT;
        buffer_consume(&socket->kept, (size_t)n);
    }
    buffer_clear(&socket->kept);
    return 1;
}

bool tls_socket_is_behind(const struct tls_socket *socket)
{
    return buffer_length(&socket->kept) > 0;
}

void tls_socket_clear(struct tls_socket *socket)
{
    buffer_clear(&socket->kept);
}

void tls_socket_wake(struct tls_socket *socket)
{
    socket->dry = false;
    socket->reads = 0;
}

static void on_shown(int written, int version, int content_type, const void *bytes, size_t length, SSL *ssl,
                     void *user)
{
    (void)written, (void)version, (void)content_type, (void)bytes, (void)length, (void)ssl, (void)user;
}

void tls_socket_show_nobody(SSL *ssl)
{
    SSL_set_msg_callback(ssl, on_shown);
    SSL_set_msg_callback_arg(ssl, NULL);
}

int tls_socket_attach(SSL *ssl, struct tls_socket *socket)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, make_method);
    BIO *bio = method != NULL ? BIO_new(method) : NULL;
    if (bio == NULL)
        return ERR_MEMORY;
    socket->ssl = ssl;
    BIO_set_data(bio, socket);
    SSL_set_bio(ssl, bio, bio);
    tls_socket_show_nobody(ssl);
    return 0;
}
