#include "keyserver/vault/vault.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/identity.h"
#include "common/process.h"
#include "common/secret.h"
#include "keyserver/authorized_snapshot.h"
#include "keyserver/vault/desk.h"
#include "keyserver/vault/explain.h"
#include "keyserver/vault/gate.h"
#include "keyserver/vault/sandbox.h"

struct vault {
    struct wall wall;
    struct authorized *edges; /* owned */
    struct keystore *keys;    /* owned */
    struct policy *policy;    /* owned */
    struct limits *limits;    /* owned */
    uint8_t *epoch_secret;    /* owned; 32 bytes of guarded memory */
    struct workers *workers;  /* owned */
    struct desk desk;
};

/* ---- start ---- */

static int load_group_secret(uint8_t *out, const char *path, struct fault *fault)
{
    int err = identity_load_secret(out, path, fault);
    if (err != ERR_NOT_FOUND)
        return err;
    random_bytes(out, 32);
    err = identity_save_secret(path, out, fault);
    if (err == 0)
        log_event(LOG_WARN, "group_secret_made",
                  "file=%s hint=\"every replica of this key server needs a copy of it\"", path);
    return err;
}

/* The group secret itself is needed no longer than this. */
static int load_keys(struct vault *vault, const struct server_config *config, struct fault *fault)
{
    uint8_t *group_secret = secret_new(32);
    vault->epoch_secret = secret_new(32);
    int err = group_secret == NULL || vault->epoch_secret == NULL
                  ? fault_set(fault, ERR_MEMORY,
                              "no guarded memory; raise the limit of locked memory (ulimit -l)")
                  : load_group_secret(group_secret, config->group_secret, fault);
    if (err == 0) {
        epoch_secret(vault->epoch_secret, group_secret, config->epoch);
        err = keystore_load(&vault->keys, config->keys, group_secret, fault);
    }
    secret_free(group_secret);
    return err;
}

static bool has_key(const struct vault *vault, const char *title)
{
    uint8_t id[KEY_ID_SIZE];
    if (hex_decode(id, sizeof id, title) == 0 && keystore_find(vault->keys, id) != NULL)
        return true;
    for (size_t i = 0; i < keystore_count(vault->keys); i++)
        if (strcmp(keystore_at(vault->keys, i)->name, title) == 0)
            return true;
    return false;
}

/* A section that is for no key is most likely a slip of the pen: the key that it was meant for has other
 * rights than its owner thinks. */
static void warn_of_idle_sections(const struct vault *vault)
{
    for (size_t i = 1; i < policy_count(vault->policy); i++) {
        const char *title = policy_at(vault->policy, i)->title;
        if (!has_key(vault, title))
            log_event(LOG_WARN, "key_section_idle",
                      "err=\"key %s: server.conf has this section, and there is no such key; put it into "
                      "the folder of keys, or correct the title\"",
                      title);
    }
}

static int load_policy(struct vault *vault, const struct server_config *config, struct fault *fault)
{
    int err = policy_new(&vault->policy, config, fault);
    for (size_t i = 0; i < keystore_count(vault->keys) && err == 0; i++) {
        const struct key *key = keystore_at(vault->keys, i);
        err = policy_check_key(vault->policy, key->id, key->name, fault);
    }
    if (err != 0)
        return err;
    warn_of_idle_sections(vault);
    vault->limits = limits_new(vault->edges, vault->keys, vault->policy);
    return vault->limits != NULL ? 0 : fault_set(fault, ERR_MEMORY, "the limits: %s", err_string(ERR_MEMORY));
}

/* Everything that is read from files. */
static int vault_load(struct vault *vault, const struct server_config *config, int edges_fd,
                      struct fault *fault)
{
    int err;
    if ((err = process_harden("keyless-vault", fault)) != 0 || (err = secret_init()) != 0 ||
        (err = gate_start()) != 0 ||
        (err = authorized_snapshot_load(&vault->edges, edges_fd, config->authorized_edges, fault)) != 0 ||
        (err = load_keys(vault, config, fault)) != 0 || (err = load_policy(vault, config, fault)) != 0 ||
        (err = process_drop_user(config->user, fault)) != 0)
        return err;
    authorized_forget_psks(vault->edges);
    return 0;
}

/* From here on it computes, and opens nothing any more. */
static int vault_lock(struct vault *vault, const struct server_config *config, struct fault *fault)
{
    bool files_denied = process_deny_files();
    vault->workers = workers_new(vault->keys, (unsigned)config->workers, (unsigned)config->queue_max,
                                 authorized_count(vault->edges));
    if (vault->workers == NULL)
        return fault_set(fault, ERR_MEMORY, "the workers cannot be started");
    return sandbox_enter(files_denied, -1, fault);
}

static void vault_clear(struct vault *vault)
{
    workers_free(vault->workers);
    limits_free(vault->limits);
    policy_free(vault->policy);
    keystore_free(vault->keys);
    authorized_free(vault->edges);
    secret_free(vault->epoch_secret);
    desk_clear(&vault->desk);
    wall_close(&vault->wall);
    gate_stop();
}

static int fail(struct vault *vault, int err, const struct fault *fault)
{
    log_event(LOG_ERROR, "vault_failed", "err=\"%s\"", fault->text[0] ? fault->text : err_string(err));
    vault_clear(vault);
    return 2;
}

/* ---- service ---- */

/* While answers wait for the other side no further request is taken: what is kept here stays bounded. */
static int serve(struct vault *vault)
{
    struct desk *desk = &vault->desk;
    struct pollfd fds[2] = {{.fd = wall_fd(&vault->wall)},
                            {.fd = workers_fd(vault->workers), .events = POLLIN}};
    for (;;) {
        desk_tick(desk);
        if (desk_flush(desk) != 0)
            return 0;
        fds[0].events = desk_is_behind(desk) ? POLLOUT : POLLIN;
        if (poll(fds, 2, desk_timeout(desk)) < 0 && errno != EINTR)
            return 1;
        desk_tick(desk);
        if (fds[1].revents != 0)
            desk_take_finished(desk);
        if ((fds[0].revents & POLLIN) != 0 && desk_take_requests(desk) != 0)
            return 0;
        if ((fds[0].revents & (POLLHUP | POLLERR)) != 0 && (fds[0].revents & POLLIN) == 0)
            return 0;
    }
}

static struct judge judge_of(const struct vault *vault)
{
    return (struct judge){.edges = vault->edges,
                          .keys = vault->keys,
                          .policy = vault->policy,
                          .limits = vault->limits,
                          .epoch_secret = vault->epoch_secret};
}

static void start(struct vault *vault, const struct server_config *config)
{
    vault->desk = (struct desk){.judge = judge_of(vault),
                                .wall = &vault->wall,
                                .workers = vault->workers,
                                .stats = {.keys = (uint32_t)keystore_count(vault->keys),
                                          .key_files_skipped = (uint32_t)keystore_skipped(vault->keys),
                                          .ready = 1}};
    desk_start(&vault->desk, config->epoch);
}

int vault_run(const struct server_config *config, const struct vault_descriptors *fds)
{
    struct vault vault = {.edges = NULL};
    struct fault fault = {0};
    log_init("keyless-server[vault]", (enum log_level)config->log_level, (enum log_format)config->log_format);
    wall_adopt(&vault.wall, fds->wall);
    int err = vault_load(&vault, config, fds->edges, &fault);
    close(fds->edges);
    if (err == 0)
        err = vault_lock(&vault, config, &fault);
    if (err != 0) {
        close(fds->ready);
        return fail(&vault, err, &fault);
    }
    start(&vault, config);
    (void)!write(fds->ready, "1", 1);
    close(fds->ready);
    int result = serve(&vault);
    vault_clear(&vault);
    return result;
}

int vault_explain(const struct server_config *config, const struct question *question)
{
    const struct explain_files files = {.edges = config->authorized_edges, .keys = config->keys};
    struct vault vault = {.wall.fd = -1};
    struct fault fault = {0};
    int edges_fd = authorized_snapshot_take(config->authorized_edges, &fault);
    int err = edges_fd < 0 ? edges_fd : vault_load(&vault, config, edges_fd, &fault);
    if (edges_fd >= 0)
        close(edges_fd);
    if (err != 0)
        return fail(&vault, err, &fault);
    (void)process_deny_files();
    const struct judge judge = judge_of(&vault);
    bool granted = explain(&judge, &files, question, stdout);
    vault_clear(&vault);
    if (fflush(stdout) != 0 || ferror(stdout))
        return 1;
    return granted ? 0 : 4;
}
