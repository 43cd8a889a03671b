#include "common/listening.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/shell.h"

static int check_local(const char *path, struct fault *fault)
{
    struct stat info;
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    snprintf(folder, sizeof folder, "%.*s",
             slash == NULL   ? 1
             : slash == path ? 1
                             : (int)(slash - path),
             slash == NULL ? "." : path);
    bool made_at_start = strncmp(path, "/run/", 5) == 0 ||
                         strncmp(path, "/var/run/", 9) == 0; /* by systemd */
    if (!made_at_start && (stat(folder, &info) != 0 || !S_ISDIR(info.st_mode)))
        return fault_set(fault, ERR_CONFIG, "unix:%s: there is no folder %s; make it with: mkdir %s", path,
                         folder, SHELL_WORD(folder));
    if (lstat(path, &info) == 0 && !S_ISSOCK(info.st_mode))
        return fault_set(fault, ERR_CONFIG, "unix:%s: something else than a socket is there; move it away",
                         path);
    return 0;
}

/* Binds to the address without its port: only whether it is this machine's is asked. */
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

/* Port 0 is another one each time. */
static bool is_same(const struct address *a, const struct address *b)
{
    bool takes_any = !address_is_local(a) && a->u.v4.sin_port == 0;
    return !takes_any && a->length == b->length && memcmp(&a->u, &b->u, a->length) == 0;
}

int listening_check(const char *file, const struct config_strings *listen, uint16_t default_port,
                    struct fault *fault)
{
    struct address *all = calloc(listen->count + 1, sizeof *all);
    struct fault why = {.text = ""};
    int err = all == NULL ? fault_set(&why, ERR_MEMORY, "%s", err_string(ERR_MEMORY)) : 0;
    for (size_t i = 0; err == 0 && i < listen->count; i++) {
        err = check_address(&all[i], listen->item[i], default_port, &why);
        for (size_t j = 0; err == 0 && j < i; j++)
            if (is_same(&all[i], &all[j]))
                err = fault_set(&why, ERR_CONFIG, "%s: is there twice; remove one of them", listen->item[i]);
    }
    free(all);
    return err == 0 ? 0 : fault_set(fault, err, "%s: listen: %s", file, why.text);
}

int listening_check_admin(const char *file, const char *admin, uint16_t default_port, struct fault *fault)
{
    struct address address;
    struct fault why = {.text = ""};
    if (admin == NULL || strcmp(admin, "off") == 0)
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
