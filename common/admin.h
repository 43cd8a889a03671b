/* The admin endpoint: HTTP/1.1, GET only, on loopback or a unix socket, bounded in size, count and time.
 *
 * Not a web server: no bodies in, no keep-alive, no query strings but what a route asks for. Runs on the
 * caller's loop; loop thread only. */
#ifndef COMMON_ADMIN_H
#define COMMON_ADMIN_H

#include <uv.h>

#include "common/address.h"
#include "common/bytes.h"

struct admin;

/* Fills BODY and returns the HTTP status (200, 404, 503). REST is the path after the route's own text,
 * without any "?query"; it is untrusted. */
typedef int (*admin_handler)(struct buffer *body, const char *rest, void *user);

struct admin_route {
    const char *path; /* "/metrics"; with a trailing '/' it matches everything below; "/" only itself */
    const char *content_type; /* "text/plain; version=0.0.4" */
    admin_handler handle;
};

/* ROUTES ends with a NULL path and is borrowed, as is USER, until admin_close(). FD is a listening socket and
 * is taken. Requests over 4 KB or slower than 5 s are closed; of more than 16 at once, those that have gone
 * on for longest. */
int admin_start(struct admin **out, uv_loop_t *loop, int fd, const struct admin_route *routes,
                void *user) MUST_USE;
/* Stops listening and closes every connection; memory is freed once the loop has run its close callbacks.
 * NULL is allowed. */
void admin_close(struct admin *admin);

/* Opens the listening socket for ADDRESS after checking that it is loopback or unix; logs "admin_listening"
 * with the bound address. Returns the descriptor or a negative error with the fault filled. */
int admin_listen(const struct address *address, struct fault *fault) MUST_USE;

/* The other side, for the command: blocking GET of PATH from ADDRESS within TIMEOUT_MS. BODY gets the
 * content; returns the HTTP status, or a negative error (ERR_TIMEOUT, ERR_SYSTEM with errno, ERR_CUT,
 * ERR_LENGTH, ERR_FORMAT, ERR_MEMORY). */
int admin_get(const struct address *address, const char *path, int timeout_ms, struct buffer *body) MUST_USE;

#endif
