#include "keyserver/rules/authorized_options.h"

#include <stdlib.h>
#include <string.h>

#include "common/secret.h"

#define KEY_NAME_LENGTH_MAX 255
#define LETTERS             "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"

static bool is_of(const char *text, const char *allowed, size_t longest)
{
    size_t length = strspn(text, allowed);
    return length > 0 && length <= longest && text[length] == 0;
}

bool authorized_is_name(const char *text, size_t longest)
{
    return is_of(text, LETTERS, longest);
}

/* A path beneath the folder of keys, none of whose parts is hidden. */
static bool is_key_name(const char *text)
{
    size_t length = strlen(text);
    return is_of(text, LETTERS "/", KEY_NAME_LENGTH_MAX) &&
           (strchr(text, '/') == NULL || (text[0] != '.' && text[0] != '/' && text[length - 1] != '/' &&
                                          strstr(text, "//") == NULL && strstr(text, "/.") == NULL));
}

static int fail(struct fault *fault, const char *what)
{
    return fault_set(fault, ERR_CONFIG, "%s", what);
}

static size_t count_items(const char *list)
{
    size_t count = 1;
    for (; *list != 0; list++)
        count += *list == ',';
    return count;
}

/* ---- one parser an option ---- */

static int parse_psk(struct authorized_edge *edge, char *value, struct fault *fault)
{
    static const uint8_t zero[IDENTITY_KEY_SIZE];
    if (base64_decode(edge->psk, sizeof edge->psk, value) != 0)
        return fail(fault, "psk is not 32 bytes in base64; make one with: keyless genkey");
    if (same_bytes(edge->psk, zero, sizeof zero))
        return fail(fault, "psk is all zero; make one with: keyless genkey");
    return 0;
}

static int parse_key_name(struct authorized_edge *edge, const char *item, struct fault *fault)
{
    uint8_t id[KEY_ID_SIZE];
    if (!is_key_name(item))
        return fail(fault,
                    "keys= takes names of keys, which are their files' paths beneath the folder of keys "
                    "without extension, or key ids in hex, with commas between, like keys=www,api");
    char *copy = strdup(item);
    if (copy == NULL)
        return fault_set(fault, ERR_MEMORY, "%s", err_string(ERR_MEMORY));
    if (strlen(copy) == (size_t)2 * KEY_ID_SIZE && hex_decode(id, sizeof id, copy) == 0)
        hex_encode(copy, id, sizeof id);
    edge->keys[edge->key_count++] = copy;
    return 0;
}

static int parse_keys(struct authorized_edge *edge, char *value, struct fault *fault)
{
    edge->keys = calloc(count_items(value), sizeof *edge->keys);
    if (edge->keys == NULL)
        return fault_set(fault, ERR_MEMORY, "%s", err_string(ERR_MEMORY));
    edge->all_keys = false;
    int err = 0;
    for (char *rest = value, *item; err == 0 && (item = strsep(&rest, ",")) != NULL;)
        err = parse_key_name(edge, item, fault);
    return err;
}

static int parse_operations(struct authorized_edge *edge, char *value, struct fault *fault)
{
    enum operation_kind kind;
    char list[OPERATION_LIST_SIZE];
    edge->operations = operations_without_key();
    for (char *rest = value, *item; (item = strsep(&rest, ",")) != NULL;) {
        if (operation_parse(item, &kind) != 0)
            return fault_set(fault, ERR_CONFIG, "ops= takes %s, with commas between",
                             operation_key_list(list, ", "));
        edge->operations |= OPERATION_BIT(kind);
    }
    return 0;
}

static int parse_from(struct authorized_edge *edge, char *value, struct fault *fault)
{
    char whole[NETWORK_TEXT_SIZE];
    int err;
    edge->from = calloc(count_items(value), sizeof *edge->from);
    if (edge->from == NULL)
        return fault_set(fault, ERR_MEMORY, "%s", err_string(ERR_MEMORY));
    for (char *rest = value, *item; (item = strsep(&rest, ",")) != NULL; edge->from_count++)
        if ((err = network_parse(&edge->from[edge->from_count], item)) != 0)
            return err != ERR_CONFIG
                       ? fail(fault, "from= takes networks with commas between, like "
                                     "from=192.0.2.0/24,2001:db8::/32")
                       : fault_set(
                             fault, ERR_CONFIG,
                             "from= has an address in %s with that network's prefix; write the network, "
                             "or the address without a prefix",
                             network_write(whole, &edge->from[edge->from_count]));
    return 0;
}

static int parse_not_before(struct authorized_edge *edge, char *value, struct fault *fault)
{
    return date_parse(&edge->valid.first, value) == 0
               ? 0
               : fail(fault, "not_before= takes a date, 2026-12-31 (00:00:00 UTC) or 2026-12-31T12:00:00Z");
}

static int parse_not_after(struct authorized_edge *edge, char *value, struct fault *fault)
{
    return date_parse(&edge->valid.last, value) == 0
               ? 0
               : fail(fault, "not_after= takes a date, 2026-12-31 (00:00:00 UTC) or 2026-12-31T12:00:00Z");
}

static int parse_rate(struct authorized_edge *edge, char *value, struct fault *fault)
{
    return rate_limit_parse_rate(&edge->rate, value) == 0
               ? 0
               : fault_set(fault, ERR_CONFIG, "rate= is %s", rate_limit_rate_form);
}

static int parse_quota(struct authorized_edge *edge, char *value, struct fault *fault)
{
    return rate_limit_parse_quota(&edge->quota, value) == 0
               ? 0
               : fault_set(fault, ERR_CONFIG, "quota= is %s", rate_limit_quota_form);
}

/* ---- all of them ---- */

static const struct {
    const char *name;
    int (*parse)(struct authorized_edge *edge, char *value, struct fault *fault);
} options[AUTHORIZED_OPTIONS] = {
    [AUTHORIZED_PSK] = {"psk", parse_psk},
    [AUTHORIZED_KEYS] = {"keys", parse_keys},
    [AUTHORIZED_OPS] = {"ops", parse_operations},
    [AUTHORIZED_FROM] = {"from", parse_from},
    [AUTHORIZED_NOT_BEFORE] = {"not_before", parse_not_before},
    [AUTHORIZED_NOT_AFTER] = {"not_after", parse_not_after},
    [AUTHORIZED_RATE] = {"rate", parse_rate},
    [AUTHORIZED_QUOTA] = {"quota", parse_quota},
};

static int parse_option(struct authorized_edge *edge, char *text, struct fault *fault)
{
    char *equal = strchr(text, '=');
    size_t length = equal == NULL ? 0 : (size_t)(equal - text);
    for (unsigned i = 0; i < AUTHORIZED_OPTIONS; i++) {
        if (strlen(options[i].name) != length || memcmp(options[i].name, text, length) != 0)
            continue;
        if ((edge->given & 1u << i) != 0)
            return fault_set(fault, ERR_CONFIG, "%s= stands there twice; join them", options[i].name);
        edge->given |= 1u << i;
        return options[i].parse(edge, equal + 1, fault);
    }
    /* The text is not repeated: it may be a secret in the wrong place. */
    return fail(
        fault, "unknown option behind the name; there are psk=, keys=, ops=, from=, not_before=, not_after=, "
               "rate= and quota=");
}

int authorized_options_parse(struct authorized_edge *edge, char *text, struct fault *fault)
{
    char *rest = text;
    int err = 0;
    edge->all_keys = true;
    edge->operations = operations_by_default();
    edge->valid = DATE_ALWAYS;
    for (char *option; err == 0 && (option = strtok_r(NULL, AUTHORIZED_BLANKS, &rest)) != NULL;)
        err = parse_option(edge, option, fault);
    if (err != 0)
        return err;
    if ((edge->given & 1u << AUTHORIZED_PSK) == 0)
        return fail(fault, "psk is missing; append psk=… (make one with: keyless genkey)");
    if (edge->valid.first > edge->valid.last)
        return fail(fault,
                    "not_after= is before not_before=: the edge could never connect; mend one of them");
    return 0;
}
