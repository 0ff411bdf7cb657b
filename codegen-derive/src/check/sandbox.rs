//! The items of `sandbox.rules`: numbers of the layout, and what must hold of roles, fields, gates, traps, conventions.

use super::register_number;
use crate::ast::*;
use crate::diagnostic::Diagnostic;
use std::collections::HashMap;

/// Names of layout offsets and sizes: `layout.slot.code`, `layout.slot.size`, and `layout.NAME` for `const` items.
///
/// Fixed fields of a layout stand below its base, each at its natural alignment; those of a record above.
pub fn numbers(spec: &Spec) -> HashMap<String, i128> {
    let mut numbers = HashMap::new();
    for constant in &spec.constants {
        numbers.insert(format!("layout.{}", constant.name.text), constant.value);
    }
    for layout in &spec.layouts {
        let mut used = 0u32;
        for field in layout.fields.iter().take_while(|field| field.count.is_none()) {
            let Some((size, align)) = size_and_alignment(spec, &field.ty.text) else { continue };
            let start = used.next_multiple_of(align);
            used = start.saturating_add(size);
            let offset = if layout.descending { -i128::from(used) } else { i128::from(start) };
            numbers.insert(format!("layout.{}.{}", layout.name.text, field.name.text), offset);
        }
        if !layout.descending {
            numbers.insert(format!("layout.{}.size", layout.name.text), record_size(layout).into());
        }
    }
    numbers
}

/// Bytes of a field's type (i32, i64 or a record), and its alignment.
pub fn size_and_alignment(spec: &Spec, ty: &str) -> Option<(u32, u32)> {
    match ty {
        "i32" => Some((4, 4)),
        "i64" => Some((8, 8)),
        _ => {
            let record = spec.layouts.iter().find(|layout| layout.name.text == ty && !layout.descending)?;
            Some((record_size(record), 8))
        }
    }
}

/// Bytes below the base that the fixed fields of a layout take.
pub fn fixed_bytes(spec: &Spec, layout: &Layout) -> u32 {
    let fixed = layout.fields.iter().take_while(|field| field.count.is_none());
    fixed
        .filter_map(|field| size_and_alignment(spec, &field.ty.text))
        .fold(0u32, |used, (size, align)| used.next_multiple_of(align).saturating_add(size))
}

fn record_size(record: &Layout) -> u32 {
    let end = record.fields.iter().fold(0u32, |used, field| {
        let size = if field.ty.text == "i32" { 4 } else { 8 };
        used.next_multiple_of(size).saturating_add(size)
    });
    end.next_multiple_of(8)
}

/// Checks the items of `sandbox.rules`.
pub fn check(spec: &Spec, errors: &mut Vec<Diagnostic>) {
    for constant in &spec.constants {
        if u64::try_from(constant.value).is_err() {
            errors.push(Diagnostic::new(constant.span, format!("`{}` does not fit 64 unsigned bits", constant.name.text)));
        }
    }
    for role in &spec.roles {
        if register_number(&role.register.text).is_none() {
            errors.push(unknown_register(&role.register));
        }
    }
    let mut instance: Option<&Layout> = None;
    for layout in &spec.layouts {
        if layout.descending {
            if let Some(first) = instance {
                errors.push(
                    Diagnostic::new(layout.name.span, "a second `layout`")
                        .other(first.name.span, "the first")
                        .help("records shared by instances are declared with `record`"),
                );
            }
            instance.get_or_insert(layout);
        }
        fields(spec, layout, errors);
    }
    for gate in &spec.gates {
        let params = gate.params.iter().map(|param| (&param.ty, param.name.span));
        for (ty, span) in params.chain(gate.results.iter().map(|ty| (ty, gate.name.span))) {
            if !matches!(ty, Type::Bits(32 | 64) | Type::F32 | Type::F64) {
                errors.push(
                    Diagnostic::new(span, format!("a gate cannot take or give {ty}")).help("use i32, i64, f32 or f64"),
                );
            }
        }
    }
    let mut numbers: HashMap<u8, Span> = HashMap::new();
    for trap in &spec.traps {
        if let Some(first) = numbers.insert(trap.number, trap.span) {
            let message = format!("two traps have the number {}", trap.number);
            errors.push(Diagnostic::new(trap.name.span, message).other(first, "first used here"));
        }
    }
    for convention in &spec.conventions {
        convention_rows(spec, convention, errors);
    }
}

fn unknown_register(name: &Name) -> Diagnostic {
    Diagnostic::unknown("register", name, super::REGISTERS.iter().copied())
}

fn fields(spec: &Spec, layout: &Layout, errors: &mut Vec<Diagnostic>) {
    let mut names: HashMap<&str, Span> = HashMap::new();
    let mut counts: HashMap<&str, Span> = HashMap::new();
    let mut array: Option<&Field> = None;
    for field in &layout.fields {
        if let Some(first) = names.insert(&field.name.text, field.name.span) {
            let message = format!("two fields of `{}` are named `{}`", layout.name.text, field.name.text);
            errors.push(Diagnostic::new(field.name.span, message).other(first, "first named here"));
        }
        let known = match layout.descending {
            true => size_and_alignment(spec, &field.ty.text).is_some(),
            false => matches!(field.ty.text.as_str(), "i32" | "i64"),
        };
        if !known {
            let records = spec.layouts.iter().filter(|record| !record.descending).map(|record| record.name.text.as_str());
            let records: Vec<&str> = if layout.descending { records.collect() } else { Vec::new() };
            let candidates = ["i32", "i64"].into_iter().chain(records);
            errors.push(Diagnostic::unknown("field type", &field.ty, candidates));
        }
        match (&field.count, array) {
            (Some(count), _) => {
                array = array.or(Some(field));
                if let Some(first) = counts.insert(&count.text, count.span) {
                    let message = format!("two arrays are counted by `{}`", count.text);
                    errors.push(Diagnostic::new(count.span, message).other(first, "first used here"));
                }
            }
            (None, Some(array)) => errors.push(
                Diagnostic::new(field.span, "a single field after an array has no fixed place")
                    .other(array.span, "the array")
                    .help("move it before the arrays"),
            ),
            (None, None) => {}
        }
    }
}

fn convention_rows(spec: &Spec, convention: &Convention, errors: &mut Vec<Diagnostic>) {
    for (words, registers) in &convention.rows {
        let mut seen: HashMap<&str, Span> = HashMap::new();
        let float = words.first().is_some_and(|word| word == "float");
        for register in registers {
            if register_number(&register.text).is_none() {
                errors.push(unknown_register(register));
            } else if register.text.starts_with("xmm") != float {
                let class = if float { "a vector" } else { "a general" };
                errors.push(Diagnostic::new(register.span, format!("`{}` is not {class} register", register.text)));
            }
            if let Some(role) = spec.roles.iter().find(|role| role.register.text == register.text) {
                errors.push(
                    Diagnostic::new(register.span, format!("`{}` is taken", register.text))
                        .other(role.span, "it has this role"),
                );
            }
            if let Some(first) = seen.insert(&register.text, register.span) {
                errors.push(
                    Diagnostic::new(register.span, format!("`{}` is listed twice", register.text))
                        .other(first, "first listed here"),
                );
            }
        }
    }
}
