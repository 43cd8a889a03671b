#include "common/admin_http.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>

static const struct {
    int status;
    const char *reason;
} reasons[] = {
    {200, "OK"},
    {400, "Bad Request"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {503, "Service Unavailable"},
};

const char *admin_http_reason(int status)
{
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++)
        if (reasons[i].status == status)
            return reasons[i].reason;
    return "Unknown";
}

/* Bytes of the head with its empty line, or 0 when that has not come yet. */
static size_t head_length(const char *text, size_t length)
{
    const char *full = memmem(text, length, "\r\n\r\n", 4);
    const char *bare = memmem(text, length, "\n\n", 2);
    if (full != NULL && (bare == NULL || full < bare))
        return (size_t)(full - text) + 4;
    return bare == NULL ? 0 : (size_t)(bare - text) + 2;
}

/* Whether TEXT is visible ASCII, with blanks where BLANKS says so. */
static bool is_visible(const char *text, bool blanks)
{
    for (; *text != 0; text++) {
        bool blank = *text == ' ' || *text == '\t';
        if (blank ? !blanks : (unsigned char)*text < 0x21 || *text == 0x7f)
            return false;
    }
    return true;
}

/* Whether the value of a Host field names this machine, by a name no DNS answer can change. */
static bool is_this_machine(char *host)
{
    struct in_addr v4;
    char *port = host[0] == '[' ? strchr(host, ']') : strchr(host, ':');
    if (host[0] == '[' && port != NULL)
        port++;
    if (port != NULL && *port != 0) {
        if (*port != ':' || strspn(port + 1, "0123456789") != strlen(port + 1))
            return false;
        *port = 0;
    }
    if (strcasecmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0)
        return true;
    return inet_pton(AF_INET, host, &v4) == 1 && ntohl(v4.s_addr) >> IN_CLASSA_NSHIFT == IN_LOOPBACKNET;
}

/* The value of LINE when its field name is NAME, without blanks around it; NULL when it is another. */
static char *find_value(char *line, const char *name)
{
    size_t length = strlen(name);
    if (strncasecmp(line, name, length) != 0 || line[length] != ':')
        return NULL;
    char *value = line + length + 1;
    value += strspn(value, " \t");
    size_t end = strlen(value);
    while (end > 0 && (value[end - 1] == ' ' || value[end - 1] == '\t'))
        value[--end] = 0;
    return value;
}

static int parse_fields(char *rest, bool local)
{
    bool have_host = false;
    for (char *line; (line = strsep(&rest, "\n")) != NULL && line[0] != 0;) {
        char *colon = strchr(line, ':');
        if (colon == NULL || colon == line || line + strcspn(line, " \t") < colon || !is_visible(line, true))
            return 400;
        char *host = find_value(line, "Host");
        if (host == NULL)
            continue;
        if (have_host)
            return 400;
        have_host = true;
        if (!local && host[0] != 0 && !is_this_machine(host))
            return 403;
    }
    return 200;
}

/* METHOD SP target SP HTTP/1.x */
static int parse_line(char *line, const char **path)
{
    char *method = strsep(&line, " ");
    char *target = strsep(&line, " ");
    if (line == NULL || method[0] == 0 || !is_visible(method, false) || !is_visible(target, false))
        return 400;
    if (strcmp(line, "HTTP/1.1") != 0 && strcmp(line, "HTTP/1.0") != 0)
        return 400;
    if (strcmp(method, "GET") != 0)
        return 405;
    if (target[0] != '/')
        return 400;
    target[strcspn(target, "?#")] = 0;
    *path = target;
    return 200;
}

/* Drops each '\r' before a '\n'; one elsewhere stays and is refused as invisible. */
static void join_line_ends(char *text)
{
    char *to = text;
    for (const char *from = text; *from != 0; from++)
        if (from[0] != '\r' || from[1] != '\n')
            *to++ = *from;
    *to = 0;
}

int admin_http_parse(char *text, size_t length, bool local, const char **path)
{
    size_t head = head_length(text, length);
    if (head == 0)
        return length >= ADMIN_REQUEST_MAX ? 431 : 0;
    if (head > ADMIN_REQUEST_MAX)
        return 431;
    if (memchr(text, 0, head) != NULL)
        return 400;
    text[head] = 0;
    join_line_ends(text);
    char *rest = text;
    int status = parse_line(strsep(&rest, "\n"), path);
    int fields = parse_fields(rest, local);
    return fields != 200 ? fields : status;
}

const struct admin_route *admin_http_route(const struct admin_route *routes, const char *path,
                                           const char **rest)
{
    for (; routes->path != NULL; routes++) {
        size_t length = strlen(routes->path);
        bool folder = length > 1 && routes->path[length - 1] == '/';
        if (strncmp(path, routes->path, length) != 0 || (!folder && path[length] != 0))
            continue;
        *rest = path + length;
        return routes;
    }
    return NULL;
}

int admin_http_head(struct buffer *out, int status, const char *content_type, size_t length)
{
    return buffer_printf(out,
                         "HTTP/1.1 %d %s\r\n"
                         "Content-Type: %s\r\n"
                         "Content-Length: %zu\r\n"
                         "Connection: close\r\n"
                         "Cache-Control: no-store\r\n"
                         "X-Content-Type-Options: nosniff\r\n"
                         "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; "
                         "base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n"
                         "%s\r\n",
                         status, admin_http_reason(status), content_type, length,
                         status == 405 ? "Allow: GET\r\n" : "");
}
