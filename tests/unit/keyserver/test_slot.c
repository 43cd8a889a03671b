/* Requests in the form in which they go through the wall: who asks and from where. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "keyserver/net/slot.h"

static struct wall_request fill(const char *from)
{
    struct msg_request request = {.id = 5, .deadline_ms = 7, .operation = {.kind = OP_RSA_PREMASTER}};
    uint8_t edge_key[32], hash[32];
    struct wall_request slot;
    struct address address;
    struct fault fault;

    const struct slot_origin origin = {
        .token = 42, .deadline_ns = 1000, .edge_key = edge_key, .channel_hash = hash, .from = &address};

    memset(edge_key, 0xee, sizeof edge_key);
    memset(hash, 0xcc, sizeof hash);
    memset(request.trace.bytes, 0x77, sizeof request.trace.bytes);
    request.operation.u.rsa_premaster.ciphertext_length = 256;
    assert_int_equal(address_parse(&address, from, 0, &fault), 0);
    request.no_trace = 1;
    memset(&slot, 0xff, sizeof slot);
    slot_fill(&slot, &request, &origin);
    assert_memory_equal(slot.edge_key, edge_key, sizeof edge_key);
    assert_memory_equal(slot.channel, hash, sizeof slot.channel);
    assert_memory_equal(slot.trace.bytes, request.trace.bytes, sizeof slot.trace.bytes);
    return slot;
}

static void a_slot_says_who_asks_for_what_until_when(void **state)
{
    (void)state;
    struct wall_request slot = fill("192.0.2.7:99");
    assert_int_equal(slot.token, 42);
    assert_int_equal(slot.deadline_ns, 1000);
    assert_int_equal(slot.kind, WALL_OPERATION);
    assert_int_equal(slot.no_trace, 1);
    assert_int_equal(slot.no_key_id, 0);
    assert_int_equal(slot.operation.kind, OP_RSA_PREMASTER);
    assert_int_equal(slot.operation.u.rsa_premaster.ciphertext_length, 256);
}

static void an_ipv4_address_is_four_bytes_also_when_mapped(void **state)
{
    const uint8_t expected[16] = {192, 0, 2, 7};
    const char *const texts[] = {"192.0.2.7:99", "[::ffff:192.0.2.7]:99"};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct wall_request slot = fill(texts[i]);
        assert_int_equal(slot.from_family, AF_INET);
        assert_memory_equal(slot.from, expected, 16);
    }
}

static void an_ipv6_address_is_sixteen_bytes(void **state)
{
    const uint8_t expected[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 9};

    (void)state;
    struct wall_request slot = fill("[2001:db8::9]:99");
    assert_int_equal(slot.from_family, AF_INET6);
    assert_memory_equal(slot.from, expected, 16);
}

static void a_unix_socket_has_no_address(void **state)
{
    const uint8_t expected[16] = {0};

    (void)state;
    struct wall_request slot = fill("unix:/run/x.sock");
    assert_int_equal(slot.from_family, 0);
    assert_memory_equal(slot.from, expected, 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_slot_says_who_asks_for_what_until_when),
        cmocka_unit_test(an_ipv4_address_is_four_bytes_also_when_mapped),
        cmocka_unit_test(an_ipv6_address_is_sixteen_bytes),
        cmocka_unit_test(a_unix_socket_has_no_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
