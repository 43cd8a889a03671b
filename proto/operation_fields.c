#include "proto/operation_fields.h"

#include <string.h>

static const uint8_t *place(const struct operation *operation, size_t offset)
{
    return (const uint8_t *)operation + offset;
}

static uint8_t *place_to_set(struct operation *operation, size_t offset)
{
    return (uint8_t *)operation + offset;
}

uint16_t operation_field_number(const struct operation *operation, const struct operation_field *field)
{
    uint16_t number;
    memcpy(&number, place(operation, field->at), sizeof number);
    return number;
}

const uint8_t *operation_field_bytes(const struct operation *operation, const struct operation_field *field)
{
    const uint8_t *borrowed;
    if (field->form != FIELD_BORROWED)
        return place(operation, field->at);
    memcpy(&borrowed, place(operation, field->at), sizeof borrowed);
    return borrowed;
}

size_t operation_field_length(const struct operation *operation, const struct operation_field *field)
{
    uint16_t length;
    uint32_t borrowed;
    if (field->length_at == 0)
        return field->max; /* of a number: 0 */
    if (field->form != FIELD_BORROWED) {
        memcpy(&length, place(operation, field->length_at), sizeof length);
        return length;
    }
    memcpy(&borrowed, place(operation, field->length_at), sizeof borrowed);
    return borrowed;
}

bool operation_field_takes(const struct operation_field *field, size_t length)
{
    return length >= field->min && length <= field->max && (length - field->min) % field->step == 0;
}

void operation_field_set_number(struct operation *operation, const struct operation_field *field,
                                uint16_t number)
{
    memcpy(place_to_set(operation, field->at), &number, sizeof number);
}

void operation_field_set_bytes(struct operation *operation, const struct operation_field *field,
                               const uint8_t *bytes, size_t length)
{
    uint16_t here = (uint16_t)length;
    uint32_t borrowed = (uint32_t)length;
    if (field->form == FIELD_BORROWED) {
        memcpy(place_to_set(operation, field->at), &bytes, sizeof bytes);
        memcpy(place_to_set(operation, field->length_at), &borrowed, sizeof borrowed);
        return;
    }
    memcpy(place_to_set(operation, field->at), bytes, length);
    if (field->length_at != 0)
        memcpy(place_to_set(operation, field->length_at), &here, sizeof here);
}

int operation_check_lengths(const struct operation *operation)
{
    const struct operation_info *info = operation_find(operation->kind);
    for (size_t i = 0; info != NULL && i < info->field_count; i++)
        if (operation_field_length(operation, &info->fields[i]) > info->fields[i].max)
            return ERR_LENGTH;
    return 0;
}

int operation_check_fields(const struct operation *operation)
{
    const struct operation_info *info = operation_find(operation->kind);
    for (size_t i = 0; info != NULL && i < info->field_count; i++)
        if (info->fields[i].form != FIELD_NUMBER &&
            !operation_field_takes(&info->fields[i], operation_field_length(operation, &info->fields[i])))
            return ERR_FORMAT;
    return 0;
}

static size_t end_of(const struct operation *operation, const struct operation_field *field)
{
    size_t length = operation_field_length(operation, field);
    switch (field->form) {
    case FIELD_NUMBER:
        return field->at + sizeof(uint16_t);
    case FIELD_BORROWED:
        return field->length_at + sizeof(uint32_t);
    default:
        return field->at + (length < field->max ? length : field->max);
    }
}

size_t operation_used(const struct operation *operation)
{
    const struct operation_info *info = operation_find(operation->kind);
    size_t used = offsetof(struct operation, u);
    for (size_t i = 0; info != NULL && i < info->field_count; i++) {
        size_t end = end_of(operation, &info->fields[i]);
        used = end > used ? end : used;
    }
    return used;
}

uint32_t operation_bytes(const struct operation *operation)
{
    const struct operation_info *info = operation_find(operation->kind);
    size_t sum = 0;
    for (size_t i = 0; info != NULL && i < info->field_count; i++)
        sum += operation_field_length(operation, &info->fields[i]);
    return (uint32_t)sum;
}

uint16_t operation_scheme(const struct operation *operation)
{
    return operation_signs(operation->kind)
               ? operation_field_number(operation, operation_find(operation->kind)->fields)
               : 0;
}

const struct operation_field *operation_borrowed(enum operation_kind kind)
{
    const struct operation_info *info = operation_find(kind);
    if (info == NULL || info->field_count == 0)
        return NULL;
    const struct operation_field *last = &info->fields[info->field_count - 1];
    return last->form == FIELD_BORROWED ? last : NULL;
}
