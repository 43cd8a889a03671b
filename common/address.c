#include "common/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/local_claim.h"

#define HOST_SIZE ADDRESS_HOST_SIZE

/* A decimal number of at most MAX that is all of TEXT, or ERR_FORMAT. */
static int parse_number(const char *text, unsigned max, unsigned *out)
{
    unsigned value = 0;
    if (text[0] == 0)
        return ERR_FORMAT;
    for (const char *at = text; *at != 0; at++) {
        if (*at < '0' || *at > '9')
            return ERR_FORMAT;
        value = 10 * value + (unsigned)(*at - '0');
        if (value > max)
            return ERR_FORMAT;
    }
    *out = value;
    return 0;
}

static int parse_local(struct address *out, const char *path, struct fault *fault)
{
    size_t length = strlen(path);
    if (length == 0)
        return fault_set(fault, ERR_CONFIG, "unix: no path; write it like unix:/run/name.sock");
    if (length >= sizeof out->u.local.sun_path)
        return fault_set(fault, ERR_CONFIG, "unix:%s: longer than %zu bytes, the most a socket's path can be",
                         path, sizeof out->u.local.sun_path - 1);
    out->u.local.sun_family = AF_UNIX;
    memcpy(out->u.local.sun_path, path, length + 1);
    out->length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + 1);
    return 0;
}

/* Splits TEXT into HOST and the text of its port ("" when there is none). */
static int split(const char *text, char host[static HOST_SIZE], const char **port, struct fault *fault)
{
    const char *start = text;
    const char *end;
    const char *colon = strrchr(text, ':');
    if (text[0] == '[') {
        start = text + 1;
        end = strchr(start, ']');
        if (end == NULL || (end[1] != 0 && end[1] != ':'))
            return fault_set(fault, ERR_CONFIG, "%s: brackets do not match; write it like [::1]:2407", text);
        *port = end[1] == ':' ? end + 2 : NULL;
    } else if (colon != NULL && colon == strchr(text, ':')) {
        end = colon;
        *port = colon + 1;
    } else {
        end = text + strlen(text); /* no colon, or an IPv6 address without brackets and port */
        *port = NULL;
    }
    size_t length = (size_t)(end - start);
    if (length == 0)
        return fault_set(fault, ERR_CONFIG, "'%s': no host; write * for every address of this machine", text);
    if (length >= HOST_SIZE)
        return fault_set(fault, ERR_CONFIG, "%.40s…: longer than a host name can be", text);
    memcpy(host, start, length);
    host[length] = 0;
    return 0;
}

void address_set_port(struct address *address, uint16_t port)
{
    if (address->u.any.sa_family == AF_INET6)
        address->u.v6.sin6_port = htons(port);
    else
        address->u.v4.sin_port = htons(port);
}

/* True when HOST is an address, which OUT becomes; no name server is asked. */
static bool is_numeric(struct address *out, const char *host)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST};
    struct addrinfo *list = NULL;
    if (getaddrinfo(host, NULL, &hints, &list) != 0)
        return false;
    if (list->ai_addrlen <= sizeof out->u) {
        memcpy(&out->u, list->ai_addr, list->ai_addrlen);
        out->length = list->ai_addrlen;
    }
    freeaddrinfo(list);
    return true;
}

/* Characters that a host name may have: a comma instead of a dot is a typing error. */
static bool is_name(const char *host)
{
    return host[strspn(host, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_")] == 0;
}

/* Empties HOST when it is a numeric address, which OUT then holds. */
static int take_host(struct address *out, const char *text, char *host, struct fault *fault)
{
    unsigned number;
    bool literal = true;
    if (strcmp(host, "*") == 0) {
        out->u.v6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_ANY_INIT};
        out->length = sizeof out->u.v6;
    } else if (parse_number(host, UINT16_MAX, &number) == 0) {
        return fault_set(fault, ERR_CONFIG, "%s: only a port; write *:%u or 127.0.0.1:%u", text, number,
                         number);
    } else if (text[0] != '[' && strchr(host, ':') != NULL &&
               inet_pton(AF_INET6, host, &out->u.v6.sin6_addr) != 1) {
        return fault_set(fault, ERR_CONFIG, "%s: too many colons; write IPv6 like [::1]:2407", text);
    } else {
        literal = is_numeric(out, host);
    }
    if (!literal && strchr(host, ':') != NULL) /* no host name has a colon */
        return fault_set(fault, ERR_CONFIG, "%s: cannot find the address of '%s': not an IPv6 address", text,
                         host);
    if (!literal && !is_name(host))
        return fault_set(
            fault, ERR_CONFIG,
            "%s: '%s' is neither an address nor a host name; it has letters, digits, '.', '-' and "
            "'_' (other letters in the form xn--…)",
            text, host);
    if (literal)
        host[0] = 0;
    return 0;
}

int address_parse_endpoint(struct address *out, char host[static ADDRESS_HOST_SIZE], const char *text,
                           uint16_t default_port, struct fault *fault)
{
    const char *port_text = NULL;
    unsigned port = default_port;
    memset(out, 0, sizeof *out);
    host[0] = 0;
    if (strncmp(text, "unix:", 5) == 0)
        return parse_local(out, text + 5, fault);
    if (strstr(text, "://") != NULL)
        return fault_set(fault, ERR_CONFIG, "%s: a URL; write host and port only, like www.example.com:443",
                         text);
    int err = split(text, host, &port_text, fault);
    if (err != 0)
        return err;
    if (port_text != NULL && parse_number(port_text, UINT16_MAX, &port) != 0)
        return fault_set(fault, ERR_CONFIG, "%s: '%s' is not a port; it is a number from 0 to 65535", text,
                         port_text);
    err = take_host(out, text, host, fault);
    if (err != 0)
        return err;
    if (port_text == NULL && default_port == 0)
        return fault_set(fault, ERR_CONFIG, "%s: a port is missing; write it like %s:443", text, text);
    address_set_port(out, (uint16_t)port);
    return 0;
}

int address_parse_target(struct address *out, char host[static ADDRESS_HOST_SIZE], const char *text,
                         uint16_t default_port, struct fault *fault)
{
    int err = address_parse_endpoint(out, host, text, default_port, fault);
    if (err == 0 && !address_is_local(out) && out->u.v4.sin_port == 0) /* where IPv6 has its port, too */
        err = fault_set(fault, ERR_CONFIG, "%s: nobody listens at port 0; write the port of who does", text);
    return err;
}

/* Of several addresses the first IPv4 one is taken: what listens on "localhost" only is rarely on ::1. */
int address_parse(struct address *out, const char *text, uint16_t default_port, struct fault *fault)
{
    struct address found[ADDRESS_FOUND_MAX];
    char host[HOST_SIZE];
    struct fault why = {0};
    size_t count, best = 0;
    int err = address_parse_endpoint(out, host, text, default_port, fault);
    if (err != 0 || host[0] == 0)
        return err;
    if (address_look_up(host, ntohs(out->u.v4.sin_port), found, ADDRESS_FOUND_MAX, &count, &why) != 0 ||
        count == 0)
        return fault_set(fault, ERR_CONFIG, "%s: %s", text, why.text);
    for (size_t i = count; i-- > 0;)
        if (found[i].u.any.sa_family == AF_INET)
            best = i;
    *out = found[best];
    return 0;
}

/* The IPv4 address inside, if there is one (an IPv4-mapped IPv6 address has one), or NULL. */
static const uint8_t *find_v4(const struct address *address)
{
    if (address->u.any.sa_family == AF_INET)
        return (const uint8_t *)&address->u.v4.sin_addr;
    if (address->u.any.sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&address->u.v6.sin6_addr))
        return address->u.v6.sin6_addr.s6_addr + 12;
    return NULL;
}

static char *local_text(const struct address *address, char out[static ADDRESS_TEXT_SIZE])
{
    size_t start = offsetof(struct sockaddr_un, sun_path);
    size_t length = address->length > start ? address->length - start : 0; /* 0: an unnamed peer */
    snprintf(out, ADDRESS_TEXT_SIZE, "unix:%.*s", (int)length, address->u.local.sun_path);
    return out;
}

char *address_text(const struct address *address, char out[static ADDRESS_TEXT_SIZE])
{
    char host[INET6_ADDRSTRLEN] = "";
    char scope[16] = "";
    const uint8_t *v4 = find_v4(address);
    if (address->u.any.sa_family == AF_UNIX)
        return local_text(address, out);
    if (address->u.any.sa_family != AF_INET && address->u.any.sa_family != AF_INET6) {
        snprintf(out, ADDRESS_TEXT_SIZE, "unknown");
        return out;
    }
    unsigned port = ntohs(address->u.any.sa_family == AF_INET ? address->u.v4.sin_port
                                                              : address->u.v6.sin6_port);
    if (v4 != NULL) {
        snprintf(out, ADDRESS_TEXT_SIZE, "%u.%u.%u.%u:%u", v4[0], v4[1], v4[2], v4[3], port);
        return out;
    }
    inet_ntop(AF_INET6, &address->u.v6.sin6_addr, host, sizeof host);
    if (address->u.v6.sin6_scope_id != 0)
        snprintf(scope, sizeof scope, "%%%u", address->u.v6.sin6_scope_id);
    snprintf(out, ADDRESS_TEXT_SIZE, "[%s%s]:%u", host, scope, port);
    return out;
}

bool address_is_local(const struct address *address)
{
    return address->u.any.sa_family == AF_UNIX;
}

bool address_is_loopback(const struct address *address)
{
    const uint8_t *v4 = find_v4(address);
    if (address_is_local(address))
        return true;
    if (v4 != NULL)
        return v4[0] == 127;
    return address->u.any.sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&address->u.v6.sin6_addr);
}

int address_of_socket(int fd, struct address *out)
{
    memset(out, 0, sizeof *out);
    out->length = sizeof out->u;
    return getsockname(fd, &out->u.any, &out->length) != 0 ? ERR_SYSTEM : 0;
}

static int explain(const struct address *address, int number, struct fault *fault)
{
    char text[ADDRESS_TEXT_SIZE];
    address_text(address, text);
    unsigned port = address_is_local(address) ? 0 : ntohs(address->u.v4.sin_port);
    if (number == EADDRINUSE)
        return fault_set(fault, ERR_SYSTEM,
                         "%s: in use already; end who listens there or take another port; see by whom with: "
                         "ss -ltnp sport = :%u",
                         text, port);
    if (number == EACCES && !address_is_local(address))
        return fault_set(fault, ERR_SYSTEM,
                         "%s: not allowed to listen there; take a port above 1023 or give the program "
                         "CAP_NET_BIND_SERVICE",
                         text);
    if (number == EADDRNOTAVAIL)
        return fault_set(fault, ERR_SYSTEM, "%s: not an address of this machine; see: ip address", text);
    return fault_set(fault, ERR_SYSTEM, "%s: cannot listen there: %s", text, strerror(number));
}

static bool is_any_v6(const struct address *address)
{
    return address->u.any.sa_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&address->u.v6.sin6_addr);
}

static bool is_any_v4(const struct address *address)
{
    return address->u.any.sa_family == AF_INET && address->u.v4.sin_addr.s_addr == INADDR_ANY;
}

void address_split_families(struct address *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < count; j++)
            if (is_any_v6(&list[i]) && is_any_v4(&list[j]) && list[i].u.v6.sin6_port == list[j].u.v4.sin_port)
                list[i].v6_only = true;
}

static uint16_t port_of(const struct address *address)
{
    return address->u.any.sa_family == AF_INET ? address->u.v4.sin_port : address->u.v6.sin6_port;
}

/* True when a dual-stack socket at the IPv6 wildcard HAVER receives IPv4 connections, too. */
static bool is_any_of_both(const struct address *haver)
{
    return is_any_v6(haver) && !haver->v6_only;
}

bool address_covers(const struct address *haver, const struct address *other)
{
    if (address_is_local(haver) || address_is_local(other) || port_of(haver) != port_of(other) ||
        port_of(haver) == 0)
        return false;
    if (haver->u.any.sa_family != other->u.any.sa_family)
        return is_any_of_both(haver);
    if (is_any_v4(haver) || is_any_of_both(haver) || (is_any_v6(haver) && !is_any_of_both(other)))
        return true;
    return haver->u.any.sa_family == AF_INET
               ? haver->u.v4.sin_addr.s_addr == other->u.v4.sin_addr.s_addr
               : haver->u.v6.sin6_scope_id == other->u.v6.sin6_scope_id &&
                     IN6_ARE_ADDR_EQUAL(&haver->u.v6.sin6_addr, &other->u.v6.sin6_addr);
}

int address_share(int fd)
{
    int on = 1;
    return setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0 ? ERR_SYSTEM : 0;
}

/* Binds and listens with FD; -1 with errno. The mode is set before listen(), so nobody connects in between.
 */
static int start_listening(int fd, const struct address *address, bool shared, int backlog)
{
    int on = 1;
    int v6_only = address->v6_only;
    if (!address_is_local(address) && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0)
        return -1;
    if (!address_is_local(address) && shared && address_share(fd) != 0)
        return -1;
    if (is_any_v6(address) && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6_only, sizeof v6_only) != 0)
        return -1;
    if (bind(fd, &address->u.any, address->length) != 0)
        return -1;
    if (address_is_local(address) && chmod(address->u.local.sun_path, 0660) != 0)
        return -1;
    return listen(fd, backlog);
}

static int listen_at(const struct address *address, bool shared, int backlog)
{
    int fd = socket(address->u.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (start_listening(fd, address, shared, backlog) != 0) {
        int saved = errno;
        close(fd);
        errno = saved;
        return -1;
    }
    return fd;
}

static int listen_locally(const struct address *address, int backlog, struct fault *fault)
{
    struct local_claim claim;
    int err = local_claim_take(&claim, &address->u.local, fault);

    if (err != 0)
        return err;
    int fd = listen_at(address, false, backlog);
    if (fd < 0)
        fd = explain(address, errno, fault);
    local_claim_release(&claim);
    return fd;
}

int address_listen(const struct address *address, bool shared, int backlog, struct fault *fault)
{
    if (address_is_local(address))
        return listen_locally(address, backlog, fault);
    int fd = listen_at(address, shared, backlog);
    if (fd < 0 && is_any_v6(address) && !address->v6_only &&
        errno == EAFNOSUPPORT) { /* a machine without IPv6 */
        struct address v4 = {.length = sizeof v4.u.v4};
        v4.u.v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = address->u.v6.sin6_port};
        fd = listen_at(&v4, shared, backlog);
    }
    return fd >= 0 ? fd : explain(address, errno, fault);
}

/* Clears what lies behind the prefix; true when there was something. */
static bool clear_host_bits(struct network *network)
{
    struct network given = *network;
    memset(network->bytes, 0, sizeof network->bytes);
    memcpy(network->bytes, given.bytes, network->prefix / 8);
    if (network->prefix % 8 != 0)
        network->bytes[network->prefix / 8] = given.bytes[network->prefix / 8] &
                                              (uint8_t)(0xff00u >> network->prefix % 8);
    return memcmp(network->bytes, given.bytes, sizeof given.bytes) != 0;
}

int network_parse(struct network *out, const char *text)
{
    char host[INET6_ADDRSTRLEN];
    struct in6_addr v6;
    unsigned prefix;
    const char *slash = strchr(text, '/');
    size_t length = slash == NULL ? strlen(text) : (size_t)(slash - text);
    memset(out, 0, sizeof *out);
    if (length >= sizeof host)
        return ERR_FORMAT;
    memcpy(host, text, length);
    host[length] = 0;
    bool is_v4 = inet_pton(AF_INET, host, out->bytes) == 1;
    if (!is_v4 && inet_pton(AF_INET6, host, out->bytes) != 1)
        return ERR_FORMAT;
    prefix = is_v4 ? 32 : 128;
    if (slash != NULL && parse_number(slash + 1, prefix, &prefix) != 0)
        return ERR_FORMAT;
    memcpy(&v6, out->bytes, sizeof v6);
    if (!is_v4 && prefix >= 96 && IN6_IS_ADDR_V4MAPPED(&v6)) {
        memmove(out->bytes, out->bytes + 12, 4);
        memset(out->bytes + 4, 0, 12);
        prefix -= 96;
        is_v4 = true;
    }
    out->family = is_v4 ? AF_INET : AF_INET6;
    out->prefix = (uint8_t)prefix;
    return clear_host_bits(out) ? ERR_CONFIG : 0;
}

bool network_has(const struct network *network, const struct address *address)
{
    const uint8_t *bytes = find_v4(address);
    bool is_v4 = bytes != NULL;
    if (!is_v4 && address->u.any.sa_family == AF_INET6)
        bytes = address->u.v6.sin6_addr.s6_addr;
    if (bytes == NULL || network->family != (is_v4 ? AF_INET : AF_INET6))
        return false;
    size_t whole = network->prefix / 8;
    unsigned rest = network->prefix % 8;
    if (memcmp(bytes, network->bytes, whole) != 0)
        return false;
    return rest == 0 || ((bytes[whole] ^ network->bytes[whole]) & (0xff00u >> rest) & 0xff) == 0;
}
