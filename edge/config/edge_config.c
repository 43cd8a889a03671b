#include "edge/config/edge_config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/daemon_options.h"
#include "common/listening.h"
#include "common/permissions.h"
#include "common/secret.h"

#define FIELD(member)         offsetof(struct edge_config, member)
#define TLS_FIELD(member)     (FIELD(tls.member) - FIELD(tls))
#define TIMEOUT_FIELD(member) (FIELD(timeout.member) - FIELD(timeout))
#define ORIGIN_FIELD(member)  offsetof(struct edge_config_origin, member)
#define SERVER_FIELD(member)  offsetof(struct edge_config_server, member)
#define SECOND                1000
#define MINUTE                (60 * SECOND)
#define HOUR                  (60 * MINUTE)
#define ALPN_NAME_MAX         255 /* RFC 7301, 3.1 */

static const char *const unavailables[] = {"wait", "fail", NULL};
static const char *const versions[] = {"tls1.2", "tls1.3", NULL};

/* clang-format off */
static const struct config_option server_table[] = {
    {.name = "address", .type = CONFIG_STRING, .offset = SERVER_FIELD(address),
     .place_offset = SERVER_FIELD(address_place),
     .help = "Where it listens: \"HOST:PORT\" or \"unix:PATH\"; the port is 2407 when left out."},
    {.name = "key", .type = CONFIG_STRING, .offset = SERVER_FIELD(key), .place_offset = SERVER_FIELD(key_place),
     .help = "Its public key; there it says: keyless pubkey < identity.key"},
    {.name = "psk", .type = CONFIG_PATH, .offset = SERVER_FIELD(psk),
     .help = "File with the secret shared with this key server; the psk outside when left out."},
    {.name = NULL},
};

static const struct config_option origin_table[] = {
    {.name = "address", .type = CONFIG_STRING, .offset = ORIGIN_FIELD(address), .place_offset = ORIGIN_FIELD(place),
     .help = "Where its plain bytes go: \"HOST:PORT\" or \"unix:PATH\"."},
    {.name = NULL},
};

static const struct config_option tls_table[] = {
    {.name = "minimum_version", .type = CONFIG_CHOICE, .offset = TLS_FIELD(minimum_version),
     .fallback = "tls1.2", .choices = versions,
     .help = "Oldest version clients may use: tls1.2 or tls1.3."},
    {.name = "maximum_version", .type = CONFIG_CHOICE, .offset = TLS_FIELD(maximum_version),
     .fallback = "tls1.3", .choices = versions,
     .help = "Newest version clients may use: tls1.2 or tls1.3."},
    {.name = "rsa_key_exchange", .type = CONFIG_BOOL, .offset = TLS_FIELD(rsa_key_exchange),
     .fallback = "off",
     .help = "TLS 1.2 RSA key exchange, which RFC 10015 forbids, for clients that know nothing else."},
    {.name = "ciphers", .type = CONFIG_STRING, .offset = TLS_FIELD(ciphers),
     .help = "OpenSSL cipher list for TLS 1.2; the library's default when left out."},
    {.name = "ciphersuites", .type = CONFIG_STRING, .offset = TLS_FIELD(ciphersuites),
     .help = "OpenSSL cipher suites for TLS 1.3; the library's default when left out."},
    {.name = "groups", .type = CONFIG_STRING, .offset = TLS_FIELD(groups),
     .help = "Key exchange groups; the library's default (post-quantum where it has it) when left out."},
    {.name = "alpn", .type = CONFIG_STRINGS, .offset = TLS_FIELD(alpn), .fallback = "{\"http/1.1\"}",
     .help = "Application protocols offered to clients, the preferred one first."},
    {.name = "tickets", .type = CONFIG_BOOL, .offset = TLS_FIELD(tickets), .fallback = "on",
     .help = "Resumption, by tickets or session ids: clients that come back need no key operation."},
    {.name = "ticket_lifetime", .type = CONFIG_DURATION, .offset = TLS_FIELD(ticket_lifetime),
     .fallback = "1h", .min = SECOND, .max = 24 * 7 * HOUR,
     .help = "How long a ticket may be used (RFC 8446: at most seven days)."},
    {.name = "verify_rsa", .type = CONFIG_BOOL, .offset = TLS_FIELD(verify_rsa), .fallback = "on",
     .help = "Verify RSA signatures that key servers return; costs little."},
    {.name = "verify_ecdsa", .type = CONFIG_BOOL, .offset = TLS_FIELD(verify_ecdsa), .fallback = "off",
     .help = "Verify ECDSA signatures that key servers return; costs more than signing."},
    {.name = "verify_ed25519", .type = CONFIG_BOOL, .offset = TLS_FIELD(verify_ed25519), .fallback = "off",
     .help = "Verify Ed25519 signatures that key servers return; costs more than signing."},
    {.name = NULL},
};

static const struct config_option timeouts_table[] = {
    {.name = "handshake", .type = CONFIG_DURATION, .offset = TIMEOUT_FIELD(handshake), .fallback = "10s",
     .min = 1, .max = 10 * MINUTE,
     .help = "From accept to the end of the TLS handshake."},
    {.name = "key", .type = CONFIG_DURATION, .offset = TIMEOUT_FIELD(key), .fallback = "3s",
     .min = 1, .max = MINUTE,
     .help = "For one key operation, with its retries at other key servers."},
    {.name = "connect", .type = CONFIG_DURATION, .offset = TIMEOUT_FIELD(connect), .fallback = "3s",
     .min = 1, .max = 10 * MINUTE,
     .help = "To connect to the origin."},
    {.name = "idle", .type = CONFIG_DURATION, .offset = TIMEOUT_FIELD(idle), .fallback = "1m",
     .min = 1, .max = 24 * HOUR,
     .help = "A connection without a byte in either direction for so long is closed."},
    {.name = "half_closed", .type = CONFIG_DURATION, .offset = TIMEOUT_FIELD(half_closed),
     .fallback = "30s", .min = 1, .max = 24 * HOUR,
     .help = "A connection of which one side has ended for so long is closed."},
    {.name = "close", .type = CONFIG_DURATION, .offset = TIMEOUT_FIELD(close), .fallback = "2s",
     .min = 1, .max = 10 * MINUTE,
     .help = "For close_notify to leave."},
    {.name = "silence", .type = CONFIG_DURATION, .offset = TIMEOUT_FIELD(silence), .fallback = "200ms",
     .min = 0, .max = HOUR,
     .help = "How long to wait for a client's first words before the origin is connected without any."},
    {.name = "drain", .type = CONFIG_DURATION, .offset = TIMEOUT_FIELD(drain), .fallback = "30s",
     .min = 0, .max = HOUR,
     .help = "From SIGTERM to the exit at the latest; open connections go on in that time."},
    {.name = NULL},
};

const struct config_option edge_config_table[] = {
    DAEMON_OPTION_LISTEN(struct edge_config, EDGE_DEFAULT_PORT, "clients"),
    DAEMON_OPTION_ADMIN(struct edge_config, EDGE_ADMIN_DEFAULT_PORT),
    DAEMON_OPTION_IDENTITY(struct edge_config, "edge"),
    {.name = "psk", .type = CONFIG_PATH, .offset = FIELD(psk), .fallback = "psk",
     .help = "File with the secret shared with the key servers."},
    {.name = "certificates", .type = CONFIG_PATH, .offset = FIELD(certificates), .fallback = "certs",
     .help = "Folder of certificate chains (PEM); no private keys."},
    {.name = "default_certificate", .type = CONFIG_STRING, .offset = FIELD(default_certificate),
     .help = "Name whose certificate unknown names get; the first one when left out, none when empty."},
    {.name = "origin", .type = CONFIG_STRING, .offset = FIELD(origin), .place_offset = FIELD(place.origin),
     .help = "Where the plain bytes go: \"HOST:PORT\" or \"unix:PATH\"."},
    {.name = "origin_for", .type = CONFIG_SECTIONS, .offset = FIELD(origins), .options = origin_table,
     .size = sizeof(struct edge_config_origin),
     .help = "Where one protocol of tls.alpn goes instead: origin_for \"h2\" { address = \"HOST:PORT\" }."},
    DAEMON_OPTION_SECRET_FILES(struct edge_config),
    DAEMON_OPTION_USER(struct edge_config),
    DAEMON_OPTION_SANDBOX(struct edge_config, "an edge has"),
    {.name = "threads", .type = CONFIG_INT, .offset = FIELD(threads), .fallback = "0", .min = 0, .max = 1024,
     .help = "Threads that serve clients; 0 is one per core."},
    {.name = "connections_max", .type = CONFIG_INT, .offset = FIELD(connections_max), .fallback = "20000",
     .min = 1, .max = 10000000,
     .help = "Connections one thread serves at once."},
    {.name = "key_server", .type = CONFIG_SECTIONS, .offset = FIELD(key_servers), .options = server_table,
     .size = sizeof(struct edge_config_server),
     .help = "A key server: key_server NAME { address = \"HOST:PORT\" key = \"PUBLIC KEY\" }; at least one."},
    {.name = "when_unavailable", .type = CONFIG_CHOICE, .offset = FIELD(when_unavailable), .fallback = "wait",
     .choices = unavailables,
     .help = "While every key server is known to be gone, new handshakes wait for one (wait) or fail at once (fail)."},
    {.name = "tls", .type = CONFIG_SECTION, .offset = FIELD(tls), .options = tls_table,
     .help = "What clients may use."},
    {.name = "timeouts", .type = CONFIG_SECTION, .offset = FIELD(timeout), .options = timeouts_table,
     .help = "How long things may take."},
    DAEMON_OPTION_LOG_LEVEL(struct edge_config),
    DAEMON_OPTION_LOG_FORMAT(struct edge_config),
    DAEMON_OPTION_ACCESS_LOG(struct edge_config, "One line for each connection that ends."),
    {.name = NULL},
};
/* clang-format on */

_Static_assert(EDGE_WAIT == 0 && EDGE_FAIL == 1, "the choices stand in the order of the enum");

static bool is_empty(const char *text)
{
    return text == NULL || text[0] == 0;
}

static int check_server(const struct edge_config_server *server, const char *file, struct fault *fault)
{
    static const uint8_t nobody[IDENTITY_KEY_SIZE];
    uint8_t key[IDENTITY_KEY_SIZE];
    if (is_empty(server->address))
        return fault_set(fault, ERR_CONFIG, "%s: key_server %s has no address; add: address = \"HOST:2407\"",
                         file, server->title);
    if (is_empty(server->key))
        return fault_set(fault, ERR_CONFIG,
                         "%s: key_server %s has no key; add: key = \"…\" (on the key server: "
                         "keyless pubkey < identity.key)",
                         file, server->title);
    if (base64_decode(key, sizeof key, server->key) != 0)
        return fault_set(
            fault, ERR_CONFIG,
            "%s: key_server %s: key is not 32 bytes in base64; take the line that the key server "
            "prints with: keyless pubkey < identity.key",
            server->key_place, server->title);
    if (same_bytes(key, nobody, sizeof key))
        return fault_set(fault, ERR_CONFIG,
                         "%s: key_server %s: key is all zeros, which is nobody's; take the line that the key "
                         "server prints with: keyless pubkey < identity.key",
                         server->key_place, server->title);
    return 0;
}

/* Fills in the shared psk as well. */
static int check_servers(const struct edge_config *config, const char *file, struct fault *fault)
{
    struct edge_config_server *servers = config->key_servers.item;
    if (config->key_servers.count == 0)
        return fault_set(fault, ERR_CONFIG,
                         "%s: no key server; add: key_server NAME { address = \"HOST:2407\" key = \"…\" }",
                         file);
    for (size_t i = 0; i < config->key_servers.count; i++) {
        int err = check_server(&servers[i], file, fault);
        if (err != 0)
            return err;
        if (servers[i].psk == NULL)
            servers[i].psk = strdup(config->psk);
        if (servers[i].psk == NULL)
            return fault_set(fault, ERR_MEMORY, "%s: %s", file, err_string(ERR_MEMORY));
        const struct identity_file secrets[] = {{"identity", config->identity}, {"psk", servers[i].psk}};
        err = identity_check_apart(file, secrets, 2, fault);
        if (err != 0)
            return err;
    }
    return 0;
}

static int check_tls(const struct edge_config *config, const char *file, struct fault *fault)
{
    if (config->tls.minimum_version > config->tls.maximum_version)
        return fault_set(fault, ERR_CONFIG,
                         "%s: tls: minimum_version %s is newer than maximum_version %s; swap them", file,
                         versions[config->tls.minimum_version], versions[config->tls.maximum_version]);
    if (config->tls.rsa_key_exchange && config->tls.minimum_version > 0)
        return fault_set(fault, ERR_CONFIG,
                         "%s: tls: rsa_key_exchange = on needs TLS 1.2; turn it off, or set "
                         "minimum_version = tls1.2",
                         file);
    for (size_t i = 0; i < config->tls.alpn.count; i++)
        if (strlen(config->tls.alpn.item[i]) > ALPN_NAME_MAX)
            return fault_set(fault, ERR_CONFIG, "%s: tls: a name in alpn is longer than %d bytes", file,
                             ALPN_NAME_MAX);
    return 0;
}

static bool agrees_on(const struct config_strings *alpn, const char *protocol)
{
    for (size_t i = 0; i < alpn->count; i++) {
        /* http/1.0 comes with http/1.1 */
        if (strcmp(alpn->item[i], protocol) == 0 ||
            (strcmp(alpn->item[i], "http/1.1") == 0 && strcmp(protocol, "http/1.0") == 0))
            return true;
    }
    return false;
}

static int check_origins(const struct edge_config *config, const char *file, struct fault *fault)
{
    const struct edge_config_origin *origins = config->origins.item;

    if (is_empty(config->origin))
        return fault_set(fault, ERR_CONFIG, "%s: no origin; add: origin = \"127.0.0.1:8080\"", file);
    for (size_t i = 0; i < config->origins.count; i++) {
        if (strcmp(origins[i].title, "default") == 0)
            return fault_set(
                fault, ERR_CONFIG,
                "%s: origin_for \"default\": write origin = \"%s\"; default is what status and metrics "
                "call that one",
                file, is_empty(origins[i].address) ? "ADDRESS" : origins[i].address);
        if (is_empty(origins[i].address))
            return fault_set(fault, ERR_CONFIG,
                             "%s: origin_for \"%s\" has no address; add: address = \"127.0.0.1:8081\"", file,
                             origins[i].title);
        if (!agrees_on(&config->tls.alpn, origins[i].title))
            return fault_set(
                fault, ERR_CONFIG,
                "%s: origin_for \"%s\": clients cannot agree on it; add \"%s\" to alpn in tls { }", file,
                origins[i].title, origins[i].title);
    }
    return 0;
}

/* Checks that OTHER is neither an address at which the edge listens, for which LOOP says why, nor the admin
 * endpoint's. */
static int check_target(const struct edge_config *config, const char *file, struct listening_other *other,
                        const char *loop, struct fault *fault)
{
    const struct listening_own listen = {file, "listen", config->place.listen, &config->listen,
                                         EDGE_DEFAULT_PORT};
    char *text = config->admin;
    const struct config_strings texts = {&text, 1};
    const struct listening_own admin = {file, "admin", config->place.admin, &texts, EDGE_ADMIN_DEFAULT_PORT};
    other->why = loop;
    int err = listening_check_apart(&listen, other, fault);
    if (err != 0 || other->is_listened_at)
        return err;
    other->why = "that is this edge's admin endpoint; write where the other one listens, or ";
    other->movable = "admin";
    return listening_check_apart(&admin, other, fault);
}

static int check_origin_targets(const struct edge_config *config, const char *file, struct fault *fault)
{
    static const char loop[] = "what clients send would come back to this edge without end; write where the "
                               "web server listens";
    const struct edge_config_origin *origins = config->origins.item;
    struct listening_other origin = {
        .option = "origin", .place = config->place.origin, .text = config->origin};
    int err = check_target(config, file, &origin, loop, fault);
    for (size_t i = 0; err == 0 && i < config->origins.count; i++) {
        char option[sizeof "origin_for " + CONFIG_TITLE_MAX];
        snprintf(option, sizeof option, "origin_for %s", origins[i].title);
        origin = (struct listening_other){
            .option = option, .place = origins[i].place, .text = origins[i].address};
        err = check_target(config, file, &origin, loop, fault);
    }
    return err;
}

/* No address has two uses. */
static int check_addresses(const struct edge_config *config, const char *file, struct fault *fault)
{
    const struct edge_config_server *servers = config->key_servers.item;
    struct listening_other admin = {.option = "admin",
                                    .place = config->place.admin,
                                    .text = config->admin,
                                    .default_port = EDGE_ADMIN_DEFAULT_PORT,
                                    .is_listened_at = true,
                                    .movable = "admin"};
    int err = check_target(config, file, &admin, "clients connect there; ", fault);
    if (err == 0)
        err = check_origin_targets(config, file, fault);
    for (size_t i = 0; err == 0 && i < config->key_servers.count; i++) {
        char option[sizeof "key_server " + CONFIG_TITLE_MAX];
        snprintf(option, sizeof option, "key_server %s", servers[i].title);
        struct listening_other server = {.option = option,
                                         .place = servers[i].address_place,
                                         .text = servers[i].address,
                                         .default_port = KEY_SERVER_PORT};
        err = check_target(config, file, &server,
                           "clients of this edge connect there; write where the key server listens", fault);
    }
    return err;
}

static int check_config(const struct edge_config *config, const char *file, struct fault *fault)
{
    int err = daemon_options_check(file, &config->listen, EDGE_DEFAULT_PORT, config->admin, config->user,
                                   fault);
    if (err == 0)
        err = check_servers(config, file, fault);
    if (err == 0)
        err = check_origins(config, file, fault);
    if (err == 0)
        err = check_addresses(config, file, fault);
    return err != 0 ? err : check_tls(config, file, fault);
}

int edge_config_load(struct edge_config *out, const char *file, struct fault *fault)
{
    struct config_files files = {.count = 0};
    memset(out, 0, sizeof *out);
    int err = config_load(file, edge_config_table, out, &files, fault);
    if (err == 0)
        err = daemon_options_judge_files(&files, out->secret_files, out->user, fault);
    if (err == 0)
        err = check_config(out, file, fault);
    config_files_clear(&files);
    if (err != 0)
        edge_config_clear(out);
    return err;
}

void edge_config_clear(struct edge_config *config)
{
    config_clear(edge_config_table, config);
}
