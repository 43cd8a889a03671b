#include "edge/tls/async.h"

#include <openssl/async.h>
#include <openssl/crypto.h>
#include <openssl/err.h>

#include "common/clock.h"

/* What the provider's transport needs when OpenSSL calls it deep inside SSL_do_handshake. */
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

static void become_ready(struct key_wait *wait)
{
    wait->state = KEY_ANSWERED;
    wait->on_ready(wait);
}

static void on_answer(struct client_request *request)
{
    become_ready(request->user);
}

static void on_epoch(struct client_epoch_wait *epoch)
{
    become_ready(epoch->user);
}

static void cancel(struct key_wait *wait)
{
    if (wait->for_epoch)
        client_cancel_epoch(here.client, &wait->epoch);
    else
        client_cancel(here.client, &wait->request);
}

/* The wait of the session that runs this job; NULL outside of a job. */
static struct key_wait *find_wait(void)
{
    return here.client != NULL && ASYNC_get_current_job() != NULL ? here.wait : NULL;
}

/* Returns control to the loop until WAIT has what it waits for. */
static int pause_job(struct key_wait *wait)
{
    wait->state = KEY_WAITING;
    ASYNC_pause_job();
    if (wait->state == KEY_ANSWERED) {
        wait->state = KEY_IDLE;
        return 0;
    }
    if (wait->state == KEY_ABANDONED)
        return ERR_CLOSED;
    /* OpenSSL returned without pausing, because pausing is blocked: the loop would never bring an answer. */
    cancel(wait);
    wait->state = KEY_IDLE;
    return ERR_UNSUPPORTED;
}

/* Moves the answer to OUTCOME; what stays behind is wiped. */
static void take_answer(struct key_wait *wait, struct outcome *outcome)
{
    *outcome = wait->request.outcome;
    wait->last_status = outcome->status;
    OPENSSL_cleanse(&wait->request.outcome, sizeof wait->request.outcome);
}

static int perform(const struct operation *operation, struct outcome *outcome)
{
    struct key_wait *wait = find_wait(); /* asked once: the job may go on after another handshake */
    if (wait == NULL)
        return ERR_UNSUPPORTED;
    if (wait->state != KEY_IDLE)
        return ERR_CLOSED;
    wait->for_epoch = false;
    wait->request.operation = *operation;
    wait->request.epoch = operation->kind == OP_RSA_MASTER ? bound_epoch(wait->bound) : 0;
    wait->request.trace = wait->trace;
    wait->request.deadline_ns = clock_ns() + wait->timeout_ms * NS_PER_MS;
    wait->request.on_answer = on_answer;
    wait->request.user = wait;
    wait->operations++;
    int err = client_submit(here.client, &wait->request);
    if (err != 0) {
        wait->last_status = err == ERR_BUSY ? STATUS_BUSY : STATUS_UNAVAILABLE;
        return err;
    }
    err = pause_job(wait);
    if (err == 0)
        take_answer(wait, outcome);
    else if (err == ERR_UNSUPPORTED)
        wait->last_status = STATUS_UNAVAILABLE;
    return err;
}

int async_await_epoch(void)
{
    struct key_wait *wait = find_wait();
    if (wait == NULL || wait->state != KEY_IDLE)
        return ERR_UNSUPPORTED;
    wait->for_epoch = true;
    wait->epoch.deadline_ns = clock_ns() + wait->timeout_ms * NS_PER_MS;
    wait->epoch.on_end = on_epoch;
    wait->epoch.user = wait;
    int err = client_await_epoch(here.client, &wait->epoch);
    return err == 0 ? pause_job(wait) : err;
}

const struct provider_transport async_transport = {.perform = perform, .deferral = &bound_deferral};

/* ---- around the job ---- */

static int step_handshake(SSL *ssl, struct key_wait *wait)
{
    ERR_clear_error();
    here.wait = wait;
    bound_enter(wait->bound);
    int result = SSL_do_handshake(ssl);
    bound_leave();
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
    /* A job that is resumed before its answer has come would take that for blocked pausing. */
    if (wait->state == KEY_WAITING)
        return ASYNC_WAIT_KEY;
    SSL_set_mode(ssl, SSL_MODE_ASYNC);
    int result = step_handshake(ssl, wait);
    if (result != 1)
        return result_of(SSL_get_error(ssl, result), wait);
    /* Otherwise every SSL_read and SSL_write from here on would start a job for nothing. */
    SSL_clear_mode(ssl, SSL_MODE_ASYNC);
    return ASYNC_DONE;
}

static int refuse(const SSL *ssl, const SSL_CTX *context, int operation, int bits, int nid, void *other,
                  void *user)
{
    (void)ssl, (void)context, (void)operation, (void)bits, (void)nid, (void)other, (void)user;
    return 0;
}

bool async_abandon(SSL *ssl, struct key_wait *wait)
{
    if (wait->state == KEY_WAITING) {
        cancel(wait);
        wait->state = KEY_ABANDONED;
    }
    if (SSL_waiting_for_async(ssl)) {
        wait->state = KEY_ABANDONED;
        /* A handshake that waits for an epoch could go on without one. Refusing everything, our own
         * certificate included, as insecure makes it end with an alert. */
        SSL_set_security_callback(ssl, refuse);
        step_handshake(ssl, wait);
        ERR_clear_error();
    }
    OPENSSL_cleanse(&wait->request.outcome, sizeof wait->request.outcome);
    return !SSL_waiting_for_async(ssl);
}

bool async_job_waits(SSL *ssl, const struct key_wait *wait)
{
    return wait->state == KEY_WAITING || (ssl != NULL && SSL_waiting_for_async(ssl));
}
