#include "dap/catalog_rows.h"

#include "core/base/check.h"
#include "dap/copy.h"
#include "dap/field.h"
#include "dap/params.h"

enum { PATIENCE_MS = 60 * 1000 };

typedef enum {
    COLUMN_TEXT,
    COLUMN_TEXT_OR_NULL, /* empty is NULL */
    COLUMN_BYTES,
    COLUMN_BOOL,
    COLUMN_U32, /* in a bigint */
    COLUMN_I32,
    COLUMN_I64,
    COLUMN_ID_OR_NULL,   /* zero is NULL */
    COLUMN_TIME_OR_NULL, /* 0 is NULL */
} column_kind_t;

typedef struct {
    const char *name;
    column_kind_t kind;
    size_t offset; /* in catalog_row_t */
} column_t;

enum { COLUMNS = 14 };

typedef struct {
    const char *table;
    const char *columns_sql; /* as below, for reading */
    const char *upsert_sql;
    const char *delete_sql;
    int keys; /* the first so many columns */
    int len;
    column_t columns[COLUMNS];
} table_t;

#define AT(member) offsetof(catalog_row_t, member)

static const table_t s_tables[CATALOG_KINDS] = {
    [CATALOG_STRATEGY] =
        {"ixn.strategy",
         "SELECT tenant, name, version, body, content_type, comment, put_by, put_at FROM "
         "ixn.strategy",
         "INSERT INTO ixn.strategy (tenant, name, version, body, content_type, comment, put_by, "
         "put_at) SELECT * FROM unnest($1::text[], $2::text[], $3::int8[], $4::bytea[], "
         "$5::text[], $6::text[], $7::text[], $8::timestamptz[]) ON CONFLICT (tenant, name, "
         "version) DO UPDATE SET body = excluded.body, content_type = excluded.content_type, "
         "comment = excluded.comment, put_by = excluded.put_by, put_at = excluded.put_at",
         "DELETE FROM ixn.strategy AS t USING unnest($1::text[], $2::text[], $3::int8[]) AS g(a, "
         "b, c) WHERE t.tenant = g.a AND t.name = g.b AND t.version = g.c",
         3,
         8,
         {{"tenant", COLUMN_TEXT, AT(tenant)},
          {"name", COLUMN_TEXT, AT(name)},
          {"version", COLUMN_U32, AT(version)},
          {"body", COLUMN_BYTES, AT(body)},
          {"content_type", COLUMN_TEXT, AT(content_type)},
          {"comment", COLUMN_TEXT, AT(comment)},
          {"put_by", COLUMN_TEXT, AT(by)},
          {"put_at", COLUMN_TIME_OR_NULL, AT(at)}}},
    [CATALOG_ACTIVATION] =
        {"ixn.strategy_activation",
         "SELECT tenant, name, router, version, activated_by, activated_at FROM "
         "ixn.strategy_activation",
         "INSERT INTO ixn.strategy_activation (tenant, name, router, version, activated_by, "
         "activated_at) SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::int8[], "
         "$5::text[], $6::timestamptz[]) ON CONFLICT (tenant, name, router) DO UPDATE SET "
         "version = excluded.version, activated_by = excluded.activated_by, activated_at = "
         "excluded.activated_at",
         "DELETE FROM ixn.strategy_activation AS t USING unnest($1::text[], $2::text[], "
         "$3::text[]) AS g(a, b, c) WHERE t.tenant = g.a AND t.name = g.b AND t.router = g.c",
         3,
         6,
         {{"tenant", COLUMN_TEXT, AT(tenant)},
          {"name", COLUMN_TEXT, AT(name)},
          {"router", COLUMN_TEXT, AT(router)},
          {"version", COLUMN_U32, AT(version)},
          {"activated_by", COLUMN_TEXT, AT(by)},
          {"activated_at", COLUMN_TIME_OR_NULL, AT(at)}}},
    [CATALOG_TURN] =
        {"ixn.strategy_turn",
         "SELECT tenant, name, last_router, highest_version FROM ixn.strategy_turn",
         "INSERT INTO ixn.strategy_turn (tenant, name, last_router, highest_version) SELECT * FROM "
         "unnest($1::text[], $2::text[], $3::text[], $4::int8[]) ON CONFLICT (tenant, name) DO "
         "UPDATE SET last_router = excluded.last_router, highest_version = "
         "excluded.highest_version",
         "DELETE FROM ixn.strategy_turn AS t USING unnest($1::text[], $2::text[]) AS g(a, b) WHERE "
         "t.tenant = g.a AND t.name = g.b",
         2,
         4,
         {{"tenant", COLUMN_TEXT, AT(tenant)},
          {"name", COLUMN_TEXT, AT(name)},
          {"last_router", COLUMN_TEXT, AT(router)},
          {"highest_version", COLUMN_U32, AT(version)}}},
    [CATALOG_AGENT] =
        {"ixn.agent",
         "SELECT tenant, name, added, changed_by, changed_at, router, interaction_id, grant_epoch, "
         "grant_index, work_epoch, work_index, priority, expires_log_us, change FROM ixn.agent",
         "INSERT INTO ixn.agent (tenant, name, added, changed_by, changed_at, router, "
         "interaction_id, grant_epoch, grant_index, work_epoch, work_index, priority, "
         "expires_log_us, change) SELECT * FROM unnest($1::text[], $2::text[], $3::bool[], "
         "$4::text[], $5::timestamptz[], $6::text[], $7::uuid[], $8::int8[], $9::int8[], "
         "$10::int8[], $11::int8[], $12::int4[], $13::int8[], $14::int8[]) ON CONFLICT (tenant, "
         "name) DO UPDATE SET added = excluded.added, changed_by = excluded.changed_by, "
         "changed_at = excluded.changed_at, router = excluded.router, interaction_id = "
         "excluded.interaction_id, grant_epoch = excluded.grant_epoch, grant_index = "
         "excluded.grant_index, work_epoch = excluded.work_epoch, work_index = "
         "excluded.work_index, priority = excluded.priority, expires_log_us = "
         "excluded.expires_log_us, change = excluded.change",
         "DELETE FROM ixn.agent AS t USING unnest($1::text[], $2::text[]) AS g(a, b) WHERE "
         "t.tenant = g.a AND t.name = g.b",
         2,
         14,
         {{"tenant", COLUMN_TEXT, AT(tenant)},
          {"name", COLUMN_TEXT, AT(name)},
          {"added", COLUMN_BOOL, AT(added)},
          {"changed_by", COLUMN_TEXT_OR_NULL, AT(by)},
          {"changed_at", COLUMN_TIME_OR_NULL, AT(at)},
          {"router", COLUMN_TEXT_OR_NULL, AT(router)},
          {"interaction_id", COLUMN_ID_OR_NULL, AT(interaction_id)},
          {"grant_epoch", COLUMN_I64, AT(grant_epoch)},
          {"grant_index", COLUMN_I64, AT(grant_index)},
          {"work_epoch", COLUMN_I64, AT(work_epoch)},
          {"work_index", COLUMN_I64, AT(work_index)},
          {"priority", COLUMN_I32, AT(priority)},
          {"expires_log_us", COLUMN_I64, AT(expires)},
          {"change", COLUMN_I64, AT(change)}}},
    [CATALOG_DRAIN] =
        {"ixn.router_drain",
         "SELECT tenant, router, reason, drained_by, drained_at FROM ixn.router_drain",
         "INSERT INTO ixn.router_drain (tenant, router, reason, drained_by, drained_at) SELECT * "
         "FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[]) ON "
         "CONFLICT (tenant, router) DO UPDATE SET reason = excluded.reason, drained_by = "
         "excluded.drained_by, drained_at = excluded.drained_at",
         "DELETE FROM ixn.router_drain AS t USING unnest($1::text[], $2::text[]) AS g(a, b) WHERE "
         "t.tenant = g.a AND t.router = g.b",
         2,
         5,
         {{"tenant", COLUMN_TEXT, AT(tenant)},
          {"router", COLUMN_TEXT, AT(name)},
          {"reason", COLUMN_TEXT, AT(comment)},
          {"drained_by", COLUMN_TEXT, AT(by)},
          {"drained_at", COLUMN_TIME_OR_NULL, AT(at)}}},
};

/* ---- Into the tables ---- */

static array_kind_t s_array_kind(column_kind_t kind)
{
    switch (kind) {
    case COLUMN_TEXT:
    case COLUMN_TEXT_OR_NULL:
        return ARRAY_TEXT;
    case COLUMN_BYTES:
        return ARRAY_BYTEA;
    case COLUMN_BOOL:
        return ARRAY_BOOL;
    case COLUMN_I32:
        return ARRAY_INT4;
    case COLUMN_U32:
    case COLUMN_I64:
        return ARRAY_INT8;
    case COLUMN_ID_OR_NULL:
        return ARRAY_UUID;
    case COLUMN_TIME_OR_NULL:
        return ARRAY_TIMESTAMPTZ;
    }
    CHECK(false); /* a column of no kind */
    return ARRAY_TEXT;
}

static void s_add(array_t *array, column_kind_t kind, const void *field)
{
    switch (kind) {
    case COLUMN_TEXT:
    case COLUMN_BYTES:
        array_add_text(array, *(const text_t *)field);
        return;
    case COLUMN_TEXT_OR_NULL:
        if (((const text_t *)field)->len)
            array_add_text(array, *(const text_t *)field);
        else
            array_add_null(array);
        return;
    case COLUMN_BOOL:
        array_add_bool(array, *(const bool *)field);
        return;
    case COLUMN_U32:
        array_add_int8(array, *(const uint32_t *)field);
        return;
    case COLUMN_I32:
        array_add_int4(array, *(const int32_t *)field);
        return;
    case COLUMN_I64:
        array_add_int8(array, *(const int64_t *)field);
        return;
    case COLUMN_ID_OR_NULL:
        if (id_is_zero(*(const id128_t *)field))
            array_add_null(array);
        else
            array_add_id(array, *(const id128_t *)field);
        return;
    case COLUMN_TIME_OR_NULL:
        if (*(const usec_t *)field == 0)
            array_add_null(array);
        else
            array_add_time(array, *(const usec_t *)field);
        return;
    }
}

/* Rows of one kind, all of them to go or to stay, that one statement carries. */
static size_t s_chunk(const catalog_row_t *rows, size_t len, size_t *ret_bytes)
{
    size_t count = 0, bytes = 0;
    while (count < len && count < ROWS_CHUNK && rows[count].kind == rows[0].kind &&
           rows[count].gone == rows[0].gone) {
        size_t size = rows[count].body.len + rows[count].comment.len + 200;
        if (count > 0 && bytes + size > ROWS_CHUNK_BYTES)
            break;
        bytes += size;
        count++;
    }
    *ret_bytes = bytes;
    return count;
}

const char *catalog_rows_encode(rows_t *encoder, const catalog_row_t *rows, size_t len,
                                const connection_params_t **ret_params, size_t *ret_count,
                                size_t *ret_bytes)
{
    const table_t *table = &s_tables[rows[0].kind];
    int columns = rows[0].gone ? table->keys : table->len;
    *ret_count = s_chunk(rows, len, ret_bytes);
    for (int i = 0; i < columns; i++) {
        const column_t *column = &table->columns[i];
        array_start(&encoder->arrays[i], s_array_kind(column->kind));
        for (size_t row = 0; row < *ret_count; row++)
            s_add(&encoder->arrays[i], column->kind, (const char *)&rows[row] + column->offset);
    }
    *ret_params = rows_bind(encoder, columns);
    return rows[0].gone ? table->delete_sql : table->upsert_sql;
}

/* ---- Out of the tables ---- */

static Oid s_oid(column_kind_t kind)
{
    return array_element_type(s_array_kind(kind));
}

static void s_read(field_t from, column_kind_t kind, void *field)
{
    switch (kind) {
    case COLUMN_TEXT:
    case COLUMN_TEXT_OR_NULL:
    case COLUMN_BYTES:
        *(text_t *)field = field_text(from);
        return;
    case COLUMN_BOOL:
        *(bool *)field = field_bool(from);
        return;
    case COLUMN_U32:
        *(uint32_t *)field = (uint32_t)field_int8(from);
        return;
    case COLUMN_I32:
        *(int32_t *)field = field_int4(from);
        return;
    case COLUMN_I64:
        *(uint64_t *)field = field_int8(from);
        return;
    case COLUMN_ID_OR_NULL:
        *(id128_t *)field = field_id(from);
        return;
    case COLUMN_TIME_OR_NULL:
        *(usec_t *)field = field_wall(from);
        return;
    }
}

static bool s_read_table(connection_t *connection, catalog_kind_t kind, catalog_rows_fn *on_row,
                         void *context, error_t *ret_error)
{
    const table_t *table = &s_tables[kind];
    Oid types[COLUMNS];
    for (int i = 0; i < table->len; i++)
        types[i] = s_oid(table->columns[i].kind);
    const copy_query_t query = {
        .what = table->table, .select = table->columns_sql, .types = types, .columns = table->len};
    copy_t copy;
    if (!copy_start(&copy, connection, &query, PATIENCE_MS, ret_error))
        return false;
    bool taken = true;
    copy_result_t result = COPY_END;
    while (taken && (result = copy_next(&copy, ret_error)) == COPY_ROW) {
        catalog_row_t row = {.kind = kind};
        for (int i = 0; i < table->len; i++)
            s_read(copy.fields[i], table->columns[i].kind, (char *)&row + table->columns[i].offset);
        taken = on_row(context, &row, ret_error);
    }
    copy_end(&copy);
    return taken && result == COPY_END;
}

bool catalog_rows_read(connection_t *connection, catalog_rows_fn *on_row, void *context,
                       error_t *ret_error)
{
    for (catalog_kind_t kind = 0; kind < CATALOG_KINDS; kind++)
        if (!s_read_table(connection, kind, on_row, context, ret_error))
            return false;
    return true;
}
