//! What one function may take: bounds on what grows faster than its body.
//!
//! A body of a few megabytes can ask for billions of block parameters, live ranges or steps through the dominator tree. Each
//! stage that could be made to work that long asks here first; the answer is an error with the function's place, not an
//! hour. Real functions stay below every bound by a factor of a hundred.

use crate::error::{CompileError, ErrorKind};
use crate::vcode::{MInst, VCode};
use regalloc2::{Function as _, Inst, OperandKind};

/// Values of a function's IR.
pub const VALUES: usize = 1 << 22;
/// Arguments that branches pass to block parameters.
pub const BRANCH_ARGUMENTS: usize = 1 << 23;
/// Blocks looked at in search of locals' values.
pub const STEPS: usize = 1 << 25;
/// Steps from block to dominator.
pub const DOMINATOR_STEPS: usize = 1 << 27;
/// Blocks of one function.
const BLOCKS: usize = 1 << 19;
/// Parameters of one block, and values alive at once in a block of a loop: the allocator weighs each against all others.
const VALUES_OF_BLOCK: usize = 1 << 13;
/// Calls of one function: each takes every register from the allocator.
const CALLS: usize = 1 << 19;
/// Values alive at the start of a block, added up over the blocks.
const LIVE_VALUES: usize = 1 << 26;

/// The error of a function that goes beyond one of them.
pub fn exceeded(what: &str) -> CompileError {
    CompileError::new(ErrorKind::Limit, format!("the function is too large: {what}"))
}

/// Whether the register allocator can be expected to finish.
pub fn check(code: &VCode) -> Result<(), CompileError> {
    if code.insts.iter().filter(|inst| matches!(inst, MInst::Call(_))).count() > CALLS {
        return Err(exceeded("too many calls"));
    }
    if code.blocks.len() > BLOCKS {
        return Err(exceeded("too many blocks"));
    }
    if code.blocks.iter().any(|block| block.params.len() > VALUES_OF_BLOCK) {
        return Err(exceeded("too many values meet at a branch"));
    }
    if dominator_steps(code) > DOMINATOR_STEPS {
        return Err(exceeded("its branches are nested too deeply"));
    }
    if !is_liveness_small(code) {
        return Err(exceeded("too many values are alive at once"));
    }
    Ok(())
}

/// Steps the allocator's walk to common dominators takes (Cooper, Harvey, Kennedy), counted up to the bound.
fn dominator_steps(code: &VCode) -> usize {
    let count = code.blocks.len();
    if count.saturating_mul(count) <= DOMINATOR_STEPS {
        return 0;
    }
    let order = reverse_postorder(code);
    let mut number = vec![u32::MAX; count];
    for (n, &block) in order.iter().enumerate() {
        number[block] = n as u32;
    }
    let mut dominator = vec![usize::MAX; count];
    dominator[0] = 0;
    let mut steps = 0;
    for &block in &order[1..] {
        let mut meet = usize::MAX;
        for pred in code.blocks[block].preds.iter().map(|pred| pred.index()) {
            if dominator[pred] == usize::MAX {
                continue;
            }
            let mut other = pred;
            meet = if meet == usize::MAX { pred } else { meet };
            while meet != other && steps <= DOMINATOR_STEPS {
                let further = if number[meet] > number[other] { &mut meet } else { &mut other };
                *further = dominator[*further];
                steps += 1;
            }
        }
        dominator[block] = meet;
        if steps > DOMINATOR_STEPS {
            break;
        }
    }
    steps
}

fn reverse_postorder(code: &VCode) -> Vec<usize> {
    let mut seen = vec![false; code.blocks.len()];
    let mut order = Vec::with_capacity(code.blocks.len());
    let mut stack = vec![(0, 0)];
    seen[0] = true;
    while let Some((block, next)) = stack.last_mut() {
        match code.blocks[*block].succs.get(*next) {
            Some(succ) => {
                *next += 1;
                if !std::mem::replace(&mut seen[succ.index()], true) {
                    stack.push((succ.index(), 0));
                }
            }
            None => {
                order.push(*block);
                stack.pop();
            }
        }
    }
    order.reverse();
    order
}

/// Counts the values alive at the start of each block, from each use backwards to the definition, up to the bounds.
fn is_liveness_small(code: &VCode) -> bool {
    let (blocks, registers) = (code.blocks.len(), code.virtual_registers as usize);
    if registers <= VALUES_OF_BLOCK && blocks * registers <= LIVE_VALUES {
        return true;
    }
    const NOWHERE: u32 = u32::MAX;
    // Inside the blocks of loops, from the end: a value is alive from its last use up to its definition.
    let mut last_use = vec![NOWHERE; registers];
    for (number, block) in code.blocks.iter().enumerate().filter(|(_, block)| block.loop_depth > 0) {
        let mut alive = 0usize;
        for at in (block.start..block.end).rev() {
            for operand in code.inst_operands(Inst::new(at as usize)) {
                let seen = &mut last_use[operand.vreg().vreg()];
                match operand.kind() {
                    OperandKind::Use => alive += usize::from(std::mem::replace(seen, number as u32) != number as u32),
                    OperandKind::Def => alive -= usize::from(std::mem::replace(seen, NOWHERE) == number as u32),
                }
            }
            if alive > VALUES_OF_BLOCK {
                return false;
            }
        }
    }
    let mut definition = vec![NOWHERE; registers];
    let mut uses: Vec<(u32, u32)> = Vec::new();
    for (number, block) in code.blocks.iter().enumerate() {
        let number = number as u32;
        for param in &block.params {
            definition[param.vreg()] = number;
        }
        for at in block.start..block.end {
            for operand in code.inst_operands(Inst::new(at as usize)) {
                match operand.kind() {
                    OperandKind::Use => uses.push((operand.vreg().vreg() as u32, number)),
                    OperandKind::Def => definition[operand.vreg().vreg()] = number,
                }
            }
        }
        uses.extend(block.args.iter().map(|arg| (arg.vreg() as u32, number)));
    }
    uses.retain(|&(register, block)| definition[register as usize] != block);
    uses.sort_unstable();
    let mut seen = vec![NOWHERE; blocks];
    let mut alive = vec![0usize; blocks];
    let (mut total, mut work) = (0, Vec::new());
    for (register, block) in uses {
        work.push(block);
        while let Some(block) = work.pop() {
            if definition[register as usize] == block || std::mem::replace(&mut seen[block as usize], register) == register {
                continue;
            }
            total += 1;
            alive[block as usize] += 1;
            if alive[block as usize] > VALUES_OF_BLOCK && code.blocks[block as usize].loop_depth > 0 {
                return false;
            }
            work.extend(code.blocks[block as usize].preds.iter().map(|pred| pred.index() as u32));
        }
        if total > LIVE_VALUES {
            return false;
        }
    }
    true
}
