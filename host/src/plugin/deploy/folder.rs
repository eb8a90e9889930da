//! What is kept on disk of one plugin: its last versions, which of them serves, and which must not.
//!
//! ```text
//! FOLDER/NAME/versions/DIGEST.wasm   the last three that served
//! FOLDER/NAME/versions.json          their order, and which serves
//! FOLDER/NAME/barred/DIGEST.json     quarantined, or rolled back
//! FOLDER/NAME/capsules/…             poison events
//! FOLDER/NAME/status.json            for people and `plugin status`
//! FOLDER/NAME/release                an operator's wish; whoever serves takes it
//! ```
//!
//! Every file is written beside, synced and renamed, so that a reader sees one or the other. The
//! folder belongs to one host. Losing it loses the way back, and no event.

use super::Digest;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Versions that are kept.
pub const VERSIONS_MAX: usize = 3;
/// Versions that are remembered as barred. The oldest are forgotten.
pub const BARRED_MAX: usize = 32;

/// The folder of one plugin.
#[derive(Clone, Debug)]
pub struct Folder(PathBuf);

/// `versions.json`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// What serves.
    pub current: Option<String>,
    /// Oldest first.
    pub versions: Vec<Kept>,
}

/// One kept version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Of its file.
    pub digest: String,
    /// When it began to serve, in milliseconds since the epoch.
    pub since_ms: i64,
    /// Size of its file.
    pub bytes: u64,
    /// As its manifest says.
    pub version: Option<String>,
}

/// Why a version must not serve.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bar {
    /// Since when, in milliseconds since the epoch.
    pub since_ms: i64,
    /// What happened.
    pub why: Why,
}

/// What happened to a barred version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// Its breaker opened once too often.
    Quarantined,
    /// It made way for the version before it.
    RolledBack,
}

// === impl Folder ===

impl Folder {
    /// That of plugin `name` below `base`. Makes nothing.
    pub fn new(base: &Path, name: &str) -> Self {
        Self(base.join(name))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Which versions are kept. Nothing where nothing can be read.
    pub fn record(&self) -> Record {
        let bytes = fs::read(self.0.join("versions.json")).unwrap_or_default();
        serde_json::from_slice(&bytes).unwrap_or_default()
    }

    /// A kept version, if its file is what its name says.
    pub fn version(&self, digest: Digest) -> Option<Bytes> {
        let bytes = fs::read(self.file_of(digest)).ok()?;
        (Digest::of(&bytes) == digest).then(|| bytes.into())
    }

    /// Keeps a version that serves from now on, and forgets the oldest.
    ///
    /// # Errors
    /// The system's.
    pub fn keep(&self, digest: Digest, wasm: &[u8], kept: Kept) -> io::Result<()> {
        if !self.file_of(digest).is_file() {
            self.write(&format!("versions/{digest}.wasm"), wasm)?;
        }
        let mut record = self.record();
        record.versions.retain(|other| other.digest != kept.digest);
        record.current = Some(kept.digest.clone());
        record.versions.push(kept);
        while record.versions.len() > VERSIONS_MAX {
            let oldest = record.versions.remove(0);
            if let Some(oldest) = Digest::parse(&oldest.digest) {
                let _ = fs::remove_file(self.file_of(oldest));
            }
        }
        self.write_json("versions.json", &record)
    }

    /// Which versions must not serve.
    pub fn barred(&self) -> BTreeMap<Digest, Bar> {
        let entries = fs::read_dir(self.0.join("barred")).into_iter().flatten().flatten();
        let read = |entry: fs::DirEntry| {
            let name = entry.file_name().into_string().ok()?;
            let digest = Digest::parse(name.strip_suffix(".json")?)?;
            Some((digest, serde_json::from_slice(&fs::read(entry.path()).ok()?).ok()?))
        };
        entries.filter_map(read).take(2 * BARRED_MAX).collect()
    }

    /// Bars a version.
    ///
    /// # Errors
    /// The system's.
    pub fn bar(&self, digest: Digest, bar: &Bar) -> io::Result<()> {
        let mut barred: Vec<_> = self.barred().into_iter().collect();
        barred.sort_by_key(|(_, bar)| bar.since_ms);
        let surplus = (barred.len() + 1).saturating_sub(BARRED_MAX);
        for (oldest, _) in barred.into_iter().take(surplus) {
            let _ = fs::remove_file(self.0.join(format!("barred/{oldest}.json")));
        }
        self.write_json(&format!("barred/{digest}.json"), bar)
    }

    /// Lets every barred version serve again.
    pub fn unbar(&self) {
        let _ = fs::remove_dir_all(self.0.join("barred"));
    }

    /// Asks whoever serves to release what is barred.
    ///
    /// # Errors
    /// The system's.
    pub fn ask_release(&self) -> io::Result<()> {
        self.write("release", b"")
    }

    /// Takes that wish, when it is there.
    pub fn take_release(&self) -> bool {
        fs::remove_file(self.0.join("release")).is_ok()
    }

    /// Poison events that are kept.
    pub fn capsules(&self) -> usize {
        fs::read_dir(self.0.join("capsules")).map_or(0, |entries| entries.flatten().count())
    }

    /// Writes one file of this folder as JSON.
    ///
    /// # Errors
    /// The system's.
    pub fn write_json(&self, name: &str, value: &impl Serialize) -> io::Result<()> {
        let mut bytes = serde_json::to_vec_pretty(value)?;
        bytes.push(b'\n');
        self.write(name, &bytes)
    }

    /// Writes one file of this folder, whole or not at all, readable for its owner only.
    ///
    /// # Errors
    /// The system's.
    pub fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let path = self.0.join(name);
        let folder = path.parent().unwrap_or(&self.0);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        replace(&path, bytes, 0o600)
    }

    fn file_of(&self, digest: Digest) -> PathBuf {
        self.0.join(format!("versions/{digest}.wasm"))
    }
}

/// Puts `bytes` in the place of `path`, whole or not at all: written beside, synced, renamed.
///
/// # Errors
/// The system's.
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}.new", std::process::id()));
    let written = (|| {
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(mode)
            .open(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&beside, path)
    })();
    if written.is_err() {
        let _ = fs::remove_file(&beside);
    }
    written
}
