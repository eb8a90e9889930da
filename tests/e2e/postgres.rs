//! PostgreSQL: the servers that tests start.

mod servers;
