/* Commands `database init`, `migrate` and `status`: a shell around dap/database.h.
 */
#include "apps/ixnctl/command.h"

#include <jansson.h>
#include <stdlib.h>

#include "apps/ixnctl/parts/units.h"
#include "core/base/check.h"
#include "dap/database.h"

/* None has options of its own. */
static database_t *s_open(common_t *common, error_t *ret_error)
{
    const config_t *config = common_config(common, ret_error);
    return config ? database_open(config, ret_error) : NULL;
}

static json_t *s_identity_json(const identity_t *identity)
{
    char id[ID_TEXT_SIZE];
    char system[UNITS_TEXT_SIZE]; /* 64 bits without a sign: more than JSON numbers hold */
    snprintf(system, sizeof system, "%llu", (unsigned long long)identity->system_identifier);
    json_t *json =
        json_pack("{s:s, s:s, s:I}", "database_id", id_text(identity->database_id, id),
                  "system_identifier", system, "database_oid", (json_int_t)identity->database_oid);
    CHECK(json);
    return json;
}

int command_database_init(common_t *common, int argc, char **argv)
{
    static const char doc[] =
        "Make the tables in an empty database and stamp its identity.\v"
        "The database itself must exist (createdb) and be named by a DAP of the "
        "configuration. A database that has these tables already is not touched: its "
        "identity is told.\n\nExample:\n  ixnctl --config ixnd.yaml database init";
    common_parse_only(common, doc, argc, argv);
    error_t error = {0};
    identity_t identity = {0};
    database_t *database = s_open(common, &error);
    if (!database || !database_init(database, &identity, &error)) {
        database_destroy(&database);
        return common_fail(&error);
    }
    database_destroy(&database);
    char id[ID_TEXT_SIZE];
    char text[IDENTITY_TEXT_SIZE];
    buffer_t out = {0};
    if (common->json)
        common_append_json(&out, s_identity_json(&identity));
    else
        buffer_printf(&out,
                      "The database is ready: %s.\n"
                      "Next: start the node (ixnd --config %s). To let it accept no other database "
                      "ever, put\nthis into its configuration first, section database:\n"
                      "    id: %s\n",
                      identity_text(&identity, text),
                      common->config_path ? common->config_path : "FILE",
                      id_text(identity.database_id, id));
    bool printed = common_print(&out);
    buffer_free(&out);
    return printed ? EXIT_DONE : EXIT_PARTLY;
}

int command_database_migrate(common_t *common, int argc, char **argv)
{
    static const char doc[] =
        "Bring the tables of an older version to the one this program needs.\v"
        "Stop the nodes of the older version first. All missing migrations are applied in one "
        "transaction, or none. Nothing happens when none is missing.\n\n"
        "Example:\n  ixnctl --config ixnd.yaml database migrate";
    common_parse_only(common, doc, argc, argv);
    error_t error = {0};
    uint32_t applied = 0;
    database_t *database = s_open(common, &error);
    bool done = database && database_migrate(database, &applied, &error);
    database_destroy(&database);
    if (!done)
        return common_fail(&error);
    buffer_t out = {0};
    if (common->json)
        common_append_json(&out, json_pack("{s:I, s:i}", "applied", (json_int_t)applied,
                                           "schema_version", DATABASE_SCHEMA_VERSION));
    else
        buffer_printf(&out, "%u migrations applied; the schema has version %d.\n", applied,
                      DATABASE_SCHEMA_VERSION);
    bool printed = common_print(&out);
    buffer_free(&out);
    return printed ? EXIT_DONE : EXIT_PARTLY;
}

static uint64_t s_lag(const database_status_t *status)
{
    return status->head_index > status->checkpoint_index
               ? status->head_index - status->checkpoint_index
               : 0;
}

static void s_append_status(buffer_t *out, const database_status_t *status)
{
    char text[IDENTITY_TEXT_SIZE];
    char other[UNITS_TEXT_SIZE];
    char generation[ID_TEXT_SIZE];
    table_t table = {.columns_len = 2};
    table_add(&table, TEXT("identity"));
    table_add(&table, text_of(identity_text(&status->identity, text)));
    table_add(&table, TEXT("server"));
    table_add(&table, text_of(status->server));
    table_add(&table, TEXT("schema"));
    table_printf(&table, "version %u (this program needs %d)", status->schema_version,
                 DATABASE_SCHEMA_VERSION);
    table_add(&table, TEXT("epoch"));
    table_printf(&table, "%llu%s", (unsigned long long)status->epoch,
                 id_is_zero(status->generation) ? " (no node has claimed it yet)" : "");
    if (!id_is_zero(status->generation)) {
        table_add(&table, TEXT("generation"));
        table_add(&table, text_of(id_text(status->generation, generation)));
        table_add(&table, TEXT("owner"));
        table_add(&table, text_of(status->owner));
    }
    table_add(&table, TEXT("head"));
    const char *decided = units_time(status->head_wall_time, other);
    table_printf(&table, "index %llu%s%s", (unsigned long long)status->head_index,
                 *decided ? ", decided " : "", decided);
    table_add(&table, TEXT("checkpoint"));
    table_printf(&table, "index %llu", (unsigned long long)status->checkpoint_index);
    table_add(&table, TEXT("lag"));
    table_printf(&table, "%s entries to replay at a start", units_count(s_lag(status), other));
    table_layout(&table, (table_style_t){0}, out);
    table_free(&table);
}

static json_t *s_status_json(const database_status_t *status)
{
    char generation[ID_TEXT_SIZE];
    char hash[ID_TEXT_SIZE];
    char decided[UNITS_TEXT_SIZE];
    id_text(status->generation, generation);
    units_time(status->head_wall_time, decided);
    json_t *json =
        json_pack("{s:o, s:s, s:i, s:I, s:s?, s:s?, s:I, s:s, s:s?, s:I, s:I}", "identity",
                  s_identity_json(&status->identity), "server", status->server, "schema_version",
                  (int)status->schema_version, "epoch", (json_int_t)status->epoch, "generation",
                  id_is_zero(status->generation) ? NULL : generation, "owner",
                  id_is_zero(status->generation) ? NULL : status->owner, "head_index",
                  (json_int_t)status->head_index, "head_hash", id_text(status->head_hash, hash),
                  "head_decided_at", *decided ? decided : NULL, "checkpoint_index",
                  (json_int_t)status->checkpoint_index, "lag_entries", (json_int_t)s_lag(status));
    CHECK(json);
    return json;
}

int command_database_status(common_t *common, int argc, char **argv)
{
    static const char doc[] =
        "Say which database the DAPs reach, who writes it, and how far it is.\v"
        "The head is the newest committed entry of the journal; the checkpoint is what the "
        "tables show; the lag between them is what a node replays when it starts.\n\n"
        "Example:\n  ixnctl --config ixnd.yaml database status";
    common_parse_only(common, doc, argc, argv);
    error_t error = {0};
    database_status_t status = {0};
    database_t *database = s_open(common, &error);
    bool done = database && database_status(database, NULL, &status, &error);
    database_destroy(&database);
    if (!done)
        return common_fail(&error);
    buffer_t out = {0};
    if (common->json)
        common_append_json(&out, s_status_json(&status));
    else
        s_append_status(&out, &status);
    bool printed = common_print(&out);
    buffer_free(&out);
    return printed ? EXIT_DONE : EXIT_PARTLY;
}
