//! What a worker costs in memory: the same Envoy with few and with many of them.

use super::{Yaml, load, memory_mib};
use crate::bench::table::Table;
use crate::envoy::{Envoy, Setup};
use anyhow::Context as _;
use std::net::SocketAddr;
use std::time::Duration;

/// Workers of the two Envoys that are compared.
const FEW: u32 = 1;
const MANY: u32 = 9;
/// Requests go to all workers for this long before memory is looked at.
const LOAD: Duration = Duration::from_millis(500);

/// Measures and writes the rows.
///
/// # Errors
/// When an Envoy does not start or answers something else.
pub fn run(
    yaml: &Yaml,
    host: SocketAddr,
    request: &[u8],
    table: &mut Table<'_>,
) -> anyhow::Result<()> {
    for (name, setup) in
        [("no filter", yaml.none()), ("jwt_authn", yaml.jwt()), ("ours", yaml.ours())]
    {
        let few = resident_mib(&setup, FEW, host, request).context(name)?;
        let many = resident_mib(&setup, MANY, host, request).context(name)?;
        let each = (many - few) / f64::from(MANY - FEW);
        table.value(&format!("{name}: resident memory, {FEW} worker"), &[few], "MiB", "")?;
        table.value(&format!("{name}: each further worker"), &[each], "MiB", "")?;
    }
    Ok(())
}

fn resident_mib(
    setup: &Setup,
    workers: u32,
    host: SocketAddr,
    request: &[u8],
) -> anyhow::Result<f64> {
    let envoy = Envoy::start(&setup.clone().concurrency(workers), host)?;
    load::run(envoy.listener(), request, 200, LOAD)?;
    memory_mib(envoy.process_id())
}
