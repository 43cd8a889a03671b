#include "cli/check.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/files.h"
#include "common/bytes.h"
#include "common/clock.h"
#include "common/creatable.h"
#include "common/shell.h"

#define TEST_TIMEOUT_MS 90000
#define OUTPUT_MAX      (1 << 20) /* bytes that are listened to */
#define ARGUMENTS_MAX   16

/* ---- finding and running it ---- */

/* Where `make` and `make install` put the daemons, seen from this program; false leaves it to PATH. */
static bool find_beside(char out[static FILES_PATH_MAX], const char *program)
{
    static const char *const places[] = {"", "../sbin/"};
    char self[FILES_PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    if (length <= 0)
        return false;
    self[length] = 0;
    char *slash = strrchr(self, '/');
    if (slash == NULL)
        return false;
    slash[1] = 0;
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        int size = snprintf(out, FILES_PATH_MAX, "%s%s%s", self, places[i], program);
        if (size > 0 && size < FILES_PATH_MAX && access(out, X_OK) == 0)
            return true;
    }
    return false;
}

/* In the child: never returns. */
static void become(const char *const arguments[], bool with_errors, int output)
{
    char path[FILES_PATH_MAX];
    char *copies[ARGUMENTS_MAX + 1] = {NULL};
    const char *which = find_beside(path, arguments[0]) ? path : arguments[0];
    int nothing = open("/dev/null", O_RDONLY);
    for (size_t i = 0; i < ARGUMENTS_MAX && arguments[i] != NULL; i++)
        copies[i] = strdup(arguments[i]);
    unsetenv("JOURNAL_STREAM"); /* the log's form for people */
    if (nothing >= 0)
        dup2(nothing, STDIN_FILENO);
    if (dup2(output, STDOUT_FILENO) >= 0 && (!with_errors || dup2(output, STDERR_FILENO) >= 0))
        execvp(which, copies);
    _exit(127);
}

/* Reads everything the daemon prints until it closes its output; false when that takes too long. */
static bool listen_to(int fd, struct buffer *out)
{
    uint64_t end = clock_ms() + TEST_TIMEOUT_MS;
    for (uint64_t now = clock_ms(); now < end; now = clock_ms()) {
        struct pollfd entry = {.fd = fd, .events = POLLIN};
        char bytes[4096];
        if (poll(&entry, 1, (int)(end - now)) <= 0)
            continue;
        ssize_t got = read(fd, bytes, sizeof bytes);
        if (got == 0)
            return true;
        if (got < 0 && errno != EINTR)
            return false;
        if (got > 0 && buffer_length(out) + (size_t)got <= OUTPUT_MAX && buffer_put(out, bytes, (size_t)got))
            return false;
    }
    return false;
}

int check_daemon_run(const char *const arguments[], bool with_errors, struct buffer *output)
{
    int ends[2], status = 0;
    if (pipe2(ends, O_CLOEXEC) != 0)
        return ERR_SYSTEM;
    fflush(NULL);
    pid_t child = fork();
    if (child == 0)
        become(arguments, with_errors, ends[1]);
    close(ends[1]);
    if (child > 0 && !listen_to(ends[0], output))
        kill(child, SIGKILL);
    close(ends[0]);
    if (child < 0 || waitpid(child, &status, 0) != child)
        return ERR_SYSTEM;
    return WIFEXITED(status) ? WEXITSTATUS(status) : ERR_CUT;
}

/* ---- what it says ---- */

/* Puts "ERROR; HINT" in place of LINE, which has at least its size; HINT may be NULL. */
static void join_hint(char *line, const char *error, const char *hint)
{
    size_t length = strlen(error), rest = hint != NULL ? strlen(hint) : 0;
    memmove(line, error, length);
    if (hint != NULL) {
        memmove(line + length + 2, hint, rest); /* further on: it is not there yet */
        memcpy(line + length, "; ", 2);
        length += 2 + rest;
    }
    line[length] = 0;
}

/* Takes back what a log line puts before quotes and backslashes, so that a command works as it stands. What
 * stands for a byte that is not printed stays. */
static void unescape(char *text)
{
    char *to = text;
    for (const char *from = text; *from != 0; *to++ = *from++)
        if (from[0] == '\\' && (from[1] == '\\' || from[1] == '"'))
            from++;
    *to = 0;
}

/* Cuts the values of error="…" and, right behind it, hint="…" out of a log line, whose second word is its
 * level; false when there is no error. */
static bool cut_logfmt_error(char *line, enum finding_level *level)
{
    static const char opening[] = " error=\"", next[] = "\" hint=\"";
    const char *second = strchr(line, ' ');
    char *start = strstr(line, opening);
    char *end = start == NULL ? NULL : strrchr(start + sizeof opening - 1, '"');
    if (end == NULL || end < start + sizeof opening - 1)
        return false;
    *level = second != NULL && strncmp(second, " warn ", 6) == 0 ? FINDING_WARNING : FINDING_ERROR;
    *end = 0;
    start += sizeof opening - 1;
    char *hint = strstr(start, next);
    if (hint != NULL) {
        *hint = 0;
        hint += sizeof next - 1;
        unescape(hint);
    }
    unescape(start);
    join_hint(line, start, hint);
    return true;
}

static bool cut_json_error(char *line, size_t size, enum finding_level *level)
{
    json_t *event = json_loads(line, 0, NULL);
    const char *text = json_string_value(json_object_get(event, "error"));
    const char *hint = json_string_value(json_object_get(event, "hint"));
    const char *name = json_string_value(json_object_get(event, "level"));
    bool found = text != NULL && strlen(text) + (hint != NULL ? strlen(hint) + 2 : 0) < size;
    *level = name != NULL && strcmp(name, "warn") == 0 ? FINDING_WARNING : FINDING_ERROR;
    if (found)
        join_hint(line, text, hint);
    json_decref(event);
    return found;
}

/* "keyless-edge: WHAT: why", or a log line whose error= says the same. SEEN says whether there was one
 * before. True for a complaint, false for what is only a warning, or neither. */
static bool add_complaint(struct findings *findings, const char *program, char *line, bool seen)
{
    static const char see_above[] = "; see the lines above";
    enum finding_level level = FINDING_ERROR;
    size_t prefix = strlen(program);
    if (strncmp(line, CREATABLE_PREFIX, sizeof CREATABLE_PREFIX - 1) == 0) {
        findings_add(findings, FINDING_OK, "%s", line);
        return false;
    }
    if (line[0] == '{') {
        if (!cut_json_error(line, strlen(line) + 1, &level))
            return false;
    } else if (strncmp(line, program, prefix) == 0 && strncmp(line + prefix, ": ", 2) == 0) {
        line += prefix + 2;
    } else if (!cut_logfmt_error(line, &level)) {
        return false;
    }
    const char *end = strstr(line, see_above);
    if (!seen || end == NULL || end[sizeof see_above - 1] != 0)
        findings_add(findings, level, "%s", line);
    return level == FINDING_ERROR;
}

/* True when there was a complaint in TEXT. */
static bool add_complaints(struct findings *findings, const char *program, char *text)
{
    bool seen = false;
    char *rest = text;
    for (char *line; (line = strsep(&rest, "\n")) != NULL;)
        if (add_complaint(findings, program, line, seen))
            seen = true;
    return seen;
}

void check_daemon_test(struct findings *findings, const char *program, const char *file)
{
    const char *const arguments[] = {program, "-t", "-c", file, NULL};
    struct buffer output = {0};
    int code = check_daemon_run(arguments, true, &output);
    char *text = buffer_put(&output, "", 1) == 0 ? strdup((const char *)buffer_bytes(&output)) : NULL;
    bool complained = code != 127 && text != NULL && add_complaints(findings, program, text);
    if (code == 0)
        findings_add(findings, FINDING_OK, "%s -t: would start with %s", program, file);
    else if (code == 127)
        findings_add(findings, FINDING_WARNING,
                     "%s: not found beside this command or in PATH, so its own test was left out; install "
                     "it, or run where it is: %s -t -c %s",
                     program, SHELL_WORD(program), SHELL_WORD(file));
    else if (!complained)
        findings_add(findings, FINDING_ERROR, "%s -t: failed with %s; run: %s -t -c %s", program, file,
                     SHELL_WORD(program), SHELL_WORD(file));
    free(text);
    buffer_clear(&output);
}
