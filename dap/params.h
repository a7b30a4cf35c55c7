/* Params: the binary parameters of one statement, added one by one. A value: `{0}` is none.
 *
 * Small values are copied; text and bytes must stay until the statement was sent. Knows the types
 * that the tables of dap/schema use and no others.
 */
#ifndef IXN_DAP_PARAMS_H
#define IXN_DAP_PARAMS_H

#include "core/base/id.h"
#include "dap/connection.h"

/* Numbers of PostgreSQL's built-in types (its catalog pg_type; they never change). */
enum {
    OID_BOOL = 16,
    OID_BYTEA = 17,
    OID_INT8 = 20,
    OID_INT4 = 23,
    OID_TEXT = 25,
    OID_OID = 26,
    OID_TIMESTAMPTZ = 1184,
    OID_UUID = 2950,
    OID_JSONB = 3802,
};

/* PostgreSQL counts its microseconds from 2000-01-01 00:00 UTC. */
#define PARAMS_WALL_OFFSET_US (946684800 * USEC_PER_SECOND)

#define PARAMS_MAX 16

typedef struct {
    int count;
    Oid types[PARAMS_MAX];
    const char *values[PARAMS_MAX];
    int lengths[PARAMS_MAX];
    char fixed[PARAMS_MAX][16];
} params_t;

void params_int8(params_t *self, uint64_t value); /* as bigint: the same 64 bits */
void params_int4(params_t *self, int32_t value);
void params_oid(params_t *self, uint32_t value);
void params_id(params_t *self, id128_t value);
void params_wall(params_t *self, usec_t wall_us);
void params_text(params_t *self, text_t value);
void params_bytes(params_t *self, text_t value);

/* For connection_query; points into `self`. */
connection_params_t params_all(const params_t *self);
/* Runs a statement whose result nobody needs. */
bool params_run(connection_t *connection, const char *sql, const params_t *params,
                error_t *ret_error);

#endif
