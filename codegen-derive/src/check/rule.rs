//! Rule blocks: names, patterns and conditions. Right sides are in `right` and `simplify`, flags and effects in `flow`,
//! the order of a block's rules in `order`.

use super::inst::feature_known;
use super::types::{Globals, Scope, Signature, Stage, Typer, computable};
use super::{flow, order, walk};
use crate::ast::*;
use crate::diagnostic::Diagnostic;
use std::collections::{HashMap, HashSet};

/// What rules use.
#[derive(Default)]
pub struct Used {
    pub insts: HashSet<String>,
    pub forms: HashSet<String>,
}

/// What a form takes and gives.
#[derive(Clone)]
pub struct Form {
    pub params: Vec<Type>,
    pub immediates: Vec<Type>,
    pub result: Type,
    pub span: Span,
}

/// Checks rules one after another.
pub struct Checker<'a> {
    pub ops: &'a HashMap<&'a str, &'a Op>,
    pub insts: &'a HashMap<&'a str, &'a Inst>,
    pub forms: HashMap<String, Form>,
    pub traps: Vec<String>,
    pub roles: Vec<String>,
    pub globals: &'a mut Globals,
    pub errors: &'a mut Vec<Diagnostic>,
    pub used: Used,
    /// Names bound and not used; kept apart because they leave a rule sound otherwise.
    unused: Vec<Diagnostic>,
    /// CPU features of the rule at hand.
    pub features: Vec<Name>,
}

/// Checks all rule blocks.
pub fn check(spec: &mut Spec, globals: &mut Globals, errors: &mut Vec<Diagnostic>) -> Used {
    let mut blocks = std::mem::take(&mut spec.blocks);
    let types = |params: &[Param]| params.iter().map(|param| param.ty.clone()).collect();
    let forms = blocks.iter().filter(|block| block.kind == BlockKind::Form).map(|block| {
        let form = Form {
            params: types(&block.params),
            immediates: types(&block.immediates),
            result: block.result.clone(),
            span: block.name.span,
        };
        (block.name.text.clone(), form)
    });
    let ops = spec.ops.iter().map(|op| (op.name.text.as_str(), op)).collect();
    let insts = spec.insts.iter().map(|inst| (inst.name.text.as_str(), inst)).collect();
    let mut checker = Checker {
        ops: &ops,
        insts: &insts,
        forms: forms.collect(),
        traps: spec.traps.iter().map(|trap| trap.name.text.clone()).collect(),
        roles: spec.roles.iter().map(|role| role.name.text.clone()).collect(),
        globals,
        errors,
        used: Used::default(),
        unused: Vec::new(),
        features: Vec::new(),
    };
    let mut sound = Vec::new();
    for block in &mut blocks {
        let first = checker.errors.len();
        checker.block(block);
        sound.push(checker.errors.len() == first);
    }
    let Checker { used, errors, mut unused, .. } = checker;
    errors.append(&mut unused);
    flow::check(&blocks, &sound, &ops, &insts, errors);
    order::check(&blocks, &ops, errors);
    spec.blocks = blocks;
    used
}

/// The bit pattern of a constant of a type.
pub fn constant_type(ty: &Type) -> Type {
    match ty {
        Type::F32 => Type::Bits(32),
        Type::F64 => Type::Bits(64),
        other => other.clone(),
    }
}

/// One type as itself, several or none as a tuple.
pub fn tuple(mut types: Vec<Type>) -> Type {
    if types.len() == 1 { types.remove(0) } else { Type::Tuple(types) }
}

/// Whether an operator may trap, writes, or reads what may change.
pub fn has_effect(op: &Op) -> bool {
    op.kind != OpKind::Ordinary
        || op.body.iter().any(|stmt| match stmt {
            OpStmt::Trap(..) | OpStmt::Write { .. } => true,
            OpStmt::Read { region, .. } => *region != Region::Constant,
            _ => false,
        })
}

impl<'a> Checker<'a> {
    pub fn error(&mut self, diagnostic: Diagnostic) {
        self.errors.push(diagnostic);
    }

    pub fn typer<'b>(&'b mut self, scope: &'b mut Scope) -> Typer<'b> {
        Typer { globals: self.globals, scope, errors: self.errors }
    }

    pub fn op(&mut self, name: &Name) -> Option<&'a Op> {
        let found = self.ops.get(name.text.as_str()).copied();
        if found.is_none() {
            let error = match self.insts.get(name.text.as_str()) {
                Some(inst) => Diagnostic::new(name.span, format!("`{}` is an instruction, not an operator", name.text))
                    .other(inst.name.span, "declared here"),
                None => Diagnostic::unknown("operator", name, self.ops.keys().copied()),
            };
            self.error(error);
        }
        found
    }

    fn block(&mut self, block: &mut RuleBlock) {
        let types = |params: &[Param]| params.iter().map(|param| param.ty.clone()).collect::<Vec<_>>();
        let form = block.kind == BlockKind::Form;
        let Signature { params, result, span } = if form {
            self.form(block);
            Signature { params: types(&block.params), result: block.result.clone(), span: block.name.span }
        } else {
            let Some(op) = self.op(&block.name) else { return };
            if op.kind == OpKind::Call {
                self.error(
                    Diagnostic::new(
                        block.name.span,
                        format!("`{}` is a call: no rule lowers or simplifies it", block.name.text),
                    )
                    .other(op.name.span, "declared here")
                    .help("calls are made by the compiler's frame code"),
                );
            }
            Signature { params: types(&op.params), result: tuple(op.results.clone()), span: op.name.span }
        };
        let immediates = match self.ops.get(block.name.text.as_str()) {
            Some(op) if !form => types(&op.immediates),
            _ => types(&block.immediates),
        };
        for rule in &mut block.rules {
            self.rule(
                rule,
                block.kind,
                &block.name,
                &Signature { params: params.clone(), result: result.clone(), span },
                &immediates,
            );
        }
    }

    /// A form's own sort and promise.
    fn form(&mut self, block: &mut RuleBlock) {
        let (name, ty) = match &block.result {
            Type::Addr => ("ea", Type::Bits(64)),
            Type::Cond => ("cc", Type::Cond),
            Type::RegMem(width) | Type::Bits(width @ (32 | 64)) => ("value", Type::Bits(*width)),
            Type::F32 | Type::XmmMem(32) => ("value", Type::F32),
            Type::F64 | Type::XmmMem(_) => ("value", Type::F64),
            other => {
                let other = other.clone();
                return self.error(
                    Diagnostic::new(block.name.span, format!("a form cannot give {other}"))
                        .help("forms give addr, cond, rm8 to rm64, xm32, xm64, i32, i64, f32 or f64"),
                );
            }
        };
        let mut scope = Scope::default();
        let place = Name { text: name.into(), span: block.name.span };
        scope.bind(&place, ty, Stage::Run, self.errors);
        if block.result == Type::Cond {
            let flags = Name { text: "flags".into(), span: block.name.span };
            scope.bind(&flags, Type::Flags, Stage::Run, self.errors);
        }
        for param in block.params.iter().chain(&block.immediates) {
            scope.bind(&param.name, param.ty.clone(), Stage::Run, self.errors);
        }
        match &mut block.ensures {
            Some(ensures) => {
                self.typer(&mut scope).expect(ensures, &Type::Bool);
                let missing: Vec<(String, Span)> = scope
                    .names
                    .iter()
                    .filter(|(_, binding)| !binding.used)
                    .map(|(name, binding)| (name.clone(), binding.span))
                    .collect();
                for (name, span) in missing {
                    self.error(
                        Diagnostic::new(ensures.span, format!("the promise says nothing of `{name}`"))
                            .other(span, "of this form")
                            .help("`ensures` says what the form gives for all its operands"),
                    );
                }
            }
            None => self.error(
                Diagnostic::new(block.name.span, format!("form `{}` does not say what it ensures", block.name.text))
                    .help(format!("add `ensures {name} == …` behind the result")),
            ),
        }
    }

    fn rule(&mut self, rule: &mut Rule, kind: BlockKind, block: &Name, takes: &Signature, immediates: &[Type]) {
        let mut scope = Scope::default();
        let first = self.errors.len();
        if rule.patterns.len() != takes.params.len() {
            let (expected, found) = (takes.params.len(), rule.patterns.len());
            let s = if expected == 1 { "" } else { "s" };
            return self.error(
                Diagnostic::new(
                    rule.name.span,
                    format!("`{}` has {expected} operand{s}, this rule has {found}", block.text),
                )
                .other(takes.span, "declared here"),
            );
        }
        for (pattern, ty) in rule.patterns.iter().zip(&takes.params) {
            self.pattern(pattern, ty, &mut scope);
        }
        self.immediates(&rule.immediates, immediates, rule.name.span, takes.span, &mut scope);
        for condition in rule.conditions.iter_mut().chain(&mut rule.preferences) {
            self.typer(&mut scope).expect(condition, &Type::Bool);
            self.compile_time(condition, &scope);
        }
        for feature in &rule.features {
            feature_known(feature, self.errors);
        }
        self.features = rule.features.clone();
        if kind == BlockKind::Simplify {
            self.simplify(rule, block, &takes.result, &mut scope);
        } else {
            self.lower(rule, block, &takes.result, &mut scope);
        }
        // After another error a name may only seem unused.
        if self.errors.len() == first {
            scope.report_unused(&mut self.unused);
        }
    }

    fn immediates(&mut self, patterns: &[ImmPattern], types: &[Type], span: Span, declared: Span, scope: &mut Scope) {
        if patterns.len() != types.len() {
            let (expected, found) = (types.len(), patterns.len());
            let s = if expected == 1 { "" } else { "s" };
            self.error(
                Diagnostic::new(span, format!("expected {expected} immediate{s} after `;`, found {found}"))
                    .other(declared, "declared here"),
            );
        }
        // Surplus patterns still bind their names.
        let types = types.iter().cloned().chain(std::iter::repeat(Type::Unknown));
        for (pattern, ty) in patterns.iter().zip(types) {
            match pattern {
                ImmPattern::Var(name) => self.bind(name, ty, Stage::Compile, scope),
                ImmPattern::Any(_) => {}
                ImmPattern::Literal(value, span) => self.literal(*value, *span, &ty),
            }
        }
    }

    fn literal(&mut self, value: i128, span: Span, ty: &Type) {
        let mut expr = Expr { kind: ExprKind::Int(value), ty: Type::Unknown, span };
        let bits = constant_type(ty);
        self.typer(&mut Scope::default()).expect(&mut expr, &bits);
    }

    /// Binds a name of a rule, which may not be that of an instruction or a role.
    pub fn bind(&mut self, name: &Name, ty: Type, stage: Stage, scope: &mut Scope) {
        if let Some(inst) = self.insts.get(name.text.as_str()) {
            let error = Diagnostic::new(name.span, format!("`{}` is the name of an instruction", name.text))
                .other(inst.name.span, "this instruction")
                .help("choose another name");
            self.error(error);
        }
        if self.roles.contains(&name.text) {
            self.error(
                Diagnostic::new(name.span, format!("`{}` is the name of a role", name.text)).help("choose another name"),
            );
        }
        scope.bind(name, ty, stage, self.errors);
    }

    /// A value that must be the one of a name bound before.
    fn same(&mut self, name: &Name, ty: &Type, scope: &mut Scope) {
        match scope.names.get(&name.text) {
            Some(first) if first.stage != Stage::Value => {
                let span = first.span;
                self.error(Diagnostic::new(name.span, format!("`{}` is not a value", name.text)).other(span, "bound here"));
            }
            Some(first) if first.ty != *ty && first.ty != Type::Unknown && *ty != Type::Unknown => {
                let error = Diagnostic::new(name.span, format!("expected {ty}, found {}", first.ty));
                self.error(error.other(first.span, "bound here"));
            }
            Some(_) => {}
            None => self.error(
                Diagnostic::new(name.span, format!("`{}` is not bound before this", name.text))
                    .help("`=x` asks for the value of an earlier `x`"),
            ),
        }
        scope.touch(&name.text);
    }

    fn pattern(&mut self, pattern: &Pattern, ty: &Type, scope: &mut Scope) {
        match pattern {
            Pattern::Var(name) => self.bind(name, ty.clone(), Stage::Value, scope),
            Pattern::Any(_) => {}
            Pattern::Const(name) => self.bind(name, constant_type(ty), Stage::Compile, scope),
            Pattern::Literal(value, span) => self.literal(*value, *span, ty),
            Pattern::Same(name) => self.same(name, ty, scope),
            Pattern::Op { op: name, alias, once, args, immediates, span } => {
                if let Some(alias) = alias {
                    self.bind(alias, ty.clone(), Stage::Value, scope);
                    if *once {
                        self.error(
                            Diagnostic::new(alias.span, "a load that is folded has no register")
                                .help("leave out the name, or `once`"),
                        );
                    }
                }
                let Some(op) = self.op(name) else {
                    args.iter().for_each(|arg| self.pattern(arg, &Type::Unknown, scope));
                    return;
                };
                let found = tuple(op.results.clone());
                if found != *ty && *ty != Type::Unknown {
                    self.error(
                        Diagnostic::new(*span, format!("expected {ty}, found {found}"))
                            .label(format!("`{}` gives {found}", name.text))
                            .other(op.name.span, "declared here"),
                    );
                }
                if name.text.ends_with(".const") {
                    self.error(
                        Diagnostic::new(*span, "a constant is matched by `const`")
                            .help("write `const c`, or a number: `const 1`"),
                    );
                }
                if has_effect(op) && !once {
                    self.error(
                        Diagnostic::new(*span, format!("`{}` reads or traps: it may be matched only `once`", name.text))
                            .other(op.name.span, "declared here")
                            .help(format!(
                                "write `({} once …)`: used once, and nothing with an effect in between",
                                name.text
                            )),
                    );
                }
                if args.len() != op.params.len() {
                    let (expected, found) = (op.params.len(), args.len());
                    let s = if expected == 1 { "" } else { "s" };
                    self.error(
                        Diagnostic::new(*span, format!("`{}` has {expected} operand{s}, found {found}", name.text))
                            .other(op.name.span, "declared here"),
                    );
                }
                let types = op.params.iter().map(|param| &param.ty).chain(std::iter::repeat(&Type::Unknown));
                for (arg, ty) in args.iter().zip(types) {
                    self.pattern(arg, ty, scope);
                }
                let types: Vec<Type> = op.immediates.iter().map(|param| param.ty.clone()).collect();
                self.immediates(immediates, &types, *span, op.name.span, scope);
            }
        }
    }

    /// Errors for parts of a typed expression that are not known when the compiler runs.
    pub fn compile_time(&mut self, expr: &Expr, scope: &Scope) {
        let first = self.errors.len();
        walk(expr, &mut |part| {
            if let ExprKind::Var(name) = &part.kind
                && scope.stage(name).is_some_and(|stage| stage != Stage::Compile)
            {
                self.errors.push(
                    Diagnostic::new(part.span, format!("the value of `{name}` is not known when compiling"))
                        .help("only constants (`const c`) and immediates are"),
                );
            }
        });
        if self.errors.len() == first {
            computable(expr, self.errors);
        }
    }
}
