#include "dap/service_rows.h"

#include "dap/params.h"

enum { COLUMNS = 22 };

#define NAMES                                                                                      \
    "token_epoch, token_index, interaction_id, state, target, name, service, method, key, "        \
    "parameters, fingerprint, safe, attempts, server, incarnation, sent_epoch, sent_index, "       \
    "deadline_log_us, asked_at, result, fault, fault_text"

/* In the order of NAMES. */
static const array_kind_t s_kinds[COLUMNS] = {
    ARRAY_INT8,        ARRAY_INT8,  ARRAY_UUID,  ARRAY_TEXT,  ARRAY_TEXT, ARRAY_TEXT,
    ARRAY_TEXT,        ARRAY_TEXT,  ARRAY_BYTEA, ARRAY_JSONB, ARRAY_INT8, ARRAY_BOOL,
    ARRAY_INT4,        ARRAY_TEXT,  ARRAY_UUID,  ARRAY_INT8,  ARRAY_INT8, ARRAY_INT8,
    ARRAY_TIMESTAMPTZ, ARRAY_JSONB, ARRAY_TEXT,  ARRAY_TEXT,
};

const char service_rows_sql[] =
    "INSERT INTO ixn.service_request (" NAMES
    ") SELECT * FROM unnest("
    "$1::int8[], $2::int8[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], "
    "$8::text[], $9::bytea[], $10::jsonb[], $11::int8[], $12::bool[], $13::int4[], $14::text[], "
    "$15::uuid[], $16::int8[], $17::int8[], $18::int8[], $19::timestamptz[], $20::jsonb[], "
    "$21::text[], $22::text[]) "
    "ON CONFLICT (token_epoch, token_index) DO UPDATE SET state = excluded.state, "
    "attempts = excluded.attempts, server = excluded.server, incarnation = excluded.incarnation, "
    "sent_epoch = excluded.sent_epoch, sent_index = excluded.sent_index, "
    "result = excluded.result, fault = excluded.fault, fault_text = excluded.fault_text";

const char service_rows_gone_sql[] =
    "DELETE FROM ixn.service_request AS r USING unnest($1::int8[], $2::int8[]) AS g(e, i) "
    "WHERE r.token_epoch = g.e AND r.token_index = g.i";

static void s_text_or_null(array_t *array, text_t text)
{
    if (text.len)
        array_add_text(array, text);
    else
        array_add_null(array);
}

static void s_number_or_null(array_t *array, uint64_t number)
{
    if (number)
        array_add_int8(array, (int64_t)number);
    else
        array_add_null(array);
}

static void s_add(array_t *at, const service_row_t *row)
{
    array_add_int8(at++, (int64_t)row->token.epoch);
    array_add_int8(at++, (int64_t)row->token.index);
    array_add_id(at++, row->interaction_id);
    array_add_text(at++, text_of(service_state_name(row->state)));
    array_add_text(at++, text_of(service_target_name(row->target)));
    array_add_text(at++, row->name);
    array_add_text(at++, row->service);
    array_add_text(at++, row->method);
    array_add_text(at++, row->key);
    array_add_text(at++, row->parameters);
    array_add_int8(at++, (int64_t)row->fingerprint);
    array_add_bool(at++, row->safe);
    array_add_int4(at++, (int32_t)row->attempts);
    s_text_or_null(at++, row->server);
    if (row->server.len)
        array_add_id(at++, row->incarnation);
    else
        array_add_null(at++);
    s_number_or_null(at++, row->server.len ? row->sent.epoch : 0);
    s_number_or_null(at++, row->server.len ? row->sent.index : 0);
    array_add_int8(at++, row->deadline);
    array_add_time(at++, row->asked_at);
    s_text_or_null(at++, row->result);
    s_text_or_null(at++, row->fault);
    s_text_or_null(at++, row->fault_text);
}

const connection_params_t *service_rows_encode(rows_t *encoder, const service_row_t *rows,
                                               size_t len)
{
    for (int i = 0; i < COLUMNS; i++)
        array_start(&encoder->arrays[i], s_kinds[i]);
    for (size_t i = 0; i < len; i++)
        s_add(encoder->arrays, &rows[i]);
    return rows_bind(encoder, COLUMNS);
}

size_t service_rows_chunk(const service_row_t *rows, size_t len, size_t *ret_bytes)
{
    enum { FIXED = 500 };
    size_t count = 0, bytes = 0;
    while (count < len && count < ROWS_CHUNK) {
        const service_row_t *row = &rows[count];
        size_t more = FIXED + row->parameters.len + row->result.len;
        if (count && bytes + more > ROWS_CHUNK_BYTES)
            break;
        bytes += more;
        count++;
    }
    *ret_bytes = bytes;
    return count;
}

const connection_params_t *service_rows_encode_gone(rows_t *encoder, const service_token_t *gone,
                                                    size_t len)
{
    array_start(&encoder->arrays[0], ARRAY_INT8);
    array_start(&encoder->arrays[1], ARRAY_INT8);
    for (size_t i = 0; i < len; i++) {
        array_add_int8(&encoder->arrays[0], (int64_t)gone[i].epoch);
        array_add_int8(&encoder->arrays[1], (int64_t)gone[i].index);
    }
    return rows_bind(encoder, 2);
}

/* ---- Reading ---- */

static const Oid s_types[COLUMNS] = {
    OID_INT8,  OID_INT8,  OID_UUID,        OID_TEXT,  OID_TEXT, OID_TEXT, OID_TEXT, OID_TEXT,
    OID_BYTEA, OID_JSONB, OID_INT8,        OID_BOOL,  OID_INT4, OID_TEXT, OID_UUID, OID_INT8,
    OID_INT8,  OID_INT8,  OID_TIMESTAMPTZ, OID_JSONB, OID_TEXT, OID_TEXT,
};

const copy_query_t service_rows_query = {.what = "ixn.service_request",
                                         .select = "SELECT " NAMES " FROM ixn.service_request",
                                         .types = s_types,
                                         .columns = COLUMNS};

bool service_rows_read(const field_t *fields, service_row_t *ret_row, error_t *ret_error)
{
    *ret_row = (service_row_t){
        .token = {field_int8(fields[0]), field_int8(fields[1])},
        .interaction_id = field_id(fields[2]),
        .name = field_text(fields[5]),
        .service = field_text(fields[6]),
        .method = field_text(fields[7]),
        .key = field_text(fields[8]),
        .parameters = field_jsonb(fields[9]),
        .fingerprint = field_int8(fields[10]),
        .safe = field_bool(fields[11]),
        .attempts = (uint32_t)field_int4(fields[12]),
        .server = field_text(fields[13]),
        .incarnation = field_id(fields[14]),
        .sent = {field_int8(fields[15]), field_int8(fields[16])},
        .deadline = (usec_t)field_int8(fields[17]),
        .asked_at = field_wall(fields[18]),
        .result = field_jsonb(fields[19]),
        .fault = field_text(fields[20]),
        .fault_text = field_text(fields[21]),
    };
    if (service_state_parse(field_text(fields[3]), &ret_row->state) &&
        service_target_parse(field_text(fields[4]), &ret_row->target))
        return true;
    return error_set(ret_error, ERROR_DATABASE_SCHEMA,
                     "service request %llu/%llu has a state or a target that this program does not "
                     "know; use the version that wrote it",
                     (unsigned long long)ret_row->token.epoch,
                     (unsigned long long)ret_row->token.index);
}
