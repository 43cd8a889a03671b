#include "keyserver/vault/desk.h"

#include <string.h>

#include "common/clock.h"
#include "common/secret.h"
#include "keyserver/vault/desk_request.h"

#define STATS_INTERVAL_MS  1000
#define BATCHES_A_TURN     8    /* so that finished work leaves between long runs of requests */
#define ANSWERS_HIGH       2048 /* waiting for the wall: no further batch is taken before they leave */
#define LIST_STEPS_A_TURN  8    /* parts of lists of keys: less than the wall has room for */
#define EPOCH_STEPS_A_TURN 16   /* the same, of epoch keys; each a few keys to be judged at most */
#define DISK_LOOK_MS       5    /* between two looks whether the disk has the epoch that has begun */

_Static_assert(LISTING_PART_KEYS == WALL_KEYS_MAX, "a part of a list fills a slot");

/* ---- answers ---- */

static void answer(struct desk *desk, uint64_t token, enum operation_kind kind, const struct outcome *outcome)
{
    struct wall_answer *slot = outbox_add(&desk->outbox);
    if (kind < OP_KINDS)
        desk->stats.outcomes[kind][outcome->status]++;
    if (slot == NULL)
        return; /* the net side times the request out */
    slot->kind = WALL_OUTCOME;
    slot->token = token;
    slot->u.outcome = *outcome;
}

static void answer_status(struct desk *desk, uint64_t token, enum operation_kind kind,
                          enum operation_status status)
{
    const struct outcome outcome = {.status = status};
    answer(desk, token, kind, &outcome);
}

static void answer_keys(struct desk *desk, const struct listing_part *part)
{
    struct wall_answer *slot = outbox_add(&desk->outbox);
    if (!part->more)
        desk->stats.outcomes[OP_KEYS][STATUS_OK]++;
    if (slot == NULL)
        return;
    slot->kind = WALL_KEYS;
    slot->token = part->token;
    slot->more = part->more;
    slot->u.keys.count = part->count;
    memcpy(slot->u.keys.item, part->keys, part->count * sizeof part->keys[0]);
}

static void gather_stats(struct desk *desk)
{
    struct workers_load load;
    struct audit_figures audit;
    workers_get_load(desk->workers, &load);
    audit_get_figures(desk->ledger.audit, &audit);
    desk->stats.queued = load.queued;
    desk->stats.working = load.working;
    desk->stats.workers = load.threads;
    desk->stats.epoch = desk->announced;
    desk->stats.epoch_ahead_ms = epoch_clock_ahead(&desk->epochs, clock_unix_ms());
    desk->stats.log_dropped = log_dropped();
    desk->stats.audit_seq = audit.seq;
    desk->stats.audit_unrecorded = audit.unrecorded;
    desk->stats.audit_withheld = audit.withheld;
    desk->stats.audit_failing = audit.failing;
    desk->stats.refuses_all = !ledger_is_open(&desk->ledger);
}

static void send_stats(struct desk *desk)
{
    struct wall_answer *slot = outbox_latest(&desk->outbox);
    desk->stats_due_ms = clock_ms() + STATS_INTERVAL_MS;
    handover_leave_epoch(desk->handover, desk->epochs.time_ms, desk->epochs.mono_ms);
    if (slot == NULL)
        return;
    gather_stats(desk);
    slot->kind = WALL_STATS;
    slot->u.stats = desk->stats;
}

/* How long what is made in the current epoch will be accepted: to the end of the next one. */
static uint32_t epoch_left_ms(const struct desk *desk)
{
    uint64_t left = epoch_clock_left(&desk->epochs) + desk->epochs.length_ms;
    return left < UINT32_MAX ? (uint32_t)left : UINT32_MAX;
}

/* The epoch key of the edge with EDGE_KEY if it MAY have one, or that it has none. */
static void answer_epoch(struct desk *desk, const uint8_t edge_key[static IDENTITY_KEY_SIZE], bool may)
{
    struct wall_answer *slot = outbox_add(&desk->outbox);
    if (slot == NULL)
        return;
    slot->kind = WALL_EPOCH;
    memcpy(slot->u.epoch.edge_key, edge_key, sizeof slot->u.epoch.edge_key);
    if (!may)
        return;
    slot->u.epoch.number = desk->now.epoch;
    slot->u.epoch.left_ms = epoch_left_ms(desk);
    epoch_key(slot->u.epoch.key, desk->judge.epoch_secret, edge_key, desk->now.epoch);
}

static void take_epoch_want(struct desk *desk, const uint8_t edge_key[static IDENTITY_KEY_SIZE])
{
    const struct authorized_edge *edge = authorized_find(desk->judge.edges, edge_key);
    if (edge != NULL)
        grant_cache_want_epoch(desk->grants, edge);
    else
        answer_epoch(desk, edge_key, false);
}

/* What a few edges want to know of epochs; true when more is wanted. With many keys it takes long to find
 * that an edge may have none, and after a reload all of them ask at once. Nobody has the key of an epoch
 * before the next process could know that it has begun. */
static bool do_epochs(struct desk *desk)
{
    if (desk->announced != desk->now.epoch)
        return false;
    for (size_t i = 0; i < EPOCH_STEPS_A_TURN && grant_cache_epochs_wait(desk->grants); i++) {
        bool may;
        const struct authorized_edge *edge = grant_cache_step_epoch(desk->grants, &may);
        if (edge != NULL)
            answer_epoch(desk, edge->key, may);
    }
    return grant_cache_epochs_wait(desk->grants);
}

/* ---- requests ---- */

static void refuse(struct desk *desk, const struct key_request *request,
                   const struct request_identity *identity, enum refusal refusal)
{
    desk->stats.refusals[refusal]++;
    ledger_add_refusal(&desk->ledger, request, identity, refusal);
    answer_status(desk, request->token, request->operation->kind, STATUS_REFUSED);
}

/* Malformed slot: no trustworthy fields to log. */
static void refuse_slot(struct desk *desk, const struct wall_request *slot)
{
    desk->stats.refusals[REFUSAL_MALFORMED_SLOT]++;
    log_event(LOG_ERROR, "wall_malformed", "hint=\"%s\"", DESK_MALFORMED_HINT);
    if (slot->token != 0)
        answer_status(desk, slot->token, slot->operation.kind, STATUS_REFUSED);
}

static void refuse_unrecorded(struct desk *desk, const struct key_request *request)
{
    desk->stats.refusals[REFUSAL_AUDIT]++;
    answer_status(desk, request->token, request->operation->kind, STATUS_UNAVAILABLE);
}

static void answer_busy(struct desk *desk, uint64_t token, const struct request_identity *identity)
{
    ledger_add(&desk->ledger, identity, AUDIT_BUSY, &desk->now);
    answer_status(desk, token, identity->kind, STATUS_BUSY);
}

/* Somebody's oldest job made way. */
static void answer_lost(struct desk *desk, struct job *lost)
{
    if (lost->cancelled)
        ledger_add(&desk->ledger, &lost->identity, AUDIT_CANCELLED, &desk->now);
    else
        answer_busy(desk, lost->token, &lost->identity);
    wipe(lost, sizeof *lost);
}

static void enqueue(struct desk *desk, const struct key_request *request, const struct judgement *judgement)
{
    const struct job_order order = {.token = request->token,
                                    .deadline_ns = request->deadline_ns,
                                    .identity = &judgement->identity,
                                    .input = &judgement->input};
    struct job lost UNINITIALIZED;
    int result = workers_submit(desk->workers, &order, &lost);
    if (result == 1)
        answer_lost(desk, &lost);
    else if (result != 0)
        answer_busy(desk, request->token, &judgement->identity);
}

/* A list of keys is no use of one: neither recorded nor counted, but it has its turn and its deadline. */
static void enqueue_list(struct desk *desk, const struct key_request *request,
                         const struct judgement *judgement)
{
    uint64_t lost;
    int result = listing_add(desk->listing, request, judgement, &lost);
    if (result == 1)
        answer_status(desk, lost, OP_KEYS, STATUS_BUSY);
    else if (result != 0)
        answer_status(desk, request->token, OP_KEYS, STATUS_BUSY);
}

static void take_operation(struct desk *desk, const struct key_request *request)
{
    struct judgement judgement UNINITIALIZED;
    if (!ledger_is_open(&desk->ledger) && request->operation->kind != OP_KEYS) {
        refuse_unrecorded(desk, request);
        return;
    }
    judge_request(&desk->judge, request, &desk->now, &judgement);
    if (judgement.refusal != REFUSAL_NONE)
        refuse(desk, request, &judgement.identity, judgement.refusal);
    else if (judgement.identity.kind == OP_KEYS)
        enqueue_list(desk, request, &judgement);
    else
        enqueue(desk, request, &judgement);
}

static void cancel(struct desk *desk, uint64_t token)
{
    if (!listing_cancel(desk->listing, token))
        workers_cancel(desk->workers, token);
}

/* The wall ends here: what is well formed goes on as a request of the vault's own. */
static void take_slot(struct desk *desk, const struct wall_request *slot)
{
    struct key_request request UNINITIALIZED;
    if (wall_request_check(slot) != 0) {
        refuse_slot(desk, slot);
    } else if (slot->kind == WALL_CANCEL) {
        cancel(desk, slot->token);
    } else if (slot->kind == WALL_EPOCH_WANTED) {
        take_epoch_want(desk, slot->edge_key);
    } else {
        desk_request_make(&request, slot);
        take_operation(desk, &request);
    }
}

int desk_take_requests(struct desk *desk)
{
    struct wall_request batch[WALL_BATCH_MAX] UNINITIALIZED;
    int count = 0;
    for (int i = 0; i < BATCHES_A_TURN && outbox_count(&desk->outbox) < ANSWERS_HIGH; i++) {
        count = wall_receive_requests(desk->wall, batch, WALL_BATCH_MAX);
        if (count == ERR_FORMAT)
            desk->stats.refusals[REFUSAL_MALFORMED_SLOT]++;
        if (count > 0)
            ledger_read_on(&desk->ledger);
        for (int j = 0; j < count; j++)
            take_slot(desk, &batch[j]);
        if (count == 0 || count == ERR_CUT || count == ERR_MEMORY)
            break;
    }
    workers_begin(desk->workers);
    return count == ERR_CUT ? ERR_CUT : 0;
}

static enum audit_result result_of(const struct job *job)
{
    if (job->cancelled)
        return AUDIT_CANCELLED;
    if (job->outcome.status == STATUS_OK)
        return AUDIT_OK;
    return job->outcome.status == STATUS_EXPIRED ? AUDIT_EXPIRED : AUDIT_FAULT;
}

static void finish_job(struct desk *desk, const struct job *job)
{
    enum operation_kind kind = job->identity.kind;
    desk->stats.busy_ns[kind] += job->spent_ns;
    desk->stats.faults += job->faulty;
    if (job->faulty)
        log_event(LOG_ERROR, "operation_faulty",
                  "key=%s op=%s hint=\"a result did not pass its check and was not released; is the "
                  "hardware sound?\"",
                  job->identity.key->name, operation_name(kind));
    ledger_add(&desk->ledger, &job->identity, result_of(job), &desk->now);
    if (!job->cancelled)
        answer(desk, job->token, kind, &job->outcome);
}

void desk_take_finished(struct desk *desk)
{
    struct job *job = workers_collect(desk->workers);
    while (job != NULL) {
        struct job *next = job->next;
        finish_job(desk, job);
        workers_release(desk->workers, job);
        job = next;
    }
}

/* A few parts of lists of keys; true when more of them are wanted. */
static bool do_lists(struct desk *desk)
{
    for (size_t i = 0; i < LIST_STEPS_A_TURN && listing_waits(desk->listing); i++) {
        struct listing_part part UNINITIALIZED;
        if (!listing_step(desk->listing, &desk->now, &part))
            continue;
        if (part.status == STATUS_OK)
            answer_keys(desk, &part);
        else
            answer_status(desk, part.token, OP_KEYS, part.status);
    }
    return listing_waits(desk->listing);
}

bool desk_do_short(struct desk *desk)
{
    bool more = workers_do_short(desk->workers);
    desk_take_finished(desk);
    more = do_epochs(desk) || more;
    return do_lists(desk) || more;
}

/* ---- time ---- */

/* By what the vault before has left, and by what is on the disk. */
static uint64_t reached_before(const struct desk *desk, uint64_t mono_ms)
{
    return clock_later(audit_epoch(desk->ledger.audit), handover_epoch(desk->handover, mono_ms));
}

int desk_start(struct desk *desk, uint64_t epoch_length_ms)
{
    desk->grants = grant_cache_new(&desk->judge, GRANT_CACHE_MAX);
    desk->listing = desk->grants != NULL ? listing_new(&desk->judge, desk->grants) : NULL;
    if (desk->listing == NULL)
        return ERR_MEMORY;
    uint64_t mono_ms = clock_ms();
    epoch_clock_start(&desk->epochs, epoch_length_ms, clock_unix_ms(), reached_before(desk, mono_ms),
                      mono_ms);
    (void)desk_tick(desk);
    return 0;
}

static void tick_audit(struct desk *desk, uint64_t unix_ms)
{
    const struct audit_time now = {
        .mono_ms = desk->now.mono_ns / NS_PER_MS, .unix_ms = unix_ms, .epoch_ms = desk->epochs.time_ms};
    audit_tick(desk->ledger.audit, &now);
}

/* The wall clock, or the time that another vault has put on record if that is later: epochs never go back
 * behind the log. */
static uint64_t latest(const struct desk *desk, uint64_t unix_ms)
{
    return clock_later(audit_epoch(desk->ledger.audit), unix_ms);
}

/* An epoch is announced only when its beginning is on the disk. Otherwise a crash of the machine, followed by
 * a start with a slow clock, could accept session ids of epochs that were already over. True when it is
 * announced now. */
static bool announce_epoch(struct desk *desk)
{
    uint64_t begun_ms = (desk->now.epoch - 1) * desk->epochs.length_ms;
    if (desk->announced == desk->now.epoch || !audit_keep_epoch(desk->ledger.audit, begun_ms))
        return false;
    desk->announced = desk->now.epoch;
    return true;
}

bool desk_tick(struct desk *desk)
{
    uint64_t unix_ms = clock_unix_ms();
    desk->now = (struct now){.mono_ns = clock_ns(), .unix_s = (int64_t)(unix_ms / 1000)};
    desk->now.epoch = epoch_clock_turn(&desk->epochs, latest(desk, unix_ms), desk->now.mono_ns / NS_PER_MS);
    desk->now.reached_s = (int64_t)(desk->epochs.time_ms / 1000);
    tick_audit(desk, unix_ms);
    bool announced = announce_epoch(desk);
    if (announced || desk->now.mono_ns / NS_PER_MS >= desk->stats_due_ms)
        send_stats(desk);
    return announced;
}

static uint64_t until(uint64_t due_ms, uint64_t now_ms)
{
    return due_ms > now_ms ? due_ms - now_ms : 0;
}

/* For the disk, and that works. */
static bool epoch_waits(const struct desk *desk)
{
    return desk->announced != desk->now.epoch && !audit_is_failing(desk->ledger.audit);
}

int desk_timeout(const struct desk *desk)
{
    uint64_t now = clock_ms(), least = epoch_clock_left(&desk->epochs);
    const uint64_t others[] = {until(desk->stats_due_ms, now), until(audit_due(desk->ledger.audit), now),
                               epoch_waits(desk) ? DISK_LOOK_MS : UINT64_MAX};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        least = others[i] < least ? others[i] : least;
    return (int)least;
}

/* ---- the way out ---- */

int desk_flush(struct desk *desk)
{
    if (ledger_settle(&desk->ledger) == 0) /* recorded, or `on_failure = serve` */
        outbox_release(&desk->outbox);
    else
        outbox_withhold(&desk->outbox);
    return outbox_flush(&desk->outbox, desk->wall);
}

bool desk_is_behind(const struct desk *desk)
{
    return !outbox_empty(&desk->outbox);
}

void desk_clear(struct desk *desk)
{
    outbox_clear(&desk->outbox);
    ledger_clear(&desk->ledger);
    listing_free(desk->listing);
    grant_cache_free(desk->grants);
}
