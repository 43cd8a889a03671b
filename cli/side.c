#include "cli/side.h"

#include <stdlib.h>

#include "common/config_text.h"
#include "edge/config/edge_config.h"
#include "keyserver/rules/server_config.h"

#define LOOK_MAX (1 << 20) /* bytes, the most a configuration may have */

/* No more of it is read than a configuration may have; what stands before a fault counts. */
static enum config_side side_by_options(const char *file, FILE *stream)
{
    struct config_places places = {.count = 0};
    char *text = malloc(LOOK_MAX + 1);
    if (text == NULL)
        return CONFIG_SIDE_UNKNOWN;
    size_t length = fread(text, 1, LOOK_MAX, stream);
    text[length] = 0;
    (void)!config_text_prepare(text, length, file, &places, NULL);
    enum config_side side = config_side_find(&places);
    config_places_clear(&places);
    free(text);
    return side;
}

static enum config_side side_by_reader(const char *file)
{
    struct server_config server;
    struct edge_config edge;
    if (server_config_load(&server, file, NULL) == 0) {
        server_config_clear(&server);
        return CONFIG_SIDE_SERVER;
    }
    if (edge_config_load(&edge, file, NULL) == 0) {
        edge_config_clear(&edge);
        return CONFIG_SIDE_EDGE;
    }
    return CONFIG_SIDE_UNKNOWN;
}

enum config_side side_find(const char *file, FILE *stream)
{
    enum config_side side = side_by_options(file, stream);
    return side != CONFIG_SIDE_UNKNOWN ? side : side_by_reader(file);
}
