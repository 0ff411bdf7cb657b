//! The terms that obligations are made of: a hash-consed graph over Booleans and bit-vectors of at most 128 bits.
//!
//! A float is its bit pattern; a float operation takes and gives bit patterns. A NaN that an operation makes is the pattern
//! [`canonical`]: what x86 and WebAssembly say of NaNs is built around these operations in `meaning`. Constructors compute
//! with constants and undo the plainest compositions, no more: the rest is left to solvers. Every operation has a meaning in
//! [`Graph::apply`], so that a counterexample can be computed through and seen.

use std::collections::HashMap;

/// A term of one graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Term(pub u32);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sort {
    Bool,
    Bits(u16),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rounding {
    Nearest,
    Up,
    Down,
    Zero,
}

/// What a term is made by. Widths not named are those of the operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// The variable with this number.
    Var(u32),
    Constant(u128),
    Not,
    And,
    Or,
    Equal,
    If,
    BitNot,
    Negate,
    BitAnd,
    BitOr,
    BitXor,
    Add,
    Subtract,
    Multiply,
    /// All ones for a zero divisor, as in SMT-LIB.
    DivideUnsigned,
    /// -1 for a zero divisor, 1 if the dividend is negative too.
    DivideSigned,
    /// Zero from the width on.
    ShiftLeft,
    ShiftRight,
    ShiftRightSigned,
    LessUnsigned,
    LessSigned,
    Concat,
    Extract {
        low: u16,
    },
    ZeroExtend,
    SignExtend,
    FloatAdd,
    FloatSubtract,
    FloatMultiply,
    FloatDivide,
    FloatRoot,
    FloatRound(Rounding),
    FloatLess,
    FloatEqual,
    /// Between the two float formats.
    FloatConvert,
    FloatFromSigned,
    FloatFromUnsigned,
    /// The integer part. Only where it is in range; elsewhere solvers may take it for anything.
    FloatToSigned,
    FloatToUnsigned,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Node {
    pub op: Op,
    args: [Term; 3],
    count: u8,
    pub sort: Sort,
}

impl Node {
    pub fn args(&self) -> &[Term] {
        &self.args[..usize::from(self.count)]
    }
}

#[derive(Clone, Debug)]
pub struct Variable {
    pub name: String,
    pub term: Term,
    pub sort: Sort,
}

/// Terms, each before those made of it.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    nodes: Vec<Node>,
    known: HashMap<Node, Term>,
    pub variables: Vec<Variable>,
}

pub fn mask(width: u16) -> u128 {
    if width >= 128 { u128::MAX } else { (1 << width) - 1 }
}

/// A value taken as signed.
pub fn signed(value: u128, width: u16) -> i128 {
    let shift = 128 - u32::from(width);
    ((value << shift) as i128) >> shift
}

/// The NaN that float operations of the graph make.
pub fn canonical(width: u16) -> u128 {
    if width == 32 { 0x7fc0_0000 } else { 0x7ff8_0000_0000_0000 }
}

fn f32_of(value: u128) -> f32 {
    f32::from_bits(value as u32)
}

fn f64_of(value: u128) -> f64 {
    f64::from_bits(value as u64)
}

fn from_f32(value: f32) -> u128 {
    if value.is_nan() { canonical(32) } else { u128::from(value.to_bits()) }
}

fn from_f64(value: f64) -> u128 {
    if value.is_nan() { canonical(64) } else { u128::from(value.to_bits()) }
}

/// A float operation on one or two patterns.
fn float(op: Op, width: u16, a: u128, b: u128) -> u128 {
    macro_rules! compute {
        ($of:ident, $from:ident) => {{
            let (a, b) = ($of(a), $of(b));
            match op {
                Op::FloatAdd => $from(a + b),
                Op::FloatSubtract => $from(a - b),
                Op::FloatMultiply => $from(a * b),
                Op::FloatDivide => $from(a / b),
                Op::FloatRoot => $from(a.sqrt()),
                Op::FloatRound(Rounding::Nearest) => $from(a.round_ties_even()),
                Op::FloatRound(Rounding::Up) => $from(a.ceil()),
                Op::FloatRound(Rounding::Down) => $from(a.floor()),
                Op::FloatRound(Rounding::Zero) => $from(a.trunc()),
                Op::FloatLess => u128::from(a < b),
                _ => u128::from(a == b),
            }
        }};
    }
    if width == 32 { compute!(f32_of, from_f32) } else { compute!(f64_of, from_f64) }
}

/// An integer as a float: from i128 and u128 with one rounding, so the widths of both are no matter.
fn from_integer(to: u16, value: i128) -> u128 {
    if to == 32 { from_f32(value as f32) } else { from_f64(value as f64) }
}

fn to_integer(from: u16, value: u128) -> i128 {
    if from == 32 { f32_of(value) as i128 } else { f64_of(value) as i128 }
}

impl Graph {
    pub fn node(&self, term: Term) -> &Node {
        &self.nodes[term.0 as usize]
    }

    pub fn terms(&self) -> impl Iterator<Item = Term> + use<> {
        (0..self.nodes.len() as u32).map(Term)
    }

    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    pub fn sort(&self, term: Term) -> Sort {
        self.node(term).sort
    }

    /// Width of a bit-vector.
    pub fn width(&self, term: Term) -> u16 {
        match self.sort(term) {
            Sort::Bits(width) => width,
            Sort::Bool => 1,
        }
    }

    pub fn value_of(&self, term: Term) -> Option<u128> {
        match self.node(term).op {
            Op::Constant(value) => Some(value),
            _ => None,
        }
    }

    fn intern(&mut self, op: Op, args: &[Term], sort: Sort) -> Term {
        let mut held = [Term(0); 3];
        held[..args.len()].copy_from_slice(args);
        let node = Node { op, args: held, count: args.len() as u8, sort };
        if let Some(&term) = self.known.get(&node) {
            return term;
        }
        let term = Term(self.nodes.len() as u32);
        self.nodes.push(node);
        self.known.insert(node, term);
        term
    }

    /// A new variable, different from all others.
    pub fn variable(&mut self, name: impl Into<String>, sort: Sort) -> Term {
        let number = self.variables.len() as u32;
        let term = self.intern(Op::Var(number), &[], sort);
        self.variables.push(Variable { name: name.into(), term, sort });
        term
    }

    pub fn bits(&mut self, value: u128, width: u16) -> Term {
        self.intern(Op::Constant(value & mask(width)), &[], Sort::Bits(width))
    }

    pub fn bool(&mut self, value: bool) -> Term {
        self.intern(Op::Constant(u128::from(value)), &[], Sort::Bool)
    }

    /// An operation on terms, computed at once if all are constants.
    fn make(&mut self, op: Op, args: &[Term], sort: Sort) -> Term {
        let values: Option<Vec<u128>> = args.iter().map(|&arg| self.value_of(arg)).collect();
        match values {
            Some(values) => {
                let width = self.width(args[0]);
                let value = Graph::apply(op, sort, width, args.get(1).map_or(0, |&arg| self.width(arg)), &values);
                self.intern(Op::Constant(value), &[], sort)
            }
            None => self.intern(op, args, sort),
        }
    }

    /// What an operation gives for values; `width` and `second` are the widths of its first two operands.
    pub fn apply(op: Op, sort: Sort, width: u16, second: u16, values: &[u128]) -> u128 {
        let to = match sort {
            Sort::Bits(width) => width,
            Sort::Bool => 1,
        };
        let a = values.first().copied().unwrap_or(0);
        let b = values.get(1).copied().unwrap_or(0);
        let shift = u32::try_from(b).ok().filter(|&shift| shift < u32::from(width));
        let result = match op {
            Op::Var(_) => 0,
            Op::Constant(value) => value,
            Op::Not => a ^ 1,
            Op::And | Op::BitAnd => a & b,
            Op::Or | Op::BitOr => a | b,
            Op::BitXor => a ^ b,
            Op::Equal => u128::from(a == b),
            Op::If => {
                if a != 0 {
                    b
                } else {
                    values.get(2).copied().unwrap_or(0)
                }
            }
            Op::BitNot => !a,
            Op::Negate => a.wrapping_neg(),
            Op::Add => a.wrapping_add(b),
            Op::Subtract => a.wrapping_sub(b),
            Op::Multiply => a.wrapping_mul(b),
            Op::DivideUnsigned => a.checked_div(b).unwrap_or(u128::MAX),
            Op::DivideSigned => match (signed(a, width), signed(b, width)) {
                (a, 0) => (if a < 0 { 1i128 } else { -1 }) as u128,
                (a, b) => a.wrapping_div(b) as u128,
            },
            Op::ShiftLeft => shift.map_or(0, |shift| a << shift),
            Op::ShiftRight => shift.map_or(0, |shift| a >> shift),
            Op::ShiftRightSigned => (signed(a, width) >> shift.unwrap_or(u32::from(width) - 1).min(127)) as u128,
            Op::LessUnsigned => u128::from(a < b),
            Op::LessSigned => u128::from(signed(a, width) < signed(b, width)),
            Op::Concat => a << second | b,
            Op::Extract { low } => a >> low,
            Op::ZeroExtend => a,
            Op::SignExtend => signed(a, width) as u128,
            Op::FloatConvert if to == 64 => from_f64(f64::from(f32_of(a))),
            Op::FloatConvert => from_f32(f64_of(a) as f32),
            Op::FloatFromSigned => from_integer(to, signed(a, width)),
            Op::FloatFromUnsigned => from_integer(to, a as i128),
            Op::FloatToSigned | Op::FloatToUnsigned => to_integer(width, a) as u128,
            _ => float(op, width, a, b),
        };
        result & mask(to)
    }

    /// The value of every term, given those of the variables.
    pub fn evaluate(&self, variables: &[u128]) -> Vec<u128> {
        let mut values = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let value = match node.op {
                Op::Var(number) => variables[number as usize],
                Op::Constant(value) => value,
                op => {
                    let args = node.args();
                    let mut held = [0; 3];
                    for (held, arg) in held.iter_mut().zip(args) {
                        *held = values[arg.0 as usize];
                    }
                    let second = args.get(1).map_or(0, |&arg| self.width(arg));
                    Graph::apply(op, node.sort, self.width(args[0]), second, &held[..args.len()])
                }
            };
            values.push(value);
        }
        values
    }

    // -- Booleans --

    pub fn not(&mut self, a: Term) -> Term {
        match *self.node(a) {
            Node { op: Op::Not, args, .. } => args[0],
            _ => self.make(Op::Not, &[a], Sort::Bool),
        }
    }

    pub fn and(&mut self, a: Term, b: Term) -> Term {
        match (self.value_of(a), self.value_of(b)) {
            (Some(0), _) | (_, Some(1)) => a,
            (_, Some(0)) | (Some(1), _) => b,
            _ if a == b => a,
            _ => self.make(Op::And, &[a.min(b), a.max(b)], Sort::Bool),
        }
    }

    pub fn or(&mut self, a: Term, b: Term) -> Term {
        let (a, b) = (self.not(a), self.not(b));
        let neither = self.and(a, b);
        self.not(neither)
    }

    pub fn implies(&mut self, a: Term, b: Term) -> Term {
        let a = self.not(a);
        self.or(a, b)
    }

    pub fn all(&mut self, terms: &[Term]) -> Term {
        let mut result = self.bool(true);
        for &term in terms {
            result = self.and(result, term);
        }
        result
    }

    pub fn equal(&mut self, a: Term, b: Term) -> Term {
        if a == b {
            return self.bool(true);
        }
        if self.sort(a) == Sort::Bool {
            match (self.value_of(a), self.value_of(b)) {
                (Some(1), _) => return b,
                (_, Some(1)) => return a,
                (Some(0), _) => return self.not(b),
                (_, Some(0)) => return self.not(a),
                _ => {}
            }
        }
        self.make(Op::Equal, &[a.min(b), a.max(b)], Sort::Bool)
    }

    pub fn unequal(&mut self, a: Term, b: Term) -> Term {
        let same = self.equal(a, b);
        self.not(same)
    }

    pub fn select(&mut self, condition: Term, yes: Term, no: Term) -> Term {
        match self.value_of(condition) {
            Some(0) => return no,
            Some(_) => return yes,
            None if yes == no => return yes,
            None => {}
        }
        let sort = self.sort(yes);
        if sort == Sort::Bool {
            match (self.value_of(yes), self.value_of(no)) {
                (Some(1), Some(0)) => return condition,
                (Some(0), Some(1)) => return self.not(condition),
                _ => {}
            }
        }
        self.make(Op::If, &[condition, yes, no], sort)
    }

    // -- bit-vectors --

    /// An operation on one bit-vector that keeps its width.
    pub fn unary(&mut self, op: Op, a: Term) -> Term {
        let sort = self.sort(a);
        self.make(op, &[a], sort)
    }

    /// An operation on two bit-vectors of one width that keeps it.
    pub fn binary(&mut self, op: Op, a: Term, b: Term) -> Term {
        let sort = self.sort(a);
        debug_assert_eq!(sort, self.sort(b), "{op:?}");
        let symmetric =
            matches!(op, Op::Add | Op::Multiply | Op::BitAnd | Op::BitOr | Op::BitXor | Op::FloatAdd | Op::FloatMultiply);
        let (a, b) = if symmetric && a > b { (b, a) } else { (a, b) };
        let zero = |term| self.value_of(term) == Some(0);
        match op {
            Op::Add | Op::BitOr | Op::BitXor if zero(a) => b,
            Op::Add | Op::BitOr | Op::BitXor | Op::Subtract if zero(b) => a,
            Op::Multiply if zero(a) => a,
            Op::Multiply if zero(b) => b,
            Op::Multiply if self.value_of(a) == Some(1) => b,
            Op::Multiply if self.value_of(b) == Some(1) => a,
            Op::Subtract if a == b => self.bits(0, self.width(a)),
            Op::ShiftLeft | Op::ShiftRight | Op::ShiftRightSigned if zero(b) => a,
            _ => self.make(op, &[a, b], sort),
        }
    }

    /// A comparison.
    pub fn compare(&mut self, op: Op, a: Term, b: Term) -> Term {
        self.make(op, &[a, b], Sort::Bool)
    }

    pub fn concat(&mut self, high: Term, low: Term) -> Term {
        let width = self.width(high) + self.width(low);
        self.make(Op::Concat, &[high, low], Sort::Bits(width))
    }

    pub fn extract(&mut self, a: Term, high: u16, low: u16) -> Term {
        let width = high - low + 1;
        if width == self.width(a) {
            return a;
        }
        let node = *self.node(a);
        match node.op {
            Op::Extract { low: inner } => self.extract(node.args[0], high + inner, low + inner),
            Op::ZeroExtend | Op::SignExtend if high < self.width(node.args[0]) => self.extract(node.args[0], high, low),
            Op::ZeroExtend if low >= self.width(node.args[0]) => self.bits(0, width),
            Op::If => {
                let (yes, no) = (self.extract(node.args[1], high, low), self.extract(node.args[2], high, low));
                self.select(node.args[0], yes, no)
            }
            Op::Concat if high < self.width(node.args[1]) => self.extract(node.args[1], high, low),
            Op::Concat if low >= self.width(node.args[1]) => {
                let below = self.width(node.args[1]);
                self.extract(node.args[0], high - below, low - below)
            }
            _ => self.make(Op::Extract { low }, &[a], Sort::Bits(width)),
        }
    }

    /// The lower bits.
    pub fn low(&mut self, a: Term, width: u16) -> Term {
        self.extract(a, width - 1, 0)
    }

    pub fn extend(&mut self, op: Op, a: Term, width: u16) -> Term {
        if self.width(a) == width {
            return a;
        }
        let node = *self.node(a);
        if op == Op::ZeroExtend && node.op == Op::ZeroExtend {
            return self.extend(op, node.args[0], width);
        }
        self.make(op, &[a], Sort::Bits(width))
    }

    /// An operation of a given kind, whatever it is.
    fn remake(&mut self, node: &Node, args: &[Term]) -> Term {
        match (node.op, args) {
            (Op::Not, &[a]) => self.not(a),
            (Op::And, &[a, b]) => self.and(a, b),
            (Op::Or, &[a, b]) => self.or(a, b),
            (Op::Equal, &[a, b]) => self.equal(a, b),
            (Op::If, &[condition, yes, no]) => self.select(condition, yes, no),
            (Op::Concat, &[high, low]) => self.concat(high, low),
            (Op::Extract { low }, &[a]) => {
                let Sort::Bits(width) = node.sort else { return a };
                self.extract(a, low + width - 1, low)
            }
            (Op::ZeroExtend | Op::SignExtend, &[a]) => {
                let Sort::Bits(width) = node.sort else { return a };
                self.extend(node.op, a, width)
            }
            (op, &[a, b]) if node.sort != Sort::Bool => self.binary(op, a, b),
            (op, args) => self.make(op, args, node.sort),
        }
    }

    /// The graph with a variable replaced by a term of it that is made of later variables; gives what became of each term.
    pub fn substitute(&mut self, variable: Term, by: Term) -> Vec<Term> {
        self.rebuilt(|_, term, _| (term == variable).then_some(by))
    }

    /// All terms made again, of what became of their parts, but for those that `replace` gives another term for: it is told the
    /// term and what became of its parts. Gives what became of each term.
    pub fn rebuilt(&mut self, mut replace: impl FnMut(&mut Graph, Term, &[Term]) -> Option<Term>) -> Vec<Term> {
        let mut became: Vec<Term> = Vec::with_capacity(self.nodes.len());
        for number in 0..self.nodes.len() as u32 {
            let (term, node) = (Term(number), self.nodes[number as usize]);
            let args: Vec<Term> = node.args().iter().map(|arg| became[arg.0 as usize]).collect();
            let made = match replace(self, term, &args) {
                Some(other) => other,
                None if args == node.args() => term,
                None => self.remake(&node, &args),
            };
            became.push(made);
        }
        became
    }

    /// Another graph's terms in this one, its variables by the terms given for them; gives what became of each term.
    pub fn import(&mut self, other: &Graph, variables: &[Term]) -> Vec<Term> {
        let mut became: Vec<Term> = Vec::with_capacity(other.nodes.len());
        for node in &other.nodes {
            let args: Vec<Term> = node.args().iter().map(|arg| became[arg.0 as usize]).collect();
            became.push(match node.op {
                Op::Var(number) => variables[number as usize],
                Op::Constant(_) => self.intern(node.op, &[], node.sort),
                _ => self.remake(node, &args),
            });
        }
        became
    }

    /// Terms and all that they are made of.
    pub fn reached(&self, terms: &[Term]) -> Vec<Term> {
        let mut pending = terms.to_vec();
        let mut seen = vec![false; self.nodes.len()];
        let mut reached = Vec::new();
        while let Some(term) = pending.pop() {
            if !std::mem::replace(&mut seen[term.0 as usize], true) {
                reached.push(term);
                pending.extend(self.node(term).args());
            }
        }
        reached
    }

    /// Whether terms are made with products or quotients of unknowns.
    pub fn multiplies(&self, terms: &[Term]) -> bool {
        self.reached(terms).into_iter().any(|term| {
            let node = self.node(term);
            let unknown = node.args().iter().filter(|&&arg| self.value_of(arg).is_none()).count();
            let divides = matches!(node.op, Op::DivideUnsigned | Op::DivideSigned);
            divides || node.op == Op::Multiply && unknown == 2
        })
    }

    /// The variable that a term says to be the extension of its own lower bits, and how many these are.
    pub fn extends_itself(&self, term: Term) -> Option<(Term, u16)> {
        let node = self.node(term);
        let (Op::Equal, &[a, b]) = (node.op, node.args()) else { return None };
        [(a, b), (b, a)].into_iter().find_map(|(whole, extended)| {
            let outer = self.node(extended);
            let (Op::SignExtend, &[part]) = (outer.op, outer.args()) else { return None };
            let inner = self.node(part);
            let (Op::Extract { low: 0 }, &[from]) = (inner.op, inner.args()) else { return None };
            (from == whole && matches!(self.node(whole).op, Op::Var(_))).then(|| (whole, self.width(part)))
        })
    }

    /// A conversion to another width or format.
    pub fn convert(&mut self, op: Op, a: Term, width: u16) -> Term {
        self.make(op, &[a], Sort::Bits(width))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_are_computed() {
        let mut graph = Graph::default();
        let (a, b) = (graph.bits(0x8000_0000, 32), graph.bits(0xffff_ffff, 32));
        let quotient = graph.binary(Op::DivideSigned, a, b);
        assert_eq!(graph.value_of(quotient), Some(0x8000_0000));
        let less = graph.compare(Op::LessSigned, a, b);
        assert_eq!(graph.value_of(less), Some(1));
        let wide = graph.extend(Op::SignExtend, a, 64);
        assert_eq!(graph.value_of(wide), Some(0xffff_ffff_8000_0000));
        let joined = graph.concat(a, b);
        let high = graph.extract(joined, 63, 32);
        assert_eq!(graph.value_of(high), Some(0x8000_0000));
    }

    #[test]
    fn compositions_are_undone() {
        let mut graph = Graph::default();
        let x = graph.variable("x", Sort::Bits(32));
        let y = graph.variable("y", Sort::Bits(32));
        let wide = graph.extend(Op::ZeroExtend, x, 64);
        assert_eq!(graph.low(wide, 32), x);
        let zero = graph.bits(0, 32);
        assert_eq!(graph.extract(wide, 63, 32), zero);
        assert_eq!(graph.binary(Op::Add, x, y), graph.binary(Op::Add, y, x));
        assert_ne!(graph.binary(Op::Subtract, x, y), graph.binary(Op::Subtract, y, x));
    }

    #[test]
    fn floats_are_patterns() {
        let mut graph = Graph::default();
        let (one, infinity) = (graph.bits(0x3f80_0000, 32), graph.bits(0x7f80_0000, 32));
        let two = graph.binary(Op::FloatAdd, one, one);
        assert_eq!(graph.value_of(two), Some(0x4000_0000));
        let nan = graph.binary(Op::FloatSubtract, infinity, infinity);
        assert_eq!(graph.value_of(nan), Some(canonical(32)));
        let wide = graph.convert(Op::FloatConvert, two, 64);
        assert_eq!(graph.value_of(wide), Some(0x4000_0000_0000_0000));
        let most = graph.bits(u128::from(u64::MAX), 64);
        let rounded = graph.convert(Op::FloatFromUnsigned, most, 32);
        assert_eq!(graph.value_of(rounded), Some(0x5f80_0000));
    }
}
