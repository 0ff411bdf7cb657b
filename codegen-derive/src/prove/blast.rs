//! A solver of the project's own: terms to clauses, one Boolean for each bit, given to a SAT solver.
//!
//! Takes a graph and terms; says whether they can hold together. Nothing has to be installed for it. Adders, multipliers,
//! shifters, dividers and comparisons of floats are spelled out; other float operations are taken for any function that gives no
//! NaN but the canonical one, so that "unsatisfiable" is right for the real ones and values found may be none. Sums are put
//! in order first (`linear`); `gates` has the clauses. The solver is batsat, a MiniSat; tests compare what is spelled out here with [`Graph::evaluate`].

use super::gates::{Bit, Circuit, FALSE, Limit, TRUE};
use super::linear::Linear;
use super::obligation::Obligation;
use super::term::{Graph, Node, Op, Sort, Term, canonical};

/// What is known of terms that should hold together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Unsatisfiable,
    /// Values of all variables of the graph.
    Satisfiable(Vec<u128>),
    /// Out of its limit, or satisfiable with float operations taken for others.
    Unknown,
}

/// The version, for `proofs.lock`.
pub const VERSION: &str = "builtin-1";

struct Blaster<'a> {
    graph: &'a Graph,
    circuit: Circuit,
    /// Bits of each term, the lowest first; none yet if empty.
    terms: Vec<Vec<Bit>>,
    /// What each bit-vector is the sum of.
    sums: Vec<Option<Linear>>,
    /// Whether a float operation was taken for any function.
    loose: bool,
}

fn constant(value: u128, width: u16) -> Vec<Bit> {
    (0..width).map(|bit| if value >> bit & 1 != 0 { TRUE } else { FALSE }).collect()
}

impl Blaster<'_> {
    /// Makes the bits of a term and of all it is made of. Terms stand after their parts.
    fn make(&mut self, term: Term) {
        let mut reached = self.graph.reached(&[term]);
        reached.sort_unstable();
        for term in reached {
            if self.terms[term.0 as usize].is_empty() {
                if self.graph.sort(term) != Sort::Bool {
                    self.sums[term.0 as usize] = Some(Linear::of(self.graph, term, &self.sums));
                }
                let bits = match self.by_sums(term) {
                    Some(bits) => bits,
                    None => self.node(self.graph.node(term)),
                };
                self.terms[term.0 as usize] = bits;
            }
        }
    }

    fn bit(&mut self, term: Term) -> Bit {
        self.make(term);
        self.terms[term.0 as usize][0]
    }

    /// The bits of a sum; its terms have theirs already.
    fn add_up(&mut self, sum: &Linear) -> Vec<Bit> {
        let mut total = constant(sum.constant, sum.width);
        for &(term, times) in &sum.addends {
            let bits = self.terms[term.0 as usize].clone();
            let product = self.circuit.multiply(&bits, &constant(times, sum.width));
            total = self.circuit.add(&total, &product, FALSE).0;
        }
        total
    }

    fn difference(&mut self, sum: &Linear) -> Vec<Bit> {
        let [added, subtracted] = sum.sides();
        let (added, subtracted) = (self.add_up(&added), self.add_up(&subtracted));
        self.circuit.subtract(&added, &subtracted).0
    }

    /// The bits of a term that is a sum, or an equation of bit-vectors.
    fn by_sums(&mut self, term: Term) -> Option<Vec<Bit>> {
        let node = self.graph.node(term);
        match (node.op, node.args()) {
            (Op::Add | Op::Subtract | Op::Negate | Op::Multiply, _) => {
                let sum = self.sums[term.0 as usize].clone()?;
                // A term that could not be taken apart is its own sum.
                (sum != Linear::term(term, sum.width)).then(|| self.difference(&sum))
            }
            (Op::Equal, &[a, b]) => {
                let (a, b) = (self.sums[a.0 as usize].clone()?, self.sums[b.0 as usize].clone()?);
                let difference = a.minus(&b);
                // Only if something leaves the equation: two sides that are alike bit by bit should stay so.
                if difference.addends.len() == a.addends.len() + b.addends.len() {
                    return None;
                }
                let [left, right] = difference.sides();
                let (left, right) = (self.add_up(&left), self.add_up(&right));
                Some(vec![self.circuit.equal(&left, &right)])
            }
            _ => None,
        }
    }

    fn node(&mut self, node: &Node) -> Vec<Bit> {
        let width = match node.sort {
            Sort::Bits(width) => width,
            Sort::Bool => 1,
        };
        let mut operands = node.args().iter().map(|arg| self.terms[arg.0 as usize].clone());
        let (a, b, c) =
            (operands.next().unwrap_or_default(), operands.next().unwrap_or_default(), operands.next().unwrap_or_default());
        drop(operands);
        let circuit = &mut self.circuit;
        let each = |circuit: &mut Circuit, gate: fn(&mut Circuit, Bit, Bit) -> Bit| {
            a.iter().zip(&b).map(|(&a, &b)| gate(circuit, a, b)).collect::<Vec<Bit>>()
        };
        match node.op {
            Op::Var(_) => circuit.fresh(width),
            Op::Constant(value) => constant(value, width),
            Op::Not | Op::BitNot => a.iter().map(|&bit| !bit).collect(),
            Op::And | Op::BitAnd => each(circuit, Circuit::and),
            Op::Or | Op::BitOr => each(circuit, Circuit::or),
            Op::BitXor => each(circuit, Circuit::xor),
            Op::Equal => vec![circuit.equal(&a, &b)],
            Op::If => circuit.choose(a[0], &b, &c),
            Op::Negate => circuit.negate(&a),
            Op::Add => circuit.add(&a, &b, FALSE).0,
            Op::Subtract => circuit.subtract(&a, &b).0,
            Op::Multiply => circuit.multiply(&a, &b),
            Op::DivideUnsigned => circuit.divide(&a, &b),
            Op::DivideSigned => {
                let (sign_a, sign_b) = (a[a.len() - 1], b[b.len() - 1]);
                let (negative_a, negative_b) = (circuit.negate(&a), circuit.negate(&b));
                let (a, b) = (circuit.choose(sign_a, &negative_a, &a), circuit.choose(sign_b, &negative_b, &b));
                let quotient = circuit.divide(&a, &b);
                let (negative, differ) = (circuit.negate(&quotient), circuit.xor(sign_a, sign_b));
                circuit.choose(differ, &negative, &quotient)
            }
            Op::ShiftLeft => {
                let turned: Vec<Bit> = a.iter().rev().copied().collect();
                circuit.shift_right(&turned, &b, FALSE).into_iter().rev().collect()
            }
            Op::ShiftRight => circuit.shift_right(&a, &b, FALSE),
            Op::ShiftRightSigned => circuit.shift_right(&a, &b, a[a.len() - 1]),
            Op::LessUnsigned => vec![circuit.less(&a, &b)],
            Op::LessSigned => {
                let flip = |bits: &[Bit]| {
                    let (top, rest) = bits.split_last().map_or((FALSE, &[][..]), |(top, rest)| (*top, rest));
                    rest.iter().copied().chain([!top]).collect::<Vec<Bit>>()
                };
                vec![circuit.less(&flip(&a), &flip(&b))]
            }
            Op::Concat => b.into_iter().chain(a).collect(),
            Op::Extract { low } => a[usize::from(low)..usize::from(low + width)].to_vec(),
            Op::ZeroExtend | Op::SignExtend => {
                let above = if node.op == Op::SignExtend { a[a.len() - 1] } else { FALSE };
                let missing = usize::from(width) - a.len();
                a.into_iter().chain(std::iter::repeat_n(above, missing)).collect()
            }
            Op::FloatEqual | Op::FloatLess => vec![self.compare(node.op, &a, &b)],
            Op::FloatToSigned | Op::FloatToUnsigned => {
                self.loose = true;
                circuit.fresh(width)
            }
            Op::FloatAdd
            | Op::FloatSubtract
            | Op::FloatMultiply
            | Op::FloatDivide
            | Op::FloatRoot
            | Op::FloatRound(_)
            | Op::FloatConvert
            | Op::FloatFromSigned
            | Op::FloatFromUnsigned => {
                self.loose = true;
                let bits = circuit.fresh(width);
                let (nan, same) = (self.is_nan(&bits), self.circuit.equal(&bits, &constant(canonical(width), width)));
                let holds = self.circuit.or(!nan, same);
                self.circuit.require(holds);
                bits
            }
        }
    }

    /// How many bits the fraction of a float has.
    fn fraction(bits: &[Bit]) -> usize {
        if bits.len() == 32 { 23 } else { 52 }
    }

    fn is_nan(&mut self, bits: &[Bit]) -> Bit {
        let (fraction, rest) = bits.split_at(Self::fraction(bits));
        let largest = self.circuit.all(&rest[..rest.len() - 1]);
        let zero = self.circuit.none(fraction);
        self.circuit.and(largest, !zero)
    }

    /// Whether two floats are equal, or the first is less.
    fn compare(&mut self, op: Op, a: &[Bit], b: &[Bit]) -> Bit {
        let (nan_a, nan_b) = (self.is_nan(a), self.is_nan(b));
        let circuit = &mut self.circuit;
        let ordered = circuit.and(!nan_a, !nan_b);
        let (sign_a, size_a) = (a[a.len() - 1], &a[..a.len() - 1]);
        let (sign_b, size_b) = (b[b.len() - 1], &b[..b.len() - 1]);
        let (zero_a, zero_b) = (circuit.none(size_a), circuit.none(size_b));
        let zeros = circuit.and(zero_a, zero_b);
        let holds = if op == Op::FloatEqual {
            let same = circuit.equal(a, b);
            circuit.or(same, zeros)
        } else {
            let (below, above) = (circuit.less(size_a, size_b), circuit.less(size_b, size_a));
            let alike = circuit.mux(sign_a, above, below);
            let (differ, less) = (circuit.xor(sign_a, sign_b), circuit.and(!zeros, sign_a));
            circuit.mux(differ, less, alike)
        };
        circuit.and(ordered, holds)
    }

    /// Whether what is required can hold together with one bit more.
    fn solve(&mut self, bit: Bit) -> Answer {
        match self.circuit.solve(bit) {
            Some(false) => Answer::Unsatisfiable,
            Some(true) => {
                let variables = self.graph.variables.iter().map(|variable| {
                    let bits = self.terms[variable.term.0 as usize].iter().enumerate();
                    bits.fold(0u128, |value, (at, &bit)| value | u128::from(self.circuit.value(bit)) << at)
                });
                Answer::Satisfiable(variables.collect())
            }
            None => Answer::Unknown,
        }
    }
}

fn blaster(graph: &Graph, limit: Limit) -> Blaster<'_> {
    let (terms, sums) = (vec![Vec::new(); graph.len()], vec![None; graph.len()]);
    Blaster { graph, circuit: Circuit::new(limit), terms, sums, loose: false }
}

/// Whether terms can hold together.
pub fn ask(graph: &Graph, asserted: &[Term], limit: Limit) -> Answer {
    let mut blaster = blaster(graph, limit);
    for &term in asserted {
        let bit = blaster.bit(term);
        blaster.circuit.require(bit);
    }
    let answer = blaster.solve(TRUE);
    let holds = |values: &[u128]| {
        let computed = graph.evaluate(values);
        asserted.iter().all(|term| computed[term.0 as usize] != 0)
    };
    match answer {
        Answer::Satisfiable(values) if blaster.loose && !holds(&values) => Answer::Unknown,
        answer => answer,
    }
}

impl Obligation {
    /// Asks for a counterexample to each goal in turn, or for the example wanted.
    pub fn blast(&self, limit: Limit) -> Answer {
        if self.kind.wants_example() {
            return ask(&self.graph, &self.assumed, limit);
        }
        let mut blaster = blaster(&self.graph, limit);
        for &term in &self.assumed {
            let bit = blaster.bit(term);
            blaster.circuit.require(bit);
        }
        let mut whole = Answer::Unsatisfiable;
        for goal in &self.goals {
            let bit = blaster.bit(goal.holds);
            match blaster.solve(!bit) {
                Answer::Unsatisfiable => blaster.circuit.require(bit),
                Answer::Unknown => whole = Answer::Unknown,
                Answer::Satisfiable(values) => {
                    let breaks = self.failing(&values).is_some_and(|failing| !failing.is_empty());
                    if breaks || !blaster.loose {
                        return Answer::Satisfiable(values);
                    }
                    whole = Answer::Unknown;
                }
            }
        }
        whole
    }
}

#[cfg(test)]
mod tests {
    use super::super::random::Random;
    use super::*;

    const BINARY: &[Op] = &[
        Op::BitAnd,
        Op::BitOr,
        Op::BitXor,
        Op::Add,
        Op::Subtract,
        Op::Multiply,
        Op::DivideUnsigned,
        Op::DivideSigned,
        Op::ShiftLeft,
        Op::ShiftRight,
        Op::ShiftRightSigned,
    ];

    /// Terms over variables and a few constants, of widths that machines and rules have and of odd ones.
    fn terms(graph: &mut Graph, random: &mut Random) -> Vec<Term> {
        let widths = [1, 5, 8, 32, 64, 128];
        let mut bits: Vec<Term> = Vec::new();
        for width in widths {
            bits.push(graph.variable(format!("a{width}"), Sort::Bits(width)));
            bits.push(graph.variable(format!("b{width}"), Sort::Bits(width)));
            bits.push(graph.bits(u128::from(random.next() >> random.below(64)), width));
        }
        let mut truths = vec![graph.variable("p", Sort::Bool)];
        for _ in 0..40 {
            let a = bits[random.below(bits.len())];
            let width = graph.width(a);
            let alike: Vec<Term> = bits.iter().copied().filter(|&term| graph.width(term) == width).collect();
            let (b, truth) = (alike[random.below(alike.len())], truths[random.below(truths.len())]);
            let made = match random.below(12) {
                0..6 => {
                    let op = BINARY[random.below(BINARY.len())];
                    // Wide products and quotients are only slow.
                    if width == 128 && matches!(op, Op::Multiply | Op::DivideUnsigned | Op::DivideSigned) {
                        continue;
                    }
                    graph.binary(op, a, b)
                }
                6 => graph.unary([Op::BitNot, Op::Negate][random.below(2)], a),
                7 => graph.select(truth, a, b),
                8 => {
                    let (x, y) = (random.below(width.into()) as u16, random.below(width.into()) as u16);
                    graph.extract(a, x.max(y), x.min(y))
                }
                9 => {
                    let to = widths[random.below(widths.len())].max(width);
                    graph.extend([Op::ZeroExtend, Op::SignExtend][random.below(2)], a, to)
                }
                10 if width <= 64 => graph.concat(a, b),
                _ => {
                    let floats = [Op::LessUnsigned, Op::LessSigned, Op::FloatLess, Op::FloatEqual];
                    let kinds = if width == 32 || width == 64 { 4 } else { 2 };
                    let compared = graph.compare(floats[random.below(kinds)], a, b);
                    let same = graph.equal(a, b);
                    let joined = graph.and(truth, same);
                    truths.extend([compared, same, joined]);
                    continue;
                }
            };
            bits.push(made);
        }
        bits.extend(truths);
        bits
    }

    /// For given values of the variables each term has the value that evaluation gives, and can have no other.
    #[test]
    fn as_evaluated() {
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        for _ in 0..60 {
            let mut graph = Graph::default();
            let terms = terms(&mut graph, &mut random);
            let special = [0, 1, u128::MAX, 1 << 31, 1 << 63, 0x7f80_0000, 0x7fc0_0000, 0xff80_0001];
            let given: Vec<u128> = (0..graph.variables.len())
                .map(|number| {
                    let wide = u128::from(random.next()) << 64 | u128::from(random.next());
                    let value = if random.below(3) == 0 { special[random.below(special.len())] } else { wide };
                    value & super::super::term::mask(graph.width(graph.variables[number].term))
                })
                .collect();
            let values = graph.evaluate(&given);
            let mut fixed = Vec::new();
            for (variable, &value) in graph.variables.clone().iter().zip(&given) {
                let value = match variable.sort {
                    Sort::Bits(width) => graph.bits(value, width),
                    Sort::Bool => graph.bool(value != 0),
                };
                fixed.push(graph.equal(variable.term, value));
            }
            let mut blaster = blaster(&graph, Limit::default());
            for &term in &fixed {
                let bit = blaster.bit(term);
                blaster.circuit.require(bit);
            }
            terms.iter().for_each(|&term| blaster.make(term));
            assert!(matches!(blaster.solve(TRUE), Answer::Satisfiable(found) if found == given));
            for &term in &terms {
                let bits = blaster.terms[term.0 as usize].clone();
                for (at, bit) in bits.into_iter().enumerate() {
                    let wanted = values[term.0 as usize] >> at & 1 != 0;
                    let node = graph.node(term);
                    assert_eq!(blaster.circuit.value(bit), wanted, "bit {at} of {node:?}");
                    let other = if wanted { !bit } else { bit };
                    assert_eq!(blaster.solve(other), Answer::Unsatisfiable, "bit {at} of {node:?}");
                    assert!(matches!(blaster.solve(!other), Answer::Satisfiable(_)));
                }
            }
        }
    }

    #[test]
    fn laws_and_breaches() {
        let mut graph = Graph::default();
        let [x, y] = ["x", "y"].map(|name| graph.variable(name, Sort::Bits(16)));
        // x - y == x + ~y + 1, for all; x / y * y == x, not for all.
        let (difference, flipped, one) = (graph.binary(Op::Subtract, x, y), graph.unary(Op::BitNot, y), graph.bits(1, 16));
        let sum = graph.binary(Op::Add, x, flipped);
        let sum = graph.binary(Op::Add, sum, one);
        let differ = graph.unequal(difference, sum);
        assert_eq!(ask(&graph, &[differ], Limit::default()), Answer::Unsatisfiable);
        let quotient = graph.binary(Op::DivideUnsigned, x, y);
        let product = graph.binary(Op::Multiply, quotient, y);
        let differ = graph.unequal(product, x);
        let Answer::Satisfiable(values) = ask(&graph, &[differ], Limit::default()) else { panic!("no values") };
        assert_ne!(graph.evaluate(&values)[differ.0 as usize], 0);
        // A quotient times a divisor is hard: a small limit ends it.
        let [wide, by] = ["wide", "by"].map(|name| graph.variable(name, Sort::Bits(64)));
        let (there, back) = (graph.binary(Op::Multiply, wide, by), graph.binary(Op::Add, wide, by));
        let squares = graph.binary(Op::Multiply, back, back);
        let (a, b) = (graph.binary(Op::Multiply, wide, wide), graph.binary(Op::Multiply, by, by));
        let sum = graph.binary(Op::Add, a, b);
        let twice = graph.binary(Op::Add, there, there);
        let sum = graph.binary(Op::Add, sum, twice);
        let differ = graph.unequal(squares, sum);
        assert_eq!(ask(&graph, &[differ], Limit { conflicts: 100, ..Limit::default() }), Answer::Unknown);
    }

    #[test]
    fn float_operations_are_any() {
        let mut graph = Graph::default();
        let [x, y] = ["x", "y"].map(|name| graph.variable(name, Sort::Bits(32)));
        let sum = graph.binary(Op::FloatAdd, x, y);
        let (nan, payload) = (graph.compare(Op::FloatEqual, sum, sum), graph.bits(canonical(32), 32));
        // Not equal to itself, and yet not the canonical NaN.
        let (unordered, other) = (graph.not(nan), graph.unequal(sum, payload));
        assert_eq!(ask(&graph, &[unordered, other], Limit::default()), Answer::Unsatisfiable);
        // 0 + 0 is 0, which is not known here.
        let zero = graph.bits(0, 32);
        let (a, b, c) = (graph.equal(x, zero), graph.equal(y, zero), graph.unequal(sum, zero));
        assert_eq!(ask(&graph, &[a, b, c], Limit::default()), Answer::Unknown);
    }
}
