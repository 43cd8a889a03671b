/* Packing: a record is made for every handshake, so everything here writes forward into room that is known to
 * suffice, without printf and without a look at the clock or the time zone. */
#include <string.h>

#include "common/bytes.h"
#include "keyserver/audit/audit_members.h"

#define MS_PER_DAY UINT64_C(86400000)

static const char digits[] = "0123456789abcdef";

/* The room of a body, by its longest type: a use of which every text is full of bytes to be escaped. */
_Static_assert(AUDIT_BODY_MAX >=
                   6 * (AUDIT_EDGE_NAME_SIZE + AUDIT_KEY_NAME_SIZE + AUDIT_TEXT_SIZE) +
                       2 * (AUDIT_KEY_SIZE + AUDIT_TRACE_SIZE + CHANNEL_NAME_SIZE + AUDIT_DIGEST_SIZE) + 45 +
                       5 * AUDIT_WORD_SIZE + 16 * 14,
               "the longest use fits");
_Static_assert(AUDIT_BODY_MAX >= 6 * (AUDIT_EDGE_NAME_SIZE + AUDIT_TEXT_SIZE) + 16 * 14,
               "the longest damage fits");
_Static_assert(AUDIT_LINE_MAX >= AUDIT_SEQ_ROOM + AUDIT_BODY_MAX + AUDIT_TAIL_SIZE + 1, "and so does a line");

static char *put(char *at, const void *text, size_t length)
{
    memcpy(at, text, length);
    return at + length;
}

static char *put_number(char *at, uint64_t number)
{
    char text[20];
    size_t begin = sizeof text;
    do {
        text[--begin] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    return put(at, text + begin, sizeof text - begin);
}

/* WIDTH digits of NUMBER. */
static char *put_padded(char *at, unsigned number, unsigned width)
{
    for (unsigned i = width; i-- > 0; number /= 10)
        at[i] = (char)('0' + number % 10);
    return at + width;
}

/* Days since 1970 to a date of the proleptic Gregorian calendar; the year begins in March here, so that the
 * odd day is its last. */
static char *put_date(char *at, uint64_t days)
{
    uint64_t shifted = days + 719468; /* since the first of March of the year 0 */
    unsigned era = (unsigned)(shifted / 146097), of_era = (unsigned)(shifted % 146097);
    unsigned year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    unsigned of_year = of_era - (365 * year + year / 4 - year / 100);
    unsigned month = (5 * of_year + 2) / 153;
    unsigned day = of_year - (153 * month + 2) / 5 + 1;
    at = put_padded(at, era * 400 + year + (month >= 10), 4);
    *at++ = '-';
    at = put_padded(at, month < 10 ? month + 3 : month - 9, 2);
    *at++ = '-';
    return put_padded(at, day, 2);
}

static char *put_time(char *at, uint64_t time_ms)
{
    if (time_ms > AUDIT_TIME_MAX)
        time_ms = AUDIT_TIME_MAX;
    unsigned ms = (unsigned)(time_ms % MS_PER_DAY);
    at = put_date(at, time_ms / MS_PER_DAY);
    *at++ = 'T';
    at = put_padded(at, ms / 3600000, 2);
    *at++ = ':';
    at = put_padded(at, ms / 60000 % 60, 2);
    *at++ = ':';
    at = put_padded(at, ms / 1000 % 60, 2);
    *at++ = '.';
    at = put_padded(at, ms % 1000, 3);
    *at++ = 'Z';
    return at;
}

char *audit_time_text(uint64_t time_ms, char out[static AUDIT_TIME_SIZE])
{
    *put_time(out, time_ms) = 0;
    return out;
}

/* Not hex_encode(): that takes the same time whatever the bytes, and ten times as long. */
static char *put_hex(char *at, const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        *at++ = digits[bytes[i] >> 4];
        *at++ = digits[bytes[i] & 15];
    }
    return at;
}

static char *put_text(char *at, const char *text, size_t size)
{
    for (size_t i = 0; i < size && text[i] != 0; i++) {
        uint8_t byte = (uint8_t)text[i];
        if (byte >= 0x20 && byte < 0x7f && byte != '"' && byte != '\\') {
            *at++ = text[i];
            continue;
        }
        at = put(at, "\\u00", 4);
        at = put_hex(at, &byte, 1);
    }
    return at;
}

/* A word is ours; what is none is made one rather than left to break the line. */
static char *put_word(char *at, const char *word)
{
    for (size_t i = 0; i < AUDIT_WORD_SIZE - 1 && word[i] != 0; i++) {
        bool good = (word[i] >= 'a' && word[i] <= 'z') || (word[i] >= '0' && word[i] <= '9') ||
                    word[i] == '_' || word[i] == '.' || word[i] == '-';
        *at++ = good ? word[i] : '_';
    }
    return at;
}

static char *put_base64(char *at, const uint8_t *bytes, size_t size)
{
    base64_encode(at, bytes, size);
    return at + (size + 2) / 3 * 4;
}

static uint64_t number_at(const void *field)
{
    uint64_t number;
    memcpy(&number, field, sizeof number);
    return number;
}

static char *put_result(char *at, const void *field)
{
    enum audit_result result;
    memcpy(&result, field, sizeof result);
    const char *name = audit_result_name(result);
    return put(at, name, strlen(name));
}

/* Without a bit that says it, what is empty or zero: of texts the first byte says it. */
static bool is_absent(const struct audit_record *record, const struct audit_member *member,
                      const uint8_t *field)
{
    if (member->bit != 0)
        return (record->has & member->bit) == 0;
    size_t size = member->kind == MEMBER_WORD || member->kind == MEMBER_TEXT ? 1 : member->size;
    for (size_t i = 0; i < size; i++)
        if (field[i] != 0)
            return false;
    return true;
}

static char *put_value(char *at, const struct audit_member *member, const uint8_t *field)
{
    switch ((enum audit_member_kind)member->kind) {
    case MEMBER_NUMBER:
        return put_number(at, number_at(field)); /* the only one without a closing quote */
    case MEMBER_TIME:
        at = put_time(at, number_at(field));
        break;
    case MEMBER_WORD:
        at = put_word(at, (const char *)field);
        break;
    case MEMBER_TEXT:
        at = put_text(at, (const char *)field, member->size - 1u);
        break;
    case MEMBER_HEX:
        at = put_hex(at, field, member->size);
        break;
    case MEMBER_BASE64:
        at = put_base64(at, field, member->size);
        break;
    case MEMBER_RESULT:
        at = put_result(at, field);
        break;
    }
    *at++ = '"';
    return at;
}

size_t audit_record_pack(const struct audit_record *record, char out[static AUDIT_BODY_MAX])
{
    const struct audit_form *form = &audit_forms[record->type];
    char *at = put(out, ",\"time\":\"", 9);
    at = put_time(at, record->time_ms);
    *at++ = '"';
    at = put(at, form->head, form->head_length);
    for (const struct audit_member *member = form->members; member->head != NULL; member++) {
        const uint8_t *field = (const uint8_t *)record + member->offset;
        if (member->optional && is_absent(record, member, field))
            continue;
        at = put(at, member->head, member->head_length);
        at = put_value(at, member, field);
    }
    return (size_t)(at - out);
}

size_t audit_record_pack_seq(char out[static AUDIT_SEQ_ROOM], uint64_t seq)
{
    return (size_t)(put_number(put(out, "{\"seq\":", 7), seq) - out);
}

size_t audit_record_pack_hash(char out[static AUDIT_TAIL_SIZE], const uint8_t hash[static AUDIT_HASH_SIZE])
{
    char *at = put_hex(put(out, ",\"hash\":\"", 9), hash, AUDIT_HASH_SIZE);
    return (size_t)(put(at, "\"}", 2) - out);
}
