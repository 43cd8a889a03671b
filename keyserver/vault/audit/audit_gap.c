#include "keyserver/vault/audit/audit_gap.h"

#include "common/log.h"
#include "keyserver/vault/audit/audit_internal.h"

static struct gap_number number_of(const struct audit *audit)
{
    const struct audit_record *gap = &audit->gap;
    return (struct gap_number){
        .since_ms = gap->since_ms, .unrecorded = gap->unrecorded, .withheld = gap->withheld};
}

static bool is_empty(const struct audit *audit)
{
    const struct gap_number number = number_of(audit);
    return gap_number_is_empty(&number);
}

/* What others have left may be a part of it then. */
static void share(struct audit *audit, void (*how)(struct gap_slots *slots, struct gap_number *number))
{
    struct gap_number number = number_of(audit);
    if (audit->log.handover == NULL)
        return;
    how(&audit->log.handover->gaps, &number);
    audit->gap = (struct audit_record){.type = AUDIT_GAP,
                                       .since_ms = number.since_ms,
                                       .unrecorded = number.unrecorded,
                                       .withheld = number.withheld};
}

void audit_gap_begin(struct audit *audit)
{
    if (is_empty(audit))
        audit->gap = (struct audit_record){.type = AUDIT_GAP, .since_ms = audit->now.unix_ms};
}

void audit_gap_add(struct audit *audit, uint64_t uses, bool served)
{
    *(served ? &audit->gap.unrecorded : &audit->gap.withheld) += uses;
    *(served ? &audit->figures.unrecorded : &audit->figures.withheld) += uses;
    if (uses > 0)
        share(audit, gap_slots_leave);
}

void audit_gap_take_over(struct audit *audit)
{
    share(audit, gap_slots_gather);
}

bool audit_gap_is_open(const struct audit *audit)
{
    return audit->failing || !is_empty(audit);
}

void audit_gap_end(struct audit *audit)
{
    bool left = !is_empty(audit);
    audit->gap = (struct audit_record){.type = AUDIT_GAP};
    if (left)
        share(audit, gap_slots_leave);
}

void audit_gap_tell(const struct audit *audit)
{
    if (is_empty(audit))
        return;
    log_event(LOG_WARN, "audit_gap",
              "folder=%s unrecorded=%llu withheld=%llu error=\"this vault ends, and the log has no record of "
              "these uses\" hint=\"the vault that serves records the number; after a stop of the key "
              "server only such lines have it\"",
              audit->config->folder, (unsigned long long)audit->gap.unrecorded,
              (unsigned long long)audit->gap.withheld);
}
