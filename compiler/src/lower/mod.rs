//! IR to machine instructions over virtual registers.
//!
//! Blocks are visited last to first and instructions bottom up: a value is computed only if something asked for its
//! register, so folded operands and dead code cost nothing. The rules (generated from `spec/lower`) choose instructions;
//! written here are the frame's part: parameters, calls, returns, branches. Each operator's instructions are collected in
//! order, with the constants it uses in front of them.

pub mod convention;

use crate::compile::Options;
use crate::error::{CompileError, ErrorKind, Result};
use crate::ir::{self, ENTRY, Function, Op, OpKind, Type, Value};
use crate::layout::TrapCode;
use crate::machine::{Amode, Base, Cc, Feature, Inst, NO_SITE, Reg, RegClass, RegMem};
use crate::simplify::{has_effect, is_barrier};
use crate::vcode::{Call, Callee, Join, MInst, NO_RULE, Origin, VBlock, VCode};
use crate::why::Log;
use convention::{Convention, Place, class_of};

pub mod rules {
    //! Generated from `spec/lower/*.rules`.
    #![allow(unused_variables, unused_mut, unused_imports, unused_parens, unused_labels, unreachable_code, clippy::all)]
    use super::*;
    use crate::ir::Inst as Inst_;
    use crate::ir::eval::*;
    use crate::machine::RegClass;
    include!(concat!(env!("OUT_DIR"), "/lower.rs"));
}

mod why {
    //! Generated from `spec/lower/*.rules`: the rules' left sides, which say what does not match.
    #![allow(unused_variables, unused_imports, unused_parens, unused_labels, unreachable_code, clippy::all)]
    use super::*;
    use crate::ir::Inst as Inst_;
    use crate::ir::eval::*;
    include!(concat!(env!("OUT_DIR"), "/why_lower.rs"));
}

const UNASSIGNED: u32 = u32::MAX;
const MANY: u32 = u32::MAX - 1;

/// What the generated rules see.
pub struct Lower<'a> {
    func: &'a Function,
    conventions: &'a [Convention],
    options: &'a Options,
    code: VCode,
    /// Virtual register of each value, once asked for.
    registers: Vec<u32>,
    /// The only instruction that uses a value, MANY, or UNASSIGNED for none.
    user: Vec<u32>,
    /// Number of barriers in its block before each instruction, and the block.
    color: Vec<u32>,
    block_of: Vec<u32>,
    /// Loads folded into another instruction.
    sunk: Vec<bool>,
    /// The operator being lowered: its instructions, and constants to stand before them.
    sequence: Vec<(MInst, Origin)>,
    before: Vec<(MInst, Origin)>,
    /// Constants of this operator, each with its register; and where in the list a value's is, if it is there.
    constants: Vec<(Value, Reg)>,
    constant_at: Vec<u32>,
    origin: Origin,
    site: u32,
    branch: Option<(Cc, Option<(Join, Cc)>)>,
    failure: Option<CompileError>,
    /// Told of every choice of a rule, for `rules why`.
    log: Option<Box<Log>>,
}

/// Lowers a function.
pub fn lower(func: &Function, own: &Convention, conventions: &[Convention], options: &Options) -> Result<VCode> {
    Ok(lower_with(func, own, conventions, options, None)?.0)
}

/// Does the same and tells of every choice of a rule.
pub fn explain(
    func: &Function,
    own: &Convention,
    conventions: &[Convention],
    options: &Options,
) -> Result<(VCode, Box<Log>)> {
    let (code, log) = lower_with(func, own, conventions, options, Some(Box::default()))?;
    Ok((code, log.unwrap_or_default()))
}

fn lower_with(
    func: &Function,
    own: &Convention,
    conventions: &[Convention],
    options: &Options,
    log: Option<Box<Log>>,
) -> Result<(VCode, Option<Box<Log>>)> {
    let mut lower = Lower {
        func,
        conventions,
        options,
        code: VCode::default(),
        registers: vec![UNASSIGNED; func.values.len()],
        user: vec![UNASSIGNED; func.values.len()],
        color: vec![0; func.insts.len()],
        block_of: vec![UNASSIGNED; func.insts.len()],
        sunk: vec![false; func.insts.len()],
        sequence: Vec::new(),
        before: Vec::new(),
        constants: Vec::new(),
        constant_at: vec![0; func.values.len()],
        origin: Origin { wasm_offset: 0, rule: NO_RULE },
        site: NO_SITE,
        branch: None,
        failure: None,
        log,
    };
    lower.code.fired.extend(&func.fired);
    lower.analyse();
    lower.function(own)?;
    let (mut code, log) = (lower.code, lower.log);
    code.finish();
    Ok((code, log))
}

impl Lower<'_> {
    // -- what the rules ask --

    pub fn op(&self, inst: ir::Inst) -> Op {
        self.func.inst(inst).op
    }
    pub fn arg(&self, inst: ir::Inst, number: usize) -> Value {
        self.func.args(inst)[number]
    }
    pub fn imm(&self, inst: ir::Inst) -> u64 {
        self.func.inst(inst).imm
    }
    pub fn aux(&self, inst: ir::Inst) -> u32 {
        self.func.inst(inst).aux
    }
    pub fn def(&self, value: Value) -> Option<ir::Inst> {
        self.func.def(value)
    }
    pub fn const_of(&self, value: Value) -> Option<u64> {
        self.func.constant(value)
    }
    pub fn has(&self, feature: Feature) -> bool {
        self.options.cpu.has(feature)
    }

    /// Whether the instruction that defines `value` may move to `root`: it is used once, on the way to `root` only, and no
    /// barrier stands between.
    pub fn once(&self, root: ir::Inst, value: Value) -> bool {
        let Some(inst) = self.func.def(value) else { return false };
        let (from, to) = (inst.index(), root.index());
        if self.block_of[from] != self.block_of[to]
            || self.color[from] != self.color[to]
            || self.registers[value.index()] != UNASSIGNED
            || self.sunk[from]
        {
            return false;
        }
        let mut value = value;
        for _ in 0..4 {
            let user = self.user[value.index()];
            if user == root.0 {
                return true;
            }
            if user >= MANY || self.func.insts[user as usize].results != 1 {
                return false;
            }
            value = Value(self.func.insts[user as usize].first_result);
            if self.registers[value.index()] != UNASSIGNED {
                return false;
            }
        }
        false
    }

    /// Tells that a rule asks for a form.
    fn asks(&self, log: &mut Log, form: &str, root: ir::Inst, args: &[Value]) {
        let args: Vec<String> = args.iter().map(|arg| format!("{arg:?}")).collect();
        log.begin(format!("{form}({})", args.join(", ")), self.func.inst(root).wasm_offset);
    }

    fn missed(&self, log: &mut Log, premise: &'static str, value: Option<Value>) {
        log.missed(premise, value.map(|value| self.func.shown_value(value)));
    }

    /// Lowers an operator by its rules; false if it has none.
    fn by_rules(&mut self, inst: ir::Inst) -> bool {
        if let Some(mut log) = self.log.take() {
            log.begin(self.func.shown(inst), self.func.inst(inst).wasm_offset);
            why::lower(self, inst, &mut log);
            self.log = Some(log);
        }
        rules::lower(self, inst)
    }

    /// The instruction is now part of another: its fault is reported as its own.
    pub fn sink(&mut self, inst: ir::Inst) {
        self.sunk[inst.index()] = true;
        self.site = self.func.inst(inst).wasm_offset;
    }

    /// Whether a rule is switched off.
    pub fn is_off(&self, rule: u16) -> bool {
        self.options.without == Some(rule)
    }

    /// Enters a rule that fired; gives the rule and access site to return to.
    pub fn enter(&mut self, rule: u16) -> (u16, u32) {
        self.code.fired.push(rule);
        (std::mem::replace(&mut self.origin.rule, rule), self.site)
    }

    /// Leaves a rule. What follows the operator's own rule (a branch) is still of that rule.
    pub fn leave(&mut self, (rule, site): (u16, u32)) {
        if rule != NO_RULE {
            self.origin.rule = rule;
        }
        self.site = site;
    }

    /// The register of a value. A constant is made anew for each operator that uses it.
    pub fn reg(&mut self, value: Value) -> Reg {
        if let Some(inst) = self.func.def(value) {
            if self.sunk[inst.index()] {
                self.failure = Some(CompileError::new(ErrorKind::Limit, "internal: a rule used a folded load twice"));
            }
            if is_cheap_constant(self.func.inst(inst).op) {
                return self.constant(value, inst);
            }
        }
        self.value_register(value)
    }

    pub fn temp(&mut self, class: RegClass) -> Reg {
        self.code.virtual_registers += 1;
        Reg::virtual_register(self.code.virtual_registers - 1, class)
    }

    pub fn result(&mut self, root: ir::Inst, number: usize) -> Reg {
        let data = self.func.inst(root);
        // A constant in the making: its register is on top of the list.
        if is_cheap_constant(data.op)
            && let Some(&(value, reg)) = self.constants.last()
            && value.0 == data.first_result
        {
            return reg;
        }
        self.value_register(Value(data.first_result + number as u32))
    }

    /// The result is the same register as another value's.
    pub fn alias(&mut self, root: ir::Inst, number: usize, reg: Reg) {
        let result = self.result(root, number);
        if result != reg {
            self.code.aliases.insert(result.index(), reg);
        }
    }

    pub fn emit(&mut self, inst: Inst) {
        self.sequence.push((MInst::Machine(inst), self.origin));
    }
    pub fn trap_if(&mut self, cc: Cc, code: TrapCode) {
        self.sequence.push((MInst::TrapIf { cc, code }, self.origin));
    }
    pub fn branch(&mut self, cc: Cc, second: Option<(Join, Cc)>) {
        self.branch = Some((cc, second));
    }
    pub fn amode(&mut self, base: Base, index: Option<Reg>, scale: u8, disp: i32) -> Amode {
        Amode { base, index: index.unwrap_or(Reg::NONE), scale, disp, site: self.site }
    }

    // -- registers --

    fn value_register(&mut self, value: Value) -> Reg {
        let class = class_of(self.func.ty(value));
        let slot = self.registers[value.index()];
        if slot != UNASSIGNED {
            return Reg::virtual_register(slot, class);
        }
        let reg = self.temp(class);
        self.registers[value.index()] = reg.index();
        reg
    }

    fn constant(&mut self, value: Value, inst: ir::Inst) -> Reg {
        let at = &mut self.constant_at[value.index()];
        if let Some(&(known, reg)) = self.constants.get(*at as usize)
            && known == value
        {
            return reg;
        }
        *at = self.constants.len() as u32;
        let reg = self.temp(class_of(self.func.ty(value)));
        self.constants.push((value, reg));
        let sequence = std::mem::take(&mut self.sequence);
        let (origin, site) = (self.origin, self.site);
        self.site = NO_SITE;
        self.by_rules(inst);
        (self.origin, self.site) = (origin, site);
        let made = std::mem::replace(&mut self.sequence, sequence);
        self.before.extend(made);
        reg
    }

    // -- the function --

    fn analyse(&mut self) {
        for &block in &self.func.layout {
            let mut color = 0;
            for &inst in &self.func.blocks[block.index()].insts {
                self.color[inst.index()] = color;
                self.block_of[inst.index()] = block.0;
                color += u32::from(is_barrier(self.func.inst(inst).op));
                for &arg in self.func.args(inst) {
                    let user = &mut self.user[arg.index()];
                    *user = if *user == UNASSIGNED { inst.0 } else { MANY };
                }
                for target in self.func.targets(inst) {
                    for &arg in &target.args {
                        self.user[arg.index()] = MANY;
                    }
                }
            }
        }
    }

    fn function(&mut self, own: &Convention) -> Result<()> {
        let func = self.func;
        let mut number = vec![u32::MAX; func.blocks.len()];
        for (n, block) in func.layout.iter().enumerate() {
            number[block.index()] = n as u32;
        }
        let mut blocks = vec![VBlock::default(); func.layout.len()];
        // Bottom up: everything is collected backwards and turned round at the end.
        let mut insts: Vec<(MInst, Origin)> = Vec::new();
        let mut ends: Vec<(usize, usize)> = vec![(0, 0); func.layout.len()];
        for (n, &block) in func.layout.iter().enumerate().rev() {
            let start = insts.len();
            for &inst in func.blocks[block.index()].insts.iter().rev() {
                let data = func.inst(inst);
                self.origin = Origin { wasm_offset: data.wasm_offset, rule: NO_RULE };
                self.site = if data.op.info().memory_access { data.wasm_offset } else { NO_SITE };
                self.constants.clear();
                if self.sunk[inst.index()] || !self.is_needed(inst) {
                    continue;
                }
                if let Some(log) = &mut self.log {
                    log.instruction(inst);
                }
                if !matches!(data.op.info().kind, OpKind::Ordinary) {
                    self.control(inst, own, &mut blocks[n], &number)?;
                } else if !is_cheap_constant(data.op) && !self.by_rules(inst) {
                    return Err(CompileError::new(ErrorKind::Unsupported, format!("no rule lowers {}", data.op.name())));
                }
                insts.extend(self.sequence.drain(..).rev());
                insts.extend(self.before.drain(..).rev());
                if let Some(failure) = self.failure.take() {
                    return Err(failure.at(u64::from(data.wasm_offset)));
                }
            }
            if block == ENTRY {
                self.parameters(own);
                insts.extend(self.sequence.drain(..).rev());
            }
            ends[n] = (start, insts.len());
        }
        let total = insts.len();
        insts.reverse();
        for (n, &block) in func.layout.iter().enumerate() {
            let (start, end) = ends[n];
            blocks[n].start = (total - end) as u32;
            blocks[n].end = (total - start) as u32;
            blocks[n].loop_depth = func.blocks[block.index()].loop_depth;
            if block != ENTRY {
                let params = &func.blocks[block.index()].params;
                blocks[n].params = params.iter().map(|&param| self.value_register(param).vreg()).collect();
            }
        }
        for n in 0..blocks.len() {
            for succ in blocks[n].succs.clone() {
                blocks[succ.index()].preds.push(regalloc2::Block::new(n));
            }
        }
        (self.code.insts, self.code.origins) = insts.into_iter().unzip();
        self.code.blocks = blocks;
        Ok(())
    }

    fn is_needed(&self, inst: ir::Inst) -> bool {
        has_effect(self.op(inst)) || self.func.results(inst).any(|value| self.registers[value.index()] != UNASSIGNED)
    }

    fn parameters(&mut self, own: &Convention) {
        let params = &self.func.blocks[ENTRY.index()].params;
        let mut defs = Vec::new();
        let mut loads = Vec::new();
        for (&param, place) in params.iter().zip(&own.parameters) {
            let used = self.registers[param.index()] != UNASSIGNED;
            let reg = self.value_register(param);
            match place {
                Place::Register(place) => defs.push((reg, *place)),
                Place::Word(word) if used => loads.push((reg, *word)),
                Place::Word(_) => {}
            }
        }
        self.origin = Origin { wasm_offset: 0, rule: NO_RULE };
        self.sequence.push((MInst::Entry(defs.into()), self.origin));
        for (reg, word) in loads {
            self.load_word(reg, Amode::new(Base::Incoming, 8 * word as i32));
        }
    }

    fn load_word(&mut self, dst: Reg, m: Amode) {
        self.emit(match dst.class() {
            RegClass::Int => Inst::Load64 { dst, m },
            RegClass::Float => Inst::MovsdLoad { dst, m },
        });
    }

    fn store_word(&mut self, m: Amode, src: Reg) {
        self.emit(match src.class() {
            RegClass::Int => Inst::Store64 { m, src },
            RegClass::Float => Inst::MovsdStore { m, src },
        });
    }

    /// Terminators and calls.
    fn control(&mut self, inst: ir::Inst, own: &Convention, block: &mut VBlock, number: &[u32]) -> Result<()> {
        let op = self.op(inst);
        match op {
            Op::Br | Op::BrIf | Op::BrTable => {
                self.successors(inst, block, number);
                match op {
                    Op::Br => self.sequence.push((MInst::Jump, self.origin)),
                    Op::BrIf => {
                        self.by_rules(inst);
                        let (cc, second) = self.branch.take().unwrap_or((Cc::NE, None));
                        self.sequence.push((MInst::Branch { cc, second }, self.origin));
                    }
                    _ => {
                        let index = self.reg(self.arg(inst, 0));
                        let (clamped, table) = (self.temp(RegClass::Int), self.temp(RegClass::Int));
                        let entries = self.func.tables[self.imm(inst) as usize].clone().into();
                        self.sequence.push((MInst::BranchTable { index, clamped, table, entries }, self.origin));
                    }
                }
            }
            Op::Return => self.ret(inst, own),
            Op::Unreachable => self.sequence.push((MInst::Trap { code: TrapCode::Unreachable }, self.origin)),
            _ => self.call(inst)?,
        }
        Ok(())
    }

    fn successors(&mut self, inst: ir::Inst, block: &mut VBlock, number: &[u32]) {
        block.arg_starts.push(0);
        for target in self.func.targets(inst) {
            block.succs.push(regalloc2::Block::new(number[target.block.index()] as usize));
            for &arg in &target.args {
                let reg = self.reg(arg);
                block.args.push(reg.vreg());
            }
            block.arg_starts.push(block.args.len() as u32);
        }
    }

    fn ret(&mut self, inst: ir::Inst, own: &Convention) {
        let mut uses = Vec::new();
        for (n, place) in own.results.iter().enumerate() {
            let reg = self.reg(self.arg(inst, n));
            match place {
                Place::Register(place) => uses.push((reg, *place)),
                Place::Word(word) => {
                    let at = 8 * (own.parameter_words + word) as i32;
                    self.store_word(Amode::new(Base::Incoming, at), reg);
                }
            }
        }
        let pop = 8 * own.parameter_words;
        self.sequence.push((MInst::Return { uses: uses.into(), pop }, self.origin));
    }

    fn call(&mut self, inst: ir::Inst) -> Result<()> {
        let data = *self.func.inst(inst);
        let gate;
        let (callee, convention, first) = match data.op {
            Op::Call => (Callee::Function(data.imm as u32), &self.conventions[data.aux as usize], 0),
            Op::CallImport => (Callee::Import(data.imm as u32 as i32), &self.conventions[data.aux as usize], 0),
            Op::CallSlot => {
                let (slot, signature) = (self.reg(self.arg(inst, 0)), self.reg(self.arg(inst, 1)));
                self.sequence.push((MInst::CheckSignature { slot, signature }, self.origin));
                (Callee::Slot(slot), &self.conventions[data.aux as usize], 2)
            }
            _ => {
                let args = vec![Type::I32; self.func.args(inst).len()];
                gate = Convention::new(&args, &vec![Type::I32; data.results as usize]);
                (Callee::Gate(data.imm as u32), &gate, 0)
            }
        };
        self.code.outgoing = self.code.outgoing.max(convention.outgoing_bytes());
        let mut uses = Vec::new();
        for (n, place) in convention.parameters.iter().enumerate() {
            let reg = self.reg(self.arg(inst, first + n));
            match place {
                Place::Register(place) => uses.push((reg, *place)),
                Place::Word(word) => self.store_word(Amode::new(Base::Stack, 8 * *word as i32), reg),
            }
        }
        let (mut defs, mut loads) = (Vec::new(), Vec::new());
        for (n, place) in convention.results.iter().enumerate() {
            let value = Value(data.first_result + n as u32);
            let used = self.registers[value.index()] != UNASSIGNED;
            match place {
                Place::Register(place) => {
                    let reg = self.value_register(value);
                    defs.push((reg, *place));
                }
                Place::Word(word) if used => loads.push((self.value_register(value), convention.parameter_words + word)),
                Place::Word(_) => {}
            }
        }
        let pop = 8 * convention.parameter_words;
        self.sequence.push((MInst::Call(Box::new(Call { callee, uses, defs, pop })), self.origin));
        for (reg, word) in loads {
            self.load_word(reg, Amode::new(Base::Stack, 8 * word as i32));
        }
        Ok(())
    }
}

/// Constants made at each use instead of kept in registers.
pub fn is_cheap_constant(op: Op) -> bool {
    matches!(op, Op::I32Const | Op::I64Const)
}
