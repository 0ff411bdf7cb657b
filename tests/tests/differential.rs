//! Random modules through vwasm's native code and an interpreter: results, traps, globals and memory must be the same.
//!
//! The modules come from `wasm-smith`, with fuel built in so that they end. The test runs a few hundred; a longer hunt is
//!
//!     VWASM_SEED=1000 VWASM_COUNT=20000 cargo test --release -p vwasm-tests --test differential -- --nocapture
//!
//! A failure names the seed; `VWASM_SEED=<it> VWASM_COUNT=1` makes it again and leaves the module as `differential.wasm` in
//! the temporary directory.

use std::sync::Arc;
use vwasm::compile::{Options, compile};
use vwasm::machine::CpuFeatures;
use vwasm::module::Module;
use vwasm_runtime::instance::InstantiateError;
use vwasm_runtime::manifest::ValueType;
use vwasm_runtime::store::{self, Config, Extern, Store};
use vwasm_runtime::trap::Trap;
use vwasm_tests::random::Random;

/// What happened: values as bits, or a trap by name. References count only as null or not.
#[derive(Debug, PartialEq)]
enum Outcome {
    Values(Vec<u64>),
    Trap(String),
}

/// The world after one call.
#[derive(Debug, PartialEq)]
struct State {
    /// Exported function and arguments.
    call: (String, Vec<u64>),
    outcome: Outcome,
    globals: Vec<u64>,
    memory: Option<(usize, u64)>,
}

/// Traps that depend on how large a stack is; nothing after them can be compared.
const EXHAUSTED: &str = "call stack exhausted";

fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

fn config(random: &mut Random) -> wasm_smith::Config {
    wasm_smith::Config {
        allow_start_export: random.below(8) == 0,
        bulk_memory_enabled: true,
        canonicalize_nans: true,
        // Half of the modules cannot trap, except for want of fuel: they get further.
        disallow_traps: random.below(2) == 0,
        exceptions_enabled: false,
        export_everything: true,
        extended_const_enabled: false,
        gc_enabled: false,
        compact_imports_enabled: false,
        max_imports: 0,
        max_instructions: 20 + random.index(400),
        max_funcs: 12,
        min_funcs: 4,
        max_memory32_bytes: 8 << 16,
        max_table_elements: 200,
        max_tables: 3,
        memory64_enabled: false,
        memory_max_size_required: true,
        table_max_size_required: true,
        relaxed_simd_enabled: false,
        simd_enabled: false,
        tail_call_enabled: false,
        threads_enabled: false,
        wide_arithmetic_enabled: false,
        ..wasm_smith::Config::default()
    }
}

/// A module, and its calls' arguments by a seed.
fn generate(seed: u64) -> Option<Vec<u8>> {
    let mut random = Random(seed);
    let config = config(&mut random);
    let bytes = random.bytes(16 << 10);
    let mut module = wasm_smith::Module::new(config, &mut arbitrary::Unstructured::new(&bytes)).ok()?;
    module.ensure_termination(2_000).ok()?;
    Some(module.to_bytes())
}

/// An argument: mostly what is at the edge of something.
fn argument(ty: ValueType, random: &mut Random) -> u64 {
    let any = random.next();
    match ty {
        ValueType::I32 => [any & 0xffff_ffff, any & 0xff, 0, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff][random.index(7)],
        ValueType::I64 => [any, any & 0xffff, 0, 1, i64::MAX as u64, i64::MIN as u64, u64::MAX][random.index(7)],
        ValueType::F32 => {
            let edges = [any as f32, f32::from_bits(any as u32 & 0xff7f_ffff), 0.0, -0.0, 1.5, f32::INFINITY, -2147483904.0];
            u64::from(edges[random.index(7)].to_bits())
        }
        ValueType::F64 => {
            let edges =
                [any as f64, f64::from_bits(any & 0xffef_ffff_ffff_ffff), 0.0, -0.0, 1e300, f64::NEG_INFINITY, 4294967295.5];
            edges[random.index(7)].to_bits()
        }
        ValueType::V128 | ValueType::FuncRef | ValueType::ExternRef => 0,
    }
}

/// A trap's name; the interpreter has one for an index beyond a table, whatever it is for.
fn name(trap: &Trap) -> String {
    trap.message().replace("undefined element", "out of bounds table access")
}

/// Calls every exported function twice. None: the module needs more than there is.
fn native(bytes: &[u8], seed: u64, cpu: CpuFeatures) -> Option<Vec<State>> {
    let module = Module::decode(bytes).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    let options = Options { cpu, ..Options::default() };
    let compiled = compile(&module, &options, &|| ()).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    let exports = compiled.manifest.exports.clone();
    let loaded = store::Module::load(compiled.manifest, &compiled.code, &compiled.data).expect("memory for code");
    let mut store = Store::new(Config::default()).expect("memory for a store");
    let mut states = Vec::new();
    let instance = match store.instantiate(&Arc::new(loaded), &[]) {
        Ok(instance) => instance,
        Err(InstantiateError::Trap(trap)) => {
            let outcome = Outcome::Trap(name(&trap));
            return Some(vec![State { call: Default::default(), outcome, globals: Vec::new(), memory: None }]);
        }
        Err(_) => return None,
    };
    let shown = |ty: ValueType, value: u64| match ty {
        ValueType::FuncRef | ValueType::ExternRef => u64::from(value != 0),
        _ => value,
    };
    let mut random = Random(seed ^ 0xa5a5);
    for export in exports.iter().cycle().take(2 * exports.len()) {
        let Some(Extern::Function(function)) = store.export(instance, &export.name) else { continue };
        let ty = store.function_type(function).expect("functions have types").clone();
        let args: Vec<u64> = ty.params.iter().map(|&ty| argument(ty, &mut random)).collect();
        let mut results = vec![0; ty.results.len()];
        let outcome = match store.invoke(function, &args, &mut results) {
            Ok(()) => Outcome::Values(ty.results.iter().zip(results).map(|(&ty, value)| shown(ty, value)).collect()),
            Err(trap) => Outcome::Trap(name(&trap)),
        };
        let (mut globals, mut memory) = (Vec::new(), None);
        for export in &exports {
            match store.export(instance, &export.name) {
                Some(Extern::Global(index)) => {
                    let (ty, value) = store.global_value(index).expect("exported globals are there");
                    globals.push(shown(ty.value, value));
                }
                Some(Extern::Memory(index)) => memory = store.memory(index).map(|bytes| (bytes.len(), hash(bytes))),
                _ => {}
            }
        }
        states.push(State { call: (export.name.clone(), args), outcome, globals, memory });
    }
    Some(states)
}

fn trap_name(error: &wasmi::Error) -> Option<&'static str> {
    use wasmi::TrapCode;
    Some(match error.as_trap_code()? {
        TrapCode::UnreachableCodeReached => "unreachable",
        TrapCode::MemoryOutOfBounds => "out of bounds memory access",
        TrapCode::TableOutOfBounds => "out of bounds table access",
        TrapCode::IndirectCallToNull => "uninitialized element",
        TrapCode::IntegerDivisionByZero => "integer divide by zero",
        TrapCode::IntegerOverflow => "integer overflow",
        TrapCode::BadConversionToInteger => "invalid conversion to integer",
        TrapCode::BadSignature => "indirect call type mismatch",
        TrapCode::StackOverflow => EXHAUSTED,
        _ => return None,
    })
}

fn interpreted(bytes: &[u8], seed: u64) -> Option<Vec<State>> {
    use wasmi::{Engine, ExternType, Linker, Ref, Store, Val, ValType};
    let engine = Engine::default();
    let module =
        wasmi::Module::new(&engine, bytes).unwrap_or_else(|error| panic!("seed {seed}: the interpreter refuses: {error}"));
    let mut store = Store::new(&engine, ());
    let mut states = Vec::new();
    let instance = match Linker::<()>::new(&engine).instantiate_and_start(&mut store, &module) {
        Ok(instance) => instance,
        Err(error) => {
            let outcome = Outcome::Trap(trap_name(&error)?.to_string());
            return Some(vec![State { call: Default::default(), outcome, globals: Vec::new(), memory: None }]);
        }
    };
    let bits = |value: &Val| match value {
        Val::I32(value) => u64::from(*value as u32),
        Val::I64(value) => *value as u64,
        Val::F32(value) => u64::from(value.to_bits()),
        Val::F64(value) => value.to_bits(),
        Val::FuncRef(reference) => u64::from(!reference.is_null()),
        Val::ExternRef(reference) => u64::from(!reference.is_null()),
        Val::V128(_) => 0,
    };
    // In the module's order, which is not the interpreter's.
    let decoded = Module::decode(bytes).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    let ty_of = |name: &str| module.exports().find(|export| export.name() == name).map(|export| export.ty().clone());
    let exports: Vec<(String, ExternType)> =
        decoded.exports.iter().filter_map(|export| Some((export.name.clone(), ty_of(&export.name)?))).collect();
    let mut random = Random(seed ^ 0xa5a5);
    for (name, ty) in exports.iter().cycle().take(2 * exports.len()) {
        let ExternType::Func(ty) = ty else { continue };
        let function = instance.get_func(&store, name).expect("exported functions are there");
        let args: Vec<Val> = ty
            .params()
            .iter()
            .map(|ty| match ty {
                ValType::I32 => Val::I32(argument(ValueType::I32, &mut random) as i32),
                ValType::I64 => Val::I64(argument(ValueType::I64, &mut random) as i64),
                ValType::F32 => Val::F32(f32::from_bits(argument(ValueType::F32, &mut random) as u32).into()),
                ValType::F64 => Val::F64(f64::from_bits(argument(ValueType::F64, &mut random)).into()),
                ValType::FuncRef => {
                    argument(ValueType::FuncRef, &mut random);
                    Val::FuncRef(Ref::Null)
                }
                _ => {
                    argument(ValueType::ExternRef, &mut random);
                    Val::ExternRef(Ref::Null)
                }
            })
            .collect();
        let mut results = vec![Val::I32(0); ty.results().len()];
        let outcome = match function.call(&mut store, &args, &mut results) {
            Ok(()) => Outcome::Values(results.iter().map(bits).collect()),
            Err(error) => Outcome::Trap(trap_name(&error)?.to_string()),
        };
        let (mut globals, mut memory) = (Vec::new(), None);
        for (name, ty) in &exports {
            match ty {
                ExternType::Global(_) => {
                    globals.push(bits(&instance.get_global(&store, name).expect("an exported global").get(&store)))
                }
                ExternType::Memory(_) => {
                    let bytes = instance.get_memory(&store, name).expect("an exported memory").data(&store).to_vec();
                    memory = Some((bytes.len(), hash(&bytes)));
                }
                _ => {}
            }
        }
        let call = (name.clone(), args.iter().map(bits).collect());
        states.push(State { call, outcome, globals, memory });
    }
    Some(states)
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[test]
fn random_modules() {
    let (seed, count) = (number("VWASM_SEED", 1), number("VWASM_COUNT", 300));
    println!("VWASM_SEED={seed} VWASM_COUNT={count}");
    let (mut modules, mut calls, mut traps) = (0, 0, 0);
    for seed in seed..seed + count {
        let Some(bytes) = generate(seed) else { continue };
        if count == 1 {
            std::fs::write(std::env::temp_dir().join("differential.wasm"), &bytes).expect("the module is written");
        }
        let Some(expected) = interpreted(&bytes, seed) else { continue };
        let levels = [CpuFeatures::V3, CpuFeatures::V2];
        for cpu in &levels[..1 + usize::from(seed % 4 == 0)] {
            let Some(found) = native(&bytes, seed, *cpu) else { continue };
            let first = expected.iter().zip(&found).position(|(a, b)| a != b);
            let exhausted = |state: &State| state.outcome == Outcome::Trap(EXHAUSTED.to_string());
            let end = expected.iter().zip(&found).position(|(a, b)| exhausted(a) || exhausted(b)).unwrap_or(found.len());
            if let Some(at) = first.filter(|at| *at < end) {
                panic!("seed {seed}, call {at}: expected {:?}, found {:?}", expected[at], found[at]);
            }
            calls += end;
            traps += found[..end].iter().filter(|state| matches!(state.outcome, Outcome::Trap(_))).count();
        }
        modules += 1;
    }
    println!("{modules} modules, {calls} calls, {traps} of them trap");
    assert!(count < 100 || (modules > count / 2 && calls > count as usize && traps < calls), "too little was compared");
}
