#include "edge/tls/hello_scan.h"

#include <string.h>

#define RECORD_HANDSHAKE 22   /* RFC 8446, 5.1 */
#define CLIENT_HELLO     1    /* RFC 8446, 4 */
#define SSL2_LENGTH      0x80 /* begins a record of SSL 2.0 (RFC 5246, E.2), which holds one whole message */

/* Copies up to WANTED bytes in all to INTO, which has *AT; the number that were taken. */
static size_t fill(uint8_t *into, uint8_t *at, size_t wanted, const uint8_t *bytes, size_t length)
{
    size_t taken = wanted - *at < length ? wanted - *at : length;

    memcpy(into + *at, bytes, taken);
    *at = (uint8_t)(*at + taken);
    return taken;
}

/* The header of a handshake message is there. */
static int begin_message(struct hello_scan *scan)
{
    const uint8_t *length = scan->message + 1;
    uint32_t body = (uint32_t)length[0] << 16 | (uint32_t)length[1] << 8 | length[2];

    scan->message_at = 0;
    scan->message_left = body;
    if (scan->message[0] != CLIENT_HELLO)
        return 0;
    if (body + HELLO_MESSAGE_HEADER > scan->longest)
        scan->longest = body + HELLO_MESSAGE_HEADER;
    return scan->longest > HELLO_LENGTH_MAX ? ERR_LENGTH : 0;
}

/* LENGTH bytes of a handshake record. */
static int put_messages(struct hello_scan *scan, const uint8_t *bytes, size_t length)
{
    while (length > 0) {
        size_t taken = scan->message_left < length ? scan->message_left : length;
        if (taken > 0)
            scan->message_left -= (uint32_t)taken;
        else
            taken = fill(scan->message, &scan->message_at, HELLO_MESSAGE_HEADER, bytes, length);
        if (scan->message_at == HELLO_MESSAGE_HEADER && begin_message(scan) != 0)
            return ERR_LENGTH;
        bytes += taken;
        length -= taken;
    }
    return 0;
}

/* LENGTH bytes, one at least, of a record's header; the number that were taken. */
static size_t put_header(struct hello_scan *scan, const uint8_t *bytes, size_t length)
{
    size_t taken = fill(scan->record, &scan->record_at, HELLO_RECORD_HEADER, bytes, length);

    if (scan->record[0] & SSL2_LENGTH)
        scan->over = true;
    if (scan->record_at == HELLO_RECORD_HEADER) {
        scan->record_left = (uint16_t)(scan->record[3] << 8 | scan->record[4]);
        scan->record_at = 0;
    }
    return taken;
}

int hello_scan_put(struct hello_scan *scan, const uint8_t *bytes, size_t length)
{
    while (length > 0 && !scan->over) {
        if (scan->record_left == 0) {
            size_t taken = put_header(scan, bytes, length);
            bytes += taken;
            length -= taken;
            continue;
        }
        size_t taken = scan->record_left < length ? scan->record_left : length;
        int err = scan->record[0] == RECORD_HANDSHAKE ? put_messages(scan, bytes, taken) : 0;
        if (err != 0)
            return err;
        scan->record_left = (uint16_t)(scan->record_left - taken);
        bytes += taken;
        length -= taken;
    }
    return 0;
}
