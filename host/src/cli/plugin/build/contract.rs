//! The contract as files, for tools that make bindings of it, with a world of the plugin's own.

use super::workshop::Workshop;
use crate::plugin::CONTRACT_VERSION;
use crate::plugin::manifest::{Export, FILE, Manifest};
use std::path::PathBuf;

/// The contract's files.
const FILES: [(&str, &str); 5] = [
    ("types.wit", include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../wit/types.wit"))),
    ("host.wit", include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../wit/host.wit"))),
    ("io.wit", include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../wit/io.wit"))),
    ("interfaces.wit", include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../wit/interfaces.wit"))),
    ("worlds.wit", include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../wit/worlds.wit"))),
];
/// Name of the plugin's own world.
pub const WORLD: &str = "plugin";

/// Writes them under `target/contract`; gives that folder.
///
/// # Errors
/// When the manifest names no exports, or a file cannot be written.
pub fn write(shop: &Workshop<'_>, manifest: &Manifest) -> Result<PathBuf, String> {
    let folder = shop.target("contract");
    let dependency = folder.join("deps/livekit-webhook-plugin");
    let world = world(&manifest.exports)?;
    let written = (|| {
        std::fs::create_dir_all(&dependency)?;
        for (name, text) in FILES {
            std::fs::write(dependency.join(name), text)?;
        }
        std::fs::write(folder.join("world.wit"), world)
    })();
    written.map_err(|error: std::io::Error| format!("{}: {error}", folder.display()))?;
    Ok(folder)
}

fn world(exports: &[Export]) -> Result<String, String> {
    if !exports.iter().any(|export| matches!(export, Export::Called(_))) {
        return Err(format!(
            "{FILE} does not say what the plugin does: add exports = [\"transform\"], or filter, \
             route, enrich, action"
        ));
    }
    let include = |export: &Export| {
        let name = match export {
            Export::Called(interface) => format!("{}-plugin", interface.as_str()),
            Export::Lifecycle => "configured".to_owned(),
        };
        format!("    include livekit-webhook:plugin/{name}@{CONTRACT_VERSION};\n")
    };
    let includes: String = exports.iter().map(include).collect();
    Ok(format!("package local:plugin;\n\nworld {WORLD} {{\n{includes}}}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::Interface;

    #[test]
    fn a_world_has_what_the_manifest_names() {
        let text = world(&[Export::Called(Interface::Route), Export::Lifecycle]).unwrap();
        let at = CONTRACT_VERSION;
        assert!(text.contains(&format!("include livekit-webhook:plugin/route-plugin@{at};")));
        assert!(text.contains(&format!("include livekit-webhook:plugin/configured@{at};")));
        assert!(world(&[Export::Lifecycle]).unwrap_err().contains("add exports"));
    }
}
