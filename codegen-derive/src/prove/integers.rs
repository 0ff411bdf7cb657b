//! Terms as SMT-LIB 2 text over integers, for what solvers cannot see in bits: products and quotients of unknowns.
//!
//! A bit-vector of n bits becomes an integer that equals it modulo 2^n; it is brought into the range of n bits, unsigned or
//! signed, only where something depends on it and its bounds do not say that it is there. Quotients are new constants with the
//! equation and the bounds that define them. A variable that is only ever cut at one place is two, its upper and its lower part.
//! Operations on single bits have no place here: a graph that needs them has no such text. Assumptions that have none are left
//! out: what is proved without them is proved.

use super::smt::Script;
use super::term::{Graph, Op, Sort, Term, signed};
use std::collections::HashMap;
use std::fmt::Write;

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum View {
    /// Equal modulo 2^n.
    Modular,
    Unsigned,
    Signed,
}

/// An integer: its text, and bounds if they fit.
#[derive(Clone, Debug)]
struct Integer {
    text: String,
    bounds: Option<(i128, i128)>,
}

struct Printer<'a> {
    graph: &'a Graph,
    out: String,
    next: u32,
    known: HashMap<(Term, View), Integer>,
    /// Integers cut at a power of two: upper and lower part.
    cut: HashMap<(String, u16), (Integer, Integer)>,
    /// Where variables are cut.
    places: HashMap<Term, Vec<u16>>,
    variables: Vec<(u32, u32)>,
}

fn power(exponent: u16) -> String {
    // 2^128 does not fit u128.
    if exponent == 128 { "340282366920938463463374607431768211456".into() } else { (1u128 << exponent).to_string() }
}

fn number(value: i128) -> String {
    if value < 0 { format!("(- {})", value.unsigned_abs()) } else { value.to_string() }
}

/// What values of a width lie between.
fn range(width: u16, signed: bool) -> Option<(i128, i128)> {
    match (width, signed) {
        (1..=126, false) => Some((0, (1 << width) - 1)),
        (1..=127, true) => Some((-(1 << (width - 1)), (1 << (width - 1)) - 1)),
        _ => None,
    }
}

fn sum(a: &Integer, b: &Integer) -> Option<(i128, i128)> {
    let ((al, ah), (bl, bh)) = (a.bounds?, b.bounds?);
    Some((al.checked_add(bl)?, ah.checked_add(bh)?))
}

fn difference(a: &Integer, b: &Integer) -> Option<(i128, i128)> {
    let ((al, ah), (bl, bh)) = (a.bounds?, b.bounds?);
    Some((al.checked_sub(bh)?, ah.checked_sub(bl)?))
}

fn product(a: &Integer, b: &Integer) -> Option<(i128, i128)> {
    let ((al, ah), (bl, bh)) = (a.bounds?, b.bounds?);
    let corners = [al.checked_mul(bl)?, al.checked_mul(bh)?, ah.checked_mul(bl)?, ah.checked_mul(bh)?];
    Some((corners.into_iter().min()?, corners.into_iter().max()?))
}

impl Printer<'_> {
    fn assert(&mut self, text: &str) {
        let _ = writeln!(self.out, "(assert {text})");
    }

    /// A new constant, between bounds if there are any.
    fn fresh(&mut self, bounds: Option<(i128, i128)>) -> Integer {
        let text = format!("t{}", self.next);
        self.next += 1;
        let _ = writeln!(self.out, "(declare-const {text} Int)");
        Integer { text, bounds }
    }

    fn bound(&mut self, value: &str, least: &str, over: &str) {
        self.assert(&format!("(and (<= {least} {value}) (< {value} {over}))"));
    }

    /// A name for a text, so that it is written once.
    fn named(&mut self, text: String, bounds: Option<(i128, i128)>) -> Integer {
        if !text.contains(' ') {
            return Integer { text, bounds };
        }
        let name = format!("t{}", self.next);
        self.next += 1;
        let _ = writeln!(self.out, "(define-fun {name} () Int {text})");
        Integer { text: name, bounds }
    }

    /// Quotient by a power of two, rounded down, and rest.
    fn cut(&mut self, value: &Integer, at: u16) -> (Integer, Integer) {
        if let Some(parts) = self.cut.get(&(value.text.clone(), at)) {
            return parts.clone();
        }
        let bounds = value.bounds.filter(|_| at < 127).map(|(low, high)| (low >> at, high >> at));
        let quotient = self.fresh(bounds);
        let rest = self.fresh(range(at, false));
        let (modulus, rest_text) = (power(at), rest.text.clone());
        self.assert(&format!("(= {} (+ (* {modulus} {}) {rest_text}))", value.text, quotient.text));
        self.bound(&rest_text, "0", &modulus);
        self.cut.insert((value.text.clone(), at), (quotient.clone(), rest.clone()));
        (quotient, rest)
    }

    /// Brings an integer into the range of a width.
    fn reduced(&mut self, value: &Integer, width: u16, signed: bool) -> Integer {
        let inside = match (value.bounds, range(width, signed)) {
            (Some((low, high)), Some((least, most))) => least <= low && high <= most,
            // All i128 that are not negative are inside 128 bits.
            (Some((low, _)), None) => width == 128 && !signed && low >= 0,
            _ => false,
        };
        if inside {
            return value.clone();
        }
        if !signed {
            return self.cut(value, width).1;
        }
        if value.bounds.is_some() && value.bounds == range(width, false) {
            let (text, half, modulus) = (&value.text, power(width - 1), power(width));
            let text = format!("(ite (< {text} {half}) {text} (- {text} {modulus}))");
            return self.named(text, range(width, true));
        }
        let times = self.fresh(None);
        let rest = self.fresh(range(width, true));
        let (modulus, half, text) = (power(width), power(width - 1), rest.text.clone());
        self.assert(&format!("(= {} (+ (* {modulus} {}) {text}))", value.text, times.text));
        self.bound(&text, &format!("(- {half})"), &half);
        rest
    }

    fn variable(&mut self, term: Term, variable: u32, width: u16) -> Integer {
        let bounds = range(width, false);
        match self.places.get(&term).map(Vec::as_slice) {
            Some(&[at]) if at > 0 && at < width => {
                let (high, low) = (self.fresh(range(width - at, false)), self.fresh(range(at, false)));
                let modulus = power(at);
                self.bound(&high.text, "0", &power(width - at));
                self.bound(&low.text, "0", &modulus);
                let whole = self.named(format!("(+ (* {modulus} {}) {})", high.text, low.text), bounds);
                self.cut.insert((whole.text.clone(), at), (high, low));
                whole
            }
            _ => {
                let number = self.next;
                let whole = self.fresh(bounds);
                self.variables.push((variable, number));
                self.bound(&whole.text, "0", &power(width));
                whole
            }
        }
    }

    fn term(&mut self, term: Term, view: View) -> Option<Integer> {
        if let Some(known) = self.known.get(&(term, view)) {
            return Some(known.clone());
        }
        let Sort::Bits(width) = self.graph.sort(term) else { return None };
        let node = *self.graph.node(term);
        let value = match (self.graph.value_of(term), node.op) {
            (Some(value), _) => {
                if view == View::Signed {
                    let value = signed(value, width);
                    Integer { text: number(value), bounds: Some((value, value)) }
                } else {
                    Integer { text: value.to_string(), bounds: i128::try_from(value).ok().map(|value| (value, value)) }
                }
            }
            (None, _) if view == View::Modular => self.modular(term, width)?,
            // A choice between what is in range is in range.
            (None, Op::If) => {
                let condition = self.truth(node.args()[0])?;
                let (yes, no) = (self.term(node.args()[1], view)?, self.term(node.args()[2], view)?);
                self.chosen(&condition, &yes, &no)
            }
            (None, _) => {
                let value = self.term(term, View::Modular)?;
                self.reduced(&value, width, view == View::Signed)
            }
        };
        self.known.insert((term, view), value.clone());
        Some(value)
    }

    fn chosen(&mut self, condition: &str, yes: &Integer, no: &Integer) -> Integer {
        let bounds = yes.bounds.zip(no.bounds).map(|((al, ah), (bl, bh))| (al.min(bl), ah.max(bh)));
        self.named(format!("(ite {condition} {} {})", yes.text, no.text), bounds)
    }

    /// How many of the lowest bits are zero, by the term's shape.
    fn zeros_below(&self, term: Term) -> u16 {
        let node = self.graph.node(term);
        match node.op {
            Op::ShiftLeft => self.graph.value_of(node.args()[1]).and_then(|by| u16::try_from(by).ok()).unwrap_or(0),
            _ => 0,
        }
    }

    /// How many of the lowest bits may be other than zero, by the term's shape.
    fn bits_used(&self, term: Term) -> u16 {
        let node = self.graph.node(term);
        let mask = node.args().iter().filter_map(|&arg| self.graph.value_of(arg)).next();
        match (node.op, mask) {
            (Op::BitAnd, Some(mask)) => 128 - mask.leading_zeros() as u16,
            (Op::ZeroExtend, _) => self.graph.width(node.args()[0]),
            _ => self.graph.width(term),
        }
    }

    fn modular(&mut self, term: Term, width: u16) -> Option<Integer> {
        let node = *self.graph.node(term);
        let args = node.args();
        let constant = |n: usize| args.get(n).and_then(|&arg| self.graph.value_of(arg));
        let by = |n: usize| u16::try_from(constant(n)?).ok().filter(|by| *by < width);
        let (text, bounds) = match node.op {
            Op::Var(variable) => return Some(self.variable(term, variable, width)),
            Op::Add | Op::Subtract | Op::Multiply => {
                let (a, b) = (self.term(args[0], View::Modular)?, self.term(args[1], View::Modular)?);
                let (sign, bounds) = match node.op {
                    Op::Add => ("+", sum(&a, &b)),
                    Op::Subtract => ("-", difference(&a, &b)),
                    _ => ("*", product(&a, &b)),
                };
                (format!("({sign} {} {})", a.text, b.text), bounds)
            }
            Op::Negate => {
                let a = self.term(args[0], View::Modular)?;
                (format!("(- {})", a.text), a.bounds.and_then(|(low, high)| Some((high.checked_neg()?, low.checked_neg()?))))
            }
            Op::BitNot => (format!("(- (- {}) 1)", self.term(args[0], View::Modular)?.text), None),
            Op::ZeroExtend => return self.term(args[0], View::Unsigned),
            Op::SignExtend => return self.term(args[0], View::Signed),
            Op::Extract { low: 0 } => return self.term(args[0], View::Modular),
            Op::Extract { low } => {
                let value = self.term(args[0], View::Modular)?;
                return Some(self.cut(&value, low).0);
            }
            Op::Concat => {
                let (high, low) = (self.term(args[0], View::Modular)?, self.term(args[1], View::Unsigned)?);
                (format!("(+ (* {} {}) {})", power(self.graph.width(args[1])), high.text, low.text), None)
            }
            Op::ShiftLeft => {
                let by = by(1)?;
                let value = self.term(args[0], View::Modular)?;
                let factor = Integer { text: power(by), bounds: (by < 127).then(|| (1 << by, 1 << by)) };
                (format!("(* {} {})", factor.text, value.text), product(&factor, &value))
            }
            Op::ShiftRight | Op::ShiftRightSigned => {
                let by = by(1)?;
                let value = self.term(args[0], if node.op == Op::ShiftRight { View::Unsigned } else { View::Signed })?;
                return Some(if by == 0 { value } else { self.cut(&value, by).0 });
            }
            Op::BitAnd => {
                // A mask of the lowest bits, or of all but these.
                let (mask, other) = match (constant(0), constant(1)) {
                    (Some(mask), _) => (mask, args[1]),
                    (_, Some(mask)) => (mask, args[0]),
                    _ => return None,
                };
                let cleared = !mask & super::term::mask(width);
                let value = self.term(other, View::Modular)?;
                if mask & mask.wrapping_add(1) == 0 {
                    return Some(self.reduced(&value, mask.count_ones() as u16, false));
                }
                if cleared & cleared.wrapping_add(1) != 0 {
                    return None;
                }
                let rest = self.reduced(&value, cleared.count_ones() as u16, false);
                (format!("(- {} {})", value.text, rest.text), None)
            }
            Op::BitOr => {
                // Bits that are nowhere both set add up.
                let apart = |a: Term, b: Term| self.bits_used(a) <= self.zeros_below(b);
                if !apart(args[0], args[1]) && !apart(args[1], args[0]) {
                    return None;
                }
                let (a, b) = (self.term(args[0], View::Modular)?, self.term(args[1], View::Modular)?);
                (format!("(+ {} {})", a.text, b.text), sum(&a, &b))
            }
            Op::If => {
                let condition = self.truth(args[0])?;
                let (yes, no) = (self.term(args[1], View::Modular)?, self.term(args[2], View::Modular)?);
                return Some(self.chosen(&condition, &yes, &no));
            }
            Op::DivideUnsigned => {
                let (a, b) = (self.term(args[0], View::Unsigned)?, self.term(args[1], View::Unsigned)?);
                let (quotient, rest) = (self.fresh(range(width, false)), self.fresh(None));
                let (q, r, a, b) = (&quotient.text, rest.text, a.text, b.text);
                let (q, ones) = (q.clone(), format!("(- {} 1)", power(width)));
                self.assert(&format!("(=> (= {b} 0) (= {q} {ones}))"));
                self.assert(&format!("(=> (not (= {b} 0)) (and (= {a} (+ (* {q} {b}) {r})) (<= 0 {r}) (< {r} {b})))"));
                return Some(quotient);
            }
            Op::DivideSigned => {
                let (a, b) = (self.term(args[0], View::Signed)?, self.term(args[1], View::Signed)?);
                // Of the absolute values, then the sign.
                let size =
                    |printer: &mut Self, of: &Integer| printer.named(format!("(ite (< {0} 0) (- {0}) {0})", of.text), None);
                let (large, small) = (size(self, &a), size(self, &b));
                let (plain, rest) = (self.fresh(None), self.fresh(None));
                let (p, r, large, small) = (plain.text, rest.text, large.text, small.text);
                let (a, b) = (a.text, b.text);
                self.assert(&format!("(=> (= {b} 0) (= {p} 1))"));
                self.assert(&format!(
                    "(=> (not (= {b} 0)) (and (<= 0 {p}) (= {large} (+ (* {p} {small}) {r})) (<= 0 {r}) (< {r} {small})))"
                ));
                let quotient = self.named(
                    format!("(ite (= {b} 0) (ite (< {a} 0) 1 (- 1)) (ite (= (< {a} 0) (< {b} 0)) {p} (- {p})))"),
                    range(width + 1, true),
                );
                return Some(quotient);
            }
            _ => return None,
        };
        Some(self.named(text, bounds))
    }

    fn truth(&mut self, term: Term) -> Option<String> {
        let node = *self.graph.node(term);
        let args = node.args();
        Some(match node.op {
            Op::Constant(value) => if value == 0 { "false" } else { "true" }.into(),
            Op::Not => format!("(not {})", self.truth(args[0])?),
            Op::And => format!("(and {} {})", self.truth(args[0])?, self.truth(args[1])?),
            Op::If => format!("(ite {} {} {})", self.truth(args[0])?, self.truth(args[1])?, self.truth(args[2])?),
            Op::Equal if self.graph.sort(args[0]) == Sort::Bool => {
                format!("(= {} {})", self.truth(args[0])?, self.truth(args[1])?)
            }
            Op::Equal => {
                let (a, b) = (self.term(args[0], View::Unsigned)?, self.term(args[1], View::Unsigned)?);
                format!("(= {} {})", a.text, b.text)
            }
            Op::LessUnsigned | Op::LessSigned => {
                let view = if node.op == Op::LessUnsigned { View::Unsigned } else { View::Signed };
                let (a, b) = (self.term(args[0], view)?, self.term(args[1], view)?);
                format!("(< {} {})", a.text, b.text)
            }
            _ => return None,
        })
    }
}

/// Where each variable is cut in two.
fn places(graph: &Graph, terms: &[Term]) -> HashMap<Term, Vec<u16>> {
    let mut places: HashMap<Term, Vec<u16>> = HashMap::new();
    for term in graph.reached(terms) {
        let node = graph.node(term);
        let args = node.args();
        let number = |n: usize| args.get(n).and_then(|&arg| graph.value_of(arg));
        let (of, at) = match node.op {
            Op::Extract { low } if low > 0 => (args[0], low),
            Op::ShiftRight => (args[0], number(1).and_then(|by| u16::try_from(by).ok()).unwrap_or(0)),
            Op::BitAnd => match (number(0), number(1)) {
                (Some(mask), _) => (args[1], mask.count_ones() as u16),
                (_, Some(mask)) => (args[0], mask.count_ones() as u16),
                _ => continue,
            },
            _ => continue,
        };
        if matches!(graph.node(of).op, Op::Var(_)) {
            let known = places.entry(of).or_default();
            if !known.contains(&at) {
                known.push(at);
            }
        }
    }
    places
}

/// The script that asks whether an assumption can hold together with all others; none if it has no meaning over integers.
/// Others that have none are left out.
pub fn script(graph: &Graph, assumed: &[Term], refuted: Term) -> Option<Script> {
    let all: Vec<Term> = assumed.iter().copied().chain([refuted]).collect();
    let mut printer = Printer {
        graph,
        out: String::new(),
        next: 0,
        known: HashMap::new(),
        cut: HashMap::new(),
        places: places(graph, &all),
        variables: Vec::new(),
    };
    // Each part of a conjunction for itself, so that one without meaning leaves the others.
    let mut parts = assumed.to_vec();
    parts.reverse();
    while let Some(term) = parts.pop() {
        let node = *graph.node(term);
        if node.op == Op::And {
            parts.extend(node.args());
        } else if let Some(truth) = printer.truth(term) {
            printer.assert(&truth);
        }
    }
    let truth = printer.truth(refuted)?;
    printer.assert(&truth);
    let text = format!("(set-logic QF_NIA)\n{}", printer.out);
    Some(Script { text, variables: printer.variables, floats: false })
}
