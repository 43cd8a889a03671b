#include "common/config_places.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_SIZE 32

int config_places_add(struct config_places *places, const struct config_place *place)
{
    if (places->count == places->size) {
        size_t size = places->size == 0 ? FIRST_SIZE : 2 * places->size;
        struct config_place *item = reallocarray(places->item, size, sizeof *item);
        if (item == NULL)
            return ERR_MEMORY;
        places->item = item;
        places->size = size;
    }
    places->item[places->count++] = *place;
    return 0;
}

/* How many entries are in LINE or before. */
static size_t count_until(const struct config_places *places, unsigned line)
{
    size_t low = 0, high = places->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (places->item[middle].line <= line)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct config_place *config_places_find(const struct config_places *places, const char *name,
                                              unsigned line)
{
    size_t length = strlen(name);
    for (size_t i = count_until(places, line); i > 0; i--) {
        const struct config_place *place = &places->item[i - 1];
        if (place->length == length && memcmp(place->name, name, length) == 0)
            return place;
    }
    return NULL;
}

void config_places_clear(struct config_places *places)
{
    free(places->item);
    *places = (struct config_places){.count = 0};
}
