/* What parsing allocates, what it does without memory, and what it leaves behind in memory it gives back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "common/secret.h"

static unsigned allocations;  /* so far */
static unsigned fail_at;      /* number of the one that fails, from 1; 0 = none */
static size_t allocated;      /* bytes, in all */
static uint8_t secret[46];    /* looked for in every block that is freed */
static unsigned blocks_freed; /* so far */
static unsigned leaks;        /* freed blocks with the secret inside */

static bool next_fails(size_t size)
{
    allocated += size;
    return ++allocations == fail_at;
}

static void *counting_malloc(size_t size)
{
    return next_fails(size) ? NULL : malloc(size);
}

static void *counting_calloc(size_t count, size_t size)
{
    return next_fails(count * size) ? NULL : calloc(count, size);
}

static void inspecting_free(void *block)
{
    blocks_freed += block != NULL;
    if (block != NULL && memmem(block, malloc_usable_size(block), secret, sizeof secret) != NULL)
        leaks++;
    free(block);
}

/* The modules themselves, with these allocators. */
#define malloc counting_malloc
#define calloc counting_calloc
#define free   inspecting_free
#include "proto/msg.c"
#include "proto/msg_parse.c"
#undef malloc
#undef calloc
#undef free

static void start_counting(unsigned failing)
{
    allocations = 0;
    allocated = 0;
    fail_at = failing;
    blocks_freed = 0;
    leaks = 0;
}

/* COUNT answers with a pre-master secret each. */
static void pack_secrets(struct buffer *packed, size_t count)
{
    static struct msg_answer answers[MSG_BATCH_MAX];
    for (size_t i = 0; i < count; i++) {
        answers[i] = (struct msg_answer){.id = i, .outcome = {.length = 48, .bytes = {3, 3}}};
        memcpy(answers[i].outcome.bytes + 2, secret, sizeof secret);
    }
    assert_int_equal(msg_pack_answers(packed, answers, count), 0);
    wipe(answers, sizeof answers);
}

static void without_memory_parsing_says_so_and_leaks_nothing(void **state)
{
    (void)state;
    struct buffer packed = {0};
    struct msg *msg = NULL;
    pack_secrets(&packed, MSG_BATCH_MAX);
    start_counting(0);
    assert_int_equal(msg_parse(&msg, buffer_bytes(&packed), buffer_length(&packed)), 0);
    msg_free(msg);
    unsigned needed = allocations;
    assert_in_range(needed, 2, 3);
    for (unsigned failing = 1; failing <= needed; failing++) {
        msg = NULL;
        start_counting(failing);
        assert_int_equal(msg_parse(&msg, buffer_bytes(&packed), buffer_length(&packed)), ERR_MEMORY);
        assert_null(msg);
        assert_int_equal(leaks, 0);
    }
    start_counting(0);
    buffer_clear(&packed);
}

static void no_secret_is_left_in_freed_memory(void **state)
{
    (void)state;
    struct buffer packed = {0};
    struct msg *msg = NULL;
    pack_secrets(&packed, MSG_BATCH_MAX);
    start_counting(0);
    assert_int_equal(msg_parse(&msg, buffer_bytes(&packed), buffer_length(&packed)), 0);
    assert_memory_equal(msg->answers[63].outcome.bytes + 2, secret, sizeof secret);
    assert_int_equal(blocks_freed, 1); /* the arena */
    assert_int_equal(leaks, 0);
    msg_free(msg);
    assert_int_equal(blocks_freed, 2);
    assert_int_equal(leaks, 0);
    buffer_clear(&packed);
}

static void the_search_for_secrets_finds_one(void **state)
{
    (void)state;
    uint8_t *block = malloc(sizeof secret + 10);
    assert_non_null(block);
    memcpy(block + 5, secret, sizeof secret);
    start_counting(0);
    inspecting_free(block);
    assert_int_equal(leaks, 1);
}

static void a_small_message_takes_one_block(void **state)
{
    (void)state;
    struct buffer packed = {0};
    struct msg *msg = NULL;
    pack_secrets(&packed, 1);
    start_counting(0);
    assert_int_equal(msg_parse(&msg, buffer_bytes(&packed), buffer_length(&packed)), 0);
    assert_int_equal(allocations, 1);
    msg_free(msg);
    buffer_clear(&packed);
}

/* The costliest message there is: as many keys as may be, each with as many unknown fields as may be. */
static size_t write_costly(uint8_t *out, size_t size)
{
    struct writer w;
    size_t key = 34 + 2 * MSG_UNKNOWN_FIELDS_MAX;
    size_t list = MSG_KEYS_MAX * (2 + key);
    writer_init(&w, out, size);
    for (int level = 0; level < 3; level++) { /* Message.answers, Answers.answer, Answer.keys */
        size_t inside = list + (level == 0 ? 9 : level == 1 ? 5 : 0);
        if (level == 2)
            writer_u16(&w, 0x8201);
        else
            writer_u8(&w, level == 0 ? 0x1a : 0x0a);
        writer_u8(&w, (uint8_t)(0x80 | (inside & 0x7f)));
        writer_u8(&w, (uint8_t)(0x80 | (inside >> 7 & 0x7f)));
        writer_u8(&w, (uint8_t)(inside >> 14));
    }
    for (size_t i = 0; i < MSG_KEYS_MAX; i++) {
        writer_u8(&w, 0x0a);
        writer_u8(&w, (uint8_t)key);
        writer_u16(&w, 0x0a20);
        for (size_t j = 0; j < 4; j++)
            writer_u64(&w, i);
        for (size_t j = 0; j < MSG_UNKNOWN_FIELDS_MAX; j++)
            writer_u16(&w, 0x7800);
    }
    assert_false(w.bad);
    return writer_length(&w);
}

static void the_costliest_message_takes_a_small_multiple_of_itself(void **state)
{
    (void)state;
    static uint8_t bytes[MSG_SIZE_MAX];
    struct msg *msg = NULL;
    size_t length = write_costly(bytes, sizeof bytes);
    start_counting(0);
    assert_int_equal(msg_parse(&msg, bytes, length), 0);
    assert_in_range(allocated, length, 16 * length);
    msg_free(msg);
}

static int start(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof secret; i++)
        secret[i] = (uint8_t)(0x5a ^ (37 * i));
    return secret_init();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_memory_parsing_says_so_and_leaks_nothing),
        cmocka_unit_test(no_secret_is_left_in_freed_memory),
        cmocka_unit_test(the_search_for_secrets_finds_one),
        cmocka_unit_test(a_small_message_takes_one_block),
        cmocka_unit_test(the_costliest_message_takes_a_small_multiple_of_itself),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
