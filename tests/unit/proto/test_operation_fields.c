/* The table of operations against keyless.proto, and each of its rows through all that reads it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "proto/keyless.pb-c.h"
#include "proto/msg.h"
#include "proto/operation_fields.h"

#define FILL 0x5a

static uint8_t content[HANDSHAKE_MAX];

static const ProtobufCFieldDescriptor *member_of(const struct operation_info *info)
{
    return protobuf_c_message_descriptor_get_field(&keyless__v1__request__descriptor, info->wire);
}

static void each_row_is_what_the_protocol_has(void **state)
{
    (void)state;
    for (enum operation_kind kind = OP_PING; kind < OP_KINDS; kind++) {
        const struct operation_info *info = operation_find(kind);
        assert_non_null(info);
        assert_int_equal(operation_of_wire(info->wire), kind);
        const ProtobufCFieldDescriptor *member = member_of(info);
        assert_non_null(member);
        assert_string_equal(member->name, info->name);
        const ProtobufCMessageDescriptor *type = member->descriptor;
        assert_int_equal(type->n_fields, info->field_count);
        for (size_t i = 0; i < info->field_count; i++) {
            bool number = info->fields[i].form == FIELD_NUMBER;
            assert_string_equal(type->fields[i].name, info->fields[i].name);
            assert_int_equal(type->fields[i].type, number ? PROTOBUF_C_TYPE_UINT32 : PROTOBUF_C_TYPE_BYTES);
            assert_true(info->fields[i].form != FIELD_BORROWED || i == info->field_count - 1);
            assert_true(number || info->fields[i].step > 0);
        }
        if (info->signs)
            assert_string_equal(info->fields[0].name, "scheme");
        assert_true(info->answer_min <= info->answer_max && info->answer_max <= RESULT_MAX);
        assert_true((info->answer != NULL) == (info->answer_max > 0));
        assert_true(info->answer == NULL || info->uses_key);
    }
    assert_int_equal(operation_of_wire(0), 0);
    assert_int_equal(operation_of_wire(22), 0);
}

static void each_operation_of_the_protocol_has_a_row(void **state)
{
    (void)state;
    for (unsigned i = 0; i < keyless__v1__request__descriptor.n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &keyless__v1__request__descriptor.fields[i];
        if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0)
            assert_true(operation_of_wire(field->id) != 0);
    }
}

static void each_key_type_of_the_protocol_has_a_row(void **state)
{
    (void)state;
    const ProtobufCEnumDescriptor *types = &keyless__v1__key_type__descriptor;
    assert_int_equal(types->n_values, KEY_TYPES); /* with UNKNOWN */
    for (unsigned i = 0; i < types->n_values; i++)
        assert_true((key_type_find((enum key_type)types->values[i].value) != NULL) ==
                    (types->values[i].value != 0));
}

/* An operation of KIND whose fields are all as long as they may be, but FIELD, if there is one, of LENGTH. */
static struct operation operation_with(enum operation_kind kind, const struct operation_field *field,
                                       size_t length)
{
    struct operation operation = {.kind = kind};
    const struct operation_info *info = operation_find(kind);
    if (info->uses_key)
        memset(operation.key_id, FILL, sizeof operation.key_id);
    for (size_t i = 0; i < info->field_count; i++) {
        const struct operation_field *at = &info->fields[i];
        if (at->form == FIELD_NUMBER)
            operation_field_set_number(&operation, at, (uint16_t)(0x0403 + i));
        else
            operation_field_set_bytes(&operation, at, content, at == field ? length : at->max);
    }
    return operation;
}

/* What comes out at the other end of the wire; the caller frees it. */
static struct msg *sent(const struct operation *operation)
{
    struct buffer packed = {0};
    struct msg *msg = NULL;
    const struct msg_request request = {.id = 7, .operation = *operation};
    assert_int_equal(msg_pack_requests(&packed, &request, 1), 0);
    assert_int_equal(msg_parse(&msg, buffer_bytes(&packed), buffer_length(&packed)), 0);
    buffer_clear(&packed);
    assert_int_equal(msg->count, 1);
    return msg;
}

static void assert_same(const struct operation *a, const struct operation *b)
{
    const struct operation_info *info = operation_find(a->kind);
    assert_int_equal(a->kind, b->kind);
    assert_memory_equal(a->key_id, b->key_id, KEY_ID_SIZE);
    for (size_t i = 0; i < info->field_count; i++) {
        const struct operation_field *field = &info->fields[i];
        size_t length = operation_field_length(a, field);
        assert_int_equal(operation_field_length(b, field), length);
        if (field->form == FIELD_NUMBER)
            assert_int_equal(operation_field_number(a, field), operation_field_number(b, field));
        else
            assert_memory_equal(operation_field_bytes(a, field), operation_field_bytes(b, field), length);
    }
}

static void each_operation_crosses_the_wire_with_its_longest_fields(void **state)
{
    (void)state;
    for (enum operation_kind kind = OP_PING; kind < OP_KINDS; kind++) {
        const struct operation operation = operation_with(kind, NULL, 0);
        struct msg *msg = sent(&operation);
        assert_same(&operation, &msg->requests[0].operation);
        msg_free(msg);
    }
}

/* Each length of each field that has one: those it takes cross the wire, the others make the operation one
 * that nobody knows, and no length that there is no room for is sent. */
static void each_length_is_taken_or_makes_the_operation_unknown(void **state)
{
    (void)state;
    for (enum operation_kind kind = OP_PING; kind < OP_KINDS; kind++) {
        const struct operation_info *info = operation_find(kind);
        for (size_t i = 0; i < info->field_count; i++) {
            const struct operation_field *field = &info->fields[i];
            for (size_t length = 0; field->length_at != 0 && length <= field->max; length++) {
                const struct operation operation = operation_with(kind, field, length);
                struct msg *msg = sent(&operation);
                if (operation_field_takes(field, length))
                    assert_same(&operation, &msg->requests[0].operation);
                else
                    assert_int_equal(msg->requests[0].operation.kind, 0);
                msg_free(msg);
                length += field->max > 1024 && length > 64 && length + 1024 < field->max ? 997 : 0;
            }
        }
    }
}

static void a_length_above_the_room_is_refused_before_it_is_read(void **state)
{
    (void)state;
    for (enum operation_kind kind = OP_PING; kind < OP_KINDS; kind++) {
        const struct operation_info *info = operation_find(kind);
        struct operation operation = operation_with(kind, NULL, 0);
        assert_int_equal(operation_check_lengths(&operation), 0);
        for (size_t i = 0; i < info->field_count; i++) {
            const struct operation_field *field = &info->fields[i];
            const uint32_t length = field->max + 1;
            struct buffer packed = {0};
            struct msg_request request = {.operation = operation};
            if (field->length_at == 0)
                continue;
            memcpy((uint8_t *)&request.operation + field->length_at, &length,
                   field->form == FIELD_BORROWED ? 4 : 2);
            assert_int_equal(operation_check_lengths(&request.operation), ERR_LENGTH);
            assert_int_equal(msg_pack_requests(&packed, &request, 1), ERR_LENGTH);
            assert_true(operation_used(&request.operation) <= sizeof operation);
            buffer_clear(&packed);
        }
    }
}

static void what_is_used_holds_all_that_an_operation_says(void **state)
{
    (void)state;
    for (enum operation_kind kind = OP_PING; kind < OP_KINDS; kind++) {
        const struct operation operation = operation_with(kind, NULL, 0);
        struct operation copy = {0};
        size_t used = operation_used(&operation);
        assert_true(used <= sizeof operation && used >= offsetof(struct operation, u));
        memcpy(&copy, &operation, used);
        assert_same(&operation, &copy);
    }
    const struct operation unknown = {.kind = OP_KINDS};
    assert_int_equal(operation_used(&unknown), offsetof(struct operation, u));
    assert_int_equal(operation_bytes(&unknown), 0);
    assert_int_equal(operation_check_lengths(&unknown), 0);
    assert_null(operation_borrowed(unknown.kind));
}

static void bytes_and_schemes_are_those_of_the_fields(void **state)
{
    (void)state;
    struct operation operation = {.kind = OP_SIGN_TLS12};
    operation.u.sign_tls12.scheme = SCHEME_ED25519;
    operation.u.sign_tls12.params_length = 36;
    assert_int_equal(operation_bytes(&operation), 2 * TLS_RANDOM_SIZE + 36);
    assert_int_equal(operation_scheme(&operation), SCHEME_ED25519);
    operation = (struct operation){.kind = OP_SIGN_TLS13};
    operation.u.sign_tls13.scheme = SCHEME_RSA_PSS_RSAE_SHA384;
    operation.u.sign_tls13.hash_length = 48;
    assert_int_equal(operation_bytes(&operation), 48);
    assert_int_equal(operation_scheme(&operation), SCHEME_RSA_PSS_RSAE_SHA384);
    operation = (struct operation){.kind = OP_RSA_PREMASTER};
    operation.u.rsa_premaster.client_version = 0x0303;
    operation.u.rsa_premaster.ciphertext_length = 256;
    assert_int_equal(operation_bytes(&operation), 256);
    assert_int_equal(operation_scheme(&operation), 0);
    assert_null(operation_borrowed(operation.kind));
    operation = (struct operation){.kind = OP_RSA_MASTER};
    operation.u.rsa_master.messages = content;
    operation.u.rsa_master.length = 1000;
    assert_int_equal(operation_bytes(&operation), 1000);
    assert_ptr_equal(operation_field_bytes(&operation, operation_borrowed(operation.kind)), content);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_row_is_what_the_protocol_has),
        cmocka_unit_test(each_operation_of_the_protocol_has_a_row),
        cmocka_unit_test(each_key_type_of_the_protocol_has_a_row),
        cmocka_unit_test(each_operation_crosses_the_wire_with_its_longest_fields),
        cmocka_unit_test(each_length_is_taken_or_makes_the_operation_unknown),
        cmocka_unit_test(a_length_above_the_room_is_refused_before_it_is_read),
        cmocka_unit_test(what_is_used_holds_all_that_an_operation_says),
        cmocka_unit_test(bytes_and_schemes_are_those_of_the_fields),
    };
    for (size_t i = 0; i < sizeof content; i++)
        content[i] = (uint8_t)(i + 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
