-- Headers that attributes of an event make for a delivery.

-- `name: value`, one a line. NULL: none, as is usual. The last column, so that what is read and
-- changed all the time stays in front of what may be long.
ALTER TABLE deliveries ADD COLUMN headers TEXT;

-- When the last event of a lane arrived, and how many of those that have a place in it are stored.
-- Without any, and when its time is over, the row goes, and a lane of this name begins again at 1.
-- Of a lane that has no event by now nobody knows when it was used: its time begins now.
ALTER TABLE lanes ADD COLUMN used_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE lanes ADD COLUMN events INTEGER NOT NULL DEFAULT 0;
UPDATE lanes SET used_at = unixepoch() * 1000;
UPDATE lanes SET used_at = e.used_at, events = e.count FROM (
    SELECT source, lane, max(received_at) AS used_at, count(*) AS count
    FROM events WHERE sequence IS NOT NULL GROUP BY source, lane
) AS e WHERE e.source = lanes.source AND e.lane = lanes.key;
-- What is in use is not in it, so an event changes nothing here.
CREATE INDEX lanes_idle ON lanes (used_at) WHERE events = 0;
