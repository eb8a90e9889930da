//! Children that end in every way but the right one; that one is a story with the real program.

use super::*;
use crate::plugin::limits;
use crate::plugin::registry::{Options, Plugin};
use crate::plugin::tests::component;

async fn refusal(child: &str, limits: Limits) -> Error {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/plugin/compile/tests");
    let setup = Setup { child: Some(tests.join(child)), folder: None };
    let engine = Engine::serving(setup).unwrap();
    let options = Options { limits, ..Options::default() };
    Plugin::load(&engine, "redact", component("redact"), options).await.unwrap_err()
}

#[tokio::test]
async fn a_compiler_that_takes_too_long_is_killed() {
    let limits = Limits::default().with(limits::COMPILE_MS, 50).unwrap();
    let error = refusal("hangs.sh", limits).await;
    assert!(matches!(error, Error::CompileTime { limit_ms: 50 }), "{error:?}");
}

#[tokio::test]
async fn a_compiler_that_dies_is_told_from_one_that_refuses() {
    match refusal("dies.sh", Limits::default()).await {
        Error::CompilerDied { status, said } => {
            assert!(status.contains("signal: 9"), "{status}");
            assert_eq!(said, "half way");
        }
        other => panic!("{other:?}"),
    }
    match refusal("refuses.sh", Limits::default()).await {
        Error::Invalid(error) => assert_eq!(error.to_string(), "no such instruction"),
        other => panic!("{other:?}"),
    }
    let error = refusal("not-there", Limits::default()).await;
    assert!(matches!(error, Error::Compiler(_)), "{error:?}");
}

#[tokio::test]
async fn what_was_compiled_last_is_at_hand_where_there_is_no_cache() {
    let engine = Engine::new().unwrap().metered_beside().unwrap();
    let load = async |name: &str| {
        Plugin::load(&engine, name, component(name), Options::default()).await.unwrap();
    };
    let is_kept = |name: &str| {
        let digest = Digest::from(Sha256::digest(component(name)));
        engine.compiler().kept(&engine, &digest).unwrap().is_some()
    };
    assert!(!is_kept("redact"));
    load("redact").await;
    assert!(is_kept("redact") && !is_kept("slack"));
    load("slack").await;
    assert!(is_kept("slack") && !is_kept("redact"));
}
