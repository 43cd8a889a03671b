#include "tests/unit/edge/remote_keys.h"

/* The module itself, with a client of our own below it. */
#define client_submit       fake_submit
#define client_cancel       fake_cancel
#define client_await_epoch  fake_await_epoch
#define client_cancel_epoch fake_cancel_epoch
#include "tests/unit/edge/bound_rig.h"

#include "edge/tls/async.c"
#undef client_submit
#undef client_cancel
#undef client_await_epoch
#undef client_cancel_epoch

#define JOBS_MAX    4096
#define KEY_TIMEOUT 1500 /* ms */

/* ---- the fake client: remembers what was submitted, in order ---- */

#define OPEN_MAX 4096
static struct client_request *open_requests[OPEN_MAX];
static size_t open_count, submitted, cancelled;
static int submit_error;
static bool block_pause; /* the next submit blocks pausing, its cancel allows it again */
static uint64_t last_deadline_ns;
static int client_token; /* stands for the thread's client */

int fake_submit(struct client *client, struct client_request *request)
{
    assert_ptr_equal(client, &client_token);
    if (submit_error != 0)
        return submit_error;
    assert_true(open_count < OPEN_MAX);
    open_requests[open_count++] = request;
    submitted++;
    last_deadline_ns = request->deadline_ns;
    if (block_pause)
        ASYNC_block_pause();
    return 0;
}

static void forget(size_t index)
{
    open_requests[index] = open_requests[--open_count];
}

void fake_cancel(struct client *client, struct client_request *request)
{
    assert_ptr_equal(client, &client_token);
    for (size_t i = 0; i < open_count; i++)
        if (open_requests[i] == request) {
            forget(i);
            cancelled++;
        }
    if (block_pause)
        ASYNC_unblock_pause();
}

/* Answers the request at INDEX as the key server would. */
static void answer(size_t index, enum operation_status status)
{
    struct client_request *request = open_requests[index];
    forget(index);
    assert_int_equal(remote_keys_answer(&request->operation, &request->outcome), 0);
    request->outcome.status = status;
    request->on_answer(request);
}

/* ---- and who waits for an epoch ---- */

static struct client_epoch_wait *open_waits[OPEN_MAX];
static size_t wait_count, awaited, waits_cancelled;
static int await_error;

int fake_await_epoch(struct client *client, struct client_epoch_wait *wait)
{
    assert_ptr_equal(client, &client_token);
    awaited++;
    if (await_error != 0)
        return await_error;
    open_waits[wait_count++] = wait;
    if (block_pause)
        ASYNC_block_pause();
    return 0;
}

void fake_cancel_epoch(struct client *client, struct client_epoch_wait *wait)
{
    assert_ptr_equal(client, &client_token);
    for (size_t i = 0; i < wait_count; i++)
        if (open_waits[i] == wait) {
            open_waits[i] = open_waits[--wait_count];
            waits_cancelled++;
        }
    if (block_pause)
        ASYNC_unblock_pause();
    block_pause = false;
}

/* There is news, or the time is over. */
static void end_wait(size_t index)
{
    struct client_epoch_wait *wait = open_waits[index];
    open_waits[index] = open_waits[--wait_count];
    wait->on_end(wait);
}

static struct client *the_client(void)
{
    union {
        int *token;
        struct client *client;
    } u = {.token = &client_token};
    return u.client;
}

/* ---- sessions ---- */

struct kind {
    const char *name;
    int key;
    int version;
    const char *ciphers; /* TLS 1.2 */
    bool bound;
    uint64_t options; /* the client's */
};
/* One that pauses at each of the places where there is a key operation. */
static const struct kind kinds[] = {
    {"rsa", RSA_KEY, TLS1_2_VERSION, "AES128-GCM-SHA256", false, 0},
    {"ecdhe", P256_KEY, TLS1_2_VERSION, "ECDHE-ECDSA-AES128-GCM-SHA256", false, 0},
    {"tls13", ED25519_KEY, TLS1_3_VERSION, NULL, false, 0},
    {"bound", RSA_KEY, TLS1_2_VERSION, "AES256-GCM-SHA384", true, 0},
    {"no_ems", RSA_KEY, TLS1_2_VERSION, "AES128-GCM-SHA256", true, SSL_OP_NO_EXTENDED_MASTER_SECRET},
    {"bound_ecdhe", P256_KEY, TLS1_2_VERSION, "ECDHE-ECDSA-AES128-GCM-SHA256", true, 0},
};
enum { BOUND = 3, NO_EMS = 4 };
#define KINDS (sizeof kinds / sizeof kinds[0])

static OSSL_LIB_CTX *library;
static SSL_CTX *server_context[KINDS], *client_context[KINDS];

struct session {
    SSL *client, *server;
    struct key_wait wait;
    struct bound_exchange bound;
    unsigned ready; /* calls of on_ready */
};

static int on_hello(SSL *ssl, int *alert, void *user)
{
    (void)alert, (void)user;
    if (bound_find(ssl) != NULL)
        bound_note_hello(bound_find(ssl), ssl);
    return SSL_CLIENT_HELLO_SUCCESS;
}

static void make_contexts(size_t k)
{
    struct fault fault;
    uint8_t id[KEY_ID_SIZE];
    EVP_PKEY *key = NULL;
    X509 *cert = remote_keys_cert(private_keys[kinds[k].key].key, NULL, -60, 3600);
    assert_int_equal(provider_key_new(library, private_keys[kinds[k].key].key, &key, id, &fault), 0);
    server_context[k] = SSL_CTX_new_ex(library, kinds[k].bound ? PROVIDER_TLS_PROPERTIES : NULL,
                                       TLS_server_method());
    SSL_CTX_set_client_hello_cb(server_context[k], on_hello, NULL);
    client_context[k] = SSL_CTX_new(TLS_client_method());
    assert_int_equal(SSL_CTX_use_certificate(server_context[k], cert), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(server_context[k], key), 1);
    assert_int_equal(SSL_CTX_set_min_proto_version(client_context[k], kinds[k].version), 1);
    assert_int_equal(SSL_CTX_set_max_proto_version(client_context[k], kinds[k].version), 1);
    if (kinds[k].ciphers != NULL)
        assert_int_equal(SSL_CTX_set_cipher_list(client_context[k], kinds[k].ciphers), 1);
    SSL_CTX_set_options(client_context[k], kinds[k].options);
    EVP_PKEY_free(key);
    X509_free(cert);
}

static int setup_all(void **state)
{
    struct fault fault;
    remote_keys_make(state);
    assert_int_equal(secret_init(), 0);
    assert_int_equal(provider_context_new(&library, &async_transport, ~0u, &fault), 0);
    for (size_t k = 0; k < KINDS; k++)
        make_contexts(k);
    return 0;
}

static int teardown_all(void **state)
{
    for (size_t k = 0; k < KINDS; k++) {
        SSL_CTX_free(server_context[k]);
        SSL_CTX_free(client_context[k]);
    }
    provider_context_free(library);
    return remote_keys_free(state);
}

static int start(void **state)
{
    (void)state;
    open_count = submitted = cancelled = 0;
    wait_count = awaited = waits_cancelled = 0;
    submit_error = await_error = 0;
    block_pause = bound_due = false;
    bound_announce(42);
    assert_int_equal(async_thread_start(JOBS_MAX, the_client()), 0);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    async_thread_stop();
    ERR_clear_error();
    return 0;
}

static void on_ready(struct key_wait *wait)
{
    struct session *session = wait->user;
    session->ready++;
}

static struct session *session_new(size_t k)
{
    struct session *session = calloc(1, sizeof *session);
    assert_non_null(session);
    session->client = SSL_new(client_context[k]);
    session->server = SSL_new(server_context[k]);
    session->wait = (struct key_wait){.timeout_ms = KEY_TIMEOUT, .on_ready = on_ready, .user = session};
    session->wait.trace.bytes[0] = 0x42;
    if (kinds[k].bound) {
        session->wait.bound = &session->bound;
        bound_start(&session->bound, session->server,
                    &(struct bound_setup){.client = the_client(), .await_epoch = async_await_epoch});
    }
    remote_keys_join(session->client, session->server);
    return session;
}

static void session_free(struct session *session)
{
    SSL_free(session->client);
    SSL_free(session->server);
    bound_clear(&session->bound);
    free(session);
}

/* Lets client and server talk until the server finishes, fails, or waits for something else than bytes. */
static enum async_result run(struct session *session)
{
    enum async_result result = ASYNC_WANT_READ;
    for (int turn = 0; turn < 32 && (result == ASYNC_WANT_READ || result == ASYNC_WANT_WRITE); turn++) {
        (void)SSL_do_handshake(session->client);
        result = async_handshake(session->server, &session->wait);
    }
    return result;
}

/* ---- one handshake ---- */

static void every_kind_pauses_once_and_completes(void **state)
{
    (void)state;
    for (size_t k = 0; k < KINDS; k++) {
        struct session *session = session_new(k);
        assert_int_equal(run(session), ASYNC_WAIT_KEY);
        assert_int_equal(session->wait.state, KEY_WAITING);
        assert_int_equal(open_count, 1);
        assert_int_equal(open_requests[0]->trace.bytes[0], 0x42);
        answer(0, STATUS_OK);
        assert_int_equal(session->ready, 1);
        assert_int_equal(run(session), ASYNC_DONE);
        assert_int_equal(session->wait.state, KEY_IDLE);
        assert_int_equal(session->wait.operations, 1);
        assert_int_equal(session->wait.last_status, STATUS_OK);
        assert_int_equal(SSL_do_handshake(session->client), 1);
        remote_keys_talk(session->client, session->server);
        session_free(session);
    }
    assert_int_equal(submitted, KINDS);
}

static void asynchronous_mode_ends_with_the_handshake(void **state)
{
    struct session *session = session_new(0);
    (void)state;
    assert_int_equal(run(session), ASYNC_WAIT_KEY);
    assert_true((SSL_get_mode(session->server) & SSL_MODE_ASYNC) != 0);
    answer(0, STATUS_OK);
    assert_int_equal(run(session), ASYNC_DONE);
    assert_true((SSL_get_mode(session->server) & SSL_MODE_ASYNC) == 0);
    session_free(session);
}

static void stepping_early_changes_nothing(void **state)
{
    struct session *session = session_new(1);
    (void)state;
    assert_int_equal(run(session), ASYNC_WAIT_KEY);
    for (int i = 0; i < 3; i++)
        assert_int_equal(async_handshake(session->server, &session->wait), ASYNC_WAIT_KEY);
    assert_int_equal(submitted, 1);
    assert_int_equal(cancelled, 0);
    answer(0, STATUS_OK);
    assert_int_equal(run(session), ASYNC_DONE);
    session_free(session);
}

static void the_deadline_is_the_timeout_from_now(void **state)
{
    struct session *session = session_new(2);
    uint64_t before = clock_ns();
    (void)state;
    assert_int_equal(run(session), ASYNC_WAIT_KEY);
    uint64_t after = clock_ns();
    assert_true(last_deadline_ns >= before + KEY_TIMEOUT * (uint64_t)NS_PER_MS);
    assert_true(last_deadline_ns <= after + KEY_TIMEOUT * (uint64_t)NS_PER_MS);
    assert_true(async_abandon(session->server, &session->wait));
    session_free(session);
}

static void the_answer_is_wiped_after_use(void **state)
{
    static const struct outcome wiped;
    struct session *session = session_new(0);
    (void)state;
    assert_int_equal(run(session), ASYNC_WAIT_KEY);
    answer(0, STATUS_OK);
    assert_int_equal(session->wait.request.outcome.length, TLS_PREMASTER_SIZE);
    assert_int_equal(run(session), ASYNC_DONE);
    assert_memory_equal(&session->wait.request.outcome, &wiped, sizeof wiped);
    session_free(session);
}

/* ---- failures ---- */

static void every_status_but_ok_fails_the_handshake(void **state)
{
    (void)state;
    for (size_t k = 0; k < KINDS; k++)
        for (enum operation_status status = STATUS_REFUSED; status < STATUS_KINDS; status++) {
            struct session *session = session_new(k);
            assert_int_equal(run(session), ASYNC_WAIT_KEY);
            answer(0, status);
            assert_int_equal(run(session), ASYNC_FAILED);
            assert_int_equal(session->wait.last_status, status);
            session_free(session);
        }
}

static void a_refused_submit_fails_without_pausing(void **state)
{
    (void)state;
    for (size_t k = 0; k < KINDS; k++) {
        struct session *session = session_new(k);
        submit_error = ERR_BUSY;
        assert_int_equal(run(session), ASYNC_FAILED);
        assert_int_equal(session->wait.last_status, STATUS_BUSY);
        assert_int_equal(session->ready, 0);
        session_free(session);
    }
}

static void a_blocked_pause_cancels_and_fails(void **state)
{
    struct session *session = session_new(1);
    (void)state;
    block_pause = true;
    assert_int_equal(run(session), ASYNC_FAILED);
    assert_int_equal(cancelled, 1);
    assert_int_equal(open_count, 0);
    assert_int_equal(session->wait.state, KEY_IDLE);
    assert_int_equal(session->wait.last_status, STATUS_UNAVAILABLE);
    session_free(session);
}

static void outside_of_a_job_there_are_no_keys(void **state)
{
    struct operation operation = {.kind = OP_SIGN_TLS13};
    struct outcome outcome;
    struct session *session = session_new(1);
    (void)state;
    assert_int_equal(async_transport.perform(&operation, &outcome), ERR_UNSUPPORTED);
    for (int turn = 0; turn < 4; turn++) { /* a handshake that nobody made asynchronous */
        (void)SSL_do_handshake(session->client);
        (void)SSL_do_handshake(session->server);
    }
    assert_false(SSL_is_init_finished(session->server));
    assert_int_equal(submitted, 0);
    session_free(session);
}

static void a_wrong_answer_fails_only_its_own_handshake(void **state)
{
    struct session *sessions[8];
    (void)state;
    for (size_t i = 0; i < 8; i++) {
        sessions[i] = session_new(i % KINDS);
        assert_int_equal(run(sessions[i]), ASYNC_WAIT_KEY);
    }
    while (open_count > 0) { /* any order: the last request takes the place of the answered one */
        struct client_request *request = open_requests[0];
        bool spoilt = request == &sessions[4]->wait.request;
        answer(0, STATUS_OK);
        if (spoilt)
            request->outcome.bytes[3] ^= 0x40;
    }
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(sessions[i]->ready, 1);
        assert_int_equal(run(sessions[i]), i == 4 ? ASYNC_FAILED : ASYNC_DONE);
        session_free(sessions[i]);
    }
}

/* ---- leaving early ---- */

static void abandoning_while_waiting_cancels_and_ends_the_job(void **state)
{
    (void)state;
    for (size_t k = 0; k < KINDS; k++) {
        struct session *session = session_new(k);
        size_t before = cancelled;
        assert_int_equal(run(session), ASYNC_WAIT_KEY);
        assert_true(async_abandon(session->server, &session->wait));
        assert_int_equal(cancelled, before + 1);
        assert_int_equal(open_count, 0);
        assert_false(SSL_waiting_for_async(session->server));
        assert_int_equal(session->ready, 0);
        assert_int_equal(ERR_peek_error(), 0);
        session_free(session);
    }
}

static void abandoning_after_the_answer_cancels_nothing(void **state)
{
    (void)state;
    for (size_t k = 0; k < KINDS; k++) {
        struct session *session = session_new(k);
        assert_int_equal(run(session), ASYNC_WAIT_KEY);
        answer(0, STATUS_OK);
        assert_true(async_abandon(session->server, &session->wait));
        assert_int_equal(cancelled, 0);
        session_free(session);
    }
}

static void abandoning_at_any_other_time_is_harmless(void **state)
{
    struct session *session = session_new(1);
    (void)state;
    assert_true(async_abandon(session->server, &session->wait)); /* before the first byte */
    assert_int_equal(run(session), ASYNC_WAIT_KEY);
    answer(0, STATUS_OK);
    assert_int_equal(run(session), ASYNC_DONE);
    assert_true(async_abandon(session->server, &session->wait));
    assert_true(async_abandon(session->server, &session->wait));
    assert_int_equal(cancelled, 0);
    session_free(session);
}

static void a_storm_of_abandoned_handshakes_leaves_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < 300; i++) {
        struct session *session = session_new(i % KINDS);
        assert_int_equal(run(session), ASYNC_WAIT_KEY);
        if (i % 2 == 0)
            answer(0, STATUS_OK);
        assert_true(async_abandon(session->server, &session->wait));
        session_free(session);
    }
    assert_int_equal(open_count, 0);
}

/* ---- many ---- */

static void jobs_are_capped_and_come_back(void **state)
{
    struct session *a = session_new(1), *b = session_new(1), *c = session_new(1);
    stop(state);
    assert_int_equal(async_thread_start(2, the_client()), 0);
    assert_int_equal(run(a), ASYNC_WAIT_KEY);
    assert_int_equal(run(b), ASYNC_WAIT_KEY);
    assert_int_equal(run(c), ASYNC_NO_JOB);
    assert_int_equal(run(c), ASYNC_NO_JOB);
    answer(0, STATUS_OK);
    assert_int_equal(run(a), ASYNC_DONE);
    assert_int_equal(run(c), ASYNC_WAIT_KEY);
    assert_true(async_abandon(b->server, &b->wait));
    answer(0, STATUS_OK);
    assert_int_equal(run(c), ASYNC_DONE);
    session_free(a);
    session_free(b);
    session_free(c);
}

#define MANY 2000
static void two_thousand_handshakes_wait_in_one_thread(void **state)
{
    static struct session *sessions[MANY];
    (void)state;
    for (size_t i = 0; i < MANY; i++) {
        sessions[i] = session_new(1 + i % 2); /* elliptic: the test's own key work stays short */
        assert_int_equal(run(sessions[i]), ASYNC_WAIT_KEY);
    }
    assert_int_equal(open_count, MANY);
    while (open_count > 0)
        answer(open_count / 2, STATUS_OK);
    for (size_t i = 0; i < MANY; i++) {
        assert_int_equal(run(sessions[i]), ASYNC_DONE);
        assert_int_equal(SSL_do_handshake(sessions[i]->client), 1);
    }
    for (size_t i = 0; i < MANY; i++)
        session_free(sessions[i]);
}

/* ---- bound sessions ---- */

static void a_bound_request_names_its_epoch_and_no_other_does(void **state)
{
    (void)state;
    for (size_t k = 0; k < KINDS; k++) {
        struct session *session = session_new(k);
        assert_int_equal(run(session), ASYNC_WAIT_KEY);
        assert_int_equal(open_requests[0]->operation.kind == OP_RSA_MASTER, k == BOUND);
        assert_int_equal(open_requests[0]->epoch, k == BOUND ? 42 : 0);
        assert_true(async_abandon(session->server, &session->wait));
        session_free(session);
    }
}

static void the_messages_of_a_bound_session_go_with_its_job(void **state)
{
    (void)state;
    for (int leaves = 0; leaves < 2; leaves++) {
        struct session *session = session_new(BOUND);
        struct buffer *messages = &session->bound.messages;
        assert_int_equal(run(session), ASYNC_WAIT_KEY);
        assert_ptr_equal(open_requests[0]->operation.u.rsa_master.messages, buffer_bytes(messages));
        if (leaves) {
            assert_true(async_abandon(session->server, &session->wait));
        } else {
            answer(0, STATUS_OK);
            assert_int_equal(run(session), ASYNC_DONE);
        }
        assert_null(messages->bytes);
        session_free(session);
    }
}

/* Each stops inside its derivation while the other goes on. */
static void interleaved_sessions_have_each_their_own_secret(void **state)
{
    enum { SESSIONS = 6 };
    static const size_t order[SESSIONS] = {3, 0, 5, 1, 4, 2};
    struct session *sessions[SESSIONS];
    (void)state;
    for (size_t i = 0; i < SESSIONS; i++)
        sessions[i] = session_new(i % 2 == 0 ? BOUND : NO_EMS);
    for (int step = 0; step < 2; step++) /* hellos of all, then the key exchanges of all */
        for (size_t i = 0; i < SESSIONS; i++) {
            (void)SSL_do_handshake(sessions[i]->client);
            (void)async_handshake(sessions[i]->server, &sessions[i]->wait);
        }
    assert_int_equal(open_count, SESSIONS);
    for (size_t n = 0; n < SESSIONS; n++) {
        struct session *session = sessions[order[n]];
        size_t index = 0;
        while (open_requests[index] != &session->wait.request)
            index++;
        answer(index, STATUS_OK);
        assert_int_equal(run(session), ASYNC_DONE);
        assert_int_equal(SSL_do_handshake(session->client), 1);
        remote_keys_talk(session->client, session->server);
        assert_int_equal(bound_mode(&session->bound), order[n] % 2 == 0 ? RSA_MODE_BOUND : RSA_MODE_NO_EMS);
    }
    for (size_t i = 0; i < SESSIONS; i++)
        session_free(sessions[i]);
}

/* ---- sessions that come before their epoch ---- */

/* One that waits for it. */
static struct session *session_early(void)
{
    bound_announced.id = 0;
    bound_due = true;
    struct session *session = session_new(BOUND);
    size_t before = submitted;
    assert_int_equal(run(session), ASYNC_WAIT_KEY);
    assert_int_equal(session->wait.state, KEY_WAITING);
    assert_true(session->wait.for_epoch);
    assert_int_equal(session->wait.operations, 0);
    assert_int_equal(submitted, before);
    return session;
}

/* Its key comes and it is completed. */
static void finish(struct session *session)
{
    size_t index = 0;
    while (open_requests[index] != &session->wait.request)
        index++;
    answer(index, STATUS_OK);
    assert_int_equal(run(session), ASYNC_DONE);
    assert_int_equal(session->wait.operations, 1);
    assert_int_equal(session->wait.last_status, STATUS_OK);
    assert_int_equal(SSL_do_handshake(session->client), 1);
    remote_keys_talk(session->client, session->server);
}

static void a_session_waits_for_its_epoch_and_then_for_its_key(void **state)
{
    uint64_t before = clock_ns();
    struct session *session = session_early();
    uint64_t after = clock_ns();
    (void)state;
    assert_int_equal(wait_count, 1);
    assert_true(open_waits[0]->deadline_ns >= before + KEY_TIMEOUT * (uint64_t)NS_PER_MS);
    assert_true(open_waits[0]->deadline_ns <= after + KEY_TIMEOUT * (uint64_t)NS_PER_MS);
    assert_int_equal(async_handshake(session->server, &session->wait), ASYNC_WAIT_KEY); /* too early */
    assert_int_equal(awaited, 1);
    assert_int_equal(BIO_pending(SSL_get_rbio(session->client)), 0); /* no ServerHello so far */
    bound_announce(43);
    end_wait(0);
    assert_int_equal(session->ready, 1);
    assert_int_equal(run(session), ASYNC_WAIT_KEY);
    assert_false(session->wait.for_epoch);
    assert_int_equal(open_requests[0]->operation.kind, OP_RSA_MASTER);
    assert_int_equal(open_requests[0]->epoch, 43);
    finish(session);
    assert_int_equal(session->ready, 2);
    assert_int_equal(awaited, 1);
    assert_int_equal(bound_mode(&session->bound), RSA_MODE_BOUND);
    assert_false(bound_is_late(&session->bound));
    session_free(session);
}

static void when_none_comes_a_session_goes_on_unbound(void **state)
{
    (void)state;
    for (int late = 0; late < 2; late++) {
        struct session *session = session_early();
        bound_due = late; /* the servers have none, or the time is over */
        end_wait(0);
        assert_int_equal(run(session), ASYNC_WAIT_KEY);
        assert_int_equal(open_requests[0]->operation.kind, OP_RSA_PREMASTER);
        assert_int_equal(open_requests[0]->epoch, 0);
        finish(session);
        assert_int_equal(bound_mode(&session->bound), RSA_MODE_NO_EPOCH);
        assert_int_equal(bound_is_late(&session->bound), late);
        session_free(session);
    }
    assert_int_equal(awaited, 2);
}

static void only_who_can_be_bound_waits(void **state)
{
    (void)state;
    bound_announced.id = 0;
    bound_due = true;
    for (size_t k = 0; k < KINDS; k++) {
        if (k == BOUND)
            continue;
        struct session *session = session_new(k);
        assert_int_equal(run(session), ASYNC_WAIT_KEY);
        assert_false(session->wait.for_epoch);
        finish(session);
        if (k == NO_EMS)
            assert_int_equal(bound_mode(&session->bound), RSA_MODE_NO_EMS);
        session_free(session);
    }
    assert_int_equal(awaited, 0);
}

/* The alert that CLIENT has got; 0 = none. */
static int alert_of(SSL *client)
{
    ERR_clear_error();
    (void)SSL_do_handshake(client);
    int reason = ERR_GET_REASON(ERR_peek_last_error());
    return reason > SSL_AD_REASON_OFFSET ? reason - SSL_AD_REASON_OFFSET : 0;
}

static void abandoned_while_it_waits_for_its_epoch_a_session_fails(void **state)
{
    (void)state;
    for (int there = 0; there < 2; there++) {
        struct session *session = session_early();
        if (there) {
            bound_announce(43);
            end_wait(0);
        }
        assert_true(async_abandon(session->server, &session->wait));
        assert_int_equal(wait_count, 0);
        assert_int_equal(waits_cancelled, 1); /* that of the first */
        assert_false(SSL_waiting_for_async(session->server));
        assert_int_equal(ERR_peek_error(), 0);
        assert_int_equal(alert_of(session->client), SSL_AD_INTERNAL_ERROR);
        assert_int_equal(bound_mode(&session->bound), RSA_MODE_NONE);
        session_free(session);
    }
    assert_int_equal(submitted, 0);
    assert_int_equal(cancelled, 0);
}

static void abandoned_at_its_second_pause_a_session_cancels_its_request(void **state)
{
    struct session *session = session_early();
    (void)state;
    bound_announce(43);
    end_wait(0);
    assert_int_equal(run(session), ASYNC_WAIT_KEY);
    assert_int_equal(open_count, 1);
    assert_true(async_abandon(session->server, &session->wait));
    assert_int_equal(open_count, 0);
    assert_int_equal(cancelled, 1);
    assert_int_equal(waits_cancelled, 0);
    session_free(session);
}

static void a_storm_of_sessions_that_leave_at_either_pause_leaves_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < 200; i++) {
        struct session *session = session_early();
        if (i % 4 > 0) {
            bound_due = i % 4 > 1;
            bound_announce(i % 4 == 3 ? 43 : 0);
            end_wait(0);
        }
        if (i % 4 > 1)
            assert_int_equal(run(session), ASYNC_WAIT_KEY);
        assert_true(async_abandon(session->server, &session->wait));
        session_free(session);
    }
    assert_int_equal(wait_count + open_count, 0);
}

static void a_wait_that_cannot_begin_leaves_the_session_unbound(void **state)
{
    (void)state;
    for (int blocked = 0; blocked < 2; blocked++) {
        bound_announced.id = 0;
        bound_due = true;
        block_pause = blocked;
        await_error = blocked ? 0 : ERR_CLOSED;
        struct session *session = session_new(BOUND);
        assert_int_equal(run(session), ASYNC_WAIT_KEY);
        assert_int_equal(wait_count, 0);
        assert_int_equal(open_requests[0]->operation.kind, OP_RSA_PREMASTER);
        finish(session);
        assert_false(bound_is_late(&session->bound));
        session_free(session);
    }
    assert_int_equal(waits_cancelled, 1);
}

static void outside_of_a_job_nobody_waits(void **state)
{
    struct session *session = session_new(BOUND);
    (void)state;
    assert_int_equal(async_await_epoch(), ERR_UNSUPPORTED);
    bound_announced.id = 0;
    bound_due = true;
    (void)SSL_do_handshake(session->client);
    (void)SSL_do_handshake(session->server); /* that nobody made asynchronous */
    assert_true(BIO_pending(SSL_get_rbio(session->client)) > 0);
    assert_int_equal(awaited, 0);
    session_free(session);
}

/* Each stops twice while the others go on; some are bound, some come too late. */
static void sessions_that_wait_at_once_have_each_their_own_epoch_and_secret(void **state)
{
    enum { SESSIONS = 6 };
    static const size_t first[SESSIONS] = {3, 0, 5, 1, 4, 2}, second[SESSIONS] = {1, 2, 0, 5, 3, 4};
    struct session *sessions[SESSIONS];
    (void)state;
    for (size_t i = 0; i < SESSIONS; i++)
        sessions[i] = session_early();
    for (size_t n = 0; n < SESSIONS; n++) {
        struct session *session = sessions[first[n]];
        size_t index = 0;
        while (open_waits[index] != &session->wait.epoch)
            index++;
        bound_announce(first[n] % 3 != 0 ? 100 + first[n] : 0);
        end_wait(index);
        assert_int_equal(run(session), ASYNC_WAIT_KEY);
        assert_int_equal(session->wait.request.epoch, first[n] % 3 != 0 ? 100 + first[n] : 0);
    }
    for (size_t n = 0; n < SESSIONS; n++) {
        finish(sessions[second[n]]);
        assert_int_equal(bound_mode(&sessions[second[n]]->bound),
                         second[n] % 3 != 0 ? RSA_MODE_BOUND : RSA_MODE_NO_EPOCH);
    }
    for (size_t i = 0; i < SESSIONS; i++)
        session_free(sessions[i]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_kind_pauses_once_and_completes),
        TEST(asynchronous_mode_ends_with_the_handshake),
        TEST(stepping_early_changes_nothing),
        TEST(the_deadline_is_the_timeout_from_now),
        TEST(the_answer_is_wiped_after_use),
        TEST(every_status_but_ok_fails_the_handshake),
        TEST(a_refused_submit_fails_without_pausing),
        TEST(a_blocked_pause_cancels_and_fails),
        TEST(outside_of_a_job_there_are_no_keys),
        TEST(a_wrong_answer_fails_only_its_own_handshake),
        TEST(abandoning_while_waiting_cancels_and_ends_the_job),
        TEST(abandoning_after_the_answer_cancels_nothing),
        TEST(abandoning_at_any_other_time_is_harmless),
        TEST(a_storm_of_abandoned_handshakes_leaves_nothing),
        TEST(jobs_are_capped_and_come_back),
        TEST(two_thousand_handshakes_wait_in_one_thread),
        TEST(a_bound_request_names_its_epoch_and_no_other_does),
        TEST(the_messages_of_a_bound_session_go_with_its_job),
        TEST(interleaved_sessions_have_each_their_own_secret),
        TEST(a_session_waits_for_its_epoch_and_then_for_its_key),
        TEST(when_none_comes_a_session_goes_on_unbound),
        TEST(only_who_can_be_bound_waits),
        TEST(abandoned_while_it_waits_for_its_epoch_a_session_fails),
        TEST(abandoned_at_its_second_pause_a_session_cancels_its_request),
        TEST(a_storm_of_sessions_that_leave_at_either_pause_leaves_nothing),
        TEST(a_wait_that_cannot_begin_leaves_the_session_unbound),
        TEST(outside_of_a_job_nobody_waits),
        TEST(sessions_that_wait_at_once_have_each_their_own_epoch_and_secret),
    };
    return cmocka_run_group_tests(tests, setup_all, teardown_all);
}
