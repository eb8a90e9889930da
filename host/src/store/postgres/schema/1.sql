-- Ids are 128 bits, time first, so that they sort by creation. Times are milliseconds since the epoch.
-- Rows that change stay small: what is written once (bodies) stands in tables of its own.

-- Sums over all rows, in shares: each transaction adds to one of them, so that few wait for each other.
CREATE TABLE counters (
    share INT PRIMARY KEY,
    unplanned BIGINT NOT NULL DEFAULT 0,
    pending BIGINT NOT NULL DEFAULT 0,
    dead BIGINT NOT NULL DEFAULT 0,
    quarantined BIGINT NOT NULL DEFAULT 0,
    bytes BIGINT NOT NULL DEFAULT 0
) WITH (fillfactor = 20);
INSERT INTO counters (share) SELECT generate_series(0, 31);

-- Fences are never used twice.
CREATE SEQUENCE fences;

CREATE TABLE events (
    id UUID PRIMARY KEY,
    source TEXT NOT NULL,
    dedupe_key TEXT NOT NULL,
    kind TEXT NOT NULL,
    room TEXT,
    lane TEXT,
    created_at BIGINT,
    received_at BIGINT NOT NULL,
    api_key TEXT NOT NULL,
    body BYTEA NOT NULL,
    body_sha256 BYTEA NOT NULL CHECK (length(body_sha256) = 32),
    -- The newest proper event under its key: the unique index below makes two hosts agree on it.
    is_first BOOLEAN NOT NULL
);
CREATE UNIQUE INDEX events_first ON events (source, dedupe_key) WHERE is_first;
CREATE INDEX events_other ON events (source, dedupe_key) WHERE NOT is_first;

-- The last sequence of each lane.
CREATE TABLE lanes (
    source TEXT NOT NULL,
    key TEXT NOT NULL,
    sequence BIGINT NOT NULL,
    PRIMARY KEY (source, key)
) WITH (fillfactor = 70);

-- How far each event is. Small and changed often, so apart from the event.
CREATE TABLE plans (
    event UUID PRIMARY KEY,
    -- 0 unplanned, 1 planned, 2 conflict
    state SMALLINT NOT NULL CHECK (state IN (0, 1, 2)),
    plan_at BIGINT NOT NULL,
    attempts INT NOT NULL DEFAULT 0,
    -- names of endpoints, separated by commas
    settled TEXT NOT NULL DEFAULT '',
    note TEXT,
    -- the lane of its deliveries, and its place there
    lane TEXT,
    sequence BIGINT,
    -- no delivery points at the event
    is_bare BOOLEAN NOT NULL,
    fence BIGINT,
    leased_until BIGINT
) WITH (fillfactor = 80);
CREATE INDEX plans_waiting ON plans (plan_at, event) WHERE state = 0;
CREATE INDEX plans_lane ON plans (lane, sequence) WHERE state = 0 AND lane IS NOT NULL;
CREATE INDEX plans_bare ON plans (event) WHERE is_bare AND state <> 0;

CREATE TABLE endpoints (
    id INT PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    name TEXT NOT NULL UNIQUE,
    rate_state BIGINT NOT NULL DEFAULT 0,
    -- the breaker is closed when there is no time
    open_until BIGINT,
    open_periods INT NOT NULL DEFAULT 0,
    open_successes INT NOT NULL DEFAULT 0,
    paused_until BIGINT,
    disabled_reason TEXT,
    disabled_at BIGINT CHECK ((disabled_at IS NULL) = (disabled_reason IS NULL)),
    failing_since BIGINT,
    failing_last BIGINT,
    failing_attempts INT NOT NULL DEFAULT 0,
    -- 0: nothing of its health was ever written
    version BIGINT NOT NULL DEFAULT 0
) WITH (fillfactor = 50);

CREATE TABLE deliveries (
    id UUID PRIMARY KEY,
    event UUID NOT NULL,
    endpoint INT NOT NULL,
    webhook_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    -- 0 pending, 1 delivered, 2 dead
    status SMALLINT NOT NULL CHECK (status IN (0, 1, 2)),
    dead_reason TEXT CHECK ((dead_reason IS NULL) = (status <> 2)),
    due_at BIGINT NOT NULL,
    attempts INT NOT NULL DEFAULT 0,
    lane TEXT,
    sequence BIGINT,
    -- in a lane and not the first that may go
    is_held BOOLEAN NOT NULL,
    batch UUID,
    replay UUID,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    note TEXT
) WITH (fillfactor = 85);
CREATE INDEX deliveries_event ON deliveries (event);
CREATE INDEX deliveries_due ON deliveries (endpoint, due_at, id) WHERE status = 0 AND NOT is_held;
CREATE INDEX deliveries_owed ON deliveries (endpoint, id) WHERE status = 0;
CREATE INDEX deliveries_lane ON deliveries (lane, endpoint, sequence, id)
    WHERE status = 0 AND lane IS NOT NULL;
CREATE INDEX deliveries_batch ON deliveries (batch) WHERE status = 0 AND batch IS NOT NULL;
CREATE INDEX deliveries_replay ON deliveries (replay, id) WHERE replay IS NOT NULL;
CREATE INDEX deliveries_delivered ON deliveries (updated_at, id) WHERE status = 1;
CREATE INDEX deliveries_dead ON deliveries (updated_at, id) WHERE status = 2;

-- What a plugin made of an event, for one delivery.
CREATE TABLE bodies (
    delivery UUID PRIMARY KEY,
    bytes BYTEA NOT NULL
);

-- Who sends what, and until when. Apart from the deliveries, so that a claim changes no index of
-- theirs and what is in flight can be counted.
CREATE TABLE claims (
    delivery UUID PRIMARY KEY,
    endpoint INT NOT NULL,
    -- the members of one request have the same
    request BIGINT NOT NULL,
    fence BIGINT NOT NULL,
    leased_until BIGINT NOT NULL
);
CREATE INDEX claims_endpoint ON claims (endpoint);

CREATE TABLE attempts (
    delivery UUID NOT NULL,
    number INT NOT NULL,
    started_at BIGINT NOT NULL,
    duration_ms BIGINT NOT NULL,
    -- the answer, or else the class of the error
    status INT,
    retry_after_ms BIGINT,
    error_class TEXT CHECK ((error_class IS NULL) = (status IS NOT NULL)),
    dns_ms BIGINT,
    connect_ms BIGINT,
    tls_ms BIGINT,
    first_byte_ms BIGINT,
    address TEXT,
    host TEXT,
    request_headers TEXT NOT NULL,
    response_headers TEXT NOT NULL,
    response_start BYTEA NOT NULL,
    error TEXT,
    PRIMARY KEY (delivery, number)
);

CREATE TABLE quarantine (
    id UUID PRIMARY KEY,
    source TEXT,
    reason TEXT NOT NULL,
    received_at BIGINT NOT NULL,
    body BYTEA NOT NULL
);

CREATE TABLE replays (
    id UUID PRIMARY KEY,
    events UUID[] NOT NULL,
    since BIGINT,
    until BIGINT,
    kinds TEXT[] NOT NULL,
    rooms TEXT[] NOT NULL,
    source TEXT,
    endpoint TEXT,
    status TEXT,
    reason TEXT,
    to_endpoint TEXT,
    include_succeeded BOOLEAN NOT NULL,
    rate_milli BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    state TEXT NOT NULL,
    position UUID,
    planned BIGINT NOT NULL,
    skipped BIGINT NOT NULL,
    note TEXT
);

CREATE TABLE secrets (
    id UUID PRIMARY KEY,
    endpoint TEXT NOT NULL,
    key_id TEXT NOT NULL,
    sealed BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT
);
