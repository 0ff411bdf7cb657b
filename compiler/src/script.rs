//! Official test scripts (`.wast`) through native code.
//!
//! Takes a script's text, runs its directives against one store, gives counts and failures. Modules that fail to validate or
//! link are what some assertions expect; their messages are compared as the scripts demand (a prefix).

use crate::compile::{Options, compile};
use crate::module::Module;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use vwasm_runtime::manifest::{FunctionType, GlobalType, Limits, TableType, ValueType};
use vwasm_runtime::store::{self, Config, Extern, Store};
use vwasm_runtime::trap::Trap;
use wast::core::{AbstractHeapType, HeapType, NanPattern, WastArgCore, WastRetCore};
use wast::{QuoteWat, WastArg, WastDirective, WastExecute, WastInvoke, WastRet};

/// What a script's run gave.
#[derive(Debug, Default)]
pub struct Report {
    pub passed: usize,
    /// Line and what was wrong.
    pub failures: Vec<(usize, String)>,
    /// The rules that fired (filled when origins are kept).
    pub fired: BTreeSet<u16>,
}

struct Runner {
    store: Box<Store>,
    names: HashMap<String, u32>,
    registered: HashMap<String, u32>,
    spectest: HashMap<String, Extern>,
    current: Option<u32>,
    features: wasmparser::WasmFeatures,
    options: Options,
    fired: BTreeSet<u16>,
}

/// Why something did not happen.
enum Failure {
    Invalid(String),
    Link(String),
    Trap(Trap),
    Other(String),
}

impl Failure {
    fn message(&self) -> String {
        match self {
            Failure::Invalid(message) | Failure::Link(message) | Failure::Other(message) => message.clone(),
            Failure::Trap(trap) => trap.message(),
        }
    }
}

/// Runs a script.
pub fn run(text: &str, features: wasmparser::WasmFeatures, options: &Options) -> Result<Report, String> {
    let mut lexer = wast::lexer::Lexer::new(text);
    lexer.allow_confusing_unicode(true);
    let buffer = wast::parser::ParseBuffer::new_with_lexer(lexer).map_err(|error| error.to_string())?;
    let script: wast::Wast = wast::parser::parse(&buffer).map_err(|error| error.to_string())?;
    let store = Store::new(Config::default()).map_err(|error| format!("no memory for a store (error {error})"))?;
    let mut runner = Runner {
        store,
        names: HashMap::new(),
        registered: HashMap::new(),
        spectest: HashMap::new(),
        current: None,
        features,
        options: options.clone(),
        fired: BTreeSet::new(),
    };
    runner.spectest()?;
    let mut report = Report::default();
    for directive in script.directives {
        let (line, _) = directive.span().linecol_in(text);
        match runner.directive(directive) {
            Ok(()) => report.passed += 1,
            Err(message) => report.failures.push((line + 1, message)),
        }
    }
    report.fired = runner.fired;
    Ok(report)
}

impl Runner {
    /// The `spectest` host module.
    fn spectest(&mut self) -> Result<(), String> {
        use ValueType::*;
        let prints: [(&str, &[ValueType]); 7] = [
            ("print", &[]),
            ("print_i32", &[I32]),
            ("print_i64", &[I64]),
            ("print_f32", &[F32]),
            ("print_f64", &[F64]),
            ("print_i32_f32", &[I32, F32]),
            ("print_f64_f64", &[F64, F64]),
        ];
        for (name, params) in prints {
            let ty = FunctionType { params: params.to_vec(), results: Vec::new() };
            let function = self.store.host_function(&ty, Box::new(|_, _, _| Ok(()))).ok_or("no function records left")?;
            self.spectest.insert(name.into(), Extern::Function(function));
        }
        for (name, value, bits) in [
            ("global_i32", I32, 666),
            ("global_i64", I64, 666),
            ("global_f32", F32, u64::from(666.6f32.to_bits())),
            ("global_f64", F64, 666.6f64.to_bits()),
        ] {
            let global = self.store.host_global(GlobalType { value, mutable: false }, bits);
            self.spectest.insert(name.into(), global);
        }
        let table = TableType { element: FuncRef, limits: Limits { min: 10, max: Some(20) } };
        let table = self.store.host_table(&table).map_err(|error| format!("table: error {error}"))?;
        self.spectest.insert("table".into(), table);
        let memory =
            self.store.host_memory(Limits { min: 1, max: Some(2) }).map_err(|error| format!("memory: error {error}"))?;
        self.spectest.insert("memory".into(), memory);
        Ok(())
    }

    fn lookup(&self, module: &str, name: &str) -> Option<Extern> {
        if module == "spectest" {
            return self.spectest.get(name).copied();
        }
        self.store.export(*self.registered.get(module)?, name)
    }

    fn compile(&mut self, bytes: &[u8]) -> Result<Arc<store::Module>, Failure> {
        let module = Module::decode_with(bytes, self.features).map_err(|error| Failure::Invalid(error.message))?;
        let compiled = compile(&module, &self.options, &|| ()).map_err(|error| Failure::Invalid(error.message))?;
        self.fired.extend(compiled.functions.iter().flat_map(|(_, function)| &function.fired));
        let loaded = store::Module::load(compiled.manifest, &compiled.code, &compiled.data);
        loaded.map(Arc::new).map_err(|error| Failure::Other(format!("loading: error {error}")))
    }

    fn instantiate(&mut self, bytes: &[u8]) -> Result<u32, Failure> {
        let module = self.compile(bytes)?;
        let mut imports = Vec::new();
        for import in &module.manifest.imports {
            match self.lookup(&import.module, &import.name) {
                Some(found) => imports.push(found),
                None => return Err(Failure::Link("unknown import".into())),
            }
        }
        use vwasm_runtime::instance::InstantiateError;
        self.store.instantiate(&module, &imports).map_err(|error| match error {
            InstantiateError::Link(message) => Failure::Link(message),
            InstantiateError::Resources(message) => Failure::Other(message),
            InstantiateError::Trap(trap) => Failure::Trap(trap),
        })
    }

    fn define(&mut self, module: &mut QuoteWat<'_>) -> Result<(), Failure> {
        let name = module.name().map(|name| name.name().to_string());
        let bytes = encode(module).map_err(Failure::Invalid)?;
        let instance = self.instantiate(&bytes)?;
        self.current = Some(instance);
        if let Some(name) = name {
            self.names.insert(name, instance);
        }
        Ok(())
    }

    fn instance(&self, name: Option<wast::token::Id<'_>>) -> Result<u32, Failure> {
        match name {
            Some(name) => self.names.get(name.name()).copied().ok_or(Failure::Other("unknown module".into())),
            None => self.current.ok_or(Failure::Other("no module".into())),
        }
    }

    fn invoke(&mut self, invoke: &WastInvoke<'_>) -> Result<Vec<(ValueType, u64)>, Failure> {
        let instance = self.instance(invoke.module)?;
        let Some(Extern::Function(function)) = self.store.export(instance, invoke.name) else {
            return Err(Failure::Other(format!("no exported function {}", invoke.name)));
        };
        let args = invoke.args.iter().map(argument).collect::<Result<Vec<u64>, Failure>>()?;
        let types = self.store.function_type(function).map(|ty| ty.results.clone()).unwrap_or_default();
        let mut results = vec![0; types.len()];
        self.store.invoke(function, &args, &mut results).map_err(Failure::Trap)?;
        Ok(types.into_iter().zip(results).collect())
    }

    fn execute(&mut self, execute: &mut WastExecute<'_>) -> Result<Vec<(ValueType, u64)>, Failure> {
        match execute {
            WastExecute::Invoke(invoke) => self.invoke(invoke),
            WastExecute::Get { module, global, .. } => {
                let instance = self.instance(*module)?;
                let Some(Extern::Global(index)) = self.store.export(instance, global) else {
                    return Err(Failure::Other(format!("no exported global {global}")));
                };
                let (ty, value) = self.store.global_value(index).ok_or(Failure::Other("no such global".into()))?;
                Ok(vec![(ty.value, value)])
            }
            WastExecute::Wat(wat) => {
                let bytes = wat.encode().map_err(|error| Failure::Invalid(error.message()))?;
                self.instantiate(&bytes).map(|_| Vec::new())
            }
        }
    }

    fn directive(&mut self, directive: WastDirective<'_>) -> Result<(), String> {
        let text = |failure: Failure| failure.message();
        match directive {
            WastDirective::Module(mut module) => self.define(&mut module).map_err(text),
            WastDirective::Register { name, module, .. } => {
                let instance = self.instance(module).map_err(text)?;
                self.registered.insert(name.to_string(), instance);
                Ok(())
            }
            WastDirective::Invoke(invoke) => self.invoke(&invoke).map(|_| ()).map_err(text),
            WastDirective::AssertReturn { mut exec, results, .. } => {
                let values = self.execute(&mut exec).map_err(text)?;
                if values.len() != results.len() {
                    return Err(format!("expected {} results, got {}", results.len(), values.len()));
                }
                for ((ty, value), expected) in values.iter().zip(&results) {
                    if !self.agrees(*ty, *value, expected) {
                        return Err(format!("expected {expected:?}, got {value:#x}"));
                    }
                }
                Ok(())
            }
            WastDirective::AssertTrap { mut exec, message, .. } => match self.execute(&mut exec) {
                Ok(_) => Err(format!("expected the trap {message}, but there was none")),
                Err(Failure::Trap(trap)) if trap.message().starts_with(message) || message.starts_with(&trap.message()) => {
                    Ok(())
                }
                Err(failure) => Err(format!("expected the trap {message}, got: {}", failure.message())),
            },
            WastDirective::AssertExhaustion { call, message, .. } => match self.invoke(&call) {
                Ok(_) => Err(format!("expected the trap {message}, but there was none")),
                Err(Failure::Trap(trap)) if trap.message().starts_with(message) => Ok(()),
                Err(failure) => Err(format!("expected the trap {message}, got: {}", failure.message())),
            },
            WastDirective::AssertUnlinkable { mut module, message, .. } => {
                let bytes = module.encode().map_err(|error| error.message())?;
                match self.instantiate(&bytes) {
                    Err(Failure::Link(found)) if found.starts_with(message) => Ok(()),
                    Err(failure) => Err(format!("expected the link error {message}, got: {}", failure.message())),
                    Ok(_) => Err(format!("expected the link error {message}, but it linked")),
                }
            }
            WastDirective::AssertInvalid { mut module, message, .. }
            | WastDirective::AssertMalformed { mut module, message, .. } => {
                let refused = match encode(&mut module) {
                    Err(_) => true,
                    Ok(bytes) => matches!(self.compile(&bytes), Err(Failure::Invalid(_))),
                };
                if refused { Ok(()) } else { Err(format!("accepted, but it should be refused: {message}")) }
            }
            other => Err(format!("unsupported directive {other:?}").chars().take(80).collect()),
        }
    }

    fn agrees(&self, ty: ValueType, value: u64, expected: &WastRet<'_>) -> bool {
        let WastRet::Core(expected) = expected else { return false };
        self.agrees_core(ty, value, expected)
    }

    fn agrees_core(&self, ty: ValueType, value: u64, expected: &WastRetCore<'_>) -> bool {
        match expected {
            WastRetCore::I32(want) => ty == ValueType::I32 && value as u32 == *want as u32,
            WastRetCore::I64(want) => ty == ValueType::I64 && value == *want as u64,
            WastRetCore::F32(want) => {
                let bits = value as u32;
                ty == ValueType::F32
                    && match want {
                        NanPattern::Value(want) => bits == want.bits,
                        NanPattern::CanonicalNan => bits & 0x7fff_ffff == 0x7fc0_0000,
                        NanPattern::ArithmeticNan => bits & 0x7fc0_0000 == 0x7fc0_0000,
                    }
            }
            WastRetCore::F64(want) => {
                ty == ValueType::F64
                    && match want {
                        NanPattern::Value(want) => value == want.bits,
                        NanPattern::CanonicalNan => value & (u64::MAX >> 1) == 0x7ff8_0000_0000_0000,
                        NanPattern::ArithmeticNan => value & 0x7ff8_0000_0000_0000 == 0x7ff8_0000_0000_0000,
                    }
            }
            WastRetCore::RefNull(_) => value == 0,
            WastRetCore::RefExtern(Some(want)) => ty == ValueType::ExternRef && value == u64::from(*want) + 1,
            WastRetCore::RefExtern(None) => ty == ValueType::ExternRef && value != 0,
            WastRetCore::RefFunc(_) => ty == ValueType::FuncRef && value != 0,
            WastRetCore::Either(options) => options.iter().any(|option| self.agrees_core(ty, value, option)),
            _ => false,
        }
    }
}

fn encode(module: &mut QuoteWat<'_>) -> Result<Vec<u8>, String> {
    module.encode().map_err(|error| error.message())
}

fn argument(arg: &WastArg<'_>) -> Result<u64, Failure> {
    let WastArg::Core(arg) = arg else { return Err(Failure::Other("unsupported argument".into())) };
    Ok(match arg {
        WastArgCore::I32(value) => u64::from(*value as u32),
        WastArgCore::I64(value) => *value as u64,
        WastArgCore::F32(value) => u64::from(value.bits),
        WastArgCore::F64(value) => value.bits,
        WastArgCore::RefNull(HeapType::Abstract { ty: AbstractHeapType::Func | AbstractHeapType::Extern, .. }) => 0,
        WastArgCore::RefExtern(value) => u64::from(*value) + 1,
        other => return Err(Failure::Other(format!("unsupported argument {other:?}"))),
    })
}
