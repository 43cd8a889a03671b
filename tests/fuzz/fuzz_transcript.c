/* Any bytes are a transcript or are refused; what was read, read once more in the plainest way and written
 * again, is what came in, and nothing of it is missing that bound mode relies on. */
#include <stdlib.h>
#include <string.h>

#include "keyserver/vault/request/transcript.h"
#include "tests/lib/transcript_seed.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

struct hello {
    const uint8_t *session_id, *suites; /* a server's: the one that it chose */
    size_t session_id_length, suites_length;
    bool extended_master_secret, server_name, supported_versions;
};

static void must(bool holds)
{
    if (!holds)
        abort();
}

/* Copies the next LENGTH bytes from *AT to the writer and moves on; returns where they were. */
static const uint8_t *copy(const uint8_t **at, struct writer *w, size_t length)
{
    const uint8_t *from = *at;
    writer_bytes(w, from, length);
    must(!w->bad); /* it has room for as much as came in */
    *at += length;
    return from;
}

static size_t copy_number(const uint8_t **at, struct writer *w, size_t width)
{
    size_t value = 0;
    const uint8_t *bytes = copy(at, w, width);
    for (size_t i = 0; i < width; i++)
        value = value << 8 | bytes[i];
    return value;
}

static void again_hello(struct hello *out, const uint8_t *at, const uint8_t *end, struct writer *w,
                        bool client)
{
    uint16_t types[1024];
    size_t count = 0;
    *out = (struct hello){0};
    must(copy_number(&at, w, 2) == 0x0303);
    copy(&at, w, 32);
    out->session_id_length = copy_number(&at, w, 1);
    out->session_id = copy(&at, w, out->session_id_length);
    out->suites_length = client ? copy_number(&at, w, 2) : 2;
    out->suites = copy(&at, w, out->suites_length);
    size_t methods = client ? copy_number(&at, w, 1) : 1;
    must(memchr(copy(&at, w, methods), 0, methods) != NULL);
    size_t extensions = copy_number(&at, w, 2);
    must(at + extensions == end);
    while (at < end) {
        uint16_t type = (uint16_t)copy_number(&at, w, 2);
        size_t length = copy_number(&at, w, 2);
        copy(&at, w, length);
        must(at <= end);
        for (size_t i = 0; i < count; i++)
            must(types[i] != type);
        types[count++] = type;
        must(count < 1024);
        out->extended_master_secret |= type == 23 && length == 0;
        out->server_name |= type == 0;
        out->supported_versions |= type == 43;
    }
}

static void check_name(const char *name, bool asked)
{
    must((name[0] != 0) == asked && strlen(name) < TRANSCRIPT_NAME_SIZE);
    for (const char *c = name; *c != 0; c++)
        must(*c > ' ' && *c <= '~' && *c != '"' && *c != '\\' && !(*c >= 'A' && *c <= 'Z'));
}

static bool offers(const struct hello *client, uint16_t suite)
{
    for (size_t i = 0; i < client->suites_length; i += 2)
        if ((client->suites[i] << 8 | client->suites[i + 1]) == suite)
            return true;
    return false;
}

static void check(const struct transcript *seen, const uint8_t *bytes, size_t length)
{
    static uint8_t again[1 << 20];
    static const uint8_t types[] = {1, 2, 11, 14, 16};
    struct hello client = {0}, server = {0};
    const uint8_t *at = bytes;
    struct writer w;
    writer_init(&w, again, length);
    for (size_t i = 0; i < sizeof types; i++) {
        must(copy_number(&at, &w, 1) == types[i]);
        size_t body = copy_number(&at, &w, 3);
        const uint8_t *begin = at;
        if (i < 2)
            again_hello(i == 0 ? &client : &server, at, at + body, &w, i == 0);
        else
            copy(&at, &w, body);
        at = begin + body;
        if (i == 3)
            must(body == 0);
        if (i == 4)
            must(body == 2u + seen->ciphertext_length && seen->ciphertext == begin + 2 &&
                 (size_t)(begin[0] << 8 | begin[1]) == seen->ciphertext_length && body > 2);
    }
    must(at == bytes + length && writer_length(&w) == length && memcmp(again, bytes, length) == 0);
    must(seen->messages == bytes && seen->length == length && seen->client_version == 0x0303);
    must(client.extended_master_secret && server.extended_master_secret && !server.supported_versions);
    must(client.session_id_length <= 32 && client.suites_length % 2 == 0);
    must(server.session_id_length == SESSION_ID_SIZE && seen->session_id == server.session_id);
    must(seen->cipher_suite == (server.suites[0] << 8 | server.suites[1]) &&
         offers(&client, seen->cipher_suite));
    must(seen->prf_bits == 256 || seen->prf_bits == 384);
    check_name(seen->server_name, client.server_name);
}

/* The plainest one is read. */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static struct seed seed;
    struct transcript seen;
    (void)argc;
    (void)argv;
    size_t length = seed_build(&seed, (const uint8_t *)"", 0);
    must(transcript_parse(&seen, seed.bytes, length) == 0 && seen.ciphertext_length == SEED_CIPHERTEXT_SIZE);
    return 0;
}

/* INPUT: a byte: 0, the rest is the transcript; else it says how to build one. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    static struct seed seed;
    struct transcript seen;
    uint8_t hash[TRANSCRIPT_HASH_MAX];
    if (length < 1)
        return 0;
    const uint8_t *messages = bytes + 1;
    size_t size = length - 1;
    if (bytes[0] != 0) {
        size = seed_build(&seed, messages, size);
        messages = seed.bytes;
    }
    int err = transcript_parse(&seen, messages, size);
    must(err == 0 || err == ERR_FORMAT);
    if (err != 0)
        return 0;
    check(&seen, messages, size);
    must(transcript_hash(&seen, hash) == 0);
    return 0;
}
