//! The texts that solvers read against the terms they are printed from, by solvers: each random term is asked for its value.
//!
//! Slow, and of no use without solvers, which are looked for where `rules prove` looks. What needs none is tested beside the
//! translation to integers (`prove/integers.rs`).

use codegen_derive::prove::random::Random;
use codegen_derive::prove::smt;
use codegen_derive::prove::solver::{Solver, Solvers, Verdict, directory};
use codegen_derive::prove::term::{Graph, Op, Rounding, Sort, Term, mask};
use std::path::Path;
use std::time::Duration;

fn value(random: &mut Random, width: u16) -> u128 {
    const EDGES: [u128; 14] = [
        0,
        1,
        2,
        31,
        u128::MAX,
        1 << 31,
        1 << 63,
        u128::MAX >> 1,
        0x7fff_ffff,
        0x3f80_0000,
        0x7fc0_0000,
        0x7f80_0000,
        0x3ff8_0000_0000_0000,
        0x7ff0_0000_0000_0000,
    ];
    let wide = u128::from(random.next()) << 64 | u128::from(random.next());
    if random.below(2) == 0 { EDGES[random.below(EDGES.len())] & mask(width) } else { wide & mask(width) }
}

/// A term over some variables of 8, 32 and 64 bits, a few operations deep.
fn term(graph: &mut Graph, random: &mut Random, variables: &[Term], width: u16, depth: usize) -> Term {
    let known: Vec<Term> = variables.iter().copied().filter(|&variable| graph.width(variable) == width).collect();
    if depth == 0 || width != 8 && width != 32 && width != 64 {
        return if known.is_empty() || random.below(5) == 0 {
            let value = value(random, width);
            graph.bits(value, width)
        } else {
            known[random.below(known.len())]
        };
    }
    let mut part = |graph: &mut Graph, width| term(graph, random, variables, width, depth - 1);
    let (a, b) = (part(graph, width), part(graph, width));
    const INTEGERS: [Op; 11] = [
        Op::Add,
        Op::Subtract,
        Op::Multiply,
        Op::DivideUnsigned,
        Op::DivideSigned,
        Op::ShiftLeft,
        Op::ShiftRight,
        Op::ShiftRightSigned,
        Op::BitAnd,
        Op::BitOr,
        Op::BitXor,
    ];
    const FLOATS: [Op; 4] = [Op::FloatAdd, Op::FloatSubtract, Op::FloatMultiply, Op::FloatDivide];
    const ROUNDED: [Rounding; 4] = [Rounding::Nearest, Rounding::Up, Rounding::Down, Rounding::Zero];
    match random.below(22) {
        n @ 0..11 => graph.binary(INTEGERS[n], a, b),
        11 => graph.unary(Op::BitNot, a),
        12 => graph.unary(Op::Negate, a),
        13 => {
            let ops = [Op::LessUnsigned, Op::LessSigned];
            let less = graph.compare(ops[random.below(2)], a, b);
            graph.select(less, b, a)
        }
        14 => {
            let same = graph.equal(a, b);
            let one = graph.bits(1, width);
            graph.select(same, one, a)
        }
        15 if width == 64 => {
            let low = graph.low(a, 32);
            let op = [Op::ZeroExtend, Op::SignExtend][random.below(2)];
            graph.extend(op, low, 64)
        }
        15 | 16 if width == 64 => {
            let (high, low) = (graph.extract(a, 47, 16), graph.low(b, 32));
            graph.concat(high, low)
        }
        _ if width == 8 => graph.binary(Op::BitXor, a, b),
        17 => graph.unary(Op::FloatRound(ROUNDED[random.below(4)]), a),
        18 => {
            let less = graph.compare([Op::FloatLess, Op::FloatEqual][random.below(2)], a, b);
            graph.select(less, a, b)
        }
        19 => graph.convert([Op::FloatFromSigned, Op::FloatFromUnsigned][random.below(2)], a, width),
        20 => {
            let other = term(graph, random, variables, 96 - width, depth - 1);
            graph.convert(Op::FloatConvert, other, width)
        }
        n => graph.binary(FLOATS[n % 4], a, b),
    }
}

#[test]
#[ignore = "needs solvers"]
fn solvers_agree_on_values() {
    let spec = Path::new(env!("CARGO_MANIFEST_DIR")).join("../spec");
    let mut solvers = Solvers::new(&directory(&spec));
    let mut random = Random(7);
    let mut asked = 0;
    for round in 0..400 {
        let mut graph = Graph::default();
        let widths = [8, 32, 32, 64, 64];
        let variables: Vec<Term> = widths.iter().map(|&width| graph.variable("x", Sort::Bits(width))).collect();
        let width = [32, 64, 8][round % 3];
        let made = term(&mut graph, &mut random, &variables, width, 1 + round % 3);
        let values: Vec<u128> = widths.iter().map(|&width| value(&mut random, width)).collect();
        let value = graph.evaluate(&values)[made.0 as usize];
        let mut asserted = Vec::new();
        for (&variable, &value) in variables.iter().zip(&values) {
            let value = graph.bits(value, graph.width(variable));
            asserted.push(graph.equal(variable, value));
        }
        let value = graph.bits(value, width);
        let same = graph.equal(made, value);
        // The value is possible, and no other is.
        for (last, expected) in [(same, true), (graph.not(same), false)] {
            let script = smt::script(&graph, &[&asserted[..], &[last]].concat(), false);
            for solver in [Solver::Z3, Solver::Bitwuzla, Solver::Cvc5] {
                let (verdict, _) = solvers.ask(solver, &script, Duration::from_secs(20));
                match verdict {
                    Verdict::Sat(_) => assert!(expected, "{solver:?}: another value\n{}", script.text),
                    Verdict::Unsat => assert!(!expected, "{solver:?}: not this value\n{}", script.text),
                    Verdict::Unknown => continue,
                    Verdict::Failed(why) => panic!("{solver:?}: {why}\n{}", script.text),
                }
                asked += 1;
            }
        }
    }
    assert!(asked > 2000, "only {asked} answers");
}
