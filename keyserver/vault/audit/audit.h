/* The audit log: a record of every use of a key, which cannot be changed unnoticed. One record a decision,
 * written to the kernel before the answer leaves.
 *
 * In the order of its life: audit_open() while the process may still do everything; then the user is dropped,
 * files are denied but for audit_folder() (process_deny_files_but()); audit_start(); the sandbox. In each
 * turn of the loop: audit_tick(), any number of audit_add…(), then one audit_commit() before any of the
 * answers leaves; if that fails, none of them may. At the end audit_close().
 *
 * A decision on its way to the disk, from above: ledger (what is granted and not recorded yet), audit (batch
 * of a turn, tallies of refusals), audit_log (chain, files that follow each other), audit_segment (one file),
 * audit_sync (fdatasync in a thread of its own).
 *
 * Two vaults may write to one log, as they do during a reload: each reads on by itself what the other has
 * written. Sees no clock, no channel and no secret but the key that signs. All of it by one thread. */
#ifndef KEYSERVER_VAULT_AUDIT_H
#define KEYSERVER_VAULT_AUDIT_H

#include "keyserver/audit/audit_record.h"
#include "keyserver/rules/refusal.h"
#include "keyserver/rules/server_config.h"
#include "keyserver/vault/audit/handover.h"
#include "keyserver/vault/request/now.h"
#include "keyserver/vault/request/request_identity.h"

struct audit;

/* How it goes, since the start. */
struct audit_figures {
    uint64_t seq;        /* of the last record */
    uint64_t unrecorded; /* answers that left without a record */
    uint64_t withheld;   /* results that were not released, since they could not be recorded */
    bool failing;        /* the log cannot be written */
};

/* RECORD is the callee's, to be finished. */
typedef void audit_tell(struct audit_record *record, void *user);
/* PLACE is that of handover_leave_count(). */
typedef bool audit_leave(size_t place, const struct handover_count *count, void *user);

struct audit_time {
    uint64_t mono_ms;  /* of a clock that is never set */
    uint64_t unix_ms;  /* since 1970; the time of what is recorded from now on */
    uint64_t epoch_ms; /* of epochs (epoch.h); checkpoints carry it */
};

/* How quotas and rates outlast a vault: they are counted from the log. All may be NULL. */
struct audit_quotas {
    void *context;
    /* Is told, in the order of the log, of what stands in its newest file at the start, each `quota`
     * (`used` of it since `start_s`), each `rate` (`used`, and not made up for when it was recorded) and each
     * `use`, and later of each `use` that another vault has written.
     * A use counts when its result is AUDIT_OK. REACHED_MS is the time of epochs when it was recorded, no
     * earlier than its `time`; after a clock that was set back, no earlier than the hour of that. What this
     * vault itself adds is not told. */
    void (*on_record)(void *context, const struct audit_record *record, uint64_t reached_ms);
    /* Tells of every quota of which something was used in the window of NOW (type, edge, key, window_s,
     * start_s and used are set), and of every rate that has not made up for all uses (type, edge, key and
     * used). Called when a file begins, twice with the same NOW and result, so that the file holds all that
     * is needed to count on. `used` is what stands in the log so far: not what was added but not committed
     * yet, which is counted from its record. */
    void (*each)(void *context, const struct now *now, audit_tell *tell, void *user);
    /* The same for the vault that follows (handover.h), counter by counter: how many have changed since they
     * were told of, and MOST of them, those first that wait longest. LEAVE returns false where one could not
     * be left: it waits anew. */
    size_t (*changed)(const void *context);
    void (*each_changed)(void *context, const struct now *now, size_t most, audit_leave *leave, void *user);
    /* As much was used at least, by what the vault before has left. True when that was not known. */
    bool (*raise)(void *context, const struct handover_count *count, const struct now *now);
    /* What was told at the start does not count: all of it is told anew. */
    void (*forget)(void *context);
};

/* Opens the log that CONFIG tells of (borrowed, as QUOTAS is, which may be NULL), makes what is missing
 * (folder, key, first file), verifies its newest file and finds its end; whatever is wrong with it is logged
 * (audit_damaged) and recorded, and it goes on in a new file. As root, files are made for USER, who may be
 * NULL. ERR_CONFIG, ERR_SYSTEM, ERR_BUSY, ERR_MEMORY with the hint; that nothing can be written is one unless
 * CONFIG says serve.
 *
 * Of several key servers one has the folder (audit_lock.h): ERR_BUSY to the others, who write nothing there.
 *
 * HANDOVER (borrowed; NULL: nobody was before, and nobody follows, and the folder is not locked) knows how
 * far the vault before has come, and is told how far this one comes. A log of the same folder that is behind
 * that was altered: while the vault before serves, and writes, it is waited for to go on in another file, and
 * without that there is no taking over (ERR_CONFIG); otherwise that is noted as damage, and numbers, hashes
 * and quotas go on from what was handed over.
 */
int audit_open(struct audit **out, const struct server_audit *config, const char *user,
               const struct audit_quotas *quotas, struct handover *handover, const struct audit_time *now,
               struct fault *fault) MUST_USE;
/* Whether audit_open() would do; makes, writes and changes nothing. Says on standard output what would be
 * made, and logs what a start would find wrong with the log. The same errors. */
int audit_try(const struct server_audit *config, const char *user, const struct audit_time *now,
              struct fault *fault) MUST_USE;
/* Starts the thread that waits for the disk, and records that a vault begins that judges by a policy with the
 * digest POLICY, for EDGES and KEYS (borrowed). That it cannot be recorded right now is no error here: see
 * audit_is_failing(). ERR_MEMORY with errno. */
int audit_start(struct audit *audit, const struct authorized *edges, const struct keystore *keys,
                const uint8_t policy[static AUDIT_KEY_SIZE], const struct audit_time *now) MUST_USE;
/* Records that it ends, signs, waits for the disk and frees; NULL is allowed. */
void audit_close(struct audit *audit);

/* The folder, for process_deny_files_but() and sandbox_enter(); borrowed. */
int audit_folder(const struct audit *audit);
/* The highest time of epochs that the log knows of: a floor for epoch_clock_start(). */
uint64_t audit_epoch(const struct audit *audit);
/* True when the disk knows that the time of epochs has reached BEGUN_MS: whoever opens the log later learns
 * it from audit_epoch(), whatever happens to this process or machine. Otherwise that is asked for, with the
 * time of the last tick, and will be true soon, unless the log cannot be written. Then it is true at once
 * only where CONFIG says serve. */
bool audit_keep_epoch(struct audit *audit, uint64_t begun_ms) MUST_USE;

/* Adds the record of a granted request that ended with RESULT, anything but AUDIT_REFUSED. Never fails: if
 * there is no room, the commit does. */
void audit_add(struct audit *audit, const struct request_identity *identity, enum audit_result result);
/* Adds that of REQUEST, refused for the reason REFUSAL; of IDENTITY, edge and key may be NULL. An edge that
 * is refused very often has them counted instead. */
void audit_add_refusal(struct audit *audit, const struct request_identity *identity,
                       const struct key_request *request, enum refusal refusal);
/* Writes what was added. When it fails (and CONFIG says refuse) nothing of it stands in the log, and no
 * answer that was added since the last commit may leave: they become "unavailable". Quick when nothing was
 * added. */
int audit_commit(struct audit *audit) MUST_USE;

/* Reads what other vaults have written since this one looked last, so that what is judged next is judged by
 * it. Quick when there is nothing. */
void audit_read_on(struct audit *audit);

/* Time passes: checkpoints, numbers of refusals, what other vaults have written, another try after a failure.
 * Does little unless it is due, and nothing with what waits for a commit. */
void audit_tick(struct audit *audit, const struct audit_time *now);
/* When the next tick is due, of mono_ms. */
uint64_t audit_due(const struct audit *audit);
/* True from a failure until the log can be written again; then requests for keys should be refused at once
 * (REFUSAL_AUDIT). Never when CONFIG says serve. */
bool audit_is_failing(const struct audit *audit);
void audit_get_figures(const struct audit *audit, struct audit_figures *out);

#endif
