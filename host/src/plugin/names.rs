//! What a file says of its imports and exports: read section by section, nothing compiled or run.

use wasmparser::{Encoding, Parser, Payload};

/// Names at the top of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Whether it is a component and not a core module.
    pub component: bool,
    /// What it imports.
    pub imports: Vec<String>,
    /// What it exports.
    pub exports: Vec<String>,
}

/// Reads them. What is inside nested modules and components is passed over.
///
/// # Errors
/// When the file is no WebAssembly, or is damaged.
pub fn read(wasm: &[u8]) -> Result<Names, wasmparser::BinaryReaderError> {
    let mut names = Names::default();
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(wasm) {
        match payload? {
            Payload::Version { encoding, .. } if depth == 0 => {
                names.component = encoding == Encoding::Component;
            }
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(imports) if depth == 0 => {
                for import in imports {
                    names.imports.push(import?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(exports) if depth == 0 => {
                for export in exports {
                    names.exports.push(export?.name.name.to_owned());
                }
            }
            _ => {}
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::tests::component;

    #[test]
    fn a_components_names_are_read_without_its_modules() {
        let names = read(&component("redact")).unwrap();
        assert!(names.component);
        let transform = |name: &String| name.starts_with("livekit-webhook:plugin/transform@");
        assert!(names.exports.iter().any(transform), "{names:?}");
        assert!(names.imports.iter().all(|name| name.starts_with("livekit-webhook:plugin/")));
    }

    #[test]
    fn what_is_damaged_is_refused() {
        let wasm = component("redact");
        assert!(read(&wasm[..wasm.len() / 2]).is_err());
        assert!(read(b"hello").is_err());
        let core = read(b"\0asm\x01\0\0\0").unwrap();
        assert!(!core.component && core.exports.is_empty());
    }
}
