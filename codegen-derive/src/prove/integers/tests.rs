//! The translation to integers against the terms themselves: random terms and assumptions, random values.
//!
//! The translation is sound if for all values of the variables that satisfy the assumptions the constants it declares can be
//! chosen so that all it asserts holds, the last assertion exactly when the term to be refuted does. What each constant is
//! meant to be is written down beside it, so the script is computed through, over integers of 512 bits.

use super::super::random::Random;
use super::super::term::{Graph, Op, Sort, Term, mask};
use super::print;
use std::cmp::Ordering;
use std::collections::HashMap;

/// Two's complement, lowest limb first. Nothing here comes near its ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Big([u32; 16]);

impl Big {
    fn from(value: u128) -> Big {
        let mut limbs = [0; 16];
        (0..4).for_each(|n| limbs[n] = (value >> (32 * n)) as u32);
        Big(limbs)
    }

    fn parse(digits: &str) -> Big {
        let digit = |digit: u8| Big::from(u128::from(digit - b'0'));
        digits.bytes().fold(Big::from(0), |sum, next| sum.times(Big::from(10)).plus(digit(next)))
    }

    fn plus(self, other: Big) -> Big {
        let (mut sum, mut carry) = ([0; 16], 0u64);
        for n in 0..16 {
            carry += u64::from(self.0[n]) + u64::from(other.0[n]);
            sum[n] = carry as u32;
            carry >>= 32;
        }
        Big(sum)
    }

    fn opposite(self) -> Big {
        Big(self.0.map(|limb| !limb)).plus(Big::from(1))
    }

    fn minus(self, other: Big) -> Big {
        self.plus(other.opposite())
    }

    fn times(self, other: Big) -> Big {
        let mut product = [0; 16];
        for a in 0..16 {
            let mut carry = 0u64;
            for b in 0..16 - a {
                carry += u64::from(product[a + b]) + u64::from(self.0[a]) * u64::from(other.0[b]);
                product[a + b] = carry as u32;
                carry >>= 32;
            }
        }
        Big(product)
    }

    fn negative(self) -> bool {
        self.0[15] >> 31 != 0
    }

    fn order(self, other: Big) -> Ordering {
        match self.minus(other) {
            difference if difference.negative() => Ordering::Less,
            difference if difference == Big::from(0) => Ordering::Equal,
            _ => Ordering::Greater,
        }
    }

    /// Quotient and rest by a positive number, rounded down; zeros for other divisors.
    fn divided(self, by: Big) -> (Big, Big) {
        if by.order(Big::from(0)) != Ordering::Greater {
            // The side of a choice that is not taken.
            return (Big::from(0), Big::from(0));
        }
        let size = if self.negative() { self.opposite() } else { self };
        let (mut quotient, mut rest) = (Big::from(0), Big::from(0));
        for bit in (0..512).rev() {
            let next = size.0[bit / 32] >> (bit % 32) & 1;
            (quotient, rest) = (quotient.plus(quotient), rest.plus(rest).plus(Big::from(u128::from(next))));
            if rest.order(by) != Ordering::Less {
                (quotient, rest) = (quotient.plus(Big::from(1)), rest.minus(by));
            }
        }
        match (self.negative(), rest == Big::from(0)) {
            (false, _) => (quotient, rest),
            (true, true) => (quotient.opposite(), rest),
            (true, false) => (quotient.plus(Big::from(1)).opposite(), by.minus(rest)),
        }
    }
}

#[test]
fn large_numbers() {
    let (a, b) = (Big::parse("340282366920938463463374607431768211456"), Big::parse("18446744073709551616"));
    assert_eq!(b.times(b), a);
    assert_eq!(a.opposite().minus(Big::from(1)).divided(b), (b.plus(Big::from(1)).opposite(), b.minus(Big::from(1))));
    assert_eq!(Big::from(7).divided(Big::from(2)), (Big::from(3), Big::from(1)));
    assert_eq!(Big::from(6).opposite().divided(Big::from(2)), (Big::from(3).opposite(), Big::from(0)));
}

/// A text in the language of the scripts; true is 1, false 0.
fn computed(words: &mut std::iter::Peekable<std::vec::IntoIter<String>>, names: &HashMap<String, Big>) -> Big {
    let word = words.next().expect("a word");
    if word != "(" {
        return match word.as_str() {
            "true" => Big::from(1),
            "false" => Big::from(0),
            number if number.as_bytes()[0].is_ascii_digit() => Big::parse(number),
            name => *names.get(name).unwrap_or_else(|| panic!("{name} is not declared")),
        };
    }
    let op = words.next().expect("an operation");
    let mut args = Vec::new();
    while words.peek().expect("a closing parenthesis") != ")" {
        args.push(computed(words, names));
    }
    words.next();
    let truth = |holds: bool| Big::from(u128::from(holds));
    let holds = |value: Big| value != Big::from(0);
    match (op.as_str(), args.as_slice()) {
        ("+", &[a, b]) => a.plus(b),
        ("-", &[a]) => a.opposite(),
        ("-", &[a, b]) => a.minus(b),
        ("*", &[a, b]) => a.times(b),
        ("div", &[a, b]) => a.divided(b).0,
        ("mod", &[a, b]) => a.divided(b).1,
        ("ite", &[condition, yes, no]) => {
            if holds(condition) {
                yes
            } else {
                no
            }
        }
        ("=", &[a, b]) => truth(a == b),
        ("<", &[a, b]) => truth(a.order(b) == Ordering::Less),
        ("<=", &[a, b]) => truth(a.order(b) != Ordering::Greater),
        ("not", &[a]) => truth(!holds(a)),
        ("=>", &[a, b]) => truth(!holds(a) || holds(b)),
        ("or", parts) => truth(parts.iter().any(|&part| holds(part))),
        ("and", parts) => truth(parts.iter().all(|&part| holds(part))),
        _ => panic!("{op} of {} parts", args.len()),
    }
}

fn words(text: &str) -> std::iter::Peekable<std::vec::IntoIter<String>> {
    let spaced = text.replace('(', " ( ").replace(')', " ) ");
    spaced.split_whitespace().map(str::to_string).collect::<Vec<_>>().into_iter().peekable()
}

fn arbitrary(random: &mut Random, width: u16) -> u128 {
    let wide = u128::from(random.next()) << 64 | u128::from(random.next());
    let bit = random.below(width.into());
    let value = match random.below(6) {
        0 => (random.below(9) as u128).wrapping_sub(4),
        1 => 1 << bit,
        2 => (1u128 << bit).wrapping_sub(1),
        3 => (1u128 << bit).wrapping_neg(),
        4 => wide >> (128 - width) >> bit,
        _ => wide,
    };
    value & mask(width)
}

/// A term of a width, of operations that the translation knows, and some that it knows of constants only.
fn term(graph: &mut Graph, random: &mut Random, variables: &[Term], width: u16, depth: u32) -> Term {
    if depth == 0 || random.below(8) == 0 {
        let fitting: Vec<Term> = variables.iter().copied().filter(|&variable| graph.width(variable) == width).collect();
        if fitting.is_empty() || random.below(4) == 0 {
            let value = arbitrary(random, width);
            return graph.bits(value, width);
        }
        return fitting[random.below(fitting.len())];
    }
    let other = [8, 16, 32, 64, 128][random.below(5)];
    let binary = [
        Op::Add,
        Op::Subtract,
        Op::Multiply,
        Op::DivideUnsigned,
        Op::DivideSigned,
        Op::ShiftLeft,
        Op::ShiftRight,
        Op::ShiftRightSigned,
        Op::BitAnd,
    ];
    match random.below(18) {
        n @ 0..5 => {
            let a = term(graph, random, variables, width, depth - 1);
            let b = term(graph, random, variables, width, depth - 1);
            graph.binary(binary[n as usize], a, b)
        }
        n @ 5..8 => {
            let a = term(graph, random, variables, width, depth - 1);
            let by = graph.bits(random.below(width.into()) as u128, width);
            graph.binary(binary[n as usize], a, by)
        }
        8 | 9 => {
            let a = term(graph, random, variables, width, depth - 1);
            let low = mask(random.below(width.into()) as u16);
            let bits = graph.bits(if random.below(2) == 0 { low } else { !low }, width);
            graph.binary(Op::BitAnd, a, bits)
        }
        10 => {
            // Bits apart: the lower ones of one, the upper ones of another.
            let by = random.below(width.into()) as u16;
            let (a, b) =
                (term(graph, random, variables, width, depth - 1), term(graph, random, variables, width, depth - 1));
            let (bits, by) = (graph.bits(mask(by), width), graph.bits(u128::from(by), width));
            let (low, high) = (graph.binary(Op::BitAnd, a, bits), graph.binary(Op::ShiftLeft, b, by));
            graph.binary(Op::BitOr, low, high)
        }
        11 => {
            let a = term(graph, random, variables, width, depth - 1);
            graph.unary(if random.below(2) == 0 { Op::Negate } else { Op::BitNot }, a)
        }
        12 | 13 if other < width => {
            let a = term(graph, random, variables, other, depth - 1);
            graph.extend(if random.below(2) == 0 { Op::ZeroExtend } else { Op::SignExtend }, a, width)
        }
        14 if other < width => {
            let low = term(graph, random, variables, other, depth - 1);
            let high = term(graph, random, variables, width - other, depth - 1);
            graph.concat(high, low)
        }
        15 if other > width => {
            let a = term(graph, random, variables, other, depth - 1);
            let low = random.below(usize::from(other - width) + 1) as u16;
            graph.extract(a, low + width - 1, low)
        }
        12 | 13 => {
            // The uppermost bit that may be set is changed.
            let a = term(graph, random, variables, width, depth - 1);
            let by = random.below(width.into()) as u16;
            let (bits, bit) = (graph.bits(mask(by + 1), width), graph.bits(1 << by, width));
            let low = graph.binary(Op::BitAnd, a, bits);
            graph.binary(Op::BitXor, low, bit)
        }
        16 => {
            let condition = comparison(graph, random, variables, width, depth - 1);
            let (a, b) =
                (term(graph, random, variables, width, depth - 1), term(graph, random, variables, width, depth - 1));
            graph.select(condition, a, b)
        }
        17 if [8, 16, 32, 64].contains(&width) => {
            // The upper half of a product with a reciprocal.
            let fitting = variables.iter().copied().filter(|&variable| graph.width(variable) == width);
            let fitting: Vec<Term> = fitting.collect();
            let x = fitting[random.below(fitting.len())];
            let wide = |graph: &mut Graph, random: &mut Random, term: Term| {
                graph.extend(if random.below(2) == 0 { Op::ZeroExtend } else { Op::SignExtend }, term, 2 * width)
            };
            let x = wide(graph, random, x);
            let (dividend, added, one) =
                (graph.bits(arbitrary(random, 2 * width), 2 * width), random.below(3), graph.bits(1, 2 * width));
            let divisor = graph.extend(Op::ZeroExtend, variables[0], 2 * width);
            let divisor = graph.binary(Op::Add, divisor, one);
            let quotient = graph.binary(Op::DivideUnsigned, dividend, divisor);
            let added = graph.bits(added as u128, 2 * width);
            let reciprocal = graph.binary(Op::Add, quotient, added);
            let product = graph.binary(Op::Multiply, x, reciprocal);
            graph.extract(product, 2 * width - 1, width)
        }
        _ => term(graph, random, variables, width, depth - 1),
    }
}

fn comparison(graph: &mut Graph, random: &mut Random, variables: &[Term], width: u16, depth: u32) -> Term {
    let (a, b) = (term(graph, random, variables, width, depth), term(graph, random, variables, width, depth));
    let holds = match random.below(3) {
        0 => graph.equal(a, b),
        1 => graph.compare(Op::LessUnsigned, a, b),
        _ => graph.compare(Op::LessSigned, a, b),
    };
    if random.below(2) == 0 { graph.not(holds) } else { holds }
}

/// An assumption from which bounds are taken, true of a value: a comparison of a variable, or of it and a number, with one.
fn bound(graph: &mut Graph, random: &mut Random, variable: Term, value: u128) -> Term {
    let width = graph.width(variable);
    let number = arbitrary(random, width);
    let added = graph.bits(number, width);
    let (compared, value) = match random.below(4) {
        0 => (graph.binary(Op::Add, variable, added), value.wrapping_add(number) & mask(width)),
        1 => (graph.binary(Op::Subtract, variable, added), value.wrapping_sub(number) & mask(width)),
        2 => (graph.unary(Op::Negate, variable), value.wrapping_neg() & mask(width)),
        _ => (variable, value),
    };
    let near = value.wrapping_add(random.below(5) as u128).wrapping_sub(2) & mask(width);
    let other = graph.bits(if random.below(2) == 0 { near } else { arbitrary(random, width) }, width);
    let holds = match random.below(5) {
        0 => graph.equal(compared, other),
        1 => graph.compare(Op::LessUnsigned, compared, other),
        2 => graph.compare(Op::LessUnsigned, other, compared),
        3 => graph.compare(Op::LessSigned, compared, other),
        _ => graph.compare(Op::LessSigned, other, compared),
    };
    let constant = graph.value_of(other).unwrap_or(0);
    let signed = |value| super::signed(value, width);
    let truth = match graph.node(holds).op {
        Op::Equal => value == constant,
        Op::LessUnsigned if graph.node(holds).args()[0] == compared => value < constant,
        Op::LessUnsigned => constant < value,
        _ if graph.node(holds).args()[0] == compared => signed(value) < signed(constant),
        _ => signed(constant) < signed(value),
    };
    if truth { holds } else { graph.not(holds) }
}

#[test]
fn the_same_over_integers() {
    let mut random = Random(0x1234_5678_9abc_def1);
    let (mut scripts, mut compared, mut without, mut hinted) = (0, 0, 0, 0);
    for round in 0..3000u32 {
        let mut graph = Graph::default();
        let widths = [8, 16, 32, 64, 64, 128];
        let variables: Vec<Term> = widths.iter().map(|&width| graph.variable("x", Sort::Bits(width))).collect();
        let first: Vec<u128> = widths.iter().map(|&width| arbitrary(&mut random, width)).collect();
        let mut assumed = Vec::new();
        for _ in 0..random.below(4) {
            let chosen = random.below(variables.len());
            assumed.push(bound(&mut graph, &mut random, variables[chosen], first[chosen]));
        }
        let width = widths[random.below(6)];
        let refuted = comparison(&mut graph, &mut random, &variables, width, 1 + round % 4);
        let Some(printer) = print(&graph, &assumed, refuted, true) else {
            without += 1;
            continue;
        };
        scripts += 1;
        for try_ in 0..8 {
            // Others than those that the assumptions were made for, if these satisfy them too.
            let values: Vec<u128> = match try_ {
                0 => first.clone(),
                _ => first
                    .iter()
                    .zip(widths)
                    .map(|(&own, width)| match random.below(3) {
                        0 => own,
                        1 => own.wrapping_add(random.below(3) as u128).wrapping_sub(1) & mask(width),
                        _ => arbitrary(&mut random, width),
                    })
                    .collect(),
            };
            let known = graph.evaluate(&values);
            if assumed.iter().any(|term| known[term.0 as usize] == 0) {
                assert!(try_ > 0, "the assumptions are true of the values that they are made for");
                continue;
            }
            compared += 1;
            hinted += usize::from(printer.out.contains("(or "));
            let mut names: HashMap<String, Big> =
                values.iter().enumerate().map(|(number, &value)| (format!("v{number}"), Big::from(value))).collect();
            let meanings: HashMap<&str, &str> =
                printer.declared.iter().map(|(name, meaning)| (name.as_str(), meaning.as_str())).collect();
            let lines: Vec<&str> = printer.out.lines().collect();
            for (number, line) in lines.iter().enumerate() {
                let parts: Vec<&str> = line.splitn(3, ' ').collect();
                let told = || format!("{values:x?}\n{line}\nof\n{}", printer.out);
                match parts[0] {
                    "(declare-const" => {
                        let value = computed(&mut words(meanings[parts[1]]), &names);
                        names.insert(parts[1].to_string(), value);
                    }
                    "(define-fun" => {
                        let body = line.split_once(" Int ").expect("a definition").1;
                        let value = computed(&mut words(body), &names);
                        names.insert(parts[1].to_string(), value);
                    }
                    _ => {
                        let holds = computed(&mut words(&line["(assert ".len()..]), &names) != Big::from(0);
                        let wanted = number + 1 < lines.len() || known[refuted.0 as usize] != 0;
                        assert_eq!(holds, wanted, "{}", told());
                    }
                }
            }
        }
    }
    println!(
        "{scripts} terms over integers, {compared} times compared, {hinted} of them with hints; {without} have no such meaning"
    );
    assert!(scripts > 2000 && compared > 10_000 && hinted > 200, "{scripts} {compared} {hinted}");
}
