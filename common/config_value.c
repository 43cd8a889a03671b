#include "common/config_value.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct unit {
    const char *name;
    uint64_t factor;
};

/* Largest first: the first that divides a value writes it. */
static const struct unit duration_units[] = {{"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}, {NULL, 0}};
static const struct unit size_units[] = {{"G", 1024 * 1024 * 1024},
                                         {"M", 1024 * 1024},
                                         {"k", 1024},
                                         {"", 1},
                                         {"g", 1024 * 1024 * 1024},
                                         {"m", 1024 * 1024},
                                         {"K", 1024}, /* read, and never written */
                                         {NULL, 0}};

static const char *const bool_words[][2] = {{"off", "on"}, {"no", "yes"}, {"false", "true"}};

static int parse_unsigned(const char *text, const char **end, uint64_t *out)
{
    char *after;
    if (*text < '0' || *text > '9')
        return ERR_FORMAT;
    errno = 0;
    *out = strtoull(text, &after, 10);
    *end = after;
    return errno == 0 ? 0 : ERR_LENGTH;
}

/* A number that overflows becomes the largest one, which the check of the bounds refuses with its own
 * message. */
static int parse_with_unit(const char *text, const struct unit *units, uint64_t *out)
{
    const char *suffix;
    int err = parse_unsigned(text, &suffix, out);
    if (err == ERR_FORMAT)
        return err;
    for (const struct unit *unit = units; unit->name != NULL; unit++) {
        if (strcmp(suffix, unit->name) != 0)
            continue;
        if (err != 0 || *out > INT64_MAX / unit->factor)
            *out = INT64_MAX;
        else
            *out *= unit->factor;
        return 0;
    }
    return ERR_FORMAT;
}

static int write_with_unit(uint64_t value, const struct unit *units, struct buffer *out)
{
    while (value % units->factor != 0)
        units++;
    return buffer_printf(out, "%" PRIu64 "%s", value / units->factor, units->name);
}

static int parse_bool(const char *text, int64_t *out)
{
    for (size_t i = 0; i < sizeof bool_words / sizeof bool_words[0]; i++) {
        for (int value = 0; value <= 1; value++) {
            if (strcasecmp(text, bool_words[i][value]) == 0) {
                *out = value;
                return 0;
            }
        }
    }
    return ERR_FORMAT;
}

static int parse_int(const char *text, int64_t *out)
{
    uint64_t magnitude;
    const char *end;
    bool negative = text[0] == '-';
    int err = parse_unsigned(text + negative, &end, &magnitude);
    if (err == ERR_FORMAT || *end != 0)
        return ERR_FORMAT;
    if (err != 0 || magnitude > INT64_MAX)
        magnitude = INT64_MAX;
    *out = negative ? -(int64_t)magnitude : (int64_t)magnitude;
    return 0;
}

static int parse_choice(const struct config_option *option, const char *text, int64_t *out)
{
    for (int i = 0; option->choices[i] != NULL; i++) {
        if (strcmp(text, option->choices[i]) == 0) {
            *out = i;
            return 0;
        }
    }
    return ERR_FORMAT;
}

/* The number TEXT stands for, whatever the bounds. */
static int parse_number(const struct config_option *option, const char *text, int64_t *out)
{
    uint64_t value;
    int err;
    switch (option->type) {
    case CONFIG_BOOL:
        return parse_bool(text, out);
    case CONFIG_INT:
        return parse_int(text, out);
    case CONFIG_CHOICE:
        return parse_choice(option, text, out);
    default:
        err = parse_with_unit(text, option->type == CONFIG_DURATION ? duration_units : size_units, &value);
        if (err == 0)
            *out = (int64_t)value;
        return err;
    }
}

/* Appends a bound in the form the option is written in. */
static int write_number(const struct config_option *option, int64_t value, struct buffer *out)
{
    if (option->type == CONFIG_DURATION)
        return write_with_unit((uint64_t)value, value == 0 ? duration_units + 2 : duration_units, out);
    if (option->type == CONFIG_SIZE)
        return write_with_unit((uint64_t)value, value == 0 ? size_units + 3 : size_units, out);
    return buffer_printf(out, "%" PRId64, value);
}

static int64_t upper_bound(const struct config_option *option)
{
    if (option->max != 0)
        return option->max;
    return option->type == CONFIG_INT ? INT_MAX : INT64_MAX - 1;
}

static int64_t lower_bound(const struct config_option *option)
{
    if (option->type == CONFIG_INT && option->max == 0 && option->min == 0)
        return INT_MIN;
    return option->min;
}

static int check_bounds(const struct config_option *option, const char *text, int64_t value,
                        struct fault *fault)
{
    if (option->type == CONFIG_BOOL || option->type == CONFIG_CHOICE)
        return 0;
    if (value >= lower_bound(option) && value <= upper_bound(option))
        return 0;
    struct buffer range;
    buffer_init(&range);
    int err = write_number(option, lower_bound(option), &range);
    if (err == 0)
        err = buffer_printf(&range, " to ");
    if (err == 0)
        err = write_number(option, upper_bound(option), &range);
    if (err == 0)
        err = fault_set(fault, ERR_CONFIG, "%s: %s is out of range; it may be %.*s", option->name, text,
                        (int)buffer_length(&range), (const char *)buffer_bytes(&range));
    buffer_clear(&range);
    return err;
}

static int explain_choice(const struct config_option *option, const char *text, struct fault *fault)
{
    struct buffer list;
    int err = 0;
    buffer_init(&list);
    for (size_t i = 0; option->choices[i] != NULL && err == 0; i++)
        err = buffer_printf(&list, "%s%s", i == 0 ? "" : ", ", option->choices[i]);
    if (err == 0)
        err = fault_set(fault, ERR_CONFIG, "%s: '%s' is not known; it may be %.*s", option->name, text,
                        (int)buffer_length(&list), (const char *)buffer_bytes(&list));
    buffer_clear(&list);
    return err;
}

static int explain_form(const struct config_option *option, const char *text, struct fault *fault)
{
    static const char *const forms[] = {
        [CONFIG_BOOL] = "neither on nor off; write on or off",
        [CONFIG_INT] = "not a number; write a whole number",
        [CONFIG_DURATION] = "not a duration; write a number with ms, s, m or h, like 500ms",
        [CONFIG_SIZE] = "not a size; write bytes, or a number with k, M or G, like 64k",
    };
    if (option->type == CONFIG_CHOICE)
        return explain_choice(option, text, fault);
    return fault_set(fault, ERR_CONFIG, "%s: '%s' is %s", option->name, text, forms[option->type]);
}

static bool is_text(enum config_type type)
{
    return type == CONFIG_STRING || type == CONFIG_PATH || type == CONFIG_STRINGS;
}

bool config_value_is_text(const char *text)
{
    for (; *text != 0; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return false;
    return true;
}

bool config_value_is_title(const char *text, size_t length)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-/";
    for (size_t i = 0; i < length; i++)
        if (memchr(allowed, text[i], sizeof allowed - 1) == NULL)
            return false;
    return length > 0 && length <= CONFIG_TITLE_MAX;
}

/* Typographic quotation marks and blanks, as editors and web pages make them: for libconfuse they are
 * letters, and no value is meant to begin with one. */
static bool begins_with_typography(const char *text)
{
    static const char *const marks[] = {
        "\xe2\x80\x98", "\xe2\x80\x99", "\xe2\x80\x9a", "\xe2\x80\x9b", /* single ones, U+2018 to U+201B */
        "\xe2\x80\x9c", "\xe2\x80\x9d", "\xe2\x80\x9e", "\xe2\x80\x9f", /* double ones, U+201C to U+201F */
        "\xc2\xab",     "\xc2\xbb",     "\xc2\xa0",                     /* U+00AB, U+00BB, no-break space */
    };
    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++)
        if (strncmp(text, marks[i], strlen(marks[i])) == 0)
            return true;
    return false;
}

static int check_text(const struct config_option *option, const char *text, struct fault *fault)
{
    int64_t choice;
    if (option->type != CONFIG_STRING && text[0] == 0)
        return fault_set(fault, ERR_CONFIG, "%s: the value is empty; leave the option out or fill it in",
                         option->name);
    if (option->type == CONFIG_PATH && strlen(text) >= PATH_MAX)
        return fault_set(fault, ERR_CONFIG, "%s: longer than a path can be (%d bytes)", option->name,
                         PATH_MAX - 1);
    if (!config_value_is_text(text))
        return fault_set(fault, ERR_CONFIG,
                         "%s: the value has a tab, line end or other control character; remove it",
                         option->name);
    if (begins_with_typography(text))
        return fault_set(fault, ERR_CONFIG,
                         "%s: '%s' begins with a typographic quotation mark or blank, which is a part of the "
                         "value; write plain quotation marks, like \"value\"",
                         option->name, text);
    if (option->choices != NULL && parse_choice(option, text, &choice) != 0)
        return explain_choice(option, text, fault);
    const char *instead = option->check == NULL ? NULL : option->check(text);
    if (instead != NULL)
        return fault_set(fault, ERR_CONFIG, "%s: '%s' is %s", option->name, text, instead);
    return 0;
}

int config_value_check(const struct config_option *option, const char *text, struct fault *fault)
{
    int64_t value;
    if (is_text(option->type))
        return check_text(option, text, fault);
    if (parse_number(option, text, &value) != 0)
        return explain_form(option, text, fault);
    return check_bounds(option, text, value, fault);
}

static int append(struct config_strings *list, const char *text)
{
    char **larger = realloc(list->item, (list->count + 1) * sizeof *larger);
    if (larger == NULL)
        return ERR_MEMORY;
    list->item = larger;
    list->item[list->count] = strdup(text);
    if (list->item[list->count] == NULL)
        return ERR_MEMORY;
    list->count++;
    return 0;
}

static int put_text(const struct config_option *option, void *field, const char *text)
{
    if (option->type == CONFIG_STRINGS)
        return append(field, text);
    char *copy = strdup(text);
    if (copy == NULL)
        return ERR_MEMORY;
    free(*(char **)field);
    *(char **)field = copy;
    return 0;
}

int config_value_put(const struct config_option *option, void *base, const char *text)
{
    void *field = (char *)base + option->offset;
    int64_t value;
    if (is_text(option->type))
        return put_text(option, field, text);
    if (parse_number(option, text, &value) != 0)
        return ERR_CONFIG;
    if (option->type == CONFIG_BOOL)
        *(bool *)field = value != 0;
    else if (option->type == CONFIG_INT || option->type == CONFIG_CHOICE)
        *(int *)field = (int)value;
    else
        *(uint64_t *)field = (uint64_t)value;
    return 0;
}

void config_value_clear(const struct config_option *option, void *base)
{
    void *field = (char *)base + option->offset;
    struct config_strings *list = field;
    switch (option->type) {
    case CONFIG_STRING:
    case CONFIG_PATH:
        free(*(char **)field);
        *(char **)field = NULL;
        break;
    case CONFIG_STRINGS:
        for (size_t i = 0; i < list->count; i++)
            free(list->item[i]);
        free(list->item);
        *list = (struct config_strings){0};
        break;
    case CONFIG_BOOL:
        *(bool *)field = false;
        break;
    case CONFIG_INT:
    case CONFIG_CHOICE:
        *(int *)field = 0;
        break;
    default:
        *(uint64_t *)field = 0;
    }
}

int config_value_quote(const char *text, struct buffer *out)
{
    if (!config_value_is_text(text))
        return ERR_FORMAT;
    int err = buffer_put(out, "\"", 1);
    for (; *text != 0 && err == 0; text++) {
        if (strchr("\"\\$", *text) != NULL)
            err = buffer_put(out, "\\", 1);
        if (err == 0)
            err = buffer_put(out, text, 1);
    }
    return err != 0 ? err : buffer_put(out, "\"", 1);
}

static int write_strings(const struct config_strings *list, struct buffer *out)
{
    int err = buffer_put(out, "{", 1);
    for (size_t i = 0; i < list->count && err == 0; i++) {
        if (i > 0)
            err = buffer_put(out, ", ", 2);
        if (err == 0)
            err = config_value_quote(list->item[i], out);
    }
    return err != 0 ? err : buffer_put(out, "}", 1);
}

int config_value_write(const struct config_option *option, const void *base, struct buffer *out)
{
    const void *field = (const char *)base + option->offset;
    const char *text;
    switch (option->type) {
    case CONFIG_STRING:
    case CONFIG_PATH:
        text = *(char *const *)field;
        return text == NULL ? 0 : config_value_quote(text, out);
    case CONFIG_STRINGS:
        return write_strings(field, out);
    case CONFIG_BOOL:
        return buffer_printf(out, "%s", bool_words[0][*(const bool *)field]);
    case CONFIG_INT:
        return buffer_printf(out, "%d", *(const int *)field);
    case CONFIG_CHOICE:
        return buffer_printf(out, "%s", option->choices[*(const int *)field]);
    default:
        return write_number(option, (int64_t) * (const uint64_t *)field, out);
    }
}
