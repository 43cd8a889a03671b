#include "edge/keyclient/link_log.h"

#include <inttypes.h>

/* Hints: what to look at when a channel does not come about. */
static const struct {
    int err;
    const char *said; /* what happened, in terms of this protocol */
    const char *hint;
} causes[] = {
    {ERR_CUT, "closed without a word",
     "is this edge's key in its authorized_edges, and is the key given for it here that of its identity?"},
    {ERR_CRYPTO, "its answer did not open", "is the psk here the one in its authorized_edges?"},
    {ERR_TIMEOUT, "no answer",
     "is the address right, does a firewall stop it, and is this edge in its authorized_edges?"},
    {ERR_SYSTEM, "cannot connect", "is it running, and is the address right?"},
    {ERR_NOT_FOUND, "no address",
     "is the name right, and do the name servers know it? It is looked up again at each attempt"},
    {ERR_UNSUPPORTED, "no protocol version in common", "upgrade the older side"},
    {ERR_FORMAT, "not the answer of a key server of this protocol", "is the address right?"},
    {ERR_CLOSED, "closed by the key server", "is it stopping, or is this edge refused?"},
};
#define CAUSES (sizeof causes / sizeof causes[0])

static size_t cause_of(int why)
{
    size_t i = 0;

    while (i < CAUSES && causes[i].err != err_kind(why))
        i++;
    return i;
}

/* What went wrong with ADDRESS, in the words of err.h or of the name servers. */
static const char *error_of(const struct link *link, const struct address *address, int why)
{
    return address == NULL && why == ERR_NOT_FOUND ? link->targets.answer.why : err_string(why);
}

struct client_failure link_log_failure(const struct link *link, const struct address *address, int why)
{
    size_t cause = cause_of(why);
    struct client_failure failure = {.server = link->setup.server, .why = why, .hint = ""};

    failure.error = error_of(link, address, why);
    if (cause == CAUSES)
        return failure;
    failure.hint = causes[cause].hint;
    if (causes[cause].err != ERR_SYSTEM && causes[cause].err != ERR_NOT_FOUND)
        failure.error = causes[cause].said;
    return failure;
}

void link_log_failed(const struct link *link, const struct address *address, int why, uint64_t retry_ms)
{
    char text[ADDRESS_TEXT_SIZE];
    size_t cause = cause_of(why);

    if (address != NULL)
        address_text(address, text);
    else
        endpoint_text(&link->setup.server->endpoint, text);
    log_event(LOG_WARN, "key_server_connect_failed",
              "server=%s address=%s error=\"%s\" retry_ms=%" PRIu64 " hint=\"%s%s%s\"", link_name(link), text,
              error_of(link, address, why), retry_ms, cause < CAUSES ? causes[cause].said : "",
              cause < CAUSES ? ": " : "", cause < CAUSES ? causes[cause].hint : "");
}

void link_log_connected(const struct link *link)
{
    char address[ADDRESS_TEXT_SIZE];

    log_event(LOG_INFO, "key_server_connected", "server=%s address=%s software=\"%s\" in_flight_max=%" PRIu32,
              link_name(link), address_text(channel_address(link->current->channel), address),
              link->current->software, link->current->window);
}

void link_log_lost(const struct link *link, int why, size_t in_flight, size_t retried)
{
    log_event(LOG_WARN, "key_server_lost", "server=%s error=\"%s\" in_flight=%zu retried=%zu",
              link_name(link), err_string(why), in_flight, retried);
}

void link_log_stalled(const struct link *link)
{
    log_event(LOG_WARN, "key_server_stalled", "server=%s in_flight=%zu", link_name(link),
              link_in_flight(link));
}

void link_log_silent(const struct link *link, uint64_t silent_ms)
{
    log_event(
        LOG_WARN, "key_server_silent",
        "server=%s silent_ms=%" PRIu64
        " in_flight=%zu hint=\"not even a ping is answered, so a second channel is opened; when it helps, "
        "look for a NAT or firewall that forgets connections\"",
        link_name(link), silent_ms, link_in_flight(link));
}

void link_log_heard(const struct link *link)
{
    log_event(LOG_INFO, "key_server_heard", "server=%s", link_name(link));
}

void link_log_replaced(const struct link *link, size_t in_flight, size_t retried)
{
    log_event(LOG_INFO, "key_server_channel_replaced", "server=%s in_flight=%zu retried=%zu", link_name(link),
              in_flight, retried);
}
