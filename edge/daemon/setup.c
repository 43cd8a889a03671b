#include "edge/daemon/setup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/descriptors.h"
#include "common/listening.h"
#include "common/privileges.h"
#include "common/steps.h"
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

/* ---- what a start does ---- */

static size_t count_listen(const void *subject)
{
    const struct setup *setup = subject;

    return setup->config.listen.count;
}

static size_t count_origins(const void *subject)
{
    const struct setup *setup = subject;

    return setup->config.origins.count;
}

static size_t count_key_servers(const void *subject)
{
    const struct setup *setup = subject;

    return setup->config.key_servers.count;
}

/* Checks that TEXT, of the configuration FILE, is well formed. */
static int check_endpoint(const char *file, const char *option, const char *title, const char *text,
                          uint16_t port, struct fault *fault)
{
    struct address address;
    char host[ADDRESS_HOST_SIZE];
    struct fault why = {.text = ""};
    int err = address_parse_target(&address, host, text, port, &why);

    return err ? fault_set(fault, err, "%s: %s%s%s: %s", file, option, title[0] ? " " : "", title, why.text)
               : 0;
}

static int check_origin(void *subject, struct fault *fault)
{
    const struct setup *setup = subject;

    return check_endpoint(setup->file, "origin", "", setup->config.origin, 0, fault);
}

static int check_origin_for(void *subject, size_t item, struct fault *fault)
{
    const struct setup *setup = subject;
    const struct edge_config_origin *origins = setup->config.origins.item;
    return check_endpoint(setup->file, "origin_for", origins[item].title, origins[item].address, 0, fault);
}

static int check_key_server(void *subject, size_t item, struct fault *fault)
{
    const struct setup *setup = subject;
    const struct edge_config_server *servers = setup->config.key_servers.item;
    return check_endpoint(setup->file, "key_server", servers[item].title, servers[item].address,
                          KEY_SERVER_PORT, fault);
}

/* Whether root could change to the user. */
static int check_user(void *subject, struct fault *fault)
{
    const struct setup *setup = subject;

    return privileges_check_named(setup->file, setup->config.user, fault);
}

static int check_listen(void *subject, size_t item, struct fault *fault)
{
    const struct setup *setup = subject;

    return listening_check(setup->file, &setup->config.listen, item, EDGE_DEFAULT_PORT, fault);
}

static int check_admin(void *subject, struct fault *fault)
{
    const struct setup *setup = subject;

    return listening_check_admin(setup->file, setup->config.admin, EDGE_ADMIN_DEFAULT_PORT, fault);
}

/* Checks that the loops, the sockets and one channel to each key server have descriptors, and what the
 * process has once, and a client or two. */
static int check_descriptors(void *subject, struct fault *fault)
{
    const struct setup *setup = subject;
    const struct edge_config *config = &setup->config;
    const unsigned long once = 24, loop = 5;
    unsigned threads = thread_count(config);
    char what[64];

    snprintf(what, sizeof what, "an edge with %u thread%s", threads, threads == 1 ? "" : "s");
    return descriptors_check(once + threads * (loop + config->listen.count + config->key_servers.count), what,
                             fault);
}

static int check_privileges(void *subject, struct fault *fault)
{
    const struct setup *setup = subject;

    return privileges_check(setup->file, setup->config.user, fault);
}

/* Before any secret is loaded, so that the resolver has none. */
static int start_resolver(void *subject, struct fault *fault)
{
    struct setup *setup = subject;
    const struct edge_config *config = &setup->config;
    const struct edge_config_server *servers = config->key_servers.item;
    const struct edge_config_origin *origins = config->origins.item;
    struct address address;
    char host[ADDRESS_HOST_SIZE];
    int err = address_parse_target(&address, host, config->origin, 0, fault);

    for (size_t i = 0; !err && !host[0] && i < config->key_servers.count; i++)
        err = address_parse_target(&address, host, servers[i].address, KEY_SERVER_PORT, fault);
    for (size_t i = 0; !err && !host[0] && i < config->origins.count; i++)
        err = address_parse_target(&address, host, origins[i].address, 0, fault);
    return err || !host[0]
               ? err
               : resolver_start(&setup->resolver, config->user, (enum sandbox_mode)config->sandbox, fault);
}

static int load_origins(void *subject, struct fault *fault)
{
    struct setup *setup = subject;

    return origins_load(&setup->origins, &setup->config, &setup->names, fault);
}

static int load_key_servers(void *subject, struct fault *fault)
{
    struct setup *setup = subject;
    int err = key_servers_load(&setup->key_servers, &setup->config, &setup->names, fault);

    if (err)
        return err;
    setup->stats = calloc(setup->key_servers.count, sizeof(*setup->stats));
    return setup->stats
               ? 0
               : fault_set(fault, ERR_MEMORY, "no memory for %zu key servers", setup->key_servers.count);
}

static int make_context(void *subject, struct fault *fault)
{
    struct setup *setup = subject;

    return provider_context_new(&setup->context, &async_transport, verify_mask(&setup->config), fault);
}

static int load_certs(void *subject, struct fault *fault)
{
    struct setup *setup = subject;
    struct certs_source from = {.context = setup->context,
                                .folder = setup->config.certificates,
                                .default_name = setup->config.default_certificate,
                                .strict = setup->dry_run};
    int err = tls_context_new_trial(&from.trial, setup->context, &setup->config, fault);

    if (err)
        return err;
    err = certs_load(&setup->certs, &from, fault);
    SSL_CTX_free(from.trial);
    return err;
}

static int make_grants(void *subject, struct fault *fault)
{
    struct setup *setup = subject;
    size_t count = certs_count(setup->certs);
    uint8_t(*ids)[KEY_ID_SIZE] = calloc(count + 1, sizeof(ids[0]));

    for (size_t i = 0; ids && i < count; i++)
        memcpy(ids[i], certs_at(setup->certs, i)->key_id, KEY_ID_SIZE);
    if (ids)
        setup->grants = grants_new(setup->key_servers.count, (const uint8_t(*)[KEY_ID_SIZE])ids, count);
    free(ids);
    return setup->grants ? 0 : fault_set(fault, ERR_MEMORY, "no memory for the grants of %zu keys", count);
}

static int make_tls(void *subject, struct fault *fault)
{
    struct setup *setup = subject;

    return tls_new(&setup->tls, setup->context, setup->certs, &setup->config, fault);
}

enum {
    STEP_ORIGIN,
    STEP_ORIGIN_FOR,
    STEP_KEY_SERVER,
    STEP_DESCRIPTORS,
    STEP_USER,
    STEP_LISTEN,
    STEP_ADMIN,
    STEP_PRIVILEGES,
    STEP_RESOLVER,
    STEP_ORIGINS,
    STEP_KEY_SERVERS,
    STEP_CONTEXT,
    STEP_CERTS,
    STEP_GRANTS,
    STEP_TLS,
    STEPS
};

#define AFTER(step) (UINT32_C(1) << (step))

/* A start finds out about user and addresses by using them. Files are looked at as that user, so nothing is
 * told of them when there is none. */
static const struct step steps[STEPS] = {
    [STEP_ORIGIN] = {.once = check_origin},
    [STEP_ORIGIN_FOR] = {.each = check_origin_for, .count = count_origins},
    [STEP_KEY_SERVER] = {.each = check_key_server, .count = count_key_servers},
    [STEP_DESCRIPTORS] = {.once = check_descriptors, .in = STEPS_START},
    [STEP_USER] = {.once = check_user, .in = STEPS_DRY_RUN},
    [STEP_LISTEN] = {.each = check_listen, .count = count_listen, .in = STEPS_DRY_RUN},
    [STEP_ADMIN] = {.once = check_admin, .in = STEPS_DRY_RUN},
    [STEP_PRIVILEGES] = {.once = check_privileges, .in = STEPS_START},
    [STEP_RESOLVER] = {.once = start_resolver, .in = STEPS_START},
    [STEP_ORIGINS] = {.once = load_origins, .needs = AFTER(STEP_ORIGIN) | AFTER(STEP_ORIGIN_FOR)},
    [STEP_KEY_SERVERS] = {.once = load_key_servers, .needs = AFTER(STEP_USER) | AFTER(STEP_KEY_SERVER)},
    [STEP_CONTEXT] = {.once = make_context},
    [STEP_CERTS] = {.once = load_certs, .needs = AFTER(STEP_CONTEXT)},
    [STEP_GRANTS] = {.once = make_grants, .needs = AFTER(STEP_CERTS) | AFTER(STEP_KEY_SERVERS)},
    [STEP_TLS] = {.once = make_tls, .needs = AFTER(STEP_CERTS)},
};

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

static int finish_load(struct setup *out, int err)
{
    if (err)
        setup_clear(out);
    else
        warn_of_descriptors(out);
    return err;
}

int setup_load(struct setup *out, const char *file, struct fault *fault)
{
    out->file = file;
    names_init(&out->names);
    out->threads = thread_count(&out->config);
    return finish_load(out, steps_start(steps, STEPS, out, fault));
}

int setup_try(struct setup *out, const char *file, void (*say)(const char *fault))
{
    out->file = file;
    out->dry_run = true;
    names_init(&out->names);
    out->threads = thread_count(&out->config);
    int err = steps_dry_run(steps, STEPS, out, say);
    if (!err)
        (void)names_resolve(&out->names, clock_ns()); /* main.c says what was not found */
    return finish_load(out, err);
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
