#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/secret.h"
#include "keyserver/rules/authorized.h"

#define PSK_TEXT "ISEhISEhISEhISEhISEhISEhISEhISEhISEhISEhISE="

static struct fault fault;
static struct authorized *list;

/* The key of edge NUMBER, never zero. */
static void make_key(uint8_t key[static 32], uint32_t number)
{
    memset(key, 0x55, 32);
    memcpy(key, &number, sizeof number);
}

static char *key_text(uint32_t number)
{
    static char text[IDENTITY_TEXT_SIZE];
    uint8_t key[32];
    make_key(key, number);
    return base64_encode(text, key, sizeof key);
}

static int parse(const char *text)
{
    memset(&fault, 0, sizeof fault);
    return authorized_parse(&list, text, strlen(text), "authorized_edges", &fault);
}

/* One line of edge 1 with OPTIONS. */
static int parse_one(const char *options)
{
    char text[12000];
    snprintf(text, sizeof text, "%s edge1 %s\n", key_text(1), options);
    return parse(text);
}

static void assert_refused(int result, const char *words)
{
    assert_int_equal(result, ERR_CONFIG);
    assert_null(list);
    if (strncmp(fault.text, "authorized_edges:", 17) != 0 || strstr(fault.text, words) == NULL)
        fail_msg("'%s' lacks '%s'", fault.text, words);
    assert_null(strstr(fault.text, "ISEh")); /* a secret is never repeated */
}

static void an_edge_has_the_defaults(void **state)
{
    (void)state;
    uint8_t key[32], psk[32], id[KEY_ID_SIZE] = {1};
    assert_int_equal(parse_one("psk=" PSK_TEXT), 0);
    assert_int_equal(authorized_count(list), 1);
    make_key(key, 1);
    const struct authorized_edge *edge = authorized_find(list, key);
    assert_ptr_equal(edge, authorized_at(list, 0));
    assert_string_equal(edge->name, "edge1");
    assert_int_equal(edge->line, 1);
    memset(psk, '!', sizeof psk);
    assert_memory_equal(edge->psk, psk, sizeof psk);
    assert_int_equal(edge->operations, 1u << OP_PING | 1u << OP_KEYS | 1u << OP_SIGN_TLS12 |
                                           1u << OP_SIGN_TLS13 | 1u << OP_RSA_MASTER);
    assert_int_equal(edge->given, 1u << AUTHORIZED_PSK);
    assert_true(date_span_has(&edge->valid, INT64_MIN) && date_span_has(&edge->valid, INT64_MAX));
    assert_int_equal(edge->rate.count, 0);
    assert_int_equal(edge->quota.count, 0);
    assert_true(edge->all_keys);
    assert_true(authorized_for_key(edge, id, "anything"));
    key[31] ^= 1;
    assert_null(authorized_find(list, key));
    authorized_free(list);
}

static void comments_and_empty_lines_count_as_lines(void **state)
{
    (void)state;
    char text[512];
    snprintf(text, sizeof text, "# edges\n\n \t\r\n  # more\n%s\tpar-is.1_x \t psk=" PSK_TEXT "\r",
             key_text(7));
    assert_int_equal(parse(text), 0);
    assert_int_equal(authorized_count(list), 1);
    assert_int_equal(authorized_at(list, 0)->line, 5);
    assert_string_equal(authorized_at(list, 0)->name, "par-is.1_x");
    authorized_free(list);
    assert_int_equal(parse(""), 0);
    assert_int_equal(authorized_count(list), 0);
    authorized_free(list);
    authorized_free(NULL);
}

static void a_comment_ends_a_line(void **state)
{
    (void)state;
    assert_int_equal(parse_one("psk=" PSK_TEXT " # the old one: keys=www psk=x"), 0);
    assert_int_equal(authorized_at(list, 0)->given, 1u << AUTHORIZED_PSK);
    authorized_free(list);
    assert_int_equal(parse_one("psk=" PSK_TEXT "\t#"), 0);
    authorized_free(list);
    assert_refused(parse_one("psk=" PSK_TEXT "#"), "psk is not 32 bytes");
    assert_refused(parse_one("#psk=" PSK_TEXT), "psk is missing");
}

static void a_byte_order_mark_is_skipped(void **state)
{
    (void)state;
    assert_int_equal(parse("\xef\xbb\xbf# edges\n"), 0);
    assert_int_equal(authorized_count(list), 0);
    authorized_free(list);
}

static void keys_limit_an_edge(void **state)
{
    (void)state;
    uint8_t id[KEY_ID_SIZE], other[KEY_ID_SIZE] = {9};
    memset(id, 0xab, sizeof id);
    assert_int_equal(parse_one("psk=" PSK_TEXT
                               " keys=www,ABABababababababababababababababababababababababababababababABAB"),
                     0);
    const struct authorized_edge *edge = authorized_at(list, 0);
    assert_false(edge->all_keys);
    assert_int_equal(edge->key_count, 2);
    assert_true(authorized_for_key(edge, other, "www"));
    assert_true(authorized_for_key(edge, id, "else"));
    assert_false(authorized_for_key(edge, other, "ww"));
    assert_false(authorized_for_key(edge, other, "WWW"));
    authorized_free(list);
}

static void operations_are_those_listed(void **state)
{
    (void)state;
    assert_int_equal(parse_one("ops=rsa_premaster psk=" PSK_TEXT), 0);
    assert_int_equal(authorized_at(list, 0)->operations,
                     1u << OP_PING | 1u << OP_KEYS | 1u << OP_RSA_PREMASTER);
    authorized_free(list);
    assert_int_equal(parse_one("ops=rsa_master,sign_tls13 psk=" PSK_TEXT), 0);
    assert_int_equal(authorized_at(list, 0)->operations,
                     1u << OP_PING | 1u << OP_KEYS | 1u << OP_SIGN_TLS13 | 1u << OP_RSA_MASTER);
    assert_int_equal(authorized_at(list, 0)->given, 1u << AUTHORIZED_PSK | 1u << AUTHORIZED_OPS);
    authorized_free(list);
}

static void dates_limit_the_time(void **state)
{
    (void)state;
    assert_int_equal(parse_one("not_before=2026-12-31 psk=" PSK_TEXT " not_after=2026-12-31T12:00:00Z"), 0);
    const struct authorized_edge *edge = authorized_at(list, 0);
    assert_true(edge->valid.first == 1798675200 && edge->valid.last == 1798718400);
    assert_int_equal(edge->given,
                     1u << AUTHORIZED_PSK | 1u << AUTHORIZED_NOT_BEFORE | 1u << AUTHORIZED_NOT_AFTER);
    authorized_free(list);
    assert_int_equal(parse_one("not_before=2026-12-31 not_after=2026-12-31 psk=" PSK_TEXT), 0);
    authorized_free(list);
    assert_int_equal(parse_one("not_after=1970-01-01 psk=" PSK_TEXT), 0); /* long over, and no "never" */
    assert_false(date_span_has(&authorized_at(list, 0)->valid, 1));
    authorized_free(list);
}

static void rate_and_quota_limit_the_uses(void **state)
{
    (void)state;
    assert_int_equal(parse_one("rate=100/s quota=100000/d psk=" PSK_TEXT), 0);
    const struct authorized_edge *edge = authorized_at(list, 0);
    assert_true(edge->rate.count == 100 && edge->rate.seconds == 1);
    assert_true(edge->quota.count == 100000 && edge->quota.seconds == 86400);
    authorized_free(list);
}

static void edges_are_found_by_their_names(void **state)
{
    (void)state;
    char text[1024], first[IDENTITY_TEXT_SIZE];
    strcpy(first, key_text(1));
    snprintf(text, sizeof text, "%s one psk=" PSK_TEXT "\n%s two psk=" PSK_TEXT "\n", first, key_text(2));
    assert_int_equal(parse(text), 0);
    assert_ptr_equal(authorized_find_name(list, "one"), authorized_at(list, 0));
    assert_ptr_equal(authorized_find_name(list, "two"), authorized_at(list, 1));
    assert_null(authorized_find_name(list, "three"));
    assert_null(authorized_find_name(list, ""));
    authorized_free(list);
    assert_int_equal(parse(""), 0);
    assert_null(authorized_find_name(list, "one"));
    authorized_free(list);
}

static void from_limits_the_address(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool allowed;
    } cases[] = {{"192.0.2.1:5", true},      {"192.0.3.1:5", false},         {"[2001:db8::1]:5", true},
                 {"[2001:db9::1]:5", false}, {"[::ffff:192.0.2.9]:5", true}, {"unix:/x", false}};
    struct address address;
    assert_int_equal(parse_one("from=192.0.2.0/24,2001:db8::/32 psk=" PSK_TEXT), 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(address_parse(&address, cases[i].text, 0, &fault), 0);
        assert_int_equal(authorized_from(authorized_at(list, 0), &address), cases[i].allowed);
    }
    authorized_free(list);
    assert_int_equal(parse_one("psk=" PSK_TEXT), 0);
    assert_true(authorized_from(authorized_at(list, 0), &address));
    authorized_free(list);
}

static void bad_lines_are_explained(void **state)
{
    (void)state;
    assert_refused(parse("\n\nxyz edge psk=" PSK_TEXT "\n"), ":3: the line does not begin with a public key");
    assert_refused(parse("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= e psk=" PSK_TEXT), "public key");
    assert_refused(parse(key_text(1)), "there is no name");
    assert_refused(parse_one(""), ":1: psk is missing; append psk=… (make one with: keyless genkey)");
    assert_refused(parse_one("psk=ISEh"), "psk is not 32 bytes");
    assert_refused(parse_one("psk=" PSK_TEXT "A"), "psk is not 32 bytes");
    assert_refused(parse_one("psk=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="), "psk is all zero");
    assert_refused(parse_one("psk=" PSK_TEXT " psk=" PSK_TEXT), "twice");
    assert_refused(parse_one(PSK_TEXT), "unknown option");
    assert_refused(parse_one("psk=" PSK_TEXT " rate"), "unknown option");
    assert_refused(parse_one("psk=" PSK_TEXT " pskx=1"), "unknown option");
    assert_refused(parse_one("psk=" PSK_TEXT " ="), "unknown option");
    assert_refused(parse_one("psk=" PSK_TEXT " ops="), "ops= takes");
    assert_refused(parse_one("psk=" PSK_TEXT " ops=sign"), "ops= takes sign_tls13, sign_tls12, rsa_master");
    assert_refused(parse_one("psk=" PSK_TEXT " keys="), "keys= takes");
    assert_refused(parse_one("psk=" PSK_TEXT " keys=a,,b"), "keys= takes");
    static const char *const no_names[] = {"../x/y", "/x", "x/", "x//y", "x/../y", "x/.y", "./x"};
    for (size_t i = 0; i < sizeof no_names / sizeof no_names[0]; i++) {
        char text[128];
        snprintf(text, sizeof text, "psk=%s keys=%s", PSK_TEXT, no_names[i]);
        assert_refused(parse_one(text), "keys= takes");
    }
    assert_int_equal(parse_one("psk=" PSK_TEXT " keys=www.example.com/privkey"), 0);
    authorized_free(list);
    assert_refused(parse_one("psk=" PSK_TEXT " from=10.0.0.0/33"), "from= takes");
    assert_refused(parse_one("psk=" PSK_TEXT " from=192.0.2.0/24,10.1.2.3/8"),
                   "from= has an address in 10.0.0.0/8 with");
    assert_refused(parse_one("psk=" PSK_TEXT " from=2001:db8::1/63"),
                   "from= has an address in 2001:db8::/63 with");
    assert_refused(parse_one("psk=" PSK_TEXT " from="), "from= takes");
    assert_refused(parse_one("psk=" PSK_TEXT " from=10.0.0.1,x"), "from= takes");
    assert_refused(parse_one("psk=" PSK_TEXT " rate="), "rate= is not a rate; write how many");
    assert_refused(parse_one("psk=" PSK_TEXT " rate=5/d"), "rate= is not a rate");
    assert_refused(parse_one("psk=" PSK_TEXT " rate=0/s"), "rate= is not a rate");
    assert_refused(parse_one("psk=" PSK_TEXT " quota=5/s"), "quota= is not a quota; write how many");
    assert_refused(parse_one("psk=" PSK_TEXT " quota=5"), "quota= is not a quota");
    assert_refused(parse_one("psk=" PSK_TEXT " not_before=soon"), ":1: not_before= takes a date, 2026-12-31");
    assert_refused(parse_one("psk=" PSK_TEXT " not_after=2026-02-30"), "not_after= takes a date");
    assert_refused(parse_one("psk=" PSK_TEXT " not_after="), "not_after= takes a date");
    assert_refused(parse_one("psk=" PSK_TEXT " not_before=2026-01-02 not_after=2026-01-01"),
                   "not_after= is before not_before=");
    assert_refused(parse_one("psk=" PSK_TEXT " rate=1/s rate=2/s"), "rate= stands there twice");
    assert_refused(parse_one("psk=" PSK_TEXT " \001"), "control character");
    assert_int_equal(authorized_parse(&list, "\0", 1, "authorized_edges", &fault), ERR_CONFIG);
}

static void repeated_keys_and_names_are_refused(void **state)
{
    (void)state;
    char text[512], first[IDENTITY_TEXT_SIZE];
    strcpy(first, key_text(1));
    snprintf(text, sizeof text, "%s a psk=" PSK_TEXT "\n%s b psk=" PSK_TEXT "\n", first, first);
    assert_refused(parse(text), ":2: the key stands in line 1 already");
    snprintf(text, sizeof text, "%s a psk=" PSK_TEXT "\n\n%s a psk=" PSK_TEXT "\n", first, key_text(2));
    assert_refused(parse(text), ":3: the name a stands in line 1 already");
}

static void names_have_63_characters_and_not_more(void **state)
{
    (void)state;
    char text[512], name[65];
    memset(name, 'n', sizeof name);
    name[63] = 0;
    snprintf(text, sizeof text, "%s %s psk=" PSK_TEXT, key_text(1), name);
    assert_int_equal(parse(text), 0);
    authorized_free(list);
    name[63] = 'n';
    name[64] = 0;
    snprintf(text, sizeof text, "%s %s psk=" PSK_TEXT, key_text(1), name);
    assert_refused(parse(text), "there is no name");
    snprintf(text, sizeof text, "%s a/b psk=" PSK_TEXT, key_text(1));
    assert_refused(parse(text), "there is no name");
}

static void lines_have_8191_bytes_and_not_more(void **state)
{
    (void)state;
    char text[8300];
    int length = snprintf(text, sizeof text, "%s edge psk=" PSK_TEXT, key_text(1));
    memset(text + length, ' ', sizeof text - (size_t)length);
    text[8191] = 0;
    assert_int_equal(parse(text), 0);
    authorized_free(list);
    text[8191] = ' ';
    text[8192] = 0;
    assert_refused(parse(text), "longer than 8191 bytes");
}

static void there_are_100000_edges_and_not_more(void **state)
{
    (void)state;
    struct buffer text;
    uint8_t key[32];
    buffer_init(&text);
    for (uint32_t i = 0; i < 100000; i++)
        assert_int_equal(buffer_printf(&text, "%s e%u psk=" PSK_TEXT "\n", key_text(i), i), 0);
    assert_int_equal(
        authorized_parse(&list, (const char *)buffer_bytes(&text), buffer_length(&text), "f", &fault), 0);
    for (uint32_t i = 0; i < 100000; i += 997) {
        make_key(key, i);
        assert_int_equal(authorized_find(list, key)->line, i + 1);
    }
    make_key(key, 100000);
    assert_null(authorized_find(list, key));
    authorized_free(list);
    assert_int_equal(buffer_printf(&text, "x"), 0);
    assert_int_equal(
        authorized_parse(&list, (const char *)buffer_bytes(&text), buffer_length(&text), "f", &fault),
        ERR_CONFIG);
    assert_non_null(strstr(fault.text, "at most 100000"));
    buffer_clear(&text);
}

static void psks_can_be_forgotten(void **state)
{
    (void)state;
    static const uint8_t zero[32];
    assert_int_equal(parse_one("psk=" PSK_TEXT), 0);
    authorized_forget_psks(list);
    assert_memory_equal(authorized_at(list, 0)->psk, zero, sizeof zero);
    assert_string_equal(authorized_at(list, 0)->name, "edge1");
    authorized_free(list);
}

static void the_file_must_be_closed_to_others(void **state)
{
    (void)state;
    char folder[] = "/tmp/keyless-authorized-XXXXXX", file[64], text[256];
    assert_non_null(mkdtemp(folder));
    snprintf(file, sizeof file, "%s/edges", folder);
    assert_int_equal(authorized_load(&list, file, &fault), ERR_NOT_FOUND);
    assert_non_null(strstr(fault.text, "no such file; make it with mode 0600"));
    int fd = open(file, O_WRONLY | O_CREAT | O_EXCL, 0600);
    int length = snprintf(text, sizeof text, "%s edge psk=" PSK_TEXT "\n", key_text(3));
    assert_int_equal(write(fd, text, (size_t)length), length);
    close(fd);
    assert_int_equal(authorized_load(&list, file, &fault), 0);
    assert_int_equal(authorized_count(list), 1);
    authorized_free(list);
    assert_int_equal(chmod(file, 0640), 0);
    assert_true(authorized_load(&list, file, &fault) < 0);
    assert_non_null(strstr(fault.text, "chmod"));
    unlink(file);
    rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_edge_has_the_defaults),
        cmocka_unit_test(comments_and_empty_lines_count_as_lines),
        cmocka_unit_test(a_comment_ends_a_line),
        cmocka_unit_test(a_byte_order_mark_is_skipped),
        cmocka_unit_test(keys_limit_an_edge),
        cmocka_unit_test(operations_are_those_listed),
        cmocka_unit_test(from_limits_the_address),
        cmocka_unit_test(dates_limit_the_time),
        cmocka_unit_test(rate_and_quota_limit_the_uses),
        cmocka_unit_test(edges_are_found_by_their_names),
        cmocka_unit_test(bad_lines_are_explained),
        cmocka_unit_test(repeated_keys_and_names_are_refused),
        cmocka_unit_test(names_have_63_characters_and_not_more),
        cmocka_unit_test(lines_have_8191_bytes_and_not_more),
        cmocka_unit_test(there_are_100000_edges_and_not_more),
        cmocka_unit_test(psks_can_be_forgotten),
        cmocka_unit_test(the_file_must_be_closed_to_others),
    };
    return secret_init() != 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
