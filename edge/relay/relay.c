#include "edge/relay/relay.h"

#include <stdlib.h>
#include <string.h>

/* ---- buffers ---- */

static uint8_t *scratch_take(struct relay_scratch *scratch)
{
    uint8_t *bytes = scratch->bytes;

    scratch->bytes = NULL;
    return bytes ? bytes : malloc(RELAY_BUFFER_SIZE);
}

static void scratch_return(struct relay_scratch *scratch, uint8_t *bytes)
{
    if (scratch->bytes)
        free(bytes);
    else
        scratch->bytes = bytes;
}

void relay_scratch_clear(struct relay_scratch *scratch)
{
    free(scratch->bytes);
    scratch->bytes = NULL;
}

static bool flow_empty(const struct relay_flow *flow)
{
    return flow->start == flow->end;
}

static void flow_release(struct relay_flow *flow, struct relay_scratch *scratch)
{
    if (flow->bytes && flow->whole)
        scratch_return(scratch, flow->bytes);
    else
        free(flow->bytes);
    flow->bytes = NULL;
    flow->start = flow->end = 0;
}

/* While the sink takes nothing, a waiting buffer keeps no more memory than it needs. */
static void flow_shrink(struct relay_flow *flow, struct relay_scratch *scratch)
{
    size_t left = flow->end - flow->start;
    uint8_t *copy = flow->whole ? malloc(left) : NULL;

    if (!copy)
        return;
    memcpy(copy, flow->bytes + flow->start, left);
    scratch_return(scratch, flow->bytes);
    flow->bytes = copy;
    flow->whole = false;
    flow->start = 0;
    flow->end = left;
}

/* ---- one direction ---- */

/* The state of one direction during one run. */
struct run {
    struct relay_flow *flow;
    const struct relay_end *source;
    const struct relay_end *sink;
    struct relay_scratch *scratch;
    struct relay_step *step;
    unsigned *source_events;
    unsigned *sink_events;
    enum relay_direction direction;
    unsigned source_wants; /* what the last read waits for */
    bool dry;              /* the source has nothing to read at the moment */
    bool linger;           /* the source is to close: what it still sends is read, so that it sees no reset */
};

static unsigned wanted(int result)
{
    return result == RELAY_WANT_WRITE ? RELAY_WRITABLE : RELAY_READABLE;
}

/* Reads until the buffer is full, the source is dry, or it ends, within the budget of one run. False when it
 * gave nothing. */
static bool read_flow(struct run *run)
{
    struct relay_flow *flow = run->flow;

    if (!flow->bytes && !(flow->bytes = scratch_take(run->scratch))) {
        run->step->no_memory = true;
        return false;
    }
    flow->whole = true;
    flow->start = flow->end = 0;
    int reads = 0;
    while (flow->end < RELAY_BUFFER_SIZE && reads++ < RELAY_READS && !run->dry && !flow->ended &&
           !flow->cut) {
        int n = run->source->type->read(run->source->user, flow->bytes + flow->end,
                                        RELAY_BUFFER_SIZE - flow->end, &run->dry);
        if (n > 0) {
            flow->end += (size_t)n;
        } else if (n == RELAY_ENDED) {
            flow->ended = true;
        } else if (n == RELAY_CUT) {
            flow->cut = true;
        } else {
            run->source_wants = wanted(n);
            run->dry = true;
        }
    }
    return !flow_empty(flow);
}

/* Writes what waits. False when something is left. */
static bool flush(struct run *run)
{
    struct relay_flow *flow = run->flow;

    while (!flow_empty(flow) && !flow->broken) {
        int n = run->sink->type->write(run->sink->user, flow->bytes + flow->start, flow->end - flow->start);
        if (n > 0) {
            flow->start += (size_t)n;
            flow->moved += (uint64_t)n;
            run->step->moved[run->direction] += (uint64_t)n;
        } else if (n == RELAY_WANT_READ || n == RELAY_WANT_WRITE) {
            *run->sink_events |= wanted(n);
            flow_shrink(flow, run->scratch);
            return false;
        } else {
            flow->broken = true;
        }
    }
    flow_release(flow, run->scratch);
    return true;
}

static void finish_flow(struct run *run)
{
    struct relay_flow *flow = run->flow;

    if (flow->finished)
        return;
    if (flow->broken) {
        flow->finished = true;
        return;
    }
    int n = run->sink->type->finish(run->sink->user);
    if (n == RELAY_WANT_READ || n == RELAY_WANT_WRITE)
        *run->sink_events |= wanted(n);
    else if (n > 0)
        flow->finished = true;
    else
        flow->broken = flow->finished = true;
}

/* The source of a broken sink is read only until it has closed, or not at all. */
static bool may_read(const struct run *run)
{
    return !run->flow->ended && !run->flow->cut && (!run->flow->broken || run->linger);
}

static void run_flow(struct run *run)
{
    struct relay_flow *flow = run->flow;

    for (int round = 0; round < RELAY_ROUNDS; round++) {
        if (!flush(run))
            return;
        if (flow->ended) {
            finish_flow(run);
            return;
        }
        if (!may_read(run))
            return;
        if (run->dry)
            break;
        if (!read_flow(run)) {
            flow_release(flow, run->scratch);
            if (run->step->no_memory)
                return;
        }
    }
    if (!flush(run))
        return;
    if (flow->ended)
        finish_flow(run);
    else if (run->dry && may_read(run))
        *run->source_events |= run->source_wants ? run->source_wants : RELAY_READABLE;
    else if (may_read(run))
        run->step->again = true;
}

/* ---- both ---- */

void relay_run(struct relay *relay, const struct relay_end *client, const struct relay_end *origin,
               struct relay_scratch *scratch, struct relay_step *step)
{
    struct relay_flow *up = &relay->flow[RELAY_TO_ORIGIN];
    struct relay_flow *down = &relay->flow[RELAY_TO_CLIENT];

    *step = (struct relay_step){0};
    struct run to_client = {
        .flow = down,
        .source = origin,
        .sink = client,
        .scratch = scratch,
        .step = step,
        .source_events = &step->origin_events,
        .sink_events = &step->client_events,
        .direction = RELAY_TO_CLIENT,
    };
    run_flow(&to_client);
    struct run to_origin = {
        .flow = up,
        .source = client,
        .sink = origin,
        .scratch = scratch,
        .step = step,
        .source_events = &step->client_events,
        .sink_events = &step->origin_events,
        .direction = RELAY_TO_ORIGIN,
        .linger = down->finished,
    };
    run_flow(&to_origin);

    step->client_ended = up->ended;
    step->origin_ended = down->ended;
    step->client_cut = up->cut || down->broken;
    step->origin_cut = down->cut && flow_empty(down);
    step->done = up->finished && down->finished;
}

void relay_drop_origin(struct relay *relay)
{
    struct relay_flow *up = &relay->flow[RELAY_TO_ORIGIN];

    up->broken = true;
    relay->flow[RELAY_TO_CLIENT].ended = true;
}

bool relay_pending(const struct relay *relay)
{
    return !flow_empty(&relay->flow[RELAY_TO_ORIGIN]) || !flow_empty(&relay->flow[RELAY_TO_CLIENT]);
}

void relay_clear(struct relay *relay)
{
    for (int i = 0; i < RELAY_DIRECTIONS; i++)
        free(relay->flow[i].bytes);
    *relay = (struct relay){0};
}
