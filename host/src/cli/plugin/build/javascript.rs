//! JavaScript on QuickJS. The interpreter is in the component; WASI is stubbed out, and so is the
//! component model's async, which makes calls slower and which no export of the contract needs.

use super::workshop::Workshop;
use super::{borrow, contract};
use crate::plugin::Interface;
use crate::plugin::manifest::{Export, Manifest};

/// Where the plugin is.
pub const SOURCE: &str = "src/plugin.js";
/// The package that makes components, and its version.
const PACKAGE: (&str, &str) = ("componentize-qjs", "0.4.5");

/// The component.
///
/// # Errors
/// In words.
pub async fn build(shop: &mut Workshop<'_>, manifest: &Manifest) -> Result<Vec<u8>, String> {
    if !shop.folder().join(SOURCE).is_file() {
        return Err(format!("there is no {SOURCE}"));
    }
    let (package, version) = PACKAGE;
    let mut fetch = shop.command("npm");
    fetch.args(["install", "--no-save", "--no-audit", "--no-fund", "--no-package-lock"]);
    fetch.arg("--prefix").arg(shop.tools()).arg(format!("{package}@{version}"));
    let missing = "install Node.js 18 or later, with npm";
    shop.once(&format!("{package}-{version}"), &mut fetch, missing).await?;
    let contract = contract::write(shop, manifest)?;
    let output = shop.target("componentized.wasm");
    shop.say(&format!("making a component of {SOURCE} with {package} {version}"));
    let mut make = shop.command("node");
    make.arg(shop.tools().join("node_modules").join(package).join("bin").join(package));
    make.args(["--js", SOURCE, "--world", contract::WORLD, "--stub-wasi", "--sync"]);
    make.arg("--wit").arg(&contract).arg("--output").arg(&output);
    shop.run(&mut make, missing).await?;
    let is_exported = |kind: &Interface| manifest.exports.contains(&Export::Called(*kind));
    let interfaces: Vec<_> =
        Interface::ALL.into_iter().filter(is_exported).map(Interface::as_str).collect();
    borrow::give_back(&shop.made(&output)?, &interfaces)
}
