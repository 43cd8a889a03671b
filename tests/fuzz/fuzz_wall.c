/* Any bytes are a slot that is refused, or one whose every field holds what the judge promises. The first
 * byte says what of the slot is put right, so that the fuzzer gets past the edges' and the keys' hashes. */
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "common/secret.h"
#include "keyserver/vault/desk_request.h"
#include "keyserver/vault/judge/gate.h"
#include "keyserver/vault/judge/judge.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

enum {
    KNOWN_EDGE = 1,
    KNOWN_KEY = 2,
    WELL_FORMED = 4
}; /* bits of the first byte; the rest chooses the key */

static const uint8_t group_secret[32];
static struct hasher hasher;
static struct keystore *keys;
static struct authorized *edges;
static struct policy *policy;
static struct usage *usage;

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
    must(PEM_write_PKCS8PrivateKey(file, pkey, NULL, NULL, 0, NULL, NULL) == 1 && fclose(file) == 0);
    EVP_PKEY_free(pkey);
}

static void unload(void)
{
    usage_free(usage);
    policy_free(policy);
    keystore_free(keys);
    authorized_free(edges);
    gate_stop();
}

/* Everything is allowed, and counted. */
static void load_policy(void)
{
    static char words[][16] = {"sign_tls13", "sign_tls12", "rsa_premaster", "rsa_master", "bound", "plain"};
    static char *operations[] = {words[0], words[1], words[2], words[3]}, *modes[] = {words[4], words[5]};
    static char quota[] = "1000000000000/d", place[] = "here";
    static struct server_config config = {.key_default = {.operations = {operations, 4},
                                                          .modes = {modes, 2},
                                                          .quota_per_edge = quota,
                                                          .place = {[KEY_QUOTA_PER_EDGE] = place}}};
    struct fault fault;
    must(policy_new(&policy, &config.key_default, &config.key_sections, &fault) == 0);
    usage = usage_new(edges, keys, policy);
    must(usage != NULL);
}

static void load(void)
{
    static const char text[] = "YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE= edge "
                               "psk=YmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmI= "
                               "ops=sign_tls12,sign_tls13,rsa_premaster,rsa_master from=192.0.2.0/24\n";
    static const char *const names[] = {"rsa.pem", "p256.pem", "p384.pem", "ed25519.pem"};
    char folder[] = "/tmp/fuzz_wall.XXXXXX", path[128];
    struct fault fault;
    log_init("fuzz", LOG_ERROR, LOG_LOGFMT);
    must(secret_init() == 0 && gate_start() == 0 && hasher_init(&hasher) == 0 && mkdtemp(folder) != NULL);
    write_key(folder, names[0], EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048));
    write_key(folder, names[1], EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256"));
    write_key(folder, names[2], EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-384"));
    write_key(folder, names[3], EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"));
    must(keystore_load(&keys, NULL, folder, group_secret, NULL, NULL, &fault) == 0 &&
         keystore_count(keys) == 4);
    must(authorized_parse(&edges, text, sizeof text - 1, "edges", &fault) == 0);
    for (size_t i = 0; i < 4; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    rmdir(folder);
    load_policy();
}

static void put_right(struct wall_request *slot, uint8_t what)
{
    if (what & KNOWN_EDGE) {
        memset(slot->edge_key, 'a', sizeof slot->edge_key);
        slot->from_family = AF_INET;
        memcpy(slot->from, (const uint8_t[]){192, 0, 2, 1}, 4);
    }
    if (what & KNOWN_KEY)
        memcpy(slot->operation.key_id, keystore_at(keys, what >> 6)->id, KEY_ID_SIZE);
    if (what & WELL_FORMED) {
        slot->token |= 1;
        slot->kind = WALL_OPERATION;
        slot->operation.kind = (enum operation_kind)(what >> 3 & 7);
    }
}

/* What a worker would be given. */
static void look_at(const struct wall_request *slot, const struct key *key, const struct crypto_input *input)
{
    must(input->kind == slot->operation.kind);
    if (input->kind == OP_RSA_PREMASTER || input->kind == OP_RSA_MASTER) {
        must(key->type == KEY_RSA && input->u.exchange.ciphertext_length == key->result_size);
        return;
    }
    size_t length = input->u.sign.length;
    const uint8_t *content = input->u.sign.content;
    must(length > 64 && length <= sizeof input->u.sign.content);
    if (slot->operation.kind == OP_SIGN_TLS13)
        must(length == 98u + slot->operation.u.sign_tls13.hash_length && content[0] == 0x20);
    else
        must(length == 64u + slot->operation.u.sign_tls12.params_length && content[64] == 3);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct wall_request slot;
    struct wall_answer answer;
    if (keys == NULL) {
        load();
        atexit(unload);
    }
    if (length == 0)
        return 0;
    memset(&slot, 0, sizeof slot);
    memcpy(&slot, bytes + 1, length - 1 < sizeof slot ? length - 1 : sizeof slot);
    memset(&answer, 0, sizeof answer);
    memcpy(&answer, bytes + 1, length - 1 < sizeof answer ? length - 1 : sizeof answer);
    if (wall_answer_check(&answer) == 0 && answer.kind == WALL_OUTCOME)
        must(status_name(answer.u.outcome.status) != NULL && answer.u.outcome.length <= RESULT_MAX);
    put_right(&slot, bytes[0]);
    if (slot.kind == WALL_OPERATION && slot.operation.kind == OP_RSA_MASTER)
        slot.operation.u.rsa_master.messages = length > 1 ? bytes + 1 : NULL; /* as the wall would have it */
    if (slot.kind == WALL_OPERATION && slot.operation.kind == OP_RSA_MASTER &&
        slot.operation.u.rsa_master.length > length - 1)
        slot.operation.u.rsa_master.length = (uint32_t)(length - 1);
    if (wall_request_check(&slot) != 0 || slot.kind != WALL_OPERATION)
        return 0;
    const struct judge judge = {.edges = edges,
                                .keys = keys,
                                .policy = policy,
                                .usage = usage,
                                .epoch_secret = group_secret,
                                .hasher = &hasher};
    const struct now now = {.epoch = 7};
    struct key_request request;
    struct judgement judgement;
    desk_request_make(&request, &slot);
    judge_request(&judge, &request, &now, &judgement);
    must(strcmp(refusal_name(judgement.refusal), "unknown") != 0);
    if (judgement.refusal != REFUSAL_NONE || slot.operation.kind == OP_KEYS)
        return 0;
    const struct request_identity *identity = &judgement.identity;
    must(identity->edge != NULL && identity->key != NULL);
    must(judge_grants(&judge, identity->edge, identity->key) & 1u << slot.operation.kind);
    must(judge_reaches(&judge, identity->key, &request.from, &now));
    look_at(&slot, identity->key, &judgement.input);
    return 0;
}
