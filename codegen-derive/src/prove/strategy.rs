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

impl Case {
    fn script(&self) -> Script {
        let asserted: Vec<Term> = self.assumed.iter().copied().chain([self.refuted]).collect();
        smt::script(&self.graph, &asserted, false)
    }
}

/// Scripts over integers: two if it makes a difference whether a variable that is divided is negative, or one whose bit is
/// changed has this set.
fn by_halves(graph: &mut Graph, assumed: &[Term], refuted: Term, hinted: bool) -> Option<Vec<Script>> {
    let mut halves: Vec<Term> = Vec::new();
    let is_variable = |graph: &Graph, term: Term| matches!(graph.node(term).op, Op::Var(_));
    for term in graph.reached(&[refuted]) {
        let node = *graph.node(term);
        match (node.op, node.args()) {
            (Op::DivideSigned, &[dividend, _]) if is_variable(graph, dividend) => {
                let zero = graph.bits(0, graph.width(dividend));
                halves.push(graph.compare(Op::LessSigned, dividend, zero));
            }
            (Op::BitXor, &[a, b]) => {
                let (changed, bit) = if graph.value_of(a).is_some() { (b, a) } else { (a, b) };
                if is_variable(graph, changed) && graph.value_of(bit).is_some_and(|bit| bit.is_power_of_two()) {
                    halves.push(graph.compare(Op::LessUnsigned, changed, bit));
                }
            }
            _ => {}
        }
    }
    halves.dedup();
    let &[half] = halves.as_slice() else { return Some(vec![integers::script(graph, assumed, refuted, hinted)?]) };
    let other = graph.not(half);
    [half, other].map(|half| integers::script(graph, &[assumed, &[half]].concat(), refuted, hinted)).into_iter().collect()
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
        let reached = self.graph.reached(&self.assumed);
        let spoken: Vec<Term> = reached.into_iter().filter(|&term| matches!(self.graph.node(term).op, Op::Var(_))).collect();
        let &[variable] = spoken.as_slice() else { return None };
        let (Op::Var(number), Sort::Bits(width)) = (self.graph.node(variable).op, self.graph.sort(variable)) else {
            return None;
        };
        let allowed = |value: u128| {
            let mut values = vec![0; self.graph.variables.len()];
            values[number as usize] = value & mask(width);
            let computed = self.graph.evaluate(&values);
            self.assumed.iter().all(|term| computed[term.0 as usize] != 0)
        };
        // If numbers of no special kind are allowed there are too many.
        if [7u128, 11, 13, 224, 352, 0x7e0, 0x1234_5678, u128::MAX - 6, 0x7_0000_0000].into_iter().any(allowed) {
            return None;
        }
        let candidates =
            [1u128, 3, 5, 9].into_iter().flat_map(|odd| (0..width).map(move |shift| odd << shift & mask(width)));
        let mut values: Vec<u128> = candidates.filter(|&value| allowed(value)).collect();
        values.sort_unstable();
        values.dedup();
        (values.len() > 1).then_some((variable, values))
    }

    /// Whether a variable or its negation may have a value, as far as assumptions that speak of no other say.
    fn admits(&self, term: Term, value: u128) -> bool {
        let node = self.graph.node(term);
        let (variable, value) = match (node.op, node.args()) {
            (Op::Negate, &[variable]) => (variable, value.wrapping_neg() & mask(self.graph.width(term))),
            _ => (term, value),
        };
        let Op::Var(number) = self.graph.node(variable).op else { return true };
        let alone = |term: &&Term| {
            let reached = self.graph.reached(&[**term]);
            reached.into_iter().all(|part| part == variable || !matches!(self.graph.node(part).op, Op::Var(_)))
        };
        let mut values = vec![0; self.graph.variables.len()];
        values[number as usize] = value;
        let computed = self.graph.evaluate(&values);
        self.assumed.iter().filter(alone).all(|term| computed[term.0 as usize] != 0)
    }

    /// One script for each value of a number, and one that says there are no others: over bits, and over integers if those
    /// have a meaning.
    fn by_values(&self) -> Vec<Strategy> {
        let Some((variable, values)) = self.few_values() else { return Vec::new() };
        let mut graph = self.graph.clone();
        let width = graph.width(variable);
        let mut others = self.assumed.clone();
        for &value in &values {
            let value = graph.bits(value, width);
            others.push(graph.unequal(variable, value));
        }
        let cases: Vec<Case> = values.into_iter().map(|value| self.case(variable, value)).collect();
        let none_left = || smt::script(&graph, &others, false);
        let mut scripts: Vec<Script> = cases.iter().map(Case::script).collect();
        scripts.push(none_left());
        let mut strategies = vec![Strategy { scripts, decides: false, integers: false, brief: true }];
        let over_integers: Option<Vec<Script>> =
            cases.iter().map(|case| integers::script(&case.graph, &case.assumed, case.refuted, false)).collect();
        if let Some(mut scripts) = over_integers {
            scripts.push(none_left());
            strategies.push(Strategy { scripts, decides: false, integers: true, brief: false });
        }
        strategies
    }

    /// Over integers, if there is a product or quotient of unknowns.
    fn over_integers(&self, hinted: bool) -> Option<Vec<Script>> {
        let mut graph = self.graph.clone();
        let all = self.goal(&mut graph);
        let refuted = graph.not(all);
        // Over integers some assumptions may be left out: what they say of some numbers is said again.
        let mut assumed = self.assumed.clone();
        for variable in &self.graph.variables {
            let Sort::Bits(width) = variable.sort else { continue };
            for value in [1 << (width - 1), 1, 2, mask(width), mask(width) - 1] {
                if !self.admits(variable.term, value) {
                    let excluded = graph.bits(value, width);
                    assumed.push(graph.unequal(variable.term, excluded));
                }
            }
        }
        if !graph.multiplies(&[&self.assumed[..], &[refuted]].concat()) {
            return None;
        }
        if let Some(scripts) = by_halves(&mut graph, &assumed, refuted, hinted) {
            return Some(scripts);
        }
        // Each count of leading zeros in turn: the range of what is counted says it.
        let &(count, of) = self.counted.first()?;
        let width = self.graph.width(of);
        let (mut scripts, mut translated) = (Vec::new(), false);
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
            let mut assumed = case.assumed;
            assumed.push(inside);
            // What the assumptions say of the least number of the range must be said over integers too.
            if zeros < width && !self.admits(of, 1 << (width - zeros - 1)) {
                let least = case.graph.bits(1 << (width - zeros - 1), width);
                assumed.push(case.graph.unequal(of, least));
            }
            match by_halves(&mut case.graph, &assumed, case.refuted, hinted) {
                Some(cases) => {
                    scripts.extend(cases);
                    translated = true;
                }
                // Over bits, then: mostly a count that the assumptions leave nothing of.
                None => scripts.push(smt::script(&case.graph, &[&assumed[..], &[case.refuted]].concat(), false)),
            }
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
        translated.then_some(scripts)
    }

    /// One script for each value of a shift count that the assumptions add to another one, and one that says there are no
    /// others.
    fn by_counts(&self) -> Option<Strategy> {
        let count = |term: Term| {
            let node = self.graph.node(term);
            let masked =
                node.op == Op::BitAnd && node.args().iter().any(|&arg| matches!(self.graph.node(arg).op, Op::Var(_)));
            let most = node.args().iter().find_map(|&arg| self.graph.value_of(arg))?;
            (masked && most < 64).then_some(most)
        };
        let sums = self.graph.reached(&self.assumed).into_iter().map(|term| self.graph.node(term));
        let (term, most) = sums.filter(|node| node.op == Op::Add).find_map(|node| {
            let &[a, b] = node.args() else { return None };
            count(b)?;
            Some((a, count(a)?))
        })?;
        let mut scripts: Vec<Script> = (0..=most).map(|value| self.case(term, value).script()).collect();
        let mut graph = self.graph.clone();
        let width = graph.width(term);
        let most = graph.bits(most, width);
        let over = graph.compare(Op::LessUnsigned, most, term);
        scripts.push(smt::script(&graph, &[over], false));
        Some(Strategy { scripts, decides: false, integers: false, brief: false })
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
        let over_integers = |scripts, brief| Strategy { scripts, decides: false, integers: true, brief };
        let plain = self.over_integers(false);
        // One solver is quick with hints, the other one without. Over bits neither is, so that comes last.
        let texts = |scripts: &[Script]| scripts.iter().map(|script| script.text.clone()).collect::<Vec<String>>();
        let hinted =
            self.over_integers(true).filter(|hinted| plain.as_ref().is_some_and(|plain| texts(plain) != texts(hinted)));
        match (plain, hinted) {
            (Some(plain), Some(hinted)) => {
                strategies.extend([over_integers(plain, true), over_integers(hinted, true), whole(false)]);
            }
            (plain, _) => {
                let last = plain.map(|plain| over_integers(plain, false)).or_else(|| self.by_counts());
                strategies.push(whole(last.is_some()));
                strategies.extend(last);
            }
        }
        strategies
    }
}
