//! Ways to prove one obligation: scripts which, all unsatisfiable, prove it.
//!
//! Most obligations are one script over bit-vectors. Float arithmetic is first taken for any function, for what is proved so
//! holds for the real one. A number that can have few values only (a power of two) is given each in turn, and one script more
//! says that there are no others. Products and quotients of unknowns go over to integers (`integers`); where they depend on a
//! count of leading zeros, that is given each value in turn.

use super::integers;
use super::obligation::Obligation;
use super::smt::{self, Script};
use super::term::{Graph, Op, Sort, Term, mask};

pub struct Strategy {
    pub scripts: Vec<Script>,
    /// Values that satisfy the script are a counterexample, or the example wanted.
    pub decides: bool,
    /// Over integers, which not every solver knows.
    pub integers: bool,
    /// Another strategy follows that may do better.
    pub brief: bool,
}

/// An obligation with a term replaced by a number.
struct Case {
    graph: Graph,
    assumed: Vec<Term>,
    refuted: Term,
}

impl Obligation {
    fn goal(&self, graph: &mut Graph) -> Term {
        let goals: Vec<Term> = self.goals.iter().map(|goal| goal.holds).collect();
        graph.all(&goals)
    }

    /// Satisfiable if there is a counterexample, or the example wanted.
    pub fn query(&self, abstracted: bool) -> Script {
        let mut graph = self.graph.clone();
        let mut asserted = self.assumed.clone();
        if !self.kind.wants_example() {
            let all = self.goal(&mut graph);
            asserted.push(graph.not(all));
        }
        smt::script(&graph, &asserted, abstracted)
    }

    fn case(&self, term: Term, value: u128) -> Case {
        let mut graph = self.graph.clone();
        let all = self.goal(&mut graph);
        let width = graph.width(term);
        let by = graph.bits(value, width);
        let became = graph.substitute(term, by);
        let refuted = graph.not(became[all.0 as usize]);
        let assumed = self.assumed.iter().map(|term| became[term.0 as usize]).collect();
        Case { graph, assumed, refuted }
    }

    /// A number that the assumptions leave few values, and these.
    fn few_values(&self) -> Option<(Term, Vec<u128>)> {
        // The only variable that the assumptions speak of.
        let mut spoken: Vec<Term> = Vec::new();
        let mut pending = self.assumed.clone();
        let mut seen = std::collections::HashSet::new();
        while let Some(term) = pending.pop() {
            if seen.insert(term) {
                let node = self.graph.node(term);
                if matches!(node.op, Op::Var(_)) {
                    spoken.push(term);
                }
                pending.extend(node.args());
            }
        }
        let &[variable] = spoken.as_slice() else { return None };
        let (Op::Var(number), Sort::Bits(width)) = (self.graph.node(variable).op, self.graph.sort(variable)) else { return None };
        let allowed = |value: u128| {
            let mut values = vec![0; self.graph.variables.len()];
            values[number as usize] = value & mask(width);
            let computed = self.graph.evaluate(&values);
            self.assumed.iter().all(|term| computed[term.0 as usize] != 0)
        };
        // If numbers of no special kind are allowed there are too many.
        if [7u128, 11, 13, 96, 224, 0x7e0, 0x1234_5678, u128::MAX - 6, 0x6_0000_0000].into_iter().any(allowed) {
            return None;
        }
        let candidates = [1u128, 3, 5, 9].into_iter().flat_map(|odd| (0..width).map(move |shift| odd << shift & mask(width)));
        let mut values: Vec<u128> = candidates.filter(|&value| allowed(value)).collect();
        values.sort_unstable();
        values.dedup();
        (values.len() > 1).then_some((variable, values))
    }

    /// One script for each value of a number, and one that says there are no others.
    fn by_values(&self) -> Option<Strategy> {
        let (variable, values) = self.few_values()?;
        let mut graph = self.graph.clone();
        let width = graph.width(variable);
        let mut others = self.assumed.clone();
        for &value in &values {
            let value = graph.bits(value, width);
            others.push(graph.unequal(variable, value));
        }
        let mut scripts = vec![smt::script(&graph, &others, false)];
        for value in values {
            let case = self.case(variable, value);
            let mut asserted = case.assumed;
            asserted.push(case.refuted);
            scripts.push(smt::script(&case.graph, &asserted, false));
        }
        Some(Strategy { scripts, decides: false, integers: false, brief: false })
    }

    /// Over integers, if there is a product or quotient of unknowns.
    fn over_integers(&self) -> Option<Strategy> {
        let mut graph = self.graph.clone();
        let all = self.goal(&mut graph);
        let refuted = graph.not(all);
        if !graph.multiplies(&[&self.assumed[..], &[refuted]].concat()) {
            return None;
        }
        let mut asserted = self.assumed.clone();
        asserted.push(refuted);
        if let Some(script) = integers::script(&graph, &asserted) {
            return Some(Strategy { scripts: vec![script], decides: false, integers: true, brief: false });
        }
        // Each count of leading zeros in turn: the range of what is counted says it.
        let &(count, of) = self.counted.first()?;
        let width = self.graph.width(of);
        let mut scripts = Vec::new();
        for zeros in 0..=width {
            let mut case = self.case(count, u128::from(zeros));
            let range = |graph: &mut Graph, of: Term| {
                let most = graph.bits(mask(width - zeros), width);
                let over = graph.compare(Op::LessUnsigned, most, of);
                let below = graph.not(over);
                if zeros == width {
                    return below;
                }
                let least = graph.bits(1 << (width - zeros - 1), width);
                let under = graph.compare(Op::LessUnsigned, of, least);
                let above = graph.not(under);
                graph.and(below, above)
            };
            let inside = range(&mut case.graph, of);
            let mut asserted = case.assumed;
            asserted.push(inside);
            asserted.push(case.refuted);
            scripts.push(integers::script(&case.graph, &asserted)?);
            // In this range the count is this, and the ranges are all there are.
            let mut graph = self.graph.clone();
            let (value, inside) = (graph.bits(u128::from(zeros), width), range(&mut graph, of));
            let counted = graph.equal(count, value);
            let same = graph.equal(counted, inside);
            let differ = graph.not(same);
            scripts.push(smt::script(&graph, &[differ], false));
        }
        let mut graph = self.graph.clone();
        let most = graph.bits(u128::from(width), width);
        let over = graph.compare(Op::LessUnsigned, most, count);
        scripts.push(smt::script(&graph, &[over], false));
        Some(Strategy { scripts, decides: false, integers: true, brief: false })
    }

    /// In the order in which they are tried.
    pub fn strategies(&self) -> Vec<Strategy> {
        let whole = |brief| Strategy { scripts: vec![self.query(false)], decides: true, integers: false, brief };
        if self.kind.wants_example() {
            return vec![whole(false)];
        }
        let mut strategies = Vec::new();
        let abstracted = self.query(true);
        if abstracted.floats {
            strategies.push(Strategy { scripts: vec![abstracted], decides: false, integers: false, brief: true });
        }
        strategies.extend(self.by_values());
        match self.over_integers() {
            Some(integers) => {
                strategies.push(whole(true));
                strategies.push(integers);
            }
            None => strategies.push(whole(false)),
        }
        strategies
    }
}
