#include "common/process.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#define DESCRIPTORS_KEPT 32 /* the last of those that a process may have, held in reserve */

/* open() returns the lowest free descriptor. One for reading only fails when it is written, as a closed one
 * does, but its number is taken. */
int process_open_standard(void)
{
    static const int modes[] = {
        [STDIN_FILENO] = O_RDONLY, [STDOUT_FILENO] = O_RDONLY, [STDERR_FILENO] = O_WRONLY};
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", modes[fd]) != fd)
            return ERR_SYSTEM;
    }
    return 0;
}

int process_leave_standard(void)
{
    int own = open("/dev/null", O_RDWR | O_CLOEXEC);
    bool left = own >= 0 && dup2(own, STDIN_FILENO) >= 0 && dup2(own, STDOUT_FILENO) >= 0;
    if (own > STDERR_FILENO)
        close(own);
    return left ? 0 : ERR_SYSTEM;
}

/* Whoever starts a daemon may have blocked or ignored signals for itself, and both are inherited: with
 * SIGCHLD ignored no child's end is reported, and a blocked SIGTERM ends nothing. */
static int forget_inherited_signals(void)
{
    static const int needed[] = {SIGCHLD, SIGTERM, SIGINT, SIGALRM};
    const struct sigaction usual = {.sa_handler = SIG_DFL};
    sigset_t none;
    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++)
        if (sigaction(needed[i], &usual, NULL) != 0)
            return ERR_SYSTEM;
    sigemptyset(&none);
    return sigprocmask(SIG_SETMASK, &none, NULL) == 0 ? 0 : ERR_SYSTEM;
}

int process_begin(void)
{
    static const int ignored[] = {SIGUSR1, SIGUSR2, SIGPIPE, SIGXFSZ, SIGTTOU, SIGTTIN};
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    for (size_t i = 0; i < sizeof ignored / sizeof ignored[0]; i++)
        if (sigaction(ignored[i], &ignore, NULL) != 0)
            return ERR_SYSTEM;
    int err = forget_inherited_signals();
    return err != 0 ? err : process_open_standard();
}

const char *process_signal_name(int number)
{
    static const struct {
        int number;
        const char *name;
    } names[] = {{SIGHUP, "HUP"}, {SIGUSR1, "USR1"}, {SIGUSR2, "USR2"}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (names[i].number == number)
            return names[i].name;
    return "?";
}

int process_harden(const char *name, struct fault *fault)
{
    struct rlimit none = {0, 0};
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    if (setrlimit(RLIMIT_CORE, &none) != 0)
        return fault_set(fault, ERR_SYSTEM, "%s: cannot switch core dumps off: %s", name, strerror(errno));
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
        return fault_set(fault, ERR_SYSTEM, "%s: cannot close its memory to debuggers: %s", name,
                         strerror(errno));
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return fault_set(fault, ERR_SYSTEM, "%s: cannot give up new privileges: %s", name, strerror(errno));
    if (sigaction(SIGPIPE, &ignore, NULL) != 0 || sigaction(SIGXFSZ, &ignore, NULL) != 0)
        return fault_set(fault, ERR_SYSTEM, "%s: cannot ignore SIGPIPE and SIGXFSZ: %s", name,
                         strerror(errno));
    prctl(PR_SET_NAME, name, 0, 0, 0);
    umask(077);
    return 0;
}

/* ---- limits ---- */

/* The limits that a system call may have hit when it failed with `why`. `group` is the unit's option for the
 * limit of the control group, or NULL. */
static const struct limit {
    int why;
    bool always; /* named even without a limit here: other processes count, too, or the group */
    int resource;
    const char *what, *name, *option, *group, *shell;
} limits[] = {
    {EFBIG, true, RLIMIT_FSIZE, "of a file's size, as which memory that processes share counts",
     "RLIMIT_FSIZE", "LimitFSIZE=infinity", NULL, "ulimit -f unlimited"},
    /* the C library returns it as well when there is no memory for a stack */
    {EAGAIN, true, RLIMIT_NPROC, "of processes", "RLIMIT_NPROC", "LimitNPROC=", "TasksMax=", "ulimit -u"},
    {EAGAIN, false, RLIMIT_AS, "of memory", "RLIMIT_AS", "LimitAS=", "MemoryMax=", "ulimit -v"},
    {EAGAIN, false, RLIMIT_MEMLOCK, "of locked memory", "RLIMIT_MEMLOCK", "LimitMEMLOCK=", NULL, "ulimit -l"},
    {ENOMEM, true, RLIMIT_AS, "of memory", "RLIMIT_AS", "LimitAS=", "MemoryMax=", "ulimit -v"},
    {ENOMEM, false, RLIMIT_DATA, "of data", "RLIMIT_DATA", "LimitDATA=", NULL, "ulimit -d"},
    {ENOMEM, false, RLIMIT_MEMLOCK, "of locked memory", "RLIMIT_MEMLOCK", "LimitMEMLOCK=", NULL, "ulimit -l"},
    {EMFILE, true, RLIMIT_NOFILE, "of open files", "RLIMIT_NOFILE", "LimitNOFILE=", NULL, "ulimit -n"},
};

/* Appends LIMIT to the LENGTH characters in TEXT, which has room for SIZE; returns the new length. */
static size_t add_limit(char *text, size_t size, size_t length, const struct limit *limit)
{
    struct rlimit set;
    char value[40] = "unlimited";
    bool known = getrlimit((__rlimit_resource_t)limit->resource, &set) == 0;
    bool finite = known && set.rlim_cur != RLIM_INFINITY;
    if (!finite && !limit->always)
        return length;
    if (finite)
        snprintf(value, sizeof value, "%llu", (unsigned long long)set.rlim_cur);
    int added = snprintf(text + length, size - length,
                         "%s the limit %s (%s is %s%s%s), with %s in the unit's section [Service] (without "
                         "systemd: %s)",
                         length == 0 ? "; raise" : ", or", limit->what, limit->name, value,
                         limit->group != NULL ? "; or the control group's, " : "",
                         limit->group != NULL ? limit->group : "", limit->option, limit->shell);
    return added > 0 && length + (size_t)added < size ? length + (size_t)added : size - 1;
}

const char *process_limit_hint(int why)
{
    static _Thread_local char text[PROCESS_HINT_SIZE];
    size_t length = 0;
    if (why == ENFILE)
        return "; all of the machine's open files are in use: raise fs.file-max (sysctl), or look for who "
               "has "
               "so many";
    text[0] = 0;
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++)
        if (limits[i].why == why)
            length = add_limit(text, sizeof text, length, &limits[i]);
    return text;
}

/* The errno of a limit that FAULT, of ERR, came from; 0: none is known. A fault keeps it as a text only. */
static int limit_met(const struct fault *fault, int err)
{
    static const int told[] = {EMFILE, ENFILE};
    if (err == 0 || strstr(fault->text, "RLIMIT_") != NULL || strstr(fault->text, "fs.file-max") != NULL)
        return 0;
    for (size_t i = 0; i < sizeof told / sizeof told[0]; i++)
        if (strstr(fault->text, strerror(told[i])) != NULL)
            return told[i];
    return err == ERR_MEMORY ? ENOMEM : 0;
}

int process_name_limit(struct fault *fault, int err)
{
    char before[sizeof fault->text];
    int why = limit_met(fault, err);
    if (why == 0)
        return err;
    snprintf(before, sizeof before, "%s", fault->text[0] != 0 ? fault->text : err_string(err));
    const char *hint = process_limit_hint(why);
    return fault_set(fault, err, "%.*s%s", (int)(sizeof before - 1 - strlen(hint)), before, hint);
}

int process_fail(struct fault *fault, const char *what)
{
    return fault_set(fault, ERR_SYSTEM, "%s: %s%s", what, strerror(errno), process_limit_hint(errno));
}

int process_start_thread(pthread_t *out, size_t size, void *(*run)(void *), void *user)
{
    pthread_attr_t attributes;
    errno = pthread_attr_init(&attributes);
    if (errno != 0)
        return ERR_SYSTEM;
    int failed = pthread_attr_setstacksize(&attributes, size);
    if (failed == 0)
        failed = pthread_create(out, &attributes, run, user);
    pthread_attr_destroy(&attributes);
    errno = failed;
    return failed == 0 ? 0 : ERR_SYSTEM;
}

/* The kernel looks at the limit whenever the stack grows, so that a raised one holds at once. */
int process_check_stack(size_t least, const char *what, struct fault *fault)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_STACK, &limit) != 0 || limit.rlim_cur >= least)
        return 0;
    struct rlimit raised = {least, limit.rlim_max};
    if (limit.rlim_max >= least && setrlimit(RLIMIT_STACK, &raised) == 0)
        return 0;
    return fault_set(fault, ERR_SYSTEM,
                     "the limit of a stack is %zu KiB, and %s needs %zu KiB; write LimitSTACK=%zuK or more "
                     "into the unit's section [Service] (without systemd: ulimit -s %zu)",
                     (size_t)limit.rlim_max >> 10, what, least >> 10, least >> 10, least >> 10);
}

unsigned long process_raise_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 0;
    struct rlimit raised = {limit.rlim_max, limit.rlim_max};
    if (setrlimit(RLIMIT_NOFILE, &raised) == 0)
        limit = raised;
    return (unsigned long)limit.rlim_cur;
}

/* The kernel gives the lowest free number, so a high number means that many are in use. */
bool process_descriptors_low(int fd)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return false;
    rlim_t kept = limit.rlim_cur / 4 < DESCRIPTORS_KEPT ? limit.rlim_cur / 4 : DESCRIPTORS_KEPT;
    return (rlim_t)fd >= limit.rlim_cur - kept;
}

void process_die_with_parent(void)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
}

/* Of Landlock's second, third and fifth version, which the headers of older systems do not name. */

#define ACCESS_FIRST_VERSION ((1ull << 13) - 1)
#define ACCESS_REFER         (1ull << 13)
#define ACCESS_TRUNCATE      (1ull << 14)
#define ACCESS_IOCTL_DEV     (1ull << 15)

/* Everything that the kernel's VERSION of Landlock can deny. */
static uint64_t deniable(long version)
{
    return ACCESS_FIRST_VERSION | (version >= 2 ? ACCESS_REFER : 0) | (version >= 3 ? ACCESS_TRUNCATE : 0) |
           (version >= 5 ? ACCESS_IOCTL_DEV : 0);
}

static bool allow_regular_files(int rules, int folder, uint64_t denied)
{
    const uint64_t wanted = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE |
                            LANDLOCK_ACCESS_FS_MAKE_REG | ACCESS_TRUNCATE;
    struct landlock_path_beneath_attr rule = {.allowed_access = wanted & denied, .parent_fd = folder};
    return syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0;
}

bool process_deny_files_but(int folder)
{
    if (PROCESS_SANITIZED)
        return false;
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (version < 1)
        return false;
    struct landlock_ruleset_attr rules = {.handled_access_fs = deniable(version)};
    long fd = syscall(SYS_landlock_create_ruleset, &rules, sizeof rules.handled_access_fs, 0);
    if (fd < 0)
        return false;
    bool good = (folder < 0 || allow_regular_files((int)fd, folder, rules.handled_access_fs)) &&
                syscall(SYS_landlock_restrict_self, fd, 0) == 0;
    close((int)fd);
    return good;
}

bool process_deny_files(void)
{
    return process_deny_files_but(-1);
}

void process_notify(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    size_t length = path == NULL ? 0 : strlen(path);
    if (length < 2 || length >= sizeof to.sun_path || (path[0] != '/' && path[0] != '@'))
        return;
    memcpy(to.sun_path, path, length);
    if (path[0] == '@')
        to.sun_path[0] = 0; /* Linux's abstract sockets */
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    socklen_t to_length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
    ssize_t sent = sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&to, to_length);
    (void)sent; /* nobody listens: nothing to do about it */
    close(fd);
}
