//! One call of a plugin: wait for a place, make an instance, run it within its limits, throw it
//! away.
//!
//! Whatever a guest did to its own memory ends with the event, unless the operator wants its
//! instances [`warm`]. Nothing of the guest runs outside [`Meter::charge`], and no call outlives the
//! deadline.

use super::convert::Ended;
use super::engine::Place;
use super::gate::Gate;
use super::growth::{Growth, Refused};
use super::instance::{self, State};
use super::limits::{self, Limits};
use super::log::Lines;
use super::meter::{Meter, Stop};
use super::registry::Plugin;
use super::warm::{self, History, Kept};
use super::witness::Witness;
use super::{Fault, Input, Interface, Output, Usage, trap};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, SemaphorePermit};
use wasmtime::Store;
use wasmtime::component::Instance;

/// Places for calls that run, and a bounded number of calls that wait for one.
#[derive(Debug)]
pub struct Queue {
    running: Semaphore,
    waiting: AtomicUsize,
    waiting_max: usize,
}

/// Counts one call as waiting for as long as it lives.
struct Waiting<'a>(&'a AtomicUsize);

// === impl Queue ===

impl Queue {
    /// As `limits` say.
    pub fn new(limits: &Limits) -> Self {
        Self {
            running: Semaphore::new(limits.concurrency()),
            waiting: AtomicUsize::new(0),
            waiting_max: limits.size(limits::QUEUE),
        }
    }

    /// A place, or `None` when too many wait already.
    async fn place(&self) -> Option<SemaphorePermit<'_>> {
        if let Ok(place) = self.running.try_acquire() {
            return Some(place);
        }
        let waiting = Waiting(&self.waiting);
        if self.waiting.fetch_add(1, Ordering::AcqRel) >= self.waiting_max {
            return None;
        }
        let place = self.running.acquire().await.ok();
        drop(waiting);
        place
    }

    /// Calls that wait now.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Acquire)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

// === impl Plugin ===

impl Plugin {
    /// Shows the event to every interface the component exports, in the order `filter`,
    /// `transform`, `route`, `enrich`, `action`, in one fresh instance, and gives one [`Output`]
    /// for each. A filter that says no ends it: its answer is then the last.
    ///
    /// # Errors
    /// A [`Fault`] of the first interface that came to no result. There are no outputs then.
    ///
    /// # Cancel safety
    /// Safe: a call that is dropped leaves nothing behind but its lines in the log.
    pub async fn call(&self, input: Input) -> Result<Vec<Output>, Fault> {
        self.measure(input).await.0
    }

    /// [`Plugin::call`], and what it took. Of a call that the deadline ended while it waited, the
    /// memory is not known.
    ///
    /// # Cancel safety
    /// As [`Plugin::call`].
    pub async fn measure(&self, input: Input) -> (Result<Vec<Output>, Fault>, Usage) {
        self.watched(input, &Witness::default()).await
    }

    /// [`Plugin::measure`], watched.
    ///
    /// # Cancel safety
    /// As [`Plugin::call`].
    pub async fn watched(
        &self,
        input: Input,
        witness: &Witness,
    ) -> (Result<Vec<Output>, Fault>, Usage) {
        let wall = self.wall();
        let meter = Meter::new(Instant::now(), wall, self.limits.time(limits::CPU_INIT_MS));
        let runs = AtomicBool::new(false);
        let mut usage = Usage::default();
        let called = async {
            let _place = self.queue.place().await.ok_or(Fault::Unavailable)?;
            let place = self.machine.place().await.ok_or(Fault::Unavailable)?;
            runs.store(true, Ordering::Release);
            self.run(&place, input, &meter, (&mut usage, witness)).await
        };
        let result = match tokio::time::timeout(wall, called).await {
            Ok(result) => result,
            Err(_) if runs.load(Ordering::Acquire) => {
                Err(Fault::DeadlineExceeded { limit_ms: millis(wall) })
            }
            // It never began, so this says nothing about the plugin.
            Err(_) => Err(Fault::Unavailable),
        };
        usage.cpu = meter.spent();
        (result.map_err(|fault| self.hidden.hide_fault(fault)), usage)
    }

    /// Calls that wait for a place now.
    pub fn waiting(&self) -> usize {
        self.queue.waiting()
    }

    async fn run(
        &self,
        place: &Place<'_>,
        input: Input,
        meter: &Meter,
        (usage, witness): (&mut Usage, &Witness),
    ) -> Result<Vec<Output>, Fault> {
        let source = self.warm.is_some().then(|| input.source.clone());
        let taken = source.as_ref().and_then(|source| self.warm.as_ref()?.take(source));
        let (mut store, mut history) = match taken {
            Some(Kept { mut store, history, .. }) => {
                self.renew(&mut store, input, meter.clone());
                (store, Some(history))
            }
            None => (self.store(place, input, meter.clone()), None),
        };
        self.show(witness, store.data_mut());
        let mut begun = None;
        let result = meter
            .charge(async {
                let instance = match &history {
                    Some(history) => history.instance,
                    None => self.pre.instantiate_async(&mut store).await?,
                };
                begun = Some((instance, store.data().growth.memory_bytes()));
                meter.restart(self.cpu());
                self.outputs(&mut store, &instance).await
            })
            .await;
        store.data_mut().flush(true);
        usage.memory_bytes = u64::try_from(store.data().growth.memory_bytes()).unwrap_or(u64::MAX);
        usage.fuel = instance::fuel(&store);
        let result = result.map_err(|ended| match ended {
            Ended::Fault(fault) => fault,
            Ended::Engine(error) => {
                let words = store.data().log.last_words();
                witness.broke(|| trap::frames_of(&error), words);
                fault(&error, store.data(), &self.limits)
            }
        });
        if let (Some(source), Some((instance, begun_bytes))) = (source, begun)
            && warm::has_returned(&result)
        {
            let first = || {
                let _permit = self.machine.warm_place()?;
                Some(History { instance, source, calls: 0, begun_bytes, _permit })
            };
            history = history.take().or_else(first);
            self.keep(store, history);
        }
        result
    }

    /// Puts an instance back for the next event of its source, with nothing of this one.
    fn keep(&self, mut store: Store<State>, history: Option<History>) {
        let (Some(warm), Some(mut history)) = (&self.warm, history) else {
            return;
        };
        history.calls += 1;
        let state = store.data_mut();
        state.input = Input::default();
        state.body = OnceLock::new();
        state.log = self.lines("");
        warm.put(store, history);
    }

    /// The limits of a call, anew, for an instance that had one before.
    fn renew(&self, store: &mut Store<State>, input: Input, meter: Meter) {
        store.set_epoch_deadline(1);
        let state = store.data_mut();
        state.log = self.lines(&input.id);
        state.growth.renew();
        state.gate = Gate::new(&self.door, &input, meter.deadline());
        state.meter = meter;
        state.stopped = None;
        if let Some(wasi) = &mut state.wasi {
            wasi.renew(&self.name, &input.id, input.created_at_ms);
        }
        state.input = input;
    }

    fn lines(&self, event: &str) -> Lines {
        Lines::new(&self.name, event, &self.limits, &self.minute)
    }

    /// Lets `witness` see what it wants of a call that begins.
    fn show(&self, witness: &Witness, state: &mut State) {
        if witness.is_there() {
            state.log.follow(witness.tail());
            state.gate = Gate::new(&witness.door(&self.door), &state.input, state.meter.deadline());
        }
    }

    async fn outputs(
        &self,
        store: &mut Store<State>,
        instance: &Instance,
    ) -> Result<Vec<Output>, Ended> {
        let mut outputs = Vec::new();
        for interface in Interface::ALL {
            let called = self.exports.call(interface, store, instance, &self.limits).await?;
            let refused = called == Some(Output::Accept(false));
            outputs.extend(called);
            if refused {
                break;
            }
        }
        Ok(outputs)
    }

    /// A store for `input`, charged to `meter`. Only who holds a place gets one: without it no tick
    /// would come to stop the guest.
    pub(super) fn store(&self, _place: &Place<'_>, input: Input, meter: Meter) -> Store<State> {
        let gate = Gate::new(&self.door, &input, meter.deadline());
        let state = State {
            growth: Growth::new(&self.limits, self.machine.budget().clone()),
            log: self.lines(&input.id),
            input,
            body: OnceLock::new(),
            config: self.config.clone(),
            own: self.own.clone(),
            gate,
            meter,
            stopped: None,
            granted: (self.door.permissions().clock, self.door.permissions().random),
            wasi: None,
        };
        instance::store(&self.machine, state, &self.limits)
    }

    /// The deadline of a call: the longest its interfaces are given.
    fn wall(&self) -> Duration {
        self.longest(limits::WALL_PURE_MS, limits::WALL_IO_MS)
    }

    fn cpu(&self) -> Duration {
        self.longest(limits::CPU_PURE_MS, limits::CPU_IO_MS)
    }

    fn longest(&self, pure: limits::Row, io: limits::Row) -> Duration {
        let does_io = self.exports.does_io();
        self.limits.time(if does_io { io } else { pure })
    }
}

/// What the engine's error means, with what the store knows of its cause.
pub(super) fn fault(error: &wasmtime::Error, state: &State, limits: &Limits) -> Fault {
    match state.stopped {
        Some(Stop::Cpu { limit_ms }) => return Fault::CpuExceeded { limit_ms },
        Some(Stop::Wall { limit_ms }) => return Fault::DeadlineExceeded { limit_ms },
        None => {}
    }
    match state.growth.refused() {
        Some(Refused::Limit) => {
            return Fault::MemoryExceeded { limit_bytes: limits.get(limits::MEMORY_BYTES) };
        }
        // Others have it all: that says nothing about this one.
        Some(Refused::Budget) => return Fault::Unavailable,
        None => {}
    }
    let max = limits.get(limits::CROSSING_BYTES);
    if trap::is_crossing(error) {
        // The engine stops at the first byte too many and does not say how many there were.
        let what = "bytes to the host, at least";
        return Fault::OutputExceeded { what, value: max.saturating_add(1), max };
    }
    Fault::Trap(trap::describe(error, state.log.last_words()))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
