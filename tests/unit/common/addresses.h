/* Addresses without a port, as tests write them. Not a test program by itself. */
#ifndef TESTS_UNIT_COMMON_ADDRESSES_H
#define TESTS_UNIT_COMMON_ADDRESSES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>

#include "common/address.h"

/* NUMBER is in the order of the host; the port is 0, as in v6(). */
static inline struct address v4(uint32_t number)
{
    struct address a = {.length = sizeof a.u.v4};
    a.u.v4.sin_family = AF_INET;
    a.u.v4.sin_addr.s_addr = htonl(number);
    return a;
}

static inline struct address v6(const char *text)
{
    struct address a = {.length = sizeof a.u.v6};
    a.u.v6.sin6_family = AF_INET6;
    assert_int_equal(inet_pton(AF_INET6, text, &a.u.v6.sin6_addr), 1);
    return a;
}

#endif
