/* Addresses as people write them: "127.0.0.1:2407", "[::1]:2407", "*:443", "localhost:80",
 * "unix:/run/x.sock", and networks "10.0.0.0/8". Opens listening sockets and resolves names; does no other
 * I/O. */
#ifndef COMMON_ADDRESS_H
#define COMMON_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "common/err.h"

struct address {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_un local;
    } u;
    socklen_t length;
    bool v6_only; /* to listen at: [::] without IPv4 */
};

#define ADDRESS_TEXT_SIZE 128

#define ADDRESS_HOST_SIZE 256 /* a DNS name has at most 253 characters */
#define ADDRESS_FOUND_MAX 8   /* addresses that are kept of a name */

/* Parses TEXT; a missing port is DEFAULT_PORT (0 = a port is required). Host names are looked up, blocking:
 * for start-up only. ERR_CONFIG with the fault filled. */
int address_parse(struct address *out, const char *text, uint16_t default_port, struct fault *fault) MUST_USE;
/* The same without a look-up: HOST is empty when OUT is complete; else it is a name, and OUT has its port
 * only. */
int address_parse_endpoint(struct address *out, char host[static ADDRESS_HOST_SIZE], const char *text,
                           uint16_t default_port, struct fault *fault) MUST_USE;
/* The same for an address to connect to, which has no port 0. */
int address_parse_target(struct address *out, char host[static ADDRESS_HOST_SIZE], const char *text,
                         uint16_t default_port, struct fault *fault) MUST_USE;
/* The addresses of HOST, at most MAX, in the order in which to try them; the families alternate. Blocks for
 * as long as a name server takes. ERR_NOT_FOUND with the fault filled. */
int address_look_up(const char *host, uint16_t port, struct address *out, size_t max, size_t *count,
                    struct fault *fault) MUST_USE;
/* Of an IPv4 or IPv6 address. */
void address_set_port(struct address *address, uint16_t port);
/* The inverse; returns OUT. IPv6 in brackets, "unix:PATH" for local. */
char *address_text(const struct address *address, char out[static ADDRESS_TEXT_SIZE]);
bool address_is_local(const struct address *address);    /* a unix socket */
bool address_is_loopback(const struct address *address); /* a unix socket or a loopback address */

/* A listening, non-blocking, close-on-exec stream socket, SO_REUSEADDR and, when SHARED, SO_REUSEPORT. A unix
 * socket is made with mode 0660, replacing a stale one, under a lock (local_claim.h). Returns the descriptor
 * or a negative error.
 *
 * Without SHARED it is an error when any socket listens there already, a shared one included: of several
 * processes that start at once, one gets the address. With SHARED it is an error when an unshared socket, or
 * one of another user, listens there. So a process that wants several sockets there, and nobody else's, opens
 * the first without SHARED and then shares it. */
int address_listen(const struct address *address, bool shared, int backlog, struct fault *fault) MUST_USE;
/* Lets sockets that are opened from now on, by address_listen() with SHARED, listen beside FD, which listens
 * already. ERR_SYSTEM with errno. */
int address_share(int fd) MUST_USE;
/* True when a socket that listens at HAVER receives all connections that one at OTHER would: HAVER is the
 * same address, or the wildcard of its family or of both. Never for port 0, which is another port each time,
 * nor for unix sockets. */
bool address_covers(const struct address *haver, const struct address *other);
/* Where LIST, of COUNT addresses to listen at, has "0.0.0.0:PORT" and "[::]:PORT", the second becomes one for
 * IPv6 only; otherwise it stays one for both families. */
void address_split_families(struct address *list, size_t count);
/* The address FD is bound to (port 0 becomes the real one). */
int address_of_socket(int fd, struct address *out) MUST_USE;

#define ADDRESS_BLOCK_SIZE 17

/* What names a block of addresses: the family, and the first V4_BITS or V6_BITS of ADDRESS; the rest is
 * zeros. IPv4-mapped IPv6 counts as IPv4; all unix sockets are one block. */
void address_block(uint8_t out[static ADDRESS_BLOCK_SIZE], const struct address *address, unsigned v4_bits,
                   unsigned v6_bits);

#define ADDRESS_BYTES_MAX 16 /* of an IPv6 address */

struct network {
    uint8_t family; /* AF_INET or AF_INET6; 0 = unused */
    uint8_t prefix; /* bits */
    uint8_t bytes[ADDRESS_BYTES_MAX];
};
/* "192.0.2.0/24", "2001:db8::/32", or one address. ERR_FORMAT; ERR_CONFIG: a network, but bits behind its
 * prefix are set, as in "10.1.2.3/8": OUT is the whole network then, which may not be what was meant. */
int network_parse(struct network *out, const char *text) MUST_USE;
#define NETWORK_TEXT_SIZE 50
/* As network_parse() reads it; returns OUT. */
const char *network_write(char out[static NETWORK_TEXT_SIZE], const struct network *network);
/* True when ADDRESS lies in NETWORK; IPv4-mapped IPv6 counts as IPv4; a unix socket is in no network. */
bool network_has(const struct network *network, const struct address *address);

#endif
