//! A core module with the SDK's description of its world, made a component.

use super::build;
use crate::plugin::manifest::Manifest;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use wit_component::ComponentEncoder;

/// Writes the component of `module` to `output`, with `manifest` in it when there is one.
///
/// # Errors
/// When `output` or `out` cannot be written.
pub fn run(
    module: &[u8],
    manifest: Option<Manifest>,
    output: &Path,
    out: &mut dyn Write,
) -> anyhow::Result<ExitCode> {
    let component = pack(module).and_then(|component| match manifest {
        None => Ok(component),
        Some(manifest) => build::finish(manifest, &component).map(|(_, component)| component),
    });
    match component {
        Ok(component) => {
            std::fs::write(output, &component)?;
            writeln!(out, "{}: {} bytes", output.display(), component.len())?;
            Ok(ExitCode::SUCCESS)
        }
        Err(problem) => {
            writeln!(out, "{problem}")?;
            Ok(ExitCode::from(1))
        }
    }
}

/// The component, or what is wrong and what to do.
///
/// # Errors
/// In words.
pub fn pack(module: &[u8]) -> Result<Vec<u8>, String> {
    match module {
        [0, b'a', b's', b'm', 1, 0, 0, 0, ..] => {}
        [0, b'a', b's', b'm', ..] => {
            return Err("this is a component already: use it as it is".to_owned());
        }
        _ => return Err("this is not WebAssembly".to_owned()),
    }
    let encoded = ComponentEncoder::default()
        .validate(true)
        .module(module)
        .and_then(|encoder| encoder.encode());
    let component = encoded.map_err(|error| {
        format!(
            "the module cannot be made a component: {error:#}\n\
             Build it with the livekit-webhook-plugin SDK, as a `cdylib`, for wasm32-unknown-unknown."
        )
    })?;
    // A module without the SDK's section gives a valid component of nothing.
    if !contains(module, b"component-type") {
        return Err("the module has no description of its world.\n\
                    Build it with the livekit-webhook-plugin SDK, and do not strip custom sections \
                    (`strip = \"debuginfo\"` is right, `strip = true` is not)."
            .to_owned());
    }
    Ok(component)
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}
