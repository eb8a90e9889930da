//! What one accepted request costs, counted: neither number depends on what else the machine does.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};

use super::guest::Code;
use super::scenario::{API_KEY, End, SECRET, Send, Token};
use super::stage::Stage;
use super::vm::Vm as _;

/// Requests before the counted one: the first ones have their paths taken, and memory grows.
const WARM_UP: usize = 8;

/// Of one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Instructions of WebAssembly, over all its callbacks.
    pub instructions: u64,
    /// Calls into the proxy, by kind.
    pub calls: BTreeMap<&'static str, u32>,
}

/// Counts an accepted request with this body.
///
/// # Errors
/// When the filter does not forward it, or traps.
pub fn accepted(code: &Code, configuration: &str, body: &[u8], now_ms: u64) -> Result<Cost> {
    let keys = format!("{API_KEY}: {SECRET}");
    let mut stage = Stage::start(code.start()?, configuration, &keys, now_ms)?;
    // As from HTTP/1: Envoy says the end with an empty piece of its own.
    let send = Send {
        http2: false,
        method: "POST".to_owned(),
        path: "/webhook".to_owned(),
        headers: Vec::new(),
        token: Token::Signed {
            key: API_KEY.to_owned(),
            secret: SECRET.to_owned(),
            body: None,
            ago_s: 0,
            prefix: String::new(),
        },
        pieces: vec![body.to_vec(), Vec::new()],
        end: End::Whole,
        trailers: Vec::new(),
        host_status: 200,
    };
    let mut before = 0;
    for warm_up in 0..=WARM_UP {
        if warm_up == WARM_UP {
            before = stage.vm().instructions()?;
            stage.vm().world().calls.take();
        }
        let played = stage.play(&send)?;
        ensure!(played.outcome.host.is_some(), "not forwarded: {:?}", played.outcome);
    }
    let instructions = stage.vm().instructions()? - before;
    Ok(Cost { instructions, calls: stage.vm().world().calls.take() })
}
