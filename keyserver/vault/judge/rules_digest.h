/* A digest of the rules that a vault judges by, for its owner: it stands in the audit log and in the log, so
 * that a change of the rules shows. Pure. */
#ifndef KEYSERVER_VAULT_JUDGE_RULES_DIGEST_H
#define KEYSERVER_VAULT_JUDGE_RULES_DIGEST_H

#include "keyserver/rules/authorized.h"
#include "keyserver/rules/server_config.h"

#define RULES_DIGEST_SIZE 32

/* SHA-256 over the options and sections of CONFIG that say what keys may be used for, and over the lines of
 * EDGES in their order, without their secrets. Says the same in every replica that judges alike; how the
 * files are laid out does not matter. ERR_MEMORY, ERR_CRYPTO. */
int rules_digest(uint8_t out[static RULES_DIGEST_SIZE], const struct server_config *config,
                 const struct authorized *edges) MUST_USE;

#endif
