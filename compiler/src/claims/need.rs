//! The way back through a function: which words are live at each label, and which facts anything depends on.
//!
//! Both are sets of registers and words that flow backward over the instructions until they no longer grow. Liveness needs
//! nothing but the instructions; it limits what `known` keeps. Need comes last, from what the way forward noted.

use super::{Analysis, Found, Item, found};
use vwasm_checker::form::{Effect, Operand, Transfer};
use vwasm_checker::state::RAX;

const WORDS: u32 = 16;

/// For each label a set: 16 registers, then words.
pub struct Rows {
    width: usize,
    bits: Vec<u64>,
}

/// One label's set.
#[derive(Clone, Copy)]
pub struct Row<'a>(&'a [u64]);

impl Row<'_> {
    pub fn has(self, n: u32) -> bool {
        self.0.get(n as usize / 64).is_some_and(|bits| bits >> (n % 64) & 1 != 0)
    }
}

impl Rows {
    pub fn row(&self, label: usize) -> Row<'_> {
        Row(&self.bits[label * self.width..(label + 1) * self.width])
    }

    /// Numbers of the words in a label's set, ascending.
    pub fn words(&self, label: usize) -> impl Iterator<Item = u32> {
        let row = self.row(label).0;
        (0u32..)
            .zip(row)
            .flat_map(|(n, &bits)| {
                let mut bits = bits;
                core::iter::from_fn(move || {
                    let bit = (bits != 0).then(|| bits.trailing_zeros())?;
                    bits &= bits - 1;
                    Some(64 * n + bit)
                })
            })
            .filter_map(|n| n.checked_sub(WORDS))
    }
}

/// The set at one point.
struct Set<'a> {
    bits: Vec<u64>,
    analysis: &'a Analysis<'a>,
}

impl Set<'_> {
    fn add(&mut self, n: u32) {
        self.bits[n as usize / 64] |= 1 << (n % 64);
    }

    /// Takes an element out; whether it was in.
    fn take(&mut self, n: u32) -> bool {
        let (bits, bit) = (&mut self.bits[n as usize / 64], 1 << (n % 64));
        let was = *bits & bit != 0;
        *bits &= !bit;
        was
    }

    fn add_registers(&mut self, registers: u16) {
        self.bits[0] |= u64::from(registers);
    }

    /// Adds a word by its number in the frame.
    fn add_word(&mut self, word: Option<u32>) {
        if let Some(word) = word
            && let Ok(number) = self.analysis.words.binary_search(&word)
        {
            self.add(WORDS + number as u32);
        }
    }

    fn add_row(&mut self, rows: &Rows, label: usize) {
        for (bits, more) in self.bits.iter_mut().zip(rows.row(label).0) {
            *bits |= more;
        }
    }
}

/// The words live at each label.
pub fn live(analysis: &Analysis<'_>) -> Rows {
    let outgoing = analysis.step.module.types.iter().map(|ty| ty.parameters.words.len()).max().unwrap_or(0);
    let area: Vec<Option<u32>> = (0..outgoing as i64).map(|k| analysis.word_at(8 * k - i64::from(analysis.frame))).collect();
    backward(analysis, |set, item| match item.instruction.form.transfer {
        Transfer::Next => {
            let Some(word) = item.word else { return };
            if item.stores() {
                set.take(WORDS + word);
            } else {
                set.add(WORDS + word);
            }
        }
        Transfer::Call | Transfer::CallMemory => area.iter().for_each(|word| set.add_word(*word)),
        _ => {}
    })
}

/// The facts needed at each label.
pub fn needed(analysis: &Analysis<'_>) -> Rows {
    backward(analysis, |set, item| match item.instruction.form.transfer {
        Transfer::Next => ordinary(set, item),
        Transfer::Call | Transfer::CallMemory => {
            set.bits[0] &= !0xffff;
            if let Some(ty) = item.callee.and_then(|ty| analysis.step.module.types.get(ty as usize)) {
                set.add_registers(ty.parameters.narrow);
                for (k, narrow) in (0..).zip(&ty.parameters.words) {
                    if *narrow {
                        set.add_word(analysis.word_at(8 * k - i64::from(analysis.frame)));
                    }
                }
            }
            if item.instruction.form.transfer == Transfer::CallMemory {
                set.add(RAX.into());
            }
        }
        Transfer::JumpRegister => {
            if let Found::Register(number) = found(&item.instruction, 0) {
                set.add(number.into());
            }
        }
        Transfer::Return => set.add_registers(analysis.step.signature.results.narrow),
        _ => {}
    })
}

fn ordinary(set: &mut Set<'_>, item: &Item) {
    let (instruction, form) = (&item.instruction, item.instruction.form);
    let operands = || (0..form.count).map(|n| (instruction.operand(n), found(instruction, n)));
    let mut wanted = false;
    match found(instruction, 0) {
        _ if !instruction.operand(0).is(Operand::WRITTEN) => {}
        Found::Register(number) => wanted = set.take(number.into()),
        Found::Memory if !instruction.operand(0).is(Operand::VECTOR) => {
            if let Some(word) = item.word {
                wanted = set.take(WORDS + word);
            }
        }
        _ => {}
    }
    set.bits[0] &= !u64::from(form.implicit | form.implicit32);
    // A 32-bit result is zero-extended whatever it is made of.
    let narrow = instruction.operand(0).width == 4 && matches!(found(instruction, 0), Found::Register(_) | Found::Vector);
    let made = !matches!(form.effect, Effect::Nothing | Effect::Unknown | Effect::Zero);
    let result = wanted && made && (!narrow || item.exact);
    for (operand, found) in operands() {
        match found {
            Found::Register(number) if result || item.depends => set.add(number.into()),
            Found::Memory => {
                if operand.is(Operand::MEMORY) || result {
                    item.address().for_each(|register| set.add(register.into()));
                }
                if result && let Some(word) = item.word {
                    set.add(WORDS + word);
                }
            }
            _ => {}
        }
    }
}

/// Runs `before` (from the set behind an instruction to the one in front of it) until no label's set grows.
fn backward(analysis: &Analysis<'_>, before: impl Fn(&mut Set<'_>, &Item)) -> Rows {
    let width = (WORDS as usize + analysis.words.len()).div_ceil(64);
    let mut rows = Rows { width, bits: vec![0; width * analysis.labels.len()] };
    let signature = analysis.step.signature;
    let results: Vec<u32> = (0..signature.results.words.len() as u32).collect();
    let mut grown = true;
    let mut rounds = 0;
    while grown && rounds < 64 {
        (grown, rounds) = (false, rounds + 1);
        let mut set = Set { bits: vec![0; width], analysis };
        let mut label = analysis.labels.len();
        for item in analysis.items.iter().rev() {
            let transfer = item.instruction.form.transfer;
            if matches!(transfer, Transfer::Jump | Transfer::JumpRegister | Transfer::Return | Transfer::Trap) {
                set.bits.fill(0);
            }
            match (transfer, item.label) {
                (Transfer::Jump | Transfer::JumpIf, Some(label)) => set.add_row(&rows, label as usize),
                (Transfer::JumpRegister, _) => analysis.entries.iter().for_each(|&n| set.add_row(&rows, n as usize)),
                (Transfer::Return, _) => results.iter().for_each(|word| set.add_word(Some(*word))),
                _ => {}
            }
            before(&mut set, item);
            let at = item.instruction.at;
            while label > 0 && analysis.labels[label - 1] >= at {
                label -= 1;
                if analysis.labels[label] != at {
                    continue;
                }
                for (bits, more) in rows.bits[label * width..(label + 1) * width].iter_mut().zip(&set.bits) {
                    grown |= more & !*bits != 0;
                    *bits |= more;
                }
            }
        }
    }
    rows
}
