//! Python. CPython is in the component, and so are the modules the plugin imported while it was
//! built; WASI is stubbed out.

use super::contract;
use super::workshop::Workshop;
use crate::plugin::manifest::Manifest;

/// Where the plugin is.
pub const SOURCE: &str = "app.py";
/// The package that makes components, and its version.
const PACKAGE: (&str, &str) = ("componentize-py", "0.25.1");

/// The component.
///
/// # Errors
/// In words.
pub async fn build(shop: &mut Workshop<'_>, manifest: &Manifest) -> Result<Vec<u8>, String> {
    if !shop.folder().join(SOURCE).is_file() {
        return Err(format!("there is no {SOURCE}"));
    }
    let (package, version) = PACKAGE;
    let programs = shop.python(package, version).await?;
    let contract = contract::write(shop, manifest)?;
    let output = shop.target("componentized.wasm");
    shop.say(&format!("making a component of {SOURCE} with {package} {version}"));
    let mut make = shop.command(programs.join(package));
    make.arg("--wit-path").arg(&contract).args(["--world", contract::WORLD, "componentize"]);
    make.args(["--stub-wasi", "app", "--output"]).arg(&output);
    shop.run(&mut make, "remove the folder of tools, and build again").await?;
    shop.made(&output)
}
