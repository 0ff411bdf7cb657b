//! Locals to SSA values, on demand (Braun et al., "Simple and Efficient Construction of Static Single Assignment Form").
//!
//! A local read in a block that does not set it is looked for in the predecessors; only a join that needs it gets a
//! parameter. A block is sealed when no further predecessor can come. Nothing recurses: parameters whose arguments are
//! still to be found wait in a list. Parameters that turn out to have one value are removed at the end.
//!
//! Control is structured, so a local that is not set inside a construct has at its end the value it had at its start:
//! the construct's joins are skipped, and many locals times many blocks do not make as many parameters.

use crate::ir::{Block, ENTRY, Function, Inst, Type, Value, ValueDef, constant_op};
use crate::limits::{BRANCH_ARGUMENTS, STEPS};
use rustc_hash::FxHashMap;

/// What lies between a join and the block in front of its construct.
#[derive(Clone, Copy)]
pub struct Construct {
    /// The block that was being filled when the construct began.
    pub before: Block,
    /// Number of local.set before the construct, and before its end.
    pub from: u32,
    pub to: u32,
}

#[derive(Default)]
struct BlockState {
    sealed: bool,
    construct: Option<Construct>,
    /// The construct together with all that precede it directly.
    series: Option<Construct>,
    /// Predecessors: the block and the number of the edge among the function's targets.
    preds: Vec<(Block, u32)>,
    /// Parameters made before the block was sealed: their local, and their number in the block.
    incomplete: Vec<(u32, u32)>,
    /// Parameters that are not locals (block results) come first.
    defs: FxHashMap<u32, Value>,
}

#[derive(Default)]
pub struct Ssa {
    blocks: Vec<BlockState>,
    pub local_types: Vec<Type>,
    /// For each local that is set, when: numbers of local.set.
    sets: FxHashMap<u32, Vec<u32>>,
    clock: u32,
    /// Blocks looked at so far. Beyond the limit the function will be refused.
    pub steps: usize,
    /// Parameters whose arguments are to be found: block, local, number in the block.
    pending: Vec<(Block, u32, u32)>,
    zeros: FxHashMap<Type, Value>,
    zero_insts: Vec<Inst>,
    /// Arguments given to parameters so far. Beyond the limit no more are looked for: the function will be refused.
    pub branch_arguments: usize,
}

impl Ssa {
    fn state(&mut self, block: Block) -> &mut BlockState {
        let needed = block.index() + 1;
        if self.blocks.len() < needed {
            self.blocks.resize_with(needed, BlockState::default);
        }
        &mut self.blocks[block.index()]
    }

    pub fn has_preds(&mut self, block: Block) -> bool {
        !self.state(block).preds.is_empty()
    }

    pub fn write(&mut self, block: Block, local: u32, value: Value) {
        self.sets.entry(local).or_default().push(self.clock);
        self.clock += 1;
        self.state(block).defs.insert(local, value);
    }

    /// Number of local.set so far.
    pub fn clock(&self) -> u32 {
        self.clock
    }

    /// Whether a local keeps its value through a construct.
    fn passes(&self, construct: Construct, local: u32) -> bool {
        self.sets.get(&local).is_none_or(|sets| {
            let first = sets.partition_point(|&at| at < construct.from);
            sets.get(first).is_none_or(|&at| at >= construct.to)
        })
    }

    /// Notes an edge; `target` is its number among the function's targets.
    pub fn add_edge(&mut self, from: Block, to: Block, target: u32) {
        self.state(to).preds.push((from, target));
    }

    /// No further predecessor will come. `construct` says what a join belongs to.
    pub fn seal(&mut self, func: &mut Function, block: Block, construct: Option<Construct>) {
        let series = construct.map(|construct| match self.state(construct.before).series {
            Some(earlier) => Construct { to: construct.to, ..earlier },
            None => construct,
        });
        let state = self.state(block);
        state.sealed = true;
        (state.construct, state.series) = (construct, series);
        for (local, number) in std::mem::take(&mut state.incomplete) {
            self.pending.push((block, local, number));
        }
        self.settle(func);
    }

    pub fn read(&mut self, func: &mut Function, block: Block, local: u32) -> Value {
        let value = self.find(func, block, local);
        self.settle(func);
        value
    }

    /// The value of a local at a block's end; may make parameters whose arguments are pending.
    fn find(&mut self, func: &mut Function, block: Block, local: u32) -> Value {
        let mut path = Vec::new();
        let mut at = block;
        let value = loop {
            let state = self.state(at);
            if let Some(&value) = state.defs.get(&local) {
                break value;
            }
            path.push(at);
            let skipped = [state.series, state.construct];
            if let Some(construct) = skipped.into_iter().flatten().find(|construct| self.passes(*construct, local)) {
                at = construct.before;
                continue;
            }
            let state = self.state(at);
            match (state.sealed, state.preds.as_slice()) {
                (true, [(pred, _)]) => at = *pred,
                (true, []) => break self.zero(func, local),
                (sealed, _) => {
                    let ty = self.local_types[local as usize];
                    let number = func.blocks[at.index()].params.len() as u32;
                    let value = func.new_param(at, ty);
                    if sealed {
                        self.pending.push((at, local, number));
                    } else {
                        self.state(at).incomplete.push((local, number));
                    }
                    break value;
                }
            }
        };
        self.steps += path.len();
        // Further walks end here; after a long one a mark now and then is enough.
        for at in path.iter().step_by(1 + path.len() / 64) {
            self.state(*at).defs.insert(local, value);
        }
        value
    }

    fn settle(&mut self, func: &mut Function) {
        while let Some((block, local, number)) = self.pending.pop() {
            let number = number as usize;
            self.branch_arguments += self.state(block).preds.len();
            if self.branch_arguments > BRANCH_ARGUMENTS || self.steps > STEPS {
                self.pending.clear();
                return;
            }
            let construct = self.state(block).construct.filter(|construct| self.passes(*construct, local));
            let param = func.blocks[block.index()].params[number];
            for n in 0..self.state(block).preds.len() {
                let (pred, target) = self.state(block).preds[n];
                let value = match construct {
                    Some(construct) if construct.before != pred => param,
                    _ => self.find(func, pred, local),
                };
                let args = &mut func.targets[target as usize].args;
                if args.len() <= number {
                    args.resize(number + 1, value);
                }
                args[number] = value;
            }
        }
    }

    /// Locals start as zero.
    fn zero(&mut self, func: &mut Function, local: u32) -> Value {
        let ty = self.local_types[local as usize];
        *self.zeros.entry(ty).or_insert_with(|| {
            let inst = func.new_inst(constant_op(ty), 0, 0, &[], &[ty], 0);
            self.zero_insts.push(inst);
            Value(func.inst(inst).first_result)
        })
    }

    /// The zeros' instructions, which belong at the function's start.
    pub fn take_zeros(&mut self) -> Vec<Inst> {
        std::mem::take(&mut self.zero_insts)
    }
}

/// Removes parameters that always have the same value, until none is left, and resolves all aliases.
pub fn remove_redundant_params(func: &mut Function) {
    let count = func.blocks.len();
    let mut edges: Vec<Vec<u32>> = vec![Vec::new(); count];
    for &block in &func.layout {
        if let Some(inst) = func.terminator(block) {
            let span = func.inst(inst).targets;
            for target in span.range() {
                edges[func.targets[target].block.index()].push(target as u32);
            }
        }
    }
    let mut removed: Vec<Vec<bool>> = func.blocks.iter().map(|block| vec![false; block.params.len()]).collect();
    let mut work: Vec<Block> = func.layout.iter().rev().copied().filter(|&block| block != ENTRY).collect();
    let mut queued = vec![true; count];
    // Blocks that pass a parameter of this block on.
    let mut users: FxHashMap<Value, Vec<Block>> = FxHashMap::default();
    for target in &func.targets {
        for &arg in &target.args {
            if let ValueDef::Param(_) = func.values[arg.index()].def {
                users.entry(arg).or_default().push(target.block);
            }
        }
    }
    while let Some(block) = work.pop() {
        queued[block.index()] = false;
        for n in 0..func.blocks[block.index()].params.len() {
            if removed[block.index()][n] {
                continue;
            }
            let param = func.blocks[block.index()].params[n];
            let mut same = None;
            let mut differ = false;
            for &edge in &edges[block.index()] {
                let Some(&arg) = func.targets[edge as usize].args.get(n) else { continue };
                let arg = func.resolve(arg);
                if arg == param {
                    continue;
                }
                match same {
                    None => same = Some(arg),
                    Some(other) if other == arg => {}
                    Some(_) => {
                        differ = true;
                        break;
                    }
                }
            }
            if let (Some(value), false) = (same, differ) {
                func.values[param.index()].def = ValueDef::Alias(value);
                removed[block.index()][n] = true;
                let mut again = users.remove(&param).unwrap_or_default();
                again.retain(|user| !std::mem::replace(&mut queued[user.index()], true));
                work.extend(again.iter().copied());
                // Whoever passed the parameter on now passes the value on.
                let moved: Vec<Block> = again;
                if let ValueDef::Param(_) = func.values[value.index()].def {
                    users.entry(value).or_default().extend(moved);
                }
            }
        }
    }
    for (index, removed) in removed.iter().enumerate() {
        if removed.contains(&true) {
            let mut keep = removed.iter().map(|removed| !removed);
            func.blocks[index].params.retain(|_| keep.next().unwrap_or(true));
            for &edge in &edges[index] {
                let mut keep = removed.iter().map(|removed| !removed);
                func.targets[edge as usize].args.retain(|_| keep.next().unwrap_or(true));
            }
        }
    }
    func.resolve_aliases();
}
