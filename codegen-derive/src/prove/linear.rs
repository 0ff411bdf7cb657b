//! Bit-vectors as sums: each term a number times, modulo a power of two.
//!
//! Takes what terms are made of by additions, negations and constant factors apart, so that two ways to add the same are one, and
//! what stands on both sides of an equation leaves it. A SAT solver would find out neither.

use super::term::{Graph, Op, Term, mask, signed};

/// More addends than this are taken for one term.
const MOST: usize = 16;

/// A sum of width `width`: terms in order, each with a factor that is not zero, and a constant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Linear {
    pub width: u16,
    pub addends: Vec<(Term, u128)>,
    pub constant: u128,
}

impl Linear {
    pub fn constant(value: u128, width: u16) -> Linear {
        Linear { width, addends: Vec::new(), constant: value & mask(width) }
    }

    /// A term that is not taken apart.
    pub fn term(term: Term, width: u16) -> Linear {
        Linear { width, addends: vec![(term, 1)], constant: 0 }
    }

    fn times(&self, factor: u128) -> Linear {
        let product = |value: u128| value.wrapping_mul(factor) & mask(self.width);
        let addends = self.addends.iter().map(|&(term, times)| (term, product(times)));
        Linear {
            addends: addends.filter(|&(_, times)| times != 0).collect(),
            constant: product(self.constant),
            width: self.width,
        }
    }

    fn plus(&self, other: &Linear) -> Linear {
        let sum = |a: u128, b: u128| a.wrapping_add(b) & mask(self.width);
        let mut addends = self.addends.clone();
        for &(term, times) in &other.addends {
            match addends.binary_search_by_key(&term, |&(known, _)| known) {
                Ok(at) => addends[at].1 = sum(addends[at].1, times),
                Err(at) => addends.insert(at, (term, times)),
            }
        }
        addends.retain(|&(_, times)| times != 0);
        Linear { width: self.width, addends, constant: sum(self.constant, other.constant) }
    }

    pub fn minus(&self, other: &Linear) -> Linear {
        self.plus(&other.times(u128::MAX))
    }

    /// The sum of what is added, and that of what is subtracted.
    pub fn sides(&self) -> [Linear; 2] {
        let mut sides = [Linear::constant(0, self.width), Linear::constant(0, self.width)];
        let is_negative = |value: u128| signed(value, self.width) < 0;
        for &(term, times) in &self.addends {
            let negative = is_negative(times);
            let times = if negative { times.wrapping_neg() & mask(self.width) } else { times };
            sides[usize::from(negative)].addends.push((term, times));
        }
        let negative = is_negative(self.constant);
        sides[usize::from(negative)].constant =
            if negative { self.constant.wrapping_neg() & mask(self.width) } else { self.constant };
        sides
    }

    /// The sum that a bit-vector is, given those of its parts.
    pub fn of(graph: &Graph, term: Term, parts: &[Option<Linear>]) -> Linear {
        let (node, width) = (graph.node(term), graph.width(term));
        let part = |at: usize| node.args().get(at).and_then(|arg| parts[arg.0 as usize].as_ref());
        let number = |at: usize| node.args().get(at).and_then(|&arg| graph.value_of(arg));
        let found = match (node.op, part(0), part(1)) {
            (Op::Constant(value), ..) => Some(Linear::constant(value, width)),
            (Op::Add, Some(a), Some(b)) => Some(a.plus(b)),
            (Op::Subtract, Some(a), Some(b)) => Some(a.minus(b)),
            (Op::Negate, Some(a), _) => Some(a.times(u128::MAX)),
            // ~a = -a - 1
            (Op::BitNot, Some(a), _) => Some(a.times(u128::MAX).minus(&Linear::constant(1, width))),
            (Op::Multiply, Some(a), Some(b)) => match (number(0), number(1)) {
                (Some(factor), _) => Some(b.times(factor)),
                (_, Some(factor)) => Some(a.times(factor)),
                _ => None,
            },
            (Op::ShiftLeft, Some(a), _) => match number(1) {
                Some(by) if by < u128::from(width) => Some(a.times(1 << by)),
                _ => None,
            },
            _ => None,
        };
        found.filter(|sum| sum.addends.len() <= MOST).unwrap_or_else(|| Linear::term(term, width))
    }
}
