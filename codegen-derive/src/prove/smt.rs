//! Terms as SMT-LIB 2 text.
//!
//! Takes a graph and the terms to assert; gives a script that all solvers read alike. Variables and terms are numbered in the
//! order in which they are met, so the text depends on nothing but the terms' structure: it is what proofs are known by. A
//! float operation becomes a new constant that is constrained to have the operation's value, because SMT-LIB has no function
//! from floats to bit patterns; constants of float type are never written, only patterns.

use super::term::{Graph, Op, Rounding, Sort, Term, canonical};
use std::fmt::Write;

/// A query and how to read an answer.
pub struct Script {
    pub text: String,
    /// Variables of the graph and their numbers in the text, in the order in which they are met.
    pub variables: Vec<(u32, u32)>,
    /// Whether float operations are in it.
    pub floats: bool,
}

struct Printer<'a> {
    graph: &'a Graph,
    out: String,
    /// Number of a term in the text.
    numbers: Vec<Option<u32>>,
    next: u32,
    variables: Vec<(u32, u32)>,
    floats: bool,
    abstracted: bool,
}

fn sort(sort: Sort) -> String {
    match sort {
        Sort::Bool => "Bool".into(),
        Sort::Bits(width) => format!("(_ BitVec {width})"),
    }
}

fn format(width: u16) -> &'static str {
    if width == 32 { "8 24" } else { "11 53" }
}

fn mode(rounding: Rounding) -> &'static str {
    match rounding {
        Rounding::Nearest => "RNE",
        Rounding::Up => "RTP",
        Rounding::Down => "RTN",
        Rounding::Zero => "RTZ",
    }
}

/// SMT-LIB's name of an operation that takes nothing but its operands.
fn plain(op: Op) -> Option<&'static str> {
    Some(match op {
        Op::Not => "not",
        Op::And => "and",
        Op::Or => "or",
        Op::Equal => "=",
        Op::If => "ite",
        Op::BitNot => "bvnot",
        Op::Negate => "bvneg",
        Op::BitAnd => "bvand",
        Op::BitOr => "bvor",
        Op::BitXor => "bvxor",
        Op::Add => "bvadd",
        Op::Subtract => "bvsub",
        Op::Multiply => "bvmul",
        Op::DivideUnsigned => "bvudiv",
        Op::DivideSigned => "bvsdiv",
        Op::ShiftLeft => "bvshl",
        Op::ShiftRight => "bvlshr",
        Op::ShiftRightSigned => "bvashr",
        Op::LessUnsigned => "bvult",
        Op::LessSigned => "bvslt",
        Op::Concat => "concat",
        _ => return None,
    })
}

impl Printer<'_> {
    fn name(&self, term: Term) -> String {
        let node = self.graph.node(term);
        match (node.op, node.sort) {
            (Op::Constant(value), Sort::Bool) => if value == 0 { "false" } else { "true" }.into(),
            (Op::Constant(value), Sort::Bits(width)) if width % 4 == 0 => {
                format!("#x{value:0digits$x}", digits = usize::from(width / 4))
            }
            (Op::Constant(value), Sort::Bits(width)) => format!("#b{value:0digits$b}", digits = usize::from(width)),
            _ => format!("t{}", self.numbers[term.0 as usize].unwrap_or(u32::MAX)),
        }
    }

    fn float(&self, term: Term) -> String {
        format!("((_ to_fp {}) {})", format(self.graph.width(term)), self.name(term))
    }

    /// Writes a term whose parts are written.
    fn define(&mut self, term: Term) {
        let node = *self.graph.node(term);
        if matches!(node.op, Op::Constant(_)) {
            return;
        }
        let number = self.next;
        self.next += 1;
        self.numbers[term.0 as usize] = Some(number);
        let args: Vec<String> = node.args().iter().map(|&arg| self.name(arg)).collect();
        let floats: Vec<String> = node.args().iter().map(|&arg| self.float(arg)).collect();
        let width = self.graph.width(term);
        let from = node.args().first().map_or(0, |&arg| self.graph.width(arg));
        let body = match node.op {
            Op::Var(variable) => {
                self.variables.push((variable, number));
                let _ = writeln!(self.out, "(declare-const t{number} {})", sort(node.sort));
                return;
            }
            Op::Extract { low } => format!("((_ extract {} {low}) {})", low + width - 1, args[0]),
            Op::ZeroExtend => format!("((_ zero_extend {}) {})", width - from, args[0]),
            Op::SignExtend => format!("((_ sign_extend {}) {})", width - from, args[0]),
            Op::FloatLess => format!("(fp.lt {})", floats.join(" ")),
            Op::FloatEqual => format!("(fp.eq {})", floats.join(" ")),
            Op::FloatToSigned => format!("((_ fp.to_sbv {width}) RTZ {})", floats[0]),
            Op::FloatToUnsigned => format!("((_ fp.to_ubv {width}) RTZ {})", floats[0]),
            op => match plain(op) {
                Some(name) => format!("({name} {})", args.join(" ")),
                None => {
                    self.floats = true;
                    let value = match op {
                        Op::FloatAdd => format!("(fp.add RNE {})", floats.join(" ")),
                        Op::FloatSubtract => format!("(fp.sub RNE {})", floats.join(" ")),
                        Op::FloatMultiply => format!("(fp.mul RNE {})", floats.join(" ")),
                        Op::FloatDivide => format!("(fp.div RNE {})", floats.join(" ")),
                        Op::FloatRoot => format!("(fp.sqrt RNE {})", floats[0]),
                        Op::FloatRound(rounding) => format!("(fp.roundToIntegral {} {})", mode(rounding), floats[0]),
                        Op::FloatConvert => format!("((_ to_fp {}) RNE {})", format(width), floats[0]),
                        Op::FloatFromUnsigned => format!("((_ to_fp_unsigned {}) RNE {})", format(width), args[0]),
                        _ => format!("((_ to_fp {}) RNE {})", format(width), args[0]),
                    };
                    let (shown, nan) = (format!("((_ to_fp {}) t{number})", format(width)), canonical(width));
                    let digits = usize::from(width / 4);
                    let _ = writeln!(self.out, "(declare-const t{number} {})", sort(node.sort));
                    if !self.abstracted {
                        let _ = writeln!(self.out, "(assert (= {shown} {value}))");
                    }
                    let _ = writeln!(self.out, "(assert (=> (fp.isNaN {shown}) (= t{number} #x{nan:0digits$x})))");
                    return;
                }
            },
        };
        self.floats |= body.contains("fp.");
        let _ = writeln!(self.out, "(define-fun t{number} () {} {body})", sort(node.sort));
    }

    /// Writes a term and all it is made of, parts first.
    fn write(&mut self, term: Term) {
        let mut pending = vec![(term, false)];
        while let Some((term, ready)) = pending.pop() {
            if self.numbers[term.0 as usize].is_some() {
                continue;
            }
            if ready {
                self.define(term);
                continue;
            }
            pending.push((term, true));
            pending.extend(self.graph.node(term).args().iter().rev().map(|&arg| (arg, false)));
        }
    }
}

/// The script that asks whether all the terms can hold together; `abstracted`: for any functions in place of float operations
/// that give floats.
pub fn script(graph: &Graph, asserted: &[Term], abstracted: bool) -> Script {
    let mut printer = Printer {
        graph,
        out: String::new(),
        numbers: vec![None; graph.len()],
        next: 0,
        variables: Vec::new(),
        floats: false,
        abstracted,
    };
    for &term in asserted {
        printer.write(term);
        let _ = writeln!(printer.out, "(assert {})", printer.name(term));
    }
    let logic = if printer.floats { "QF_BVFP" } else { "QF_BV" };
    let text = format!("(set-logic {logic})\n{}", printer.out);
    Script { text, variables: printer.variables, floats: printer.floats }
}

impl Script {
    /// The command that asks for the values of all variables, in order; none if there are none.
    pub fn ask_values(&self) -> Option<String> {
        let names: Vec<String> = self.variables.iter().map(|(_, number)| format!("t{number}")).collect();
        (!names.is_empty()).then(|| format!("(get-value ({}))", names.join(" ")))
    }
}
