//! The control-flow graph of a function: order, dominators, and changes that keep its meaning.
//!
//! Everything here is linear or nearly so in blocks and edges, and nothing recurses.

use crate::ir::{Block, BlockCall, ENTRY, Function, Op, Span, ValueDef};
use crate::limits::DOMINATOR_STEPS;

/// Keeps the reachable blocks of the layout.
pub fn drop_unreachable(func: &mut Function) {
    let mut seen = vec![false; func.blocks.len()];
    let mut work = vec![ENTRY];
    seen[ENTRY.index()] = true;
    while let Some(block) = work.pop() {
        for target in func.successors(block) {
            if !std::mem::replace(&mut seen[target.block.index()], true) {
                work.push(target.block);
            }
        }
    }
    func.layout.retain(|block| seen[block.index()]);
}

/// Immediate dominators (Cooper, Harvey, Kennedy, "A Simple, Fast Dominance Algorithm").
pub struct DominatorTree {
    pub children: Vec<Vec<Block>>,
}

impl DominatorTree {
    /// None if it takes more steps than [`DOMINATOR_STEPS`].
    pub fn new(func: &Function) -> Option<DominatorTree> {
        let count = func.blocks.len();
        let order = postorder(func);
        let mut number = vec![u32::MAX; count];
        for (n, block) in order.iter().enumerate() {
            number[block.index()] = n as u32;
        }
        let mut preds: Vec<Vec<Block>> = vec![Vec::new(); count];
        for &block in &order {
            for target in func.successors(block) {
                preds[target.block.index()].push(block);
            }
        }
        let mut dominator: Vec<Option<Block>> = vec![None; count];
        dominator[ENTRY.index()] = Some(ENTRY);
        let mut steps = DOMINATOR_STEPS;
        let mut changed = true;
        while changed {
            changed = false;
            for &block in order.iter().rev().filter(|&&block| block != ENTRY) {
                let mut new: Option<Block> = None;
                for &pred in &preds[block.index()] {
                    if dominator[pred.index()].is_none() {
                        continue;
                    }
                    new = Some(match new {
                        None => pred,
                        Some(other) => meet(&dominator, &number, other, pred, &mut steps)?,
                    });
                }
                if new != dominator[block.index()] {
                    dominator[block.index()] = new;
                    changed = true;
                }
            }
        }
        let mut children = vec![Vec::new(); count];
        for &block in order.iter().rev().filter(|&&block| block != ENTRY) {
            if let Some(parent) = dominator[block.index()] {
                children[parent.index()].push(block);
            }
        }
        Some(DominatorTree { children })
    }
}

fn meet(dominator: &[Option<Block>], number: &[u32], mut a: Block, mut b: Block, steps: &mut usize) -> Option<Block> {
    while a != b {
        *steps = steps.checked_sub(1)?;
        let further = if number[a.index()] < number[b.index()] { &mut a } else { &mut b };
        *further = dominator[further.index()].unwrap_or(ENTRY);
    }
    Some(a)
}

pub fn postorder(func: &Function) -> Vec<Block> {
    let mut seen = vec![false; func.blocks.len()];
    let mut order = Vec::with_capacity(func.layout.len());
    let mut stack = vec![(ENTRY, 0)];
    seen[ENTRY.index()] = true;
    while let Some((block, next)) = stack.last_mut() {
        match func.successors(*block).get(*next) {
            Some(target) => {
                *next += 1;
                if !std::mem::replace(&mut seen[target.block.index()], true) {
                    stack.push((target.block, 0));
                }
            }
            None => {
                order.push(*block);
                stack.pop();
            }
        }
    }
    order
}

/// Splits edges from blocks with several successors to blocks with several predecessors, as the register allocator needs.
pub fn split_critical_edges(func: &mut Function) {
    let preds = predecessor_counts(func);
    let mut place = vec![0u32; func.blocks.len()];
    for (n, block) in func.layout.iter().enumerate() {
        place[block.index()] = n as u32;
    }
    let mut layout = Vec::with_capacity(func.layout.len());
    let mut late = Vec::new();
    for (n, block) in std::mem::take(&mut func.layout).into_iter().enumerate() {
        layout.push(block);
        let Some(inst) = func.terminator(block) else { continue };
        let span = func.inst(inst).targets;
        if span.len < 2 {
            continue;
        }
        for at in span.range() {
            let target = func.targets[at].block;
            if preds[target.index()] < 2 {
                continue;
            }
            let edge = func.new_block();
            let args = std::mem::take(&mut func.targets[at].args);
            func.targets[at].block = edge;
            let jump = func.new_inst(Op::Br, 0, 0, &[], &[], func.inst(inst).wasm_offset);
            let start = func.targets.len() as u32;
            func.targets.push(BlockCall { block: target, args });
            func.insts[jump.index()].targets = Span { start, len: 1 };
            func.blocks[edge.index()].insts.push(jump);
            // A back edge stays where it is taken from; a way out of the loop does not stand in the loop's path.
            let depth = func.blocks[target.index()].loop_depth;
            func.blocks[edge.index()].loop_depth = depth;
            let backward = place[target.index()] <= n as u32;
            if backward || depth == func.blocks[block.index()].loop_depth {
                layout.push(edge);
            } else {
                late.push(edge);
            }
        }
    }
    layout.extend(late);
    func.layout = layout;
}

/// The number of edges to each block, from reachable blocks.
pub fn predecessor_counts(func: &Function) -> Vec<u32> {
    let mut counts = vec![0u32; func.blocks.len()];
    for &block in &func.layout {
        for target in func.successors(block) {
            counts[target.block.index()] += 1;
        }
    }
    counts
}

/// Joins a block that jumps on with the block it jumps to, if no other edge leads there.
pub fn merge_chains(func: &mut Function) {
    let preds = predecessor_counts(func);
    let mut gone = vec![false; func.blocks.len()];
    let mut renamed = false;
    for at in 0..func.layout.len() {
        let block = func.layout[at];
        if gone[block.index()] {
            continue;
        }
        while let Some(inst) = func.terminator(block) {
            if func.inst(inst).op != Op::Br {
                break;
            }
            let edge = func.inst(inst).targets.start as usize;
            let next = func.targets[edge].block;
            if next == ENTRY || next == block || preds[next.index()] != 1 {
                break;
            }
            let args = std::mem::take(&mut func.targets[edge].args);
            for (param, arg) in std::mem::take(&mut func.blocks[next.index()].params).into_iter().zip(args) {
                func.values[param.index()].def = ValueDef::Alias(arg);
                renamed = true;
            }
            let insts = std::mem::take(&mut func.blocks[next.index()].insts);
            let depth = func.blocks[next.index()].loop_depth;
            let data = &mut func.blocks[block.index()];
            data.insts.pop();
            data.insts.extend(insts);
            data.loop_depth = data.loop_depth.min(depth);
            gone[next.index()] = true;
        }
    }
    func.layout.retain(|block| !gone[block.index()]);
    if renamed {
        func.resolve_aliases();
    }
}
