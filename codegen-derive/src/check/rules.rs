//! Rules: patterns, conditions, right sides, and the order of the rules of a block.

use super::types::{Globals, Scope, Stage, Typer, unused};
use super::{feature_known, operand_type, trap_known};
use crate::ast::*;
use crate::diagnostic::{Diagnostic, nearest};
use std::collections::{HashMap, HashSet};

/// What rules use.
#[derive(Default)]
pub struct Used {
    pub insts: HashSet<String>,
    pub forms: HashSet<String>,
}

#[derive(Clone)]
struct Form {
    params: Vec<Type>,
    immediates: Vec<Type>,
    result: Type,
}

struct Checker<'a> {
    ops: HashMap<&'a str, &'a Op>,
    insts: HashMap<&'a str, &'a Inst>,
    forms: HashMap<String, Form>,
    traps: Vec<String>,
    globals: &'a mut Globals,
    errors: &'a mut Vec<Diagnostic>,
    used: Used,
    features: Vec<Name>,
}

/// Checks all rule blocks.
pub fn check(spec: &mut Spec, globals: &mut Globals, errors: &mut Vec<Diagnostic>) -> Used {
    let mut blocks = std::mem::take(&mut spec.blocks);
    let forms = blocks
        .iter()
        .filter(|block| block.kind == BlockKind::Form)
        .map(|block| {
            let types = |params: &[Param]| params.iter().map(|param| param.ty.clone()).collect();
            let form =
                Form { params: types(&block.params), immediates: types(&block.immediates), result: block.result.clone() };
            (block.name.text.clone(), form)
        })
        .collect();
    let mut checker = Checker {
        ops: spec.ops.iter().map(|op| (op.name.text.as_str(), op)).collect(),
        insts: spec.insts.iter().map(|inst| (inst.name.text.as_str(), inst)).collect(),
        forms,
        traps: spec.traps.iter().map(|trap| trap.name.text.clone()).collect(),
        globals,
        errors,
        used: Used::default(),
        features: Vec::new(),
    };
    for block in &mut blocks {
        checker.block(block);
    }
    let used = checker.used;
    spec.blocks = blocks;
    used
}

impl<'a> Checker<'a> {
    fn error(&mut self, diagnostic: Diagnostic) {
        self.errors.push(diagnostic);
    }

    fn unknown(&mut self, what: &str, name: &Name, candidates: Vec<&str>) {
        let near = nearest(&name.text, candidates.into_iter()).map(|near| format!("did you mean `{near}`?"));
        let mut error = Diagnostic::new(name.span, format!("unknown {what} `{}`", name.text));
        error.help = near;
        self.error(error);
    }

    fn op(&mut self, name: &Name) -> Option<&'a Op> {
        let found = self.ops.get(name.text.as_str()).copied();
        if found.is_none() {
            let names = self.ops.keys().copied().collect();
            self.unknown("operator", name, names);
        }
        found
    }

    fn block(&mut self, block: &mut RuleBlock) {
        let (params, immediates, wanted) = if block.kind == BlockKind::Form {
            let types = |params: &[Param]| params.iter().map(|param| param.ty.clone()).collect::<Vec<_>>();
            (types(&block.params), types(&block.immediates), block.result.clone())
        } else {
            let Some(op) = self.op(&block.name) else { return };
            let types = |params: &[Param]| params.iter().map(|param| param.ty.clone()).collect::<Vec<_>>();
            (types(&op.params), types(&op.immediates), tuple(op.results.clone()))
        };
        let mut names: HashMap<String, Span> = HashMap::new();
        for rule in &block.rules {
            if let Some(first) = names.insert(rule.name.text.clone(), rule.name.span) {
                self.error(
                    Diagnostic::new(rule.name.span, format!("two rules of `{}` are named `{}`", block.name.text, rule.name.text))
                        .other(first, "first used here"),
                );
            }
        }
        for rule in &mut block.rules {
            self.rule(rule, block.kind, &block.name, &params, &immediates, &wanted);
        }
        if block.kind != BlockKind::Simplify {
            match block.rules.last() {
                None => self.error(Diagnostic::new(block.name.span, format!("`{}` has no rules", block.name.text))),
                Some(last) if !applies_always(last) => self.error(
                    Diagnostic::new(last.name.span, format!("the last rule of `{}` may not apply", block.name.text))
                        .label("this rule has premises")
                        .help("end the block with a rule of plain names, without `if`, `prefer` or `when`"),
                ),
                _ => {}
            }
        }
        let commutative = block.kind != BlockKind::Form && self.ops[block.name.text.as_str()].commutative;
        self.shadowing(block, commutative);
    }

    fn shadowing(&mut self, block: &RuleBlock, commutative: bool) {
        for (number, later) in block.rules.iter().enumerate() {
            for earlier in &block.rules[..number] {
                let free =
                    earlier.conditions.is_empty() && earlier.preferences.is_empty() && earlier.features.is_empty();
                let direct = all_cover(&earlier.patterns, &later.patterns);
                let swapped = commutative
                    && matches!((earlier.patterns.as_slice(), later.patterns.as_slice()),
                        ([a, b], [c, d]) if covers(b, c) && covers(a, d));
                if free && (direct || swapped) && immediates_cover(&earlier.immediates, &later.immediates) {
                    self.errors.push(
                        Diagnostic::new(later.name.span, format!("rule `{}` can never apply", later.name.text))
                            .label("shadowed")
                            .other(earlier.name.span, "this earlier rule applies whenever it would")
                            .help("put the more special rule first"),
                    );
                    break;
                }
            }
        }
    }

    fn rule(
        &mut self,
        rule: &mut Rule,
        kind: BlockKind,
        block: &Name,
        params: &[Type],
        immediates: &[Type],
        wanted: &Type,
    ) {
        let mut scope = Scope::default();
        if rule.patterns.len() != params.len() {
            let (expected, found) = (params.len(), rule.patterns.len());
            self.error(Diagnostic::new(
                rule.name.span,
                format!("`{}` has {expected} operands, this rule has {found} patterns", block.text),
            ));
            return;
        }
        for (pattern, ty) in rule.patterns.iter().zip(params) {
            self.pattern(pattern, ty, &mut scope);
        }
        self.immediates(&rule.immediates, immediates, rule.name.span, &mut scope);
        for condition in rule.conditions.iter_mut().chain(&mut rule.preferences) {
            Typer { globals: self.globals, scope: &mut scope, errors: self.errors }.expect(condition, &Type::Bool);
            self.compile_time(condition, &scope);
        }
        for feature in &rule.features {
            feature_known(feature, self.errors);
        }
        self.features = rule.features.clone();
        if kind == BlockKind::Simplify {
            self.simplify_right(&mut rule.right, wanted, &mut scope);
            let matched: u64 = self.ops[block.text.as_str()].weight as u64
                + rule.patterns.iter().map(|pattern| self.pattern_weight(pattern)).sum::<u64>();
            let built = self.built_weight(&rule.right);
            if built >= matched {
                self.error(
                    Diagnostic::new(rule.name.span, format!("rule `{}` does not make the expression smaller", rule.name.text))
                        .label(format!("matches weight {matched}, builds weight {built}"))
                        .help("every simplify rule must decrease the sum of the operators' weights, so that rewriting ends"),
                );
            }
        } else {
            let mut flags = false;
            let found = self.right(&mut rule.right, &mut scope, &mut flags, Some(wanted));
            if found != *wanted && found != Type::Unknown {
                self.error(
                    Diagnostic::new(rule.span, format!("`{}` gives {wanted}, this rule gives {found}", block.text))
                        .label(format!("this is {found}")),
                );
            }
            if let Right::Var(_) | Right::Seq { .. } = &rule.right {
                self.narrow_result(&rule.right);
            }
        }
        for (name, binding) in &scope.names {
            if !binding.used {
                self.errors.push(unused(&Name { text: name.clone(), span: binding.span }));
            }
        }
    }

    /// A result may not be the lower part of a wider register: an i32 in a register is zero-extended.
    fn narrow_result(&mut self, right: &Right) {
        if let Right::Seq { steps, .. } = right
            && let Some(Step::Yield(Arg::Expr(expr), _)) = steps.last()
            && matches!(expr.kind, ExprKind::Slice(..))
        {
            self.error(
                Diagnostic::new(expr.span, "the upper half of this register is not zero")
                    .help("a result of type i32 is zero-extended: move it with a 32-bit instruction"),
            );
        }
    }

    fn immediates(&mut self, patterns: &[ImmPattern], types: &[Type], span: Span, scope: &mut Scope) {
        if patterns.len() != types.len() {
            let (expected, found) = (types.len(), patterns.len());
            self.error(Diagnostic::new(span, format!("expected {expected} immediates after `;`, found {found}")));
        }
        for (pattern, ty) in patterns.iter().zip(types) {
            match pattern {
                ImmPattern::Var(name) => self.bind(name, ty.clone(), Stage::Compile, scope),
                ImmPattern::Any(_) => {}
                ImmPattern::Literal(value, span) => self.literal(*value, *span, ty),
            }
        }
    }

    fn literal(&mut self, value: i128, span: Span, ty: &Type) {
        let mut expr = Expr { kind: ExprKind::Int(value), ty: Type::Unknown, span };
        let bits = constant_type(ty);
        Typer { globals: self.globals, scope: &mut Scope::default(), errors: self.errors }.expect(&mut expr, &bits);
    }

    fn bind(&mut self, name: &Name, ty: Type, stage: Stage, scope: &mut Scope) {
        if let Some(first) = scope.names.get(&name.text) {
            let first = first.span;
            self.error(
                Diagnostic::new(name.span, format!("`{}` is bound twice", name.text)).other(first, "first bound here"),
            );
        }
        scope.bind(name, ty, stage);
    }

    fn pattern(&mut self, pattern: &Pattern, ty: &Type, scope: &mut Scope) {
        match pattern {
            Pattern::Var(name) => self.bind(name, ty.clone(), Stage::Value, scope),
            Pattern::Any(_) => {}
            Pattern::Const(name) => self.bind(name, constant_type(ty), Stage::Compile, scope),
            Pattern::Literal(value, span) => self.literal(*value, *span, ty),
            Pattern::Op { op: name, once, args, immediates, span } => {
                let Some(op) = self.op(name) else { return };
                if op.results.as_slice() != std::slice::from_ref(ty) {
                    let found = tuple(op.results.clone());
                    self.error(
                        Diagnostic::new(*span, format!("expected {ty}, found {found}")).label(format!("`{}` gives {found}", name.text)),
                    );
                }
                if has_effect(op) && !once {
                    self.error(
                        Diagnostic::new(*span, format!("`{}` has an effect and may be matched only `once`", name.text))
                            .help(format!("write `({} once …)`: single use, nothing with an effect in between", name.text)),
                    );
                }
                if args.len() != op.params.len() {
                    let (expected, found) = (op.params.len(), args.len());
                    self.error(Diagnostic::new(*span, format!("`{}` has {expected} operands, found {found}", name.text)));
                }
                for (arg, param) in args.iter().zip(&op.params) {
                    self.pattern(arg, &param.ty, scope);
                }
                let types: Vec<Type> = op.immediates.iter().map(|param| param.ty.clone()).collect();
                self.immediates(immediates, &types, *span, scope);
            }
        }
    }

    fn compile_time(&mut self, expr: &Expr, scope: &Scope) {
        let mut late = Vec::new();
        super::walk(expr, &mut |part| {
            if let ExprKind::Var(name) = &part.kind
                && scope.names.get(name).is_some_and(|binding| binding.stage != Stage::Compile)
            {
                late.push((name.clone(), part.span));
            }
        });
        for (name, span) in late {
            self.error(
                Diagnostic::new(span, format!("the value of `{name}` is not known when compiling"))
                    .help("only constants (`const c`) and immediates are"),
            );
        }
    }

    /// A register operand: a name, or a free view of one.
    fn register_view(&mut self, expr: &Expr, scope: &Scope) {
        let inner = match &expr.kind {
            ExprKind::Var(name) => {
                if scope.names.get(name).is_some_and(|binding| binding.stage == Stage::Compile) {
                    self.error(
                        Diagnostic::new(expr.span, format!("`{name}` is a number, not a register"))
                            .help("load it with an instruction that takes an immediate"),
                    );
                }
                return;
            }
            ExprKind::Slice(inner, _, 0) => inner,
            ExprKind::Call(name, args) => match (name.text.as_str(), args.as_slice()) {
                ("zext64", [inner]) if inner.ty == Type::Bits(32) => inner,
                ("vec" | "low_f32" | "low_f64", [inner]) => inner,
                _ => return self.not_a_view(expr),
            },
            _ => return self.not_a_view(expr),
        };
        self.register_view(inner, scope);
    }

    fn not_a_view(&mut self, expr: &Expr) {
        self.error(
            Diagnostic::new(expr.span, "this is not a register")
                .help("registers are names, `x[7:0]`, `x[31:0]`, `zext64(x)` of an i32, `vec(x)`"),
        );
    }

    fn typed(&mut self, expr: &mut Expr, want: &Type, scope: &mut Scope) -> Type {
        Typer { globals: self.globals, scope, errors: self.errors }.infer(expr, Some(want))
    }

    /// If the expression calls a form: checks the arguments, gives the form's result.
    fn form_call(&mut self, expr: &mut Expr, scope: &mut Scope, flags: &mut bool) -> Option<Type> {
        let ExprKind::Call(name, args) = &mut expr.kind else { return None };
        let form = self.forms.get(&name.text)?.clone();
        self.used.forms.insert(name.text.clone());
        let wanted: Vec<&Type> = form.params.iter().chain(&form.immediates).collect();
        if args.len() != wanted.len() {
            let (expected, found) = (wanted.len(), args.len());
            self.error(Diagnostic::new(name.span, format!("form `{}` takes {expected} arguments, found {found}", name.text)));
        }
        for (number, (arg, want)) in args.iter_mut().zip(wanted).enumerate() {
            Typer { globals: self.globals, scope, errors: self.errors }.expect(arg, want);
            if number >= form.params.len() {
                self.compile_time(arg, scope);
            } else {
                let value = matches!(&arg.kind, ExprKind::Var(name)
                    if scope.names.get(name).is_none_or(|binding| binding.stage == Stage::Value));
                if !value {
                    self.error(
                        Diagnostic::new(arg.span, "a form takes a value that a pattern bound")
                            .help("temporaries and expressions have no operator to match"),
                    );
                }
            }
        }
        if form.result == Type::Cond {
            *flags = true;
        }
        expr.ty = form.result.clone();
        Some(form.result)
    }

    fn condition(&mut self, arg: &mut Arg, scope: &mut Scope, flags: &mut bool) {
        let Arg::Expr(expr) = arg else {
            return self.error(Diagnostic::new(arg_span(arg), "expected a condition").help("write `cc.e` or `cond(c)`"));
        };
        if let Some(ty) = self.form_call(expr, scope, flags) {
            if ty != Type::Cond {
                self.error(Diagnostic::new(expr.span, format!("expected cond, found {ty}")));
            }
            return;
        }
        Typer { globals: self.globals, scope, errors: self.errors }.expect(expr, &Type::Cond);
        if !*flags {
            self.error(
                Diagnostic::new(expr.span, "no instruction just before this one sets the flags")
                    .help("a condition code reads the flags of the instruction before it"),
            );
        }
    }

    fn apply(&mut self, name: &Name, args: &mut [Arg], scope: &mut Scope, flags: &mut bool) -> Type {
        let Some(inst) = self.insts.get(name.text.as_str()).copied() else {
            let names = self.insts.keys().copied().collect();
            self.unknown("instruction", name, names);
            return Type::Unknown;
        };
        self.used.insts.insert(name.text.clone());
        if let Some(feature) = &inst.feature
            && !self.features.iter().any(|have| have.text == feature.text)
        {
            self.errors.push(
                Diagnostic::new(name.span, format!("`{}` needs {}", name.text, feature.text))
                    .other(feature.span, "required here")
                    .help(format!("add `when {}` to the rule", feature.text)),
            );
        }
        let inputs: Vec<&Operand> =
            inst.operands.iter().filter(|operand| matches!(operand.mode, Mode::Use | Mode::InOut)).collect();
        if inputs.len() != args.len() {
            let (expected, found) = (inputs.len(), args.len());
            self.error(
                Diagnostic::new(name.span, format!("`{}` takes {expected} operands, found {found}", name.text))
                    .other(inst.name.span, "declared here"),
            );
        }
        for (arg, operand) in args.iter_mut().zip(&inputs) {
            if operand.kind != OperandKind::Cc {
                self.arg(arg, operand, scope);
            }
        }
        for (arg, operand) in args.iter_mut().zip(&inputs) {
            if operand.kind == OperandKind::Cc {
                self.condition(arg, scope, flags);
            }
        }
        for stmt in &inst.body {
            match stmt {
                InstStmt::Flags(_) => *flags = true,
                InstStmt::FlagsUndefined(_) => *flags = false,
                _ => {}
            }
        }
        let outs = inst.operands.iter().filter(|operand| operand.mode != Mode::Use);
        tuple(outs.map(|operand| operand_type(operand.kind)).collect())
    }

    fn arg(&mut self, arg: &mut Arg, operand: &Operand, scope: &mut Scope) {
        let want = operand_type(operand.kind);
        let span = arg_span(arg);
        let mismatch = |found: String| {
            Diagnostic::new(span, format!("operand `{}` takes {}, found {found}", operand.name.text, kind_name(operand.kind)))
                .other(operand.span, "declared here")
        };
        match (operand.kind, arg) {
            (OperandKind::Mem(_) | OperandKind::Addr, Arg::Addr(literal)) => self.addr(literal, scope),
            (OperandKind::Mem(_) | OperandKind::Addr, Arg::Expr(expr)) => match self.form_call(expr, scope, &mut false) {
                Some(Type::Addr) => {}
                Some(other) => self.error(mismatch(other.to_string())),
                None => self.error(mismatch("a value".into()).help("write an address: `[base + offset]` or a form of sort addr")),
            },
            (OperandKind::RegMem(width) | OperandKind::XmmMem(width), Arg::Mem { width: found, address, .. }) => {
                if width != *found {
                    self.error(mismatch(format!("mem{found}")));
                }
                self.address(address, scope);
            }
            (OperandKind::SImm(_) | OperandKind::UImm(_), Arg::Expr(expr)) => {
                Typer { globals: self.globals, scope, errors: self.errors }.expect(expr, &want);
                self.compile_time(expr, scope);
            }
            (kind, Arg::Expr(expr)) => {
                if let Some(found) = self.form_call(expr, scope, &mut false) {
                    let fits = match kind {
                        OperandKind::RegMem(width) => found == Type::RegMem(width),
                        OperandKind::XmmMem(width) => found == Type::XmmMem(width),
                        _ => false,
                    };
                    if !fits {
                        self.error(mismatch(found.to_string()));
                    }
                    return;
                }
                let found = self.typed(expr, &want, scope);
                if found != want && found != Type::Unknown {
                    self.error(mismatch(found.to_string()));
                }
                self.register_view(expr, scope);
            }
            (kind, Arg::Nested(right)) if !matches!(kind, OperandKind::SImm(_) | OperandKind::UImm(_)) => {
                let found = self.right(right, scope, &mut false, None);
                if found != want && found != Type::Unknown {
                    self.error(mismatch(found.to_string()));
                }
            }
            (_, arg) => {
                let found = match arg {
                    Arg::Addr(_) => "an address",
                    Arg::Mem { .. } => "a memory operand",
                    _ => "an instruction",
                };
                self.error(mismatch(found.into()));
            }
        }
    }

    fn address(&mut self, arg: &mut Arg, scope: &mut Scope) {
        match arg {
            Arg::Addr(literal) => self.addr(literal, scope),
            Arg::Expr(expr) => {
                if self.form_call(expr, scope, &mut false) != Some(Type::Addr) {
                    self.error(Diagnostic::new(expr.span, "expected an address"));
                }
            }
            other => self.error(Diagnostic::new(arg_span(other), "expected an address")),
        }
    }

    fn addr(&mut self, literal: &mut AddrLit, scope: &mut Scope) {
        let (mut registers, mut scaled, mut displacements) = (0, 0, 0);
        for (part, scale) in &mut literal.parts {
            if let ExprKind::Var(name) = &part.kind
                && (name == "mem0" || name == "instance")
            {
                part.ty = Type::Bits(64);
                registers += 1;
                continue;
            }
            let run = is_run_time(part, scope);
            let want = if run { Type::Bits(64) } else { Type::Bits(32) };
            Typer { globals: self.globals, scope, errors: self.errors }.expect(part, &want);
            if run {
                registers += 1;
                scaled += usize::from(*scale != 1);
                self.register_view(part, scope);
            } else {
                displacements += 1;
            }
            if !matches!(*scale, 1 | 2 | 4 | 8) {
                let span = part.span;
                self.error(Diagnostic::new(span, format!("a scale of {scale}")).help("scales are 1, 2, 4, 8"));
            }
        }
        if registers > 2 || scaled > 1 || displacements > 1 {
            self.error(
                Diagnostic::new(literal.span, "no addressing mode has this shape")
                    .help("an address is base + index*scale + displacement"),
            );
        }
    }

    fn right(&mut self, right: &mut Right, scope: &mut Scope, flags: &mut bool, wanted: Option<&Type>) -> Type {
        match right {
            Right::Var(name) => {
                if self.insts.contains_key(name.text.as_str()) {
                    return self.apply(&name.clone(), &mut [], scope, flags);
                }
                let mut expr = Expr { kind: ExprKind::Var(name.text.clone()), ty: Type::Unknown, span: name.span };
                let ty = Typer { globals: self.globals, scope, errors: self.errors }.infer(&mut expr, None);
                if ty != Type::Cond {
                    self.register_view(&expr, scope);
                }
                match (wanted, &ty) {
                    (Some(Type::RegMem(width)), Type::Bits(found)) if width == found => Type::RegMem(*width),
                    (Some(Type::XmmMem(32)), Type::F32) => Type::XmmMem(32),
                    (Some(Type::XmmMem(64)), Type::F64) => Type::XmmMem(64),
                    _ => ty,
                }
            }
            Right::Apply { name, args, .. } => self.apply(&name.clone(), args, scope, flags),
            Right::Addr(literal) => {
                self.addr(literal, scope);
                Type::Addr
            }
            Right::Mem { width, address, .. } => {
                self.address(address, scope);
                if matches!(wanted, Some(Type::XmmMem(_))) { Type::XmmMem(*width) } else { Type::RegMem(*width) }
            }
            Right::Const(expr) => {
                self.error(Diagnostic::new(expr.span, "`const` builds an operator").help("only simplify rules build operators"));
                Type::Unknown
            }
            Right::Seq { steps, span } => {
                let span = *span;
                let count = steps.len();
                let mut result = Type::Tuple(Vec::new());
                for (number, step) in steps.iter_mut().enumerate() {
                    let ty = self.step(step, scope, flags, wanted);
                    if let Some(ty) = ty {
                        if number + 1 != count {
                            self.error(Diagnostic::new(span, "`yield` must be the last step"));
                        }
                        result = ty;
                    }
                }
                result
            }
        }
    }

    fn step(&mut self, step: &mut Step, scope: &mut Scope, flags: &mut bool, wanted: Option<&Type>) -> Option<Type> {
        match step {
            Step::Let(names, right) => {
                let types = match self.right(right, scope, flags, None) {
                    Type::Tuple(types) => types,
                    ty => vec![ty],
                };
                if names.len() != types.len() && !types.contains(&Type::Unknown) {
                    let span = names.first().map_or(Span::default(), |name| name.span);
                    let (expected, found) = (types.len(), names.len());
                    self.error(Diagnostic::new(span, format!("this instruction writes {expected} registers, {found} are named")));
                }
                for (name, ty) in names.iter().zip(types) {
                    if name.text != "_" {
                        self.bind(name, ty, Stage::Run, scope);
                    }
                }
                None
            }
            Step::Do(right) => {
                let ty = self.right(right, scope, flags, None);
                if !matches!(ty, Type::Tuple(ref types) if types.is_empty()) && ty != Type::Unknown {
                    let span = right_span(right);
                    self.error(Diagnostic::new(span, "the result of this instruction is not used").help("bind it: `let _ = …`"));
                }
                None
            }
            Step::TrapIf { code, cond, .. } => {
                let code = code.clone();
                trap_known(&self.traps, &code, self.errors);
                self.condition(cond, scope, flags);
                None
            }
            Step::Branch { first, second, .. } => {
                self.condition(first, scope, flags);
                if let Some((_, second)) = second {
                    self.condition(second, scope, flags);
                }
                None
            }
            Step::Yield(arg, _) => Some(match arg {
                Arg::Addr(literal) => {
                    self.addr(literal, scope);
                    Type::Addr
                }
                Arg::Expr(expr) => {
                    let ty = match wanted {
                        Some(Type::Cond) => {
                            self.condition(arg, scope, flags);
                            return Some(Type::Cond);
                        }
                        wanted => {
                            let mut typer = Typer { globals: self.globals, scope, errors: self.errors };
                            typer.infer(expr, wanted)
                        }
                    };
                    match &expr.kind {
                        ExprKind::Tuple(parts) => {
                            let parts = parts.clone();
                            parts.iter().for_each(|part| self.register_view(part, scope));
                        }
                        _ => {
                            let expr = expr.clone();
                            self.register_view(&expr, scope);
                        }
                    }
                    ty
                }
                other => {
                    let span = arg_span(other);
                    self.error(Diagnostic::new(span, "expected a value"));
                    Type::Unknown
                }
            }),
        }
    }

    // -- simplify --

    fn simplify_right(&mut self, right: &mut Right, wanted: &Type, scope: &mut Scope) {
        match right {
            Right::Var(name) => {
                let mut expr = Expr { kind: ExprKind::Var(name.text.clone()), ty: Type::Unknown, span: name.span };
                Typer { globals: self.globals, scope, errors: self.errors }.expect(&mut expr, wanted);
                self.register_view(&expr, scope);
            }
            Right::Const(expr) => {
                Typer { globals: self.globals, scope, errors: self.errors }.expect(expr, &constant_type(wanted));
                self.compile_time(expr, scope);
            }
            Right::Apply { name, args, span } => {
                let (name, span) = (name.clone(), *span);
                let Some(op) = self.op(&name) else { return };
                if tuple(op.results.clone()) != *wanted {
                    let found = tuple(op.results.clone());
                    self.error(Diagnostic::new(span, format!("expected {wanted}, found {found}")));
                }
                if args.len() != op.params.len() + op.immediates.len() {
                    let (expected, found) = (op.params.len() + op.immediates.len(), args.len());
                    self.error(Diagnostic::new(name.span, format!("`{}` takes {expected} operands, found {found}", name.text)));
                }
                for (number, (arg, param)) in args.iter_mut().zip(op.params.iter().chain(&op.immediates)).enumerate() {
                    match arg {
                        Arg::Nested(right) => self.simplify_right(right, &param.ty, scope),
                        Arg::Expr(expr) => {
                            Typer { globals: self.globals, scope, errors: self.errors }.expect(expr, &param.ty);
                            if number < op.params.len() {
                                let expr = expr.clone();
                                self.register_view(&expr, scope);
                            } else {
                                self.compile_time(expr, scope);
                            }
                        }
                        other => {
                            let span = arg_span(other);
                            self.error(Diagnostic::new(span, "operators take values"));
                        }
                    }
                }
            }
            other => {
                let span = right_span(other);
                self.error(Diagnostic::new(span, "a simplify rule builds operators, not instructions"));
            }
        }
    }

    fn pattern_weight(&self, pattern: &Pattern) -> u64 {
        match pattern {
            Pattern::Op { op, args, .. } => {
                self.ops.get(op.text.as_str()).map_or(0, |op| u64::from(op.weight))
                    + args.iter().map(|arg| self.pattern_weight(arg)).sum::<u64>()
            }
            Pattern::Const(_) | Pattern::Literal(..) => 1,
            Pattern::Var(_) | Pattern::Any(_) => 0,
        }
    }

    fn built_weight(&self, right: &Right) -> u64 {
        match right {
            Right::Const(_) => 1,
            Right::Apply { name, args, .. } => {
                let args = args.iter().map(|arg| match arg {
                    Arg::Nested(right) => self.built_weight(right),
                    _ => 0,
                });
                self.ops.get(name.text.as_str()).map_or(0, |op| u64::from(op.weight)) + args.sum::<u64>()
            }
            _ => 0,
        }
    }
}

/// The bit pattern of a constant of a type.
pub fn constant_type(ty: &Type) -> Type {
    match ty {
        Type::F32 => Type::Bits(32),
        Type::F64 => Type::Bits(64),
        other => other.clone(),
    }
}

fn tuple(mut types: Vec<Type>) -> Type {
    if types.len() == 1 { types.remove(0) } else { Type::Tuple(types) }
}

fn has_effect(op: &Op) -> bool {
    op.kind != OpKind::Ordinary
        || op.body.iter().any(|stmt| match stmt {
            OpStmt::Trap(..) | OpStmt::Write { .. } => true,
            OpStmt::Read { region, .. } => *region != Region::Constant,
            _ => false,
        })
}

fn is_run_time(expr: &Expr, scope: &Scope) -> bool {
    let mut found = false;
    super::walk(expr, &mut |part| {
        if let ExprKind::Var(name) = &part.kind {
            found |= scope.names.get(name).is_some_and(|binding| binding.stage != Stage::Compile);
        }
    });
    found
}

fn applies_always(rule: &Rule) -> bool {
    rule.conditions.is_empty()
        && rule.preferences.is_empty()
        && rule.features.is_empty()
        && rule.patterns.iter().all(|pattern| matches!(pattern, Pattern::Var(_) | Pattern::Any(_)))
        && rule.immediates.iter().all(|pattern| !matches!(pattern, ImmPattern::Literal(..)))
}

fn covers(general: &Pattern, special: &Pattern) -> bool {
    match (general, special) {
        (Pattern::Var(_) | Pattern::Any(_), _) => true,
        (Pattern::Const(_), Pattern::Const(_) | Pattern::Literal(..)) => true,
        (Pattern::Literal(a, _), Pattern::Literal(b, _)) => a == b,
        (
            Pattern::Op { op: a, once, args, immediates, .. },
            Pattern::Op { op: b, once: once_b, args: args_b, immediates: immediates_b, .. },
        ) => a.text == b.text && (!once || *once_b) && all_cover(args, args_b) && immediates_cover(immediates, immediates_b),
        _ => false,
    }
}

fn all_cover(general: &[Pattern], special: &[Pattern]) -> bool {
    general.len() == special.len() && general.iter().zip(special).all(|(a, b)| covers(a, b))
}

fn immediates_cover(general: &[ImmPattern], special: &[ImmPattern]) -> bool {
    general.len() == special.len()
        && general.iter().zip(special).all(|pair| match pair {
            (ImmPattern::Literal(a, _), ImmPattern::Literal(b, _)) => a == b,
            (ImmPattern::Literal(..), _) => false,
            _ => true,
        })
}

fn kind_name(kind: OperandKind) -> String {
    match kind {
        OperandKind::Reg(width) => format!("r{width}"),
        OperandKind::RegMem(width) => format!("rm{width}"),
        OperandKind::Mem(width) => format!("m{width}"),
        OperandKind::Xmm(width) => format!("xmm{width}"),
        OperandKind::XmmMem(width) => format!("xm{width}"),
        OperandKind::Addr => "an address".into(),
        OperandKind::SImm(width) => format!("simm{width}"),
        OperandKind::UImm(width) => format!("an immediate of {width} bits"),
        OperandKind::Cc => "a condition code".into(),
        OperandKind::Label => "a label".into(),
    }
}

fn arg_span(arg: &Arg) -> Span {
    match arg {
        Arg::Expr(expr) => expr.span,
        Arg::Nested(right) => right_span(right),
        Arg::Addr(literal) => literal.span,
        Arg::Mem { span, .. } => *span,
    }
}

fn right_span(right: &Right) -> Span {
    match right {
        Right::Var(name) => name.span,
        Right::Apply { span, .. } | Right::Seq { span, .. } | Right::Mem { span, .. } => *span,
        Right::Addr(literal) => literal.span,
        Right::Const(expr) => expr.span,
    }
}
