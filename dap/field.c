#include "dap/field.h"

#include <string.h>

#include "dap/params.h"

bool field_check(const PGresult *result, const char *what, const Oid *types, int count,
                 error_t *ret_error)
{
    if (PQnfields(result) != count)
        return error_set(ret_error, ERROR_DATABASE_SCHEMA, "%s has %d columns, not %d", what,
                         PQnfields(result), count);
    for (int i = 0; i < count; i++) {
        if (PQftype(result, i) != types[i])
            return error_set(ret_error, ERROR_DATABASE_SCHEMA,
                             "column %s of %s has the type with oid %u, not %u; the tables of the "
                             "schema ixn were changed by somebody else",
                             PQfname(result, i), what, PQftype(result, i), types[i]);
    }
    return true;
}

field_t field_of(const PGresult *result, int row, int column)
{
    if (PQgetisnull(result, row, column))
        return (field_t){NULL, -1};
    return (field_t){PQgetvalue(result, row, column), PQgetlength(result, row, column)};
}

static uint64_t s_number(field_t self, int size)
{
    uint64_t value = 0;
    if (self.len != size)
        return 0;
    for (int i = 0; i < size; i++)
        value = value << 8 | (uint8_t)self.data[i];
    return value;
}

bool field_is_null(field_t self)
{
    return self.len < 0;
}

bool field_bool(field_t self)
{
    return s_number(self, 1) != 0;
}

uint64_t field_int8(field_t self)
{
    return s_number(self, 8);
}

int32_t field_int4(field_t self)
{
    return (int32_t)(uint32_t)s_number(self, 4);
}

uint32_t field_oid(field_t self)
{
    return (uint32_t)s_number(self, 4);
}

id128_t field_id(field_t self)
{
    id128_t id = {{0}};
    if (self.len == (int)sizeof id.bytes)
        memcpy(id.bytes, self.data, sizeof id.bytes);
    return id;
}

usec_t field_wall(field_t self)
{
    usec_t wall;
    if (self.len != 8 ||
        __builtin_add_overflow((int64_t)s_number(self, 8), PARAMS_WALL_OFFSET_US, &wall))
        return 0;
    return wall;
}

text_t field_text(field_t self)
{
    return self.len > 0 ? (text_t){self.data, (size_t)self.len} : (text_t){0};
}

/* The binary form of jsonb is a version byte, 1, and the text. */
text_t field_jsonb(field_t self)
{
    if (self.len < 1 || self.data[0] != 1)
        return (text_t){0};
    return (text_t){self.data + 1, (size_t)self.len - 1};
}

void field_copy(field_t self, char *out, size_t size)
{
    size_t len = self.len > 0 ? (size_t)self.len : 0;
    if (len >= size)
        len = size - 1;
    if (len)
        memcpy(out, self.data, len);
    out[len] = 0;
}
