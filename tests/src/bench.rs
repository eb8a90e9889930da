//! What `make bench` measures. Nothing here is asserted; every case is compared with another of the
//! same run.

pub mod plugin;
