#include "cli/check.h"

#include <errno.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "common/address.h"
#include "common/identity.h"
#include "common/listening.h"
#include "common/secret.h"
#include "edge/daemon/key_servers.h"

#define ORIGIN_TIMEOUT_S 3

static bool check_psk(struct findings *findings, const char *path)
{
    struct fault fault = {0};
    uint8_t psk[IDENTITY_KEY_SIZE];
    int err = identity_load_shared(psk, path, KEY_SERVERS_PSK_HOLDER, &fault);
    wipe(psk, sizeof psk);
    if (err != 0)
        findings_add(findings, FINDING_ERROR, "%s", fault.text);
    else
        findings_add(findings, FINDING_OK, "%s: pre-shared key", path);
    return err == 0;
}

/* What cannot be looked up now is a warning: the daemon starts without it, and asks again. */
static int check_endpoint(struct findings *findings, const char *file, const char *title, const char *text,
                          struct fault *fault)
{
    char host[ADDRESS_HOST_SIZE];
    struct address address, found[ADDRESS_FOUND_MAX];
    size_t count;
    int err = address_parse_target(&address, host, text, KEY_SERVER_PORT, fault);
    if (err != 0 || host[0] == 0)
        return err;
    if (address_look_up(host, 0, found, ADDRESS_FOUND_MAX, &count, fault) != 0)
        findings_add(findings, FINDING_WARNING,
                     "%s: key_server %s: %s; correct the name, or see what the name servers say with: getent "
                     "ahosts %s",
                     file, title, fault->text, host);
    return 0;
}

/* What is written of each key server; whether it answers is another question (--online). */
static bool check_key_servers(struct findings *findings, const struct edge_config *config, const char *file)
{
    const struct edge_config_server *servers = config->key_servers.item;
    bool good = true;
    for (size_t i = 0; i < config->key_servers.count; i++) {
        struct fault fault = {0};
        good = check_psk(findings, servers[i].psk) && good;
        if (check_endpoint(findings, file, servers[i].title, servers[i].address, &fault) == 0)
            continue;
        findings_add(findings, FINDING_ERROR, "%s: key_server %s: %s", file, servers[i].title, fault.text);
        good = false;
    }
    return good;
}

static void check_listen(struct findings *findings, const struct edge_config *config, const char *file)
{
    struct fault fault = {0};
    for (size_t i = 0; i < config->listen.count; i++)
        if (listening_check(file, &config->listen, i, EDGE_DEFAULT_PORT, &fault) != 0)
            findings_add(findings, FINDING_ERROR, "%s", fault.text);
    if (listening_check_admin(file, config->admin, EDGE_ADMIN_DEFAULT_PORT, &fault) != 0)
        findings_add(findings, FINDING_ERROR, "%s", fault.text);
}

/* Connects and hangs up; 0 or ERR_SYSTEM with errno. */
static int try_connect(const struct address *address)
{
    const struct timeval patience = {.tv_sec = ORIGIN_TIMEOUT_S};
    int fd = socket(address->u.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return ERR_SYSTEM;
    int err = setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) != 0 ||
                      connect(fd, &address->u.any, address->length) != 0
                  ? ERR_SYSTEM
                  : 0;
    int why = errno == EINPROGRESS ? ETIMEDOUT : errno; /* what connect() says when SO_SNDTIMEO has passed */
    close(fd);
    errno = why;
    return err;
}

/* OPTION is the one that says TEXT. */
static void check_origin(struct findings *findings, const char *option, const char *text, const char *file)
{
    struct fault fault = {0};
    struct address address;
    char host[ADDRESS_HOST_SIZE];
    if (address_parse_target(&address, host, text, 0, &fault) != 0)
        findings_add(findings, FINDING_ERROR, "%s: %s: %s", file, option, fault.text);
    else if (host[0] != 0 && address_parse(&address, text, 0, &fault) != 0)
        findings_add(findings, FINDING_WARNING, "%s: %s: %s", file, option, fault.text);
    else if (try_connect(&address) != 0)
        findings_add(findings, FINDING_WARNING, "%s %s: %s; start it, or correct %s in %s", option, text,
                     strerror(errno), option, file);
    else
        findings_add(findings, FINDING_OK, "%s %s: takes connections", option, text);
}

static void check_origins(struct findings *findings, const struct edge_config *config, const char *file)
{
    const struct edge_config_origin *origins = config->origins.item;
    char option[sizeof "origin_for " + 256];
    check_origin(findings, "origin", config->origin, file);
    for (size_t i = 0; i < config->origins.count; i++) {
        snprintf(option, sizeof option, "origin_for %s", origins[i].title);
        check_origin(findings, option, origins[i].address, file);
    }
}

/* rsa_key_exchange = on is a choice; this names what it costs today. */
static void check_rsa_key_exchange(struct findings *findings, const struct edge_config *config,
                                   const char *file)
{
    if (config->tls.rsa_key_exchange)
        findings_add(
            findings, FINDING_WARNING,
            "%s: rsa_key_exchange is on, and RFC 10015 forbids RSA key exchange in TLS 1.2: it has no "
            "forward "
            "secrecy, so whoever gets the key can open what was recorded; clients that know better "
            "do not use it, and bound mode keeps the pre-master secret from the edge; turn it off as "
            "soon as keyless_edge_rsa_key_exchanges_total stands still",
            file);
}

void check_edge_file(struct findings *findings, const char *file, bool online)
{
    struct fault fault = {0};
    struct edge_config config;
    struct check_certs certs = {0};
    if (edge_config_load(&config, file, &fault) != 0) {
        findings_add(findings, FINDING_ERROR, "%s", fault.text);
        return;
    }
    check_user(findings, file, config.user);
    bool can_ask = check_identity(findings, config.identity);
    can_ask = check_key_servers(findings, &config, file) && can_ask;
    check_listen(findings, &config, file);
    check_rsa_key_exchange(findings, &config, file);
    check_certs_load(findings, &config, &certs);
    check_origins(findings, &config, file);
    check_daemon_test(findings, "keyless-edge", file);
    if (online && can_ask)
        check_online_servers(findings, file, &certs);
    check_certs_clear(&certs);
    edge_config_clear(&config);
}
