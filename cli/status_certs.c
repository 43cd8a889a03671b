#include "cli/status_certs.h"

#include <stdlib.h>

#include "cli/table.h"

#define SOON_DAYS 14 /* from here on `keyless check` warns, too */
#define NAMES_MAX 2  /* of a certificate, unless all are wanted */

struct status_list status_list_sorted(const json_t *array, int (*compare)(const void *, const void *),
                                      const struct status_view *view)
{
    struct status_list list = {.item = calloc(json_array_size(array) + 1, sizeof(json_t *))};
    if (list.item == NULL)
        return list;
    for (size_t i = 0; i < json_array_size(array); i++)
        if (json_is_object(json_array_get(array, i)))
            list.item[list.count++] = json_array_get(array, i);
    qsort(list.item, list.count, sizeof(json_t *), compare);
    list.shown = view->all || list.count <= STATUS_ROWS_MAX ? list.count : STATUS_ROWS_MAX;
    return list;
}

static long long days_of(const json_t *cert)
{
    return (long long)json_integer_value(json_object_get(cert, "days_left"));
}

static int compare(const void *a, const void *b)
{
    long long x = days_of(*(json_t *const *)a), y = days_of(*(json_t *const *)b);
    return (x > y) - (x < y);
}

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text != NULL ? text : "?";
}

/* "a.test, b.test +3" */
static void put_names(struct table *table, const json_t *names, bool all)
{
    char *text = NULL;
    size_t length = 0, shown = 0, count = json_array_size(names);
    FILE *out = open_memstream(&text, &length);
    for (size_t i = 0; out != NULL && i < count && (all || shown < NAMES_MAX); i++) {
        const char *name = json_string_value(json_array_get(names, i));
        if (name != NULL)
            fprintf(out, "%s%s", shown++ > 0 ? ", " : "", name);
    }
    if (out != NULL && !all && count > NAMES_MAX)
        fprintf(out, " +%zu", count - NAMES_MAX);
    if (out != NULL)
        fclose(out);
    table_put(table, "%s", text != NULL ? text : "?");
    free(text);
}

static void put_summary(FILE *out, const struct status_list *list, long long skipped)
{
    size_t ended = 0, soon = 0;
    for (size_t i = 0; i < list->count; i++) {
        ended += days_of(list->item[i]) < 0;
        soon += days_of(list->item[i]) >= 0 && days_of(list->item[i]) <= SOON_DAYS;
    }
    fprintf(out, "  %-12s %zu", "certificates", list->count);
    if (ended > 0)
        fprintf(out, ", %zu ended", ended);
    if (soon > 0)
        fprintf(out, ", %zu end within %d days", soon, SOON_DAYS);
    if (skipped > 0)
        fprintf(out, ", %lld skipped (`keyless check` says why)", skipped);
    fputc('\n', out);
}

void status_print_certificates(FILE *out, const json_t *status, const struct status_view *view)
{
    static const struct table_column columns[] = {
        {"CERTIFICATE", false}, {"KEY", false}, {"DAYS LEFT", true}, {"FILE", false}};
    struct status_list list = status_list_sorted(json_object_get(status, "certificates"), compare, view);
    struct table table;
    put_summary(out, &list, (long long)json_integer_value(json_object_get(status, "certificates_skipped")));
    table_init(&table, columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; i < list.shown; i++) {
        put_names(&table, json_object_get(list.item[i], "names"), view->all);
        table_put(&table, "%s", text_of(list.item[i], "key_type"));
        table_put(&table, "%lld", days_of(list.item[i]));
        table_put(&table, "%s", text_of(list.item[i], "file"));
        if (days_of(list.item[i]) <= SOON_DAYS)
            table_set_colour(&table, days_of(list.item[i]) < 0 ? TABLE_RED : TABLE_YELLOW);
    }
    table_print(&table, out, 2, view->colour);
    if (list.shown < list.count)
        fprintf(out, "  ... and %zu more, with %lld days left or more; --all lists them\n",
                list.count - list.shown, days_of(list.item[list.shown]));
    table_clear(&table);
    free(list.item);
}
