//! Terms as SMT-LIB 2 text over integers, for what solvers cannot see in bits: products and quotients of unknowns.
//!
//! A bit-vector of n bits becomes an integer that equals it modulo 2^n; it is brought into the range of n bits, unsigned or
//! signed, only where something depends on it and its bounds do not say that it is there. Quotients are new constants with the
//! equation and the bounds that define them. A variable that is only ever cut at one place is two, its upper and its lower part.
//! Operations on single bits have no place here: a graph that needs them has no such text. Assumptions that have none are left
//! out: what is proved without them is proved. Where assumptions compare a variable with a number, its bounds are known, and so
//! are those of what is made of it: tests that these decide are not written, nor are reductions that change nothing.
//! Division by a reciprocal is helped along (`hints`).
//!
//! What makes this sound: whatever the bit-vectors are, there are integers for the new constants that satisfy all that is
//! written besides the assumptions. [`Printer::declared`] names them, so that a test can compute through what is written.

use super::smt::Script;
use super::term::{Graph, Op, Sort, Term, signed};
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;

mod hints;

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

impl Integer {
    fn within(&self, least: i128, most: i128) -> bool {
        self.bounds.is_some_and(|(low, high)| least <= low && high <= most)
    }

    /// Whether its bounds say that it is not zero.
    fn nonzero(&self) -> bool {
        self.bounds.is_some_and(|(low, high)| low > 0 || high < 0)
    }

    /// Whether it is negative, if its bounds say so.
    fn negative(&self) -> Option<bool> {
        match self.bounds? {
            (0.., _) => Some(false),
            (_, ..=-1) => Some(true),
            _ => None,
        }
    }
}

struct Printer<'a> {
    graph: &'a Graph,
    out: String,
    next: u32,
    /// What assumptions say of variables, as unsigned numbers: the least and the greatest.
    told: HashMap<Term, (u128, u128)>,
    /// Constants and what each stands for: a text of `div`, `mod` and the variables `v0`, `v1` ….
    declared: Vec<(String, String)>,
    known: HashMap<(Term, View), Integer>,
    /// Integers cut at a power of two: upper and lower part.
    cut: HashMap<(String, u16), (Integer, Integer)>,
    /// What is greater than an integer, or equal: another one, or the difference of two.
    over: HashMap<String, (Integer, Option<String>)>,
    /// Products, differences and numbers with their sign changed, by their names.
    products: BTreeMap<String, (Integer, Integer)>,
    negatives: HashMap<String, Integer>,
    differences: HashMap<String, (Integer, String)>,
    /// What hints are made of.
    noted: hints::Noted,
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

/// The bounds of an integer with the other sign.
fn opposite(a: &Integer) -> Option<(i128, i128)> {
    let (low, high) = a.bounds?;
    Some((high.checked_neg()?, low.checked_neg()?))
}

impl Printer<'_> {
    fn assert(&mut self, text: &str) {
        let _ = writeln!(self.out, "(assert {text})");
    }

    /// A new constant that stands for `meaning`, which is between bounds if there are any. What defines it is for the caller
    /// to assert.
    fn fresh(&mut self, meaning: String, bounds: Option<(i128, i128)>) -> Integer {
        let text = format!("t{}", self.next);
        self.next += 1;
        let _ = writeln!(self.out, "(declare-const {text} Int)");
        self.declared.push((text.clone(), meaning));
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
        let modulus = power(at);
        if let (Some((times, most)), Some((low, high))) = (bounds, value.bounds)
            && times == most
        {
            let quotient = Integer { text: number(times), bounds };
            if times == 0 {
                return (quotient, value.clone());
            }
            let rest = self.named(
                format!("(- {} {})", value.text, number(times << at)),
                Some((low - (times << at), high - (times << at))),
            );
            return (quotient, rest);
        }
        if let Some((factor, whole)) = self.less_once(value, &modulus) {
            // a * (b - m) / m is a * b / m - a.
            let product = self.computed(Op::Multiply, &factor, &whole);
            let (quotient, rest) = self.cut(&product, at);
            let parts = (self.computed(Op::Subtract, &quotient, &factor), rest);
            self.cut.insert((value.text.clone(), at), parts.clone());
            return parts;
        }
        let over = self.over_quotient(value, at);
        let bounds = match (&over, bounds) {
            (Some((Integer { bounds: Some((_, most)), .. }, None)), _) => Some((0, *most)),
            _ => bounds,
        };
        let quotient = self.fresh(format!("(div {} {modulus})", value.text), bounds);
        self.over.extend(over.map(|over| (quotient.text.clone(), over)));
        let rest = self.fresh(format!("(mod {} {modulus})", value.text), range(at, false));
        let rest_text = rest.text.clone();
        self.assert(&format!("(= {} (+ (* {modulus} {}) {rest_text}))", value.text, quotient.text));
        self.bound(&rest_text, "0", &modulus);
        self.noted.cuts.push(hints::Cut { whole: value.text.clone(), at, upper: quotient.text.clone(), lower: rest_text });
        self.cut.insert((value.text.clone(), at), (quotient.clone(), rest.clone()));
        (quotient, rest)
    }

    /// The factors of a product `a * (b - m)`.
    fn less_once(&self, value: &Integer, modulus: &str) -> Option<(Integer, Integer)> {
        let (a, b) = self.products.get(&value.text)?;
        [(a, b), (b, a)].into_iter().find_map(|(factor, other)| {
            let (whole, less) = self.differences.get(&other.text)?;
            (less == modulus).then(|| (factor.clone(), whole.clone()))
        })
    }

    /// What is known to be no less than a quotient: of a product one factor, if the other is at most the divisor; of a
    /// difference that is not negative the difference itself.
    fn over_quotient(&self, value: &Integer, at: u16) -> Option<(Integer, Option<String>)> {
        if let Some((a, b)) = self.products.get(&value.text).filter(|_| at < 127) {
            let pairs = [(a, b), (b, a)];
            let factor = pairs.into_iter().find(|(a, b)| a.within(0, i128::MAX) && b.within(0, 1 << at));
            return factor.map(|(a, _)| (a.clone(), None));
        }
        let (whole, less) = self.differences.get(&value.text).filter(|_| value.within(0, i128::MAX))?;
        Some((whole.clone(), Some(less.clone())))
    }

    /// A sum, difference or product; what is known of its parts may say more than their bounds.
    fn computed(&mut self, op: Op, a: &Integer, b: &Integer) -> Integer {
        let (sign, mut bounds) = match op {
            Op::Add => ("+", sum(a, b)),
            Op::Subtract => ("-", difference(a, b)),
            _ => ("*", product(a, b)),
        };
        let below = |low: &Integer, high: &Integer, less: Option<&str>| {
            self.over.get(&low.text).is_some_and(|(over, other)| over.text == high.text && other.as_deref() == less)
        };
        if op == Op::Add {
            for (a, b) in [(a, b), (b, a)] {
                if let Some((whole, less)) = self.differences.get(&a.text)
                    && *less == b.text
                {
                    return whole.clone();
                }
            }
        }
        match (op, bounds) {
            (Op::Subtract, Some((_, high))) if below(b, a, None) => bounds = Some((0, high)),
            // a ≤ w - b
            (Op::Add, Some((low, high))) => {
                for (a, b) in [(a, b), (b, a)] {
                    if let Some((Integer { bounds: Some((_, most)), .. }, Some(less))) = self.over.get(&a.text)
                        && *less == b.text
                    {
                        bounds = Some((low, high.min(*most)));
                    }
                }
            }
            _ => {}
        }
        let result = self.named(format!("({sign} {} {})", a.text, b.text), bounds);
        match op {
            Op::Add => self.noted.sum(&result.text, a, b),
            Op::Subtract => drop(self.differences.insert(result.text.clone(), (a.clone(), b.text.clone()))),
            Op::Multiply => drop(self.products.insert(result.text.clone(), (a.clone(), b.clone()))),
            _ => {}
        }
        result
    }

    /// Whether an integer is in the range of a width, as far as its bounds say.
    fn inside(value: &Integer, width: u16, signed: bool) -> bool {
        match (value.bounds, range(width, signed)) {
            (Some(_), Some((least, most))) => value.within(least, most),
            // All i128 that are not negative are inside 128 bits.
            (Some((low, _)), None) => width == 128 && !signed && low >= 0,
            _ => false,
        }
    }

    /// Brings an integer into the range of a width.
    fn reduced(&mut self, value: &Integer, width: u16, signed: bool) -> Integer {
        if Printer::inside(value, width, signed) {
            return value.clone();
        }
        if !signed {
            return self.cut(value, width).1;
        }
        let (half, modulus) = (power(width - 1), power(width));
        let text = &value.text;
        if Printer::inside(value, width, false)
            && let (Some((low, _)), Some((least, most))) = (value.bounds, range(width, true))
        {
            // The upper half of the unsigned numbers is the negative ones.
            let over = 1i128 << width;
            if low > most {
                let over = Integer { text: modulus, bounds: Some((over, over)) };
                return self.computed(Op::Subtract, value, &over);
            }
            return self.named(format!("(ite (< {text} {half}) {text} (- {text} {modulus}))"), Some((least, most)));
        }
        let times = self.fresh(format!("(div (+ {text} {half}) {modulus})"), None);
        let rest = self.fresh(format!("(- (mod (+ {text} {half}) {modulus}) {half})"), range(width, true));
        self.assert(&format!("(= {text} (+ (* {modulus} {}) {}))", times.text, rest.text));
        self.bound(&rest.text, &format!("(- {half})"), &half);
        rest
    }

    fn variable(&mut self, term: Term, variable: u32, width: u16) -> Integer {
        let told = self.told.get(&term).and_then(|&(low, high)| Some((low.try_into().ok()?, high.try_into().ok()?)));
        if let (Some((low, high)), Some((_, most))) = (told, range(width, true))
            && low > most
        {
            // A negative number, by its absolute value: solvers know products of positive numbers best.
            let over = 1i128 << width;
            let size = self.fresh(format!("(- {} v{variable})", power(width)), Some((over - high, over - low)));
            self.bound(&size.text, &number(over - high), &number(over - low + 1));
            return self.negative(&size);
        }
        let bounds = told.or(range(width, false));
        let whole = match self.places.get(&term).map(Vec::as_slice) {
            Some(&[at]) if at > 0 && at < width => {
                let modulus = power(at);
                let high = self.fresh(format!("(div v{variable} {modulus})"), range(width - at, false));
                let low = self.fresh(format!("(mod v{variable} {modulus})"), range(at, false));
                self.bound(&high.text, "0", &power(width - at));
                self.bound(&low.text, "0", &modulus);
                let whole = self.named(format!("(+ (* {modulus} {}) {})", high.text, low.text), bounds);
                self.cut.insert((whole.text.clone(), at), (high, low));
                whole
            }
            _ => {
                let number = self.next;
                let whole = self.fresh(format!("v{variable}"), bounds);
                self.variables.push((variable, number));
                self.bound(&whole.text, "0", &power(width));
                whole
            }
        };
        // What is told may be decided by these very bounds where the assumption is written.
        if let Some((low, high)) = told {
            self.assert(&format!("(and (<= {low} {0}) (<= {0} {high}))", whole.text));
        }
        whole
    }

    /// The same number with the other sign.
    fn negative(&mut self, value: &Integer) -> Integer {
        if let Some(positive) = self.negatives.get(&value.text) {
            return positive.clone();
        }
        let negative = self.named(format!("(- {})", value.text), opposite(value));
        self.negatives.insert(negative.text.clone(), value.clone());
        negative
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
        match condition {
            "true" => return yes.clone(),
            "false" => return no.clone(),
            _ => {}
        }
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
                return Some(self.computed(node.op, &a, &b));
            }
            Op::Negate => {
                let a = self.term(args[0], View::Modular)?;
                return Some(self.negative(&a));
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
                let by = self.graph.width(args[1]);
                let factor = Integer { text: power(by), bounds: (by < 127).then(|| (1 << by, 1 << by)) };
                let upper = Integer { text: format!("(* {} {})", factor.text, high.text), bounds: product(&factor, &high) };
                if low.text == "0" {
                    return Some(self.named(upper.text, upper.bounds));
                }
                (format!("(+ {} {})", upper.text, low.text), sum(&upper, &low))
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
            // A test of a register against itself.
            Op::BitAnd if args[0] == args[1] => return self.term(args[0], View::Modular),
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
            Op::BitXor => {
                // The uppermost bit of numbers that have no more is set or cleared.
                let (bit, other) = if let Some(bit) = constant(0) { (bit, args[1]) } else { (constant(1)?, args[0]) };
                let bit = i128::try_from(bit).ok().filter(|bit| bit.count_ones() == 1 && *bit < 1 << 126)?;
                let value = self.term(other, View::Unsigned).filter(|value| value.within(0, 2 * bit - 1))?;
                let text = &value.text;
                let changed = if value.within(0, bit - 1) {
                    format!("(+ {text} {bit})")
                } else if value.within(bit, 2 * bit - 1) {
                    format!("(- {text} {bit})")
                } else {
                    format!("(ite (< {text} {bit}) (+ {text} {bit}) (- {text} {bit}))")
                };
                (changed, Some((0, 2 * bit - 1)))
            }
            Op::If => {
                let condition = self.truth(args[0])?;
                let (yes, no) = (self.term(args[1], View::Modular)?, self.term(args[2], View::Modular)?);
                return Some(self.chosen(&condition, &yes, &no));
            }
            Op::DivideUnsigned => {
                let (a, b) = (self.term(args[0], View::Unsigned)?, self.term(args[1], View::Unsigned)?);
                return Some(self.quotient(&a, &b, range(width, false), &format!("(- {} 1)", power(width))));
            }
            Op::DivideSigned => {
                let (a, b) = (self.term(args[0], View::Signed)?, self.term(args[1], View::Signed)?);
                // Of the absolute values, then the sign.
                let (large, small) = (self.size(&a), self.size(&b));
                let plain = self.quotient(&large, &small, range(width + 1, false), "1");
                let below = |of: &Integer| match of.negative() {
                    Some(known) => known.to_string(),
                    None => format!("(< {} 0)", of.text),
                };
                let (a_below, b_below) = (below(&a), below(&b));
                let same = match (a_below.as_str(), b_below.as_str()) {
                    (_, "false") => negated(&a_below),
                    (_, "true") => a_below.clone(),
                    _ => format!("(= {a_below} {b_below})"),
                };
                let negative = self.negative(&plain);
                let quotient = self.chosen(&same, &plain, &negative);
                if b.nonzero() {
                    return Some(quotient);
                }
                let whole = format!("(ite (= {} 0) (ite {a_below} 1 (- 1)) {})", b.text, quotient.text);
                return Some(self.named(whole, range(width + 1, true)));
            }
            _ => return None,
        };
        Some(self.named(text, bounds))
    }

    /// The quotient of two numbers that are not negative, rounded down, and `by_zero` for a zero divisor.
    fn quotient(&mut self, a: &Integer, b: &Integer, most: Option<(i128, i128)>, by_zero: &str) -> Integer {
        let nonzero = b.nonzero();
        let bounds = match (a.bounds, b.bounds) {
            (Some((al, ah)), Some((bl, bh))) if nonzero && al >= 0 && bl > 0 => Some((al / bh, ah / bl)),
            _ => most,
        };
        let (dividend, divisor) = (a, b);
        let (a, b) = (&a.text, &b.text);
        let either = |yes: &str, no: String| if nonzero { no } else { format!("(ite (= {b} 0) {yes} {no})") };
        let quotient = self.fresh(either(by_zero, format!("(div {a} {b})")), bounds);
        let rest = self.fresh(either("0", format!("(mod {a} {b})")), None);
        let (q, r) = (&quotient.text, &rest.text);
        let divides = format!("(and (<= 0 {q}) (= {a} (+ (* {q} {b}) {r})) (<= 0 {r}) (< {r} {b}))");
        if nonzero {
            self.assert(&divides);
            self.noted.quotients.push(hints::Quotient {
                dividend: dividend.clone(),
                divisor: divisor.clone(),
                quotient: quotient.text.clone(),
                rest: rest.text.clone(),
            });
        } else {
            self.assert(&format!("(=> (= {b} 0) (= {q} {by_zero}))"));
            self.assert(&format!("(=> (not (= {b} 0)) {divides})"));
        }
        quotient
    }

    /// The absolute value.
    fn size(&mut self, of: &Integer) -> Integer {
        let most = of.bounds.and_then(|(low, high)| Some((0, low.checked_neg()?.max(high))));
        match of.negative() {
            Some(false) => of.clone(),
            Some(true) => self.negative(of),
            None => self.named(format!("(ite (< {0} 0) (- {0}) {0})", of.text), most),
        }
    }

    /// Whether two bit-vectors are equal.
    fn equal(&mut self, a: Term, b: Term) -> Option<String> {
        let width = self.graph.width(a);
        let (left, right) = (self.term(a, View::Modular)?, self.term(b, View::Modular)?);
        let settled = |printer: &Printer, term: Term, value: &Integer| {
            Printer::inside(value, width, false) || printer.known.contains_key(&(term, View::Unsigned))
        };
        if !settled(self, a, &left) || !settled(self, b, &right) {
            // Equal modulo 2^n: what is the same on both sides goes away, and with it the need to reduce it.
            let apart = self.named(format!("(- {} {})", left.text, right.text), difference(&left, &right));
            self.noted.compared.push(apart.text.clone());
            let apart = self.reduced(&apart, width, false);
            return Some(if apart.nonzero() { "false".into() } else { format!("(= {} 0)", apart.text) });
        }
        let (left, right) = (self.term(a, View::Unsigned)?, self.term(b, View::Unsigned)?);
        Some(match (left.bounds, right.bounds) {
            (Some((_, high)), Some((low, _))) if high < low => "false".into(),
            (Some((low, _)), Some((_, high))) if high < low => "false".into(),
            _ => {
                self.noted.compared.push(format!("(- {} {})", left.text, right.text));
                format!("(= {} {})", left.text, right.text)
            }
        })
    }

    fn truth(&mut self, term: Term) -> Option<String> {
        let node = *self.graph.node(term);
        let args = node.args();
        Some(match node.op {
            Op::Constant(value) => if value == 0 { "false" } else { "true" }.into(),
            Op::Not => negated(&self.truth(args[0])?),
            Op::And => {
                let (a, b) = (self.truth(args[0])?, self.truth(args[1])?);
                match (a.as_str(), b.as_str()) {
                    ("false", _) | (_, "true") => a,
                    (_, "false") | ("true", _) => b,
                    _ => format!("(and {a} {b})"),
                }
            }
            Op::If => format!("(ite {} {} {})", self.truth(args[0])?, self.truth(args[1])?, self.truth(args[2])?),
            Op::Equal if self.graph.sort(args[0]) == Sort::Bool => {
                format!("(= {} {})", self.truth(args[0])?, self.truth(args[1])?)
            }
            Op::Equal => self.equal(args[0], args[1])?,
            Op::LessUnsigned | Op::LessSigned => {
                let view = if node.op == Op::LessUnsigned { View::Unsigned } else { View::Signed };
                let (a, b) = (self.term(args[0], view)?, self.term(args[1], view)?);
                format!("(< {} {})", a.text, b.text)
            }
            _ => return None,
        })
    }
}

fn negated(truth: &str) -> String {
    match truth {
        "true" => "false".into(),
        "false" => "true".into(),
        _ => format!("(not {truth})"),
    }
}

/// What an assumption that a term is not the least of its numbers, or the greatest, says besides their bounds.
fn trimmed(graph: &Graph, term: Term, bounds: &mut BTreeMap<Term, (u128, u128)>) {
    let (Op::Not, &[same]) = (graph.node(term).op, graph.node(term).args()) else { return };
    let (Op::Equal, &[a, b]) = (graph.node(same).op, graph.node(same).args()) else { return };
    let (term, excluded) = match (graph.value_of(a), graph.value_of(b)) {
        (Some(value), None) => (b, value),
        (None, Some(value)) => (a, value),
        _ => return,
    };
    let (low, high) = bounds.entry(term).or_insert((0, super::term::mask(graph.width(term))));
    if low < high {
        *low += u128::from(*low == excluded);
        *high -= u128::from(*high == excluded);
    }
}

/// What a comparison of a term with a number, or its contrary, says of it as an unsigned number.
fn told(graph: &Graph, term: Term) -> Option<(Term, u128, u128)> {
    let (holds, term) = match (graph.node(term).op, graph.node(term).args()) {
        (Op::Not, &[inner]) => (false, inner),
        _ => (true, term),
    };
    let node = graph.node(term);
    let (Op::LessUnsigned | Op::LessSigned, &[a, b]) = (node.op, node.args()) else { return None };
    let (compared, constant, above) = match (graph.value_of(a), graph.value_of(b)) {
        (Some(value), None) => (b, value, holds),
        (None, Some(value)) => (a, value, !holds),
        _ => return None,
    };
    let width = graph.width(compared);
    let most = super::term::mask(width);
    // Above the constant or at it, below it or at it.
    let strictly = u128::from(holds);
    let (low, high) = match (node.op, above) {
        (Op::LessUnsigned, true) => (constant.checked_add(strictly)?, most),
        (Op::LessUnsigned, false) => (0, constant.checked_sub(strictly)?),
        // Of signed numbers those of one sign are an interval.
        (_, true) => {
            let least = signed(constant, width).checked_add(strictly as i128)?;
            (u128::try_from(least).ok()?, most >> 1)
        }
        (_, false) => {
            let greatest = signed(constant, width).checked_sub(strictly as i128)?;
            if greatest >= 0 {
                return None;
            }
            ((most >> 1) + 1, greatest as u128 & most)
        }
    };
    (low <= high && high <= most).then_some((compared, low, high))
}

/// What the bounds of a variable, or of its sum with a number, say of the variable.
fn of_variable(graph: &Graph, term: Term, low: u128, high: u128) -> Option<(Term, u128, u128)> {
    let (width, args) = (graph.width(term), graph.node(term).args());
    let number = |n: usize| args.get(n).and_then(|&arg| graph.value_of(arg));
    let (variable, added) = match (graph.node(term).op, number(0), number(1)) {
        (Op::Add, Some(added), _) => (args[1], added),
        (Op::Add, _, Some(added)) => (args[0], added),
        (Op::Subtract, _, Some(taken)) => (args[0], taken.wrapping_neg()),
        _ => (term, 0),
    };
    if let (Op::Negate, &[variable]) = (graph.node(term).op, args) {
        let back = |end: u128| end.wrapping_neg() & super::term::mask(width);
        let whole = matches!(graph.node(variable).op, Op::Var(_)) && width <= 126 && low > 0;
        return whole.then(|| (variable, back(high), back(low)));
    }
    // Taking the number away again must not tear the interval.
    let back = |end: u128| end.wrapping_sub(added) & super::term::mask(width);
    let whole = matches!(graph.node(variable).op, Op::Var(_)) && width <= 126 && back(low) <= back(high);
    whole.then(|| (variable, back(low), back(high)))
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

/// The parts of conjunctions.
fn parts(graph: &Graph, assumed: &[Term]) -> Vec<Term> {
    let mut pending: Vec<Term> = assumed.iter().rev().copied().collect();
    let mut parts = Vec::new();
    while let Some(term) = pending.pop() {
        let node = graph.node(term);
        if node.op == Op::And { pending.extend(node.args()) } else { parts.push(term) }
    }
    parts
}

/// The bounds of each term together. Where they leave nothing the assumptions contradict each other, and say so themselves.
fn together(bounds: impl Iterator<Item = (Term, u128, u128)>) -> BTreeMap<Term, (u128, u128)> {
    let mut all: BTreeMap<Term, (u128, u128)> = BTreeMap::new();
    for (term, low, high) in bounds {
        let known = all.entry(term).or_insert((low, high));
        *known = (known.0.max(low), known.1.min(high));
    }
    all.retain(|_, (low, high)| low <= high);
    all
}

/// Prints assumptions, those that have a meaning over integers, and what is to be refuted, if that has one.
fn print<'a>(graph: &'a Graph, assumed: &[Term], refuted: Term, hinted: bool) -> Option<Printer<'a>> {
    let all: Vec<Term> = assumed.iter().copied().chain([refuted]).collect();
    // Each part of a conjunction for itself, so that one without meaning leaves the others.
    let assumed = parts(graph, assumed);
    let mut compared = together(assumed.iter().filter_map(|&term| told(graph, term)));
    assumed.iter().for_each(|&term| trimmed(graph, term, &mut compared));
    let variables = together(compared.into_iter().filter_map(|(term, (low, high))| of_variable(graph, term, low, high)));
    let mut printer = Printer {
        graph,
        out: String::new(),
        next: 0,
        told: variables.into_iter().collect(),
        declared: Vec::new(),
        known: HashMap::new(),
        cut: HashMap::new(),
        over: HashMap::new(),
        products: BTreeMap::new(),
        noted: hints::Noted::default(),
        negatives: HashMap::new(),
        differences: HashMap::new(),
        places: places(graph, &all),
        variables: Vec::new(),
    };
    for term in assumed {
        if let Some(truth) = printer.truth(term) {
            printer.assert(&truth);
        }
    }
    let truth = printer.truth(refuted)?;
    if hinted {
        printer.hints();
    }
    printer.assert(&truth);
    Some(printer)
}

/// The script that asks whether an assumption can hold together with all others; none if it has no meaning over integers.
/// Others that have none are left out. With hints (`hints`) if so wished.
pub fn script(graph: &Graph, assumed: &[Term], refuted: Term, hinted: bool) -> Option<Script> {
    let printer = print(graph, assumed, refuted, hinted)?;
    let text = format!("(set-logic QF_NIA)\n{}", printer.out);
    Some(Script { text, variables: printer.variables, floats: false })
}

#[cfg(test)]
mod tests;
