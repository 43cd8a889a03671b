#include "tests/unit/keyserver/supervisor_rig.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/log.h"
#include "keyserver/supervisor/supervisor.h"
#include "tests/unit/keyserver/edge_peer.h"

/* ---- files ---- */

void rig_run(const char *format, ...)
{
    char command[512];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(command, sizeof command, format, arguments);
    va_end(arguments);
    assert_int_equal(system(command), 0);
}

void rig_write(const struct fixture *f, const char *name, const char *text)
{
    char path[128];

    snprintf(path, sizeof path, "%s/%s", f->folder, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

void rig_add_key(const struct fixture *f, const char *name)
{
    rig_run("umask 077 && openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out %s/keys/%s.key "
            "2>/dev/null",
            f->folder, name);
}

/* Who starts it as root says so: these tests are about processes, not about who they become. */
void rig_write_config(const struct fixture *f, const char *more)
{
    char text[512];
    snprintf(text, sizeof text,
             "listen = { \"127.0.0.1:0\" }\nadmin = \"off\"\nidentity = \"identity\"\n"
             "authorized_edges = \"authorized_edges\"\nkeys = \"keys\"\ngroup_secret = \"group.secret\"\n"
             "workers = 2\nlog_level = info\nmemory = unlocked\n%s%s",
             geteuid() == 0 ? "user = \"root\"\n" : "", more);
    rig_write(f, "server.conf", text);
}

static void make_files(struct fixture *f)
{
    char path[128], line[256], key[IDENTITY_TEXT_SIZE], psk[IDENTITY_TEXT_SIZE];
    struct fault fault;

    strcpy(f->folder, "/tmp/test_supervisor.XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    identity_generate(&f->server);
    identity_generate(&f->edge);
    random_bytes(f->psk, sizeof f->psk);
    snprintf(path, sizeof path, "%s/identity", f->folder);
    assert_int_equal(identity_save_secret(path, f->server.secret, &fault), 0);
    base64_encode(key, f->edge.public, 32);
    base64_encode(psk, f->psk, 32);
    snprintf(line, sizeof line, "%s edge psk=%s\n", key, psk);
    rig_write(f, "authorized_edges", line);
    snprintf(path, sizeof path, "%s/keys", f->folder);
    assert_int_equal(mkdir(path, 0700), 0);
    rig_add_key(f, "one");
    rig_write_config(f, "");
    snprintf(f->file, sizeof f->file, "%s/server.conf", f->folder);
}

/* ---- the process ---- */

/* The first line after those already waited for that contains EVENT; it stays valid. */
const char *rig_wait_for(struct fixture *f, const char *event)
{
    uint64_t until = clock_ms() + EDGE_PATIENCE_MS;

    for (;;) {
        char *line = f->log + f->log_seen, *end;
        while ((end = strchr(line, '\n')) != NULL) {
            char *found = strstr(line, event);
            if (found != NULL && found < end) {
                f->log_seen = (size_t)(end + 1 - f->log);
                return found;
            }
            line = end + 1;
        }
        if (clock_ms() > until || f->log_length > LOG_SIZE - 4096) {
            fputs(f->log, stderr); /* longer than a message of cmocka may be */
            fail_msg("no %s within %d ms; the log is above", event, EDGE_PATIENCE_MS);
        }
        struct pollfd fd = {.fd = f->log_fd, .events = POLLIN};
        if (poll(&fd, 1, 100) == 1) {
            ssize_t n = read(f->log_fd, f->log + f->log_length, 4095);
            if (n > 0)
                f->log_length += (size_t)n;
        }
    }
}

pid_t rig_pid_in(const char *line)
{
    const char *at = strstr(line, "pid=");
    assert_non_null(at);
    return (pid_t)strtol(at + 4, NULL, 10);
}

void rig_start(struct fixture *f)
{
    struct server_config config;
    struct fault fault = {.text = ""};
    int log[2];

    assert_int_equal(pipe2(log, O_CLOEXEC), 0);
    f->pid = fork();
    assert_true(f->pid >= 0);
    if (f->pid == 0) {
        dup2(log[1], STDERR_FILENO);
        if (server_config_load(&config, f->file, &fault) != 0)
            _exit(2);
        log_init("keyless-server", LOG_INFO, LOG_LOGFMT);
        log_leave(supervisor_run(&config, f->file));
    }
    close(log[1]);
    f->log_fd = log[0];
}

void rig_start_and_wait(struct fixture *f)
{
    char text[ADDRESS_TEXT_SIZE];
    struct fault fault;

    rig_start(f);
    assert_int_equal(sscanf(rig_wait_for(f, "event=listening"), "event=listening address=%127s", text), 1);
    assert_int_equal(address_parse(&f->listen, text, 0, &fault), 0);
    f->net = rig_pid_in(rig_wait_for(f, "event=child_started role=net"));
    f->vault = rig_pid_in(rig_wait_for(f, "event=child_started role=vault"));
    rig_wait_for(f, "event=ready");
}

int rig_wait_for_end(struct fixture *f)
{
    int status;

    assert_int_equal(waitpid(f->pid, &status, 0), f->pid);
    f->pid = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int rig_set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    assert_int_equal(secret_init(), 0);
    f->log_fd = -1;
    make_files(f);
    *state = f;
    return 0;
}

int rig_tear_down(void **state)
{
    struct fixture *f = *state;

    if (f->pid > 0) {
        kill(f->pid, SIGKILL);
        rig_wait_for_end(f);
    }
    if (f->log_fd >= 0)
        close(f->log_fd);
    rig_run("rm -r %s", f->folder);
    free(f);
    return 0;
}
