#include "common/channel_turns.h"

#include "common/channel_internal.h"

/* In bytes read. One share is a few milliseconds of the smallest requests. */
#define TURN_SHARE ((size_t)64 << 10)

static void on_check(uv_check_t *check)
{
    struct channel_turns *turns = check->data;

    shares_begin_turn(&turns->shares);
}

static struct channel *channel_of(struct share_waiter *waiter)
{
    return (struct channel *)((char *)waiter - offsetof(struct channel, waiter));
}

/* Right before the loop looks for what else has come: what is served here uses up the same turn. It stops one
 * turn after the last that waited, so that the answers to that one leave. */
static void on_idle(uv_idle_t *idle)
{
    struct channel_turns *turns = idle->data;
    struct share_waiter *waiter;

    if (!shares_are_awaited(&turns->shares))
        uv_idle_stop(idle);
    while ((waiter = shares_find_next(&turns->shares)) != NULL)
        channel_io_take_turn(channel_of(waiter));
}

void channel_turns_start(struct channel_turns *turns, uv_loop_t *loop)
{
    shares_init(&turns->shares, TURN_SHARE);
    share_init(&turns->strangers);
    uv_check_init(loop, &turns->check); /* none of these can fail */
    uv_idle_init(loop, &turns->idle);
    turns->check.data = turns->idle.data = turns;
    uv_check_start(&turns->check, on_check);
}

void channel_turns_close(struct channel_turns *turns)
{
    uv_close((uv_handle_t *)&turns->check, NULL);
    uv_close((uv_handle_t *)&turns->idle, NULL);
}

void channel_turns_wait(struct channel *c)
{
    shares_wait(&c->turns->shares, c->share, &c->waiter);
    uv_idle_start(&c->turns->idle, on_idle);
}

void channel_set_share(struct channel *channel, struct share *share)
{
    if (channel->turns == NULL)
        return;
    channel->share = share;
    shares_charge(&channel->turns->shares, share, CHANNEL_HANDSHAKE_COST);
}
