//! The compiled filter in wasmtime, with a [`World`] behind its imports.

use std::path::Path;
use std::rc::Rc;

use anyhow::{Result, anyhow, bail};
use livekit_webhook_filter::request::Flow;
use wasmtime::{Config, Engine, Instance, Linker, Module, Store, TypedFunc};
use wasmtime::{WasmParams, WasmResults};

use super::vm::Vm;
use super::world::World;
use crate::judge::guest;

mod link;

/// The module, compiled once.
pub struct Code {
    engine: Engine,
    module: Module,
}

/// One instance.
pub struct Guest {
    store: Store<Rc<World>>,
    instance: Instance,
}

// === impl Code ===

impl Code {
    /// Loads `target/wasm/filter.wasm`.
    ///
    /// # Errors
    /// When it has not been built, with the command that builds it.
    pub fn load() -> Result<Self> {
        let path = guest("filter.wasm");
        if !path.is_file() {
            bail!("{} is missing: run `make guests`", path.display());
        }
        Self::read(&path)
    }

    /// Loads another build of the filter.
    ///
    /// # Errors
    /// When it is no WebAssembly that wasmtime takes.
    pub fn read(path: &Path) -> Result<Self> {
        let mut config = Config::new();
        config.consume_fuel(true);
        let engine = Engine::new(&config).map_err(|error| anyhow!("{error:?}"))?;
        let module = Module::from_file(&engine, path).map_err(|error| anyhow!("{error:?}"))?;
        Ok(Self { engine, module })
    }

    /// A fresh instance, started.
    ///
    /// # Errors
    /// When it imports what is not there, or traps.
    pub fn start(&self) -> Result<Guest> {
        let mut linker = Linker::new(&self.engine);
        link::link(&mut linker).map_err(|error| anyhow!("{error:?}"))?;
        let mut store = Store::new(&self.engine, Rc::new(World::default()));
        store.set_fuel(u64::MAX).map_err(|error| anyhow!("{error:?}"))?;
        let instance = linker.instantiate(&mut store, &self.module);
        let instance = instance.map_err(|error| anyhow!("{error:?}"))?;
        let mut guest = Guest { store, instance };
        guest.call::<(), ()>("_initialize", ())?;
        Ok(guest)
    }
}

// === impl Guest ===

impl Guest {
    /// Instructions it has run so far.
    ///
    /// # Errors
    /// Never: its engine counts them.
    pub fn instructions(&self) -> Result<u64> {
        let left = self.store.get_fuel().map_err(|error| anyhow!("{error:?}"))?;
        Ok(u64::MAX - left)
    }

    fn call<P: WasmParams, R: WasmResults>(&mut self, name: &str, arguments: P) -> Result<R> {
        let function: TypedFunc<P, R> = self
            .instance
            .get_typed_func(&mut self.store, name)
            .map_err(|error| anyhow!("{name}: {error:?}"))?;
        function.call(&mut self.store, arguments).map_err(|error| anyhow!("{name}: {error:?}"))
    }

    /// For a callback about one stream, which is then the one the filter speaks for.
    fn flow<P: WasmParams>(&mut self, name: &str, id: u32, arguments: P) -> Result<Flow> {
        self.store.data().speaker.set(id);
        match self.call::<P, u32>(name, arguments)? {
            0 => Ok(Flow::Continue),
            1 => Ok(Flow::Pause),
            other => bail!("{name} answered {other}"),
        }
    }
}

impl Vm for Guest {
    fn world(&self) -> &World {
        self.store.data()
    }

    fn create(&mut self, context_id: u32, parent: u32) -> Result<()> {
        self.call("proxy_on_context_create", (context_id, parent))
    }

    fn configure(&mut self, plugin_id: u32) -> Result<bool> {
        let bytes = u32::try_from(self.world().configuration.borrow().len())?;
        Ok(self.call::<_, u32>("proxy_on_configure", (plugin_id, bytes))? != 0)
    }

    fn tick(&mut self, plugin_id: u32) -> Result<()> {
        self.call("proxy_on_tick", plugin_id)
    }

    fn request_headers(&mut self, id: u32, end: bool) -> Result<Flow> {
        self.flow("proxy_on_request_headers", id, (id, 0_u32, u32::from(end)))
    }

    fn request_body(&mut self, id: u32, bytes: usize, end: bool) -> Result<Flow> {
        let bytes = u32::try_from(bytes)?;
        self.flow("proxy_on_request_body", id, (id, bytes, u32::from(end)))
    }

    fn request_trailers(&mut self, id: u32) -> Result<Flow> {
        self.flow("proxy_on_request_trailers", id, (id, 0_u32))
    }

    fn response_headers(&mut self, id: u32) -> Result<Flow> {
        self.flow("proxy_on_response_headers", id, (id, 0_u32, 0_u32))
    }

    fn delete(&mut self, id: u32) -> Result<()> {
        self.store.data().speaker.set(id);
        self.call("proxy_on_delete", id)
    }
}
