#include "keyserver/vault/vault.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/output.h"
#include "common/privileges.h"
#include "common/process.h"
#include "common/sandbox.h"
#include "common/waiting.h"
#include "keyserver/rules/authorized_snapshot.h"
#include "keyserver/vault/desk.h"
#include "keyserver/vault/judge/explain.h"
#include "keyserver/vault/judge/gate.h"
#include "keyserver/vault/loaded.h"
#include "keyserver/vault/memory_lock.h"

struct vault {
    struct wall wall;
    struct loaded loaded;     /* owned, unless */
    bool forked;              /* it came with the fork */
    struct usage *usage;      /* owned */
    struct handover handover; /* its descriptors are owned */
    struct hasher hasher;
    struct quota_replay quotas;
    struct audit *audit;     /* owned; NULL: nothing is recorded */
    struct workers *workers; /* owned */
    struct desk desk;
    struct sandbox_state sandbox;
    bool locked; /* what was loaded is locked into memory */
};

enum purpose {
    TO_SERVE,
    TO_TRY, /* makes and changes nothing */
};

/* ---- start ---- */

/* Everything that is read from files once, and judged by; no file is made. */
static int vault_load(struct vault *vault, const struct server_config *config, struct fault *fault)
{
    int edges_fd = authorized_snapshot_take(config->authorized_edges, fault);
    if (edges_fd < 0)
        return edges_fd;
    int err = loaded_begin("keyless-vault", fault);
    if (err == 0)
        err = loaded_make(&vault->loaded, config, edges_fd, NULL, GROUP_SECRET_TO_LOOK, fault);
    close(edges_fd);
    return err;
}

/* Makes what each vault has for itself, beside what was loaded. */
static int vault_prepare(struct vault *vault, struct fault *fault)
{
    int err = hasher_init(&vault->hasher);
    if (err != 0)
        return err;
    keystore_number(vault->loaded.keys);
    vault->usage = usage_new(vault->loaded.edges, vault->loaded.keys, vault->loaded.policy);
    return vault->usage != NULL ? 0 : fault_set(fault, ERR_MEMORY, "the limits: %s", err_string(ERR_MEMORY));
}

static struct audit_time now(const struct vault *vault)
{
    const uint64_t unix_ms = clock_unix_ms();
    const uint64_t mono_ms = clock_ms(), reached_ms = handover_epoch(&vault->handover, mono_ms);
    return (struct audit_time){
        .mono_ms = mono_ms, .unix_ms = unix_ms, .epoch_ms = reached_ms > unix_ms ? reached_ms : unix_ms};
}

static int open_audit(struct vault *vault, const struct server_config *config, enum purpose purpose,
                      struct fault *fault)
{
    const struct audit_time at = now(vault);
    if (purpose == TO_TRY)
        return audit_try(&config->audit, config->user, &at, fault);
    int err = quota_replay_init(&vault->quotas, vault->usage, vault->loaded.edges, vault->loaded.keys,
                                vault->loaded.policy);
    if (err != 0)
        return fault_set(fault, err, "the quotas: %s", err_string(err));
    return audit_open(&vault->audit, &config->audit, config->user, &vault->quotas.audit, &vault->handover,
                      &at, fault);
}

/* Starts every thread, then enters the sandbox, where none can be started and only files of the audit log can
 * be opened. */
static int vault_lock(struct vault *vault, const struct server_config *config, enum purpose purpose,
                      struct fault *fault)
{
    const struct audit_time at = now(vault);
    const struct workers_settings settings = {.threads = (unsigned)config->workers,
                                              .quick_threads = 1,
                                              .queue_max = (unsigned)config->queue_max,
                                              .edge_count = authorized_count(vault->loaded.edges)};
    const int folder = vault->audit != NULL ? audit_folder(vault->audit) : -1;
    vault->sandbox.files_denied = process_deny_files_but(folder);
    vault->workers = workers_new(vault->loaded.keys, &settings);
    if (vault->workers == NULL)
        return process_fail(fault, "cannot start the threads that use the keys");
    int err = purpose == TO_SERVE ? log_start(fault) : 0;
    if (err != 0)
        return err;
    if (purpose == TO_SERVE &&
        audit_start(vault->audit, vault->loaded.edges, vault->loaded.keys, vault->loaded.rules, &at) != 0)
        return process_fail(fault, "cannot start the thread that writes the audit log");
    err = sandbox_enter(&vault->sandbox, SANDBOX_VAULT, (enum sandbox_mode)config->sandbox, folder, fault);
    if (err == 0)
        log_event(LOG_INFO, "sandbox", "system_calls=%s files=%s memory=%s",
                  sandbox_filter_name(vault->sandbox.filter), sandbox_files_name(vault->sandbox.files_denied),
                  vault->locked ? "locked" : "unlocked");
    return err;
}

/* Before privileges are dropped: the limit of an ordinary user is usually less than a vault needs. */
static int lock_memory(struct vault *vault, const struct server_config *config, struct fault *fault)
{
    vault->locked = memory_lock();
    if (vault->locked || config->memory == SERVER_MEMORY_UNLOCKED || PROCESS_SANITIZED)
        return 0;
    struct rlimit limit = {0};
    (void)getrlimit(RLIMIT_MEMLOCK, &limit);
    return fault_set(fault, ERR_CONFIG,
                     "the keys cannot be locked into memory and could be written to swap space; raise the "
                     "limit (RLIMIT_MEMLOCK is %llu; ulimit -l "
                     "unlimited; LimitMEMLOCK=infinity of a systemd unit; docker run --ulimit memlock=-1), "
                     "give CAP_IPC_LOCK, or "
                     "write memory = unlocked into %s",
                     (unsigned long long)limit.rlim_cur, server_config_file());
}

/* From what is loaded to a process that could serve. */
static int vault_open(struct vault *vault, enum purpose purpose, struct fault *fault)
{
    const struct server_config *config = vault->loaded.config;
    int err;
    if ((err = vault_prepare(vault, fault)) != 0 || (err = open_audit(vault, config, purpose, fault)) != 0 ||
        (err = lock_memory(vault, config, fault)) != 0 ||
        (err = privileges_drop(config->user, PRIVILEGES_NO_GROUPS, fault)) != 0)
        return err;
    return vault_lock(vault, config, purpose, fault);
}

static void vault_clear(struct vault *vault)
{
    workers_free(vault->workers);
    audit_close(vault->audit);
    quota_replay_clear(&vault->quotas);
    usage_free(vault->usage);
    if (!vault->forked || PROCESS_SANITIZED) /* the search for leaks does not look into guarded memory */
        loaded_clear(&vault->loaded);
    desk_clear(&vault->desk);
    wall_close(&vault->wall);
    if (vault->handover.fd > 0)
        close(vault->handover.fd);
    if (vault->handover.before_fd > 0)
        close(vault->handover.before_fd);
    if (vault->handover.gaps.fd > 0)
        close(vault->handover.gaps.fd);
    hasher_clear(&vault->hasher);
    gate_stop();
}

static int fail(struct vault *vault, int err, struct fault *fault)
{
    (void)process_name_limit(fault, err);
    log_event(LOG_ERROR, "vault_failed", "error=\"%s\"", fault->text[0] ? fault->text : err_string(err));
    vault_clear(vault);
    return 2;
}

/* ---- service ---- */

/* The net side is gone: whoever comes after it has a wall and a vault of its own. */
static int end_of_wall(const struct vault *vault)
{
    if (vault->wall.garbage)
        log_event(LOG_ERROR, "wall_malformed", "hint=\"%s\"", DESK_MALFORMED_HINT);
    return 0;
}

/* Takes no request while answers wait for room in the wall, so that memory stays bounded. */
static int serve(struct vault *vault)
{
    struct desk *desk = &vault->desk;
    struct pollfd fds[2] = {{.fd = wall_fd(&vault->wall), .events = POLLIN},
                            {.fd = workers_fd(vault->workers), .events = POLLIN}};
    struct waiting waiting = {.failing = {.begun = false}};
    struct fault fault = {.text = ""};
    bool more = false; /* work that is at hand */
    log_gather();
    for (;;) {
        more = desk_tick(desk) || more;
        int err = desk_flush(desk);
        log_flush();
        if (err != 0)
            return end_of_wall(vault);
        bool behind = desk_is_behind(desk);
        bool sleeps = wall_sleep(&vault->wall, behind ? WALL_ROOM : WALL_SLOTS) && (behind || !more);
        if (waiting_poll(&waiting, fds, 2, sleeps ? desk_timeout(desk) : 0, &fault) < 0) {
            log_event(LOG_ERROR, "vault_failed", "error=\"%s\"", fault.text);
            return 1;
        }
        more = desk_tick(desk) || more;
        if (fds[0].revents != 0)
            wall_woken(&vault->wall);
        if (fds[1].revents != 0)
            desk_take_finished(desk);
        if (desk_is_behind(desk)) {
            more = true; /* perhaps: nobody has looked */
            continue;
        }
        if (desk_take_requests(desk) != 0)
            return end_of_wall(vault);
        more = desk_do_short(desk); /* even if refusals wait to be sent: no other thread does this work */
    }
}

static struct judge judge_of(const struct vault *vault)
{
    return (struct judge){.edges = vault->loaded.edges,
                          .keys = vault->loaded.keys,
                          .policy = vault->loaded.policy,
                          .usage = vault->usage,
                          .epoch_secret = vault->loaded.epoch_secret,
                          .hasher = &vault->hasher};
}

static int start_vault(struct vault *vault, const struct server_config *config)
{
    vault->desk = (struct desk){
        .judge = judge_of(vault),
        .wall = &vault->wall,
        .workers = vault->workers,
        .handover = &vault->handover,
        .ledger = {.audit = vault->audit, .quotas = &vault->quotas, .access_log = config->access_log},
        .stats = {.keys = (uint32_t)keystore_count(vault->loaded.keys),
                  .key_files_skipped = (uint32_t)keystore_skipped(vault->loaded.keys),
                  .ready = 1,
                  .calls_filtered = vault->sandbox.filter == SANDBOX_FILTERED,
                  .files_denied = vault->sandbox.files_denied,
                  .memory_locked = vault->locked}};
    return desk_start(&vault->desk, config->epoch);
}

/* What the vault before this one has reached, and where this one leaves what it reaches. */
static void take_over(struct vault *vault, const struct vault_descriptors *fds)
{
    handover_init(&vault->handover, fds->before, fds->own, fds->served);
    gap_slots_init(&vault->handover.gaps, fds->gaps);
}

/* From a vault that is loaded to its end; ERR is what went wrong before. */
static int live(struct vault *vault, const struct vault_descriptors *fds, int err, struct fault *fault)
{
    take_over(vault, fds);
    if (err == 0)
        err = wall_adopt(&vault->wall, fds->wall);
    if (err == 0)
        err = vault_open(vault, TO_SERVE, fault);
    if (err == 0)
        err = start_vault(vault, vault->loaded.config);
    if (err != 0) {
        close(fds->ready);
        return fail(vault, err, fault);
    }
    (void)!write(fds->ready, "1", 1);
    close(fds->ready);
    int result = serve(vault);
    vault_clear(vault);
    return result;
}

int vault_serve(struct loaded *loaded, const struct vault_descriptors *fds)
{
    struct vault vault = {.wall.fd = -1, .loaded = *loaded, .forked = true};
    struct fault fault = {0};
    log_init("keyless-server[vault]", (enum log_level)loaded->config->log_level,
             (enum log_format)loaded->config->log_format);
    return live(&vault, fds, process_harden("keyless-vault", &fault), &fault);
}

/* ---- without service ---- */

static int report(const struct vault *vault, const struct server_config *config, const char *file)
{
    char text[PATH_MAX + 128], digest[2 * RULES_DIGEST_SIZE + 1];
    size_t keys = keystore_count(vault->loaded.keys), skipped = keystore_skipped(vault->loaded.keys);
    bool good = skipped == 0 && keys > 0;
    if (good && file == NULL)
        return 0;
    if (skipped > 0)
        snprintf(text, sizeof text,
                 "keyless-server: %s: %zu of %zu key files cannot be used; see the lines above\n",
                 config->keys, skipped, keys + skipped);
    else if (keys == 0)
        snprintf(text, sizeof text, "keyless-server: %s: " KEYSTORE_NONE "\n", config->keys);
    else
        snprintf(text, sizeof text, "%s is good: %zu edges, %zu keys, rules %.16s\n", file,
                 authorized_count(vault->loaded.edges), keys,
                 hex_encode(digest, vault->loaded.rules, sizeof vault->loaded.rules));
    if (good)
        output_print(text); /* the sandbox knows no other way */
    else
        (void)!write(STDERR_FILENO, text, strlen(text));
    return good ? 0 : 2;
}

int vault_try(const struct server_config *config, const char *file)
{
    struct vault vault = {.wall.fd = -1};
    struct fault fault = {0};
    int err = vault_load(&vault, config, &fault);
    if (err == 0)
        err = vault_open(&vault, TO_TRY, &fault);
    if (err != 0)
        return fail(&vault, err, &fault);
    int status = output_finish("keyless-server", report(&vault, config, file));
    vault_clear(&vault);
    return status;
}

int vault_explain(const struct server_config *config, const struct question *question)
{
    const struct explain_files files = {.edges = config->authorized_edges, .keys = config->keys};
    struct vault vault = {.wall.fd = -1};
    struct fault fault = {0};
    int err = vault_load(&vault, config, &fault);
    if (err == 0)
        err = vault_prepare(&vault, &fault);
    if (err == 0)
        err = privileges_drop(config->user, PRIVILEGES_NO_GROUPS, &fault);
    if (err != 0)
        return fail(&vault, err, &fault);
    (void)process_deny_files();
    const struct judge judge = judge_of(&vault);
    bool granted = explain(&judge, &files, question, stdout);
    vault_clear(&vault);
    return output_finish("keyless-server", granted ? 0 : 4);
}
