//! What expressions of the specification mean, as terms.
//!
//! Takes typed expressions and the terms of the names in scope. In instructions a float operation is the one x86 performs,
//! NaNs included: the first NaN operand made quiet, else the default NaN. In operators a NaN result is any that WebAssembly
//! allows: [`Meaning::value`] gives a variable bound to be one of them (for operands, whoever computed them chose), and
//! [`Meaning::allows`] says whether a given value is one (for a result, that the machine chose).

use super::term::{Graph, Op, Rounding, Sort, Term, mask};
use crate::ast::*;
use std::collections::HashMap;

/// Whose float operations are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nans {
    Machine,
    Wasm,
}

/// The flags that conditions read.
#[derive(Clone, Copy, Debug)]
pub struct Flags {
    pub carry: Term,
    pub zero: Term,
    pub sign: Term,
    pub overflow: Term,
    pub parity: Term,
}

/// A condition: a code to be looked up in the flags, or one whose truth is known.
#[derive(Clone, Debug)]
pub enum Condition {
    Code(String),
    Holds(Term),
}

#[derive(Clone, Debug)]
pub enum Value {
    Term(Term),
    Flags(Flags),
    Condition(Condition),
    Tuple(Vec<Value>),
}

/// Names in scope.
pub type Scope = HashMap<String, Value>;

/// An expression that has no meaning as a term, and why.
pub type Meant<T> = Result<T, String>;

pub struct Meaning<'a> {
    pub graph: Graph,
    spec: &'a Spec,
    numbers: HashMap<String, i128>,
    /// What is known of variables made for choices.
    pub assumed: Vec<Term>,
    /// Counts of leading zeros, and of what.
    pub counted: Vec<(Term, Term)>,
    pub nans: Nans,
    /// What `state`s were asked for: name, arguments, the number that stands for it.
    pub states: Vec<(String, Vec<Term>, Term)>,
}

/// Bits of a value of a type.
pub fn width(ty: &Type) -> u16 {
    match ty {
        Type::Bits(width) | Type::RegMem(width) | Type::XmmMem(width) => *width,
        Type::F32 => 32,
        Type::F64 => 64,
        _ => 1,
    }
}

/// The pattern of an integral power of two, or its negative, as a float.
fn power(width: u16, exponent: u128, negative: bool) -> u128 {
    if width == 32 {
        u128::from(negative) << 31 | (127 + exponent) << 23
    } else {
        u128::from(negative) << 63 | (1023 + exponent) << 52
    }
}

fn is_float(ty: &Type) -> bool {
    matches!(ty, Type::F32 | Type::F64)
}

/// Operators whose NaN results are a choice.
fn chooses(name: &str) -> bool {
    matches!(
        name,
        "fadd"
            | "fsub"
            | "fmul"
            | "fdiv"
            | "fmin"
            | "fmax"
            | "fsqrt"
            | "fceil"
            | "ffloor"
            | "ftrunc"
            | "fnearest"
            | "promote"
            | "demote"
    )
}

impl<'a> Meaning<'a> {
    pub fn new(spec: &'a Spec) -> Meaning<'a> {
        let numbers = crate::check::numbers(spec);
        let (assumed, counted, states) = (Vec::new(), Vec::new(), Vec::new());
        Meaning { graph: Graph::default(), spec, numbers, assumed, counted, nans: Nans::Machine, states }
    }

    /// The value of an expression that is a Boolean, an integer or a float.
    pub fn term(&mut self, expr: &Expr, scope: &Scope) -> Meant<Term> {
        match self.value(expr, scope)? {
            Value::Term(term) => Ok(term),
            _ => Err("flags, a condition or a tuple where a number is wanted".into()),
        }
    }

    pub fn value(&mut self, expr: &Expr, scope: &Scope) -> Meant<Value> {
        let wide = width(&expr.ty);
        let term = match &expr.kind {
            ExprKind::Int(value) => self.graph.bits(*value as u128, wide),
            ExprKind::Bool(value) => self.graph.bool(*value),
            ExprKind::Var(name) => {
                if let Some(value) = scope.get(name) {
                    return Ok(value.clone());
                }
                if let Some(code) = name.strip_prefix("cc.") {
                    return Ok(Value::Condition(Condition::Code(code.into())));
                }
                match self.numbers.get(name) {
                    Some(&number) => self.graph.bits(number as u128, wide),
                    None => return Err(format!("`{name}` has no value here")),
                }
            }
            ExprKind::Unary(op, operand) => {
                let operand = self.term(operand, scope)?;
                match op {
                    UnaryOp::Not => self.graph.not(operand),
                    UnaryOp::BitNot => self.graph.unary(Op::BitNot, operand),
                    UnaryOp::Neg => self.graph.unary(Op::Negate, operand),
                }
            }
            ExprKind::Binary(op, left, right) => {
                let (a, b) = (self.term(left, scope)?, self.term(right, scope)?);
                let graph = &mut self.graph;
                match op {
                    BinaryOp::Add => graph.binary(Op::Add, a, b),
                    BinaryOp::Sub => graph.binary(Op::Subtract, a, b),
                    BinaryOp::Mul => graph.binary(Op::Multiply, a, b),
                    BinaryOp::BitAnd => graph.binary(Op::BitAnd, a, b),
                    BinaryOp::BitOr => graph.binary(Op::BitOr, a, b),
                    BinaryOp::BitXor => graph.binary(Op::BitXor, a, b),
                    BinaryOp::Eq if is_float(&left.ty) => graph.compare(Op::FloatEqual, a, b),
                    BinaryOp::Eq => graph.equal(a, b),
                    BinaryOp::Ne if is_float(&left.ty) => {
                        let same = graph.compare(Op::FloatEqual, a, b);
                        graph.not(same)
                    }
                    BinaryOp::Ne => graph.unequal(a, b),
                    BinaryOp::And => graph.and(a, b),
                    BinaryOp::Or => graph.or(a, b),
                }
            }
            ExprKind::If(condition, yes, no) => {
                let condition = self.term(condition, scope)?;
                let (yes, no) = (self.term(yes, scope)?, self.term(no, scope)?);
                self.graph.select(condition, yes, no)
            }
            ExprKind::Slice(operand, high, low) => {
                let operand = self.term(operand, scope)?;
                self.graph.extract(operand, *high, *low)
            }
            ExprKind::Tuple(parts) => {
                return Ok(Value::Tuple(parts.iter().map(|part| self.value(part, scope)).collect::<Meant<_>>()?));
            }
            ExprKind::Let(name, value, body) => {
                let mut inner = scope.clone();
                inner.insert(name.text.clone(), self.value(value, scope)?);
                return self.value(body, &inner);
            }
            ExprKind::Call(name, args) => return self.call(&name.text, args, &expr.ty, scope),
        };
        Ok(Value::Term(term))
    }

    fn call(&mut self, name: &str, args: &[Expr], result: &Type, scope: &Scope) -> Meant<Value> {
        let values = args.iter().map(|arg| self.value(arg, scope)).collect::<Meant<Vec<Value>>>()?;
        if let Some(function) = self.spec.functions.iter().find(|function| function.name.text == name) {
            let inner = function.params.iter().map(|param| param.name.text.clone()).zip(values).collect();
            return self.value(&function.body, &inner);
        }
        match (name, values.as_slice()) {
            ("holds", [Value::Condition(condition), Value::Flags(flags)]) => {
                return Ok(Value::Term(self.holds(condition, flags)?));
            }
            ("flags_add" | "flags_sub" | "flags_logic" | "flags_fcmp", [Value::Term(a), Value::Term(b)]) => {
                return Ok(Value::Flags(self.flags(name, *a, *b)));
            }
            _ => {}
        }
        let terms: Vec<Term> = values
            .iter()
            .map(|value| match value {
                Value::Term(term) => Ok(*term),
                _ => Err(format!("`{name}` of flags or a condition")),
            })
            .collect::<Meant<_>>()?;
        if self.spec.states.iter().any(|state| state.name.text == name) {
            return Ok(Value::Term(self.state(name, terms, result)));
        }
        let term = match (terms.as_slice(), self.nans) {
            (terms, Nans::Wasm) if chooses(name) => self.choice(name, terms, width(result)),
            (&[a], _) => self.unary(name, a, result)?,
            (&[a, b], _) => self.binary(name, a, b)?,
            _ => return Err(format!("`{name}` has no meaning")),
        };
        Ok(Value::Term(term))
    }

    // -- states of the sandbox --

    /// The number that a state is for some arguments.
    fn state(&mut self, name: &str, args: Vec<Term>, result: &Type) -> Term {
        let asked = self.states.iter().find(|(known, of, _)| known == name && *of == args);
        if let Some((.., term)) = asked {
            return *term;
        }
        let sort = if *result == Type::Bool { Sort::Bool } else { Sort::Bits(width(result)) };
        let number = self.states.len();
        let term = self.graph.variable(format!("{name} {number}"), sort);
        self.states.push((name.to_string(), args, term));
        term
    }

    /// Assumes of all states asked for what is promised, and that equal arguments give equal numbers.
    pub fn close(&mut self) -> Meant<()> {
        let mut next = 0;
        while let Some((name, args, term)) = self.states.get(next).cloned() {
            next += 1;
            let Some(state) = self.spec.states.iter().find(|state| state.name.text == name) else { continue };
            if let Some(with) = &state.with {
                let params = state.params.iter().map(|param| param.name.text.clone());
                let mut scope: Scope = params.zip(args.iter().map(|&arg| Value::Term(arg))).collect();
                scope.insert(name.clone(), Value::Term(term));
                let promised = self.term(with, &scope)?;
                self.assumed.push(promised);
            }
            for (other, others, same) in self.states[..next - 1].to_vec() {
                if other == name && !args.is_empty() {
                    let equal: Vec<Term> = args.iter().zip(&others).map(|(&a, &b)| self.graph.equal(a, b)).collect();
                    let equal = self.graph.all(&equal);
                    let results = self.graph.equal(term, same);
                    let congruent = self.graph.implies(equal, results);
                    self.assumed.push(congruent);
                }
            }
        }
        Ok(())
    }

    // -- integers --

    fn constant(&mut self, value: u128, like: Term) -> Term {
        let width = self.graph.width(like);
        self.graph.bits(value, width)
    }

    fn unary(&mut self, name: &str, a: Term, result: &Type) -> Meant<Term> {
        let from = self.graph.width(a);
        let to = width(result);
        let graph = &mut self.graph;
        Ok(match name {
            "clz" => self.count(a, true),
            "ctz" => self.count(a, false),
            "popcnt" => self.population(a),
            "is_pow2" => {
                let (zero, one) = (graph.bits(0, from), graph.bits(1, from));
                let less = graph.binary(Op::Subtract, a, one);
                let common = graph.binary(Op::BitAnd, a, less);
                let (single, some) = (graph.equal(common, zero), graph.unequal(a, zero));
                graph.and(single, some)
            }
            "bits" | "float" => a,
            "vec" => return Err("`vec` views a register".into()),
            "low_f32" | "low_f64" => graph.low(a, to),
            "is_nan" => self.is_nan(a),
            "convert_s_f32" | "convert_s_f64" => graph.convert(Op::FloatFromSigned, a, to),
            "convert_u_f32" | "convert_u_f64" => graph.convert(Op::FloatFromUnsigned, a, to),
            "fsqrt" | "fceil" | "ffloor" | "ftrunc" | "fnearest" | "promote" | "demote" => {
                let plain = self.plain(name, &[a], to);
                self.machine_nan(plain, &[a], to)
            }
            _ if name.starts_with("zext") => graph.extend(Op::ZeroExtend, a, to),
            _ if name.starts_with("sext") => graph.extend(Op::SignExtend, a, to),
            _ => return self.to_integer(name, a).ok_or_else(|| format!("`{name}` has no meaning")),
        })
    }

    fn binary(&mut self, name: &str, a: Term, b: Term) -> Meant<Term> {
        let wide = self.graph.width(a);
        let graph = &mut self.graph;
        let shift = |graph: &mut Graph, op| {
            let count = graph.bits(u128::from(wide) - 1, wide);
            let count = graph.binary(Op::BitAnd, b, count);
            graph.binary(op, a, count)
        };
        Ok(match name {
            "shl" => shift(graph, Op::ShiftLeft),
            "shr_u" => shift(graph, Op::ShiftRight),
            "shr_s" => shift(graph, Op::ShiftRightSigned),
            "rotl" | "rotr" => {
                let most = graph.bits(u128::from(wide) - 1, wide);
                let count = graph.binary(Op::BitAnd, b, most);
                let back = graph.unary(Op::Negate, count);
                let back = graph.binary(Op::BitAnd, back, most);
                let (left, right) = if name == "rotl" { (count, back) } else { (back, count) };
                let high = graph.binary(Op::ShiftLeft, a, left);
                let low = graph.binary(Op::ShiftRight, a, right);
                graph.binary(Op::BitOr, high, low)
            }
            "div_s" => self.divided(Op::DivideSigned, a, b),
            "div_u" => self.divided(Op::DivideUnsigned, a, b),
            "rem_s" => self.remainder(Op::DivideSigned, a, b),
            "rem_u" => self.remainder(Op::DivideUnsigned, a, b),
            "mul_hi_u" | "mul_hi_s" if wide <= 64 => {
                let op = if name == "mul_hi_u" { Op::ZeroExtend } else { Op::SignExtend };
                let (a, b) = (graph.extend(op, a, 2 * wide), graph.extend(op, b, 2 * wide));
                let product = graph.binary(Op::Multiply, a, b);
                graph.extract(product, 2 * wide - 1, wide)
            }
            // The quotient of a number followed by as many zeros.
            "div_hi_u" if wide <= 64 => {
                let none = graph.bits(0, wide);
                let (dividend, divisor) = (graph.concat(a, none), graph.extend(Op::ZeroExtend, b, 2 * wide));
                let quotient = self.divided(Op::DivideUnsigned, dividend, divisor);
                self.graph.low(quotient, wide)
            }
            "lt_u" => graph.compare(Op::LessUnsigned, a, b),
            "gt_u" => graph.compare(Op::LessUnsigned, b, a),
            "lt_s" => graph.compare(Op::LessSigned, a, b),
            "gt_s" => graph.compare(Op::LessSigned, b, a),
            "le_u" | "ge_u" | "le_s" | "ge_s" => {
                let op = if name.ends_with('u') { Op::LessUnsigned } else { Op::LessSigned };
                let over = if name.starts_with("le") { graph.compare(op, b, a) } else { graph.compare(op, a, b) };
                graph.not(over)
            }
            "concat" => graph.concat(a, b),
            "feq" => graph.compare(Op::FloatEqual, a, b),
            "fne" => {
                let same = graph.compare(Op::FloatEqual, a, b);
                graph.not(same)
            }
            "flt" => graph.compare(Op::FloatLess, a, b),
            "fgt" => graph.compare(Op::FloatLess, b, a),
            "fle" | "fge" => {
                let (a, b) = if name == "fle" { (a, b) } else { (b, a) };
                let (less, same) = (graph.compare(Op::FloatLess, a, b), graph.compare(Op::FloatEqual, a, b));
                graph.or(less, same)
            }
            "fadd" | "fsub" | "fmul" | "fdiv" | "fmin" | "fmax" => {
                let plain = self.plain(name, &[a, b], wide);
                self.machine_nan(plain, &[a, b], wide)
            }
            // The second operand unless the first is strictly less, or greater.
            "sse_min" | "sse_max" => {
                let first =
                    if name == "sse_min" { graph.compare(Op::FloatLess, a, b) } else { graph.compare(Op::FloatLess, b, a) };
                graph.select(first, a, b)
            }
            _ => return Err(format!("`{name}` has no meaning")),
        })
    }

    /// Division is total: 0 for a zero divisor. A divisor that may be a constant is divided by in two ways, so that the other
    /// way is the quotient that stands elsewhere too: solvers do not find quotients equal by themselves.
    fn divided(&mut self, op: Op, a: Term, b: Term) -> Term {
        let zero = self.constant(0, a);
        match (*self.graph.node(b), self.graph.value_of(b)) {
            (_, Some(0)) => return zero,
            (_, Some(1)) => return a,
            (node, None) if node.op == Op::If => {
                let &[condition, yes, no] = node.args() else { return zero };
                if self.graph.value_of(yes).is_some() || self.graph.value_of(no).is_some() {
                    let (yes, no) = (self.divided(op, a, yes), self.divided(op, a, no));
                    return self.graph.select(condition, yes, no);
                }
            }
            _ => {}
        }
        let by_zero = self.graph.equal(b, zero);
        let quotient = self.graph.binary(op, a, b);
        self.graph.select(by_zero, zero, quotient)
    }

    /// What the quotient times the divisor leaves: by this definition solvers need not find out how the two belong together.
    /// 0 for a zero divisor.
    fn remainder(&mut self, division: Op, a: Term, b: Term) -> Term {
        let zero = self.constant(0, a);
        let node = *self.graph.node(b);
        if let (Op::If, &[condition, yes, no]) = (node.op, node.args())
            && (self.graph.value_of(yes).is_some() || self.graph.value_of(no).is_some())
        {
            let (yes, no) = (self.remainder(division, a, yes), self.remainder(division, a, no));
            return self.graph.select(condition, yes, no);
        }
        let quotient = self.divided(division, a, b);
        let product = self.graph.binary(Op::Multiply, quotient, b);
        let rest = self.graph.binary(Op::Subtract, a, product);
        let by_zero = self.graph.equal(b, zero);
        self.graph.select(by_zero, zero, rest)
    }

    /// Zeros before the first one, from the upper or the lower end.
    fn count(&mut self, a: Term, upper: bool) -> Term {
        let wide = self.graph.width(a);
        let mut result = self.graph.bits(u128::from(wide), wide);
        for at in 0..wide {
            // The bit looked at last decides.
            let (bit, zeros) = if upper { (at, wide - 1 - at) } else { (wide - 1 - at, wide - 1 - at) };
            let one = self.graph.bits(1, 1);
            let bit = self.graph.extract(a, bit, bit);
            let set = self.graph.equal(bit, one);
            let zeros = self.graph.bits(u128::from(zeros), wide);
            result = self.graph.select(set, zeros, result);
        }
        if upper && self.graph.value_of(result).is_none() && !self.counted.contains(&(result, a)) {
            self.counted.push((result, a));
        }
        result
    }

    /// Ones, added in pairs, fours, eights …
    fn population(&mut self, a: Term) -> Term {
        let wide = self.graph.width(a);
        let mut sum = a;
        let mut step = 1u16;
        while step < wide {
            let pattern = (0..wide).filter(|bit| bit / step % 2 == 0).fold(0u128, |pattern, bit| pattern | 1 << bit);
            let (pattern, shift) = (self.graph.bits(pattern, wide), self.graph.bits(u128::from(step), wide));
            let even = self.graph.binary(Op::BitAnd, sum, pattern);
            let odd = self.graph.binary(Op::ShiftRight, sum, shift);
            let odd = self.graph.binary(Op::BitAnd, odd, pattern);
            sum = self.graph.binary(Op::Add, even, odd);
            step *= 2;
        }
        sum
    }

    // -- floats --

    pub fn is_nan(&mut self, a: Term) -> Term {
        let wide = self.graph.width(a);
        let magnitude = self.graph.bits(mask(wide - 1), wide);
        let magnitude = self.graph.binary(Op::BitAnd, a, magnitude);
        let infinity = self.graph.bits(if wide == 32 { 0x7f80_0000 } else { 0x7ff0_0000_0000_0000 }, wide);
        self.graph.compare(Op::LessUnsigned, infinity, magnitude)
    }

    fn quiet_bit(wide: u16) -> u128 {
        if wide == 32 { 0x0040_0000 } else { 0x0008_0000_0000_0000 }
    }

    /// A float operation, right where the result is no NaN.
    fn plain(&mut self, name: &str, args: &[Term], to: u16) -> Term {
        let (a, b) = (args[0], args.get(1).copied().unwrap_or(args[0]));
        let graph = &mut self.graph;
        match name {
            "fadd" => graph.binary(Op::FloatAdd, a, b),
            "fsub" => graph.binary(Op::FloatSubtract, a, b),
            "fmul" => graph.binary(Op::FloatMultiply, a, b),
            "fdiv" => graph.binary(Op::FloatDivide, a, b),
            // Two zeros: the negative one is less. Other equal numbers have equal bits.
            "fmin" => {
                let (same, less) = (graph.compare(Op::FloatEqual, a, b), graph.compare(Op::FloatLess, a, b));
                let (joined, chosen) = (graph.binary(Op::BitOr, a, b), graph.select(less, a, b));
                graph.select(same, joined, chosen)
            }
            "fmax" => {
                let (same, less) = (graph.compare(Op::FloatEqual, a, b), graph.compare(Op::FloatLess, b, a));
                let (joined, chosen) = (graph.binary(Op::BitAnd, a, b), graph.select(less, a, b));
                graph.select(same, joined, chosen)
            }
            "fsqrt" => graph.unary(Op::FloatRoot, a),
            "fceil" => graph.unary(Op::FloatRound(Rounding::Up), a),
            "ffloor" => graph.unary(Op::FloatRound(Rounding::Down), a),
            "ftrunc" => graph.unary(Op::FloatRound(Rounding::Zero), a),
            "fnearest" => graph.unary(Op::FloatRound(Rounding::Nearest), a),
            _ => graph.convert(Op::FloatConvert, a, to),
        }
    }

    /// Whether a float operation gives a NaN: an operand is one, or the operation made one.
    fn gives_nan(&mut self, plain: Term, args: &[Term]) -> Term {
        let mut nan = self.is_nan(plain);
        for &arg in args {
            let operand = self.is_nan(arg);
            nan = self.graph.or(nan, operand);
        }
        nan
    }

    /// The result of an SSE instruction: the first NaN operand made quiet, else the default NaN for an invalid operation.
    fn machine_nan(&mut self, plain: Term, args: &[Term], to: u16) -> Term {
        let default = self.graph.bits(mask(1) << (to - 1) | super::term::canonical(to), to);
        let made = self.is_nan(plain);
        let mut result = self.graph.select(made, default, plain);
        for &arg in args.iter().rev() {
            let is_nan = self.is_nan(arg);
            let quiet = self.quieted(arg, to);
            result = self.graph.select(is_nan, quiet, result);
        }
        result
    }

    /// A NaN made quiet, in the other format if that is asked for: sign and the upper bits of the payload stay.
    fn quieted(&mut self, nan: Term, to: u16) -> Term {
        let from = self.graph.width(nan);
        let moved = match (from, to) {
            (32, 64) => {
                let (sign, payload) = (self.graph.extract(nan, 31, 31), self.graph.extract(nan, 22, 0));
                let (exponent, zeros) = (self.graph.bits(0x7ff, 11), self.graph.bits(0, 29));
                let top = self.graph.concat(sign, exponent);
                let payload = self.graph.concat(payload, zeros);
                self.graph.concat(top, payload)
            }
            (64, 32) => {
                let (sign, payload) = (self.graph.extract(nan, 63, 63), self.graph.extract(nan, 51, 29));
                let exponent = self.graph.bits(0xff, 8);
                let top = self.graph.concat(sign, exponent);
                self.graph.concat(top, payload)
            }
            _ => nan,
        };
        let quiet = self.graph.bits(Self::quiet_bit(to), to);
        self.graph.binary(Op::BitOr, moved, quiet)
    }

    /// Whether WebAssembly allows a result of a float operation: the plain value if that is no NaN. Else a canonical NaN of
    /// either sign if no operand is another NaN; else any NaN whose quiet bit is set.
    fn one_of(&mut self, name: &str, args: &[Term], result: Term) -> Term {
        let to = self.graph.width(result);
        let plain = self.plain(name, args, to);
        let nan = self.gives_nan(plain, args);
        let same = self.graph.equal(result, plain);
        let magnitude = self.graph.low(result, to - 1);
        let canonical = self.graph.bits(super::term::canonical(to), to - 1);
        let is_canonical = self.graph.equal(magnitude, canonical);
        let mut all_canonical = self.graph.bool(true);
        for &arg in args {
            let from = self.graph.width(arg);
            let is_nan = self.is_nan(arg);
            let magnitude = self.graph.low(arg, from - 1);
            let canonical = self.graph.bits(super::term::canonical(from), from - 1);
            let is_canonical = self.graph.equal(magnitude, canonical);
            let fine = self.graph.implies(is_nan, is_canonical);
            all_canonical = self.graph.and(all_canonical, fine);
        }
        let arithmetic = self.graph.compare(Op::LessUnsigned, magnitude, canonical);
        let arithmetic = self.graph.not(arithmetic);
        let allowed = self.graph.select(all_canonical, is_canonical, arithmetic);
        self.graph.select(nan, allowed, same)
    }

    /// A value that WebAssembly allows, chosen by whoever computed it.
    fn choice(&mut self, name: &str, args: &[Term], to: u16) -> Term {
        let chosen = self.graph.variable(format!("result of {name}"), Sort::Bits(to));
        let allowed = self.one_of(name, args, chosen);
        self.assumed.push(allowed);
        chosen
    }

    /// Whether an operator's result, said by an expression, may be this value.
    pub fn allows(&mut self, expr: &Expr, scope: &Scope, result: Term) -> Meant<Term> {
        match &expr.kind {
            ExprKind::Call(name, args) if chooses(&name.text) => {
                let args = args.iter().map(|arg| self.fixed(arg, scope)).collect::<Meant<Vec<Term>>>()?;
                Ok(self.one_of(&name.text, &args, result))
            }
            ExprKind::If(condition, yes, no) => {
                let condition = self.fixed(condition, scope)?;
                let (yes, no) = (self.allows(yes, scope, result)?, self.allows(no, scope, result)?);
                Ok(self.graph.select(condition, yes, no))
            }
            _ => {
                let value = self.fixed(expr, scope)?;
                Ok(self.graph.equal(value, result))
            }
        }
    }

    /// The value of an expression in which nothing is chosen.
    fn fixed(&mut self, expr: &Expr, scope: &Scope) -> Meant<Term> {
        let mut choice = None;
        crate::check::walk(expr, &mut |part| {
            if let ExprKind::Call(name, _) = &part.kind
                && chooses(&name.text)
            {
                choice = Some(name.text.clone());
            }
        });
        match choice {
            Some(name) => Err(format!("the NaN that `{name}` chooses is computed with further")),
            None => self.term(expr, scope),
        }
    }

    /// Conversions to integers: the integer part, whether it is in range, and what x86 makes of it.
    fn to_integer(&mut self, name: &str, a: Term) -> Option<Term> {
        let (kind, sign, to) = match name {
            "cvtt_i32" => ("cvtt", "s", 32),
            "cvtt_i64" => ("cvtt", "s", 64),
            _ => {
                let (kind, rest) = match name.strip_prefix("trunc_ok_") {
                    Some(rest) => ("ok", rest),
                    None => ("value", name.strip_prefix("trunc_")?),
                };
                let (sign, width) = rest.split_once("_i")?;
                (kind, sign, width.parse().ok()?)
            }
        };
        let signed = sign == "s";
        let from = self.graph.width(a);
        // Below `upper`, and above `lower` or at it: the integer part is in range.
        let upper = self.graph.bits(power(from, u128::from(to) - u128::from(signed), false), from);
        let below = self.graph.compare(Op::FloatLess, a, upper);
        let above = match (signed, from, to) {
            (false, ..) => {
                let minus_one = self.graph.bits(power(from, 0, true), from);
                self.graph.compare(Op::FloatLess, minus_one, a)
            }
            // -2^31 - 1 is a number of f64.
            (true, 64, 32) => {
                let lower = self.graph.bits(u128::from((-2_147_483_649.0f64).to_bits()), 64);
                self.graph.compare(Op::FloatLess, lower, a)
            }
            _ => {
                let lower = self.graph.bits(power(from, u128::from(to) - 1, true), from);
                let (less, same) =
                    (self.graph.compare(Op::FloatLess, lower, a), self.graph.compare(Op::FloatEqual, lower, a));
                self.graph.or(less, same)
            }
        };
        let fits = self.graph.and(below, above);
        if kind == "ok" {
            return Some(fits);
        }
        let value = self.graph.convert(if signed { Op::FloatToSigned } else { Op::FloatToUnsigned }, a, to);
        let least = self.graph.bits(if signed { 1 << (to - 1) } else { 0 }, to);
        if kind == "cvtt" {
            return Some(self.graph.select(fits, value, least));
        }
        let most = self.graph.bits(if signed { mask(to - 1) } else { mask(to) }, to);
        let zero = self.graph.bits(0, to);
        let outside = self.graph.select(above, most, least);
        let nan = self.is_nan(a);
        let outside = self.graph.select(nan, zero, outside);
        Some(self.graph.select(fits, value, outside))
    }

    // -- flags --

    pub fn flags(&mut self, name: &str, a: Term, b: Term) -> Flags {
        if name == "flags_fcmp" {
            let (an, bn) = (self.is_nan(a), self.is_nan(b));
            let graph = &mut self.graph;
            let unordered = graph.or(an, bn);
            let (less, same) = (graph.compare(Op::FloatLess, a, b), graph.compare(Op::FloatEqual, a, b));
            let no = graph.bool(false);
            let (carry, zero) = (graph.or(less, unordered), graph.or(same, unordered));
            return Flags { carry, zero, sign: no, overflow: no, parity: unordered };
        }
        let graph = &mut self.graph;
        let wide = graph.width(a);
        let top = |graph: &mut Graph, term| {
            let (bit, one) = (graph.extract(term, wide - 1, wide - 1), graph.bits(1, 1));
            graph.equal(bit, one)
        };
        let no = graph.bool(false);
        let (result, carry, overflow) = match name {
            "flags_add" => {
                let sum = graph.binary(Op::Add, a, b);
                let carry = graph.compare(Op::LessUnsigned, sum, a);
                let (x, y) = (graph.binary(Op::BitXor, a, sum), graph.binary(Op::BitXor, b, sum));
                let both = graph.binary(Op::BitAnd, x, y);
                (sum, carry, top(graph, both))
            }
            "flags_sub" => {
                let difference = graph.binary(Op::Subtract, a, b);
                let carry = graph.compare(Op::LessUnsigned, a, b);
                let (x, y) = (graph.binary(Op::BitXor, a, b), graph.binary(Op::BitXor, a, difference));
                let both = graph.binary(Op::BitAnd, x, y);
                (difference, carry, top(graph, both))
            }
            _ => (a, no, no),
        };
        let zero = graph.bits(0, wide);
        let (zero, sign) = (graph.equal(result, zero), top(graph, result));
        // Even number of ones in the lowest byte.
        let mut parity = graph.extract(result, 0, 0);
        for bit in 1..8 {
            let bit = graph.extract(result, bit, bit);
            parity = graph.binary(Op::BitXor, parity, bit);
        }
        let none = graph.bits(0, 1);
        let parity = graph.equal(parity, none);
        Flags { carry, zero, sign, overflow, parity }
    }

    /// Flags of which nothing is known.
    pub fn any_flags(&mut self) -> Flags {
        let mut flag = |name: &str| self.graph.variable(name, Sort::Bool);
        Flags { carry: flag("CF"), zero: flag("ZF"), sign: flag("SF"), overflow: flag("OF"), parity: flag("PF") }
    }

    pub fn holds(&mut self, condition: &Condition, flags: &Flags) -> Meant<Term> {
        let code = match condition {
            Condition::Holds(term) => return Ok(*term),
            Condition::Code(code) => code.as_str(),
        };
        let graph = &mut self.graph;
        let differ = |graph: &mut Graph| {
            let same = graph.equal(flags.sign, flags.overflow);
            graph.not(same)
        };
        // An odd code is the even one before it, negated.
        let at = crate::check::CONDITIONS.iter().position(|known| *known == code);
        let at = at.ok_or_else(|| format!("no condition `{code}`"))?;
        let positive = match at / 2 {
            0 => flags.overflow,
            1 => flags.carry,
            2 => flags.zero,
            3 => graph.or(flags.carry, flags.zero),
            4 => flags.sign,
            5 => flags.parity,
            6 => differ(graph),
            _ => {
                let less = differ(graph);
                graph.or(flags.zero, less)
            }
        };
        Ok(if at % 2 == 0 { positive } else { graph.not(positive) })
    }
}
