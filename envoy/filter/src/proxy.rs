//! What the filter asks of the proxy, as a trait.
//!
//! Two implement it: `hostcalls.rs`, which is Envoy, and the simulated proxy of the tests, so that
//! one scenario runs natively and in WebAssembly. Nothing here panics and nothing blocks; `None` and
//! `false` mean that the proxy would not.

use crate::answer::Answer;

/// Which list of headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Map {
    /// Of the request.
    RequestHeaders = 0,
    /// Of the request, after its body.
    RequestTrailers = 1,
    /// Of the answer.
    ResponseHeaders = 2,
}

/// How loud.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// For the record.
    Info = 2,
    /// Works, but not as wished.
    Warn = 3,
    /// Does not work.
    Error = 4,
}

/// What a metric does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// Only grows.
    Counter = 0,
    /// Is set.
    Gauge = 1,
    /// Is sampled.
    Histogram = 2,
}

/// The proxy, as one callback sees it.
pub trait Proxy: SharedData {
    /// Writes to the proxy's log.
    fn log(&self, level: Level, text: &str);
    /// Unix time in milliseconds. `None`: there is no clock, and nothing can be judged.
    fn now_ms(&self) -> Option<u64>;
    /// The plugin's configuration; empty when there is none.
    fn configuration(&self) -> Vec<u8>;
    /// Every `NAME=value` of the environment.
    fn variables(&self) -> Vec<String>;
    /// Asks for a tick every `period_ms`.
    fn tick_every(&self, period_ms: u32) -> bool;
    /// Makes the calls that follow speak for another request.
    fn speak_for(&self, context_id: u32) -> bool;
    /// Defines a metric, or finds it again.
    fn define(&self, metric: Metric, name: &str) -> Option<u32>;
    /// Adds to a counter.
    fn add(&self, id: u32, by: u32);
    /// Sets a gauge or adds a sample to a histogram.
    fn record(&self, id: u32, value: u64);
    /// The list as the ABI writes it, for [`crate::headers::Pairs`].
    fn pairs(&self, map: Map) -> Option<Vec<u8>>;
    /// The first value of a header.
    fn value(&self, map: Map, name: &str) -> Option<Vec<u8>>;
    /// Removes every header of this name.
    fn remove(&self, map: Map, name: &[u8]) -> bool;
    /// Sets a request header: all earlier values of this name are gone.
    fn set(&self, name: &str, value: &[u8]) -> bool;
    /// What is buffered of the request's body, at most `max` bytes.
    fn body(&self, max: usize) -> Option<Vec<u8>>;
    /// Answers the request here.
    fn send(&self, answer: &Answer) -> bool;
    /// Lets a held request on.
    fn resume(&self) -> bool;
    /// Has the route chosen again, by the headers as they are now.
    fn rematch_route(&self) -> bool;
    /// Leaves a word for the access log.
    fn note(&self, name: &str, value: &str) -> bool;
    /// How the answer came about: `via_upstream`, or a word of the proxy's own.
    fn answer_details(&self) -> Option<Vec<u8>>;
}

/// Values that all workers see, each with a number that changes when it does.
pub trait SharedData {
    /// A value and its number. `None`: never set.
    fn shared(&self, key: &str) -> Option<(Vec<u8>, u32)>;
    /// Sets a value if its number is still `cas`. A key that was never set takes any number; 0
    /// overwrites whatever is there.
    fn share(&self, key: &str, value: &[u8], cas: u32) -> bool;
}
