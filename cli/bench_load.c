#include "cli/bench_load.h"

#include <stdlib.h>
#include <string.h>

#include "cli/bench_work.h"
#include "common/clock.h"
#include "common/secret.h"

#define DEADLINE_NS 10000000000u
#define PROGRESS_MS 100

/* One place in flight: its next request is made when the last one is answered. */
struct place {
    struct client_request request;
    struct client *client; /* borrowed */
    uint64_t begun_ns;
    struct bench_messages messages;
};

enum phase { WARM_UP, MEASURING, ENDING };

struct load {
    struct bench_channels *channels; /* borrowed, as the next three */
    const struct bench_case *one;
    const struct bench_settings *settings;
    struct bench_result *result;
    struct place *places; /* owned */
    size_t open;          /* requests in flight */
    enum phase phase;
    uv_timer_t turn;  /* of the phases */
    uv_timer_t ticks; /* of progress */
    unsigned timers;  /* that are not closed */
    uint64_t started_ns, begin_ns;
    struct bench_cpu_times cpu;
};

/* ---- phases ---- */

static void begin_measuring(struct load *load)
{
    load->phase = MEASURING;
    load->begin_ns = clock_ns();
    load->result->cpu_known = bench_cpu_read(load->settings->cpu, &load->cpu);
}

static void note_cpu(struct load *load)
{
    struct bench_cpu_times now;
    load->result->cpu_known = load->result->cpu_known && bench_cpu_read(load->settings->cpu, &now);
    for (size_t i = 0; load->result->cpu_known && i < load->settings->cpu->count; i++)
        load->result->cpu_ns[i] = now.ns[i] - load->cpu.ns[i];
}

static void end_load(struct load *load)
{
    if (load->phase == MEASURING) {
        note_cpu(load);
        load->result->seconds = (double)(clock_ns() - load->begin_ns) / 1e9;
    }
    load->phase = ENDING;
    uv_timer_stop(&load->turn);
    if (load->open == 0)
        uv_stop(&load->channels->loop);
}

static void on_turn(uv_timer_t *timer)
{
    struct load *load = timer->data;
    if (load->phase == WARM_UP) {
        begin_measuring(load);
        uv_update_time(&load->channels->loop);
        uv_timer_start(timer, on_turn, load->settings->measure_ns / NS_PER_MS, 0);
        return;
    }
    end_load(load);
}

static void on_tick(uv_timer_t *timer)
{
    const struct load *load = timer->data;
    double all = (double)(load->settings->warm_up_ns + load->settings->measure_ns);
    double done = (double)(clock_ns() - load->started_ns) / all;
    load->settings->on_progress(done < 1 ? done : 1, load->settings->user);
}

/* ---- requests ---- */

static void on_answer(struct client_request *request);

/* A request that cannot even be sent fails at once. */
static enum operation_status submit(struct load *load, struct place *place)
{
    struct client_epoch epoch = {0};
    enum operation_status status = STATUS_OK;
    if (operation_mode(load->one->kind) == MODE_BOUND &&
        client_choose_epoch(place->client, &epoch) != EPOCH_CHOSEN)
        status = STATUS_UNAVAILABLE;
    else if (bench_work_fill(&place->request.operation, load->one, load->settings->name, epoch.key,
                             &place->messages) != 0)
        status = STATUS_REFUSED;
    place->request.epoch = epoch.id;
    wipe(&epoch, sizeof epoch);
    place->begun_ns = clock_ns();
    place->request.deadline_ns = place->begun_ns + DEADLINE_NS;
    trace_id_new(&place->request.trace);
    if (status == STATUS_OK && client_submit(place->client, &place->request) != 0)
        status = STATUS_UNAVAILABLE;
    load->open += status == STATUS_OK;
    return status;
}

/* A refusal is final, and so is that no server is there. */
static void note_failure(struct load *load, enum operation_status status)
{
    load->result->failed[status]++;
    if (status != STATUS_BUSY && status != STATUS_EXPIRED)
        end_load(load);
}

static void submit_next(struct load *load, struct place *place)
{
    enum operation_status status = load->phase != ENDING ? submit(load, place) : STATUS_OK;
    if (status != STATUS_OK)
        note_failure(load, status);
}

static void on_answer(struct client_request *request)
{
    struct load *load = request->user;
    struct place *place = (struct place *)((char *)request - offsetof(struct place, request));
    enum operation_status status = request->outcome.status;
    load->open--;
    if (status == STATUS_OK && load->phase == MEASURING)
        bench_histogram_add(&load->result->latency, request->answered_ns - place->begun_ns);
    wipe(&request->outcome, sizeof request->outcome);
    if (status != STATUS_OK)
        note_failure(load, status);
    submit_next(load, place);
    if (load->phase == ENDING && load->open == 0)
        uv_stop(&load->channels->loop);
}

/* ---- the whole ---- */

static void start_load(struct load *load, unsigned depth)
{
    uv_loop_t *loop = &load->channels->loop;
    uv_timer_init(loop, &load->turn); /* these cannot fail */
    uv_timer_init(loop, &load->ticks);
    load->turn.data = load->ticks.data = load;
    uv_update_time(loop);
    uv_timer_start(&load->turn, on_turn, load->settings->warm_up_ns / NS_PER_MS, 0);
    if (load->settings->on_progress != NULL)
        uv_timer_start(&load->ticks, on_tick, PROGRESS_MS, PROGRESS_MS);
    load->started_ns = clock_ns();
    for (unsigned i = 0; i < depth && load->phase != ENDING; i++) {
        struct place *place = &load->places[i];
        place->client = load->channels->client[i % load->channels->count];
        place->request.on_answer = on_answer;
        place->request.user = load;
        submit_next(load, place);
    }
}

static void on_closed(uv_handle_t *timer)
{
    struct load *load = timer->data;
    load->timers--;
}

static void finish_load(struct load *load)
{
    load->timers = 2;
    uv_close((uv_handle_t *)&load->turn, on_closed);
    uv_close((uv_handle_t *)&load->ticks, on_closed);
    while (load->timers > 0)
        uv_run(&load->channels->loop, UV_RUN_ONCE);
    free(load->places);
}

int bench_load_run(struct bench_channels *channels, const struct bench_case *one, unsigned depth,
                   const struct bench_settings *settings, struct bench_result *result)
{
    struct load load = {.channels = channels, .one = one, .settings = settings, .result = result};
    memset(result, 0, sizeof *result);
    load.places = calloc(depth, sizeof *load.places);
    if (load.places == NULL)
        return ERR_MEMORY;
    start_load(&load, depth);
    if (load.phase != ENDING || load.open > 0)
        uv_run(&channels->loop, UV_RUN_DEFAULT);
    finish_load(&load);
    return 0;
}

uint64_t bench_result_failed(const struct bench_result *result)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < STATUS_KINDS; i++)
        sum += result->failed[i];
    return sum;
}
