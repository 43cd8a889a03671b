/* Out of memory by counting: the n-th allocation fails, for every n. What is asked for is refused or comes
 * later; nothing crashes. The sanitizers own the allocator, so under them this program skips. */
#include "tests/unit/edge/client_rig.h"
#include "tests/unit/skip.h"

#ifdef __has_feature
#define HAS(feature) __has_feature(feature)
#else
#define HAS(feature) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || HAS(address_sanitizer) ||               \
    HAS(thread_sanitizer) || HAS(memory_sanitizer)
#define COUNTS 0
#else
#define COUNTS 1
#endif

static long left = -1; /* allocations until one fails; negative = all succeed */

#if COUNTS
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);

static bool fails(void)
{
    return left >= 0 && left-- == 0;
}

void *malloc(size_t size)
{
    return fails() ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    return fails() ? NULL : __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
    return fails() ? NULL : __libc_realloc(old, size);
}
#endif

/* True when the allocation that was to fail has come. */
static bool disarm(void)
{
    bool hit = left < 0;

    left = -1;
    return hit;
}

static void a_client_starts_later_or_not_at_all(void **state)
{
    (void)state;
    bool hit = COUNTS;
    if (!COUNTS)
        SKIP_FOR("allocations are not counted under a sanitizer");
    for (long n = 0; hit; n++) {
        struct rig *rig = rig_new(2);
        left = n;
        rig->client = client_new(&rig->loop, &rig->settings);
        hit = disarm();
        if (rig->client != NULL) /* a connection that could not be made is made a little later */
            RIG_WAIT(rig, rig->usable == 2);
        else
            assert_true(hit);
        if (rig->client != NULL && hit)
            assert_true(count_of(&rig->stats[0].failed) + count_of(&rig->stats[1].failed) > 0);
        rig_free(rig);
        assert_true(n < 100);
    }
}

static void a_request_is_refused_and_may_come_again(void **state)
{
    (void)state;
    if (!COUNTS)
        SKIP_FOR("allocations are not counted under a sanitizer");
    struct rig *rig = rig_connected(1);
    struct ask ask;
    ask_init(&ask, rig, OP_SIGN_TLS13, LONG_MS);
    left = 0;
    assert_int_equal(client_submit(rig->client, &ask.request), ERR_MEMORY);
    assert_true(disarm());
    assert_int_equal(route_in_flight(&rig->client->route), 0);
    assert_int_equal(client_submit(rig->client, &ask.request), 0);
    RIG_WAIT(rig, ask.answers);
    assert_answered(&ask);
    rig_free(rig);
}

static unsigned ends;

static void on_keys(const char *server, enum operation_status status, const struct key_info *keys,
                    size_t count, void *user)
{
    (void)status, (void)keys, (void)count, (void)user;
    ends += server == NULL;
}

static void a_list_of_keys_is_refused_and_may_come_again(void **state)
{
    (void)state;
    bool hit = COUNTS;
    if (!COUNTS)
        SKIP_FOR("allocations are not counted under a sanitizer");
    for (long n = 0; hit; n++) {
        struct rig *rig = rig_connected(2);
        ends = 0;
        left = n;
        int err = client_keys(rig->client, LONG_MS, on_keys, NULL);
        hit = disarm();
        assert_int_equal(err, hit ? ERR_MEMORY : 0);
        assert_int_equal(route_in_flight(&rig->client->route), hit ? 0 : 2);
        if (hit)
            assert_int_equal(client_keys(rig->client, LONG_MS, on_keys, NULL), 0);
        RIG_WAIT(rig, ends == 1);
        rig_free(rig);
        assert_true(n < 10);
    }
}

static int setup(void **state)
{
#if COUNTS
    /* libuv aborts without memory; it is not what is tested here. */
    if (uv_replace_allocator(__libc_malloc, __libc_realloc, __libc_calloc, free) != 0)
        return -1;
#endif
    return rig_setup(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_starts_later_or_not_at_all),
        cmocka_unit_test(a_request_is_refused_and_may_come_again),
        cmocka_unit_test(a_list_of_keys_is_refused_and_may_come_again),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
