//! What happens besides results: traps and accesses to storage, in order.
//!
//! The operators that a rule stands for say what is expected; the rule's right side then does what it does, and each effect
//! is compared with the one expected at its place. Two sequences agree if the same accesses are made under the same
//! conditions, at the same addresses with the same values, and the first trap that fires is the same on both sides. A load
//! gives the same value on both sides, whatever that is. Storage that never changes may be read or left alone.

use super::term::{Graph, Sort, Term};
use crate::ast::Region;

/// An access that an operator makes.
#[derive(Clone, Debug)]
pub struct Access {
    pub region: Region,
    pub write: bool,
    pub width: u16,
    pub address: Term,
    /// What is read, or to be written.
    pub value: Term,
    /// Whether no trap came before.
    pub live: Term,
    /// Belongs to an operator folded into the rule.
    pub folded: bool,
}

/// A condition that must hold, and what for.
#[derive(Clone, Debug)]
pub struct Goal {
    pub what: String,
    pub holds: Term,
}

/// One side's traps.
#[derive(Clone, Copy, Debug)]
struct Side {
    /// Whether no trap has fired.
    live: Term,
    /// Number of the first that did, else 0.
    code: Term,
}

#[derive(Debug)]
pub struct Effects {
    pub expected: Vec<Access>,
    wanted: Side,
    actual: Side,
    next: usize,
    /// Whether the right side has trapped, or accessed what its own operator accesses.
    began: bool,
    pub goals: Vec<Goal>,
}

impl Side {
    fn new(graph: &mut Graph) -> Side {
        Side { live: graph.bool(true), code: graph.bits(0, 8) }
    }

    fn trap(&mut self, graph: &mut Graph, condition: Term, code: u8) {
        let fires = graph.and(self.live, condition);
        let code = graph.bits(u128::from(code), 8);
        self.code = graph.select(fires, code, self.code);
        let passes = graph.not(condition);
        self.live = graph.and(self.live, passes);
    }
}

fn shown(write: bool, width: u16) -> String {
    format!("{} of {width} bits", if write { "write" } else { "read" })
}

impl Effects {
    pub fn new(graph: &mut Graph) -> Effects {
        let (wanted, actual) = (Side::new(graph), Side::new(graph));
        Effects { expected: Vec::new(), wanted, actual, next: 0, began: false, goals: Vec::new() }
    }

    pub fn expect_trap(&mut self, graph: &mut Graph, condition: Term, code: u8) {
        self.wanted.trap(graph, condition, code);
    }

    pub fn expect_access(&mut self, region: Region, write: bool, width: u16, address: Term, value: Term, folded: bool) {
        let live = self.wanted.live;
        self.expected.push(Access { region, write, width, address, value, live, folded });
    }

    /// Whether no trap of the operators fires.
    pub fn expected_live(&self) -> Term {
        self.wanted.live
    }

    /// The trap that the operators give, and the one that the right side gives; 0 for none.
    pub fn codes(&self) -> (Term, Term) {
        (self.wanted.code, self.actual.code)
    }

    /// Whether the right side has not trapped so far.
    pub fn live(&self) -> Term {
        self.actual.live
    }

    pub fn trap(&mut self, graph: &mut Graph, condition: Term, code: u8) {
        self.began = true;
        self.actual.trap(graph, condition, code);
    }

    /// A condition that must hold if the right side gets this far.
    pub fn require(&mut self, graph: &mut Graph, what: String, condition: Term) {
        let holds = graph.implies(self.actual.live, condition);
        self.goals.push(Goal { what, holds });
    }

    fn fail(&mut self, graph: &mut Graph, what: String) {
        let holds = graph.bool(false);
        self.goals.push(Goal { what, holds });
    }

    /// The right side makes an access; gives what a read gives.
    pub fn access(&mut self, graph: &mut Graph, width: u16, address: Term, written: Option<Term>) -> Term {
        let write = written.is_some();
        let fits = |access: &Access| access.write == write && access.width == width;
        while self.expected.get(self.next).is_some_and(|access| access.region == Region::Constant && !fits(access)) {
            self.next += 1;
        }
        let Some(access) = self.expected.get(self.next).filter(|access| fits(access)).cloned() else {
            let what = match self.expected.get(self.next) {
                Some(access) => format!("a {}, expected a {}", shown(write, width), shown(access.write, access.width)),
                None => format!("a {} that no operator makes", shown(write, width)),
            };
            self.fail(graph, what);
            return written.unwrap_or_else(|| graph.variable("read", Sort::Bits(width)));
        };
        self.next += 1;
        self.began |= !access.folded;
        let what = shown(write, width);
        let same = graph.equal(self.actual.live, access.live);
        self.goals.push(Goal { what: format!("the {what} is made exactly when the operator makes it"), holds: same });
        let same = graph.equal(address, access.address);
        self.require(graph, format!("the address of the {what}"), same);
        if let Some(written) = written {
            let same = graph.equal(written, access.value);
            self.require(graph, format!("the value of the {what}"), same);
        }
        access.value
    }

    /// A form may make the access of a folded operator here.
    pub fn fold(&mut self, graph: &mut Graph) {
        if self.began {
            self.fail(graph, "a load may be folded here, behind an effect of the operator itself".into());
        }
    }

    /// The end of the right side.
    pub fn finish(&mut self, graph: &mut Graph) {
        let missing: Vec<String> = self.expected[self.next.min(self.expected.len())..]
            .iter()
            .filter(|access| access.region != Region::Constant)
            .map(|access| format!("the {} is made", shown(access.write, access.width)))
            .collect();
        for what in missing {
            self.fail(graph, what);
        }
        let holds = graph.equal(self.wanted.code, self.actual.code);
        self.goals.push(Goal { what: "the same trap, or none".into(), holds });
    }
}
