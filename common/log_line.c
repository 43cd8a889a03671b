#include "common/log_line.h"

#include <stdio.h>
#include <string.h>

#include "common/utf8.h"

#define CLOSING_ROOM 64 /* kept free for quotes, braces, the truncation mark and the line end */

/* A field while the format is read. */
struct field {
    char name[LOG_NAME_SIZE];
    size_t name_length;
    char value[LOG_VALUE_SIZE];
    size_t length;
    enum { IN_NAME, IN_VALUE, IN_QUOTES, IN_ESCAPE } state;
    bool quoted; /* the format put it in quotes */
    bool text;   /* not written as a number in JSON */
};

static void put_text(struct log_line *line, const char *text, size_t length)
{
    if (line->full || line->length + length > LOG_LINE_SIZE - CLOSING_ROOM) {
        line->full = true;
        return;
    }
    memcpy(line->text + line->length, text, length);
    line->length += length;
}

/* For what closes something: always fits, in the room kept for it. */
static void put_closing(struct log_line *line, const char *text)
{
    size_t length = strlen(text);
    memcpy(line->text + line->length, text, length);
    line->length += length;
}

static void put_escape(struct log_line *line, uint8_t byte)
{
    static const char short_names[128] = {
        ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't', ['"'] = '"', ['\\'] = '\\'};
    char text[8];
    int length;
    if (byte < sizeof short_names && short_names[byte] != 0)
        length = snprintf(text, sizeof text, "\\%c", short_names[byte]);
    else if (!line->json)
        length = snprintf(text, sizeof text, "\\x%02x", byte);
    else
        length = snprintf(text, sizeof text, "\\u%04x", byte < 0x80 ? byte : 0xfffdu);
    put_text(line, text, (size_t)length);
}

/* In JSON, a character that a reader would not see (RFC 8259, 7: in two halves from U+10000 on). */
static void put_point(struct log_line *line, uint32_t point)
{
    char text[16];
    int length = point < 0x10000 ? snprintf(text, sizeof text, "\\u%04x", (unsigned)point)
                                 : snprintf(text, sizeof text, "\\u%04x\\u%04x",
                                            0xd800u + (unsigned)((point - 0x10000) >> 10),
                                            0xdc00u + (unsigned)(point & 0x3ff));
    put_text(line, text, (size_t)length);
}

/* How many bytes at TEXT need no escape. */
static size_t plain_length(const char *text, size_t length)
{
    size_t i = 0;
    while (i < length && text[i] >= ' ' && text[i] < 0x7f && text[i] != '"' && text[i] != '\\')
        i++;
    return i;
}

/* A command quotes a quote as \' (shell.h), which is no escape of logfmt. It is written as it is, so that a
 * person can copy the command. */
static bool is_shells(const struct log_line *line, const char *text, size_t length)
{
    return !line->json && length >= 2 && text[0] == '\\' && text[1] == '\'';
}

/* The one character at TEXT, or a byte that is part of none; returns its length. */
static size_t put_character(struct log_line *line, const char *text, size_t left)
{
    uint32_t point;
    size_t length = utf8_read(text, left, &point);
    if (length > 1 && utf8_is_visible(point)) {
        put_text(line, text, length);
        return length;
    }
    if (length > 1 && line->json) {
        put_point(line, point);
        return length;
    }
    put_escape(line, (uint8_t)*text);
    return 1;
}

static void put_escaped(struct log_line *line, const char *value, size_t length)
{
    for (size_t i = 0; i < length;) {
        const char *at = value + i;
        size_t plain = is_shells(line, at, length - i) ? 2 : plain_length(at, length - i);
        if (plain > 0)
            put_text(line, at, plain);
        i += plain > 0 ? plain : put_character(line, at, length - i);
    }
}

/* A number as JSON writes it, with at least one digit and no superfluous zero in front. */
static bool is_json_number(const char *value, size_t length)
{
    size_t i = length > 0 && value[0] == '-' ? 1 : 0;
    if (i == length || length - i > 20)
        return false;
    if (value[i] == '0' && i + 1 < length && value[i + 1] != '.')
        return false;
    bool point = false;
    for (size_t start = i; i < length; i++) {
        bool digit = value[i] >= '0' && value[i] <= '9';
        if (!digit && (value[i] != '.' || point || i == start || i + 1 == length))
            return false;
        point = point || !digit;
    }
    return true;
}

static bool needs_quotes(const char *value, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        char c = value[i];
        if (c <= ' ' || c >= 0x7f || c == '"' || c == '\\' || c == '=')
            return true;
    }
    return false;
}

/* TEXT: not a number; QUOTED: the format says so. */
static void put_value(struct log_line *line, const char *value, size_t length, bool text, bool quoted)
{
    bool bare = line->json ? !text && is_json_number(value, length) : !quoted && !needs_quotes(value, length);
    if (bare) {
        put_text(line, value, length);
        return;
    }
    put_text(line, "\"", 1);
    put_escaped(line, value, length);
    put_closing(line, "\"");
}

/* A field is begun only where its name and a shortest value fit, so that a cut line stays well-formed. */
static bool put_name(struct log_line *line, const char *name, size_t length)
{
    if (line->full || line->length + length + 32 > LOG_LINE_SIZE - CLOSING_ROOM) {
        line->full = true;
        return false;
    }
    if (line->begun)
        put_text(line, line->json ? "," : " ", 1);
    line->begun = true;
    if (line->json)
        put_text(line, "\"", 1);
    put_text(line, name, length);
    put_text(line, line->json ? "\":" : "=", line->json ? 2 : 1);
    return true;
}

static void end_field(struct log_line *line, struct field *field)
{
    if (field->name_length > 0 && put_name(line, field->name, field->name_length))
        put_value(line, field->value, field->length, field->text, field->quoted);
    field->name_length = 0;
    field->length = 0;
    field->state = IN_NAME;
    field->quoted = false;
    field->text = false;
}

static bool may_stand_in_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == '-';
}

static void add_to_name(struct field *field, char c)
{
    if (field->name_length < sizeof field->name)
        field->name[field->name_length++] = may_stand_in_name(c) ? c : '_';
}

static void add_to_value(struct log_line *line, struct field *field, const char *text, size_t length)
{
    size_t room = sizeof field->value - field->length;
    if (length > room) {
        line->cut = true;
        length = room;
    }
    memcpy(field->value + field->length, text, length);
    field->length += length;
}

/* One character of the format itself, which alone decides the structure. */
static void read_character(struct log_line *line, struct field *field, char c)
{
    if (field->state == IN_ESCAPE) {
        field->state = IN_QUOTES;
        add_to_value(line, field, &c, 1);
    } else if (field->state == IN_QUOTES && c == '\\') {
        field->state = IN_ESCAPE;
    } else if (field->state == IN_QUOTES && c == '"') {
        field->state = IN_VALUE;
    } else if (field->state == IN_QUOTES) {
        add_to_value(line, field, &c, 1);
    } else if (c == ' ') {
        end_field(line, field);
    } else if (field->state == IN_NAME && c == '=') {
        field->state = IN_VALUE;
    } else if (field->state == IN_NAME) {
        add_to_name(field, c);
    } else if (c == '"' && field->length == 0) {
        field->state = IN_QUOTES;
        field->quoted = true;
        field->text = true;
    } else {
        add_to_value(line, field, &c, 1);
    }
}

/* The text of an argument: part of a value, or whole fields where a name is expected. */
static void read_argument(struct log_line *line, struct field *field, const char *text, size_t length,
                          bool is_text)
{
    if (field->state != IN_NAME) {
        field->text = field->text || is_text;
        add_to_value(line, field, text, length);
        return;
    }
    for (size_t i = 0; i < length; i++)
        read_character(line, field, text[i]);
}

/* One conversion of the format, taken apart. */
struct conversion {
    char text[32]; /* "%08lx", for snprintf; without the stars, which are filled in */
    size_t length;
    int precision;  /* -1 when none was given */
    unsigned longs; /* how many 'l'; 'z', 'j' and 't' count as 2: all are 64 bits wide here */
    char kind;      /* the last letter, 0 when the format ends too early */
};
_Static_assert(sizeof(size_t) <= sizeof(long long) && sizeof(intmax_t) == sizeof(long long),
               "one 64-bit type for every long conversion");

static void add_number(struct conversion *c, int number)
{
    int length = snprintf(c->text + c->length, sizeof c->text - c->length, "%d", number);
    if (length > 0)
        c->length += (size_t)length;
}

/* Reads the conversion at AT, just after '%'; returns where it ends. */
static const char *read_conversion(struct conversion *c, const char *at, va_list *arguments)
{
    *c = (struct conversion){.text = "%", .length = 1, .precision = -1};
    for (; *at != 0; at++) {
        bool room = c->length + 16 < sizeof c->text;
        if (*at == '*') {
            int number = va_arg(*arguments, int);
            if (c->precision >= 0)
                c->precision = number;
            add_number(c, number);
        } else if (strchr("lzjt", *at) != NULL) {
            c->longs += *at == 'l' ? 1 : 2;
        } else if (strchr("-+ #0123456789.h", *at) != NULL) {
            if (*at == '.')
                c->precision = 0;
            else if (c->precision >= 0 && *at >= '0' && *at <= '9' && c->precision < 100000)
                c->precision = 10 * c->precision + (*at - '0');
            if (room && *at != 'h')
                c->text[c->length++] = *at;
        } else {
            c->kind = *at;
            return at + 1;
        }
    }
    return at;
}

static void read_string(struct log_line *line, struct field *field, const struct conversion *c,
                        const char *text)
{
    if (text == NULL)
        text = "(null)";
    size_t length = c->precision < 0 ? strlen(text) : strnlen(text, (size_t)c->precision);
    read_argument(line, field, text, length, true);
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored                                                                               \
    "-Wformat-nonliteral" /* the conversion was checked where log_event was called */
static void read_number(struct log_line *line, struct field *field, struct conversion *c, va_list *arguments)
{
    char text[128];
    int length;
    bool is_double = strchr("fegFEG", c->kind) != NULL;
    bool is_signed = strchr("di", c->kind) != NULL;
    const char *suffix = is_double || c->kind == 'p' ? "" : "ll";
    snprintf(c->text + c->length, sizeof c->text - c->length, "%s%c", suffix, c->kind);
    if (is_double)
        length = snprintf(text, sizeof text, c->text, va_arg(*arguments, double));
    else if (c->kind == 'p')
        length = snprintf(text, sizeof text, c->text, va_arg(*arguments, void *));
    else if (is_signed)
        length = snprintf(text, sizeof text, c->text,
                          c->longs > 1   ? va_arg(*arguments, long long)
                          : c->longs > 0 ? (long long)va_arg(*arguments, long)
                                         : (long long)va_arg(*arguments, int));
    else
        length = snprintf(text, sizeof text, c->text,
                          c->longs > 1   ? va_arg(*arguments, unsigned long long)
                          : c->longs > 0 ? (unsigned long long)va_arg(*arguments, unsigned long)
                                         : (unsigned long long)va_arg(*arguments, unsigned));
    bool is_text = !is_double && !is_signed && c->kind != 'u';
    size_t most = sizeof text - 1;
    if (length > 0)
        read_argument(line, field, text, (size_t)length < most ? (size_t)length : most, is_text);
}
#pragma GCC diagnostic pop

static void read_value(struct log_line *line, struct field *field, struct conversion *c, va_list *arguments)
{
    if (c->kind == 's') {
        read_string(line, field, c, va_arg(*arguments, const char *));
    } else if (c->kind == 'c') {
        char character = (char)va_arg(*arguments, int);
        read_argument(line, field, &character, 1, true);
    } else if (c->kind == '%') {
        read_argument(line, field, "%", 1, true);
    } else if (c->kind != 0) {
        read_number(line, field, c, arguments);
    }
}

void log_line_fields(struct log_line *line, const char *format, va_list arguments)
{
    struct field field UNINITIALIZED;
    struct conversion conversion;
    field.name_length = 0;
    end_field(line, &field);
    va_list copy;
    va_copy(copy, arguments);
    for (const char *at = format; *at != 0;) {
        if (*at == '%') {
            at = read_conversion(&conversion, at + 1, &copy);
            read_value(line, &field, &conversion, &copy);
        } else {
            read_character(line, &field, *at++);
        }
    }
    va_end(copy);
    end_field(line, &field);
}

static void put_named(struct log_line *line, const char *name, const char *value, bool text)
{
    size_t length = strlen(value);
    line->cut = line->cut || length > LOG_VALUE_SIZE;
    if (put_name(line, name, strlen(name)))
        put_value(line, value, length < LOG_VALUE_SIZE ? length : LOG_VALUE_SIZE, text, false);
}

void log_line_field(struct log_line *line, const char *name, const char *value)
{
    put_named(line, name, value, true);
}

void log_line_count(struct log_line *line, const char *name, uint64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    put_named(line, name, text, false);
}

void log_line_head(struct log_line *line, const char *name, const char *value)
{
    if (line->json) {
        log_line_field(line, name, value);
        return;
    }
    if (line->begun)
        put_text(line, " ", 1);
    line->begun = true;
    put_escaped(line, value, strlen(value));
}

void log_line_start(struct log_line *line, bool json, const char *prefix)
{
    line->length = 0;
    line->json = json;
    line->begun = false;
    line->full = false;
    line->cut = false;
    put_text(line, prefix, strlen(prefix));
    if (json)
        put_text(line, "{", 1);
}

size_t log_line_finish(struct log_line *line)
{
    if (line->full || line->cut)
        put_closing(line, line->json ? ",\"truncated\":true" : " truncated=yes");
    put_closing(line, line->json ? "}\n" : "\n");
    return line->length;
}
