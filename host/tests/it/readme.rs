//! What README.md promises has tests that exist.

use super::architecture::{read, root, rust_files};

/// Where the promises stand.
const HEADING: &str = "## What you can rely on";

#[test]
fn every_guarantee_names_tests_that_exist() {
    let readme = read(&root().join("README.md"));
    let (_, rest) = readme.split_once(HEADING).expect("the heading of the guarantees");
    let section = rest.split("\n## ").next().unwrap_or_default();
    let rows: Vec<&str> = section.lines().filter(|line| line.starts_with('|')).skip(2).collect();
    assert!(rows.len() >= 10, "only {} guarantees found", rows.len());
    let files: Vec<_> = ["tests/e2e", "host/src", "host/wire/src", "host/core/src"]
        .iter()
        .flat_map(|folder| rust_files(&root().join(folder)))
        .map(|file| (file.with_extension("").to_string_lossy().into_owned(), read(&file)))
        .collect();
    for row in rows {
        let (promise, tests) =
            row.trim_matches('|').split_once('|').expect("a promise and its tests");
        let names: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "no test for: {promise}");
        for name in names {
            let (module, test) = name.rsplit_once("::").expect("module::test");
            let place = module.replace("::", "/");
            let exists = files.iter().any(|(path, text)| {
                path.ends_with(&place) && text.contains(&format!("fn {test}()"))
            });
            assert!(exists, "{promise}: there is no test {name}");
        }
    }
}
