#include "common/config_text.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define VARIABLE_MAX 128

enum token { TOKEN_NONE, TOKEN_WORD, TOKEN_STRING, TOKEN_EQUAL, TOKEN_OTHER };

struct word {
    const char *at; /* in the text */
    size_t length;
    unsigned line;
};

struct scan {
    char *at;
    char *end; /* the terminating zero */
    const char *file;
    struct fault *fault;
    unsigned line;
    unsigned open[CONFIG_TEXT_DEPTH_MAX]; /* lines of the braces that wait to be closed */
    unsigned depth;
    enum token last;
    struct word word; /* the last word, when `last` says so */
    struct word head; /* the first of the adjacent words and strings up to here; at NULL = a string */
    struct config_places *places;
};

static int fault_at(const struct scan *s, unsigned line, const char *what)
{
    return fault_set(s->fault, ERR_CONFIG, "%s:%u: %s", s->file, line, what);
}

static int fault_here(const struct scan *s, const char *what)
{
    return fault_at(s, s->line, what);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool ends_word(char c)
{
    return c == 0 || is_blank(c) || strchr("#\"'={}()+,*", c) != NULL;
}

static bool begins_comment(const char *at)
{
    return at[0] == '#' || (at[0] == '/' && (at[1] == '/' || at[1] == '*'));
}

static int check_bytes(struct scan *s)
{
    for (const char *at = s->at; at < s->end; at++) {
        unsigned char c = (unsigned char)*at;
        if (c == '\n')
            s->line++;
        else if ((c < 0x20 && c != '\t' && c != '\r') || c == 0x7f)
            return fault_set(s->fault, ERR_CONFIG,
                             "%s:%u: byte 0x%02x is no text; is this a configuration file?", s->file, s->line,
                             c);
    }
    s->line = 1;
    return 0;
}

static void blank_line(struct scan *s)
{
    while (s->at < s->end && *s->at != '\n')
        *s->at++ = ' ';
}

static int blank_block(struct scan *s)
{
    unsigned opened = s->line;
    char *close = strstr(s->at + 2, "*/");
    if (close == NULL)
        return fault_at(s, opened, "this comment is never closed; add the missing */");
    for (; s->at < close + 2; s->at++) {
        if (*s->at == '\n')
            s->line++;
        else
            *s->at = ' ';
    }
    return 0;
}

static int scan_comment(struct scan *s)
{
    if (s->at[0] == '/' && s->at[1] == '*')
        return blank_block(s);
    blank_line(s);
    return 0;
}

/* ${NAME} or ${NAME:-default}: libconfuse takes an unset variable for an empty text. */
static int scan_variable(struct scan *s)
{
    char name[VARIABLE_MAX];
    const char *start = s->at + 2;
    size_t length = strspn(start, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");
    const char *after = start + length;
    bool has_default = after[0] == ':' && after[1] == '-';
    const char *close = has_default ? after + strcspn(after, "}\"\n") : after;
    if (length == 0 || length >= sizeof name || *close != '}')
        return fault_here(
            s, "'${' begins a variable such as ${NAME} or ${NAME:-default}; write \\${ for the text");
    memcpy(name, start, length);
    name[length] = 0;
    if (!has_default && getenv(name) == NULL)
        return fault_set(s->fault, ERR_CONFIG,
                         "%s:%u: the environment has no variable %s; set it, or write ${%s:-default}",
                         s->file, s->line, name, name);
    s->at += (close - s->at) + 1;
    return 0;
}

static int scan_escape(struct scan *s, char quote)
{
    char c = s->at[1];
    if (c == 0 || c == '\n')
        return fault_here(s, "this text is not closed on its line; add the missing quote");
    if (quote == '"' && (c == 'x' || (c >= '0' && c <= '9')))
        return fault_here(s, "numbers after a backslash are not taken; write the character itself");
    s->at += 2;
    return 0;
}

static int scan_string(struct scan *s)
{
    char quote = *s->at++;
    while (*s->at != quote) {
        int err = 0;
        if (*s->at == 0 || *s->at == '\n')
            return fault_here(s, "this text is not closed on its line; add the missing quote");
        if (*s->at == '\\')
            err = scan_escape(s, quote);
        else if (quote == '"' && s->at[0] == '$' && s->at[1] == '{')
            err = scan_variable(s);
        else
            s->at++;
        if (err != 0)
            return err;
    }
    s->at++;
    if (s->last != TOKEN_WORD)
        s->head = (struct word){.at = NULL};
    s->last = s->last == TOKEN_EQUAL ? TOKEN_OTHER : TOKEN_STRING;
    return 0;
}

static int scan_word(struct scan *s)
{
    struct word word = {.at = s->at, .line = s->line};
    while (!ends_word(*s->at)) {
        if (s->at[0] == '$' && s->at[1] == '{')
            return fault_here(s, "a variable must stand in quotes, like \"${NAME}\"");
        if (s->at[0] == '|')
            return fault_here(s, "a value with '|' must stand in quotes");
        if (s->at[0] == '/' && (ends_word(s->at[1]) || s->at[1] == '/'))
            return fault_here(s, "a value with slashes must stand in quotes, like \"/etc/keyless\"");
        s->at++;
    }
    word.length = (size_t)(s->at - word.at);
    s->word = word;
    if (s->last != TOKEN_WORD)
        s->head = word;
    s->last = s->last == TOKEN_EQUAL ? TOKEN_OTHER : TOKEN_WORD; /* a value completes its assignment */
    return 0;
}

static void skip_blanks(struct scan *s)
{
    for (; is_blank(*s->at); s->at++)
        if (*s->at == '\n')
            s->line++;
}

/* libconfuse leaks the arguments of a call it cannot parse, so its form is checked here. */
static int scan_call(struct scan *s)
{
    static const char form[] = "parentheses belong to include(\"file\") only; put other values into quotes";
    if (s->last != TOKEN_WORD || s->word.length != 7 || memcmp(s->word.at, "include", 7) != 0)
        return fault_here(s, form);
    s->at++;
    skip_blanks(s);
    if (*s->at != '"' && *s->at != '\'')
        return fault_here(s, form);
    int err = scan_string(s);
    if (err != 0)
        return err;
    skip_blanks(s);
    if (*s->at != ')')
        return fault_here(s, form);
    s->at++;
    s->last = TOKEN_OTHER;
    return 0;
}

static int note_place(struct scan *s, const struct word *word, bool adds)
{
    const struct config_place place = {
        .name = word->at, .length = word->length, .line = word->line, .depth = s->depth, .adds = adds};
    int err = config_places_add(s->places, &place);
    return err == 0 ? 0 : fault_set(s->fault, err, "%s: %s", s->file, err_string(err));
}

/* The word before the sign is an option's name. Whether that option exists is checked later. */
static int scan_assignment(struct scan *s, size_t length)
{
    int err = s->last == TOKEN_WORD ? note_place(s, &s->word, length > 1) : 0;
    s->at += length;
    s->last = TOKEN_EQUAL;
    return err;
}

static int scan_brace(struct scan *s)
{
    int err = 0;
    if (*s->at == '{' && s->depth == CONFIG_TEXT_DEPTH_MAX)
        return fault_here(s, "braces are nested too deeply");
    if (*s->at == '}' && s->depth == 0)
        return fault_here(s, "this '}' closes nothing; remove it");
    if (*s->at == '{' && (s->last == TOKEN_WORD || s->last == TOKEN_STRING) && s->head.at != NULL)
        err = note_place(s, &s->head, false);
    if (*s->at == '{')
        s->open[s->depth++] = s->line;
    else
        s->depth--;
    s->at++;
    s->last = TOKEN_OTHER;
    return err;
}

static int scan_token(struct scan *s)
{
    switch (*s->at) {
    case '"':
    case '\'':
        return scan_string(s);
    case '{':
    case '}':
        return scan_brace(s);
    case '(':
        return scan_call(s);
    case ')':
        return fault_here(s, "this ')' closes nothing; remove it");
    case '*':
        return fault_here(s, "a value with '*' must stand in quotes, like \"*:443\"");
    case '+':
        if (s->at[1] != '=')
            return fault_here(s, "a value with '+' must stand in quotes");
        return scan_assignment(s, 2);
    case '=':
        return scan_assignment(s, 1);
    case ',':
        s->at++;
        s->last = TOKEN_OTHER;
        return 0;
    default:
        return scan_word(s);
    }
}

int config_text_prepare(char *text, size_t length, const char *file, struct config_places *places,
                        struct fault *fault)
{
    struct scan s = {
        .at = text, .end = text + length, .file = file, .fault = fault, .line = 1, .places = places};
    int err = check_bytes(&s);
    while (err == 0 && s.at < s.end) {
        if (is_blank(*s.at))
            skip_blanks(&s);
        else if (begins_comment(s.at))
            err = scan_comment(&s);
        else
            err = scan_token(&s);
    }
    if (err == 0 && s.depth > 0)
        err = fault_at(&s, s.open[s.depth - 1], "this '{' is never closed; add the missing '}'");
    return err;
}
