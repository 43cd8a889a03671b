/* Any bytes are a message or an error; a message packs and parses to the same again. Memory for unpacking is
 * never short, since msg_scan() bounds it. */
#include <stdlib.h>
#include <string.h>

#include "common/secret.h"
#include "proto/msg.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    return secret_init();
}

static void must(bool holds)
{
    if (!holds)
        abort();
}

static int pack(struct buffer *out, const struct msg *msg)
{
    if (msg->kind == MSG_HELLO)
        return msg_pack_hello(out, &msg->hello);
    if (msg->kind == MSG_ANSWERS)
        return msg_pack_answers(out, msg->answers, msg->count);
    return msg_pack_requests(out, msg->requests, msg->count);
}

static void check_same(const struct msg *a, const struct msg *b)
{
    must(a->kind == b->kind && a->count == b->count);
    must(memcmp(&a->hello, &b->hello, sizeof a->hello) == 0);
    for (size_t i = 0; a->kind == MSG_REQUESTS && i < a->count; i++)
        must(memcmp(&a->requests[i].operation, &b->requests[i].operation, sizeof(struct operation)) == 0);
    for (size_t i = 0; a->kind == MSG_ANSWERS && i < a->count; i++) {
        must(a->answers[i].outcome.status == b->answers[i].outcome.status);
        must(a->answers[i].outcome.length == b->answers[i].outcome.length);
        must(a->answers[i].key_count == b->answers[i].key_count);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct msg *msg = NULL;
    struct msg *again = NULL;
    struct buffer packed = {0};
    int err = msg_parse(&msg, bytes, length);
    must(err == 0 || err == ERR_FORMAT || err == ERR_LENGTH);
    if (err != 0)
        return 0;
    err = pack(&packed, msg);
    must(err == 0 || err == ERR_UNSUPPORTED || err == ERR_LENGTH); /* an operation of kind 0 */
    if (err == 0) {
        must(msg_parse(&again, buffer_bytes(&packed), buffer_length(&packed)) == 0);
        check_same(msg, again);
    }
    msg_free(again);
    msg_free(msg);
    buffer_clear(&packed);
    return 0;
}
