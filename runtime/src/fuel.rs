//! Fuel: a limit on what guest code executes, the same on every machine.
//!
//! Code that was compiled to count takes what it executes from its instance's field `fuel`; calls to other instances carry the
//! rest along (`spec/sandbox.rules` §6). While host code runs, every instance of the store has the same in its field, so the
//! least of them after guest code has run is what is left. It may be below zero: guest code looks at loops and returns only,
//! and host functions before they begin.

use crate::layout::{INSTANCE_FUEL, TrapCode};
use crate::store::Store;

/// What an instance has whose store counts nothing: more than can be used up.
const UNLIMITED: i64 = i64::MAX;

impl Store {
    /// Gives the store so much fuel; with none, nothing is counted.
    pub fn set_fuel(&mut self, fuel: Option<u64>) {
        self.fuel = fuel.map(|fuel| i64::try_from(fuel).unwrap_or(UNLIMITED));
        self.spread_fuel();
    }

    /// What is left; none if nothing is counted.
    pub fn fuel(&self) -> Option<u64> {
        self.fuel.map(|left| left.max(0) as u64)
    }

    /// What the field of a new instance holds.
    pub(crate) fn initial_fuel(&self) -> u64 {
        self.fuel.unwrap_or(UNLIMITED) as u64
    }

    fn spread_fuel(&self) {
        for instance in &self.instances {
            self.regions[instance.region as usize].write_u64(INSTANCE_FUEL, self.initial_fuel());
        }
    }

    /// Notes what guest code has left, now that it waits or has ended.
    pub(crate) fn collect_fuel(&mut self) {
        let Some(before) = self.fuel else { return };
        let regions = self.instances.iter().map(|instance| &self.regions[instance.region as usize]);
        let left = regions.map(|region| region.read_u64(INSTANCE_FUEL) as i64).min().unwrap_or(before);
        self.fuel = Some(left);
        self.spread_fuel();
    }

    /// Nothing is left: guest code that ends for this reason has not written its counter back.
    pub(crate) fn exhaust_fuel(&mut self) {
        if self.fuel.is_some() {
            self.fuel = Some(0);
            self.spread_fuel();
        }
    }

    /// Charges for what the host does at the guest's request.
    pub(crate) fn charge(&mut self, units: u32) -> Result<(), TrapCode> {
        if self.fuel.is_none() {
            return Ok(());
        }
        self.collect_fuel();
        let left = self.fuel.unwrap_or(UNLIMITED).saturating_sub(units.into());
        self.fuel = Some(left);
        self.spread_fuel();
        if left < 0 { Err(TrapCode::AllFuelConsumed) } else { Ok(()) }
    }
}
