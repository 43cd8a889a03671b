/* Opening the audit log, while the process may still do everything. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/creatable.h"
#include "common/log.h"
#include "common/privileges.h"
#include "keyserver/vault/audit/audit_internal.h"
#include "keyserver/vault/audit/audit_lock.h"
#include "keyserver/vault/audit/audit_place.h"
#include "keyserver/vault/audit/audit_roll.h"
#include "keyserver/vault/audit/audit_takeover.h"

/* Whose the files are to be. */
static int find_owner(struct audit_log *log, const char *user, struct fault *fault)
{
    log->give_away = user != NULL && privileges_is_root();
    return log->give_away ? privileges_find_user(user, &log->uid, &log->gid, fault) : 0;
}

/* Of a disk that takes nothing more the log itself says what follows from it. */
static bool may_go_unlocked(const struct audit *audit, int why)
{
    return audit->config->on_failure == SERVER_AUDIT_SERVE || why == EROFS || why == ENOSPC || why == EDQUOT;
}

/* What follows from ERR, with which the lock was not taken; TELL says it where work goes on without. */
static int judge_lock(const struct audit *audit, int err, bool tell, struct fault *fault)
{
    if (err != ERR_SYSTEM || !may_go_unlocked(audit, errno))
        return err;
    if (tell)
        log_event(LOG_WARN, "audit_unlocked", "error=\"%s\"", fault->text);
    fault->text[0] = 0;
    return 0;
}

/* Only by a vault that is one of a key server's. Without MAKE, where there is no file yet, nobody has it. */
static int lock_place(struct audit *audit, bool make, struct fault *fault)
{
    const struct audit_log *log = &audit->log;
    if (log->handover == NULL || log->handover->fd <= 0 || audit->lock >= 0)
        return 0;
    const struct audit_lock_owner owner = {.id = log->handover->own.id,
                                           .pid = (long)getppid(), /* the supervisor */
                                           .make = make,
                                           .give = log->give_away,
                                           .uid = log->uid,
                                           .gid = log->gid};
    int err = audit_lock_take(&audit->lock, audit->folder, audit->config->folder, &owner, fault);
    return err == ERR_NOT_FOUND ? 0 : judge_lock(audit, err, make, fault);
}

static int open_place(struct audit *audit, const char *user, struct fault *fault)
{
    struct audit_log *log = &audit->log;
    int err = find_owner(log, user, fault);
    if (err != 0)
        return err;
    audit->folder = audit_place_open(audit->config->folder, log->give_away, log->uid, log->gid, fault);
    if (audit->folder < 0)
        return audit->folder;
    err = lock_place(audit, false, fault); /* before the log is read: until then another may write to it */
    return err != 0 ? err : audit_place_load_key(&audit->key, audit->config->key, fault);
}

/* Whatever must be written before anything else can: a first file, or one that takes the place of a damaged
 * one. */
static int make_ready(struct audit *audit, struct fault *fault)
{
    struct audit_log *log = &audit->log;
    int err = audit_log_begin(log, true);
    if (err == 0)
        err = audit_log_end(log);
    if (err == 0 && log->folder_dirty && fdatasync(log->folder) != 0)
        err = ERR_SYSTEM;
    if (err == 0) {
        log->folder_dirty = false;
        return 0;
    }
    if (audit->config->on_failure != SERVER_AUDIT_SERVE)
        return fault_set(fault, err, "%s: the audit log cannot be written: %s", audit->config->folder,
                         strerror(errno));
    audit_note_failure(audit, errno);
    return 0;
}

static int find_end(struct audit *audit, const struct audit_quotas *quotas, struct fault *fault)
{
    static const struct audit_quotas none = {.each = NULL};
    struct audit_log *log = &audit->log;
    log->folder = audit->folder;
    log->folder_path = audit->config->folder;
    log->key = audit->key;
    log->rotate_size = audit->config->rotate_size;
    log->sync_always = audit->config->sync == SERVER_AUDIT_SYNC_ALWAYS;
    log->time_ms = audit->now.unix_ms;
    log->mono_ms = audit->now.mono_ms;
    log->epoch_ms = audit->now.epoch_ms;
    log->quotas = quotas != NULL ? quotas : &none;
    log->follow.context = log->quotas->context;
    log->follow.on_record = log->quotas->on_record;
    struct fault what = {.text = ""};
    int err = audit_log_open(log, &what);
    if (err == ERR_SYSTEM && errno == EROFS && creatable_check_folder(audit->config->folder, fault) != 0)
        return err;
    return err == 0 ? 0 : fault_set(fault, err, "%s: %s", audit->config->folder, what.text);
}

static int open_log(struct audit *audit, const struct audit_quotas *quotas, struct fault *fault)
{
    int err = find_end(audit, quotas, fault);
    if (err == 0)
        err = lock_place(audit, true, fault); /* after it: a folder that is refused stays as it is */
    if (err == 0)
        err = make_ready(audit, fault);
    audit->log.give_away = false; /* the user is dropped before the next file is made */
    return err;
}

static int make_audit(struct audit **out, const struct server_audit *config, const struct audit_time *now,
                      struct fault *fault)
{
    struct audit *audit = calloc(1, sizeof *audit);
    if (audit == NULL)
        return fault_set(fault, ERR_MEMORY, "the audit log: out of memory");
    audit->config = config;
    audit->now = *now;
    audit->folder = audit->lock = audit->log.segment.fd = -1;
    *out = audit;
    return 0;
}

int audit_open(struct audit **out, const struct server_audit *config, const char *user,
               const struct audit_quotas *quotas, struct handover *handover, const struct audit_time *now,
               struct fault *fault)
{
    struct audit *audit = NULL;
    int err = make_audit(&audit, config, now, fault);
    if (err != 0)
        return err;
    audit->log.handover = handover;
    err = audit_takeover_await_folder(handover, config->folder, fault);
    if (err == 0)
        err = open_place(audit, user, fault);
    if (err == 0)
        err = open_log(audit, quotas, fault);
    if (err != 0) {
        audit_close(audit);
        return err;
    }
    if (handover != NULL)
        handover_leave_log(handover, config->folder, audit->folder, &audit->log.follow.link);
    log_event(LOG_INFO, "audit_opened", "folder=%s file=%s seq=%llu", config->folder, audit->log.segment.name,
              (unsigned long long)audit->log.follow.link.seq);
    *out = audit;
    return 0;
}

/* ---- without a start ---- */

/* What a start would do about the file that it found. */
static void say_of_file(struct audit_log *log, const char *folder)
{
    if (log->segment.fd < 0)
        creatable_say(folder, "the first file of the audit log, in");
    else if (log->follow.wound.what != NULL)
        audit_roll_note_damage(log, log->segment.name, log->follow.wound.line, log->follow.wound.what);
    else if (!audit_log_is_ours(log))
        audit_log_note_other_key(log);
}

/* Who serves all the same starts with a log that cannot be written, too. */
static int check_writable(const struct server_audit *config, struct fault *fault)
{
    int err = creatable_check_folder(config->folder, fault);
    if (err == 0 || config->on_failure != SERVER_AUDIT_SERVE)
        return err;
    log_event(LOG_WARN, "audit_failing", "folder=%s error=\"%s\" uses=unrecorded", config->folder,
              fault->text);
    fault->text[0] = 0;
    return 0;
}

/* As lock_place() does, of a key server that has no vault yet. */
static int check_lock(const struct audit *audit, struct fault *fault)
{
    const struct audit_lock_owner owner = {.give = audit->log.give_away, .uid = audit->log.uid};
    int err = audit_lock_check(audit->folder, audit->config->folder, &owner, fault);
    return judge_lock(audit, err, true, fault);
}

static int look_at_place(struct audit *audit, const char *user, struct fault *fault)
{
    struct audit_log *log = &audit->log;
    int err = find_owner(log, user, fault);
    if (err == 0)
        err = audit_place_find(&audit->folder, audit->config->folder, log->give_away, log->uid, fault);
    if (err == 0 && audit->folder >= 0)
        err = check_writable(audit->config, fault);
    if (err == 0 && audit->folder >= 0)
        err = check_lock(audit, fault);
    if (err == 0)
        err = audit_place_find_key(&audit->key, audit->config->key, fault);
    return err;
}

int audit_try(const struct server_audit *config, const char *user, const struct audit_time *now,
              struct fault *fault)
{
    struct audit *audit = NULL;
    int err = make_audit(&audit, config, now, fault);
    if (err != 0)
        return err;
    err = look_at_place(audit, user, fault);
    if (err == 0 && audit->folder >= 0) {
        err = find_end(audit, NULL, fault);
        if (err == 0)
            say_of_file(&audit->log, config->folder);
    }
    audit_close(audit);
    return err;
}

/* ---- for who needs it ---- */

int audit_folder(const struct audit *audit)
{
    return audit->folder;
}

uint64_t audit_epoch(const struct audit *audit)
{
    return audit_log_epoch(&audit->log);
}
