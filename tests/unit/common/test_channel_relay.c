/* A man in the middle: whatever a relay does to the bytes, no message is added, changed or moved. */
#include "tests/unit/common/channel_peer.h"

/* ---- a relay between edge and server that tampers with what the edge sends ---- */

struct relay {
    struct pair *p;
    int listening, edge, server;
    struct buffer from_edge; /* not yet forwarded */
    bool handshake_done;     /* message 1 is through */
    unsigned frames;         /* forwarded or tampered with */
    struct buffer held;      /* a frame kept back */
    void (*tamper)(struct relay *r, uint8_t *frame, size_t length);
    void (*tamper_message1)(uint8_t *message);
    void (*tamper_back)(uint8_t *bytes, size_t length);
    bool cut; /* the test is over: both sides are gone */
};

static void to_server(struct relay *r, const void *bytes, size_t length)
{
    if (!r->cut)
        send(r->server, bytes, length, MSG_NOSIGNAL); /* it may have closed already */
}

static void relay_cut(struct relay *r)
{
    if (r->cut)
        return;
    r->cut = true;
    close(r->edge);
    close(r->server);
}

static void relay_start(struct relay *r, struct pair *p)
{
    struct fault fault;
    struct address address;
    memset(r, 0, sizeof *r);
    r->p = p;
    assert_int_equal(address_parse(&address, "127.0.0.1:0", 0, &fault), 0);
    r->listening = address_listen(&address, false, 1, &fault);
    assert_int_equal(address_of_socket(r->listening, &address), 0);
    pair_connect_to(p, &address);
    r->edge = -1;
    while (r->edge < 0) {
        uv_run(&p->loop, UV_RUN_NOWAIT);
        r->edge = accept4(r->listening, NULL, NULL, SOCK_CLOEXEC);
    }
    close(r->listening);
    r->server = peer_connect(&p->address);
}

static void forward_frames(struct relay *r)
{
    while (!r->cut && buffer_length(&r->from_edge) >= FRAME_HEADER_SIZE) {
        uint8_t *frame = r->from_edge.bytes + r->from_edge.start;
        size_t length = FRAME_HEADER_SIZE + ((size_t)frame[0] << 8 | frame[1]);
        if (buffer_length(&r->from_edge) < length)
            return;
        if (r->tamper != NULL)
            r->tamper(r, frame, length);
        else
            to_server(r, frame, length);
        r->frames++;
        buffer_consume(&r->from_edge, length);
    }
}

static void relay_step(struct relay *r)
{
    uint8_t bytes[4096];
    ssize_t got;
    if (r->cut)
        return;
    while ((got = recv(r->edge, bytes, sizeof bytes, MSG_DONTWAIT)) > 0)
        assert_int_equal(buffer_put(&r->from_edge, bytes, (size_t)got), 0);
    bool edge_gone = got == 0;
    if (!r->handshake_done && buffer_length(&r->from_edge) >= NOISE_MESSAGE1_SIZE) {
        if (r->tamper_message1 != NULL)
            r->tamper_message1(r->from_edge.bytes + r->from_edge.start);
        to_server(r, buffer_bytes(&r->from_edge), NOISE_MESSAGE1_SIZE);
        buffer_consume(&r->from_edge, NOISE_MESSAGE1_SIZE);
        r->handshake_done = true;
    }
    if (r->handshake_done)
        forward_frames(r);
    if (r->cut)
        return;
    while ((got = recv(r->server, bytes, sizeof bytes, MSG_DONTWAIT)) > 0) {
        if (r->tamper_back != NULL)
            r->tamper_back(bytes, (size_t)got);
        send(r->edge, bytes, (size_t)got, MSG_NOSIGNAL);
    }
    if (got == 0 || edge_gone)
        relay_cut(r);
}

static void relay_clear(struct relay *r)
{
    relay_cut(r);
    buffer_clear(&r->from_edge);
    buffer_clear(&r->held);
}

/* Frame 0 is the greeting, frames 1, 2, 3 carry "a", "b", "c". */
static void expect(void (*tamper)(struct relay *r, uint8_t *frame, size_t length), int why, unsigned messages)
{
    struct pair p;
    struct relay r;
    pair_init(&p);
    p.settings.ping_interval_ms = 0; /* a ping when it opens would be a frame as well */
    pair_listen(&p);
    relay_start(&r, &p);
    r.tamper = tamper;
    SPIN_UNTIL(&p, relay_step(&r), p.edge.opened == 1);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(channel_send(p.edge.channel, &"abc"[i], 1), 0);
    SPIN_UNTIL(&p, relay_step(&r), p.server.closed == 1);
    assert_int_equal(p.server.why, why);
    assert_int_equal(p.server.messages, messages);
    SPIN_UNTIL(&p, relay_step(&r), p.edge.closed == 1);
    assert_int_equal(p.edge.why, ERR_CUT);
    relay_clear(&r);
    pair_clear(&p);
}

static size_t flipped_byte; /* of the frame, header included */

static void flip(struct relay *r, uint8_t *frame, size_t length)
{
    if (r->frames == 2)
        frame[flipped_byte] ^= 0x10;
    to_server(r, frame, length);
}

static void flipped_bits_end_it(void **state)
{
    (void)state;
    for (flipped_byte = 2; flipped_byte < 2 + 2 + NOISE_TAG_SIZE; flipped_byte++)
        expect(flip, ERR_CRYPTO, 2);
}

static void shorten(struct relay *r, uint8_t *frame, size_t length)
{
    if (r->frames == 2)
        frame[1] = (uint8_t)(frame[1] - 1);
    to_server(r, frame, length);
}

static void shorten_below_minimum(struct relay *r, uint8_t *frame, size_t length)
{
    if (r->frames == 2)
        frame[1] = NOISE_TAG_SIZE;
    to_server(r, frame, length);
}

static void changed_lengths_end_it(void **state)
{
    (void)state;
    expect(shorten, ERR_CRYPTO, 2);
    expect(shorten_below_minimum, ERR_FORMAT, 2);
}

static void replay(struct relay *r, uint8_t *frame, size_t length)
{
    to_server(r, frame, length);
    if (r->frames == 1)
        to_server(r, frame, length);
}

static void omit(struct relay *r, uint8_t *frame, size_t length)
{
    if (r->frames != 1)
        to_server(r, frame, length);
}

static void reorder(struct relay *r, uint8_t *frame, size_t length)
{
    if (r->frames == 1) {
        assert_int_equal(buffer_put(&r->held, frame, length), 0);
        return;
    }
    to_server(r, frame, length);
    if (r->frames == 2)
        to_server(r, buffer_bytes(&r->held), buffer_length(&r->held));
}

static void replayed_omitted_and_reordered_frames_end_it(void **state)
{
    (void)state;
    expect(replay, ERR_CRYPTO, 2);
    expect(omit, ERR_CRYPTO, 1);
    expect(reorder, ERR_CRYPTO, 1);
}

static void truncate_inside(struct relay *r, uint8_t *frame, size_t length)
{
    to_server(r, frame, r->frames == 2 ? length / 2 : length);
    if (r->frames == 2)
        relay_cut(r);
}

static void truncate_between(struct relay *r, uint8_t *frame, size_t length)
{
    to_server(r, frame, length);
    if (r->frames == 2)
        relay_cut(r);
}

static void a_truncated_stream_is_a_cut_and_not_an_end(void **state)
{
    (void)state;
    expect(truncate_inside, ERR_CUT, 2);
    expect(truncate_between, ERR_CUT, 3);
}

static void reflect(struct relay *r, uint8_t *frame, size_t length)
{
    if (r->frames == 0)
        to_server(r, frame, length);
    else
        send(r->edge, frame, length, MSG_NOSIGNAL);
}

static void its_own_frames_do_not_open_at_the_edge(void **state)
{
    (void)state;
    struct pair p;
    struct relay r;
    pair_init(&p);
    pair_listen(&p);
    relay_start(&r, &p);
    r.tamper = reflect;
    SPIN_UNTIL(&p, relay_step(&r), p.edge.opened == 1);
    assert_int_equal(channel_send(p.edge.channel, "a", 1), 0);
    SPIN_UNTIL(&p, relay_step(&r), p.edge.closed == 1 && p.server.closed == 1);
    assert_int_equal(p.edge.why, ERR_CRYPTO);
    assert_int_equal(p.edge.messages, 0);
    relay_clear(&r);
    pair_clear(&p);
}

/* Before authentication: the server says why in its counters only. */
static void expect_drop(struct pair *p, struct relay *r, int why, enum channel_drop drop)
{
    SPIN_UNTIL(p, relay_step(r), p->edge.closed == 1 && p->drops[drop] == 1);
    assert_int_equal(p->edge.why, why);
    assert_int_equal(p->server.opened + p->server.closed, 0);
    relay_clear(r);
    pair_clear(p);
}

static void flip_message(uint8_t *message)
{
    message[40] ^= 1;
}

static void flip_back(uint8_t *bytes, size_t length)
{
    bytes[length - 1] ^= 1;
}

static void flip_first(struct relay *r, uint8_t *frame, size_t length)
{
    frame[length - 1] ^= 1;
    to_server(r, frame, length);
}

static void a_tampered_handshake_opens_nothing(void **state)
{
    (void)state;
    struct pair p;
    struct relay r;
    pair_init(&p);
    pair_listen(&p);
    relay_start(&r, &p);
    r.tamper_message1 = flip_message;
    expect_drop(&p, &r, ERR_CUT, DROP_HANDSHAKE);

    pair_init(&p);
    pair_listen(&p);
    relay_start(&r, &p);
    r.tamper_back = flip_back;
    expect_drop(&p, &r, ERR_CRYPTO, DROP_PSK);

    pair_init(&p);
    pair_listen(&p);
    relay_start(&r, &p);
    r.tamper = flip_first;
    expect_drop(&p, &r, ERR_CUT, DROP_PSK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flipped_bits_end_it),
        cmocka_unit_test(changed_lengths_end_it),
        cmocka_unit_test(replayed_omitted_and_reordered_frames_end_it),
        cmocka_unit_test(a_truncated_stream_is_a_cut_and_not_an_end),
        cmocka_unit_test(its_own_frames_do_not_open_at_the_edge),
        cmocka_unit_test(a_tampered_handshake_opens_nothing),
    };
    return cmocka_run_group_tests(tests, pair_start_library, NULL);
}
