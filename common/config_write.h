/* Lines of a configuration file, as a program writes them: config_load() reads from them the text that was
 * given, whatever is in it. Pure. */
#ifndef COMMON_CONFIG_WRITE_H
#define COMMON_CONFIG_WRITE_H

#include "common/bytes.h"

/* Appends `NAME = "TEXT"` and a line end, behind INDENT blanks. ERR_FORMAT, with nothing appended, for a text
 * that no configuration can hold (config_value_is_text()); ERR_MEMORY. */
int config_write_text(struct buffer *out, int indent, const char *name, const char *text) MUST_USE;
/* The same of an option that is a list, with one item. */
int config_write_list(struct buffer *out, int indent, const char *name, const char *text) MUST_USE;

#endif
