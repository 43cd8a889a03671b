/* Values of configuration options: text to typed field and back, with what would be right when it is wrong.
 *
 * Knows no files, sections or libconfuse. Pure; start-up only. */
#ifndef COMMON_CONFIG_VALUE_H
#define COMMON_CONFIG_VALUE_H

#include "common/config.h"

/* Whether TEXT may be the value of OPTION (of one item, for CONFIG_STRINGS). ERR_CONFIG with a fault such as
 * "timeout: '5' is not a duration; write a number with ms, s, m or h, like 500ms". Not for sections. */
int config_value_check(const struct config_option *option, const char *text, struct fault *fault) MUST_USE;
/* Sets the field of OPTION in the struct at BASE; CONFIG_STRINGS get one more item. TEXT has been checked.
 * ERR_MEMORY, ERR_CONFIG. */
int config_value_put(const struct config_option *option, void *base, const char *text) MUST_USE;
/* Frees and zeroes the field of OPTION in the struct at BASE. Not for sections. */
void config_value_clear(const struct config_option *option, void *base);
/* Appends the field as it would be written in a file; nothing for a text that is not set. ERR_MEMORY. */
int config_value_write(const struct config_option *option, const void *base, struct buffer *out) MUST_USE;
/* Whether a configuration can hold TEXT: there is no tab, line end or other control character in it. */
bool config_value_is_text(const char *text);
/* Whether the LENGTH bytes of TEXT may be the title of a section: letters, digits, '.', '_', '-', '/'. */
bool config_value_is_title(const char *text, size_t length);
/* Appends TEXT in double quotes, escaped, so that it is read again as it is. ERR_FORMAT, with nothing
 * appended, when no configuration can hold it; ERR_MEMORY. */
int config_value_quote(const char *text, struct buffer *out) MUST_USE;

#endif
