/* The least that asking another process can take: echo SERVER_CPU CLIENT_CPU SECONDS sends 200 bytes over TCP
 * on loopback to a process that sends them back, one message after the other, both woken by epoll as daemons
 * are, and prints the median and the 99th percentile as JSON. A CPU of -1 is any. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"

#define SIZE        200
#define SAMPLES_MAX 1000000
#define SAMPLES_MIN 1000 /* however long they take: a median of a few is none */

static void pin(const char *cpu)
{
    cpu_set_t set;
    int number = atoi(cpu);
    CPU_ZERO(&set);
    CPU_SET((size_t)(number < 0 ? 0 : number), &set);
    if (number >= 0 && sched_setaffinity(0, sizeof set, &set) != 0)
        perror("echo: sched_setaffinity");
}

/* Waits for SIZE bytes; false at the end. */
static bool get(int epoll, int fd, char bytes[static SIZE])
{
    size_t have = 0;
    while (have < SIZE) {
        struct epoll_event event;
        if (epoll_wait(epoll, &event, 1, -1) != 1)
            return false;
        ssize_t length = read(fd, bytes + have, SIZE - have);
        if (length <= 0)
            return false;
        have += (size_t)length;
    }
    return true;
}

static int watch(int fd)
{
    int epoll = epoll_create1(EPOLL_CLOEXEC), on = 1;
    struct epoll_event event = {.events = EPOLLIN};
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return epoll >= 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0 ? epoll : -1;
}

static int serve(int listener)
{
    char bytes[SIZE];
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int fd = accept(listener, NULL, NULL), epoll = watch(fd);
    while (get(epoll, fd, bytes))
        if (write(fd, bytes, SIZE) != SIZE)
            return 1;
    return 0;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static int ask_server(const struct sockaddr_in *server, double seconds)
{
    static uint64_t ns[SAMPLES_MAX];
    size_t count = 0;
    char bytes[SIZE] = {0};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)server, sizeof *server) != 0)
        return 1;
    int epoll = watch(fd);
    uint64_t end = clock_ns() + (uint64_t)(seconds * 1e9), begun, now = 0;
    while ((now < end || count < SAMPLES_MIN) && count < SAMPLES_MAX) {
        begun = clock_ns();
        if (write(fd, bytes, SIZE) != SIZE || !get(epoll, fd, bytes))
            return 1;
        now = clock_ns();
        ns[count++] = now - begun;
    }
    close(fd);
    qsort(ns, count, sizeof ns[0], compare);
    printf("{\"echoes\": %zu, \"p50_us\": %.1f, \"p99_us\": %.1f}\n", count, (double)ns[count / 2] / 1e3,
           (double)ns[count * 99 / 100] / 1e3);
    return 0;
}

int main(int argc, char *argv[])
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0), status = 1;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (argc != 4 || listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(listener, 1) != 0 || getsockname(listener, (struct sockaddr *)&address, &length) != 0) {
        fprintf(stderr, "usage: echo SERVER_CPU CLIENT_CPU SECONDS\n");
        return 2;
    }
    pid_t server = fork();
    pin(server == 0 ? argv[1] : argv[2]);
    if (server == 0)
        return serve(listener);
    int result = ask_server(&address, strtod(argv[3], NULL));
    if (result != 0)
        kill(server, SIGKILL);
    waitpid(server, &status, 0);
    return result;
}
