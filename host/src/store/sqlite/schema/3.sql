-- State of plugins.

-- A space for each plugin and source. A row stays for ever: no version is given twice.
CREATE TABLE plugin_spaces (
    id INTEGER PRIMARY KEY,
    plugin TEXT NOT NULL,
    source TEXT NOT NULL,
    -- of the rows of the space, expired ones too
    keys INTEGER NOT NULL DEFAULT 0,
    bytes INTEGER NOT NULL DEFAULT 0,
    -- the last one given
    version INTEGER NOT NULL DEFAULT 0,
    UNIQUE (plugin, source)
) STRICT;

CREATE TABLE plugin_state (
    space INTEGER NOT NULL,
    -- UTF-8, as bytes: their order is the order of the port
    key BLOB NOT NULL,
    version INTEGER NOT NULL,
    expires_at INTEGER,
    value BLOB NOT NULL,
    PRIMARY KEY (space, key)
) STRICT;
CREATE INDEX plugin_state_expiry ON plugin_state (space, expires_at)
    WHERE expires_at IS NOT NULL;
