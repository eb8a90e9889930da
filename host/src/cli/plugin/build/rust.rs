//! Rust, for wasm32-unknown-unknown: with rustup's std for that target, else with Debian's compiler,
//! which comes with the source of its own.

use super::workshop::Workshop;
use serde_json::Value;
use std::path::{Path, PathBuf};
use tokio::process::Command;

/// What plugins in Rust are compiled for.
const TARGET: &str = "wasm32-unknown-unknown";
/// Debian's compiler, of the package rustc-web.
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
/// The source of its std, of the package rust-web-src.
const DEBIAN_STD: &str = "/usr/lib/rustlib/src/rust/library/std/Cargo.toml";
const NO_RUST: &str = "install Rust, with cargo on PATH";

/// The core module, with the description of its world.
///
/// # Errors
/// In words.
pub async fn build(shop: &mut Workshop<'_>) -> Result<Vec<u8>, String> {
    if !shop.folder().join("Cargo.toml").is_file() {
        return Err("there is no Cargo.toml".to_owned());
    }
    let mut compile = compiler(shop).await?;
    compile.args(["--message-format", "json-render-diagnostics", "--target-dir"]);
    compile.arg(shop.tools().join("cargo"));
    let messages = shop.run(&mut compile, NO_RUST).await?;
    let module = messages.lines().rev().find_map(module).ok_or_else(|| {
        "cargo made no .wasm: Cargo.toml needs [lib] with crate-type = [\"cdylib\", \"rlib\"]"
            .to_owned()
    })?;
    shop.made(&module)
}

/// `cargo build`, with the compiler that has the target.
async fn compiler(shop: &mut Workshop<'_>) -> Result<Command, String> {
    let mut ask = shop.command("rustc");
    let sysroot = shop.run(ask.args(["--print", "sysroot"]), NO_RUST).await?;
    let sysroot = Path::new(sysroot.trim());
    let mut cargo = shop.command("cargo");
    cargo.args(["build", "--release", "--target", TARGET]);
    if sysroot.join("lib/rustlib").join(TARGET).join("lib").is_dir() {
        shop.say(&format!("compiling with cargo for {TARGET}"));
        return Ok(cargo);
    }
    let linker = linker(shop, sysroot).await?;
    match linker.filter(|_| Path::new(DEBIAN_RUSTC).is_file() && Path::new(DEBIAN_STD).is_file()) {
        Some(linker) => {
            shop.say(&format!("compiling with Debian's rustc for {TARGET}, and its std"));
            cargo.arg("-Zbuild-std=std,panic_abort");
            // Debian's compiler is no nightly, and builds its own std only when it is told so.
            cargo.env("RUSTC", DEBIAN_RUSTC).env("RUSTC_BOOTSTRAP", "1");
            cargo.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
            Ok(cargo)
        }
        None => Err(format!(
            "the compiler has no std for {TARGET}: run `rustup target add {TARGET}`, or on Debian \
             `apt-get install rustc-web rust-web-src`"
        )),
    }
}

/// The linker of the tool chain that is there anyway.
async fn linker(shop: &mut Workshop<'_>, sysroot: &Path) -> Result<Option<PathBuf>, String> {
    let mut ask = shop.command("rustc");
    let version = shop.run(ask.arg("-vV"), NO_RUST).await?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    let linker = host.map(|host| sysroot.join("lib/rustlib").join(host).join("bin/rust-lld"));
    Ok(linker.filter(|linker| linker.is_file()))
}

/// The module in one line of cargo's messages.
fn module(line: &str) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(line).ok()?;
    let files = message.get("filenames")?.as_array()?.iter().filter_map(Value::as_str);
    files.map(PathBuf::from).find(|file| file.extension().is_some_and(|ext| ext == "wasm"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_module_is_found_among_cargos_messages() {
        let line = r#"{"reason":"compiler-artifact","filenames":["/t/a.d","/t/a.wasm"]}"#;
        assert_eq!(module(line), Some(PathBuf::from("/t/a.wasm")));
        assert_eq!(module(r#"{"reason":"build-finished","success":true}"#), None);
        assert_eq!(module("warning: nothing"), None);
    }
}
