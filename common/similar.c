#include "common/similar.h"

#include <string.h>

#define LENGTH_MAX 63 /* longer names are not compared */

static size_t least(size_t a, size_t b, size_t c)
{
    size_t best = a < b ? a : b;
    return best < c ? best : c;
}

/* Insertions, deletions and replacements that make one name of the other; both at most LENGTH_MAX long. */
static size_t edit_distance(const char *a, const char *b)
{
    size_t row[LENGTH_MAX + 1];
    size_t length = strlen(b);
    for (size_t j = 0; j <= length; j++)
        row[j] = j;
    for (size_t i = 1; a[i - 1] != 0; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= length; j++) {
            size_t above = row[j];
            row[j] = least(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
            diagonal = above;
        }
    }
    return row[length];
}

void similar_init(struct similar *similar, const char *wanted)
{
    *similar = (struct similar){.wanted = wanted, .distance = strlen(wanted) / 3 + 2};
}

void similar_offer(struct similar *similar, const char *name)
{
    if (strlen(similar->wanted) > LENGTH_MAX || strlen(name) > LENGTH_MAX)
        return;
    size_t distance = edit_distance(similar->wanted, name);
    if (distance < similar->distance) {
        similar->best = name;
        similar->distance = distance;
    }
}
