//! What the checker knows and how it judges: facts, states, regions, tables.

use super::{P, Read, Reader, Rule, next, only, parts};
use crate::ast::*;
use crate::diagnostic::Diagnostic;

impl Reader {
    pub fn fact(&self, pair: P) -> Read<Fact> {
        let span = self.span(&pair);
        let mut inner = parts(pair);
        let name = self.name(&next(&mut inner, span)?);
        let (mut params, mut most, mut words, mut means) = (Vec::new(), None, String::new(), None);
        for part in inner {
            match part.as_rule() {
                Rule::params => params = self.params(part)?,
                Rule::at_most => most = Some(self.expr(only(self, part)?)?),
                Rule::string => words = only(self, part)?.as_str().to_string(),
                _ => means = Some(self.expr(part)?),
            }
        }
        let means = means.ok_or_else(|| Diagnostic::new(span, "a fact without a meaning"))?;
        Ok(Fact { name, params, most, words, means, span })
    }

    pub fn state(&self, pair: P) -> Read<State> {
        let span = self.span(&pair);
        let known = pair.as_rule() == Rule::known_item;
        let mut inner = parts(pair);
        let name = self.name(&next(&mut inner, span)?);
        let params = self.params(next(&mut inner, span)?)?;
        let result = self.arrow(next(&mut inner, span)?)?;
        let with = inner.next().map(|promise| self.expr(only(self, promise)?)).transpose()?;
        Ok(State { name, params, result, known, with, span })
    }

    pub fn extent(&self, pair: P) -> Read<Extent> {
        let span = self.span(&pair);
        let mut inner = parts(pair);
        let name = self.name(&next(&mut inner, span)?);
        let (mut params, mut exprs, mut writable, mut when, mut holds) = (Vec::new(), Vec::new(), false, None, None);
        for part in inner {
            match part.as_rule() {
                Rule::params => params = self.params(part)?,
                Rule::access => writable = part.as_str() == "writable",
                Rule::condition_when => when = Some(self.expr(only(self, part)?)?),
                Rule::holds => holds = Some(self.name(&only(self, part)?)),
                _ => exprs.push(self.expr(part)?),
            }
        }
        let mut exprs = exprs.into_iter();
        match (exprs.next(), exprs.next()) {
            (Some(start), Some(size)) => Ok(Extent { name, params, start, size, writable, when, holds, span }),
            _ => Err(Diagnostic::new(span, "a region without a size")),
        }
    }

    pub fn judgement(&self, pair: P) -> Read<Judgement> {
        let span = self.span(&pair);
        let mut inner = parts(pair);
        let kind = next(&mut inner, span)?.as_str().to_string();
        let name = self.name(&next(&mut inner, span)?);
        let values = parts(next(&mut inner, span)?).map(|value| self.name(&value)).collect();
        let (mut numbers, mut commutative, mut subject, mut rows) = (Vec::new(), false, Vec::new(), Vec::new());
        for part in inner {
            match part.as_rule() {
                Rule::params => numbers = self.params(part)?,
                Rule::exchange => commutative = true,
                Rule::subject => subject = parts(part).map(|expr| self.expr(expr)).collect::<Read<_>>()?,
                _ => rows.push(self.row_of(part)?),
            }
        }
        let mut subject = subject.into_iter();
        let judged = match (kind.as_str(), subject.next(), subject.next()) {
            ("derive", Some(value), None) => Judged::Derive(value),
            ("refine", Some(condition), None) => Judged::Refine(condition),
            ("imply", None, None) => Judged::Imply,
            ("join", None, None) => Judged::Join,
            ("access", Some(address), Some(width)) => Judged::Access(address, width),
            _ => {
                return Err(Diagnostic::new(span, format!("this is no way to begin a table of kind `{kind}`")).help(
                    "`derive f(a) = e`, `refine f(a) given e`, `imply f(a, b)`, `join f(a, b)`, `access f(a) at address, width`",
                ));
            }
        };
        Ok(Judgement { name, judged, values, numbers, commutative, rows, span })
    }

    fn row_of(&self, pair: P) -> Read<Row> {
        let span = self.span(&pair);
        let (mut patterns, mut conditions, mut preferences, mut result) = (Vec::new(), Vec::new(), Vec::new(), None);
        for part in parts(pair) {
            match part.as_rule() {
                Rule::fact_patterns => patterns = parts(part).map(|one| self.fact_pattern(one)).collect::<Read<_>>()?,
                Rule::condition => conditions = conjuncts(self.expr(only(self, part)?)?),
                Rule::preference => preferences = conjuncts(self.expr(only(self, part)?)?),
                _ => {
                    let mut inner = parts(part);
                    let name = self.name(&next(&mut inner, span)?);
                    result = Some((name, inner.map(|arg| self.expr(arg)).collect::<Read<Vec<_>>>()?));
                }
            }
        }
        Ok(Row { patterns, conditions, preferences, result, span })
    }

    fn fact_pattern(&self, pair: P) -> Read<FactPattern> {
        let span = self.span(&pair);
        let (mut names, mut args) = (Vec::new(), Vec::new());
        for part in parts(pair) {
            let span = self.span(&part);
            match part.as_rule() {
                Rule::any => return Ok(FactPattern::Any(span)),
                Rule::ident => names.push(self.name(&part)),
                _ => {
                    let part = only(self, part)?;
                    args.push(match part.as_rule() {
                        Rule::any => FactArg::Any(span),
                        Rule::integer => FactArg::Literal(self.integer(&part)?, span),
                        Rule::same_pat => FactArg::Same(self.name(&only(self, part)?)),
                        _ => FactArg::Var(self.name(&part)),
                    });
                }
            }
        }
        let name = names.pop().ok_or_else(|| Diagnostic::new(span, "a pattern without a fact"))?;
        let alias = names.pop();
        if name.text != "bounded" {
            return match alias {
                None => Ok(FactPattern::Fact { name, args, span }),
                Some(alias) => Err(Diagnostic::new(alias.span, "only `bounded` patterns have a name")),
            };
        }
        match (args.len(), args.pop()) {
            (1, Some(FactArg::Var(bound))) => Ok(FactPattern::Bounded { alias, bound }),
            _ => Err(Diagnostic::new(span, "`bounded` gives a bound a name: `bounded(x)`")),
        }
    }
}

/// The parts of a conjunction: premises of their own.
fn conjuncts(expr: Expr) -> Vec<Expr> {
    match expr.kind {
        ExprKind::Binary(BinaryOp::And, a, b) => {
            let mut all = conjuncts(*a);
            all.extend(conjuncts(*b));
            all
        }
        _ => vec![expr],
    }
}
