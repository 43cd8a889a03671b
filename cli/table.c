#include "cli/table.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cli/printable.h"

#define COLUMNS_MAX 16
#define GAP         2 /* blanks between columns */

void table_init(struct table *table, const struct table_column *columns, size_t column_count)
{
    *table = (struct table){.columns = columns,
                            .column_count = column_count < COLUMNS_MAX ? column_count : COLUMNS_MAX};
}

void table_clear(struct table *table)
{
    for (size_t i = 0; i < table->count; i++)
        free(table->cell[i]);
    free(table->cell);
    free(table->colour);
    *table = (struct table){.columns = NULL};
}

/* Room for one more cell, and for its row. */
static bool grow(struct table *table)
{
    size_t row = table->count / table->column_count;
    if (table->count == table->size) {
        size_t size = table->size > 0 ? 2 * table->size : 64;
        char **cell = reallocarray(table->cell, size, sizeof *cell);
        if (cell == NULL)
            return false;
        table->cell = cell;
        table->size = size;
    }
    if (row == table->row_size) {
        size_t size = table->row_size > 0 ? 2 * table->row_size : 16;
        const char **colour = reallocarray(table->colour, size, sizeof *colour);
        if (colour == NULL)
            return false;
        memset(colour + table->row_size, 0, (size - table->row_size) * sizeof *colour);
        table->colour = colour;
        table->row_size = size;
    }
    return true;
}

void table_put(struct table *table, const char *format, ...)
{
    va_list arguments;
    if (!grow(table))
        return;
    va_start(arguments, format);
    table->cell[table->count++] = printable_text(PRINTABLE_LINE, format, arguments);
    va_end(arguments);
}

void table_set_colour(struct table *table, const char *colour)
{
    if (table->count > 0)
        table->colour[(table->count - 1) / table->column_count] = colour;
}

/* Characters of a text in UTF-8. */
static size_t width_of(const char *text)
{
    size_t width = 0;
    for (; text != NULL && *text != 0; text++)
        width += ((unsigned char)*text & 0xc0) != 0x80;
    return width;
}

/* BLANKS are due before the next text; none is left at the end of a line. */
static void print_cell(FILE *out, const char *text, size_t width, bool right, size_t *blanks)
{
    size_t missing = width - width_of(text);
    *blanks += right ? missing : 0;
    if (text != NULL && text[0] != 0) {
        fprintf(out, "%*s%s", (int)*blanks, "", text);
        *blanks = 0;
    }
    *blanks += (right ? 0 : missing) + GAP;
}

void table_print(const struct table *table, FILE *out, int indent, bool colour)
{
    size_t width[COLUMNS_MAX], columns = table->column_count, blanks = 0;
    if (table->count == 0)
        return;
    for (size_t i = 0; i < columns; i++)
        width[i] = width_of(table->columns[i].title);
    for (size_t i = 0; i < table->count; i++)
        if (width_of(table->cell[i]) > width[i % columns])
            width[i % columns] = width_of(table->cell[i]);
    fprintf(out, "%*s", indent, "");
    for (size_t i = 0; i < columns; i++)
        print_cell(out, table->columns[i].title, width[i], table->columns[i].right, &blanks);
    for (size_t i = 0; i < table->count; i++) {
        const char *on = colour ? table->colour[i / columns] : NULL;
        if (i % columns == 0) {
            fprintf(out, "\n%*s%s", indent, "", on != NULL ? on : "");
            blanks = 0;
        }
        print_cell(out, table->cell[i], width[i % columns], table->columns[i % columns].right, &blanks);
        if (on != NULL && (i % columns + 1 == columns || i + 1 == table->count))
            fputs(TABLE_END, out);
    }
    fputc('\n', out);
}
