/* Asks a key server for pre-master secrets, one at a time, and writes down how long each answer took.
 *
 *     ask EDGE_CONF KEY_ID PUBLIC_KEY SECONDS ROUNDS OUT [GROUP_SECRET]
 *
 * In every round each kind of padding (`kinds`) has its turn once, in an order that is drawn anew, with a
 * plaintext that never was there before. OUT gets a line with the names of the kinds, then one a round with
 * nanoseconds in the same order. Ends after ROUNDS, or after SECONDS when that is sooner and not 0; fails
 * when an answer is not what its kind must bring. With GROUP_SECRET, a file, it asks for master secrets: the
 * edge has not been told an epoch key and makes it itself. */
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include "common/channel.h"
#include "common/clock.h"
#include "common/secret.h"
#include "edge/daemon/key_servers.h"
#include "keyserver/vault/judge/epoch.h"
#include "keyserver/vault/request/transcript.h"
#include "proto/msg.h"
#include "tests/lib/random_below.h"
#include "tests/lib/send_hello.h"
#include "tests/lib/transcript_seed.h"

#define K               256 /* bytes of an RSA-2048 modulus */
#define SEPARATOR       (K - TLS_PREMASTER_SIZE - 1)
#define EPOCH_LENGTH_MS 30000 /* of the server's configuration */
#define WARM_UP         200   /* rounds before the first that counts */
#define PATIENCE_NS     10000000000u

/* ---- kinds of plaintext ---- */

static uint8_t random_not_zero(void)
{
    return (uint8_t)(1 + random_below(255));
}

/* BLOCK without any zero from byte FROM to byte TO. */
static void fill_zeros(uint8_t *block, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        if (block[i] == 0)
            block[i] = random_not_zero();
}

static void good(uint8_t *block)
{
    random_bytes(block, K);
    block[0] = 0;
    block[1] = 2;
    fill_zeros(block, 2, SEPARATOR);
    block[SEPARATOR] = 0;
    block[SEPARATOR + 1] = 3;
    block[SEPARATOR + 2] = 3;
}

static void first_byte(uint8_t *block)
{
    block[0] = (uint8_t)(1 + random_below(100)); /* and the number still below n */
}

static void second_byte(uint8_t *block)
{
    block[1] = (uint8_t)(3 + random_below(253));
}

static void zero_early(uint8_t *block)
{
    block[2 + random_below(8)] = 0;
}

static void zero_late(uint8_t *block)
{
    block[SEPARATOR - 1 - random_below(8)] = 0;
}

static void no_separator(uint8_t *block)
{
    fill_zeros(block, 2, K);
}

static void separator_elsewhere(uint8_t *block)
{
    no_separator(block);
    block[10 + random_below(SEPARATOR - 20)] = 0;
}

static void version(uint8_t *block)
{
    block[SEPARATOR + 2] ^= random_not_zero();
}

static void leading_zeros(uint8_t *block)
{
    memset(block, 0, SEPARATOR);
}

static void short_secret(uint8_t *block)
{
    block[SEPARATOR] = random_not_zero();
    block[SEPARATOR + 1] = random_not_zero();
    block[SEPARATOR + 2 + random_below(40)] = 0;
}

static void long_secret(uint8_t *block)
{
    block[SEPARATOR] = random_not_zero();
    block[SEPARATOR - 2 - random_below(40)] = 0;
}

static void anything(uint8_t *block)
{
    random_bytes(block, K);
    block[0] &= 0x7f;
}

static const struct {
    const char *name;
    void (*spoil)(uint8_t *block); /* what is good so far */
} kinds[] = {
    {"good", good},
    {"first_byte", first_byte},
    {"second_byte", second_byte},
    {"zero_early", zero_early},
    {"zero_late", zero_late},
    {"no_separator", no_separator},
    {"separator_elsewhere", separator_elsewhere},
    {"version", version},
    {"leading_zeros", leading_zeros},
    {"short_secret", short_secret},
    {"long_secret", long_secret},
    {"random", anything},
};
#define KINDS (sizeof kinds / sizeof kinds[0])

/* ---- what is asked ---- */

struct question {
    size_t kind;
    uint64_t id;
    struct operation operation;
    uint8_t messages[2048];           /* of the operation, when it is rsa_master */
    uint8_t good[TLS_PREMASTER_SIZE]; /* the answer if the padding were good */
    struct buffer packed;
    uint64_t begin_ns, end_ns;
};

static struct {
    uv_loop_t loop;
    struct channel *channel;
    bool greeted, closed, answered;
    uint64_t end_ns; /* when the last answer came */
    struct msg_answer answer;
    EVP_PKEY_CTX *public; /* of the key, without padding */
    uint8_t key_id[KEY_ID_SIZE];
    struct seed transcript; /* of rsa_master; its ciphertext and session id are replaced */
    struct transcript parsed;
    uint8_t epoch_secret[32], edge_key[32];
    bool master; /* rsa_master is asked for */
    EVP_KDF_CTX *prf;
    uint64_t last_id;
} ask;

static int encrypt(uint8_t *ciphertext, const uint8_t *block)
{
    size_t size = K;
    return EVP_PKEY_encrypt(ask.public, ciphertext, &size, block, K) == 1 && size == K ? 0 : ERR_CRYPTO;
}

static uint64_t epoch_now(void)
{
    return (uint64_t)time(NULL) * 1000 / EPOCH_LENGTH_MS + 1;
}

/* The master secret that a good pre-master gives over the question's messages. */
static int derive(struct question *question)
{
    uint8_t secret[TLS_PREMASTER_SIZE], seed[22 + TRANSCRIPT_HASH_MAX] = "extended master secret";
    char digest[] = "SHA384";
    struct transcript seen;
    memcpy(secret, question->good, sizeof secret);
    if (transcript_parse(&seen, question->messages, question->operation.u.rsa_master.length) != 0 ||
        transcript_hash(&seen, seed + 22) != 0 || seen.prf_bits != 384)
        return ERR_FORMAT;
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SECRET, secret, sizeof secret),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SEED, seed, sizeof seed),
        OSSL_PARAM_construct_end(),
    };
    EVP_KDF_CTX_reset(ask.prf); /* seeds add up */
    return EVP_KDF_derive(ask.prf, question->good, TLS_MASTER_SIZE, params) == 1 ? 0 : ERR_CRYPTO;
}

static int fill_master(struct question *question, const uint8_t *block)
{
    struct operation *operation = &question->operation;
    uint8_t key[EPOCH_KEY_SIZE], random[SESSION_ID_RANDOM_SIZE];
    size_t length = ask.parsed.length;
    operation->kind = OP_RSA_MASTER;
    operation->u.rsa_master.messages = question->messages;
    operation->u.rsa_master.length = (uint32_t)length;
    memcpy(question->messages, ask.transcript.bytes, length);
    epoch_key(key, ask.epoch_secret, ask.edge_key, epoch_now());
    random_bytes(random, sizeof random);
    session_id_make(question->messages + (ask.parsed.session_id - ask.transcript.bytes), key, random);
    int err = encrypt(question->messages + (ask.parsed.ciphertext - ask.transcript.bytes), block);
    return err == 0 ? derive(question) : err;
}

static int fill_premaster(struct question *question, const uint8_t *block)
{
    struct operation *operation = &question->operation;
    operation->kind = OP_RSA_PREMASTER;
    operation->u.rsa_premaster.client_version = 0x0303;
    operation->u.rsa_premaster.ciphertext_length = K;
    return encrypt(operation->u.rsa_premaster.ciphertext, block);
}

static int prepare(struct question *question, size_t kind)
{
    uint8_t block[K];
    good(block);
    kinds[kind].spoil(block);
    question->kind = kind;
    question->id = ++ask.last_id;
    memcpy(question->good, block + SEPARATOR + 1, TLS_PREMASTER_SIZE);
    memcpy(question->operation.key_id, ask.key_id, KEY_ID_SIZE);
    int err = ask.master ? fill_master(question, block) : fill_premaster(question, block);
    struct msg_request request = {.id = question->id, .deadline_ms = 10000, .operation = question->operation};
    trace_id_new(&request.trace);
    buffer_consume(&question->packed, buffer_length(&question->packed));
    return err == 0 ? msg_pack_requests(&question->packed, &request, 1) : err;
}

/* ---- the channel ---- */

static void on_open(struct channel *channel, void *user)
{
    (void)user;
    if (send_hello(channel, "ask") != 0)
        channel_close(channel);
}

static void on_message(struct channel *channel, const uint8_t *bytes, size_t length, void *user)
{
    ask.end_ns = clock_ns(); /* before anything else */
    struct msg *msg = NULL;
    (void)user;
    if (msg_parse(&msg, bytes, length) != 0) {
        channel_close(channel);
        return;
    }
    ask.greeted |= msg->kind == MSG_HELLO;
    if (msg->kind == MSG_ANSWERS) {
        ask.answer = msg->answers[0];
        ask.answered = true;
    }
    msg_free(msg);
}

static void on_close(struct channel *channel, int why, void *user)
{
    (void)channel, (void)user;
    ask.closed = true;
    if (why != ERR_CLOSED)
        fprintf(stderr, "ask: the channel was closed: %s\n", err_string(why));
}

static int await(const bool *what)
{
    uint64_t until = clock_ns() + PATIENCE_NS;
    while (!*what && !ask.closed && clock_ns() < until)
        uv_run(&ask.loop, UV_RUN_NOWAIT); /* wide awake: to be woken takes longer, and not always as long */
    return *what && !ask.closed ? 0 : ERR_TIMEOUT;
}

static int pose(struct question *question)
{
    ask.answered = false;
    question->begin_ns = clock_ns();
    if (channel_send(ask.channel, buffer_bytes(&question->packed), buffer_length(&question->packed)) != 0 ||
        await(&ask.answered) != 0)
        return ERR_CLOSED;
    question->end_ns = ask.end_ns;
    const struct outcome *outcome = &ask.answer.outcome;
    if (ask.answer.id != question->id || outcome->status != STATUS_OK ||
        outcome->length != TLS_PREMASTER_SIZE)
        return ERR_REFUSED;
    bool same = memcmp(outcome->bytes, question->good, TLS_PREMASTER_SIZE) == 0;
    return same == (question->kind == 0) ? 0 : ERR_FORMAT;
}

/* ---- rounds ---- */

static int round_of_all(struct question *questions, uint64_t *spent_ns)
{
    size_t order[KINDS];
    for (size_t i = 0; i < KINDS; i++)
        order[i] = i;
    for (size_t i = KINDS - 1; i > 0; i--) {
        size_t j = random_below((uint32_t)i + 1), kept = order[i];
        order[i] = order[j];
        order[j] = kept;
    }
    int err = 0;
    for (size_t i = 0; err == 0 && i < KINDS; i++) /* place i of the round, whatever kind has it */
        err = prepare(&questions[i], order[i]);
    for (size_t i = 0; err == 0 && i < KINDS; i++) {
        err = pose(&questions[i]);
        spent_ns[order[i]] = questions[i].end_ns - questions[i].begin_ns;
    }
    return err;
}

static int measure(FILE *out, double seconds, unsigned long rounds)
{
    static struct question questions[KINDS];
    uint64_t until = clock_ns() + (uint64_t)(seconds * 1e9), spent_ns[KINDS];
    int err = 0;
    for (size_t i = 0; i < KINDS; i++)
        fprintf(out, "%s%c", kinds[i].name, i + 1 < KINDS ? ' ' : '\n');
    for (unsigned long done = 0; err == 0 && done < rounds + WARM_UP; done++) {
        if (seconds > 0 && clock_ns() > until)
            break;
        err = round_of_all(questions, spent_ns);
        for (size_t i = 0; err == 0 && done >= WARM_UP && i < KINDS; i++)
            fprintf(out, "%llu%c", (unsigned long long)spent_ns[i], i + 1 < KINDS ? ' ' : '\n');
    }
    for (size_t i = 0; i < KINDS; i++)
        buffer_clear(&questions[i].packed);
    return err;
}

/* ---- start ---- */

static int load_public(const char *path)
{
    FILE *file = fopen(path, "r");
    EVP_PKEY *pkey = file == NULL ? NULL : PEM_read_PUBKEY(file, NULL, NULL, NULL);
    if (file != NULL)
        fclose(file);
    ask.public = pkey == NULL ? NULL : EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
    bool done = ask.public != NULL && EVP_PKEY_get_size(pkey) == K &&
                EVP_PKEY_encrypt_init(ask.public) == 1 &&
                EVP_PKEY_CTX_set_rsa_padding(ask.public, RSA_NO_PADDING) == 1;
    EVP_PKEY_free(pkey);
    return done ? 0 : ERR_CONFIG;
}

static int load_group_secret(const char *path, const struct identity *self, struct fault *fault)
{
    uint8_t secret[32];
    int err = identity_load_secret(secret, path, fault);
    if (err != 0)
        return err;
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "TLS1-PRF", NULL);
    ask.prf = EVP_KDF_CTX_new(kdf);
    EVP_KDF_free(kdf);
    ask.master = true;
    epoch_secret(ask.epoch_secret, secret, EPOCH_LENGTH_MS);
    memcpy(ask.edge_key, self->public, sizeof ask.edge_key);
    size_t length = seed_build(&ask.transcript, (const uint8_t *)"", 0);
    return ask.prf == NULL ? ERR_MEMORY : transcript_parse(&ask.parsed, ask.transcript.bytes, length);
}

static int run_rounds(const struct key_servers *servers, FILE *out, double seconds, unsigned long rounds)
{
    static const struct channel_handlers handlers = {
        .on_open = on_open, .on_message = on_message, .on_close = on_close};
    struct channel_settings settings;
    channel_settings_default(&settings);
    if (uv_loop_init(&ask.loop) != 0)
        return ERR_MEMORY;
    ask.channel = channel_connect(&ask.loop, &servers->servers[0].endpoint.address, servers->identity,
                                  servers->servers[0].key, servers->servers[0].psk, &settings, &handlers,
                                  NULL);
    int err = ask.channel == NULL ? ERR_MEMORY : await(&ask.greeted);
    if (err == 0)
        err = measure(out, seconds, rounds);
    if (ask.channel != NULL && !ask.closed)
        channel_close(ask.channel);
    uv_run(&ask.loop, UV_RUN_DEFAULT);
    uv_loop_close(&ask.loop);
    return err;
}

int main(int argc, char *argv[])
{
    struct edge_config config = {0};
    struct key_servers servers = {0};
    struct names names;
    struct fault fault = {0};
    FILE *out = NULL;
    names_init(&names);
    log_init("ask", LOG_ERROR, LOG_LOGFMT);
    if (argc < 7 || argc > 8 || secret_init() != 0 || edge_config_load(&config, argv[1], &fault) != 0 ||
        key_servers_load(&servers, &config, &names, &fault) != 0 ||
        hex_decode(ask.key_id, KEY_ID_SIZE, argv[2]) != 0 || load_public(argv[3]) != 0 ||
        (argc == 8 && load_group_secret(argv[7], servers.identity, &fault) != 0) ||
        (out = fopen(argv[6], "w")) == NULL) {
        fprintf(stderr, "ask: %s\n",
                fault.text[0] ? fault.text
                              : "usage: ask EDGE_CONF KEY_ID PUBLIC_KEY SECONDS ROUNDS OUT [GROUP_SECRET]");
        return 2;
    }
    key_servers_resolve(&servers, &names);
    int err = run_rounds(&servers, out, strtod(argv[4], NULL), strtoul(argv[5], NULL, 10));
    if (err != 0)
        fprintf(stderr, "ask: %s\n", err_string(err));
    fclose(out);
    EVP_PKEY_CTX_free(ask.public);
    EVP_KDF_CTX_free(ask.prf);
    key_servers_clear(&servers);
    edge_config_clear(&config);
    return err != 0;
}
