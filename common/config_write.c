#include "common/config_write.h"

#include "common/config_value.h"

static int write_line(struct buffer *out, int indent, const char *name, const char *text, bool list)
{
    if (!config_value_is_text(text))
        return ERR_FORMAT;
    int err = buffer_printf(out, "%*s%s = %s", indent, "", name, list ? "{" : "");
    if (err == 0)
        err = config_value_quote(text, out);
    return err != 0 ? err : buffer_printf(out, "%s\n", list ? "}" : "");
}

int config_write_text(struct buffer *out, int indent, const char *name, const char *text)
{
    return write_line(out, indent, name, text, false);
}

int config_write_list(struct buffer *out, int indent, const char *name, const char *text)
{
    return write_line(out, indent, name, text, true);
}
