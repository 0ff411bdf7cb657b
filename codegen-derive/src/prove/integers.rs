//! Terms as SMT-LIB 2 text over integers, for what solvers cannot see in bits: products and quotients of unknowns.
//!
//! A bit-vector of n bits becomes an integer that equals it modulo 2^n; it is brought into the range of n bits, unsigned or
//! signed, only where something depends on it. Reductions and quotients are new constants with the equation and the bounds that
//! define them. Operations on single bits have no place here: a graph that needs them has no such text.

use super::smt::Script;
use super::term::{Graph, Op, Sort, Term};
use std::collections::HashMap;
use std::fmt::Write;

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum View {
    /// Equal modulo 2^n.
    Modular,
    Unsigned,
    Signed,
}

struct Printer<'a> {
    graph: &'a Graph,
    out: String,
    next: u32,
    known: HashMap<(Term, View), String>,
    variables: Vec<(u32, u32)>,
}

fn power(exponent: u16) -> String {
    // 2^128 does not fit u128.
    if exponent == 128 { "340282366920938463463374607431768211456".into() } else { (1u128 << exponent).to_string() }
}

fn number(value: i128) -> String {
    if value < 0 { format!("(- {})", value.unsigned_abs()) } else { value.to_string() }
}

impl Printer<'_> {
    fn fresh(&mut self) -> String {
        let name = format!("t{}", self.next);
        self.next += 1;
        let _ = writeln!(self.out, "(declare-const {name} Int)");
        name
    }

    fn assert(&mut self, text: &str) {
        let _ = writeln!(self.out, "(assert {text})");
    }

    /// A name for a text, so that it is written once.
    fn named(&mut self, text: String) -> String {
        if !text.contains(' ') {
            return text;
        }
        let name = format!("t{}", self.next);
        self.next += 1;
        let _ = writeln!(self.out, "(define-fun {name} () Int {text})");
        name
    }

    /// Brings an integer into the range of a width.
    fn reduced(&mut self, value: &str, width: u16, signed: bool) -> String {
        let (times, rest) = (self.fresh(), self.fresh());
        let modulus = power(width);
        self.assert(&format!("(= {value} (+ (* {modulus} {times}) {rest}))"));
        if signed {
            let half = power(width - 1);
            self.assert(&format!("(and (<= (- {half}) {rest}) (< {rest} {half}))"));
        } else {
            self.assert(&format!("(and (<= 0 {rest}) (< {rest} {modulus}))"));
        }
        rest
    }

    /// The quotient by a power of two, rounded down.
    fn shifted(&mut self, value: &str, by: u16) -> String {
        if by == 0 {
            return value.to_string();
        }
        let (quotient, rest) = (self.fresh(), self.fresh());
        let divisor = power(by);
        self.assert(&format!("(= {value} (+ (* {divisor} {quotient}) {rest}))"));
        self.assert(&format!("(and (<= 0 {rest}) (< {rest} {divisor}))"));
        quotient
    }

    fn term(&mut self, term: Term, view: View) -> Option<String> {
        if let Some(text) = self.known.get(&(term, view)) {
            return Some(text.clone());
        }
        let Sort::Bits(width) = self.graph.sort(term) else { return None };
        let text = match self.graph.value_of(term) {
            Some(value) if view == View::Signed => number(super::term::signed(value, width)),
            Some(value) => value.to_string(),
            None if view == View::Modular => self.modular(term, width)?,
            None => {
                let node = *self.graph.node(term);
                match node.op {
                    // In range as they are.
                    Op::Var(_) if view == View::Unsigned => self.term(term, View::Modular)?,
                    Op::ZeroExtend => self.term(node.args()[0], View::Unsigned)?,
                    Op::SignExtend if view == View::Signed => self.term(node.args()[0], View::Signed)?,
                    Op::DivideUnsigned | Op::ShiftRight if view == View::Unsigned => self.term(term, View::Modular)?,
                    Op::ShiftRightSigned if view == View::Signed => self.term(term, View::Modular)?,
                    Op::If => {
                        let condition = self.truth(node.args()[0])?;
                        let (yes, no) = (self.term(node.args()[1], view)?, self.term(node.args()[2], view)?);
                        self.named(format!("(ite {condition} {yes} {no})"))
                    }
                    _ => {
                        let value = self.term(term, View::Modular)?;
                        self.reduced(&value, width, view == View::Signed)
                    }
                }
            }
        };
        self.known.insert((term, view), text.clone());
        Some(text)
    }

    fn modular(&mut self, term: Term, width: u16) -> Option<String> {
        let node = *self.graph.node(term);
        let args = node.args();
        let constant = |n: usize| args.get(n).and_then(|&arg| self.graph.value_of(arg));
        let text = match node.op {
            Op::Var(variable) => {
                let number = self.next;
                let name = self.fresh();
                self.variables.push((variable, number));
                self.assert(&format!("(and (<= 0 {name}) (< {name} {}))", power(width)));
                name
            }
            Op::Add | Op::Subtract | Op::Multiply => {
                let (a, b) = (self.term(args[0], View::Modular)?, self.term(args[1], View::Modular)?);
                let sign = match node.op {
                    Op::Add => "+",
                    Op::Subtract => "-",
                    _ => "*",
                };
                format!("({sign} {a} {b})")
            }
            Op::Negate => format!("(- {})", self.term(args[0], View::Modular)?),
            Op::BitNot => format!("(- (- {}) 1)", self.term(args[0], View::Modular)?),
            Op::ZeroExtend => self.term(args[0], View::Unsigned)?,
            Op::SignExtend => self.term(args[0], View::Signed)?,
            Op::Extract { low } => {
                let value = self.term(args[0], View::Modular)?;
                self.shifted(&value, low)
            }
            Op::Concat => {
                let (high, low) = (self.term(args[0], View::Modular)?, self.term(args[1], View::Unsigned)?);
                format!("(+ (* {} {high}) {low})", power(self.graph.width(args[1])))
            }
            Op::ShiftLeft => {
                let by = u16::try_from(constant(1)?).ok().filter(|by| *by < width)?;
                format!("(* {} {})", power(by), self.term(args[0], View::Modular)?)
            }
            Op::ShiftRight | Op::ShiftRightSigned => {
                let by = u16::try_from(constant(1)?).ok().filter(|by| *by < width)?;
                let view = if node.op == Op::ShiftRight { View::Unsigned } else { View::Signed };
                let value = self.term(args[0], view)?;
                self.shifted(&value, by)
            }
            Op::BitAnd => {
                // A mask of the lowest bits.
                let (mask, other) = match (constant(0), constant(1)) {
                    (Some(mask), _) => (mask, args[1]),
                    (_, Some(mask)) => (mask, args[0]),
                    _ => return None,
                };
                if mask & mask.wrapping_add(1) != 0 {
                    return None;
                }
                let value = self.term(other, View::Modular)?;
                self.reduced(&value, mask.count_ones() as u16, false)
            }
            Op::If => {
                let condition = self.truth(args[0])?;
                let (yes, no) = (self.term(args[1], View::Modular)?, self.term(args[2], View::Modular)?);
                format!("(ite {condition} {yes} {no})")
            }
            Op::DivideUnsigned => {
                let (a, b) = (self.term(args[0], View::Unsigned)?, self.term(args[1], View::Unsigned)?);
                let (quotient, rest) = (self.fresh(), self.fresh());
                let ones = format!("(- {} 1)", power(width));
                self.assert(&format!("(=> (= {b} 0) (= {quotient} {ones}))"));
                self.assert(&format!("(=> (not (= {b} 0)) (and (= {a} (+ (* {quotient} {b}) {rest})) (<= 0 {rest}) (< {rest} {b})))"));
                quotient
            }
            Op::DivideSigned => {
                let (a, b) = (self.term(args[0], View::Signed)?, self.term(args[1], View::Signed)?);
                let (quotient, rest) = (self.fresh(), self.fresh());
                let size = self.named(format!("(ite (< {b} 0) (- {b}) {b})"));
                self.assert(&format!("(=> (= {b} 0) (= {quotient} (ite (< {a} 0) 1 (- 1))))"));
                self.assert(&format!("(=> (not (= {b} 0)) (= {a} (+ (* {quotient} {b}) {rest})))"));
                self.assert(&format!("(=> (and (not (= {b} 0)) (<= 0 {a})) (and (<= 0 {rest}) (< {rest} {size})))"));
                self.assert(&format!("(=> (and (not (= {b} 0)) (< {a} 0)) (and (< (- {size}) {rest}) (<= {rest} 0)))"));
                quotient
            }
            _ => return None,
        };
        Some(self.named(text))
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
            Op::Equal => format!("(= {} {})", self.term(args[0], View::Unsigned)?, self.term(args[1], View::Unsigned)?),
            Op::LessUnsigned => format!("(< {} {})", self.term(args[0], View::Unsigned)?, self.term(args[1], View::Unsigned)?),
            Op::LessSigned => format!("(< {} {})", self.term(args[0], View::Signed)?, self.term(args[1], View::Signed)?),
            _ => return None,
        })
    }
}

/// The script that asks whether all the terms can hold together; none if some operation has no meaning over integers.
pub fn script(graph: &Graph, asserted: &[Term]) -> Option<Script> {
    let mut printer = Printer { graph, out: String::new(), next: 0, known: HashMap::new(), variables: Vec::new() };
    for &term in asserted {
        let truth = printer.truth(term)?;
        printer.assert(&truth);
    }
    let text = format!("(set-logic QF_NIA)\n{}", printer.out);
    Some(Script { text, variables: printer.variables, floats: false })
}
