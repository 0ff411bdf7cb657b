//! Function bodies to SSA.
//!
//! Takes a module and a body, validates the body operator by operator, and gives its [`Function`]. Structured control
//! becomes blocks as it comes; code that cannot be reached makes nothing. Nothing recurses on nesting depth.

mod bulk;
mod fuel;
mod operators;
pub mod ssa;

use crate::error::{CompileError, ErrorKind, Result};
use crate::ir::{Block, BlockCall, ENTRY, Function, Inst, Op, Span, Type, Value};
use crate::layout::Gate;
use crate::limits;
use crate::module::{Body, Module, invalid, ir_type, ir_types};
use rustc_hash::FxHashMap;
use ssa::{Construct, Ssa};
use wasmparser::{BlockType, FuncValidatorAllocations, Operator};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum FrameKind {
    Block,
    Loop,
    If,
    Else,
}

struct Frame {
    kind: FrameKind,
    /// Where the construct is left to.
    end: Block,
    /// Where a branch to it goes: the end, or a loop's header.
    branch: Block,
    /// `if`: the block of the other arm.
    other: Option<Block>,
    results: Vec<Type>,
    branch_arity: usize,
    /// Height of the operand stack below the construct's parameters.
    height: usize,
    /// Parameters kept for the other arm.
    kept: Vec<Value>,
    /// The block that was being filled when the construct began, and how many locals had been set.
    before: Block,
    clock: u32,
    /// Whether code before the construct could be reached.
    entered: bool,
    /// `if`: what the other arm owes for the block before.
    owed: u64,
}

/// Translates one function body.
pub struct Translator<'m, 'a> {
    module: &'m Module<'a>,
    func: Function,
    ssa: Ssa,
    stack: Vec<Value>,
    frames: Vec<Frame>,
    current: Block,
    reachable: bool,
    offset: u32,
    loop_depth: u32,
    /// Bases and fields that never change: one value for the whole function, made in the entry block.
    fields: FxHashMap<(Op, u64), Value>,
    /// Their instructions, which go in front of the entry block's at the end.
    prologue: Vec<Inst>,
    /// Arguments passed by branches so far.
    branch_arguments: usize,
    /// If fuel is counted.
    fuel: Option<fuel::Fuel>,
}

impl<'m, 'a> Translator<'m, 'a> {
    /// Translates a body, which counts fuel if `fuel` says so; `allocations` are reused from function to function.
    pub fn translate(
        module: &'m Module<'a>,
        index: u32,
        body: &Body<'a>,
        fuel: bool,
        allocations: &mut FuncValidatorAllocations,
    ) -> Result<Function> {
        let ty = module.function_type(index);
        let mut translator = Translator {
            module,
            func: Function::default(),
            ssa: Ssa::default(),
            stack: Vec::new(),
            frames: Vec::new(),
            current: ENTRY,
            reachable: true,
            offset: 0,
            loop_depth: 0,
            fields: FxHashMap::default(),
            prologue: Vec::new(),
            branch_arguments: 0,
            fuel: None,
        };
        translator.func.results = ir_types(&ty.results);
        let entry = translator.func.new_block();
        translator.func.layout.push(entry);
        translator.ssa.local_types = ir_types(&ty.params);
        for (local, &ty) in ir_types(&ty.params).iter().enumerate() {
            let value = translator.func.new_param(entry, ty);
            translator.ssa.write(entry, local as u32, value);
        }
        translator.ssa.seal(&mut translator.func, entry, None);
        translator.body(body, fuel, allocations)?;
        let mut func = translator.func;
        let mut insts = translator.ssa.take_zeros();
        insts.append(&mut translator.prologue);
        insts.append(&mut func.blocks[ENTRY.index()].insts);
        func.blocks[ENTRY.index()].insts = insts;
        ssa::remove_redundant_params(&mut func);
        Ok(func)
    }

    fn body(&mut self, body: &Body<'a>, fuel: bool, allocations: &mut FuncValidatorAllocations) -> Result<()> {
        let mut validator = body.validator().into_validator(std::mem::take(allocations));
        let mut reader = body.body.get_binary_reader();
        let start = body.body.range().start as u64;
        if u32::try_from(body.body.range().end).is_err() {
            return Err(CompileError::new(ErrorKind::Limit, "a module of 4 GiB or more").at(start));
        }
        validator.read_locals(&mut reader).map_err(invalid)?;
        // read_locals has checked them; read them again for their types.
        for local in body.body.get_locals_reader().map_err(invalid)? {
            let (count, ty) = local.map_err(invalid)?;
            let ty = operators::local_type(ty);
            self.ssa.local_types.extend(std::iter::repeat_n(ty, count as usize));
        }
        if fuel {
            self.start_fuel();
        }
        let end = self.func.new_block();
        let results = self.func.results.clone();
        for &ty in &results {
            self.func.new_param(end, ty);
        }
        self.frames.push(Frame {
            kind: FrameKind::Block,
            end,
            branch: end,
            other: None,
            branch_arity: results.len(),
            results,
            height: 0,
            kept: Vec::new(),
            before: ENTRY,
            clock: self.ssa.clock(),
            entered: true,
            owed: self.owed(),
        });
        let mut operators = wasmparser::OperatorsReader::new(reader);
        while !operators.eof() {
            let offset = operators.original_position();
            self.offset = offset as u32;
            let operator = operators.read().map_err(invalid)?;
            validator.op(offset, &operator).map_err(invalid)?;
            self.operator(operator)?;
            let arguments = self.branch_arguments + self.ssa.branch_arguments;
            let searched = self.ssa.steps > limits::STEPS;
            if searched || self.func.values.len() > limits::VALUES || arguments > limits::BRANCH_ARGUMENTS {
                return Err(limits::exceeded("too many values, or too many of them meet at branches").at(offset as u64));
            }
        }
        operators.finish().map_err(invalid)?;
        *allocations = validator.into_allocations();
        if self.reachable {
            self.return_results();
        }
        Ok(())
    }

    // -- building --

    fn emit(&mut self, op: Op, imm: u64, aux: u32, args: &[Value], results: &[Type]) -> Value {
        let inst = self.func.new_inst(op, imm, aux, args, results, self.offset);
        self.func.blocks[self.current.index()].insts.push(inst);
        Value(self.func.inst(inst).first_result)
    }

    fn constant(&mut self, op: Op, bits: u64) -> Value {
        self.emit(op, bits, 0, &[], &[op.info().results[0]])
    }

    /// A pure value of the whole function, made once at its start.
    fn field(&mut self, op: Op, offset: i32) -> Value {
        let imm = u64::from(offset as u32);
        if let Some(&value) = self.fields.get(&(op, imm)) {
            return value;
        }
        let inst = self.func.new_inst(op, imm, 0, &[], op.info().results, 0);
        self.prologue.push(inst);
        let value = Value(self.func.inst(inst).first_result);
        self.fields.insert((op, imm), value);
        value
    }

    fn gate(&mut self, gate: Gate, args: &[Value]) -> Value {
        let results: &[Type] = if gate.results() == 1 { &[Type::I32] } else { &[] };
        self.store_fuel();
        let result = self.emit(Op::Gate, gate as u64, 0, args, results);
        self.load_fuel();
        result
    }

    fn emit_terminator(&mut self, op: Op, imm: u64, args: &[Value], targets: Vec<(Block, Vec<Value>)>) {
        let inst = self.func.new_inst(op, imm, 0, args, &[], self.offset);
        let start = self.func.targets.len() as u32;
        for (block, args) in targets {
            let target = self.func.targets.len() as u32;
            self.branch_arguments += args.len();
            self.func.targets.push(BlockCall { block, args });
            self.ssa.add_edge(self.current, block, target);
        }
        let len = self.func.targets.len() as u32 - start;
        self.func.insts[inst.index()].targets = Span { start, len };
        self.func.blocks[self.current.index()].insts.push(inst);
        self.reachable = false;
    }

    /// Returns what is on top of the stack.
    fn return_results(&mut self) {
        let values = self.top(self.func.results.len());
        self.check_fuel();
        self.store_fuel();
        self.emit_terminator(Op::Return, 0, &values, Vec::new());
    }

    fn jump(&mut self, block: Block, args: Vec<Value>) {
        self.charge();
        self.emit_terminator(Op::Br, 0, &[], vec![(block, args)]);
    }

    fn switch_to(&mut self, block: Block) {
        self.current = block;
        self.reachable = true;
        self.func.blocks[block.index()].loop_depth = self.loop_depth;
        self.func.layout.push(block);
    }

    fn pop(&mut self) -> Value {
        // Validation has checked the stack; in reachable code it is never empty here.
        self.stack.pop().unwrap_or(Value(0))
    }

    fn top(&self, count: usize) -> Vec<Value> {
        self.stack[self.stack.len() - count..].to_vec()
    }

    // -- structured control --

    fn block_type(&self, ty: BlockType) -> (Vec<Type>, Vec<Type>) {
        match ty {
            BlockType::Empty => (Vec::new(), Vec::new()),
            BlockType::Type(ty) => (Vec::new(), vec![operators::local_type(ty)]),
            BlockType::FuncType(index) => {
                let ty = &self.module.types[index as usize];
                (ir_types(&ty.params), ir_types(&ty.results))
            }
        }
    }

    fn push_frame(&mut self, kind: FrameKind, ty: BlockType, branch: Option<Block>, other: Option<Block>, end: Block) {
        let before = self.current;
        let (params, results) = self.block_type(ty);
        let height = self.stack.len() - params.len();
        let kept = if kind == FrameKind::If { self.top(params.len()) } else { Vec::new() };
        self.frames.push(Frame {
            kind,
            end,
            branch: branch.unwrap_or(end),
            other,
            branch_arity: if kind == FrameKind::Loop { params.len() } else { results.len() },

            results,
            height,
            kept,
            before,
            clock: self.ssa.clock(),
            entered: true,
            owed: self.owed(),
        });
    }

    fn end_block(&mut self, ty: BlockType) -> Block {
        let end = self.func.new_block();
        for ty in self.block_type(ty).1 {
            self.func.new_param(end, ty);
        }
        end
    }

    /// A construct in code that cannot be reached: only its end matters.
    fn push_dead_frame(&mut self, kind: FrameKind) {
        self.frames.push(Frame {
            kind,
            end: ENTRY,
            branch: ENTRY,
            other: None,
            results: Vec::new(),
            branch_arity: 0,
            height: self.stack.len(),
            kept: Vec::new(),
            before: ENTRY,
            clock: 0,
            entered: false,
            owed: 0,
        });
    }

    fn start_block(&mut self, ty: BlockType) {
        let end = self.end_block(ty);
        self.push_frame(FrameKind::Block, ty, None, None, end);
    }

    fn start_loop(&mut self, ty: BlockType) {
        let (params, _) = self.block_type(ty);
        let header = self.func.new_block();
        let args = self.stack.split_off(self.stack.len() - params.len());
        let values: Vec<Value> = params.iter().map(|&ty| self.func.new_param(header, ty)).collect();
        self.jump(header, args);
        self.stack.extend(values);
        let end = self.end_block(ty);
        self.push_frame(FrameKind::Loop, ty, Some(header), None, end);
        self.loop_depth += 1;
        self.switch_to(header);
        self.check_fuel();
    }

    fn start_if(&mut self, ty: BlockType) {
        let condition = self.pop();
        let end = self.end_block(ty);
        let (yes, no) = (self.func.new_block(), self.func.new_block());
        self.push_frame(FrameKind::If, ty, None, Some(no), end);
        self.emit_terminator(Op::BrIf, 0, &[condition], vec![(yes, Vec::new()), (no, Vec::new())]);
        self.ssa.seal(&mut self.func, yes, None);
        self.ssa.seal(&mut self.func, no, None);
        self.switch_to(yes);
    }

    /// Leaves the current arm of the innermost construct for its end.
    fn finish_arm(&mut self) {
        if self.reachable
            && let Some(frame) = self.frames.last()
        {
            let (end, results) = (frame.end, frame.results.len());
            let args = self.top(results);
            self.jump(end, args);
        }
    }

    fn start_else(&mut self) {
        self.finish_arm();
        let Some(frame) = self.frames.last_mut() else { return };
        if !frame.entered {
            return;
        }
        frame.kind = FrameKind::Else;
        let (height, kept, other) = (frame.height, std::mem::take(&mut frame.kept), frame.other.take());
        let owed = frame.owed;
        self.stack.truncate(height);
        self.stack.extend(kept);
        if let Some(other) = other {
            self.switch_to(other);
            self.set_owed(owed);
        }
    }

    fn end(&mut self) {
        self.finish_arm();
        let Some(mut frame) = self.frames.pop() else { return };
        if !frame.entered {
            return;
        }
        self.stack.truncate(frame.height);
        if let (FrameKind::If, Some(other)) = (frame.kind, frame.other.take()) {
            // No else: the parameters are the results.
            self.switch_to(other);
            self.set_owed(frame.owed);
            self.jump(frame.end, std::mem::take(&mut frame.kept));
        }
        let construct = Some(Construct { before: frame.before, from: frame.clock, to: self.ssa.clock() });
        if frame.kind == FrameKind::Loop {
            self.ssa.seal(&mut self.func, frame.branch, construct);
            self.loop_depth -= 1;
        }
        self.ssa.seal(&mut self.func, frame.end, construct);
        if self.ssa.has_preds(frame.end) {
            self.switch_to(frame.end);
            let results = &self.func.blocks[frame.end.index()].params[..frame.results.len()];
            self.stack.extend_from_slice(results);
        } else {
            self.reachable = false;
        }
    }

    fn branch_target(&self, depth: u32) -> (Block, usize) {
        let frame = &self.frames[self.frames.len() - 1 - depth as usize];
        (frame.branch, frame.branch_arity)
    }

    fn br(&mut self, depth: u32) {
        let (block, arity) = self.branch_target(depth);
        let args = self.top(arity);
        self.jump(block, args);
    }

    fn br_if(&mut self, depth: u32) {
        let condition = self.pop();
        let (block, arity) = self.branch_target(depth);
        let args = self.top(arity);
        let next = self.func.new_block();
        self.charge();
        self.emit_terminator(Op::BrIf, 0, &[condition], vec![(block, args), (next, Vec::new())]);
        self.ssa.seal(&mut self.func, next, None);
        self.switch_to(next);
    }

    fn br_table(&mut self, targets: &wasmparser::BrTable<'_>) -> Result<()> {
        let index = self.pop();
        let mut numbers: FxHashMap<u32, u32> = FxHashMap::default();
        let mut table = Vec::with_capacity(targets.len() as usize + 1);
        let mut successors = Vec::new();
        let default = targets.default();
        for depth in targets.targets().chain(std::iter::once(Ok(default))) {
            let depth = depth.map_err(invalid)?;
            let number = match numbers.get(&depth) {
                Some(&number) => number,
                None => {
                    let (block, arity) = self.branch_target(depth);
                    successors.push((block, self.top(arity)));
                    numbers.insert(depth, successors.len() as u32 - 1);
                    successors.len() as u32 - 1
                }
            };
            table.push(number);
        }
        if successors.len() == 1 {
            let (block, args) = successors.remove(0);
            self.jump(block, args);
            return Ok(());
        }
        let number = self.func.tables.len() as u64;
        self.func.tables.push(table);
        self.charge();
        self.emit_terminator(Op::BrTable, number, &[index], successors);
        Ok(())
    }

    /// The number of values between the construct's base and the top is free in unreachable code: nothing is built there.
    fn unreachable_operator(&mut self, operator: &Operator<'_>) {
        match operator {
            Operator::Block { .. } => self.push_dead_frame(FrameKind::Block),
            Operator::Loop { .. } => self.push_dead_frame(FrameKind::Loop),
            Operator::If { .. } => self.push_dead_frame(FrameKind::If),
            Operator::Else => self.start_else(),
            Operator::End => self.end(),
            _ => {}
        }
    }

    fn memory_base(&mut self) -> Value {
        if self.module.imported_memories > 0 {
            let offset = self.module.layout().memory_import(0);
            self.field(Op::I64Field, offset)
        } else {
            self.field(Op::MemoryBase, 0)
        }
    }

    fn table_base(&mut self, table: u32) -> Value {
        let offset = self.module.layout().table(table);
        self.field(Op::I64Field, offset)
    }

    /// Emits a call and pushes its results.
    fn call(&mut self, op: Op, imm: u64, type_index: u32, first: &[Value]) {
        let ty = &self.module.types[type_index as usize];
        let (params, results) = (ty.params.len(), ir_types(&ty.results));
        let mut args = first.to_vec();
        args.extend(self.stack.split_off(self.stack.len() - params));
        self.store_fuel();
        let inst = self.func.new_inst(op, imm, type_index, &args, &results, self.offset);
        self.func.blocks[self.current.index()].insts.push(inst);
        let results: Vec<Value> = self.func.results(inst).collect();
        self.stack.extend(results);
        self.load_fuel();
    }
}

/// The IR type of a global.
fn global_type(module: &Module<'_>, global: u32) -> Type {
    ir_type(module.globals[global as usize].ty)
}
