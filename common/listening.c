#include "common/listening.h"

#include <errno.h>
#include <ifaddrs.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/local_claim.h"
#include "common/shell.h"

static bool is_off(const char *text)
{
    return text == NULL || strcmp(text, "off") == 0;
}

/* The folder of a socket file. */
static const char *folder_of(const char *path, char folder[static PATH_MAX])
{
    const char *slash = strrchr(path, '/');
    snprintf(folder, PATH_MAX, "%.*s",
             slash == NULL   ? 1
             : slash == path ? 1
                             : (int)(slash - path),
             slash == NULL ? "." : path);
    return folder;
}

static int check_local(const char *path, struct fault *fault)
{
    struct stat info;
    char folder[PATH_MAX];
    folder_of(path, folder);
    bool made_at_start = strncmp(path, "/run/", 5) == 0 ||
                         strncmp(path, "/var/run/", 9) == 0; /* by systemd */
    if (!made_at_start && (stat(folder, &info) != 0 || !S_ISDIR(info.st_mode)))
        return fault_set(fault, ERR_CONFIG, "unix:%s: there is no folder %s; make it with: mkdir %s", path,
                         folder, SHELL_WORD(folder));
    if (lstat(path, &info) == 0 && !S_ISSOCK(info.st_mode))
        return fault_set(fault, ERR_CONFIG, "unix:%s: something else than a socket is there; move it away",
                         path);
    return local_claim_check(path, fault);
}

/* Binds to the address without its port, which only shows whether the address is this machine's. */
static int check_network(const struct address *address, const char *text, struct fault *fault)
{
    struct address any_port = *address;
    int fd = socket(address->u.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return 0; /* a machine without IPv6 listens on IPv4 */
    if (address->u.any.sa_family == AF_INET)
        any_port.u.v4.sin_port = 0;
    else
        any_port.u.v6.sin6_port = 0;
    bool foreign = bind(fd, &any_port.u.any, any_port.length) != 0 && errno == EADDRNOTAVAIL;
    close(fd);
    return foreign ? fault_set(fault, ERR_CONFIG, "%s: not an address of this machine; see: ip address", text)
                   : 0;
}

static int check_address(struct address *out, const char *text, uint16_t default_port, struct fault *fault)
{
    int err = address_parse(out, text, default_port, fault);
    if (err != 0)
        return err;
    return address_is_local(out) ? check_local(out->u.local.sun_path, fault)
                                 : check_network(out, text, fault);
}

int listening_check_one(const char *text, uint16_t default_port, struct fault *fault)
{
    struct address address;
    return check_address(&address, text, default_port, fault);
}

/* Port 0 is another port at each bind, so it equals nothing. */
static bool is_same(const struct address *a, const struct address *b)
{
    bool takes_any = !address_is_local(a) && a->u.v4.sin_port == 0;
    return !takes_any && a->length == b->length && memcmp(&a->u, &b->u, a->length) == 0;
}

int listening_check(const char *file, const struct config_strings *listen, size_t item, uint16_t default_port,
                    struct fault *fault)
{
    struct fault why = {.text = ""};
    struct address own, before;
    int err = check_address(&own, listen->item[item], default_port, &why);

    for (size_t i = 0; err == 0 && i < item; i++)
        if (address_parse(&before, listen->item[i], default_port, NULL) == 0 && is_same(&own, &before))
            err = fault_set(&why, ERR_CONFIG, "%s: is there twice; remove one of them", listen->item[item]);
    return err == 0 ? 0 : fault_set(fault, err, "%s: listen: %s", file, why.text);
}

int listening_check_admin(const char *file, const char *admin, uint16_t default_port, struct fault *fault)
{
    struct address address;
    struct fault why = {.text = ""};
    if (is_off(admin))
        return 0;
    int err = address_parse(&address, admin, default_port, &why);
    if (err == 0 && !address_is_loopback(&address))
        return fault_set(fault, ERR_CONFIG,
                         "%s: admin: %s is open to the network; use 127.0.0.1:%u, a unix socket or \"off\"",
                         file, admin, (unsigned)default_port);
    if (err == 0)
        err = check_address(&address, admin, default_port, &why);
    return err == 0 ? 0 : fault_set(fault, err, "%s: admin: %s", file, why.text);
}

/* ---- addresses that are to be two ---- */

static bool is_one_file(const char *a, const char *b)
{
    struct stat one, other;
    return strcmp(a, b) == 0 || (stat(a, &one) == 0 && stat(b, &other) == 0 && one.st_dev == other.st_dev &&
                                 one.st_ino == other.st_ino);
}

static const char *name_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}

/* The socket may not exist yet: then its folder and name are compared. */
static bool is_one_socket(const char *a, const char *b)
{
    char folder[PATH_MAX], other[PATH_MAX];
    return is_one_file(a, b) ||
           (strcmp(name_of(a), name_of(b)) == 0 && is_one_file(folder_of(a, folder), folder_of(b, other)));
}

static bool has_address(const struct ifaddrs *interface, const struct address *address)
{
    const struct sockaddr *own = interface->ifa_addr;
    if (own == NULL || own->sa_family != address->u.any.sa_family)
        return false;
    if (own->sa_family == AF_INET) {
        const struct sockaddr_in *v4 = (const void *)own;
        return v4->sin_addr.s_addr == address->u.v4.sin_addr.s_addr;
    }
    const struct sockaddr_in6 *v6 = (const void *)own;
    return v6->sin6_scope_id == address->u.v6.sin6_scope_id &&
           IN6_ARE_ADDR_EQUAL(&v6->sin6_addr, &address->u.v6.sin6_addr);
}

/* Whether an interface has it: a bind() that succeeds proves nothing where ip_nonlocal_bind is set. */
static bool is_of_this_machine(const struct address *address)
{
    struct ifaddrs *all = NULL;
    bool found = address_is_loopback(address);
    if (found || getifaddrs(&all) != 0)
        return found;
    for (const struct ifaddrs *at = all; at != NULL && !found; at = at->ifa_next)
        found = has_address(at, address);
    freeifaddrs(all);
    return found;
}

static void set_loopback(struct address *out, int family)
{
    uint16_t port = out->u.v4.sin_port; /* where IPv6 has it, too */
    memset(&out->u, 0, sizeof out->u);
    if (family == AF_INET) {
        out->u.v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = port};
        out->u.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        out->length = sizeof out->u.v4;
    } else {
        out->u.v6 = (struct sockaddr_in6){
            .sin6_family = AF_INET6, .sin6_port = port, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
        out->length = sizeof out->u.v6;
    }
}

/* An IPv4-mapped IPv6 address is the IPv4 address in it. */
static void unmap(struct address *address)
{
    const uint8_t *bytes = address->u.v6.sin6_addr.s6_addr;
    if (address->u.any.sa_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&address->u.v6.sin6_addr))
        return;
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = address->u.v6.sin6_port};
    memcpy(&v4.sin_addr, bytes + 12, sizeof v4.sin_addr);
    address->u.v4 = v4;
    address->length = sizeof v4;
}

/* A connection to the unspecified address goes to this machine's loopback. */
static void aim(struct address *target)
{
    if (target->u.any.sa_family == AF_INET && target->u.v4.sin_addr.s_addr == INADDR_ANY)
        set_loopback(target, AF_INET);
    else if (target->u.any.sa_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&target->u.v6.sin6_addr))
        set_loopback(target, AF_INET6);
}

/* The addresses that TEXT certainly means: one, the two of localhost, or none when they are not known. A
 * listener at localhost has the first of them only. */
static size_t read_certain(struct address out[static 2], const char *text, uint16_t default_port)
{
    char host[ADDRESS_HOST_SIZE];
    if (is_off(text) || address_parse_endpoint(&out[0], host, text, default_port, NULL) != 0)
        return 0;
    if (!address_is_local(&out[0]))
        unmap(&out[0]);
    if (host[0] == 0)
        return 1;
    if (strcasecmp(host, "localhost") != 0)
        return 0;
    out[1] = out[0];
    set_loopback(&out[0], AF_INET);
    set_loopback(&out[1], AF_INET6);
    return 2;
}

/* Whether a connection to TARGET reaches LISTENER. When TARGET is an address to listen at, too, a wildcard
 * counts as having it, whatever addresses the machine has: at a reload the sandbox does not let a daemon ask
 * for them. */
static bool leads_to(const struct address *listener, const struct address *target, bool is_listened_at)
{
    if (address_is_local(listener) || address_is_local(target))
        return address_is_local(listener) && address_is_local(target) &&
               is_one_socket(listener->u.local.sun_path, target->u.local.sun_path);
    if (!address_covers(listener, target))
        return false;
    bool is_wildcard = !address_covers(target, listener);
    return !is_wildcard || is_listened_at || is_of_this_machine(target);
}

static bool has_all(const struct address *own, size_t own_count, const struct address *target, size_t count,
                    bool is_listened_at)
{
    for (size_t i = 0; i < count; i++) {
        bool found = false;
        for (size_t j = 0; j < own_count && !found; j++)
            found = leads_to(&own[j], &target[i], is_listened_at);
        if (!found)
            return false;
    }
    return count > 0;
}

int listening_check_apart(const struct listening_own *own, const struct listening_other *other,
                          struct fault *fault)
{
    struct address target[2], found[2];
    struct address *all = calloc(own->texts->count + 1, sizeof *all);
    size_t count = 0, wanted = read_certain(target, other->text, other->default_port);
    if (all == NULL)
        return fault_set(fault, ERR_MEMORY, "%s: %s", own->file, err_string(ERR_MEMORY));
    for (size_t i = 0; i < own->texts->count; i++)
        if (read_certain(found, own->texts->item[i], own->default_port) > 0)
            all[count++] = found[0];
    address_split_families(all, count);
    if (other->is_listened_at && wanted > 1)
        wanted = 1;
    for (size_t i = 0; i < wanted && !other->is_listened_at; i++)
        aim(&target[i]);
    bool is_one = has_all(all, count, target, wanted, other->is_listened_at);
    free(all);
    if (!is_one)
        return 0;
    char move[64] = "";
    if (other->movable != NULL)
        snprintf(move, sizeof move, "give %s another %s", other->movable,
                 address_is_local(&target[0]) ? "path" : "port");
    return fault_set(fault, ERR_CONFIG, "%s: %s %s is an address of %s (%s): %s%s",
                     other->place != NULL ? other->place : own->file, other->option, other->text, own->option,
                     own->place != NULL ? own->place : "its default", other->why, move);
}
