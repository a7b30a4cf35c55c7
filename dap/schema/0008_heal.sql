-- Commits that the database lost, as PostgreSQL failed over to a server that did not have them, and
-- that a node wrote back on an operator's word.

CREATE TABLE ixn.heal (
    epoch bigint PRIMARY KEY,
    server_started_at timestamptz NOT NULL,
    server_port integer NOT NULL,
    head_index bigint NOT NULL,
    head_hash uuid NOT NULL,
    healed_index bigint NOT NULL,
    healed_hash uuid NOT NULL,
    entries bigint NOT NULL CHECK (entries = healed_index - head_index AND entries > 0),
    batches bigint NOT NULL CHECK (batches > 0),
    reason text NOT NULL CHECK (reason <> ''),
    node text NOT NULL,
    healed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE ixn.heal IS
    'Every time committed batches that this database had lost were written back (ixnctl database '
    'heal), for ever. Rows of ixn.journal are then the very ones that were committed before.';
COMMENT ON COLUMN ixn.heal.epoch IS
    'The epoch that was taken in the same transaction, so that nobody else''s commit came between.';
COMMENT ON COLUMN ixn.heal.server_started_at IS 'When the server that lost them had been started.';
COMMENT ON COLUMN ixn.heal.server_port IS 'Its port.';
COMMENT ON COLUMN ixn.heal.head_index IS 'Where the journal ended.';
COMMENT ON COLUMN ixn.heal.head_hash IS 'Hash of the batch that ended there.';
COMMENT ON COLUMN ixn.heal.healed_index IS
    'Where it ended afterwards: the newest index that was known to have been committed.';
COMMENT ON COLUMN ixn.heal.healed_hash IS 'Hash of the batch that ends there.';
COMMENT ON COLUMN ixn.heal.entries IS 'How many entries were lost, and written back.';
COMMENT ON COLUMN ixn.heal.batches IS 'In so many rows of ixn.journal.';
COMMENT ON COLUMN ixn.heal.reason IS 'Why, in the operator''s words.';
COMMENT ON COLUMN ixn.heal.node IS 'The node that held them.';
COMMENT ON COLUMN ixn.heal.healed_at IS 'When.';
