-- Entries of the log that no node can apply (it crashes), and that an operator has decided to pass
-- over. The journal and its chain of hashes stay as they are.

CREATE TABLE ixn.skip (
    index bigint PRIMARY KEY,
    batch_epoch bigint NOT NULL,
    batch_hash uuid NOT NULL,
    epoch bigint NOT NULL,
    reason text NOT NULL CHECK (reason <> ''),
    skipped_by text NOT NULL,
    skipped_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE ixn.skip IS
    'Entries of the log that an operator has skipped (ixnctl database skip), for ever. Whoever loads '
    'the state passes over them: they keep their index and change nothing.';
COMMENT ON COLUMN ixn.skip.index IS 'Index of the entry.';
COMMENT ON COLUMN ixn.skip.batch_epoch IS 'Epoch of the batch that it is in (ixn.journal.epoch).';
COMMENT ON COLUMN ixn.skip.batch_hash IS
    'Hash of that batch (ixn.journal.hash): an entry of another log under this index is not skipped.';
COMMENT ON COLUMN ixn.skip.epoch IS
    'The epoch that the decision began: whoever had applied the entry serves no more.';
COMMENT ON COLUMN ixn.skip.reason IS 'Why, in the operator''s words.';
COMMENT ON COLUMN ixn.skip.skipped_by IS 'User and host of the command.';
COMMENT ON COLUMN ixn.skip.skipped_at IS 'When.';
