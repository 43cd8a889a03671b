/* Any text is an address, a network, or an error; what was read is written and read again the same. Nothing
 * is looked up: names are left out, so that the fuzzer asks no name server. */
#include <stdlib.h>
#include <string.h>

#include "common/address.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static bool has_no_name(const char *text)
{
    const char *colon = strchr(text, ':');
    bool two_colons = colon != NULL && strchr(colon + 1, ':') != NULL;
    if (text[0] == '[')
        return colon != NULL && colon < text + strcspn(text, "]");
    return strncmp(text, "unix:", 5) == 0 || text[0] == '*' || two_colons;
}

static void check_address(const char *text)
{
    struct address address;
    struct address again;
    struct fault fault = {{0}};
    char once[ADDRESS_TEXT_SIZE];
    char twice[ADDRESS_TEXT_SIZE];
    if (address_parse(&address, text, 2407, &fault) != 0) {
        must(fault.text[0] != 0);
        return;
    }
    address_text(&address, once);
    must(address_parse(&again, once, 0, NULL) == 0);
    must(strcmp(once, address_text(&again, twice)) == 0);
    must(address_is_loopback(&address) == address_is_loopback(&again));
}

static void check_network(const char *text)
{
    struct network network;
    struct address address;
    char host[128];
    if (network_parse(&network, text) != 0)
        return;
    must(network.family == AF_INET ? network.prefix <= 32 : network.prefix <= 128);
    const char *slash = strchr(text, '/');
    size_t size = slash == NULL ? strlen(text) : (size_t)(slash - text);
    must(size < sizeof host - 3);
    memcpy(host, text, size);
    host[size] = 0;
    must(address_parse(&address, host, 1, NULL) == 0); /* it was numeric */
    must(network_has(&network, &address));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    char text[512];
    if (length >= sizeof text)
        return 0;
    memcpy(text, bytes, length);
    text[length] = 0;
    if (has_no_name(text))
        check_address(text);
    check_network(text);
    return 0;
}
