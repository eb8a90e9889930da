//! What other controllers are given: an image they can load, and configurations the filter takes.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use livekit_webhook_filter::settings::Settings;
use livekit_webhook_tests::envoy::root;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

const LAYOUT: &str = "target/oci/livekit-webhook-filter";

fn run(program: &Path, arguments: &[&str]) -> Result<Vec<u8>> {
    let output = Command::new(program).args(arguments).output()?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "{program:?} {arguments:?}: {text}");
    Ok(output.stdout)
}

/// The bytes that a descriptor names, when they are what it says.
fn blob(descriptor: &Value) -> Result<Vec<u8>> {
    let digest = descriptor["digest"].as_str().context("no digest")?;
    let name = digest.strip_prefix("sha256:").context("another digest")?;
    let bytes = std::fs::read(root().join(LAYOUT).join("blobs/sha256").join(name))?;
    let sum: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    ensure!(sum == name, "the blob {name} hashes to {sum}");
    ensure!(descriptor["size"].as_u64() == u64::try_from(bytes.len()).ok(), "{descriptor}");
    Ok(bytes)
}

fn json(bytes: &[u8]) -> Result<Value> {
    Ok(serde_json::from_slice(bytes)?)
}

#[test]
fn the_oci_layout_has_one_layer_with_the_filter_as_its_one_file() -> Result<()> {
    let script = root().join("tests/setup/oci");
    run(&script, &[])?;
    let index = json(&std::fs::read(root().join(LAYOUT).join("index.json"))?)?;
    let version = json(&std::fs::read(root().join(LAYOUT).join("oci-layout"))?)?;
    ensure!(version["imageLayoutVersion"] == "1.0.0");
    let manifests = index["manifests"].as_array().context("no manifests")?;
    ensure!(manifests.len() == 1, "{index}");
    let manifest = json(&blob(&manifests[0])?)?;
    blob(&manifest["config"])?;
    let layers = manifest["layers"].as_array().context("no layers")?;
    ensure!(layers.len() == 1, "{manifest}");
    ensure!(layers[0]["mediaType"] == "application/vnd.oci.image.layer.v1.tar+gzip");
    blob(&layers[0])?;
    let digest = layers[0]["digest"].as_str().unwrap_or_default().replace("sha256:", "");
    let layer = root().join(LAYOUT).join("blobs/sha256").join(digest);
    let layer = layer.to_str().context("a path that is no text")?;
    let names = run(Path::new("tar"), &["-tzf", layer])?;
    ensure!(names == b"plugin.wasm\n", "{}", String::from_utf8_lossy(&names));
    let wasm = run(Path::new("tar"), &["-xzOf", layer, "plugin.wasm"])?;
    ensure!(wasm == std::fs::read(root().join("target/wasm/filter.wasm"))?, "another file");
    // The same wasm gives the same image.
    run(&script, &[])?;
    let again = json(&std::fs::read(root().join(LAYOUT).join("index.json"))?)?;
    ensure!(again == index, "{again} {index}");
    Ok(())
}

#[test]
fn the_filter_takes_the_json_of_every_shipped_file() -> Result<()> {
    let mut found = 0;
    for name in ["edge.yaml", "edge-routed.yaml", "filter.ecds.yaml", "istio/envoyfilter.yaml"] {
        let text = std::fs::read_to_string(root().join("envoy").join(name))?;
        for block in text.split("value: |\n").skip(1) {
            let end = block.find("vm_config:").with_context(|| name.to_owned())?;
            let json = block.get(..end).unwrap_or_default();
            let settings = Settings::parse(json.as_bytes());
            ensure!(settings.is_ok(), "{name}: {settings:?}");
            found += 1;
        }
        for line in ["allow_on_headers_stop_iteration: true", "failure_policy: FAIL_RELOAD"] {
            ensure!(text.contains(line), "{name} lacks `{line}`");
        }
    }
    ensure!(found == 4, "{found} blocks");
    Ok(())
}
