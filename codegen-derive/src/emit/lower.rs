//! `lower.rs`: operators to instructions.
//!
//! For each operator one function that tries its rules in order, for each form another. A rule first matches and tests
//! (nothing is emitted), then asks for the registers of the values it uses, then emits: operands before the instruction
//! that takes them, condition codes last, so that the flags reach their reader.

use super::insts::{class, field};
use super::matching::{Matched, has_twin};
use super::rust::Printer;
use super::{RuleTable, camel, condition, local, snake};
use crate::ast::*;
use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};
use std::collections::{HashMap, HashSet};

/// Prints the right side of one rule.
struct Emission<'a> {
    spec: &'a Spec,
    printer: &'a Printer,
    forms: &'a HashMap<String, &'a RuleBlock>,
    /// Temporaries that are results of the root: name to result number.
    results: HashMap<String, usize>,
    /// Names bound by patterns to values.
    values: HashSet<String>,
    fresh: usize,
    code: TokenStream,
}

fn register(name: &str) -> Ident {
    format_ident!("r_{}", name)
}

/// The name inside a register view such as `zext64(x)` or `x[7:0]`.
fn viewed(expr: &Expr) -> Option<&str> {
    match &expr.kind {
        ExprKind::Var(name) => Some(name),
        ExprKind::Slice(inner, ..) => viewed(inner),
        ExprKind::Call(name, args) if matches!(name.text.as_str(), "zext64" | "vec" | "low_f32" | "low_f64") => {
            args.first().and_then(viewed)
        }
        _ => None,
    }
}

impl Emission<'_> {
    fn fresh(&mut self) -> Ident {
        self.fresh += 1;
        format_ident!("t{}", self.fresh)
    }

    fn form<'e>(&self, expr: &'e Expr) -> Option<(&'e str, &'e [Expr])> {
        match &expr.kind {
            ExprKind::Call(name, args) if self.forms.contains_key(&name.text) => Some((&name.text, args)),
            _ => None,
        }
    }

    fn form_call(&mut self, name: &str, args: &[Expr]) -> TokenStream {
        let function = snake("form", name);
        let params = self.forms[name].params.len();
        let args = args.iter().enumerate().map(|(n, arg)| match (&arg.kind, n < params) {
            (ExprKind::Var(name), true) => {
                let name = local(name);
                quote!(#name)
            }
            _ => self.printer.print(arg),
        });
        quote!(#function(cx, root, #(#args),*))
    }

    /// The register that a view names.
    fn view(&self, expr: &Expr) -> TokenStream {
        let name = register(viewed(expr).unwrap_or_default());
        quote!(#name)
    }

    fn condition(&mut self, arg: &Arg) -> TokenStream {
        let Arg::Expr(expr) = arg else { return quote!() };
        if let Some((name, args)) = self.form(expr) {
            return self.form_call(name, args);
        }
        match &expr.kind {
            ExprKind::Var(name) if name.starts_with("cc.") => {
                let name = condition(&name[3..]);
                quote!(Cc::#name)
            }
            ExprKind::Var(name) => {
                let name = register(name);
                quote!(#name)
            }
            _ => quote!(),
        }
    }

    fn address(&mut self, arg: &Arg) -> TokenStream {
        match arg {
            Arg::Addr(literal) => self.addr(literal),
            Arg::Expr(expr) => match self.form(expr) {
                Some((name, args)) => self.form_call(name, args),
                None => quote!(),
            },
            _ => quote!(),
        }
    }

    fn addr(&mut self, literal: &AddrLit) -> TokenStream {
        let mut base = quote!(Base::None);
        let mut based = false;
        let mut index = quote!(None);
        let mut index_scale = 1u8;
        let mut displacement = quote!(0);
        let registers = literal.parts.iter().filter(|(part, _)| viewed(part).is_some_and(|name| self.is_register(name)));
        let alone = registers.count() == 1;
        for (part, scale) in &literal.parts {
            match viewed(part) {
                Some("mem0") => (base, based) = (quote!(Base::Mem0), true),
                Some("instance") => (base, based) = (quote!(Base::Instance), true),
                Some(name) if self.is_register(name) => {
                    let name = register(name);
                    if !based && *scale == 1 && (alone || index.to_string() != "None" || !self.later_base(literal, part)) {
                        (base, based) = (quote!(Base::Reg(#name)), true);
                    } else {
                        (index, index_scale) = (quote!(Some(#name)), *scale);
                    }
                }
                _ => {
                    let printed = self.printer.print(part);
                    displacement = quote!((#printed) as u32 as i32);
                }
            }
        }
        quote!(cx.amode(#base, #index, #index_scale, #displacement))
    }

    /// Whether a role stands as base after this part.
    fn later_base(&self, literal: &AddrLit, part: &Expr) -> bool {
        literal
            .parts
            .iter()
            .any(|(other, _)| other.span.start > part.span.start && matches!(viewed(other), Some("mem0" | "instance")))
    }

    fn is_register(&self, name: &str) -> bool {
        self.values.contains(name)
    }

    /// One operand as the Rust value of the instruction's field.
    fn operand(&mut self, arg: &Arg, kind: OperandKind) -> TokenStream {
        let plain = matches!(kind, OperandKind::Reg(_) | OperandKind::Xmm(_));
        match (kind, arg) {
            (OperandKind::Mem(_) | OperandKind::Addr, arg) => self.address(arg),
            (OperandKind::UImm(8), Arg::Expr(expr)) => {
                let value = self.printer.print(expr);
                quote!((#value) as u8)
            }
            (OperandKind::UImm(64), Arg::Expr(expr)) => self.printer.print(expr),
            (OperandKind::SImm(8), Arg::Expr(expr)) => {
                let value = self.printer.print(expr);
                quote!(i32::from((#value) as u8 as i8))
            }
            (OperandKind::SImm(_) | OperandKind::UImm(_), Arg::Expr(expr)) => {
                let value = self.printer.print(expr);
                quote!((#value) as u32 as i32)
            }
            (_, Arg::Mem { address, .. }) => {
                let address = self.address(address);
                quote!(RegMem::Mem(#address))
            }
            (_, Arg::Expr(expr)) => match self.form(expr) {
                Some((name, args)) => self.form_call(name, args),
                None => {
                    let register = self.view(expr);
                    if plain { register } else { quote!(RegMem::Reg(#register)) }
                }
            },
            (_, Arg::Nested(right)) => {
                let name = self.fresh();
                self.right(right, &[name.clone()], &[None]);
                if plain { quote!(#name) } else { quote!(RegMem::Reg(#name)) }
            }
            _ => quote!(),
        }
    }

    fn inst(&self, name: &str) -> Option<&Inst> {
        self.spec.insts.iter().find(|inst| inst.name.text == name)
    }

    /// Emits an instruction; its outputs get the names `outs`, in new registers or in results of the root.
    fn apply(&mut self, name: &str, args: &[Arg], outs: &[Ident], results: &[Option<usize>]) {
        let Some(inst) = self.inst(name).cloned() else { return };
        let mut args = args.iter();
        let mut given: Vec<(&Operand, Option<&Arg>)> = Vec::new();
        for operand in &inst.operands {
            let takes = matches!(operand.mode, Mode::Use | Mode::InOut);
            given.push((operand, if takes { args.next() } else { None }));
        }
        let mut fields = TokenStream::new();
        let mut out = 0;
        let (late, early): (Vec<_>, Vec<_>) = given.into_iter().partition(|(operand, _)| operand.kind == OperandKind::Cc);
        for (operand, arg) in early.into_iter().chain(late) {
            let name = field(&operand.name.text);
            let value = match (operand.kind, arg) {
                (OperandKind::Cc, Some(arg)) => self.condition(arg),
                (kind, Some(arg)) => self.operand(arg, kind),
                _ => quote!(),
            };
            if operand.mode == Mode::Use {
                let held = self.fresh();
                self.code.extend(quote!(let #held = #value;));
                fields.extend(quote!(#name: #held,));
                continue;
            }
            let (dst, class) = (outs.get(out).cloned().unwrap_or_else(|| self.fresh()), class(operand.kind));
            let target = match results.get(out).copied().flatten() {
                Some(result) => quote!(cx.result(root, #result)),
                None => quote!(cx.temp(#class)),
            };
            self.code.extend(quote!(let #dst = #target;));
            fields.extend(quote!(#name: #dst,));
            if operand.mode == Mode::InOut {
                let tied = format_ident!("{}_in", operand.name.text);
                let held = self.fresh();
                self.code.extend(quote!(let #held = #value;));
                fields.extend(quote!(#tied: #held,));
            }
            out += 1;
        }
        let ident = camel(&inst.name.text);
        self.code.extend(quote!(cx.emit(Inst::#ident { #fields });));
    }

    fn right(&mut self, right: &Right, outs: &[Ident], results: &[Option<usize>]) {
        match right {
            Right::Var(name) if self.inst(&name.text).is_some() => self.apply(&name.text, &[], outs, results),
            Right::Apply { name, args, .. } => self.apply(&name.text, args, outs, results),
            Right::Var(name) => {
                if let Some(out) = outs.first() {
                    let name = register(&name.text);
                    self.code.extend(quote!(let #out = #name;));
                }
            }
            _ => {}
        }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Let(names, right) => {
                let results: Vec<Option<usize>> = names.iter().map(|name| self.results.get(&name.text).copied()).collect();
                let outs: Vec<Ident> =
                    names.iter().map(|name| if name.text == "_" { self.fresh() } else { register(&name.text) }).collect();
                self.right(right, &outs, &results);
                self.values.extend(names.iter().map(|name| name.text.clone()));
            }
            Step::Do(right) => self.right(right, &[], &[]),
            Step::TrapIf { code, cond, .. } => {
                let (code, cond) = (camel(&code.text), self.condition(cond));
                self.code.extend(quote!({ let cc = #cond; cx.trap_if(cc, TrapCode::#code); }));
            }
            Step::Branch { first, second, .. } => {
                let first = self.condition(first);
                match second {
                    None => self.code.extend(quote!({ let cc = #first; cx.branch(cc, None); })),
                    Some((join, second)) => {
                        let second = self.condition(second);
                        let join = if *join == BranchJoin::And { quote!(Join::And) } else { quote!(Join::Or) };
                        self.code.extend(quote!({ let cc = #first; cx.branch(cc, Some((#join, #second))); }));
                    }
                }
            }
            Step::Yield(..) => {}
        }
    }

    /// The value of a form, as Rust.
    fn form_value(&mut self, right: &Right, sort: &Type) -> TokenStream {
        let as_operand = |register: TokenStream| match sort {
            Type::RegMem(_) | Type::XmmMem(_) => quote!(RegMem::Reg(#register)),
            _ => register,
        };
        match right {
            Right::Addr(literal) => self.addr(literal),
            Right::Mem { address, .. } => {
                let address = self.address(address);
                quote!(RegMem::Mem(#address))
            }
            Right::Var(name) if self.inst(&name.text).is_none() => {
                let name = register(&name.text);
                as_operand(quote!(#name))
            }
            Right::Seq { steps, .. } => {
                steps.iter().for_each(|step| self.step(step));
                match steps.last() {
                    Some(Step::Yield(Arg::Addr(literal), _)) => self.addr(literal),
                    Some(Step::Yield(arg, _)) if *sort == Type::Cond => self.condition(arg),
                    Some(Step::Yield(Arg::Expr(expr), _)) => {
                        let view = self.view(expr);
                        as_operand(view)
                    }
                    _ => quote!(),
                }
            }
            right => {
                let name = self.fresh();
                self.right(right, &[name.clone()], &[None]);
                as_operand(quote!(#name))
            }
        }
    }

    /// The root's results.
    fn root_value(&mut self, right: &Right, results: usize) {
        match right {
            Right::Seq { steps, .. } => {
                let yielded: Vec<Expr> = match steps.last() {
                    Some(Step::Yield(Arg::Expr(expr), _)) => match &expr.kind {
                        ExprKind::Tuple(parts) => parts.clone(),
                        _ => vec![expr.clone()],
                    },
                    _ => Vec::new(),
                };
                for (number, expr) in yielded.iter().enumerate() {
                    if let ExprKind::Var(name) = &expr.kind
                        && !self.values.contains(name)
                        && defined_by_instruction(self.spec, steps, name)
                    {
                        self.results.entry(name.clone()).or_insert(number);
                    }
                }
                steps.iter().for_each(|step| self.step(step));
                for (number, expr) in yielded.iter().enumerate() {
                    let direct = matches!(&expr.kind, ExprKind::Var(name) if self.results.get(name) == Some(&number));
                    if !direct {
                        let view = self.view(expr);
                        self.code.extend(quote!(cx.alias(root, #number, #view);));
                    }
                }
            }
            Right::Var(name) if self.inst(&name.text).is_none() => {
                let name = register(&name.text);
                self.code.extend(quote!(cx.alias(root, 0, #name);));
            }
            right => {
                let outs: Vec<Ident> = (0..results).map(|_| self.fresh()).collect();
                let numbers: Vec<Option<usize>> = (0..results).map(Some).collect();
                self.right(right, &outs, &numbers);
            }
        }
    }
}

fn defined_by_instruction(spec: &Spec, steps: &[Step], name: &str) -> bool {
    steps.iter().any(|step| match step {
        Step::Let(names, right) => {
            names.iter().any(|bound| bound.text == name)
                && match right {
                    Right::Apply { .. } => true,
                    Right::Var(inst) => spec.insts.iter().any(|known| known.name.text == inst.text),
                    _ => false,
                }
        }
        _ => false,
    })
}

/// Names whose registers a right side uses (not those handed to forms).
fn used_registers(right: &Right, forms: &HashMap<String, &RuleBlock>, out: &mut Vec<String>) {
    fn expr(value: &Expr, forms: &HashMap<String, &RuleBlock>, out: &mut Vec<String>) {
        match &value.kind {
            ExprKind::Call(name, _) if forms.contains_key(&name.text) => {}
            ExprKind::Tuple(parts) => parts.iter().for_each(|part| expr(part, forms, out)),
            _ => out.extend(viewed(value).map(str::to_string)),
        }
    }
    fn arg(value: &Arg, forms: &HashMap<String, &RuleBlock>, out: &mut Vec<String>) {
        match value {
            Arg::Expr(value) => expr(value, forms, out),
            Arg::Nested(right) => used_registers(right, forms, out),
            Arg::Addr(literal) => literal.parts.iter().for_each(|(part, _)| expr(part, forms, out)),
            Arg::Mem { address, .. } => arg(address, forms, out),
        }
    }
    match right {
        Right::Var(name) => out.push(name.text.clone()),
        Right::Apply { args, .. } => args.iter().for_each(|value| arg(value, forms, out)),
        Right::Addr(literal) => literal.parts.iter().for_each(|(part, _)| expr(part, forms, out)),
        Right::Mem { address, .. } => arg(address, forms, out),
        Right::Const(_) => {}
        Right::Seq { steps, .. } => {
            for step in steps {
                match step {
                    Step::Let(_, right) | Step::Do(right) => used_registers(right, forms, out),
                    Step::TrapIf { cond, .. } => arg(cond, forms, out),
                    Step::Branch { first, second, .. } => {
                        arg(first, forms, out);
                        if let Some((_, second)) = second {
                            arg(second, forms, out);
                        }
                    }
                    Step::Yield(value, _) => arg(value, forms, out),
                }
            }
        }
    }
}

/// Names that patterns bind to values.
fn bound_values(patterns: &[Pattern], out: &mut HashSet<String>) {
    for pattern in patterns {
        match pattern {
            Pattern::Var(name) => {
                out.insert(name.text.clone());
            }
            Pattern::Op { alias, args, .. } => {
                out.extend(alias.iter().map(|name| name.text.clone()));
                bound_values(args, out);
            }
            _ => {}
        }
    }
}

/// Where operands and immediates of a rule come from.
#[derive(Clone)]
struct Source {
    values: Vec<(TokenStream, Type)>,
    immediates: Vec<Param>,
    immediate_sources: Vec<TokenStream>,
}

fn rule(
    spec: &Spec,
    printer: &Printer,
    forms: &HashMap<String, &RuleBlock>,
    block: &RuleBlock,
    rule: &Rule,
    source: &Source,
    number: u16,
    results: usize,
) -> TokenStream {
    let mut matched = Matched::default();
    let root = quote!(root);
    for (pattern, (value, ty)) in rule.patterns.iter().zip(&source.values) {
        matched.pattern(spec, pattern, value.clone(), ty, &root);
    }
    matched.immediates(&rule.immediates, &source.immediates, &source.immediate_sources);
    matched.guards(rule, printer);

    let mut values = HashSet::new();
    bound_values(&rule.patterns, &mut values);
    let mut wanted = Vec::new();
    used_registers(&rule.right, forms, &mut wanted);
    let mut seen = HashSet::new();
    wanted.retain(|name| values.contains(name) && seen.insert(name.clone()));
    let loads = wanted.iter().map(|name| {
        let (register, value) = (register(name), local(name));
        quote!(let #register = cx.reg(#value);)
    });
    let loads: TokenStream = loads.collect();
    let sinks = matched.once.iter().map(|inst| quote!(cx.sink(#inst);));
    let sinks: TokenStream = sinks.collect();
    let mut right = Emission { spec, printer, forms, results: HashMap::new(), values, fresh: 0, code: TokenStream::new() };
    let end = if block.kind == BlockKind::Form {
        let value = right.form_value(&rule.right, &block.result);
        let code = std::mem::take(&mut right.code);
        quote! { #code let value = #value; cx.leave(outer); return value; }
    } else {
        right.root_value(&rule.right, results);
        let code = std::mem::take(&mut right.code);
        quote! { #code cx.leave(outer); return true; }
    };
    let code = matched.code;
    // The last rule cannot be switched off: nothing would be left to apply.
    let last = block.rules.last().is_some_and(|last| last.span == rule.span);
    let switch = (!last).then(|| quote!(if cx.is_off(#number) { break 'rule; }));
    quote! {
        'rule: {
            #code
            #switch
            let outer = cx.enter(#number);
            #sinks
            #loads
            #end
        }
    }
}

pub fn emit(spec: &Spec, rules: &RuleTable, unproved: &[String]) -> TokenStream {
    let printer = Printer::new(spec);
    let forms: HashMap<String, &RuleBlock> = spec
        .blocks
        .iter()
        .filter(|block| block.kind == BlockKind::Form)
        .map(|block| (block.name.text.clone(), block))
        .collect();
    let mut arms = Vec::new();
    let mut functions = Vec::new();
    for block in spec.blocks.iter().filter(|block| block.kind == BlockKind::Lower) {
        let Some(op) = spec.ops.iter().find(|op| op.name.text == block.name.text) else { continue };
        let (ident, function, doc) = (camel(&op.name.text), snake("lower", &op.name.text), &op.name.text);
        arms.push(quote!(Op::#ident => #function(cx, root)));
        let source = Source {
            values: op.params.iter().enumerate().map(|(n, param)| (quote!(cx.arg(root, #n)), param.ty.clone())).collect(),
            immediates: op.immediates.clone(),
            immediate_sources: vec![quote!(cx.imm(root)), quote!(u64::from(cx.aux(root)))],
        };
        // The operands exchanged: the patterns keep their order, so that a name is bound before it is asked for again.
        let exchanged = Source { values: source.values.iter().rev().cloned().collect(), ..source.clone() };
        let results = op.results.len();
        let mut bodies = Vec::new();
        for one in &block.rules {
            bodies.push(rule(spec, &printer, &forms, block, one, &source, rules.number(one), results));
            if op.commutative && has_twin(one) {
                bodies.push(rule(spec, &printer, &forms, block, one, &exchanged, rules.number(one), results));
            }
        }
        functions.push(quote! {
            #[doc = #doc]
            fn #function(cx: &mut Lower, root: Inst_) -> bool { #(#bodies)* false }
        });
    }
    let mut names: Vec<&String> = forms.keys().collect();
    names.sort();
    for name in names {
        let block = forms[name];
        let function = snake("form", name);
        let params: Vec<Ident> = (0..block.params.len()).map(|n| format_ident!("p{n}")).collect();
        let immediates: Vec<Ident> = (0..block.immediates.len()).map(|n| format_ident!("i{n}")).collect();
        let source = Source {
            values: params.iter().zip(&block.params).map(|(name, param)| (quote!(#name), param.ty.clone())).collect(),
            immediates: block.immediates.clone(),
            immediate_sources: immediates.iter().map(|name| quote!(#name)).collect(),
        };
        let result = match block.result {
            Type::Addr => quote!(Amode),
            Type::Cond => quote!(Cc),
            Type::RegMem(_) | Type::XmmMem(_) => quote!(RegMem),
            _ => quote!(Reg),
        };
        let bodies = block.rules.iter().map(|one| rule(spec, &printer, &forms, block, one, &source, rules.number(one), 1));
        functions.push(quote! {
            #[doc = #name]
            #[allow(unreachable_code)]
            pub fn #function(cx: &mut Lower, root: Inst_, #(#params: Value,)* #(#immediates: u64),*) -> #result {
                if let Some(mut log) = cx.log.take() {
                    why::#function(cx, root, #(#params,)* #(#immediates,)* &mut log);
                    cx.log = Some(log);
                }
                #(#bodies)*
                unreachable!("the last rule of a form always applies")
            }
        });
    }
    let infos = rules.entries.iter().map(|(name, file, line)| quote!(RuleInfo { name: #name, file: #file, line: #line }));
    quote! {
        /// A rule's name and place.
        #[derive(Clone, Copy, Debug)]
        pub struct RuleInfo { pub name: &'static str, pub file: &'static str, pub line: u32 }

        /// All rules, by number.
        pub static RULES: &[RuleInfo] = &[#(#infos),*];

        /// Rules that were let in without a proof; none in an honest build.
        pub static UNPROVED: &[&str] = &[#(#unproved),*];

        /// Lowers one operator by its rules; false if it has none.
        pub fn lower(cx: &mut Lower, root: Inst_) -> bool {
            match cx.op(root) {
                #(#arms,)*
                #[allow(unreachable_patterns)]
                _ => false,
            }
        }

        #(#functions)*
    }
}
