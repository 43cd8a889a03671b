#include "common/sandbox_watch.h"

#include <errno.h>
#include <pthread.h>
#include <seccomp.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/log_crash.h"
#include "common/process.h"

#define CALLS_MAX    512 /* of numbers of system calls that have a name here */
#define NAME_SIZE    32
#define FAILURES_MAX 1000 /* one after another */

static char names[CALLS_MAX][NAME_SIZE];

void sandbox_watch_learn_names(void)
{
    for (int number = 0; number < CALLS_MAX; number++) {
        char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, number);
        snprintf(names[number], NAME_SIZE, "%s", name != NULL ? name : "");
        free(name);
    }
}

static bool is_known(int number)
{
    return number >= 0 && number < CALLS_MAX && names[number][0] != 0;
}

static void say_refused(void (*log)(const char *event, const struct log_field *fields, size_t count),
                        const char *event, int number, const char *hint)
{
    char digits[12], *at = digits + sizeof digits - 1;
    unsigned rest = (unsigned)number;
    *at = 0;
    do
        *--at = (char)('0' + rest % 10);
    while ((rest /= 10) != 0);
    const struct log_field fields[] = {
        {"call", is_known(number) ? names[number] : "unknown"}, {"number", at}, {"hint", hint}};
    log(event, fields, sizeof fields / sizeof fields[0]);
}

void sandbox_watch_say_refused(int number)
{
    say_refused(
        log_crash_say, "sandbox_refused", number,
        "if this came with a new C library or kernel, or with a module that OpenSSL's configuration loads, "
        "set "
        "sandbox = log and report the calls it shows; else look for who has taken the process over");
}

const char *sandbox_watch_say_failed(int number)
{
    static bool said[CALLS_MAX + 1]; /* the last is for all that have no name */
    const size_t place = is_known(number) ? (size_t)number : CALLS_MAX;
    if (!said[place])
        say_refused(
            log_crash_warn, "sandbox_refused", number,
            "a look-up of a name made it, and it failed: if /etc/nsswitch.conf names a module for hosts that "
            "is none of the C library's, take it out, or set sandbox = log");
    said[place] = true;
    return is_known(number) ? names[number] : "unknown";
}

/* ---- the thread ---- */

static struct {
    int fd;
    sem_t loaded;
    struct seccomp_notif *call;       /* owned */
    struct seccomp_notif_resp *reply; /* owned */
    bool said[CALLS_MAX];
} watch = {.fd = -1};

/* Lets the call happen before it logs: the caller may hold the lock that logging takes. */
static bool pass_one(void)
{
    memset(watch.call, 0, sizeof *watch.call);
    if (seccomp_notify_receive(watch.fd, watch.call) != 0)
        return false;
    int number = watch.call->data.nr;
    *watch.reply = (struct seccomp_notif_resp){.id = watch.call->id,
                                               .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};
    (void)seccomp_notify_respond(
        watch.fd, watch.reply); /* fails when the call is gone, because its thread handles a signal */
    bool *said = number >= 0 && number < CALLS_MAX ? &watch.said[number] : NULL;
    if (said == NULL || !*said)
        say_refused(log_crash_warn, "sandbox_unlisted", number,
                    "not among the calls of this process; with sandbox = on it would end it");
    if (said != NULL)
        *said = true;
    return true;
}

/* This thread is filtered as well and makes only listed calls: one that is not listed would wait for its own
 * answer. */
static void *watch_main(void *argument)
{
    unsigned failures = 0;
    while (sem_wait(&watch.loaded) != 0)
        ;
    while (watch.fd >= 0 && failures < FAILURES_MAX)
        failures = pass_one() ? 0 : failures + 1;
    if (watch.fd >= 0)
        close(watch.fd);
    return argument;
}

static int start_thread(void)
{
    sigset_t all, before;
    pthread_t thread;
    if (sem_init(&watch.loaded, 0, 0) != 0)
        return -errno;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = process_start_thread(&thread, PROCESS_STACK_SIZE, watch_main, NULL) == 0 ? 0 : errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed == 0)
        pthread_detach(thread);
    return -failed;
}

int sandbox_watch_load(void *filter)
{
    int failed = seccomp_notify_alloc(&watch.call, &watch.reply);
    for (size_t i = 0; failed == 0 && i < sizeof watch.said / sizeof watch.said[0]; i++)
        watch.said[i] = false;
    if (failed == 0)
        failed = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 0);
    if (failed == 0)
        failed = start_thread();
    if (failed != 0)
        return failed;
    failed = seccomp_load(filter);
    watch.fd = failed == 0 ? seccomp_notify_fd(filter) : -1;
    sem_post(&watch.loaded);
    return failed;
}
