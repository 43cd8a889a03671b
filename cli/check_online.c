#include "cli/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/key_list.h"

/* What one key server said. */
struct said {
    const char *name;     /* borrowed from the configuration */
    struct key_list keys; /* one that does not fit into memory is reported as a key that the server lacks */
    bool answered;
};

struct online {
    struct findings *findings;
    struct said *servers; /* owned, one a key server of the configuration */
    size_t count;
};

/* ---- asking ---- */

static int ask_server(struct asking *asking, void *user)
{
    struct online *online = user;
    struct said *said = &online->servers[online->count++];
    const struct client_server *server = asking->server;
    char address[ADDRESS_TEXT_SIZE], why[SERVERS_WHY_SIZE];
    *said = (struct said){.name = server->name};
    said->answered = key_list_ask(&said->keys, asking) == STATUS_OK;
    endpoint_text(&server->endpoint, address);
    if (!said->answered)
        findings_add_unreachable(online->findings, "key_server %s: %s does not answer; %s", server->name,
                                 address, servers_why(asking, why));
    else
        findings_add(online->findings, FINDING_OK, "key_server %s: %s answers; keys this edge may use: %zu",
                     server->name, address, said->keys.count);
    return CLI_DONE;
}

/* ---- comparing ---- */

static bool has_rsa_key_exchange(const struct edge_config *config, const struct cert *cert)
{
    return config->tls.rsa_key_exchange && cert->type == KEY_RSA;
}

/* What SERVER lets this edge do with the key of CERT; 0 when it has no such key. */
static uint32_t allowed_operations(const struct said *server, const struct cert *cert)
{
    for (size_t i = 0; i < server->keys.count; i++)
        if (memcmp(server->keys.item[i].key_id, cert->key_id, KEY_ID_SIZE) == 0)
            return server->keys.item[i].operations;
    return 0;
}

/* What SERVER would have to grant as well for the handshakes of CERT. Of the two ways of RSA key exchange one
 * is enough; the bound one is named when both are missing. */
static uint32_t lacking_operations(const struct said *server, const struct edge_config *config,
                                   const struct cert *cert)
{
    uint32_t allowed = allowed_operations(server, cert), needed = 0;
    if (config->tls.maximum_version == 1)
        needed |= OPERATION_BIT(OP_SIGN_TLS13);
    if (config->tls.minimum_version == 0)
        needed |= OPERATION_BIT(OP_SIGN_TLS12);
    if (has_rsa_key_exchange(config, cert) &&
        (allowed & (OPERATION_BIT(OP_RSA_MASTER) | OPERATION_BIT(OP_RSA_PREMASTER))) == 0)
        needed |= OPERATION_BIT(OP_RSA_MASTER);
    return needed & ~allowed;
}

static const char *operation_list(uint32_t mask, char out[static 128])
{
    size_t at = 0;
    out[0] = 0;
    for (enum operation_kind kind = OP_PING; kind < OP_KINDS; kind++)
        if (operation_uses_key(kind) && (mask & OPERATION_BIT(kind)) != 0 && at < 100)
            at += (size_t)snprintf(out + at, 128 - at, "%s%s", at > 0 ? "," : "", operation_name(kind));
    return out;
}

/* A server that lacks something refuses for good what it is asked; whether that is an error or a warning
 * depends on whether any other would do. */
static void say_lack(struct findings *findings, enum finding_level level, const struct said *server,
                     const struct cert *cert, uint32_t lacking)
{
    char list[128], id[2 * KEY_ID_SIZE + 1];
    hex_encode(id, cert->key_id, KEY_ID_SIZE);
    if (allowed_operations(server, cert) == 0)
        findings_add(findings, level,
                     "%s: key_server %s gives no key for it (id %s); put the private key into its keys "
                     "folder, or into keys= of this edge's line in its authorized_edges, and reload it",
                     cert->file, server->name, id);
    else
        findings_add(findings, level,
                     "%s: key_server %s does not grant %s for its key; append to ops= of this edge's line in "
                     "its authorized_edges, see what its configuration says of the key, and reload it",
                     cert->file, server->name, operation_list(lacking, list));
}

/* What it means that SERVER grants only one of the two ways of RSA key exchange. */
static void say_one_way(struct findings *findings, const struct said *server, const struct cert *cert)
{
    uint32_t allowed = allowed_operations(server, cert);
    bool bound = (allowed & OPERATION_BIT(OP_RSA_MASTER)) != 0,
         plain = (allowed & OPERATION_BIT(OP_RSA_PREMASTER)) != 0;
    if (bound && !plain)
        findings_add(findings, FINDING_OK,
                     "%s: key_server %s grants rsa_master and not rsa_premaster: RSA key exchange is bound; "
                     "clients without extended master secret (RFC 7627) are refused it",
                     cert->file, server->name);
    if (plain && !bound)
        findings_add(
            findings, FINDING_WARNING,
            "%s: key_server %s grants rsa_premaster and not rsa_master: whoever takes this edge over "
            "later can decrypt RSA sessions recorded today; append rsa_master to ops= of this edge's "
            "line in its authorized_edges, and reload it",
            cert->file, server->name);
}

static void compare(const struct online *online, const struct edge_config *config, const struct cert *cert)
{
    size_t good = 0;
    for (size_t i = 0; i < online->count; i++)
        good += online->servers[i].answered && lacking_operations(&online->servers[i], config, cert) == 0;
    enum finding_level level = good > 0 ? FINDING_WARNING : FINDING_ERROR;
    for (size_t i = 0; i < online->count; i++) {
        const struct said *server = &online->servers[i];
        uint32_t lacking = server->answered ? lacking_operations(server, config, cert) : 0;
        if (lacking != 0)
            say_lack(online->findings, level, server, cert, lacking);
        if (server->answered && has_rsa_key_exchange(config, cert))
            say_one_way(online->findings, server, cert);
    }
    if (good > 0)
        findings_add(online->findings, FINDING_OK, "%s: its key is at %zu of %zu key servers", cert->file,
                     good, online->count);
}

void check_online_servers(struct findings *findings, const char *file, const struct check_certs *certs)
{
    struct servers servers;
    struct online online = {.findings = findings};
    if (servers_open(&servers, &cli_check, file, NULL) != 0) {
        findings_add(findings, FINDING_ERROR, "%s: its key servers could not be asked; mend it first", file);
        return;
    }
    online.servers = calloc(servers.all.count, sizeof *online.servers);
    if (online.servers == NULL)
        findings_add(findings, FINDING_ERROR, "%s: no memory to ask its key servers", file);
    else
        servers_each(&servers, &cli_check, ask_server, &online);
    for (size_t i = 0; i < certs->count; i++)
        compare(&online, &servers.config, certs->item[i]);
    for (size_t i = 0; i < online.count; i++)
        key_list_clear(&online.servers[i].keys);
    free(online.servers);
    servers_close(&servers);
}
