//! PostgreSQL: the servers that tests start, and the store that hosts share.

mod conformance;
mod servers;
