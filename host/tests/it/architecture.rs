//! The layering is a test: which module may use which, what pure crates may depend on, how long a
//! file may be.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Longest Rust file, in lines.
const FILE_LINES_MAX: usize = 400;

/// Modules that any other may use: they know nothing of the stages.
const COMMON: [&str; 6] = ["tasks", "metrics", "clock", "crash", "causes", "spelling"];

/// The allowed edges between the modules of `host`, beside those to [`COMMON`]. ARCHITECTURE.md
/// draws the same.
const EDGES: [(&str, &[&str]); 28] = [
    ("main", &["cli"]),
    (
        "cli",
        &[
            "app", "config", "entropy", "log", "operate", "plugin", "replay", "store", "transfer",
            "vault", "view",
        ],
    ),
    (
        "app",
        &[
            "admin",
            "config",
            "connector",
            "deliver",
            "entropy",
            "ingest",
            "outside",
            "plugin",
            "replay",
            "retain",
            "route",
            "store",
            "tls",
            "vault",
        ],
    ),
    ("config", &["ingest", "plugin", "store", "tls", "vault"]),
    ("ingest", &["entropy", "store"]),
    ("route", &["entropy", "plugin", "store"]),
    ("deliver", &["connector", "entropy", "store", "tls", "vault"]),
    ("connector", &["store"]),
    ("replay", &["entropy", "store"]),
    ("retain", &["entropy", "store"]),
    ("vault", &["entropy", "store"]),
    ("operate", &["store"]),
    ("transfer", &["store", "view"]),
    ("view", &["operate", "replay", "store", "vault"]),
    ("admin", &["store"]),
    ("plugin", &["entropy"]),
    ("outside", &["connector", "plugin", "store", "tls"]),
    ("store", &[]),
    ("tasks", &[]),
    ("metrics", &[]),
    ("log", &[]),
    ("clock", &[]),
    ("entropy", &[]),
    ("tls", &[]),
    ("crash", &[]),
    ("causes", &[]),
    ("spelling", &[]),
    ("simulation", &["deliver", "entropy", "replay", "retain", "route", "store", "vault"]),
];

/// Crates that mean IO, a clock, dice or async. None may be in the tree of a pure crate.
const IMPURE: [&str; 16] = [
    "async-trait",
    "chrono",
    "futures",
    "getrandom",
    "hyper",
    "jiff",
    "libc",
    "mio",
    "rand",
    "reqwest",
    "rusqlite",
    "socket2",
    "time",
    "tokio",
    "tracing",
    "wasmtime",
];

/// What a pure crate's own source must not name, outside its tests.
const IMPURE_WORDS: [&str; 9] = [
    "SystemTime",
    "Instant::now",
    "std::fs",
    "std::net::Tcp",
    "std::net::Udp",
    "std::env",
    "std::thread",
    "std::process",
    "async fn",
];

#[test]
fn modules_use_only_what_the_table_allows() {
    let mut broken = BTreeSet::new();
    for file in rust_files(&root().join("host/src")) {
        let from = module_of(&file);
        if from == "lib" {
            continue;
        }
        for to in uses(&code(&file), &from) {
            let allowed = EDGES.iter().find(|(module, _)| *module == from).map(|(_, to)| *to);
            let allowed = allowed.unwrap_or_else(|| panic!("{from} is not in the table"));
            if to != from && !COMMON.contains(&to.as_str()) && !allowed.contains(&to.as_str()) {
                broken.insert(format!("{from} -> {to} ({})", file.display()));
            }
        }
    }
    assert!(broken.is_empty(), "arrows that are not in the table: {broken:#?}");
}

#[test]
fn no_arrow_points_back() {
    let edges: BTreeMap<&str, &[&str]> = EDGES.into_iter().collect();
    for start in edges.keys() {
        let mut seen = BTreeSet::new();
        let mut open: Vec<&str> = edges[start].to_vec();
        while let Some(module) = open.pop() {
            assert_ne!(module, *start, "{start} can reach itself");
            if seen.insert(module) {
                open.extend(edges[module]);
            }
        }
    }
}

#[test]
fn only_ingest_cli_and_config_know_livekits_wire() {
    let knows = ["ingest", "cli", "config", "app", "route", "metrics", "store", "outside"];
    for file in rust_files(&root().join("host/src")) {
        let module = module_of(&file);
        if code(&file).contains("livekit_webhook_wire") {
            assert!(knows.contains(&module.as_str()), "{} names the wire", file.display());
        }
    }
}

#[test]
fn sql_is_known_to_the_store_only() {
    for file in rust_files(&root().join("host/src")) {
        if module_of(&file) != "store" {
            for name in ["rusqlite", "tokio_postgres"] {
                assert!(!code(&file).contains(name), "{} names {name}", file.display());
            }
        }
    }
}

#[test]
fn wit_types_meet_ours_in_one_file() {
    for file in rust_files(&root().join("host/src")) {
        let text = code(&file);
        let knows_both = text.contains("world::") && text.contains("Output::");
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let part = file.components().any(|part| part.as_os_str() == "convert");
        assert!(!knows_both || name == "convert" || part, "{}", file.display());
    }
}

#[test]
fn pure_crates_depend_on_nothing_impure() {
    for package in ["livekit-webhook-wire", "livekit-webhook-core"] {
        let tree = tree_of(package);
        assert!(tree.contains(package), "cargo tree says nothing of {package}: {tree}");
        for name in tree.lines().filter_map(|line| line.split_whitespace().next()) {
            assert!(!IMPURE.contains(&name), "{package} depends on {name}:\n{tree}");
        }
    }
}

#[test]
fn pure_crates_read_no_clock_and_do_no_io() {
    for folder in ["host/wire/src", "host/core/src"] {
        for file in rust_files(&root().join(folder)) {
            if file.components().any(|part| part.as_os_str() == "tests")
                || file.file_name().is_some_and(|name| name == "tests.rs")
            {
                continue;
            }
            let text = code(&file);
            for word in IMPURE_WORDS {
                assert!(!text.contains(word), "{} names {word}", file.display());
            }
        }
    }
}

#[test]
fn files_can_be_held_in_the_head() {
    let mut long = Vec::new();
    for folder in ["host", "plugin-sdk", "plugins", "envoy", "tests"] {
        for file in rust_files(&root().join(folder)) {
            let lines = read(&file).lines().count();
            if lines > FILE_LINES_MAX {
                long.push(format!("{} has {lines} lines", file.display()));
            }
        }
    }
    assert!(long.is_empty(), "at most {FILE_LINES_MAX} lines: {long:#?}");
}

#[test]
fn only_tasks_spawns() {
    for file in rust_files(&root().join("host/src")) {
        if module_of(&file) != "tasks" {
            let text = code(&file);
            assert!(!text.contains("tokio::spawn"), "{} spawns", file.display());
            assert!(!text.contains("JoinSet"), "{} spawns", file.display());
        }
    }
}

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_owned).unwrap_or_default()
}

/// All Rust files below `folder`; build output is passed over.
pub fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() && entry.file_name() != "target" {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    assert!(!files.is_empty(), "no Rust files below {}", folder.display());
    files.sort();
    files
}

pub fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// The text without its comments.
fn code(file: &Path) -> String {
    read(file)
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// `ingest` for `host/src/ingest.rs` and everything in `host/src/ingest/`.
fn module_of(file: &Path) -> String {
    let below = file.strip_prefix(root().join("host/src")).unwrap();
    let first = below.components().next().unwrap().as_os_str().to_string_lossy().into_owned();
    first.trim_end_matches(".rs").to_owned()
}

/// The top-level modules that `text` names by `crate::` (in `main`, by the crate's name).
fn uses(text: &str, from: &str) -> BTreeSet<String> {
    let prefix = if from == "main" { "livekit_webhook::" } else { "crate::" };
    let named = text.match_indices(prefix).map(|(at, _)| &text[at + prefix.len()..]);
    let word = |rest: &str| -> String {
        rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
    };
    named.map(word).filter(|module| EDGES.iter().any(|(known, _)| known == module)).collect()
}

fn tree_of(package: &str) -> String {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--edges", "normal", "--prefix", "none", "--package", package])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
