#include "edge/daemon/setup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/descriptors.h"
#include "common/listening.h"
#include "common/privileges.h"
#include "edge/provider/provider.h"
#include "edge/tls/async.h"
#include "edge/tls/tickets.h"
#include "edge/tls/tls_context.h"

static uint32_t verify_mask(const struct edge_config *config)
{
    const bool wanted[KEY_ALGORITHMS] = {[ALGORITHM_RSA] = config->tls.verify_rsa,
                                         [ALGORITHM_EC] = config->tls.verify_ecdsa,
                                         [ALGORITHM_ED25519] = config->tls.verify_ed25519};
    uint32_t mask = 0;

    for (enum key_type type = KEY_RSA; type < KEY_TYPES; type++)
        if (wanted[key_type_algorithm(type)])
            mask |= 1u << type;
    return mask;
}

static unsigned thread_count(const struct edge_config *config)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);

    if (config->threads > 0)
        return (unsigned)config->threads;
    return cores > 0 ? (unsigned)cores : 1;
}

static int make_grants(struct setup *setup, struct fault *fault)
{
    size_t count = certs_count(setup->certs);
    uint8_t(*ids)[KEY_ID_SIZE] = calloc(count + 1, sizeof(ids[0]));

    for (size_t i = 0; ids && i < count; i++)
        memcpy(ids[i], certs_at(setup->certs, i)->key_id, KEY_ID_SIZE);
    if (ids)
        setup->grants = grants_new(setup->key_servers.count, (const uint8_t(*)[KEY_ID_SIZE])ids, count);
    free(ids);
    return setup->grants ? 0 : fault_set(fault, ERR_MEMORY, "no memory for the grants of %zu keys", count);
}

static int load_certs(struct setup *setup, bool strict, struct fault *fault)
{
    struct certs_source from = {.context = setup->context,
                                .folder = setup->config.certificates,
                                .default_name = setup->config.default_certificate,
                                .strict = strict};
    int error = tls_context_new_trial(&from.trial, setup->context, &setup->config, fault);

    if (error)
        return error;
    error = certs_load(&setup->certs, &from, fault);
    SSL_CTX_free(from.trial);
    return error;
}

static int load_tls(struct setup *setup, bool strict, struct fault *fault)
{
    const struct edge_config *config = &setup->config;
    int error = provider_context_new(&setup->context, &async_transport, verify_mask(config), fault);

    if (error)
        return error;
    error = load_certs(setup, strict, fault);
    if (!error)
        error = make_grants(setup, fault);
    if (error)
        return error;
    return tls_new(&setup->tls, setup->context, setup->certs, config, fault);
}

static int load_rest(struct setup *setup, enum setup_use use, struct fault *fault)
{
    const struct edge_config *config = &setup->config;
    int error;

    setup->threads = thread_count(config);
    if ((error = origins_load(&setup->origins, config, &setup->names, fault)) != 0 ||
        (error = key_servers_load(&setup->key_servers, config, &setup->names, fault)) != 0)
        return error;
    setup->stats = calloc(setup->key_servers.count, sizeof(*setup->stats));
    if (!setup->stats)
        return fault_set(fault, ERR_MEMORY, "no memory for %zu key servers", setup->key_servers.count);
    return load_tls(setup, use == SETUP_TEST, fault);
}

/* Checks what a start would find out by doing it: whether root could change to the user, and whether the edge
 * could listen. */
static int check_start(const struct edge_config *config, const char *file, struct fault *fault)
{
    int error = privileges_check_named(file, config->user, fault);

    if (!error)
        error = listening_check(file, &config->listen, EDGE_DEFAULT_PORT, fault);
    return error ? error : listening_check_admin(file, config->admin, EDGE_ADMIN_DEFAULT_PORT, fault);
}

/* Checks that TEXT, of the configuration FILE, is well formed. */
static int check_endpoint(const char *file, const char *option, const char *title, const char *text,
                          uint16_t port, struct fault *fault)
{
    struct address address;
    char host[ADDRESS_HOST_SIZE];
    struct fault why = {.text = ""};
    int error = address_parse_target(&address, host, text, port, &why);

    return error
               ? fault_set(fault, error, "%s: %s%s%s: %s", file, option, title[0] ? " " : "", title, why.text)
               : 0;
}

static int check_endpoints(const struct edge_config *config, const char *file, struct fault *fault)
{
    const struct edge_config_server *servers = config->key_servers.item;
    const struct edge_config_origin *origins = config->origins.item;
    int error = check_endpoint(file, "origin", "", config->origin, 0, fault);

    for (size_t i = 0; !error && i < config->key_servers.count; i++)
        error = check_endpoint(file, "key_server", servers[i].title, servers[i].address, KEY_SERVER_PORT,
                               fault);
    for (size_t i = 0; !error && i < config->origins.count; i++)
        error = check_endpoint(file, "origin_for", origins[i].title, origins[i].address, 0, fault);
    return error;
}

/* Before any secret is loaded, so that the resolver has none. */
static int start_resolver(struct setup *setup, struct fault *fault)
{
    const struct edge_config *config = &setup->config;
    struct address address;
    char host[ADDRESS_HOST_SIZE];
    int error = address_parse_target(&address, host, config->origin, 0, fault);

    for (size_t i = 0; !error && !host[0] && i < config->key_servers.count; i++) {
        const struct edge_config_server *servers = config->key_servers.item;
        error = address_parse_target(&address, host, servers[i].address, KEY_SERVER_PORT, fault);
    }
    for (size_t i = 0; !error && !host[0] && i < config->origins.count; i++) {
        const struct edge_config_origin *origins = config->origins.item;
        error = address_parse_target(&address, host, origins[i].address, 0, fault);
    }
    return error || !host[0]
               ? error
               : resolver_start(&setup->resolver, config->user, (enum sandbox_mode)config->sandbox, fault);
}

/* Each connection of a client has one to the origin, and each thread its sockets and channels. */
static void warn_of_descriptors(const struct setup *setup)
{
    const struct edge_config *config = &setup->config;
    char why[128];

    snprintf(why, sizeof why, "connections_max = %d with %u thread%s", config->connections_max,
             setup->threads, setup->threads == 1 ? "" : "s");
    descriptors_require(setup->threads * (2ul * (unsigned)config->connections_max + config->listen.count +
                                          config->key_servers.count) +
                            DESCRIPTORS_SPARE,
                        why);
}

/* Checks that the loops, the sockets and one channel to each key server have descriptors, and what the
 * process has once, and a client or two. */
static int check_descriptors(const struct edge_config *config, struct fault *fault)
{
    const unsigned long once = 24, loop = 5;
    unsigned threads = thread_count(config);
    char what[64];

    snprintf(what, sizeof what, "an edge with %u thread%s", threads, threads == 1 ? "" : "s");
    return descriptors_check(once + threads * (loop + config->listen.count + config->key_servers.count), what,
                             fault);
}

int setup_load(struct setup *out, const char *file, enum setup_use use, struct fault *fault)
{
    int error;

    names_init(&out->names);
    error = check_endpoints(&out->config, file, fault);
    if (!error && use == SETUP_SERVE)
        error = check_descriptors(&out->config, fault);
    if (!error)
        error = use == SETUP_TEST ? check_start(&out->config, file, fault)
                                  : privileges_check(file, out->config.user, fault);
    if (!error && use == SETUP_SERVE)
        error = start_resolver(out, fault);
    if (!error)
        error = load_rest(out, use, fault);
    if (!error && use == SETUP_TEST)
        (void)names_resolve(&out->names, clock_ns()); /* main.c says what was not found */
    if (error)
        setup_clear(out);
    else
        warn_of_descriptors(out);
    return error;
}

void setup_clear(struct setup *setup)
{
    tls_free(setup->tls);
    tickets_stop();
    certs_free(setup->certs);
    grants_free(setup->grants);
    provider_context_free(setup->context);
    key_servers_clear(&setup->key_servers);
    free(setup->stats);
    names_clear(&setup->names);
    resolver_stop(&setup->resolver);
    edge_config_clear(&setup->config);
    *setup = (struct setup){0};
}
