#include "edge/client/link_log.h"

#include <inttypes.h>

/* What a person should look at when a channel does not come about. */
static const struct {
    int err;
    const char *hint;
} hints[] = {
    {ERR_CUT,
     "closed without a word: is this edge's key in its authorized_edges, and is the key given for it "
     "here that of its identity?"},
    {ERR_CRYPTO, "its answer did not open: is the psk here the one in its authorized_edges?"},
    {ERR_TIMEOUT, "no answer: is the address right, does a firewall stop it, and is this edge in its "
                  "authorized_edges?"},
    {ERR_SYSTEM, "cannot connect: is it running, and is the address right?"},
    {ERR_NOT_FOUND,
     "is the name right, and do the name servers know it? It is looked up again at each attempt"},
    {ERR_UNSUPPORTED, "no protocol version in common: upgrade the older side"},
    {ERR_FORMAT, "not the answer of a key server of this protocol"},
    {ERR_CLOSED, "closed by the key server: is it stopping, or is this edge refused?"},
};

static const char *hint_of(int err)
{
    for (size_t i = 0; i < sizeof hints / sizeof hints[0]; i++)
        if (hints[i].err == err_kind(err))
            return hints[i].hint;
    return "";
}

void link_log_failed(const struct link *link, const struct address *address, int why, uint64_t retry_ms)
{
    char text[ADDRESS_TEXT_SIZE];
    bool unknown = address == NULL && why == ERR_NOT_FOUND;

    if (address != NULL)
        address_text(address, text);
    else
        endpoint_text(&link->setup.server->endpoint, text);
    log_event(LOG_WARN, "key_server_connect_failed",
              "server=%s address=%s error=\"%s\" retry_ms=%" PRIu64 " hint=\"%s\"", link_name(link), text,
              unknown ? link->targets.answer.why : err_string(why), retry_ms, hint_of(why));
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
