/* An admin endpoint with a loop in a thread of its own, and clients that ask it. Not a test program by
 * itself. */
#ifndef TESTS_UNIT_COMMON_ADMIN_RIG_H
#define TESTS_UNIT_COMMON_ADMIN_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>

#include "common/admin_http.h"

extern size_t big_size;

/* The endpoint on a loop of its own thread, as a daemon has it. */
struct endpoint {
    uv_loop_t loop;
    uv_async_t stop;
    struct admin *admin;
    struct address address;
    pthread_t thread;
};

void start(struct endpoint *e, const char *where);
/* Every handle must be gone: uv_loop_close says so. */
void stop(struct endpoint *e);
int open_client(const struct endpoint *e);
/* Everything that comes from FD until it ends, as text in OUT. Work that the kernel does for the loop, made
 * by this thread, may interrupt it. */
size_t drain(int fd, char *out, size_t size);
void ask(const struct endpoint *e, const char *request, char *out, size_t size);
void assert_status(const struct endpoint *e, const char *request, const char *status);

#endif
