-- Places in lanes, batches, replays, health, sealed secrets, and more of every attempt.

ALTER TABLE events ADD COLUMN sequence INTEGER;
-- Events that wait for their plan, by their lane as deliveries name it.
CREATE INDEX events_lane ON events (source || '/' || lane, sequence)
    WHERE plan = 0 AND sequence IS NOT NULL;

-- The last place given in each lane.
CREATE TABLE lanes (
    source TEXT NOT NULL,
    key TEXT NOT NULL,
    last INTEGER NOT NULL,
    PRIMARY KEY (source, key)
) STRICT, WITHOUT ROWID;

UPDATE events SET sequence = n.place FROM (
    SELECT id, row_number() OVER (PARTITION BY source, lane ORDER BY id) AS place
    FROM events WHERE lane IS NOT NULL AND plan != 2
) AS n WHERE n.id = events.id;
INSERT INTO lanes
    SELECT source, lane, max(sequence) FROM events WHERE sequence IS NOT NULL GROUP BY source, lane;

ALTER TABLE deliveries ADD COLUMN lane TEXT;
ALTER TABLE deliveries ADD COLUMN sequence INTEGER;
-- 1: behind another in its lane, or an earlier event of the lane has no plan yet
ALTER TABLE deliveries ADD COLUMN held INTEGER NOT NULL DEFAULT 0 CHECK (held IN (0, 1));
ALTER TABLE deliveries ADD COLUMN batch BLOB CHECK (length(batch) = 16);
ALTER TABLE deliveries ADD COLUMN replay BLOB CHECK (length(replay) = 16);
UPDATE deliveries SET sequence = (SELECT sequence FROM events e WHERE e.id = deliveries.event);

DROP INDEX deliveries_due;
DROP INDEX deliveries_dead;
CREATE INDEX deliveries_due ON deliveries (endpoint, due_at, id, lane, batch)
    WHERE status = 0 AND held = 0;
CREATE INDEX deliveries_held ON deliveries (endpoint, due_at, id) WHERE status = 0 AND held = 1;
CREATE INDEX deliveries_lane ON deliveries (lane, endpoint, held, sequence, id)
    WHERE status = 0 AND lane IS NOT NULL;
CREATE INDEX deliveries_batch ON deliveries (batch, id) WHERE status = 0 AND batch IS NOT NULL;
-- For retention: when they ended.
CREATE INDEX deliveries_delivered ON deliveries (updated_at, id) WHERE status = 1;
CREATE INDEX deliveries_dead ON deliveries (updated_at, id) WHERE status = 2;
-- For people.
CREATE INDEX deliveries_endpoint ON deliveries (endpoint, id);
CREATE INDEX deliveries_replay ON deliveries (replay, id) WHERE replay IS NOT NULL;
CREATE INDEX deliveries_replay_owed ON deliveries (replay, id)
    WHERE status = 0 AND replay IS NOT NULL;
-- A replay's deliveries share the body of those they repeat.
CREATE INDEX deliveries_body ON deliveries (body) WHERE body IS NOT NULL;

ALTER TABLE attempts ADD COLUMN dns_ms INTEGER;
ALTER TABLE attempts ADD COLUMN connect_ms INTEGER;
ALTER TABLE attempts ADD COLUMN tls_ms INTEGER;
ALTER TABLE attempts ADD COLUMN first_byte_ms INTEGER;
ALTER TABLE attempts ADD COLUMN host TEXT;
ALTER TABLE attempts ADD COLUMN request_headers TEXT NOT NULL DEFAULT '';
ALTER TABLE attempts ADD COLUMN response_headers TEXT NOT NULL DEFAULT '';

-- 0: no health was ever written
ALTER TABLE endpoints ADD COLUMN version INTEGER NOT NULL DEFAULT 0;
-- The breaker: NULL when it is closed.
ALTER TABLE endpoints ADD COLUMN open_until INTEGER;
ALTER TABLE endpoints ADD COLUMN open_periods INTEGER NOT NULL DEFAULT 0;
ALTER TABLE endpoints ADD COLUMN open_successes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE endpoints ADD COLUMN paused_until INTEGER;
ALTER TABLE endpoints ADD COLUMN disabled_reason TEXT;
ALTER TABLE endpoints ADD COLUMN disabled_at INTEGER;
ALTER TABLE endpoints ADD COLUMN failing_since INTEGER;
ALTER TABLE endpoints ADD COLUMN failing_last INTEGER;
ALTER TABLE endpoints ADD COLUMN failing_attempts INTEGER NOT NULL DEFAULT 0;

CREATE TABLE replays (
    id BLOB PRIMARY KEY CHECK (length(id) = 16),
    -- JSON
    selection TEXT NOT NULL,
    rate_milli INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    state TEXT NOT NULL,
    -- the last event that was looked at
    cursor BLOB CHECK (length(cursor) = 16),
    planned INTEGER NOT NULL,
    skipped INTEGER NOT NULL,
    note TEXT
) STRICT, WITHOUT ROWID;

CREATE TABLE secrets (
    id BLOB PRIMARY KEY CHECK (length(id) = 16),
    endpoint TEXT NOT NULL,
    key_id TEXT NOT NULL,
    sealed BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER
) STRICT, WITHOUT ROWID;
