#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "common/clock.h"
#include "keyserver/vault/audit/quota_replay.h"
#include "tests/unit/keyserver/keys.h"

#define NOON 1798718400 /* 2026-12-31T12:00:00Z */
#define PSK  " psk=AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= "

static const char edges_text[] = "AQEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= paris1" PSK "quota=10/d\n"
                                 "AQIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= paris2" PSK "\n"
                                 "AQMAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= hourly" PSK "rate=1/h\n";

#define MINUTE_MS 60000u

static char folder[KEYS_PATH_SIZE];
static struct keystore *keys;
static struct authorized *edges;
static struct policy *policy;
static struct usage *granted;
static struct quota_replay quotas;

static int set_up(void **state)
{
    static char per_key[] = "20/h", pair[] = "5/h", place[] = "x.conf:1";
    static const uint8_t group_secret[32] = {1};
    struct server_config config = {.key_default = {.quota = per_key, .quota_per_edge = pair}};
    struct fault fault = {.text = ""};
    (void)state;
    config.key_default.place[KEY_QUOTA] = config.key_default.place[KEY_QUOTA_PER_EDGE] = place;
    assert_int_equal(secret_init(), 0);
    keys_make_folder(folder);
    EVP_PKEY *pkey = keys_ec("P-256");
    keys_write(folder, "www.pem", pkey);
    EVP_PKEY_free(pkey);
    if (keystore_load(&keys, NULL, folder, group_secret, NULL, NULL, &fault) != 0 ||
        authorized_parse(&edges, edges_text, strlen(edges_text), "edges", &fault) != 0 ||
        policy_new(&policy, &config.key_default, &config.key_sections, &fault) != 0)
        fail_msg("%s", fault.text);
    granted = usage_new(edges, keys, policy);
    assert_non_null(granted);
    return quota_replay_init(&quotas, granted, edges, keys, policy);
}

static int tear_down(void **state)
{
    (void)state;
    quota_replay_clear(&quotas);
    usage_free(granted);
    policy_free(policy);
    authorized_free(edges);
    keystore_free(keys);
    keys_remove_folder(folder);
    return 0;
}

/* How many uses by the edge are granted from NOON on. */
static unsigned use_all(size_t edge)
{
    const struct now now = {.mono_ns = 1, .reached_s = NOON};
    unsigned count = 0;
    struct usage_charge use;
    for (; count < 100; count++) {
        assert_int_equal(usage_open(granted, &use, authorized_at(edges, edge), keystore_at(keys, 0), &now),
                         0);
        if (!usage_check_quota(&use, &now))
            break;
        usage_take(&use, &now);
    }
    return count;
}

static void tell_used(const char *edge, const char *key, uint64_t used)
{
    struct audit_record record = {.type = AUDIT_QUOTA, .start_s = NOON, .used = used};
    snprintf(record.edge, sizeof record.edge, "%s", edge);
    snprintf(record.key, sizeof record.key, "%s", key);
    quotas.audit.on_record(quotas.audit.context, &record, UINT64_C(1000) * NOON);
}

static void tell_use(const char *edge, enum audit_result result)
{
    struct audit_record record = {
        .type = AUDIT_USE, .key = "www", .time_ms = UINT64_C(1000) * NOON + 999, .result = result};
    snprintf(record.edge, sizeof record.edge, "%s", edge);
    quotas.audit.on_record(quotas.audit.context, &record, record.time_ms);
}

static void note(struct audit_record *quota, void *text)
{
    char one[256];
    if (quota->type == AUDIT_RATE)
        snprintf(one, sizeof one, "[rate %s/%s: %u]", quota->edge, quota->key, (unsigned)quota->used);
    else
        snprintf(one, sizeof one, "[%s/%s %u from %lld: %u]", quota->edge, quota->key,
                 (unsigned)quota->window_s, (long long)quota->start_s - NOON, (unsigned)quota->used);
    strcat(text, one);
}

/* What would stand at the head of a file that begins at MONO_NS, in the order that usage_each_…() have. */
static const char *head_at(uint64_t mono_ns)
{
    static char text[2048];
    const struct now now = {.mono_ns = mono_ns, .reached_s = NOON};
    text[0] = 0;
    quotas.audit.each(quotas.audit.context, &now, note, text);
    return text;
}

static const char *head(void)
{
    return head_at(1);
}

static void uses_that_were_recorded_are_used_up(void **state)
{
    (void)state;
    tell_use("paris1", AUDIT_OK);
    tell_use("paris1", AUDIT_REFUSED);
    tell_use("paris1", AUDIT_BUSY);
    tell_use("paris1", AUDIT_OK);
    assert_int_equal(use_all(0), 3); /* of 5 of the pair */
    assert_int_equal(use_all(1), 5);
}

static void quotas_at_the_head_of_a_file_are_counted_on(void **state)
{
    (void)state;
    tell_used("paris1", "", 9); /* of 10 a day */
    assert_int_equal(use_all(0), 1);
    tell_used("", "www", 15); /* with that one, 16 of 20 */
    assert_int_equal(use_all(1), 4);
}

static void what_is_only_granted_is_told_by_its_own_record(void **state)
{
    struct request_identity identity = {.edge = authorized_at(edges, 0), .key = keystore_at(keys, 0)};
    (void)state;
    assert_string_equal(head(), "");
    assert_int_equal(use_all(0), 5);
    assert_string_equal(head(), "");
    quota_replay_note(&quotas, &identity, &(struct now){.mono_ns = 1, .reached_s = NOON});
    quota_replay_note(&quotas, &identity, &(struct now){.mono_ns = 1, .reached_s = NOON});
    assert_string_equal(head(),
                        "[paris1/ 86400 from -43200: 2][/www 3600 from 0: 2][paris1/www 3600 from 0: 2]");
    tell_use("paris1", AUDIT_OK); /* another vault's */
    assert_string_equal(head(),
                        "[paris1/ 86400 from -43200: 3][/www 3600 from 0: 3][paris1/www 3600 from 0: 3]");
}

/* Rates are of now: a use of an hour ago is made up for, one of a while ago is not. */
static void recent_uses_are_used_up_of_a_rate(void **state)
{
    static const unsigned minutes[] = {61, 59, 10, 0};
    bool used = false;
    (void)state;
    for (size_t i = 0; i < sizeof minutes / sizeof minutes[0]; i++) {
        struct audit_record record = {.type = AUDIT_USE,
                                      .edge = "hourly",
                                      .key = "www",
                                      .time_ms = clock_unix_ms() - minutes[i] * MINUTE_MS,
                                      .result = AUDIT_OK};
        const struct now now = {.mono_ns = clock_ns(), .reached_s = clock_unix()};
        struct usage_charge use;
        quotas.audit.on_record(quotas.audit.context, &record, record.time_ms);
        assert_int_equal(usage_open(granted, &use, authorized_at(edges, 2), keystore_at(keys, 0), &now), 0);
        /* A machine that has not run for so long knows no such time. */
        used |= minutes[i] < 60 && now.mono_ns > UINT64_C(1000000) * MINUTE_MS * minutes[i];
        assert_int_equal(usage_check_rate(&use, &now), !used);
    }
    assert_true(used);
}

/* A file that begins after a use tells of it, until the rate has made up for it; and who begins with that
 * file has as much left as who has seen the use. */
static void what_a_rate_has_not_made_up_for_outlasts_the_file(void **state)
{
    const uint64_t hour_ns = UINT64_C(60000000) * MINUTE_MS;
    const struct now now = {.mono_ns = clock_ns(), .reached_s = clock_unix()};
    struct request_identity identity = {.edge = authorized_at(edges, 2), .key = keystore_at(keys, 0)};
    struct audit_record rate = {
        .type = AUDIT_RATE, .edge = "hourly", .used = 1, .time_ms = clock_unix_ms() - 2 * 60 * MINUTE_MS};
    struct usage_charge use;
    (void)state;
    quota_replay_note(&quotas, &identity, &now);
    assert_non_null(strstr(head_at(now.mono_ns), "[rate hourly/: 1]"));
    assert_non_null(strstr(head_at(now.mono_ns + hour_ns - 1), "[rate hourly/: 1]"));
    assert_null(strstr(head_at(now.mono_ns + hour_ns), "[rate"));

    assert_int_equal(usage_open(granted, &use, identity.edge, identity.key, &now), 0);
    quotas.audit.on_record(quotas.audit.context, &rate, rate.time_ms); /* of two hours ago */
    assert_true(usage_check_rate(&use, &now));
    rate.time_ms = clock_unix_ms();
    snprintf(rate.edge, sizeof rate.edge, "gone");
    quotas.audit.on_record(quotas.audit.context, &rate, rate.time_ms);
    assert_true(usage_check_rate(&use, &now));
    snprintf(rate.edge, sizeof rate.edge, "hourly");
    quotas.audit.on_record(quotas.audit.context, &rate, rate.time_ms);
    assert_false(usage_check_rate(&use, &now));
}

static struct handover_count left[8];

static bool leave(size_t place, const struct handover_count *count, void *user)
{
    assert_true(place < 8);
    left[place] = *count;
    (*(size_t *)user)++;
    return true;
}

/* As in the head of a file: only what is recorded is left, and whoever begins with it grants what is left of
 * the quotas. */
static void what_is_left_for_the_next_vault_is_what_is_recorded(void **state)
{
    const struct now now = {.mono_ns = 1, .reached_s = NOON};
    struct request_identity identity = {.edge = authorized_at(edges, 0), .key = keystore_at(keys, 0)};
    size_t count = 0;
    (void)state;
    assert_int_equal(use_all(0), 5);
    assert_int_equal(quotas.audit.changed(&quotas), 0);
    quota_replay_note(&quotas, &identity, &now);
    quota_replay_note(&quotas, &identity, &now);
    assert_int_equal(quotas.audit.changed(&quotas), 3); /* of the edge, of the key, of both */
    quotas.audit.each_changed(&quotas, &now, 100, leave, &count);
    assert_int_equal(count, 3);
    assert_int_equal(quotas.audit.changed(&quotas), 0);
    quotas.audit.forget(&quotas);
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(quotas.audit.raise(&quotas, &left[i], &now), left[i].used > 0);
    assert_string_equal(head(),
                        "[paris1/ 86400 from -43200: 2][/www 3600 from 0: 2][paris1/www 3600 from 0: 2]");
    for (size_t i = 0; i < 8; i++)
        assert_false(quotas.audit.raise(&quotas, &left[i], &now));
    assert_int_equal(use_all(0), 3);
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(uses_that_were_recorded_are_used_up),
        TEST(quotas_at_the_head_of_a_file_are_counted_on),
        TEST(what_is_only_granted_is_told_by_its_own_record),
        TEST(recent_uses_are_used_up_of_a_rate),
        TEST(what_a_rate_has_not_made_up_for_outlasts_the_file),
        TEST(what_is_left_for_the_next_vault_is_what_is_recorded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
