//! Object files: what an independent reader finds in them, and what a linker makes of them at several places.

use iced_x86::{Decoder, DecoderOptions, Instruction, Register};
use std::path::Path;
use std::process::{Command, Output};
use vwasm::compile::{Compiled, Options, compile};
use vwasm::module::Module;
use vwasm::object::object;
use vwasm_runtime::manifest::Manifest;

/// Jump tables in several functions, calls between them, data.
const TABLES: &str = r#"(module $app
    (func $a (export "a") (param i32) (result i32)
      (block (block (block (block (br_table 0 1 2 3 1 (local.get 0)))
        (return (i32.const 10))) (return (i32.const 20))) (return (call $b (i32.const 1)))) (i32.const 40))
    (func $b (param i32) (result i32)
      (block (block (block (br_table 2 1 0 1 (local.get 0)))) (block (block (block (br_table 0 1 2 0 (local.get 0)))
        (return (call $a (i32.const 3)))) (return (i32.const 5)))) (i32.const 6))
    (func (export "c") (param f64) (result f64) (f64.add (local.get 0) (f64.const 1.25)))
    (memory (export "memory") 1)
    (data (i32.const 8) "read-only \00\ff")
    (data "passive"))"#;

fn compiled(text: &str) -> Compiled {
    let bytes = wat::parse_str(text).expect("a module");
    let module = Module::decode(&bytes).expect("a valid module");
    compile(&module, &Options::default(), &|| ()).expect("it compiles")
}

fn run(directory: &Path, program: &str, args: &[&str]) -> Output {
    let output = Command::new(program).args(args).current_dir(directory).output().expect("the program is there");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{program} {args:?}: {}: {said}", output.status);
    output
}

fn text(output: Output) -> String {
    String::from_utf8(output.stdout).expect("text")
}

/// A directory with `app.o`, `app.h` and a second module's.
fn directory(name: &str, modules: &[(&str, &Compiled)]) -> std::path::PathBuf {
    let path = std::env::temp_dir().join(format!("vwasm-object-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&path).expect("a directory");
    for (name, compiled) in modules {
        let object = object(compiled).expect("an object file");
        std::fs::write(path.join(format!("{name}.o")), object.file).expect("a file");
        std::fs::write(path.join(format!("{name}.h")), object.header).expect("a file");
    }
    path
}

#[test]
fn sections_and_symbols_are_those_allowed() {
    let path = directory("sections", &[("app", &compiled(TABLES)), ("empty", &compiled("(module)"))]);
    for (file, prefix) in [("app.o", "vwasm_app_"), ("empty.o", "vwasm_module_")] {
        // Number, name, type, address, offset, size, entry size, flags (none: the column is absent), link, info, alignment.
        let mut loaded = Vec::new();
        let mut stack_note = false;
        for line in text(run(&path, "readelf", &["-SW", file])).lines() {
            let Some((number, rest)) = line.trim_start().strip_prefix('[').and_then(|line| line.split_once(']')) else {
                continue;
            };
            if number.trim().parse::<u32>().is_ok_and(|number| number > 0) {
                let fields: Vec<&str> = rest.split_whitespace().collect();
                let flags = if fields.len() == 10 { fields[6] } else { "" };
                stack_note |= fields[0] == ".note.GNU-stack" && flags.is_empty();
                if flags.contains('A') {
                    loaded.push((fields[0].to_string(), flags.to_string()));
                }
            }
        }
        let wanted = [(".text".to_string(), "AX".to_string()), (".rodata".to_string(), "A".to_string())];
        assert_eq!(loaded, wanted, "{file}");
        assert!(stack_note, "{file}: the stack would be executable");
        let symbols = text(run(&path, "readelf", &["-sW", file]));
        let mut names: Vec<&str> = symbols
            .lines()
            .filter(|line| line.contains(" GLOBAL ") || line.contains(" WEAK "))
            .map(|line| {
                assert!(line.contains(" HIDDEN ") && !line.contains(" UND "), "{line}");
                line.split_whitespace().last().and_then(|name| name.strip_prefix(prefix)).expect("the prefix")
            })
            .collect();
        names.sort_unstable();
        assert_eq!(
            names,
            ["claims", "claims_size", "code", "code_size", "data", "data_size", "manifest", "manifest_size", "module"],
            "{file}"
        );
        for line in text(run(&path, "readelf", &["-rW", file])).lines().filter(|line| line.contains("R_X86_64_")) {
            assert!(line.contains("R_X86_64_PC32") || line.contains("R_X86_64_PC64"), "{line}");
            assert!(line.contains(" .text ") || line.contains(" .rodata "), "{line}");
        }
    }
    std::fs::remove_dir_all(path).expect("the directory");
}

/// Says where code and data of a module are, then writes them and the manifest.
const READER: &str = r#"
#include "app.h"
#include "other.h"
#include "app.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static int same(const struct vwasm_module *module, int64_t at, const unsigned char *part) {
    return (const unsigned char *)module + at == part;
}

int main(int argc, char **argv) {
    const struct vwasm_module *app = &vwasm_app_module, *other = &vwasm_other_module, *module;
    if (argc != 2 || memcmp(app->magic, "VWASM\0\0\2", 8) || memcmp(other->magic, "VWASM\0\0\2", 8)) return 1;
    if (!same(app, app->code, vwasm_app_code) || !same(app, app->data, vwasm_app_data)) return 2;
    if (!same(app, app->manifest, vwasm_app_manifest) || !same(other, other->code, vwasm_other_code)) return 3;
    if (!same(app, app->claims, vwasm_app_claims) || app->claims_size != vwasm_app_claims_size) return 6;
    if (app->code_size != vwasm_app_code_size || app->data_size != vwasm_app_data_size) return 4;
    if (app->manifest_size != vwasm_app_manifest_size || other->data_size != vwasm_other_data_size) return 5;
    module = strcmp(argv[1], "app") ? other : app;
    const unsigned char *start = (const unsigned char *)module;
    printf("%" PRIuPTR " %" PRIuPTR "\n", (uintptr_t)(start + module->code), (uintptr_t)(start + module->data));
    fwrite(start + module->code, 1, module->code_size, stdout);
    fwrite(start + module->data, 1, module->data_size, stdout);
    fwrite(start + module->manifest, 1, module->manifest_size, stdout);
    fwrite(start + module->claims, 1, module->claims_size, stdout);
    return ferror(stdout) != 0;
}
"#;

/// Code and data as they should be with the data `further` bytes from the place where the compiler assumed it.
fn moved(compiled: &Compiled, further: i64) -> (Vec<u8>, Vec<u8>) {
    let (mut code, mut data) = (compiled.code.clone(), compiled.data.clone());
    let add = |field: &mut [u8], value: i64| {
        let old = i32::from_le_bytes(field.try_into().expect("four bytes"));
        let new = i32::try_from(i64::from(old) + value).expect("within 2 GiB");
        field.copy_from_slice(&new.to_le_bytes());
    };
    let mut referring = 0;
    for (start, function) in &compiled.functions {
        let bytes = &compiled.code[*start as usize..][..function.code.len()];
        let mut decoder = Decoder::with_ip(64, bytes, u64::from(*start), DecoderOptions::NONE);
        let mut instruction = Instruction::default();
        while decoder.can_decode() {
            decoder.decode_out(&mut instruction);
            if instruction.memory_base() == Register::RIP {
                let at = instruction.ip() as usize + decoder.get_constant_offsets(&instruction).displacement_offset();
                add(&mut code[at..at + 4], further);
                referring += 1;
            }
        }
    }
    let entries: usize = compiled.functions.iter().map(|(_, function)| function.tables.len()).sum();
    data[..4 * entries].chunks_exact_mut(4).for_each(|entry| add(entry, -further));
    assert!(entries == 0 || referring > 0, "tables that nothing refers to");
    (code, data)
}

#[test]
fn linked_anywhere_the_references_hold() {
    let app = compiled(TABLES);
    let mut other = compiled(TABLES);
    other.manifest.name = "other".to_string();
    assert!(app.functions.iter().filter(|(_, function)| !function.tables.is_empty()).count() >= 2);
    let path = directory("linked", &[("app", &app), ("other", &other)]);
    std::fs::write(path.join("main.c"), READER).expect("a file");
    let ways: [&[&str]; 5] = [
        &["-fPIE", "-pie"],
        &["-no-pie"],
        &["-static", "-no-pie"],
        &["-no-pie", "-Wl,-Ttext-segment=0x10000000"],
        &["-O2", "-fPIE", "-pie", "-Wl,--gc-sections,-z,now"],
    ];
    for way in ways {
        let args = ["-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror", "-Wl,--fatal-warnings", "main.c"];
        run(&path, "gcc", &[&args[..], way, &["app.o", "other.o", "-o", "main"]].concat());
        let program = path.join("main");
        let segments = text(run(&path, "readelf", &["-lW", "main"]));
        let stack = segments.lines().find(|line| line.contains("GNU_STACK")).expect("a stack header");
        assert!(stack.contains(" RW ") && !segments.contains("RWE"), "{way:?}: {segments}");
        assert!(!text(run(&path, "readelf", &["-dW", "main"])).contains("TEXTREL"), "{way:?}");
        for (name, compiled) in [("app", &app), ("other", &other)] {
            let output = run(&path, &program.to_string_lossy(), &[name]).stdout;
            let line = output.iter().position(|&byte| byte == b'\n').expect("a line");
            let places = std::str::from_utf8(&output[..line]).expect("text");
            let places: Vec<i64> = places.split(' ').map(|place| place.parse().expect("an address")).collect();
            let assumed = compiled.code.len().next_multiple_of(4096) as i64;
            let further = places[1] - places[0] - assumed;
            assert_ne!(further, 0, "the linker keeps the distance by chance: the test shows nothing");
            let (code, data) = moved(compiled, further);
            let (linked_code, rest) = output[line + 1..].split_at(code.len());
            let (linked_data, rest) = rest.split_at(data.len());
            let (manifest, claims) = rest.split_at(rest.len() - compiled.claims.len());
            assert!(linked_code == code, "{way:?}: {name}'s code");
            assert!(linked_data == data, "{way:?}: {name}'s data");
            assert!(manifest == compiled.manifest.encode(), "{way:?}: {name}'s manifest");
            assert!(claims == compiled.claims, "{way:?}: {name}'s claims");
            let decoded = Manifest::decode(manifest).expect("a manifest");
            assert!(decoded.is_consistent(code.len() as u64, data.len() as u64));
        }
    }
    std::fs::remove_dir_all(path).expect("the directory");
}

#[test]
fn names_are_mangled() {
    let mut compiled = compiled("(module)");
    let long = "x".repeat(1 << 16);
    for (name, identifier) in [
        ("app", "app"),
        ("my-app.wasm", "my_app_wasm"),
        ("a\"b\nint main(void) { return 1; }\n*/ #include <x>\r\0\\", "a_b_int_main_void_return_1_include_x"),
        ("", "module"),
        ("*/", "module"),
        ("日本語", "module"),
        ("9__lives__", "9_lives"),
        (&long, &long[..64]),
    ] {
        compiled.manifest.name = name.to_string();
        let object = object(&compiled).expect("an object file");
        let declared: Vec<&str> =
            object.header.lines().filter_map(|line| line.strip_prefix("extern const struct vwasm_module ")).collect();
        assert_eq!(declared, [format!("vwasm_{identifier}_module;")], "{name:?}");
        assert!(object.header.bytes().all(|byte| byte == b'\n' || (b' '..=b'~').contains(&byte)), "{name:?}");
        // Nothing else of the header depends on the name.
        compiled.manifest.name = "module".to_string();
        let plain = self::object(&compiled).expect("an object file").header;
        assert_eq!(object.header.replace(&format!("vwasm_{identifier}_"), "vwasm_module_"), plain, "{name:?}");
    }
}
