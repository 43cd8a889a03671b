#include "common/names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "common/clock.h"

struct name {
    char host[ADDRESS_HOST_SIZE];
    uint16_t port; /* in network order */
    struct name_answer answer;
    struct address preferred; /* length 0 = none */
    uint64_t asked_ns;        /* 0 = no answer is due */
    uint64_t answered_ns;     /* 0 = never */
};

void names_init(struct names *names)
{
    *names = (struct names){0};
    pthread_mutex_init(&names->lock, NULL);
}

void names_clear(struct names *names)
{
    free(names->item);
    pthread_mutex_destroy(&names->lock);
    *names = (struct names){0};
}

static int append(struct names *names, const char *host, uint16_t port)
{
    struct name *grown = realloc(names->item, (names->count + 1) * sizeof *grown);

    if (grown == NULL)
        return ERR_MEMORY;
    names->item = grown;
    struct name *name = &grown[names->count++];
    *name = (struct name){.port = port};
    snprintf(name->host, sizeof name->host, "%s", host);
    snprintf(name->answer.why, sizeof name->answer.why, "'%.80s' has not been looked up yet", host);
    return 0;
}

int names_add(struct names *names, struct endpoint *out, const char *text, uint16_t default_port,
              struct fault *fault)
{
    char host[ADDRESS_HOST_SIZE];

    *out = (struct endpoint){.text = text};
    int err = address_parse_target(&out->address, host, text, default_port, fault);
    if (err != 0 || host[0] == 0)
        return err;
    out->names = names;
    out->number = names->count;
    if (append(names, host, out->address.u.v4.sin_port) != 0)
        return fault_set(fault, ERR_MEMORY, "no memory for the name %s", text);
    return 0;
}

bool endpoint_is_fresh(const struct endpoint *endpoint, uint64_t now_ns, uint64_t age_ns)
{
    struct names *names = endpoint->names;

    if (names == NULL || names->ask == NULL)
        return true;
    pthread_mutex_lock(&names->lock);
    struct name *name = &names->item[endpoint->number];
    bool fresh = name->answered_ns != 0 && now_ns - name->answered_ns <= age_ns;
    bool ask = !fresh &&
               (name->asked_ns == 0 || now_ns - name->asked_ns >= NAMES_ANSWER_MS * (uint64_t)NS_PER_MS);
    if (ask)
        name->asked_ns = now_ns;
    pthread_mutex_unlock(&names->lock);
    if (ask)
        names->ask(endpoint->number, name->host, names->user); /* a host does not change */
    return fresh;
}

bool endpoint_is_awaited(const struct endpoint *endpoint)
{
    struct names *names = endpoint->names;

    if (names == NULL)
        return false;
    pthread_mutex_lock(&names->lock);
    const struct name *name = &names->item[endpoint->number];
    bool awaited = name->answer.count == 0 && name->asked_ns != 0;
    pthread_mutex_unlock(&names->lock);
    return awaited;
}

void endpoint_get(const struct endpoint *endpoint, struct name_answer *out)
{
    if (endpoint->names == NULL) {
        out->addresses[0] = endpoint->address;
        out->count = 1;
        out->why[0] = 0;
        return;
    }
    pthread_mutex_lock(&endpoint->names->lock);
    *out = endpoint->names->item[endpoint->number].answer;
    pthread_mutex_unlock(&endpoint->names->lock);
}

char *endpoint_text(const struct endpoint *endpoint, char out[static ADDRESS_TEXT_SIZE])
{
    if (endpoint->names == NULL)
        return address_text(&endpoint->address, out);
    snprintf(out, ADDRESS_TEXT_SIZE, "%s", endpoint->text);
    return out;
}

static bool same(const struct address *a, const struct address *b)
{
    return a->length == b->length && memcmp(&a->u, &b->u, a->length) == 0;
}

/* Moves the preferred address to the front; the others keep their order. */
static void arrange(struct name *name)
{
    struct name_answer *answer = &name->answer;

    for (size_t i = 1; i < answer->count; i++) {
        if (!same(&answer->addresses[i], &name->preferred))
            continue;
        memmove(&answer->addresses[1], &answer->addresses[0], i * sizeof answer->addresses[0]);
        answer->addresses[0] = name->preferred;
    }
}

void endpoint_prefer(const struct endpoint *endpoint, const struct address *address)
{
    if (endpoint->names == NULL)
        return;
    pthread_mutex_lock(&endpoint->names->lock);
    struct name *name = &endpoint->names->item[endpoint->number];
    name->preferred = *address;
    arrange(name);
    pthread_mutex_unlock(&endpoint->names->lock);
}

static void call_watches(struct names *names)
{
    pthread_mutex_lock(&names->lock);
    for (struct names_watch *watch = names->watches; watch != NULL; watch = watch->next)
        watch->on_change(watch->user);
    pthread_mutex_unlock(&names->lock);
}

static void take_addresses(struct name *name, const struct address *addresses, size_t count)
{
    struct name_answer *answer = &name->answer;

    answer->count = count < ADDRESS_FOUND_MAX ? count : ADDRESS_FOUND_MAX;
    for (size_t i = 0; i < answer->count; i++) {
        answer->addresses[i] = addresses[i];
        if (addresses[i].u.any.sa_family == AF_INET6)
            answer->addresses[i].u.v6.sin6_port = name->port;
        else
            answer->addresses[i].u.v4.sin_port = name->port;
    }
    arrange(name);
}

void names_put(struct names *names, size_t number, const struct address *addresses, size_t count,
               const char *why, uint64_t now_ns)
{
    if (number >= names->count)
        return;
    pthread_mutex_lock(&names->lock);
    struct name *name = &names->item[number];
    if (count > 0)
        take_addresses(name, addresses, count);
    snprintf(name->answer.why, sizeof name->answer.why, "%s", count > 0 ? "" : why);
    name->answered_ns = now_ns;
    name->asked_ns = 0;
    pthread_mutex_unlock(&names->lock);
    call_watches(names);
}

void names_forget_asked(struct names *names)
{
    pthread_mutex_lock(&names->lock);
    for (size_t i = 0; i < names->count; i++)
        names->item[i].asked_ns = 0;
    pthread_mutex_unlock(&names->lock);
}

size_t names_resolve(struct names *names, uint64_t now_ns)
{
    size_t missing = 0;

    for (size_t i = 0; i < names->count; i++) {
        struct address found[ADDRESS_FOUND_MAX];
        struct fault fault = {0};
        size_t count;
        if (address_look_up(names->item[i].host, 0, found, ADDRESS_FOUND_MAX, &count, &fault) != 0)
            missing++;
        names_put(names, i, found, count, fault.text, now_ns);
    }
    return missing;
}

const char *names_host(const struct names *names, size_t number)
{
    return names->item[number].host;
}

size_t names_answered(struct names *names)
{
    size_t answered = 0;

    pthread_mutex_lock(&names->lock);
    for (size_t i = 0; i < names->count; i++)
        answered += names->item[i].answered_ns != 0;
    pthread_mutex_unlock(&names->lock);
    return answered;
}

void names_watch(struct names *names, struct names_watch *watch)
{
    pthread_mutex_lock(&names->lock);
    LL_PREPEND(names->watches, watch);
    pthread_mutex_unlock(&names->lock);
}

void names_unwatch(struct names *names, struct names_watch *watch)
{
    pthread_mutex_lock(&names->lock);
    LL_DELETE(names->watches, watch);
    pthread_mutex_unlock(&names->lock);
}
