-- Finished interactions go into a new table that costs the server two thirds: its two JSON columns
-- are text. ixn.interaction_history becomes a view of it and of the table that had that name, with
-- the same columns and types. Changes the catalog only: no row is rewritten or read.

-- What somebody has made on the table (a view, a function whose body is parsed, a trigger, a policy, a
-- publication) would go on with the old table alone, and nobody would notice.
DO $$
DECLARE
    others text;
BEGIN
    SELECT string_agg(DISTINCT pg_describe_object(d.classid, d.objid, 0), ', ') INTO others
    FROM pg_depend AS d
    LEFT JOIN pg_rewrite AS r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid
    WHERE d.classid IN ('pg_rewrite'::regclass, 'pg_proc'::regclass, 'pg_trigger'::regclass,
                        'pg_policy'::regclass, 'pg_publication_rel'::regclass)
      AND d.refclassid = 'pg_class'::regclass
      AND d.refobjid = 'ixn.interaction_history'::regclass
      AND r.ev_class IS DISTINCT FROM 'ixn.throughput_hourly'::regclass;
    IF others IS NOT NULL THEN
        RAISE EXCEPTION 'ixn.interaction_history becomes a view, and these would miss what is '
            'finished from now on: %; keep their text (pg_dump -s), drop them, migrate, and make '
            'them again', others;
    END IF;
END $$;

ALTER TABLE ixn.interaction_history RENAME TO interaction_history_before;

-- A partition a day, as before. Each also has a unique index over id, which a partitioned table
-- cannot declare for all (dap/partition.c): the state finishes nothing twice, and nobody should hide
-- it if it does. The index over completed_at gives the newest first; the summary of ranges is what a
-- start needs. Ranges are so large that autovacuum, which notes 256 of them and makes a round a
-- minute, keeps up.
CREATE TABLE ixn.interaction_finished (
    id uuid NOT NULL,
    parent_id uuid,
    held boolean NOT NULL,
    tenant text NOT NULL,
    queue text NOT NULL,
    media_type text NOT NULL,
    type text NOT NULL,
    subtype text NOT NULL,
    external_id text NOT NULL,
    submitted_by text NOT NULL,
    key bytea NOT NULL,
    fingerprint bigint NOT NULL,
    attributes text NOT NULL,
    journey text NOT NULL,
    router text,
    strategy text,
    reason text,
    priority integer NOT NULL,
    version bigint NOT NULL,
    age bigint NOT NULL,
    attempts integer NOT NULL,
    losses integer NOT NULL,
    received_at timestamptz NOT NULL,
    submitted_at timestamptz NOT NULL,
    placed_in_queue_at timestamptz NOT NULL,
    moved_to_queue_at timestamptz NOT NULL,
    routed_at timestamptz,
    held_at timestamptz,
    completed_at timestamptz NOT NULL,
    completed_log_us bigint NOT NULL
) PARTITION BY RANGE (completed_at);
CREATE INDEX interaction_finished_completed ON ixn.interaction_finished (completed_at);
CREATE INDEX interaction_finished_external_id ON ixn.interaction_finished (external_id)
    WHERE external_id <> '';
CREATE INDEX interaction_finished_completed_log ON ixn.interaction_finished
    USING brin (completed_log_us) WITH (pages_per_range = 512, autosummarize = on);
DO $$
BEGIN
    ALTER TABLE ixn.interaction_finished ALTER COLUMN attributes SET COMPRESSION lz4;
    ALTER TABLE ixn.interaction_finished ALTER COLUMN journey SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported THEN
    RAISE NOTICE 'this server was built without LZ4: large attributes are compressed by its own method';
END $$;

-- Both tables are read as one: a question goes to the indexes of every day of either.
CREATE VIEW ixn.interaction_history AS
SELECT f.id, f.parent_id, 'completed'::text AS state, f.held, f.tenant, f.queue, f.media_type,
       f.type, f.subtype, f.external_id, f.submitted_by, f.key, f.fingerprint,
       f.attributes::jsonb AS attributes, f.journey::jsonb AS journey, f.router, f.strategy,
       f.reason, f.priority, f.version, f.age, f.attempts, f.losses, f.received_at,
       f.submitted_at, f.placed_in_queue_at, f.moved_to_queue_at, f.routed_at, f.held_at,
       f.completed_at, f.completed_log_us
FROM ixn.interaction_finished AS f
UNION ALL
SELECT b.id, b.parent_id, b.state, b.held, b.tenant, b.queue, b.media_type,
       b.type, b.subtype, b.external_id, b.submitted_by, b.key, b.fingerprint,
       b.attributes, b.journey, b.router, b.strategy,
       b.reason, b.priority, b.version, b.age, b.attempts, b.losses, b.received_at,
       b.submitted_at, b.placed_in_queue_at, b.moved_to_queue_at, b.routed_at, b.held_at,
       b.completed_at, b.completed_log_us
FROM ixn.interaction_history_before AS b;

CREATE OR REPLACE VIEW ixn.throughput_hourly AS
SELECT date_trunc('hour', h.completed_at) AS hour,
       h.tenant,
       h.queue,
       count(*) AS completed,
       avg(extract(epoch FROM h.completed_at - h.submitted_at))::double precision
           AS average_seconds
FROM ixn.interaction_history AS h
GROUP BY 1, 2, 3;

-- What is said of the columns stays, and who may read them may still.
DO $$
DECLARE
    each record;
BEGIN
    FOR each IN
        SELECT t.name AS relation, a.attname AS name, col_description(a.attrelid, a.attnum) AS words
        FROM pg_attribute AS a
        CROSS JOIN (VALUES ('interaction_history'), ('interaction_finished')) AS t (name)
        WHERE a.attrelid = 'ixn.interaction_history_before'::regclass AND a.attnum > 0
          AND NOT a.attisdropped AND (a.attname <> 'state' OR t.name = 'interaction_history')
    LOOP
        EXECUTE format('COMMENT ON COLUMN ixn.%I.%I IS %L', each.relation, each.name, each.words);
    END LOOP;
    FOR each IN
        SELECT NULL AS name, g.grantee, g.is_grantable
        FROM pg_class AS c CROSS JOIN LATERAL aclexplode(c.relacl) AS g
        WHERE c.oid = 'ixn.interaction_history_before'::regclass AND g.privilege_type = 'SELECT'
          AND g.grantee <> c.relowner
        UNION ALL
        SELECT a.attname, g.grantee, g.is_grantable
        FROM pg_attribute AS a CROSS JOIN LATERAL aclexplode(a.attacl) AS g
        WHERE a.attrelid = 'ixn.interaction_history_before'::regclass
          AND g.privilege_type = 'SELECT'
    LOOP
        EXECUTE format('GRANT SELECT%s ON ixn.interaction_history TO %s%s',
                       '(' || quote_ident(each.name) || ')',
                       CASE each.grantee WHEN 0 THEN 'PUBLIC' ELSE each.grantee::regrole::text END,
                       CASE WHEN each.is_grantable THEN ' WITH GRANT OPTION' END);
    END LOOP;
END $$;
COMMENT ON VIEW ixn.interaction_history IS
    'Finished interactions, as of the checkpoint: those of ixn.interaction_finished and those of '
    'ixn.interaction_history_before.';
COMMENT ON TABLE ixn.interaction_finished IS
    'Where ixn.interaction_history keeps what is finished; a partition a day of completed_at (UTC). '
    'Ask the view: in this table, attributes and journey are JSON in text, and older days are missing.';
COMMENT ON TABLE ixn.interaction_history_before IS
    'What ixn.interaction_history was up to version 10 of this schema. Nothing is added; its days go '
    'when their retention is over.';
COMMENT ON TABLE ixn.checkpoint IS
    'One row: the index that ixn.interaction and ixn.interaction_history show, exactly.';
