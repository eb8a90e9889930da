//! From bytes to a [`Plugin`]: measured, parsed, linked, tried once. Refusals are in words for
//! whoever can act on them.
//!
//! A core module is refused with the command that makes it a component, and not converted in
//! passing: then the bytes an operator has on disk, their digest, and what runs are one thing.

use super::call::{self, Queue};
use super::convert::{self, Exports, IMPORTS, OUTSIDE, PACKAGE, VERSION};
use super::engine::{self, Engine, Machine};
use super::gate::Door;
use super::instance::State;
use super::limits::{self, Limits};
use super::log::Minute;
use super::meter::Meter;
use super::registry::{OnError, Options, Plugin};
use super::terms::Terms;
use super::{Fault, Input, manifest, warm, wasi};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Instant;
use wasmtime::component::{Component, InstancePre, Linker};

/// Why a plugin was not loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Looked at before parsing.
    #[error("the file has {bytes} bytes, at most {max} are allowed (component_bytes)")]
    TooLarge {
        /// Its size.
        bytes: u64,
        /// The limit.
        max: u64,
    },
    /// Neither a module nor a component.
    #[error("this is not WebAssembly: a component begins with `\\0asm` and its version")]
    NotWasm,
    /// Needs one more step of its author.
    #[error(
        "this is a core module, not a component: run `livekit-webhook plugin pack` on it first"
    )]
    CoreModule,
    /// The engine refuses it.
    #[error("the component is not valid for this host")]
    Invalid(#[source] wasmtime::Error),
    /// It wants what this host does not give.
    #[error(
        "needs {}; this host gives a plugin {PACKAGE}/{{{}}}@{VERSION} and WASI 0.2, and nothing else",
        .missing.join(", "),
        IMPORTS.join(",")
    )]
    UnmetImports {
        /// The names it imports.
        missing: Vec<String>,
    },
    /// It wants to reach outside, where no interface of it may.
    #[error(
        "imports {}, which only a plugin that exports enrich or action may use: filter, transform \
         and route decide by the event alone",
        .imports.join(", ")
    )]
    Impure {
        /// What it imports.
        imports: Vec<String>,
    },
    /// It was built for a contract that came after this host.
    #[error(
        "was built for {PACKAGE}@{version}, and this host has {VERSION}: update the gateway, or \
         rebuild the plugin with an SDK of {VERSION}"
    )]
    NewerContract {
        /// What it was built for.
        version: String,
    },
    /// It uses WASI's next generation.
    #[error(
        "needs {}; this host gives WASI 0.2: tell the tool chain to build for WASI 0.2 (wasip2), \
         or to stub WASI out",
        .missing.join(", ")
    )]
    WasiTooNew {
        /// The names it imports.
        missing: Vec<String>,
    },
    /// Compiling it took too long.
    #[error("compiling it took more than {limit_ms} ms (compile_ms)")]
    CompileTime {
        /// The limit.
        limit_ms: u64,
    },
    /// The compiling child ended without code: it was out of memory or CPU, or is broken.
    #[error(
        "compiling it needs more than this host gives (1 GiB of memory): the compiler ended with \
         {status}; {said}"
    )]
    CompilerDied {
        /// How it ended.
        status: String,
        /// What it wrote.
        said: String,
    },
    /// There is no compiler.
    #[error("the compiler could not be run")]
    Compiler(#[source] std::io::Error),
    /// There is no engine of the kind it needs.
    #[error("no engine could be started for it")]
    Engine(#[source] engine::Error),
    /// It exports nothing we would call.
    #[error(
        "exports none of {PACKAGE}/{{filter,transform,route,enrich,action}}@{VERSION}; it exports {}",
        if .exports.is_empty() { "nothing".to_owned() } else { .exports.join(", ") }
    )]
    NoInterface {
        /// What it does export.
        exports: Vec<String>,
    },
    /// Its interfaces have our names and another shape.
    #[error(
        "its imports or exports are not those of {PACKAGE}@{VERSION}: rebuild it with that version's SDK"
    )]
    OtherContract(#[source] wasmtime::Error),
    /// What it says of itself is not right.
    #[error("its manifest cannot be used")]
    Manifest(#[source] manifest::Error),
    /// Its manifest says something else than its exports.
    #[error("{0}")]
    Contradicted(String),
    /// The configuration is not JSON.
    #[error("config is not JSON")]
    ConfigSyntax(#[source] serde_json::Error),
    /// The schema in the manifest refuses it.
    #[error("the config is not what the plugin's schema asks for:\n  {}", .0.join("\n  "))]
    ConfigRefused(Vec<String>),
    /// The plugin refused it.
    #[error("the plugin refuses its config: {0}")]
    Config(String),
    /// A filter without a policy.
    #[error(
        "a filter needs `on_error`: say whether an event it could not judge should `fail`, `pass` or `drop`; its manifest does not"
    )]
    NoOnError,
    /// It could not be instantiated, or broke while it checked its configuration.
    #[error("it does not start")]
    Start(#[source] Fault),
}

/// Begins every WebAssembly file.
const MAGIC: &[u8] = b"\0asm";
/// Follows [`MAGIC`] in a core module.
const CORE: &[u8] = &[1, 0, 0, 0];

/// See [`Plugin::load`].
pub(super) async fn load(
    engine: &Engine,
    name: &str,
    wasm: Bytes,
    options: Options,
) -> Result<Plugin, Error> {
    let Options { config, limits, on_error, grant, secrets, outside, instances, learn, own } =
        options;
    preamble(&wasm, &limits)?;
    let terms = Terms::settle(&wasm, config, limits)?;
    let Terms { manifest, config, limits, secrets: hidden, permissions } = terms;
    let (machine, component) = engine.component(wasm, &limits).await?;
    let (pre, exports) = link(&machine, &component)?;
    let interfaces = exports.interfaces();
    let mut exported: Vec<_> = interfaces.iter().map(|interface| interface.as_str()).collect();
    exported.extend(exports.has_lifecycle().then_some("lifecycle"));
    if let Some(text) = manifest.as_ref().and_then(|manifest| manifest.contradicts(&exported)) {
        return Err(Error::Contradicted(text));
    }
    let on_error = match on_error.or(manifest.as_ref().and_then(|manifest| manifest.on_error)) {
        Some(on_error) => on_error,
        None if interfaces.contains(&super::Interface::Filter) => {
            return Err(Error::NoOnError);
        }
        None => OnError::Fail,
    };
    let asked = permissions.unwrap_or_else(|| grant.clone());
    // While it is learned what a plugin uses, it may do all that it asks for.
    let granted = if learn.is_some() { &asked } else { &grant };
    let door = Door::new(&asked, granted, secrets, outside).of(name, &limits);
    let door = door.learning(learn).counting(own.clone());
    let plugin = Plugin {
        name: name.into(),
        warm: warm::Pool::new(instances, limits.concurrency(), machine.warm()),
        machine,
        pre,
        exports,
        manifest: manifest.map(Arc::new),
        config: Arc::new(config),
        hidden,
        queue: Queue::new(&limits),
        minute: Arc::new(Minute::new(&limits, own.clone())),
        limits,
        own,
        on_error,
        door: Arc::new(door),
    };
    try_once(&plugin).await?;
    Ok(plugin)
}

/// Size and kind, by the first bytes.
fn preamble(wasm: &[u8], limits: &Limits) -> Result<(), Error> {
    let max = limits.get(limits::COMPONENT_BYTES);
    match u64::try_from(wasm.len()) {
        Ok(bytes) if bytes <= max => {}
        bytes => {
            return Err(Error::TooLarge { bytes: bytes.unwrap_or(u64::MAX), max });
        }
    }
    match wasm.strip_prefix(MAGIC) {
        None => Err(Error::NotWasm),
        Some(rest) if rest.starts_with(CORE) => Err(Error::CoreModule),
        Some(_) => Ok(()),
    }
}

fn link(machine: &Machine, component: &Component) -> Result<(InstancePre<State>, Exports), Error> {
    let (imports, exports) = names(machine, component);
    check_imports(&imports)?;
    check_version(exports.iter())?;
    check_purity(&imports, &exports)?;
    let mut linker = Linker::new(machine.wasmtime());
    convert::link(&mut linker).map_err(Error::OtherContract)?;
    wasi::link(&mut linker, &imports).map_err(Error::OtherContract)?;
    let pre = linker.instantiate_pre(component).map_err(Error::OtherContract)?;
    let found = Exports::find(&pre, &exports).map_err(Error::OtherContract)?;
    if found.interfaces().is_empty() {
        return Err(Error::NoInterface { exports });
    }
    Ok((pre, found))
}

/// Whether the linker will have everything of these names.
fn check_imports(imports: &[String]) -> Result<(), Error> {
    check_version(imports.iter())?;
    let (too_new, missing): (Vec<_>, Vec<_>) = imports
        .iter()
        .filter(|name| !is_given(name) && !wasi::is_given(name))
        .cloned()
        .partition(|name| wasi::is_too_new(name));
    match (missing.is_empty(), too_new.is_empty()) {
        (true, true) => Ok(()),
        (true, false) => Err(Error::WasiTooNew { missing: too_new }),
        (false, _) => Err(Error::UnmetImports { missing }),
    }
}

/// Whether names of our package are of a version this host has: of this series, and not later.
fn check_version<'a>(mut names: impl Iterator<Item = &'a String>) -> Result<(), Error> {
    let newer = names.find_map(|name| {
        let (_, version) = ours(name)?;
        let series = VERSION.rsplit_once('.').map(|(series, _)| series);
        let same = version.rsplit_once('.').map(|(series, _)| series) == series;
        (same && patch(version) > patch(VERSION)).then(|| version.to_owned())
    });
    newer.map_or(Ok(()), |version| Err(Error::NewerContract { version }))
}

/// What a component imports and exports, by name.
fn names(machine: &Machine, component: &Component) -> (Vec<String>, Vec<String>) {
    let engine = machine.wasmtime();
    let ty = component.component_type();
    let imports = ty.imports(engine).map(|(name, _)| name.to_owned()).collect();
    let exports = ty.exports(engine).map(|(name, _)| name.to_owned()).collect();
    (imports, exports)
}

/// Whether the contract has an import of that name. The linker then decides whether it has that
/// shape.
fn is_given(import: &str) -> bool {
    is_one_of(import, &IMPORTS)
}

/// Whether `name` is one of our interfaces, in a version we may know.
fn is_one_of(name: &str, interfaces: &[&str]) -> bool {
    ours(name).is_some_and(|(interface, version)| {
        interfaces.contains(&interface) && version.starts_with("0.1.")
    })
}

/// Refuses a component that could reach outside, and exports nothing that may.
fn check_purity(imports: &[String], exports: &[String]) -> Result<(), Error> {
    let reaching = imports.iter().filter(|name| is_one_of(name, &OUTSIDE));
    let reaching: Vec<_> = reaching.cloned().collect();
    if !reaching.is_empty() && !exports.iter().any(|name| is_one_of(name, &["enrich", "action"])) {
        return Err(Error::Impure { imports: reaching });
    }
    Ok(())
}

/// Interface and version of a name of our package.
fn ours(name: &str) -> Option<(&str, &str)> {
    name.strip_prefix(PACKAGE)?.strip_prefix('/')?.split_once('@')
}

/// The last number of a version.
fn patch(version: &str) -> Option<u64> {
    version.rsplit_once('.')?.1.parse().ok()
}

/// Makes one instance and lets it check its configuration.
async fn try_once(plugin: &Plugin) -> Result<(), Error> {
    let wall = plugin.limits.time(limits::WALL_IO_MS);
    let place = plugin.machine.place().await.ok_or(Error::Start(Fault::Unavailable))?;
    let meter = Meter::new(Instant::now(), wall, plugin.limits.time(limits::CPU_INIT_MS));
    let mut store = plugin.store(&place, Input::default(), meter.clone());
    let answer = meter
        .charge(async {
            let instance = plugin.pre.instantiate_async(&mut store).await?;
            plugin.exports.configure(&mut store, &instance, &plugin.config.bytes).await
        })
        .await;
    store.data_mut().flush(true);
    match answer {
        Ok(Ok(())) => Ok(()),
        Ok(Err(refusal)) => Err(Error::Config(plugin.hidden.hide(&refusal))),
        Err(error) => {
            let fault = call::fault(&error, store.data(), &plugin.limits);
            Err(Error::Start(plugin.hidden.hide_fault(fault)))
        }
    }
}
