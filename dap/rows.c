#include "dap/rows.h"

#include <stddef.h>

#include "core/base/check.h"

const char rows_gone_sql[] = "DELETE FROM ixn.interaction WHERE id = ANY ($1::uuid[])";

typedef enum {
    FIELD_ID,
    FIELD_ID_OR_NULL, /* zero is NULL */
    FIELD_STATE,
    FIELD_BOOL,
    FIELD_TEXT,
    FIELD_TEXT_OR_NULL, /* empty is NULL */
    FIELD_BYTES,
    FIELD_JSON, /* plain text in the history: the server would make three microseconds' work of it
                 */
    FIELD_I32,
    FIELD_U32,         /* in a bigint */
    FIELD_U64,         /* the bits of a bigint */
    FIELD_U64_OR_NULL, /* 0 is NULL */
    FIELD_COUNT,       /* uint32_t in an integer */
    FIELD_DEADLINE,    /* log time; USEC_NEVER is NULL */
    FIELD_LOG_TIME,
    FIELD_TIME,
    FIELD_TIME_OR_NULL, /* 0 is NULL */
} field_t;

static array_kind_t s_kind(rows_table_t table, field_t field)
{
    switch (field) {
    case FIELD_ID:
    case FIELD_ID_OR_NULL:
        return ARRAY_UUID;
    case FIELD_STATE:
    case FIELD_TEXT:
    case FIELD_TEXT_OR_NULL:
        return ARRAY_TEXT;
    case FIELD_BOOL:
        return ARRAY_BOOL;
    case FIELD_BYTES:
        return ARRAY_BYTEA;
    case FIELD_JSON:
        return table == ROWS_LIVE ? ARRAY_JSONB : ARRAY_TEXT;
    case FIELD_I32:
    case FIELD_COUNT:
        return ARRAY_INT4;
    case FIELD_TIME:
    case FIELD_TIME_OR_NULL:
        return ARRAY_TIMESTAMPTZ;
    case FIELD_U32:
    case FIELD_U64:
    case FIELD_U64_OR_NULL:
    case FIELD_DEADLINE:
    case FIELD_LOG_TIME:
        return ARRAY_INT8;
    }
    CHECK(false); /* a field of no kind */
    return ARRAY_TEXT;
}

enum { IN_LIVE = 1, IN_HISTORY = 2, IN_BOTH = 3 };

typedef struct {
    const char *name;
    int tables;
    field_t field;
    size_t offset; /* in interaction_row_t */
} column_t;

/* `id` comes first: it is what a live row is replaced by. */
#define AT(member) offsetof(interaction_row_t, member)
static const column_t s_columns[] = {
    {"id", IN_BOTH, FIELD_ID, AT(id)},
    {"parent_id", IN_BOTH, FIELD_ID_OR_NULL, AT(parent_id)},
    {"state", IN_LIVE, FIELD_STATE, AT(state)},
    {"held", IN_BOTH, FIELD_BOOL, AT(held)},
    {"tenant", IN_BOTH, FIELD_TEXT, AT(tenant)},
    {"queue", IN_BOTH, FIELD_TEXT, AT(queue)},
    {"media_type", IN_BOTH, FIELD_TEXT, AT(media_type)},
    {"type", IN_BOTH, FIELD_TEXT, AT(type)},
    {"subtype", IN_BOTH, FIELD_TEXT, AT(subtype)},
    {"external_id", IN_BOTH, FIELD_TEXT, AT(external_id)},
    {"submitted_by", IN_BOTH, FIELD_TEXT, AT(submitted_by)},
    {"key", IN_BOTH, FIELD_BYTES, AT(key)},
    {"fingerprint", IN_BOTH, FIELD_U64, AT(fingerprint)},
    {"attributes", IN_BOTH, FIELD_JSON, AT(attributes)},
    {"journey", IN_BOTH, FIELD_JSON, AT(journey)},
    {"router", IN_BOTH, FIELD_TEXT_OR_NULL, AT(router)},
    {"strategy", IN_BOTH, FIELD_TEXT_OR_NULL, AT(strategy)},
    {"reason", IN_BOTH, FIELD_TEXT_OR_NULL, AT(reason)},
    {"priority", IN_BOTH, FIELD_I32, AT(priority)},
    {"version", IN_BOTH, FIELD_U32, AT(version)},
    {"age", IN_BOTH, FIELD_U64, AT(age)},
    {"token_epoch", IN_LIVE, FIELD_U64_OR_NULL, AT(token_epoch)},
    {"token_index", IN_LIVE, FIELD_U64_OR_NULL, AT(token_index)},
    {"attempts", IN_BOTH, FIELD_COUNT, AT(attempts)},
    {"losses", IN_BOTH, FIELD_COUNT, AT(losses)},
    {"deadline_log_us", IN_LIVE, FIELD_DEADLINE, AT(deadline)},
    {"received_at", IN_BOTH, FIELD_TIME, AT(received_at)},
    {"submitted_at", IN_BOTH, FIELD_TIME, AT(submitted_at)},
    {"placed_in_queue_at", IN_BOTH, FIELD_TIME, AT(placed_at)},
    {"moved_to_queue_at", IN_BOTH, FIELD_TIME, AT(moved_at)},
    {"routed_at", IN_BOTH, FIELD_TIME_OR_NULL, AT(routed_at)},
    {"held_at", IN_BOTH, FIELD_TIME_OR_NULL, AT(held_at)},
    {"completed_at", IN_HISTORY, FIELD_TIME, AT(completed_at)},
    {"completed_log_us", IN_HISTORY, FIELD_LOG_TIME, AT(completed_log)},
};
#undef AT
enum { COLUMNS = sizeof s_columns / sizeof *s_columns };
_Static_assert((int)COLUMNS <= (int)ROWS_COLUMNS, "every column has a place among the parameters");

static bool s_has(rows_table_t table, const column_t *column)
{
    return (column->tables & (table == ROWS_LIVE ? IN_LIVE : IN_HISTORY)) != 0;
}

static const char *s_name(rows_table_t table)
{
    return table == ROWS_LIVE ? "interaction" : "interaction_finished";
}

static void s_print_names(buffer_t *out, rows_table_t table)
{
    const char *comma = "";
    for (const column_t *column = s_columns; column < s_columns + COLUMNS; column++)
        if (s_has(table, column)) {
            buffer_printf(out, "%s%s", comma, column->name);
            comma = ", ";
        }
}

/* INSERT INTO … (columns) SELECT * FROM unnest($1::…[], …) ON CONFLICT …. */
static void s_make_upsert(buffer_t *out)
{
    static const char *const type_names[] = {
        [ARRAY_UUID] = "uuid",   [ARRAY_TEXT] = "text",
        [ARRAY_BYTEA] = "bytea", [ARRAY_INT4] = "int4",
        [ARRAY_INT8] = "int8",   [ARRAY_BOOL] = "bool",
        [ARRAY_JSONB] = "jsonb", [ARRAY_TIMESTAMPTZ] = "timestamptz",
    };
    buffer_printf(out, "INSERT INTO ixn.%s (", s_name(ROWS_LIVE));
    s_print_names(out, ROWS_LIVE);
    buffer_printf(out, ") SELECT * FROM unnest(");
    int number = 0;
    for (const column_t *column = s_columns; column < s_columns + COLUMNS; column++)
        if (s_has(ROWS_LIVE, column)) {
            number++;
            buffer_printf(out, "%s$%d::%s[]", number > 1 ? ", " : "", number,
                          type_names[s_kind(ROWS_LIVE, column->field)]);
        }
    const char *comma = ") ON CONFLICT (id) DO UPDATE SET ";
    for (const column_t *column = s_columns + 1; column < s_columns + COLUMNS; column++)
        if (s_has(ROWS_LIVE, column)) {
            buffer_printf(out, "%s%s = excluded.%s", comma, column->name, column->name);
            comma = ", ";
        }
    buffer_append(out, "", 1);
}

static void s_make_copy(buffer_t *out, rows_table_t table)
{
    buffer_printf(out, "COPY ixn.%s (", s_name(table));
    s_print_names(out, table);
    buffer_printf(out, ") FROM STDIN (FORMAT binary)");
    buffer_append(out, "", 1);
}

void rows_init(rows_t *self)
{
    *self = (rows_t){0};
    s_make_upsert(&self->upsert_sql);
    for (rows_table_t table = ROWS_LIVE; table <= ROWS_HISTORY; table++) {
        s_make_copy(&self->copy_sql[table], table);
        for (const column_t *column = s_columns; column < s_columns + COLUMNS; column++)
            self->columns[table] += s_has(table, column);
    }
}

void rows_free(rows_t *self)
{
    for (size_t i = 0; i < ROWS_COLUMNS; i++)
        array_free(&self->arrays[i]);
    buffer_free(&self->upsert_sql);
    for (rows_table_t table = ROWS_LIVE; table <= ROWS_HISTORY; table++)
        buffer_free(&self->copy_sql[table]);
    array_free(&self->copy);
    *self = (rows_t){0};
}

const char *rows_upsert_sql(const rows_t *self)
{
    return (const char *)self->upsert_sql.bytes;
}

const char *rows_copy_sql(const rows_t *self, rows_table_t table)
{
    return (const char *)self->copy_sql[table].bytes;
}

static size_t s_row_bytes(const interaction_row_t *row)
{
    enum { FIXED = 500 }; /* numbers, times, ids, and the lengths of all elements */
    return FIXED + row->tenant.len + row->queue.len + row->media_type.len + row->type.len +
           row->subtype.len + row->external_id.len + row->submitted_by.len + row->key.len +
           row->attributes.len + row->journey.len + row->router.len + row->strategy.len +
           row->reason.len;
}

size_t rows_chunk(const interaction_row_t *const *rows, size_t len, size_t *ret_bytes)
{
    size_t count = 0;
    size_t bytes = 0;
    while (count < len && count < ROWS_CHUNK) {
        size_t more = s_row_bytes(rows[count]);
        if (count && bytes + more > ROWS_CHUNK_BYTES)
            break;
        bytes += more;
        count++;
    }
    *ret_bytes = bytes;
    return count;
}

static void s_add_text(array_t *array, field_t field, const text_t *text)
{
    if (field == FIELD_TEXT_OR_NULL && text->len == 0)
        array_add_null(array);
    else
        array_add_text(array, *text);
}

static void s_add_id(array_t *array, field_t field, const id128_t *id)
{
    if (field == FIELD_ID_OR_NULL && id_is_zero(*id))
        array_add_null(array);
    else
        array_add_id(array, *id);
}

static void s_add_u64(array_t *array, field_t field, uint64_t value)
{
    if (field == FIELD_U64_OR_NULL && value == 0)
        array_add_null(array);
    else
        array_add_int8(array, (int64_t)value);
}

static void s_add_time(array_t *array, field_t field, usec_t time)
{
    bool absent = (field == FIELD_DEADLINE && time == USEC_NEVER) ||
                  (field == FIELD_TIME_OR_NULL && time == 0);
    if (absent)
        array_add_null(array);
    else if (field == FIELD_DEADLINE || field == FIELD_LOG_TIME)
        array_add_int8(array, time);
    else
        array_add_time(array, time);
}

static void s_add(array_t *array, field_t field, const void *member)
{
    switch (field) {
    case FIELD_ID:
    case FIELD_ID_OR_NULL:
        s_add_id(array, field, member);
        break;
    case FIELD_STATE:
        array_add_text(array,
                       text_of(interaction_state_name(*(const interaction_state_t *)member)));
        break;
    case FIELD_BOOL:
        array_add_bool(array, *(const bool *)member);
        break;
    case FIELD_TEXT:
    case FIELD_TEXT_OR_NULL:
    case FIELD_BYTES:
    case FIELD_JSON:
        s_add_text(array, field, member);
        break;
    case FIELD_I32:
        array_add_int4(array, *(const int32_t *)member);
        break;
    case FIELD_COUNT: /* bounded far below by what counts it; the column is an integer */
        array_add_int4(array, (int32_t)(*(const uint32_t *)member & INT32_MAX));
        break;
    case FIELD_U32:
        array_add_int8(array, *(const uint32_t *)member);
        break;
    case FIELD_U64:
    case FIELD_U64_OR_NULL:
        s_add_u64(array, field, *(const uint64_t *)member);
        break;
    case FIELD_DEADLINE:
    case FIELD_LOG_TIME:
    case FIELD_TIME:
    case FIELD_TIME_OR_NULL:
        s_add_time(array, field, *(const usec_t *)member);
        break;
    }
}

const connection_params_t *rows_bind(rows_t *self, int count)
{
    CHECK(count <= ROWS_COLUMNS);
    for (int i = 0; i < count; i++) {
        array_t *array = &self->arrays[i];
        array_finish(array);
        CHECK(array->bytes.len <= INT32_MAX);
        self->types[i] = array_type(array->kind);
        self->values[i] = (const char *)array->bytes.bytes;
        self->lengths[i] = (int)array->bytes.len;
    }
    self->params = (connection_params_t){count, self->types, self->values, self->lengths};
    return &self->params;
}

const connection_params_t *rows_encode(rows_t *self, const interaction_row_t *const *rows,
                                       size_t len)
{
    int place = 0;
    for (const column_t *column = s_columns; column < s_columns + COLUMNS; column++) {
        if (!s_has(ROWS_LIVE, column))
            continue;
        array_t *array = &self->arrays[place++];
        array_start(array, s_kind(ROWS_LIVE, column->field));
        for (size_t i = 0; i < len; i++)
            s_add(array, column->field, (const char *)rows[i] + column->offset);
    }
    return rows_bind(self, place);
}

const connection_params_t *rows_encode_ids(rows_t *self, const id128_t *ids, size_t len)
{
    array_start(&self->arrays[0], ARRAY_UUID);
    for (size_t i = 0; i < len; i++)
        array_add_id(&self->arrays[0], ids[i]);
    return rows_bind(self, 1);
}

const buffer_t *rows_encode_copy(rows_t *self, rows_table_t table,
                                 const interaction_row_t *const *rows, size_t len,
                                 size_t *ret_count)
{
    uint8_t columns[2] = {0, self->columns[table]};
    array_t *copy = &self->copy;
    size_t count = 0;
    buffer_clear(&copy->bytes);
    while (count < len && copy->bytes.len < ROWS_COPY_BYTES) {
        const interaction_row_t *row = rows[count++];
        /* The view says of what is in the history that it is. */
        CHECK((row->state == INTERACTION_COMPLETED) == (table == ROWS_HISTORY));
        buffer_append(&copy->bytes, columns, sizeof columns);
        for (const column_t *column = s_columns; column < s_columns + COLUMNS; column++) {
            if (!s_has(table, column))
                continue;
            copy->kind = s_kind(table, column->field);
            s_add(copy, column->field, (const char *)row + column->offset);
        }
    }
    *ret_count = count;
    return &copy->bytes;
}
