//! Types of expressions.
//!
//! Takes an expression and the types of the names in scope; writes the type of every node. A literal takes its width
//! from what stands beside it or from what is wanted; nothing converts silently. Where something is wrong the type is
//! `Unknown`, which fits everything, so that one mistake gives one error.

use super::builtin::{self, CONDITIONS, Shape};
use crate::ast::*;
use crate::diagnostic::{Diagnostic, nearest};
use std::collections::{BTreeMap, HashMap, HashSet};

/// When the value of a name is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Known when the rule is applied: constants, immediates.
    Compile,
    /// A value of the IR: in a register if asked for, or matched further by a form.
    Value,
    /// In a register when the code runs.
    Run,
}

#[derive(Clone, Debug)]
pub struct Binding {
    pub ty: Type,
    pub stage: Stage,
    pub span: Span,
    pub used: bool,
}

/// Names in scope.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    pub names: BTreeMap<String, Binding>,
}

impl Scope {
    /// Binds a name; an error if it is bound already.
    pub fn bind(&mut self, name: &Name, ty: Type, stage: Stage, errors: &mut Vec<Diagnostic>) {
        let binding = Binding { ty, stage, span: name.span, used: false };
        if let Some(first) = self.names.insert(name.text.clone(), binding) {
            errors.push(
                Diagnostic::new(name.span, format!("`{}` is bound twice", name.text)).other(first.span, "first bound here"),
            );
        }
    }

    pub fn stage(&self, name: &str) -> Option<Stage> {
        self.names.get(name).map(|binding| binding.stage)
    }

    /// Marks a name as used.
    pub fn touch(&mut self, name: &str) {
        if let Some(binding) = self.names.get_mut(name) {
            binding.used = true;
        }
    }

    pub fn report_unused(&self, errors: &mut Vec<Diagnostic>) {
        for (name, binding) in &self.names {
            if !binding.used {
                errors.push(unused(name, binding.span));
            }
        }
    }
}

fn unused(name: &str, span: Span) -> Diagnostic {
    Diagnostic::new(span, format!("`{name}` is bound but not used")).help("write `_` in its place if that is meant")
}

/// What a function of the specification takes and gives.
#[derive(Clone, Debug)]
pub struct Signature {
    pub params: Vec<Type>,
    pub result: Type,
    pub span: Span,
}

/// Functions and layout numbers that expressions may name.
pub struct Globals {
    pub functions: HashMap<String, Signature>,
    pub used_functions: HashSet<String>,
    /// Forms, which look like functions but are operands only.
    pub forms: HashMap<String, Span>,
    /// `layout.slot.code` and its like.
    pub numbers: HashMap<String, i128>,
}

impl std::fmt::Display for Type {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Type::Bool => f.write_str("bool"),
            Type::Bits(width) => write!(f, "i{width}"),
            Type::F32 => f.write_str("f32"),
            Type::F64 => f.write_str("f64"),
            Type::Flags => f.write_str("flags"),
            Type::Cond => f.write_str("cond"),
            Type::Addr => f.write_str("addr"),
            Type::RegMem(width) => write!(f, "rm{width}"),
            Type::XmmMem(width) => write!(f, "xm{width}"),
            Type::Unknown => f.write_str("unknown"),
            Type::Tuple(types) if types.is_empty() => f.write_str("nothing"),
            Type::Tuple(types) => {
                f.write_str("(")?;
                for (n, ty) in types.iter().enumerate() {
                    write!(f, "{}{ty}", if n == 0 { "" } else { ", " })?;
                }
                f.write_str(")")
            }
        }
    }
}

/// Types expressions.
pub struct Typer<'a> {
    pub globals: &'a mut Globals,
    pub scope: &'a mut Scope,
    pub errors: &'a mut Vec<Diagnostic>,
}

/// How to get from one type to another, if there is a usual way.
fn conversion(want: &Type, found: &Type) -> Option<String> {
    match (want, found) {
        (Type::Bits(want), Type::Bits(found)) if want > found && matches!(want, 8 | 16 | 32 | 64 | 128) => {
            Some(format!("widen it with `zext{want}` or `sext{want}`"))
        }
        (Type::Bits(want), Type::Bits(found)) if want < found => Some(format!("take its lower bits: `[{}:0]`", want - 1)),
        (Type::F32 | Type::F64, Type::Bits(_)) => Some("`float(x)` takes bits as a float".into()),
        (Type::Bits(32), Type::F32) | (Type::Bits(64), Type::F64) => Some("`bits(x)` takes a float as bits".into()),
        _ => None,
    }
}

/// The types differ.
pub fn mismatch(span: Span, want: &Type, found: &Type) -> Diagnostic {
    let error = Diagnostic::new(span, format!("expected {want}, found {found}")).label(format!("this is {found}"));
    match conversion(want, found) {
        Some(help) => error.help(help),
        None => error,
    }
}

pub fn fits(want: &Type, found: &Type) -> bool {
    match (want, found) {
        (Type::Unknown, _) | (_, Type::Unknown) => true,
        (Type::Tuple(want), Type::Tuple(found)) => {
            want.len() == found.len() && want.iter().zip(found).all(|(want, found)| fits(want, found))
        }
        _ => want == found,
    }
}

impl Typer<'_> {
    fn error(&mut self, diagnostic: Diagnostic) -> Type {
        self.errors.push(diagnostic);
        Type::Unknown
    }

    /// Types an expression that must have a given type.
    pub fn expect(&mut self, expr: &mut Expr, want: &Type) {
        let found = self.infer(expr, Some(want));
        if !fits(want, &found) {
            self.error(mismatch(expr.span, want, &found));
        }
    }

    /// The type of an expression; `want` gives literals their width.
    pub fn infer(&mut self, expr: &mut Expr, want: Option<&Type>) -> Type {
        let ty = self.infer_kind(expr, want);
        expr.ty = ty.clone();
        ty
    }

    fn infer_kind(&mut self, expr: &mut Expr, want: Option<&Type>) -> Type {
        let span = expr.span;
        match &mut expr.kind {
            ExprKind::Int(value) => self.literal(*value, span, want),
            ExprKind::Bool(_) => Type::Bool,
            ExprKind::Var(name) => self.variable(name, span, want),
            ExprKind::Unary(op, operand) => match op {
                UnaryOp::Not => {
                    self.expect(operand, &Type::Bool);
                    Type::Bool
                }
                UnaryOp::BitNot | UnaryOp::Neg => {
                    let ty = self.infer(operand, want);
                    self.bits(&ty, operand.span)
                }
            },
            ExprKind::Binary(op, left, right) => match op {
                BinaryOp::And | BinaryOp::Or => {
                    self.expect(left, &Type::Bool);
                    self.expect(right, &Type::Bool);
                    Type::Bool
                }
                BinaryOp::Eq | BinaryOp::Ne => {
                    self.same(left, right, None);
                    Type::Bool
                }
                _ => {
                    let ty = self.same(left, right, want);
                    self.bits(&ty, span)
                }
            },
            ExprKind::If(condition, yes, no) => {
                self.expect(condition, &Type::Bool);
                self.same(yes, no, want)
            }
            ExprKind::Slice(operand, high, low) => {
                let (high, low) = (*high, *low);
                match self.infer(operand, None) {
                    Type::Bits(width) if low <= high && high < width => Type::Bits(high - low + 1),
                    Type::Unknown => Type::Unknown,
                    Type::Bits(width) if low <= high => {
                        self.error(Diagnostic::new(span, format!("bit {high} of i{width}")).help("bits are counted from 0"))
                    }
                    Type::Bits(_) => self.error(
                        Diagnostic::new(span, format!("bits {high} to {low} are none"))
                            .help("the higher bit is written first: `x[31:0]`"),
                    ),
                    ty => {
                        self.error(Diagnostic::new(span, format!("a slice of {ty}")).help("`bits(x)` takes a float as bits"))
                    }
                }
            }
            ExprKind::Tuple(parts) => {
                let wants: Vec<Option<Type>> = match want {
                    Some(Type::Tuple(types)) if types.len() == parts.len() => types.iter().cloned().map(Some).collect(),
                    _ => vec![None; parts.len()],
                };
                Type::Tuple(parts.iter_mut().zip(wants).map(|(part, want)| self.infer(part, want.as_ref())).collect())
            }
            ExprKind::Let(name, value, body) => {
                let ty = self.infer(value, None);
                self.scope.bind(name, ty, Stage::Compile, self.errors);
                let ty = self.infer(body, want);
                if self.scope.names.remove(&name.text).is_some_and(|binding| !binding.used) {
                    self.error(unused(&name.text, name.span));
                }
                ty
            }
            ExprKind::Call(name, args) => self.call(name, args, span, want),
        }
    }

    /// The type of a literal, or of a layout number, where a type is wanted.
    fn literal(&mut self, value: i128, span: Span, want: Option<&Type>) -> Type {
        match want {
            Some(Type::Bits(width)) => {
                let width = *width;
                let (low, high) =
                    if width >= 127 { (i128::MIN, i128::MAX) } else { (-(1 << (width - 1)), (1 << width) - 1) };
                if value < low || value > high {
                    let hex = if value < 0 { format!("-{:#x}", value.unsigned_abs()) } else { format!("{value:#x}") };
                    self.error(Diagnostic::new(span, format!("the literal {value} does not fit i{width}")).label(hex));
                }
                Type::Bits(width)
            }
            Some(Type::Unknown) => Type::Unknown,
            Some(other) => {
                let error = Diagnostic::new(span, format!("expected {other}, found an integer"));
                let error = match other {
                    Type::F32 | Type::F64 => error.help("a float constant is written by its bits: `float(0x3f80_0000)`"),
                    Type::Bool => error.help("write `true` or `false`, or compare: `x != 0`"),
                    _ => error,
                };
                self.error(error)
            }
            None => self.error(
                Diagnostic::new(span, "the width of this literal is not known").help("put it beside a value of known width"),
            ),
        }
    }

    fn variable(&mut self, name: &str, span: Span, want: Option<&Type>) -> Type {
        if let Some(binding) = self.scope.names.get_mut(name) {
            binding.used = true;
            return binding.ty.clone();
        }
        if let Some(code) = name.strip_prefix("cc.") {
            if CONDITIONS.contains(&code) {
                return Type::Cond;
            }
            return self.error(
                Diagnostic::new(span, format!("unknown condition code `{code}`"))
                    .help(format!("condition codes are {}", CONDITIONS.join(", "))),
            );
        }
        if let Some(&value) = self.globals.numbers.get(name) {
            return self.literal(value, span, want.or(Some(&Type::Bits(32))));
        }
        let error = Diagnostic::new(span, format!("unknown name `{name}`")).label("not bound here");
        let candidates = self.scope.names.keys().chain(self.globals.numbers.keys()).map(String::as_str);
        let error = match nearest(name, candidates) {
            Some(near) => error.help(format!("did you mean `{near}`?")),
            None => error,
        };
        self.error(error)
    }

    fn bits(&mut self, ty: &Type, span: Span) -> Type {
        match ty {
            Type::Bits(_) | Type::Unknown => ty.clone(),
            other => self.error(
                Diagnostic::new(span, format!("integer arithmetic on {other}")).help("floats use fadd, fsub, fmul, fdiv"),
            ),
        }
    }

    fn float(&mut self, ty: &Type, span: Span) -> Type {
        match ty {
            Type::F32 | Type::F64 | Type::Unknown => ty.clone(),
            other => self.error(
                Diagnostic::new(span, format!("float arithmetic on {other}")).help("`float(x)` takes bits as a float"),
            ),
        }
    }

    /// Both of one type; a literal takes the type of the other.
    fn same(&mut self, left: &mut Expr, right: &mut Expr, want: Option<&Type>) -> Type {
        if needs_width(left) && !needs_width(right) {
            let ty = self.infer(right, want);
            self.expect(left, &ty);
            return ty;
        }
        let ty = self.infer(left, want);
        let other = self.infer(right, Some(&ty));
        if !fits(&ty, &other) {
            self.error(mismatch(right.span, &ty, &other).other(left.span, format!("this is {ty}")));
        }
        if ty == Type::Unknown { other } else { ty }
    }

    fn arity(&mut self, name: &Name, args: &[Expr], expected: usize, declared: Option<Span>) -> bool {
        if args.len() == expected {
            return true;
        }
        let (found, s) = (args.len(), if expected == 1 { "" } else { "s" });
        let error = Diagnostic::new(name.span, format!("`{}` takes {expected} argument{s}, found {found}", name.text));
        self.error(match declared {
            Some(span) => error.other(span, "declared here"),
            None => error,
        });
        false
    }

    fn call(&mut self, name: &Name, args: &mut [Expr], span: Span, want: Option<&Type>) -> Type {
        if let Some(function) = self.globals.functions.get(&name.text).cloned() {
            self.globals.used_functions.insert(name.text.clone());
            if self.arity(name, args, function.params.len(), Some(function.span)) {
                for (arg, param) in args.iter_mut().zip(&function.params) {
                    self.expect(arg, param);
                }
            } else {
                self.args(args);
            }
            return function.result;
        }
        let Some(shape) = builtin::shape(&name.text) else {
            let error = match self.globals.forms.get(&name.text) {
                Some(span) => Diagnostic::new(name.span, format!("`{}` is a form, which cannot stand here", name.text))
                    .other(*span, "declared here")
                    .help("a form is an operand of an instruction: `add32 x, rm32(y)`"),
                None => {
                    let candidates = self.globals.functions.keys().map(String::as_str).chain(builtin::names());
                    Diagnostic::unknown("function", name, candidates)
                }
            };
            self.args(args);
            return self.error(error);
        };
        if !self.arity(name, args, shape.arguments(), None) {
            self.args(args);
            return Type::Unknown;
        }
        match args {
            [one] => self.unary(name, shape, one, span, want),
            [left, right] => self.binary(shape, left, right, span, want),
            _ => Type::Unknown,
        }
    }

    /// Types arguments of a call that is wrong itself, so that the names in them count as used.
    fn args(&mut self, args: &mut [Expr]) {
        for arg in args {
            self.infer(arg, Some(&Type::Unknown));
        }
    }

    fn unary(&mut self, name: &Name, shape: &Shape, arg: &mut Expr, span: Span, want: Option<&Type>) -> Type {
        let wrong =
            |found: &Type, wanted: &str| Diagnostic::new(span, format!("`{}` takes {wanted}, found {found}", name.text));
        match shape {
            Shape::Unary => {
                let ty = self.infer(arg, want);
                self.bits(&ty, arg.span)
            }
            Shape::Test => {
                let ty = self.infer(arg, None);
                self.bits(&ty, arg.span);
                Type::Bool
            }
            Shape::Widen(width) => match self.infer(arg, None) {
                Type::Bits(from) if from < *width => Type::Bits(*width),
                Type::Unknown => Type::Bits(*width),
                other => self.error(wrong(&other, &format!("an integer narrower than i{width}"))),
            },
            Shape::FloatUnary => {
                let ty = self.infer(arg, None);
                self.float(&ty, arg.span)
            }
            Shape::FloatTest => {
                let ty = self.infer(arg, None);
                self.float(&ty, arg.span);
                Type::Bool
            }
            Shape::Bits => match self.infer(arg, None) {
                Type::F32 => Type::Bits(32),
                Type::F64 => Type::Bits(64),
                Type::Unknown => Type::Unknown,
                other => self.error(wrong(&other, "a float")),
            },
            Shape::Float => match self.infer(arg, bits_of(want).as_ref()) {
                Type::Bits(32) => Type::F32,
                Type::Bits(64) => Type::F64,
                Type::Unknown => Type::Unknown,
                other => self.error(wrong(&other, "i32 or i64")),
            },
            Shape::Fixed(from, to) => {
                self.expect(arg, from);
                to.clone()
            }
            Shape::FromInt(to) => {
                let ty = self.infer(arg, None);
                self.bits(&ty, arg.span);
                to.clone()
            }
            Shape::FromFloat(to) => {
                let ty = self.infer(arg, None);
                self.float(&ty, arg.span);
                to.clone()
            }
            _ => {
                let ty = self.infer(arg, None);
                self.float(&ty, arg.span);
                Type::Bits(128)
            }
        }
    }

    fn binary(&mut self, shape: &Shape, left: &mut Expr, right: &mut Expr, span: Span, want: Option<&Type>) -> Type {
        match shape {
            Shape::Binary => {
                let ty = self.same(left, right, want);
                self.bits(&ty, span)
            }
            Shape::Compare => {
                let ty = self.same(left, right, None);
                self.bits(&ty, span);
                Type::Bool
            }
            Shape::Concat => match (self.infer(left, None), self.infer(right, None)) {
                (Type::Bits(high), Type::Bits(low)) if high + low <= 128 => Type::Bits(high + low),
                (Type::Unknown, _) | (_, Type::Unknown) => Type::Unknown,
                (high, low) => self.error(
                    Diagnostic::new(span, format!("`concat` of {high} and {low}"))
                        .help("it takes two integers of at most 128 bits together"),
                ),
            },
            Shape::FloatBinary => {
                let ty = self.same(left, right, None);
                self.float(&ty, span)
            }
            Shape::FloatCompare => {
                let ty = self.same(left, right, None);
                self.float(&ty, span);
                Type::Bool
            }
            Shape::FloatFlags => {
                let ty = self.same(left, right, None);
                self.float(&ty, span);
                Type::Flags
            }
            Shape::Flags => {
                let ty = self.same(left, right, Some(&Type::Bits(32)));
                self.bits(&ty, span);
                Type::Flags
            }
            _ => {
                self.expect(left, &Type::Cond);
                self.expect(right, &Type::Flags);
                Type::Bool
            }
        }
    }
}

/// The bits of a wanted float.
fn bits_of(want: Option<&Type>) -> Option<Type> {
    match want? {
        Type::F32 => Some(Type::Bits(32)),
        Type::F64 => Some(Type::Bits(64)),
        Type::Unknown => Some(Type::Unknown),
        _ => None,
    }
}

/// Whether an expression has no width of its own.
fn needs_width(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Int(_) => true,
        ExprKind::Var(name) => name.starts_with("layout."),
        ExprKind::Unary(_, operand) => needs_width(operand),
        ExprKind::Binary(op, left, right) => {
            !matches!(op, BinaryOp::Eq | BinaryOp::Ne | BinaryOp::And | BinaryOp::Or)
                && needs_width(left)
                && needs_width(right)
        }
        ExprKind::If(_, yes, no) => needs_width(yes) && needs_width(no),
        _ => false,
    }
}

/// Errors for parts of a typed expression that the compiler cannot compute: machine state, and more than 64 bits.
pub fn computable(expr: &Expr, errors: &mut Vec<Diagnostic>) {
    super::walk(expr, &mut |part| {
        if let ExprKind::Call(name, _) = &part.kind
            && builtin::is_machine(&name.text)
        {
            errors.push(
                Diagnostic::new(name.span, format!("`{}` describes machine instructions only", name.text))
                    .help("it may stand in the effect of an `inst`"),
            );
        } else if let Type::Bits(width) = part.ty
            && width > 64
        {
            errors.push(Diagnostic::new(part.span, format!("i{width} is too wide to compute with")).help("at most 64 bits"));
        }
    });
}
