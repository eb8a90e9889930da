//! What README.md promises, and what durable delivery was accepted by, has tests that exist.

use super::architecture::{read, root, rust_files};

/// Where the promises stand.
const HEADING: &str = "## What you can rely on";
/// Where the acceptance tests are told, as a table in the module's documentation.
const ACCEPTANCE: &str = "tests/e2e/acceptance.rs";
const ACCEPTANCE_TESTS: usize = 15;

/// Every file that may hold a test: its path without the extension, and its text.
struct Files(Vec<(String, String)>);

#[test]
fn every_guarantee_names_tests_that_exist() {
    let readme = read(&root().join("README.md"));
    let (_, rest) = readme.split_once(HEADING).expect("the heading of the guarantees");
    let section = rest.split("\n## ").next().unwrap_or_default();
    let rows: Vec<&str> = section.lines().filter(|line| line.starts_with('|')).skip(2).collect();
    assert!(rows.len() >= 10, "only {} guarantees found", rows.len());
    let files = Files::read();
    for row in rows {
        let (promise, tests) =
            row.trim_matches('|').split_once('|').expect("a promise and its tests");
        files.check(promise, tests);
    }
}

#[test]
fn every_acceptance_test_names_tests_that_exist() {
    let text = read(&root().join(ACCEPTANCE));
    let files = Files::read();
    let mut number = 0;
    for row in text.lines().filter_map(|line| line.strip_prefix("//! | ")) {
        let cells: Vec<&str> = row.trim_end_matches('|').split(" | ").collect();
        let Some(own) = cells.first().and_then(|cell| cell.parse::<usize>().ok()) else { continue };
        number += 1;
        assert_eq!(own, number, "in order, none left out: {row}");
        files.check(row, cells.last().expect("its tests"));
    }
    assert_eq!(number, ACCEPTANCE_TESTS, "rows of {ACCEPTANCE}");
}

// === impl Files ===

impl Files {
    fn read() -> Self {
        let folders = ["tests/e2e", "tests/src", "host/src", "host/wire/src", "host/core/src"];
        let files = folders.iter().flat_map(|folder| rust_files(&root().join(folder)));
        let named = |file: std::path::PathBuf| {
            (file.with_extension("").to_string_lossy().into_owned(), read(&file))
        };
        Self(files.map(named).collect())
    }

    /// `tests` names at least one in backticks, as `module::test`, and each is there.
    #[track_caller]
    fn check(&self, promise: &str, tests: &str) {
        let names: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "no test for: {promise}");
        for name in names {
            let (module, test) = name.rsplit_once("::").unwrap_or(("", name));
            let place = format!("/{}", module.replace("::", "/"));
            let exists = self.0.iter().any(|(path, text)| {
                path.ends_with(&place) && text.contains(&format!("fn {test}()"))
            });
            assert!(exists, "{promise}: there is no test {name}");
        }
    }
}
