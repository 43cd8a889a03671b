#include "edge/session/session_stats.h"

#include <stddef.h>

const char *session_stats_failure_name(enum session_failure failure)
{
    static const char *const names[SESSION_FAILURES] = {
        [FAILURE_NONE] = "none",
        [FAILURE_KEY_TIMEOUT] = "key_timeout",
        [FAILURE_KEY_REFUSED] = "key_refused",
        [FAILURE_KEY_BUSY] = "key_busy",
        [FAILURE_KEY_UNAVAILABLE] = "key_unavailable",
        [FAILURE_KEY_SERVERS_GONE] = "key_servers_gone",
        [FAILURE_KEY_INVALID] = "key_invalid",
        [FAILURE_INTERNAL] = "internal",
        [FAILURE_TLS] = "tls",
        [FAILURE_RSA_WITHHELD] = "rsa_withheld",
        [FAILURE_HELLO_TOO_LONG] = "hello_too_long",
        [FAILURE_HELLO_DISPLACED] = "hello_displaced",
        [FAILURE_CLIENT_GONE] = "client_gone",
        [FAILURE_TIMEOUT] = "timeout",
        [FAILURE_MEMORY] = "memory",
        [FAILURE_STOPPED] = "stopped",
    };
    return failure < SESSION_FAILURES ? names[failure] : NULL;
}

const char *session_stats_result_name(enum session_result result)
{
    static const char *const names[SESSION_RESULTS] = {
        [RESULT_NONE] = "none",
        [RESULT_OK] = "ok",
        [RESULT_HANDSHAKE_FAILED] = "handshake_failed",
        [RESULT_CLIENT_CUT] = "client_cut",
        [RESULT_CLIENT_RESET] = "client_reset",
        [RESULT_CLIENT_ERROR] = "client_error",
        [RESULT_ORIGIN_FAILED] = "origin_failed",
        [RESULT_ORIGIN_CUT] = "origin_cut",
        [RESULT_TIMEOUT_IDLE] = "timeout_idle",
        [RESULT_TIMEOUT_HALF_CLOSED] = "timeout_half_closed",
        [RESULT_TIMEOUT_CLOSE] = "timeout_close",
        [RESULT_STOPPED] = "stopped",
        [RESULT_MEMORY] = "memory",
        [RESULT_INTERNAL] = "internal",
    };
    return result < SESSION_RESULTS ? names[result] : NULL;
}

void session_stats_sum(struct session_stats *into, const struct session_stats *from)
{
    /* The struct consists of counters only, so they can be added up as an array. */
    _Static_assert(sizeof(struct session_stats) % sizeof(counter) == 0, "only counters");
    counter *to = (counter *)into;
    const counter *of = (const counter *)from;

    for (size_t i = 0; i < sizeof(*into) / sizeof(counter); i++)
        counter_add(&to[i], counter_get(&of[i]));
}
