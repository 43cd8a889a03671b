#include "edge/session/session_state.h"

#include <assert.h>

struct row {
    bool listed;
    struct session_transition to;
};

#define TO(state, act)                                                                                       \
    {                                                                                                        \
        .listed = true, .to = {.next = SESSION_##state, .action = ACTION_##act }                             \
    }

/* An event that comes again, or too late to matter: nothing follows. */
#define LATE(state) TO(state, NONE)

static const struct row table[SESSION_STATES][SESSION_EVENTS] =
    {
        [SESSION_HELLO] =
            {
                [EVENT_HELLO_READ] = TO(HANDSHAKE, NONE),
                [EVENT_HANDSHAKE_FAILED] = TO(CLOSED, RELEASE),
                [EVENT_CLIENT_GONE] = TO(CLOSED, RELEASE),
                [EVENT_TIMEOUT] = TO(CLOSED, RELEASE),
                [EVENT_STOP] = TO(CLOSED, RELEASE),
            },
        [SESSION_HANDSHAKE] =
            {
                [EVENT_KEY_WANTED] = TO(WAIT_KEY, WATCH_GONE),
                [EVENT_HANDSHAKE_DONE] = TO(SILENT, LISTEN),
                [EVENT_HANDSHAKE_FAILED] = TO(CLOSED, RELEASE),
                [EVENT_CLIENT_GONE] = TO(CLOSED, RELEASE),
                [EVENT_TIMEOUT] = TO(CLOSED, RELEASE),
                [EVENT_STOP] = TO(CLOSED, RELEASE),
            },
        [SESSION_WAIT_KEY] =
            {
                [EVENT_KEY_ANSWERED] = TO(HANDSHAKE, STEP),
                [EVENT_CLIENT_GONE] = TO(DRAIN_KEY, ABANDON),
                [EVENT_TIMEOUT] = TO(DRAIN_KEY, ABANDON),
                [EVENT_STOP] = TO(DRAIN_KEY, ABANDON),
            },
        [SESSION_SILENT] =
            {
                [EVENT_CLIENT_SPEAKS] = TO(CONNECT, CONNECT),
                [EVENT_TIMEOUT] = TO(CONNECT, CONNECT),
                [EVENT_CLIENT_ENDED] = TO(CLOSED, FAREWELL),
                [EVENT_CLIENT_GONE] = TO(CLOSED, RELEASE),
                [EVENT_STOP] = TO(CLOSED, FAREWELL),
            },
        [SESSION_CONNECT] =
            {
                [EVENT_CONNECTED] = TO(RELAY, RELAY),
                [EVENT_ORIGIN_FAILED] = TO(CLOSING, CLOSE_NOTIFY),
                [EVENT_CLIENT_GONE] = TO(CLOSED, RESET_ORIGIN),
                [EVENT_TIMEOUT] = TO(CLOSING, CLOSE_NOTIFY),
                [EVENT_STOP] = TO(CLOSED, FAREWELL),
            },
        [SESSION_RELAY] =
            {
                [EVENT_CLIENT_ENDED] = TO(HALF_CLOSED, NONE),
                [EVENT_ORIGIN_ENDED] = TO(CLOSING, NONE),
                [EVENT_BOTH_ENDED] = TO(CLOSED, RELEASE),
                [EVENT_CLIENT_GONE] = TO(CLOSED, RESET_ORIGIN),
                [EVENT_ORIGIN_GONE] = TO(CLOSED, RELEASE),
                [EVENT_TIMEOUT] = TO(CLOSING, CLOSE_NOTIFY),
                [EVENT_STOP] = TO(CLOSED, FAREWELL),
            },
        [SESSION_HALF_CLOSED] =
            {
                [EVENT_CLIENT_ENDED] = LATE(HALF_CLOSED),
                [EVENT_ORIGIN_ENDED] = TO(CLOSING, NONE),
                [EVENT_BOTH_ENDED] = TO(CLOSED, RELEASE),
                [EVENT_CLIENT_GONE] = TO(CLOSED, RESET_ORIGIN),
                [EVENT_ORIGIN_GONE] = TO(CLOSED, RELEASE),
                [EVENT_TIMEOUT] = TO(CLOSED, RELEASE),
                [EVENT_STOP] = TO(CLOSED, FAREWELL),
            },
        [SESSION_CLOSING] =
            {
                [EVENT_CLIENT_ENDED] = LATE(CLOSING),
                [EVENT_ORIGIN_ENDED] = LATE(CLOSING),
                [EVENT_BOTH_ENDED] = TO(CLOSED, RELEASE),
                [EVENT_CLIENT_GONE] = TO(CLOSED, RESET_ORIGIN),
                [EVENT_ORIGIN_GONE] = TO(CLOSED, RELEASE),
                [EVENT_TIMEOUT] = TO(CLOSED, RELEASE),
                [EVENT_STOP] = TO(CLOSED, FAREWELL),
            },
        [SESSION_DRAIN_KEY] =
            {
                [EVENT_JOB_ENDED] = TO(CLOSED, RELEASE),
                [EVENT_JOB_STUCK] = TO(STUCK, GIVE_UP),
                [EVENT_STOP] = LATE(DRAIN_KEY),
            },
};

/* In these states everything that can be released was released, so there is nothing left to end. */
static bool is_over(enum session_state state)
{
    return state == SESSION_CLOSED || state == SESSION_STUCK;
}

static struct session_transition impossible(enum session_state state)
{
    return (struct session_transition){.next = is_over(state) ? state : SESSION_CLOSED,
                                       .action = is_over(state) ? ACTION_NONE : ACTION_RELEASE,
                                       .impossible = true};
}

struct session_transition session_state_next(enum session_state state, enum session_event event,
                                             bool job_waits)
{
    assert(state < SESSION_STATES && event < SESSION_EVENTS);
    const struct row *row = &table[state][event];
    struct session_transition to = row->listed ? row->to : impossible(state);
    if (job_waits && state != SESSION_CLOSED && to.next == SESSION_CLOSED) {
        to.next = SESSION_DRAIN_KEY;
        to.action = ACTION_ABANDON;
    }
    return to;
}

bool session_state_is_stuck(unsigned tries)
{
    return tries >= SESSION_TRIES_MAX;
}

enum timeout_class session_state_timeout(enum session_state state)
{
    static const enum timeout_class classes[SESSION_STATES] = {
        [SESSION_HELLO] = TIMEOUT_HANDSHAKE,
        [SESSION_HANDSHAKE] = TIMEOUT_HANDSHAKE,
        [SESSION_WAIT_KEY] = TIMEOUT_HANDSHAKE,
        [SESSION_SILENT] = TIMEOUT_SILENCE,
        [SESSION_CONNECT] = TIMEOUT_CONNECT,
        [SESSION_RELAY] = TIMEOUT_IDLE,
        [SESSION_HALF_CLOSED] = TIMEOUT_HALF_CLOSED,
        [SESSION_CLOSING] = TIMEOUT_CLOSE,
        [SESSION_DRAIN_KEY] = TIMEOUT_NONE,
        [SESSION_STUCK] = TIMEOUT_NONE,
        [SESSION_CLOSED] = TIMEOUT_NONE,
    };
    assert(state < SESSION_STATES);
    return classes[state];
}

const char *session_state_name(enum session_state state)
{
    static const char *const names[SESSION_STATES] = {
        [SESSION_HELLO] = "hello",
        [SESSION_HANDSHAKE] = "handshake",
        [SESSION_WAIT_KEY] = "wait_key",
        [SESSION_SILENT] = "silent",
        [SESSION_CONNECT] = "connect",
        [SESSION_RELAY] = "relay",
        [SESSION_HALF_CLOSED] = "half_closed",
        [SESSION_CLOSING] = "closing",
        [SESSION_DRAIN_KEY] = "drain_key",
        [SESSION_STUCK] = "stuck",
        [SESSION_CLOSED] = "closed",
    };
    assert(state < SESSION_STATES);
    return names[state];
}

const char *session_event_name(enum session_event event)
{
    static const char *const names[SESSION_EVENTS] = {
        [EVENT_HELLO_READ] = "hello_read",
        [EVENT_KEY_WANTED] = "key_wanted",
        [EVENT_KEY_ANSWERED] = "key_answered",
        [EVENT_HANDSHAKE_DONE] = "handshake_done",
        [EVENT_HANDSHAKE_FAILED] = "handshake_failed",
        [EVENT_CLIENT_SPEAKS] = "client_speaks",
        [EVENT_CONNECTED] = "connected",
        [EVENT_ORIGIN_FAILED] = "origin_failed",
        [EVENT_CLIENT_ENDED] = "client_ended",
        [EVENT_ORIGIN_ENDED] = "origin_ended",
        [EVENT_BOTH_ENDED] = "both_ended",
        [EVENT_CLIENT_GONE] = "client_gone",
        [EVENT_ORIGIN_GONE] = "origin_gone",
        [EVENT_TIMEOUT] = "timeout",
        [EVENT_JOB_ENDED] = "job_ended",
        [EVENT_JOB_STUCK] = "job_stuck",
        [EVENT_STOP] = "stop",
    };
    assert(event < SESSION_EVENTS);
    return names[event];
}
