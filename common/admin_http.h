/* The HTTP/1.1 of the admin endpoint: one request head in, one response head out (RFC 9112).
 *
 * Knows no sockets and no routes' content. Pure; any thread. */
#ifndef COMMON_ADMIN_HTTP_H
#define COMMON_ADMIN_HTTP_H

#include <stdbool.h>
#include <stddef.h>

#include "common/admin.h"

#define ADMIN_REQUEST_MAX 4096 /* bytes of a request head */

/* Reads the head in LENGTH bytes; TEXT has room for one more and is cut up in place. Returns 0 when the head
 * is not complete yet, 200 with PATH (without query, inside TEXT), or the status to refuse it with: 400, 403
 * (a Host that is not this machine, as DNS rebinding brings it; not checked when LOCAL), 405, 431. */
int admin_http_parse(char *text, size_t length, bool local, const char **path) MUST_USE;
/* The route for PATH, and in REST what of PATH is behind it; NULL when there is none. */
const struct admin_route *admin_http_route(const struct admin_route *routes, const char *path,
                                           const char **rest);
/* Appends the response head, with its empty line. ERR_MEMORY. */
int admin_http_head(struct buffer *out, int status, const char *content_type, size_t length) MUST_USE;
/* "Not Found" for 404; never NULL. */
const char *admin_http_reason(int status);

#endif
