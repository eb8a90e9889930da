-- State of plugins.

-- A space for each plugin and source. A row stays for ever: no version is given twice. Whoever changes
-- a key of a space has its row locked.
CREATE TABLE plugin_spaces (
    id INT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    plugin TEXT NOT NULL,
    source TEXT NOT NULL,
    -- of the rows of the space, expired ones too
    keys BIGINT NOT NULL DEFAULT 0,
    bytes BIGINT NOT NULL DEFAULT 0,
    -- the last one given
    version BIGINT NOT NULL DEFAULT 0,
    UNIQUE (plugin, source)
) WITH (fillfactor = 20);

CREATE TABLE plugin_state (
    space INT NOT NULL,
    -- UTF-8, as bytes: their order is the order of the port, and they may have a NUL
    key BYTEA NOT NULL,
    version BIGINT NOT NULL,
    expires_at BIGINT,
    value BYTEA NOT NULL,
    PRIMARY KEY (space, key)
) WITH (fillfactor = 70);
CREATE INDEX plugin_state_expiry ON plugin_state (space, expires_at)
    WHERE expires_at IS NOT NULL;
