//! The event a plugin is shown, and the drafts it makes of it.
//!
//! In the gateway each getter asks the host, so a plugin pays for what it reads. In a native test
//! the same getters read the JSON the event was made from.

use livekit_webhook_wire::event as wire;
use serde_json::Value;
use std::cell::OnceCell;

#[cfg(target_arch = "wasm32")]
use crate::bindings::base::livekit_webhook::plugin::types as host;
#[cfg(target_arch = "wasm32")]
use std::mem::ManuallyDrop;

/// One webhook event. What a plugin changes in it becomes a [`Draft`]; the host's own event never
/// changes.
#[derive(Debug)]
pub struct Event {
    origin: Origin,
    body: OnceCell<Vec<u8>>,
    value: OnceCell<Value>,
    view: OnceCell<Option<wire::Event>>,
    kind: Option<String>,
    attributes: Vec<(String, String)>,
}

/// Where the facts come from.
#[derive(Debug)]
enum Origin {
    /// The host. Its handle is lent for the call, so it is not given back here.
    #[cfg(target_arch = "wasm32")]
    Host(ManuallyDrop<host::Event>),
    /// The body.
    Body,
}

/// An event a plugin makes in place of the one it was given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Draft {
    /// Another type of event, or `None` to keep it.
    pub kind: Option<String>,
    /// The new body.
    pub body: Vec<u8>,
    /// Attributes to add.
    pub attributes: Vec<(String, String)>,
}

/// Why text is not an event.
#[derive(Debug)]
pub struct Error(serde_json::Error);

// === impl Event ===

impl Event {
    /// An event with this body, for native tests.
    ///
    /// # Errors
    /// When it is not JSON.
    pub fn from_json(body: impl Into<Vec<u8>>) -> Result<Self, Error> {
        let body = body.into();
        let value = serde_json::from_slice(&body).map_err(Error)?;
        let event = Self::new(Origin::Body);
        let _ = event.body.set(body);
        let _ = event.value.set(value);
        Ok(event)
    }

    fn new(origin: Origin) -> Self {
        let (body, value, view) = (OnceCell::new(), OnceCell::new(), OnceCell::new());
        Self { origin, body, value, view, kind: None, attributes: Vec::new() }
    }

    /// The gateway's id of this event. In a native test LiveKit's own.
    pub fn id(&self) -> String {
        match &self.origin {
            #[cfg(target_arch = "wasm32")]
            Origin::Host(event) => event.id(),
            Origin::Body => self.text("/id").unwrap_or_default(),
        }
    }

    /// The type of event, such as `track_published`.
    pub fn kind(&self) -> String {
        match (&self.kind, &self.origin) {
            (Some(kind), _) => kind.clone(),
            #[cfg(target_arch = "wasm32")]
            (None, Origin::Host(event)) => event.kind(),
            (None, Origin::Body) => self.text("/event").unwrap_or_default(),
        }
    }

    /// The configured source it came from. In a native test `test`.
    pub fn source(&self) -> String {
        match &self.origin {
            #[cfg(target_arch = "wasm32")]
            Origin::Host(event) => event.source(),
            Origin::Body => "test".to_owned(),
        }
    }

    /// When LiveKit made it, in milliseconds since 1970.
    pub fn created_at_ms(&self) -> u64 {
        match &self.origin {
            #[cfg(target_arch = "wasm32")]
            Origin::Host(event) => event.created_at_ms(),
            Origin::Body => {
                let seconds = self.view().and_then(wire::Event::created_at_s).unwrap_or_default();
                u64::try_from(seconds).unwrap_or_default().saturating_mul(1000)
            }
        }
    }

    /// 1 when the gateway plans this event for the first time.
    pub fn attempt(&self) -> u32 {
        match &self.origin {
            #[cfg(target_arch = "wasm32")]
            Origin::Host(event) => event.attempt(),
            Origin::Body => 1,
        }
    }

    /// The room's name, wherever this type of event carries it.
    pub fn room_name(&self) -> Option<String> {
        match &self.origin {
            #[cfg(target_arch = "wasm32")]
            Origin::Host(event) => event.room_name(),
            Origin::Body => self.view()?.room_name().map(str::to_owned),
        }
    }

    /// The participant's identity, wherever this type of event carries it.
    pub fn participant_identity(&self) -> Option<String> {
        match &self.origin {
            #[cfg(target_arch = "wasm32")]
            Origin::Host(event) => event.participant_identity(),
            Origin::Body => self.view()?.participant_identity().map(str::to_owned),
        }
    }

    /// An attribute that this plugin or an earlier one of the chain added.
    pub fn attribute(&self, name: &str) -> Option<String> {
        let own = self.attributes.iter().rev().find(|(n, _)| n == name);
        match (own, &self.origin) {
            (Some((_, value)), _) => Some(value.clone()),
            #[cfg(target_arch = "wasm32")]
            (None, Origin::Host(event)) => event.attribute(name),
            (None, Origin::Body) => None,
        }
    }

    /// The whole body.
    pub fn json(&self) -> &[u8] {
        self.body.get_or_init(|| match &self.origin {
            #[cfg(target_arch = "wasm32")]
            Origin::Host(event) => event.json(),
            Origin::Body => Vec::new(),
        })
    }

    /// The whole body, parsed once. `null` when an earlier plugin left something that is not JSON.
    pub fn value(&self) -> &Value {
        self.value.get_or_init(|| serde_json::from_slice(self.json()).unwrap_or_default())
    }

    /// One value of the body by its JSON pointer, such as `/room/name`.
    pub fn field(&self, pointer: &str) -> Option<&Value> {
        self.value().pointer(pointer)
    }

    /// The typed view of the body, made once. `None` when an earlier plugin left something that is
    /// not an event.
    pub fn view(&self) -> Option<&wire::Event> {
        let read = || wire::Event::from_value(serde_json::from_slice(self.json()).ok()?).ok();
        self.view.get_or_init(read).as_ref()
    }

    /// The room. Absent on agent events; only sid and name on most others.
    pub fn room(&self) -> Option<wire::room::Room<'_>> {
        self.view()?.room()
    }

    /// The participant, on participant and track events.
    pub fn participant(&self) -> Option<wire::participant::ParticipantInfo<'_>> {
        self.view()?.participant()
    }

    /// The track, on track events.
    pub fn track(&self) -> Option<wire::track::TrackInfo<'_>> {
        self.view()?.track()
    }

    /// The egress, on egress events.
    pub fn egress(&self) -> Option<wire::egress::EgressInfo<'_>> {
        self.view()?.egress()
    }

    /// The ingress, on ingress events.
    pub fn ingress(&self) -> Option<wire::ingress::IngressInfo<'_>> {
        self.view()?.ingress()
    }

    /// What LiveKit calls a job, on agent events.
    pub fn agent_job(&self) -> Option<wire::agent::Job<'_>> {
        self.view()?.agent_job()
    }

    /// The same event as another type.
    #[must_use]
    pub fn with_kind(mut self, kind: impl Into<String>) -> Self {
        self.kind = Some(kind.into());
        self
    }

    /// The same event with another body.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = OnceCell::from(body.into());
        self.value = OnceCell::new();
        self.view = OnceCell::new();
        self
    }

    /// The same event with an attribute more.
    #[must_use]
    pub fn with_attribute(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.attributes.push((name.into(), value.into()));
        self
    }

    fn text(&self, pointer: &str) -> Option<String> {
        self.field(pointer)?.as_str().map(str::to_owned)
    }
}

impl From<Event> for Draft {
    fn from(event: Event) -> Self {
        event.json();
        let Event { body, kind, attributes, .. } = event;
        Self { kind, body: body.into_inner().unwrap_or_default(), attributes }
    }
}

// === impl Error ===

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an event's body must be JSON")
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

/// The event of a call, as the attributes hand it to a plugin's function.
#[cfg(target_arch = "wasm32")]
pub fn from_host(lent: &host::Event) -> Event {
    // Lending through a Rust reference would put a lifetime on `Event` and so into every plugin's
    // signature. The handle is a number the engine checks at each use: one kept past its call
    // traps, and is never another event's.
    #[expect(unsafe_code, reason = "the handle is not dropped twice: this copy never is")]
    let event = unsafe { host::Event::from_handle(lent.handle()) };
    Event::new(Origin::Host(ManuallyDrop::new(event)))
}

#[cfg(target_arch = "wasm32")]
mod contract {
    use super::{Draft, host};
    use crate::Failure;

    impl From<Draft> for host::Draft {
        fn from(Draft { kind, body, attributes }: Draft) -> Self {
            Self { kind, body, attributes }
        }
    }

    impl From<Failure> for host::Failure {
        fn from(failure: Failure) -> Self {
            match failure {
                Failure::Reject(reason) => Self::Reject(reason),
                Failure::Retry(after_ms) => Self::Retry(after_ms),
                Failure::Other(reason) => Self::Other(reason),
            }
        }
    }
}

#[cfg(test)]
mod tests;
