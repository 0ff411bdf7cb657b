//! Simplification and global value numbering in one pass.
//!
//! Takes a function, visits its blocks in dominator-tree preorder and rebuilds each block's instructions: operands are
//! resolved, constants folded, the rules of `spec/simplify` applied, and a pure operator already computed in a dominating
//! block is reused. An operator that can trap may be reused too (the first one did not trap), but is never dropped or
//! moved. Branches on constants become jumps.

use crate::cfg;
use crate::error::CompileError;
use crate::ir::eval::fold;
use crate::ir::op::region;
use crate::ir::{Block, ENTRY, Function, Inst, Op, OpKind, Type, Value, ValueDef, constant_op};
use crate::layout::INSTANCE_FUEL;
use crate::limits::exceeded;
use crate::why::Log;
use rustc_hash::FxHashMap;

pub mod rules {
    //! Generated from `spec/simplify/*.rules`.
    #![allow(unused_variables, unused_imports, unused_parens, unused_labels, clippy::all)]
    use super::Builder;
    use crate::ir::eval::*;
    use crate::ir::{Op, Type, Value};
    include!(concat!(env!("OUT_DIR"), "/simplify.rs"));
}

mod why {
    //! Generated from `spec/simplify/*.rules`: the rules' left sides, which say what does not match.
    #![allow(unused_variables, unused_imports, unused_parens, unused_labels, unreachable_code, clippy::all)]
    use super::Builder;
    use crate::ir::eval::*;
    use crate::ir::{Op, Value};
    use crate::why::Log;
    include!(concat!(env!("OUT_DIR"), "/why_simplify.rs"));
}

type Key = (Op, u64, u32, Vec<Value>);

/// What the generated rules see: questions about values, and building.
pub struct Builder<'f> {
    func: &'f mut Function,
    /// Instructions of the block being rebuilt.
    insts: Vec<Inst>,
    /// Pure operators already computed, with the block that computed them.
    known: FxHashMap<Key, (Value, u32)>,
    wasm_offset: u32,
    depth: u32,
    scope: u32,
    without: Option<u16>,
    /// Told of every choice of a rule, for `rules why`.
    log: Option<&'f mut Log>,
    undo: Vec<(Key, Option<(Value, u32)>)>,
}

impl Builder<'_> {
    pub fn def(&self, value: Value) -> Option<Inst> {
        self.func.def(value)
    }
    pub fn op(&self, inst: Inst) -> Op {
        self.func.inst(inst).op
    }
    pub fn arg(&self, inst: Inst, number: usize) -> Value {
        self.func.args(inst)[number]
    }
    pub fn imm(&self, inst: Inst) -> u64 {
        self.func.inst(inst).imm
    }
    pub fn aux(&self, inst: Inst) -> u32 {
        self.func.inst(inst).aux
    }
    pub fn const_of(&self, value: Value) -> Option<u64> {
        self.func.constant(value)
    }

    /// Whether a rule is switched off.
    pub fn is_off(&self, rule: u16) -> bool {
        self.without == Some(rule)
    }
    pub fn fired(&mut self, rule: u16) {
        self.func.fired.push(rule);
    }
    pub fn missed(&self, log: &mut Log, premise: &'static str, value: Option<Value>) {
        log.missed(premise, value.map(|value| self.func.shown_value(value)));
    }

    pub fn constant(&mut self, ty: Type, bits: u64) -> Value {
        self.build(constant_op(ty), bits, 0, &[])
    }

    /// The value of a pure operator: folded, simplified, found, or newly made.
    pub fn build(&mut self, op: Op, imm: u64, aux: u32, args: &[Value]) -> Value {
        if let Some(value) = self.cheaper(op, imm, aux, args) {
            return value;
        }
        let key = (op, imm, aux, args.to_vec());
        if let Some(&(value, _)) = self.known.get(&key) {
            return value;
        }
        let inst = self.func.new_inst(op, imm, aux, args, op.info().results, self.wasm_offset);
        self.insts.push(inst);
        let value = Value(self.func.inst(inst).first_result);
        self.remember(key, value);
        value
    }

    /// Rules build from what rules gave; the measure of spec/simplify bounds it, and so does this depth.
    fn cheaper(&mut self, op: Op, imm: u64, aux: u32, args: &[Value]) -> Option<Value> {
        if matches!(op, Op::I32Const | Op::I64Const | Op::F32Const | Op::F64Const) {
            return None;
        }
        let constants: Option<Vec<u64>> = args.iter().map(|&arg| self.func.constant(arg)).collect();
        if let Some(constants) = constants
            && let Some(bits) = fold(op, imm, aux, &constants)
        {
            return Some(self.constant(op.info().results[0], bits));
        }
        if self.depth > 16 {
            return None;
        }
        if let Some(log) = self.log.take() {
            log.begin(self.func.shown_operator(op, imm, args), self.wasm_offset);
            why::simplify(self, op, imm, aux, args, log);
            self.log = Some(log);
        }
        self.depth += 1;
        let found = rules::simplify(self, op, imm, aux, args);
        self.depth -= 1;
        found
    }

    fn remember(&mut self, key: Key, value: Value) {
        let old = self.known.insert(key.clone(), (value, self.scope));
        self.undo.push((key, old));
    }
}

/// Whether equal operands mean an equal result, at any time.
fn reusable(op: Op) -> bool {
    let info = op.info();
    info.kind == OpKind::Ordinary && info.results.len() == 1 && info.reads | info.writes == 0
}

/// Simplifies a function in place; resolves aliases and drops unreachable blocks from the layout. `without` is a rule to do
/// without.
pub fn run(func: &mut Function, without: Option<u16>) -> Result<(), CompileError> {
    run_with(func, without, None)
}

/// Does the same and tells of every choice of a rule.
pub fn explain(func: &mut Function, log: &mut Log) -> Result<(), CompileError> {
    run_with(func, None, Some(log))
}

fn run_with(func: &mut Function, without: Option<u16>, log: Option<&mut Log>) -> Result<(), CompileError> {
    let tree = cfg::DominatorTree::new(func).ok_or_else(|| exceeded("its branches are nested too deeply"))?;
    let mut builder = Builder {
        func,
        insts: Vec::new(),
        known: FxHashMap::default(),
        wasm_offset: 0,
        depth: 0,
        scope: 0,
        without,
        log,
        undo: Vec::new(),
    };
    // Depth-first over the tree; a mark on the undo list closes a block's scope.
    enum Step {
        Enter(Block),
        Leave(usize),
    }
    let mut steps = vec![Step::Enter(ENTRY)];
    while let Some(step) = steps.pop() {
        match step {
            Step::Enter(block) => {
                steps.push(Step::Leave(builder.undo.len()));
                rebuild(&mut builder, block);
                steps.extend(tree.children[block.index()].iter().rev().map(|&child| Step::Enter(child)));
            }
            Step::Leave(mark) => {
                while builder.undo.len() > mark {
                    if let Some((key, old)) = builder.undo.pop() {
                        match old {
                            Some(old) => builder.known.insert(key, old),
                            None => builder.known.remove(&key),
                        };
                    }
                }
            }
        }
    }
    func.resolve_aliases();
    cfg::drop_unreachable(func);
    cfg::merge_chains(func);
    Ok(())
}

fn rebuild(builder: &mut Builder, block: Block) {
    let old = std::mem::take(&mut builder.func.blocks[block.index()].insts);
    builder.insts = Vec::with_capacity(old.len());
    // The fuel's field, while nobody else can have changed it: an inlined function goes on with what its caller left there.
    let mut fuel = None;
    for inst in old {
        let span = builder.func.inst(inst).args;
        for at in span.range() {
            builder.func.args[at] = builder.func.resolve(builder.func.args[at]);
        }
        let data = *builder.func.inst(inst);
        builder.wasm_offset = data.wasm_offset;
        let is_fuel = data.imm as u32 as i32 == INSTANCE_FUEL;
        match data.op {
            Op::BrIf => fold_branch(builder, inst),
            Op::I64GlobalSet if is_fuel => fuel = Some(builder.func.args(inst)[0]),
            Op::I64GlobalGet if is_fuel && let Some(value) = fuel => {
                builder.func.values[data.first_result as usize].def = ValueDef::Alias(value);
                continue;
            }
            op if op.info().kind != OpKind::Ordinary => fuel = None,
            _ => {}
        }
        if !reusable(data.op) {
            builder.insts.push(inst);
            continue;
        }
        let mut args: Vec<Value> = builder.func.args(inst).to_vec();
        if data.op.info().commutative && order(builder, args[0]) > order(builder, args[1]) {
            args.swap(0, 1);
            builder.func.args[span.range()].copy_from_slice(&args);
        }
        let result = Value(data.first_result);
        if let Some(value) = builder.cheaper(data.op, data.imm, data.aux, &args) {
            builder.func.values[result.index()].def = ValueDef::Alias(value);
            continue;
        }
        let key = (data.op, data.imm, data.aux, args);
        match builder.known.get(&key) {
            Some(&(value, _)) => builder.func.values[result.index()].def = ValueDef::Alias(value),
            None => {
                builder.insts.push(inst);
                builder.remember(key, result);
            }
        }
    }
    builder.func.blocks[block.index()].insts = std::mem::take(&mut builder.insts);
}

/// Constants go to the right; otherwise older values first.
fn order(builder: &Builder, value: Value) -> (bool, u32) {
    (builder.func.constant(value).is_some(), value.0)
}

/// A branch on a constant becomes a jump.
fn fold_branch(builder: &mut Builder, inst: Inst) {
    let condition = builder.func.args(inst)[0];
    let Some(bits) = builder.func.constant(condition) else { return };
    let data = &mut builder.func.insts[inst.index()];
    data.op = Op::Br;
    data.targets.start += u32::from(bits == 0);
    data.targets.len = 1;
    data.args.len = 0;
}

/// Whether an operator must stay although nothing uses its result.
pub fn has_effect(op: Op) -> bool {
    let info = op.info();
    info.kind != OpKind::Ordinary || info.can_trap || info.writes != 0
}

/// Whether a load stays in front of this operator: it neither writes nor traps, except as loads of memory do.
pub fn is_barrier(op: Op) -> bool {
    let info = op.info();
    let plain_load = info.memory_access && info.writes == 0;
    info.kind != OpKind::Ordinary || info.writes != 0 || (info.can_trap && !(plain_load && info.reads == region::MEMORY))
}
