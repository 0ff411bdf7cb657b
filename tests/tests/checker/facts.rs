//! The checker's judgement of one instruction on silicon: facts that are true of a state before it, and the registers and flags
//! that the CPU leaves, of which the facts afterwards must be true.

use vwasm::claims::decode;
use vwasm_checker::fact::{Fact, MAX32, View};
use vwasm_checker::layout::InstanceShape;
use vwasm_checker::state::{Known as More, R15, RSP, State as Known};
use vwasm_checker::{Checker, Module, Signature, Unit};
use vwasm_tests::model::State;
use vwasm_tests::random::Random;

pub struct Judge {
    module: Module<'static>,
}

/// Whether a fact is true of a value; memory 0 begins at `start`.
fn holds(fact: Fact, value: u64, start: u64) -> bool {
    match fact.view() {
        View::Unknown => true,
        View::Max(bound) => value <= bound,
        View::OffsetMax(bound) => value % 16 == 0 && value / 16 <= bound,
        View::Memory { memory: 0, max } => value.wrapping_sub(start) <= max,
        _ => false,
    }
}

/// A fact that is true of a value.
fn some(value: u64, start: u64, random: &mut Random) -> Fact {
    let slack = random.bits(64) >> random.below(64);
    match random.below(8) {
        0 => Fact::UNKNOWN,
        1 if value % 16 == 0 => Fact::offset_max((value / 16).saturating_add(slack)),
        2 if value <= MAX32 => Fact::ZERO_EXTENDED,
        // Any value is at some distance from the start; far ones let nothing be accessed.
        3 | 4 => Fact::memory(0, value.wrapping_sub(start).saturating_add(slack >> 48)),
        5 => Fact::max(value),
        _ => Fact::max(value.saturating_add(slack)).plain(),
    }
}

/// Whether the condition with a number holds (Intel SDM vol. 1, appendix B).
fn condition(number: u8, flags: u64) -> bool {
    let flag = |bit: u64| flags >> bit & 1 != 0;
    let (carry, parity, zero, sign, overflow) = (flag(0), flag(2), flag(6), flag(7), flag(11));
    let holds = match number / 2 {
        0 => overflow,
        1 => carry,
        2 => zero,
        3 => carry || zero,
        4 => sign,
        5 => parity,
        6 => sign != overflow,
        _ => zero || sign != overflow,
    };
    holds != (number % 2 == 1)
}

impl Judge {
    pub fn new() -> Judge {
        let module = Module {
            code: &[0xc3],
            data: &[],
            data_start: 1,
            types: vec![Signature::default()],
            units: vec![Unit { start: 0, end: 1, ty: 0 }],
            functions: 0,
            import_types: Vec::new(),
            tables: Vec::new(),
            global_imports: Vec::new(),
            own_memory: false,
            shape: InstanceShape { types: 1, ..InstanceShape::default() },
        };
        Judge { module }
    }

    /// Judges an instruction that led from one state to another without a fault; whether the checker had anything to say.
    pub fn check(
        &self,
        bytes: &[u8],
        (before, after): (&State, &State),
        start: u64,
        random: &mut Random,
    ) -> Result<bool, String> {
        let mut known = Known::default();
        let checker = Checker::new(&self.module).expect("a module");
        let step = checker.step(0).expect("a signature");
        step.enter(&mut known, u64::MAX);
        known.depth = 1 << 16;
        for (number, &value) in (0..).zip(&before.gpr) {
            known.set(number, some(value, start, random));
        }
        let given: [Fact; 16] = std::array::from_fn(|number| known.register(number as u8));
        let Some(instruction) = decode(bytes, 0) else { return Ok(false) };
        if step.run(&mut known, &instruction).is_err() {
            return Ok(false);
        }
        for number in (0..16u8).filter(|number| ![RSP, R15].contains(number)) {
            let (fact, value) = (known.register(number), after.gpr[usize::from(number)]);
            if !holds(fact, value, start) {
                return Err(format!(
                    "register {number} is {value:#x}, not {fact:x?}; memory at {start:#x}, from {given:x?}"
                ));
            }
        }
        for code in 0..16 {
            let Some(More { value: of, fact }) = known.flags.refine(code, condition(code, after.flags)) else { continue };
            for number in (0..16u32).filter(|number| known.get(*number).value == of) {
                let value = after.gpr[number as usize];
                if !holds(fact, value, start) {
                    return Err(format!(
                        "condition {code}: register {number} is {value:#x}, not {fact:x?}; from {given:x?}"
                    ));
                }
            }
        }
        Ok(true)
    }
}
