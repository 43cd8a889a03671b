/* TLS clients for the benchmarks, thousands in one thread: the same for every server that is measured.
 *
 *   tls_client MODE PORT VERSION CIPHERS NAME COUNT SECONDS
 *   tls_client library      says whose TLS this is: OpenSSL's, or BoringSSL's, of which it is the same source
 *
 *   handshakes   COUNT at a time for SECONDS, each closed in good order
 *   bulk         COUNT connections that get a megabyte again and again for SECONDS
 *   hold         COUNT connections that get a page each and stay, until stdin ends
 *   wait         COUNT handshakes at once, until all are done
 *
 * VERSION is 1.2 or 1.3, CIPHERS an OpenSSL list for 1.2. One line of JSON says what came of it. Certificates
 * are not verified: that is the client's cost, not the server's. Nothing is resumed. */
#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/clock.h"

#define EVENTS    256
#define BULK_SIZE 1048576u
#define PAGE_SIZE 1000u /* of the one page before a connection is left idle */
#define HOLD_OPEN 64    /* handshakes at a time until all are open */
#define STALL_MS  60000

enum mode { HANDSHAKES, BULK, HOLD, WAIT };
static const char *const mode_names[] = {"handshakes", "bulk", "hold", "wait"};

enum state { FREE, HANDSHAKE, READING, OPEN, CLOSING };

struct connection {
    enum state state;
    int fd;
    SSL *ssl;
    uint64_t begun_ns;
    size_t left; /* of a body, once its head was read */
    bool in_body;
};

static struct {
    enum mode mode;
    struct sockaddr_in server;
    char *name; /* of the host; borrowed */
    SSL_CTX *context;
    size_t body_size; /* of what is asked for; 0 = nothing is */
    char request[128];
    int epoll;
    struct connection *connections;
    unsigned count;   /* of them */
    unsigned started; /* handshakes, in all */
    unsigned wanted;  /* of them; UINT_MAX = until the time is over */
    unsigned done, failed, busy;
    uint64_t bodies, end_ns;
    uint64_t *took_ns; /* the first handshakes */
    size_t took;
} all;

#define TOOK_MAX 100000

static void drop(struct connection *c, bool failed)
{
    if (failed && all.failed == 0) { /* one says what they all have */
        fprintf(stderr, "tls_client: a connection failed: ");
        ERR_print_errors_fp(stderr);
        fputc('\n', stderr);
    }
    all.failed += failed;
    all.busy -= c->state == HANDSHAKE;
    SSL_free(c->ssl);
    close(c->fd);
    *c = (struct connection){.state = FREE};
    ERR_clear_error();
}

static void watch(struct connection *c, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = c};
    if (epoll_ctl(all.epoll, EPOLL_CTL_MOD, c->fd, &event) != 0)
        abort();
}

static bool begin_connection(struct connection *c)
{
    struct epoll_event event = {.events = EPOLLOUT, .data.ptr = c};
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (c->fd < 0)
        return false;
    c->ssl = SSL_new(all.context);
    c->begun_ns = clock_ns();
    c->state = HANDSHAKE;
    all.busy++;
    all.started++;
    if (c->ssl == NULL ||
        (connect(c->fd, (struct sockaddr *)&all.server, sizeof all.server) != 0 && errno != EINPROGRESS) ||
        epoll_ctl(all.epoll, EPOLL_CTL_ADD, c->fd, &event) != 0) {
        drop(c, true);
        return true;
    }
    SSL_set_fd(c->ssl, c->fd);
    SSL_set_tlsext_host_name(c->ssl, all.name);
    SSL_set_connect_state(c->ssl);
    return true;
}

/* Says goodbye and waits for the server to close, so that it has done all that it does for a connection. */
static void start_closing(struct connection *c)
{
    c->state = CLOSING;
    SSL_shutdown(c->ssl);
    shutdown(c->fd, SHUT_WR);
    watch(c, EPOLLIN);
}

static bool send_request(struct connection *c)
{
    c->in_body = false;
    c->left = 0;
    int length = (int)strlen(all.request);
    return SSL_write(c->ssl, all.request, length) == length;
}

static void on_handshake(struct connection *c)
{
    int result = SSL_do_handshake(c->ssl);
    if (result != 1) {
        int why = SSL_get_error(c->ssl, result);
        if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE)
            watch(c, why == SSL_ERROR_WANT_READ ? EPOLLIN : EPOLLOUT);
        else
            drop(c, true);
        return;
    }
    if (all.took < TOOK_MAX)
        all.took_ns[all.took++] = clock_ns() - c->begun_ns;
    all.done++;
    all.busy--;
    c->state = all.body_size > 0 ? READING : CLOSING;
    if (all.body_size == 0)
        start_closing(c);
    else if (send_request(c))
        watch(c, EPOLLIN);
    else
        drop(c, true);
}

/* Takes LENGTH bytes of an answer; true when it is complete. */
static bool take_answer(struct connection *c, const char *bytes, size_t length)
{
    if (!c->in_body) {
        const char *end = memmem(bytes, length, "\r\n\r\n", 4); /* heads come in one record */
        if (end == NULL)
            return false;
        c->in_body = true;
        c->left = all.body_size;
        length -= (size_t)(end + 4 - bytes);
    }
    c->left -= length < c->left ? length : c->left;
    return c->left == 0;
}

static void on_readable(struct connection *c)
{
    static char bytes[65536];
    int length;
    while ((length = SSL_read(c->ssl, bytes, sizeof bytes)) > 0) {
        if (!take_answer(c, bytes, (size_t)length))
            continue;
        all.bodies++;
        if (all.mode == HOLD) {
            c->state = OPEN;
            watch(c, 0);
            return;
        }
        if (clock_ns() >= all.end_ns) {
            start_closing(c);
            return;
        }
        if (!send_request(c))
            break;
    }
    if (SSL_get_error(c->ssl, length) != SSL_ERROR_WANT_READ)
        drop(c, true);
}

static void on_closing(struct connection *c)
{
    static char bytes[65536];
    ssize_t length;
    while ((length = read(c->fd, bytes, sizeof bytes)) > 0)
        ;
    if (length == 0 || (errno != EAGAIN && errno != EINTR))
        drop(c, false);
}

static void on_event(struct connection *c)
{
    if (c->state == HANDSHAKE)
        on_handshake(c);
    else if (c->state == READING)
        on_readable(c);
    else if (c->state == CLOSING)
        on_closing(c);
}

/* ---- the whole ---- */

static bool may_start(void)
{
    if (all.mode == HOLD && all.busy >= HOLD_OPEN)
        return false;
    return all.started < all.wanted && (all.wanted != UINT_MAX || clock_ns() < all.end_ns);
}

/* True while something is to be waited for. */
static bool refill(void)
{
    unsigned alive = 0;
    for (unsigned i = 0; i < all.count; i++) {
        if (all.connections[i].state == FREE && may_start())
            begin_connection(&all.connections[i]);
        alive += all.connections[i].state != FREE;
    }
    return all.mode == HOLD ? all.bodies + all.failed < all.wanted : alive > 0;
}

static int run_all(void)
{
    struct epoll_event events[EVENTS];
    while (refill()) {
        int count = epoll_wait(all.epoll, events, EVENTS, STALL_MS);
        if (count == 0 || (count < 0 && errno != EINTR)) {
            fprintf(stderr, "tls_client: nothing happens any more\n");
            return 1;
        }
        for (int i = 0; i < count; i++)
            on_event(events[i].data.ptr);
    }
    return 0;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void report(uint64_t begun_ns)
{
    qsort(all.took_ns, all.took, sizeof *all.took_ns, compare);
    printf("{\"handshakes\": %u, \"failed\": %u, \"megabytes\": %llu, \"seconds\": %.3f, \"p50_ms\": %.3f, "
           "\"p99_ms\": %.3f}\n",
           all.done, all.failed, (unsigned long long)(all.mode == BULK ? all.bodies : 0),
           (double)(clock_ns() - begun_ns) / 1e9, all.took ? (double)all.took_ns[all.took / 2] / 1e6 : 0,
           all.took ? (double)all.took_ns[all.took * 99 / 100] / 1e6 : 0);
    fflush(stdout);
}

static SSL_CTX *context(const char *version, const char *ciphers)
{
    static char ecdsa[] = "ECDSA+SHA256";
    SSL_CTX *made = SSL_CTX_new(TLS_client_method());
    uint16_t number = strcmp(version, "1.3") == 0 ? TLS1_3_VERSION : TLS1_2_VERSION;
    if (made == NULL || !SSL_CTX_set_min_proto_version(made, number) ||
        !SSL_CTX_set_max_proto_version(made, number))
        return NULL;
    SSL_CTX_set_verify(made, SSL_VERIFY_NONE, NULL);
    SSL_CTX_set_session_cache_mode(made, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(made, SSL_MODE_RELEASE_BUFFERS);
    if (number == TLS1_3_VERSION)
        return SSL_CTX_set1_sigalgs_list(made, ecdsa) ? made : NULL;
    return SSL_CTX_set_cipher_list(made, ciphers) ? made : NULL;
}

static int parse(char *argv[])
{
    while (all.mode <= WAIT && strcmp(mode_names[all.mode], argv[1]) != 0)
        all.mode++;
    all.server = (struct sockaddr_in){.sin_family = AF_INET,
                                      .sin_port = htons((uint16_t)strtoul(argv[2], NULL, 10))};
    all.server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    all.context = context(argv[3], argv[4]);
    all.name = argv[5];
    all.count = (unsigned)strtoul(argv[6], NULL, 10);
    all.body_size = all.mode == BULK ? BULK_SIZE : all.mode == HOLD ? PAGE_SIZE : 0;
    snprintf(all.request, sizeof all.request, "GET /size/%zu HTTP/1.1\r\nHost: bench.test\r\n\r\n",
             all.body_size);
    all.wanted = all.mode == HOLD || all.mode == WAIT ? all.count : UINT_MAX;
    all.end_ns = clock_ns() + (uint64_t)(strtod(argv[7], NULL) * 1e9);
    all.connections = calloc(all.count, sizeof *all.connections);
    all.took_ns = calloc(TOOK_MAX, sizeof *all.took_ns);
    all.epoll = epoll_create1(EPOLL_CLOEXEC);
    return all.mode > WAIT || all.context == NULL || all.count == 0 || all.connections == NULL ||
           all.took_ns == NULL || all.epoll < 0;
}

int main(int argc, char *argv[])
{
    struct rlimit files;
    char end;
    if (argc == 2 && strcmp(argv[1], "library") == 0)
        return puts(OPENSSL_VERSION_TEXT) < 0;
    if (argc != 8 || parse(argv) != 0) {
        fprintf(stderr, "usage: tls_client MODE PORT VERSION CIPHERS NAME COUNT SECONDS\n");
        return 2;
    }
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    uint64_t begun_ns = clock_ns();
    int result = run_all();
    report(begun_ns);
    if (all.mode == HOLD && read(STDIN_FILENO, &end, 1) < 0)
        return 1;
    return result != 0 || all.failed > 0;
}
