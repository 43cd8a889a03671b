/* The writer: what it records, and when it writes and signs. */
#include "tests/unit/keyserver/audit_log_rig.h"

/* ---- what a record says ---- */

static void a_use_says_who_what_how_and_what_came_of_it(void **state)
{
    struct rig_records records;
    (void)state;
    rig_open(&rig);
    struct request_identity identity = rig_identity(&rig, 4);
    identity.kind = OP_RSA_MASTER;
    identity.scheme = 0;
    strcpy(identity.server_name, "www.example.com");
    rig.now.unix_ms += 77;
    audit_tick(rig.audit, &rig.now);
    audit_add(rig.audit, &identity, AUDIT_OK);
    assert_int_equal(audit_commit(rig.audit), 0);
    rig_close(&rig);
    rig_records(&rig, &records);
    const struct audit_record *use = rig_first_of(&records, AUDIT_USE);
    assert_int_equal(use->time_ms, RIG_START_MS + 77);
    assert_string_equal(use->edge, "edge1");
    assert_string_equal(use->key, identity.key->name);
    assert_string_equal(use->op, "rsa_master");
    assert_string_equal(use->mode, "bound");
    assert_string_equal(use->scheme, "");
    assert_string_equal(use->name, "www.example.com");
    assert_memory_equal(use->trace, identity.trace.bytes, TRACE_ID_SIZE);
    assert_memory_equal(use->channel, identity.channel, CHANNEL_NAME_SIZE);
    assert_memory_equal(use->digest, identity.digest, REQUEST_DIGEST_SIZE);
    assert_int_equal(use->result, AUDIT_OK);
    assert_string_equal(use->reason, "");
    const struct audit_record *edge = rig_first_of(&records, AUDIT_EDGE),
                              *key = rig_first_of(&records, AUDIT_KEY);
    assert_string_equal(edge->edge, "edge1");
    assert_memory_equal(edge->edge_key, identity.edge->key, sizeof edge->edge_key);
    assert_string_equal(key->key, identity.key->name);
    assert_memory_equal(key->key_id, identity.key->id, sizeof key->key_id);
    assert_string_equal(key->kind, "ed25519");
    assert_int_equal(key->bits, identity.key->bits);
    assert_true(edge < use && key < use);
    free(records.item);
}

static void names_are_explained_once_in_each_file(void **state)
{
    (void)state;
    rig_open(&rig);
    rig_use_many(&rig, 0, 30);
    assert_int_equal(rig_count(&rig, AUDIT_EDGE), RIG_EDGES);
    assert_int_equal(rig_count(&rig, AUDIT_KEY), RIG_KEYS);
    rig_close(&rig);
    rig_open(&rig);
    rig_use_many(&rig, 30, 30);
    rig_close(&rig);
    assert_int_equal(rig_count(&rig, AUDIT_EDGE), 2 * RIG_EDGES);
    rig_assert_uses(&rig, 0, 60);
    rig_assert_whole(&rig, false);
}

static void a_refusal_of_nobody_known_has_the_keys_that_were_sent(void **state)
{
    struct rig_records records;
    uint8_t edge_key[IDENTITY_KEY_SIZE];
    struct operation operation = {.kind = (enum operation_kind)99};
    const struct key_request request = {.edge_key = edge_key, .operation = &operation};
    const struct request_identity nobody = {.kind = (enum operation_kind)99, .scheme = 0x9999};
    (void)state;
    rig_open(&rig);
    memset(edge_key, 0x55, sizeof edge_key);
    memset(operation.key_id, 0x66, sizeof operation.key_id);
    audit_add_refusal(rig.audit, &nobody, &request, REFUSAL_UNKNOWN_EDGE);
    assert_int_equal(audit_commit(rig.audit), 0);
    rig_close(&rig);
    rig_records(&rig, &records);
    const struct audit_record *use = rig_first_of(&records, AUDIT_USE);
    assert_string_equal(use->edge, "");
    assert_memory_equal(use->edge_key, edge_key, sizeof use->edge_key);
    assert_memory_equal(use->key_id, operation.key_id, sizeof use->key_id);
    assert_string_equal(use->op, "unknown");
    assert_string_equal(use->scheme, "0x9999");
    assert_int_equal(use->result, AUDIT_REFUSED);
    assert_string_equal(use->reason, "unknown_edge");
    free(records.item);
}

/* An edge may send zeros, and may send nothing: neither is taken for the other. */
static void zeros_that_were_sent_are_on_record(void **state)
{
    for (unsigned none = 0; none < 2; none++) {
        struct rig_records records;
        const uint8_t edge_key[IDENTITY_KEY_SIZE] = {0};
        const struct operation operation = {.kind = OP_SIGN_TLS13};
        const struct key_request request = {
            .edge_key = edge_key, .no_trace = none != 0, .no_key_id = none != 0, .operation = &operation};
        const struct request_identity identity = {.kind = OP_SIGN_TLS13, .no_trace = none != 0};
        (void)state;
        rig_open(&rig);
        audit_add_refusal(rig.audit, &identity, &request, REFUSAL_UNKNOWN_KEY);
        assert_int_equal(audit_commit(rig.audit), 0);
        rig_close(&rig);
        rig_records(&rig, &records);
        const struct audit_record *use = NULL;
        for (size_t i = 0; i < records.count; i++)
            use = records.item[i].type == AUDIT_USE ? &records.item[i] : use;
        assert_non_null(use);
        assert_string_equal(use->scheme, "0x0000");
        assert_int_equal(use->has, AUDIT_HAS_EDGE_KEY | AUDIT_HAS_CHANNEL |
                                       (none != 0 ? 0 : AUDIT_HAS_TRACE | AUDIT_HAS_KEY_ID));
        free(records.item);
    }
}

static void beyond_the_budget_refusals_are_counted_once_a_second(void **state)
{
    struct rig_records records;
    size_t own = 0, counts = 0;
    (void)state;
    rig_open(&rig);
    for (unsigned i = 0; i < 100 + 40; i++)
        rig_refuse(&rig, 0, REFUSAL_RATE);
    for (unsigned i = 0; i < 5; i++)
        rig_refuse(&rig, 0, REFUSAL_SCHEME);
    rig_add(&rig, 0, AUDIT_BUSY);
    rig_add(&rig, 0, AUDIT_OK);
    rig_refuse(&rig, 1, REFUSAL_RATE);
    assert_int_equal(audit_commit(rig.audit), 0);
    assert_int_equal(rig_count(&rig, AUDIT_REFUSALS), 0);
    rig_pass(&rig, 1000);
    rig_refuse(&rig, 0, REFUSAL_RATE);
    assert_int_equal(audit_commit(rig.audit), 0);
    rig_pass(&rig, 1000);
    rig_close(&rig);
    rig_records(&rig, &records);
    for (size_t i = 0; i < records.count; i++) {
        const struct audit_record *r = &records.item[i];
        own += r->type == AUDIT_USE && r->result == AUDIT_REFUSED && strcmp(r->edge, "edge0") == 0;
        if (r->type != AUDIT_REFUSALS)
            continue;
        assert_string_equal(r->edge, "edge0");
        assert_int_equal(r->count, r->result == AUDIT_BUSY ? 1 : strcmp(r->reason, "rate") == 0 ? 40 : 5);
        counts++;
    }
    assert_int_equal(own, 101);
    assert_int_equal(counts, 3);
    free(records.item);
    rig_assert_whole(&rig, false);
}

/* ---- when something is written ---- */

static void a_checkpoint_comes_at_most_once_in_its_interval(void **state)
{
    (void)state;
    rig.config.checkpoint = 3000;
    rig_open(&rig);
    size_t before = rig_count(&rig, AUDIT_CHECKPOINT);
    for (unsigned i = 0; i < 9; i++) {
        rig_use_many(&rig, i, 1);
        rig_pass(&rig, 1000);
    }
    assert_int_equal(rig_count(&rig, AUDIT_CHECKPOINT), before + 3);
    for (unsigned i = 0; i < 9; i++)
        rig_pass(&rig, 1000);
    assert_int_equal(rig_count(&rig, AUDIT_CHECKPOINT), before + 3);
    rig_close(&rig);
    rig_assert_whole(&rig, false);
}

static void a_commit_of_nothing_writes_nothing(void **state)
{
    (void)state;
    rig_open(&rig);
    uint64_t before = rig_assert_whole(&rig, true);
    assert_int_equal(audit_commit(rig.audit), 0);
    for (unsigned i = 0; i < 10; i++)
        rig_pass(&rig, 1000);
    assert_int_equal(rig_assert_whole(&rig, true), before);
    rig_close(&rig);
}

static void what_was_added_without_a_commit_is_not_recorded(void **state)
{
    (void)state;
    rig_open(&rig);
    rig_add(&rig, 1, AUDIT_OK);
    rig_pass(&rig, 1000);
    rig_close(&rig);
    assert_int_equal(rig_count(&rig, AUDIT_USE), 0);
    rig_assert_whole(&rig, false);
}

static void both_ways_to_the_disk_give_the_same_log(void **state)
{
    (void)state;
    rig.config.sync = SERVER_AUDIT_SYNC_ALWAYS;
    rig.config.rotate_size = 4096;
    rig_open(&rig);
    rig_use_many(&rig, 0, 50);
    for (uint64_t i = 50; i < 114; i++)
        rig_add(&rig, i, AUDIT_OK);
    assert_int_equal(audit_commit(rig.audit), 0);
    rig_pass(&rig, 1000);
    rig_close(&rig);
    rig_assert_uses(&rig, 0, 114);
    rig_assert_whole(&rig, false);
}

static void a_large_batch_is_one_piece(void **state)
{
    (void)state;
    rig_open(&rig);
    for (uint64_t i = 0; i < 5000; i++)
        rig_add(&rig, i, AUDIT_OK);
    assert_int_equal(audit_commit(rig.audit), 0);
    rig_close(&rig);
    rig_assert_uses(&rig, 0, 5000);
    rig_assert_whole(&rig, false);
}

static void the_tick_says_when_it_is_due(void **state)
{
    (void)state;
    rig.config.checkpoint = 100;
    rig_open(&rig);
    assert_int_equal(audit_due(rig.audit), rig.now.mono_ms + 100);
    rig.config.checkpoint = 60000;
    rig_pass(&rig, 100);
    assert_int_equal(audit_due(rig.audit), rig.now.mono_ms + 1000);
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_use_says_who_what_how_and_what_came_of_it),
        TEST(names_are_explained_once_in_each_file),
        TEST(a_refusal_of_nobody_known_has_the_keys_that_were_sent),
        TEST(zeros_that_were_sent_are_on_record),
        TEST(beyond_the_budget_refusals_are_counted_once_a_second),
        TEST(a_checkpoint_comes_at_most_once_in_its_interval),
        TEST(a_commit_of_nothing_writes_nothing),
        TEST(what_was_added_without_a_commit_is_not_recorded),
        TEST(both_ways_to_the_disk_give_the_same_log),
        TEST(a_large_batch_is_one_piece),
        TEST(the_tick_says_when_it_is_due),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
