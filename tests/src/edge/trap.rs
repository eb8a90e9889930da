//! A filter with a fault: the compiled one, in which one function only traps.
//!
//! The filter has no path to a panic that a request could take, so a story about faults has to make
//! one.

use std::ops::Range;

use anyhow::{Context as _, Result, ensure};

const HEADER_BYTES: usize = 8;
const EXPORTS: u8 = 7;
const IMPORTS: u8 = 2;
const CODE: u8 = 10;
/// No locals, `unreachable`, `end`, and before them how many bytes that is.
const TRAP: [u8; 4] = [3, 0, 0x00, 0x0b];

/// `wasm` with the body of the exported function `name` replaced.
///
/// # Errors
/// When this is no module, or it has no such function.
pub fn trapping(wasm: &[u8], name: &str) -> Result<Vec<u8>> {
    let imports = section(wasm, IMPORTS)?.context("no imports")?;
    let imported = imported_functions(wasm.get(imports).context("imports")?)?;
    let exports = section(wasm, EXPORTS)?.context("no exports")?;
    let index = exported(wasm.get(exports).context("exports")?, name)?.context("no such export")?;
    let code = section(wasm, CODE)?.context("no code")?;
    let body = body(wasm, &code, index.checked_sub(imported).context("imported")?)?;

    let mut functions = wasm.get(code.start..body.start).context("code")?.to_vec();
    functions.extend_from_slice(&TRAP);
    functions.extend_from_slice(wasm.get(body.end..code.end).context("code")?);
    // The length of the section stands before it; write it anew with its id.
    let length_at = section_start(wasm, &code)?;
    let mut patched = wasm.get(..length_at).context("head")?.to_vec();
    patched.push(CODE);
    patched.extend(leb(functions.len()));
    patched.extend(functions);
    patched.extend_from_slice(wasm.get(code.end..).context("tail")?);
    Ok(patched)
}

/// Reads the number at `at` (LEB128) and moves behind it.
fn number(bytes: &[u8], at: &mut usize) -> Result<usize> {
    let (mut value, mut shift) = (0, 0);
    loop {
        let byte = *bytes.get(*at).context("a number that does not end")?;
        *at += 1;
        value |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
        shift += 7;
        ensure!(shift < 35, "a number that is too long");
    }
}

fn leb(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = (value & 0x7f) as u8;
        value >>= 7;
        bytes.push(if value == 0 { low } else { low | 0x80 });
        if value == 0 {
            return bytes;
        }
    }
}

/// Where the content of the section with this id is.
fn section(wasm: &[u8], id: u8) -> Result<Option<Range<usize>>> {
    let mut at = HEADER_BYTES;
    while let Some(own) = wasm.get(at) {
        at += 1;
        let length = number(wasm, &mut at)?;
        if *own == id {
            return Ok(Some(at..at + length));
        }
        at += length;
    }
    Ok(None)
}

/// Where the id of the section with this content is.
fn section_start(wasm: &[u8], content: &Range<usize>) -> Result<usize> {
    let mut at = HEADER_BYTES;
    while at < content.start {
        let start = at;
        at += 1;
        let length = number(wasm, &mut at)?;
        if at == content.start {
            return Ok(start);
        }
        at += length;
    }
    anyhow::bail!("no such section")
}

fn imported_functions(section: &[u8]) -> Result<usize> {
    let mut at = 0;
    let (count, mut functions) = (number(section, &mut at)?, 0);
    for _ in 0..count {
        for _ in 0..2 {
            at += number(section, &mut at)?;
        }
        // All imports of the filter are functions.
        ensure!(section.get(at) == Some(&0), "an import that is no function");
        at += 1;
        number(section, &mut at)?;
        functions += 1;
    }
    Ok(functions)
}

fn exported(section: &[u8], name: &str) -> Result<Option<usize>> {
    let mut at = 0;
    for _ in 0..number(section, &mut at)? {
        let length = number(section, &mut at)?;
        let own = section.get(at..at + length).context("a name")?;
        at += length;
        let kind = *section.get(at).context("a kind")?;
        at += 1;
        let index = number(section, &mut at)?;
        if own == name.as_bytes() && kind == 0 {
            return Ok(Some(index));
        }
    }
    Ok(None)
}

/// Where the function, with its length, is.
fn body(wasm: &[u8], code: &Range<usize>, index: usize) -> Result<Range<usize>> {
    let mut at = code.start;
    ensure!(index < number(wasm, &mut at)?, "no such function");
    for _ in 0..index {
        at += number(wasm, &mut at)?;
    }
    let start = at;
    let length = number(wasm, &mut at)?;
    Ok(start..at + length)
}
