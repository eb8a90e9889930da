//! The bench of the edge measures what it says; its numbers are nobody's business here.

use std::time::Duration;

use anyhow::{Result, ensure};
use livekit_webhook_tests::bench::edge::{self, Plan};
use livekit_webhook_tests::bench::table::Table;
use livekit_webhook_tests::envoy::root;

#[test]
fn every_row_of_the_edge_is_there_and_another_build_beside_ours() -> Result<()> {
    let mut out = Vec::new();
    let plan = Plan { rounds: 1, slice: Duration::from_millis(50) };
    let filter = root().join("target/wasm/filter.wasm");
    edge::run(plan, &[&filter], &mut Table::new(&mut out))?;
    let text = String::from_utf8(out)?;
    for row in [
        "no filter: answered",
        "jwt_authn: CPU a request",
        "ours refusing: CPU a request",
        "ours / jwt_authn, answered",
        "ours: CPU added",
        "ours / filter, CPU",
        "ours: instructions of wasm",
        "filter: calls into Envoy",
        "ours: resident memory, 1 worker",
        "ours: each further worker",
    ] {
        ensure!(text.contains(row), "no {row:?} in\n{text}");
    }
    Ok(())
}
