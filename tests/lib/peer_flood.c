/* A TLS 1.3 client for the integration tests that sends nothing but KeyUpdates, as fast as they are taken.
 *
 *     peer_flood PORT NAME
 *
 * Connects to 127.0.0.1, prepares the flood, says "flooding" and sends it. 0: the server has closed; 1: it
 * has taken all of it; 2: there was no connection, or no handshake. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define UPDATES 200000 /* some seconds of work for who takes them all */
#define NOTHING 2      /* exit status */

static int connect_to(const char *port)
{
    const struct sockaddr_in to = {.sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)atoi(port)),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd >= 0 && connect(fd, (const struct sockaddr *)&to, sizeof to) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/* What the client writes from now on goes into memory. */
static BIO *write_into_memory(SSL *ssl)
{
    BIO *memory = BIO_new(BIO_s_mem());

    if (memory != NULL)
        SSL_set0_wbio(ssl, memory);
    return memory;
}

static bool make_flood(SSL *ssl)
{
    for (int i = 0; i < UPDATES; i++)
        if (SSL_key_update(ssl, SSL_KEY_UPDATE_REQUESTED) != 1 || SSL_do_handshake(ssl) != 1)
            return false;
    return true;
}

/* Whether the server took all of it. */
static bool send_all(int fd, const char *bytes, size_t length)
{
    for (size_t sent = 0; sent < length;) {
        ssize_t n = send(fd, bytes + sent, length - sent, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        sent += (size_t)n;
    }
    return true;
}

/* The server has to say that it has read everything, since the kernel takes a lot by itself. */
static bool is_closed(int fd)
{
    char bytes[4096];
    ssize_t n;

    shutdown(fd, SHUT_WR);
    while ((n = recv(fd, bytes, sizeof bytes, 0)) > 0)
        ;
    return n < 0;
}

static int flood(int fd, SSL *ssl)
{
    char *bytes = NULL;
    BIO *memory = SSL_connect(ssl) == 1 ? write_into_memory(ssl) : NULL;

    if (memory == NULL || !make_flood(ssl))
        return NOTHING;
    long length = BIO_get_mem_data(memory, &bytes);
    puts("flooding");
    fflush(stdout);
    return send_all(fd, bytes, (size_t)length) && !is_closed(fd);
}

int main(int count, char **arguments)
{
    int fd = count == 3 ? connect_to(arguments[1]) : -1;
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL *ssl = fd >= 0 && context != NULL ? SSL_new(context) : NULL;
    int status = NOTHING;

    if (ssl != NULL && SSL_set_min_proto_version(ssl, TLS1_3_VERSION) == 1 &&
        SSL_set_tlsext_host_name(ssl, arguments[2]) == 1 && SSL_set_fd(ssl, fd) == 1)
        status = flood(fd, ssl);
    SSL_free(ssl);
    SSL_CTX_free(context);
    if (fd >= 0)
        close(fd);
    return status;
}
