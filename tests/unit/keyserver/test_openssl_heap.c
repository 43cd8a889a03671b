#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/process.h"
#include "common/secret.h"
#include "keyserver/vault/keys/openssl_heap.h"
#include "tests/unit/skip.h"

#define SIZE  200 /* bytes; the C library gives the block that was freed last to who asks for this next */
#define LINKS 16  /* bytes where it writes into a block that is free */

/* SIZE bytes of the heap, of which the compiler does not know that nothing has written them. */
static uint8_t *take_again(void)
{
    uint8_t *block = malloc(SIZE);
    __asm__ volatile("" : "+r"(block) : : "memory");
    assert_non_null(block);
    return block;
}

static size_t count_of(const uint8_t *block, uint8_t byte)
{
    size_t count = 0;
    for (size_t i = LINKS; i < SIZE; i++)
        count += block[i] == byte;
    return count;
}

static void skip_where_blocks_do_not_come_back(void)
{
    if (PROCESS_SANITIZED)
        SKIP_FOR("a sanitizer keeps what was freed");
}

/* The block at WHERE is handed out again, and all of it is VALUE. */
static void assert_left(uintptr_t where, uint8_t value)
{
    uint8_t *block = take_again();
    assert_int_equal((uintptr_t)block, where);
    assert_int_equal(count_of(block, value), SIZE - LINKS);
    free(block);
}

/* OpenSSL's, full of something. */
static uint8_t *take_full(uintptr_t *where)
{
    uint8_t *block = OPENSSL_malloc(SIZE);
    assert_non_null(block);
    *where = (uintptr_t)block;
    memset(block, 0xa5, SIZE);
    return block;
}

/* The control: without OpenSSL's functions in between the bytes are there. */
static void the_look_finds_what_was_left(void **state)
{
    (void)state;
    skip_where_blocks_do_not_come_back();
    uint8_t *block = take_again();
    memset(block, 0xa5, SIZE);
    __asm__ volatile("" : : "r"(block) : "memory");
    uintptr_t where = (uintptr_t)block;
    free(block);
    assert_left(where, 0xa5);
}

static void what_openssl_frees_is_wiped(void **state)
{
    (void)state;
    skip_where_blocks_do_not_come_back();
    uintptr_t where;
    OPENSSL_free(take_full(&where));
    assert_left(where, 0);
}

static void what_has_to_move_leaves_nothing_behind(void **state)
{
    (void)state;
    skip_where_blocks_do_not_come_back();
    uintptr_t where;
    uint8_t *moved = OPENSSL_realloc(take_full(&where), 64 * SIZE);
    assert_non_null(moved);
    assert_int_equal(count_of(moved, 0xa5), SIZE - LINKS);
    assert_left(where, 0);
    OPENSSL_free(moved);
}

static void blocks_grow_shrink_and_end_as_openssl_has_it(void **state)
{
    (void)state;
    assert_null(OPENSSL_malloc(0));
    uint8_t *block = OPENSSL_realloc(NULL, 1);
    assert_non_null(block);
    block[0] = 7;
    for (size_t size = 2; size < 100000; size = size * 3 / 2 + 1) {
        block = OPENSSL_realloc(block, size);
        assert_non_null(block);
        assert_int_equal(block[0], 7);
        assert_int_equal(block[size / 3], 7);
        memset(block, 7, size);
    }
    block = OPENSSL_realloc(block, 3);
    assert_non_null(block);
    assert_int_equal(block[2], 7);
    assert_null(OPENSSL_realloc(block, 0));
    OPENSSL_free(NULL);
}

static void a_block_that_cannot_grow_stays(void **state)
{
    (void)state;
    if (PROCESS_SANITIZED)
        SKIP_FOR("a sanitizer ends who asks for too much");
    uint8_t *block = OPENSSL_malloc(SIZE);
    assert_non_null(block);
    memset(block, 9, SIZE);
    assert_null(OPENSSL_realloc(block, SIZE_MAX / 2));
    assert_int_equal(block[SIZE - 1], 9);
    OPENSSL_free(block);
}

static void a_second_start_changes_nothing(void **state)
{
    BIGNUM *number = BN_new(); /* OpenSSL has memory now */
    (void)state;
    assert_non_null(number);
    assert_int_equal(openssl_heap_start(), 0);
    BN_free(number);
}

static int status_of_late_start; /* an exit status */

static void too_late_is_an_error(void **state)
{
    (void)state;
    assert_int_equal(status_of_late_start, 3);
}

/* In a process of its own, since the others must not be late. */
static int start_late(void)
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        BIGNUM *number = BN_new();
        _exit(number == NULL ? 1 : openssl_heap_start() == ERR_CRYPTO ? 3 : 2);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int start(void **state)
{
    (void)state;
    status_of_late_start = start_late();
    return openssl_heap_start() != 0 || secret_init() != 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_look_finds_what_was_left),
        cmocka_unit_test(what_openssl_frees_is_wiped),
        cmocka_unit_test(what_has_to_move_leaves_nothing_behind),
        cmocka_unit_test(blocks_grow_shrink_and_end_as_openssl_has_it),
        cmocka_unit_test(a_block_that_cannot_grow_stays),
        cmocka_unit_test(too_late_is_an_error),
        cmocka_unit_test(a_second_start_changes_nothing),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
