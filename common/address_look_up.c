#include <errno.h>
#include <netdb.h>
#include <string.h>

#include "common/address.h"

static const char *reason_of(int code)
{
    return code == EAI_SYSTEM ? strerror(errno) : gai_strerror(code);
}

/* The next entry of FAMILY from AT on, or of any family but that when OTHER; NULL when there is none. */
static const struct addrinfo *find_family(const struct addrinfo *at, int family, bool other)
{
    while (at != NULL && (at->ai_family == family) == other)
        at = at->ai_next;
    return at;
}

/* The resolver's order (RFC 6724), the families alternating (RFC 8305, section 4): one that does not work
 * costs one attempt, not as many as it has addresses. */
static size_t interleave(const struct addrinfo *list, uint16_t port, struct address *out, size_t max)
{
    int first = list->ai_family;
    const struct addrinfo *next[2] = {find_family(list, first, false), find_family(list, first, true)};
    size_t count = 0;
    for (unsigned family = 0; count < max && (next[0] != NULL || next[1] != NULL); family ^= 1) {
        const struct addrinfo *at = next[family];
        if (at == NULL)
            continue;
        next[family] = find_family(at->ai_next, first, family == 1);
        if (at->ai_addrlen > sizeof out->u)
            continue;
        memset(&out[count], 0, sizeof out[count]);
        memcpy(&out[count].u, at->ai_addr, at->ai_addrlen);
        out[count].length = at->ai_addrlen;
        address_set_port(&out[count++], port);
    }
    return count;
}

int address_look_up(const char *host, uint16_t port, struct address *out, size_t max, size_t *count,
                    struct fault *fault)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    *count = 0;
    int code = getaddrinfo(host, NULL, &hints, &list);
    if (code != 0)
        return fault_set(fault, ERR_NOT_FOUND, "cannot find the address of '%s': %s", host, reason_of(code));
    *count = interleave(list, port, out, max);
    freeaddrinfo(list);
    return 0;
}
