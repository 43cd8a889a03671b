/* Parsing: the inverse of audit_pack.c to the byte, and nothing else. */
#include <string.h>

#include "common/bytes.h"
#include "keyserver/audit/audit_members.h"

/* Forward over the line; every take_x says whether it was there. */
struct cursor {
    const char *at, *end;
};

static bool take_literal(struct cursor *c, const char *text, size_t length)
{
    if ((size_t)(c->end - c->at) < length || memcmp(c->at, text, length) != 0)
        return false;
    c->at += length;
    return true;
}

static bool take_number(struct cursor *c, uint64_t *out)
{
    const char *begin = c->at;
    uint64_t number = 0;
    for (; c->at < c->end && *c->at >= '0' && *c->at <= '9'; c->at++) {
        uint64_t digit = (uint64_t)(*c->at - '0');
        if (number > (UINT64_MAX - digit) / 10)
            return false;
        number = 10 * number + digit;
    }
    *out = number;
    return c->at > begin && (*begin != '0' || c->at == begin + 1);
}

static int hex_value(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

static bool take_hex(struct cursor *c, uint8_t *out, size_t size)
{
    if ((size_t)(c->end - c->at) < 2 * size)
        return false;
    for (size_t i = 0; i < size; i++, c->at += 2) {
        int high = hex_value(c->at[0]), low = hex_value(c->at[1]);
        if (high < 0 || low < 0)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static bool take_base64(struct cursor *c, uint8_t *out, size_t size)
{
    char text[4 * ((AUDIT_SIGNATURE_SIZE + 2) / 3) + 1];
    size_t length = (size + 2) / 3 * 4;
    if ((size_t)(c->end - c->at) < length)
        return false;
    memcpy(text, c->at, length);
    text[length] = 0;
    c->at += length;
    return base64_decode(out, size, text) == 0;
}

/* WIDTH digits. */
static unsigned padded(const char *text, unsigned width, bool *good)
{
    unsigned number = 0;
    for (unsigned i = 0; i < width; i++) {
        *good = *good && text[i] >= '0' && text[i] <= '9';
        number = 10 * number + (unsigned)(text[i] - '0');
    }
    return number;
}

/* Days from 1970 to a date; see put_date() in audit_pack.c. */
static uint64_t days_of(unsigned year, unsigned month, unsigned day)
{
    unsigned shifted = month > 2 ? month - 3 : month + 9, from_march = year - (month <= 2);
    unsigned era = from_march / 400, of_era = from_march % 400;
    unsigned of_year = (153 * shifted + 2) / 5 + day - 1;
    return (uint64_t)era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static bool take_time(struct cursor *c, uint64_t *out)
{
    char again[AUDIT_TIME_SIZE];
    const char *at = c->at;
    bool good = (size_t)(c->end - at) >= AUDIT_TIME_SIZE - 1;
    if (!good)
        return false;
    unsigned year = padded(at, 4, &good), month = padded(at + 5, 2, &good), day = padded(at + 8, 2, &good);
    unsigned hour = padded(at + 11, 2, &good), minute = padded(at + 14, 2, &good);
    unsigned second = padded(at + 17, 2, &good), ms = padded(at + 20, 3, &good);
    if (!good || year < 1970 || month < 1 || month > 12 || day < 1)
        return false;
    *out = ((days_of(year, month, day) * 24 + hour) * 60 + minute) * 60000 + second * UINT64_C(1000) + ms;
    audit_time_text(*out, again); /* no 30th of February, no hour 24, no other separator */
    return take_literal(c, again, sizeof again - 1);
}

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-';
}

static bool take_word(struct cursor *c, char *out)
{
    size_t length = 0;
    while (c->at < c->end && is_word(*c->at) && length < AUDIT_WORD_SIZE - 1)
        out[length++] = *c->at++;
    out[length] = 0;
    return length > 0;
}

/* One character of a text, escaped where it must be and only there. */
static bool take_character(struct cursor *c, char *out)
{
    uint8_t byte = (uint8_t)*c->at;
    if (byte != '\\') {
        *out = *c->at++;
        return byte >= 0x20 && byte < 0x7f;
    }
    if (!take_literal(c, "\\u00", 4) || !take_hex(c, &byte, 1))
        return false;
    *out = (char)byte;
    return byte != 0 && (byte < 0x20 || byte >= 0x7f || byte == '"' || byte == '\\');
}

static bool take_text(struct cursor *c, char *out, size_t size)
{
    size_t length = 0;
    while (c->at < c->end && *c->at != '"') {
        if (length + 1 >= size || !take_character(c, &out[length]))
            return false;
        length++;
    }
    out[length] = 0;
    return length > 0;
}

static bool take_result(struct cursor *c, enum audit_result *out)
{
    char name[AUDIT_WORD_SIZE];
    return take_word(c, name) && audit_result_parse(name, out) == 0;
}

static bool take_value(struct cursor *c, const struct audit_member *member, void *field)
{
    switch ((enum audit_member_kind)member->kind) {
    case MEMBER_NUMBER:
        return take_number(c, field);
    case MEMBER_TIME:
        return take_time(c, field) && take_literal(c, "\"", 1);
    case MEMBER_WORD:
        return take_word(c, field) && take_literal(c, "\"", 1);
    case MEMBER_TEXT:
        return take_text(c, field, member->size) && take_literal(c, "\"", 1);
    case MEMBER_HEX:
        return take_hex(c, field, member->size) && take_literal(c, "\"", 1);
    case MEMBER_BASE64:
        return take_base64(c, field, member->size) && take_literal(c, "\"", 1);
    case MEMBER_RESULT:
        return take_result(c, field) && take_literal(c, "\"", 1);
    }
    return false;
}

static bool is_zero(const uint8_t *bytes, size_t size)
{
    uint8_t any = 0;
    for (size_t i = 0; i < size; i++)
        any |= bytes[i];
    return any == 0;
}

static bool take_members(struct cursor *c, struct audit_record *out)
{
    const struct audit_member *member = audit_forms[out->type].members;
    for (; member->head != NULL; member++) {
        uint8_t *field = (uint8_t *)out + member->offset;
        if (!take_literal(c, member->head, member->head_length)) {
            if (member->optional)
                continue;
            return false;
        }
        out->has |= member->bit;
        if (!take_value(c, member, field))
            return false;
        if (member->optional && member->bit == 0 && is_zero(field, member->size))
            return false;
    }
    return true;
}

static bool take_type(struct cursor *c, enum audit_type *out)
{
    for (unsigned i = 1; i < AUDIT_TYPES; i++) {
        if (take_literal(c, audit_forms[i].head, audit_forms[i].head_length)) {
            *out = (enum audit_type)i;
            return true;
        }
    }
    return false;
}

/* The head of a file in another format may have other members, too. */
static bool is_other_format(struct cursor c)
{
    uint64_t format;
    return take_literal(&c, ",\"format\":", 10) && take_number(&c, &format) &&
           (format < AUDIT_FORMAT_FIRST || format > AUDIT_FORMAT);
}

int audit_record_parse(struct audit_record *out, const char *line, size_t length)
{
    struct cursor c = {line, line + length};
    memset(out, 0, sizeof *out);
    if (!take_literal(&c, "{\"seq\":", 7) || !take_number(&c, &out->seq) || out->seq < 1 ||
        out->seq > AUDIT_SEQ_MAX || !take_literal(&c, ",\"time\":\"", 9) || !take_time(&c, &out->time_ms) ||
        !take_literal(&c, "\"", 1) || !take_type(&c, &out->type))
        return ERR_FORMAT;
    if (out->type == AUDIT_SEGMENT && is_other_format(c))
        return ERR_UNSUPPORTED;
    if (!take_members(&c, out) || !take_literal(&c, ",\"hash\":\"", 9) ||
        !take_hex(&c, out->hash, sizeof out->hash) || !take_literal(&c, "\"}", 2) || c.at != c.end)
        return ERR_FORMAT;
    return 0;
}
