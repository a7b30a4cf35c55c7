-- Legitimate moves of the database: to another server, from a backup, through an upgrade. The nodes
-- of the pair refuse whatever is not the database that they remember, unless the database itself
-- says, in this table, that an operator declared it to be the pair's own from then on.

CREATE TABLE ixn.adoption (
    database_id uuid PRIMARY KEY,
    system_identifier bigint NOT NULL,
    database_oid oid NOT NULL,
    server_started_at timestamptz NOT NULL,
    server_port integer NOT NULL,
    previous_database_id uuid NOT NULL,
    previous_system_identifier bigint NOT NULL,
    previous_database_oid oid NOT NULL,
    head_index bigint NOT NULL,
    head_hash uuid NOT NULL,
    known_index bigint NOT NULL,
    entries_lost bigint NOT NULL CHECK (entries_lost >= 0),
    epoch bigint NOT NULL,
    reason text NOT NULL CHECK (reason <> ''),
    adopted_by text NOT NULL,
    adopted_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE ixn.adoption IS
    'Every time an operator declared a copy to be the pair''s own database (ixnctl database adopt), '
    'for ever. A node accepts another database than the one it remembers only where a row leads from '
    'the one to exactly the other.';
COMMENT ON COLUMN ixn.adoption.database_id IS
    'The identity that was stamped then. Where this and the next two are not what this database is '
    'now, it is a copy made later, and the row says nothing about it.';
COMMENT ON COLUMN ixn.adoption.system_identifier IS 'Of the PostgreSQL cluster that it was in then.';
COMMENT ON COLUMN ixn.adoption.database_oid IS 'Number of the database in that cluster.';
COMMENT ON COLUMN ixn.adoption.server_started_at IS
    'When that server had been started; a clone of its files is another run.';
COMMENT ON COLUMN ixn.adoption.server_port IS 'Its port.';
COMMENT ON COLUMN ixn.adoption.previous_database_id IS 'What the nodes remembered until then.';
COMMENT ON COLUMN ixn.adoption.previous_system_identifier IS 'The cluster of that one.';
COMMENT ON COLUMN ixn.adoption.previous_database_oid IS 'Its number in that cluster.';
COMMENT ON COLUMN ixn.adoption.head_index IS 'The journal''s head then: the log goes on after it.';
COMMENT ON COLUMN ixn.adoption.head_hash IS 'Hash of the batch that ends there.';
COMMENT ON COLUMN ixn.adoption.known_index IS
    'The newest index that was known to have been committed in the database before.';
COMMENT ON COLUMN ixn.adoption.entries_lost IS
    'How many entries the operator gave up: those after the head, up to the known index.';
COMMENT ON COLUMN ixn.adoption.epoch IS 'The epoch that ended whatever could still write here.';
COMMENT ON COLUMN ixn.adoption.reason IS 'Why, in the operator''s words.';
COMMENT ON COLUMN ixn.adoption.adopted_by IS 'Who: the user and the host of the command.';
COMMENT ON COLUMN ixn.adoption.adopted_at IS 'When.';
