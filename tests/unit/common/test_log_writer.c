/* Order, gaps and a reader that does not read. */
#include "tests/unit/common/log_rig.h"

#include <sys/resource.h>

/* ---- order ---- */

#define THREADS 4
#define LINES   2000

static void *log_many(void *argument)
{
    int thread = *(const int *)argument;
    log_gather();
    for (int i = 0; i < LINES; i++) {
        log_record("many", "thread=%d number=%d end=1", thread, i);
        if (i % 50 == 0)
            log_flush();
    }
    log_flush();
    return NULL;
}

static void log_from_threads(void)
{
    pthread_t threads[THREADS];
    int numbers[THREADS];
    start();
    for (int i = 0; i < THREADS; i++) {
        numbers[i] = i;
        pthread_create(&threads[i], NULL, log_many, &numbers[i]);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

/* The next numbers of all threads, or how many lines are told to be missing. */
static void lines_of_one_thread_keep_their_order_and_none_is_lost_untold(void **state)
{
    (void)state;
    int last[THREADS] = {-1, -1, -1, -1};
    unsigned long long seen = 0, dropped = 0;
    run(log_from_threads, 0);
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        int thread, number, end = 0;
        unsigned long long gap;
        const char *fields = strstr(line, "event=");
        assert_non_null(fields);
        if (sscanf(fields, "event=log_lines_dropped dropped=%llu", &gap) == 1) {
            dropped += gap;
            continue;
        }
        assert_int_equal(sscanf(fields, "event=many thread=%d number=%d end=%d", &thread, &number, &end), 3);
        assert_in_range(thread, 0, THREADS - 1);
        assert_int_equal(end, 1);
        assert_true(number > last[thread]);
        last[thread] = number;
        seen++;
    }
    assert_int_equal(seen + dropped, THREADS * LINES);
}

/* ---- a reader that does not read ---- */

static void who_logs_does_not_wait_for_who_reads(void **state)
{
    (void)state;
    char byte;
    assert_int_equal(pipe2(progress, O_CLOEXEC), 0);
    struct logger logger = begin(log_too_much);
    assert_int_equal(read(progress[0], &byte, 1), 1); /* without one byte of the log read */
    assert_int_equal(wait_end(&logger), 0);           /* and it ends */
    read_log(&logger);
    assert_has("number=0 ");
    assert_int_equal(text[strlen(text) - 1], '\n');
    close(progress[0]);
    close(progress[1]);
}

static int resume[2]; /* how the process is told to go on */

static void log_too_much_and_then_more(void)
{
    char byte;
    log_too_much();
    (void)!read(resume[0], &byte, 1);
    uint64_t end = clock_ms() + PATIENT_MS;
    for (int before = 0; read(resume[0], &byte, 1) != 0 && clock_ms() < end; before++) {
        log_record("after", "before=%d", before);
        usleep(1000);
    }
}

/* Reads the process's log until PART is there. */
static size_t read_until(struct logger *logger, const char *part)
{
    size_t length = 0;
    while (strstr(text, part) == NULL) {
        ssize_t count = read(logger->log, text + length, sizeof text - 1 - length);
        assert_true(count > 0);
        length += (size_t)count;
        text[length] = 0;
    }
    return length;
}

static void the_next_line_says_how_many_are_missing(void **state)
{
    (void)state;
    char byte;
    unsigned long long dropped = 0, lost = 0;
    assert_int_equal(pipe2(progress, O_CLOEXEC), 0);
    assert_int_equal(pipe2(resume, O_CLOEXEC), 0);
    struct logger logger = begin(log_too_much_and_then_more);
    assert_int_equal(read(progress[0], &byte, 1), 1);
    text[0] = 0;
    fcntl(resume[0], F_SETFL, O_NONBLOCK);
    assert_int_equal(write(resume[1], "1", 1), 1);
    read_until(&logger, "event=after");
    close(resume[1]);
    const char *after = strstr(text, "event=after"), *gap = text;
    while ((gap = strstr(gap, "event=log_lines_dropped")) != NULL && gap < after) {
        unsigned long long lines;
        assert_int_equal(sscanf(gap++, "event=log_lines_dropped dropped=%llu", &lines), 1);
        dropped += lines;
    }
    assert_int_equal(sscanf(after, "event=after before=%llu", &lost), 1);
    assert_int_equal(count_of("event=much") + dropped, MANY + lost);
    kill(logger.pid, SIGKILL);
    wait_end(&logger);
    close(logger.log);
    close(resume[0]);
    close(progress[0]);
    close(progress[1]);
}

/* A page at a time and slowly: whenever the writer comes to the pipe, it is full. */
static void read_slowly(struct logger *logger)
{
    size_t length = 0;
    ssize_t count = 1;
    while (count > 0) {
        usleep(1000);
        count = read(logger->log, text + length, LOG_PIECE_SIZE);
        length += count > 0 ? (size_t)count : 0;
    }
    text[length] = 0;
    close(logger->log);
}

static void the_end_of_a_process_tells_what_is_missing_though_the_pipe_is_full(void **state)
{
    (void)state;
    char byte;
    unsigned long long dropped = 0;
    assert_int_equal(pipe2(progress, O_CLOEXEC), 0);
    struct logger logger = begin(log_too_much);
    assert_int_equal(read(progress[0], &byte, 1), 1);
    read_slowly(&logger);
    assert_int_equal(wait_end(&logger), 0);
    assert_has("event=log_lines_dropped");
    for (const char *gap = text; (gap = strstr(gap, "event=log_lines_dropped dropped=")) != NULL;) {
        unsigned long long lines;
        assert_int_equal(sscanf(gap++, "event=log_lines_dropped dropped=%llu", &lines), 1);
        dropped += lines;
    }
    assert_int_equal(count_of("event=much") + dropped, MANY);
    close(progress[0]);
    close(progress[1]);
}

static void log_much_at_once(void)
{
    for (int i = 0; i < MANY; i++)
        log_record("much", "number=%d filler=%0100d", i, i);
}

static void without_a_thread_it_waits_a_second_in_all(void **state)
{
    (void)state;
    struct logger logger = begin(log_much_at_once);
    assert_int_equal(wait_end(&logger), 0);
    read_log(&logger);
    assert_has("number=0 ");
}

static void log_into_nothing(void)
{
    close(STDERR_FILENO);
    start();
    for (int i = 0; i < 100; i++)
        log_record("gone", "number=%d", i);
    log_finish();
    /* before each there may be a line that tells of those before it, and is lost as well */
    _exit(log_dropped() >= 100 && log_dropped() <= 200 ? 0 : 71);
}

static void lines_that_cannot_be_written_are_counted(void **state)
{
    (void)state;
    run(log_into_nothing, 0);
}

/* ---- a disk that is full for a while ---- */

#define ROOM 70 /* bytes; less than two lines */

static FILE *disk; /* in place of standard error */

static void log_past_the_room(void)
{
    struct rlimit room = {.rlim_cur = ROOM, .rlim_max = RLIM_INFINITY};
    dup2(fileno(disk), STDERR_FILENO);
    signal(SIGXFSZ, SIG_IGN);
    start();
    assert(setrlimit(RLIMIT_FSIZE, &room) == 0);
    log_record("first", "filler=%0100d", 0);
    uint64_t end = clock_ms() + PATIENT_MS;
    while (log_dropped() == 0 && clock_ms() < end)
        usleep(1000);
    room.rlim_cur = RLIM_INFINITY;
    assert(setrlimit(RLIMIT_FSIZE, &room) == 0);
    log_record("second", "number=1");
    log_finish();
}

static void a_line_after_one_that_is_torn_begins_on_its_own(void **state)
{
    (void)state;
    char line[256];
    disk = tmpfile();
    assert_non_null(disk);
    run(log_past_the_room, 0);
    rewind(disk);
    assert_non_null(fgets(line, sizeof line, disk));
    assert_int_equal(strlen(line), ROOM + 1); /* the piece that fitted, and its end */
    while (fgets(line, sizeof line, disk) != NULL && strstr(line, "event=second") == NULL)
        assert_non_null(strstr(line, "event=log_lines_dropped"));
    assert_non_null(strstr(line, " info p event=second number=1\n"));
    fclose(disk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_of_one_thread_keep_their_order_and_none_is_lost_untold),
        cmocka_unit_test(who_logs_does_not_wait_for_who_reads),
        cmocka_unit_test(the_next_line_says_how_many_are_missing),
        cmocka_unit_test(the_end_of_a_process_tells_what_is_missing_though_the_pipe_is_full),
        cmocka_unit_test(without_a_thread_it_waits_a_second_in_all),
        cmocka_unit_test(lines_that_cannot_be_written_are_counted),
        cmocka_unit_test(a_line_after_one_that_is_torn_begins_on_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
