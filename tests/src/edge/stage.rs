//! Plays requests to a [`Vm`] as Envoy does: what is held is buffered and announced as a whole,
//! what is let on goes to a host that answers, and what the filter answers ends the request.

use anyhow::{Result, bail, ensure};
use livekit_webhook_filter::request::Flow;

use super::scenario::{End, Outcome, Send};
use super::vm::Vm;
use super::world::{Lines, Stream};

/// The plugin's id; streams follow.
const PLUGIN: u32 = 1;

/// A [`Vm`] with one configured plugin.
pub struct Stage<V> {
    vm: V,
    last: u32,
    /// `allow_on_headers_stop_iteration`.
    pub stops_at_headers: bool,
    /// Callbacks that a capability list leaves out.
    pub withheld: Vec<&'static str>,
}

/// What one request left behind, beside its outcome.
#[derive(Debug, Default)]
pub struct Played {
    /// For the sender and the host.
    pub outcome: Outcome,
    /// As the proxy remembers it.
    pub stream: Stream,
}

// === impl Stage ===

impl<V: Vm> Stage<V> {
    /// Configures the filter.
    ///
    /// # Errors
    /// When it refuses the configuration, with what it logged, or traps.
    pub fn start(mut vm: V, configuration: &str, keys: &str, now_ms: u64) -> Result<Self> {
        let world = vm.world();
        world.now_ms.set(now_ms);
        world.configuration.replace(configuration.as_bytes().to_vec());
        world.variables.replace(vec!["OTHER=1".to_owned(), format!("LIVEKIT_KEYS={keys}")]);
        vm.create(PLUGIN, 0)?;
        if !vm.configure(PLUGIN)? {
            bail!("refused: {:?}", vm.world().log.borrow());
        }
        Ok(Self { vm, last: PLUGIN, stops_at_headers: true, withheld: Vec::new() })
    }

    /// The filter.
    pub fn vm(&mut self) -> &mut V {
        &mut self.vm
    }

    /// Moves the clock and lets the timer tick.
    ///
    /// # Errors
    /// When the filter traps.
    pub fn tick(&mut self, later_ms: u64) -> Result<()> {
        let now_ms = self.vm.world().now_ms.get();
        self.vm.world().now_ms.set(now_ms + later_ms);
        self.vm.tick(PLUGIN)
    }

    /// Sends one request and brings it to its end.
    ///
    /// # Errors
    /// When the filter traps, or neither answers nor lets on what is whole.
    pub fn play(&mut self, send: &Send) -> Result<Played> {
        self.last += 1;
        let id = self.last;
        let now_s = i64::try_from(self.vm.world().now_ms.get() / 1_000)?;
        let (head, trailers) = (head(send, now_s), send.trailers.clone());
        self.vm.world().open(id, Stream { head, trailers, ..Stream::default() });
        self.vm.create(id, PLUGIN)?;
        let passed = self.request(id, send)?;
        let answered = self.read(id, |stream| stream.answer.is_some());
        if !passed && !answered {
            // Held for ever, unless the timer finds it.
            self.tick(3_000)?;
            let moved = self.read(id, |stream| stream.resumed || stream.answer.is_some());
            ensure!(moved, "neither answered nor let on");
        }
        let outcome = self.answer(id, send)?;
        self.vm.delete(id)?;
        Ok(Played { outcome, stream: self.vm.world().close(id) })
    }

    /// Whether the whole request was let on.
    fn request(&mut self, id: u32, send: &Send) -> Result<bool> {
        let whole = send.end == End::Whole && send.pieces.iter().all(Vec::is_empty);
        let mut flow = self.vm.request_headers(id, whole)?;
        if self.over(id, flow, whole) {
            return Ok(flow == Flow::Continue);
        }
        let held = flow == Flow::Pause;
        if held && !self.stops_at_headers {
            return Ok(false);
        }
        let last = send.pieces.len().saturating_sub(1);
        let empty = [Vec::new()];
        let pieces = if send.end == End::Open { &empty[..] } else { &[] };
        for (index, piece) in send.pieces.iter().chain(pieces).enumerate() {
            let end = match send.end {
                End::Whole => index == last,
                End::Open => index > last || send.pieces.is_empty(),
                End::Trailers => false,
            };
            let bytes = self.read(id, |stream| {
                stream.body.extend_from_slice(piece);
                stream.body.len()
            });
            flow = if self.withheld.contains(&"proxy_on_request_body") {
                Flow::Continue
            } else {
                self.vm.request_body(id, bytes, end)?
            };
            if self.over(id, flow, end) {
                return Ok(flow == Flow::Continue);
            }
        }
        if send.end == End::Trailers {
            flow = if self.withheld.contains(&"proxy_on_request_trailers") {
                Flow::Continue
            } else {
                self.vm.request_trailers(id)?
            };
        }
        Ok(flow == Flow::Continue)
    }

    /// Nothing more is to be shown to the filter: it has answered, or this was the end.
    fn over(&self, id: u32, _flow: Flow, end: bool) -> bool {
        end || self.read(id, |stream| stream.answer.is_some())
    }

    /// The filter's answer, or the host's.
    fn answer(&mut self, id: u32, send: &Send) -> Result<Outcome> {
        let own = self.read(id, |stream| stream.answer.take());
        let (host, details) = match &own {
            Some(_) => (None, "livekit_webhook"),
            None => {
                (Some((self.read(id, |stream| stream.head.clone()), send.body())), "via_upstream")
            }
        };
        self.read(id, |stream| {
            let status = own.as_ref().and_then(|answer| u16::try_from(answer.status).ok());
            stream.status = Some(status.unwrap_or(send.host_status));
            stream.details = details.to_owned();
        });
        let flow = self.vm.response_headers(id)?;
        let instead = self.read(id, |stream| stream.answer.take());
        ensure!(instead.is_some() == (flow == Flow::Pause), "an answer is held without another");
        let mut outcome = Outcome { status: send.host_status, host, ..Outcome::default() };
        if let Some(answer) = instead.or(own) {
            let headers = answer.headers.iter();
            outcome.status = u16::try_from(answer.status)?;
            outcome.headers =
                headers.map(|(name, text)| (name.to_string(), text.clone())).collect();
            outcome.body = answer.body;
        }
        Ok(outcome)
    }

    fn read<T: Default>(&self, id: u32, look: impl FnOnce(&mut Stream) -> T) -> T {
        self.vm.world().stream(id, look).unwrap_or_default()
    }
}

/// The head as Envoy shows it: pseudo headers first, names in lower case, and what is repeated
/// joined where Envoy joins it.
fn head(send: &Send, now_s: i64) -> Lines {
    let line = |name: &str, value: &[u8]| (name.as_bytes().to_vec(), value.to_vec());
    let mut lines = vec![
        line(":authority", b"edge"),
        line(":path", send.path.as_bytes()),
        line(":method", send.method.as_bytes()),
    ];
    if send.end == End::Whole && !send.http2 {
        lines.push(line("content-length", send.body().len().to_string().as_bytes()));
    }
    let own = send.headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone()));
    let token = send.authorization(now_s).map(|value| line("authorization", &value));
    for (name, value) in token.into_iter().chain(own) {
        let first = lines.iter_mut().find(|(own, _)| *own == name && name == b"authorization");
        match first {
            Some((_, joined)) => {
                joined.push(b',');
                joined.extend_from_slice(&value);
            }
            None => lines.push((name, value)),
        }
    }
    lines
}
