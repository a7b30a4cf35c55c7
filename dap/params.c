#include "dap/params.h"

#include <string.h>

#include "core/base/check.h"
#include "dap/array.h"

static void s_add(params_t *self, Oid type, const char *value, size_t len)
{
    CHECK(self->count < PARAMS_MAX && len <= INT32_MAX);
    self->types[self->count] = type;
    self->values[self->count] = value;
    self->lengths[self->count] = (int)len;
    self->count++;
}

static void s_add_number(params_t *self, Oid type, uint64_t value, size_t size)
{
    CHECK(self->count < PARAMS_MAX);
    char *out = self->fixed[self->count];
    for (size_t i = 0; i < size; i++)
        out[i] = (char)(uint8_t)(value >> (8 * (size - 1 - i)));
    s_add(self, type, out, size);
}

void params_int8(params_t *self, uint64_t value)
{
    s_add_number(self, OID_INT8, value, 8);
}

void params_int4(params_t *self, int32_t value)
{
    s_add_number(self, OID_INT4, (uint32_t)value, 4);
}

void params_oid(params_t *self, uint32_t value)
{
    s_add_number(self, OID_OID, value, 4);
}

void params_id(params_t *self, id128_t value)
{
    CHECK(self->count < PARAMS_MAX);
    char *out = self->fixed[self->count];
    memcpy(out, value.bytes, sizeof value.bytes);
    s_add(self, OID_UUID, out, sizeof value.bytes);
}

void params_wall(params_t *self, usec_t wall_us)
{
    s_add_number(self, OID_TIMESTAMPTZ, (uint64_t)array_timestamp(wall_us), 8);
}

/* libpq takes a null pointer for NULL, whatever the length. */
void params_text(params_t *self, text_t value)
{
    s_add(self, OID_TEXT, value.data ? value.data : "", value.len);
}

void params_bytes(params_t *self, text_t value)
{
    s_add(self, OID_BYTEA, value.data ? value.data : "", value.len);
}

connection_params_t params_all(const params_t *self)
{
    return (connection_params_t){self->count, self->types, self->values, self->lengths};
}

bool params_run(connection_t *connection, const char *sql, const params_t *params,
                error_t *ret_error)
{
    connection_params_t all = params_all(params);
    PGresult *result = connection_query(connection, sql, &all, ret_error);
    PQclear(result);
    return result != NULL;
}
