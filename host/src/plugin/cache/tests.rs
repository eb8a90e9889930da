use super::*;
use crate::plugin::compile::Setup;
use crate::plugin::engine::Engine;
use crate::plugin::limits::Limits;
use crate::plugin::tests::component;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::PathBuf;

const CODE: &[u8] = b"some code";

fn name(text: &str) -> Name {
    Name(text.to_owned())
}

fn kept(folder: &Path) -> Cache {
    let cache = Cache::open(folder).unwrap();
    cache.keep(&name("a"), &Code(CODE.to_vec()));
    cache
}

fn file(folder: &Path) -> PathBuf {
    folder.join("a.code")
}

#[track_caller]
fn check(cache: &Cache, expect: Option<&[u8]>) {
    let found = cache.find(&name("a"));
    assert_eq!(found.as_ref().map(|code| code.0.as_slice()), expect);
}

#[test]
fn what_was_kept_is_found_again_by_the_next_process() {
    let folder = tempfile::tempdir().unwrap();
    check(&kept(folder.path()), Some(CODE));
    check(&Cache::open(folder.path()).unwrap(), Some(CODE));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&file(folder.path())), 0o600);
    assert_eq!(mode(&folder.path().join("key")), 0o600);
    let below = folder.path().join("made/below");
    Cache::open(&below).unwrap();
    assert_eq!(mode(&below), 0o700);
}

#[test]
fn a_changed_byte_a_torn_end_and_another_name_are_not_used() {
    let folder = tempfile::tempdir().unwrap();
    let whole = {
        kept(folder.path());
        fs::read(file(folder.path())).unwrap()
    };
    for changed in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[changed] ^= 1;
        fs::write(file(folder.path()), bytes).unwrap();
        check(&Cache::open(folder.path()).unwrap(), None);
    }
    for torn in 0..whole.len() {
        fs::write(file(folder.path()), &whole[..torn]).unwrap();
        check(&Cache::open(folder.path()).unwrap(), None);
        assert!(!file(folder.path()).exists(), "it is removed, so that it is made again");
    }
    fs::write(folder.path().join("b.code"), &whole).unwrap();
    assert!(Cache::open(folder.path()).unwrap().find(&name("b")).is_none());
}

#[test]
fn code_of_another_installation_is_not_used() {
    let folder = tempfile::tempdir().unwrap();
    kept(folder.path());
    fs::remove_file(folder.path().join("key")).unwrap();
    check(&Cache::open(folder.path()).unwrap(), None);
}

#[test]
fn a_folder_that_others_could_change_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let refused = || Cache::open(folder.path()).unwrap_err().to_string();
    let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode));
    for open in [0o720, 0o702, 0o777] {
        mode(folder.path(), open).unwrap();
        assert!(refused().contains("others can write to it: chmod 700 it"), "{}", refused());
    }
    mode(folder.path(), 0o700).unwrap();
    kept(folder.path());
    mode(&folder.path().join("key"), 0o640).unwrap();
    assert!(refused().contains("others can read it"), "{}", refused());
    mode(&folder.path().join("key"), 0o600).unwrap();
    // Only root can give a folder away.
    if chown(folder.path(), Some(54_321), None).is_ok() {
        assert!(refused().contains("belongs to somebody else"), "{}", refused());
    }
}

#[test]
fn a_folder_that_takes_nothing_costs_nothing_but_time() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::open(folder.path()).unwrap();
    fs::create_dir(file(folder.path())).unwrap();
    cache.keep(&name("a"), &Code(CODE.to_vec()));
    check(&cache, None);
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().flatten().collect();
    assert_eq!(left.len(), 2, "the key and the obstacle: {left:?}");
}

#[test]
fn many_writers_leave_one_whole_file() {
    let folder = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let cache = Cache::open(folder.path()).unwrap();
                for _ in 0..10 {
                    cache.keep(&name("a"), &Code(vec![7; 100_000]));
                    check(&cache, Some(&[7; 100_000]));
                }
            });
        }
    });
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[test]
fn what_was_not_used_for_longest_makes_room() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::open(folder.path()).unwrap();
    for (age_s, text) in [(3, "old"), (1, "new"), (2, "middle")] {
        cache.keep(&name(text), &Code(vec![0; 1000 - MAC_BYTES]));
        let time = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(9 - age_s);
        let file =
            fs::File::options().append(true).open(folder.path().join(format!("{text}.code")));
        file.unwrap().set_modified(time).unwrap();
    }
    let there = |text: &str| folder.path().join(format!("{text}.code")).exists();
    cache.folder.prune(2500);
    assert_eq!(["old", "middle", "new"].map(there), [false, true, true]);
    // A use counts: the older one is now the newer one.
    assert!(cache.find(&name("middle")).is_some());
    cache.folder.prune(1000);
    assert_eq!(["old", "middle", "new"].map(there), [false, true, false]);
}

#[test]
fn the_name_tells_components_kinds_and_engines_apart() {
    let engine = Engine::on_demand().unwrap();
    let metered = Engine::metered().unwrap();
    let lean = engine.machine(Kind::Lean).unwrap();
    let names = [
        Name::new(&[1; 32], lean, Kind::Lean),
        Name::new(&[2; 32], lean, Kind::Lean),
        Name::new(&[1; 32], lean, Kind::Full),
        Name::new(&[1; 32], metered.machine(Kind::Lean).unwrap(), Kind::Lean),
    ];
    for (index, name) in names.iter().enumerate() {
        assert_eq!(names.iter().position(|other| other == name), Some(index));
    }
    assert_eq!(Name::new(&[1; 32], lean, Kind::Lean), names[0]);
}

#[tokio::test]
async fn a_plugin_is_compiled_once_and_code_that_does_not_fit_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let setup = |child: Option<&str>| Setup {
        child: child.map(PathBuf::from),
        folder: Some(folder.path().to_owned()),
    };
    let limits = Limits::default();
    let first = Engine::serving(setup(None)).unwrap();
    first.component(component("redact"), &limits).await.unwrap();
    // A host that could not compile finds it.
    let second = Engine::serving(setup(Some("/not/there"))).unwrap();
    second.component(component("redact"), &limits).await.unwrap();
    second.component(component("slack"), &limits).await.unwrap_err();
    // Signed by us and of no use: as after an update that changed the engine's settings.
    let digest = Sha256::digest(component("redact")).into();
    let name = Name::new(&digest, first.machine(Kind::Lean).unwrap(), Kind::Lean);
    let cache = Cache::open(folder.path()).unwrap();
    cache.keep(&name, &Code(b"not code".to_vec()));
    second.component(component("redact"), &limits).await.unwrap_err();
    let third = Engine::serving(setup(None)).unwrap();
    third.component(component("redact"), &limits).await.unwrap();
    second.component(component("redact"), &limits).await.unwrap();
}

#[tokio::test]
async fn a_folder_that_cannot_be_used_means_compiling() {
    let setup = Setup { child: None, folder: Some(PathBuf::from("/proc/self/not-here")) };
    let engine = Engine::serving(setup).unwrap();
    engine.component(component("redact"), &Limits::default()).await.unwrap();
}
