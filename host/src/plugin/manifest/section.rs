//! The custom section of a WebAssembly file that carries the manifest: found, and put in, without
//! looking at anything but the headers of sections.

use super::{Error, MANIFEST_BYTES_MAX, SECTION};
use wasmparser::BinaryReader;

/// Magic and version.
const PREAMBLE_BYTES: usize = 8;
/// Id of a custom section, in modules and in components.
const CUSTOM: u8 = 0;

/// One section at the top of a file: where it stands with its header, and what is in it when it is
/// ours.
struct Section<'a> {
    start: usize,
    end: usize,
    ours: Option<&'a [u8]>,
}

/// What our section holds, or `None` when there is none.
///
/// # Errors
/// When the file is no WebAssembly, or has two such sections, or one over [`MANIFEST_BYTES_MAX`].
pub fn find(wasm: &[u8]) -> Result<Option<&[u8]>, Error> {
    let mut found = None;
    for section in sections(wasm)? {
        let Some(bytes) = section.ours else {
            continue;
        };
        if found.replace(bytes).is_some() {
            return Err(Error::Twice);
        }
        if bytes.len() > MANIFEST_BYTES_MAX {
            return Err(Error::TooLarge { bytes: bytes.len() });
        }
    }
    Ok(found)
}

/// The file with `bytes` in our section, and in no other of that name.
///
/// # Errors
/// When the file is no WebAssembly, or `bytes` are over [`MANIFEST_BYTES_MAX`].
pub fn put(wasm: &[u8], bytes: &[u8]) -> Result<Vec<u8>, Error> {
    if bytes.len() > MANIFEST_BYTES_MAX {
        return Err(Error::TooLarge { bytes: bytes.len() });
    }
    let mut out = Vec::with_capacity(wasm.len() + bytes.len() + SECTION.len() + 16);
    out.extend_from_slice(wasm.get(..PREAMBLE_BYTES).unwrap_or_default());
    for section in sections(wasm)? {
        if section.ours.is_none() {
            out.extend_from_slice(wasm.get(section.start..section.end).unwrap_or_default());
        }
    }
    let mut content = Vec::with_capacity(bytes.len() + SECTION.len() + 5);
    leb128(&mut content, SECTION.len());
    content.extend_from_slice(SECTION.as_bytes());
    content.extend_from_slice(bytes);
    out.push(CUSTOM);
    leb128(&mut out, content.len());
    out.extend_from_slice(&content);
    Ok(out)
}

fn sections(wasm: &[u8]) -> Result<Vec<Section<'_>>, Error> {
    if !wasm.starts_with(b"\0asm") || wasm.len() < PREAMBLE_BYTES {
        return Err(Error::NotWasm);
    }
    let mut reader = BinaryReader::new(&wasm[PREAMBLE_BYTES..], 0);
    let mut sections = Vec::new();
    while !reader.eof() {
        let start = PREAMBLE_BYTES + reader.current_position();
        let section = (|| {
            let id = reader.read_u8()?;
            let size = reader.read_var_u32()?;
            let content = reader.read_bytes(size as usize)?;
            Ok((id, content))
        })();
        let (id, content) = section.map_err(Error::Cut)?;
        let end = PREAMBLE_BYTES + reader.current_position();
        sections.push(Section {
            start,
            end,
            ours: (id == CUSTOM).then(|| ours(content)).flatten(),
        });
    }
    Ok(sections)
}

/// What follows the name in a custom section of ours.
fn ours(content: &[u8]) -> Option<&[u8]> {
    let mut reader = BinaryReader::new(content, 0);
    let name = reader.read_string().ok()?;
    (name == SECTION).then(|| content.get(reader.current_position()..)).flatten()
}

fn leb128(out: &mut Vec<u8>, mut value: usize) {
    loop {
        let low = u8::try_from(value & 0x7f).unwrap_or_default();
        value >>= 7;
        if value == 0 {
            return out.push(low);
        }
        out.push(low | 0x80);
    }
}
