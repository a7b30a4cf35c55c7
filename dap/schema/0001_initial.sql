-- The first schema of ixn: what one pair of nodes keeps in its database.
--
-- Promises: these tables are a public, documented interface. Anybody may read them with SQL at any
-- time; nobody but the nodes writes them. Times are timestamptz; a column whose name ends in _log_us
-- is log time: microseconds inside the log, which goes on where the last entry stopped and is no
-- calendar. All hashes have 128 bits and are of type uuid.
--
-- Run by `ixnctl database init` as one script in one transaction.

CREATE SCHEMA ixn;
COMMENT ON SCHEMA ixn IS
    'An interaction server''s durable store. Read what you like; only its nodes may write.';

-- -------------------------------------------------------------------------------------------------
-- Versions of this schema

CREATE TABLE ixn.schema_migration (
    version integer PRIMARY KEY,
    name text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE ixn.schema_migration IS
    'The numbered changes of this schema that were applied; the highest is its version.';
COMMENT ON COLUMN ixn.schema_migration.version IS 'Number of the migration, from 1.';
COMMENT ON COLUMN ixn.schema_migration.name IS 'What it is called.';
COMMENT ON COLUMN ixn.schema_migration.applied_at IS 'When it was applied.';

-- -------------------------------------------------------------------------------------------------
-- Who may write

-- Only a take-over changes this row. A journal statement locks it and changes nothing, so the row
-- has one version for the whole of an epoch and does not bloat under a long reader.
CREATE TABLE ixn.pair (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    database_id uuid NOT NULL,
    epoch bigint NOT NULL CHECK (epoch >= 0),
    generation uuid,
    owner text NOT NULL DEFAULT '',
    claimed_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE ixn.pair IS
    'One row: the pair of nodes that this database belongs to, and the epoch that may write. Its lock '
    'is the fence: every journal statement takes it, every take-over changes the row.';
COMMENT ON COLUMN ixn.pair.single IS 'Always true: there is one row.';
COMMENT ON COLUMN ixn.pair.database_id IS
    'Identity of this database, stamped when it was initialised.';
COMMENT ON COLUMN ixn.pair.epoch IS 'Number of the epoch that may write; 0 before the first one.';
COMMENT ON COLUMN ixn.pair.generation IS
    'Random number of that epoch, since a number alone may come back; null before the first one.';
COMMENT ON COLUMN ixn.pair.owner IS 'Name of the node that claimed the epoch.';
COMMENT ON COLUMN ixn.pair.claimed_at IS 'When it did.';
COMMENT ON COLUMN ixn.pair.created_at IS 'When the database was initialised.';

CREATE TABLE ixn.epoch (
    epoch bigint PRIMARY KEY,
    generation uuid NOT NULL,
    owner text NOT NULL,
    first_index bigint NOT NULL,
    previous_hash uuid NOT NULL,
    reason text NOT NULL,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE ixn.epoch IS
    'Every epoch there was, for ever: the lineage of this database after its journal rows are gone.';
COMMENT ON COLUMN ixn.epoch.epoch IS 'Its number.';
COMMENT ON COLUMN ixn.epoch.generation IS 'Its random number.';
COMMENT ON COLUMN ixn.epoch.owner IS 'Name of the node that claimed it.';
COMMENT ON COLUMN ixn.epoch.first_index IS 'The first index that it may write.';
COMMENT ON COLUMN ixn.epoch.previous_hash IS 'Hash of the journal''s head when it was claimed.';
COMMENT ON COLUMN ixn.epoch.reason IS 'Why it was claimed.';
COMMENT ON COLUMN ixn.epoch.started_at IS 'When it was claimed.';

-- -------------------------------------------------------------------------------------------------
-- The log

-- UNIQUE (first_index) says that a batch has one successor. A statement that waited for the fence
-- judges the head by the snapshot from before it waited; this makes it fail instead of forking.
-- Entries are EXTERNAL: compressing them would cost the commit more than it saves.
CREATE TABLE ixn.journal (
    last_index bigint PRIMARY KEY,
    first_index bigint NOT NULL UNIQUE,
    epoch bigint NOT NULL,
    previous_hash uuid NOT NULL,
    hash uuid NOT NULL,
    log_time_us bigint NOT NULL,
    decided_at timestamptz NOT NULL,
    committed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    entries bytea NOT NULL,
    CHECK (last_index >= first_index)
) WITH (
    autovacuum_vacuum_scale_factor = 0.05,
    autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_insert_scale_factor = 0.2,
    autovacuum_vacuum_cost_delay = 0,
    toast.autovacuum_vacuum_scale_factor = 0.05,
    toast.autovacuum_vacuum_threshold = 5000,
    toast.autovacuum_vacuum_cost_delay = 0
);
ALTER TABLE ixn.journal ALTER COLUMN entries SET STORAGE EXTERNAL;
COMMENT ON TABLE ixn.journal IS
    'The log: one row a batch of decided changes, chained by hashes. The newest row is the head. Rows '
    'that the checkpoint has passed are deleted after the journal''s retention, the newest never.';
COMMENT ON COLUMN ixn.journal.last_index IS
    'Index of the last entry in the batch. Indexes have no gaps.';
COMMENT ON COLUMN ixn.journal.first_index IS
    'Index of the first entry: one more than the last of the batch before.';
COMMENT ON COLUMN ixn.journal.epoch IS 'The epoch that decided it.';
COMMENT ON COLUMN ixn.journal.previous_hash IS 'Hash of the batch before.';
COMMENT ON COLUMN ixn.journal.hash IS
    'XXH3-128 of previous_hash, epoch, first_index, last_index, log_time_us, decided_at (microseconds '
    'since 1970) and entries; numbers are 64 bits, big-endian.';
COMMENT ON COLUMN ixn.journal.log_time_us IS 'Log time of its entries, microseconds.';
COMMENT ON COLUMN ixn.journal.decided_at IS 'When the node decided it, by the node''s calendar.';
COMMENT ON COLUMN ixn.journal.committed_at IS
    'When the database took it, by the database''s calendar; retention is judged by it.';
COMMENT ON COLUMN ixn.journal.entries IS 'An encoded ixn.v1.Batch (core/wire/entry.proto).';

-- -------------------------------------------------------------------------------------------------
-- The checkpoint: the state at one index, in tables

CREATE TABLE ixn.checkpoint (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    index bigint NOT NULL,
    hash uuid NOT NULL,
    generation uuid,
    log_time_us bigint NOT NULL,
    written_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE ixn.checkpoint IS
    'One row: the index that the tables ixn.interaction and ixn.interaction_history show, exactly.';
COMMENT ON COLUMN ixn.checkpoint.single IS 'Always true: there is one row.';
COMMENT ON COLUMN ixn.checkpoint.index IS 'Everything up to this index is in the tables.';
COMMENT ON COLUMN ixn.checkpoint.hash IS 'Hash of the batch that ends at this index.';
COMMENT ON COLUMN ixn.checkpoint.generation IS
    'Generation of the epoch that may write the checkpoint; null before the first one.';
COMMENT ON COLUMN ixn.checkpoint.log_time_us IS 'Log time at this index, microseconds.';
COMMENT ON COLUMN ixn.checkpoint.written_at IS 'When it was written.';

CREATE TABLE ixn.configuration (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    encoded bytea NOT NULL,
    index bigint NOT NULL,
    written_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE ixn.configuration IS
    'At most one row: the part of the configuration that is state, as of the checkpoint.';
COMMENT ON COLUMN ixn.configuration.single IS 'Always true: there is one row.';
COMMENT ON COLUMN ixn.configuration.encoded IS
    'An encoded ixn.v1.EngineConfiguration (core/wire/entry.proto).';
COMMENT ON COLUMN ixn.configuration.index IS 'The checkpoint that wrote it.';
COMMENT ON COLUMN ixn.configuration.written_at IS 'When it was written.';

-- The primary key is the only index, on purpose. A live row changes state, queue, place and version
-- several times a second; an update stays inside its page (HOT, hence fillfactor 50) only while no
-- indexed column changes. An index over (tenant, queue, …) would turn each of them into index writes
-- for the sake of questions that a scan of the table answers: only unfinished work is in it.
-- It empties as fast as it fills, so vacuum must not wait for a fifth of it to be dead.
CREATE TABLE ixn.interaction (
    id uuid PRIMARY KEY,
    parent_id uuid,
    state text NOT NULL
        CHECK (state IN ('queued', 'routing', 'invited', 'handling', 'quarantined', 'completed')),
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
    attributes jsonb NOT NULL,
    journey jsonb NOT NULL,
    router text,
    strategy text,
    reason text,
    priority integer NOT NULL,
    version bigint NOT NULL,
    age bigint NOT NULL,
    token_epoch bigint,
    token_index bigint,
    attempts integer NOT NULL,
    losses integer NOT NULL,
    deadline_log_us bigint,
    received_at timestamptz NOT NULL,
    submitted_at timestamptz NOT NULL,
    placed_in_queue_at timestamptz NOT NULL,
    moved_to_queue_at timestamptz NOT NULL,
    routed_at timestamptz,
    held_at timestamptz
) WITH (
    fillfactor = 50,
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_threshold = 2000,
    autovacuum_analyze_scale_factor = 0.05,
    autovacuum_vacuum_cost_delay = 0,
    toast.autovacuum_vacuum_scale_factor = 0.02,
    toast.autovacuum_vacuum_threshold = 2000,
    toast.autovacuum_vacuum_cost_delay = 0
);
COMMENT ON TABLE ixn.interaction IS
    'Interactions that are not finished, as of the checkpoint (see ixn.checkpoint).';
COMMENT ON COLUMN ixn.interaction.id IS 'Its id, a UUID of version 7: sorts by the time it was made.';
COMMENT ON COLUMN ixn.interaction.parent_id IS 'The interaction that it belongs to, if any.';
COMMENT ON COLUMN ixn.interaction.state IS
    'queued: waits in its queue; routing: with a router; quarantined: broke routers repeatedly. invited '
    'and handling are reserved for agents.';
COMMENT ON COLUMN ixn.interaction.held IS 'True: waits, but is not routed until it is resumed.';
COMMENT ON COLUMN ixn.interaction.tenant IS 'Whose it is.';
COMMENT ON COLUMN ixn.interaction.queue IS 'The queue that it is in, or that it was taken from.';
COMMENT ON COLUMN ixn.interaction.media_type IS 'email, chat …';
COMMENT ON COLUMN ixn.interaction.type IS 'Type, given by the media server; may be empty.';
COMMENT ON COLUMN ixn.interaction.subtype IS 'Subtype, given by the media server; may be empty.';
COMMENT ON COLUMN ixn.interaction.external_id IS
    'The id that the outside world knows, for instance a Message-ID; may be empty.';
COMMENT ON COLUMN ixn.interaction.submitted_by IS 'Name of the client that submitted it.';
COMMENT ON COLUMN ixn.interaction.key IS
    'Key of its submission: the same key again is the same interaction.';
COMMENT ON COLUMN ixn.interaction.fingerprint IS
    'Hash of the submission''s content, to tell a repeated submission from a reused key.';
COMMENT ON COLUMN ixn.interaction.attributes IS 'User data: a JSON object.';
COMMENT ON COLUMN ixn.interaction.journey IS
    'What happened to it: a JSON array of steps; the first is kept, then the newest.';
COMMENT ON COLUMN ixn.interaction.router IS 'routing: name of the router that has it.';
COMMENT ON COLUMN ixn.interaction.strategy IS 'routing: the strategy that runs on it.';
COMMENT ON COLUMN ixn.interaction.reason IS 'quarantined: why.';
COMMENT ON COLUMN ixn.interaction.priority IS 'Higher is routed first.';
COMMENT ON COLUMN ixn.interaction.version IS 'Grows with every change of it.';
COMMENT ON COLUMN ixn.interaction.age IS
    'Its place in line: index of the entry that put it there; lower is routed first.';
COMMENT ON COLUMN ixn.interaction.token_epoch IS 'routing: epoch of the token it was handed out by.';
COMMENT ON COLUMN ixn.interaction.token_index IS 'routing: index of the token it was handed out by.';
COMMENT ON COLUMN ixn.interaction.attempts IS 'Failed or lost attempts to route it from here.';
COMMENT ON COLUMN ixn.interaction.losses IS
    'Routers lost while they had it, at this step.';
COMMENT ON COLUMN ixn.interaction.deadline_log_us IS
    'When its state times out, in log time (microseconds); null: never.';
COMMENT ON COLUMN ixn.interaction.received_at IS 'When the media server received it.';
COMMENT ON COLUMN ixn.interaction.submitted_at IS 'When the node accepted it.';
COMMENT ON COLUMN ixn.interaction.placed_in_queue_at IS 'When it came into its queue last.';
COMMENT ON COLUMN ixn.interaction.moved_to_queue_at IS
    'When it moved to its queue from another one; kept when it returns to its queue.';
COMMENT ON COLUMN ixn.interaction.routed_at IS 'When it was handed to a router last.';
COMMENT ON COLUMN ixn.interaction.held_at IS 'When it was held, while it is.';

-- A partition a day, made ahead by the primary and attached without stopping readers; a whole day is
-- dropped when its retention is over. There is no default partition: attaching a day would have to
-- lock and scan it.
-- Indexes: rows are only added, in order of time, so those over completed_at and id grow at their
-- right end and cost little. People come with an id or with the outside world's id. What a start
-- needs (completed_log_us) is a summary of ranges: a few pages, next to nothing an insert.
CREATE TABLE ixn.interaction_history (
    id uuid NOT NULL,
    parent_id uuid,
    state text NOT NULL DEFAULT 'completed' CHECK (state = 'completed'),
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
    attributes jsonb NOT NULL,
    journey jsonb NOT NULL,
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
    completed_log_us bigint NOT NULL,
    PRIMARY KEY (completed_at, id)
) PARTITION BY RANGE (completed_at);
CREATE INDEX interaction_history_id ON ixn.interaction_history (id);
CREATE INDEX interaction_history_external_id ON ixn.interaction_history (external_id)
    WHERE external_id <> '';
CREATE INDEX interaction_history_completed_log ON ixn.interaction_history
    USING brin (completed_log_us) WITH (pages_per_range = 32, autosummarize = on);
COMMENT ON TABLE ixn.interaction_history IS
    'Finished interactions, as of the checkpoint; a partition a day of completed_at (UTC).';
COMMENT ON COLUMN ixn.interaction_history.id IS 'Its id.';
COMMENT ON COLUMN ixn.interaction_history.parent_id IS 'The interaction that it belonged to, if any.';
COMMENT ON COLUMN ixn.interaction_history.state IS 'Always completed.';
COMMENT ON COLUMN ixn.interaction_history.held IS 'True: it was held when it ended.';
COMMENT ON COLUMN ixn.interaction_history.tenant IS 'Whose it was.';
COMMENT ON COLUMN ixn.interaction_history.queue IS 'The queue that it was in last.';
COMMENT ON COLUMN ixn.interaction_history.media_type IS 'email, chat …';
COMMENT ON COLUMN ixn.interaction_history.type IS 'Type, given by the media server; may be empty.';
COMMENT ON COLUMN ixn.interaction_history.subtype IS
    'Subtype, given by the media server; may be empty.';
COMMENT ON COLUMN ixn.interaction_history.external_id IS
    'The id that the outside world knows, for instance a Message-ID; may be empty.';
COMMENT ON COLUMN ixn.interaction_history.submitted_by IS 'Name of the client that submitted it.';
COMMENT ON COLUMN ixn.interaction_history.key IS 'Key of its submission.';
COMMENT ON COLUMN ixn.interaction_history.fingerprint IS 'Hash of the submission''s content.';
COMMENT ON COLUMN ixn.interaction_history.attributes IS 'User data at the end: a JSON object.';
COMMENT ON COLUMN ixn.interaction_history.journey IS 'What happened to it: a JSON array of steps.';
COMMENT ON COLUMN ixn.interaction_history.router IS 'The router that had it when it ended, if any.';
COMMENT ON COLUMN ixn.interaction_history.strategy IS 'The strategy that ran when it ended, if any.';
COMMENT ON COLUMN ixn.interaction_history.reason IS 'Why it ended.';
COMMENT ON COLUMN ixn.interaction_history.priority IS 'Its priority at the end.';
COMMENT ON COLUMN ixn.interaction_history.version IS 'Its version at the end.';
COMMENT ON COLUMN ixn.interaction_history.age IS 'Its place in line at the end.';
COMMENT ON COLUMN ixn.interaction_history.attempts IS
    'Failed or lost attempts to route it from its last queue.';
COMMENT ON COLUMN ixn.interaction_history.losses IS
    'Routers lost while they had it, at this step.';
COMMENT ON COLUMN ixn.interaction_history.received_at IS 'When the media server received it.';
COMMENT ON COLUMN ixn.interaction_history.submitted_at IS 'When the node accepted it.';
COMMENT ON COLUMN ixn.interaction_history.placed_in_queue_at IS 'When it came into its last queue.';
COMMENT ON COLUMN ixn.interaction_history.moved_to_queue_at IS
    'When it moved to its last queue from another one.';
COMMENT ON COLUMN ixn.interaction_history.routed_at IS 'When it was handed to a router last, if ever.';
COMMENT ON COLUMN ixn.interaction_history.held_at IS 'When it was held, if it was when it ended.';
COMMENT ON COLUMN ixn.interaction_history.completed_at IS 'When it ended.';
COMMENT ON COLUMN ixn.interaction_history.completed_log_us IS
    'When it ended, in log time (microseconds).';

-- -------------------------------------------------------------------------------------------------
-- Questions that people ask

CREATE VIEW ixn.queue_overview AS
SELECT i.tenant,
       i.queue,
       count(*) FILTER (WHERE i.state = 'queued' AND NOT i.held) AS waiting,
       count(*) FILTER (WHERE i.held) AS held,
       count(*) FILTER (WHERE i.state = 'routing') AS routing,
       count(*) FILTER (WHERE i.state = 'quarantined') AS quarantined,
       min(i.placed_in_queue_at) FILTER (WHERE i.state = 'queued' AND NOT i.held)
           AS oldest_placed_in_queue_at,
       c.index AS checkpoint_index,
       c.written_at AS checkpoint_written_at
FROM ixn.interaction AS i
CROSS JOIN ixn.checkpoint AS c
GROUP BY i.tenant, i.queue, c.index, c.written_at;
COMMENT ON VIEW ixn.queue_overview IS
    'What is in each queue that is not empty, as of the checkpoint, which it names.';
COMMENT ON COLUMN ixn.queue_overview.tenant IS 'Whose queue.';
COMMENT ON COLUMN ixn.queue_overview.queue IS 'Its name.';
COMMENT ON COLUMN ixn.queue_overview.waiting IS 'Interactions that wait and may be routed.';
COMMENT ON COLUMN ixn.queue_overview.held IS 'Interactions that are held.';
COMMENT ON COLUMN ixn.queue_overview.routing IS 'Interactions from it that are with a router.';
COMMENT ON COLUMN ixn.queue_overview.quarantined IS 'Interactions from it that are in quarantine.';
COMMENT ON COLUMN ixn.queue_overview.oldest_placed_in_queue_at IS
    'Since when the oldest that waits is in the queue.';
COMMENT ON COLUMN ixn.queue_overview.checkpoint_index IS 'The index that this shows.';
COMMENT ON COLUMN ixn.queue_overview.checkpoint_written_at IS 'When that was written.';

CREATE VIEW ixn.throughput_hourly AS
SELECT date_trunc('hour', h.completed_at) AS hour,
       h.tenant,
       h.queue,
       count(*) AS completed,
       avg(extract(epoch FROM h.completed_at - h.submitted_at))::double precision
           AS average_seconds
FROM ixn.interaction_history AS h
GROUP BY 1, 2, 3;
COMMENT ON VIEW ixn.throughput_hourly IS
    'How many interactions each queue completed an hour. Reads all of the history that is kept; for '
    'some days of a long one ask ixn.interaction_history with a range of completed_at.';
COMMENT ON COLUMN ixn.throughput_hourly.hour IS 'Beginning of the hour.';
COMMENT ON COLUMN ixn.throughput_hourly.tenant IS 'Whose queue.';
COMMENT ON COLUMN ixn.throughput_hourly.queue IS 'The queue that they were in last.';
COMMENT ON COLUMN ixn.throughput_hourly.completed IS 'How many were completed.';
COMMENT ON COLUMN ixn.throughput_hourly.average_seconds IS
    'Average seconds from submission to completion.';
