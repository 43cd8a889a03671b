/* Records: golden lines of every type, the limits of every field, and that nothing else parses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keyserver/audit/audit_members.h"

#define SOME_TIME UINT64_C(1769860800123) /* 2026-01-31T12:00:00.123Z */
#define HASH      "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

static void fill(uint8_t *bytes, size_t size, uint8_t first)
{
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(first + i);
}

/* The whole line of RECORD with sequence number SEQ and the hash HASH; its length. */
static size_t pack(char line[static AUDIT_LINE_MAX], const struct audit_record *record, uint64_t seq)
{
    uint8_t hash[AUDIT_HASH_SIZE];
    fill(hash, sizeof hash, 0);
    size_t length = audit_record_pack_seq(line, seq);
    length += audit_record_pack(record, line + length);
    length += audit_record_pack_hash(line + length, hash);
    assert_true(length < AUDIT_LINE_MAX);
    line[length] = 0;
    return length;
}

/* What is packed is EXPECTED, and gives the same again. */
static void assert_golden(const struct audit_record *record, const char *expected)
{
    char line[AUDIT_LINE_MAX], again[AUDIT_LINE_MAX];
    struct audit_record parsed;
    size_t length = pack(line, record, 7);
    assert_string_equal(line, expected);
    assert_int_equal(audit_record_parse(&parsed, line, length), 0);
    assert_int_equal(parsed.seq, 7);
    assert_int_equal(parsed.type, record->type);
    assert_int_equal(parsed.time_ms, record->time_ms);
    assert_int_equal(pack(again, &parsed, 7), length);
    assert_string_equal(again, line);
}

#define LINE(rest) "{\"seq\":7,\"time\":\"2026-01-31T12:00:00.123Z\",\"type\":" rest ",\"hash\":\"" HASH "\"}"

static struct audit_record some_use(void)
{
    struct audit_record r = {.type = AUDIT_USE,
                             .time_ms = SOME_TIME,
                             .edge = "paris1",
                             .key = "www",
                             .op = "sign_tls13",
                             .scheme = "ecdsa_secp256r1_sha256",
                             .has = AUDIT_HAS_TRACE | AUDIT_HAS_CHANNEL | AUDIT_HAS_DIGEST,
                             .result = AUDIT_OK};
    fill(r.trace, sizeof r.trace, 0xa0);
    fill(r.channel, sizeof r.channel, 0xb0);
    fill(r.digest, sizeof r.digest, 0xc0);
    return r;
}

static void a_signature_is_one_line(void **state)
{
    (void)state;
    struct audit_record r = some_use();
    assert_golden(&r,
                  LINE("\"use\",\"edge\":\"paris1\",\"key\":\"www\",\"op\":\"sign_tls13\","
                       "\"scheme\":\"ecdsa_secp256r1_sha256\",\"trace\":\"a0a1a2a3a4a5a6a7a8a9aaabacadaeaf\","
                       "\"channel\":\"b0b1b2b3b4b5b6b7\",\"digest\":\"c0c1c2c3c4c5c6c7c8c9cacbcccdcecf\","
                       "\"result\":\"ok\""));
}

static void an_rsa_key_exchange_has_a_mode_and_a_name(void **state)
{
    (void)state;
    struct audit_record r = {.type = AUDIT_USE,
                             .time_ms = SOME_TIME,
                             .edge = "paris1",
                             .key = "www",
                             .op = "rsa_master",
                             .mode = "bound",
                             .name = "www.example.com",
                             .result = AUDIT_FAULT};
    assert_golden(&r,
                  LINE("\"use\",\"edge\":\"paris1\",\"key\":\"www\",\"op\":\"rsa_master\",\"mode\":\"bound\","
                       "\"name\":\"www.example.com\",\"result\":\"fault\""));
}

static void a_refusal_of_a_stranger_has_keys_instead_of_names(void **state)
{
    (void)state;
    struct audit_record r = {.type = AUDIT_USE,
                             .time_ms = SOME_TIME,
                             .op = "unknown",
                             .has = AUDIT_HAS_EDGE_KEY | AUDIT_HAS_KEY_ID,
                             .result = AUDIT_REFUSED,
                             .reason = "unknown_edge"};
    fill(r.edge_key, sizeof r.edge_key, 0);
    fill(r.key_id, sizeof r.key_id, 0x40);
    assert_golden(&r, LINE("\"use\",\"edge_key\":\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\","
                           "\"key_id\":\"404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f\","
                           "\"op\":\"unknown\",\"result\":\"refused\",\"reason\":\"unknown_edge\""));
}

static void every_other_type_is_one_line(void **state)
{
    (void)state;
    struct audit_record r = {
        .type = AUDIT_SEGMENT, .time_ms = SOME_TIME, .format = 1, .epoch_ms = 42, .quotas = 3};
    fill(r.previous, sizeof r.previous, 0x20);
    fill(r.public_key, sizeof r.public_key, 0);
    assert_golden(
        &r, LINE("\"segment\",\"format\":1,"
                 "\"previous\":\"202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f\","
                 "\"public\":\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\",\"epoch_ms\":42,\"quotas\":3"));
    r = (struct audit_record){
        .type = AUDIT_START, .time_ms = SOME_TIME, .version = "0.1.0", .edges = 2, .keys = 0, .torn = 17};
    assert_golden(&r,
                  LINE("\"start\",\"version\":\"0.1.0\",\"edges\":2,\"keys\":0,\"policy\":"
                       "\"0000000000000000000000000000000000000000000000000000000000000000\",\"torn\":17"));
    r = (struct audit_record){.type = AUDIT_EDGE, .time_ms = SOME_TIME, .edge = "paris1"};
    fill(r.edge_key, sizeof r.edge_key, 0);
    assert_golden(&r, LINE("\"edge\",\"edge\":\"paris1\",\"edge_key\":"
                           "\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\""));
    r = (struct audit_record){
        .type = AUDIT_KEY, .time_ms = SOME_TIME, .key = "www", .kind = "rsa", .bits = 2048};
    fill(r.key_id, sizeof r.key_id, 0);
    assert_golden(&r, LINE("\"key\",\"key\":\"www\",\"key_id\":\"" HASH "\",\"kind\":\"rsa\",\"bits\":2048"));
    r = (struct audit_record){.type = AUDIT_REFUSALS,
                              .time_ms = SOME_TIME,
                              .edge = "paris1",
                              .result = AUDIT_REFUSED,
                              .reason = "rate",
                              .count = UINT64_MAX};
    assert_golden(&r, LINE("\"refusals\",\"edge\":\"paris1\",\"result\":\"refused\",\"reason\":\"rate\","
                           "\"count\":18446744073709551615"));
    r = (struct audit_record){.type = AUDIT_QUOTA,
                              .time_ms = SOME_TIME,
                              .edge = "paris1",
                              .key = "www",
                              .window_s = 3600,
                              .start_s = 1769860800,
                              .used = 12};
    assert_golden(&r,
                  LINE("\"quota\",\"edge\":\"paris1\",\"key\":\"www\",\"window\":3600,\"start\":1769860800,"
                       "\"used\":12"));
    r = (struct audit_record){
        .type = AUDIT_RATE, .time_ms = SOME_TIME, .edge = "paris1", .key = "www", .used = 12};
    assert_golden(&r, LINE("\"rate\",\"edge\":\"paris1\",\"key\":\"www\",\"used\":12"));
    r = (struct audit_record){
        .type = AUDIT_GAP, .time_ms = SOME_TIME, .since_ms = 0, .unrecorded = 5, .withheld = 6};
    assert_golden(&r, LINE("\"gap\",\"since\":\"1970-01-01T00:00:00.000Z\",\"unrecorded\":5,\"withheld\":6"));
    r = (struct audit_record){.type = AUDIT_DAMAGE,
                              .time_ms = SOME_TIME,
                              .file = "audit-000000000001.jsonl",
                              .line = 9,
                              .what = "cut"};
    assert_golden(&r, LINE("\"damage\",\"file\":\"audit-000000000001.jsonl\",\"line\":9,\"what\":\"cut\""));
    r = (struct audit_record){.type = AUDIT_CHECKPOINT, .time_ms = SOME_TIME, .epoch_ms = 99};
    fill(r.signature, sizeof r.signature, 0);
    assert_golden(
        &r, LINE("\"checkpoint\",\"epoch_ms\":99,\"signature\":\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdH"
                 "h8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+Pw==\""));
    r = (struct audit_record){.type = AUDIT_ROTATE, .time_ms = SOME_TIME};
    assert_golden(&r, LINE("\"rotate\""));
    r = (struct audit_record){.type = AUDIT_STOP, .time_ms = SOME_TIME};
    assert_golden(&r, LINE("\"stop\""));
}

static void every_type_and_result_has_a_name(void **state)
{
    (void)state;
    for (unsigned i = 1; i < AUDIT_TYPES; i++) {
        char head[64];
        snprintf(head, sizeof head, ",\"type\":\"%s\"", audit_type_name((enum audit_type)i));
        assert_string_equal(head, audit_forms[i].head);
    }
    for (unsigned i = 0; i < AUDIT_RESULTS; i++) {
        enum audit_result result;
        assert_int_equal(audit_result_parse(audit_result_name((enum audit_result)i), &result), 0);
        assert_int_equal(result, i);
    }
    assert_null(audit_type_name(AUDIT_TYPES));
    assert_null(audit_type_name((enum audit_type)0));
    assert_null(audit_result_name(AUDIT_RESULTS));
    assert_int_equal(audit_result_parse("fine", &(enum audit_result){AUDIT_OK}), ERR_NOT_FOUND);
}

static void what_others_chose_is_harmless_everywhere(void **state)
{
    char line[AUDIT_LINE_MAX];
    struct audit_record r = some_use(), parsed;
    (void)state;
    strcpy(r.name, "a\"b\\c\x1b[31m\x7f\xc3\xa4\r\n");
    size_t length = pack(line, &r, 1);
    for (size_t i = 0; i < length; i++)
        assert_in_range(line[i], 0x20, 0x7e);
    assert_non_null(
        strstr(line, "\"name\":\"a\\u0022b\\u005cc\\u001b[31m\\u007f\\u00c3\\u00a4\\u000d\\u000a\""));
    assert_int_equal(audit_record_parse(&parsed, line, length), 0);
    assert_string_equal(parsed.name, r.name);
}

/* Every byte there is, alone and in the longest text there is. */
static void every_byte_survives_at_every_length(void **state)
{
    char line[AUDIT_LINE_MAX];
    struct audit_record r = some_use(), parsed;
    (void)state;
    for (unsigned byte = 1; byte < 256; byte++) {
        memset(r.edge, (int)byte, sizeof r.edge - 1);
        memset(r.key, (int)byte, sizeof r.key - 1);
        memset(r.name, (int)byte, sizeof r.name - 1);
        assert_int_equal(audit_record_parse(&parsed, line, pack(line, &r, AUDIT_SEQ_MAX)), 0);
        assert_memory_equal(parsed.edge, r.edge, sizeof r.edge);
        assert_memory_equal(parsed.key, r.key, sizeof r.key);
        assert_memory_equal(parsed.name, r.name, sizeof r.name);
    }
}

/* Zeros are what somebody sent; what was not sent is left out. */
static void zeros_are_not_nothing(void **state)
{
    struct audit_record r = {
        .type = AUDIT_USE, .time_ms = SOME_TIME, .op = "unknown", .result = AUDIT_REFUSED, .reason = "op"};
    (void)state;
    assert_golden(&r, LINE("\"use\",\"op\":\"unknown\",\"result\":\"refused\",\"reason\":\"op\""));
    r.has = AUDIT_HAS_TRACE | AUDIT_HAS_CHANNEL;
    assert_golden(&r, LINE("\"use\",\"op\":\"unknown\",\"trace\":\"00000000000000000000000000000000\","
                           "\"channel\":\"0000000000000000\",\"result\":\"refused\",\"reason\":\"op\""));
    r.has = AUDIT_HAS_EDGE_KEY | AUDIT_HAS_KEY_ID | AUDIT_HAS_DIGEST;
    assert_golden(
        &r, LINE("\"use\",\"edge_key\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\","
                 "\"key_id\":\"0000000000000000000000000000000000000000000000000000000000000000\",\"op\":"
                 "\"unknown\","
                 "\"digest\":\"00000000000000000000000000000000\",\"result\":\"refused\",\"reason\":\"op\""));
}

static void the_longest_record_fits_its_room(void **state)
{
    char body[AUDIT_BODY_MAX];
    struct audit_record r = some_use();
    (void)state;
    memset(r.edge, 1, sizeof r.edge - 1);
    memset(r.key, 1, sizeof r.key - 1);
    memset(r.name, 1, sizeof r.name - 1);
    r.has |= AUDIT_HAS_EDGE_KEY | AUDIT_HAS_KEY_ID;
    memset(r.edge_key, 1, sizeof r.edge_key);
    memset(r.key_id, 1, sizeof r.key_id);
    memset(r.op, 'a', AUDIT_WORD_SIZE - 1);
    memset(r.scheme, 'a', AUDIT_WORD_SIZE - 1);
    memset(r.mode, 'a', AUDIT_WORD_SIZE - 1);
    memset(r.reason, 'a', AUDIT_WORD_SIZE - 1);
    r.result = AUDIT_CANCELLED;
    assert_in_range(audit_record_pack(&r, body), 3000, AUDIT_BODY_MAX);
    r = (struct audit_record){.type = AUDIT_DAMAGE, .line = UINT64_MAX, .time_ms = UINT64_MAX};
    memset(r.file, 1, sizeof r.file - 1);
    memset(r.what, 1, sizeof r.what - 1);
    assert_in_range(audit_record_pack(&r, body), 1900, AUDIT_BODY_MAX);
}

static void times_are_those_of_the_calendar(void **state)
{
    static const struct {
        uint64_t ms;
        const char *text;
    } times[] = {
        {0, "1970-01-01T00:00:00.000Z"},
        {951782399999, "2000-02-28T23:59:59.999Z"},
        {951782400000, "2000-02-29T00:00:00.000Z"},
        {951868800000, "2000-03-01T00:00:00.000Z"},
        {1709164800000, "2024-02-29T00:00:00.000Z"},
        {1772323200000, "2026-03-01T00:00:00.000Z"},
        {1798761599999, "2026-12-31T23:59:59.999Z"},
        {4107542399999, "2100-02-28T23:59:59.999Z"},
        {4107542400000, "2100-03-01T00:00:00.000Z"},
        {AUDIT_TIME_MAX, "9999-12-31T23:59:59.999Z"},
        {AUDIT_TIME_MAX + 1, "9999-12-31T23:59:59.999Z"},
    };
    char text[AUDIT_TIME_SIZE];
    (void)state;
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++)
        assert_string_equal(audit_time_text(times[i].ms, text), times[i].text);
}

static void every_day_of_a_few_centuries_comes_back(void **state)
{
    char line[AUDIT_LINE_MAX];
    struct audit_record r = {.type = AUDIT_STOP}, parsed;
    (void)state;
    for (uint64_t day = 0; day < 200000; day++) {
        r.time_ms = day * 86400000 + day % 86400000;
        assert_int_equal(audit_record_parse(&parsed, line, pack(line, &r, 1)), 0);
        assert_int_equal(parsed.time_ms, r.time_ms);
    }
}

static const char good[] =
    "{\"seq\":7,\"time\":\"2026-01-31T12:00:00.123Z\",\"type\":\"refusals\",\"edge\":\"e\","
    "\"result\":\"busy\",\"count\":1,\"hash\":\"" HASH "\"}";

/* GOOD with the first OLD replaced by NEW. */
static int parse_changed(const char *old, const char *new)
{
    char line[AUDIT_LINE_MAX];
    struct audit_record parsed;
    const char *at = strstr(good, old);
    assert_non_null(at);
    int length = snprintf(line, sizeof line, "%.*s%s%s", (int)(at - good), good, new, at + strlen(old));
    return audit_record_parse(&parsed, line, (size_t)length);
}

static void nothing_else_parses(void **state)
{
    static const char *const changes[][2] = {
        {"{\"seq\":7", "{ \"seq\":7"},
        {"seq\":7", "seq\":07"},
        {"seq\":7", "seq\":0"},
        {"seq\":7", "seq\":"},
        {"seq\":7", "seq\":-7"},
        {"seq\":7", "seq\":1000000000000000"},
        {"seq\":7", "seq\":18446744073709551623"},
        {"2026-01-31", "2026-01-32"},
        {"2026-01-31", "2026-02-29"},
        {"2026-01-31", "2026-00-31"},
        {"2026-01-31", "2026-13-31"},
        {"2026-01-31", "1969-12-31"},
        {"2026-01-31", "2026-1-311"},
        {"T12:", "T24:"},
        {"T12:", " 12:"},
        {":00:00.", ":60:00."},
        {":00:00.", ":00:60."},
        {"123Z", "123z"},
        {"123Z", "12:Z"},
        {"refusals", "refusal"},
        {"refusals", "nothing"},
        {"\"edge\":\"e\"", "\"edge\":\"\""},
        {"\"edge\":\"e\"", "\"edge\":\"\\u0041\""},
        {"\"edge\":\"e\"", "\"edge\":\"\\u0000\""},
        {"\"edge\":\"e\"", "\"edge\":\"\\u001B\""},
        {"\"edge\":\"e\"", "\"edge\":\"\\n\""},
        {"\"edge\":\"e\"", "\"edge\":\"\x80\""},
        {"\"edge\":\"e\"", "\"edge\":\"\t\""},
        {"\"edge\":\"e\"", "\"edge\":e"},
        {"busy", "buzy"},
        {"busy", ""},
        {"\"busy\"", "\"busy\",\"reason\":\"\""},
        {"\"busy\"", "\"busy\",\"reason\":\"Big\""},
        {"\"busy\"", "\"busy\",\"reason\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\""},
        {"\"busy\"", "\"busy\",\"other\":1"},
        {",\"count\":1", ""},
        {",\"count\":1", ",\"count\":1.0"},
        {",\"count\":1", ",\"count\":18446744073709551616"},
        {",\"count\":1", ",\"count\":1,\"count\":1"},
        {"000102", "00010"},
        {"1e1f\"}", "1E1F\"}"},
        {"1e1f\"}", "1e1f\"} "},
        {"1e1f\"}", "1e1f\""},
        {"1e1f\"}", "1e1f00\"}"},
        {",\"hash\"", ", \"hash\""},
    };
    (void)state;
    assert_int_equal(parse_changed("busy", "busy"), 0);
    assert_int_equal(parse_changed("\"busy\"", "\"busy\",\"reason\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\""), 0);
    assert_int_equal(parse_changed("seq\":7", "seq\":999999999999999"), 0);
    assert_int_equal(parse_changed("\"edge\":\"e\",", ""), 0);
    assert_int_equal(parse_changed("count\":1", "count\":18446744073709551615"), 0);
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++)
        if (parse_changed(changes[i][0], changes[i][1]) != ERR_FORMAT)
            fail_msg("'%s' for '%s' parses", changes[i][1], changes[i][0]);
}

static void no_part_of_a_line_parses(void **state)
{
    struct audit_record parsed;
    (void)state;
    for (size_t length = 0; length < sizeof good - 1; length++)
        assert_int_equal(audit_record_parse(&parsed, good, length), ERR_FORMAT);
}

static void texts_end_where_their_field_does(void **state)
{
    char name[AUDIT_EDGE_NAME_SIZE + 16];
    (void)state;
    memset(name, 'x', sizeof name);
    memcpy(name, "\"edge\":\"", 8);
    name[8 + AUDIT_EDGE_NAME_SIZE - 1] = '"';
    name[8 + AUDIT_EDGE_NAME_SIZE] = 0;
    assert_int_equal(parse_changed("\"edge\":\"e\"", name), 0);
    name[8 + AUDIT_EDGE_NAME_SIZE - 1] = 'x';
    name[8 + AUDIT_EDGE_NAME_SIZE] = '"';
    name[8 + AUDIT_EDGE_NAME_SIZE + 1] = 0;
    assert_int_equal(parse_changed("\"edge\":\"e\"", name), ERR_FORMAT);
}

static void another_format_is_told_from_garbage(void **state)
{
    static const char later[] =
        "{\"seq\":1,\"time\":\"2026-01-31T12:00:00.123Z\",\"type\":\"segment\",\"format\":3,"
        "\"something\":\"new\"}";
    struct audit_record parsed;
    (void)state;
    assert_int_equal(audit_record_parse(&parsed, later, sizeof later - 1), ERR_UNSUPPORTED);
    for (unsigned format = AUDIT_FORMAT_FIRST; format <= AUDIT_FORMAT; format++) {
        char line[AUDIT_LINE_MAX];
        const struct audit_record head = {.type = AUDIT_SEGMENT, .format = format};
        assert_int_equal(audit_record_parse(&parsed, line, pack(line, &head, 1)), 0);
        assert_int_equal(parsed.format, format);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_signature_is_one_line),
        cmocka_unit_test(an_rsa_key_exchange_has_a_mode_and_a_name),
        cmocka_unit_test(a_refusal_of_a_stranger_has_keys_instead_of_names),
        cmocka_unit_test(every_other_type_is_one_line),
        cmocka_unit_test(every_type_and_result_has_a_name),
        cmocka_unit_test(what_others_chose_is_harmless_everywhere),
        cmocka_unit_test(every_byte_survives_at_every_length),
        cmocka_unit_test(zeros_are_not_nothing),
        cmocka_unit_test(the_longest_record_fits_its_room),
        cmocka_unit_test(times_are_those_of_the_calendar),
        cmocka_unit_test(every_day_of_a_few_centuries_comes_back),
        cmocka_unit_test(nothing_else_parses),
        cmocka_unit_test(no_part_of_a_line_parses),
        cmocka_unit_test(texts_end_where_their_field_does),
        cmocka_unit_test(another_format_is_told_from_garbage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
