-- Routers that are drained: they get no new work, also after a take-over or a restart of either side.
-- Like ixn.interaction, this table is as of the index in ixn.checkpoint.

CREATE TABLE ixn.router_drain (
    tenant text NOT NULL,
    router text NOT NULL,
    reason text NOT NULL,
    drained_by text NOT NULL,
    drained_at timestamptz NOT NULL,
    PRIMARY KEY (tenant, router)
);
COMMENT ON TABLE ixn.router_drain IS
    'Routers that get no new work, by an operator''s order; what they hold they finish.';
COMMENT ON COLUMN ixn.router_drain.tenant IS 'Whose router.';
COMMENT ON COLUMN ixn.router_drain.router IS 'Its name; it need not be connected.';
COMMENT ON COLUMN ixn.router_drain.reason IS 'Why, in the operator''s words.';
COMMENT ON COLUMN ixn.router_drain.drained_by IS 'Name of the client that asked for it.';
COMMENT ON COLUMN ixn.router_drain.drained_at IS 'When it was drained, or the reason last changed.';
