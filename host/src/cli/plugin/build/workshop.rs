//! Where a plugin is built: its folder, its tools, and somebody to tell.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

/// Longest run of one tool.
const TOOL_TIME_MAX: Duration = Duration::from_secs(30 * 60);
/// Lines of a failed tool's output that are shown, its last ones.
const LINES_MAX: usize = 60;

/// One build.
pub struct Workshop<'a> {
    folder: &'a Path,
    tools: &'a Path,
    out: Option<&'a mut dyn Write>,
}

// === impl Workshop ===

impl<'a> Workshop<'a> {
    /// In `folder`, with tools in `tools`, both absolute. Progress goes to `out`.
    pub fn new(folder: &'a Path, tools: &'a Path, out: Option<&'a mut dyn Write>) -> Self {
        Self { folder, tools, out }
    }

    /// The plugin's.
    pub fn folder(&self) -> &'a Path {
        self.folder
    }

    /// Of the tools.
    pub fn tools(&self) -> &'a Path {
        self.tools
    }

    /// A file under the plugin's `target`.
    pub fn target(&self, name: &str) -> PathBuf {
        self.folder.join("target").join(name)
    }

    /// One line of progress. Nobody may be listening any more; that stops no build.
    pub fn say(&mut self, text: &str) {
        if let Some(out) = &mut self.out {
            let _ = writeln!(out, "{text}");
            let _ = out.flush();
        }
    }

    /// A command in the plugin's folder that asks nobody anything.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.folder).stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    /// Runs it to its end, and gives what it wrote to its standard output.
    ///
    /// # Errors
    /// In words, with the last of what the tool said.
    pub async fn run(&mut self, command: &mut Command, missing: &str) -> Result<String, String> {
        let name = command.as_std().get_program().to_string_lossy().into_owned();
        let output = match tokio::time::timeout(TOOL_TIME_MAX, command.output()).await {
            Err(_) => return Err(format!("{name} took more than {} s", TOOL_TIME_MAX.as_secs())),
            Ok(Err(error)) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(format!("{name} is not there: {missing}"));
            }
            Ok(Err(error)) => return Err(format!("{name} cannot be run: {error}")),
            Ok(Ok(output)) => output,
        };
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() {
            return Ok(stdout);
        }
        let stderr = String::from_utf8_lossy(&output.stderr);
        let said: Vec<&str> =
            stdout.lines().filter(|line| !line.starts_with('{')).chain(stderr.lines()).collect();
        let last = said.get(said.len().saturating_sub(LINES_MAX)..).unwrap_or_default();
        Err(format!("{}\n{name} failed ({})", last.join("\n"), output.status))
    }

    /// Runs `command` unless it was done before; `mark` names what it makes, with its version.
    ///
    /// # Errors
    /// As [`Workshop::run`].
    pub async fn once(
        &mut self,
        mark: &str,
        command: &mut Command,
        missing: &str,
    ) -> Result<(), String> {
        let done = self.tools.join(format!("{mark}.done"));
        if done.is_file() {
            return Ok(());
        }
        self.say(&format!("fetching {mark} into {}", self.tools.display()));
        self.run(command, missing).await?;
        std::fs::write(&done, "").map_err(|error| format!("{}: {error}", done.display()))
    }

    /// A Python of its own, for packages of pinned versions.
    ///
    /// # Errors
    /// As [`Workshop::run`].
    pub async fn python(&mut self, package: &str, version: &str) -> Result<PathBuf, String> {
        let folder = self.tools.join("python");
        let python = folder.join("bin/python");
        let mut make = self.command("python3");
        make.args(["-m", "venv"]).arg(&folder);
        self.once("python", &mut make, "install Python 3.10 or later, with venv").await?;
        let mut fetch = self.command(&python);
        fetch.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
        fetch.arg(format!("{package}=={version}"));
        let missing = "remove the folder of tools, and build again";
        self.once(&format!("{package}-{version}"), &mut fetch, missing).await?;
        Ok(folder.join("bin"))
    }

    /// Reads what a tool made.
    ///
    /// # Errors
    /// In words.
    pub fn made(&self, path: &Path) -> Result<Vec<u8>, String> {
        std::fs::read(path).map_err(|error| format!("no {} was made: {error}", path.display()))
    }
}
