//! Small functions in place of calls to them.
//!
//! Takes a function and the bodies that may stand for calls: straight-line functions that call nothing, such as
//! compiler-rt's 128-bit multiplication. Gives the function with such calls replaced by copies of the body. A trap in a copy
//! is reported at the call; the copy needs no stack of its own.

use crate::ir::{ENTRY, Function, Inst, Op, OpKind, Value, ValueDef};
use crate::module::Module;
use rayon::prelude::*;
use rustc_hash::FxHashMap;

/// Bodies by function index.
pub type Bodies = FxHashMap<u32, Function>;

/// A body of more bytes of Wasm is not looked at.
const MOST_BYTES: u64 = 200;
/// A body of more operators is not copied.
const MOST_OPERATORS: usize = 40;
/// A function grows by no more operators than this.
const MOST_GROWTH: usize = 4000;

/// The functions of a module that are copied to where they are called. `translate` gives a simplified function, if it is valid.
pub fn bodies(module: &Module<'_>, translate: impl Fn(usize) -> Option<Function> + Sync) -> Bodies {
    (0..module.bodies.len())
        .into_par_iter()
        .filter(|&defined| {
            let range = module.bodies[defined].body.range();
            range.end - range.start <= MOST_BYTES
        })
        .filter_map(|defined| {
            let func = translate(defined)?;
            is_small(&func).then_some((module.imported_functions + defined as u32, func))
        })
        .collect()
}

fn is_small(func: &Function) -> bool {
    let [block] = func.layout.as_slice() else { return false };
    let Some((&last, insts)) = func.blocks[block.index()].insts.split_last() else { return false };
    insts.len() <= MOST_OPERATORS
        && func.inst(last).op == Op::Return
        && insts.iter().all(|&inst| func.inst(inst).op.info().kind == OpKind::Ordinary)
}

/// Replaces calls by copies.
pub fn run(func: &mut Function, bodies: &Bodies) {
    if bodies.is_empty() {
        return;
    }
    let mut grown = 0;
    for at in 0..func.layout.len() {
        let block = func.layout[at];
        let is_copied = |func: &Function, inst: Inst| {
            let data = func.inst(inst);
            (data.op == Op::Call).then(|| bodies.get(&(data.imm as u32))).flatten()
        };
        if !func.blocks[block.index()].insts.iter().any(|&inst| is_copied(func, inst).is_some()) {
            continue;
        }
        let old = std::mem::take(&mut func.blocks[block.index()].insts);
        let mut insts = Vec::with_capacity(old.len());
        for inst in old {
            match is_copied(func, inst) {
                Some(body) if grown + body.insts.len() <= MOST_GROWTH => {
                    grown += body.insts.len();
                    copy(func, inst, body, &mut insts);
                }
                _ => insts.push(inst),
            }
        }
        func.blocks[block.index()].insts = insts;
    }
    if grown > 0 {
        func.resolve_aliases();
    }
}

/// Appends a body's operators, its parameters replaced by the call's operands; the call's results become aliases.
fn copy(func: &mut Function, call: Inst, body: &Function, insts: &mut Vec<Inst>) {
    let mut values: FxHashMap<Value, Value> = FxHashMap::default();
    values.extend(body.blocks[ENTRY.index()].params.iter().copied().zip(func.args(call).to_vec()));
    let wasm_offset = func.inst(call).wasm_offset;
    for &inst in &body.blocks[ENTRY.index()].insts {
        let data = body.inst(inst);
        let args: Vec<Value> = body.args(inst).iter().map(|arg| values.get(arg).copied().unwrap_or(*arg)).collect();
        if data.op == Op::Return {
            let results: Vec<Value> = func.results(call).collect();
            for (result, arg) in results.into_iter().zip(args) {
                func.values[result.index()].def = ValueDef::Alias(arg);
            }
            return;
        }
        let copied = func.new_inst(data.op, data.imm, data.aux, &args, data.op.info().results, wasm_offset);
        values.extend(body.results(inst).zip(func.results(copied)));
        insts.push(copied);
    }
}
