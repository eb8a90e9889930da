//! Components written by hand, for what no tool chain would emit: a core module of a few bytes in
//! the world of `redact`, made a component by the same encoder as `plugin pack`.

use super::*;
use wit_component::{
    ComponentEncoder, DecodedWasm, StringEncoding, decode, embed_component_metadata,
};

/// A core module that has the exports of a transform and, besides, whatever is asked for.
#[derive(Clone, Debug)]
pub struct Hand {
    /// Pages each memory begins with. The first is the one the host uses.
    pub memories: Vec<u32>,
    /// Tables of functions, of one element each.
    pub tables: u32,
    /// What runs when it is instantiated.
    pub start: Option<Vec<u8>>,
    /// What runs when it is called; it must leave a number.
    pub body: Vec<u8>,
}

/// `loop br 0 end`
pub const FOR_EVER: [u8; 5] = [0x03, 0x40, 0x0c, 0x00, 0x0b];
/// `unreachable`
pub const UNREACHABLE: [u8; 1] = [0x00];

/// Grows the first table by 1000 until that is refused, and then breaks: `loop (ref.null func)
/// (i32.const 1000) (table.grow 0) (i32.const -1) (i32.ne) (br_if 0) end unreachable`
pub const TABLE_UNTIL_REFUSED: [u8; 17] = [
    0x03, 0x40, 0xd0, 0x70, 0x41, 0xe8, 0x07, 0xfc, 0x0f, 0x00, 0x41, 0x7f, 0x47, 0x0d, 0x00, 0x0b,
    0x00,
];

impl Default for Hand {
    fn default() -> Self {
        Self { memories: vec![1], tables: 0, start: None, body: UNREACHABLE.to_vec() }
    }
}

impl Hand {
    /// The component.
    pub fn component(&self) -> Bytes {
        let Ok(DecodedWasm::Component(resolve, world)) = decode(&super::component("redact")) else {
            panic!("redact is a component");
        };
        let mut module = self.module();
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false)
            .unwrap();
        let mut encoder = ComponentEncoder::default();
        Bytes::from(encoder.module(&module).unwrap().encode().unwrap())
    }

    fn module(&self) -> Vec<u8> {
        const I32: u8 = 0x7f;
        // 0: () -> (), 1: (i32) -> i32, 2: (i32, i32) -> i32, 3: (i32, i32, i32, i32) -> i32.
        let types: [(usize, &[u8]); 4] = [(0, &[]), (1, &[I32]), (2, &[I32]), (4, &[I32])];
        let types = types.map(|(params, results)| {
            let mut ty = vec![0x60, u8::try_from(params).unwrap()];
            ty.extend(std::iter::repeat_n(I32, params));
            ty.push(u8::try_from(results.len()).unwrap());
            ty.extend(results);
            ty
        });
        let mut module = b"\0asm\x01\0\0\0".to_vec();
        section(&mut module, 1, &types);
        // transform, configure, cabi_realloc, start.
        section(&mut module, 3, &[1, 2, 3, 0].map(|ty: u8| vec![ty]));
        let tables: Vec<_> = (0..self.tables).map(|_| vec![0x70, 0, 1]).collect();
        section(&mut module, 4, &tables);
        let memory = |pages: &u32| [vec![0], leb(*pages)].concat();
        section(&mut module, 5, &self.memories.iter().map(memory).collect::<Vec<_>>());
        let contract = crate::plugin::convert::VERSION;
        let export = |name: &str, kind: u8, index: u8| {
            [leb(u32::try_from(name.len()).unwrap()), name.as_bytes().to_vec(), vec![kind, index]]
                .concat()
        };
        let transform = format!("livekit-webhook:plugin/transform@{contract}#transform");
        let configure = format!("livekit-webhook:plugin/lifecycle@{contract}#configure");
        let exports = [
            export(&transform, 0, 0),
            export(&configure, 0, 1),
            export("cabi_realloc", 0, 2),
            export("memory", 2, 0),
        ];
        section(&mut module, 7, &exports);
        if self.start.is_some() {
            module.extend([8, 1, 3]);
        }
        // `configure` answers with a result at address 0: no error.
        let bodies = [
            self.body.clone(),
            [0x41, 0x00].to_vec(),
            // A block for an argument, in the middle of the first page.
            [0x41, 0x80, 0x80, 0x02].to_vec(),
            self.start.clone().unwrap_or_default(),
        ];
        let bodies = bodies.map(|code| {
            let code = [vec![0], code, vec![0x0b]].concat();
            [leb(u32::try_from(code.len()).unwrap()), code].concat()
        });
        section(&mut module, 10, &bodies);
        module
    }
}

fn section(module: &mut Vec<u8>, id: u8, items: &[Vec<u8>]) {
    if items.is_empty() {
        return;
    }
    let body = [leb(u32::try_from(items.len()).unwrap()), items.concat()].concat();
    module.push(id);
    module.extend(leb(u32::try_from(body.len()).unwrap()));
    module.extend(body);
}

/// An unsigned number as WebAssembly writes it.
fn leb(mut number: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = u8::try_from(number & 0x7f).unwrap();
        number >>= 7;
        if number == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}
