//! Gives the borrowed event back before a call returns.
//!
//! The tool for JavaScript does it in the call's clean-up, which the engine runs after it has looked
//! whether a borrow is left, so that every call would trap; and a script cannot do it earlier, since
//! the tool refuses to dispose of what is borrowed. So the module between the component model and
//! the interpreter gets a function around each export that takes an event: it drops the event once
//! the result is there. The clean-up finds a function that does nothing in the drop's place in the
//! table. A plugin never owns an event, so that nothing else was dropped through that place.

use wasmparser::{
    BinaryReader, BinaryReaderError, ConstExpr, Export, ExportSectionReader, ExternalKind,
    FuncType, FunctionSectionReader, ImportSectionReader, TypeRef, TypeSectionReader,
};

/// The contract's package.
const CONTRACT: &str = "livekit-webhook:plugin/";
/// How a component begins. A module's beginning is as long.
const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";
/// Sections of a component.
const MODULE: u8 = 1;
const NESTED: u8 = 4;
/// Sections of a module.
const TYPES: u8 = 1;
const IMPORTS: u8 = 2;
const FUNCTIONS: u8 = 3;
const EXPORTS: u8 = 7;
const ELEMENTS: u8 = 9;
const CODE: u8 = 10;
/// What the module imports to give an event back.
const DROP: &str = "[resource-drop]event";
/// The end of a function's body.
const END: u8 = 0x0b;
const CALL: u8 = 0x10;
const LOCAL_GET: u8 = 0x20;

/// The component, with exports of these interfaces giving their event back.
///
/// # Errors
/// In words, when the component is not as the tool makes it.
pub fn give_back(component: &[u8], interfaces: &[&str]) -> Result<Vec<u8>, String> {
    let mut done = 0;
    let result = inner(component, interfaces, &mut done);
    let wasm = result.map_err(|error| format!("the tools left no component: {error}"))?;
    if done != interfaces.len() {
        return Err(format!(
            "the tools left {done} of {} exports that take an event in a way that is known; remove \
             the folder of tools, and build again",
            interfaces.len()
        ));
    }
    Ok(wasm)
}

fn inner(
    component: &[u8],
    interfaces: &[&str],
    done: &mut usize,
) -> Result<Vec<u8>, BinaryReaderError> {
    let mut written = COMPONENT.to_vec();
    for (id, content) in sections(component)? {
        let changed = match id {
            NESTED => Some(inner(content, interfaces, done)?),
            MODULE => module(content, interfaces, done)?,
            _ => None,
        };
        section(&mut written, id, changed.as_deref().unwrap_or(content));
    }
    Ok(written)
}

/// None when the module gives no event back, or not in the way that is known.
fn module(
    module: &[u8],
    interfaces: &[&str],
    done: &mut usize,
) -> Result<Option<Vec<u8>>, BinaryReaderError> {
    let sections = sections(module)?;
    let Some(plan) = Plan::read(&sections, interfaces)? else {
        return Ok(None);
    };
    let mut written = module.get(..COMPONENT.len()).unwrap_or_default().to_vec();
    for (id, content) in sections {
        let changed = match id {
            FUNCTIONS => Some(appended(content, &plan.types())?),
            EXPORTS => Some(plan.exports(content)?),
            ELEMENTS => match plan.elements(content)? {
                None => return Ok(None),
                changed => changed,
            },
            CODE => Some(appended(content, &plan.bodies())?),
            _ => None,
        };
        section(&mut written, id, changed.as_deref().unwrap_or(content));
    }
    *done += plan.wrapped.len();
    Ok(Some(written))
}

/// What changes in a module.
struct Plan {
    /// The imported drop: its index and its type's.
    drop: (u32, u32),
    /// Index of the first new function, that does nothing; those around exports follow it.
    first: u32,
    wrapped: Vec<Wrapped>,
}

/// An exported function that takes an event first.
struct Wrapped {
    function: u32,
    of_type: u32,
    parameters: u32,
}

// === impl Plan ===

impl Plan {
    fn read(
        sections: &[(u8, &[u8])],
        interfaces: &[&str],
    ) -> Result<Option<Self>, BinaryReaderError> {
        let (mut signatures, mut functions) = (Vec::<FuncType>::new(), Vec::<u32>::new());
        let (mut drop, mut exported) = (None, Vec::new());
        for &(id, content) in sections {
            let reader = BinaryReader::new(content, 0);
            match id {
                TYPES => {
                    let types = TypeSectionReader::new(reader)?.into_iter_err_on_gc_types();
                    signatures = types.collect::<Result<_, _>>()?;
                }
                IMPORTS => {
                    for import in ImportSectionReader::new(reader)?.into_imports() {
                        let import = import?;
                        let TypeRef::Func(of_type) = import.ty else {
                            continue;
                        };
                        if import.name == DROP && import.module.starts_with(CONTRACT) {
                            drop = Some((index(functions.len()), of_type));
                        }
                        functions.push(of_type);
                    }
                }
                FUNCTIONS => {
                    for of_type in FunctionSectionReader::new(reader)? {
                        functions.push(of_type?);
                    }
                }
                EXPORTS => {
                    for export in ExportSectionReader::new(reader)? {
                        exported.extend(takes_event(&export?, interfaces));
                    }
                }
                _ => {}
            }
        }
        let Some(drop) = drop else {
            return Ok(None);
        };
        let wrap = |function: u32| {
            let of_type = *functions.get(usize::try_from(function).ok()?)?;
            let signature = signatures.get(usize::try_from(of_type).ok()?)?;
            Some(Wrapped { function, of_type, parameters: index(signature.params().len()) })
        };
        let wrapped = exported.into_iter().filter_map(wrap).collect();
        Ok(Some(Self { drop, first: index(functions.len()), wrapped }))
    }

    /// Types of the new functions.
    fn types(&self) -> Vec<Vec<u8>> {
        let around = self.wrapped.iter().map(|wrapped| wrapped.of_type);
        std::iter::once(self.drop.1).chain(around).map(number).collect()
    }

    /// Bodies of the new functions. Each begins with its number of locals, none.
    fn bodies(&self) -> Vec<Vec<u8>> {
        let around = self.wrapped.iter().map(|wrapped| {
            let mut body = vec![0];
            for parameter in 0..wrapped.parameters {
                instruction(&mut body, LOCAL_GET, parameter);
            }
            instruction(&mut body, CALL, wrapped.function);
            // The result stays on the stack beneath.
            instruction(&mut body, LOCAL_GET, 0);
            instruction(&mut body, CALL, self.drop.0);
            body.push(END);
            body
        });
        std::iter::once(vec![0, END]).chain(around).map(|body| sized(&body)).collect()
    }

    fn exports(&self, content: &[u8]) -> Result<Vec<u8>, BinaryReaderError> {
        let mut reader = BinaryReader::new(content, 0);
        let count = reader.read_var_u32()?;
        let mut written = number(count);
        for _ in 0..count {
            written.extend(sized(reader.read_string()?.as_bytes()));
            let kind = reader.read_u8()?;
            let old = reader.read_var_u32()?;
            let around = self.wrapped.iter().position(|wrapped| wrapped.function == old);
            written.push(kind);
            written.extend(number(match around {
                Some(at) if kind == 0 => self.first + 1 + index(at),
                _ => old,
            }));
        }
        Ok(written)
    }

    /// None when a segment is of a kind that the tool does not make, or none has the drop.
    fn elements(&self, content: &[u8]) -> Result<Option<Vec<u8>>, BinaryReaderError> {
        let mut reader = BinaryReader::new(content, 0);
        let count = reader.read_var_u32()?;
        let (mut written, mut replaced) = (number(count), false);
        for _ in 0..count {
            let start = reader.current_position();
            // 0: of the first table; 2: of the table whose index follows.
            let flags = reader.read_var_u32()?;
            match flags {
                0 => {}
                2 => _ = reader.read_var_u32()?,
                _ => return Ok(None),
            }
            reader.read::<ConstExpr<'_>>()?;
            if flags == 2 {
                reader.read_u8()?;
            }
            written.extend(content.get(start..reader.current_position()).unwrap_or_default());
            let functions = reader.read_var_u32()?;
            written.extend(number(functions));
            for _ in 0..functions {
                let function = reader.read_var_u32()?;
                let is_drop = function == self.drop.0;
                replaced |= is_drop;
                written.extend(number(if is_drop { self.first } else { function }));
            }
        }
        Ok(replaced.then_some(written))
    }
}

/// The index of a function that takes an event first.
fn takes_event(export: &Export<'_>, interfaces: &[&str]) -> Option<u32> {
    let (interface, _) = export.name.strip_prefix(CONTRACT)?.split_once('@')?;
    let called = interfaces.contains(&interface) && export.name.contains('#');
    (called && export.kind == ExternalKind::Func).then_some(export.index)
}

/// Number and content of each section.
fn sections(wasm: &[u8]) -> Result<Vec<(u8, &[u8])>, BinaryReaderError> {
    let mut reader = BinaryReader::new(wasm, 0);
    reader.read_bytes(COMPONENT.len())?;
    let mut found = Vec::new();
    while !reader.eof() {
        let id = reader.read_u8()?;
        let size = usize::try_from(reader.read_var_u32()?).unwrap_or(usize::MAX);
        found.push((id, reader.read_bytes(size)?));
    }
    Ok(found)
}

fn section(written: &mut Vec<u8>, id: u8, content: &[u8]) {
    written.push(id);
    written.extend(sized(content));
}

/// A list with more items at its end.
fn appended(content: &[u8], items: &[Vec<u8>]) -> Result<Vec<u8>, BinaryReaderError> {
    let mut reader = BinaryReader::new(content, 0);
    let count = reader.read_var_u32()?;
    let mut written = number(count.saturating_add(index(items.len())));
    written.extend(reader.read_bytes(reader.bytes_remaining())?);
    written.extend(items.concat());
    Ok(written)
}

fn instruction(body: &mut Vec<u8>, code: u8, argument: u32) {
    body.push(code);
    body.extend(number(argument));
}

/// Bytes after their number.
fn sized(bytes: &[u8]) -> Vec<u8> {
    [&number(index(bytes.len())), bytes].concat()
}

/// Files are far below 4 GiB.
fn index(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

/// LEB128.
fn number(mut value: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    bytes.push(value.to_le_bytes()[0]);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXPORT: &str = "livekit-webhook:plugin/action@0.1.1#run";

    fn import(module: &str, name: &str, what: &[u8]) -> Vec<u8> {
        [sized(module.as_bytes()), sized(name.as_bytes()), what.to_vec()].concat()
    }

    /// A module as the tool's, with one export of three parameters, and segments with these flags.
    fn sample(export: &str, flags: u8) -> Vec<u8> {
        let types: &[u8] = &[2, 0x60, 1, 0x7f, 0, 0x60, 3, 0x7f, 0x7f, 0x7f, 1, 0x7f];
        let drop = import("livekit-webhook:plugin/types@0.1.1", DROP, &[0, 0]);
        let table = import("env", "table", &[1, 0x70, 0, 1]);
        let exports = [&[1], sized(export.as_bytes()).as_slice(), &[0, 1]].concat();
        let segment: &[u8] = match flags {
            0 => &[1, 0, 0x41, 0, END, 1, 0],
            2 => &[1, 2, 0, 0x41, 0, END, 0, 1, 0],
            _ => &[1, 1, 0, 1, 0],
        };
        let body = sized(&[0, LOCAL_GET, 2, END]);
        let mut module = b"\0asm\x01\0\0\0".to_vec();
        section(&mut module, TYPES, types);
        section(&mut module, IMPORTS, &[&[2], drop.as_slice(), &table].concat());
        section(&mut module, FUNCTIONS, &[1, 1]);
        section(&mut module, EXPORTS, &exports);
        section(&mut module, ELEMENTS, segment);
        section(&mut module, CODE, &[&[1], body.as_slice()].concat());
        let mut inside = COMPONENT.to_vec();
        section(&mut inside, MODULE, &module);
        let mut component = COMPONENT.to_vec();
        section(&mut component, NESTED, &inside);
        component
    }

    fn valid(wasm: &[u8]) {
        wasmparser::Validator::new().validate_all(wasm).unwrap();
    }

    fn holds(wasm: &[u8], part: &[u8]) -> bool {
        wasm.windows(part.len()).any(|window| window == part)
    }

    #[test]
    fn an_event_is_dropped_when_the_result_is_there() {
        for flags in [0, 2] {
            let before = sample(EXPORT, flags);
            valid(&before);
            let after = give_back(&before, &["action"]).unwrap();
            valid(&after);
            // Function 0 is the drop, 1 the tool's, 2 does nothing, 3 is around the tool's.
            let around = [LOCAL_GET, 0, LOCAL_GET, 1, LOCAL_GET, 2, CALL, 1, LOCAL_GET, 0, CALL, 0];
            assert!(holds(&after, &around), "{after:x?}");
            assert!(holds(&after, &[EXPORT.as_bytes(), &[0, 3]].concat()), "{after:x?}");
            let segment: &[u8] = if flags == 0 { &[END, 1, 2] } else { &[END, 0, 1, 2] };
            assert!(holds(&after, segment), "{after:x?}");
        }
    }

    #[test]
    fn what_the_tool_does_not_make_is_refused() {
        let configured = "livekit-webhook:plugin/lifecycle@0.1.1#configure";
        for (wasm, interfaces) in [
            (sample(EXPORT, 1), ["action"]),
            (sample(EXPORT, 2), ["filter"]),
            (sample(configured, 2), ["action"]),
            (COMPONENT.to_vec(), ["action"]),
        ] {
            let said = give_back(&wasm, &interfaces).unwrap_err();
            assert!(said.contains("0 of 1"), "{said}");
        }
        let wasm = sample(EXPORT, 2);
        for end in [0, 4, 12, wasm.len() / 2, wasm.len() - 1] {
            assert!(give_back(&wasm[..end], &["action"]).is_err(), "{end}");
        }
    }

    #[test]
    fn large_numbers_are_written_as_they_are_read() {
        for value in [0, 127, 128, 300, 16_384, u32::MAX] {
            let bytes = number(value);
            assert_eq!(BinaryReader::new(&bytes, 0).read_var_u32().unwrap(), value);
        }
    }
}
