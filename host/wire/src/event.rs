//! The lossless typed view of an event: every field optional, enums open, unknown members kept.
