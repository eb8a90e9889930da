-- Headers that attributes of an event make for a delivery.

-- `name: value`, one a line. NULL: none, as is usual. The last column, so that what is read and
-- changed all the time stays in front of what may be long.
ALTER TABLE deliveries ADD COLUMN headers TEXT;
