//! What solvers should see of a product with a reciprocal.
//!
//! With `a = q * b + r`, `0 <= r < b` and a product `p = x * (q + k)`, dividing by a reciprocal is right because
//! `b * p = x * (a - r + k * b)`: multiplied by `b`, all that is said of `p` and of what it is cut into is linear in a few
//! products. Solvers that do not think of multiplying by `b` search without end; those that are told need linear arithmetic
//! only. All that is written here follows from what is written already.

use super::{Integer, Printer, number, power};
use std::collections::HashMap;

/// `dividend = quotient * divisor + rest` for a divisor that is not zero.
#[derive(Clone)]
pub struct Quotient {
    pub dividend: Integer,
    pub divisor: Integer,
    pub quotient: String,
    pub rest: String,
}

/// `whole = upper * 2^at + lower`
#[derive(Clone)]
pub struct Cut {
    pub whole: String,
    pub at: u16,
    pub upper: String,
    pub lower: String,
}

#[derive(Default)]
pub struct Noted {
    pub quotients: Vec<Quotient>,
    pub cuts: Vec<Cut>,
    /// Differences that are asked whether they are zero.
    pub compared: Vec<String>,
    /// Sums of an integer and a number, by their names.
    sums: HashMap<String, (String, String)>,
}

impl Integer {
    fn is_number(&self) -> bool {
        self.bounds.is_some_and(|(low, high)| low == high)
    }
}

impl Noted {
    pub fn sum(&mut self, name: &str, a: &Integer, b: &Integer) {
        match (a.is_number(), b.is_number()) {
            (true, false) => drop(self.sums.insert(name.to_string(), (b.text.clone(), a.text.clone()))),
            (false, true) => drop(self.sums.insert(name.to_string(), (a.text.clone(), b.text.clone()))),
            _ => {}
        }
    }

    /// The number that is added to a quotient.
    fn added(&self, factor: &Integer, quotient: &str) -> Option<String> {
        if factor.text == quotient {
            return Some("0".into());
        }
        let (part, number) = self.sums.get(&factor.text)?;
        (part == quotient).then(|| number.clone())
    }
}

impl Printer<'_> {
    pub fn hints(&mut self) {
        for division in self.noted.quotients.clone() {
            // Of numbers that have bounds, so that nothing here becomes arbitrarily large.
            if division.divisor.is_number() || !division.divisor.within(1, i128::MAX) || division.dividend.bounds.is_none() {
                continue;
            }
            let factors = |(product, (a, b)): (&String, &(Integer, Integer))| {
                [(a, b), (b, a)].into_iter().find_map(|(x, factor)| {
                    let added = self.noted.added(factor, &division.quotient)?;
                    x.bounds.is_some().then(|| (product.clone(), x.clone(), added))
                })
            };
            let products: Vec<(String, Integer, String)> = self.products.iter().filter_map(factors).collect();
            if !products.is_empty() {
                self.multiplied(&division, &products);
            }
        }
    }

    /// What follows by multiplying with a divisor.
    fn multiplied(&mut self, division: &Quotient, products: &[(String, Integer, String)]) {
        let Quotient { dividend: Integer { text: a, .. }, divisor: Integer { text: b, .. }, rest, .. } = division;
        for (product, Integer { text: x, bounds }, added) in products {
            self.assert(&format!("(= (* {b} {product}) (* {x} (+ (- {a} {rest}) (* {added} {b}))))"));
            let Some((low, high)) = *bounds else { continue };
            self.assert(&format!(
                "(and (<= (* {} {b}) (* {x} {b})) (<= (* {x} {b}) (* {} {b})))",
                number(low),
                number(high)
            ));
            // x * (b - 1) is the most that x * rest can be, or the least.
            if low >= 0 {
                self.assert(&format!("(and (<= 0 (* {x} {rest})) (<= (+ (* {x} {rest}) {x}) (* {x} {b})))"));
            } else if high <= 0 {
                self.assert(&format!("(and (<= (* {x} {rest}) 0) (<= (* {x} {b}) (+ (* {x} {rest}) {x})))"));
            }
        }
        for Cut { whole, at, upper, lower } in self.noted.cuts.clone() {
            let modulus = power(at);
            self.assert(&format!("(= (* {b} {whole}) (+ (* {modulus} (* {b} {upper})) (* {b} {lower})))"));
            self.assert(&format!("(and (<= 0 (* {b} {lower})) (<= (+ (* {b} {lower}) {b}) (* {modulus} {b})))"));
        }
        for difference in self.noted.compared.clone() {
            let above = format!("(and (<= 1 {difference}) (<= {b} (* {b} {difference})))");
            let below = format!("(and (<= {difference} (- 1)) (<= (* {b} {difference}) (- {b})))");
            self.assert(&format!("(or (= {difference} 0) {above} {below})"));
        }
    }
}
