#include "cli/bench_cpu.h"

#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/admin.h"
#include "common/clock.h"

#define TIMEOUT_MS      5000
#define PROGRAM         "keyless-server"
#define PREFIX          "keyless-" /* of the names that its children give themselves */
#define STAT_SIZE       512
#define SUPERVISOR_NAME "supervisor"

/* ---- /proc ---- */

/* Reads name and parent of PID (proc(5), /proc/PID/stat). */
static bool read_stat(pid_t pid, char name[static BENCH_PROCESS_SIZE], pid_t *parent)
{
    char path[64], text[STAT_SIZE];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    text[fread(text, 1, sizeof text - 1, file)] = 0;
    fclose(file);
    char *open = strchr(text, '('), *close = strrchr(text, ')'); /* a name may hold either */
    if (open == NULL || close == NULL || strlen(close) < 4)
        return false;
    *close = 0;
    snprintf(name, BENCH_PROCESS_SIZE, "%.*s", BENCH_PROCESS_SIZE - 1, open + 1);
    *parent = (pid_t)strtol(close + 4, NULL, 10); /* behind ") S " */
    return true;
}

static void add_process(struct bench_cpu *cpu, pid_t pid, const char *name)
{
    if (cpu->count == BENCH_PROCESSES_MAX)
        return;
    struct bench_process *process = &cpu->process[cpu->count++];
    process->pid = pid;
    snprintf(process->name, sizeof process->name, "%s", name);
}

static void add_children(struct bench_cpu *cpu, pid_t supervisor)
{
    DIR *all = opendir("/proc");
    for (struct dirent *entry; all != NULL && (entry = readdir(all)) != NULL;) {
        char name[BENCH_PROCESS_SIZE];
        pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10), parent;
        if (pid > 0 && read_stat(pid, name, &parent) && parent == supervisor &&
            strncmp(name, PREFIX, strlen(PREFIX)) == 0)
            add_process(cpu, pid, name + strlen(PREFIX));
    }
    if (all != NULL)
        closedir(all);
}

/* ---- the admin endpoint ---- */

static json_t *read_status(const char *admin, struct fault *fault)
{
    struct buffer body = {0};
    struct address address;
    json_t *status = NULL;
    if (address_parse(&address, admin, 0, fault) != 0)
        return NULL;
    int result = admin_get(&address, "/status.json", TIMEOUT_MS, &body);
    if (result == 200)
        status = json_loadb((const char *)buffer_bytes(&body), buffer_length(&body), JSON_REJECT_DUPLICATES,
                            NULL);
    if (status == NULL)
        fault_set(fault, ERR_NOT_FOUND, "%s: %s; is it the `admin` of a keyless-server that runs?", admin,
                  result == ERR_SYSTEM ? strerror(errno)
                  : result < 0         ? err_string(result)
                                       : "answers otherwise than a daemon of keyless");
    buffer_clear(&body);
    return status;
}

static uint16_t port_of(const struct address *address)
{
    if (address->u.any.sa_family == AF_INET)
        return address->u.v4.sin_port;
    return address->u.any.sa_family == AF_INET6 ? address->u.v6.sin6_port : 0;
}

static bool is_any(const struct address *address)
{
    if (address->u.any.sa_family == AF_INET)
        return address->u.v4.sin_addr.s_addr == htonl(INADDR_ANY);
    return address->u.any.sa_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&address->u.v6.sin6_addr);
}

static bool listens_at(const json_t *status, const struct address *wanted)
{
    const json_t *listeners = json_object_get(status, "listeners");
    char text[ADDRESS_TEXT_SIZE];
    address_text(wanted, text);
    for (size_t i = 0; i < json_array_size(listeners); i++) {
        const char *listener = json_string_value(json_array_get(listeners, i));
        struct address parsed;
        if (listener == NULL || address_parse(&parsed, listener, 0, NULL) != 0)
            continue;
        if (strcmp(listener, text) == 0)
            return true;
        if (is_any(&parsed) && address_is_loopback(wanted) && port_of(&parsed) == port_of(wanted))
            return true;
    }
    return false;
}

static int find_processes(struct bench_cpu *out, const json_t *status, const char *admin, struct fault *fault)
{
    pid_t pid = (pid_t)json_integer_value(json_object_get(status, "pid")), parent;
    char name[BENCH_PROCESS_SIZE];
    if (pid <= 0 || !read_stat(pid, name, &parent) || strncmp(name, PROGRAM, strlen(PROGRAM)) != 0)
        return fault_set(fault, ERR_NOT_FOUND,
                         "%s: its processes cannot be seen from here; run keyless bench where they run",
                         admin);
    add_process(out, pid, SUPERVISOR_NAME);
    add_children(out, pid);
    return 0;
}

int bench_cpu_find(struct bench_cpu *out, const char *admin, const struct address *listener,
                   struct fault *fault)
{
    int result = ERR_NOT_FOUND;
    *out = (struct bench_cpu){.count = 0};
    json_t *status = read_status(admin, fault);
    if (status == NULL)
        return ERR_NOT_FOUND;
    const char *program = json_string_value(json_object_get(status, "program"));
    if (program == NULL || strcmp(program, PROGRAM) != 0)
        fault_set(fault, result, "%s is not the `admin` of a keyless-server", admin);
    else if (listener != NULL && !listens_at(status, listener))
        fault_set(fault, result, "%s is the `admin` of another keyless-server", admin);
    else
        result = find_processes(out, status, admin, fault);
    json_decref(status);
    return result;
}

/* ---- time ---- */

bool bench_cpu_read(const struct bench_cpu *cpu, struct bench_cpu_times *times)
{
    for (size_t i = 0; i < cpu->count; i++) {
        struct timespec t;
        clockid_t clock; /* of the whole process, threads that have ended included */
        if (clock_getcpuclockid(cpu->process[i].pid, &clock) != 0 || clock_gettime(clock, &t) != 0)
            return false;
        times->ns[i] = (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
    }
    return cpu->count > 0;
}
