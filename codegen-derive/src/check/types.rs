//! Types of expressions.
//!
//! Takes an expression and the types of the names in scope; writes the type of every node. A literal takes its width
//! from what stands beside it or from what is wanted; nothing converts silently.

use crate::ast::*;
use crate::diagnostic::{Diagnostic, nearest};
use std::collections::HashMap;

/// What a name stands for.
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
    pub names: HashMap<String, Binding>,
}

impl Scope {
    pub fn bind(&mut self, name: &Name, ty: Type, stage: Stage) {
        self.names.insert(name.text.clone(), Binding { ty, stage, span: name.span, used: false });
    }
}

/// Functions and layout numbers that expressions may name.
pub struct Globals {
    pub functions: HashMap<String, (Vec<Type>, Type, Span)>,
    pub used_functions: std::collections::HashSet<String>,
    /// `layout.slot.code` and its like, and `const` items.
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

pub struct Typer<'a> {
    pub globals: &'a mut Globals,
    pub scope: &'a mut Scope,
    pub errors: &'a mut Vec<Diagnostic>,
}

/// Built-in functions by the shape of their types.
enum Shape {
    /// (iN, iN) -> iN
    Binary,
    /// (iN, iN) -> bool
    Compare,
    /// iN -> iN
    Unary,
    /// iN -> bool
    Test,
    /// iN -> iM, M > N
    Widen(u16),
    /// (iN, iM) -> i(N+M)
    Concat,
    /// (fN, fN) -> fN
    FloatBinary,
    FloatUnary,
    FloatCompare,
    FloatTest,
    /// fN -> iN
    Bits,
    /// iN -> fN
    Float,
    Fixed(Type, Type),
    /// iN -> given
    FromInt(Type),
    /// fN -> given
    FromFloat(Type),
    /// any -> flags
    Flags,
    /// (cond, flags) -> bool
    Holds,
    /// f32 or f64 -> i128
    Vector,
}

fn builtin(name: &str) -> Option<Shape> {
    Some(match name {
        "div_s" | "div_u" | "rem_s" | "rem_u" | "shl" | "shr_u" | "shr_s" | "rotl" | "rotr" | "mul_hi_u" | "mul_hi_s" => {
            Shape::Binary
        }
        "lt_s" | "lt_u" | "le_s" | "le_u" | "gt_s" | "gt_u" | "ge_s" | "ge_u" => Shape::Compare,
        "clz" | "ctz" | "popcnt" => Shape::Unary,
        "is_pow2" => Shape::Test,
        "concat" => Shape::Concat,
        "fadd" | "fsub" | "fmul" | "fdiv" | "fmin" | "fmax" | "sse_min" | "sse_max" => Shape::FloatBinary,
        "fsqrt" | "fceil" | "ffloor" | "ftrunc" | "fnearest" => Shape::FloatUnary,
        "feq" | "fne" | "flt" | "fle" | "fgt" | "fge" => Shape::FloatCompare,
        "is_nan" | "trunc_ok_s_i32" | "trunc_ok_u_i32" | "trunc_ok_s_i64" | "trunc_ok_u_i64" => Shape::FloatTest,
        "bits" => Shape::Bits,
        "float" => Shape::Float,
        "promote" => Shape::Fixed(Type::F32, Type::F64),
        "demote" => Shape::Fixed(Type::F64, Type::F32),
        "convert_s_f32" | "convert_u_f32" => Shape::FromInt(Type::F32),
        "convert_s_f64" | "convert_u_f64" => Shape::FromInt(Type::F64),
        "trunc_s_i32" | "trunc_u_i32" | "cvtt_i32" => Shape::FromFloat(Type::Bits(32)),
        "trunc_s_i64" | "trunc_u_i64" | "cvtt_i64" => Shape::FromFloat(Type::Bits(64)),
        "low_f32" => Shape::Fixed(Type::Bits(128), Type::F32),
        "low_f64" => Shape::Fixed(Type::Bits(128), Type::F64),
        "vec" => Shape::Vector,
        "holds" => Shape::Holds,
        _ if name.starts_with("flags_") => Shape::Flags,
        _ => {
            let width = name.strip_prefix("zext").or(name.strip_prefix("sext"))?.parse().ok()?;
            if !matches!(width, 8 | 16 | 32 | 64 | 128) {
                return None;
            }
            Shape::Widen(width)
        }
    })
}

pub fn is_builtin(name: &str) -> bool {
    builtin(name).is_some()
}

const BUILTIN_NAMES: &[&str] = &[
    "div_s", "div_u", "rem_s", "rem_u", "shl", "shr_u", "shr_s", "rotl", "rotr", "lt_s", "lt_u", "le_s", "le_u", "gt_s",
    "gt_u", "ge_s", "ge_u", "clz", "ctz", "popcnt", "is_pow2", "zext64", "sext64", "zext32", "sext32", "concat", "bits",
    "float", "fadd", "fsub", "fmul", "fdiv", "promote", "demote",
];

fn is_float(ty: &Type) -> bool {
    matches!(ty, Type::F32 | Type::F64)
}

impl Typer<'_> {
    pub fn error(&mut self, diagnostic: Diagnostic) -> Type {
        self.errors.push(diagnostic);
        Type::Unknown
    }

    /// Types an expression that must have a given type.
    pub fn expect(&mut self, expr: &mut Expr, want: &Type) {
        let found = self.infer(expr, Some(want));
        if found != *want && found != Type::Unknown && *want != Type::Unknown {
            self.error(Diagnostic::new(expr.span, format!("expected {want}, found {found}")).label(format!("this is {found}")));
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
                    self.bits(&ty, span)
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
                let ty = self.infer(operand, None);
                match ty {
                    Type::Bits(width) if low <= high && high < width => Type::Bits(high - low + 1),
                    Type::Unknown => Type::Unknown,
                    ty => self.error(Diagnostic::new(span, format!("bits {high} to {low} of a value of type {ty}"))),
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
                let name = name.clone();
                let hidden = self.scope.names.remove(&name.text);
                self.scope.bind(&name, ty, Stage::Compile);
                let ty = self.infer(body, want);
                if self.scope.names.remove(&name.text).is_some_and(|binding| !binding.used) {
                    self.error(unused(&name));
                }
                if let Some(hidden) = hidden {
                    self.scope.names.insert(name.text, hidden);
                }
                ty
            }
            ExprKind::Call(name, args) => {
                let name = name.clone();
                self.call(&name, args, span, want)
            }
        }
    }

    fn literal(&mut self, value: i128, span: Span, want: Option<&Type>) -> Type {
        match want {
            Some(Type::Bits(width)) => {
                let width = *width;
                let (low, high) = if width >= 127 { (i128::MIN, i128::MAX) } else { (-(1 << (width - 1)), (1 << width) - 1) };
                if value < low || value > high {
                    self.error(Diagnostic::new(span, format!("the literal {value} does not fit i{width}")));
                }
                Type::Bits(width)
            }
            Some(other) if *other != Type::Unknown => {
                let other = other.clone();
                self.error(Diagnostic::new(span, format!("expected {other}, found an integer literal")))
            }
            Some(_) => Type::Unknown,
            None => self.error(
                Diagnostic::new(span, "the width of this literal is not known")
                    .help("put it beside a value of known width, or slice it"),
            ),
        }
    }

    fn variable(&mut self, name: &str, span: Span, want: Option<&Type>) -> Type {
        if let Some(binding) = self.scope.names.get_mut(name) {
            binding.used = true;
            return binding.ty.clone();
        }
        if let Some(code) = name.strip_prefix("cc.") {
            if condition_code(code).is_some() {
                return Type::Cond;
            }
            return self.error(
                Diagnostic::new(span, format!("unknown condition code `{code}`"))
                    .help("condition codes are o no b ae e ne be a s ns p np l ge le g"),
            );
        }
        if let Some(&value) = self.globals.numbers.get(name) {
            return self.literal(value, span, want.or(Some(&Type::Bits(32))));
        }
        let near = nearest(name, self.scope.names.keys().chain(self.globals.numbers.keys()).map(String::as_str));
        let mut error = Diagnostic::new(span, format!("unknown name `{name}`")).label("not bound here");
        if let Some(near) = near {
            error = error.help(format!("did you mean `{near}`?"));
        }
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

    /// Both of one type; a literal takes the type of the other.
    fn same(&mut self, left: &mut Expr, right: &mut Expr, want: Option<&Type>) -> Type {
        let ty = if needs_width(left) && !needs_width(right) {
            let ty = self.infer(right, want);
            self.expect(left, &ty);
            return ty;
        } else {
            self.infer(left, want)
        };
        let other = self.infer(right, Some(&ty));
        if ty != other && ty != Type::Unknown && other != Type::Unknown {
            self.error(
                Diagnostic::new(right.span, format!("expected {ty}, found {other}"))
                    .label(format!("this is {other}"))
                    .other(left.span, format!("this is {ty}")),
            );
        }
        ty
    }

    fn arity(&mut self, name: &Name, args: &[Expr], expected: usize) -> bool {
        if args.len() == expected {
            return true;
        }
        let found = args.len();
        self.error(Diagnostic::new(name.span, format!("`{}` takes {expected} arguments, found {found}", name.text)));
        false
    }

    fn call(&mut self, name: &Name, args: &mut [Expr], span: Span, want: Option<&Type>) -> Type {
        if let Some((params, result, _)) = self.globals.functions.get(&name.text).cloned() {
            self.globals.used_functions.insert(name.text.clone());
            if self.arity(name, args, params.len()) {
                for (arg, param) in args.iter_mut().zip(&params) {
                    self.expect(arg, param);
                }
            }
            return result;
        }
        let Some(shape) = builtin(&name.text) else {
            let candidates = self.globals.functions.keys().map(String::as_str).chain(BUILTIN_NAMES.iter().copied());
            let near = nearest(&name.text, candidates).map(|near| format!("did you mean `{near}`?"));
            let mut error = Diagnostic::new(name.span, format!("unknown function `{}`", name.text));
            error.help = near;
            return self.error(error);
        };
        let count = match shape {
            Shape::Binary | Shape::Compare | Shape::Concat | Shape::FloatBinary | Shape::FloatCompare | Shape::Holds => 2,
            Shape::Flags => args.len(),
            _ => 1,
        };
        if !self.arity(name, args, count) {
            return Type::Unknown;
        }
        match shape {
            Shape::Binary | Shape::Compare => {
                let [left, right] = args else { return Type::Unknown };
                let want = if matches!(shape, Shape::Binary) { want } else { None };
                let ty = self.same(left, right, want);
                let ty = self.bits(&ty, span);
                if matches!(shape, Shape::Binary) { ty } else { Type::Bool }
            }
            Shape::Unary => {
                let ty = self.infer(&mut args[0], want);
                self.bits(&ty, span)
            }
            Shape::Test => {
                let ty = self.infer(&mut args[0], None);
                self.bits(&ty, span);
                Type::Bool
            }
            Shape::Widen(width) => match self.infer(&mut args[0], None) {
                Type::Bits(from) if from < width => Type::Bits(width),
                Type::Unknown => Type::Bits(width),
                other => self.error(Diagnostic::new(span, format!("`{}` of a value of type {other}", name.text))),
            },
            Shape::Concat => match (self.infer(&mut args[0], None), self.infer(&mut args[1], None)) {
                (Type::Bits(high), Type::Bits(low)) => Type::Bits(high + low),
                _ => self.error(Diagnostic::new(span, "`concat` takes two bit-vectors")),
            },
            Shape::FloatBinary | Shape::FloatCompare => {
                let [left, right] = args else { return Type::Unknown };
                let ty = self.same(left, right, None);
                let ty = self.float(&ty, span);
                if matches!(shape, Shape::FloatBinary) { ty } else { Type::Bool }
            }
            Shape::FloatUnary => {
                let ty = self.infer(&mut args[0], None);
                self.float(&ty, span)
            }
            Shape::FloatTest => {
                let ty = self.infer(&mut args[0], None);
                self.float(&ty, span);
                Type::Bool
            }
            Shape::Bits => match self.infer(&mut args[0], None) {
                Type::F32 => Type::Bits(32),
                Type::F64 => Type::Bits(64),
                Type::Unknown => Type::Unknown,
                other => self.error(Diagnostic::new(span, format!("`bits` of a value of type {other}"))),
            },
            Shape::Float => match self.infer(&mut args[0], bits_of(want).as_ref()) {
                Type::Bits(32) => Type::F32,
                Type::Bits(64) => Type::F64,
                Type::Unknown => Type::Unknown,
                other => self.error(Diagnostic::new(span, format!("`float` of a value of type {other}"))),
            },
            Shape::Fixed(from, to) => {
                self.expect(&mut args[0], &from);
                to
            }
            Shape::FromInt(to) => {
                let ty = self.infer(&mut args[0], None);
                self.bits(&ty, span);
                to
            }
            Shape::FromFloat(to) => {
                let ty = self.infer(&mut args[0], None);
                self.float(&ty, span);
                to
            }
            Shape::Vector => {
                let ty = self.infer(&mut args[0], None);
                self.float(&ty, span);
                Type::Bits(128)
            }
            Shape::Flags => {
                let known = match args.iter_mut().find(|arg| !needs_width(arg)) {
                    Some(arg) => self.infer(arg, None),
                    None => Type::Bits(32),
                };
                for arg in args.iter_mut() {
                    self.infer(arg, Some(&known));
                }
                Type::Flags
            }
            Shape::Holds => {
                self.expect(&mut args[0], &Type::Cond);
                self.expect(&mut args[1], &Type::Flags);
                Type::Bool
            }
        }
    }

    fn float(&mut self, ty: &Type, span: Span) -> Type {
        if is_float(ty) || *ty == Type::Unknown {
            return ty.clone();
        }
        self.error(Diagnostic::new(span, format!("float arithmetic on {ty}")).help("`float(x)` takes bits as a float"))
    }
}

/// The bits of a wanted float.
fn bits_of(want: Option<&Type>) -> Option<Type> {
    match want? {
        Type::F32 => Some(Type::Bits(32)),
        Type::F64 => Some(Type::Bits(64)),
        _ => None,
    }
}

pub fn unused(name: &Name) -> Diagnostic {
    Diagnostic::new(name.span, format!("`{}` is bound but not used", name.text)).help("write `_` if that is meant")
}

fn needs_width(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Int(_) => true,
        ExprKind::Var(name) => name.starts_with("layout."),
        ExprKind::Unary(_, operand) => needs_width(operand),
        ExprKind::Binary(_, left, right) => needs_width(left) && needs_width(right),
        ExprKind::If(_, yes, no) => needs_width(yes) && needs_width(no),
        _ => false,
    }
}

/// Number of a condition code (its hardware encoding).
pub fn condition_code(name: &str) -> Option<usize> {
    ["o", "no", "b", "ae", "e", "ne", "be", "a", "s", "ns", "p", "np", "l", "ge", "le", "g"].iter().position(|cc| *cc == name)
}
