/* The gap: how many uses have no record of their own, because nothing could be recorded at that time. It is
 * left to the other vaults of the key server (gap_slots.h) until a record of it stands in the log: a vault
 * that is killed between the two has it recorded twice, never not at all. */
#ifndef KEYSERVER_VAULT_AUDIT_GAP_H
#define KEYSERVER_VAULT_AUDIT_GAP_H

#include "keyserver/vault/audit/audit.h"

/* It begins now, unless there is one. */
void audit_gap_begin(struct audit *audit);
/* So many USES more; SERVED: they were answered, otherwise withheld. */
void audit_gap_add(struct audit *audit, uint64_t uses, bool served);
/* Takes over what vaults whose processes have ended have left. */
void audit_gap_take_over(struct audit *audit);
/* A record is due. */
bool audit_gap_is_open(const struct audit *audit);
/* The record stands in the log. */
void audit_gap_end(struct audit *audit);
/* This vault ends with a gap that has no record. */
void audit_gap_tell(const struct audit *audit);

#endif
