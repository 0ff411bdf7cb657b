//! What guest code can ask of the host: functions it imports, and the services of the gate.
//!
//! Everything that comes from guest code is checked here: slot addresses, references, indices, ranges. A handler gives 0 to go
//! on in the guest and 1 to leave it with the trap noted in the store. Long operations look between chunks whether the guest's
//! time is over, and so does every gate before it goes back.

use crate::enter::GateFrame;
use crate::interrupt::{self, ELEMENTS_AT_ONCE, MEMORY_AT_ONCE};
use crate::layout::*;
use crate::manifest::ValueType;
use crate::memory::Slot;
use crate::store::{Store, narrow, split};
use crate::trap::Trap;
use alloc::vec::Vec;

/// Store, and number of the calling instance.
fn caller(frame: &GateFrame) -> (&'static mut Store, u32) {
    // SAFETY: the context was put into the frame by the gate from a host-private field; it names the store that entered the
    // guest and waits for it. The instance number is a host-private field too.
    unsafe {
        let store = &mut *(*frame.context).store;
        let instance = (frame.instance as *const u8).offset(INSTANCE_INSTANCE as isize).cast::<u64>().read();
        (store, instance as u32)
    }
}

fn leave(store: &mut Store, frame: &GateFrame, mut trap: Trap) -> u32 {
    // The backtrace begins behind the guest's call of the gate.
    // SAFETY: guest_rsp points at the return address the guest's call pushed on its stack.
    let pc = unsafe { (frame.guest_rsp as *const u64).read() };
    trap.trace(store, pc, frame.guest_rsp + 8, frame.instance);
    store.pending = Some(trap);
    1
}

/// The reference in the slot at an address, if a slot is there that the instance can call through.
fn reference_at(store: &Store, instance: u32, address: u64) -> Option<u32> {
    let info = store.instances.get(instance as usize)?;
    let region = &store.regions[info.region as usize];
    let imports = info.module.manifest.shape.function_imports;
    if imports > 0 {
        let last = region.field(info.layout.function_import(imports - 1)) as u64;
        let first = region.field(info.layout.function_import(0)) as u64;
        if (last..=first).contains(&address) && (address - last) % SLOT_SIZE as u64 == 0 {
            // SAFETY: one of the instance's import slots.
            return Some(unsafe { (address as *const Slot).read() }.reference);
        }
    }
    store.tables.iter().find_map(|table| table.slots.slot_at(address as usize)).map(|slot| slot.reference)
}

pub extern "C" fn host_dispatch(frame: &mut GateFrame) -> u32 {
    let (store, instance) = caller(frame);
    if let Err(code) = store.charge(0) {
        return leave(store, frame, Trap::code(code));
    }
    match host_function(store, instance, frame) {
        0 if interrupt::take() => leave(store, frame, Trap::timeout()),
        outcome => outcome,
    }
}

fn host_function(store: &mut Store, instance: u32, frame: &mut GateFrame) -> u32 {
    let Some(reference) = reference_at(store, instance, frame.selector) else {
        // Reached through a far thunk or record: the slot is another instance's import.
        return host_by_any_slot(store, instance, frame);
    };
    host_call(store, instance, reference, frame)
}

fn host_by_any_slot(store: &mut Store, instance: u32, frame: &mut GateFrame) -> u32 {
    let count = store.instances.len() as u32;
    match (0..count).find_map(|other| reference_at(store, other, frame.selector)) {
        Some(reference) => host_call(store, instance, reference, frame),
        None => leave(store, frame, Trap::host("a host function was called without a slot")),
    }
}

fn host_call(store: &mut Store, instance: u32, reference: u32, frame: &mut GateFrame) -> u32 {
    let host = store.functions.get(reference).and_then(|record| record.host());
    let (Some(host), Some(ty)) = (host, store.function_type(reference).cloned()) else {
        return leave(store, frame, Trap::host("not a host function"));
    };
    let (integers, floats) = split(&ty.params);
    let words = integers.saturating_sub(6) + floats.saturating_sub(8);
    frame.pop = 8 * words as u64;
    let (mut integer, mut float, mut word) = (0, 0, 0);
    let mut args = Vec::with_capacity(ty.params.len());
    for &param in &ty.params {
        let (registers, used): (&[u64], &mut usize) = match param {
            ValueType::F32 | ValueType::F64 => (&frame.floats, &mut float),
            _ => (&frame.integers, &mut integer),
        };
        let value = match registers.get(*used) {
            Some(&value) => value,
            None => {
                word += 1;
                // SAFETY: the caller's signature was checked against this one, so its parameter words are there.
                unsafe { (frame.guest_rsp as *const u64).add(word).read() }
            }
        };
        *used += 1;
        args.push(narrow(value, param));
    }
    let mut results = Vec::new();
    results.resize(ty.results.len(), 0);
    if let Err(trap) = store.call_host(host, Some(instance), &args, &mut results) {
        return leave(store, frame, trap);
    }
    let (mut integer, mut float) = (0, 0);
    let mut word = words + 1;
    frame.integers = [0; 6];
    frame.floats = [0; 8];
    for (&result, &ty) in results.iter().zip(&ty.results) {
        let value = narrow(result, ty);
        let (registers, used): (&mut [u64], &mut usize) = match ty {
            ValueType::F32 | ValueType::F64 => (&mut frame.floats, &mut float),
            _ => (&mut frame.integers, &mut integer),
        };
        match registers.get_mut(*used) {
            Some(register) => *register = value,
            None => {
                // SAFETY: the caller owns the result words of this signature.
                unsafe { (frame.guest_rsp as *mut u64).add(word).write(value) };
                word += 1;
            }
        }
        *used += 1;
    }
    0
}

pub extern "C" fn gate_dispatch(frame: &mut GateFrame) -> u32 {
    let (store, instance) = caller(frame);
    let args = frame.integers.map(|value| value as u32);
    let Some(gate) = Gate::from_number(frame.selector as u32) else {
        return leave(store, frame, Trap::host("unknown gate"));
    };
    match store.charge(units(gate, args)).and_then(|()| service(store, instance, gate, args)) {
        _ if interrupt::take() => leave(store, frame, Trap::timeout()),
        Ok(value) => {
            frame.integers[0] = u64::from(value);
            0
        }
        Err(code) => leave(store, frame, Trap::code(code)),
    }
}

/// What a service costs in fuel, beside the operator that asks for it.
fn units(gate: Gate, args: [u32; 6]) -> u32 {
    match gate {
        Gate::MemoryCopy | Gate::MemoryInit => args[4] / 64,
        Gate::MemoryFill => args[3] / 64,
        Gate::TableCopy | Gate::TableInit => args[4],
        Gate::TableFill => args[3],
        Gate::TableGrow => args[2],
        Gate::MemoryGrow | Gate::DataDrop | Gate::ElemDrop | Gate::TableSet => 0,
    }
}

const FAILED: u32 = u32::MAX;

fn service(store: &mut Store, instance: u32, gate: Gate, args: [u32; 6]) -> Result<u32, TrapCode> {
    match gate {
        Gate::MemoryFill => {
            let start = memory_range(store, instance, args[1], args[3])?;
            memory_chunks(start, args[3], false, |at, length| {
                // SAFETY: the range was checked against the committed memory.
                unsafe { core::ptr::write_bytes(start.add(at as usize), args[2] as u8, length as usize) };
            });
        }
        Gate::MemoryCopy => {
            let from = memory_range(store, instance, args[3], args[4])?;
            let to = memory_range(store, instance, args[2], args[4])?;
            memory_chunks(to, args[4], to > from, |at, length| {
                // SAFETY: both ranges were checked against the committed memory; they may overlap, and the chunks go the way in
                // which none is overwritten before it is read.
                unsafe { core::ptr::copy(from.add(at as usize), to.add(at as usize), length as usize) };
            });
        }
        Gate::MemoryInit => {
            let [_, segment, destination, source, length, _] = args;
            initialise(destination, source, length, MEMORY_AT_ONCE, |destination, source, length| {
                store.memory_init(instance, segment, destination, source, length)
            })
            .ok_or(TrapCode::OutOfBoundsMemoryAccess)??;
        }
        Gate::MemoryGrow => {
            let memory = store.instances[instance as usize].memory.ok_or(TrapCode::OutOfBoundsMemoryAccess)?;
            let region = store.region_of_memory(memory).ok_or(TrapCode::OutOfBoundsMemoryAccess)?;
            return Ok(region.grow(u64::from(args[1])).map_or(FAILED, |pages| pages as u32));
        }
        Gate::DataDrop => {
            if let Some(dropped) = store.instances[instance as usize].dropped_data.get_mut(args[0] as usize) {
                *dropped = true;
            }
        }
        Gate::ElemDrop => {
            if let Some(dropped) = store.instances[instance as usize].dropped_elements.get_mut(args[0] as usize) {
                *dropped = true;
            }
        }
        Gate::TableInit => {
            let [table, segment, destination, source, length, _] = args;
            initialise(destination, source, length, ELEMENTS_AT_ONCE, |destination, source, length| {
                store.table_init(instance, table, segment, destination, source, length)
            })
            .ok_or(TrapCode::OutOfBoundsTableAccess)??;
        }
        Gate::TableSet => {
            let table = table(store, instance, args[0])?;
            let slot = slot_for(store, table, args[2])?;
            store.tables[table].slots.set(args[1], slot).ok_or(TrapCode::OutOfBoundsTableAccess)?;
        }
        Gate::TableGrow => {
            let table = table(store, instance, args[0])?;
            let slot = slot_for(store, table, args[1])?;
            let Some(old) = store.tables[table].slots.grow(args[2]) else { return Ok(FAILED) };
            if slot != Slot::default() {
                chunks(args[2], ELEMENTS_AT_ONCE, false, |at, length| {
                    for n in at..at + length {
                        store.tables[table].slots.set(old + n, slot);
                    }
                });
            }
            return Ok(old);
        }
        Gate::TableFill => {
            let table = table(store, instance, args[0])?;
            let slot = slot_for(store, table, args[2])?;
            let end = u64::from(args[1]) + u64::from(args[3]);
            if end > u64::from(store.tables[table].slots.length) {
                return Err(TrapCode::OutOfBoundsTableAccess);
            }
            chunks(args[3], ELEMENTS_AT_ONCE, false, |at, length| {
                for n in at..at + length {
                    store.tables[table].slots.set(args[1] + n, slot);
                }
            });
        }
        Gate::TableCopy => {
            let (to, from) = (table(store, instance, args[0])?, table(store, instance, args[1])?);
            let [_, _, destination, source, length, _] = args;
            let fits = |start: u32, table: usize| {
                u64::from(start) + u64::from(length) <= u64::from(store.tables[table].slots.length)
            };
            if !fits(destination, to) || !fits(source, from) {
                return Err(TrapCode::OutOfBoundsTableAccess);
            }
            let backwards = destination > source;
            let mut copied = Ok(());
            chunks(length, ELEMENTS_AT_ONCE, backwards, |at, length| {
                for n in 0..length {
                    let n = at + if backwards { length - 1 - n } else { n };
                    let slot = store.tables[from].slots.get(source + n).unwrap_or_default();
                    match slot_for(store, to, slot.reference) {
                        Ok(slot) => store.tables[to].slots.set(destination + n, slot).unwrap_or_default(),
                        Err(code) => copied = Err(code),
                    }
                }
            });
            copied?;
        }
    }
    Ok(0)
}

/// Does something to a length in chunks, from the end if `backwards`; stops when the guest's time is over.
fn chunks(length: u32, chunk: u32, backwards: bool, mut action: impl FnMut(u32, u32)) {
    let mut done = 0;
    while done < length && !interrupt::pending() {
        let size = chunk.min(length - done);
        action(if backwards { length - done - size } else { done }, size);
        done += size;
    }
}

/// The same for bytes of memory from an address on, in pieces that are aligned: none touches more than one huge page for the first
/// time, because clearing one takes the kernel longer than all the rest.
fn memory_chunks(start: *mut u8, length: u32, backwards: bool, mut action: impl FnMut(u32, u32)) {
    let chunk = MEMORY_AT_ONCE;
    let begin = start as u64;
    let (mut low, mut high) = (begin, begin + u64::from(length));
    while low < high && !interrupt::pending() {
        let (from, to) = if backwards {
            (low.max((high - 1) / u64::from(chunk) * u64::from(chunk)), high)
        } else {
            (low, high.min((low / u64::from(chunk) + 1) * u64::from(chunk)))
        };
        action((from - begin) as u32, (to - from) as u32);
        if backwards { high = from } else { low = to }
    }
}

/// Copies out of a segment in chunks, the last one first: if it is in bounds, all are, so nothing is written unless everything
/// can be. None if an end is beyond 32 bits.
fn initialise(
    destination: u32,
    source: u32,
    length: u32,
    chunk: u32,
    mut copy: impl FnMut(u32, u32, u32) -> Result<(), TrapCode>,
) -> Option<Result<(), TrapCode>> {
    destination.max(source).checked_add(length)?;
    // A length of zero is checked like any other.
    let mut outcome = if length == 0 { copy(destination, source, 0) } else { Ok(()) };
    chunks(length, chunk, true, |at, length| {
        if outcome.is_ok() {
            outcome = copy(destination + at, source + at, length);
        }
    });
    Some(outcome)
}

/// Start of a range of the instance's memory, checked.
fn memory_range(store: &mut Store, instance: u32, start: u32, length: u32) -> Result<*mut u8, TrapCode> {
    let out_of_bounds = TrapCode::OutOfBoundsMemoryAccess;
    let memory = store.instances[instance as usize].memory.ok_or(out_of_bounds)?;
    let region = store.region_of_memory(memory).ok_or(out_of_bounds)?;
    if start as usize + length as usize > region.memory_bytes() {
        return Err(out_of_bounds);
    }
    Ok(region.base.wrapping_add(start as usize))
}

fn table(store: &Store, instance: u32, index: u32) -> Result<usize, TrapCode> {
    let table = store.instances[instance as usize].tables.get(index as usize);
    table.map(|&table| table as usize).ok_or(TrapCode::OutOfBoundsTableAccess)
}

/// The slot that holds a reference in a table.
fn slot_for(store: &Store, table: usize, reference: u32) -> Result<Slot, TrapCode> {
    let target = &store.tables[table];
    store.slot(target.element, target.private_to, reference).ok_or(TrapCode::OutOfBoundsTableAccess)
}

#[cfg(test)]
pub(crate) mod tests;
