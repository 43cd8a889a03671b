#include "edge/daemon/lookups.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/shell.h"

#define FIRST_MS      2000  /* the start waits at most so long for the first answers */
#define ORIGIN_MS     10000 /* between two look-ups of the origin's name */
#define ORIGIN_AGE_MS 5000u
#define TAKES_MAX     64 /* answers in one turn of the loop */

static void ask_resolver(size_t number, const char *host, void *user)
{
    const struct setup *setup = user;

    resolver_ask(&setup->resolver, number, host);
}

/* Logs what has changed. */
static void log_answer(struct lookups *lookups, const struct resolver_answer *answer)
{
    struct names *names = &lookups->setup->names;
    char address[ADDRESS_TEXT_SIZE] = "-";
    bool failed = answer->count == 0;

    if (lookups->failed[answer->number] == failed)
        return;
    lookups->failed[answer->number] = failed;
    if (failed) {
        log_event(LOG_ERROR, "name_failed",
                  "name=%s error=\"%s\" hint=\"what was known last goes on to be used; "
                  "is the name right, and do the name servers know it? see: getent ahosts %s\"",
                  names_host(names, answer->number), answer->why,
                  SHELL_WORD(names_host(names, answer->number)));
        return;
    }
    address_text(&answer->addresses[0], address);
    log_event(LOG_INFO, "name_found", "name=%s address=%s addresses=%zu", names_host(names, answer->number),
              address, answer->count);
}

static void ask_all(struct setup *setup)
{
    uint64_t now = clock_ns();

    for (size_t i = 0; i < setup->origins.count; i++)
        (void)endpoint_is_fresh(&setup->origins.route[i].endpoint, now, 0);
    for (size_t i = 0; i < setup->key_servers.count; i++)
        (void)endpoint_is_fresh(&setup->key_servers.servers[i].endpoint, now, 0);
}

/* The new process knows nothing of what the old one was asked, so everything is asked again. */
static void on_restart(struct setup *setup, const struct resolver_answer *answer)
{
    counter_add(&setup->resolver_restarts, 1);
    log_event(
        LOG_ERROR, "resolver_restarted",
        "error=\"the process that looks names up has died: %s\" hint=\"it runs again; if it was not ended "
        "on purpose, look at what the C library does with the answers of the name servers\"",
        answer->why);
    names_forget_asked(&setup->names);
    ask_all(setup);
}

/* 0 when everything was taken, or when there may be more; ERR_CLOSED. */
static int take_answers(struct lookups *lookups)
{
    struct setup *setup = lookups->setup;
    struct resolver_answer answer;

    for (int i = 0; i < TAKES_MAX; i++) {
        int err = resolver_take(&setup->resolver, &answer);
        if (err)
            return err == ERR_BUSY ? 0 : err;
        if (answer.number == RESOLVER_RESTARTED)
            on_restart(setup, &answer);
        if (answer.number >= setup->names.count)
            continue;
        log_answer(lookups, &answer);
        names_put(&setup->names, answer.number, answer.addresses, answer.count, answer.why, clock_ns());
    }
    return 0;
}

static void on_answer(uv_poll_t *poll, int status, int events)
{
    struct lookups *lookups = poll->data;

    (void)status, (void)events;
    if (take_answers(lookups) == 0)
        return;
    uv_poll_stop(poll);
    log_event(LOG_ERROR, "resolver_gone",
              "error=\"the processes that look names up have ended\" hint=\"what is known "
              "of names goes on to be used; restart keyless-edge to have them looked up again\"");
}

static void on_timer(uv_timer_t *timer)
{
    struct lookups *lookups = timer->data;

    for (size_t i = 0; i < lookups->setup->origins.count; i++)
        (void)endpoint_is_fresh(&lookups->setup->origins.route[i].endpoint, clock_ns(),
                                ORIGIN_AGE_MS * (uint64_t)NS_PER_MS);
}

static void await_first(struct lookups *lookups)
{
    struct setup *setup = lookups->setup;
    uint64_t end = clock_ns() + FIRST_MS * (uint64_t)NS_PER_MS;

    for (uint64_t now; names_answered(&setup->names) < setup->names.count && (now = clock_ns()) < end;) {
        struct pollfd wait = {.fd = setup->resolver.fd, .events = POLLIN};
        int ready = poll(&wait, 1, (int)((end - now) / NS_PER_MS) + 1);
        if ((ready > 0 && take_answers(lookups) != 0) || (ready < 0 && errno != EINTR))
            return; /* the loop will find and report the same */
    }
}

int lookups_start(struct lookups *lookups, uv_loop_t *loop, struct setup *setup, struct fault *fault)
{
    *lookups = (struct lookups){0};
    if (setup->names.count == 0)
        return 0;
    lookups->failed = calloc(setup->names.count, sizeof *lookups->failed);
    if (lookups->failed == NULL || uv_poll_init(loop, &lookups->poll, setup->resolver.fd) != 0) {
        free(lookups->failed);
        lookups->failed = NULL;
        return fault_set(fault, ERR_MEMORY, "no memory for %zu names", setup->names.count);
    }
    lookups->setup = setup;
    lookups->poll.data = lookups->timer.data = lookups;
    uv_timer_init(loop, &lookups->timer);
    setup->names.user = setup;
    setup->names.ask = ask_resolver;
    ask_all(setup);
    await_first(lookups);
    uv_poll_start(&lookups->poll, UV_READABLE, on_answer);
    uv_timer_start(&lookups->timer, on_timer, ORIGIN_MS, ORIGIN_MS);
    return 0;
}

void lookups_close(struct lookups *lookups)
{
    if (lookups->setup == NULL || lookups->closed)
        return;
    lookups->closed = true;
    uv_close((uv_handle_t *)&lookups->poll, NULL);
    uv_close((uv_handle_t *)&lookups->timer, NULL);
}

void lookups_clear(struct lookups *lookups)
{
    free(lookups->failed);
    *lookups = (struct lookups){0};
}
