//! A proxy without a network.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use livekit_webhook_filter::answer::Answer;
use livekit_webhook_filter::headers::write_pairs;
use livekit_webhook_filter::proxy::{Level, Map, Metric, Proxy, SharedData};

/// A header list, as bytes.
pub type Lines = Vec<(Vec<u8>, Vec<u8>)>;

/// What the filter sees and what it left behind.
#[derive(Debug, Default)]
pub struct World {
    /// Unix time.
    pub now_ms: Cell<u64>,
    /// The plugin's JSON.
    pub configuration: RefCell<Vec<u8>>,
    /// `NAME=value`.
    pub variables: RefCell<Vec<String>>,
    /// What was asked of the timer; 0: nothing.
    pub tick_ms: Cell<u32>,
    /// Everything logged.
    pub log: RefCell<Vec<(Level, String)>>,
    /// For which stream the filter speaks.
    pub speaker: Cell<u32>,
    /// How often the filter asked for what, in a request.
    pub calls: RefCell<BTreeMap<&'static str, u32>>,
    streams: RefCell<BTreeMap<u32, Stream>>,
    metrics: RefCell<Vec<(Metric, String, Vec<u64>)>>,
    shared: RefCell<BTreeMap<String, (Vec<u8>, u32)>>,
}

/// One stream, from both sides.
#[derive(Clone, Debug, Default)]
pub struct Stream {
    /// The request's head.
    pub head: Lines,
    /// And its trailers.
    pub trailers: Lines,
    /// What is buffered.
    pub body: Vec<u8>,
    /// Of the answer, once there is one.
    pub status: Option<u16>,
    /// Where the answer comes from.
    pub details: String,
    /// The filter's own answer.
    pub answer: Option<Answer>,
    /// Words for the access log.
    pub notes: BTreeMap<String, String>,
    /// Let on by the filter outside of its callbacks.
    pub resumed: bool,
    /// The route was chosen again.
    pub rematched: bool,
}

// === impl World ===

impl World {
    /// A stream begins.
    pub fn open(&self, id: u32, stream: Stream) {
        self.streams.borrow_mut().insert(id, stream);
    }

    /// Looks at or changes a stream, if it is there.
    pub fn stream<T>(&self, id: u32, look: impl FnOnce(&mut Stream) -> T) -> Option<T> {
        self.streams.borrow_mut().get_mut(&id).map(look)
    }

    /// A stream is over.
    pub fn close(&self, id: u32) -> Stream {
        self.streams.borrow_mut().remove(&id).unwrap_or_default()
    }

    /// The sum of a metric, without its prefix; 0 when it was never defined.
    pub fn metric(&self, name: &str) -> u64 {
        let full = format!("livekit_webhook.{name}");
        let metrics = self.metrics.borrow();
        let found = metrics.iter().find(|(_, own, _)| *own == full);
        found.map_or(0, |(_, _, values)| values.iter().sum())
    }

    fn called(&self, name: &'static str) {
        *self.calls.borrow_mut().entry(name).or_default() += 1;
    }

    fn ours<T>(&self, look: impl FnOnce(&mut Stream) -> T) -> Option<T> {
        self.stream(self.speaker.get(), look)
    }

    fn lines<T>(&self, map: Map, look: impl FnOnce(&mut Lines) -> T) -> Option<T> {
        self.ours(|stream| match map {
            Map::RequestHeaders => look(&mut stream.head),
            Map::RequestTrailers => look(&mut stream.trailers),
            Map::ResponseHeaders => {
                let status = stream.status.map(|status| status.to_string().into_bytes());
                look(&mut status.map(|status| (b":status".to_vec(), status)).into_iter().collect())
            }
        })
    }
}

impl Proxy for World {
    fn log(&self, level: Level, text: &str) {
        self.log.borrow_mut().push((level, text.to_owned()));
    }

    fn now_ms(&self) -> Option<u64> {
        self.called("now_ms");
        Some(self.now_ms.get())
    }

    fn configuration(&self) -> Vec<u8> {
        self.configuration.borrow().clone()
    }

    fn variables(&self) -> Vec<String> {
        self.variables.borrow().clone()
    }

    fn tick_every(&self, period_ms: u32) -> bool {
        self.tick_ms.set(period_ms);
        true
    }

    fn speak_for(&self, context_id: u32) -> bool {
        self.speaker.set(context_id);
        self.streams.borrow().contains_key(&context_id)
    }

    fn define(&self, metric: Metric, name: &str) -> Option<u32> {
        let mut metrics = self.metrics.borrow_mut();
        let known = metrics.iter().position(|(_, own, _)| own == name);
        let index = known.unwrap_or(metrics.len());
        if known.is_none() {
            metrics.push((metric, name.to_owned(), Vec::new()));
        }
        u32::try_from(index).ok()
    }

    fn add(&self, id: u32, by: u32) {
        self.called("add");
        self.record(id, by.into());
    }

    fn record(&self, id: u32, value: u64) {
        let index = usize::try_from(id).unwrap_or(usize::MAX);
        if let Some((metric, _, values)) = self.metrics.borrow_mut().get_mut(index) {
            if *metric == Metric::Gauge {
                values.clear();
            }
            values.push(value);
        }
    }

    fn pairs(&self, map: Map) -> Option<Vec<u8>> {
        self.called("pairs");
        self.lines(map, |lines| write_pairs(lines))
    }

    fn value(&self, map: Map, name: &str) -> Option<Vec<u8>> {
        self.called("value");
        let name = name.as_bytes();
        let first = |lines: &mut Lines| lines.iter().find(|(own, _)| own == name).cloned();
        Some(self.lines(map, first)??.1)
    }

    fn remove(&self, map: Map, name: &[u8]) -> bool {
        self.called("remove");
        self.lines(map, |lines| lines.retain(|(own, _)| own != name)).is_some()
    }

    fn set(&self, name: &str, value: &[u8]) -> bool {
        self.called("set");
        let line = (name.as_bytes().to_vec(), value.to_vec());
        let put = |lines: &mut Lines| {
            lines.retain(|(own, _)| own != name.as_bytes());
            lines.push(line);
        };
        self.lines(Map::RequestHeaders, put).is_some()
    }

    fn body(&self, max: usize) -> Option<Vec<u8>> {
        self.called("body");
        let body = self.ours(|stream| stream.body.iter().take(max).copied().collect::<Vec<_>>())?;
        // As Envoy: there is no buffer before the first byte.
        (!body.is_empty()).then_some(body)
    }

    fn send(&self, answer: &Answer) -> bool {
        self.called("send");
        self.ours(|stream| stream.answer = Some(answer.clone())).is_some()
    }

    fn resume(&self) -> bool {
        self.called("resume");
        self.ours(|stream| stream.resumed = true).is_some()
    }

    fn rematch_route(&self) -> bool {
        self.called("rematch_route");
        self.ours(|stream| stream.rematched = true).is_some()
    }

    fn note(&self, name: &str, value: &str) -> bool {
        self.called("note");
        let pair = (name.to_owned(), value.to_owned());
        self.ours(|stream| stream.notes.extend([pair])).is_some()
    }

    fn answer_details(&self) -> Option<Vec<u8>> {
        self.called("answer_details");
        self.ours(|stream| stream.details.clone().into_bytes())
    }
}

impl SharedData for World {
    fn shared(&self, key: &str) -> Option<(Vec<u8>, u32)> {
        self.called("shared");
        self.shared.borrow().get(key).cloned()
    }

    fn share(&self, key: &str, value: &[u8], cas: u32) -> bool {
        self.called("share");
        let mut values = self.shared.borrow_mut();
        let old = values.get(key).map(|(_, number)| *number);
        // As Envoy: 0 overwrites, and what is not there takes any number.
        let fits = cas == 0 || old.is_none_or(|number| number == cas);
        if fits {
            values.insert(key.to_owned(), (value.to_vec(), old.unwrap_or(0) + 1));
        }
        fits
    }
}
