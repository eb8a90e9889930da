use super::*;
use crate::plugin::tests::component;

async fn tortured(name: &str, as_json: bool) -> (bool, String) {
    let report = report(component(name), Bytes::new(), 40).await.unwrap();
    let mut out = Vec::new();
    let code = report.print(as_json, &mut out).unwrap();
    (code == ExitCode::SUCCESS, String::from_utf8(out).unwrap())
}

#[tokio::test]
async fn a_plugin_that_returns_errors_survives() {
    let (survived, text) = tortured("redact", true).await;
    let report: serde_json::Value = serde_json::from_str(&text).unwrap();
    // A slow machine may stop the largest events; nothing else may go wrong.
    let faults: Vec<_> = report["faults"].as_array().unwrap().iter().collect();
    assert!(faults.iter().all(|fault| fault["fault"].as_str().unwrap().contains("ms")), "{text}");
    assert_eq!(survived, faults.is_empty());
    let rows = report["rows"].as_array().unwrap();
    assert_eq!(rows[0]["events"], "samples");
    assert_eq!(rows[0]["calls"], 14);
    assert!(rows[0]["peak_memory_bytes"].as_u64().unwrap() >= 1 << 16);
    assert!(rows.iter().any(|row| row["events"] == "little memory"), "{text}");
}

#[tokio::test]
async fn a_plugin_that_traps_does_not_and_its_text_is_shown() {
    let hand = crate::plugin::tests::hand::Hand::default().component();
    let report = report(hand, Bytes::new(), 1).await.unwrap();
    let mut out = Vec::new();
    assert_eq!(report.print(false, &mut out).unwrap(), ExitCode::from(1));
    let text = String::from_utf8(out).unwrap();
    assert!(text.contains("the plugin trapped: wasm `unreachable`"), "{text}");
    assert!(text.contains("not survived"), "{text}");
}

#[tokio::test]
async fn one_that_does_not_load_says_why() {
    let error = report(Bytes::from_static(b"hello"), Bytes::new(), 1).await.unwrap_err();
    assert!(format!("{error:#}").contains("not WebAssembly"), "{error:#}");
}
