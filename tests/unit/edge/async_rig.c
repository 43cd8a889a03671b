#include "tests/unit/edge/async_rig.h"

#include "common/secret.h"
#include "edge/keyclient/client.h"
#include "edge/provider/provider.h"
#include "edge/tls/async.h"
#include "tests/unit/edge/bound_rig.h"
#include "tests/unit/edge/remote_keys.h"

static int fake_submit(struct client *client, struct client_request *request);
static void fake_cancel(struct client *client, struct client_request *request);
static int fake_await_epoch(struct client *client, struct client_epoch_wait *wait);
static void fake_cancel_epoch(struct client *client, struct client_epoch_wait *wait);

/* The module itself, with a client of our own below it. */
#define client_submit       fake_submit
#define client_cancel       fake_cancel
#define client_await_epoch  fake_await_epoch
#define client_cancel_epoch fake_cancel_epoch
#include "edge/tls/async.c"

#define JOBS_MAX 4096

struct client_request *open_requests[OPEN_MAX];
size_t open_count, submitted, cancelled;
int submit_error;
bool block_pause;
uint64_t last_deadline_ns;
static int client_token; /* stands for the thread's client */

static int fake_submit(struct client *client, struct client_request *request)
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

static void fake_cancel(struct client *client, struct client_request *request)
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

void answer(size_t index, enum operation_status status)
{
    struct client_request *request = open_requests[index];
    forget(index);
    assert_int_equal(remote_keys_answer(&request->operation, &request->outcome), 0);
    request->outcome.status = status;
    request->on_answer(request);
}

struct client_epoch_wait *open_waits[OPEN_MAX];
size_t wait_count, awaited, waits_cancelled;
int await_error;

static int fake_await_epoch(struct client *client, struct client_epoch_wait *wait)
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

static void fake_cancel_epoch(struct client *client, struct client_epoch_wait *wait)
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

struct client *the_client(void)
{
    union {
        int *token;
        struct client *client;
    } u = {.token = &client_token};
    return u.client;
}

struct kind {
    const char *name;
    int key;
    int version;
    const char *ciphers; /* TLS 1.2 */
    bool bound;
    uint64_t options; /* the client's */
};

/* One that pauses at each of the places where there is a key operation. */
static const struct kind kinds[KINDS] = {
    {"rsa", RSA_KEY, TLS1_2_VERSION, "AES128-GCM-SHA256", false, 0},
    {"ecdhe", P256_KEY, TLS1_2_VERSION, "ECDHE-ECDSA-AES128-GCM-SHA256", false, 0},
    {"tls13", ED25519_KEY, TLS1_3_VERSION, NULL, false, 0},
    {"bound", RSA_KEY, TLS1_2_VERSION, "AES256-GCM-SHA384", true, 0},
    {"no_ems", RSA_KEY, TLS1_2_VERSION, "AES128-GCM-SHA256", true, SSL_OP_NO_EXTENDED_MASTER_SECRET},
    {"bound_ecdhe", P256_KEY, TLS1_2_VERSION, "ECDHE-ECDSA-AES128-GCM-SHA256", true, 0},
};
static OSSL_LIB_CTX *library;
static SSL_CTX *server_context[KINDS], *client_context[KINDS];

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

int setup_all(void **state)
{
    struct fault fault;
    remote_keys_make(state);
    assert_int_equal(secret_init(), 0);
    assert_int_equal(provider_context_new(&library, &async_transport, ~0u, &fault), 0);
    for (size_t k = 0; k < KINDS; k++)
        make_contexts(k);
    return 0;
}

int teardown_all(void **state)
{
    for (size_t k = 0; k < KINDS; k++) {
        SSL_CTX_free(server_context[k]);
        SSL_CTX_free(client_context[k]);
    }
    provider_context_free(library);
    return remote_keys_free(state);
}

int start(void **state)
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

int stop(void **state)
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

struct session *session_new(size_t k)
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

void session_free(struct session *session)
{
    SSL_free(session->client);
    SSL_free(session->server);
    bound_clear(&session->bound);
    free(session);
}

enum async_result run(struct session *session)
{
    enum async_result result = ASYNC_WANT_READ;
    for (int turn = 0; turn < 32 && (result == ASYNC_WANT_READ || result == ASYNC_WANT_WRITE); turn++) {
        (void)SSL_do_handshake(session->client);
        result = async_handshake(session->server, &session->wait);
    }
    return result;
}
