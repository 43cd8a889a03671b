#include "edge/async.h"

#include <openssl/async.h>
#include <openssl/crypto.h>
#include <openssl/err.h>

#include "common/clock.h"

#define NS_PER_MS 1000000u

/* What the provider's transport finds when OpenSSL calls it deep inside SSL_do_handshake. */
static _Thread_local struct {
    struct client *client; /* borrowed */
    struct key_wait *wait; /* of the handshake that is stepped right now; NULL outside of one */
} here;

int async_thread_start(size_t jobs_max, struct client *client)
{
    if (!ASYNC_is_capable())
        return ERR_UNSUPPORTED;
    if (ASYNC_init_thread(jobs_max, 0) != 1) {
        ERR_clear_error();
        return ERR_MEMORY;
    }
    here.client = client;
    return 0;
}

void async_thread_stop(void)
{
    here.client = NULL;
    ASYNC_cleanup_thread();
}

/* ---- inside the job ---- */

static void on_answer(struct client_request *request)
{
    struct key_wait *wait = request->user;
    wait->state = KEY_ANSWERED;
    wait->on_ready(wait);
}

/* The answer moves to OUTCOME; what stays behind is wiped. */
static int take_answer(struct key_wait *wait, struct outcome *outcome)
{
    wait->state = KEY_IDLE;
    *outcome = wait->request.outcome;
    wait->last_status = outcome->status;
    OPENSSL_cleanse(&wait->request.outcome, sizeof wait->request.outcome);
    return 0;
}

static int perform(const struct operation *operation, struct outcome *outcome)
{
    struct key_wait *wait = here.wait; /* when the job goes on, another handshake may have been here */
    if (wait == NULL || here.client == NULL || ASYNC_get_current_job() == NULL)
        return ERR_UNSUPPORTED;
    if (wait->state != KEY_IDLE)
        return ERR_CLOSED;
    wait->request.operation = *operation;
    wait->request.epoch = operation->kind == OP_RSA_MASTER ? wait->exchange->epoch : 0;
    wait->request.trace = wait->trace;
    wait->request.deadline_ns = clock_ns() + wait->timeout_ms * NS_PER_MS;
    wait->request.on_answer = on_answer;
    wait->request.user = wait;
    wait->operations++;
    int error = client_submit(here.client, &wait->request);
    if (error != 0) {
        wait->last_status = error == ERR_BUSY ? STATUS_BUSY : STATUS_UNAVAILABLE;
        return error;
    }
    wait->state = KEY_WAITING;
    ASYNC_pause_job();
    if (wait->state == KEY_ANSWERED)
        return take_answer(wait, outcome);
    if (wait->state == KEY_ABANDONED)
        return ERR_CLOSED;
    /* OpenSSL returned without pausing, because pausing is blocked: nobody would ever answer. */
    client_cancel(here.client, &wait->request);
    wait->state = KEY_IDLE;
    wait->last_status = STATUS_UNAVAILABLE;
    return ERR_UNSUPPORTED;
}

static struct provider_exchange *exchange_here(void)
{
    return here.wait != NULL && here.wait->exchange != NULL ? &here.wait->exchange->held : NULL;
}

const struct provider_transport async_transport = {.perform = perform, .exchange = exchange_here};

/* ---- around the job ---- */

static int step(SSL *ssl, struct key_wait *wait)
{
    ERR_clear_error();
    here.wait = wait;
    int result = SSL_do_handshake(ssl);
    here.wait = NULL;
    return result;
}

static enum async_result result_of(int ssl_error, const struct key_wait *wait)
{
    switch (ssl_error) {
    case SSL_ERROR_WANT_READ:
        return ASYNC_WANT_READ;
    case SSL_ERROR_WANT_WRITE:
        return ASYNC_WANT_WRITE;
    case SSL_ERROR_WANT_ASYNC:
        return wait->state == KEY_WAITING ? ASYNC_WAIT_KEY : ASYNC_FAILED;
    case SSL_ERROR_WANT_ASYNC_JOB:
        return ASYNC_NO_JOB;
    default:
        return ASYNC_FAILED;
    }
}

enum async_result async_handshake(SSL *ssl, struct key_wait *wait)
{
    /* A job that is resumed before its answer is there would take that for blocked pausing. */
    if (wait->state == KEY_WAITING)
        return ASYNC_WAIT_KEY;
    SSL_set_mode(ssl, SSL_MODE_ASYNC);
    int result = step(ssl, wait);
    if (result != 1)
        return result_of(SSL_get_error(ssl, result), wait);
    /* From here on every SSL_read and SSL_write would start a job for nothing. */
    SSL_clear_mode(ssl, SSL_MODE_ASYNC);
    return ASYNC_DONE;
}

bool async_abandon(SSL *ssl, struct key_wait *wait)
{
    if (wait->state == KEY_WAITING)
        client_cancel(here.client, &wait->request);
    if (SSL_waiting_for_async(ssl)) {
        wait->state = KEY_ABANDONED;
        step(ssl, wait);
        ERR_clear_error();
    }
    OPENSSL_cleanse(&wait->request.outcome, sizeof wait->request.outcome);
    return !SSL_waiting_for_async(ssl);
}
