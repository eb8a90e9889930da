-- Headers that attributes of an event make for a delivery.

-- `name: value`, one a line. NULL: none, as is usual. The server stores a long one apart from the
-- row, and does not write it again when the row changes.
ALTER TABLE deliveries ADD COLUMN headers TEXT;

-- When the last event of a lane arrived, and how many of those that have a place in it are stored.
-- Without any, and when its time is over, the row goes, and a lane of this name begins again at 1.
-- Of a lane that has no event by now nobody knows when it was used: its time begins now.
ALTER TABLE lanes ADD COLUMN used_at BIGINT, ADD COLUMN events BIGINT NOT NULL DEFAULT 0;
UPDATE lanes SET used_at = (extract(epoch FROM now()) * 1000)::BIGINT;
UPDATE lanes l SET used_at = e.used_at, events = e.count FROM (
    SELECT e.source, e.lane, max(e.received_at) AS used_at, count(*) AS count
    FROM events e JOIN plans p ON p.event = e.id WHERE p.sequence IS NOT NULL
    GROUP BY e.source, e.lane
) e WHERE e.source = l.source AND e.lane = l.key;
-- A column of its own, because it stays NULL while the lane is in use: an event changes nothing that
-- is in an index, and so no index.
ALTER TABLE lanes ALTER COLUMN used_at SET NOT NULL, ADD COLUMN idle_since BIGINT
    GENERATED ALWAYS AS (CASE WHEN events = 0 THEN used_at END) STORED;
CREATE INDEX lanes_idle ON lanes (idle_since) WHERE idle_since IS NOT NULL;
