-- Who served when, for how long and what came of it: a question that people ask after every
-- take-over. All of it is in ixn.epoch already; the end of an epoch is the beginning of the next.

CREATE VIEW ixn.role_history AS
SELECT e.epoch,
       e.owner,
       e.reason,
       e.started_at,
       lead(e.started_at) OVER later AS ended_at,
       coalesce(lead(e.started_at) OVER later, clock_timestamp()) - e.started_at AS duration,
       e.first_index,
       coalesce(lead(e.first_index) OVER later,
                (SELECT max(j.last_index) + 1 FROM ixn.journal AS j)) - e.first_index AS entries,
       e.generation
FROM ixn.epoch AS e
WINDOW later AS (ORDER BY e.epoch);
COMMENT ON VIEW ixn.role_history IS
    'Who was primary when, why, for how long, and how much it decided: one row an epoch, for ever.';
COMMENT ON COLUMN ixn.role_history.epoch IS 'Number of the epoch; every start and take-over raises it.';
COMMENT ON COLUMN ixn.role_history.owner IS 'Name of the node that was primary.';
COMMENT ON COLUMN ixn.role_history.reason IS 'Why it took the role.';
COMMENT ON COLUMN ixn.role_history.started_at IS 'When it took it, by the database''s calendar.';
COMMENT ON COLUMN ixn.role_history.ended_at IS
    'When the next epoch was claimed; null: this one may still write.';
COMMENT ON COLUMN ixn.role_history.duration IS
    'How long it had the role, or has had it until now. That somebody may write does not mean that '
    'somebody served: a node that died keeps its epoch until the next claim.';
COMMENT ON COLUMN ixn.role_history.first_index IS 'The first index that it could write.';
COMMENT ON COLUMN ixn.role_history.entries IS 'How many entries of the log it decided.';
COMMENT ON COLUMN ixn.role_history.generation IS 'Random number of the epoch.';
