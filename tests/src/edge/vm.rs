//! The filter in one of its two forms.

use std::rc::Rc;

use anyhow::Result;
use livekit_webhook_filter::filter::Filter;
use livekit_webhook_filter::request::Flow;

use super::world::World;

/// What a proxy calls. Every call may trap, in one of the forms.
pub trait Vm {
    /// What this one sees.
    fn world(&self) -> &World;
    /// A plugin (`parent` 0) or a stream begins.
    ///
    /// # Errors
    /// When it traps. So it is with all others.
    fn create(&mut self, context_id: u32, parent: u32) -> Result<()>;
    /// False: the configuration is refused.
    ///
    /// # Errors
    /// See [`Vm::create`].
    fn configure(&mut self, plugin_id: u32) -> Result<bool>;
    /// The timer.
    ///
    /// # Errors
    /// See [`Vm::create`].
    fn tick(&mut self, plugin_id: u32) -> Result<()>;
    /// The head.
    ///
    /// # Errors
    /// See [`Vm::create`].
    fn request_headers(&mut self, id: u32, end: bool) -> Result<Flow>;
    /// A part of the body: how much is buffered.
    ///
    /// # Errors
    /// See [`Vm::create`].
    fn request_body(&mut self, id: u32, bytes: usize, end: bool) -> Result<Flow>;
    /// The trailers.
    ///
    /// # Errors
    /// See [`Vm::create`].
    fn request_trailers(&mut self, id: u32) -> Result<Flow>;
    /// The head of the answer.
    ///
    /// # Errors
    /// See [`Vm::create`].
    fn response_headers(&mut self, id: u32) -> Result<Flow>;
    /// The end of a plugin or stream.
    ///
    /// # Errors
    /// See [`Vm::create`].
    fn delete(&mut self, id: u32) -> Result<()>;
}

/// As it is linked here.
#[derive(Debug, Default)]
pub struct Native {
    filter: Filter,
    world: Rc<World>,
}

impl Vm for Native {
    fn world(&self) -> &World {
        &self.world
    }

    fn create(&mut self, context_id: u32, parent: u32) -> Result<()> {
        self.filter.create(context_id, parent);
        Ok(())
    }

    fn configure(&mut self, plugin_id: u32) -> Result<bool> {
        Ok(self.filter.configure(&*self.world, plugin_id))
    }

    fn tick(&mut self, plugin_id: u32) -> Result<()> {
        self.filter.tick(&*self.world, plugin_id);
        Ok(())
    }

    fn request_headers(&mut self, id: u32, end: bool) -> Result<Flow> {
        self.world.speaker.set(id);
        Ok(self.filter.request_headers(&*self.world, id, end))
    }

    fn request_body(&mut self, id: u32, bytes: usize, end: bool) -> Result<Flow> {
        self.world.speaker.set(id);
        Ok(self.filter.request_body(&*self.world, id, bytes, end))
    }

    fn request_trailers(&mut self, id: u32) -> Result<Flow> {
        self.world.speaker.set(id);
        Ok(self.filter.request_trailers(&*self.world, id))
    }

    fn response_headers(&mut self, id: u32) -> Result<Flow> {
        self.world.speaker.set(id);
        Ok(self.filter.response_headers(&*self.world, id))
    }

    fn delete(&mut self, id: u32) -> Result<()> {
        self.world.speaker.set(id);
        self.filter.delete(&*self.world, id);
        Ok(())
    }
}
