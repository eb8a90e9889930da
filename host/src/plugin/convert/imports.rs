//! What a guest may ask of us. None of these waits, and none can fail.

use crate::plugin::instance::{EventHandle, State};
use crate::plugin::world::Everything;
use crate::plugin::world::livekit_webhook::plugin::{config, log, metrics, types};
use serde_json::Value;
use wasmtime::component::{HasSelf, Linker, Resource};

/// Longest attribute name or JSON pointer that is looked up, in bytes. A longer one names nothing.
const POINTER_BYTES_MAX: usize = 4096;

/// Gives a linker every import of the contract.
///
/// # Errors
/// When the linker has one of them already.
pub fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    Everything::add_to_linker::<_, HasSelf<State>>(linker, |state| state)
}

fn at(value: &Value, pointer: &str) -> Option<String> {
    (pointer.len() <= POINTER_BYTES_MAX)
        .then(|| value.pointer(pointer))
        .flatten()
        .map(Value::to_string)
}

impl types::Host for State {}

impl types::HostEvent for State {
    fn id(&mut self, _: Resource<EventHandle>) -> wasmtime::Result<String> {
        Ok(self.input.id.clone())
    }

    fn kind(&mut self, _: Resource<EventHandle>) -> wasmtime::Result<String> {
        Ok(self.input.kind.clone())
    }

    fn source(&mut self, _: Resource<EventHandle>) -> wasmtime::Result<String> {
        Ok(self.input.source.clone())
    }

    fn created_at_ms(&mut self, _: Resource<EventHandle>) -> wasmtime::Result<u64> {
        Ok(self.input.created_at_ms)
    }

    fn attempt(&mut self, _: Resource<EventHandle>) -> wasmtime::Result<u32> {
        Ok(self.input.attempt)
    }

    fn room_name(&mut self, _: Resource<EventHandle>) -> wasmtime::Result<Option<String>> {
        Ok(self.input.room_name.clone())
    }

    fn participant_identity(
        &mut self,
        _: Resource<EventHandle>,
    ) -> wasmtime::Result<Option<String>> {
        Ok(self.input.participant_identity.clone())
    }

    fn attribute(
        &mut self,
        _: Resource<EventHandle>,
        name: String,
    ) -> wasmtime::Result<Option<String>> {
        // The last one added wins, as a later plugin may correct an earlier one.
        let added = self.input.attributes.iter().rev();
        Ok(added.into_iter().find(|(n, _)| *n == name).map(|(_, value)| value.clone()))
    }

    fn field(
        &mut self,
        _: Resource<EventHandle>,
        pointer: String,
    ) -> wasmtime::Result<Option<String>> {
        let body = self.body.get_or_init(|| serde_json::from_slice(&self.input.body).ok());
        Ok(body.as_ref().and_then(|body| at(body, &pointer)))
    }

    fn json(&mut self, _: Resource<EventHandle>) -> wasmtime::Result<Vec<u8>> {
        Ok(self.input.body.to_vec())
    }

    fn drop(&mut self, _: Resource<EventHandle>) -> wasmtime::Result<()> {
        // Guests only ever borrow the event; there is nothing to give back.
        Ok(())
    }
}

impl log::Host for State {
    fn log(
        &mut self,
        level: u8,
        message: String,
        fields: Vec<(String, String)>,
    ) -> wasmtime::Result<()> {
        self.log.push(level, &message, &fields);
        Ok(())
    }
}

impl config::Host for State {
    fn get(&mut self, pointer: String) -> wasmtime::Result<Option<String>> {
        Ok(at(&self.config.value, &pointer))
    }

    fn json(&mut self) -> wasmtime::Result<Vec<u8>> {
        Ok(self.config.bytes.to_vec())
    }
}

impl metrics::Host for State {
    fn count(
        &mut self,
        name: String,
        delta: u64,
        labels: Vec<(String, String)>,
    ) -> wasmtime::Result<()> {
        self.own.count(&name, delta, labels);
        Ok(())
    }

    fn observe(
        &mut self,
        name: String,
        value: f64,
        labels: Vec<(String, String)>,
    ) -> wasmtime::Result<()> {
        self.own.observe(&name, value, labels);
        Ok(())
    }
}
