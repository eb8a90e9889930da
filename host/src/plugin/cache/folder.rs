//! The folder of the cache: who may write to it, whole files, and no more than so many bytes.

use super::{Error, MAC_BYTES};
use crate::clock::{Clock as _, SystemClock};
use crate::entropy::unguessable;
use std::fs::{self, DirBuilder, File, FileTimes, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// The key's file.
const KEY: &str = "key";
/// Endings of code, and of files that are being written.
const CODE: &str = "code";
const NEW: &str = "new";
/// A file that was being written this long ago was left by a process that died.
const NEW_MAX: Duration = Duration::from_secs(3600);

/// See the module.
#[derive(Debug)]
pub struct Folder(PathBuf);

// === impl Folder ===

impl Folder {
    /// Makes it when it is not there, and looks whose it is.
    ///
    /// # Errors
    /// When it is somebody else's, or others can write to it.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700).create(path).map_err(io_error("making"))?;
        let found = fs::metadata(path).map_err(io_error("looking at the owner"))?;
        ours(path, &found, 0o022, "others can write to it: chmod 700 it")?;
        Ok(Self(path.to_owned()))
    }

    /// The key: 32 bytes nobody else knows.
    ///
    /// # Errors
    /// When it cannot be read or made, or others can read it.
    pub fn key(&self) -> Result<[u8; MAC_BYTES], Error> {
        let path = self.0.join(KEY);
        if !path.exists() {
            self.make_key(&path).map_err(io_error("making the key"))?;
        }
        let mut file = File::open(&path).map_err(io_error("opening the key"))?;
        let found = file.metadata().map_err(io_error("looking at the key"))?;
        ours(&path, &found, 0o077, "others can read it: remove the folder")?;
        let mut key = [0; MAC_BYTES];
        file.read_exact(&mut key).map_err(io_error("reading the key"))?;
        Ok(key)
    }

    /// The file of this name, of at most so many bytes; `None` when there is none.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub fn read(&self, name: &str, bytes_max: usize) -> io::Result<Option<Vec<u8>>> {
        let file = match File::open(self.code(name)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let len = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
        let mut bytes = Vec::with_capacity(len.min(bytes_max));
        file.take(u64::try_from(bytes_max).unwrap_or(u64::MAX)).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    /// Writes a whole file, or none.
    ///
    /// # Errors
    /// When the folder does not take it.
    pub fn write(&self, name: &str, code: &[u8], mac: &[u8]) -> io::Result<()> {
        let new = self.fresh()?;
        let written = write_whole(&new, code, mac).and_then(|()| fs::rename(&new, self.code(name)));
        if written.is_err() {
            let _ = fs::remove_file(&new);
        }
        written?;
        File::open(&self.0)?.sync_all()
    }

    /// Notes that it was used. A folder that cannot be written keeps the older time.
    pub fn touch(&self, name: &str) {
        let now_ms = u64::try_from(SystemClock.now().as_millis()).unwrap_or_default();
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(now_ms);
        let file = OpenOptions::new().append(true).open(self.code(name));
        let _ = file.and_then(|file| file.set_times(FileTimes::new().set_modified(now)));
    }

    /// Removes the file of this name.
    pub fn remove(&self, name: &str) {
        let _ = fs::remove_file(self.code(name));
    }

    /// Removes what was not used for longest until the rest has no more than so many bytes, and
    /// what was left half written.
    pub fn prune(&self, bytes_max: u64) {
        let Ok(entries) = fs::read_dir(&self.0) else {
            return;
        };
        let mut files = Vec::new();
        for entry in entries.flatten() {
            let (path, Ok(found)) = (entry.path(), entry.metadata()) else {
                continue;
            };
            let used = found.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            match path.extension().and_then(|ending| ending.to_str()) {
                Some(CODE) => files.push((used, found.len(), path)),
                Some(NEW) if is_older(used, NEW_MAX) => drop(fs::remove_file(path)),
                _ => {}
            }
        }
        files.sort();
        let mut bytes: u64 = files.iter().map(|(_, len, _)| len).sum();
        for (_, len, path) in files {
            if bytes <= bytes_max {
                break;
            }
            if fs::remove_file(path).is_ok() {
                bytes = bytes.saturating_sub(len);
            }
        }
    }

    fn code(&self, name: &str) -> PathBuf {
        self.0.join(name).with_extension(CODE)
    }

    /// A name that nobody else writes to.
    fn fresh(&self) -> io::Result<PathBuf> {
        let number = u64::from_ne_bytes(unguessable().map_err(io::Error::other)?);
        Ok(self.0.join(format!("{number:016x}.{NEW}")))
    }

    /// Whoever links first has made it; the others take that one.
    fn make_key(&self, path: &Path) -> io::Result<()> {
        let new = self.fresh()?;
        let key: [u8; MAC_BYTES] = unguessable().map_err(io::Error::other)?;
        let linked = write_whole(&new, &key, &[]).and_then(|()| match fs::hard_link(&new, path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            linked => linked,
        });
        let _ = fs::remove_file(&new);
        linked
    }
}

fn write_whole(path: &Path, head: &[u8], rest: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(head)?;
    file.write_all(rest)?;
    file.sync_all()
}

/// Whether it is this user's, and has none of the bits in `denied`.
fn ours(
    path: &Path,
    found: &fs::Metadata,
    denied: u32,
    problem: &'static str,
) -> Result<(), Error> {
    let problem = if found.uid() != rustix::process::geteuid().as_raw() {
        "it belongs to somebody else"
    } else if found.mode() & denied != 0 {
        problem
    } else {
        return Ok(());
    };
    Err(Error::Unsafe { path: path.display().to_string(), problem })
}

fn is_older(time: SystemTime, age: Duration) -> bool {
    let now_ms = u64::try_from(SystemClock.now().as_millis()).unwrap_or_default();
    let now = SystemTime::UNIX_EPOCH + Duration::from_millis(now_ms);
    now.duration_since(time).is_ok_and(|past| past > age)
}

fn io_error(what: &'static str) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::Io { what, source }
}
