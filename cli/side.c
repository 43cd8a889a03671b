#include "cli/side.h"

#include <stdlib.h>
#include <string.h>

#include "common/plain_file.h"
#include "edge/config/edge_config.h"
#include "keyserver/rules/server_config.h"

#define LOOK_MAX (1 << 20) /* bytes, the most a configuration may have */

static bool table_has(const struct config_option *table, const char *name, size_t length)
{
    for (; table->name != NULL; table++)
        if (strlen(table->name) == length && memcmp(table->name, name, length) == 0)
            return true;
    return false;
}

/* No more of it is read than a configuration may have. */
static enum side side_by_options(FILE *stream)
{
    int server = 0, edge = 0;
    char *text = malloc(LOOK_MAX + 1);
    if (text == NULL)
        return SIDE_UNKNOWN;
    text[fread(text, 1, LOOK_MAX, stream)] = 0;
    for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
        const char *word = line + strspn(line, " \t\r\n");
        size_t length = strspn(word, "abcdefghijklmnopqrstuvwxyz_");
        bool of_server = table_has(server_config_table, word, length);
        bool of_edge = table_has(edge_config_table, word, length);
        server += of_server && !of_edge;
        edge += of_edge && !of_server;
        line = word;
    }
    free(text);
    if (server == edge)
        return SIDE_UNKNOWN;
    return server > edge ? SIDE_SERVER : SIDE_EDGE;
}

static enum side side_by_table(const char *file)
{
    struct server_config server;
    struct edge_config edge;
    if (server_config_load(&server, file, NULL) == 0) {
        server_config_clear(&server);
        return SIDE_SERVER;
    }
    if (edge_config_load(&edge, file, NULL) == 0) {
        edge_config_clear(&edge);
        return SIDE_EDGE;
    }
    return SIDE_UNKNOWN;
}

enum side side_find(const char *file, FILE *stream)
{
    enum side side = side_by_table(file);
    return side != SIDE_UNKNOWN ? side : side_by_options(stream);
}

enum side side_of_file(const char *file)
{
    const char *why;
    FILE *stream = plain_file_open_stream(file, PLAIN_FILE_ONLY, &why);
    if (stream == NULL)
        return SIDE_UNKNOWN;
    enum side side = side_find(file, stream);
    fclose(stream);
    return side;
}
