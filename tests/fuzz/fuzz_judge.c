/* A network process that has been taken over puts anything into a slot: the vault refuses it or judges it,
 * never reads beyond a field's length, and grants only what has the form of TLS. No private-key operation is
 * done: the gate's bytes are compared with those of the fields. */
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "common/secret.h"
#include "keyserver/vault/gate.h"
#include "keyserver/vault/judge.h"

#define KEYS      3
#define TEMPLATES 4 /* requests that would be granted, for the input to change */

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static struct keystore *keys;
static struct authorized *edges;
static struct wall_request templates[TEMPLATES];

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void write_key(const char *folder, const char *name, EVP_PKEY *pkey)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    must(file != NULL && fchmod(fileno(file), 0600) == 0);
    must(PEM_write_PrivateKey(file, pkey, NULL, NULL, 0, NULL, NULL) == 1 && fclose(file) == 0);
    EVP_PKEY_free(pkey);
}

static void load_keys(void)
{
    static const char *const names[KEYS] = {"ec.pem", "ed.pem", "www.pem"};
    static const uint8_t group_secret[32] = {1};
    char folder[] = "/tmp/fuzz_judge.XXXXXX", path[128];
    struct fault fault;
    must(mkdtemp(folder) != NULL);
    write_key(folder, names[0], EVP_EC_gen("P-256"));
    write_key(folder, names[1], EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"));
    write_key(folder, names[2], EVP_RSA_gen(2048));
    must(keystore_load(&keys, folder, group_secret, &fault) == 0 && keystore_count(keys) == KEYS);
    for (size_t i = 0; i < KEYS; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    rmdir(folder);
}

/* Two edges: all keys and operations from anywhere; one key, as by default, from one network. */
static void load_edges(void)
{
    static const char text[] =
        "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= all psk=AQEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= "
        "ops=sign_tls12,sign_tls13,rsa_premaster\n"
        "AgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= one psk=AgIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= "
        "keys=www from=192.0.2.0/24\n";
    struct fault fault = {{0}};
    if (authorized_parse(&edges, text, sizeof text - 1, "edges", &fault) != 0) {
        fprintf(stderr, "%s\n", fault.text);
        abort();
    }
}

/* An X25519 share (the base point), a TLS 1.3 hash, a ciphertext of the modulus's size. */
static void make_templates(void)
{
    static const uint8_t params[36] = {3, 0, 29, 32, 9};
    const struct key *ec = NULL, *rsa = NULL;
    for (size_t i = 0; i < KEYS; i++) {
        const struct key *key = keystore_at(keys, i);
        if (key->type == KEY_RSA)
            rsa = key;
        else if (key->type == KEY_EC_P256)
            ec = key;
    }
    must(rsa != NULL && ec != NULL);
    for (size_t i = 0; i < TEMPLATES; i++) {
        struct wall_request *request = &templates[i];
        *request = (struct wall_request){.token = 1, .kind = WALL_OPERATION, .from_family = AF_INET};
        request->edge_key[0] = 1;
        memcpy(request->from, (const uint8_t[]){192, 0, 2, 7}, 4);
        memcpy(request->operation.key_id, i == 1 ? ec->id : rsa->id, KEY_ID_SIZE);
    }
    struct operation *tls13 = &templates[0].operation, *tls12 = &templates[1].operation;
    struct operation *premaster = &templates[2].operation;
    tls13->kind = OP_SIGN_TLS13;
    tls13->u.sign_tls13.scheme = SCHEME_RSA_PSS_RSAE_SHA256;
    tls13->u.sign_tls13.hash_length = 32;
    tls12->kind = OP_SIGN_TLS12;
    tls12->u.sign_tls12.scheme = SCHEME_ECDSA_P256_SHA256;
    tls12->u.sign_tls12.params_length = sizeof params;
    memcpy(tls12->u.sign_tls12.params, params, sizeof params);
    premaster->kind = OP_RSA_PREMASTER;
    premaster->u.rsa_premaster.client_version = 0x0303;
    premaster->u.rsa_premaster.ciphertext_length = 256;
    memset(premaster->u.rsa_premaster.ciphertext, 5, 256);
    templates[3].operation.kind = OP_KEYS;
}

static void unload(void)
{
    keystore_free(keys);
    authorized_free(edges);
    gate_stop();
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    log_init("fuzz", LOG_ERROR, LOG_LOGFMT);
    must(secret_init() == 0 && gate_start() == 0);
    load_keys();
    load_edges();
    make_templates();
    atexit(unload);
    for (size_t i = 0; i < TEMPLATES; i++) {
        must(wall_request_check(&templates[i]) == 0);
        must(judge_request(edges, keys, &templates[i]).refusal == REFUSAL_NONE);
    }
    return 0;
}

/* Fills what lies behind the field lengths with FILLER; the judge must not see it. */
static void fill_unused(struct operation *operation, int filler)
{
    if (operation->kind == OP_SIGN_TLS13) {
        size_t used = operation->u.sign_tls13.hash_length;
        memset(operation->u.sign_tls13.hash + used, filler, TRANSCRIPT_HASH_MAX - used);
    } else if (operation->kind == OP_SIGN_TLS12) {
        size_t used = operation->u.sign_tls12.params_length;
        memset(operation->u.sign_tls12.params + used, filler, KEY_EXCHANGE_PARAMS_MAX - used);
    } else if (operation->kind == OP_RSA_PREMASTER) {
        size_t used = operation->u.rsa_premaster.ciphertext_length;
        memset(operation->u.rsa_premaster.ciphertext + used, filler, RSA_MODULUS_MAX - used);
    }
}

/* What is signed is made of constants and of the fields, each in its place. */
static void check_content(const struct operation *operation)
{
    static const char context[] =
        "TLS 1.3, server CertificateVerify"; /* its final zero counts: RFC 8446, 4.4.3 */
    uint8_t content[GATE_CONTENT_MAX];
    size_t length = gate_build(operation, content);
    if (operation->kind == OP_SIGN_TLS13) {
        size_t size = operation->u.sign_tls13.hash_length;
        must((size == 32 || size == 48) && length == 64 + sizeof context + size);
        must(content[0] == ' ' && memcmp(content, content + 1, 63) == 0);
        must(memcmp(content + 64, context, sizeof context) == 0);
        must(memcmp(content + 64 + sizeof context, operation->u.sign_tls13.hash, size) == 0);
    } else {
        size_t size = operation->u.sign_tls12.params_length;
        must(size >= 4 && length == 64 + size && operation->u.sign_tls12.params[0] == 3);
        must(memcmp(content, operation->u.sign_tls12.client_random, 32) == 0);
        must(memcmp(content + 32, operation->u.sign_tls12.server_random, 32) == 0);
        must(memcmp(content + 64, operation->u.sign_tls12.params, size) == 0);
    }
}

static void check_granted(const struct wall_request *request, const struct judgement *judgement)
{
    const struct operation *operation = &request->operation;
    must(judgement->edge != NULL && memcmp(judgement->edge->key, request->edge_key, 32) == 0);
    if (strcmp(judgement->edge->name, "one") == 0) /* its from=, as the bytes say it */
        must(request->from_family != 0);
    if (operation->kind == OP_KEYS)
        return;
    must(judgement->key != NULL && memcmp(judgement->key->id, operation->key_id, KEY_ID_SIZE) == 0);
    must((judge_grants(judgement->edge, judgement->key) & 1u << operation->kind) != 0);
    if (operation->kind == OP_RSA_PREMASTER)
        must(operation->u.rsa_premaster.ciphertext_length == judgement->key->result_size);
    else
        check_content(operation);
}

static void judge(struct wall_request *request)
{
    if (wall_request_check(request) != 0 || request->kind != WALL_OPERATION)
        return;
    fill_unused(&request->operation, 0);
    struct judgement first = judge_request(edges, keys, request);
    fill_unused(&request->operation, 0xff);
    struct judgement second = judge_request(edges, keys, request);
    must(first.refusal < REFUSAL_KINDS && wall_refusal_name(first.refusal) != NULL);
    must(first.refusal == second.refusal && first.edge == second.edge && first.key == second.key);
    if (first.refusal == REFUSAL_NONE)
        check_granted(request, &first);
}

/* INPUT: which template, or none; then either the slot's bytes, or changes: a place of two bytes and a mask
 * each. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct wall_request request = {.token = 0};
    if (length < 1)
        return 0;
    const uint8_t *at = bytes + 1, *end = bytes + length;
    if (bytes[0] < TEMPLATES) {
        request = templates[bytes[0]];
        for (; end - at >= 3; at += 3)
            ((uint8_t *)&request)[((size_t)at[0] << 8 | at[1]) % sizeof request] ^= at[2];
    } else {
        size_t size = (size_t)(end - at);
        memcpy(&request, at, size < sizeof request ? size : sizeof request);
    }
    judge(&request);
    return 0;
}
