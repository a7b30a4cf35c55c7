-- Requests of routers to application servers: they go on after a take-over and after a restart.

CREATE TABLE ixn.service_request (
    token_epoch bigint NOT NULL,
    token_index bigint NOT NULL,
    interaction_id uuid NOT NULL,
    state text NOT NULL CHECK (state IN ('waiting', 'sent', 'answered')),
    target text NOT NULL CHECK (target IN ('type', 'server', 'cluster')),
    name text NOT NULL,
    service text NOT NULL,
    method text NOT NULL,
    key bytea NOT NULL,
    parameters jsonb NOT NULL,
    fingerprint bigint NOT NULL,
    safe boolean NOT NULL,
    attempts integer NOT NULL,
    server text,
    incarnation uuid,
    sent_epoch bigint,
    sent_index bigint,
    deadline_log_us bigint NOT NULL,
    asked_at timestamptz NOT NULL,
    result jsonb,
    fault text,
    fault_text text,
    PRIMARY KEY (token_epoch, token_index)
) WITH (
    fillfactor = 50,
    autovacuum_vacuum_scale_factor = 0.05,
    autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_cost_delay = 0
);
COMMENT ON TABLE ixn.service_request IS
    'Requests to application servers, as of the checkpoint: those without an answer, and the newest '
    'answered ones of interactions that are still with the router that asked. Those that come and go '
    'between two checkpoints are never here.';
COMMENT ON COLUMN ixn.service_request.token_epoch IS 'Epoch of its token, which names it.';
COMMENT ON COLUMN ixn.service_request.token_index IS 'Index of its token.';
COMMENT ON COLUMN ixn.service_request.interaction_id IS
    'The interaction that its router has (ixn.interaction.id).';
COMMENT ON COLUMN ixn.service_request.state IS
    'waiting: for a server; sent: a server has it; answered: it has a result or a fault.';
COMMENT ON COLUMN ixn.service_request.target IS 'What the router named: a type, a server, a cluster.';
COMMENT ON COLUMN ixn.service_request.name IS 'Its name.';
COMMENT ON COLUMN ixn.service_request.service IS 'The service that is asked for.';
COMMENT ON COLUMN ixn.service_request.method IS 'Its method; may be empty.';
COMMENT ON COLUMN ixn.service_request.key IS 'Key of the call: the same key again is the same request.';
COMMENT ON COLUMN ixn.service_request.parameters IS 'What the server is given: a JSON object.';
COMMENT ON COLUMN ixn.service_request.fingerprint IS
    'Hash of the content, to tell a repeated call from a reused key.';
COMMENT ON COLUMN ixn.service_request.safe IS
    'True: may be done more than once, so another server gets it when one is lost.';
COMMENT ON COLUMN ixn.service_request.attempts IS 'Servers that were lost with it.';
COMMENT ON COLUMN ixn.service_request.server IS 'The server that it was sent to last.';
COMMENT ON COLUMN ixn.service_request.incarnation IS 'Which process of that server.';
COMMENT ON COLUMN ixn.service_request.sent_epoch IS 'Epoch of the entry that sent it there.';
COMMENT ON COLUMN ixn.service_request.sent_index IS 'Index of that entry.';
COMMENT ON COLUMN ixn.service_request.deadline_log_us IS
    'When it ends with a fault, in log time (microseconds).';
COMMENT ON COLUMN ixn.service_request.asked_at IS 'When the router asked.';
COMMENT ON COLUMN ixn.service_request.result IS 'answered: the result, a JSON object.';
COMMENT ON COLUMN ixn.service_request.fault IS 'answered: code of the fault.';
COMMENT ON COLUMN ixn.service_request.fault_text IS 'answered: the fault in words.';
