-- Says more exactly whose names these columns hold, and what the audit is of. Changes comments only.

-- An operator's client speaks for a person (Request.by in client.proto), whose name is kept in the
-- place of the client's.
DO $$
DECLARE
    each record;
BEGIN
    FOR each IN
        SELECT * FROM (VALUES
            ('interaction', 'submitted_by', 'submitted it'),
            ('interaction_history', 'submitted_by', 'submitted it'),
            ('interaction_history_before', 'submitted_by', 'submitted it'),
            ('interaction_finished', 'submitted_by', 'submitted it'),
            ('strategy', 'put_by', 'put it'),
            ('strategy_activation', 'activated_by', 'asked for it'),
            ('router_drain', 'drained_by', 'asked for it'),
            ('agent', 'changed_by', 'declared it, or took that back, last (null: no operator did)')
        ) AS t (relation, name, what)
    LOOP
        EXECUTE format('COMMENT ON COLUMN ixn.%I.%I IS %L', each.relation, each.name,
                       'Who ' || each.what || ': the name of the client, or of the person that an '
                       'operator''s client spoke for.');
    END LOOP;
END $$;

COMMENT ON TABLE ixn.audit IS
    'Every change that was asked of an admin port: who, what, why, and what came of it; a heal once it '
    'is done. Kept for ever. What was asked otherwise (by ixnctl, by clients) is not here: the journal '
    'has what was done and by whom, ixn.epoch a switchover or a failover, the log of the nodes a '
    'reload or a pause.';
COMMENT ON COLUMN ixn.audit.action IS
    'move, stop, hold, resume, release, activate, deactivate, drain, undrain, switchover, failover, '
    'pause, unpause, reload, heal.';
COMMENT ON COLUMN ixn.audit.target IS
    'Id of an interaction, name of a strategy or of a router, pair, or configuration.';
