-- Headers that attributes of an event make for a delivery.

-- `name: value`, one a line. NULL: none, as is usual. The server stores a long one apart from the
-- row, and does not write it again when the row changes.
ALTER TABLE deliveries ADD COLUMN headers TEXT;
