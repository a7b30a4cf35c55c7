-- Stored strategies and agents: what the log decides besides interactions. Like ixn.interaction,
-- these tables are as of the index in ixn.checkpoint.

CREATE TABLE ixn.strategy (
    tenant text NOT NULL,
    name text NOT NULL,
    version bigint NOT NULL CHECK (version >= 1),
    body bytea NOT NULL,
    content_type text NOT NULL,
    comment text NOT NULL,
    put_by text NOT NULL,
    put_at timestamptz NOT NULL,
    PRIMARY KEY (tenant, name, version)
);
COMMENT ON TABLE ixn.strategy IS
    'Stored strategies, one row a version: the ten newest of each, and older ones while they are '
    'activated.';
COMMENT ON COLUMN ixn.strategy.tenant IS 'Whose it is.';
COMMENT ON COLUMN ixn.strategy.name IS 'What queues and routers call it.';
COMMENT ON COLUMN ixn.strategy.version IS
    'Rises by one with every put, and is never used again, also after the strategy was removed.';
COMMENT ON COLUMN ixn.strategy.body IS 'What routers run; the node does not look into it.';
COMMENT ON COLUMN ixn.strategy.content_type IS 'What kind of body it is, as whoever put it said.';
COMMENT ON COLUMN ixn.strategy.comment IS 'A remark of whoever put it.';
COMMENT ON COLUMN ixn.strategy.put_by IS 'Name of the client that put it.';
COMMENT ON COLUMN ixn.strategy.put_at IS 'When it was put, by the node''s calendar.';

CREATE TABLE ixn.strategy_activation (
    tenant text NOT NULL,
    name text NOT NULL,
    router text NOT NULL,
    version bigint NOT NULL,
    activated_by text NOT NULL,
    activated_at timestamptz NOT NULL,
    PRIMARY KEY (tenant, name, router)
);
COMMENT ON TABLE ixn.strategy_activation IS
    'Which routers are to run which version of a stored strategy.';
COMMENT ON COLUMN ixn.strategy_activation.tenant IS 'Whose strategy.';
COMMENT ON COLUMN ixn.strategy_activation.name IS 'Which strategy.';
COMMENT ON COLUMN ixn.strategy_activation.router IS 'The router, connected or not.';
COMMENT ON COLUMN ixn.strategy_activation.version IS 'The version that it is to run.';
COMMENT ON COLUMN ixn.strategy_activation.activated_by IS 'Name of the client that asked for it.';
COMMENT ON COLUMN ixn.strategy_activation.activated_at IS 'When, by the node''s calendar.';

CREATE TABLE ixn.strategy_turn (
    tenant text NOT NULL,
    name text NOT NULL,
    last_router text NOT NULL,
    highest_version bigint NOT NULL,
    PRIMARY KEY (tenant, name)
) WITH (
    fillfactor = 50,
    autovacuum_vacuum_scale_factor = 0.1,
    autovacuum_vacuum_cost_delay = 0
);
COMMENT ON TABLE ixn.strategy_turn IS
    'Where the round robin of each strategy stands, so that it goes on there after a take-over.';
COMMENT ON COLUMN ixn.strategy_turn.tenant IS 'Whose strategy.';
COMMENT ON COLUMN ixn.strategy_turn.name IS 'Which strategy, stored or brought by routers.';
COMMENT ON COLUMN ixn.strategy_turn.last_router IS
    'The router that was given work of it last; empty: none yet.';
COMMENT ON COLUMN ixn.strategy_turn.highest_version IS
    'The highest version that was ever put; 0: never stored.';

CREATE TABLE ixn.agent (
    tenant text NOT NULL,
    name text NOT NULL,
    added boolean NOT NULL,
    changed_by text,
    changed_at timestamptz,
    router text,
    interaction_id uuid,
    grant_epoch bigint NOT NULL,
    grant_index bigint NOT NULL,
    work_epoch bigint NOT NULL,
    work_index bigint NOT NULL,
    priority integer NOT NULL,
    expires_log_us bigint NOT NULL,
    change bigint NOT NULL,
    PRIMARY KEY (tenant, name)
) WITH (
    fillfactor = 50,
    autovacuum_vacuum_scale_factor = 0.1,
    autovacuum_vacuum_cost_delay = 0
);
COMMENT ON TABLE ixn.agent IS
    'Agents that are declared, and for which work each was reserved last. A reservation is over when '
    'its time is, and when its work is no longer with the router; the row may still show it.';
COMMENT ON COLUMN ixn.agent.tenant IS 'Whose agent.';
COMMENT ON COLUMN ixn.agent.name IS 'Its name.';
COMMENT ON COLUMN ixn.agent.added IS
    'True: an operator declared it. False: the configuration alone does.';
COMMENT ON COLUMN ixn.agent.changed_by IS
    'Client that declared it, or took that back, last; null: no operator did.';
COMMENT ON COLUMN ixn.agent.changed_at IS 'When that was, by the node''s calendar.';
COMMENT ON COLUMN ixn.agent.router IS 'The router that reserved it last; null: none.';
COMMENT ON COLUMN ixn.agent.interaction_id IS 'For which interaction.';
COMMENT ON COLUMN ixn.agent.grant_epoch IS 'The grant''s token: epoch; 0: none.';
COMMENT ON COLUMN ixn.agent.grant_index IS 'The grant''s token: index of the entry that made it.';
COMMENT ON COLUMN ixn.agent.work_epoch IS 'The token of the work that it was given for: epoch.';
COMMENT ON COLUMN ixn.agent.work_index IS 'The token of the work that it was given for: index.';
COMMENT ON COLUMN ixn.agent.priority IS 'With which priority it was asked for.';
COMMENT ON COLUMN ixn.agent.expires_log_us IS 'Log time at which the grant ends.';
COMMENT ON COLUMN ixn.agent.change IS 'Hash of the request''s key, by which a retry is known.';
