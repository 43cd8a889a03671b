/* The origin behind every server that is measured: one thread, plain HTTP. Prints its port.
 *
 * GET /size/N gives N bytes, anything else a short page. A connection stays open unless the request says
 * HTTP/1.0 or "Connection: close". */
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#define EVENTS    256
#define HEAD_SIZE 4096
#define PAGE_SIZE 100

struct connection {
    int fd;
    size_t have; /* bytes of a request's head */
    char head[HEAD_SIZE];
    size_t left; /* bytes of an answer's body to be written */
    char answer[128];
    size_t answer_length, answer_sent;
    bool last; /* closes after this answer */
};

static int epoll;
static char block[65536];

static void drop(struct connection *c)
{
    close(c->fd);
    free(c);
}

static void watch(struct connection *c, int operation, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = c};
    if (epoll_ctl(epoll, operation, c->fd, &event) != 0)
        abort();
}

/* 1 when all is written, 0 when not now, -1 when the other side is gone. */
static int write_answer(struct connection *c)
{
    while (c->answer_sent < c->answer_length || c->left > 0) {
        bool head = c->answer_sent < c->answer_length;
        const char *from = head ? c->answer + c->answer_sent : block;
        size_t length = head                     ? c->answer_length - c->answer_sent
                        : c->left < sizeof block ? c->left
                                                 : sizeof block;
        ssize_t sent = send(c->fd, from, length, MSG_NOSIGNAL);
        if (sent < 0)
            return errno == EAGAIN ? 0 : -1;
        if (head)
            c->answer_sent += (size_t)sent;
        else
            c->left -= (size_t)sent;
    }
    return 1;
}

static void begin_answer(struct connection *c)
{
    static const char prefix[] = "GET /size/";
    c->left = strncmp(c->head, prefix, sizeof prefix - 1) == 0
                  ? strtoul(c->head + sizeof prefix - 1, NULL, 10)
                  : PAGE_SIZE;
    c->last = strstr(c->head, " HTTP/1.0\r\n") != NULL ||
              strcasestr(c->head, "\r\nConnection: close\r\n") != NULL;
    c->answer_length = (size_t)snprintf(c->answer, sizeof c->answer,
                                        "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n%s\r\n", c->left,
                                        c->last ? "Connection: close\r\n" : "");
    c->answer_sent = 0;
    c->have = 0;
}

static void on_event(struct connection *c, uint32_t events)
{
    if (!(events & EPOLLOUT)) {
        ssize_t length = read(c->fd, c->head + c->have, sizeof c->head - 1 - c->have);
        if (length < 0 && errno == EAGAIN)
            return;
        if (length <= 0) {
            drop(c);
            return;
        }
        c->have += (size_t)length;
        c->head[c->have] = 0;
        if (strstr(c->head, "\r\n\r\n") == NULL)
            return;
        begin_answer(c);
    }
    int result = write_answer(c);
    if (result < 0 || (result > 0 && c->last))
        drop(c);
    else
        watch(c, EPOLL_CTL_MOD, result == 0 ? EPOLLOUT : EPOLLIN);
}

static void accept_all(int listener)
{
    int fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct connection *c = calloc(1, sizeof *c);
        if (c == NULL)
            abort();
        c->fd = fd;
        watch(c, EPOLL_CTL_ADD, EPOLLIN);
    }
}

static int listen_anywhere(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(listener, 4096) != 0 || getsockname(listener, (struct sockaddr *)&address, &length) != 0 ||
        epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event) != 0)
        return -1;
    printf("%u\n", (unsigned)ntohs(address.sin_port));
    fflush(stdout);
    return listener;
}

int main(void)
{
    struct epoll_event events[EVENTS];
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    memset(block, 'x', sizeof block);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    int listener = epoll < 0 ? -1 : listen_anywhere();
    while (listener >= 0) {
        int count = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr == NULL)
                accept_all(listener);
            else
                on_event(events[i].data.ptr, events[i].events);
        }
    }
    perror("origin");
    return 1;
}
