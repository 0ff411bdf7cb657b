//! WebAssembly modules byte by byte: what an encoder library would refuse to write can be written with it.

/// Section numbers of the binary format.
pub mod section {
    pub const CUSTOM: u8 = 0;
    pub const TYPE: u8 = 1;
    pub const IMPORT: u8 = 2;
    pub const FUNCTION: u8 = 3;
    pub const TABLE: u8 = 4;
    pub const MEMORY: u8 = 5;
    pub const GLOBAL: u8 = 6;
    pub const EXPORT: u8 = 7;
    pub const START: u8 = 8;
    pub const ELEMENT: u8 = 9;
    pub const CODE: u8 = 10;
    pub const DATA: u8 = 11;
}

pub const I32: u8 = 0x7f;
pub const I64: u8 = 0x7e;
pub const F64: u8 = 0x7c;

/// An unsigned LEB128 number.
pub fn leb(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

/// A signed LEB128 number.
pub fn sleb(mut value: i64) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = (value & 0x7f) as u8;
        value >>= 7;
        if (value == 0 && low & 0x40 == 0) || (value == -1 && low & 0x40 != 0) {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

/// Bytes with their length in front.
pub fn sized(bytes: &[u8]) -> Vec<u8> {
    let mut out = leb(bytes.len() as u64);
    out.extend_from_slice(bytes);
    out
}

/// A list: the number of items, then the items.
pub fn list<T: AsRef<[u8]>>(items: impl IntoIterator<Item = T>) -> Vec<u8> {
    let (mut count, mut bytes) = (0, Vec::new());
    for item in items {
        count += 1;
        bytes.extend_from_slice(item.as_ref());
    }
    let mut out = leb(count);
    out.append(&mut bytes);
    out
}

/// A function type.
pub fn function_type(params: &[u8], results: &[u8]) -> Vec<u8> {
    [vec![0x60], sized(params), sized(results)].concat()
}

/// A function body; `locals` are runs of a count and a type, `code` lacks the final `end`.
pub fn body(locals: &[(u32, u8)], code: &[u8]) -> Vec<u8> {
    let locals = list(locals.iter().map(|&(count, ty)| [leb(count.into()), vec![ty]].concat()));
    sized(&[&locals, code, &[0x0b]].concat())
}

/// A module: sections by number and content.
#[derive(Default)]
pub struct Module {
    sections: Vec<(u8, Vec<u8>)>,
}

impl Module {
    pub fn new() -> Module {
        Module::default()
    }

    pub fn section(mut self, number: u8, content: Vec<u8>) -> Module {
        self.sections.push((number, content));
        self
    }

    pub fn custom(self, name: &str, content: &[u8]) -> Module {
        let content = [&sized(name.as_bytes()), content].concat();
        self.section(section::CUSTOM, content)
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut out = b"\0asm\x01\0\0\0".to_vec();
        for (number, content) in &self.sections {
            out.push(*number);
            out.extend_from_slice(&sized(content));
        }
        out
    }
}

/// A module of one exported function `f` of the given type, with a memory of one page.
pub fn one_function(params: &[u8], results: &[u8], locals: &[(u32, u8)], code: &[u8]) -> Vec<u8> {
    Module::new()
        .section(section::TYPE, list([function_type(params, results)]))
        .section(section::FUNCTION, list([leb(0)]))
        .section(section::MEMORY, list([vec![0, 1]]))
        .section(section::EXPORT, list([[sized(b"f"), vec![0, 0]].concat()]))
        .section(section::CODE, list([body(locals, code)]))
        .bytes()
}
