/* The policy: what the owner of the keys lets be done with each, beside what its line lets an edge do.
 * Compiled from the sections key_default and key of server.conf; a key without a section follows key_default.
 *
 * Decides nothing: judge.h judges by it. Pure; immutable, so any thread may look up. */
#ifndef KEYSERVER_RULES_POLICY_H
#define KEYSERVER_RULES_POLICY_H

#include "common/address.h"
#include "common/date.h"
#include "keyserver/rules/key_rules.h"
#include "keyserver/rules/rate_limit.h"
#include "proto/operation.h"

struct policy_rule {
    const char *title;                  /* of its section; NULL: key_default */
    uint32_t operations;                /* bits (1 << enum operation_kind) */
    uint32_t modes;                     /* of enum operation_mode */
    const struct config_strings *names; /* borrowed; none = any */
    struct network *from;               /* owned; none = any */
    size_t from_count;
    struct date_span valid;
    struct rate_limit rate, quota;                   /* of the key, over all edges */
    struct rate_limit rate_per_edge, quota_per_edge; /* of each edge on the key */
    const char *place[KEY_OPTIONS]; /* borrowed; where each of it was set, "server.conf:14"; NULL: nowhere */
};

struct policy;

/* Compiles what holds for every key (COMMON) and the sections of single keys (KEYS, of struct key_rules),
 * both borrowed as long as the policy is. ERR_CONFIG with a fault for what contradicts itself. */
int policy_new(struct policy **out, const struct key_rules *common, const struct config_sections *keys,
               struct fault *fault) MUST_USE;
void policy_free(struct policy *policy); /* NULL is allowed */

/* The rule of the key with this id and file name. Never NULL. */
const struct policy_rule *policy_rule_of(const struct policy *policy,
                                         const uint8_t key_id[static KEY_ID_SIZE], const char *name);
/* ERR_CONFIG with a fault when a section names the key by its name and another by its id. */
int policy_check_key(const struct policy *policy, const uint8_t key_id[static KEY_ID_SIZE], const char *name,
                     struct fault *fault) MUST_USE;

/* Every rule: first key_default's, then those of the sections. */
size_t policy_count(const struct policy *policy);
const struct policy_rule *policy_at(const struct policy *policy, size_t index);
/* True when TITLE names a key by its id. */
bool policy_title_is_id(const char *title);

/* True when RULE lets KIND, an operation on a key, be done in some mode that it allows. */
bool policy_rule_mode(const struct policy_rule *rule, enum operation_kind kind);
/* True when RULE lets the key be used from ADDRESS. */
bool policy_rule_from(const struct policy_rule *rule, const struct address *address);
/* True when RULE lets clients ask for the server NAME ("" = they named none). */
bool policy_rule_name(const struct policy_rule *rule, const char *name);

#endif
