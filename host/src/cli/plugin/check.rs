//! What `plugin check` finds, for people and for programs.

use crate::causes;
use crate::plugin::compile::Setup;
use crate::plugin::engine::{self, Engine};
use crate::plugin::names::{self, Names};
use crate::plugin::registry::{OnError, Options, Plugin};
use crate::plugin::{load, manifest};
use bytes::Bytes;
use serde_json::json;
use std::io::Write;
use std::process::ExitCode;

/// Everything found about one file.
#[derive(Debug)]
pub struct Report {
    bytes: usize,
    /// Its imports and exports; `None` when it is no component.
    names: Option<Names>,
    memory_bytes: Option<u64>,
    interfaces: Vec<&'static str>,
    checks_config: bool,
    problem: Option<Problem>,
}

/// What is wrong, and what to do.
#[derive(Debug)]
pub struct Problem {
    text: String,
    advice: &'static str,
}

/// Loads `wasm` as the gateway would.
///
/// # Errors
/// When the engine does not start on this machine.
pub async fn report(wasm: Bytes, config: Bytes) -> Result<Report, engine::Error> {
    let engine = Engine::serving(Setup::serving(None))?;
    let mut report = Report {
        bytes: wasm.len(),
        names: names::read(&wasm).ok().filter(|names| names.component),
        memory_bytes: None,
        interfaces: Vec::new(),
        checks_config: false,
        problem: None,
    };
    // The policy belongs to the operator's configuration; any will do to see whether it loads.
    let options = Options { config, on_error: Some(OnError::Fail), ..Options::default() };
    match Plugin::load(&engine, "checked", wasm, options).await {
        Ok(plugin) => {
            report.interfaces = plugin.interfaces().into_iter().map(|i| i.as_str()).collect();
            report.checks_config = plugin.has_lifecycle();
            report.memory_bytes = plugin.memory_bytes();
        }
        Err(error) => report.problem = Some(problem(&error)),
    }
    Ok(report)
}

/// What `error` means to the author.
pub fn problem(error: &load::Error) -> Problem {
    let advice = match error {
        load::Error::TooLarge { .. } => {
            "build it with the `guest` profile, or raise the limit component_bytes"
        }
        load::Error::NotWasm => "give the .wasm file that `plugin pack` wrote",
        load::Error::CoreModule => "livekit-webhook plugin pack MODULE.wasm",
        load::Error::UnmetImports { .. } => {
            "Rust: build for wasm32-unknown-unknown; JavaScript and Python: rebuild with --stub-wasi, as `plugin build` does; use nothing that needs files, sockets, clocks or randomness"
        }
        load::Error::CompileTime { .. } | load::Error::CompilerDied { .. } => {
            "make it smaller, above all its largest function; an operator can raise compile_ms, and nobody the memory"
        }
        load::Error::Manifest(manifest::Error::Newer { .. }) => {
            "update the gateway, or take a version of the plugin that was made for this one"
        }
        load::Error::Manifest(_) => "mend plugin.toml, and run `livekit-webhook plugin build`",
        load::Error::Contradicted(_) => {
            "mend plugin.toml, or what the component exports, and run `livekit-webhook plugin build`"
        }
        load::Error::ConfigRefused(_) => {
            "`livekit-webhook plugin inspect` shows which configuration it takes"
        }
        load::Error::NoInterface { .. } => {
            "put one of the SDK's attributes on a function, such as #[transform]"
        }
        load::Error::Config(_) | load::Error::ConfigSyntax(_) => {
            "see the plugin's README for its configuration"
        }
        load::Error::Start(_) => {
            "look at the plugin's #[configure] function and at what runs before it"
        }
        _ => "rebuild it with the SDK of this gateway's version",
    };
    Problem { text: causes::line(error), advice }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "problem     {}\nwhat to do  {}", self.text, self.advice)
    }
}

// === impl Report ===

impl Report {
    /// Writes it, and says with which code to exit.
    ///
    /// # Errors
    /// When `out` cannot be written.
    pub fn print(&self, as_json: bool, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
        if as_json {
            writeln!(out, "{:#}", self.json())?;
        } else {
            self.text(out)?;
        }
        Ok(ExitCode::from(u8::from(self.problem.is_some())))
    }

    fn json(&self) -> serde_json::Value {
        let names = self.names.as_ref();
        json!({
            "ok": self.problem.is_none(),
            "bytes": self.bytes,
            "component": names.is_some(),
            "imports": names.map(|names| &names.imports),
            "exports": names.map(|names| &names.exports),
            "memory_bytes": self.memory_bytes,
            "interfaces": self.interfaces,
            "checks_config": self.checks_config,
            "problem": self.problem.as_ref().map(|p| &p.text),
            "advice": self.problem.as_ref().map(|p| p.advice),
        })
    }

    fn text(&self, out: &mut dyn Write) -> std::io::Result<()> {
        writeln!(out, "size        {} bytes", self.bytes)?;
        writeln!(out, "component   {}", if self.names.is_some() { "yes" } else { "no" })?;
        if let Some(Names { imports, exports, .. }) = &self.names {
            writeln!(out, "imports     {}", list(imports))?;
            writeln!(out, "exports     {}", list(exports))?;
        }
        if let Some(bytes) = self.memory_bytes {
            writeln!(out, "memory      {bytes} bytes to begin with")?;
        }
        match &self.problem {
            None => {
                writeln!(out, "called for  {}", self.interfaces.join(", "))?;
                let config =
                    if self.checks_config { "accepted" } else { "not checked by the plugin" };
                writeln!(out, "config      {config}")?;
                writeln!(out, "starts      yes")
            }
            Some(problem) => writeln!(out, "{problem}"),
        }
    }
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
}
