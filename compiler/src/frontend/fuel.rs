//! Counting fuel: what a program is charged for what it executes.
//!
//! Each function call and each Wasm operator costs one unit, but for those that only give structure ([`cost`]). The counter
//! is one more local of the function, so it lives in a register or where the allocator puts it. Basic blocks are charged at
//! their ends; one that decides an `if` leaves what it owes to both arms. The counter is taken from the instance's field at the function's start and after every call; it is put there before
//! every call and return, so that whoever is called goes on counting.
//!
//! It is looked at where every cycle of control passes: at the header of each loop and at each return. Host functions look
//! too, before they do anything. So what a program is charged depends on nothing but the operators it executes, and it
//! always ends at the same of these places.

use super::Translator;
use crate::ir::{Op, Type, Value};
use crate::layout::INSTANCE_FUEL;
use wasmparser::Operator;

/// The function's counter.
pub(super) struct Fuel {
    local: u32,
    /// What is executed in the current block and not charged yet.
    owed: u64,
}

fn cost(operator: &Operator<'_>) -> u64 {
    match operator {
        Operator::Nop
        | Operator::Drop
        | Operator::Block { .. }
        | Operator::Loop { .. }
        | Operator::Else
        | Operator::End
        | Operator::Return
        | Operator::Unreachable => 0,
        _ => 1,
    }
}

impl Translator<'_, '_> {
    /// Begins to count, in the entry block, once all locals are known.
    pub(super) fn start_fuel(&mut self) {
        let local = self.ssa.local_types.len() as u32;
        self.ssa.local_types.push(Type::I64);
        self.fuel = Some(Fuel { local, owed: 1 });
        self.load_fuel();
    }

    pub(super) fn owe(&mut self, operator: &Operator<'_>) {
        if let Some(fuel) = &mut self.fuel {
            fuel.owed += cost(operator);
        }
    }

    /// `memory.copy` and `memory.fill` cost one more for every 64 bytes. The runtime charges for what it does itself.
    pub(super) fn owe_bytes(&mut self, length: u64) {
        if let Some(fuel) = &mut self.fuel {
            fuel.owed += length / 64;
        }
    }

    pub(super) fn owed(&self) -> u64 {
        self.fuel.as_ref().map_or(0, |fuel| fuel.owed)
    }

    /// A block begins, for which so much is owed already.
    pub(super) fn set_owed(&mut self, owed: u64) {
        if let Some(fuel) = &mut self.fuel {
            fuel.owed = owed;
        }
    }

    /// Charges for the block so far, and gives what is left.
    pub(super) fn charge(&mut self) -> Option<Value> {
        let fuel = self.fuel.as_mut()?;
        let (local, owed) = (fuel.local, std::mem::take(&mut fuel.owed));
        let left = self.ssa.read(&mut self.func, self.current, local);
        if owed == 0 {
            return Some(left);
        }
        // A body has fewer operators than that.
        let change = -i32::try_from(owed).unwrap_or(i32::MAX);
        let left = self.emit(Op::FuelCharge, u64::from(change as u32), 0, &[left], &[Type::I64]);
        self.ssa.write(self.current, local, left);
        Some(left)
    }

    /// Charges, and leaves the counter to whoever is called.
    pub(super) fn store_fuel(&mut self) {
        if let Some(left) = self.charge() {
            self.emit(Op::I64GlobalSet, u64::from(INSTANCE_FUEL as u32), 0, &[left], &[]);
        }
    }

    /// Takes the counter back.
    pub(super) fn load_fuel(&mut self) {
        if let Some(Fuel { local, .. }) = self.fuel {
            let left = self.emit(Op::I64GlobalGet, u64::from(INSTANCE_FUEL as u32), 0, &[], &[Type::I64]);
            self.ssa.write(self.current, local, left);
        }
    }

    /// Charges, and ends the program if more is used than there was.
    pub(super) fn check_fuel(&mut self) {
        if let Some(left) = self.charge() {
            self.emit(Op::FuelCheck, 0, 0, &[left], &[]);
        }
    }
}
