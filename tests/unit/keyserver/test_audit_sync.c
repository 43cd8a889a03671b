/* The thread that waits for the disk, and the note of the last checkpoint that it writes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/secret.h"
#include "keyserver/vault/audit/audit_sync.h"
#include "tests/unit/remove_tree.h"

static char folder_path[32];
static int folder;
static struct sign_key key;

static int set_up(void **state)
{
    (void)state;
    strcpy(folder_path, "/tmp/test_audit_sync.XXXXXX");
    if (mkdtemp(folder_path) == NULL)
        return -1;
    folder = open(folder_path, O_RDONLY | O_DIRECTORY);
    return folder < 0;
}

static int tear_down(void **state)
{
    (void)state;
    close(folder);
    return remove_tree(folder_path);
}

static struct audit_head head_of(uint64_t seq)
{
    struct audit_head head = {.link = {.seq = seq, .hash = {(uint8_t)seq}}, .epoch_ms = seq};
    audit_head_sign(&head, &key);
    return head;
}

static int make_file(const char *name)
{
    int fd = openat(folder, name, O_RDWR | O_CREAT, 0600);
    assert_true(fd >= 0);
    return fd;
}

static uint64_t noted(void)
{
    struct audit_head head;
    return audit_head_load(folder, &head) == 0 ? head.link.seq : 0;
}

static void the_note_is_written_and_never_goes_back(void **state)
{
    struct audit_head head = head_of(0), there;
    (void)state;
    assert_int_equal(audit_head_load(folder, &there), ERR_NOT_FOUND);
    static const uint64_t seqs[][2] = {{5, 5}, {7, 7}, {6, 7}, {7, 7}, {AUDIT_SEQ_MAX, AUDIT_SEQ_MAX}};
    for (size_t i = 0; i < sizeof seqs / sizeof seqs[0]; i++) {
        head = head_of(seqs[i][0]);
        assert_int_equal(audit_head_store(folder, &head, &key), 0);
        assert_int_equal(audit_head_load(folder, &there), 0);
        assert_int_equal(there.link.seq, seqs[i][1]);
    }
}

/* Two vaults: one has written a later checkpoint, the other has reached a later time. */
static void of_two_notes_the_later_of_each_stays(void **state)
{
    struct audit_head head = head_of(7), there;
    (void)state;
    assert_int_equal(audit_head_store(folder, &head, &key), 0);
    head = head_of(5);
    head.epoch_ms = 900;
    audit_head_sign(&head, &key);
    assert_int_equal(audit_head_store(folder, &head, &key), 0);
    assert_int_equal(audit_head_load(folder, &there), 0);
    assert_int_equal(there.link.seq, 7);
    assert_int_equal(there.epoch_ms, 900);
    assert_true(audit_head_verify(&there, key.public));
    head = head_of(8);
    assert_int_equal(audit_head_store(folder, &head, &key), 0);
    assert_int_equal(audit_head_load(folder, &there), 0);
    assert_int_equal(there.link.seq, 8);
    assert_int_equal(there.epoch_ms, 900);
    assert_true(audit_head_verify(&there, key.public));
}

/* Who is not trusted sets no time: nobody takes it back. */
static void a_note_by_another_key_is_replaced(void **state)
{
    static const uint8_t other_seed[SIGN_SEED_SIZE] = {7};
    struct audit_head head = head_of(9), there;
    struct sign_key other;
    (void)state;
    sign_derive(&other, other_seed);
    audit_head_sign(&head, &other);
    assert_int_equal(audit_head_store(folder, &head, &other), 0);
    head = head_of(5);
    assert_int_equal(audit_head_store(folder, &head, &key), 0);
    assert_int_equal(audit_head_load(folder, &there), 0);
    assert_memory_equal(&there, &head, sizeof head);
}

static void the_time_is_known_when_it_is_on_the_disk(void **state)
{
    struct audit_head head = head_of(9), there;
    (void)state;
    struct audit_sync *sync = audit_sync_new(folder, &key);
    assert_non_null(sync);
    assert_int_equal(audit_sync_noted_epoch(sync), 0);
    for (uint64_t epoch_ms = 100; epoch_ms < 120; epoch_ms++) {
        head.epoch_ms = epoch_ms;
        audit_head_sign(&head, &key);
        audit_sync_note(sync, &head);
        while (audit_sync_noted_epoch(sync) < epoch_ms)
            ;
        assert_int_equal(audit_head_load(folder, &there), 0);
        assert_int_equal(there.epoch_ms, epoch_ms);
    }
    audit_sync_free(sync);
}

static void what_is_no_note_is_replaced(void **state)
{
    struct audit_head head = head_of(5), there;
    static char garbage[2000];
    (void)state;
    memset(garbage, '9', sizeof garbage);
    int fd = make_file("head");
    assert_int_equal(write(fd, garbage, sizeof garbage), sizeof garbage);
    close(fd);
    assert_int_equal(audit_head_load(folder, &there), ERR_FORMAT);
    assert_int_equal(audit_head_store(folder, &head, &key), 0);
    assert_int_equal(audit_head_load(folder, &there), 0);
    assert_memory_equal(&there, &head, sizeof head);
}

static void a_link_in_its_place_is_not_followed(void **state)
{
    struct audit_head head = head_of(5);
    (void)state;
    close(make_file("elsewhere"));
    assert_int_equal(symlinkat("elsewhere", folder, "head"), 0);
    assert_int_equal(audit_head_store(folder, &head, &key), ERR_SYSTEM);
    assert_int_equal(audit_head_load(folder, &head), ERR_SYSTEM);
}

static void what_was_asked_for_is_done_by_the_end(void **state)
{
    struct audit_head head = head_of(9);
    struct stat info;
    (void)state;
    struct audit_sync *sync = audit_sync_new(folder, &key);
    assert_non_null(sync);
    int fd = make_file("a");
    audit_sync_want(sync, fd, &head);
    audit_sync_keep_pace(sync);
    audit_sync_free(sync);
    assert_int_equal(noted(), 9);
    assert_int_equal(fstat(fd, &info), 0); /* it was borrowed */
    close(fd);
    audit_sync_free(NULL);
}

static void what_is_retired_is_closed_and_its_note_is_written(void **state)
{
    struct audit_head head = head_of(9);
    struct stat info;
    int fds[20];
    (void)state;
    struct audit_sync *sync = audit_sync_new(folder, &key);
    assert_non_null(sync);
    for (size_t i = 0; i < 20; i++) {
        fds[i] = make_file("a");
        head = head_of(9 + i);
        audit_sync_want(sync, fds[i], &head);
        audit_sync_retire(sync, fds[i]);
        audit_sync_keep_pace(sync);
    }
    audit_sync_free(sync);
    for (size_t i = 0; i < 20; i++)
        assert_int_equal(fstat(fds[i], &info), -1);
    assert_int_equal(noted(), 28);
}

/* A pipe cannot be brought to any disk. */
static void a_failure_is_told_once_and_nothing_is_noted(void **state)
{
    struct audit_head head = head_of(9);
    int fds[2], failure;
    (void)state;
    assert_int_equal(pipe(fds), 0);
    struct audit_sync *sync = audit_sync_new(folder, &key);
    assert_non_null(sync);
    for (unsigned retired = 0; retired < 2; retired++) {
        audit_sync_want(sync, fds[1], &head);
        if (retired)
            audit_sync_retire(sync, fds[1]);
        while ((failure = audit_sync_failure(sync)) == 0)
            ;
        assert_int_equal(failure, EINVAL);
    }
    int fd = make_file("a");
    audit_sync_want(sync, fd, NULL);
    audit_sync_free(sync);
    close(fd);
    close(fds[0]);
    assert_int_equal(noted(), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_note_is_written_and_never_goes_back),
        TEST(of_two_notes_the_later_of_each_stays),
        TEST(a_note_by_another_key_is_replaced),
        TEST(the_time_is_known_when_it_is_on_the_disk),
        TEST(what_is_no_note_is_replaced),
        TEST(a_link_in_its_place_is_not_followed),
        TEST(what_was_asked_for_is_done_by_the_end),
        TEST(what_is_retired_is_closed_and_its_note_is_written),
        TEST(a_failure_is_told_once_and_nothing_is_noted),
    };
    static const uint8_t seed[SIGN_SEED_SIZE] = {1};
    if (secret_init() != 0)
        return 1;
    sign_derive(&key, seed);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
