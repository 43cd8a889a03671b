#include "keyserver/rules/key_rules.h"

#include <stdio.h>
#include <string.h>

#include "common/address.h"
#include "common/date.h"
#include "keyserver/rules/rate_limit.h"
#include "proto/operation.h"

#define FIELD(member) offsetof(struct key_rules, member)

static const char *const modes[] = {"bound", "plain", NULL};

/* ---- values ---- */

int key_rules_date(int64_t *unix_s, const char *text)
{
    return strcmp(text, "off") == 0 ? 0 : date_parse(unix_s, text);
}

static const char *check_date(const char *text)
{
    int64_t unix_s;
    return key_rules_date(&unix_s, text) == 0
               ? NULL
               : "not a date; write 2026-12-31 (00:00:00 UTC), 2026-12-31T12:00:00Z, or off";
}

static const char *check_rate(const char *text)
{
    struct rate_limit limit;
    return rate_limit_parse_rate(&limit, text) == 0 ? NULL : rate_limit_rate_form;
}

static const char *check_quota(const char *text)
{
    struct rate_limit limit;
    return rate_limit_parse_quota(&limit, text) == 0 ? NULL : rate_limit_quota_form;
}

static const char *check_network(const char *text)
{
    static char what[120]; /* start-up only: one thread */
    char whole[NETWORK_TEXT_SIZE];
    struct network network;
    int err = network_parse(&network, text);
    if (err == 0)
        return NULL;
    if (err != ERR_CONFIG)
        return "not a network; write for instance 192.0.2.0/24";
    snprintf(what, sizeof what, "an address in %s; write that network, or the address without its prefix",
             network_write(whole, &network));
    return what;
}

static const char *check_name(const char *text)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_";
    const char *rest = strncmp(text, "*.", 2) == 0 ? text + 2 : text;
    size_t length = strspn(rest, letters);
    return length > 0 && rest[length] == 0 && rest[0] != '.' && strlen(text) <= 255
               ? NULL
               : "not a server name; write for instance www.example.com, or *.example.com for any one label "
                 "before it";
}

static const char *check_credential(const char *text)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_";
    return text[0] != 0 && text[0] != '.' && text[strspn(text, letters)] == 0 && strlen(text) <= 255
               ? NULL
               : "not the name of a credential; write the one of LoadCredential=, of letters, digits, . - "
                 "and _";
}

/* ---- lists ---- */

/* An empty list would mean everybody in one option, and nobody in another. */
static const struct {
    enum key_option option;
    size_t offset;
    const char *name, *instead;
} lists[] = {
    {KEY_OPERATIONS, FIELD(operations), "operations",
     "and a key that is for nothing needs no file in the folder of keys"},
    {KEY_MODES, FIELD(modes), "modes",
     "and without RSA key exchange write operations = {\"sign_tls13\", \"sign_tls12\"}"},
    {KEY_NAMES, FIELD(names), "names", "or list the names"},
    {KEY_FROM, FIELD(from), "from", "or list the networks"},
};

int key_rules_check(const struct key_rules *rules, struct fault *fault)
{
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        const struct config_strings *list = (const void *)((const char *)rules + lists[i].offset);
        if (rules->place[lists[i].option] != NULL && list->count == 0)
            return fault_set(fault, ERR_CONFIG, "%s: %s is empty; leave the option out for %s, %s",
                             rules->place[lists[i].option], lists[i].name,
                             rules->title != NULL ? "what key_default says" : "its default",
                             lists[i].instead);
    }
    return 0;
}

/* ---- the tables ---- */

#define OPTION(option, kind, index, text)                                                                    \
    .name = #option, .type = kind, .offset = FIELD(option), .place_offset = FIELD(place[index]), .help = text

/* clang-format off */
#define OPTIONS(default_operations, default_modes)                                                           \
    {OPTION(operations, CONFIG_STRINGS, KEY_OPERATIONS,                                                      \
            "What may be asked of the key: sign_tls13, sign_tls12, rsa_master, rsa_premaster."),             \
     .choices = operation_key_names, .fallback = default_operations},                                                 \
    {OPTION(modes, CONFIG_STRINGS, KEY_MODES,                                                                \
            "How RSA key exchange is served: bound (rsa_master), plain (rsa_premaster)."),                   \
     .choices = modes, .fallback = default_modes},                                                           \
    {OPTION(names, CONFIG_STRINGS, KEY_NAMES,                                                                \
            "In bound mode, the server names that clients may ask for; none is any."),                       \
     .check = check_name},                                                                                   \
    {OPTION(from, CONFIG_STRINGS, KEY_FROM,                                                                  \
            "Networks that edges may ask from, beside from= of the edge; none is any."),                     \
     .check = check_network},                                                                                \
    {OPTION(not_before, CONFIG_STRING, KEY_NOT_BEFORE, "When the key may be used first."),                   \
     .check = check_date},                                                                                   \
    {OPTION(not_after, CONFIG_STRING, KEY_NOT_AFTER, "When the key may be used last."),                      \
     .check = check_date},                                                                                   \
    {OPTION(rate, CONFIG_STRING, KEY_RATE, "Uses of the key by all edges, like 100/s, 5000/m."),             \
     .check = check_rate},                                                                                   \
    {OPTION(quota, CONFIG_STRING, KEY_QUOTA, "The same, exactly, like 100000/h, 1000000/d."),                \
     .check = check_quota},                                                                                  \
    {OPTION(rate_per_edge, CONFIG_STRING, KEY_RATE_PER_EDGE, "Uses of the key by each edge."),               \
     .check = check_rate},                                                                                   \
    {OPTION(quota_per_edge, CONFIG_STRING, KEY_QUOTA_PER_EDGE, "The same, exactly."),                        \
     .check = check_quota},                                                                                  \
    {.name = "passphrase_file", .type = CONFIG_PATH, .offset = FIELD(passphrase_file),                       \
     .help = "File with the passphrase of an encrypted key file, in one line."},                             \
    {.name = "passphrase_credential", .type = CONFIG_STRING, .offset = FIELD(passphrase_credential),         \
     .help = "The same as a credential of systemd's (LoadCredential=).", .check = check_credential},         \
    {.name = NULL}

const struct config_option key_rules_default_table[] = {
    OPTIONS("{\"sign_tls13\", \"sign_tls12\", \"rsa_master\", \"rsa_premaster\"}", "{\"bound\"}"),
};

const struct config_option key_rules_table[] = {
    OPTIONS(NULL, NULL),
};
/* clang-format on */
