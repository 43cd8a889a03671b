#include "keyserver/vault/vault.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/identity.h"
#include "common/process.h"
#include "common/secret.h"
#include "keyserver/vault/desk.h"
#include "keyserver/vault/gate.h"
#include "keyserver/vault/sandbox.h"

struct vault {
    struct wall wall;
    struct authorized *edges; /* owned */
    struct keystore *keys;    /* owned */
    uint8_t *group_secret;    /* owned; 32 bytes of guarded memory */
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

static int load_keys(struct vault *vault, const struct server_config *config, struct fault *fault)
{
    vault->group_secret = secret_new(32);
    if (vault->group_secret == NULL)
        return fault_set(fault, ERR_MEMORY,
                         "no guarded memory; raise the limit of locked memory (ulimit -l)");
    int err = load_group_secret(vault->group_secret, config->group_secret, fault);
    return err != 0 ? err : keystore_load(&vault->keys, config->keys, vault->group_secret, fault);
}

static int vault_load(struct vault *vault, const struct server_config *config, struct fault *fault)
{
    int err;
    if ((err = process_harden("keyless-vault", fault)) != 0 || (err = secret_init()) != 0 ||
        (err = gate_start()) != 0 ||
        (err = authorized_load(&vault->edges, config->authorized_edges, fault)) != 0 ||
        (err = load_keys(vault, config, fault)) != 0 || (err = process_drop_user(config->user, fault)) != 0)
        return err;
    authorized_forget_psks(vault->edges);
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
    keystore_free(vault->keys);
    authorized_free(vault->edges);
    secret_free(vault->group_secret);
    desk_clear(&vault->desk);
    wall_close(&vault->wall);
    gate_stop();
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

static void start(struct vault *vault, const struct server_config *config)
{
    vault->desk = (struct desk){
        .judge = {.edges = vault->edges, .keys = vault->keys, .group_secret = vault->group_secret},
        .wall = &vault->wall,
        .workers = vault->workers,
        .stats = {.keys = (uint32_t)keystore_count(vault->keys),
                  .key_files_skipped = (uint32_t)keystore_skipped(vault->keys),
                  .ready = 1}};
    desk_start(&vault->desk, config->epoch);
}

int vault_run(const struct server_config *config, int net_fd, int ready_fd)
{
    struct vault vault = {.edges = NULL};
    struct fault fault = {0};
    log_init("keyless-server[vault]", (enum log_level)config->log_level, (enum log_format)config->log_format);
    wall_adopt(&vault.wall, net_fd);
    int err = vault_load(&vault, config, &fault);
    if (err != 0) {
        log_event(LOG_ERROR, "vault_failed", "err=\"%s\"", fault.text[0] ? fault.text : err_string(err));
        close(ready_fd);
        vault_clear(&vault);
        return 2;
    }
    start(&vault, config);
    (void)!write(ready_fd, "1", 1);
    close(ready_fd);
    int result = serve(&vault);
    vault_clear(&vault);
    return result;
}
