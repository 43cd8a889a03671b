#include "keyserver/rules/refusal.h"

static const struct {
    const char *name, *hint;
} kinds[REFUSAL_KINDS] = {
    [REFUSAL_NONE] = {"none", ""},
    [REFUSAL_MALFORMED_SLOT] = {"malformed_slot", "report it: the net process sent what it never should"},
    [REFUSAL_UNKNOWN_EDGE] = {"unknown_edge", "add its line to authorized_edges and reload"},
    [REFUSAL_FROM] = {"from", "widen from= of its line in authorized_edges, or from of the key's section in "
                              "the configuration, and reload"},
    [REFUSAL_VALIDITY] =
        {"not_valid_now",
         "change not_before= or not_after= of its line in authorized_edges, or not_before or not_after of "
         "the key's section in the configuration, and reload"},
    [REFUSAL_UNKNOWN_KEY] =
        {"unknown_key", "put the key into the keys folder and reload, or take the certificate from the edge"},
    [REFUSAL_KEY_NOT_GRANTED] = {"key_not_granted",
                                 "list the key in keys= of its line in authorized_edges and reload"},
    [REFUSAL_OPERATION_NOT_GRANTED] =
        {"operation_not_granted",
         "list the operation in ops= of its line in authorized_edges, and in operations of the "
         "key's section in the configuration, and reload"},
    [REFUSAL_MODE] = {"mode_not_granted",
                      "list the mode in modes of the key's section in the configuration and reload; read "
                      "docs/security/threat-model.md first"},
    [REFUSAL_UNKNOWN_OPERATION] = {"unknown_operation", "update keyless-server if the edge is newer"},
    [REFUSAL_SCHEME] = {"scheme", "compare the certificate of the edge with this key"},
    [REFUSAL_STRUCTURE] = {"structure", "look at the edge: no TLS handshake asks for this"},
    [REFUSAL_SESSION_ID] = {"session_id_not_live",
                            "if it happens often: compare group.secret and the clocks of the key servers"},
    [REFUSAL_NAME] = {"name_not_granted",
                      "list the name in names of the key's section in the configuration and reload"},
    [REFUSAL_RATE] =
        {"rate",
         "raise rate= of its line in authorized_edges, or rate or rate_per_edge of the key's section in "
         "the configuration, and reload"},
    [REFUSAL_QUOTA] =
        {"quota",
         "raise quota= of its line in authorized_edges, or quota or quota_per_edge of the key's section in "
         "the configuration, and reload"},
    [REFUSAL_AUDIT] = {"audit_unavailable", "make room for the audit log"},
};

const char *refusal_name(enum refusal refusal)
{
    return refusal < REFUSAL_KINDS ? kinds[refusal].name : "unknown";
}

const char *refusal_hint(enum refusal refusal)
{
    return refusal < REFUSAL_KINDS ? kinds[refusal].hint : "";
}
