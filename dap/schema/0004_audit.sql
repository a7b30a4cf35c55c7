-- Who changed what by the admin port, and why. A row is written before the change, and its end
-- after; one without an end was cut off in between, and whether it was done shows in what it is
-- about: the journey of its interaction, or the history of roles.

CREATE TABLE ixn.audit (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    began_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at timestamptz,
    node text NOT NULL,
    who text NOT NULL,
    role text NOT NULL,
    address text NOT NULL,
    action text NOT NULL,
    target text NOT NULL,
    reason text NOT NULL,
    request jsonb NOT NULL,
    outcome text
);
COMMENT ON TABLE ixn.audit IS
    'Every change that was asked of an admin port: who, what, why, and what came of it. Kept for ever.';
COMMENT ON COLUMN ixn.audit.id IS 'Its number.';
COMMENT ON COLUMN ixn.audit.began_at IS 'When it was asked, by the database''s calendar.';
COMMENT ON COLUMN ixn.audit.ended_at IS 'When it was answered; null: cut off in between.';
COMMENT ON COLUMN ixn.audit.node IS 'The node whose admin port was asked.';
COMMENT ON COLUMN ixn.audit.who IS 'Name of the token; local: a port without tokens, for one machine.';
COMMENT ON COLUMN ixn.audit.role IS 'Role of the token.';
COMMENT ON COLUMN ixn.audit.address IS 'Where the request came from.';
COMMENT ON COLUMN ixn.audit.action IS 'move, stop, hold, resume, release, switchover, failover …';
COMMENT ON COLUMN ixn.audit.target IS 'Id of an interaction, or pair.';
COMMENT ON COLUMN ixn.audit.reason IS 'Why, in the words of who asked.';
COMMENT ON COLUMN ixn.audit.request IS 'What the request said, whole.';
COMMENT ON COLUMN ixn.audit.outcome IS 'done, taken, or why not; null: cut off in between.';
