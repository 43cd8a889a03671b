#include "common/channel_shares.h"

#include "common/channel_internal.h"

/* Of bytes read. One share is a few milliseconds of the smallest requests. */
#define SHARE_BYTES ((size_t)64 << 10)

static void on_check(uv_check_t *check)
{
    struct channel_shares *shares = check->data;

    shares_begin_turn(&shares->parties);
}

static struct channel *channel_of(struct share_waiter *waiter)
{
    return (struct channel *)((char *)waiter - offsetof(struct channel, waiter));
}

/* Runs right before the loop polls: what is served here counts in the same turn. It stops one turn after the
 * last waiter, so that the answers to that one leave. */
static void on_idle(uv_idle_t *idle)
{
    struct channel_shares *shares = idle->data;
    struct share_waiter *waiter;

    if (!shares_are_awaited(&shares->parties))
        uv_idle_stop(idle);
    while ((waiter = shares_find_next(&shares->parties)) != NULL)
        channel_io_read_share(channel_of(waiter));
}

void channel_shares_start(struct channel_shares *shares, uv_loop_t *loop)
{
    shares_init(&shares->parties, SHARE_BYTES);
    share_init(&shares->strangers);
    uv_check_init(loop, &shares->check); /* none of these can fail */
    uv_idle_init(loop, &shares->idle);
    shares->check.data = shares->idle.data = shares;
    uv_check_start(&shares->check, on_check);
}

void channel_shares_close(struct channel_shares *shares)
{
    uv_close((uv_handle_t *)&shares->check, NULL);
    uv_close((uv_handle_t *)&shares->idle, NULL);
}

void channel_shares_wait(struct channel *c)
{
    shares_wait(&c->shares->parties, c->share, &c->waiter);
    uv_idle_start(&c->shares->idle, on_idle);
}

void channel_set_share(struct channel *channel, struct share *share)
{
    if (channel->shares == NULL)
        return;
    channel->share = share;
    shares_charge(&channel->shares->parties, share, CHANNEL_HANDSHAKE_COST);
}
