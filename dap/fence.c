#include "dap/fence.h"

#include <inttypes.h>
#include <stdio.h>

const char *fence_condition(const fence_t *self, char text[FENCE_TEXT_SIZE])
{
    char database_id[ID_TEXT_SIZE];
    char generation[ID_TEXT_SIZE];
    snprintf(text, FENCE_TEXT_SIZE,
             "p.database_id = '%s' AND c.generation = '%s'"
             " AND (SELECT system_identifier FROM pg_control_system()) = %" PRId64
             " AND (SELECT oid FROM pg_database WHERE datname = current_database()) = %" PRIu32
             " AND extract(epoch FROM pg_postmaster_start_time()) * 1000000 = %" PRId64
             " AND current_setting('port')::int4 = %" PRIu32,
             id_text(self->identity.database_id, database_id),
             id_text(self->generation, generation), (int64_t)self->identity.system_identifier,
             self->identity.database_oid, self->instance.started_at, self->instance.port);
    return text;
}
