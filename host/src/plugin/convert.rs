//! The only file, with its folder, that knows both the contract and our own types.
//!
//! What a guest returns is measured here, value by value, before anybody else sees it. `imports.rs`
//! is the other direction: what a guest may ask of us.

mod imports;
mod io;

pub use imports::link;

use super::instance::{EventHandle, State};
use super::limits::{self, Limits, Row};
use super::log::escape;
use super::world::exports::livekit_webhook::plugin::{
    action, enrich, filter, lifecycle, route, transform,
};
use super::world::livekit_webhook::plugin::types;
use super::{Draft, Fault, Interface, Output};
use bytes::Bytes;
use wasmtime::Store;
use wasmtime::component::{Instance, InstancePre, Resource};

/// The contract's package and the version of it that is served.
pub const PACKAGE: &str = "livekit-webhook:plugin";
/// See [`PACKAGE`].
pub const VERSION: &str = "0.1.1";
/// The interfaces of [`PACKAGE`] a component may import.
pub const IMPORTS: [&str; 8] =
    ["types", "log", "config", "metrics", "http", "secrets", "state", "livekit"];

/// Those of [`IMPORTS`] that reach beyond the event.
pub const OUTSIDE: [&str; 4] = ["http", "secrets", "state", "livekit"];

/// What a component exports, found once, so that a call looks up no name.
pub struct Exports {
    filter: Option<filter::GuestIndices>,
    transform: Option<transform::GuestIndices>,
    route: Option<route::GuestIndices>,
    enrich: Option<enrich::GuestIndices>,
    action: Option<action::GuestIndices>,
    lifecycle: Option<lifecycle::GuestIndices>,
}

/// How a call of a guest's function ended without a result.
pub enum Ended {
    /// The guest or a limit of ours says so.
    Fault(Fault),
    /// The engine says so: a trap, an interruption, a result that cannot be read.
    Engine(wasmtime::Error),
}

// === impl Exports ===

impl Exports {
    /// Looks for each interface among `names`, the component's exports.
    ///
    /// # Errors
    /// The engine's words when an interface is there by name but not as the contract has it.
    pub fn find(pre: &InstancePre<State>, names: &[String]) -> wasmtime::Result<Self> {
        let has = |interface: &str| {
            let prefix = format!("{PACKAGE}/{interface}@");
            names.iter().any(|name| name.starts_with(&prefix))
        };
        Ok(Self {
            filter: has("filter").then(|| filter::GuestIndices::new(pre)).transpose()?,
            transform: has("transform").then(|| transform::GuestIndices::new(pre)).transpose()?,
            route: has("route").then(|| route::GuestIndices::new(pre)).transpose()?,
            enrich: has("enrich").then(|| enrich::GuestIndices::new(pre)).transpose()?,
            action: has("action").then(|| action::GuestIndices::new(pre)).transpose()?,
            lifecycle: has("lifecycle").then(|| lifecycle::GuestIndices::new(pre)).transpose()?,
        })
    }

    /// The interfaces a call uses, in the order it uses them.
    pub fn interfaces(&self) -> Vec<Interface> {
        let Self { filter, transform, route, enrich, action, lifecycle: _ } = self;
        let there = [
            filter.is_some(),
            transform.is_some(),
            route.is_some(),
            enrich.is_some(),
            action.is_some(),
        ];
        Interface::ALL.into_iter().zip(there).filter_map(|(name, is)| is.then_some(name)).collect()
    }

    /// Whether a call is given the longer times: it exports `enrich` or `action`.
    pub fn does_io(&self) -> bool {
        self.enrich.is_some() || self.action.is_some()
    }

    /// Whether the component checks its configuration.
    pub fn has_lifecycle(&self) -> bool {
        self.lifecycle.is_some()
    }

    /// Lets the component check its configuration. `Ok(Err(_))` is its own refusal.
    ///
    /// # Errors
    /// When it did not come to an answer.
    pub async fn configure(
        &self,
        store: &mut Store<State>,
        instance: &Instance,
        config: &[u8],
    ) -> wasmtime::Result<Result<(), String>> {
        let Some(indices) = &self.lifecycle else {
            return Ok(Ok(()));
        };
        let guest = indices.load(&mut *store, instance)?;
        let answer = guest.call_configure(store, config).await?;
        Ok(answer.map_err(|text| escape(&text, limits::ERROR_BYTES_MAX)))
    }

    /// Calls one interface on the store's event. `Ok(None)` when the component does not export it.
    ///
    /// # Errors
    /// When there is no result, or it is over a limit.
    pub async fn call(
        &self,
        interface: Interface,
        store: &mut Store<State>,
        instance: &Instance,
        limits: &Limits,
    ) -> Result<Option<Output>, Ended> {
        let event = Resource::<EventHandle>::new_borrow(0);
        store.data_mut().gate.interface = Some(interface);
        let output = match interface {
            Interface::Filter => {
                let Some(indices) = &self.filter else {
                    return Ok(None);
                };
                let guest = indices.load(&mut *store, instance)?;
                Output::Accept(guest.call_accept(store, event).await??)
            }
            Interface::Transform => {
                let Some(indices) = &self.transform else {
                    return Ok(None);
                };
                let guest = indices.load(&mut *store, instance)?;
                drafts(guest.call_transform(store, event).await??, limits)?
            }
            Interface::Route => {
                let Some(indices) = &self.route else {
                    return Ok(None);
                };
                let guest = indices.load(&mut *store, instance)?;
                destinations(guest.call_destinations(store, event).await??, limits)?
            }
            Interface::Enrich => {
                let Some(indices) = &self.enrich else {
                    return Ok(None);
                };
                let guest = indices.load(&mut *store, instance)?;
                let added = guest.call_attributes(store, event).await??;
                attributes(&added, limits)?;
                Output::Attributes(added)
            }
            Interface::Action => {
                let Some(indices) = &self.action else {
                    return Ok(None);
                };
                let guest = indices.load(&mut *store, instance)?;
                let result = guest.call_run(store, event, &[]).await??;
                within("a result (bytes)", result.len(), limits, limits::BODY_BYTES)?;
                Output::Done(Bytes::from(result))
            }
        };
        Ok(Some(output))
    }
}

fn drafts(drafts: Vec<types::Draft>, limits: &Limits) -> Result<Output, Fault> {
    within("a number of drafts", drafts.len(), limits, limits::DRAFTS)?;
    let mut checked = Vec::with_capacity(drafts.len());
    for types::Draft { kind, body, attributes: added } in drafts {
        within("a body (bytes)", body.len(), limits, limits::BODY_BYTES)?;
        let kind_bytes = kind.as_ref().map_or(0, String::len);
        within("a type of event (bytes)", kind_bytes, limits, limits::ATTRIBUTE_BYTES)?;
        attributes(&added, limits)?;
        checked.push(Draft { kind, body: Bytes::from(body), attributes: added });
    }
    Ok(Output::Drafts(checked))
}

fn destinations(names: Vec<String>, limits: &Limits) -> Result<Output, Fault> {
    within("a number of destinations", names.len(), limits, limits::DESTINATIONS)?;
    for name in &names {
        within("a destination (bytes)", name.len(), limits, limits::ATTRIBUTE_BYTES)?;
    }
    Ok(Output::Destinations(names))
}

fn attributes(added: &[(String, String)], limits: &Limits) -> Result<(), Fault> {
    within("a number of attributes", added.len(), limits, limits::ATTRIBUTES)?;
    for (name, value) in added {
        let bytes = name.len().saturating_add(value.len());
        within("an attribute (bytes)", bytes, limits, limits::ATTRIBUTE_BYTES)?;
    }
    Ok(())
}

fn within(what: &'static str, value: usize, limits: &Limits, row: Row) -> Result<(), Fault> {
    let max = limits.get(row);
    match u64::try_from(value) {
        Ok(value) if value <= max => Ok(()),
        value => Err(Fault::OutputExceeded { what, value: value.unwrap_or(u64::MAX), max }),
    }
}

impl From<types::Failure> for Fault {
    fn from(failure: types::Failure) -> Self {
        let text = |text: String| escape(&text, limits::ERROR_BYTES_MAX);
        match failure {
            types::Failure::Reject(reason) => Self::Rejected(text(reason)),
            types::Failure::Retry(after_ms) => Self::Retry { after_ms },
            types::Failure::Other(reason) => Self::Failed(text(reason)),
        }
    }
}

// === impl Ended ===

impl From<Fault> for Ended {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<types::Failure> for Ended {
    fn from(failure: types::Failure) -> Self {
        Self::Fault(failure.into())
    }
}

impl From<wasmtime::Error> for Ended {
    fn from(error: wasmtime::Error) -> Self {
        Self::Engine(error)
    }
}
