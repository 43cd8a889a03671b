/* Converts the vault's types to the fields of a record. Pure; any thread. */
#ifndef KEYSERVER_VAULT_AUDIT_USE_H
#define KEYSERVER_VAULT_AUDIT_USE_H

#include "keyserver/audit/audit_record.h"
#include "keyserver/rules/refusal.h"
#include "keyserver/vault/request/request_identity.h"

/* The record of an operation's result. REQUEST may be NULL where edge and key of IDENTITY are known. */
void audit_use_describe(struct audit_record *out, const struct request_identity *identity,
                        const struct key_request *request, enum audit_result result, enum refusal refusal);
/* What the names of an edge and of a key stand for. */
void audit_use_explain_edge(struct audit_record *out, const struct authorized_edge *edge);
void audit_use_explain_key(struct audit_record *out, const struct key *key);

#endif
