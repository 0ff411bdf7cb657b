//! Circuits over single bits, as clauses.
//!
//! A [`Bit`] is a variable of the SAT solver or its negation, or a constant. Gates compute with constants, and the same gate
//! of the same bits is made once, so that equal circuits become equal bits before anything is searched.

use batsat::{Callbacks, ClauseKind, Lit, Solver, SolverInterface, SolverOpts, Var, lbool};
use std::collections::HashMap;
use std::time::Instant;

/// Twice the variable, and one more for its negation; variable 0 is false.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Bit(u32);

pub const FALSE: Bit = Bit(0);
pub const TRUE: Bit = Bit(1);

impl std::ops::Not for Bit {
    type Output = Bit;

    fn not(self) -> Bit {
        Bit(self.0 ^ 1)
    }
}

impl Bit {
    fn is_constant(self) -> bool {
        self.0 < 2
    }

    fn is_negated(self) -> bool {
        self.0 & 1 != 0
    }
}

/// When a search ends undecided: conflicts, which do not depend on the machine's speed, or a time.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    pub conflicts: u64,
    pub until: Option<Instant>,
}

impl Default for Limit {
    fn default() -> Limit {
        Limit { conflicts: u64::MAX, until: None }
    }
}

/// Stops a search at its limit.
struct Watch {
    limit: Limit,
    conflicts: u64,
}

impl Callbacks for Watch {
    fn on_start(&mut self) {
        self.conflicts = 0;
    }

    fn on_new_clause(&mut self, _: &[Lit], _: ClauseKind) {
        self.conflicts += 1;
    }

    fn stop(&self) -> bool {
        self.conflicts > self.limit.conflicts || self.limit.until.is_some_and(|until| Instant::now() > until)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Gate {
    And(Bit, Bit),
    Xor(Bit, Bit),
    /// If the first holds the second, else the third.
    Mux(Bit, Bit, Bit),
    /// At least two of three.
    Majority(Bit, Bit, Bit),
}

pub struct Circuit {
    solver: Solver<Watch>,
    known: HashMap<Gate, Bit>,
    /// Variables by number; number 0 is false.
    variables: Vec<Var>,
}

impl Circuit {
    pub fn new(limit: Limit) -> Circuit {
        let mut solver = Solver::new(SolverOpts::default(), Watch { limit, conflicts: 0 });
        let constant = solver.new_var_default();
        solver.add_clause_reuse(&mut vec![Lit::new(constant, false)]);
        Circuit { solver, known: HashMap::new(), variables: vec![constant] }
    }

    fn literal(&self, bit: Bit) -> Lit {
        Lit::new(self.variables[(bit.0 >> 1) as usize], !bit.is_negated())
    }

    fn clause(&mut self, bits: &[Bit]) {
        let mut clause = bits.iter().map(|&bit| self.literal(bit)).collect();
        self.solver.add_clause_reuse(&mut clause);
    }

    fn new_bit(&mut self) -> Bit {
        self.variables.push(self.solver.new_var_default());
        Bit(2 * (self.variables.len() as u32 - 1))
    }

    pub fn fresh(&mut self, count: u16) -> Vec<Bit> {
        (0..count).map(|_| self.new_bit()).collect()
    }

    pub fn require(&mut self, bit: Bit) {
        self.clause(&[bit]);
    }

    /// Whether all that is required can hold together with one bit more; none if that was not found out.
    pub fn solve(&mut self, bit: Bit) -> Option<bool> {
        let literal = self.literal(bit);
        let result = self.solver.solve_limited(&[literal]);
        if result == lbool::TRUE {
            Some(true)
        } else if result == lbool::FALSE {
            Some(false)
        } else {
            None
        }
    }

    /// A bit's value where all holds, as the last [`Circuit::solve`] found it.
    pub fn value(&self, bit: Bit) -> bool {
        let variable = self.variables[(bit.0 >> 1) as usize];
        (self.solver.value_var(variable) == lbool::TRUE) != bit.is_negated()
    }

    fn gate(&mut self, gate: Gate, clauses: fn(&mut Circuit, Gate, Bit)) -> Bit {
        if let Some(&bit) = self.known.get(&gate) {
            return bit;
        }
        let bit = self.new_bit();
        clauses(self, gate, bit);
        self.known.insert(gate, bit);
        bit
    }

    // -- gates --

    pub fn and(&mut self, a: Bit, b: Bit) -> Bit {
        let (a, b) = (a.min(b), a.max(b));
        if a == FALSE || a == !b {
            return FALSE;
        }
        if a == TRUE || a == b {
            return b;
        }
        self.gate(Gate::And(a, b), |circuit, gate, and| {
            let Gate::And(a, b) = gate else { return };
            circuit.clause(&[!and, a]);
            circuit.clause(&[!and, b]);
            circuit.clause(&[and, !a, !b]);
        })
    }

    pub fn or(&mut self, a: Bit, b: Bit) -> Bit {
        !self.and(!a, !b)
    }

    pub fn xor(&mut self, a: Bit, b: Bit) -> Bit {
        let negated = a.is_negated() != b.is_negated();
        let positive = |bit: Bit| if bit.is_negated() { !bit } else { bit };
        let (a, b) = (positive(a).min(positive(b)), positive(a).max(positive(b)));
        let bit = if a == b {
            FALSE
        } else if a == FALSE {
            b
        } else {
            self.gate(Gate::Xor(a, b), |circuit, gate, xor| {
                let Gate::Xor(a, b) = gate else { return };
                circuit.clause(&[!xor, a, b]);
                circuit.clause(&[!xor, !a, !b]);
                circuit.clause(&[xor, !a, b]);
                circuit.clause(&[xor, a, !b]);
            })
        };
        if negated { !bit } else { bit }
    }

    pub fn mux(&mut self, condition: Bit, yes: Bit, no: Bit) -> Bit {
        if condition.is_negated() {
            return self.mux(!condition, no, yes);
        }
        if condition == FALSE || yes == no {
            return no;
        }
        if yes == !no {
            return !self.xor(condition, yes);
        }
        if yes.is_constant() || yes == condition || yes == !condition {
            let yes = yes == TRUE || yes == condition;
            return if yes { self.or(condition, no) } else { self.and(!condition, no) };
        }
        if no.is_constant() || no == condition || no == !condition {
            let no = no == TRUE || no == !condition;
            return if no { self.or(!condition, yes) } else { self.and(condition, yes) };
        }
        self.gate(Gate::Mux(condition, yes, no), |circuit, gate, mux| {
            let Gate::Mux(condition, yes, no) = gate else { return };
            circuit.clause(&[!condition, !yes, mux]);
            circuit.clause(&[!condition, yes, !mux]);
            circuit.clause(&[condition, !no, mux]);
            circuit.clause(&[condition, no, !mux]);
            // Implied, and found at once this way.
            circuit.clause(&[!yes, !no, mux]);
            circuit.clause(&[yes, no, !mux]);
        })
    }

    fn majority(&mut self, a: Bit, b: Bit, c: Bit) -> Bit {
        let mut bits = [a, b, c];
        bits.sort_unstable();
        let [a, b, c] = bits;
        match () {
            _ if a == FALSE => return self.and(b, c),
            _ if a == TRUE => return self.or(b, c),
            _ if a == b || b == c => return b,
            _ if a == !b => return c,
            _ if b == !c => return a,
            _ => {}
        }
        self.gate(Gate::Majority(a, b, c), |circuit, gate, majority| {
            let Gate::Majority(a, b, c) = gate else { return };
            for (x, y) in [(a, b), (a, c), (b, c)] {
                circuit.clause(&[!x, !y, majority]);
                circuit.clause(&[x, y, !majority]);
            }
        })
    }

    pub fn all(&mut self, bits: &[Bit]) -> Bit {
        bits.iter().fold(TRUE, |all, &bit| self.and(all, bit))
    }

    pub fn none(&mut self, bits: &[Bit]) -> Bit {
        bits.iter().fold(TRUE, |none, &bit| self.and(none, !bit))
    }

    // -- words, the lowest bit first --

    pub fn equal(&mut self, a: &[Bit], b: &[Bit]) -> Bit {
        a.iter().zip(b).fold(TRUE, |same, (&a, &b)| {
            let differ = self.xor(a, b);
            self.and(same, !differ)
        })
    }

    pub fn choose(&mut self, condition: Bit, yes: &[Bit], no: &[Bit]) -> Vec<Bit> {
        yes.iter().zip(no).map(|(&yes, &no)| self.mux(condition, yes, no)).collect()
    }

    /// Sum and carry.
    pub fn add(&mut self, a: &[Bit], b: &[Bit], mut carry: Bit) -> (Vec<Bit>, Bit) {
        let sum = a.iter().zip(b).map(|(&a, &b)| {
            let without = self.xor(a, b);
            let bit = self.xor(without, carry);
            carry = self.majority(a, b, carry);
            bit
        });
        let sum = sum.collect();
        (sum, carry)
    }

    /// Difference, and whether nothing was borrowed.
    pub fn subtract(&mut self, a: &[Bit], b: &[Bit]) -> (Vec<Bit>, Bit) {
        let flipped: Vec<Bit> = b.iter().map(|&bit| !bit).collect();
        self.add(a, &flipped, TRUE)
    }

    pub fn negate(&mut self, a: &[Bit]) -> Vec<Bit> {
        let zero = vec![FALSE; a.len()];
        self.subtract(&zero, a).0
    }

    /// Unsigned.
    pub fn less(&mut self, a: &[Bit], b: &[Bit]) -> Bit {
        !self.subtract(a, b).1
    }

    pub fn multiply(&mut self, a: &[Bit], b: &[Bit]) -> Vec<Bit> {
        // The factor with more constant bits says what is added.
        let constants = |bits: &[Bit]| bits.iter().filter(|bit| bit.is_constant()).count();
        let (a, b) = if constants(a) > constants(b) { (b, a) } else { (a, b) };
        let mut product = vec![FALSE; a.len()];
        for (at, &bit) in b.iter().enumerate().filter(|(_, bit)| **bit != FALSE) {
            let row: Vec<Bit> = a[..a.len() - at].iter().map(|&a| self.and(a, bit)).collect();
            let (sum, _) = self.add(&product[at..], &row, FALSE);
            product.splice(at.., sum);
        }
        product
    }

    /// The quotient, all ones for divisor 0: bit by bit from the top, what remains is kept one bit longer than the divisor.
    pub fn divide(&mut self, a: &[Bit], b: &[Bit]) -> Vec<Bit> {
        let divisor: Vec<Bit> = b.iter().copied().chain([FALSE]).collect();
        let mut rest = vec![FALSE; divisor.len()];
        let mut quotient = vec![FALSE; a.len()];
        for (at, &bit) in a.iter().enumerate().rev() {
            rest.rotate_right(1);
            rest[0] = bit;
            let (less, fits) = self.subtract(&rest, &divisor);
            rest = self.choose(fits, &less, &rest);
            quotient[at] = fits;
        }
        quotient
    }

    /// Shifted right by a number of as many bits; `filler` comes in at the top.
    pub fn shift_right(&mut self, a: &[Bit], by: &[Bit], filler: Bit) -> Vec<Bit> {
        let mut bits = a.to_vec();
        let (mut distance, mut stages) = (1, 0);
        while distance < bits.len() && stages < by.len() {
            let shifted: Vec<Bit> = (0..bits.len()).map(|at| bits.get(at + distance).copied().unwrap_or(filler)).collect();
            bits = self.choose(by[stages], &shifted, &bits);
            (distance, stages) = (2 * distance, stages + 1);
        }
        let within = self.none(&by[stages..]);
        let filled = vec![filler; bits.len()];
        self.choose(within, &bits, &filled)
    }
}
