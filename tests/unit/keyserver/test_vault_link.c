/* The net side's end of the wall: how many requests may gather for a vault that takes none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "common/secret.h"
#include "keyserver/net/vault_link.h"

struct fixture {
    uv_loop_t loop;
    struct vault_link *link;
    struct wall vault; /* the other end */
    uint64_t tokens;   /* submitted so far */
};

static void on_answer(const struct wall_answer *slot, void *user)
{
    (void)slot;
    (void)user;
    fail_msg("nothing is answered here");
}

static void on_lost(uint32_t wall, void *user)
{
    (void)wall;
    (void)user;
    fail_msg("the vault's end stays open");
}

static const struct vault_link_handlers handlers = {.on_answer = on_answer, .on_lost = on_lost};

static void begin_link(struct fixture *f, size_t pending_max)
{
    int net, vault;

    assert_int_equal(secret_init(), 0);
    assert_int_equal(uv_loop_init(&f->loop), 0);
    f->tokens = 0;
    f->link = vault_link_new(&f->loop, pending_max, &handlers, f);
    assert_non_null(f->link);
    assert_int_equal(wall_pair(&net, &vault), 0);
    assert_int_equal(wall_adopt(&f->vault, vault), 0);
    assert_int_equal(vault_link_adopt(f->link, net), 0);
}

static void end_link(struct fixture *f)
{
    vault_link_close(f->link);
    assert_int_equal(uv_run(&f->loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    wall_close(&f->vault);
}

/* REQUEST of an edge that does not matter here. */
static int submit_request(struct fixture *f, const struct msg_request *request, uint64_t token)
{
    static const uint8_t bytes[32];
    static const struct address from = {.u.v4.sin_family = AF_INET, .length = sizeof(struct sockaddr_in)};
    const struct slot_origin origin = {
        .token = token, .edge_key = bytes, .channel_hash = bytes, .from = &from};
    uint32_t wall;

    return vault_link_submit(f->link, request, &origin, &wall);
}

static int submit(struct fixture *f)
{
    const struct msg_request request = {.id = 1};
    int r = submit_request(f, &request, f->tokens + 1);

    if (r == 0)
        f->tokens++;
    return r;
}

/* Submits until there is no room; returns how many went in. */
static size_t fill(struct fixture *f)
{
    uint64_t before = f->tokens;
    int r;

    while ((r = submit(f)) == 0)
        assert_true(f->tokens < 100000);
    assert_int_equal(r, ERR_BUSY);
    return f->tokens - before;
}

static void as_many_wait_as_the_vault_would_queue(void **state)
{
    const size_t maxima[] = {VAULT_LINK_PENDING_MIN + 1, 4096, 5000};
    struct fixture f;

    (void)state;
    for (size_t i = 0; i < sizeof maxima / sizeof maxima[0]; i++) {
        begin_link(&f, maxima[i]);
        assert_int_equal(fill(&f), maxima[i]);
        end_link(&f);
    }
}

static void a_short_queue_still_lets_one_turn_gather(void **state)
{
    const size_t maxima[] = {0, 1, VAULT_LINK_PENDING_MIN - 1, VAULT_LINK_PENDING_MIN};
    struct fixture f;

    (void)state;
    for (size_t i = 0; i < sizeof maxima / sizeof maxima[0]; i++) {
        begin_link(&f, maxima[i]);
        assert_int_equal(fill(&f), VAULT_LINK_PENDING_MIN);
        end_link(&f);
    }
}

static void what_the_vault_takes_makes_room_and_arrives_in_order(void **state)
{
    struct wall_request slots[WALL_BATCH_MAX];
    struct fixture f;
    uint64_t token = 0;

    (void)state;
    begin_link(&f, 0);
    fill(&f);
    vault_link_flush(f.link);
    assert_true(fill(&f) > 0);
    while (token < f.tokens) {
        int count = wall_receive_requests(&f.vault, slots, WALL_BATCH_MAX);
        assert_true(count >= 0);
        for (int i = 0; i < count; i++)
            assert_int_equal(slots[i].token, ++token);
        if (count == 0)
            vault_link_flush(f.link);
    }
    end_link(&f);
}

/* The messages of the parsed request are gone when the wall takes the slot: what is pending has a copy, and
 * all copies together are bounded. */
static void handshake_messages_are_copied_and_bounded(void **state)
{
    static uint8_t messages[HANDSHAKE_MAX];
    struct msg_request request = {.operation.kind = OP_RSA_MASTER};
    struct wall_request got[WALL_BATCH_MAX];
    struct fixture f;
    size_t count = 0;
    int r;

    (void)state;
    begin_link(&f, 4096);
    request.operation.u.rsa_master.messages = messages;
    request.operation.u.rsa_master.length = sizeof messages;
    memset(messages, 0x5a, sizeof messages);
    while ((r = submit_request(&f, &request, 1)) == 0)
        count++;
    assert_int_equal(r, ERR_BUSY);
    assert_int_equal(count, VAULT_LINK_HELD_MAX / HANDSHAKE_MAX);
    memset(messages, 0, sizeof messages);
    vault_link_flush(f.link);
    assert_true(wall_receive_requests(&f.vault, got, WALL_BATCH_MAX) > 0);
    assert_int_equal(wall_request_check(&got[0]), 0);
    assert_int_equal(got[0].operation.u.rsa_master.length, sizeof messages);
    for (size_t i = 0; i < sizeof messages; i++)
        assert_int_equal(got[0].operation.u.rsa_master.messages[i], 0x5a);
    assert_int_equal(submit_request(&f, &request, 1), 0); /* what has left makes room */
    end_link(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_many_wait_as_the_vault_would_queue),
        cmocka_unit_test(a_short_queue_still_lets_one_turn_gather),
        cmocka_unit_test(what_the_vault_takes_makes_room_and_arrives_in_order),
        cmocka_unit_test(handshake_messages_are_copied_and_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
