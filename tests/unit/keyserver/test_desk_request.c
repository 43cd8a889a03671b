/* What the desk makes of a slot: everything that it says, and nothing of the wall's form. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <string.h>

#include "keyserver/vault/desk_request.h"

static struct wall_request slot_from(int family, const char *text)
{
    struct wall_request slot = {.token = 42,
                                .deadline_ns = 1000,
                                .kind = WALL_OPERATION,
                                .from_family = (uint32_t)family,
                                .operation = {.kind = OP_RSA_PREMASTER}};
    memset(slot.edge_key, 0xee, sizeof slot.edge_key);
    memset(slot.trace.bytes, 0x77, sizeof slot.trace.bytes);
    memset(slot.channel, 0xcc, sizeof slot.channel);
    if (text != NULL)
        assert_int_equal(inet_pton(family, text, slot.from), 1);
    return slot;
}

static void a_request_says_what_its_slot_says(void **state)
{
    struct wall_request slot = slot_from(AF_INET, "192.0.2.7");
    struct key_request request;
    (void)state;
    memset(&request, 0xff, sizeof request);
    desk_request_make(&request, &slot);
    assert_int_equal(request.token, 42);
    assert_int_equal(request.deadline_ns, 1000);
    assert_memory_equal(request.trace.bytes, slot.trace.bytes, sizeof slot.trace.bytes);
    assert_memory_equal(request.channel, slot.channel, sizeof slot.channel);
    assert_false(request.no_trace);
    assert_false(request.no_key_id);
}

/* Any byte but 0 says that there is none: the slot is the net process's word. */
static void what_was_not_sent_is_told_apart(void **state)
{
    struct key_request request;
    (void)state;
    for (unsigned i = 0; i < 256; i++) {
        struct wall_request slot = slot_from(AF_INET, "192.0.2.7");
        slot.no_trace = (uint8_t)i;
        slot.no_key_id = (uint8_t)(255 - i);
        desk_request_make(&request, &slot);
        assert_int_equal(request.no_trace, i != 0);
        assert_int_equal(request.no_key_id, i != 255);
    }
}

/* The longest of what a slot holds is borrowed, not copied. */
static void operation_and_edge_key_stay_in_the_slot(void **state)
{
    struct wall_request slot = slot_from(AF_INET, "192.0.2.7");
    struct key_request request;
    (void)state;
    desk_request_make(&request, &slot);
    assert_ptr_equal(request.operation, &slot.operation);
    assert_ptr_equal(request.edge_key, slot.edge_key);
}

static void assert_from(const struct wall_request *slot, const char *text)
{
    struct key_request request;
    struct address expected;
    struct fault fault;
    memset(&request, 0xff, sizeof request);
    desk_request_make(&request, slot);
    assert_int_equal(address_parse(&expected, text, 0, &fault), 0);
    assert_int_equal(request.from.u.any.sa_family, expected.u.any.sa_family);
    assert_int_equal(request.from.length, expected.length);
    assert_memory_equal(&request.from.u, &expected.u, expected.length);
}

static void an_address_is_one_of_its_family_without_a_port(void **state)
{
    struct wall_request v4 = slot_from(AF_INET, "192.0.2.7"), v6 = slot_from(AF_INET6, "2001:db8::9");
    (void)state;
    assert_from(&v4, "192.0.2.7:0");
    assert_from(&v6, "[2001:db8::9]:0");
}

/* Also a number that no sound net process writes: it has no network that a rule could name. */
static void every_other_family_is_a_unix_socket_without_a_path(void **state)
{
    static const uint32_t families[] = {0, AF_UNIX, AF_PACKET, 0x10000 + AF_INET, UINT32_MAX};
    (void)state;
    for (size_t i = 0; i < sizeof families / sizeof families[0]; i++) {
        struct wall_request slot = slot_from(0, NULL);
        struct key_request request;
        slot.from_family = families[i];
        memset(slot.from, 0xab, sizeof slot.from);
        memset(&request, 0xff, sizeof request);
        desk_request_make(&request, &slot);
        assert_int_equal(request.from.u.any.sa_family, AF_UNIX);
        assert_int_equal(request.from.length, sizeof(sa_family_t));
        assert_int_equal(request.from.u.local.sun_path[0], 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_says_what_its_slot_says),
        cmocka_unit_test(what_was_not_sent_is_told_apart),
        cmocka_unit_test(operation_and_edge_key_stay_in_the_slot),
        cmocka_unit_test(an_address_is_one_of_its_family_without_a_port),
        cmocka_unit_test(every_other_family_is_a_unix_socket_without_a_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
