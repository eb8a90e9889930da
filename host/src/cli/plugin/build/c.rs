//! C, with zig's clang: every `.c` under `src`, and the bindings that `plugin new` wrote.

use super::workshop::Workshop;
use crate::plugin::manifest::{FILE, Manifest};
use std::path::{Path, PathBuf};

/// The package with the compiler, and its version.
const PACKAGE: (&str, &str) = ("ziglang", "0.17.1");
/// Bytes of the stack. The compiler's own default begins with 16 MiB of memory for every event.
const STACK_BYTES: usize = 128 * 1024;
/// Source files of one plugin.
const FILES_MAX: usize = 256;

/// The core module, with the description of its world.
///
/// # Errors
/// In words.
pub async fn build(shop: &mut Workshop<'_>, manifest: &Manifest) -> Result<Vec<u8>, String> {
    let types = Path::new("bindings/plugin_component_type.o");
    if !shop.folder().join(types).is_file() {
        return Err(format!(
            "there is no {}: `plugin new --language c` writes the bindings of each kind",
            types.display()
        ));
    }
    let mut sources = sources(shop.folder(), "src")?;
    sources.extend(self::sources(shop.folder(), "bindings")?);
    let (package, version) = PACKAGE;
    let programs = shop.python(package, version).await?;
    let output = shop.target(&format!("{}.core.wasm", manifest.name));
    shop.say(&format!("compiling {} files of C with {package} {version}", sources.len()));
    let mut compile = shop.command(programs.join("python"));
    compile.args(["-m", package, "cc", "-target", "wasm32-wasi", "-mexec-model=reactor", "-Os"]);
    compile.args(["-Wall", "-Wextra", "-Wl,--strip-debug", "-I", "bindings"]);
    compile.arg(format!("-Wl,-z,stack-size={STACK_BYTES}")).arg("-o").arg(&output);
    compile.args(sources).arg(types);
    compile.env("ZIG_GLOBAL_CACHE_DIR", shop.tools().join("zig"));
    compile.env("ZIG_LOCAL_CACHE_DIR", shop.target("zig"));
    shop.run(&mut compile, "remove the folder of tools, and build again").await?;
    let module = shop.made(&output)?;
    if module.windows(22).any(|window| window == b"wasi_snapshot_preview1") {
        return Err(format!(
            "the code uses files, clocks or standard output, which a plugin in C has not: leave out \
             printf, time and the like, and use the log of {FILE}'s contract (src/text.h)"
        ));
    }
    Ok(module)
}

/// The `.c` files of one folder, in the order of their names.
fn sources(folder: &Path, name: &str) -> Result<Vec<PathBuf>, String> {
    let entries =
        std::fs::read_dir(folder.join(name)).map_err(|error| format!("{name}: {error}"))?;
    let mut files: Vec<_> = entries
        .filter_map(|entry| Some(Path::new(name).join(entry.ok()?.file_name())))
        .filter(|path| path.extension().is_some_and(|extension| extension == "c"))
        .collect();
    files.sort();
    if files.is_empty() || files.len() > FILES_MAX {
        return Err(format!("{name}: {} files of C, expected 1 to {FILES_MAX}", files.len()));
    }
    Ok(files)
}
