//! A file that is looked at now and then: whether it is another one than was judged last, and stands
//! still.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// So long a changed file must not change again before it is read. What is written in place is torn
/// meanwhile, and a cut at the end of a section is a component too, without its manifest.
const SETTLE: Duration = Duration::from_millis(500);

/// On one file, or on none.
#[derive(Default)]
pub struct Eye {
    file: PathBuf,
    seen: Option<Stamp>,
    /// When it was first seen as it is; `None` when that does not matter.
    since: Option<Instant>,
    judged: Option<Stamp>,
}

/// What another content of a file changes: file, length, both times in nanoseconds. The time of
/// content alone can be set back, and two writes within a tick of the kernel have the same.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

// === impl Eye ===

impl Eye {
    /// On a file that has just been judged.
    pub fn new(file: &Path) -> Self {
        let stamp = Stamp::of(file);
        Self { file: file.to_owned(), seen: stamp, since: None, judged: stamp }
    }

    /// Where it looks.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// On `file` from now on; another one has not been judged, and need not settle.
    pub fn point(&mut self, file: &Path) {
        if self.file != file {
            *self = Self { file: file.to_owned(), seen: Stamp::of(file), ..Self::default() };
        }
    }

    /// Whether the file is to be read at `now`: because somebody asks, or because it changed. It is,
    /// then, judged.
    pub fn is_due(&mut self, is_asked: bool, watch: bool, now: Instant) -> bool {
        let stamp = Stamp::of(&self.file);
        if stamp != self.seen {
            (self.seen, self.since) = (stamp, Some(now));
        }
        let stands_still = |since| now.saturating_duration_since(since) >= SETTLE;
        let is_settled = self.since.is_none_or(stands_still);
        let is_new = stamp != self.judged && is_settled && (watch || self.judged.is_none());
        let is_due = is_new || is_asked;
        if is_due {
            self.judged = stamp;
        }
        is_due
    }
}

// === impl Stamp ===

impl Stamp {
    fn of(file: &Path) -> Option<Self> {
        let facts = std::fs::metadata(file).ok()?;
        Some(Self {
            inode: facts.ino(),
            bytes: facts.len(),
            modified: (facts.mtime(), facts.mtime_nsec()),
            changed: (facts.ctime(), facts.ctime_nsec()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks so many milliseconds after the begin.
    struct Looks {
        folder: tempfile::TempDir,
        eye: Eye,
        begin: Instant,
    }

    impl Looks {
        fn new(watch_from: &str) -> Self {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join("a"), "one").unwrap();
            let eye = Eye::new(&folder.path().join(watch_from));
            Self { folder, eye, begin: Instant::now() }
        }

        fn write(&self, text: &str) {
            std::fs::write(self.folder.path().join("a"), text).unwrap();
        }

        #[track_caller]
        fn check(&mut self, at_ms: u64, (is_asked, watch): (bool, bool), expect: bool) {
            let now = self.begin + Duration::from_millis(at_ms);
            assert_eq!(self.eye.is_due(is_asked, watch, now), expect, "{at_ms}");
        }
    }

    const LOOK: (bool, bool) = (false, true);

    #[test]
    fn a_change_is_due_once_when_it_has_stood_still() {
        let mut looks = Looks::new("a");
        looks.check(0, LOOK, false);
        looks.write("other");
        looks.check(1, LOOK, false);
        // A bell may ring at once.
        looks.check(2, LOOK, false);
        looks.write("another");
        looks.check(501, LOOK, false);
        looks.check(1_001, LOOK, true);
        looks.check(2_000, LOOK, false);
        looks.check(2_001, (true, true), true);
    }

    #[test]
    fn another_content_of_the_same_length_and_time_is_seen() {
        let mut looks = Looks::new("a");
        let path = looks.folder.path().join("a");
        let modified = std::fs::metadata(&path).unwrap().modified().unwrap();
        let beside = looks.folder.path().join("b");
        std::fs::write(&beside, "two").unwrap();
        std::fs::File::options().write(true).open(&beside).unwrap().set_modified(modified).unwrap();
        std::fs::rename(&beside, &path).unwrap();
        looks.check(0, LOOK, false);
        looks.check(500, LOOK, true);
    }

    #[test]
    fn a_file_that_is_named_anew_is_due_at_once_and_unwatched_ones_only_then() {
        let mut looks = Looks::new("elsewhere");
        looks.check(0, LOOK, false);
        let path = looks.folder.path().join("a");
        looks.eye.point(&path);
        looks.check(1, (false, false), true);
        looks.write("other");
        looks.check(2, (false, false), false);
        looks.check(9_000, (false, false), false);
        looks.check(9_001, (true, false), true);
        looks.eye.point(&path);
        looks.check(9_002, LOOK, false);
    }
}
