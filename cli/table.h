/* Table: rows of text under titles, as wide as they need to be, for a person's screen.
 *
 * Cells are put one after the other, row by row. What no memory is there for is left out. One thread. */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "common/err.h"

struct table_column {
    const char *title;
    bool right; /* numbers: flush right */
};

struct table {
    const struct table_column *columns; /* borrowed */
    size_t column_count;
    char **cell; /* owned texts, row by row; NULL = empty */
    size_t count, size;
    const char **colour; /* owned, one a row: an escape sequence (static), or NULL */
    size_t row_size;
};

void table_init(struct table *table, const struct table_column *columns, size_t column_count);
void table_clear(struct table *table);

/* The next cell. Control characters become '?': texts may come from a peer. */
void table_put(struct table *table, const char *format, ...) PRINTF_LIKE(2, 3);
/* The row of the cell that was put last is printed with COLOUR, such as TABLE_RED. */
void table_set_colour(struct table *table, const char *colour);
#define TABLE_RED    "\033[31m"
#define TABLE_YELLOW "\033[33m"
#define TABLE_GREEN  "\033[32m"
#define TABLE_END    "\033[0m"

/* Titles and rows, each after INDENT blanks; nothing without a row. */
void table_print(const struct table *table, FILE *out, int indent, bool colour);

#endif
