/* Any bytes are a request, the beginning of one, or are refused; what is refused whole is never accepted in
 * pieces. */
#include <stdlib.h>
#include <string.h>

#include "common/admin_http.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static const struct admin_route routes[] = {{"/", "", NULL}, {"/a", "", NULL}, {"/b/", "", NULL}, {0}};

static int parse(const uint8_t *bytes, size_t length, bool local)
{
    char text[ADMIN_REQUEST_MAX + 1];
    const char *path = NULL;
    const char *rest = NULL;
    memcpy(text, bytes, length);
    int status = admin_http_parse(text, length, local, &path);
    if (status != 200)
        return status;
    must(path >= text && path < text + length && path[0] == '/' && strpbrk(path, "?# \r\n") == NULL);
    const struct admin_route *route = admin_http_route(routes, path, &rest);
    must(route == NULL || (rest >= path && rest <= path + strlen(path)));
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    if (length > ADMIN_REQUEST_MAX)
        length = ADMIN_REQUEST_MAX;
    int whole = parse(bytes, length, false);
    int local = parse(bytes, length, true);
    must(whole == 0 || whole == 200 || whole == 400 || whole == 403 || whole == 405 || whole == 431);
    must(whole == local || whole == 403);
    for (size_t piece = 0; piece < length && piece < 256; piece++) {
        int part = parse(bytes, piece, false);
        if (part != 0) {
            must(part == whole);
            break;
        }
    }
    return 0;
}
