#include <stdio.h>

#include "cli/check.h"
#include "cli/files.h"
#include "common/clock.h"
#include "common/date.h"
#include "keyserver/rules/policy.h"

#define DAY 86400

/* Says of a time that ends when that is, if it is over or nearly so. */
static void check_end(struct findings *findings, const char *place, const char *what, const char *name,
                      int64_t end)
{
    char text[DATE_TEXT_SIZE];
    int64_t now = clock_unix();
    if (end < now)
        findings_add(findings, FINDING_WARNING,
                     "%s: not_after of %s %s was %s, so it is refused; set a later one, or "
                     "remove it",
                     place, what, name, date_text(text, end));
    else if ((end - now) / DAY < CHECK_EXPIRY_DAYS)
        findings_add(findings, FINDING_WARNING,
                     "%s: not_after of %s %s comes in %d days (%s); set a later one in time", place, what,
                     name, (int)((end - now) / DAY), date_text(text, end));
}

/* ---- keys ---- */

static bool allows_plain(const struct policy_rule *rule)
{
    return (rule->operations & OPERATION_BIT(OP_RSA_PREMASTER)) != 0 &&
           policy_rule_mode(rule, OP_RSA_PREMASTER);
}

/* What a section has from key_default is told of there. */
static bool is_inherited(const struct policy *policy, const struct policy_rule *rule, enum key_option option)
{
    return rule->title != NULL && rule->place[option] == policy_at(policy, 0)->place[option];
}

static void check_rule(struct findings *findings, const struct policy *policy, const struct policy_rule *rule)
{
    const char *name = rule->title != NULL ? rule->title : "key_default";
    if (allows_plain(rule) && !(is_inherited(policy, rule, KEY_MODES) && allows_plain(policy_at(policy, 0))))
        findings_add(findings, FINDING_WARNING,
                     "%s: modes of %s lists plain: an edge that is taken over later can have recorded "
                     "RSA key-exchange sessions opened, as long as it is authorized; list bound only, unless "
                     "there are "
                     "clients without extended master secret to serve",
                     rule->place[KEY_MODES], name);
    if (allows_plain(rule) && rule->names->count > 0 &&
        !(is_inherited(policy, rule, KEY_NAMES) && is_inherited(policy, rule, KEY_MODES)))
        findings_add(
            findings, FINDING_WARNING,
            "%s: names of %s hold in bound mode only, and with plain among modes (%s) sessions of every "
            "name are served; list bound only, or leave names out",
            rule->place[KEY_NAMES], name, rule->place[KEY_MODES]);
    if (rule->valid.last != INT64_MAX && !is_inherited(policy, rule, KEY_NOT_AFTER))
        check_end(findings, rule->place[KEY_NOT_AFTER], "key", name, rule->valid.last);
}

/* ---- edges ---- */

static bool any_allows_plain(const struct policy *policy)
{
    for (size_t i = 0; i < policy_count(policy); i++)
        if (allows_plain(policy_at(policy, i)))
            return true;
    return false;
}

static void check_edge(struct findings *findings, const char *file, const struct server_config *config,
                       const struct policy *policy, const struct authorized_edge *edge)
{
    char place[FILES_PATH_MAX];
    snprintf(place, sizeof place, "%s:%u", config->authorized_edges, edge->line);
    if (edge->valid.last != INT64_MAX)
        check_end(findings, place, "edge", edge->name, edge->valid.last);
    if ((edge->operations & OPERATION_BIT(OP_RSA_PREMASTER)) != 0 && !any_allows_plain(policy))
        findings_add(
            findings, FINDING_WARNING,
            "%s: ops= of edge %s lists rsa_premaster, and no key allows it, so it is refused; remove it, or "
            "list plain in modes of a key in %s",
            place, edge->name, file);
}

void check_policy(struct findings *findings, const char *file, const struct server_config *config,
                  const struct authorized *edges)
{
    struct fault fault = {.text = ""};
    struct policy *policy = NULL;
    if (policy_new(&policy, &config->key_default, &config->key_sections, &fault) != 0) {
        findings_add(findings, FINDING_ERROR, "%s: %s", file, fault.text);
        return;
    }
    for (size_t i = 0; i < policy_count(policy); i++)
        check_rule(findings, policy, policy_at(policy, i));
    for (size_t i = 0; edges != NULL && i < authorized_count(edges); i++)
        check_edge(findings, file, config, policy, authorized_at(edges, i));
    policy_free(policy);
}
