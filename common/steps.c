#include "common/steps.h"

#include <assert.h>
#include <stdbool.h>

static bool is_in(const struct step *step, enum steps_in run)
{
    return step->in == 0 || (step->in & run) != 0;
}

static size_t items(const struct step *step, const void *subject)
{
    return step->each != NULL ? step->count(subject) : 1;
}

static int run_item(const struct step *step, void *subject, size_t item, struct fault *fault)
{
    return step->each != NULL ? step->each(subject, item, fault) : step->once(subject, fault);
}

int steps_start(const struct step *steps, size_t count, void *subject, struct fault *fault)
{
    int err = 0;

    for (size_t i = 0; err == 0 && i < count; i++)
        for (size_t item = 0; err == 0 && is_in(&steps[i], STEPS_START) && item < items(&steps[i], subject);
             item++)
            err = run_item(&steps[i], subject, item, fault);
    return err;
}

/* The error of the first item that fails, or 0. */
static int try_step(const struct step *step, void *subject, void (*say)(const char *fault))
{
    int first = 0;

    for (size_t item = 0; item < items(step, subject); item++) {
        struct fault fault = {.text = ""};
        int err = run_item(step, subject, item, &fault);

        if (err != 0)
            say(fault.text);
        first = first != 0 ? first : err;
    }
    return first;
}

int steps_dry_run(const struct step *steps, size_t count, void *subject, void (*say)(const char *fault))
{
    uint32_t lacking = 0;
    int first = 0;

    assert(count <= 32);
    for (size_t i = 0; i < count; i++) {
        if (!is_in(&steps[i], STEPS_DRY_RUN))
            continue;
        bool can = (steps[i].needs & lacking) == 0;
        int err = can ? try_step(&steps[i], subject, say) : 0;

        if (!can || err != 0)
            lacking |= UINT32_C(1) << i;
        first = first != 0 ? first : err;
    }
    return first;
}
