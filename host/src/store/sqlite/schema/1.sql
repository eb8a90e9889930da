-- Ids are 16 bytes, time first. Times are milliseconds since the epoch.

CREATE TABLE store (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    -- Counted up at every open by an owner; part of every fence.
    opened INTEGER NOT NULL,
    unplanned INTEGER NOT NULL,
    pending INTEGER NOT NULL,
    dead INTEGER NOT NULL,
    quarantined INTEGER NOT NULL
) STRICT;
INSERT INTO store VALUES (1, 0, 0, 0, 0, 0);

-- Apart from the rows that point here, so that those stay small, and written once.
CREATE TABLE bodies (
    id INTEGER PRIMARY KEY,
    bytes BLOB NOT NULL
) STRICT;

CREATE TABLE events (
    id BLOB PRIMARY KEY CHECK (length(id) = 16),
    source TEXT NOT NULL,
    dedupe_key TEXT NOT NULL,
    kind TEXT NOT NULL,
    room TEXT,
    lane TEXT,
    created_at INTEGER,
    received_at INTEGER NOT NULL,
    api_key TEXT NOT NULL,
    body INTEGER NOT NULL,
    body_sha256 BLOB NOT NULL CHECK (length(body_sha256) = 32),
    -- 0 unplanned, 1 planned, 2 conflict
    plan INTEGER NOT NULL CHECK (plan IN (0, 1, 2)),
    plan_at INTEGER NOT NULL,
    plan_attempts INTEGER NOT NULL,
    -- names of endpoints, separated by commas
    settled TEXT NOT NULL,
    note TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX events_key ON events (dedupe_key, source);
CREATE INDEX events_unplanned ON events (plan_at, id) WHERE plan = 0;

CREATE TABLE endpoints (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE deliveries (
    id BLOB PRIMARY KEY CHECK (length(id) = 16),
    event BLOB NOT NULL,
    endpoint INTEGER NOT NULL,
    webhook_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    -- NULL: the event's own
    body INTEGER,
    -- 0 pending, 1 delivered, 2 dead
    status INTEGER NOT NULL CHECK (status IN (0, 1, 2)),
    dead_reason TEXT CHECK ((dead_reason IS NULL) = (status != 2)),
    due_at INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    note TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX deliveries_event ON deliveries (event);
CREATE INDEX deliveries_due ON deliveries (endpoint, due_at, id) WHERE status = 0;
CREATE INDEX deliveries_dead ON deliveries (id) WHERE status = 2;

CREATE TABLE attempts (
    delivery BLOB NOT NULL,
    number INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    duration_ms INTEGER NOT NULL,
    -- the answer, or else the class of the error
    status INTEGER,
    retry_after_ms INTEGER,
    error_class TEXT CHECK ((error_class IS NULL) = (status IS NOT NULL)),
    address TEXT,
    response_start BLOB NOT NULL,
    error TEXT,
    PRIMARY KEY (delivery, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE quarantine (
    id BLOB PRIMARY KEY CHECK (length(id) = 16),
    source TEXT,
    reason TEXT NOT NULL,
    received_at INTEGER NOT NULL,
    body INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
