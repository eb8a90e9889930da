//! From a component to code: in a process of its own, or from the cache.
//!
//! A compiler is a large program that reads a stranger's file, and it cannot be interrupted. So a
//! gateway, and every command, compiles in a child: this same program, as `livekit-webhook plugin
//! compile`, with the component on its input and the code on its output. The child limits its own
//! memory ([`COMPILE_BYTES_MAX`]) and CPU, runs at a low priority beside a gateway, and is killed when
//! it takes too long. One compiles at a time. Tests of this library compile in their own process,
//! because the program that runs them knows no `plugin compile`.
//!
//! What comes out is kept in a [`Cache`], where there is one; else the last one in memory.

use super::cache::{Cache, Code, Name};
use super::engine::{Engine, Kind, Machine, settings};
use super::limits::{COMPILE_MS, Limits};
use super::load::Error;
use super::log::escape;
use bytes::Bytes;
use rustix::process::{Resource, Rlimit, nice, setrlimit};
use sha2::{Digest as _, Sha256};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::sync::Semaphore;
use wasmtime::component::Component;

/// Memory of the compiling child, in bytes. Fixed.
pub const COMPILE_BYTES_MAX: u64 = 1 << 30;
/// What a child says of its failure, in bytes.
const SAID_BYTES_MAX: u64 = 4096;
/// How much less important than serving: of 0 to 19.
const NICE: i32 = 10;
/// The child's exit code when it refuses the component, and says why on standard error.
pub const REFUSED: u8 = 3;
/// This program, even after its file was replaced.
const THIS_PROGRAM: &str = "/proc/self/exe";

/// SHA-256 of a component.
type Digest = [u8; 32];
/// A component, and the engine it runs on.
type Compiled = (Machine, Component);

/// How an engine comes to code.
#[derive(Debug)]
pub struct Compiler {
    child: Option<PathBuf>,
    cache: Option<Cache>,
    /// What was compiled last, where nothing is kept on disk: a command loads one component again
    /// and again, with other limits and configurations.
    last: Mutex<Option<(Digest, Compiled)>>,
    /// Whether somebody serves beside it.
    is_beside: bool,
    turn: Arc<Semaphore>,
}

/// Where to compile, and where to keep it.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// A program that knows `plugin compile`; without one, code is made in this process, where
    /// nothing can stop it.
    pub child: Option<PathBuf>,
    /// A folder for code. One that cannot be used is warned of, and done without.
    pub folder: Option<PathBuf>,
}

// === impl Setup ===

impl Setup {
    /// As a gateway does: in a child of the same program, kept in `folder`.
    pub fn serving(folder: Option<&Path>) -> Self {
        // A test's program is not the gateway.
        let child = (!cfg!(test)).then(|| PathBuf::from(THIS_PROGRAM));
        Self { child, folder: folder.map(Path::to_owned) }
    }
}

// === impl Compiler ===

impl Compiler {
    /// Opens the folder.
    pub fn new(setup: Setup) -> Self {
        let Setup { child, folder } = setup;
        // Who keeps nothing is a command, and its user waits.
        let is_beside = folder.is_some();
        let cache = folder.and_then(|folder| match Cache::open(&folder) {
            Ok(cache) => Some(cache),
            Err(error) => {
                tracing::warn!(
                    error = crate::causes::line(&error),
                    "compiled plugins are not kept; every start compiles them"
                );
                None
            }
        });
        let turn = Arc::new(Semaphore::new(1));
        Self { child, cache, last: Mutex::default(), is_beside, turn }
    }

    /// For another engine: in the same child, in turn with this one, and kept by nobody.
    pub fn beside(&self) -> Self {
        let (child, turn, is_beside) = (self.child.clone(), self.turn.clone(), self.is_beside);
        Self { child, cache: None, last: Mutex::default(), is_beside, turn }
    }

    fn last(&self) -> MutexGuard<'_, Option<(Digest, Compiled)>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was kept of this component, when an engine takes it.
    fn kept(&self, engine: &Engine, digest: &Digest) -> Result<Option<Compiled>, Error> {
        let Some(cache) = &self.cache else {
            let last = self.last().clone();
            return Ok(last.filter(|(kept, _)| kept == digest).map(|(_, compiled)| compiled));
        };
        let lean = engine.machine(Kind::Lean).map_err(Error::Engine)?;
        for kind in Kind::ALL {
            let name = Name::new(digest, lean, kind);
            let Some(code) = cache.find(&name) else {
                continue;
            };
            let machine = engine.machine(kind).map_err(Error::Engine)?;
            match code.load(machine) {
                Ok(component) => return Ok(Some((machine.clone(), component))),
                Err(error) => {
                    let error = format!("{error:#}");
                    tracing::warn!(error, "compiled plugin does not fit; it is compiled again");
                    cache.remove(&name);
                }
            }
        }
        Ok(None)
    }

    /// Loads what the compiler made, and keeps it.
    fn made(
        &self,
        engine: &Engine,
        machine: Machine,
        digest: &Digest,
        code: &Code,
    ) -> Result<Compiled, Error> {
        let component = code.load(&machine).map_err(Error::Invalid)?;
        let compiled = (machine, component);
        if let Some(cache) = &self.cache {
            let lean = engine.machine(Kind::Lean).map_err(Error::Engine)?;
            cache.keep(&Name::new(digest, lean, compiled.0.kind()), code);
        } else {
            *self.last() = Some((*digest, compiled.clone()));
        }
        Ok(compiled)
    }
}

// === impl Engine ===

impl Engine {
    /// The component of `wasm` and the engine it runs on: from the cache, else compiled.
    ///
    /// # Errors
    /// When it is no valid component, or compiling it took too much.
    ///
    /// # Cancel safety
    /// Safe: a child is killed with the future.
    pub(super) async fn component(&self, wasm: Bytes, limits: &Limits) -> Result<Compiled, Error> {
        let compiler = self.compiler();
        let _turn = compiler.turn.acquire().await;
        let digest = Digest::from(Sha256::digest(&wasm));
        let (engine, named) = (self.clone(), digest);
        let kept = aside(move || engine.compiler().kept(&engine, &named)).await?;
        if let Some(kept) = kept {
            return Ok(kept);
        }
        let (machine, code) = match &compiler.child {
            Some(program) => in_children(program, self, &wasm, limits).await?,
            None => {
                let engine = self.clone();
                aside(move || code_here(&engine, &wasm)).await?
            }
        };
        let engine = self.clone();
        aside(move || engine.compiler().made(&engine, machine, &digest, &code)).await
    }
}

/// On a thread for work that takes long.
async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let ended = tokio::task::spawn_blocking(work).await;
    ended.unwrap_or_else(|error| Err(Error::Compiler(io::Error::other(error))))
}

/// Compiles in this process: for the lean engine, and when that refuses, for the full one. A
/// refusal costs little: both check all of a component before they make code of it.
fn code_here(engine: &Engine, wasm: &[u8]) -> Result<(Machine, Code), Error> {
    let mut refused = None;
    for kind in Kind::ALL {
        let machine = engine.machine(kind).map_err(Error::Engine)?;
        match machine.wasmtime().precompile_component(wasm) {
            Ok(code) => return Ok((machine.clone(), Code::just_made(code))),
            Err(error) => refused = Some(error),
        }
    }
    // The full engine knows more, so what it says is what is wrong.
    Err(refused.map_or(Error::NotWasm, Error::Invalid))
}

/// What the child does, after it limited itself.
///
/// # Errors
/// When the component is refused.
pub fn as_child(kind: Kind, metered: bool, wasm: &[u8]) -> wasmtime::Result<Vec<u8>> {
    wasmtime::Engine::new(&settings::config(kind, metered, false))?.precompile_component(wasm)
}

/// Limits this process, before it reads a stranger's component, and lets others go first when it is
/// beside a gateway that serves.
///
/// # Errors
/// When the system refuses.
pub fn limit_this_process(cpu_s: u64, is_beside: bool) -> io::Result<()> {
    let at_most = |value| Rlimit { current: Some(value), maximum: Some(value) };
    setrlimit(Resource::Data, at_most(COMPILE_BYTES_MAX))?;
    setrlimit(Resource::Cpu, at_most(cpu_s))?;
    setrlimit(Resource::Core, at_most(0))?;
    if is_beside {
        // A machine that refuses this compiles at the priority of serving.
        let _ = nice(NICE);
    }
    Ok(())
}

/// As [`code_here`], in a child for each try.
async fn in_children(
    program: &Path,
    engine: &Engine,
    wasm: &[u8],
    limits: &Limits,
) -> Result<(Machine, Code), Error> {
    let mut refused = None;
    for kind in Kind::ALL {
        let machine = engine.machine(kind).map_err(Error::Engine)?;
        match in_child(program, engine, machine, wasm, limits).await {
            Ok(code) => return Ok((machine.clone(), code)),
            Err(error @ Error::Invalid(_)) => refused = Some(error),
            Err(error) => return Err(error),
        }
    }
    Err(refused.unwrap_or(Error::NotWasm))
}

async fn in_child(
    program: &Path,
    engine: &Engine,
    machine: &Machine,
    wasm: &[u8],
    limits: &Limits,
) -> Result<Code, Error> {
    let wall = limits.time(COMPILE_MS);
    let threads = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let cpu_s = limits.get(COMPILE_MS).div_ceil(1000).saturating_mul(threads);
    let mut command = Command::new(program);
    command.args(["plugin", "compile", "--kind", machine.kind().as_str()]);
    command.args(["--cpu-seconds", &cpu_s.to_string()]);
    if machine.metered() {
        command.arg("--metered");
    }
    if engine.compiler().is_beside {
        command.arg("--beside-serving");
    }
    command.env_clear().current_dir("/").kill_on_drop(true);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(Error::Compiler)?;
    match tokio::time::timeout(wall, talk(&mut child, wasm)).await {
        Ok(ended) => ended,
        Err(_) => {
            // It gets no chance to clean up: there is nothing to clean.
            let _ = child.kill().await;
            Err(Error::CompileTime { limit_ms: limits.get(COMPILE_MS) })
        }
    }
}

/// Gives the child its component and takes what it says and makes.
async fn talk(child: &mut Child, wasm: &[u8]) -> Result<Code, Error> {
    let broken = || Error::Compiler(io::Error::other("it has no pipes"));
    let mut stdin = child.stdin.take().ok_or_else(broken)?;
    let stdout = child.stdout.take().ok_or_else(broken)?;
    let stderr = child.stderr.take().ok_or_else(broken)?;
    let give = async move {
        // A child that died does not read; its end says why.
        let _ = stdin.write_all(wasm).await;
        let _ = stdin.shutdown().await;
    };
    let code_bytes_max = u64::try_from(super::cache::CODE_BYTES_MAX).unwrap_or(u64::MAX);
    let (mut code, mut said) = (Vec::new(), Vec::new());
    let (mut stdout, mut stderr) = (stdout.take(code_bytes_max), stderr.take(SAID_BYTES_MAX));
    let (.., taken) = tokio::join!(
        give,
        async {
            let _ = stderr.read_to_end(&mut said).await;
        },
        stdout.read_to_end(&mut code),
    );
    taken.map_err(Error::Compiler)?;
    let status = child.wait().await.map_err(Error::Compiler)?;
    let said = escape(String::from_utf8_lossy(&said).trim(), super::limits::ERROR_BYTES_MAX);
    match status.code() {
        Some(0) => Ok(Code::just_made(code)),
        Some(code) if code == i32::from(REFUSED) => Err(Error::Invalid(wasmtime::Error::msg(said))),
        _ => Err(Error::CompilerDied { status: status.to_string(), said }),
    }
}

#[cfg(test)]
mod tests;
