//! The project's own specification: sound as it stands, and no longer so when something in it is taken away.

use codegen_derive::ast::{BlockKind, OpKind, Span, Spec};
use std::path::Path;

fn spec() -> Spec {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../spec");
    codegen_derive::load(&directory).unwrap_or_else(|errors| panic!("{errors}"))
}

/// The files without the text at a place.
fn without(spec: &Spec, span: Span) -> Vec<(String, String)> {
    let mut files = spec.files.clone();
    files[span.file as usize].1.replace_range(span.start as usize..span.end as usize, "");
    files
}

#[test]
fn has_no_errors() {
    let spec = spec();
    assert!(spec.ops.len() > 100 && spec.insts.len() > 100 && spec.blocks.len() > 100);
}

#[test]
fn every_item_is_needed() {
    let spec = spec();
    let lowered = |name: &str| spec.blocks.iter().any(|block| block.kind == BlockKind::Lower && block.name.text == name);
    let mut places: Vec<(String, Span)> = Vec::new();
    for op in &spec.ops {
        // Of the others only the compiler's own code knows.
        if op.kind == OpKind::Ordinary || lowered(&op.name.text) {
            places.push((format!("operator {}", op.name.text), op.span));
        }
    }
    places.extend(spec.insts.iter().map(|inst| (format!("instruction {}", inst.name.text), inst.span)));
    places.extend(spec.functions.iter().map(|function| (format!("function {}", function.name.text), function.span)));
    for block in spec.blocks.iter().filter(|block| block.kind != BlockKind::Simplify) {
        if block.kind == BlockKind::Form {
            places.push((format!("form {}", block.name.text), block.span));
        }
        if let Some(last) = block.rules.last() {
            places.push((format!("rule {}/{}", block.name.text, last.name.text), last.span));
        }
    }
    let spared = |part: &[(String, Span)]| -> Vec<String> {
        let sound = part.iter().filter(|(_, span)| codegen_derive::load_files(without(&spec, *span)).is_ok());
        sound.map(|(name, _)| name.clone()).collect()
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let spared: Vec<String> = std::thread::scope(|scope| {
        let parts = places.chunks(places.len().div_ceil(threads));
        let running: Vec<_> = parts.map(|part| scope.spawn(|| spared(part))).collect();
        running.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect()
    });
    assert!(spared.is_empty(), "nothing is said when these are deleted: {spared:?}");
}
