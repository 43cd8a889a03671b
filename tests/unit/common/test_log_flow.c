/* Which lines of the log are written and when: events that repeat, records that wait, several threads, the
 * journal. */
#include "tests/unit/common/log_capture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"

static void assert_has_not(const char *part)
{
    if (strstr(logged, part) != NULL)
        fail_msg("[%s] in [%.2000s]", part, logged);
}

static void repeated_events_are_counted_instead_of_written(void **state)
{
    (void)state;
    log_init("p", LOG_DEBUG, LOG_LOGFMT);
    capture();
    for (int i = 0; i < 322; i++)
        log_event(LOG_WARN, "flood", "i=%d", i);
    log_event(LOG_WARN, "other", "i=%d", 0);
    for (int i = 0; i < 50; i++)
        log_event(LOG_DEBUG, "detail", "i=%d", i);
    assert_int_equal(release(), 10 + 1 + 50);
    assert_has("event=flood i=9\n");
    assert_has_not("event=flood i=10\n");
    capture();
    fake_now += SECOND - 1;
    log_event(LOG_WARN, "flood", "i=%d", 399);
    fake_now += 1;
    log_event(LOG_INFO, "other", "i=%d", 1);
    log_event(LOG_WARN, "flood", "i=%d", 400);
    assert_int_equal(release(), 3);
    assert_has(" warn p event=flood repeated=313\n");
    assert_has("event=flood i=400\n");
}

static void what_was_held_back_is_reported_once(void **state)
{
    (void)state;
    log_init("p", LOG_INFO, LOG_JSON);
    capture();
    for (int i = 0; i < 11; i++)
        log_event(LOG_ERROR, "flood", "i=%d", i);
    fake_now += SECOND;
    log_event(LOG_INFO, "x", "i=%d", 1);
    log_event(LOG_INFO, "y", "i=%d", 1);
    assert_int_equal(release(), 10 + 1 + 2);
    assert_has("\"level\":\"error\",\"program\":\"p\",\"event\":\"flood\",\"repeated\":1}\n");
}

static void more_events_than_are_counted_are_all_written(void **state)
{
    (void)state;
    log_init("p", LOG_INFO, LOG_LOGFMT);
    capture();
    for (int i = 0; i < 200; i++) {
        char name[32];
        snprintf(name, sizeof name, "event_%d", i);
        log_event(LOG_INFO, name, "i=%d", i);
    }
    assert_int_equal(release(), 200);
}

static void *log_many(void *argument)
{
    const char *event = argument;
    for (int i = 0; i < 500; i++) {
        log_event(LOG_DEBUG, event, "i=%d filler=\"%s\"", i, "a value with some length to it");
        log_event(LOG_INFO, event, "shared=%d", i);
    }
    return NULL;
}

static void lines_of_several_threads_never_mix(void **state)
{
    (void)state;
    pthread_t threads[4];
    char names[4][8];
    log_init("p", LOG_DEBUG, LOG_LOGFMT);
    capture();
    for (int i = 0; i < 4; i++) {
        snprintf(names[i], sizeof names[i], "t%d", i);
        assert_int_equal(pthread_create(&threads[i], NULL, log_many, names[i]), 0);
    }
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    size_t lines = release();
    assert_in_range(lines, 4 * 500, 4 * 510);
    size_t whole = 0;
    for (char *line = strtok(logged, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        assert_non_null(strstr(line, " p event=t"));
        whole += strstr(line, "filler=\"a value with some length to it\"") != NULL;
    }
    assert_int_equal(whole, 4 * 500);
}

static void under_the_journal_lines_have_a_priority_and_no_time(void **state)
{
    (void)state;
    struct stat info;
    char stream[64];
    capture();
    assert_int_equal(fstat(STDERR_FILENO, &info), 0);
    snprintf(stream, sizeof stream, "%ju:%ju", (uintmax_t)info.st_dev, (uintmax_t)info.st_ino);
    setenv("JOURNAL_STREAM", stream, 1);
    log_init("p", LOG_DEBUG, LOG_LOGFMT);
    log_event(LOG_ERROR, "a", "x=%d", 1);
    log_event(LOG_WARN, "a", "x=%d", 1);
    log_event(LOG_INFO, "a", "x=%d", 1);
    log_event(LOG_DEBUG, "a", "x=%d", 1);
    log_init("p", LOG_INFO, LOG_JSON);
    log_event(LOG_INFO, "a", "x=%d", 1);
    unsetenv("JOURNAL_STREAM");
    release();
    log_init("p", LOG_INFO, LOG_LOGFMT);
    assert_string_equal(logged, "<3>error p event=a x=1\n<4>warn p event=a x=1\n<6>info p event=a x=1\n"
                                "<7>debug p event=a x=1\n"
                                "<6>{\"level\":\"info\",\"program\":\"p\",\"event\":\"a\",\"x\":1}\n");
}

static void a_journal_that_is_not_stderr_changes_nothing(void **state)
{
    (void)state;
    setenv("JOURNAL_STREAM", "1:1", 1);
    log_init("p", LOG_INFO, LOG_LOGFMT);
    capture();
    log_event(LOG_INFO, "a", "x=%d", 1);
    unsetenv("JOURNAL_STREAM");
    assert_int_equal(release(), 1);
    assert_int_equal(logged[0], '2');
}

static void *gather_and_flush(void *argument)
{
    (void)argument;
    log_gather();
    log_record("a", "x=%d", 1);
    log_record("b", "x=%d", 2);
    assert_int_equal(lseek(captured, 0, SEEK_END), 0);
    log_flush();
    off_t after = lseek(captured, 0, SEEK_END);
    assert_true(after > 0);
    log_record("c", "x=%d", 3);
    assert_int_equal(lseek(captured, 0, SEEK_END), after);
    log_event(LOG_INFO, "d", "x=%d", 4);
    log_flush();
    return NULL;
}

static void records_may_wait_and_keep_their_order(void **state)
{
    (void)state;
    pthread_t thread;
    log_init("p", LOG_INFO, LOG_LOGFMT);
    capture();
    assert_int_equal(pthread_create(&thread, NULL, gather_and_flush, NULL), 0);
    pthread_join(thread, NULL);
    assert_int_equal(release(), 4);
    const char *at = logged;
    for (const char *event = "abcd"; *event != 0; event++) {
        char part[16];
        snprintf(part, sizeof part, "event=%c ", *event);
        at = strstr(at, part);
        assert_non_null(at);
    }
}

static void *gather_many(void *argument)
{
    (void)argument;
    log_gather();
    for (int i = 0; i < 500; i++)
        log_record("many", "number=%d", i);
    assert_true(lseek(captured, 0, SEEK_END) > 0);
    log_flush();
    return NULL;
}

static void records_do_not_wait_for_more_than_a_pipe_takes(void **state)
{
    (void)state;
    pthread_t thread;
    log_init("p", LOG_INFO, LOG_LOGFMT);
    capture();
    assert_int_equal(pthread_create(&thread, NULL, gather_many, NULL), 0);
    pthread_join(thread, NULL);
    assert_int_equal(release(), 500);
    assert_has("number=0\n");
    assert_has("number=499\n");
}

static void without_asking_nothing_waits(void **state)
{
    (void)state;
    log_init("p", LOG_INFO, LOG_LOGFMT);
    capture();
    log_record("a", "x=%d", 1);
    assert_true(lseek(captured, 0, SEEK_END) > 0);
    assert_int_equal(release(), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(repeated_events_are_counted_instead_of_written),
        cmocka_unit_test(what_was_held_back_is_reported_once),
        cmocka_unit_test(more_events_than_are_counted_are_all_written),
        cmocka_unit_test(lines_of_several_threads_never_mix),
        cmocka_unit_test(under_the_journal_lines_have_a_priority_and_no_time),
        cmocka_unit_test(a_journal_that_is_not_stderr_changes_nothing),
        cmocka_unit_test(records_may_wait_and_keep_their_order),
        cmocka_unit_test(records_do_not_wait_for_more_than_a_pipe_takes),
        cmocka_unit_test(without_asking_nothing_waits),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
