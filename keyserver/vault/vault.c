#include "keyserver/vault/vault.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/identity.h"
#include "common/process.h"
#include "common/secret.h"
#include "keyserver/vault/gate.h"
#include "keyserver/vault/judge.h"
#include "keyserver/vault/outbox.h"
#include "keyserver/vault/sandbox.h"
#include "keyserver/vault/workers.h"

#define STATS_INTERVAL_MS 1000
#define BATCHES_A_TURN    8    /* so that finished work leaves between long runs of requests */
#define ANSWERS_HIGH      2048 /* waiting for the wall: no further batch is taken before they leave */

struct vault {
    struct wall wall;
    struct authorized *edges; /* owned */
    struct keystore *keys;    /* owned */
    struct workers *workers;  /* owned */
    struct outbox outbox;
    struct wall_stats stats;
    uint64_t stats_due_ms;
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
    uint8_t *group_secret = secret_new(32);
    if (group_secret == NULL)
        return fault_set(fault, ERR_MEMORY,
                         "no guarded memory; raise the limit of locked memory (ulimit -l)");
    int err = load_group_secret(group_secret, config->group_secret, fault);
    if (err == 0)
        err = keystore_load(&vault->keys, config->keys, group_secret, fault);
    secret_free(group_secret);
    return err;
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
    vault->workers = workers_new(vault->keys, (unsigned)config->workers, (unsigned)config->queue_max);
    if (vault->workers == NULL)
        return fault_set(fault, ERR_MEMORY, "the workers cannot be started");
    return sandbox_enter(files_denied, fault);
}

static void vault_clear(struct vault *vault)
{
    workers_free(vault->workers);
    keystore_free(vault->keys);
    authorized_free(vault->edges);
    outbox_clear(&vault->outbox);
    wall_close(&vault->wall);
    gate_stop();
}

/* ---- answers ---- */

static void answer(struct vault *vault, uint64_t token, enum operation_kind kind,
                   const struct outcome *outcome)
{
    struct wall_answer *slot = outbox_add(&vault->outbox);
    if (kind < OP_KINDS)
        vault->stats.outcomes[kind][outcome->status]++;
    if (slot == NULL)
        return; /* the net side times the request out */
    slot->kind = WALL_OUTCOME;
    slot->token = token;
    slot->u.outcome = *outcome;
}

static void answer_status(struct vault *vault, const struct wall_request *request,
                          enum operation_status status)
{
    const struct outcome outcome = {.status = status};
    answer(vault, request->token, request->operation.kind, &outcome);
}

/* What the owner does about a refusal, if this edge shall have what it asked for. */
static const char *const refusal_mends[REFUSAL_KINDS] = {
    [REFUSAL_NONE] = "",
    [REFUSAL_MALFORMED_SLOT] = "report it: the net process sent what it never should",
    [REFUSAL_UNKNOWN_EDGE] = "add its line to authorized_edges and restart",
    [REFUSAL_FROM] = "widen from= in its line of authorized_edges and restart",
    [REFUSAL_UNKNOWN_KEY] =
        "put the key into the keys folder and reload, or take the certificate from the edge",
    [REFUSAL_KEY_NOT_GRANTED] = "list the key in keys= of its line in authorized_edges and reload",
    [REFUSAL_OPERATION_NOT_GRANTED] = "list the operation in ops= of its line in authorized_edges and reload",
    [REFUSAL_UNKNOWN_OPERATION] = "update keyless-server if the edge is newer",
    [REFUSAL_SCHEME] = "compare the certificate of the edge with this key",
    [REFUSAL_STRUCTURE] = "look at the edge: no TLS handshake asks for this",
};

static void log_refusal(const struct wall_request *request, const struct judgement *judgement)
{
    char trace[2 * TRACE_ID_SIZE + 1], id[2 * KEY_ID_SIZE + 1];
    const char *operation = operation_name(request->operation.kind);
    log_event(LOG_WARN, "request_refused", "edge=%s op=%s key=%s reason=%s mend=\"%s\" trace=%s",
              judgement->edge != NULL ? judgement->edge->name : "unknown",
              operation != NULL ? operation : "unknown",
              judgement->key != NULL ? judgement->key->name
                                     : hex_encode(id, request->operation.key_id, KEY_ID_SIZE),
              wall_refusal_name(judgement->refusal), refusal_mends[judgement->refusal],
              trace_id_text(&request->trace, trace));
}

/* The keys that EDGE may use, a slot for every WALL_KEYS_MAX of them. */
static void answer_keys(struct vault *vault, const struct wall_request *request,
                        const struct authorized_edge *edge)
{
    struct wall_answer *slot = NULL;
    size_t i = 0, count = keystore_count(vault->keys);
    do {
        slot = outbox_add(&vault->outbox);
        if (slot == NULL)
            return;
        slot->kind = WALL_KEYS;
        slot->token = request->token;
        for (; i < count && slot->u.keys.count < WALL_KEYS_MAX; i++) {
            const struct key *key = keystore_at(vault->keys, i);
            struct key_info *info = &slot->u.keys.item[slot->u.keys.count];
            info->operations = judge_grants(edge, key);
            if (info->operations == 0)
                continue;
            memcpy(info->key_id, key->id, KEY_ID_SIZE);
            info->type = (uint8_t)key->type;
            info->bits = key->bits;
            slot->u.keys.count++;
        }
        slot->more = i < count;
    } while (i < count);
    vault->stats.outcomes[OP_KEYS][STATUS_OK]++;
}

static void send_stats(struct vault *vault)
{
    struct workers_load load;
    struct wall_answer *slot = outbox_add(&vault->outbox);
    vault->stats_due_ms = clock_ms() + STATS_INTERVAL_MS;
    if (slot == NULL)
        return;
    workers_get_load(vault->workers, &load);
    vault->stats.queued = load.queued;
    vault->stats.working = load.working;
    vault->stats.workers = load.threads;
    slot->kind = WALL_STATS;
    slot->u.stats = vault->stats;
}

/* ---- requests ---- */

static void take_request(struct vault *vault, const struct wall_request *request)
{
    if (wall_request_check(request) != 0) {
        const struct judgement malformed = {.refusal = REFUSAL_MALFORMED_SLOT};
        vault->stats.refusals[REFUSAL_MALFORMED_SLOT]++;
        log_refusal(request, &malformed);
        if (request->token != 0)
            answer_status(vault, request, STATUS_REFUSED);
        return;
    }
    if (request->kind == WALL_CANCEL) {
        workers_cancel(vault->workers, request->token);
        return;
    }
    struct judgement judgement = judge_request(vault->edges, vault->keys, request);
    if (judgement.refusal != REFUSAL_NONE) {
        vault->stats.refusals[judgement.refusal]++;
        log_refusal(request, &judgement);
        answer_status(vault, request, STATUS_REFUSED);
    } else if (request->operation.kind == OP_KEYS) {
        answer_keys(vault, request, judgement.edge);
    } else if (workers_submit(vault->workers, request, judgement.key) != 0) {
        answer_status(vault, request, STATUS_BUSY);
    }
}

/* Takes what the wall has; ERR_CUT when the net side is gone. */
static int take_requests(struct vault *vault)
{
    struct wall_request batch[WALL_BATCH_MAX];
    int count = 0;
    for (int i = 0; i < BATCHES_A_TURN && outbox_count(&vault->outbox) < ANSWERS_HIGH; i++) {
        count = wall_receive_requests(&vault->wall, batch, WALL_BATCH_MAX);
        if (count == ERR_FORMAT)
            vault->stats.refusals[REFUSAL_MALFORMED_SLOT]++;
        for (int j = 0; j < count; j++)
            take_request(vault, &batch[j]);
        if (count == 0 || count == ERR_CUT)
            break;
    }
    return count == ERR_CUT ? ERR_CUT : 0;
}

static void take_finished(struct vault *vault)
{
    struct job *job = workers_collect(vault->workers);
    while (job != NULL) {
        struct job *next = job->next;
        enum operation_kind kind = job->operation.kind;
        vault->stats.busy_ns[kind] += job->spent_ns;
        vault->stats.faults += job->faulty;
        if (job->faulty)
            log_event(LOG_ERROR, "operation_faulty",
                      "key=%s op=%s hint=\"a result did not pass its check and was not released; is the "
                      "hardware sound?\"",
                      job->key->name, operation_name(kind));
        if (!job->cancelled)
            answer(vault, job->token, kind, &job->outcome);
        workers_release(vault->workers, job);
        job = next;
    }
}

/* While answers wait for the other side no further request is taken: what is kept here stays bounded. */
static int serve(struct vault *vault)
{
    struct pollfd fds[2] = {{.fd = wall_fd(&vault->wall)},
                            {.fd = workers_fd(vault->workers), .events = POLLIN}};
    for (;;) {
        uint64_t now = clock_ms();
        if (now >= vault->stats_due_ms)
            send_stats(vault);
        if (outbox_flush(&vault->outbox, &vault->wall) != 0)
            return 0;
        fds[0].events = outbox_empty(&vault->outbox) ? POLLIN : POLLOUT;
        int timeout = vault->stats_due_ms > now ? (int)(vault->stats_due_ms - now) : 0;
        if (poll(fds, 2, timeout) < 0 && errno != EINTR)
            return 1;
        if (fds[1].revents != 0)
            take_finished(vault);
        if ((fds[0].revents & POLLIN) != 0 && take_requests(vault) != 0)
            return 0;
        if ((fds[0].revents & (POLLHUP | POLLERR)) != 0 && (fds[0].revents & POLLIN) == 0)
            return 0;
    }
}

int vault_run(const struct server_config *config, int net_fd, int ready_fd)
{
    struct vault vault = {0};
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
    vault.stats.keys = (uint32_t)keystore_count(vault.keys);
    vault.stats.key_files_skipped = (uint32_t)keystore_skipped(vault.keys);
    vault.stats.ready = 1;
    (void)!write(ready_fd, "1", 1);
    close(ready_fd);
    int result = serve(&vault);
    vault_clear(&vault);
    return result;
}
