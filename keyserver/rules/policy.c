#include "keyserver/rules/policy.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/bytes.h"

#define TITLE_ID_LENGTH ((size_t)2 * KEY_ID_SIZE)

/* A rule under the text that finds it: the section's title, ids in lower case. */
struct entry {
    char *title; /* owned */
    struct policy_rule rule;
};

struct policy {
    struct policy_rule common; /* key_default */
    struct entry *sections;    /* owned, `count`, in the order of their titles */
    size_t count;
};

/* ---- from one section to a rule, option by option ---- */

static int take_operations(struct policy_rule *rule, const struct key_rules *from)
{
    enum operation_kind kind;
    for (size_t i = 0; i < from->operations.count; i++) {
        if (operation_parse(from->operations.item[i], &kind) != 0)
            return ERR_CONFIG;
        rule->operations |= OPERATION_BIT(kind);
    }
    return 0;
}

static int take_modes(struct policy_rule *rule, const struct key_rules *from)
{
    for (size_t i = 0; i < from->modes.count; i++)
        rule->modes |= strcmp(from->modes.item[i], operation_mode_name(MODE_PLAIN)) == 0 ? MODE_PLAIN
                                                                                         : MODE_BOUND;
    return 0;
}

static int take_names(struct policy_rule *rule, const struct key_rules *from)
{
    rule->names = &from->names;
    return 0;
}

static int take_from(struct policy_rule *rule, const struct key_rules *from)
{
    rule->from = calloc(from->from.count + 1, sizeof *rule->from);
    if (rule->from == NULL)
        return ERR_MEMORY;
    for (; rule->from_count < from->from.count; rule->from_count++)
        if (network_parse(&rule->from[rule->from_count], from->from.item[rule->from_count]) != 0)
            return ERR_CONFIG;
    return 0;
}

static int take_not_before(struct policy_rule *rule, const struct key_rules *from)
{
    return from->not_before == NULL ? 0 : key_rules_date(&rule->valid.first, from->not_before);
}

static int take_not_after(struct policy_rule *rule, const struct key_rules *from)
{
    return from->not_after == NULL ? 0 : key_rules_date(&rule->valid.last, from->not_after);
}

static int take_rate(struct policy_rule *rule, const struct key_rules *from)
{
    return from->rate == NULL ? 0 : rate_limit_parse_rate(&rule->rate, from->rate);
}

static int take_quota(struct policy_rule *rule, const struct key_rules *from)
{
    return from->quota == NULL ? 0 : rate_limit_parse_quota(&rule->quota, from->quota);
}

static int take_rate_per_edge(struct policy_rule *rule, const struct key_rules *from)
{
    return from->rate_per_edge == NULL ? 0 : rate_limit_parse_rate(&rule->rate_per_edge, from->rate_per_edge);
}

static int take_quota_per_edge(struct policy_rule *rule, const struct key_rules *from)
{
    return from->quota_per_edge == NULL ? 0
                                        : rate_limit_parse_quota(&rule->quota_per_edge, from->quota_per_edge);
}

static int (*const takes[KEY_OPTIONS])(struct policy_rule *rule, const struct key_rules *from) = {
    [KEY_OPERATIONS] = take_operations,
    [KEY_MODES] = take_modes,
    [KEY_NAMES] = take_names,
    [KEY_FROM] = take_from,
    [KEY_NOT_BEFORE] = take_not_before,
    [KEY_NOT_AFTER] = take_not_after,
    [KEY_RATE] = take_rate,
    [KEY_QUOTA] = take_quota,
    [KEY_RATE_PER_EDGE] = take_rate_per_edge,
    [KEY_QUOTA_PER_EDGE] = take_quota_per_edge,
};

static int fail(const struct policy_rule *rule, int err, const char *what, struct fault *fault)
{
    if (rule->title == NULL)
        return fault_set(fault, err, "key_default: %s", what);
    return fault_set(fault, err, "key %s: %s", rule->title, what);
}

static const char *place_of(const struct policy_rule *rule, enum key_option option)
{
    return rule->place[option] != NULL ? rule->place[option] : "their default";
}

/* A key whose operations all need a mode that it does not have could never be used: a mistake. */
static int check_modes(const struct policy_rule *rule, struct fault *fault)
{
    struct fault why;
    for (int kind = 0; kind < OP_KINDS; kind++)
        if ((rule->operations & OPERATION_BIT(kind)) != 0 &&
            policy_rule_mode(rule, (enum operation_kind)kind))
            return 0;
    if (rule->operations == 0)
        return 0; /* nothing was written: key_rules_check() looks at that */
    fault_set(&why, 0,
              "modes (%s) let none of its operations (%s) be done: it could never be used; rsa_master needs "
              "bound, rsa_premaster needs plain",
              place_of(rule, KEY_MODES), place_of(rule, KEY_OPERATIONS));
    return fail(rule, ERR_CONFIG, why.text, fault);
}

/* What SECTION leaves unset is as in COMMON. The values were checked where they were read. */
static int compile(struct policy_rule *rule, const struct key_rules *section, const struct key_rules *common,
                   struct fault *fault)
{
    struct fault why;
    *rule = (struct policy_rule){.title = section->title, .valid = DATE_ALWAYS};
    for (size_t i = 0; i < KEY_OPTIONS; i++) {
        const struct key_rules *from = section->place[i] != NULL ? section : common;
        int err = takes[i](rule, from);
        if (err != 0)
            return fail(rule, err, err_string(err), fault);
        rule->place[i] = from->place[i];
    }
    if (rule->valid.first <= rule->valid.last)
        return check_modes(rule, fault);
    fault_set(&why, 0, "not_after (%s) is before not_before (%s): it could never be used; mend one of them",
              rule->place[KEY_NOT_AFTER], rule->place[KEY_NOT_BEFORE]);
    return fail(rule, ERR_CONFIG, why.text, fault);
}

/* ---- all of them ---- */

bool policy_title_is_id(const char *title)
{
    uint8_t id[KEY_ID_SIZE];
    return hex_decode(id, sizeof id, title) == 0;
}

static int compare_entries(const void *a, const void *b)
{
    return strcmp(((const struct entry *)a)->title, ((const struct entry *)b)->title);
}

static int compare_title(const void *title, const void *entry)
{
    return strcmp(title, ((const struct entry *)entry)->title);
}

static int add_section(struct policy *policy, const struct key_rules *section, const struct key_rules *common,
                       struct fault *fault)
{
    struct entry *entry = &policy->sections[policy->count];
    entry->title = strdup(section->title);
    if (entry->title == NULL)
        return fault_set(fault, ERR_MEMORY, "key %s: %s", section->title, err_string(ERR_MEMORY));
    policy->count++;
    for (char *at = entry->title; policy_title_is_id(section->title) && *at != 0; at++)
        *at = (char)tolower((unsigned char)*at);
    return compile(&entry->rule, section, common, fault);
}

/* The parser lets no title come twice, but an id may be written in two ways. */
static int sort(struct policy *policy, struct fault *fault)
{
    if (policy->count > 0)
        qsort(policy->sections, policy->count, sizeof policy->sections[0], compare_entries);
    for (size_t i = 1; i < policy->count; i++)
        if (strcmp(policy->sections[i - 1].title, policy->sections[i].title) == 0)
            return fault_set(fault, ERR_CONFIG, "key %s and key %s: two sections for one key; join them",
                             policy->sections[i - 1].rule.title, policy->sections[i].rule.title);
    return 0;
}

int policy_new(struct policy **out, const struct key_rules *common, const struct config_sections *keys,
               struct fault *fault)
{
    const struct key_rules *sections = keys->item;
    struct policy *policy = calloc(1, sizeof *policy);
    if (policy != NULL)
        policy->sections = calloc(keys->count + 1, sizeof *policy->sections);
    int err = policy == NULL || policy->sections == NULL
                  ? fault_set(fault, ERR_MEMORY, "the policy: %s", err_string(ERR_MEMORY))
                  : compile(&policy->common, common, common, fault);
    for (size_t i = 0; i < keys->count && err == 0; i++)
        err = add_section(policy, &sections[i], common, fault);
    if (err == 0)
        err = sort(policy, fault);
    if (err != 0) {
        policy_free(policy);
        policy = NULL;
    }
    *out = policy;
    return err;
}

void policy_free(struct policy *policy)
{
    if (policy == NULL)
        return;
    for (size_t i = 0; i < policy->count; i++) {
        free(policy->sections[i].title);
        free(policy->sections[i].rule.from);
    }
    free(policy->sections);
    free(policy->common.from);
    free(policy);
}

/* ---- looking up ---- */

static const struct policy_rule *find_section(const struct policy *policy, const char *title)
{
    const struct entry *entry = policy->count == 0 ? NULL
                                                   : bsearch(title, policy->sections, policy->count,
                                                             sizeof policy->sections[0], compare_title);
    return entry != NULL ? &entry->rule : NULL;
}

static const struct policy_rule *find_id(const struct policy *policy,
                                         const uint8_t key_id[static KEY_ID_SIZE])
{
    char id[TITLE_ID_LENGTH + 1];
    return policy->count == 0 ? NULL : find_section(policy, hex_encode(id, key_id, KEY_ID_SIZE));
}

const struct policy_rule *policy_rule_of(const struct policy *policy,
                                         const uint8_t key_id[static KEY_ID_SIZE], const char *name)
{
    const struct policy_rule *rule = find_section(policy, name);
    if (rule == NULL)
        rule = find_id(policy, key_id);
    return rule != NULL ? rule : &policy->common;
}

int policy_check_key(const struct policy *policy, const uint8_t key_id[static KEY_ID_SIZE], const char *name,
                     struct fault *fault)
{
    const struct policy_rule *by_name = find_section(policy, name), *by_id = find_id(policy, key_id);
    if (by_name == NULL || by_id == NULL || by_name == by_id)
        return 0;
    return fault_set(fault, ERR_CONFIG, "key %s and key %s: two sections for one key; join them",
                     by_name->title, by_id->title);
}

size_t policy_count(const struct policy *policy)
{
    return policy->count + 1;
}

const struct policy_rule *policy_at(const struct policy *policy, size_t index)
{
    return index == 0 ? &policy->common : &policy->sections[index - 1].rule;
}

/* ---- what a rule says ---- */

bool policy_rule_mode(const struct policy_rule *rule, enum operation_kind kind)
{
    enum operation_mode mode = operation_mode(kind);
    return mode == MODE_NONE || (rule->modes & mode) != 0;
}

bool policy_rule_from(const struct policy_rule *rule, const struct address *address)
{
    for (size_t i = 0; i < rule->from_count; i++)
        if (network_has(&rule->from[i], address))
            return true;
    return rule->from_count == 0;
}

/* "*.example.com" stands for one label more, whatever it is. */
static bool name_fits(const char *pattern, const char *name)
{
    if (strncmp(pattern, "*.", 2) != 0)
        return strcasecmp(pattern, name) == 0;
    const char *rest = strchr(name, '.');
    return rest != NULL && rest != name && strcasecmp(pattern + 1, rest) == 0;
}

bool policy_rule_name(const struct policy_rule *rule, const char *name)
{
    for (size_t i = 0; i < rule->names->count; i++)
        if (name_fits(rule->names->item[i], name))
            return true;
    return rule->names->count == 0;
}
