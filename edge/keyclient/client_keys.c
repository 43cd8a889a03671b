/* client_keys(): the same question to every connected server, each answer of any number of parts. */
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "edge/keyclient/client_state.h"

#define KEYS_MAX 65536 /* of one server */

struct job;

/* The question to one server. */
struct question {
    struct client_request request;
    struct job *job;       /* borrowed */
    const char *server;    /* NULL: no server is asked, and the request only brings the end */
    struct key_info *keys; /* owned */
    size_t count;
};

struct job {
    client_keys_handler on_keys;
    void *user;
    size_t due; /* questions without an answer */
    size_t count;
    struct question questions[];
};

static int on_part(struct client_request *request, const struct key_info *keys, size_t count)
{
    struct question *question = request->user;

    if (count > KEYS_MAX - question->count)
        return ERR_LENGTH;
    struct key_info *all = realloc(question->keys, (question->count + count) * sizeof *all);
    if (all == NULL)
        return ERR_MEMORY;
    memcpy(all + question->count, keys, count * sizeof *keys);
    question->keys = all;
    question->count += count;
    return 0;
}

static void end_job(struct job *job)
{
    job->on_keys(NULL, STATUS_OK, NULL, 0, job->user);
    for (size_t i = 0; i < job->count; i++)
        free(job->questions[i].keys);
    free(job);
}

static void on_answer(struct client_request *request)
{
    struct question *question = request->user;
    struct job *job = question->job;
    enum operation_status status = request->outcome.status;

    if (question->server != NULL)
        job->on_keys(question->server, status, status == STATUS_OK ? question->keys : NULL,
                     status == STATUS_OK ? question->count : 0, job->user);
    if (--job->due == 0)
        end_job(job);
}

static struct job *new_job(struct client *client, client_keys_handler on_keys, void *user)
{
    size_t count = client->pool.usable > 0 ? client->pool.usable : 1;
    struct job *job = calloc(1, sizeof *job + count * sizeof job->questions[0]);

    if (job == NULL)
        return NULL;
    job->on_keys = on_keys;
    job->user = user;
    job->count = count;
    for (size_t i = 0; i < count; i++) {
        job->questions[i].job = job;
        job->questions[i].request = (struct client_request){
            .operation.kind = OP_KEYS, .on_answer = on_answer, .user = &job->questions[i]};
    }
    return job;
}

static int send_question(struct client *client, struct question *question, size_t server,
                         uint64_t deadline_ns)
{
    question->server = client->settings.servers[server].name;
    question->request.deadline_ns = deadline_ns;
    question->request.on_part = on_part;
    trace_id_new(&question->request.trace);
    return route_open(&client->route, &question->request, server);
}

static int ask_all_usable(struct client *client, struct job *job, uint64_t timeout_ms)
{
    uint64_t deadline_ns = clock_ns() + timeout_ms * NS_PER_MS;
    int err = 0;

    for (size_t i = 0; i < client->pool.count && err == 0; i++)
        if (link_usable(&client->pool.links[i])) {
            err = send_question(client, &job->questions[job->due], i, deadline_ns);
            if (err == 0)
                job->due++;
        }
    if (job->due == 0 && err == 0) { /* no server to ask: a request that is due at once brings the end */
        err = route_open(&client->route, &job->questions[0].request, ROUTE_ANY);
        job->due = 1;
    }
    return err;
}

int client_keys(struct client *client, uint64_t timeout_ms, client_keys_handler on_keys, void *user)
{
    if (client->closing)
        return ERR_CLOSED;
    struct job *job = new_job(client, on_keys, user);
    int err = job != NULL ? ask_all_usable(client, job, timeout_ms) : ERR_MEMORY;
    if (err != 0 && job != NULL) {
        for (size_t i = 0; i < job->count; i++)
            client_cancel(client, &job->questions[i].request);
        free(job);
    }
    return err;
}
