/* The hello of an edge that a peer of the tests plays. Not a program by itself. */
#ifndef TESTS_LIB_SEND_HELLO_H
#define TESTS_LIB_SEND_HELLO_H

#include <stdio.h>

#include "common/channel.h"
#include "proto/msg.h"

static inline int send_hello(struct channel *channel, const char *software)
{
    struct msg_hello hello = {.version_min = PROTOCOL_VERSION_MIN, .version_max = PROTOCOL_VERSION_MAX};
    struct buffer packed = {0};
    snprintf(hello.software, sizeof hello.software, "%s", software);
    int err = msg_pack_hello(&packed, &hello);
    if (err == 0)
        err = channel_send(channel, buffer_bytes(&packed), buffer_length(&packed));
    buffer_clear(&packed);
    return err;
}

#endif
