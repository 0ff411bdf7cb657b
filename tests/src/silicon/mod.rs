//! Each rule's emitted bytes on the CPU against its operators' evaluators.
//!
//! Takes the typed specification. For a rule, [`Harness::cases`] searches functions in which exactly this rule fires: shapes from
//! its pattern, numbers in their holes until the matcher takes the rule. [`Harness::run`] compiles them by the compiler's own way,
//! runs them and compares result, trap, memory, globals and table with what the evaluators say.

pub mod guest;
pub mod program;
pub mod shape;

use crate::random::Random;
use crate::values::{floats, integers};
use codegen_derive::ast::{BlockKind, Rule, RuleBlock, Spec};
use guest::{Guest, MEMORY_BYTES, Signature, TABLE_LENGTH, WINDOWS};
use program::{Fill, Param, Program, Stop, Variant, candidates};
use shape::{Hole, Role, Template};
use std::collections::HashMap;
use vwasm::compile::Options;
use vwasm::ir::{Function, Op, OpKind, Type};
use vwasm::lower::convention::Convention;
use vwasm::lower::rules::RULES;
use vwasm::machine::CpuFeatures;

/// Numbers tried in a template's holes, and functions kept of each template.
const TRIED: usize = 600;
const KEPT: usize = 6;
/// Orders of innermost operators tried.
const AGES: usize = 300;
const ROUNDS: usize = 20;
/// A function without parameters is run once: more of them.
const KEPT_CONSTANT: usize = 60;

/// A rule's place in the specification.
#[derive(Clone, Copy)]
pub struct RuleRef<'a> {
    pub number: u16,
    pub block: &'a RuleBlock,
    pub rule: &'a Rule,
}

impl RuleRef<'_> {
    pub fn name(&self) -> String {
        let kind = match self.block.kind {
            BlockKind::Lower => "lower",
            BlockKind::Simplify => "simplify",
            BlockKind::Form => "form",
        };
        format!("{kind} {}/{}", self.block.name.text, self.rule.name.text)
    }

    pub fn is_last(&self) -> bool {
        self.block.kind != BlockKind::Simplify && self.block.rules.last().is_some_and(|last| last.span == self.rule.span)
    }
}

/// A function that exercises a rule.
#[derive(Clone)]
pub struct Case {
    program: Program,
    /// Run spec/simplify before lowering.
    simplify: bool,
    /// Compile this operator instead of the root's: a mistake that must be noticed.
    mistake: Option<Op>,
}

pub struct Harness<'a> {
    spec: &'a Spec,
    pub rules: Vec<RuleRef<'a>>,
}

impl<'a> Harness<'a> {
    pub fn new(spec: &'a Spec) -> Harness<'a> {
        let all = spec.blocks.iter().flat_map(|block| block.rules.iter().map(move |rule| (block, rule)));
        let rules: Vec<RuleRef> =
            all.enumerate().map(|(number, (block, rule))| RuleRef { number: number as u16, block, rule }).collect();
        assert_eq!(rules.len(), RULES.len(), "the compiler was built from another specification");
        for rule in &rules {
            let name = format!("{}/{}", rule.block.name.text, rule.rule.name.text);
            assert_eq!(name, RULES[rule.number as usize].name, "the compiler was built from another specification");
        }
        Harness { spec, rules }
    }

    fn templates(&self, rule: RuleRef<'_>) -> Result<Vec<Template>, String> {
        match rule.block.kind {
            BlockKind::Form => shape::of_form_rule(self.spec, rule.block, rule.rule),
            _ => shape::of_operator_rule(self.spec, rule.block, rule.rule),
        }
    }

    /// Functions in which the rule fires; none when CPU features give the rule to nobody.
    pub fn cases(&self, rule: RuleRef<'_>, cpu: CpuFeatures, random: &mut Random) -> Result<Vec<Case>, String> {
        let templates = self.templates(rule).map_err(|message| format!("{}: {message}", rule.name()))?;
        if rule.rule.features.iter().any(|feature| !has(cpu, &feature.text)) {
            return Ok(Vec::new());
        }
        let mut cases = Vec::new();
        let mut silent = Vec::new();
        for (number, template) in templates.iter().enumerate() {
            let found = self.fill(rule, template, cpu, random)?;
            if found.is_empty() {
                silent.push(number);
            }
            cases.extend(found);
        }
        // A form's rule needs one user; operators rewrite their operands into one order before `simplify` sees them; a `lower`
        // rule must also fire with its operands exchanged.
        let enough = if rule.block.kind == BlockKind::Lower { silent.is_empty() } else { !cases.is_empty() };
        if enough || self.taken_by_feature(rule, &templates, cpu, random) {
            return Ok(cases);
        }
        Err(format!("{}: no function was found in which it fires (shapes {silent:?})", rule.name()))
    }

    /// Whether a rule that needs a CPU feature stands before this one and takes everything.
    fn taken_by_feature(&self, rule: RuleRef<'_>, templates: &[Template], cpu: CpuFeatures, random: &mut Random) -> bool {
        let before: Vec<u16> = self
            .rules
            .iter()
            .filter(|other| other.block.span == rule.block.span && other.number < rule.number)
            .filter(|other| !other.rule.features.is_empty())
            .map(|other| other.number)
            .collect();
        if before.is_empty() || cpu == CpuFeatures::V2 {
            return false;
        }
        templates.iter().all(|template| {
            let Ok(cases) = self.fill(rule, template, CpuFeatures::V2, random) else { return false };
            let mut taken =
                cases.iter().map(|case| fired(case, cpu).is_ok_and(|all| before.iter().any(|n| all.contains(n))));
            !cases.is_empty() && taken.all(|taken| taken)
        })
    }

    /// Fills a template's holes so that the rule fires.
    fn fill(
        &self,
        rule: RuleRef<'_>,
        template: &Template,
        cpu: CpuFeatures,
        random: &mut Random,
    ) -> Result<Vec<Case>, String> {
        // What the conditions name, also shifted, is likelier to satisfy them than any edge.
        let shift = || (0..16).chain([31, 40, 62]);
        let named: Vec<u64> = template.literals.iter().flat_map(|&number| shift().map(move |by| number << by)).collect();
        let choices: Vec<Vec<Fill>> = template.holes.iter().map(|&hole| candidates(hole, &named)).collect();
        let total =
            choices.iter().try_fold(1usize, |product, choice| product.checked_mul(choice.len())).unwrap_or(usize::MAX);
        let mut picks: Vec<Vec<Fill>> = if total <= TRIED {
            (0..total)
                .map(|mut n| {
                    let digit = |choice: &Vec<Fill>| {
                        let fill = choice[n % choice.len()];
                        n /= choice.len();
                        fill
                    };
                    choices.iter().map(digit).collect()
                })
                .collect()
        } else {
            let literals: Vec<Fill> = template.literals.iter().map(|&number| Fill::Number(number)).collect();
            let mut pick = |n: usize, choice: &Vec<Fill>, hole: &Hole| {
                let literal = n % 3 == 0 && !literals.is_empty() && matches!(hole, Hole::Value(_));
                random.pick(if literal { &literals } else { choice })
            };
            let holes = || choices.iter().zip(&template.holes);
            (0..TRIED).map(|n| holes().map(|(choice, hole)| pick(n, choice, hole)).collect()).collect()
        };
        random.shuffle(&mut picks);
        let simplify = rule.block.kind == BlockKind::Simplify;
        let mut cases = Vec::new();
        for fills in &picks {
            let case = |variant| Case { program: Program::new(template, fills.clone(), variant), simplify, mistake: None };
            let plain = case(Variant::Plain);
            let kept = if plain.program.params.is_empty() { KEPT_CONSTANT } else { KEPT };
            if !fired(&plain, cpu)?.contains(&rule.number) {
                continue;
            }
            let plain_cases = cases.iter().filter(|case: &&Case| case.program.variant == Variant::Plain).count();
            cases.push(plain);
            if plain_cases < 2 {
                for variant in [Variant::Shared, Variant::Crowded, Variant::Turned] {
                    let other = case(variant);
                    if fired(&other, cpu)?.contains(&rule.number) {
                        cases.push(other);
                    }
                }
            }
            if plain_cases + 1 >= kept {
                break;
            }
        }
        // A pattern over several operators may ask for an order of their ages.
        if simplify && cases.is_empty() {
            for n in 0..AGES {
                let fills = picks[n % picks.len()].clone();
                let case =
                    Case { program: Program::new(template, fills, Variant::Early(random.next())), simplify, mistake: None };
                if cases.len() < KEPT && fired(&case, cpu)?.contains(&rule.number) {
                    cases.push(case);
                }
            }
        }
        Ok(cases)
    }

    /// Compiles and runs a rule's functions on about `inputs` inputs in all. With `expect` every one must have been made by that
    /// rule. Gives the number of inputs.
    pub fn run(
        &self,
        cases: &[Case],
        options: &Options,
        expect: Option<u16>,
        inputs: usize,
        random: &mut Random,
    ) -> Result<usize, String> {
        if cases.is_empty() {
            return Ok(0);
        }
        let signature = |case: &Case| Signature { params: case.program.param_types(), result: case.program.result() };
        let signatures: Vec<Signature> = cases.iter().map(signature).collect();
        let options = Options { keep_origins: true, ..options.clone() };
        let body = |number: usize, layout: &_| prepared(&cases[number], Some(layout), options.without);
        let mut guest = Guest::new(&signatures, &options, &body, random)?;
        for (number, case) in cases.iter().enumerate() {
            if let Some(rule) = expect
                && !guest.compiled.functions[number + 1].1.fired.contains(&rule)
            {
                return Err(format!("the rule did not fire in\n{}", case.describe(&guest, &options)));
            }
        }
        let mut done = 0;
        // What some functions leave out, others make up for.
        for round in 0..ROUNDS {
            let each = inputs.saturating_sub(done).div_ceil(cases.len());
            for (number, case) in cases.iter().enumerate() {
                let each = if case.has_parameters() { each } else { usize::from(round == 0) };
                let mut source = Inputs::new(&case.program.params, each, random);
                // Some inputs say nothing: addresses that no window shows, NaNs whose bits are open.
                let (wanted, mut tries) = (done + each, 0);
                while done < wanted && tries < 4 * each {
                    tries += 1;
                    let args = source.next(&guest, random);
                    done += usize::from(case.check(number, &args, &mut guest, &options)?);
                }
            }
        }
        Ok(done)
    }
}

impl Case {
    pub fn has_parameters(&self) -> bool {
        !self.program.params.is_empty()
    }

    /// The case with another operator of the same type compiled, if there is one.
    pub fn mistaken(&self) -> Option<Case> {
        let root = self.program.root_op();
        let info = root.info();
        if info.kind != OpKind::Ordinary {
            return None;
        }
        let alike = |op: &Op| {
            let other = op.info();
            *op != root
                && (other.params, other.results, other.kind) == (info.params, info.results, info.kind)
                && (other.reads, other.writes, other.reads_constant) == (info.reads, info.writes, info.reads_constant)
                && other.immediates == info.immediates
        };
        let mistake = Op::ALL.into_iter().find(alike)?;
        Some(Case { mistake: Some(mistake), ..self.clone() })
    }

    fn describe(&self, guest: &Guest, options: &Options) -> String {
        let func = prepared(self, Some(guest.layout()), options.without);
        format!("base {:#x}, table {:#x}, {:?}\n{func}", guest.base, guest.table, self.program.variant)
    }

    /// One call compared with the evaluators; whether the input says anything.
    fn check(&self, number: usize, args: &[u64], guest: &mut Guest, options: &Options) -> Result<bool, String> {
        guest.missed = false;
        let expected = self.program.expected(args, guest);
        if guest.missed || matches!(expected, Err(Stop::Open)) {
            guest.restore();
            return Ok(false);
        }
        let found = guest.call(number, args)?;
        let right = match (&expected, &found) {
            (Ok(Some(expected)), Ok(found)) => expected.allows(*found),
            (Ok(None), Ok(_)) => true,
            (Err(Stop::Trap(expected)), Err(found)) => expected == found,
            _ => false,
        };
        let storage = guest.check_storage();
        if right && storage.is_ok() {
            return Ok(true);
        }
        let expected = match expected {
            Ok(Some(value)) => format!("{:#x} ({:?})", value.bits, value.nan),
            Ok(None) => "no result".to_string(),
            Err(Stop::Trap(code)) => format!("the trap {code:?}"),
            Err(Stop::Open) => "anything".to_string(),
        };
        let found = found.map_or_else(|code| format!("the trap {code:?}"), |bits| format!("{bits:#x}"));
        let args: Vec<String> = args.iter().map(|arg| format!("{arg:#x}")).collect();
        Err(format!(
            "({}) gives {found}, expected {expected} {}\n{}",
            args.join(", "),
            storage.err().unwrap_or_default(),
            self.describe(guest, options)
        ))
    }
}

/// Whether a CPU has the feature that a rule names.
fn has(cpu: CpuFeatures, name: &str) -> bool {
    use vwasm::machine::Feature::*;
    let features =
        [("lzcnt", Lzcnt), ("bmi1", Bmi1), ("bmi2", Bmi2), ("avx", Avx), ("avx2", Avx2), ("fma", Fma), ("movbe", Movbe)];
    features.iter().any(|(known, feature)| name.trim_start_matches("cpu.") == *known && cpu.has(*feature))
}

/// The function, ready for lowering.
fn prepared(case: &Case, layout: Option<&vwasm::layout::InstanceLayout>, without: Option<u16>) -> Function {
    let mut func = case.program.function(layout);
    if let Some(op) = case.mistake
        && let Some(root) = func.insts.iter_mut().rev().find(|inst| inst.op == case.program.root_op())
    {
        root.op = op;
    }
    if case.simplify {
        vwasm::simplify::run(&mut func, without).unwrap_or_else(|error| panic!("{error}"));
    }
    func
}

/// The rules that fire in a function.
fn fired(case: &Case, cpu: CpuFeatures) -> Result<Vec<u16>, String> {
    let func = prepared(case, None, None);
    if case.simplify {
        return Ok(func.fired);
    }
    let result: Vec<Type> = case.program.result().into_iter().collect();
    let own = Convention::new(&case.program.param_types(), &result);
    let options = Options { cpu, ..Options::default() };
    let code = vwasm::lower::lower(&func, &own, &[], &options).map_err(|error| format!("{error}\n{func}"))?;
    Ok(code.fired)
}

/// Arguments for a function: edges crossed, then random.
struct Inputs<'a> {
    params: &'a [Param],
    edges: HashMap<usize, Vec<u64>>,
    /// All combinations of edges, if they are few, else how many are drawn.
    crossed: usize,
    drawn: usize,
    given: usize,
}

impl<'a> Inputs<'a> {
    fn new(params: &'a [Param], count: usize, random: &mut Random) -> Inputs<'a> {
        let mut edges = HashMap::new();
        let mut crossed = 1usize;
        for (n, param) in params.iter().enumerate().filter(|(_, param)| param.role == Role::Value) {
            let mut values = match param.ty {
                Type::I32 => integers(32),
                Type::I64 => integers(64),
                Type::F32 => floats(32),
                Type::F64 => floats(64),
            };
            random.shuffle(&mut values);
            crossed = crossed.saturating_mul(values.len());
            edges.insert(n, values);
        }
        let most = count * 3 / 4;
        let all = crossed <= most;
        Inputs { params, edges, crossed: if all { crossed } else { 0 }, drawn: if all { 0 } else { most }, given: 0 }
    }

    fn next(&mut self, guest: &Guest, random: &mut Random) -> Vec<u64> {
        let mut rest = self.given;
        let (crossed, drawn) = (self.given < self.crossed, self.given < self.crossed + self.drawn);
        self.given += 1;
        let mut args = Vec::with_capacity(self.params.len());
        for (n, param) in self.params.iter().enumerate() {
            args.push(match (param.role, self.edges.get(&n)) {
                (Role::Value, Some(edges)) if crossed => {
                    let value = edges[rest % edges.len()];
                    rest /= edges.len();
                    value
                }
                (Role::Value, Some(edges)) if drawn || random.below(8) == 0 => random.pick(edges),
                _ => argument(param, guest, random),
            });
        }
        args
    }
}

fn argument(param: &Param, guest: &Guest, random: &mut Random) -> u64 {
    match param.role {
        Role::Value => match param.ty {
            Type::I32 => random.bits(32),
            Type::I64 => random.bits(64),
            Type::F32 => random.float(32),
            Type::F64 => random.float(64),
        },
        Role::Pointer => {
            // So that the access, its offset added, falls into a window or at an end.
            let (start, length) = random.pick(&WINDOWS);
            let target = match random.below(4) {
                0 => MEMORY_BYTES - random.below(12),
                1 => start + length - random.below(12),
                2 => random.pick(&[0, 1 << 31, (1 << 31) - 1, 1 << 32, (1 << 32) - 1]),
                _ => start + random.below(length),
            };
            u64::from(target.wrapping_sub(param.offset) as u32)
        }
        Role::TableIndex => match random.below(4) {
            0 => random.bits(32),
            1 => TABLE_LENGTH - 1 + random.below(3),
            _ => random.below(TABLE_LENGTH),
        },
        Role::MemoryBase => guest.base,
        Role::TableBase => guest.table,
        Role::Slot => guest.table + 16 * random.below(TABLE_LENGTH),
        Role::Cell => guest.cell_address(random.below(u64::from(guest::CELLS)) as u32),
    }
}
