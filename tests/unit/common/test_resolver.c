/* The process that looks names up, with a C library whose modules do what the operator did not expect. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/log.h"
#include "common/process.h"
#include "common/resolver.h"
#include "tests/unit/skip.h"

#define ANSWER_MS 30000

static struct sockaddr_in loopback = {.sin_family = AF_INET};
static struct addrinfo found = {.ai_family = AF_INET,
                                .ai_socktype = SOCK_STREAM,
                                .ai_addr = (struct sockaddr *)&loopback,
                                .ai_addrlen = sizeof loopback};

static bool makes_a_call_that_is_refused(void)
{
    return syscall(SYS_bpf, -1, NULL, 0) == -1 && errno == EPERM;
}

/* In place of the C library's: the host says what happens in a module. */
int getaddrinfo(const char *restrict host, const char *restrict service,
                const struct addrinfo *restrict hints, struct addrinfo **restrict out)
{
    sigset_t all;
    (void)service;
    (void)hints;
    *out = &found;
    sigfillset(&all);
    if (strcmp(host, "fails") == 0)
        return makes_a_call_that_is_refused() ? EAI_FAIL : 0;
    if (strcmp(host, "goes-on") == 0)
        return makes_a_call_that_is_refused() ? 0 : EAI_FAIL;
    if (strcmp(host, "blocks") == 0 && sigprocmask(SIG_BLOCK, &all, NULL) == 0)
        (void)makes_a_call_that_is_refused();
    else if (strcmp(host, "crashes") == 0)
        abort();
    return EAI_FAIL;
}

void freeaddrinfo(struct addrinfo *list)
{
    (void)list;
}

static struct resolver resolver;

static int start(void **state)
{
    struct fault fault = {.text = ""};
    (void)state;
    log_init("test", LOG_ERROR, LOG_LOGFMT);
    loopback.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return resolver_start(&resolver, NULL, SANDBOX_ON, &fault);
}

static int stop(void **state)
{
    (void)state;
    resolver_stop(&resolver);
    return 0;
}

static void look_up(const char *host, struct resolver_answer *out)
{
    struct pollfd wait = {.fd = resolver.fd, .events = POLLIN};
    resolver_ask(&resolver, 7, host);
    assert_int_equal(poll(&wait, 1, ANSWER_MS), 1);
    assert_int_equal(resolver_take(&resolver, out), 0);
    assert_int_equal(out->number, 7);
}

static void assert_says(const char *host, const char *part)
{
    struct resolver_answer answer;
    look_up(host, &answer);
    assert_int_equal(answer.count, 0);
    if (strstr(answer.why, part) == NULL)
        fail_msg("%s: %s", host, answer.why);
}

static void a_module_that_is_refused_a_call_fails_or_goes_on(void **state)
{
    struct resolver_answer answer;
    (void)state;
    if (PROCESS_SANITIZED)
        SKIP_FOR("no sandbox under a sanitizer");
    for (int i = 0; i < 3; i++) {
        assert_says("fails", "; the sandbox refused it bpf (sandbox_refused)");
        look_up("goes-on", &answer);
        assert_int_equal(answer.count, 1);
    }
}

static void a_module_that_ends_the_look_up_is_told_of(void **state)
{
    (void)state;
    if (PROCESS_SANITIZED)
        SKIP_FOR("no sandbox under a sanitizer");
    assert_says("blocks", "take it out, or set sandbox = log");
    assert_says("crashes", "signal 6, in a module that /etc/nsswitch.conf names for hosts");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_module_that_is_refused_a_call_fails_or_goes_on, start, stop),
        cmocka_unit_test_setup_teardown(a_module_that_ends_the_look_up_is_told_of, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
