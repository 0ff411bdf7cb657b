//! Shapes as functions and as expected values.
//!
//! Takes a template with its holes filled; gives the function to compile and, by the operators' evaluators, what it must compute.

use super::guest::{CELLS, Guest};
use super::shape::{Hole, Role, Shape, Template};
use crate::random::Random;
use std::collections::HashMap;
use vwasm::ir::eval::{Outcome, evaluate};
use vwasm::ir::{self, BlockCall, Function, Op, Span, Type, Value, constant_op};
use vwasm::layout::{InstanceLayout, TrapCode};

/// How the function around the shape looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    Plain,
    /// Plain values of one type are one parameter: one register for several operands.
    Shared,
    /// So many parameters before those of the shape that these arrive on the stack.
    Crowded,
    /// The branch's other successor follows.
    Turned,
    /// The innermost operators stand first, in an order drawn from this seed: value numbering and the order of commutative
    /// operands depend on what is older.
    Early(u64),
}

#[derive(Clone, Copy, Debug)]
pub struct Param {
    pub ty: Type,
    pub role: Role,
    /// Of a pointer: the offset added to it.
    pub offset: u64,
}

/// A template with numbers in its holes.
#[derive(Clone, Debug)]
pub struct Program {
    pub root: Shape,
    pub fills: Vec<Fill>,
    pub params: Vec<Param>,
    keys: Vec<String>,
    swapped: bool,
    pub variant: Variant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    Number(u64),
    /// The offset of a global's cell, known once the instance's layout is.
    Cell(u32),
}

/// A stand-in for cells while rules are searched; their number decides nothing.
fn number(fill: Fill, layout: Option<&InstanceLayout>) -> u64 {
    match fill {
        Fill::Number(number) => number,
        Fill::Cell(cell) => layout.map_or(0xffff_ff00, |layout| u64::from(Guest::cell(layout, cell) as u32)),
    }
}

/// The values a hole may take; a value also those of `named`.
pub fn candidates(hole: Hole, named: &[u64]) -> Vec<Fill> {
    let mut numbers = match hole {
        Hole::Fixed(number) => vec![number],
        Hole::Value(Type::I32) => crate::values::integers(32),
        Hole::Value(Type::I64) => crate::values::integers(64),
        Hole::Value(Type::F32) => crate::values::floats(32),
        Hole::Value(Type::F64) => crate::values::floats(64),
        Hole::Pointer => vec![0, 1, 100, 0xfff, 0x7fff_fff0, 0x7fff_ffff, 0x8000_0000, 0x8000_0008, 0xffff_ffff],
        Hole::Offset => vec![0, 1, 8, 1000, 0x7fff_f000, 0x7fff_ffff, 0x8000_0000, 0x8000_0001, 0x8000_ff00, 0xffff_ffff],
        Hole::Cell => return (0..CELLS).map(Fill::Cell).collect(),
    };
    match hole {
        Hole::Value(Type::I32) => numbers.extend(named.iter().map(|&number| number as u32 as u64)),
        Hole::Value(Type::I64) => numbers.extend(named),
        _ => {}
    }
    numbers.into_iter().map(Fill::Number).collect()
}

impl Program {
    pub fn new(template: &Template, fills: Vec<Fill>, variant: Variant) -> Program {
        let (root, swapped) = (template.root.clone(), template.swapped);
        let mut program = Program { root, fills, params: Vec::new(), keys: Vec::new(), swapped, variant };
        if variant == Variant::Crowded {
            for n in 0..14 {
                let ty = if n < 6 { Type::I64 } else { Type::F64 };
                program.params.push(Param { ty, role: Role::Value, offset: 0 });
                program.keys.push(format!("crowd.{n}"));
            }
        }
        program.collect(&template.root, 0);
        program
    }

    fn collect(&mut self, shape: &Shape, offset: u64) {
        match shape {
            Shape::Param { key, ty, role } => {
                if self.param(key, *ty, *role).is_none() {
                    self.keys.push(key.clone());
                    self.params.push(Param { ty: *ty, role: *role, offset });
                }
            }
            Shape::Named { inner, .. } => self.collect(inner, offset),
            Shape::Const { .. } | Shape::Same { .. } => {}
            Shape::Op { args, imms, .. } => {
                let offset = imms.first().map_or(0, |&hole| number(self.fills[hole], None));
                args.iter().for_each(|arg| self.collect(arg, offset));
            }
        }
    }

    /// The parameter that stands for a key.
    fn param(&self, key: &str, ty: Type, role: Role) -> Option<usize> {
        self.keys.iter().position(|known| known == key).or_else(|| {
            let shared = self.variant == Variant::Shared && role == Role::Value;
            self.params.iter().position(|param| shared && param.ty == ty && param.role == Role::Value)
        })
    }

    pub fn root_op(&self) -> Op {
        match &self.root {
            Shape::Op { op, .. } => *op,
            _ => Op::Unreachable,
        }
    }

    pub fn result(&self) -> Option<Type> {
        match self.root_op() {
            Op::BrIf => Some(Type::I64),
            // The whole register is looked at: an i32 in it must be zero-extended.
            op => op.info().results.first().map(|&ty| if ty == Type::I32 { Type::I64 } else { ty }),
        }
    }

    pub fn param_types(&self) -> Vec<Type> {
        self.params.iter().map(|param| param.ty).collect()
    }

    /// The function. `layout` places the globals' cells.
    pub fn function(&self, layout: Option<&InstanceLayout>) -> Function {
        let mut func = Function { results: self.result().into_iter().collect(), ..Function::default() };
        let entry = func.new_block();
        let params: Vec<Value> = self.params.iter().map(|param| func.new_param(entry, param.ty)).collect();
        func.layout.push(entry);
        let mut builder = FunctionBuilder { program: self, layout, func, params, named: HashMap::new(), block: entry };
        if self.root_op() == Op::BrIf {
            builder.branch();
        } else {
            if let Variant::Early(seed) = self.variant {
                builder.early(&self.root, &mut Random(seed));
            }
            let value = builder.value(&self.root, self.swapped);
            let value = match value {
                Some(value) if builder.func.ty(value) == Type::I32 => Some(builder.push(Op::I64ExtendI32U, 0, 0, &[value])),
                value => Some(value),
            };
            let returned: Vec<Value> = value.flatten().into_iter().collect();
            builder.push(Op::Return, 0, 0, &returned);
        }
        builder.func
    }
}

struct FunctionBuilder<'a> {
    program: &'a Program,
    layout: Option<&'a InstanceLayout>,
    func: Function,
    params: Vec<Value>,
    named: HashMap<String, Value>,
    block: ir::Block,
}

impl FunctionBuilder<'_> {
    fn push(&mut self, op: Op, imm: u64, aux: u32, args: &[Value]) -> Option<Value> {
        let inst = self.func.new_inst(op, imm, aux, args, op.info().results, self.func.insts.len() as u32);
        self.func.blocks[self.block.index()].insts.push(inst);
        self.func.results(inst).next()
    }

    fn value(&mut self, shape: &Shape, swapped: bool) -> Option<Value> {
        match shape {
            Shape::Param { key, ty, role } => self.program.param(key, *ty, *role).map(|n| self.params[n]),
            Shape::Const { ty, hole } => {
                let bits = number(self.program.fills[*hole], self.layout);
                self.push(constant_op(*ty), bits, 0, &[])
            }
            Shape::Op { op, args, imms } => {
                let mut args: Vec<Value> = args.iter().filter_map(|arg| self.value(arg, false)).collect();
                if swapped {
                    args.swap(0, 1);
                }
                let imm = |n: usize| imms.get(n).map_or(0, |&hole| number(self.program.fills[hole], self.layout));
                let (imm, aux) = (imm(0), imm(1) as u32);
                self.push(*op, imm, aux, &args)
            }
            Shape::Named { key, inner } => {
                let value = self.value(inner, false)?;
                self.named.insert(key.clone(), value);
                Some(value)
            }
            Shape::Same { key } => self.named.get(key).copied(),
        }
    }

    fn early(&mut self, root: &Shape, random: &mut Random) {
        let mut inner = Vec::new();
        innermost(root, &mut inner);
        random.shuffle(&mut inner);
        for shape in inner {
            self.value(shape, false);
        }
    }

    /// Returns 1 where the branch is taken, else 0.
    fn branch(&mut self) {
        let Shape::Op { args, .. } = &self.program.root else { return };
        let condition: Vec<Value> = args.iter().filter_map(|arg| self.value(arg, false)).collect();
        self.push(Op::BrIf, 0, 0, &condition);
        let inst = ir::Inst(self.func.insts.len() as u32 - 1);
        let blocks = [self.func.new_block(), self.func.new_block()];
        self.func.targets = blocks.iter().map(|&block| BlockCall { block, args: Vec::new() }).collect();
        self.func.insts[inst.index()].targets = Span { start: 0, len: 2 };
        for (block, result) in blocks.into_iter().zip([1, 0]) {
            self.block = block;
            let value = self.push(Op::I64Const, result, 0, &[]);
            self.push(Op::Return, 0, 0, &value.into_iter().collect::<Vec<Value>>());
        }
        let turned = self.program.variant == Variant::Turned;
        self.func.layout.extend(if turned { [blocks[1], blocks[0]] } else { blocks });
    }
}

/// The pure operators that take only parameters and constants.
fn innermost<'s>(shape: &'s Shape, out: &mut Vec<&'s Shape>) {
    match shape {
        Shape::Op { op, args, .. } => {
            let flat = |arg: &Shape| matches!(arg, Shape::Param { .. } | Shape::Const { .. });
            let info = op.info();
            if !args.is_empty() && args.iter().all(flat) && !info.can_trap && info.reads | info.writes == 0 {
                out.push(shape);
            }
            args.iter().for_each(|arg| innermost(arg, out));
        }
        Shape::Named { inner, .. } => innermost(inner, out),
        _ => {}
    }
}

/// Which bits a NaN may have (WebAssembly 2.0 §4.3.3, "NaN propagation").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NanSet {
    /// These bits, whether NaN or not.
    Exact,
    /// Any sign, only the top bit of the payload.
    Canonical,
    /// Any sign, the top bit of the payload set.
    Arithmetic,
}

#[derive(Clone, Copy, Debug)]
pub struct Expected {
    pub bits: u64,
    pub nan: NanSet,
    pub ty: Type,
}

fn nan_parts(bits: u64, ty: Type) -> (u64, u64, u64) {
    match ty {
        Type::F32 => (bits & 0x7fff_ffff, 0x7fc0_0000, 0x7f80_0000),
        _ => (bits & !(1 << 63), 0x7ff8_0000_0000_0000, 0x7ff0_0000_0000_0000),
    }
}

impl Expected {
    fn is_nan(&self) -> bool {
        let (magnitude, _, infinity) = nan_parts(self.bits, self.ty);
        matches!(self.ty, Type::F32 | Type::F64) && magnitude > infinity
    }

    fn is_canonical(&self) -> bool {
        let (magnitude, canonical, _) = nan_parts(self.bits, self.ty);
        match self.nan {
            NanSet::Exact => magnitude == canonical,
            NanSet::Canonical => true,
            NanSet::Arithmetic => false,
        }
    }

    pub fn allows(&self, bits: u64) -> bool {
        let (magnitude, canonical, _) = nan_parts(bits, self.ty);
        match self.nan {
            NanSet::Exact => bits == self.bits,
            NanSet::Canonical => magnitude == canonical,
            NanSet::Arithmetic => magnitude & canonical == canonical,
        }
    }
}

/// Operators whose NaN results the specification leaves open.
fn is_arithmetic(op: Op) -> bool {
    const NAMES: [&str; 11] = ["add", "sub", "mul", "div", "min", "max", "sqrt", "ceil", "floor", "trunc", "nearest"];
    let name = op.name();
    let plain = name.strip_prefix("f32.").or(name.strip_prefix("f64.")).is_some_and(|name| NAMES.contains(&name));
    plain || matches!(op, Op::F32DemoteF64 | Op::F64PromoteF32)
}

/// Why there is no expected value.
pub enum Stop {
    Trap(TrapCode),
    /// The bits of an open NaN would decide.
    Open,
}

impl Program {
    /// What the function must give for some arguments.
    pub fn expected(&self, args: &[u64], guest: &mut Guest) -> Result<Option<Expected>, Stop> {
        let mut named = HashMap::new();
        if self.root_op() == Op::BrIf
            && let Shape::Op { args: conditions, .. } = &self.root
        {
            let condition = self.evaluate(&conditions[0], false, args, guest, &mut named)?;
            let bits = u64::from(condition.is_some_and(|condition| condition.bits != 0));
            return Ok(Some(Expected { bits, nan: NanSet::Exact, ty: Type::I64 }));
        }
        self.evaluate(&self.root, self.swapped, args, guest, &mut named)
    }

    fn evaluate(
        &self,
        shape: &Shape,
        swapped: bool,
        args: &[u64],
        guest: &mut Guest,
        named: &mut HashMap<String, Expected>,
    ) -> Result<Option<Expected>, Stop> {
        let exact = |bits, ty| Ok(Some(Expected { bits, nan: NanSet::Exact, ty }));
        match shape {
            Shape::Param { key, ty, role } => exact(self.param(key, *ty, *role).map_or(0, |n| args[n]), *ty),
            Shape::Named { key, inner } => {
                let value = self.evaluate(inner, false, args, guest, named)?;
                named.extend(value.map(|value| (key.clone(), value)));
                Ok(value)
            }
            Shape::Same { key } => Ok(named.get(key).copied()),
            Shape::Const { ty, hole } => exact(number(self.fills[*hole], Some(guest.layout())), *ty),
            Shape::Op { op, args: operands, imms } => {
                let mut values = Vec::new();
                for operand in operands {
                    values.extend(self.evaluate(operand, false, args, guest, named)?);
                }
                if swapped {
                    values.swap(0, 1);
                }
                let imm = |n: usize| imms.get(n).map_or(0, |&hole| number(self.fills[hole], Some(guest.layout())));
                let (imm, aux) = (imm(0), imm(1) as u32);
                let bits: Vec<u64> = values.iter().map(|value| value.bits).collect();
                let outcome = evaluate(*op, imm, aux, &bits, guest).ok_or(Stop::Open)?;
                let bits = match outcome {
                    Outcome::Values([bits, _]) => bits,
                    Outcome::Trap(code) => return Err(Stop::Trap(code)),
                };
                let Some(&ty) = op.info().results.first() else { return Ok(None) };
                let mut result = Expected { bits, nan: NanSet::Exact, ty };
                let nans: Vec<&Expected> = values.iter().filter(|value| value.is_nan()).collect();
                let float = matches!(ty, Type::F32 | Type::F64);
                if result.is_nan() && is_arithmetic(*op) {
                    let canonical = nans.iter().all(|nan| nan.is_canonical());
                    result.nan = if canonical { NanSet::Canonical } else { NanSet::Arithmetic };
                } else if let Some(open) = nans.iter().find(|nan| nan.nan != NanSet::Exact) {
                    // Sign changes keep the set; elsewhere the bits of a NaN may show.
                    match op {
                        Op::F32Abs | Op::F32Neg | Op::F64Abs | Op::F64Neg => result.nan = open.nan,
                        _ if float || matches!(op, Op::I32ReinterpretF32 | Op::I64ReinterpretF64) => return Err(Stop::Open),
                        _ => {}
                    }
                }
                Ok(Some(result))
            }
        }
    }
}
