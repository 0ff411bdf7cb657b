//! Symbol tables of executables, read by another reader: right names for right addresses, whatever the module calls them.

use object::read::elf::ElfFile64;
use object::{Object, ObjectSection, ObjectSymbol};
use vwasm_tests::support::compiled;

fn symbols(file: &[u8]) -> Vec<(String, u64, u64)> {
    let elf = ElfFile64::<object::Endianness>::parse(file).unwrap();
    let code = elf.section_by_name(".text").unwrap();
    let symbols = elf.symbols().map(|symbol| {
        let name = String::from_utf8(symbol.name_bytes().unwrap().to_vec()).unwrap();
        assert!(symbol.is_local() && symbol.section_index() == Some(code.index()), "{name}");
        (name, symbol.address(), symbol.size())
    });
    symbols.collect()
}

#[test]
fn names() {
    let module = compiled(
        b"(module (import \"wasi_snapshot_preview1\" \"proc_exit\" (func (param i32)))
           (func $start (export \"_start\")) (func (result i32) (i32.const 5)) (func $last (result i32) (i32.const 6)))",
    );
    let file = vwasm::image::executable(&module).unwrap();
    let found = symbols(&file);
    let names: Vec<&str> = found.iter().map(|(name, ..)| name.as_str()).collect();
    assert_eq!(names, ["start", "wasm_function_2", "last", "far_thunk_0", "far_thunk_1", "far_thunk_2"]);
    let elf = ElfFile64::<object::Endianness>::parse(&*file).unwrap();
    let code = elf.section_by_name(".text").unwrap();
    assert_eq!(code.data().unwrap(), module.code);
    for ((_, address, size), frame) in found.iter().zip(module.manifest.frames.chunks(16)) {
        let [start, end] = [0, 4].map(|at| u32::from_le_bytes(frame[at..at + 4].try_into().unwrap()));
        assert_eq!((address - code.address(), *size), (u64::from(start), u64::from(end - start)));
    }
    // The symbols stand behind what the kernel maps, and change nothing of it.
    let stripped = vwasm::image::without_symbols(&module).unwrap();
    assert!(file[64..].starts_with(&stripped[64..]));
    for image in [&file, &stripped] {
        assert_eq!(vwasm::verify::file(image).unwrap().code_length, module.code.len());
    }
    assert!(ElfFile64::<object::Endianness>::parse(&*stripped).unwrap().symbols().next().is_none());
}

#[test]
fn hostile_names() {
    let mut module = compiled(b"(module (func) (func) (func) (func) (func) (func) (func) (func) (func $f))");
    let long = "long".repeat(100_000);
    let names = [
        "",
        "a\0b",
        "\x1b[31mred\n",
        "f@@GLIBC_2.2.5",
        "\u{202e}turned",
        "  ",
        &long,
        "std::vec<int, 1>::at(int) const",
        "f",
    ];
    let (mut records, mut text) = (Vec::new(), Vec::new());
    for (function, name) in names.iter().enumerate() {
        for field in [function, text.len(), name.len()] {
            records.extend_from_slice(&(field as u32).to_le_bytes());
        }
        text.extend_from_slice(name.as_bytes());
    }
    module.manifest.names = [records, text].concat().into();
    module.manifest.name_count = names.len() as u32;
    let found = symbols(&vwasm::image::executable(&module).unwrap());
    for ((name, ..), wanted) in found.iter().zip([
        "wasm_function_0",
        "a_b",
        "_[31mred_",
        "f__GLIBC_2.2.5",
        "_turned",
        "wasm_function_5",
        &long[..1024],
        "std::vec<int, 1>::at(int) const",
        "f",
    ]) {
        assert_eq!(name, wanted);
    }
    // Records that point nowhere name nothing.
    module.manifest.names.to_mut().truncate(40);
    let found = symbols(&vwasm::image::executable(&module).unwrap());
    assert_eq!(found[8].0, "wasm_function_8");
}
