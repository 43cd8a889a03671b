#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/bench_cpu.h"

/* A key server as far as this module sees one: a supervisor that answers on an admin endpoint, and its child.
 */
static struct {
    pid_t pid;
    char admin[ADDRESS_TEXT_SIZE];
    const char *status; /* what it says; %d becomes its own process id */
} daemon_;

static void answer_all(int listener)
{
    char request[4096], status[512], text[1024];
    const char *gap = strstr(daemon_.status, "%d");
    snprintf(status, sizeof status, "%.*s%d%s", (int)(gap - daemon_.status), daemon_.status, (int)getpid(),
             gap + 2);
    int length = snprintf(text, sizeof text,
                          "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s",
                          strlen(status), status);
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        if (fd < 0 || read(fd, request, sizeof request) <= 0 || write(fd, text, (size_t)length) != length)
            _exit(1);
        close(fd);
    }
}

/* A process called NAME, which says through READY that it is. */
static void start_child(const char *name, int ready)
{
    if (fork() != 0)
        return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NAME, name, 0, 0, 0);
    if (write(ready, "", 1) != 1)
        _exit(1);
    for (;;)
        pause();
}

static int listen_blocking(void)
{
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct address address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(listener >= 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&any, sizeof any), 0);
    assert_int_equal(listen(listener, 8), 0);
    assert_int_equal(address_of_socket(listener, &address), 0);
    address_text(&address, daemon_.admin);
    return listener;
}

/* Starts a supervisor called NAME that says STATUS, and returns when it and its children have their names. */
static void start_supervisor(const char *name, const char *status)
{
    int ready[2], listener = listen_blocking();
    char bytes[3];
    daemon_.status = status;
    assert_int_equal(pipe(ready), 0);
    daemon_.pid = fork();
    if (daemon_.pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        prctl(PR_SET_NAME, name, 0, 0, 0);
        start_child("keyless-net", ready[1]);
        start_child("a) S (stranger", ready[1]);
        if (write(ready[1], "", 1) != 1)
            _exit(1);
        answer_all(listener);
    }
    close(listener);
    for (size_t i = 0; i < sizeof bytes; i++)
        assert_int_equal(read(ready[0], &bytes[i], 1), 1);
    close(ready[0]);
    close(ready[1]);
}

static void stop_daemon(void)
{
    kill(daemon_.pid, SIGKILL);
    assert_int_equal(waitpid(daemon_.pid, NULL, 0), daemon_.pid);
}

static int find_at(struct bench_cpu *cpu, const char *listener, struct fault *fault)
{
    struct address address;
    if (listener != NULL)
        assert_int_equal(address_parse(&address, listener, 0, NULL), 0);
    return bench_cpu_find(cpu, daemon_.admin, listener != NULL ? &address : NULL, fault);
}

/* ---- who it is ---- */

#define SERVER(listeners) "{\"program\": \"keyless-server\", \"pid\": %d, \"listeners\": [" listeners "]}"

static void the_supervisor_and_its_own_children_are_found(void **state)
{
    struct bench_cpu cpu;
    struct bench_cpu_times before, after;
    (void)state;
    start_supervisor("keyless-server", SERVER("\"127.0.0.1:2407\""));
    assert_int_equal(find_at(&cpu, NULL, NULL), 0);
    assert_int_equal(cpu.count, 2);
    assert_int_equal(cpu.process[0].pid, daemon_.pid);
    assert_string_equal(cpu.process[0].name, "supervisor");
    assert_string_equal(cpu.process[1].name, "net");
    assert_true(bench_cpu_read(&cpu, &before));
    assert_int_equal(find_at(&cpu, NULL, NULL), 0); /* which costs it time */
    assert_true(bench_cpu_read(&cpu, &after));
    assert_true(after.ns[0] > before.ns[0] && after.ns[1] >= before.ns[1]);
    stop_daemon();
    assert_false(bench_cpu_read(&cpu, &after));
}

static void nobody_has_no_times(void **state)
{
    const struct bench_cpu nobody = {.count = 0};
    struct bench_cpu_times times;
    (void)state;
    assert_false(bench_cpu_read(&nobody, &times));
}

static void it_must_be_the_key_server_that_listens_there(void **state)
{
    static const struct {
        const char *listener;
        int result;
    } cases[] = {
        {"127.0.0.1:2407", 0},    {"127.0.0.1:2408", ERR_NOT_FOUND},
        {"127.0.0.1:2409", 0},    {"[::1]:2410", 0},
        {"127.0.0.1:2410", 0},    {"192.0.2.1:2409", ERR_NOT_FOUND},
        {"192.0.2.7:2407", 0},    {"127.0.0.2:2407", ERR_NOT_FOUND},
        {"unix:/run/ks.sock", 0}, {"unix:/run/x.sock", ERR_NOT_FOUND},
    };
    struct bench_cpu cpu;
    (void)state;
    start_supervisor(
        "keyless-server",
        SERVER("\"127.0.0.1:2407\", \"192.0.2.7:2407\", \"0.0.0.0:2409\", \"[::]:2410\", 7, \"nonsense\", "
               "\"unix:/run/ks.sock\""));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fault fault = {0};
        if (find_at(&cpu, cases[i].listener, &fault) != cases[i].result)
            fail_msg("%s: %s", cases[i].listener, fault.text);
        assert_true((cases[i].result == 0) == (fault.text[0] == 0));
    }
    stop_daemon();
}

/* ---- who it is not ---- */

static void assert_not_found(const char *name, const char *status, const char *why)
{
    struct bench_cpu cpu;
    struct fault fault = {0};
    start_supervisor(name, status);
    assert_int_equal(find_at(&cpu, NULL, &fault), ERR_NOT_FOUND);
    stop_daemon();
    if (strstr(fault.text, why) == NULL)
        fail_msg("'%s' is not in '%s'", why, fault.text);
}

static void whatever_else_answers_is_not_taken_for_a_key_server_of_this_machine(void **state)
{
    (void)state;
    assert_not_found("keyless-server", "{\"program\": \"keyless-edge\", \"pid\": %d}",
                     "is not the `admin` of a keyless-server");
    assert_not_found("keyless-server", "[%d]", "is not the `admin` of a keyless-server");
    assert_not_found("keyless-server", "nonsense %d", "is it the `admin` of a keyless-server that runs?");
    assert_not_found("keyless-server", "{\"program\": \"keyless-server\", \"not-pid\": %d}",
                     "cannot be seen from here");
    assert_not_found("keyless-server", "{\"program\": \"keyless-server\", \"pid\": -%d}",
                     "cannot be seen from here");
    /* A process of that number, but what is told from within a container is another one here. */
    assert_not_found("something", SERVER(""), "cannot be seen from here");
}

static void nobody_that_answers_is_said_so(void **state)
{
    struct bench_cpu cpu;
    struct fault fault = {0};
    (void)state;
    close(listen_blocking());
    assert_int_equal(find_at(&cpu, NULL, &fault), ERR_NOT_FOUND);
    assert_non_null(strstr(fault.text, "Connection refused"));
    assert_int_equal(bench_cpu_find(&cpu, "nonsense", NULL, &fault), ERR_NOT_FOUND);
    assert_non_null(strstr(fault.text, "nonsense"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_supervisor_and_its_own_children_are_found),
        cmocka_unit_test(nobody_has_no_times),
        cmocka_unit_test(it_must_be_the_key_server_that_listens_there),
        cmocka_unit_test(whatever_else_answers_is_not_taken_for_a_key_server_of_this_machine),
        cmocka_unit_test(nobody_that_answers_is_said_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
