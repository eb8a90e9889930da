//! The folder of a server: its data, its log, its socket, and the guard that outlives the test.

use super::{PASSWORD, USER, program};
use crate::envoy::root;
use anyhow::{Context as _, Result, ensure};
use std::fs::File;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use tempfile::TempDir;

/// Waits until whoever holds its input is gone, however that came about; then ends the server in
/// `$1` and removes the folder. A server that was killed leaves its segment of shared memory; the
/// seventh line of its `postmaster.pid` ends with the segment's id.
const GUARD: &str = r#"
cat >/dev/null
file=$1/data/postmaster.pid
pid=$(head -n 1 "$file" 2>/dev/null)
segment=$(sed -n '7s/.* //p' "$file" 2>/dev/null)
if [ -n "$pid" ] && [ "$(readlink "/proc/$pid/cwd")" = "$1/data" ]; then
    kill -CONT "$pid"; kill -QUIT "$pid"; tries=0
    while kill -0 "$pid" 2>/dev/null && [ "$tries" -lt 100 ]; do
        tries=$((tries + 1)); sleep 0.1
    done
fi
if [ -n "$segment" ]; then ipcrm -m "$segment" 2>/dev/null; fi
rm -rf "$1"
"#;

/// Whom PostgreSQL runs as.
#[derive(Clone, Copy, Debug)]
pub struct User {
    pub uid: u32,
    pub gid: u32,
}

/// A server's folder. Its guard is told to begin when the value is dropped.
#[derive(Debug)]
pub struct Folder {
    user: Option<User>,
    guard: Child,
    folder: TempDir,
}

// === impl Folder ===

impl Folder {
    /// With a data folder that `initdb` made.
    pub fn from_template() -> Result<Self> {
        let user = user()?;
        let template = template(user)?;
        let folder = scratch(user)?;
        let guard = Command::new("sh")
            .args(["-c", GUARD, "guard"])
            .arg(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .context("starting the guard")?;
        let folder = Self { user, guard, folder };
        copy(&template, &folder.data(), user)?;
        Ok(folder)
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    /// Writes a file that only the server may read.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.path().join(name);
        std::fs::write(&path, bytes)?;
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
        give(&path, self.user)
    }

    /// What the server has logged.
    pub fn log(&self) -> String {
        let bytes = std::fs::read(self.path().join("log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    pub fn clear_log(&self) -> Result<()> {
        Ok(std::fs::write(self.path().join("log"), b"")?)
    }

    /// One of PostgreSQL's programs, to be run here.
    pub fn command(&self, name: &str) -> Result<Command> {
        let log = File::options().create(true).append(true).open(self.path().join("log"))?;
        let mut command = program(name, self.user)?;
        command.current_dir(self.data()).stdin(Stdio::null());
        command.stdout(log.try_clone()?).stderr(log);
        Ok(command)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // The end of its input is its sign.
        drop(self.guard.stdin.take());
        let _ = self.guard.wait();
    }
}

/// Where `tests/setup/postgres` finds the programs.
pub fn programs() -> Result<&'static Path> {
    static PROGRAMS: OnceLock<PathBuf> = OnceLock::new();
    if let Some(found) = PROGRAMS.get() {
        return Ok(found);
    }
    let script = root().join("tests/setup/postgres");
    let output = Command::new(script).output().context("tests/setup/postgres")?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "tests/setup/postgres: {complaint}");
    let found = PathBuf::from(String::from_utf8(output.stdout)?.trim());
    Ok(PROGRAMS.get_or_init(|| found))
}

/// Somebody else when we are root, whom PostgreSQL refuses to run as.
fn user() -> Result<Option<User>> {
    if std::fs::metadata("/proc/self")?.uid() != 0 {
        return Ok(None);
    }
    let accounts = std::fs::read_to_string("/etc/passwd").context("/etc/passwd")?;
    let account = |wanted: &str| {
        let mut fields = accounts.lines().find_map(|line| {
            line.strip_prefix(wanted)?.strip_prefix(':').map(|rest| rest.split(':'))
        })?;
        let (uid, gid) = (fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
        Some(User { uid, gid })
    };
    let found = account("postgres").or_else(|| account("nobody"));
    Ok(Some(found.context("neither postgres nor nobody is in /etc/passwd")?))
}

/// The data folder that all servers begin with, made by the first who asks.
fn template(user: Option<User>) -> Result<PathBuf> {
    let output = program("postgres", None)?.arg("--version").output()?;
    let version =
        String::from_utf8_lossy(&output.stdout).replace(|c: char| !c.is_alphanumeric(), "-");
    let home = root().join("target/postgres");
    std::fs::create_dir_all(&home)?;
    let template = home.join(version.trim_matches('-'));
    let lock = File::create(home.join("lock"))?;
    lock.lock().context("waiting for who else makes the template")?;
    if !template.is_dir() {
        let made = initdb(user)?;
        let unfinished = home.join("unfinished");
        if unfinished.exists() {
            std::fs::remove_dir_all(&unfinished)?;
        }
        copy(&made.path().join("data"), &unfinished, None)?;
        std::fs::rename(&unfinished, &template)?;
    }
    Ok(template)
}

fn initdb(user: Option<User>) -> Result<TempDir> {
    let folder = scratch(user)?;
    let password = folder.path().join("password");
    std::fs::write(&password, PASSWORD)?;
    give(&password, user)?;
    let output = program("initdb", user)?
        .current_dir(folder.path())
        .arg("-D")
        .arg(folder.path().join("data"))
        .arg("--pwfile")
        .arg(&password)
        .args(["--username", USER, "--auth-local=trust", "--auth-host=scram-sha-256"])
        .args(["--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"])
        // Small files of log: a server of a test writes little, and copying is quicker.
        .arg("--wal-segsize=1")
        .output()
        .context("initdb")?;
    ensure!(output.status.success(), "initdb: {}", String::from_utf8_lossy(&output.stderr));
    Ok(folder)
}

/// A temporary folder that the server may enter.
fn scratch(user: Option<User>) -> Result<TempDir> {
    let folder = tempfile::Builder::new().prefix("livekit-webhook-postgres-").tempdir()?;
    give(folder.path(), user)?;
    Ok(folder)
}

fn give(path: &Path, user: Option<User>) -> Result<()> {
    match user {
        Some(user) => chown(path, Some(user.uid), Some(user.gid)).context("giving it away"),
        None => Ok(()),
    }
}

/// Copies a folder with its permissions, for `user`.
fn copy(from: &Path, to: &Path, user: Option<User>) -> Result<()> {
    std::fs::create_dir(to).with_context(|| format!("{}", to.display()))?;
    std::fs::set_permissions(to, std::fs::metadata(from)?.permissions())?;
    give(to, user)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target, user)?;
        } else {
            std::fs::copy(entry.path(), &target)?;
            give(&target, user)?;
        }
    }
    Ok(())
}
