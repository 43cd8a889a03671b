#include "common/resolver.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/privileges.h"
#include "common/process.h"
#include "common/waiting.h"

#define LOOK_UPS_MAX 32    /* at once; further ones wait in the socket */
#define LOOK_UP_MS   20000 /* the longest that one may take */
#define TICK_MS      500   /* how often those that take too long are looked for */

/* Until the process is started again: twice as long each time, unless it has lived long enough meanwhile. */
#define AGAIN_FIRST_MS  100
#define AGAIN_LAST_MS   5000
#define AGAIN_FORGET_MS 10000

struct question {
    size_t number;
    char host[ADDRESS_HOST_SIZE];
};

/* ---- the process ---- */

struct look_up {
    pid_t pid; /* 0 = unused */
    uint64_t end_ns;
    size_t number;
};

/* This process ends with PARENT, which may have died before the request for that took effect. */
static void belong_to(pid_t parent)
{
    process_die_with_parent();
    if (getppid() != parent)
        _exit(0);
}

static void answer(int fd, const struct resolver_answer *out)
{
    ssize_t sent = send(fd, out, sizeof *out, MSG_NOSIGNAL);
    (void)sent; /* nobody listens any more: the process is about to end */
}

/* Adds the system call that the sandbox refused, which may be why a module of /etc/nsswitch.conf found
 * nothing. The end of a long text is cut off to make room. */
static void add_refusal(struct resolver_answer *out)
{
    const char *call = sandbox_failed_call();
    char text[RESOLVER_WHY_SIZE];

    if (out->count > 0 || call == NULL)
        return;
    int length = snprintf(text, sizeof text, "; the sandbox refused it %s (sandbox_refused)", call);
    size_t most = sizeof out->why - 1 - (size_t)length, before = strnlen(out->why, most);
    memcpy(out->why + before, text, (size_t)length + 1);
}

static void look_up(int fd, const struct question *question)
{
    struct resolver_answer out;
    struct fault fault = {0};

    memset(&out, 0, sizeof out);
    out.number = question->number;
    if (address_look_up(question->host, 0, out.addresses, ADDRESS_FOUND_MAX, &out.count, &fault) != 0)
        snprintf(out.why, sizeof out.why, "%.*s", (int)sizeof out.why - 1, fault.text);
    else if (out.count == 0)
        snprintf(out.why, sizeof out.why, "'%.80s' has no address", question->host);
    add_refusal(&out);
    answer(fd, &out);
}

static void refuse(int fd, size_t number, const char *why)
{
    struct resolver_answer out;

    memset(&out, 0, sizeof out);
    out.number = number;
    snprintf(out.why, sizeof out.why, "%s", why);
    answer(fd, &out);
}

static void start_one(int fd, struct look_up *slot, struct question *question)
{
    pid_t self = getpid();

    question->host[sizeof question->host - 1] = 0;
    pid_t pid = fork();
    if (pid == 0) {
        belong_to(self);
        sandbox_fail_calls();
        look_up(fd, question);
        _exit(0);
    }
    if (pid < 0) {
        refuse(fd, question->number, "no process for the look-up");
        return;
    }
    *slot = (struct look_up){
        .pid = pid, .end_ns = clock_ns() + LOOK_UP_MS * (uint64_t)NS_PER_MS, .number = question->number};
}

static struct look_up *find_free(struct look_up all[static LOOK_UPS_MAX])
{
    for (size_t i = 0; i < LOOK_UPS_MAX; i++)
        if (all[i].pid == 0)
            return &all[i];
    return NULL;
}

/* A look-up runs foreign code: the modules that /etc/nsswitch.conf names. */
static void refuse_dead(int fd, size_t number, int status)
{
    char why[RESOLVER_WHY_SIZE] = "the look-up failed";

    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
        snprintf(
            why, sizeof why,
            "the sandbox ended the look-up: a module that /etc/nsswitch.conf names for hosts needs more; "
            "take it out, or set sandbox = log");
    else if (WIFSIGNALED(status))
        snprintf(why, sizeof why,
                 "the look-up died of signal %d, in a module that /etc/nsswitch.conf names for hosts",
                 WTERMSIG(status));
    refuse(fd, number, why);
}

/* A look-up process that failed has sent no answer, so the answer is sent here. */
static void reap(int fd, struct look_up all[static LOOK_UPS_MAX])
{
    uint64_t now = clock_ns();

    for (size_t i = 0; i < LOOK_UPS_MAX; i++) {
        int status = 0;
        if (all[i].pid == 0)
            continue;
        if (now >= all[i].end_ns)
            kill(all[i].pid, SIGKILL);
        if (waitpid(all[i].pid, &status, WNOHANG) != all[i].pid)
            continue;
        if (now >= all[i].end_ns && status != 0)
            refuse(fd, all[i].number, "the name servers do not answer");
        else if (status != 0)
            refuse_dead(fd, all[i].number, status);
        all[i].pid = 0;
    }
}

static bool busy(const struct look_up all[static LOOK_UPS_MAX])
{
    for (size_t i = 0; i < LOOK_UPS_MAX; i++)
        if (all[i].pid != 0)
            return true;
    return false;
}

static void on_child(int number)
{
    (void)number; /* it only ends the wait */
}

/* Until the other end closes. ERR_SYSTEM when it cannot go on. */
static int serve(int fd)
{
    static struct look_up all[LOOK_UPS_MAX];
    struct question question;
    struct waiting waiting = {.failing = {.begun = false}};
    struct fault fault = {.text = ""};

    for (;;) {
        struct look_up *slot = find_free(all);
        struct pollfd wait = {.fd = fd, .events = slot != NULL ? POLLIN : 0};
        if (waiting_poll(&waiting, &wait, 1, busy(all) ? TICK_MS : -1, &fault) < 0)
            return ERR_SYSTEM;
        reap(fd, all);
        if (wait.revents & POLLIN) {
            ssize_t n = recv(fd, &question, sizeof question, MSG_DONTWAIT);
            if (n == 0)
                return 0;
            if (n == sizeof question && slot != NULL)
                start_one(fd, slot, &question);
        } else if (wait.revents & (POLLHUP | POLLERR)) {
            return 0;
        }
    }
}

static pid_t start_process(int fd)
{
    struct sigaction child = {.sa_handler = on_child, .sa_flags = SA_NOCLDSTOP};
    pid_t self = getpid(), pid = fork();

    if (pid != 0)
        return pid;
    belong_to(self);
    prctl(PR_SET_NAME, "keyless-names", 0, 0, 0);
    sigaction(SIGCHLD, &child, NULL);
    _exit(serve(fd) == 0 ? 0 : 1);
}

/* ---- what starts it again ---- */

/* Until process PID ends. True when it ended by itself: then nobody listens any more. */
static bool await_end(pid_t pid, char why[static 32])
{
    int status = 0;

    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return true;
    if (WIFEXITED(status))
        snprintf(why, 32, "status %d", WEXITSTATUS(status));
    else
        snprintf(why, 32, "signal %d", WTERMSIG(status));
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* True when the other end of FD has closed meanwhile. */
static bool rest(int fd, uint64_t ms)
{
    struct pollfd wait = {.fd = fd, .events = 0};

    int ready = poll(&wait, 1, (int)ms);
    if (ready < 0 && errno != EINTR)
        (void)poll(NULL, 0, (int)ms);
    return ready > 0 && (wait.revents & (POLLHUP | POLLERR)) != 0;
}

static void keep_going(int fd)
{
    uint64_t delay_ms = AGAIN_FIRST_MS;
    char why[32] = "";

    do {
        uint64_t begun_ns = clock_ns();
        pid_t pid = start_process(fd);
        if (pid > 0 && why[0] != 0)
            refuse(fd, RESOLVER_RESTARTED, why);
        if (pid > 0 && await_end(pid, why))
            return;
        if (clock_ns() - begun_ns >= AGAIN_FORGET_MS * (uint64_t)NS_PER_MS)
            delay_ms = AGAIN_FIRST_MS;
        else if (why[0] != 0)
            delay_ms = delay_ms * 2 < AGAIN_LAST_MS ? delay_ms * 2 : AGAIN_LAST_MS;
    } while (!rest(fd, delay_ms));
}

/* Ends with its parent, and ignores signals that are sent to its process group: a daemon that drains still
 * looks names up. */
static void resolver_main(int fd, pid_t parent, const char *user, enum sandbox_mode mode)
{
    struct sandbox_state sandbox = {.files_denied = false};
    struct fault fault = {.text = ""};

    belong_to(parent);
    prctl(PR_SET_NAME, "keyless-restart", 0, 0, 0);
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    if (privileges_drop(user, PRIVILEGES_NO_GROUPS, &fault) == 0 &&
        sandbox_enter(&sandbox, SANDBOX_NAMES, mode, -1, &fault) == 0)
        keep_going(fd);
    else
        log_event(LOG_ERROR, "start_failed", "error=\"%s\"", fault.text);
    _exit(0);
}

/* ---- its parent ---- */

int resolver_start(struct resolver *r, const char *user, enum sandbox_mode sandbox, struct fault *fault)
{
    pid_t self = getpid();
    int ends[2];

    *r = (struct resolver){.fd = -1};
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        return fault_set(fault, ERR_SYSTEM, "no socket for the resolver: %s", strerror(errno));
    fflush(NULL);
    r->pid = fork();
    if (r->pid == 0) {
        close(ends[0]);
        resolver_main(ends[1], self, user, sandbox);
    }
    int why = errno;
    close(ends[1]);
    if (r->pid < 0) {
        close(ends[0]);
        errno = why;
        return process_fail(fault, "no process for the resolver");
    }
    r->fd = ends[0];
    return 0;
}

void resolver_ask(const struct resolver *r, size_t number, const char *host)
{
    struct question question;

    memset(&question, 0, sizeof question);
    question.number = number;
    snprintf(question.host, sizeof question.host, "%s", host);
    ssize_t sent = send(r->fd, &question, sizeof question, MSG_DONTWAIT | MSG_NOSIGNAL);
    (void)sent; /* asked again later */
}

int resolver_take(const struct resolver *r, struct resolver_answer *out)
{
    ssize_t n;

    do
        n = recv(r->fd, out, sizeof *out, MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno == EAGAIN || errno == EWOULDBLOCK ? ERR_BUSY : ERR_CLOSED;
    if (n != sizeof *out || out->count > ADDRESS_FOUND_MAX)
        return ERR_CLOSED;
    out->why[sizeof out->why - 1] = 0;
    return 0;
}

void resolver_stop(struct resolver *r)
{
    if (r->pid <= 0)
        return;
    close(r->fd);
    kill(r->pid, SIGKILL);
    while (waitpid(r->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    *r = (struct resolver){.fd = -1};
}
