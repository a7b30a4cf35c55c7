#include "dap/array.h"

#include "core/base/check.h"

enum { HEADER_SIZE = 20, JSONB_VERSION = 1 };

/* From 1970-01-01 to 2000-01-01: 10,957 days. */
#define EPOCH_2000_US (INT64_C(10957) * 86400 * USEC_PER_SECOND)

static const struct {
    uint32_t array;
    uint32_t element;
} s_types[] = {
    [ARRAY_UUID] = {2951, 2950},  [ARRAY_TEXT] = {1009, 25},          [ARRAY_BYTEA] = {1001, 17},
    [ARRAY_INT4] = {1007, 23},    [ARRAY_INT8] = {1016, 20},          [ARRAY_BOOL] = {1000, 16},
    [ARRAY_JSONB] = {3807, 3802}, [ARRAY_TIMESTAMPTZ] = {1185, 1184},
};

static void s_put_u32(uint8_t *out, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        out[i] = (uint8_t)(value >> (24 - 8 * i));
}

static void s_put_u64(uint8_t *out, uint64_t value)
{
    s_put_u32(out, (uint32_t)(value >> 32));
    s_put_u32(out + 4, (uint32_t)value);
}

uint32_t array_type(array_kind_t kind)
{
    return s_types[kind].array;
}

uint32_t array_element_type(array_kind_t kind)
{
    return s_types[kind].element;
}

void array_start(array_t *self, array_kind_t kind)
{
    self->kind = kind;
    self->count = 0;
    self->nulls = false;
    buffer_clear(&self->bytes);
    buffer_reserve(&self->bytes, HEADER_SIZE);
    self->bytes.len = HEADER_SIZE;
}

void array_finish(array_t *self)
{
    uint8_t *header = self->bytes.bytes;
    /* An empty array has no dimension: one of length 0 is refused. */
    s_put_u32(header, self->count ? 1 : 0);
    s_put_u32(header + 4, self->nulls);
    s_put_u32(header + 8, s_types[self->kind].element);
    s_put_u32(header + 12, self->count);
    s_put_u32(header + 16, 1);
    if (self->count == 0)
        self->bytes.len = 12;
}

void array_free(array_t *self)
{
    buffer_free(&self->bytes);
    *self = (array_t){0};
}

/* Begins an element of `len` bytes and returns where they go. */
static uint8_t *s_element(array_t *self, size_t len)
{
    CHECK(len <= INT32_MAX);
    uint8_t *out = buffer_reserve(&self->bytes, 4 + len);
    s_put_u32(out, (uint32_t)len);
    self->bytes.len += 4 + len;
    self->count++;
    return out + 4;
}

void array_add_null(array_t *self)
{
    s_put_u32(buffer_reserve(&self->bytes, 4), UINT32_MAX);
    self->bytes.len += 4;
    self->count++;
    self->nulls = true;
}

void array_add_id(array_t *self, id128_t id)
{
    CHECK(self->kind == ARRAY_UUID);
    memcpy(s_element(self, sizeof id.bytes), id.bytes, sizeof id.bytes);
}

void array_add_text(array_t *self, text_t text)
{
    CHECK(self->kind == ARRAY_TEXT || self->kind == ARRAY_BYTEA || self->kind == ARRAY_JSONB);
    size_t version = self->kind == ARRAY_JSONB ? 1 : 0;
    uint8_t *out = s_element(self, version + text.len);
    if (version)
        *out++ = JSONB_VERSION;
    if (text.len)
        memcpy(out, text.data, text.len);
}

void array_add_int4(array_t *self, int32_t value)
{
    CHECK(self->kind == ARRAY_INT4);
    s_put_u32(s_element(self, 4), (uint32_t)value);
}

void array_add_int8(array_t *self, int64_t value)
{
    CHECK(self->kind == ARRAY_INT8);
    s_put_u64(s_element(self, 8), (uint64_t)value);
}

void array_add_bool(array_t *self, bool value)
{
    CHECK(self->kind == ARRAY_BOOL);
    *s_element(self, 1) = value;
}

int64_t array_timestamp(usec_t wall_us)
{
    /* INT64_MIN would be read as -infinity; one more is out of range, and refused. */
    if (wall_us < INT64_MIN + 1 + EPOCH_2000_US)
        return INT64_MIN + 1;
    return wall_us - EPOCH_2000_US;
}

void array_add_time(array_t *self, usec_t wall_us)
{
    CHECK(self->kind == ARRAY_TIMESTAMPTZ);
    s_put_u64(s_element(self, 8), (uint64_t)array_timestamp(wall_us));
}
