#include "keyserver/audit/audit_members.h"

#include <string.h>

#define MEMBER(name, is, field, may_lack, quote) MEMBER_OF(name, is, field, may_lack, quote, 0)
#define MEMBER_OF(name, is, field, may_lack, quote, has_bit)                                                 \
    {                                                                                                        \
        .head = ",\"" name "\":" quote, .head_length = sizeof(",\"" name "\":" quote) - 1, .kind = (is),     \
        .offset = offsetof(struct audit_record, field), .size = sizeof(((struct audit_record *)0)->field),   \
        .optional = (may_lack), .bit = (has_bit)                                                             \
    }
#define NUMBER(name, field)          MEMBER(name, MEMBER_NUMBER, field, false, "")
#define MAY_NUMBER(name, field)      MEMBER(name, MEMBER_NUMBER, field, true, "")
#define TIME(name, field)            MEMBER(name, MEMBER_TIME, field, false, "\"")
#define WORD(name, field)            MEMBER(name, MEMBER_WORD, field, false, "\"")
#define MAY_WORD(name, field)        MEMBER(name, MEMBER_WORD, field, true, "\"")
#define TEXT(name, field)            MEMBER(name, MEMBER_TEXT, field, false, "\"")
#define MAY_TEXT(name, field)        MEMBER(name, MEMBER_TEXT, field, true, "\"")
#define HEX(name, field)             MEMBER(name, MEMBER_HEX, field, false, "\"")
#define MAY_HEX(name, field, bit)    MEMBER_OF(name, MEMBER_HEX, field, true, "\"", bit)
#define BASE64(name, field)          MEMBER(name, MEMBER_BASE64, field, false, "\"")
#define MAY_BASE64(name, field, bit) MEMBER_OF(name, MEMBER_BASE64, field, true, "\"", bit)
#define RESULT(name, field)          MEMBER(name, MEMBER_RESULT, field, false, "\"")

static const struct audit_member segment_members[] = {
    NUMBER("format", format),     HEX("previous", previous), BASE64("public", public_key),
    NUMBER("epoch_ms", epoch_ms), NUMBER("quotas", quotas),  {.head = NULL},
};
static const struct audit_member start_members[] = {
    WORD("version", version), NUMBER("edges", edges),   NUMBER("keys", keys),
    HEX("policy", policy),    MAY_NUMBER("torn", torn), {.head = NULL},
};
static const struct audit_member edge_members[] = {
    TEXT("edge", edge),
    BASE64("edge_key", edge_key),
    {.head = NULL},
};
static const struct audit_member key_members[] = {
    TEXT("key", key), HEX("key_id", key_id), WORD("kind", kind), NUMBER("bits", bits), {.head = NULL},
};
static const struct audit_member use_members[] = {
    MAY_TEXT("edge", edge),
    MAY_BASE64("edge_key", edge_key, AUDIT_HAS_EDGE_KEY),
    MAY_TEXT("key", key),
    MAY_HEX("key_id", key_id, AUDIT_HAS_KEY_ID),
    WORD("op", op),
    MAY_WORD("scheme", scheme),
    MAY_WORD("mode", mode),
    MAY_TEXT("name", name),
    MAY_HEX("trace", trace, AUDIT_HAS_TRACE),
    MAY_HEX("channel", channel, AUDIT_HAS_CHANNEL),
    MAY_HEX("digest", digest, AUDIT_HAS_DIGEST),
    RESULT("result", result),
    MAY_WORD("reason", reason),
    {.head = NULL},
};
static const struct audit_member refusals_members[] = {
    MAY_TEXT("edge", edge), RESULT("result", result), MAY_WORD("reason", reason),
    NUMBER("count", count), {.head = NULL},
};
static const struct audit_member quota_members[] = {
    MAY_TEXT("edge", edge),   MAY_TEXT("key", key), MAY_NUMBER("window", window_s),
    NUMBER("start", start_s), NUMBER("used", used), {.head = NULL},
};
static const struct audit_member rate_members[] = {
    MAY_TEXT("edge", edge),
    MAY_TEXT("key", key),
    NUMBER("used", used),
    {.head = NULL},
};
static const struct audit_member gap_members[] = {
    TIME("since", since_ms),
    NUMBER("unrecorded", unrecorded),
    NUMBER("withheld", withheld),
    {.head = NULL},
};
static const struct audit_member damage_members[] = {
    TEXT("file", file),
    MAY_NUMBER("line", line),
    TEXT("what", what),
    {.head = NULL},
};
static const struct audit_member checkpoint_members[] = {
    NUMBER("epoch_ms", epoch_ms),
    BASE64("signature", signature),
    {.head = NULL},
};
static const struct audit_member no_members[] = {{.head = NULL}};

#define FORM(name, list)                                                                                     \
    {                                                                                                        \
        .head = ",\"type\":\"" name "\"", .head_length = sizeof(",\"type\":\"" name "\"") - 1,               \
        .members = (list)                                                                                    \
    }
const struct audit_form audit_forms[AUDIT_TYPES] = {
    [AUDIT_SEGMENT] = FORM("segment", segment_members),
    [AUDIT_START] = FORM("start", start_members),
    [AUDIT_EDGE] = FORM("edge", edge_members),
    [AUDIT_KEY] = FORM("key", key_members),
    [AUDIT_USE] = FORM("use", use_members),
    [AUDIT_REFUSALS] = FORM("refusals", refusals_members),
    [AUDIT_QUOTA] = FORM("quota", quota_members),
    [AUDIT_RATE] = FORM("rate", rate_members),
    [AUDIT_GAP] = FORM("gap", gap_members),
    [AUDIT_DAMAGE] = FORM("damage", damage_members),
    [AUDIT_CHECKPOINT] = FORM("checkpoint", checkpoint_members),
    [AUDIT_ROTATE] = FORM("rotate", no_members),
    [AUDIT_STOP] = FORM("stop", no_members),
};

static const char *const type_names[AUDIT_TYPES] = {
    [AUDIT_SEGMENT] = "segment",
    [AUDIT_START] = "start",
    [AUDIT_EDGE] = "edge",
    [AUDIT_KEY] = "key",
    [AUDIT_USE] = "use",
    [AUDIT_REFUSALS] = "refusals",
    [AUDIT_QUOTA] = "quota",
    [AUDIT_RATE] = "rate",
    [AUDIT_GAP] = "gap",
    [AUDIT_DAMAGE] = "damage",
    [AUDIT_CHECKPOINT] = "checkpoint",
    [AUDIT_ROTATE] = "rotate",
    [AUDIT_STOP] = "stop",
};
static const char *const result_names[AUDIT_RESULTS] = {
    [AUDIT_OK] = "ok",           [AUDIT_REFUSED] = "refused",     [AUDIT_BUSY] = "busy",
    [AUDIT_EXPIRED] = "expired", [AUDIT_CANCELLED] = "cancelled", [AUDIT_FAULT] = "fault",
};

const char *audit_type_name(enum audit_type type)
{
    return (unsigned)type < AUDIT_TYPES ? type_names[type] : NULL;
}

const char *audit_result_name(enum audit_result result)
{
    return (unsigned)result < AUDIT_RESULTS ? result_names[result] : NULL;
}

int audit_result_parse(const char *name, enum audit_result *result)
{
    for (unsigned i = 0; i < AUDIT_RESULTS; i++) {
        if (strcmp(result_names[i], name) == 0) {
            *result = (enum audit_result)i;
            return 0;
        }
    }
    return ERR_NOT_FOUND;
}
