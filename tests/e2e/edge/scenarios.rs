//! One file of scenarios, played natively, in wasmtime and in a real Envoy: the same verdicts.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use hyper::Request;
use livekit_webhook::clock::{Clock as _, SystemClock};
use livekit_webhook_tests::edge::guest::Code;
use livekit_webhook_tests::edge::scenario::{End, Outcome, Scenario, Send, scenarios};
use livekit_webhook_tests::edge::stage::Stage;
use livekit_webhook_tests::edge::vm::{Native, Vm};
use livekit_webhook_tests::envoy::Setup;

use super::client::{self, Reply, http1, http2_request};
use super::{Edge, wait_until};

const NOW_MS: u64 = 1_795_435_200_000;

/// Fewer would mean that the file was not read.
const SCENARIOS_MIN: usize = 16;

/// A scenario with a rate is played again when the machine was so slow that the bucket refilled.
const TRIES_MAX: usize = 3;
const REFILL: Duration = Duration::from_millis(800);

fn play_all<V: Vm>(mut start: impl FnMut() -> Result<V>) -> Result<()> {
    let all = scenarios()?;
    ensure!(all.len() >= SCENARIOS_MIN, "only {} scenarios", all.len());
    for scenario in &all {
        let vm = start()?;
        play(vm, scenario).with_context(|| scenario.name.clone())?;
    }
    Ok(())
}

fn play<V: Vm>(vm: V, scenario: &Scenario) -> Result<()> {
    let mut stage = Stage::start(vm, &scenario.configuration, &scenario.keys, NOW_MS)?;
    for (index, step) in scenario.steps.iter().enumerate() {
        let played = stage.play(&step.send).with_context(|| format!("step {index}"))?;
        let checked = step.expect.check(&step.send, &played.outcome);
        checked.with_context(|| format!("step {index}"))?;
    }
    stage.tick(0)?;
    check_counters(scenario, |name| Ok(stage.vm().world().metric(name)))
}

fn check_counters(scenario: &Scenario, mut counter: impl FnMut(&str) -> Result<u64>) -> Result<()> {
    let found: Result<BTreeMap<_, _>> =
        scenario.counters.keys().map(|name| Ok((name.clone(), counter(name)?))).collect();
    let found = found?;
    ensure!(found == scenario.counters, "counters {found:?}, expected {:?}", scenario.counters);
    Ok(())
}

#[test]
fn natively_every_scenario_ends_as_it_says() -> Result<()> {
    play_all(|| Ok(Native::default()))
}

#[test]
fn in_wasmtime_every_scenario_ends_as_it_says() -> Result<()> {
    let code = Code::load()?;
    play_all(|| code.start())
}

#[test]
fn in_envoy_every_scenario_ends_as_it_says() -> Result<()> {
    for scenario in &scenarios()? {
        for again in 1.. {
            let began = Instant::now();
            let played = play_in_envoy(scenario).with_context(|| scenario.name.clone());
            let slow = scenario.configuration.contains("rate_limit") && began.elapsed() > REFILL;
            if played.is_ok() || !slow || again == TRIES_MAX {
                played?;
                break;
            }
        }
    }
    Ok(())
}

fn play_in_envoy(scenario: &Scenario) -> Result<()> {
    let options = "common_http_protocol_options:";
    let setup = Setup::with_keys(&scenario.keys).filter(&scenario.configuration).edit(
        options,
        &format!("http_protocol_options: {{ enable_trailers: true }}\n                {options}"),
    );
    let edge = Edge::start(&setup)?;
    for (index, step) in scenario.steps.iter().enumerate() {
        edge.host.answer(step.send.host_status);
        let (before, bytes) = (edge.host.requests().len(), edge.host.bytes().len());
        let reply = exchange(&edge, &step.send).with_context(|| format!("step {index}"))?;
        let received = edge.host.requests();
        let host = received.get(before).map(|request| (request.lines(), request.body.clone()));
        ensure!(host.is_some() || edge.host.bytes().len() == bytes, "step {index}: bytes");
        let headers = reply.headers.into_iter().collect();
        let outcome = Outcome { status: reply.status, headers, body: reply.body, host };
        let checked = step.expect.check(&step.send, &outcome);
        checked.with_context(|| format!("step {index}"))?;
    }
    // The filter hands its counters over now and then.
    let mut last = Ok(());
    wait_until("the counters", || {
        last = check_counters(scenario, |name| edge.envoy.counter(name));
        Ok(last.is_ok())
    })
    .or(last)
}

fn exchange(edge: &Edge, send: &Send) -> Result<Reply> {
    let at = edge.envoy.listener();
    let authorization = send.authorization(SystemClock.now().as_secs());
    let token = authorization.map(|value| (b"authorization".to_vec(), value));
    let lines: Vec<_> = token.into_iter().chain(send.headers.iter().cloned()).collect();
    if !send.http2 {
        return http1(at, &written(send, &lines));
    }
    let uri = format!("http://edge{}", send.path);
    let mut request = Request::builder().method(&*send.method).uri(uri).body(())?;
    *request.headers_mut() =
        client::headers(lines.iter().map(|(name, value)| (&**name, &**value)))?;
    let pieces: Vec<&[u8]> = send.pieces.iter().map(Vec::as_slice).collect();
    let end = match send.end {
        End::Whole if send.pieces.iter().all(Vec::is_empty) => client::End::Headers,
        End::Whole => client::End::Data,
        End::Open => client::End::EmptyData,
        End::Trailers => client::End::Trailers(&send.trailers),
    };
    http2_request(at, request, &pieces, end)
}

/// As HTTP/1.1.
fn written(send: &Send, lines: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let line = |(name, value): &(Vec<u8>, Vec<u8>)| [&**name, b": ", value, b"\r\n"].concat();
    let mut request = format!("{} {} HTTP/1.1\r\nhost: edge\r\n", send.method, send.path);
    let whole = send.end == End::Whole;
    if whole && send.method != "GET" {
        request.push_str(&format!("content-length: {}\r\n", send.body().len()));
    } else if !whole {
        request.push_str("transfer-encoding: chunked\r\n");
    }
    let mut request = request.into_bytes();
    request.extend(lines.iter().flat_map(line));
    request.extend_from_slice(b"\r\n");
    if whole {
        request.extend(send.body());
        return request;
    }
    for piece in send.pieces.iter().filter(|piece| !piece.is_empty()) {
        request.extend(format!("{:x}\r\n", piece.len()).into_bytes());
        request.extend_from_slice(piece);
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"0\r\n");
    request.extend(send.trailers.iter().flat_map(line));
    request.extend_from_slice(b"\r\n");
    request
}
