//! `make bench`: the table; only the edge, with other builds of the filter beside ours; or, as a
//! process of its own, the floor that the whole way is measured against.

use livekit_webhook_tests::bench::{self, edge, flow};
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

const USAGE: &str = "usage: bench [SECTION...]
       bench edge-alone [FILTER.wasm...]

SECTION is one of verify, plugin, edge, flow, hang, backlog, memory; all without.
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let ended = runtime.map_err(anyhow::Error::from).and_then(|runtime| {
        runtime.block_on(async {
            let out = &mut std::io::stdout();
            match *arguments {
                [edge::EDGE_ALONE, ref filters @ ..] => {
                    bench::run_edge(filters, out).map(|()| true)
                }
                [flow::FLOOR, sink, endpoints, file] => {
                    let (sink, endpoints) = (sink.parse()?, endpoints.parse()?);
                    flow::floor::run(sink, endpoints, Path::new(file), out).await.map(|()| true)
                }
                ref names => match bench::sections(names) {
                    Some(sections) => bench::run(&sections, out).await.map(|()| true),
                    None => Ok(false),
                },
            }
        })
    });
    match ended {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            let _ = std::io::stderr().write_all(USAGE.as_bytes());
            ExitCode::from(64)
        }
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "\nbench: {error:#}");
            ExitCode::FAILURE
        }
    }
}
