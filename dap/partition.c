#include "dap/partition.h"

#include <stdio.h>
#include <time.h>

#include "core/base/buffer.h"
#include "core/base/check.h"
#include "core/base/log.h"
#include "dap/field.h"
#include "dap/params.h"
#include "dap/pipeline.h"

#define DAY_US (INT64_C(86400) * USEC_PER_SECOND)
#define LAST_DAY 2932896 /* 9999-12-31 */

/* Attaching waits for nobody but other changes of the history's definition (and ANALYZE by hand),
 * and nobody waits behind it. */
enum { MAKE_LOCK_TIMEOUT_MS = 1000 };
/* Dropping stops every reader of the history while it waits. */
enum { DROP_LOCK_TIMEOUT_MS = 50 };

/* SQLSTATE of a drop that the fence keeps back: a class that neither PostgreSQL nor a trigger's
 * plain RAISE EXCEPTION uses. */
#define FENCED "IX001"

int64_t partition_day(usec_t wall_us)
{
    int64_t day = wall_us / DAY_US;
    return wall_us % DAY_US < 0 ? day - 1 : day;
}

bool partition_day_valid(int64_t day)
{
    return day >= 0 && day <= LAST_DAY;
}

static struct tm s_calendar(int64_t day)
{
    time_t seconds = (time_t)(day * 86400);
    struct tm calendar;
    CHECK(gmtime_r(&seconds, &calendar));
    return calendar;
}

const char *partition_name(int64_t day, char name[PARTITION_NAME_SIZE])
{
    CHECK(partition_day_valid(day));
    struct tm calendar = s_calendar(day);
    snprintf(name, PARTITION_NAME_SIZE, "interaction_finished_%04d%02d%02d",
             calendar.tm_year + 1900, calendar.tm_mon + 1, calendar.tm_mday);
    return name;
}

/* "2026-01-31"; the end of the last day, "10000-01-01", is a date for PostgreSQL too. */
static const char *s_date(int64_t day, char date[40])
{
    struct tm calendar = s_calendar(day);
    snprintf(date, 40, "%04d-%02d-%02d", calendar.tm_year + 1900, calendar.tm_mon + 1,
             calendar.tm_mday);
    return date;
}

/* The beginning of a DO block; what it does (as PL/pgSQL) when the fence does not hold. */
static void s_print_fenced(buffer_t *sql, const fence_t *fence, const char *otherwise)
{
    char condition[FENCE_TEXT_SIZE];
    buffer_printf(sql,
                  "DO $$ BEGIN "
                  "PERFORM FROM ixn.pair AS p, ixn.checkpoint AS c WHERE %s; "
                  "IF NOT FOUND THEN %s; END IF; ",
                  fence_condition(fence, condition), otherwise);
}

static bool s_run(connection_t *connection, buffer_t *sql, uint32_t timeout_ms,
                  uint32_t lock_timeout_ms, error_t *ret_error)
{
    buffer_append(sql, " END $$", sizeof " END $$");
    pipeline_statement_t statement = {(const char *)sql->bytes, NULL, -1, timeout_ms};
    bool done = pipeline_transaction(connection, &statement, lock_timeout_ms, NULL, ret_error);
    buffer_free(sql);
    return done;
}

/* What a day grows by is looked at by autovacuum again and again: in samples of a tenth of the
 * usual size, and once it has grown by half. A partition takes none of it from its parent. */
#define GROWTH "autovacuum_analyze_scale_factor = 0.5"
#define SAMPLE "30"

/* … as PL/pgSQL, while the day's table is empty. */
static void s_print_samples(buffer_t *sql, const char *name)
{
    buffer_printf(sql,
                  "EXECUTE (SELECT 'ALTER TABLE ixn.%s ' || string_agg(format("
                  "'ALTER COLUMN %%I SET STATISTICS " SAMPLE
                  "', attname), ', ') "
                  "FROM pg_attribute WHERE attrelid = 'ixn.%s'::regclass AND attnum > 0 "
                  "AND NOT attisdropped); ",
                  name, name);
}

/* … as PL/pgSQL: returns when the day is a partition, and raises what keeps it from becoming one.
 * `day` is its range. Bounds are read as they are shown, so it says how; without the partition's
 * oid, with which pg_get_expr would wait for whoever has locked that one. */
static const char s_look_sql[] =
    "PERFORM set_config('timezone', 'UTC', true), set_config('datestyle', 'ISO', true); "
    "FOR other IN SELECT format('%s.%s', n.nspname, c.relname) AS name, i.inhrelid::regclass AS "
    "part, "
    "b.bound = 'DEFAULT' AS is_default, r.range, "
    "i.inhrelid = to_regclass(ours) AND r.range = day AND NOT i.inhdetachpending AS is_it "
    "FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid "
    "JOIN pg_namespace AS n ON n.oid = c.relnamespace "
    "CROSS JOIN LATERAL pg_get_expr(c.relpartbound, 0) AS b(bound) "
    "CROSS JOIN LATERAL tstzrange("
    "substring(b.bound FROM 'FROM [(]''([^'']*)''[)]')::timestamptz, "
    "substring(b.bound FROM 'TO [(]''([^'']*)''[)]')::timestamptz) AS r(range) "
    "WHERE i.inhparent = 'ixn.interaction_finished'::regclass AND r.range && day "
    "ORDER BY is_default LOOP "
    "IF other.is_it THEN RETURN; END IF; "
    "IF NOT other.is_default THEN RAISE EXCEPTION '% % is in the way of % %: detach it from "
    "ixn.interaction_finished', other.name, other.range, ours, day; END IF; "
    "EXECUTE format('SELECT EXISTS (SELECT FROM %s WHERE completed_at >= $1 AND "
    "completed_at < $2)', other.part) INTO has_rows USING lower(day), upper(day); "
    "IF has_rows THEN RAISE EXCEPTION '%, the default partition, holds rows of % %: detach it from "
    "ixn.interaction_finished', other.name, ours, day; END IF; "
    "END LOOP; "
    "IF to_regclass(ours) IS NOT NULL THEN RAISE EXCEPTION '% is there and is no partition of "
    "ixn.interaction_finished for %: attach it again, or give it another name', ours, day; "
    "END IF; ";

bool partition_make(connection_t *connection, const partition_options_t *options, int64_t day,
                    error_t *ret_error)
{
    char name[PARTITION_NAME_SIZE];
    char from[40];
    char to[40];
    partition_name(day, name);
    s_date(day, from);
    s_date(day + 1, to);
    buffer_t sql = {0};
    s_print_fenced(&sql, &options->fence, "RETURN");
    buffer_printf(&sql,
                  "DECLARE ours CONSTANT text := 'ixn.%s'; other record; has_rows boolean; "
                  "day CONSTANT tstzrange := tstzrange('%s 00:00:00+00', '%s 00:00:00+00'); BEGIN "
                  "%s"
                  "CREATE TABLE ixn.%s (LIKE ixn.interaction_finished INCLUDING ALL) "
                  "WITH (" GROWTH
                  "); "
                  "CREATE UNIQUE INDEX ON ixn.%s (id); ",
                  name, from, to, s_look_sql, name, name);
    s_print_samples(&sql, name);
    buffer_printf(&sql,
                  "COMMENT ON TABLE ixn.%s IS 'Interactions that were finished on %s (UTC).'; "
                  "ALTER TABLE ixn.interaction_finished ATTACH PARTITION ixn.%s "
                  "FOR VALUES FROM ('%s 00:00:00+00') TO ('%s 00:00:00+00'); "
                  "END;",
                  name, from, name, from, to);
    return s_run(connection, &sql, options->timeout_ms, MAKE_LOCK_TIMEOUT_MS, ret_error);
}

bool partition_today(connection_t *connection, const partition_options_t *options, int64_t *ret_day,
                     error_t *ret_error)
{
    PGresult *result = connection_query_within(
        connection, "SELECT floor(extract(epoch FROM clock_timestamp()) / 86400)::bigint", NULL,
        options->timeout_ms, ret_error);
    if (!result)
        return false;
    *ret_day = (int64_t)field_int8(field_of(result, 0, 0));
    PQclear(result);
    return true;
}

/* The first partition of ours after `after` whose whole day is over long enough; "" when there is
 * none. One that is called so and holds another range is somebody else's (bounds are compared as
 * text, since the settings of the session write both); a name need not be a date either. */
static bool s_next(connection_t *connection, const partition_options_t *options, const char *after,
                   char ret_name[PARTITION_NAME_SIZE], error_t *ret_error)
{
    params_t params = {0};
    params_int8(&params, (uint64_t)options->retention_us);
    params_text(&params, text_of(after));
    connection_params_t all = params_all(&params);
    PGresult *result = connection_query_within(
        connection,
        "SELECT c.relname::text FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid "
        "CROSS JOIN LATERAL substring(c.relname FROM "
        "'^interaction_(?:finished|history)_([0-9]{8})$') AS d(day) "
        "CROSS JOIN LATERAL (SELECT timestamp 'epoch' + make_interval("
        "years => left(d.day, 4)::int4 - 1970, months => substr(d.day, 5, 2)::int4 - 1, "
        "days => right(d.day, 2)::int4 - 1)) AS r(start) "
        "WHERE i.inhparent IN ('ixn.interaction_finished'::regclass, "
        "'ixn.interaction_history_before'::regclass) AND d.day IS NOT NULL "
        "AND pg_get_expr(c.relpartbound, 0) = format('FOR VALUES FROM (%L) TO (%L)', "
        "r.start AT TIME ZONE 'UTC', (r.start + interval '1 day') AT TIME ZONE 'UTC') "
        "AND (r.start + interval '1 day') AT TIME ZONE 'UTC' "
        "<= clock_timestamp() - $1 * interval '1 microsecond' "
        "AND c.relname > $2 COLLATE \"C\" ORDER BY c.relname COLLATE \"C\" LIMIT 1",
        &all, options->timeout_ms, ret_error);
    if (!result)
        return false;
    ret_name[0] = 0;
    if (PQntuples(result))
        field_copy(field_of(result, 0, 0), ret_name, PARTITION_NAME_SIZE);
    PQclear(result);
    return true;
}

/* Whether anything in it was completed within the last day of log time. */
static bool s_is_needed(connection_t *connection, const partition_options_t *options,
                        const char *name, bool *ret_needed, error_t *ret_error)
{
    char sql[200 + PARTITION_NAME_SIZE];
    snprintf(sql, sizeof sql,
             "SELECT EXISTS (SELECT FROM ixn.%s AS h, ixn.checkpoint AS c "
             "WHERE h.completed_log_us > c.log_time_us - %lld)",
             name, (long long)DAY_US);
    pipeline_statement_t statement = {sql, NULL, -1, options->timeout_ms};
    PGresult *result = NULL;
    if (!pipeline_transaction(connection, &statement, DROP_LOCK_TIMEOUT_MS, &result, ret_error))
        return false;
    *ret_needed = field_bool(field_of(result, 0, 0));
    PQclear(result);
    return true;
}

static bool s_drop(connection_t *connection, const partition_options_t *options, const char *name,
                   error_t *ret_error)
{
    buffer_t sql = {0};
    s_print_fenced(&sql, &options->fence,
                   "RAISE EXCEPTION 'this is not the database or the epoch that may drop it' "
                   "USING ERRCODE = '" FENCED "'");
    buffer_printf(&sql, "DROP TABLE ixn.%s;", name);
    if (!s_run(connection, &sql, options->timeout_ms, DROP_LOCK_TIMEOUT_MS, ret_error))
        return false;
    log_info("history.dropped", "partition=%s", name);
    return true;
}

partition_drop_t partition_drop_next(connection_t *connection, const partition_options_t *options,
                                     char after[PARTITION_NAME_SIZE], error_t *ret_error)
{
    char name[PARTITION_NAME_SIZE];
    bool needed = false;
    if (!s_next(connection, options, after, name, ret_error))
        return PARTITION_FAILED;
    if (!name[0])
        return PARTITION_NONE;
    if (s_is_needed(connection, options, name, &needed, ret_error) &&
        (needed || s_drop(connection, options, name, ret_error))) {
        memcpy(after, name, sizeof name);
        return PARTITION_SEEN;
    }
    bool fenced = strcmp(connection_sqlstate(connection), FENCED) == 0;
    if (!connection_is_open(connection) || fenced)
        return PARTITION_FAILED;
    memcpy(after, name, sizeof name);
    return PARTITION_HELD;
}
