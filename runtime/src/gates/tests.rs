//! How much each bulk operation does between two looks whether the guest's time is over: never more than the constants say.
//!
//! Each operation is ended at its first look, at its second, and so on; what it has done by then is counted.

use super::*;
use crate::interrupt::{ELEMENTS_AT_ONCE, MEMORY_AT_ONCE};
use crate::manifest::*;
use crate::store::{Config, Module};
use alloc::sync::Arc;
use std::cell::Cell;

std::thread_local! {
    /// Looks until the guest's time is over.
    static LOOKS: Cell<Option<u32>> = const { Cell::new(None) };
}

/// What a look says, if a test wants to say it.
pub(crate) fn look() -> Option<bool> {
    let left = LOOKS.get()?;
    LOOKS.set(Some(left.saturating_sub(1)));
    Some(left == 0)
}

const PAGES: u64 = 64;
const SLOTS: u32 = 400_000;
const BYTES: u32 = 1_900_001;
const ELEMENTS: u32 = 190_001;
/// Where the second half of memory and table begins for copies; no boundary of anything.
const FAR: u32 = 2_000_003;
const FAR_SLOT: u32 = 200_003;

/// An instance with a memory, a table, a function to refer to, and a passive segment of each kind.
fn instance() -> Box<Store> {
    let function = Function { type_index: 0, code: 0, body: 0 };
    let manifest = Manifest {
        types: vec![FunctionType::default()],
        functions: vec![function],
        far_thunks: vec![0],
        tables: vec![TableType { element: ValueType::FuncRef, limits: Limits { min: SLOTS.into(), max: None } }],
        private_tables: vec![true],
        memories: vec![Limits { min: PAGES, max: None }],
        elements: vec![Element {
            mode: SegmentMode::Passive,
            element: ValueType::FuncRef,
            items: vec![ConstExpr::RefFunc(0); ELEMENTS as usize],
        }],
        data: vec![Data { mode: SegmentMode::Passive, start: 0, length: BYTES }],
        shape: InstanceShape { tables: 1, types: 1, ..InstanceShape::default() },
        ..Manifest::default()
    };
    assert!(manifest.is_consistent(1, BYTES.into()));
    let module = Module::load(manifest, &[0xc3], &vec![1; BYTES as usize]).unwrap();
    let mut store = Store::new(Config::default()).unwrap();
    assert_eq!(store.instantiate(&Arc::new(module), &[]).unwrap(), 0);
    store
}

/// Where a copy finds what it copies; nothing elsewhere.
enum Source {
    Nowhere,
    Bytes(u32),
    Slots(u32),
}

/// Bytes that are 1, and slots that are not null.
fn done(store: &mut Store) -> (u32, u32) {
    let bytes = store.memory_mut(0).unwrap().iter().filter(|byte| **byte == 1).count();
    let length = store.tables[0].slots.length;
    let slots = (0..length).filter(|&n| store.tables[0].slots.get(n) != Some(Slot::default())).count();
    (bytes as u32, slots as u32)
}

fn prepare(store: &mut Store, source: &Source) {
    store.memory_mut(0).unwrap().fill(0);
    for n in 0..store.tables[0].slots.length {
        store.tables[0].slots.set(n, Slot::default());
    }
    match *source {
        Source::Nowhere => {}
        Source::Bytes(at) => store.memory_mut(0).unwrap()[at as usize..][..BYTES as usize].fill(1),
        Source::Slots(at) => {
            let slot = slot_for(store, 0, 1).unwrap();
            (at..at + ELEMENTS).for_each(|n| store.tables[0].slots.set(n, slot).unwrap());
        }
    }
}

#[test]
fn no_piece_is_larger_than_it_may_be() {
    let operations = [
        (Gate::MemoryFill, [0, 5, 1, BYTES, 0, 0], Source::Nowhere),
        (Gate::MemoryCopy, [0, 0, FAR, 5, BYTES, 0], Source::Bytes(5)),
        (Gate::MemoryCopy, [0, 0, 5, FAR, BYTES, 0], Source::Bytes(FAR)),
        (Gate::MemoryInit, [0, 0, 5, 0, BYTES, 0], Source::Nowhere),
        (Gate::TableFill, [0, 5, 1, ELEMENTS, 0, 0], Source::Nowhere),
        (Gate::TableCopy, [0, 0, FAR_SLOT, 5, ELEMENTS, 0], Source::Slots(5)),
        (Gate::TableCopy, [0, 0, 5, FAR_SLOT, ELEMENTS, 0], Source::Slots(FAR_SLOT)),
        (Gate::TableInit, [0, 0, 5, 0, ELEMENTS, 0], Source::Nowhere),
        (Gate::TableGrow, [0, 1, ELEMENTS, 0, 0, 0], Source::Nowhere),
    ];
    for (gate, arguments, source) in operations {
        let (mut last, mut looks) = (0, 0);
        loop {
            let mut store = instance();
            prepare(&mut store, &source);
            let before = done(&mut store);
            LOOKS.set(Some(looks));
            let outcome = service(&mut store, 0, gate, arguments);
            let over = LOOKS.replace(None) == Some(0);
            assert!(outcome.is_ok(), "{gate:?}: {outcome:?}");
            let after = done(&mut store);
            let of_memory = matches!(gate, Gate::MemoryFill | Gate::MemoryCopy | Gate::MemoryInit);
            let (now, most, all) = if of_memory {
                (after.0 - before.0, MEMORY_AT_ONCE, BYTES)
            } else {
                (after.1 - before.1, ELEMENTS_AT_ONCE, ELEMENTS)
            };
            assert!(now - last <= most, "{gate:?}: {} at once", now - last);
            assert!(looks > 0 || now == 0, "{gate:?}: {now} before the first look");
            last = now;
            if !over {
                assert_eq!(now, all, "{gate:?}");
                assert!(looks >= all / most, "{gate:?}: {looks} looks");
                break;
            }
            looks += 1;
        }
    }
}

/// None of these takes longer than a millisecond where a page that is touched for the first time costs 3 microseconds.
#[test]
fn pieces_are_small() {
    const PAGE_COST: u64 = 3;
    let microseconds = |bytes: u64| bytes.div_ceil(4096) * PAGE_COST;
    assert!(microseconds(MEMORY_AT_ONCE.into()) < 1000);
    assert!(microseconds(u64::from(ELEMENTS_AT_ONCE) * u64::from(SLOT_SIZE as u32)) < 1000);
    assert!(microseconds(interrupt::FILE_AT_ONCE as u64) < 1000);
    assert!(microseconds(interrupt::RANDOM_AT_ONCE as u64) < 1000);
}
