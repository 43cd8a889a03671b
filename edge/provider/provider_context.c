#include <stdlib.h>
#include <string.h>

#include "edge/provider/provider_internal.h"

void *context_new(const struct provider *provider, size_t size)
{
    struct provider_context *context = calloc(1, size);
    if (context == NULL)
        return NULL;
    context->provider = provider;
    context->size = size;
    return context;
}

void context_free(void *data)
{
    struct provider_context *context = data;
    if (context == NULL)
        return;
    keymgmt_key_free(context->key);
    free(context);
}

void *context_dup(void *data)
{
    const struct provider_context *context = data;
    struct provider_context *copy = malloc(context->size);
    if (copy == NULL)
        return NULL;
    memcpy(copy, context, context->size);
    if (copy->key != NULL)
        copy->key = keymgmt_key_share(copy->key);
    return copy;
}

void context_set_key(struct provider_context *context, struct remote_key *key)
{
    keymgmt_key_share(key);
    keymgmt_key_free(context->key);
    context->key = key;
}
