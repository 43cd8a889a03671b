#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/process.h"
#include "common/secret.h"
#include "common/secret_slot.h"
#include "tests/unit/mappings.h"
#include "tests/unit/skip.h"

#define MANY    5000
#define THREADS 8

/* Does with SECRET in another process what WRONG says; the signal that ends it. */
static int end_of(void (*wrong)(uint8_t *secret), uint8_t *secret)
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        const struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        signal(SIGSEGV, SIG_DFL);
        signal(SIGABRT, SIG_DFL);
        wrong(secret);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

/* ---- tests ---- */

static void slots_are_zeroed_aligned_and_apart(void **state)
{
    static const size_t sizes[] = {0, 1, 32, 48, 64, 65, 5000, SECRET_SLOT_MAX};
    static const uint8_t zeros[SECRET_SLOT_MAX];
    uint8_t *secret[sizeof sizes / sizeof sizes[0]][3];
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        for (size_t j = 0; j < 3; j++) {
            secret[i][j] = secret_slot_new(sizes[i]);
            assert_non_null(secret[i][j]);
            assert_int_equal((uintptr_t)secret[i][j] % SECRET_SLOT_ALIGNMENT, 0);
            assert_memory_equal(secret[i][j], zeros, sizes[i]);
            memset(secret[i][j], (int)(16 * i + j + 1), sizes[i]);
        }
    }
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        for (size_t j = 0; j < 3; j++) {
            for (size_t at = 0; at < sizes[i]; at++)
                assert_int_equal(secret[i][j][at], 16 * i + j + 1);
            secret_slot_free(secret[i][j]);
        }
    }
    secret_slot_free(NULL);
    assert_null(secret_slot_new(SECRET_SLOT_MAX + 1));
}

static void thousands_take_few_mappings_and_leave_none(void **state)
{
    static void *secret[MANY];
    (void)state;
    for (size_t i = 0; i < MANY; i++) /* so that the heap has its size */
        secret[i] = secret_slot_new(48);
    for (size_t i = 0; i < MANY; i++)
        secret_slot_free(secret[i]);
    size_t before = mappings_count();
    for (size_t i = 0; i < MANY; i++)
        assert_non_null(secret[i] = secret_slot_new(48));
    assert_in_range(mappings_count(), before, before + 30);
    for (size_t i = 0; i < MANY; i++)
        secret_slot_free(secret[(i * 7) % MANY]);
    assert_in_range(mappings_count(), 0, before + 3);
}

static void what_is_freed_is_wiped(void **state)
{
    static const uint8_t zeros[100];
    (void)state;
    uint8_t *kept = secret_slot_new(sizeof zeros), *freed = secret_slot_new(sizeof zeros); /* one region */
    memset(freed, 0x5a, sizeof zeros);
    secret_slot_free(freed);
    assert_memory_equal(freed, zeros, sizeof zeros);
    secret_slot_free(kept);
}

static void write_before(uint8_t *secret)
{
    secret[-1] ^= 1;
    secret_slot_free(secret);
}

static void write_behind(uint8_t *secret)
{
    secret[40] ^= 1;
    secret_slot_free(secret);
}

static void write_behind_padding(uint8_t *secret)
{
    secret[SECRET_SLOT_ALIGNMENT - 1] ^= 1;
    secret_slot_free(secret);
}

static void free_twice(uint8_t *secret)
{
    secret_slot_free(secret);
    secret_slot_free(secret);
}

static void free_inside(uint8_t *secret)
{
    secret_slot_free(secret + SECRET_SLOT_ALIGNMENT);
}

static void free_another(uint8_t *secret)
{
    (void)secret;
    static uint8_t other[256];
    secret_slot_free(other + 128);
}

static void a_slot_that_was_overwritten_or_is_none_ends_the_process(void **state)
{
    void (*const wrongs[])(uint8_t *) = {write_before, write_behind, write_behind_padding,
                                         free_twice,   free_inside,  free_another};
    (void)state;
    uint8_t *secret = secret_slot_new(40), *neighbour = secret_slot_new(40);
    for (size_t i = 0; i < sizeof wrongs / sizeof wrongs[0]; i++)
        assert_int_equal(end_of(wrongs[i], secret), SIGABRT);
    secret_slot_free(secret);
    secret_slot_free(neighbour);
}

static void run_up(uint8_t *secret)
{
    for (volatile uint8_t *at = secret;; at++)
        *at = 1;
}

static void run_down(uint8_t *secret)
{
    for (volatile uint8_t *at = secret;; at--)
        *at = 1;
}

static void a_region_ends_in_guard_pages(void **state)
{
    (void)state;
    if (PROCESS_SANITIZED)
        SKIP_FOR("a build with sanitizers catches the signal");
    uint8_t *secret = secret_slot_new(40);
    assert_int_equal(end_of(run_up, secret), SIGSEGV);
    assert_int_equal(end_of(run_down, secret), SIGSEGV);
    secret_slot_free(secret);
}

/* Of the flags of the mapping that SECRET lies in (proc(5), VmFlags). */
static bool has_flag(const void *secret, const char *flag)
{
    char line[512];
    unsigned long from, to;
    bool here = false, found = false;
    FILE *maps = fopen("/proc/self/smaps", "r");
    assert_non_null(maps);
    while (fgets(line, sizeof line, maps) != NULL) {
        if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
            here = (uintptr_t)secret >= from && (uintptr_t)secret < to;
        else if (here && strncmp(line, "VmFlags:", 8) == 0)
            found = strstr(line, flag) != NULL;
    }
    fclose(maps);
    return found;
}

static void slots_are_locked_and_left_out_of_dumps(void **state)
{
    struct rlimit limit;
    (void)state;
    uint8_t *secret = secret_slot_new(32);
    assert_true(has_flag(secret, " dd"));
    assert_int_equal(getrlimit(RLIMIT_MEMLOCK, &limit), 0);
    if (limit.rlim_cur >= 1u << 20)
        assert_true(has_flag(secret, " lo"));
    secret_slot_free(secret);
}

static void *use_some(void *user)
{
    void *secret[64];
    (void)user;
    for (int round = 0; round < 50; round++) {
        for (size_t i = 0; i < 64; i++) {
            secret[i] = secret_slot_new(32 * (i % 3));
            if (secret[i] == NULL)
                abort();
            memset(secret[i], 1, 32 * (i % 3));
        }
        for (size_t i = 0; i < 64; i++)
            secret_slot_free(secret[i]);
    }
    return NULL;
}

static void any_thread_takes_and_gives(void **state)
{
    pthread_t thread[THREADS];
    (void)state;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, use_some, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(thread[i], NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slots_are_zeroed_aligned_and_apart),
        cmocka_unit_test(thousands_take_few_mappings_and_leave_none),
        cmocka_unit_test(what_is_freed_is_wiped),
        cmocka_unit_test(a_slot_that_was_overwritten_or_is_none_ends_the_process),
        cmocka_unit_test(a_region_ends_in_guard_pages),
        cmocka_unit_test(slots_are_locked_and_left_out_of_dumps),
        cmocka_unit_test(any_thread_takes_and_gives),
    };
    return secret_init() == 0 ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
