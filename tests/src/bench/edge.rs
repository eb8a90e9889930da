//! Envoy in front of a host that does nothing: what verifying costs there.
//!
//! Cases: no filter; native jwt_authn, which checks the token's HS256 and nothing of the body;
//! ours, with its event filter, and the same without verdict headers; and both refusing a wrong
//! signature. Each has an Envoy of its own
//! with one worker and without an access log; slices of the cases alternate, so that whatever the
//! machine does meanwhile happens to all, and a ratio is of one round. Every round counts. CPU is
//! the scheduler's time of the Envoy process over the requests answered in the slice: it suffers
//! less from a busy machine than the throughput does. Instructions of wasm and calls into the proxy
//! are counted in wasmtime and do not suffer at all. A refused head closes its connection, so the
//! cases that refuse also pay for a new one each time; they are compared with each other. Memory is
//! that of Envoys of their own, with one worker and with more.
//!
//! Not in the numbers: TLS, the network, more than one worker.

mod host;
mod load;
mod memory;

use super::table::Table;
use super::verify;
use crate::edge::cost;
use crate::edge::guest::Code;
use crate::envoy::{Envoy, Setup, root};
use anyhow::{Context as _, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use host::Host;
use livekit_webhook::clock::{Clock as _, SystemClock};
use livekit_webhook_wire::sign;
use load::Slice;
use std::path::Path;
use std::time::Duration;

/// The word that makes `bench` measure only this, with the filters named after it beside ours.
pub const EDGE_ALONE: &str = "edge-alone";
/// Size of the event, in bytes.
const EVENT_BYTES: usize = 1_442;
/// Connections of the load.
const CONNECTIONS: usize = 32;
const API_KEY: &str = "APIbench";
const SECRET: &str = "bench-secret";
const JSON: &str = r#"{"events": {"include": ["*"], "exclude": ["track_*"]}}"#;

/// How long to measure.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Rounds, after one that warms up.
    pub rounds: usize,
    /// One case in one round.
    pub slice: Duration,
}

struct Case {
    name: String,
    envoy: Envoy,
    request: Vec<u8>,
    status: u16,
    slices: Vec<Slice>,
}

/// Measures and writes the section.
///
/// # Errors
/// When an Envoy does not start, an answer is not the expected one, or the table cannot be written.
pub fn run(plan: Plan, filters: &[&Path], table: &mut Table<'_>) -> anyhow::Result<()> {
    let host = Host::start()?;
    // The run is shorter than a token lives.
    let now_s = SystemClock.now().as_secs();
    let body = verify::body("EV_bench", now_s, EVENT_BYTES)?;
    let request = |secret: &str| request(&body, secret, now_s);
    let yaml = Yaml::read()?;
    let mut cases = cases(&yaml, &host, filters, request)?;
    for round in 0..=plan.rounds {
        for case in &mut cases {
            let cpu_ns = cpu_ns(case.envoy.process_id())?;
            let mut slice =
                load::run(case.envoy.listener(), &case.request, case.status, plan.slice)
                    .with_context(|| case.name.clone())?;
            let spent_ns = cpu_ns_since(case.envoy.process_id(), cpu_ns)?;
            slice.cpu_us = spent_ns / 1_000.0 / slice.answered.max(1) as f64;
            if round > 0 {
                case.slices.push(slice);
            }
        }
    }
    let how = format!(
        "{EVENT_BYTES} bytes, {CONNECTIONS} connections, one worker, {} rounds of {:?} a case",
        plan.rounds, plan.slice
    );
    table.section("Envoy: no filter, jwt_authn (no body check), ours", how)?;
    tell(&cases, table)?;
    drop(cases);
    count(&body, now_s, filters, table)?;
    memory::run(&yaml, host.address(), &request(SECRET), table)
}

fn tell(cases: &[Case], table: &mut Table<'_>) -> anyhow::Result<()> {
    let [none, jwt, ours, bare, jwt_refuses, refuses, others @ ..] = cases else {
        anyhow::bail!("cases are missing");
    };
    for case in cases {
        table.value(&format!("{}: answered", case.name), &case.of(|s| s.a_second), "/s", "")?;
    }
    for case in cases {
        table.value(&format!("{}: CPU a request", case.name), &case.of(|s| s.cpu_us), "us", "")?;
    }
    let rate = |of: &Case| of.of(|slice| slice.a_second);
    let cpu = |of: &Case| of.of(|slice| slice.cpu_us);
    table.ratio("ours / no filter, answered", &rate(ours), &rate(none), ">= 0.76")?;
    table.ratio("ours / jwt_authn, answered", &rate(ours), &rate(jwt), ">= 1.00")?;
    table.ratio("jwt_authn / no filter, answered", &rate(jwt), &rate(none), "")?;
    table.ratio("no filter / ours, CPU", &cpu(none), &cpu(ours), ">= 0.76")?;
    table.ratio("jwt_authn / ours, CPU", &cpu(jwt), &cpu(ours), ">= 1.00")?;
    table.ratio("jwt_authn / ours without headers, CPU", &cpu(jwt), &cpu(bare), "")?;
    table.ratio("refusing: jwt_authn / ours, CPU", &cpu(jwt_refuses), &cpu(refuses), "")?;
    let added = |of: &Case| -> Vec<f64> {
        cpu(of).iter().zip(cpu(none)).map(|(own, none)| own - none).collect()
    };
    table.value("jwt_authn: CPU added", &added(jwt), "us", "")?;
    table.value("ours: CPU added", &added(ours), "us", "<= 10")?;
    table.value("ours without headers: CPU added", &added(bare), "us", "")?;
    for other in others {
        table.value(&format!("{}: CPU added", other.name), &added(other), "us", "")?;
        let what = format!("ours / {}, CPU", other.name);
        table.ratio(&what, &cpu(ours), &cpu(other), "")?;
    }
    Ok(())
}

/// What can be counted, whatever else the machine does: of our filter and of each other build.
fn count(body: &str, now_s: i64, filters: &[&Path], table: &mut Table<'_>) -> anyhow::Result<()> {
    let now_ms = u64::try_from(now_s)? * 1_000;
    let mut told = |name: &str, code: &Code| -> anyhow::Result<()> {
        let cost = cost::accepted(code, JSON, body.as_bytes(), now_ms)?;
        let calls: u32 = cost.calls.values().sum();
        let instructions = cost.instructions as f64;
        table.value(&format!("{name}: instructions of wasm"), &[instructions], "", "")?;
        table.value(&format!("{name}: calls into Envoy"), &[f64::from(calls)], "", "")?;
        Ok(())
    };
    told("ours", &Code::load()?)?;
    for filter in filters {
        told(&stem(filter), &Code::read(filter)?)?;
    }
    Ok(())
}

/// A filter's name in the table.
fn stem(filter: &Path) -> String {
    filter.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// As LiveKit sends it.
fn request(body: &str, secret: &str, now_s: i64) -> Vec<u8> {
    let token = sign::authorization(API_KEY, secret.as_bytes(), body.as_bytes(), now_s);
    let head = format!(
        "POST /webhook HTTP/1.1\r\nhost: edge.example\r\nuser-agent: Go-http-client/1.1\r\n\
         content-length: {}\r\nauthorization: {token}\r\n\
         content-type: application/webhook+json\r\naccept-encoding: gzip\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body.as_bytes()].concat()
}

fn cases(
    yaml: &Yaml,
    host: &Host,
    filters: &[&Path],
    request: impl Fn(&str) -> Vec<u8>,
) -> anyhow::Result<Vec<Case>> {
    let (none, jwt, ours) = (yaml.none(), yaml.jwt(), yaml.ours());
    let mut cases = Vec::new();
    let mut case = |name: &str, setup: &Setup, secret: &str, status| -> anyhow::Result<()> {
        let envoy = Envoy::start(setup, host.address()).with_context(|| name.to_owned())?;
        let request = request(secret);
        cases.push(Case { name: name.to_owned(), envoy, request, status, slices: Vec::new() });
        Ok(())
    };
    case("no filter", &none, SECRET, 200)?;
    case("jwt_authn", &jwt, SECRET, 200)?;
    case("ours", &ours, SECRET, 200)?;
    case("ours without headers", &yaml.bare(), SECRET, 200)?;
    case("jwt_authn refusing", &jwt, "guess", 401)?;
    case("ours refusing", &ours, "guess", 401)?;
    for filter in filters {
        let path = filter.display().to_string();
        case(&stem(filter), &ours.clone().edit("target/wasm/filter.wasm", &path), SECRET, 200)?;
    }
    Ok(cases)
}

/// Parts of `envoy/edge.yaml`.
struct Yaml {
    log: String,
    filter: String,
}

// === impl Case ===

impl Case {
    fn of(&self, number: impl Fn(&Slice) -> f64) -> Vec<f64> {
        self.slices.iter().map(number).collect()
    }
}

// === impl Yaml ===

impl Yaml {
    fn read() -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(root().join("envoy/edge.yaml"))?;
        let between = |from: &str, to: &str| {
            let start = text.find(from).with_context(|| format!("no `{from}`"))?;
            let rest = text.get(start..).unwrap_or_default();
            let end = rest.find(to).with_context(|| format!("no `{to}`"))?;
            anyhow::Ok(rest.get(..end).unwrap_or_default().to_owned())
        };
        let log = between("access_log:", "http_filters:")?;
        let name = "- name: livekit-webhook\n                    typed_config:";
        let filter = between(name, "- name: envoy.filters.http.router")?;
        ensure!(filter.contains("vm_config"), "envoy/edge.yaml has another form");
        Ok(Self { log, filter })
    }

    /// One worker, no access log.
    fn base(&self) -> Setup {
        Setup::with_keys(&format!("{API_KEY}: {SECRET}")).concurrency(1).edit(&self.log, "")
    }

    fn ours(&self) -> Setup {
        self.base().filter(JSON)
    }

    /// Tells the host nothing, as `jwt_authn` does.
    fn bare(&self) -> Setup {
        self.base().filter(&JSON.replacen('{', r#"{"headers": {"set": []}, "#, 1))
    }

    fn none(&self) -> Setup {
        self.base().edit(&self.filter, "")
    }

    fn jwt(&self) -> Setup {
        let key = URL_SAFE_NO_PAD.encode(SECRET);
        let jwks = format!(r#"{{"keys":[{{"kty":"oct","alg":"HS256","k":"{key}"}}]}}"#);
        let filter = format!(
            r#"- name: envoy.filters.http.jwt_authn
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication
                      providers:
                        livekit:
                          issuer: {API_KEY}
                          forward: true
                          from_headers: [{{ name: authorization }}]
                          local_jwks: {{ inline_string: '{jwks}' }}
                      rules:
                        - match: {{ prefix: "/" }}
                          requires: {{ provider_name: livekit }}
                  "#
        );
        self.base().edit(&self.filter, &filter)
    }
}

/// The scheduler's time of all threads of a process, in nanoseconds, by thread.
fn cpu_ns(process_id: u32) -> anyhow::Result<Vec<(String, f64)>> {
    let mut threads = Vec::new();
    for entry in std::fs::read_dir(format!("/proc/{process_id}/task"))? {
        let entry = entry?;
        // A thread may end while we look.
        let text = std::fs::read_to_string(entry.path().join("schedstat")).unwrap_or_default();
        let spent = text.split(' ').next().and_then(|number| number.parse().ok());
        let id = entry.file_name().to_string_lossy().into_owned();
        threads.push((id, spent.unwrap_or_default()));
    }
    Ok(threads)
}

fn cpu_ns_since(process_id: u32, before: Vec<(String, f64)>) -> anyhow::Result<f64> {
    let spent = cpu_ns(process_id)?.into_iter().map(|(id, now)| {
        let then = before.iter().find(|(own, _)| *own == id).map_or(0.0, |(_, then)| *then);
        now - then
    });
    Ok(spent.sum())
}

/// Resident memory of a process.
///
/// # Errors
/// When there is no such process.
pub fn memory_mib(process_id: u32) -> anyhow::Result<f64> {
    let text = std::fs::read_to_string(format!("/proc/{process_id}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib / 1_024.0)
}
