#include "keyserver/vault/audit/audit_gap.h"

#include "common/log.h"
#include "keyserver/vault/audit/audit_internal.h"

static bool is_empty(const struct audit_record *gap)
{
    return gap->unrecorded == 0 && gap->withheld == 0;
}

static void leave(const struct audit *audit)
{
    if (audit->log.handover != NULL)
        handover_leave_gap(audit->log.handover, &audit->gap);
}

void audit_gap_begin(struct audit *audit)
{
    if (is_empty(&audit->gap))
        audit->gap = (struct audit_record){.type = AUDIT_GAP, .since_ms = audit->now.unix_ms};
}

void audit_gap_add(struct audit *audit, uint64_t uses, bool served)
{
    *(served ? &audit->gap.unrecorded : &audit->gap.withheld) += uses;
    *(served ? &audit->figures.unrecorded : &audit->figures.withheld) += uses;
    if (uses > 0)
        leave(audit);
}

void audit_gap_take_over(struct audit *audit)
{
    struct handover *handover = audit->log.handover;
    if (handover == NULL || audit->gap_taken_over || !handover_is_over(handover))
        return;
    audit->gap_taken_over = true;
    handover_look(handover);
    const struct handover_state *before = &handover->before;
    if (before->gap_unrecorded == 0 && before->gap_withheld == 0)
        return;
    audit->gap = (struct audit_record){.type = AUDIT_GAP,
                                       .since_ms = before->gap_since_ms,
                                       .unrecorded = audit->gap.unrecorded + before->gap_unrecorded,
                                       .withheld = audit->gap.withheld + before->gap_withheld};
    leave(audit);
}

bool audit_gap_is_open(const struct audit *audit)
{
    return audit->failing || !is_empty(&audit->gap);
}

void audit_gap_end(struct audit *audit)
{
    bool left = !is_empty(&audit->gap);
    audit->gap = (struct audit_record){.type = AUDIT_GAP};
    if (left)
        leave(audit);
}

void audit_gap_tell(const struct audit *audit)
{
    if (is_empty(&audit->gap))
        return;
    log_event(
        LOG_WARN, "audit_gap",
        "folder=%s unrecorded=%llu withheld=%llu error=\"this vault ends, and the log has no record of "
        "these uses\" hint=\"the vault that takes its place records the number; after a stop of the key "
        "server only this line has it\"",
        audit->config->folder, (unsigned long long)audit->gap.unrecorded,
        (unsigned long long)audit->gap.withheld);
}
