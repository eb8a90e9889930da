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
use std::sync::atomic::{AtomicU64, Ordering};

/// Versions that are kept.
pub const VERSIONS_MAX: usize = 3;
/// Versions that are remembered as barred. The oldest are forgotten.
pub const BARRED_MAX: usize = 32;

/// Tells apart files that are written at once, for one name perhaps.
static WRITES: AtomicU64 = AtomicU64::new(0);

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

// === impl Record ===

impl Record {
    /// Versions that may serve in the place of `digest`: what served last, then the newest first.
    pub fn ways_back(
        &self,
        digest: Option<Digest>,
        barred: &BTreeMap<Digest, Bar>,
    ) -> impl Iterator<Item = Digest> {
        let newest_first = self.versions.iter().rev().map(|kept| &kept.digest);
        let all = self.current.iter().chain(newest_first).filter_map(|text| Digest::parse(text));
        all.filter(move |other| Some(*other) != digest && !barred.contains_key(other))
    }
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
        // One that is torn is written again.
        if self.version(digest).is_none() {
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
    let number = WRITES.fetch_add(1, Ordering::Relaxed);
    beside.push(format!(".{}.{number}.new", std::process::id()));
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

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(byte: u8) -> Kept {
        let digest = Digest::of(&[byte]).to_string();
        Kept { digest, since_ms: 0, bytes: 1, version: None }
    }

    #[test]
    fn a_way_back_is_what_served_last_and_never_a_barred_version() {
        let base = tempfile::tempdir().unwrap();
        let folder = Folder::new(base.path(), "p");
        for byte in 1..=4 {
            folder.keep(Digest::of(&[byte]), &[byte], kept(byte)).unwrap();
        }
        let ways = |digest: u8| {
            let (record, barred) = (folder.record(), folder.barred());
            let mut ways: Vec<_> = record.ways_back(Some(Digest::of(&[digest])), &barred).collect();
            ways.dedup();
            ways
        };
        let [two, three, four] = [2, 3, 4].map(|byte| Digest::of(&[byte]));
        assert_eq!(ways(4), [three, two], "the first was forgotten");
        assert_eq!(folder.version(Digest::of(&[1])), None);
        assert_eq!(ways(9), [four, three, two]);
        folder.bar(three, &Bar { since_ms: 0, why: Why::Quarantined }).unwrap();
        assert_eq!(ways(4), [two]);
        folder.unbar();
        assert_eq!(ways(4), [three, two]);
    }

    #[test]
    fn a_torn_version_is_written_again_when_it_serves() {
        let base = tempfile::tempdir().unwrap();
        let folder = Folder::new(base.path(), "p");
        let digest = Digest::of(&[7]);
        folder.keep(digest, &[7], kept(7)).unwrap();
        fs::write(folder.path().join(format!("versions/{digest}.wasm")), b"torn").unwrap();
        assert_eq!(folder.version(digest), None);
        folder.keep(digest, &[7], kept(7)).unwrap();
        assert_eq!(folder.version(digest).as_deref(), Some(&[7][..]));
        assert_eq!(folder.record().versions.len(), 1);
    }

    #[test]
    fn the_oldest_bars_are_forgotten() {
        let base = tempfile::tempdir().unwrap();
        let folder = Folder::new(base.path(), "p");
        for number in 0..=BARRED_MAX {
            let since_ms = i64::try_from(number).unwrap();
            let bar = Bar { since_ms, why: Why::RolledBack };
            folder.bar(Digest::of(&number.to_be_bytes()), &bar).unwrap();
        }
        let barred = folder.barred();
        assert_eq!(barred.len(), BARRED_MAX);
        assert!(!barred.contains_key(&Digest::of(&0_usize.to_be_bytes())));
    }

    #[test]
    fn only_what_was_printed_is_read_as_a_digest() {
        let text = Digest::of(b"x").to_string();
        assert_eq!(Digest::parse(&text).map(|digest| digest.to_string()), Some(text.clone()));
        for wrong in [text.to_uppercase(), format!("+f{}", &text[2..]), text[1..].to_owned()] {
            assert_eq!(Digest::parse(&wrong), None, "{wrong}");
        }
    }

    #[test]
    fn who_writes_one_name_at_once_leaves_one_of_them_whole() {
        let base = tempfile::tempdir().unwrap();
        let folder = Folder::new(base.path(), "p");
        let texts = [vec![b'a'; 1 << 16], vec![b'b'; 1 << 10]];
        std::thread::scope(|scope| {
            for text in &texts {
                let folder = &folder;
                scope.spawn(move || (0..50).for_each(|_| folder.write("one", text).unwrap()));
            }
        });
        let left = fs::read(folder.path().join("one")).unwrap();
        assert!(texts.contains(&left), "{} bytes", left.len());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside");
    }
}
